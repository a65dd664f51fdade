/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What commands that only look at a host have in common: a recorded snapshot,
 * or else this machine, observed as `kvmtuned record` does.
 */

#include "../lib/config.h"
#include "../lib/snapshot.h"
#include "../lib/state.h"

typedef struct LookOptions {
        const char *snapshot;           /* NULL: this machine */
        const char *state, *config;     /* NULL: none, but the installed ones for this machine */
        const char *uri;                /* NULL: from the configuration */
} LookOptions;

/* For getopt_long(3); what it returns of these goes to look_option() with its argument. */
#define LOOK_OPTIONS "s:S:c:u:"
#define LOOK_LONG_OPTIONS                                                      \
        { "snapshot", required_argument, NULL, 's' }, { "state", required_argument, NULL, 'S' }, \
        { "config", required_argument, NULL, 'c' }, { "uri", required_argument, NULL, 'u' }

/* @value is kept, not copied. */
void look_option(LookOptions *o, int option, const char *value);

/* @state and @config may be NULL. What it returns becomes the exit status. */
typedef int (*LookHandler)(const Snapshot *snapshot, const State *state, const Config *config, void *userdata);

/* Looks and calls @handler once. Returns what that returned, or -errno after saying why on stderr. */
int look(const LookOptions *o, LookHandler handler, void *userdata);
