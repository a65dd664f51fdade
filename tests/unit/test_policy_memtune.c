/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Memory limits: what a setting asks for, what is too low to be set, the order
 * that libvirt wants, whose limit it is, and giving it back.
 */

#include "placement_util.h"

#define NONE UINT64_MAX

static World world;
static Guest *guest;

static void setup(void) {
        world_init(&world, "core:4 pu:1", "");
        guest = world_guest(&world, "g", 2, 4 * GIB);
        guest->rss_bytes = 1 * GIB;
}

static void teardown(void) {
        world_done(&world);
}

static void configure(const char *memtune) {
        char text[256];

        (void)snprintf(text, sizeof(text), "memtune: { %s };", memtune);
        world_configure(&world, text);
}

/* What libvirt does, and what it refuses: qemuDomainSetMemoryParameters(). */
static void put(const Action *a) {
        uint64_t hard, swap;

        policy_memtune_note(guest, (MemtuneKnob)a->index, a->new_value);
        hard = policy_memtune_value(guest, MEMTUNE_KNOB_HARD_LIMIT);
        swap = policy_memtune_value(guest, MEMTUNE_KNOB_SWAP_HARD_LIMIT);
        ck_assert_msg(hard <= swap, "libvirt refuses %s", a->new_value);
}

/* As the daemon: own, do, disown what was given back. */
static void carry_out(void) {
        for (size_t i = 0; i < world.plan->n_actions; i++) {
                const Action *a = &world.plan->actions[i];
                const Owned *o = state_find_owned(world.state, a->kind, a->uuid, a->index);

                ck_assert_int_eq(a->kind, ACTION_SET_MEMTUNE);
                ck_assert_str_eq(a->uuid, guest->uuid);
                put(a);
                if (o && streq(o->original, a->new_value))
                        state_disown(world.state, a->kind, a->uuid, a->index);
                else
                        ck_assert_int_eq(state_own(world.state, a), 0);
        }
}

static void decide(void) {
        world.snapshot->now_usec += USEC_PER_MINUTE;
        world_decide(&world, NULL);
}

static void decide_and_do(void) {
        decide();
        carry_out();
}

static void assert_limits(uint64_t hard, uint64_t swap, uint64_t soft) {
        ck_assert_uint_eq(policy_memtune_value(guest, MEMTUNE_KNOB_HARD_LIMIT), hard);
        ck_assert_uint_eq(policy_memtune_value(guest, MEMTUNE_KNOB_SWAP_HARD_LIMIT), swap);
        ck_assert_uint_eq(policy_memtune_value(guest, MEMTUNE_KNOB_SOFT_LIMIT), soft);
}

static void assert_skip(SkipReason why) {
        ck_assert_uint_eq(world.plan->n_skips, 1);
        ck_assert_int_eq(world.plan->skips[0].kind, ACTION_SET_MEMTUNE);
        ck_assert_msg(world.plan->skips[0].why == why, "%s", world.plan->skips[0].detail);
}

/* 4 GiB, 2 % of it, two vCPUs, 256 MiB, rounded up to 64 KiB. */
#define LEAST (4 * GIB + 80 * MIB + 2 * MIB - 64 * KIB + 16 * MIB + 256 * MIB)

/* ---- one decision ---- */

static const struct {
        const char *name, *memtune;
        uint64_t hard, swap, soft;      /* afterwards */
        SkipReason why;                 /* _SKIP_REASON_MAX: none */
        uint64_t had_hard, had_swap;    /* before; 0: none */
        uint64_t rss;                   /* 0: 1 GiB */
        bool hugepages, vfio, locked, migrating;
} rows[] = {
        { "nothing by default", "", NONE, NONE, NONE, _SKIP_REASON_MAX, .had_hard = 0 },
        { "keep", "hard_limit = \"keep\"; soft_limit = \"keep\";", 5 * GIB, NONE, NONE, _SKIP_REASON_MAX,
          .had_hard = 5 * GIB },
        { "a size", "hard_limit = \"5 GiB\";", 5 * GIB, NONE, NONE, _SKIP_REASON_MAX, .had_hard = 0 },
        { "a share", "hard_limit = \"150 %\";", 6 * GIB, NONE, NONE, _SKIP_REASON_MAX, .had_hard = 0 },
        { "auto", "hard_limit = \"auto\";", LEAST, NONE, NONE, _SKIP_REASON_MAX, .had_hard = 0 },
        { "auto with a device", "hard_limit = \"auto\";", LEAST + GIB, NONE, NONE, _SKIP_REASON_MAX, .vfio = true },
        { "auto, locked", "hard_limit = \"auto\";", LEAST + GIB, NONE, NONE, _SKIP_REASON_MAX, .locked = true },
        { "no memory beside the guest's", "hard_limit = \"100 %\";", NONE, NONE, NONE, SKIP_UNSAFE, .had_hard = 0 },
        { "enough, but for the device", "hard_limit = \"5 GiB\";", NONE, NONE, NONE, SKIP_UNSAFE, .vfio = true },
        { "too low also when it was lower", "hard_limit = \"4 GiB\";", 2 * GIB, NONE, NONE, SKIP_UNSAFE,
          .had_hard = 2 * GIB },
        { "QEMU has grown beyond", "hard_limit = \"5 GiB\";", NONE, NONE, NONE, SKIP_UNSAFE, .rss = 5 * GIB },
        { "QEMU has grown close", "hard_limit = \"5 GiB\";", NONE, NONE, NONE, SKIP_UNSAFE,
          .rss = 5 * GIB - 140 * MIB },
        { "there is room", "hard_limit = \"5 GiB\";", 5 * GIB, NONE, NONE, _SKIP_REASON_MAX,
          .rss = 5 * GIB - 150 * MIB },
        { "resident memory not known", "hard_limit = \"5 GiB\";", NONE, NONE, NONE, SKIP_UNKNOWN,
          .rss = UNKNOWN_U64 },
        { "both", "hard_limit = \"5 GiB\"; swap_hard_limit = \"6 GiB\";", 5 * GIB, 6 * GIB, NONE, _SKIP_REASON_MAX,
          .had_hard = 0 },
        { "both rise", "hard_limit = \"8 GiB\"; swap_hard_limit = \"9 GiB\";", 8 * GIB, 9 * GIB, NONE,
          _SKIP_REASON_MAX, .had_hard = 5 * GIB, .had_swap = 6 * GIB },
        { "both fall", "hard_limit = \"5 GiB\"; swap_hard_limit = \"6 GiB\";", 5 * GIB, 6 * GIB, NONE,
          _SKIP_REASON_MAX, .had_hard = 8 * GIB, .had_swap = 9 * GIB },
        { "swap without a hard limit", "swap_hard_limit = \"6 GiB\";", NONE, NONE, NONE, SKIP_UNSAFE, .had_hard = 0 },
        { "swap with the user's", "swap_hard_limit = \"6 GiB\";", 5 * GIB, 6 * GIB, NONE, _SKIP_REASON_MAX,
          .had_hard = 5 * GIB },
        { "swap below it", "hard_limit = \"6 GiB\"; swap_hard_limit = \"5 GiB\";", 6 * GIB, NONE, NONE, SKIP_UNSAFE,
          .had_hard = 0 },
        { "above the user's swap", "hard_limit = \"8 GiB\";", 5 * GIB, 6 * GIB, NONE, SKIP_UNSAFE,
          .had_hard = 5 * GIB, .had_swap = 6 * GIB },
        { "soft", "soft_limit = \"50 %\";", NONE, NONE, 2 * GIB, _SKIP_REASON_MAX, .had_hard = 0 },
        { "soft, huge pages", "soft_limit = \"50 %\";", NONE, NONE, NONE, SKIP_HUGEPAGES, .hugepages = true },
        { "soft, a device", "soft_limit = \"50 %\";", NONE, NONE, NONE, SKIP_VFIO, .vfio = true },
        { "soft, locked", "soft_limit = \"50 %\";", NONE, NONE, NONE, SKIP_LOCKED, .locked = true },
        { "migrating", "hard_limit = \"5 GiB\";", NONE, NONE, NONE, SKIP_MIGRATING, .migrating = true },
        { "one of two", "hard_limit = \"1 GiB\"; soft_limit = \"2 GiB\";", NONE, NONE, 2 * GIB, SKIP_UNSAFE,
          .had_hard = 0 },
};

START_TEST(a_limit_is_set_or_the_reason_said) {
        configure(rows[_i].memtune);
        guest->hard_limit_bytes = rows[_i].had_hard;
        guest->swap_hard_limit_bytes = rows[_i].had_swap;
        if (rows[_i].rss)
                guest->rss_bytes = rows[_i].rss;
        guest->hugepages = rows[_i].hugepages;
        guest->vfio = rows[_i].vfio;
        guest->locked = rows[_i].locked;
        guest->migrating = rows[_i].migrating;
        decide_and_do();
        assert_limits(rows[_i].hard, rows[_i].swap, rows[_i].soft);
        if (rows[_i].why == _SKIP_REASON_MAX)
                ck_assert_uint_eq(world.plan->n_skips, 0);
        else
                assert_skip(rows[_i].why);
        decide();
        ck_assert_uint_eq(world.plan->n_actions, 0);
}
END_TEST

START_TEST(only_the_guest_that_is_asked_for) {
        const Guest *other = world_guest(&world, "other", 1, GIB);

        configure("hard_limit = \"8 GiB\";");
        other = snapshot_find_guest(world.snapshot, other->uuid);
        ((Guest *)other)->rss_bytes = GIB;
        world_decide(&world, guest->uuid);
        ck_assert_uint_eq(world.plan->n_actions, 1);
        ck_assert_str_eq(world.plan->actions[0].uuid, guest->uuid);
        ck_assert_int_eq(state_find_guest(world.state, guest->uuid)->memtune_watched, true);
}
END_TEST

/* ---- giving back ---- */

START_TEST(keep_gives_back_in_an_order_that_libvirt_takes) {
        configure("hard_limit = \"5 GiB\"; swap_hard_limit = \"6 GiB\"; soft_limit = \"2 GiB\";");
        decide_and_do();
        ck_assert_uint_eq(world.state->n_owned, 3);
        configure("");
        decide_and_do();
        assert_limits(NONE, NONE, NONE);
        ck_assert_uint_eq(world.state->n_owned, 0);
}
END_TEST

START_TEST(a_lower_limit_from_before_waits_until_there_is_room) {
        guest->hard_limit_bytes = 2 * GIB;
        configure("hard_limit = \"5 GiB\";");
        decide_and_do();
        guest->rss_bytes = 2 * GIB;
        configure("");
        decide();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        assert_skip(SKIP_UNSAFE);
        ck_assert_uint_eq(world.state->n_owned, 1);
        guest->rss_bytes = 1 * GIB;
        decide_and_do();
        assert_limits(2 * GIB, NONE, NONE);
        ck_assert_uint_eq(world.state->n_owned, 0);
}
END_TEST

static void restore(void) {
        world.plan = plan_free(world.plan);
        ck_assert_int_eq(policy_restore(world.snapshot, world.state, &world.plan), 0);
}

START_TEST(restore_puts_all_back_in_order) {
        uint64_t hard = _i == 0 ? 0 : 8 * GIB, swap = _i == 0 ? 0 : 9 * GIB;

        guest->hard_limit_bytes = hard;
        guest->swap_hard_limit_bytes = swap;
        configure(_i < 2 ? "hard_limit = \"5 GiB\"; swap_hard_limit = \"6 GiB\"; soft_limit = \"2 GiB\";"
                         : "hard_limit = \"16 GiB\"; swap_hard_limit = \"18 GiB\";");
        decide_and_do();
        restore();
        ck_assert_uint_eq(world.plan->n_skips, 0);
        carry_out();
        assert_limits(hard ?: NONE, swap ?: NONE, NONE);
        ck_assert_uint_eq(world.state->n_owned, 0);
}
END_TEST

START_TEST(restore_does_not_kill_a_guest) {
        guest->hard_limit_bytes = 2 * GIB;
        configure("hard_limit = \"5 GiB\";");
        decide_and_do();
        guest->rss_bytes = 2 * GIB;
        restore();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        assert_skip(SKIP_UNSAFE);
}
END_TEST

/* ---- whose it is ---- */

START_TEST(somebody_elses_limit_is_theirs_until_reload) {
        configure("hard_limit = \"5 GiB\"; soft_limit = \"2 GiB\";");
        decide_and_do();
        guest->hard_limit_bytes = 7 * GIB;
        decide();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        assert_skip(SKIP_TAKEN_OVER);
        decide();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        assert_skip(SKIP_TAKEN_OVER);
        restore();
        ck_assert_uint_eq(world.plan->n_actions, 1);
        ck_assert_uint_eq(world.plan->actions[0].index, MEMTUNE_KNOB_SOFT_LIMIT);
        state_find_guest(world.state, guest->uuid)->memtune_taken = 0;
        decide_and_do();
        assert_limits(5 * GIB, NONE, 2 * GIB);
}
END_TEST

/* libvirt has not answered yet: what was there before is not somebody else's doing. */
START_TEST(a_limit_that_was_asked_for_is_not_taken_over) {
        configure("hard_limit = \"5 GiB\";");
        decide();
        ck_assert_int_eq(state_own(world.state, &world.plan->actions[0]), 0);
        world.snapshot->now_usec += USEC_PER_SEC;
        world_decide(&world, NULL);
        ck_assert_uint_eq(world.plan->n_skips, 0);
        ck_assert_uint_eq(world.state->n_owned, 1);
        /* Nor has it much later, and putting back puts that back, too. */
        world.snapshot->now_usec += USEC_PER_HOUR;
        state_find_guest(world.state, guest->uuid)->calls_open_usec = world.snapshot->now_usec;
        world_decide(&world, NULL);
        ck_assert_uint_eq(world.plan->n_skips, 0);
        ck_assert_uint_eq(world.state->n_owned, 1);
        restore();
        ck_assert_uint_eq(world.plan->n_actions, 1);
        /* Now it has. */
        decide();
        assert_skip(SKIP_TAKEN_OVER);
}
END_TEST

/*
 * A call of ours may still come to be, on top of what is there now: for as long the limit stays on record, whoever set
 * it and whatever is wanted by then.
 */
static const struct {
        const char *name, *memtune;
        uint64_t hard, later_usec;
        bool open, owned, taken;
} open_rows[] = {
        { "somebody else's", "hard_limit = \"5 GiB\";", 7 * GIB, USEC_PER_HOUR, true, true, true },
        { "somebody else's, and none is under way", "hard_limit = \"5 GiB\";", 7 * GIB, USEC_PER_HOUR, false, false,
          true },
        { "kept, as before", "", 0, USEC_PER_HOUR, true, true, false },
        { "kept, as before, and none is under way", "", 0, USEC_PER_HOUR, false, false, true },
        { "kept, as before, and it was refused just now", "", 0, USEC_PER_SEC, false, false, false },
};

START_TEST(a_limit_that_may_come_to_be_stays_on_record) {
        configure("hard_limit = \"5 GiB\";");
        decide();
        ck_assert_int_eq(state_own(world.state, &world.plan->actions[0]), 0);
        guest->hard_limit_bytes = open_rows[_i].hard;
        configure(open_rows[_i].memtune);
        world.snapshot->now_usec += open_rows[_i].later_usec;
        if (open_rows[_i].open)
                state_find_guest(world.state, guest->uuid)->calls_open_usec = world.snapshot->now_usec;
        world_decide(&world, NULL);
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_uint_eq(world.plan->n_skips, open_rows[_i].taken);
        ck_assert_uint_eq(world.state->n_owned, open_rows[_i].owned);
        assert_limits(open_rows[_i].hard ?: NONE, NONE, NONE);
}
END_TEST

START_TEST(a_change_that_was_never_made_is_made_now) {
        configure("hard_limit = \"5 GiB\";");
        decide();
        ck_assert_int_eq(state_own(world.state, &world.plan->actions[0]), 0);
        state_find_guest(world.state, guest->uuid)->memtune_adopted = true;
        decide_and_do();
        ck_assert_uint_eq(world.plan->n_skips, 0);
        assert_limits(5 * GIB, NONE, NONE);
}
END_TEST

int main(void) {
        Suite *s = suite_create("policy_memtune");
        TCase *t = tcase_create("all");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_loop_test(t, a_limit_is_set_or_the_reason_said, 0, (int)ELEMENTSOF(rows));
        tcase_add_test(t, only_the_guest_that_is_asked_for);
        tcase_add_test(t, keep_gives_back_in_an_order_that_libvirt_takes);
        tcase_add_test(t, a_lower_limit_from_before_waits_until_there_is_room);
        tcase_add_loop_test(t, restore_puts_all_back_in_order, 0, 3);
        tcase_add_test(t, restore_does_not_kill_a_guest);
        tcase_add_test(t, somebody_elses_limit_is_theirs_until_reload);
        tcase_add_test(t, a_limit_that_was_asked_for_is_not_taken_over);
        tcase_add_loop_test(t, a_limit_that_may_come_to_be_stays_on_record, 0, (int)ELEMENTSOF(open_rows));
        tcase_add_test(t, a_change_that_was_never_made_is_made_now);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
