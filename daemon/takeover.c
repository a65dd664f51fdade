/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "takeover.h"

#include <stdio.h>
#include <systemd/sd-bus.h>

#include "../lib/observe.h"
#include "competitors.h"
#include "log.h"
#include "messages.h"

#define SYSTEMD "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"
/* Starting again is waited for, also at a stop: systemd answers at once, or something is wrong. */
#define START_USEC (5 * USEC_PER_SEC)
#define CONCLUDED_MAX 64U

struct Takeover {
        Manager *manager;
        sd_bus *bus;                    /* NULL: idle */
        sd_bus_slot *call;
        const Competitor *who;          /* whom it is about */
        uint64_t pid;
        char unit[UNIT_NAME_SIZE];
        uint64_t concluded[CONCLUDED_MAX];      /* processes that need no further look */
        size_t n_concluded;
};

int takeover_new(Manager *m, Takeover **ret) {
        Takeover *t = calloc(1, sizeof(*t));

        if (!t)
                return -ENOMEM;
        t->manager = m;
        *ret = t;
        return 0;
}

static void become_idle(Takeover *t) {
        t->call = sd_bus_slot_unref(t->call);
        t->bus = sd_bus_flush_close_unref(t->bus);
}

Takeover *takeover_free(Takeover *t) {
        if (!t)
                return NULL;
        become_idle(t);
        free(t);
        return NULL;
}

void takeover_forget(Takeover *t) {
        t->n_concluded = 0;
}

static void say(int level, const Competitor *who, uint64_t pid, const char *text) {
        char number[32];
        LogField fields[] = { { "KVMTUNED_COMPETITOR", who->comm }, { "KVMTUNED_COMPETITOR_PID", number } };

        (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)pid);
        log_struct(level, MESSAGE_TAKEOVER, fields, ELEMENTSOF(fields), "%s (pid %s) %s: %s", who->comm, number,
                   who->does, text);
}

/* There is room: takeover_look() has seen to that. */
static void conclude(Takeover *t, int level, const char *text) {
        t->concluded[t->n_concluded++] = t->pid;
        say(level, t->who, t->pid, text);
        become_idle(t);
}

static void leave_alone(Takeover *t, const char *why) {
        conclude(t, LOG_WARNING, why);
        takeover_look(t);
}

static bool is_concluded(const Takeover *t, uint64_t pid) {
        for (size_t i = 0; i < t->n_concluded; i++)
                if (t->concluded[i] == pid)
                        return true;
        return false;
}

static const char *error_text(sd_bus_message *reply) {
        const sd_bus_error *e = sd_bus_message_get_error(reply);

        return e && e->message ? e->message : "systemd refuses it";
}

static int on_stopped(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        _cleanup_free_ char *text = NULL;
        Takeover *t = userdata;

        (void)error;
        if (sd_bus_message_is_method_error(reply, NULL)) {
                state_remove_stopped(t->manager->state, t->unit);
                (void)effects_save_state(t->manager);
                (void)strprintf_to(&text, "%s cannot be stopped: %s", t->unit, error_text(reply));
                leave_alone(t, text ? text : "it cannot be stopped");
                return 0;
        }
        (void)strprintf_to(&text, "%s is stopped; it is started again when changes are put back", t->unit);
        conclude(t, LOG_NOTICE, text ? text : "it is stopped");
        takeover_look(t);
        return 0;
}

static int ask(Takeover *t, const char *method, sd_bus_message_handler_t handler, const char *types, ...) {
        va_list ap;
        int r;

        t->call = sd_bus_slot_unref(t->call);
        va_start(ap, types);
        r = sd_bus_call_method_asyncv(t->bus, &t->call, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, method, handler, t,
                                      types, ap);
        va_end(ap);
        return r;
}

/* On record before it is stopped. */
static void stop_unit(Takeover *t) {
        State *state = t->manager->state;

        if (state_has_stopped(state, t->unit)) {
                leave_alone(t, "it was stopped once and runs again; it is left alone");
                return;
        }
        if (state_add_stopped(state, t->unit) < 0 || effects_save_state(t->manager) < 0 ||
            ask(t, "StopUnit", on_stopped, "ss", t->unit, "replace") < 0) {
                state_remove_stopped(state, t->unit);
                leave_alone(t, "it is not stopped: that could not be recorded or asked for");
        }
}

static bool is_service(const char *unit) {
        const char *dot = strrchr(unit, '.');

        return dot && streq(dot, ".service") && strlen(unit) < UNIT_NAME_SIZE;
}

static int on_unit(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        _cleanup_free_ char *unit = NULL;
        Takeover *t = userdata;
        const char *path;

        (void)error;
        if (sd_bus_message_is_method_error(reply, NULL) || sd_bus_message_read(reply, "o", &path) < 0 ||
            sd_bus_path_decode(path, SYSTEMD_PATH "/unit", &unit) <= 0 || !is_service(unit)) {
                leave_alone(t, "it is no service of systemd and is not stopped");
                return 0;
        }
        memcpy(t->unit, unit, strlen(unit) + 1);
        stop_unit(t);
        return 0;
}

static void note_first(const Competitor *c, uint64_t pid, void *userdata) {
        Takeover *t = userdata;

        if (t->who || !c->may_be_stopped || is_concluded(t, pid))
                return;
        t->who = c;
        t->pid = pid;
}

static int ask_for_unit(Takeover *t) {
        int r;

        r = sd_bus_open_system(&t->bus);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(t->bus, t->manager->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;
        return ask(t, "GetUnitByPID", on_unit, "u", (uint32_t)t->pid);
}

static bool may_act(const Manager *m) {
        return m->options.mode == RUN_DAEMON && !m->paused && !m->stopping && !manager_dry_run(m) &&
               setting(&m->config->base, KEY_DAEMON_COMPETITORS) == COMPETITORS_TAKEOVER;
}

void takeover_look(Takeover *t) {
        const Manager *m = t->manager;

        if (t->bus || t->n_concluded == CONCLUDED_MAX || !may_act(m))
                return;
        t->who = NULL;
        competitors_observe(m->root_fd, note_first, t);
        if (t->who && ask_for_unit(t) < 0)
                conclude(t, LOG_WARNING, "it is not stopped: there is no systemd to ask");
}

static bool start_unit(sd_bus *bus, const char *unit) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_call_method(bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "StartUnit", &error, NULL, "ss", unit,
                               "replace");
        if (r >= 0)
                log_message(LOG_NOTICE, "%s, which was stopped for kvmtuned, is started again", unit);
        else
                log_message(LOG_WARNING, "%s was stopped for kvmtuned and cannot be started again: %s", unit,
                            error.message ? error.message : strerror(-r));
        sd_bus_error_free(&error);
        return r >= 0;
}

void takeover_give_back(Manager *m) {
        sd_bus *bus = NULL;

        if (m->state->n_stopped == 0)
                return;
        if (sd_bus_open_system(&bus) < 0 || sd_bus_set_method_call_timeout(bus, START_USEC) < 0) {
                log_message(LOG_WARNING, "Without systemd, what was stopped for kvmtuned is not started again");
                sd_bus_unref(bus);
                return;
        }
        for (size_t i = m->state->n_stopped; i > 0; i--) {
                char unit[UNIT_NAME_SIZE];

                memcpy(unit, m->state->stopped[i - 1], sizeof(unit));
                if (start_unit(bus, unit))
                        state_remove_stopped(m->state, unit);
        }
        sd_bus_flush_close_unref(bus);
}
