/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The queue between main, the loop and the worker, alone: order, and answers that never get lost. */
#include "virt_queue_util.h"

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

static void add_tests(TCase *c) {
        tcase_add_test(c, test_started_guest_overtakes_everything_and_statistics_wait);
        tcase_add_test(c, test_row_of_calls_wakes_main_once);
        tcase_add_test(c, test_events_of_one_guest_are_fetched_once);
        tcase_add_test(c, test_guest_that_stopped_while_fetched_does_not_come_back);
        tcase_add_test(c, test_lost_connection_is_said_once_and_cancels_what_waits);
        tcase_add_test(c, test_call_that_took_effect_before_the_connection_was_lost_succeeded);
        tcase_add_test(c, test_running_guest_whose_xml_cannot_be_had_is_named_before_the_listing_ends);
        tcase_add_loop_test(c, test_failed_fetch_that_nobody_wants_any_more_says_nothing, 0,
                            (int)ELEMENTSOF(silent_rows));
        tcase_add_test(c, test_calls_for_a_guest_that_is_gone_do_not_reach_its_successor);
        tcase_add_test(c, test_fetch_that_finds_the_guest_gone_ends_its_calls);
        tcase_add_test(c, test_result_of_an_older_connection_is_not_posted);
        tcase_add_test(c, test_failed_attempts_are_said_once_in_a_row);
        tcase_add_test(c, test_attempt_that_hangs_is_a_failure);
        tcase_add_test(c, test_listing_or_replacement_that_libvirt_does_not_answer_ends_the_connection);
        tcase_add_test(c, test_full_queue_refuses_all_or_nothing);
        tcase_add_test(c, test_a_guest_has_time_to_let_go_of_a_vcpu);
        tcase_add_test(c, test_timer_is_armed_once_and_rests_when_idle);
        tcase_add_test(c, test_stop_answers_what_waits);
}

int main(void) {
        Suite *s = suite_create("virt_queue");
        TCase *c = tcase_create("queue");
        SRunner *runner;
        int failed;

        add_tests(c);
        suite_add_tcase(s, c);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
