/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Many seeds in several processes. */

#include <stddef.h>
#include <stdint.h>

typedef struct SimJobs {
        uint64_t first, n;              /* seeds */
        unsigned jobs;                  /* processes; each takes every jobs'th seed */
        size_t size;                    /* of the totals, at most PIPE_BUF */
        void (*run)(uint64_t seed, void *totals);
        void (*add)(void *sum, const void *totals);
} SimJobs;

/* @sum begins as the caller left it; what a process that died has counted is missing from it. */
void sim_jobs(const SimJobs *j, void *sum);
