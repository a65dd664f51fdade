/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One host in mode auto, with a guest of 8 GiB. */

#include "ksm_util.h"

static World world;

static inline _unused_ void setup(void) {
        world_init_ksm(&world);
        world_set(&world, KEY_KSM_MODE, KSM_AUTO);
        (void)world_add_guest(&world, "g", 8 * GIB, 8 * GIB);
}

static inline _unused_ void teardown(void) {
        world_done(&world);
}

static inline _unused_ KsmStatus *ksm(void) {
        return &world.snapshot->host.ksm;
}

static inline _unused_ void cycle(uint64_t usec) {
        ksm_cycle(&world, usec);
}

static inline _unused_ void restore(void) {
        ksm_restore(&world);
}

static inline _unused_ void no_advisor(void) {
        ksm()->advisor_mode[0] = '\0';
        ksm()->advisor_max_cpu = ksm()->advisor_target_scan_time = ksm()->smart_scan = UNKNOWN_U64;
}

#define SEC USEC_PER_SEC
#define MINUTE USEC_PER_MINUTE

/* A machine on which a page costs so many nanoseconds: what ksmd takes of a CPU at this rate. */
static inline _unused_ uint64_t busy_at(uint64_t pages, uint64_t sleep_msec, uint64_t cost_nsec) {
        uint64_t work = pages * cost_nsec;

        return work * PERMYRIAD_FULL / (work + sleep_msec * 1000000);
}
