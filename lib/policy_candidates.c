/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_nodes.h"

/*
 * The sets of nodes that come into question for a guest. Every node is the seed
 * of one candidate, which takes in the nearest further node (policy_grow.c) until
 * the vCPUs have a CPU each and the memory has room; for a guest with NUMA cells,
 * a node for each of them (policy_cells.c). The best of them is kept, and the one
 * after it, for the reason (policy_rating.c has the order).
 *
 * A set fits when it has a CPU for each vCPU, the memory has room, and its
 * CPUs, with this guest on them, carry no more vCPUs than cpu.overcommit allows
 * (nova's cpu_allocation_ratio, here for each set of nodes). When no set has the
 * memory and numa.memory_only is overflow, each set has as many nodes as the
 * CPUs need, and the nearest memory-only nodes count as room. When no set keeps
 * to cpu.overcommit, the least committed one is taken; when none has the
 * memory, the search goes by CPUs alone and free memory decides before
 * everything but size.
 *
 * For a dedicated guest, CPUs are those that could become its own.
 */

/* ---- sets of nodes ---- */

bool candidate_may_have(const Search *s, const PlacementNode *n) {
        if (placement_capacity(s->p, s->g, n) == 0)
                return false;
        return !s->limited || !s->any_allowed || placement_allows(s->p, s->g, n);
}

uint64_t candidate_room(const PlacementNode *n, const Guest *g) {
        return u64_sub(placement_room(n, g), n->memory_known ? n->pending_bytes : 0);
}

const IdSet *candidate_memory(const Search *s, const Candidate *c, IdSet *buffer) {
        if (s->p->plain && c->n_extra == 0)
                return &c->nodes;
        *buffer = placement_memory_of(s->p, &c->nodes);
        for (unsigned i = 0; i < c->n_extra; i++)
                (void)idset_add(buffer, s->p->nodes[c->extra[i]].id);
        return buffer;
}

/* The memory of the node with index @at counts already. */
static bool has_memory_of(const Search *s, const Candidate *c, size_t at) {
        for (size_t i = 0; i < s->p->n_nodes; i++)
                if (s->p->nodes[i].memory_at == at && idset_contains(&c->nodes, s->p->nodes[i].id))
                        return true;
        return false;
}

static uint64_t distance_from(const Search *s, const Candidate *c, const PlacementNode *n) {
        uint64_t sum = 0;

        for (size_t i = 0; i < s->p->n_nodes; i++)
                if (idset_contains(&c->nodes, s->p->nodes[i].id))
                        sum += topology_distance(s->p->topology, i, n->index);
        for (unsigned i = 0; i < c->n_extra; i++)
                sum += topology_distance(s->p->topology, c->extra[i], n->index);
        return sum;
}

static void add_memory(const Search *s, Candidate *c, const PlacementNode *n) {
        c->room_bytes = u64_add(c->room_bytes, candidate_room(n, s->g->guest));
        c->promised_bytes = u64_add(c->promised_bytes, n->promised_bytes);
}

uint64_t candidate_part_of(const Search *s, const PlacementNode *n, uint64_t whole, unsigned n_cpus) {
        return s->g->cpus_limited && !s->g->dedicated ? u64_muldiv(whole, n_cpus, n->n_cpus) : whole;
}

void candidate_take(const Search *s, Candidate *c, const PlacementNode *n, const CandidateGain *gain) {
        if (gain->memory)
                add_memory(s, c, &s->p->nodes[n->memory_at]);
        c->pair_distance += gain->distance;
        (void)idset_add(&c->nodes, n->id);
        c->n++;
        c->n_cpus += gain->n_cpus;
        c->far_cpus += n->has_memory ? 0 : gain->n_cpus;
        c->commit_milli += candidate_part_of(s, n, n->commit_milli, gain->n_cpus);
        c->busy_permyriad += candidate_part_of(s, n, n->busy_permyriad, gain->n_cpus);
}

void candidate_add(const Search *s, Candidate *c, const PlacementNode *n) {
        candidate_take(s, c, n, &(CandidateGain){
                .n_cpus = placement_capacity(s->p, s->g, n),
                .distance = c->n > 0 ? distance_from(s, c, n) : 0,
                .memory = s->p->plain || !has_memory_of(s, c, n->memory_at),
        });
}

/* Beyond cpu.overcommit with this guest on it. CPUs of its own are not overcommitted. */
static bool is_overcommitted(const Search *s, unsigned n_cpus, uint64_t commit_milli) {
        uint64_t ratio = setting(s->g->settings, KEY_CPU_OVERCOMMIT);
        uint64_t limit = permyriad_of((uint64_t)n_cpus * PLACEMENT_MILLI, ratio);

        return !s->g->dedicated && commit_milli + (uint64_t)s->g->n_vcpus * PLACEMENT_MILLI > limit;
}

bool candidate_cpus_fit(const Search *s, unsigned n_cpus, uint64_t commit_milli) {
        return placement_wanted(s->g) <= n_cpus &&
               (s->ignore_overcommit || !is_overcommitted(s, n_cpus, commit_milli));
}

void candidate_settle(const Search *s, Candidate *c, uint64_t need_bytes) {
        c->need_bytes = need_bytes;
        c->cpus_fit = c->unfit_cells == 0 && candidate_cpus_fit(s, c->n_cpus, c->commit_milli);
        c->memory_fits = s->memory_elsewhere || c->need_bytes <= c->room_bytes;
        c->fits = c->cpus_fit && (s->ignore_memory || c->memory_fits);
}

bool candidate_fits(const Search *s, Candidate *c) {
        uint64_t need = s->need_bytes;
        IdSet buffer;

        if (s->need_varies)
                need = placement_need(s->g, candidate_memory(s, c, &buffer));
        candidate_settle(s, c, need);
        return c->fits;
}

static void offer(Search *s, const Candidate *c) {
        PlacementTerm term;
        int r;

        if (s->list)
                candidate_list_put(s, c);
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

/* ---- memory-only nodes ---- */

static bool is_memory_only(const Search *s, const PlacementNode *n) {
        return idset_is_empty(&s->p->topology->nodes[n->index].cpus) && n->memory_known && n->has_memory &&
               (idset_is_empty(&s->g->guest->cgroup_mems) || idset_contains(&s->g->guest->cgroup_mems, n->id));
}

/* The nearest one with room that does not count yet; of equally near ones the first. */
static const PlacementNode *next_extra(const Search *s, const Candidate *c) {
        const PlacementNode *best = NULL;
        uint64_t best_distance = UINT64_MAX;

        for (size_t i = 0; i < s->p->n_nodes; i++) {
                const PlacementNode *n = &s->p->nodes[i];
                uint64_t distance = distance_from(s, c, n);
                bool counts = false;

                for (unsigned j = 0; j < c->n_extra; j++)
                        counts = counts || c->extra[j] == n->index;
                if (counts || !is_memory_only(s, n) || candidate_room(n, s->g->guest) == 0 ||
                    distance >= best_distance)
                        continue;
                best = n;
                best_distance = distance;
        }
        return best;
}

static void add_extra(const Search *s, Candidate *c) {
        const PlacementNode *n;

        while (!candidate_fits(s, c) && !c->memory_fits && c->n_extra < EXTRA_NODES_MAX && (n = next_extra(s, c))) {
                c->pair_distance += distance_from(s, c, n);
                add_memory(s, c, n);
                c->extra[c->n_extra++] = (uint16_t)n->index;
        }
}

/* ---- the search ---- */

void candidate_list_partial(Search *s, const Candidate *c) {
        Candidate partial = *c;

        if (!s->list)
                return;
        candidate_rate(s, &partial);
        partial.partial = true;
        candidate_list_put(s, &partial);
}

void candidates_search(Search *s) {
        s->n_candidates = 0;
        s->looked_up = false;
        if (s->list)
                s->list->n = 0;
        for (size_t i = 0; i < s->p->n_nodes; i++) {
                const PlacementNode *seed = &s->p->nodes[i];
                Candidate c = { .seed = (uint16_t)i };

                if (!candidate_may_have(s, seed))
                        continue;
                if (s->cells) {
                        cells_grow(s, &c, seed);
                        (void)candidate_fits(s, &c);
                } else if (!candidate_grow(s, &c, seed))
                        continue;
                if (s->overflow)
                        add_extra(s, &c);
                candidate_rate(s, &c);
                offer(s, &c);
        }
}

Candidate candidate_of(const Search *s, const IdSet *nodes) {
        Candidate c = { 0 };

        for (size_t i = 0; i < s->p->n_nodes; i++)
                if (s->p->nodes[i].n_usable > 0 && idset_contains(nodes, s->p->nodes[i].id))
                        candidate_add(s, &c, &s->p->nodes[i]);
        (void)candidate_fits(s, &c);
        if (s->overflow)
                add_extra(s, &c);
        candidate_rate(s, &c);
        return c;
}

/* ---- giving up what no set has ---- */

/* What all nodes with CPUs together would have to have room for. */
static uint64_t need_of_all(const Search *s) {
        IdSet nodes, memory;

        if (!s->need_varies)
                return s->need_bytes;
        nodes = placement_cpu_nodes(s->p);
        memory = placement_memory_of(s->p, &nodes);
        return placement_need(s->g, &memory);
}

/*
 * Whether no set of nodes can have the memory, or keep to cpu.overcommit: all of them together have not. Known
 * beforehand, that saves a search that would try every set up to the whole host.
 */
static void foresee(Search *s) {
        uint64_t room = 0, spare_milli = 0, ratio = setting(s->g->settings, KEY_CPU_OVERCOMMIT);
        uint64_t need = need_of_all(s), wanted_milli = (uint64_t)s->g->n_vcpus * PLACEMENT_MILLI;

        for (size_t i = 0; i < s->p->n_nodes && (room < need || spare_milli < wanted_milli); i++) {
                const PlacementNode *n = &s->p->nodes[i];
                unsigned n_cpus;

                if (!candidate_may_have(s, n))
                        continue;
                n_cpus = placement_capacity(s->p, s->g, n);
                room = u64_add(room, candidate_room(&s->p->nodes[n->memory_at], s->g->guest));
                spare_milli += u64_sub(permyriad_of((uint64_t)n_cpus * PLACEMENT_MILLI, ratio),
                                       candidate_part_of(s, n, n->commit_milli, n_cpus));
        }
        s->ignore_memory = !s->memory_elsewhere && need > room;
        s->ignore_overcommit = !s->g->dedicated && spare_milli < wanted_milli;
}

/* Memory-only nodes, where the settings allow them. */
static bool search_overflowing(Search *s) {
        if (setting(s->g->settings, KEY_NUMA_MEMORY_ONLY) != MEMORY_ONLY_OVERFLOW || !placement_follows_memory(s->g))
                return false;
        s->ignore_memory = false;
        s->overflow = s->harm_counts = true;
        candidates_search(s);
        if (s->best.fits)
                return true;
        s->overflow = false;
        s->ignore_memory = true;
        return false;
}

void candidates_search_relaxing(Search *s) {
        bool no_memory, no_ratio;

        foresee(s);
        no_memory = s->ignore_memory;
        no_ratio = s->ignore_overcommit;
        if (no_memory && search_overflowing(s))
                return;
        candidates_search(s);
        if (s->best.fits || placement_wanted(s->g) > s->best.n_cpus)
                return;
        if (!no_ratio) {
                s->ignore_overcommit = true;
                candidates_search(s);
        }
        if (!s->best.fits && !no_memory) {
                s->ignore_overcommit = no_ratio;
                s->ignore_memory = true;
                if (search_overflowing(s))
                        return;
                candidates_search(s);
        }
        if (!s->best.fits) {
                s->ignore_memory = s->ignore_overcommit = true;
                candidates_search(s);
        }
}
