/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Mode auto: the rate, whether it pays, what it leaves to the kernel's advisor, and how all that is given back. */

#include "ksm_util.h"

#include "../../lib/policy_ksm_rate.h"

/* ---- the rate as arithmetic ---- */

#define UNKNOWN UINT64_MAX

/*
 * want was computed by hand from the formulas at the head of policy_ksm_rate.c,
 * for a page of 2 us where no cost is given.
 */
static const struct {
        const char *name;
        uint64_t pages, sleep, busy, limit, per_sec, want;
} rate_rows[] = {
        { "first: half a CPU, 20 ms asleep, 20 ms of work", 0, 20, UNKNOWN, 5000, UNKNOWN, 10000 },
        { "first: a fifth of a CPU, 5 ms of work", 0, 20, UNKNOWN, 2000, UNKNOWN, 2500 },
        { "first: the most there is", 0, 20, UNKNOWN, 9000, UNKNOWN, 30000 },
        { "first: no limit, the most there is", 0, 20, UNKNOWN, 10000, UNKNOWN, 30000 },
        { "first: 1 % of a CPU, the least there is", 0, 20, UNKNOWN, 100, UNKNOWN, 101 },
        { "first: 1 ms asleep", 0, 1, UNKNOWN, 5000, UNKNOWN, 500 },
        { "first: 0 ms asleep count as 1", 0, 0, UNKNOWN, 5000, UNKNOWN, 500 },
        { "first: 50,000 a second are 1,111 in 20 ms and 2.2 ms of work", 0, 20, UNKNOWN, 5000, 50000, 1111 },
        { "first: 100 a second are less than the least", 0, 20, UNKNOWN, 5000, 100, 100 },
        { "first: more than the limit allows", 0, 20, UNKNOWN, 2000, 400000, 2500 },
        { "first: more than a CPU can do", 0, 20, UNKNOWN, 2000, 600000, 2500 },
        { "at the limit it stays", 10000, 20, 5000, 5000, UNKNOWN, 10000 },
        { "a little below the limit it stays", 10000, 20, 4600, 5000, UNKNOWN, 10000 },
        { "a little above the limit it stays", 10000, 20, 5400, 5000, UNKNOWN, 10000 },
        { "a third of a CPU: twice as many fit into half", 5000, 20, 3333, 5000, UNKNOWN, 10000 },
        { "three quarters: a third as many, half at once", 9000, 20, 7500, 5000, UNKNOWN, 4500 },
        { "and the rest next time", 4500, 20, 6000, 5000, UNKNOWN, 3000 },
        { "10 %: nine times as many, twice at once", 1000, 20, 1000, 5000, UNKNOWN, 2000 },
        { "a whole CPU: half", 8000, 20, 10000, 5000, UNKNOWN, 4000 },
        { "busy beyond a CPU counts as one", 8000, 20, 12000, 5000, UNKNOWN, 4000 },
        { "up to the most there is", 20000, 20, 1000, 5000, UNKNOWN, 30000 },
        { "down to the least there is", 150, 20, 9900, 100, UNKNOWN, 100 },
        { "idle: the cost is not known", 6000, 20, 0, 5000, UNKNOWN, 10000 },
        { "next to idle: the same", 6000, 20, 9, 5000, UNKNOWN, 10000 },
        { "no figure of ksmd: the same", 6000, 20, UNKNOWN, 5000, UNKNOWN, 10000 },
        { "what was asked for is there", 1111, 20, 1000, 5000, 50000, 1111 },
        { "and 10 % more does not count", 1111, 20, 1000, 5000, 55000, 1111 },
        { "half as much is asked for", 1111, 20, 1000, 5000, 25000, 555 },
        { "a tenth as much: half at once", 1111, 20, 1000, 5000, 5000, 555 },
        { "twice as much is asked for", 1111, 20, 1000, 5000, 90000, 2195 },
        { "somebody's strange rate is no start", 99, 20, 1000, 5000, UNKNOWN, 891 },
        { "nor one beyond all bounds", 2000000, 20, 9000, 5000, UNKNOWN, 30000 },
        { "small numbers still move", 101, 20, 300, 5000, UNKNOWN, 202 },
};

START_TEST(rate_follows_its_formula) {
        KsmRate in = {
                .pages = rate_rows[_i].pages,
                .sleep_millisecs = rate_rows[_i].sleep,
                .busy_permyriad = rate_rows[_i].busy,
                .limit_permyriad = rate_rows[_i].limit,
                .pages_per_sec = rate_rows[_i].per_sec,
        };
        uint64_t pages = ksm_rate_pages(&in);

        ck_assert_msg(pages == rate_rows[_i].want, "%s: %" PRIu64, rate_rows[_i].name, pages);
}
END_TEST

/* A machine on which a page costs so many nanoseconds: what ksmd takes of a CPU at this rate. */
static uint64_t busy_at(uint64_t pages, uint64_t sleep_msec, uint64_t cost_nsec) {
        uint64_t work = pages * cost_nsec;

        return work * PERMYRIAD_FULL / (work + sleep_msec * 1000000);
}

static const uint64_t costs[] = { 50, 400, 900, 2000, 5000, 20000, 150000 };

/* It arrives within the limit's dead band, and then stays. */
START_TEST(rate_converges_whatever_a_page_costs) {
        KsmRate in = { .sleep_millisecs = 20, .busy_permyriad = UNKNOWN, .limit_permyriad = 5000,
                       .pages_per_sec = UNKNOWN };
        uint64_t busy, still = 0;

        for (int i = 0; i < 12; i++) {
                uint64_t pages = ksm_rate_pages(&in);

                still = pages == in.pages ? still + 1 : 0;
                in.pages = pages;
                in.busy_permyriad = busy_at(pages, in.sleep_millisecs, costs[_i]);
        }
        busy = in.busy_permyriad;
        ck_assert_uint_ge(still, 3);
        ck_assert_msg((busy >= 4200 && busy <= 5800) || in.pages == KSM_RATE_PAGES_MAX || in.pages == KSM_RATE_PAGES_MIN,
                      "%" PRIu64 " pages, busy %" PRIu64, in.pages, busy);
}
END_TEST

/* ---- the controller ---- */

static World world;

static void setup(void) {
        world_init_ksm(&world);
        world_set(&world, KEY_KSM_MODE, KSM_AUTO);
        (void)world_add_guest(&world, "g", 8 * GIB, 8 * GIB);
}

static void teardown(void) {
        world_done(&world);
}

static KsmStatus *ksm(void) {
        return &world.snapshot->host.ksm;
}

static void cycle(uint64_t usec) {
        ksm_cycle(&world, usec);
}

static void restore(void) {
        ksm_restore(&world);
}

static void no_advisor(void) {
        ksm()->advisor_mode[0] = '\0';
        ksm()->advisor_max_cpu = ksm()->advisor_target_scan_time = ksm()->smart_scan = UNKNOWN_U64;
}

#define SEC USEC_PER_SEC
#define MINUTE USEC_PER_MINUTE

START_TEST(catches_up_at_the_limit_then_leaves_it_to_the_advisor) {
        cycle(10 * SEC);
        ck_assert_uint_eq(ksm()->run, 1);
        ck_assert_uint_eq(ksm()->pages_to_scan, 10000);
        ck_assert_uint_eq(ksm()->smart_scan, 1);
        ck_assert_str_eq(ksm()->advisor_mode, "none");
        ck_assert_uint_eq(ksm()->sleep_millisecs, 20);
        ksm()->full_scans += 2;
        cycle(10 * SEC);
        ck_assert_str_eq(ksm()->advisor_mode, "none");
        ksm()->full_scans++;
        cycle(10 * SEC);
        ck_assert_str_eq(ksm()->advisor_mode, "scan-time");
        ck_assert_uint_eq(ksm()->advisor_max_cpu, 50);
        ck_assert_uint_eq(ksm()->advisor_target_scan_time, 200);
        /* 2,097,152 pages in 200 s, 500 at a time. */
        ck_assert_uint_eq(ksm()->sleep_millisecs, 47);
        ksm()->pages_to_scan = 2345;
        ksm()->pages_unshared = 2500000;
        cycle(10 * SEC);
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_uint_eq(world.plan->n_skips, 0);
        ck_assert(!world.state->ksm_taken);
}
END_TEST

/* Before and after the advisor took over; pages_to_scan was 123 and has to be so again. */
START_TEST(everything_is_given_back) {
        cycle(10 * SEC);
        ksm()->full_scans += 3;
        if (_i > 0)
                cycle(10 * SEC);
        if (_i > 1)
                ksm()->pages_to_scan = 123;     /* of all values */
        restore();
        ck_assert_uint_eq(ksm()->run, 0);
        ck_assert_uint_eq(ksm()->pages_to_scan, 123);
        ck_assert_uint_eq(ksm()->sleep_millisecs, 34);
        ck_assert_uint_eq(ksm()->smart_scan, 0);
        ck_assert_str_eq(ksm()->advisor_mode, "none");
        ck_assert_uint_eq(ksm()->advisor_max_cpu, 70);
        ck_assert_uint_eq(ksm()->advisor_target_scan_time, 100);
}
END_TEST

/* The same by mode keep, and by a preset, which needs none of the advisor's knobs. */
START_TEST(another_mode_gives_back_what_it_does_not_need) {
        cycle(10 * SEC);
        ksm()->full_scans += 3;
        cycle(10 * SEC);
        ck_assert_str_eq(ksm()->advisor_mode, "scan-time");
        world_set(&world, KEY_KSM_MODE, _i > 0 ? KSM_ON : KSM_KEEP);
        cycle(10 * SEC);
        ck_assert_str_eq(ksm()->advisor_mode, "none");
        ck_assert_uint_eq(ksm()->advisor_max_cpu, 70);
        ck_assert_uint_eq(ksm()->smart_scan, 0);
        ck_assert_uint_eq(ksm()->pages_to_scan, _i > 0 ? 100 : 123);
        ck_assert_uint_eq(ksm()->run, _i > 0);
        cycle(10 * SEC);
        ck_assert_uint_eq(world.plan->n_actions, 0);
        restore();
        ck_assert_uint_eq(ksm()->pages_to_scan, 123);
        ck_assert_uint_eq(ksm()->run, 0);
}
END_TEST

/* The kernel's advisor was on before: it is off while catching up, and on again; its page count is its own. */
START_TEST(an_advisor_that_was_on_is_on_in_the_end) {
        (void)kernel_write(&world, KSM_KNOB_ADVISOR_MODE, "scan-time");
        ksm()->pages_to_scan = 4321;
        cycle(10 * SEC);
        ck_assert_str_eq(ksm()->advisor_mode, "none");
        ck_assert_uint_eq(ksm()->pages_to_scan, 10000);
        if (_i > 0) {
                ksm()->full_scans += 3;
                cycle(10 * SEC);
        }
        restore();
        ck_assert_str_eq(ksm()->advisor_mode, "scan-time");
        ck_assert_uint_eq(ksm()->advisor_max_cpu, 70);
}
END_TEST

START_TEST(the_page_count_is_on_record_before_the_advisor_overwrites_it) {
        ksm()->pages_to_scan = 10000;   /* what catching up wants */
        cycle(10 * SEC);
        ksm()->full_scans += 3;
        cycle(10 * SEC);
        restore();
        ck_assert_uint_eq(ksm()->pages_to_scan, 10000);
}
END_TEST

/* An older kernel: the own control paces itself to a pass in scan_time. */
START_TEST(without_advisor_the_own_rate_slows_down) {
        no_advisor();
        cycle(10 * SEC);
        ck_assert_uint_eq(ksm()->pages_to_scan, 10000);
        ksm()->full_scans += 3;
        ksm()->pages_unshared = 2000000;
        for (int i = 0; i < 10; i++) {
                ksm()->ksmd_busy_permyriad = (uint32_t)busy_at(ksm()->pages_to_scan, 20, 1000);
                cycle(10 * SEC);
        }
        /* 8 GiB of guest memory are 2,097,152 pages: 10,485 a second, 211 each 20 ms. */
        ck_assert_uint_ge(ksm()->pages_to_scan, 170);
        ck_assert_uint_le(ksm()->pages_to_scan, 264);
        cycle(10 * SEC);
        ck_assert_uint_eq(world.plan->n_actions, 0);
        restore();
        ck_assert_uint_eq(ksm()->pages_to_scan, 123);
}
END_TEST

START_TEST(a_rate_is_measured_before_the_next) {
        no_advisor();
        cycle(1 * SEC);
        ksm()->ksmd_busy_permyriad = 9000;
        cycle(1 * SEC);
        ck_assert_uint_eq(ksm()->pages_to_scan, 10000);
        cycle(4 * SEC);
        ck_assert_uint_eq(ksm()->pages_to_scan, 5000);
}
END_TEST

START_TEST(more_guest_memory_is_caught_up_with) {
        cycle(10 * SEC);
        ksm()->full_scans += 3;
        cycle(10 * SEC);
        (void)world_add_guest(&world, "small", 512 * MIB, 512 * MIB);
        cycle(10 * SEC);
        ck_assert_str_eq(ksm()->advisor_mode, "scan-time");
        (void)world_add_guest(&world, "large", 2 * GIB, 2 * GIB);
        cycle(10 * SEC);
        ck_assert_str_eq(ksm()->advisor_mode, "none");
        ck_assert_uint_eq(ksm()->pages_to_scan, 10000);
        ksm()->full_scans += 3;
        cycle(10 * SEC);
        ck_assert_str_eq(ksm()->advisor_mode, "scan-time");
}
END_TEST

/* ---- whether it pays ---- */

/* Of 16 GiB and 4 CPUs. */
static const struct {
        const char *name;
        uint32_t busy;
        int64_t profit;
        uint64_t sharing, unshared;
        uint64_t scans;
        bool pays;
} pay_rows[] = {
        { "1 GiB for 20 % of a CPU: 5 % of the host is 0.8 GiB", 2000, 1 << 30, 0, 0, 5, true },
        { "0.9 GiB for 20 %", 2000, 900 << 20, 0, 0, 5, true },
        { "0.7 GiB for 20 %", 2000, 700 << 20, 0, 0, 5, false },
        { "nothing for nothing is no gain", 0, 0, 0, 0, 5, false },
        { "a loss for nothing", 0, -4096, 10, 0, 5, false },
        { "a little for nothing", 0, 4096, 0, 0, 5, true },
        { "an older kernel: merged pages", 2000, 0, 262144, 0, 5, true },
        { "an older kernel: too few of them", 2000, 0, 150000, 0, 5, false },
        { "an older kernel: enough, but for what the others cost", 2000, 0, 214000, 5000000, 5, false },
        { "no figure of ksmd: any gain will do", UNKNOWN_PERMYRIAD, 4096, 0, 0, 5, true },
        { "too few passes to tell", 2000, 0, 0, 0, 2, true },
};

static void set_gain(size_t i) {
        ksm()->ksmd_busy_permyriad = pay_rows[i].busy;
        ksm()->general_profit_bytes = pay_rows[i].profit;
        ksm()->pages_sharing = pay_rows[i].sharing;
        ksm()->pages_unshared = pay_rows[i].unshared;
}

START_TEST(runs_while_it_pays) {
        cycle(10 * SEC);
        ck_assert_uint_eq(ksm()->run, 1);
        set_gain((size_t)_i);
        ksm()->full_scans += pay_rows[_i].scans;
        for (int i = 0; i < 59; i++) {
                cycle(10 * SEC);
                ck_assert_uint_eq(ksm()->run, 1);
        }
        cycle(10 * SEC);
        ck_assert_msg(ksm()->run == pay_rows[_i].pays, "%s", pay_rows[_i].name);
        if (!pay_rows[_i].pays) {
                ck_assert_int_eq(world_skip(&world, ACTION_SET_KSM, NULL)->why, SKIP_NO_GAIN);
                ck_assert_ptr_nonnull(strstr(world.plan->skips[0].detail, "30 min"));
        }
}
END_TEST

static void stop_for_no_gain(void) {
        ksm()->general_profit_bytes = -1;
        ksm()->ksmd_busy_permyriad = 1000;
        for (int i = 0; i < 62 && ksm()->run == 1; i++) {
                ksm()->full_scans++;
                cycle(10 * SEC);
        }
        ck_assert_uint_eq(ksm()->run, 0);
}

START_TEST(a_rest_doubles_up_to_eight_hours) {
        static const uint64_t minutes[] = { 30, 60, 120, 240, 480, 480 };

        cycle(10 * SEC);
        for (size_t i = 0; i < ELEMENTSOF(minutes); i++) {
                stop_for_no_gain();
                cycle((minutes[i] - 1) * MINUTE);
                ck_assert_uint_eq(ksm()->run, 0);
                cycle(MINUTE);
                ck_assert_uint_eq(ksm()->run, 1);
        }
}
END_TEST

START_TEST(a_gain_makes_the_next_rest_short_again) {
        cycle(10 * SEC);
        stop_for_no_gain();
        cycle(30 * MINUTE);
        ksm()->general_profit_bytes = 4 * GIB;
        ksm()->full_scans += 5;
        cycle(10 * MINUTE);
        ck_assert_uint_eq(ksm()->run, 1);
        stop_for_no_gain();
        cycle(30 * MINUTE);
        ck_assert_uint_eq(ksm()->run, 1);
}
END_TEST

START_TEST(more_guest_memory_ends_a_rest) {
        cycle(10 * SEC);
        stop_for_no_gain();
        (void)world_add_guest(&world, "h", GIB, GIB);
        cycle(10 * SEC);
        ck_assert_uint_eq(ksm()->run, 1);
}
END_TEST

START_TEST(the_end_of_need_stops_it_and_forgets_the_rest) {
        cycle(10 * SEC);
        stop_for_no_gain();
        world_set_host(&world, 16 * GIB, 8 * GIB);
        cycle(10 * SEC);
        ck_assert_uint_eq(world.plan->n_skips, 0);
        world_set_host(&world, 16 * GIB, 2 * GIB);
        cycle(10 * SEC);
        ck_assert_uint_eq(ksm()->run, 1);
}
END_TEST

/* What merging gains may be the end of the need for it. */
START_TEST(passes_that_were_begun_are_done_before_it_stops) {
        cycle(10 * SEC);
        ksm()->full_scans += 2;
        world_set_host(&world, 16 * GIB, 8 * GIB);
        cycle(10 * SEC);
        ck_assert_uint_eq(ksm()->run, 1);
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ksm()->full_scans++;
        cycle(10 * SEC);
        ck_assert_uint_eq(ksm()->run, 0);
}
END_TEST

/* ---- a scanner that gets nowhere ---- */

static const struct {
        const char *name;
        size_t nodes;
        uint64_t balancing, release;
        KernelMode mode;
        bool rests;             /* after ten minutes */
        const char *says;
} stuck_rows[] = {
        { "one node", 1, 1, KERNEL_RELEASE(6, 1), KERNEL_AUTO, true, "from one pass to the next" },
        { "balancing is off", 2, 0, KERNEL_RELEASE(6, 1), KERNEL_AUTO, true, "until its memory is moved" },
        { "balancing is off and hides nothing", 2, 0, KERNEL_RELEASE(6, 5), KERNEL_AUTO, true, "pass to the next" },
        { "balancing is on and hides nothing", 2, 1, KERNEL_RELEASE(6, 5), KERNEL_AUTO, true, "pass to the next" },
        { "the policy keeps it", 2, 1, UNKNOWN_U64, KERNEL_KEEP, true, "the policy leaves it so" },
        { "the policy wants it on", 2, 1, KERNEL_RELEASE(6, 1), KERNEL_ON, true, "the policy leaves it so" },
        { "the policy lets it yield", 2, 1, KERNEL_RELEASE(6, 1), KERNEL_AUTO, false, "switched off if this lasts" },
        { "nobody knows the kernel", 2, 1, UNKNOWN_U64, KERNEL_AUTO, false, "switched off if this lasts" },
};

START_TEST(a_scanner_that_merges_nothing_is_named) {
        world.snapshot->host.nodes = calloc(2, sizeof(NodeMemory));
        world.snapshot->host.n_nodes = stuck_rows[_i].nodes;
        world.snapshot->host.numa_balancing = stuck_rows[_i].balancing;
        world.snapshot->host.kernel_release = stuck_rows[_i].release;
        world_set(&world, KEY_KERNEL_NUMA_BALANCING, stuck_rows[_i].mode);
        cycle(10 * SEC);
        ksm()->pages_volatile = 142000;
        ksm()->pages_sharing = 19 * 256;        /* of three guests of 192 MiB, as seen on Linux 6.1 */
        ksm()->general_profit_bytes = -32000000;
        ksm()->ksmd_busy_permyriad = 1000;
        ksm()->full_scans++;
        cycle(10 * SEC);
        /* What the second pass has merged was seen to look like nothing, a pass before 79 MiB were merged. */
        ksm()->full_scans += 2;
        cycle(10 * SEC);
        ck_assert_uint_eq(world.plan->n_skips, 0);
        ksm()->full_scans++;
        cycle(10 * SEC);
        ck_assert_ptr_nonnull(world_skip(&world, ACTION_SET_KSM, NULL));
        ck_assert_int_eq(world_skip(&world, ACTION_SET_KSM, NULL)->why, SKIP_STUCK);
        ck_assert_ptr_nonnull(strstr(world.plan->skips[0].detail, stuck_rows[_i].says));
        ksm()->full_scans += 5;
        cycle(10 * MINUTE);
        ck_assert_msg((ksm()->run == 0) == stuck_rows[_i].rests, "%s", stuck_rows[_i].name);
        ksm()->full_scans += 5;
        cycle(50 * MINUTE);
        ck_assert_uint_eq(ksm()->run, stuck_rows[_i].rests);
}
END_TEST

/* When balancing was switched off, nothing that was seen before is held against the scanner. */
START_TEST(it_begins_anew_when_balancing_was_switched) {
        world.snapshot->host.nodes = calloc(2, sizeof(NodeMemory));
        world.snapshot->host.n_nodes = 2;
        world.snapshot->host.numa_balancing = 1;
        world_set(&world, KEY_KERNEL_NUMA_BALANCING, KERNEL_AUTO);
        cycle(10 * SEC);
        ksm()->pages_volatile = 500000;
        ksm()->general_profit_bytes = -32000000;
        ksm()->ksmd_busy_permyriad = 1000;
        ksm()->full_scans += 5;
        cycle(9 * MINUTE);
        ck_assert_str_eq(ksm()->advisor_mode, "scan-time");
        world.state->kernel_set_usec = world.snapshot->now_usec;
        world.snapshot->host.numa_balancing = 0;
        ksm()->full_scans += 3;
        cycle(2 * MINUTE);
        ck_assert_uint_eq(ksm()->run, 1);
        ck_assert_str_eq(ksm()->advisor_mode, "none");
        ck_assert_uint_eq(world.plan->n_skips, 0);
        ksm()->full_scans += 3;
        cycle(8 * MINUTE);
        ck_assert_uint_eq(ksm()->run, 1);
        ck_assert_str_eq(ksm()->advisor_mode, "scan-time");
        ck_assert_ptr_nonnull(strstr(world.plan->skips[0].detail, "until its memory is moved"));
        cycle(2 * MINUTE);
        ck_assert_uint_eq(ksm()->run, 0);
}
END_TEST

/* Nothing merged, all volatile. */
static void futile_passes(uint64_t passes) {
        ksm()->full_scans += passes;
        cycle(10 * SEC);
}

static bool is_said(void) {
        return world_skip(&world, ACTION_SET_KSM, NULL) != NULL;
}

/* A host whose guest of 8 GiB has touched @resident, and whose scanner has been started and gets nowhere. */
static Guest *begin_with(uint64_t resident) {
        Guest *g = world.snapshot->guests[0];

        g->rss_bytes = resident;
        ksm()->pages_volatile = 142000;
        cycle(10 * SEC);
        cycle(10 * SEC);
        return g;
}

static const struct { const char *name; uint64_t megabytes[4]; bool said; } growth_rows[] = {
        { "as large as before", { 1000, 1000, 1000, 1000 }, true },
        { "it grows and grows", { 1100, 1200, 1300, 1400 }, false },
        { "in all a tenth, and no more", { 1025, 1050, 1075, 1100 }, true },
        { "in all more than a tenth", { 1025, 1050, 1075, 1101 }, false },
        { "it comes back to where it was", { 900, 950, 1000, 1000 }, false },
        { "it has grown before three passes", { 1200, 1200, 1200, 1200 }, true },
        { "it has grown two passes ago", { 1000, 1200, 1200, 1200 }, false },
        { "it shrinks", { 900, 800, 700, 600 }, true },
};

/* While guests start, or fill their memory, its pages are new; they count as volatile like those that change. */
START_TEST(passes_count_from_when_guests_have_grown) {
        Guest *g = begin_with(1000 * MIB);

        for (size_t i = 0; i < ELEMENTSOF(growth_rows[_i].megabytes); i++) {
                g->rss_bytes = growth_rows[_i].megabytes[i] * MIB;
                futile_passes(1);
        }
        ck_assert_msg(is_said() == growth_rows[_i].said, "%s", growth_rows[_i].name);
        futile_passes(3);
        ck_assert(is_said());
}
END_TEST

START_TEST(passes_count_from_when_guests_have_come) {
        Guest *g;

        (void)begin_with(GIB);
        futile_passes(2);
        g = world_add_guest(&world, "new", 2 * GIB, 2 * GIB);
        g->rss_bytes = 200 * MIB;
        futile_passes(1);
        ck_assert(!is_said());
        futile_passes(2);
        ck_assert(!is_said());
        futile_passes(1);
        ck_assert(is_said());
}
END_TEST

/* As many go as come: what is there is new all the same. */
START_TEST(guests_that_take_the_place_of_others_are_new) {
        char first[UUID_TEXT_SIZE];
        Guest *g = begin_with(GIB);

        memcpy(first, g->uuid, sizeof(first));
        g = world_add_guest(&world, "next", 8 * GIB, 8 * GIB);
        g->rss_bytes = 0;
        ck_assert(snapshot_remove_guest(world.snapshot, first));
        futile_passes(1);
        g->rss_bytes = GIB;
        futile_passes(2);
        ck_assert(!is_said());
        futile_passes(2);
        ck_assert(!is_said());
        futile_passes(1);
        ck_assert(is_said());
}
END_TEST

/* The three quick passes were over before the guest had filled its memory. */
START_TEST(memory_that_is_filled_is_caught_up_with) {
        Guest *g = begin_with(100 * MIB);

        futile_passes(3);
        ck_assert_str_eq(ksm()->advisor_mode, "scan-time");
        g->rss_bytes = 6 * GIB;
        futile_passes(1);
        ck_assert_str_eq(ksm()->advisor_mode, "none");
        ck_assert_uint_eq(ksm()->pages_to_scan, 10000);
        futile_passes(3);
        ck_assert_str_eq(ksm()->advisor_mode, "scan-time");
}
END_TEST

/* The state goes through its text in between, as over a restart. */
START_TEST(growth_goes_on_over_a_restart) {
        _cleanup_free_ char *text = NULL, *error = NULL;
        Guest *g = begin_with(1000 * MIB);

        g->rss_bytes = 1050 * MIB;
        futile_passes(1);
        ck_assert_int_eq(state_format(world.state, &text), 0);
        world.state = state_free(world.state);
        ck_assert_int_eq(state_parse(text, &world.state, &error), 0);
        g->rss_bytes = 1090 * MIB;
        futile_passes(2);
        ck_assert(is_said());
        g->rss_bytes = 1101 * MIB;
        futile_passes(1);
        ck_assert(!is_said());
}
END_TEST

/* Whether it pays is not asked before it is known whether balancing keeps it from merging. */
START_TEST(a_scanner_is_not_judged_while_guests_grow_under_balancing) {
        Guest *g;

        world.snapshot->host.nodes = calloc(2, sizeof(NodeMemory));
        world.snapshot->host.n_nodes = 2;
        world.snapshot->host.numa_balancing = _i == 0;
        world_set(&world, KEY_KERNEL_NUMA_BALANCING, KERNEL_AUTO);
        ksm()->general_profit_bytes = -32000000;
        ksm()->ksmd_busy_permyriad = 1000;
        g = begin_with(GIB);
        ksm()->full_scans += 2;
        cycle(8 * MINUTE);
        g->rss_bytes = 2 * GIB;
        ksm()->full_scans++;
        cycle(MINUTE);
        ksm()->full_scans++;
        cycle(MINUTE);
        ck_assert_uint_eq(ksm()->run, _i == 0);
        ksm()->full_scans += 2;
        cycle(MINUTE);
        ck_assert_int_eq(is_said(), true);
        ck_assert_uint_eq(ksm()->run, _i == 0);
}
END_TEST

/* The count of passes is from before; nothing can be said of this run yet. */
START_TEST(passes_of_an_earlier_run_prove_nothing) {
        ksm()->pages_volatile = 500000;
        cycle(10 * SEC);
        cycle(10 * SEC);
        ck_assert_uint_eq(ksm()->run, 1);
        ck_assert_uint_eq(world.plan->n_skips, 0);
}
END_TEST

int main(void) {
        Suite *s = suite_create("policy_ksm_auto");
        TCase *t = tcase_create("auto");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_loop_test(t, rate_follows_its_formula, 0, ELEMENTSOF(rate_rows));
        tcase_add_loop_test(t, rate_converges_whatever_a_page_costs, 0, ELEMENTSOF(costs));
        tcase_add_test(t, catches_up_at_the_limit_then_leaves_it_to_the_advisor);
        tcase_add_loop_test(t, everything_is_given_back, 0, 3);
        tcase_add_loop_test(t, another_mode_gives_back_what_it_does_not_need, 0, 2);
        tcase_add_loop_test(t, an_advisor_that_was_on_is_on_in_the_end, 0, 2);
        tcase_add_test(t, the_page_count_is_on_record_before_the_advisor_overwrites_it);
        tcase_add_test(t, without_advisor_the_own_rate_slows_down);
        tcase_add_test(t, a_rate_is_measured_before_the_next);
        tcase_add_test(t, more_guest_memory_is_caught_up_with);
        tcase_add_loop_test(t, runs_while_it_pays, 0, ELEMENTSOF(pay_rows));
        tcase_add_test(t, a_rest_doubles_up_to_eight_hours);
        tcase_add_test(t, a_gain_makes_the_next_rest_short_again);
        tcase_add_test(t, more_guest_memory_ends_a_rest);
        tcase_add_test(t, the_end_of_need_stops_it_and_forgets_the_rest);
        tcase_add_test(t, passes_that_were_begun_are_done_before_it_stops);
        tcase_add_loop_test(t, a_scanner_that_merges_nothing_is_named, 0, ELEMENTSOF(stuck_rows));
        tcase_add_test(t, it_begins_anew_when_balancing_was_switched);
        tcase_add_test(t, passes_of_an_earlier_run_prove_nothing);
        tcase_add_loop_test(t, passes_count_from_when_guests_have_grown, 0, ELEMENTSOF(growth_rows));
        tcase_add_test(t, passes_count_from_when_guests_have_come);
        tcase_add_test(t, guests_that_take_the_place_of_others_are_new);
        tcase_add_test(t, memory_that_is_filled_is_caught_up_with);
        tcase_add_test(t, growth_goes_on_over_a_restart);
        tcase_add_loop_test(t, a_scanner_is_not_judged_while_guests_grow_under_balancing, 0, 2);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
