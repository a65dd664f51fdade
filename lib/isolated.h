/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* CPUs that the scheduler leaves alone: isolcpus=, and isolated cpuset partitions of cgroup v2. */

#include "base.h"
#include "idset.h"

typedef struct IsolatedObserver IsolatedObserver;

/* 0 or -ENOMEM. */
int isolated_observer_new(IsolatedObserver **ret);
IsolatedObserver *isolated_observer_free(IsolatedObserver *o);
DEFINE_CLEANUP(IsolatedObserver, isolated_observer_free)

/*
 * Those isolated now, online or not, from descriptors kept. What the kernel does
 * not have isolates nothing; only -ENOMEM is an error.
 */
int isolated_observe(IsolatedObserver *o, int root_fd, IdSet *ret);
