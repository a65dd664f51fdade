/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hung calls. A call is overdue after VIRT_CALL_TIMEOUT_USEC (twice that for VIRT_SET_VCPUS). Whether the guest
 * or libvirtd itself hangs, only another call can tell: so the replacement
 * worker asks libvirtd what each suspect is doing (virDomainGetControlInfo(3)
 * needs neither monitor nor job) and blames those that are stuck. When libvirtd
 * is what hangs, that question hangs too, nobody is blamed, and keepalive ends
 * the connection.
 *
 * One call more than may be left behind: the connection is given up, so that
 * main knows where it stands, and one last replacement connects anew. Should its
 * calls hang as well, it stays at that until one of all those calls returns.
 */
#include "virt_queue_internal.h"

_Static_assert(VIRT_STATS_CHUNK <= 32, "VirtWorker.blamed has a bit for each guest of a request");

/* libvirt itself gives a guest 5 s to let go of a vCPU. */
static uint64_t deadline(const VirtWorker *w) {
        const VirtCall *call = w->request->call;

        return u64_add(w->started_usec, VIRT_CALL_TIMEOUT_USEC * (call && call->type == VIRT_SET_VCPUS ? 2 : 1));
}

static bool overdue(const VirtWorker *w, uint64_t now_usec) {
        return w && w->request && now_usec >= deadline(w);
}

static bool is_unresponsive(const VirtQueue *q, const char *uuid) {
        for (size_t i = 0; i < q->n_stuck; i++) {
                const VirtWorker *w = q->stuck[i];

                for (size_t k = 0; k < w->request->n_uuids; k++)
                        if ((w->blamed >> k & 1U) != 0 && streq(w->request->uuids[k], uuid))
                                return true;
        }
        return false;
}

uint32_t virt_queue_unresponsive(const VirtQueue *q, const VirtRequest *r) {
        uint32_t bits = 0;

        for (size_t i = 0; q->n_stuck > 0 && i < r->n_uuids; i++)
                if (is_unresponsive(q, r->uuids[i]))
                        bits |= UINT32_C(1) << i;
        return bits;
}

static bool needs_monitor(const VirtRequest *r) {
        if (r->type == VIRT_REQUEST_STATS)
                return true;
        return r->call && (r->call->type == VIRT_SET_MEMORY || r->call->type == VIRT_SET_STATS_PERIOD ||
                           r->call->type == VIRT_SET_VCPUS);
}

/* The XML needs neither monitor nor job: a refresh may always run. */
int virt_queue_may_run(const VirtQueue *q, const VirtRequest *r) {
        if (r->type != VIRT_REQUEST_CALL && r->type != VIRT_REQUEST_STATS)
                return 0;
        if (q->n_stuck >= VIRT_STUCK_MAX && needs_monitor(r))
                return -EBUSY;
        if (r->n_uuids == 0)
                return 0;
        return virt_queue_unresponsive(q, r) == UINT32_MAX >> (32 - r->n_uuids) ? -EBUSY : 0;
}

void virt_queue_unstick(VirtQueue *q, const VirtWorker *w) {
        for (size_t i = 0; i < q->n_stuck; i++) {
                if (q->stuck[i] != w)
                        continue;
                q->stuck[i] = q->stuck[--q->n_stuck];
                for (size_t k = 0; k < w->request->n_uuids; k++) {
                        VirtMessage *m;

                        if ((w->blamed >> k & 1U) == 0 || q->link != VIRT_LINK_OPEN ||
                            is_unresponsive(q, w->request->uuids[k]))
                                continue;
                        if (virt_message_new(VIRT_RESPONSIVE, w->request->uuids[k], NULL, &m) >= 0)
                                virt_queue_post(q, m, true);
                }
                return;
        }
}

static void post_unresponsive(VirtQueue *q, const char *uuid) {
        VirtMessage *m;

        if (q->link == VIRT_LINK_OPEN && virt_message_new(VIRT_UNRESPONSIVE, uuid, NULL, &m) >= 0)
                virt_queue_post(q, m, true);
}

void virt_queue_blame_again(VirtQueue *q) {
        for (size_t i = 0; i < q->n_stuck; i++) {
                const VirtWorker *w = q->stuck[i];

                for (size_t k = 0; k < w->request->n_uuids; k++)
                        if ((w->blamed >> k & 1U) != 0)
                                post_unresponsive(q, w->request->uuids[k]);
        }
}

/* connect(2) succeeds and nothing answers: keepalive does not guard this yet. */
static void watch_connecting(VirtQueue *q, uint64_t now_usec) {
        VirtMessage *m;

        if (q->connecting_usec == 0 || now_usec < u64_add(q->connecting_usec, VIRT_CALL_TIMEOUT_USEC))
                return;
        /* The listing, or another connection for a replacement. */
        if (q->link == VIRT_LINK_OPEN) {
                q->connecting_usec = 0;
                virt_queue_close(q, "libvirt does not answer");
                return;
        }
        if (q->failing)
                return;
        if (virt_message_new(VIRT_CONNECT_FAILED, NULL, "libvirt does not answer", &m) < 0)
                return;
        q->failing = true;
        virt_queue_post(q, m, true);
}

/* The worker's request is answered while it still hangs. */
static void answer_overdue(VirtQueue *q, VirtWorker *w) {
        static const char text[] = "libvirt did not answer in time";

        virt_queue_answer(q, w->request, -ETIMEDOUT, text, true);
        virt_queue_fetch_failed(q, w, -ETIMEDOUT, text);
}

static uint64_t watch_overdue(VirtQueue *q) {
        if (q->n_stuck >= VIRT_STUCK_MAX) {
                answer_overdue(q, q->worker);
                virt_queue_close(q, "too many calls do not return");
        }
        return q->n_stuck < ELEMENTSOF(q->stuck) && !q->stopping ? 0 : VIRT_CALL_TIMEOUT_USEC;
}

uint64_t virt_queue_watch(VirtQueue *q, uint64_t now_usec) {
        uint64_t wait = VIRT_WATCH_IDLE;

        (void)pthread_mutex_lock(&q->lock);
        watch_connecting(q, now_usec);
        if (overdue(q->worker, now_usec))
                wait = watch_overdue(q);
        else if (q->worker && q->worker->request)
                wait = u64_sub(deadline(q->worker), now_usec);
        else if (q->connecting_usec != 0 && !q->failing)
                wait = VIRT_CALL_TIMEOUT_USEC;
        q->watching = wait != VIRT_WATCH_IDLE;
        (void)pthread_mutex_unlock(&q->lock);
        return wait;
}

/* What is left to do of an overdue request: its statistics, by the next worker; a call was tried. */
static VirtRequest *copy_request(VirtRequest *r) {
        VirtRequest *copy = NULL;

        if (virt_request_new(r->type, r->uuids, r->n_uuids, &copy) < 0)
                return NULL;
        if (r->type == VIRT_REQUEST_STATS)
                copy->reply = TAKE_PTR(r->reply);
        return copy;
}

bool virt_queue_takeover(VirtQueue *q, VirtWorker *w, uint64_t now_usec, VirtRequest **ret_suspects,
                         const VirtWorker **ret_stuck) {
        VirtWorker *old;
        bool take;

        (void)pthread_mutex_lock(&q->lock);
        old = q->worker;
        take = overdue(old, now_usec) && q->n_stuck < ELEMENTSOF(q->stuck) && !q->stopping;
        if (take) {
                *ret_suspects = copy_request(old->request);
                *ret_stuck = old;
                answer_overdue(q, old);
                old->abandoned = true;
                q->stuck[q->n_stuck++] = old;
                q->worker = w;
                w->generation = old->generation;
        }
        (void)pthread_mutex_unlock(&q->lock);
        return take;
}

bool virt_queue_blame(VirtQueue *q, const VirtWorker *stuck, size_t i) {
        bool found = false;

        (void)pthread_mutex_lock(&q->lock);
        for (size_t k = 0; k < q->n_stuck; k++) {
                VirtWorker *w = q->stuck[k];

                if (w != stuck)
                        continue;
                found = true;
                if (i >= w->request->n_uuids || is_unresponsive(q, w->request->uuids[i]))
                        break;
                w->blamed |= UINT32_C(1) << i;
                post_unresponsive(q, w->request->uuids[i]);
        }
        (void)pthread_mutex_unlock(&q->lock);
        return found;
}
