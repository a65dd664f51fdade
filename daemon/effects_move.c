/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Memory moves: starting one, after the nodeset that it needs; how it ended,
 * giving one up because the plan says so, and what became of it. What the mover
 * reports goes into the state, where the next decisions measure from it.
 */

#include <errno.h>

#include "../lib/rules.h"
#include "effects_internal.h"
#include "log.h"
#include "messages.h"

/* Rules on the guest's own metrics as they were in the last decision. */
static int move_rate(Manager *m, const Guest *g, uint64_t *ret) {
        _cleanup_free_ bool *active = calloc(m->config->n_rules + 1, sizeof(*active));
        Settings settings;

        if (!active)
                return -ENOMEM;
        if (m->rules_active)
                memcpy(active, m->rules_active, m->config->n_rules * sizeof(*active));
        /* Nothing is looked at anew, so it cannot fail. */
        (void)rules_evaluate_guest(m->config, m->snapshot, g, false, m->state, active);
        config_resolve_guest(m->config, (ActiveRules){ .active = active }, g, &settings);
        *ret = setting(&settings, KEY_NUMA_MOVE_RATE);
        return 0;
}

static int start_move(Manager *m, const Action *a) {
        Guest *g = snapshot_find_guest(m->snapshot, a->uuid);
        IdSet targets, last;
        uint64_t rate;
        int r;

        if (!g || g->pid <= 0)
                return -ESRCH;
        r = idset_parse(a->new_value, &targets);
        if (r >= 0)
                r = move_rate(m, g, &rate);
        if (r < 0)
                return r;
        last = topology_memory_only_nodes(m->snapshot->topology);
        return mover_start(m->mover, a->uuid, g->pid, &targets, &last, rate);
}

/* The guest's cgroup must allow the new nodes before its pages can go there. */
static bool waits_for_nodeset(const Plan *plan, const EffectChoice *choices, const Action *move) {
        for (size_t i = 0; i < plan->n_actions; i++)
                if (choices[i].chosen && plan->actions[i].kind == ACTION_SET_NODESET &&
                    streq(plan->actions[i].uuid, move->uuid))
                        return true;
        return false;
}

int effects_move(Manager *m, const Plan *plan, const EffectChoice *choices, const Action *a) {
        bool waits = waits_for_nodeset(plan, choices, a);
        int r;

        r = effects_add_pending(m, a, waits ? WAITING_MOVE_COOKIE : MOVER_COOKIE, false);
        if (r < 0 || waits)
                return r;
        r = start_move(m, a);
        if (r < 0) {
                m->n_pending--;
                action_done(&m->pending[m->n_pending].action);
        }
        return r;
}

void effects_release_move(Manager *m, const char *uuid, int result) {
        for (size_t i = 0; i < m->n_pending; i++) {
                Pending *p = &m->pending[i];

                if (p->cookie != WAITING_MOVE_COOKIE || !streq(p->action.uuid, uuid))
                        continue;
                p->cookie = MOVER_COOKIE;
                if (result < 0 || m->stopping) {
                        effects_end_pending(m, i, -ECANCELED,
                                            result < 0 ? "its memory policy could not be set first" : NULL);
                        return;
                }
                result = start_move(m, &p->action);
                if (result < 0)
                        effects_end_pending(m, i, result, NULL);
                return;
        }
}

static int describe_end(const Manager *m, const MoverReport *report, char **ret) {
        char moved[FORMAT_BYTES_MAX], failed[FORMAT_BYTES_MAX];
        const char *why = "";

        if (report->result == -ECANCELED)
                why = m->cancel_reason ? m->cancel_reason : "kvmtuned stops";
        else if (report->result == -ENOMEM)
                why = "the target has no room left";
        else if (report->result < 0)
                why = strerror(-report->result);
        return strprintf_to(ret, "%s moved, %s could not be moved, in %llu ms%s%s",
                            format_bytes_short(report->moved_bytes, moved),
                            format_bytes_short(report->failed_bytes, failed),
                            (unsigned long long)(report->usec / USEC_PER_MSEC), why[0] ? "; " : "", why);
}

int effects_on_mover(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        _cleanup_free_ char *text = NULL;
        Manager *m = userdata;
        MoverReport report;

        (void)s;
        (void)fd;
        (void)revents;
        if (mover_take_report(m->mover, &report) < 0)
                return 0;
        (void)describe_end(m, &report, &text);
        free(TAKE_PTR(m->cancel_reason));
        policy_move_ended(m->state, report.uuid, manager_now(m), report.failed_bytes, report.result);
        m->state_dirty = true;
        effects_done(m, MOVER_COOKIE, report.result, text);
        return 0;
}

/* Said when it has ended, with what was moved until then. */
void effects_cancel_move(Manager *m, const Plan *plan) {
        if (!plan->cancel_move || m->cancel_reason || !mover_busy(m->mover))
                return;
        if (strdup_to(&m->cancel_reason, plan->cancel_move) < 0)
                return;
        mover_cancel(m->mover);
}

static void log_verdict(const Verdict *v) {
        LogField fields[] = {
                { "KVMTUNED_GUEST", v->guest },
                { "KVMTUNED_GUEST_UUID", v->uuid },
                { "KVMTUNED_CAUSE", move_cause_to_string(v->cause) },
                { "KVMTUNED_RESULT", v->text },
        };

        log_struct(LOG_INFO, v->gained ? MESSAGE_MOVE_GAINED : MESSAGE_MOVE_NOT_GAINED, fields, ELEMENTSOF(fields),
                   "%s: its move (%s) has %s: %s", v->guest, move_cause_to_string(v->cause),
                   v->gained ? "gained" : "not gained what was expected", v->text);
}

void effects_log_verdicts(Manager *m, const Plan *plan) {
        for (size_t i = 0; i < plan->n_verdicts; i++) {
                const Verdict *v = &plan->verdicts[i];

                log_verdict(v);
                (v->gained ? m->counters.gained : m->counters.not_gained)[v->cause]++;
        }
        m->state_dirty = m->state_dirty || plan->n_verdicts > 0;
}
