/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../../lib/observe.h"

#include "tree.h"

#define UUID "c2177883-f1bb-47f0-914d-32a22e3a8804"
#define NIC "0000:3b:00.0"
#define DISK "10000:01:00.0"

/* Three PCI devices and an mdev as /sys has them: its folder lies in its parent's, found through a link. */
static Tree new_tree(void) {
        Tree t = tree_new();

        tree_write(&t, "sys/bus/pci/devices/" NIC "/numa_node", "1\n");
        tree_write(&t, "sys/bus/pci/devices/" DISK "/numa_node", "33\n");
        tree_write(&t, "sys/bus/pci/devices/0000:00:01.0/numa_node", "-1\n");
        tree_write(&t, "sys/bus/pci/devices/0000:00:02.0/numa_node", "7\n");
        tree_write(&t, "sys/bus/pci/devices/0000:00:03.0/numa_node", "x\n");
        tree_write(&t, "sys/devices/pci0000:80/0000:80:02.0/numa_node", "2\n");
        tree_write(&t, "sys/devices/pci0000:80/0000:80:02.0/" UUID "/mdev_type", "\n");
        tree_write(&t, "sys/bus/mdev/devices/none", "");
        ck_assert_int_eq(symlinkat("../../../devices/pci0000:80/0000:80:02.0/" UUID, t.fd,
                                   "sys/bus/mdev/devices/" UUID), 0);
        return t;
}

static const struct {
        const char *name, *devices, *want;
} rows[] = {
        { "no device", NULL, "" },
        { "a PCI device", NIC, "1" },
        { "an mdev is where its parent is", UUID, "2" },
        { "several, on different nodes", NIC " " DISK " " UUID, "1-2,33" },
        { "two on one node", NIC " " NIC, "1" },
        { "a domain of more than four digits", DISK, "33" },
        { "the firmware says nothing", "0000:00:01.0", "" },
        { "a node that the topology does not have", "0000:00:02.0", "" },
        { "not a number", "0000:00:03.0", "" },
        { "unplugged meanwhile", "0000:ff:00.0 " NIC, "1" },
        { "an mdev that is gone", "00000000-0000-0000-0000-000000000000", "" },
};

START_TEST(devices_are_where_the_kernel_says) {
        TopologyNode nodes[] = { { .id = 1 }, { .id = 2 }, { .id = 33 } };
        Topology topology = { .nodes = nodes, .n_nodes = ELEMENTSOF(nodes) };
        _cleanup_(guest_freep) Guest *g = NULL;
        _cleanup_tree_ Tree t = new_tree();
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(guest_new("g", NULL, &g), 0);
        ck_assert_int_eq(strdup_to(&g->vfio_devices, rows[_i].devices), 0);
        /* What was known before does not stay. */
        g->vfio_nodes = idset_of(1000);
        guest_devices_observe(t.fd, &topology, g);
        ck_assert_int_eq(idset_format(&g->vfio_nodes, &text), 0);
        ck_assert_msg(streq(text, rows[_i].want), "%s: %s", rows[_i].name, text);
}
END_TEST

int main(void) {
        Suite *s = suite_create("observe_guest_device");
        TCase *tc = tcase_create("devices");
        SRunner *runner;
        int failed;

        tcase_add_loop_test(tc, devices_are_where_the_kernel_says, 0, (int)ELEMENTSOF(rows));
        suite_add_tcase(s, tc);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed > 0;
}
