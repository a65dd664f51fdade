/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between the parts of the picture for a terminal. */

#include "draw_internal.h"
#include "draw_pen.h"

typedef struct DrawText {
        Pen pen;
        const Drawing *d;
        unsigned bar;           /* columns of a bar */
        unsigned digits;        /* of the highest CPU number */
        bool marked;            /* a CPU has a mark */
        bool unknown;           /* the load of a CPU is not known */
        bool cells;             /* CPUs are cells, not a strip */
        bool *incomplete;       /* set where something is not drawn for want of memory */
} DrawText;

/* Who is on the node, in at most two lines. */
void draw_text_node_guests(const DrawText *t, const DrawNode *n);
/* The table of guests. */
void draw_text_guests(const DrawText *t);
