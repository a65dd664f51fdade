/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Guests that run, on a host some of whose nodes have CPUs and no memory: theirs is a neighbour's. */

#include "placement_loop.h"

/* Nodes 1 and, farther, 2 have memory; the guest is on node 0, which has none. */
static Guest *init_borrower(Loop *l) {
        Topology *t;
        Guest *g;

        loop_init(l, "numa:3 core:2 pu:1", RESERVED);
        t = l->w.snapshot->topology;
        t->distances[0 * 3 + 1] = t->distances[1 * 3 + 0] = 15;
        take_memory(&l->w, 0);
        l->w.snapshot->host.memory.total_bytes = 2 * WORLD_NODE_BYTES;
        g = add(l, "g", 2, 3, 90, "0", 2);
        return g;
}

static const struct {
        const char *name;
        uint64_t free_bytes;            /* of node 1, whose share of the reserve is 2 GiB */
        const char *cancel;             /* NULL: it goes on */
} watch_rows[] = {
        { "there is room where the memory goes", 3 * GIB, NULL },
        { "there is none", 2 * GIB, "the target is down to its share of the host's reserve" },
};

START_TEST(a_move_to_a_neighbour_goes_on_while_that_has_room) {
        PolicyInput in;
        Guest *g;
        Loop l;

        g = init_borrower(&l);
        l.w.hold_moves = true;
        l.w.snapshot->now_usec += CYCLE_USEC;
        run(&l);
        world_decide(&l.w, NULL);
        assert_action(&l.w, g, ACTION_MOVE_MEMORY, 0, "1");
        world_apply(&l.w);
        world_node(&l.w, 1)->free_bytes = watch_rows[_i].free_bytes;
        l.w.snapshot->now_usec += CYCLE_USEC;
        in = (PolicyInput){ .config = l.w.config, .snapshot = l.w.snapshot, .mover_busy = true,
                            .moving_uuid = g->uuid };
        l.w.plan = plan_free(l.w.plan);
        ck_assert_int_eq(policy_decide(&in, l.w.state, &l.w.plan), 0);
        if (watch_rows[_i].cancel)
                ck_assert_str_eq(l.w.plan->cancel_move ?: "(goes on)", watch_rows[_i].cancel);
        else
                ck_assert_msg(!l.w.plan->cancel_move, "%s", l.w.plan->cancel_move);
        world_done(&l.w);
}
END_TEST

/* A node with memory, on which two guests want as much, and its neighbour without any, which is idle. */
static const struct {
        const char *name;
        unsigned percent;               /* of each of two vCPUs of each guest */
        uint16_t distance;
        unsigned places;
} relief_rows[] = {
        { "vCPUs that wait much go where nobody waits", 90, 20, 1 },
        { "what waits little stays with its memory", 45, 40, 0 },
};

START_TEST(a_hot_node_is_relieved_by_a_neighbour_without_memory) {
        uint16_t *distances;
        Loop l;

        loop_init(&l, "numa:2 core:2 pu:1", SHARED);
        distances = l.w.snapshot->topology->distances;
        distances[0 * 2 + 1] = distances[1 * 2 + 0] = relief_rows[_i].distance;
        take_memory(&l.w, 1);
        (void)add(&l, "a", 2, 2, relief_rows[_i].percent, "0", 0);
        (void)add(&l, "b", 2, 2, relief_rows[_i].percent, "0", 0);
        cycles(&l, 5 * USEC_PER_MINUTE);
        ck_assert_uint_eq(total(l.places), relief_rows[_i].places);
        ck_assert_uint_eq(total(l.sends), 0);
        /* It is verified at once, not when its memory has not come in all the cool-down. */
        ck_assert_uint_eq(l.gained, relief_rows[_i].places);
        ck_assert_uint_eq(l.not_gained, 0);
        world_done(&l.w);
}
END_TEST

/* The guest's memory is on node 1, which has too little; node 2 has room. */
START_TEST(a_neighbour_short_of_memory_is_relieved) {
        Guest *g;
        Loop l;

        g = init_borrower(&l);
        world_move(&l.w, g, "1");
        l.wanted[0] = 6000;
        cycles(&l, USEC_PER_MINUTE);
        ck_assert_uint_eq(total(l.places), 0);
        world_node(&l.w, 1)->free_bytes = GIB;
        cycles(&l, 5 * USEC_PER_MINUTE);
        assert_nodes(&l.w, g, "2");
        ck_assert_uint_eq(l.gained, 1);
        world_done(&l.w);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("placement_borrowed");
        TCase *tc = tcase_create("placement_borrowed");
        SRunner *runner;
        int failed;

        tcase_add_loop_test(tc, a_move_to_a_neighbour_goes_on_while_that_has_room, 0, (int)ELEMENTSOF(watch_rows));
        tcase_add_loop_test(tc, a_hot_node_is_relieved_by_a_neighbour_without_memory, 0,
                            (int)ELEMENTSOF(relief_rows));
        tcase_add_test(tc, a_neighbour_short_of_memory_is_relieved);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
