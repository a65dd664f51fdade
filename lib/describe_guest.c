/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "describe.h"
#include "describe_internal.h"
#include "plan_text.h"

static uint64_t mean_busy(const Guest *g) {
        uint64_t sum = 0, n = 0;

        for (size_t i = 0; i < g->n_vcpus; i++)
                if (g->vcpus[i].online && g->vcpus[i].busy_permyriad != UNKNOWN_PERMYRIAD) {
                        sum += g->vcpus[i].busy_permyriad;
                        n++;
                }
        return n > 0 ? sum / n : UNKNOWN_U64;
}

static int compare_uuid(const void *uuid, const void *guest) {
        return strcmp(uuid, (*(const Guest *const *)guest)->uuid);
}

/* How many changes are in force, by the guest's place in the snapshot. NULL without memory. */
static size_t *count_held(const Description *d) {
        const Snapshot *s = d->snapshot;
        size_t *held = calloc(s->n_guests + 1, sizeof(*held));

        for (size_t i = 0; held && s->n_guests > 0 && i < d->state->n_owned; i++) {
                Guest **g = bsearch(d->state->owned[i].uuid, s->guests, s->n_guests, sizeof(*s->guests),
                                    compare_uuid);

                if (g)
                        held[g - s->guests]++;
        }
        return held;
}

static void put_memory_nodes(Value *v, const Guest *g) {
        Value *list;

        if (g->n_node_memory == 0)
                return;
        list = value_put_list(v, "memory_nodes", VALUE_MAP);
        for (size_t i = 0; i < g->n_node_memory; i++) {
                Value *node = value_put_map(list, NULL);

                value_put_number(node, "node", g->node_memory[i].node);
                describe_put_known(node, "bytes", g->node_memory[i].bytes);
        }
}

/* What both the list of guests and the explanation of one begin with. */
static void put_summary(Value *v, const Description *d, size_t i, size_t held) {
        const Guest *g = d->snapshot->guests[i];
        const Settings *settings = d->settings.guests[i];
        const GuestMemo *memo = state_find_guest(d->state, g->uuid);
        _cleanup_free_ char *policy = NULL, *balloon = NULL;
        int r;

        value_put_string(v, "name", g->name);
        value_put_string(v, "uuid", g->uuid);
        value_put_string(v, "state", g->migrating ? "migrating" : g->unreachable ? "unreachable"
                                                                                 : guest_state_to_string(g->state));
        value_put_string(v, "class", g->class);
        value_put_string(v, "title", g->title);
        value_put_number(v, "vcpus", guest_online_vcpus(g));
        value_put_number(v, "vcpus_maximum", g->n_vcpus);
        describe_put_known(v, "busy_permyriad", mean_busy(g));
        describe_put_known(v, "memory_maximum_bytes", g->max_bytes);
        describe_put_known(v, "memory_current_bytes", g->current_bytes);
        describe_put_known(v, "memory_resident_bytes", g->rss_bytes);
        if (v && memo && memo_is_placed(memo))
                describe_put_set(v, "placed_nodes", memo_nodes(memo));
        if (v && memo && memo_has_cpus(memo))
                describe_put_set(v, "own_cpus", memo_cpus(memo));
        put_memory_nodes(v, g);
        r = setting_format(settings, KEY_CPU_POLICY, &policy);
        describe_put_text(v, "cpu_policy", r, policy);
        r = setting_format(settings, KEY_BALLOON_MODE, &balloon);
        describe_put_text(v, "balloon_mode", r, balloon);
        value_put_number(v, "changes_held", held);
}

static int compare_names(const void *a, const void *b, void *guests) {
        const Guest *const *g = guests;

        return strcmp(g[*(const size_t *)a]->name, g[*(const size_t *)b]->name);
}

Value *describe_guests(const Description *d) {
        _cleanup_free_ size_t *order = calloc(d->snapshot->n_guests + 1, sizeof(*order)), *held = count_held(d);
        Value *list = value_new_list(VALUE_MAP);

        if (!order || !held)
                return value_free(list);
        for (size_t i = 0; i < d->snapshot->n_guests; i++)
                order[i] = i;
        qsort_r(order, d->snapshot->n_guests, sizeof(*order), compare_names, d->snapshot->guests);
        for (size_t i = 0; i < d->snapshot->n_guests; i++)
                put_summary(value_put_map(list, NULL), d, order[i], held[order[i]]);
        return list;
}

/* ---- one guest ---- */

static void put_thread(Value *list, const GuestThread *t, const char *kind) {
        Value *v = value_put_map(list, NULL);

        if (!v)
                return;
        value_put_string(v, "thread", kind);
        value_put_number(v, "id", t->id);
        value_put_bool(v, "online", t->online);
        if (!idset_is_empty(&t->affinity))
                describe_put_set(v, "cpus", &t->affinity);
        if (t->pinned)
                describe_put_set(v, "pin", &t->pin);
        describe_put_permyriad(v, "busy_permyriad", t->busy_permyriad);
        describe_put_permyriad(v, "wait_permyriad", t->wait_permyriad);
}

static void put_threads(Value *v, const Guest *g) {
        Value *list = value_put_list(v, "threads", VALUE_MAP);
        GuestThread emulator = g->emulator;

        for (size_t i = 0; i < g->n_vcpus; i++)
                put_thread(list, &g->vcpus[i], "vcpu");
        emulator.online = true;
        emulator.busy_permyriad = g->emulator_busy_permyriad;
        put_thread(list, &emulator, "emulator");
        for (size_t i = 0; i < g->n_iothreads; i++) {
                GuestThread t = g->iothreads[i];

                t.online = true;
                put_thread(list, &t, "iothread");
        }
}

/* As the plan that changed it said it. @a is not changed. */
static void put_words(Value *v, const Action *a) {
        _cleanup_free_ char *target = NULL, *values = NULL;

        if (!v)
                return;
        if (plan_action_target(a, &target) < 0 || plan_action_values(a, &values) < 0) {
                v->failed = true;
                return;
        }
        value_put_string(v, "target", target);
        value_put_string(v, "change", values);
}

static void put_held(Value *v, const Description *d, const Guest *g) {
        Value *list = value_put_list(v, "held", VALUE_MAP);

        for (size_t i = 0; i < d->state->n_owned; i++) {
                const Owned *o = &d->state->owned[i];
                _cleanup_free_ char *current = NULL;
                Value *held;
                int r;

                if (!streq(o->uuid, g->uuid))
                        continue;
                held = value_put_map(list, NULL);
                value_put_string(held, "kind", action_kind_to_string(o->kind));
                value_put_number(held, "index", o->index);
                value_put_string(held, "original", o->original);
                value_put_string(held, "ours", o->ours);
                r = policy_current_value(d->snapshot, o->kind, o->uuid, o->index, &current);
                describe_put_text(held, "current", r, current);
                put_words(held, &(const Action){ .kind = o->kind, .index = o->index, .guest = g->name,
                                                 .old_value = o->original, .new_value = o->ours });
        }
}

static void put_action(Value *list, const Action *a) {
        Value *v = value_put_map(list, NULL);

        value_put_string(v, "kind", action_kind_to_string(a->kind));
        value_put_number(v, "index", a->index);
        value_put_string(v, "old", a->old_value);
        value_put_string(v, "new", a->new_value);
        put_words(v, a);
        value_put_string(v, "reason", a->reason);
        value_put_string(v, "source", a->source);
}

/* What would be done to it now, and what is not done. */
static void put_plan(Value *v, const Plan *plan, const Guest *g) {
        Value *next = value_put_list(v, "next", VALUE_MAP), *not_done = value_put_list(v, "not_done", VALUE_MAP);

        for (size_t i = 0; i < plan->n_actions; i++)
                if (streq(plan->actions[i].uuid, g->uuid))
                        put_action(next, &plan->actions[i]);
        for (size_t i = 0; i < plan->n_skips; i++) {
                const Skip *s = &plan->skips[i];
                Value *skip;

                if (!streq(s->uuid, g->uuid))
                        continue;
                skip = value_put_map(not_done, NULL);
                value_put_string(skip, "kind", action_kind_to_string(s->kind));
                value_put_string(skip, "why", skip_reason_to_string(s->why));
                value_put_string(skip, "detail", s->detail);
        }
}

static void put_candidate(Value *list, const PlanCandidate *c) {
        Value *v = value_put_map(list, NULL);

        value_put_string(v, "nodes", c->nodes);
        value_put_bool(v, "chosen", c->chosen);
        value_put_string(v, "decided_by", placement_term_to_string(c->decided_by));
        value_put_bool(v, "better", c->better);
        value_put_bool(v, "cpus_fit", c->cpus_fit);
        value_put_bool(v, "memory_fits", c->memory_fits);
        value_put_number(v, "cpus", c->n_cpus);
        value_put_number(v, "commit_permyriad", c->commit_permyriad);
        describe_put_known(v, "load_permyriad", c->load_permyriad);
        describe_put_known(v, "remote_permyriad", c->remote_permyriad);
        describe_put_known(v, "free_bytes", c->free_bytes);
}

static void put_placement(Value *v, const Plan *plan, const Guest *g) {
        const PlanPlacement *p = plan_find_placement(plan, g->uuid);
        Value *placement, *list;

        if (!p)
                return;
        placement = value_put_map(v, "placement");
        value_put_string(placement, "nodes", p->nodes);
        value_put_bool(placement, "fresh", p->fresh);
        value_put_string(placement, "text", p->text);
        list = value_put_list(placement, "candidates", VALUE_MAP);
        for (size_t i = 0; i < p->n_candidates; i++)
                put_candidate(list, &p->candidates[i]);
        value_put_number(placement, "more", p->n_more);
}

static void put_stats(Value *v, const BalloonStats *s) {
        Value *stats;

        if (s->age_usec == UNKNOWN_U64)
                return;
        stats = value_put_map(v, "guest_says");
        describe_put_known(stats, "usable_bytes", s->usable_bytes);
        describe_put_known(stats, "unused_bytes", s->unused_bytes);
        describe_put_known(stats, "available_bytes", s->available_bytes);
        describe_put_known(stats, "swap_in_bytes", s->swap_in_bytes);
        describe_put_known(stats, "major_faults", s->major_faults);
        describe_put_known(stats, "age_usec", s->age_usec);
}

Value *describe_guest(const Description *d, const Guest *g) {
        _cleanup_free_ size_t *held = count_held(d);
        Value *v = value_new_map();
        size_t i = 0;

        while (d->snapshot->guests[i] != g)
                i++;
        if (!held)
                return value_free(v);
        put_summary(v, d, i, held[i]);
        value_put_number(v, "pid", (uint64_t)MAX(g->pid, 0));
        put_stats(v, &g->stats);
        put_threads(v, g);
        value_put(v, "settings", describe_settings(d, g));
        put_held(v, d, g);
        put_plan(v, d->plan, g);
        put_placement(v, d->plan, g);
        return v;
}
