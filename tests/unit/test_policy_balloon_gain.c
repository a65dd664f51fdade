/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the host gains from a guest that becomes smaller: nothing of what it has never touched. */

#include "balloon_util.h"

/* A need up to this is none: 0.25 % of 64 GiB. */
#define IGNORED (64 * GIB / 400)

/* The host needs 1 GiB. The guest has 16 GiB and 12 of them usable; 4 it keeps, so that it can spare 8. */
static const struct {
        const char *name;
        uint64_t resident, swapped;
        bool reports_pages, reclaimed;
        uint64_t want;
        int why;
} gain_rows[] = {
        { "nobody knows", UNKNOWN_U64, 0, false, false, GIB, -1 },
        { "all of it was touched", 17 * GIB, 0, false, false, GIB, -1 },
        { "half of what is usable", 10 * GIB, 0, false, false, GIB, -1 },
        { "a quarter of it", 7 * GIB, 0, false, false, GIB, -1 },
        { "an eighth of it: a quarter of the need at once", 5 * GIB + GIB / 2, 0, false, false, 2 * GIB, -1 },
        { "a 32nd of it: no more than it can spare", 4 * GIB + 3 * GIB / 8, 0, false, false, 8 * GIB, -1 },
        { "next to nothing of it", 4 * GIB + MIB, 0, false, false, 0, SKIP_NO_GAIN },
        { "nothing of it", 4 * GIB, 0, false, false, 0, SKIP_NO_GAIN },
        { "less than it says it uses", 3 * GIB, 0, false, false, 0, SKIP_NO_GAIN },
        { "nothing is resident, but the host has swapped", 4 * GIB, MIB, false, false, GIB, -1 },
        { "the policy wants it back, whatever it was", 4 * GIB, 0, false, true, 8 * GIB, -1 },
        { "half of it, and the rest comes by itself", 10 * GIB, 0, true, false, GIB, -1 },
};

START_TEST(what_is_taken_goes_by_what_the_host_gains) {
        Guest *g = world_add_guest(&world, "g", 16 * GIB, 16 * GIB);
        uint64_t want = gain_rows[_i].want;

        world_set_percent(&world, KEY_BALLOON_STEP, 100);
        world_set_percent(&world, KEY_BALLOON_MINIMUM, 0);
        world_set_percent(&world, KEY_BALLOON_RESERVE, 25);
        world_set(&world, KEY_BALLOON_RECLAIM, gain_rows[_i].reclaimed);
        world_set_host(&world, 64 * GIB, 15 * GIB);
        world.state->reclaiming = true;
        world.snapshot->host.memory.swap_total_bytes = GIB;
        world.snapshot->host.memory.swap_free_bytes = GIB - gain_rows[_i].swapped;
        g->stats.usable_bytes = g->stats.unused_bytes = 12 * GIB;
        g->rss_bytes = gain_rows[_i].resident;
        g->free_page_reporting = gain_rows[_i].reports_pages;
        run();
        ck_assert_msg(asked(g) == (want == 0 ? 0 : 16 * GIB - want), "%s: %" PRIu64 " MiB", gain_rows[_i].name,
                      u64_sub(16 * GIB, asked(g)) / MIB);
        ck_assert_msg(why_not(g) == gain_rows[_i].why, "%s: %d", gain_rows[_i].name, why_not(g));
}
END_TEST

/*
 * The host needs 1 GiB of a guest that has 12 GiB usable, and has touched some of these. Whatever its balloon takes
 * first, the host comes to where it is to be or has all there is, with as little taken as can be, and it is not asked
 * again and again for next to nothing. (25 % of what it has is its reserve: that is all there is.)
 */
static const struct {
        const char *name;
        uint64_t touched;                       /* MiB */
        unsigned gained_permyriad;              /* of what is taken, while there is any; 0: by its share */
        unsigned most_decisions;
        uint64_t most_taken;                    /* MiB */
} first_rows[] = {
        { "what it has used", 3072, 10000, 1, 1024 },
        { "what it has used, and that is little", 1536, 10000, 1, 2048 },
        { "any", 6144, 0, 4, 2048 },
        { "any, and little was used", 1536, 0, 8, 10 * 1024 },
        { "what it has never used", 1536, 1, 13, 10923 },
};

START_TEST(whatever_a_balloon_takes_first_the_host_gets_what_it_needs) {
        uint64_t left = first_rows[_i].touched * MIB, available = 15 * GIB, taken;
        Guest *g = world_add_guest(&world, "g", 16 * GIB, 16 * GIB);
        unsigned decisions = 0;

        world_set_percent(&world, KEY_BALLOON_STEP, 100);
        world_set_percent(&world, KEY_BALLOON_MINIMUM, 0);
        world_set_percent(&world, KEY_BALLOON_RESERVE, 25);
        world.state->reclaiming = true;
        g->stats.usable_bytes = g->stats.unused_bytes = 12 * GIB;
        for (unsigned i = 0; i < 30; i++) {
                uint64_t before = g->current_bytes, usable = g->stats.usable_bytes, gain;

                g->rss_bytes = 4 * GIB + left;
                world_set_host(&world, 64 * GIB, available);
                run();
                act(20 * USEC_PER_SEC);
                taken = before - g->current_bytes;
                decisions += taken > 0;
                gain = first_rows[_i].gained_permyriad > 0 ? permyriad_of(taken, first_rows[_i].gained_permyriad)
                                                           : u64_muldiv(taken, left, usable);
                gain = MIN(gain, left);
                left -= gain;
                available += gain;
        }
        taken = 16 * GIB - g->current_bytes;
        ck_assert_msg(taken <= first_rows[_i].most_taken * MIB, "%s: %" PRIu64, first_rows[_i].name, taken / MIB);
        ck_assert_msg(decisions <= first_rows[_i].most_decisions, "%s: %u", first_rows[_i].name, decisions);
        ck_assert_msg(available + IGNORED >= 16 * GIB || g->stats.usable_bytes <= g->current_bytes / 4 + 2 * MIB,
                      "%s: %" PRIu64 " of %" PRIu64, first_rows[_i].name, available / MIB, taken / MIB);
}
END_TEST

/* All can spare 8 GiB, of which the host gains all, an eighth, and nothing. It needs 2 GiB. */
START_TEST(who_has_something_to_give_shares_what_the_host_needs) {
        Guest *whole = world_add_guest(&world, "whole", 16 * GIB, 16 * GIB);
        Guest *eighth = world_add_guest(&world, "eighth", 16 * GIB, 16 * GIB);
        Guest *nothing = world_add_guest(&world, "nothing", 16 * GIB, 16 * GIB);

        world_set_percent(&world, KEY_BALLOON_MINIMUM, 0);
        world_set_percent(&world, KEY_BALLOON_RESERVE, 25);
        world_set_percent(&world, KEY_BALLOON_STEP, 100);
        world_set_host(&world, 64 * GIB, 14 * GIB);
        world.state->reclaiming = true;
        whole->stats.usable_bytes = whole->stats.unused_bytes = 12 * GIB;
        eighth->stats = nothing->stats = whole->stats;
        eighth->rss_bytes = 5 * GIB + GIB / 2;
        nothing->rss_bytes = 4 * GIB;
        run();
        ck_assert_uint_eq(asked(whole), 15 * GIB);
        ck_assert_uint_eq(asked(eighth), 15 * GIB);
        ck_assert_uint_eq(asked(nothing), 0);
        ck_assert_int_eq(why_not(nothing), SKIP_NO_GAIN);
}
END_TEST

int main(void) {
        Suite *s = suite_create("policy_balloon_gain");
        TCase *t = tcase_create("gain");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_loop_test(t, what_is_taken_goes_by_what_the_host_gains, 0, ELEMENTSOF(gain_rows));
        tcase_add_loop_test(t, whatever_a_balloon_takes_first_the_host_gets_what_it_needs, 0, ELEMENTSOF(first_rows));
        tcase_add_test(t, who_has_something_to_give_shares_what_the_host_needs);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
