/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "parse.h"
#include "policy_eligible.h"
#include "policy_move.h"

#include <inttypes.h>

/*
 * Moves of guests that run: vCPUs, emulator, iothreads and, where it can be
 * moved, memory, all to other nodes. What asks for one:
 *
 *   load       the guests placed on a node want 85 % of its CPUs or more (busy time and time spent waiting for a
 *              CPU, as measured), and some node has been so for 30 s: one of them goes to where there is less to do;
 *              where no move helps, two guests change places (policy_swap.c);
 *   shortage   a node's free memory is below its share of the host's reserve, and others have room;
 *   to memory  a guest's memory is remote, and going there copies less than bringing it home, or it cannot be
 *              brought (locked, held by a device, no room).
 *
 * Of all these, and of the memory that waits to be brought home, the move with
 * the best value (policy_move_cost.c) is made, one a decision, none while
 * memory is moving or an earlier move is not verified yet.
 *
 * What stands against one of them: policy_move_rules.c.
 */

#define OVERLOAD_DWELL_USEC (30 * USEC_PER_SEC)

/* What a decision about moves needs besides the placement itself. */
typedef struct Rebalance {
        Placement *p;
        uint16_t *near;                 /* row i: CPU nodes by distance from the i-th CPU node, itself first */
        uint16_t *cpu_nodes;            /* indices into p->nodes */
        size_t n;
        bool overloaded;                /* a node is, and for long enough */
        bool short_of_memory;           /* a node is */
        Move move;
} Rebalance;

/* ---- nearest nodes ---- */

typedef struct NearOrder {
        const Placement *p;
        size_t seed;
} NearOrder;

static int compare_distance(const void *a, const void *b, void *userdata) {
        const uint16_t x = *(const uint16_t *)a, y = *(const uint16_t *)b;
        const NearOrder *o = userdata;
        unsigned dx = x == o->seed ? 0 : topology_distance(o->p->topology, o->p->nodes[o->seed].index,
                                                           o->p->nodes[x].index);
        unsigned dy = y == o->seed ? 0 : topology_distance(o->p->topology, o->p->nodes[o->seed].index,
                                                           o->p->nodes[y].index);

        if (dx != dy)
                return dx > dy ? 1 : -1;
        return (x > y) - (x < y);
}

/* A time after now was noted before a reboot. */
static bool has_lasted(State *s, bool overloaded, uint64_t now_usec) {
        if (!overloaded)
                s->overload_usec = 0;
        else if (s->overload_usec == 0 || s->overload_usec > now_usec)
                s->overload_usec = now_usec;
        return overloaded && now_usec - s->overload_usec >= OVERLOAD_DWELL_USEC;
}

static int rebalance_init(Rebalance *r, Placement *p) {
        bool overloaded = false;

        *r = (Rebalance){ .p = p };
        r->cpu_nodes = calloc(MAX(p->n_nodes, (size_t)1), sizeof(*r->cpu_nodes));
        if (!r->cpu_nodes)
                return -ENOMEM;
        for (size_t i = 0; i < p->n_nodes; i++) {
                PlacementNode *n = &p->nodes[i];

                move_model_node(n);
                if (n->n_cpus > 0)
                        r->cpu_nodes[r->n++] = (uint16_t)i;
                r->short_of_memory = r->short_of_memory || n->short_bytes > 0;
                overloaded = overloaded || placement_load(n) >= MOVE_OVERLOAD_PERMYRIAD;
        }
        r->overloaded = has_lasted(p->context->state, overloaded, p->now_usec);
        return 0;
}

static void rebalance_done(Rebalance *r) {
        free(r->near);
        free(r->cpu_nodes);
}

/* Only when a guest may be moved. */
static int need_near(Rebalance *r) {
        if (r->near)
                return 0;
        r->near = calloc(MAX(r->n * r->n, (size_t)1), sizeof(*r->near));
        if (!r->near)
                return -ENOMEM;
        for (size_t i = 0; i < r->n; i++) {
                NearOrder o = { .p = r->p, .seed = r->cpu_nodes[i] };

                memcpy(r->near + i * r->n, r->cpu_nodes, r->n * sizeof(*r->near));
                qsort_r(r->near + i * r->n, r->n, sizeof(*r->near), compare_distance, &o);
        }
        return 0;
}

/* The @k nodes nearest to the i-th CPU node. */
static NodeList nearest(const Rebalance *r, size_t i, size_t k) {
        size_t n = MIN(k, r->n);

        return (NodeList){ .at = r->near + i * r->n, .n = n };
}

/* ---- candidates ---- */

static bool same_nodes(const NodeList *a, const NodeList *b) {
        for (size_t i = 0; i < a->n; i++) {
                bool found = false;

                for (size_t j = 0; j < b->n; j++)
                        found = found || a->at[i] == b->at[j];
                if (!found)
                        return false;
        }
        return a->n == b->n;
}

static bool is_better(const MoveValue *v, uint64_t load_after, const MoveValue *than, uint64_t than_load) {
        int order = move_value_order(v, than);

        return order < 0 || (order == 0 && load_after < than_load);
}

static void offer(Rebalance *r, MoveCandidate *c) {
        const char *detail = NULL;
        Move *m = &r->move;
        SkipReason why;
        MoveValue v;

        if (!move_is_allowed(r->p, c))
                return;
        v = move_value(r->p, c->guest, &c->home, &c->to);
        if (!move_pays(r->p, c, &v))
                return;
        if (move_may_go(r->p, c, &v, &why, &detail)) {
                if (m->guest && !is_better(&v, c->load_after, &m->value, m->load_after))
                        return;
                m->cause = c->cause;
                m->guest = c->guest;
                m->from = c->from;
                m->to = c->to;
                m->value = v;
                m->load_after = c->load_after;
                return;
        }
        if (m->refused && move_value_order(&v, &m->refused_value) >= 0)
                return;
        m->refused = c->guest;
        m->refused_from = c->from;
        m->refused_to = &r->p->nodes[c->to.at[0]];
        m->refused_value = v;
        m->why = why;
        m->detail = detail;
}

/* The node of @home that asks for relief, if one does, and of what. */
static const PlacementNode *node_in_need(const Rebalance *r, const PlacementGuest *g, const NodeList *home,
                                         MoveCause *ret) {
        const PlacementNode *worst = NULL;
        const Placement *p = r->p;
        uint64_t worst_load = 0;

        for (size_t i = 0; r->overloaded && i < home->n; i++) {
                const PlacementNode *n = &p->nodes[home->at[i]];

                if (placement_load(n) < MAX(MOVE_OVERLOAD_PERMYRIAD, worst_load + 1))
                        continue;
                worst = n;
                worst_load = placement_load(n);
        }
        *ret = MOVE_LOAD;
        if (worst_load > 0)
                return worst;
        for (size_t i = 0; !g->guest->hugepages && i < home->n; i++) {
                const PlacementNode *n = &p->nodes[p->nodes[home->at[i]].memory_at];
                IdSet node = idset_of(n->id);

                if (n->short_bytes == 0 || placement_resident_on(g->guest, &node) == 0)
                        continue;
                *ret = MOVE_SHORTAGE;
                return n;
        }
        return NULL;
}

/* The CPU node with most of @g's memory; n when that is one of its home. */
static size_t seed_at_memory(const Rebalance *r, const PlacementGuest *g) {
        uint64_t most = 0;
        size_t seed = r->n;

        for (size_t i = 0; i < r->n; i++) {
                const PlacementNode *n = &r->p->nodes[r->cpu_nodes[i]];
                IdSet node = idset_of(n->id);
                uint64_t bytes = placement_resident_on(g->guest, &node);

                if (bytes <= most)
                        continue;
                most = bytes;
                seed = idset_contains(memo_nodes(g->memo), n->id) ? r->n : i;
        }
        return seed;
}

/* Why the memory of @g cannot be moved, when that alone stands against a move for load or shortage. */
static bool memory_is_bound(const PlacementGuest *g, SkipReason *ret_why, const char **ret_detail) {
        return placement_follows_memory(g) && !policy_eligible(g->guest, ACTION_MOVE_MEMORY, ret_why, ret_detail);
}

static void refuse_bound(Rebalance *r, PlacementGuest *g, const PlacementNode *from, const NodeList *home) {
        Move *m = &r->move;
        const char *detail;
        SkipReason why;

        if (m->refused || !memory_is_bound(g, &why, &detail))
                return;
        for (size_t i = 0; i < r->n && !m->refused; i++) {
                NodeList to = nearest(r, i, home->n);
                MoveCandidate c = { .cause = MOVE_LOAD, .guest = g, .from = from, .home = *home, .to = to };

                if (same_nodes(&to, home) || !move_is_allowed(r->p, &c))
                        continue;
                m->refused = g;
                m->refused_from = from;
                m->refused_to = &r->p->nodes[to.at[0]];
                m->why = why;
                m->detail = detail;
        }
}

/* It would be looked at, were it not for what it is. */
static int skip_staying(const Rebalance *r, const PlacementGuest *g) {
        NodeList home = move_node_list(r->p, memo_nodes(g->memo), r->p->home);
        Plan *plan = r->p->context->plan;
        char bytes[FORMAT_BYTES_MAX];
        const PlacementNode *from;
        const char *detail;
        SkipReason why;
        MoveCause cause;

        from = node_in_need(r, g, &home, &cause);
        if (!from || !placement_stays(r->p, g, &why, &detail))
                return 0;
        if (cause == MOVE_SHORTAGE)
                return plan_add_skip(plan, ACTION_PIN_VCPU, g->guest, why,
                                     "node %u is %s short of its share of the host's reserve: %s", from->id,
                                     format_bytes_short(from->short_bytes, bytes), detail);
        return plan_add_skip(plan, ACTION_PIN_VCPU, g->guest, why, "node %u at %" PRIu64 " %% of its %u CPUs: %s",
                             from->id, placement_load(from) / 100, from->n_cpus, detail);
}

static int consider(Rebalance *r, PlacementGuest *g) {
        MoveCandidate c = { .guest = g };
        bool remote = false;
        const char *detail;
        SkipReason why;
        size_t seed;
        int x;

        if (g->memo && g->resident_bytes != UNKNOWN_U64) {
                IdSet memory = placement_memory_nodes(r->p, g);

                remote = move_is_remote(g, move_remote_bytes(g, &memory));
        }
        if (!r->overloaded && !r->short_of_memory && !remote)
                return 0;
        if (!placement_is_candidate(r->p, g))
                return g->memo ? skip_staying(r, g) : 0;
        c.home = move_node_list(r->p, memo_nodes(g->memo), r->p->home);
        if (!c.home.at || c.home.n == 0)
                return 0;
        c.from = node_in_need(r, g, &c.home, &c.cause);
        seed = remote ? seed_at_memory(r, g) : r->n;
        if (!c.from && seed == r->n)
                return 0;
        x = need_near(r);
        if (x < 0)
                return x;
        if (c.from && memory_is_bound(g, &why, &detail))
                refuse_bound(r, g, c.from, &c.home);
        else
                for (size_t i = 0; c.from && i < r->n; i++) {
                        c.to = nearest(r, i, c.home.n);
                        if (!same_nodes(&c.to, &c.home))
                                offer(r, &c);
                }
        if (seed == r->n)
                return 0;
        c.cause = MOVE_TO_MEMORY;
        c.from = &r->p->nodes[c.home.at[0]];
        c.to = nearest(r, seed, c.home.n);
        offer(r, &c);
        return 0;
}

/* Where no single move helps: the most and the least loaded node. */
static int consider_swap(Rebalance *r) {
        const PlacementNode *from = NULL;
        const uint16_t *to = NULL;

        for (size_t i = 0; i < r->n; i++) {
                const PlacementNode *n = &r->p->nodes[r->cpu_nodes[i]];

                if (!from || placement_load(n) > placement_load(from))
                        from = n;
                if (!to || placement_load(n) < placement_load(&r->p->nodes[*to]))
                        to = &r->cpu_nodes[i];
        }
        if (!from || !to || !r->overloaded || from == &r->p->nodes[*to] ||
            placement_load(from) < MOVE_OVERLOAD_PERMYRIAD)
                return 0;
        return placement_swap(r->p, from, to, &r->move);
}

static int find_move(Rebalance *r) {
        int x;

        for (size_t i = 0; i < r->p->n_guests; i++) {
                x = consider(r, &r->p->guests[i]);
                if (x < 0)
                        return x;
        }
        return r->move.guest ? 0 : consider_swap(r);
}

static int rebalance(Rebalance *r) {
        Move *m = &r->move;
        MoveValue memory;
        int x;

        x = find_move(r);
        if (x < 0)
                return x;
        if (!m->guest)
                return m->refused ? move_skip_refused(r->p, m) : 0;
        if (placement_next_memory(r->p, &memory) && move_value_order(&memory, &m->value) <= 0)
                return 0;
        return move_carry_out(r->p, m);
}

int placement_rebalance(Placement *p) {
        Rebalance r;
        int x;

        if (p->context->only_uuid || p->context->snapshot->interval_usec == 0)
                return 0;
        x = rebalance_init(&r, p);
        if (x >= 0 && !placement_move_under_way(p) && !placement_unverified(p))
                x = rebalance(&r);
        rebalance_done(&r);
        return x;
}
