/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domain XML as libvirt and its users write it, and as an attacker might. */
#include "../../daemon/virt_xml.h"
#include "../../lib/sysfs.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>

#define FIXTURES "tests/fixtures/domains"
#define UUID "00000000-0000-4000-8000-00000000000a"

/* Tests run in the project's folder. */
static Guest *load(const char *name) {
        _cleanup_close_ int fd = sysfs_open_root(FIXTURES);
        _cleanup_free_ char *xml = NULL;
        Guest *g = NULL;
        size_t size;

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(sysfs_read(fd, name, &xml, &size), 0);
        ck_assert_int_eq(guest_from_xml(xml, size, &g), 0);
        return g;
}

static void ck_set(const IdSet *set, const char *want) {
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(idset_format(set, &text), 0);
        ck_assert_str_eq(text, want);
}

START_TEST(test_full_domain_identity_and_memory) {
        _cleanup_(guest_freep) Guest *g = load("full.xml");

        ck_assert_str_eq(g->name, "db-1");
        ck_assert_str_eq(g->uuid, "4dea22b3-1d52-d8f3-2516-782e98ab3fa0");
        ck_assert_str_eq(g->title, "Orders & invoices");
        ck_assert_str_eq(g->class, "db");
        ck_assert_uint_eq(g->max_bytes, 8 * GIB);
        ck_assert_uint_eq(g->current_bytes, 6 * GIB);
        ck_assert_uint_eq(g->min_guarantee_bytes, 2 * GIB);
        ck_assert_uint_eq(g->hard_limit_bytes, 10 * GIB);
        ck_assert_uint_eq(g->swap_hard_limit_bytes, 12 * GIB);
        ck_assert_uint_eq(g->soft_limit_bytes, 0);
        ck_assert(g->hugepages && g->nosharepages && g->locked && g->shared_memory && g->vfio);
        ck_assert_uint_eq(g->hugepage_bytes, 2 * MIB);
        ck_assert(g->balloon_device);
        ck_assert_uint_eq(g->stats_period_sec, 5);
        ck_assert(g->cpu_host_passthrough);
}
END_TEST

START_TEST(test_full_domain_cpus) {
        static const bool online[] = { true, true, false, true, false, true };
        _cleanup_(guest_freep) Guest *g = load("full.xml");

        ck_assert_uint_eq(g->n_vcpus, 6);
        for (size_t i = 0; i < 6; i++) {
                ck_assert_uint_eq(g->vcpus[i].id, i);
                ck_assert_msg(g->vcpus[i].online == online[i], "vCPU %zu", i);
                ck_assert_msg(g->vcpus[i].hotpluggable == (i > 0), "vCPU %zu", i);
        }
        ck_assert(g->vcpu_cpuset_set && !g->vcpu_placement_auto);
        ck_set(&g->vcpu_cpuset, "0-2,4-7");
        ck_assert(g->vcpus[0].pinned && !g->vcpus[1].pinned && g->vcpus[5].pinned);
        ck_set(&g->vcpus[0].pin, "0-1");
        ck_set(&g->vcpus[5].pin, "4");
        ck_assert(g->emulator.pinned);
        ck_set(&g->emulator.pin, "0-1");
        ck_assert_uint_eq(g->n_iothreads, 3);
        ck_assert_uint_eq(g->iothreads[0].id, 1);
        ck_assert_uint_eq(g->iothreads[1].id, 2);
        ck_assert_uint_eq(g->iothreads[2].id, 4);
        ck_assert(!g->iothreads[0].pinned && g->iothreads[1].pinned && !g->iothreads[2].pinned);
        ck_set(&g->iothreads[1].pin, "6");
}
END_TEST

static const struct {
        const char *backing;
        bool hugepages;
        uint64_t bytes;
} hugepage_rows[] = {
        { "", false, 0 },
        { "<hugepages/>", true, 0 },
        { "<hugepages><page size='2048' unit='KiB'/></hugepages>", true, 2 * MIB },
        { "<hugepages><page size='2048'/></hugepages>", true, 2 * MIB },
        { "<hugepages><page size='1' unit='G' nodeset='0'/><page size='2' unit='M' nodeset='1'/></hugepages>", true, GIB },
        { "<hugepages><page size='4' unit='KiB'/></hugepages>", false, 0 },
};

START_TEST(test_size_of_huge_pages) {
        bool ordinary_is_4k = sysconf(_SC_PAGESIZE) == 4096;
        _cleanup_(guest_freep) Guest *g = NULL;
        char xml[1024];
        int n;

        n = snprintf(xml, sizeof(xml), "<domain><name>g</name><uuid>" UUID "</uuid><memory>1</memory><memoryBacking>%s"
                     "</memoryBacking></domain>", hugepage_rows[_i].backing);
        ck_assert_int_eq(guest_from_xml(xml, (size_t)n, &g), 0);
        if (!ordinary_is_4k && strstr(hugepage_rows[_i].backing, "'4'"))
                return;
        ck_assert_msg(g->hugepages == hugepage_rows[_i].hugepages, "%s", hugepage_rows[_i].backing);
        ck_assert_uint_eq(g->hugepage_bytes, hugepage_rows[_i].bytes);
}
END_TEST

#define MDEV "c2177883-f1bb-47f0-914d-32a22e3a8804"
#define AT(bus) "<address domain='0x0000' bus='" bus "' slot='0x1f' function='0x7'/>"

static const struct {
        const char *devices, *want;
} device_rows[] = {
        { "<hostdev type='pci'><source>" AT("0x3b") "</source></hostdev>", "0000:3b:1f.7" },
        { "<hostdev type='mdev'><source><address uuid='" MDEV "'/></source></hostdev>", MDEV },
        { "<interface type='hostdev'><source>" AT("0x3b") "</source></interface>", "0000:3b:1f.7" },
        { "<interface type='network'><actual type='hostdev'><source>" AT("1") "</source></actual></interface>",
          "0000:01:1f.7" },
        { "<disk type='nvme'><source type='pci' namespace='1'>" AT("0x02") "</source></disk>", "0000:02:1f.7" },
        { "<hostdev type='pci'><source><address domain='0x10000' bus='255' slot='0'/></source></hostdev>",
          "10000:ff:00.0" },
        { "<hostdev type='pci'><source>" AT("1") "</source></hostdev>"
          "<hostdev type='usb'><source>" AT("2") "</source></hostdev>"
          "<disk type='nvme'><source>" AT("3") "</source></disk>", "0000:01:1f.7 0000:03:1f.7" },
        { "<hostdev type='pci'/>", NULL },
        { "<hostdev type='pci'><source>" AT("0x100") "</source></hostdev>", NULL },
        { "<hostdev type='pci'><source>" AT("-1") "</source></hostdev>", NULL },
        { "<hostdev type='pci'><source>" AT("../..") "</source></hostdev>", NULL },
        { "<hostdev type='pci'><source>" AT("0x3b ") "</source></hostdev>", NULL },
        { "<hostdev type='pci'><source><address domain='0x1ffffffff' bus='1' slot='1'/></source></hostdev>", NULL },
        { "<hostdev type='mdev'><source><address uuid='../../../../etc/passwd'/></source></hostdev>", NULL },
        { "<interface type='vdpa'><source dev='/dev/vhost-vdpa-0'/></interface>", NULL },
};

/* What makes no path in /sys is left out; that a device holds the memory stands nevertheless. */
START_TEST(test_address_of_a_passed_through_device) {
        _cleanup_(guest_freep) Guest *g = NULL;
        char xml[2048];
        int n;

        n = snprintf(xml, sizeof(xml), "<domain><name>g</name><uuid>" UUID "</uuid><memory>1</memory><devices>%s"
                     "</devices></domain>", device_rows[_i].devices);
        ck_assert_int_eq(guest_from_xml(xml, (size_t)n, &g), 0);
        ck_assert_msg(streq_ptr(g->vfio_devices, device_rows[_i].want), "%s: %s", device_rows[_i].devices,
                      g->vfio_devices);
        ck_assert(g->vfio);
}
END_TEST

START_TEST(test_full_domain_numa) {
        _cleanup_(guest_freep) Guest *g = load("full.xml");

        ck_assert_int_eq(g->numatune_mode, NUMATUNE_PREFERRED);
        ck_set(&g->numatune_nodes, "1");
        ck_assert_uint_eq(g->n_cells, 2);
        ck_assert_uint_eq(g->cells[0].memory_bytes, 4 * GIB);
        ck_assert_uint_eq(g->cells[1].memory_bytes, 4 * GIB);
        ck_set(&g->cells[1].vcpus, "3-5");
        ck_assert_int_eq(g->cells[0].mode, NUMATUNE_STRICT);
        ck_assert_int_eq(g->cells[1].mode, NUMATUNE_RESTRICTIVE);
        ck_set(&g->cells[1].nodeset, "1-2");
}
END_TEST

START_TEST(test_minimal_domain_has_libvirts_defaults) {
        _cleanup_(guest_freep) Guest *g = load("minimal.xml");

        ck_assert_uint_eq(g->max_bytes, 64 * MIB);
        ck_assert_uint_eq(g->current_bytes, 64 * MIB);
        ck_assert_uint_eq(g->n_vcpus, 1);
        ck_assert(g->vcpus[0].online && !g->vcpus[0].pinned && !g->emulator.pinned);
        ck_assert_uint_eq(g->n_iothreads, 0);
        ck_assert_int_eq(g->numatune_mode, NUMATUNE_NONE);
        ck_assert_ptr_null(g->class);
        ck_assert_ptr_null(g->title);
        ck_assert(!g->balloon_device && !g->vfio && !g->locked && !g->hugepages && !g->shared_memory);
        ck_assert_uint_eq(g->rss_bytes, UNKNOWN_U64);
        ck_assert_uint_eq(g->stats.age_usec, UNKNOWN_U64);
}
END_TEST

/* @xml between <name>, <uuid> and <memory> of one GiB, and the end. */
static int parse(const char *xml, Guest **ret) {
        static char text[1 << 16];
        int n;

        n = snprintf(text, sizeof(text),
                     "<domain><name>g</name><uuid>" UUID "</uuid><memory unit='GiB'>1</memory>%s</domain>", xml);
        return guest_from_xml(text, (size_t)n, ret);
}

#define OURS(attributes) "<metadata><k:guest xmlns:k='" KVMTUNED_XML_NAMESPACE "' " attributes "/></metadata>"
#define OVIRTS(text) "<metadata><o:vm xmlns:o='http://ovirt.org/vm/1.0'>" text "</o:vm></metadata>"

static const struct {
        const char *xml;
        uint64_t bytes;
} guarantee_rows[] = {
        { OURS("class='db'"), 0 },
        { OURS("min_guarantee='256 MiB'"), 256 * MIB },
        { OURS("min_guarantee='256 MiB'") "<memtune><min_guarantee unit='MiB'>300</min_guarantee></memtune>",
          300 * MIB },
        { OURS("min_guarantee='256 MiB'") "<memtune><min_guarantee unit='MiB'>200</min_guarantee></memtune>",
          256 * MIB },
        { OVIRTS("<o:minGuaranteedMemoryMb type='int'>512</o:minGuaranteedMemoryMb>"), 512 * MIB },
        { OVIRTS("<minGuaranteedMemoryMb type='int'>512</minGuaranteedMemoryMb>"), 512 * MIB },
        { OVIRTS("<o:minGuaranteedMemoryMb type='int'>0</o:minGuaranteedMemoryMb>"), 0 },
        { OVIRTS("<o:custom><o:minGuaranteedMemoryMb>512</o:minGuaranteedMemoryMb></o:custom>"), 0 },
        { "<metadata><vm><minGuaranteedMemoryMb>512</minGuaranteedMemoryMb></vm></metadata>", 0 },
        { "<metadata><guest min_guarantee='256 MiB'/></metadata>", 0 },
        /* Not to be understood: all of its memory. */
        { OURS("min_guarantee='256'"), GIB },
        { OURS("min_guarantee=''"), GIB },
        { OURS("min_guarantee='-1 MiB'"), GIB },
        { OVIRTS("<o:minGuaranteedMemoryMb/>"), GIB },
        { OVIRTS("<o:minGuaranteedMemoryMb>half</o:minGuaranteedMemoryMb>"), GIB },
        { OVIRTS("<o:minGuaranteedMemoryMb>18446744073709551615</o:minGuaranteedMemoryMb>"), GIB },
};

START_TEST(test_guaranteed_memory_is_in_the_metadata) {
        _cleanup_(guest_freep) Guest *g = NULL;

        ck_assert_int_eq(parse(guarantee_rows[_i].xml, &g), 0);
        ck_assert_msg(g->min_guarantee_bytes == guarantee_rows[_i].bytes, "%s: %llu", guarantee_rows[_i].xml,
                      (unsigned long long)g->min_guarantee_bytes);
}
END_TEST

static const struct {
        const char *xml;
        size_t offset;
} flag_rows[] = {
        { "<devices><hostdev type='mdev'/></devices>", offsetof(Guest, vfio) },
        { "<devices><interface type='hostdev'/></devices>", offsetof(Guest, vfio) },
        { "<devices><interface type='network'><actual type='hostdev'/></interface></devices>",
          offsetof(Guest, vfio) },
        { "<devices><interface type='vdpa'/></devices>", offsetof(Guest, vfio) },
        { "<devices><disk type='nvme'/></devices>", offsetof(Guest, vfio) },
        { "<devices><memballoon model='virtio-non-transitional'/></devices>", offsetof(Guest, balloon_device) },
        { "<devices><memballoon model='virtio' freePageReporting='on'/></devices>",
          offsetof(Guest, free_page_reporting) },
        { "<launchSecurity type='sev'/>", offsetof(Guest, locked) },
        { "<memoryBacking><source type='file'/></memoryBacking>", offsetof(Guest, shared_memory) },
        { "<cpu><numa><cell memory='1' memAccess='shared'/></numa></cpu>", offsetof(Guest, shared_memory) },
        { "<vcpu placement='auto'>2</vcpu>", offsetof(Guest, vcpu_placement_auto) },
        { "<numatune><memory mode='strict' placement='auto'/></numatune>", offsetof(Guest, numatune_placement_auto) },
};

START_TEST(test_flag_is_seen_where_it_belongs) {
        _cleanup_(guest_freep) Guest *with = NULL, *without = NULL;
        size_t offset = flag_rows[_i].offset;

        ck_assert_int_eq(parse("<devices><hostdev type='usb'/><interface type='bridge'/><disk type='file'/>"
                               "<memballoon model='none'/></devices>",
                               &without),
                         0);
        ck_assert_int_eq(parse(flag_rows[_i].xml, &with), 0);
        ck_assert_msg(*((bool *)with + offset), "%s", flag_rows[_i].xml);
        ck_assert(!*((bool *)without + offset));
}
END_TEST

static const struct {
        const char *amount;
        uint64_t bytes;
} unit_rows[] = {
        { "<memory>2048</memory>", 2 * MIB },
        { "<memory unit='b'>4096</memory>", 4096 },
        { "<memory unit='bytes'>4096</memory>", 4096 },
        { "<memory unit='k'>4</memory>", 4096 },
        { "<memory unit='KB'>4</memory>", 4000 },
        { "<memory unit='KiB'>4</memory>", 4096 },
        { "<memory unit='M'>4</memory>", 4 * MIB },
        { "<memory unit='MB'>4</memory>", 4000000 },
        { "<memory unit='G'>4</memory>", 4 * GIB },
        { "<memory unit='TiB'>1</memory>", 1024 * GIB },
        { "<memory unit='EiB'>1</memory>", UINT64_C(1) << 60 },
        { "<memory unit='MiB'> 4 </memory><memory unit='MiB'>5</memory>", 4 * MIB },
};

static int parse_whole(const char *part, Guest **ret) {
        char text[4096];
        int n;

        n = snprintf(text, sizeof(text), "<domain><name>g</name><uuid>" UUID "</uuid>%s</domain>", part);
        return guest_from_xml(text, (size_t)n, ret);
}

START_TEST(test_memory_units_are_libvirts) {
        _cleanup_(guest_freep) Guest *g = NULL;

        ck_assert_msg(parse_whole(unit_rows[_i].amount, &g) == 0, "%s", unit_rows[_i].amount);
        ck_assert_uint_eq(g->max_bytes, unit_rows[_i].bytes);
}
END_TEST

static const struct {
        const char *cpuset;
        const char *want; /* NULL: -EBADMSG; "!": -ERANGE */
} cpuset_rows[] = {
        { "0", "0" },
        { "0-3,8", "0-3,8" },
        { " 1 , 2 ", "1-2" },
        { "0-7,^3,^5", "0-2,4,6-7" },
        { "^3,0-7", "0-7" },
        { "4095", "4095" },
        { "4096", "!" },
        { "99999999999999999999", "!" },
        { "", NULL },
        { ",", NULL },
        { "1,", NULL },
        { "3-1", NULL },
        { "^1-2", NULL },
        { "a", NULL },
        { "-1", NULL },
};

START_TEST(test_cpuset_syntax_is_libvirts) {
        _cleanup_(guest_freep) Guest *g = NULL;
        const char *want = cpuset_rows[_i].want;
        char xml[128];
        int r;

        (void)snprintf(xml, sizeof(xml), "<vcpu cpuset='%s'>1</vcpu>", cpuset_rows[_i].cpuset);
        r = parse(xml, &g);
        if (!want)
                ck_assert_msg(r == -EBADMSG, "%s: %d", cpuset_rows[_i].cpuset, r);
        else if (streq(want, "!"))
                ck_assert_msg(r == -ERANGE, "%s: %d", cpuset_rows[_i].cpuset, r);
        else {
                ck_assert_msg(r == 0, "%s: %d", cpuset_rows[_i].cpuset, r);
                ck_set(&g->vcpu_cpuset, want);
        }
}
END_TEST

static const struct {
        const char *xml;
        int result;
} bad_rows[] = {
        { "", -EBADMSG },
        { "not XML", -EBADMSG },
        { "<domain>", -EBADMSG },
        { "<network><name>g</name></network>", -EBADMSG },
        { "<domain><uuid>" UUID "</uuid><memory>1</memory></domain>", -EBADMSG },
        { "<domain><name>g</name><memory>1</memory></domain>", -EBADMSG },
        { "<domain><name>g</name><uuid>../../etc/passwd</uuid><memory>1</memory></domain>", -EBADMSG },
        { "<domain><name>g</name><uuid>" UUID "0</uuid><memory>1</memory></domain>", -EBADMSG },
        { "<domain><name>g</name><uuid>" UUID "</uuid></domain>", -EBADMSG },
        { "<domain><name>g</name><uuid>" UUID "</uuid><memory unit='parsec'>1</memory></domain>", -EBADMSG },
        { "<domain><name>g</name><uuid>" UUID "</uuid><memory>-1</memory></domain>", -EBADMSG },
        { "<domain><name>g</name><uuid>" UUID "</uuid><memory unit='EiB'>16</memory></domain>", -ERANGE },
        { "<domain><name>g</name><uuid>" UUID "</uuid><memory>1</memory><vcpu>4097</vcpu></domain>", -ERANGE },
        { "<domain><name>g</name><uuid>" UUID "</uuid><memory>1</memory><vcpu>0</vcpu></domain>", -EBADMSG },
        { "<domain><name>g</name><uuid>" UUID "</uuid><memory>1</memory><iothreads>5000</iothreads></domain>",
          -ERANGE },
        { "<domain><name>g</name><uuid>" UUID "</uuid><memory>1</memory><cputune>"
          "<vcpupin vcpu='0'/></cputune></domain>",
          -EBADMSG },
        { "<domain><name>g</name><uuid>" UUID "</uuid><memory>1</memory><numatune><memory mode='maybe' nodeset='0'/>"
          "</numatune></domain>",
          -EBADMSG },
        { "<!DOCTYPE d [<!ENTITY a 'x'>]><domain><name>&a;</name><uuid>" UUID "</uuid><memory>1</memory></domain>",
          -EBADMSG },
        { "<!DOCTYPE d [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><domain><name>g</name><title>&a;</title><uuid>" UUID
          "</uuid><memory>1</memory></domain>",
          -EBADMSG },
        { "<!DOCTYPE d SYSTEM 'http://localhost/x.dtd'><domain><name>g</name><uuid>" UUID
          "</uuid><memory>1</memory></domain>",
          -EBADMSG },
};

START_TEST(test_bad_document_is_refused) {
        Guest *g = NULL;
        int r = guest_from_xml(bad_rows[_i].xml, strlen(bad_rows[_i].xml), &g);

        ck_assert_msg(r == bad_rows[_i].result, "%s: %d", bad_rows[_i].xml, r);
        ck_assert_ptr_null(g);
}
END_TEST

START_TEST(test_document_too_large_is_refused) {
        size_t size = 4 * MIB + 1;
        _cleanup_free_ char *xml = malloc(size);
        Guest *g = NULL;

        memset(xml, ' ', size);
        ck_assert_int_eq(guest_from_xml(xml, size, &g), -ERANGE);
}
END_TEST

START_TEST(test_every_truncation_is_refused) {
        _cleanup_close_ int fd = sysfs_open_root(FIXTURES);
        _cleanup_free_ char *xml = NULL;
        Guest *g = NULL;
        size_t size;

        ck_assert_int_eq(sysfs_read(fd, "full.xml", &xml, &size), 0);
        for (size_t n = 0; n < size - 2; n++)
                ck_assert_int_eq(guest_from_xml(xml, n, &g), -EBADMSG);
}
END_TEST

START_TEST(test_current_vcpus_without_a_list) {
        _cleanup_(guest_freep) Guest *g = NULL;

        ck_assert_int_eq(parse("<vcpu current='2'>3</vcpu>", &g), 0);
        ck_assert_uint_eq(g->n_vcpus, 3);
        ck_assert(g->vcpus[1].online && !g->vcpus[2].online);
        ck_assert(!g->vcpus[1].hotpluggable);
        ck_assert_uint_eq(g->vcpu_group, 1);
}
END_TEST

/* Cores of two threads that are plugged as one, as on POWER: one order each. */
static const struct { const char *order[6]; uint64_t want; } group_rows[] = {
        { { "1", "2", "3", NULL, NULL, NULL }, 1 },
        { { "1", "1", "2", "2", NULL, NULL }, 2 },
        { { "1", "1", NULL, NULL, "2", "2" }, 2 },
        { { "1", "1", "1", NULL, NULL, NULL }, 3 },
        { { NULL, NULL, NULL, NULL, NULL, NULL }, 1 },
};

START_TEST(test_vcpus_plugged_together_have_one_order) {
        _cleanup_(guest_freep) Guest *g = NULL;
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(strprintf_to(&text, "<vcpu>6</vcpu><vcpus>"), 0);
        for (int i = 0; i < 6; i++) {
                const char *order = group_rows[_i].order[i];

                ck_assert_int_eq(strprintf_to(&text, "%s<vcpu id='%d' enabled='%s' hotpluggable='yes'%s%s%s/>", text, i,
                                              order ? "yes" : "no", order ? " order='" : "", order ?: "",
                                              order ? "'" : ""), 0);
        }
        ck_assert_int_eq(strprintf_to(&text, "%s</vcpus>", text), 0);
        ck_assert_int_eq(parse(text, &g), 0);
        ck_assert_uint_eq(g->vcpu_group, group_rows[_i].want);
}
END_TEST

/* ---- status files ---- */

#define STATUS_DOMAIN                                                                                     \
        "<domain type='kvm' id='3'><name>g</name><uuid>01234567-89ab-cdef-0123-456789abcdef</uuid>"      \
        "<memory unit='KiB'>65536</memory><vcpu placement='auto'>2</vcpu></domain>"

typedef struct StatusRow {
        const char *name, *xml;
        int want;
        int32_t pid;
        GuestState state;
        const char *advised;
} StatusRow;

static const StatusRow status_rows[] = {
        { "as libvirt 9.0 writes it",
          "<!-- WARNING: THIS IS AN AUTO-GENERATED FILE. -->\n"
          "<domstatus state='running' reason='booted' pid='4711'><taint flag='x'/>"
          "<numad nodeset='1,3-4' cpuset='8-15'/>" STATUS_DOMAIN "</domstatus>",
          0, 4711, GUEST_RUNNING, "1,3-4" },
        { "nobody was asked", "<domstatus state='paused' pid='1'>" STATUS_DOMAIN "</domstatus>", 0, 1, GUEST_PAUSED, "" },
        { "advice without CPUs", "<domstatus pid='1'><numad nodeset='0'/>" STATUS_DOMAIN "</domstatus>", 0, 1,
          GUEST_RUNNING, "0" },
        { "no process yet", "<domstatus state='shutoff'>" STATUS_DOMAIN "</domstatus>", 0, 0, GUEST_RUNNING, "" },
        { "a state that is new", "<domstatus state='blocked' pid='1'>" STATUS_DOMAIN "</domstatus>", 0, 1, GUEST_RUNNING, "" },
        { "advice of the guest's own is none",
          "<domstatus pid='1'><domain><name>g</name><uuid>01234567-89ab-cdef-0123-456789abcdef</uuid>"
          "<memory>1</memory><vcpu>1</vcpu><numad nodeset='7'/></domain></domstatus>",
          0, 1, GUEST_RUNNING, "" },
        { "a definition is no status", STATUS_DOMAIN, -EBADMSG, 0, 0, NULL },
        { "no domain in it", "<domstatus state='running' pid='1'/>", -EBADMSG, 0, 0, NULL },
        { "no number for a process", "<domstatus pid='x'>" STATUS_DOMAIN "</domstatus>", -EBADMSG, 0, 0, NULL },
        { "a number no process has", "<domstatus pid='4294967295'>" STATUS_DOMAIN "</domstatus>", -ERANGE, 0, 0, NULL },
        { "nodes that are none", "<domstatus pid='1'><numad nodeset='a'/>" STATUS_DOMAIN "</domstatus>", -EBADMSG, 0, 0, NULL },
        { "a node above all", "<domstatus pid='1'><numad nodeset='4096'/>" STATUS_DOMAIN "</domstatus>", -ERANGE, 0, 0, NULL },
        { "cut short", "<domstatus pid='1'><numad nodeset='1'/>", -EBADMSG, 0, 0, NULL },
        { "nothing", "", -EBADMSG, 0, 0, NULL },
};

START_TEST(test_status_file_has_process_state_and_advice) {
        const StatusRow *row = &status_rows[_i];
        _cleanup_(guest_freep) Guest *g = NULL;
        _cleanup_free_ char *advised = NULL;
        int r = guest_from_status_xml(row->xml, strlen(row->xml), &g);

        ck_assert_msg(r == row->want, "%s: %d instead of %d", row->name, r, row->want);
        if (r < 0) {
                ck_assert_ptr_null(g);
                return;
        }
        ck_assert_int_eq(idset_format(&g->advised_nodes, &advised), 0);
        ck_assert_str_eq(advised, row->advised);
        ck_assert_int_eq(g->pid, row->pid);
        ck_assert_int_eq(g->state, row->state);
        ck_assert_str_eq(g->name, "g");
}
END_TEST

int main(void) {
        Suite *s = suite_create("virt_xml");
        TCase *tc = tcase_create("xml");
        SRunner *sr;
        int failed;

        tcase_add_test(tc, test_full_domain_identity_and_memory);
        tcase_add_test(tc, test_full_domain_cpus);
        tcase_add_test(tc, test_full_domain_numa);
        tcase_add_test(tc, test_minimal_domain_has_libvirts_defaults);
        tcase_add_loop_test(tc, test_size_of_huge_pages, 0, (int)ELEMENTSOF(hugepage_rows));
        tcase_add_loop_test(tc, test_address_of_a_passed_through_device, 0, (int)ELEMENTSOF(device_rows));
        tcase_add_loop_test(tc, test_flag_is_seen_where_it_belongs, 0, (int)ELEMENTSOF(flag_rows));
        tcase_add_loop_test(tc, test_guaranteed_memory_is_in_the_metadata, 0, (int)ELEMENTSOF(guarantee_rows));
        tcase_add_loop_test(tc, test_memory_units_are_libvirts, 0, (int)ELEMENTSOF(unit_rows));
        tcase_add_loop_test(tc, test_cpuset_syntax_is_libvirts, 0, (int)ELEMENTSOF(cpuset_rows));
        tcase_add_loop_test(tc, test_bad_document_is_refused, 0, (int)ELEMENTSOF(bad_rows));
        tcase_add_test(tc, test_document_too_large_is_refused);
        tcase_add_test(tc, test_every_truncation_is_refused);
        tcase_add_test(tc, test_current_vcpus_without_a_list);
        tcase_add_loop_test(tc, test_status_file_has_process_state_and_advice, 0, (int)ELEMENTSOF(status_rows));
        tcase_add_loop_test(tc, test_vcpus_plugged_together_have_one_order, 0, (int)ELEMENTSOF(group_rows));
        suite_add_tcase(s, tc);
        sr = srunner_create(s);
        srunner_run_all(sr, CK_NORMAL);
        failed = srunner_ntests_failed(sr);
        srunner_free(sr);
        return failed != 0;
}
