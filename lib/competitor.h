/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Programs that change what kvmtuned changes: by what name they run, what they
 * do, and which levers are theirs where they are yielded to
 * (daemon.competitors). Which of them run is a fact of the snapshot.
 */

#include "base.h"

/* Levers that go together: who drives one of a domain is disturbed by changes of the others. */
typedef enum LeverDomain {
        LEVERS_PLACEMENT,               /* CPUs and memory nodes of guests */
        LEVERS_KSM,
        LEVERS_BALLOON,
        LEVERS_KERNEL,                  /* kernel.numa_balancing, transparent huge pages, pools of huge pages */
        _LEVER_DOMAIN_MAX,
        _LEVER_DOMAIN_INVALID = -EINVAL,
} LeverDomain;

typedef struct Competitor {
        const char *comm;               /* as in /proc/PID/comm: 15 characters at most */
        const char *does;
        unsigned domains;               /* 1 << LeverDomain each */
        bool may_be_stopped;            /* it does nothing else */
} Competitor;

extern const Competitor competitors[];
extern const size_t n_competitors;

/* The first of those in @managers (HostFacts.managers) that drives @domain; NULL: none. */
const Competitor *competitor_of(const char *managers, LeverDomain domain);
