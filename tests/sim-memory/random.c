/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A random small scenario: a host, a policy, one to eight guests that have run
 * for long or start later, and four minutes in which anything may happen. Then
 * demand is constant, nothing fails (balloons that paused go on), and changes
 * have to end. What a guest says that lies is demand, so where one does so in
 * turns, or at random, nothing is constant, nor where the scanner of KSM is at
 * work: there only what must hold at any time is asserted.
 *
 * Half of them are gentle: what is demanded of the host grows by at most 4 % of
 * its memory a minute, and none of it is a surprise at the beginning. There the
 * loop must keep the host out of its swap.
 *
 * The first letter of a guest's name selects its policy: a(uto), t(arget),
 * o(ff), r(eclaim).
 */

#include "memsim.h"

#define BEGIN_USEC USEC_PER_HOUR
#define EVENTS_USEC (4 * USEC_PER_MINUTE)
#define SETTLE_USEC (14 * USEC_PER_MINUTE)
#define WATCHED_USEC (2 * USEC_PER_MINUTE)
#define GENTLE_PERCENT 4U

void mem_begin(MemSim *s, uint64_t seed, uint64_t total) {
        s->seed = seed;
        s->random.state = seed ^ UINT64_C(0x5deece66d);
        s->begin_usec = BEGIN_USEC;
        s->feasible = true;
        if (snapshot_new(&s->snapshot) < 0)
                abort();
        s->snapshot->now_usec = BEGIN_USEC;
        s->host.total = total;
        s->host.kernel = total / 40 + 100 * MIB;
        s->host.watermark = MAX(total / 256, 16 * MIB);
        s->host.cache_least = total / 100;
        s->host.cache_wanted = total / 20;
        s->host.cache = s->host.cache_least;
        s->host.read_rate = 50 * MIB;
        s->host.swap_total = total;
        s->merge = (MemMerge){ .pages_to_scan = 100, .sleep_millisecs = 20 };
}

static void configure(MemSim *s, SimRandom *r) {
        static const char *const merging[] = { "keep", "keep", "on", "auto", "ksmtuned" };
        static const unsigned intervals[] = { 10, 10, 10, 6 };
        unsigned start = 10 + sim_pick(r, 11), stop = start + 5 + sim_pick(r, 11);
        unsigned minimum = 10 + 5 * sim_pick(r, 13), step = 4 + sim_pick(r, 12);
        _cleanup_free_ char *text = NULL;

        if (strprintf_to(&text,
                         "daemon: { interval = \"%u s\"; }; ksm: { mode = \"%s\"; }; balloon: { mode = \"auto\"; "
                         "start = \"%u %%\"; stop = \"%u %%\"; minimum = \"%u %%\"; step = \"%u %%\"; "
                         "reserve = \"%u %%\"; stats_period = \"%u s\"; }; guests = ( "
                         "{ match = { name = \"t-*\"; }; balloon = { mode = \"target\"; target = \"%u %%\"; }; }, "
                         "{ match = { name = \"o-*\"; }; balloon = { mode = \"off\"; }; }, "
                         "{ match = { name = \"r-*\"; }; balloon = { reclaim = true; }; } );",
                         intervals[sim_pick(r, ELEMENTSOF(intervals))], merging[sim_pick(r, ELEMENTSOF(merging))], start,
                         stop, minimum, step, 5 + sim_pick(r, 26), 5 + 5 * sim_pick(r, 2), MIN(minimum + sim_pick(r, 40), 100U)) < 0)
                abort();
        mem_configure(s, text);
        for (size_t i = 0; i < s->n_guests; i++) {
                MemGuest *g = &s->guests[i];

                g->minimum = MAX(permyriad_of(g->maximum, minimum * 100), 64 * MIB);
                g->minimum = MIN((g->minimum + MIB - 1) / MIB * MIB, g->maximum);
        }
}

static uint64_t part_of(SimRandom *r, uint64_t whole, unsigned low, unsigned high) {
        return permyriad_of(whole, low * 100 + sim_pick(r, (high - low) * 100 + 1));
}

/* From @low to @high at some time, at most @rate bytes a second. */
static void ramp(MemSim *s, SimRandom *r, MemCurve *c, uint64_t low, uint64_t high, uint64_t rate) {
        uint64_t begin = s->begin_usec + sim_pick(r, 100) * USEC_PER_SEC, take;

        take = high > low ? u64_muldiv(high - low, USEC_PER_SEC, MAX(rate, UINT64_C(1))) : 0;
        take = MAX(take, (uint64_t)sim_pick(r, 60) * USEC_PER_SEC) + STEP_USEC;
        if (begin + take > s->begin_usec + EVENTS_USEC) {
                take = s->begin_usec + EVENTS_USEC - begin;
                high = MIN(high, low + u64_muldiv(rate, take, USEC_PER_SEC));
        }
        mem_curve_add(c, begin, low);
        mem_curve_add(c, begin + take, high);
}

static void random_faults(SimRandom *r, MemGuest *g) {
        static const ReportKind lies[] = { REPORT_OLD,    REPORT_BARE,  REPORT_NEVER, REPORT_FROZEN, REPORT_ROOMY,
                                           REPORT_NEEDY,  REPORT_NOISE, REPORT_SWING, REPORT_ABSURD };

        if (sim_one_in(r, 5)) {
                g->report = lies[sim_pick(r, ELEMENTSOF(lies))];
                g->lie_usec = BEGIN_USEC + sim_pick(r, 240) * USEC_PER_SEC;
        }
        if (sim_one_in(r, 8)) {
                g->device = (DeviceKind)(1 + sim_pick(r, _DEVICE_MAX - 1));
                g->device_floor = part_of(r, g->maximum, 30, 100);
        }
        /* From one end to the other within five minutes. */
        g->device_rate = MAX((UINT64_C(4) << sim_pick(r, 9)) * MIB, g->maximum / 300);
        g->device_latency_usec = sim_pick(r, 10) * USEC_PER_SEC;
        if (sim_one_in(r, 24))
                *(bool *[]){ &g->vfio, &g->hugepages, &g->locked }[sim_pick(r, 3)] = true;
}

static void random_guest(MemSim *s, SimRandom *r, uint64_t maximum, uint64_t rate) {
        static const char policies[] = "aaaaaaaaaaaator";
        MemGuest *g;
        char name[32];
        uint64_t low, high;

        (void)snprintf(name, sizeof(name), "%c-%zu", policies[sim_pick(r, sizeof(policies) - 1)], s->n_guests);
        g = mem_add_guest(s, name, maximum);
        low = part_of(r, maximum - g->kernel, 2, 80);
        high = sim_one_in(r, 3) ? low : part_of(r, maximum - g->kernel, 2, 95);
        if (sim_one_in(r, 6)) {
                g->start_usec = s->begin_usec + sim_pick(r, 90) * STEP_USEC;
                low = 0;
        }
        if (sim_one_in(r, 16))
                g->stop_usec = MIN(g->start_usec + (10 + sim_pick(r, 200)) * USEC_PER_SEC, s->begin_usec + EVENTS_USEC);
        ramp(s, r, &g->anon, low, high, rate);
        mem_curve_add(&g->hot, 1, sim_one_in(r, 2) ? part_of(r, maximum, 0, 10) : 0);
        mem_curve_add(&g->file, 1, part_of(r, maximum, 0, 80));
        /* Read once within five minutes. */
        g->read_rate = MAX(rate / 2, mem_curve_most(&g->file) / 300);
        if (s->gentle) {
                g->read_rate = MAX(rate / 2, MIB);
                g->file.points[0].bytes = MIN(g->file.points[0].bytes, g->read_rate * 300);
        }
        g->swap_total = sim_one_in(r, 2) ? maximum / 4 : 0;
        if (sim_one_in(r, 2)) {
                g->merge_group = 1 + sim_pick(r, 3);
                g->merge_permyriad = sim_pick(r, 6000);
                g->rewrite_permyriad = sim_pick(r, 4) * 50;
        }
        g->page_reporting = sim_one_in(r, 12);
        random_faults(r, g);
}

/* Guests that run at the beginning have done so for long. What does not fit the host gets less page cache, then less of all. */
static void warm_up(MemSim *s, SimRandom *r) {
        uint64_t least = part_of(r, s->host.total, 16, 60), left, sum = 0;

        left = u64_sub(s->host.total, s->host.kernel + mem_curve(&s->host.processes, s->begin_usec) + s->host.watermark +
                                              s->host.cache_least + least);
        for (size_t i = 0; i < s->n_guests; i++) {
                MemGuest *g = &s->guests[i];

                if (g->start_usec > s->begin_usec)
                        continue;
                mem_start_guest(s, g);
                g->anon_bytes = mem_curve(&g->anon, s->begin_usec);
                sum += g->kernel + g->anon_bytes + g->overhead;
        }
        for (size_t i = 0; i < s->n_guests; i++) {
                MemGuest *g = &s->guests[i];
                uint64_t room = s->n_guests > 0 ? u64_sub(left, sum) / s->n_guests : 0;

                if (!g->running)
                        continue;
                g->hot_bytes = mem_curve(&g->hot, s->begin_usec);
                g->cache_bytes = MIN(MIN(MAX(mem_curve(&g->file, s->begin_usec), g->hot_bytes), room),
                                     u64_sub(mem_guest_free(g), mem_guest_watermark(g)));
                /* Nothing is read for the first time any more. */
                if (s->gentle && g->file.n > 0)
                        g->file.points[0].bytes = MIN(g->file.points[0].bytes, g->cache_bytes);
                g->touched = mem_guest_used(g) + part_of(r, MIN(u64_sub(room, g->cache_bytes), mem_guest_free(g)), 0, 100);
        }
        s->gentle = s->gentle && sum <= left;
}

static void random_guests(MemSim *s, SimRandom *r) {
        unsigned n = 1 + sim_pick(r, sim_one_in(r, 8) ? 8 : 5), weights[8], sum = 0;
        uint64_t all = part_of(r, s->host.total, 60, 200), rise = s->host.total / 100 * GENTLE_PERCENT / 60;

        for (unsigned i = 0; i < n; i++)
                sum += weights[i] = 1 + sim_pick(r, 8);
        for (unsigned i = 0; i < n; i++) {
                uint64_t maximum = MAX(u64_muldiv(all, weights[i], sum) / (4 * MIB) * (4 * MIB), 256 * MIB);
                uint64_t rate = s->gentle ? rise / (n + 1) * 2 / 3 : (UINT64_C(8) << sim_pick(r, 7)) * MIB;

                random_guest(s, r, maximum, rate);
        }
}

/* What begins also ends, before demand is constant. */
static void random_events(MemSim *s, SimRandom *r) {
        for (unsigned n = sim_pick(r, 4); n > 0; n--) {
                unsigned from = sim_pick(r, 100), to = from + 1 + sim_pick(r, 119 - from), g = sim_pick(r, (unsigned)s->n_guests);
                uint64_t at = s->begin_usec + from * STEP_USEC, end = s->begin_usec + to * STEP_USEC;

                switch (sim_pick(r, 6)) {
                case 0:
                        mem_add_event(s, at, EVENT_PAUSE, g, 0);
                        mem_add_event(s, end, EVENT_RESUME, g, 0);
                        break;
                case 1:
                        mem_add_event(s, at, EVENT_MIGRATE, g, 0);
                        mem_add_event(s, end, EVENT_MIGRATED, g, 0);
                        break;
                case 2:
                        mem_add_event(s, at, EVENT_REBOOT, g, 0);
                        break;
                case 3:
                        mem_add_event(s, at, EVENT_USER_SETS, g, part_of(r, s->guests[g].maximum, 20, 100) / MIB * MIB);
                        break;
                case 4:
                        mem_add_event(s, at, EVENT_USER_PERIOD, g, 5);
                        break;
                default:
                        mem_add_event(s, at, EVENT_RESTART, 0, 0);
                }
        }
}

/* Merging goes on for long, and what it saves is given away. */
static bool can_settle(const MemSim *s) {
        if (setting(&s->engine.config->base, KEY_KSM_MODE) != KSM_KEEP)
                return false;
        for (size_t i = 0; i < s->n_guests; i++) {
                const MemGuest *g = &s->guests[i];

                if (g->report == REPORT_NOISE || g->report == REPORT_SWING || g->report == REPORT_ABSURD)
                        return false;
        }
        return true;
}

void mem_random(MemSim *s, uint64_t seed) {
        SimRandom r = { seed };
        uint64_t low, high;

        mem_begin(s, seed, (UINT64_C(2) << sim_pick(&r, 6)) * GIB);
        s->gentle = sim_one_in(&r, 2);
        random_guests(s, &r);
        low = part_of(&r, s->host.total, 0, 15);
        high = sim_one_in(&r, 2) ? low : part_of(&r, s->host.total, 0, 40);
        ramp(s, &r, &s->host.processes, low, high,
             s->gentle ? s->host.total / 100 * GENTLE_PERCENT / 60 / 3 : s->host.total / 60);
        configure(s, &r);
        if (sim_one_in(&r, 2))
                random_events(s, &r);
        if (sim_one_in(&r, 4))
                s->engine.fail_one_in = 4 + sim_pick(&r, 12);
        if (sim_one_in(&r, 4))
                s->engine.delay_one_in = 1 + sim_pick(&r, 4);
        if (sim_one_in(&r, 8))
                s->engine.lost_one_in = 4 + sim_pick(&r, 12);
        warm_up(s, &r);
        s->calm_usec = s->begin_usec + EVENTS_USEC + 4 * STEP_USEC;
        s->settle_usec = can_settle(s) ? s->calm_usec + SETTLE_USEC : 0;
        s->end_usec = s->calm_usec + SETTLE_USEC + WATCHED_USEC;
}
