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
 *              CPU, as measured), and some node has been so for 30 s: one of them goes to where there is less to do; where no move helps, two guests
 *              change places (policy_swap.c);
 *   shortage   a node's free memory is below its share of the host's reserve, and others have room;
 *   to memory  a guest's memory is remote, and going there copies less than bringing it home, or it cannot be
 *              brought (locked, held by a device, no room).
 *
 * Of all these, and of the memory that waits to be brought home, the move with
 * the best value (policy_move_cost.c) is made, one a decision, none while
 * memory is moving or an earlier move is not verified yet.
 *
 * As in irqbalance, a move must not reverse an imbalance: afterwards the
 * target may not be more loaded than the source. A move for load must gain 5 %
 * of a CPU and a tenth of what its guest wants; the other moves may not
 * overload their target. The time since the guest was placed and the cool-down
 * since its last move must be over, and for a day no guest goes back to the
 * node it left last. Only to its memory it may, when that cannot follow it, and
 * then the load there must have come down to half of what counts as overload:
 * what a node carries is known with the waiting that the guest itself adds only
 * when it is there.
 */

#define RETURN_USEC USEC_PER_DAY
#define RETURN_LOAD_PERMYRIAD (MOVE_OVERLOAD_PERMYRIAD / 2)
#define OVERLOAD_DWELL_USEC (30 * USEC_PER_SEC)
/* Below 1 % of a CPU nobody is moved. */
#define SCORE_PERMYRIAD 100

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

uint64_t placement_load(const PlacementNode *n) {
        return n->demand_permyriad / MAX(n->n_cpus, 1U);
}

/* ---- nearest nodes ---- */

typedef struct NearOrder {
        const Placement *p;
        size_t seed;
} NearOrder;

static int compare_distance(const void *a, const void *b, void *userdata) {
        const uint16_t x = *(const uint16_t *)a, y = *(const uint16_t *)b;
        const NearOrder *o = userdata;
        unsigned dx = x == o->seed ? 0 : topology_distance(o->p->topology, o->p->nodes[o->seed].index, o->p->nodes[x].index);
        unsigned dy = y == o->seed ? 0 : topology_distance(o->p->topology, o->p->nodes[o->seed].index, o->p->nodes[y].index);

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

/* ---- what stands against a move ---- */

/* Placed on nodes, free to leave them as far as settings and libvirt's configuration go. */
bool placement_is_candidate(const Placement *p, const PlacementGuest *g) {
        CpuPolicy policy = placement_policy(g);
        IdSet constraint;

        return g->managed && !g->fresh && !g->guest->starting && g->n_vcpus > 0 && g->guest->n_cells == 0 &&
               (policy == CPU_SHARED || policy == CPU_PINNED) && setting(g->settings, KEY_NUMA_POLICY) == NUMA_AUTO &&
               !idset_is_empty(&g->memo->nodes) && idset_is_empty(&g->memo->memory_only) &&
               !placement_constraint(p, g->guest, &constraint);
}

bool placement_may_move(const Placement *p, const PlacementGuest *g, SkipReason *ret_why, const char **ret_detail) {
        uint64_t placed = g->memo->placed_usec > p->now_usec ? 0 : g->memo->placed_usec;
        uint64_t rest = u64_add(placed, setting(g->settings, KEY_NUMA_COOLDOWN));

        if (p->now_usec >= MAX(rest, placement_cooldown_end(p, g)) && g->memo->move_cause == MOVE_NONE)
                return true;
        *ret_why = SKIP_COOLDOWN;
        *ret_detail = "it was placed or moved less than its cool-down ago";
        return false;
}

static bool has_room(const Placement *p, const PlacementGuest *g, const NodeList *to, uint64_t bytes) {
        uint64_t room = 0;

        for (size_t i = 0; i < to->n; i++) {
                const PlacementNode *n = &p->nodes[to->at[i]];

                room = u64_add(room, u64_sub(placement_room(n, g->guest), n->memory_known ? n->pending_bytes : 0));
        }
        return bytes <= room;
}

static bool may_go(const Placement *p, const PlacementGuest *g, const NodeList *to, const MoveValue *v, uint64_t spare,
                   SkipReason *ret_why, const char **ret_detail) {
        if (!placement_may_move(p, g, ret_why, ret_detail))
                return false;
        /* What one node lacks must not be lacking on another afterwards. */
        if (has_room(p, g, to, u64_add(v->bytes, spare)))
                return true;
        *ret_why = g->guest->hugepages ? SKIP_HUGEPAGES : SKIP_NO_CAPACITY;
        *ret_detail = "the less loaded node has no room for its memory";
        return false;
}

/* ---- candidates ---- */

/* Mean load of the nodes in @list that are not in @except, with @demand more (or less) there. */
static uint64_t load_of(const Placement *p, const NodeList *list, const NodeList *except, int64_t demand) {
        int64_t sum = demand;
        uint64_t cpus = 0;

        for (size_t i = 0; i < list->n; i++) {
                bool shared = false;

                for (size_t j = 0; j < except->n; j++)
                        shared = shared || except->at[j] == list->at[i];
                if (shared)
                        continue;
                sum += (int64_t)p->nodes[list->at[i]].demand_permyriad;
                cpus += p->nodes[list->at[i]].n_cpus;
        }
        return sum > 0 && cpus > 0 ? (uint64_t)sum / cpus : 0;
}

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

static uint64_t cpus_of(const Placement *p, const NodeList *list) {
        uint64_t n = 0;

        for (size_t i = 0; i < list->n; i++)
                n += p->nodes[list->at[i]].n_cpus;
        return n;
}

/* A candidate as it is compared. */
typedef struct Candidate {
        MoveCause cause;
        PlacementGuest *guest;
        const PlacementNode *from;
        NodeList home, to;
        uint64_t load_after, load_to;   /* of what it leaves, and of where it goes */
} Candidate;

/* The cgroup of @g leaves it memory and enough CPUs there. */
static bool within_limit(const Placement *p, const PlacementGuest *g, const NodeList *to) {
        unsigned n_cpus = 0;

        for (size_t i = 0; g->limited && i < to->n; i++) {
                if (!placement_allows(p, g, &p->nodes[to->at[i]]))
                        return false;
                n_cpus += placement_capacity(p, g, &p->nodes[to->at[i]]);
        }
        return !g->limited || g->n_vcpus <= n_cpus;
}

/* Nothing gets worse by it: see the head of this file. */
static bool is_allowed(const Placement *p, Candidate *c) {
        int64_t demand = (int64_t)c->guest->demand_permyriad;
        uint64_t target = load_of(p, &c->to, &c->home, demand);

        if (c->guest->n_vcpus > cpus_of(p, &c->to) || !within_limit(p, c->guest, &c->to))
                return false;
        c->load_after = load_of(p, &c->home, &c->to, -demand);
        c->load_to = target;
        if (c->cause == MOVE_LOAD)
                return target <= c->load_after;
        for (size_t i = 0; c->cause == MOVE_SHORTAGE && i < c->to.n; i++)
                if (p->nodes[c->to.at[i]].short_bytes > 0)
                        return false;
        return target < MOVE_OVERLOAD_PERMYRIAD || target <= c->load_after;
}

static bool is_better(const MoveValue *v, uint64_t load_after, const MoveValue *than, uint64_t than_load) {
        int order = move_value_order(v, than);

        return order < 0 || (order == 0 && load_after < than_load);
}

/* Its vCPUs, within a day. */
static bool moved_lately(const Placement *p, const PlacementGuest *g) {
        uint64_t moved = g->memo->moved_usec;

        return g->memo->move_from > 0 && moved <= p->now_usec && p->now_usec - moved < RETURN_USEC;
}

bool placement_goes_back(const Placement *p, const PlacementGuest *g, const NodeList *to) {
        if (!moved_lately(p, g))
                return false;
        for (size_t i = 0; i < to->n; i++)
                if (p->nodes[to->at[i]].id + 1 == g->memo->move_from)
                        return true;
        return false;
}

static bool pays(const Placement *p, const Candidate *c, const MoveValue *v) {
        if (c->cause != MOVE_TO_MEMORY && placement_goes_back(p, c->guest, &c->to))
                return false;
        if (c->cause == MOVE_TO_MEMORY && moved_lately(p, c->guest) && c->load_to > RETURN_LOAD_PERMYRIAD)
                return false;
        if (c->cause == MOVE_LOAD)
                return MIN(v->wait, v->score) >= move_least_gain(c->guest);
        return v->score >= SCORE_PERMYRIAD;
}

static void offer(Rebalance *r, Candidate *c) {
        const char *detail = NULL;
        Move *m = &r->move;
        SkipReason why;
        MoveValue v;

        if (!is_allowed(r->p, c))
                return;
        v = move_value(r->p, c->guest, &c->home, &c->to);
        if (!pays(r->p, c, &v))
                return;
        if (may_go(r->p, c->guest, &c->to, &v, c->cause == MOVE_SHORTAGE ? c->from->short_bytes : 0, &why, &detail)) {
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
        for (size_t i = 0; i < home->n; i++) {
                const PlacementNode *n = &p->nodes[home->at[i]];
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
                seed = idset_contains(&g->memo->nodes, n->id) ? r->n : i;
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
                Candidate c = { .cause = MOVE_LOAD, .guest = g, .from = from, .home = *home, .to = to };

                if (same_nodes(&to, home) || !is_allowed(r->p, &c))
                        continue;
                m->refused = g;
                m->refused_from = from;
                m->refused_to = &r->p->nodes[to.at[0]];
                m->why = why;
                m->detail = detail;
        }
}

static int consider(Rebalance *r, PlacementGuest *g) {
        Candidate c = { .guest = g };
        bool remote = false;
        const char *detail;
        SkipReason why;
        size_t seed;
        int x;

        if (g->memo && g->resident_bytes != UNKNOWN_U64) {
                IdSet memory = placement_memory_nodes(r->p, g);

                remote = move_is_remote(g, move_remote_bytes(g, &memory));
        }
        if ((!r->overloaded && !r->short_of_memory && !remote) || !placement_is_candidate(r->p, g))
                return 0;
        c.home = move_node_list(r->p, &g->memo->nodes, r->p->home);
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

/* ---- carrying it out ---- */

static int format_list(const Placement *p, const NodeList *list, char **ret) {
        IdSet set = IDSET_EMPTY;

        for (size_t i = 0; i < list->n; i++)
                (void)idset_add(&set, p->nodes[list->at[i]].id);
        return idset_format(&set, ret);
}

static int describe_load(const Placement *p, const Move *m, const char *value, char **ret) {
        const PlacementNode *to = &p->nodes[m->to.at[0]];

        return strprintf_to(ret,
                            "node %u at %" PRIu64 " %% of its %u CPUs, node %u at %" PRIu64 " %% of its %u: "
                            "moving %s (%" PRIu64 " %% of one CPU) brings the larger to %" PRIu64 " %%; %s",
                            m->from->id, placement_load(m->from) / 100, m->from->n_cpus, to->id,
                            placement_load(to) / 100, to->n_cpus, m->guest->guest->name,
                            m->guest->demand_permyriad / 100, m->load_after / 100, value);
}

static int describe(const Placement *p, const Move *m, char **ret) {
        _cleanup_free_ char *value = NULL, *to = NULL;
        char bytes[FORMAT_BYTES_MAX];
        int r;

        r = move_value_format(&m->value, &value);
        if (r >= 0)
                r = format_list(p, &m->to, &to);
        if (r < 0)
                return r;
        switch (m->cause) {
        case MOVE_LOAD:
                return describe_load(p, m, value, ret);
        case MOVE_SHORTAGE:
                return strprintf_to(ret, "node %u is %s short of its share of the host's reserve: moving %s to node %s "
                                    "%s", m->from->id, format_bytes_short(m->from->short_bytes, bytes),
                                    m->guest->guest->name, to, value);
        default:
                return strprintf_to(ret, "%" PRIu64 " %% of its memory are remote: moving its vCPUs to node %s %s",
                                    placement_remote_permyriad(m->guest, &m->guest->memo->nodes) / 100, to, value);
        }
}

static void leave_nodes(Placement *p, const PlacementGuest *g) {
        NodeList home = move_node_list(p, &g->memo->nodes, p->home);
        uint64_t cpus = cpus_of(p, &home);

        for (size_t i = 0; i < home.n; i++) {
                PlacementNode *n = &p->nodes[home.at[i]];
                uint64_t vcpus = u64_muldiv((uint64_t)g->n_vcpus * PLACEMENT_MILLI, n->n_cpus, cpus);

                n->commit_milli = u64_sub(n->commit_milli, vcpus);
                n->shared_milli = u64_sub(n->shared_milli, vcpus);
                n->demand_permyriad = u64_sub(n->demand_permyriad, u64_muldiv(g->demand_permyriad, n->n_cpus, cpus));
        }
}

/* Pins and memory follow from the new nodes. */
static void apply(Placement *p, const Move *m, PlacementGuest *g, const PlacementNode *from, const IdSet *nodes) {
        uint64_t remote = placement_remote_permyriad(g, &g->memo->nodes);

        leave_nodes(p, g);
        g->memo->nodes = *nodes;
        g->memo->unmovable_bytes = g->memo->full_bytes = 0;
        placement_account_nodes(p, g, nodes);
        g->memo->placed_usec = p->now_usec;
        g->moving = true;
        placement_begin_move(p, g, m->cause, from, &m->value, remote);
        g->memo->move_waits = placement_follows_memory(g) && g->movable && g->resident_bytes != UNKNOWN_U64 &&
                              move_is_remote(g, move_remote_bytes(g, nodes));
}

static int carry_out(Placement *p, const Move *m) {
        IdSet to = IDSET_EMPTY, home = m->guest->memo->nodes;

        for (size_t i = 0; i < m->to.n; i++)
                (void)idset_add(&to, p->nodes[m->to.at[i]].id);
        apply(p, m, m->guest, m->from, m->other ? &m->other->memo->nodes : &to);
        if (!m->other)
                return 0;
        apply(p, m, m->other, &p->nodes[m->to.at[0]], &home);
        return strdup_to(&m->other->reason, m->guest->reason);
}

static int skip_refused(Placement *p, const Move *m) {
        return plan_add_skip(p->context->plan, ACTION_PIN_VCPU, m->refused->guest, m->why,
                             "node %u at %" PRIu64 " %% of its %u CPUs, moving it to node %u would help: %s",
                             m->refused_from->id, placement_load(m->refused_from) / 100, m->refused_from->n_cpus,
                             m->refused_to->id, m->detail);
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
                return m->refused ? skip_refused(r->p, m) : 0;
        if (placement_next_memory(r->p, &memory) && move_value_order(&memory, &m->value) <= 0)
                return 0;
        /* The words of a swap come with it. */
        x = m->other ? 0 : describe(r->p, m, &m->guest->reason);
        return x < 0 ? x : carry_out(r->p, m);
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
