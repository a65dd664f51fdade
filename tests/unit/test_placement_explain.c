/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Explanations: for any guest that is ours to place, where it is or comes,
 * against the alternatives; and that asking changes nothing.
 */

#include "placement_util.h"

static void world_explain(World *w, const char *only_uuid) {
        PolicyInput in = { .config = w->config, .snapshot = w->snapshot, .only_uuid = only_uuid, .explain = true };

        w->plan = plan_free(w->plan);
        ck_assert_int_eq(policy_decide(&in, w->state, &w->plan), 0);
}

static const PlanPlacement *explanation(const World *w, const Guest *g) {
        for (size_t i = 0; i < w->plan->n_placements; i++)
                if (streq(w->plan->placements[i].uuid, g->uuid))
                        return &w->plan->placements[i];
        return NULL;
}

static const PlanCandidate *candidate(const PlanPlacement *p, const char *nodes) {
        ck_assert_ptr_nonnull(p);
        for (size_t i = 0; i < p->n_candidates; i++)
                if (streq(p->candidates[i].nodes, nodes))
                        return &p->candidates[i];
        ck_abort_msg("no candidate %s of %s", nodes, p->guest);
        return NULL;
}

static void assert_term(const PlanPlacement *p, const char *nodes, PlacementTerm term) {
        const PlanCandidate *c = candidate(p, nodes);

        ck_assert_msg(c->decided_by == term, "%s: %s, not %s", nodes, placement_term_to_string(c->decided_by),
                      placement_term_to_string(term));
}

START_TEST(each_rejected_node_has_the_term_that_decided) {
        const PlanPlacement *p;
        World w;
        Guest *g;

        world_init(&w, "numa:6 core:4 pu:1", SHARED OTHERS);
        g = world_guest(&w, "other-1", 1, GIB);
        g->vcpus[0].affinity = w.snapshot->topology->nodes[2].cpus;
        world_node(&w, 0)->free_bytes = GIB;
        world_node(&w, 4)->free_bytes = 8 * GIB;
        w.snapshot->host.cpus = calloc(1, sizeof(CpuLoad));
        w.snapshot->host.n_cpus = 1;
        w.snapshot->host.cpus[0] = (CpuLoad){ 20, 5000 };
        g = world_guest(&w, "guest", 2, 4 * GIB);
        g->starting = true;
        world_explain(&w, g->uuid);
        p = explanation(&w, g);
        ck_assert(p->fresh);
        ck_assert_str_eq(p->nodes, "1");
        ck_assert(p->candidates[0].chosen);
        assert_term(p, "1", TERM_NONE);
        assert_term(p, "3", TERM_NUMBER);
        assert_term(p, "4", TERM_ROOM);
        assert_term(p, "5", TERM_LOAD);
        assert_term(p, "2", TERM_COMMIT);
        assert_term(p, "0-1", TERM_SIZE);
        assert_term(p, "0", TERM_FITS);
        ck_assert(candidate(p, "0")->cpus_fit && !candidate(p, "0")->memory_fits);
        ck_assert_uint_eq(candidate(p, "2")->committed_milli, 1000);
        ck_assert_uint_eq(candidate(p, "2")->commit_permyriad, 7500);
        ck_assert_uint_eq(candidate(p, "4")->free_bytes, 8 * GIB);
        ck_assert_uint_eq(candidate(p, "5")->load_permyriad, 1200);
        ck_assert_uint_eq(candidate(p, "0-1")->distance_tenths, 200);
        world_done(&w);
}
END_TEST

START_TEST(a_guest_that_has_its_place_is_rated_as_if_it_came_anew) {
        const PlanPlacement *p;
        World w;
        Guest *g, *other;

        world_init(&w, FOUR_NODES, SHARED OTHERS);
        g = world_guest(&w, "guest", 2, 4 * GIB);
        world_decide(&w, NULL);
        assert_nodes(&w, g, "0");
        world_apply(&w);
        w.snapshot->host.cpus = calloc(4, sizeof(CpuLoad));
        w.snapshot->host.n_cpus = 4;
        for (unsigned i = 0; i < 4; i++)
                w.snapshot->host.cpus[i] = (CpuLoad){ i, 4000 };
        guest_load(g, 8000, 0);
        guest_memory(g, 0, 3 * GIB);
        guest_memory(g, 1, GIB);
        other = world_guest(&w, "other-1", 1, GIB);
        other->vcpus[0].affinity = w.snapshot->topology->nodes[0].cpus;
        world_explain(&w, NULL);
        p = explanation(&w, g);
        ck_assert(!p->fresh);
        ck_assert_str_eq(p->nodes, "0");
        ck_assert(strstr(p->text, "placed before"));
        /* The load of its node is its own, and its vCPUs are not counted twice. */
        ck_assert_uint_eq(candidate(p, "0")->load_permyriad, 0);
        ck_assert_uint_eq(candidate(p, "0")->committed_milli, 1000);
        ck_assert_uint_eq(candidate(p, "0")->remote_permyriad, 2500);
        ck_assert_uint_eq(candidate(p, "1")->remote_permyriad, 7500);
        assert_term(p, "1", TERM_HARM);
        ck_assert(!candidate(p, "1")->better);
        world_done(&w);
}
END_TEST

START_TEST(a_better_set_is_named_and_nobody_moves) {
        const PlanPlacement *p;
        Guest *g, *others[2];
        World w;

        world_init(&w, FOUR_NODES, SHARED OTHERS);
        g = world_guest(&w, "guest", 2, 4 * GIB);
        world_settle(&w);
        for (size_t i = 0; i < 2; i++) {
                others[i] = world_guest(&w, "other-1", 1, GIB);
                others[i]->vcpus[0].affinity = w.snapshot->topology->nodes[i].cpus;
        }
        world_explain(&w, NULL);
        assert_quiet(&w);
        p = explanation(&w, g);
        ck_assert(p->candidates[0].chosen);
        ck_assert_str_eq(p->candidates[0].nodes, "0");
        ck_assert(candidate(p, "2")->better);
        assert_term(p, "2", TERM_COMMIT);
        ck_assert(!candidate(p, "1")->better);
        world_done(&w);
}
END_TEST

START_TEST(a_bound_guest_is_explained_by_what_binds_it) {
        const PlanPlacement *p;
        World w;
        Guest *g;

        g = world_init_one(&w, SHARED, 1);
        g->numatune_mode = NUMATUNE_STRICT;
        g->numatune_nodes = set_of("2");
        for (unsigned round = 0; round < 2; round++) {
                world_explain(&w, NULL);
                p = explanation(&w, g);
                ck_assert_uint_eq(p->n_candidates, 4);
                ck_assert(p->candidates[0].chosen);
                ck_assert_str_eq(p->nodes, "2");
                assert_term(p, "0", TERM_BOUND);
                ck_assert(!candidate(p, "0")->better);
                world_apply(&w);
        }
        world_done(&w);
}
END_TEST

START_TEST(only_guests_that_are_ours_to_place_are_explained) {
        Guest *none, *user, *roaming, *ours;
        World w;

        world_init(&w, FOUR_NODES,
                   SHARED "guests = ( { match = { name = \"other-*\"; }; cpu = { policy = \"none\"; }; },"
                          "           { match = { name = \"roaming\"; }; numa = { policy = \"none\"; }; } );");
        none = world_guest(&w, "other-1", 1, GIB);
        user = world_guest(&w, "user", 1, GIB);
        thread_pin(&w, &user->vcpus[0], "3");
        roaming = world_guest(&w, "roaming", 1, GIB);
        ours = world_guest(&w, "ours", 1, GIB);
        world_explain(&w, NULL);
        ck_assert_ptr_null(explanation(&w, none));
        ck_assert_ptr_null(explanation(&w, user));
        ck_assert_str_eq(explanation(&w, roaming)->nodes, "");
        ck_assert_uint_eq(explanation(&w, roaming)->n_candidates, 0);
        ck_assert_uint_eq(explanation(&w, ours)->n_candidates, 4);
        /* In the order of their names. */
        ck_assert_str_eq(w.plan->placements[0].guest, "ours");
        world_done(&w);
}
END_TEST

START_TEST(many_candidates_are_bounded_and_the_chosen_one_is_among_them) {
        Guest *g, *other;
        World w;

        world_init(&w, "numa:64 core:2 pu:1", SHARED OTHERS);
        g = world_guest(&w, "guest", 1, GIB);
        world_settle(&w);
        other = world_guest(&w, "other-1", 2, GIB);
        other->vcpus[0].affinity = other->vcpus[1].affinity = w.snapshot->topology->nodes[0].cpus;
        world_explain(&w, NULL);
        ck_assert_uint_eq(explanation(&w, g)->n_candidates, PLAN_CANDIDATES_MAX);
        ck_assert_uint_eq(explanation(&w, g)->n_more, 64 - PLAN_CANDIDATES_MAX);
        ck_assert(explanation(&w, g)->candidates[0].chosen);
        ck_assert_str_eq(explanation(&w, g)->candidates[0].nodes, "0");
        ck_assert_str_eq(explanation(&w, g)->candidates[1].nodes, "1");
        world_done(&w);
}
END_TEST

/* Guests of every kind, some placed before, some not. */
static void mixed_world(World *w) {
        Guest *g;

        world_init(w, FOUR_NODES, SHARED OTHERS);
        for (unsigned i = 0; i < 12; i++) {
                g = world_guest(w, i % 5 == 0 ? "other-1" : "guest", 1 + i % 6, (1 + i % 7) * GIB);
                g->starting = i % 3 == 0;
                if (i % 2 == 0)
                        guest_memory(g, i % 4, GIB);
                if (i % 4 == 1)
                        g->numatune_mode = NUMATUNE_STRICT;
                g->numatune_nodes = set_of("1");
                if (i == 6) {
                        world_decide(w, NULL);
                        w->hold_moves = true;
                        world_apply(w);
                }
        }
}

START_TEST(asking_changes_nothing) {
        _cleanup_free_ char *asked = NULL, *not_asked = NULL, *actions = NULL, *same_actions = NULL;
        World a, b;

        mixed_world(&a);
        mixed_world(&b);
        world_explain(&a, NULL);
        world_decide(&b, NULL);
        ck_assert_uint_gt(a.plan->n_placements, 8);
        ck_assert_uint_eq(b.plan->n_placements, 0);
        ck_assert_uint_gt(a.plan->n_actions, 0);
        ck_assert_int_eq(state_format(a.state, &asked), 0);
        ck_assert_int_eq(state_format(b.state, &not_asked), 0);
        ck_assert_str_eq(asked, not_asked);
        ck_assert_int_eq(plan_format(a.plan, false, &actions), 0);
        ck_assert_int_eq(plan_format(b.plan, false, &same_actions), 0);
        *strstr(actions, "Placement (") = 0;
        ck_assert_str_eq(actions, same_actions);
        world_done(&a);
        world_done(&b);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("placement_explain");
        TCase *tc = tcase_create("placement_explain");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 120);
        tcase_add_test(tc, each_rejected_node_has_the_term_that_decided);
        tcase_add_test(tc, a_guest_that_has_its_place_is_rated_as_if_it_came_anew);
        tcase_add_test(tc, a_better_set_is_named_and_nobody_moves);
        tcase_add_test(tc, a_bound_guest_is_explained_by_what_binds_it);
        tcase_add_test(tc, only_guests_that_are_ours_to_place_are_explained);
        tcase_add_test(tc, many_candidates_are_bounded_and_the_chosen_one_is_among_them);
        tcase_add_test(tc, asking_changes_nothing);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
