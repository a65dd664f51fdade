/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_nodes.h"

/*
 * Which nodes a guest gets. Every node is the seed of one candidate, which
 * takes in the nearest further node until the vCPUs have a CPU each and the
 * memory has room. Of these candidates the best is the one with
 *
 *   1. the fewest nodes;
 *   2. for a guest that runs already, the least harm: the part of its memory
 *      that would be remote, plus the vCPUs beyond one a CPU (in steps of 5 %);
 *   3. the least mean distance between its nodes;
 *   4. the fewest vCPUs a CPU, this guest included;
 *   5. the least measured CPU load;
 *   6. the most free memory;
 *   7. the lowest node numbers, so that ties always break the same way.
 *
 * A set fits when it has a CPU for each vCPU, the memory has room, and its
 * CPUs, with this guest on them, carry no more vCPUs than cpu.overcommit allows
 * (nova's cpu_allocation_ratio, here for each set of nodes). When no set keeps
 * to cpu.overcommit, the least committed one is taken; when none has the
 * memory, the search goes by CPUs alone and free memory decides before
 * everything but size.
 *
 * For a dedicated guest, CPUs are those that could become its own.
 */

#define HARM_STEP_PERMYRIAD 500U

static uint64_t node_room(const PlacementNode *n, const Guest *g) {
        return u64_sub(placement_room(n, g), n->memory_known ? n->pending_bytes : 0);
}

static void candidate_add(const Search *s, Candidate *c, const PlacementNode *n) {
        for (size_t i = 0; i < s->p->n_nodes; i++)
                if (idset_contains(&c->nodes, s->p->nodes[i].id))
                        c->pair_distance += topology_distance(s->p->topology, i, n->index);
        (void)idset_add(&c->nodes, n->id);
        c->n++;
        c->n_cpus += placement_capacity(s->p, s->g, n);
        c->commit_milli += n->commit_milli;
        c->busy_permyriad += n->busy_permyriad;
        c->room_bytes = u64_add(c->room_bytes, node_room(n, s->g->guest));
}

/* Beyond cpu.overcommit with this guest on it. CPUs of its own are not overcommitted. */
static bool is_overcommitted(const Search *s, const Candidate *c) {
        uint64_t limit = permyriad_of((uint64_t)c->n_cpus * PLACEMENT_MILLI, setting(s->g->settings, KEY_CPU_OVERCOMMIT));

        return !s->g->dedicated && c->commit_milli + (uint64_t)s->g->n_vcpus * PLACEMENT_MILLI > limit;
}

static bool candidate_fits(const Search *s, const Candidate *c) {
        return placement_wanted(s->g) <= c->n_cpus && (s->ignore_overcommit || !is_overcommitted(s, c)) &&
               (s->ignore_memory || placement_need(s->g, &c->nodes) <= c->room_bytes);
}

static void candidate_rate(const Search *s, Candidate *c) {
        unsigned pairs = c->n * (c->n - 1) / 2;
        uint64_t resident = s->g->resident_bytes;

        c->fits = candidate_fits(s, c);
        c->distance = pairs > 0 ? c->pair_distance * 10 / pairs : 0;
        c->commit = u64_muldiv(c->commit_milli + (uint64_t)s->g->n_vcpus * PLACEMENT_MILLI,
                               PERMYRIAD_FULL, (uint64_t)c->n_cpus * PLACEMENT_MILLI);
        c->load = c->busy_permyriad / MAX(c->n_cpus, 1U) / 100 * 100;
        if (!s->resident_counts)
                return;
        c->remote_permyriad = u64_muldiv(u64_sub(resident, placement_resident_on(s->g->guest, &c->nodes)),
                                         PERMYRIAD_FULL, resident);
        c->harm = (c->remote_permyriad + u64_sub(c->commit, PERMYRIAD_FULL)) / HARM_STEP_PERMYRIAD;
}

static int order(uint64_t a, uint64_t b, Term term, Term *ret_term) {
        *ret_term = term;
        return (a > b) - (a < b);
}

static int order_numbers(const Candidate *a, const Candidate *b, Term *ret_term) {
        IdSet only_a = idset_minus(&a->nodes, &b->nodes), only_b = idset_minus(&b->nodes, &a->nodes);
        int x = idset_next(&only_a, 0), y = idset_next(&only_b, 0);

        *ret_term = x == y ? TERM_NONE : TERM_NUMBER;
        return (x > y) - (x < y);
}

int candidate_order(const Search *s, const Candidate *a, const Candidate *b, Term *ret_term) {
        int r;

        r = order(!a->fits, !b->fits, TERM_FITS, ret_term);
        if (r == 0)
                r = order(a->n, b->n, TERM_SIZE, ret_term);
        if (r == 0 && s->ignore_memory)
                r = order(b->room_bytes, a->room_bytes, TERM_ROOM, ret_term);
        if (r == 0 && s->ignore_overcommit)
                r = order(a->commit, b->commit, TERM_COMMIT, ret_term);
        if (r == 0)
                r = order(a->harm, b->harm, TERM_HARM, ret_term);
        if (r == 0)
                r = order(a->distance, b->distance, TERM_DISTANCE, ret_term);
        if (r == 0)
                r = order(a->commit, b->commit, TERM_COMMIT, ret_term);
        if (r == 0)
                r = order(a->load, b->load, TERM_LOAD, ret_term);
        if (r == 0)
                r = order(b->room_bytes, a->room_bytes, TERM_ROOM, ret_term);
        if (r == 0)
                r = order_numbers(a, b, ret_term);
        return r;
}

static void offer(Search *s, const Candidate *c) {
        Term term;
        int r;

        if (s->n_candidates == 0) {
                s->best = *c;
                s->n_candidates++;
                return;
        }
        r = candidate_order(s, c, &s->best, &term);
        if (r == 0)
                return;
        if (r < 0) {
                s->second = s->best;
                s->best = *c;
        } else if (s->n_candidates == 1 || candidate_order(s, c, &s->second, &term) < 0)
                s->second = *c;
        s->n_candidates++;
}

/* How good @n is as the next node of a set; less is better, compared in this order. */
typedef struct Step {
        uint64_t distance, unfit, commit, room_left;
} Step;

static Step step_of(const Search *s, const Candidate *c, const PlacementNode *n) {
        Candidate larger = *c;
        unsigned n_cpus;

        candidate_add(s, &larger, n);
        n_cpus = MAX(larger.n_cpus, 1U);
        return (Step){
                .distance = larger.pair_distance,
                .unfit = !candidate_fits(s, &larger),
                .commit = u64_muldiv(larger.commit_milli, PERMYRIAD_FULL, n_cpus),
                .room_left = UINT64_MAX - larger.room_bytes,
        };
}

static bool step_is_better(const Step *a, const Step *b) {
        if (a->distance != b->distance)
                return a->distance < b->distance;
        if (a->unfit != b->unfit)
                return a->unfit < b->unfit;
        if (a->commit != b->commit)
                return a->commit < b->commit;
        return a->room_left < b->room_left;
}

static const PlacementNode *next_node(const Search *s, const Candidate *c) {
        const PlacementNode *best = NULL;
        Step best_step = { 0 };

        for (size_t i = 0; i < s->p->n_nodes; i++) {
                const PlacementNode *n = &s->p->nodes[i];
                Step step;

                if (placement_capacity(s->p, s->g, n) == 0 || idset_contains(&c->nodes, n->id))
                        continue;
                step = step_of(s, c, n);
                if (best && !step_is_better(&step, &best_step))
                        continue;
                best = n;
                best_step = step;
        }
        return best;
}

void candidates_search(Search *s) {
        s->n_candidates = 0;
        for (size_t i = 0; i < s->p->n_nodes; i++) {
                Candidate c = { 0 };
                const PlacementNode *next = &s->p->nodes[i];

                if (placement_capacity(s->p, s->g, next) == 0)
                        continue;
                do
                        candidate_add(s, &c, next);
                while (!candidate_fits(s, &c) && (next = next_node(s, &c)));
                candidate_rate(s, &c);
                offer(s, &c);
        }
}

/*
 * Whether no set of nodes can have the memory, or keep to cpu.overcommit: all of them together have not. Known
 * beforehand, that saves a search that would try every set up to the whole host.
 */
static void foresee(Search *s) {
        IdSet nodes = placement_cpu_nodes(s->p);
        uint64_t room = 0, spare_milli = 0, ratio = setting(s->g->settings, KEY_CPU_OVERCOMMIT);

        for (size_t i = 0; i < s->p->n_nodes; i++) {
                const PlacementNode *n = &s->p->nodes[i];

                if (placement_capacity(s->p, s->g, n) == 0)
                        continue;
                room = u64_add(room, node_room(n, s->g->guest));
                spare_milli += u64_sub(permyriad_of((uint64_t)n->n_cpus * PLACEMENT_MILLI, ratio), n->commit_milli);
        }
        s->ignore_memory = placement_need(s->g, &nodes) > room;
        s->ignore_overcommit = !s->g->dedicated && spare_milli < (uint64_t)s->g->n_vcpus * PLACEMENT_MILLI;
}

void candidates_search_relaxing(Search *s) {
        bool no_memory, no_ratio;

        foresee(s);
        no_memory = s->ignore_memory;
        no_ratio = s->ignore_overcommit;
        candidates_search(s);
        if (s->best.fits || placement_wanted(s->g) > s->best.n_cpus)
                return;
        if (!no_ratio) {
                s->ignore_overcommit = true;
                candidates_search(s);
        }
        if (!s->best.fits && !no_memory) {
                s->ignore_memory = true;
                s->ignore_overcommit = no_ratio;
                candidates_search(s);
        }
        if (!s->best.fits) {
                s->ignore_memory = s->ignore_overcommit = true;
                candidates_search(s);
        }
}
