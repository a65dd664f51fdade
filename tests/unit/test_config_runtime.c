/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Settings made while the daemon runs: what they win over, and what is refused. */

#include "config_util.h"

static const char policy[] =
        "balloon: { mode = \"target\"; };\n"
        "guests = ( { match = { name = \"db-*\"; }; balloon = { mode = \"off\"; minimum = \"70 %\"; }; } );\n"
        "rules = ( { name = \"r\"; when = { schedule = \"00:00-24:00\"; }; set = { balloon = { minimum = \"10 %\"; }; "
        "ksm = { mode = \"on\"; }; }; } );\n";

static Guest *new_guest(const char *name, const char *uuid) {
        Guest *g = NULL;

        ck_assert_int_eq(guest_new(name, uuid, &g), 0);
        return g;
}

static void set(Config *c, Key key, const Guest *g, const char *value) {
        _cleanup_free_ char *problem = NULL;

        ck_assert_int_eq(config_set_runtime(c, key, g, value, 7, &problem), 0);
        ck_assert_ptr_null(problem);
}

static void assert_of_guest(const Config *c, const Guest *g, Key key, const char *value, const char *from) {
        bool active = true;
        Settings s;

        config_resolve_guest(c, (ActiveRules){ .active = &active }, g, &s);
        assert_format(&s, key, value);
        assert_source(&s, key, from);
}

static void assert_of_host(const Config *c, Key key, const char *value, const char *from) {
        bool active = true;
        Settings s;

        config_resolve_host(c, (ActiveRules){ .active = &active }, &s);
        assert_format(&s, key, value);
        assert_source(&s, key, from);
}

START_TEST(it_wins_over_files_and_rules) {
        _cleanup_(config_freep) Config *c = load(policy);
        _cleanup_(guest_freep) Guest *g = new_guest("db-1", NULL), *other = new_guest("web", NULL);

        set(c, KEY_BALLOON_MINIMUM, g, "40 %");
        set(c, KEY_KSM_MODE, NULL, "off");
        assert_of_guest(c, g, KEY_BALLOON_MINIMUM, "40 %", "runtime by uid 7");
        assert_of_guest(c, g, KEY_BALLOON_MODE, "off", "t.conf:2");
        assert_of_guest(c, other, KEY_BALLOON_MINIMUM, "10 %", "rule \"r\" (t.conf:3)");
        assert_of_host(c, KEY_KSM_MODE, "off", "runtime by uid 7");
}
END_TEST

/* Whichever was made first. */
START_TEST(one_for_a_guest_wins_over_one_for_all) {
        _cleanup_(config_freep) Config *c = load(policy);
        _cleanup_(guest_freep) Guest *a = new_guest("a", NULL), *b = new_guest("b", NULL);

        set(c, KEY_BALLOON_MODE, a, "off");
        set(c, KEY_BALLOON_MODE, NULL, "auto");
        assert_of_guest(c, a, KEY_BALLOON_MODE, "off", "runtime by uid 7");
        assert_of_guest(c, b, KEY_BALLOON_MODE, "auto", "runtime by uid 7");
        ck_assert_int_eq(config_unset_runtime(c, KEY_BALLOON_MODE, a->uuid), 0);
        assert_of_guest(c, a, KEY_BALLOON_MODE, "auto", "runtime by uid 7");
        ck_assert_int_eq(config_unset_runtime(c, KEY_BALLOON_MODE, a->uuid), -ENOENT);
        ck_assert_int_eq(config_unset_runtime(c, KEY_BALLOON_MODE, ""), 0);
        assert_of_guest(c, a, KEY_BALLOON_MODE, "target", "t.conf:1");
}
END_TEST

START_TEST(a_text_is_the_settings_own) {
        _cleanup_(config_freep) Config *c = load("");
        char text[] = "0-1";

        set(c, KEY_HOST_RESERVED_CPUS, NULL, text);
        text[0] = 'X';
        assert_of_host(c, KEY_HOST_RESERVED_CPUS, "0-1", "runtime by uid 7");
        set(c, KEY_HOST_RESERVED_CPUS, NULL, "3");
        ck_assert_uint_eq(c->n_runtime, 1);
        assert_of_host(c, KEY_HOST_RESERVED_CPUS, "3", "runtime by uid 7");
}
END_TEST

static const struct { const char *name; Key key; bool guest; const char *value, *problem; } bad_rows[] = {
        { "a word that is not known", KEY_KSM_MODE, false, "often", "is not known" },
        { "out of range", KEY_KSM_START, false, "101 %", "is out of range" },
        { "no unit", KEY_BALLOON_STEP, false, "50", "has no unit" },
        { "empty", KEY_BALLOON_MODE, false, "", "is not known" },
        { "a setting of the daemon", KEY_DAEMON_INTERVAL, false, "5 s", "only be set in the policy file" },
        { "a host's setting for a guest", KEY_KSM_MODE, true, "on", "is a setting of the host" },
        { "ksm.start above ksm.stop", KEY_KSM_START, false, "31 %", "ksm.stop would not be above ksm.start" },
        { "ksm.start equal to ksm.stop", KEY_KSM_START, false, "30 %", "ksm.stop would not be above ksm.start" },
        { "balloon.stop below balloon.start", KEY_BALLOON_STOP, false, "10 %", "balloon.stop would not be above" },
        { "of one guest: vcpus.start below vcpus.stop", KEY_VCPUS_START, true, "30 %", "vcpus.start would not be above" },
};

START_TEST(what_is_wrong_is_refused_with_a_reason) {
        _cleanup_(config_freep) Config *c = load("");
        _cleanup_(guest_freep) Guest *g = new_guest("a", NULL);
        _cleanup_free_ char *problem = NULL;

        ck_assert_int_eq(config_set_runtime(c, bad_rows[_i].key, bad_rows[_i].guest ? g : NULL, bad_rows[_i].value, 0,
                                            &problem), -EINVAL);
        ck_assert_msg(problem && strstr(problem, bad_rows[_i].problem), "%s: %s", bad_rows[_i].name,
                      problem ? problem : "(none)");
        ck_assert_uint_eq(c->n_runtime, 0);
}
END_TEST

/* Both limits of a pair can be moved, one after the other. */
START_TEST(a_pair_is_checked_against_what_was_set_before) {
        _cleanup_(config_freep) Config *c = load("");

        set(c, KEY_KSM_STOP, NULL, "60 %");
        set(c, KEY_KSM_START, NULL, "50 %");
        assert_of_host(c, KEY_KSM_START, "50 %", "runtime by uid 7");
}
END_TEST

START_TEST(there_is_an_end_to_it) {
        _cleanup_(config_freep) Config *c = load("");
        _cleanup_free_ char *problem = NULL;
        char name[16];

        for (unsigned i = 0; i < RUNTIME_SETTINGS_MAX; i++) {
                _cleanup_(guest_freep) Guest *g = NULL;

                (void)snprintf(name, sizeof(name), "g%u", i);
                g = new_guest(name, NULL);
                set(c, KEY_BALLOON_MODE, g, "off");
        }
        ck_assert_int_eq(config_set_runtime(c, KEY_KSM_MODE, NULL, "on", 0, &problem), -E2BIG);
        ck_assert_ptr_null(problem);
}
END_TEST

int main(void) {
        Suite *s = suite_create("config_runtime");
        TCase *c = tcase_create("all");
        SRunner *runner;
        int failed;

        suite_add_tcase(s, c);
        tcase_add_test(c, it_wins_over_files_and_rules);
        tcase_add_test(c, one_for_a_guest_wins_over_one_for_all);
        tcase_add_test(c, a_text_is_the_settings_own);
        tcase_add_loop_test(c, what_is_wrong_is_refused_with_a_reason, 0, (int)ELEMENTSOF(bad_rows));
        tcase_add_test(c, a_pair_is_checked_against_what_was_set_before);
        tcase_add_test(c, there_is_an_end_to_it);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
