/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "bus.h"
#include "log.h"
#include "manager.h"
#include "messages.h"

const char *manager_state(const Manager *m) {
        if (m->stopping)
                return "stopping";
        if (m->restoring)
                return "restoring";
        if (m->paused)
                return "paused";
        return manager_dry_run(m) ? "dry-run" : "running";
}

void manager_log_control(uid_t uid, const Guest *g, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        char number[16];
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0) {
                text = NULL;
                return;
        }
        (void)snprintf(number, sizeof(number), "%u", (unsigned)uid);
        LogField fields[] = { { "KVMTUNED_UID", number },
                              { "KVMTUNED_GUEST", g ? g->name : NULL },
                              { "KVMTUNED_GUEST_UUID", g ? g->uuid : NULL } };
        log_struct(LOG_NOTICE, MESSAGE_CONTROL, fields, ELEMENTSOF(fields), "%s%s%s, by uid %s", g ? g->name : "",
                   g ? ": " : "", text, number);
}

/* Statistics that were asked for are for a decision that is not made now. */
static void begin_pause(Manager *m) {
        m->paused = true;
        m->stats_waiting = false;
        (void)sd_event_source_set_enabled(m->stats_timer, SD_EVENT_OFF);
        (void)sd_event_source_set_enabled(m->edge_timer, SD_EVENT_OFF);
        if (mover_busy(m->mover) && !m->cancel_reason && strdup_to(&m->cancel_reason, "kvmtuned was paused") >= 0)
                mover_cancel(m->mover);
}

int manager_pause(Manager *m, uid_t uid) {
        if (m->paused)
                return -EALREADY;
        begin_pause(m);
        manager_log_control(uid, NULL, "Paused: nothing is changed until it is resumed");
        (void)sd_notify(false, "STATUS=Paused");
        bus_changed(m->bus);
        return 0;
}

int manager_resume(Manager *m, uid_t uid) {
        if (m->restoring || m->stopping)
                return -EBUSY;
        if (!m->paused)
                return -EALREADY;
        m->paused = false;
        manager_log_control(uid, NULL, "Resumed");
        (void)sd_notifyf(false, "STATUS=Tuning %zu guests", m->snapshot->n_guests);
        bus_changed(m->bus);
        manager_start_cycle(m, "resumed");
        return 0;
}

int manager_restore(Manager *m, uid_t uid) {
        if (m->restoring || m->stopping)
                return -EBUSY;
        begin_pause(m);
        m->restoring = m->restore_due = true;
        manager_log_control(uid, NULL, "Putting back what was changed, and pausing");
        (void)sd_notify(false, "STATUS=Putting back what was changed");
        bus_changed(m->bus);
        manager_settled(m);
        return 0;
}
