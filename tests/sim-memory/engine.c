/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The real decision, and what the daemon does around it (daemon/manager_cycle.c,
 * daemon/effects.c): a cycle each daemon.interval, one at once when memory
 * pressure wakes it and when statistics were wanting; statistics only of the
 * guests that the decision before asked for; ownership on record first, nothing
 * twice at once, no shrinking soon after a failure. A change may fail, come
 * late, or end in a time-out of which nobody knows whether it was done.
 */

#include "memsim.h"

#include "../../lib/parse.h"
#include "../sim/record.h"

/* As in daemon/effects.c and daemon/manager_cycle.c. */
#define RETRY_USEC (30 * USEC_PER_SEC)
#define RETRY_DOUBLINGS 6U
#define FRESH_STATS_PAUSE_USEC USEC_PER_MINUTE
/* daemon/manager.c: 150 ms of waiting in 2 s; here of swap traffic, see host.c. */
#define PRESSURE_PERMYRIAD 750.0

void mem_configure(MemSim *s, const char *text) {
        _cleanup_free_ char *error = NULL;

        if (config_load_text("sim", text, &s->engine.config, &error) < 0) {
                (void)fprintf(stderr, "%s\n%s", text, error ? error : "no memory\n");
                abort();
        }
        s->engine.interval_usec = setting(&s->engine.config->base, KEY_DAEMON_INTERVAL);
        s->tuned = true;
}

static MemRetry *retry_of(MemSim *s, const Action *a) {
        const MemGuest *g = a->uuid[0] ? mem_find_guest(s, a->uuid) : NULL;
        size_t i = g ? (size_t)(g - s->guests) : s->n_guests;

        return &s->engine.retries[i * _ACTION_KIND_MAX + (size_t)a->kind];
}

static bool is_pending(const MemEngine *e, const Action *a) {
        for (size_t i = 0; i < e->n_pending; i++) {
                const Action *p = &e->pending[i].action;

                if (p->kind == a->kind && p->index == a->index && streq(p->uuid, a->uuid))
                        return true;
        }
        return false;
}

static uint64_t number(const char *text) {
        uint64_t n;

        if (parse_u64(text, &n) < 0)
                abort();
        return n;
}

static void set_merging(MemMerge *m, unsigned knob, uint64_t value) {
        if (knob == KSM_KNOB_RUN)
                m->run = value;
        else if (knob == KSM_KNOB_PAGES_TO_SCAN)
                m->pages_to_scan = value;
        else if (knob == KSM_KNOB_SLEEP_MILLISECS)
                m->sleep_millisecs = value;
}

static void set_balloon(MemSim *s, MemGuest *g, uint64_t bytes) {
        g->asked_usec = mem_now(s);
        if (bytes > g->balloon)
                g->asked_up_usec = mem_now(s);
        g->target_is_users = false;
        /* After a reboot nobody could know; from now on it is kvmtuned's again. */
        if (g->reboot_until_usec >= g->users_usec)
                g->users_usec = 0;
        g->requests++;
        s->metrics.requests++;
        mem_settle_request(s, g, bytes);
        mem_balloon_set(s, g, bytes);
}

static void carry_out(MemSim *s, const Action *a) {
        MemGuest *g = a->uuid[0] ? mem_find_guest(s, a->uuid) : NULL;

        if (a->uuid[0] && !g)
                return;
        if (a->kind == ACTION_SET_BALLOON)
                set_balloon(s, g, number(a->new_value));
        else if (a->kind == ACTION_SET_STATS_PERIOD)
                g->seen->stats_period_sec = number(a->new_value);
        else if (a->kind == ACTION_SET_KSM)
                set_merging(&s->merge, a->index, number(a->new_value));
}

static void succeed(MemSim *s, const Action *a) {
        MemRetry *retry = retry_of(s, a);

        carry_out(s, a);
        if (retry->until_usec <= mem_now(s))
                retry->failures = 0;
        (void)sim_record_done(s->engine.state, a);
}

static void fail(MemSim *s, const Action *a, bool recorded) {
        MemRetry *retry = retry_of(s, a);

        mem_story(s, "  %s %s fails", action_kind_to_string(a->kind), a->guest ? a->guest : "host");
        if (recorded)
                sim_record_failed(s->engine.state, a);
        if (retry->until_usec > mem_now(s))
                return;
        retry->until_usec = mem_now(s) + (RETRY_USEC << MIN(retry->failures, RETRY_DOUBLINGS));
        retry->failures++;
}

static void delay(MemSim *s, const Action *a, bool recorded) {
        MemEngine *e = &s->engine;
        MemPending *p;

        if (GROW_ARRAY(e->pending, e->pending_capacity, e->n_pending) < 0)
                abort();
        p = &e->pending[e->n_pending++];
        p->due_usec = mem_now(s) + (1 + sim_pick(&s->random, 8)) * STEP_USEC;
        p->recorded = recorded;
        if (action_copy(a, &p->action) < 0)
                abort();
}

/* Returns whether it is certain that it was done, and at once. */
static bool execute(MemSim *s, const Action *a, bool recorded) {
        MemEngine *e = &s->engine;

        /* The kernel answers at once. */
        if (!a->uuid[0] || mem_now(s) >= s->calm_usec) {
                succeed(s, a);
                return true;
        }
        if (sim_one_in(&s->random, e->fail_one_in)) {
                fail(s, a, recorded);
                return false;
        }
        if (sim_one_in(&s->random, e->lost_one_in)) {
                mem_story(s, "  %s %s times out", action_kind_to_string(a->kind), a->guest);
                if (sim_one_in(&s->random, 2))
                        carry_out(s, a);
                return false;
        }
        if (sim_one_in(&s->random, e->delay_one_in)) {
                delay(s, a, recorded);
                return false;
        }
        succeed(s, a);
        return true;
}

static bool may_do(MemSim *s, const Action *a) {
        bool grows = a->kind == ACTION_SET_BALLOON && number(a->new_value) > number(a->old_value);

        return !is_pending(&s->engine, a) && (grows || retry_of(s, a)->until_usec <= mem_now(s));
}

static void tell(const MemSim *s, const Plan *plan) {
        if (!s->verbose)
                return;
        for (size_t i = 0; i < s->n_guests; i++)
                if (s->guests[i].running && (s->guests[i].read_short || s->guests[i].read_busy))
                        mem_story(s, "%s has said %llu s ago that it is in distress%s", s->guests[i].name,
                                  (unsigned long long)((mem_now(s) - s->guests[i].read_usec) / USEC_PER_SEC),
                                  s->guests[i].read_busy ? ", and swaps or faults" : "");
        if (plan->n_actions + plan->n_skips == 0)
                return;
        mem_story(s, "host has %llu MiB available of %llu", (unsigned long long)(mem_host_available(s) / MIB),
                  (unsigned long long)(s->host.total / MIB));
        for (size_t i = 0; i < plan->n_actions; i++) {
                const Action *a = &plan->actions[i];

                mem_story(s, "  %s %s: %s -> %s: %s", action_kind_to_string(a->kind), a->guest ? a->guest : "host",
                          a->old_value, a->new_value, a->reason);
        }
        for (size_t i = 0; i < plan->n_skips; i++)
                mem_story(s, "  not %s %s: %s: %s", action_kind_to_string(plan->skips[i].kind),
                          plan->skips[i].guest ? plan->skips[i].guest : "host",
                          skip_reason_to_string(plan->skips[i].why), plan->skips[i].detail);
}

/* Returns whether all of it was done, so that a second decision has nothing left to do. */
static bool apply(MemSim *s, const Plan *plan) {
        bool *chosen = sim_alloc(plan->n_actions, sizeof(*chosen));
        bool *recorded = sim_alloc(plan->n_actions, sizeof(*recorded)), all = true;

        for (size_t i = 0; i < plan->n_actions; i++) {
                chosen[i] = may_do(s, &plan->actions[i]);
                recorded[i] = chosen[i] && sim_record_own(s->engine.state, &plan->actions[i]);
                all = all && chosen[i];
        }
        for (size_t i = 0; i < plan->n_actions; i++)
                if (chosen[i] && !execute(s, &plan->actions[i], recorded[i]))
                        all = false;
        free(chosen);
        free(recorded);
        return all;
}

static void keep_wanted(MemEngine *e, const Plan *plan) {
        free(e->wanted);
        e->n_wanted = plan->n_wanted_stats;
        e->wanted = sim_alloc(e->n_wanted, sizeof(*e->wanted));
        memcpy(e->wanted, plan->wanted_stats, e->n_wanted * sizeof(*e->wanted));
}

static bool wants_fresh_stats(MemSim *s, const Plan *plan) {
        MemEngine *e = &s->engine;
        bool stale = !e->had_stats;

        for (size_t i = 0; !stale && i < plan->n_skips; i++)
                stale = plan->skips[i].kind == ACTION_SET_BALLOON && plan->skips[i].why == SKIP_STALE_STATS;
        if (!stale || e->n_wanted == 0 || (e->had_stats && mem_now(s) < e->fresh_usec))
                return false;
        e->had_stats = true;
        e->fresh_usec = mem_now(s) + FRESH_STATS_PAUSE_USEC;
        return true;
}

static void decide(MemSim *s, const char *only_uuid) {
        PolicyInput in = { .config = s->engine.config, .snapshot = s->snapshot, .only_uuid = only_uuid };
        _cleanup_(plan_freep) Plan *plan = NULL;

        if (policy_decide(&in, s->engine.state, &plan) < 0)
                abort();
        s->metrics.decisions++;
        tell(s, plan);
        mem_check_plan(s, plan, !only_uuid);
        if (s->violation)
                return;
        if (apply(s, plan) && !only_uuid && s->metrics.decisions % 4 == 0)
                mem_check_quiet(s, plan);
        if (only_uuid)
                return;
        keep_wanted(&s->engine, plan);
        s->engine.look_again = wants_fresh_stats(s, plan);
}

static void finish_due(MemSim *s, uint64_t until_usec) {
        MemEngine *e = &s->engine;
        size_t kept = 0;

        for (size_t i = 0; i < e->n_pending; i++) {
                if (e->pending[i].due_usec > until_usec) {
                        e->pending[kept++] = e->pending[i];
                        continue;
                }
                succeed(s, &e->pending[i].action);
                action_done(&e->pending[i].action);
        }
        e->n_pending = kept;
}

void mem_engine_finish_pending(MemSim *s) {
        finish_due(s, UINT64_MAX);
}

static void observe(MemSim *s) {
        MemEngine *e = &s->engine;

        s->snapshot->interval_usec = e->looked_usec > 0 ? mem_now(s) - e->looked_usec : 0;
        e->looked_usec = mem_now(s);
        mem_observe(s);
}

void mem_engine_step(MemSim *s) {
        MemEngine *e = &s->engine;
        bool pressure = (double)s->host.step_swapped * PERMYRIAD_FULL / (100.0 * MIB * STEP_SEC) >= PRESSURE_PERMYRIAD;

        finish_due(s, mem_now(s));
        if (mem_now(s) < e->next_usec && !e->look_again && !pressure)
                return;
        if (mem_now(s) >= e->next_usec)
                e->next_usec = mem_now(s) + e->interval_usec;
        observe(s);
        decide(s, NULL);
}

void mem_engine_started(MemSim *s, const MemGuest *g) {
        g->seen->starting = true;
        decide(s, g->uuid);
}

void mem_engine_begin(MemSim *s) {
        PolicyContext c = { .snapshot = s->snapshot };

        config_resolve_host(s->engine.config, (ActiveRules){ 0 }, &c.host);
        s->snapshot->host.memory.total_bytes = s->host.total;
        s->engine.reserve_bytes = policy_host_reserve(&c);
        s->engine.retries = sim_alloc((s->n_guests + 1) * _ACTION_KIND_MAX, sizeof(*s->engine.retries));
        s->engine.next_usec = s->begin_usec + s->engine.interval_usec;
        if (state_new(&s->engine.state) < 0)
                abort();
}

static void drop_pending(MemEngine *e) {
        while (e->n_pending > 0)
                action_done(&e->pending[--e->n_pending].action);
}

/* What was under way may have been done, the state is what is on disk. */
void mem_engine_restart(MemSim *s) {
        _cleanup_free_ char *text = NULL, *error = NULL;
        MemEngine *e = &s->engine;
        State *read = NULL;

        if (sim_one_in(&s->random, 2))
                mem_engine_finish_pending(s);
        drop_pending(e);
        memset(e->retries, 0, (s->n_guests + 1) * _ACTION_KIND_MAX * sizeof(*e->retries));
        if (state_format(e->state, &text) < 0)
                abort();
        if (state_parse(text, &read, &error) < 0)
                return mem_violation(s, "the state does not read back: %s", error ? error : "?");
        state_free(e->state);
        e->state = read;
        e->n_wanted = 0;
        e->had_stats = false;
        e->looked_usec = 0;
        for (size_t i = 0; i < s->n_guests; i++)
                s->guests[i].reads = 0;
        mem_story(s, "kvmtuned is killed and starts again");
}

void mem_engine_stop(MemSim *s) {
        _cleanup_(plan_freep) Plan *plan = NULL;

        s->settle_usec = 0;
        mem_engine_finish_pending(s);
        observe(s);
        if (policy_restore(s->snapshot, s->engine.state, &plan) < 0)
                abort();
        tell(s, plan);
        for (size_t i = 0; i < plan->n_actions; i++)
                succeed(s, &plan->actions[i]);
}

void mem_engine_done(MemSim *s) {
        drop_pending(&s->engine);
        free(s->engine.pending);
        free(s->engine.retries);
        free(s->engine.wanted);
        state_free(s->engine.state);
        config_free(s->engine.config);
}
