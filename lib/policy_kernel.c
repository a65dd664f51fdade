/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Switches of the kernel: kernel.numa_balancing, where there are several
 * nodes. Its bit 0 is balancing between nodes; bit 1 (tiers of memory) is not
 * ours and stays as it is.
 *
 * `auto` goes by what is measured. The kernel's balancing unmaps a task's
 * pages to learn from the faults who uses them: that costs CPU time where
 * there is nothing to be learnt, and keeps KSM from merging. Off is wished
 * when, with the switch on,
 *
 *   - guests that kvmtuned has placed, with 95 % of their memory at hand, make up 95 % of what all want of CPUs;
 *   - or KSM runs and, after three full scans, has merged next to nothing while nearly all it looks at counts as
 *     volatile (Linux 6.1: 0 MiB merged against 968 MiB, all else equal, with the guests' memory idle), before 6.5;
 *   - or 95 % of the faults find their page at hand and cost more than 1 % of a CPU (2 us a fault, 4 us a page that
 *     moves);
 *   - or it moves 16 MiB/s and more while less than 80 % of the faults find their page at hand: it chases the load
 *     (seen: 6.4 GiB moved in five minutes, 38 % remote after it).
 *
 * On is wished when, with the switch off and KSM stopped, guests that kvmtuned
 * does not place want a tenth of all that guests want of CPUs and their memory
 * is spread over nodes (less than 80 % on one). A wish has to last for five
 * minutes; after a change, the opposite is not wished for an hour, so what
 * cannot be told from outside costs a trial an hour at most. Otherwise the
 * switch stays as it is.
 */

#include <inttypes.h>
#include <stdio.h>

#include "policy_ksm.h"

#define BALANCING_BIT UINT64_C(1)
#define DWELL_USEC (5 * USEC_PER_MINUTE)
#define HOLD_USEC USEC_PER_HOUR

#define PLACED_PERMYRIAD 9500U
#define AT_HAND_PERMYRIAD 9500U
#define SPREAD_PERMYRIAD 8000U
#define SPREAD_DEMAND_PERMYRIAD 1000U
/* Below 5 % of a CPU the guests are idle: nothing to go by. */
#define DEMAND_MINIMUM 500U
#define FAULT_USEC 2U
#define MIGRATED_PAGE_USEC 4U
#define OVERHEAD_PERMYRIAD 100U
#define CHASE_PAGES_PER_SEC (16 * MIB / (4 * KIB))
#define CHASE_LOCAL_PERMYRIAD 8000U

typedef enum Wish { WISH_NONE, WISH_OFF, WISH_ON } Wish;

/* CPU demand of guests, in permyriad of one CPU. */
typedef struct Demand {
        uint64_t all, placed, spread;
} Demand;

typedef struct Kernel {
        PolicyContext *c;
        uint64_t now;                   /* kernel.numa_balancing */
        Demand demand;
        char why[192];
} Kernel;

static bool is_on(const Kernel *k) {
        return (k->now & BALANCING_BIT) != 0;
}

/* ---- what is measured ---- */

static uint64_t demand_of(const Guest *g, const GuestMemo *m) {
        uint64_t demand = 0;

        if (m && m->measured_usec > 0)
                return m->demand_permyriad;
        for (size_t i = 0; i < g->n_vcpus; i++)
                if (g->vcpus[i].online && g->vcpus[i].busy_permyriad != UNKNOWN_PERMYRIAD)
                        demand += g->vcpus[i].busy_permyriad;
        return demand;
}

/* Of its resident memory: what is on @nodes, and the most that is on one node. Both full when it is not known. */
static void share_of_memory(const Guest *g, const IdSet *nodes, uint64_t *ret_on, uint64_t *ret_largest) {
        uint64_t all = 0, on = 0, largest = 0;

        for (size_t i = 0; i < g->n_node_memory; i++) {
                uint64_t bytes = g->node_memory[i].bytes;

                all = u64_add(all, bytes);
                largest = MAX(largest, bytes);
                if (idset_contains(nodes, g->node_memory[i].node))
                        on = u64_add(on, bytes);
        }
        *ret_on = all > 0 ? u64_muldiv(on, PERMYRIAD_FULL, all) : 0;
        *ret_largest = all > 0 ? u64_muldiv(largest, PERMYRIAD_FULL, all) : PERMYRIAD_FULL;
}

static bool is_placed(const Settings *s, const GuestMemo *m) {
        return m && !m->user_pinned && memo_is_placed(m) && setting(s, KEY_CPU_POLICY) != CPU_NONE &&
               setting(s, KEY_NUMA_POLICY) == NUMA_AUTO;
}

static void measure(Kernel *k) {
        const Snapshot *s = k->c->snapshot;
        const IdSet none = IDSET_EMPTY;

        for (size_t i = 0; i < s->n_guests; i++) {
                const Guest *g = s->guests[i];
                const GuestMemo *m = k->c->memos[i];
                bool placed = is_placed(k->c->guests[i], m);
                uint64_t demand = demand_of(g, m), at_hand, largest;

                if (g->state != GUEST_RUNNING)
                        continue;
                share_of_memory(g, placed ? memo_nodes(m) : &none, &at_hand, &largest);
                k->demand.all += demand;
                if (placed && at_hand >= AT_HAND_PERMYRIAD)
                        k->demand.placed += demand;
                if (!placed && largest < SPREAD_PERMYRIAD)
                        k->demand.spread += demand;
        }
}

/* ---- what is wished ---- */

static Wish wish_off(Kernel *k) {
        const NumaFaults *f = &k->c->snapshot->host.numa_faults;
        uint64_t share = u64_muldiv(k->demand.placed, PERMYRIAD_FULL, k->demand.all), local, overhead;

        if (ksm_is_stuck(&k->c->snapshot->host.ksm, k->c->state->ksm_run_scans) &&
            host_may_hide_unmapped(&k->c->snapshot->host)) {
                (void)snprintf(k->why, sizeof(k->why),
                               "KSM has merged next to nothing in %" PRIu64 " scans, %" PRIu64
                               " pages count as volatile",
                               u64_sub(k->c->snapshot->host.ksm.full_scans, k->c->state->ksm_run_scans),
                               k->c->snapshot->host.ksm.pages_volatile);
                return WISH_OFF;
        }
        if (k->demand.all >= DEMAND_MINIMUM && share >= PLACED_PERMYRIAD) {
                (void)snprintf(k->why, sizeof(k->why),
                               "guests that are placed, with their memory at hand, make up %" PRIu64
                               " %% of what guests want of CPUs (%" PRIu64 " %% of one)", share / 100,
                               k->demand.all / 100);
                return WISH_OFF;
        }
        if (f->faults_per_sec == UNKNOWN_U64 || f->faults_per_sec == 0)
                return WISH_NONE;
        local = u64_muldiv(f->local_per_sec, PERMYRIAD_FULL, f->faults_per_sec);
        overhead = u64_add(u64_muldiv(f->faults_per_sec, FAULT_USEC, 100),
                           u64_muldiv(f->migrated_per_sec, MIGRATED_PAGE_USEC, 100));
        (void)snprintf(k->why, sizeof(k->why),
                       "%" PRIu64 " hinting faults/s, %" PRIu64 " %% of them local, and %" PRIu64
                       " MiB/s moved, cost %" PRIu64 " %% of one CPU", f->faults_per_sec, local / 100,
                       f->migrated_per_sec * 4 / KIB, overhead / 100);
        if (local >= AT_HAND_PERMYRIAD && overhead >= OVERHEAD_PERMYRIAD)
                return WISH_OFF;
        if (local < CHASE_LOCAL_PERMYRIAD && f->migrated_per_sec >= CHASE_PAGES_PER_SEC)
                return WISH_OFF;
        return WISH_NONE;
}

static Wish wish_on(Kernel *k) {
        uint64_t share = u64_muldiv(k->demand.spread, PERMYRIAD_FULL, k->demand.all);

        if (k->c->snapshot->host.ksm.run == 1 || k->demand.spread < DEMAND_MINIMUM || share < SPREAD_DEMAND_PERMYRIAD)
                return WISH_NONE;
        (void)snprintf(k->why, sizeof(k->why),
                       "guests that kvmtuned does not place and whose memory is spread over nodes make up %" PRIu64
                       " %% of what guests want of CPUs (%" PRIu64 " %% of one)", share / 100, k->demand.all / 100);
        return WISH_ON;
}

/* A time after now was noted before a reboot. */
static bool has_passed(uint64_t since_usec, uint64_t usec, uint64_t now_usec) {
        return since_usec > now_usec || now_usec - since_usec >= usec;
}

/* The value that is wanted now: the present one until a wish has lasted. */
static uint64_t decide_auto(Kernel *k) {
        uint64_t now = k->c->snapshot->now_usec;
        State *s = k->c->state;
        Wish wish;

        measure(k);
        wish = is_on(k) ? wish_off(k) : wish_on(k);
        if (s->kernel_set_usec > 0 && !has_passed(s->kernel_set_usec, HOLD_USEC, now))
                wish = WISH_NONE;
        if (wish == WISH_NONE || s->kernel_wish != (unsigned)wish || s->kernel_wish_usec > now)
                s->kernel_wish_usec = now;
        s->kernel_wish = (unsigned)wish;
        if (wish == WISH_NONE || !has_passed(s->kernel_wish_usec, DWELL_USEC, now))
                return k->now;
        s->kernel_set_usec = now;
        s->kernel_wish = WISH_NONE;
        return k->now ^ BALANCING_BIT;
}

/* ---- the knob ---- */

static int set_value(Kernel *k, uint64_t value, const char *reason) {
        _cleanup_free_ char *source = NULL;
        char old[24], new[24];
        int r;

        if (value == k->now)
                return 0;
        r = setting_source(&k->c->host, KEY_KERNEL_NUMA_BALANCING, &source);
        if (r < 0)
                return r;
        (void)snprintf(old, sizeof(old), "%" PRIu64, k->now);
        (void)snprintf(new, sizeof(new), "%" PRIu64, value);
        return plan_add_action(k->c->plan, ACTION_SET_KERNEL, NULL, KERNEL_KNOB_NUMA_BALANCING, old, new, source,
                               "%s", reason);
}

static int give_back(Kernel *k, const Owned *owned) {
        _cleanup_free_ char *source = NULL;
        char current[24];
        int r;

        k->c->state->kernel_wish = WISH_NONE;
        k->c->state->kernel_set_usec = 0;
        if (!owned)
                return 0;
        (void)snprintf(current, sizeof(current), "%" PRIu64, k->now);
        if (streq(owned->original, current)) {
                state_disown(k->c->state, ACTION_SET_KERNEL, "", KERNEL_KNOB_NUMA_BALANCING);
                return 0;
        }
        r = setting_source(&k->c->host, KEY_KERNEL_NUMA_BALANCING, &source);
        if (r < 0)
                return r;
        return plan_add_action(k->c->plan, ACTION_SET_KERNEL, NULL, KERNEL_KNOB_NUMA_BALANCING, current,
                               owned->original, source,
                               "kernel.numa_balancing is keep: giving back the value from before");
}

/*
 * Somebody else changed it: it is theirs until the next reload. It holds its
 * original at the first look after a restart: the change on record was never
 * made. Returns 0 or -ENOMEM.
 */
static int check_taken_over(Kernel *k, const Owned *owned) {
        bool adopted = k->c->state->kernel_adopted;
        char current[24];
        int r = 0;

        k->c->state->kernel_adopted = false;
        if (!owned)
                return 0;
        (void)snprintf(current, sizeof(current), "%" PRIu64, k->now);
        if (policy_still_ours(k->c->snapshot, owned, current))
                return 0;
        if (!(adopted && streq(owned->original, current))) {
                r = plan_add_skip(k->c->plan, ACTION_SET_KERNEL, NULL, SKIP_TAKEN_OVER,
                                  "kernel.numa_balancing is %s, not %s as set by kvmtuned: somebody else changed it; "
                                  "it is left alone until the next reload", current, owned->ours);
                k->c->state->kernel_taken = true;
        }
        state_disown(k->c->state, ACTION_SET_KERNEL, "", KERNEL_KNOB_NUMA_BALANCING);
        return r;
}

static int fulfil(Kernel *k, KernelMode mode) {
        char why[sizeof(k->why) + 64];

        switch (mode) {
        case KERNEL_AUTO: {
                uint64_t value = decide_auto(k);

                (void)snprintf(why, sizeof(why), "for %" PRIu64 " s: %s",
                               (k->c->snapshot->now_usec - k->c->state->kernel_wish_usec) / USEC_PER_SEC, k->why);
                return set_value(k, value, why);
        }
        case KERNEL_ON:
                return set_value(k, k->now | BALANCING_BIT, "kernel.numa_balancing is on");
        default:
                return set_value(k, k->now & ~BALANCING_BIT, "kernel.numa_balancing is off");
        }
}

int policy_kernel(PolicyContext *c) {
        KernelMode mode = (KernelMode)setting(&c->host, KEY_KERNEL_NUMA_BALANCING);
        const Host *h = &c->snapshot->host;
        Kernel k = { .c = c, .now = h->numa_balancing };
        bool was_taken = c->state->kernel_taken;
        const Owned *owned;
        int r;

        if (c->only_uuid)
                return 0;
        if (k.now == UNKNOWN_U64 || h->n_nodes < 2) {
                if (mode == KERNEL_KEEP)
                        return 0;
                return plan_add_skip(c->plan, ACTION_SET_KERNEL, NULL, SKIP_UNAVAILABLE, "%s",
                                     h->n_nodes < 2 ? "the host has one NUMA node"
                                                    : "the kernel has no kernel.numa_balancing");
        }
        r = check_taken_over(&k, state_find_owned(c->state, ACTION_SET_KERNEL, "", KERNEL_KNOB_NUMA_BALANCING));
        if (r < 0)
                return r;
        owned = state_find_owned(c->state, ACTION_SET_KERNEL, "", KERNEL_KNOB_NUMA_BALANCING);
        if (mode == KERNEL_KEEP)
                return give_back(&k, owned);
        if (c->state->kernel_taken)
                return was_taken ? plan_add_skip(c->plan, ACTION_SET_KERNEL, NULL, SKIP_TAKEN_OVER,
                                                 "kernel.numa_balancing was changed by somebody else; it is left "
                                                 "alone until the next reload") : 0;
        return fulfil(&k, mode);
}
