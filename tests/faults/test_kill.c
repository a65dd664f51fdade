/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SIGKILL before each single thing that the daemon does to the outside, one after
 * the other: while it acts for the first time with every lever, and while it puts
 * everything back. What was changed by then is on record, with what it was before;
 * the next run owns exactly what is changed, and --restore leaves the host as it was
 * found. But for memory: pages have no "before", those that were moved stay.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>

#include "host.h"

#define KILLED (256 + SIGKILL)

/* A guest's memory is due to follow it: that takes one that has been seen at work. */
static void begin(TestHost *h, Knobs *ret_before) {
        host_init(h);
        host_move_due(h, host_guest(h, "web"));
        host_knobs(h, ret_before);
}

/* Sent to the kernel or libvirt, and on record: one of each kind. */
START_TEST(every_lever_is_in_the_scene) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before, after;

        begin(&h, &before);
        host_run_well(&h, "--once", "acting");
        host_knobs(&h, &after);
        for (ActionKind kind = 0; kind < _ACTION_KIND_MAX; kind++) {
                bool changed = kind == ACTION_MOVE_MEMORY && host_pages_on(host_guest(&h, "web"), 1) == 0;

                for (size_t i = 0; i < before.n; i++)
                        changed = changed || (before.knobs[i].kind == kind &&
                                              !streq(before.knobs[i].value, after.knobs[i].value));
                ck_assert_msg(changed, "nothing is done with %s\n%s", action_kind_to_string(kind), host_log_end(&h));
        }
        host_check_record(&h, &before, true, "after acting");
        host_run_well(&h, "--restore", "restoring");
        host_check_restored(&h, &before, "after restoring");
}
END_TEST

/*
 * How far it comes until step @n of @mode. False: it was done before. The order of
 * the steps is not always the same, as two threads take them.
 */
static bool kill_at(TestHost *h, const char *mode, unsigned n, char when[static 160]) {
        int status;

        host_calm(h);
        h->world->kill_at = n;
        status = host_run(h, mode);
        (void)snprintf(when, 160, "killed before step %u, %s", n, h->world->effects[n - 1]);
        ck_assert_msg(status == KILLED || (status == 0 && h->world->n_effects < n), "%s: ends with %d\n%s", when, status,
                      host_log_end(h));
        return status == KILLED;
}

/* Kills @mode before step @n; the rest is for a policy that goes on, or at once for --restore. False: there is none. */
static bool survives(const char *mode, unsigned n) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        char when[160];

        begin(&h, &before);
        if (!streq(mode, "--once"))
                host_run_well(&h, "--once", "acting");
        if (!kill_at(&h, mode, n, when))
                return false;
        host_check_record(&h, &before, false, when);
        if (n % 2 == 0) {
                host_run_well(&h, "--once", when);
                host_check_record(&h, &before, true, when);
        }
        host_run_well(&h, "--restore", when);
        host_check_restored(&h, &before, when);
        return true;
}

START_TEST(killed_before_each_step_of_acting) {
        unsigned n = 1;

        while (survives("--once", n))
                n++;
        ck_assert_uint_gt(n, 45);
}
END_TEST

START_TEST(killed_before_each_step_of_putting_back) {
        unsigned n = 1;

        while (survives("--restore", n))
                n++;
        ck_assert_uint_gt(n, 35);
}
END_TEST

int main(void) {
        Suite *s = suite_create("kill");
        TCase *tc = tcase_create("kill");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 240);
        tcase_add_test(tc, every_lever_is_in_the_scene);
        tcase_add_test(tc, killed_before_each_step_of_acting);
        tcase_add_test(tc, killed_before_each_step_of_putting_back);
        suite_add_tcase(s, tc);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed > 0;
}
