/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Text in colours, bars and cut-off names, with or without Unicode. */

#include <stdio.h>

#include "draw_topology.h"

typedef enum PenColor {
        PEN_PLAIN,
        PEN_BOLD,
        PEN_DIM,
        PEN_CALM,               /* load, in three steps */
        PEN_BUSY,
        PEN_HOT,
        PEN_GUEST,
        PEN_OTHER,
        PEN_MARK,
        _PEN_COLOR_MAX,
} PenColor;

typedef struct Pen {
        FILE *f;
        const DrawOptions *o;
        unsigned width;
} Pen;

/* From here on; PEN_PLAIN ends it. */
void pen_color(const Pen *p, PenColor c);
void pen_text(const Pen *p, PenColor c, const char *text);
/* Columns that clean UTF-8 takes: none for combining characters, two for wide ones (CJK, emoji). */
size_t pen_columns(const char *text);
/* Clean UTF-8 in exactly @width columns: filled up, or cut with an ellipsis. */
void pen_padded(const Pen *p, PenColor c, const char *text, size_t width);
void pen_rule(const Pen *p, size_t width);

PenColor pen_load_color(uint32_t permyriad);
/* One column for a load, '?' when it is not known. */
void pen_load(const Pen *p, uint32_t permyriad);
/* @width columns for a load of 0 to 100 %. */
void pen_load_bar(const Pen *p, uint32_t permyriad, unsigned width);
/* @width columns for @guests and @other of @total bytes, the rest free. */
void pen_memory_bar(const Pen *p, uint64_t guests, uint64_t other, uint64_t total, unsigned width);
