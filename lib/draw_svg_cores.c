/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A node's CPUs as cells: the hardware threads of a core touch, the cores of a
 * last-level cache have a frame around them where the node has several caches.
 * The cells are as large as a fixed height allows, and show their numbers when
 * these are readable.
 */

#include "draw_svg.h"

#include <math.h>

#define HEIGHT_MAX 130U
#define CORE_GAP 5U
#define FRAME 5U
#define NUMBER_CELL_MIN 19U
#define LETTER_CELL_MIN 26U

static size_t same_until(const Svg *s, const DrawNode *n, size_t from, bool llc) {
        const DrawCpu *cpus = s->d->cpus;
        size_t end = n->first_cpu + n->n_cpus, i = from + 1;

        while (i < end && (llc ? cpus[i].llc == cpus[from].llc : cpus[i].core == cpus[from].core))
                i++;
        return i;
}

static const char *outline(const Svg *s, const DrawCpu *cpu, char *buf, size_t size) {
        if (cpu->owner < s->d->n_guests)
                (void)snprintf(buf, size, "stroke=\"%s\" stroke-width=\"2\"", svg_guest_color(s, cpu->owner));
        else if (cpu->owner == DRAW_SEVERAL)
                (void)snprintf(buf, size, "stroke=\"%s\" stroke-width=\"2\"", SVG_WARN);
        else if (cpu->isolated)
                (void)snprintf(buf, size, "stroke=\"%s\" stroke-dasharray=\"3 2\"", SVG_FAINT);
        else
                (void)snprintf(buf, size, "stroke=\"%s\"", SVG_LINE);
        return buf;
}

static void put_tooltip(const Svg *s, const DrawCpu *cpu) {
        (void)fprintf(s->f, "<title>CPU %u, core %u, cache %u", cpu->id, cpu->core, cpu->llc);
        if (cpu->busy_permyriad != UNKNOWN_PERMYRIAD)
                (void)fprintf(s->f, ": %u %% busy", draw_percent(cpu->busy_permyriad));
        if (cpu->owner < s->d->n_guests) {
                (void)fputs(", ", s->f);
                svg_escape(s->f, s->d->guests[cpu->owner].name);
        }
        (void)fprintf(s->f, "%s%s</title>\n", cpu->reserved ? ", reserved" : "", cpu->isolated ? ", isolated" : "");
}

static void put_cell(const Svg *s, const DrawCpu *cpu, unsigned x, unsigned y, unsigned side) {
        char text[16], style[96], mark[2] = { drawing_mark(s->d, cpu), 0 };
        bool letter = cpu->owner != DRAW_NOBODY && side >= LETTER_CELL_MIN;

        (void)fputs("<g>", s->f);
        put_tooltip(s, cpu);
        svg_rect(s, x, y, side, side, side >= 10 ? 3 : 1, svg_load_color(cpu->busy_permyriad),
                 outline(s, cpu, style, sizeof(style)));
        if (cpu->reserved)
                svg_rect(s, x, y, side, side, side >= 10 ? 3 : 1, "url(#reserved)", "");
        if (side >= NUMBER_CELL_MIN) {
                (void)snprintf(text, sizeof(text), "%u", cpu->id);
                svg_text(s, x + side / 2, y + side / 2 + (letter ? 0 : 4), cpu->id > 99 ? 9 : 11, SVG_MIDDLE, SVG_INK,
                         text);
        }
        if (letter)
                svg_text(s, x + side / 2, y + side - 4, 10, SVG_MIDDLE, SVG_INK, mark);
        (void)fputs("</g>\n", s->f);
}

typedef struct Grid {
        unsigned side;          /* of a cell */
        unsigned threads;       /* of a core, at most */
        bool frames;
} Grid;

static unsigned core_width(const Grid *g) {
        return g->threads * g->side + CORE_GAP;
}

static unsigned core_gap(const Grid *g) {
        return g->side >= 10 ? CORE_GAP : 3;
}

static size_t count_cores(const Svg *s, const DrawNode *n, size_t from, size_t to) {
        size_t cores = 0;

        for (size_t i = from; i < to; i = same_until(s, n, i, false))
                cores++;
        return cores;
}

/* One row up to four cores; more stand in a block about twice as wide as high. Without frames, as wide as it gets. */
static size_t cores_a_row(const Grid *g, size_t cores, unsigned w) {
        size_t fit = MAX((w - 2 * (g->frames ? FRAME : 0) + core_gap(g)) / core_width(g), 1U);
        size_t wanted = cores <= 4 ? cores : (size_t)ceil(sqrt(2.0 * (double)cores));

        return MIN(fit, g->frames ? wanted : cores);
}

static void put_group(const Svg *s, const DrawNode *n, const Grid *g, size_t from, size_t to, size_t a_row,
                      unsigned x, unsigned y) {
        size_t k = 0;

        for (size_t i = from; i < to; k++) {
                size_t end = same_until(s, n, i, false);
                unsigned cx = x + (unsigned)(k % a_row) * core_width(g);
                unsigned cy = y + (unsigned)(k / a_row) * (g->side + core_gap(g));

                for (; i < end; i++, cx += g->side)
                        put_cell(s, &s->d->cpus[i], cx, cy, g->side);
        }
}

/* The groups one after the other, in lines. Returns the height. */
static unsigned flow(const Svg *s, const DrawNode *n, const Grid *g, unsigned x, unsigned y, unsigned w, bool draw) {
        unsigned frame = g->frames ? FRAME : 0, column = 0, top = 0, line = 0;
        size_t end = n->first_cpu + n->n_cpus, to;

        for (size_t i = n->first_cpu; i < end; i = to) {
                size_t cores, a_row, rows;
                unsigned width, height;

                to = g->frames ? same_until(s, n, i, true) : end;
                cores = count_cores(s, n, i, to);
                a_row = cores_a_row(g, cores, w);
                rows = (cores + a_row - 1) / a_row;
                width = (unsigned)a_row * core_width(g) - CORE_GAP + 2 * frame;
                height = (unsigned)rows * (g->side + core_gap(g)) - core_gap(g) + 2 * frame;
                if (column > 0 && column + width > w) {
                        top += line + 6;
                        column = line = 0;
                }
                if (draw && g->frames)
                        svg_rect(s, x + column, y + top, width, height, 5, "#fafbfc", "stroke=\"" SVG_LINE "\"");
                if (draw)
                        put_group(s, n, g, i, to, a_row, x + column + frame, y + top + frame);
                column += width + 6;
                line = MAX(line, height);
        }
        return top + line;
}

unsigned svg_cores(const Svg *s, const DrawNode *n, unsigned x, unsigned y, unsigned w, bool draw) {
        static const unsigned sides[] = { 32, 28, 24, 20, 16, 13, 10, 8, 6, 4, 3 };
        Grid g = { .side = sides[0], .threads = 1, .frames = n->n_llcs > 1 };

        for (size_t i = n->first_cpu; i < n->first_cpu + n->n_cpus;) {
                size_t end = same_until(s, n, i, false);

                g.threads = MAX(g.threads, (unsigned)(end - i));
                i = end;
        }
        for (size_t i = 0; i < ELEMENTSOF(sides); i++) {
                g.side = sides[i];
                if (core_width(&g) <= w && flow(s, n, &g, x, y, w, false) <= HEIGHT_MAX)
                        break;
        }
        return flow(s, n, &g, x, y, w, draw);
}
