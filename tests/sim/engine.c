/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The tuner kvmtuned: the real decision, and what the daemon does with a plan
 * (daemon/effects.c): ownership first, nothing twice at once, nothing soon
 * after a failure, a value equal to the original is given back and disowned.
 * A pin may fail, take until the next interval, or end in a time-out of which
 * nobody knows whether it was done.
 */

#include "sim.h"

#include "record.h"

/* As in daemon/effects.c. */
#define RETRY_USEC (30 * USEC_PER_SEC)
#define RETRY_DOUBLINGS 6U

static SimGuest *find_guest(Sim *s, const char *uuid) {
        for (size_t i = 0; i < s->n_guests; i++)
                if (s->guests[i].running && streq(s->guests[i].uuid, uuid))
                        return &s->guests[i];
        return NULL;
}

static size_t find_thread(const SimGuest *g, const Action *a) {
        for (size_t i = 0; i < g->n_threads; i++)
                if (g->threads[i].kind == a->kind && g->threads[i].index == a->index)
                        return i;
        return SIZE_MAX;
}

static bool is_pin(ActionKind kind) {
        return kind == ACTION_PIN_VCPU || kind == ACTION_PIN_EMULATOR || kind == ACTION_PIN_IOTHREAD;
}

static SimRetry *retry_of(Sim *s, const SimGuest *g, ActionKind kind) {
        return &s->engine.retries[(size_t)(g - s->guests) * _ACTION_KIND_MAX + (size_t)kind];
}

static bool is_pending(const SimEngine *e, const Action *a) {
        for (size_t i = 0; i < e->n_pending; i++) {
                const Action *p = &e->pending[i].action;

                if (p->kind == a->kind && p->index == a->index && streq(p->uuid, a->uuid))
                        return true;
        }
        return false;
}

static GuestThread *seen_thread(SimGuest *g, size_t i) {
        if (i < g->n_vcpus)
                return &g->seen->vcpus[i];
        return i == g->n_vcpus ? &g->seen->emulator : &g->seen->iothreads[i - g->n_vcpus - 1];
}

/* It is done: in the kernel, and in what is known of it. */
static void carry_out(Sim *s, SimGuest *g, const Action *a) {
        const Owned *owned = state_find_owned(s->engine.state, a->kind, a->uuid, a->index);
        IdSet set;

        if (idset_parse(a->new_value, &set) < 0)
                return sim_violation(s, "%s: not a list: %s", g->name, a->new_value);
        if (a->kind == ACTION_SET_NODESET)
                g->seen->numatune_nodes = g->numatune_nodes = set;
        if (is_pin(a->kind)) {
                size_t i = find_thread(g, a);
                GuestThread *t = seen_thread(g, i);

                sim_set_mask(s, &g->threads[i], &set);
                if (owned && streq(owned->original, a->new_value))
                        check_given_back(s, g, &g->threads[i]);
                t->pinned = true;
                t->pin = set;
                t->affinity = g->threads[i].allowed;
                s->metrics.pins++;
        }
        /* What it may use now is not what it was counted with. */
        if (sim_record_done(s->engine.state, a))
                s->engine.exact = false;
}

static void fail(Sim *s, SimGuest *g, const Action *a, bool recorded) {
        SimRetry *retry = retry_of(s, g, a->kind);

        s->engine.exact = false;
        sim_story(s, "  %s %s %u fails", action_kind_to_string(a->kind), g->name, a->index);
        if (recorded)
                sim_record_failed(s->engine.state, a);
        if (retry->until_usec > s->snapshot->now_usec)
                return;
        retry->until_usec = s->snapshot->now_usec + (RETRY_USEC << MIN(retry->failures, RETRY_DOUBLINGS));
        retry->failures++;
}

static void delay(Sim *s, const Action *a) {
        SimEngine *e = &s->engine;

        if (GROW_ARRAY(e->pending, e->pending_capacity, e->n_pending) < 0 ||
            action_copy(a, &e->pending[e->n_pending].action) < 0)
                abort();
        e->pending[e->n_pending++].due_usec = s->snapshot->now_usec + s->step_usec;
        e->exact = false;
}

static void start_move(Sim *s, SimGuest *g, const Action *a) {
        IdSet targets;

        if (idset_parse(a->new_value, &targets) < 0)
                return sim_violation(s, "%s: not a list: %s", g->name, a->new_value);
        sim_mover_start(s, (size_t)(g - s->guests), &targets, (double)s->engine.move_rate);
}

static void execute(Sim *s, SimGuest *g, const Action *a, bool recorded) {
        SimEngine *e = &s->engine;
        bool calm = s->snapshot->now_usec >= s->calm_usec;

        if (!calm && sim_one_in(&s->random, e->fail_one_in)) {
                fail(s, g, a, recorded);
        } else if (!calm && is_pin(a->kind) && sim_one_in(&s->random, e->lost_one_in)) {
                e->exact = false;
                sim_story(s, "  pin of %s times out", g->name);
                if (sim_one_in(&s->random, 2))
                        carry_out(s, g, a);
        } else if (is_pin(a->kind) && sim_one_in(&s->random, e->delay_one_in)) {
                delay(s, a);
        } else if (a->kind == ACTION_MOVE_MEMORY) {
                start_move(s, g, a);
        } else {
                carry_out(s, g, a);
        }
}

static bool may_do(Sim *s, const SimGuest *g, const Action *a) {
        return !is_pending(&s->engine, a) && retry_of(s, g, a->kind)->until_usec <= s->snapshot->now_usec;
}

static void tell(const Sim *s, const Plan *plan) {
        for (size_t i = 0; s->verbose && i < plan->n_actions; i++) {
                const Action *a = &plan->actions[i];

                sim_story(s, "  %s %s %u: %s -> %s: %s", action_kind_to_string(a->kind), a->guest ? a->guest : "host",
                          a->index, a->old_value, a->new_value, a->reason);
        }
}

static void apply(Sim *s, const Plan *plan) {
        bool *chosen = sim_alloc(plan->n_actions, sizeof(*chosen));
        bool *recorded = sim_alloc(plan->n_actions, sizeof(*recorded));

        s->engine.exact = true;
        for (size_t i = 0; i < plan->n_actions; i++) {
                const SimGuest *g = find_guest(s, plan->actions[i].uuid);

                chosen[i] = g && may_do(s, g, &plan->actions[i]);
                s->engine.exact = s->engine.exact && chosen[i];
                recorded[i] = chosen[i] && sim_record_own(s->engine.state, &plan->actions[i]);
        }
        for (size_t i = 0; i < plan->n_actions && !s->violation; i++)
                if (chosen[i])
                        execute(s, find_guest(s, plan->actions[i].uuid), &plan->actions[i], recorded[i]);
        free(chosen);
        free(recorded);
}

static IdSet usable_cpus(const Sim *s) {
        const Topology *t = s->snapshot->topology;
        IdSet usable = idset_minus(&t->online, &t->isolated), reserved = IDSET_EMPTY;
        Settings host;

        config_resolve_host(s->engine.config, (ActiveRules){ 0 }, &host);
        if (host.values[KEY_HOST_RESERVED_CPUS].text)
                (void)idset_parse(host.values[KEY_HOST_RESERVED_CPUS].text, &reserved);
        return idset_minus(&usable, &reserved);
}

static void note_places(Sim *s) {
        for (size_t i = 0; i < s->n_guests && !s->violation; i++) {
                const GuestMemo *m;

                if (!s->guests[i].running)
                        continue;
                m = state_find_guest(s->engine.state, s->guests[i].uuid);
                if (m)
                        check_place(s, &s->guests[i], memo_nodes(m));
        }
}

void engine_move_ended(Sim *s, const SimGuest *g, uint64_t failed_bytes, int result) {
        policy_move_ended(s->engine.state, g->uuid, s->snapshot->now_usec, failed_bytes, result);
}

static void give_up_move(Sim *s, const Plan *plan) {
        const SimGuest *g = &s->guests[s->mover.guest];

        if (!plan->cancel_move || !s->mover.busy)
                return;
        sim_story(s, "  the move of %s is given up: %s", g->name, plan->cancel_move);
        s->mover = (SimMover){ 0 };
        engine_move_ended(s, g, 0, -ECANCELED);
}

static unsigned users_guests(const Sim *s) {
        unsigned n = 0;

        for (size_t i = 0; i < s->engine.state->n_guests; i++)
                n += s->engine.state->guests[i].user_pinned;
        return n;
}

static void decide(Sim *s, const char *only_uuid) {
        PolicyInput in = { .config = s->engine.config, .snapshot = s->snapshot, .only_uuid = only_uuid,
                           .mover_busy = s->mover.busy,
                           .moving_uuid = s->mover.busy ? s->guests[s->mover.guest].uuid : NULL };
        _cleanup_(plan_freep) Plan *plan = NULL;
        IdSet usable = usable_cpus(s);
        unsigned relocations = s->metrics.relocations, users = users_guests(s);

        if (policy_decide(&in, s->engine.state, &plan) < 0)
                abort();
        tell(s, plan);
        check_plan(s, plan, &usable);
        if (s->violation)
                return;
        if (plan->n_actions > 0)
                s->engine.last_action_cycle = s->cycle;
        give_up_move(s, plan);
        apply(s, plan);
        note_places(s);
        if (!s->violation && !only_uuid)
                check_ownership(s);
        /*
         * Not the same snapshot any more: the measured loads are those from before a guest changed its nodes, or a
         * guest was found to be the user's and leaves its nodes to others.
         */
        if (!s->violation && s->engine.exact && !only_uuid && s->metrics.relocations == relocations &&
            users_guests(s) == users &&
            (plan->n_actions > 0 || s->cycle % 8 == 0))
                check_quiet(s, plan);
}

void engine_begin(Sim *s) {
        s->engine.retries = sim_alloc(s->n_guests * _ACTION_KIND_MAX, sizeof(*s->engine.retries));
        if (state_new(&s->engine.state) < 0)
                abort();
}

void engine_started(Sim *s, SimGuest *g) {
        decide(s, g->uuid);
}

static void drop_pending(SimEngine *e) {
        while (e->n_pending > 0)
                action_done(&e->pending[--e->n_pending].action);
}

void engine_finish_pending(Sim *s) {
        SimEngine *e = &s->engine;

        for (size_t i = 0; i < e->n_pending; i++) {
                SimGuest *g = find_guest(s, e->pending[i].action.uuid);

                if (g)
                        carry_out(s, g, &e->pending[i].action);
        }
        drop_pending(e);
}

void engine_cycle(Sim *s) {
        engine_finish_pending(s);
        sim_observe(s);
        decide(s, NULL);
}

/* What was under way may have been done, the state is what is on disk, and the mover is gone. */
void engine_restart(Sim *s) {
        _cleanup_free_ char *text = NULL, *error = NULL;
        SimEngine *e = &s->engine;
        State *read = NULL;

        if (sim_one_in(&s->random, 2))
                engine_finish_pending(s);
        drop_pending(e);
        memset(e->retries, 0, s->n_guests * _ACTION_KIND_MAX * sizeof(*e->retries));
        s->mover = (SimMover){ 0 };
        if (state_format(e->state, &text) < 0)
                abort();
        if (state_parse(text, &read, &error) < 0)
                return sim_violation(s, "the state does not read back: %s", error ? error : "?");
        state_free(e->state);
        e->state = read;
        sim_story(s, "kvmtuned is killed and starts again");
}

void engine_stop(Sim *s) {
        _cleanup_(plan_freep) Plan *plan = NULL;

        engine_finish_pending(s);
        sim_observe(s);
        if (policy_restore(s->snapshot, s->engine.state, &plan) < 0)
                abort();
        s->engine.fail_one_in = s->engine.delay_one_in = s->engine.lost_one_in = 0;
        memset(s->engine.retries, 0, s->n_guests * _ACTION_KIND_MAX * sizeof(*s->engine.retries));
        for (size_t i = 0; i < plan->n_actions; i++) {
                SimGuest *g = find_guest(s, plan->actions[i].uuid);

                if (g)
                        carry_out(s, g, &plan->actions[i]);
        }
}

void engine_done(Sim *s) {
        drop_pending(&s->engine);
        free(s->engine.pending);
        free(s->engine.retries);
        state_free(s->engine.state);
        config_free(s->engine.config);
}
