/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "reload.h"

#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "../lib/observe.h"
#include "competitors.h"
#include "log.h"
#include "messages.h"
#include "takeover.h"

void reload_log_errors(const char *message_id, const char *errors) {
        for (const char *line = errors; *line;) {
                size_t n = strcspn(line, "\n");

                if (n > 0)
                        log_struct(LOG_ERR, message_id, NULL, 0, "%.*s", (int)n, line);
                line += n + (line[n] == '\n');
        }
}

static void notify_reloading(void) {
        struct timespec ts = { 0 };

        (void)clock_gettime(CLOCK_MONOTONIC, &ts);
        (void)sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%llu",
                         (unsigned long long)ts.tv_sec * USEC_PER_SEC + (unsigned long long)ts.tv_nsec / NSEC_PER_USEC);
}

static void forget_slot(GuestSlot *slot) {
        memset(slot->skips, 0, sizeof(slot->skips));
        manager_forget_failures(slot);
}

static void forget_guest_verdicts(GuestMemo *memo) {
        memo->balloon_taken = false;
        memo->memtune_taken = 0;
}

/* What the old policy had remembered and the new one must learn afresh. */
static void forget_verdicts(Manager *m) {
        state_forget_thresholds(m->state, m->config->n_thresholds);
        m->state->ksm_taken = m->state->kernel_taken = false;
        m->state->thp_taken = 0;
        for (size_t i = 0; i < m->state->n_pools; i++)
                m->state->pools[i].taken = false;
        for (size_t i = 0; i < m->state->n_guests; i++)
                forget_guest_verdicts(&m->state->guests[i]);
        forget_slot(&m->host_slot);
        for (size_t i = 0; i < m->n_slots; i++)
                forget_slot(&m->slots[i]);
}

/* A rule of the same name that was active is not news when it still is. */
static void carry_rules(Manager *m, const Config *config) {
        bool *active = calloc(config->n_rules + 1, sizeof(*active));

        for (size_t i = 0; active && m->rules_active && i < config->n_rules; i++)
                for (size_t j = 0; j < m->config->n_rules; j++)
                        if (m->rules_active[j] && streq(config->rules[i].name, m->config->rules[j].name))
                                active[i] = true;
        free(m->rules_active);
        m->rules_active = active;
}

static void swap_config(Manager *m, Config *config) {
        const char *old_uri = m->config->base.values[KEY_DAEMON_URI].text;

        if (!m->options.uri && !streq_ptr(old_uri, config->base.values[KEY_DAEMON_URI].text))
                log_message(LOG_WARNING, "daemon.uri has changed: restart the service to connect to the new one");
        carry_rules(m, config);
        manager_forget_notes(m);
        config_free(m->config);
        m->config = config;
        forget_verdicts(m);
        (void)sd_event_source_set_time(m->cycle_timer,
                                       manager_now(m) + setting(&config->base, KEY_DAEMON_INTERVAL));
}

int manager_reload(Manager *m, char **ret_errors) {
        _cleanup_free_ char *error = NULL;
        Config *config = NULL;
        int r;

        if (m->options.mode != RUN_DAEMON || m->stopping || !m->options.config_path)
                return -EBUSY;
        notify_reloading();
        r = config_load(m->options.config_path, &config, &error);
        if (r < 0) {
                log_struct(LOG_ERR, MESSAGE_RELOAD_FAILED, NULL, 0,
                           "%s was not loaded; the settings in force stay as they are", m->options.config_path);
                reload_log_errors(MESSAGE_RELOAD_FAILED, error ? error : strerror(-r));
        } else {
                swap_config(m, config);
                log_struct(LOG_INFO, MESSAGE_RELOADED, NULL, 0, "Loaded %s: %zu guests entries, %zu rules",
                           m->options.config_path, config->n_guests, config->n_rules);
                competitors_log(m->root_fd, m->config, &m->snapshot->host.facts);
                takeover_forget(m->takeover);
                takeover_look(m->takeover);
                manager_start_cycle(m, "reload");
        }
        (void)sd_notify(false, "READY=1");
        if (ret_errors)
                *ret_errors = TAKE_PTR(error);
        return r;
}
