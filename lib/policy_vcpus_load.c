/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Mode auto. The load of a guest is the mean, over its online vCPUs, of the
 * time they ran or waited for a CPU.
 *
 *   short   the load is at least vcpus.start: one more (group of) vCPU, when
 *           that has lasted vcpus.dwell and the CPUs the guest may use are idle
 *           enough. One that the guest does not bring online keeps the mean
 *           below vcpus.start, so it gets no further ones.
 *   spare   with one less the load would still be below vcpus.stop, and there
 *           are more than vcpus.minimum: one less, after the same dwell.
 *
 * Removing never makes a guest short by itself, because vcpus.stop is below
 * vcpus.start; so a steady load leads to no more than one change back.
 */

#include <inttypes.h>
#include <stdio.h>

#include "policy_vcpus.h"

#define TEXT_MAX 200

static const char *plural(unsigned n) {
        return n == 1 ? " is" : "s are";
}

static unsigned percent(uint64_t permyriad) {
        return (unsigned)MIN((permyriad + 50) / 100, (uint64_t)UINT32_MAX);
}

/* Ran and waited, in permyriad of one CPU, all online vCPUs together. false: not all are measured. */
static bool demand_of(const Guest *g, uint64_t *ret) {
        uint64_t sum = 0;

        for (size_t i = 0; i < g->n_vcpus; i++) {
                const GuestThread *t = &g->vcpus[i];

                if (!t->online)
                        continue;
                if (t->busy_permyriad == UNKNOWN_PERMYRIAD || t->wait_permyriad == UNKNOWN_PERMYRIAD)
                        return false;
                sum += MIN((uint64_t)t->busy_permyriad + t->wait_permyriad, (uint64_t)PERMYRIAD_FULL);
        }
        *ret = sum;
        return true;
}

/* What auto leaves: the minimum, or without one what the guest had by itself. */
static unsigned least(const VcpuGuest *v) {
        return v->minimum > 0 ? v->minimum : v->original;
}

static VcpusTrend trend_of(const VcpuGuest *v, uint64_t demand) {
        uint64_t start = setting(v->settings, KEY_VCPUS_START), stop = setting(v->settings, KEY_VCPUS_STOP);

        if (demand / v->online >= start)
                return VCPUS_SHORT;
        if (v->online > v->group && v->online - v->group >= least(v) &&
            demand / (v->online - v->group) < MIN(stop, start))
                return VCPUS_SPARE;
        return VCPUS_STEADY;
}

/* ---- the host ---- */

/* The CPUs on which a new vCPU will run as far as can be foretold. */
static IdSet cpus_of(const VcpuDecision *d, const VcpuGuest *v) {
        const PolicyContext *c = d->context;
        const Topology *t = c->snapshot->topology;
        const char *text = c->host.values[KEY_HOST_RESERVED_CPUS].text;
        IdSet cpus = idset_minus(&t->online, &t->isolated), set = IDSET_EMPTY;

        if (text && idset_parse(text, &set) >= 0)
                cpus = idset_minus(&cpus, &set);
        if (v->guest->vcpu_cpuset_set)
                cpus = idset_and(&v->guest->vcpu_cpuset, &cpus);
        if (!memo_is_placed(v->memo))
                return cpus;
        set = IDSET_EMPTY;
        for (size_t i = 0; i < t->n_nodes; i++)
                if (idset_contains(memo_nodes(v->memo), t->nodes[i].id))
                        set = idset_or(&set, &t->nodes[i].cpus);
        return idset_and(&cpus, &set);
}

/* Idle share of @cpus, less what this decision has granted on them; false: not known. */
static bool idle_of(VcpuDecision *d, const IdSet *cpus, unsigned n, uint64_t *ret) {
        uint64_t busy = 0, granted = (uint64_t)d->granted * PERMYRIAD_FULL;

        if (idset_equal(cpus, &d->cpus)) {
                *ret = u64_sub(PERMYRIAD_FULL, (d->cpus_busy_permyriad + granted) / n);
                return true;
        }
        IDSET_FOREACH(cpu, cpus) {
                const CpuLoad *load = host_cpu(&d->context->snapshot->host, (unsigned)cpu);

                if (!load || load->busy_permyriad == UNKNOWN_PERMYRIAD)
                        return false;
                busy += load->busy_permyriad;
        }
        d->cpus = *cpus;
        d->cpus_busy_permyriad = busy;
        *ret = u64_sub(PERMYRIAD_FULL, (busy + granted) / n);
        return true;
}

/* ---- one more, one less ---- */

static int add(VcpuDecision *d, VcpuGuest *v, uint64_t demand) {
        uint64_t wanted = setting(v->settings, KEY_VCPUS_HOST_IDLE), idle = 0;
        unsigned load = percent(demand / v->online), n;
        char text[TEXT_MAX];
        IdSet cpus;

        if (v->maximum - v->online < v->group) {
                (void)snprintf(text, sizeof(text), "its vCPUs are %u %% busy; it has its maximum of %u", load,
                               v->maximum);
                return vcpus_skip(d, v, SKIP_AT_MAXIMUM, text);
        }
        cpus = cpus_of(d, v);
        n = idset_count(&cpus);
        if (v->online + v->group > n) {
                (void)snprintf(text, sizeof(text), "its %u vCPU%s %u %% busy; more vCPUs than the %u CPUs it may use "
                               "would wait for each other", v->online, plural(v->online), load, n);
                return vcpus_skip(d, v, SKIP_NO_CAPACITY, text);
        }
        if (!idle_of(d, &cpus, n, &idle))
                return vcpus_skip(d, v, SKIP_UNKNOWN, "the load of the host's CPUs is not known");
        if (idle < wanted) {
                (void)snprintf(text, sizeof(text), "its %u vCPU%s %u %% busy; the CPUs it may use are %u %% idle, "
                               "%u %% are needed", v->online, plural(v->online), load, percent(idle),
                               percent(wanted));
                return vcpus_skip(d, v, SKIP_HOST_BUSY, text);
        }
        (void)snprintf(text, sizeof(text), "its %u vCPU%s %u %% busy or waiting (starts at %u %%); the CPUs it may "
                       "use are %u %% idle", v->online, plural(v->online), load,
                       percent(setting(v->settings, KEY_VCPUS_START)), percent(idle));
        return vcpus_ask(d, v, v->online + v->group, KEY_VCPUS_START, text);
}

static int take(VcpuDecision *d, VcpuGuest *v, uint64_t demand) {
        unsigned next = v->online - v->group;
        char text[TEXT_MAX];

        if (next < v->fixed) {
                (void)snprintf(text, sizeof(text), "it could do with %u, but %u of its vCPUs cannot be plugged out: "
                               "they were there when it started", next, v->fixed);
                return vcpus_skip(d, v, SKIP_UNAVAILABLE, text);
        }
        (void)snprintf(text, sizeof(text), "its %u vCPUs are %u %% busy; with %u they would be %u %% busy (stops at "
                       "%u %%)", v->online, percent(demand / v->online), next, percent(demand / next),
                       percent(setting(v->settings, KEY_VCPUS_STOP)));
        return vcpus_ask(d, v, next, KEY_VCPUS_STOP, text);
}

static bool has_lasted(const VcpuDecision *d, const VcpuGuest *v) {
        return u64_sub(d->context->snapshot->now_usec, v->memo->vcpus_since_usec) >=
               setting(v->settings, KEY_VCPUS_DWELL);
}

static bool is_cooling_down(const VcpuDecision *d, const VcpuGuest *v) {
        return v->memo->vcpus_changed_usec != 0 &&
               u64_sub(d->context->snapshot->now_usec, v->memo->vcpus_changed_usec) <
                       setting(v->settings, KEY_VCPUS_COOLDOWN);
}

int vcpus_follow_load(VcpuDecision *d, VcpuGuest *v) {
        uint64_t now = d->context->snapshot->now_usec, demand;
        GuestMemo *m = v->memo;
        VcpusTrend trend;

        if (!d->context->snapshot->topology || d->context->snapshot->interval_usec == 0)
                return 0;
        if (!demand_of(v->guest, &demand)) {
                m->vcpus_trend = VCPUS_STEADY;
                return vcpus_skip(d, v, SKIP_UNKNOWN, "the load of its vCPUs is not known");
        }
        trend = trend_of(v, demand);
        if (trend != m->vcpus_trend || m->vcpus_since_usec > now)
                m->vcpus_since_usec = now;
        m->vcpus_trend = trend;
        if (trend == VCPUS_STEADY || !has_lasted(d, v))
                return 0;
        if (is_cooling_down(d, v))
                return vcpus_skip(d, v, SKIP_COOLDOWN, "the number of its vCPUs was changed a short while ago");
        return trend == VCPUS_SHORT ? add(d, v, demand) : take(d, v, demand);
}
