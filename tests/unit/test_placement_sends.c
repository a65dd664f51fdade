/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Memory that is sent after its guest: the cheaper way, what does not come, and when it is given up. */

#include "placement_loop.h"

/* Two nodes; a guest placed on node 0 with memory on both of them. */
static Guest *init_split(Loop *l, const char *policy, uint64_t home_gib, uint64_t away_gib) {
        Guest *g;

        loop_init(l, "numa:2 core:4 pu:1", policy);
        g = add(l, "g", 2, home_gib, 50, "0", 0);
        guest_memory(g, 1, away_gib * GIB);
        return g;
}

typedef struct MemoryRow {
        const char *name;
        uint64_t home_gib, away_gib;
        unsigned percent;               /* load of each of two vCPUs */
        bool locked;
        const char *nodes;              /* where it ends */
        unsigned sends;
        uint64_t sent_gib;
} MemoryRow;

static const MemoryRow memory_rows[] = {
        { "less is remote: it is brought", 6, 3, 50, false, "0", 1, 3 },
        { "more is remote: the vCPUs go there", 3, 6, 50, false, "1", 1, 3 },
        { "locked: the vCPUs go there", 3, 6, 50, true, "1", 0, 0 },
        { "locked, and most of it at home: nothing", 6, 3, 50, true, "0", 0, 0 },
        { "idle: nothing", 6, 3, 0, false, "0", 0, 0 },
};

START_TEST(memory_and_vcpus_come_together_the_cheaper_way) {
        const MemoryRow *row = &memory_rows[_i];
        Guest *g;
        Loop l;

        g = init_split(&l, SHARED, row->home_gib, row->away_gib);
        l.wanted[0] = row->percent * 100;
        world_node(&l.w, 1)->free_bytes -= row->away_gib * GIB;
        g->locked = row->locked;
        cycles(&l, 6 * USEC_PER_HOUR);
        assert_nodes(&l.w, g, row->nodes);
        ck_assert_uint_eq(l.sends[0], row->sends);
        ck_assert_uint_eq(l.sent_bytes, row->sent_gib * GIB);
        ck_assert_uint_eq(l.not_gained, 0);
        if (row->percent == 0)
                ck_assert(world_skips(&l.w, g, ACTION_MOVE_MEMORY, SKIP_NO_GAIN));
        world_done(&l.w);
}
END_TEST

/* The kernel keeps some pages of a node to itself: free memory there is not always to be had. */
START_TEST(a_target_that_was_full_is_tried_again_when_there_is_more) {
        Guest *g;
        Loop l;

        g = init_split(&l, SHARED, 6, 3);
        world_node(&l.w, 0)->free_bytes = 4 * GIB;
        l.w.hold_moves = true;
        for (unsigned i = 0; i < 100 && l.sends[0] == 0; i++)
                cycle(&l);
        ck_assert_uint_eq(l.sends[0], 1);
        policy_move_ended(l.w.state, g->uuid, l.w.snapshot->now_usec, 0, -ENOMEM);
        cycles(&l, 6 * USEC_PER_HOUR);
        ck_assert_uint_eq(l.sends[0], 1);
        ck_assert(world_skips(&l.w, g, ACTION_MOVE_MEMORY, SKIP_NO_CAPACITY));
        world_node(&l.w, 0)->free_bytes += GIB;
        cycles(&l, 6 * USEC_PER_HOUR);
        ck_assert_uint_ge(l.sends[0], 2);
        world_done(&l.w);
}
END_TEST

START_TEST(pages_that_the_kernel_does_not_move_are_left) {
        Guest *g;
        Loop l;

        g = init_split(&l, SHARED, 6, 1);
        l.w.hold_moves = true;
        cycle(&l);
        ck_assert_uint_eq(l.sends[0], 1);
        /* 400 MiB of 1 GiB did not come: more than the 5 % that are always left. */
        g->node_memory[0].bytes += 624 * MIB;
        g->node_memory[1].bytes -= 624 * MIB;
        policy_move_ended(l.w.state, g->uuid, l.w.snapshot->now_usec, 400 * MIB, 0);
        cycles(&l, 24 * USEC_PER_HOUR);
        ck_assert_uint_eq(l.sends[0], 1);
        ck_assert_uint_eq(l.gained, 1);
        /* More than that is remote now. */
        g->node_memory[1].bytes += GIB;
        cycles(&l, USEC_PER_MINUTE);
        ck_assert_uint_eq(l.sends[0], 2);
        world_done(&l.w);
}
END_TEST

START_TEST(a_move_given_up_is_decided_anew_after_the_cool_down) {
        uint64_t began;
        Guest *g;
        Loop l;

        g = init_split(&l, SHARED, 6, 2);
        l.w.hold_moves = true;
        cycle(&l);
        began = l.w.snapshot->now_usec;
        policy_move_ended(l.w.state, g->uuid, began, 512 * MIB, -ECANCELED);
        g->node_memory[0].bytes += GIB / 2;
        g->node_memory[1].bytes -= GIB / 2;
        while (l.sends[0] < 2)
                cycle(&l);
        /* A quarter of it came: less than half of what was expected. */
        ck_assert_uint_eq(l.not_gained, 1);
        ck_assert_uint_eq(memo_of(&l, g)->unmovable_bytes, 0);
        ck_assert_uint_ge(l.w.snapshot->now_usec, began + 2 * COOLDOWN_USEC);
        ck_assert_uint_lt(l.w.snapshot->now_usec, began + 2 * COOLDOWN_USEC + USEC_PER_MINUTE);
        world_done(&l.w);
}
END_TEST

START_TEST(a_restart_in_the_middle_of_a_move_does_not_send_again) {
        char *text = NULL, *error = NULL;
        Loop l;

        (void)init_split(&l, SHARED, 6, 2);
        l.w.hold_moves = true;
        cycle(&l);
        ck_assert_uint_eq(l.sends[0], 1);
        ck_assert_int_eq(state_format(l.w.state, &text), 0);
        l.w.state = state_free(l.w.state);
        ck_assert_int_eq(state_parse(text, &l.w.state, &error), 0);
        free(text);
        cycles(&l, COOLDOWN_USEC - USEC_PER_MINUTE);
        ck_assert_uint_eq(l.sends[0], 1);
        ck_assert_uint_eq(l.not_gained, 1);
        world_done(&l.w);
}
END_TEST

typedef struct WatchRow {
        const char *name;
        void (*change)(Loop *l, Guest *g);
        const char *why;                /* NULL: it goes on */
} WatchRow;

static void watch_nothing(Loop *l, Guest *g) {
        (void)l;
        (void)g;
}
static void watch_paused(Loop *l, Guest *g) {
        (void)l;
        g->state = GUEST_PAUSED;
}
static void watch_migrating(Loop *l, Guest *g) {
        (void)l;
        g->migrating = true;
}
static void watch_unreachable(Loop *l, Guest *g) {
        (void)l;
        g->unreachable = true;
}
static void watch_gone(Loop *l, Guest *g) {
        (void)snapshot_remove_guest(l->w.snapshot, g->uuid);
}
static void watch_full(Loop *l, Guest *g) {
        (void)g;
        world_node(&l->w, 0)->free_bytes = 2 * GIB;
}
static void watch_nearly_full(Loop *l, Guest *g) {
        (void)g;
        world_node(&l->w, 0)->free_bytes = 2 * GIB + 1;
}
static void watch_pressure(Loop *l, Guest *g) {
        (void)g;
        l->w.snapshot->host.psi_memory = (Psi){ .some_permyriad = 600, .full_permyriad = 500 };
}
static void watch_some_pressure(Loop *l, Guest *g) {
        (void)g;
        l->w.snapshot->host.psi_memory = (Psi){ .some_permyriad = 2000, .full_permyriad = 0 };
}
static void watch_little_pressure(Loop *l, Guest *g) {
        (void)g;
        l->w.snapshot->host.psi_memory = (Psi){ .some_permyriad = 1999, .full_permyriad = 499 };
}
static void watch_available(Loop *l, Guest *g) {
        (void)g;
        l->w.snapshot->host.memory.available_bytes = 4 * GIB - 1;
}
static void watch_setting(Loop *l, Guest *g) {
        (void)g;
        world_configure(&l->w, RESERVED "numa: { memory = \"none\"; };");
}

static const WatchRow watch_rows[] = {
        { "goes on", watch_nothing, NULL },
        { "paused", watch_paused, "the guest is paused; its memory stays until it runs" },
        { "migrating", watch_migrating, "a migration or another long job is under way" },
        { "libvirt is not needed for it", watch_unreachable, NULL },
        { "gone", watch_gone, "the guest is gone" },
        { "target at the reserve", watch_full, "the target is down to its share of the host's reserve" },
        { "target above the reserve", watch_nearly_full, NULL },
        { "pressure", watch_pressure, "the host is under memory pressure (full 5 %)" },
        { "some pressure", watch_some_pressure, "the host is under memory pressure (some 20 %)" },
        { "a little pressure", watch_little_pressure, NULL },
        { "little available", watch_available, "the host has only 3.9 GiB available" },
        { "not asked for any more", watch_setting, "its memory is not asked to follow any more" },
};

START_TEST(a_move_is_given_up_when_it_must_not_go_on) {
        const WatchRow *row = &watch_rows[_i];
        char uuid[UUID_TEXT_SIZE];
        PolicyInput in;
        Guest *g;
        Loop l;

        g = init_split(&l, RESERVED, 6, 2);
        l.w.hold_moves = true;
        memcpy(uuid, g->uuid, sizeof(uuid));
        cycle(&l);
        row->change(&l, g);
        in = (PolicyInput){ .config = l.w.config, .snapshot = l.w.snapshot, .mover_busy = true, .moving_uuid = uuid };
        l.w.plan = plan_free(l.w.plan);
        ck_assert_int_eq(policy_decide(&in, l.w.state, &l.w.plan), 0);
        if (row->why)
                ck_assert_str_eq(l.w.plan->cancel_move ?: "(goes on)", row->why);
        else
                ck_assert_ptr_null(l.w.plan->cancel_move);
        world_done(&l.w);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("placement_sends");
        TCase *tc = tcase_create("placement_sends");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 120);
        tcase_add_loop_test(tc, memory_and_vcpus_come_together_the_cheaper_way, 0, (int)ELEMENTSOF(memory_rows));
        tcase_add_test(tc, a_target_that_was_full_is_tried_again_when_there_is_more);
        tcase_add_test(tc, pages_that_the_kernel_does_not_move_are_left);
        tcase_add_test(tc, a_move_given_up_is_decided_anew_after_the_cool_down);
        tcase_add_test(tc, a_restart_in_the_middle_of_a_move_does_not_send_again);
        tcase_add_loop_test(tc, a_move_is_given_up_when_it_must_not_go_on, 0, (int)ELEMENTSOF(watch_rows));
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
