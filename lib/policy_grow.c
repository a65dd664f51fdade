/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_nodes.h"

/*
 * How a set of nodes grows from its seed: by the nearest further node; of equally near ones by one with which it
 * fits; of those by the one with which it has the fewest vCPUs a CPU, and then by the one with the most room.
 *
 * Where memory is short, every node is the seed of a set that grows to a large part of the host. So what a node
 * would add is looked up once a search, and how far it is from the set is summed up as the set grows. What comes next
 * depends on the nodes of the set alone, not on its seed, where distances are symmetric: a set by which another seed
 * came already is not grown again.
 */

typedef struct Growth {
        const Search *s;
        Candidate *c;
        uint16_t *left;                 /* nodes that may come next, by number */
        size_t n_left;
        uint64_t resident_bytes;        /* of the guest, on the set's nodes */
        uint64_t nodes;                 /* a bit for each, by index, where there are few enough */
} Growth;

static void look_up_resident(const Search *s) {
        const Topology *t = s->p->topology;
        const Guest *guest = s->g->guest;

        for (size_t i = 0; i < guest->n_node_memory; i++) {
                const TopologyNode *n = topology_node(t, guest->node_memory[i].node);
                PlacementShare *share = n ? &s->p->shares[n - t->nodes] : NULL;

                if (share)
                        share->resident_bytes = u64_add(share->resident_bytes, guest->node_memory[i].bytes);
        }
}

static void look_up(Search *s) {
        if (s->looked_up)
                return;
        s->looked_up = true;
        if (s->p->n_grown)
                memset(s->p->n_grown, 0, s->p->n_nodes * sizeof(*s->p->n_grown));
        for (size_t i = 0; i < s->p->n_nodes; i++) {
                const PlacementNode *n = &s->p->nodes[i];
                unsigned n_cpus = candidate_may_have(s, n) ? placement_capacity(s->p, s->g, n) : 0;

                s->p->shares[i] = (PlacementShare){
                        .n_cpus = n_cpus,
                        .commit_milli = n_cpus > 0 ? candidate_part_of(s, n, n->commit_milli, n_cpus) : 0,
                        .room_bytes = candidate_room(n, s->g->guest),
                };
        }
        if (s->need_varies)
                look_up_resident(s);
}

static uint64_t need_with(const Growth *w, uint64_t resident) {
        return u64_sub(w->s->need_bytes, resident);
}

static void take_out(Growth *w, size_t node) {
        size_t at = 0;

        while (at < w->n_left && w->left[at] != node)
                at++;
        if (at == w->n_left)
                return;
        w->n_left--;
        memmove(&w->left[at], &w->left[at + 1], (w->n_left - at) * sizeof(*w->left));
}

static void note_added(Growth *w, const PlacementNode *n) {
        PlacementShare *shares = w->s->p->shares, *memory = &shares[n->memory_at];
        const Topology *t = w->s->p->topology;
        const uint16_t *distances = &t->distances[n->index * t->n_nodes];

        if (!memory->memory_counts)
                w->resident_bytes = u64_add(w->resident_bytes, memory->resident_bytes);
        memory->memory_counts = true;
        if (w->s->p->grown)
                w->nodes |= UINT64_C(1) << n->index;
        take_out(w, n->index);
        for (size_t i = 0; i < w->n_left; i++)
                shares[w->left[i]].distance += distances[w->left[i]];
}

static void begin(Growth *w, const PlacementNode *seed) {
        PlacementShare *shares = w->s->p->shares;

        w->left = w->s->p->left;
        w->n_left = 0;
        for (size_t i = 0; i < w->s->p->n_nodes; i++) {
                shares[i].memory_counts = false;
                shares[i].distance = 0;
                if (shares[i].n_cpus > 0)
                        w->left[w->n_left++] = (uint16_t)i;
        }
        note_added(w, seed);
}

static void add(Growth *w, const PlacementNode *n) {
        const PlacementShare *share = &w->s->p->shares[n->index];

        candidate_take(w->s, w->c, n, &(CandidateGain){
                .n_cpus = share->n_cpus,
                .distance = share->distance,
                .memory = !w->s->p->shares[n->memory_at].memory_counts,
        });
        note_added(w, n);
        candidate_settle(w->s, w->c, need_with(w, w->resident_bytes));
}

/* How good a node is as the next one of a set; less is better, compared in this order. */
typedef struct Step {
        uint64_t distance, unfit, commit_milli, room_left;
        unsigned n_cpus;
} Step;

static Step step_of(const Growth *w, size_t node) {
        const Search *s = w->s;
        const PlacementShare *share = &s->p->shares[node], *memory = &s->p->shares[s->p->nodes[node].memory_at];
        uint64_t commit_milli = w->c->commit_milli + share->commit_milli;
        uint64_t room = w->c->room_bytes, resident = w->resident_bytes;
        unsigned n_cpus = w->c->n_cpus + share->n_cpus;
        bool memory_fits;

        if (!memory->memory_counts) {
                room = u64_add(room, memory->room_bytes);
                resident = u64_add(resident, memory->resident_bytes);
        }
        memory_fits = s->ignore_memory || s->memory_elsewhere || need_with(w, resident) <= room;
        return (Step){
                .distance = share->distance,
                .unfit = !memory_fits || !candidate_cpus_fit(s, n_cpus, commit_milli),
                .commit_milli = commit_milli,
                .room_left = UINT64_MAX - room,
                .n_cpus = n_cpus,
        };
}

static uint64_t commit_of(const Step *step) {
        return u64_muldiv(step->commit_milli, PERMYRIAD_FULL, step->n_cpus);
}

/* Negative: @a has fewer vCPUs a CPU, in permyriad. With as many CPUs these differ where the thousandths do. */
static int compare_commit(const Step *a, const Step *b) {
        bool alike = a->n_cpus == b->n_cpus && a->n_cpus <= PERMYRIAD_FULL;
        uint64_t one = alike ? a->commit_milli : commit_of(a), other = alike ? b->commit_milli : commit_of(b);

        return (one > other) - (one < other);
}

static bool step_is_better(const Step *a, const Step *b) {
        int commit;

        if (a->distance != b->distance)
                return a->distance < b->distance;
        if (a->unfit != b->unfit)
                return a->unfit < b->unfit;
        commit = compare_commit(a, b);
        if (commit != 0)
                return commit < 0;
        return a->room_left < b->room_left;
}

static const PlacementNode *next_node(const Growth *w) {
        const Placement *p = w->s->p;
        size_t best = SIZE_MAX;
        Step best_step = { 0 };

        for (size_t i = 0; i < w->n_left; i++) {
                size_t node = w->left[i];
                Step step;

                if (best != SIZE_MAX && p->shares[node].distance > best_step.distance)
                        continue;
                step = step_of(w, node);
                if (best != SIZE_MAX && !step_is_better(&step, &best_step))
                        continue;
                best = node;
                best_step = step;
        }
        return best == SIZE_MAX ? NULL : &p->nodes[best];
}

/* With memory-only nodes, only as many others as the vCPUs need. */
static bool is_complete(const Search *s, const Candidate *c) {
        return c->fits || (s->overflow && c->cpus_fit);
}

/* Two sets fit that have fewer nodes than @c will have: it is neither the best one nor the next. */
static bool is_outdone(const Search *s, const Candidate *c) {
        return !s->list && !s->overflow && s->n_candidates > 1 && s->second.fits && s->second.n <= c->n;
}

/* Notes that @w came by. */
static bool was_grown(const Growth *w) {
        const Search *s = w->s;
        uint64_t *sets;
        unsigned *n;

        if (!s->p->grown || s->list || s->overflow)
                return false;
        sets = &s->p->grown[(w->c->n - 1) * s->p->n_nodes];
        n = &s->p->n_grown[w->c->n - 1];
        for (unsigned i = 0; i < *n; i++)
                if (sets[i] == w->nodes)
                        return true;
        sets[(*n)++] = w->nodes;
        return false;
}

bool candidate_grow(Search *s, Candidate *c, const PlacementNode *seed) {
        Growth w = { .s = s, .c = c };
        const PlacementNode *next;

        candidate_add(s, c, seed);
        (void)candidate_fits(s, c);
        if (is_complete(s, c))
                return true;
        candidate_list_partial(s, c);
        if (is_outdone(s, c))
                return false;
        look_up(s);
        begin(&w, seed);
        while (!is_complete(s, c) && (next = next_node(&w))) {
                if (is_outdone(s, c))
                        return false;
                add(&w, next);
                if (was_grown(&w))
                        return false;
        }
        return true;
}
