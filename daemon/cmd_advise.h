/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * `kvmtuned advise --vcpus N --memory SIZE`: prints the nodes a guest of that
 * size should start on. argv[0] is "advise". Returns the exit status: 0; 1 and a
 * message when there is no answer; 2 for wrong usage.
 */
int cmd_advise(int argc, char **argv);
