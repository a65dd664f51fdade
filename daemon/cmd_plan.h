/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * `kvmtuned plan`: what the daemon would do about a recorded situation. Needs
 * no root, no libvirt and no systemd; the same files give the same bytes.
 *
 * @argv[0] is "plan". Returns the exit status: 0, 1 (the files are wrong or
 * cannot be read; why is on stderr), 2 (usage).
 */
int cmd_plan(int argc, char **argv);
