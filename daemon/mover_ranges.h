/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Which parts of a process's address space are worth moving, from the text of
 * its maps and numa_maps; and which node is filled before which.
 */

#include "../lib/base.h"
#include "../lib/idset.h"

typedef struct MoverRange {
        uint64_t from, to;              /* addresses, page aligned */
        uint64_t page_bytes;
        uint64_t n_pages;               /* present, on any node */
        bool huge;                      /* hugetlbfs: comes from the node's pool, not from its free memory */
        bool shared;                    /* the guest's own, which the processes of its devices may map, too */
        IdSet targets;                  /* those of the wanted nodes that the mapping's own policy allows */
} MoverRange;

/*
 * Ranges of anonymous, shared and huge page memory with pages on a node outside
 * @targets, in order of address. Left out: private mappings of files and
 * executables, the kernel's own pages, and mappings bound (MPOL_BIND) to nodes
 * that are none of the targets. Returns 0, -EBADMSG or -ENOMEM; frees with free().
 */
int mover_ranges_parse(const char *maps, const char *numa_maps, const IdSet *targets, MoverRange **ret,
                       size_t *ret_n);

/* A node to which pages may go, with room for them. */
typedef struct MoverTarget {
        int node;
        bool last;                      /* has to wait until the others have no room */
        uint64_t free_bytes;
} MoverTarget;

/* Whether @a is filled before @b. */
bool mover_target_before(const MoverTarget *a, const MoverTarget *b);
