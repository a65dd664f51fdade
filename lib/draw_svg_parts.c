/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Below the nodes of the SVG picture: guests that are nowhere in particular, distances, the legend. */

#include "draw_svg.h"

#include "draw_pen.h"
#include "parse.h"

#define MARGIN 28U
#define CHIP_HEIGHT 24U
#define CHIP_GAP 8U
#define CHIPS_MAX 24U
#define MATRIX_NODES_MAX 32U

/* ---- guests anywhere ------------------------------------------------------- */

static size_t count_anywhere(const Svg *s) {
        size_t n = 0;

        for (size_t i = 0; i < s->d->n_guests; i++)
                n += s->d->guests[i].place == DRAW_ANYWHERE;
        return n;
}

static unsigned put_chip(const Svg *s, unsigned x, unsigned y, size_t guest, bool draw) {
        const DrawGuest *g = &s->d->guests[guest];
        char size[FORMAT_BYTES_MAX] = "-", cut[SVG_TEXT_MAX], text[SVG_TEXT_MAX + 64];
        unsigned w;

        if (g->memory_bytes != UNKNOWN_U64)
                (void)format_bytes_short(g->memory_bytes, size);
        (void)snprintf(text, sizeof(text), "%s, %u vCPU%s, %s", svg_cut(s, g->name, 28, cut), g->vcpus,
                       g->vcpus == 1 ? "" : "s", size);
        w = 34 + (unsigned)(pen_columns(text) * 66 / 10);
        if (!draw)
                return w;
        svg_rect(s, x, y, w, CHIP_HEIGHT, 6, SVG_PANEL, "stroke=\"" SVG_LINE "\"");
        svg_rect(s, x + 8, y + 6, 12, 12, 3, svg_guest_color(s, guest), "");
        svg_text(s, x + 26, y + 16, 12, SVG_START, SVG_INK, text);
        return w;
}

unsigned svg_anywhere(const Svg *s, unsigned y, bool draw) {
        size_t n = count_anywhere(s), shown = 0;
        unsigned x = MARGIN, top = 24;
        char text[64];

        if (n == 0)
                return 0;
        if (draw)
                svg_text(s, MARGIN, y + 12, 13, SVG_START, SVG_INK,
                         s->d->n_nodes > 1 ? "Guests that may run on any node" : "Guests");
        for (size_t i = 0; i < s->d->n_guests && shown < CHIPS_MAX; i++) {
                unsigned w;

                if (s->d->guests[i].place != DRAW_ANYWHERE)
                        continue;
                w = put_chip(s, x, y + top, i, false);
                if (x > MARGIN && x + w > s->width - MARGIN) {
                        x = MARGIN;
                        top += CHIP_HEIGHT + CHIP_GAP;
                }
                if (draw)
                        (void)put_chip(s, x, y + top, i, true);
                x += w + CHIP_GAP;
                shown++;
        }
        (void)snprintf(text, sizeof(text), "and %zu more", n - shown);
        if (draw && shown < n)
                svg_text(s, MARGIN, y + top + CHIP_HEIGHT + 18, 12, SVG_START, SVG_FAINT, text);
        return top + CHIP_HEIGHT + (shown < n ? 26 : 0) + 16;
}

/* ---- distances ------------------------------------------------------------- */

static const char *distance_color(const Svg *s, unsigned v) {
        static const char *const ramp[] = { "#dcebee", "#c7dbe6", "#adc6dc", "#93b0d0" };
        unsigned span = s->d->far - s->d->near;

        if (v <= s->d->local)
                return "#f1f4f6";
        return ramp[span == 0 ? 0 : MIN((v - s->d->near) * 4 / (span + 1), 3U)];
}

static void put_number(const Svg *s, unsigned x, unsigned y, unsigned v, const char *color) {
        char text[16];

        (void)snprintf(text, sizeof(text), "%u", v);
        svg_text(s, x, y, 11, SVG_MIDDLE, color, text);
}

static void put_matrix(const Svg *s, unsigned y, unsigned w, unsigned h) {
        const Drawing *d = s->d;

        for (size_t j = 0; j < d->n_nodes; j++)
                put_number(s, MARGIN + (unsigned)(j + 1) * w + w / 2, y + 15, d->nodes[j].id, SVG_FAINT);
        for (size_t i = 0; i < d->n_nodes; i++) {
                unsigned top = y + (unsigned)(i + 1) * h;

                put_number(s, MARGIN + w / 2, top + 15, d->nodes[i].id, SVG_FAINT);
                for (size_t j = 0; j < d->n_nodes; j++) {
                        unsigned v = topology_distance(d->topology, i, j), x = MARGIN + (unsigned)(j + 1) * w;

                        svg_rect(s, x, top, w - 2, h - 2, 3, distance_color(s, v), "");
                        put_number(s, x + w / 2 - 1, top + 15, v, SVG_INK);
                }
        }
}

unsigned svg_distances(const Svg *s, unsigned y, bool draw) {
        const Drawing *d = s->d;
        char text[96];

        if (d->n_nodes < 2)
                return 0;
        if (d->uniform || d->n_nodes > MATRIX_NODES_MAX) {
                (void)snprintf(text, sizeof(text), d->uniform ? "Distance %u within a node, %u between nodes"
                                                              : "Distance %u within a node, %u to %u between nodes",
                               d->local, d->near, d->far);
                if (draw)
                        svg_text(s, MARGIN, y + 12, 13, SVG_START, SVG_INK, text);
                return 30;
        }
        if (draw) {
                svg_text(s, MARGIN, y + 12, 13, SVG_START, SVG_INK, "Distances between nodes");
                put_matrix(s, y + 18, 36, 24);
        }
        return 18 + 24 * (unsigned)(d->n_nodes + 1) + 16;
}

/* ---- legend ---------------------------------------------------------------- */

typedef struct Legend {
        const Svg *s;
        unsigned x, y, top;
        bool draw;
} Legend;

static void put_key(Legend *l, const char *fill, const char *extra, const char *text) {
        unsigned w = 22 + (unsigned)(pen_columns(text) * 66 / 10) + 16;

        if (l->x > MARGIN && l->x + w > l->s->width - MARGIN) {
                l->x = MARGIN;
                l->top += 22;
        }
        if (l->draw) {
                svg_rect(l->s, l->x, l->y + l->top, 14, 14, 3, fill, extra);
                svg_text(l->s, l->x + 21, l->y + l->top + 11, 12, SVG_START, SVG_FAINT, text);
        }
        l->x += w;
}

static bool any_mark(const Svg *s, char mark) {
        for (size_t i = 0; i < s->d->n_cpus; i++)
                if (drawing_mark(s->d, &s->d->cpus[i]) == mark)
                        return true;
        return false;
}

static bool any_owned(const Svg *s) {
        for (size_t i = 0; i < s->d->n_cpus; i++)
                if (s->d->cpus[i].owner != DRAW_NOBODY)
                        return true;
        return false;
}

unsigned svg_legend(const Svg *s, unsigned y, bool draw) {
        static const struct {
                uint32_t permyriad;
                const char *text;
        } loads[] = { { 500, "CPU below 20 % busy" }, { 3000, "to 40 %" },  { 4500, "to 50 %" },
                      { 6000, "to 70 %" },            { 8000, "to 90 %" }, { 9500, "above" } };
        static const char line[] = "stroke=\"" SVG_LINE "\"";
        Legend l = { s, MARGIN, y, 0, draw };

        for (size_t i = 0; i < ELEMENTSOF(loads); i++)
                put_key(&l, svg_load_color(loads[i].permyriad), line, loads[i].text);
        if (s->d->n_guests > s->n_colored)
                put_key(&l, svg_guest_color(s, DRAW_NOBODY), "", "other guests");
        put_key(&l, SVG_OTHER, "", "other memory");
        put_key(&l, SVG_FREE, line, "free");
        if (any_owned(s))
                put_key(&l, SVG_PANEL, "stroke=\"#3f6fa8\" stroke-width=\"2\"", "CPU of one guest, in its colour");
        if (any_mark(s, '+'))
                put_key(&l, SVG_PANEL, "stroke=\"" SVG_WARN "\" stroke-width=\"2\"",
                        "several guests pinned to one CPU");
        if (any_mark(s, 'r'))
                put_key(&l, "url(#reserved)", line, "reserved");
        if (any_mark(s, 'i'))
                put_key(&l, SVG_PANEL, "stroke=\"" SVG_FAINT "\" stroke-dasharray=\"3 2\"", "isolated");
        return l.top + 22;
}
