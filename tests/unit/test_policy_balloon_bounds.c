/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What bounds a size: what the host has, what a report covers, whose hand a balloon is in. */

#include "balloon_util.h"

/* 5 % of 64 GiB, which the host keeps for itself. */
#define RESERVED (64 * GIB / 20)

static void short_of_memory(Guest *g) {
        g->stats.usable_bytes = g->stats.unused_bytes = 0;
}

/* ---- distress, when the host has little ------------------------------------------- */

static const struct {
        const char *name;
        uint64_t room, large, small;            /* MiB */
} help_rows[] = {
        { "nothing", 0, 0, 0 },
        { "each gets what a balloon shows", 6, 3, 3 },
        { "then in proportion: 6.4 GiB and 48 MiB are wanted", 20, 16, 3 },
        { "of much in proportion, too", 1000, 990, 9 },
        { "all that is wanted", 10000, 6553, 48 },
};

START_TEST(a_small_guest_in_distress_gets_a_share_that_shows) {
        Guest *large = world_add_guest(&world, "large", 64 * GIB, 32 * GIB);
        Guest *small = world_add_guest(&world, "small", 512 * MIB, 240 * MIB);

        world_set_percent(&world, KEY_BALLOON_STEP, 1);
        short_of_memory(large);
        short_of_memory(small);
        world_set_host(&world, 64 * GIB, RESERVED + help_rows[_i].room * MIB);
        run();
        ck_assert_msg(u64_sub(asked(large), 32 * GIB) == help_rows[_i].large * MIB, "%s: large gets %" PRIu64,
                      help_rows[_i].name, u64_sub(asked(large), 32 * GIB) / MIB);
        ck_assert_msg(u64_sub(asked(small), 240 * MIB) == help_rows[_i].small * MIB, "%s: small gets %" PRIu64,
                      help_rows[_i].name, u64_sub(asked(small), 240 * MIB) / MIB);
}
END_TEST

/* On its way from 4 GiB to 2 GiB, at 3 GiB and a bit: with no more than that bit, or nothing, it stays there. */
START_TEST(help_never_makes_a_guest_smaller) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, 4 * GIB);
        uint64_t at = 3 * GIB + 3 * MIB / 4;

        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        world_set_percent(&world, KEY_BALLOON_STEP, 50);
        run();
        ck_assert_uint_eq(asked(g), 2 * GIB);
        world_own_all(&world);
        world.snapshot->now_usec += 2 * USEC_PER_SEC;
        g->current_bytes = at;
        short_of_memory(g);
        world_set_host(&world, 64 * GIB, RESERVED + (uint64_t)_i * MIB / 8);
        run();
        ck_assert_uint_eq(asked(g), _i < 2 ? at : MAX(at, 3 * GIB + MIB));
}
END_TEST

/* A floor by which a balloon cannot tell is no reason to give nothing. */
static const struct {
        const char *name;
        uint64_t above, want;                   /* floor beyond what it has, what it gets */
} floor_rows[] = {
        { "at the floor: a step", 0, 204 * MIB },
        { "as good as at the floor: a step", MIB + MIB / 2, 204 * MIB },
        { "just below: a step", 2 * MIB, 204 * MIB },
        { "below: to the floor", 3 * MIB, 3 * MIB },
        { "far below: to the floor", 600 * MIB, 600 * MIB },
};

START_TEST(distress_below_the_floor_gives_what_is_known_to_do) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, 4 * GIB);
        GuestMemo *m;

        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        world_set_percent(&world, KEY_BALLOON_STEP, 50);
        run();
        ck_assert_uint_eq(asked(g), 2 * GIB);
        act(10 * USEC_PER_SEC);
        run();
        world.snapshot->now_usec += 10 * USEC_PER_SEC;
        world_set_percent(&world, KEY_BALLOON_STEP, 5);
        m = state_find_guest(world.state, g->uuid);
        m->balloon_floor_bytes = 2 * GIB + floor_rows[_i].above;
        m->balloon_floor_usec = world.snapshot->now_usec;
        g->stats.major_faults = 100000;
        run();
        ck_assert_msg(asked(g) == 2 * GIB + floor_rows[_i].want, "%s: %" PRIu64, floor_rows[_i].name,
                      u64_sub(asked(g), 2 * GIB) / MIB);
}
END_TEST

/* ---- what a report covers --------------------------------------------------------- */

/* Given 399 MiB at 0 s and 5 MiB at 2 s, which arrive at once; it reports its distress; the next look is at 4 s. */
static const struct {
        const char *name;
        uint64_t reported;                      /* seconds */
        bool helped;
} report_rows[] = {
        { "before all that: 404 MiB since", 0, false },
        { "between the looks: no more than 5 MiB since, for sure", 1, true },
        { "at the second look", 2, true },
        { "now", 4, true },
};

START_TEST(what_was_given_before_a_report_is_in_it) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, 2 * GIB);
        uint64_t begin = world.snapshot->now_usec;

        world_set_percent(&world, KEY_BALLOON_STEP, 1);
        g->stats.usable_bytes = g->stats.unused_bytes = 10 * MIB;
        g->stats.age_usec = 0;
        run();
        ck_assert_uint_eq(asked(g), 2 * GIB + 399 * MIB);
        world_own_all(&world);
        g->current_bytes = g->stats.available_bytes = asked(g);
        world.snapshot->now_usec = begin + 2 * USEC_PER_SEC;
        world_set_host(&world, 64 * GIB, RESERVED + 5 * MIB);
        g->stats.age_usec = (2 - MIN(report_rows[_i].reported, UINT64_C(2))) * USEC_PER_SEC;
        if (report_rows[_i].reported > 0)
                g->stats.usable_bytes = 60 * MIB;
        run();
        if (asked(g) != 0)
                g->current_bytes = g->stats.available_bytes = asked(g);
        world_own_all(&world);
        world.snapshot->now_usec = begin + 4 * USEC_PER_SEC;
        g->stats.age_usec = (4 - report_rows[_i].reported) * USEC_PER_SEC;
        run();
        ck_assert_msg((asked(g) != 0) == report_rows[_i].helped, "%s", report_rows[_i].name);
}
END_TEST

/* ---- the host's reserve ------------------------------------------------------------ */

/* The guest has its reserve usable, 819 MiB; of that it needs 308 MiB to keep off distress. A step is 204 MiB. */
static const struct {
        const char *name;
        int64_t beyond;                         /* MiB available beyond what the host keeps for itself */
        uint64_t other;                         /* MiB that another guest can spare */
        bool distress;                          /* a third is in distress, and wants 800 MiB */
        uint64_t taken;                         /* MiB, of the guest's own reserve */
} reserve_rows[] = {
        { "short of balloon.stop alone", 6000, 0, false, 0 },
        { "it has just what it keeps", 0, 0, false, 0 },
        { "short by less than what is ignored", -160, 0, false, 0 },
        { "short: what it is short of, and no more", -180, 0, false, 180 },
        { "short of much: a step", -1000, 0, false, 204 },
        { "another can spare that", -180, 204, false, 0 },
        { "another can spare a part", -300, 200, false, 100 },
        { "one in distress gets what is there", 2000, 0, true, 0 },
        { "one in distress gets less than it needs", 600, 0, true, 200 },
};

START_TEST(guests_give_up_their_own_reserve_only_for_the_hosts) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, 4 * GIB);
        Guest *other = world_add_guest(&world, "other", 4 * GIB, 4 * GIB);
        Guest *third = world_add_guest(&world, "third", 8 * GIB, 4 * GIB);
        uint64_t available = RESERVED + (uint64_t)reserve_rows[_i].beyond * MIB, reserve = 4 * GIB / 5;

        third->stats.usable_bytes = third->stats.unused_bytes = reserve_rows[_i].distress ? 19 * MIB : 0;
        if (!reserve_rows[_i].distress)
                third->state = GUEST_PAUSED;
        g->stats.usable_bytes = reserve;
        /* What it has beyond, and no reserve to give: its minimum is next. */
        other->stats.usable_bytes = reserve + reserve_rows[_i].other * MIB;
        other->min_guarantee_bytes = 4 * GIB - reserve_rows[_i].other * MIB;
        g->stats.unused_bytes = other->stats.unused_bytes = 0;
        world_set_host(&world, 64 * GIB, available);
        run();
        ck_assert_msg((asked(g) == 0 ? 0 : 4 * GIB - asked(g)) == reserve_rows[_i].taken * MIB, "%s: %" PRIu64 " MiB",
                      reserve_rows[_i].name, asked(g) == 0 ? 0 : (4 * GIB - asked(g)) / MIB);
}
END_TEST

/* ---- balloons that are not ours ------------------------------------------------------ */

static const struct {
        const char *name;
        BalloonMode mode;
        bool distress;
        uint64_t moved, rests;                  /* by, since */
        bool asked;
} others_rows[] = {
        { "to its target: it moves", BALLOON_TARGET, false, 100 * MIB, 0, false },
        { "to its target: it moved a short time ago", BALLOON_TARGET, false, 100 * MIB, 9, false },
        { "to its target: it rests", BALLOON_TARGET, false, 100 * MIB, 10, true },
        { "to its target: as good as at rest", BALLOON_TARGET, false, MIB, 0, true },
        { "in distress: it moves", BALLOON_AUTO, true, 100 * MIB, 0, false },
        { "in distress: it rests", BALLOON_AUTO, true, 100 * MIB, 10, true },
};

START_TEST(a_balloon_that_others_move_is_left_to_them) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, 2 * GIB);

        world_set(&world, KEY_BALLOON_MODE, BALLOON_OFF);
        run();
        world.snapshot->now_usec += 2 * USEC_PER_SEC;
        g->current_bytes -= others_rows[_i].moved;
        run();
        world.snapshot->now_usec += others_rows[_i].rests * USEC_PER_SEC;
        world_set(&world, KEY_BALLOON_MODE, others_rows[_i].mode);
        if (others_rows[_i].distress)
                short_of_memory(g);
        run();
        ck_assert_msg((asked(g) != 0) == others_rows[_i].asked, "%s", others_rows[_i].name);
        ck_assert_msg(others_rows[_i].asked || why_not(g) == SKIP_COOLDOWN, "%s: %d", others_rows[_i].name,
                      why_not(g));
}
END_TEST

/* Its counters have moved since its first report; 0: by now, 1: while somebody else moved its balloon. */
START_TEST(what_a_guest_told_while_others_moved_its_balloon_is_known) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 8 * GIB);
        const uint64_t faults[2][4] = { { 0, 1000, 1000, 9000 }, { 0, 1000, 9000, 9000 } };

        for (unsigned look = 0; look < 4; look++) {
                g->stats.age_usec = look == 0 ? UNKNOWN_U64 : 0;
                g->stats.major_faults = look == 0 ? UNKNOWN_U64 : faults[_i][look];
                g->current_bytes = g->stats.available_bytes = look == 0 ? 8 * GIB : 7 * GIB;
                world_set(&world, KEY_BALLOON_RECLAIM, look == 3);
                run();
                world.snapshot->now_usec += 5 * USEC_PER_SEC;
        }
        ck_assert(_i == 0 ? asked(g) > 7 * GIB : asked(g) == 0);
        ck_assert_int_eq(why_not(g), _i == 0 ? -1 : (int)SKIP_COOLDOWN);
}
END_TEST

/* ---- growth to a fixed target --------------------------------------------------------- */

static const struct {
        const char *name;
        int64_t beyond;                         /* MiB available beyond what the host keeps; INT64_MIN: not known */
        uint64_t a, b;                          /* MiB that they grow by: they want 3 GiB and 1 GiB */
} growth_rows[] = {
        { "the host has it", 5000, 3072, 1024 },
        { "just so", 4096, 3072, 1024 },
        { "half of it: in proportion", 2048, 1536, 512 },
        { "next to nothing", 3, 2, 0 },
        { "nothing", 0, 0, 0 },
        { "less than it keeps", -500, 0, 0 },
        { "nobody knows", INT64_MIN, 3072, 1024 },
};

START_TEST(growth_to_a_target_is_what_the_host_has) {
        Guest *a = world_add_guest(&world, "a", 4 * GIB, GIB);
        Guest *b = world_add_guest(&world, "b", 2 * GIB, GIB);
        bool known = growth_rows[_i].beyond != INT64_MIN;

        world_set(&world, KEY_BALLOON_MODE, BALLOON_TARGET);
        world_set_percent(&world, KEY_BALLOON_TARGET, 100);
        world_set_host(&world, known ? 64 * GIB : 0, known ? RESERVED + (uint64_t)growth_rows[_i].beyond * MIB : 0);
        run();
        ck_assert_msg(u64_sub(asked(a), GIB) == growth_rows[_i].a * MIB, "%s: a by %" PRIu64 " MiB",
                      growth_rows[_i].name, u64_sub(asked(a), GIB) / MIB);
        ck_assert_msg(u64_sub(asked(b), GIB) == growth_rows[_i].b * MIB, "%s: b by %" PRIu64 " MiB",
                      growth_rows[_i].name, u64_sub(asked(b), GIB) / MIB);
        ck_assert_msg(growth_rows[_i].a > 0 || why_not(a) == SKIP_NO_CAPACITY, "%s: %d", growth_rows[_i].name,
                      why_not(a));
}
END_TEST

/* The second decision sees what the first one promised, and the rest when the host has it. */
START_TEST(growth_to_a_target_goes_on_when_the_host_has_more) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, GIB);

        world_set(&world, KEY_BALLOON_MODE, BALLOON_TARGET);
        world_set_percent(&world, KEY_BALLOON_TARGET, 100);
        world_set_host(&world, 64 * GIB, RESERVED + GIB);
        run();
        ck_assert_uint_eq(asked(g), 2 * GIB);
        world_own_all(&world);
        world.snapshot->now_usec += 2 * USEC_PER_SEC;
        run();
        ck_assert_uint_eq(asked(g), 0);
        world_set_host(&world, 64 * GIB, RESERVED + 8 * GIB);
        run();
        ck_assert_uint_eq(asked(g), 4 * GIB);
}
END_TEST

/* QEMU has the request; what it does not do for that, it does not do for a larger one. */
START_TEST(what_does_not_grow_is_not_asked_for_more) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, GIB);

        world_set(&world, KEY_BALLOON_MODE, BALLOON_TARGET);
        world_set_percent(&world, KEY_BALLOON_TARGET, 50);
        run();
        ck_assert_uint_eq(asked(g), 2 * GIB);
        world_own_all(&world);
        world.snapshot->now_usec += 30 * USEC_PER_SEC;
        world_set_percent(&world, KEY_BALLOON_TARGET, 75);
        run();
        ck_assert_uint_eq(asked(g), 0);
        ck_assert_int_eq(why_not(g), SKIP_STUCK);
        world.snapshot->now_usec += 60 * USEC_PER_SEC;
        run();
        ck_assert_uint_eq(asked(g), 3 * GIB);
}
END_TEST

/* Its distress was told once, by a counter, while it was set aside: nothing is taken for 30 s. */
START_TEST(off_takes_nothing_after_distress_of_one_that_does_not_move) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, GIB);

        world_set(&world, KEY_BALLOON_MODE, BALLOON_TARGET);
        run();
        ck_assert_uint_eq(asked(g), 4 * GIB);
        world_own_all(&world);
        g->current_bytes = g->stats.available_bytes = 2 * GIB;
        world.snapshot->now_usec += 10 * USEC_PER_SEC;
        run();
        world.snapshot->now_usec += 30 * USEC_PER_SEC;
        world_set(&world, KEY_BALLOON_MODE, BALLOON_OFF);
        g->stats.major_faults += 100000;
        run();
        ck_assert_int_eq(why_not(g), SKIP_DISTRESS);
        world.snapshot->now_usec += 29 * USEC_PER_SEC;
        run();
        ck_assert_uint_eq(asked(g), 0);
        world.snapshot->now_usec += USEC_PER_SEC;
        run();
        ck_assert_uint_eq(asked(g), GIB);
}
END_TEST

/* ---- whose doing it is ----------------------------------------------------------------- */

static const struct {
        const char *name;
        bool reports;
        uint64_t faults;                        /* 5000 before */
        bool taken;
        uint64_t target;                        /* it is seen as on its way there */
} maximum_rows[] = {
        { "it reports and counts on: a user's", true, 5001, true, 0 },
        { "it has not reported since: it may be booting", false, 5000, false, 0 },
        { "it counts anew: it has rebooted", true, 300, false, 6 * GIB },
};

/* Shrunk to 6 GiB, and two minutes later at its maximum, where it stays for two minutes. */
START_TEST(a_guest_at_its_maximum_again_has_rebooted_or_is_a_users) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 8 * GIB);
        const GuestMemo *m;

        g->stats.major_faults = 5000;
        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        world_set_percent(&world, KEY_BALLOON_STEP, 25);
        run();
        ck_assert_uint_eq(asked(g), 6 * GIB);
        act(10 * USEC_PER_SEC);
        world_set(&world, KEY_BALLOON_RECLAIM, 0);
        world.state->reclaiming = false;
        run();
        g->current_bytes = 8 * GIB;
        g->stats.major_faults = maximum_rows[_i].faults;
        for (unsigned i = 1; i <= 12; i++) {
                world.snapshot->now_usec += 10 * USEC_PER_SEC;
                g->stats.age_usec = maximum_rows[_i].reports ? 0 : i * 10 * USEC_PER_SEC;
                run();
        }
        m = state_find_guest(world.state, g->uuid);
        ck_assert_msg(m->balloon_taken == maximum_rows[_i].taken, "%s", maximum_rows[_i].name);
        ck_assert_msg(m->balloon_target_bytes == maximum_rows[_i].target, "%s", maximum_rows[_i].name);
}
END_TEST

/* The one for 2 GiB was carried out, the next was lost and the third has failed: it is still on its way to 2 GiB. */
START_TEST(after_requests_that_are_lost_the_one_before_holds) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, 4 * GIB);
        const uint64_t sizes[] = { 3 * GIB, 2 * GIB + GIB / 2 };
        Owned *o;

        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        world_set_percent(&world, KEY_BALLOON_STEP, 50);
        run();
        ck_assert_uint_eq(asked(g), 2 * GIB);
        world_set_percent(&world, KEY_BALLOON_STEP, 5);
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                world_own_all(&world);
                world.snapshot->now_usec += 10 * USEC_PER_SEC;
                g->current_bytes = g->stats.available_bytes = sizes[i];
                short_of_memory(g);
                run();
                ck_assert_uint_gt(asked(g), sizes[i]);
                world_set_percent(&world, KEY_BALLOON_RESERVE, 60);
        }
        world_own_all(&world);
        o = state_find_owned(world.state, ACTION_SET_BALLOON, g->uuid, 0);
        free(o->ours);
        o->ours = TAKE_PTR(o->previous);
        world.snapshot->now_usec += 10 * USEC_PER_SEC;
        g->current_bytes = g->stats.available_bytes = 2 * GIB;
        run();
        ck_assert_int_ne(why_not(g), SKIP_TAKEN_OVER);
        ck_assert(!state_find_guest(world.state, g->uuid)->balloon_taken);
}
END_TEST

/* Each is short of 8 EiB: all together of more than fits 64 bits. What is shared is no more for that. */
START_TEST(shares_of_guests_without_bounds_are_what_there_is) {
        uint64_t given = 0, room = GIB;
        Guest *guests[4];
        char name[8];

        for (size_t i = 0; i < ELEMENTSOF(guests); i++) {
                (void)snprintf(name, sizeof(name), "g%zu", i);
                guests[i] = world_add_guest(&world, name, UINT64_MAX / 2, GIB);
        }
        world_set(&world, KEY_BALLOON_MODE, BALLOON_TARGET);
        world_set_percent(&world, KEY_BALLOON_TARGET, 100);
        world_set_percent(&world, KEY_BALLOON_MINIMUM, 0);
        world_set_host(&world, 64 * GIB, RESERVED + room);
        run();
        for (size_t i = 0; i < ELEMENTSOF(guests); i++)
                given += u64_sub(asked(guests[i]), GIB);
        ck_assert_uint_le(given, room);
        ck_assert_uint_ge(given, room - 4 * MIB);
}
END_TEST

int main(void) {
        Suite *s = suite_create("policy_balloon_bounds");
        TCase *t = tcase_create("bounds");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_loop_test(t, a_small_guest_in_distress_gets_a_share_that_shows, 0, ELEMENTSOF(help_rows));
        tcase_add_loop_test(t, help_never_makes_a_guest_smaller, 0, 4);
        tcase_add_loop_test(t, distress_below_the_floor_gives_what_is_known_to_do, 0, ELEMENTSOF(floor_rows));
        tcase_add_loop_test(t, what_was_given_before_a_report_is_in_it, 0, ELEMENTSOF(report_rows));
        tcase_add_loop_test(t, guests_give_up_their_own_reserve_only_for_the_hosts, 0, ELEMENTSOF(reserve_rows));
        tcase_add_loop_test(t, a_balloon_that_others_move_is_left_to_them, 0, ELEMENTSOF(others_rows));
        tcase_add_loop_test(t, what_a_guest_told_while_others_moved_its_balloon_is_known, 0, 2);
        tcase_add_loop_test(t, growth_to_a_target_is_what_the_host_has, 0, ELEMENTSOF(growth_rows));
        tcase_add_test(t, growth_to_a_target_goes_on_when_the_host_has_more);
        tcase_add_test(t, what_does_not_grow_is_not_asked_for_more);
        tcase_add_test(t, off_takes_nothing_after_distress_of_one_that_does_not_move);
        tcase_add_loop_test(t, a_guest_at_its_maximum_again_has_rebooted_or_is_a_users, 0, ELEMENTSOF(maximum_rows));
        tcase_add_test(t, after_requests_that_are_lost_the_one_before_holds);
        tcase_add_test(t, shares_of_guests_without_bounds_are_what_there_is);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
