/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How many guests fit on a host, under each mode of the balloon: the most of
 * them with which nobody is hurt. Hurt is: the host swaps or finds no memory at
 * all; a guest swaps out more than 64 MiB, kills a workload, or is in distress for
 * more than a minute. The demand is the same for all modes; it follows from the seed.
 */

#include "memsim.h"

#define SEEDS 3U
#define MOST 120U

static const char *const modes[] = { "off", "pve", "mom", "proportional", "auto" };

static void add_desktop(MemSim *s, SimRandom *r, unsigned i) {
        char name[32];
        MemGuest *g;
        uint64_t in = s->begin_usec + (2 + sim_pick(r, 25)) * USEC_PER_MINUTE;
        uint64_t out = in + (30 + sim_pick(r, 60)) * USEC_PER_MINUTE;
        uint64_t idle = (400 + sim_pick(r, 200)) * MIB, busy = (1200 + sim_pick(r, 1000)) * MIB;

        (void)snprintf(name, sizeof(name), "a-desktop-%u", i);
        g = mem_add_guest(s, name, 4 * GIB);
        mem_curve_add(&g->anon, s->begin_usec, idle);
        mem_curve_add(&g->anon, in, idle);
        mem_curve_add(&g->anon, in + 5 * USEC_PER_MINUTE, busy);
        mem_curve_add(&g->anon, out, busy);
        mem_curve_add(&g->anon, out + USEC_PER_MINUTE, idle);
        mem_curve_add(&g->hot, s->begin_usec, 100 * MIB);
        mem_curve_add(&g->file, s->begin_usec, 2 * GIB);
        g->read_rate = MIB;
}

/* Half by day, half by night: what one frees the other wants. */
static void add_shift(MemSim *s, SimRandom *r, unsigned i) {
        char name[32];
        MemGuest *g;
        uint64_t low = (600 + sim_pick(r, 300)) * MIB, high = (2600 + sim_pick(r, 800)) * MIB;
        uint64_t at = s->begin_usec + (40 + sim_pick(r, 10)) * USEC_PER_MINUTE;
        bool first = i % 2 == 0;

        (void)snprintf(name, sizeof(name), "a-shift-%u", i);
        g = mem_add_guest(s, name, 4 * GIB);
        mem_curve_add(&g->anon, s->begin_usec, first ? high : low);
        mem_curve_add(&g->anon, at + (first ? 0 : 10 * USEC_PER_MINUTE), first ? high : low);
        mem_curve_add(&g->anon, at + (first ? 4 : 30) * USEC_PER_MINUTE, first ? low : high);
        mem_curve_add(&g->hot, s->begin_usec, 150 * MIB);
        mem_curve_add(&g->file, s->begin_usec, 2 * GIB);
        g->read_rate = MIB;
}

/* They use less than they were sold, and fill the rest with page cache in time. */
static void add_server(MemSim *s, SimRandom *r, unsigned i) {
        char name[32];
        MemGuest *g;
        uint64_t size = (700 + sim_pick(r, 1800)) * MIB;

        (void)snprintf(name, sizeof(name), "a-server-%u", i);
        g = mem_add_guest(s, name, 4 * GIB);
        mem_curve_add(&g->anon, s->begin_usec, size);
        mem_curve_add(&g->anon, s->begin_usec + 60 * USEC_PER_MINUTE, size + sim_pick(r, 400) * MIB);
        mem_curve_add(&g->hot, s->begin_usec, 200 * MIB);
        mem_curve_add(&g->file, s->begin_usec, 3 * GIB);
        g->read_rate = MIB / 2;
}

static const struct {
        const char *name;
        void (*add)(MemSim *s, SimRandom *r, unsigned i);
} loads[] = { { "desktops", add_desktop }, { "two shifts", add_shift }, { "servers", add_server } };

/* They have run for a while: what they use was touched, and nothing else. */
static void warm_up(MemSim *s) {
        for (size_t i = 0; i < s->n_guests; i++) {
                MemGuest *g = &s->guests[i];

                mem_start_guest(s, g);
                g->anon_bytes = mem_curve(&g->anon, s->begin_usec);
                g->hot_bytes = g->cache_bytes = mem_curve(&g->hot, s->begin_usec);
                g->touched = mem_guest_used(g);
                g->swap_total = GIB;
                g->minimum = g->maximum / 4;
        }
}

static bool fits(unsigned load, const char *mode, unsigned n, uint64_t seed) {
        SimRandom r = { seed };
        MemSim s = { 0 };
        _cleanup_free_ char *text = NULL;
        bool good;

        mem_begin(&s, seed, 64 * GIB);
        mem_curve_add(&s.host.processes, 1, 3 * GIB);
        for (unsigned i = 0; i < n; i++)
                loads[load].add(&s, &r, i);
        if (strprintf_to(&text, "balloon: { mode = \"%s\"; minimum = \"25 %%\"; };", mode) < 0)
                abort();
        mem_configure(&s, text);
        s.unchecked = true;
        warm_up(&s);
        s.calm_usec = s.begin_usec;
        s.end_usec = s.begin_usec + 2 * USEC_PER_HOUR;
        mem_run(&s);
        good = s.metrics.swapped_out == 0 && s.host.oom_bytes == 0 && s.metrics.hurt_guests == 0;
        mem_done(&s);
        return good;
}

/* The first number that does not fit, by halves: more guests never fit better, apart from chance. */
static unsigned most(unsigned load, const char *mode, uint64_t seed) {
        unsigned low = 0, high = MOST;

        while (low + 1 < high) {
                unsigned middle = (low + high) / 2;

                if (fits(load, mode, middle, seed))
                        low = middle;
                else
                        high = middle;
        }
        return low;
}

int mem_fit(void) {
        (void)printf("Guests of 4 GiB on a host of 64 GiB with which nobody swaps or is short of memory, mean of %u seeds\n",
                     SEEDS);
        (void)printf("%-12s", "");
        for (size_t m = 0; m < ELEMENTSOF(modes); m++)
                (void)printf(" %12s", modes[m]);
        (void)putchar('\n');
        for (unsigned l = 0; l < ELEMENTSOF(loads); l++) {
                (void)printf("%-12s", loads[l].name);
                for (size_t m = 0; m < ELEMENTSOF(modes); m++) {
                        unsigned sum = 0;

                        for (uint64_t seed = 1; seed <= SEEDS; seed++)
                                sum += most(l, modes[m], seed);
                        (void)printf(" %12.1f", (double)sum / SEEDS);
                        (void)fflush(stdout);
                }
                (void)putchar('\n');
        }
        return EXIT_SUCCESS;
}
