/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The number of vCPUs, against what was asked for. The memo's vcpus_target is
 * the number asked for until it is there, and 0 then:
 *
 *   open      The number is somewhere from vcpus_from to the target. 15 s after
 *             the request (libvirt waits 5 s for a guest) it is given up, not
 *             while libvirt has yet to answer or may still do it, and tried
 *             again after 2 min, doubling up to 64 min each time in a row.
 *   late      QEMU does not take back the request for a vCPU to go: the guest
 *             may let go of it at any time after it was given up. vcpus_late
 *             says of how many.
 *   at rest   It stays. When it does not, and no late vCPU explains it,
 *             somebody else changed it: theirs from now on.
 */

#include <stdio.h>

#include "parse.h"
#include "policy_vcpus.h"

#define ANSWER_USEC (15 * USEC_PER_SEC)
#define RETRY_USEC (2 * USEC_PER_MINUTE)
#define RETRY_DOUBLINGS 5U
#define TEXT_MAX 160

static bool is_between(unsigned n, unsigned a, unsigned b) {
        return n >= MIN(a, b) && n <= MAX(a, b);
}

static void forget_tries(GuestMemo *m) {
        m->vcpus_tries = 0;
        m->vcpus_retry_usec = 0;
}

/* What is online is what we hold: the original needs nobody to give it back, unless a late vCPU may still go. */
static int adopt_present(VcpuDecision *d, VcpuGuest *v) {
        Owned *o = state_find_owned(d->context->state, ACTION_SET_VCPUS, v->guest->uuid, 0);
        int r;

        if (!v->owned || !o)
                return 0;
        if (v->online == v->original && v->memo->vcpus_late == 0) {
                state_disown(d->context->state, ACTION_SET_VCPUS, v->guest->uuid, 0);
                v->owned = false;
                return 0;
        }
        r = strprintf_to(&o->ours, "%u", v->online);
        if (r < 0)
                return r;
        free(TAKE_PTR(o->previous));
        v->ours = v->online;
        return 0;
}

/* What is to be said about the guest was said: 1. */
static int said(int r) {
        return r < 0 ? r : 1;
}

static int taken_over(VcpuDecision *d, VcpuGuest *v) {
        char detail[TEXT_MAX];

        (void)snprintf(detail, sizeof(detail),
                       "its vCPUs are %u, not %u as set by kvmtuned: somebody else changed them, they stay",
                       v->online, v->ours);
        v->memo->vcpus_taken = true;
        v->memo->vcpus_target = 0;
        v->memo->vcpus_late = 0;
        forget_tries(v->memo);
        state_disown(d->context->state, ACTION_SET_VCPUS, v->guest->uuid, 0);
        return said(vcpus_skip(d, v, SKIP_TAKEN_OVER, detail));
}

static void forget_request(VcpuDecision *d, GuestMemo *m) {
        if (m->vcpus_target < m->vcpus_from)
                d->removing = false;
        m->vcpus_target = 0;
}

static int changed(VcpuDecision *d, VcpuGuest *v) {
        forget_tries(v->memo);
        v->memo->vcpus_changed_usec = MAX(d->context->snapshot->now_usec, UINT64_C(1));
        v->memo->vcpus_trend = VCPUS_STEADY;
        return adopt_present(d, v);
}

static int give_up(VcpuDecision *d, VcpuGuest *v) {
        GuestMemo *m = v->memo;

        if (m->vcpus_target < v->online)
                m->vcpus_late = MAX(m->vcpus_late, v->online - m->vcpus_target);
        forget_request(d, m);
        m->vcpus_retry_usec = u64_add(d->context->snapshot->now_usec,
                                      RETRY_USEC << MIN(m->vcpus_tries, RETRY_DOUBLINGS));
        m->vcpus_tries = MIN(m->vcpus_tries, UINT32_MAX - 1) + 1;
        return adopt_present(d, v);
}

/* Of one that is to go and is late, vcpus_late tells. Of those that come nothing does, and nobody waits for them. */
static bool is_unanswered(const GuestMemo *m, uint64_t now_usec) {
        return m->vcpus_target > m->vcpus_from ? policy_calls_open(m, now_usec) : m->calls_open_usec == now_usec;
}

static int watch_open(VcpuDecision *d, VcpuGuest *v) {
        uint64_t now = d->context->snapshot->now_usec;
        GuestMemo *m = v->memo;

        if (v->online == m->vcpus_target) {
                forget_request(d, m);
                return changed(d, v);
        }
        /* Not on record: it was never made, or libvirt refused it (who carries out plans, backs off by himself). */
        if (!v->owned && !m->vcpus_back) {
                forget_request(d, m);
                return 0;
        }
        if (!is_between(v->online, m->vcpus_from, m->vcpus_target)) {
                forget_request(d, m);
                return v->owned ? taken_over(d, v) : 0;
        }
        if (u64_sub(now, m->vcpus_asked_usec) < ANSWER_USEC || is_unanswered(m, now))
                return 1;
        return give_up(d, v);
}

static int watch_resting(VcpuDecision *d, VcpuGuest *v) {
        GuestMemo *m = v->memo;

        if (!v->owned || v->online == v->ours)
                return 0;
        if (v->online < v->ours && v->ours - v->online <= m->vcpus_late) {
                m->vcpus_late -= v->ours - v->online;
                return changed(d, v);
        }
        if (v->online != v->original || v->mode != VCPUS_OFF)
                return taken_over(d, v);
        state_disown(d->context->state, ACTION_SET_VCPUS, v->guest->uuid, 0);
        v->owned = false;
        return 0;
}

int vcpus_watch(VcpuDecision *d, VcpuGuest *v) {
        GuestMemo *m = v->memo;

        /* Times of another boot. */
        if (MAX(m->vcpus_asked_usec, m->vcpus_changed_usec) > d->context->snapshot->now_usec) {
                m->vcpus_asked_usec = 1;
                m->vcpus_changed_usec = m->vcpus_target = m->vcpus_late = 0;
                m->vcpus_trend = VCPUS_STEADY;
                forget_tries(m);
        }
        if (m->vcpus_taken && v->mode != VCPUS_OFF)
                return said(vcpus_skip(d, v, SKIP_TAKEN_OVER,
                                       "somebody else changed the number kvmtuned had set: it stays"));
        return m->vcpus_target != 0 ? watch_open(d, v) : watch_resting(d, v);
}

bool policy_vcpus_hold(const GuestMemo *memo, const Owned *owned, unsigned online) {
        unsigned ours, previous;

        if (parse_unsigned(owned->ours, &ours) < 0)
                return false;
        if (online == ours)
                return true;
        if (owned->previous && parse_unsigned(owned->previous, &previous) >= 0 && online == previous)
                return true;
        if (!memo)
                return false;
        if (memo->vcpus_target != 0 && is_between(online, memo->vcpus_from, memo->vcpus_target))
                return true;
        return online < ours && ours - online <= memo->vcpus_late;
}
