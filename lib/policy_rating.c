/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_nodes.h"

/*
 * The scores of a set of nodes, and the order of sets. Of two the better one is
 * the one that
 *
 *   1. fits: a CPU for each vCPU, a node for each NUMA cell, room for the memory,
 *      no more vCPUs than cpu.overcommit allows;
 *   2. has fewer nodes;
 *   3. has room also when the running guests placed there touch all that their
 *      balloons leave them, and this one as well;
 *   4. is nearer to the guest's devices, or to the nodes without CPUs to which
 *      its memory is bound;
 *   5. does less harm: a quarter of the part of its memory that would be
 *      remote (what that costs a vCPU of its time), plus the vCPUs beyond one a
 *      CPU, in steps of 5 % of that memory. Remote is what a running guest has
 *      elsewhere, what CPUs on nodes without memory use, and what would lie on
 *      memory-only nodes;
 *   6. has the lesser mean distance between its nodes;
 *   7. has fewer vCPUs a CPU, this guest included;
 *   8. has the lesser measured CPU load;
 *   9. has more free memory that nobody was promised;
 *  10. has the lower node numbers, so that ties always break the same way.
 *
 * For a guest whose memory is there already, 5 comes before 4: a device holds
 * the memory where it is, and the CPUs follow. When no set has room for the
 * memory, free memory decides before everything but size; when none keeps to
 * cpu.overcommit, vCPUs a CPU do.
 *
 * What a balloon may still give back to a guest is promised to nobody: the host
 * decides when that is, by what is free then.
 */

static uint64_t mean_distance(const Candidate *c) {
        unsigned n = c->n + c->n_extra, pairs = n * (n - 1) / 2;

        return n > 1 ? c->pair_distance * 10 / pairs : 0;
}

/* Index of @id among the nodes; n_nodes: it is none. */
static size_t index_of(const Placement *p, unsigned id) {
        size_t i = 0;

        while (i < p->n_nodes && p->nodes[i].id != id)
                i++;
        return i;
}

/* Sum over the nodes to be near to: the distance of the nearest node of the set. */
static uint64_t distance_to_near(const Search *s, const Candidate *c) {
        uint64_t sum = 0;

        if (!s->near_counts)
                return 0;
        IDSET_FOREACH(node, &s->near) {
                size_t to = index_of(s->p, (unsigned)node);
                unsigned best = UINT32_MAX;

                if (to == s->p->n_nodes)
                        continue;
                for (size_t i = 0; i < s->p->n_nodes; i++)
                        if (idset_contains(&c->nodes, s->p->nodes[i].id))
                                best = MIN(best, topology_distance(s->p->topology, i, to));
                sum += best;
        }
        return sum;
}

static uint64_t remote_part(const Search *s, const Candidate *c) {
        uint64_t resident = s->g->resident_bytes, part = 0, own_room = c->room_bytes;
        const IdSet *memory;
        IdSet buffer;

        memory = candidate_memory(s, c, &buffer);
        if (s->resident_counts)
                part = u64_muldiv(u64_sub(resident, placement_resident_on(s->g->guest, memory)), PERMYRIAD_FULL,
                                  resident);
        part += u64_muldiv(c->far_cpus, PERMYRIAD_FULL, c->n_cpus);
        for (unsigned i = 0; i < c->n_extra; i++)
                own_room = u64_sub(own_room, candidate_room(&s->p->nodes[c->extra[i]], s->g->guest));
        if (c->n_extra > 0)
                part += u64_muldiv(u64_sub(c->need_bytes, own_room), PERMYRIAD_FULL, c->need_bytes);
        return MIN(part, (uint64_t)PERMYRIAD_FULL);
}

static bool promises_kept(const Search *s, const Candidate *c) {
        if (s->memory_elsewhere || s->g->guest->hugepages || c->room_bytes == UINT64_MAX)
                return true;
        return u64_add(c->need_bytes, s->untouched_bytes) <= c->spare;
}

void candidate_rate(const Search *s, Candidate *c) {
        c->distance = mean_distance(c);
        c->commit = u64_muldiv(c->commit_milli + (uint64_t)s->g->n_vcpus * PLACEMENT_MILLI,
                               PERMYRIAD_FULL, (uint64_t)c->n_cpus * PLACEMENT_MILLI);
        c->load = c->busy_permyriad / MAX(c->n_cpus, 1U) / 100 * 100;
        c->spare = s->g->guest->hugepages || c->room_bytes == UINT64_MAX ? c->room_bytes
                                                                         : u64_sub(c->room_bytes, c->promised_bytes);
        c->promises_kept = promises_kept(s, c);
        c->near = distance_to_near(s, c);
        if (!s->harm_counts)
                return;
        c->remote_permyriad = remote_part(s, c);
        c->harm = (permyriad_of(c->remote_permyriad, PLACEMENT_REMOTE_LOSS_PERMYRIAD) +
                   u64_sub(c->commit, PERMYRIAD_FULL)) / HARM_STEP_PERMYRIAD;
}

/* Which of two has less of it; the end of the comparison, unless it is the same, as most is. */
#define DECIDE_BY(term, x, y)                                                  \
        do {                                                                   \
                if ((x) != (y)) {                                              \
                        *ret_term = (term);                                    \
                        return (x) < (y) ? -1 : 1;                             \
                }                                                              \
        } while (0)

/* The set that has the lowest number in which they differ. */
static int order_numbers(const Candidate *a, const Candidate *b, PlacementTerm *ret_term) {
        int number = idset_next_difference(&a->nodes, &b->nodes);

        *ret_term = number < 0 ? TERM_NONE : TERM_NUMBER;
        if (number < 0)
                return 0;
        return idset_contains(&a->nodes, (unsigned)number) ? -1 : 1;
}

int candidate_order(const Search *s, const Candidate *a, const Candidate *b, PlacementTerm *ret_term) {
        DECIDE_BY(TERM_FITS, !a->fits, !b->fits);
        DECIDE_BY(TERM_SIZE, a->n, b->n);
        if (s->ignore_memory)
                DECIDE_BY(TERM_ROOM, b->room_bytes, a->room_bytes);
        if (s->ignore_overcommit)
                DECIDE_BY(TERM_COMMIT, a->commit, b->commit);
        if (!s->ignore_memory)
                DECIDE_BY(TERM_PROMISED, !a->promises_kept, !b->promises_kept);
        if (!s->resident_counts)
                DECIDE_BY(TERM_NEAR, a->near, b->near);
        DECIDE_BY(TERM_HARM, a->harm, b->harm);
        DECIDE_BY(TERM_NEAR, a->near, b->near);
        DECIDE_BY(TERM_DISTANCE, a->distance, b->distance);
        DECIDE_BY(TERM_COMMIT, a->commit, b->commit);
        DECIDE_BY(TERM_LOAD, a->load, b->load);
        DECIDE_BY(TERM_ROOM, b->spare, a->spare);
        return order_numbers(a, b, ret_term);
}
