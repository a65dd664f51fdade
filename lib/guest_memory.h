/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* On which nodes a guest's memory lies: a part of GuestObserver. */

#include "base.h"
#include "snapshot.h"
#include "sysfs.h"

/* Kept between looks. Zeroed is a valid start. */
typedef struct GuestMemoryObserver {
        int32_t pid;
        bool looked;            /* for the cgroup */
        bool cgroup_found;
        SysfsFile numa_stat;
        SysfsFile numa_maps;
        GuestNodeMemory *sums;
        size_t n_sums, sums_capacity;
} GuestMemoryObserver;

int guest_memory_init(GuestMemoryObserver *o, int32_t pid);
void guest_memory_done(GuestMemoryObserver *o);

/*
 * Fills g->node_memory, sorted by node, nodes without memory left out. What
 * cannot be read (or is not to be understood) leaves it empty: not known.
 * Only -ENOMEM is an error.
 */
int guest_memory_observe(GuestMemoryObserver *o, int root_fd, Guest *g);
