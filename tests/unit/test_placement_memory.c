/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Memory that follows its guest, and moves away from an overloaded node.
 */

#include "placement_util.h"

/* As if its last move were long over, and done with. */
static void forget_move(World *w, const Guest *g) {
        GuestMemo *m = state_find_guest(w->state, g->uuid);

        m->moved_usec = m->move_ended_usec = 0;
        m->move_cause = MOVE_NONE;
        m->moves = 0;
}

/* ---- memory ---- */

typedef struct MoveRow {
        const char *name;
        uint64_t remote_mib;            /* of 4 GiB */
        uint64_t free_mib;              /* on the target; 0: enough */
        void (*change)(World *w, Guest *g);
        bool moves;
        SkipReason why;
} MoveRow;

static void make_paused(World *w, Guest *g) {
        (void)w;
        g->state = GUEST_PAUSED;
}
static void make_locked(World *w, Guest *g) {
        (void)w;
        g->locked = true;
}
static void make_vfio(World *w, Guest *g) {
        (void)w;
        g->vfio = true;
}
static void make_hugepages(World *w, Guest *g) {
        (void)w;
        g->hugepages = true;
}
static void make_strict(World *w, Guest *g) {
        (void)w;
        g->numatune_mode = NUMATUNE_STRICT;
        g->numatune_nodes = set_of("1");
}
static void make_restrictive(World *w, Guest *g) {
        (void)w;
        g->numatune_mode = NUMATUNE_RESTRICTIVE;
        g->numatune_placement_auto = true;
        g->advised_nodes = set_of("0");
}
/* One of the two nodes is gone. */
static void make_restrictive_by_user(World *w, Guest *g) {
        (void)w;
        g->numatune_mode = NUMATUNE_RESTRICTIVE;
        g->numatune_nodes = set_of("1,9");
}
static void make_restrictive_unknown(World *w, Guest *g) {
        make_restrictive(w, g);
        g->advised_nodes = IDSET_EMPTY;
}
static void make_moved_lately(World *w, Guest *g) {
        GuestMemo *m = state_find_guest(w->state, g->uuid);

        m->moved_usec = w->snapshot->now_usec - 30 * USEC_PER_MINUTE;
        m->moves = 2;
}
static void make_moved_long_ago(World *w, Guest *g) {
        make_moved_lately(w, g);
        state_find_guest(w->state, g->uuid)->moves = 1;
}
static void make_moved_before_a_reboot(World *w, Guest *g) {
        GuestMemo *m = state_find_guest(w->state, g->uuid);

        m->moved_usec = w->snapshot->now_usec + USEC_PER_DAY;
        m->moves = 2;
}
static void make_memory_none(World *w, Guest *g) {
        (void)g;
        world_configure(w, SHARED "numa: { memory = \"none\"; };");
}

static const MoveRow move_rows[] = {
        { .name = "remote memory follows", .remote_mib = 1024, .moves = true },
        { .name = "a little is left", .remote_mib = 200, .why = _SKIP_REASON_MAX },
        { .name = "just above", .remote_mib = 210, .moves = true },
        { .name = "no room", .remote_mib = 1024, .free_mib = 1000, .why = SKIP_NO_CAPACITY },
        { .name = "paused", .remote_mib = 1024, .change = make_paused, .why = SKIP_NOT_RUNNING },
        { .name = "locked", .remote_mib = 1024, .change = make_locked, .why = SKIP_LOCKED },
        { .name = "a device", .remote_mib = 1024, .change = make_vfio, .why = SKIP_VFIO },
        { .name = "huge pages without a pool", .remote_mib = 1024, .change = make_hugepages, .why = SKIP_HUGEPAGES },
        { .name = "numatune strict", .remote_mib = 1024, .change = make_strict, .why = SKIP_USER_NUMATUNE },
        { .name = "numatune restrictive", .remote_mib = 1024, .change = make_restrictive, .moves = true },
        { .name = "numatune restrictive, the user's", .remote_mib = 1024, .change = make_restrictive_by_user,
          .moves = true },
        { .name = "numatune restrictive, to what is not known", .remote_mib = 1024, .change = make_restrictive_unknown,
          .why = SKIP_USER_NUMATUNE },
        { .name = "within the doubled cool-down", .remote_mib = 1024, .change = make_moved_lately,
          .why = SKIP_COOLDOWN },
        { .name = "after the cool-down", .remote_mib = 1024, .change = make_moved_long_ago, .moves = true },
        { .name = "a time from before a reboot means nothing", .remote_mib = 1024,
          .change = make_moved_before_a_reboot, .moves = true },
        { .name = "not asked for", .remote_mib = 1024, .change = make_memory_none, .why = _SKIP_REASON_MAX },
};

START_TEST(memory_follows_the_vcpus_unless_something_forbids) {
        const MoveRow *row = &move_rows[_i];
        const Action *a;
        World w;
        Guest *g;

        world_init(&w, FOUR_NODES, SHARED);
        g = world_guest(&w, "guest", 2, 4 * GIB);
        guest_memory(g, 1, 4 * GIB - row->remote_mib * MIB);
        guest_memory(g, 0, row->remote_mib * MIB);
        w.hold_moves = true;
        /* Placed on node 1 an hour ago. */
        world_decide(&w, NULL);
        forget_move(&w, g);
        assert_nodes(&w, g, "1");
        for (size_t i = 0; i < g->n_vcpus; i++)
                ck_assert_ptr_nonnull(world_action(&w, g, ACTION_PIN_VCPU, (unsigned)i));
        world_apply(&w);
        w.snapshot->now_usec += USEC_PER_HOUR;
        if (row->free_mib)
                world_node(&w, 1)->free_bytes = row->free_mib * MIB;
        if (row->change)
                row->change(&w, g);
        world_decide(&w, NULL);
        a = world_action(&w, g, ACTION_MOVE_MEMORY, 0);
        ck_assert_int_eq(a != NULL, row->moves);
        if (a) {
                ck_assert_str_eq(a->old_value, "0-1");
                ck_assert_str_eq(a->new_value, "1");
                ck_assert_uint_eq(state_find_guest(w.state, g->uuid)->moved_usec, w.snapshot->now_usec);
        } else if (row->why != _SKIP_REASON_MAX)
                ck_assert(world_skips(&w, g, ACTION_MOVE_MEMORY, row->why));
        else
                ck_assert_uint_eq(w.plan->n_skips, 0);
        if (row->change == make_restrictive_by_user)
                ck_assert_ptr_null(world_action(&w, g, ACTION_SET_NODESET, 0));
        if (row->change == make_restrictive) {
                ck_assert_int_eq(w.plan->actions[0].kind, ACTION_SET_NODESET);
                assert_action(&w, g, ACTION_SET_NODESET, 0, "0-1");
                /* What libvirt was advised, which it does not print: that can be put back. */
                ck_assert_str_eq(w.plan->actions[0].old_value, "0");
        }
        world_done(&w);
}
END_TEST

static void decide_while_busy(World *w) {
        PolicyInput in = { .config = w->config, .snapshot = w->snapshot, .mover_busy = true };

        w->plan = plan_free(w->plan);
        ck_assert_int_eq(policy_decide(&in, w->state, &w->plan), 0);
}

START_TEST(memory_follows_a_guest_that_has_all_cpus_of_its_node) {
        World w;
        Guest *g;

        world_init(&w, "numa:2 core:2 pu:1", "cpu: { policy = \"dedicated\"; };");
        g = world_guest(&w, "guest", 2, 4 * GIB);
        guest_memory(g, 1, 3 * GIB);
        guest_memory(g, 0, GIB);
        guest_load(g, PERMYRIAD_FULL, 0);
        world_decide(&w, NULL);
        assert_nodes(&w, g, "1");
        assert_action(&w, g, ACTION_MOVE_MEMORY, 0, "1");
        world_done(&w);
}
END_TEST

/* What its cgroup is not allowed any more the kernel would move, without a rate. */
START_TEST(a_nodeset_has_the_old_nodes_until_the_memory_has_left_them) {
        World w;
        Guest *g;

        world_init(&w, FOUR_NODES, SHARED);
        g = world_guest(&w, "guest", 2, 4 * GIB);
        guest_memory(g, 1, 3 * GIB);
        guest_memory(g, 0, GIB);
        w.hold_moves = true;
        world_decide(&w, NULL);
        forget_move(&w, g);
        world_apply(&w);
        w.snapshot->now_usec += USEC_PER_HOUR;
        make_restrictive(&w, g);
        world_decide(&w, NULL);
        assert_action(&w, g, ACTION_SET_NODESET, 0, "0-1");
        assert_action(&w, g, ACTION_MOVE_MEMORY, 0, "1");
        world_apply(&w);
        decide_while_busy(&w);
        ck_assert_ptr_null(world_action(&w, g, ACTION_SET_NODESET, 0));
        world_move(&w, g, "1");
        decide_while_busy(&w);
        ck_assert_ptr_null(world_action(&w, g, ACTION_SET_NODESET, 0));
        /* So much is left behind: 16 MiB are for the kernel to move. */
        g->node_memory[1].bytes = (uint64_t)_i * MIB;
        world_decide(&w, NULL);
        ck_assert_int_eq(world_action(&w, g, ACTION_SET_NODESET, 0) != NULL, _i <= 16);
        if (_i <= 16) {
                assert_action(&w, g, ACTION_SET_NODESET, 0, "1");
                world_apply(&w);
                world_decide(&w, NULL);
                ck_assert_uint_eq(w.plan->n_actions, 0);
                ck_assert_str_eq(state_find_owned(w.state, ACTION_SET_NODESET, g->uuid, 0)->original, "0");
        }
        world_done(&w);
}
END_TEST

/* Two guests that run on node 0, all of whose CPUs each of them wants; node 1 has idle CPUs. */
static const struct {
        const char *name;
        uint64_t free_gib;              /* of node 1 */
        unsigned n_leave;               /* guests that are placed there */
} crowd_rows[] = {
        { "it goes where its memory has room", 7, 1 },
        { "it stays where little of its memory could follow", 1, 0 },
};

START_TEST(guests_placed_together_are_not_torn_from_memory_that_cannot_follow) {
        World w;
        Guest *g[2];
        unsigned on_1 = 0;

        world_init(&w, "numa:2 core:4 pu:1", SHARED);
        world_node(&w, 0)->free_bytes = 4 * GIB;
        world_node(&w, 1)->free_bytes = crowd_rows[_i].free_gib * GIB;
        for (size_t i = 0; i < 2; i++) {
                g[i] = world_guest(&w, i == 0 ? "a" : "b", 4, 6 * GIB);
                guest_memory(g[i], 0, 6 * GIB);
                guest_load(g[i], 9000, 0);
        }
        world_decide(&w, NULL);
        for (size_t i = 0; i < 2; i++)
                on_1 += idset_contains(memo_nodes(state_find_guest(w.state, g[i]->uuid)), 1);
        ck_assert_uint_eq(on_1, crowd_rows[_i].n_leave);
        for (size_t i = 0; i < 2; i++)
                ck_assert(!world_skips(&w, g[i], ACTION_MOVE_MEMORY, SKIP_NO_CAPACITY));
        world_done(&w);
}
END_TEST

START_TEST(memory_moves_one_guest_at_a_time_the_most_remote_first) {
        World w;
        Guest *a, *b, *c;

        world_init(&w, FOUR_NODES, SHARED);
        a = world_guest(&w, "a", 2, 4 * GIB);
        guest_memory(a, 0, 3 * GIB);
        guest_memory(a, 1, GIB);
        b = world_guest(&w, "b", 2, 8 * GIB);
        guest_memory(b, 2, 5 * GIB);
        guest_memory(b, 3, 3 * GIB);
        c = world_guest(&w, "c", 2, 4 * GIB);
        guest_memory(c, 3, 3 * GIB);
        guest_memory(c, 1, GIB / 2);
        world_decide(&w, NULL);
        ck_assert_ptr_nonnull(world_action(&w, b, ACTION_MOVE_MEMORY, 0));
        ck_assert_ptr_null(world_action(&w, a, ACTION_MOVE_MEMORY, 0));
        ck_assert_ptr_null(world_action(&w, c, ACTION_MOVE_MEMORY, 0));
        /* 8 GiB at 256 MiB/s: not yet there after 10 s, and nobody else moves meanwhile. */
        w.hold_moves = true;
        world_apply(&w);
        w.hold_moves = false;
        w.snapshot->now_usec += 10 * USEC_PER_SEC;
        b->node_memory[1].bytes = 2 * GIB;
        world_decide(&w, NULL);
        assert_quiet(&w);
        /* Arrived: the other one's turn. */
        world_move(&w, b, "2");
        w.snapshot->now_usec += 10 * USEC_PER_SEC;
        world_decide(&w, NULL);
        ck_assert_uint_eq(w.plan->n_actions, 1);
        assert_action(&w, a, ACTION_MOVE_MEMORY, 0, "0");
        world_apply(&w);
        w.snapshot->now_usec += 10 * USEC_PER_SEC;
        world_decide(&w, NULL);
        assert_action(&w, c, ACTION_MOVE_MEMORY, 0, "3");
        assert_settled(&w);
        ck_assert_uint_eq(state_find_guest(w.state, a->uuid)->moves, 0);
        world_done(&w);
}
END_TEST

START_TEST(memory_does_not_move_into_room_promised_to_a_starting_guest) {
        World w;
        Guest *g, *starting;

        world_init(&w, "numa:2 core:4 pu:1", SHARED);
        g = world_guest(&w, "guest", 2, 9 * GIB);
        guest_memory(g, 0, 5 * GIB);
        guest_memory(g, 1, 4 * GIB);
        w.hold_moves = true;
        world_settle(&w);
        assert_nodes(&w, g, "0");
        forget_move(&w, g);
        w.snapshot->now_usec += USEC_PER_HOUR;
        world_node(&w, 0)->free_bytes = 6 * GIB;
        starting = world_guest(&w, "starting", 1, 5 * GIB);
        starting->starting = true;
        starting->numatune_mode = NUMATUNE_PREFERRED;
        starting->numatune_nodes = set_of("0");
        world_decide(&w, NULL);
        ck_assert(world_skips(&w, g, ACTION_MOVE_MEMORY, SKIP_NO_CAPACITY));
        /* It took less than it might have. */
        starting->starting = false;
        world_decide(&w, NULL);
        ck_assert_ptr_nonnull(world_action(&w, g, ACTION_MOVE_MEMORY, 0));
        world_done(&w);
}
END_TEST

/* ---- rebalancing ---- */

typedef struct RebalanceRow {
        const char *name;
        unsigned busy[2][3];            /* percent of one CPU of the 1-vCPU guests of each node */
        uint64_t free_gib;              /* of both nodes; 0: enough */
        uint64_t age_usec;
        const char *want;               /* "": nobody */
        SkipReason why;                 /* _SKIP_REASON_MAX: silent */
} RebalanceRow;

static const RebalanceRow rebalance_rows[] = {
        { "the one that helps most", { { 80, 70, 50 }, { 20 } }, 0, USEC_PER_HOUR, "g0-0", _SKIP_REASON_MAX },
        { "two equal ones are parted", { { 100, 100 }, { 0 } }, 0, USEC_PER_HOUR, "g0-0", _SKIP_REASON_MAX },
        { "a busy node below 85 % stays", { { 80, 89 }, { 0 } }, 0, USEC_PER_HOUR, "", _SKIP_REASON_MAX },
        { "just above", { { 82, 89 }, { 0 } }, 0, USEC_PER_HOUR, "g0-0", _SKIP_REASON_MAX },
        { "an imbalance is not reversed", { { 95, 90 }, { 98 } }, 0, USEC_PER_HOUR, "", _SKIP_REASON_MAX },
        { "a balanced host stays, however busy", { { 100, 100 }, { 100, 100 } }, 0, USEC_PER_HOUR, "",
          _SKIP_REASON_MAX },
        { "not soon after it was placed", { { 80, 70, 50 }, { 20 } }, 0, USEC_PER_MINUTE, "", SKIP_COOLDOWN },
        { "not without room", { { 80, 70, 50 }, { 20 } }, 1, USEC_PER_HOUR, "", SKIP_NO_CAPACITY },
        { "too little to gain", { { 100, 90, 4 }, { 95, 90, 0 } }, 0, USEC_PER_HOUR, "", _SKIP_REASON_MAX },
};

START_TEST(an_overloaded_node_loses_the_guest_that_helps_most) {
        const RebalanceRow *row = &rebalance_rows[_i];
        size_t moved = 0;
        World w;

        world_init(&w, "numa:2 core:2 pu:1", SHARED);
        for (unsigned node = 0; node < 2; node++)
                for (unsigned i = 0; i < 3; i++) {
                        char name[16];
                        GuestMemo *m;
                        Guest *g;

                        (void)snprintf(name, sizeof(name), "g%u-%u", node, i);
                        g = world_guest(&w, name, 1, 2 * GIB);
                        guest_memory(g, node, 2 * GIB);
                        guest_load(g, row->busy[node][i] * 60, row->busy[node][i] * 40);
                        ck_assert_int_eq(state_guest(w.state, g->uuid, &m), 0);
                        world_place(&w, m, idset_of(node));
                        m->placed_usec = WORLD_START_USEC;
                }
        w.snapshot->now_usec = WORLD_START_USEC;
        world_settle(&w);
        w.snapshot->now_usec += row->age_usec;
        if (row->free_gib)
                world_node(&w, 0)->free_bytes = world_node(&w, 1)->free_bytes = row->free_gib * GIB;
        world_decide(&w, NULL);
        for (size_t i = 0; i < w.snapshot->n_guests; i++) {
                const Guest *g = w.snapshot->guests[i];

                if (!world_action(&w, g, ACTION_PIN_VCPU, 0))
                        continue;
                moved++;
                ck_assert_str_eq(g->name, row->want);
                assert_action(&w, g, ACTION_PIN_VCPU, 0, "2-3");
                assert_action(&w, g, ACTION_PIN_EMULATOR, 0, "2-3");
                assert_action(&w, g, ACTION_MOVE_MEMORY, 0, "1");
                if (_i == 0)
                        ck_assert_str_eq(world_action(&w, g, ACTION_PIN_VCPU, 0)->reason,
                                         "node 0 at 100 % of its 2 CPUs, node 1 at 10 % of its 2: moving g0-0 "
                                         "(80 % of one CPU) brings the larger to 60 %; gains 88.6 % of one CPU for 2 GiB to copy");
        }
        ck_assert_uint_eq(moved, row->want[0] ? 1 : 0);
        if (!moved)
                assert_quiet(&w);
        ck_assert_int_eq(w.plan->n_skips > 0, row->why != _SKIP_REASON_MAX);
        if (w.plan->n_skips > 0)
                ck_assert_int_eq(w.plan->skips[0].why, row->why);
        /* Carried out, it is not undone, and the next one has to wait for the memory. */
        world_apply(&w);
        w.snapshot->now_usec += 10 * USEC_PER_SEC;
        for (size_t i = 0; i < 3 && moved; i++) {
                world_decide(&w, NULL);
                assert_quiet(&w);
                w.snapshot->now_usec += USEC_PER_HOUR;
        }
        world_done(&w);
}
END_TEST

START_TEST(while_the_mover_is_busy_no_move_is_decided_nor_noted) {
        World w;
        Guest *g;

        world_init(&w, FOUR_NODES, SHARED);
        g = world_guest(&w, "guest", 2, 4 * GIB);
        guest_memory(g, 1, 3 * GIB);
        guest_memory(g, 0, GIB);
        g->numatune_mode = NUMATUNE_RESTRICTIVE;
        g->numatune_placement_auto = true;
        g->numatune_nodes = set_of("0");
        decide_while_busy(&w);
        assert_nodes(&w, g, "1");
        ck_assert_ptr_nonnull(world_action(&w, g, ACTION_PIN_VCPU, 0));
        ck_assert_ptr_null(world_action(&w, g, ACTION_MOVE_MEMORY, 0));
        ck_assert_ptr_null(world_action(&w, g, ACTION_SET_NODESET, 0));
        ck_assert_uint_eq(state_find_guest(w.state, g->uuid)->moved_usec, 0);
        ck_assert_uint_eq(state_find_guest(w.state, g->uuid)->moves, 0);
        world_apply(&w);
        world_decide(&w, NULL);
        ck_assert_ptr_nonnull(world_action(&w, g, ACTION_MOVE_MEMORY, 0));
        ck_assert_uint_eq(state_find_guest(w.state, g->uuid)->moved_usec, w.snapshot->now_usec);
        ck_assert_uint_eq(state_find_guest(w.state, g->uuid)->move_cause, MOVE_REMOTE);
        world_done(&w);
}
END_TEST

START_TEST(while_the_mover_is_busy_no_node_is_relieved) {
        World w;

        world_init(&w, "numa:2 core:2 pu:1", SHARED);
        for (unsigned i = 0; i < 3; i++) {
                Guest *g = world_guest(&w, "guest", 1, 2 * GIB);
                GuestMemo *m;

                guest_memory(g, 0, 2 * GIB);
                guest_load(g, 6000, 3000);
                ck_assert_int_eq(state_guest(w.state, g->uuid, &m), 0);
                world_place(&w, m, idset_of(0));
                m->placed_usec = WORLD_START_USEC;
        }
        world_settle(&w);
        w.snapshot->now_usec += USEC_PER_HOUR;
        decide_while_busy(&w);
        assert_quiet(&w);
        for (size_t i = 0; i < w.state->n_guests; i++)
                ck_assert_uint_eq(w.state->guests[i].moves, 0);
        world_decide(&w, NULL);
        ck_assert_uint_eq(w.plan->n_actions, 3);
        world_done(&w);
}
END_TEST

START_TEST(an_overloaded_node_keeps_guests_that_are_bound_to_it) {
        World w;

        world_init(&w, "numa:2 core:2 pu:1", SHARED);
        for (unsigned i = 0; i < 3; i++) {
                Guest *g = world_guest(&w, "guest", 1, 2 * GIB);

                guest_memory(g, 0, 2 * GIB);
                guest_load(g, 6000, 3000);
                g->numatune_mode = NUMATUNE_PREFERRED;
                g->numatune_nodes = set_of("0");
        }
        world_settle(&w);
        w.snapshot->now_usec += USEC_PER_DAY;
        world_decide(&w, NULL);
        assert_quiet(&w);
        world_done(&w);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("placement_memory");
        TCase *tc = tcase_create("placement_memory");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 120);
        tcase_add_loop_test(tc, memory_follows_the_vcpus_unless_something_forbids, 0, (int)ELEMENTSOF(move_rows));
        tcase_add_loop_test(tc, guests_placed_together_are_not_torn_from_memory_that_cannot_follow, 0,
                            (int)ELEMENTSOF(crowd_rows));
        tcase_add_test(tc, memory_moves_one_guest_at_a_time_the_most_remote_first);
        tcase_add_loop_test(tc, an_overloaded_node_loses_the_guest_that_helps_most, 0,
                            (int)ELEMENTSOF(rebalance_rows));
        tcase_add_test(tc, memory_does_not_move_into_room_promised_to_a_starting_guest);
        tcase_add_test(tc, while_the_mover_is_busy_no_move_is_decided_nor_noted);
        tcase_add_test(tc, memory_follows_a_guest_that_has_all_cpus_of_its_node);
        tcase_add_loop_test(tc, a_nodeset_has_the_old_nodes_until_the_memory_has_left_them, 15, 18);
        tcase_add_test(tc, while_the_mover_is_busy_no_node_is_relieved);
        tcase_add_test(tc, an_overloaded_node_keeps_guests_that_are_bound_to_it);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
