/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * hwloc -> Topology. Two questions hwloc leaves open are answered here.
 *
 * Which node does a CPU belong to? For hwloc a node is memory, and several
 * nodes may be local to the same CPUs: DRAM and high-bandwidth memory of one
 * package, or one large memory behind two sub-NUMA clusters. The kernel knows
 * exactly one node for each CPU. So a CPU goes to the node with the smallest
 * locality around it; among equals to the lowest number, which is the DRAM:
 * firmware numbers it before HBM and CXL memory. On the machine at hand, nodes
 * whose own cpulist in /sys is empty are left out. CPUs that are local to no
 * node (its memory is offline or forbidden) go to the one they share the
 * smallest part of the machine with.
 *
 * What is a distance? hwloc hands on the ACPI SLIT where there is one, but
 * also measured latencies (nanoseconds) in files of its users. These are
 * scaled so that the smallest value from a node to itself is 10, as in the SLIT.
 */

#include "topology.h"

#include "isolated.h"
#include "sysfs.h"

#include <fcntl.h>
#include <hwloc.h>
#include <stdio.h>

#define DISTANCE_LOCAL 10U
#define DISTANCE_REMOTE 20U

#define DISTANCE_MAX ((uint16_t)UINT16_MAX)

/* A description longer than this is not worth having. */
#define SYNTHETIC_SIZE (256 * KIB)

static void handle_done(hwloc_topology_t *h) {
        if (*h)
                hwloc_topology_destroy(*h);
}

static void distances_done(struct hwloc_distances_s **d, hwloc_topology_t h) {
        if (*d)
                hwloc_distances_release(h, *d);
        *d = NULL;
}

static int handle_new(unsigned long flags, hwloc_topology_t *ret) {
        _cleanup_(handle_done) hwloc_topology_t h = NULL;

        if (hwloc_topology_init(&h) < 0)
                return -ENOMEM;
        if (hwloc_topology_set_flags(h, flags) < 0)
                return -EIO;
        if (hwloc_topology_set_io_types_filter(h, HWLOC_TYPE_FILTER_KEEP_NONE) < 0)
                return -EIO;
        *ret = TAKE_PTR(h);
        return 0;
}

static int handle_load(hwloc_topology_t h, int refusal) {
        errno = 0;
        if (hwloc_topology_load(h) < 0)
                return errno == ENOMEM ? -ENOMEM : refusal;
        return 0;
}

/* ---- nodes ---------------------------------------------------------------- */

static int compare_objects(const void *a, const void *b) {
        unsigned x = (*(const hwloc_obj_t *)a)->os_index, y = (*(const hwloc_obj_t *)b)->os_index;

        return (x > y) - (x < y);
}

/* The NUMA nodes of @h by number; the array parallel to t->nodes is the caller's. */
static int collect_nodes(hwloc_topology_t h, Topology *t, hwloc_obj_t **ret_objects) {
        _cleanup_free_ hwloc_obj_t *objects = NULL;
        size_t n = (size_t)MAX(hwloc_get_nbobjs_by_type(h, HWLOC_OBJ_NUMANODE), 0), i = 0;

        if (n == 0)
                return -ENODATA;
        objects = calloc(n, sizeof(*objects));
        t->nodes = calloc(n, sizeof(*t->nodes));
        if (!objects || !t->nodes)
                return -ENOMEM;
        for (hwloc_obj_t o = NULL; (o = hwloc_get_next_obj_by_type(h, HWLOC_OBJ_NUMANODE, o)) && i < n;)
                objects[i++] = o;
        qsort(objects, n, sizeof(*objects), compare_objects);
        for (i = 0; i < n; i++) {
                if (objects[i]->os_index >= IDSET_MAX)
                        return -ERANGE;
                t->nodes[i].id = objects[i]->os_index;
                t->nodes[i].memory_bytes = objects[i]->attr->numanode.local_memory;
        }
        t->n_nodes = n;
        *ret_objects = TAKE_PTR(objects);
        return 0;
}

/* The smallest part of the machine that holds both @node and @cpu. */
static hwloc_obj_t common_part(hwloc_obj_t node, unsigned cpu) {
        hwloc_obj_t o = node;

        while (o->parent && !hwloc_bitmap_isset(o->cpuset, cpu))
                o = o->parent;
        return o;
}

static unsigned node_of_cpu(const Topology *t, const hwloc_obj_t *objects, const IdSet *cpuless, unsigned cpu) {
        int best_size = INT32_MAX;
        unsigned best = 0;

        for (unsigned i = 0; i < t->n_nodes; i++) {
                int size;

                if (idset_contains(cpuless, t->nodes[i].id))
                        continue;
                size = hwloc_bitmap_weight(common_part(objects[i], cpu)->cpuset);
                if (size < best_size) {
                        best_size = size;
                        best = i;
                }
        }
        return best;
}

/* ---- CPUs ----------------------------------------------------------------- */

/* Numbers objects in the order they come up; equal ones follow each other. */
typedef struct Numbering {
        hwloc_obj_t last;
        unsigned n;
} Numbering;

static unsigned number_of(Numbering *numbering, hwloc_obj_t o) {
        if (numbering->n == 0 || numbering->last != o)
                numbering->n++;
        numbering->last = o;
        return numbering->n - 1;
}

static hwloc_obj_t ancestor_or(hwloc_topology_t h, hwloc_obj_type_t type, hwloc_obj_t pu, hwloc_obj_t otherwise) {
        hwloc_obj_t o = hwloc_get_ancestor_obj_by_type(h, type, pu);

        return o ?: otherwise;
}

/* The outermost data cache around @pu; without one, the package, or what is local to @node when that is smaller. */
static hwloc_obj_t last_level_cache(hwloc_obj_t pu, hwloc_obj_t package, hwloc_obj_t node) {
        hwloc_obj_t found = NULL, local = common_part(node, pu->os_index);

        for (hwloc_obj_t o = pu->parent; o; o = o->parent)
                if (hwloc_obj_type_is_dcache(o->type))
                        found = o;
        if (found)
                return found;
        return hwloc_bitmap_isincluded(local->cpuset, package->cpuset) ? local : package;
}

static int compare_cpus(const void *a, const void *b) {
        unsigned x = ((const TopologyCpu *)a)->id, y = ((const TopologyCpu *)b)->id;

        return (x > y) - (x < y);
}

static int collect_cpus(hwloc_topology_t h, const hwloc_obj_t *objects, const IdSet *cpuless, Topology *t) {
        size_t n = (size_t)MAX(hwloc_get_nbobjs_by_type(h, HWLOC_OBJ_PU), 0);
        Numbering cores = { 0 }, caches = { 0 }, packages = { 0 };

        if (n == 0)
                return -ENODATA;
        t->cpus = calloc(n, sizeof(*t->cpus));
        if (!t->cpus)
                return -ENOMEM;
        for (hwloc_obj_t pu = NULL; (pu = hwloc_get_next_obj_by_type(h, HWLOC_OBJ_PU, pu)) && t->n_cpus < n;) {
                hwloc_obj_t package = ancestor_or(h, HWLOC_OBJ_PACKAGE, pu, hwloc_get_root_obj(h));
                unsigned node = node_of_cpu(t, objects, cpuless, pu->os_index);
                TopologyCpu *cpu = &t->cpus[t->n_cpus++];

                if (idset_add(&t->online, pu->os_index) < 0)
                        return -ERANGE;
                *cpu = (TopologyCpu){
                        .id = pu->os_index,
                        .core = number_of(&cores, ancestor_or(h, HWLOC_OBJ_CORE, pu, pu)),
                        .llc = number_of(&caches, last_level_cache(pu, package, objects[node])),
                        .package = number_of(&packages, package),
                        .node = node,
                };
                (void)idset_add(&t->nodes[node].cpus, cpu->id);
        }
        qsort(t->cpus, t->n_cpus, sizeof(*t->cpus), compare_cpus);
        return 0;
}

/* ---- distances ------------------------------------------------------------ */

static int default_distances(Topology *t) {
        t->distances = calloc(t->n_nodes * t->n_nodes, sizeof(*t->distances));
        if (!t->distances)
                return -ENOMEM;
        for (size_t i = 0; i < t->n_nodes; i++)
                for (size_t j = 0; j < t->n_nodes; j++)
                        t->distances[i * t->n_nodes + j] = i == j ? DISTANCE_LOCAL : DISTANCE_REMOTE;
        return 0;
}

/* The smallest value of a node to itself; 0 when the matrix makes no sense as latencies. */
static uint64_t local_latency(const struct hwloc_distances_s *d) {
        uint64_t local = UINT64_MAX;

        for (unsigned i = 0; i < d->nbobjs; i++)
                local = MIN(local, (uint64_t)d->values[i * d->nbobjs + i]);
        for (unsigned i = 0; i < d->nbobjs * d->nbobjs; i++)
                if (d->values[i] < local)
                        return 0;
        return local;
}

static void take_distances(Topology *t, const struct hwloc_distances_s *d) {
        uint64_t local = local_latency(d);

        if (local == 0)
                return;
        for (unsigned i = 0; i < d->nbobjs; i++)
                for (unsigned j = 0; j < d->nbobjs; j++) {
                        const TopologyNode *a = topology_node(t, d->objs[i]->os_index);
                        const TopologyNode *b = topology_node(t, d->objs[j]->os_index);
                        uint64_t v = u64_muldiv(d->values[i * d->nbobjs + j], DISTANCE_LOCAL, local);

                        if (a && b)
                                t->distances[(size_t)(a - t->nodes) * t->n_nodes + (size_t)(b - t->nodes)] =
                                        (uint16_t)MIN(v, DISTANCE_MAX);
                }
}

static int collect_distances(hwloc_topology_t h, Topology *t) {
        struct hwloc_distances_s *d = NULL;
        unsigned n = 1;
        int r;

        r = default_distances(t);
        if (r < 0)
                return r;
        if (hwloc_distances_get_by_type(h, HWLOC_OBJ_NUMANODE, &n, &d, HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0) < 0)
                return 0;
        if (n > 0 && d)
                take_distances(t, d);
        distances_done(&d, h);
        return 0;
}

/* ---- the whole ------------------------------------------------------------ */

static int build(hwloc_topology_t h, const IdSet *cpuless, Topology **ret) {
        _cleanup_(topology_freep) Topology *t = NULL;
        _cleanup_free_ hwloc_obj_t *objects = NULL;
        int r;

        t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        r = collect_nodes(h, t, &objects);
        if (r < 0)
                return r;
        r = collect_cpus(h, objects, cpuless, t);
        if (r < 0)
                return r;
        r = collect_distances(h, t);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

static bool same_shape(const Topology *a, const Topology *b) {
        if (a->n_cpus != b->n_cpus || a->n_nodes != b->n_nodes)
                return false;
        for (size_t i = 0; i < a->n_cpus; i++)
                if (memcmp(&a->cpus[i], &b->cpus[i], sizeof(TopologyCpu)) != 0)
                        return false;
        for (size_t i = 0; i < a->n_nodes; i++)
                if (a->nodes[i].id != b->nodes[i].id || !idset_equal(&a->nodes[i].cpus, &b->nodes[i].cpus))
                        return false;
        return true;
}

/*
 * hwloc's own description of @h, kept only when it reads back to the same
 * CPUs and nodes: hwloc leaves out what the language cannot say.
 */
static int describe(hwloc_topology_t h, Topology *t) {
        _cleanup_(topology_freep) Topology *back = NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        text = malloc(SYNTHETIC_SIZE);
        if (!text)
                return -ENOMEM;
        r = hwloc_topology_export_synthetic(h, text, SYNTHETIC_SIZE, 0);
        if (r <= 0 || (size_t)r >= SYNTHETIC_SIZE)
                return 0;
        r = topology_load_synthetic(text, &back);
        if (r == -ENOMEM)
                return r;
        if (r < 0 || !same_shape(t, back))
                return 0;
        return strdup_to(&t->synthetic, text);
}

int topology_load_synthetic(const char *description, Topology **ret) {
        _cleanup_(handle_done) hwloc_topology_t h = NULL;
        _cleanup_(topology_freep) Topology *t = NULL;
        IdSet none = IDSET_EMPTY;
        int r;

        r = handle_new(0, &h);
        if (r < 0)
                return r;
        if (hwloc_topology_set_synthetic(h, description) < 0)
                return -EINVAL;
        r = handle_load(h, -EINVAL);
        if (r < 0)
                return r;
        r = build(h, &none, &t);
        if (r < 0)
                return r;
        r = strdup_to(&t->synthetic, description);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

int topology_load_xml(const char *path, Topology **ret) {
        _cleanup_(handle_done) hwloc_topology_t h = NULL;
        _cleanup_(topology_freep) Topology *t = NULL;
        IdSet none = IDSET_EMPTY;
        int r;

        /* hwloc reports every failure as EINVAL, and libxml2 prints it. */
        if (faccessat(AT_FDCWD, path, R_OK, 0) < 0)
                return -errno;
        r = handle_new(0, &h);
        if (r < 0)
                return r;
        if (hwloc_topology_set_xml(h, path) < 0)
                return -EINVAL;
        r = handle_load(h, -EINVAL);
        if (r < 0)
                return r;
        r = build(h, &none, &t);
        if (r < 0)
                return r;
        r = describe(h, t);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

/* ---- the machine at hand -------------------------------------------------- */

/* The nodes that have no CPU in the kernel's view. */
static int read_cpuless(int root_fd, hwloc_topology_t h, IdSet *cpuless) {
        for (hwloc_obj_t o = NULL; (o = hwloc_get_next_obj_by_type(h, HWLOC_OBJ_NUMANODE, o));) {
                _cleanup_free_ char *text = NULL;
                char path[64];
                IdSet cpus;
                int r;

                (void)snprintf(path, sizeof(path), "sys/devices/system/node/node%u/cpulist", o->os_index);
                r = sysfs_read(root_fd, path, &text, NULL);
                if (r == -ENOMEM)
                        return r;
                if (r >= 0 && idset_parse(text, &cpus) >= 0 && idset_is_empty(&cpus))
                        (void)idset_add(cpuless, o->os_index);
        }
        return 0;
}

static int read_isolated(int root_fd, Topology *t) {
        _cleanup_(isolated_observer_freep) IsolatedObserver *o = NULL;
        IdSet isolated;
        int r;

        r = isolated_observer_new(&o);
        if (r < 0)
                return r;
        r = isolated_observe(o, root_fd, &isolated);
        if (r < 0)
                return r;
        t->isolated = idset_and(&isolated, &t->online);
        return 0;
}

/* A kernel without the list has none offline that anybody could know of. */
static int read_offline(int root_fd, Topology *t) {
        _cleanup_free_ char *text = NULL;
        IdSet present;
        int r;

        r = sysfs_read(root_fd, "sys/devices/system/cpu/present", &text, NULL);
        if (r == -ENOMEM)
                return r;
        if (r >= 0 && idset_parse(text, &present) >= 0)
                t->offline = idset_minus(&present, &t->online);
        return 0;
}

/* hwloc takes another root from the environment only. */
static int load_below(hwloc_topology_t h, const char *fsroot) {
        _cleanup_free_ char *saved = NULL;
        const char *old = getenv("HWLOC_FSROOT");
        int r;

        if (!fsroot)
                return handle_load(h, -EIO);
        r = strdup_to(&saved, old);
        if (r < 0)
                return r;
        if (setenv("HWLOC_FSROOT", fsroot, 1) < 0)
                return -errno;
        r = handle_load(h, -EIO);
        if (saved)
                (void)setenv("HWLOC_FSROOT", saved, 1);
        else
                (void)unsetenv("HWLOC_FSROOT");
        return r;
}

int topology_load(int root_fd, const char *fsroot, Topology **ret) {
        _cleanup_(handle_done) hwloc_topology_t h = NULL;
        _cleanup_(topology_freep) Topology *t = NULL;
        IdSet cpuless = IDSET_EMPTY;
        int r;

        /*
         * Without the first, hwloc leaves out what the cpuset of this very process
         * does not allow; without the second, it moves the thread from CPU to CPU.
         */
        r = handle_new(HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED | HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING, &h);
        if (r < 0)
                return r;
        r = load_below(h, fsroot);
        if (r < 0)
                return r;
        r = read_cpuless(root_fd, h, &cpuless);
        if (r < 0)
                return r;
        r = build(h, &cpuless, &t);
        if (r < 0)
                return r;
        r = read_isolated(root_fd, t);
        if (r < 0)
                return r;
        r = read_offline(root_fd, t);
        if (r < 0)
                return r;
        r = describe(h, t);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}
