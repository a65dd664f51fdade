/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * All of libvirt. The only threads of the daemon live behind this header:
 *
 *   virt-loop   runs libvirt's default event loop and nothing else. Event
 *               callbacks copy plain data and queue it.
 *   virt-rpc    owns the connection: connects (and reconnects with back-off),
 *               executes requests in order, posts results.
 *
 * The caller (main) never calls libvirt and never waits: it queues requests
 * and takes messages when virt_get_fd() becomes readable.
 *
 * A guest whose monitor hangs: libvirtd then holds our call. A call that does
 * not return within VIRT_CALL_TIMEOUT_USEC is left behind (and answered with
 * -ETIMEDOUT), a fresh worker takes over the queue with a connection of its own
 * and asks libvirtd which guests hang: those are marked unresponsive
 * (VIRT_UNRESPONSIVE is posted once). The old thread ends by itself when the
 * call returns (VIRT_RESPONSIVE). While unresponsive, calls and statistics for
 * that guest fail at once with -EBUSY (or leave it out); its XML can be had.
 * At most VIRT_STUCK_MAX workers may be left behind; beyond that, requests that
 * need a monitor fail with -EBUSY until one returns. When another call hangs then,
 * it is answered with -ETIMEDOUT and the connection is given up: one more worker
 * connects anew (and VIRT_UNRESPONSIVE is posted again for the guests that still
 * hang). If its calls hang, too, nothing connects until one of them all returns:
 * there are never more than VIRT_STUCK_MAX + 1 threads beside the two of above.
 * When it is libvirtd that hangs, nobody is blamed: keepalive ends the connection
 * after 20 s. A libvirtd that accepts no further connection, or does not list its
 * guests within VIRT_CALL_TIMEOUT_USEC, counts as a connection lost.
 *
 * Every message carries the connection generation it belongs to; a result of
 * an older connection is not posted, its requests are answered with -ECANCELED,
 * except for calls that took effect: 0.
 */

#include "../lib/base.h"
#include "../lib/idset.h"
#include "../lib/snapshot.h"

#define VIRT_CALL_TIMEOUT_USEC (5 * USEC_PER_SEC)
#define VIRT_STUCK_MAX 4U

typedef struct Virt Virt;

typedef enum VirtMessageType {
        VIRT_CONNECTED,         /* a listing follows: VIRT_GUEST for each running guest, then VIRT_LISTED */
        VIRT_CONNECT_FAILED,    /* text; posted at the first failure of a row only */
        VIRT_DISCONNECTED,      /* text: why. Reconnecting goes on by itself; no guest is unresponsive any more:
                                 * whichever still is when connected again is posted once more, after
                                 * VIRT_CONNECTED and maybe before its VIRT_GUEST */
        VIRT_LISTED,            /* every running guest was posted (VIRT_GUEST, or VIRT_GUEST_GONE with a
                                 * result < 0): forget the others */
        VIRT_GUEST,             /* guest: as its live XML has it now; text: the event ("started",
                                 * "restored", "resumed", "suspended", "migrated-in", "migrating",
                                 * "job-completed", "defined", "undefined", "metadata", "tunable",
                                 * "device-added", "device-removed", "reboot", "shutdown", "crashed",
                                 * "pmsuspended", "listed", "refreshed"). Pins made by virt_submit()
                                 * cause no "tunable" */
        VIRT_GUEST_GONE,        /* uuid; text: "stopped", "shutdown", "crashed", "destroyed", "migrated-out",
                                 * "saved", "failed": calls that waited for it are answered with -ENOENT.
                                 * result < 0: it runs, but its XML cannot be read (text: why; -ETIMEDOUT:
                                 * not in time, VIRT_GUEST follows when libvirt answers) */
        VIRT_BALLOON,           /* uuid, current_bytes: balloon change event */
        VIRT_STATS,             /* stats, n_stats (guests that are gone or hang are left out), result, text */
        VIRT_DONE,              /* cookie, uuid, result, text: libvirt's words on failure. 0 or -errno:
                                 * -ENOENT (no such guest), -ESRCH (it does not run), -EPERM (libvirt refuses
                                 * it to the guest as it is now), -EACCES (libvirt refuses it to us) ... */
        VIRT_UNRESPONSIVE,      /* uuid */
        VIRT_RESPONSIVE,        /* uuid */
        _VIRT_MESSAGE_TYPE_MAX,
} VirtMessageType;

typedef struct VirtStats {
        char uuid[UUID_TEXT_SIZE];
        uint64_t current_bytes;
        bool asked;                     /* false: stats says nothing (others held the guest) */
        BalloonStats stats;             /* age computed by wall clock against last-update; the guest's
                                         * own clock plays no part (QEMU stamps it) */
} VirtStats;

/* Takes over into @g what can be believed. Returns whether @said has statistics (any: each value may be unknown). */
bool virt_stats_believe(const VirtStats *said, Guest *g);

typedef struct VirtMessage VirtMessage;
struct VirtMessage {
        VirtMessageType type;
        uint64_t generation;
        char uuid[UUID_TEXT_SIZE];
        Guest *guest;
        char *text;
        uint64_t current_bytes;
        VirtStats *stats;
        size_t n_stats;
        uint64_t cookie;
        int result;
        uint64_t event_usec;            /* CLOCK_MONOTONIC when the event callback ran; 0: no event */
        VirtMessage *next;
};
VirtMessage *virt_message_free(VirtMessage *m);
DEFINE_CLEANUP(VirtMessage, virt_message_free)

typedef enum VirtCallType {
        VIRT_PIN_VCPU,          /* uuid, index, set */
        VIRT_PIN_EMULATOR,      /* uuid, set */
        VIRT_PIN_IOTHREAD,      /* uuid, index, set */
        VIRT_SET_MEMORY,        /* uuid, value: bytes (live only) */
        VIRT_SET_NODESET,       /* uuid, set (live only) */
        VIRT_SET_STATS_PERIOD,  /* uuid, value: seconds (live only) */
        VIRT_SET_VCPUS,         /* uuid, index: number online now, value: then (live only). -ESTALE: it is not what
                                 * index says. Fewer: waits for the guest, -ETIMEDOUT after some seconds, and it
                                 * may still let go later */
        VIRT_SET_MEMTUNE,       /* uuid, index: MemtuneKnob, value: bytes, UINT64_MAX: no limit (live only) */
        _VIRT_CALL_TYPE_MAX,
} VirtCallType;

typedef struct VirtCall {
        VirtCallType type;
        char uuid[UUID_TEXT_SIZE];
        unsigned index;
        IdSet set;
        uint64_t value;
        uint64_t cookie;                /* returned in VIRT_DONE; 0 means: no answer wanted */
} VirtCall;

/*
 * Starts the threads and begins to connect to @uri. Call with all signals
 * blocked. Returns 0 or -errno.
 */
int virt_new(const char *uri, Virt **ret);
/* Ends the threads (those left behind in a hung call excepted) and closes the connection. */
Virt *virt_free(Virt *v);
DEFINE_CLEANUP(Virt, virt_free)

/* Becomes readable (EPOLLIN) when messages wait. */
int virt_get_fd(Virt *v);
/* The oldest waiting message, the caller's to free; NULL when there is none. */
VirtMessage *virt_take(Virt *v);

/* Queues @n calls, executed in order, each answered by its own VIRT_DONE. -ENOMEM, -ENOBUFS (queue full). */
int virt_submit(Virt *v, const VirtCall *calls, size_t n);
/* Asks for balloon statistics; answered by one or more VIRT_STATS, the last with @cookie. */
int virt_request_stats(Virt *v, const char (*uuids)[UUID_TEXT_SIZE], size_t n, uint64_t cookie);
/* Asks for the guest's XML again: VIRT_GUEST or VIRT_GUEST_GONE. */
int virt_refresh(Virt *v, const char *uuid);
