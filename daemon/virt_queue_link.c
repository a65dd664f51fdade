/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The connection's comings and goings, and its events. */
#include "virt_queue_internal.h"

static void lock(VirtQueue *q) {
        (void)pthread_mutex_lock(&q->lock);
}

static void unlock(VirtQueue *q) {
        (void)pthread_mutex_unlock(&q->lock);
}

/* --- the connection --- */

int virt_queue_open(VirtQueue *q, uint64_t *ret_generation) {
        _cleanup_(virt_message_freep) VirtMessage *hello = NULL, *goodbye = NULL;
        int r;

        r = virt_message_new(VIRT_CONNECTED, NULL, NULL, &hello);
        if (r < 0)
                return r;
        r = virt_message_new(VIRT_DISCONNECTED, NULL, NULL, &goodbye);
        if (r < 0)
                return r;
        lock(q);
        (void)virt_message_free(q->hello);
        (void)virt_message_free(q->goodbye);
        q->hello = TAKE_PTR(hello);
        q->goodbye = TAKE_PTR(goodbye);
        q->link = VIRT_LINK_OPENING;
        *ret_generation = ++q->generation;
        unlock(q);
        return 0;
}

void virt_queue_connected(VirtQueue *q, uint64_t generation) {
        lock(q);
        if (q->generation == generation && q->link == VIRT_LINK_OPENING) {
                q->link = VIRT_LINK_OPEN;
                q->failing = false;
                virt_queue_post(q, TAKE_PTR(q->hello), true);
                virt_queue_blame_again(q);
        }
        unlock(q);
}

void virt_queue_close(VirtQueue *q, const char *text) {
        if (q->link == VIRT_LINK_CLOSED)
                return;
        virt_queue_cancel_all(q, text);
        if (q->link == VIRT_LINK_OPEN) {
                (void)strdup_to(&q->goodbye->text, text);
                virt_queue_post(q, TAKE_PTR(q->goodbye), true);
        }
        q->link = VIRT_LINK_CLOSED;
        (void)pthread_cond_broadcast(&q->wake);
}

void virt_queue_closed(VirtQueue *q, uint64_t generation, const char *text) {
        lock(q);
        if (q->generation == generation)
                virt_queue_close(q, text);
        unlock(q);
}

void virt_queue_connect_failed(VirtQueue *q, const char *text) {
        VirtMessage *m;

        lock(q);
        if (!q->failing && virt_message_new(VIRT_CONNECT_FAILED, NULL, text, &m) >= 0) {
                q->failing = true;
                virt_queue_post(q, m, true);
        }
        unlock(q);
}

void virt_queue_connecting(VirtQueue *q, bool begins) {
        lock(q);
        q->connecting_usec = begins ? virt_now_usec() : 0;
        q->watching = q->watching || begins;
        unlock(q);
}

bool virt_queue_sleep(VirtQueue *q, uint64_t until_usec) {
        struct timespec until = virt_timespec(until_usec);
        bool stopping;

        lock(q);
        while (!q->stopping && virt_now_usec() < until_usec)
                (void)pthread_cond_timedwait(&q->wake, &q->lock, &until);
        stopping = q->stopping;
        unlock(q);
        return !stopping;
}

/* --- events --- */

/* A fetch that has not begun yet will see whatever this event is about. */
static bool merge_refresh(VirtQueue *q, VirtLane lane, const char *uuid, const char *event, bool job) {
        for (size_t i = 0; i <= (size_t)lane; i++)
                for (VirtRequest *r = q->lanes[i].head; r; r = r->next)
                        if (r->type == VIRT_REQUEST_REFRESH && streq(r->uuids[0], uuid)) {
                                r->job = r->job || job;
                                if (r->lane == VIRT_LANE_NORMAL)
                                        r->event = event;
                                return true;
                        }
        return false;
}

void virt_queue_refresh(VirtQueue *q, uint64_t generation, const char *uuid, const char *event, bool urgent,
                        bool job) {
        VirtLane lane = urgent ? VIRT_LANE_URGENT : VIRT_LANE_NORMAL;
        char text[1][UUID_TEXT_SIZE] = { "" };
        VirtRequest *r;

        memcpy(text[0], uuid, strnlen(uuid, UUID_TEXT_SIZE - 1));
        lock(q);
        if (q->generation != generation || q->link == VIRT_LINK_CLOSED || q->stopping ||
            merge_refresh(q, lane, uuid, event, job)) {
                unlock(q);
                return;
        }
        /* An event lost for lack of memory: only a new listing can make up for it. */
        if (virt_request_new(VIRT_REQUEST_REFRESH, text, 1, &r) < 0)
                virt_queue_close(q, "out of memory");
        else {
                r->lane = lane;
                r->event = event;
                r->event_usec = virt_now_usec();
                r->job = job;
                virt_queue_lane_push(q, r);
                (void)pthread_cond_signal(&q->wake);
        }
        unlock(q);
}

/* A call that wants an answer gets -ENOENT; a refresh is answered by the message that the guest is gone. */
static void drop_requests(VirtQueue *q, VirtRequestType type, const char *uuid) {
        for (size_t i = 0; i < _VIRT_LANE_MAX; i++) {
                VirtLaneList old = q->lanes[i];
                VirtRequest *next;

                q->lanes[i] = (VirtLaneList){ NULL, NULL };
                for (VirtRequest *r = old.head; r; r = next) {
                        next = r->next;
                        q->n_counted -= r->counted;
                        if (r->type != type || !streq(r->uuids[0], uuid)) {
                                virt_queue_lane_push(q, r);
                                continue;
                        }
                        virt_queue_answer(q, r, -ENOENT, "the guest is gone", true);
                        (void)virt_request_free(r);
                }
        }
}

void virt_queue_drop_calls(VirtQueue *q, const char *uuid) {
        drop_requests(q, VIRT_REQUEST_CALL, uuid);
}

void virt_queue_post_gone(VirtQueue *q, const char *uuid, int result, const char *text, uint64_t event_usec) {
        VirtMessage *m;

        if (virt_message_new(VIRT_GUEST_GONE, uuid, text, &m) < 0) {
                virt_queue_close(q, "out of memory");
                return;
        }
        m->result = result;
        m->event_usec = event_usec;
        virt_queue_post(q, m, true);
}

static void overtake(VirtWorker *w, const char *uuid) {
        if (w && w->request && w->request->type == VIRT_REQUEST_REFRESH && streq(w->request->uuids[0], uuid))
                w->overtaken = true;
}

void virt_queue_gone(VirtQueue *q, uint64_t generation, const char *uuid, const char *text) {
        lock(q);
        if (q->generation == generation && q->link != VIRT_LINK_CLOSED) {
                drop_requests(q, VIRT_REQUEST_REFRESH, uuid);
                overtake(q->worker, uuid);
                for (size_t i = 0; i < q->n_stuck; i++)
                        overtake(q->stuck[i], uuid);
                virt_queue_post_gone(q, uuid, 0, text, virt_now_usec());
                virt_queue_drop_calls(q, uuid);
        }
        unlock(q);
}

void virt_queue_balloon(VirtQueue *q, uint64_t generation, const char *uuid, uint64_t current_bytes) {
        VirtMessage *m;

        lock(q);
        if (q->generation == generation && q->link != VIRT_LINK_CLOSED) {
                if (virt_message_new(VIRT_BALLOON, uuid, NULL, &m) < 0)
                        virt_queue_close(q, "out of memory");
                else {
                        m->current_bytes = current_bytes;
                        m->event_usec = virt_now_usec();
                        virt_queue_post(q, m, true);
                }
        }
        unlock(q);
}
