/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One instant of the host and its guests, as plain values: all that a decision
 * may look at. Observers fill it, the policy reads it, `kvmtuned record` writes
 * it and `kvmtuned plan` reads it back (snapshot_file.h; kvmtuned-snapshot(5)).
 *
 * Rates are already computed (by the observers, over the last interval), so a
 * snapshot needs no predecessor. "Not known" is always representable.
 */

#include "base.h"
#include "idset.h"
#include "topology.h"

#define UNKNOWN_U64 UINT64_MAX
#define UNKNOWN_PERMYRIAD UINT32_MAX

#define UUID_TEXT_SIZE 37

/* Local wall-clock time, for schedules. */
typedef struct LocalTime {
        int year;       /* 2026 */
        int month;      /* 1..12 */
        int day;        /* 1..31 */
        int hour;       /* 0..23 */
        int minute;
        int second;
        int weekday;    /* 0 = Monday .. 6 = Sunday */
} LocalTime;

typedef struct HostMemory {
        uint64_t total_bytes;
        uint64_t available_bytes;       /* MemAvailable */
        uint64_t free_bytes;
        uint64_t buffers_bytes;
        uint64_t cached_bytes;
        uint64_t swap_total_bytes;
        uint64_t swap_free_bytes;
} HostMemory;

/* Pressure stall information, avg10; UNKNOWN_PERMYRIAD when the kernel has none. */
typedef struct Psi {
        uint32_t some_permyriad;
        uint32_t full_permyriad;
} Psi;

typedef struct CpuLoad {
        unsigned id;
        uint32_t busy_permyriad;        /* of the last interval; steal and irq included */
} CpuLoad;

typedef struct HugePool {
        uint64_t page_bytes;
        uint64_t total_pages;
        uint64_t free_pages;
        uint64_t surplus_pages;
} HugePool;

typedef struct NodeMemory {
        unsigned id;
        uint64_t total_bytes;
        uint64_t free_bytes;            /* MemFree + reclaimable page cache (FilePages - Shmem) */
        HugePool *pools;
        size_t n_pools;
} NodeMemory;

typedef struct KsmStatus {
        bool present;                   /* /sys/kernel/mm/ksm exists */
        bool writable;
        uint64_t run;                   /* 0 stopped, 1 running, 2 unmerging */
        uint64_t pages_to_scan;
        uint64_t sleep_millisecs;
        uint64_t merge_across_nodes;
        uint64_t pages_shared;
        uint64_t pages_sharing;
        uint64_t pages_unshared;
        uint64_t pages_volatile;
        uint64_t full_scans;
        int64_t general_profit_bytes;   /* 0 where the kernel has no such file */
        char advisor_mode[16];          /* "none", "scan-time"; "" where the kernel has none */
        /* UNKNOWN_U64 each where the kernel has no such file. */
        uint64_t advisor_max_cpu;       /* percent of one CPU */
        uint64_t advisor_target_scan_time;      /* seconds */
        uint64_t smart_scan;            /* 0, 1 */
        uint64_t page_bytes;            /* size of a page; 0: 4 KiB */
        uint32_t ksmd_busy_permyriad;   /* of one CPU; UNKNOWN_PERMYRIAD */
} KsmStatus;

typedef struct ThpStatus {
        char enabled[16];               /* always, madvise, never; "" = no THP */
        char defrag[24];
        char enabled_choices[64];       /* what the kernel offers, with spaces between; "": not known */
        char defrag_choices[64];
        uint64_t khugepaged_pages_to_scan;              /* UNKNOWN_U64 each: no such file */
        uint64_t khugepaged_scan_sleep_millisecs;
        uint64_t khugepaged_max_ptes_none;
} ThpStatus;

/* The kernel's own NUMA balancing, over the last interval. UNKNOWN_U64 each: no rates, or no such counters. */
typedef struct NumaFaults {
        uint64_t faults_per_sec;        /* hinting faults */
        uint64_t local_per_sec;         /* of them: the page was on the CPU's own node */
        uint64_t migrated_per_sec;      /* pages moved */
} NumaFaults;

#define NUMA_FAULTS_UNKNOWN ((NumaFaults){ UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64 })

/*
 * What no decision needs, but whoever looks after the host: how it is set up.
 * Words; "" each: not known.
 */
typedef struct HostFacts {
        char virtualization[16];        /* the CPU's: vmx, svm, none */
        char hypervisor[8];             /* yes: the host is a guest itself; no */
        char kvm[8];                    /* the kernel offers /dev/kvm: yes, no */
        char kvm_access[8];             /* who may open it: all, group, root */
        char nested[8];                 /* guests may run guests: on, off */
        char cgroup[8];                 /* v1, v2, hybrid */
        char pressure[8];               /* pressure stall information: on, off */
        char governor[24];              /* of CPU frequency; mixed: not the same everywhere */
        char cpufreq_driver[24];
        char clocksource[24];
        char read_only[24];             /* "none", or switches on a read-only mount: "ksm thp hugepages" */
        char managers[128];             /* "none", or programs that change what kvmtuned changes: "numad momd" */
} HostFacts;

/* Of Linux, what decisions go by: of "6.1.0-13-amd64" KERNEL_RELEASE(6, 1). */
#define KERNEL_RELEASE(major, minor) ((uint64_t)(major) << 16 | (uint64_t)(minor))

typedef struct Host {
        uint64_t kernel_release;        /* UNKNOWN_U64 */
        HostMemory memory;
        Psi psi_memory, psi_cpu, psi_io;
        uint32_t cpu_busy_permyriad;    /* all online CPUs together */
        CpuLoad *cpus;                  /* sorted by id */
        size_t n_cpus;
        NodeMemory *nodes;              /* sorted by id; the same nodes as topology's */
        size_t n_nodes;
        KsmStatus ksm;
        ThpStatus thp;
        uint64_t hugepage_bytes;        /* the default size of huge pages; 0: none */
        uint64_t numa_balancing;        /* kernel.numa_balancing; UNKNOWN_U64 = no such switch */
        NumaFaults numa_faults;
        HostFacts facts;
        uint64_t swap_in_bytes_per_sec; /* over the last interval; UNKNOWN_U64 */
        uint64_t swap_out_bytes_per_sec;
} Host;

typedef enum GuestState {
        GUEST_RUNNING,
        GUEST_PAUSED,
        GUEST_SHUTDOWN,                 /* being shut down */
        GUEST_CRASHED,
        GUEST_PMSUSPENDED,
        _GUEST_STATE_MAX,
        _GUEST_STATE_INVALID = -EINVAL,
} GuestState;
DECLARE_STRING_TABLE(guest_state, GuestState);

/* libvirt's numatune memory modes. */
typedef enum NumatuneMode {
        NUMATUNE_NONE,                  /* no nodeset configured */
        NUMATUNE_STRICT,
        NUMATUNE_PREFERRED,
        NUMATUNE_INTERLEAVE,
        NUMATUNE_RESTRICTIVE,
        _NUMATUNE_MODE_MAX,
        _NUMATUNE_MODE_INVALID = -EINVAL,
} NumatuneMode;
DECLARE_STRING_TABLE(numatune_mode, NumatuneMode);

/* A vCPU, the emulator or an iothread: something with a thread and a pin. */
typedef struct GuestThread {
        unsigned id;                    /* vCPU or iothread number; 0 for the emulator */
        bool online;                    /* vCPU is plugged in */
        bool hotpluggable;              /* vCPU came while the guest ran, or could have: it can go again */
        bool pinned;                    /* libvirt's XML holds a pin of its own for it */
        IdSet pin;                      /* that pin, as libvirt has it */
        int32_t tid;                    /* 0: not known */
        IdSet affinity;                 /* what the kernel allows; empty: not known */
        uint32_t busy_permyriad;        /* of one CPU; UNKNOWN_PERMYRIAD */
        uint32_t wait_permyriad;        /* runnable, waiting for a CPU */
} GuestThread;

/* Untrusted: the guest's balloon driver reports it. UNKNOWN_U64 where it does not. */
typedef struct BalloonStats {
        uint64_t unused_bytes;          /* MemFree */
        uint64_t available_bytes;       /* MemTotal as the guest sees it */
        uint64_t usable_bytes;          /* MemAvailable */
        uint64_t disk_caches_bytes;
        uint64_t swap_in_bytes;         /* since boot */
        uint64_t swap_out_bytes;
        uint64_t major_faults;
        uint64_t age_usec;              /* since the guest's last report; UNKNOWN_U64 = it never reported */
} BalloonStats;

typedef struct GuestNodeMemory {
        unsigned node;
        uint64_t bytes;
} GuestNodeMemory;

/* A NUMA cell of the guest. */
typedef struct GuestCell {
        unsigned id;
        IdSet vcpus;
        uint64_t memory_bytes;
        NumatuneMode mode;              /* <memnode> */
        IdSet nodeset;
} GuestCell;

typedef struct Guest {
        char uuid[UUID_TEXT_SIZE];
        char *name;
        char *title;                    /* NULL: none */
        char *class;                    /* <kvmtuned:guest class=...>; NULL: none */
        GuestState state;
        bool starting;                  /* started less than daemon.interval ago: memory mostly untouched */
        bool migrating;                 /* live migration or another long job under way */
        bool persistent;
        bool unreachable;               /* libvirt or its monitor does not answer: nothing can be done to it */
        int32_t pid;                    /* 0: not known */

        GuestThread *vcpus;             /* all up to the maximum, sorted by id */
        size_t n_vcpus;
        GuestThread emulator;           /* QEMU's main thread stands for all that are no vCPU and no iothread */
        uint32_t emulator_busy_permyriad;       /* all of them and the vhost threads, of one CPU (so it may be more
                                                 * than 10,000); UNKNOWN_PERMYRIAD */
        GuestThread *iothreads;
        size_t n_iothreads;
        uint64_t vcpu_group;            /* vCPUs that are plugged in and out together; 1 on x86 */
        bool vcpu_placement_auto;       /* <vcpu placement='auto'> */
        bool vcpu_cpuset_set;           /* <vcpu cpuset=...> */
        IdSet vcpu_cpuset;

        uint64_t max_bytes;             /* <memory> */
        uint64_t current_bytes;         /* what the balloon leaves to the guest now */
        uint64_t min_guarantee_bytes;   /* of its definition; 0: none */
        uint64_t hard_limit_bytes;      /* <memtune>; 0 each: none */
        uint64_t swap_hard_limit_bytes;
        uint64_t soft_limit_bytes;
        uint64_t rss_bytes;             /* UNKNOWN_U64 */
        uint64_t virtual_bytes;         /* size of its process; UNKNOWN_U64 */
        Psi psi_memory;                 /* of its cgroup: how much its threads wait for memory of the host */
        GuestNodeMemory *node_memory;   /* resident memory per node; empty: not known */
        size_t n_node_memory;
        NumatuneMode numatune_mode;
        IdSet numatune_nodes;
        bool numatune_placement_auto;
        bool numatune_defined_auto;     /* it is not so any more, but its definition for the next start says so */
        IdSet advised_nodes;            /* what an adviser told libvirt when it started; empty: not known */
        GuestCell *cells;
        size_t n_cells;

        bool balloon_device;            /* <memballoon model='virtio*'> */
        bool free_page_reporting;       /* <memballoon freePageReporting='on'>: it gives free pages back by itself */
        uint64_t stats_period_sec;      /* 0: off */
        BalloonStats stats;

        bool hugepages;                 /* <memoryBacking><hugepages>: its memory is in pages of a pool */
        uint64_t hugepage_bytes;        /* of that size; 0: of the host's default size */
        bool locked;                    /* <locked/>: memory cannot be moved */
        bool nosharepages;
        bool shared_memory;             /* <access mode='shared'/> or file/memfd source */
        bool vfio;                      /* a passed-through device holds guest memory */
        char *vfio_devices;             /* PCI addresses and mdev uuids, with spaces; NULL: none */
        IdSet vfio_nodes;               /* where they are; empty: nowhere in particular, or not known */
        IdSet cgroup_cpus;              /* what the administrator leaves to its cgroup; empty: no limit */
        IdSet cgroup_mems;              /* the same for memory: nodes */
        bool cpu_host_passthrough;
        /* How it is set up, for whoever looks after it; "" each: not known. */
        char accelerator[16];           /* kvm; qemu: emulated in software */
        char machine[48];               /* pc-q35-7.2 */
        char cpu_mode[24];              /* custom, host-model...; default: nothing is configured */
        char cpu_model[48];             /* of mode custom; none: no model */
        char agent[16];                 /* its guest agent: none (no channel), connected, disconnected */
        char emulated_devices[64];      /* none, or buses and models that are slow: "ide e1000" */
} Guest;

/* Nodes that were advised for a guest that is not here yet: it counts there as if it were starting. */
typedef struct Reservation {
        IdSet nodes;
        uint64_t vcpus;
        uint64_t memory_bytes;
        bool hugepages;                 /* that memory is in huge pages */
        uint64_t hugepage_bytes;        /* as in Guest */
        uint64_t given_usec;            /* CLOCK_BOOTTIME */
} Reservation;

typedef struct Snapshot {
        uint64_t now_usec;              /* CLOCK_BOOTTIME */
        LocalTime local_time;
        uint64_t interval_usec;         /* over which rates were measured; 0: no rates yet */
        Topology *topology;
        Host host;
        Guest **guests;                 /* sorted by uuid */
        size_t n_guests;
        size_t guests_capacity;
        Reservation *reservations;      /* sorted by given_usec */
        size_t n_reservations;
} Snapshot;

/*
 * A running guest with nothing known: UNKNOWN where that is a value. @uuid may
 * be NULL: derived from the name. -ENOMEM, or -EINVAL: @uuid is longer than a UUID.
 */
int guest_new(const char *name, const char *uuid, Guest **ret);
Guest *guest_free(Guest *g);
DEFINE_CLEANUP(Guest, guest_free)

/* The uuid of a guest of which only the name is known: always the same for the same name. */
void guest_uuid_from_name(const char *name, char ret[static UUID_TEXT_SIZE]);

/* Room for @n vCPUs (or iothreads), ids 0.., online, unpinned. Returns 0 or -ENOMEM. */
int guest_set_vcpus(Guest *g, size_t n);
int guest_set_iothreads(Guest *g, size_t n);

size_t guest_online_vcpus(const Guest *g);
/* A balloon's size is the guest's own word: what is beyond its maximum (below 0 looks so, too) counts as that. */
void guest_set_current(Guest *g, uint64_t bytes);
/*
 * Where its memory policy lets it have memory: the nodeset of its numatune. With placement='auto' libvirt prints
 * none; then what it was advised when the guest started. Empty: there is no policy, or it is not known.
 */
const IdSet *guest_nodeset(const Guest *g);

/* "all unknown" for a host; -ENOMEM. */
int snapshot_new(Snapshot **ret);
Snapshot *snapshot_free(Snapshot *s);
DEFINE_CLEANUP(Snapshot, snapshot_free)

/* Puts @g in its place, replacing (and freeing) the one of the same uuid. Takes @g over on success only. */
int snapshot_put_guest(Snapshot *s, Guest *g);
/* NULL when there is none. */
Guest *snapshot_find_guest(const Snapshot *s, const char *uuid);
Guest *snapshot_find_guest_by_name(const Snapshot *s, const char *name);
/* false when there was none. */
bool snapshot_remove_guest(Snapshot *s, const char *uuid);

/* Reads the beginning of @text; *ret_end points behind it. -EINVAL. */
int kernel_release_parse(const char *text, uint64_t *ret, const char **ret_end);
/* It is known to be @from or later, and before @end. */
static inline bool host_kernel_is(const Host *h, uint64_t from, uint64_t end) {
        return h->kernel_release != UNKNOWN_U64 && h->kernel_release >= from && h->kernel_release < end;
}
/*
 * Whether kernel.numa_balancing keeps KSM from merging: Linux 6.1 to 6.4 hide from KSM what balancing has unmapped
 * (commits 474098edac26, d74943a2f3cd). Older ones may have that from their vendor, later ones have not.
 */
static inline bool host_hides_unmapped(const Host *h) {
        return host_kernel_is(h, KERNEL_RELEASE(6, 1), KERNEL_RELEASE(6, 5));
}
static inline bool host_may_hide_unmapped(const Host *h) {
        return h->kernel_release == UNKNOWN_U64 || h->kernel_release < KERNEL_RELEASE(6, 5);
}

/*
 * What merging saves, less what keeping track of pages costs: as the kernel says, or from its counters where it does
 * not (before Linux 6.4). May be negative.
 */
int64_t ksm_profit_bytes(const KsmStatus *ksm);

const NodeMemory *host_node(const Host *h, unsigned id);
const CpuLoad *host_cpu(const Host *h, unsigned id);
