/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The topology follows the machine: a recorded tree that changes while the daemon looks at it. */
#include "../../daemon/manager.h"

#include "tree.h"

#include <stdio.h>

#define NODES "sys/devices/system/node/"
#define CPUS "sys/devices/system/cpu/"

typedef struct Machine {
        Tree tree;
        Manager m;
        uint64_t now_usec;
} Machine;

static void look(Machine *machine) {
        machine->now_usec += USEC_PER_SEC;
        ck_assert_int_eq(host_observe(machine->m.host, machine->now_usec, &machine->m.snapshot->host, NULL), 0);
        manager_follow_hotplug(&machine->m);
}

/* CPUs 1-2 on node 0, 6 and 9 on node 2, memory only on node 33. */
static void machine_init(Machine *machine) {
        Manager *m = &machine->m;
        char command[256];

        *machine = (Machine){ .tree = tree_new() };
        (void)snprintf(command, sizeof(command), "cp -r tests/fixtures/sparse-nodes/. %s/", machine->tree.dir);
        ck_assert_int_eq(system(command), 0);
        ck_assert_int_eq(setenv("HWLOC_FSROOT", machine->tree.dir, 1), 0);
        m->root_fd = machine->tree.fd;
        ck_assert_int_eq(snapshot_new(&m->snapshot), 0);
        ck_assert_int_eq(topology_load(m->root_fd, NULL, &m->snapshot->topology), 0);
        ck_assert_int_eq(host_observer_new(m->root_fd, m->snapshot->topology, &m->host), 0);
        look(machine);
}

static void machine_done(Machine *machine) {
        (void)host_observer_free(machine->m.host);
        (void)snapshot_free(machine->m.snapshot);
        tree_done(&machine->tree);
}

static void assert_set(const IdSet *set, const char *want) {
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(idset_format(set, &text), 0);
        ck_assert_str_eq(text, want);
}

static void write_stat(const Machine *machine, const char *cpus) {
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(strprintf_to(&text, "cpu  1 2 3 4\n%sintr 1\n", cpus), 0);
        tree_write(&machine->tree, "proc/stat", text);
}

#define STAT_WITHOUT_9 "cpu1 1 2 3 4\ncpu2 1 2 3 4\ncpu6 1 2 3 4\n"

static void take_cpu_9_offline(const Machine *machine) {
        write_stat(machine, STAT_WITHOUT_9);
        tree_write(&machine->tree, CPUS "online", "1-2,6\n");
        tree_write(&machine->tree, NODES "node2/cpumap", "40\n");
        tree_write(&machine->tree, NODES "node2/cpulist", "6\n");
}

START_TEST(a_cpu_that_goes_offline) {
        Machine machine;
        const Topology *before;

        machine_init(&machine);
        before = machine.m.snapshot->topology;
        assert_set(&before->online, "1-2,6,9");
        look(&machine);
        ck_assert_msg(machine.m.snapshot->topology == before, "read again though nothing changed");
        take_cpu_9_offline(&machine);
        look(&machine);
        assert_set(&machine.m.snapshot->topology->online, "1-2,6");
        assert_set(&topology_node(machine.m.snapshot->topology, 2)->cpus, "6");
        before = machine.m.snapshot->topology;
        look(&machine);
        ck_assert_msg(machine.m.snapshot->topology == before, "read again though nothing changed");
        machine_done(&machine);
}
END_TEST

/* The kernel says one thing, hwloc another: once is enough. */
START_TEST(a_machine_on_which_hwloc_disagrees_is_read_once) {
        Machine machine;
        const Topology *before;

        machine_init(&machine);
        write_stat(&machine, "cpu1 1 2 3 4\ncpu2 1 2 3 4\ncpu6 1 2 3 4\ncpu9 1 2 3 4\ncpu70 1 2 3 4\n");
        look(&machine);
        before = machine.m.snapshot->topology;
        for (unsigned i = 0; i < 3; i++) {
                look(&machine);
                ck_assert(machine.m.snapshot->topology == before);
        }
        machine_done(&machine);
}
END_TEST

START_TEST(memory_added_to_a_node_counts_at_once) {
        Machine machine;
        const Topology *before;

        machine_init(&machine);
        before = machine.m.snapshot->topology;
        ck_assert_uint_eq(topology_node(before, 2)->memory_bytes, 3000000 * KIB);
        tree_write(&machine.tree, NODES "node2/meminfo",
                   "Node 2 MemTotal:       7000000 kB\nNode 2 MemFree:        6000000 kB\n");
        look(&machine);
        ck_assert(machine.m.snapshot->topology == before);
        ck_assert_uint_eq(topology_node(before, 2)->memory_bytes, 7000000 * KIB);
        ck_assert_uint_eq(host_node(&machine.m.snapshot->host, 2)->free_bytes, 6000000 * KIB);
        machine_done(&machine);
}
END_TEST

static void remove_node_33(const Machine *machine) {
        char command[256];

        tree_write(&machine->tree, NODES "online", "0,2\n");
        (void)snprintf(command, sizeof(command), "rm -r %s/" NODES "node33", machine->tree.dir);
        ck_assert_int_eq(system(command), 0);
}

static Guest *add_guest(const Machine *machine) {
        Guest *g = NULL;

        ck_assert_int_eq(guest_new("g", NULL, &g), 0);
        g->node_memory = calloc(2, sizeof(*g->node_memory));
        g->node_memory[0] = (GuestNodeMemory){ .node = 2, .bytes = GIB };
        g->node_memory[1] = (GuestNodeMemory){ .node = 33, .bytes = GIB };
        g->n_node_memory = 2;
        g->vfio_nodes = idset_of(33);
        ck_assert_int_eq(snapshot_put_guest(machine->m.snapshot, g), 0);
        return g;
}

START_TEST(a_node_that_goes_while_guests_are_on_it) {
        Machine machine;
        Guest *g;

        machine_init(&machine);
        g = add_guest(&machine);
        look(&machine);
        ck_assert_uint_eq(g->n_node_memory, 2);
        remove_node_33(&machine);
        look(&machine);
        ck_assert_uint_eq(machine.m.snapshot->topology->n_nodes, 2);
        /* In the same instant, or a decision would see a node of which nothing is known. */
        ck_assert_uint_eq(machine.m.snapshot->host.n_nodes, 2);
        ck_assert_ptr_null(host_node(&machine.m.snapshot->host, 33));
        ck_assert_uint_eq(g->n_node_memory, 0);
        ck_assert(idset_is_empty(&g->vfio_nodes));
        machine_done(&machine);
}
END_TEST

START_TEST(a_node_that_comes) {
        Machine machine;

        machine_init(&machine);
        remove_node_33(&machine);
        look(&machine);
        ck_assert_uint_eq(machine.m.snapshot->host.n_nodes, 2);
        tree_write(&machine.tree, NODES "node33/meminfo",
                   "Node 33 MemTotal:       8000000 kB\nNode 33 MemFree:        8000000 kB\n");
        tree_write(&machine.tree, NODES "node33/cpumap", "0\n");
        tree_write(&machine.tree, NODES "node33/cpulist", "\n");
        tree_write(&machine.tree, NODES "node33/distance", "31 31 10\n");
        tree_write(&machine.tree, NODES "online", "0,2,33\n");
        look(&machine);
        ck_assert_uint_eq(machine.m.snapshot->topology->n_nodes, 3);
        ck_assert_uint_eq(host_node(&machine.m.snapshot->host, 33)->total_bytes, 8000000 * KIB);
        machine_done(&machine);
}
END_TEST

/* What was measured of the CPUs that stay is not lost with the topology. */
START_TEST(rates_outlive_the_topology) {
        Machine machine;

        machine_init(&machine);
        write_stat(&machine, "cpu1 0 0 0 0\ncpu2 0 0 0 0\ncpu6 0 0 0 0\ncpu9 0 0 0 0\n");
        look(&machine);
        take_cpu_9_offline(&machine);
        write_stat(&machine, "cpu1 50 0 0 50\ncpu2 0 0 0 100\ncpu6 0 0 0 100\n");
        look(&machine);
        ck_assert_uint_eq(host_cpu(&machine.m.snapshot->host, 1)->busy_permyriad, 5000);
        write_stat(&machine, "cpu1 60 0 0 140\ncpu2 0 0 0 200\ncpu6 0 0 0 200\n");
        look(&machine);
        ck_assert_uint_eq(host_cpu(&machine.m.snapshot->host, 1)->busy_permyriad, 1000);
        machine_done(&machine);
}
END_TEST

START_TEST(a_cpuset_partition_that_comes_and_goes) {
        Machine machine;
        const Topology *t;

        machine_init(&machine);
        t = machine.m.snapshot->topology;
        assert_set(&t->isolated, "6");
        (void)host_observer_free(machine.m.host);
        tree_write(&machine.tree, "sys/fs/cgroup/cpuset.cpus.isolated", "\n");
        ck_assert_int_eq(host_observer_new(machine.tree.fd, t, &machine.m.host), 0);
        look(&machine);
        tree_write(&machine.tree, "sys/fs/cgroup/cpuset.cpus.isolated", "1,70\n");
        look(&machine);
        assert_set(&t->isolated, "1,6");
        tree_write(&machine.tree, "sys/fs/cgroup/cpuset.cpus.isolated", "\n");
        look(&machine);
        assert_set(&t->isolated, "6");
        ck_assert(machine.m.snapshot->topology == t);
        machine_done(&machine);
}
END_TEST

int main(void) {
        Suite *s = suite_create("manager_hotplug");
        TCase *tc = tcase_create("hotplug");
        SRunner *runner;
        int failed;

        tcase_add_test(tc, a_cpu_that_goes_offline);
        tcase_add_test(tc, a_machine_on_which_hwloc_disagrees_is_read_once);
        tcase_add_test(tc, memory_added_to_a_node_counts_at_once);
        tcase_add_test(tc, a_node_that_goes_while_guests_are_on_it);
        tcase_add_test(tc, a_node_that_comes);
        tcase_add_test(tc, rates_outlive_the_topology);
        tcase_add_test(tc, a_cpuset_partition_that_comes_and_goes);
        suite_add_tcase(s, tc);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed > 0;
}
