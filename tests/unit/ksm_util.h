/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A World whose KSM does what the kernel's does with each write (mm/ksm.c), and what the daemon does with a plan. */

#include "memory_util.h"

#include "../../lib/policy_ksm.h"

static inline _unused_ KsmStatus *world_ksm(World *w) {
        return &w->snapshot->host.ksm;
}

/* false: EINVAL or EBUSY. */
static inline _unused_ bool kernel_write(World *w, unsigned knob, const char *text) {
        KsmStatus *ksm = world_ksm(w);

        switch (knob) {
        case KSM_KNOB_RUN:
                ksm->run = value_of(text);
                if (ksm->run == 2)
                        ksm->pages_shared = ksm->pages_sharing = 0;
                return true;
        case KSM_KNOB_PAGES_TO_SCAN:
                if (ksm_advisor_is_on(ksm))
                        return false;
                ksm->pages_to_scan = value_of(text);
                return true;
        case KSM_KNOB_SLEEP_MILLISECS:
                ksm->sleep_millisecs = value_of(text);
                return true;
        case KSM_KNOB_MERGE_ACROSS_NODES:
                /* ksmd may merge between one write and the next. */
                if (ksm->pages_shared > 0 || ksm->run == 1)
                        return false;
                ksm->merge_across_nodes = value_of(text);
                return true;
        case KSM_KNOB_SMART_SCAN:
                ksm->smart_scan = value_of(text);
                return true;
        case KSM_KNOB_ADVISOR_MODE:
                (void)snprintf(ksm->advisor_mode, sizeof(ksm->advisor_mode), "%s", text);
                ksm->pages_to_scan = ksm_advisor_is_on(ksm) ? 500 : 100;
                return true;
        case KSM_KNOB_ADVISOR_MAX_CPU:
                ksm->advisor_max_cpu = value_of(text);
                return true;
        default:
                ksm->advisor_target_scan_time = value_of(text);
                return true;
        }
}

/* All that will be done is on record first. */
static inline _unused_ void record_plan(World *w, const Plan *plan) {
        for (size_t i = 0; i < plan->n_actions; i++) {
                const Action *a = &plan->actions[i];
                const Owned *o = state_find_owned(w->state, a->kind, "", a->index);

                ck_assert_int_eq(a->kind, ACTION_SET_KSM);
                if (!o || !(streq(o->original, a->new_value) || streq(o->ours, a->new_value)))
                        ck_assert_int_eq(state_own(w->state, a), 0);
        }
}

/* The first @n of its actions, one after the other; what has its original value again is forgotten. */
static inline _unused_ void act_on_plan(World *w, const Plan *plan, size_t n) {
        for (size_t i = 0; i < MIN(n, plan->n_actions); i++) {
                const Action *a = &plan->actions[i];
                const Owned *o = state_find_owned(w->state, a->kind, "", a->index);

                ck_assert_msg(kernel_write(w, a->index, a->new_value), "the kernel refuses %s in %s", a->new_value,
                              ksm_knob_to_string((KsmKnob)a->index));
                if (o && streq(o->original, a->new_value))
                        state_disown(w->state, a->kind, "", a->index);
        }
}

static inline _unused_ void do_plan(World *w, const Plan *plan) {
        record_plan(w, plan);
        act_on_plan(w, plan, plan->n_actions);
}

static inline _unused_ void ksm_decide(World *w, uint64_t usec) {
        w->snapshot->now_usec += usec;
        w->snapshot->interval_usec = usec;
        world_run(w, policy_ksm, NULL);
}

static inline _unused_ void ksm_cycle(World *w, uint64_t usec) {
        ksm_decide(w, usec);
        do_plan(w, w->plan);
}

static inline _unused_ void ksm_restore(World *w) {
        _cleanup_(plan_freep) Plan *plan = NULL;

        ck_assert_int_eq(policy_restore(w->snapshot, w->state, &plan), 0);
        do_plan(w, plan);
}

/* A host of 16 GiB, 4 CPUs and a recent kernel whose KSM nobody has touched. */
static inline _unused_ void world_init_ksm(World *w) {
        world_init(w);
        world_set_host(w, 16 * GIB, 2 * GIB);
        *world_ksm(w) = (KsmStatus){
                .present = true, .writable = true, .pages_to_scan = 123, .sleep_millisecs = 34,
                .merge_across_nodes = 1, .advisor_mode = "none", .advisor_max_cpu = 70,
                .advisor_target_scan_time = 100, .smart_scan = 0, .page_bytes = 4 * KIB,
                .ksmd_busy_permyriad = UNKNOWN_PERMYRIAD, .full_scans = 40,
        };
        w->snapshot->host.cpus = calloc(4, sizeof(CpuLoad));
        w->snapshot->host.n_cpus = 4;
}
