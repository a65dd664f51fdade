/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory_util.h"

static World world;

static const char policy_text[] =
        "cpu: { policy = \"none\"; };\n"
        "numa: { policy = \"none\"; };\n"
        "ksm: { mode = \"off\"; };\n"
        "guests = ( { match = { name = \"db-*\"; };\n"
        "             balloon = { mode = \"target\"; target = \"75 %\"; step = \"100 %\"; }; } );\n"
        "rules = ( { name = \"night\";  when = { schedule = \"22:00-06:00\"; };\n"
        "            set = { ksm = { mode = \"on\"; }; }; },\n"
        "          { name = \"tight\";\n"
        "            when = { metric = \"host.memory.available\"; below = \"15 %\"; clear = \"25 %\"; };\n"
        "            set = { balloon = { mode = \"target\"; target = \"50 %\"; step = \"100 %\"; }; }; } );\n";

static void setup(void) {
        _cleanup_free_ char *error = NULL;

        world_init(&world);
        world.config = config_free(world.config);
        ck_assert_msg(config_load_text("test.conf", policy_text, &world.config, &error) == 0, "%s", error);
        ck_assert_int_eq(topology_load_synthetic("numa:1 core:4 pu:1", &world.snapshot->topology), 0);
        world_set_host(&world, 64 * GIB, 40 * GIB);
        world.snapshot->local_time = (LocalTime){ 2026, 11, 23, 12, 0, 0, 0 };
        world.snapshot->host.ksm = (KsmStatus){
                .present = true, .writable = true, .run = 0, .pages_to_scan = 100, .sleep_millisecs = 20,
        };
}

static void teardown(void) {
        world_done(&world);
}

static void decide(const char *only_uuid) {
        PolicyInput in = { .config = world.config, .snapshot = world.snapshot, .only_uuid = only_uuid };

        world.plan = plan_free(world.plan);
        ck_assert_int_eq(policy_decide(&in, world.state, &world.plan), 0);
}

START_TEST(each_guest_gets_its_own_settings) {
        Guest *db = world_add_guest(&world, "db-1", 4 * GIB, 4 * GIB);

        (void)world_add_guest(&world, "web-1", 4 * GIB, 4 * GIB);
        decide(NULL);
        ck_assert_uint_eq(world.plan->n_actions, 1);
        ck_assert_str_eq(world.plan->actions[0].guest, "db-1");
        ck_assert_str_eq(world.plan->actions[0].uuid, db->uuid);
        ck_assert_str_eq(world.plan->actions[0].new_value, "3221225472");
        ck_assert_str_eq(world.plan->actions[0].source, "test.conf:5");
        ck_assert_uint_eq(world.plan->n_rules, 2);
        ck_assert(!world.plan->active_rules[0] && !world.plan->active_rules[1]);
}
END_TEST

START_TEST(a_schedule_sets_the_host) {
        decide(NULL);
        ck_assert_uint_eq(world.plan->n_actions, 0);
        world.snapshot->local_time.hour = 23;
        decide(NULL);
        ck_assert(world.plan->active_rules[0]);
        ck_assert_str_eq(world_action(&world, ACTION_SET_KSM, NULL, KSM_KNOB_RUN)->new_value, "1");
        ck_assert_ptr_nonnull(strstr(world_action(&world, ACTION_SET_KSM, NULL, KSM_KNOB_RUN)->source, "night"));
        world_own_all(&world);
        world.snapshot->host.ksm.run = 1;
        world.snapshot->local_time.hour = 6;
        decide(NULL);
        ck_assert_str_eq(world_action(&world, ACTION_SET_KSM, NULL, KSM_KNOB_RUN)->new_value, "0");
}
END_TEST

START_TEST(a_threshold_sets_every_guest_and_lets_go_when_it_clears) {
        Guest *g = world_add_guest(&world, "web-1", 4 * GIB, 4 * GIB);

        world_set_host(&world, 64 * GIB, 9 * GIB);
        decide(NULL);
        ck_assert(world.plan->active_rules[1]);
        ck_assert_str_eq(find_guest_action(&world, g, ACTION_SET_BALLOON)->new_value, "2147483648");
        world_own_all(&world);
        g->current_bytes = g->stats.available_bytes = 2 * GIB;
        g->stats.usable_bytes = g->stats.unused_bytes = GIB;
        world.snapshot->now_usec += 10 * USEC_PER_SEC;
        world_set_host(&world, 64 * GIB, 12 * GIB);
        decide(NULL);
        ck_assert_uint_eq(world.plan->n_actions, 0);
        world_set_host(&world, 64 * GIB, 20 * GIB);
        decide(NULL);
        ck_assert(!world.plan->active_rules[1]);
        ck_assert_str_eq(find_guest_action(&world, g, ACTION_SET_BALLOON)->new_value, "4294967296");
}
END_TEST

START_TEST(host_comes_before_guests_balloons) {
        (void)world_add_guest(&world, "db-1", 4 * GIB, 4 * GIB);
        world.snapshot->local_time.hour = 23;
        decide(NULL);
        ck_assert_uint_eq(world.plan->n_actions, 2);
        ck_assert_int_eq(world.plan->actions[0].kind, ACTION_SET_KSM);
        ck_assert_int_eq(world.plan->actions[1].kind, ACTION_SET_BALLOON);
}
END_TEST

START_TEST(guests_that_are_gone_are_forgotten) {
        char names[8][16];

        for (int i = 0; i < 8; i++) {
                (void)snprintf(names[i], sizeof(names[i]), "db-%d", i);
                (void)world_add_guest(&world, names[i], 4 * GIB, 4 * GIB);
        }
        decide(NULL);
        world_own_all(&world);
        ck_assert_int_eq(state_put_owned(world.state, &(Owned){ .kind = ACTION_PIN_VCPU, .uuid = "never-seen",
                                                                .original = (char[]){ "0" },
                                                                .ours = (char[]){ "1" } }), 0);
        ck_assert_uint_eq(world.state->n_guests, 8);
        ck_assert_uint_eq(world.state->n_owned, 9);
        for (int i = 0; i < 8; i += 2) {
                const Guest *g = snapshot_find_guest_by_name(world.snapshot, names[i]);

                ck_assert(snapshot_remove_guest(world.snapshot, g->uuid));
        }
        decide(NULL);
        ck_assert_uint_eq(world.state->n_guests, 4);
        ck_assert_uint_eq(world.state->n_owned, 4);
        for (size_t i = 0; i < 4; i++) {
                ck_assert_str_eq(world.state->guests[i].uuid, world.snapshot->guests[i]->uuid);
                ck_assert_str_eq(world.state->owned[i].uuid, world.snapshot->guests[i]->uuid);
        }
}
END_TEST

START_TEST(the_hosts_own_knobs_survive_an_empty_host) {
        world.snapshot->local_time.hour = 23;
        decide(NULL);
        world_own_all(&world);
        world.snapshot->host.ksm.run = 1;
        decide(NULL);
        ck_assert_uint_eq(world.state->n_owned, 1);
        ck_assert_uint_eq(world.plan->n_actions, 0);
}
END_TEST

START_TEST(a_decision_for_one_guest_touches_no_other_and_no_host) {
        Guest *one = world_add_guest(&world, "db-1", 4 * GIB, 4 * GIB);

        (void)world_add_guest(&world, "db-2", 4 * GIB, 4 * GIB);
        world.snapshot->local_time.hour = 23;
        decide(one->uuid);
        ck_assert_uint_eq(world.plan->n_actions, 1);
        ck_assert_str_eq(world.plan->actions[0].guest, "db-1");
        decide("no such guest");
        ck_assert_uint_eq(world.plan->n_actions, 0);
}
END_TEST

START_TEST(the_same_input_gives_the_same_plan) {
        _cleanup_(state_freep) State *copy = NULL;
        _cleanup_(plan_freep) Plan *first = NULL;
        _cleanup_free_ char *a = NULL, *b = NULL;
        State *own = world.state;

        for (int i = 0; i < 20; i++) {
                char name[16];

                (void)snprintf(name, sizeof(name), "db-%d", i);
                (void)world_add_guest(&world, name, (uint64_t)(i + 1) * GIB, (uint64_t)(i + 1) * GIB);
        }
        ck_assert_int_eq(state_copy(own, &copy), 0);
        decide(NULL);
        first = TAKE_PTR(world.plan);
        world.state = copy;
        decide(NULL);
        world.state = own;
        ck_assert_int_eq(plan_format(first, true, &a), 0);
        ck_assert_int_eq(plan_format(world.plan, true, &b), 0);
        ck_assert_str_eq(a, b);
        ck_assert_uint_eq(first->n_actions, 20);
}
END_TEST

START_TEST(host_reserve_is_a_twentieth_but_at_most_4_gib) {
        PolicyContext c = { .config = world.config, .snapshot = world.snapshot };

        config_resolve_host(world.config, (ActiveRules){ 0 }, &c.host);
        ck_assert_uint_eq(policy_host_reserve(&c), permyriad_of(64 * GIB, 500));
        world_set_host(&world, 1024 * GIB, 0);
        ck_assert_uint_eq(policy_host_reserve(&c), 4 * GIB);
        c.host.values[KEY_HOST_RESERVED_MEMORY] = (SettingValue){ .number = GIB };
        ck_assert_uint_eq(policy_host_reserve(&c), GIB);
}
END_TEST

int main(void) {
        Suite *s = suite_create("policy");
        TCase *t = tcase_create("decide");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, each_guest_gets_its_own_settings);
        tcase_add_test(t, a_schedule_sets_the_host);
        tcase_add_test(t, a_threshold_sets_every_guest_and_lets_go_when_it_clears);
        tcase_add_test(t, host_comes_before_guests_balloons);
        tcase_add_test(t, guests_that_are_gone_are_forgotten);
        tcase_add_test(t, the_hosts_own_knobs_survive_an_empty_host);
        tcase_add_test(t, a_decision_for_one_guest_touches_no_other_and_no_host);
        tcase_add_test(t, the_same_input_gives_the_same_plan);
        tcase_add_test(t, host_reserve_is_a_twentieth_but_at_most_4_gib);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
