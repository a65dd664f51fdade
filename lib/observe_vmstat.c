/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What goes to swap and comes back, and what the kernel's own NUMA balancing
 * does, from the counters of /proc/vmstat: of the latter hinting faults, those
 * of them that found the page on the CPU's own node, and pages it moved, only
 * where there are several nodes. Each per second since the last look. A kernel
 * built without swap or without the balancing has no such counters.
 */

#include "observe.h"

#include "sysfs.h"
#include "task_time.h"

typedef enum Counter {
        NUMA_HINTING, NUMA_LOCAL, NUMA_MIGRATED, SWAPPED_IN, SWAPPED_OUT, _COUNTER_MAX,
} Counter;

static const char *const keys[_COUNTER_MAX] = {
        "numa_hint_faults", "numa_hint_faults_local", "numa_pages_migrated", "pswpin", "pswpout",
};

/* UNKNOWN_U64: there is none. */
typedef struct Counters {
        uint64_t of[_COUNTER_MAX];
} Counters;

struct VmstatObserver {
        SysfsFile vmstat;
        bool primed;
        uint64_t at_usec;
        Counters before, rates;
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
        memset(&o->rates, 0xff, sizeof(o->rates));
        *ret = TAKE_PTR(o);
        return 0;
}

static int read_counters(VmstatObserver *o, int root_fd, Counters *ret) {
        const char *text;
        int r;

        r = sysfs_file_read_optional(&o->vmstat, root_fd, &text);
        if (r < 0)
                return r;
        for (size_t i = 0; i < _COUNTER_MAX; i++)
                if (sysfs_find_key(text, keys[i], &ret->of[i]) < 0)
                        ret->of[i] = UNKNOWN_U64;
        return 0;
}

static uint64_t rate(uint64_t now, uint64_t before, uint64_t passed) {
        if (now == UNKNOWN_U64 || before == UNKNOWN_U64)
                return UNKNOWN_U64;
        return u64_muldiv(u64_sub(now, before), USEC_PER_SEC, passed);
}

static uint64_t pages_to_bytes(uint64_t pages) {
        return pages == UNKNOWN_U64 ? UNKNOWN_U64 : u64_muldiv(pages, (uint64_t)sysconf(_SC_PAGESIZE), 1);
}

static void tell(const Counters *rates, Host *host) {
        const uint64_t *of = rates->of;

        host->swap_in_bytes_per_sec = pages_to_bytes(of[SWAPPED_IN]);
        host->swap_out_bytes_per_sec = pages_to_bytes(of[SWAPPED_OUT]);
        host->numa_faults = NUMA_FAULTS_UNKNOWN;
        if (host->n_nodes >= 2 && of[NUMA_HINTING] != UNKNOWN_U64 && of[NUMA_LOCAL] != UNKNOWN_U64 &&
            of[NUMA_MIGRATED] != UNKNOWN_U64)
                host->numa_faults = (NumaFaults){ of[NUMA_HINTING], of[NUMA_LOCAL], of[NUMA_MIGRATED] };
}

int vmstat_observe(VmstatObserver *o, int root_fd, uint64_t now_usec, Host *host) {
        uint64_t passed = u64_sub(now_usec, o->at_usec);
        Counters now;

        if (read_counters(o, root_fd, &now) < 0) {
                memset(&o->rates, 0xff, sizeof(o->rates));
                o->primed = false;
        } else if (!o->primed || passed >= RATE_INTERVAL_MIN_USEC) {
                for (size_t i = 0; o->primed && i < _COUNTER_MAX; i++)
                        o->rates.of[i] = rate(now.of[i], o->before.of[i], passed);
                o->primed = true;
                o->at_usec = now_usec;
                o->before = now;
        }
        tell(&o->rates, host);
        return 0;
}
