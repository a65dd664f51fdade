/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's live XML. */
#include "preload.h"
#include "preload_virt.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XML_MAX 4096U
#define BITS 64U

void fake_format_mask(uint64_t mask, char *ret, size_t size) {
        size_t n = 0;

        ret[0] = '\0';
        for (unsigned i = 0; i < BITS && n < size; i++) {
                unsigned first = i;

                if ((mask >> i & 1U) == 0)
                        continue;
                while (i + 1 < BITS && (mask >> (i + 1) & 1U) != 0)
                        i++;
                n += (size_t)snprintf(ret + n, size - n, i > first ? "%s%u-%u" : "%s%u", n > 0 ? "," : "", first, i);
        }
}

uint64_t fake_parse_mask(const char *text) {
        uint64_t mask = 0;

        while (*text) {
                char *end;
                unsigned long first = strtoul(text, &end, 10), last = first;

                if (*end == '-')
                        last = strtoul(end + 1, &end, 10);
                for (; first <= last && first < BITS; first++)
                        mask |= UINT64_C(1) << first;
                text = *end == ',' ? end + 1 : "";
        }
        return mask;
}

typedef struct Text {
        char *p;
        size_t n;
} Text;

__attribute__((format(printf, 2, 3))) static void add(Text *t, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        t->n += (size_t)vsnprintf(t->p + t->n, XML_MAX - t->n, format, ap);
        va_end(ap);
        if (t->n >= XML_MAX)
                abort();
}

static void add_set(Text *t, const char *before, uint64_t mask, const char *after) {
        char set[64];

        fake_format_mask(mask, set, sizeof(set));
        add(t, "%s%s%s", before, set, after);
}

static void add_vcpus(Text *t, const WorldGuest *g) {
        add(t, "<vcpu placement='%s' current='%u'>%u</vcpu><vcpus>", g->defined_auto ? "auto" : "static", g->online,
            g->vcpus);
        for (unsigned i = 0; i < g->vcpus; i++)
                add(t, "<vcpu id='%u' enabled='%s' hotpluggable='%s'/>", i, i < g->online ? "yes" : "no",
                    i > 0 ? "yes" : "no");
        add(t, "</vcpus><iothreads>%u</iothreads>", g->iothreads);
}

static void add_cputune(Text *t, const WorldGuest *g) {
        char before[64];

        add(t, "<cputune>");
        for (unsigned i = 0; i < g->vcpus; i++) {
                (void)snprintf(before, sizeof(before), "<vcpupin vcpu='%u' cpuset='", i);
                if (g->vcpu_pins[i] != 0)
                        add_set(t, before, g->vcpu_pins[i], "'/>");
        }
        if (g->emulator_pin != 0)
                add_set(t, "<emulatorpin cpuset='", g->emulator_pin, "'/>");
        for (unsigned i = 1; i <= g->iothreads; i++) {
                (void)snprintf(before, sizeof(before), "<iothreadpin iothread='%u' cpuset='", i);
                if (g->iothread_pins[i] != 0)
                        add_set(t, before, g->iothread_pins[i], "'/>");
        }
        add(t, "</cputune>");
}

static void add_memory(Text *t, const WorldGuest *g, bool definition) {
        static const char *const limits[WORLD_LIMITS] = { "hard_limit", "swap_hard_limit", "soft_limit" };

        add(t, "<memory unit='KiB'>%llu</memory><currentMemory unit='KiB'>%llu</currentMemory><memtune>",
            (unsigned long long)g->max_kib, (unsigned long long)g->current_kib);
        for (unsigned i = 0; i < WORLD_LIMITS; i++)
                if (g->limits_kib[i] != 0)
                        add(t, "<%s unit='KiB'>%llu</%s>", limits[i], (unsigned long long)g->limits_kib[i], limits[i]);
        add(t, "</memtune>");
        if (g->nodeset_auto || (definition && g->defined_auto))
                add(t, "<numatune><memory mode='restrictive' placement='auto'/></numatune>");
        else if (g->nodeset != 0)
                add_set(t, "<numatune><memory mode='restrictive' nodeset='", g->nodeset, "'/></numatune>");
}

char *fake_xml(const WorldGuest *g, bool definition) {
        Text t = { .p = malloc(XML_MAX) };

        if (!t.p)
                return NULL;
        if (g->xml[0] == '!') {
                add(&t, "%s", g->xml + 1);
                return t.p;
        }
        add(&t, "<domain type='kvm' id='%d'>%s<name>%s</name><uuid>%s</uuid>", g->id, g->xml, g->name, g->uuid);
        if (g->bad_xml)
                return t.p;
        add_memory(&t, g, definition);
        add_vcpus(&t, g);
        add_cputune(&t, g);
        add(&t, "<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os><devices>%s<memballoon model='virtio'>",
            g->devices_xml);
        add(&t, "<stats period='%u'/></memballoon></devices></domain>", g->stats_period);
        return t.p;
}
