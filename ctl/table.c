/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../lib/plan_text.h"
#include "ctl.h"

struct Table {
        const char *const *titles;
        size_t n_columns;
        char **cells;                   /* row by row */
        size_t n_rows, capacity;
        size_t *widths;
};

Table *table_new(const char *const *titles, size_t n) {
        Table *t = calloc(1, sizeof(*t));

        if (!t)
                return NULL;
        t->titles = titles;
        t->n_columns = n;
        t->widths = calloc(n, sizeof(*t->widths));
        if (!t->widths)
                return table_free(t);
        for (size_t i = 0; i < n; i++)
                t->widths[i] = strlen(titles[i]) - (titles[i][0] == '>');
        return t;
}

Table *table_free(Table *t) {
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n_rows * t->n_columns; i++)
                free(t->cells[i]);
        free(t->cells);
        free(t->widths);
        free(t);
        return NULL;
}

static int make_room(Table *t) {
        size_t capacity = MAX(t->capacity * 2, (size_t)16);
        char **cells;

        if (t->n_rows < t->capacity)
                return 0;
        cells = reallocarray(t->cells, capacity * t->n_columns, sizeof(*cells));
        if (!cells)
                return -ENOMEM;
        t->cells = cells;
        t->capacity = capacity;
        return 0;
}

int table_add(Table *t, const char *const *cells) {
        char **row;
        int r;

        r = make_room(t);
        if (r < 0)
                return r;
        row = t->cells + t->n_rows * t->n_columns;
        for (size_t i = 0; i < t->n_columns; i++)
                row[i] = NULL;
        t->n_rows++;
        for (size_t i = 0; i < t->n_columns; i++) {
                r = plan_clean_text(cells[i] && cells[i][0] ? cells[i] : "-", &row[i]);
                if (r < 0)
                        return r;
                t->widths[i] = MAX(t->widths[i], plan_text_width(row[i]));
        }
        return 0;
}

static void put_row(FILE *f, const Table *t, const char *const *cells, bool title, const char *indent) {
        (void)fputs(indent, f);
        for (size_t i = 0; i < t->n_columns; i++) {
                bool right = t->titles[i][0] == '>', last = i + 1 == t->n_columns;
                const char *text = cells[i] ? cells[i] + (title && right) : "-";
                size_t pad = u64_sub(t->widths[i], plan_text_width(text));

                (void)fprintf(f, "%*s%s%*s%s", right ? (int)pad : 0, "", text, right || last ? 0 : (int)pad, "",
                              last ? "" : "  ");
        }
        (void)fputc('\n', f);
}

void table_print(FILE *f, const Table *t, bool colour, const char *indent) {
        (void)fputs(colour ? CTL_BOLD : "", f);
        put_row(f, t, t->titles, true, indent);
        (void)fputs(colour ? CTL_PLAIN : "", f);
        for (size_t i = 0; i < t->n_rows; i++)
                put_row(f, t, (const char *const *)t->cells + i * t->n_columns, false, indent);
}
