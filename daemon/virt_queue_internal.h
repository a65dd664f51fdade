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
        uint64_t connecting_usec;       /* when the attempt under way began; 0: none */
        bool stopping;

        VirtWorker *worker;
        pthread_t left_thread;
        bool has_left;
        bool watching;                  /* the timer is armed */
        VirtWorker *stuck[VIRT_STUCK_MAX];
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
/* The stuck worker's call returned. */
void virt_queue_unstick(VirtQueue *q, const VirtWorker *w);
/* Bit i: the request's guest i does not respond. */
uint32_t virt_queue_unresponsive(const VirtQueue *q, const VirtRequest *r);
/* -EBUSY when it must not be tried now, because of calls that hang. */
int virt_queue_may_run(const VirtQueue *q, const VirtRequest *r);
