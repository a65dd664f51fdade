/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What of a guest counts as its demand, and which memory as room for it. */

#include "placement_util.h"

/* ---- demand --------------------------------------------------------------- */

typedef struct DemandRow {
        const char *name;
        uint32_t vcpus, emulator, all_emulator, iothread, wait;
        uint64_t want;
} DemandRow;

#define UNKNOWN UNKNOWN_PERMYRIAD

static const DemandRow demand_rows[] = {
        { "vCPUs only", 2000, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, 4000 },
        { "the main thread, when nothing says more", 2000, 1000, UNKNOWN, UNKNOWN, UNKNOWN, 5000 },
        { "all emulator and vhost threads, the main one among them", 2000, 1000, 25000, UNKNOWN, UNKNOWN, 29000 },
        { "iothreads", 2000, UNKNOWN, UNKNOWN, 3000, UNKNOWN, 7000 },
        { "an iothread waits, too", 2000, UNKNOWN, 500, 3000, 1000, 8500 },
        { "no thread wants more than a CPU", 2000, UNKNOWN, UNKNOWN, 9000, 9000, 14000 },
        { "idle vCPUs", 0, 0, 12000, 0, 0, 12000 },
};

/* The state remembers the demand by which the guest's moves are decided. */
START_TEST(helpers_count_in_a_guests_demand) {
        const DemandRow *row = &demand_rows[_i];
        World w;
        Guest *g;

        world_init(&w, "numa:2 core:4 pu:1", SHARED);
        g = world_guest(&w, "g", 2, GIB);
        ck_assert_int_eq(guest_set_iothreads(g, 1), 0);
        g->vcpus[0].busy_permyriad = g->vcpus[1].busy_permyriad = row->vcpus;
        g->emulator.busy_permyriad = row->emulator;
        g->emulator_busy_permyriad = row->all_emulator;
        g->iothreads[0].busy_permyriad = row->iothread;
        g->iothreads[0].wait_permyriad = row->wait;
        for (unsigned i = 0; i < 2; i++) {
                w.snapshot->now_usec += USEC_PER_MINUTE;
                world_decide(&w, NULL);
        }
        ck_assert_msg(state_find_guest(w.state, g->uuid)->demand_permyriad == row->want, "%s: %llu", row->name,
                      (unsigned long long)state_find_guest(w.state, g->uuid)->demand_permyriad);
        world_done(&w);
}
END_TEST

/*
 * What is remembered of a guest's demand is no more than the vCPUs that are left and the helpers can want: 1 CPU and
 * 1.2 CPUs. With what others want, its node of four CPUs is overloaded (85 %) or is not; counted with all it wanted
 * before, it would be in each case, and in none without its helpers.
 */
static const struct {
        const char *name;
        uint32_t other;                 /* of one CPU, by each of two vCPUs */
        bool overloaded;
} cap_rows[] = {
        { "2.2 CPUs and 1.1 others", 5500, false },
        { "2.2 CPUs and 1.3 others", 6500, true },
};

START_TEST(demand_is_no_more_than_vcpus_and_helpers_can_want) {
        GuestMemo *m;
        World w;
        Guest *g;

        world_init(&w, "numa:2 core:4 pu:1", SHARED OTHERS);
        occupy(&w, 0, 2);
        guest_load(w.snapshot->guests[0], cap_rows[_i].other, 0);
        g = world_guest(&w, "g", 4, GIB);
        guest_load(g, 10000, 0);
        g->emulator_busy_permyriad = 12000;
        for (unsigned i = 1; i < 4; i++)
                g->vcpus[i].online = false;
        ck_assert_int_eq(state_guest(w.state, g->uuid, &m), 0);
        world_place(&w, m, set_of("0"));
        m->placed_usec = 1;
        m->pins_seen = true;
        m->demand_permyriad = 52000;
        m->measured_usec = w.snapshot->now_usec - 10 * USEC_PER_SEC;
        world_decide(&w, NULL);
        ck_assert_msg((w.state->overload_usec > 0) == cap_rows[_i].overloaded, "%s", cap_rows[_i].name);
        world_done(&w);
}
END_TEST

/* ---- room in huge pages ---------------------------------------------------- */

static const struct {
        const char *name;
        uint64_t page_bytes, default_bytes;
        uint64_t free_2m[2], free_1g[2];        /* in GiB, on nodes 0 and 1 */
        const char *want;
} pool_rows[] = {
        { "pages of its size count", GIB, 2 * MIB, { 16, 0 }, { 0, 4 }, "1" },
        { "... and not the other way round", 2 * MIB, GIB, { 0, 4 }, { 16, 0 }, "1" },
        { "without a size, the host's default", 0, GIB, { 16, 0 }, { 0, 4 }, "1" },
        { "... whatever that is", 0, 2 * MIB, { 0, 4 }, { 16, 0 }, "1" },
        { "ties go to the lower number", 2 * MIB, GIB, { 4, 4 }, { 0, 0 }, "0" },
};

static void set_pools(World *w, unsigned id, uint64_t gib_2m, uint64_t gib_1g) {
        NodeMemory *node = world_node(w, id);

        node->pools = calloc(2, sizeof(*node->pools));
        ck_assert_ptr_nonnull(node->pools);
        node->pools[0] = (HugePool){ .page_bytes = 2 * MIB, .total_pages = 512 * gib_2m, .free_pages = 512 * gib_2m };
        node->pools[1] = (HugePool){ .page_bytes = GIB, .total_pages = gib_1g, .free_pages = gib_1g };
        node->n_pools = 2;
}

START_TEST(huge_pages_of_another_size_are_no_room) {
        World w;
        Guest *g;

        world_init(&w, "numa:2 core:4 pu:1", SHARED);
        w.snapshot->host.hugepage_bytes = pool_rows[_i].default_bytes;
        for (unsigned i = 0; i < 2; i++)
                set_pools(&w, i, pool_rows[_i].free_2m[i], pool_rows[_i].free_1g[i]);
        g = world_guest(&w, "g", 2, 3 * GIB);
        g->starting = g->hugepages = true;
        g->hugepage_bytes = pool_rows[_i].page_bytes;
        world_decide(&w, NULL);
        assert_nodes(&w, g, pool_rows[_i].want);
        world_done(&w);
}
END_TEST

/* What is promised from one pool is not taken from another. */
START_TEST(promises_stay_within_their_pool) {
        Guest *big, *small;
        World w;

        world_init(&w, "numa:2 core:8 pu:1", SHARED);
        w.snapshot->host.hugepage_bytes = 2 * MIB;
        set_pools(&w, 0, 4, 4);
        set_pools(&w, 1, 3, 0);
        big = world_guest(&w, "big", 1, 4 * GIB);
        big->starting = big->hugepages = true;
        big->hugepage_bytes = GIB;
        small = world_guest(&w, "small", 1, 4 * GIB);
        small->starting = small->hugepages = true;
        world_decide(&w, NULL);
        assert_nodes(&w, big, "0");
        assert_nodes(&w, small, "0");
        world_done(&w);
}
END_TEST

int main(void) {
        Suite *s = suite_create("placement_model");
        TCase *tc = tcase_create("model");
        SRunner *runner;
        int failed;

        tcase_add_loop_test(tc, helpers_count_in_a_guests_demand, 0, (int)ELEMENTSOF(demand_rows));
        tcase_add_loop_test(tc, demand_is_no_more_than_vcpus_and_helpers_can_want, 0, (int)ELEMENTSOF(cap_rows));
        tcase_add_loop_test(tc, huge_pages_of_another_size_are_no_room, 0, (int)ELEMENTSOF(pool_rows));
        tcase_add_test(tc, promises_stay_within_their_pool);
        suite_add_tcase(s, tc);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed > 0;
}
