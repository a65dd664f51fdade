/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The host's shape as a plain value: NUMA nodes, their distances, and where
 * each CPU sits. Read once by hwloc (this machine, an XML file of another
 * one, or a synthetic description) and again after CPU or memory hot-plug.
 *
 * Node numbers may be sparse, a node may have no CPU or no memory, CPU 0 may
 * be missing: use the arrays, never assume 0..n-1.
 */

#include "base.h"
#include "idset.h"

typedef struct TopologyNode {
        unsigned id;              /* the kernel's node number */
        IdSet cpus;               /* online CPUs of the node, may be empty */
        uint64_t memory_bytes;    /* 0: a node without memory, or not known */
} TopologyNode;

/* Where one CPU sits. The groups are numbered 0.. in hwloc's logical order. */
typedef struct TopologyCpu {
        unsigned id;
        unsigned core;
        unsigned llc;             /* last-level cache */
        unsigned package;
        unsigned node;            /* index into nodes[] */
} TopologyCpu;

typedef struct Topology {
        IdSet online;             /* every CPU that can run a thread */
        IdSet isolated;           /* of them: isolcpus= or an isolated cpuset partition */
        IdSet offline;            /* CPUs that are there and switched off; in no other field */
        TopologyCpu *cpus;        /* sorted by id, the online ones */
        size_t n_cpus;
        TopologyNode *nodes;      /* sorted by id */
        size_t n_nodes;
        uint16_t *distances;      /* n_nodes x n_nodes, row by row; 10 = local (ACPI SLIT) */
        char *synthetic;          /* as given or exported by hwloc; reads back to the same CPUs and nodes, but not
                                     to the same node sizes and distances; NULL when not expressible */
} Topology;

/*
 * The machine at hand, all of it: also what this process is not allowed to use.
 * @root_fd is where isolated CPUs are looked for (isolated.h). With @fsroot (may
 * be NULL), hwloc looks below that directory; it takes that from the environment
 * only, so not while other threads run.
 * -ENOMEM, -ERANGE (a number above IDSET_MAX), -ENODATA (no CPU), -EIO.
 */
int topology_load(int root_fd, const char *fsroot, Topology **ret);

/* hwloc's synthetic description, "numa:2 core:4 pu:2". -EINVAL when hwloc refuses it. */
int topology_load_synthetic(const char *description, Topology **ret);

/* An XML file written by lstopo. -EINVAL when hwloc refuses it, -ENOENT. */
int topology_load_xml(const char *path, Topology **ret);

Topology *topology_free(Topology *t);
DEFINE_CLEANUP(Topology, topology_free)

/* NULL when @id is not a node (or CPU) of the machine. */
const TopologyNode *topology_node(const Topology *t, unsigned id);
const TopologyCpu *topology_cpu(const Topology *t, unsigned id);

/* Between nodes[i] and nodes[j] (indices). */
unsigned topology_distance(const Topology *t, size_t i, size_t j);

/* The numbers of the nodes without CPUs. */
IdSet topology_memory_only_nodes(const Topology *t);
/* The node numbers of @cpus. */
IdSet topology_nodes_of_cpus(const Topology *t, const IdSet *cpus);
/* The online CPUs of the nodes with the numbers in @nodes. */
IdSet topology_cpus_of_nodes(const Topology *t, const IdSet *nodes);
