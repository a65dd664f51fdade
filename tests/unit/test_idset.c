/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "../../lib/idset.h"

#include <check.h>

/* The model: one bool a number. */
typedef struct Model {
        bool has[IDSET_MAX];
} Model;

/* xorshift64*: the same sequence everywhere. */
static uint64_t next_random(uint64_t *state) {
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        return *state * UINT64_C(2685821657736338717);
}

static unsigned random_below(uint64_t *state, unsigned n) {
        return (unsigned)(next_random(state) >> 33) % n;
}

static void random_set(uint64_t *rng, IdSet *s, Model *m) {
        unsigned steps = random_below(rng, 60);

        *s = IDSET_EMPTY;
        *m = (Model){ 0 };
        for (unsigned i = 0; i < steps; i++) {
                unsigned from = random_below(rng, IDSET_MAX);
                unsigned to = MIN(from + random_below(rng, 200), IDSET_MAX - 1);

                switch (random_below(rng, 3)) {
                case 0:
                        ck_assert_int_eq(idset_add(s, from), 0);
                        m->has[from] = true;
                        break;
                case 1:
                        ck_assert_int_eq(idset_add_range(s, from, to), 0);
                        memset(m->has + from, true, to - from + 1);
                        break;
                default:
                        idset_remove(s, from);
                        m->has[from] = false;
                }
        }
}

static void assert_same(const IdSet *s, const Model *m) {
        unsigned count = 0;
        int next = -1;

        for (unsigned id = IDSET_MAX; id-- > 0;) {
                count += m->has[id];
                if (m->has[id])
                        next = (int)id;
                if (idset_contains(s, id) != m->has[id] || idset_next(s, id) != next)
                        ck_abort_msg("number %u: contains %d, next %d; want %d, %d", id, idset_contains(s, id),
                                     idset_next(s, id), m->has[id], next);
        }
        ck_assert_uint_eq(idset_count(s), count);
        ck_assert_int_eq(idset_is_empty(s), count == 0);
        IDSET_FOREACH(id, s) {
                ck_assert(m->has[id]);
                count--;
        }
        ck_assert_uint_eq(count, 0);
}

START_TEST(random_sets_behave_like_an_array_of_bool) {
        uint64_t rng = (uint64_t)_i + 1;

        for (unsigned round = 0; round < 20; round++) {
                IdSet a, b, both, either, only;
                Model ma, mb, mboth, meither, monly;
                bool subset = true, intersects = false, equal = true;
                int differ = -1;

                random_set(&rng, &a, &ma);
                random_set(&rng, &b, &mb);
                for (unsigned id = 0; id < IDSET_MAX; id++) {
                        mboth.has[id] = ma.has[id] && mb.has[id];
                        meither.has[id] = ma.has[id] || mb.has[id];
                        monly.has[id] = ma.has[id] && !mb.has[id];
                        subset = subset && !monly.has[id];
                        intersects = intersects || mboth.has[id];
                        equal = equal && ma.has[id] == mb.has[id];
                        if (differ < 0 && ma.has[id] != mb.has[id])
                                differ = (int)id;
                }
                both = idset_and(&a, &b);
                either = idset_or(&a, &b);
                only = idset_minus(&a, &b);
                assert_same(&a, &ma);
                assert_same(&both, &mboth);
                assert_same(&either, &meither);
                assert_same(&only, &monly);
                ck_assert_int_eq(idset_is_subset(&a, &b), subset);
                ck_assert_int_eq(idset_intersects(&a, &b), intersects);
                ck_assert_int_eq(idset_equal(&a, &b), equal);
                ck_assert_int_eq(idset_next_difference(&a, &b), differ);
                ck_assert(idset_part_equal(&a, &b, &both) && idset_part_equal(&either, &a, &a));
                ck_assert_int_eq(idset_part_equal(&a, &b, &a), subset);
                ck_assert_int_eq(idset_part_equal(&b, &either, &a), equal);
                ck_assert(idset_is_subset(&both, &a) && idset_is_subset(&a, &either));
                ck_assert(idset_equal(&a, &a));
        }
}
END_TEST

/* A list that the model writes itself, entry by entry, in any order and with overlaps. */
START_TEST(random_lists_read_as_the_model_and_survive_a_round_trip) {
        uint64_t rng = (uint64_t)_i + 1000;

        for (unsigned round = 0; round < 30; round++) {
                _cleanup_free_ char *list = NULL, *printed = NULL;
                unsigned entries = random_below(&rng, 30);
                Model m = { 0 };
                IdSet s, again;

                ck_assert_int_eq(strdup_to(&list, ""), 0);
                for (unsigned i = 0; i < entries; i++) {
                        unsigned from = random_below(&rng, IDSET_MAX);
                        unsigned to = MIN(from + random_below(&rng, 300), IDSET_MAX - 1);

                        memset(m.has + from, true, to - from + 1);
                        if (from == to)
                                ck_assert_int_eq(strprintf_to(&list, "%s%s%u", list, i ? "," : "", from), 0);
                        else
                                ck_assert_int_eq(
                                        strprintf_to(&list, "%s%s%u-%u", list, i ? "," : "", from, to), 0);
                }
                ck_assert_int_eq(idset_parse(list, &s), 0);
                assert_same(&s, &m);
                ck_assert_int_eq(idset_format(&s, &printed), 0);
                ck_assert_int_eq(idset_parse(printed, &again), 0);
                ck_assert(idset_equal(&s, &again));
        }
}
END_TEST

/* Every other number is the longest list there is: the buffer must hold it. */
START_TEST(the_longest_lists_are_printed_whole) {
        _cleanup_free_ char *text = NULL, *full = NULL;
        IdSet s = IDSET_EMPTY, again;

        for (unsigned id = 1; id < IDSET_MAX; id += 2)
                ck_assert_int_eq(idset_add(&s, id), 0);
        ck_assert_int_eq(idset_format(&s, &text), 0);
        ck_assert_str_eq(text + strlen(text) - 10, ",4093,4095");
        ck_assert_int_eq(idset_parse(text, &again), 0);
        ck_assert(idset_equal(&s, &again));

        ck_assert_int_eq(idset_add_range(&s, 0, IDSET_MAX - 1), 0);
        ck_assert_uint_eq(idset_count(&s), IDSET_MAX);
        ck_assert_int_eq(idset_format(&s, &full), 0);
        ck_assert_str_eq(full, "0-4095");
}
END_TEST

static const struct {
        const char *text;
        int r;
        const char *want;
} parse_rows[] = {
        { "", 0, "" },
        { "\n", 0, "" },
        { " \t\n", 0, "" },
        { "0", 0, "0" },
        { "0\n", 0, "0" },
        { "  3-5 \n", 0, "3-5" },
        { "0-3,8,10-11", 0, "0-3,8,10-11" },
        { "3,2,1,0", 0, "0-3" },
        { "0,0,0", 0, "0" },
        { "5-5", 0, "5" },
        { "0-5,3-9", 0, "0-9" },
        { "63,64", 0, "63-64" },
        { "63-128,127-129", 0, "63-129" },
        { "007", 0, "7" },
        { "00000000000000000000000000000001", 0, "1" },
        { "4095", 0, "4095" },
        { "0-4095", 0, "0-4095" },
        { "0-2,33,34,45", 0, "0-2,33-34,45" },
        { "4096", -ERANGE, NULL },
        { "0-4096", -ERANGE, NULL },
        { "4294967295", -ERANGE, NULL },
        { "4294967296", -ERANGE, NULL },
        { "0-4294967296", -ERANGE, NULL },
        { "18446744073709551616", -ERANGE, NULL },
        { "99999999999999999999999999", -ERANGE, NULL },
        { "1,2,99999", -ERANGE, NULL },
        { "3-1", -EINVAL, NULL },
        { "-1", -EINVAL, NULL },
        { "1-", -EINVAL, NULL },
        { "1--2", -EINVAL, NULL },
        { "1-2-3", -EINVAL, NULL },
        { ",", -EINVAL, NULL },
        { ",1", -EINVAL, NULL },
        { "1,", -EINVAL, NULL },
        { "1,\n", -EINVAL, NULL },
        { "1,,2", -EINVAL, NULL },
        { "1 2", -EINVAL, NULL },
        { "1, 2", -EINVAL, NULL },
        { "1 ,2", -EINVAL, NULL },
        { "1 - 2", -EINVAL, NULL },
        { "0x1", -EINVAL, NULL },
        { "+1", -EINVAL, NULL },
        { "1.5", -EINVAL, NULL },
        { "a", -EINVAL, NULL },
        { "1a", -EINVAL, NULL },
        { "0-10:2/4", -EINVAL, NULL },
        { "^1", -EINVAL, NULL },
        { "all", -EINVAL, NULL },
        { "\xff", -EINVAL, NULL },
        { "(null)", -EINVAL, NULL },
        { "00000000,00000003,z", -EINVAL, NULL },
};

START_TEST(lists_are_read_strictly) {
        IdSet before = idset_of(77), s = before;
        _cleanup_free_ char *text = NULL;

        ck_assert_msg(idset_parse(parse_rows[_i].text, &s) == parse_rows[_i].r, "\"%s\"", parse_rows[_i].text);
        if (parse_rows[_i].r < 0) {
                ck_assert(idset_equal(&s, &before));
                return;
        }
        ck_assert_int_eq(idset_format(&s, &text), 0);
        ck_assert_str_eq(text, parse_rows[_i].want);
}
END_TEST

/* Whatever of the alphabet is accepted reads the same after printing; nothing reads beyond the text (ASan). */
START_TEST(random_text_is_refused_or_round_trips) {
        static const char alphabet[] = "0123456789,,-- \n5x";
        uint64_t rng = 42;
        unsigned accepted = 0;

        for (unsigned round = 0; round < 20000; round++) {
                unsigned n = random_below(&rng, 9);
                _cleanup_free_ char *text = malloc(n + 1), *printed = NULL;
                IdSet before = idset_of(77), s = before, again;
                int r;

                ck_assert_ptr_nonnull(text);
                for (unsigned i = 0; i < n; i++)
                        text[i] = alphabet[random_below(&rng, sizeof(alphabet) - 1)];
                text[n] = 0;
                r = idset_parse(text, &s);
                if (r < 0) {
                        ck_assert(r == -EINVAL || r == -ERANGE);
                        ck_assert(idset_equal(&s, &before));
                        continue;
                }
                accepted++;
                ck_assert_ptr_null(strchr(text, 'x'));
                ck_assert_int_eq(idset_format(&s, &printed), 0);
                ck_assert_int_eq(idset_parse(printed, &again), 0);
                ck_assert(idset_equal(&s, &again));
        }
        ck_assert_uint_gt(accepted, 100);
}
END_TEST

START_TEST(numbers_beyond_the_limit_are_refused_not_dropped) {
        IdSet s = IDSET_EMPTY;

        ck_assert_int_eq(idset_add(&s, IDSET_MAX), -ERANGE);
        ck_assert_int_eq(idset_add(&s, UINT32_MAX), -ERANGE);
        ck_assert_int_eq(idset_add_range(&s, 0, IDSET_MAX), -ERANGE);
        ck_assert_int_eq(idset_add_range(&s, 5, 4), -EINVAL);
        ck_assert(idset_is_empty(&s));
        ck_assert(!idset_contains(&s, IDSET_MAX));
        ck_assert(!idset_contains(&s, UINT32_MAX));
        idset_remove(&s, IDSET_MAX);
        idset_remove(&s, UINT32_MAX);
        ck_assert_int_eq(idset_next(&s, IDSET_MAX), -1);
        ck_assert_int_eq(idset_next(&s, UINT32_MAX), -1);
        ck_assert_int_eq(idset_add(&s, IDSET_MAX - 1), 0);
        ck_assert_int_eq(idset_next(&s, 0), (int)IDSET_MAX - 1);
        ck_assert_int_eq(idset_next(&s, IDSET_MAX), -1);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("idset");
        TCase *tc = tcase_create("idset");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 60);
        tcase_add_loop_test(tc, random_sets_behave_like_an_array_of_bool, 0, 5);
        tcase_add_loop_test(tc, random_lists_read_as_the_model_and_survive_a_round_trip, 0, 5);
        tcase_add_test(tc, the_longest_lists_are_printed_whole);
        tcase_add_loop_test(tc, lists_are_read_strictly, 0, (int)ELEMENTSOF(parse_rows));
        tcase_add_test(tc, random_text_is_refused_or_round_trips);
        tcase_add_test(tc, numbers_beyond_the_limit_are_refused_not_dropped);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
