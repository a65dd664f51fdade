/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The inside of virt_queue.h, for virt_queue.c and virt_queue_watch.c only. */

#include "virt_queue.h"

#include <time.h>

typedef enum VirtLink {
        VIRT_LINK_CLOSED,
        VIRT_LINK_OPENING,      /* events are queued, main knows nothing yet */
        VIRT_LINK_OPEN,
} VirtLink;

typedef struct VirtLaneList {
        VirtRequest *head, *tail;
} VirtLaneList;

struct VirtQueue {
        pthread_mutex_t lock;
        pthread_cond_t wake;            /* the current worker: requests, stop, connection */
        pthread_cond_t left;            /* main in virt_queue_wait_left() */
        unsigned refs;

        int event_fd;
        VirtMessage *head, *tail;
        bool signalled;                 /* event_fd is readable */

        VirtLaneList lanes[_VIRT_LANE_MAX];
        size_t n_counted;

        VirtLink link;
        uint64_t generation;
        VirtMessage *hello, *goodbye;   /* allocated beforehand */
        bool failing;                   /* VIRT_CONNECT_FAILED was posted */
        uint64_t connecting_usec;       /* when the attempt or listing under way began; 0: none, or given up */
        bool stopping;

        VirtWorker *worker;
        pthread_t left_thread;
        bool has_left;
        bool watching;                  /* the timer is armed */
        VirtWorker *stuck[VIRT_STUCK_MAX + 1];
        size_t n_stuck;
};

struct timespec virt_timespec(uint64_t usec);

/* All with the lock held. */
void virt_queue_lane_push(VirtQueue *q, VirtRequest *r);
/* Answers all that waits with -ECANCELED. */
void virt_queue_cancel_all(VirtQueue *q, const char *text);
void virt_queue_post(VirtQueue *q, VirtMessage *m, bool signal);
void virt_queue_signal(VirtQueue *q);
/* Posts the request's own reply with @result, if it wants one; @text may be NULL. */
void virt_queue_answer(VirtQueue *q, VirtRequest *r, int result, const char *text, bool signal);
/* Posts VIRT_GUEST_GONE; without memory for it the connection is closed: only a new listing makes up for it. */
void virt_queue_post_gone(VirtQueue *q, const char *uuid, int result, const char *text, uint64_t event_usec);
/* Answers the calls that wait for this guest with -ENOENT: they must not reach a successor. */
void virt_queue_drop_calls(VirtQueue *q, const char *uuid);
void virt_queue_close(VirtQueue *q, const char *text);
/* The request of @w got no result but @result (< 0): if it is a fetch that is still wanted, says so. */
void virt_queue_fetch_failed(VirtQueue *q, const VirtWorker *w, int result, const char *text);
/* Posts VIRT_UNRESPONSIVE for each guest that still hangs, to a new connection. */
void virt_queue_blame_again(VirtQueue *q);
/* The stuck worker's call returned. */
void virt_queue_unstick(VirtQueue *q, const VirtWorker *w);
/* Bit i: the request's guest i does not respond. */
uint32_t virt_queue_unresponsive(const VirtQueue *q, const VirtRequest *r);
/* -EBUSY when it must not be tried now, because of calls that hang. */
int virt_queue_may_run(const VirtQueue *q, const VirtRequest *r);
