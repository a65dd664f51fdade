/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../../lib/guest_cgroup.h"
#include "../../lib/observe.h"

#include "tree.h"

#define SCOPE "machine.slice/machine-qemu\\x2d7\\x2ddb.scope"
#define V1 "machine/qemu-1-w.libvirt-qemu"

static const struct {
        const char *name, *text, *controller, *want;
} find_rows[] = {
        { "systemd", "0::/" SCOPE "/libvirt/emulator\n", NULL, SCOPE },
        { "systemd, a vCPU's", "0::/" SCOPE "/libvirt/vcpu0\n", NULL, SCOPE },
        { "no inner folders", "0::/" SCOPE "\n", NULL, SCOPE },
        { "no systemd", "0::/" V1 "/libvirt/emulator\n", NULL, V1 },
        { "own partition", "0::/prod.slice/" SCOPE "/libvirt/emulator", NULL, "prod.slice/" SCOPE },
        { "behind the lines of v1", "4:memory:/" V1 "\n0::/" SCOPE "/libvirt/emulator\n", NULL, SCOPE },
        { "v1 only", "4:memory:/" V1 "\n", NULL, NULL },
        { "hybrid: v2 without the guest", "4:memory:/" V1 "\n0::/\n", NULL, NULL },
        { "not libvirt's", "0::/user.slice/user-1000.slice/session-2.scope\n", NULL, NULL },
        { "all guests' slice is not one guest's", "0::/machine.slice\n", NULL, NULL },
        { "a suffix alone", "0::/.libvirt-qemu\n", NULL, NULL },
        { "empty", "", NULL, NULL },
        { "cut off", "0::", NULL, NULL },
        { "v1, one controller", "4:memory:/x\n3:cpuset:/" V1 "/emulator\n0::/\n", "cpuset", V1 },
        { "v1, mounted together", "2:cpu,cpuset,cpuacct:/" V1 "/emulator\n", "cpuset", V1 },
        { "v1, systemd", "3:cpuset:/" SCOPE "/libvirt/emulator\n", "cpuset", SCOPE },
        { "v1, only a part of the word", "3:cpusets:/" V1 "\n2:xcpuset:/" V1 "\n", "cpuset", NULL },
        { "a named hierarchy", "3:name=cpuset:/" V1 "\n", "cpuset", NULL },
        { "v2 has no such line", "0::/" SCOPE "/libvirt/emulator\n", "cpuset", NULL },
};

START_TEST(finds_the_guests_own_cgroup) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = guest_cgroup_find(find_rows[_i].text, find_rows[_i].controller, &path);
        ck_assert_msg(r == (find_rows[_i].want ? 0 : -ENODATA), "%s: %d", find_rows[_i].name, r);
        ck_assert_msg(streq_ptr(path, find_rows[_i].want), "%s: %s", find_rows[_i].name, path);
}
END_TEST

/* ---- limits --------------------------------------------------------------- */

#define V2_GROUP "0::/" SCOPE "/libvirt/emulator\n"
#define V2 "sys/fs/cgroup/"
#define CPUSET "sys/fs/cgroup/cpuset/"

typedef struct LimitRow {
        const char *name, *group;
        const char *files[8];   /* path, text, ... */
        const char *cpus, *mems;
} LimitRow;

/* CPUs 1-6, of which 6 is isolated; nodes 0 and 33 with memory, 2 without. */
static const LimitRow limit_rows[] = {
        { "no cgroup", "0::/\n", { V2 "cpuset.cpus.effective", "1\n" }, "", "" },
        { "everything is no limit", V2_GROUP,
          { V2 SCOPE "/cpuset.cpus.effective", "0-7\n", V2 SCOPE "/cpuset.mems.effective", "0,2,33\n" }, "", "" },
        { "isolated CPUs and empty nodes are not missed", V2_GROUP,
          { V2 SCOPE "/cpuset.cpus.effective", "1-5\n", V2 SCOPE "/cpuset.mems.effective", "0,33\n" }, "", "" },
        { "AllowedCPUs= and AllowedMemoryNodes=", V2_GROUP,
          { V2 SCOPE "/cpuset.cpus.effective", "2-3\n", V2 SCOPE "/cpuset.mems.effective", "33\n" }, "2-3", "33" },
        { "of the slice, without a controller in the scope", V2_GROUP,
          { V2 "machine.slice/cpuset.cpus.effective", "2-3\n", V2 "machine.slice/cpuset.mems.effective", "0\n",
            V2 "cpuset.cpus.effective", "1-6\n", V2 "cpuset.mems.effective", "0,33\n" }, "2-3", "0" },
        { "only the root has the files", V2_GROUP,
          { V2 "cpuset.cpus.effective", "1-6\n", V2 "cpuset.mems.effective", "0,33\n" }, "", "" },
        { "what libvirt pins the emulator to is no limit", V2_GROUP,
          { V2 SCOPE "/libvirt/emulator/cpuset.cpus.effective", "1\n",
            V2 SCOPE "/cpuset.cpus.effective", "1-6\n" }, "", "" },
        { "in an isolated partition", V2_GROUP, { V2 SCOPE "/cpuset.cpus.effective", "6\n" }, "6", "" },
        { "v1", "3:cpuset:/" V1 "/emulator\n0::/\n",
          { CPUSET V1 "/cpuset.effective_cpus", "1-2\n", CPUSET V1 "/cpuset.effective_mems", "0\n" }, "1-2", "0" },
        { "v1, no limit", "3:cpuset:/" V1 "/emulator\n0::/\n",
          { CPUSET V1 "/cpuset.effective_cpus", "1-6\n", CPUSET V1 "/cpuset.effective_mems", "0-33\n" }, "", "" },
        { "not a list", V2_GROUP, { V2 SCOPE "/cpuset.cpus.effective", "x\n" }, "", "" },
        { "nodes the topology does not have are left out", V2_GROUP,
          { V2 SCOPE "/cpuset.mems.effective", "33-40\n", V2 SCOPE "/cpuset.cpus.effective", "5-9\n" }, "5-6", "33" },
};

static Topology new_topology(TopologyNode nodes[static 3]) {
        Topology t = { .nodes = nodes, .n_nodes = 3 };

        nodes[0] = (TopologyNode){ .id = 0, .memory_bytes = GIB };
        nodes[1] = (TopologyNode){ .id = 2 };
        nodes[2] = (TopologyNode){ .id = 33, .memory_bytes = GIB };
        ck_assert_int_eq(idset_parse("1-6", &t.online), 0);
        ck_assert_int_eq(idset_parse("6", &t.isolated), 0);
        return t;
}

static void assert_set(const char *name, const IdSet *set, const char *want) {
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(idset_format(set, &text), 0);
        ck_assert_msg(streq(text, want), "%s: %s instead of %s", name, text, want);
}

START_TEST(limits_are_the_administrators) {
        const LimitRow *row = &limit_rows[_i];
        _cleanup_(guest_freep) Guest *g = NULL;
        _cleanup_tree_ Tree t = tree_new();
        GuestCgroupObserver o;
        TopologyNode nodes[3];
        Topology topology = new_topology(nodes);

        tree_write(&t, "proc/5/cgroup", row->group);
        for (size_t i = 0; i + 1 < ELEMENTSOF(row->files) && row->files[i]; i += 2)
                tree_write(&t, row->files[i], row->files[i + 1]);
        ck_assert_int_eq(guest_new("g", NULL, &g), 0);
        g->cgroup_cpus = g->cgroup_mems = idset_of(9);
        ck_assert_int_eq(guest_cgroup_init(&o, t.fd, 5), 0);
        guest_cgroup_limits(&o, t.fd, &topology, g);
        assert_set(row->name, &g->cgroup_cpus, row->cpus);
        assert_set(row->name, &g->cgroup_mems, row->mems);
        guest_cgroup_done(&o);
}
END_TEST

START_TEST(a_limit_that_changes_is_followed_without_open) {
        _cleanup_(guest_freep) Guest *g = NULL;
        _cleanup_tree_ Tree t = tree_new();
        GuestCgroupObserver o;
        TopologyNode nodes[3];
        Topology topology = new_topology(nodes);
        size_t before;

        tree_write(&t, "proc/5/cgroup", V2_GROUP);
        tree_write(&t, V2 SCOPE "/cpuset.cpus.effective", "1-6\n");
        ck_assert_int_eq(guest_new("g", NULL, &g), 0);
        ck_assert_int_eq(guest_cgroup_init(&o, t.fd, 5), 0);
        guest_cgroup_limits(&o, t.fd, &topology, g);
        ck_assert(idset_is_empty(&g->cgroup_cpus));
        before = count_open_files();
        tree_write(&t, V2 SCOPE "/cpuset.cpus.effective", "4\n");
        guest_cgroup_limits(&o, t.fd, &topology, g);
        assert_set("limited", &g->cgroup_cpus, "4");
        tree_write(&t, V2 SCOPE "/cpuset.cpus.effective", "1-6\n");
        guest_cgroup_limits(&o, t.fd, &topology, g);
        ck_assert(idset_is_empty(&g->cgroup_cpus));
        ck_assert_uint_eq(count_open_files(), before);
        guest_cgroup_done(&o);
}
END_TEST

/* ---- CPU time of the emulator --------------------------------------------- */

static const struct {
        const char *name, *group, *file, *first, *second;
        uint32_t want;          /* ten seconds later */
} usage_rows[] = {
        { "v2", V2_GROUP, V2 SCOPE "/libvirt/emulator/cpu.stat",
          "usage_usec 5000000\nuser_usec 1\nsystem_usec 2\n",
          "usage_usec 7500000\nuser_usec 1\nsystem_usec 2\n", 2500 },
        { "v1 in nanoseconds", "3:cpu,cpuacct:/" V1 "/emulator\n0::/\n",
          "sys/fs/cgroup/cpuacct/" V1 "/emulator/cpuacct.usage", "5000000000\n", "6000000000\n", 1000 },
        { "v2 beside v1", "3:cpuset:/" V1 "/emulator\n2:cpuacct:/\n0::/" V1 "/emulator\n",
          "sys/fs/cgroup/unified/" V1 "/emulator/cpu.stat", "usage_usec 0\n", "usage_usec 3000000\n", 3000 },
        { "more than one CPU", V2_GROUP, V2 SCOPE "/libvirt/emulator/cpu.stat", "usage_usec 0\n",
          "usage_usec 25000000\n", 25000 },
        { "backwards", V2_GROUP, V2 SCOPE "/libvirt/emulator/cpu.stat", "usage_usec 9\n", "usage_usec 1\n", 0 },
        { "garbage", V2_GROUP, V2 SCOPE "/libvirt/emulator/cpu.stat", "usage_usec 9\n", "x\n", UNKNOWN_PERMYRIAD },
        { "a cgroup that holds the vCPUs, too", "0::/" SCOPE "\n", V2 SCOPE "/cpu.stat", "usage_usec 0\n",
          "usage_usec 25000000\n", UNKNOWN_PERMYRIAD },
        { "no such file", V2_GROUP, "x", "", "", UNKNOWN_PERMYRIAD },
};

START_TEST(emulator_and_vhost_threads_are_counted_together) {
        _cleanup_(guest_freep) Guest *g = NULL;
        _cleanup_tree_ Tree t = tree_new();
        GuestCgroupObserver o;

        tree_write(&t, "proc/5/cgroup", usage_rows[_i].group);
        tree_write(&t, usage_rows[_i].file, usage_rows[_i].first);
        ck_assert_int_eq(guest_new("g", NULL, &g), 0);
        ck_assert_int_eq(guest_cgroup_init(&o, t.fd, 5), 0);
        guest_cgroup_usage(&o, t.fd, 10 * USEC_PER_SEC, g);
        ck_assert_uint_eq(g->emulator_busy_permyriad, UNKNOWN_PERMYRIAD);
        tree_write(&t, usage_rows[_i].file, usage_rows[_i].second);
        guest_cgroup_usage(&o, t.fd, 20 * USEC_PER_SEC, g);
        ck_assert_msg(g->emulator_busy_permyriad == usage_rows[_i].want, "%s: %u", usage_rows[_i].name,
                      g->emulator_busy_permyriad);
        /* Too soon for a new rate. */
        guest_cgroup_usage(&o, t.fd, 20 * USEC_PER_SEC + 1000, g);
        ck_assert_uint_eq(g->emulator_busy_permyriad, usage_rows[_i].want);
        guest_cgroup_done(&o);
}
END_TEST

/* ---- pressure ------------------------------------------------------------- */

#define PRESSURE(some, full) \
        "some avg10=" some " avg60=0.00 avg300=0.00 total=1\nfull avg10=" full " avg60=0.00 avg300=0.00 total=1\n"

static const struct {
        const char *name, *group, *file, *text;
        uint32_t some, full;
} pressure_rows[] = {
        { "v2", V2_GROUP, V2 SCOPE "/memory.pressure", PRESSURE("12.34", "3.05"), 1234, 305 },
        { "no systemd", "0::/" V1 "/libvirt/emulator\n", V2 V1 "/memory.pressure", PRESSURE("0.00", "0.00"), 0, 0 },
        { "v2 beside v1", "4:memory:/" V1 "\n0::/" V1 "/emulator\n", "sys/fs/cgroup/unified/" V1 "/memory.pressure",
          PRESSURE("100.00", "99.99"), 10000, 9999 },
        { "the emulator's own is not the guest's", V2_GROUP, V2 SCOPE "/libvirt/emulator/memory.pressure",
          PRESSURE("12.34", "3.05"), UNKNOWN_PERMYRIAD, UNKNOWN_PERMYRIAD },
        { "all guests' is not one guest's", V2_GROUP, V2 "machine.slice/memory.pressure", PRESSURE("12.34", "3.05"),
          UNKNOWN_PERMYRIAD, UNKNOWN_PERMYRIAD },
        { "v1", "4:memory:/" V1 "\n", "sys/fs/cgroup/memory/" V1 "/memory.pressure", PRESSURE("12.34", "3.05"),
          UNKNOWN_PERMYRIAD, UNKNOWN_PERMYRIAD },
        { "not libvirt's", "0::/user.slice\n", V2 "user.slice/memory.pressure", PRESSURE("12.34", "3.05"),
          UNKNOWN_PERMYRIAD, UNKNOWN_PERMYRIAD },
        { "more than all", V2_GROUP, V2 SCOPE "/memory.pressure", PRESSURE("100.01", "4294967297.00"), 10000,
          UNKNOWN_PERMYRIAD },
        { "garbage", V2_GROUP, V2 SCOPE "/memory.pressure", "some avg10=-1.00\nfull avg10=1.", UNKNOWN_PERMYRIAD,
          UNKNOWN_PERMYRIAD },
        { "empty: psi=0", V2_GROUP, V2 SCOPE "/memory.pressure", "", UNKNOWN_PERMYRIAD, UNKNOWN_PERMYRIAD },
};

START_TEST(pressure_is_that_of_the_guests_own_cgroup) {
        _cleanup_(guest_freep) Guest *g = NULL;
        _cleanup_tree_ Tree t = tree_new();
        GuestCgroupObserver o;

        tree_write(&t, "proc/5/cgroup", pressure_rows[_i].group);
        tree_write(&t, pressure_rows[_i].file, pressure_rows[_i].text);
        ck_assert_int_eq(guest_new("g", NULL, &g), 0);
        ck_assert_uint_eq(g->psi_memory.some_permyriad, UNKNOWN_PERMYRIAD);
        g->psi_memory = (Psi){ 7, 7 };
        ck_assert_int_eq(guest_cgroup_init(&o, t.fd, 5), 0);
        guest_cgroup_pressure(&o, t.fd, g);
        ck_assert_msg(g->psi_memory.some_permyriad == pressure_rows[_i].some, "%s: %u", pressure_rows[_i].name,
                      g->psi_memory.some_permyriad);
        ck_assert_msg(g->psi_memory.full_permyriad == pressure_rows[_i].full, "%s: %u", pressure_rows[_i].name,
                      g->psi_memory.full_permyriad);
        guest_cgroup_done(&o);
}
END_TEST

/* Each look, not only those in turn: who is in distress is helped in the next decision. */
START_TEST(pressure_is_read_each_time_from_the_kept_file) {
        _cleanup_(guest_observer_freep) GuestObserver *o = NULL;
        _cleanup_(guest_freep) Guest *g = NULL;
        _cleanup_tree_ Tree t = tree_new();
        size_t files;

        tree_write(&t, "proc/5/cgroup", V2_GROUP);
        tree_write(&t, "proc/5/statm", "100 50 0 0\n");
        tree_write(&t, "proc/5/task/5/comm", "qemu\n");
        tree_write(&t, "proc/5/task/5/schedstat", "0 0 0\n");
        tree_write(&t, V2 SCOPE "/memory.pressure", PRESSURE("1.00", "0.00"));
        ck_assert_int_eq(guest_new("g", NULL, &g), 0);
        ck_assert_int_eq(guest_observer_new(t.fd, 5, g, &o), 0);
        ck_assert_int_eq(guest_observe(o, t.fd, USEC_PER_SEC, false, g), 0);
        ck_assert_uint_eq(g->psi_memory.some_permyriad, 100);
        files = count_open_files();
        tree_write(&t, V2 SCOPE "/memory.pressure", PRESSURE("50.00", "0.00"));
        ck_assert_int_eq(guest_observe(o, t.fd, 2 * USEC_PER_SEC, false, g), 0);
        ck_assert_uint_eq(g->psi_memory.some_permyriad, 5000);
        ck_assert_uint_eq(count_open_files(), files);
}
END_TEST

START_TEST(a_process_that_is_gone_has_no_cgroup) {
        _cleanup_(guest_freep) Guest *g = NULL;
        _cleanup_tree_ Tree t = tree_new();
        GuestCgroupObserver o;
        TopologyNode nodes[3];
        Topology topology = new_topology(nodes);

        ck_assert_int_eq(guest_new("g", NULL, &g), 0);
        ck_assert_int_eq(guest_cgroup_init(&o, t.fd, 5), 0);
        guest_cgroup_usage(&o, t.fd, USEC_PER_SEC, g);
        guest_cgroup_limits(&o, t.fd, &topology, g);
        ck_assert(g->emulator_busy_permyriad == UNKNOWN_PERMYRIAD && idset_is_empty(&g->cgroup_cpus));
        guest_cgroup_done(&o);
}
END_TEST

int main(void) {
        Suite *s = suite_create("observe_guest_cgroup");
        TCase *tc = tcase_create("cgroup");
        SRunner *runner;
        int failed;

        tcase_add_loop_test(tc, finds_the_guests_own_cgroup, 0, (int)ELEMENTSOF(find_rows));
        tcase_add_loop_test(tc, limits_are_the_administrators, 0, (int)ELEMENTSOF(limit_rows));
        tcase_add_test(tc, a_limit_that_changes_is_followed_without_open);
        tcase_add_loop_test(tc, emulator_and_vhost_threads_are_counted_together, 0, (int)ELEMENTSOF(usage_rows));
        tcase_add_loop_test(tc, pressure_is_that_of_the_guests_own_cgroup, 0, (int)ELEMENTSOF(pressure_rows));
        tcase_add_test(tc, pressure_is_read_each_time_from_the_kept_file);
        tcase_add_test(tc, a_process_that_is_gone_has_no_cgroup);
        suite_add_tcase(s, tc);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed > 0;
}
