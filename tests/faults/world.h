/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A host to break things on. The daemon under test is the one that is shipped;
 * preload*.c stand between it and the outside:
 *
 *   /proc, /sys, /run   a tree of files (what is opened below "/" is opened in
 *                       DIR/root); writes do to it what the kernel would do
 *   libvirt             guests in this structure, in a mapped file: they outlive
 *                       the daemon as those of libvirtd do
 *   libnuma, clocks     answer for this host; time may run faster, and jump
 *   systemd             is not there, or starts the one unit it is asked for
 *
 * Each of these calls is a point, with a name: "write sys/kernel/mm/ksm/run",
 * "fsync state/state.new", "call virDomainPinVcpuFlags web", "call move_pages web". A point that changes
 * something outside of the process is an effect. Rules make points fail; the
 * process can be killed before its N-th effect.
 *
 * The driver (host.h) and the daemon share the structure.
 */

#include <stdbool.h>
#include <stdint.h>

#define WORLD_GUESTS_MAX 64U
#define WORLD_VCPUS_MAX 8U
#define WORLD_RULES_MAX 32U
#define WORLD_EFFECTS_MAX 512U
#define WORLD_NAME_MAX 112U
#define WORLD_LIMITS 3U
/* A guest's memory: pages of 4 KiB from here on. */
#define WORLD_PAGES_MAX 4096U
#define WORLD_PAGES_AT UINT64_C(0x7f0000000000)
/* Of the line in its numa_maps. */
#define WORLD_MAPS_WIDTH 120
#define WORLD_XML_MAX 768U
#define WORLD_WAITING_MAX 16U
#define WORLD_PLACES_MAX 1024U

/* Where the daemon finds DIR. */
#define WORLD_ENV "KVMTUNED_FAULTS"

typedef struct WorldRule {
        char pattern[WORLD_NAME_MAX];   /* fnmatch(3), of the name of the point; "": none */
        int error;                      /* errno, or of "call": virErrorNumber */
        unsigned skip;                  /* so many pass before the first that fails */
        unsigned times;                 /* so many fail; 0: all that come */
        unsigned seen, hits;
        bool waits;                     /* who comes to the point waits there as long as this is set */
} WorldRule;

/* What the daemon asks of libvirt for a guest. */
typedef enum WorldCallKind {
        WORLD_PIN_VCPU,
        WORLD_PIN_EMULATOR,
        WORLD_PIN_IOTHREAD,
        WORLD_SET_MEMORY,
        WORLD_SET_STATS_PERIOD,
        WORLD_SET_VCPUS,
        WORLD_SET_NODESET,
        WORLD_SET_LIMIT,
        _WORLD_CALL_KIND_MAX,
} WorldCallKind;
#define WORLD_PINS (1U << WORLD_PIN_VCPU | 1U << WORLD_PIN_EMULATOR | 1U << WORLD_PIN_IOTHREAD)

typedef struct WorldCall {
        WorldCallKind kind;
        unsigned index;                 /* vCPU, I/O thread, limit */
        uint64_t value;                 /* as in the WorldGuest */
        bool waits;
        bool goes;                      /* its turn has come, of this one alone */
} WorldCall;

/* Sets of CPUs and nodes are masks; 0: none was set. */
typedef struct WorldGuest {
        char uuid[37], name[32];
        bool running;
        bool hung;                      /* its monitor does not answer */
        unsigned calls_wait;            /* 1 << WorldCallKind each: such calls wait for a job of somebody else's */
        WorldCall waiting[WORLD_WAITING_MAX];   /* those, in the order they came */
        unsigned n_waited;              /* how many ever */
        bool bad_xml;
        bool xml_waits;                 /* asking for its XML hangs */
        bool persistent_waits;          /* asking whether it is persistent does: the last of its definition */
        bool paused;
        bool migrating;
        bool shut_off;                  /* libvirt says so when asked whether it is active */
        bool silent;                    /* its balloon driver has never reported */
        int state, reason;              /* virDomainState and its reason, when not 0 */
        int id, pid;
        unsigned vcpus, online, iothreads;
        uint64_t max_kib, current_kib;
        uint64_t limits_kib[WORLD_LIMITS];      /* hard, swap, soft; 0: none */
        uint64_t vcpu_pins[WORLD_VCPUS_MAX], emulator_pin, iothread_pins[WORLD_VCPUS_MAX];
        uint64_t nodeset;               /* numatune, mode restrictive: where its cgroup lets its pages be; 0: anywhere */
        bool nodeset_auto;              /* placement='auto': libvirt does not print it */
        bool defined_auto;              /* its definition leaves its nodes and its vCPUs to libvirt */
        unsigned pages, stuck_pages;    /* the first so many cannot be moved */
        uint8_t page_nodes[WORLD_PAGES_MAX];    /* where each of them is */
        unsigned stats_period;
        uint64_t usable_kib;
        unsigned vcpus_said;            /* what libvirt says when asked; 0: the truth */
        char xml[WORLD_XML_MAX];        /* before all else in its XML; from '!' on: all of it */
        char devices_xml[WORLD_XML_MAX];        /* before its other devices */
} WorldGuest;

typedef struct WorldReport {
        unsigned done;                  /* how many were made */
        uint64_t heap_bytes;
} WorldReport;

/* What comes of a unit that it is asked to start. */
typedef enum WorldSystemd {
        WORLD_NO_SYSTEMD,               /* nor a system bus */
        WORLD_SYSTEMD_SETS,             /* the switch of the kernel is set */
        WORLD_SYSTEMD_REFUSES,
        WORLD_SYSTEMD_FAILS,            /* it starts it, and nothing comes of that */
} WorldSystemd;

typedef struct World {
        /* What is to go wrong. */
        unsigned kill_at;               /* SIGKILL before the effect of this number; 0: never */
        unsigned alloc_fail_at;         /* this allocation of the daemon's own code fails, and those after it... */
        unsigned alloc_fail_times;      /* ... so many in all; 0: none fails */
        /*
         * In each thread but the first, every place of the code that allocates fails once, one place so many allocations
         * after the other; 0: none does.
         */
        unsigned places_gap;
        uint32_t places_only;           /* of all places only this one; 0: each */
        bool places_main;               /* in the first thread, too */
        bool places_noted;              /* none fails: they are only known then */
        WorldRule rules[WORLD_RULES_MAX];
        bool down;                      /* no connection is accepted */
        bool accepts_only;              /* connecting hangs */
        bool lists_never;               /* listing the guests does */
        unsigned call_delay_usec;
        int64_t realtime_offset_usec;   /* of the wall clock */
        unsigned speed;                 /* time runs so many times as fast; 0: as it does */

        /* What happened. */
        unsigned n_effects, n_allocs, n_points;
        char effects[WORLD_EFFECTS_MAX][WORLD_NAME_MAX];
        unsigned n_connections, n_opened;
        unsigned n_domains;             /* handles of guests that are held */
        WorldReport report;
        unsigned allocs_before_libvirt; /* how many there were when it began with libvirt's library */
        unsigned n_places, place_at;    /* places that are known or have failed; the last one's allocation */
        uint32_t places[WORLD_PLACES_MAX];

        WorldSystemd systemd;
        unsigned cpus_said;             /* by libvirt; 0: 8 */
        bool pools_full[2];             /* no huge page is to be had on the node */
        unsigned pools_room[2];         /* no more than so many are; 0: any number */
        WorldGuest guests[WORLD_GUESTS_MAX];
} World;

static inline unsigned world_calls_wait(const WorldGuest *g) {
        unsigned n = 0;

        for (unsigned i = 0; i < WORLD_WAITING_MAX; i++)
                n += __atomic_load_n(&g->waiting[i].waits, __ATOMIC_ACQUIRE);
        return n;
}

/* The call comes to be. */
static inline void world_make(WorldGuest *g, const WorldCall *call) {
        switch (call->kind) {
        case WORLD_PIN_VCPU:
                g->vcpu_pins[call->index] = call->value;
                break;
        case WORLD_PIN_EMULATOR:
                g->emulator_pin = call->value;
                break;
        case WORLD_PIN_IOTHREAD:
                g->iothread_pins[call->index] = call->value;
                break;
        case WORLD_SET_MEMORY:
                g->current_kib = call->value;
                break;
        case WORLD_SET_STATS_PERIOD:
                g->stats_period = (unsigned)call->value;
                break;
        case WORLD_SET_VCPUS:
                g->online = (unsigned)call->value;
                break;
        case WORLD_SET_NODESET:
                g->nodeset = call->value;
                g->nodeset_auto = false;
                break;
        case WORLD_SET_LIMIT:
                g->limits_kib[call->index] = call->value;
                break;
        case _WORLD_CALL_KIND_MAX:
                break;
        }
}

/* What goes through DIR/events to the callbacks of the daemon. */
typedef enum WorldEventType {
        WORLD_LIFECYCLE,                /* what, detail: virDomainEventType and what belongs to it */
        WORLD_BALLOON,
        WORLD_TUNABLE,                  /* field, value */
        WORLD_METADATA,
        WORLD_REBOOT,
        WORLD_DEVICE_ADDED,
        WORLD_DEVICE_REMOVED,
        WORLD_MIGRATION,
        WORLD_JOB_COMPLETED,
        WORLD_CLOSE,                    /* the connection; what: virConnectCloseReason */
        WORLD_REPORT,                   /* World.report is to be filled in */
        WORLD_CLOCK,                    /* the wall clock was set */
} WorldEventType;

typedef struct WorldEvent {
        WorldEventType type;
        int what, detail;
        char uuid[37];
        char field[32], value[32];
} WorldEvent;
