/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * `kvmtuned test-policy`: an administrator's tests of a policy file,
 * kvmtuned-test(5). The real rules and the real resolution of settings, on
 * made-up instants; no root, no libvirt, no clock.
 *
 * @argv[0] is "test-policy". Returns the exit status: 0, 1 (a test failed),
 * 2 (usage, or a file is wrong; why is on stderr).
 */
int cmd_test_policy(int argc, char **argv);
