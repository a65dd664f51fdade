/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_eligible.h"
#include "policy_placement.h"
#include "state_memo.h"

/*
 * The host as a placement decision sees it, before any guest is counted
 * (policy_account.c): what each node and CPU can take, and what each guest
 * needs.
 */

CpuPolicy placement_policy(const PlacementGuest *g) {
        return g->refused ? CPU_SHARED : (CpuPolicy)setting(g->settings, KEY_CPU_POLICY);
}

int placement_put(const Placement *p, const PlacementGuest *g, const IdSet *nodes) {
        return state_place(p->context->state, g->memo, nodes);
}

static int say(Placement *p, const char **ret, const char *format, va_list ap) _printf_(3, 0);
static int say(Placement *p, const char **ret, const char *format, va_list ap) {
        char *text;
        int r;

        r = text_pool_vprintf(p->texts, &text, format, ap);
        if (r >= 0)
                *ret = text;
        return r;
}

int placement_text(Placement *p, const char **ret, const char *format, ...) {
        va_list ap;
        int r;

        va_start(ap, format);
        r = say(p, ret, format, ap);
        va_end(ap);
        return r;
}

int placement_say(Placement *p, PlacementGuest *g, const char *format, ...) {
        va_list ap;
        int r;

        va_start(ap, format);
        r = say(p, &g->reason, format, ap);
        va_end(ap);
        return r;
}

bool placement_follows_memory(const PlacementGuest *g) {
        return setting(g->settings, KEY_NUMA_POLICY) == NUMA_AUTO &&
               setting(g->settings, KEY_NUMA_MEMORY) == FOLLOW_FOLLOW;
}

IdSet placement_cpus(const Placement *p, const IdSet *nodes) {
        IdSet cpus = IDSET_EMPTY;

        for (size_t i = 0; i < p->n_nodes; i++)
                if (p->nodes[i].n_cpus > 0 && idset_contains(nodes, p->nodes[i].id))
                        cpus = idset_or(&cpus, &p->nodes[i].cpus);
        return cpus;
}

uint64_t placement_resident_on(const Guest *g, const IdSet *nodes) {
        uint64_t bytes = 0;

        for (size_t i = 0; i < g->n_node_memory; i++)
                if (idset_contains(nodes, g->node_memory[i].node))
                        bytes = u64_add(bytes, g->node_memory[i].bytes);
        return bytes;
}

uint64_t placement_need(const PlacementGuest *g, const IdSet *nodes) {
        uint64_t resident = g->resident_bytes == UNKNOWN_U64 ? 0 : g->resident_bytes;
        uint64_t whole = resident;

        if (g->guest->starting)
                whole = MAX(resident, g->guest->max_bytes);
        else if (g->resident_bytes == UNKNOWN_U64)
                whole = g->guest->rss_bytes == UNKNOWN_U64 ? g->guest->current_bytes : g->guest->rss_bytes;
        if (!g->movable || !placement_follows_memory(g))
                return u64_sub(whole, resident);
        return u64_sub(whole, placement_resident_on(g->guest, nodes));
}

bool placement_need_varies(const PlacementGuest *g) {
        return g->guest->n_node_memory > 0 && g->movable && placement_follows_memory(g);
}

uint64_t placement_untouched(const PlacementGuest *g) {
        uint64_t present = g->resident_bytes == UNKNOWN_U64 ? g->guest->rss_bytes : g->resident_bytes;

        if (g->guest->starting || g->guest->hugepages || g->guest->locked || g->guest->vfio || present == UNKNOWN_U64)
                return 0;
        return u64_sub(g->guest->current_bytes, present);
}

IdSet placement_memory_of(const Placement *p, const IdSet *nodes) {
        IdSet memory = IDSET_EMPTY;

        if (p->plain)
                return *nodes;
        for (size_t i = 0; i < p->n_nodes; i++)
                if (idset_contains(nodes, p->nodes[i].id))
                        (void)idset_add(&memory, p->nodes[p->nodes[i].memory_at].id);
        return memory;
}

IdSet placement_memory_nodes(const Placement *p, const PlacementGuest *g) {
        IdSet nodes;

        if (placement_memory_bound(p, g->guest, &nodes))
                return nodes;
        nodes = placement_memory_of(p, memo_nodes(g->memo));
        if (setting(g->settings, KEY_NUMA_MEMORY_ONLY) == MEMORY_ONLY_OVERFLOW)
                nodes = idset_or(&nodes, memo_memory_only(g->memo));
        return nodes;
}

/* Pages of one size are of no use to a guest on pages of another. NULL: there are none for @g. */
static PlacementPool *pool_of(PlacementNode *n, const Guest *g) {
        uint64_t size = g->hugepage_bytes ?: n->hugepage_bytes;

        for (size_t i = 0; i < n->n_pools; i++)
                if (n->pools[i].page_bytes == size || size == 0)
                        return &n->pools[i];
        return NULL;
}

static uint64_t *room_of(PlacementNode *n, const Guest *g) {
        PlacementPool *pool;

        if (!g->hugepages)
                return &n->room_bytes;
        pool = pool_of(n, g);
        return pool ? &pool->room_bytes : NULL;
}

uint64_t placement_pool_room(const PlacementNode *n, const Guest *g) {
        const PlacementPool *pool = pool_of((PlacementNode *)n, g);

        return pool ? pool->room_bytes : 0;
}

void placement_add_room(PlacementNode *n, const Guest *g, uint64_t bytes) {
        uint64_t *room = room_of(n, g);

        if (room)
                *room = u64_add(*room, bytes);
}

void placement_take_room(PlacementNode *n, const Guest *g, uint64_t bytes) {
        uint64_t *room = room_of(n, g);

        if (room)
                *room = u64_sub(*room, bytes);
}

static void pools_init(PlacementNode *n, const NodeMemory *m) {
        n->n_pools = MIN(m->n_pools, (size_t)PLACEMENT_POOLS_MAX);
        for (size_t i = 0; i < n->n_pools; i++)
                n->pools[i] = (PlacementPool){
                        .page_bytes = m->pools[i].page_bytes,
                        .room_bytes = u64_muldiv(m->pools[i].free_pages, m->pools[i].page_bytes, 1),
                };
}

static void node_memory_init(PlacementNode *n, const Host *host, uint64_t reserve) {
        const NodeMemory *m = host_node(host, n->id);

        /* A host whose node sizes nobody measured does not limit anything. */
        n->memory_known = host->n_nodes > 0;
        n->has_memory = !n->memory_known || (m && m->total_bytes > 0);
        if (!m)
                return;
        reserve = u64_muldiv(reserve, m->total_bytes, host->memory.total_bytes);
        n->room_bytes = u64_sub(m->free_bytes, reserve);
        n->short_bytes = u64_sub(reserve, m->free_bytes);
        n->hugepage_bytes = host->hugepage_bytes;
        pools_init(n, m);
}

static void node_busy_init(PlacementNode *n, const Host *host) {
        IDSET_FOREACH(cpu, &n->cpus) {
                const CpuLoad *load = host_cpu(host, (unsigned)cpu);

                if (load && load->busy_permyriad != UNKNOWN_PERMYRIAD)
                        n->busy_permyriad += load->busy_permyriad;
        }
}

/* Of equally near ones with memory the first; those without CPUs only when there is no other. */
static size_t nearest_memory(const Placement *p, size_t from) {
        size_t best = from;
        uint64_t best_rank = UINT64_MAX;

        for (size_t i = 0; i < p->n_nodes; i++) {
                uint64_t rank = topology_distance(p->topology, from, i);

                if (!p->nodes[i].has_memory)
                        continue;
                rank += idset_is_empty(&p->topology->nodes[i].cpus) ? UINT32_MAX : 0;
                if (rank >= best_rank)
                        continue;
                best = i;
                best_rank = rank;
        }
        return best;
}

static void memory_at_init(Placement *p) {
        p->plain = true;
        for (size_t i = 0; i < p->n_nodes; i++) {
                PlacementNode *n = &p->nodes[i];

                n->memory_at = n->has_memory ? i : nearest_memory(p, i);
                p->plain = p->plain && (n->n_cpus == 0 || n->memory_at == i);
        }
}

/* Distances are the same from either side. */
static bool is_symmetric(const Topology *t) {
        for (size_t i = 0; i < t->n_nodes; i++)
                for (size_t j = 0; j < i; j++)
                        if (topology_distance(t, i, j) != topology_distance(t, j, i))
                                return false;
        return true;
}

static int grown_init(Placement *p) {
        const Topology *t = p->topology;

        /* A bit for each node has to do. */
        if (t->n_nodes == 0 || t->n_nodes > 64 || !is_symmetric(t))
                return 0;
        p->grown = calloc(t->n_nodes * t->n_nodes, sizeof(*p->grown));
        p->n_grown = calloc(t->n_nodes, sizeof(*p->n_grown));
        return p->grown && p->n_grown ? 0 : -ENOMEM;
}

static int nodes_init(Placement *p) {
        const Host *host = &p->context->snapshot->host;
        uint64_t reserve = policy_host_reserve(p->context);

        p->nodes = calloc(MAX(p->topology->n_nodes, (size_t)1), sizeof(*p->nodes));
        p->weights = calloc(MAX(p->topology->n_nodes, (size_t)1), sizeof(*p->weights));
        p->shares = calloc(MAX(p->topology->n_nodes, (size_t)1), sizeof(*p->shares));
        p->left = calloc(MAX(p->topology->n_nodes, (size_t)1), sizeof(*p->left));
        p->home = calloc(MAX(p->topology->n_nodes, (size_t)1), sizeof(*p->home));
        if (!p->nodes || !p->weights || !p->shares || !p->left || !p->home || grown_init(p) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < p->topology->n_nodes; i++) {
                PlacementNode *n = &p->nodes[i];

                n->id = p->topology->nodes[i].id;
                n->index = i;
                n->usable = n->cpus = idset_and(&p->topology->nodes[i].cpus, &p->usable);
                n->n_cpus = n->n_usable = n->n_idle = idset_count(&n->cpus);
                node_memory_init(n, host, reserve);
                node_busy_init(n, host);
        }
        p->n_nodes = p->topology->n_nodes;
        memory_at_init(p);
        p->usable = IDSET_EMPTY;
        for (size_t i = 0; i < p->n_nodes; i++)
                p->usable = idset_or(&p->usable, &p->nodes[i].cpus);
        return 0;
}

static int cpus_init(Placement *p) {
        size_t cores = 0;

        p->cpu_node = malloc(IDSET_MAX * sizeof(*p->cpu_node));
        p->cpu_core = calloc(IDSET_MAX, sizeof(*p->cpu_core));
        p->cpu_milli = calloc(IDSET_MAX, sizeof(*p->cpu_milli));
        if (!p->cpu_node || !p->cpu_core || !p->cpu_milli)
                return -ENOMEM;
        memset(p->cpu_node, 0xff, IDSET_MAX * sizeof(*p->cpu_node));
        for (size_t i = 0; i < p->topology->n_cpus; i++) {
                const TopologyCpu *cpu = &p->topology->cpus[i];

                p->cpu_core[cpu->id] = (uint16_t)cpu->core;
                cores = MAX(cores, (size_t)cpu->core + 1);
        }
        for (size_t i = 0; i < p->n_nodes; i++)
                IDSET_FOREACH(cpu, &p->nodes[i].cpus)
                        p->cpu_node[cpu] = (uint16_t)i;
        p->core_milli = calloc(MAX(cores, (size_t)1), sizeof(*p->core_milli));
        p->n_cores = cores;
        return p->core_milli ? 0 : -ENOMEM;
}

static bool is_movable(const Guest *g) {
        const char *detail;
        SkipReason why;

        return policy_eligible(g, ACTION_MOVE_MEMORY, &why, &detail) || why == SKIP_NOT_RUNNING ||
               why == SKIP_MIGRATING || why == SKIP_UNREACHABLE;
}

/* CPUs of a dedicated guest besides those of its vCPUs. */
static unsigned isolated_helpers(const PlacementGuest *g) {
        bool emulator = setting(g->settings, KEY_CPU_EMULATOR) == FOLLOW_ISOLATE;
        bool iothreads = g->guest->n_iothreads > 0 && setting(g->settings, KEY_CPU_IOTHREADS) == FOLLOW_ISOLATE;

        return (unsigned)emulator + (unsigned)iothreads;
}

static uint64_t thread_demand(const GuestThread *t) {
        uint64_t demand = t->busy_permyriad == UNKNOWN_PERMYRIAD ? 0 : t->busy_permyriad;

        if (t->wait_permyriad != UNKNOWN_PERMYRIAD)
                demand += t->wait_permyriad;
        return MIN(demand, (uint64_t)PERMYRIAD_FULL);
}

/* What its emulator, iothreads and vhost threads want, for a guest of many packets more than its vCPUs. */
static uint64_t helpers_demand(const Guest *g) {
        uint64_t demand = g->emulator_busy_permyriad;

        if (demand == UNKNOWN_PERMYRIAD)
                demand = thread_demand(&g->emulator);
        for (size_t i = 0; i < g->n_iothreads; i++)
                demand += thread_demand(&g->iothreads[i]);
        return demand;
}

static void guest_measure(PlacementGuest *g) {
        const Guest *guest = g->guest;

        g->movable = is_movable(guest);
        g->cpus_limited = !idset_is_empty(&guest->cgroup_cpus);
        g->advised = !idset_is_empty(&guest->advised_nodes);
        g->has_near = !idset_is_empty(&guest->vfio_nodes);
        g->limited = g->cpus_limited || !idset_is_empty(&guest->cgroup_mems);
        for (size_t i = 0; i < guest->n_vcpus; i++) {
                if (!guest->vcpus[i].online)
                        continue;
                g->n_vcpus++;
                g->demand_permyriad += thread_demand(&guest->vcpus[i]);
        }
        g->helpers_permyriad = helpers_demand(guest);
        g->demand_permyriad += g->helpers_permyriad;
        g->n_wanted = g->n_vcpus + isolated_helpers(g);
        g->resident_bytes = guest->n_node_memory > 0 ? 0 : UNKNOWN_U64;
        for (size_t i = 0; i < guest->n_node_memory; i++)
                g->resident_bytes = u64_add(g->resident_bytes, guest->node_memory[i].bytes);
}

static int guests_init(Placement *p) {
        const PolicyContext *c = p->context;
        size_t n = c->snapshot->n_guests;

        p->guests = calloc(MAX(n, (size_t)1), sizeof(*p->guests));
        if (!p->guests)
                return -ENOMEM;
        memory_expect(p->guests, n * sizeof(*p->guests));
        p->n_guests = n;
        for (size_t i = 0; i < n; i++) {
                PlacementGuest *g = &p->guests[i];

                g->guest = c->snapshot->guests[i];
                g->settings = c->guests[i];
                g->in_scope = !c->only_uuid || streq(c->only_uuid, g->guest->uuid);
                guest_measure(g);
                g->memo = c->memos[i];
                p->n_picked = MAX(p->n_picked, g->guest->n_vcpus);
        }
        p->picked = calloc(MAX(p->n_picked, (size_t)1), sizeof(*p->picked));
        return p->picked ? 0 : -ENOMEM;
}

static IdSet usable_cpus(const PolicyContext *c) {
        const char *text = c->host.values[KEY_HOST_RESERVED_CPUS].text;
        IdSet reserved = IDSET_EMPTY, usable;

        usable = idset_minus(&c->snapshot->topology->online, &c->snapshot->topology->isolated);
        /* The loader has checked the list; an unreadable one reserves nothing. */
        if (text)
                (void)idset_parse(text, &reserved);
        return idset_minus(&usable, &reserved);
}

int placement_new(PolicyContext *c, Placement **ret) {
        _cleanup_(placement_freep) Placement *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        p->context = c;
        p->texts = c->plan ? &c->plan->texts : &p->own_texts;
        p->topology = c->snapshot->topology;
        p->now_usec = c->snapshot->now_usec;
        p->usable = usable_cpus(c);
        r = nodes_init(p);
        if (r < 0)
                return r;
        r = cpus_init(p);
        if (r >= 0)
                r = placement_cpus_init(p);
        if (r < 0)
                return r;
        r = guests_init(p);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(p);
        return 0;
}

Placement *placement_free(Placement *p) {
        if (!p)
                return NULL;
        text_pool_done(&p->own_texts);
        free(p->source_text);
        free(p->old_text.text);
        free(p->new_text.text);
        free(p->guests);
        free(p->nodes);
        free(p->cpu_node);
        free(p->cpu_core);
        free(p->cpu_milli);
        free(p->core_milli);
        free(p->cores);
        free(p->by_core);
        free(p->caches);
        free(p->weights);
        free(p->shares);
        free(p->left);
        free(p->grown);
        free(p->n_grown);
        free(p->home);
        free(p->picked);
        free(p);
        return NULL;
}
