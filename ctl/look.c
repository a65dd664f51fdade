/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The host drawn and examined, from the snapshot that the daemon has. What a
 * snapshot does not hold, the host's settings and CPUs that are a guest's own,
 * is asked for besides.
 */

#include "../lib/config_value.h"
#include "../lib/doctor.h"
#include "../lib/snapshot_file.h"
#include "../lib/state_memo.h"
#include "ctl.h"

#define DOCTOR_WIDTH_MAX 110U

typedef struct Look {
        Snapshot *snapshot;
        State *state;
        Config *config;                 /* its texts are those of settings */
        Value *settings;
} Look;

static void look_done(Look *l) {
        (void)snapshot_free(l->snapshot);
        (void)state_free(l->state);
        (void)config_free(l->config);
        (void)value_free(l->settings);
}

static CtlStatus complain(int r, const char *error) {
        (void)fprintf(stderr, "kvmtunectl: cannot look at the host: %s\n", error ?: strerrordesc_np(-r));
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
                if (r >= 0)
                        r = memo_make_cpus(memo);
                if (r < 0)
                        return r;
                *memo->cpus = set;
        }
        return 0;
}

/* A key or a value that this program does not know is of another version: left at its default. */
static int take_setting(Config *config, const Value *setting) {
        const char *name = value_string(setting, "key"), *value = value_string(setting, "value");
        _cleanup_free_ char *group = NULL, *problem = NULL;
        const char *dot = name ? strchr(name, '.') : NULL;
        SettingValue v;
        Key key;

        if (!dot || !value)
                return 0;
        group = strndup(name, (size_t)(dot - name));
        if (!group)
                return -ENOMEM;
        key = config_key_find(group, dot + 1);
        if (key >= 0 && config_value_parse(key, value, &v, &problem) >= 0)
                config->base.values[key] = v;
        return 0;
}

static int take(Look *l, const char *snapshot_text, const Value *guests, char **ret_error) {
        int r;

        r = snapshot_load_text("snapshot", snapshot_text, &l->snapshot, ret_error);
        if (r >= 0)
                r = config_new(&l->config);
        if (r >= 0)
                r = state_new(&l->state);
        if (r >= 0)
                r = take_dedicated(l->state, guests);
        for (size_t i = 0; r >= 0 && i < l->settings->n; i++)
                r = take_setting(l->config, l->settings->items[i]);
        return r;
}

static CtlStatus look(Ctl *c, Look *l) {
        _cleanup_free_ char *text = NULL, *error = NULL;
        _cleanup_(value_freep) Value *guests = NULL;
        CtlStatus status;
        int r;

        status = source_text(c, "GetSnapshot", &text);
        if (status == CTL_OK)
                status = source_value(c, "ListGuests", NULL, &guests);
        if (status == CTL_OK)
                status = source_value(c, "GetSettings", "", &l->settings);
        if (status != CTL_OK)
                return status;
        r = take(l, text, guests, &error);
        return r < 0 ? complain(r, error) : CTL_OK;
}

CtlStatus show_topology(Ctl *c, char **arguments, int n) {
        _cleanup_(look_done) Look l = { 0 };
        _cleanup_free_ char *text = NULL;
        DrawOptions options = c->draw;
        CtlStatus status;
        int r;

        (void)arguments, (void)n;
        status = look(c, &l);
        if (status != CTL_OK)
                return status;
        options.all = c->all;
        r = c->svg    ? draw_topology_svg(l.snapshot, l.state, l.config, &text)
            : c->json ? draw_topology_json(l.snapshot, l.state, l.config, &text)
                      : draw_topology_text(l.snapshot, l.state, l.config, &options, &text);
        if (r < 0)
                return complain(r, NULL);
        if (!c->svg && !c->json)
                pager_begin(c);
        (void)fputs(text, stdout);
        return CTL_OK;
}

CtlStatus show_doctor(Ctl *c, char **arguments, int n) {
        _cleanup_(diagnosis_freep) Diagnosis *d = NULL;
        _cleanup_(look_done) Look l = { 0 };
        _cleanup_free_ char *text = NULL;
        CtlStatus status;
        int r;

        (void)arguments, (void)n;
        status = look(c, &l);
        if (status != CTL_OK)
                return status;
        r = doctor_examine(l.snapshot, l.state, l.config, &d);
        if (r >= 0)
                r = c->json ? diagnosis_format_json(d, &text)
                            : diagnosis_format(d, MIN(c->draw.width ? c->draw.width : 80U, DOCTOR_WIDTH_MAX), c->all,
                                               &text);
        if (r < 0)
                return complain(r, NULL);
        if (!c->json)
                pager_begin(c);
        (void)fputs(text, stdout);
        r = diagnosis_status(d);
        return r == 0 ? CTL_OK : r == 1 ? CTL_WARNINGS : CTL_PROBLEMS;
}
