/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Nodes that a guest has left: when it goes back there. */

#include "placement_loop.h"

/* Two guests of two vCPUs on node 0, of two CPUs; both have left other nodes before. */
static const struct {
        const char *name;
        const char *topology;
        unsigned percent;               /* load of each vCPU */
        NodeLeft left[2];               /* usec: how long ago; 0: not at all */
        unsigned places;
} left_rows[] = {
        { "never left: one of them goes", "numa:2 core:2 pu:1", 60, { { 0 } }, 1 },
        { "left less than an hour ago: never", "numa:2 core:2 pu:1", 95, { { 1, 40 * USEC_PER_MINUTE } }, 0 },
        { "an hour ago: for a large gain", "numa:2 core:2 pu:1", 95, { { 1, 61 * USEC_PER_MINUTE } }, 1 },
        { "an hour ago: not for a small one", "numa:2 core:2 pu:1", 60, { { 1, 61 * USEC_PER_MINUTE } }, 0 },
        { "a day ago: for a small one, too", "numa:2 core:2 pu:1", 60, { { 1, 25 * USEC_PER_HOUR } }, 1 },
        { "another node than the last one is remembered, too", "numa:3 core:2 pu:1", 95,
          { { 1, 40 * USEC_PER_MINUTE }, { 2, 30 * USEC_PER_MINUTE } }, 0 },
        { "of several, the one that was left long ago", "numa:3 core:2 pu:1", 60,
          { { 1, 25 * USEC_PER_HOUR }, { 2, 30 * USEC_PER_MINUTE } }, 1 },
        { "left twice: the later time counts", "numa:2 core:2 pu:1", 60,
          { { 1, 25 * USEC_PER_HOUR }, { 1, 2 * USEC_PER_HOUR } }, 0 },
};

START_TEST(a_guest_goes_back_to_a_node_it_left_only_after_a_time_and_for_a_large_gain) {
        Loop l;

        loop_init(&l, left_rows[_i].topology, SHARED);
        l.w.snapshot->now_usec = 2 * USEC_PER_DAY;
        for (size_t i = 0; i < 2; i++) {
                GuestMemo *m = memo_of(&l, add(&l, i == 0 ? "a" : "b", 2, 2, left_rows[_i].percent, "0", 0));

                ck_assert_int_eq(memo_make_left(m), 0);
                for (size_t k = 0; k < 2 && left_rows[_i].left[k].usec > 0; k++)
                        m->left[m->n_left++] = (NodeLeft){
                                .node = left_rows[_i].left[k].node,
                                .usec = l.w.snapshot->now_usec - left_rows[_i].left[k].usec,
                        };
        }
        cycles(&l, 15 * USEC_PER_MINUTE);
        ck_assert_uint_eq(total(l.places), left_rows[_i].places);
        world_done(&l.w);
}
END_TEST

START_TEST(the_nodes_a_guest_leaves_are_remembered) {
        const GuestMemo *moved;
        Guest *a, *b;
        Loop l;

        loop_init(&l, "numa:2 core:2 pu:1", SHARED);
        a = add(&l, "a", 2, 2, 95, "0", 0);
        b = add(&l, "b", 2, 2, 95, "0", 0);
        cycles(&l, 15 * USEC_PER_MINUTE);
        moved = memo_of(&l, a)->n_left > 0 ? memo_of(&l, a) : memo_of(&l, b);
        ck_assert_uint_eq(memo_of(&l, a)->n_left + memo_of(&l, b)->n_left, 1);
        ck_assert_uint_eq(moved->left[0].node, 0);
        ck_assert_uint_eq(moved->left[0].usec, moved->placed_usec);
        world_done(&l.w);
}
END_TEST

/* Of two vCPUs, on a node of four CPUs with another guest: it is at home elsewhere, and left that node for its load, or not. */
static const struct {
        const char *name;
        unsigned percent;               /* load of each of the other's two vCPUs */
        uint64_t left_usec;             /* ago; 0: never */
        const char *nodes;              /* where it ends */
} return_rows[] = {
        { "its memory is there, and load as well: it goes", 100, 0, "1" },
        { "it left lately: it stays away", 100, USEC_PER_HOUR, "0" },
        { "it left lately, and there is little to do by now: it goes", 25, USEC_PER_HOUR, "1" },
        { "it left more than a day ago: it goes", 100, 25 * USEC_PER_HOUR, "1" },
};

START_TEST(a_guest_returns_to_its_memory_only_when_the_load_there_is_gone) {
        Guest *g;
        Loop l;

        loop_init(&l, "numa:2 core:4 pu:1", SHARED);
        l.w.snapshot->now_usec = 2 * USEC_PER_DAY;
        g = add(&l, "g", 2, 4, 25, "0", 1);
        g->locked = true;
        (void)add(&l, "other", 2, 2, return_rows[_i].percent, "1", 1);
        if (return_rows[_i].left_usec > 0) {
                memo_of(&l, g)->moved_usec = l.w.snapshot->now_usec - return_rows[_i].left_usec;
                memo_of(&l, g)->move_ended_usec = memo_of(&l, g)->moved_usec;
                memo_of(&l, g)->move_from = 1 + 1;
        }
        cycles(&l, USEC_PER_HOUR);
        assert_nodes(&l.w, g, return_rows[_i].nodes);
        world_done(&l.w);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("placement_returns");
        TCase *tc = tcase_create("placement_returns");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 120);
        tcase_add_loop_test(tc, a_guest_goes_back_to_a_node_it_left_only_after_a_time_and_for_a_large_gain, 0,
                            (int)ELEMENTSOF(left_rows));
        tcase_add_test(tc, the_nodes_a_guest_leaves_are_remembered);
        tcase_add_loop_test(tc, a_guest_returns_to_its_memory_only_when_the_load_there_is_gone, 0,
                            (int)ELEMENTSOF(return_rows));
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
