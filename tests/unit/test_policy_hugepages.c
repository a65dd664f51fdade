/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Pools of huge pages on two nodes of 16 GiB: how many pages are wanted, what
 * bounds growth, when a pool shrinks, what fewer pages than asked lead to, and
 * whose number it is.
 */

#include <inttypes.h>

#include "placement_util.h"

#define SIZE (2 * MIB)

static World world;

static void setup(void) {
        world_init(&world, "numa:2 core:4 pu:1", "");
        world.snapshot->host.hugepage_bytes = SIZE;
        for (size_t i = 0; i < 2; i++) {
                NodeMemory *n = &world.snapshot->host.nodes[i];

                n->pools = calloc(2, sizeof(*n->pools));
                ck_assert_ptr_nonnull(n->pools);
                n->n_pools = 2;
                n->pools[0] = (HugePool){ .page_bytes = SIZE };
                n->pools[1] = (HugePool){ .page_bytes = GIB };
        }
}

static void teardown(void) {
        world_done(&world);
}

static void configure(const char *hugepages) {
        char text[320];

        (void)snprintf(text, sizeof(text), "host: { reserved_memory = \"0\"; }; hugepages: { %s };", hugepages);
        world_configure(&world, text);
}

static HugePool *pool(unsigned node, unsigned size) {
        return &world.snapshot->host.nodes[node].pools[size];
}

static void set_pool(unsigned node, uint64_t total, uint64_t free_pages) {
        pool(node, 0)->total_pages = total;
        pool(node, 0)->free_pages = free_pages;
}

static void decide(void) {
        world.snapshot->now_usec += 10 * USEC_PER_SEC;
        world_decide(&world, NULL);
}

/* As the kernel: pages in use stay, as surplus. */
static void write_pool(unsigned index, uint64_t pages) {
        HugePool *p = pool(pool_node(index), pool_page_bytes(index) == GIB);
        uint64_t used = p->total_pages - p->free_pages;

        p->surplus_pages = u64_sub(used, pages);
        p->total_pages = MAX(pages, used);
        p->free_pages = p->total_pages - used;
}

/* As the daemon, with a kernel that has at most @most pages for each pool. */
static void carry_out(uint64_t most) {
        for (size_t i = 0; i < world.plan->n_actions; i++) {
                const Action *a = &world.plan->actions[i];
                uint64_t asked = strtoull(a->new_value, NULL, 10), got = MIN(asked, most);
                Owned *o = state_find_owned(world.state, a->kind, "", a->index);

                ck_assert_int_eq(a->kind, ACTION_SET_HUGEPAGES);
                if (o && streq(o->original, a->new_value))
                        state_disown(world.state, a->kind, "", a->index);
                else
                        ck_assert_int_eq(state_own(world.state, a), 0);
                policy_pool_started(world.state, a->index);
                write_pool(a->index, got);
                policy_pool_ended(world.state, a->index, world.snapshot->now_usec, asked, got);
                o = state_find_owned(world.state, a->kind, "", a->index);
                if (o && got < asked)
                        ck_assert_int_eq(strprintf_to(&o->ours, "%llu", (unsigned long long)got), 0);
        }
}

static void assert_pools(uint64_t first, uint64_t second) {
        ck_assert_uint_eq(pool(0, 0)->total_pages - pool(0, 0)->surplus_pages, first);
        ck_assert_uint_eq(pool(1, 0)->total_pages - pool(1, 0)->surplus_pages, second);
}

static void assert_skip(SkipReason why, const char *words) {
        ck_assert_uint_eq(world.plan->n_skips, 1);
        ck_assert_int_eq(world.plan->skips[0].kind, ACTION_SET_HUGEPAGES);
        ck_assert_int_eq(world.plan->skips[0].why, why);
        ck_assert_msg(strstr(world.plan->skips[0].detail, words) != NULL, "%s", world.plan->skips[0].detail);
}

/* ---- one decision ---- */

static const struct {
        const char *name, *hugepages;
        uint64_t total, free_pages;     /* of node 0, before */
        uint64_t want[2];
        SkipReason why;                 /* _SKIP_REASON_MAX: none */
        uint64_t node_free, promised;   /* node_free 0: all of it */
} rows[] = {
        { "nothing by default", "", 100, 100, { 100, 0 }, _SKIP_REASON_MAX, 0, 0 },
        { "fixed, on both nodes", "mode = \"fixed\"; target = \"101 MiB\";", 0, 0, { 25, 25 }, _SKIP_REASON_MAX, 0, 0 },
        { "an odd page is the first node's", "mode = \"fixed\"; target = \"102 MiB\";", 0, 0, { 26, 25 },
          _SKIP_REASON_MAX, 0, 0 },
        { "fixed, a share", "mode = \"fixed\"; target = \"1 %\";", 0, 0, { 82, 81 }, _SKIP_REASON_MAX, 0, 0 },
        { "fixed gives what is too much away", "mode = \"fixed\"; target = \"100 MiB\";", 90, 50, { 40, 25 },
          _SKIP_REASON_MAX, 0, 0 },
        { "auto keeps what was there", "mode = \"auto\";", 100, 90, { 100, 0 }, _SKIP_REASON_MAX, 0, 0 },
        { "spare on each node", "mode = \"auto\"; spare = \"20 MiB\";", 100, 5, { 105, 10 }, _SKIP_REASON_MAX, 0, 0 },
        { "a least number", "mode = \"auto\"; minimum = \"80 MiB\";", 10, 10, { 20, 20 }, _SKIP_REASON_MAX, 0, 0 },
        { "what is too much waits", "mode = \"auto\"; minimum = \"0\";", 100, 90, { 100, 0 }, _SKIP_REASON_MAX, 0, 0 },
        { "unless there is no dwell", "mode = \"auto\"; minimum = \"0\"; dwell = \"0\";", 100, 90, { 10, 0 },
          _SKIP_REASON_MAX, 0, 0 },
        { "one step", "mode = \"fixed\"; target = \"20 GiB\";", 0, 0, { 1024, 1024 }, _SKIP_REASON_MAX, 0, 0 },
        { "the most", "mode = \"fixed\"; target = \"8 GiB\"; maximum = \"1 GiB\";", 0, 0, { 256, 256 },
          SKIP_NO_CAPACITY, 0, 0 },
        { "what is free", "mode = \"fixed\"; target = \"80 MiB\";", 0, 0, { 5, 20 }, SKIP_NO_CAPACITY, 11 * MIB, 0 },
        { "what was promised", "mode = \"fixed\"; target = \"80 MiB\";", 0, 0, { 10, 20 }, SKIP_NO_CAPACITY,
          120 * MIB, 200 * MIB },
        { "another size", "mode = \"fixed\"; target = \"80 MiB\"; size = \"4 MiB\";", 0, 0, { 0, 0 },
          SKIP_UNAVAILABLE, 0, 0 },
};

START_TEST(pools_get_what_is_wanted_and_can_be_had) {
        configure(rows[_i].hugepages);
        set_pool(0, rows[_i].total, rows[_i].free_pages);
        if (rows[_i].node_free)
                world.snapshot->host.nodes[0].free_bytes = rows[_i].node_free;
        if (rows[_i].promised)
                world_guest(&world, "g", 1, GIB)->rss_bytes = GIB - rows[_i].promised;
        decide();
        carry_out(UINT64_MAX);
        assert_pools(rows[_i].want[0], rows[_i].want[1]);
        if (rows[_i].why == _SKIP_REASON_MAX)
                ck_assert_uint_eq(world.plan->n_skips, 0);
        else
                assert_skip(rows[_i].why, "");
}
END_TEST

START_TEST(the_reserve_of_the_host_stays) {
        world_configure(&world, "host: { reserved_memory = \"31 GiB\"; }; hugepages: { mode = \"fixed\"; "
                                "target = \"2 GiB\"; };");
        decide();
        carry_out(UINT64_MAX);
        assert_pools(256, 256);
        assert_skip(SKIP_NO_CAPACITY, "31 GiB of the host are reserved");
}
END_TEST

/* 32 pages on node 1 */
static void advise(bool hugepages) {
        world.snapshot->reservations = calloc(1, sizeof(Reservation));
        ck_assert_ptr_nonnull(world.snapshot->reservations);
        world.snapshot->n_reservations = 1;
        world.snapshot->reservations[0] = (Reservation){ .memory_bytes = 64 * MIB, .hugepages = hugepages };
        ck_assert_int_eq(idset_add(&world.snapshot->reservations[0].nodes, 1), 0);
}

/* ---- what is known of a pool that was set ---- */

/* Total, free, surplus. Before and after as the kernel was seen to do it (Linux 6.18, mm/hugetlb.c set_max_huge_pages()). */
static const struct { const char *name; uint64_t before[3], pages, after[3]; } note_rows[] = {
        { "it grows by free pages", { 10, 4, 0 }, 16, { 16, 10, 0 } },
        { "it shrinks by free pages", { 10, 4, 0 }, 8, { 8, 2, 0 } },
        { "what is in use becomes surplus", { 10, 4, 0 }, 3, { 6, 0, 3 } },
        { "all of it is in use", { 6, 0, 0 }, 0, { 6, 0, 6 } },
        { "surplus ones count before new ones", { 10, 0, 4 }, 8, { 10, 0, 2 } },
        { "and then come new ones", { 10, 0, 4 }, 13, { 13, 3, 0 } },
        { "more becomes surplus", { 10, 0, 4 }, 2, { 10, 0, 8 } },
        { "as it is", { 10, 3, 2 }, 8, { 10, 3, 2 } },
};

static void assert_note(unsigned size, const uint64_t want[3], const char *name) {
        const HugePool *p = pool(1, size);

        ck_assert_msg(p->total_pages == want[0] && p->free_pages == want[1] && p->surplus_pages == want[2],
                      "%s: %" PRIu64 " %" PRIu64 " %" PRIu64, name, p->total_pages, p->free_pages, p->surplus_pages);
}

START_TEST(what_a_pool_has_is_known_before_the_next_look) {
        const HugePool seen = { .page_bytes = SIZE, .total_pages = 33, .free_pages = 22, .surplus_pages = 11 };
        const uint64_t *before = note_rows[_i].before, as_seen[3] = { 33, 22, 11 };

        for (unsigned size = 0; size < 2; size++)
                *pool(1, size) = (HugePool){ size == 0 ? SIZE : GIB, before[0], before[1], before[2] };
        policy_pool_note(&world.snapshot->host, policy_pool_index(1, SIZE), note_rows[_i].pages, NULL);
        assert_note(0, note_rows[_i].after, note_rows[_i].name);
        assert_note(1, before, note_rows[_i].name);
        policy_pool_note(&world.snapshot->host, policy_pool_index(1, SIZE), 0, &seen);
        assert_note(0, as_seen, note_rows[_i].name);
        assert_note(1, before, note_rows[_i].name);
        ck_assert_uint_eq(pool(0, 0)->total_pages, 0);
}
END_TEST

START_TEST(advice_makes_the_pool_grow_before_the_guest_is_here) {
        advise(_i == 0);
        configure("mode = \"auto\";");
        set_pool(1, 10, 0);
        decide();
        carry_out(UINT64_MAX);
        assert_pools(0, _i == 0 ? 42 : 10);
}
END_TEST

/* QEMU takes them one by one, before libvirt says that there is a guest. */
START_TEST(what_an_advised_guest_has_taken_is_not_wanted_again) {
        advise(true);
        configure("mode = \"auto\";");
        set_pool(1, 10, 0);
        decide();
        carry_out(UINT64_MAX);
        assert_pools(0, 42);
        for (unsigned taken = 0; taken <= 32; taken += 16) {
                set_pool(1, 42, 32 - taken);
                decide();
                ck_assert_uint_eq(world.plan->n_actions, 0);
        }
        /* It was another one. */
        world_guest(&world, "other", 1, 64 * MIB)->hugepages = true;
        decide();
        carry_out(UINT64_MAX);
        assert_pools(0, 74);
}
END_TEST

START_TEST(a_pool_grows_in_steps_to_its_end) {
        configure("mode = \"fixed\"; target = \"5 GiB\"; size = \"1 GiB\";");
        for (unsigned i = 0; i < 3; i++) {
                decide();
                carry_out(UINT64_MAX);
        }
        ck_assert_uint_eq(pool(0, 1)->total_pages, 3);
        ck_assert_uint_eq(pool(1, 1)->total_pages, 2);
        decide();
        ck_assert_uint_eq(world.plan->n_actions, 0);
}
END_TEST

/* ---- two sizes on one node ---- */

static void assert_sizes(unsigned node, uint64_t small, uint64_t large) {
        ck_assert_uint_eq(pool(node, 0)->total_pages, small);
        ck_assert_uint_eq(pool(node, 1)->total_pages, large);
}

static const struct { const char *name; uint64_t advised_bytes, small, large; } advised_rows[] = {
        { "of the default size", 0, 32, 0 },
        { "of that size", SIZE, 32, 0 },
        { "in larger ones, rounded up", GIB, 0, 1 },
        { "in a size that is not there", 16 * MIB, 0, 0 },
};

START_TEST(advice_is_for_pages_of_one_size) {
        advise(true);
        world.snapshot->reservations[0].hugepage_bytes = advised_rows[_i].advised_bytes;
        configure("mode = \"auto\";");
        decide();
        carry_out(UINT64_MAX);
        assert_sizes(0, 0, 0);
        assert_sizes(1, advised_rows[_i].small, advised_rows[_i].large);
}
END_TEST

static const struct {
        const char *name, *maximum;
        uint64_t node_free;
        uint64_t large;                 /* pages of 1 GiB on node 1, of two that are wanted */
} both_rows[] = {
        { "there is enough for both", "100 %", 2 * GIB + 64 * MIB, 2 },
        { "not quite", "100 %", 2 * GIB + 63 * MIB, 1 },
        { "the most for both", "4224 MiB", 16 * GIB, 2 },
        { "less than that", "4 GiB", 16 * GIB, 1 },
};

static void configure_both(const char *maximum, const char *spare) {
        char text[160];

        (void)snprintf(text, sizeof(text), "mode = \"auto\"; size = \"1 GiB\"; maximum = \"%s\"; spare = \"%s\";",
                       maximum, spare);
        configure(text);
}

/* 32 small pages for a guest to come, and two large ones to spare: at once, or while the kernel makes those. */
START_TEST(pools_of_one_node_do_not_get_the_same_memory) {
        bool later = _i % 2;

        configure_both(both_rows[_i / 2].maximum, later ? "0" : "2 GiB");
        advise(true);
        world.snapshot->host.nodes[1].free_bytes = both_rows[_i / 2].node_free;
        decide();
        if (later) {
                unsigned index = policy_pool_index(1, SIZE);

                ck_assert_uint_eq(world.plan->n_actions, 1);
                ck_assert_int_eq(state_own(world.state, &world.plan->actions[0]), 0);
                policy_pool_started(world.state, index);
                /* 12 are there, and no longer free */
                write_pool(index, 12);
                world.snapshot->host.nodes[1].free_bytes -= 12 * SIZE;
                configure_both(both_rows[_i / 2].maximum, "2 GiB");
                decide();
        }
        carry_out(UINT64_MAX);
        assert_sizes(1, later ? 12 : 32, both_rows[_i / 2].large);
        if (both_rows[_i / 2].large < 2)
                assert_skip(SKIP_NO_CAPACITY, "beside what its other pools get");
        if (later)
                return;
        world.plan = plan_free(world.plan);
        ck_assert_int_eq(policy_restore(world.snapshot, world.state, &world.plan), 0);
        carry_out(UINT64_MAX);
        assert_sizes(0, 0, 0);
        assert_sizes(1, 0, 0);
}
END_TEST

START_TEST(a_pool_of_another_size_keeps_what_it_had) {
        pool(0, 1)->total_pages = pool(0, 1)->free_pages = 2;
        configure("mode = \"auto\"; minimum = \"0\"; dwell = \"0\";");
        decide();
        ck_assert_uint_eq(world.plan->n_actions, 0);
}
END_TEST

/* ---- shrinking ---- */

START_TEST(a_pool_shrinks_after_it_was_idle_for_long) {
        configure("mode = \"auto\"; minimum = \"0\"; spare = \"10 MiB\"; dwell = \"1 min\";");
        set_pool(0, 100, 80);
        set_pool(1, 5, 5);
        for (unsigned i = 0; i < 5; i++) {
                decide();
                ck_assert_uint_eq(world.plan->n_actions, 0);
        }
        /* A guest comes and goes: idle anew. */
        set_pool(0, 100, 5);
        decide();
        set_pool(0, 100, 80);
        for (unsigned i = 0; i < 6; i++) {
                decide();
                ck_assert_uint_eq(world.plan->n_actions, 0);
        }
        decide();
        carry_out(UINT64_MAX);
        assert_pools(25, 5);
}
END_TEST

/* ---- fewer than asked ---- */

START_TEST(what_the_kernel_has_not_is_asked_for_later_and_later) {
        uint64_t before;
        unsigned tries = 0;

        configure("mode = \"fixed\"; target = \"400 MiB\";");
        decide();
        carry_out(60);
        assert_pools(60, 60);
        decide();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        assert_skip(SKIP_NO_CAPACITY, "the kernel had 60 of 100");
        before = world.snapshot->now_usec;
        while (world.snapshot->now_usec < before + 4 * USEC_PER_HOUR) {
                decide();
                tries += world.plan->n_actions > 0;
                carry_out(60);
        }
        /* After 1, 2, 4 ... 32 minutes, then each hour. */
        ck_assert_uint_ge(tries, 7);
        ck_assert_uint_le(tries, 10);
        world.snapshot->now_usec += 2 * USEC_PER_HOUR;
        decide();
        carry_out(UINT64_MAX);
        assert_pools(100, 100);
        ck_assert_uint_eq(world.state->pools[0].tries, 0);
}
END_TEST

START_TEST(nothing_is_decided_while_the_kernel_is_at_it) {
        configure("mode = \"fixed\"; target = \"400 MiB\";");
        decide();
        ck_assert_uint_eq(world.plan->n_actions, 2);
        for (size_t i = 0; i < 2; i++) {
                ck_assert_int_eq(state_own(world.state, &world.plan->actions[i]), 0);
                policy_pool_started(world.state, world.plan->actions[i].index);
        }
        set_pool(0, 33, 33);
        decide();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_uint_eq(world.plan->n_skips, 0);
        ck_assert_uint_eq(world.state->n_owned, 2);
}
END_TEST

/* ---- whose it is ---- */

START_TEST(somebody_elses_number_is_theirs_until_reload) {
        configure("mode = \"fixed\"; target = \"400 MiB\";");
        decide();
        carry_out(UINT64_MAX);
        set_pool(0, 90, 90);
        decide();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        assert_skip(SKIP_TAKEN_OVER, "the number of pages of 2 MiB on node 0 is 90, not 100");
        decide();
        assert_skip(SKIP_TAKEN_OVER, "on node 0");
        ck_assert_uint_eq(world.state->n_owned, 1);
        for (size_t i = 0; i < world.state->n_pools; i++)
                world.state->pools[i].taken = false;
        decide();
        carry_out(UINT64_MAX);
        assert_pools(100, 100);
}
END_TEST

/* Otherwise what is theirs would be taken for the host's original number, and changed again. */
START_TEST(somebody_elses_number_is_theirs_after_a_restart) {
        _cleanup_free_ char *text = NULL, *error = NULL;

        configure("mode = \"fixed\"; target = \"400 MiB\";");
        decide();
        carry_out(UINT64_MAX);
        set_pool(0, 90, 90);
        decide();
        ck_assert_int_eq(state_format(world.state, &text), 0);
        world.state = state_free(world.state);
        ck_assert_int_eq(state_parse(text, &world.state, &error), 0);
        decide();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        assert_skip(SKIP_TAKEN_OVER, "on node 0");
        ck_assert_uint_eq(world.state->n_owned, 1);
}
END_TEST

/* Pages that guests took beyond the pool are not somebody else's change. */
START_TEST(surplus_pages_do_not_count) {
        configure("mode = \"fixed\"; target = \"400 MiB\";");
        decide();
        carry_out(UINT64_MAX);
        set_pool(0, 110, 0);
        pool(0, 0)->surplus_pages = 10;
        decide();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_uint_eq(world.plan->n_skips, 0);
}
END_TEST

static const struct { const char *now; bool ours; } crash_rows[] = {
        { "0", true }, { "40", true }, { "100", true }, { "101", false },
};

START_TEST(after_a_crash_what_came_is_ours) {
        Owned o = { .kind = ACTION_SET_HUGEPAGES, .index = policy_pool_index(0, SIZE), .original = (char *)"0",
                    .ours = (char *)"100" };

        ck_assert_int_eq(state_put_owned(world.state, &o), 0);
        world.state->hugepages_adopted = true;
        set_pool(0, strtoull(crash_rows[_i].now, NULL, 10), 0);
        pool(0, 0)->free_pages = pool(0, 0)->total_pages;
        configure("mode = \"fixed\"; target = \"400 MiB\";");
        decide();
        if (!crash_rows[_i].ours) {
                assert_skip(SKIP_TAKEN_OVER, "101, not 100");
                return;
        }
        ck_assert_uint_eq(world.plan->n_skips, 0);
        carry_out(UINT64_MAX);
        assert_pools(100, 100);
        ck_assert_int_eq(world.state->hugepages_adopted, false);
}
END_TEST

START_TEST(restore_after_a_crash_gives_back_what_came) {
        Owned o = { .kind = ACTION_SET_HUGEPAGES, .index = policy_pool_index(0, SIZE), .original = (char *)"7",
                    .ours = (char *)"100" };

        ck_assert_int_eq(state_put_owned(world.state, &o), 0);
        world.state->hugepages_adopted = true;
        set_pool(0, 40, 40);
        ck_assert_int_eq(policy_restore(world.snapshot, world.state, &world.plan), 0);
        ck_assert_uint_eq(world.plan->n_actions, 1);
        ck_assert_str_eq(world.plan->actions[0].new_value, "7");
}
END_TEST

START_TEST(keep_and_restore_put_the_old_number_back) {
        set_pool(0, 10, 10);
        configure("mode = \"fixed\"; target = \"400 MiB\";");
        decide();
        carry_out(UINT64_MAX);
        pool(0, 0)->free_pages = 50;
        if (_i == 0) {
                configure("");
                decide();
        } else {
                world.plan = plan_free(world.plan);
                ck_assert_int_eq(policy_restore(world.snapshot, world.state, &world.plan), 0);
        }
        ck_assert_uint_eq(world.plan->n_actions, 2);
        carry_out(UINT64_MAX);
        assert_pools(10, 0);
        /* What the guests use is still theirs. */
        ck_assert_uint_eq(pool(0, 0)->total_pages, 50);
        ck_assert_uint_eq(world.state->n_owned, 0);
}
END_TEST

int main(void) {
        Suite *s = suite_create("policy_hugepages");
        TCase *t = tcase_create("all");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_loop_test(t, pools_get_what_is_wanted_and_can_be_had, 0, (int)ELEMENTSOF(rows));
        tcase_add_test(t, the_reserve_of_the_host_stays);
        tcase_add_loop_test(t, what_a_pool_has_is_known_before_the_next_look, 0, (int)ELEMENTSOF(note_rows));
        tcase_add_loop_test(t, advice_makes_the_pool_grow_before_the_guest_is_here, 0, 2);
        tcase_add_test(t, what_an_advised_guest_has_taken_is_not_wanted_again);
        tcase_add_test(t, a_pool_grows_in_steps_to_its_end);
        tcase_add_loop_test(t, advice_is_for_pages_of_one_size, 0, (int)ELEMENTSOF(advised_rows));
        tcase_add_loop_test(t, pools_of_one_node_do_not_get_the_same_memory, 0, 2 * (int)ELEMENTSOF(both_rows));
        tcase_add_test(t, a_pool_of_another_size_keeps_what_it_had);
        tcase_add_test(t, a_pool_shrinks_after_it_was_idle_for_long);
        tcase_add_test(t, what_the_kernel_has_not_is_asked_for_later_and_later);
        tcase_add_test(t, nothing_is_decided_while_the_kernel_is_at_it);
        tcase_add_test(t, somebody_elses_number_is_theirs_until_reload);
        tcase_add_test(t, somebody_elses_number_is_theirs_after_a_restart);
        tcase_add_test(t, surplus_pages_do_not_count);
        tcase_add_loop_test(t, after_a_crash_what_came_is_ours, 0, (int)ELEMENTSOF(crash_rows));
        tcase_add_test(t, restore_after_a_crash_gives_back_what_came);
        tcase_add_loop_test(t, keep_and_restore_put_the_old_number_back, 0, 2);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
