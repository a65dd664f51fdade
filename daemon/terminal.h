/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What standard output can show. */

#include "../lib/draw_topology.h"

/*
 * Its width (of a terminal, or $COLUMNS), whether the locale is UTF-8, and
 * whether colours are welcome: on a terminal, unless $NO_COLOR is set and not
 * empty (no-color.org) or $TERM is "dumb". Call before threads are started.
 */
void terminal_look(DrawOptions *o);
