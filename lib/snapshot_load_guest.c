/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The guests in a snapshot. */

#include <ctype.h>

#include "snapshot_load.h"

#define DEFAULT_MEMORY GIB
#define THREADS_MAX IDSET_MAX

/* ---- threads ---- */

static int load_pin(SnapLoader *l, const config_setting_t *group, const char *name, GuestThread *t) {
        int r;

        r = snap_load_value(l, group, name, SNAP_SET, &t->pin);
        if (r > 0)
                t->pinned = true;
        return r;
}

static int load_affinity(SnapLoader *l, const config_setting_t *group, GuestThread *t, bool *given) {
        static const SnapField affinity = { .key = "affinity", .type = SNAP_SET,
                                            .offset = offsetof(GuestThread, affinity) };
        const char *text = NULL;
        int r;

        if (config_setting_lookup_string(group, "affinity", &text) && streq(text, "unknown")) {
                t->affinity = IDSET_EMPTY;
                *given = true;
                return 0;
        }
        r = snap_load_field(l, group, &affinity, 0, t);
        if (r > 0)
                *given = true;
        return r;
}

static int load_thread(SnapLoader *l, const config_setting_t *group, GuestThread *t, bool *affinity_given) {
        static const char *const keys[] = { "id", "pin", "affinity", NULL };
        static const SnapFields *const tables[] = { &snap_thread, NULL };
        int r;

        r = snap_load_check_keys(l, group, keys, tables);
        if (r < 0)
                return r;
        r = snap_load_number(l, group, "id", 0, THREADS_MAX, &t->id);
        if (r < 0)
                return r;
        r = load_pin(l, group, "pin", t);
        if (r < 0)
                return r;
        r = load_affinity(l, group, t, affinity_given);
        if (r < 0)
                return r;
        return snap_load_fields(l, group, &snap_thread, 0, t);
}

/* An array of booleans parallel to the threads: whose affinity was given. */
static int load_thread_list(SnapLoader *l, const config_setting_t *list, GuestThread *threads, size_t n,
                            bool *given) {
        const config_setting_t *element;
        int r;

        for (unsigned i = 0; i < n; i++) {
                r = snap_load_element(l, list, i, &element);
                if (r < 0)
                        return r;
                if (r == 0)
                        continue;
                r = load_thread(l, element, &threads[i], &given[i]);
                if (r < 0)
                        return r;
                if (i > 0 && threads[i].id <= threads[i - 1].id)
                        setting_error(&l->errors, element, "the ids must ascend; %u comes after %u", threads[i].id,
                                      threads[i - 1].id);
        }
        return 0;
}

/* How many threads @name asks for, as a number or as a list. */
static int count_threads(SnapLoader *l, const config_setting_t *group, const char *name, unsigned minimum,
                         unsigned fallback, unsigned *ret, const config_setting_t **ret_list) {
        const config_setting_t *s = config_setting_get_member(group, name);
        unsigned n = fallback;
        int r;

        if (s && config_setting_type(s) == CONFIG_TYPE_LIST) {
                *ret_list = s;
                n = (unsigned)config_setting_length(s);
                if (n > THREADS_MAX) {
                        setting_error(&l->errors, s, "%s has %u entries; at most %u are allowed", name, n,
                                      THREADS_MAX);
                        n = 0;
                }
        } else {
                r = snap_load_number(l, group, name, minimum, THREADS_MAX, &n);
                if (r < 0)
                        return r;
        }
        *ret = n;
        return 0;
}

/* "busy" and "wait" for all vCPUs: one value, or one each. */
static int load_shares(SnapLoader *l, const config_setting_t *group, const char *name, Guest *g,
                       size_t member_offset) {
        __attribute__((cleanup(snap_text_list_done))) SnapTextList texts = { 0 };
        int r;

        r = snap_load_texts(l, group, name, &texts);
        if (r <= 0)
                return r;
        if (!texts.single && texts.n != g->n_vcpus) {
                setting_error(&l->errors, texts.setting, "%s has %zu values; one, or one for each of the %zu vCPUs, "
                              "is needed", name, texts.n, g->n_vcpus);
                return 0;
        }
        for (size_t i = 0; i < g->n_vcpus; i++) {
                uint32_t share;

                r = snap_load_text_as(l, texts.setting, SNAP_SHARE, texts.texts[texts.single ? 0 : i], &share);
                if (r <= 0)
                        return r;
                *(uint32_t *)(void *)((char *)&g->vcpus[i] + member_offset) = share;
        }
        return 0;
}

static int load_pins(SnapLoader *l, const config_setting_t *group, Guest *g) {
        static const char *const keys[] = { "vcpu", "cpus", NULL };
        const config_setting_t *list, *element;
        int r;

        r = snap_load_list(l, group, "pins", &list);
        if (r <= 0)
                return r;
        for (unsigned i = 0; i < (unsigned)config_setting_length(list); i++) {
                unsigned id = 0;

                r = snap_load_element(l, list, i, &element);
                if (r <= 0)
                        return r;
                r = snap_load_check_keys(l, element, keys, NULL);
                if (r < 0)
                        return r;
                r = snap_load_number(l, element, "vcpu", 0, THREADS_MAX, &id);
                if (r < 0)
                        return r;
                if (r == 0 || id >= g->n_vcpus) {
                        setting_error(&l->errors, element, "vcpu must be the number of one of the %zu vCPUs",
                                      g->n_vcpus);
                        continue;
                }
                r = load_pin(l, element, "cpus", &g->vcpus[id]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int load_vcpus(SnapLoader *l, const config_setting_t *group, Guest *g) {
        const config_setting_t *list = NULL;
        _cleanup_free_ bool *given = NULL;
        GuestThread all = { 0 };
        bool all_given = false;
        unsigned n;
        int r;

        r = count_threads(l, group, "vcpus", 1, 1, &n, &list);
        if (r < 0)
                return r;
        r = guest_set_vcpus(g, n);
        if (r < 0)
                return r;
        given = calloc((size_t)n + 1, sizeof(*given));
        if (!given)
                return -ENOMEM;
        r = load_shares(l, group, "busy", g, offsetof(GuestThread, busy_permyriad));
        if (r >= 0)
                r = load_shares(l, group, "wait", g, offsetof(GuestThread, wait_permyriad));
        if (r >= 0)
                r = load_pins(l, group, g);
        if (r >= 0)
                r = load_affinity(l, group, &all, &all_given);
        if (r >= 0 && list)
                r = load_thread_list(l, list, g->vcpus, n, given);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < n; i++) {
                if (given[i])
                        continue;
                if (all_given)
                        g->vcpus[i].affinity = all.affinity;
                else
                        g->vcpus[i].affinity =
                                snap_default_affinity(l->snapshot->topology, g, &g->vcpus[i], true);
        }
        return 0;
}

static int load_iothreads(SnapLoader *l, const config_setting_t *group, Guest *g) {
        const config_setting_t *list = NULL;
        _cleanup_free_ bool *given = NULL;
        unsigned n;
        int r;

        r = count_threads(l, group, "iothreads", 0, 0, &n, &list);
        if (r < 0)
                return r;
        r = guest_set_iothreads(g, n);
        if (r < 0)
                return r;
        given = calloc((size_t)n + 1, sizeof(*given));
        if (!given)
                return -ENOMEM;
        /* libvirt counts them from 1. */
        for (unsigned i = 0; i < n; i++)
                g->iothreads[i].id = i + 1;
        if (list) {
                r = load_thread_list(l, list, g->iothreads, n, given);
                if (r < 0)
                        return r;
        }
        for (unsigned i = 0; i < n; i++)
                if (!given[i])
                        g->iothreads[i].affinity =
                                snap_default_affinity(l->snapshot->topology, g, &g->iothreads[i], false);
        return 0;
}

static int load_emulator(SnapLoader *l, const config_setting_t *group, Guest *g) {
        const config_setting_t *emulator;
        bool given = false;
        int r;

        r = load_pin(l, group, "emulator_pin", &g->emulator);
        if (r < 0)
                return r;
        r = snap_load_group(l, group, "emulator", &emulator);
        if (r < 0)
                return r;
        if (r > 0) {
                r = load_thread(l, emulator, &g->emulator, &given);
                if (r < 0)
                        return r;
        }
        if (!given)
                g->emulator.affinity = snap_default_affinity(l->snapshot->topology, g, &g->emulator, false);
        return 0;
}

/* ---- memory ---- */

static int load_sizes(SnapLoader *l, const config_setting_t *group, Guest *g) {
        int r;

        g->max_bytes = DEFAULT_MEMORY;
        for (size_t i = 0; i < snap_guest_memory.n; i++) {
                r = snap_load_field(l, group, &snap_guest_memory.fields[i], i > 0 ? g->max_bytes : 0, g);
                if (r < 0)
                        return r;
                if (i == 0)
                        g->current_bytes = g->max_bytes;
                else if (i == 1)
                        g->rss_bytes = g->current_bytes;
        }
        return 0;
}

static int load_stats(SnapLoader *l, const config_setting_t *group, Guest *g) {
        static const SnapFields *const tables[] = { &snap_stats, NULL };
        const config_setting_t *stats;
        int r;

        r = snap_load_group(l, group, "stats", &stats);
        if (r <= 0)
                return r;
        r = snap_load_check_keys(l, stats, NULL, tables);
        if (r < 0)
                return r;
        g->stats.age_usec = 0;
        return snap_load_fields(l, stats, &snap_stats, g->current_bytes, &g->stats);
}

static int load_one_node_memory(SnapLoader *l, const config_setting_t *element, Guest *g) {
        static const char *const keys[] = { "node", "size", NULL };
        GuestNodeMemory m = { 0 };
        int r;

        r = snap_load_check_keys(l, element, keys, NULL);
        if (r < 0)
                return r;
        r = snap_load_number(l, element, "node", 0, IDSET_MAX - 1, &m.node);
        if (r < 0)
                return r;
        if (r == 0 || !topology_node(l->snapshot->topology, m.node))
                setting_error(&l->errors, element, "node must be the number of a node of the topology");
        for (size_t i = 0; i < g->n_node_memory; i++)
                if (g->node_memory[i].node == m.node)
                        setting_error(&l->errors, element, "node %u is there twice", m.node);
        r = snap_load_value(l, element, "size", SNAP_SIZE, &m.bytes);
        if (r < 0)
                return r;
        g->node_memory[g->n_node_memory++] = m;
        return 0;
}

static int load_node_memory(SnapLoader *l, const config_setting_t *group, Guest *g) {
        const config_setting_t *list, *element;
        int r;

        r = snap_load_list(l, group, "node_memory", &list);
        if (r <= 0)
                return r;
        g->node_memory = calloc((size_t)config_setting_length(list) + 1, sizeof(*g->node_memory));
        if (!g->node_memory)
                return -ENOMEM;
        for (unsigned i = 0; i < (unsigned)config_setting_length(list); i++) {
                r = snap_load_element(l, list, i, &element);
                if (r <= 0)
                        return r;
                r = load_one_node_memory(l, element, g);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int load_numatune(SnapLoader *l, const config_setting_t *group, Guest *g) {
        static const SnapFields *const tables[] = { &snap_numatune, NULL };
        const config_setting_t *numatune;
        int r;

        r = snap_load_group(l, group, "numatune", &numatune);
        if (r <= 0)
                return r;
        r = snap_load_check_keys(l, numatune, NULL, tables);
        if (r < 0)
                return r;
        r = snap_load_fields(l, numatune, &snap_numatune, 0, g);
        if (r < 0)
                return r;
        return snap_load_check_nodes(l, numatune, "nodes", &g->numatune_nodes);
}

static int load_cells(SnapLoader *l, const config_setting_t *group, Guest *g) {
        static const char *const keys[] = { "id", NULL };
        static const SnapFields *const tables[] = { &snap_cell, NULL };
        const config_setting_t *list, *element;
        int r;

        r = snap_load_list(l, group, "cells", &list);
        if (r <= 0)
                return r;
        g->cells = calloc((size_t)config_setting_length(list) + 1, sizeof(*g->cells));
        if (!g->cells)
                return -ENOMEM;
        for (unsigned i = 0; i < (unsigned)config_setting_length(list); i++) {
                GuestCell *cell = &g->cells[g->n_cells];

                r = snap_load_element(l, list, i, &element);
                if (r <= 0)
                        return r;
                g->n_cells++;
                cell->id = i;
                r = snap_load_check_keys(l, element, keys, tables);
                if (r >= 0)
                        r = snap_load_number(l, element, "id", 0, INT32_MAX, &cell->id);
                if (r >= 0)
                        r = snap_load_fields(l, element, &snap_cell, 0, cell);
                if (r >= 0)
                        r = snap_load_check_nodes(l, element, "nodes", &cell->nodeset);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- the whole ---- */

static bool uuid_is_valid(const char *uuid) {
        for (size_t i = 0; i < UUID_TEXT_SIZE - 1; i++) {
                bool dash = i == 8 || i == 13 || i == 18 || i == 23;

                if (dash ? uuid[i] != '-' : !isxdigit((unsigned char)uuid[i]))
                        return false;
        }
        return uuid[UUID_TEXT_SIZE - 1] == 0;
}

/* Returns 1 and a new guest, 0 when its name or uuid is wrong (reported), -ENOMEM. */
static int load_identity(SnapLoader *l, const config_setting_t *group, Guest **ret) {
        const config_setting_t *name = config_setting_get_member(group, "name");
        const config_setting_t *uuid = config_setting_get_member(group, "uuid");
        _cleanup_(guest_freep) Guest *g = NULL;
        int r;

        if (!name || !config_setting_get_string(name) || !*config_setting_get_string(name)) {
                setting_error(&l->errors, name ?: group, "the guest has no name; a string is needed");
                return 0;
        }
        if (uuid && (!config_setting_get_string(uuid) || !uuid_is_valid(config_setting_get_string(uuid))))
                return snap_load_complain(l, uuid, "a UUID such as \"01234567-89ab-cdef-0123-456789abcdef\"");
        r = guest_new(config_setting_get_string(name), uuid ? config_setting_get_string(uuid) : NULL, &g);
        if (r < 0)
                return r;
        for (char *p = g->uuid; *p; p++)
                *p = (char)tolower((unsigned char)*p);
        *ret = TAKE_PTR(g);
        return 1;
}

static int load_guest_parts(SnapLoader *l, const config_setting_t *group, Guest *g) {
        static int (*const parts[])(SnapLoader *, const config_setting_t *, Guest *) = {
                load_sizes,    load_vcpus, load_emulator,    load_iothreads,
                load_numatune, load_cells, load_node_memory, load_stats,
        };
        int r;

        snap_set_defaults(&snap_guest, g);
        r = snap_load_fields(l, group, &snap_guest, 0, g);
        if (r < 0)
                return r;
        r = snap_load_value(l, group, "cpuset", SNAP_SET, &g->vcpu_cpuset);
        if (r < 0)
                return r;
        g->vcpu_cpuset_set = r > 0;
        r = snap_load_check_nodes(l, group, "vfio_nodes", &g->vfio_nodes);
        if (r < 0)
                return r;
        r = snap_load_check_nodes(l, group, "cgroup_mems", &g->cgroup_mems);
        if (r < 0)
                return r;
        r = snap_load_check_nodes(l, group, "advised_nodes", &g->advised_nodes);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
                r = parts[i](l, group, g);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int load_guest(SnapLoader *l, const config_setting_t *group) {
        static const char *const keys[] = { "name", "uuid", "vcpus", "busy", "wait", "pins", "affinity", "cpuset",
                                            "emulator", "emulator_pin", "iothreads", "numatune", "cells",
                                            "node_memory", "stats", NULL };
        static const SnapFields *const tables[] = { &snap_guest, &snap_guest_memory, NULL };
        _cleanup_(guest_freep) Guest *g = NULL;
        int r;

        r = snap_load_check_keys(l, group, keys, tables);
        if (r < 0)
                return r;
        r = load_identity(l, group, &g);
        if (r <= 0)
                return r;
        r = load_guest_parts(l, group, g);
        if (r < 0)
                return r;
        if (snapshot_find_guest(l->snapshot, g->uuid)) {
                setting_error(&l->errors, group, "a guest with the uuid %s is there already (\"%s\")", g->uuid,
                              snapshot_find_guest(l->snapshot, g->uuid)->name);
                return 0;
        }
        r = snapshot_put_guest(l->snapshot, g);
        if (r < 0)
                return r;
        TAKE_PTR(g);
        return 0;
}

typedef struct NamedGuest {
        const char *name;
        const config_setting_t *group;
} NamedGuest;

static int compare_names(const void *a, const void *b) {
        const NamedGuest *x = a, *y = b;
        int r = strcmp(x->name, y->name);

        /* In file order, so that it is the later one that is reported. */
        return r != 0 ? r : config_setting_index(x->group) - config_setting_index(y->group);
}

static int check_names(SnapLoader *l, const config_setting_t *list) {
        unsigned n = (unsigned)config_setting_length(list);
        _cleanup_free_ NamedGuest *guests = NULL;
        size_t n_named = 0;

        guests = calloc((size_t)n + 1, sizeof(*guests));
        if (!guests)
                return -ENOMEM;
        for (unsigned i = 0; i < n; i++) {
                const config_setting_t *group = config_setting_get_elem(list, i);

                if (config_setting_lookup_string(group, "name", &guests[n_named].name))
                        guests[n_named++].group = group;
        }
        qsort(guests, n_named, sizeof(*guests), compare_names);
        for (size_t i = 1; i < n_named; i++)
                if (streq(guests[i].name, guests[i - 1].name) &&
                    config_setting_get_member(guests[i].group, "uuid"))
                        setting_error(&l->errors, guests[i].group, "a guest \"%s\" is there already", guests[i].name);
        return 0;
}

int snap_load_guests(SnapLoader *l, const config_setting_t *root) {
        const config_setting_t *list, *element;
        int r;

        r = snap_load_list(l, root, "guests", &list);
        if (r <= 0)
                return r;
        for (unsigned i = 0; i < (unsigned)config_setting_length(list); i++) {
                r = snap_load_element(l, list, i, &element);
                if (r < 0)
                        return r;
                if (r == 0)
                        continue;
                r = load_guest(l, element);
                if (r < 0)
                        return r;
        }
        return check_names(l, list);
}
