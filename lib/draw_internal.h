/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is drawn, worked out once for the terminal and for SVG. */

#include <stdio.h>

#include "draw_topology.h"

#define DRAW_NOBODY SIZE_MAX
/* Owner of a CPU that vCPUs of several guests are pinned to. */
#define DRAW_SEVERAL (SIZE_MAX - 1)

typedef enum DrawPlace {
        DRAW_ANYWHERE,          /* all CPUs that are not set apart, of more than one node or of the only one */
        DRAW_ON_NODES,          /* all such CPUs of its nodes */
        DRAW_ON_CPUS,           /* some CPUs */
        DRAW_PINNED,            /* one CPU for each vCPU */
        DRAW_DEDICATED,         /* CPUs that are its own */
} DrawPlace;

typedef struct DrawGuest {
        const Guest *guest;
        char *name;             /* nothing in it drives a terminal */
        DrawPlace place;
        IdSet cpus, nodes;      /* where its vCPUs may run */
        unsigned vcpus;         /* online */
        uint64_t busy_permyriad;        /* of one CPU, its vCPUs together; UNKNOWN_U64 */
        uint64_t memory_bytes;  /* resident; UNKNOWN_U64 */
        uint64_t placed_bytes;  /* of that, on a node that is known */
        uint64_t local_bytes;   /* of that, on its own nodes */
        char mark;              /* of CPUs that only it may use or that its vCPUs are pinned to; 0: none */
} DrawGuest;

typedef struct DrawCpu {
        unsigned id, core, llc, package;
        uint32_t busy_permyriad;
        bool isolated, reserved;
        size_t owner;           /* index into guests[], DRAW_NOBODY, DRAW_SEVERAL */
} DrawCpu;

typedef struct DrawNode {
        unsigned id;
        const IdSet *cpu_ids;
        size_t first_cpu, n_cpus, n_cores, n_llcs;
        IdSet packages;
        uint32_t busy_permyriad;        /* mean of those known; UNKNOWN_PERMYRIAD */
        uint64_t vcpus_milli;           /* thousandths: a vCPU counts on each CPU that it may use in equal parts */
        uint64_t total_bytes, free_bytes;       /* UNKNOWN_U64 */
        uint64_t guests_bytes;
        const NodeMemory *memory;       /* NULL: nothing is known */
} DrawNode;

typedef struct Drawing {
        const Snapshot *snapshot;
        const Topology *topology;
        IdSet reserved, dedicated;      /* online CPUs; dedicated to any guest */
        DrawCpu *cpus;                  /* by node, cache, core, number */
        size_t n_cpus, n_cores, n_llcs, n_packages;
        DrawNode *nodes;
        size_t n_nodes;
        DrawGuest *guests;              /* by name, numbers in it by their value */
        size_t n_guests;
        unsigned vcpus;                 /* online, of all guests */
        uint64_t guests_bytes;          /* resident, of all guests */
        bool uniform;                   /* all nodes are equally far from each other */
        unsigned local, near, far;      /* distances: within a node, smallest and largest between nodes */
} Drawing;

int drawing_new(const Snapshot *s, const State *state, const Config *config, Drawing **ret);
Drawing *drawing_free(Drawing *d);
DEFINE_CLEANUP(Drawing, drawing_free)

/* The mark of a CPU: its owner's letter, '+' for several, 'r' reserved, 'i' isolated, ' '. */
char drawing_mark(const Drawing *d, const DrawCpu *cpu);

/* Resident memory of @g on node number @id. */
uint64_t drawing_guest_on_node(const Guest *g, unsigned id);
/* Whether @g belongs into the list of node number @id. */
bool drawing_is_on_node(const DrawGuest *g, unsigned id);

/* "CPUs 0-3 (dedicated)", "node 1", "anywhere". -ENOMEM. */
int drawing_where(const DrawGuest *g, char **ret);
/* "1 node", "2 nodes": @word with its number. */
void draw_count(FILE *f, size_t n, const char *word);
/* Half up. */
unsigned draw_percent(uint64_t permyriad);
