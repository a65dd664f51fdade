/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the parts of the placement controller share: the host as this decision
 * sees it (capacity and commitments per node and CPU) and, for each guest,
 * what was decided. Built afresh for each decision, from the snapshot and the
 * state; nothing here outlives policy_placement().
 *
 *   policy_placement.c  the order of the parts
 *   policy_capacity.c   the model: what each node and CPU can take
 *   policy_account.c    and what is on it
 *   policy_nodes.c      which nodes a guest gets (its parts: policy_nodes.h)
 *   policy_improve.c    guests placed together, exchanged (its parts: policy_improve_internal.h)
 *   policy_node_sets.c  among these sets of nodes
 *   policy_cpus.c       which CPUs are left for guests that share, and which could be dedicated
 *   policy_dedicated.c  who gets CPUs of its own, and who does not
 *   policy_cpu_pick.c   which CPUs those are
 *   policy_pinned.c     one CPU a vCPU, which others may have as well
 *   policy_pins.c       which CPUs its threads get
 *   policy_pin_owner.c  whose pins they are
 *   policy_measure.c    what was measured, smoothed
 *   policy_numa.c       memory that should follow
 *   policy_rebalance.c  moves of guests that run
 *   policy_move_rules.c what stands against one
 *   policy_move_apply.c one that was decided
 *   policy_swap.c       two of them change places
 *   policy_move_cost.c  what a move gains and costs
 *   policy_verify.c     what became of a move, and whether one may go on
 *
 * Work is proportional to guests x (threads + nodes): no part compares guests
 * with each other.
 */

#include "base.h"
#include "policy.h"

#define PLACEMENT_MILLI 1000U   /* commitments are in thousandths of a vCPU */

/*
 * What a vCPU is held to lose of its time when all its memory is twice as far as local memory (SLIT 20): 20 % were
 * measured on real hosts without any balancing.
 */
#define PLACEMENT_REMOTE_LOSS_PERMYRIAD 2500U

/* Sizes of huge pages; the kernel's HUGE_MAX_HSTATE is at most 4 on any architecture. */
#define PLACEMENT_POOLS_MAX 8U

typedef struct PlacementPool {
        uint64_t page_bytes;
        uint64_t room_bytes;            /* free pages, less promises */
} PlacementPool;

/* Of some CPUs, none has less than that bound to it and to its core, and none with a number below @from so little. */
typedef struct PlacementBound {
        uint64_t on_cpu, on_core;
        unsigned from;
} PlacementBound;

typedef struct PlacementNode {
        unsigned id;
        size_t index;                   /* in topology->nodes */
        IdSet usable;                   /* online, not isolated, not reserved */
        IdSet cpus;                     /* of them, those that are not dedicated */
        unsigned n_cpus;
        unsigned n_usable;              /* the dedicated ones, too */
        unsigned n_idle;                /* of cpus, those to which less than one vCPU is bound */
        bool keep;                      /* guests that share CPUs are placed here: one CPU stays theirs */
        /* of cpus, what could be dedicated; see policy_cpus.c */
        unsigned n_free;
        unsigned n_free_cores, n_free_core_cpus; /* cores of which no CPU is taken, and their CPUs */
        unsigned n_free_sibling_cpus;   /* of them: on cores with two or more usable CPUs */
        uint64_t commit_milli;          /* vCPUs placed here */
        uint64_t shared_milli;          /* of them: free to run on any CPU of the node */
        uint64_t demand_permyriad;      /* of one CPU: measured busy + wait of those vCPUs */
        uint64_t busy_permyriad;        /* of one CPU: measured load of the node's CPUs, whatever it is */
        bool memory_known;
        uint64_t room_bytes;            /* free, less the host's reserve, less promises to starting guests */
        PlacementPool pools[PLACEMENT_POOLS_MAX];
        size_t n_pools;
        uint64_t hugepage_bytes;        /* the host's default size */
        uint64_t pending_bytes;         /* memory of guests placed here that is still elsewhere */
        uint64_t promised_bytes;        /* what running guests placed here were given and have not touched yet */
        bool has_memory;                /* or nobody knows */
        size_t memory_at;               /* where memory of its guests belongs: itself, or the nearest with memory */
        uint64_t short_bytes;           /* free memory that is missing from its share of the host's reserve */
        uint64_t variance;              /* of demand_permyriad, squared: see policy_move_cost.c */
        uint64_t wait_permyriad;        /* of one CPU: measured wait of the vCPUs placed here, smoothed */
        uint64_t wait_sample_permyriad; /* the same in the last interval alone */
        uint64_t model_wait_permyriad;  /* what the model says of it (policy_move_cost.c) */
        PlacementBound least;           /* of cpus, while pins are chosen (policy_pinned.c) */
} PlacementNode;

/* What a node would add to a set of nodes that grows for one guest: scratch of policy_grow.c. */
typedef struct PlacementShare {
        unsigned n_cpus;                /* 0: not for this guest */
        bool memory_counts;
        uint64_t commit_milli;
        uint64_t room_bytes;            /* of its own memory, like the next */
        uint64_t resident_bytes;        /* of the guest */
        uint64_t distance;              /* from the nodes of the set, summed up */
} PlacementShare;

typedef struct PlacementGuest {
        const Guest *guest;
        const Settings *settings;
        GuestMemo *memo;                /* NULL: of another decision's guest, never seen */
        bool in_scope;                  /* this decision may act on it */
        bool managed;                   /* in scope, cpu.policy asks for pins, and nothing stands against it */
        bool fresh;                     /* nodes chosen in this decision */
        bool moving;                    /* moved in this decision */
        bool dedicated;                 /* has CPUs of its own (memo->cpus), or is about to be given some */
        bool refused;                   /* policy dedicated, and cannot be served: shares CPUs meanwhile */
        bool explained;                 /* in the plan */
        bool limited;                   /* its cgroup leaves it some CPUs or nodes only */
        bool cpus_limited;              /* some CPUs */
        bool advised;                   /* libvirt was advised where to start it */
        bool has_near;                  /* it has devices on nodes that are known */
        bool movable;                   /* nothing but its present state keeps its memory where it is */
        unsigned n_vcpus;               /* online */
        unsigned n_wanted;              /* CPUs it needs: n_vcpus; one more for isolated helpers of a dedicated one */
        uint64_t demand_permyriad;      /* of one CPU, smoothed; 0 when not measured */
        uint64_t helpers_permyriad;     /* of that in the last interval: emulator, iothreads, vhost threads */
        uint64_t wait_permyriad;        /* of it: runnable, waiting for a CPU */
        uint64_t wait_sample_permyriad; /* the same in the last interval alone */
        bool load_known;
        uint64_t resident_bytes;        /* sum over nodes; UNKNOWN_U64 */
        const char *reason;             /* for its actions, in Placement.texts; NULL: nothing new was decided */
} PlacementGuest;

/* The text of a set, kept: neighbours often have the same one. */
typedef struct SetText {
        IdSet set;
        char *text;
} SetText;

/* Why a guest has no CPUs of its own, kept: many have the same reason. */
typedef struct PlacementLack {
        const char *what;               /* of which there are too few */
        unsigned n_wanted, n_free;
        const char *text;               /* in Placement.texts; NULL: none was refused */
} PlacementLack;

/* A core as far as it is usable. Its CPUs stand together in Placement.by_core. */
typedef struct PlacementCore {
        unsigned first, n_cpus;         /* in by_core */
        unsigned node;                  /* index into nodes */
        unsigned llc;                   /* last-level cache; those of usable CPUs are counted from 0 */
        unsigned n_free;                /* CPUs that could be dedicated */
} PlacementCore;

/* A last-level cache, the same. */
typedef struct PlacementCache {
        size_t first, end;              /* in by_core */
        size_t node;                    /* index into nodes; SIZE_MAX: its CPUs are on several */
        unsigned room;                  /* scratch: 0 */
} PlacementCache;

typedef struct Placement {
        PolicyContext *context;
        const Topology *topology;
        IdSet usable;                   /* by guests without CPUs of their own: the pool */
        unsigned n_pool;                /* CPUs in it */
        bool sharing;                   /* there are guests that kvmtuned manages and that have none of their own */
        IdSet dedicated;                /* CPUs that are some guest's own */
        IdSet idle;                     /* their siblings under cpu.threads isolate */
        IdSet barred;                   /* CPUs the user pinned a thread to: never dedicated */
        bool bars_known;                /* barred was looked for */
        PlacementCore *cores;
        uint16_t *by_core;              /* usable CPUs by last-level cache, core, number */
        size_t n_by_core;
        bool plain;                     /* every node with CPUs has memory */
        PlacementNode *nodes;           /* every node of the topology, same order */
        size_t n_nodes;
        PlacementGuest *guests;         /* parallel to snapshot->guests */
        size_t n_guests;
        uint16_t *cpu_node;             /* usable CPU -> index into nodes */
        uint16_t *cpu_core;             /* CPU -> core */
        uint32_t *cpu_milli;            /* CPU -> commitments bound to it */
        uint32_t *core_milli;           /* core -> the same of its CPUs */
        size_t n_cores;
        PlacementCache *caches;         /* by PlacementCore.llc */
        size_t n_caches;
        uint64_t *weights;              /* scratch, one a node */
        PlacementShare *shares;         /* the same */
        uint16_t *left;                 /* the same */
        uint16_t *home;                 /* the same */
        uint64_t *grown;                /* sets by which policy_grow.c came, a bit a node: n_nodes for each size, */
        unsigned *n_grown;              /* and how many of each. NULL where that says too little */
        int *picked;                    /* scratch, one a vCPU: CPU chosen by policy pinned */
        size_t n_picked;
        SetText old_text, new_text;     /* of the last pin action */
        PlacementLack lack;             /* of the last guest that was refused */
        const SettingValue *source_value;       /* of the last one: where its cpu.policy comes from, */
        char *source_text;                      /* and that in words */
        TextPool *texts;                /* the plan's; without one, our own */
        TextPool own_texts;
        uint64_t now_usec;
} Placement;

/* policy_capacity.c. -ENOMEM. */
int placement_new(PolicyContext *c, Placement **ret);
Placement *placement_free(Placement *p);
DEFINE_CLEANUP(Placement, placement_free)
/* What remains of @g's memory to be brought to, or first touched on, @nodes. */
uint64_t placement_need(const PlacementGuest *g, const IdSet *nodes);
/* Whether that depends on the nodes. */
bool placement_need_varies(const PlacementGuest *g);
/* What @g, running, may still touch of what the balloon leaves it. Growth of the balloon is promised to nobody. */
uint64_t placement_untouched(const PlacementGuest *g);
/* Where the memory of a guest on @nodes belongs: there, or to the nearest node with memory. */
IdSet placement_memory_of(const Placement *p, const IdSet *nodes);
/* Where the memory of @g belongs: as its place says, or what binds it. */
IdSet placement_memory_nodes(const Placement *p, const PlacementGuest *g);
/* Bytes of @g resident on the nodes in @nodes; 0 when not known. */
uint64_t placement_resident_on(const Guest *g, const IdSet *nodes);
/* The same of huge pages. */
uint64_t placement_pool_room(const PlacementNode *n, const Guest *g);
/* Room of @n for @g's kind of memory; UINT64_MAX when the host's memory is not known. */
static inline uint64_t placement_room(const PlacementNode *n, const Guest *g) {
        if (!n->memory_known)
                return UINT64_MAX;
        return g->hugepages ? placement_pool_room(n, g) : n->room_bytes;
}
/* Promises @bytes of it, and the inverse. */
void placement_take_room(PlacementNode *n, const Guest *g, uint64_t bytes);
void placement_add_room(PlacementNode *n, const Guest *g, uint64_t bytes);
/* Usable CPUs of @nodes. */
IdSet placement_cpus(const Placement *p, const IdSet *nodes);
/* Its place is @nodes from now on. -ENOMEM. */
int placement_put(const Placement *p, const PlacementGuest *g, const IdSet *nodes);
/* A text that lives as long as the plan. -ENOMEM. */
int placement_text(Placement *p, const char **ret, const char *format, ...) _printf_(3, 4);
/* g->reason, printed. It may use the one before. -ENOMEM. */
int placement_say(Placement *p, PlacementGuest *g, const char *format, ...) _printf_(3, 4);
bool placement_follows_memory(const PlacementGuest *g);
/* cpu.policy; shared for a guest that cannot have the CPUs of its own that it should have. */
CpuPolicy placement_policy(const PlacementGuest *g);

/* policy_account.c. Counts @g where it is: its placement when it has one, else the CPUs its threads may use. */
void placement_account(Placement *p, const PlacementGuest *g);
/* Counts @g with vCPUs, demand and missing memory on @nodes. */
void placement_account_nodes(Placement *p, const PlacementGuest *g, const IdSet *nodes);
/* Counts what was advised for guests that are not here yet. */
void placement_account_reservations(Placement *p);
/* p->weights: how @g's vCPUs are spread over @nodes. */
void placement_weigh(Placement *p, const PlacementGuest *g, const IdSet *nodes);
/* Binds @milli of a vCPU to @cpu, or takes it away. */
void placement_bind_cpu(Placement *p, unsigned cpu, int milli);
/* Counts the vCPUs of @g on @nodes, and nothing else. */
void placement_account_vcpus(Placement *p, const PlacementGuest *g, const IdSet *nodes);

/* policy_cpus.c. Once, when the usable CPUs and the nodes are known. -ENOMEM. */
int placement_cpus_init(Placement *p);
/* @cpu becomes @g's own: nobody else may use it, nor, under cpu.threads isolate, its siblings. */
void placement_take_cpu(Placement *p, const PlacementGuest *g, unsigned cpu);
/* The inverse. */
void placement_release_cpu(Placement *p, const PlacementGuest *g, unsigned cpu);
/* @cpu is never to be dedicated. */
void placement_bar_cpu(Placement *p, unsigned cpu);
/* Not all CPUs of @n may be dedicated: guests that share are there, or must be somewhere. */
bool placement_keeps_one(const Placement *p, const PlacementNode *n);
/* Of @cpus, those that @g's cgroup leaves it. */
IdSet placement_within_limit(const PlacementGuest *g, const IdSet *cpus);
/* CPUs @g needs: one a vCPU, and those of isolated helpers when it is dedicated. */
static inline unsigned placement_wanted(const PlacementGuest *g) {
        return g->dedicated ? g->n_wanted : g->n_vcpus;
}
/* The same as placement_capacity(), of a guest that is dedicated or limited. */
unsigned placement_count_capacity(const Placement *p, const PlacementGuest *g, const PlacementNode *n);
/* CPUs of @n that @g could get: for a dedicated guest those that could become its own, else all it may use. */
static inline unsigned placement_capacity(const Placement *p, const PlacementGuest *g, const PlacementNode *n) {
        return g->dedicated || g->cpus_limited ? placement_count_capacity(p, g, n) : n->n_cpus;
}
/* The same over the nodes in @nodes (NULL: all). */
unsigned placement_capacity_of(const Placement *p, const PlacementGuest *g, const IdSet *nodes);
CpuThreads placement_threads_policy(const PlacementGuest *g);
/* Of one core, as far as usable. */
static inline const PlacementCore *placement_core(const Placement *p, unsigned cpu) {
        return &p->cores[p->cpu_core[cpu]];
}
/* No CPU of it is taken, barred or idle. */
static inline bool core_is_free(const PlacementCore *c) {
        return c->n_free > 0 && c->n_free == c->n_cpus;
}

/* policy_cpu_pick.c. Takes @n more CPUs on @nodes for @g, into memo->cpus; returns how many there were. */
unsigned placement_pick_cpus(Placement *p, PlacementGuest *g, const IdSet *nodes, unsigned n);
/* p->picked: which of memo->cpus each online vCPU has, -1: none. *ret_rest: those that are left. */
void placement_assign_cpus(Placement *p, const PlacementGuest *g, IdSet *ret_rest);
/* The CPU of *@rest (not empty) for a thread that is no vCPU; taken from it. */
int placement_assign_one(const Placement *p, const GuestThread *t, IdSet *rest);

/* policy_dedicated.c. Marks the CPUs that are some guest's own already. */
void placement_hold(Placement *p);
/* @g should have CPUs of its own, and does not have all of them yet. */
bool placement_waits_for_cpus(const PlacementGuest *g);
/* Gives @g its CPUs, where it is or on other nodes, or refuses it (g->refused, a Skip). -ENOMEM. */
int placement_dedicate(Placement *p, PlacementGuest *g);
/* Names the guests that may run on dedicated CPUs although they are not theirs. -ENOMEM. */
int placement_report_intruders(Placement *p);
/* The nodes the CPUs of vCPU number @vcpu must be on. */
IdSet placement_vcpu_nodes(const Placement *p, const PlacementGuest *g, unsigned vcpu);

/*
 * policy_bound.c. The nodes @g may not leave (numatune, cells); false when
 * there is no such constraint.
 */
bool placement_constraint(const Placement *p, const Guest *g, IdSet *ret);
/* The same without regard to which of them are dedicated to others altogether. */
bool placement_bound_nodes(const Placement *p, const Guest *g, IdSet *ret);
/* The nodes, with or without CPUs, on which numatune or cells want @g's memory; false when they do not say. */
bool placement_memory_bound(const Placement *p, const Guest *g, IdSet *ret);
/* In words: "numatune strict binds its memory there". */
const char *placement_bound_text(const Guest *g);
/* Whether @g's cgroup lets it use CPUs of @n that are not others' own, and memory where @n's guests have theirs. */
bool placement_allows(const Placement *p, const PlacementGuest *g, const PlacementNode *n);
/* Every node with a usable CPU. */
IdSet placement_cpu_nodes(const Placement *p);
/* Whether the nodes @g was placed on can still hold it. */
bool placement_still_valid(const Placement *p, const PlacementGuest *g);
/* Of the nodes that libvirt was advised to start @g on, those with a usable CPU; false when there are none. */
bool placement_advised(const Placement *p, const PlacementGuest *g, IdSet *ret);
/*
 * Chooses nodes for @g, remembers and counts them, and says why in g->reason; with context->explain, the plan shows
 * the candidates. -ENOMEM.
 */
int placement_choose(Placement *p, PlacementGuest *g);
/* With context->explain: the same for the guests that have their place. -ENOMEM. */
int placement_explain_others(Placement *p);

/* A thread of a guest and the knob that pins it. */
typedef struct ThreadRef {
        ActionKind kind;
        unsigned index;
        const GuestThread *thread;
} ThreadRef;

/* policy_pinned.c. p->picked: the CPU of each online vCPU, -1 where there is none. Present ones stay. */
void placement_pick_pinned(Placement *p, const PlacementGuest *g, const IdSet *cell_cpus, const IdSet *cpus);
/* Of the guest's @cpus, those for vCPU number @vcpu; @cell_cpus: of each cell, empty without a nodeset of its own. */
const IdSet *placement_vcpu_cpus(const Guest *g, const IdSet *cell_cpus, const IdSet *cpus, unsigned vcpu);
/* The one CPU that @t is pinned to, as far as anybody knows; false when there are several or none. */
bool placement_single_cpu(const GuestThread *t, int *ret_cpu);

/* policy_pin_owner.c. vCPUs, then the emulator, then iothreads: @i counts up to placement_threads(). */
size_t placement_threads(const Guest *g);
ThreadRef placement_thread(const Guest *g, size_t i);
/* NULL when that pin is not ours. Valid until the state's next change. */
const Owned *placement_owned(const Placement *p, const Guest *g, const ThreadRef *ref);
/* The online CPUs that no isolation keeps a thread from: allowed without any pin. */
IdSet placement_default_cpus(const Placement *p);
/* Looks at whose pins they are when @g is first seen. */
void placement_first_sight(Placement *p, PlacementGuest *g);
/* Changes of ours to pins of @g may be on their way. */
bool placement_in_grace(const Placement *p, const PlacementGuest *g);
/* libvirt's pin and the kernel's view both hold the value from before our first change. */
bool placement_at_original(const Placement *p, const Owned *owned, const GuestThread *t);
/* Somebody else changed a pin that is ours. */
bool placement_taken_over(const Placement *p, const PlacementGuest *g, const Owned *owned, const GuestThread *t);
/*
 * Looks at a thread that is not as wanted. 1: its pin is not ours to change,
 * the guest was left to the user and a Skip says so (its other pins that are
 * still ours are to be given back); 0: go on; -ENOMEM.
 */
int placement_check_thread(Placement *p, PlacementGuest *g, const ThreadRef *ref);
/*
 * The nodeset of @g is what kvmtuned set or found: one that it changes was libvirt's choice (placement='auto'), never
 * the user's.
 */
bool placement_owns_nodeset(const Placement *p, const Guest *g);
/* A pin that somebody else changed is no longer ours, unless one of ours may come on top of it. */
void placement_let_go(Placement *p, const PlacementGuest *g, const ThreadRef *ref);
/* At the first look after a restart: a memory policy that is recorded and was not set is not owned. */
void placement_check_nodeset(Placement *p, const PlacementGuest *g);

/* policy_pins.c. */
/* g->reason of a guest for which nothing new was decided: it is where it was. -ENOMEM. */
int placement_default_reason(Placement *p, PlacementGuest *g);
/* Actions for every thread of @g whose CPUs are not as wanted. -ENOMEM. */
int placement_pins(Placement *p, PlacementGuest *g);
/* Gives back pins that no setting asks for any more, or of a guest that was left to the user. -ENOMEM. */
int placement_give_back(Placement *p, PlacementGuest *g);

/* policy_measure.c. Smooths what was measured of the guests' vCPUs, and sums it up for each node. */
void placement_measure_guests(Placement *p);
void placement_measure_nodes(Placement *p);

/* policy_numa.c. At most one memory move. -ENOMEM. */
int placement_memory(Placement *p);

/* policy_verify.c. What became of earlier moves. -ENOMEM. */
int placement_verify(Placement *p);
/* Whether the move under way may go on. -ENOMEM. */
int placement_watch_move(Placement *p);

/* policy_rebalance.c. At most one guest (two that change places) gets a new place. -ENOMEM. */
int placement_rebalance(Placement *p);
