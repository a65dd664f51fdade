/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Where answers come from. A guest's owner chooses its name, and the other end
 * may be another machine: neither must drive this terminal, so what could is
 * escaped here, once for every view. JSON is escaped as it is printed.
 */

#include "../lib/plan_text.h"
#include "source_internal.h"

static CtlStatus no_memory(void) {
        (void)fprintf(stderr, "kvmtunectl: %s\n", strerrordesc_np(ENOMEM));
        return CTL_FAILED;
}

bool source_is_file(const Ctl *c) {
        return c->snapshot;
}

CtlStatus source_open(Ctl *c) {
        c->source = calloc(1, sizeof(*c->source));
        if (!c->source)
                return no_memory();
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

/* Frees *@text, which @clean replaces. */
static int clean_text(char **text, int (*clean)(const char *text, char **ret)) {
        char *cleaned;
        int r;

        r = clean(*text, &cleaned);
        if (r < 0)
                return r;
        free(*text);
        *text = cleaned;
        return 0;
}

static int clean_value(Value *v) {
        int r = 0;

        if (v->text)
                r = clean_text(&v->text, plan_clean_text);
        for (size_t i = 0; r >= 0 && i < v->n; i++)
                r = clean_value(v->items[i]);
        return r;
}

CtlStatus source_value(Ctl *c, const char *method, const char *guest, Value **ret) {
        _cleanup_(value_freep) Value *v = NULL;
        CtlStatus status;

        status = source_is_file(c) ? source_file_value(c, method, guest, &v) : source_bus_value(c, method, guest, &v);
        if (status != CTL_OK)
                return status;
        if (!c->json && clean_value(v) < 0)
                return no_memory();
        *ret = TAKE_PTR(v);
        return CTL_OK;
}

CtlStatus source_text(Ctl *c, const char *method, char **ret) {
        _cleanup_free_ char *text = NULL;
        CtlStatus status;

        status = source_is_file(c) ? source_file_text(c, method, &text) : source_bus_text(c, method, &text);
        if (status != CTL_OK)
                return status;
        if (clean_text(&text, plan_clean_lines) < 0)
                return no_memory();
        *ret = TAKE_PTR(text);
        return CTL_OK;
}
