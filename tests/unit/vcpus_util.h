/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One host whose guests have vCPUs to plug: what is asked for, and what becomes of it. */

#include "placement_util.h"

#define PERCENT 100U

static World world;

static inline _unused_ void setup(void) {
        world_init(&world, "package:1 numa:2 core:4 pu:1", "vcpus: { mode = \"auto\"; };");
        world.snapshot->host.cpus = calloc(8, sizeof(CpuLoad));
        ck_assert_ptr_nonnull(world.snapshot->host.cpus);
        world.snapshot->host.n_cpus = 8;
        for (unsigned i = 0; i < 8; i++)
                world.snapshot->host.cpus[i] = (CpuLoad){ i, 0 };
}

static inline _unused_ void teardown(void) {
        world_done(&world);
}

static inline _unused_ void set_host_busy(uint32_t percent) {
        for (unsigned i = 0; i < 8; i++)
                world.snapshot->host.cpus[i].busy_permyriad = percent * PERCENT;
}

/* @online of @maximum vCPUs, the first of them there since the start. */
static inline _unused_ Guest *add_guest(const char *name, unsigned online, unsigned maximum) {
        Guest *g = world_guest(&world, name, maximum, GIB);

        for (unsigned i = 0; i < maximum; i++) {
                g->vcpus[i].online = i < online;
                g->vcpus[i].hotpluggable = i > 0;
        }
        return g;
}

static inline _unused_ void set_online(Guest *g, unsigned online) {
        for (unsigned i = 0; i < g->n_vcpus; i++)
                g->vcpus[i].online = i < online;
}

/* @demand in percent of one CPU, over the vCPUs that are online. */
static inline _unused_ void set_demand(Guest *g, uint64_t demand) {
        uint64_t each = demand * PERCENT / guest_online_vcpus(g);

        for (size_t i = 0; i < g->n_vcpus; i++) {
                g->vcpus[i].busy_permyriad = (uint32_t)MIN(each, (uint64_t)PERMYRIAD_FULL);
                g->vcpus[i].wait_permyriad = 0;
        }
}

static inline _unused_ void decide(void) {
        PolicyInput in = { .config = world.config, .snapshot = world.snapshot };

        world.plan = plan_free(world.plan);
        ck_assert_int_eq(policy_decide(&in, world.state, &world.plan), 0);
}

/* The number asked for, 0: none. */
static inline _unused_ unsigned asked(const Guest *g) {
        for (size_t i = 0; i < world.plan->n_actions; i++)
                if (world.plan->actions[i].kind == ACTION_SET_VCPUS && streq(world.plan->actions[i].uuid, g->uuid))
                        return (unsigned)strtoul(world.plan->actions[i].new_value, NULL, 10);
        return 0;
}

static inline _unused_ int why_not(const Guest *g) {
        for (size_t i = 0; i < world.plan->n_skips; i++)
                if (world.plan->skips[i].kind == ACTION_SET_VCPUS && streq(world.plan->skips[i].uuid, g->uuid))
                        return (int)world.plan->skips[i].why;
        return -1;
}

/* What the daemon does before it acts. */
static inline _unused_ void own_all(void) {
        for (size_t i = 0; i < world.plan->n_actions; i++) {
                const Action *a = &world.plan->actions[i];
                const Owned *o = state_find_owned(world.state, a->kind, a->uuid, a->index);

                if (!o || !streq(o->original, a->new_value))
                        ck_assert_int_eq(state_own(world.state, a), 0);
        }
}

static inline _unused_ void pass(uint64_t sec) {
        world.snapshot->now_usec += sec * USEC_PER_SEC;
}

/* Decides, and what was asked for happens at once. */
static inline _unused_ void step(Guest *g, uint64_t sec) {
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
