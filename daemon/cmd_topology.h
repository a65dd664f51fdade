/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * `kvmtuned topology`: the host drawn, of a snapshot or this one.
 *
 * @argv[0] is "topology". Returns the exit status: 0, 1 (the files are wrong or
 * the host cannot be looked at; why is on stderr), 2 (usage).
 */
int cmd_topology(int argc, char **argv);
