/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../../lib/plan.h"

#include <check.h>
#include <stdio.h>

static Plan *new_plan(void) {
        Plan *p = NULL;

        ck_assert_int_eq(plan_new(&p), 0);
        return p;
}

static Guest *new_guest(const char *name) {
        Guest *g = NULL;

        ck_assert_int_eq(guest_new(name, "00000000-0000-0000-0000-000000000001", &g), 0);
        return g;
}

static void assert_format(const Plan *p, bool json, const char *want) {
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(plan_format(p, json, &text), 0);
        ck_assert_str_eq(text, want);
}

START_TEST(names_read_back) {
        for (int i = 0; i < _ACTION_KIND_MAX; i++)
                ck_assert_int_eq(action_kind_from_string(action_kind_to_string((ActionKind)i)), i);
        for (int i = 0; i < _SKIP_REASON_MAX; i++)
                ck_assert_int_eq(skip_reason_from_string(skip_reason_to_string((SkipReason)i)), i);
        for (int i = 0; i < _KSM_KNOB_MAX; i++)
                ck_assert_int_eq(ksm_knob_from_string(ksm_knob_to_string((KsmKnob)i)), i);
}
END_TEST

START_TEST(an_empty_plan_says_so) {
        _cleanup_(plan_freep) Plan *p = new_plan();

        assert_format(p, false, "Nothing to do.\n");
        assert_format(p, true,
                      "{\n  \"actions\": [],\n  \"skipped\": [],\n"
                      "  \"placement\": [],\n  \"statistics_wanted\": []\n}\n");
}
END_TEST

/* The plan outlives the snapshot, the settings and the caller's buffers. */
START_TEST(a_plan_keeps_its_own_strings) {
        _cleanup_(plan_freep) Plan *p = new_plan();
        Guest *g = new_guest("web-1");
        char old[] = "0-7", new[] = "0-3", source[] = "a.conf:1", why[] = "room";

        ck_assert_int_eq(plan_add_action(p, ACTION_PIN_VCPU, g, 3, old, new, source, "%s %u", why, 5U), 0);
        ck_assert_int_eq(plan_add_skip(p, ACTION_SET_BALLOON, g, SKIP_VFIO, "%s", why), 0);
        ck_assert_int_eq(plan_want_stats(p, g), 0);
        (void)guest_free(g);
        old[0] = new[0] = source[0] = why[0] = 'X';
        assert_format(p, false,
                      "Actions (1):\n"
                      "  pin-vcpu          web-1 vCPU 3 0-7 -> 0-3\n"
                      "                    because room 5 [a.conf:1]\n"
                      "Skipped (1):\n"
                      "  set-balloon       web-1 vfio: room\n"
                      "Statistics wanted: web-1\n");
}
END_TEST

START_TEST(many_actions_keep_their_order) {
        _cleanup_(plan_freep) Plan *p = new_plan();
        _cleanup_(guest_freep) Guest *g = new_guest("a");

        for (unsigned i = 0; i < 1000; i++)
                ck_assert_int_eq(plan_add_action(p, ACTION_PIN_VCPU, g, i, "0", "1", "default", "x"), 0);
        for (unsigned i = 0; i < 1000; i++)
                ck_assert_uint_eq(p->actions[i].index, i);
}
END_TEST

static const struct {
        const char *name;
        ActionKind kind;
        unsigned index;
        const char *old_value, *new_value;
        const char *line;
} value_rows[] = {
        { "sizes are short", ACTION_SET_BALLOON, 0, "2147483648", "1610612736", "g 2 GiB -> 1.5 GiB" },
        { "sizes that look the same are exact", ACTION_SET_BALLOON, 0, "2147483648", "2148532224",
          "g 2 GiB -> 2049 MiB" },
        { "an empty list is none", ACTION_SET_NODESET, 0, "", "0-1", "g none -> 0-1" },
        { "no value is unknown", ACTION_SET_NODESET, 0, NULL, "0-1", "g unknown -> 0-1" },
        { "periods are seconds", ACTION_SET_STATS_PERIOD, 0, "0", "10", "g 0 s -> 10 s" },
        { "iothreads have numbers", ACTION_PIN_IOTHREAD, 2, "0", "1", "g iothread 2 0 -> 1" },
        { "the emulator has none", ACTION_PIN_EMULATOR, 0, "0", "1", "g 0 -> 1" },
};

START_TEST(values_for_people) {
        _cleanup_(plan_freep) Plan *p = new_plan();
        _cleanup_(guest_freep) Guest *g = new_guest("g");
        _cleanup_free_ char *text = NULL;
        char want[128], *line;

        ck_assert_int_eq(plan_add_action(p, value_rows[_i].kind, g, value_rows[_i].index, value_rows[_i].old_value,
                                         value_rows[_i].new_value, "default", "x"),
                         0);
        ck_assert_int_eq(plan_format(p, false, &text), 0);
        line = strtok(strchr(text, '\n') + 1, "\n");
        (void)snprintf(want, sizeof(want), "  %-17s %s", action_kind_to_string(value_rows[_i].kind),
                       value_rows[_i].line);
        ck_assert_msg(streq(line, want), "%s: \"%s\", not \"%s\"", value_rows[_i].name, line, want);
}
END_TEST

START_TEST(the_host_has_no_guest_and_names_its_knob) {
        _cleanup_(plan_freep) Plan *p = new_plan();

        ck_assert_int_eq(plan_add_action(p, ACTION_SET_KSM, NULL, KSM_KNOB_PAGES_TO_SCAN, "100", "1250",
                                         "rule \"night\" (k.conf:3)", "it is night"),
                         0);
        ck_assert_int_eq(plan_add_skip(p, ACTION_SET_KSM, NULL, SKIP_UNAVAILABLE, "read-only"), 0);
        assert_format(p, false,
                      "Actions (1):\n"
                      "  set-ksm           pages_to_scan 100 -> 1250\n"
                      "                    because it is night [rule \"night\" (k.conf:3)]\n"
                      "Skipped (1):\n"
                      "  set-ksm           host unavailable: read-only\n");
        assert_format(p, true,
                      "{\n"
                      "  \"actions\": [\n"
                      "    {\"kind\": \"set-ksm\", \"guest\": null, \"uuid\": null, \"knob\": \"pages_to_scan\", "
                      "\"old\": \"100\", \"new\": \"1250\", \"reason\": \"it is night\", "
                      "\"source\": \"rule \\\"night\\\" (k.conf:3)\"}\n"
                      "  ],\n"
                      "  \"skipped\": [\n"
                      "    {\"kind\": \"set-ksm\", \"guest\": null, \"uuid\": null, \"why\": \"unavailable\", "
                      "\"detail\": \"read-only\"}\n"
                      "  ],\n"
                      "  \"placement\": [],\n"
                      "  \"statistics_wanted\": []\n"
                      "}\n");
}
END_TEST

static const struct {
        const char *name, *json, *text;
} string_rows[] = {
        { "a\"b\\c", "a\\\"b\\\\c", "a\"b\\c" },
        { "a\nb\tc", "a\\nb\\tc", "a\\x0ab\\x09c" },
        { "\x1b[2J\x7f", "\\u001b[2J\\u007f", "\\x1b[2J\\x7f" },
        { "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa7", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa7",
          "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa7" },
        /* not UTF-8: alone, cut short, overlong, surrogate, above U+10FFFF, control character */
        { "a\xff""b", "a\xef\xbf\xbd""b", "a\xef\xbf\xbd""b" },
        { "\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd", "\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd", "\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xe0\x80\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
          "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xc2\x9b""2J", "\xef\xbf\xbd""2J", "\xef\xbf\xbd""2J" },
};

START_TEST(hostile_names_are_escaped_in_both_forms) {
        _cleanup_(plan_freep) Plan *p = new_plan();
        _cleanup_(guest_freep) Guest *g = new_guest(string_rows[_i].name);
        _cleanup_free_ char *json = NULL, *want = NULL, *text = NULL;

        ck_assert_int_eq(plan_want_stats(p, g), 0);
        ck_assert_int_eq(plan_format(p, true, &json), 0);
        ck_assert_int_eq(strprintf_to(&want, "{\"guest\": \"%s\", ", string_rows[_i].json), 0);
        ck_assert_msg(strstr(json, want) != NULL, "%s", json);
        ck_assert_int_eq(plan_format(p, false, &text), 0);
        ck_assert_int_eq(strprintf_to(&want, "Nothing to do.\nStatistics wanted: %s\n", string_rows[_i].text), 0);
        ck_assert_str_eq(text, want);
}
END_TEST

START_TEST(columns_align_by_characters_not_bytes) {
        _cleanup_(plan_freep) Plan *p = new_plan();
        _cleanup_(guest_freep) Guest *a = new_guest("\xc3\xa4\xc3\xb6"), *b = new_guest("ab");

        ck_assert_int_eq(plan_add_skip(p, ACTION_PIN_VCPU, a, SKIP_COOLDOWN, "x"), 0);
        ck_assert_int_eq(plan_add_skip(p, ACTION_PIN_VCPU, b, SKIP_COOLDOWN, "x"), 0);
        assert_format(p, false,
                      "Nothing to do.\n"
                      "Skipped (2):\n"
                      "  pin-vcpu          \xc3\xa4\xc3\xb6 cooldown: x\n"
                      "  pin-vcpu          ab cooldown: x\n");
}
END_TEST

START_TEST(a_copied_action_is_independent) {
        _cleanup_(plan_freep) Plan *p = new_plan();
        _cleanup_(guest_freep) Guest *g = new_guest("web");
        Action copy;

        ck_assert_int_eq(plan_add_action(p, ACTION_PIN_VCPU, g, 1, NULL, "3", "default", "why"), 0);
        ck_assert_int_eq(action_copy(&p->actions[0], &copy), 0);
        p = plan_free(p);
        ck_assert_str_eq(copy.guest, "web");
        ck_assert_str_eq(copy.uuid, g->uuid);
        ck_assert_ptr_null(copy.old_value);
        ck_assert_str_eq(copy.new_value, "3");
        ck_assert_str_eq(copy.reason, "why");
        ck_assert_uint_eq(copy.index, 1);
        action_done(&copy);
}
END_TEST

/* ---- explanations ---- */

static void add_set(Plan *p, PlanPlacement *to, const char *nodes, PlacementTerm decided_by, PlanCandidate c) {
        char copy[32];

        (void)snprintf(copy, sizeof(copy), "%s", nodes);
        c.nodes = copy;
        c.near_distance = c.near_distance ?: UNKNOWN_U64;
        c.decided_by = decided_by;
        ck_assert_int_eq(plan_add_candidate(p, to, &c), 0);
}

START_TEST(an_explanation_is_a_table_of_the_columns_that_have_values) {
        _cleanup_(plan_freep) Plan *p = new_plan();
        _cleanup_(guest_freep) Guest *g = new_guest("a\x1b" "b");
        PlanPlacement *to;

        ck_assert_int_eq(plan_add_placement(p, g, "33", "because", &to), 0);
        add_set(p, to, "33", TERM_NONE, (PlanCandidate){
                .chosen = true, .cpus_fit = true, .memory_fits = true, .n_nodes = 1, .n_cpus = 4,
                .remote_permyriad = 2500, .harm_permyriad = 3000, .committed_milli = 1500, .load_permyriad = 1234, .free_bytes = 3 * GIB / 2,
        });
        add_set(p, to, "0,2", TERM_LOAD, (PlanCandidate){
                .better = true, .cpus_fit = true, .memory_fits = true, .n_nodes = 2, .n_cpus = 128,
                .remote_permyriad = 10000, .harm_permyriad = 10000, .distance_tenths = 217, .load_permyriad = 0, .free_bytes = UNKNOWN_U64,
        });
        add_set(p, to, "1", TERM_FITS, (PlanCandidate){
                .n_nodes = 1, .n_cpus = 1, .remote_permyriad = UNKNOWN_U64, .harm_permyriad = UNKNOWN_U64,
                .load_permyriad = UNKNOWN_U64, .free_bytes = 0,
        });
        ck_assert_int_eq(plan_add_placement(p, g, "", "nowhere", &to), 0);
        assert_format(p, false,
                      "Nothing to do.\n"
                      "Placement (2):\n"
                      "  a\\x1bb: because\n"
                      "      nodes  fits      remote  harm   distance  committed  busy  free     decided by\n"
                      "    * 33     yes       25 %    30 %   -         1.5 of 4   12 %  1.5 GiB\n"
                      "      0,2    yes       100 %   100 %  21        0 of 128   0 %   -        load (better)\n"
                      "      1      no: both  -       -      -         0 of 1     -     0 B      fits\n"
                      "  a\\x1bb: nowhere\n");
}
END_TEST

START_TEST(what_has_no_alternative_needs_no_table) {
        _cleanup_(plan_freep) Plan *p = new_plan();
        _cleanup_(guest_freep) Guest *g = new_guest("a");
        PlanPlacement *to;

        ck_assert_int_eq(plan_add_placement(p, g, "0", "the only node", &to), 0);
        add_set(p, to, "0", TERM_NONE, (PlanCandidate){ .chosen = true, .n_nodes = 1, .n_cpus = 1 });
        assert_format(p, false, "Nothing to do.\nPlacement (1):\n  a: the only node\n");
}
END_TEST

START_TEST(an_explanation_is_bounded) {
        _cleanup_(plan_freep) Plan *p = new_plan();
        _cleanup_(guest_freep) Guest *g = new_guest("a");
        _cleanup_free_ char *text = NULL, *json = NULL;
        PlanPlacement *to;

        ck_assert_int_eq(plan_add_placement(p, g, "0", "x", &to), 0);
        for (unsigned i = 0; i < 300; i++)
                add_set(p, to, "0", TERM_NUMBER, (PlanCandidate){ .n_nodes = 1, .n_cpus = 1 });
        ck_assert_uint_eq(to->n_candidates, PLAN_CANDIDATES_MAX);
        ck_assert_int_eq(plan_format(p, false, &text), 0);
        ck_assert(strstr(text, "\n      and 292 more\n"));
        ck_assert_int_eq(plan_format(p, true, &json), 0);
        ck_assert(strstr(json, "], \"more\": 292}"));
}
END_TEST

START_TEST(an_explanation_as_json) {
        _cleanup_(plan_freep) Plan *p = new_plan();
        _cleanup_(guest_freep) Guest *g = new_guest("a");
        _cleanup_free_ char *json = NULL;
        PlanPlacement *to;

        ck_assert_int_eq(plan_add_placement(p, g, "0", "x", &to), 0);
        to->fresh = true;
        add_set(p, to, "0", TERM_NONE, (PlanCandidate){
                .chosen = true, .cpus_fit = true, .n_nodes = 1, .n_cpus = 4, .remote_permyriad = UNKNOWN_U64,
                .harm_permyriad = UNKNOWN_U64, .committed_milli = 1500, .commit_permyriad = 6250,
                .load_permyriad = 1234, .free_bytes = 5,
        });
        ck_assert_int_eq(plan_format(p, true, &json), 0);
        ck_assert_msg(strstr(json, "\"nodes\": \"0\", \"new\": true, \"text\": \"x\", \"candidates\": [\n"
                                   "      {\"nodes\": \"0\", \"memory_only\": \"\", \"chosen\": true, \"decided_by\": null, "
                                   "\"better\": false, \"cpus_fit\": true, \"memory_fits\": false, \"node_count\": 1, "
                                   "\"near_distance\": null, "
                                   "\"remote_permyriad\": null, \"harm_permyriad\": null, \"distance_tenths\": 0, "
                                   "\"cpus\": 4, \"committed_milli\": 1500, \"commit_permyriad\": 6250, "
                                   "\"load_permyriad\": 1234, \"free_bytes\": 5, \"promised_bytes\": 0}\n    ], \"more\": 0}\n  ]"),
                      "%s", json);
}
END_TEST

int main(void) {
        Suite *s = suite_create("plan");
        TCase *c = tcase_create("all");
        SRunner *runner;
        int failed;

        tcase_add_test(c, an_explanation_is_a_table_of_the_columns_that_have_values);
        tcase_add_test(c, what_has_no_alternative_needs_no_table);
        tcase_add_test(c, an_explanation_is_bounded);
        tcase_add_test(c, an_explanation_as_json);
        suite_add_tcase(s, c);
        tcase_add_test(c, names_read_back);
        tcase_add_test(c, an_empty_plan_says_so);
        tcase_add_test(c, a_plan_keeps_its_own_strings);
        tcase_add_test(c, many_actions_keep_their_order);
        tcase_add_loop_test(c, values_for_people, 0, (int)ELEMENTSOF(value_rows));
        tcase_add_test(c, the_host_has_no_guest_and_names_its_knob);
        tcase_add_loop_test(c, hostile_names_are_escaped_in_both_forms, 0, (int)ELEMENTSOF(string_rows));
        tcase_add_test(c, columns_align_by_characters_not_bytes);
        tcase_add_test(c, a_copied_action_is_independent);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
