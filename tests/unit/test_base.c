/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "../../lib/base.h"

#include <check.h>
#include <fcntl.h>

START_TEST(min_max_and_clamp_nest_and_evaluate_once) {
        int calls = 0;

        ck_assert_int_eq(MIN(3, MAX(1, 2)), 2);
        ck_assert_int_eq(MAX(MIN(7, 5), MIN(6, 9)), 6);
        ck_assert_int_eq(CLAMP(MIN(50, 40), MAX(1, 2), MAX(3, 10)), 10);
        ck_assert_int_eq(CLAMP(5, 1, 10), 5);
        ck_assert_int_eq(CLAMP(-5, 1, 10), 1);
        ck_assert_int_eq(MIN(++calls, 10), 1);
        ck_assert_int_eq(MAX(++calls, 0), 2);
        ck_assert_int_eq(calls, 2);
}
END_TEST

START_TEST(take_ptr_and_take_fd_leave_nothing_behind) {
        char text[] = "x", *p = text;
        int fd = 5;

        ck_assert_ptr_eq(TAKE_PTR(p), text);
        ck_assert_ptr_null(p);
        ck_assert_int_eq(TAKE_FD(fd), 5);
        ck_assert_int_eq(fd, -EBADF);
}
END_TEST

START_TEST(safe_close_closes_and_keeps_errno) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        ck_assert_int_ge(fd, 0);
        errno = ENOENT;
        ck_assert_int_eq(safe_close(fd), -EBADF);
        ck_assert_int_eq(errno, ENOENT);
        ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
        errno = ENOENT;
        ck_assert_int_eq(safe_close(fd), -EBADF);
        ck_assert_int_eq(errno, ENOENT);
        ck_assert_int_eq(safe_close(-EBADF), -EBADF);
        ck_assert_int_eq(errno, ENOENT);
}
END_TEST

START_TEST(cleanup_close_closes_at_the_end_of_the_scope) {
        int number;

        {
                _cleanup_close_ int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

                ck_assert_int_ge(fd, 0);
                number = fd;
        }
        ck_assert_int_eq(fcntl(number, F_GETFD), -1);
}
END_TEST

START_TEST(null_equals_only_null) {
        ck_assert(streq_ptr(NULL, NULL));
        ck_assert(!streq_ptr(NULL, ""));
        ck_assert(!streq_ptr("", NULL));
        ck_assert(streq_ptr("a", "a"));
        ck_assert(!streq_ptr("a", "A"));
}
END_TEST

START_TEST(startswith_returns_the_rest) {
        const char *text = "prefix rest";

        ck_assert_ptr_eq(startswith(text, "prefix "), text + 7);
        ck_assert_ptr_eq(startswith(text, ""), text);
        ck_assert_ptr_eq(startswith(text, text), text + strlen(text));
        ck_assert_ptr_null(startswith(text, "Prefix"));
        ck_assert_ptr_null(startswith("pre", "prefix"));
        ck_assert_ptr_null(startswith("", "p"));
}
END_TEST

START_TEST(grown_arrays_keep_their_elements_and_zero_the_rest) {
        _cleanup_free_ uint32_t *array = NULL;
        size_t capacity = 0;

        for (size_t n = 0; n < 5000; n++) {
                ck_assert_int_eq(GROW_ARRAY(array, capacity, n), 0);
                ck_assert_uint_gt(capacity, n);
                ck_assert_uint_eq(array[n], 0);
                ck_assert_uint_eq(array[capacity - 1], 0);
                array[n] = (uint32_t)n + 1;
        }
        for (size_t n = 0; n < 5000; n++)
                ck_assert_uint_eq(array[n], n + 1);
}
END_TEST

START_TEST(arrays_grown_unset_keep_their_elements) {
        _cleanup_free_ uint32_t *array = NULL;
        size_t capacity = 0;

        for (size_t n = 0; n < 5000; n++) {
                ck_assert_int_eq(GROW_ARRAY_UNSET(array, capacity, n), 0);
                ck_assert_uint_gt(capacity, n);
                array[n] = (uint32_t)n + 1;
        }
        for (size_t n = 0; n < 5000; n++)
                ck_assert_uint_eq(array[n], n + 1);
}
END_TEST

START_TEST(growth_that_overflows_changes_nothing) {
        char dummy;
        void *array = &dummy;
        size_t capacity = SIZE_MAX / 2;

        ck_assert_int_eq(grow_array_raw(&array, &capacity, capacity, 8), -EOVERFLOW);
        capacity = SIZE_MAX - 1;
        ck_assert_int_eq(grow_array_raw(&array, &capacity, capacity, 1), -EOVERFLOW);
        ck_assert_uint_eq(capacity, SIZE_MAX - 1);
        ck_assert_ptr_eq(array, &dummy);
}
END_TEST

START_TEST(strdup_to_replaces_also_by_itself) {
        char *p = NULL;

        ck_assert_int_eq(strdup_to(&p, "first"), 0);
        ck_assert_str_eq(p, "first");
        ck_assert_int_eq(strdup_to(&p, p + 2), 0);
        ck_assert_str_eq(p, "rst");
        ck_assert_int_eq(strdup_to(&p, NULL), 0);
        ck_assert_ptr_null(p);
}
END_TEST

START_TEST(strprintf_to_may_use_the_old_string) {
        _cleanup_free_ char *p = NULL;

        ck_assert_int_eq(strprintf_to(&p, "%d", 1), 0);
        for (int i = 2; i < 50; i++)
                ck_assert_int_eq(strprintf_to(&p, "%s,%d", p, i), 0);
        ck_assert_ptr_nonnull(startswith(p, "1,2,3,4"));
        ck_assert_str_eq(p + strlen(p) - 6, ",48,49");
}
END_TEST

static const struct {
        uint64_t a, b, sum, difference;
} saturating_rows[] = {
        { 0, 0, 0, 0 },
        { 5, 3, 8, 2 },
        { 3, 5, 8, 0 },
        { UINT64_MAX, 0, UINT64_MAX, UINT64_MAX },
        { 0, UINT64_MAX, UINT64_MAX, 0 },
        { UINT64_MAX, 1, UINT64_MAX, UINT64_MAX - 1 },
        { UINT64_MAX - 1, 1, UINT64_MAX, UINT64_MAX - 2 },
        { UINT64_MAX, UINT64_MAX, UINT64_MAX, 0 },
};

START_TEST(sums_and_differences_saturate) {
        ck_assert_uint_eq(u64_add(saturating_rows[_i].a, saturating_rows[_i].b), saturating_rows[_i].sum);
        ck_assert_uint_eq(u64_sub(saturating_rows[_i].a, saturating_rows[_i].b), saturating_rows[_i].difference);
}
END_TEST

static const struct {
        uint64_t a, b, c, want;
} muldiv_rows[] = {
        { 10, 3, 4, 7 },
        { 10, 3, 0, 0 },
        { UINT64_MAX, 3, 0, 0 },
        { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX },
        { UINT64_MAX, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX },
        { UINT64_MAX, 10000, 10000, UINT64_MAX },
        { UINT64_MAX, 2, 4, UINT64_MAX / 2 },
        { 1, UINT64_MAX, 1, UINT64_MAX },
        { 0, UINT64_MAX, 1, 0 },
};

START_TEST(muldiv_is_exact_in_between_and_saturates) {
        ck_assert_uint_eq(u64_muldiv(muldiv_rows[_i].a, muldiv_rows[_i].b, muldiv_rows[_i].c),
                          muldiv_rows[_i].want);
}
END_TEST

START_TEST(permyriad_of_takes_ten_thousandths) {
        ck_assert_uint_eq(permyriad_of(GIB, 2500), GIB / 4);
        ck_assert_uint_eq(permyriad_of(UINT64_MAX, PERMYRIAD_FULL), UINT64_MAX);
        ck_assert_uint_eq(permyriad_of(9999, 1), 0);
}
END_TEST

typedef enum Fruit { FRUIT_APPLE, FRUIT_HOLE, FRUIT_PLUM, _FRUIT_MAX } Fruit;
DECLARE_STRING_TABLE(fruit, Fruit);
static const char *const fruit_table[_FRUIT_MAX] = { [FRUIT_APPLE] = "apple", [FRUIT_PLUM] = "plum" };
DEFINE_STRING_TABLE(fruit, Fruit, fruit_table)

START_TEST(string_tables_refuse_what_they_do_not_hold) {
        ck_assert_str_eq(fruit_to_string(FRUIT_PLUM), "plum");
        ck_assert_ptr_null(fruit_to_string(FRUIT_HOLE));
        ck_assert_ptr_null(fruit_to_string(_FRUIT_MAX));
        ck_assert_ptr_null(fruit_to_string((Fruit)-EINVAL));
        ck_assert_int_eq((int)fruit_from_string("apple"), FRUIT_APPLE);
        ck_assert_int_eq((int)fruit_from_string("plum"), FRUIT_PLUM);
        ck_assert_int_eq((int)fruit_from_string("Plum"), -EINVAL);
        ck_assert_int_eq((int)fruit_from_string("plums"), -EINVAL);
        ck_assert_int_eq((int)fruit_from_string(""), -EINVAL);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("base");
        TCase *tc = tcase_create("base");
        SRunner *runner;
        int failed;

        tcase_add_test(tc, min_max_and_clamp_nest_and_evaluate_once);
        tcase_add_test(tc, take_ptr_and_take_fd_leave_nothing_behind);
        tcase_add_test(tc, safe_close_closes_and_keeps_errno);
        tcase_add_test(tc, cleanup_close_closes_at_the_end_of_the_scope);
        tcase_add_test(tc, null_equals_only_null);
        tcase_add_test(tc, startswith_returns_the_rest);
        tcase_add_test(tc, grown_arrays_keep_their_elements_and_zero_the_rest);
        tcase_add_test(tc, arrays_grown_unset_keep_their_elements);
        tcase_add_test(tc, growth_that_overflows_changes_nothing);
        tcase_add_test(tc, strdup_to_replaces_also_by_itself);
        tcase_add_test(tc, strprintf_to_may_use_the_old_string);
        tcase_add_loop_test(tc, sums_and_differences_saturate, 0, (int)ELEMENTSOF(saturating_rows));
        tcase_add_loop_test(tc, muldiv_is_exact_in_between_and_saturates, 0, (int)ELEMENTSOF(muldiv_rows));
        tcase_add_test(tc, permyriad_of_takes_ten_thousandths);
        tcase_add_test(tc, string_tables_refuse_what_they_do_not_hold);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
