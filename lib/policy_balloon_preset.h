/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The balloon presets as arithmetic alone, so that tables can hold them to the
 * originals. Those compute in floating point, and so do these.
 */

#include "base.h"

/* ---- pve (policy_balloon_pve.c); bytes ---- */

typedef struct PveGuest {
        uint64_t balloon;               /* what the guest has; 0: no driver */
        uint64_t minimum;               /* 0: none is set */
        uint64_t maximum;
        uint64_t free;                  /* in the guest, as its driver says; 0: not known */
        uint64_t shares;                /* 0: left out */
        uint64_t new_bytes;             /* the result; balloon: as it is */
        bool enough, done;              /* scratch */
} PveGuest;

/* What the guests together may grow (or, negative, have to shrink). Sizes up to 1 PiB. */
int64_t balloon_pve_goal(uint64_t host_total, uint64_t host_used);
/* One round: fills in new_bytes of each. Guests that are not eligible keep theirs. */
void balloon_pve(int64_t goal, PveGuest *guests, size_t n);
/* Whether @goal is beyond the dead zone. */
bool balloon_pve_acts(int64_t goal);

/* ---- mom (policy_balloon_mom.c); kB, as libvirt counts ---- */

typedef struct MomGuest {
        uint64_t current;
        double mean_current, mean_unused;       /* over the last samples */
        uint64_t minimum, maximum;
} MomGuest;

/* @host_free: the share of the host's memory that is free, 0..1. */
bool balloon_mom_is_short(double host_free);
/* The new size; the current one: as it is. */
uint64_t balloon_mom(double host_free, const MomGuest *g);

/* ---- proportional (policy_balloon_proportional.c); kB ---- */

/* g of the formula: @surplus beyond all minimums, @range the sum of maximum - minimum. */
double balloon_proportional_share(double surplus, double range);
/* @minimum <= @maximum. */
uint64_t balloon_proportional(double share, uint64_t minimum, uint64_t maximum);
