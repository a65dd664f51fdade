/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The host in a snapshot. What is left out follows from what is given:
 *
 *   total       the sum of the nodes' totals
 *   node total  the topology's, when it says; otherwise an equal part of the
 *               host's, or of 16 GiB
 *   available   the sum of the nodes' free memory when all of it is given;
 *               otherwise what the guests leave of total
 *   free        as much as available
 *   node free   its part of available, by what the guests leave of the node
 */

#include "snapshot_load.h"

#define DEFAULT_TOTAL (16 * GIB)

static const SnapField field_node_total = { .key = "total", .type = SNAP_SIZE,
                                            .offset = offsetof(NodeMemory, total_bytes) };
static const SnapField field_node_free = { .key = "free", .type = SNAP_SIZE,
                                           .offset = offsetof(NodeMemory, free_bytes) };

/* ---- memory and nodes ---- */

/* What of @g is on the node: as it says, or spread over the nodes by their size. */
static uint64_t guest_on_node(const Guest *g, const NodeMemory *node, uint64_t all_nodes) {
        uint64_t bytes = 0;

        if (g->n_node_memory == 0)
                return g->rss_bytes == UNKNOWN_U64 ? 0 : u64_muldiv(g->rss_bytes, node->total_bytes, all_nodes);
        for (size_t i = 0; i < g->n_node_memory; i++)
                if (g->node_memory[i].node == node->id)
                        bytes = u64_add(bytes, g->node_memory[i].bytes);
        return bytes;
}

static uint64_t left_on_node(const Snapshot *s, const NodeMemory *node, uint64_t all_nodes) {
        uint64_t left = node->total_bytes;

        for (size_t i = 0; i < s->n_guests; i++)
                left = u64_sub(left, guest_on_node(s->guests[i], node, all_nodes));
        return left;
}

static uint64_t left_on_host(const Snapshot *s, uint64_t total) {
        for (size_t i = 0; i < s->n_guests; i++)
                if (s->guests[i]->rss_bytes != UNKNOWN_U64)
                        total = u64_sub(total, s->guests[i]->rss_bytes);
        return total;
}

static int compare_pools(const void *a, const void *b) {
        uint64_t x = ((const HugePool *)a)->page_bytes, y = ((const HugePool *)b)->page_bytes;

        return (x > y) - (x < y);
}

static int load_pool(SnapLoader *l, const config_setting_t *group, HugePool *pool) {
        static const SnapFields *const tables[] = { &snap_pool, NULL };
        int r;

        r = snap_load_check_keys(l, group, NULL, tables);
        if (r < 0)
                return r;
        for (size_t i = 0; i < snap_pool.n; i++) {
                r = snap_load_field(l, group, &snap_pool.fields[i], 0, pool);
                if (r < 0)
                        return r;
                if (streq(snap_pool.fields[i].key, "total"))
                        pool->free_pages = pool->total_pages;
        }
        if (pool->page_bytes == 0)
                setting_error(&l->errors, group, "size is missing; a page size such as \"2 MiB\" is needed");
        if (pool->free_pages > pool->total_pages)
                setting_error(&l->errors, group, "free is more than total");
        return 0;
}

static int load_pools(SnapLoader *l, const config_setting_t *group, NodeMemory *node) {
        const config_setting_t *list, *element;
        int r;

        r = snap_load_list(l, group, "hugepages", &list);
        if (r <= 0)
                return r;
        node->pools = calloc((size_t)config_setting_length(list) + 1, sizeof(*node->pools));
        if (!node->pools)
                return -ENOMEM;
        for (unsigned i = 0; i < (unsigned)config_setting_length(list); i++) {
                r = snap_load_element(l, list, i, &element);
                if (r <= 0)
                        return r;
                r = load_pool(l, element, &node->pools[node->n_pools]);
                if (r < 0)
                        return r;
                node->n_pools++;
        }
        qsort(node->pools, node->n_pools, sizeof(*node->pools), compare_pools);
        for (size_t i = 1; i < node->n_pools; i++)
                if (node->pools[i].page_bytes == node->pools[i - 1].page_bytes)
                        setting_error(&l->errors, list, "the same page size is there twice");
        return 0;
}

/* Per node: which of its values were given. */
typedef struct Given {
        bool listed, total, free;
} Given;

static int load_node(SnapLoader *l, const config_setting_t *group, unsigned position, Given *given) {
        static const char *const keys[] = { "id", "hugepages", NULL };
        static const SnapFields *const tables[] = { &snap_node, NULL };
        Host *host = &l->snapshot->host;
        unsigned id = position;
        NodeMemory *node;
        size_t at;
        int r;

        r = snap_load_check_keys(l, group, keys, tables);
        if (r < 0)
                return r;
        r = snap_load_number(l, group, "id", 0, IDSET_MAX - 1, &id);
        if (r < 0)
                return r;
        node = (NodeMemory *)host_node(host, id);
        if (!node) {
                setting_error(&l->errors, group, "the topology has no node %u", id);
                return 0;
        }
        at = (size_t)(node - host->nodes);
        if (given[at].listed) {
                setting_error(&l->errors, group, "node %u is there twice", id);
                return 0;
        }
        given[at].listed = true;
        r = snap_load_field(l, group, &field_node_total, 0, node);
        if (r < 0)
                return r;
        given[at].total = r > 0;
        r = snap_load_field(l, group, &field_node_free, node->total_bytes, node);
        if (r < 0)
                return r;
        given[at].free = r > 0;
        if (r > 0 && node->free_bytes > node->total_bytes)
                setting_error(&l->errors, group, "free is more than total on node %u", id);
        return load_pools(l, group, node);
}

/* Every node of the topology, with its total. */
static int make_nodes(SnapLoader *l, uint64_t host_total) {
        const Topology *t = l->snapshot->topology;
        Host *host = &l->snapshot->host;
        size_t n_equal = 0;

        host->nodes = calloc(t->n_nodes, sizeof(*host->nodes));
        if (!host->nodes)
                return -ENOMEM;
        for (size_t i = 0; i < t->n_nodes; i++)
                n_equal += t->nodes[i].memory_bytes > 0;
        for (; host->n_nodes < t->n_nodes; host->n_nodes++) {
                const TopologyNode *node = &t->nodes[host->n_nodes];

                host->nodes[host->n_nodes].id = node->id;
                if (l->topology_memory && n_equal > 0)
                        host->nodes[host->n_nodes].total_bytes = node->memory_bytes;
                else if (n_equal == 0 || node->memory_bytes > 0)
                        host->nodes[host->n_nodes].total_bytes = host_total / (n_equal ?: t->n_nodes);
        }
        return 0;
}

static int load_nodes(SnapLoader *l, const config_setting_t *group, uint64_t host_total, Given *given) {
        const config_setting_t *list = NULL, *element;
        int r;

        r = group ? snap_load_list(l, group, "nodes", &list) : 0;
        if (r < 0)
                return r;
        if (r == 0 || config_setting_length(list) > 0) {
                int made = make_nodes(l, host_total);

                if (made < 0)
                        return made;
        }
        for (unsigned i = 0; r > 0 && i < (unsigned)config_setting_length(list); i++) {
                int e = snap_load_element(l, list, i, &element);

                if (e > 0)
                        e = load_node(l, element, i, given);
                if (e < 0)
                        return e;
        }
        return 0;
}

static uint64_t sum_nodes(const Host *host, const Given *given, bool free_bytes, bool *ret_all) {
        uint64_t sum = 0;

        *ret_all = host->n_nodes > 0;
        for (size_t i = 0; i < host->n_nodes; i++) {
                sum = u64_add(sum, free_bytes ? host->nodes[i].free_bytes : host->nodes[i].total_bytes);
                *ret_all = *ret_all && (free_bytes ? given[i].free : given[i].total);
        }
        return sum;
}

static void fill_node_free(Snapshot *s, const Given *given) {
        uint64_t all = 0, left = 0;

        for (size_t i = 0; i < s->host.n_nodes; i++)
                all = u64_add(all, s->host.nodes[i].total_bytes);
        for (size_t i = 0; i < s->host.n_nodes; i++)
                left = u64_add(left, left_on_node(s, &s->host.nodes[i], all));
        for (size_t i = 0; i < s->host.n_nodes; i++) {
                NodeMemory *node = &s->host.nodes[i];
                uint64_t mine = left_on_node(s, node, all);

                if (!given[i].free)
                        node->free_bytes = MIN(u64_muldiv(s->host.memory.available_bytes, mine, left), mine);
        }
}

/* Each value of "memory" is, once known, the default of the next. */
static int load_memory_values(SnapLoader *l, const config_setting_t *memory, HostMemory *m) {
        int r;

        for (size_t i = 0; memory && i < snap_memory.n; i++) {
                const SnapField *field = &snap_memory.fields[i];
                uint64_t whole = streq(field->key, "swap_free") ? m->swap_total_bytes : m->total_bytes;

                if (streq(field->key, "total"))
                        continue;
                r = snap_load_field(l, memory, field, whole, m);
                if (r < 0)
                        return r;
                if (streq(field->key, "available"))
                        m->free_bytes = m->available_bytes;
                if (streq(field->key, "swap_total"))
                        m->swap_free_bytes = m->swap_total_bytes;
        }
        if (m->available_bytes > m->total_bytes)
                setting_error(&l->errors, memory, "available is more than total");
        if (m->swap_free_bytes > m->swap_total_bytes)
                setting_error(&l->errors, memory, "swap_free is more than swap_total");
        return 0;
}

static int load_memory(SnapLoader *l, const config_setting_t *host) {
        HostMemory *m = &l->snapshot->host.memory;
        static const SnapFields *const tables[] = { &snap_memory, NULL };
        const config_setting_t *memory = NULL;
        _cleanup_free_ Given *given = NULL;
        bool total_given = false, all;
        uint64_t sum;
        int r;

        r = host ? snap_load_group(l, host, "memory", &memory) : 0;
        if (r < 0)
                return r;
        if (memory) {
                r = snap_load_check_keys(l, memory, NULL, tables);
                if (r < 0)
                        return r;
                r = snap_load_field(l, memory, &snap_memory.fields[0], 0, m);
                if (r < 0)
                        return r;
                total_given = r > 0;
        }
        given = calloc(l->snapshot->topology->n_nodes, sizeof(*given));
        if (!given)
                return -ENOMEM;
        r = load_nodes(l, host, total_given ? m->total_bytes : DEFAULT_TOTAL, given);
        if (r < 0)
                return r;
        sum = sum_nodes(&l->snapshot->host, given, false, &all);
        if (!total_given)
                m->total_bytes = l->snapshot->host.n_nodes > 0 ? sum : DEFAULT_TOTAL;
        sum = sum_nodes(&l->snapshot->host, given, true, &all);
        m->available_bytes = all ? MIN(sum, m->total_bytes) : left_on_host(l->snapshot, m->total_bytes);
        m->free_bytes = m->available_bytes;
        r = load_memory_values(l, memory, m);
        if (r < 0)
                return r;
        fill_node_free(l->snapshot, given);
        return 0;
}

/* ---- CPUs ---- */

static int compare_cpus(const void *a, const void *b) {
        unsigned x = ((const CpuLoad *)a)->id, y = ((const CpuLoad *)b)->id;

        return (x > y) - (x < y);
}

static int load_cpu(SnapLoader *l, const config_setting_t *group, CpuLoad *cpu) {
        static const char *const keys[] = { "id", NULL };
        static const SnapFields *const tables[] = { &snap_cpu, NULL };
        int r;

        snap_set_defaults(&snap_cpu, cpu);
        r = snap_load_check_keys(l, group, keys, tables);
        if (r < 0)
                return r;
        r = snap_load_number(l, group, "id", 0, IDSET_MAX - 1, &cpu->id);
        if (r < 0)
                return r;
        if (r == 0)
                setting_error(&l->errors, group, "id is missing; the number of the CPU is needed");
        else if (!topology_cpu(l->snapshot->topology, cpu->id))
                setting_error(&l->errors, group, "the topology has no CPU %u that is online", cpu->id);
        return snap_load_fields(l, group, &snap_cpu, 0, cpu);
}

static int load_cpu_list(SnapLoader *l, const config_setting_t *list, Host *host) {
        const config_setting_t *element;
        int r;

        host->cpus = calloc((size_t)config_setting_length(list) + 1, sizeof(*host->cpus));
        if (!host->cpus)
                return -ENOMEM;
        for (unsigned i = 0; i < (unsigned)config_setting_length(list); i++) {
                r = snap_load_element(l, list, i, &element);
                if (r <= 0)
                        return r;
                r = load_cpu(l, element, &host->cpus[host->n_cpus]);
                if (r < 0)
                        return r;
                host->n_cpus++;
        }
        qsort(host->cpus, host->n_cpus, sizeof(*host->cpus), compare_cpus);
        for (size_t i = 1; i < host->n_cpus; i++)
                if (host->cpus[i].id == host->cpus[i - 1].id)
                        setting_error(&l->errors, list, "CPU %u is there twice", host->cpus[i].id);
        return 0;
}

static int load_cpus(SnapLoader *l, const config_setting_t *group) {
        const Topology *t = l->snapshot->topology;
        Host *host = &l->snapshot->host;
        const config_setting_t *list;
        int r;

        r = snap_load_list(l, group, "cpus", &list);
        if (r < 0)
                return r;
        if (r > 0)
                return load_cpu_list(l, list, host);
        if (host->cpu_busy_permyriad == UNKNOWN_PERMYRIAD)
                return 0;
        host->cpus = calloc(t->n_cpus, sizeof(*host->cpus));
        if (!host->cpus)
                return -ENOMEM;
        for (; host->n_cpus < t->n_cpus; host->n_cpus++)
                host->cpus[host->n_cpus] =
                        (CpuLoad){ .id = t->cpus[host->n_cpus].id, .busy_permyriad = host->cpu_busy_permyriad };
        return 0;
}

/* ---- the whole ---- */

static int load_table(SnapLoader *l, const config_setting_t *parent, const char *name, const SnapFields *fields,
                      void *record) {
        const SnapFields *const tables[] = { fields, NULL };
        const config_setting_t *group;
        int r;

        r = snap_load_group(l, parent, name, &group);
        if (r <= 0)
                return r;
        r = snap_load_check_keys(l, group, NULL, tables);
        if (r < 0)
                return r;
        return snap_load_fields(l, group, fields, 0, record);
}

static int load_rest(SnapLoader *l, const config_setting_t *group, Host *host) {
        static const char *const keys[] = { "memory", "nodes", "cpus", "psi", "ksm", "thp", "facts", NULL };
        static const SnapFields *const tables[] = { &snap_host, NULL };
        int r;

        r = snap_load_check_keys(l, group, keys, tables);
        if (r < 0)
                return r;
        r = snap_load_fields(l, group, &snap_host, 0, host);
        if (r < 0)
                return r;
        r = load_cpus(l, group);
        if (r < 0)
                return r;
        r = load_table(l, group, "psi", &snap_psi, host);
        if (r < 0)
                return r;
        r = load_table(l, group, "ksm", &snap_ksm, &host->ksm);
        if (r < 0)
                return r;
        r = load_table(l, group, "thp", &snap_thp, &host->thp);
        if (r < 0)
                return r;
        return load_table(l, group, "facts", &snap_facts, &host->facts);
}

int snap_load_host(SnapLoader *l, const config_setting_t *root) {
        Host *host = &l->snapshot->host;
        const config_setting_t *group = NULL;
        int r;

        snap_set_defaults(&snap_host, host);
        snap_set_defaults(&snap_psi, host);
        snap_set_defaults(&snap_ksm, &host->ksm);
        snap_set_defaults(&snap_thp, &host->thp);
        snap_set_defaults(&snap_facts, &host->facts);
        r = snap_load_group(l, root, "host", &group);
        if (r < 0)
                return r;
        r = load_memory(l, group);
        if (r < 0 || !group)
                return r;
        return load_rest(l, group, host);
}
