/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The queue with a thread on each side, to be run with -fsanitize=thread as well. */
#include "virt_queue_util.h"

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

static void add_tests(TCase *c) {
        tcase_add_test(c, test_threads_lose_nothing_and_keep_the_order);
}

int main(void) {
        Suite *s = suite_create("virt_queue_threads");
        TCase *c = tcase_create("threads");
        SRunner *runner;
        int failed;

        tcase_set_timeout(c, 60);
        add_tests(c);
        suite_add_tcase(s, c);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
