/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A diagnosis for people and as JSON. */

#include "doctor.h"

#include "draw_pen.h"
#include "plan_text.h"

#define INDENT 9U
#define WIDTH_MIN 60U
#define GUESTS_MAX 12U

/* ---- text ------------------------------------------------------------------ */

typedef struct Wrap {
        FILE *f;
        unsigned width;
        size_t column;
} Wrap;

static void put_word(Wrap *w, const char *word, size_t length) {
        char text[256];
        size_t columns;

        (void)snprintf(text, sizeof(text), "%.*s", (int)MIN(length, sizeof(text) - 1), word);
        columns = pen_columns(text);
        if (w->column > INDENT && w->column + 1 + columns > w->width) {
                (void)fprintf(w->f, "\n%*s", (int)INDENT, "");
                w->column = INDENT;
        } else if (w->column > INDENT) {
                (void)fputc(' ', w->f);
                w->column++;
        }
        (void)fputs(text, w->f);
        w->column += columns;
}

static void put_words(Wrap *w, const char *text) {
        while (*text) {
                size_t n = strcspn(text, " ");

                if (n > 0)
                        put_word(w, text, n);
                text += n;
                text += strspn(text, " ");
        }
}

static void begin_line(Wrap *w, const char *label) {
        (void)fprintf(w->f, "%-*s", (int)INDENT, label);
        w->column = INDENT;
}

static int put_guest_names(Wrap *w, const DoctorCheck *c, bool all) {
        size_t shown = all || c->n_guests <= GUESTS_MAX ? c->n_guests : GUESTS_MAX - 1;

        begin_line(w, "");
        for (size_t i = 0; i < shown; i++) {
                const DoctorGuest *g = &c->guests[i];
                _cleanup_free_ char *detail = NULL, *text = NULL;
                int r;

                r = plan_clean_text(g->detail ?: "", &detail);
                if (r >= 0)
                        r = strprintf_to(&text, "%s%s%s%s%s", g->name, *detail ? " (" : "", detail,
                                         *detail ? ")" : "", i + 1 < c->n_guests ? "," : "");
                if (r < 0)
                        return r;
                put_words(w, text);
        }
        if (shown < c->n_guests) {
                char more[48];

                (void)snprintf(more, sizeof(more), "and %zu more", c->n_guests - shown);
                put_words(w, more);
        }
        (void)fputc('\n', w->f);
        return 0;
}

static int put_found(Wrap *w, const DoctorCheck *c, bool all) {
        _cleanup_free_ char *detail = NULL, *text = NULL;
        int r;

        r = plan_clean_text(c->detail ?: "", &detail);
        if (r >= 0)
                r = strprintf_to(&text, "%s%s%s [%s]", c->what, *detail ? ": " : "", detail, c->id);
        if (r < 0)
                return r;
        begin_line(w, doctor_severity_to_string(c->severity));
        put_words(w, text);
        (void)fputc('\n', w->f);
        if (c->of_guests) {
                r = put_guest_names(w, c, all);
                if (r < 0)
                        return r;
        }
        begin_line(w, "    why");
        put_words(w, c->why);
        (void)fputc('\n', w->f);
        begin_line(w, "     do");
        put_words(w, c->todo);
        (void)fputs("\n\n", w->f);
        return 0;
}

static size_t count(const Diagnosis *d, DoctorResult result, int severity) {
        size_t n = 0;

        for (size_t i = 0; i < d->n_checks; i++)
                n += d->checks[i].result == result && (severity < 0 || (int)d->checks[i].severity == severity);
        return n;
}

static void put_others(Wrap *w, const Diagnosis *d, DoctorResult result) {
        size_t left = count(d, result, -1);

        if (left == 0)
                return;
        begin_line(w, doctor_result_to_string(result));
        for (size_t i = 0; i < d->n_checks; i++) {
                char text[96];

                if (d->checks[i].result != result)
                        continue;
                left--;
                (void)snprintf(text, sizeof(text), "%s%s", d->checks[i].id, left > 0 ? "," : "");
                put_words(w, text);
        }
        (void)fputs("\n\n", w->f);
}

static void put_sum(FILE *f, const Diagnosis *d) {
        for (int s = _DOCTOR_SEVERITY_MAX - 1; s >= 0; s--) {
                size_t n = count(d, DOCTOR_FOUND, s);

                (void)fprintf(f, "%zu %s%s, ", n, doctor_severity_to_string((DoctorSeverity)s), n == 1 ? "" : "s");
        }
        (void)fprintf(f, "%zu fine, %zu not known\n", count(d, DOCTOR_FINE, -1), count(d, DOCTOR_UNKNOWN, -1));
}

static int put_all(Wrap *w, const Diagnosis *d, bool all) {
        for (int s = _DOCTOR_SEVERITY_MAX - 1; s >= 0; s--)
                for (size_t i = 0; i < d->n_checks; i++) {
                        int r;

                        if (d->checks[i].result != DOCTOR_FOUND || (int)d->checks[i].severity != s)
                                continue;
                        r = put_found(w, &d->checks[i], all);
                        if (r < 0)
                                return r;
                }
        if (all) {
                put_others(w, d, DOCTOR_FINE);
                put_others(w, d, DOCTOR_UNKNOWN);
        }
        put_sum(w->f, d);
        return 0;
}

int diagnosis_format(const Diagnosis *d, unsigned width, bool all, char **ret) {
        _cleanup_free_ char *text = NULL;
        Wrap w = { 0 };
        size_t size;
        int r;

        w.width = MAX(width, WIDTH_MIN);
        w.f = open_memstream(&text, &size);
        if (!w.f)
                return -ENOMEM;
        r = put_all(&w, d, all);
        if (fclose(w.f) != 0 && r >= 0)
                r = -ENOMEM;
        if (r < 0)
                return r;
        *ret = TAKE_PTR(text);
        return 0;
}

/* ---- JSON ------------------------------------------------------------------ */

static void put_json_check(FILE *f, const DoctorCheck *c) {
        (void)fputs("{\"id\": ", f);
        plan_put_json(f, c->id);
        plan_put_json_member(f, "severity", doctor_severity_to_string(c->severity));
        plan_put_json_member(f, "result", doctor_result_to_string(c->result));
        plan_put_json_member(f, "what", c->what);
        plan_put_json_member(f, "detail", c->detail);
        plan_put_json_member(f, "why", c->why);
        plan_put_json_member(f, "do", c->todo);
        (void)fputs(", \"guests\": [", f);
        for (size_t i = 0; i < c->n_guests; i++) {
                (void)fputs(i == 0 ? "{\"guest\": " : ", {\"guest\": ", f);
                plan_put_json(f, c->guests[i].name);
                plan_put_json_member(f, "uuid", c->guests[i].uuid);
                plan_put_json_member(f, "detail", c->guests[i].detail);
                (void)fputc('}', f);
        }
        (void)fputs("]}", f);
}

int diagnosis_format_json(const Diagnosis *d, char **ret) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return -ENOMEM;
        (void)fprintf(f, "{\n  \"status\": %d,\n  \"checks\": [", diagnosis_status(d));
        for (size_t i = 0; i < d->n_checks; i++) {
                plan_put_json_separator(f, i, d->n_checks);
                put_json_check(f, &d->checks[i]);
        }
        plan_put_json_separator(f, d->n_checks, d->n_checks);
        (void)fputs("\n}\n", f);
        if (fclose(f) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(text);
        return 0;
}
