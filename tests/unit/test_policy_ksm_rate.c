/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The rate of mode auto as arithmetic. */

#include "ksm_auto_util.h"

#include "../../lib/policy_ksm_rate.h"

#define UNKNOWN UINT64_MAX

/*
 * want was computed by hand from the formulas at the head of policy_ksm_rate.c,
 * for a page of 2 us where no cost is given.
 */
static const struct {
        const char *name;
        uint64_t pages, sleep, busy, limit, per_sec, want;
} rate_rows[] = {
        { "first: half a CPU, 20 ms asleep, 20 ms of work", 0, 20, UNKNOWN, 5000, UNKNOWN, 10000 },
        { "first: a fifth of a CPU, 5 ms of work", 0, 20, UNKNOWN, 2000, UNKNOWN, 2500 },
        { "first: the most there is", 0, 20, UNKNOWN, 9000, UNKNOWN, 30000 },
        { "first: no limit, the most there is", 0, 20, UNKNOWN, 10000, UNKNOWN, 30000 },
        { "first: 1 % of a CPU, the least there is", 0, 20, UNKNOWN, 100, UNKNOWN, 101 },
        { "first: 1 ms asleep", 0, 1, UNKNOWN, 5000, UNKNOWN, 500 },
        { "first: 0 ms asleep count as 1", 0, 0, UNKNOWN, 5000, UNKNOWN, 500 },
        { "first: 50,000 a second are 1,111 in 20 ms and 2.2 ms of work", 0, 20, UNKNOWN, 5000, 50000, 1111 },
        { "first: 100 a second are less than the least", 0, 20, UNKNOWN, 5000, 100, 100 },
        { "first: more than the limit allows", 0, 20, UNKNOWN, 2000, 400000, 2500 },
        { "first: more than a CPU can do", 0, 20, UNKNOWN, 2000, 600000, 2500 },
        { "at the limit it stays", 10000, 20, 5000, 5000, UNKNOWN, 10000 },
        { "a little below the limit it stays", 10000, 20, 4600, 5000, UNKNOWN, 10000 },
        { "a little above the limit it stays", 10000, 20, 5400, 5000, UNKNOWN, 10000 },
        { "a third of a CPU: twice as many fit into half", 5000, 20, 3333, 5000, UNKNOWN, 10000 },
        { "three quarters: a third as many, half at once", 9000, 20, 7500, 5000, UNKNOWN, 4500 },
        { "and the rest next time", 4500, 20, 6000, 5000, UNKNOWN, 3000 },
        { "10 %: nine times as many, twice at once", 1000, 20, 1000, 5000, UNKNOWN, 2000 },
        { "a whole CPU: half", 8000, 20, 10000, 5000, UNKNOWN, 4000 },
        { "busy beyond a CPU counts as one", 8000, 20, 12000, 5000, UNKNOWN, 4000 },
        { "up to the most there is", 20000, 20, 1000, 5000, UNKNOWN, 30000 },
        { "down to the least there is", 150, 20, 9900, 100, UNKNOWN, 100 },
        { "idle: the cost is not known", 6000, 20, 0, 5000, UNKNOWN, 10000 },
        { "next to idle: the same", 6000, 20, 9, 5000, UNKNOWN, 10000 },
        { "no figure of ksmd: the same", 6000, 20, UNKNOWN, 5000, UNKNOWN, 10000 },
        { "what was asked for is there", 1111, 20, 1000, 5000, 50000, 1111 },
        { "and 10 % more does not count", 1111, 20, 1000, 5000, 55000, 1111 },
        { "half as much is asked for", 1111, 20, 1000, 5000, 25000, 555 },
        { "a tenth as much: half at once", 1111, 20, 1000, 5000, 5000, 555 },
        { "twice as much is asked for", 1111, 20, 1000, 5000, 90000, 2195 },
        { "somebody's strange rate is no start", 99, 20, 1000, 5000, UNKNOWN, 891 },
        { "nor one beyond all bounds", 2000000, 20, 9000, 5000, UNKNOWN, 30000 },
        { "small numbers still move", 101, 20, 300, 5000, UNKNOWN, 202 },
};

START_TEST(rate_follows_its_formula) {
        KsmRate in = {
                .pages = rate_rows[_i].pages,
                .sleep_millisecs = rate_rows[_i].sleep,
                .busy_permyriad = rate_rows[_i].busy,
                .limit_permyriad = rate_rows[_i].limit,
                .pages_per_sec = rate_rows[_i].per_sec,
        };
        uint64_t pages = ksm_rate_pages(&in);

        ck_assert_msg(pages == rate_rows[_i].want, "%s: %" PRIu64, rate_rows[_i].name, pages);
}
END_TEST

static const uint64_t costs[] = { 50, 400, 900, 2000, 5000, 20000, 150000 };

/* It arrives within the limit's dead band, and then stays. */
START_TEST(rate_converges_whatever_a_page_costs) {
        KsmRate in = { .sleep_millisecs = 20, .busy_permyriad = UNKNOWN, .limit_permyriad = 5000,
                       .pages_per_sec = UNKNOWN };
        uint64_t busy, still = 0;

        for (int i = 0; i < 12; i++) {
                uint64_t pages = ksm_rate_pages(&in);

                still = pages == in.pages ? still + 1 : 0;
                in.pages = pages;
                in.busy_permyriad = busy_at(pages, in.sleep_millisecs, costs[_i]);
        }
        busy = in.busy_permyriad;
        ck_assert_uint_ge(still, 3);
        ck_assert_msg((busy >= 4200 && busy <= 5800) || in.pages == KSM_RATE_PAGES_MAX || in.pages == KSM_RATE_PAGES_MIN,
                      "%" PRIu64 " pages, busy %" PRIu64, in.pages, busy);
}
END_TEST

int main(void) {
        Suite *s = suite_create("policy_ksm_rate");
        TCase *t = tcase_create("rate");
        SRunner *runner;
        int failed;

        tcase_add_loop_test(t, rate_follows_its_formula, 0, ELEMENTSOF(rate_rows));
        tcase_add_loop_test(t, rate_converges_whatever_a_page_costs, 0, ELEMENTSOF(costs));
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
