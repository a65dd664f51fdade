/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan.h"

static const char *const action_kind_table[_ACTION_KIND_MAX] = {
        [ACTION_PIN_VCPU] = "pin-vcpu",
        [ACTION_PIN_EMULATOR] = "pin-emulator",
        [ACTION_PIN_IOTHREAD] = "pin-iothread",
        [ACTION_SET_NODESET] = "set-nodeset",
        [ACTION_MOVE_MEMORY] = "move-memory",
        [ACTION_SET_BALLOON] = "set-balloon",
        [ACTION_SET_STATS_PERIOD] = "set-stats-period",
        [ACTION_SET_VCPUS] = "set-vcpus",
        [ACTION_SET_KSM] = "set-ksm",
        [ACTION_SET_KERNEL] = "set-kernel",
        [ACTION_SET_MEMTUNE] = "set-memtune",
        [ACTION_SET_HUGEPAGES] = "set-hugepages",
        [ACTION_SET_THP] = "set-thp",
};
DEFINE_STRING_TABLE(action_kind, ActionKind, action_kind_table)

static const char *const ksm_knob_table[_KSM_KNOB_MAX] = {
        [KSM_KNOB_RUN] = "run",
        [KSM_KNOB_PAGES_TO_SCAN] = "pages_to_scan",
        [KSM_KNOB_SLEEP_MILLISECS] = "sleep_millisecs",
        [KSM_KNOB_MERGE_ACROSS_NODES] = "merge_across_nodes",
        [KSM_KNOB_SMART_SCAN] = "smart_scan",
        [KSM_KNOB_ADVISOR_MODE] = "advisor_mode",
        [KSM_KNOB_ADVISOR_MAX_CPU] = "advisor_max_cpu",
        [KSM_KNOB_ADVISOR_TARGET_SCAN_TIME] = "advisor_target_scan_time",
};
DEFINE_STRING_TABLE(ksm_knob, KsmKnob, ksm_knob_table)

static const char *const kernel_knob_table[_KERNEL_KNOB_MAX] = {
        [KERNEL_KNOB_NUMA_BALANCING] = "numa_balancing",
};
DEFINE_STRING_TABLE(kernel_knob, KernelKnob, kernel_knob_table)

static const char *const memtune_knob_table[_MEMTUNE_KNOB_MAX] = {
        [MEMTUNE_KNOB_HARD_LIMIT] = "hard_limit",
        [MEMTUNE_KNOB_SWAP_HARD_LIMIT] = "swap_hard_limit",
        [MEMTUNE_KNOB_SOFT_LIMIT] = "soft_limit",
};
DEFINE_STRING_TABLE(memtune_knob, MemtuneKnob, memtune_knob_table)

static const char *const thp_knob_table[_THP_KNOB_MAX] = {
        [THP_KNOB_ENABLED] = "enabled",
        [THP_KNOB_DEFRAG] = "defrag",
        [THP_KNOB_PAGES_TO_SCAN] = "khugepaged/pages_to_scan",
        [THP_KNOB_SCAN_SLEEP_MILLISECS] = "khugepaged/scan_sleep_millisecs",
        [THP_KNOB_MAX_PTES_NONE] = "khugepaged/max_ptes_none",
};
DEFINE_STRING_TABLE(thp_knob, ThpKnob, thp_knob_table)

static const char *const skip_reason_table[_SKIP_REASON_MAX] = {
        [SKIP_NOT_RUNNING] = "not-running",
        [SKIP_MIGRATING] = "migrating",
        [SKIP_USER_PIN] = "user-pin",
        [SKIP_USER_NUMATUNE] = "user-numatune",
        [SKIP_TAKEN_OVER] = "taken-over",
        [SKIP_YIELDED] = "yielded",
        [SKIP_NO_BALLOON] = "no-balloon",
        [SKIP_NO_DRIVER] = "no-driver",
        [SKIP_STALE_STATS] = "stale-stats",
        [SKIP_IMPLAUSIBLE_STATS] = "implausible-stats",
        [SKIP_DISTRESS] = "distress",
        [SKIP_AT_MINIMUM] = "at-minimum",
        [SKIP_AT_MAXIMUM] = "at-maximum",
        [SKIP_STUCK] = "stuck",
        [SKIP_HUGEPAGES] = "hugepages",
        [SKIP_LOCKED] = "locked",
        [SKIP_VFIO] = "vfio",
        [SKIP_BOUND] = "bound",
        [SKIP_NO_CAPACITY] = "no-capacity",
        [SKIP_NOT_EXCLUSIVE] = "not-exclusive",
        [SKIP_HOST_BUSY] = "host-busy",
        [SKIP_COOLDOWN] = "cooldown",
        [SKIP_NO_GAIN] = "no-gain",
        [SKIP_UNSAFE] = "unsafe",
        [SKIP_MUST_NOT_SHARE] = "must-not-share",
        [SKIP_UNAVAILABLE] = "unavailable",
        [SKIP_UNREACHABLE] = "unreachable",
        [SKIP_UNKNOWN] = "unknown",
        [SKIP_FAILED] = "failed",
};
DEFINE_STRING_TABLE(skip_reason, SkipReason, skip_reason_table)

static const char *const move_cause_table[_MOVE_CAUSE_MAX] = {
        [MOVE_NONE] = "none",
        [MOVE_REMOTE] = "remote-memory",
        [MOVE_TO_MEMORY] = "to-memory",
        [MOVE_LOAD] = "load",
        [MOVE_SWAP] = "swap",
        [MOVE_SHORTAGE] = "memory-shortage",
};
DEFINE_STRING_TABLE(move_cause, MoveCause, move_cause_table)

static const char *const placement_term_table[_PLACEMENT_TERM_MAX] = {
        [TERM_NONE] = "none",
        [TERM_BOUND] = "bound",
        [TERM_FITS] = "fits",
        [TERM_SIZE] = "fewer-nodes",
        [TERM_PROMISED] = "promised-memory",
        [TERM_NEAR] = "nearness",
        [TERM_HARM] = "harm",
        [TERM_DISTANCE] = "distance",
        [TERM_COMMIT] = "vcpus-per-cpu",
        [TERM_LOAD] = "load",
        [TERM_ROOM] = "free-memory",
        [TERM_NUMBER] = "lowest-number",
};
DEFINE_STRING_TABLE(placement_term, PlacementTerm, placement_term_table)

int plan_new(Plan **ret) {
        Plan *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        *ret = p;
        return 0;
}

void action_done(Action *a) {
        free(a->uuid);
        free(a->guest);
        free(a->old_value);
        free(a->new_value);
        free(a->reason);
        free(a->source);
        *a = (Action){ 0 };
}

GuestThread *action_thread(Guest *g, ActionKind kind, unsigned index) {
        bool vcpu = kind == ACTION_PIN_VCPU;
        GuestThread *threads = vcpu ? g->vcpus : g->iothreads;
        size_t n = vcpu ? g->n_vcpus : g->n_iothreads;

        if (kind == ACTION_PIN_EMULATOR)
                return &g->emulator;
        if (!vcpu && kind != ACTION_PIN_IOTHREAD)
                return NULL;
        for (size_t i = 0; i < n; i++)
                if (threads[i].id == index)
                        return &threads[i];
        return NULL;
}

int action_copy(const Action *a, Action *ret) {
        Action copy = { .kind = a->kind, .index = a->index };
        int r;

        r = strdup_to(&copy.uuid, a->uuid);
        if (r >= 0)
                r = strdup_to(&copy.guest, a->guest);
        if (r >= 0)
                r = strdup_to(&copy.old_value, a->old_value);
        if (r >= 0)
                r = strdup_to(&copy.new_value, a->new_value);
        if (r >= 0)
                r = strdup_to(&copy.reason, a->reason);
        if (r >= 0)
                r = strdup_to(&copy.source, a->source);
        if (r < 0) {
                action_done(&copy);
                return r;
        }
        *ret = copy;
        return 0;
}

Plan *plan_free(Plan *p) {
        if (!p)
                return NULL;
        free(p->verdicts);
        free(p->cancel_move);
        free(p->actions);
        free(p->skips);
        free(p->wanted_names);
        free(p->wanted_stats);
        free(p->placements);
        free(p->active_rules);
        free(p->notes);
        text_pool_done(&p->texts);
        free(p);
        return NULL;
}

/* What stands next to each other often says the same: @last has it once then. */
static int put_text(Plan *p, const char *text, char *last, char **ret) {
        if (!text || !last || !streq(text, last))
                return text_pool_add(&p->texts, text, ret);
        *ret = last;
        return 0;
}

static int put_guest(Plan *p, const Guest *guest, char uuid[static UUID_TEXT_SIZE], char **ret_name) {
        if (!guest)
                return 0;
        memcpy(uuid, guest->uuid, UUID_TEXT_SIZE);
        return text_pool_add(&p->texts, guest->name, ret_name);
}

/* All but the reason. */
static int action_fill(Plan *p, Action *a, const Guest *guest, const char *old_value, const char *new_value,
                       const char *source) {
        const Action last = p->n_actions > 0 ? p->actions[p->n_actions - 1] : (Action){ 0 };
        int r;

        a->uuid = (char *)"";
        r = guest ? put_text(p, guest->uuid, last.uuid, &a->uuid) : 0;
        if (r >= 0 && guest)
                r = put_text(p, guest->name, last.guest, &a->guest);
        if (r >= 0)
                r = put_text(p, old_value, last.old_value, &a->old_value);
        if (r >= 0)
                r = put_text(p, new_value, last.new_value, &a->new_value);
        if (r >= 0)
                r = put_text(p, source, last.source, &a->source);
        return r;
}

int plan_add_action_saying(Plan *p, ActionKind kind, const Guest *guest, unsigned index, const char *old_value,
                           const char *new_value, const char *source, const char *reason) {
        Action a = { .kind = kind, .index = index, .reason = (char *)reason };
        int r;

        r = GROW_ARRAY_UNSET(p->actions, p->actions_capacity, p->n_actions);
        if (r >= 0)
                r = action_fill(p, &a, guest, old_value, new_value, source);
        if (r < 0)
                return r;
        p->actions[p->n_actions++] = a;
        return 0;
}

int plan_add_action_because(Plan *p, ActionKind kind, const Guest *guest, unsigned index, const char *old_value,
                            const char *new_value, const char *source, const char *reason) {
        char *kept = NULL;
        int r;

        r = put_text(p, reason, p->n_actions > 0 ? p->actions[p->n_actions - 1].reason : NULL, &kept);
        if (r < 0)
                return r;
        return plan_add_action_saying(p, kind, guest, index, old_value, new_value, source, kept);
}

int plan_add_action(Plan *p, ActionKind kind, const Guest *guest, unsigned index, const char *old_value,
                    const char *new_value, const char *source, const char *reason, ...) {
        char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, reason);
        r = text_pool_vprintf(&p->texts, &text, reason, ap);
        va_end(ap);
        if (r < 0)
                return r;
        return plan_add_action_saying(p, kind, guest, index, old_value, new_value, source, text);
}

/* Room for @more of @size bytes each behind the @n of *@items. 1: that is new memory. */
static int reserve(void **items, size_t *capacity, size_t n, size_t more, size_t size) {
        void *larger;

        if (more <= *capacity - n)
                return 0;
        larger = reallocarray(*items, n + more, size);
        if (!larger)
                return -ENOMEM;
        *items = larger;
        *capacity = n + more;
        return 1;
}

int plan_reserve_actions(Plan *p, size_t n) {
        void *items = p->actions;
        int r;

        r = reserve(&items, &p->actions_capacity, p->n_actions, n, sizeof(*p->actions));
        p->actions = items;
        if (r > 0)
                memory_expect(p->actions + p->n_actions, n * sizeof(*p->actions));
        return MIN(r, 0);
}

int plan_reserve_skips(Plan *p, size_t n) {
        void *items = p->skips;
        int r;

        r = reserve(&items, &p->skips_capacity, p->n_skips, n, sizeof(*p->skips));
        p->skips = items;
        return MIN(r, 0);
}

int plan_add_skip_saying(Plan *p, ActionKind kind, const Guest *guest, SkipReason why, const char *detail) {
        Skip s = { .kind = kind, .why = why, .detail = (char *)detail };
        int r;

        r = GROW_ARRAY_UNSET(p->skips, p->skips_capacity, p->n_skips);
        if (r >= 0)
                r = put_guest(p, guest, s.uuid, &s.guest);
        if (r < 0)
                return r;
        p->skips[p->n_skips++] = s;
        return 0;
}

int plan_add_skip_because(Plan *p, ActionKind kind, const Guest *guest, SkipReason why, const char *detail) {
        char *kept = NULL;
        int r;

        r = text_pool_add(&p->texts, detail, &kept);
        return r < 0 ? r : plan_add_skip_saying(p, kind, guest, why, kept);
}

int plan_add_skip(Plan *p, ActionKind kind, const Guest *guest, SkipReason why, const char *detail, ...) {
        char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, detail);
        r = text_pool_vprintf(&p->texts, &text, detail, ap);
        va_end(ap);
        return r < 0 ? r : plan_add_skip_saying(p, kind, guest, why, text);
}

int plan_want_stats(Plan *p, const Guest *guest) {
        int r;

        r = GROW_ARRAY_UNSET(p->wanted_stats, p->wanted_stats_capacity, p->n_wanted_stats);
        if (r >= 0)
                r = GROW_ARRAY_UNSET(p->wanted_names, p->wanted_names_capacity, p->n_wanted_stats);
        if (r >= 0)
                r = text_pool_add(&p->texts, guest->name, &p->wanted_names[p->n_wanted_stats]);
        if (r < 0)
                return r;
        memcpy(p->wanted_stats[p->n_wanted_stats++], guest->uuid, UUID_TEXT_SIZE);
        return 0;
}

int plan_add_verdict(Plan *p, const Guest *guest, const Verdict *v) {
        Verdict copy = *v;
        int r;

        copy.guest = NULL;
        r = GROW_ARRAY_UNSET(p->verdicts, p->verdicts_capacity, p->n_verdicts);
        if (r >= 0)
                r = put_guest(p, guest, copy.uuid, &copy.guest);
        if (r >= 0)
                r = text_pool_add(&p->texts, v->text, &copy.text);
        if (r < 0)
                return r;
        p->verdicts[p->n_verdicts++] = copy;
        return 0;
}

int plan_add_note(Plan *p, const char *note) {
        int r;

        for (size_t i = 0; i < p->n_notes; i++)
                if (streq(p->notes[i], note))
                        return 0;
        r = GROW_ARRAY_UNSET(p->notes, p->notes_capacity, p->n_notes);
        if (r >= 0)
                r = text_pool_add(&p->texts, note, &p->notes[p->n_notes]);
        if (r < 0)
                return r;
        p->n_notes++;
        return 0;
}

int plan_add_placement(Plan *p, const Guest *guest, const char *nodes, const char *text, PlanPlacement **ret) {
        PlanPlacement placement = { 0 };
        int r;

        r = GROW_ARRAY_UNSET(p->placements, p->placements_capacity, p->n_placements);
        if (r >= 0)
                r = put_guest(p, guest, placement.uuid, &placement.guest);
        if (r >= 0)
                r = text_pool_add(&p->texts, nodes, &placement.nodes);
        if (r >= 0)
                r = text_pool_add(&p->texts, text, &placement.text);
        if (r < 0)
                return r;
        p->placements[p->n_placements] = placement;
        *ret = &p->placements[p->n_placements++];
        return 0;
}

int plan_add_candidate(Plan *plan, PlanPlacement *p, const PlanCandidate *c) {
        PlanCandidate copy = *c;
        int r;

        if (p->n_candidates == PLAN_CANDIDATES_MAX) {
                p->n_more++;
                return 0;
        }
        r = text_pool_add(&plan->texts, c->nodes, &copy.nodes);
        if (r >= 0)
                r = text_pool_add(&plan->texts, c->memory_only, &copy.memory_only);
        if (r < 0)
                return r;
        p->candidates[p->n_candidates++] = copy;
        return 0;
}

PlanPlacement *plan_find_placement(const Plan *p, const char *uuid) {
        for (size_t i = 0; i < p->n_placements; i++)
                if (streq(p->placements[i].uuid, uuid))
                        return &p->placements[i];
        return NULL;
}

void plan_remove_placement(Plan *p, PlanPlacement *placement) {
        size_t at = (size_t)(placement - p->placements);

        p->n_placements--;
        memmove(placement, placement + 1, (p->n_placements - at) * sizeof(*placement));
}
