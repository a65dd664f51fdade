/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The ends: a clean stop that puts back what is ours, `--once`, `--restore`
 * and `kvmtuned record`. Each sends its actions off like any cycle and leaves
 * the loop when all are answered, or when patience runs out.
 */

#include <errno.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "../lib/snapshot_file.h"
#include "bus.h"
#include "log.h"
#include "manager.h"
#include "metrics.h"
#include "takeover.h"

/* systemd sends SIGKILL after TimeoutStopSec= (90 s by default): be done well before. */
#define STOP_PATIENCE_USEC (20 * USEC_PER_SEC)
/* For libvirt to list the guests, in the modes that end by themselves. */
#define DEADLINE_USEC (30 * USEC_PER_SEC)
/* Between the two observations of a record: rates need an interval. */
#define RECORD_INTERVAL_USEC (1 * USEC_PER_SEC)

static int on_patience(sd_event_source *s, uint64_t usec, void *userdata) {
        Manager *m = userdata;

        (void)s;
        (void)usec;
        log_message(LOG_WARNING, "%zu actions were not answered in time; they stay in %s for kvmtuned --restore",
                    m->n_pending, m->options.state_path);
        (void)effects_save_state(m);
        return sd_event_exit(m->event, 1);
}

static int arm(Manager *m, uint64_t usec, sd_event_time_handler_t handler, const char *description) {
        int r;

        m->stop_timer = sd_event_source_unref(m->stop_timer);
        r = sd_event_add_time_relative(m->event, &m->stop_timer, CLOCK_BOOTTIME, usec, 100 * USEC_PER_MSEC, handler,
                                       m);
        if (r < 0)
                return r;
        return sd_event_source_set_description(m->stop_timer, description);
}

static bool has_action(const Plan *plan, const Owned *o) {
        for (size_t i = 0; i < plan->n_actions; i++) {
                const Action *a = &plan->actions[i];

                if (a->kind == o->kind && a->index == o->index && streq(a->uuid, o->uuid))
                        return true;
        }
        return false;
}

static bool is_put_off(const Plan *plan, const Owned *o) {
        for (size_t i = 0; i < plan->n_skips; i++) {
                const Skip *s = &plan->skips[i];
                bool later = s->why == SKIP_UNKNOWN || s->why == SKIP_UNSAFE || s->why == SKIP_NO_CAPACITY;

                if (s->kind == o->kind && later && streq(s->uuid, o->uuid))
                        return true;
        }
        return false;
}

/* Of a guest that is not there nobody knows whether it is gone. */
static bool is_hidden(const Manager *m, const Owned *o) {
        return o->uuid[0] && (!m->listed || (m->guests_unreadable && !snapshot_find_guest(m->snapshot, o->uuid)));
}

/*
 * What needs no action is not ours any more: it has its original value, its
 * guest is gone, or somebody else changed it and it is theirs from here on.
 * What cannot be seen now (libvirt does not answer, or what it says of a guest
 * cannot be read), or not be given back without harm, stays on record. So does,
 * the second time, a balloon that did not answer the first time.
 */
static void disown_settled(Manager *m, const Plan *plan, bool again) {
        for (size_t i = m->state->n_owned; i > 0; i--) {
                Owned *o = &m->state->owned[i - 1];
                char uuid[UUID_TEXT_SIZE];

                if (has_action(plan, o) || is_put_off(plan, o) || is_hidden(m, o))
                        continue;
                if (again && o->kind == ACTION_SET_BALLOON)
                        continue;
                memcpy(uuid, o->uuid, sizeof(uuid));
                state_disown(m->state, o->kind, uuid, o->index);
                m->state_dirty = true;
        }
}

static void apply_restore(Manager *m, bool again) {
        _cleanup_(plan_freep) Plan *plan = NULL;
        int r;

        effects_note_open(m);
        r = policy_restore(m->snapshot, m->state, &plan);
        if (r < 0) {
                (void)log_error_errno(r, "Failed to work out what to restore");
                m->exit_code = 1;
                return;
        }
        for (size_t i = 0; i < plan->n_skips; i++)
                log_message(LOG_NOTICE, "Left as it is: %s%s%s: %s", plan->skips[i].guest ? plan->skips[i].guest : "",
                            plan->skips[i].guest ? " " : "", action_kind_to_string(plan->skips[i].kind),
                            plan->skips[i].detail);
        disown_settled(m, plan, again);
        effects_apply(m, plan, NULL);
}

void manager_apply_restore(Manager *m) {
        apply_restore(m, false);
}

void manager_stop(Manager *m) {
        bool restore = setting(&m->config->base, KEY_DAEMON_ON_STOP) == ON_STOP_RESTORE;

        if (m->stopping) {
                (void)sd_event_exit(m->event, 1);
                return;
        }
        m->stopping = true;
        m->stats_waiting = false;
        (void)sd_event_source_set_enabled(m->stats_timer, SD_EVENT_OFF);
        (void)sd_event_source_set_enabled(m->edge_timer, SD_EVENT_OFF);
        m->restore_due = m->options.mode == RUN_DAEMON && restore && !manager_dry_run(m);
        (void)sd_notify(false, "STOPPING=1");
        manager_say_status(m);
        mover_cancel(m->mover);
        if (arm(m, STOP_PATIENCE_USEC, on_patience, "patience at stop") < 0)
                m->exit_code = 1;
        manager_settled(m);
}

static void leave(Manager *m) {
        bool restores = setting(&m->config->base, KEY_DAEMON_ON_STOP) == ON_STOP_RESTORE;
        bool wanted = m->options.mode == RUN_RESTORE || (m->options.mode == RUN_DAEMON && restores);

        m->left = true;
        metrics_remove(m);
        if (wanted && !manager_dry_run(m))
                takeover_give_back(m);
        effects_note_open(m);
        if (m->options.mode != RUN_RECORD && !manager_dry_run(m) && effects_save_state(m) < 0)
                m->exit_code = 1;
        if (wanted && !manager_dry_run(m) && m->state->n_owned > 0) {
                log_message(LOG_WARNING,
                            "%zu changes could not be put back; they stay on record in %s for kvmtuned --restore",
                            m->state->n_owned, m->options.state_path);
                m->exit_code = 1;
        }
        (void)sd_event_exit(m->event, m->exit_code);
}

static void end_restoring(Manager *m) {
        m->restoring = false;
        takeover_give_back(m);
        (void)effects_save_state(m);
        manager_say_status(m);
        bus_restored(m->bus);
}

void manager_settled(Manager *m) {
        if (m->left || m->n_pending > 0 || (m->stats_waiting && !m->stopping))
                return;
        /* Only now: an action under way would be taken back before it is done. */
        if (m->restore_due && (m->stopping || m->restoring)) {
                m->restore_due = false;
                manager_observe(m);
                manager_apply_restore(m);
                if (m->n_pending > 0)
                        return;
        }
        /* What libvirt was to do before waits no more: it had its turn when ours was done. */
        if (m->again_due) {
                m->again_due = false;
                effects_forget_left(m);
                apply_restore(m, true);
                if (m->n_pending > 0)
                        return;
        }
        if (m->restoring && !m->stopping)
                end_restoring(m);
        if (m->stopping || m->options.mode == RUN_ONCE || (m->options.mode == RUN_RESTORE && m->restored))
                leave(m);
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *userdata) {
        Manager *m = userdata;

        (void)s;
        (void)usec;
        log_message(LOG_ERR, "libvirt has not answered in time");
        return sd_event_exit(m->event, 1);
}

int manager_arm_deadline(Manager *m) {
        return arm(m, DEADLINE_USEC, on_deadline, "deadline");
}

static void restore_mode(Manager *m) {
        if (m->restored)
                return;
        if (!m->listed && m->state->n_owned > 0)
                log_message(LOG_WARNING, "Without libvirt only the host's own switches can be restored");
        if (arm(m, STOP_PATIENCE_USEC, on_patience, "patience at restore") < 0)
                m->exit_code = 1;
        manager_observe(m);
        m->restored = true;
        manager_apply_restore(m);
        manager_settled(m);
}

static int finish_record(sd_event_source *s, uint64_t usec, void *userdata) {
        _cleanup_free_ char *text = NULL;
        Manager *m = userdata;
        int r;

        (void)s;
        (void)usec;
        manager_observe(m);
        if (m->options.recorded)
                return sd_event_exit(m->event, m->options.recorded(m->snapshot, m->state, m->config,
                                                                   m->options.recorded_userdata));
        r = snapshot_format(m->snapshot, &text);
        if (r < 0)
                return sd_event_exit(m->event, log_error_errno(r, "Failed to write the snapshot"));
        if (fputs(text, stdout) == EOF || fflush(stdout) == EOF)
                return sd_event_exit(m->event, log_error_errno(-errno, "Failed to write the snapshot"));
        return sd_event_exit(m->event, m->exit_code);
}

static int want_all_stats(Manager *m) {
        size_t n = m->snapshot->n_guests;

        if (n == 0)
                return 0;
        m->wanted = calloc(n, sizeof(*m->wanted));
        if (!m->wanted)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                memcpy(m->wanted[i], m->snapshot->guests[i]->uuid, UUID_TEXT_SIZE);
        m->n_wanted = n;
        return virt_request_stats(m->virt, (const char(*)[UUID_TEXT_SIZE])m->wanted, n, 0);
}

static void record_mode(Manager *m) {
        if (m->recording)
                return;
        m->recording = true;
        if (!m->connected)
                log_message(LOG_WARNING, "Recording the host only: libvirt does not answer");
        manager_observe(m);
        if (m->connected && want_all_stats(m) < 0)
                log_message(LOG_WARNING, "Recording without balloon statistics");
        if (arm(m, RECORD_INTERVAL_USEC, finish_record, "second observation") < 0)
                (void)sd_event_exit(m->event, 1);
}

bool manager_mode_cycle(Manager *m) {
        switch (m->options.mode) {
        case RUN_RESTORE:
                if (!m->stopping)
                        restore_mode(m);
                return true;
        case RUN_RECORD:
                record_mode(m);
                return true;
        case RUN_ONCE:
                if (m->connected)
                        return false;
                m->exit_code = 1;
                log_message(LOG_ERR, "Cannot decide anything about guests without libvirt");
                (void)sd_event_exit(m->event, 1);
                return true;
        case RUN_DAEMON:
                return false;
        }
        return false;
}
