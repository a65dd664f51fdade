/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What must hold, whatever the host and the guests do:
 *
 *   - no empty CPU set, none with a CPU that is offline, isolated or reserved
 *     (a pin from before kvmtuned changed it may be given back as it was);
 *   - nothing is done to a guest or thread that is the user's;
 *   - memory moves one guest at a time, into nodes that have the room, and
 *     only where the guest allows it; not twice within the cool-down;
 *   - the plan is bounded by what there is to set;
 *   - what kvmtuned changed is on record, and the record names only what is there;
 *   - on the same snapshot a second decision has nothing to do when the first had not, and does nothing anew that
 *     was just done; except the next move of a guest or of its memory;
 *   - a guest does not return to nodes it left less than a cool-down ago, nor
 *     change its nodes twice within one, unless its nodes have become invalid;
 *   - with constant demand, actions end;
 *   - after a stop, masks are what they were.
 */

#include "sim.h"

void sim_violation(Sim *s, const char *format, ...) {
        char text[1024];
        va_list ap;

        if (s->violation)
                return;
        va_start(ap, format);
        (void)vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        if (strprintf_to(&s->violation, "cycle %u: %s", s->cycle, text) < 0)
                abort();
        sim_story(s, "VIOLATION %s", text);
}

static SimGuest *guest_of(Sim *s, const Action *a) {
        for (size_t i = 0; i < s->n_guests; i++)
                if (s->guests[i].running && streq(s->guests[i].uuid, a->uuid))
                        return &s->guests[i];
        sim_violation(s, "%s for a guest that is not there", action_kind_to_string(a->kind));
        return NULL;
}

/* Names say which policy a guest has: see scenario.c. */
static bool left_alone(const SimGuest *g) {
        return g->name[0] == 'n' && g->name[1] == '-';
}

/* A pin of the user's on exactly those CPUs of ours that are still online: nobody can tell. */
static bool looks_like_ours(const Sim *s, const Owned *owned, const SimThread *t) {
        IdSet ours;

        if (!owned || idset_parse(owned->ours, &ours) < 0)
                return false;
        ours = idset_and(&ours, &s->snapshot->topology->online);
        return idset_equal(&ours, &t->allowed);
}

static void check_pin(Sim *s, const SimGuest *g, const Action *a, const IdSet *usable) {
        const Owned *owned = state_find_owned(s->engine.state, a->kind, a->uuid, a->index);
        const SimThread *t = NULL;
        IdSet set;

        for (size_t i = 0; i < g->n_threads; i++)
                if (g->threads[i].kind == a->kind && g->threads[i].index == a->index)
                        t = &g->threads[i];
        if (!t)
                return sim_violation(s, "%s %u of %s: there is no such thread", action_kind_to_string(a->kind),
                                     a->index, g->name);
        if (t->users && !looks_like_ours(s, owned, t))
                return sim_violation(s, "%s %u of %s is the user's", action_kind_to_string(a->kind), a->index,
                                     g->name);
        if (idset_parse(a->new_value, &set) < 0 || idset_is_empty(&set))
                return sim_violation(s, "%s gets the CPU set \"%s\"", g->name, a->new_value);
        if (owned && streq(owned->original, a->new_value))
                return;
        if (left_alone(g))
                return sim_violation(s, "%s has policy none and gets %s", g->name, a->new_value);
        if (!idset_is_subset(&set, usable))
                return sim_violation(s, "%s gets %s, not all of them usable", g->name, a->new_value);
}

static void check_move(Sim *s, SimGuest *g, const Action *a) {
        uint64_t remote = 0, room = 0;
        IdSet to;

        if (idset_parse(a->new_value, &to) < 0 || idset_is_empty(&to))
                return sim_violation(s, "memory of %s to nodes \"%s\"", g->name, a->new_value);
        if (s->mover.busy)
                return sim_violation(s, "memory of %s moves while another move is under way", g->name);
        if (left_alone(g) || g->locked || g->paused || g->migrating || g->numatune == NUMATUNE_STRICT)
                return sim_violation(s, "memory of %s must not move", g->name);
        for (size_t i = 0; i < g->seen->n_node_memory; i++)
                if (!idset_contains(&to, g->seen->node_memory[i].node))
                        remote += g->seen->node_memory[i].bytes;
        for (size_t i = 0; i < s->machine->n_nodes; i++)
                if (idset_contains(&to, s->machine->nodes[i].id))
                        room += s->node_free[i];
        if (remote > room)
                return sim_violation(s, "%llu MiB of %s to nodes %s with %llu MiB free",
                                     (unsigned long long)(remote / MIB), g->name, a->new_value,
                                     (unsigned long long)(room / MIB));
        if (g->moved_usec > 0 && s->snapshot->now_usec - g->moved_usec < s->engine.cooldown_usec)
                return sim_violation(s, "memory of %s moves again after %llu s", g->name,
                                     (unsigned long long)((s->snapshot->now_usec - g->moved_usec) / USEC_PER_SEC));
        g->moved_usec = s->snapshot->now_usec;
}

static size_t most_actions(const Sim *s) {
        size_t n = 2;

        for (size_t i = 0; i < s->n_guests; i++)
                n += s->guests[i].running ? s->guests[i].n_threads : 0;
        return n;
}

static bool is_late(const Sim *s) {
        return s->quiet_cycles > 0 &&
               s->snapshot->now_usec > s->calm_usec + s->quiet_cycles * s->step_usec;
}

void check_plan(Sim *s, const Plan *plan, const IdSet *usable) {
        unsigned moves = 0;

        if (plan->n_actions > most_actions(s))
                return sim_violation(s, "%zu actions, more than there are knobs", plan->n_actions);
        if (plan->n_actions > 0 && is_late(s))
                return sim_violation(s, "still acting %u cycles after demand became constant: %s of %s: %s",
                                     (unsigned)((s->snapshot->now_usec - s->calm_usec) / s->step_usec),
                                     action_kind_to_string(plan->actions[0].kind), plan->actions[0].guest ?: "the host",
                                     plan->actions[0].reason);
        for (size_t i = 0; i < plan->n_actions && !s->violation; i++) {
                const Action *a = &plan->actions[i];
                SimGuest *g = guest_of(s, a);

                if (!g)
                        return;
                switch (a->kind) {
                case ACTION_PIN_VCPU:
                case ACTION_PIN_EMULATOR:
                case ACTION_PIN_IOTHREAD:
                        check_pin(s, g, a, usable);
                        break;
                case ACTION_MOVE_MEMORY:
                        if (++moves > 1)
                                sim_violation(s, "two memory moves at once");
                        check_move(s, g, a);
                        break;
                case ACTION_SET_NODESET:
                        if (g->numatune != NUMATUNE_RESTRICTIVE)
                                sim_violation(s, "nodeset of %s changed", g->name);
                        break;
                default:
                        sim_violation(s, "%s was not asked for", action_kind_to_string(a->kind));
                }
        }
}

/*
 * A pin that is as it was as far as online CPUs go counts as given back. And a thread that lost all its CPUs is where the
 * kernel put it: on cgroup v1 even when they are back, and with several losses and failures in a row its record names other
 * CPUs than libvirt does. That looks like somebody else's doing.
 */
static bool is_let_go(const Sim *s, const SimGuest *g, const SimThread *t) {
        const GuestMemo *m = state_find_guest(s->engine.state, g->uuid);
        IdSet now = idset_and(&t->wanted, &s->snapshot->topology->online);
        IdSet then = idset_and(&t->first, &s->snapshot->topology->online);

        return idset_equal(&now, &then) || (g->forced_usec > 0 && m && m->user_pinned);
}

static void check_record_of(Sim *s, const SimGuest *g, SimThread *t) {
        if (t->users || idset_equal(&t->wanted, &t->first) ||
            state_find_owned(s->engine.state, t->kind, g->uuid, t->index))
                return;
        if (!is_let_go(s, g, t))
                return sim_violation(s, "%s %u of %s was changed and is not on record",
                                     action_kind_to_string(t->kind), t->index, g->name);
        t->first = t->wanted;
}

void check_ownership(Sim *s) {
        const State *state = s->engine.state;

        for (size_t i = 0; i < state->n_owned; i++)
                if (!snapshot_find_guest(s->snapshot, state->owned[i].uuid))
                        return sim_violation(s, "a guest that is gone is on record");
        for (size_t i = 0; i < s->n_guests; i++)
                for (size_t k = 0; s->guests[i].running && k < s->guests[i].n_threads; k++)
                        check_record_of(s, &s->guests[i], &s->guests[i].threads[k]);
}

/* The pin from before is what was seen of it then: CPUs that were offline are missing. */
void check_given_back(Sim *s, const SimGuest *g, SimThread *t) {
        if (!idset_is_subset(&t->wanted, &t->first))
                return sim_violation(s, "%s %u of %s was given back wider than it was",
                                     action_kind_to_string(t->kind), t->index, g->name);
        t->first = t->wanted;
}

/*
 * The next move may be due: loads are smoothed over decisions, and a guest found to be at rest may make another one's
 * move possible. In the daemon a new observation comes before.
 */
static bool is_new_place(const Sim *s, const State *after, const Action *a) {
        const GuestMemo *before = state_find_guest(s->engine.state, a->uuid), *now = state_find_guest(after, a->uuid);

        return before && now && !idset_equal(memo_nodes(before), memo_nodes(now));
}

static bool is_done_already(const Plan *first, const Action *a) {
        for (size_t i = 0; i < first->n_actions; i++)
                if (first->actions[i].kind == a->kind && first->actions[i].index == a->index &&
                    streq(first->actions[i].uuid, a->uuid))
                        return true;
        return false;
}

void check_quiet(Sim *s, const Plan *first) {
        PolicyInput in = { .config = s->engine.config, .snapshot = s->snapshot, .mover_busy = s->mover.busy };
        _cleanup_(state_freep) State *copy = NULL;
        _cleanup_(plan_freep) Plan *plan = NULL;

        if (state_copy(s->engine.state, &copy) < 0 || policy_decide(&in, copy, &plan) < 0)
                abort();
        for (size_t i = 0; i < plan->n_actions; i++) {
                const Action *a = &plan->actions[i];

                if (first->n_actions > 0 && !is_done_already(first, a))
                        continue;
                if (a->kind != ACTION_MOVE_MEMORY && !is_new_place(s, copy, a))
                        return sim_violation(s, "a second decision wants %s %u of %s from %s to %s: %s",
                                             action_kind_to_string(a->kind), a->index, a->guest, a->old_value,
                                             a->new_value, a->reason);
        }
}

void check_restored(Sim *s) {
        for (size_t i = 0; i < s->n_guests; i++) {
                const SimGuest *g = &s->guests[i];

                for (size_t k = 0; g->running && k < g->n_threads; k++) {
                        const SimThread *t = &g->threads[k];

                        if (!t->users && !idset_equal(&t->wanted, &t->first))
                                return sim_violation(s, "%s %u of %s was not given back",
                                                     action_kind_to_string(t->kind), t->index, g->name);
                }
        }
}

/* A place that CPU hot-plug or a pin of the user's made invalid may be left at any time. Peers may do as they like. */
static bool is_forced(const Sim *s, const SimGuest *g) {
        return s->tuner != TUNER_KVMTUNED || (g->forced_usec > 0 && s->snapshot->now_usec - g->forced_usec <= 3 * s->step_usec);
}

void check_place(Sim *s, SimGuest *g, const IdSet *nodes) {
        uint64_t now = s->snapshot->now_usec, cooldown = s->engine.cooldown_usec;
        IdSet before = g->nodes;

        if (idset_equal(nodes, &before))
                return;
        g->nodes = *nodes;
        if (idset_is_empty(&before) || idset_is_empty(nodes))
                return;
        g->relocations++;
        s->metrics.relocations++;
        for (size_t i = g->n_left; i > 0; i--) {
                const SimPlace *left = &g->left[i - 1];

                if (!idset_equal(&left->nodes, nodes))
                        continue;
                s->metrics.returns++;
                if (!is_forced(s, g) && now - left->left_usec < cooldown)
                        sim_violation(s, "%s returns to nodes it left %llu s ago", g->name,
                                      (unsigned long long)((now - left->left_usec) / USEC_PER_SEC));
                break;
        }
        if (!is_forced(s, g) && g->relocated_usec > 0 && now - g->relocated_usec < cooldown)
                sim_violation(s, "%s changes nodes twice within its cool-down", g->name);
        if (!is_forced(s, g))
                g->relocated_usec = now;
        if (g->n_left == SIM_HISTORY)
                memmove(g->left, g->left + 1, --g->n_left * sizeof(g->left[0]));
        g->left[g->n_left++] = (SimPlace){ .nodes = before, .left_usec = now };
}
