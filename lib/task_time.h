/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How much of one CPU a thread used, and how long it waited for one, between
 * two looks at its schedstat file.
 */

#include "base.h"
#include "sysfs.h"

/*
 * Rates over a shorter time say nothing: the tick is up to 10 ms. A cycle that
 * follows so soon upon another (a guest's event) repeats the rates it had.
 */
#define RATE_INTERVAL_MIN_USEC (200 * USEC_PER_MSEC)

typedef struct TaskTime {
        SysfsFile schedstat;
        bool primed;
        uint64_t at_usec;
        uint64_t run_ns, wait_ns;
        uint32_t busy_permyriad, wait_permyriad;
} TaskTime;

/* @path names the schedstat file. 0 or -ENOMEM. */
int task_time_init(TaskTime *t, const char *path);
void task_time_done(TaskTime *t);

/*
 * Both rates are of one CPU's time, UNKNOWN_PERMYRIAD at the first call.
 * -ESRCH when the thread ended, -ENOENT when there was none at the first call
 * (or the kernel keeps no such file), -EBADMSG, or the -errno of open or read.
 */
int task_time_observe(TaskTime *t, int root_fd, uint64_t now_usec, uint32_t *ret_busy_permyriad,
                      uint32_t *ret_wait_permyriad);
