/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Where the threads of virt meet: requests go one way, messages the other.
 * One mutex guards everything here and is never held across a libvirt call;
 * main only ever holds it for a few instructions.
 *
 * Requests wait in lanes. URGENT: the XML of a guest that just started, so that
 * it is pinned at once. NORMAL: what main asked for and what events suggest.
 * BACKGROUND: the listing and statistics, which take long and may wait.
 * Within a lane the order is kept.
 *
 * A worker executes requests between virt_queue_next() and virt_queue_done().
 * One worker is current; those left behind in a hung call (see virt.h) are
 * "stuck" until their call returns. What a stuck worker brings home then is
 * dropped (statistics excepted, which are as good as any), because its request
 * was answered when it was left behind.
 *
 * A guest may stop while its XML is being fetched: virt_queue_gone() marks the
 * fetch as overtaken, so main never sees the guest come back to life. Calls that
 * wait for it are answered then: the next guest of this uuid must not get them.
 */

#include "virt.h"

#include <pthread.h>

/* Requests by main that may wait; virt_queue_push() fails with -ENOBUFS beyond. */
#define VIRT_QUEUE_MAX 65536U
/* Guests per statistics request: 32 answer in about 33 ms. */
#define VIRT_STATS_CHUNK 32U

typedef enum VirtLane {
        VIRT_LANE_URGENT,
        VIRT_LANE_NORMAL,
        VIRT_LANE_BACKGROUND,
        _VIRT_LANE_MAX,
} VirtLane;

typedef enum VirtRequestType {
        VIRT_REQUEST_CALL,      /* call */
        VIRT_REQUEST_STATS,     /* uuids */
        VIRT_REQUEST_REFRESH,   /* the one uuid, event, event_usec, job */
        VIRT_REQUEST_LISTED,    /* the end of a listing */
} VirtRequestType;

typedef struct VirtRequest VirtRequest;
struct VirtRequest {
        VirtRequestType type;
        VirtLane lane;
        bool counted;           /* main's, against VIRT_QUEUE_MAX */
        VirtCall *call;
        const char *event;      /* static */
        uint64_t event_usec;
        bool job;               /* ask for a running job, too */
        bool hung;              /* a refresh's guest does not respond: ask nothing that needs its monitor */
        VirtMessage *reply;     /* allocated beforehand: an answer never fails; NULL when none is wanted */
        VirtRequest *next;
        size_t n_uuids;
        char uuids[][UUID_TEXT_SIZE];
};

/* Returns 0, -EINVAL (an uuid that is not terminated) or -ENOMEM. The lane is the type's usual one. */
int virt_request_new(VirtRequestType type, const char (*uuids)[UUID_TEXT_SIZE], size_t n, VirtRequest **ret);
int virt_request_new_call(const VirtCall *call, VirtRequest **ret);
int virt_request_new_stats(const char (*uuids)[UUID_TEXT_SIZE], size_t n, bool reply, uint64_t cookie,
                           VirtRequest **ret);
VirtRequest *virt_request_free(VirtRequest *r);
/* The whole chain by ->next. */
VirtRequest *virt_request_free_all(VirtRequest *r);
DEFINE_CLEANUP(VirtRequest, virt_request_free)
DEFINE_CLEANUP(VirtRequest, virt_request_free_all)

/* @uuid and @text may be NULL; both are copied. Returns 0 or -ENOMEM. */
int virt_message_new(VirtMessageType type, const char *uuid, const char *text, VirtMessage **ret);

/* One executing thread; zero-initialised, belongs to that thread. */
typedef struct VirtWorker {
        VirtRequest *request;           /* under way */
        uint64_t started_usec;
        uint64_t generation;
        bool overtaken;
        bool abandoned;
        uint32_t skip;                  /* bit i: uuids[i] does not respond, leave it out */
        uint32_t blamed;                /* bit i: uuids[i] was posted as unresponsive */
} VirtWorker;

typedef struct VirtQueue VirtQueue;

int virt_queue_new(VirtQueue **ret);
VirtQueue *virt_queue_ref(VirtQueue *q);
VirtQueue *virt_queue_unref(VirtQueue *q);
DEFINE_CLEANUP(VirtQueue, virt_queue_unref)

/* CLOCK_MONOTONIC, the clock of all waits here. */
uint64_t virt_now_usec(void);

/* --- main --- */

int virt_queue_get_fd(VirtQueue *q);
VirtMessage *virt_queue_take(VirtQueue *q);
/*
 * Takes the chain @list over, also on failure. One wake-up however long it is.
 * Without a connection each is answered at once with -ECANCELED (and this returns 0).
 */
int virt_queue_push(VirtQueue *q, VirtRequest *list);
/* No more requests are handed out; those waiting are answered with -ECANCELED. */
void virt_queue_stop(VirtQueue *q);
/*
 * Waits until the current worker has left; true, and *ret_thread is to be
 * joined. false: it did not within @timeout_usec and was abandoned.
 */
bool virt_queue_wait_left(VirtQueue *q, uint64_t timeout_usec, pthread_t *ret_thread);

/* --- the connection; called by the current worker, closed also by the loop --- */

/* A new connection begins, not announced yet: its events are queued from now on. 0 or -ENOMEM. */
int virt_queue_open(VirtQueue *q, uint64_t *ret_generation);
/* Posts VIRT_CONNECTED; requests are accepted from now on. */
void virt_queue_connected(VirtQueue *q, uint64_t generation);
/* Posts VIRT_DISCONNECTED if it was connected, answers what waits with -ECANCELED. Once a generation. */
void virt_queue_closed(VirtQueue *q, uint64_t generation, const char *text);
/* Posts VIRT_CONNECT_FAILED unless the last attempt failed, too. */
void virt_queue_connect_failed(VirtQueue *q, const char *text);
/*
 * An attempt to connect, a listing, or the connecting of a replacement begins (true) or has ended. One that takes
 * longer than VIRT_CALL_TIMEOUT_USEC fails the attempt; a connection that is open is closed.
 */
void virt_queue_connecting(VirtQueue *q, bool begins);
/* Sleeps until @until_usec; false when stopped. */
bool virt_queue_sleep(VirtQueue *q, uint64_t until_usec);

/* --- event callbacks, in the loop thread; ignored when @generation is not the current one --- */

void virt_queue_refresh(VirtQueue *q, uint64_t generation, const char *uuid, const char *event, bool urgent,
                        bool job);
void virt_queue_gone(VirtQueue *q, uint64_t generation, const char *uuid, const char *text);
void virt_queue_balloon(VirtQueue *q, uint64_t generation, const char *uuid, uint64_t current_bytes);

/* --- workers --- */

/* Makes @w the current worker; only when there is none. */
void virt_queue_enter(VirtQueue *q, VirtWorker *w);
/* The thread of @w ends. */
void virt_queue_leave(VirtQueue *q, VirtWorker *w);
/*
 * Waits for a request and hands it out; it stays the queue's. *ret_arm: nobody
 * watches yet, arm the timer of virt_queue_watch() with VIRT_CALL_TIMEOUT_USEC.
 * -ENOTCONN: the connection closed; -ESHUTDOWN: stopped; -ESTALE: @w was left behind.
 */
int virt_queue_next(VirtQueue *q, VirtWorker *w, const VirtRequest **ret, bool *ret_arm);
/* The request is done; @m, taken over, is posted unless it is outdated, with the request's cookie. */
void virt_queue_done(VirtQueue *q, VirtWorker *w, VirtMessage *m);
/*
 * The request is done; its own reply, if it has one, is posted with @result and @text (may be NULL).
 * For a refresh that failed VIRT_GUEST_GONE is posted with @result.
 */
void virt_queue_done_result(VirtQueue *q, VirtWorker *w, int result, const char *text);
/* Is @w still the current worker, and its connection open? */
bool virt_queue_is_current(VirtQueue *q, const VirtWorker *w);

/* --- hung calls --- */

#define VIRT_WATCH_IDLE UINT64_MAX
/*
 * To be called when the timer runs out: VIRT_WATCH_IDLE (nothing under way, leave
 * it disarmed), 0 (a call hangs: start a replacement, look again after
 * VIRT_CALL_TIMEOUT_USEC), or the time to arm it with. When VIRT_STUCK_MAX workers
 * are left behind already, it answers the overdue request and closes the connection.
 */
uint64_t virt_queue_watch(VirtQueue *q, uint64_t now_usec);
/*
 * Leaves the current worker behind if its request is overdue at @now_usec, makes
 * @w the current one and answers the request if it is a call; for a refresh posts
 * VIRT_GUEST_GONE with -ETIMEDOUT, and repeats it when it returns. false: no need any
 * more. *ret_suspects: a copy of the request, with its reply if it is a statistics
 * request; *ret_stuck names the stuck worker for virt_queue_blame(). NULL when out of memory.
 */
bool virt_queue_takeover(VirtQueue *q, VirtWorker *w, uint64_t now_usec, VirtRequest **ret_suspects,
                         const VirtWorker **ret_stuck);
/*
 * uuid number @i of @stuck's request does not respond: posts VIRT_UNRESPONSIVE.
 * false when the hung call has returned meanwhile: then nobody is to blame.
 */
bool virt_queue_blame(VirtQueue *q, const VirtWorker *stuck, size_t i);
