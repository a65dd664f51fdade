/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ksmd looks at p pages, which takes p * c, and sleeps for s. So it is busy for
 *
 *   b = p c / (s + p c),   which gives the cost of a page   c = s b / ((1 - b) p)
 *
 * and it looks at r = p / (s + p c) pages a second. Solved for p: the limit b'
 * allows p = s b' / ((1 - b') c), and a rate r needs p = r s / (1 - r c). The
 * smaller of the two is set.
 *
 * Before anything was measured a page is taken to cost 2 us (measured: 0.5 to
 * 3 us on machines of the last ten years, by how often a page is compared).
 */

#include "policy_ksm_rate.h"

#define COST_UNKNOWN_NSEC 2000U
/* Less than this is not told apart from nothing. */
#define BUSY_MIN_PERMYRIAD 10U
#define NSEC_PER_MSEC UINT64_C(1000000)
#define NSEC_PER_SEC (1000 * NSEC_PER_MSEC)
#define DEAD_PART 4U
#define STEP_FACTOR 2U

static uint64_t page_cost_nsec(const KsmRate *in) {
        uint64_t sleep_nsec = MAX(in->sleep_millisecs, UINT64_C(1)) * NSEC_PER_MSEC, idle;

        if (in->pages == 0 || in->busy_permyriad == UINT64_MAX || in->busy_permyriad < BUSY_MIN_PERMYRIAD)
                return COST_UNKNOWN_NSEC;
        idle = MAX(u64_sub(PERMYRIAD_FULL, in->busy_permyriad), UINT64_C(1));
        return MAX(u64_muldiv(u64_muldiv(sleep_nsec, in->busy_permyriad, idle), 1, in->pages), UINT64_C(1));
}

static uint64_t pages_within_limit(const KsmRate *in, uint64_t cost_nsec) {
        uint64_t sleep_nsec = MAX(in->sleep_millisecs, UINT64_C(1)) * NSEC_PER_MSEC;

        if (in->limit_permyriad >= PERMYRIAD_FULL)
                return UINT64_MAX;
        return u64_muldiv(sleep_nsec, in->limit_permyriad, PERMYRIAD_FULL - in->limit_permyriad) / cost_nsec;
}

static uint64_t pages_for_rate(const KsmRate *in, uint64_t cost_nsec) {
        uint64_t work_nsec = u64_muldiv(in->pages_per_sec, cost_nsec, 1);

        if (in->pages_per_sec == UINT64_MAX || work_nsec >= NSEC_PER_SEC)
                return UINT64_MAX;
        return u64_muldiv(in->pages_per_sec, MAX(in->sleep_millisecs, UINT64_C(1)) * NSEC_PER_MSEC,
                          NSEC_PER_SEC - work_nsec);
}

uint64_t ksm_rate_pages(const KsmRate *in) {
        uint64_t cost_nsec = page_cost_nsec(in), pages;

        pages = MIN(pages_within_limit(in, cost_nsec), pages_for_rate(in, cost_nsec));
        pages = CLAMP(pages, KSM_RATE_PAGES_MIN, KSM_RATE_PAGES_MAX);
        if (in->pages < KSM_RATE_PAGES_MIN || in->pages > KSM_RATE_PAGES_MAX)
                return pages;
        if (MAX(pages, in->pages) - MIN(pages, in->pages) < MAX(in->pages / DEAD_PART, UINT64_C(1)))
                return in->pages;
        pages = CLAMP(pages, in->pages / STEP_FACTOR, in->pages * STEP_FACTOR);
        return CLAMP(pages, KSM_RATE_PAGES_MIN, KSM_RATE_PAGES_MAX);
}
