/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The host for a terminal: a head, a part for each node, the guests, a legend.
 *
 * A node's CPUs are cells with number, load and mark where these need few
 * lines; otherwise one line with a character for each CPU, core or cache,
 * whatever fits first, and the marks below it.
 */

#include "draw_text.h"

#include "parse.h"

#define WIDTH_MIN 80U
/* Lines of a node's cells, and CPUs of a host, up to which cells are drawn. */
#define CELL_LINES_MAX 4U
#define CELL_CPUS_MAX 128U
/* Nodes of a distance matrix at most: what fits into 80 columns. */
#define MATRIX_NODES_MAX 16U

/* ---- head ------------------------------------------------------------------ */

static void put_set(const DrawText *t, const char *what, const IdSet *set) {
        _cleanup_free_ char *list = NULL, *text = NULL;

        if (idset_is_empty(set))
                return;
        if (idset_format(set, &list) < 0 ||
            strprintf_to(&text, "%s CPU%s %s", what, idset_count(set) == 1 ? "" : "s", list) < 0) {
                *t->incomplete = true;
                return;
        }
        pen_padded(&t->pen, PEN_PLAIN, text, MIN(strlen(text), (size_t)t->pen.width));
        (void)fputc('\n', t->pen.f);
}

static void put_head(const DrawText *t) {
        const Drawing *d = t->d;
        FILE *f = t->pen.f;

        pen_color(&t->pen, PEN_BOLD);
        draw_count(f, d->n_packages, "package");
        (void)fputs(", ", f);
        draw_count(f, d->n_nodes, "node");
        (void)fputs(", ", f);
        draw_count(f, d->n_cores, "core");
        (void)fputs(", ", f);
        draw_count(f, d->n_cpus, "CPU");
        (void)fputs("; ", f);
        draw_count(f, d->n_guests, "guest");
        (void)fputs(" with ", f);
        draw_count(f, d->vcpus, "vCPU");
        pen_color(&t->pen, PEN_PLAIN);
        (void)fputc('\n', f);
        put_set(t, "offline", &d->topology->offline);
        put_set(t, "isolated", &d->topology->isolated);
        put_set(t, "reserved", &d->reserved);
}

static void put_label(const DrawText *t, const char *text) {
        (void)fprintf(t->pen.f, "  %-8s", text);
}

static void put_load_line(const DrawText *t, uint32_t busy, uint64_t vcpus_milli, size_t cpus) {
        char load[16] = "  ?";

        if (busy != UNKNOWN_PERMYRIAD)
                (void)snprintf(load, sizeof(load), "%3u %%", draw_percent(busy));
        put_label(t, "CPU");
        pen_load_bar(&t->pen, busy, t->bar);
        (void)fprintf(t->pen.f, " %-5s  ", load);
        if (vcpus_milli % 1000 == 0)
                draw_count(t->pen.f, vcpus_milli / 1000, "vCPU");
        else
                (void)fprintf(t->pen.f, "%.1f vCPUs", (double)vcpus_milli / 1000);
        (void)fputs(" on ", t->pen.f);
        draw_count(t->pen.f, cpus, "CPU");
        (void)fputc('\n', t->pen.f);
}

static void put_memory_line(const DrawText *t, uint64_t guests, uint64_t free_bytes, uint64_t total) {
        char a[FORMAT_BYTES_MAX], b[FORMAT_BYTES_MAX], c[FORMAT_BYTES_MAX];
        uint64_t used = free_bytes == UNKNOWN_U64 ? guests : u64_sub(total, free_bytes);

        put_label(t, "memory");
        pen_memory_bar(&t->pen, MIN(guests, used), u64_sub(used, guests), total, t->bar);
        if (total == 0)
                (void)fputs(" none", t->pen.f);
        else if (free_bytes == UNKNOWN_U64)
                (void)fprintf(t->pen.f, " %s, free not known", format_bytes_short(total, a));
        else
                (void)fprintf(t->pen.f, " %s guests, %s free of %s",
                              guests > 0 ? format_bytes_short(guests, a) : "no", format_bytes_short(free_bytes, b),
                              format_bytes_short(total, c));
        (void)fputc('\n', t->pen.f);
}

static void put_pools(const DrawText *t, const DrawNode *n) {
        for (size_t i = 0; n->memory && i < n->memory->n_pools; i++) {
                const HugePool *pool = &n->memory->pools[i];
                uint64_t used = u64_sub(pool->total_pages, pool->free_pages);
                char size[FORMAT_BYTES_MAX];

                if (pool->total_pages == 0)
                        continue;
                put_label(t, "pages");
                pen_memory_bar(&t->pen, used, 0, pool->total_pages, t->bar);
                (void)fprintf(t->pen.f, " %llu of %llu pages of %s used\n", (unsigned long long)used,
                              (unsigned long long)pool->total_pages, format_bytes_short(pool->page_bytes, size));
        }
}

static void put_whole(const DrawText *t) {
        const Host *host = &t->d->snapshot->host;

        if (t->d->n_nodes < 2)
                return;
        put_load_line(t, host->cpu_busy_permyriad, 1000ULL * t->d->vcpus, t->d->n_cpus);
        put_memory_line(t, t->d->guests_bytes, host->memory.available_bytes, host->memory.total_bytes);
}

/* ---- distances ------------------------------------------------------------- */

static void put_distances(const DrawText *t) {
        const Drawing *d = t->d;
        FILE *f = t->pen.f;

        if (d->n_nodes < 2)
                return;
        if (d->uniform || d->n_nodes > MATRIX_NODES_MAX) {
                (void)fprintf(f, "\ndistance %u within a node, %u", d->local, d->near);
                if (!d->uniform)
                        (void)fprintf(f, " to %u", d->far);
                (void)fputs(" between nodes\n", f);
                return;
        }
        (void)fputs("\n  distance", f);
        for (size_t j = 0; j < d->n_nodes; j++)
                (void)fprintf(f, " %3u", d->nodes[j].id);
        (void)fputc('\n', f);
        for (size_t i = 0; i < d->n_nodes; i++) {
                (void)fprintf(f, "  %8u", d->nodes[i].id);
                for (size_t j = 0; j < d->n_nodes; j++) {
                        unsigned v = topology_distance(d->topology, i, j);

                        pen_color(&t->pen, i == j ? PEN_DIM : v == d->near ? PEN_CALM : PEN_PLAIN);
                        (void)fprintf(f, " %3u", v);
                        pen_color(&t->pen, PEN_PLAIN);
                }
                (void)fputc('\n', f);
        }
}

/* ---- CPUs as cells --------------------------------------------------------- */

static bool begins_core(const DrawNode *n, const DrawCpu *cpus, size_t i) {
        return i == n->first_cpu || cpus[i].core != cpus[i - 1].core;
}

static bool begins_llc(const DrawNode *n, const DrawCpu *cpus, size_t i) {
        return i == n->first_cpu || cpus[i].llc != cpus[i - 1].llc;
}

static size_t threads_of(const DrawNode *n, const DrawCpu *cpus, size_t i) {
        size_t end = n->first_cpu + n->n_cpus, k = i + 1;

        while (k < end && cpus[k].core == cpus[i].core)
                k++;
        return k - i;
}

/* Columns of a core of @threads. */
static size_t core_width(const DrawText *t, size_t threads) {
        return 1 + threads * (t->digits + 1 + t->marked) + (threads - 1) + 2;
}

static void put_core(const DrawText *t, const DrawCpu *cpus, size_t threads) {
        (void)fputs(" [", t->pen.f);
        for (size_t i = 0; i < threads; i++) {
                char mark[2] = { drawing_mark(t->d, &cpus[i]), 0 };

                (void)fprintf(t->pen.f, "%s%*u", i > 0 ? " " : "", (int)t->digits, cpus[i].id);
                pen_load(&t->pen, cpus[i].busy_permyriad);
                if (t->marked)
                        pen_text(&t->pen, PEN_MARK, mark);
        }
        (void)fputc(']', t->pen.f);
}

/* Draws the cells of @n, or, without @draw, counts the lines they would take. */
static size_t cells(const DrawText *t, const DrawNode *n, bool draw) {
        size_t lines = 0, column = 0, end = n->first_cpu + n->n_cpus, threads;
        const DrawCpu *cpus = t->d->cpus;

        for (size_t i = n->first_cpu; i < end; i += threads) {
                bool llc = begins_llc(n, cpus, i);
                char label[24] = "";

                threads = threads_of(n, cpus, i);
                if (llc || column + core_width(t, threads) > t->pen.width) {
                        if (llc)
                                (void)snprintf(label, sizeof(label), n->n_llcs == 1 ? "cores" : "LLC %u",
                                               cpus[i].llc);
                        if (draw && lines > 0)
                                (void)fputc('\n', t->pen.f);
                        if (draw)
                                (void)fprintf(t->pen.f, "  %-7s", label);
                        lines++;
                        column = 9;
                }
                if (draw)
                        put_core(t, cpus + i, threads);
                column += core_width(t, threads);
        }
        if (draw && lines > 0)
                (void)fputc('\n', t->pen.f);
        return lines;
}

/* ---- CPUs as a strip ------------------------------------------------------- */

typedef enum StripUnit { STRIP_CPUS, STRIP_CORES, STRIP_LLCS } StripUnit;

static bool begins_unit(const DrawNode *n, const DrawCpu *cpus, size_t i, StripUnit unit) {
        return unit == STRIP_CPUS || (unit == STRIP_CORES ? begins_core(n, cpus, i) : begins_llc(n, cpus, i));
}

static uint32_t mean_load(const DrawCpu *cpus, size_t n) {
        uint64_t sum = 0, known = 0;

        for (size_t i = 0; i < n; i++)
                if (cpus[i].busy_permyriad != UNKNOWN_PERMYRIAD) {
                        sum += cpus[i].busy_permyriad;
                        known++;
                }
        return known > 0 ? (uint32_t)(sum / known) : UNKNOWN_PERMYRIAD;
}

/* One mark when all have the same, '+' when they differ. */
static char common_mark(const DrawText *t, const DrawCpu *cpus, size_t n) {
        char mark = drawing_mark(t->d, cpus);

        for (size_t i = 1; i < n; i++)
                if (drawing_mark(t->d, &cpus[i]) != mark)
                        return '+';
        return mark;
}

static void put_strip_row(const DrawText *t, const DrawNode *n, StripUnit unit, bool gaps, bool marks) {
        size_t end = n->first_cpu + n->n_cpus, k;
        const DrawCpu *cpus = t->d->cpus;

        for (size_t i = n->first_cpu; i < end; i = k) {
                for (k = i + 1; k < end && !begins_unit(n, cpus, k, unit);)
                        k++;
                if (gaps && i > n->first_cpu && begins_llc(n, cpus, i))
                        (void)fputc(' ', t->pen.f);
                if (marks)
                        pen_text(&t->pen, PEN_MARK, (char[]){ common_mark(t, cpus + i, k - i), 0 });
                else
                        pen_load(&t->pen, mean_load(cpus + i, k - i));
        }
        (void)fputc('\n', t->pen.f);
}

static bool has_marks(const DrawText *t, const DrawNode *n) {
        for (size_t i = n->first_cpu; i < n->first_cpu + n->n_cpus; i++)
                if (drawing_mark(t->d, &t->d->cpus[i]) != ' ')
                        return true;
        return false;
}

static void put_strip(const DrawText *t, const DrawNode *n) {
        static const char *const labels[] = { "CPUs", "cores", "LLCs" };
        size_t counts[] = { n->n_cpus, n->n_cores, n->n_llcs }, room = t->pen.width - 10;
        StripUnit unit = STRIP_CPUS;
        bool gaps;

        while (unit < STRIP_LLCS && counts[unit] > room)
                unit++;
        gaps = unit != STRIP_LLCS && counts[unit] + n->n_llcs - 1 <= room;
        put_label(t, labels[unit]);
        put_strip_row(t, n, unit, gaps, false);
        if (!has_marks(t, n))
                return;
        put_label(t, "");
        put_strip_row(t, n, unit, gaps, true);
}

/* ---- nodes ----------------------------------------------------------------- */

static int node_title(const DrawText *t, const DrawNode *n, char **ret) {
        _cleanup_free_ char *cpus = NULL, *packages = NULL;

        if (idset_format(n->cpu_ids, &cpus) < 0 || idset_format(&n->packages, &packages) < 0)
                return -ENOMEM;
        if (n->n_cpus == 0)
                return strprintf_to(ret, "node %u, no CPUs ", n->id);
        if (t->d->n_packages > 1)
                return strprintf_to(ret, "node %u, package%s %s, CPU%s %s ", n->id,
                                    idset_count(&n->packages) == 1 ? "" : "s", packages, n->n_cpus == 1 ? "" : "s",
                                    cpus);
        return strprintf_to(ret, "node %u, CPU%s %s ", n->id, n->n_cpus == 1 ? "" : "s", cpus);
}

static void put_node_title(const DrawText *t, const DrawNode *n) {
        _cleanup_free_ char *text = NULL;
        size_t width;

        if (node_title(t, n, &text) < 0) {
                *t->incomplete = true;
                return;
        }
        (void)fputc('\n', t->pen.f);
        width = strlen(text);
        if (width > t->pen.width) {
                pen_padded(&t->pen, PEN_BOLD, text, t->pen.width);
        } else {
                pen_text(&t->pen, PEN_BOLD, text);
                pen_rule(&t->pen, t->pen.width - width);
        }
        (void)fputc('\n', t->pen.f);
}

static void put_node(const DrawText *t, const DrawNode *n) {
        put_node_title(t, n);
        if (n->n_cpus > 0)
                put_load_line(t, n->busy_permyriad, n->vcpus_milli, n->n_cpus);
        put_memory_line(t, n->guests_bytes, n->free_bytes, n->total_bytes);
        put_pools(t, n);
        if (n->n_cpus > 0 && t->cells)
                (void)cells(t, n, true);
        else if (n->n_cpus > 0)
                put_strip(t, n);
        draw_text_node_guests(t, n);
}

static bool cells_fit(const DrawText *t) {
        if (t->d->n_cpus > CELL_CPUS_MAX)
                return false;
        for (size_t i = 0; i < t->d->n_nodes; i++)
                if (cells(t, &t->d->nodes[i], false) > CELL_LINES_MAX)
                        return false;
        return true;
}

static void prepare(DrawText *t) {
        const Drawing *d = t->d;
        unsigned highest = 0;

        for (size_t i = 0; i < d->n_cpus; i++) {
                highest = MAX(highest, d->cpus[i].id);
                t->marked = t->marked || drawing_mark(d, &d->cpus[i]) != ' ';
                t->unknown = t->unknown || d->cpus[i].busy_permyriad == UNKNOWN_PERMYRIAD;
        }
        for (t->digits = 1; highest >= 10; highest /= 10)
                t->digits++;
        t->bar = (t->pen.width - 30) / 2;
        t->cells = cells_fit(t);
}

/* ---- legend ---------------------------------------------------------------- */

static void put_legend(const DrawText *t) {
        FILE *f = t->pen.f;

        (void)fputs("\nload of a CPU: ", f);
        pen_load(&t->pen, 0);
        (void)fputs(" idle, ", f);
        pen_load(&t->pen, PERMYRIAD_FULL);
        (void)fputs(" busy; memory: ", f);
        pen_memory_bar(&t->pen, 1, 0, 1, 1);
        (void)fputs(" guests, ", f);
        pen_memory_bar(&t->pen, 0, 1, 1, 1);
        (void)fputs(" other, ", f);
        pen_memory_bar(&t->pen, 0, 0, 1, 1);
        (void)fputs(" free\n", f);
        if (t->unknown)
                (void)fputs("?: the load is not known\n", f);
        if (t->marked)
                (void)fputs("letters: guests on CPUs of their own, + several; r reserved, i isolated\n", f);
}

static void put_all(const DrawText *t) {
        put_head(t);
        put_whole(t);
        put_distances(t);
        for (size_t i = 0; i < t->d->n_nodes; i++)
                put_node(t, &t->d->nodes[i]);
        draw_text_guests(t);
        put_legend(t);
}

int draw_topology_text(const Snapshot *s, const State *state, const Config *config, const DrawOptions *o,
                       char **ret) {
        _cleanup_(drawing_freep) Drawing *d = NULL;
        _cleanup_free_ char *text = NULL;
        bool incomplete = false;
        DrawText t = { .incomplete = &incomplete };
        size_t size;
        int r;

        r = drawing_new(s, state, config, &d);
        if (r < 0)
                return r;
        t.pen.o = o;
        t.pen.width = MAX(o->width, WIDTH_MIN);
        t.pen.f = open_memstream(&text, &size);
        if (!t.pen.f)
                return -ENOMEM;
        t.d = d;
        prepare(&t);
        put_all(&t);
        if (fclose(t.pen.f) != 0 || incomplete)
                return -ENOMEM;
        *ret = TAKE_PTR(text);
        return 0;
}
