/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "source_internal.h"

bool source_is_file(const Ctl *c) {
        return c->snapshot;
}

CtlStatus source_open(Ctl *c) {
        c->source = calloc(1, sizeof(*c->source));
        if (!c->source) {
                (void)fprintf(stderr, "kvmtunectl: %s\n", strerrordesc_np(ENOMEM));
                return CTL_FAILED;
        }
        return source_is_file(c) ? source_file_open(c, c->source) : source_bus_open(c, c->source);
}

Source *source_free(Source *s) {
        if (!s)
                return NULL;
        source_bus_close(s);
        describe_done(&s->description);
        (void)state_free(s->state);
        (void)snapshot_free(s->snapshot);
        (void)config_free(s->config);
        free(s);
        return NULL;
}

CtlStatus source_value(Ctl *c, const char *method, const char *guest, Value **ret) {
        return source_is_file(c) ? source_file_value(c, method, guest, ret) : source_bus_value(c, method, guest, ret);
}

CtlStatus source_text(Ctl *c, const char *method, char **ret) {
        return source_is_file(c) ? source_file_text(c, method, ret) : source_bus_text(c, method, ret);
}
