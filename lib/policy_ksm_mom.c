/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Source of the formula and its constants: doc/ksm.rules of MOM (oVirt), with
 * what mom/Collectors/HostMemory.py and HostKSM.py feed it. All quantities are
 * kB. The rules calculate in floating point, which for these quantities decides
 * like the exact fractions used here; KSM.py cuts the pause to a whole number.
 *
 *   thres = 0.20 * total
 *   thres + shareable < total and free > thres: stop
 *   otherwise: run, pages += free < thres ? 300 : -50, clamped to 64..1250,
 *              counted from what the kernel has, whoever wrote it
 *   sleep = 10 * 16777216 / total
 *
 * Faults not kept: the original sleeps 0 ms, that is, never stops scanning, on
 * hosts above 160 GiB; here the pause is 1 ms at least. The original takes free
 * memory as the mean of its last ten samples; here each step takes what it sees.
 */

#include "policy_ksm_mom.h"

#define SLEEP_MSEC 10U
#define SLEEP_REFERENCE_KIB UINT64_C(16777216)
#define SLEEP_MIN_MSEC UINT64_C(1)
#define PAGES_BOOST 300U
#define PAGES_DECAY 50U
#define PAGES_MIN UINT64_C(64)
#define PAGES_MAX UINT64_C(1250)
/* ksm_free_percent 0.20, as one part in so many. */
#define FREE_PARTS 5U

uint64_t ksm_mom_sleep_millisecs(uint64_t total_kib) {
        return MAX(u64_muldiv(SLEEP_MSEC, SLEEP_REFERENCE_KIB, total_kib), SLEEP_MIN_MSEC);
}

bool ksm_mom_step(const KsmMomInput *in, uint64_t *ret_pages) {
        uint64_t free_parts = u64_muldiv(in->free_kib, FREE_PARTS, 1);
        uint64_t total_parts = u64_muldiv(in->total_kib, FREE_PARTS, 1);
        uint64_t shareable_parts = u64_muldiv(in->shareable_kib, FREE_PARTS, 1);
        uint64_t pages;

        if (u64_add(in->total_kib, shareable_parts) < total_parts && free_parts > in->total_kib)
                return false;
        pages = free_parts < in->total_kib ? u64_add(in->pages, PAGES_BOOST) : u64_sub(in->pages, PAGES_DECAY);
        *ret_pages = CLAMP(pages, PAGES_MIN, PAGES_MAX);
        return true;
}
