/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a knob holds now, whether that is still our doing, and how to give
 * everything back.
 *
 * Order of giving back: pins; balloons that grow before those that shrink (a
 * guest waits for memory, the host does not); then statistics periods and memory
 * limits; then vCPU counts, for a guest that does not let go of a vCPU keeps
 * what comes after it waiting; then memory policies, for libvirt does nothing
 * else with the guest until the kernel has moved its memory back (cgroup v2); the
 * kernel's switches, those of huge pages and KSM last, its advisor before the
 * page count that it would not let be written, its rate before its switch, so
 * that it never runs at a rate nobody asked for.
 */

#include <inttypes.h>

#include "parse.h"
#include "policy_ksm.h"

static int format_number(uint64_t value, char **ret) {
        _cleanup_free_ char *text = NULL;
        int r;

        if (value == UNKNOWN_U64)
                return -ENODATA;
        r = strprintf_to(&text, "%" PRIu64, value);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(text);
        return 0;
}

/*
 * What the kernel allows is the truth. Without it, what libvirt applies: the
 * thread's own pin, else the domain's cpuset, else every CPU.
 */
static int format_pin(const Snapshot *snapshot, const Guest *g, const GuestThread *thread, char **ret) {
        if (!idset_is_empty(&thread->affinity))
                return idset_format(&thread->affinity, ret);
        if (thread->pinned)
                return idset_format(&thread->pin, ret);
        if (g->vcpu_cpuset_set)
                return idset_format(&g->vcpu_cpuset, ret);
        if (!snapshot->topology)
                return -ENODATA;
        return idset_format(&snapshot->topology->online, ret);
}

static int format_memory_nodes(const Guest *g, char **ret) {
        IdSet nodes = IDSET_EMPTY;
        int r;

        for (size_t i = 0; i < g->n_node_memory; i++) {
                if (g->node_memory[i].bytes == 0 || g->node_memory[i].bytes == UNKNOWN_U64)
                        continue;
                r = idset_add(&nodes, g->node_memory[i].node);
                if (r < 0)
                        return -ENODATA;
        }
        if (idset_is_empty(&nodes))
                return -ENODATA;
        return idset_format(&nodes, ret);
}

static int format_ksm(const KsmStatus *ksm, unsigned knob, char **ret) {
        char text[24];
        int r;

        r = ksm_knob_text(ksm, knob, text);
        return r < 0 ? r : strdup_to(ret, text);
}

static int format_thp(const ThpStatus *thp, unsigned knob, char **ret) {
        char text[POLICY_THP_TEXT_MAX];

        if (!policy_thp_value(thp, (ThpKnob)knob, text))
                return -ENODATA;
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

int policy_current_value(const Snapshot *snapshot, ActionKind kind, const char *uuid, unsigned index, char **ret) {
        const GuestThread *t;
        Guest *g;

        if (kind == ACTION_SET_KSM)
                return format_ksm(&snapshot->host.ksm, index, ret);
        if (kind == ACTION_SET_HUGEPAGES)
                return policy_pool_value(snapshot, index, ret);
        if (kind == ACTION_SET_THP)
                return format_thp(&snapshot->host.thp, index, ret);
        if (kind == ACTION_SET_KERNEL)
                return index == KERNEL_KNOB_NUMA_BALANCING ? format_number(snapshot->host.numa_balancing, ret)
                                                           : -ENODATA;

        g = snapshot_find_guest(snapshot, uuid);
        if (!g)
                return -ENOENT;
        switch (kind) {
        case ACTION_PIN_VCPU:
        case ACTION_PIN_EMULATOR:
        case ACTION_PIN_IOTHREAD:
                t = action_thread(g, kind, index);
                return t ? format_pin(snapshot, g, t, ret) : -ENOENT;
        case ACTION_SET_NODESET:
                return idset_format(guest_nodeset(g), ret);
        case ACTION_MOVE_MEMORY:
                return format_memory_nodes(g, ret);
        case ACTION_SET_BALLOON:
                return format_number(g->current_bytes, ret);
        case ACTION_SET_STATS_PERIOD:
                return format_number(g->stats_period_sec, ret);
        case ACTION_SET_VCPUS:
                return format_number(guest_online_vcpus(g), ret);
        case ACTION_SET_MEMTUNE:
                return policy_memtune_format(policy_memtune_value(g, (MemtuneKnob)index), ret);
        default:
                return -ENODATA;
        }
}

static bool is_pin(ActionKind kind) {
        return kind == ACTION_PIN_VCPU || kind == ACTION_PIN_EMULATOR || kind == ACTION_PIN_IOTHREAD;
}

static bool is_set(ActionKind kind) {
        return is_pin(kind) || kind == ACTION_SET_NODESET || kind == ACTION_MOVE_MEMORY;
}

/* @ours NULL: nothing was set. */
static bool pin_holds(const Snapshot *snapshot, const char *ours, const IdSet *current) {
        IdSet set;

        if (!ours || idset_parse(ours, &set) < 0)
                return false;
        if (snapshot->topology)
                set = idset_and(&set, &snapshot->topology->online);
        /* All its CPUs went offline: the kernel had to let the thread run elsewhere. */
        return idset_is_empty(&set) || idset_equal(&set, current);
}

static bool set_still_ours(const Snapshot *snapshot, const Owned *owned, const char *current) {
        IdSet now, set;

        if (idset_parse(current, &now) < 0)
                return false;
        if (is_pin(owned->kind)) {
                if (snapshot->topology)
                        now = idset_and(&now, &snapshot->topology->online);
                return pin_holds(snapshot, owned->ours, &now) || pin_holds(snapshot, owned->previous, &now);
        }
        return (idset_parse(owned->ours, &set) == 0 && idset_equal(&set, &now)) ||
                (owned->previous && idset_parse(owned->previous, &set) == 0 && idset_equal(&set, &now));
}

static bool balloon_still_ours(const Owned *owned, const char *current) {
        uint64_t now, ours, value, low, high;

        if (parse_u64(current, &now) < 0 || parse_u64(owned->ours, &ours) < 0)
                return false;
        low = high = ours;
        if (parse_u64(owned->original, &value) == 0) {
                low = MIN(low, value);
                high = MAX(high, value);
        }
        if (owned->previous && parse_u64(owned->previous, &value) == 0) {
                low = MIN(low, value);
                high = MAX(high, value);
        }
        return u64_add(now, BALLOON_TOLERANCE_BYTES) >= low && now <= u64_add(high, BALLOON_TOLERANCE_BYTES);
}

bool policy_still_ours(const Snapshot *snapshot, const Owned *owned, const char *current) {
        if (is_set(owned->kind))
                return set_still_ours(snapshot, owned, current);
        if (owned->kind == ACTION_SET_BALLOON)
                return balloon_still_ours(owned, current);
        return streq(owned->ours, current) || (owned->previous && streq(owned->previous, current));
}

bool policy_balloon_on_its_way(const GuestMemo *memo, uint64_t current_bytes) {
        uint64_t target = memo->balloon_target_bytes, seen = memo->balloon_seen_bytes;
        uint64_t before = memo->balloon_before_bytes == 0 ? target : memo->balloon_before_bytes;
        uint64_t low = MIN(MIN(seen, target), before), high = MAX(MAX(seen, target), before);

        return target != 0 && u64_add(current_bytes, BALLOON_TOLERANCE_BYTES) >= low &&
                current_bytes <= u64_add(high, BALLOON_TOLERANCE_BYTES);
}

/* Nothing to do when the knob holds the original already. */
static bool holds_original(const Snapshot *snapshot, const Owned *owned, const char *current) {
        uint64_t now, original;
        IdSet a, b;

        if (is_set(owned->kind)) {
                if (idset_parse(current, &a) < 0 || idset_parse(owned->original, &b) < 0)
                        return false;
                if (is_pin(owned->kind) && snapshot->topology) {
                        a = idset_and(&a, &snapshot->topology->online);
                        b = idset_and(&b, &snapshot->topology->online);
                }
                return idset_equal(&a, &b);
        }
        if (owned->kind == ACTION_SET_BALLOON)
                return parse_u64(current, &now) == 0 && parse_u64(owned->original, &original) == 0 &&
                        MAX(now, original) - MIN(now, original) < BALLOON_TOLERANCE_BYTES;
        return streq(owned->original, current);
}

/* More vCPUs were asked for than before, and have not been seen. Of those that are to go, vcpus_late tells. */
static bool awaits_vcpus(const GuestMemo *memo, const Owned *owned) {
        unsigned original;

        return parse_unsigned(owned->original, &original) >= 0 && memo->vcpus_target > original;
}

/* What libvirt was asked for, and has not answered, may yet come to be. */
static bool is_open(const Snapshot *snapshot, const State *state, const Owned *owned) {
        const GuestMemo *memo = state_find_guest(state, owned->uuid);

        if (!memo || !policy_calls_open(memo, snapshot->now_usec))
                return false;
        return owned->kind != ACTION_SET_VCPUS || awaits_vcpus(memo, owned);
}

/*
 * A balloon that has not moved yet from the original: the guest is slow, or
 * its driver sleeps; or one that is there again without our asking: it may have
 * rebooted, and not come down yet. QEMU has our request and would carry it out when
 * we are gone; the same holds for libvirt and what it has not answered.
 */
static bool is_sent_elsewhere(const Snapshot *snapshot, const State *state, const Owned *owned) {
        const GuestMemo *memo = owned->kind == ACTION_SET_BALLOON ? state_find_guest(state, owned->uuid) : NULL;
        uint64_t original, sent;

        if (is_open(snapshot, state, owned))
                return true;
        if (!memo || parse_u64(owned->original, &original) < 0 || parse_u64(owned->ours, &sent) < 0)
                return false;
        if (memo->balloon_target_bytes != 0 || memo->balloon_before_bytes != 0)
                sent = memo->balloon_target_bytes != 0 ? memo->balloon_target_bytes : memo->balloon_before_bytes;
        return MAX(sent, original) - MIN(sent, original) >= BALLOON_TOLERANCE_BYTES;
}

static bool is_pinned_by_others(const Snapshot *snapshot, const Owned *owned) {
        Guest *g = snapshot_find_guest(snapshot, owned->uuid);
        const GuestThread *t = g ? action_thread(g, owned->kind, owned->index) : NULL;

        return t && t->pinned && snapshot->topology && !policy_pin_on_record(snapshot->topology, owned, &t->pin);
}

/*
 * As policy_still_ours(), with what the memo knows of vCPUs that were asked for
 * and not seen yet, and of a balloon: one that had
 * reached our value and is elsewhere now was moved by somebody else, even when
 * it lies between our value and the original.
 */
static bool holds_our_value(const Snapshot *snapshot, const State *state, const Owned *owned, const char *current) {
        const GuestMemo *memo = state_find_guest(state, owned->uuid);
        uint64_t now, ours;
        unsigned online;

        if (is_pinned_by_others(snapshot, owned))
                return false;
        if (is_open(snapshot, state, owned) && holds_original(snapshot, owned, current))
                return true;
        if (owned->kind == ACTION_SET_VCPUS)
                return parse_unsigned(current, &online) >= 0 && policy_vcpus_hold(memo, owned, online);
        if (owned->kind == ACTION_SET_HUGEPAGES && state->hugepages_adopted)
                return policy_pool_between(owned, current);
        if (owned->kind != ACTION_SET_BALLOON || !memo || memo->balloon_set_usec == 0)
                return policy_still_ours(snapshot, owned, current);
        if (parse_u64(current, &now) < 0 || parse_u64(owned->ours, &ours) < 0)
                return false;
        if (memo->balloon_target_bytes == 0)
                return MAX(now, ours) - MIN(now, ours) <= BALLOON_TOLERANCE_BYTES ||
                        holds_original(snapshot, owned, current);
        return policy_balloon_on_its_way(memo, now) || policy_still_ours(snapshot, owned, current);
}

/* A limit from before that would kill the guest as it is now. */
static bool is_harmful(const Guest *g, const Owned *owned) {
        uint64_t original;

        return owned->kind == ACTION_SET_MEMTUNE && policy_memtune_parse(owned->original, &original) == 0 &&
               !policy_memtune_is_safe(g, (MemtuneKnob)owned->index, original);
}

static bool has_action(const Plan *plan, const Owned *owned) {
        for (size_t i = 0; i < plan->n_actions; i++)
                if (plan->actions[i].kind == owned->kind && plan->actions[i].index == owned->index)
                        return true;
        return false;
}

/*
 * Knobs of KSM that others decide: the page count is the advisor's while that is on, and has its original written
 * whatever it is now when our advisor goes; run may be on its way with merge_across_nodes.
 */
static bool restored_otherwise(const Snapshot *snapshot, const State *state, const Owned *owned, const char *current,
                               Plan *plan, int *ret) {
        if (owned->index == KSM_KNOB_RUN) {
                *ret = 0;
                return has_action(plan, owned);
        }
        if (owned->index != KSM_KNOB_PAGES_TO_SCAN)
                return false;
        if (ksm_advisor_remains(snapshot, state))
                *ret = plan_add_skip(plan, owned->kind, NULL, SKIP_UNAVAILABLE,
                                     "the kernel's scan-time advisor sets pages_to_scan");
        else if (!ksm_advisor_is_on(&snapshot->host.ksm))
                return false;
        else
                *ret = plan_add_action(plan, owned->kind, NULL, owned->index, current, owned->original, "restore",
                                       "giving back the value from before kvmtuned changed it");
        return true;
}

static int restore_one(const Snapshot *snapshot, const State *state, const Owned *owned, Plan *plan) {
        const Guest *g = owned->uuid[0] != '\0' ? snapshot_find_guest(snapshot, owned->uuid) : NULL;
        _cleanup_free_ char *current = NULL;
        int r;

        r = policy_current_value(snapshot, owned->kind, owned->uuid, owned->index, &current);
        if (r == -ENOENT)
                return 0;
        if (r == -ENODATA)
                return plan_add_skip(plan, owned->kind, g, SKIP_UNKNOWN,
                                     "its present value is not known; it was %s before", owned->original);
        if (r < 0)
                return r;
        if (owned->kind == ACTION_SET_KSM && restored_otherwise(snapshot, state, owned, current, plan, &r))
                return r;
        if (holds_original(snapshot, owned, current) && !is_sent_elsewhere(snapshot, state, owned))
                return 0;
        if (!holds_our_value(snapshot, state, owned, current) && is_open(snapshot, state, owned))
                return plan_add_skip(plan, owned->kind, g, SKIP_UNKNOWN,
                                     "it is %s, and libvirt may yet make it %s as it was asked to", current,
                                     owned->ours);
        if (!holds_our_value(snapshot, state, owned, current))
                return plan_add_skip(plan, owned->kind, g, SKIP_TAKEN_OVER,
                                     "it is %s, not %s as set by kvmtuned: somebody else changed it, it stays",
                                     current, owned->ours);
        if (owned->kind == ACTION_SET_KSM && owned->index == KSM_KNOB_MERGE_ACROSS_NODES)
                return ksm_restore_merging(snapshot, state, owned, plan);
        if (is_harmful(g, owned))
                return plan_add_skip(plan, owned->kind, g, SKIP_UNSAFE,
                                     "%s was %s before, which is too close to what is resident now",
                                     memtune_knob_to_string((MemtuneKnob)owned->index), owned->original);
        return plan_add_action(plan, owned->kind, g, owned->index, current, owned->original, "restore", "%s",
                               holds_original(snapshot, owned, current)
                                       ? "it was asked to change, and might yet: so it is asked to be what it was"
                                       : "giving back the value from before kvmtuned changed it");
}

/* Whether giving @owned back makes its guest larger. */
static bool balloon_grows(const Snapshot *snapshot, const Owned *owned) {
        const Guest *g = snapshot_find_guest(snapshot, owned->uuid);
        uint64_t original;

        return g && parse_u64(owned->original, &original) == 0 && original > g->current_bytes;
}

/* hard_limit <= swap_hard_limit at any time: the second goes first when it rises, last when it falls. */
static unsigned memtune_rank(const Snapshot *snapshot, const Owned *owned) {
        const Guest *g = snapshot_find_guest(snapshot, owned->uuid);
        uint64_t original;

        if (owned->index != MEMTUNE_KNOB_SWAP_HARD_LIMIT)
                return 5;
        return g && policy_memtune_parse(owned->original, &original) == 0 &&
                               original > policy_memtune_value(g, MEMTUNE_KNOB_SWAP_HARD_LIMIT) ? 4 : 6;
}

static unsigned ksm_rank(unsigned knob) {
        switch (knob) {
        case KSM_KNOB_RUN:
                return 12;
        case KSM_KNOB_MERGE_ACROSS_NODES:
                return 11;
        case KSM_KNOB_ADVISOR_MODE:
                return 9;
        default:
                return 10;
        }
}

/* Position in the order of giving back; see the head of this file. */
static unsigned restore_rank(const Snapshot *snapshot, const Owned *owned) {
        switch (owned->kind) {
        case ACTION_SET_BALLOON:
                return balloon_grows(snapshot, owned) ? 2 : 3;
        case ACTION_SET_STATS_PERIOD:
                return 4;
        case ACTION_SET_MEMTUNE:
                return memtune_rank(snapshot, owned);
        case ACTION_SET_VCPUS:
                return 7;
        case ACTION_SET_NODESET:
                return 8;
        case ACTION_SET_KERNEL:
        case ACTION_SET_THP:
        case ACTION_SET_HUGEPAGES:
                return 9;
        case ACTION_SET_KSM:
                return ksm_rank(owned->index);
        default:
                return 1;
        }
}

#define RESTORE_RANKS 13

int policy_restore(const Snapshot *snapshot, const State *state, Plan **ret) {
        _cleanup_(plan_freep) Plan *plan = NULL;
        int r;

        r = plan_new(&plan);
        if (r < 0)
                return r;
        for (unsigned rank = 0; rank < RESTORE_RANKS; rank++)
                for (size_t i = 0; i < state->n_owned; i++) {
                        if (restore_rank(snapshot, &state->owned[i]) != rank)
                                continue;
                        r = restore_one(snapshot, state, &state->owned[i], plan);
                        if (r < 0)
                                return r;
                }

        *ret = TAKE_PTR(plan);
        return 0;
}
