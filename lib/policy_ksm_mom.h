/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The preset `mom` as arithmetic alone, so that a table can hold it to the original. */

#include "base.h"

/* What the original's collectors read, in kB as they do. */
typedef struct KsmMomInput {
        uint64_t total_kib;             /* MemTotal (the original's "mem_available") */
        uint64_t free_kib;              /* MemFree + Buffers + Cached */
        uint64_t shareable_kib;         /* virtual size of the guests' processes */
        uint64_t pages;                 /* pages_to_scan as it is now */
} KsmMomInput;

#define KSM_MOM_INTERVAL_USEC (10 * USEC_PER_SEC)

/* One step. Returns whether KSM is to run; if so, *ret_pages is the new page count. @in->total_kib > 0. */
bool ksm_mom_step(const KsmMomInput *in, uint64_t *ret_pages);

/* Milliseconds between scans; depends on the size of the host only. */
uint64_t ksm_mom_sleep_millisecs(uint64_t total_kib);
