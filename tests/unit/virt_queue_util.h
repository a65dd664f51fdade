/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The queue between main, the loop and the worker, with the calls of each side. */

#include <check.h>
#include <poll.h>
#include <stdio.h>

#include "../../daemon/virt_queue.h"

#define A "aaaaaaaa-0000-4000-8000-000000000001"
#define B "bbbbbbbb-0000-4000-8000-000000000002"
#define C "cccccccc-0000-4000-8000-000000000003"
#define LATE (virt_now_usec() + VIRT_CALL_TIMEOUT_USEC + USEC_PER_SEC)

static inline _unused_ bool readable(VirtQueue *q) {
        struct pollfd p = { .fd = virt_queue_get_fd(q), .events = POLLIN };

        return poll(&p, 1, 0) == 1;
}

/* Connected, the worker in place, VIRT_CONNECTED taken. */
static inline _unused_ VirtQueue *connected(VirtWorker *w, uint64_t *ret_generation) {
        VirtMessage *m;
        VirtQueue *q;

        ck_assert_int_eq(virt_queue_new(&q), 0);
        *w = (VirtWorker){ .request = NULL };
        virt_queue_enter(q, w);
        ck_assert_int_eq(virt_queue_open(q, ret_generation), 0);
        virt_queue_connected(q, *ret_generation);
        m = virt_queue_take(q);
        ck_assert_int_eq(m->type, VIRT_CONNECTED);
        (void)virt_message_free(m);
        return q;
}

static inline _unused_ void push_call(VirtQueue *q, VirtCallType type, const char *uuid, uint64_t cookie) {
        VirtCall call = { .type = type, .cookie = cookie };
        VirtRequest *r;

        memcpy(call.uuid, uuid, UUID_TEXT_SIZE);
        ck_assert_int_eq(virt_request_new_call(&call, &r), 0);
        ck_assert_int_eq(virt_queue_push(q, r), 0);
}

static inline _unused_ void push_stats(VirtQueue *q, uint64_t cookie) {
        static const char uuids[][UUID_TEXT_SIZE] = { A, B };
        VirtRequest *r;

        ck_assert_int_eq(virt_request_new_stats(uuids, 2, true, cookie, &r), 0);
        ck_assert_int_eq(virt_queue_push(q, r), 0);
}

static inline _unused_ const VirtRequest *next(VirtQueue *q, VirtWorker *w) {
        const VirtRequest *r;
        bool arm;

        ck_assert_int_eq(virt_queue_next(q, w, &r, &arm), 0);
        return r;
}

static inline _unused_ void expect(VirtQueue *q, VirtMessageType type, const char *uuid, uint64_t cookie, int result) {
        VirtMessage *m = virt_queue_take(q);

        ck_assert_ptr_nonnull(m);
        ck_assert_int_eq(m->type, type);
        ck_assert_str_eq(m->uuid, uuid);
        ck_assert_uint_eq(m->cookie, cookie);
        ck_assert_int_eq(m->result, result);
        (void)virt_message_free(m);
}

static inline _unused_ void expect_nothing(VirtQueue *q) {
        ck_assert_ptr_null(virt_queue_take(q));
        ck_assert(!readable(q));
}

static inline _unused_ VirtMessage *guest_message(const char *uuid) {
        VirtMessage *m;

        ck_assert_int_eq(virt_message_new(VIRT_GUEST, uuid, "started", &m), 0);
        return m;
}

static inline _unused_ VirtMessage *stats_message(void) {
        VirtMessage *m;

        ck_assert_int_eq(virt_message_new(VIRT_STATS, NULL, NULL, &m), 0);
        return m;
}
