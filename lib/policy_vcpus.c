/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How many vCPUs a guest has, within the maximum of its definition.
 *
 *   1. The number is compared with what was asked for before
 *      (policy_vcpus_watch.c).
 *   2. Mode fixed goes to its number, mode auto follows the load of the vCPUs
 *      (policy_vcpus_load.c), mode off gives back the number from before.
 *   3. vCPUs that come are asked for at once, a few in one request; the next
 *      decision pins them like the others. vCPUs that go are asked for one
 *      (hotpluggable group) at a time, and of one guest at a time: libvirt
 *      waits some seconds for a guest that does not let go, and everything
 *      else that it is to do waits behind.
 *
 * A guest of cpu.policy dedicated gets no vCPU for which there is no CPU of its
 * own: GuestMemo.cpus_spare, counted by the placement.
 *
 * Only what was plugged in while the guest ran can go again (the others are
 * not "hotpluggable" in libvirt's XML), and only when the guest's kernel lets
 * go. The guest agent is not used: what it takes offline stays plugged in, so
 * nothing that can be seen from outside the guest would change.
 */

#include "policy_vcpus.h"

#include <inttypes.h>
#include <stdio.h>

#include "parse.h"
#include "policy_eligible.h"

#define TEXT_MAX 160
/* In one request: each takes libvirt some milliseconds. */
#define ADD_MAX 8U

int vcpus_skip(const VcpuDecision *d, const VcpuGuest *v, SkipReason why, const char *detail) {
        return plan_add_skip(d->context->plan, ACTION_SET_VCPUS, v->guest, why, "%s", detail);
}

static void read_owned(const PolicyContext *c, VcpuGuest *v) {
        const Owned *o = state_find_owned(c->state, ACTION_SET_VCPUS, v->guest->uuid, 0);

        v->owned = o && parse_unsigned(o->original, &v->original) >= 0 && parse_unsigned(o->ours, &v->ours) >= 0;
        if (!v->owned)
                v->original = v->ours = v->online;
}

/* Mode off, and its number was never changed: most guests, of which nothing more is looked up. */
static bool is_idle(const GuestMemo *memo, VcpusMode mode) {
        return !memo || (mode == VCPUS_OFF && memo->vcpus_asked_usec == 0);
}

static void init(const PolicyContext *c, size_t i, GuestMemo *memo, VcpuGuest *ret) {
        const Guest *g = c->snapshot->guests[i];

        *ret = (VcpuGuest){
                .guest = g,
                .settings = c->guests[i],
                .memo = memo,
                .mode = (VcpusMode)setting(c->guests[i], KEY_VCPUS_MODE),
                .maximum = (unsigned)g->n_vcpus,
                .group = 1,
        };
        if (g->vcpu_group > 1)
                ret->group = (unsigned)MIN(g->vcpu_group, (uint64_t)g->n_vcpus);
        for (size_t k = 0; k < g->n_vcpus; k++) {
                ret->online += g->vcpus[k].online;
                ret->fixed += g->vcpus[k].online && !g->vcpus[k].hotpluggable;
        }
        ret->minimum = (unsigned)MIN(setting(ret->settings, KEY_VCPUS_MINIMUM), (uint64_t)ret->maximum);
        read_owned(c, ret);
}

/* ---- asking ---- */

static int skip_retry(const VcpuDecision *d, const VcpuGuest *v, bool less) {
        uint64_t left = u64_sub(v->memo->vcpus_retry_usec, d->context->snapshot->now_usec);
        char detail[TEXT_MAX];

        (void)snprintf(detail, sizeof(detail), "%s (time %u in a row); tried again in %" PRIu64 " s",
                       less ? "the guest did not let go of a vCPU" : "a vCPU was not plugged in",
                       v->memo->vcpus_tries, left / USEC_PER_SEC);
        return vcpus_skip(d, v, less ? SKIP_STUCK : SKIP_FAILED, detail);
}

static int add_action(const VcpuDecision *d, const VcpuGuest *v, unsigned count, Key key, const char *reason) {
        _cleanup_free_ char *source = NULL;
        char old[16], new[16];
        int r;

        r = setting_source(v->settings, key, &source);
        if (r < 0)
                return r;
        (void)snprintf(old, sizeof(old), "%u", v->online);
        (void)snprintf(new, sizeof(new), "%u", count);
        return plan_add_action(d->context->plan, ACTION_SET_VCPUS, v->guest, 0, old, new, source, "%s", reason);
}

/* A dedicated guest has a CPU of its own for each vCPU, or keeps what it has. */
static bool has_cpus_for(const VcpuDecision *d, const VcpuGuest *v, unsigned *count) {
        unsigned spare = v->memo->cpus_spare > d->granted ? v->memo->cpus_spare - d->granted : 0;

        if (setting(v->settings, KEY_CPU_POLICY) != CPU_DEDICATED || v->memo->user_pinned)
                return true;
        *count = MIN(*count, v->online + spare / v->group * v->group);
        return *count > v->online;
}

int vcpus_ask(VcpuDecision *d, VcpuGuest *v, unsigned count, Key key, const char *reason) {
        uint64_t now = d->context->snapshot->now_usec;
        bool less = count < v->online;
        GuestMemo *m = v->memo;
        const char *detail;
        SkipReason why;
        int r;

        if (!policy_eligible(v->guest, ACTION_SET_VCPUS, &why, &detail))
                return vcpus_skip(d, v, why, detail);
        /* One that does not let go of a vCPU may still take one. */
        if (now < m->vcpus_retry_usec && (less || m->vcpus_late == 0))
                return skip_retry(d, v, less);
        if (!less && !has_cpus_for(d, v, &count))
                return vcpus_skip(d, v, SKIP_NO_CAPACITY, "no CPU where it may be could become its own");
        if (less && d->removing)
                return vcpus_skip(d, v, SKIP_COOLDOWN,
                                  "another guest is being asked to let go of a vCPU; one at a time");
        r = add_action(d, v, count, key, reason);
        if (r < 0)
                return r;
        d->removing = d->removing || less;
        d->granted += less ? 0 : count - v->online;
        m->vcpus_target = count;
        m->vcpus_from = v->online;
        m->vcpus_back = v->owned && count == v->original;
        m->vcpus_asked_usec = MAX(now, UINT64_C(1));
        return 0;
}

/* From what is online towards @wanted: whole groups, as many as one request has. */
static unsigned one_step(const VcpuGuest *v, unsigned wanted) {
        unsigned most = v->group * MAX(ADD_MAX / v->group, 1U);

        if (wanted < v->online)
                return v->online - wanted >= v->group ? v->online - v->group : v->online;
        return v->online + MIN((wanted - v->online) / v->group * v->group, most);
}

/* ---- modes fixed and off ---- */

static unsigned wanted_count(const VcpuGuest *v, char text[static TEXT_MAX]) {
        uint64_t count = setting(v->settings, KEY_VCPUS_COUNT);

        if (count == 0) {
                (void)snprintf(text, TEXT_MAX, "vcpus.count is 0, which is the guest's maximum of %u", v->maximum);
                return v->maximum;
        }
        if (count > v->maximum) {
                (void)snprintf(text, TEXT_MAX, "vcpus.count is %" PRIu64 ", the guest's maximum %u", count,
                               v->maximum);
                return v->maximum;
        }
        if (count < v->minimum) {
                (void)snprintf(text, TEXT_MAX, "vcpus.count is %" PRIu64 ", vcpus.minimum %u", count, v->minimum);
                return v->minimum;
        }
        (void)snprintf(text, TEXT_MAX, "vcpus.count is %" PRIu64, count);
        return (unsigned)count;
}

/* Why nothing moves although @wanted, for which @text stands, is not what is online. */
static int skip_step(const VcpuDecision *d, const VcpuGuest *v, unsigned wanted, const char *text) {
        char detail[2 * TEXT_MAX];

        if (wanted < v->fixed && v->online - v->fixed < v->group)
                (void)snprintf(detail, sizeof(detail),
                               "%s; %u of its %u vCPUs cannot be plugged out: they were there when it started", text,
                               v->fixed, v->online);
        else
                (void)snprintf(detail, sizeof(detail), "%s; its vCPUs come and go %u at a time", text, v->group);
        return vcpus_skip(d, v, SKIP_UNAVAILABLE, detail);
}

static int go_to(VcpuDecision *d, VcpuGuest *v, unsigned wanted, Key key, const char *text) {
        unsigned next;

        if (wanted == v->online)
                return 0;
        next = one_step(v, MAX(wanted, v->fixed));
        return next == v->online ? skip_step(d, v, wanted, text) : vcpus_ask(d, v, next, key, text);
}

static int follow_count(VcpuDecision *d, VcpuGuest *v) {
        char text[TEXT_MAX];
        unsigned wanted = wanted_count(v, text);

        return go_to(d, v, wanted, KEY_VCPUS_COUNT, text);
}

static int give_back(VcpuDecision *d, VcpuGuest *v) {
        if (!v->owned)
                return 0;
        return go_to(d, v, MIN(v->original, v->maximum), KEY_VCPUS_MODE,
                     "vcpus.mode is off: giving back the number from before");
}

/* ---- the whole ---- */

/* A guest that was asked to let go of a vCPU has not answered yet. */
static bool any_removing(const PolicyContext *c) {
        for (size_t i = 0; i < c->state->n_guests; i++)
                if (c->state->guests[i].vcpus_target != 0 &&
                    c->state->guests[i].vcpus_target < c->state->guests[i].vcpus_from)
                        return true;
        return false;
}

static int decide_guest(VcpuDecision *d, size_t i) {
        const PolicyContext *c = d->context;
        GuestMemo *memo = c->memos[i];
        VcpuGuest v;
        int r;

        if (is_idle(memo, (VcpusMode)setting(c->guests[i], KEY_VCPUS_MODE)))
                return 0;
        init(c, i, memo, &v);
        if (v.mode != VCPUS_AUTO)
                memo->vcpus_trend = VCPUS_STEADY;
        memo->vcpus_watched = v.mode != VCPUS_OFF || v.owned || memo->vcpus_target != 0;
        if (!memo->vcpus_watched || v.online == 0)
                return 0;
        if (!d->looked)
                d->removing = any_removing(c);
        d->looked = true;
        r = vcpus_watch(d, &v);
        if (r != 0)
                return MIN(r, 0);
        switch (v.mode) {
        case VCPUS_AUTO:
                return vcpus_follow_load(d, &v);
        case VCPUS_FIXED:
                return follow_count(d, &v);
        default:
                return give_back(d, &v);
        }
}

int policy_vcpus(PolicyContext *c) {
        VcpuDecision d = { .context = c };
        int r;

        for (size_t i = 0; i < c->snapshot->n_guests; i++) {
                if (c->only_uuid && !streq(c->only_uuid, c->snapshot->guests[i]->uuid))
                        continue;
                r = decide_guest(&d, i);
                if (r < 0)
                        return r;
        }
        return 0;
}
