/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "parse.h"
#include "policy_placement.h"

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
 * When no set has the memory, the search is repeated for CPUs alone and free
 * memory decides before everything but size.
 */

#define HARM_STEP_PERMYRIAD 500U
/* Below this, where the memory of a running guest lies does not matter. */
#define RESIDENT_MINIMUM (64 * MIB)

typedef enum Term {
        TERM_NONE,                      /* the same set */
        TERM_FITS, TERM_SIZE, TERM_HARM, TERM_DISTANCE, TERM_COMMIT, TERM_LOAD, TERM_ROOM, TERM_NUMBER,
} Term;

typedef struct Candidate {
        IdSet nodes;
        unsigned n, n_cpus;
        uint64_t commit_milli;          /* before this guest */
        uint64_t busy_permyriad;        /* sum */
        uint64_t room_bytes;
        uint64_t pair_distance;         /* sum over pairs of nodes */
        uint64_t remote_permyriad;      /* of the guest's memory */
        /* what is compared */
        bool fits;
        uint64_t harm, distance, commit, load;
} Candidate;

typedef struct Search {
        Placement *p;
        const PlacementGuest *g;
        bool resident_counts;           /* criterion 2 applies */
        bool ignore_memory;
        Candidate best, second;
        size_t n_candidates;
} Search;

IdSet placement_cpu_nodes(const Placement *p) {
        IdSet nodes = IDSET_EMPTY;

        for (size_t i = 0; i < p->n_nodes; i++)
                if (p->nodes[i].n_cpus > 0)
                        (void)idset_add(&nodes, p->nodes[i].id);
        return nodes;
}

bool placement_constraint(const Placement *p, const Guest *g, IdSet *ret) {
        IdSet nodes = IDSET_EMPTY, cpu_nodes;
        bool libvirts_choice = g->numatune_placement_auto && g->numatune_mode != NUMATUNE_STRICT;

        for (size_t i = 0; i < g->n_cells; i++)
                nodes = idset_or(&nodes, &g->cells[i].nodeset);
        if (idset_is_empty(&nodes) && g->numatune_mode != NUMATUNE_NONE && !libvirts_choice)
                nodes = g->numatune_nodes;
        if (idset_is_empty(&nodes))
                return false;
        cpu_nodes = placement_cpu_nodes(p);
        nodes = idset_and(&nodes, &cpu_nodes);
        if (idset_is_empty(&nodes))
                return false;
        *ret = nodes;
        return true;
}

bool placement_still_valid(const Placement *p, const PlacementGuest *g) {
        const IdSet *nodes = &g->memo->nodes;
        unsigned present = 0, cpus = 0, cpu_nodes = 0;
        IdSet constraint;

        for (size_t i = 0; i < p->n_nodes; i++) {
                const PlacementNode *n = &p->nodes[i];

                cpu_nodes += n->n_cpus > 0;
                if (n->n_cpus == 0 || !idset_contains(nodes, n->id))
                        continue;
                present++;
                cpus += n->n_cpus;
        }
        if (present == 0 || present != idset_count(nodes))
                return false;
        if (placement_constraint(p, g->guest, &constraint))
                return idset_equal(&constraint, nodes);
        return g->n_vcpus <= cpus || present == cpu_nodes;
}

static uint64_t node_room(const PlacementNode *n, const Guest *g) {
        return u64_sub(placement_room(n, g), n->memory_known ? n->pending_bytes : 0);
}

static void candidate_add(const Search *s, Candidate *c, const PlacementNode *n) {
        for (size_t i = 0; i < s->p->n_nodes; i++)
                if (idset_contains(&c->nodes, s->p->nodes[i].id))
                        c->pair_distance += topology_distance(s->p->topology, i, n->index);
        (void)idset_add(&c->nodes, n->id);
        c->n++;
        c->n_cpus += n->n_cpus;
        c->commit_milli += n->commit_milli;
        c->busy_permyriad += n->busy_permyriad;
        c->room_bytes = u64_add(c->room_bytes, node_room(n, s->g->guest));
}

static bool candidate_fits(const Search *s, const Candidate *c) {
        return s->g->n_vcpus <= c->n_cpus && (s->ignore_memory || placement_need(s->g, &c->nodes) <= c->room_bytes);
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

/* Negative: @a is better. *ret_term is what decided. */
static int candidate_order(const Search *s, const Candidate *a, const Candidate *b, Term *ret_term) {
        int r;

        r = order(!a->fits, !b->fits, TERM_FITS, ret_term);
        if (r == 0)
                r = order(a->n, b->n, TERM_SIZE, ret_term);
        if (r == 0 && s->ignore_memory)
                r = order(b->room_bytes, a->room_bytes, TERM_ROOM, ret_term);
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

                if (n->n_cpus == 0 || idset_contains(&c->nodes, n->id))
                        continue;
                step = step_of(s, c, n);
                if (best && !step_is_better(&step, &best_step))
                        continue;
                best = n;
                best_step = step;
        }
        return best;
}

static void search(Search *s) {
        s->n_candidates = 0;
        for (size_t i = 0; i < s->p->n_nodes; i++) {
                Candidate c = { 0 };
                const PlacementNode *next = &s->p->nodes[i];

                if (next->n_cpus == 0)
                        continue;
                do
                        candidate_add(s, &c, next);
                while (!candidate_fits(s, &c) && (next = next_node(s, &c)));
                candidate_rate(s, &c);
                offer(s, &c);
        }
}

/* 3500 -> "3.5", 3000 -> "3". */
static int format_milli(uint64_t milli, char **ret) {
        unsigned whole = (unsigned)(milli / PLACEMENT_MILLI), tenth = (unsigned)(milli % PLACEMENT_MILLI / 100);

        return tenth > 0 ? strprintf_to(ret, "%u.%u", whole, tenth) : strprintf_to(ret, "%u", whole);
}

static int format_nodes(const IdSet *nodes, char **ret) {
        _cleanup_free_ char *list = NULL;
        int r;

        r = idset_format(nodes, &list);
        if (r < 0)
                return r;
        return strprintf_to(ret, "node%s %s", idset_count(nodes) == 1 ? "" : "s", list);
}

/* Why the second best was not taken. */
static int format_rejected(const Search *s, Term term, char **ret) {
        const Candidate *a = &s->best, *b = &s->second;
        _cleanup_free_ char *nodes = NULL, *commit = NULL;
        char room[FORMAT_BYTES_MAX];
        int r;

        r = format_nodes(&b->nodes, &nodes);
        if (r < 0)
                return r;
        r = format_milli(b->commit_milli, &commit);
        if (r < 0)
                return r;
        switch (term) {
        case TERM_FITS:
                return strprintf_to(ret, "%s: too small (%u CPUs, %s free)", nodes, b->n_cpus,
                                    format_bytes_short(b->room_bytes, room));
        case TERM_SIZE:
                return strprintf_to(ret, "%s: more nodes than needed", nodes);
        case TERM_HARM:
                return strprintf_to(ret, "%s: %u %% of its memory remote instead of %u %%, %s of %u CPUs committed",
                                    nodes, (unsigned)b->remote_permyriad / 100,
                                    (unsigned)a->remote_permyriad / 100, commit, b->n_cpus);
        case TERM_DISTANCE:
                return strprintf_to(ret, "%s: mean distance %u instead of %u", nodes,
                                    (unsigned)b->distance / 10, (unsigned)a->distance / 10);
        case TERM_COMMIT:
                return strprintf_to(ret, "%s has %s of %u committed", nodes, commit, b->n_cpus);
        case TERM_LOAD:
                return strprintf_to(ret, "%s is %u %% busy instead of %u %%", nodes, (unsigned)b->load / 100,
                                    (unsigned)a->load / 100);
        case TERM_ROOM:
                return strprintf_to(ret, "%s has %s free", nodes, format_bytes_short(b->room_bytes, room));
        default:
                return strprintf_to(ret, "%s is equal, the lower number wins", nodes);
        }
}

static int format_choice(const Search *s, char **ret) {
        _cleanup_free_ char *nodes = NULL, *commit = NULL, *rejected = NULL, *room = NULL;
        const Candidate *c = &s->best;
        char bytes[FORMAT_BYTES_MAX];
        Term term;
        int r;

        r = format_nodes(&c->nodes, &nodes);
        if (r >= 0)
                r = format_milli(c->commit_milli, &commit);
        if (r >= 0 && c->room_bytes != UINT64_MAX)
                r = strprintf_to(&room, ", %s free%s", format_bytes_short(c->room_bytes, bytes),
                                 s->ignore_memory ? " (no set of nodes has room for all its memory)" : "");
        if (r >= 0 && s->n_candidates > 1) {
                _cleanup_free_ char *why = NULL;

                (void)candidate_order(s, c, &s->second, &term);
                r = format_rejected(s, term, &why);
                if (r >= 0)
                        r = strprintf_to(&rejected, "; %s", why);
        }
        if (r < 0)
                return r;
        return strprintf_to(ret, "%s: %u vCPU%s %s, %s of %u CPUs committed%s%s%s", nodes, s->g->n_vcpus,
                            s->g->n_vcpus == 1 ? "" : "s",
                            s->g->n_vcpus <= c->n_cpus ? "fit" : "are more than the host has CPUs", commit, c->n_cpus,
                            room ?: "", c->n > 1 && c->fits ? "; fewer nodes do not fit" : "", rejected ?: "");
}

static int choose_constrained(PlacementGuest *g, const IdSet *constraint) {
        _cleanup_free_ char *nodes = NULL;
        int r;

        r = format_nodes(constraint, &nodes);
        if (r < 0)
                return r;
        g->memo->nodes = *constraint;
        return strprintf_to(&g->reason, "%s: its %s binds it there", nodes,
                            g->guest->n_cells > 0 ? "guest NUMA cells or numatune" : "numatune");
}

static int choose_best(Placement *p, PlacementGuest *g) {
        uint64_t enough = MAX(RESIDENT_MINIMUM, g->guest->starting ? g->guest->max_bytes / 4 : 0);
        Search s = {
                .p = p,
                .g = g,
                .resident_counts = g->resident_bytes != UNKNOWN_U64 && g->resident_bytes >= enough,
        };

        search(&s);
        if (!s.best.fits) {
                s.ignore_memory = true;
                search(&s);
        }
        g->memo->nodes = s.best.nodes;
        return format_choice(&s, &g->reason);
}

int placement_choose(Placement *p, PlacementGuest *g) {
        IdSet constraint;
        int r;

        if (placement_constraint(p, g->guest, &constraint))
                r = choose_constrained(g, &constraint);
        else
                r = choose_best(p, g);
        if (r < 0)
                return r;
        g->memo->placed_usec = p->now_usec;
        g->fresh = true;
        placement_account_nodes(p, g, &g->memo->nodes);
        return 0;
}
