/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The preset `ksmtuned` as arithmetic alone, so that a table can hold it to the original. */

#include "base.h"

/* What the original reads each minute, in kB as it does. */
typedef struct KsmtunedInput {
        uint64_t total_kib;             /* MemTotal */
        uint64_t free_kib;              /* MemFree + Buffers + Cached */
        uint64_t committed_kib;         /* resident memory of the guests' processes */
} KsmtunedInput;

#define KSMTUNED_INTERVAL_USEC (60 * USEC_PER_SEC)

/*
 * One step. @pages is the page count it carries along (0 at first), updated
 * unless KSM is to stop. Returns whether KSM is to run. @in->total_kib > 0.
 */
bool ksmtuned_step(const KsmtunedInput *in, uint64_t *pages);

/* Milliseconds between scans; depends on the size of the host only. */
uint64_t ksmtuned_sleep_millisecs(uint64_t total_kib);
