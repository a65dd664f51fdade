/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state_fields.h"

#include "state_memo.h"

static const StateField guest_fields[] = {
        { "start_time", offsetof(GuestMemo, start_time), STATE_U64, 0 },
        { "placed_usec", offsetof(GuestMemo, placed_usec), STATE_U64, 0 },
        { "calls_open", offsetof(GuestMemo, calls_open), STATE_BOOL, 0 },
        { "calls_open_usec", offsetof(GuestMemo, calls_open_usec), STATE_U64, 0 },
        { "moved_usec", offsetof(GuestMemo, moved_usec), STATE_U64, 0 },
        { "moves", offsetof(GuestMemo, moves), STATE_UNSIGNED, 0 },
        { "move_ended_usec", offsetof(GuestMemo, move_ended_usec), STATE_U64, 0 },
        { "move_cause", offsetof(GuestMemo, move_cause), STATE_UNSIGNED, 0 },
        { "move_from", offsetof(GuestMemo, move_from), STATE_UNSIGNED, 0 },
        { "move_waits", offsetof(GuestMemo, move_waits), STATE_BOOL, 0 },
        { "move_before", offsetof(GuestMemo, move_before), STATE_U64, 0 },
        { "move_predicted", offsetof(GuestMemo, move_predicted), STATE_U64, 0 },
        { "move_sum", offsetof(GuestMemo, move_sum), STATE_U64, 0 },
        { "move_samples", offsetof(GuestMemo, move_samples), STATE_UNSIGNED, 0 },
        { "move_sampled_usec", offsetof(GuestMemo, move_sampled_usec), STATE_U64, 0 },
        { "unmovable_bytes", offsetof(GuestMemo, unmovable_bytes), STATE_U64, 0 },
        { "full_bytes", offsetof(GuestMemo, full_bytes), STATE_U64, 0 },
        { "pins_seen", offsetof(GuestMemo, pins_seen), STATE_BOOL, 0 },
        { "user_pinned", offsetof(GuestMemo, user_pinned), STATE_BOOL, 0 },
        { "balloon_taken", offsetof(GuestMemo, balloon_taken), STATE_BOOL, 0 },
        { "balloon_set_usec", offsetof(GuestMemo, balloon_set_usec), STATE_U64, 0 },
        { "balloon_target_bytes", offsetof(GuestMemo, balloon_target_bytes), STATE_U64, 0 },
        { "balloon_before_bytes", offsetof(GuestMemo, balloon_before_bytes), STATE_U64, 0 },
        { "balloon_seen_bytes", offsetof(GuestMemo, balloon_seen_bytes), STATE_U64, 0 },
        { "balloon_moved_usec", offsetof(GuestMemo, balloon_moved_usec), STATE_U64, 0 },
        { "balloon_progress_usec", offsetof(GuestMemo, balloon_progress_usec), STATE_U64, 0 },
        { "balloon_stuck_until_usec", offsetof(GuestMemo, balloon_stuck_until_usec), STATE_U64, 0 },
        { "balloon_stuck", offsetof(GuestMemo, balloon_stuck), STATE_UNSIGNED, 0 },
        { "balloon_held_until_usec", offsetof(GuestMemo, balloon_held_until_usec), STATE_U64, 0 },
        { "balloon_floor_bytes", offsetof(GuestMemo, balloon_floor_bytes), STATE_U64, 0 },
        { "balloon_floor_usec", offsetof(GuestMemo, balloon_floor_usec), STATE_U64, 0 },
        { "balloon_floor_times", offsetof(GuestMemo, balloon_floor_times), STATE_UNSIGNED, 0 },
        { "balloon_tried_bytes", offsetof(GuestMemo, balloon_tried_bytes), STATE_U64, 0 },
        { "balloon_learned_bytes", offsetof(GuestMemo, balloon_learned_bytes), STATE_U64, 0 },
        { "balloon_learned_usec", offsetof(GuestMemo, balloon_learned_usec), STATE_U64, 0 },
        { "balloon_hour_usec", offsetof(GuestMemo, balloon_hour_usec), STATE_U64, 0 },
        { "balloon_changes", offsetof(GuestMemo, balloon_changes), STATE_UNSIGNED, 0 },
        { "memtune_taken", offsetof(GuestMemo, memtune_taken), STATE_UNSIGNED, 0 },
        { "vcpus_taken", offsetof(GuestMemo, vcpus_taken), STATE_BOOL, 0 },
        { "vcpus_target", offsetof(GuestMemo, vcpus_target), STATE_UNSIGNED, 0 },
        { "vcpus_from", offsetof(GuestMemo, vcpus_from), STATE_UNSIGNED, 0 },
        { "vcpus_back", offsetof(GuestMemo, vcpus_back), STATE_BOOL, 0 },
        { "vcpus_asked_usec", offsetof(GuestMemo, vcpus_asked_usec), STATE_U64, 0 },
        { "vcpus_changed_usec", offsetof(GuestMemo, vcpus_changed_usec), STATE_U64, 0 },
        { "vcpus_trend", offsetof(GuestMemo, vcpus_trend), STATE_UNSIGNED, 0 },
        { "vcpus_since_usec", offsetof(GuestMemo, vcpus_since_usec), STATE_U64, 0 },
        { "vcpus_late", offsetof(GuestMemo, vcpus_late), STATE_UNSIGNED, 0 },
        { "vcpus_tries", offsetof(GuestMemo, vcpus_tries), STATE_UNSIGNED, 0 },
        { "vcpus_retry_usec", offsetof(GuestMemo, vcpus_retry_usec), STATE_U64, 0 },
        { "major_faults", offsetof(GuestMemo, major_faults), STATE_U64, UNKNOWN_U64 },
        { "swap_in_bytes", offsetof(GuestMemo, swap_in_bytes), STATE_U64, UNKNOWN_U64 },
};
static const StateField threshold_fields[] = {
        { "raw", offsetof(ThresholdMemo, raw), STATE_BOOL, 0 },
        { "raw_since_usec", offsetof(ThresholdMemo, raw_since_usec), STATE_U64, 0 },
        { "active", offsetof(ThresholdMemo, active), STATE_BOOL, 0 },
        { "seen_usec", offsetof(ThresholdMemo, seen_usec), STATE_U64, 0 },
        { "seen_value", offsetof(ThresholdMemo, seen_value), STATE_U64, 0 },
        { "mean_fixed", offsetof(ThresholdMemo, mean_fixed), STATE_U64, 0 },
        { "mean_known", offsetof(ThresholdMemo, mean_known), STATE_BOOL, 0 },
        { "of", offsetof(ThresholdMemo, of), STATE_U64, 0 },
};
static const StateField host_fields[] = {
        { "ksm_on", offsetof(State, ksm_on), STATE_BOOL, 0 },
        { "ksm_pages", offsetof(State, ksm_pages), STATE_U64, 0 },
        { "ksm_sleep_millisecs", offsetof(State, ksm_sleep_millisecs), STATE_U64, 0 },
        { "ksm_stepped_mode", offsetof(State, ksm_stepped_mode), STATE_UNSIGNED, 0 },
        { "ksm_stepped_usec", offsetof(State, ksm_stepped_usec), STATE_U64, 0 },
        { "ksm_judged_usec", offsetof(State, ksm_judged_usec), STATE_U64, 0 },
        { "ksm_judged_scans", offsetof(State, ksm_judged_scans), STATE_U64, 0 },
        { "ksm_cpu_usec", offsetof(State, ksm_cpu_usec), STATE_U64, 0 },
        { "ksm_rest_usec", offsetof(State, ksm_rest_usec), STATE_U64, 0 },
        { "ksm_rest_profit_bytes", offsetof(State, ksm_rest_profit_bytes), STATE_U64, 0 },
        { "ksm_rest_price_bytes", offsetof(State, ksm_rest_price_bytes), STATE_U64, 0 },
        { "ksm_catch_up_scans", offsetof(State, ksm_catch_up_scans), STATE_U64, 0 },
        { "ksm_guests_bytes", offsetof(State, ksm_guests_bytes), STATE_U64, 0 },
        { "ksm_rated_usec", offsetof(State, ksm_rated_usec), STATE_U64, 0 },
        { "ksm_run_usec", offsetof(State, ksm_run_usec), STATE_U64, 0 },
        { "ksm_run_scans", offsetof(State, ksm_run_scans), STATE_U64, 0 },
        { "ksm_run_bytes", offsetof(State, ksm_run_bytes), STATE_U64, 0 },
        { "ksm_separated_usec", offsetof(State, ksm_separated_usec), STATE_U64, 0 },
        { "ksm_rests", offsetof(State, ksm_rests), STATE_UNSIGNED, 0 },
        { "ksm_taken", offsetof(State, ksm_taken), STATE_BOOL, 0 },
        { "kernel_wish", offsetof(State, kernel_wish), STATE_UNSIGNED, 0 },
        { "kernel_wish_usec", offsetof(State, kernel_wish_usec), STATE_U64, 0 },
        { "kernel_set_usec", offsetof(State, kernel_set_usec), STATE_U64, 0 },
        { "kernel_taken", offsetof(State, kernel_taken), STATE_BOOL, 0 },
        { "thp_taken", offsetof(State, thp_taken), STATE_UNSIGNED, 0 },
        { "reclaiming", offsetof(State, reclaiming), STATE_BOOL, 0 },
        { "balloon_stepped_usec", offsetof(State, balloon_stepped_usec), STATE_U64, 0 },
        { "overload_usec", offsetof(State, overload_usec), STATE_U64, 0 },
};
static const StateField pool_fields[] = {
        { "taken", offsetof(PoolMemo, taken), STATE_BOOL, 0 },
};

#define FIELDS(table) { .fields = table, .n = ELEMENTSOF(table) }
const StateFields state_guest_fields = FIELDS(guest_fields);
const StateFields state_threshold_fields = FIELDS(threshold_fields);
const StateFields state_host_fields = FIELDS(host_fields);
const StateFields state_pool_fields = FIELDS(pool_fields);

static int set_cpus(State *s _unused_, GuestMemo *g, const IdSet *set) {
        int r = memo_make_cpus(g);

        if (r >= 0)
                *g->cpus = *set;
        return r;
}

static int set_memory_only(State *s _unused_, GuestMemo *g, const IdSet *set) {
        int r = memo_make_memory_only(g);

        if (r >= 0)
                *g->memory_only = *set;
        return r;
}

const StateSet state_sets[STATE_SETS] = {
        { "nodes", "nodes", memo_nodes, state_place },
        { "cpus", "CPUs", memo_cpus, set_cpus },
        { "memory_only", "nodes", memo_memory_only, set_memory_only },
};

uint64_t state_field_get(const StateField *field, const void *record) {
        const char *p = (const char *)record + field->offset;

        switch (field->type) {
        case STATE_BOOL:
                return *(const bool *)(const void *)p;
        case STATE_UNSIGNED:
                return *(const unsigned *)(const void *)p;
        case STATE_U64:
                break;
        }
        return *(const uint64_t *)(const void *)p;
}

int state_field_set(const StateField *field, void *record, uint64_t value) {
        char *p = (char *)record + field->offset;

        switch (field->type) {
        case STATE_BOOL:
                if (value > 1)
                        return -ERANGE;
                *(bool *)(void *)p = value == 1;
                return 0;
        case STATE_UNSIGNED:
                if (value > UINT32_MAX)
                        return -ERANGE;
                *(unsigned *)(void *)p = (unsigned)value;
                return 0;
        case STATE_U64:
                break;
        }
        *(uint64_t *)(void *)p = value;
        return 0;
}
