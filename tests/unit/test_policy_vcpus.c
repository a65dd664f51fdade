/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "placement_util.h"

#define PERCENT 100U

static World world;

static void setup(void) {
        world_init(&world, "package:1 numa:2 core:4 pu:1", "vcpus: { mode = \"auto\"; };");
        world.snapshot->host.cpus = calloc(8, sizeof(CpuLoad));
        ck_assert_ptr_nonnull(world.snapshot->host.cpus);
        world.snapshot->host.n_cpus = 8;
        for (unsigned i = 0; i < 8; i++)
                world.snapshot->host.cpus[i] = (CpuLoad){ i, 0 };
}

static void teardown(void) {
        world_done(&world);
}

static void set_host_busy(uint32_t percent) {
        for (unsigned i = 0; i < 8; i++)
                world.snapshot->host.cpus[i].busy_permyriad = percent * PERCENT;
}

/* @online of @maximum vCPUs, the first of them there since the start. */
static Guest *add_guest(const char *name, unsigned online, unsigned maximum) {
        Guest *g = world_guest(&world, name, maximum, GIB);

        for (unsigned i = 0; i < maximum; i++) {
                g->vcpus[i].online = i < online;
                g->vcpus[i].hotpluggable = i > 0;
        }
        return g;
}

static void set_online(Guest *g, unsigned online) {
        for (unsigned i = 0; i < g->n_vcpus; i++)
                g->vcpus[i].online = i < online;
}

/* @demand in percent of one CPU, over the vCPUs that are online. */
static void set_demand(Guest *g, uint64_t demand) {
        uint64_t each = demand * PERCENT / guest_online_vcpus(g);

        for (size_t i = 0; i < g->n_vcpus; i++) {
                g->vcpus[i].busy_permyriad = (uint32_t)MIN(each, (uint64_t)PERMYRIAD_FULL);
                g->vcpus[i].wait_permyriad = 0;
        }
}

static void decide(void) {
        PolicyInput in = { .config = world.config, .snapshot = world.snapshot };

        world.plan = plan_free(world.plan);
        ck_assert_int_eq(policy_decide(&in, world.state, &world.plan), 0);
}

/* The number asked for, 0: none. */
static unsigned asked(const Guest *g) {
        for (size_t i = 0; i < world.plan->n_actions; i++)
                if (world.plan->actions[i].kind == ACTION_SET_VCPUS && streq(world.plan->actions[i].uuid, g->uuid))
                        return (unsigned)strtoul(world.plan->actions[i].new_value, NULL, 10);
        return 0;
}

static int why_not(const Guest *g) {
        for (size_t i = 0; i < world.plan->n_skips; i++)
                if (world.plan->skips[i].kind == ACTION_SET_VCPUS && streq(world.plan->skips[i].uuid, g->uuid))
                        return (int)world.plan->skips[i].why;
        return -1;
}

/* What the daemon does before it acts. */
static void own_all(void) {
        for (size_t i = 0; i < world.plan->n_actions; i++) {
                const Action *a = &world.plan->actions[i];
                const Owned *o = state_find_owned(world.state, a->kind, a->uuid, a->index);

                if (!o || !streq(o->original, a->new_value))
                        ck_assert_int_eq(state_own(world.state, a), 0);
        }
}

static void pass(uint64_t sec) {
        world.snapshot->now_usec += sec * USEC_PER_SEC;
}

/* Decides, and what was asked for happens at once. */
static void step(Guest *g, uint64_t sec) {
        decide();
        own_all();
        if (asked(g) > 0) {
                const Owned *o = state_find_owned(world.state, ACTION_SET_VCPUS, g->uuid, 0);

                set_online(g, asked(g));
                if (o && strtoul(o->original, NULL, 10) == asked(g))
                        state_disown(world.state, ACTION_SET_VCPUS, g->uuid, 0);
        }
        pass(sec);
}

/* ---- mode auto: one decision after a long time of the same ---- */

static const struct {
        const char *name;
        unsigned online, maximum, demand, host_busy;
        const char *settings;
        unsigned want;
        int why;
} auto_rows[] = {
        { "busy vCPUs get one more", 1, 4, 90, 10, "", 2, -1 },
        { "one more at a time", 2, 8, 200, 10, "", 3, -1 },
        { "exactly at the limit is busy", 2, 4, 170, 10, "", 3, -1 },
        { "below the limit is not", 2, 4, 169, 10, "", 0, -1 },
        { "never above the maximum", 2, 2, 200, 10, "", 0, SKIP_AT_MAXIMUM },
        { "a busy host gives nothing", 1, 4, 100, 81, "", 0, SKIP_HOST_BUSY },
        { "a host with just enough idle time does", 1, 4, 100, 80, "", 2, -1 },
        { "host_idle is followed", 1, 4, 100, 50, "host_idle = \"51 %\";", 0, SKIP_HOST_BUSY },
        { "no more vCPUs than CPUs", 8, 16, 800, 0, "", 0, SKIP_NO_CAPACITY },
        { "start is followed", 1, 4, 60, 10, "start = \"55 %\";", 2, -1 },
        { "an idle guest keeps what it had by itself", 4, 4, 4, 10, "", 0, -1 },
        { "with a minimum it gives one back", 4, 4, 4, 10, "minimum = 2;", 3, -1 },
        { "not below the minimum", 2, 4, 4, 10, "minimum = 2;", 0, -1 },
        { "not when the others would be busy", 2, 4, 40, 10, "minimum = 1;", 0, -1 },
        { "when they would be just below it", 2, 4, 39, 10, "minimum = 1;", 1, -1 },
        { "stop is followed", 2, 4, 25, 10, "minimum = 1; stop = \"20 %\";", 0, -1 },
        { "a busy host is no obstacle for less", 2, 4, 4, 100, "minimum = 1;", 1, -1 },
};

START_TEST(auto_follows_the_load) {
        _cleanup_free_ char *text = NULL;
        Guest *g = add_guest("g", auto_rows[_i].online, auto_rows[_i].maximum);

        ck_assert_int_eq(strprintf_to(&text, "vcpus: { mode = \"auto\"; %s };", auto_rows[_i].settings), 0);
        world_configure(&world, text);
        set_demand(g, auto_rows[_i].demand);
        set_host_busy(auto_rows[_i].host_busy);
        decide();
        ck_assert_msg(asked(g) == 0, "%s: the dwell has not passed", auto_rows[_i].name);
        pass(29);
        decide();
        ck_assert_msg(asked(g) == 0, "%s: the dwell has not passed", auto_rows[_i].name);
        pass(1);
        decide();
        ck_assert_msg(asked(g) == auto_rows[_i].want, "%s: %u", auto_rows[_i].name, asked(g));
        ck_assert_msg(why_not(g) == auto_rows[_i].why, "%s: %d", auto_rows[_i].name, why_not(g));
}
END_TEST

START_TEST(waiting_for_a_cpu_is_load) {
        Guest *g = add_guest("g", 1, 2);

        g->vcpus[0].busy_permyriad = 5000;
        g->vcpus[0].wait_permyriad = 4000;
        decide();
        pass(30);
        decide();
        ck_assert_uint_eq(asked(g), 2);
}
END_TEST

START_TEST(the_dwell_begins_again_when_the_load_pauses) {
        Guest *g = add_guest("g", 1, 2);

        for (unsigned i = 0; i < 20; i++) {
                set_demand(g, i % 3 == 2 ? 50 : 100);
                decide();
                ck_assert_uint_eq(asked(g), 0);
                pass(10);
        }
}
END_TEST

START_TEST(after_a_change_there_is_a_pause) {
        Guest *g = add_guest("g", 1, 4);

        set_demand(g, 100);
        step(g, 30);
        step(g, 30);
        ck_assert_uint_eq(guest_online_vcpus(g), 2);
        for (unsigned i = 0; i < 4; i++) {
                set_demand(g, 200);
                step(g, 30);
                ck_assert_uint_eq(guest_online_vcpus(g), 2);
        }
        ck_assert_int_eq(why_not(g), SKIP_COOLDOWN);
        step(g, 30);
        ck_assert_uint_eq(guest_online_vcpus(g), 3);
}
END_TEST

/* One CPU's worth of idle time is given away once. */
START_TEST(guests_do_not_get_the_same_idle_time) {
        Guest *guests[4];
        unsigned n = 0;

        for (unsigned i = 0; i < ELEMENTSOF(guests); i++) {
                guests[i] = add_guest((const char *[]){ "a", "b", "c", "d" }[i], 1, 4);
                set_demand(guests[i], 100);
        }
        set_host_busy(60);      /* 3.2 CPUs idle, 1.6 of them must stay so */
        decide();
        pass(30);
        decide();
        for (unsigned i = 0; i < ELEMENTSOF(guests); i++)
                n += asked(guests[i]) > 0;
        ck_assert_uint_eq(n, 2);
}
END_TEST

START_TEST(an_unmeasured_vcpu_is_no_load) {
        Guest *g = add_guest("g", 2, 4);

        set_demand(g, 200);
        g->vcpus[1].busy_permyriad = UNKNOWN_PERMYRIAD;
        decide();
        pass(60);
        decide();
        ck_assert_uint_eq(asked(g), 0);
        ck_assert_int_eq(why_not(g), SKIP_UNKNOWN);
}
END_TEST

/* ---- mode fixed ---- */

static const struct {
        const char *name;
        unsigned online, maximum, fixed, group;
        const char *settings;
        unsigned want;
        int why;
} fixed_rows[] = {
        { "more, all at once", 1, 4, 1, 1, "count = 3;", 4 - 1, -1 },
        { "0 is the maximum", 1, 4, 1, 1, "", 4, -1 },
        { "no more than the maximum", 2, 4, 1, 1, "count = 9;", 4, -1 },
        { "no more than eight in one request", 1, 64, 1, 1, "count = 60;", 9, -1 },
        { "less, one at a time", 4, 4, 1, 1, "count = 1;", 3, -1 },
        { "not below the minimum", 4, 4, 1, 1, "count = 1; minimum = 3;", 3, -1 },
        { "at the minimum nothing", 3, 4, 1, 1, "count = 1; minimum = 3;", 0, -1 },
        { "as wanted", 2, 4, 1, 1, "count = 2;", 0, -1 },
        { "vCPUs from the start cannot go", 3, 4, 3, 1, "count = 2;", 0, SKIP_UNAVAILABLE },
        { "down to those from the start", 4, 4, 3, 1, "count = 2;", 3, -1 },
        { "two at a time, where they come so", 2, 8, 2, 2, "count = 4;", 4, -1 },
        { "a half group is none", 2, 8, 2, 2, "count = 3;", 0, SKIP_UNAVAILABLE },
        { "a group goes as a whole", 6, 8, 2, 2, "count = 2;", 4, -1 },
};

START_TEST(fixed_goes_to_its_number) {
        _cleanup_free_ char *text = NULL;
        Guest *g = add_guest("g", fixed_rows[_i].online, fixed_rows[_i].maximum);

        for (unsigned i = 0; i < fixed_rows[_i].maximum; i++)
                g->vcpus[i].hotpluggable = i >= fixed_rows[_i].fixed;
        g->vcpu_group = fixed_rows[_i].group;
        ck_assert_int_eq(strprintf_to(&text, "vcpus: { mode = \"fixed\"; %s };", fixed_rows[_i].settings), 0);
        world_configure(&world, text);
        decide();
        ck_assert_msg(asked(g) == fixed_rows[_i].want, "%s: %u", fixed_rows[_i].name, asked(g));
        ck_assert_msg(why_not(g) == fixed_rows[_i].why, "%s: %d", fixed_rows[_i].name, why_not(g));
}
END_TEST

static const struct { GuestState state; bool starting, migrating, unreachable; int why; } blocked_rows[] = {
        { GUEST_PAUSED, false, false, false, SKIP_NOT_RUNNING },
        { GUEST_SHUTDOWN, false, false, false, SKIP_NOT_RUNNING },
        { GUEST_PMSUSPENDED, false, false, false, SKIP_NOT_RUNNING },
        { GUEST_RUNNING, true, false, false, SKIP_NOT_RUNNING },
        { GUEST_RUNNING, false, true, false, SKIP_MIGRATING },
        { GUEST_RUNNING, false, false, true, SKIP_UNREACHABLE },
};

START_TEST(what_cannot_be_done_now_is_said) {
        Guest *g = add_guest("g", 1, 4);

        world_configure(&world, "vcpus: { mode = \"fixed\"; };");
        g->state = blocked_rows[_i].state;
        g->starting = blocked_rows[_i].starting;
        g->migrating = blocked_rows[_i].migrating;
        g->unreachable = blocked_rows[_i].unreachable;
        decide();
        ck_assert_uint_eq(asked(g), 0);
        ck_assert_int_eq(why_not(g), blocked_rows[_i].why);
}
END_TEST

START_TEST(one_guest_is_asked_to_let_go_at_a_time) {
        Guest *a = add_guest("a", 3, 4), *b = add_guest("b", 3, 4), *c = add_guest("c", 1, 4);

        world_configure(&world, "vcpus: { mode = \"fixed\"; count = 2; };");
        decide();
        own_all();
        ck_assert_uint_eq(asked(a), 2);
        ck_assert_uint_eq(asked(b), 0);
        ck_assert_uint_eq(asked(c), 2);
        pass(10);
        decide();
        ck_assert_msg(asked(b) == 0, "the first has not answered yet");
        set_online(a, 2);
        decide();
        ck_assert_uint_eq(asked(b), 2);
}
END_TEST

/* Eight CPUs on two nodes; a neighbour on the same node holds some. */
static const struct { const char *name; unsigned neighbour, count; unsigned want; int why; } dedicated_rows[] = {
        { "a CPU of its own for each", 0, 4, 4, -1 },
        { "as far as there are any", 1, 4, 3, -1 },
        { "one is left", 2, 4, 2, -1 },
        { "none is left", 3, 2, 0, SKIP_NO_CAPACITY },
};

START_TEST(a_dedicated_guest_gets_no_vcpu_without_a_cpu_of_its_own) {
        Guest *g = add_guest("g", 1, 4), *other;
        _cleanup_free_ char *text = NULL;

        if (dedicated_rows[_i].neighbour > 0) {
                other = add_guest("other", dedicated_rows[_i].neighbour, 4);
                other->numatune_mode = NUMATUNE_STRICT;
                other->numatune_nodes = idset_of(0);
        }
        g->numatune_mode = NUMATUNE_STRICT;
        g->numatune_nodes = idset_of(0);
        ck_assert_int_eq(strprintf_to(&text, "cpu: { policy = \"dedicated\"; };\n"
                                      "guests = ( { match = { name = \"g\"; };"
                                      " vcpus = { mode = \"fixed\"; count = %u; }; } );",
                                      dedicated_rows[_i].count), 0);
        world_configure(&world, text);
        decide();
        ck_assert_msg(asked(g) == dedicated_rows[_i].want, "%s: %u", dedicated_rows[_i].name, asked(g));
        ck_assert_msg(why_not(g) == dedicated_rows[_i].why, "%s: %d", dedicated_rows[_i].name, why_not(g));
}
END_TEST

/* ---- what becomes of a request ---- */

/* A guest with two of four vCPUs that is to have one, and does not let go. */
static Guest *refusing_guest(void) {
        Guest *g = add_guest("g", 2, 4);

        world_configure(&world, "vcpus: { mode = \"fixed\"; count = 1; };");
        decide();
        ck_assert_uint_eq(asked(g), 1);
        own_all();
        pass(14);
        decide();
        ck_assert_uint_eq(asked(g), 0);
        return g;
}

START_TEST(a_guest_that_does_not_let_go_is_asked_less_and_less_often) {
        Guest *g = refusing_guest();
        uint64_t last = world.snapshot->now_usec, gaps[12];
        size_t n = 0;

        while (n < ELEMENTSOF(gaps)) {
                pass(10);
                decide();
                if (asked(g) == 0)
                        continue;
                own_all();
                gaps[n++] = (world.snapshot->now_usec - last) / USEC_PER_SEC;
                last = world.snapshot->now_usec;
        }
        ck_assert_uint_ge(gaps[0], 120);
        ck_assert_uint_le(gaps[0], 150);
        for (size_t i = 1; i < n; i++)
                ck_assert_uint_ge(gaps[i] + 20, MIN(gaps[i - 1] * 2, (uint64_t)64 * 60));
        ck_assert_uint_le(gaps[n - 1], 65 * 60);
}
END_TEST

START_TEST(between_the_tries_it_is_said) {
        Guest *g = refusing_guest();

        pass(1);
        decide();
        ck_assert_uint_eq(asked(g), 0);
        ck_assert_int_eq(why_not(g), SKIP_STUCK);
        pass(60);
        decide();
        ck_assert_int_eq(why_not(g), SKIP_STUCK);
}
END_TEST

START_TEST(a_vcpu_that_goes_late_is_our_doing) {
        Guest *g = refusing_guest();

        pass(10 * 60);
        decide();
        pass(20);
        decide();
        set_online(g, 1);
        pass(60);
        decide();
        ck_assert_int_eq(why_not(g), -1);
        ck_assert_uint_eq(asked(g), 0);
        /* It is given back in the end. */
        world_configure(&world, "");
        decide();
        ck_assert_uint_eq(asked(g), 2);
}
END_TEST

START_TEST(a_late_vcpu_when_more_was_asked_for_meanwhile) {
        Guest *g = refusing_guest();

        pass(20);
        decide();
        world_configure(&world, "vcpus: { mode = \"fixed\"; count = 4; };");
        step(g, 10);
        ck_assert_uint_eq(guest_online_vcpus(g), 4);
        decide();
        set_online(g, 3);
        step(g, 10);
        ck_assert_int_eq(why_not(g), -1);
        ck_assert_uint_eq(guest_online_vcpus(g), 4);
}
END_TEST

static const struct { unsigned now; bool taken; } foreign_rows[] = {
        { 1, true }, { 2, true }, { 3, false }, { 4, true },
};

START_TEST(what_somebody_else_plugs_is_theirs) {
        Guest *g = add_guest("g", 1, 4);

        world_configure(&world, "vcpus: { mode = \"fixed\"; count = 3; };");
        step(g, 10);
        decide();
        set_online(g, foreign_rows[_i].now);
        for (unsigned i = 0; i < 3; i++) {
                pass(10);
                decide();
                ck_assert_uint_eq(asked(g), 0);
                ck_assert_int_eq(why_not(g), foreign_rows[_i].taken ? (int)SKIP_TAKEN_OVER : -1);
        }
        ck_assert_int_eq(state_find_owned(world.state, ACTION_SET_VCPUS, g->uuid, 0) == NULL, foreign_rows[_i].taken);
        world_configure(&world, "");
        decide();
        ck_assert_uint_eq(asked(g), foreign_rows[_i].taken ? 0 : 2);
}
END_TEST

START_TEST(a_request_half_done_is_on_its_way) {
        Guest *g = add_guest("g", 1, 4);

        world_configure(&world, "vcpus: { mode = \"fixed\"; count = 4; };");
        decide();
        own_all();
        set_online(g, 2);
        pass(5);
        decide();
        ck_assert_int_eq(why_not(g), -1);
        ck_assert_uint_eq(asked(g), 0);
        set_online(g, 4);
        pass(5);
        decide();
        ck_assert_int_eq(why_not(g), -1);
        ck_assert_ptr_nonnull(state_find_owned(world.state, ACTION_SET_VCPUS, g->uuid, 0));
}
END_TEST

START_TEST(a_request_that_failed_is_tried_again_later) {
        Guest *g = add_guest("g", 1, 4);

        world_configure(&world, "vcpus: { mode = \"fixed\"; };");
        decide();
        ck_assert_uint_eq(asked(g), 4);
        own_all();
        pass(20);
        decide();
        ck_assert_uint_eq(asked(g), 0);
        ck_assert_int_eq(why_not(g), SKIP_FAILED);
        pass(120);
        decide();
        ck_assert_uint_eq(asked(g), 4);
}
END_TEST

/* A dry run, or libvirt that refuses: the plan stays what it is, so it is said once. */
START_TEST(a_plan_that_is_not_carried_out_stays) {
        Guest *a = add_guest("a", 1, 4), *b = add_guest("b", 1, 4), *c = add_guest("c", 2, 4);

        world_configure(&world, "vcpus: { mode = \"fixed\"; };\n"
                                "guests = ( { match = { name = \"b\"; }; vcpus = { mode = \"auto\"; }; },"
                                " { match = { name = \"c\"; }; vcpus = { count = 1; }; } );");
        set_demand(a, 100);
        set_demand(b, 100);
        set_demand(c, 100);
        decide();
        pass(30);
        for (unsigned i = 0; i < 30; i++) {
                decide();
                ck_assert_uint_eq(asked(a), 4);
                ck_assert_uint_eq(asked(b), 2);
                ck_assert_uint_eq(asked(c), 1);
                pass(10);
        }
}
END_TEST

START_TEST(mode_off_gives_back_one_by_one_and_then_nothing_is_ours) {
        Guest *g = add_guest("g", 1, 4);

        world_configure(&world, "vcpus: { mode = \"fixed\"; };");
        step(g, 10);
        ck_assert_uint_eq(guest_online_vcpus(g), 4);
        world_configure(&world, "");
        for (unsigned want = 3; want > 0; want--) {
                step(g, 10);
                ck_assert_uint_eq(guest_online_vcpus(g), want);
        }
        step(g, 10);
        ck_assert_uint_eq(guest_online_vcpus(g), 1);
        ck_assert_uint_eq(world.state->n_owned, 0);
        decide();
        ck_assert_uint_eq(world.plan->n_actions + world.plan->n_skips, 0);
}
END_TEST

START_TEST(mode_off_leaves_a_guest_alone_that_never_was_changed) {
        Guest *g = add_guest("g", 2, 4);

        world_configure(&world, "");
        for (unsigned i = 1; i <= 4; i++) {
                set_online(g, i);
                set_demand(g, i % 2 ? 400 : 1);
                pass(300);
                decide();
                ck_assert_uint_eq(world.plan->n_actions + world.plan->n_skips, 0);
        }
}
END_TEST

/* What the stop of the daemon gives back, at each point of a request. */
static const struct {
        const char *name;
        unsigned original, from, ours, target, late, now, want;
        int why;
} restore_rows[] = {
        { "as set", 1, 0, 3, 0, 0, 3, 1, -1 },
        { "half way up", 1, 1, 4, 4, 0, 2, 1, -1 },
        { "a vCPU went late", 1, 0, 3, 0, 1, 2, 1, -1 },
        { "there already", 1, 0, 3, 0, 0, 1, 0, -1 },
        { "somebody else's", 1, 0, 3, 0, 0, 2, 0, SKIP_TAKEN_OVER },
        { "fewer than before", 3, 0, 2, 0, 0, 2, 3, -1 },
};

START_TEST(restore_gives_back_what_is_ours) {
        Guest *g = add_guest("g", restore_rows[_i].now, 4);
        char original[16], ours[16];
        Owned o = { .kind = ACTION_SET_VCPUS, .original = original, .ours = ours };
        GuestMemo *memo;

        (void)snprintf(original, sizeof(original), "%u", restore_rows[_i].original);
        (void)snprintf(ours, sizeof(ours), "%u", restore_rows[_i].ours);
        memcpy(o.uuid, g->uuid, sizeof(o.uuid));
        ck_assert_int_eq(state_put_owned(world.state, &o), 0);
        ck_assert_int_eq(state_guest(world.state, g->uuid, &memo), 0);
        memo->vcpus_from = restore_rows[_i].from;
        memo->vcpus_target = restore_rows[_i].target;
        memo->vcpus_late = restore_rows[_i].late;
        world.plan = plan_free(world.plan);
        ck_assert_int_eq(policy_restore(world.snapshot, world.state, &world.plan), 0);
        ck_assert_msg(asked(g) == restore_rows[_i].want, "%s: %u", restore_rows[_i].name, asked(g));
        ck_assert_msg(why_not(g) == restore_rows[_i].why, "%s: %d", restore_rows[_i].name, why_not(g));
}
END_TEST

/* ---- the closed loop ---- */

static uint64_t seed;

static uint64_t below(uint64_t limit) {
        seed ^= seed >> 12;
        seed ^= seed << 25;
        seed ^= seed >> 27;
        return seed * UINT64_C(2685821657736338717) % limit;
}

/* A demand in percent of one CPU that holds for an hour: the number settles, near what the demand needs. */
START_TEST(a_steady_demand_settles) {
        Guest *g = add_guest("g", 1, 8);
        uint64_t demand = 10 + (uint64_t)_i * 35;
        unsigned changes = 0, before, settled;

        for (unsigned i = 0; i < 360; i++) {
                before = (unsigned)guest_online_vcpus(g);
                set_demand(g, demand);
                step(g, 10);
                changes += guest_online_vcpus(g) != before;
        }
        settled = (unsigned)guest_online_vcpus(g);
        ck_assert_msg(changes == settled - 1, "demand %u %%: %u changes to %u", (unsigned)demand, changes, settled);
        ck_assert_uint_ge(settled * 85, MIN(demand, (uint64_t)680));
        ck_assert_msg(settled == 1 || (settled - 1) * 85 <= demand, "demand %u %%: %u", (unsigned)demand, settled);
}
END_TEST

START_TEST(a_load_that_rises_and_falls_takes_the_number_along) {
        Guest *g = add_guest("g", 1, 4);
        unsigned changes = 0, before;

        for (unsigned i = 0; i < 360; i++) {
                before = (unsigned)guest_online_vcpus(g);
                set_demand(g, i < 120 ? 5 : i < 240 ? 300 : 5);
                step(g, 10);
                changes += guest_online_vcpus(g) != before;
                if (i == 119)
                        ck_assert_uint_eq(guest_online_vcpus(g), 1);
                if (i == 239)
                        ck_assert_uint_eq(guest_online_vcpus(g), 4);
        }
        ck_assert_uint_eq(guest_online_vcpus(g), 1);
        ck_assert_uint_eq(changes, 6);
        ck_assert_uint_eq(world.state->n_owned, 0);
}
END_TEST

/* Demand that jumps about, guests that let go or do not, somebody else who plugs: bounds and peace. */
START_TEST(random_worlds_keep_their_bounds) {
        Guest *g = add_guest("g", 2, 6);
        unsigned changes = 0, due = 0;
        uint64_t last = 0;

        seed = (uint64_t)_i + 1;
        world_configure(&world, "vcpus: { mode = \"auto\"; minimum = 2; };");
        g->vcpus[1].hotpluggable = false;
        for (unsigned i = 0; i < 2000; i++) {
                unsigned online = (unsigned)guest_online_vcpus(g), want;

                set_demand(g, below(700));
                set_host_busy((uint32_t)below(101));
                decide();
                own_all();
                want = asked(g);
                if (want > 0) {
                        changes++;
                        ck_assert_msg(want >= 2 && want <= 6, "seed %d: %u", _i + 1, want);
                        ck_assert_msg(want == online + 1 || want == online - 1, "seed %d", _i + 1);
                        ck_assert_msg(last == 0 || world.snapshot->now_usec - last >= 120 * USEC_PER_SEC, "seed %d",
                                      _i + 1);
                        if (want > online)
                                set_online(g, want);
                        else if (below(2))
                                due = 1;
                } else if (due && below(3) == 0) {
                        set_online(g, MAX(online - 1, 2U));
                        due = 0;
                }
                if (guest_online_vcpus(g) != online)
                        last = world.snapshot->now_usec;
                ck_assert_msg(why_not(g) != SKIP_TAKEN_OVER, "seed %d, step %u", _i + 1, i);
                pass(10);
        }
        /* One that is refused, and one that is done. */
        ck_assert_uint_le(changes, 2 * (2000 * 10 / 120 + 1));
}
END_TEST

static void add_tests(TCase *t) {
        tcase_add_loop_test(t, auto_follows_the_load, 0, ELEMENTSOF(auto_rows));
        tcase_add_test(t, waiting_for_a_cpu_is_load);
        tcase_add_test(t, the_dwell_begins_again_when_the_load_pauses);
        tcase_add_test(t, after_a_change_there_is_a_pause);
        tcase_add_test(t, guests_do_not_get_the_same_idle_time);
        tcase_add_test(t, an_unmeasured_vcpu_is_no_load);
        tcase_add_loop_test(t, fixed_goes_to_its_number, 0, ELEMENTSOF(fixed_rows));
        tcase_add_loop_test(t, what_cannot_be_done_now_is_said, 0, ELEMENTSOF(blocked_rows));
        tcase_add_test(t, one_guest_is_asked_to_let_go_at_a_time);
        tcase_add_loop_test(t, a_dedicated_guest_gets_no_vcpu_without_a_cpu_of_its_own, 0,
                            ELEMENTSOF(dedicated_rows));
        tcase_add_test(t, a_guest_that_does_not_let_go_is_asked_less_and_less_often);
        tcase_add_test(t, between_the_tries_it_is_said);
        tcase_add_test(t, a_vcpu_that_goes_late_is_our_doing);
        tcase_add_test(t, a_late_vcpu_when_more_was_asked_for_meanwhile);
        tcase_add_loop_test(t, what_somebody_else_plugs_is_theirs, 0, ELEMENTSOF(foreign_rows));
        tcase_add_test(t, a_request_half_done_is_on_its_way);
        tcase_add_test(t, a_request_that_failed_is_tried_again_later);
        tcase_add_test(t, a_plan_that_is_not_carried_out_stays);
        tcase_add_test(t, mode_off_gives_back_one_by_one_and_then_nothing_is_ours);
        tcase_add_test(t, mode_off_leaves_a_guest_alone_that_never_was_changed);
        tcase_add_loop_test(t, restore_gives_back_what_is_ours, 0, ELEMENTSOF(restore_rows));
        tcase_add_loop_test(t, a_steady_demand_settles, 0, 24);
        tcase_add_test(t, a_load_that_rises_and_falls_takes_the_number_along);
        tcase_add_loop_test(t, random_worlds_keep_their_bounds, 0, 40);
}

int main(void) {
        Suite *s = suite_create("policy_vcpus");
        TCase *t = tcase_create("vcpus");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        add_tests(t);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
