/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Setting kernel.numa_balancing. The kernel asks CAP_SYS_ADMIN of whoever
 * writes it (sysctl_numa_balancing() in kernel/sched/core.c), which the
 * service does not have and should not have for one number. So where a plain
 * write is refused, systemd is asked to start
 * kvmtuned-numa-balancing@VALUE.service, which does that one write, and the
 * file is read until it shows the value.
 */

#include <systemd/sd-event.h>

#include "../lib/base.h"

typedef struct KernelKnobWriter KernelKnobWriter;

/* @result 0: the kernel has the value; @text: why not, NULL when there is nothing to add to @result. */
typedef void (*kernel_knob_done_t)(void *userdata, int result, const char *text);

int kernel_knob_new(sd_event *event, int root_fd, kernel_knob_done_t done, void *userdata, KernelKnobWriter **ret);
KernelKnobWriter *kernel_knob_free(KernelKnobWriter *w);
DEFINE_CLEANUP(KernelKnobWriter, kernel_knob_free)

/*
 * Sets kernel.numa_balancing to @value. 1: it is set; 0: asked for, done() will
 * tell; -EBUSY: one at a time; -EINVAL; -errno of the write, or of reaching systemd.
 */
int kernel_knob_set(KernelKnobWriter *w, const char *value);
