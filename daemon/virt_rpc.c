/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The worker: connects, executes requests in order, posts results.
 *
 * A guest whose monitor hangs: bounded waits are not to be had (libvirt waits
 * for QEMU without limit, and for another client's job 30 s), so a second
 * worker it is, but only when needed: the watch (virt_loop.c) starts one when a
 * call is overdue. It makes its calls through a connection of its own (see
 * virt_internal.h) and asks libvirtd first whether the guest is to blame.
 *
 * The worker left behind touches nothing but its own references from then on.
 */
#include "virt_internal.h"

#define RETRY_MIN_USEC (200 * USEC_PER_MSEC)
#define RETRY_MAX_USEC (15 * USEC_PER_SEC)
/* Younger jobs are no evidence: other clients, too, have work done. */
#define HUNG_MIN_MSEC 1000U

typedef struct WorkerStart {
        Virt *v;
        bool replacement;
} WorkerStart;

/* --- executing --- */

/* Not every driver tells when it lost its connection; done() then says -ECANCELED. */
static void check_connection(Virt *v, VirtSession *s, int result, const char *text) {
        if (result == -ENOMEM)
                virt_queue_closed(v->queue, s->generation, "out of memory");
        else if (virConnectIsAlive(s->conn) == 0)
                virt_queue_closed(v->queue, s->generation, text);
}

static int produce(VirtSession *s, const VirtWorker *w, const VirtRequest *request, VirtMessage **ret, char **text) {
        switch (request->type) {
        case VIRT_REQUEST_CALL:
                return virt_call_execute(s, request->call, text);
        case VIRT_REQUEST_STATS:
                return virt_stats_fetch(s, request, w->skip, ret, text);
        case VIRT_REQUEST_REFRESH:
                return virt_guest_fetch(s, request, ret, text);
        case VIRT_REQUEST_LISTED:
                return virt_message_new(VIRT_LISTED, NULL, NULL, ret);
        default:
                return -EINVAL;
        }
}

static void execute(Virt *v, VirtWorker *w, VirtSession *s, const VirtRequest *request) {
        _cleanup_free_ char *text = NULL;
        VirtMessage *m = NULL;
        int r;

        r = produce(s, w, request, &m, &text);
        if (r < 0)
                check_connection(v, s, r, text);
        if (m)
                virt_queue_done(v->queue, w, m);
        else
                virt_queue_done_result(v->queue, w, r, text);
}

/* --- connecting --- */

static void end_session(Virt *v) {
        if (v->session)
                virt_session_end(v->session);
        v->session = virt_session_unref(v->session);
}

/* keepalive does not guard a connection that is not accepted, and is slow to end one that does not answer. */
static void watch_begin(Virt *v) {
        virt_queue_connecting(v->queue, true);
        virt_loop_arm(v, VIRT_CALL_TIMEOUT_USEC);
}

static void watch_end(Virt *v) {
        virt_queue_connecting(v->queue, false);
}

static int connect_once(Virt *v, const VirtWorker *w) {
        _cleanup_(virt_session_unrefp) VirtSession *s = NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        watch_begin(v);
        r = virt_session_open(v->uri, v->queue, &s, &text);
        watch_end(v);
        if (r < 0) {
                virt_queue_connect_failed(v->queue, text ?: strerror(-r));
                return r;
        }
        watch_begin(v);
        r = virt_session_list(s, v->queue, &text);
        watch_end(v);
        if (r < 0)
                virt_queue_closed(v->queue, s->generation, text);
        if (r < 0 || !virt_queue_is_current(v->queue, w)) {
                virt_session_end(s);
                return r < 0 ? r : -ECANCELED;
        }
        v->session = TAKE_PTR(s);
        return 0;
}

/* Until connected (true) or stopped. A connection that did not last continues the row of attempts. */
static bool connect_worker(Virt *v, const VirtWorker *w, uint64_t *delay_usec) {
        while (connect_once(v, w) < 0) {
                if (!virt_queue_sleep(v->queue, virt_now_usec() + *delay_usec))
                        return false;
                *delay_usec = MIN(*delay_usec * 2, RETRY_MAX_USEC);
        }
        return true;
}

/* Requests until the connection is lost or the worker is no longer wanted: why, as of virt_queue_next(). */
static int serve(Virt *v, VirtWorker *w) {
        _cleanup_(virt_session_unrefp) VirtSession *s = virt_session_ref(v->session);
        const VirtRequest *request;
        bool arm;
        int r;

        for (;;) {
                r = virt_queue_next(v->queue, w, &request, &arm);
                if (r < 0)
                        return r;
                if (arm)
                        virt_loop_arm(v, VIRT_CALL_TIMEOUT_USEC);
                execute(v, w, s, request);
        }
}

static void work(Virt *v, VirtWorker *w) {
        uint64_t delay_usec = RETRY_MIN_USEC;

        for (;;) {
                uint64_t since_usec;
                int r;

                if (!v->session && !connect_worker(v, w, &delay_usec))
                        return;
                since_usec = virt_now_usec();
                r = serve(v, w);
                if (r == -ESTALE)
                        return;
                end_session(v);
                if (r == -ESHUTDOWN)
                        return;
                if (virt_now_usec() - since_usec >= RETRY_MAX_USEC)
                        delay_usec = RETRY_MIN_USEC;
                if (!virt_queue_sleep(v->queue, virt_now_usec() + delay_usec))
                        return;
                delay_usec = MIN(delay_usec * 2, RETRY_MAX_USEC);
        }
}

/* --- taking over --- */

static bool is_hung(VirtSession *s, const char *uuid) {
        _cleanup_(virt_domain_freep) virDomainPtr domain = NULL;
        _cleanup_free_ char *text = NULL;
        virDomainControlInfo info;

        domain = virt_session_domain(s, uuid);
        if (!domain)
                return false;
        /* Where a driver cannot tell, the request is all there is to go by. */
        if (virDomainGetControlInfo(domain, &info, 0) < 0)
                return virt_error_take(&text) == -EOPNOTSUPP;
        return info.state == VIR_DOMAIN_CONTROL_ERROR ||
               (info.state != VIR_DOMAIN_CONTROL_OK && info.stateTime >= HUNG_MIN_MSEC);
}

/* Blames the guests that hang, and asks again for the statistics of the others. */
static void judge(Virt *v, VirtRequest *suspects, const VirtWorker *stuck) {
        _cleanup_(virt_request_freep) VirtRequest *request = suspects;
        size_t n = 0;

        for (size_t i = 0; i < request->n_uuids; i++) {
                bool hung = is_hung(v->session, request->uuids[i]);

                if (hung && virt_queue_blame(v->queue, stuck, i))
                        continue;
                memmove(request->uuids[n++], request->uuids[i], UUID_TEXT_SIZE);
        }
        request->n_uuids = n;
        if (request->type == VIRT_REQUEST_STATS)
                (void)virt_queue_push(v->queue, TAKE_PTR(request));
}

/* Without a connection of our own everything begins anew. */
static bool fork_session(Virt *v) {
        _cleanup_free_ char *text = NULL;
        VirtSession *old = v->session, *s;
        int r;

        watch_begin(v);
        r = virt_session_fork(v->uri, old, v->queue, &s, &text);
        watch_end(v);
        if (r < 0) {
                virt_queue_closed(v->queue, old->generation, text ?: strerror(-r));
                return false;
        }
        v->session = s;
        (void)virt_session_unref(old);
        return true;
}

static bool begin(Virt *v, VirtWorker *w, bool replacement) {
        VirtRequest *suspects = NULL;
        const VirtWorker *stuck = NULL;

        if (!replacement)
                return true;
        if (!virt_queue_takeover(v->queue, w, virt_now_usec(), &suspects, &stuck))
                return false;
        if (!fork_session(v))
                (void)virt_queue_push(v->queue, suspects);
        else if (suspects)
                judge(v, suspects, stuck);
        return true;
}

static void *worker_main(void *p) {
        _cleanup_free_ WorkerStart *start = p;
        _cleanup_(virt_unrefp) Virt *v = start->v;
        VirtWorker w = { .request = NULL };

        (void)pthread_setname_np(pthread_self(), "virt-rpc");
        if (!start->replacement)
                virt_queue_enter(v->queue, &w);
        if (begin(v, &w, start->replacement))
                work(v, &w);
        virt_queue_leave(v->queue, &w);
        return NULL;
}

int virt_rpc_start(Virt *v, bool replacement) {
        WorkerStart *start;
        pthread_t thread;
        int r;

        start = malloc(sizeof(*start));
        if (!start)
                return -ENOMEM;
        *start = (WorkerStart){ virt_ref(v), replacement };
        r = pthread_create(&thread, NULL, worker_main, start);
        if (r != 0) {
                (void)virt_unref(v);
                free(start);
        }
        return -r;
}
