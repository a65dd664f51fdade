/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "balloon_util.h"

#include "../../lib/policy_balloon_preset.h"

#define GUESTS_MAX 3

/* ---- pve ---------------------------------------------------------------------- */

/* MiB, but for shares; the results, in bytes, are the original's on the same figures. */
static const struct {
        const char *name;
        int64_t goal_mib;
        struct {
                uint64_t balloon, minimum, maximum, free, shares;
        } guests[GUESTS_MAX];
        uint64_t want[GUESTS_MAX];
} pve_rows[] = {
        { "no goal", 0,
          { { 1000, 500, 2000, 0, 1000 } },
          { 1000 * MIB } },
        { "10 MiB are not enough to grow", 10,
          { { 1000, 500, 2000, 0, 1000 } },
          { 1000 * MIB } },
        { "11 MiB are", 11,
          { { 1000, 500, 2000, 0, 1000 } },
          { 1011 * MIB } },
        { "10 MiB are not enough to shrink", -10,
          { { 1000, 500, 2000, 500, 1000 } },
          { 1000 * MIB } },
        { "11 MiB are enough to shrink", -11,
          { { 1000, 500, 2000, 500, 1000 } },
          { 989 * MIB } },
        { "at most 100 MiB up", 500,
          { { 1000, 500, 2000, 0, 1000 } },
          { 1100 * MIB } },
        { "at most 100 MiB down", -500,
          { { 1000, 500, 2000, 500, 1000 } },
          { 900 * MIB } },
        { "not beyond the maximum", 500,
          { { 1950, 500, 2000, 0, 1000 } },
          { 2000 * MIB } },
        { "at its maximum", 500,
          { { 2000, 500, 2000, 0, 1000 } },
          { 2000 * MIB } },
        { "not below the minimum", -500,
          { { 540, 500, 2000, 300, 1000 } },
          { 500 * MIB } },
        { "at its minimum", -500,
          { { 500, 500, 2000, 300, 1000 } },
          { 500 * MIB } },
        { "below its minimum it is brought there first", -500,
          { { 400, 500, 2000, 300, 1000 } },
          { 400 * MIB } },
        { "below its minimum it grows", 50,
          { { 400, 500, 2000, 300, 1000 } },
          { 500 * MIB } },
        { "no driver", 500,
          { { 0, 500, 2000, 0, 1000 } },
          { 0 } },
        { "no minimum", 500,
          { { 1000, 0, 2000, 0, 1000 } },
          { 1000 * MIB } },
        { "no shares", 500,
          { { 1000, 500, 2000, 0, 0 } },
          { 1000 * MIB } },
        { "growth by shares", 90,
          { { 1000, 1000, 2000, 0, 2000 }, { 1000, 1000, 2000, 0, 1000 } },
          { 1060 * MIB, 1030 * MIB } },
        { "growth by shares, bounded", 270,
          { { 1000, 1000, 2000, 0, 2000 }, { 1000, 1000, 2000, 0, 1000 } },
          { 1100 * MIB, 1090 * MIB } },
        { "a full guest leaves it to the other", 18,
          { { 2000, 2000, 2000, 0, 2000 }, { 1000, 1000, 2000, 0, 1000 } },
          { 2000 * MIB, 1018 * MIB } },
        { "under pressure first", 80,
          { { 1000, 1000, 2000, 0, 1000 }, { 1000, 1000, 2000, 512, 1000 } },
          { 1080 * MIB, 1000 * MIB } },
        { "all when those under pressure cannot grow", 80,
          { { 2000, 1000, 2000, 0, 1000 }, { 1000, 1000, 2000, 512, 1000 } },
          { 1900 * MIB, 1100 * MIB } },
        { "a quarter of the minimum is not enough", 80,
          { { 1000, 1000, 2000, 250, 1000 }, { 1000, 1000, 2000, 512, 1000 } },
          { 1080 * MIB, 1000 * MIB } },
        { "more than a quarter is", 80,
          { { 1000, 1000, 2000, 251, 1000 }, { 1100, 1000, 2000, 512, 1000 } },
          { 1090 * MIB, 1090 * MIB } },
        { "enough first when shrinking", -80,
          { { 1500, 1000, 2000, 100, 1000 }, { 1500, 1000, 2000, 512, 1000 } },
          { 1500 * MIB, 1420 * MIB } },
        { "all when none has enough", -80,
          { { 1500, 1000, 2000, 100, 1000 }, { 1500, 1000, 2000, 200, 1000 } },
          { 1460 * MIB, 1460 * MIB } },
        { "all when those with enough are at their minimum", -80,
          { { 1500, 1000, 2000, 100, 1000 }, { 1000, 1000, 2000, 512, 1000 } },
          { 1420 * MIB, 1000 * MIB } },
        { "shrinking keeps shares", -150,
          { { 1600, 1000, 2000, 600, 2000 }, { 1600, 1000, 2000, 600, 1000 } },
          { 1600 * MIB, 1500 * MIB } },
        { "growing takes from who has more than its share", 60,
          { { 1900, 1000, 2000, 0, 1000 }, { 1100, 1000, 2000, 0, 1000 } },
          { 1800 * MIB, 1200 * MIB } },
        { "three, one without shares", 200,
          { { 1000, 500, 2000, 0, 1000 }, { 1000, 500, 2000, 0, 0 }, { 1000, 500, 2000, 0, 3000 } },
          { 900 * MIB, 1000 * MIB, 1100 * MIB } },
        { "three with thirds: cut to bytes", 100,
          { { 1000, 1000, 2000, 0, 1000 }, { 1000, 1000, 2000, 0, 1000 }, { 1000, 1000, 2000, 0, 1000 } },
          { 1083528533, 1083528533, 1083528533 } },
        { "sevenths", -100,
          { { 2000, 1000, 4000, 900, 3000 }, { 2000, 1000, 4000, 900, 4000 }, { 2000, 500, 4000, 900, 1 } },
          { 2000 * MIB, 2000 * MIB, 1900 * MIB } },
        { "shrinking, one at its minimum already", -120,
          { { 1000, 1000, 2000, 600, 1000 }, { 1400, 1000, 2000, 600, 1000 }, { 1800, 1000, 2000, 600, 500 } },
          { 1000 * MIB, 1400 * MIB, 1700 * MIB } },
        { "different sizes", 700,
          { { 512, 256, 1024, 0, 1000 }, { 4096, 2048, 8192, 0, 1000 }, { 8192, 1024, 16384, 0, 100 } },
          { 612 * MIB, 4196 * MIB, 8092 * MIB } },
        { "a large deficit", -9000,
          { { 512, 256, 1024, 200, 1000 }, { 4096, 2048, 8192, 3000, 1000 }, { 8192, 1024, 16384, 2000, 100 } },
          { 504115395, 3996 * MIB, 8092 * MIB } },
        { "the highest shares", 64,
          { { 1024, 512, 2048, 0, 50000 }, { 1024, 512, 2048, 0, 1 } },
          { 1124 * MIB, 924 * MIB } },
};

START_TEST(pve_decides_as_the_original) {
        PveGuest guests[GUESTS_MAX] = { 0 };

        for (size_t i = 0; i < GUESTS_MAX; i++)
                guests[i] = (PveGuest){ .balloon = pve_rows[_i].guests[i].balloon * MIB,
                                        .minimum = pve_rows[_i].guests[i].minimum * MIB,
                                        .maximum = pve_rows[_i].guests[i].maximum * MIB,
                                        .free = pve_rows[_i].guests[i].free * MIB,
                                        .shares = pve_rows[_i].guests[i].shares };
        balloon_pve(pve_rows[_i].goal_mib * (int64_t)MIB, guests, GUESTS_MAX);
        for (size_t i = 0; i < GUESTS_MAX; i++)
                ck_assert_msg(guests[i].new_bytes == pve_rows[_i].want[i], "%s: guest %zu: %" PRIu64 ", not %" PRIu64,
                              pve_rows[_i].name, i, guests[i].new_bytes, pve_rows[_i].want[i]);
}
END_TEST

static const struct {
        uint64_t total, used;
        int64_t want;
} goal_rows[] = {
        { 10 * GIB, 8 * GIB, 0 },
        { 10 * GIB, 9 * GIB, -(int64_t)GIB },
        { 10 * GIB, 0, 8 * (int64_t)GIB },
        { 1001, 800, 0 },               /* 800.8 */
        { 1003, 802, 0 },               /* 802.4 */
        { 1004, 804, 0 },               /* 803.2 - 804: to zero */
        { 1004, 802, 1 },
        { 1004, 805, -1 },              /* -1.8 */
        { UINT64_C(269807222784), UINT64_C(215845778227), 0 },
        { UINT64_C(269807222784), UINT64_C(215845778229), -1 },
};

START_TEST(pve_aims_at_80_percent) {
        ck_assert_int_eq(balloon_pve_goal(goal_rows[_i].total, goal_rows[_i].used), goal_rows[_i].want);
}
END_TEST

/* ---- mom ---------------------------------------------------------------------- */

/* kB; from the formula in the head of policy_balloon_mom.c. */
static const struct {
        const char *name;
        double host_free;
        MomGuest guest;
        uint64_t want;
} mom_rows[] = {
        { "plenty: grows by 5 %", 0.5, { 4000000, 4000000, 2000000, 1000000, 8000000 }, 4200000 },
        { "grows to what it uses and 20 %", 0.5, { 4000000, 4000000, 100000, 1000000, 8000000 }, 4700000 },
        { "grows to its minimum", 0.5, { 1000000, 1000000, 900000, 2000000, 8000000 }, 2000000 },
        { "not beyond its maximum", 0.5, { 4000000, 4000000, 2000000, 1000000, 4100000 }, 4100000 },
        { "at its maximum", 0.5, { 4000000, 4000000, 0, 1000000, 4000000 }, 4000000 },
        { "needs more than its maximum", 0.5, { 4000000, 4000000, 10000, 1000000, 4300000 }, 4300000 },
        { "exactly 20 % free is not short", 0.2, { 4000000, 4000000, 2000000, 1000000, 8000000 }, 4200000 },
        { "just below 20 %: shrinks by 5 %", 0.1999, { 4000000, 4000000, 2000000, 1000000, 8000000 }, 3800000 },
        { "the guest keeps the host's share free", 0.15, { 4000000, 4000000, 700000, 1000000, 8000000 }, 3900000 },
        { "it has less than that: stays", 0.15, { 4000000, 4000000, 500000, 1000000, 8000000 }, 4000000 },
        { "not below its minimum", 0.1, { 4000000, 4000000, 3000000, 3900000, 8000000 }, 3900000 },
        { "at its minimum", 0.1, { 4000000, 4000000, 3000000, 4000000, 8000000 }, 4000000 },
        { "below its minimum: stays while short", 0.1, { 4000000, 4000000, 3000000, 5000000, 8000000 }, 4000000 },
        { "just above critical", 0.0501, { 4000000, 4000000, 250000, 1000000, 8000000 }, 3950400 },
        { "critical: into swap", 0.05, { 4000000, 4000000, 100000, 1000000, 8000000 }, 3900000 },
        { "critical, nothing free on the host", 0.0, { 4000000, 4000000, 0, 1000000, 8000000 }, 3800000 },
        { "critical, nothing unused", 0.02, { 4000000, 4000000, 0, 1000000, 8000000 }, 3880000 },
        { "critical, plenty unused: 5 % at most", 0.01, { 4000000, 4000000, 3000000, 1000000, 8000000 }, 3800000 },
        { "a change of 0.25 % is none", 0.15, { 4000000, 4000000, 610000, 1000000, 8000000 }, 4000000 },
        { "a little more is one", 0.15, { 4000000, 4000000, 610004, 1000000, 8000000 }, 3989996 },
        { "growing by 0.25 % is none", 0.5, { 4000000, 4000000, 2000000, 1000000, 4010000 }, 4000000 },
        { "growing by a little more is one", 0.5, { 4000000, 4000000, 2000000, 1000000, 4010001 }, 4010001 },
        { "cut to whole kB, down", 0.1, { 4194301, 4194301, 3000000, 1000000, 8388608 }, 3984585 },
        { "cut to whole kB, up", 0.3, { 4194301, 4194301, 3000000, 1000000, 8388608 }, 4404016 },
        { "the mean counts for what is used", 0.12, { 4000000, 4400000, 1000000, 1000000, 8000000 }, 3880000 },
        { "the mean of unused as well", 0.12, { 4000000, 4000000, 333333.3, 1000000, 8000000 }, 4000000 },
        { "mean unused beyond mean current", 0.12, { 4000000, 3000000, 3500000, 1000000, 8000000 }, 3800000 },
        { "a small guest", 0.18, { 131072, 131072, 65536, 65536, 262144 }, 124518 },
        { "a large guest", 0.07, { 268435456, 268435456, 100000000, 67108864, 536870912 }, 255013683 },
        { "a large guest that grows", 0.7, { 268435456, 268435456, 1000000, 67108864, 536870912 }, 321122547 },
        { "a third free", 0.3333, { 3000001, 3000001, 600000, 1000000, 3100000 }, 3100000 },
        { "keeps 19 %", 0.19, { 2097152, 2097152, 400000, 524288, 4194304 }, 2097152 },
};

START_TEST(mom_decides_as_the_original) {
        uint64_t size = balloon_mom(mom_rows[_i].host_free, &mom_rows[_i].guest);

        ck_assert_msg(size == mom_rows[_i].want, "%s: %" PRIu64 ", not %" PRIu64, mom_rows[_i].name, size,
                      mom_rows[_i].want);
}
END_TEST

/* ---- proportional --------------------------------------------------------------- */

/* kB; in exact fractions. */
static const struct {
        const char *name;
        double surplus;
        uint64_t guests[GUESTS_MAX][2]; /* minimum, maximum */
        uint64_t want[GUESTS_MAX];
} proportional_rows[] = {
        { "nothing beyond the minimums", 0, { { 1000, 3000 }, { 2000, 4000 } }, { 1000, 2000 } },
        { "less than the minimums", -500, { { 1000, 3000 }, { 2000, 4000 } }, { 1000, 2000 } },
        { "everything", 4000, { { 1000, 3000 }, { 2000, 4000 } }, { 3000, 4000 } },
        { "more than everything", 9000, { { 1000, 3000 }, { 2000, 4000 } }, { 3000, 4000 } },
        { "half", 2000, { { 1000, 3000 }, { 2000, 4000 } }, { 2000, 3000 } },
        { "a quarter", 1000, { { 1000, 3000 }, { 2000, 4000 } }, { 1500, 2500 } },
        { "one kB", 1, { { 1000, 3000 }, { 2000, 4000 } }, { 1000, 2000 } },
        { "all but one kB", 3999, { { 1000, 3000 }, { 2000, 4000 } }, { 2999, 3999 } },
        { "a guest without room to move", 1000, { { 3000, 3000 }, { 2000, 4000 } }, { 3000, 3000 } },
        { "no guest has", 1000, { { 3000, 3000 }, { 4000, 4000 } }, { 3000, 4000 } },
        { "no guest has, nothing there", 0, { { 3000, 3000 }, { 4000, 4000 } }, { 3000, 4000 } },
        { "a third: cut", 1000, { { 1000, 2000 }, { 1000, 2000 }, { 1000, 2000 } }, { 1333, 1333, 1333 } },
        { "two thirds: cut", 2000, { { 1000, 2000 }, { 1000, 2000 }, { 1000, 2000 } }, { 1666, 1666, 1666 } },
        { "ranges of 1 to 3", 1000, { { 1000, 2000 }, { 1000, 4000 } }, { 1250, 1750 } },
        { "sevenths", 1000, { { 0, 3000 }, { 0, 4000 } }, { 428, 571 } },
        { "elevenths", 5000, { { 100, 5100 }, { 700, 6700 } }, { 2372, 3427 } },
        { "one guest", 123, { { 1000, 2000 } }, { 1123 } },
        { "one guest, more", 1000, { { 1000, 2000 } }, { 2000 } },
        { "sizes 1", 8388608, { { 1048576, 4194304 }, { 2097152, 8388608 }, { 524288, 4194304 } }, { 3061841, 6123683, 2873098 } },
        { "sizes 2", 1048576, { { 1048576, 4194304 }, { 2097152, 8388608 }, { 524288, 4194304 } }, { 1300234, 2600468, 817889 } },
        { "sizes 3", 777777, { { 1048576, 4194304 }, { 2097152, 8388608 }, { 524288, 4194304 } }, { 1235242, 2470484, 742065 } },
        { "sizes 4", 12000000, { { 1048576, 4194304 }, { 2097152, 8388608 }, { 524288, 4194304 } }, { 3928576, 7857152, 3884288 } },
        { "sizes 5", 13107200, { { 1048576, 4194304 }, { 2097152, 8388608 }, { 524288, 4194304 } }, { 4194304, 8388608, 4194304 } },
        { "sizes 6", 33554432, { { 33554432, 67108864 }, { 1048576, 16777216 } }, { 56400002, 11757437 } },
        { "sizes 7", 50000001, { { 33554432, 67108864 }, { 1048576, 16777216 } }, { 67108864, 16777216 } },
        { "sizes 8", 3, { { 65536, 131072 }, { 65536, 262144 } }, { 65536, 65538 } },
        { "sizes 9", 196607, { { 65536, 131072 }, { 65536, 262144 } }, { 114687, 212991 } },
        { "sizes 10", 262143, { { 65536, 131072 }, { 65536, 262144 } }, { 131071, 262143 } },
        { "sizes 11", 99999, { { 65536, 131072 }, { 65536, 262144 }, { 1, 1000000 } }, { 70728, 81113, 79230 } },
        { "sizes 12", 500000, { { 65536, 131072 }, { 65536, 262144 }, { 1, 1000000 } }, { 91498, 143422, 396152 } },
        { "sizes 13", 268435456, { { 268435456, 536870912 }, { 134217728, 536870912 } }, { 375809638, 295279001 } },
        { "sizes 14", 101, { { 0, 1000 }, { 0, 10 }, { 0, 1 } }, { 99, 0, 0 } },
};

START_TEST(proportional_decides_as_the_original) {
        double range = 0, part;

        for (size_t i = 0; i < GUESTS_MAX; i++)
                range += (double)(proportional_rows[_i].guests[i][1] - proportional_rows[_i].guests[i][0]);
        part = balloon_proportional_share(proportional_rows[_i].surplus, range);
        for (size_t i = 0; i < GUESTS_MAX; i++) {
                uint64_t size = balloon_proportional(part, proportional_rows[_i].guests[i][0],
                                                     proportional_rows[_i].guests[i][1]);

                ck_assert_msg(size == proportional_rows[_i].want[i], "%s: guest %zu: %" PRIu64 ", not %" PRIu64,
                              proportional_rows[_i].name, i, size, proportional_rows[_i].want[i]);
        }
}
END_TEST

/* ---- in the controller ------------------------------------------------------------ */

static void use_preset(BalloonMode mode) {
        world_set(&world, KEY_BALLOON_MODE, mode);
        world_set_percent(&world, KEY_BALLOON_MINIMUM, 25);
}

START_TEST(pve_acts_on_guests) {
        Guest *poor = world_add_guest(&world, "poor", 4 * GIB, 2 * GIB);
        Guest *rich = world_add_guest(&world, "rich", 4 * GIB, 2 * GIB);

        use_preset(BALLOON_PVE);
        poor->stats.unused_bytes = 256 * MIB;
        world_set_host(&world, 60 * GIB, 12 * GIB + 50 * MIB);
        run();
        ck_assert_uint_eq(asked(poor), 2 * GIB + 50 * MIB);
        ck_assert_uint_eq(asked(rich), 0);
        ck_assert_ptr_nonnull(strstr(world.plan->actions[0].reason, "pve: the host may use more by 50 MiB"));
        act(10 * USEC_PER_SEC);
        world_set_host(&world, 60 * GIB, 12 * GIB - 500 * MIB);
        run();
        ck_assert_uint_eq(asked(rich), 2 * GIB - 100 * MIB);
        ck_assert_uint_eq(asked(poor), 0);
}
END_TEST

START_TEST(mom_acts_on_guests) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, 2 * GIB);

        use_preset(BALLOON_MOM);
        world.snapshot->host.memory.free_bytes = 6 * GIB;
        world.snapshot->host.memory.buffers_bytes = GIB;
        world.snapshot->host.memory.cached_bytes = GIB;
        run();
        /* 0.95 * 2097152 kB */
        ck_assert_uint_eq(asked(g), 1992294 * KIB);
        act(10 * USEC_PER_SEC);
        world.snapshot->host.memory.free_bytes = 60 * GIB;
        run();
        ck_assert_uint_eq(asked(g), 2091908 * KIB);
}
END_TEST

START_TEST(mom_takes_means) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, 2 * GIB);
        unsigned n = 0;

        use_preset(BALLOON_MOM);
        g->stats.unused_bytes = GIB;
        world.snapshot->host.memory.free_bytes = 40 * GIB;
        for (; n < 3; n++) {
                run();
                ck_assert_uint_gt(asked(g), g->current_bytes);
                world.snapshot->now_usec += 10 * USEC_PER_SEC;
        }
        /* Nothing is free any more: 40, 40, 40, 0, 0, ... of the last five; below a fifth of 64 with 12.8 or less. */
        world.snapshot->host.memory.free_bytes = 0;
        for (n = 0; n < 10; n++) {
                run();
                if (asked(g) != 0 && asked(g) < g->current_bytes)
                        break;
                world.snapshot->now_usec += 10 * USEC_PER_SEC;
        }
        ck_assert_uint_eq(n, 3);
}
END_TEST

START_TEST(proportional_frees_before_it_gives) {
        Guest *large = world_add_guest(&world, "large", 4 * GIB, 4 * GIB);
        Guest *small = world_add_guest(&world, "small", 4 * GIB, GIB);

        use_preset(BALLOON_PROPORTIONAL);
        /* Reserved: 3.2 GiB. Nothing more is there, and 3 GiB beyond the minimums: half the way to 4 GiB. */
        world_set_host(&world, 64 * GIB, 64 * GIB / 20);
        run();
        ck_assert_uint_eq(asked(large), GIB + 3 * GIB / 2);
        ck_assert_uint_eq(asked(small), 0);
        act(10 * USEC_PER_SEC);
        world_set_host(&world, 64 * GIB, 64 * GIB / 20 + 3 * GIB / 2);
        run();
        ck_assert_uint_eq(asked(large), 0);
        ck_assert_uint_eq(asked(small), GIB + 3 * GIB / 2);
        act(10 * USEC_PER_SEC);
        world_set_host(&world, 64 * GIB, 64 * GIB / 20);
        run();
        ck_assert_uint_eq(world.plan->n_actions, 0);
}
END_TEST

START_TEST(presets_step_every_10_seconds) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, 4 * GIB);

        use_preset(BALLOON_PVE);
        world_set_host(&world, 64 * GIB, GIB);
        run();
        ck_assert_uint_eq(asked(g), 4 * GIB - 100 * MIB);
        act(8 * USEC_PER_SEC);
        run();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        world.snapshot->now_usec += 2 * USEC_PER_SEC;
        run();
        ck_assert_uint_eq(asked(g), 4 * GIB - 200 * MIB);
}
END_TEST

static void frozen(Guest *g) { g->stats.age_usec = USEC_PER_HOUR; }
static void implausible(Guest *g) { g->stats.usable_bytes = UINT64_MAX - 1; }
static void migrating(Guest *g) { g->migrating = true; }
static void vfio(Guest *g) { g->vfio = true; }
static void hugepages(Guest *g) { g->hugepages = true; }
static void silent(Guest *g) { g->stats.age_usec = UNKNOWN_U64; }
static void no_unused(Guest *g) { g->stats.unused_bytes = UNKNOWN_U64; }

static const struct {
        BalloonMode mode;
        void (*spoil)(Guest *g);
        int want;
} left_out_rows[] = {
        { BALLOON_PVE, frozen, SKIP_STALE_STATS },
        { BALLOON_PVE, implausible, SKIP_IMPLAUSIBLE_STATS },
        { BALLOON_PVE, migrating, SKIP_MIGRATING },
        { BALLOON_PVE, vfio, SKIP_VFIO },
        { BALLOON_PVE, hugepages, SKIP_HUGEPAGES },
        { BALLOON_PVE, silent, SKIP_NO_DRIVER },
        { BALLOON_MOM, frozen, SKIP_STALE_STATS },
        { BALLOON_MOM, implausible, SKIP_IMPLAUSIBLE_STATS },
        { BALLOON_MOM, migrating, SKIP_MIGRATING },
        { BALLOON_MOM, vfio, SKIP_VFIO },
        { BALLOON_MOM, hugepages, SKIP_HUGEPAGES },
        { BALLOON_MOM, no_unused, SKIP_UNKNOWN },
        { BALLOON_PROPORTIONAL, frozen, SKIP_STALE_STATS },
        { BALLOON_PROPORTIONAL, migrating, SKIP_MIGRATING },
        { BALLOON_PROPORTIONAL, silent, SKIP_NO_DRIVER },
        { BALLOON_PROPORTIONAL, no_unused, -1 },
};

/* Others get what they would get without it. */
START_TEST(who_takes_no_part_says_why) {
        Guest *bad = world_add_guest(&world, "bad", 4 * GIB, 4 * GIB);
        Guest *good = world_add_guest(&world, "good", 4 * GIB, 4 * GIB);
        uint64_t alone;

        use_preset(left_out_rows[_i].mode);
        bad->balloon_device = false;
        world_set_host(&world, 64 * GIB, GIB);
        world.snapshot->host.memory.free_bytes = GIB;
        run();
        alone = asked(good);
        ck_assert_uint_ne(alone, 0);
        bad->balloon_device = true;
        left_out_rows[_i].spoil(bad);
        good->current_bytes = 4 * GIB;
        world.snapshot->now_usec += 20 * USEC_PER_SEC;
        state_find_guest(world.state, good->uuid)->balloon_target_bytes = 0;
        run();
        ck_assert_int_eq(why_not(bad), left_out_rows[_i].want);
        ck_assert_int_eq(asked(bad) == 0, left_out_rows[_i].want != -1);
        if (left_out_rows[_i].want != -1)
                ck_assert_uint_eq(asked(good), alone);
}
END_TEST

START_TEST(a_balloon_that_does_not_move_takes_no_part) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, 4 * GIB);
        static const unsigned patience[] = { [BALLOON_PVE] = 30, [BALLOON_MOM] = 30, [BALLOON_PROPORTIONAL] = 10 };
        BalloonMode mode = (BalloonMode)_i;
        unsigned waited = 0;

        use_preset(mode);
        world_set_host(&world, 60 * GIB, mode == BALLOON_PVE ? 12 * GIB - 50 * MIB : GIB);
        world.snapshot->host.memory.free_bytes = GIB;
        run();
        for (; waited < 100 && why_not(g) != SKIP_STUCK; waited += 10) {
                world_own_all(&world);
                world.snapshot->now_usec += 10 * USEC_PER_SEC;
                /* The goal differs a little each time. */
                world.snapshot->host.memory.available_bytes += 40 * KIB;
                g->stats.age_usec = USEC_PER_SEC;
                run();
        }
        ck_assert_uint_eq(waited, patience[mode]);
        ck_assert_uint_eq(asked(g), 0);
}
END_TEST

int main(void) {
        Suite *s = suite_create("policy_balloon_presets");
        TCase *t = tcase_create("presets");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_loop_test(t, pve_decides_as_the_original, 0, ELEMENTSOF(pve_rows));
        tcase_add_loop_test(t, pve_aims_at_80_percent, 0, ELEMENTSOF(goal_rows));
        tcase_add_loop_test(t, mom_decides_as_the_original, 0, ELEMENTSOF(mom_rows));
        tcase_add_loop_test(t, proportional_decides_as_the_original, 0, ELEMENTSOF(proportional_rows));
        tcase_add_test(t, pve_acts_on_guests);
        tcase_add_test(t, mom_acts_on_guests);
        tcase_add_test(t, mom_takes_means);
        tcase_add_test(t, proportional_frees_before_it_gives);
        tcase_add_test(t, presets_step_every_10_seconds);
        tcase_add_loop_test(t, who_takes_no_part_says_why, 0, ELEMENTSOF(left_out_rows));
        tcase_add_loop_test(t, a_balloon_that_does_not_move_takes_no_part, BALLOON_PVE, BALLOON_PROPORTIONAL + 1);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
