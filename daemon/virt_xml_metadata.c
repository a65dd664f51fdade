/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the metadata of a guest say to those who tune it: its class and its guaranteed memory. libvirt has an element
 * for the latter, <min_guarantee>, and refuses it for QEMU's guests; oVirt's engine writes it to metadata of its own,
 * from where vdsm hands it to MOM.
 *
 * A guarantee that cannot be read guarantees all of the guest's memory: what it may be brought down to is not known.
 */
#include "virt_xml_internal.h"

#include "../lib/parse.h"

#define OVIRT_VM_NAMESPACE "http://ovirt.org/vm/1.0"
#define OVIRT_UNIT MIB

static const xmlNode *find_element(const xmlNode *domain, const char *space, const char *name) {
        const xmlNode *metadata = xml_child(domain, "metadata");

        for (const xmlNode *n = metadata ? metadata->children : NULL; n; n = n->next)
                if (n->type == XML_ELEMENT_NODE && n->ns && streq((const char *)n->name, name) &&
                    streq((const char *)n->ns->href, space))
                        return n;
        return NULL;
}

static void guarantee(Guest *g, int r, uint64_t bytes) {
        g->min_guarantee_bytes = MAX(g->min_guarantee_bytes, r < 0 ? g->max_bytes : MIN(bytes, g->max_bytes));
}

static void read_our_guarantee(const xmlNode *guest, Guest *g) {
        const char *text = xml_attribute(guest, "min_guarantee");
        uint64_t bytes = 0;
        int r;

        if (!text)
                return;
        r = parse_size(text, &bytes);
        guarantee(g, r, bytes);
}

/* In MiB. Some versions of the engine write it with their namespace, others without one. */
static void read_ovirts_guarantee(const xmlNode *vm, Guest *g) {
        for (const xmlNode *n = vm ? vm->children : NULL; n; n = n->next) {
                uint64_t number = 0;
                int r;

                if (n->type != XML_ELEMENT_NODE || !streq((const char *)n->name, "minGuaranteedMemoryMb"))
                        continue;
                r = parse_u64(xml_text(n) ?: "", &number);
                guarantee(g, r, u64_muldiv(number, OVIRT_UNIT, 1));
        }
}

int virt_xml_read_metadata(const xmlNode *domain, Guest *g) {
        const xmlNode *guest = find_element(domain, KVMTUNED_XML_NAMESPACE, "guest");

        read_our_guarantee(guest, g);
        read_ovirts_guarantee(find_element(domain, OVIRT_VM_NAMESPACE, "vm"), g);
        return strdup_to(&g->class, xml_attribute(guest, "class"));
}
