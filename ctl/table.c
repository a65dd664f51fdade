/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../lib/plan_text.h"
#include "ctl.h"

struct Table {
        const TableColumn *columns;
        size_t n_columns;
        char **cells;                   /* row by row */
        size_t n_rows, capacity;
        size_t *widths;
};

Table *table_new(const TableColumn *columns, size_t n) {
        Table *t = calloc(1, sizeof(*t));

        if (!t)
                return NULL;
        t->columns = columns;
        t->n_columns = n;
        t->widths = calloc(n, sizeof(*t->widths));
        if (!t->widths)
                return table_free(t);
        for (size_t i = 0; i < n; i++)
                t->widths[i] = strlen(columns[i].title);
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
                r = strdup_to(&row[i], cells[i] && cells[i][0] ? cells[i] : "-");
                if (r < 0)
                        return r;
                t->widths[i] = MAX(t->widths[i], plan_text_width(row[i]));
        }
        return 0;
}

/* The columns whose number in @spare is smaller than @limit. */
static size_t width_of(const Table *t, unsigned limit) {
        size_t width = 0;

        for (size_t i = 0; i < t->n_columns; i++)
                if (t->columns[i].spare < limit)
                        width += t->widths[i] + (width > 0 ? 2 : 0);
        return width;
}

/* Those with this number in @spare, or a larger one, are left out. */
static unsigned limit_for(const Table *t, unsigned width) {
        unsigned limit = 0;

        for (size_t i = 0; i < t->n_columns; i++)
                limit = MAX(limit, t->columns[i].spare + 1);
        while (width > 0 && limit > 1 && width_of(t, limit) > width)
                limit--;
        return limit;
}

static void put_cell(FILE *f, const Table *t, size_t i, const char *text, bool first) {
        size_t pad = u64_sub(t->widths[i], plan_text_width(text));
        bool right = t->columns[i].right, last = i + 1 == t->n_columns;

        (void)fprintf(f, "%s%*s%s%*s", first ? "" : "  ", right ? (int)pad : 0, "", text,
                      right || last ? 0 : (int)pad, "");
}

/* @cells: NULL for the titles. */
static void put_row(FILE *f, const Table *t, char *const *cells, unsigned limit, const char *indent) {
        bool first = true;

        (void)fputs(indent, f);
        for (size_t i = 0; i < t->n_columns; i++) {
                if (t->columns[i].spare >= limit)
                        continue;
                put_cell(f, t, i, cells ? cells[i] : t->columns[i].title, first);
                first = false;
        }
        (void)fputc('\n', f);
}

static void put_left_out(FILE *f, const Table *t, unsigned limit, const char *indent) {
        size_t n = 0;

        for (size_t i = 0; i < t->n_columns; i++)
                n += t->columns[i].spare >= limit;
        if (n > 0)
                (void)fprintf(f, "%s%zu more column%s with --all\n", indent, n, n == 1 ? "" : "s");
}

void table_print(FILE *f, const Table *t, bool colour, unsigned width, const char *indent) {
        unsigned limit = limit_for(t, width > 0 ? (unsigned)u64_sub(width, strlen(indent)) : 0);

        (void)fputs(colour ? CTL_BOLD : "", f);
        put_row(f, t, NULL, limit, indent);
        (void)fputs(colour ? CTL_PLAIN : "", f);
        for (size_t i = 0; i < t->n_rows; i++)
                put_row(f, t, t->cells + i * t->n_columns, limit, indent);
        (void)fputs(colour ? CTL_DIM : "", f);
        put_left_out(f, t, limit, indent);
        (void)fputs(colour ? CTL_PLAIN : "", f);
}
