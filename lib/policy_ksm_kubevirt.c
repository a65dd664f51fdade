/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Source of the formula and its constants: calculateNewRunSleepAndPages() of
 * KubeVirt's virt-handler. All quantities are kB; "more than a fifth" is asked
 * in 32-bit floating point there, so it is here; every division truncates.
 *
 *   sleep = 100 * 16777216 / (total - available), at least 10
 *   available > 0.2 * total: if it runs, pages -= 50, and below 64 it stops;
 *                            if it does not run, it stays stopped
 *   otherwise: run; pages += 300 up to 1250 if it ran, 100 if it did not
 */

#include "policy_ksm_kubevirt.h"

#define SLEEP_MSEC UINT64_C(100)
#define SLEEP_REFERENCE_KIB (UINT64_C(16) * 1024 * 1024)
#define PAGES_FIRST 100U
#define PAGES_BOOST 300U
#define PAGES_DECAY 50U
#define PAGES_MIN UINT64_C(64)
#define PAGES_MAX UINT64_C(1250)
#define FREE_SHARE 0.2F

uint64_t ksm_kubevirt_sleep_millisecs(uint64_t total_kib, uint64_t available_kib) {
        /* Nothing in use: the original would divide by zero. */
        uint64_t used_kib = MAX(u64_sub(total_kib, available_kib), UINT64_C(1));

        return MAX(u64_muldiv(SLEEP_MSEC, SLEEP_REFERENCE_KIB, used_kib), SLEEP_MSEC / 10);
}

static bool has_plenty(const KsmKubevirtInput *in) {
        /* volatile: not in more digits than the original has. */
        volatile float threshold = (float)in->total_kib * FREE_SHARE;

        return (float)in->available_kib > threshold;
}

bool ksm_kubevirt_step(const KsmKubevirtInput *in, uint64_t *ret_pages) {
        if (has_plenty(in)) {
                if (!in->running || in->pages < PAGES_MIN + PAGES_DECAY)
                        return false;
                *ret_pages = in->pages - PAGES_DECAY;
                return true;
        }
        *ret_pages = in->running ? MIN(u64_add(in->pages, PAGES_BOOST), PAGES_MAX) : PAGES_FIRST;
        return true;
}
