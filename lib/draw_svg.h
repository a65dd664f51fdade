/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between the parts of the SVG picture. All lengths are pixels. */

#include "draw_internal.h"

#define SVG_TEXT_MAX 256

#define SVG_INK "#22313a"
#define SVG_FAINT "#66747f"
#define SVG_LINE "#d5dbe1"
#define SVG_PANEL "#ffffff"
#define SVG_OTHER "#d0d4d8"
#define SVG_FREE "#eef1f4"
#define SVG_WARN "#b4552d"

/* Guests beyond these share one colour. */
#define SVG_COLORS_MAX 8U

typedef struct Svg {
        FILE *f;
        const Drawing *d;
        size_t colored[SVG_COLORS_MAX]; /* guests with a colour of their own */
        size_t n_colored;
        unsigned columns, panel_width, width;
        bool *incomplete;               /* set where something is not drawn for want of memory */
} Svg;

typedef enum SvgAnchor { SVG_START, SVG_MIDDLE, SVG_END } SvgAnchor;

/* "" or a colour as @fill; @extra: more attributes, or "". */
void svg_rect(const Svg *s, unsigned x, unsigned y, unsigned w, unsigned h, unsigned radius, const char *fill,
              const char *extra);
void svg_text(const Svg *s, unsigned x, unsigned y, unsigned size, SvgAnchor anchor, const char *fill,
              const char *text);
void svg_bold(const Svg *s, unsigned x, unsigned y, unsigned size, const char *text);
/* Text where only text may stand: no markup, nothing that XML 1.0 forbids. */
void svg_escape(FILE *f, const char *text);
/* At most @columns of @text, cut with an ellipsis. Returns @buf. */
const char *svg_cut(const Svg *s, const char *text, size_t columns, char buf[static SVG_TEXT_MAX]);

const char *svg_load_color(uint32_t permyriad);
const char *svg_guest_color(const Svg *s, size_t guest);
void svg_give_colors(Svg *s);

/* A line of text with what is named left and what is measured right, and a bar below; returns its height. */
unsigned svg_load(const Svg *s, unsigned x, unsigned y, unsigned w, uint32_t busy, const char *what);
/* @node NULL: the whole host. */
unsigned svg_memory(const Svg *s, unsigned x, unsigned y, unsigned w, const DrawNode *node);

/* The panel of a node. Returns its height; with @draw false only that. */
unsigned svg_node(const Svg *s, const DrawNode *n, unsigned x, unsigned y, unsigned height, bool draw);
/* The cells of a node's CPUs. Returns their height; with @draw false only that. */
unsigned svg_cores(const Svg *s, const DrawNode *n, unsigned x, unsigned y, unsigned w, bool draw);
/* Below the nodes, from @y on: return their height, 0 when there is nothing to draw. */
unsigned svg_anywhere(const Svg *s, unsigned y, bool draw);
unsigned svg_distances(const Svg *s, unsigned y, bool draw);
unsigned svg_legend(const Svg *s, unsigned y, bool draw);
