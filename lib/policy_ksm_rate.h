/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The control of ksmd's rate as arithmetic alone. */

#include "base.h"

#define KSM_RATE_PAGES_MIN UINT64_C(100)
#define KSM_RATE_PAGES_MAX UINT64_C(30000)

typedef struct KsmRate {
        uint64_t pages;                 /* pages_to_scan as it is; 0: not running, no rate to start from */
        uint64_t sleep_millisecs;
        uint64_t busy_permyriad;        /* ksmd's share of a CPU at that rate; UINT64_MAX: not known */
        uint64_t limit_permyriad;       /* the most it may have */
        uint64_t pages_per_sec;         /* what is asked for; UINT64_MAX: as many as the limit allows */
} KsmRate;

/*
 * The pages_to_scan to set: what is asked for, as far as the limit allows, within KSM_RATE_PAGES_MIN and _MAX; from
 * one rate to the next at most twice or half as many, and none for less than a quarter.
 */
uint64_t ksm_rate_pages(const KsmRate *in);
