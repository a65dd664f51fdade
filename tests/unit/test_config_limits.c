/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What layers say together and none of them alone: limits that are not in order. And URIs, on one line each. */

#include "../../lib/config_value.h"
#include "config_util.h"

/* ---- limits ---- */

static void set(Config *c, Key key, const char *value) {
        _cleanup_free_ char *problem = NULL;

        ck_assert_msg(config_set_runtime(c, key, NULL, value, 7, &problem) == 0, "%s", problem);
}

static void assert_host(const Config *c, const bool *active, const char *start, const char *stop, const char *clash) {
        _cleanup_free_ char *text = NULL;
        Settings s;

        config_resolve_host(c, (ActiveRules){ .active = active }, &s);
        assert_format(&s, KEY_KSM_START, start);
        assert_format(&s, KEY_KSM_STOP, stop);
        ck_assert_int_eq(config_clash_format(&s, 0, &text), clash != NULL);
        if (clash)
                ck_assert_str_eq(text, clash);
        ck_assert(!clash == (!config_displaced(&s, KEY_KSM_START) && !config_displaced(&s, KEY_KSM_STOP)));
        for (size_t i = 0; i < LIMIT_PAIRS; i++)
                ck_assert(config_limits_in_order(&s, i));
}

static const char two_rules[] =
        "ksm: { start = \"20 %\"; stop = \"40 %\"; };\n"
        "rules = ( { name = \"a\"; when = { schedule = \"Mon\"; }; set = { ksm = { stop = \"25 %\"; }; }; },\n"
        "          { name = \"b\"; when = { schedule = \"Mon\"; }; set = { ksm = { start = \"30 %\"; }; }; },\n"
        "          { name = \"c\"; when = { schedule = \"Mon\"; }; set = { ksm = { stop = \"35 %\"; }; }; },\n"
        "          { name = \"d\"; when = { schedule = \"Mon\"; }; set = { ksm = { stop = \"22 %\"; }; }; } );\n";

static const struct { const char *name; bool active[4]; const char *start, *stop, *clash; } rule_rows[] = {
        { "none", { 0 }, "20 %", "40 %", NULL },
        { "one alone", { true }, "20 %", "25 %", NULL },
        { "the later one is the lower limit", { true, true }, "30 %", "40 %",
          "ksm.stop (25 %, rule \"a\" (t.conf:2)) is not above ksm.start (30 %, rule \"b\" (t.conf:3)); "
          "40 % and 30 % hold" },
        { "one behind them makes it good", { true, true, true }, "30 %", "35 %", NULL },
        { "the later one is the upper limit", { false, true, false, true }, "20 %", "22 %",
          "ksm.stop (22 %, rule \"d\" (t.conf:5)) is not above ksm.start (30 %, rule \"b\" (t.conf:3)); "
          "22 % and 20 % hold" },
};

START_TEST(of_limits_that_clash_the_later_one_holds) {
        _cleanup_(config_freep) Config *c = load(two_rules);

        assert_host(c, rule_rows[_i].active, rule_rows[_i].start, rule_rows[_i].stop, rule_rows[_i].clash);
}
END_TEST

START_TEST(what_is_set_at_run_time_is_later_than_a_rule) {
        _cleanup_(config_freep) Config *c = load(two_rules);
        const bool a[] = { true, false, false, false }, none[4] = { false };

        set(c, KEY_KSM_START, "35 %");
        assert_host(c, none, "35 %", "40 %", NULL);
        assert_host(c, a, "35 %", "40 %",
                    "ksm.stop (25 %, rule \"a\" (t.conf:2)) is not above ksm.start (35 %, runtime by uid 7); "
                    "40 % and 35 % hold");
}
END_TEST

/* What a limit was checked against is gone. */
START_TEST(where_the_top_level_does_not_help_both_are_its_own) {
        _cleanup_(config_freep) Config *c = load(two_rules);

        set(c, KEY_KSM_STOP, "60 %");
        set(c, KEY_KSM_START, "50 %");
        assert_host(c, NULL, "50 %", "60 %", NULL);
        ck_assert_int_eq(config_unset_runtime(c, KEY_KSM_STOP, ""), 0);
        assert_host(c, NULL, "20 %", "40 %",
                    "ksm.stop (40 %, t.conf:1) is not above ksm.start (50 %, runtime by uid 7); 40 % and 20 % hold");
}
END_TEST

START_TEST(the_source_says_what_does_not_hold) {
        _cleanup_(config_freep) Config *c = load(
                "rules = ( { name = \"a\"; when = { schedule = \"Mon\"; };\n"
                "            set = { ksm = { stop = \"21 %\"; }; }; },\n"
                "          { name = \"b\"; when = { schedule = \"Mon\"; };\n"
                "            set = { ksm = { start = \"25 %\"; }; }; } );\n");
        const bool active[] = { true, true };
        Settings s;

        config_resolve_host(c, (ActiveRules){ .active = active }, &s);
        assert_source(&s, KEY_KSM_STOP, "default, in place of 21 %, rule \"a\" (t.conf:2)");
        ck_assert(!setting_is_default(&s, KEY_KSM_STOP));
        assert_source(&s, KEY_KSM_START, "rule \"b\" (t.conf:4)");
        config_resolve_host(c, (ActiveRules){ 0 }, &s);
        assert_source(&s, KEY_KSM_STOP, "default");
        ck_assert(setting_is_default(&s, KEY_KSM_STOP));
}
END_TEST

/* A rule for all guests, and an entry for one of them; the host has no such limits. */
START_TEST(a_guest_has_its_own) {
        _cleanup_(config_freep) Config *c = load(
                "guests = ( { match = { name = \"a\"; }; vcpus = { stop = \"60 %\"; }; } );\n"
                "rules = ( { name = \"r\"; when = { schedule = \"Mon\"; };\n"
                "            set = { vcpus = { start = \"50 %\"; }; }; } );\n");
        _cleanup_(guest_freep) Guest *a = NULL, *b = NULL;
        bool active = true;
        Settings s;

        ck_assert_int_eq(guest_new("a", NULL, &a), 0);
        ck_assert_int_eq(guest_new("b", NULL, &b), 0);
        config_resolve_guest(c, (ActiveRules){ .active = &active }, a, &s);
        assert_format(&s, KEY_VCPUS_START, "50 %");
        assert_format(&s, KEY_VCPUS_STOP, "40 %");
        ck_assert_ptr_nonnull(s.clashes[2].low);
        config_resolve_guest(c, (ActiveRules){ .active = &active }, b, &s);
        assert_format(&s, KEY_VCPUS_START, "50 %");
        ck_assert_ptr_null(s.clashes[2].low);
}
END_TEST

/* ---- URIs ---- */

static const struct { const char *uri, *problem; } uri_rows[] = {
        { "qemu:///system", NULL },
        { "qemu:///session", NULL },
        { "qemu+unix:///system", NULL },
        { "qemu+unix:///system?socket=/run/libvirt/virtqemud-sock&mode=direct", NULL },
        { "qemu:///system?socket=%2Frun%2fa%20b", NULL },
        { "test:///default", NULL },
        { "test:///tmp/host.xml", NULL },
        { "test+unix:///default?socket=/run/x", NULL },
        { "system", "is no URI" },
        { "qemu:/system", "is no URI" },
        { "my-alias", "is no URI" },
        { "://", "not of the driver" },
        { "xen:///system", "not of the driver" },
        { "qemu2:///system", "not of the driver" },
        { "Qemu:///system", "not of the driver" },
        { "+unix:///system", "not of the driver" },
        { "qemu://system", "names a host" },
        { "qemu://localhost/system", "names a host" },
        { "qemu+ssh://root@db/system", "names a host" },
        { "qemu+tls://10.0.0.1:16514/system", "names a host" },
        { "qemu+tcp://[::1]/system", "names a host" },
        { "qemu+ssh:///system", "may lead to another" },
        { "qemu+ext:///system?command=/bin/nc", "may lead to another" },
        { "qemu+:///system", "may lead to another" },
        { "qemu+unix+ssh:///system", "may lead to another" },
        { "qemu://", "a path" },
        { "qemu:///", "a path" },
        { "qemu:///sytem", "a path" },
        { "qemu:///system/", "a path" },
        { "qemu:///embed?root=/x", "a path" },
        { "test:///", "a path" },
        { "qemu:///system ", "characters" },
        { " qemu:///system", "characters" },
        { "qemu:///system?socket=/r\xc3\xbcn", "characters" },
        { "qemu:///system?socket=\"x\"", "characters" },
        { "qemu:///system?socket=%", "characters" },
        { "qemu:///system?socket=%2", "characters" },
        { "qemu:///system?socket=%2g", "characters" },
};

START_TEST(a_uri_is_of_this_host) {
        const char *problem = config_uri_problem(uri_rows[_i].uri);

        ck_assert_msg(!problem == !uri_rows[_i].problem, "%s: %s", uri_rows[_i].uri, problem ?: "(none)");
        if (problem)
                ck_assert_msg(strstr(problem, uri_rows[_i].problem), "%s: %s", uri_rows[_i].uri, problem);
}
END_TEST

int main(void) {
        Suite *s = suite_create("config_limits");
        TCase *c = tcase_create("all");
        SRunner *runner;
        int failed;

        suite_add_tcase(s, c);
        tcase_add_loop_test(c, of_limits_that_clash_the_later_one_holds, 0, (int)ELEMENTSOF(rule_rows));
        tcase_add_test(c, what_is_set_at_run_time_is_later_than_a_rule);
        tcase_add_test(c, where_the_top_level_does_not_help_both_are_its_own);
        tcase_add_test(c, the_source_says_what_does_not_hold);
        tcase_add_test(c, a_guest_has_its_own);
        tcase_add_loop_test(c, a_uri_is_of_this_host, 0, (int)ELEMENTSOF(uri_rows));
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
