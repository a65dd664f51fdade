/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "balloon_util.h"
#include "../../lib/config_load.h"

/* ---- sizes ---------------------------------------------------------------- */

static const struct {
        const char *name;
        uint64_t maximum, current, guarantee, minimum_percent, reserve_percent, usable;
        uint64_t want;          /* after one decision under reclaim with a step of 100 %; 0: nothing */
} size_rows[] = {
        { "down to the minimum", 2 * GIB, 2 * GIB, 0, 50, 20, 1900 * MIB, GIB },
        { "minimum in whole MiB, rounded up", 1001 * MIB, 1001 * MIB, 0, 50, 0, 1000 * MIB, 501 * MIB },
        { "libvirt's guarantee is higher", 2 * GIB, 2 * GIB, 1500 * MIB, 50, 20, 2000 * MIB, 1500 * MIB },
        { "the guest keeps its reserve", 2 * GIB, 2 * GIB, 0, 0, 20, GIB, 2048 * MIB - 614 * MIB },
        { "no reserve wanted: half as much again as where distress begins", 2 * GIB, 2 * GIB, 0, 0, 0, GIB,
          1178 * MIB },
        { "never below 64 MiB", 100 * MIB, 100 * MIB, 0, 0, 0, 98 * MIB, 64 * MIB },
        { "a guest smaller than the floor", 60 * MIB, 60 * MIB, 0, 0, 0, 60 * MIB, 0 },
        { "at its minimum", 2 * GIB, GIB, 0, 50, 20, 900 * MIB, 0 },
        { "below its minimum", 2 * GIB, 700 * MIB, 0, 50, 20, 600 * MIB, 0 },
        { "a guarantee above the maximum", 2 * GIB, 2 * GIB, 3 * GIB, 50, 20, 2000 * MIB, 0 },
        { "only the reserve is usable", 2 * GIB, 2 * GIB, 0, 50, 20, 409 * MIB, 0 },
        { "less than 1 MiB to spare", 2 * GIB, 2 * GIB, 0, 50, 20, 410 * MIB, 0 },
        { "2 MiB to spare", 2 * GIB, 2 * GIB, 0, 50, 20, 412 * MIB, 2046 * MIB },
};

START_TEST(reclaim_takes_what_the_guest_can_spare) {
        Guest *g = world_add_guest(&world, "g", size_rows[_i].maximum, size_rows[_i].current);

        g->min_guarantee_bytes = size_rows[_i].guarantee;
        g->stats.usable_bytes = size_rows[_i].usable;
        g->stats.unused_bytes = 0;
        world_set_percent(&world, KEY_BALLOON_MINIMUM, size_rows[_i].minimum_percent);
        world_set_percent(&world, KEY_BALLOON_STEP, 100);
        world_set(&world, KEY_BALLOON_RESERVE, size_rows[_i].reserve_percent * 100);
        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        run();
        ck_assert_msg(asked(g) == size_rows[_i].want, "%s: %" PRIu64 " MiB", size_rows[_i].name, asked(g) / MIB);
        ck_assert_msg(size_rows[_i].want > 0 || why_not(g) >= 0, "%s: no reason given", size_rows[_i].name);
}
END_TEST

/* ---- eligibility ----------------------------------------------------------- */

static void paused(Guest *g) { g->state = GUEST_PAUSED; }
static void migrating(Guest *g) { g->migrating = true; }
static void no_device(Guest *g) { g->balloon_device = false; }
static void hugepages(Guest *g) { g->hugepages = true; }
static void locked(Guest *g) { g->locked = true; }
static void vfio(Guest *g) { g->vfio = true; }
static void unreachable(Guest *g) { g->unreachable = true; }
static void silent(Guest *g) { g->stats.age_usec = UNKNOWN_U64; }
static void frozen(Guest *g) { g->stats.age_usec = 36 * USEC_PER_SEC; }
static void nearly_frozen(Guest *g) { g->stats.age_usec = 35 * USEC_PER_SEC; }
static void all_zero(Guest *g) { g->stats = (BalloonStats){ .age_usec = 1 }; }
static void all_ones(Guest *g) {
        memset(&g->stats, 0xff, sizeof(g->stats));
        g->stats.age_usec = 1;
}
static void huge_usable(Guest *g) { g->stats.usable_bytes = UINT64_MAX - 1; }
static void huge_available(Guest *g) { g->stats.available_bytes = UINT64_MAX - 1; }
static void more_unused_than_available(Guest *g) { g->stats.unused_bytes = g->stats.available_bytes + 1; }
static void available_a_bit_over_maximum(Guest *g) { g->stats.available_bytes = g->max_bytes / 100 * 104; }
static void starving(Guest *g) { g->stats.usable_bytes = 100 * MIB; }
static void no_sizes(Guest *g) { g->current_bytes = UNKNOWN_U64; }
static void old_driver(Guest *g) { g->stats.usable_bytes = g->stats.available_bytes = UNKNOWN_U64; }

static const struct {
        const char *name;
        void (*spoil)(Guest *g);
        int want;               /* reason of the skip; -1: shrunk nevertheless */
} eligible_rows[] = {
        { "paused", paused, SKIP_NOT_RUNNING },
        { "migrating", migrating, SKIP_MIGRATING },
        { "no balloon device", no_device, SKIP_NO_BALLOON },
        { "huge pages", hugepages, SKIP_HUGEPAGES },
        { "locked", locked, SKIP_LOCKED },
        { "passed-through device", vfio, SKIP_VFIO },
        { "monitor hangs", unreachable, SKIP_UNREACHABLE },
        { "driver never reported", silent, SKIP_NO_DRIVER },
        { "statistics too old", frozen, SKIP_STALE_STATS },
        { "statistics just not too old", nearly_frozen, -1 },
        { "statistics all 0", all_zero, SKIP_IMPLAUSIBLE_STATS },
        { "statistics all -1", all_ones, SKIP_UNKNOWN },
        { "usable beyond available", huge_usable, SKIP_IMPLAUSIBLE_STATS },
        { "available beyond the maximum", huge_available, SKIP_IMPLAUSIBLE_STATS },
        { "unused beyond available", more_unused_than_available, SKIP_IMPLAUSIBLE_STATS },
        { "available 4 % over the maximum", available_a_bit_over_maximum, -1 },
        { "in distress", starving, SKIP_DISTRESS },
        { "sizes not known", no_sizes, SKIP_UNKNOWN },
        { "an old driver reports unused only", old_driver, -1 },
};

START_TEST(a_guest_that_cannot_be_shrunk_says_why) {
        Guest *bad = world_add_guest(&world, "bad", 4 * GIB, 4 * GIB);
        Guest *good = world_add_guest(&world, "good", 4 * GIB, 4 * GIB);

        eligible_rows[_i].spoil(bad);
        world_set_host(&world, 64 * GIB, 5 * GIB);
        run();
        ck_assert_msg(why_not(bad) == eligible_rows[_i].want, "%s: %d", eligible_rows[_i].name, why_not(bad));
        ck_assert_msg(asked(bad) == 0 || eligible_rows[_i].want == -1, "%s: shrunk", eligible_rows[_i].name);
        ck_assert_uint_eq(asked(good), 4 * GIB - 4 * GIB / 20 / MIB * MIB);
}
END_TEST

START_TEST(nothing_is_said_when_nothing_is_wanted) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, 4 * GIB);

        eligible_rows[_i].spoil(g);
        g->current_bytes = g->max_bytes;
        world_set(&world, KEY_BALLOON_MODE, _i % 2 ? BALLOON_AUTO : BALLOON_OFF);
        run();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_uint_eq(world.plan->n_skips, 0);
}
END_TEST

/* ---- distress -------------------------------------------------------------- */

static const struct {
        const char *name;
        uint64_t usable, swap_before, swap, faults_before, faults, interval;
        bool distress;
} distress_rows[] = {
        { "plenty", GIB, 0, 0, 0, 0, 10, false },
        { "just below 5 %", 102 * MIB, 0, 0, 0, 0, 10, true },
        { "just above 5 %", 103 * MIB, 0, 0, 0, 0, 10, false },
        { "swaps in", GIB, MIB, 2 * MIB + 1, 0, 0, 10, true },
        { "swaps in a little", GIB, MIB, 2 * MIB, 0, 0, 10, false },
        { "first look at the counter", GIB, UNKNOWN_U64, 500 * MIB, UNKNOWN_U64, 1000000, 10, false },
        { "101 faults a second", GIB, 0, 0, 5000, 6001, 10, true },
        { "100 faults a second", GIB, 0, 0, 5000, 6000, 10, false },
        { "no rates yet", GIB, 0, 500 * MIB, 0, 1000000, 0, false },
        { "counters not reported", GIB, 5, UNKNOWN_U64, 5, UNKNOWN_U64, 10, false },
};

START_TEST(distress_gives_memory_back_at_once) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, 2 * GIB);
        GuestMemo *memo;

        g->stats.usable_bytes = distress_rows[_i].usable;
        g->stats.unused_bytes = 0;
        g->stats.swap_in_bytes = distress_rows[_i].swap;
        g->stats.major_faults = distress_rows[_i].faults;
        world.snapshot->interval_usec = distress_rows[_i].interval * USEC_PER_SEC;
        ck_assert_int_eq(state_guest(world.state, g->uuid, &memo), 0);
        memo->swap_in_bytes = distress_rows[_i].swap_before;
        memo->major_faults = distress_rows[_i].faults_before;
        run();
        ck_assert_msg((asked(g) > 2 * GIB) == distress_rows[_i].distress, "%s", distress_rows[_i].name);
        ck_assert_int_eq(world_wants_stats(&world, g) || !distress_rows[_i].distress, true);
}
END_TEST

START_TEST(distress_brings_usable_memory_to_the_reserve) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, 2 * GIB);

        g->stats.usable_bytes = 10 * MIB;
        g->stats.unused_bytes = 0;
        run();
        /* 20 % of 2 GiB is 409.6 MiB; more than a step (5 % of 4 GiB) */
        ck_assert_uint_eq(asked(g), 2 * GIB + 399 * MIB);
        ck_assert_ptr_nonnull(strstr(world.plan->actions[0].reason, "short of memory"));
}
END_TEST

START_TEST(distress_never_exceeds_the_maximum) {
        Guest *g = world_add_guest(&world, "g", 2 * GIB + 50 * MIB + 4096, 2 * GIB);

        g->stats.usable_bytes = g->stats.unused_bytes = 0;
        run();
        ck_assert_uint_eq(asked(g), 2 * GIB + 50 * MIB + 4096);
}
END_TEST

START_TEST(guests_in_distress_share_what_the_host_has) {
        Guest *a = world_add_guest(&world, "a", 32 * GIB, 10 * GIB);
        Guest *b = world_add_guest(&world, "b", 32 * GIB, 10 * GIB);

        a->stats.usable_bytes = b->stats.usable_bytes = 0;
        a->stats.unused_bytes = b->stats.unused_bytes = 0;
        /* reserved: 5 % of 64 GiB is 3.2 GiB */
        world_set_host(&world, 64 * GIB, 5 * GIB);
        run();
        ck_assert_uint_eq(asked(a), asked(b));
        ck_assert_uint_gt(asked(a), 10 * GIB);
        ck_assert_uint_le(asked(a) + asked(b) - 20 * GIB, 5 * GIB - 64 * GIB / 20);
        world_set_host(&world, 64 * GIB, 3 * GIB);
        world.state->guests[0].balloon_target_bytes = world.state->guests[1].balloon_target_bytes = 0;
        run();
        ck_assert_uint_eq(world.plan->n_actions, 0);
}
END_TEST

START_TEST(distress_goes_first_then_what_frees_then_what_gives) {
        Guest *starved = world_add_guest(&world, "starved", 4 * GIB, 2 * GIB);
        Guest *rich = world_add_guest(&world, "rich", 4 * GIB, 4 * GIB);

        starved->stats.usable_bytes = starved->stats.unused_bytes = 0;
        world_set_host(&world, 64 * GIB, 5 * GIB);
        run();
        ck_assert_uint_eq(world.plan->n_actions, 2);
        ck_assert_str_eq(world.plan->actions[0].guest, "starved");
        ck_assert_str_eq(world.plan->actions[1].guest, "rich");
        ck_assert_uint_lt(asked(rich), 4 * GIB);
}
END_TEST

START_TEST(what_frees_comes_before_what_gives) {
        Guest *large = world_add_guest(&world, _i ? "a" : "b", 4 * GIB, 4 * GIB);
        Guest *small = world_add_guest(&world, _i ? "b" : "a", 4 * GIB, GIB);

        world_set(&world, KEY_BALLOON_MODE, BALLOON_TARGET);
        world_set_percent(&world, KEY_BALLOON_TARGET, 50);
        run();
        ck_assert_uint_eq(world.plan->n_actions, 2);
        ck_assert_str_eq(world.plan->actions[0].uuid, large->uuid);
        ck_assert_str_eq(world.plan->actions[1].uuid, small->uuid);
}
END_TEST

START_TEST(counters_that_run_backwards_hold_the_guest_for_a_while) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, 4 * GIB);

        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        g->stats.major_faults = 1000;
        g->stats.age_usec = 100 * USEC_PER_SEC;
        run();
        g->stats.major_faults = 999;
        g->stats.age_usec = 0;
        run();
        ck_assert_int_eq(why_not(g), SKIP_IMPLAUSIBLE_STATS);
        run();
        ck_assert_int_eq(why_not(g), SKIP_COOLDOWN);
        world.snapshot->now_usec += 30 * USEC_PER_SEC;
        run();
        ck_assert_uint_ne(asked(g), 0);
}
END_TEST

/* ---- mode target ------------------------------------------------------------ */

static const struct {
        const char *name;
        uint64_t current, target_percent, minimum_percent, step_percent, usable, want;
} target_rows[] = {
        { "at the target", 2 * GIB, 50, 25, 100, GIB, 0 },
        { "shrinks at once with a large step", 4 * GIB, 50, 25, 100, 3 * GIB, 2 * GIB },
        { "shrinks by a step", 4 * GIB, 50, 25, 5, 3 * GIB, 4096 * MIB - 204 * MIB },
        { "the minimum is higher", 4 * GIB, 25, 75, 100, 3 * GIB, 3 * GIB },
        { "keeps the guest's reserve", 4 * GIB, 25, 25, 100, 2 * GIB, 4096 * MIB - 1228 * MIB },
        { "grows whole, whatever the step", GIB, 100, 25, 5, 800 * MIB, 4 * GIB },
        { "grows to the target", GIB, 60, 25, 5, 800 * MIB, 2458 * MIB },
        { "nothing to spare", 4 * GIB, 50, 25, 100, 800 * MIB, 0 },
};

START_TEST(target_is_approached) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, target_rows[_i].current);

        world_set(&world, KEY_BALLOON_MODE, BALLOON_TARGET);
        world_set_percent(&world, KEY_BALLOON_TARGET, target_rows[_i].target_percent);
        world_set_percent(&world, KEY_BALLOON_MINIMUM, target_rows[_i].minimum_percent);
        world_set_percent(&world, KEY_BALLOON_STEP, target_rows[_i].step_percent);
        g->stats.usable_bytes = target_rows[_i].usable;
        g->stats.unused_bytes = 0;
        run();
        ck_assert_msg(asked(g) == target_rows[_i].want, "%s: %" PRIu64 " MiB", target_rows[_i].name, asked(g) / MIB);
}
END_TEST

START_TEST(target_yields_to_distress_and_returns_when_the_guest_is_well) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, 4 * GIB);
        uint64_t given;

        world_set(&world, KEY_BALLOON_MODE, BALLOON_TARGET);
        world_set_percent(&world, KEY_BALLOON_TARGET, 50);
        world_set_percent(&world, KEY_BALLOON_STEP, 100);
        run();
        ck_assert_uint_eq(asked(g), 2 * GIB);
        act(10 * USEC_PER_SEC);
        run();
        ck_assert_uint_eq(world.plan->n_actions, 0);

        g->stats.usable_bytes = g->stats.unused_bytes = 10 * MIB;
        run();
        given = asked(g);
        ck_assert_uint_gt(given, 2 * GIB);
        act(10 * USEC_PER_SEC);
        g->stats.usable_bytes = given / 10;
        run();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_int_eq(why_not(g), SKIP_COOLDOWN);
        world.snapshot->now_usec += 70 * USEC_PER_SEC;
        run();
        ck_assert_int_eq(why_not(g), SKIP_COOLDOWN);
        g->stats.usable_bytes = given / 2;
        run();
        ck_assert_int_eq(why_not(g), SKIP_AT_MINIMUM);
        world.snapshot->now_usec += 10 * USEC_PER_MINUTE;
        run();
        ck_assert_uint_lt(asked(g), given);
        ck_assert_uint_ge(asked(g), 2 * GIB);
}
END_TEST

START_TEST(a_started_guest_goes_to_its_target_alone) {
        Guest *a = world_add_guest(&world, "a", 4 * GIB, 4 * GIB);
        Guest *b = world_add_guest(&world, "b", 4 * GIB, 4 * GIB);

        world_set(&world, KEY_BALLOON_MODE, BALLOON_TARGET);
        world_set_percent(&world, KEY_BALLOON_TARGET, 50);
        world_run(&world, policy_balloon, a->uuid);
        ck_assert_uint_ne(asked(a), 0);
        ck_assert_uint_eq(asked(b), 0);
}
END_TEST

/* ---- mode auto -------------------------------------------------------------- */

static const struct {
        const char *name;
        uint64_t available_permyriad;
        bool reclaiming, shrinks, grows, reclaiming_after;
} band_rows[] = {
        { "short: takes", 1500, false, true, false, true },
        { "above start: nothing", 1501, false, false, false, false },
        { "between, reclaiming: goes on", 2000, true, true, false, true },
        { "between, at rest: nothing", 2400, false, false, false, false },
        { "at stop: ends", 2500, true, false, false, false },
        { "above stop: gives", 3500, false, false, true, false },
        { "above stop, was reclaiming: gives", 3500, true, false, true, false },
};

START_TEST(host_thresholds_have_a_dead_band) {
        Guest *full = world_add_guest(&world, "full", 4 * GIB, 4 * GIB);
        Guest *small = world_add_guest(&world, "small", 4 * GIB, 2 * GIB);

        world_set_host(&world, 64 * GIB, permyriad_of(64 * GIB, band_rows[_i].available_permyriad) +
                       (band_rows[_i].available_permyriad == 1500 ? 0 : 1));
        world.state->reclaiming = band_rows[_i].reclaiming;
        run();
        ck_assert_msg((asked(full) != 0) == band_rows[_i].shrinks, "%s: full", band_rows[_i].name);
        ck_assert_msg((asked(small) > 2 * GIB) == band_rows[_i].grows, "%s: small", band_rows[_i].name);
        ck_assert_msg(world.state->reclaiming == band_rows[_i].reclaiming_after, "%s: state", band_rows[_i].name);
}
END_TEST

/* balloon.reclaim is for the guests that have it: a host between its thresholds wants nothing of the others. */
START_TEST(reclaim_from_one_guest_takes_nothing_from_others) {
        static const char policy[] = "balloon: { mode = \"auto\"; };\n"
                                     "guests = ( { match = { name = \"spared\"; }; balloon = { reclaim = true; }; } );\n";
        Guest *spared = world_add_guest(&world, "spared", 4 * GIB, 4 * GIB);
        Guest *other = world_add_guest(&world, "other", 4 * GIB, 4 * GIB);
        char *error = NULL;

        world.config = config_free(world.config);
        ck_assert_msg(config_load_text("test.conf", policy, &world.config, &error) == 0, "%s", error ?: "?");
        run();
        ck_assert_uint_lt(asked(spared), 4 * GIB);
        ck_assert_uint_gt(asked(spared), 0);
        ck_assert_uint_eq(asked(other), 0);
        ck_assert(!world.state->reclaiming);
}
END_TEST

START_TEST(need_is_shared_in_proportion_to_what_each_can_spare) {
        Guest *a = world_add_guest(&world, "a", 8 * GIB, 8 * GIB);
        Guest *b = world_add_guest(&world, "b", 8 * GIB, 8 * GIB);

        a->stats.usable_bytes = permyriad_of(8 * GIB, 2000) + 2 * GIB;  /* spares 2 GiB */
        b->stats.usable_bytes = permyriad_of(8 * GIB, 2000) + GIB;      /* spares 1 GiB */
        a->stats.unused_bytes = b->stats.unused_bytes = 0;
        world_set_percent(&world, KEY_BALLOON_STEP, 100);
        world.state->reclaiming = true;
        world_set_host(&world, 64 * GIB, 16 * GIB - 600 * MIB);         /* needs 600 MiB */
        run();
        ck_assert_uint_eq(asked(a), 8 * GIB - 400 * MIB);
        ck_assert_uint_eq(asked(b), 8 * GIB - 200 * MIB);
}
END_TEST

START_TEST(what_a_bounded_guest_cannot_give_is_shared_again) {
        Guest *small = world_add_guest(&world, "small", 2 * GIB, 2 * GIB);      /* step 102 MiB */
        Guest *large = world_add_guest(&world, "large", 32 * GIB, 32 * GIB);

        large->stats.usable_bytes = permyriad_of(32 * GIB, 2000) + 600 * MIB;
        large->stats.unused_bytes = 0;
        world.state->reclaiming = true;
        world_set_host(&world, 64 * GIB, 16 * GIB - 600 * MIB);
        run();
        ck_assert_uint_eq(asked(small), 2 * GIB - 102 * MIB);
        ck_assert_uint_le(asked(large), 32 * GIB - 497 * MIB);
        ck_assert_uint_ge(asked(large), 32 * GIB - 498 * MIB);
}
END_TEST

START_TEST(given_memory_never_exceeds_the_surplus) {
        Guest *a = world_add_guest(&world, "a", 8 * GIB, 4 * GIB);
        Guest *b = world_add_guest(&world, "b", 8 * GIB, 6 * GIB);

        world_set_percent(&world, KEY_BALLOON_STEP, 100);
        world_set_host(&world, 64 * GIB, 16 * GIB + 300 * MIB);
        run();
        ck_assert_uint_eq(asked(a), 4 * GIB + 200 * MIB);
        ck_assert_uint_eq(asked(b), 6 * GIB + 100 * MIB);
}
END_TEST

START_TEST(a_guest_near_its_minimum_leaves_its_part_to_others) {
        Guest *a = world_add_guest(&world, "a", 8 * GIB, 4 * GIB + 100 * MIB);
        Guest *b = world_add_guest(&world, "b", 8 * GIB, 8 * GIB);

        b->stats.usable_bytes = permyriad_of(8 * GIB, 2000) + 500 * MIB;
        b->stats.unused_bytes = 0;
        world_set_percent(&world, KEY_BALLOON_STEP, 100);
        world.state->reclaiming = true;
        world_set_host(&world, 64 * GIB, 16 * GIB - 600 * MIB);
        run();
        ck_assert_uint_eq(asked(a), 4 * GIB);
        ck_assert_uint_eq(asked(b), 7 * GIB + 524 * MIB);
}
END_TEST

START_TEST(what_distress_takes_is_not_given_to_others) {
        Guest *starved = world_add_guest(&world, "starved", 8 * GIB, 4 * GIB);
        Guest *other = world_add_guest(&world, "other", 8 * GIB, 4 * GIB);

        starved->stats.usable_bytes = starved->stats.unused_bytes = 0;
        world_set_host(&world, 64 * GIB, 17 * GIB);
        run();
        ck_assert_uint_eq(asked(starved), 4 * GIB + 819 * MIB);
        ck_assert_uint_eq(asked(other), 4 * GIB + 205 * MIB);
}
END_TEST

START_TEST(memory_on_its_way_is_not_promised_twice) {
        Guest *a = world_add_guest(&world, "a", 8 * GIB, 4 * GIB);
        Guest *b = world_add_guest(&world, "b", 8 * GIB, 8 * GIB);

        world_set_percent(&world, KEY_BALLOON_STEP, 100);
        world_set_host(&world, 64 * GIB, 16 * GIB + 300 * MIB);
        run();
        ck_assert_uint_eq(asked(a), 4 * GIB + 300 * MIB);
        world_own_all(&world);
        b->current_bytes = b->stats.available_bytes = 7 * GIB;
        b->stats.usable_bytes = 5 * GIB;
        world.snapshot->now_usec += 10 * USEC_PER_SEC;
        run();
        ck_assert_uint_eq(world.plan->n_actions, 0);
}
END_TEST

START_TEST(memory_being_freed_is_not_asked_for_again) {
        Guest *a = world_add_guest(&world, "a", 8 * GIB, 8 * GIB);

        world_set_percent(&world, KEY_BALLOON_STEP, 100);
        world.state->reclaiming = true;
        world_set_host(&world, 64 * GIB, 16 * GIB - 600 * MIB);
        run();
        ck_assert_uint_eq(asked(a), 8 * GIB - 600 * MIB);
        world_own_all(&world);
        (void)world_add_guest(&world, "b", 8 * GIB, 8 * GIB);
        world.snapshot->now_usec += 10 * USEC_PER_SEC;
        run();
        ck_assert_uint_eq(world.plan->n_actions, 0);
}
END_TEST

START_TEST(a_shrunk_guest_is_judged_by_fresh_statistics_only) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 8 * GIB);

        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        run();
        act(10 * USEC_PER_SEC);
        g->stats.age_usec = 11 * USEC_PER_SEC;
        run();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_int_eq(why_not(g), SKIP_COOLDOWN);
        ck_assert(world_wants_stats(&world, g));
        g->stats.age_usec = 9 * USEC_PER_SEC;
        run();
        ck_assert_uint_eq(world.plan->n_actions, 1);
}
END_TEST

START_TEST(nothing_is_taken_right_after_it_was_given) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 4 * GIB);

        world_set_host(&world, 64 * GIB, 20 * GIB);
        run();
        ck_assert_uint_gt(asked(g), 4 * GIB);
        act(59 * USEC_PER_SEC);
        world_set_host(&world, 64 * GIB, 5 * GIB);
        run();
        ck_assert_int_eq(why_not(g), SKIP_COOLDOWN);
        world.snapshot->now_usec += USEC_PER_SEC;
        run();
        ck_assert_uint_ne(asked(g), 0);
}
END_TEST

START_TEST(an_unknown_host_is_left_alone_and_said_once) {
        (void)world_add_guest(&world, "a", 8 * GIB, 4 * GIB);
        (void)world_add_guest(&world, "b", 8 * GIB, 8 * GIB);
        world_set_host(&world, 0, 0);
        run();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_int_eq(world_skip(&world, ACTION_SET_BALLOON, NULL)->why, SKIP_UNKNOWN);
}
END_TEST

int main(void) {
        Suite *s = suite_create("policy_balloon");
        TCase *t = tcase_create("balloon");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_loop_test(t, reclaim_takes_what_the_guest_can_spare, 0, ELEMENTSOF(size_rows));
        tcase_add_loop_test(t, a_guest_that_cannot_be_shrunk_says_why, 0, ELEMENTSOF(eligible_rows));
        tcase_add_loop_test(t, nothing_is_said_when_nothing_is_wanted, 0, ELEMENTSOF(eligible_rows));
        tcase_add_loop_test(t, distress_gives_memory_back_at_once, 0, ELEMENTSOF(distress_rows));
        tcase_add_test(t, distress_brings_usable_memory_to_the_reserve);
        tcase_add_test(t, distress_never_exceeds_the_maximum);
        tcase_add_test(t, guests_in_distress_share_what_the_host_has);
        tcase_add_test(t, distress_goes_first_then_what_frees_then_what_gives);
        tcase_add_loop_test(t, what_frees_comes_before_what_gives, 0, 2);
        tcase_add_test(t, counters_that_run_backwards_hold_the_guest_for_a_while);
        tcase_add_test(t, a_guest_near_its_minimum_leaves_its_part_to_others);
        tcase_add_test(t, what_distress_takes_is_not_given_to_others);
        tcase_add_loop_test(t, target_is_approached, 0, ELEMENTSOF(target_rows));
        tcase_add_test(t, target_yields_to_distress_and_returns_when_the_guest_is_well);
        tcase_add_test(t, a_started_guest_goes_to_its_target_alone);
        tcase_add_loop_test(t, host_thresholds_have_a_dead_band, 0, ELEMENTSOF(band_rows));
        tcase_add_test(t, reclaim_from_one_guest_takes_nothing_from_others);
        tcase_add_test(t, need_is_shared_in_proportion_to_what_each_can_spare);
        tcase_add_test(t, what_a_bounded_guest_cannot_give_is_shared_again);
        tcase_add_test(t, given_memory_never_exceeds_the_surplus);
        tcase_add_test(t, memory_on_its_way_is_not_promised_twice);
        tcase_add_test(t, memory_being_freed_is_not_asked_for_again);
        tcase_add_test(t, a_shrunk_guest_is_judged_by_fresh_statistics_only);
        tcase_add_test(t, nothing_is_taken_right_after_it_was_given);
        tcase_add_test(t, an_unknown_host_is_left_alone_and_said_once);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
