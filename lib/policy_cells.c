/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_nodes.h"
#include "state_memo.h"

/*
 * A guest with NUMA cells of its own gets a node for each: the guest's kernel
 * keeps what belongs together in one cell, so one cell's vCPUs and memory on
 * one node make the guest's own placement come true. The largest cell goes to
 * the seed; each further one, largest first, to the node with the fewest cells
 * of this guest, of those to one that it fits, and of those to the nearest.
 * So cells share a node only when there are more cells than nodes. Of cells of
 * equal size the lower one has the lower node number. The distances that the
 * guest is told between its cells are not known here.
 *
 * The guest's memory follows to the nodes of its cells together. Which page
 * belongs to which cell cannot be told from outside with certainty: QEMU maps
 * each cell by itself, but cells of equal size look alike, and the order of
 * the mappings is nobody's promise. What the guest touches first after its
 * vCPUs are pinned lands on the right node; what it touched before stays, as
 * long as it is on any of its nodes.
 *
 * A cell with more vCPUs than the largest node has CPUs has no node. Then the
 * guest is placed as a whole, like one without cells.
 *
 * Largest first finds a node with enough CPUs for each cell whenever there is a
 * map: the nodes that a cell fits are among those that every smaller one fits.
 */

typedef struct CellSize {
        uint16_t cell;
        unsigned vcpus;
        uint64_t memory_bytes;
} CellSize;

static unsigned online_vcpus(const Guest *g, const GuestCell *cell) {
        unsigned n = 0;

        for (size_t i = 0; i < g->n_vcpus; i++)
                n += g->vcpus[i].online && idset_contains(&cell->vcpus, g->vcpus[i].id);
        return n;
}

static int compare_cells(const void *a, const void *b) {
        const CellSize *x = a, *y = b;

        if (x->vcpus != y->vcpus)
                return x->vcpus > y->vcpus ? -1 : 1;
        if (x->memory_bytes != y->memory_bytes)
                return x->memory_bytes > y->memory_bytes ? -1 : 1;
        return (x->cell > y->cell) - (x->cell < y->cell);
}

/* Largest first. @ret has room for GUEST_CELLS_MAX. */
static size_t cells_by_size(const Guest *g, CellSize *ret) {
        for (size_t i = 0; i < g->n_cells; i++)
                ret[i] = (CellSize){ (uint16_t)i, online_vcpus(g, &g->cells[i]), g->cells[i].memory_bytes };
        qsort(ret, g->n_cells, sizeof(*ret), compare_cells);
        return g->n_cells;
}

/* Nodes with at least @vcpus usable CPUs. */
static size_t nodes_with(const Placement *p, const PlacementGuest *g, unsigned vcpus) {
        size_t n = 0;

        for (size_t i = 0; i < p->n_nodes; i++)
                n += p->nodes[i].n_usable >= MAX(vcpus, 1U) && placement_allows(p, g, &p->nodes[i]);
        return n;
}

static bool have_nodes(const Placement *p, const PlacementGuest *g) {
        CellSize sizes[GUEST_CELLS_MAX] = { 0 };
        size_t n_nodes = nodes_with(p, g, 1);

        (void)cells_by_size(g->guest, sizes);
        for (size_t i = 0; i < MIN(g->guest->n_cells, n_nodes); i++)
                if (nodes_with(p, g, sizes[i].vcpus) < i + 1)
                        return false;
        return n_nodes > 1;
}

bool cells_can_map(const Placement *p, const PlacementGuest *g) {
        const Guest *guest = g->guest;
        IdSet bound;

        if (guest->n_cells < 2 || guest->n_cells > GUEST_CELLS_MAX || placement_memory_bound(p, guest, &bound))
                return false;
        return have_nodes(p, g);
}

bool cells_still_valid(const Placement *p, const PlacementGuest *g) {
        const GuestMemo *m = g->memo;
        const Guest *guest = g->guest;
        bool alone = guest->n_cells <= nodes_with(p, g, 1);

        if (m->n_cells != guest->n_cells)
                return false;
        for (size_t i = 0; i < guest->n_cells; i++) {
                size_t at = 0;

                while (at < p->n_nodes && p->nodes[at].id != m->cell_nodes[i])
                        at++;
                if (at == p->n_nodes || p->nodes[at].n_usable == 0 ||
                    !idset_contains(memo_nodes(m), m->cell_nodes[i]))
                        return false;
                if (alone && online_vcpus(guest, &guest->cells[i]) > p->nodes[at].n_usable)
                        return false;
        }
        return true;
}

/* How good a node is for the next cell; less is better, compared in this order. */
typedef struct CellStep {
        uint64_t cells, unfit, distance, commit, room_left;
} CellStep;

static uint64_t distance_of(const Search *s, const Candidate *c, const PlacementNode *n) {
        uint64_t sum = 0;

        for (size_t i = 0; i < s->p->n_nodes; i++)
                if (idset_contains(&c->nodes, s->p->nodes[i].id))
                        sum += topology_distance(s->p->topology, i, n->index);
        return sum;
}

/* s->p->weights holds what the cells so far have put on each node: vCPUs, and above them the number of cells. */
#define CELL_SHIFT 32U

static bool has_cpus_for(const Search *s, const PlacementNode *n, const CellSize *size) {
        return size->vcpus + (uint32_t)s->p->weights[n->index] <= placement_capacity(s->p, s->g, n);
}

static CellStep cell_step(const Search *s, const Candidate *c, const PlacementNode *n, const CellSize *size) {
        uint64_t room = candidate_room(&s->p->nodes[n->memory_at], s->g->guest);
        uint64_t commit = u64_muldiv(n->commit_milli, PERMYRIAD_FULL, MAX(n->n_cpus, 1U));
        bool no_room = s->g->guest->starting && !s->ignore_memory && size->memory_bytes > room;

        return (CellStep){
                .cells = s->p->weights[n->index] >> CELL_SHIFT,
                .unfit = !has_cpus_for(s, n, size) || no_room,
                .distance = distance_of(s, c, n),
                .commit = commit,
                .room_left = UINT64_MAX - room,
        };
}

static bool cell_step_is_better(const CellStep *a, const CellStep *b) {
        if (a->cells != b->cells)
                return a->cells < b->cells;
        if (a->unfit != b->unfit)
                return a->unfit < b->unfit;
        if (a->distance != b->distance)
                return a->distance < b->distance;
        if (a->commit != b->commit)
                return a->commit < b->commit;
        return a->room_left < b->room_left;
}

static const PlacementNode *node_for(const Search *s, const Candidate *c, const CellSize *size) {
        const PlacementNode *best = NULL;
        CellStep best_step = { 0 };

        for (size_t i = 0; i < s->p->n_nodes; i++) {
                const PlacementNode *n = &s->p->nodes[i];
                CellStep step;

                if (!candidate_may_have(s, n))
                        continue;
                step = cell_step(s, c, n, size);
                if (best && !cell_step_is_better(&step, &best_step))
                        continue;
                best = n;
                best_step = step;
        }
        return best;
}

/* @map, if not NULL, gets the node number of each cell. */
static void grow(const Search *s, Candidate *c, const PlacementNode *seed, uint16_t *map) {
        CellSize sizes[GUEST_CELLS_MAX] = { 0 };
        size_t n = cells_by_size(s->g->guest, sizes);

        memset(s->p->weights, 0, s->p->n_nodes * sizeof(*s->p->weights));
        for (size_t i = 0; i < n; i++) {
                const PlacementNode *node = i == 0 ? seed : node_for(s, c, &sizes[i]);

                c->unfit_cells += !has_cpus_for(s, node, &sizes[i]);
                s->p->weights[node->index] += (UINT64_C(1) << CELL_SHIFT) + sizes[i].vcpus;
                if (!idset_contains(&c->nodes, node->id))
                        candidate_add(s, c, node);
                if (map)
                        map[sizes[i].cell] = (uint16_t)node->id;
        }
        /* With more cells than nodes they share as well as can be. */
        if (n > nodes_with(s->p, s->g, 1))
                c->unfit_cells = 0;
}

void cells_grow(const Search *s, Candidate *c, const PlacementNode *seed) {
        grow(s, c, seed, NULL);
}

/* Of cells of equal size, the lower one gets the lower node number. */
static void sort_equal_cells(const Guest *g, uint16_t *map) {
        for (size_t i = 0; i < g->n_cells; i++)
                for (size_t j = i + 1; j < g->n_cells; j++)
                        if (map[i] > map[j] && g->cells[i].memory_bytes == g->cells[j].memory_bytes &&
                            online_vcpus(g, &g->cells[i]) == online_vcpus(g, &g->cells[j])) {
                                uint16_t node = map[i];

                                map[i] = map[j];
                                map[j] = node;
                        }
}

int cells_remember(const Search *s, GuestMemo *m) {
        Candidate again = { 0 };
        int r;

        r = memo_make_cell_nodes(m);
        if (r < 0)
                return r;
        grow(s, &again, &s->p->nodes[s->best.seed], m->cell_nodes);
        sort_equal_cells(s->g->guest, m->cell_nodes);
        m->n_cells = (unsigned)s->g->guest->n_cells;
        return 0;
}

int cells_format(const GuestMemo *m, char **ret) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < m->n_cells; i++)
                r = strprintf_to(ret, "%s%scell %zu on node %u", *ret ?: "", i == 0 ? "" : ", ", i, m->cell_nodes[i]);
        return r;
}
