/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virt_internal.h"

/* How long stopping waits for a call under way before it leaves it behind. */
#define STOP_TIMEOUT_USEC (3 * USEC_PER_SEC)

Virt *virt_ref(Virt *v) {
        (void)__atomic_add_fetch(&v->refs, 1, __ATOMIC_RELAXED);
        return v;
}

Virt *virt_unref(Virt *v) {
        if (!v || __atomic_sub_fetch(&v->refs, 1, __ATOMIC_ACQ_REL) > 0)
                return NULL;
        (void)virt_session_unref(v->session);
        (void)virt_queue_unref(v->queue);
        free(v->uri);
        free(v);
        return NULL;
}

int virt_new(const char *uri, Virt **ret) {
        _cleanup_(virt_unrefp) Virt *v = NULL;
        int r;

        v = calloc(1, sizeof(*v));
        if (!v)
                return -ENOMEM;
        v->refs = 1;
        r = strdup_to(&v->uri, uri);
        if (r < 0)
                return r;
        r = virt_queue_new(&v->queue);
        if (r < 0)
                return r;
        if (virInitialize() < 0)
                return -EIO;
        virt_error_silence();
        r = virt_loop_start(v);
        if (r < 0)
                return r;
        r = virt_rpc_start(v, false);
        if (r < 0) {
                virt_loop_stop(v);
                return r;
        }
        *ret = TAKE_PTR(v);
        return 0;
}

/* The loop runs until the worker has closed the connection: closing needs it. */
Virt *virt_free(Virt *v) {
        pthread_t worker;

        if (!v)
                return NULL;
        virt_queue_stop(v->queue);
        if (virt_queue_wait_left(v->queue, STOP_TIMEOUT_USEC, &worker))
                (void)pthread_join(worker, NULL);
        virt_loop_stop(v);
        return virt_unref(v);
}

int virt_get_fd(Virt *v) {
        return virt_queue_get_fd(v->queue);
}

VirtMessage *virt_take(Virt *v) {
        return virt_queue_take(v->queue);
}

/* Appends @r to the chain that ends at *@tail. */
static void append(VirtRequest ***tail, VirtRequest *r) {
        r->counted = true;
        **tail = r;
        *tail = &r->next;
}

int virt_submit(Virt *v, const VirtCall *calls, size_t n) {
        _cleanup_(virt_request_free_allp) VirtRequest *list = NULL;
        VirtRequest **tail = &list;

        for (size_t i = 0; i < n; i++) {
                VirtRequest *request;
                int r;

                r = virt_request_new_call(&calls[i], &request);
                if (r < 0)
                        return r;
                append(&tail, request);
        }
        return virt_queue_push(v->queue, TAKE_PTR(list));
}

int virt_request_stats(Virt *v, const char (*uuids)[UUID_TEXT_SIZE], size_t n, uint64_t cookie) {
        _cleanup_(virt_request_free_allp) VirtRequest *list = NULL;
        VirtRequest **tail = &list;
        size_t done = 0;

        do {
                size_t chunk = MIN(n - done, VIRT_STATS_CHUNK);
                VirtRequest *request;
                int r;

                r = virt_request_new_stats(uuids + done, chunk, done + chunk == n, cookie, &request);
                if (r < 0)
                        return r;
                append(&tail, request);
                done += chunk;
        } while (done < n);
        return virt_queue_push(v->queue, TAKE_PTR(list));
}

int virt_refresh(Virt *v, const char *uuid) {
        char text[1][UUID_TEXT_SIZE] = { "" };
        VirtRequest *request;
        int r;

        if (strlen(uuid) >= UUID_TEXT_SIZE)
                return -EINVAL;
        memcpy(text[0], uuid, strlen(uuid));
        r = virt_request_new(VIRT_REQUEST_REFRESH, text, 1, &request);
        if (r < 0)
                return r;
        request->event = "refreshed";
        request->counted = true;
        return virt_queue_push(v->queue, request);
}
