/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The topology in a snapshot: a synthetic string, an XML file, or plain lists.
 * Whatever it is, node sizes, distances, isolated and offline CPUs can be given
 * on top of it.
 */

#include "snapshot_load.h"

#include "parse.h"

#define DEFAULT_TOPOLOGY "numa:1 core:4 pu:1"
#define DISTANCE_LOCAL 10U
#define DISTANCE_REMOTE 20U

static int use_synthetic(SnapLoader *l, const config_setting_t *at, const char *text) {
        int r;

        r = topology_load_synthetic(text, &l->snapshot->topology);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                setting_error(&l->errors, at, "hwloc does not accept the topology \"%s\"; "
                              "one such as \"numa:2 core:4 pu:2\" is needed", text);
        l->topology_memory = strstr(text, "memory=") != NULL;
        return 0;
}

static int use_xml(SnapLoader *l, const config_setting_t *at, const char *name) {
        _cleanup_free_ char *path = NULL;
        int r;

        if (name[0] == '/' || !l->folder)
                r = strdup_to(&path, name);
        else
                r = strprintf_to(&path, "%s/%s", l->folder, name);
        if (r < 0)
                return r;
        r = topology_load_xml(path, &l->snapshot->topology);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                setting_error(&l->errors, at, "cannot read the topology \"%s\": %s", path,
                              r == -EINVAL ? "not an XML file that hwloc accepts" : strerrordesc_np(-r));
        l->topology_memory = true;
        return 0;
}

/* ---- plain lists ---- */

static int compare_nodes(const void *a, const void *b) {
        unsigned x = ((const TopologyNode *)a)->id, y = ((const TopologyNode *)b)->id;

        return (x > y) - (x < y);
}

static int load_node(SnapLoader *l, const config_setting_t *group, unsigned position, TopologyNode *node) {
        static const char *const keys[] = { "id", "cpus", "memory", NULL };
        int r;

        node->id = position;
        r = snap_load_check_keys(l, group, keys, NULL);
        if (r < 0)
                return r;
        r = snap_load_number(l, group, "id", 0, IDSET_MAX - 1, &node->id);
        if (r < 0)
                return r;
        r = snap_load_value(l, group, "cpus", SNAP_SET, &node->cpus);
        if (r < 0)
                return r;
        return snap_load_value(l, group, "memory", SNAP_SIZE, &node->memory_bytes);
}

static void check_nodes(SnapLoader *l, const config_setting_t *list, Topology *t) {
        for (size_t i = 0; i < t->n_nodes; i++) {
                if (i > 0 && t->nodes[i].id == t->nodes[i - 1].id)
                        setting_error(&l->errors, list, "node %u is there twice", t->nodes[i].id);
                if (idset_intersects(&t->online, &t->nodes[i].cpus))
                        setting_error(&l->errors, list, "node %u has CPUs that another node has, too",
                                      t->nodes[i].id);
                t->online = idset_or(&t->online, &t->nodes[i].cpus);
        }
        if (idset_is_empty(&t->online))
                setting_error(&l->errors, list, "there is no CPU in any node; at least one is needed");
}

static int load_nodes(SnapLoader *l, const config_setting_t *list, Topology *t) {
        unsigned n = (unsigned)config_setting_length(list);
        int r;

        t->nodes = calloc((size_t)n + 1, sizeof(*t->nodes));
        if (!t->nodes)
                return -ENOMEM;
        for (unsigned i = 0; i < n; i++) {
                const config_setting_t *group;

                r = snap_load_element(l, list, i, &group);
                if (r < 0)
                        return r;
                if (r == 0)
                        continue;
                r = load_node(l, group, i, &t->nodes[t->n_nodes]);
                if (r < 0)
                        return r;
                t->n_nodes++;
        }
        qsort(t->nodes, t->n_nodes, sizeof(*t->nodes), compare_nodes);
        check_nodes(l, list, t);
        return 0;
}

static int make_cpus(Topology *t) {
        t->cpus = calloc((size_t)idset_count(&t->online) + 1, sizeof(*t->cpus));
        if (!t->cpus)
                return -ENOMEM;
        IDSET_FOREACH(id, &t->online) {
                TopologyCpu *cpu = &t->cpus[t->n_cpus];

                cpu->id = (unsigned)id;
                while (!idset_contains(&t->nodes[cpu->node].cpus, cpu->id))
                        cpu->node++;
                cpu->core = (unsigned)t->n_cpus++;
                cpu->llc = cpu->package = cpu->node;
        }
        return 0;
}

/* "cores", "llcs", "packages": group i is the CPUs of text i. */
static int load_cpu_groups(SnapLoader *l, const config_setting_t *group, const char *name, Topology *t,
                           size_t member_offset) {
        __attribute__((cleanup(snap_text_list_done))) SnapTextList texts = { 0 };
        IdSet seen = IDSET_EMPTY, cpus;
        int r;

        r = snap_load_texts(l, group, name, &texts);
        if (r <= 0)
                return r;
        for (unsigned i = 0; i < texts.n; i++) {
                r = snap_load_text_as(l, texts.setting, SNAP_SET, texts.texts[i], &cpus);
                if (r <= 0)
                        return r;
                if (idset_intersects(&seen, &cpus))
                        setting_error(&l->errors, texts.setting, "%s: CPUs in \"%s\" are there twice", name,
                                      texts.texts[i]);
                seen = idset_or(&seen, &cpus);
                for (size_t c = 0; c < t->n_cpus; c++)
                        if (idset_contains(&cpus, t->cpus[c].id))
                                *(unsigned *)(void *)((char *)&t->cpus[c] + member_offset) = i;
        }
        if (!idset_equal(&seen, &t->online))
                setting_error(&l->errors, texts.setting, "%s does not have the same CPUs as the nodes", name);
        return 0;
}

static int use_lists(SnapLoader *l, const config_setting_t *group, const config_setting_t *list) {
        Topology *t = calloc(1, sizeof(*t));
        int r;

        if (!t)
                return -ENOMEM;
        l->snapshot->topology = t;
        l->topology_memory = true;
        r = load_nodes(l, list, t);
        if (r < 0)
                return r;
        r = make_cpus(t);
        if (r < 0)
                return r;
        r = load_cpu_groups(l, group, "cores", t, offsetof(TopologyCpu, core));
        if (r < 0)
                return r;
        r = load_cpu_groups(l, group, "llcs", t, offsetof(TopologyCpu, llc));
        if (r < 0)
                return r;
        r = load_cpu_groups(l, group, "packages", t, offsetof(TopologyCpu, package));
        if (r < 0)
                return r;
        t->distances = calloc(t->n_nodes * t->n_nodes + 1, sizeof(*t->distances));
        if (!t->distances)
                return -ENOMEM;
        for (size_t i = 0; i < t->n_nodes * t->n_nodes; i++)
                t->distances[i] = i / t->n_nodes == i % t->n_nodes ? DISTANCE_LOCAL : DISTANCE_REMOTE;
        return 0;
}

/* ---- on top of it ---- */

static int load_node_sizes(SnapLoader *l, const config_setting_t *group, Topology *t) {
        __attribute__((cleanup(snap_text_list_done))) SnapTextList texts = { 0 };
        int r;

        r = snap_load_texts(l, group, "memory", &texts);
        if (r <= 0)
                return r;
        if (texts.n != t->n_nodes) {
                setting_error(&l->errors, texts.setting,
                              "memory has %zu sizes; one for each of the %zu nodes is needed", texts.n, t->n_nodes);
                return 0;
        }
        for (size_t i = 0; i < texts.n; i++) {
                r = snap_load_text_as(l, texts.setting, SNAP_SIZE, texts.texts[i], &t->nodes[i].memory_bytes);
                if (r < 0)
                        return r;
        }
        l->topology_memory = true;
        return 0;
}

/* "10,21,31": exactly @n numbers. */
static bool parse_row(const char *text, size_t n, uint16_t *row) {
        for (size_t i = 0; i < n; i++) {
                unsigned v;

                while (*text == ' ')
                        text++;
                if (parse_unsigned_prefix(&text, &v) < 0 || v == 0 || v > UINT16_MAX)
                        return false;
                row[i] = (uint16_t)v;
                if (i + 1 < n && *text++ != ',')
                        return false;
        }
        return *text == 0;
}

static int load_distances(SnapLoader *l, const config_setting_t *group, Topology *t) {
        __attribute__((cleanup(snap_text_list_done))) SnapTextList texts = { 0 };
        int r;

        r = snap_load_texts(l, group, "distances", &texts);
        if (r <= 0)
                return r;
        if (texts.n != t->n_nodes) {
                setting_error(&l->errors, texts.setting,
                              "distances has %zu rows; one for each of the %zu nodes is needed", texts.n, t->n_nodes);
                return 0;
        }
        for (size_t i = 0; i < texts.n; i++)
                if (!parse_row(texts.texts[i], t->n_nodes, t->distances + i * t->n_nodes))
                        setting_error(&l->errors, texts.setting,
                                      "distances has \"%s\"; %zu numbers from 1 to 65535 with commas are needed",
                                      texts.texts[i], t->n_nodes);
        return 0;
}

/* Of plain lists, those that are offline may be left out: nothing is known of them but the number. */
static int take_offline(SnapLoader *l, const config_setting_t *group, Topology *t) {
        bool lists = config_setting_get_member(group, "nodes");
        IdSet offline = IDSET_EMPTY;
        size_t kept = 0;
        int r;

        r = snap_load_value(l, group, "offline", SNAP_SET, &offline);
        if (r <= 0 || idset_is_empty(&offline))
                return r;
        if (!lists && !idset_is_subset(&offline, &t->online))
                setting_error(&l->errors, config_setting_get_member(group, "offline"),
                              "offline has CPUs that the topology does not have");
        t->offline = offline;
        t->online = idset_minus(&t->online, &offline);
        if (idset_is_empty(&t->online))
                setting_error(&l->errors, config_setting_get_member(group, "offline"), "no CPU is left online");
        for (size_t i = 0; i < t->n_cpus; i++)
                if (idset_contains(&t->online, t->cpus[i].id))
                        t->cpus[kept++] = t->cpus[i];
        t->n_cpus = kept;
        for (size_t i = 0; i < t->n_nodes; i++)
                t->nodes[i].cpus = idset_minus(&t->nodes[i].cpus, &offline);
        free(TAKE_PTR(t->synthetic));
        return 0;
}

static int load_isolated(SnapLoader *l, const config_setting_t *group, Topology *t) {
        int r;

        r = snap_load_value(l, group, "isolated", SNAP_SET, &t->isolated);
        if (r <= 0)
                return r;
        if (!idset_is_subset(&t->isolated, &t->online))
                setting_error(&l->errors, config_setting_get_member(group, "isolated"),
                              "isolated has CPUs that the topology does not have");
        return 0;
}

static int load_additions(SnapLoader *l, const config_setting_t *group, Topology *t) {
        int r;

        r = load_node_sizes(l, group, t);
        if (r < 0)
                return r;
        r = load_distances(l, group, t);
        if (r < 0)
                return r;
        r = take_offline(l, group, t);
        if (r < 0)
                return r;
        return load_isolated(l, group, t);
}

/* ---- the whole ---- */

static int use_base(SnapLoader *l, const config_setting_t *group) {
        const config_setting_t *synthetic = config_setting_get_member(group, "synthetic"), *list = NULL;
        const config_setting_t *xml = config_setting_get_member(group, "xml");
        const config_setting_t *nodes = config_setting_get_member(group, "nodes");
        const char *text;
        int r;

        if ((synthetic != NULL) + (xml != NULL) + (nodes != NULL) != 1) {
                setting_error(&l->errors, group, "topology needs exactly one of synthetic, xml and nodes");
                return 0;
        }
        if (nodes) {
                r = snap_load_list(l, group, "nodes", &list);
                return r <= 0 ? r : use_lists(l, group, list);
        }
        text = config_setting_get_string(synthetic ?: xml);
        if (!text)
                return snap_load_complain(l, synthetic ?: xml, "a string");
        return synthetic ? use_synthetic(l, synthetic, text) : use_xml(l, xml, text);
}

static int load_topology_group(SnapLoader *l, const config_setting_t *group) {
        static const char *const keys[] = { "synthetic", "xml",      "nodes",     "cores",   "llcs",
                                            "packages",  "memory",   "distances", "offline", "isolated",
                                            NULL };
        int r;

        r = snap_load_check_keys(l, group, keys, NULL);
        if (r < 0)
                return r;
        r = use_base(l, group);
        if (r < 0 || l->errors.n > 0 || !l->snapshot->topology)
                return r;
        return load_additions(l, group, l->snapshot->topology);
}

int snap_load_topology(SnapLoader *l, const config_setting_t *root) {
        const config_setting_t *s = config_setting_get_member(root, "topology");

        if (!s)
                return use_synthetic(l, root, DEFAULT_TOPOLOGY);
        if (config_setting_type(s) == CONFIG_TYPE_STRING)
                return use_synthetic(l, s, config_setting_get_string(s));
        if (config_setting_type(s) == CONFIG_TYPE_GROUP)
                return load_topology_group(l, s);
        return snap_load_complain(l, s, "a string such as \"numa:2 core:4 pu:2\" or a group { ... }");
}
