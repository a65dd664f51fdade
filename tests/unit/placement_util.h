/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A host to place guests on, in memory: a topology, guests, and what happens
 * to them when a plan is carried out. Aborts the test on any failure.
 */

#include <check.h>
#include <dirent.h>
#include <stdio.h>

#include "../../lib/policy.h"
#include "../../lib/state_memo.h"

/* ---- policies ---- */

#define NO_RESERVE "host: { reserved_memory = \"0\"; }; "
#define SHARED NO_RESERVE "cpu: { policy = \"shared\"; }; "
#define PINNED NO_RESERVE "cpu: { policy = \"pinned\"; }; "
/* Guests named other-* are not ours: they are only there. */
#define OTHERS "guests = ( { match = { name = \"other-*\"; }; cpu = { policy = \"none\"; }; } ); "
#define FOUR_NODES "numa:4 core:4 pu:1"

/* ---- the host ---- */

typedef struct World {
        Snapshot *snapshot;
        State *state;
        Config *config;
        Plan *plan;
        unsigned n_made;
        bool hold_moves;                /* memory moves are not carried out: they take long */
} World;

#define WORLD_NODE_BYTES (16 * GIB)
#define WORLD_START_USEC USEC_PER_HOUR

static inline _unused_ void world_configure(World *w, const char *text) {
        char *error = NULL;

        w->config = config_free(w->config);
        ck_assert_msg(config_load_text("test.conf", text, &w->config, &error) == 0, "%s", error ?: "?");
}

/* Takes @t over. Every node has @node_bytes, all of it free. */
static inline _unused_ void world_init_topology(World *w, Topology *t, uint64_t node_bytes, const char *text) {
        Host *h;

        *w = (World){ 0 };
        ck_assert_int_eq(snapshot_new(&w->snapshot), 0);
        ck_assert_int_eq(state_new(&w->state), 0);
        w->snapshot->now_usec = WORLD_START_USEC;
        w->snapshot->interval_usec = 10 * USEC_PER_SEC;
        w->snapshot->topology = t;
        h = &w->snapshot->host;
        h->nodes = calloc(t->n_nodes, sizeof(*h->nodes));
        ck_assert_ptr_nonnull(h->nodes);
        h->n_nodes = t->n_nodes;
        for (size_t i = 0; i < t->n_nodes; i++)
                h->nodes[i] = (NodeMemory){
                        .id = t->nodes[i].id, .total_bytes = node_bytes, .free_bytes = node_bytes,
                };
        h->memory.total_bytes = node_bytes * t->n_nodes;
        h->memory.free_bytes = h->memory.available_bytes = h->memory.total_bytes;
        world_configure(w, text);
}

static inline _unused_ void world_init(World *w, const char *synthetic, const char *text) {
        Topology *t;

        ck_assert_int_eq(topology_load_synthetic(synthetic, &t), 0);
        world_init_topology(w, t, WORLD_NODE_BYTES, text);
}

#define MACHINES "tests/fixtures/topologies"
#define N_MACHINES 37

static inline _unused_ int is_machine(const struct dirent *d) {
        size_t n = strlen(d->d_name);

        return n > 4 && streq(d->d_name + n - 4, ".xml");
}

/* The @which'th of the captured machines; each node has 64 GiB. */
static inline _unused_ void world_init_machine(World *w, int which, const char *text) {
        struct dirent **names = NULL;
        int n = scandir(MACHINES, &names, is_machine, alphasort);
        Topology *t = NULL;
        char path[512];

        ck_assert_msg(n == N_MACHINES, "%d machines in " MACHINES, n);
        (void)snprintf(path, sizeof(path), MACHINES "/%s", names[which]->d_name);
        ck_assert_msg(topology_load_xml(path, &t) == 0, "%s", path);
        for (int i = 0; i < n; i++)
                free(names[i]);
        free(names);
        world_init_topology(w, t, 64 * GIB, text);
}

static inline _unused_ void world_done(World *w) {
        plan_free(w->plan);
        config_free(w->config);
        state_free(w->state);
        snapshot_free(w->snapshot);
}

/* Running for long; threads allowed everywhere, no pins; memory not known. */
static inline _unused_ Guest *world_guest(World *w, const char *name, size_t vcpus, uint64_t bytes) {
        IdSet all = idset_minus(&w->snapshot->topology->online, &w->snapshot->topology->isolated);
        char uuid[UUID_TEXT_SIZE];
        Guest *g;

        (void)snprintf(uuid, sizeof(uuid), "00000000-0000-4000-8000-%012u", ++w->n_made);
        ck_assert_int_eq(guest_new(name, uuid, &g), 0);
        ck_assert_int_eq(guest_set_vcpus(g, vcpus), 0);
        for (size_t i = 0; i < vcpus; i++)
                g->vcpus[i].affinity = all;
        g->emulator.affinity = all;
        g->max_bytes = g->current_bytes = bytes;
        ck_assert_int_eq(snapshot_put_guest(w->snapshot, g), 0);
        return g;
}

/* Four nodes, and one guest. */
static inline _unused_ Guest *world_init_one(World *w, const char *text, size_t vcpus) {
        world_init(w, FOUR_NODES, text);
        return world_guest(w, "guest", vcpus, GIB);
}

static inline _unused_ void guest_memory(Guest *g, unsigned node, uint64_t bytes) {
        g->node_memory = realloc(g->node_memory, (g->n_node_memory + 1) * sizeof(*g->node_memory));
        ck_assert_ptr_nonnull(g->node_memory);
        g->node_memory[g->n_node_memory++] = (GuestNodeMemory){ .node = node, .bytes = bytes };
}

static inline _unused_ void guest_load(Guest *g, uint32_t busy, uint32_t wait) {
        for (size_t i = 0; i < g->n_vcpus; i++) {
                g->vcpus[i].busy_permyriad = busy;
                g->vcpus[i].wait_permyriad = wait;
        }
}

/* As if it had been placed before. */
static inline _unused_ void world_place(World *w, GuestMemo *m, IdSet nodes) {
        ck_assert_int_eq(state_place(w->state, m, &nodes), 0);
}

static inline _unused_ void world_decide(World *w, const char *only_uuid) {
        PolicyInput in = { .config = w->config, .snapshot = w->snapshot, .only_uuid = only_uuid };

        w->plan = plan_free(w->plan);
        ck_assert_int_eq(policy_decide(&in, w->state, &w->plan), 0);
}

static inline _unused_ IdSet set_of(const char *text) {
        IdSet s;

        ck_assert_msg(idset_parse(text, &s) == 0, "not a list: %s", text);
        return s;
}

static inline _unused_ GuestThread *world_thread(Guest *g, ActionKind kind, unsigned index) {
        if (kind == ACTION_PIN_EMULATOR)
                return &g->emulator;
        if (kind == ACTION_PIN_IOTHREAD) {
                for (size_t i = 0; i < g->n_iothreads; i++)
                        if (g->iothreads[i].id == index)
                                return &g->iothreads[i];
                return NULL;
        }
        for (size_t i = 0; i < g->n_vcpus; i++)
                if (g->vcpus[i].id == index)
                        return &g->vcpus[i];
        return NULL;
}

static inline _unused_ void thread_pin(const World *w, GuestThread *t, const char *cpus) {
        t->pinned = true;
        t->pin = set_of(cpus);
        t->affinity = idset_and(&t->pin, &w->snapshot->topology->online);
}

static inline _unused_ NodeMemory *world_node(World *w, unsigned id) {
        for (size_t i = 0; i < w->snapshot->host.n_nodes; i++)
                if (w->snapshot->host.nodes[i].id == id)
                        return &w->snapshot->host.nodes[i];
        ck_abort_msg("no node %u", id);
        return NULL;
}

/* All pages to the targets, as far as there is room. */
static inline _unused_ void world_move(World *w, Guest *g, const char *targets) {
        IdSet to = set_of(targets);
        uint64_t rest = 0;

        for (size_t i = 0; i < g->n_node_memory; i++) {
                if (idset_contains(&to, g->node_memory[i].node))
                        continue;
                rest += g->node_memory[i].bytes;
                world_node(w, g->node_memory[i].node)->free_bytes += g->node_memory[i].bytes;
                g->node_memory[i].bytes = 0;
        }
        IDSET_FOREACH(node, &to) {
                NodeMemory *n = world_node(w, (unsigned)node);
                uint64_t part = MIN(rest, n->free_bytes);
                size_t i = 0;

                rest -= part;
                n->free_bytes -= part;
                while (i < g->n_node_memory && g->node_memory[i].node != (unsigned)node)
                        i++;
                if (i < g->n_node_memory)
                        g->node_memory[i].bytes += part;
                else if (part > 0)
                        guest_memory(g, (unsigned)node, part);
        }
        ck_assert_msg(rest == 0, "moved into nodes %s without room", targets);
}

/* Carries the plan out, as the daemon does: own, do, disown what was given back. */
static inline _unused_ void world_apply(World *w) {
        for (size_t i = 0; i < w->plan->n_actions; i++) {
                const Action *a = &w->plan->actions[i];
                Guest *g = snapshot_find_guest(w->snapshot, a->uuid);
                const Owned *owned;

                ck_assert_ptr_nonnull(g);
                if (a->kind == ACTION_MOVE_MEMORY && w->hold_moves)
                        continue;
                if (a->kind == ACTION_MOVE_MEMORY) {
                        world_move(w, g, a->new_value);
                        continue;
                }
                ck_assert_int_eq(state_own(w->state, a), 0);
                if (a->kind == ACTION_SET_NODESET) {
                        /* As libvirt does. */
                        g->numatune_placement_auto = false;
                        g->numatune_nodes = set_of(a->new_value);
                } else
                        thread_pin(w, world_thread(g, a->kind, a->index), a->new_value);
                owned = state_find_owned(w->state, a->kind, a->uuid, a->index);
                if (streq(owned->original, a->new_value))
                        state_disown(w->state, a->kind, a->uuid, a->index);
        }
}

/* Decides for all, and carries it out. */
static inline _unused_ void world_settle(World *w) {
        world_decide(w, NULL);
        world_apply(w);
}

/* The action on a knob, or NULL. */
static inline _unused_ const Action *world_action(const World *w, const Guest *g, ActionKind kind, unsigned index) {
        for (size_t i = 0; i < w->plan->n_actions; i++) {
                const Action *a = &w->plan->actions[i];

                if (a->kind == kind && a->index == index && streq(a->uuid, g->uuid))
                        return a;
        }
        return NULL;
}

static inline _unused_ bool world_skips(const World *w, const Guest *g, ActionKind kind, SkipReason why) {
        for (size_t i = 0; i < w->plan->n_skips; i++) {
                const Skip *s = &w->plan->skips[i];

                if (s->kind == kind && s->why == why && streq(s->uuid, g->uuid))
                        return true;
        }
        return false;
}

/* Where the policy put the guest, as a node list. */
static inline _unused_ void assert_nodes(const World *w, const Guest *g, const char *nodes) {
        const GuestMemo *m = state_find_guest(w->state, g->uuid);
        IdSet want = set_of(nodes);
        char *text = NULL;

        ck_assert_ptr_nonnull(m);
        ck_assert_int_eq(idset_format(memo_nodes(m), &text), 0);
        ck_assert_msg(idset_equal(memo_nodes(m), &want), "%s is on nodes \"%s\", not \"%s\"", g->name, text, nodes);
        free(text);
}

static inline _unused_ void assert_action(const World *w, const Guest *g, ActionKind kind, unsigned index,
                                          const char *new_value) {
        const Action *a = world_action(w, g, kind, index);

        ck_assert_msg(a, "no %s %u of %s", action_kind_to_string(kind), index, g->name);
        ck_assert_str_eq(a->new_value, new_value);
}

static inline _unused_ void assert_quiet(const World *w) {
        char *text = NULL;

        if (w->plan->n_actions == 0)
                return;
        (void)plan_format(w->plan, false, &text);
        ck_abort_msg("%zu actions:\n%s", w->plan->n_actions, text ?: "");
}

/* Once the plan is carried out, nothing more is wanted. */
static inline _unused_ void assert_settled(World *w) {
        world_apply(w);
        world_decide(w, NULL);
        assert_quiet(w);
}

/* ---- hosts and guests that are not like the others ---- */

/* Node numbers with gaps: 0 is missing. */
static const unsigned sparse_ids[4] _unused_ = { 2, 33, 34, 45 };

static inline _unused_ void renumber(World *w, const unsigned *ids) {
        for (size_t i = 0; i < w->snapshot->topology->n_nodes; i++) {
                w->snapshot->topology->nodes[i].id = ids[i];
                w->snapshot->host.nodes[i].id = ids[i];
        }
}

static inline _unused_ Guest *starting_guest(World *w, size_t vcpus, uint64_t bytes) {
        Guest *g = world_guest(w, "guest", vcpus, bytes);

        g->starting = true;
        return g;
}

/* @vcpus of somebody else's, on the i-th node. */
static inline _unused_ void occupy(World *w, size_t node, size_t vcpus) {
        Guest *g = world_guest(w, "other-1", vcpus, GIB);

        for (size_t i = 0; i < vcpus; i++)
                g->vcpus[i].affinity = w->snapshot->topology->nodes[node].cpus;
}

static inline _unused_ void take_cpus(World *w, size_t node) {
        Topology *t = w->snapshot->topology;

        t->online = idset_minus(&t->online, &t->nodes[node].cpus);
        t->nodes[node].cpus = IDSET_EMPTY;
}

static inline _unused_ void take_memory(World *w, size_t node) {
        w->snapshot->host.nodes[node].total_bytes = w->snapshot->host.nodes[node].free_bytes = 0;
}

static inline _unused_ const char *reason_of(const World *w, const Guest *g) {
        const Action *a = world_action(w, g, ACTION_PIN_VCPU, 0);

        ck_assert_ptr_nonnull(a);
        return a->reason;
}

static inline _unused_ void add_cells(Guest *g, size_t n, const char *const *vcpus, const uint64_t *gib) {
        g->cells = calloc(n, sizeof(*g->cells));
        ck_assert_ptr_nonnull(g->cells);
        g->n_cells = n;
        for (size_t i = 0; i < n; i++)
                g->cells[i] = (GuestCell){ .id = (unsigned)i, .vcpus = set_of(vcpus[i]), .memory_bytes = gib[i] * GIB };
}

/* ---- chance ---- */

/* splitmix64 (S. Vigna, public domain) */
static inline _unused_ uint64_t next_random(uint64_t *seed) {
        uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        return z ^ (z >> 31);
}

static inline _unused_ unsigned pick(uint64_t *seed, unsigned n) {
        return (unsigned)(next_random(seed) % n);
}
