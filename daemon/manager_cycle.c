/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <time.h>

#include "../lib/rules.h"
#include "bus.h"
#include "competitors.h"
#include "footprint.h"
#include "log.h"
#include "manager.h"
#include "messages.h"
#include "metrics.h"
#include "takeover.h"

/* Statistics that did not come in this time are not waited for. */
#define STATS_DEADLINE_USEC (2 * USEC_PER_SEC)
#define FRESH_STATS_PAUSE_USEC (1 * USEC_PER_MINUTE)
/* Cookie of statistics requests; actions count up from 1 and never reach it. */
#define STATS_COOKIE UINT64_MAX
/*
 * What is dear (numa_maps walks page tables) or changes seldom is read of each
 * guest in one cycle of this many: memory per node, and what its cgroups say.
 */
#define GUEST_ROTATION 6U
/* How the host is set up is looked at again after so many cycles. */
#define FACTS_CYCLES 60U
/* Who else is at work, where that matters for the decision. */
#define MANAGERS_CYCLES 6U
/* By then everything ran once. */
#define FOOTPRINT_CYCLE 3U
/* Of one policy. */
#define NOTES_SAID_MAX 100U

static void read_local_time(LocalTime *ret) {
        time_t now = time(NULL);
        struct tm tm;

        /* localtime_r() alone would stay with the time zone of the start. */
        tzset();
        if (!localtime_r(&now, &tm))
                return;
        *ret = (LocalTime){
                .year = tm.tm_year + 1900,
                .month = tm.tm_mon + 1,
                .day = tm.tm_mday,
                .hour = tm.tm_hour,
                .minute = tm.tm_min,
                .second = tm.tm_sec,
                .weekday = (tm.tm_wday + 6) % 7,
        };
}

static void note_observation(Manager *m, int r, const char *area) {
        LogField fields[] = { { "KVMTUNED_AREA", area } };

        if (r < 0 && !m->observation_failed)
                log_struct(LOG_ERR, MESSAGE_OBSERVATION_FAILED, fields, ELEMENTSOF(fields),
                           "Failed to observe the host's %s: %s; deciding from what was seen before",
                           area ? area : "state", strerror(-r));
        if (r >= 0 && m->observation_failed)
                log_message(LOG_NOTICE, "The host can be observed again");
        m->observation_failed = r < 0;
}

/*
 * What no event tells: every end of a migration, vCPUs that somebody else plugs, or that a guest lets go of late, and
 * memory limits that somebody else sets (looked at in turn: nothing waits for them). Asking costs one call, which
 * libvirt answers from its memory, while it matters.
 */
static void ask_for_silent(Manager *m) {
        for (size_t i = 0; m->listed && i < m->snapshot->n_guests; i++) {
                const Guest *g = m->snapshot->guests[i];
                const GuestMemo *memo = state_find_guest(m->state, g->uuid);

                if (g->migrating || (memo && memo->vcpus_watched) ||
                    (memo && memo->memtune_watched && (i + m->cycle) % GUEST_ROTATION == 0))
                        (void)virt_refresh(m->virt, g->uuid);
        }
}

/* What a move did to its memory is measured in each cycle until it is known. */
static bool is_verified(const Manager *m, const Guest *g) {
        const GuestMemo *memo = state_find_guest(m->state, g->uuid);

        return !memo || memo->move_cause == MOVE_NONE;
}

static void observe_guests(Manager *m, uint64_t now) {
        bool everything = m->options.mode == RUN_RECORD;

        for (size_t i = 0; i < m->snapshot->n_guests; i++) {
                Guest *g = m->snapshot->guests[i];
                GuestSlot *slot = manager_slot(m, g->uuid);

                /* Statistics that were not asked for again grow old. */
                if (slot && g->stats.age_usec != UNKNOWN_U64)
                        g->stats.age_usec = u64_sub(now, slot->reported_usec);
                if (slot)
                        manager_slot_observe(m, slot, g, now,
                                             everything || !is_verified(m, g) ||
                                                     (i + m->cycle) % GUEST_ROTATION == 0);
        }
}

/* At the start of the daemon they were looked for. */
static bool managers_are_due(const Manager *m) {
        if (m->cycle <= 1)
                return !*m->snapshot->host.facts.managers;
        return m->cycle % (competitors_matter(m->config) ? MANAGERS_CYCLES : FACTS_CYCLES) == 0;
}

void manager_observe(Manager *m) {
        Snapshot *s = m->snapshot;
        uint64_t now = manager_now(m);
        const char *area = NULL;
        int r;

        s->interval_usec = m->last_usec ? now - m->last_usec : 0;
        s->now_usec = m->last_usec = now;
        read_local_time(&s->local_time);
        if (m->cycle <= 1 || m->cycle % FACTS_CYCLES == 0)
                host_facts_observe(m->root_fd, &s->host.facts);
        if (managers_are_due(m))
                host_managers_observe(m->root_fd, &s->host.facts, NULL, NULL);
        if (m->takeover && m->cycle % MANAGERS_CYCLES == 0)
                takeover_look(m->takeover);
        r = host_observe(m->host, now, &s->host, &area);
        note_observation(m, r, area);
        if (r >= 0)
                manager_follow_hotplug(m);
        observe_guests(m, now);
}

int manager_on_stats_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        Manager *m = userdata;

        (void)s;
        (void)usec;
        if (m->stats_waiting)
                manager_cycle(m, NULL);
        return 0;
}

static bool request_stats(Manager *m) {
        if (!m->listed || m->n_wanted == 0 || m->paused)
                return false;
        if (virt_request_stats(m->virt, (const char(*)[UUID_TEXT_SIZE])m->wanted, m->n_wanted, STATS_COOKIE) < 0)
                return false;
        if (sd_event_source_set_time(m->stats_timer, manager_now(m) + STATS_DEADLINE_USEC) < 0 ||
            sd_event_source_set_enabled(m->stats_timer, SD_EVENT_ONESHOT) < 0)
                return false;
        return true;
}

void manager_start_cycle(Manager *m, const char *why) {
        if (m->stopping || m->stats_waiting)
                return;
        log_message(LOG_DEBUG, "Cycle %llu: %s", (unsigned long long)m->cycle + 1, why);
        m->stats_waiting = request_stats(m);
        if (!m->stats_waiting)
                manager_cycle(m, NULL);
}

/* The next moment at which time alone changes what holds. */
int manager_arm_timers(Manager *m) {
        uint64_t now = manager_now(m), usec;
        unsigned edge;

        usec = rules_next_dwell_usec(m->config, m->state, m->snapshot->now_usec);
        edge = rules_next_edge_sec(m->config, &m->snapshot->local_time);
        if (edge > 0)
                usec = MIN(usec, edge * USEC_PER_SEC);
        if (usec == UINT64_MAX)
                return sd_event_source_set_enabled(m->edge_timer, SD_EVENT_OFF);
        if (sd_event_source_set_time(m->edge_timer, u64_add(now, usec)) < 0)
                return -EINVAL;
        return sd_event_source_set_enabled(m->edge_timer, SD_EVENT_ONESHOT);
}

static void log_rule(const Rule *rule, bool active) {
        LogField fields[] = { { "KVMTUNED_RULE", rule->name } };

        log_struct(LOG_INFO, active ? MESSAGE_RULE_ACTIVE : MESSAGE_RULE_INACTIVE, fields, ELEMENTSOF(fields),
                   "Rule \"%s\" (%s:%u) is %s", rule->name, rule->file, rule->line,
                   active ? "now active" : "no longer active");
}

static void log_rules(Manager *m, const Plan *plan) {
        if (!m->rules_active) {
                m->rules_active = calloc(m->config->n_rules + 1, sizeof(*m->rules_active));
                if (!m->rules_active)
                        return;
        }
        for (size_t i = 0; i < MIN(m->config->n_rules, plan->n_rules); i++) {
                if (plan->active_rules[i] == m->rules_active[i])
                        continue;
                log_rule(&m->config->rules[i], plan->active_rules[i]);
                m->rules_active[i] = plan->active_rules[i];
        }
}

void manager_forget_notes(Manager *m) {
        for (size_t i = 0; i < m->n_notes_said; i++)
                free(m->notes_said[i]);
        free(m->notes_said);
        m->notes_said = NULL;
        m->n_notes_said = m->notes_said_capacity = 0;
}

static bool is_said(const Manager *m, const char *note) {
        for (size_t i = 0; i < m->n_notes_said; i++)
                if (streq(m->notes_said[i], note))
                        return true;
        return false;
}

/* Once, however often rules come and go. */
static void log_notes(Manager *m, const Plan *plan) {
        for (size_t i = 0; i < plan->n_notes; i++) {
                if (is_said(m, plan->notes[i]) || m->n_notes_said == NOTES_SAID_MAX ||
                    GROW_ARRAY(m->notes_said, m->notes_said_capacity, m->n_notes_said) < 0 ||
                    strdup_to(&m->notes_said[m->n_notes_said], plan->notes[i]) < 0)
                        continue;
                m->n_notes_said++;
                log_struct(LOG_WARNING, MESSAGE_LIMITS_CLASH, NULL, 0, "%s", plan->notes[i]);
        }
}

/* The list outlives its plan. Without memory for it the next decision does without. */
static void keep_wanted(Manager *m, const Plan *plan) {
        size_t size = plan->n_wanted_stats * sizeof(*plan->wanted_stats);

        free(m->wanted);
        m->n_wanted = 0;
        m->wanted = size > 0 ? malloc(size) : NULL;
        if (!m->wanted)
                return;
        memcpy(m->wanted, plan->wanted_stats, size);
        m->n_wanted = plan->n_wanted_stats;
}

/*
 * A decision that could not be made for want of statistics is made again as
 * soon as they are there: after a listing, and when a host that was at ease is
 * suddenly short. Not again soon: some guests never answer.
 */
static bool wants_fresh_stats(Manager *m, const Plan *plan) {
        uint64_t now = m->snapshot->now_usec;
        bool stale = !m->had_stats;

        for (size_t i = 0; !stale && i < plan->n_skips; i++)
                stale = plan->skips[i].kind == ACTION_SET_BALLOON && plan->skips[i].why == SKIP_STALE_STATS;
        if (!stale || !m->listed || m->n_wanted == 0 || (m->had_stats && now < m->fresh_stats_usec))
                return false;
        m->had_stats = true;
        m->fresh_stats_usec = now + FRESH_STATS_PAUSE_USEC;
        return true;
}

PolicyInput manager_policy_input(const Manager *m, const char *only_uuid) {
        return (PolicyInput){
                .snapshot = m->snapshot,
                .config = m->config,
                .only_uuid = only_uuid,
                .guests_incomplete = !m->listed || m->guests_unreadable,
                .mover_busy = mover_busy(m->mover),
                .moving_uuid = mover_uuid(m->mover),
        };
}

static uint64_t clock_usec(clockid_t clock) {
        struct timespec ts = { 0 };

        (void)clock_gettime(clock, &ts);
        return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / NSEC_PER_USEC;
}

/* Observes and decides; manager_cycle() measures it. */
static void run_cycle(Manager *m, const char *only_uuid) {
        _cleanup_(plan_freep) Plan *plan = NULL;
        PolicyInput input = manager_policy_input(m, only_uuid);
        int r;

        if (only_uuid) {
                m->snapshot->now_usec = manager_now(m);
                read_local_time(&m->snapshot->local_time);
        } else {
                m->stats_waiting = m->look_at_all = false;
                (void)sd_event_source_set_enabled(m->stats_timer, SD_EVENT_OFF);
                m->cycle++;
                ask_for_silent(m);
                manager_observe(m);
        }
        manager_take_reservations(m);
        if (manager_mode_cycle(m))
                return;
        if (m->paused) {
                manager_settled(m);
                return;
        }
        effects_note_open(m);
        r = policy_decide(&input, m->state, &plan);
        if (r < 0) {
                (void)log_error_errno(r, "Failed to decide; nothing is changed in this cycle");
                return;
        }
        log_rules(m, plan);
        log_notes(m, plan);
        m->look_at_all = m->look_at_all || plan->concerns_others;
        if (!only_uuid)
                keep_wanted(m, plan);
        effects_apply(m, plan, only_uuid);
        (void)manager_arm_timers(m);
        if (only_uuid)
                return;
        if (m->cycle == FOOTPRINT_CYCLE)
                footprint_release();
        if (wants_fresh_stats(m, plan))
                manager_start_cycle(m, "fresh statistics");
        else
                manager_settled(m);
}

void manager_cycle(Manager *m, const char *only_uuid) {
        uint64_t began = clock_usec(CLOCK_MONOTONIC);

        if (m->stopping)
                return;
        if (!only_uuid)
                m->cycle_realtime_usec = clock_usec(CLOCK_REALTIME);
        run_cycle(m, only_uuid);
        if (!only_uuid) {
                m->cycle_duration_usec = u64_sub(clock_usec(CLOCK_MONOTONIC), began);
                m->counters.cycles++;
                m->counters.cycles_usec += m->cycle_duration_usec;
                metrics_write(m);
        }
        bus_changed(m->bus);
}
