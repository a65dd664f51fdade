/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * `kvmtuned doctor`: audits a host, of a snapshot or this one.
 *
 * @argv[0] is "doctor". Returns the exit status: 0 (nothing, or notices only),
 * 1 (warnings), 2 (problems), 3 (wrong usage, files that are wrong, or a host that cannot be
 * looked at; why is on stderr).
 */
int cmd_doctor(int argc, char **argv);
