/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The guests in the picture for a terminal. Where there are too many, the
 * largest are named and the others are summed up.
 */

#include "draw_text.h"

#include "parse.h"

#define ROWS_MAX 32U
#define NAME_WIDTH_MAX 20U
#define WHERE_WIDTH_MAX 24U
#define NODE_LINES_MAX 2U
/* From this share of its memory on, a guest's remote memory is shown in colour. */
#define REMOTE_PERMYRIAD 1000U

static uint64_t size_of(const DrawGuest *g) {
        return g->memory_bytes == UNKNOWN_U64 ? 0 : g->memory_bytes;
}

static int compare_sizes(const void *a, const void *b, void *userdata) {
        size_t i = *(const size_t *)a, k = *(const size_t *)b;
        const Drawing *d = userdata;
        uint64_t x = size_of(&d->guests[i]), y = size_of(&d->guests[k]);

        if (x != y)
                return x > y ? -1 : 1;
        return (i > k) - (i < k);
}

static int compare_indices(const void *a, const void *b) {
        size_t x = *(const size_t *)a, y = *(const size_t *)b;

        return (x > y) - (x < y);
}

/* The guests of @node (NULL: all), the largest first. -ENOMEM. */
static int largest_first(const Drawing *d, const DrawNode *node, size_t **ret, size_t *ret_n) {
        size_t *order = calloc(d->n_guests + 1, sizeof(*order)), n = 0;

        if (!order)
                return -ENOMEM;
        for (size_t i = 0; i < d->n_guests; i++)
                if (!node || drawing_is_on_node(&d->guests[i], node->id))
                        order[n++] = i;
        qsort_r(order, n, sizeof(*order), compare_sizes, (void *)d);
        *ret = order;
        *ret_n = n;
        return 0;
}

/* ---- of a node ------------------------------------------------------------- */

#define INDENT 10U
/* ", and 1234 more" */
#define MORE_WIDTH 16U

static size_t entry_width(const DrawGuest *g) {
        return MIN(pen_columns(g->name), (size_t)NAME_WIDTH_MAX) + (g->mark ? 2 : 0);
}

static void put_entry(const DrawText *t, const DrawGuest *g) {
        size_t width = MIN(pen_columns(g->name), (size_t)NAME_WIDTH_MAX);

        if (g->mark) {
                pen_text(&t->pen, PEN_MARK, (char[]){ g->mark, 0 });
                (void)fputc(' ', t->pen.f);
        }
        pen_padded(&t->pen, PEN_PLAIN, g->name, width);
}

void draw_text_node_guests(const DrawText *t, const DrawNode *n) {
        _cleanup_free_ size_t *order = NULL;
        size_t n_guests, column = INDENT, lines = 1;

        if (largest_first(t->d, n, &order, &n_guests) < 0)
                *t->incomplete = true;
        if (!order || n_guests == 0)
                return;
        (void)fprintf(t->pen.f, "  %-8s", "guests");
        for (size_t i = 0; i < n_guests; i++) {
                const DrawGuest *g = &t->d->guests[order[i]];
                bool last_line = lines == NODE_LINES_MAX && !t->d->guests[order[i]].mark;
                size_t room = t->pen.width - (i + 1 < n_guests ? 1 : 0) - (last_line ? MORE_WIDTH : 0);

                if (column + entry_width(g) + 2 > room && i > 0) {
                        if (last_line && !t->pen.o->all) {
                                (void)fprintf(t->pen.f, ", and %zu more", n_guests - i);
                                break;
                        }
                        (void)fprintf(t->pen.f, ",\n%*s", (int)INDENT, "");
                        column = INDENT;
                        lines++;
                } else if (i > 0) {
                        (void)fputs(", ", t->pen.f);
                        column += 2;
                }
                put_entry(t, g);
                column += entry_width(g);
        }
        (void)fputc('\n', t->pen.f);
}

/* ---- the table ------------------------------------------------------------- */

typedef struct Widths {
        size_t name, where;
} Widths;

/* "node 0", "0: 92 %, 1: 8 %", "not known". -ENOMEM. */
static int memory_text(const DrawGuest *g, char **ret) {
        _cleanup_free_ char *text = NULL;
        const Guest *guest = g->guest;
        int r;

        if (g->placed_bytes == 0)
                return strprintf_to(ret, "-");
        for (size_t i = 0; i < guest->n_node_memory; i++) {
                const GuestNodeMemory *m = &guest->node_memory[i];
                uint64_t share = u64_muldiv(m->bytes, PERMYRIAD_FULL, g->placed_bytes);

                if (m->bytes == g->placed_bytes)
                        return strprintf_to(ret, "node %u", m->node);
                if (draw_percent(share) == 0)
                        continue;
                r = strprintf_to(&text, "%s%s%u: %u %%", text ? text : "", text ? ", " : "", m->node,
                                 draw_percent(share));
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(text);
        return *ret ? 0 : strprintf_to(ret, "-");
}

static int where_text(const DrawGuest *g, char **ret) {
        if (g->guest->state != GUEST_RUNNING)
                return strprintf_to(ret, "%s", guest_state_to_string(g->guest->state));
        return drawing_where(g, ret);
}

static bool is_remote(const DrawGuest *g) {
        return g->place != DRAW_ANYWHERE && u64_muldiv(u64_sub(g->placed_bytes, g->local_bytes), PERMYRIAD_FULL,
                                                       g->placed_bytes) >= REMOTE_PERMYRIAD;
}

static int put_row(const DrawText *t, const DrawGuest *g, const Widths *w) {
        _cleanup_free_ char *where = NULL, *memory = NULL;
        char size[FORMAT_BYTES_MAX] = "-", busy[24] = "-", mark[2] = " ";
        size_t used = 2 + w->name + 7 + 8 + 11 + 2 + w->where + 2;
        int r;

        r = where_text(g, &where);
        if (r < 0)
                return r;
        r = memory_text(g, &memory);
        if (r < 0)
                return r;
        if (g->memory_bytes != UNKNOWN_U64)
                (void)format_bytes_short(g->memory_bytes, size);
        if (g->busy_permyriad != UNKNOWN_U64)
                (void)snprintf(busy, sizeof(busy), "%u %%", draw_percent(g->busy_permyriad));
        if (g->mark)
                mark[0] = g->mark;
        pen_text(&t->pen, PEN_MARK, mark);
        (void)fputc(' ', t->pen.f);
        pen_padded(&t->pen, PEN_PLAIN, g->name, w->name);
        (void)fprintf(t->pen.f, "%7u%8s%11s  ", g->vcpus, busy, size);
        pen_padded(&t->pen, g->place == DRAW_ANYWHERE ? PEN_DIM : PEN_PLAIN, where, w->where);
        (void)fputs("  ", t->pen.f);
        /* No blanks at the end of a line. */
        pen_padded(&t->pen, is_remote(g) ? PEN_BUSY : PEN_PLAIN, memory,
                   MIN(pen_columns(memory), (size_t)u64_sub(t->pen.width, used)));
        (void)fputc('\n', t->pen.f);
        return 0;
}

static int measure(const DrawText *t, const size_t *rows, size_t n, Widths *ret) {
        *ret = (Widths){ .name = strlen("guest"), .where = strlen("runs on") };
        for (size_t i = 0; i < n; i++) {
                const DrawGuest *g = &t->d->guests[rows[i]];
                _cleanup_free_ char *where = NULL;
                int r;

                r = where_text(g, &where);
                if (r < 0)
                        return r;
                ret->name = MAX(ret->name, pen_columns(g->name));
                ret->where = MAX(ret->where, pen_columns(where));
        }
        ret->name = MIN(ret->name, (size_t)NAME_WIDTH_MAX);
        ret->where = MIN(ret->where, (size_t)WHERE_WIDTH_MAX);
        return 0;
}

static void put_others(const DrawText *t, const size_t *order, size_t n) {
        uint64_t bytes = 0, vcpus = 0;
        char size[FORMAT_BYTES_MAX];

        for (size_t i = 0; i < n; i++) {
                bytes = u64_add(bytes, size_of(&t->d->guests[order[i]]));
                vcpus += t->d->guests[order[i]].vcpus;
        }
        (void)fprintf(t->pen.f, "  and %zu smaller ones with ", n);
        draw_count(t->pen.f, vcpus, "vCPU");
        (void)fprintf(t->pen.f, " and %s\n", format_bytes_short(bytes, size));
}

void draw_text_guests(const DrawText *t) {
        _cleanup_free_ size_t *order = NULL;
        size_t n, shown;
        Widths w;

        if (t->d->n_guests == 0)
                return;
        if (largest_first(t->d, NULL, &order, &n) < 0) {
                *t->incomplete = true;
                return;
        }
        shown = t->pen.o->all || n <= ROWS_MAX ? n : ROWS_MAX - 1;
        qsort(order, shown, sizeof(*order), compare_indices);
        if (measure(t, order, shown, &w) < 0) {
                *t->incomplete = true;
                return;
        }
        (void)fputc('\n', t->pen.f);
        pen_color(&t->pen, PEN_BOLD);
        (void)fprintf(t->pen.f, "  %-*s%7s%8s%11s  %-*s  memory on", (int)w.name, "guest", "vCPUs", "CPU", "memory",
                      (int)w.where, "runs on");
        pen_color(&t->pen, PEN_PLAIN);
        (void)fputc('\n', t->pen.f);
        for (size_t i = 0; i < shown; i++)
                if (put_row(t, &t->d->guests[order[i]], &w) < 0)
                        *t->incomplete = true;
        if (shown < n)
                put_others(t, order + shown, n - shown);
}
