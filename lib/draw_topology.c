/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * From a snapshot to what is drawn of it. The only judgement here is where a
 * guest "is": the CPUs that the kernel allows its vCPUs, or, when those are
 * not known, its pins. CPUs that are set apart (isolated, reserved, another
 * guest's own) are not missed: a guest on all the others of a node is on the
 * node.
 */

#include "draw_internal.h"

#include "plan_text.h"

#define MARKS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghjklmnopqstuvwxyz"

unsigned draw_percent(uint64_t permyriad) {
        return (unsigned)((permyriad + 50) / 100);
}

void draw_count(FILE *f, size_t n, const char *word) {
        (void)fprintf(f, "%zu %s%s", n, word, n == 1 ? "" : "s");
}

/* ---- CPUs and nodes -------------------------------------------------------- */

static int compare_cpus(const void *a, const void *b) {
        const DrawCpu *x = a, *y = b;

        if (x->llc != y->llc)
                return x->llc < y->llc ? -1 : 1;
        if (x->core != y->core)
                return x->core < y->core ? -1 : 1;
        return (x->id > y->id) - (x->id < y->id);
}

static void take_cpu(Drawing *d, unsigned id) {
        const TopologyCpu *at = topology_cpu(d->topology, id);
        const CpuLoad *load = host_cpu(&d->snapshot->host, id);

        if (!at)
                return;
        d->cpus[d->n_cpus++] = (DrawCpu){
                .id = id,
                .core = at->core,
                .llc = at->llc,
                .package = at->package,
                .busy_permyriad = load ? load->busy_permyriad : UNKNOWN_PERMYRIAD,
                .isolated = idset_contains(&d->topology->isolated, id),
                .reserved = idset_contains(&d->reserved, id),
                .owner = DRAW_NOBODY,
        };
}

static void sum_up_cpus(const Drawing *d, DrawNode *n) {
        uint64_t busy = 0, known = 0;

        for (size_t i = n->first_cpu; i < n->first_cpu + n->n_cpus; i++) {
                const DrawCpu *cpu = &d->cpus[i], *before = i > n->first_cpu ? cpu - 1 : NULL;

                n->n_cores += !before || before->core != cpu->core;
                n->n_llcs += !before || before->llc != cpu->llc;
                (void)idset_add(&n->packages, cpu->package);
                if (cpu->busy_permyriad == UNKNOWN_PERMYRIAD)
                        continue;
                busy += cpu->busy_permyriad;
                known++;
        }
        n->busy_permyriad = known > 0 ? (uint32_t)(busy / known) : UNKNOWN_PERMYRIAD;
}

static void take_node(Drawing *d, const TopologyNode *at) {
        const NodeMemory *memory = host_node(&d->snapshot->host, at->id);
        DrawNode *n = &d->nodes[d->n_nodes++];

        *n = (DrawNode){
                .id = at->id,
                .cpu_ids = &at->cpus,
                .first_cpu = d->n_cpus,
                .memory = memory,
                .total_bytes = memory ? memory->total_bytes : at->memory_bytes,
                .free_bytes = memory ? memory->free_bytes : UNKNOWN_U64,
        };
        IDSET_FOREACH(id, &at->cpus)
                take_cpu(d, (unsigned)id);
        n->n_cpus = d->n_cpus - n->first_cpu;
        qsort(d->cpus + n->first_cpu, n->n_cpus, sizeof(*d->cpus), compare_cpus);
        sum_up_cpus(d, n);
        for (size_t i = 0; i < d->snapshot->n_guests; i++)
                n->guests_bytes = u64_add(n->guests_bytes, drawing_guest_on_node(d->snapshot->guests[i], at->id));
}

static size_t count_groups(const Topology *t, size_t member_offset) {
        IdSet seen = IDSET_EMPTY;

        for (size_t i = 0; i < t->n_cpus; i++)
                (void)idset_add(&seen,
                                *(const unsigned *)(const void *)((const char *)&t->cpus[i] + member_offset));
        return idset_count(&seen);
}

static void take_distances(Drawing *d) {
        const Topology *t = d->topology;

        d->local = topology_distance(t, 0, 0);
        d->near = UINT32_MAX;
        for (size_t i = 0; i < t->n_nodes; i++)
                for (size_t j = 0; j < t->n_nodes; j++) {
                        unsigned v = topology_distance(t, i, j);

                        if (i == j) {
                                d->local = MIN(d->local, v);
                                continue;
                        }
                        d->near = MIN(d->near, v);
                        d->far = MAX(d->far, v);
                }
        d->uniform = d->n_nodes < 2 || d->near == d->far;
}

static int take_nodes(Drawing *d) {
        const Topology *t = d->topology;

        d->cpus = calloc(t->n_cpus + 1, sizeof(*d->cpus));
        d->nodes = calloc(t->n_nodes + 1, sizeof(*d->nodes));
        if (!d->cpus || !d->nodes)
                return -ENOMEM;
        for (size_t i = 0; i < t->n_nodes; i++)
                take_node(d, &t->nodes[i]);
        d->n_cores = count_groups(t, offsetof(TopologyCpu, core));
        d->n_llcs = count_groups(t, offsetof(TopologyCpu, llc));
        d->n_packages = count_groups(t, offsetof(TopologyCpu, package));
        take_distances(d);
        return 0;
}

/* ---- guests ---------------------------------------------------------------- */

uint64_t drawing_guest_on_node(const Guest *g, unsigned id) {
        uint64_t bytes = 0;

        for (size_t i = 0; i < g->n_node_memory; i++)
                if (g->node_memory[i].node == id)
                        bytes = u64_add(bytes, g->node_memory[i].bytes);
        return bytes;
}

bool drawing_is_on_node(const DrawGuest *g, unsigned id) {
        return g->place != DRAW_ANYWHERE && idset_contains(&g->nodes, id);
}

/* Where the kernel lets it run; not known: where its pin does; without one, everywhere. */
static IdSet cpus_of_vcpu(const Drawing *d, const Guest *g, const GuestThread *t) {
        IdSet cpus = t->affinity;

        if (idset_is_empty(&cpus) && t->pinned)
                cpus = t->pin;
        else if (idset_is_empty(&cpus) && g->vcpu_cpuset_set)
                cpus = g->vcpu_cpuset;
        cpus = idset_and(&cpus, &d->topology->online);
        return idset_is_empty(&cpus) ? d->topology->online : cpus;
}

static void take_vcpus(const Drawing *d, DrawGuest *g, bool *ret_pinned) {
        bool known = true;

        *ret_pinned = true;
        g->busy_permyriad = 0;
        for (size_t i = 0; i < g->guest->n_vcpus; i++) {
                const GuestThread *t = &g->guest->vcpus[i];
                IdSet cpus;

                if (!t->online)
                        continue;
                cpus = cpus_of_vcpu(d, g->guest, t);
                g->cpus = idset_or(&g->cpus, &cpus);
                *ret_pinned = *ret_pinned && idset_count(&cpus) == 1;
                known = known && t->busy_permyriad != UNKNOWN_PERMYRIAD;
                g->busy_permyriad += t->busy_permyriad;
                g->vcpus++;
        }
        if (!known)
                g->busy_permyriad = UNKNOWN_U64;
}

static DrawPlace place_of(const Drawing *d, const DrawGuest *g, const GuestMemo *memo, bool pinned) {
        IdSet apart = idset_or(&d->topology->isolated, &d->reserved), all, wanted;

        if (memo && memo_has_cpus(memo))
                return DRAW_DEDICATED;
        apart = idset_or(&apart, &d->dedicated);
        wanted = idset_minus(&d->topology->online, &apart);
        if (idset_is_subset(&wanted, &g->cpus) && (d->n_nodes == 1 || idset_count(&g->nodes) > 1))
                return DRAW_ANYWHERE;
        if (pinned && g->vcpus > 0)
                return DRAW_PINNED;
        all = topology_cpus_of_nodes(d->topology, &g->nodes);
        wanted = idset_minus(&all, &apart);
        return idset_is_subset(&wanted, &g->cpus) ? DRAW_ON_NODES : DRAW_ON_CPUS;
}

static int take_guest(Drawing *d, const Guest *guest, const State *state, DrawGuest *g) {
        const GuestMemo *memo = state ? state_find_guest(state, guest->uuid) : NULL;
        bool pinned;

        g->guest = guest;
        g->memory_bytes = guest->rss_bytes;
        take_vcpus(d, g, &pinned);
        g->nodes = topology_nodes_of_cpus(d->topology, &g->cpus);
        g->place = place_of(d, g, memo, pinned);
        for (size_t i = 0; i < guest->n_node_memory; i++) {
                g->placed_bytes = u64_add(g->placed_bytes, guest->node_memory[i].bytes);
                if (idset_contains(&g->nodes, guest->node_memory[i].node))
                        g->local_bytes = u64_add(g->local_bytes, guest->node_memory[i].bytes);
        }
        d->vcpus += g->vcpus;
        /* Huge pages are in no resident size, but on a node. */
        if (g->memory_bytes == UNKNOWN_U64 || g->placed_bytes > g->memory_bytes)
                g->memory_bytes = g->placed_bytes > 0 ? g->placed_bytes : g->memory_bytes;
        if (g->memory_bytes != UNKNOWN_U64)
                d->guests_bytes = u64_add(d->guests_bytes, g->memory_bytes);
        return plan_clean_text(guest->name, &g->name);
}

static int compare_guests(const void *a, const void *b) {
        const DrawGuest *x = a, *y = b;
        int c = strverscmp(x->name, y->name);

        return c != 0 ? c : strcmp(x->guest->uuid, y->guest->uuid);
}

static DrawCpu *find_cpu(Drawing *d, unsigned id) {
        for (size_t i = 0; i < d->n_cpus; i++)
                if (d->cpus[i].id == id)
                        return &d->cpus[i];
        return NULL;
}

static void own_cpus(Drawing *d, size_t guest, const IdSet *cpus) {
        IDSET_FOREACH(id, cpus) {
                DrawCpu *cpu = find_cpu(d, (unsigned)id);

                if (cpu)
                        cpu->owner = cpu->owner == DRAW_NOBODY || cpu->owner == guest ? guest : DRAW_SEVERAL;
        }
}

/* CPUs that a guest does not just share with others: those that are its own, and those of single pins. */
static void take_owned(Drawing *d, size_t guest, const State *state) {
        const DrawGuest *g = &d->guests[guest];
        const GuestMemo *memo = state ? state_find_guest(state, g->guest->uuid) : NULL;

        if (memo)
                own_cpus(d, guest, memo_cpus(memo));
        for (size_t i = 0; i < g->guest->n_vcpus; i++) {
                const GuestThread *t = &g->guest->vcpus[i];
                IdSet cpus;

                if (!t->online)
                        continue;
                cpus = cpus_of_vcpu(d, g->guest, t);
                if (idset_count(&cpus) == 1 && d->n_cpus > 1)
                        own_cpus(d, guest, &cpus);
        }
}

static void give_marks(Drawing *d) {
        size_t n = 0;

        for (size_t i = 0; i < d->n_cpus; i++)
                if (d->cpus[i].owner < d->n_guests)
                        d->guests[d->cpus[i].owner].mark = '#';
        for (size_t i = 0; i < d->n_guests && n < sizeof(MARKS) - 1; i++)
                if (d->guests[i].mark)
                        d->guests[i].mark = MARKS[n++];
}

static void spread_vcpus(Drawing *d, const DrawGuest *g) {
        for (size_t i = 0; i < g->guest->n_vcpus; i++) {
                const GuestThread *t = &g->guest->vcpus[i];
                IdSet cpus, here;
                unsigned n;

                if (!t->online)
                        continue;
                cpus = cpus_of_vcpu(d, g->guest, t);
                n = idset_count(&cpus);
                for (size_t k = 0; k < d->n_nodes; k++) {
                        here = idset_and(&cpus, d->nodes[k].cpu_ids);
                        d->nodes[k].vcpus_milli += 1000U * idset_count(&here) / n;
                }
        }
}

static int take_guests(Drawing *d, const State *state) {
        size_t n = d->snapshot->n_guests;
        int r;

        d->guests = calloc(n + 1, sizeof(*d->guests));
        if (!d->guests)
                return -ENOMEM;
        for (size_t i = 0; state && i < n; i++) {
                const GuestMemo *memo = state_find_guest(state, d->snapshot->guests[i]->uuid);

                if (memo)
                        d->dedicated = idset_or(&d->dedicated, memo_cpus(memo));
        }
        for (size_t i = 0; i < n; i++) {
                r = take_guest(d, d->snapshot->guests[i], state, &d->guests[d->n_guests++]);
                if (r < 0)
                        return r;
        }
        qsort(d->guests, d->n_guests, sizeof(*d->guests), compare_guests);
        for (size_t i = 0; i < d->n_guests; i++) {
                take_owned(d, i, state);
                spread_vcpus(d, &d->guests[i]);
        }
        give_marks(d);
        return 0;
}

/* ---- the whole ------------------------------------------------------------- */

char drawing_mark(const Drawing *d, const DrawCpu *cpu) {
        if (cpu->owner == DRAW_SEVERAL)
                return '+';
        if (cpu->owner != DRAW_NOBODY)
                return d->guests[cpu->owner].mark;
        if (cpu->reserved)
                return 'r';
        if (cpu->isolated)
                return 'i';
        return ' ';
}

int drawing_where(const DrawGuest *g, char **ret) {
        static const char *const how[] = { [DRAW_ON_CPUS] = "", [DRAW_PINNED] = " (pinned)",
                                           [DRAW_DEDICATED] = " (own)" };
        _cleanup_free_ char *list = NULL;
        int r;

        if (g->place == DRAW_ANYWHERE)
                return strprintf_to(ret, "anywhere");
        r = idset_format(g->place == DRAW_ON_NODES ? &g->nodes : &g->cpus, &list);
        if (r < 0)
                return r;
        if (g->place == DRAW_ON_NODES)
                return strprintf_to(ret, "node%s %s", idset_count(&g->nodes) == 1 ? "" : "s", list);
        return strprintf_to(ret, "CPU%s %s%s", idset_count(&g->cpus) == 1 ? "" : "s", list, how[g->place]);
}

Drawing *drawing_free(Drawing *d) {
        if (!d)
                return NULL;
        for (size_t i = 0; i < d->n_guests; i++)
                free(d->guests[i].name);
        free(d->guests);
        free(d->cpus);
        free(d->nodes);
        free(d);
        return NULL;
}

int drawing_new(const Snapshot *s, const State *state, const Config *config, Drawing **ret) {
        const char *reserved = config ? config->base.values[KEY_HOST_RESERVED_CPUS].text : NULL;
        _cleanup_(drawing_freep) Drawing *d = NULL;
        int r;

        if (!s->topology || s->topology->n_nodes == 0)
                return -ENODATA;
        d = calloc(1, sizeof(*d));
        if (!d)
                return -ENOMEM;
        d->snapshot = s;
        d->topology = s->topology;
        /* The loader has checked the list. */
        if (reserved && idset_parse(reserved, &d->reserved) < 0)
                d->reserved = IDSET_EMPTY;
        d->reserved = idset_and(&d->reserved, &s->topology->online);
        r = take_nodes(d);
        if (r < 0)
                return r;
        r = take_guests(d, state);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(d);
        return 0;
}
