/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The presets: their arithmetic against the originals', and their steps against time. */

#include "memory_util.h"

#include "../../lib/policy_ksm_kubevirt.h"
#include "../../lib/policy_ksm_mom.h"
#include "../../lib/policy_ksmtuned.h"

/* ---- preset ksmtuned against the shell's own arithmetic ------------------- */

/*
 * pages_after and run were computed by running the original's expressions in
 * bash over total, free, committed and npages (all kB).
 */
static const struct {
        const char *name;
        uint64_t total, free, committed, pages;
        bool run;
        uint64_t pages_after, sleep;
} ksmtuned_rows[] = {
        { "idle host stops", 16777216, 12000000, 1000000, 0, false, 0, 10 },
        { "idle host keeps its pages", 16777216, 12000000, 1000000, 700, false, 700, 10 },
        { "short: first boost", 16777216, 1000000, 15000000, 0, true, 300, 10 },
        { "short: second boost", 16777216, 1000000, 15000000, 300, true, 600, 10 },
        { "short: up to the limit", 16777216, 1000000, 15000000, 1000, true, 1250, 10 },
        { "short: at the limit", 16777216, 1000000, 15000000, 1250, true, 1250, 10 },
        { "short: 950 reaches it exactly", 16777216, 1000000, 15000000, 950, true, 1250, 10 },
        { "committed but free: decay from 0", 16777216, 8000000, 15000000, 0, true, 64, 10 },
        { "committed but free: decay", 16777216, 8000000, 15000000, 600, true, 550, 10 },
        { "decay to the minimum", 16777216, 8000000, 15000000, 100, true, 64, 10 },
        { "decay from 114 is exact", 16777216, 8000000, 15000000, 114, true, 64, 10 },
        { "decay from 113 is clamped", 16777216, 8000000, 15000000, 113, true, 64, 10 },
        { "decay at the minimum", 16777216, 8000000, 15000000, 64, true, 64, 10 },
        { "free equals the threshold: decay", 16777216, 3355443, 1000, 500, true, 450, 10 },
        { "free one below the threshold: boost", 16777216, 3355442, 1000, 500, true, 800, 10 },
        { "free one above: stops", 16777216, 3355444, 1000, 500, false, 500, 10 },
        { "committed plus threshold equals total: runs", 16777216, 8000000, 13421773, 500, true, 450, 10 },
        { "committed one less: stops", 16777216, 8000000, 13421772, 500, false, 500, 10 },
        { "not committed but no free memory: runs", 16777216, 0, 0, 0, true, 300, 10 },
        { "committed beyond total", 16777216, 8000000, 20000000, 500, true, 450, 10 },
        { "committed beyond total and short", 16777216, 1, 20000000, 500, true, 800, 10 },
        { "8 GiB host sleeps 20 ms", 8388608, 100000, 8000000, 0, true, 300, 20 },
        { "odd size truncates the sleep", 8000000, 100000, 7000000, 300, true, 600, 20 },
        { "6 GB host", 6000001, 1200000, 5000000, 300, true, 250, 27 },
        { "6 GB host, one more free", 6000001, 1200001, 5000000, 300, true, 250, 27 },
        { "1 GiB host sleeps 160 ms", 1048576, 300000, 900000, 200, true, 150, 160 },
        { "160 GiB host: the floor", 167772160, 1000000, 100000000, 300, true, 600, 10 },
        { "4 TiB host: the floor", 4294967296, 1000000000, 100, 300, false, 300, 10 },
        { "4 TiB host, short", 4294967296, 800000000, 4000000000, 1249, true, 1250, 10 },
        { "tiny host: threshold has a floor", 9000, 2048, 100, 100, true, 64, 18641 },
        { "tiny host: one above the floor", 9000, 2049, 100, 100, false, 100, 18641 },
        { "tiny host: one below it", 9000, 2047, 100, 100, true, 400, 18641 },
        { "real host just below 16 GiB", 16343092, 3268618, 9000000, 850, true, 800, 10 },
        { "real host, truncated threshold", 16343092, 3268619, 9000000, 850, false, 850, 10 },
        { "sleep 11 just below 16 GiB", 15000000, 1, 1, 0, true, 300, 11 },
};

START_TEST(ksmtuned_reproduces_the_script) {
        KsmtunedInput in = {
                .total_kib = ksmtuned_rows[_i].total,
                .free_kib = ksmtuned_rows[_i].free,
                .committed_kib = ksmtuned_rows[_i].committed,
        };
        uint64_t pages = ksmtuned_rows[_i].pages;

        ck_assert_msg(ksmtuned_step(&in, &pages) == ksmtuned_rows[_i].run, "%s: run", ksmtuned_rows[_i].name);
        ck_assert_msg(pages == ksmtuned_rows[_i].pages_after, "%s: pages %" PRIu64, ksmtuned_rows[_i].name, pages);
        ck_assert_msg(ksmtuned_sleep_millisecs(in.total_kib) == ksmtuned_rows[_i].sleep, "%s: sleep",
                      ksmtuned_rows[_i].name);
}
END_TEST

/* ---- preset mom ---------------------------------------------------------- */

/*
 * run, pages_after and sleep were computed by the expressions of MOM's rules in
 * Python, over total, free, shareable and pages_to_scan (all but the last kB);
 * a sleep of 0 stands as 1 here.
 */
static const struct {
        const char *name;
        uint64_t total, free, shareable, pages;
        bool run;
        uint64_t pages_after, sleep;
} mom_rows[] = {
        { "idle host stops", 16777216, 12582912, 1048576, 100, false, 0, 10 },
        { "idle host stops whatever the pages", 16777216, 12582912, 1048576, 1250, false, 0, 10 },
        { "short: first boost from the kernel's 100", 16777216, 1048576, 15728640, 100, true, 400, 10 },
        { "short: boost", 16777216, 1048576, 15728640, 400, true, 700, 10 },
        { "short: up to the limit", 16777216, 1048576, 15728640, 1000, true, 1250, 10 },
        { "short: 950 reaches it exactly", 16777216, 1048576, 15728640, 950, true, 1250, 10 },
        { "short: at the limit", 16777216, 1048576, 15728640, 1250, true, 1250, 10 },
        { "short: beyond the limit comes back", 16777216, 1048576, 15728640, 30000, true, 1250, 10 },
        { "short: from zero", 16777216, 1048576, 15728640, 0, true, 300, 10 },
        { "shareable but free: decay", 16777216, 8388608, 15728640, 600, true, 550, 10 },
        { "decay to the minimum", 16777216, 8388608, 15728640, 100, true, 64, 10 },
        { "decay from 114 is exact", 16777216, 8388608, 15728640, 114, true, 64, 10 },
        { "decay from 113 is clamped", 16777216, 8388608, 15728640, 113, true, 64, 10 },
        { "decay from zero", 16777216, 8388608, 15728640, 0, true, 64, 10 },
        { "decay from beyond the limit", 16777216, 8388608, 15728640, 5000, true, 1250, 10 },
        { "free at a fifth, not whole: boost", 16777216, 3355443, 1000, 500, true, 800, 10 },
        { "free just above a fifth: stops", 16777216, 3355444, 1000, 500, false, 0, 10 },
        { "free equals the fifth of a round size: decay", 16777215, 3355443, 1000, 500, true, 450, 10 },
        { "one below it: boost", 16777215, 3355442, 1000, 500, true, 800, 10 },
        { "one above it: stops", 16777215, 3355444, 1000, 500, false, 0, 10 },
        { "shareable plus threshold one below total", 16777215, 8388608, 13421771, 500, false, 0, 10 },
        { "shareable plus threshold equals total: runs", 16777215, 8388608, 13421772, 500, true, 450, 10 },
        { "shareable beyond total", 16777216, 8388608, 41943040, 500, true, 450, 10 },
        { "shareable beyond total and short", 16777216, 1, 41943040, 500, true, 800, 10 },
        { "1 GiB host", 1048576, 300000, 900000, 200, true, 150, 160 },
        { "1 GiB host, short", 1048576, 200000, 900000, 200, true, 500, 160 },
        { "32 GiB host", 33554432, 5242880, 31457280, 100, true, 400, 5 },
        { "64 GiB host", 67108864, 20971520, 62914560, 800, true, 750, 2 },
        { "odd size truncates the sleep", 8000000, 100000, 7000000, 300, true, 600, 20 },
        { "160 GiB host: the last that pauses by itself", 167772160, 1048576, 104857600, 300, true, 600, 1 },
        { "above it: the floor", 167772161, 1048576, 104857600, 300, true, 600, 1 },
        { "1 TiB host", 1073741824, 1048576, 1048576000, 1200, true, 1250, 1 },
        { "4 TiB host stops", 4294967296, 1048576000, 100, 300, false, 0, 1 },
        { "4 TiB host, short", 4294967296, 838860800, 4194304000, 1249, true, 1250, 1 },
        { "real host just below 16 GiB", 16343092, 3268618, 9000000, 850, true, 1150, 10 },
        { "real host, one more free", 16343092, 3268619, 9000000, 850, false, 0, 10 },
};

START_TEST(mom_reproduces_the_rules) {
        KsmMomInput in = {
                .total_kib = mom_rows[_i].total,
                .free_kib = mom_rows[_i].free,
                .shareable_kib = mom_rows[_i].shareable,
                .pages = mom_rows[_i].pages,
        };
        uint64_t pages = 0;

        ck_assert_msg(ksm_mom_step(&in, &pages) == mom_rows[_i].run, "%s: run", mom_rows[_i].name);
        ck_assert_msg(pages == mom_rows[_i].pages_after, "%s: pages %" PRIu64, mom_rows[_i].name, pages);
        ck_assert_msg(ksm_mom_sleep_millisecs(in.total_kib) == mom_rows[_i].sleep, "%s: sleep", mom_rows[_i].name);
}
END_TEST

/* ---- preset kubevirt ------------------------------------------------------- */

/*
 * run, pages_after and sleep were computed by the expressions of KubeVirt's
 * handler in Python, its 32-bit floats rounded after each operation, over total
 * and available (kB), and run and pages_to_scan before.
 */
static const struct {
        const char *name;
        uint64_t total, available;
        bool running;
        uint64_t pages;
        bool run;
        uint64_t pages_after, sleep;
} kubevirt_rows[] = {
        { "plenty, stopped: stays", 16777216, 8388608, false, 100, false, 0, 200 },
        { "plenty, running: decay", 16777216, 8388608, true, 600, true, 550, 200 },
        { "decay to 64 goes on", 16777216, 8388608, true, 114, true, 64, 200 },
        { "113 stops", 16777216, 8388608, true, 113, false, 0, 200 },
        { "64 stops", 16777216, 8388608, true, 64, false, 0, 200 },
        { "0 stops", 16777216, 8388608, true, 0, false, 0, 200 },
        { "100 stops after none", 16777216, 8388608, true, 163, true, 113, 200 },
        { "far too many are not cut when it decays", 16777216, 8388608, true, 5000, true, 4950, 200 },
        { "pressure, stopped: starts at 100", 16777216, 1048576, false, 100, true, 100, 106 },
        { "pressure, stopped: at 100 whatever stands there", 16777216, 1048576, false, 1250, true, 100, 106 },
        { "pressure, stopped, zero pages", 16777216, 1048576, false, 0, true, 100, 106 },
        { "pressure, running: boost", 16777216, 1048576, true, 100, true, 400, 106 },
        { "boost again", 16777216, 1048576, true, 400, true, 700, 106 },
        { "boost from below the minimum is not raised", 16777216, 1048576, true, 10, true, 310, 106 },
        { "boost up to the limit", 16777216, 1048576, true, 1000, true, 1250, 106 },
        { "950 reaches it exactly", 16777216, 1048576, true, 950, true, 1250, 106 },
        { "at the limit", 16777216, 1048576, true, 1250, true, 1250, 106 },
        { "beyond it: cut", 16777216, 1048576, true, 30000, true, 1250, 106 },
        { "exactly a fifth is pressure", 20000000, 4000000, false, 100, true, 100, 104 },
        { "one below it", 20000000, 3999999, true, 100, true, 400, 104 },
        { "one above is none", 20000000, 4000001, true, 100, false, 0, 104 },
        { "one above, where 32 bits cannot tell", 16777279, 3355456, false, 100, true, 100, 124 },
        { "a fifth, where 32 bits say more", 16777265, 3355453, false, 100, false, 0, 124 },
        { "nothing available", 16777216, 0, true, 100, true, 400, 100 },
        { "1 GiB host, half in use", 1048576, 524288, true, 500, true, 450, 3200 },
        { "1 GiB host, pressure", 1048576, 100000, false, 100, true, 100, 1768 },
        { "2 GiB host", 2097152, 300000, true, 300, true, 600, 933 },
        { "almost nothing in use: a long pause", 16777216, 16777215, true, 500, true, 450, 1677721600 },
        { "128 GiB host", 134217728, 20971520, true, 700, true, 1000, 14 },
        { "160 GiB in use: the floor", 209715200, 41943040, true, 700, true, 1000, 10 },
        { "one less in use: above it? no, truncated", 209715200, 41943041, true, 700, true, 1000, 10 },
        { "145 GiB in use: 11 ms", 209715200, 57671680, true, 700, true, 650, 11 },
        { "1 TiB host", 1073741824, 104857600, false, 100, true, 100, 10 },
        { "4 TiB host, plenty", 4294967296, 3145728000, true, 1250, true, 1200, 10 },
        { "4 TiB host, pressure", 4294967296, 838860800, true, 1249, true, 1250, 10 },
        { "real host", 16343092, 3268618, true, 850, true, 1150, 128 },
        { "real host, two more", 16343092, 3268620, true, 850, true, 800, 128 },
};

START_TEST(kubevirt_reproduces_the_handler) {
        KsmKubevirtInput in = {
                .total_kib = kubevirt_rows[_i].total,
                .available_kib = kubevirt_rows[_i].available,
                .running = kubevirt_rows[_i].running,
                .pages = kubevirt_rows[_i].pages,
        };
        uint64_t pages = 0;

        ck_assert_msg(ksm_kubevirt_step(&in, &pages) == kubevirt_rows[_i].run, "%s: run", kubevirt_rows[_i].name);
        ck_assert_msg(pages == kubevirt_rows[_i].pages_after, "%s: pages %" PRIu64, kubevirt_rows[_i].name, pages);
        ck_assert_msg(ksm_kubevirt_sleep_millisecs(in.total_kib, in.available_kib) == kubevirt_rows[_i].sleep,
                      "%s: sleep", kubevirt_rows[_i].name);
}
END_TEST

START_TEST(kubevirt_without_memory_in_use_has_a_pause) {
        ck_assert_uint_gt(ksm_kubevirt_sleep_millisecs(16777216, 16777216), 0);
        ck_assert_uint_gt(ksm_kubevirt_sleep_millisecs(16777216, 16777217), 0);
}
END_TEST

/* ---- their steps ----------------------------------------------------------- */

static World world;

static void setup(void) {
        world_init(&world);
        world_set_host(&world, 16 * GIB, 8 * GIB);
        world.snapshot->host.ksm = (KsmStatus){
                .present = true, .writable = true, .run = 0, .pages_to_scan = 100, .sleep_millisecs = 20,
        };
}

static void teardown(void) {
        world_done(&world);
}

static void run(void) {
        world_run(&world, policy_ksm, NULL);
}

static void run_after(uint64_t usec) {
        world.snapshot->now_usec += usec;
        run();
}

static uint64_t *knob_field(unsigned knob) {
        KsmStatus *ksm = &world.snapshot->host.ksm;

        return knob == KSM_KNOB_RUN ? &ksm->run
                : knob == KSM_KNOB_PAGES_TO_SCAN ? &ksm->pages_to_scan : &ksm->sleep_millisecs;
}

/* What the daemon and the kernel do with the plan. */
static void act(void) {
        world_own_all(&world);
        for (size_t i = 0; i < world.plan->n_actions; i++)
                *knob_field(world.plan->actions[i].index) = value_of(world.plan->actions[i].new_value);
}

static const char *new_value(unsigned knob) {
        const Action *a = world_action(&world, ACTION_SET_KSM, NULL, knob);

        return a ? a->new_value : "";
}

START_TEST(ksmtuned_steps_once_a_minute) {
        HostMemory *m = &world.snapshot->host.memory;
        Guest *g = world_add_guest(&world, "g", 16 * GIB, 16 * GIB);

        world_set(&world, KEY_KSM_MODE, KSM_KSMTUNED);
        g->rss_bytes = 15 * GIB;
        m->free_bytes = GIB;
        run();
        ck_assert_str_eq(new_value(KSM_KNOB_PAGES_TO_SCAN), "300");
        ck_assert_str_eq(new_value(KSM_KNOB_SLEEP_MILLISECS), "10");
        act();
        world.snapshot->now_usec += 59 * USEC_PER_SEC;
        run();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        world.snapshot->now_usec += USEC_PER_SEC;
        run();
        ck_assert_str_eq(new_value(KSM_KNOB_PAGES_TO_SCAN), "600");
        act();
        g->rss_bytes = GIB;
        m->free_bytes = 12 * GIB;
        world.snapshot->now_usec += 60 * USEC_PER_SEC;
        run();
        ck_assert_uint_eq(world.plan->n_actions, 1);
        ck_assert_str_eq(new_value(KSM_KNOB_RUN), "0");
        ck_assert_uint_eq(world.state->ksm_pages, 600);
}
END_TEST

START_TEST(ksmtuned_counts_buffers_and_cache_as_free) {
        HostMemory *m = &world.snapshot->host.memory;

        world_set(&world, KEY_KSM_MODE, KSM_KSMTUNED);
        m->free_bytes = GIB;
        m->buffers_bytes = GIB;
        m->cached_bytes = 2 * GIB;
        run();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        m->cached_bytes = GIB;
        world.snapshot->now_usec += 60 * USEC_PER_SEC;
        run();
        ck_assert_str_eq(new_value(KSM_KNOB_PAGES_TO_SCAN), "300");
}
END_TEST

/* A host and a guest for which every preset wants KSM, or none does. */
static void set_need(bool need) {
        HostMemory *m = &world.snapshot->host.memory;
        Guest *g = world.snapshot->n_guests > 0 ? world.snapshot->guests[0]
                                                 : world_add_guest(&world, "g", 16 * GIB, 16 * GIB);

        g->rss_bytes = g->virtual_bytes = need ? 15 * GIB : GIB;
        m->free_bytes = m->available_bytes = need ? GIB : 12 * GIB;
}

/* What a host under pressure sees of each preset: its first page count, the second, and when that one comes. */
static const struct {
        const char *name;
        KsmMode mode;
        uint64_t interval_sec;
        const char *first, *second, *sleep;
} step_rows[] = {
        { "ksmtuned", KSM_KSMTUNED, 60, "300", "600", "10" },
        { "mom", KSM_MOM, 10, "400", "700", "10" },
        { "kubevirt", KSM_KUBEVIRT, 180, "", "400", "106" },
};

START_TEST(each_preset_steps_in_its_own_period) {
        world_set(&world, KEY_KSM_MODE, step_rows[_i].mode);
        set_need(true);
        run();
        ck_assert_str_eq(new_value(KSM_KNOB_RUN), "1");
        ck_assert_str_eq(new_value(KSM_KNOB_PAGES_TO_SCAN), step_rows[_i].first);
        ck_assert_str_eq(new_value(KSM_KNOB_SLEEP_MILLISECS), step_rows[_i].sleep);
        act();
        run_after((step_rows[_i].interval_sec - 1) * USEC_PER_SEC);
        ck_assert_uint_eq(world.plan->n_actions, 0);
        run_after(USEC_PER_SEC);
        ck_assert_uint_eq(world.plan->n_actions, 1);
        ck_assert_str_eq(new_value(KSM_KNOB_PAGES_TO_SCAN), step_rows[_i].second);
}
END_TEST

/* An interval as long as the period, and a timer that is early now and then. */
START_TEST(a_cycle_that_is_a_little_early_is_a_step) {
        world_set(&world, KEY_KSM_MODE, step_rows[_i].mode);
        set_need(true);
        run();
        act();
        run_after(step_rows[_i].interval_sec * USEC_PER_SEC - 100 * USEC_PER_MSEC);
        ck_assert_str_eq(new_value(KSM_KNOB_PAGES_TO_SCAN), step_rows[_i].second);
}
END_TEST

START_TEST(what_could_not_be_written_is_tried_again_before_the_next_step) {
        world_set(&world, KEY_KSM_MODE, step_rows[_i].mode);
        set_need(true);
        run();
        run_after(USEC_PER_SEC);
        ck_assert_str_eq(new_value(KSM_KNOB_RUN), "1");
        ck_assert_str_eq(new_value(KSM_KNOB_PAGES_TO_SCAN), step_rows[_i].first);
        ck_assert_str_eq(new_value(KSM_KNOB_SLEEP_MILLISECS), step_rows[_i].sleep);
}
END_TEST

START_TEST(a_step_noted_before_a_reboot_puts_nothing_off) {
        world_set(&world, KEY_KSM_MODE, step_rows[_i].mode);
        set_need(true);
        run();
        act();
        world.snapshot->now_usec = 20 * USEC_PER_SEC;
        run();
        ck_assert_str_eq(new_value(KSM_KNOB_PAGES_TO_SCAN), step_rows[_i].second);
}
END_TEST

/* ksmtuned keeps its count while it stops, mom goes by what the kernel has, kubevirt begins at 100 again. */
static const struct {
        KsmMode mode;
        uint64_t interval_sec, decays;
        const char *again;
} again_rows[] = { { KSM_KSMTUNED, 60, 0, "900" }, { KSM_MOM, 10, 0, "1000" }, { KSM_KUBEVIRT, 180, 6, "100" } };

START_TEST(stops_and_starts_again) {
        world_set(&world, KEY_KSM_MODE, again_rows[_i].mode);
        set_need(true);
        run();
        act();
        run_after(again_rows[_i].interval_sec * USEC_PER_SEC);
        act();
        set_need(false);
        for (uint64_t i = 0; i < again_rows[_i].decays; i++) {
                ck_assert_uint_eq(world.snapshot->host.ksm.run, 1);
                run_after(again_rows[_i].interval_sec * USEC_PER_SEC);
                act();
        }
        run_after(again_rows[_i].interval_sec * USEC_PER_SEC);
        act();
        ck_assert_uint_eq(world.snapshot->host.ksm.run, 0);
        run_after(again_rows[_i].interval_sec * USEC_PER_SEC);
        ck_assert_uint_eq(world.plan->n_actions, 0);
        set_need(true);
        run_after(again_rows[_i].interval_sec * USEC_PER_SEC);
        act();
        ck_assert_uint_eq(world.snapshot->host.ksm.run, 1);
        ck_assert_uint_eq(world.snapshot->host.ksm.pages_to_scan, value_of(again_rows[_i].again));
}
END_TEST

START_TEST(another_preset_begins_afresh) {
        world_set(&world, KEY_KSM_MODE, KSM_KSMTUNED);
        set_need(true);
        run();
        act();
        world_set(&world, KEY_KSM_MODE, KSM_MOM);
        run_after(USEC_PER_SEC);
        ck_assert_str_eq(new_value(KSM_KNOB_PAGES_TO_SCAN), "600");
        act();
        world_set(&world, KEY_KSM_MODE, KSM_KSMTUNED);
        run_after(USEC_PER_SEC);
        ck_assert_str_eq(new_value(KSM_KNOB_PAGES_TO_SCAN), "300");
}
END_TEST

static const struct { const char *name; uint64_t virtual_bytes, rss_bytes; bool run; } mom_size_rows[] = {
        { "by the size of the process", 13 * GIB, GIB, true },
        { "not by what is resident", 12 * GIB, 13 * GIB, false },
        { "by the guest's memory where that is not known", UNKNOWN_U64, GIB, true },
};

START_TEST(mom_goes_by_virtual_size) {
        Guest *g = world_add_guest(&world, "g", 13 * GIB, GIB);

        world_set(&world, KEY_KSM_MODE, KSM_MOM);
        world.snapshot->host.memory.free_bytes = 8 * GIB;
        g->virtual_bytes = mom_size_rows[_i].virtual_bytes;
        g->rss_bytes = mom_size_rows[_i].rss_bytes;
        run();
        ck_assert_msg(streq(new_value(KSM_KNOB_RUN), "1") == mom_size_rows[_i].run, "%s", mom_size_rows[_i].name);
}
END_TEST

/* Cached counts shared memory, which cannot be given up; what is available does not. */
START_TEST(kubevirt_goes_by_available_memory) {
        HostMemory *m = &world.snapshot->host.memory;

        world_set(&world, KEY_KSM_MODE, KSM_KUBEVIRT);
        m->free_bytes = GIB;
        m->cached_bytes = 8 * GIB;
        m->available_bytes = 2 * GIB;
        run();
        ck_assert_str_eq(new_value(KSM_KNOB_RUN), "1");
}
END_TEST

int main(void) {
        Suite *s = suite_create("policy_ksm_presets");
        TCase *t = tcase_create("presets");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_loop_test(t, ksmtuned_reproduces_the_script, 0, ELEMENTSOF(ksmtuned_rows));
        tcase_add_loop_test(t, mom_reproduces_the_rules, 0, ELEMENTSOF(mom_rows));
        tcase_add_loop_test(t, kubevirt_reproduces_the_handler, 0, ELEMENTSOF(kubevirt_rows));
        tcase_add_test(t, kubevirt_without_memory_in_use_has_a_pause);
        tcase_add_test(t, ksmtuned_steps_once_a_minute);
        tcase_add_test(t, ksmtuned_counts_buffers_and_cache_as_free);
        tcase_add_loop_test(t, each_preset_steps_in_its_own_period, 0, ELEMENTSOF(step_rows));
        tcase_add_loop_test(t, a_cycle_that_is_a_little_early_is_a_step, 0, ELEMENTSOF(step_rows));
        tcase_add_loop_test(t, what_could_not_be_written_is_tried_again_before_the_next_step, 0, ELEMENTSOF(step_rows));
        tcase_add_loop_test(t, a_step_noted_before_a_reboot_puts_nothing_off, 0, ELEMENTSOF(step_rows));
        tcase_add_loop_test(t, stops_and_starts_again, 0, ELEMENTSOF(again_rows));
        tcase_add_test(t, another_preset_begins_afresh);
        tcase_add_loop_test(t, mom_goes_by_virtual_size, 0, ELEMENTSOF(mom_size_rows));
        tcase_add_test(t, kubevirt_goes_by_available_memory);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
