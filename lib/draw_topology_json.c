/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The picture for programs: what is drawn as bars and marks, as numbers and names. kvmtuned(8) lists the members. */

#include "describe_internal.h"
#include "draw_internal.h"

static void put_cpu(Value *list, const Drawing *d, const DrawCpu *cpu) {
        Value *v = value_put_map(list, NULL);

        value_put_number(v, "cpu", cpu->id);
        describe_put_permyriad(v, "busy_permyriad", cpu->busy_permyriad);
        if (cpu->reserved)
                value_put_bool(v, "reserved", true);
        if (cpu->isolated)
                value_put_bool(v, "isolated", true);
        if (cpu->owner == DRAW_SEVERAL)
                value_put_bool(v, "several_guests", true);
        else if (cpu->owner != DRAW_NOBODY)
                value_put_string(v, "guest", d->guests[cpu->owner].guest->name);
}

/* They are in the order of their caches and cores: a new list begins where one ends. */
static void put_caches(Value *node, const Drawing *d, const DrawNode *n) {
        Value *caches = value_put_list(node, "caches", VALUE_MAP), *cores = NULL, *cpus = NULL;

        for (size_t i = n->first_cpu; i < n->first_cpu + n->n_cpus; i++) {
                const DrawCpu *cpu = &d->cpus[i], *before = i > n->first_cpu ? cpu - 1 : NULL;
                bool new_cache = !before || before->llc != cpu->llc;

                if (new_cache)
                        cores = value_put_list(value_put_map(caches, NULL), "cores", VALUE_MAP);
                if (new_cache || before->core != cpu->core)
                        cpus = value_put_list(value_put_map(cores, NULL), "cpus", VALUE_MAP);
                put_cpu(cpus, d, cpu);
        }
}

static void put_distances(Value *node, const Drawing *d, size_t i) {
        Value *list = value_put_list(node, "distances", VALUE_MAP);

        for (size_t j = 0; j < d->n_nodes; j++) {
                Value *v = value_put_map(list, NULL);

                value_put_number(v, "node", d->nodes[j].id);
                value_put_number(v, "distance", topology_distance(d->topology, i, j));
        }
}

static void put_node(Value *list, const Drawing *d, size_t i) {
        Value *v = value_put_map(list, NULL);
        const DrawNode *n = &d->nodes[i];

        value_put_number(v, "node", n->id);
        describe_put_set(v, "cpus", n->cpu_ids);
        describe_put_set(v, "packages", &n->packages);
        describe_put_permyriad(v, "busy_permyriad", n->busy_permyriad);
        value_put_number(v, "vcpus_milli", n->vcpus_milli);
        describe_put_known(v, "memory_total_bytes", n->total_bytes);
        describe_put_known(v, "memory_free_bytes", n->free_bytes);
        value_put_number(v, "memory_guests_bytes", n->guests_bytes);
        put_distances(v, d, i);
        put_caches(v, d, n);
}

static void put_guest(Value *list, const DrawGuest *g) {
        static const char *const places[] = { [DRAW_ANYWHERE] = "anywhere", [DRAW_ON_NODES] = "nodes",
                                              [DRAW_ON_CPUS] = "cpus", [DRAW_PINNED] = "pinned",
                                              [DRAW_DEDICATED] = "dedicated" };
        Value *v = value_put_map(list, NULL);

        value_put_string(v, "name", g->guest->name);
        value_put_string(v, "uuid", g->guest->uuid);
        value_put_string(v, "place", places[g->place]);
        describe_put_set(v, "cpus", &g->cpus);
        describe_put_set(v, "nodes", &g->nodes);
        value_put_number(v, "vcpus", g->vcpus);
        describe_put_known(v, "busy_permyriad", g->busy_permyriad);
        describe_put_known(v, "memory_bytes", g->memory_bytes);
        if (g->placed_bytes > 0)
                value_put_number(v, "memory_local_bytes", g->local_bytes);
}

static Value *describe_drawing(const Drawing *d) {
        Value *v = value_new_map(), *list;

        value_put_number(v, "packages", d->n_packages);
        value_put_number(v, "caches", d->n_llcs);
        value_put_number(v, "cores", d->n_cores);
        value_put_number(v, "cpus", d->n_cpus);
        value_put_number(v, "vcpus", d->vcpus);
        value_put_number(v, "memory_guests_bytes", d->guests_bytes);
        describe_put_set(v, "reserved_cpus", &d->reserved);
        describe_put_set(v, "isolated_cpus", &d->topology->isolated);
        describe_put_set(v, "offline_cpus", &d->topology->offline);
        list = value_put_list(v, "nodes", VALUE_MAP);
        for (size_t i = 0; i < d->n_nodes; i++)
                put_node(list, d, i);
        list = value_put_list(v, "guests", VALUE_MAP);
        for (size_t i = 0; i < d->n_guests; i++)
                put_guest(list, &d->guests[i]);
        return v;
}

int draw_topology_json(const Snapshot *s, const State *state, const Config *config, char **ret) {
        _cleanup_(drawing_freep) Drawing *d = NULL;
        _cleanup_(value_freep) Value *v = NULL;
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *f;
        int r;

        r = drawing_new(s, state, config, &d);
        if (r < 0)
                return r;
        v = describe_drawing(d);
        if (value_complete(v) < 0)
                return -ENOMEM;
        f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        value_print_json(f, v);
        if (fclose(f) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(text);
        return 0;
}
