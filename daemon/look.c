/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "look.h"

#include <stdio.h>

#include "../lib/snapshot_file.h"
#include "cmd.h"
#include "log.h"
#include "run.h"

static int look_at_files(const LookOptions *o, LookHandler handler, void *userdata) {
        _cleanup_(snapshot_freep) Snapshot *snapshot = NULL;
        _cleanup_(state_freep) State *state = NULL;
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_free_ char *snapshot_error = NULL, *config_error = NULL;
        int c = 0, r, s = 0;

        /* All of them, so that one run shows what is wrong in any. */
        r = snapshot_load(o->snapshot, &snapshot, &snapshot_error);
        r = cmd_complain(o->snapshot, r, snapshot_error);
        if (o->config) {
                c = config_load(o->config, &config, &config_error);
                c = cmd_complain(o->config, c, config_error);
        }
        if (o->state)
                s = cmd_load_state(o->state, &state);
        if (r < 0 || c < 0 || s < 0)
                return -EBADMSG;
        return handler(snapshot, state, config, userdata);
}

int look(const LookOptions *o, LookHandler handler, void *userdata) {
        Options options = { .mode = RUN_RECORD, .uri = o->uri, .recorded = handler, .recorded_userdata = userdata };

        if (o->snapshot)
                return look_at_files(o, handler, userdata);
        /* What the daemon says in passing is not asked for. */
        log_set_max_level(LOG_WARNING);
        options.state_path = o->state ?: DEFAULT_STATE;
        options.config_path = o->config ?: access(DEFAULT_CONFIG, F_OK) >= 0 ? DEFAULT_CONFIG : NULL;
        return run_manager(&options);
}
