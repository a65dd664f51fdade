/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How many vCPUs a guest is to have. */
#include "vcpus_util.h"

/* ---- mode auto: one decision after a long time of the same ---- */

static const struct {
        const char *name;
        unsigned online, maximum, demand, host_busy;
        const char *settings;
        unsigned want;
        int why;
} auto_rows[] = {
        { "busy vCPUs get one more", 1, 4, 90, 10, "", 2, -1 },
        { "one more at a time", 2, 8, 200, 10, "", 3, -1 },
        { "exactly at the limit is busy", 2, 4, 170, 10, "", 3, -1 },
        { "below the limit is not", 2, 4, 169, 10, "", 0, -1 },
        { "never above the maximum", 2, 2, 200, 10, "", 0, SKIP_AT_MAXIMUM },
        { "a busy host gives nothing", 1, 4, 100, 81, "", 0, SKIP_HOST_BUSY },
        { "a host with just enough idle time does", 1, 4, 100, 80, "", 2, -1 },
        { "host_idle is followed", 1, 4, 100, 50, "host_idle = \"51 %\";", 0, SKIP_HOST_BUSY },
        { "no more vCPUs than CPUs", 8, 16, 800, 0, "", 0, SKIP_NO_CAPACITY },
        { "start is followed", 1, 4, 60, 10, "start = \"55 %\";", 2, -1 },
        { "an idle guest keeps what it had by itself", 4, 4, 4, 10, "", 0, -1 },
        { "with a minimum it gives one back", 4, 4, 4, 10, "minimum = 2;", 3, -1 },
        { "not below the minimum", 2, 4, 4, 10, "minimum = 2;", 0, -1 },
        { "not when the others would be busy", 2, 4, 40, 10, "minimum = 1;", 0, -1 },
        { "when they would be just below it", 2, 4, 39, 10, "minimum = 1;", 1, -1 },
        { "stop is followed", 2, 4, 25, 10, "minimum = 1; stop = \"20 %\";", 0, -1 },
        { "a busy host is no obstacle for less", 2, 4, 4, 100, "minimum = 1;", 1, -1 },
};

START_TEST(auto_follows_the_load) {
        _cleanup_free_ char *text = NULL;
        Guest *g = add_guest("g", auto_rows[_i].online, auto_rows[_i].maximum);

        ck_assert_int_eq(strprintf_to(&text, "vcpus: { mode = \"auto\"; %s };", auto_rows[_i].settings), 0);
        world_configure(&world, text);
        set_demand(g, auto_rows[_i].demand);
        set_host_busy(auto_rows[_i].host_busy);
        decide();
        ck_assert_msg(asked(g) == 0, "%s: the dwell has not passed", auto_rows[_i].name);
        pass(29);
        decide();
        ck_assert_msg(asked(g) == 0, "%s: the dwell has not passed", auto_rows[_i].name);
        pass(1);
        decide();
        ck_assert_msg(asked(g) == auto_rows[_i].want, "%s: %u", auto_rows[_i].name, asked(g));
        ck_assert_msg(why_not(g) == auto_rows[_i].why, "%s: %d", auto_rows[_i].name, why_not(g));
}
END_TEST

START_TEST(waiting_for_a_cpu_is_load) {
        Guest *g = add_guest("g", 1, 2);

        g->vcpus[0].busy_permyriad = 5000;
        g->vcpus[0].wait_permyriad = 4000;
        decide();
        pass(30);
        decide();
        ck_assert_uint_eq(asked(g), 2);
}
END_TEST

START_TEST(the_dwell_begins_again_when_the_load_pauses) {
        Guest *g = add_guest("g", 1, 2);

        for (unsigned i = 0; i < 20; i++) {
                set_demand(g, i % 3 == 2 ? 50 : 100);
                decide();
                ck_assert_uint_eq(asked(g), 0);
                pass(10);
        }
}
END_TEST

START_TEST(after_a_change_there_is_a_pause) {
        Guest *g = add_guest("g", 1, 4);

        set_demand(g, 100);
        step(g, 30);
        step(g, 30);
        ck_assert_uint_eq(guest_online_vcpus(g), 2);
        for (unsigned i = 0; i < 4; i++) {
                set_demand(g, 200);
                step(g, 30);
                ck_assert_uint_eq(guest_online_vcpus(g), 2);
        }
        ck_assert_int_eq(why_not(g), SKIP_COOLDOWN);
        step(g, 30);
        ck_assert_uint_eq(guest_online_vcpus(g), 3);
}
END_TEST

/* One CPU's worth of idle time is given away once. */
START_TEST(guests_do_not_get_the_same_idle_time) {
        Guest *guests[4];
        unsigned n = 0;

        for (unsigned i = 0; i < ELEMENTSOF(guests); i++) {
                guests[i] = add_guest((const char *[]){ "a", "b", "c", "d" }[i], 1, 4);
                set_demand(guests[i], 100);
        }
        set_host_busy(60);      /* 3.2 CPUs idle, 1.6 of them must stay so */
        decide();
        pass(30);
        decide();
        for (unsigned i = 0; i < ELEMENTSOF(guests); i++)
                n += asked(guests[i]) > 0;
        ck_assert_uint_eq(n, 2);
}
END_TEST

START_TEST(an_unmeasured_vcpu_is_no_load) {
        Guest *g = add_guest("g", 2, 4);

        set_demand(g, 200);
        g->vcpus[1].busy_permyriad = UNKNOWN_PERMYRIAD;
        decide();
        pass(60);
        decide();
        ck_assert_uint_eq(asked(g), 0);
        ck_assert_int_eq(why_not(g), SKIP_UNKNOWN);
}
END_TEST

/* ---- mode fixed ---- */

static const struct {
        const char *name;
        unsigned online, maximum, fixed, group;
        const char *settings;
        unsigned want;
        int why;
} fixed_rows[] = {
        { "more, all at once", 1, 4, 1, 1, "count = 3;", 4 - 1, -1 },
        { "0 is the maximum", 1, 4, 1, 1, "", 4, -1 },
        { "no more than the maximum", 2, 4, 1, 1, "count = 9;", 4, -1 },
        { "no more than eight in one request", 1, 64, 1, 1, "count = 60;", 9, -1 },
        { "less, one at a time", 4, 4, 1, 1, "count = 1;", 3, -1 },
        { "not below the minimum", 4, 4, 1, 1, "count = 1; minimum = 3;", 3, -1 },
        { "at the minimum nothing", 3, 4, 1, 1, "count = 1; minimum = 3;", 0, -1 },
        { "as wanted", 2, 4, 1, 1, "count = 2;", 0, -1 },
        { "vCPUs from the start cannot go", 3, 4, 3, 1, "count = 2;", 0, SKIP_UNAVAILABLE },
        { "down to those from the start", 4, 4, 3, 1, "count = 2;", 3, -1 },
        { "two at a time, where they come so", 2, 8, 2, 2, "count = 4;", 4, -1 },
        { "a half group is none", 2, 8, 2, 2, "count = 3;", 0, SKIP_UNAVAILABLE },
        { "a group goes as a whole", 6, 8, 2, 2, "count = 2;", 4, -1 },
};

START_TEST(fixed_goes_to_its_number) {
        _cleanup_free_ char *text = NULL;
        Guest *g = add_guest("g", fixed_rows[_i].online, fixed_rows[_i].maximum);

        for (unsigned i = 0; i < fixed_rows[_i].maximum; i++)
                g->vcpus[i].hotpluggable = i >= fixed_rows[_i].fixed;
        g->vcpu_group = fixed_rows[_i].group;
        ck_assert_int_eq(strprintf_to(&text, "vcpus: { mode = \"fixed\"; %s };", fixed_rows[_i].settings), 0);
        world_configure(&world, text);
        decide();
        ck_assert_msg(asked(g) == fixed_rows[_i].want, "%s: %u", fixed_rows[_i].name, asked(g));
        ck_assert_msg(why_not(g) == fixed_rows[_i].why, "%s: %d", fixed_rows[_i].name, why_not(g));
}
END_TEST

static const struct { GuestState state; bool starting, migrating, unreachable; int why; } blocked_rows[] = {
        { GUEST_PAUSED, false, false, false, SKIP_NOT_RUNNING },
        { GUEST_SHUTDOWN, false, false, false, SKIP_NOT_RUNNING },
        { GUEST_PMSUSPENDED, false, false, false, SKIP_NOT_RUNNING },
        { GUEST_RUNNING, true, false, false, SKIP_NOT_RUNNING },
        { GUEST_RUNNING, false, true, false, SKIP_MIGRATING },
        { GUEST_RUNNING, false, false, true, SKIP_UNREACHABLE },
};

START_TEST(what_cannot_be_done_now_is_said) {
        Guest *g = add_guest("g", 1, 4);

        world_configure(&world, "vcpus: { mode = \"fixed\"; };");
        g->state = blocked_rows[_i].state;
        g->starting = blocked_rows[_i].starting;
        g->migrating = blocked_rows[_i].migrating;
        g->unreachable = blocked_rows[_i].unreachable;
        decide();
        ck_assert_uint_eq(asked(g), 0);
        ck_assert_int_eq(why_not(g), blocked_rows[_i].why);
}
END_TEST

START_TEST(one_guest_is_asked_to_let_go_at_a_time) {
        Guest *a = add_guest("a", 3, 4), *b = add_guest("b", 3, 4), *c = add_guest("c", 1, 4);

        world_configure(&world, "vcpus: { mode = \"fixed\"; count = 2; };");
        decide();
        own_all();
        ck_assert_uint_eq(asked(a), 2);
        ck_assert_uint_eq(asked(b), 0);
        ck_assert_uint_eq(asked(c), 2);
        pass(10);
        decide();
        ck_assert_msg(asked(b) == 0, "the first has not answered yet");
        set_online(a, 2);
        decide();
        ck_assert_uint_eq(asked(b), 2);
}
END_TEST

/* Eight CPUs on two nodes; a neighbour on the same node holds some. */
static const struct { const char *name; unsigned neighbour, count; unsigned want; int why; } dedicated_rows[] = {
        { "a CPU of its own for each", 0, 4, 4, -1 },
        { "as far as there are any", 1, 4, 3, -1 },
        { "one is left", 2, 4, 2, -1 },
        { "none is left", 3, 2, 0, SKIP_NO_CAPACITY },
};

START_TEST(a_dedicated_guest_gets_no_vcpu_without_a_cpu_of_its_own) {
        Guest *g = add_guest("g", 1, 4), *other;
        _cleanup_free_ char *text = NULL;

        if (dedicated_rows[_i].neighbour > 0) {
                other = add_guest("other", dedicated_rows[_i].neighbour, 4);
                other->numatune_mode = NUMATUNE_STRICT;
                other->numatune_nodes = idset_of(0);
        }
        g->numatune_mode = NUMATUNE_STRICT;
        g->numatune_nodes = idset_of(0);
        ck_assert_int_eq(strprintf_to(&text, "cpu: { policy = \"dedicated\"; };\n"
                                      "guests = ( { match = { name = \"g\"; };"
                                      " vcpus = { mode = \"fixed\"; count = %u; }; } );",
                                      dedicated_rows[_i].count), 0);
        world_configure(&world, text);
        decide();
        ck_assert_msg(asked(g) == dedicated_rows[_i].want, "%s: %u", dedicated_rows[_i].name, asked(g));
        ck_assert_msg(why_not(g) == dedicated_rows[_i].why, "%s: %d", dedicated_rows[_i].name, why_not(g));
}
END_TEST

static void add_tests(TCase *c) {
        tcase_add_loop_test(c, auto_follows_the_load, 0, ELEMENTSOF(auto_rows));
        tcase_add_test(c, waiting_for_a_cpu_is_load);
        tcase_add_test(c, the_dwell_begins_again_when_the_load_pauses);
        tcase_add_test(c, after_a_change_there_is_a_pause);
        tcase_add_test(c, guests_do_not_get_the_same_idle_time);
        tcase_add_test(c, an_unmeasured_vcpu_is_no_load);
        tcase_add_loop_test(c, fixed_goes_to_its_number, 0, ELEMENTSOF(fixed_rows));
        tcase_add_loop_test(c, what_cannot_be_done_now_is_said, 0, ELEMENTSOF(blocked_rows));
        tcase_add_test(c, one_guest_is_asked_to_let_go_at_a_time);
        tcase_add_loop_test(c, a_dedicated_guest_gets_no_vcpu_without_a_cpu_of_its_own, 0,
                            ELEMENTSOF(dedicated_rows));
}

int main(void) {
        Suite *s = suite_create("policy_vcpus");
        TCase *c = tcase_create("vcpus");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(c, setup, teardown);
        add_tests(c);
        suite_add_tcase(s, c);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
