/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virt_xml_internal.h"

/* As many as vCPUs there can be. */
#define CELLS_MAX 4096U

static int read_mode(const xmlNode *node, NumatuneMode *ret) {
        const char *text = xml_attribute(node, "mode");
        NumatuneMode mode;

        /* libvirt's default. */
        if (!text) {
                *ret = NUMATUNE_STRICT;
                return 0;
        }
        mode = numatune_mode_from_string(text);
        if (mode < 0 || mode == NUMATUNE_NONE)
                return -EBADMSG;
        *ret = mode;
        return 0;
}

static int read_cell(const xmlNode *node, unsigned position, Guest *g) {
        GuestCell *cell = &g->cells[g->n_cells];
        const char *cpus = xml_attribute(node, "cpus");
        int r;

        *cell = (GuestCell){ .id = position };
        r = xml_attribute_unsigned(node, "id", &cell->id);
        if (r < 0 && r != -ENODATA)
                return r;
        r = xml_scale_memory(xml_attribute(node, "memory"), xml_attribute(node, "unit"), &cell->memory_bytes);
        if (r < 0)
                return r;
        /* A cell may be memory only. */
        if (cpus) {
                r = xml_parse_cpuset(cpus, &cell->vcpus);
                if (r < 0)
                        return r;
        }
        if (xml_attribute_is(node, "memAccess", "shared"))
                g->shared_memory = true;
        g->n_cells++;
        return 0;
}

static int read_cells(const xmlNode *numa, Guest *g) {
        unsigned n = 0, i = 0;
        int r;

        XML_FOREACH(node, numa, "cell")
                n++;
        if (n == 0)
                return 0;
        if (n > CELLS_MAX)
                return -ERANGE;
        g->cells = calloc(n, sizeof(*g->cells));
        if (!g->cells)
                return -ENOMEM;
        XML_FOREACH(node, numa, "cell") {
                r = read_cell(node, i++, g);
                if (r < 0)
                        return r;
        }
        return 0;
}

static GuestCell *find_cell(Guest *g, unsigned id) {
        for (size_t i = 0; i < g->n_cells; i++)
                if (g->cells[i].id == id)
                        return &g->cells[i];
        return NULL;
}

static int read_memnode(const xmlNode *node, Guest *g) {
        const char *nodeset = xml_attribute(node, "nodeset");
        GuestCell *cell;
        unsigned id;
        int r;

        r = xml_attribute_unsigned(node, "cellid", &id);
        if (r < 0 || !nodeset)
                return r == -ERANGE ? r : -EBADMSG;
        cell = find_cell(g, id);
        if (!cell)
                return 0;
        r = read_mode(node, &cell->mode);
        if (r < 0)
                return r;
        return xml_parse_cpuset(nodeset, &cell->nodeset);
}

static int read_numatune(const xmlNode *numatune, Guest *g) {
        const xmlNode *memory = xml_child(numatune, "memory");
        const char *nodeset = xml_attribute(memory, "nodeset");
        int r;

        g->numatune_placement_auto = xml_attribute_is(memory, "placement", "auto");
        if (nodeset || g->numatune_placement_auto) {
                r = read_mode(memory, &g->numatune_mode);
                if (r < 0)
                        return r;
        }
        if (nodeset) {
                r = xml_parse_cpuset(nodeset, &g->numatune_nodes);
                if (r < 0)
                        return r;
        }
        XML_FOREACH(node, numatune, "memnode") {
                r = read_memnode(node, g);
                if (r < 0)
                        return r;
        }
        return 0;
}

int virt_xml_read_numa(const xmlNode *domain, Guest *g) {
        int r;

        r = read_cells(xml_child(xml_child(domain, "cpu"), "numa"), g);
        if (r < 0)
                return r;
        return read_numatune(xml_child(domain, "numatune"), g);
}
