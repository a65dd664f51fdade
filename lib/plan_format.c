/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A plan as text for people and as JSON. Every string goes through plan_text.h. */

#include "plan.h"

#include <stdio.h>

#include "parse.h"
#include "plan_text.h"

#define KIND_WIDTH 17U
#define TARGET_WIDTH_MAX 40U

static void put_json_action(FILE *f, const Action *a) {
        (void)fprintf(f, "{\"kind\": \"%s\"", action_kind_to_string(a->kind));
        plan_put_json_member(f, "guest", a->guest);
        plan_put_json_member(f, "uuid", a->uuid[0] ? a->uuid : NULL);
        if (a->kind == ACTION_SET_KSM)
                plan_put_json_member(f, "knob", ksm_knob_to_string((KsmKnob)a->index));
        else if (a->kind == ACTION_SET_KERNEL)
                plan_put_json_member(f, "knob", kernel_knob_to_string((KernelKnob)a->index));
        else if (a->kind == ACTION_SET_MEMTUNE)
                plan_put_json_member(f, "knob", memtune_knob_to_string((MemtuneKnob)a->index));
        else if (a->kind == ACTION_SET_HUGEPAGES)
                (void)fprintf(f, ", \"node\": %u, \"page_bytes\": %llu", pool_node(a->index),
                              (unsigned long long)pool_page_bytes(a->index));
        else if (a->kind == ACTION_SET_THP)
                plan_put_json_member(f, "knob", thp_knob_to_string((ThpKnob)a->index));
        else
                (void)fprintf(f, ", \"index\": %u", a->index);
        plan_put_json_member(f, "old", a->old_value);
        plan_put_json_member(f, "new", a->new_value);
        plan_put_json_member(f, "reason", a->reason);
        plan_put_json_member(f, "source", a->source);
        (void)fputc('}', f);
}

static void put_json_skip(FILE *f, const Skip *s) {
        (void)fprintf(f, "{\"kind\": \"%s\"", action_kind_to_string(s->kind));
        plan_put_json_member(f, "guest", s->guest);
        plan_put_json_member(f, "uuid", s->uuid[0] ? s->uuid : NULL);
        plan_put_json_member(f, "why", skip_reason_to_string(s->why));
        plan_put_json_member(f, "detail", s->detail);
        (void)fputc('}', f);
}

static void put_json_verdict(FILE *f, const Verdict *v) {
        (void)fprintf(f, "{\"cause\": \"%s\"", move_cause_to_string(v->cause));
        plan_put_json_member(f, "guest", v->guest);
        plan_put_json_member(f, "uuid", v->uuid);
        (void)fprintf(f, ", \"gained\": %s", v->gained ? "true" : "false");
        plan_put_json_member(f, "detail", v->text);
        (void)fputc('}', f);
}

static void put_json_wanted(FILE *f, const Plan *p, size_t i) {
        (void)fputs("{\"guest\": ", f);
        plan_put_json(f, p->wanted_names[i]);
        plan_put_json_member(f, "uuid", p->wanted_stats[i]);
        (void)fputc('}', f);
}

static void put_json_notes(FILE *f, const Plan *p) {
        if (p->n_notes == 0)
                return;
        (void)fputs(",\n  \"notes\": [", f);
        for (size_t i = 0; i < p->n_notes; i++) {
                plan_put_json_separator(f, i, p->n_notes);
                plan_put_json(f, p->notes[i]);
        }
        plan_put_json_separator(f, p->n_notes, p->n_notes);
}

static void put_plan_json(FILE *f, const Plan *p) {
        (void)fputs("{\n  \"actions\": [", f);
        for (size_t i = 0; i < p->n_actions; i++) {
                plan_put_json_separator(f, i, p->n_actions);
                put_json_action(f, &p->actions[i]);
        }
        plan_put_json_separator(f, p->n_actions, p->n_actions);
        (void)fputs(",\n  \"skipped\": [", f);
        for (size_t i = 0; i < p->n_skips; i++) {
                plan_put_json_separator(f, i, p->n_skips);
                put_json_skip(f, &p->skips[i]);
        }
        plan_put_json_separator(f, p->n_skips, p->n_skips);
        if (p->n_verdicts > 0)
                (void)fputs(",\n  \"verified\": [", f);
        for (size_t i = 0; i < p->n_verdicts; i++) {
                plan_put_json_separator(f, i, p->n_verdicts);
                put_json_verdict(f, &p->verdicts[i]);
        }
        if (p->n_verdicts > 0)
                plan_put_json_separator(f, p->n_verdicts, p->n_verdicts);
        plan_put_placements_json(f, p);
        put_json_notes(f, p);
        (void)fputs(",\n  \"statistics_wanted\": [", f);
        for (size_t i = 0; i < p->n_wanted_stats; i++) {
                plan_put_json_separator(f, i, p->n_wanted_stats);
                put_json_wanted(f, p, i);
        }
        plan_put_json_separator(f, p->n_wanted_stats, p->n_wanted_stats);
        (void)fputs("\n}\n", f);
}

static int pool_target(unsigned index, char **ret) {
        char size[FORMAT_BYTES_MAX];

        return strprintf_to(ret, "node %u %s", pool_node(index), format_bytes_short(pool_page_bytes(index), size));
}

/* What the action is done to: "web-1 vCPU 0", "run". */
int plan_action_target(const Action *a, char **ret) {
        _cleanup_free_ char *text = NULL;
        int r;

        if (a->kind == ACTION_SET_KSM)
                return strprintf_to(ret, "%s", ksm_knob_to_string((KsmKnob)a->index) ?: "?");
        if (a->kind == ACTION_SET_KERNEL)
                return strprintf_to(ret, "%s", kernel_knob_to_string((KernelKnob)a->index) ?: "?");
        if (a->kind == ACTION_SET_HUGEPAGES)
                return pool_target(a->index, ret);
        if (a->kind == ACTION_SET_THP)
                return strprintf_to(ret, "%s", thp_knob_to_string((ThpKnob)a->index) ?: "?");
        r = plan_clean_text(a->guest ?: "host", &text);
        if (r < 0)
                return r;
        if (a->kind == ACTION_PIN_VCPU)
                r = strprintf_to(&text, "%s vCPU %u", text, a->index);
        else if (a->kind == ACTION_PIN_IOTHREAD)
                r = strprintf_to(&text, "%s iothread %u", text, a->index);
        else if (a->kind == ACTION_SET_MEMTUNE)
                r = strprintf_to(&text, "%s %s", text, memtune_knob_to_string((MemtuneKnob)a->index) ?: "?");
        if (r < 0)
                return r;
        *ret = TAKE_PTR(text);
        return 0;
}

/* One value for people; sizes short, or exact with @exact. */
static int value_text(ActionKind kind, const char *value, bool exact, char **ret) {
        char buffer[FORMAT_BYTES_MAX];
        uint64_t bytes;

        if (!value)
                return strprintf_to(ret, "unknown");
        if (!*value)
                return strprintf_to(ret, "none");
        if (kind == ACTION_SET_STATS_PERIOD)
                return strprintf_to(ret, "%s s", value);
        if ((kind == ACTION_SET_BALLOON || kind == ACTION_SET_MEMTUNE) && parse_u64(value, &bytes) >= 0)
                return exact ? format_size(bytes, ret)
                             : strprintf_to(ret, "%s", format_bytes_short(bytes, buffer));
        return plan_clean_text(value, ret);
}

int plan_action_values(const Action *a, char **ret) {
        _cleanup_free_ char *from = NULL, *to = NULL;
        int r = 0;

        /* Two sizes that look the same when rounded are printed exactly. */
        for (int exact = 0; exact < 2 && (!exact || streq(from, to)); exact++) {
                free(TAKE_PTR(from));
                free(TAKE_PTR(to));
                r = value_text(a->kind, a->old_value, exact, &from);
                if (r < 0)
                        return r;
                r = value_text(a->kind, a->new_value, exact, &to);
                if (r < 0)
                        return r;
        }
        return strprintf_to(ret, "%s -> %s", from, to);
}

static int put_action(FILE *f, const Action *a, size_t width) {
        _cleanup_free_ char *target = NULL, *values = NULL;
        int r;

        r = plan_action_target(a, &target);
        if (r < 0)
                return r;
        r = plan_action_values(a, &values);
        if (r < 0)
                return r;
        (void)fputs("  ", f);
        plan_put_padded(f, action_kind_to_string(a->kind), KIND_WIDTH);
        plan_put_padded(f, target, width);
        (void)fprintf(f, "%s\n  %*s because ", values, (int)KIND_WIDTH, "");
        plan_put_text(f, a->reason ?: "");
        (void)fputs(" [", f);
        plan_put_text(f, a->source ?: "");
        (void)fputs("]\n", f);
        return 0;
}

static int put_skip(FILE *f, const Skip *s, size_t width) {
        _cleanup_free_ char *guest = NULL;
        int r;

        r = plan_clean_text(s->guest ?: "host", &guest);
        if (r < 0)
                return r;
        (void)fputs("  ", f);
        plan_put_padded(f, action_kind_to_string(s->kind), KIND_WIDTH);
        plan_put_padded(f, guest, width);
        (void)fprintf(f, "%s: ", skip_reason_to_string(s->why));
        plan_put_text(f, s->detail ?: "");
        (void)fputc('\n', f);
        return 0;
}

static int put_actions(FILE *f, const Plan *p) {
        size_t width = 0;
        int r;

        for (size_t i = 0; i < p->n_actions; i++) {
                _cleanup_free_ char *target = NULL;

                r = plan_action_target(&p->actions[i], &target);
                if (r < 0)
                        return r;
                width = MAX(width, plan_text_width(target));
        }
        width = MIN(width, (size_t)TARGET_WIDTH_MAX);
        (void)fprintf(f, "Actions (%zu):\n", p->n_actions);
        for (size_t i = 0; i < p->n_actions; i++) {
                r = put_action(f, &p->actions[i], width);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int put_skips(FILE *f, const Plan *p) {
        size_t width = 0;
        int r;

        for (size_t i = 0; i < p->n_skips; i++) {
                _cleanup_free_ char *guest = NULL;

                r = plan_clean_text(p->skips[i].guest ?: "host", &guest);
                if (r < 0)
                        return r;
                width = MAX(width, plan_text_width(guest));
        }
        width = MIN(width, (size_t)TARGET_WIDTH_MAX);
        (void)fprintf(f, "Skipped (%zu):\n", p->n_skips);
        for (size_t i = 0; i < p->n_skips; i++) {
                r = put_skip(f, &p->skips[i], width);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int put_verdicts(FILE *f, const Plan *p) {
        if (p->n_verdicts > 0)
                (void)fprintf(f, "Earlier moves (%zu):\n", p->n_verdicts);
        for (size_t i = 0; i < p->n_verdicts; i++) {
                const Verdict *v = &p->verdicts[i];
                _cleanup_free_ char *guest = NULL;
                int r;

                r = plan_clean_text(v->guest, &guest);
                if (r < 0)
                        return r;
                (void)fputs("  ", f);
                plan_put_padded(f, move_cause_to_string(v->cause), KIND_WIDTH);
                (void)fprintf(f, "%s %s: ", guest, v->gained ? "gained" : "not gained");
                plan_put_text(f, v->text);
                (void)fputc('\n', f);
        }
        return 0;
}

static void put_notes(FILE *f, const Plan *p) {
        if (p->n_notes > 0)
                (void)fprintf(f, "Notes (%zu):\n", p->n_notes);
        for (size_t i = 0; i < p->n_notes; i++) {
                (void)fputs("  ", f);
                plan_put_text(f, p->notes[i]);
                (void)fputc('\n', f);
        }
}

static int put_plan_text(FILE *f, const Plan *p) {
        int r;

        if (p->n_actions == 0) {
                (void)fputs("Nothing to do.\n", f);
        } else {
                r = put_actions(f, p);
                if (r < 0)
                        return r;
        }
        if (p->n_skips > 0) {
                r = put_skips(f, p);
                if (r < 0)
                        return r;
        }
        r = put_verdicts(f, p);
        if (r < 0)
                return r;
        r = plan_put_placements(f, p);
        if (r < 0)
                return r;
        for (size_t i = 0; i < p->n_wanted_stats; i++) {
                (void)fputs(i == 0 ? "Statistics wanted: " : ", ", f);
                plan_put_text(f, p->wanted_names[i]);
        }
        if (p->n_wanted_stats > 0)
                (void)fputc('\n', f);
        put_notes(f, p);
        return 0;
}

int plan_format(const Plan *p, bool json, char **ret) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);
        int r = 0;

        if (!f)
                return -ENOMEM;
        if (json)
                put_plan_json(f, p);
        else
                r = put_plan_text(f, p);
        if (fclose(f) != 0 && r >= 0)
                r = -ENOMEM;
        if (r < 0)
                return r;
        *ret = TAKE_PTR(text);
        return 0;
}
