/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Domain XML to Guest. Of an element that should occur once, the first counts,
 * as in libvirt. What only describes (a pin of a vCPU that does not exist) is
 * passed over; what a decision rests on (sizes, sets) must be right.
 *
 * Without XML_PARSE_NOENT libxml2 expands no entities, and a document that
 * declares any (a DTD) is refused: libvirt writes none.
 */
#include "virt_xml_internal.h"

#include <libxml/parser.h>
#include <pthread.h>

#define XML_SIZE_MAX (4 * MIB)

/* The parser's first use must not be two threads'. */
static void init_once(void) {
        static pthread_once_t once = PTHREAD_ONCE_INIT;

        (void)pthread_once(&once, xmlInitParser);
}

static void doc_freep(xmlDoc **doc) {
        xmlFreeDoc(*doc);
}

static int new_guest(const xmlNode *domain, Guest **ret) {
        const char *name = xml_text(xml_child(domain, "name")), *uuid = xml_text(xml_child(domain, "uuid"));

        if (!name || !*name || !uuid || !xml_is_uuid(uuid))
                return -EBADMSG;
        return guest_new(name, uuid, ret);
}

/* libvirt leaves out what is unlimited. */
static int read_memtune(const xmlNode *memtune, Guest *g) {
        const struct { const char *name; uint64_t *bytes; } limits[] = {
                { "min_guarantee", &g->min_guarantee_bytes },
                { "hard_limit", &g->hard_limit_bytes },
                { "swap_hard_limit", &g->swap_hard_limit_bytes },
                { "soft_limit", &g->soft_limit_bytes },
        };

        for (size_t i = 0; i < ELEMENTSOF(limits); i++) {
                const xmlNode *limit = xml_child(memtune, limits[i].name);
                int r;

                r = limit ? xml_memory(limit, limits[i].bytes) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_memory(const xmlNode *domain, Guest *g) {
        const xmlNode *current = xml_child(domain, "currentMemory");
        int r;

        r = xml_memory(xml_child(domain, "memory"), &g->max_bytes);
        if (r < 0)
                return r;
        g->current_bytes = g->max_bytes;
        if (current) {
                r = xml_memory(current, &g->current_bytes);
                if (r < 0)
                        return r;
                /* libvirt repeats what the guest says of its balloon. */
                g->current_bytes = MIN(g->current_bytes, g->max_bytes);
        }
        return read_memtune(xml_child(domain, "memtune"), g);
}

/*
 * Without <page> it is the host's default size. Of several (one for each guest
 * node) the first counts. The size of ordinary pages means ordinary pages, as in libvirt.
 */
static int read_hugepages(const xmlNode *hugepages, Guest *g) {
        const xmlNode *page = xml_child(hugepages, "page");
        int r;

        g->hugepages = hugepages != NULL;
        if (!page)
                return 0;
        r = xml_scale_memory(xml_attribute(page, "size"), xml_attribute(page, "unit"), &g->hugepage_bytes);
        if (r < 0)
                return r;
        if (g->hugepage_bytes != (uint64_t)sysconf(_SC_PAGESIZE))
                return 0;
        g->hugepages = false;
        g->hugepage_bytes = 0;
        return 0;
}

static int read_memory_backing(const xmlNode *domain, Guest *g) {
        const xmlNode *backing = xml_child(domain, "memoryBacking"), *source = xml_child(backing, "source");

        /* Memory of an encrypted guest is pinned for its lifetime. */
        g->locked = xml_child(backing, "locked") || xml_child(domain, "launchSecurity");
        g->nosharepages = xml_child(backing, "nosharepages") != NULL;
        g->shared_memory = xml_attribute_is(xml_child(backing, "access"), "mode", "shared") ||
                           xml_attribute_is(source, "type", "file") || xml_attribute_is(source, "type", "memfd");
        return read_hugepages(xml_child(backing, "hugepages"), g);
}

static int read_balloon(const xmlNode *devices, Guest *g) {
        const xmlNode *balloon = xml_child(devices, "memballoon");
        const char *model = xml_attribute(balloon, "model");
        unsigned period;
        int r;

        g->balloon_device = model && startswith(model, "virtio");
        g->free_page_reporting = g->balloon_device && xml_attribute_is(balloon, "freePageReporting", "on");
        r = xml_attribute_unsigned(xml_child(balloon, "stats"), "period", &period);
        if (r == -ENODATA)
                return 0;
        if (r < 0)
                return r;
        g->stats_period_sec = period;
        return 0;
}

static int read_domain(const xmlNode *domain, Guest *g) {
        const xmlNode *devices = xml_child(domain, "devices");
        int r;

        r = strdup_to(&g->title, xml_text(xml_child(domain, "title")));
        if (r < 0)
                return r;
        r = read_memory(domain, g);
        if (r < 0)
                return r;
        r = virt_xml_read_metadata(domain, g);
        if (r < 0)
                return r;
        r = read_memory_backing(domain, g);
        if (r < 0)
                return r;
        r = virt_xml_read_cpus(domain, g);
        if (r < 0)
                return r;
        r = virt_xml_read_numa(domain, g);
        if (r < 0)
                return r;
        r = virt_xml_read_vfio(devices, g);
        if (r < 0)
                return r;
        virt_xml_read_setup(domain, g);
        return read_balloon(devices, g);
}

/* *ret_root: its only element, called @name. */
static int parse_document(const char *xml, size_t size, const char *name, xmlDoc **ret, const xmlNode **ret_root) {
        _cleanup_(doc_freep) xmlDoc *doc = NULL;
        const xmlNode *root;

        if (size > XML_SIZE_MAX)
                return -ERANGE;
        init_once();
        doc = xmlReadMemory(xml, (int)size, "domain.xml", NULL,
                            XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA);
        if (!doc) {
                const xmlError *error = xmlGetLastError();

                return error && error->code == XML_ERR_NO_MEMORY ? -ENOMEM : -EBADMSG;
        }
        root = xmlDocGetRootElement(doc);
        if (doc->intSubset || doc->extSubset || !root || root->ns || !streq((const char *)root->name, name))
                return -EBADMSG;
        *ret = TAKE_PTR(doc);
        *ret_root = root;
        return 0;
}

static int guest_from_domain(const xmlNode *domain, Guest **ret) {
        _cleanup_(guest_freep) Guest *g = NULL;
        int r;

        r = new_guest(domain, &g);
        if (r < 0)
                return r;
        r = read_domain(domain, g);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(g);
        return 0;
}

int guest_from_xml(const char *xml, size_t size, Guest **ret) {
        _cleanup_(doc_freep) xmlDoc *doc = NULL;
        const xmlNode *domain;
        int r;

        r = parse_document(xml, size, "domain", &doc, &domain);
        if (r < 0)
                return r;
        return guest_from_domain(domain, ret);
}

/* <domstatus state='running' pid='4711'> ... <numad nodeset='1' cpuset='4-7'/> ... <domain> */
static int read_status(const xmlNode *status, Guest *g) {
        const char *state = xml_attribute(status, "state");
        const char *nodes = xml_attribute(xml_child(status, "numad"), "nodeset");
        GuestState known = state ? guest_state_from_string(state) : _GUEST_STATE_INVALID;
        unsigned pid = 0;
        int r;

        if (known >= 0)
                g->state = known;
        r = xml_attribute_unsigned(status, "pid", &pid);
        if (r < 0 && r != -ENODATA)
                return r;
        if (pid > INT32_MAX)
                return -ERANGE;
        g->pid = (int32_t)pid;
        return nodes ? xml_parse_cpuset(nodes, &g->advised_nodes) : 0;
}

int guest_from_status_xml(const char *xml, size_t size, Guest **ret) {
        _cleanup_(doc_freep) xmlDoc *doc = NULL;
        _cleanup_(guest_freep) Guest *g = NULL;
        const xmlNode *status, *domain;
        int r;

        r = parse_document(xml, size, "domstatus", &doc, &status);
        if (r < 0)
                return r;
        domain = xml_child(status, "domain");
        if (!domain)
                return -EBADMSG;
        r = guest_from_domain(domain, &g);
        if (r < 0)
                return r;
        r = read_status(status, g);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(g);
        return 0;
}
