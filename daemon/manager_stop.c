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
#include "log.h"
#include "manager.h"

/* systemd sends SIGKILL after TimeoutStopSec= (90 s by default): be done well before. */
#define STOP_PATIENCE_USEC (20 * USEC_PER_SEC)
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

static void apply_restore(Manager *m) {
        _cleanup_(plan_freep) Plan *plan = NULL;
        int r;

        r = policy_restore(m->snapshot, m->state, &plan);
        if (r < 0) {
                (void)log_error_errno(r, "Failed to work out what to restore");
                m->exit_code = 1;
                return;
        }
        /* What somebody else changed meanwhile is theirs from here on. */
        for (size_t i = 0; i < plan->n_skips; i++)
                log_message(LOG_NOTICE, "Left as it is: %s%s%s: %s", plan->skips[i].guest ? plan->skips[i].guest : "",
                            plan->skips[i].guest ? " " : "", action_kind_to_string(plan->skips[i].kind),
                            plan->skips[i].detail);
        effects_apply(m, plan, NULL);
}

void manager_stop(Manager *m) {
        bool restore = setting(&m->config->base, KEY_DAEMON_ON_STOP) == ON_STOP_RESTORE;

        if (m->stopping) {
                (void)sd_event_exit(m->event, 1);
                return;
        }
        m->stopping = true;
        (void)sd_notify(false, "STOPPING=1\nSTATUS=Putting back what was changed");
        mover_cancel(m->mover);
        if (m->options.mode == RUN_DAEMON && restore && !manager_dry_run(m) && m->state->n_owned > 0) {
                manager_observe(m);
                apply_restore(m);
        }
        if (arm(m, STOP_PATIENCE_USEC, on_patience, "patience at stop") < 0)
                m->exit_code = 1;
        manager_settled(m);
}

void manager_settled(Manager *m) {
        if (m->options.mode == RUN_DAEMON && !m->stopping)
                return;
        if (m->n_pending > 0 || (m->options.mode == RUN_RECORD && !m->stopping))
                return;
        if (m->stopping || m->options.mode == RUN_ONCE || m->options.mode == RUN_RESTORE) {
                if (!manager_dry_run(m) && m->options.mode != RUN_RECORD && effects_save_state(m) < 0)
                        m->exit_code = 1;
                (void)sd_event_exit(m->event, m->exit_code);
        }
}

static void restore_mode(Manager *m) {
        if (m->stop_timer)
                return;
        if (!m->connected && m->state->n_owned > 0) {
                log_message(LOG_WARNING, "Without libvirt only the host's own switches can be restored");
                m->exit_code = 1;
        }
        if (arm(m, STOP_PATIENCE_USEC, on_patience, "patience at restore") < 0)
                m->exit_code = 1;
        manager_observe(m);
        apply_restore(m);
        if (m->state->n_owned == 0 && m->n_pending == 0)
                log_message(LOG_INFO, "Nothing is owned by kvmtuned any more");
        manager_settled(m);
}

static int finish_record(sd_event_source *s, uint64_t usec, void *userdata) {
        _cleanup_free_ char *text = NULL;
        Manager *m = userdata;
        int r;

        (void)s;
        (void)usec;
        manager_observe(m);
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
