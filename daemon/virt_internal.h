/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of virt share; see virt.h for the threads. */

#include "virt_domains.h"
#include "virt_queue.h"

/* --- virt_error.c --- */

/* Once a process: libvirt prints nothing by itself. */
void virt_error_silence(void);
/*
 * The calling thread's last libvirt error as -errno, its words (bounded) in *text. Call at once after the failure.
 * -EPERM: an operation libvirt refuses in the guest's present state, as it does when the guest does not run.
 */
int virt_error_take(char **text);

/*
 * --- virt_session.c: one connection ---
 *
 * A worker that takes over from a hung one makes its calls through a connection
 * of its own (a fork), for libvirt before 10.0 may lose the wake-up of a thread
 * that holds the socket for its own call, so that another thread's call over the
 * same connection stands still until something arrives (measured with 9.0: up to
 * the 5 s of keepalive). The events stay with the first, the root.
 */

typedef struct VirtSession {
        unsigned refs;                  /* atomic: one of each worker, one of Virt */
        virConnectPtr conn;
        uint64_t generation;
        unsigned n_cpus;                /* of the host: the length of CPU maps */
        VirtDomains *domains;           /* shared by a root and its forks */
        struct VirtSession *root;       /* of a fork */
        int *callbacks;
        size_t n_callbacks;
        void *close_source;             /* of the close callback (virt_events.c) */
} VirtSession;

/* Connects, registers for events and opens @q for the new generation. On failure *text says why. */
int virt_session_open(const char *uri, VirtQueue *q, VirtSession **ret, char **text);
/* Another connection of the same generation, for the calls that @old is kept from. */
int virt_session_fork(const char *uri, VirtSession *old, VirtQueue *q, VirtSession **ret, char **text);
/* Queues the listing: a refresh for each running guest, and its end. */
int virt_session_list(VirtSession *s, VirtQueue *q, char **text);
/*
 * Drops what holds the connection. With the last reference its callbacks are deregistered and it closes: not
 * before, for each of these calls may stand still behind one that hangs. The queue ignores its events meanwhile.
 */
void virt_session_end(VirtSession *s);
VirtSession *virt_session_ref(VirtSession *s);
VirtSession *virt_session_unref(VirtSession *s);
DEFINE_CLEANUP(VirtSession, virt_session_unref)
/* The guest's handle, looked up where it is not known yet; NULL: libvirt's last error says why. */
virDomainPtr virt_session_domain(VirtSession *s, const char *uuid);

static inline _unused_ void virt_domain_freep(virDomainPtr *p) {
        if (*p)
                (void)virDomainFree(*p);
}

/* --- virt_events.c --- */

/* Registers all callbacks; those the driver does not have are left out, the lifecycle is required. */
int virt_events_register(VirtSession *s, VirtQueue *q, char **text);
void virt_events_deregister(VirtSession *s);
/* Only what tells that the connection was lost. */
int virt_events_register_close(VirtSession *s, VirtQueue *q);
void virt_events_deregister_close(VirtSession *s);

/* --- virt_call.c, virt_guest.c, virt_stats.c: what a worker executes --- */

/* Returns 0 or -errno (as in VIRT_DONE, see virt.h) with *text. */
int virt_call_execute(VirtSession *s, const VirtCall *call, char **text);
/* VIRT_GUEST or VIRT_GUEST_GONE for a refresh. */
int virt_guest_fetch(VirtSession *s, const VirtRequest *request, VirtMessage **ret, char **text);
/* What libvirt names as @params of one guest; all but ret->uuid, which is left empty. Whatever it is, it is read. */
void virt_stats_read(const virTypedParameter *params, size_t n, uint64_t now_usec, VirtStats *ret);
/* VIRT_STATS; guests in @skip (bit i: uuids[i]) are left out. */
int virt_stats_fetch(VirtSession *s, const VirtRequest *request, uint32_t skip, VirtMessage **ret, char **text);

/* --- virt_loop.c, virt_rpc.c: the threads --- */

struct Virt {
        unsigned refs;                  /* atomic: main's and one of each worker thread */
        char *uri;
        VirtQueue *queue;
        VirtSession *session;           /* the current worker's, to be handed on */
        pthread_t loop;
        int timer;                      /* libvirt's number of the watch timer */
        bool loop_stop;                 /* atomic */
};

Virt *virt_ref(Virt *v);
Virt *virt_unref(Virt *v);
DEFINE_CLEANUP(Virt, virt_unref)

int virt_loop_start(Virt *v);
void virt_loop_arm(Virt *v, uint64_t usec);
void virt_loop_stop(Virt *v);

/* Starts a worker thread: the first, or one to take over from a hung one. */
int virt_rpc_start(Virt *v, bool replacement);
