/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A topology is its synthetic description where that reads back to the same
 * CPUs and nodes, with sizes, distances and isolated CPUs beside it where those
 * differ; otherwise plain lists, which can say everything.
 */

#include "snapshot_write.h"

#include "parse.h"

static bool same_cpus_and_nodes(const Topology *a, const Topology *b) {
        if (a->n_cpus != b->n_cpus || a->n_nodes != b->n_nodes || !idset_equal(&a->online, &b->online))
                return false;
        for (size_t i = 0; i < a->n_cpus; i++)
                if (memcmp(&a->cpus[i], &b->cpus[i], sizeof(*a->cpus)) != 0)
                        return false;
        for (size_t i = 0; i < a->n_nodes; i++)
                if (a->nodes[i].id != b->nodes[i].id || !idset_equal(&a->nodes[i].cpus, &b->nodes[i].cpus))
                        return false;
        return true;
}

static bool same_memory(const Topology *a, const Topology *b) {
        for (size_t i = 0; i < a->n_nodes; i++)
                if (a->nodes[i].memory_bytes != b->nodes[i].memory_bytes)
                        return false;
        return true;
}

static bool same_distances(const Topology *a, const Topology *b) {
        return memcmp(a->distances, b->distances, a->n_nodes * a->n_nodes * sizeof(*a->distances)) == 0;
}

static void put_distances(SnapWriter *w, const Topology *t) {
        snap_write_indent(w);
        (void)fputs("distances = [ ", w->f);
        for (size_t i = 0; i < t->n_nodes; i++) {
                (void)fputs(i == 0 ? "\"" : ", \"", w->f);
                for (size_t j = 0; j < t->n_nodes; j++)
                        (void)fprintf(w->f, j == 0 ? "%u" : ",%u", topology_distance(t, i, j));
                (void)fputc('"', w->f);
        }
        (void)fputs(" ];\n", w->f);
}

static int put_node_sizes(SnapWriter *w, const Topology *t) {
        snap_write_indent(w);
        (void)fputs("memory = [ ", w->f);
        for (size_t i = 0; i < t->n_nodes; i++) {
                _cleanup_free_ char *size = NULL;
                int r;

                r = format_size(t->nodes[i].memory_bytes, &size);
                if (r < 0)
                        return r;
                (void)fputs(i == 0 ? "" : ", ", w->f);
                snap_write_string(w, size);
        }
        (void)fputs(" ];\n", w->f);
        return 0;
}

static int put_set(SnapWriter *w, const char *key, const IdSet *set) {
        if (idset_is_empty(set))
                return 0;
        snap_write_indent(w);
        return snap_write_key_set(w, key, set, ";\n");
}

/* @back is what the synthetic description reads back to. */
static int put_synthetic(SnapWriter *w, const Topology *t, const Topology *back) {
        bool memory = same_memory(t, back), distances = same_distances(t, back);
        int r;

        if (memory && distances && idset_is_empty(&t->isolated)) {
                snap_write_key_string(w, "topology", t->synthetic);
                return 0;
        }
        snap_write_open_group(w, "topology");
        snap_write_key_string(w, "synthetic", t->synthetic);
        if (!memory) {
                r = put_node_sizes(w, t);
                if (r < 0)
                        return r;
        }
        if (!distances)
                put_distances(w, t);
        r = put_set(w, "isolated", &t->isolated);
        if (r < 0)
                return r;
        snap_write_close_group(w);
        return 0;
}

static int put_node(SnapWriter *w, const TopologyNode *node) {
        _cleanup_free_ char *size = NULL;
        int r;

        r = format_size(node->memory_bytes, &size);
        if (r < 0)
                return r;
        (void)fprintf(w->f, "{ id = %u; ", node->id);
        r = snap_write_key_set(w, "cpus", &node->cpus, "; ");
        if (r < 0)
                return r;
        (void)fprintf(w->f, "memory = \"%s\"; }", size);
        return 0;
}

static unsigned number_of(const TopologyCpu *cpu, size_t member_offset) {
        return *(const unsigned *)(const void *)((const char *)cpu + member_offset);
}

/* @member_offset: which number of TopologyCpu groups them. */
static int put_cpu_groups(SnapWriter *w, const char *key, const Topology *t, size_t member_offset) {
        _cleanup_free_ IdSet *groups = NULL;
        size_t n = 0;
        int r;

        for (size_t i = 0; i < t->n_cpus; i++)
                n = MAX(n, (size_t)number_of(&t->cpus[i], member_offset) + 1);
        groups = calloc(n + 1, sizeof(*groups));
        if (!groups)
                return -ENOMEM;
        for (size_t i = 0; i < t->n_cpus; i++)
                (void)idset_add(&groups[number_of(&t->cpus[i], member_offset)], t->cpus[i].id);
        snap_write_indent(w);
        (void)fprintf(w->f, "%s = [ ", key);
        for (size_t i = 0; i < n; i++) {
                (void)fputs(i == 0 ? "" : ", ", w->f);
                r = snap_write_set(w, &groups[i]);
                if (r < 0)
                        return r;
        }
        (void)fputs(" ];\n", w->f);
        return 0;
}

static int put_lists(SnapWriter *w, const Topology *t) {
        int r;

        snap_write_open_group(w, "topology");
        snap_write_open_list(w, "nodes");
        for (size_t i = 0; i < t->n_nodes; i++) {
                snap_write_element(w, i);
                r = put_node(w, &t->nodes[i]);
                if (r < 0)
                        return r;
        }
        snap_write_close_list(w, t->n_nodes);
        r = put_cpu_groups(w, "cores", t, offsetof(TopologyCpu, core));
        if (r < 0)
                return r;
        r = put_cpu_groups(w, "llcs", t, offsetof(TopologyCpu, llc));
        if (r < 0)
                return r;
        r = put_cpu_groups(w, "packages", t, offsetof(TopologyCpu, package));
        if (r < 0)
                return r;
        put_distances(w, t);
        r = put_set(w, "offline", &t->offline);
        if (r < 0)
                return r;
        r = put_set(w, "isolated", &t->isolated);
        if (r < 0)
                return r;
        snap_write_close_group(w);
        return 0;
}

int snap_write_topology(SnapWriter *w, const Topology *t) {
        _cleanup_(topology_freep) Topology *back = NULL;
        int r;

        if (!t)
                return 0;
        /* Of an offline CPU only plain lists can say that it is in no node. */
        if (t->synthetic && idset_is_empty(&t->offline)) {
                r = topology_load_synthetic(t->synthetic, &back);
                if (r == -ENOMEM)
                        return r;
                if (r >= 0 && same_cpus_and_nodes(t, back))
                        return put_synthetic(w, t, back);
        }
        return put_lists(w, t);
}
