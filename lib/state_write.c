/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The state as text. A line is a record; its words are separated by one space;
 * a word that could hold anything is %XX-escaped, so a line never needs quoting
 * rules. The last line is "end": a file cut short is seen as such.
 */

#include <stdio.h>

#include "state_fields.h"

static void put_escaped(FILE *f, const char *s) {
        for (; *s; s++) {
                unsigned char c = (unsigned char)*s;

                if (c <= 0x20 || c == 0x7f || c == '%')
                        (void)fprintf(f, "%%%02X", c);
                else
                        (void)fputc(c, f);
        }
}

static void put_text(FILE *f, const char *key, const char *value) {
        if (!value)
                return;
        (void)fprintf(f, " %s=", key);
        put_escaped(f, value);
}

static void put_u64(FILE *f, const char *key, uint64_t value, uint64_t unset) {
        if (value != unset)
                (void)fprintf(f, " %s=%llu", key, (unsigned long long)value);
}

static void put_owned(FILE *f, const Owned *o) {
        (void)fprintf(f, "own %s ", action_kind_to_string(o->kind));
        put_escaped(f, o->uuid[0] ? o->uuid : "-");
        (void)fprintf(f, " %u", o->index);
        put_text(f, "original", o->original);
        put_text(f, "ours", o->ours);
        put_text(f, "previous", o->previous);
        (void)fputc('\n', f);
}

static void put_fields(FILE *f, const StateFields *fields, const void *record) {
        for (size_t i = 0; i < fields->n; i++) {
                const StateField *field = &fields->fields[i];

                put_u64(f, field->key, state_field_get(field, record), field->unset);
        }
        (void)fputc('\n', f);
}

static int put_sets(FILE *f, const GuestMemo *g) {
        for (size_t i = 0; i < STATE_SETS; i++) {
                _cleanup_free_ char *text = NULL;
                int r;

                r = idset_format(state_sets[i].get(g), &text);
                if (r < 0)
                        return r;
                if (*text)
                        put_text(f, state_sets[i].key, text);
        }
        return 0;
}

static int put_guest(FILE *f, const GuestMemo *g) {
        int r;

        (void)fputs("guest ", f);
        put_escaped(f, g->uuid);
        r = put_sets(f, g);
        if (r < 0)
                return r;
        for (size_t i = 0; i < g->n_cells; i++)
                (void)fprintf(f, "%s%u", i == 0 ? " cells=" : ",", g->cell_nodes[i]);
        for (size_t i = 0; i < g->n_left; i++)
                (void)fprintf(f, "%s%u:%llu", i == 0 ? " left=" : ",", g->left[i].node,
                              (unsigned long long)g->left[i].usec);
        put_fields(f, &state_guest_fields, g);
        return 0;
}

/* Of a pool only what a restart must not forget: that it was taken over. */
static void put_pools(FILE *f, const State *s) {
        for (size_t i = 0; i < s->n_pools; i++) {
                if (!s->pools[i].taken)
                        continue;
                (void)fprintf(f, "pool %u", s->pools[i].index);
                put_fields(f, &state_pool_fields, &s->pools[i]);
        }
}

static int put_state(FILE *f, const State *s) {
        int r;

        (void)fprintf(f, "kvmtuned-state %u\n", STATE_VERSION);
        if (s->boot_id) {
                (void)fputs("boot ", f);
                put_escaped(f, s->boot_id);
                (void)fputc('\n', f);
        }
        for (size_t i = 0; i < s->n_owned; i++)
                put_owned(f, &s->owned[i]);
        for (size_t i = 0; i < s->n_guests; i++) {
                r = put_guest(f, &s->guests[i]);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < s->n_thresholds; i++) {
                (void)fprintf(f, "threshold %zu", i);
                put_fields(f, &state_threshold_fields, &s->thresholds[i]);
        }
        for (size_t i = 0; i < s->n_guest_thresholds; i++) {
                (void)fputs("guest-threshold ", f);
                put_escaped(f, s->guest_thresholds[i].uuid);
                (void)fprintf(f, " %u", s->guest_thresholds[i].index);
                put_fields(f, &state_threshold_fields, &s->guest_thresholds[i].memo);
        }
        for (size_t i = 0; i < s->n_stopped; i++) {
                (void)fputs("stopped ", f);
                put_escaped(f, s->stopped[i]);
                (void)fputc('\n', f);
        }
        (void)fputs("host", f);
        put_fields(f, &state_host_fields, s);
        put_pools(f, s);
        (void)fputs("end\n", f);
        return 0;
}

int state_format(const State *s, char **ret) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);
        int r;

        if (!f)
                return -ENOMEM;
        r = put_state(f, s);
        if (fclose(f) != 0 && r >= 0)
                r = -ENOMEM;
        if (r < 0)
                return r;
        *ret = TAKE_PTR(text);
        return 0;
}
