/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Demand is a pure function of the time, so that every tuner meets the same
 * one: the level between two points, plus noise that is drawn anew each
 * minute, or the level of a burst. Bursts begin at the minute with the chance
 * that makes bursts_per_hour of them.
 */

#include "sim.h"

#define MINUTES_MAX 120U

static double base_level(const SimLoad *l, uint64_t usec) {
        uint64_t at = l->daily ? usec % USEC_PER_DAY : usec;
        size_t i = 0;

        if (l->n_points == 0)
                return 0;
        while (i < l->n_points && l->points[i].usec <= at)
                i++;
        if (i == 0)
                return l->daily ? l->points[l->n_points - 1].level : l->points[0].level;
        if (i == l->n_points || !l->linear)
                return l->points[i - 1].level;
        return l->points[i - 1].level + (l->points[i].level - l->points[i - 1].level) *
               (double)(at - l->points[i - 1].usec) / (double)(l->points[i].usec - l->points[i - 1].usec);
}

static bool in_burst(const SimLoad *l, uint64_t usec) {
        uint64_t minute = usec / USEC_PER_MINUTE;
        uint64_t back = MIN(l->burst_usec / USEC_PER_MINUTE, (uint64_t)MINUTES_MAX);

        if (l->bursts_per_hour <= 0)
                return false;
        for (uint64_t i = 0; i <= MIN(back, minute); i++)
                if (sim_hash_unit(l->noise_seed, 2, minute - i) < l->bursts_per_hour / 60)
                        return true;
        return false;
}

double sim_load(const SimLoad *l, uint64_t usec, unsigned vcpu, unsigned n_vcpus) {
        double level = base_level(l, usec);

        if (in_burst(l, usec))
                level = MAX(level, l->burst_level);
        if (l->noise > 0)
                level *= 1 + l->noise * (2 * sim_hash_unit(l->noise_seed, 1, usec / USEC_PER_MINUTE) - 1);
        if (n_vcpus > 1)
                level *= 1 - l->skew * vcpu / (n_vcpus - 1);
        return CLAMP(level, 0.0, 1.0);
}
