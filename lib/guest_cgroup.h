/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a guest's cgroups say: a part of GuestObserver. */

#include "base.h"
#include "snapshot.h"
#include "sysfs.h"

/* Kept between looks. Zeroed is a valid start. */
typedef struct GuestCgroupObserver {
        SysfsFile cpus, mems;           /* what the guest may use */
        SysfsFile usage;                /* CPU time of the emulator's cgroup */
        SysfsFile pressure;             /* of the guest's own */
        bool v1;
        bool primed;
        uint64_t at_usec;
        uint64_t used_usec;
        uint32_t busy_permyriad;
} GuestCgroupObserver;

/*
 * Looks once where the process @pid is: a guest does not change its cgroups.
 * What is not there is not an error. -ENOMEM.
 */
int guest_cgroup_init(GuestCgroupObserver *o, int root_fd, int32_t pid);
void guest_cgroup_done(GuestCgroupObserver *o);

/* Fills in g->emulator_busy_permyriad; unknown when it cannot be read, and at the first look. */
void guest_cgroup_usage(GuestCgroupObserver *o, int root_fd, uint64_t now_usec, Guest *g);

/* Fills in g->psi_memory; unknown on cgroup v1, which has none. */
void guest_cgroup_pressure(GuestCgroupObserver *o, int root_fd, Guest *g);

/*
 * Fills in g->cgroup_cpus and g->cgroup_mems. Empty, no limit, when the cgroup
 * has every CPU that is not isolated (every node with memory), or does not say.
 */
void guest_cgroup_limits(GuestCgroupObserver *o, int root_fd, const Topology *topology, Guest *g);

/*
 * The folder of the guest's own cgroup, from the text of /proc/PID/cgroup: the
 * outermost one that holds this guest's processes only, in the hierarchy of
 * @controller (cgroup v1) or, with NULL, in that of cgroup v2. -ENODATA when
 * there is none (not started by libvirt). -ENOMEM.
 */
int guest_cgroup_find(const char *cgroup_text, const char *controller, char **ret_path);
