/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A picture of the host: packages, NUMA nodes with their distances, last-level
 * caches, cores and their hardware threads; load and memory as bars; and which
 * guest is where. For a terminal, or as an SVG file. Pure: the same snapshot
 * gives the same bytes.
 *
 * What grows with the host is summed up: CPUs become one character each, then
 * cores, then caches; of long lists of guests the largest are named. So the
 * picture of a machine with 1,024 CPUs is about as long as it has nodes.
 */

#include "base.h"
#include "config.h"
#include "snapshot.h"
#include "state.h"

typedef struct DrawOptions {
        unsigned width;         /* columns; fewer than 80 are taken for 80 */
        bool unicode;           /* blocks and lines; otherwise ASCII but for the names of guests */
        bool color;             /* ANSI escape sequences */
        bool all;               /* name every guest */
} DrawOptions;

/*
 * @state (dedicated CPUs are known from it) and @config (reserved CPUs) may be
 * NULL. Return 0, -ENODATA (@s has no topology) or -ENOMEM.
 */
int draw_topology_text(const Snapshot *s, const State *state, const Config *config, const DrawOptions *o,
                       char **ret);
int draw_topology_svg(const Snapshot *s, const State *state, const Config *config, char **ret);
/* What is drawn, as JSON; kvmtuned(8) lists the members. */
int draw_topology_json(const Snapshot *s, const State *state, const Config *config, char **ret);
