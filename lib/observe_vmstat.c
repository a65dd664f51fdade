/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the kernel's own NUMA balancing does, from the counters of /proc/vmstat:
 * hinting faults, those of them that found the page on the CPU's own node, and
 * pages it moved, each per second since the last look. Only where there are
 * several nodes; a kernel built without it has no such counters.
 */

#include "observe.h"

#include "sysfs.h"
#include "task_time.h"

typedef struct Counters {
        uint64_t faults, local, migrated;
} Counters;

struct VmstatObserver {
        SysfsFile vmstat;
        bool primed;
        uint64_t at_usec;
        Counters before;
        NumaFaults rates;
};

VmstatObserver *vmstat_observer_free(VmstatObserver *o) {
        if (!o)
                return NULL;
        sysfs_file_done(&o->vmstat);
        free(o);
        return NULL;
}
DEFINE_CLEANUP(VmstatObserver, vmstat_observer_free)

int vmstat_observer_new(VmstatObserver **ret) {
        _cleanup_(vmstat_observer_freep) VmstatObserver *o = NULL;

        o = calloc(1, sizeof(*o));
        if (!o || sysfs_file_init(&o->vmstat, "proc/vmstat") < 0)
                return -ENOMEM;
        o->rates = NUMA_FAULTS_UNKNOWN;
        *ret = TAKE_PTR(o);
        return 0;
}

static int read_counters(VmstatObserver *o, int root_fd, Counters *ret) {
        const char *text;
        Counters c;
        int r;

        r = sysfs_file_read_optional(&o->vmstat, root_fd, &text);
        if (r >= 0)
                r = sysfs_find_key(text, "numa_hint_faults", &c.faults);
        if (r >= 0)
                r = sysfs_find_key(text, "numa_hint_faults_local", &c.local);
        if (r >= 0)
                r = sysfs_find_key(text, "numa_pages_migrated", &c.migrated);
        if (r < 0)
                return r;
        *ret = c;
        return 0;
}

int vmstat_observe(VmstatObserver *o, int root_fd, uint64_t now_usec, Host *host) {
        uint64_t passed = u64_sub(now_usec, o->at_usec);
        Counters now;

        host->numa_faults = NUMA_FAULTS_UNKNOWN;
        if (host->n_nodes < 2 || read_counters(o, root_fd, &now) < 0)
                return 0;
        if (o->primed && passed < RATE_INTERVAL_MIN_USEC) {
                host->numa_faults = o->rates;
                return 0;
        }
        if (o->primed)
                o->rates = (NumaFaults){
                        .faults_per_sec = u64_muldiv(u64_sub(now.faults, o->before.faults), USEC_PER_SEC, passed),
                        .local_per_sec = u64_muldiv(u64_sub(now.local, o->before.local), USEC_PER_SEC, passed),
                        .migrated_per_sec = u64_muldiv(u64_sub(now.migrated, o->before.migrated), USEC_PER_SEC, passed),
                };
        o->primed = true;
        o->at_usec = now_usec;
        o->before = now;
        host->numa_faults = o->rates;
        return 0;
}
