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

static void format_status(const Manager *m, size_t size, char *ret) {
        size_t n = m->snapshot->n_guests;

        if (m->stopping || m->restoring)
                (void)snprintf(ret, size, "Putting back what was changed");
        else if (m->paused)
                (void)snprintf(ret, size, "Paused%s", m->state->n_owned > 0 ? "" : "; nothing is changed");
        else if (!m->listed)
                (void)snprintf(ret, size, "Waiting for libvirt");
        else
                (void)snprintf(ret, size, "%s %zu guest%s", manager_dry_run(m) ? "Dry run with" : "Tuning", n,
                               n == 1 ? "" : "s");
}

void manager_say_status(Manager *m) {
        char text[sizeof(m->said_status)];

        format_status(m, sizeof(text), text);
        if (streq(text, m->said_status))
                return;
        memcpy(m->said_status, text, sizeof(text));
        (void)sd_notifyf(false, "STATUS=%s", text);
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
        manager_say_status(m);
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
        manager_say_status(m);
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
        manager_say_status(m);
        bus_changed(m->bus);
        manager_settled(m);
        return 0;
}
