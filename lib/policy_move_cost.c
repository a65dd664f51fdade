/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "parse.h"
#include "policy_move.h"

#include <inttypes.h>

/*
 * What a move is worth, in one unit: CPU time, in permyriad of one CPU.
 *
 *   waiting    Vcpus of a node that are runnable while all its CPUs are taken. With N independent vCPUs of demand
 *              d each, the number R of runnable ones has mean m = sum(d) and variance v = sum(d (1 - d)); with c
 *              CPUs E[max(R - c, 0)] <= (sqrt(v + (m - c)^2) + m - c) / 2, tight among all distributions with
 *              that mean and variance (H. Scarf, "A min-max solution of an inventory problem", 1958). No vCPU
 *              waits where each has a CPU. The measured waiting is scaled as the model changes. It counts more the
 *              more of its time a vCPU waits, once again in proportion: two nodes without an idle CPU lose the same
 *              time in sum whoever is where, but not each guest of them.
 *   remote     A vCPU is held to lose a quarter of its time (PLACEMENT_REMOTE_LOSS_PERMYRIAD) when all its memory is
 *              twice as far as local memory (SLIT 20), in proportion to the share that is remote and to the
 *              distance beyond local. On nodes without memory what is nearest is remote, too.
 *   shortage   A node whose free memory is below its share of the host's reserve stalls whoever allocates there:
 *              counted as one CPU, in proportion to how much of what is missing goes elsewhere.
 *   copying    The bytes at numa.move_rate, during all of which a CPU is taken as busy, spread over the hour in
 *              which a move has to pay.
 */

#define LOCAL_DISTANCE 10U              /* ACPI SLIT */
#define SHORTAGE_PERMYRIAD 10000
#define PAYBACK_USEC USEC_PER_HOUR
#define SCORE_STEP_PERMYRIAD 100

/* Remote memory up to this is left: the guest would not notice, and QEMU's own pages always lie about a little. */
#define REMOTE_PERMYRIAD 500U
#define REMOTE_MINIMUM (4 * MIB)

NodeList move_node_list(const Placement *p, const IdSet *nodes, uint16_t *buffer) {
        NodeList list = { .at = buffer };

        for (size_t i = 0; i < p->n_nodes; i++)
                if (p->nodes[i].n_cpus > 0 && idset_contains(nodes, p->nodes[i].id))
                        buffer[list.n++] = (uint16_t)i;
        return list;
}

uint64_t move_demand(const PlacementGuest *g) {
        return g->load_known ? g->demand_permyriad : (uint64_t)g->n_vcpus * PERMYRIAD_FULL;
}

uint64_t move_remote_bytes(const PlacementGuest *g, const IdSet *nodes) {
        uint64_t remote = u64_sub(g->resident_bytes, placement_resident_on(g->guest, nodes));

        return u64_sub(remote, g->memo->unmovable_bytes);
}

bool move_is_remote(const PlacementGuest *g, uint64_t remote_bytes) {
        return remote_bytes > MAX(permyriad_of(g->resident_bytes, REMOTE_PERMYRIAD), REMOTE_MINIMUM);
}

static uint64_t square_root(uint64_t x) {
        uint64_t root = 0, bit = x > 0 ? UINT64_C(1) << (63 - __builtin_clzll(x)) / 2 : 0;

        for (; bit > 0; bit >>= 1)
                if ((root | bit) * (root | bit) <= x)
                        root |= bit;
        return root;
}

/* Demand and variance as in PlacementNode. */
static uint64_t model_wait(uint64_t n_cpus, uint64_t demand, uint64_t variance, uint64_t commit_milli) {
        uint64_t capacity = n_cpus * PERMYRIAD_FULL;
        uint64_t off = MAX(demand, capacity) - MIN(demand, capacity), root;

        if (commit_milli <= n_cpus * PLACEMENT_MILLI)
                return 0;
        root = square_root(u64_add(variance, off * off));
        return (demand > capacity ? root + off : u64_sub(root, off)) / 2;
}

void move_model_node(PlacementNode *n) {
        n->model_wait_permyriad = model_wait(n->n_cpus, n->demand_permyriad, n->variance, n->commit_milli);
}

/* A guest, or its part that runs on one node. */
typedef struct Part {
        uint64_t demand, variance, commit_milli;
} Part;

static Part part_of(const PlacementGuest *g, uint64_t n_cpus, uint64_t of_cpus) {
        uint64_t mean = g->n_vcpus > 0 ? MIN(g->demand_permyriad / g->n_vcpus, (uint64_t)PERMYRIAD_FULL) : 0;

        return (Part){
                .demand = u64_muldiv(g->demand_permyriad, n_cpus, of_cpus),
                .variance = u64_muldiv(g->demand_permyriad * (PERMYRIAD_FULL - mean), n_cpus, of_cpus),
                .commit_milli = u64_muldiv((uint64_t)g->n_vcpus * PLACEMENT_MILLI, n_cpus, of_cpus),
        };
}

uint64_t move_wait_cost(uint64_t wait, uint64_t demand) {
        return u64_add(wait, u64_muldiv(wait, wait, MAX(demand, wait)));
}

/*
 * What waits on @n after @out has left and @in has come. What is measured is
 * scaled as the model changes, but a guest that goes takes no more with it, and
 * one that comes brings no more, than all its demand.
 */
static uint64_t wait_after(const PlacementNode *n, uint64_t before, const Part *out, const Part *in) {
        uint64_t model = n->model_wait_permyriad, change;
        uint64_t after = model_wait(n->n_cpus, u64_sub(n->demand_permyriad, out->demand) + in->demand,
                                    u64_sub(n->variance, out->variance) + in->variance,
                                    u64_sub(n->commit_milli, out->commit_milli) + in->commit_milli);

        change = MAX(after, model) - MIN(after, model);
        if (model > 0)
                change = MAX(change, u64_muldiv(before, change, model));
        if (after > model)
                return before + MIN(change, in->demand);
        /* Waiting that the model does not explain goes with the demand. */
        if (model == 0 && out->demand > in->demand)
                change = before;
        return u64_sub(before, MIN(change, u64_sub(out->demand, in->demand)));
}

/* Less waiting on @n when @out leaves and @in comes. */
static int64_t wait_gain(const PlacementNode *n, const Part *out, const Part *in) {
        uint64_t before = MAX(n->model_wait_permyriad, n->wait_permyriad), after = wait_after(n, before, out, in);

        return (int64_t)move_wait_cost(before, n->demand_permyriad) -
               (int64_t)move_wait_cost(after, u64_sub(n->demand_permyriad, out->demand) + in->demand);
}

static uint64_t cpus_of(const Placement *p, const NodeList *list) {
        uint64_t n = 0;

        for (size_t i = 0; i < list->n; i++)
                n += p->nodes[list->at[i]].n_cpus;
        return n;
}

static bool is_in(const NodeList *list, size_t node) {
        for (size_t i = 0; i < list->n; i++)
                if (list->at[i] == node)
                        return true;
        return false;
}

static int64_t wait_gain_of_move(const Placement *p, const PlacementGuest *g, const NodeList *from,
                                 const NodeList *to) {
        uint64_t cpus_from = cpus_of(p, from), cpus_to = cpus_of(p, to);
        const Part none = { 0 };
        int64_t gain = 0;

        for (size_t i = 0; i < from->n; i++) {
                const PlacementNode *n = &p->nodes[from->at[i]];
                Part out = part_of(g, n->n_cpus, cpus_from), in = none;

                if (is_in(to, from->at[i]))
                        in = part_of(g, n->n_cpus, cpus_to);
                gain += wait_gain(n, &out, &in);
        }
        for (size_t i = 0; i < to->n; i++) {
                const PlacementNode *n = &p->nodes[to->at[i]];
                Part in = part_of(g, n->n_cpus, cpus_to);

                if (!is_in(from, to->at[i]))
                        gain += wait_gain(n, &none, &in);
        }
        return gain;
}

/* Index of node @id, or n_nodes. */
static size_t node_index(const Placement *p, unsigned id) {
        size_t low = 0, high = p->n_nodes;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (p->nodes[middle].id < id)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < p->n_nodes && p->nodes[low].id == id ? low : p->n_nodes;
}

/* How much farther than local node @node is from @cpus, in tenths; a remote node is never as near as the own. */
static uint64_t excess_distance(const Placement *p, const NodeList *cpus, size_t node) {
        uint64_t sum = 0;

        if (node == p->n_nodes)
                return LOCAL_DISTANCE;
        for (size_t i = 0; i < cpus->n; i++)
                sum += MAX(topology_distance(p->topology, p->nodes[cpus->at[i]].index, p->nodes[node].index),
                           LOCAL_DISTANCE + 1) - LOCAL_DISTANCE;
        return cpus->n > 0 ? sum / cpus->n : 0;
}

/* What @g loses on @cpus with its memory where it is. */
static uint64_t remote_loss(const Placement *p, const PlacementGuest *g, const NodeList *cpus) {
        uint64_t sum = 0;

        if (g->resident_bytes == UNKNOWN_U64 || g->resident_bytes == 0)
                return 0;
        for (size_t i = 0; i < g->guest->n_node_memory; i++) {
                const GuestNodeMemory *m = &g->guest->node_memory[i];
                size_t node = node_index(p, m->node);

                if (m->bytes > 0 && !is_in(cpus, node))
                        sum = u64_add(sum, u64_muldiv(m->bytes, excess_distance(p, cpus, node), 1));
        }
        return u64_muldiv(permyriad_of(move_demand(g), PLACEMENT_REMOTE_LOSS_PERMYRIAD), sum,
                          u64_muldiv(g->resident_bytes, LOCAL_DISTANCE, 1));
}

/* What @g loses on @cpus all the same when its memory has come as near as it can: beside nodes that have none. */
static uint64_t least_loss(const Placement *p, const PlacementGuest *g, const NodeList *cpus) {
        uint64_t sum = 0;

        if (p->plain || g->resident_bytes == UNKNOWN_U64 || g->resident_bytes == 0)
                return 0;
        for (size_t i = 0; i < cpus->n; i++) {
                NodeList one = { .at = &cpus->at[i], .n = 1 };
                size_t memory = p->nodes[cpus->at[i]].memory_at;

                if (!is_in(cpus, memory))
                        sum += excess_distance(p, &one, memory);
        }
        return u64_muldiv(permyriad_of(move_demand(g), PLACEMENT_REMOTE_LOSS_PERMYRIAD), sum,
                          cpus->n * LOCAL_DISTANCE);
}

/* Less shortage when @g's memory leaves every node but those in @to; huge pages go back to their node's pool. */
static int64_t shortage_gain(const Placement *p, const PlacementGuest *g, const IdSet *to) {
        int64_t gain = 0;

        if (g->guest->hugepages)
                return 0;
        for (size_t i = 0; i < g->guest->n_node_memory; i++) {
                const GuestNodeMemory *m = &g->guest->node_memory[i];
                size_t node = node_index(p, m->node);
                uint64_t missing = node < p->n_nodes ? p->nodes[node].short_bytes : 0;

                if (missing > 0 && !idset_contains(to, m->node))
                        gain += (int64_t)u64_muldiv(SHORTAGE_PERMYRIAD, MIN(m->bytes, missing), missing);
        }
        return gain;
}

static void rate(MoveValue *v, const PlacementGuest *g) {
        uint64_t usec = u64_muldiv(v->bytes, USEC_PER_SEC, setting(g->settings, KEY_NUMA_MOVE_RATE));

        v->score = v->wait + v->remote + v->shortage -
                   (int64_t)MIN(u64_muldiv(usec, PERMYRIAD_FULL, PAYBACK_USEC), (uint64_t)INT32_MAX);
}

MoveValue move_value_of_memory(const Placement *p, const PlacementGuest *g, const NodeList *home) {
        IdSet nodes = placement_memory_nodes(p, g);
        MoveValue v = {
                .bytes = move_remote_bytes(g, &nodes),
                .remote = (int64_t)remote_loss(p, g, home) - (int64_t)least_loss(p, g, home),
                .shortage = shortage_gain(p, g, &nodes),
        };

        rate(&v, g);
        return v;
}

IdSet move_memory_of(const Placement *p, const NodeList *list) {
        IdSet set = IDSET_EMPTY;

        for (size_t i = 0; i < list->n; i++)
                (void)idset_add(&set, p->nodes[p->nodes[list->at[i]].memory_at].id);
        return set;
}

/* All but the waiting. */
static MoveValue value_of_memory_at(const Placement *p, const PlacementGuest *g, const NodeList *from,
                                    const NodeList *to) {
        MoveValue v = { .remote = (int64_t)remote_loss(p, g, from) };
        IdSet memory = move_memory_of(p, to);

        if (g->movable && placement_follows_memory(g)) {
                v.bytes = placement_need(g, &memory);
                v.remote -= (int64_t)least_loss(p, g, to);
                v.shortage = shortage_gain(p, g, &memory);
        } else
                v.remote -= (int64_t)remote_loss(p, g, to);
        return v;
}

MoveValue move_value(const Placement *p, const PlacementGuest *g, const NodeList *from, const NodeList *to) {
        MoveValue v = value_of_memory_at(p, g, from, to);

        v.wait = wait_gain_of_move(p, g, from, to);
        rate(&v, g);
        return v;
}

MoveValue move_value_of_swap(const Placement *p, const PlacementGuest *a, const PlacementGuest *b,
                             const NodeList *from, const NodeList *to) {
        MoveValue v = value_of_memory_at(p, a, from, to), w = value_of_memory_at(p, b, to, from);
        Part part_a = part_of(a, 1, 1), part_b = part_of(b, 1, 1);

        rate(&v, a);
        rate(&w, b);
        v.wait = wait_gain(&p->nodes[from->at[0]], &part_a, &part_b) +
                 wait_gain(&p->nodes[to->at[0]], &part_b, &part_a);
        v.score += w.score + v.wait;
        v.bytes = u64_add(v.bytes, w.bytes);
        v.remote += w.remote;
        v.shortage += w.shortage;
        return v;
}

int move_value_order(const MoveValue *a, const MoveValue *b) {
        int64_t x = a->score / SCORE_STEP_PERMYRIAD, y = b->score / SCORE_STEP_PERMYRIAD;

        if (x != y)
                return x > y ? -1 : 1;
        return (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

int move_value_format(const MoveValue *v, char **ret) {
        char bytes[FORMAT_BYTES_MAX];

        return strprintf_to(ret, "gains %" PRId64 ".%" PRId64 " %% of one CPU for %s to copy",
                            MAX(v->wait + v->remote + v->shortage, INT64_C(0)) / 100,
                            MAX(v->wait + v->remote + v->shortage, INT64_C(0)) / 10 % 10,
                            v->bytes > 0 ? format_bytes_short(v->bytes, bytes) : "nothing");
}
