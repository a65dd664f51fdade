/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virt_queue_internal.h"

#include <sys/eventfd.h>
#include <time.h>

uint64_t virt_now_usec(void) {
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / NSEC_PER_USEC;
}

struct timespec virt_timespec(uint64_t usec) {
        return (struct timespec){
                .tv_sec = (time_t)(usec / USEC_PER_SEC),
                .tv_nsec = (long)(usec % USEC_PER_SEC * NSEC_PER_USEC),
        };
}

static void lock(VirtQueue *q) {
        (void)pthread_mutex_lock(&q->lock);
}

static void unlock(VirtQueue *q) {
        (void)pthread_mutex_unlock(&q->lock);
}

int virt_queue_new(VirtQueue **ret) {
        _cleanup_free_ VirtQueue *q = NULL;
        pthread_condattr_t attr;

        q = calloc(1, sizeof(*q));
        if (!q)
                return -ENOMEM;
        q->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (q->event_fd < 0)
                return -errno;
        q->refs = 1;
        (void)pthread_mutex_init(&q->lock, NULL);
        (void)pthread_condattr_init(&attr);
        (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        (void)pthread_cond_init(&q->wake, &attr);
        (void)pthread_cond_init(&q->left, &attr);
        (void)pthread_condattr_destroy(&attr);
        *ret = TAKE_PTR(q);
        return 0;
}

VirtQueue *virt_queue_ref(VirtQueue *q) {
        lock(q);
        q->refs++;
        unlock(q);
        return q;
}

static void queue_destroy(VirtQueue *q) {
        VirtMessage *next;

        for (VirtMessage *m = q->head; m; m = next) {
                next = m->next;
                (void)virt_message_free(m);
        }
        for (size_t i = 0; i < _VIRT_LANE_MAX; i++)
                (void)virt_request_free_all(q->lanes[i].head);
        (void)virt_message_free(q->hello);
        (void)virt_message_free(q->goodbye);
        (void)safe_close(q->event_fd);
        (void)pthread_cond_destroy(&q->wake);
        (void)pthread_cond_destroy(&q->left);
        (void)pthread_mutex_destroy(&q->lock);
        free(q);
}

VirtQueue *virt_queue_unref(VirtQueue *q) {
        bool last;

        if (!q)
                return NULL;
        lock(q);
        last = --q->refs == 0;
        unlock(q);
        if (last)
                queue_destroy(q);
        return NULL;
}

/* --- messages --- */

int virt_queue_get_fd(VirtQueue *q) {
        return q->event_fd;
}

void virt_queue_signal(VirtQueue *q) {
        const uint64_t one = 1;

        if (q->signalled || !q->head)
                return;
        (void)!write(q->event_fd, &one, sizeof(one));
        q->signalled = true;
}

void virt_queue_post(VirtQueue *q, VirtMessage *m, bool signal) {
        m->next = NULL;
        m->generation = q->generation;
        if (q->tail)
                q->tail->next = m;
        else
                q->head = m;
        q->tail = m;
        if (signal)
                virt_queue_signal(q);
}

VirtMessage *virt_queue_take(VirtQueue *q) {
        VirtMessage *m;
        uint64_t count;

        lock(q);
        m = q->head;
        if (m) {
                q->head = m->next;
                m->next = NULL;
        }
        if (!q->head) {
                q->tail = NULL;
                if (q->signalled)
                        (void)!read(q->event_fd, &count, sizeof(count));
                q->signalled = false;
        }
        unlock(q);
        return m;
}

void virt_queue_answer(VirtQueue *q, VirtRequest *r, int result, const char *text, bool signal) {
        VirtMessage *m = TAKE_PTR(r->reply);

        if (!m)
                return;
        m->result = result;
        (void)strdup_to(&m->text, text);
        virt_queue_post(q, m, signal);
}

/* --- requests --- */

void virt_queue_lane_push(VirtQueue *q, VirtRequest *r) {
        VirtLaneList *l = &q->lanes[r->lane];

        r->next = NULL;
        if (l->tail)
                l->tail->next = r;
        else
                l->head = r;
        l->tail = r;
        q->n_counted += r->counted;
}

static VirtRequest *lane_pop(VirtQueue *q) {
        for (size_t i = 0; i < _VIRT_LANE_MAX; i++) {
                VirtRequest *r = q->lanes[i].head;

                if (!r)
                        continue;
                q->lanes[i].head = r->next;
                if (!r->next)
                        q->lanes[i].tail = NULL;
                r->next = NULL;
                q->n_counted -= r->counted;
                return r;
        }
        return NULL;
}

void virt_queue_cancel_all(VirtQueue *q, const char *text) {
        for (VirtRequest *r = lane_pop(q); r; r = lane_pop(q)) {
                virt_queue_answer(q, r, -ECANCELED, text, false);
                (void)virt_request_free(r);
        }
        virt_queue_signal(q);
}

static size_t count_counted(const VirtRequest *list) {
        size_t n = 0;

        for (; list; list = list->next)
                n += list->counted;
        return n;
}

int virt_queue_push(VirtQueue *q, VirtRequest *list) {
        int r = 0;

        lock(q);
        if (q->n_counted + count_counted(list) > VIRT_QUEUE_MAX)
                r = -ENOBUFS;
        while (r == 0 && list) {
                VirtRequest *next = list->next;

                virt_queue_lane_push(q, list);
                list = next;
        }
        if (q->link != VIRT_LINK_OPEN || q->stopping)
                virt_queue_cancel_all(q, "not connected to libvirt");
        else
                (void)pthread_cond_signal(&q->wake);
        unlock(q);
        (void)virt_request_free_all(list);
        return r;
}

void virt_queue_stop(VirtQueue *q) {
        lock(q);
        q->stopping = true;
        virt_queue_cancel_all(q, "stopping");
        (void)pthread_cond_broadcast(&q->wake);
        unlock(q);
}

/* --- workers --- */

void virt_queue_enter(VirtQueue *q, VirtWorker *w) {
        lock(q);
        q->worker = w;
        unlock(q);
}

void virt_queue_leave(VirtQueue *q, VirtWorker *w) {
        lock(q);
        if (q->worker == w) {
                q->worker = NULL;
                q->left_thread = pthread_self();
                q->has_left = true;
                (void)pthread_cond_signal(&q->left);
        } else
                (void)pthread_detach(pthread_self());
        unlock(q);
}

bool virt_queue_wait_left(VirtQueue *q, uint64_t timeout_usec, pthread_t *ret_thread) {
        struct timespec until = virt_timespec(virt_now_usec() + timeout_usec);
        bool left;

        lock(q);
        while (!q->has_left)
                if (pthread_cond_timedwait(&q->left, &q->lock, &until) == ETIMEDOUT)
                        break;
        left = q->has_left;
        if (left)
                *ret_thread = q->left_thread;
        else if (q->worker) {
                q->worker->abandoned = true;
                q->worker = NULL;
        }
        unlock(q);
        return left;
}

/* Hands the next request to @w; answers those that must not be tried now. */
static bool next_locked(VirtQueue *q, VirtWorker *w) {
        for (VirtRequest *r = lane_pop(q); r; r = lane_pop(q)) {
                if (virt_queue_may_run(q, r) >= 0) {
                        w->request = r;
                        w->generation = q->generation;
                        w->overtaken = false;
                        w->blamed = 0;
                        w->skip = virt_queue_unresponsive(q, r);
                        r->hung = r->type == VIRT_REQUEST_REFRESH && w->skip != 0;
                        w->started_usec = virt_now_usec();
                        return true;
                }
                virt_queue_answer(q, r, -EBUSY, "the guest's monitor does not respond", true);
                (void)virt_request_free(r);
        }
        return false;
}

int virt_queue_next(VirtQueue *q, VirtWorker *w, const VirtRequest **ret, bool *ret_arm) {
        int r = 1;

        lock(q);
        while (r > 0) {
                if (w->abandoned)
                        r = -ESTALE;
                else if (q->stopping)
                        r = -ESHUTDOWN;
                else if (q->link != VIRT_LINK_OPEN)
                        r = -ENOTCONN;
                else if (next_locked(q, w))
                        r = 0;
                else
                        (void)pthread_cond_wait(&q->wake, &q->lock);
        }
        if (r == 0) {
                *ret = w->request;
                *ret_arm = !q->watching;
                q->watching = true;
        }
        unlock(q);
        return r;
}

static bool is_live(const VirtQueue *q, const VirtWorker *w) {
        return w->generation == q->generation && q->link == VIRT_LINK_OPEN && !q->stopping;
}

/* One wake-up of main for a row of calls. */
static bool wants_signal(const VirtQueue *q, const VirtRequest *r) {
        return r->type != VIRT_REQUEST_CALL || !q->lanes[VIRT_LANE_NORMAL].head;
}

static void post_result(VirtQueue *q, VirtWorker *w, VirtMessage *m) {
        VirtRequest *r = w->request;

        if (is_live(q, w) && !w->overtaken && (!w->abandoned || m->type == VIRT_STATS)) {
                m->cookie = r->reply ? r->reply->cookie : 0;
                virt_queue_post(q, m, true);
                if (m->type == VIRT_GUEST_GONE && m->result == 0)
                        virt_queue_drop_calls(q, m->uuid);
                return;
        }
        (void)virt_message_free(m);
        virt_queue_answer(q, r, -ECANCELED, "the connection to libvirt was lost", true);
}

void virt_queue_fetch_failed(VirtQueue *q, const VirtWorker *w, int result, const char *text) {
        if (w->request->type == VIRT_REQUEST_REFRESH && is_live(q, w) && !w->overtaken && !w->abandoned)
                virt_queue_post_gone(q, w->request->uuids[0], result, text, w->request->event_usec);
}

static void done_locked(VirtQueue *q, VirtWorker *w) {
        virt_queue_unstick(q, w);
        /* The XML that a hung call brings is old by now, but nobody else has fetched it. */
        if (w->abandoned && !w->overtaken && w->request->type == VIRT_REQUEST_REFRESH && is_live(q, w)) {
                virt_queue_lane_push(q, TAKE_PTR(w->request));
                (void)pthread_cond_signal(&q->wake);
        }
}

void virt_queue_done(VirtQueue *q, VirtWorker *w, VirtMessage *m) {
        VirtRequest *request;

        lock(q);
        post_result(q, w, m);
        done_locked(q, w);
        request = TAKE_PTR(w->request);
        unlock(q);
        (void)virt_request_free(request);
}

void virt_queue_done_result(VirtQueue *q, VirtWorker *w, int result, const char *text) {
        VirtRequest *request;

        lock(q);
        /* What took effect did so, whatever became of the connection. */
        if (result >= 0 || is_live(q, w))
                virt_queue_answer(q, w->request, result, text, wants_signal(q, w->request));
        else
                virt_queue_answer(q, w->request, -ECANCELED, "the connection to libvirt was lost", true);
        if (result < 0)
                virt_queue_fetch_failed(q, w, result, text);
        done_locked(q, w);
        request = TAKE_PTR(w->request);
        unlock(q);
        (void)virt_request_free(request);
}

bool virt_queue_is_current(VirtQueue *q, const VirtWorker *w) {
        bool current;

        lock(q);
        current = q->worker == w && !w->abandoned && !q->stopping && q->link != VIRT_LINK_CLOSED;
        unlock(q);
        return current;
}
