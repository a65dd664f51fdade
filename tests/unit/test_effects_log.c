/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the journal is told of skips: what is new, and not too much of it. */

#include <check.h>

#include "../../daemon/manager.h"
#include "tree.h"

#define UUID "5f0f5b3a-8f43-4b9e-9d3c-0d2b7a1c9e01"
#define OTHER "6a0f5b3a-8f43-4b9e-9d3c-0d2b7a1c9e01"

typedef struct Journal {
        Manager m;
        GuestSlot slots[2];
        Tree tree;
        int stderr_fd;
} Journal;

static void journal_init(Journal *j) {
        int fd;

        *j = (Journal){ .tree = tree_new() };
        memcpy(j->slots[0].uuid, UUID, sizeof(UUID));
        memcpy(j->slots[1].uuid, OTHER, sizeof(OTHER));
        j->m.slots = j->slots;
        j->m.n_slots = 2;
        ck_assert_int_eq(snapshot_new(&j->m.snapshot), 0);
        tree_write(&j->tree, "log", "");
        fd = openat(j->tree.fd, "log", O_WRONLY | O_APPEND | O_CLOEXEC);
        j->stderr_fd = dup(STDERR_FILENO);
        ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
        (void)safe_close(fd);
}

/* The lines that were written; ends the capture. */
static char *journal_done(Journal *j) {
        char *text = NULL;

        ck_assert_int_ge(dup2(j->stderr_fd, STDERR_FILENO), 0);
        (void)safe_close(j->stderr_fd);
        ck_assert_int_eq(sysfs_read(j->tree.fd, "log", &text, NULL), 0);
        (void)snapshot_free(j->m.snapshot);
        tree_done(&j->tree);
        return text;
}

static size_t count_of(const char *text, const char *what) {
        size_t n = 0;

        for (const char *p = text; (p = strstr(p, what)); p++)
                n++;
        return n;
}

/* A decision in which @uuid is skipped for @why. */
static void decide(Journal *j, const char *uuid, const char *name, SkipReason why) {
        _cleanup_(plan_freep) Plan *plan = NULL;
        _cleanup_(guest_freep) Guest *g = NULL;

        ck_assert_int_eq(guest_new(name, uuid, &g), 0);
        ck_assert_int_eq(plan_new(&plan), 0);
        ck_assert_int_eq(plan_add_skip(plan, ACTION_PIN_VCPU, g, why, "so it is"), 0);
        j->m.snapshot->now_usec += 10 * USEC_PER_SEC;
        effects_log_skips(&j->m, plan, uuid);
}

START_TEST(same_reason_is_told_once) {
        _cleanup_free_ char *text = NULL;
        Journal j;

        journal_init(&j);
        for (unsigned i = 0; i < 50; i++)
                decide(&j, UUID, "web", SKIP_USER_PIN);
        text = journal_done(&j);
        ck_assert_uint_eq(count_of(text, "web: no "), 1);
}
END_TEST

START_TEST(reason_that_flips_does_not_fill_the_journal) {
        _cleanup_free_ char *text = NULL;
        Journal j;

        journal_init(&j);
        for (unsigned i = 0; i < 300; i++)
                decide(&j, UUID, "web", i % 2 ? SKIP_USER_PIN : SKIP_NO_CAPACITY);
        ck_assert_uint_eq(j.m.counters.skips[SKIP_USER_PIN], 150);
        /* Another guest is not silenced by that one. */
        decide(&j, OTHER, "db", SKIP_USER_PIN);
        text = journal_done(&j);
        ck_assert_uint_eq(count_of(text, "web: no "), 20);
        ck_assert_uint_eq(count_of(text, "no more of them"), 1);
        ck_assert_uint_eq(count_of(text, "db: no "), 1);
}
END_TEST

START_TEST(an_hour_later_it_is_told_again) {
        _cleanup_free_ char *text = NULL;
        Journal j;

        journal_init(&j);
        for (unsigned i = 0; i < 100; i++)
                decide(&j, UUID, "web", i % 2 ? SKIP_USER_PIN : SKIP_NO_CAPACITY);
        j.m.snapshot->now_usec += USEC_PER_HOUR;
        decide(&j, UUID, "web", SKIP_NO_CAPACITY);
        text = journal_done(&j);
        ck_assert_uint_eq(count_of(text, "web: no "), 21);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("effects_log");
        TCase *tc = tcase_create("skips");
        SRunner *runner;
        int failures;

        tcase_add_test(tc, same_reason_is_told_once);
        tcase_add_test(tc, reason_that_flips_does_not_fill_the_journal);
        tcase_add_test(tc, an_hour_later_it_is_told_again);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failures = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failures > 0;
}
