/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Definitions of guests that are odd, and hostile: any client of libvirt may have
 * written one. What can be read is looked after; a guest whose definition makes no
 * sense is left alone until it does, and nobody else is the worse for it. One
 * daemon meets them all.
 */
#include <check.h>
#include <libvirt/libvirt.h>
#include <stdio.h>

#include "host.h"

#define NUMBER 200U

typedef enum Kind {
        BAD,                            /* left alone */
        GOOD,
        DEVICE,                         /* good; what it passes through holds its memory: no balloon is moved */
} Kind;

#define HOSTDEV(type, source) "<hostdev mode='subsystem' type='" type "'><source>" source "</source></hostdev>"
#define ADDRESS(text) HOSTDEV("pci", "<address " text "/>")
#define CELL(text) "<cpu><numa><cell " text "/></numa></cpu>"
#define NODE(text) CELL("id='0' cpus='0-3' memory='2097152'") "<numatune><memnode " text "/></numatune>"
#define NUMATUNE(text) "<numatune><memory " text "/></numatune>"
#define PIN(text) "<cputune>" text "</cputune>"

/*
 * A guest that may be everywhere needs no pin: those that are good belong on one of the two nodes.
 * @xml: before everything else in it, where the first of two elements counts; from '!' on all of it.
 */
static const struct { const char *name; Kind kind; const char *xml, *devices; } rows[] = {
        { "a PCI device", DEVICE, "", ADDRESS("domain='0x0000' bus='0x3b' slot='0x02' function='0x1'") },
        { "two", DEVICE, "", ADDRESS("bus='1' slot='2'") ADDRESS("bus='0x02' slot='03'") },
        { "no source", DEVICE, "", "<hostdev type='pci'/>" },
        { "no address", DEVICE, "", HOSTDEV("pci", "") },
        { "a domain that is no number", DEVICE, "", ADDRESS("domain='zz' bus='1' slot='2'") },
        { "a domain beyond all", DEVICE, "", ADDRESS("domain='0x100000000' bus='1' slot='2'") },
        { "a number beyond what a machine can count", DEVICE, "", ADDRESS("domain='99999999999999999999' bus='1' slot='2'") },
        { "a function too many", DEVICE, "", ADDRESS("bus='1' slot='2' function='8'") },
        { "a bus with a path in it", DEVICE, "", ADDRESS("bus='1/../..' slot='2'") },
        { "no slot", DEVICE, "", ADDRESS("bus='1'") },
        { "a slot below 0", DEVICE, "", ADDRESS("bus='1' slot='-1'") },
        { "an mdev", DEVICE, "", HOSTDEV("mdev", "<address uuid='c2177883-f1bb-47f0-914d-32a22e3a8804'/>") },
        { "an mdev with a path for a uuid", DEVICE, "", HOSTDEV("mdev", "<address uuid='../../../../etc'/>") },
        { "an mdev without one", DEVICE, "", HOSTDEV("mdev", "") },
        { "a USB device", GOOD, "", HOSTDEV("usb", "<vendor id='0x1'/>") },
        { "an interface that is a device", DEVICE, "",
          "<interface type='hostdev'><source><address bus='0x1' slot='0x2'/></source></interface>" },
        { "one from a pool", DEVICE, "", "<interface type='network'><actual type='hostdev'><source>"
          "<address bus='0x1' slot='0x2'/></source></actual></interface>" },
        { "vDPA", DEVICE, "", "<interface type='vdpa'/>" },
        { "a disk that is a device", DEVICE, "", "<disk type='nvme'><source><address bus='1' slot='2'/></source></disk>" },
        { "a vDPA disk", DEVICE, "", "<disk type='vhostvdpa'/>" },

        { "a cell", GOOD, CELL("id='0' cpus='0-3' memory='2097152' unit='KiB' memAccess='shared'"), "" },
        { "a cell of memory only, without an id", GOOD, CELL("memory='2097152'"), "" },
        { "no cells", GOOD, "<cpu><numa/></cpu>", "" },
        { "a cell without memory", BAD, CELL("id='0' cpus='0-3'"), "" },
        { "a cell with memory below 0", BAD, CELL("memory='-1'"), "" },
        { "a cell with all memory there is", BAD, CELL("memory='18446744073709551615' unit='EiB'"), "" },
        { "a cell in a unit of its own", BAD, CELL("memory='1' unit='acres'"), "" },
        { "a cell whose id is no number", BAD, CELL("id='x' memory='1'"), "" },
        { "a cell whose id is beyond all", BAD, CELL("id='99999999999' memory='1'"), "" },
        { "a cell with CPUs that end before they begin", BAD, CELL("cpus='4-2' memory='1'"), "" },
        { "a cell with CPUs of nobody", BAD, CELL("cpus='70000' memory='1'"), "" },
        { "a cell's nodes", GOOD, NODE("cellid='0' mode='preferred' nodeset='1'"), "" },
        { "a cell's nodes in libvirt's own mode", GOOD, NODE("cellid='0' nodeset='0'"), "" },
        { "nodes of a cell there is not", GOOD, NODE("cellid='7' mode='strict' nodeset='1'"), "" },
        { "nodes of no cell", BAD, NODE("mode='strict' nodeset='1'"), "" },
        { "nodes of a cell beyond all", BAD, NODE("cellid='99999999999' nodeset='1'"), "" },
        { "a cell without nodes", BAD, NODE("cellid='0' mode='strict'"), "" },
        { "a cell with nodes that are none", BAD, NODE("cellid='0' nodeset='a'"), "" },
        { "a cell in a mode of its own", BAD, NODE("cellid='0' mode='loose' nodeset='1'"), "" },
        { "numatune", GOOD, NUMATUNE("mode='interleave' nodeset='1'"), "" },
        { "numatune to nodes with spaces between them", GOOD, NUMATUNE("mode='interleave' nodeset=' 0 , 1 , ^0 '"), "" },
        { "numatune without a mode", GOOD, NUMATUNE("nodeset='0,^1'"), "" },
        { "numatune by an adviser", GOOD, NUMATUNE("mode='preferred' placement='auto'"), "" },
        { "numatune in no mode", BAD, NUMATUNE("mode='none' nodeset='0'"), "" },
        { "numatune by an adviser in a mode of its own", BAD, NUMATUNE("mode='x' placement='auto'"), "" },
        { "numatune to nothing", BAD, NUMATUNE("mode='strict' nodeset=''"), "" },
        { "numatune to half a range", BAD, NUMATUNE("mode='strict' nodeset='0-'"), "" },
        { "numatune to a range and more", BAD, NUMATUNE("mode='strict' nodeset='0-1;2'"), "" },

        { "no vCPUs said", GOOD, "<vcpus/>", "" },
        { "no vCPUs", BAD, "<vcpu>0</vcpu>", "" },
        { "an empty count of vCPUs", BAD, "<vcpu/>", "" },
        { "vCPUs that are no number", BAD, "<vcpu>four</vcpu>", "" },
        { "more vCPUs than there can be", BAD, "<vcpu>4097</vcpu>", "" },
        { "more vCPUs than can be counted", BAD, "<vcpu>4294967296</vcpu>", "" },
        { "a number of vCPUs plugged in that is none", BAD, "<vcpu current='x'>4</vcpu>", "" },
        { "vCPUs on CPUs that are none", BAD, "<vcpu cpuset='1-'>4</vcpu>", "" },
        { "vCPUs on all CPUs but one", GOOD, "<vcpu cpuset='0-8,^8' current='2'>4</vcpu>", "" },
        { "vCPUs that are plugged in together", GOOD, "<vcpus><vcpu id='0' enabled='yes' order='1'/><vcpu id='1' "
          "enabled='yes' order='1'/><vcpu id='2' enabled='no' order='2'/><vcpu id='77'/><vcpu/></vcpus>", "" },
        { "iothreads that are no number", BAD, "<iothreads>-1</iothreads>", "" },
        { "more iothreads than there can be", BAD, "<iothreads>4097</iothreads>", "" },
        { "iothreads with ids", GOOD, "<iothreads>3</iothreads><iothreadids><iothread id='3'/><iothread id='3'/>"
          "<iothread id='0'/></iothreadids>", "" },
        { "no iothreads", GOOD, "<iothreads>0</iothreads>", "" },
        { "a pin of no vCPU", BAD, PIN("<vcpupin cpuset='0'/>"), "" },
        { "a pin to nothing", BAD, PIN("<vcpupin vcpu='0'/>"), "" },
        { "a pin to CPUs that are none", BAD, PIN("<vcpupin vcpu='0' cpuset='x'/>"), "" },
        { "a pin of a vCPU there is not", GOOD, PIN("<vcpupin vcpu='77' cpuset='0'/>"), "" },
        { "a pin of a vCPU that is no number", BAD, PIN("<vcpupin vcpu='x' cpuset='0'/>"), "" },
        { "a pin of no iothread", BAD, PIN("<iothreadpin cpuset='0'/>"), "" },
        { "a pin of an iothread to CPUs that are none", BAD, PIN("<iothreadpin iothread='1' cpuset='-'/>"), "" },
        { "a pin of an emulator to nothing", BAD, PIN("<emulatorpin/>"), "" },

        { "no memory", BAD, "<memory/>", "" },
        { "memory that is no number", BAD, "<memory>lots</memory>", "" },
        { "memory in a unit that is none", BAD, "<memory unit='KKB'>1</memory>", "" },
        { "memory in powers of ten", GOOD, "<memory unit='GB'>2</memory>", "" },
        { "memory in bytes", GOOD, "<memory unit='bytes'>2147483648</memory>", "" },
        { "memory beyond what can be counted", BAD, "<memory unit='EiB'>16</memory>", "" },
        { "memory now that is no number", BAD, "<currentMemory>x</currentMemory>", "" },
        { "more memory now than ever", GOOD, "<currentMemory unit='TiB'>9</currentMemory>", "" },
        { "a limit that is none", BAD, "<memtune><hard_limit>x</hard_limit></memtune>", "" },
        { "huge pages of a size that is none", BAD, "<memoryBacking><hugepages><page size='x'/></hugepages></memoryBacking>", "" },
        { "huge pages of no size", BAD, "<memoryBacking><hugepages><page/></hugepages></memoryBacking>", "" },
        { "huge pages that are small", GOOD, "<memoryBacking><hugepages><page size='4'/></hugepages></memoryBacking>", "" },
        { "huge pages", GOOD, "<memoryBacking><hugepages><page size='2' unit='MiB'/></hugepages></memoryBacking>", "" },
        { "locked memory", GOOD, "<memoryBacking><locked/><nosharepages/><access mode='shared'/></memoryBacking>", "" },
        { "a balloon that reports every x seconds", BAD, "", "<memballoon model='virtio'><stats period='x'/></memballoon>" },
        { "a balloon that reports never", GOOD, "", "<memballoon model='virtio'/>" },
        { "no balloon", GOOD, "", "<memballoon model='none'/>" },

        { "slow devices and an agent", GOOD, "", "<disk><target bus='ide'/></disk><interface><model type='e1000'/></interface>"
          "<channel><target name='org.qemu.guest_agent.0' state='connected'/></channel>" },
        { "a title", GOOD, "<title>A <![CDATA[title]]></title>", "" },
        { "a class", GOOD, "<metadata><k:guest xmlns:k='https://kvmtuned.org/xmlns/guest/1' class='db'/></metadata>", "" },
        { "a guarantee that is none", GOOD, "<metadata><k:guest xmlns:k='https://kvmtuned.org/xmlns/guest/1' "
          "min_guarantee='much'/></metadata>", "" },
        { "a guarantee of oVirt's", GOOD, "<metadata><o:vm xmlns:o='http://ovirt.org/vm/1.0'><o:x/>"
          "<o:minGuaranteedMemoryMb>9</o:minGuaranteedMemoryMb></o:vm></metadata>", "" },
        { "a class of somebody else's", GOOD, "<metadata><k:guest xmlns:k='urn:x' class='db'/><guest/></metadata>", "" },
        { "no name", BAD, "<name/>", "" },
        { "another guest's uuid", BAD, "<uuid>00000002-1111-4111-8111-111111111111</uuid>", "" },
        { "a uuid that is none", BAD, "<uuid>x</uuid>", "" },
        { "nothing", BAD, "! ", "" },
        { "no XML", BAD, "!libvirt is busy", "" },
        { "half a document", BAD, "!<domain><name>odd</name>", "" },
        { "another document", BAD, "!<network><name>odd</name></network>", "" },
        { "a document of somebody else's", BAD, "!<domain xmlns='urn:x'><name>odd</name></domain>", "" },
        { "entities", BAD, "!<!DOCTYPE domain [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><domain><name>&b;</name></domain>", "" },
        { "a file of the host", BAD, "!<!DOCTYPE domain [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>"
          "<domain><name>&a;</name></domain>", "" },
};

static unsigned fetched(TestHost *h) {
        return h->world->rules[1].seen;
}

/* Its definition has been read since it was @before. */
static void wait_fetched(TestHost *h, unsigned before, const char *name) {
        for (unsigned left = 3000; left > 0 && fetched(h) == before && host_alive(h); left--)
                (void)usleep(10000);
        daemon_pass_cycles(h, 1);
        ck_assert_msg(fetched(h) > before, "%s: its definition was not read", name);
}

static void set_xml(WorldGuest *g, const char *xml, const char *devices) {
        (void)snprintf(g->xml, sizeof(g->xml), "%s", xml);
        (void)snprintf(g->devices_xml, sizeof(g->devices_xml), "%s", devices);
}

/* First as it is, then as it should be. */
static void meet(TestHost *h, WorldGuest *g, const char *name, Kind kind) {
        unsigned before = fetched(h);

        host_event(h, WORLD_LIFECYCLE, g->uuid, VIR_DOMAIN_EVENT_STARTED, 0);
        wait_fetched(h, before, name);
        for (unsigned left = 3000; kind != BAD && left > 0 && g->emulator_pin == 0; left--)
                (void)usleep(10000);
        ck_assert_msg(kind == BAD || g->emulator_pin != 0, "%s: it was not pinned\n%s", name, host_log_end(h));
        if (kind == BAD)
                ck_assert_msg(g->vcpu_pins[0] == 0 && g->emulator_pin == 0, "%s: it was pinned", name);
        if (kind == DEVICE) {
                daemon_pass_cycles(h, 2);
                ck_assert_msg(g->current_kib == g->max_kib, "%s: its balloon was moved", name);
        }
        set_xml(g, "", "");
        host_event(h, WORLD_METADATA, g->uuid, 0, 0);
        HOST_UNTIL(h, daemon_has_pinned(g));
}

START_TEST(odd_definitions) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        host_begin(&h, &before);
        host_policy(&h, "cpu: { policy = \"shared\"; }; balloon: { mode = \"target\"; target = \"75 %\"; step = \"50 %\"; };");
        daemon_begin(&h);
        (void)host_fail(&h, "call virDomainGetXMLDesc odd", 0, 0, 0);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                WorldGuest *g = host_guest_add(&h, "odd", NUMBER + (unsigned)i);

                set_xml(g, rows[i].xml, rows[i].devices);
                meet(&h, g, rows[i].name, rows[i].kind);
                daemon_guest_stop(&h, g, (int)i % 7);
        }
        daemon_heal(&h);
        daemon_check_works(&h, "after", 10);
        daemon_stop(&h, &before, "odd definitions");
}
END_TEST

/* What libvirt keeps for itself about a guest that an adviser was asked for: as hostile, and of less use. */
static const char *const status_rows[] = {
        "", "<domain/>", "<domstatus/>", "<domstatus state='x' pid='y'><domain/></domstatus>",
#define STATUS(attributes, numad)                                                                                 \
        "<domstatus " attributes ">" numad "<domain><name>advised</name><uuid>%s</uuid><memory>1</memory></domain></domstatus>"
        STATUS("pid='x'", ""), STATUS("pid='-1'", ""), STATUS("pid='4294967295'", ""), STATUS("pid='99999999999'", ""),
        STATUS("state='running'", ""), STATUS("state='?'", "<numad nodeset='x'/>"), STATUS("", "<numad nodeset='9-1'/>"),
        STATUS("", "<numad nodeset='0'/>"),
#undef STATUS
        "<domstatus><numad nodeset='0'/><domain><name>a</name><uuid>00000001-1111-4111-8111-111111111111</uuid>"
        "<memory>1</memory></domain></domstatus>",
};

START_TEST(odd_status_files) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        daemon_start(&h, &before);
        for (size_t i = 0; i < ELEMENTSOF(status_rows); i++) {
                WorldGuest *g = host_guest_add(&h, "advised", NUMBER + (unsigned)i);
                char text[512], *at = strstr(status_rows[i], "%s");

                set_xml(g, NUMATUNE("mode='restrictive' placement='auto'"), "");
                (void)snprintf(text, sizeof(text), "%.*s%s%s", at ? (int)(at - status_rows[i]) : 0, status_rows[i],
                               at ? g->uuid : status_rows[i], at ? at + 2 : "");
                host_write(&h, "run/libvirt/qemu/advised.xml", text);
                host_event(&h, WORLD_LIFECYCLE, g->uuid, VIR_DOMAIN_EVENT_STARTED, 0);
                HOST_UNTIL(&h, daemon_has_pinned(g));
                daemon_guest_stop(&h, g, 0);
        }
        host_remove(&h, "run/libvirt/qemu/advised.xml");
        daemon_check_works(&h, "after", 10);
        daemon_stop(&h, &before, "odd status files");
}
END_TEST

/* States that libvirt may say, with every reason; 0: whatever it says. */
START_TEST(guests_in_every_state) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        WorldGuest *g;

        daemon_start(&h, &before);
        (void)host_fail(&h, "call virDomainGetState odd", 0, 0, 0);
        g = daemon_guest_start(&h, "odd", NUMBER);
        HOST_UNTIL(&h, daemon_has_pinned(g));
        for (int state = 1; state < 9; state++)
                for (int reason = 0; reason < 12; reason++) {
                        unsigned seen = fetched(&h);

                        g->state = state;
                        g->reason = reason;
                        g->migrating = reason % 2 == 1;
                        host_event(&h, WORLD_JOB_COMPLETED, g->uuid, 0, 0);
                        HOST_UNTIL(&h, fetched(&h) > seen);
                }
        g->state = g->reason = 0;
        g->migrating = false;
        host_event(&h, WORLD_LIFECYCLE, g->uuid, VIR_DOMAIN_EVENT_RESUMED, VIR_DOMAIN_EVENT_RESUMED_MIGRATED);
        HOST_UNTIL(&h, daemon_has_pinned(g));
        daemon_guest_stop(&h, g, 0);
        daemon_check_works(&h, "after", 10);
        daemon_stop(&h, &before, "guests in every state");
}
END_TEST

int main(void) {
        Suite *s = suite_create("xml");
        TCase *tc = tcase_create("xml");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 240);
        tcase_add_test(tc, odd_definitions);
        tcase_add_test(tc, odd_status_files);
        tcase_add_test(tc, guests_in_every_state);
        suite_add_tcase(s, tc);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed > 0;
}
