/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Devices that the kernel gives the guest's memory to, and which pin it: VFIO
 * in its guises, and vDPA. Of those with a PCI address or an mdev uuid that is
 * kept, as text that becomes part of a path: it is made here from numbers and
 * checked digits, never copied. A vDPA device is known by a node in /dev only.
 */
#include "virt_xml_internal.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>

/* Room of an address: "0000:3b:00.0", domains have up to eight digits (Intel VMD). */
#define PCI_BUS_MAX 0xffU
#define PCI_SLOT_MAX 0x1fU
#define PCI_FUNCTION_MAX 7U

/* libvirt writes hexadecimal with 0x and reads any base of C. */
static bool read_number(const xmlNode *node, const char *name, unsigned max, unsigned *ret) {
        const char *text = xml_attribute(node, name);
        unsigned long v;
        char *end;

        if (!text || !isdigit((unsigned char)*text))
                return false;
        errno = 0;
        v = strtoul(text, &end, 0);
        if (errno != 0 || *end != 0 || v > max)
                return false;
        *ret = (unsigned)v;
        return true;
}

static int append(Guest *g, const char *text) {
        if (!g->vfio_devices)
                return strdup_to(&g->vfio_devices, text);
        return strprintf_to(&g->vfio_devices, "%s %s", g->vfio_devices, text);
}

/* @source: the element around <address>. An address that makes no sense is none. */
static int read_pci(const xmlNode *source, Guest *g) {
        const xmlNode *address = xml_child(source, "address");
        unsigned domain = 0, bus, slot, function = 0;
        _cleanup_free_ char *text = NULL;
        int r;

        if (xml_attribute(address, "domain") && !read_number(address, "domain", UINT_MAX, &domain))
                return 0;
        if (xml_attribute(address, "function") && !read_number(address, "function", PCI_FUNCTION_MAX, &function))
                return 0;
        if (!read_number(address, "bus", PCI_BUS_MAX, &bus) || !read_number(address, "slot", PCI_SLOT_MAX, &slot))
                return 0;
        r = strprintf_to(&text, "%04x:%02x:%02x.%x", domain, bus, slot, function);
        return r < 0 ? r : append(g, text);
}

static int read_mdev(const xmlNode *source, Guest *g) {
        const char *uuid = xml_attribute(xml_child(source, "address"), "uuid");

        return uuid && xml_is_uuid(uuid) ? append(g, uuid) : 0;
}

static int read_hostdevs(const xmlNode *devices, Guest *g) {
        int r = 0;

        XML_FOREACH(n, devices, "hostdev") {
                bool mdev = xml_attribute_is(n, "type", "mdev");

                if (!mdev && !xml_attribute_is(n, "type", "pci"))
                        continue;
                g->vfio = true;
                r = mdev ? read_mdev(xml_child(n, "source"), g) : read_pci(xml_child(n, "source"), g);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* An interface from a network's pool of devices says so in <actual>. */
static int read_interfaces(const xmlNode *devices, Guest *g) {
        int r = 0;

        XML_FOREACH(n, devices, "interface") {
                const xmlNode *actual = xml_child(n, "actual");

                if (xml_attribute_is(n, "type", "vdpa"))
                        g->vfio = true;
                if (!xml_attribute_is(n, "type", "hostdev") && !xml_attribute_is(actual, "type", "hostdev"))
                        continue;
                g->vfio = true;
                r = read_pci(xml_child(xml_attribute_is(n, "type", "hostdev") ? n : actual, "source"), g);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_disks(const xmlNode *devices, Guest *g) {
        int r = 0;

        XML_FOREACH(n, devices, "disk") {
                if (xml_attribute_is(n, "type", "vhostvdpa"))
                        g->vfio = true;
                if (!xml_attribute_is(n, "type", "nvme"))
                        continue;
                g->vfio = true;
                r = read_pci(xml_child(n, "source"), g);
                if (r < 0)
                        return r;
        }
        return 0;
}

int virt_xml_read_vfio(const xmlNode *devices, Guest *g) {
        int r;

        r = read_hostdevs(devices, g);
        if (r < 0)
                return r;
        r = read_interfaces(devices, g);
        if (r < 0)
                return r;
        return read_disks(devices, g);
}
