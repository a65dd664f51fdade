/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../lib/snapshot_file.h"
#include "source_internal.h"

#define DEFAULT_CONFIG SYSCONFDIR "/kvmtuned/kvmtuned.conf"

static CtlStatus complain(const char *what, int r, const char *error) {
        if (error)
                (void)fprintf(stderr, "%s%s", error, error[0] && error[strlen(error) - 1] == '\n' ? "" : "\n");
        else
                (void)fprintf(stderr, "%s: %s\n", what, strerrordesc_np(-r));
        return CTL_FAILED;
}

static CtlStatus load(const Ctl *c, Source *s) {
        _cleanup_free_ char *config_error = NULL, *snapshot_error = NULL, *state_error = NULL;
        const char *config = c->config ?: DEFAULT_CONFIG;
        int r;

        r = config_load(config, &s->config, &config_error);
        if (r < 0)
                return complain(config, r, config_error);
        r = snapshot_load(c->snapshot, &s->snapshot, &snapshot_error);
        if (r < 0)
                return complain(c->snapshot, r, snapshot_error);
        r = c->state ? state_load(c->state, &s->state, &state_error) : state_new(&s->state);
        if (r < 0)
                return complain(c->state ?: "state", r, state_error);
        return CTL_OK;
}

CtlStatus source_file_open(const Ctl *c, Source *s) {
        PolicyInput input;
        CtlStatus status;
        int r;

        status = load(c, s);
        if (status != CTL_OK)
                return status;
        input = (PolicyInput){ .config = s->config, .snapshot = s->snapshot };
        r = describe_begin(&input, s->state, true, &s->description);
        return r < 0 ? complain("kvmtunectl", r, NULL) : CTL_OK;
}

static CtlStatus find_guest(const Source *s, const char *name, const Guest **ret) {
        *ret = name && name[0] ? describe_find(s->snapshot, name) : NULL;
        if (!name || !name[0] || *ret)
                return CTL_OK;
        (void)fprintf(stderr, "kvmtunectl: there is no guest of the name or UUID \"%s\" in the snapshot\n", name);
        return CTL_NOT_FOUND;
}

CtlStatus source_file_value(Ctl *c, const char *method, const char *guest, Value **ret) {
        const Description *d = &c->source->description;
        CtlStatus status;
        const Guest *g;
        Value *v = NULL;

        status = find_guest(c->source, guest, &g);
        if (status != CTL_OK)
                return status;
        if (streq(method, "ListGuests"))
                v = describe_guests(d);
        else if (streq(method, "ExplainGuest") && g)
                v = describe_guest(d, g);
        else if (streq(method, "GetSettings"))
                v = describe_settings(d, g);
        else if (streq(method, "ListRules"))
                v = describe_rules(d);
        else {
                (void)fprintf(stderr, "kvmtunectl: a snapshot does not say that; leave out --snapshot to ask the daemon\n");
                return CTL_USAGE;
        }
        if (value_complete(v) < 0) {
                (void)value_free(v);
                return complain("kvmtunectl", -ENOMEM, NULL);
        }
        *ret = v;
        return CTL_OK;
}

CtlStatus source_file_text(Ctl *c, const char *method, char **ret) {
        int r;

        r = streq(method, "GetPlan") ? plan_format(c->source->description.plan, c->json, ret)
                                     : snapshot_format(c->source->snapshot, ret);
        return r < 0 ? complain("kvmtunectl", r, NULL) : CTL_OK;
}
