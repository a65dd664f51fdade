/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a guest's driver says of its memory, once each statistics period. Some
 * say nothing, or less than others, and some lie.
 */

#include "memsim.h"

bool mem_report_is_honest(const MemGuest *g) {
        return g->report <= REPORT_BARE;
}

static BalloonStats truth(const MemGuest *g) {
        return (BalloonStats){
                .unused_bytes = mem_guest_free(g),
                .available_bytes = u64_sub(g->balloon, g->kernel / 2),
                .usable_bytes = mem_guest_usable(g),
                .disk_caches_bytes = g->cache_bytes,
                .swap_in_bytes = g->swap_in,
                .swap_out_bytes = g->swap_out,
                .major_faults = g->major_faults,
        };
}

static void lie_roomy(const MemGuest *g, BalloonStats *s) {
        s->usable_bytes = s->unused_bytes = g->balloon / 100 * 95;
        s->available_bytes = g->balloon / 100 * 97;
        s->swap_in_bytes = s->major_faults = 0;
}

static void lie_needy(const MemSim *s, BalloonStats *stats) {
        stats->usable_bytes = stats->unused_bytes = stats->disk_caches_bytes = 0;
        stats->swap_in_bytes = mem_now(s) / USEC_PER_SEC * 100 * MIB;
        stats->major_faults = mem_now(s) / USEC_PER_SEC * 5000;
}

static uint64_t noise(const MemSim *s, const MemGuest *g, uint64_t what) {
        double u = sim_hash_unit(s->seed, mem_now(s) / USEC_PER_SEC + what, (uint64_t)(g - s->guests));

        return (uint64_t)(u * 1.1 * (double)g->maximum);
}

static void lie_noise(const MemSim *s, const MemGuest *g, BalloonStats *stats) {
        stats->usable_bytes = noise(s, g, 1 << 20);
        stats->unused_bytes = noise(s, g, 2 << 20);
        stats->available_bytes = noise(s, g, 3 << 20);
        stats->swap_in_bytes = noise(s, g, 4 << 20);
        stats->major_faults = noise(s, g, 5 << 20);
}

static void lie_absurdly(const MemSim *s, const MemGuest *g, BalloonStats *stats) {
        static const uint64_t values[] = { 0, 1, UINT64_MAX - 1, INT64_MAX, UINT64_C(1) << 63, (uint64_t)-4096, 4096 };
        uint64_t *all[] = { &stats->usable_bytes, &stats->unused_bytes, &stats->available_bytes,
                            &stats->disk_caches_bytes, &stats->swap_in_bytes, &stats->major_faults };

        for (size_t i = 0; i < ELEMENTSOF(all); i++)
                *all[i] = values[noise(s, g, i << 20) / MIB % ELEMENTSOF(values)];
}

static BalloonStats words(const MemSim *s, const MemGuest *g) {
        BalloonStats stats = truth(g);

        switch (g->report) {
        case REPORT_OLD:
                stats.usable_bytes = UNKNOWN_U64;
                break;
        case REPORT_BARE:
                stats.usable_bytes = stats.disk_caches_bytes = UNKNOWN_U64;
                break;
        case REPORT_ROOMY:
                lie_roomy(g, &stats);
                break;
        case REPORT_NEEDY:
                lie_needy(s, &stats);
                break;
        case REPORT_NOISE:
                lie_noise(s, g, &stats);
                break;
        case REPORT_SWING:
                if (mem_now(s) / (2 * USEC_PER_MINUTE) % 2 == 0)
                        lie_roomy(g, &stats);
                else
                        lie_needy(s, &stats);
                break;
        case REPORT_ABSURD:
                lie_absurdly(s, g, &stats);
                break;
        default:
                break;
        }
        return stats;
}

/* Who does not say what is usable is taken at its word for what is free, and what is cached. */
static uint64_t reads_usable(const BalloonStats *s) {
        if (s->usable_bytes != UNKNOWN_U64)
                return s->usable_bytes;
        return s->unused_bytes + (s->disk_caches_bytes == UNKNOWN_U64 ? 0 : s->disk_caches_bytes);
}

static bool is_silent(const MemSim *s, const MemGuest *g) {
        return g->report == REPORT_NEVER || (g->report == REPORT_FROZEN && mem_now(s) >= g->lie_usec) || g->paused ||
                mem_now(s) < g->reboot_until_usec;
}

void mem_report_step(MemSim *s, MemGuest *g) {
        if (!g->running || g->seen->stats_period_sec == 0 || is_silent(s, g) || mem_now(s) < g->next_report_usec)
                return;
        g->next_report_usec = mem_now(s) + g->seen->stats_period_sec * USEC_PER_SEC;
        g->said = words(s, g);
        g->said_usable = reads_usable(&g->said);
        g->said_balloon = g->balloon;
        g->said_least = MIN(g->balloon, g->looked_balloon);
        g->said_short = g->said_usable < mem_distress_bytes(g->balloon);
        g->said_swap_in = g->swap_in;
        g->said_faults = g->major_faults;
        g->said_usec = mem_now(s);
}
