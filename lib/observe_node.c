/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Memory of each NUMA node and its huge page pools. Which pools a node has is
 * looked up once; a pool without pages costs one pread() and one descriptor.
 *
 * libnuma reads the machine at hand only, so it completes a topology and is
 * never asked for what changes.
 */

#include "observe.h"

#include "sysfs.h"

#include <numa.h>
#include <stdio.h>

#define NODE_DIR "sys/devices/system/node/node%u"

/* What a cell of Topology's matrix holds. */
#define DISTANCE_MAX ((int)UINT16_MAX)

typedef struct PoolFiles {
        uint64_t page_bytes;
        SysfsFile total, free, surplus;
} PoolFiles;

typedef struct NodeFiles {
        unsigned id;
        uint64_t memory_bytes;  /* as the topology says */
        SysfsFile meminfo;
        bool pools_listed;
        PoolFiles *pools;
        size_t n_pools;
} NodeFiles;

struct NodeObserver {
        SysfsFile online;
        IdSet present;          /* as that file says; empty: it does not */
        NodeFiles *nodes;
        size_t n_nodes;
};

/* libnuma's own print to stderr; these are weak symbols there, made to be replaced. */
void numa_error(char *where _unused_) {
}

void numa_warn(int number _unused_, char *format _unused_, ...) {
}

static void pool_files_done(PoolFiles *p) {
        sysfs_file_done(&p->total);
        sysfs_file_done(&p->free);
        sysfs_file_done(&p->surplus);
}

static void pools_free(PoolFiles *pools, size_t n) {
        for (size_t i = 0; i < n; i++)
                pool_files_done(&pools[i]);
        free(pools);
}

NodeObserver *node_observer_free(NodeObserver *o) {
        if (!o)
                return NULL;
        for (size_t i = 0; i < o->n_nodes; i++) {
                sysfs_file_done(&o->nodes[i].meminfo);
                pools_free(o->nodes[i].pools, o->nodes[i].n_pools);
        }
        sysfs_file_done(&o->online);
        free(o->nodes);
        free(o);
        return NULL;
}
DEFINE_CLEANUP(NodeObserver, node_observer_free)

static int node_files_init(NodeFiles *f, const TopologyNode *n) {
        char path[96];

        f->id = n->id;
        f->memory_bytes = n->memory_bytes;
        (void)snprintf(path, sizeof(path), NODE_DIR "/meminfo", n->id);
        return sysfs_file_init(&f->meminfo, path);
}

int node_observer_new(const Topology *topology, NodeObserver **ret) {
        _cleanup_(node_observer_freep) NodeObserver *o = NULL;
        _cleanup_free_ NodeFiles *nodes = NULL;
        int r;

        nodes = calloc(MAX(topology->n_nodes, (size_t)1), sizeof(*nodes));
        o = calloc(1, sizeof(*o));
        if (!nodes || !o)
                return -ENOMEM;
        o->nodes = TAKE_PTR(nodes);
        o->n_nodes = topology->n_nodes;
        r = sysfs_file_init(&o->online, "sys/devices/system/node/online");
        for (size_t i = 0; i < o->n_nodes && r >= 0; i++)
                r = node_files_init(&o->nodes[i], &topology->nodes[i]);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(o);
        return 0;
}

static int pool_file_init(SysfsFile *f, unsigned node, uint64_t kib, const char *name) {
        char path[128];

        (void)snprintf(path, sizeof(path), NODE_DIR "/hugepages/hugepages-%llukB/%s", node,
                       (unsigned long long)kib, name);
        return sysfs_file_init(f, path);
}

/* A kernel without huge pages has no such folder. */
static int list_pools(NodeFiles *n, int root_fd) {
        _cleanup_free_ uint64_t *kib = NULL;
        PoolFiles *pools;
        size_t n_sizes = 0;
        char path[96];
        int r;

        (void)snprintf(path, sizeof(path), NODE_DIR "/hugepages", n->id);
        r = sysfs_list_numbers(root_fd, path, "hugepages-", "kB", &kib, &n_sizes);
        if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
                return r;
        n->pools_listed = true;
        if (r < 0 || n_sizes == 0)
                return 0;
        pools = calloc(n_sizes, sizeof(*pools));
        if (!pools)
                return -ENOMEM;
        for (size_t i = 0; i < n_sizes; i++) {
                pools[i].page_bytes = kib[i] * KIB;
                if (pool_file_init(&pools[i].total, n->id, kib[i], "nr_hugepages") < 0 ||
                    pool_file_init(&pools[i].free, n->id, kib[i], "free_hugepages") < 0 ||
                    pool_file_init(&pools[i].surplus, n->id, kib[i], "surplus_hugepages") < 0) {
                        pools_free(pools, n_sizes);
                        n->pools_listed = false;
                        return -ENOMEM;
                }
        }
        n->pools = pools;
        n->n_pools = n_sizes;
        return 0;
}

static int read_pools(NodeFiles *n, int root_fd, NodeMemory *m) {
        if (m->n_pools != n->n_pools) {
                HugePool *p = calloc(MAX(n->n_pools, (size_t)1), sizeof(*p));

                if (!p)
                        return -ENOMEM;
                free(m->pools);
                m->pools = p;
                m->n_pools = n->n_pools;
        }
        for (size_t i = 0; i < n->n_pools; i++) {
                HugePool *p = &m->pools[i], now = { .page_bytes = n->pools[i].page_bytes };

                /* Nothing said is not "no pages": what was seen last stands. */
                p->page_bytes = now.page_bytes;
                if (sysfs_file_read_u64(&n->pools[i].total, root_fd, &now.total_pages) < 0)
                        continue;
                if (now.total_pages > 0) {
                        (void)sysfs_file_read_u64(&n->pools[i].free, root_fd, &now.free_pages);
                        (void)sysfs_file_read_u64(&n->pools[i].surplus, root_fd, &now.surplus_pages);
                }
                *p = now;
        }
        return 0;
}

/*
 * Free is what the kernel hands out without swapping: free pages and the page
 * cache. Shmem is counted in the cache but may be guests' memory; slabs are
 * left out, they shrink unpredictably.
 */
static int parse_node_meminfo(const char *text, NodeMemory *m) {
        uint64_t total, free_bytes, file = 0, shmem = 0;

        if (sysfs_find_key(text, "MemTotal", &total) < 0 || sysfs_find_key(text, "MemFree", &free_bytes) < 0)
                return -EBADMSG;
        (void)sysfs_find_key(text, "FilePages", &file);
        (void)sysfs_find_key(text, "Shmem", &shmem);
        m->total_bytes = total;
        m->free_bytes = MIN(u64_add(free_bytes, u64_sub(file, shmem)), total);
        return 0;
}

/* A kernel without NUMA has one node and no files for it: that is the host. */
static int read_node(NodeFiles *n, int root_fd, bool only, const Host *host, NodeMemory *m) {
        const char *text;
        int r;

        m->id = n->id;
        if (only)
                r = sysfs_file_read_optional(&n->meminfo, root_fd, &text);
        else
                r = sysfs_file_read(&n->meminfo, root_fd, &text);
        if (r >= 0)
                r = parse_node_meminfo(text, m);
        if (r < 0 && only) {
                m->total_bytes = host->memory.total_bytes;
                m->free_bytes = MIN(u64_add(host->memory.free_bytes, host->memory.cached_bytes), m->total_bytes);
        } else if (r < 0) {
                m->total_bytes = n->memory_bytes;
                m->free_bytes = 0;
        }
        if (!n->pools_listed) {
                r = list_pools(n, root_fd);
                if (r < 0)
                        return r;
        }
        return read_pools(n, root_fd, m);
}

static int resize_nodes(Host *host, size_t want) {
        NodeMemory *p;

        if (host->n_nodes == want && host->nodes)
                return 0;
        for (size_t i = want; i < host->n_nodes; i++)
                free(host->nodes[i].pools);
        host->n_nodes = MIN(host->n_nodes, want);
        p = realloc(host->nodes, MAX(want, (size_t)1) * sizeof(*p));
        if (!p)
                return -ENOMEM;
        if (want > host->n_nodes)
                memset(p + host->n_nodes, 0, (want - host->n_nodes) * sizeof(*p));
        host->nodes = p;
        host->n_nodes = want;
        return 0;
}

const IdSet *node_observer_present(const NodeObserver *o) {
        return &o->present;
}

int node_observe(NodeObserver *o, int root_fd, Host *host) {
        const char *text;
        int r;

        r = sysfs_file_read_optional(&o->online, root_fd, &text);
        if (r < 0 || idset_parse(text, &o->present) < 0)
                o->present = IDSET_EMPTY;
        r = resize_nodes(host, o->n_nodes);
        if (r < 0)
                return r;
        for (size_t i = 0; i < o->n_nodes; i++) {
                r = read_node(&o->nodes[i], root_fd, o->n_nodes == 1, host, &host->nodes[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The whole matrix, or nothing when libnuma does not know a part of it. */
static int complete_distances(Topology *t) {
        uint16_t *d;

        d = calloc(t->n_nodes * t->n_nodes, sizeof(*d));
        if (!d)
                return -ENOMEM;
        for (size_t i = 0; i < t->n_nodes; i++)
                for (size_t j = 0; j < t->n_nodes; j++) {
                        int v = numa_distance((int)t->nodes[i].id, (int)t->nodes[j].id);

                        if (v <= 0 || v > DISTANCE_MAX) {
                                free(d);
                                return 0;
                        }
                        d[i * t->n_nodes + j] = (uint16_t)v;
                }
        free(t->distances);
        t->distances = d;
        return 0;
}

int topology_complete_from_libnuma(Topology *t) {
        if (t->n_nodes == 0 || numa_available() < 0)
                return 0;
        for (size_t i = 0; i < t->n_nodes; i++) {
                long long size = numa_node_size64((int)t->nodes[i].id, NULL);

                if (t->nodes[i].memory_bytes == 0 && size > 0)
                        t->nodes[i].memory_bytes = (uint64_t)size;
        }
        return complete_distances(t);
}
