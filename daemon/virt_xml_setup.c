/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a guest is set up, for whoever looks after it; no decision rests on it, so
 * nothing here is an error. Devices are named that QEMU emulates register by
 * register where a paravirtual one does the same with a fraction of the exits.
 */
#include "virt_xml_internal.h"

#include <stdio.h>

static void set_word(char *ret, size_t size, const char *text) {
        (void)snprintf(ret, size, "%s", text ?: "");
}

static void read_cpu_model(const xmlNode *cpu, Guest *g) {
        const char *model = xml_text(xml_child(cpu, "model"));

        set_word(g->cpu_mode, sizeof(g->cpu_mode), !cpu ? "default" : xml_attribute(cpu, "mode") ?: "custom");
        set_word(g->cpu_model, sizeof(g->cpu_model), model ?: "none");
}

static void read_agent(const xmlNode *devices, Guest *g) {
        set_word(g->agent, sizeof(g->agent), "none");
        XML_FOREACH(n, devices, "channel") {
                const xmlNode *target = xml_child(n, "target");

                /* A guest that is not running has no state. */
                if (xml_attribute_is(target, "name", "org.qemu.guest_agent.0"))
                        set_word(g->agent, sizeof(g->agent), xml_attribute(target, "state") ?: "disconnected");
        }
}

static void add_device(Guest *g, const char *name) {
        size_t n = strlen(g->emulated_devices);

        if (!strstr(g->emulated_devices, name) && n + strlen(name) + 2 <= sizeof(g->emulated_devices))
                (void)snprintf(g->emulated_devices + n, sizeof(g->emulated_devices) - n, "%s%s", n > 0 ? " " : "", name);
}

static void read_devices(const xmlNode *devices, Guest *g) {
        static const char *const buses[] = { "ide", "sata" }, *const cards[] = { "e1000", "e1000e", "rtl8139", "pcnet" };

        XML_FOREACH(disk, devices, "disk")
                for (size_t i = 0; i < ELEMENTSOF(buses); i++)
                        /* Drives for installation media are none to worry about. */
                        if (xml_attribute_is(xml_child(disk, "target"), "bus", buses[i]) &&
                            !xml_attribute_is(disk, "device", "cdrom"))
                                add_device(g, buses[i]);
        XML_FOREACH(card, devices, "interface")
                for (size_t i = 0; i < ELEMENTSOF(cards); i++)
                        if (xml_attribute_is(xml_child(card, "model"), "type", cards[i]))
                                add_device(g, cards[i]);
        if (!*g->emulated_devices)
                set_word(g->emulated_devices, sizeof(g->emulated_devices), "none");
}

void virt_xml_read_setup(const xmlNode *domain, Guest *g) {
        const xmlNode *devices = xml_child(domain, "devices");

        set_word(g->accelerator, sizeof(g->accelerator), xml_attribute(domain, "type"));
        set_word(g->machine, sizeof(g->machine), xml_attribute(xml_child(xml_child(domain, "os"), "type"), "machine"));
        read_cpu_model(xml_child(domain, "cpu"), g);
        read_agent(devices, g);
        read_devices(devices, g);
}
