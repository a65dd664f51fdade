/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Source of the formula and its constants: the script `ksmtuned` of the
 * qemu-kvm package (Fedora, RHEL, Debian), functions adjust() and
 * increase_npages(), with the values of its ksmtuned.conf. All quantities are
 * kB and every division truncates, as in the shell:
 *
 *   sleep = 10 * 16 * 1024 * 1024 / total, at least 10
 *   thres = total * 20 / 100, at least 2048
 *   committed + thres < total and free > thres: stop, keeping the page count
 *   otherwise: run, pages += free < thres ? 300 : -50, clamped to 64..1250
 */

#include "policy_ksmtuned.h"

#define SLEEP_MSEC 10U
#define SLEEP_REFERENCE_KIB (UINT64_C(16) * 1024 * 1024)
#define PAGES_BOOST 300U
#define PAGES_DECAY 50U
#define PAGES_MIN UINT64_C(64)
#define PAGES_MAX UINT64_C(1250)
#define THRESHOLD_PERCENT 20U
#define THRESHOLD_MIN_KIB UINT64_C(2048)

uint64_t ksmtuned_sleep_millisecs(uint64_t total_kib) {
        return MAX(u64_muldiv(SLEEP_MSEC, SLEEP_REFERENCE_KIB, total_kib), (uint64_t)SLEEP_MSEC);
}

bool ksmtuned_step(const KsmtunedInput *in, uint64_t *pages) {
        uint64_t threshold = MAX(u64_muldiv(in->total_kib, THRESHOLD_PERCENT, 100), THRESHOLD_MIN_KIB);

        if (u64_add(in->committed_kib, threshold) < in->total_kib && in->free_kib > threshold)
                return false;
        *pages = in->free_kib < threshold ? u64_add(*pages, PAGES_BOOST) : u64_sub(*pages, PAGES_DECAY);
        *pages = CLAMP(*pages, PAGES_MIN, PAGES_MAX);
        return true;
}
