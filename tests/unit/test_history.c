/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The last journal entries, kept for those who ask the daemon. */

#include "../../daemon/history.h"

#include <check.h>
#include <stdio.h>

#define A "00000000-0000-0000-0000-00000000000a"
#define B "00000000-0000-0000-0000-00000000000b"

static void note(History *h, const char *uuid, unsigned number) {
        LogField fields[] = { { "KVMTUNED_ACTION", "pin-vcpu" }, { "KVMTUNED_GUEST", uuid ? "g" : NULL },
                              { "KVMTUNED_GUEST_UUID", uuid } };
        char text[32];

        (void)snprintf(text, sizeof(text), "entry %u", number);
        history_note(h, LOG_INFO, "id", fields, ELEMENTSOF(fields), text);
}

static void assert_messages(const History *h, const char *uuid, size_t max, size_t n, const char *first,
                            const char *last) {
        _cleanup_(value_freep) Value *v = history_describe(h, uuid, max);

        ck_assert_int_eq(value_complete(v), 0);
        ck_assert_uint_eq(v->n, n);
        if (n == 0)
                return;
        ck_assert_str_eq(value_string(v->items[0], "message"), first);
        ck_assert_str_eq(value_string(v->items[n - 1], "message"), last);
}

START_TEST(the_last_ones_come_oldest_first) {
        History *h = NULL;

        ck_assert_int_eq(history_new(&h), 0);
        assert_messages(h, NULL, 10, 0, NULL, NULL);
        for (unsigned i = 0; i < 6; i++)
                note(h, i % 2 ? B : i == 4 ? NULL : A, i);
        assert_messages(h, NULL, 10, 6, "entry 0", "entry 5");
        assert_messages(h, NULL, 2, 2, "entry 4", "entry 5");
        assert_messages(h, A, 10, 2, "entry 0", "entry 2");
        assert_messages(h, B, 2, 2, "entry 3", "entry 5");
        assert_messages(h, "x", 2, 0, NULL, NULL);
        history_free(h);
}
END_TEST

START_TEST(new_ones_drive_out_the_oldest) {
        char first[32], last[32];
        History *h = NULL;

        ck_assert_int_eq(history_new(&h), 0);
        for (unsigned i = 0; i < 2 * HISTORY_MAX + 3; i++)
                note(h, A, i);
        (void)snprintf(first, sizeof(first), "entry %u", HISTORY_MAX + 3);
        (void)snprintf(last, sizeof(last), "entry %u", 2 * HISTORY_MAX + 2);
        assert_messages(h, A, SIZE_MAX, HISTORY_MAX, first, last);
        history_free(h);
}
END_TEST

START_TEST(an_entry_has_what_the_journal_has) {
        _cleanup_(value_freep) Value *v = NULL;
        History *h = NULL;

        ck_assert_int_eq(history_new(&h), 0);
        note(h, A, 1);
        note(h, NULL, 2);
        v = history_describe(h, NULL, 5);
        ck_assert_str_eq(value_string(v->items[0], "guest"), "g");
        ck_assert_str_eq(value_string(v->items[0], "uuid"), A);
        ck_assert_str_eq(value_string(v->items[0], "action"), "pin-vcpu");
        ck_assert_uint_eq(value_number(v->items[0], "priority"), LOG_INFO);
        ck_assert_uint_gt(value_number(v->items[0], "time_usec"), 0);
        ck_assert_ptr_null(value_string(v->items[1], "guest"));
        ck_assert_ptr_null(value_string(v->items[1], "uuid"));
        history_free(h);
}
END_TEST

int main(void) {
        Suite *s = suite_create("history");
        TCase *c = tcase_create("all");
        SRunner *runner;
        int failed;

        suite_add_tcase(s, c);
        tcase_add_test(c, the_last_ones_come_oldest_first);
        tcase_add_test(c, new_ones_drive_out_the_oldest);
        tcase_add_test(c, an_entry_has_what_the_journal_has);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
