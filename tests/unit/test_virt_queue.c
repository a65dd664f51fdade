/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The queue between main, the loop and the worker, alone: order, answers that
 * never get lost, hung calls, and threads at once (to be run with
 * -fsanitize=thread as well).
 */
#include "../../daemon/virt_queue.h"

#include <check.h>
#include <poll.h>
#include <stdio.h>

#define A "aaaaaaaa-0000-4000-8000-000000000001"
#define B "bbbbbbbb-0000-4000-8000-000000000002"
#define C "cccccccc-0000-4000-8000-000000000003"
#define LATE (virt_now_usec() + VIRT_CALL_TIMEOUT_USEC + USEC_PER_SEC)

static bool readable(VirtQueue *q) {
        struct pollfd p = { .fd = virt_queue_get_fd(q), .events = POLLIN };

        return poll(&p, 1, 0) == 1;
}

/* Connected, the worker in place, VIRT_CONNECTED taken. */
static VirtQueue *connected(VirtWorker *w, uint64_t *ret_generation) {
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

static void push_call(VirtQueue *q, VirtCallType type, const char *uuid, uint64_t cookie) {
        VirtCall call = { .type = type, .cookie = cookie };
        VirtRequest *r;

        memcpy(call.uuid, uuid, UUID_TEXT_SIZE);
        ck_assert_int_eq(virt_request_new_call(&call, &r), 0);
        ck_assert_int_eq(virt_queue_push(q, r), 0);
}

static void push_stats(VirtQueue *q, uint64_t cookie) {
        static const char uuids[][UUID_TEXT_SIZE] = { A, B };
        VirtRequest *r;

        ck_assert_int_eq(virt_request_new_stats(uuids, 2, true, cookie, &r), 0);
        ck_assert_int_eq(virt_queue_push(q, r), 0);
}

static const VirtRequest *next(VirtQueue *q, VirtWorker *w) {
        const VirtRequest *r;
        bool arm;

        ck_assert_int_eq(virt_queue_next(q, w, &r, &arm), 0);
        return r;
}

static void expect(VirtQueue *q, VirtMessageType type, const char *uuid, uint64_t cookie, int result) {
        VirtMessage *m = virt_queue_take(q);

        ck_assert_ptr_nonnull(m);
        ck_assert_int_eq(m->type, type);
        ck_assert_str_eq(m->uuid, uuid);
        ck_assert_uint_eq(m->cookie, cookie);
        ck_assert_int_eq(m->result, result);
        (void)virt_message_free(m);
}

static void expect_nothing(VirtQueue *q) {
        ck_assert_ptr_null(virt_queue_take(q));
        ck_assert(!readable(q));
}

static VirtMessage *guest_message(const char *uuid) {
        VirtMessage *m;

        ck_assert_int_eq(virt_message_new(VIRT_GUEST, uuid, "started", &m), 0);
        return m;
}

static VirtMessage *stats_message(void) {
        VirtMessage *m;

        ck_assert_int_eq(virt_message_new(VIRT_STATS, NULL, NULL, &m), 0);
        return m;
}

START_TEST(test_started_guest_overtakes_everything_and_statistics_wait) {
        VirtWorker w;
        uint64_t g;
        VirtQueue *q = connected(&w, &g);

        push_stats(q, 1);
        push_call(q, VIRT_PIN_VCPU, A, 2);
        push_call(q, VIRT_PIN_EMULATOR, A, 3);
        virt_queue_refresh(q, g, B, "started", true, false);

        ck_assert_int_eq(next(q, &w)->type, VIRT_REQUEST_REFRESH);
        virt_queue_done(q, &w, guest_message(B));
        ck_assert_int_eq(next(q, &w)->call->type, VIRT_PIN_VCPU);
        virt_queue_done_result(q, &w, 0, NULL);
        ck_assert_int_eq(next(q, &w)->call->type, VIRT_PIN_EMULATOR);
        virt_queue_done_result(q, &w, -EIO, "no");
        ck_assert_int_eq(next(q, &w)->type, VIRT_REQUEST_STATS);
        virt_queue_done(q, &w, stats_message());

        expect(q, VIRT_GUEST, B, 0, 0);
        expect(q, VIRT_DONE, A, 2, 0);
        expect(q, VIRT_DONE, A, 3, -EIO);
        expect(q, VIRT_STATS, "", 1, 0);
        expect_nothing(q);
        virt_queue_unref(q);
}
END_TEST

START_TEST(test_row_of_calls_wakes_main_once) {
        VirtWorker w;
        uint64_t g;
        VirtQueue *q = connected(&w, &g);

        push_call(q, VIRT_PIN_VCPU, A, 1);
        push_call(q, VIRT_PIN_VCPU, A, 2);
        (void)next(q, &w);
        virt_queue_done_result(q, &w, 0, NULL);
        ck_assert(!readable(q));
        (void)next(q, &w);
        virt_queue_done_result(q, &w, 0, NULL);
        ck_assert(readable(q));
        expect(q, VIRT_DONE, A, 1, 0);
        ck_assert(readable(q));
        expect(q, VIRT_DONE, A, 2, 0);
        expect_nothing(q);
        virt_queue_unref(q);
}
END_TEST

START_TEST(test_events_of_one_guest_are_fetched_once) {
        VirtWorker w;
        uint64_t g;
        VirtQueue *q = connected(&w, &g);
        const VirtRequest *r;

        virt_queue_refresh(q, g, A, "tunable", false, false);
        virt_queue_refresh(q, g, A, "job-completed", false, true);
        virt_queue_refresh(q, g, B, "started", true, false);
        virt_queue_refresh(q, g, B, "tunable", false, false);
        r = next(q, &w);
        ck_assert_str_eq(r->uuids[0], B);
        ck_assert_str_eq(r->event, "started");
        /* A fetch under way may have missed it: fetched again. */
        virt_queue_refresh(q, g, B, "suspended", false, false);
        virt_queue_done(q, &w, guest_message(B));
        r = next(q, &w);
        ck_assert_str_eq(r->uuids[0], A);
        ck_assert_str_eq(r->event, "job-completed");
        ck_assert(r->job);
        virt_queue_done(q, &w, guest_message(A));
        ck_assert_str_eq(next(q, &w)->event, "suspended");
        virt_queue_done(q, &w, guest_message(B));
        virt_queue_unref(q);
}
END_TEST

START_TEST(test_guest_that_stopped_while_fetched_does_not_come_back) {
        VirtWorker w;
        uint64_t g;
        VirtQueue *q = connected(&w, &g);

        virt_queue_refresh(q, g, A, "started", true, false);
        (void)next(q, &w);
        virt_queue_gone(q, g, A, "destroyed");
        virt_queue_done(q, &w, guest_message(A));
        expect(q, VIRT_GUEST_GONE, A, 0, 0);
        expect_nothing(q);

        /* Started, stopped and started again while another guest's XML was fetched. */
        virt_queue_refresh(q, g, B, "started", true, false);
        (void)next(q, &w);
        virt_queue_refresh(q, g, A, "started", true, false);
        virt_queue_gone(q, g, A, "destroyed");
        virt_queue_refresh(q, g, A, "started", true, false);
        virt_queue_done(q, &w, guest_message(B));
        (void)next(q, &w);
        virt_queue_done(q, &w, guest_message(A));
        expect(q, VIRT_GUEST_GONE, A, 0, 0);
        expect(q, VIRT_GUEST, B, 0, 0);
        expect(q, VIRT_GUEST, A, 0, 0);
        expect_nothing(q);
        virt_queue_unref(q);
}
END_TEST

START_TEST(test_lost_connection_is_said_once_and_cancels_what_waits) {
        const VirtRequest *r;
        VirtWorker w;
        uint64_t g, newer;
        VirtQueue *q = connected(&w, &g);
        bool arm;

        push_call(q, VIRT_SET_MEMORY, A, 1);
        (void)next(q, &w);
        push_call(q, VIRT_SET_MEMORY, B, 2);
        push_stats(q, 3);
        virt_queue_closed(q, g, "keepalive");
        virt_queue_closed(q, g, "again");
        expect(q, VIRT_DONE, B, 2, -ECANCELED);
        expect(q, VIRT_STATS, "", 3, -ECANCELED);
        expect(q, VIRT_DISCONNECTED, "", 0, 0);
        virt_queue_done_result(q, &w, -EIO, "broken pipe");
        expect(q, VIRT_DONE, A, 1, -ECANCELED);
        ck_assert_int_eq(virt_queue_next(q, &w, &r, &arm), -ENOTCONN);

        push_call(q, VIRT_SET_MEMORY, A, 4);
        expect(q, VIRT_DONE, A, 4, -ECANCELED);

        /* Late events of the old connection mean nothing to the new one. */
        ck_assert_int_eq(virt_queue_open(q, &newer), 0);
        ck_assert_uint_eq(newer, g + 1);
        virt_queue_connected(q, newer);
        virt_queue_gone(q, g, A, "destroyed");
        virt_queue_balloon(q, g, A, 1);
        virt_queue_refresh(q, g, A, "started", true, false);
        virt_queue_closed(q, g, "late");
        expect(q, VIRT_CONNECTED, "", 0, 0);
        expect_nothing(q);
        virt_queue_unref(q);
}
END_TEST

START_TEST(test_call_that_took_effect_before_the_connection_was_lost_succeeded) {
        VirtWorker w;
        uint64_t g;
        VirtQueue *q = connected(&w, &g);

        push_call(q, VIRT_SET_MEMORY, A, 1);
        (void)next(q, &w);
        virt_queue_closed(q, g, "keepalive");
        virt_queue_done_result(q, &w, 0, NULL);
        expect(q, VIRT_DISCONNECTED, "", 0, 0);
        expect(q, VIRT_DONE, A, 1, 0);
        expect_nothing(q);
        virt_queue_unref(q);
}
END_TEST

START_TEST(test_running_guest_whose_xml_cannot_be_had_is_named_before_the_listing_ends) {
        static const char uuids[][UUID_TEXT_SIZE] = { A };
        VirtRequest *refresh, *listed;
        VirtMessage *m;
        VirtWorker w;
        uint64_t g;
        VirtQueue *q = connected(&w, &g);

        ck_assert_int_eq(virt_request_new(VIRT_REQUEST_REFRESH, uuids, 1, &refresh), 0);
        ck_assert_int_eq(virt_request_new(VIRT_REQUEST_LISTED, NULL, 0, &listed), 0);
        refresh->lane = VIRT_LANE_BACKGROUND;
        refresh->next = listed;
        ck_assert_int_eq(virt_queue_push(q, refresh), 0);
        ck_assert_int_eq(next(q, &w)->type, VIRT_REQUEST_REFRESH);
        virt_queue_done_result(q, &w, -EIO, "no");
        ck_assert_int_eq(next(q, &w)->type, VIRT_REQUEST_LISTED);
        ck_assert_int_eq(virt_message_new(VIRT_LISTED, NULL, NULL, &m), 0);
        virt_queue_done(q, &w, m);
        m = virt_queue_take(q);
        ck_assert_str_eq(m->text, "no");
        ck_assert_int_eq(m->type, VIRT_GUEST_GONE);
        ck_assert_int_eq(m->result, -EIO);
        ck_assert_str_eq(m->uuid, A);
        (void)virt_message_free(m);
        expect(q, VIRT_LISTED, "", 0, 0);
        expect_nothing(q);
        virt_queue_unref(q);
}
END_TEST

static const struct {
        const char *name;
        bool stops, closes;
        VirtMessageType only;
} silent_rows[] = {
        { "the guest stopped meanwhile", true, false, VIRT_GUEST_GONE },
        { "the connection was lost", false, true, VIRT_DISCONNECTED },
};

START_TEST(test_failed_fetch_that_nobody_wants_any_more_says_nothing) {
        VirtWorker w;
        uint64_t g;
        VirtQueue *q = connected(&w, &g);
        VirtMessage *m;

        virt_queue_refresh(q, g, A, "started", true, false);
        (void)next(q, &w);
        if (silent_rows[_i].stops)
                virt_queue_gone(q, g, A, "destroyed");
        if (silent_rows[_i].closes)
                virt_queue_closed(q, g, "why");
        virt_queue_done_result(q, &w, -EIO, "no");
        m = virt_queue_take(q);
        ck_assert_msg(m && m->type == silent_rows[_i].only && m->result == 0, "%s", silent_rows[_i].name);
        (void)virt_message_free(m);
        expect_nothing(q);
        virt_queue_unref(q);
}
END_TEST

START_TEST(test_calls_for_a_guest_that_is_gone_do_not_reach_its_successor) {
        VirtWorker w;
        uint64_t g;
        VirtQueue *q = connected(&w, &g);

        push_call(q, VIRT_PIN_VCPU, A, 1);
        push_call(q, VIRT_PIN_VCPU, B, 2);
        push_call(q, VIRT_SET_MEMORY, A, 0);
        virt_queue_gone(q, g, A, "destroyed");
        virt_queue_refresh(q, g, A, "started", true, false);
        push_call(q, VIRT_PIN_VCPU, A, 3);
        expect(q, VIRT_GUEST_GONE, A, 0, 0);
        expect(q, VIRT_DONE, A, 1, -ENOENT);
        expect_nothing(q);
        ck_assert_str_eq(next(q, &w)->event, "started");
        virt_queue_done(q, &w, guest_message(A));
        ck_assert_uint_eq(next(q, &w)->call->cookie, 2);
        virt_queue_done_result(q, &w, 0, NULL);
        ck_assert_uint_eq(next(q, &w)->call->cookie, 3);
        virt_queue_done_result(q, &w, 0, NULL);
        virt_queue_unref(q);
}
END_TEST

START_TEST(test_fetch_that_finds_the_guest_gone_ends_its_calls) {
        VirtMessage *gone;
        VirtWorker w;
        uint64_t g;
        VirtQueue *q = connected(&w, &g);

        virt_queue_refresh(q, g, A, "started", true, false);
        (void)next(q, &w);
        push_call(q, VIRT_PIN_VCPU, A, 1);
        push_call(q, VIRT_PIN_VCPU, B, 2);
        virt_queue_refresh(q, g, A, "resumed", false, false);
        ck_assert_int_eq(virt_message_new(VIRT_GUEST_GONE, A, "stopped", &gone), 0);
        virt_queue_done(q, &w, gone);
        expect(q, VIRT_GUEST_GONE, A, 0, 0);
        expect(q, VIRT_DONE, A, 1, -ENOENT);
        expect_nothing(q);
        ck_assert_uint_eq(next(q, &w)->call->cookie, 2);
        virt_queue_done_result(q, &w, 0, NULL);
        ck_assert_str_eq(next(q, &w)->event, "resumed");
        virt_queue_done(q, &w, guest_message(A));
        virt_queue_unref(q);
}
END_TEST

START_TEST(test_result_of_an_older_connection_is_not_posted) {
        VirtWorker w;
        uint64_t g, newer;
        VirtQueue *q = connected(&w, &g);

        virt_queue_refresh(q, g, A, "started", true, false);
        (void)next(q, &w);
        virt_queue_closed(q, g, "gone");
        ck_assert_int_eq(virt_queue_open(q, &newer), 0);
        virt_queue_connected(q, newer);
        virt_queue_done(q, &w, guest_message(A));
        expect(q, VIRT_DISCONNECTED, "", 0, 0);
        expect(q, VIRT_CONNECTED, "", 0, 0);
        expect_nothing(q);
        virt_queue_unref(q);
}
END_TEST

START_TEST(test_failed_attempts_are_said_once_in_a_row) {
        VirtMessage *m;
        VirtQueue *q;
        uint64_t g;

        ck_assert_int_eq(virt_queue_new(&q), 0);
        virt_queue_connect_failed(q, "first");
        virt_queue_connect_failed(q, "second");
        m = virt_queue_take(q);
        ck_assert_str_eq(m->text, "first");
        (void)virt_message_free(m);
        expect_nothing(q);
        ck_assert_int_eq(virt_queue_open(q, &g), 0);
        virt_queue_connected(q, g);
        virt_queue_closed(q, g, "why");
        virt_queue_connect_failed(q, "third");
        expect(q, VIRT_CONNECTED, "", 0, 0);
        expect(q, VIRT_DISCONNECTED, "", 0, 0);
        expect(q, VIRT_CONNECT_FAILED, "", 0, 0);
        virt_queue_unref(q);
}
END_TEST

START_TEST(test_attempt_that_hangs_is_a_failure) {
        VirtQueue *q;

        ck_assert_int_eq(virt_queue_new(&q), 0);
        virt_queue_connecting(q, true);
        ck_assert_uint_ne(virt_queue_watch(q, virt_now_usec()), VIRT_WATCH_IDLE);
        expect_nothing(q);
        (void)virt_queue_watch(q, LATE);
        expect(q, VIRT_CONNECT_FAILED, "", 0, 0);
        ck_assert_uint_eq(virt_queue_watch(q, LATE), VIRT_WATCH_IDLE);
        virt_queue_unref(q);
}
END_TEST

START_TEST(test_listing_or_replacement_that_libvirt_does_not_answer_ends_the_connection) {
        VirtMessage *m;
        VirtWorker w;
        uint64_t g, newer;
        VirtQueue *q = connected(&w, &g);

        virt_queue_connecting(q, true);
        push_call(q, VIRT_PIN_VCPU, A, 1);
        ck_assert_uint_ne(virt_queue_watch(q, virt_now_usec()), VIRT_WATCH_IDLE);
        expect_nothing(q);
        ck_assert_uint_eq(virt_queue_watch(q, LATE), VIRT_WATCH_IDLE);
        expect(q, VIRT_DONE, A, 1, -ECANCELED);
        m = virt_queue_take(q);
        ck_assert_int_eq(m->type, VIRT_DISCONNECTED);
        ck_assert_str_eq(m->text, "libvirt does not answer");
        (void)virt_message_free(m);
        ck_assert(!virt_queue_is_current(q, &w));
        virt_queue_connecting(q, false);

        /* One that answers in time is not to blame. */
        ck_assert_int_eq(virt_queue_open(q, &newer), 0);
        virt_queue_connected(q, newer);
        virt_queue_connecting(q, true);
        virt_queue_connecting(q, false);
        ck_assert_uint_eq(virt_queue_watch(q, LATE), VIRT_WATCH_IDLE);
        expect(q, VIRT_CONNECTED, "", 0, 0);
        expect_nothing(q);
        virt_queue_unref(q);
}
END_TEST

START_TEST(test_full_queue_refuses_all_or_nothing) {
        VirtCall call = { .type = VIRT_PIN_VCPU, .uuid = A };
        VirtRequest *list = NULL, *one;
        VirtWorker w;
        uint64_t g;
        VirtQueue *q = connected(&w, &g);

        for (unsigned i = 0; i < VIRT_QUEUE_MAX; i++) {
                ck_assert_int_eq(virt_request_new_call(&call, &one), 0);
                one->counted = true;
                one->next = list;
                list = one;
        }
        ck_assert_int_eq(virt_queue_push(q, list), 0);
        ck_assert_int_eq(virt_request_new_call(&call, &one), 0);
        one->counted = true;
        ck_assert_int_eq(virt_queue_push(q, one), -ENOBUFS);
        (void)next(q, &w);
        virt_queue_done_result(q, &w, 0, NULL);
        ck_assert_int_eq(virt_request_new_call(&call, &one), 0);
        one->counted = true;
        ck_assert_int_eq(virt_queue_push(q, one), 0);
        virt_queue_unref(q);
}
END_TEST

/* libvirt itself waits as long as other calls may take. */
START_TEST(test_a_guest_has_time_to_let_go_of_a_vcpu) {
        VirtWorker w;
        uint64_t g;
        VirtQueue *q = connected(&w, &g);
        const VirtRequest *r;
        bool arm;

        push_call(q, VIRT_SET_VCPUS, A, 0);
        ck_assert_int_eq(virt_queue_next(q, &w, &r, &arm), 0);
        ck_assert_uint_eq(virt_queue_watch(q, w.started_usec + VIRT_CALL_TIMEOUT_USEC), VIRT_CALL_TIMEOUT_USEC);
        ck_assert_uint_eq(virt_queue_watch(q, w.started_usec + 2 * VIRT_CALL_TIMEOUT_USEC), 0);
        virt_queue_done_result(q, &w, 0, NULL);
        virt_queue_unref(q);
}
END_TEST

START_TEST(test_timer_is_armed_once_and_rests_when_idle) {
        VirtWorker w;
        uint64_t g;
        VirtQueue *q = connected(&w, &g);
        const VirtRequest *r;
        bool arm;

        push_call(q, VIRT_PIN_VCPU, A, 0);
        push_call(q, VIRT_PIN_VCPU, A, 0);
        ck_assert_int_eq(virt_queue_next(q, &w, &r, &arm), 0);
        ck_assert(arm);
        virt_queue_done_result(q, &w, 0, NULL);
        ck_assert_int_eq(virt_queue_next(q, &w, &r, &arm), 0);
        ck_assert(!arm);
        ck_assert_uint_le(virt_queue_watch(q, w.started_usec + 1), VIRT_CALL_TIMEOUT_USEC - 1);
        virt_queue_done_result(q, &w, 0, NULL);
        ck_assert_uint_eq(virt_queue_watch(q, LATE), VIRT_WATCH_IDLE);
        push_call(q, VIRT_PIN_VCPU, A, 0);
        ck_assert_int_eq(virt_queue_next(q, &w, &r, &arm), 0);
        ck_assert(arm);
        virt_queue_done_result(q, &w, 0, NULL);
        expect_nothing(q);
        virt_queue_unref(q);
}
END_TEST

/* The worker hangs in a call for A; @w2 takes over and blames A. */
static VirtQueue *hung(VirtWorker *w, VirtWorker *w2, uint64_t *g) {
        VirtRequest *suspects = NULL;
        const VirtWorker *stuck = NULL;
        VirtQueue *q = connected(w, g);

        push_call(q, VIRT_SET_MEMORY, A, 1);
        (void)next(q, w);
        *w2 = (VirtWorker){ .request = NULL };
        ck_assert(!virt_queue_takeover(q, w2, virt_now_usec(), &suspects, &stuck));
        ck_assert_uint_eq(virt_queue_watch(q, LATE), 0);
        ck_assert(virt_queue_takeover(q, w2, LATE, &suspects, &stuck));
        ck_assert_uint_eq(suspects->n_uuids, 1);
        ck_assert_str_eq(suspects->uuids[0], A);
        expect(q, VIRT_DONE, A, 1, -ETIMEDOUT);
        ck_assert(virt_queue_blame(q, stuck, 0));
        ck_assert(virt_queue_blame(q, stuck, 0));
        expect(q, VIRT_UNRESPONSIVE, A, 0, 0);
        expect_nothing(q);
        (void)virt_request_free(suspects);
        return q;
}

START_TEST(test_hung_guest_is_busy_and_others_are_served) {
        VirtWorker w, w2;
        uint64_t g;
        VirtQueue *q = hung(&w, &w2, &g);
        const VirtRequest *r;
        bool arm;

        push_call(q, VIRT_PIN_VCPU, A, 2);
        push_call(q, VIRT_PIN_VCPU, B, 3);
        push_stats(q, 4);
        ck_assert_str_eq(next(q, &w2)->uuids[0], B);
        expect(q, VIRT_DONE, A, 2, -EBUSY);
        virt_queue_done_result(q, &w2, 0, NULL);
        expect(q, VIRT_DONE, B, 3, 0);
        (void)next(q, &w2);
        ck_assert_uint_eq(w2.skip, 1);
        virt_queue_done(q, &w2, stats_message());
        expect(q, VIRT_STATS, "", 4, 0);
        /* The XML needs no monitor. */
        virt_queue_refresh(q, g, A, "refreshed", false, false);
        ck_assert(next(q, &w2)->hung);
        ck_assert_str_eq(w2.request->uuids[0], A);
        virt_queue_done(q, &w2, guest_message(A));
        expect(q, VIRT_GUEST, A, 0, 0);
        virt_queue_refresh(q, g, B, "refreshed", false, false);
        ck_assert(!next(q, &w2)->hung);
        virt_queue_done(q, &w2, guest_message(B));
        expect(q, VIRT_GUEST, B, 0, 0);

        /* The hung call returns: the answer was given, the guest is back, the worker not wanted. */
        virt_queue_done_result(q, &w, 0, NULL);
        expect(q, VIRT_RESPONSIVE, A, 0, 0);
        expect_nothing(q);
        ck_assert_int_eq(virt_queue_next(q, &w, &r, &arm), -ESTALE);
        push_call(q, VIRT_PIN_VCPU, A, 5);
        ck_assert_str_eq(next(q, &w2)->uuids[0], A);
        virt_queue_done_result(q, &w2, 0, NULL);
        expect(q, VIRT_DONE, A, 5, 0);
        virt_queue_unref(q);
}
END_TEST

START_TEST(test_guest_that_hangs_across_a_reconnect_is_named_again) {
        VirtWorker w, w2;
        uint64_t g, newer;
        VirtQueue *q = hung(&w, &w2, &g);

        virt_queue_closed(q, g, "why");
        expect(q, VIRT_DISCONNECTED, "", 0, 0);
        ck_assert_int_eq(virt_queue_open(q, &newer), 0);
        expect_nothing(q);
        virt_queue_connected(q, newer);
        expect(q, VIRT_CONNECTED, "", 0, 0);
        expect(q, VIRT_UNRESPONSIVE, A, 0, 0);
        virt_queue_done_result(q, &w, -EIO, NULL);
        expect(q, VIRT_RESPONSIVE, A, 0, 0);
        expect_nothing(q);
        virt_queue_unref(q);
}
END_TEST

START_TEST(test_guest_that_recovers_while_disconnected_is_not_named) {
        VirtWorker w, w2;
        uint64_t g, newer;
        VirtQueue *q = hung(&w, &w2, &g);

        virt_queue_closed(q, g, "why");
        expect(q, VIRT_DISCONNECTED, "", 0, 0);
        virt_queue_done_result(q, &w, -EIO, NULL);
        ck_assert_int_eq(virt_queue_open(q, &newer), 0);
        virt_queue_connected(q, newer);
        expect(q, VIRT_CONNECTED, "", 0, 0);
        expect_nothing(q);
        virt_queue_unref(q);
}
END_TEST

START_TEST(test_nobody_is_blamed_when_the_call_returned_meanwhile) {
        VirtRequest *suspects = NULL;
        const VirtWorker *stuck = NULL;
        VirtWorker w, w2 = { .request = NULL };
        uint64_t g;
        VirtQueue *q = connected(&w, &g);

        push_stats(q, 1);
        (void)next(q, &w);
        ck_assert(virt_queue_takeover(q, &w2, LATE, &suspects, &stuck));
        /* Not answered yet: the others' statistics are asked for again. */
        expect_nothing(q);
        virt_queue_done(q, &w, stats_message());
        expect(q, VIRT_STATS, "", 0, 0);
        ck_assert(!virt_queue_blame(q, stuck, 0));
        expect_nothing(q);
        ck_assert_int_eq(virt_queue_push(q, suspects), 0);
        (void)next(q, &w2);
        ck_assert_uint_eq(w2.skip, 0);
        virt_queue_done(q, &w2, stats_message());
        expect(q, VIRT_STATS, "", 1, 0);
        virt_queue_unref(q);
}
END_TEST

START_TEST(test_hung_fetch_says_so_and_is_repeated_when_it_returns) {
        VirtRequest *suspects = NULL;
        const VirtWorker *stuck = NULL;
        VirtWorker w, w2 = { .request = NULL };
        uint64_t g;
        VirtQueue *q = connected(&w, &g);

        virt_queue_refresh(q, g, A, "started", true, false);
        (void)next(q, &w);
        ck_assert(virt_queue_takeover(q, &w2, LATE, &suspects, &stuck));
        (void)virt_request_free(suspects);
        expect(q, VIRT_GUEST_GONE, A, 0, -ETIMEDOUT);
        virt_queue_done(q, &w, guest_message(A));
        expect_nothing(q);
        ck_assert_str_eq(next(q, &w2)->event, "started");
        virt_queue_done(q, &w2, guest_message(A));
        expect(q, VIRT_GUEST, A, 0, 0);
        virt_queue_unref(q);
}
END_TEST

/* All that may be left behind are, each with a call of its own guest; w[VIRT_STUCK_MAX] is current. */
static VirtQueue *many_hung(VirtWorker w[static VIRT_STUCK_MAX + 1]) {
        VirtCall call = { .type = VIRT_SET_MEMORY };
        VirtRequest *r, *suspects;
        const VirtWorker *stuck;
        uint64_t g;
        VirtQueue *q = connected(&w[0], &g);

        for (unsigned i = 0; i < VIRT_STUCK_MAX; i++) {
                (void)snprintf(call.uuid, sizeof(call.uuid), "guest-%u", i);
                ck_assert_int_eq(virt_request_new_call(&call, &r), 0);
                ck_assert_int_eq(virt_queue_push(q, r), 0);
                (void)next(q, &w[i]);
                ck_assert(virt_queue_takeover(q, &w[i + 1], LATE, &suspects, &stuck));
                (void)virt_request_free(suspects);
        }
        return q;
}

START_TEST(test_only_so_many_workers_are_left_behind) {
        VirtWorker w[VIRT_STUCK_MAX + 1] = { { .request = NULL } };
        VirtQueue *q = many_hung(w);

        /* What needs a monitor is refused now, a pin is not. */
        push_call(q, VIRT_SET_MEMORY, B, 1);
        push_call(q, VIRT_PIN_VCPU, B, 2);
        ck_assert_int_eq(next(q, &w[VIRT_STUCK_MAX])->call->type, VIRT_PIN_VCPU);
        expect(q, VIRT_DONE, B, 1, -EBUSY);
        virt_queue_done_result(q, &w[VIRT_STUCK_MAX], 0, NULL);
        virt_queue_done_result(q, &w[0], 0, NULL);
        push_call(q, VIRT_SET_MEMORY, B, 3);
        ck_assert_int_eq(next(q, &w[VIRT_STUCK_MAX])->call->type, VIRT_SET_MEMORY);
        virt_queue_done_result(q, &w[VIRT_STUCK_MAX], 0, NULL);
        for (unsigned i = 1; i < VIRT_STUCK_MAX; i++)
                virt_queue_done_result(q, &w[i], 0, NULL);
        virt_queue_unref(q);
}
END_TEST

START_TEST(test_one_hung_call_more_is_answered_and_begins_a_new_connection) {
        VirtWorker w[VIRT_STUCK_MAX + 1] = { { .request = NULL } }, last = { .request = NULL };
        VirtWorker none = { .request = NULL };
        VirtQueue *q = many_hung(w);
        VirtRequest *suspects;
        const VirtWorker *stuck;
        uint64_t g;

        push_call(q, VIRT_PIN_VCPU, A, 1);
        push_call(q, VIRT_PIN_VCPU, B, 2);
        (void)next(q, &w[VIRT_STUCK_MAX]);
        ck_assert_uint_eq(virt_queue_watch(q, LATE), 0);
        expect(q, VIRT_DONE, A, 1, -ETIMEDOUT);
        expect(q, VIRT_DONE, B, 2, -ECANCELED);
        expect(q, VIRT_DISCONNECTED, "", 0, 0);
        ck_assert(virt_queue_takeover(q, &last, LATE, &suspects, &stuck));
        ck_assert(virt_queue_blame(q, stuck, 0));
        (void)virt_request_free(suspects);
        expect_nothing(q);

        ck_assert_int_eq(virt_queue_open(q, &g), 0);
        virt_queue_connected(q, g);
        expect(q, VIRT_CONNECTED, "", 0, 0);
        expect(q, VIRT_UNRESPONSIVE, A, 0, 0);
        push_call(q, VIRT_PIN_VCPU, B, 3);
        (void)next(q, &last);

        /* Nobody is left to take over: answered once, closed, and looked at again. */
        ck_assert_uint_eq(virt_queue_watch(q, LATE), VIRT_CALL_TIMEOUT_USEC);
        ck_assert_uint_eq(virt_queue_watch(q, LATE), VIRT_CALL_TIMEOUT_USEC);
        ck_assert(!virt_queue_takeover(q, &none, LATE, &suspects, &stuck));
        expect(q, VIRT_DONE, B, 3, -ETIMEDOUT);
        expect(q, VIRT_DISCONNECTED, "", 0, 0);
        expect_nothing(q);
        virt_queue_done_result(q, &w[0], 0, NULL);
        ck_assert_uint_eq(virt_queue_watch(q, LATE), 0);
        virt_queue_done_result(q, &last, 0, NULL);
        for (unsigned i = 1; i <= VIRT_STUCK_MAX; i++)
                virt_queue_done_result(q, &w[i], 0, NULL);
        expect_nothing(q);
        virt_queue_unref(q);
}
END_TEST

START_TEST(test_stop_answers_what_waits) {
        const VirtRequest *r;
        VirtWorker w;
        uint64_t g;
        VirtQueue *q = connected(&w, &g);
        bool arm;

        push_call(q, VIRT_PIN_VCPU, A, 1);
        virt_queue_stop(q);
        expect(q, VIRT_DONE, A, 1, -ECANCELED);
        ck_assert_int_eq(virt_queue_next(q, &w, &r, &arm), -ESHUTDOWN);
        ck_assert(!virt_queue_sleep(q, UINT64_MAX / 2));
        virt_queue_unref(q);
}
END_TEST

/* --- threads --- */

#define N_CALLS 2000U

static void *run_worker(void *p) {
        VirtQueue *q = p;
        VirtWorker w = { .request = NULL };
        const VirtRequest *r;
        bool arm;

        virt_queue_enter(q, &w);
        while (virt_queue_next(q, &w, &r, &arm) >= 0)
                if (r->type == VIRT_REQUEST_REFRESH)
                        virt_queue_done(q, &w, guest_message(r->uuids[0]));
                else
                        virt_queue_done_result(q, &w, 0, NULL);
        virt_queue_leave(q, &w);
        return NULL;
}

static void *run_loop(void *p) {
        VirtQueue *q = p;

        for (unsigned i = 0; i < N_CALLS; i++) {
                virt_queue_refresh(q, 1, i % 2 ? A : B, "started", i % 3 == 0, false);
                virt_queue_gone(q, 1, i % 5 ? A : B, "stopped");
                virt_queue_balloon(q, 1, A, i);
                (void)virt_queue_watch(q, virt_now_usec());
        }
        virt_queue_refresh(q, 1, A, "last", false, false);
        return NULL;
}

START_TEST(test_threads_lose_nothing_and_keep_the_order) {
        pthread_t worker, loop;
        bool seen[N_CALLS + 1] = { false }, last = false;
        uint64_t g, in_order = 0;
        unsigned answered = 0;
        VirtQueue *q;

        ck_assert_int_eq(virt_queue_new(&q), 0);
        ck_assert_int_eq(virt_queue_open(q, &g), 0);
        virt_queue_connected(q, g);
        ck_assert_int_eq(pthread_create(&worker, NULL, run_worker, q), 0);
        ck_assert_int_eq(pthread_create(&loop, NULL, run_loop, q), 0);
        for (unsigned i = 1; i <= N_CALLS; i++)
                push_call(q, VIRT_PIN_VCPU, i % 2 ? A : C, i);
        while (answered < N_CALLS || !last) {
                struct pollfd p = { .fd = virt_queue_get_fd(q), .events = POLLIN };
                VirtMessage *m = virt_queue_take(q);

                if (!m) {
                        ck_assert_int_eq(poll(&p, 1, -1), 1);
                        continue;
                }
                if (m->type == VIRT_DONE) {
                        ck_assert(!seen[m->cookie]);
                        seen[m->cookie] = true;
                        answered++;
                }
                /* A comes and goes: what waits for it then is answered out of turn. */
                if (m->type == VIRT_DONE && m->cookie % 2 == 0) {
                        ck_assert_int_eq(m->result, 0);
                        ck_assert_uint_eq(m->cookie, in_order += 2);
                }
                last = last || (m->type == VIRT_BALLOON && m->current_bytes == N_CALLS - 1);
                (void)virt_message_free(m);
        }
        (void)pthread_join(loop, NULL);
        virt_queue_stop(q);
        ck_assert(virt_queue_wait_left(q, 60 * USEC_PER_SEC, &worker));
        (void)pthread_join(worker, NULL);
        virt_queue_unref(q);
}
END_TEST

int main(void) {
        Suite *s = suite_create("virt_queue");
        TCase *tc = tcase_create("queue");
        SRunner *sr;
        int failed;

        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, test_started_guest_overtakes_everything_and_statistics_wait);
        tcase_add_test(tc, test_row_of_calls_wakes_main_once);
        tcase_add_test(tc, test_events_of_one_guest_are_fetched_once);
        tcase_add_test(tc, test_guest_that_stopped_while_fetched_does_not_come_back);
        tcase_add_test(tc, test_lost_connection_is_said_once_and_cancels_what_waits);
        tcase_add_test(tc, test_call_that_took_effect_before_the_connection_was_lost_succeeded);
        tcase_add_test(tc, test_running_guest_whose_xml_cannot_be_had_is_named_before_the_listing_ends);
        tcase_add_loop_test(tc, test_failed_fetch_that_nobody_wants_any_more_says_nothing, 0,
                            (int)ELEMENTSOF(silent_rows));
        tcase_add_test(tc, test_calls_for_a_guest_that_is_gone_do_not_reach_its_successor);
        tcase_add_test(tc, test_fetch_that_finds_the_guest_gone_ends_its_calls);
        tcase_add_test(tc, test_result_of_an_older_connection_is_not_posted);
        tcase_add_test(tc, test_failed_attempts_are_said_once_in_a_row);
        tcase_add_test(tc, test_attempt_that_hangs_is_a_failure);
        tcase_add_test(tc, test_listing_or_replacement_that_libvirt_does_not_answer_ends_the_connection);
        tcase_add_test(tc, test_full_queue_refuses_all_or_nothing);
        tcase_add_test(tc, test_a_guest_has_time_to_let_go_of_a_vcpu);
        tcase_add_test(tc, test_timer_is_armed_once_and_rests_when_idle);
        tcase_add_test(tc, test_hung_guest_is_busy_and_others_are_served);
        tcase_add_test(tc, test_nobody_is_blamed_when_the_call_returned_meanwhile);
        tcase_add_test(tc, test_guest_that_hangs_across_a_reconnect_is_named_again);
        tcase_add_test(tc, test_guest_that_recovers_while_disconnected_is_not_named);
        tcase_add_test(tc, test_hung_fetch_says_so_and_is_repeated_when_it_returns);
        tcase_add_test(tc, test_only_so_many_workers_are_left_behind);
        tcase_add_test(tc, test_one_hung_call_more_is_answered_and_begins_a_new_connection);
        tcase_add_test(tc, test_stop_answers_what_waits);
        tcase_add_test(tc, test_threads_lose_nothing_and_keep_the_order);
        suite_add_tcase(s, tc);
        sr = srunner_create(s);
        srunner_run_all(sr, CK_NORMAL);
        failed = srunner_ntests_failed(sr);
        srunner_free(sr);
        return failed != 0;
}
