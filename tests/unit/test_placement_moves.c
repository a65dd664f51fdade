/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What asks for a move of a guest that runs, and what it leads to. */

#include "placement_loop.h"

START_TEST(a_hot_node_is_relieved_once_and_the_gain_is_found) {
        Guest *a, *b;
        Loop l;

        loop_init(&l, "numa:2 core:2 pu:1", SHARED);
        a = add(&l, "a", 2, 2, 60, "0", 0);
        b = add(&l, "b", 2, 2, 20, "0", 0);
        cycles(&l, USEC_PER_MINUTE);
        ck_assert_uint_eq(total(l.places), 0);
        l.wanted[1] = 9000;
        cycles(&l, 6 * USEC_PER_HOUR);
        ck_assert_uint_eq(total(l.places), 1);
        ck_assert_uint_eq(total(l.sends), 1);
        ck_assert_uint_eq(l.sent_bytes, 2 * GIB);
        ck_assert_uint_eq(l.gained, 1);
        ck_assert_uint_eq(l.not_gained, 0);
        ck_assert(!idset_equal(memo_nodes(memo_of(&l, a)), memo_nodes(memo_of(&l, b))));
        ck_assert_uint_eq(a->vcpus[0].wait_permyriad + b->vcpus[0].wait_permyriad, 0);
        world_done(&l.w);
}
END_TEST

START_TEST(one_that_is_paused_after_its_move_holds_up_nobody) {
        Guest *a, *b;
        Loop l;

        loop_init(&l, "numa:4 core:2 pu:1", SHARED);
        a = add(&l, "a", 2, 2, 90, "0", 0);
        b = add(&l, "b", 2, 2, 90, "0", 0);
        (void)add(&l, "c", 2, 2, 30, "2", 2);
        (void)add(&l, "d", 2, 2, 30, "2", 2);
        for (unsigned i = 0; i < 30 && total(l.places) == 0; i++)
                cycle(&l);
        ck_assert_uint_eq(total(l.places), 1);
        (l.places[0] > 0 ? a : b)->state = GUEST_PAUSED;
        l.wanted[l.places[0] > 0 ? 0 : 1] = 0;
        l.wanted[2] = l.wanted[3] = 9000;
        cycles(&l, 5 * USEC_PER_MINUTE);
        ck_assert_uint_eq(total(l.places), 2);
        world_done(&l.w);
}
END_TEST

START_TEST(a_burst_moves_nobody) {
        Loop l;

        loop_init(&l, "numa:2 core:2 pu:1", SHARED);
        (void)add(&l, "a", 2, 2, 40, "0", 0);
        (void)add(&l, "b", 2, 2, 30, "0", 0);
        cycles(&l, USEC_PER_MINUTE);
        l.wanted[0] = 10000;
        cycle(&l);
        l.wanted[0] = 4000;
        cycles(&l, 5 * USEC_PER_MINUTE);
        ck_assert_uint_eq(total(l.places), 0);
        world_done(&l.w);
}
END_TEST

START_TEST(a_move_that_does_not_help_doubles_the_cool_down_each_time) {
        static const unsigned want[] = { 1, 2, 3 };
        Guest *g;
        Loop l;

        loop_init(&l, "numa:2 core:2 pu:1", SHARED);
        g = add(&l, "a", 2, 2, 40, "0", 0);
        (void)add(&l, "b", 2, 2, 30, "0", 0);
        l.elsewhere = true;
        for (size_t i = 0; i < ELEMENTSOF(want); i++) {
                GuestMemo *m = memo_of(&l, g);

                /* As if it had just been decided, each time. */
                m->moved_usec = m->placed_usec = l.w.snapshot->now_usec;
                m->move_cause = MOVE_LOAD;
                m->move_from = 2;
                m->move_before = 7000;
                m->move_predicted = 1000;
                m->move_sum = m->move_samples = 0;
                cycles(&l, USEC_PER_MINUTE);
                ck_assert_uint_eq(memo_of(&l, g)->move_cause, MOVE_NONE);
                ck_assert_uint_eq(memo_of(&l, g)->moves, want[i]);
                ck_assert_uint_eq(l.not_gained, i + 1);
        }
        ck_assert_uint_eq(l.gained, 0);
        world_done(&l.w);
}
END_TEST

START_TEST(guests_that_wait_for_another_reason_do_not_wander) {
        Loop l;

        loop_init(&l, "numa:2 core:2 pu:1", SHARED);
        (void)add(&l, "a", 2, 2, 95, "0", 0);
        (void)add(&l, "b", 1, 2, 95, "0", 0);
        (void)add(&l, "c", 1, 2, 20, "1", 1);
        l.elsewhere = true;
        cycles(&l, 24 * USEC_PER_HOUR);
        ck_assert_uint_le(total(l.places), 3);
        world_done(&l.w);
}
END_TEST

/* The only one, of 2 MiB pages; @free_bytes are left. */
static void give_pool(World *w, unsigned node, uint64_t free_bytes) {
        NodeMemory *n = world_node(w, node);

        n->pools = calloc(1, sizeof(*n->pools));
        ck_assert_ptr_nonnull(n->pools);
        n->n_pools = 1;
        n->pools[0] = (HugePool){ 2 * MIB, 2048, free_bytes / (2 * MIB), 0 };
        w->snapshot->host.hugepage_bytes = 2 * MIB;
}

START_TEST(a_node_short_of_memory_loses_the_guest_that_costs_least) {
        Guest *small, *large, *other;
        Loop l;

        loop_init(&l, "numa:2 core:8 pu:1", RESERVED);
        small = add(&l, "small", 2, 3, 30, "0", 0);
        large = add(&l, "large", 2, 9, 30, "0", 0);
        other = add(&l, "other", 2, 2, 30, "1", 1);
        cycles(&l, USEC_PER_MINUTE);
        ck_assert_uint_eq(total(l.places), 0);
        /* Its share of the reserve is 2 GiB. */
        world_node(&l.w, 0)->free_bytes = GIB;
        cycles(&l, USEC_PER_HOUR);
        assert_nodes(&l.w, small, "1");
        assert_nodes(&l.w, large, "0");
        assert_nodes(&l.w, other, "1");
        ck_assert_uint_eq(total(l.places), 1);
        ck_assert_uint_eq(l.sent_bytes, 3 * GIB);
        ck_assert_uint_eq(l.gained, 1);
        world_done(&l.w);
}
END_TEST

/* They go back to the pool of their node. */
START_TEST(huge_pages_do_not_relieve_a_node_short_of_memory) {
        Guest *huge, *plain;
        Loop l;

        loop_init(&l, "numa:2 core:8 pu:1", RESERVED);
        give_pool(&l.w, 1, 4 * GIB);
        huge = add(&l, "huge", 2, 3, 30, "0", 0);
        huge->hugepages = true;
        plain = add(&l, "plain", 2, 5, 30, "0", 0);
        world_node(&l.w, 0)->free_bytes = GIB;
        cycles(&l, USEC_PER_HOUR);
        assert_nodes(&l.w, huge, "0");
        assert_nodes(&l.w, plain, "1");
        ck_assert_uint_eq(total(l.places), 1);
        world_done(&l.w);
}
END_TEST

/* Node 0 lacks 1 GiB; a guest of 3 GiB may go to node 1 when there is that and what node 0 lacks besides. */
static const struct {
        const char *name;
        uint64_t free_mib;              /* of node 1, of whose share of the reserve 2048 MiB stay */
        unsigned places;
} margin_rows[] = {
        { "room for its memory, and for what was lacking", 2048 + 3072 + 1024, 1 },
        { "room for its memory alone: the shortage would only move", 2048 + 3072 + 1023, 0 },
};

START_TEST(a_shortage_is_not_moved_to_another_node) {
        Loop l;

        loop_init(&l, "numa:2 core:8 pu:1", RESERVED);
        (void)add(&l, "g", 2, 3, 30, "0", 0);
        world_node(&l.w, 0)->free_bytes = GIB;
        world_node(&l.w, 1)->free_bytes = margin_rows[_i].free_mib * MIB;
        cycles(&l, 2 * USEC_PER_MINUTE);
        ck_assert_uint_eq(total(l.places), margin_rows[_i].places);
        world_done(&l.w);
}
END_TEST

/* numatune restrictive, which libvirt calls static, of a guest on node 0, which lacks memory. */
static const struct {
        const char *name;
        const char *original, *ours, *previous; /* NULL: none of it is ours */
        const char *advised;
        bool vcpus_auto, defined_auto;
        unsigned places;
} nodeset_rows[] = {
        { "the user's: it stays", .places = 0 },
        { "ours, in place of what libvirt was advised", "1", "0", .places = 1 },
        { "ours from before the last change, which was not made", "1", "2", "0", .places = 1 },
        { "what libvirt was advised, as it was before ours", "0", "1", .places = 1 },
        { "somebody else's, in place of ours", "1", "1-2", .places = 0 },
        { "what libvirt was advised, given back", .advised = "0", .places = 1 },
        { "the same, where libvirt may have been advised for the vCPUs alone", .advised = "0", .vcpus_auto = true,
          .places = 0 },
        { "the same, where its definition leaves them to libvirt", .advised = "0", .vcpus_auto = true,
          .defined_auto = true, .places = 1 },
        { "another one than libvirt was advised", .advised = "0-1", .places = 0 },
        { "the same, whatever its definition says", .advised = "0-1", .vcpus_auto = true, .defined_auto = true,
          .places = 0 },
};

START_TEST(a_nodeset_that_kvmtuned_set_does_not_bind) {
        Owned owned = { .kind = ACTION_SET_NODESET, .original = (char *)nodeset_rows[_i].original,
                        .ours = (char *)nodeset_rows[_i].ours, .previous = (char *)nodeset_rows[_i].previous };
        Guest *g;
        Loop l;

        loop_init(&l, "numa:3 core:8 pu:1", RESERVED);
        g = add(&l, "g", 2, 3, 30, "0", 0);
        g->numatune_mode = NUMATUNE_RESTRICTIVE;
        g->numatune_nodes = set_of("0");
        g->vcpu_placement_auto = nodeset_rows[_i].vcpus_auto;
        g->numatune_defined_auto = nodeset_rows[_i].defined_auto;
        if (nodeset_rows[_i].advised)
                g->advised_nodes = set_of(nodeset_rows[_i].advised);
        memcpy(owned.uuid, g->uuid, sizeof(owned.uuid));
        if (owned.ours)
                ck_assert_int_eq(state_put_owned(l.w.state, &owned), 0);
        world_node(&l.w, 0)->free_bytes = GIB;
        cycles(&l, 2 * USEC_PER_MINUTE);
        ck_assert_msg(total(l.places) == nodeset_rows[_i].places, "%s", nodeset_rows[_i].name);
        world_done(&l.w);
}
END_TEST

START_TEST(two_guests_change_places_where_no_single_move_helps) {
        Loop l;

        /* 4 x 100 % on 2 CPUs, 2 x 60 % on 2 CPUs: any one of the first is too much for the second. */
        loop_init(&l, "numa:2 core:4 pu:1", SHARED);
        (void)add(&l, "a", 4, 2, 90, "0", 0);
        (void)add(&l, "b", 4, 2, 80, "0", 0);
        (void)add(&l, "c", 4, 2, 50, "1", 1);
        (void)add(&l, "d", 4, 2, 20, "1", 1);
        cycles(&l, 6 * USEC_PER_HOUR);
        ck_assert_uint_eq(total(l.places), 2);
        ck_assert_uint_eq(total(l.sends), 2);
        ck_assert_uint_eq(l.sent_bytes, 4 * GIB);
        ck_assert_uint_eq(l.gained, 2);
        world_done(&l.w);
}
END_TEST

/* Both pools are taken but for half of what guest "a" has in its own. */
START_TEST(pages_of_another_kind_are_no_room_for_one_that_comes) {
        Loop l;

        loop_init(&l, "numa:2 core:4 pu:1", SHARED);
        give_pool(&l.w, 0, 0);
        give_pool(&l.w, 1, GIB);
        add(&l, "a", 4, 2, 90, "0", 0)->hugepages = true;
        add(&l, "b", 4, 2, 80, "0", 0)->hugepages = true;
        (void)add(&l, "c", 4, 2, 50, "1", 1);
        (void)add(&l, "d", 4, 2, 20, "1", 1);
        cycles(&l, USEC_PER_HOUR);
        ck_assert_uint_eq(total(l.places), 0);
        world_done(&l.w);
}
END_TEST

START_TEST(a_guest_on_two_nodes_leaves_both_for_two_others) {
        Guest *wide;
        Loop l;

        loop_init(&l, "numa:4 core:2 pu:1", SHARED);
        wide = add(&l, "wide", 4, 2, 90, "0-1", 0);
        (void)add(&l, "a", 2, 2, 90, "0", 0);
        (void)add(&l, "b", 2, 2, 90, "1", 1);
        cycles(&l, 6 * USEC_PER_HOUR);
        for (size_t i = 0; i < wide->n_vcpus; i++)
                ck_assert_uint_eq(wide->vcpus[i].wait_permyriad, 0);
        ck_assert_uint_le(total(l.places), 2);
        ck_assert_uint_eq(l.not_gained, 0);
        world_done(&l.w);
}
END_TEST

/* ---- those that are never moved ---- */

#define STAYING "guests = ( { match = { name = \"other-*\"; }; cpu = { policy = \"none\"; }; }, " \
                           "{ match = { name = \"own-*\"; }; cpu = { policy = \"dedicated\"; }; } ); "

static void make_plain(Guest *g) {
        (void)g;
}
static void make_preferred(Guest *g) {
        g->numatune_mode = NUMATUNE_PREFERRED;
        g->numatune_nodes = set_of("0");
}
static void make_cells(Guest *g) {
        static const char *const vcpus[] = { "0", "1" };
        static const uint64_t gib[] = { 1, 1 };

        add_cells(g, 2, vcpus, gib);
}

static const struct {
        const char *name, *guest;
        void (*make)(Guest *g);
        bool shortage;                  /* of memory on its node; else of CPUs */
        SkipReason why;                 /* _SKIP_REASON_MAX: it is moved */
        const char *detail;
} stay_rows[] = {
        { "an ordinary one goes", "plain", make_plain, false, _SKIP_REASON_MAX, NULL },
        { "CPUs of its own", "own-1", make_plain, false, SKIP_BOUND,
          "node 0 at 190 % of its 2 CPUs: its CPUs are its own, and stay the same while it runs" },
        { "NUMA cells", "cells", make_cells, false, SKIP_BOUND,
          "node 0 at 102 % of its 4 CPUs: it has NUMA cells, whose nodes stay the same while it runs" },
        { "numatune", "bound", make_preferred, false, SKIP_USER_NUMATUNE,
          "node 0 at 110 % of its 4 CPUs: numatune prefers its memory there" },
        { "an ordinary one on a node short of memory goes", "plain", make_plain, true, _SKIP_REASON_MAX, NULL },
        { "CPUs of its own on a node short of memory", "own-1", make_plain, true, SKIP_BOUND,
          "node 0 is 1 GiB short of its share of the host's reserve: its CPUs are its own" },
        { "NUMA cells on a node short of memory", "cells", make_cells, true, SKIP_BOUND,
          "node 0 is 1 GiB short of its share of the host's reserve: it has NUMA cells" },
};

static const char *why_not(const World *w, const Guest *g, SkipReason why) {
        for (size_t i = 0; i < w->plan->n_skips; i++) {
                const Skip *s = &w->plan->skips[i];

                if (s->kind == ACTION_PIN_VCPU && s->why == why && streq(s->uuid, g->uuid))
                        return s->detail;
        }
        return "nothing";
}

START_TEST(a_guest_that_is_never_moved_says_so) {
        SkipReason why = stay_rows[_i].why;
        Guest *g;
        Loop l;

        loop_init(&l, "numa:2 core:4 pu:1", stay_rows[_i].shortage ? RESERVED STAYING : SHARED STAYING);
        (void)add(&l, "other-1", 4, 2, stay_rows[_i].shortage ? 10 : 95, "0", 0);
        g = add(&l, stay_rows[_i].guest, 2, 2, 30, "0", 0);
        stay_rows[_i].make(g);
        /* Its place, as it is. */
        cycle(&l);
        memset(l.places, 0, sizeof(l.places));
        if (stay_rows[_i].shortage)
                world_node(&l.w, 0)->free_bytes = GIB;
        cycles(&l, USEC_PER_MINUTE);
        ck_assert_uint_eq(total(l.places), why == _SKIP_REASON_MAX ? 1 : 0);
        if (why != _SKIP_REASON_MAX)
                ck_assert_msg(strstr(why_not(&l.w, g, why), stay_rows[_i].detail), "%s: %s", stay_rows[_i].name,
                              why_not(&l.w, g, why));
        world_done(&l.w);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("placement_moves");
        TCase *tc = tcase_create("placement_moves");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 120);
        tcase_add_test(tc, a_hot_node_is_relieved_once_and_the_gain_is_found);
        tcase_add_test(tc, one_that_is_paused_after_its_move_holds_up_nobody);
        tcase_add_test(tc, a_burst_moves_nobody);
        tcase_add_test(tc, a_move_that_does_not_help_doubles_the_cool_down_each_time);
        tcase_add_test(tc, guests_that_wait_for_another_reason_do_not_wander);
        tcase_add_test(tc, a_node_short_of_memory_loses_the_guest_that_costs_least);
        tcase_add_test(tc, huge_pages_do_not_relieve_a_node_short_of_memory);
        tcase_add_loop_test(tc, a_nodeset_that_kvmtuned_set_does_not_bind, 0, (int)ELEMENTSOF(nodeset_rows));
        tcase_add_loop_test(tc, a_shortage_is_not_moved_to_another_node, 0, (int)ELEMENTSOF(margin_rows));
        tcase_add_test(tc, two_guests_change_places_where_no_single_move_helps);
        tcase_add_test(tc, pages_of_another_kind_are_no_room_for_one_that_comes);
        tcase_add_test(tc, a_guest_on_two_nodes_leaves_both_for_two_others);
        tcase_add_loop_test(tc, a_guest_that_is_never_moved_says_so, 0, (int)ELEMENTSOF(stay_rows));
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
