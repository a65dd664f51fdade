/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus_internal.h"

#include <errno.h>
#include <grp.h>

#include "log.h"

#define READERS_GROUP "libvirt"
/* 1 s, doubling to about a minute. */
#define RETRY_USEC (1 * USEC_PER_SEC)
#define RETRY_DOUBLINGS 6U

/* ---- properties: of the service, not of guests; everybody may read them ---- */

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        (void)bus, (void)path, (void)interface, (void)property, (void)userdata, (void)error;
        return sd_bus_message_append(reply, "s", VERSION);
}

static int get_state(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const Bus *b = userdata;

        (void)bus, (void)path, (void)interface, (void)property, (void)error;
        return sd_bus_message_append(reply, "s", manager_state(b->manager));
}

static int get_connected(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const Bus *b = userdata;

        (void)bus, (void)path, (void)interface, (void)property, (void)error;
        return sd_bus_message_append(reply, "b", b->manager->connected);
}

static int get_number(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const Manager *m = ((const Bus *)userdata)->manager;
        uint64_t number = m->cycle;

        (void)bus, (void)path, (void)interface, (void)error;
        if (streq(property, "LastCycleTimestamp"))
                number = m->cycle_realtime_usec;
        else if (streq(property, "LastCycleDurationUSec"))
                number = m->cycle_duration_usec;
        return sd_bus_message_append(reply, "t", number);
}

/* ---- methods ---- */

static int on_method(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *member = sd_bus_message_get_member(m);

        (void)error;
        for (size_t i = 0; member && i < bus_n_methods; i++)
                if (streq(bus_methods[i].member, member))
                        return bus_authorize(userdata, m, &bus_methods[i]);
        return -ENOSYS;
}

/* Name, what goes in and what comes out, each with the names of the arguments (each ends with NUL). */
#define METHOD(name, in, in_names, out, out_names) \
        SD_BUS_METHOD_WITH_NAMES(name, in, in_names, out, out_names, on_method, SD_BUS_VTABLE_UNPRIVILEGED)
#define PLAIN_PROPERTY(name) SD_BUS_PROPERTY(name, "t", get_number, 0, 0)

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Version", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("State", "s", get_state, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Connected", "b", get_connected, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PLAIN_PROPERTY("Cycle"),
        PLAIN_PROPERTY("LastCycleTimestamp"),
        PLAIN_PROPERTY("LastCycleDurationUSec"),
        METHOD("GetStatus", "", "", "a{sv}", "status\0"),
        METHOD("ListGuests", "", "", "aa{sv}", "guests\0"),
        METHOD("ExplainGuest", "s", "guest\0", "a{sv}", "explanation\0"),
        METHOD("GetSettings", "s", "guest\0", "aa{sv}", "settings\0"),
        METHOD("ListRules", "", "", "aa{sv}", "rules\0"),
        METHOD("GetPlan", "b", "json\0", "s", "plan\0"),
        METHOD("GetSnapshot", "", "", "s", "snapshot\0"),
        METHOD("GetLog", "su", "guest\0" "maximum\0", "aa{sv}", "entries\0"),
        METHOD("Set", "sss", "guest\0" "key\0" "value\0", "", ""),
        METHOD("Unset", "ss", "guest\0" "key\0", "", ""),
        METHOD("Pause", "", "", "", ""),
        METHOD("Resume", "", "", "", ""),
        METHOD("Reload", "", "", "", ""),
        METHOD("Restore", "", "", "t", "left\0"),
        SD_BUS_VTABLE_END,
};

void bus_changed(Bus *b) {
        if (!b || !b->named)
                return;
        if (!streq_ptr(b->state, manager_state(b->manager))) {
                b->state = manager_state(b->manager);
                (void)sd_bus_emit_properties_changed(b->bus, BUS_PATH, BUS_INTERFACE, "State", NULL);
        }
        if (b->connected != b->manager->connected) {
                b->connected = b->manager->connected;
                (void)sd_bus_emit_properties_changed(b->bus, BUS_PATH, BUS_INTERFACE, "Connected", NULL);
        }
}

void bus_restored(Bus *b) {
        if (!b || !b->restore)
                return;
        (void)sd_bus_reply_method_return(b->restore, "t", (uint64_t)b->manager->state->n_owned);
        b->restore = sd_bus_message_unref(b->restore);
        bus_changed(b);
}

/* ---- the connection ---- */

static void disconnect(Bus *b) {
        bus_drop_requests(b);
        b->named = false;
        b->restore = sd_bus_message_unref(b->restore);
        b->object = sd_bus_slot_unref(b->object);
        b->name = sd_bus_slot_unref(b->name);
        b->disconnected = sd_bus_slot_unref(b->disconnected);
        /* What is sent is written at once; to wait for more could block. */
        b->bus = sd_bus_close_unref(b->bus);
}

static int arm_retry(Bus *b) {
        uint64_t usec = RETRY_USEC << MIN(b->retries, RETRY_DOUBLINGS);
        int r;

        b->retries++;
        r = sd_event_source_set_time_relative(b->retry, usec);
        return r < 0 ? r : sd_event_source_set_enabled(b->retry, SD_EVENT_ONESHOT);
}

/* Not within a handler of the connection: it is taken down where the loop comes to the timer. */
static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;

        (void)m, (void)error;
        if (b->named)
                log_message(LOG_INFO, "The system bus is gone; kvmtunectl works again when it is back");
        b->named = false;
        b->said = true;
        b->retries = 0;
        return arm_retry(b);
}

static int on_named(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const sd_bus_error *e = sd_bus_message_get_error(m);
        Bus *b = userdata;

        (void)error;
        if (e) {
                if (!b->said)
                        log_message(LOG_WARNING, "Cannot be " BUS_NAME " on the system bus: %s; kvmtunectl will not reach "
                                    "this daemon", e->message ? e->message : e->name);
                b->said = true;
                return arm_retry(b);
        }
        b->named = true;
        b->said = false;
        b->retries = 0;
        b->state = manager_state(b->manager);
        b->connected = b->manager->connected;
        log_message(LOG_DEBUG, "On the system bus as " BUS_NAME);
        return 0;
}

static gid_t find_readers(void) {
        struct group group, *found = NULL;
        char members[4096];

        /* A group whose members do not fit counts as none: then polkit alone says who may read. */
        if (getgrnam_r(READERS_GROUP, &group, members, sizeof(members), &found) != 0 || !found)
                return (gid_t)-1;
        return found->gr_gid;
}

/* Attached, nothing of it blocks: what is sent before the greeting is over waits in its queue. */
static int start_connection(Bus *b) {
        int r;

        r = sd_bus_open_system(&b->bus);
        if (r < 0)
                return r;
        r = sd_bus_set_exit_on_disconnect(b->bus, false);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(b->bus, b->manager->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;
        r = sd_bus_match_signal_async(b->bus, &b->disconnected, "org.freedesktop.DBus.Local",
                                      "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local", "Disconnected",
                                      on_disconnected, NULL, b);
        if (r < 0)
                return r;
        r = sd_bus_add_object_vtable(b->bus, &b->object, BUS_PATH, BUS_INTERFACE, vtable, b);
        if (r < 0)
                return r;
        return sd_bus_request_name_async(b->bus, &b->name, BUS_NAME, 0, on_named, b);
}

static int connect_bus(Bus *b) {
        int r;

        disconnect(b);
        b->readers = find_readers();
        r = start_connection(b);
        if (r >= 0)
                return 0;
        disconnect(b);
        if (!b->said)
                log_message(LOG_INFO, "No system bus (%s): kvmtunectl will not reach this daemon until there is one",
                            strerror(-r));
        b->said = true;
        return arm_retry(b);
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        (void)s, (void)usec;
        return connect_bus(userdata);
}

int bus_new(Manager *m, Bus **ret) {
        Bus *b = calloc(1, sizeof(*b));
        int r;

        if (!b)
                return -ENOMEM;
        b->manager = m;
        r = sd_event_add_time_relative(m->event, &b->retry, CLOCK_BOOTTIME, 0, USEC_PER_SEC, on_retry, b);
        if (r >= 0)
                r = sd_event_source_set_description(b->retry, "system bus");
        if (r < 0) {
                bus_free(b);
                return r;
        }
        *ret = b;
        return 0;
}

Bus *bus_free(Bus *b) {
        if (!b)
                return NULL;
        disconnect(b);
        sd_event_source_disable_unref(b->retry);
        free(b);
        return NULL;
}
