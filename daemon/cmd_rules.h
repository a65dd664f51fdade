/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * `kvmtuned rules`: which rules hold at some time, and the settings that
 * follow, each with the line it comes from. No root, no libvirt.
 *
 * @argv[0] is "rules". Returns the exit status: 0, 1 (the files are wrong or
 * cannot be read; why is on stderr), 2 (usage).
 */
int cmd_rules(int argc, char **argv);
