/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory_util.h"

static World world;
static Guest *guest;

static void setup(void) {
        world_init(&world);
        ck_assert_int_eq(topology_load_synthetic("numa:2 core:4 pu:1", &world.snapshot->topology), 0);
        world.snapshot->host.ksm = (KsmStatus){
                .present = true, .writable = true, .run = 1, .pages_to_scan = 500, .sleep_millisecs = 50,
        };
        guest = world_add_guest(&world, "g", 4 * GIB, 2 * GIB);
        ck_assert_int_eq(guest_set_vcpus(guest, 2), 0);
        ck_assert_int_eq(guest_set_iothreads(guest, 1), 0);
        ck_assert_int_eq(idset_parse("0-3", &guest->vcpus[1].affinity), 0);
}

static void teardown(void) {
        world_done(&world);
}

static void own(ActionKind kind, const char *uuid, unsigned index, const char *original, const char *ours,
                const char *previous) {
        Owned o = { .kind = kind, .index = index, .original = (char *)original, .ours = (char *)ours,
                    .previous = (char *)previous };

        (void)snprintf(o.uuid, sizeof(o.uuid), "%s", uuid);
        ck_assert_int_eq(state_put_owned(world.state, &o), 0);
}

static void restore(void) {
        world.plan = plan_free(world.plan);
        ck_assert_int_eq(policy_restore(world.snapshot, world.state, &world.plan), 0);
}

/* ---- current values ------------------------------------------------------- */

static const struct { ActionKind kind; unsigned index; int r; const char *want; } value_rows[] = {
        { ACTION_PIN_VCPU, 0, 0, "0-7" },
        { ACTION_PIN_VCPU, 1, 0, "0-3" },
        { ACTION_PIN_VCPU, 2, -ENOENT, NULL },
        { ACTION_PIN_EMULATOR, 0, 0, "4" },
        { ACTION_PIN_IOTHREAD, 0, 0, "0-7" },
        { ACTION_PIN_IOTHREAD, 1, -ENOENT, NULL },
        { ACTION_SET_NODESET, 0, 0, "1" },
        { ACTION_MOVE_MEMORY, 0, -ENODATA, NULL },
        { ACTION_SET_BALLOON, 0, 0, "2147483648" },
        { ACTION_SET_STATS_PERIOD, 0, 0, "10" },
        { ACTION_SET_VCPUS, 0, 0, "2" },
        { ACTION_SET_KSM, KSM_KNOB_RUN, 0, "1" },
        { ACTION_SET_KSM, KSM_KNOB_PAGES_TO_SCAN, 0, "500" },
        { ACTION_SET_KSM, KSM_KNOB_SLEEP_MILLISECS, 0, "50" },
        { ACTION_SET_KSM, 17, -ENODATA, NULL },
};

START_TEST(current_value_is_what_the_snapshot_shows) {
        _cleanup_free_ char *text = NULL;

        guest->emulator.pinned = true;
        guest->emulator.pin = idset_of(4);
        guest->numatune_nodes = idset_of(1);
        ck_assert_int_eq(policy_current_value(world.snapshot, value_rows[_i].kind, guest->uuid, value_rows[_i].index,
                                              &text), value_rows[_i].r);
        ck_assert_msg(streq_ptr(text, value_rows[_i].want), "got %s", text ? text : "nothing");
}
END_TEST

START_TEST(values_not_known_are_errors) {
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(policy_current_value(world.snapshot, ACTION_SET_BALLOON, "nobody", 0, &text), -ENOENT);
        guest->current_bytes = UNKNOWN_U64;
        ck_assert_int_eq(policy_current_value(world.snapshot, ACTION_SET_BALLOON, guest->uuid, 0, &text), -ENODATA);
        world.snapshot->host.ksm.present = false;
        ck_assert_int_eq(policy_current_value(world.snapshot, ACTION_SET_KSM, "", 0, &text), -ENODATA);
        world.snapshot->topology = topology_free(world.snapshot->topology);
        ck_assert_int_eq(policy_current_value(world.snapshot, ACTION_PIN_VCPU, guest->uuid, 0, &text), -ENODATA);
        ck_assert_ptr_null(text);
}
END_TEST

START_TEST(memory_nodes_are_those_with_memory) {
        _cleanup_free_ char *text = NULL;

        guest->node_memory = calloc(3, sizeof(*guest->node_memory));
        guest->n_node_memory = 3;
        guest->node_memory[0] = (GuestNodeMemory){ .node = 0, .bytes = 0 };
        guest->node_memory[1] = (GuestNodeMemory){ .node = 1, .bytes = 5 };
        guest->node_memory[2] = (GuestNodeMemory){ .node = 5, .bytes = 7 };
        ck_assert_int_eq(policy_current_value(world.snapshot, ACTION_MOVE_MEMORY, guest->uuid, 0, &text), 0);
        ck_assert_str_eq(text, "1,5");
}
END_TEST

/* ---- still ours ------------------------------------------------------------ */

static const struct {
        const char *name;
        ActionKind kind;
        const char *original, *ours, *previous, *current;
        bool want;
} ours_rows[] = {
        { "number", ACTION_SET_KSM, "0", "1", NULL, "1", true },
        { "another number", ACTION_SET_KSM, "0", "1", NULL, "2", false },
        { "somebody set the original again", ACTION_SET_KSM, "0", "1", NULL, "0", false },
        { "recorded, not done", ACTION_SET_KSM, "0", "2", "1", "1", true },
        { "same CPUs", ACTION_PIN_VCPU, "0-7", "0-3", NULL, "0-3", true },
        { "same CPUs in another writing", ACTION_PIN_VCPU, "0-7", "0-3", NULL, "0,1,2,3", true },
        { "fewer CPUs", ACTION_PIN_VCPU, "0-7", "0-3", NULL, "0-2", false },
        { "previous CPUs", ACTION_PIN_VCPU, "0-7", "0-3", "4-7", "4-7", true },
        { "CPU 9 is offline", ACTION_PIN_EMULATOR, "0-7", "0-3,9", NULL, "0-3", true },
        { "all of our CPUs are offline", ACTION_PIN_IOTHREAD, "0-7", "9-12", NULL, "0-7", true },
        { "not a list", ACTION_PIN_VCPU, "0-7", "0-3", NULL, "x", false },
        { "same nodes", ACTION_SET_NODESET, "0-1", "1", NULL, "1", true },
        { "other nodes", ACTION_SET_NODESET, "0-1", "1", NULL, "0", false },
        { "a node that is not online counts", ACTION_SET_NODESET, "0-1", "1,9", NULL, "1", false },
        { "balloon there", ACTION_SET_BALLOON, "4294967296", "2147483648", NULL, "2147483648", true },
        { "balloon 1 MiB short", ACTION_SET_BALLOON, "4294967296", "2147483648", NULL, "2146435072", true },
        { "balloon further away", ACTION_SET_BALLOON, "4294967296", "2147483648", NULL, "2145386496", false },
        { "balloon on its way", ACTION_SET_BALLOON, "4294967296", "2147483648", NULL, "3221225472", true },
        { "balloon above the original", ACTION_SET_BALLOON, "4294967296", "2147483648", NULL, "4297064448", false },
        { "balloon between two of ours", ACTION_SET_BALLOON, "4294967296", "2147483648", "1073741824", "1500000000",
          true },
        { "balloon, nonsense", ACTION_SET_BALLOON, "4294967296", "2147483648", NULL, "-1", false },
};

START_TEST(a_knob_is_ours_while_it_holds_what_we_gave) {
        Owned o = { .kind = ours_rows[_i].kind, .original = (char *)ours_rows[_i].original,
                    .ours = (char *)ours_rows[_i].ours, .previous = (char *)ours_rows[_i].previous };

        ck_assert_msg(policy_still_ours(world.snapshot, &o, ours_rows[_i].current) == ours_rows[_i].want, "%s",
                      ours_rows[_i].name);
}
END_TEST

static const struct { uint64_t seen, target, before, current; bool want; } way_rows[] = {
        { 4 * GIB, 2 * GIB, 0, 3 * GIB, true },
        { 4 * GIB, 2 * GIB, 0, 4 * GIB + 2 * MIB, false },
        { 4 * GIB, 2 * GIB, 5 * GIB, 4 * GIB + 2 * MIB, true },
        { 4 * GIB, 2 * GIB, 5 * GIB, 5 * GIB + 2 * MIB, false },
        { 4 * GIB, 2 * GIB, 0, 2 * GIB - MIB, true },
        { 2 * GIB, 4 * GIB, 0, 2 * GIB - 2 * MIB, false },
        { 2 * GIB, 4 * GIB, GIB, GIB, true },
        { 2 * GIB, 4 * GIB, GIB, GIB - 2 * MIB, false },
        { 2 * GIB, 0, GIB, 2 * GIB, false },
        { UINT64_MAX, UINT64_MAX, 0, UINT64_MAX, true },
};

START_TEST(a_balloon_is_on_its_way_between_last_look_and_target) {
        GuestMemo m = { .balloon_seen_bytes = way_rows[_i].seen, .balloon_target_bytes = way_rows[_i].target,
                        .balloon_before_bytes = way_rows[_i].before };

        ck_assert_int_eq(policy_balloon_on_its_way(&m, way_rows[_i].current), way_rows[_i].want);
}
END_TEST

/* ---- giving back ------------------------------------------------------------ */

START_TEST(everything_of_ours_is_given_back_in_a_safe_order) {
        static const ActionKind order[] = {
                ACTION_PIN_VCPU, ACTION_SET_BALLOON, ACTION_SET_BALLOON, ACTION_SET_STATS_PERIOD,
                ACTION_SET_VCPUS, ACTION_SET_NODESET, ACTION_SET_KSM, ACTION_SET_KSM, ACTION_SET_KSM,
        };
        Guest *grown = world_add_guest(&world, "a-grown", 4 * GIB, 4 * GIB);

        guest->numatune_nodes = idset_of(1);
        own(ACTION_SET_KSM, "", KSM_KNOB_RUN, "0", "1", NULL);
        own(ACTION_SET_KSM, "", KSM_KNOB_PAGES_TO_SCAN, "100", "500", NULL);
        own(ACTION_SET_KSM, "", KSM_KNOB_SLEEP_MILLISECS, "20", "50", "60");
        own(ACTION_PIN_VCPU, guest->uuid, 1, "0-7", "0-3", NULL);
        own(ACTION_SET_NODESET, guest->uuid, 0, "0-1", "1", NULL);
        own(ACTION_SET_BALLOON, guest->uuid, 0, "4294967296", "2147483648", NULL);
        own(ACTION_SET_BALLOON, grown->uuid, 0, "2147483648", "4294967296", NULL);
        own(ACTION_SET_STATS_PERIOD, guest->uuid, 0, "0", "10", NULL);
        own(ACTION_SET_VCPUS, guest->uuid, 0, "1", "2", NULL);
        restore();
        ck_assert_uint_eq(world.plan->n_actions, ELEMENTSOF(order));
        ck_assert_uint_eq(world.plan->n_skips, 0);
        for (size_t i = 0; i < ELEMENTSOF(order); i++)
                ck_assert_int_eq(world.plan->actions[i].kind, order[i]);
        ck_assert_str_eq(world.plan->actions[1].new_value, "4294967296");
        ck_assert_str_eq(world.plan->actions[1].old_value, "2147483648");
        ck_assert_str_eq(world.plan->actions[2].guest, "a-grown");
        ck_assert_uint_eq(world.plan->actions[8].index, KSM_KNOB_RUN);
        ck_assert_str_eq(world.plan->actions[8].new_value, "0");
        ck_assert_uint_eq(world.state->n_owned, ELEMENTSOF(order));
}
END_TEST

START_TEST(what_somebody_else_changed_stays) {
        own(ACTION_SET_KSM, "", KSM_KNOB_PAGES_TO_SCAN, "100", "900", NULL);
        own(ACTION_PIN_VCPU, guest->uuid, 1, "0-7", "4-7", NULL);
        restore();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_uint_eq(world.plan->n_skips, 2);
        for (size_t i = 0; i < 2; i++)
                ck_assert_int_eq(world.plan->skips[i].why, SKIP_TAKEN_OVER);
}
END_TEST

START_TEST(what_holds_the_original_needs_nothing) {
        own(ACTION_SET_KSM, "", KSM_KNOB_RUN, "1", "0", NULL);
        own(ACTION_PIN_VCPU, guest->uuid, 1, "0-3,9", "4-7", NULL);
        own(ACTION_SET_BALLOON, guest->uuid, 0, "2147483648", "1073741824", NULL);
        restore();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_uint_eq(world.plan->n_skips, 0);
}
END_TEST

/* CPU 9 is offline. What the kernel allows vCPU 1 is the same for ours and for a pin of somebody else's. */
static const struct {
        const char *name;
        const char *original, *ours, *pin, *affinity;
        bool open;                      /* libvirt may yet make it ours */
        size_t n_actions;
        SkipReason why;
} pinned_rows[] = {
        { "ours", "0-7", "0-3,9", "0-3,9", "0-3", false, 1, 0 },
        { "what is online of ours", "0-7", "0-3,9", "0-3", "0-3", false, 0, SKIP_TAKEN_OVER },
        { "ours, of which nothing is online", "0-3", "9", "9", "0-7", false, 1, 0 },
        { "elsewhere, and nothing is online of ours", "0-3", "9", "2", "2", false, 0, SKIP_TAKEN_OVER },
        { "the original, ours may yet come", "0-3,9", "4-7", "0-3,9", "0-3", true, 1, 0 },
        { "the original as it was seen, ours may yet come", "0-3", "4-7", "0-3,9", "0-3", true, 1, 0 },
        { "what is online of the original, ours may yet come", "0-3,9", "4-7", "0-3", "0-3", true, 0, SKIP_UNKNOWN },
};

START_TEST(a_pin_that_somebody_else_set_stays_though_its_online_cpus_are_ours) {
        GuestMemo *memo;

        world.snapshot->now_usec = USEC_PER_HOUR;
        own(ACTION_PIN_VCPU, guest->uuid, 1, pinned_rows[_i].original, pinned_rows[_i].ours, NULL);
        ck_assert_int_eq(state_guest(world.state, guest->uuid, &memo), 0);
        memo->calls_open_usec = pinned_rows[_i].open ? world.snapshot->now_usec : 0;
        guest->vcpus[1].pinned = true;
        ck_assert_int_eq(idset_parse(pinned_rows[_i].pin, &guest->vcpus[1].pin), 0);
        ck_assert_int_eq(idset_parse(pinned_rows[_i].affinity, &guest->vcpus[1].affinity), 0);
        restore();
        ck_assert_uint_eq(world.plan->n_actions, pinned_rows[_i].n_actions);
        ck_assert_uint_eq(world.plan->n_skips, 1 - pinned_rows[_i].n_actions);
        if (world.plan->n_skips > 0)
                ck_assert_int_eq(world.plan->skips[0].why, pinned_rows[_i].why);
}
END_TEST

START_TEST(a_gone_guest_or_thread_needs_nothing) {
        own(ACTION_SET_BALLOON, "00000000-0000-0000-0000-000000000000", 0, "1", "2", NULL);
        own(ACTION_PIN_VCPU, guest->uuid, 7, "0-7", "0-3", NULL);
        restore();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_uint_eq(world.plan->n_skips, 0);
}
END_TEST

START_TEST(what_cannot_be_seen_is_said) {
        world.snapshot->host.ksm.present = false;
        own(ACTION_SET_KSM, "", KSM_KNOB_RUN, "0", "1", NULL);
        restore();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_int_eq(world.plan->skips[0].why, SKIP_UNKNOWN);
}
END_TEST

START_TEST(the_kernels_advisor_keeps_its_page_count) {
        (void)snprintf(world.snapshot->host.ksm.advisor_mode, 16, "scan-time");
        own(ACTION_SET_KSM, "", KSM_KNOB_PAGES_TO_SCAN, "100", "500", NULL);
        restore();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_int_eq(world.plan->skips[0].why, SKIP_UNAVAILABLE);
}
END_TEST

static const struct { const char *name; uint64_t target, seen; bool restored; } balloon_rows[] = {
        { "arrived at 1 GiB and is at 2 GiB: theirs", 0, GIB, false },
        { "on its way to 1 GiB: ours", GIB, 4 * GIB, true },
};

START_TEST(a_balloon_that_left_its_place_is_not_given_back) {
        GuestMemo *memo;

        own(ACTION_SET_BALLOON, guest->uuid, 0, "4294967296", "1073741824", NULL);
        ck_assert_int_eq(state_guest(world.state, guest->uuid, &memo), 0);
        memo->balloon_set_usec = 1;
        memo->balloon_target_bytes = balloon_rows[_i].target;
        memo->balloon_seen_bytes = balloon_rows[_i].seen;
        restore();
        ck_assert_msg((world.plan->n_actions == 1) == balloon_rows[_i].restored, "%s", balloon_rows[_i].name);
        ck_assert_uint_eq(world.plan->n_actions + world.plan->n_skips, 1);
}
END_TEST

/* By a user, or by a reboot, after which QEMU has our request: asking for what it has is right for both. */
START_TEST(a_balloon_that_is_where_it_came_from_is_called_back) {
        GuestMemo *memo;

        own(ACTION_SET_BALLOON, guest->uuid, 0, "2147483648", "1073741824", NULL);
        ck_assert_int_eq(state_guest(world.state, guest->uuid, &memo), 0);
        memo->balloon_set_usec = 1;
        restore();
        ck_assert_uint_eq(world.plan->n_actions, 1);
        ck_assert_str_eq(world.plan->actions[0].new_value, "2147483648");
}
END_TEST

START_TEST(a_balloon_that_has_not_moved_yet_is_called_back) {
        GuestMemo *memo;

        own(ACTION_SET_BALLOON, guest->uuid, 0, "2147483648", "1073741824", NULL);
        ck_assert_int_eq(state_guest(world.state, guest->uuid, &memo), 0);
        memo->balloon_set_usec = 1;
        memo->balloon_target_bytes = GIB;
        memo->balloon_seen_bytes = 2 * GIB;
        restore();
        ck_assert_uint_eq(world.plan->n_actions, 1);
        ck_assert_str_eq(world.plan->actions[0].new_value, "2147483648");
}
END_TEST

/* It was asked to stay what it is before it had moved: which request QEMU has nobody saw. */
START_TEST(a_balloon_that_was_to_stay_is_called_back) {
        GuestMemo *memo;

        own(ACTION_SET_BALLOON, guest->uuid, 0, "2147483648", "2147483648", "1073741824");
        ck_assert_int_eq(state_guest(world.state, guest->uuid, &memo), 0);
        memo->balloon_set_usec = 1;
        memo->balloon_seen_bytes = 2 * GIB;
        restore();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        memo->balloon_before_bytes = GIB;
        restore();
        ck_assert_uint_eq(world.plan->n_actions, 1);
        ck_assert_str_eq(world.plan->actions[0].new_value, "2147483648");
}
END_TEST

/* Asked to be what it was, and so it is; but libvirt may make another request afterwards that came before. */
static const struct { const char *name; uint64_t open_before_usec; size_t actions; } asked_rows[] = {
        { "libvirt may still make it", 10 * USEC_PER_SEC, 1 },
        { "nothing can come of it any more", 10 * USEC_PER_MINUTE, 0 },
};

START_TEST(a_balloon_that_libvirt_may_yet_send_away_is_asked_for_again) {
        GuestMemo *memo;

        world.snapshot->now_usec = USEC_PER_HOUR;
        own(ACTION_SET_BALLOON, guest->uuid, 0, "2147483648", "2147483648", "1073741824");
        ck_assert_int_eq(state_guest(world.state, guest->uuid, &memo), 0);
        memo->balloon_set_usec = 1;
        memo->balloon_target_bytes = memo->balloon_seen_bytes = 2 * GIB;
        memo->calls_open_usec = world.snapshot->now_usec - asked_rows[_i].open_before_usec;
        restore();
        ck_assert_msg(world.plan->n_actions == asked_rows[_i].actions, "%s", asked_rows[_i].name);
}
END_TEST

int main(void) {
        Suite *s = suite_create("policy_restore");
        TCase *t = tcase_create("restore");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_loop_test(t, current_value_is_what_the_snapshot_shows, 0, ELEMENTSOF(value_rows));
        tcase_add_test(t, values_not_known_are_errors);
        tcase_add_test(t, memory_nodes_are_those_with_memory);
        tcase_add_loop_test(t, a_knob_is_ours_while_it_holds_what_we_gave, 0, ELEMENTSOF(ours_rows));
        tcase_add_loop_test(t, a_balloon_is_on_its_way_between_last_look_and_target, 0, ELEMENTSOF(way_rows));
        tcase_add_test(t, everything_of_ours_is_given_back_in_a_safe_order);
        tcase_add_test(t, what_somebody_else_changed_stays);
        tcase_add_test(t, what_holds_the_original_needs_nothing);
        tcase_add_loop_test(t, a_pin_that_somebody_else_set_stays_though_its_online_cpus_are_ours, 0,
                            ELEMENTSOF(pinned_rows));
        tcase_add_test(t, a_gone_guest_or_thread_needs_nothing);
        tcase_add_test(t, what_cannot_be_seen_is_said);
        tcase_add_test(t, the_kernels_advisor_keeps_its_page_count);
        tcase_add_loop_test(t, a_balloon_that_left_its_place_is_not_given_back, 0, ELEMENTSOF(balloon_rows));
        tcase_add_test(t, a_balloon_that_is_where_it_came_from_is_called_back);
        tcase_add_test(t, a_balloon_that_has_not_moved_yet_is_called_back);
        tcase_add_test(t, a_balloon_that_was_to_stay_is_called_back);
        tcase_add_loop_test(t, a_balloon_that_libvirt_may_yet_send_away_is_asked_for_again, 0,
                            ELEMENTSOF(asked_rows));
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
