/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * CPUs of a guest's own: which ones, what is left for the others, and who gets
 * none. The first letter of a guest's name says its policy, see below.
 */

#include "placement_util.h"

static const char policy_text[] =
        "host: { reserved_memory = \"0\"; }; cpu: { policy = \"shared\"; }; "
        "guests = ( { match = { name = \"d-*\"; }; cpu = { policy = \"dedicated\"; }; }, "
        "           { match = { name = \"i-*\"; }; cpu = { policy = \"dedicated\"; threads = \"isolate\"; }; }, "
        "           { match = { name = \"r-*\"; }; cpu = { policy = \"dedicated\"; threads = \"require\"; }; }, "
        "           { match = { name = \"e-*\"; }; cpu = { policy = \"dedicated\"; emulator = \"isolate\"; "
        "                                                  iothreads = \"isolate\"; }; }, "
        "           { match = { name = \"p-*\"; }; cpu = { policy = \"pinned\"; }; }, "
        "           { match = { name = \"n-*\"; }; cpu = { policy = \"none\"; }; } );";

static const IdSet *own(const World *w, const Guest *g) {
        return memo_cpus(state_find_guest(w->state, g->uuid));
}

static void assert_own(const World *w, const Guest *g, const char *cpus) {
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(idset_format(own(w, g), &text), 0);
        ck_assert_msg(streq(text, cpus), "%s owns \"%s\", not \"%s\"", g->name, text, cpus);
}

static void decide_and_apply(World *w) {
        world_settle(w);
        w->snapshot->now_usec += 10 * USEC_PER_SEC;
}

static void assert_mask(const GuestThread *t, const char *cpus) {
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(idset_format(&t->affinity, &text), 0);
        ck_assert_str_eq(text, cpus);
}

static void take_offline(World *w, unsigned cpu) {
        Topology *t = w->snapshot->topology;

        idset_remove(&t->online, cpu);
        for (size_t i = 0; i < t->n_nodes; i++)
                idset_remove(&t->nodes[i].cpus, cpu);
}

/* ---- which CPUs ---- */

/* Guests come one after the other, "name vCPUs cpus" each; "-" for no CPUs. */
static const struct {
        const char *name, *host, *offline;
        struct { const char *guest; unsigned vcpus; const char *cpus; } guests[5];
} pick_rows[] = {
        { "prefer fills cores", "numa:1 core:4 pu:2", "", { { "d-1", 3, "0-2" }, { "d-2", 2, "4-5" } } },
        { "one core for two guests only when there is no other way", "numa:1 core:4 pu:2", "",
          { { "d-1", 1, "0" }, { "d-2", 1, "2" }, { "d-3", 4, "4-7" }, { "d-4", 1, "1" }, { "d-5", 2, "-" } } },
        { "isolate takes one CPU of a core", "numa:1 core:4 pu:2", "",
          { { "i-1", 3, "0,2,4" }, { "d-1", 2, "6-7" }, { "d-2", 1, "-" } } },
        { "isolate has all the cores it needs or none", "numa:1 core:4 pu:2", "",
          { { "d-1", 1, "0" }, { "i-1", 4, "-" }, { "i-2", 3, "2,4,6" } } },
        { "isolate without siblings is a CPU each", "numa:1 core:4 pu:1", "", { { "i-1", 2, "0-1" } } },
        { "require fills cores", "numa:1 core:4 pu:2", "", { { "r-1", 3, "0-2" }, { "r-2", 4, "4-7" }, { "r-3", 1, "-" } } },
        { "require without siblings gets none", "numa:1 core:4 pu:1", "", { { "r-1", 2, "-" }, { "d-1", 2, "0-1" } } },
        { "the smallest cache that has room", "numa:1 l3:2 core:4 pu:1", "",
          { { "d-1", 2, "0-1" }, { "d-2", 3, "4-6" }, { "d-3", 2, "2-3" } } },
        { "several caches when it must", "numa:1 l3:2 core:4 pu:1", "", { { "d-1", 2, "0-1" }, { "d-2", 5, "2,4-7" } } },
        { "one node", "numa:2 core:4 pu:1", "", { { "d-1", 1, "0" }, { "d-2", 4, "4-7" }, { "d-3", 3, "1-3" } } },
        { "a whole small node rather than parts of two", "numa:2 core:2 pu:1", "", { { "d-1", 1, "0" }, { "d-2", 2, "2-3" } } },
        { "CPU 0 is missing", "numa:1 core:2 pu:2", "0", { { "d-1", 2, "2-3" }, { "d-2", 1, "1" } } },
        { "a core with an offline sibling has none", "numa:1 core:3 pu:2", "1",
          { { "r-1", 2, "2-3" }, { "i-1", 1, "0" }, { "r-2", 2, "4-5" } } },
        { "a core with an offline sibling is the least waste for one", "numa:1 core:3 pu:2", "3", { { "d-1", 1, "2" } } },
};

START_TEST(dedicated_guests_get_cpus_of_their_own) {
        IdSet offline = set_of(pick_rows[_i].offline), seen = IDSET_EMPTY;
        World w;

        world_init(&w, pick_rows[_i].host, policy_text);
        IDSET_FOREACH(cpu, &offline)
                take_offline(&w, (unsigned)cpu);
        for (size_t i = 0; i < ELEMENTSOF(pick_rows[_i].guests) && pick_rows[_i].guests[i].guest; i++) {
                bool served = !streq(pick_rows[_i].guests[i].cpus, "-");
                Guest *g = world_guest(&w, pick_rows[_i].guests[i].guest, pick_rows[_i].guests[i].vcpus, 64 * MIB);

                world_decide(&w, NULL);
                ck_assert_int_eq(world_skips(&w, g, ACTION_PIN_VCPU, SKIP_NO_CAPACITY), !served);
                world_apply(&w);
                assert_own(&w, g, served ? pick_rows[_i].guests[i].cpus : "");
                ck_assert(!idset_intersects(&seen, own(&w, g)));
                seen = idset_or(&seen, own(&w, g));
                for (size_t v = 0; served && v < g->n_vcpus; v++)
                        ck_assert(idset_count(&g->vcpus[v].affinity) == 1 &&
                                  idset_is_subset(&g->vcpus[v].affinity, own(&w, g)));
                w.snapshot->now_usec += USEC_PER_MINUTE;
                world_decide(&w, NULL);
                assert_quiet(&w);
        }
        world_done(&w);
}
END_TEST

/* Two cores with two threads (CPUs 0-1 and 2-3), two with one (4, 5). */
static const struct {
        const char *guest;
        unsigned vcpus;
        const char *cpus;
} hybrid_rows[] = {
        { "d-1", 1, "4" }, { "d-1", 2, "0-1" }, { "d-1", 3, "0-1,4" }, { "d-1", 6, "0-5" },
        { "i-1", 2, "4-5" }, { "i-1", 3, "0,4-5" }, { "r-1", 4, "0-3" }, { "r-1", 5, "" },
};

START_TEST(cores_of_different_size_are_used_without_waste) {
        static const unsigned core_of[] = { 0, 0, 1, 1, 2, 3 };
        World w;
        Guest *g;

        world_init(&w, "numa:1 core:6 pu:1", policy_text);
        for (size_t i = 0; i < ELEMENTSOF(core_of); i++)
                w.snapshot->topology->cpus[i].core = core_of[i];
        g = world_guest(&w, hybrid_rows[_i].guest, hybrid_rows[_i].vcpus, 64 * MIB);
        world_decide(&w, NULL);
        assert_own(&w, g, hybrid_rows[_i].cpus);
        world_done(&w);
}
END_TEST

/* A guest that may be told from others only by the threads of its cores: vCPU 0 and 1 are neighbours. */
START_TEST(neighbours_get_siblings) {
        World w;
        Guest *g;

        /* As most firmware numbers them: CPUs 0 and 4 are one core. */
        world_init(&w, "numa:1 core:8 pu:1", policy_text);
        for (size_t i = 0; i < 8; i++)
                w.snapshot->topology->cpus[i].core = (unsigned)i % 4;
        g = world_guest(&w, "d-1", 4, 64 * MIB);
        world_decide(&w, NULL);
        assert_action(&w, g, ACTION_PIN_VCPU, 0, "0");
        assert_action(&w, g, ACTION_PIN_VCPU, 1, "4");
        assert_action(&w, g, ACTION_PIN_VCPU, 2, "1");
        assert_action(&w, g, ACTION_PIN_VCPU, 3, "5");
        world_done(&w);
}
END_TEST

/* ---- emulator and iothreads ---- */

START_TEST(helpers_run_with_the_guests_that_share) {
        Guest *a, *b;
        World w;

        world_init(&w, "numa:2 core:4 pu:1", policy_text);
        a = world_guest(&w, "d-1", 3, 64 * MIB);
        ck_assert_int_eq(guest_set_iothreads(a, 1), 0);
        decide_and_apply(&w);
        assert_mask(&a->emulator, "3");
        assert_mask(&a->iothreads[0], "3");
        /* None is left on its node: its own. */
        b = world_guest(&w, "d-2", 1, 64 * MIB);
        guest_memory(b, 0, GIB);
        decide_and_apply(&w);
        assert_own(&w, b, "3");
        assert_mask(&b->emulator, "3");
        assert_mask(&a->emulator, "0-2");
        assert_mask(&a->iothreads[0], "0-2");
        world_done(&w);
}
END_TEST

START_TEST(isolated_helpers_have_a_cpu_each) {
        World w;
        Guest *g;

        world_init(&w, "numa:1 core:8 pu:1", policy_text);
        g = world_guest(&w, "e-1", 2, 64 * MIB);
        ck_assert_int_eq(guest_set_iothreads(g, 2), 0);
        decide_and_apply(&w);
        assert_own(&w, g, "0-3");
        assert_mask(&g->vcpus[1], "1");
        assert_mask(&g->emulator, "2");
        assert_mask(&g->iothreads[0], "3");
        assert_mask(&g->iothreads[1], "3");
        /* Without iothreads there is none for them. */
        g = world_guest(&w, "e-2", 1, 64 * MIB);
        decide_and_apply(&w);
        assert_own(&w, g, "4-5");
        world_decide(&w, NULL);
        assert_quiet(&w);
        world_done(&w);
}
END_TEST

/* ---- the others ---- */

START_TEST(guests_that_share_are_pushed_off_and_get_the_cpus_back) {
        Guest *s, *p, *d, *i;
        World w;

        world_init(&w, "numa:1 core:4 pu:2", policy_text);
        s = world_guest(&w, "s-1", 2, 64 * MIB);
        p = world_guest(&w, "p-1", 4, 64 * MIB);
        decide_and_apply(&w);
        assert_mask(&p->vcpus[0], "0");
        d = world_guest(&w, "d-1", 2, 64 * MIB);
        i = world_guest(&w, "i-1", 1, 64 * MIB);
        decide_and_apply(&w);
        /* The siblings of i-1's CPU are idle: nobody's. */
        assert_own(&w, d, "0-1");
        assert_own(&w, i, "2");
        assert_mask(&s->vcpus[0], "4-7");
        assert_mask(&s->emulator, "4-7");
        for (size_t v = 0; v < 4; v++)
                ck_assert(idset_next(&p->vcpus[v].affinity, 0) >= 4);
        world_decide(&w, NULL);
        assert_quiet(&w);
        /* It goes; the other gets another policy. */
        snapshot_remove_guest(w.snapshot, d->uuid);
        ck_assert_int_eq(strdup_to(&i->name, "s-2"), 0);
        decide_and_apply(&w);
        assert_mask(&s->vcpus[0], "0-7");
        assert_mask(&i->vcpus[0], "0-7");
        assert_own(&w, i, "");
        world_done(&w);
}
END_TEST

START_TEST(pinned_guests_spread_again_over_cpus_that_came_back) {
        IdSet used = IDSET_EMPTY;
        Guest *p, *d;
        World w;

        world_init(&w, "numa:1 core:4 pu:1", policy_text);
        d = world_guest(&w, "d-1", 2, 64 * MIB);
        p = world_guest(&w, "p-1", 4, 64 * MIB);
        decide_and_apply(&w);
        for (size_t v = 0; v < 4; v++)
                ck_assert(!idset_intersects(&p->vcpus[v].affinity, own(&w, d)));
        snapshot_remove_guest(w.snapshot, d->uuid);
        world_decide(&w, NULL);
        /* Two go, two stay, and the emulator's set grows. */
        ck_assert_uint_eq(w.plan->n_actions, 3);
        world_apply(&w);
        for (size_t v = 0; v < 4; v++)
                used = idset_or(&used, &p->vcpus[v].affinity);
        ck_assert_uint_eq(idset_count(&used), 4);
        world_decide(&w, NULL);
        assert_quiet(&w);
        world_done(&w);
}
END_TEST

START_TEST(one_cpu_stays_with_the_guests_that_share) {
        Guest *s, *d;
        World w;

        world_init(&w, "numa:1 core:2 pu:1", policy_text);
        s = world_guest(&w, "s-1", 1, 64 * MIB);
        d = world_guest(&w, "d-1", 2, 64 * MIB);
        decide_and_apply(&w);
        ck_assert(world_skips(&w, d, ACTION_PIN_VCPU, SKIP_NO_CAPACITY));
        assert_own(&w, d, "");
        assert_mask(&d->vcpus[0], "0-1");
        d = world_guest(&w, "d-2", 1, 64 * MIB);
        decide_and_apply(&w);
        assert_own(&w, d, "0");
        assert_mask(&s->vcpus[0], "1");
        assert_mask(&w.snapshot->guests[1]->vcpus[0], "1");
        world_done(&w);
}
END_TEST

START_TEST(a_guest_that_comes_when_nothing_is_left_is_not_pinned) {
        Guest *d, *s;
        World w;

        world_init(&w, "numa:1 core:2 pu:1", policy_text);
        d = world_guest(&w, "d-1", 2, 64 * MIB);
        decide_and_apply(&w);
        assert_own(&w, d, "0-1");
        s = world_guest(&w, "s-1", 1, 64 * MIB);
        world_decide(&w, NULL);
        assert_quiet(&w);
        ck_assert(world_skips(&w, s, ACTION_PIN_VCPU, SKIP_NO_CAPACITY));
        world_done(&w);
}
END_TEST

/* Guests that share stay on their node, dedicated ones look for another. */
START_TEST(nobody_is_driven_off_a_node) {
        Guest *s, *d;
        World w;

        world_init(&w, "numa:2 core:2 pu:1", policy_text);
        s = world_guest(&w, "s-1", 2, 64 * MIB);
        decide_and_apply(&w);
        assert_nodes(&w, s, "0");
        d = world_guest(&w, "d-1", 2, GIB);
        guest_memory(d, 0, GIB);
        decide_and_apply(&w);
        assert_own(&w, d, "2-3");
        assert_nodes(&w, s, "0");
        assert_mask(&s->vcpus[0], "0-1");
        world_done(&w);
}
END_TEST

START_TEST(a_cpu_the_user_pinned_to_is_not_dedicated) {
        Guest *u, *d;
        World w;

        world_init(&w, "numa:1 core:4 pu:1", policy_text);
        u = world_guest(&w, "s-user", 1, 64 * MIB);
        thread_pin(&w, &u->vcpus[0], "1");
        d = world_guest(&w, "d-1", 3, 64 * MIB);
        world_decide(&w, NULL);
        assert_own(&w, d, "0,2-3");
        world_done(&w);
}
END_TEST

static const Skip *host_skip(const World *w, SkipReason why) {
        for (size_t i = 0; i < w->plan->n_skips; i++)
                if (w->plan->skips[i].why == why && w->plan->skips[i].uuid[0] == '\0')
                        return &w->plan->skips[i];
        return NULL;
}

START_TEST(those_who_may_run_there_all_the_same_are_named) {
        char name[16];
        World w;

        world_init(&w, "numa:1 core:4 pu:1", policy_text);
        (void)world_guest(&w, "d-1", 2, 64 * MIB);
        (void)world_guest(&w, "s-1", 1, 64 * MIB);
        decide_and_apply(&w);
        world_decide(&w, NULL);
        ck_assert_ptr_null(host_skip(&w, SKIP_NOT_EXCLUSIVE));
        for (unsigned i = 0; i < 6; i++) {
                (void)snprintf(name, sizeof(name), "n-%u", i);
                (void)world_guest(&w, name, 1, 64 * MIB);
        }
        world_decide(&w, NULL);
        ck_assert_ptr_nonnull(host_skip(&w, SKIP_NOT_EXCLUSIVE));
        ck_assert_ptr_nonnull(strstr(host_skip(&w, SKIP_NOT_EXCLUSIVE)->detail, "CPUs 0-1 "));
        ck_assert_ptr_nonnull(strstr(host_skip(&w, SKIP_NOT_EXCLUSIVE)->detail, ": n-0, n-1, n-2, n-3 and 2 more"));
        world_done(&w);
}
END_TEST

/* ---- while things change ---- */

START_TEST(a_guest_that_starts_concerns_the_others) {
        Guest *s, *d;
        World w;

        world_init(&w, "numa:1 core:4 pu:1", policy_text);
        s = world_guest(&w, "s-1", 1, 64 * MIB);
        decide_and_apply(&w);
        d = world_guest(&w, "d-1", 2, 64 * MIB);
        world_decide(&w, d->uuid);
        ck_assert(w.plan->concerns_others);
        ck_assert_ptr_null(world_action(&w, s, ACTION_PIN_VCPU, 0));
        world_apply(&w);
        world_decide(&w, d->uuid);
        ck_assert(!w.plan->concerns_others);
        world_decide(&w, s->uuid);
        ck_assert(!w.plan->concerns_others);
        assert_action(&w, s, ACTION_PIN_VCPU, 0, "2-3");
        world_done(&w);
}
END_TEST

START_TEST(cpus_are_taken_though_the_pins_are_still_on_their_way) {
        Guest *a, *b;
        World w;

        world_init(&w, "numa:1 core:4 pu:2", policy_text);
        a = world_guest(&w, "d-1", 2, 64 * MIB);
        world_decide(&w, a->uuid);
        b = world_guest(&w, "d-2", 2, 64 * MIB);
        world_decide(&w, b->uuid);
        assert_own(&w, a, "0-1");
        assert_own(&w, b, "2-3");
        /* The same once more, thread by thread. */
        world_decide(&w, NULL);
        assert_action(&w, a, ACTION_PIN_VCPU, 0, "0");
        assert_action(&w, a, ACTION_PIN_VCPU, 1, "1");
        assert_action(&w, b, ACTION_PIN_VCPU, 1, "3");
        world_done(&w);
}
END_TEST

START_TEST(a_vcpu_keeps_its_cpu) {
        Guest *d, *s;
        World w;

        world_init(&w, "numa:1 core:8 pu:1", policy_text);
        s = world_guest(&w, "s-1", 1, 64 * MIB);
        d = world_guest(&w, "d-1", 4, 64 * MIB);
        d->vcpus[3].online = false;
        decide_and_apply(&w);
        assert_own(&w, d, "0-2");
        /* One is plugged in. */
        d->vcpus[3].online = true;
        world_decide(&w, NULL);
        assert_action(&w, d, ACTION_PIN_VCPU, 3, "3");
        ck_assert_ptr_null(world_action(&w, d, ACTION_PIN_VCPU, 0));
        world_apply(&w);
        /* Another one is unplugged: its CPU is for everybody. */
        d->vcpus[1].online = false;
        decide_and_apply(&w);
        assert_own(&w, d, "0,2-3");
        assert_mask(&s->vcpus[0], "1,4-7");
        /* A CPU goes offline: only the vCPU on it moves. */
        take_offline(&w, 2);
        idset_remove(&s->vcpus[0].affinity, 2);
        d->vcpus[2].affinity = w.snapshot->topology->online;
        world_decide(&w, NULL);
        assert_own(&w, d, "0-1,3");
        assert_action(&w, d, ACTION_PIN_VCPU, 2, "1");
        ck_assert_ptr_null(world_action(&w, d, ACTION_PIN_VCPU, 0));
        ck_assert_ptr_null(world_action(&w, d, ACTION_PIN_VCPU, 3));
        world_done(&w);
}
END_TEST

START_TEST(one_that_lacks_a_cpu_keeps_the_others) {
        Guest *d;
        World w;

        world_init(&w, "numa:1 core:4 pu:1", policy_text);
        (void)world_guest(&w, "s-1", 1, 64 * MIB);
        d = world_guest(&w, "d-1", 4, 64 * MIB);
        d->vcpus[3].online = false;
        decide_and_apply(&w);
        assert_own(&w, d, "0-2");
        /* The fourth vCPU is plugged in; one CPU stays with those that share, and it goes there. */
        d->vcpus[3].online = true;
        world_decide(&w, NULL);
        ck_assert(world_skips(&w, d, ACTION_PIN_VCPU, SKIP_NO_CAPACITY));
        ck_assert_uint_eq(w.plan->n_actions, 1);
        assert_action(&w, d, ACTION_PIN_VCPU, 3, "3");
        world_apply(&w);
        assert_own(&w, d, "0-2");
        world_decide(&w, NULL);
        assert_quiet(&w);
        /* One of its CPUs goes offline. */
        take_offline(&w, 1);
        d->vcpus[1].affinity = w.snapshot->topology->online;
        world_decide(&w, NULL);
        assert_own(&w, d, "0,2");
        ck_assert_uint_eq(w.plan->n_actions, 1);
        assert_action(&w, d, ACTION_PIN_VCPU, 1, "3");
        world_done(&w);
}
END_TEST

START_TEST(one_that_waits_is_served_when_cpus_come_free) {
        Guest *a, *b;
        World w;

        world_init(&w, "numa:1 core:4 pu:1", policy_text);
        a = world_guest(&w, "d-1", 3, 64 * MIB);
        b = world_guest(&w, "d-2", 2, 64 * MIB);
        decide_and_apply(&w);
        assert_own(&w, a, "0-2");
        assert_own(&w, b, "");
        assert_mask(&b->vcpus[0], "3");
        snapshot_remove_guest(w.snapshot, a->uuid);
        decide_and_apply(&w);
        assert_own(&w, b, "0-1");
        assert_mask(&b->vcpus[1], "1");
        world_decide(&w, NULL);
        assert_quiet(&w);
        world_done(&w);
}
END_TEST

START_TEST(a_pin_somebody_else_changes_ends_it) {
        Guest *s, *d;
        World w;

        world_init(&w, "numa:1 core:4 pu:1", policy_text);
        s = world_guest(&w, "s-1", 1, 64 * MIB);
        d = world_guest(&w, "d-1", 2, 64 * MIB);
        decide_and_apply(&w);
        w.snapshot->now_usec += USEC_PER_HOUR;
        thread_pin(&w, &d->vcpus[1], "3");
        decide_and_apply(&w);
        ck_assert(state_find_guest(w.state, d->uuid)->user_pinned);
        assert_own(&w, d, "");
        decide_and_apply(&w);
        assert_mask(&s->vcpus[0], "0-3");
        assert_mask(&d->vcpus[1], "3");
        world_done(&w);
}
END_TEST

/* ---- overcommit ---- */

#define OVERCOMMIT(ratio) \
        "host: { reserved_memory = \"0\"; }; cpu: { policy = \"shared\"; overcommit = \"" ratio "\"; };"

START_TEST(nodes_beyond_the_ratio_do_not_fit) {
        Guest *g;
        World w;

        /* Its memory is on node 0, and so is another guest: a vCPU too many is less harm than remote memory. */
        for (unsigned i = 0; i < 2; i++) {
                world_init(&w, "numa:2 core:8 pu:1", i == 0 ? OVERCOMMIT("100 %") : OVERCOMMIT("200 %"));
                g = world_guest(&w, "s-0", 8, GIB);
                guest_memory(g, 0, GIB);
                decide_and_apply(&w);
                assert_nodes(&w, g, "0");
                g = world_guest(&w, "s-1", 1, GIB);
                guest_memory(g, 0, GIB);
                world_decide(&w, NULL);
                assert_nodes(&w, g, i == 0 ? "1" : "0");
                world_done(&w);
        }
}
END_TEST

START_TEST(beyond_the_ratio_everywhere_the_least_committed_node_is_taken) {
        Guest *g = NULL;
        World w;

        world_init(&w, "numa:2 core:2 pu:1", OVERCOMMIT("100 %"));
        (void)world_guest(&w, "s-0", 2, GIB);
        (void)world_guest(&w, "s-1", 2, GIB);
        (void)world_guest(&w, "s-2", 2, GIB);
        decide_and_apply(&w);
        g = world_guest(&w, "s-3", 1, GIB);
        guest_memory(g, 0, GIB);
        world_decide(&w, NULL);
        assert_nodes(&w, g, "1");
        ck_assert_ptr_nonnull(strstr(world_action(&w, g, ACTION_PIN_VCPU, 0)->reason, "cpu.overcommit is exceeded"));
        world_done(&w);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("placement_dedicated");
        TCase *tc = tcase_create("placement_dedicated");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 60);
        tcase_add_loop_test(tc, dedicated_guests_get_cpus_of_their_own, 0, (int)ELEMENTSOF(pick_rows));
        tcase_add_loop_test(tc, cores_of_different_size_are_used_without_waste, 0, (int)ELEMENTSOF(hybrid_rows));
        tcase_add_test(tc, neighbours_get_siblings);
        tcase_add_test(tc, helpers_run_with_the_guests_that_share);
        tcase_add_test(tc, isolated_helpers_have_a_cpu_each);
        tcase_add_test(tc, guests_that_share_are_pushed_off_and_get_the_cpus_back);
        tcase_add_test(tc, pinned_guests_spread_again_over_cpus_that_came_back);
        tcase_add_test(tc, one_cpu_stays_with_the_guests_that_share);
        tcase_add_test(tc, a_guest_that_comes_when_nothing_is_left_is_not_pinned);
        tcase_add_test(tc, nobody_is_driven_off_a_node);
        tcase_add_test(tc, a_cpu_the_user_pinned_to_is_not_dedicated);
        tcase_add_test(tc, those_who_may_run_there_all_the_same_are_named);
        tcase_add_test(tc, a_guest_that_starts_concerns_the_others);
        tcase_add_test(tc, cpus_are_taken_though_the_pins_are_still_on_their_way);
        tcase_add_test(tc, a_vcpu_keeps_its_cpu);
        tcase_add_test(tc, one_that_lacks_a_cpu_keeps_the_others);
        tcase_add_test(tc, one_that_waits_is_served_when_cpus_come_free);
        tcase_add_test(tc, a_pin_somebody_else_changes_ends_it);
        tcase_add_test(tc, nodes_beyond_the_ratio_do_not_fit);
        tcase_add_test(tc, beyond_the_ratio_everywhere_the_least_committed_node_is_taken);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
