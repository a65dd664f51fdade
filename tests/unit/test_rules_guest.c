/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Rates, averages, and rules that are decided for each guest: through the loader and policy_decide(), as users have them. */

#include "../../lib/rules.h"
#include "placement_util.h"

#define SEC USEC_PER_SEC

static const char *const head = "cpu: { policy = \"none\"; }; rules = ( { name = \"r\"; guests = { name = \"g*\"; }; "
                                "set = { balloon = { stats_period = \"77 s\"; }; }; when = ";

static void world(World *w, const char *when) {
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(strprintf_to(&text, "%s%s; } );", head, when), 0);
        world_init(w, "numa:2 pu:2", text);
}

static bool holds_for(World *w, const Guest *g) {
        ActiveRules rules = { .active = w->plan->active_rules };
        Settings settings;

        /* The plan knows of any guest; the settings of one are decided anew. */
        bool active = rules.active[0];

        ck_assert_int_eq(rules_evaluate_guest(w->config, w->snapshot, g, false, w->state, &active), 0);
        config_resolve_guest(w->config, (ActiveRules){ .active = &active }, g, &settings);
        ck_assert_int_eq(setting(&settings, KEY_BALLOON_STATS_PERIOD) == 77 * SEC, active);
        return active;
}

/* At @sec with @available GiB of the host: does the rule hold for @g? */
static bool at(World *w, Guest *g, uint64_t sec, uint64_t available) {
        w->snapshot->now_usec = sec * SEC;
        w->snapshot->host.memory.available_bytes = available * GIB;
        world_decide(w, NULL);
        return holds_for(w, g);
}

typedef struct Step {
        uint64_t sec, available;        /* GiB of 32 */
        bool want;
} Step;

static const struct {
        const char *name, *when;
        Step steps[10];
} window_rows[] = {
        { "a rate needs two looks", "{ metric = \"host.memory.available\"; rate = \"falling\"; above = \"1 GiB/s\"; }",
          { { 10, 32, false }, { 20, 20, true }, { 30, 11, false }, { 40, 0, true } } },
        { "a rate in the other direction is none",
          "{ metric = \"host.memory.available\"; rate = \"falling\"; above = \"1 MiB/s\"; }",
          { { 10, 10, false }, { 20, 20, false }, { 30, 30, false }, { 40, 29, true } } },
        { "rising", "{ metric = \"host.memory.available\"; rate = \"rising\"; above = \"1 GiB/s\"; }",
          { { 10, 1, false }, { 20, 11, false }, { 30, 22, true }, { 31, 22, false } } },
        { "below a rate: it has come to rest",
          "{ metric = \"host.memory.available\"; rate = \"falling\"; below = \"0.5 GiB/s\"; for = \"20 s\"; }",
          { { 10, 32, false }, { 20, 20, false }, { 30, 20, false }, { 40, 19, false }, { 50, 19, true } } },
        { "the first look is the mean", "{ metric = \"host.memory.available\"; average = \"30 s\"; below = \"10 GiB\"; }",
          { { 10, 5, true }, { 20, 32, false } } },
        { "a dip does not move the mean far",
          "{ metric = \"host.memory.available\"; average = \"90 s\"; below = \"25 GiB\"; }",
          { { 10, 30, false }, { 20, 0, false }, { 30, 30, false }, { 40, 0, true } } },
        { "a steady value is its own mean, to the byte",
          "{ metric = \"host.memory.available\"; average = \"1 d\"; below = \"7 GiB\"; clear = \"7 GiB\"; }",
          { { 10, 7, false }, { 20, 7, false }, { 1000, 7, false }, { 90000, 7, false } } },
        { "a mean arrives where the value stays",
          "{ metric = \"host.memory.available\"; average = \"10 s\"; above = \"20 GiB\"; }",
          { { 10, 1, false }, { 20, 21, false }, { 30, 21, false }, { 40, 21, false }, { 5000, 21, true } } },
        { "a clock that starts anew begins the window anew",
          "{ metric = \"host.memory.available\"; rate = \"falling\"; above = \"1 GiB/s\"; }",
          { { 500, 32, false }, { 10, 10, false }, { 20, 0, false }, { 21, 0, false } } },
};

START_TEST(rates_and_means_over_time) {
        World w;
        Guest *g;

        world(&w, window_rows[_i].when);
        g = world_guest(&w, "g", 1, GIB);
        w.config->rules[0].of_guest = false;
        for (const Step *s = window_rows[_i].steps; s->sec > 0; s++)
                ck_assert_msg((at(&w, g, s->sec, s->available), w.plan->active_rules[0]) == s->want, "%s: at %u s",
                              window_rows[_i].name, (unsigned)s->sec);
        world_done(&w);
}
END_TEST

/* Looked at each two seconds; it reports each ten, 100 faults a second. */
START_TEST(a_rate_of_reports_is_that_between_two_reports) {
        Guest *a;
        World w;

        world(&w, "{ metric = \"guest.major_faults\"; rate = \"rising\"; above = \"50/s\"; }");
        a = world_guest(&w, "g-a", 2, GIB);
        for (uint64_t sec = 100; sec < 140; sec += 2) {
                uint64_t age = sec % 10;

                /* The times are not exactly the same: the one is read from another clock. */
                a->stats = (BalloonStats){ .major_faults = 100 * (sec - age), .age_usec = age * SEC + sec };
                ck_assert_msg(at(&w, a, sec, 32) == (sec >= 110), "at %u s", (unsigned)sec);
        }
        world_done(&w);
}
END_TEST

/* Two looks within milliseconds, as events cause them, and a few pages less in between. */
START_TEST(looks_in_quick_succession_make_no_rate) {
        Guest *a;
        World w;

        world(&w, "{ metric = \"host.memory.available\"; rate = \"falling\"; above = \"64 MiB/s\"; }");
        w.config->rules[0].of_guest = false;
        a = world_guest(&w, "g-a", 2, GIB);
        (void)at(&w, a, 100, 20);
        (void)at(&w, a, 110, 20);
        w.snapshot->now_usec += 5 * USEC_PER_MSEC;
        w.snapshot->host.memory.available_bytes -= MIB;
        world_decide(&w, NULL);
        ck_assert(!w.plan->active_rules[0]);
        /* Nothing is lost: it counts over the whole time. */
        (void)at(&w, a, 120, 18);
        ck_assert(w.plan->active_rules[0]);
        world_done(&w);
}
END_TEST

/* A guest that starts makes a decision of its own in between, with the host's values of before. */
START_TEST(a_decision_for_one_guest_takes_no_sample) {
        World w;
        Guest *g;

        world(&w, "{ metric = \"host.memory.available\"; rate = \"falling\"; above = \"1 GiB/s\"; }");
        w.config->rules[0].of_guest = false;
        g = world_guest(&w, "g", 1, GIB);
        (void)at(&w, g, 10, 32);
        (void)at(&w, g, 20, 10);
        ck_assert(w.plan->active_rules[0]);
        w.snapshot->now_usec = 25 * SEC;
        world_decide(&w, g->uuid);
        ck_assert(w.plan->active_rules[0]);
        ck_assert_uint_eq(w.state->thresholds[0].seen_usec, 20 * SEC);
        world_done(&w);
}
END_TEST

START_TEST(a_rule_on_a_guests_metric_holds_for_that_guest_alone) {
        Guest *a, *b, *other;
        World w;

        world(&w, "{ metric = \"guest.cpu.busy\"; above = \"80 %\"; clear = \"60 %\"; for = \"10 s\"; }");
        a = world_guest(&w, "g-a", 2, GIB);
        b = world_guest(&w, "g-b", 2, GIB);
        other = world_guest(&w, "other", 2, GIB);
        guest_load(a, 9000, 0);
        guest_load(b, 1000, 0);
        guest_load(other, 9000, 0);
        ck_assert(!at(&w, a, 100, 32));
        ck_assert_uint_eq(rules_next_dwell_usec(w.config, w.state, w.snapshot->now_usec), 10 * SEC);
        ck_assert(at(&w, a, 110, 32));
        ck_assert(w.plan->active_rules[0]);
        ck_assert(!holds_for(&w, b) && !holds_for(&w, other));
        guest_load(a, 6100, 0);
        guest_load(b, 8100, 0);
        ck_assert(at(&w, a, 120, 32));
        ck_assert(!holds_for(&w, b));
        guest_load(a, 5900, 0);
        ck_assert(!at(&w, a, 130, 32));
        ck_assert(holds_for(&w, b));
        /* Nothing of a guest that is gone is kept. */
        ck_assert(snapshot_remove_guest(w.snapshot, b->uuid));
        world_decide(&w, NULL);
        ck_assert(!w.plan->active_rules[0]);
        ck_assert_uint_eq(w.state->n_guest_thresholds, 1);
        world_done(&w);
}
END_TEST

/* So it needs no memory, and cannot fail. */
START_TEST(a_look_that_is_not_fresh_remembers_nothing) {
        bool active = true;
        Guest *g;
        World w;

        world(&w, "{ metric = \"guest.vcpus\"; above = 1; }");
        g = world_guest(&w, "g", 2, GIB);
        ck_assert_int_eq(rules_evaluate_guest(w.config, w.snapshot, g, false, w.state, &active), 0);
        ck_assert(!active);
        ck_assert_uint_eq(w.state->n_guest_thresholds, 0);
        ck_assert(at(&w, g, 100, 32));
        ck_assert_uint_eq(w.state->n_guest_thresholds, 1);
        world_done(&w);
}
END_TEST

START_TEST(what_is_the_hosts_in_such_a_rule_is_the_same_for_all) {
        Guest *a, *b;
        World w;

        world(&w, "{ all = ( { metric = \"guest.vcpus\"; above = 1; }, "
                  "{ metric = \"host.memory.available\"; below = \"10 GiB\"; for = \"5 s\"; } ); }");
        a = world_guest(&w, "g-a", 2, GIB);
        b = world_guest(&w, "g-b", 1, GIB);
        ck_assert(!at(&w, a, 100, 5));
        ck_assert(at(&w, a, 105, 5));
        ck_assert(!holds_for(&w, b));
        ck_assert(!at(&w, a, 110, 32));
        world_done(&w);
}
END_TEST

START_TEST(statistics_a_rule_looks_at_are_asked_for_once) {
        Guest *a, *b;
        World w;

        world(&w, "{ metric = \"guest.memory.usable\"; below = \"10 %\"; }");
        a = world_guest(&w, "g-a", 2, GIB);
        b = world_guest(&w, "other", 2, GIB);
        (void)b;
        ck_assert(!at(&w, a, 100, 32));
        ck_assert_uint_eq(w.plan->n_wanted_stats, 1);
        ck_assert_str_eq(w.plan->wanted_stats[0], a->uuid);
        a->stats = (BalloonStats){ .usable_bytes = GIB / 20, .age_usec = SEC };
        ck_assert(at(&w, a, 110, 32));
        world_done(&w);
}
END_TEST

START_TEST(guest_thresholds_survive_a_restart) {
        State *read = NULL;
        char *text = NULL, *error = NULL, *again = NULL;
        Guest *a;
        World w;

        world(&w, "{ metric = \"guest.cpu.busy\"; average = \"10 min\"; above = \"80 %\"; for = \"10 s\"; }");
        a = world_guest(&w, "g-a", 2, GIB);
        guest_load(a, 9000, 0);
        (void)at(&w, a, 100, 32);
        ck_assert_int_eq(state_format(w.state, &text), 0);
        ck_assert_ptr_nonnull(strstr(text, "guest-threshold "));
        ck_assert_msg(state_parse(text, &read, &error) == 0, "%s", error ?: "?");
        ck_assert_int_eq(state_format(read, &again), 0);
        ck_assert_str_eq(text, again);
        w.state = state_free(w.state);
        w.state = read;
        guest_load(a, 9100, 0);
        ck_assert(at(&w, a, 110, 32));
        free(text);
        free(again);
        world_done(&w);
}
END_TEST

/* The policy is edited while the daemon does not run, or loaded anew: a rule is put before the one that holds. */
START_TEST(a_threshold_is_not_remembered_for_another_one) {
        static const char *const edited =
                "rules = ( { name = \"new\"; set = { thp = { enabled = \"never\"; }; };"
                " when = { metric = \"host.memory.free\"; below = \"1 GiB\"; clear = \"30 GiB\"; }; },"
                " { name = \"r\"; set = { thp = { enabled = \"always\"; }; };"
                " when = { metric = \"host.memory.available\"; below = \"10 GiB\"; clear = \"20 GiB\"; }; } );";
        Guest *a;
        World w;

        world(&w, "{ metric = \"host.memory.available\"; below = \"10 GiB\"; clear = \"20 GiB\"; }");
        w.config->rules[0].of_guest = false;
        a = world_guest(&w, "g-a", 2, GIB);
        (void)at(&w, a, 100, 5);
        ck_assert(w.plan->active_rules[0]);
        world_configure(&w, edited);
        w.snapshot->host.memory.free_bytes = 15 * GIB;
        w.snapshot->now_usec = 110 * SEC;
        world_decide(&w, NULL);
        ck_assert(!w.plan->active_rules[0] && w.plan->active_rules[1]);
        /* The same policy once more: 15 GiB available keep what 5 began. */
        world_configure(&w, edited);
        state_forget_thresholds(w.state, w.config->n_thresholds);
        w.snapshot->host.memory.available_bytes = 15 * GIB;
        w.snapshot->now_usec = 120 * SEC;
        world_decide(&w, NULL);
        ck_assert(w.plan->active_rules[1]);
        state_forget_thresholds(w.state, 1);
        ck_assert_uint_eq(w.state->n_thresholds, 1);
        world_done(&w);
}
END_TEST

static const struct {
        const char *line, *want;
} state_rows[] = {
        { "guest-threshold", "line 2: the UUID is missing" },
        { "guest-threshold u", "line 2: the threshold's number is missing" },
        { "guest-threshold u 65536", "line 2: the threshold's number is above 65535" },
        { "guest-threshold u 1 active=2", "line 2: active is not a number in its range: \"2\"" },
};

START_TEST(bad_records_of_guest_thresholds_are_refused) {
        _cleanup_free_ char *text = NULL, *error = NULL;
        State *s = NULL;

        ck_assert_int_eq(strprintf_to(&text, "kvmtuned-state 1\n%s\nend\n", state_rows[_i].line), 0);
        ck_assert_int_eq(state_parse(text, &s, &error), -EBADMSG);
        ck_assert_str_eq(error, state_rows[_i].want);
        state_free(s);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("rules_guest");
        TCase *tc = tcase_create("rules_guest");
        SRunner *runner;
        int failed;

        tcase_add_loop_test(tc, rates_and_means_over_time, 0, (int)ELEMENTSOF(window_rows));
        tcase_add_test(tc, a_rate_of_reports_is_that_between_two_reports);
        tcase_add_test(tc, looks_in_quick_succession_make_no_rate);
        tcase_add_test(tc, a_decision_for_one_guest_takes_no_sample);
        tcase_add_test(tc, a_rule_on_a_guests_metric_holds_for_that_guest_alone);
        tcase_add_test(tc, a_look_that_is_not_fresh_remembers_nothing);
        tcase_add_test(tc, what_is_the_hosts_in_such_a_rule_is_the_same_for_all);
        tcase_add_test(tc, statistics_a_rule_looks_at_are_asked_for_once);
        tcase_add_test(tc, guest_thresholds_survive_a_restart);
        tcase_add_test(tc, a_threshold_is_not_remembered_for_another_one);
        tcase_add_loop_test(tc, bad_records_of_guest_thresholds_are_refused, 0, (int)ELEMENTSOF(state_rows));
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
