/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virt_xml_internal.h"

#include "../lib/parse.h"

/* QEMU and libvirt allow no more than this by far; a larger number is an error, not a guest. */
#define VCPUS_MAX 4096U
#define IOTHREADS_MAX 4096U

/* The text of @node as a count of 1..@max. */
static int read_count(const xmlNode *node, unsigned max, unsigned *ret) {
        const char *text = xml_text(node);
        unsigned n;
        int r;

        if (!text)
                return -EBADMSG;
        r = parse_unsigned(text, &n);
        if (r < 0)
                return r == -EINVAL ? -EBADMSG : r;
        if (n > max)
                return -ERANGE;
        *ret = n;
        return 0;
}

/* vCPUs of one hotpluggable entity (a core, on some architectures) have the same order of plugging in. */
static uint64_t read_group(const xmlNode *vcpus) {
        unsigned order, other, previous = 0;
        uint64_t n, most = 1;

        XML_FOREACH(first, vcpus, "vcpu") {
                /* Those of one entity stand together. */
                if (xml_attribute_unsigned(first, "order", &order) < 0 || order == previous)
                        continue;
                previous = order;
                n = 0;
                for (const xmlNode *next = first; next; next = next->next)
                        if (xml_attribute_unsigned(next, "order", &other) >= 0) {
                                if (other != order)
                                        break;
                                n++;
                        }
                most = MAX(most, n);
        }
        return most;
}

/* <vcpus> names each; without it the first "current" are plugged in. */
static int read_online(const xmlNode *domain, const xmlNode *vcpu, Guest *g) {
        unsigned online = (unsigned)g->n_vcpus;
        int r;

        r = xml_attribute_unsigned(vcpu, "current", &online);
        if (r < 0 && r != -ENODATA)
                return r;
        for (size_t i = 0; i < g->n_vcpus; i++)
                g->vcpus[i].online = i < online;
        XML_FOREACH(n, xml_child(domain, "vcpus"), "vcpu") {
                unsigned id;

                if (xml_attribute_unsigned(n, "id", &id) < 0 || id >= g->n_vcpus)
                        continue;
                g->vcpus[id].online = xml_attribute_is(n, "enabled", "yes");
                g->vcpus[id].hotpluggable = xml_attribute_is(n, "hotpluggable", "yes");
        }
        g->vcpu_group = read_group(xml_child(domain, "vcpus"));
        return 0;
}

static int read_vcpus(const xmlNode *domain, Guest *g) {
        const xmlNode *vcpu = xml_child(domain, "vcpu");
        const char *cpuset = xml_attribute(vcpu, "cpuset");
        unsigned n = 1;
        int r;

        if (vcpu) {
                r = read_count(vcpu, VCPUS_MAX, &n);
                if (r < 0)
                        return r;
        }
        if (n == 0)
                return -EBADMSG;
        r = guest_set_vcpus(g, n);
        if (r < 0)
                return r;
        g->vcpu_placement_auto = xml_attribute_is(vcpu, "placement", "auto");
        if (cpuset) {
                r = xml_parse_cpuset(cpuset, &g->vcpu_cpuset);
                if (r < 0)
                        return r;
                g->vcpu_cpuset_set = true;
        }
        return read_online(domain, vcpu, g);
}

static GuestThread *find_iothread(Guest *g, unsigned id) {
        for (size_t i = 0; i < g->n_iothreads; i++)
                if (g->iothreads[i].id == id)
                        return &g->iothreads[i];
        return NULL;
}

/* Given ids first; libvirt numbers the rest with the lowest free ones, from 1. */
static void number_iothreads(const xmlNode *ids, Guest *g, size_t given) {
        unsigned next = 1;
        size_t i = 0;

        for (size_t k = 0; k < g->n_iothreads; k++)
                g->iothreads[k].id = 0;
        XML_FOREACH(n, ids, "iothread") {
                unsigned id;

                if (i < given && xml_attribute_unsigned(n, "id", &id) >= 0 && id > 0 && !find_iothread(g, id))
                        g->iothreads[i++].id = id;
        }
        for (; i < g->n_iothreads; i++) {
                while (find_iothread(g, next))
                        next++;
                g->iothreads[i].id = next;
        }
}

static int compare_threads(const void *a, const void *b) {
        const GuestThread *x = a, *y = b;

        return (x->id > y->id) - (x->id < y->id);
}

static int read_iothreads(const xmlNode *domain, Guest *g) {
        const xmlNode *count = xml_child(domain, "iothreads"), *ids = xml_child(domain, "iothreadids");
        unsigned n = 0, given = 0;
        int r;

        if (count) {
                r = read_count(count, IOTHREADS_MAX, &n);
                if (r < 0)
                        return r;
        }
        XML_FOREACH(i, ids, "iothread")
                given++;
        n = MAX(n, given);
        if (n > IOTHREADS_MAX)
                return -ERANGE;
        if (n == 0)
                return 0;
        r = guest_set_iothreads(g, n);
        if (r < 0)
                return r;
        number_iothreads(ids, g, given);
        qsort(g->iothreads, g->n_iothreads, sizeof(*g->iothreads), compare_threads);
        return 0;
}

/* @t may be NULL: a pin of something that does not exist. */
static int read_pin(const xmlNode *node, GuestThread *t) {
        const char *cpuset = xml_attribute(node, "cpuset");
        int r;

        if (!cpuset)
                return -EBADMSG;
        if (!t || t->pinned)
                return 0;
        r = xml_parse_cpuset(cpuset, &t->pin);
        if (r < 0)
                return r;
        t->pinned = true;
        return 0;
}

static int read_pins(const xmlNode *cputune, Guest *g) {
        const xmlNode *emulator = xml_child(cputune, "emulatorpin");
        unsigned id;
        int r;

        XML_FOREACH(n, cputune, "vcpupin") {
                r = xml_attribute_unsigned(n, "vcpu", &id);
                if (r >= 0)
                        r = read_pin(n, id < g->n_vcpus ? &g->vcpus[id] : NULL);
                if (r < 0)
                        return r == -ENODATA ? -EBADMSG : r;
        }
        XML_FOREACH(n, cputune, "iothreadpin") {
                r = xml_attribute_unsigned(n, "iothread", &id);
                if (r >= 0)
                        r = read_pin(n, find_iothread(g, id));
                if (r < 0)
                        return r == -ENODATA ? -EBADMSG : r;
        }
        return emulator ? read_pin(emulator, &g->emulator) : 0;
}

int virt_xml_read_cpus(const xmlNode *domain, Guest *g) {
        int r;

        g->cpu_host_passthrough = xml_attribute_is(xml_child(domain, "cpu"), "mode", "host-passthrough");
        r = read_vcpus(domain, g);
        if (r < 0)
                return r;
        r = read_iothreads(domain, g);
        if (r < 0)
                return r;
        return read_pins(xml_child(domain, "cputune"), g);
}
