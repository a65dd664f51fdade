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

/* The options that fill in @look, for cmd_options(). */
#define LOOK_OPTIONS(look)                                                             \
        { "snapshot", 's', .text = &(look)->snapshot }, { "state", 'S', .text = &(look)->state }, \
        { "config", 'c', .text = &(look)->config }, { "uri", 'u', .text = &(look)->uri }

/* @state and @config may be NULL. What it returns becomes the exit status. */
typedef int (*LookHandler)(const Snapshot *snapshot, const State *state, const Config *config, void *userdata);

/* Looks and calls @handler once. Returns what that returned, or -errno after saying why on stderr. */
int look(const LookOptions *o, LookHandler handler, void *userdata);
