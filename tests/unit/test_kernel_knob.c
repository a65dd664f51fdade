/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Setting a switch of the kernel: the plain write, and what becomes of a refusal. */

#include "tree.h"

#include "../../daemon/kernel_knob.h"

#define KNOB "proc/sys/kernel/numa_balancing"

static void never(void *userdata, int result, const char *text) {
        (void)userdata;
        ck_abort_msg("told of an end (%d, %s) though nothing was asked for", result, text ?: "-");
}

START_TEST(a_write_that_is_allowed_needs_nobody_else) {
        _cleanup_(kernel_knob_freep) KernelKnobWriter *w = NULL;
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_tree_ Tree t = tree_new();
        uint64_t value;

        tree_write(&t, KNOB, "1\n");
        ck_assert_int_ge(sd_event_new(&event), 0);
        ck_assert_int_eq(kernel_knob_new(event, t.fd, never, NULL, &w), 0);
        ck_assert_int_eq(kernel_knob_set(w, "0"), 1);
        ck_assert_int_eq(sysfs_read_u64(t.fd, KNOB, &value), 0);
        ck_assert_uint_eq(value, 0);
        ck_assert_int_eq(kernel_knob_set(w, "1; reboot"), -EINVAL);
}
END_TEST

START_TEST(a_missing_switch_is_not_asked_of_systemd) {
        _cleanup_(kernel_knob_freep) KernelKnobWriter *w = NULL;
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_tree_ Tree t = tree_new();

        ck_assert_int_ge(sd_event_new(&event), 0);
        ck_assert_int_eq(kernel_knob_new(event, t.fd, never, NULL, &w), 0);
        ck_assert_int_eq(kernel_knob_set(w, "0"), -ENOENT);
}
END_TEST

START_TEST(a_refusal_without_systemd_is_an_error_and_can_be_tried_again) {
        _cleanup_(kernel_knob_freep) KernelKnobWriter *w = NULL;
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_tree_ Tree t = tree_new();
        uid_t user = geteuid();

        tree_write(&t, KNOB, "1\n");
        ck_assert_int_eq(chmod(t.dir, 0755), 0);
        ck_assert_int_eq(fchmodat(t.fd, KNOB, 0444, 0), 0);
        ck_assert_int_eq(setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1), 0);
        ck_assert_int_ge(sd_event_new(&event), 0);
        ck_assert_int_eq(kernel_knob_new(event, t.fd, never, NULL, &w), 0);
        if (user == 0)
                ck_assert_int_eq(seteuid(65534), 0);
        for (int i = 0; i < 2; i++) {
                int r = kernel_knob_set(w, "0");

                ck_assert_int_lt(r, 0);
                ck_assert_int_ne(r, -EBUSY);
        }
        ck_assert_int_eq(seteuid(user), 0);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("kernel_knob");
        TCase *tc = tcase_create("kernel_knob");
        SRunner *runner;
        int failed;

        tcase_add_test(tc, a_write_that_is_allowed_needs_nobody_else);
        tcase_add_test(tc, a_missing_switch_is_not_asked_of_systemd);
        tcase_add_test(tc, a_refusal_without_systemd_is_an_error_and_can_be_tried_again);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
