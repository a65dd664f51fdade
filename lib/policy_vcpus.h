/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Inside of the vCPU controller: what its files share. The order of work is at
 * the head of policy_vcpus.c.
 */

#include "policy.h"

/* What the load of its vCPUs asks for; kept in GuestMemo.vcpus_trend. */
typedef enum VcpusTrend { VCPUS_STEADY, VCPUS_SHORT, VCPUS_SPARE, _VCPUS_TREND_MAX } VcpusTrend;

/* One guest in one decision; numbers of vCPUs. */
typedef struct VcpuGuest {
        const Guest *guest;
        const Settings *settings;
        GuestMemo *memo;
        VcpusMode mode;
        unsigned online, maximum;
        unsigned fixed;                 /* online ones that cannot be plugged out */
        unsigned group;                 /* plugged in and out together */
        bool owned;
        unsigned original;              /* before our first change; online when nothing is ours */
        unsigned ours;
        unsigned minimum;               /* vcpus.minimum, at most the maximum; 0: not given */
} VcpuGuest;

typedef struct VcpuDecision {
        PolicyContext *context;
        unsigned granted;               /* plugged in by this decision: idle time that is spoken for */
        bool removing;                  /* a guest is being asked to let go of a vCPU */
        bool looked;                    /* removing is known */
        IdSet cpus;                     /* those asked about last, most often by the next guest, too */
        uint64_t cpus_busy_permyriad;   /* their load, all together */
} VcpuDecision;

/*
 * policy_vcpus_watch.c: compares the number with what was asked for, and
 * updates the memo and the ownership: arrived, given up, or changed by
 * somebody else. 1: it is not this decision's to change; 0: go on; -ENOMEM.
 */
int vcpus_watch(VcpuDecision *d, VcpuGuest *v);

/* policy_vcpus_load.c: mode auto. 0 or -ENOMEM. */
int vcpus_follow_load(VcpuDecision *d, VcpuGuest *v);

/*
 * policy_vcpus.c: asks for @count vCPUs, @key being the setting that led to it,
 * unless something stands against it, of which a Skip tells. 0 or -ENOMEM.
 */
int vcpus_ask(VcpuDecision *d, VcpuGuest *v, unsigned count, Key key, const char *reason);
int vcpus_skip(const VcpuDecision *d, const VcpuGuest *v, SkipReason why, const char *detail);
