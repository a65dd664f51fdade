/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "../../lib/rules.h"

#include <check.h>

#define NEVER UINT64_MAX
#define UNKNOWN (-1)

static void state_done(State *s) {
        free(s->thresholds);
}

#define _cleanup_state_ _cleanup_(state_done)

/* One threshold on available memory, in bytes so that the numbers below are the values. */
static Condition threshold(bool above, uint64_t limit, uint64_t clear, uint64_t for_sec, unsigned index) {
        return (Condition){
                .type = CONDITION_THRESHOLD,
                .metric = METRIC_HOST_MEMORY_AVAILABLE,
                .above = above,
                .limit = limit,
                .clear = clear,
                .for_usec = for_sec * USEC_PER_SEC,
                .threshold_index = index,
        };
}

/* Evaluates one rule at @sec with @value available bytes. */
static bool look(Condition *when, State *state, uint64_t sec, int value) {
        Rule rule = { .when = when };
        Config config = { .rules = &rule, .n_rules = 1, .n_thresholds = 8 };
        Snapshot snapshot = { .now_usec = sec * USEC_PER_SEC };
        bool active = !value;

        snapshot.host.memory.available_bytes = value == UNKNOWN ? UNKNOWN_U64 : (uint64_t)value;
        ck_assert_int_eq(rules_evaluate(&config, &snapshot, true, state, &active), 0);
        return active;
}

static uint64_t next_dwell_sec(Condition *when, const State *state, uint64_t sec) {
        Rule rule = { .when = when };
        Config config = { .rules = &rule, .n_rules = 1, .n_thresholds = 8 };
        uint64_t usec = rules_next_dwell_usec(&config, state, sec * USEC_PER_SEC);

        return usec == UINT64_MAX ? NEVER : usec / USEC_PER_SEC;
}

typedef struct Look {
        uint64_t sec;
        int value;
        bool want;
        uint64_t want_dwell_sec;
} Look;

/* "above 100, clear 80, for 10 s", except where the name says else. A row ends with the first zero second. */
static const struct {
        const char *name;
        bool below;
        uint64_t limit, clear, for_sec;
        Look looks[12];
} threshold_rows[] = {
        { "becomes active when the dwell is over, not before", false, 100, 80, 10,
          { { 1, 50, false, NEVER }, { 5, 101, false, 10 }, { 14, 150, false, 1 }, { 15, 150, true, NEVER } } },
        { "the limit itself is not above it", false, 100, 80, 0,
          { { 1, 100, false, NEVER }, { 2, 101, true, NEVER } } },
        { "without dwell it is active at once", false, 100, 80, 0, { { 7, 101, true, NEVER } } },
        { "a drop before the dwell is over starts it again", false, 100, 80, 10,
          { { 1, 101, false, 10 }, { 9, 101, false, 2 }, { 10, 100, false, NEVER }, { 11, 101, false, 10 },
            { 20, 101, false, 1 }, { 21, 101, true, NEVER } } },
        { "a late look is enough when nothing else was seen", false, 100, 80, 10,
          { { 1, 101, false, 10 }, { 500, 101, true, NEVER } } },
        { "stays active down to clear", false, 100, 80, 0,
          { { 1, 101, true, NEVER }, { 2, 100, true, NEVER }, { 3, 80, true, NEVER }, { 4, 79, false, NEVER },
            { 5, 80, false, NEVER }, { 6, 100, false, NEVER }, { 7, 101, true, NEVER } } },
        { "after clearing the dwell starts afresh", false, 100, 80, 10,
          { { 1, 101, false, 10 }, { 11, 101, true, NEVER }, { 12, 79, false, NEVER }, { 13, 101, false, 10 },
            { 22, 101, false, 1 }, { 23, 101, true, NEVER } } },
        { "back above the limit without clearing needs no dwell", false, 100, 80, 10,
          { { 1, 101, false, 10 }, { 11, 101, true, NEVER }, { 12, 90, true, NEVER }, { 13, 101, true, NEVER },
            { 14, 90, true, NEVER } } },
        { "clear equal to the limit: the limit itself holds it", false, 100, 100, 0,
          { { 1, 100, false, NEVER }, { 2, 101, true, NEVER }, { 3, 100, true, NEVER }, { 4, 99, false, NEVER },
            { 5, 100, false, NEVER } } },
        { "unknown keeps it inactive", false, 100, 80, 0,
          { { 1, UNKNOWN, false, NEVER }, { 2, 50, false, NEVER }, { 3, UNKNOWN, false, NEVER } } },
        { "unknown keeps it active", false, 100, 80, 0,
          { { 1, 101, true, NEVER }, { 2, UNKNOWN, true, NEVER }, { 900, UNKNOWN, true, NEVER },
            { 901, 79, false, NEVER } } },
        { "unknown neither ends a dwell nor completes it", false, 100, 80, 10,
          { { 1, 101, false, 10 }, { 5, UNKNOWN, false, 6 }, { 11, UNKNOWN, false, NEVER },
            { 20, UNKNOWN, false, NEVER }, { 21, 101, true, NEVER } } },
        { "a clock that went back starts the dwell again", false, 100, 80, 10,
          { { 1000, 101, false, 10 }, { 1009, 101, false, 1 }, { 3, 101, false, 10 }, { 12, 101, false, 1 },
            { 13, 101, true, NEVER } } },
        { "a clock that went back does not clear", false, 100, 80, 10,
          { { 1000, 101, false, 10 }, { 1010, 101, true, NEVER }, { 3, 101, true, NEVER }, { 4, 90, true, NEVER },
            { 5, 79, false, NEVER } } },
        { "a clear beyond the limit only ever costs a new dwell", false, 100, 120, 10,
          { { 1, 150, false, 10 }, { 11, 150, true, NEVER }, { 15, 110, false, 10 }, { 24, 110, false, 1 },
            { 25, 110, true, NEVER } } },
        { "without a clear of its own it ends at the limit", false, 100, 101, 0,
          { { 1, 100, false, NEVER }, { 2, 101, true, NEVER }, { 3, 100, false, NEVER }, { 4, 101, true, NEVER } } },
        { "above 0 ends at 0", false, 0, 1, 0,
          { { 1, 0, false, NEVER }, { 2, 1, true, NEVER }, { 3, 0, false, NEVER } } },
        { "below is the mirror image", true, 100, 120, 10,
          { { 1, 100, false, NEVER }, { 2, 99, false, 10 }, { 11, 0, false, 1 }, { 12, 99, true, NEVER },
            { 13, 100, true, NEVER }, { 14, 120, true, NEVER }, { 15, 121, false, NEVER },
            { 16, 120, false, NEVER }, { 17, 99, false, 10 }, { 27, 99, true, NEVER } } },
        { "below with clear equal to the limit", true, 100, 100, 0,
          { { 1, 100, false, NEVER }, { 2, 99, true, NEVER }, { 3, 100, true, NEVER }, { 4, 101, false, NEVER } } },
};

START_TEST(thresholds_follow_the_truth_table) {
        _cleanup_state_ State state = { 0 };
        Condition when = threshold(!threshold_rows[_i].below, threshold_rows[_i].limit, threshold_rows[_i].clear,
                                   threshold_rows[_i].for_sec, 3);

        for (const Look *l = threshold_rows[_i].looks; l->sec > 0; l++) {
                bool got = look(&when, &state, l->sec, l->value);

                ck_assert_msg(got == l->want, "%s: at %llu s it is %d", threshold_rows[_i].name,
                              (unsigned long long)l->sec, got);
                ck_assert_msg(next_dwell_sec(&when, &state, l->sec) == l->want_dwell_sec,
                              "%s: at %llu s the dwell has another %llu s", threshold_rows[_i].name,
                              (unsigned long long)l->sec,
                              (unsigned long long)next_dwell_sec(&when, &state, l->sec));
        }
}
END_TEST

typedef struct Past {
        uint64_t sec;
        int value;
} Past;

/* The definition, from the whole past: active at look @n? */
static bool model_active(const Condition *c, const Past *past, size_t n) {
        bool on = false;

        for (size_t i = 0; i <= n; i++) {
                size_t first = i;

                if (past[i].value == UNKNOWN)
                        continue;
                if (on) {
                        on = c->above ? past[i].value >= (int)c->clear : past[i].value <= (int)c->clear;
                        continue;
                }
                for (size_t j = i + 1; j-- > 0;) {
                        if (past[j].value == UNKNOWN)
                                continue;
                        if (c->above ? past[j].value <= (int)c->limit : past[j].value >= (int)c->limit)
                                break;
                        first = j;
                        on = (past[i].sec - past[first].sec) * USEC_PER_SEC >= c->for_usec;
                }
        }
        return on;
}

START_TEST(random_sequences_agree_with_the_definition) {
        uint64_t rng = (uint64_t)_i + 1;
        unsigned switches = 0;

        for (unsigned round = 0; round < 60; round++) {
                _cleanup_state_ State state = { 0 };
                bool above = _i % 2 == 0;
                /* From what the loader takes without clear to a band of two. */
                Condition when = threshold(above, 5, above ? 6 - round % 4 : 4 + round % 4, round % 12, 0);
                Past past[60];
                uint64_t sec = 0;
                bool last = false;

                for (size_t n = 0; n < ELEMENTSOF(past); n++) {
                        bool got;

                        rng = rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                        sec += 1 + (rng >> 40) % 5;
                        past[n] = (Past){ sec, (int)((rng >> 50) % 12) };
                        /* Long stretches beyond the limit, so that dwells end. */
                        if ((rng >> 33) % 8 < 5)
                                past[n].value = when.above ? 9 : 1;
                        if ((rng >> 33) % 8 == 7)
                                past[n].value = UNKNOWN;
                        got = look(&when, &state, sec, past[n].value);
                        ck_assert_msg(got == model_active(&when, past, n), "round %u, look %zu is %d", round, n, got);
                        switches += got != last;
                        last = got;
                }
        }
        ck_assert_uint_gt(switches, 100);
}
END_TEST

/* Leaves that are constantly true or false; depth two. */
static const struct {
        ConditionType type;
        bool leaves[3];
        size_t n;
        bool want;
} compose_rows[] = {
        { CONDITION_ALL, { true, true, true }, 3, true },
        { CONDITION_ALL, { true, false, true }, 3, false },
        { CONDITION_ALL, { false }, 1, false },
        { CONDITION_ANY, { false, false, true }, 3, true },
        { CONDITION_ANY, { true, true, true }, 3, true },
        { CONDITION_ANY, { false, false, false }, 3, false },
        { CONDITION_NOT, { true }, 1, false },
        { CONDITION_NOT, { false }, 1, true },
        { CONDITION_NOT, { false, false }, 2, true },
        { CONDITION_NOT, { false, true }, 2, false },
};

START_TEST(conditions_compose) {
        _cleanup_state_ State state = { 0 };
        Condition leaves[3], *children[3], when, not_when, *inner[] = { &when };

        for (unsigned i = 0; i < compose_rows[_i].n; i++) {
                leaves[i] = threshold(compose_rows[_i].leaves[i], 10, 10, 0, i);
                children[i] = &leaves[i];
        }
        when = (Condition){ .type = compose_rows[_i].type, .children = children, .n_children = compose_rows[_i].n };
        not_when = (Condition){ .type = CONDITION_NOT, .children = inner, .n_children = 1 };
        /* 11 is above 10 and not below it. */
        ck_assert_int_eq(look(&when, &state, 1, 11), compose_rows[_i].want);
        ck_assert_int_eq(look(&not_when, &state, 2, 11), !compose_rows[_i].want);
}
END_TEST

/* A dwell runs on while another part of the condition already decides the rule. */
START_TEST(every_threshold_is_looked_at_every_time) {
        _cleanup_state_ State state = { 0 };
        Condition gate = threshold(false, 100, 100, 0, 0), slow = threshold(true, 50, 50, 10, 1);
        Condition *children[] = { &gate, &slow };
        Condition all = { .type = CONDITION_ALL, .children = children, .n_children = 2 };
        Condition any = { .type = CONDITION_ANY, .children = children, .n_children = 2 };

        /* 150: the gate is shut, slow begins its dwell; 60 opens the gate when the dwell is over. */
        ck_assert(!look(&all, &state, 1, 150));
        ck_assert(look(&all, &state, 11, 60));
        state.thresholds[1] = (ThresholdMemo){ 0 };
        /* 60: the gate holds the rule; slow begins; 150 shuts the gate, slow has taken over. */
        ck_assert(look(&any, &state, 21, 60));
        ck_assert(look(&any, &state, 31, 150));
}
END_TEST

START_TEST(rules_are_independent_and_each_is_answered) {
        _cleanup_state_ State state = { 0 };
        Condition a = threshold(true, 10, 10, 0, 0), b = threshold(true, 20, 20, 0, 1);
        Condition c = threshold(true, 30, 30, 0, 2);
        Rule rules[] = { { .when = &a }, { .when = &b }, { .when = &c } };
        Config config = { .rules = rules, .n_rules = 3, .n_thresholds = 3 };
        Snapshot snapshot = { .now_usec = 1 };
        bool active[3] = { false, true, true };

        snapshot.host.memory.available_bytes = 25;
        ck_assert_int_eq(rules_evaluate(&config, &snapshot, true, &state, active), 0);
        ck_assert(active[0] && active[1] && !active[2]);
        ck_assert_uint_eq(state.n_thresholds, 3);
        ck_assert(state.thresholds[1].active && !state.thresholds[2].raw);
}
END_TEST

START_TEST(no_rules_need_nothing) {
        _cleanup_state_ State state = { 0 };
        Config config = { 0 };
        Snapshot snapshot = { 0 };
        LocalTime t = { .hour = 12 };

        ck_assert_int_eq(rules_evaluate(&config, &snapshot, true, &state, NULL), 0);
        ck_assert_uint_eq(rules_next_edge_sec(&config, &t), 0);
        ck_assert_uint_eq(rules_next_dwell_usec(&config, &state, 5), UINT64_MAX);
}
END_TEST

START_TEST(a_rule_follows_its_schedule_and_threshold) {
        _cleanup_state_ State state = { 0 };
        Schedule office = { .weekdays = 0x1f, .start_minute = 480, .end_minute = 1080 };
        Condition schedule = { .type = CONDITION_SCHEDULE, .schedules = &office, .n_schedules = 1 };
        Condition busy = threshold(true, 10, 10, 0, 0), *children[] = { &schedule, &busy };
        Condition when = { .type = CONDITION_ALL, .children = children, .n_children = 2 };
        Rule rule = { .when = &when };
        Config config = { .rules = &rule, .n_rules = 1, .n_thresholds = 1 };
        Snapshot snapshot = { .now_usec = 1, .local_time = { .weekday = 4, .hour = 17, .minute = 59 } };
        bool active = false;

        snapshot.host.memory.available_bytes = 11;
        ck_assert_int_eq(rules_evaluate(&config, &snapshot, true, &state, &active), 0);
        ck_assert(active);
        snapshot.local_time.hour = 18;
        snapshot.local_time.minute = 0;
        ck_assert_int_eq(rules_evaluate(&config, &snapshot, true, &state, &active), 0);
        ck_assert(!active);
}
END_TEST

/* A schedule three levels down, in the second rule, is found; a rule of thresholds only has no edge. */
START_TEST(edges_are_found_in_nested_conditions) {
        Schedule odd = { .weekdays = 0x7f, .start_minute = 12 * 60 + 7, .end_minute = 12 * 60 + 9 };
        Schedule even = { .weekdays = 0x7f, .start_minute = 12 * 60, .end_minute = 13 * 60 };
        Condition level = threshold(true, 1, 1, 0, 0);
        Condition leaf = { .type = CONDITION_SCHEDULE, .schedules = &odd, .n_schedules = 1 };
        Condition other = { .type = CONDITION_SCHEDULE, .schedules = &even, .n_schedules = 1 };
        Condition *one[] = { &leaf }, *two[] = { &level, &other, NULL };
        Condition not_leaf = { .type = CONDITION_NOT, .children = one, .n_children = 1 };
        Condition all = { .type = CONDITION_ALL, .children = two, .n_children = 3 };
        Rule rules[] = { { .when = &level }, { .when = &all } };
        Config config = { .rules = rules, .n_rules = 1 };
        LocalTime t = { .hour = 12, .minute = 1 };

        two[2] = &not_leaf;
        ck_assert_uint_eq(rules_next_edge_sec(&config, &t), 0);
        config.n_rules = 2;
        ck_assert_uint_eq(rules_next_edge_sec(&config, &t), 6 * 60);
        t.minute = 7;
        ck_assert_uint_eq(rules_next_edge_sec(&config, &t), 2 * 60);
        t.minute = 9;
        ck_assert_uint_eq(rules_next_edge_sec(&config, &t), 6 * 60);
}
END_TEST

START_TEST(the_shortest_running_dwell_counts) {
        ThresholdMemo memos[] = {
                { .raw = true, .raw_since_usec = 100, .active = false },
                { .raw = true, .raw_since_usec = 50, .active = false },
                { .raw = true, .raw_since_usec = 10, .active = true },
                { .raw = false, .raw_since_usec = 10, .active = false },
        };
        State state = { .thresholds = memos, .n_thresholds = ELEMENTSOF(memos) };
        Condition leaves[5], *children[5];
        Condition any = { .type = CONDITION_ANY, .children = children, .n_children = 4 };
        Rule rule = { .when = &any };
        Config config = { .rules = &rule, .n_rules = 1, .n_thresholds = 5 };

        for (unsigned i = 0; i < 5; i++) {
                leaves[i] = threshold(true, 1, 1, 0, i);
                leaves[i].for_usec = 200;
                children[i] = &leaves[i];
        }
        ck_assert_uint_eq(rules_next_dwell_usec(&config, &state, 120), 130);
        ck_assert_uint_eq(rules_next_dwell_usec(&config, &state, 249), 1);
        ck_assert_uint_eq(rules_next_dwell_usec(&config, &state, 250), 50);
        ck_assert_uint_eq(rules_next_dwell_usec(&config, &state, 300), UINT64_MAX);
        /* Nothing overflows, and a threshold the state does not have yet has no dwell. */
        any.n_children = 5;
        leaves[0].for_usec = leaves[1].for_usec = UINT64_MAX;
        ck_assert_uint_eq(rules_next_dwell_usec(&config, &state, 300), UINT64_MAX - 300);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("rules");
        TCase *tc = tcase_create("rules");
        SRunner *runner;
        int failed;

        tcase_add_loop_test(tc, thresholds_follow_the_truth_table, 0, (int)ELEMENTSOF(threshold_rows));
        tcase_add_loop_test(tc, random_sequences_agree_with_the_definition, 0, 4);
        tcase_add_loop_test(tc, conditions_compose, 0, (int)ELEMENTSOF(compose_rows));
        tcase_add_test(tc, every_threshold_is_looked_at_every_time);
        tcase_add_test(tc, rules_are_independent_and_each_is_answered);
        tcase_add_test(tc, no_rules_need_nothing);
        tcase_add_test(tc, a_rule_follows_its_schedule_and_threshold);
        tcase_add_test(tc, edges_are_found_in_nested_conditions);
        tcase_add_test(tc, the_shortest_running_dwell_counts);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
