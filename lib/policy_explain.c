/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_nodes.h"

/*
 * Where each guest is or comes, against the sets of nodes it could have: the
 * same candidates and the same order as for the choice. A guest that has its
 * place is taken off the books first, so that every set is rated as if the
 * guest came anew with the memory it has. That one of them is rated better than
 * its place is no reason to move: what a move gains is measured
 * (policy_rebalance.c), and its place holds until then.
 */

/* Each node is the seed of one candidate, and may be listed by itself as too small. */
int candidate_list_init(CandidateList *l, const Placement *p) {
        l->max = 2 * p->n_nodes + 1;
        l->items = calloc(l->max, sizeof(*l->items));
        l->sorted = calloc(l->max, sizeof(*l->sorted));
        return l->items && l->sorted ? 0 : -ENOMEM;
}

void candidate_list_done(CandidateList *l) {
        free(l->items);
        free(l->sorted);
}

void candidate_list_put(const Search *s, const Candidate *c) {
        CandidateList *l = s->list;
        size_t low = 0, high = l->n;
        PlacementTerm term;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int r = candidate_order(s, l->sorted[middle], c, &term);

                if (r == 0)
                        return;
                if (r < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        if (l->n == l->max)
                return;
        l->items[l->n] = *c;
        memmove(l->sorted + low + 1, l->sorted + low, (l->n - low) * sizeof(*l->sorted));
        l->sorted[low] = &l->items[l->n++];
}

static int add_candidate(PlanPlacement *to, const Search *s, const Candidate *c, PlanCandidate *plan) {
        _cleanup_free_ char *nodes = NULL, *memory_only = NULL;
        IdSet extra = IDSET_EMPTY;
        int r;

        for (unsigned i = 0; i < c->n_extra; i++)
                (void)idset_add(&extra, s->p->nodes[c->extra[i]].id);
        r = idset_format(&c->nodes, &nodes);
        if (r >= 0)
                r = idset_format(&extra, &memory_only);
        if (r < 0)
                return r;
        plan->nodes = nodes;
        plan->memory_only = memory_only;
        plan->near_distance = s->near_counts ? c->near : UNKNOWN_U64;
        plan->promised_bytes = s->g->guest->hugepages ? 0 : c->promised_bytes;
        plan->cpus_fit = c->cpus_fit;
        plan->memory_fits = c->memory_fits;
        plan->n_nodes = c->n;
        plan->n_cpus = c->n_cpus;
        plan->remote_permyriad = s->harm_counts ? c->remote_permyriad : UNKNOWN_U64;
        plan->harm_permyriad = s->harm_counts ? c->harm * HARM_STEP_PERMYRIAD : UNKNOWN_U64;
        plan->distance_tenths = c->distance;
        plan->committed_milli = c->commit_milli;
        plan->commit_permyriad = c->commit;
        plan->load_permyriad = s->p->context->snapshot->host.n_cpus > 0 ? c->load : UNKNOWN_U64;
        plan->free_bytes = c->room_bytes;
        return plan_add_candidate(s->p->context->plan, to, plan);
}

/* Every candidate but @own, which is listed first. */
static int add_others(PlanPlacement *to, const Search *s, const Candidate *own, bool bound) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < s->list->n; i++) {
                const Candidate *c = s->list->sorted[i];
                PlacementTerm term;
                int order = candidate_order(s, c, own, &term);

                if (order == 0 || (c->partial && !own->fits))
                        continue;
                r = add_candidate(to, s, c, &(PlanCandidate){ .decided_by = bound ? TERM_BOUND : term,
                                                              .better = order < 0 && !bound });
        }
        return r;
}

int placement_explain(const Search *s, PlacementGuest *g, const char *text, bool fresh) {
        _cleanup_free_ char *nodes = NULL;
        PlanPlacement *to;
        Candidate own;
        IdSet bound;
        int r;

        g->explained = true;
        r = idset_format(memo_nodes(g->memo), &nodes);
        if (r >= 0)
                r = plan_add_placement(s->p->context->plan, g->guest, nodes, text, &to);
        if (r < 0)
                return r;
        to->fresh = fresh;
        own = candidate_of(s, memo_nodes(g->memo));
        r = add_candidate(to, s, &own, &(PlanCandidate){ .chosen = true });
        if (r < 0)
                return r;
        return add_others(to, s, &own, placement_constraint(s->p, g->guest, &bound));
}

/* ---- guests that have their place ---- */

/* Of the measured load of its nodes, what the guest itself makes: waiting takes no CPU. */
static uint64_t own_busy(const Guest *g) {
        uint64_t busy = 0;

        for (size_t i = 0; i < g->n_vcpus; i++)
                if (g->vcpus[i].online && g->vcpus[i].busy_permyriad != UNKNOWN_PERMYRIAD)
                        busy += g->vcpus[i].busy_permyriad;
        return busy;
}

/* Undoes placement_account_nodes(), as far as the scores go. */
static void take_off(Placement *p, const PlacementGuest *g) {
        IdSet memory = placement_memory_of(p, memo_nodes(g->memo));
        uint64_t need = placement_need(g, &memory), busy = own_busy(g->guest), total = 0;
        uint64_t n = MAX(idset_count(&memory), 1U), whole = (uint64_t)g->n_vcpus * PLACEMENT_MILLI;

        placement_weigh(p, g, memo_nodes(g->memo));
        for (size_t i = 0; i < p->n_nodes; i++)
                total += p->weights[i];
        for (size_t i = 0; i < p->n_nodes; i++) {
                uint64_t vcpus = g->dedicated ? 0 : u64_muldiv(whole, p->weights[i], total);
                PlacementNode *node = &p->nodes[i];

                node->commit_milli = u64_sub(node->commit_milli, vcpus);
                node->busy_permyriad = u64_sub(node->busy_permyriad, u64_muldiv(busy, p->weights[i], total));
                if (!idset_contains(&memory, node->id))
                        continue;
                node->promised_bytes = u64_sub(node->promised_bytes, placement_untouched(g) / n);
                if (!g->guest->starting)
                        node->pending_bytes = u64_sub(node->pending_bytes, need / n);
                else
                        placement_add_room(node, g->guest, need / n);
        }
}

/* Why it is where it is, when nothing new was decided. */
static int kept_text(const Placement *p, PlacementGuest *g, char **ret) {
        _cleanup_free_ char *nodes = NULL, *cells = NULL;
        IdSet bound;
        int r;

        if (g->reason)
                return strdup_to(ret, g->reason);
        r = placement_format_nodes(memo_nodes(g->memo), &nodes);
        if (r >= 0)
                r = cells_format(g->memo, &cells);
        if (r < 0)
                return r;
        if (placement_constraint(p, g->guest, &bound))
                return strprintf_to(ret, "%s: %s", nodes, placement_bound_text(g->guest));
        return strprintf_to(ret, "%s, where it was placed before%s%s", nodes, cells ? ": " : "", cells ?: "");
}

static int explain_off_books(Placement *p, PlacementGuest *g, CandidateList *list) {
        _cleanup_free_ char *text = NULL;
        Search s = candidates_for(p, g);
        int r;

        s.list = list;
        take_off(p, g);
        candidates_search_relaxing(&s);
        r = kept_text(p, g, &text);
        if (r < 0)
                return r;
        return placement_explain(&s, g, text, g->moving || g->fresh);
}

/* A dedicated guest's CPUs are free for it. @saved has room for all nodes. */
static int explain_kept(Placement *p, PlacementGuest *g, CandidateList *list, PlacementNode *saved) {
        int r;

        if (g->dedicated)
                IDSET_FOREACH(cpu, memo_cpus(g->memo))
                        placement_release_cpu(p, g, (unsigned)cpu);
        memcpy(saved, p->nodes, p->n_nodes * sizeof(*saved));
        r = explain_off_books(p, g, list);
        memcpy(p->nodes, saved, p->n_nodes * sizeof(*saved));
        if (g->dedicated)
                IDSET_FOREACH(cpu, memo_cpus(g->memo))
                        placement_take_cpu(p, g, (unsigned)cpu);
        return r;
}

static int explain_unplaced(Placement *p, PlacementGuest *g) {
        PlanPlacement *to;
        int r;

        r = placement_default_reason(p, g);
        if (r < 0)
                return r;
        return plan_add_placement(p->context->plan, g->guest, "", g->reason, &to);
}

/* With the place it has by now: guests that were placed together may have been exchanged since. */
static bool is_explained(Plan *plan, const PlacementGuest *g) {
        PlanPlacement *placement = g->explained ? plan_find_placement(plan, g->guest->uuid) : NULL;
        IdSet nodes;

        if (!placement)
                return false;
        if (idset_parse(placement->nodes, &nodes) == 0 && idset_equal(&nodes, memo_nodes(g->memo)))
                return true;
        plan_remove_placement(plan, placement);
        return false;
}

static int compare_placements(const void *a, const void *b) {
        const PlanPlacement *x = a, *y = b;
        int r = strcmp(x->guest, y->guest);

        return r != 0 ? r : strcmp(x->uuid, y->uuid);
}

int placement_explain_others(Placement *p) {
        _cleanup_(candidate_list_done) CandidateList list = { 0 };
        _cleanup_free_ PlacementNode *nodes = NULL;
        Plan *plan = p->context->plan;
        int r;

        if (!p->context->explain)
                return 0;
        nodes = calloc(MAX(p->n_nodes, (size_t)1), sizeof(*nodes));
        r = nodes ? candidate_list_init(&list, p) : -ENOMEM;
        if (r < 0)
                return r;
        for (size_t i = 0; i < p->n_guests; i++) {
                PlacementGuest *g = &p->guests[i];

                if (!g->managed || is_explained(plan, g))
                        continue;
                r = memo_is_placed(g->memo) ? explain_kept(p, g, &list, nodes) : explain_unplaced(p, g);
                if (r < 0)
                        return r;
        }
        if (plan->n_placements > 0)
                qsort(plan->placements, plan->n_placements, sizeof(*plan->placements), compare_placements);
        return 0;
}
