/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One row for each finding: a host that has it, one that has not, and one that does not say. */

#include <check.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../daemon/virt_xml.h"
#include "../../lib/doctor_internal.h"
#include "../../lib/observe.h"
#include "../../lib/snapshot_file.h"
#include "tree.h"

#define TWO "topology = \"numa:2 core:2 pu:1\";"
#define FACT(word) "host = { facts = { " word "; }; };"
#define GUESTS(text) "guests = ( { name = \"g\"; " text " } );"

static const struct {
        const char *id, *found, *fine;
        const char *unknown;            /* NULL: there is always an answer */
        const char *detail;             /* of the host or the guest; NULL: none */
} rows[] = {
        { "no-virtualization", FACT("virtualization = \"none\"; hypervisor = \"no\""), FACT("virtualization = \"svm\""), "",
          "the CPU has none, or it is switched off in the firmware" },
        { "no-virtualization", FACT("virtualization = \"none\"; hypervisor = \"yes\""), FACT("virtualization = \"vmx\""), "",
          "this host is a guest itself, and is not given the virtualization of its CPU" },
        { "no-kvm", FACT("kvm = \"no\"; virtualization = \"vmx\""), FACT("kvm = \"no\"; virtualization = \"none\""), "", NULL },
        { "no-kvm", FACT("kvm = \"no\""), FACT("kvm = \"yes\""), "", NULL },
        { "kvm-permissions", FACT("kvm_access = \"root\""), FACT("kvm_access = \"group\""), "", NULL },
        { "switches-read-only", FACT("read_only = \"ksm thp\""), FACT("read_only = \"none\""), "", "ksm thp" },
        { "nested-off", FACT("nested = \"off\""), FACT("nested = \"on\""), "", NULL },
        { "nested-exposed", FACT("nested = \"on\"") GUESTS("cpu_host_passthrough = true;"),
          FACT("nested = \"on\"") GUESTS(""), "", "1 guest with host-passthrough" },
        { "nested-exposed", FACT("nested = \"on\"") GUESTS("cpu_host_passthrough = true;"),
          FACT("nested = \"off\"") GUESTS("cpu_host_passthrough = true;"), "", "1 guest with host-passthrough" },
        { "cgroup-v1", FACT("cgroup = \"v1\""), FACT("cgroup = \"v2\""), "", "v1" },
        { "cgroup-v1", FACT("cgroup = \"hybrid\""), FACT("cgroup = \"v2\""), "", "hybrid" },
        { "pressure-off", FACT("pressure = \"off\""), FACT("pressure = \"on\""), "", NULL },
        { "governor", FACT("governor = \"powersave\"; cpufreq_driver = \"acpi-cpufreq\""),
          FACT("governor = \"powersave\"; cpufreq_driver = \"intel_pstate\""), "", "powersave, by acpi-cpufreq" },
        { "governor", FACT("governor = \"powersave\""), FACT("governor = \"schedutil\""), "", "powersave, by the kernel" },
        { "clocksource", FACT("clocksource = \"hpet\""), FACT("clocksource = \"tsc\""), "", "hpet" },
        { "other-managers", FACT("managers = \"numad tuned\""), FACT("managers = \"none\""), "", "numad tuned" },

        { "no-swap", "host = { memory = { total = \"8 GiB\"; }; };", "host = { memory = { swap_total = \"1 GiB\"; }; };", NULL,
          NULL },
        { "no-swap", "host = { memory = { total = \"8 GiB\"; }; };",
          "host = { memory = { total = \"2 GiB\"; }; };" GUESTS("memory = \"3 GiB\"; rss = \"1 GiB\";"), NULL, NULL },
        { "overcommit-without-swap", "host = { memory = { total = \"2 GiB\"; }; };" GUESTS("memory = \"3 GiB\"; rss = \"1 GiB\";"),
          "host = { memory = { total = \"2 GiB\"; swap_total = \"1 GiB\"; }; };" GUESTS("memory = \"3 GiB\"; rss = \"1 GiB\";"),
          NULL, "guests may use 3 GiB, the host has 2 GiB" },
        { "overcommit-without-swap", "host = { memory = { total = \"2 GiB\"; }; };" GUESTS("memory = \"3 GiB\"; rss = \"1 GiB\";"),
          "host = { memory = { total = \"2 GiB\"; }; };" GUESTS("memory = \"3 GiB\"; current = \"2 GiB\"; rss = \"1 GiB\";"), NULL,
          "guests may use 3 GiB, the host has 2 GiB" },
        { "hugepages-unused", "host = { nodes = ( { hugepages = ( { size = \"2 MiB\"; total = 512; } ); } ); };",
          "host = { nodes = ( { hugepages = ( { size = \"2 MiB\"; total = 512; free = 511; } ); } ); };", "host = { nodes = (); };",
          "1 GiB in pages of 2 MiB, and no guest is to use them" },
        { "hugepages-unused", "host = { nodes = ( { hugepages = ( { size = \"1 GiB\"; total = 2; } ); } ); };" GUESTS("hugepages = true;"),
          "host = { nodes = ( { hugepages = ( { size = \"2 MiB\"; total = 512; } ); } ); };" GUESTS("hugepages = true;"),
          "host = { nodes = (); };", "2 GiB in pages of 1 GiB, and no guest is to use them" },
        { "hugepages-short", "host = { nodes = ( { hugepages = ( { size = \"2 MiB\"; total = 511; } ); } ); };" GUESTS("hugepages = true;"),
          "host = { nodes = ( { hugepages = ( { size = \"2 MiB\"; total = 512; } ); } ); };" GUESTS("hugepages = true;"),
          "host = { nodes = (); };", "guests are to use 1 GiB in pages of 2 MiB, the pools have 1022 MiB" },
        { "hugepages-short", GUESTS("hugepages = true; hugepage_size = \"1 GiB\";"), GUESTS(""), "host = { nodes = (); };",
          "guests are to use 1 GiB in pages of 1 GiB, the pools have none" },
        { "thp-never", "host = { thp = { enabled = \"never\"; }; };" GUESTS(""), "host = { thp = { enabled = \"madvise\"; }; };" GUESTS(""),
          "host = { thp = { enabled = \"\"; }; };", NULL },
        { "thp-never", "host = { thp = { enabled = \"never\"; }; };" GUESTS(""),
          "host = { thp = { enabled = \"never\"; }; };" GUESTS("hugepages = true;"), "host = { thp = { enabled = \"\"; }; };", NULL },
        { "thp-stalls", "host = { thp = { defrag = \"always\"; }; };", "host = { thp = { defrag = \"defer+madvise\"; }; };",
          "host = { thp = { enabled = \"\"; }; };", NULL },
        { "thp-stalls", "host = { thp = { defrag = \"always\"; }; };", "host = { thp = { enabled = \"never\"; defrag = \"always\"; }; };",
          "host = { thp = { enabled = \"\"; }; };", NULL },
        { "ksm-across-nodes", TWO "host = { ksm = { run = 1; }; };", "host = { ksm = { run = 1; }; };", NULL, NULL },
        { "ksm-across-nodes", TWO "host = { ksm = { run = 1; }; };", TWO "host = { ksm = { run = 1; merge_across_nodes = 0; }; };", NULL,
          NULL },
        { "ksm-across-nodes", TWO "host = { ksm = { run = 1; }; };", TWO, NULL, NULL },
        { "ksm-and-balancing", TWO "host = { numa_balancing = 1; ksm = { run = 1; }; };", TWO "host = { ksm = { run = 1; }; };",
          TWO "host = { numa_balancing = \"unknown\"; };", NULL },
        { "ksm-and-balancing", TWO "host = { kernel = \"6.4\"; numa_balancing = 1; ksm = { run = 1; }; };",
          TWO "host = { kernel = \"6.5\"; numa_balancing = 1; ksm = { run = 1; }; };", NULL, NULL },
        { "ksm-no-profit", "host = { ksm = { run = 1; full_scans = 3; }; };", "host = { ksm = { run = 1; full_scans = 2; }; };", NULL,
          "0 pages saved after 3 passes" },
        { "ksm-no-profit", "host = { ksm = { run = 1; full_scans = 9; pages_sharing = 5; general_profit = \"-1 MiB\"; }; };",
          "host = { ksm = { run = 1; full_scans = 9; pages_sharing = 5; general_profit = \"1 MiB\"; }; };", NULL,
          "5 pages saved after 9 passes" },
        { "ksm-trust", "host = { ksm = { run = 1; }; }; guests = ( { name = \"g\"; class = \"a\"; }, { name = \"h\"; class = \"b\"; } );",
          "host = { ksm = { run = 1; }; }; guests = ( { name = \"g\"; class = \"a\"; }, { name = \"h\"; class = \"b\"; nosharepages = true; } );",
          NULL, NULL },

        { "guest-emulated", GUESTS("accelerator = \"qemu\";"), GUESTS("accelerator = \"kvm\";"), GUESTS(""), NULL },
        { "guest-unreachable", GUESTS("unreachable = true;"), GUESTS(""), NULL, NULL },
        { "guest-crashed", GUESTS("state = \"crashed\";"), GUESTS("state = \"paused\";"), NULL, NULL },
        { "guest-cpu-model", GUESTS("cpu_mode = \"default\";"), GUESTS("cpu_mode = \"host-model\";"), GUESTS(""), "no CPU model" },
        { "guest-cpu-model", GUESTS("cpu_mode = \"custom\"; cpu_model = \"qemu64\";"),
          GUESTS("cpu_mode = \"custom\"; cpu_model = \"EPYC\";"), GUESTS(""), "qemu64" },
        { "guest-old-machine", GUESTS("machine = \"pc-i440fx-2.1\";"), GUESTS("machine = \"pc-q35-7.2\";"), GUESTS(""), "pc-i440fx-2.1" },
        { "guest-old-machine", GUESTS("machine = \"pc-q35-4.2\";"), GUESTS("machine = \"pc-q35-rhel7.6.0\";"), GUESTS(""), "pc-q35-4.2" },
        { "guest-old-machine", GUESTS("machine = \"virt-4.0\";"), GUESTS("machine = \"s390-ccw-virtio\";"), GUESTS(""), "virt-4.0" },
        { "guest-remote-memory",
          TWO GUESTS("affinity = \"0-1\"; node_memory = ( { node = 0; size = \"512 MiB\"; }, { node = 1; size = \"512 MiB\"; } );"),
          TWO GUESTS("affinity = \"0-1\"; node_memory = ( { node = 0; size = \"1 GiB\"; }, { node = 1; size = \"128 MiB\"; } );"),
          TWO GUESTS("affinity = \"0-1\";"), "50 %" },
        { "guest-remote-memory",
          TWO GUESTS("affinity = \"0-1\"; node_memory = ( { node = 1; size = \"512 MiB\"; } );"),
          TWO GUESTS("node_memory = ( { node = 1; size = \"512 MiB\"; } );"), TWO GUESTS("affinity = \"0-1\";"), "100 %" },
        { "guest-waits", GUESTS("vcpus = 2; wait = [ \"20 %\", \"4 %\" ];"), GUESTS("vcpus = 2; wait = \"3 %\";"), GUESTS(""), "12 %" },
        { "guest-short-of-memory", GUESTS("stats = { usable = \"4 %\"; };"), GUESTS("stats = { usable = \"5 %\"; };"),
          GUESTS("stats = { usable = \"4 %\"; age = \"2 min\"; };"), "40 MiB of 1 GiB" },
        { "guest-no-driver", GUESTS("stats_period = \"2 s\";"), GUESTS("stats_period = \"2 s\"; stats = { usable = \"50 %\"; };"),
          GUESTS("stats_period = \"2 s\"; starting = true;"), NULL },
        { "guest-no-driver", GUESTS("stats_period = \"2 s\";"), GUESTS("balloon = false;"), GUESTS(""), NULL },
        { "guest-stale-driver", GUESTS("stats_period = \"2 s\"; stats = { age = \"150 s\"; };"),
          GUESTS("stats_period = \"2 s\"; stats = { age = \"1 min\"; };"), GUESTS("stats_period = \"2 s\";"),
          "no word for 2 min" },
        { "guest-stale-driver", GUESTS("stats_period = \"60 s\"; stats = { age = \"181 s\"; };"),
          GUESTS("stats_period = \"60 s\"; stats = { age = \"3 min\"; };"),
          GUESTS("stats_period = \"60 s\"; stats = { age = \"1 h\"; }; state = \"paused\";"), "no word for 3 min" },
        { "guest-agent-down", GUESTS("agent = \"disconnected\";"), GUESTS("agent = \"connected\";"), GUESTS(""), NULL },
        { "guest-agent-down", GUESTS("agent = \"disconnected\";"), GUESTS("agent = \"none\";"),
          GUESTS("agent = \"disconnected\"; state = \"paused\";"), NULL },
        { "guest-no-agent", GUESTS("agent = \"none\";"), GUESTS("agent = \"disconnected\";"), GUESTS(""), NULL },
        { "guest-no-balloon", GUESTS("balloon = false;"), GUESTS("balloon = false; vfio = true;"), NULL, NULL },
        { "guest-no-statistics", GUESTS(""), GUESTS("stats_period = \"5 s\";"), NULL, NULL },
        { "guest-emulated-devices", GUESTS("emulated_devices = \"ide e1000\";"), GUESTS("emulated_devices = \"none\";"), GUESTS(""),
          "ide e1000" },
        { "guest-host-passthrough", GUESTS("cpu_host_passthrough = true;"), GUESTS(""), NULL, NULL },
};

static Diagnosis *examine(const char *text, const char *policy) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_free_ char *error = NULL;
        Diagnosis *d = NULL;

        ck_assert_msg(snapshot_load_text("t", text, &s, &error) == 0, "%s: %s", text, error ? error : "?");
        if (policy)
                ck_assert_msg(config_load_text("c", policy, &config, &error) == 0, "%s", error ? error : "?");
        ck_assert_int_eq(doctor_examine(s, NULL, config, &d), 0);
        return d;
}

static const DoctorCheck *find(const Diagnosis *d, const char *id) {
        for (size_t i = 0; i < d->n_checks; i++)
                if (streq(d->checks[i].id, id))
                        return &d->checks[i];
        ck_abort_msg("no check %s", id);
}

static void assert_result(const char *text, const char *id, DoctorResult want) {
        _cleanup_(diagnosis_freep) Diagnosis *d = examine(text, NULL);
        const DoctorCheck *c = find(d, id);

        ck_assert_msg(c->result == want, "%s is %s, not %s, with: %s", id, doctor_result_to_string(c->result),
                      doctor_result_to_string(want), text);
}

START_TEST(a_finding_is_found_where_it_is_and_only_there) {
        _cleanup_(diagnosis_freep) Diagnosis *d = examine(rows[_i].found, NULL);
        const DoctorCheck *c = find(d, rows[_i].id);

        assert_result(rows[_i].found, rows[_i].id, DOCTOR_FOUND);
        assert_result(rows[_i].fine, rows[_i].id, DOCTOR_FINE);
        if (rows[_i].unknown)
                assert_result(rows[_i].unknown, rows[_i].id, DOCTOR_UNKNOWN);
        if (rows[_i].detail)
                ck_assert_str_eq(c->of_guests ? c->guests[0].detail : c->detail, rows[_i].detail);
        if (c->of_guests) {
                ck_assert_uint_eq(c->n_guests, 1);
                ck_assert_str_eq(c->guests[0].name, "g");
        }
}
END_TEST

START_TEST(the_kernels_balancing_is_a_finding_beside_a_policy_only) {
        const char *host = TWO "host = { numa_balancing = 1; };", *off = TWO "host = { numa_balancing = 0; };";
        const struct {
                const char *host, *policy;
                DoctorResult want;
        } cases[] = {
                { host, NULL, DOCTOR_UNKNOWN },
                { host, "", DOCTOR_FINE },
                { host, "cpu: { policy = \"shared\"; };", DOCTOR_FOUND },
                { off, "cpu: { policy = \"shared\"; };", DOCTOR_FINE },
                { host, "cpu: { policy = \"shared\"; }; kernel: { numa_balancing = \"off\"; };", DOCTOR_FINE },
                { host, "cpu: { policy = \"shared\"; }; numa: { policy = \"none\"; };", DOCTOR_FINE },
                { "host = { numa_balancing = 1; };", "cpu: { policy = \"shared\"; };", DOCTOR_FINE },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(diagnosis_freep) Diagnosis *d = examine(cases[i].host, cases[i].policy);

                ck_assert_msg(find(d, "balancing-with-policy")->result == cases[i].want, "case %zu", i);
        }
}
END_TEST

START_TEST(every_check_has_a_row_here_and_a_line_in_the_manual) {
        _cleanup_close_ int root = sysfs_open_root(".");
        _cleanup_free_ char *page = NULL;

        ck_assert_int_ge(root, 0);
        ck_assert_int_eq(sysfs_read(root, "man/kvmtuned-doctor.7", &page, NULL), 0);
        for (size_t i = 0; i < n_doctor_checks; i++) {
                bool tested = streq(doctor_checks[i].id, "balancing-with-policy");
                char item[64];

                for (size_t k = 0; k < ELEMENTSOF(rows); k++)
                        tested = tested || streq(rows[k].id, doctor_checks[i].id);
                ck_assert_msg(tested, "%s has no row", doctor_checks[i].id);
                (void)snprintf(item, sizeof(item), "\n.It Ic %s Pq %s\n", doctor_checks[i].id,
                               doctor_severity_to_string(doctor_checks[i].severity));
                ck_assert_msg(strstr(page, item), "kvmtuned-doctor(7) has no line \"%s\"", item + 1);
        }
}
END_TEST

static const struct {
        const char *text;
        int status;
} status_rows[] = {
        { "host = { memory = { swap_total = \"1 GiB\"; }; };", 0 },
        { FACT("nested = \"off\""), 0 },
        { FACT("cgroup = \"v1\""), 1 },
        { FACT("cgroup = \"v1\"; kvm = \"no\""), 2 },
};

START_TEST(the_worst_finding_is_the_status) {
        _cleanup_(diagnosis_freep) Diagnosis *d = examine(status_rows[_i].text, NULL);

        ck_assert_int_eq(diagnosis_status(d), status_rows[_i].status);
}
END_TEST

/* A guest that does not say does not hide one that is fine, nor the other way round. */
START_TEST(guests_are_judged_one_by_one) {
        _cleanup_(diagnosis_freep) Diagnosis *d =
                examine("guests = ( { name = \"a\"; agent = \"none\"; }, { name = \"b\"; }, { name = \"c\"; agent = \"none\"; },"
                        "           { name = \"d\"; agent = \"connected\"; } );",
                        NULL);
        const DoctorCheck *c = find(d, "guest-no-agent");

        ck_assert_uint_eq(c->n_guests, 2);
        ck_assert_str_eq(c->guests[0].name, "a");
        ck_assert_str_eq(c->guests[1].name, "c");
}
END_TEST

/* ---- where the facts come from ---- */

START_TEST(facts_of_a_host) {
        _cleanup_tree_ Tree t = tree_new();
        HostFacts f = { 0 };

        host_facts_observe(t.fd, &f);
        host_managers_observe(t.fd, &f, NULL, NULL);
        ck_assert_str_eq(f.virtualization, "");
        ck_assert_str_eq(f.managers, "none");
        ck_assert_str_eq(f.nested, "");
        ck_assert_str_eq(f.cgroup, "");
        ck_assert_str_eq(f.kvm, "");
        ck_assert_str_eq(f.kvm_access, "");
        ck_assert_str_eq(f.read_only, "none");
        ck_assert_str_eq(f.pressure, "off");
        tree_write(&t, "proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu vme svm_lock hypervisor svm\n\nprocessor\t: 1\n");
        tree_write(&t, "sys/module/kvm_amd/parameters/nested", "1\n");
        tree_write(&t, "sys/class/misc/kvm/dev", "10:232\n");
        tree_write(&t, "sys/fs/cgroup/unified/cgroup.controllers", "\n");
        tree_write(&t, "proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
        tree_write(&t, "sys/devices/system/cpu/cpufreq/policy1/scaling_governor", "powersave\n");
        tree_write(&t, "sys/devices/system/cpu/cpufreq/policy1/scaling_driver", "acpi-cpufreq\n");
        tree_write(&t, "sys/devices/system/cpu/cpufreq/policy2/scaling_governor", "powersave\n");
        tree_write(&t, "sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n");
        tree_write(&t, "proc/12/comm", "tuned\n");
        tree_write(&t, "proc/13/comm", "numad\n");
        tree_write(&t, "proc/14/comm", "numad\n");
        tree_write(&t, "proc/15/comm", "tuned-gui\n");
        host_facts_observe(t.fd, &f);
        ck_assert_str_eq(f.virtualization, "svm");
        ck_assert_str_eq(f.hypervisor, "yes");
        ck_assert_str_eq(f.kvm, "yes");
        ck_assert_str_eq(f.nested, "on");
        ck_assert_str_eq(f.cgroup, "hybrid");
        ck_assert_str_eq(f.pressure, "on");
        ck_assert_str_eq(f.governor, "powersave");
        ck_assert_str_eq(f.cpufreq_driver, "acpi-cpufreq");
        ck_assert_str_eq(f.clocksource, "hpet");
        ck_assert_str_eq(f.managers, "none");
        host_managers_observe(t.fd, &f, NULL, NULL);
        ck_assert_str_eq(f.managers, "tuned numad");
        tree_write(&t, "proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu vmx_like\n");
        tree_write(&t, "sys/devices/system/cpu/cpufreq/policy2/scaling_governor", "performance\n");
        tree_write(&t, "sys/fs/cgroup/cgroup.controllers", "\n");
        tree_write(&t, "sys/module/kvm_amd/parameters/nested", "N\n");
        host_facts_observe(t.fd, &f);
        ck_assert_str_eq(f.virtualization, "none");
        ck_assert_str_eq(f.governor, "mixed");
        ck_assert_str_eq(f.cgroup, "v2");
        ck_assert_str_eq(f.nested, "off");
}
END_TEST

static void assert_access(const Tree *t, mode_t mode, gid_t group, const char *want) {
        HostFacts f = { 0 };

        ck_assert_int_eq(fchownat(t->fd, "dev/kvm", (uid_t)-1, group, 0), 0);
        ck_assert_int_eq(fchmodat(t->fd, "dev/kvm", mode, 0), 0);
        host_facts_observe(t->fd, &f);
        ck_assert_str_eq(f.kvm_access, want);
}

START_TEST(who_may_open_the_device_of_kvm) {
        _cleanup_tree_ Tree t = tree_new();

        tree_write(&t, "dev/kvm", "");
        assert_access(&t, 0666, (gid_t)-1, "all");
        assert_access(&t, 0600, (gid_t)-1, "root");
        /* Only root can give a file to a group that it is not in. */
        if (geteuid() != 0)
                return;
        assert_access(&t, 0660, 0, "root");
        assert_access(&t, 0660, 12, "group");
        assert_access(&t, 0640, 12, "root");
}
END_TEST

#define DOMAIN(attributes, os, body)                                                                                  \
        "<domain " attributes "><name>g</name><uuid>00000000-0000-4000-8000-000000000001</uuid>"                      \
        "<memory>1048576</memory><vcpu>1</vcpu><os>" os "</os>" body "</domain>"

static const struct {
        const char *xml, *accelerator, *machine, *cpu_mode, *cpu_model, *agent, *devices;
} xml_rows[] = {
        { DOMAIN("type='kvm'", "<type machine='pc-q35-7.2'>hvm</type>", "<cpu mode='host-model'/><devices/>"), "kvm",
          "pc-q35-7.2", "host-model", "none", "none", "none" },
        { DOMAIN("type='qemu'", "<type>hvm</type>", ""), "qemu", "", "default", "none", "none", "none" },
        { DOMAIN("type='kvm'", "", "<cpu><model>EPYC</model></cpu>"), "kvm", "", "custom", "EPYC", "none", "none" },
        { DOMAIN("type='kvm'", "",
                 "<devices><channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel>"
                 "<channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0' state='disconnected'/></channel></devices>"),
          "kvm", "", "default", "none", "connected", "none" },
        { DOMAIN("type='kvm'", "",
                 "<devices><disk device='cdrom'><target dev='sda' bus='sata'/></disk><disk device='disk'><target dev='hda' bus='ide'/></disk>"
                 "<disk><target dev='hdb' bus='ide'/></disk><disk><target dev='vda' bus='virtio'/></disk>"
                 "<interface type='network'><model type='rtl8139'/></interface><interface><model type='virtio'/></interface></devices>"),
          "kvm", "", "default", "none", "none", "ide rtl8139" },
        { DOMAIN("type='kvm'", "", "<devices><channel><target name='org.qemu.guest_agent.0'/></channel></devices>"), "kvm", "",
          "default", "none", "disconnected", "none" },
};

START_TEST(setup_of_a_guest) {
        _cleanup_(guest_freep) Guest *g = NULL;

        ck_assert_int_eq(guest_from_xml(xml_rows[_i].xml, strlen(xml_rows[_i].xml), &g), 0);
        ck_assert_str_eq(g->accelerator, xml_rows[_i].accelerator);
        ck_assert_str_eq(g->machine, xml_rows[_i].machine);
        ck_assert_str_eq(g->cpu_mode, xml_rows[_i].cpu_mode);
        ck_assert_str_eq(g->cpu_model, xml_rows[_i].cpu_model);
        ck_assert_str_eq(g->agent, xml_rows[_i].agent);
        ck_assert_str_eq(g->emulated_devices, xml_rows[_i].devices);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("doctor");
        TCase *tc = tcase_create("doctor");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_loop_test(tc, a_finding_is_found_where_it_is_and_only_there, 0, (int)ELEMENTSOF(rows));
        tcase_add_test(tc, the_kernels_balancing_is_a_finding_beside_a_policy_only);
        tcase_add_test(tc, every_check_has_a_row_here_and_a_line_in_the_manual);
        tcase_add_loop_test(tc, the_worst_finding_is_the_status, 0, (int)ELEMENTSOF(status_rows));
        tcase_add_test(tc, guests_are_judged_one_by_one);
        tcase_add_test(tc, facts_of_a_host);
        tcase_add_test(tc, who_may_open_the_device_of_kvm);
        tcase_add_loop_test(tc, setup_of_a_guest, 0, (int)ELEMENTSOF(xml_rows));
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed > 0;
}
