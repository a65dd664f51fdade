/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Guests to which the administrator's cgroup leaves some CPUs: they are pinned within them, or not at all. */

#include "placement_util.h"

#define POLICY(policy) "cpu: { policy = \"" policy "\"; }; "
#define DEDICATED(threads) "cpu: { policy = \"dedicated\"; threads = \"" threads "\"; };"
#define NODES "numa:2 core:4 pu:1"
#define THREADS "numa:2 core:2 pu:2"

static const struct {
        const char *name, *topology, *policy, *limit, *nodes;
        size_t vcpus;
        const char *pins[4];            /* of each vCPU */
        const char *emulator;
} pin_rows[] = {
        { "shared: the part of its node that it may use", NODES, POLICY("shared"), "2-3", "0", 2, { "2-3", "2-3" }, "2-3" },
        { "shared: a node with a CPU for each vCPU", NODES, POLICY("shared"), "3-6", "1", 3,
          { "4-6", "4-6", "4-6" }, "4-6" },
        { "shared: more vCPUs than CPUs on any node", NODES, POLICY("shared"), "3-4", "0-1", 2, { "3-4", "3-4" }, "3-4" },
        { "shared: reserved CPUs are not for it", NODES, POLICY("shared") "host: { reserved_cpus = \"2\"; };", "2-3", "0", 1,
          { "3" }, "3" },
        { "numa.policy none: of all CPUs those", NODES, POLICY("shared") "numa: { policy = \"none\"; };", "3-4", "", 2,
          { "3-4", "3-4" }, "3-4" },
        { "pinned: one each", NODES, POLICY("pinned"), "2-3", "0", 2, { "2", "3" }, "2-3" },
        { "dedicated: its own from there, the emulator beside them", NODES, POLICY("dedicated"), "1-3", "0", 2,
          { "1", "2" }, "3" },
        { "dedicated, threads isolate: whole cores", THREADS, DEDICATED("isolate"), "3-7", "1", 2,
          { "4", "6" }, "4,6" },
        { "dedicated, threads require: cores with siblings", THREADS, DEDICATED("require"), "2-3,6", "0", 2,
          { "2", "3" }, "2-3" },
};

START_TEST(pins_stay_within_the_limit) {
        typeof(pin_rows[0]) *row = &pin_rows[_i];
        World w;
        Guest *g;

        world_init(&w, row->topology, row->policy);
        g = world_guest(&w, "guest", row->vcpus, 2 * GIB);
        g->cgroup_cpus = set_of(row->limit);
        world_decide(&w, NULL);
        if (row->nodes[0])
                assert_nodes(&w, g, row->nodes);
        for (unsigned i = 0; i < row->vcpus; i++)
                assert_action(&w, g, ACTION_PIN_VCPU, i, row->pins[i]);
        assert_action(&w, g, ACTION_PIN_EMULATOR, 0, row->emulator);
        assert_settled(&w);
        world_done(&w);
}
END_TEST

/* A limit of the cgroup that comes while the guest runs. */
START_TEST(pins_follow_a_limit_that_comes_later) {
        World w;
        Guest *g;

        world_init(&w, NODES, POLICY("pinned"));
        g = world_guest(&w, "guest", 2, 2 * GIB);
        world_decide(&w, NULL);
        assert_action(&w, g, ACTION_PIN_VCPU, 0, "0");
        world_apply(&w);
        g->cgroup_cpus = set_of("1-3");
        world_decide(&w, NULL);
        assert_action(&w, g, ACTION_PIN_VCPU, 0, "2");
        ck_assert_ptr_null(world_action(&w, g, ACTION_PIN_VCPU, 1));
        world_done(&w);
}
END_TEST

START_TEST(each_cell_is_pinned_within_the_limit) {
        World w;
        Guest *g;

        world_init(&w, NODES, POLICY("shared"));
        g = world_guest(&w, "guest", 4, 2 * GIB);
        g->cells = calloc(2, sizeof(*g->cells));
        ck_assert_ptr_nonnull(g->cells);
        g->n_cells = 2;
        g->cells[0] = (GuestCell){ .vcpus = set_of("0-1"), .memory_bytes = GIB };
        g->cells[1] = (GuestCell){ .vcpus = set_of("2-3"), .memory_bytes = GIB };
        g->cgroup_cpus = set_of("2-5");
        world_decide(&w, NULL);
        assert_action(&w, g, ACTION_PIN_VCPU, 0, "2-3");
        assert_action(&w, g, ACTION_PIN_VCPU, 3, "4-5");
        world_done(&w);
}
END_TEST

static const Skip *skip_of(const World *w, const Guest *g) {
        for (size_t i = 0; i < w->plan->n_skips; i++)
                if (w->plan->skips[i].kind == ACTION_PIN_VCPU && streq(w->plan->skips[i].uuid, g->uuid))
                        return &w->plan->skips[i];
        return NULL;
}

static const struct {
        const char *name, *policy, *limit, *isolated, *strict, *text;
} skip_rows[] = {
        { "a partition of its own", POLICY("shared"), "4-5", "4-5", NULL,
          "its cgroup is an isolated cpuset partition, whose CPUs are its own: it is not pinned" },
        { "the same, dedicated", POLICY("dedicated"), "4-5", "4-5", NULL,
          "its cgroup is an isolated cpuset partition, whose CPUs are its own: it is not pinned" },
        { "CPUs that are reserved", POLICY("shared") "host: { reserved_cpus = \"0-1\"; };", "0-1", "", NULL,
          "its cgroup leaves it only CPUs that are reserved or isolated: it is not pinned" },
        { "some of both", POLICY("shared") "host: { reserved_cpus = \"3\"; };", "3-4", "4-5", NULL,
          "its cgroup leaves it only CPUs that are reserved or isolated: it is not pinned" },
        { "none of the nodes that numatune binds it to", POLICY("shared"), "0-1", "", "1",
          "its cgroup leaves it no usable CPU of the nodes it is bound to: it is not pinned" },
};

START_TEST(a_guest_that_has_no_usable_cpu_is_left_alone_and_told) {
        typeof(skip_rows[0]) *row = &skip_rows[_i];
        const Skip *skip;
        World w;
        Guest *g, *other;

        world_init(&w, NODES, row->policy);
        w.snapshot->topology->isolated = set_of(row->isolated);
        g = world_guest(&w, "guest", 2, 2 * GIB);
        other = world_guest(&w, "other", 2, 2 * GIB);
        g->cgroup_cpus = set_of(row->limit);
        if (row->strict) {
                g->numatune_mode = NUMATUNE_STRICT;
                g->numatune_nodes = set_of(row->strict);
        }
        world_decide(&w, NULL);
        ck_assert_ptr_null(world_action(&w, g, ACTION_PIN_VCPU, 0));
        ck_assert_ptr_null(world_action(&w, g, ACTION_PIN_EMULATOR, 0));
        ck_assert_ptr_nonnull(world_action(&w, other, ACTION_PIN_VCPU, 0));
        skip = skip_of(&w, g);
        ck_assert_ptr_nonnull(skip);
        ck_assert_int_eq(skip->why, SKIP_NO_CAPACITY);
        ck_assert_str_eq(skip->detail, row->text);
        world_done(&w);
}
END_TEST

START_TEST(cpus_that_became_others_own_leave_it_unpinned) {
        Guest *g, *own;
        World w;

        world_init(&w, NODES, "cpu: { policy = \"shared\"; }; guests = ( { match = { name = \"own\"; }; "
                              "cpu = { policy = \"dedicated\"; }; } );");
        g = world_guest(&w, "guest", 1, 2 * GIB);
        g->cgroup_cpus = set_of("4");
        world_decide(&w, NULL);
        assert_action(&w, g, ACTION_PIN_VCPU, 0, "4");
        world_apply(&w);
        g->cgroup_cpus = set_of("0");
        own = world_guest(&w, "own", 1, 2 * GIB);
        own->cgroup_cpus = set_of("0");
        world_decide(&w, NULL);
        assert_action(&w, own, ACTION_PIN_VCPU, 0, "0");
        assert_action(&w, g, ACTION_PIN_VCPU, 0, "0-7");
        ck_assert_str_eq(skip_of(&w, g)->detail,
                         "every usable CPU that its cgroup leaves it is dedicated to another guest: it is not pinned");
        world_done(&w);
}
END_TEST

/* Each of them would be better off on the empty node, and has one CPU there. */
START_TEST(a_move_for_load_stays_within_the_limit) {
        Guest *guests[3];
        World w;

        world_init(&w, NODES, POLICY("shared"));
        for (unsigned i = 0; i < 3; i++) {
                guests[i] = world_guest(&w, "guest", 2, 2 * GIB);
                guests[i]->cgroup_cpus = set_of("0-4");
        }
        for (unsigned i = 0; i < 100; i++) {
                for (unsigned k = 0; k < 3; k++)
                        guest_load(guests[k], 6600, 3000);
                world_settle(&w);
                for (unsigned k = 0; k < 3; k++)
                        assert_nodes(&w, guests[k], "0");
                w.snapshot->now_usec += 60 * USEC_PER_SEC;
        }
        guests[2]->cgroup_cpus = IDSET_EMPTY;
        world_decide(&w, NULL);
        assert_nodes(&w, guests[2], "1");
        world_done(&w);
}
END_TEST

int main(void) {
        Suite *s = suite_create("placement_limit");
        TCase *t = tcase_create("limit");
        SRunner *runner;
        int failed;

        tcase_add_loop_test(t, pins_stay_within_the_limit, 0, (int)ELEMENTSOF(pin_rows));
        tcase_add_test(t, pins_follow_a_limit_that_comes_later);
        tcase_add_test(t, each_cell_is_pinned_within_the_limit);
        tcase_add_loop_test(t, a_guest_that_has_no_usable_cpu_is_left_alone_and_told, 0, (int)ELEMENTSOF(skip_rows));
        tcase_add_test(t, cpus_that_became_others_own_leave_it_unpinned);
        tcase_add_test(t, a_move_for_load_stays_within_the_limit);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
