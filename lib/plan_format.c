/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A plan as text for people and as JSON. Guest names and reasons can hold
 * anything libvirt lets through, so both writers pass every string through one
 * UTF-8 check; what is not UTF-8 becomes U+FFFD, one a byte, and control
 * characters are escaped (a name must not be able to drive a terminal).
 */

#include "plan.h"

#include <stdio.h>

#include "parse.h"

#define REPLACEMENT "\xef\xbf\xbd"
#define KIND_WIDTH 17U
#define TARGET_WIDTH_MAX 40U

/* Bytes of the UTF-8 character at @s (RFC 3629: shortest form, no surrogates), 0 when it is none. */
static size_t utf8_length(const unsigned char *s) {
        unsigned char low = 0x80, high = 0xbf;
        size_t n;

        if (s[0] < 0x80)
                return 1;
        if (s[0] >= 0xc2 && s[0] <= 0xdf)
                n = 2;
        else if (s[0] >= 0xe0 && s[0] <= 0xef)
                n = 3;
        else if (s[0] >= 0xf0 && s[0] <= 0xf4)
                n = 4;
        else
                return 0;
        if (s[0] == 0xe0)
                low = 0xa0;
        else if (s[0] == 0xed)
                high = 0x9f;
        else if (s[0] == 0xf0)
                low = 0x90;
        else if (s[0] == 0xf4)
                high = 0x8f;
        if (s[1] < low || s[1] > high)
                return 0;
        for (size_t i = 2; i < n; i++)
                if (s[i] < 0x80 || s[i] > 0xbf)
                        return 0;
        return n;
}

static void put_json_ascii(FILE *f, unsigned char c) {
        switch (c) {
        case '"':
        case '\\':
                (void)fprintf(f, "\\%c", c);
                break;
        case '\n':
                (void)fputs("\\n", f);
                break;
        case '\t':
                (void)fputs("\\t", f);
                break;
        default:
                if (c < 0x20 || c == 0x7f)
                        (void)fprintf(f, "\\u%04x", c);
                else
                        (void)fputc(c, f);
        }
}

static void put_text_ascii(FILE *f, unsigned char c) {
        if (c < 0x20 || c == 0x7f)
                (void)fprintf(f, "\\x%02x", c);
        else
                (void)fputc(c, f);
}

static void put_clean(FILE *f, const char *s, void (*put_ascii)(FILE *, unsigned char)) {
        const unsigned char *p = (const unsigned char *)s;

        while (*p) {
                size_t n = utf8_length(p);

                /* U+0080..U+009F are control characters, too. */
                if (n == 0 || (n == 2 && p[0] == 0xc2 && p[1] < 0xa0))
                        (void)fputs(REPLACEMENT, f);
                else if (n == 1)
                        put_ascii(f, *p);
                else
                        (void)fwrite(p, 1, n, f);
                p += n == 0 ? 1 : n;
        }
}

static void put_json(FILE *f, const char *s) {
        if (!s) {
                (void)fputs("null", f);
                return;
        }
        (void)fputc('"', f);
        put_clean(f, s, put_json_ascii);
        (void)fputc('"', f);
}

static void put_json_member(FILE *f, const char *key, const char *value) {
        (void)fprintf(f, ", \"%s\": ", key);
        put_json(f, value);
}

static void put_json_action(FILE *f, const Action *a) {
        (void)fprintf(f, "{\"kind\": \"%s\"", action_kind_to_string(a->kind));
        put_json_member(f, "guest", a->guest);
        put_json_member(f, "uuid", a->uuid[0] ? a->uuid : NULL);
        if (a->kind == ACTION_SET_KSM)
                put_json_member(f, "knob", ksm_knob_to_string((KsmKnob)a->index));
        else if (a->kind == ACTION_SET_KERNEL)
                put_json_member(f, "knob", kernel_knob_to_string((KernelKnob)a->index));
        else
                (void)fprintf(f, ", \"index\": %u", a->index);
        put_json_member(f, "old", a->old_value);
        put_json_member(f, "new", a->new_value);
        put_json_member(f, "reason", a->reason);
        put_json_member(f, "source", a->source);
        (void)fputc('}', f);
}

static void put_json_skip(FILE *f, const Skip *s) {
        (void)fprintf(f, "{\"kind\": \"%s\"", action_kind_to_string(s->kind));
        put_json_member(f, "guest", s->guest);
        put_json_member(f, "uuid", s->uuid[0] ? s->uuid : NULL);
        put_json_member(f, "why", skip_reason_to_string(s->why));
        put_json_member(f, "detail", s->detail);
        (void)fputc('}', f);
}

static void put_json_verdict(FILE *f, const Verdict *v) {
        (void)fprintf(f, "{\"cause\": \"%s\"", move_cause_to_string(v->cause));
        put_json_member(f, "guest", v->guest);
        put_json_member(f, "uuid", v->uuid);
        (void)fprintf(f, ", \"gained\": %s", v->gained ? "true" : "false");
        put_json_member(f, "detail", v->text);
        (void)fputc('}', f);
}

static void put_json_wanted(FILE *f, const Plan *p, size_t i) {
        (void)fputs("{\"guest\": ", f);
        put_json(f, p->wanted_names[i]);
        put_json_member(f, "uuid", p->wanted_stats[i]);
        (void)fputc('}', f);
}

/* Between and around the elements of an array, one a line. */
static void put_json_separator(FILE *f, size_t i, size_t n) {
        if (i == n)
                (void)fputs(n == 0 ? "]" : "\n  ]", f);
        else
                (void)fputs(i == 0 ? "\n    " : ",\n    ", f);
}

static void put_plan_json(FILE *f, const Plan *p) {
        (void)fputs("{\n  \"actions\": [", f);
        for (size_t i = 0; i < p->n_actions; i++) {
                put_json_separator(f, i, p->n_actions);
                put_json_action(f, &p->actions[i]);
        }
        put_json_separator(f, p->n_actions, p->n_actions);
        (void)fputs(",\n  \"skipped\": [", f);
        for (size_t i = 0; i < p->n_skips; i++) {
                put_json_separator(f, i, p->n_skips);
                put_json_skip(f, &p->skips[i]);
        }
        put_json_separator(f, p->n_skips, p->n_skips);
        if (p->n_verdicts > 0)
                (void)fputs(",\n  \"verified\": [", f);
        for (size_t i = 0; i < p->n_verdicts; i++) {
                put_json_separator(f, i, p->n_verdicts);
                put_json_verdict(f, &p->verdicts[i]);
        }
        if (p->n_verdicts > 0)
                put_json_separator(f, p->n_verdicts, p->n_verdicts);
        (void)fputs(",\n  \"statistics_wanted\": [", f);
        for (size_t i = 0; i < p->n_wanted_stats; i++) {
                put_json_separator(f, i, p->n_wanted_stats);
                put_json_wanted(f, p, i);
        }
        put_json_separator(f, p->n_wanted_stats, p->n_wanted_stats);
        (void)fputs("\n}\n", f);
}

/* @s cleaned, newly allocated. */
static int clean_text(const char *s, char **ret) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return -ENOMEM;
        put_clean(f, s, put_text_ascii);
        if (fclose(f) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(text);
        return 0;
}

/* What the action is done to: "web-1 vCPU 0", "run". */
static int action_target(const Action *a, char **ret) {
        _cleanup_free_ char *text = NULL;
        int r;

        if (a->kind == ACTION_SET_KSM)
                return strprintf_to(ret, "%s", ksm_knob_to_string((KsmKnob)a->index) ?: "?");
        if (a->kind == ACTION_SET_KERNEL)
                return strprintf_to(ret, "%s", kernel_knob_to_string((KernelKnob)a->index) ?: "?");
        r = clean_text(a->guest ?: "host", &text);
        if (r < 0)
                return r;
        if (a->kind == ACTION_PIN_VCPU)
                r = strprintf_to(&text, "%s vCPU %u", text, a->index);
        else if (a->kind == ACTION_PIN_IOTHREAD)
                r = strprintf_to(&text, "%s iothread %u", text, a->index);
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
        if (kind == ACTION_SET_BALLOON && parse_u64(value, &bytes) >= 0)
                return exact ? format_size(bytes, ret)
                             : strprintf_to(ret, "%s", format_bytes_short(bytes, buffer));
        return clean_text(value, ret);
}

static int action_values(const Action *a, char **ret) {
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

/* Characters, for alignment. */
static size_t text_width(const char *s) {
        size_t n = 0;

        for (; *s; s++)
                n += ((unsigned char)*s & 0xc0) != 0x80;
        return n;
}

static void put_padded(FILE *f, const char *s, size_t width) {
        (void)fputs(s, f);
        for (size_t n = text_width(s); n < width; n++)
                (void)fputc(' ', f);
        (void)fputc(' ', f);
}

static int put_action(FILE *f, const Action *a, size_t width) {
        _cleanup_free_ char *target = NULL, *values = NULL;
        int r;

        r = action_target(a, &target);
        if (r < 0)
                return r;
        r = action_values(a, &values);
        if (r < 0)
                return r;
        (void)fputs("  ", f);
        put_padded(f, action_kind_to_string(a->kind), KIND_WIDTH);
        put_padded(f, target, width);
        (void)fprintf(f, "%s\n  %*s because ", values, (int)KIND_WIDTH, "");
        put_clean(f, a->reason ?: "", put_text_ascii);
        (void)fputs(" [", f);
        put_clean(f, a->source ?: "", put_text_ascii);
        (void)fputs("]\n", f);
        return 0;
}

static int put_skip(FILE *f, const Skip *s, size_t width) {
        _cleanup_free_ char *guest = NULL;
        int r;

        r = clean_text(s->guest ?: "host", &guest);
        if (r < 0)
                return r;
        (void)fputs("  ", f);
        put_padded(f, action_kind_to_string(s->kind), KIND_WIDTH);
        put_padded(f, guest, width);
        (void)fprintf(f, "%s: ", skip_reason_to_string(s->why));
        put_clean(f, s->detail ?: "", put_text_ascii);
        (void)fputc('\n', f);
        return 0;
}

static int put_actions(FILE *f, const Plan *p) {
        size_t width = 0;
        int r;

        for (size_t i = 0; i < p->n_actions; i++) {
                _cleanup_free_ char *target = NULL;

                r = action_target(&p->actions[i], &target);
                if (r < 0)
                        return r;
                width = MAX(width, text_width(target));
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

                r = clean_text(p->skips[i].guest ?: "host", &guest);
                if (r < 0)
                        return r;
                width = MAX(width, text_width(guest));
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

                r = clean_text(v->guest, &guest);
                if (r < 0)
                        return r;
                (void)fputs("  ", f);
                put_padded(f, move_cause_to_string(v->cause), KIND_WIDTH);
                (void)fprintf(f, "%s %s: ", guest, v->gained ? "gained" : "not gained");
                put_clean(f, v->text, put_text_ascii);
                (void)fputc('\n', f);
        }
        return 0;
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
        for (size_t i = 0; i < p->n_wanted_stats; i++) {
                (void)fputs(i == 0 ? "Statistics wanted: " : ", ", f);
                put_clean(f, p->wanted_names[i], put_text_ascii);
        }
        if (p->n_wanted_stats > 0)
                (void)fputc('\n', f);
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
