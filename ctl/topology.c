/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The host drawn, from the snapshot that the daemon has. What a snapshot does
 * not hold, CPUs that are reserved or a guest's own, is asked for besides.
 */

#include "../lib/draw_topology.h"
#include "../lib/snapshot_file.h"
#include "ctl.h"

static CtlStatus complain(int r, const char *error) {
        (void)fprintf(stderr, "kvmtunectl: cannot draw the host: %s\n", error ?: strerrordesc_np(-r));
        return CTL_FAILED;
}

/* CPUs of their own, by the list of guests. */
static int take_dedicated(State *state, const Value *guests) {
        for (size_t i = 0; i < guests->n; i++) {
                const char *uuid = value_string(guests->items[i], "uuid");
                const char *cpus = value_string(guests->items[i], "own_cpus");
                GuestMemo *memo;
                IdSet set;
                int r;

                if (!uuid || !cpus || idset_parse(cpus, &set) < 0)
                        continue;
                r = state_guest(state, uuid, &memo);
                if (r < 0)
                        return r;
                memo->cpus = set;
        }
        return 0;
}

/* *@config then borrows from @settings. */
static void take_reserved(Config *config, const Value *settings) {
        for (size_t i = 0; i < settings->n; i++)
                if (streq(value_string(settings->items[i], "key") ?: "", "host.reserved_cpus"))
                        config->base.values[KEY_HOST_RESERVED_CPUS].text =
                                value_string(settings->items[i], "value") ?: "";
}

static CtlStatus draw(const Ctl *c, const char *snapshot_text, const Value *guests, const Value *settings) {
        _cleanup_(snapshot_freep) Snapshot *snapshot = NULL;
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_(state_freep) State *state = NULL;
        _cleanup_free_ char *error = NULL, *text = NULL;
        DrawOptions options = c->draw;
        int r;

        r = snapshot_load_text("snapshot", snapshot_text, &snapshot, &error);
        if (r >= 0)
                r = config_new(&config);
        if (r >= 0)
                r = state_new(&state);
        if (r >= 0)
                r = take_dedicated(state, guests);
        if (r < 0)
                return complain(r, error);
        take_reserved(config, settings);
        options.all = c->all;
        r = c->svg ? draw_topology_svg(snapshot, state, config, &text)
                   : draw_topology_text(snapshot, state, config, &options, &text);
        if (r < 0)
                return complain(r, NULL);
        if (!c->svg)
                pager_begin(c);
        (void)fputs(text, stdout);
        return CTL_OK;
}

CtlStatus show_topology(Ctl *c, char **arguments, int n) {
        _cleanup_(value_freep) Value *guests = NULL, *settings = NULL;
        _cleanup_free_ char *text = NULL;
        CtlStatus status;

        (void)arguments, (void)n;
        status = source_text(c, "GetSnapshot", &text);
        if (status == CTL_OK)
                status = source_value(c, "ListGuests", NULL, &guests);
        if (status == CTL_OK)
                status = source_value(c, "GetSettings", "", &settings);
        return status == CTL_OK ? draw(c, text, guests, settings) : status;
}
