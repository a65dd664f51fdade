/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The preset `kubevirt` as arithmetic alone, so that a table can hold it to the original. */

#include "base.h"

/* What the original reads, in kB as it does. */
typedef struct KsmKubevirtInput {
        uint64_t total_kib;             /* MemTotal */
        uint64_t available_kib;         /* MemAvailable */
        bool running;                   /* run is 1 */
        uint64_t pages;                 /* pages_to_scan as it is now */
} KsmKubevirtInput;

#define KSM_KUBEVIRT_INTERVAL_USEC (3 * USEC_PER_MINUTE)

/* One step. Returns whether KSM is to run; if so, *ret_pages is the new page count. */
bool ksm_kubevirt_step(const KsmKubevirtInput *in, uint64_t *ret_pages);

/* Milliseconds between scans: the more memory is in use, the fewer. */
uint64_t ksm_kubevirt_sleep_millisecs(uint64_t total_kib, uint64_t available_kib);
