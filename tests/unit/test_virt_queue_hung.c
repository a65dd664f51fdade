/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The queue when calls hang: who is blamed, who takes over, and how many may be left behind. */
#include "virt_queue_util.h"

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

static void add_tests(TCase *c) {
        tcase_add_test(c, test_hung_guest_is_busy_and_others_are_served);
        tcase_add_test(c, test_nobody_is_blamed_when_the_call_returned_meanwhile);
        tcase_add_test(c, test_guest_that_hangs_across_a_reconnect_is_named_again);
        tcase_add_test(c, test_guest_that_recovers_while_disconnected_is_not_named);
        tcase_add_test(c, test_hung_fetch_says_so_and_is_repeated_when_it_returns);
        tcase_add_test(c, test_only_so_many_workers_are_left_behind);
        tcase_add_test(c, test_one_hung_call_more_is_answered_and_begins_a_new_connection);
}

int main(void) {
        Suite *s = suite_create("virt_queue_hung");
        TCase *c = tcase_create("hung");
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
