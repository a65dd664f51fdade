/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* From a command to the daemon's loop, and where files are when nobody says. */

#include "manager.h"

#define DEFAULT_CONFIG SYSCONFDIR "/kvmtuned/kvmtuned.conf"
#define DEFAULT_STATE LOCALSTATEDIR "/lib/kvmtuned/state"

/* Runs a manager until it ends. Returns the exit status, or -errno when it was said why. */
int run_manager(const Options *options);
