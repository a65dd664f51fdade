/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The named scenarios: a host of 32 GiB, sold one and a half times, with the
 * default policy. All are gentle; while they are feasible (feasible.c) the host
 * must not swap.
 */

#include "memsim.h"

#define GUESTS 12U

const char *const mem_scenario_names[] = {
        "one-grows", "all-grow", "idle-to-busy", "host-squeezed", "a-guest-lies", "a-guest-is-stuck", "forty-desktops", NULL,
};

static MemGuest *add(MemSim *s, unsigned i, uint64_t maximum, uint64_t bytes) {
        char name[32];
        MemGuest *g;

        (void)snprintf(name, sizeof(name), "a-%u", i);
        g = mem_add_guest(s, name, maximum);
        g->minimum = maximum / 4;
        g->swap_total = maximum / 4;
        mem_curve_add(&g->anon, 1, bytes);
        mem_curve_add(&g->hot, 1, maximum / 64);
        mem_curve_add(&g->file, 1, maximum / 4);
        g->read_rate = MIB;
        return g;
}

/* @g wants @bytes @after so long, within @take. */
static void grow(const MemSim *s, MemGuest *g, uint64_t after, uint64_t take, uint64_t bytes) {
        mem_curve_add(&g->anon, s->begin_usec + after, mem_curve_most(&g->anon));
        mem_curve_add(&g->anon, s->begin_usec + after + take, bytes);
}

static void many(MemSim *s, uint64_t bytes) {
        for (unsigned i = 0; i < GUESTS; i++)
                (void)add(s, i, 4 * GIB, bytes);
}

static void one_grows(MemSim *s) {
        many(s, GIB);
        grow(s, &s->guests[3], USEC_PER_MINUTE, 5 * USEC_PER_MINUTE, 3 * GIB);
}

static void all_grow(MemSim *s) {
        many(s, 600 * MIB);
        for (unsigned i = 0; i < GUESTS; i++)
                grow(s, &s->guests[i], (1 + i) * USEC_PER_MINUTE, 10 * USEC_PER_MINUTE, 1200 * MIB);
}

static void idle_to_busy(MemSim *s) {
        many(s, 700 * MIB);
        for (unsigned i = 0; i < GUESTS / 3; i++) {
                grow(s, &s->guests[i], USEC_PER_MINUTE, 10 * USEC_PER_MINUTE, 2 * GIB);
                mem_curve_add(&s->guests[i].anon, s->begin_usec + 20 * USEC_PER_MINUTE, 2 * GIB);
                mem_curve_add(&s->guests[i].anon, s->begin_usec + 22 * USEC_PER_MINUTE, 500 * MIB);
                grow(s, &s->guests[GUESTS - 1 - i], 22 * USEC_PER_MINUTE, 10 * USEC_PER_MINUTE, 2 * GIB);
        }
}

static void host_squeezed(MemSim *s) {
        many(s, 900 * MIB);
        mem_curve_add(&s->host.processes, s->begin_usec + USEC_PER_MINUTE, GIB);
        mem_curve_add(&s->host.processes, s->begin_usec + 9 * USEC_PER_MINUTE, 8 * GIB);
}

static void a_guest_lies(MemSim *s) {
        one_grows(s);
        s->guests[5].report = REPORT_SWING;
        s->guests[6].report = REPORT_ABSURD;
        s->guests[7].report = REPORT_NEEDY;
}

static void a_guest_is_stuck(MemSim *s) {
        one_grows(s);
        s->guests[5].device = DEVICE_STUCK;
        s->guests[6].device = DEVICE_PARTIAL;
        s->guests[6].device_floor = 3 * GIB;
        s->guests[7].report = REPORT_FROZEN;
}

/* They run over night; at nine people log in, within a quarter of an hour. */
static void forty_desktops(MemSim *s) {
        for (unsigned i = 0; i < 40; i++) {
                MemGuest *g = add(s, i, 2 * GIB, 250 * MIB);

                grow(s, g, (60 + i * 22) * USEC_PER_SEC, 4 * USEC_PER_MINUTE, (350 + i % 7 * 20) * MIB);
                g->read_rate = MIB / 8;
                mem_curve_add(&g->file, 2, 200 * MIB);
        }
}

static void (*const builders[])(MemSim *s) = { one_grows,        all_grow,       idle_to_busy, host_squeezed, a_guest_lies,
                                               a_guest_is_stuck, forty_desktops };

/* They have run for a while: what they use was touched, and nothing else. */
static void warm_up(MemSim *s) {
        for (size_t i = 0; i < s->n_guests; i++) {
                MemGuest *g = &s->guests[i];

                mem_start_guest(s, g);
                g->anon_bytes = mem_curve(&g->anon, s->begin_usec);
                g->hot_bytes = g->cache_bytes = mem_curve(&g->hot, s->begin_usec);
                g->touched = mem_guest_used(g);
        }
}

bool mem_scenario(MemSim *s, const char *name) {
        size_t i = 0;

        while (mem_scenario_names[i] && !streq(mem_scenario_names[i], name))
                i++;
        if (!mem_scenario_names[i])
                return false;
        mem_begin(s, i, 32 * GIB);
        s->gentle = true;
        builders[i](s);
        mem_configure(s, "balloon: { mode = \"auto\"; minimum = \"25 %\"; };");
        warm_up(s);
        s->calm_usec = s->begin_usec + 40 * USEC_PER_MINUTE;
        s->end_usec = s->begin_usec + USEC_PER_HOUR;
        return true;
}
