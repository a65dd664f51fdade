/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The last journal entries, kept for those who ask the daemon. */

#include "../../daemon/history.h"

#include <check.h>
#include <stdio.h>

#include "../../lib/snapshot.h"

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
        for (unsigned i = 0; i < 2 * HISTORY_MIN + 3; i++)
                note(h, _i ? A : NULL, i);
        (void)snprintf(first, sizeof(first), "entry %u", HISTORY_MIN + 3);
        (void)snprintf(last, sizeof(last), "entry %u", 2 * HISTORY_MIN + 2);
        assert_messages(h, NULL, SIZE_MAX, HISTORY_MIN, first, last);
        history_free(h);
}
END_TEST

static const char *uuid_of(unsigned i, char buf[static UUID_TEXT_SIZE]) {
        (void)snprintf(buf, UUID_TEXT_SIZE, "%08x-0000-0000-0000-000000000000", i);
        return buf;
}

#define MANY 1000U

/* Each of a thousand guests has its share of the past, whatever some of them say, and so has the host. */
START_TEST(who_is_noisy_drives_out_his_own) {
        char uuid[UUID_TEXT_SIZE], last[32];
        History *h = NULL;

        ck_assert_int_eq(history_new(&h), 0);
        for (unsigned i = 0; i < MANY; i++)
                ck_assert_int_eq(history_guest_here(h, uuid_of(i, uuid)), 0);
        for (unsigned round = 0; round < HISTORY_SHARE; round++) {
                note(h, NULL, round);
                for (unsigned i = 0; i < MANY; i++)
                        note(h, uuid_of(i, uuid), round);
        }
        for (unsigned i = 0; i < 5000; i++)
                note(h, uuid_of(i % 2 ? 7 : 500, uuid), 100 + i);
        (void)snprintf(last, sizeof(last), "entry %u", HISTORY_SHARE - 1);
        for (unsigned i = 0; i < MANY; i++)
                if (i != 7 && i != 500)
                        assert_messages(h, uuid_of(i, uuid), SIZE_MAX, HISTORY_SHARE, "entry 0", last);
        assert_messages(h, uuid_of(7, uuid), 1, 1, "entry 5099", "entry 5099");
        assert_messages(h, NULL, SIZE_MAX, HISTORY_SHARE * (MANY + 1), "entry 0", "entry 5099");
        history_free(h);
}
END_TEST

/* With few guests one of them may have most of it, until others have something to say. */
START_TEST(what_others_do_not_need_is_for_who_has_most) {
        History *h = NULL;

        ck_assert_int_eq(history_new(&h), 0);
        ck_assert_int_eq(history_guest_here(h, A), 0);
        ck_assert_int_eq(history_guest_here(h, B), 0);
        for (unsigned i = 0; i < HISTORY_MIN; i++)
                note(h, A, i);
        assert_messages(h, A, SIZE_MAX, HISTORY_MIN, "entry 0", "entry 1023");
        for (unsigned i = 0; i < 100; i++)
                note(h, B, 2000 + i);
        assert_messages(h, A, SIZE_MAX, HISTORY_MIN - 100, "entry 100", "entry 1023");
        assert_messages(h, B, SIZE_MAX, 100, "entry 2000", "entry 2099");
        history_free(h);
}
END_TEST

START_TEST(who_has_gone_makes_way_first) {
        History *h = NULL;

        ck_assert_int_eq(history_new(&h), 0);
        ck_assert_int_eq(history_guest_here(h, A), 0);
        ck_assert_int_eq(history_guest_here(h, B), 0);
        note(h, B, 1);
        for (unsigned i = 0; i < 10; i++)
                note(h, A, 10 + i);
        history_guest_gone(h, A);
        note(h, A, 20);
        assert_messages(h, A, SIZE_MAX, 11, "entry 10", "entry 20");
        for (unsigned i = 0; i < HISTORY_MIN - 5; i++)
                note(h, NULL, 100 + i);
        assert_messages(h, A, SIZE_MAX, 4, "entry 17", "entry 20");
        for (unsigned i = 0; i < HISTORY_MIN; i++)
                note(h, NULL, 5000 + i);
        assert_messages(h, A, SIZE_MAX, 0, NULL, NULL);
        assert_messages(h, B, SIZE_MAX, 1, "entry 1", "entry 1");
        history_free(h);
}
END_TEST

START_TEST(who_comes_back_has_his_past) {
        History *h = NULL;

        ck_assert_int_eq(history_new(&h), 0);
        ck_assert_int_eq(history_guest_here(h, A), 0);
        note(h, A, 1);
        history_guest_gone(h, A);
        ck_assert_int_eq(history_guest_here(h, A), 0);
        for (unsigned i = 0; i < 2 * HISTORY_MIN; i++)
                note(h, NULL, i);
        assert_messages(h, A, SIZE_MAX, 1, "entry 1", "entry 1");
        history_free(h);
}
END_TEST

/* Also of those of whom something is said after they went, and of whom nothing was said before. */
START_TEST(guests_that_come_and_go_need_no_more_room) {
        char uuid[UUID_TEXT_SIZE];
        History *h = NULL;

        ck_assert_int_eq(history_new(&h), 0);
        for (unsigned i = 0; i < 5000; i++) {
                ck_assert_int_eq(history_guest_here(h, uuid_of(i, uuid)), 0);
                for (unsigned j = 0; j < i % 4; j++)
                        note(h, uuid, i);
                history_guest_gone(h, uuid);
                history_guest_gone(h, uuid);
                if (i % 3 == 0)
                        note(h, uuid, i);
        }
        assert_messages(h, NULL, SIZE_MAX, HISTORY_MIN, "entry 4442", "entry 4999");
        history_free(h);
}
END_TEST

START_TEST(without_any_history_guests_come_and_go) {
        ck_assert_int_eq(history_guest_here(NULL, A), 0);
        history_guest_gone(NULL, A);
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

        tcase_set_timeout(c, 60);
        suite_add_tcase(s, c);
        tcase_add_test(c, the_last_ones_come_oldest_first);
        tcase_add_loop_test(c, new_ones_drive_out_the_oldest, 0, 2);
        tcase_add_test(c, who_is_noisy_drives_out_his_own);
        tcase_add_test(c, what_others_do_not_need_is_for_who_has_most);
        tcase_add_test(c, who_has_gone_makes_way_first);
        tcase_add_test(c, who_comes_back_has_his_past);
        tcase_add_test(c, guests_that_come_and_go_need_no_more_room);
        tcase_add_test(c, without_any_history_guests_come_and_go);
        tcase_add_test(c, an_entry_has_what_the_journal_has);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
