/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../../lib/guest_memory.h"
#include "../../lib/observe.h"

#include "tree.h"

#include <stdarg.h>

static Guest *new_guest(void) {
        Guest *g = NULL;

        ck_assert_int_eq(guest_new("g", NULL, &g), 0);
        return g;
}

static void assert_memory(const Guest *g, size_t n, ...) {
        va_list ap;

        ck_assert_uint_eq(g->n_node_memory, n);
        va_start(ap, n);
        for (size_t i = 0; i < n; i++) {
                ck_assert_uint_eq(g->node_memory[i].node, va_arg(ap, unsigned));
                ck_assert_uint_eq(g->node_memory[i].bytes, va_arg(ap, uint64_t));
        }
        va_end(ap);
}

static void observe(int root_fd, int32_t pid, Guest *g) {
        GuestMemoryObserver o;

        ck_assert_int_eq(guest_memory_init(&o, pid), 0);
        ck_assert_int_eq(guest_memory_observe(&o, root_fd, g), 0);
        guest_memory_done(&o);
}

/* Cache of disk images is charged to the guest but is not its memory. */
START_TEST(cgroup_counts_anonymous_and_shared_memory) {
        _cleanup_(guest_freep) Guest *g = new_guest();
        _cleanup_close_ int root = fixture_open("two-nodes");

        observe(root, 4242, g);
        assert_memory(g, 2, 0U, UINT64_C(268435456) + 1048576, 1U, UINT64_C(4096) + 2097152);
}
END_TEST

/* Programs, libraries and mapped disk images are left out; page sizes differ. */
#define MAPS_NODE0 ((UINT64_C(200) + 500 + 7) * 4096 + 2 * 2 * MIB)
#define MAPS_NODE1 ((UINT64_C(50) + 1000 + 1500) * 4096 + 2 * MIB)

START_TEST(numa_maps_where_there_is_no_cgroup) {
        _cleanup_(guest_freep) Guest *g = new_guest();
        _cleanup_close_ int root = fixture_open("two-nodes");

        observe(root, 4300, g);
        assert_memory(g, 2, 0U, MAPS_NODE0, 1U, MAPS_NODE1);
}
END_TEST

/* The memory controller does not charge pages of a pool. */
START_TEST(numa_maps_for_a_guest_on_huge_pages) {
        _cleanup_(guest_freep) Guest *g = new_guest();
        _cleanup_close_ int root = fixture_open("two-nodes");

        g->hugepages = true;
        observe(root, 4242, g);
        assert_memory(g, 2, 0U, MAPS_NODE0, 1U, MAPS_NODE1);
}
END_TEST

START_TEST(sparse_nodes_come_out_sorted) {
        _cleanup_(guest_freep) Guest *g = new_guest();
        _cleanup_tree_ Tree t = tree_new();

        tree_write(&t, "proc/5/numa_maps",
                   "7f0000000000 default anon=9 N33=4 N2=3 N0=2 kernelpagesize_kB=4\n"
                   "7f1000000000 default anon=9 N34=1 N2=1 kernelpagesize_kB=64\n");
        observe(t.fd, 5, g);
        assert_memory(g, 4, 0U, UINT64_C(8192), 2U, UINT64_C(12288) + 65536, 33U, UINT64_C(16384), 34U,
                      UINT64_C(65536));
}
END_TEST

static const struct {
        const char *name, *text;
} bad_rows[] = {
        { "empty", "" },
        { "node out of bounds", "7f0000000000 default anon=9 N4096=4 kernelpagesize_kB=4\n" },
        { "node overflows", "7f0000000000 default anon=9 N99999999999=4 kernelpagesize_kB=4\n" },
        { "no number", "7f0000000000 default anon=9 N0= kernelpagesize_kB=4\n" },
        { "pages overflow", "7f0000000000 default anon=9 N0=99999999999999999999 kernelpagesize_kB=4\n" },
        { "page size overflows", "7f0000000000 default anon=9 N0=9 kernelpagesize_kB=18446744073709551615\n" },
        { "binary", "\x01\xff\xfe N0=\x02" },
};

START_TEST(what_cannot_be_understood_is_not_known) {
        _cleanup_(guest_freep) Guest *g = new_guest();
        _cleanup_tree_ Tree t = tree_new();

        g->node_memory = calloc(1, sizeof(*g->node_memory));
        g->n_node_memory = 1;
        tree_write(&t, "proc/5/numa_maps", bad_rows[_i].text);
        observe(t.fd, 5, g);
        ck_assert_msg(g->n_node_memory == 0, "%s", bad_rows[_i].name);
}
END_TEST

START_TEST(a_word_that_only_looks_like_a_node_is_none) {
        _cleanup_(guest_freep) Guest *g = new_guest();
        _cleanup_tree_ Tree t = tree_new();

        tree_write(&t, "proc/5/numa_maps",
                   "7f0000000000 default file=/memfd:x\\040N0=77 Nothing N1=1 kernelpagesize_kB=4\n");
        observe(t.fd, 5, g);
        assert_memory(g, 1, 1U, UINT64_C(4096));
}
END_TEST

START_TEST(both_sources_are_kept_open) {
        _cleanup_(guest_freep) Guest *g = new_guest();
        _cleanup_tree_ Tree t = tree_new();
        GuestMemoryObserver o;

        tree_write(&t, "proc/5/cgroup", "0::/machine/qemu-1-x.libvirt-qemu/libvirt/emulator\n");
        tree_write(&t, "sys/fs/cgroup/machine/qemu-1-x.libvirt-qemu/memory.numa_stat", "anon N0=1\nfile N0=2\n");
        tree_write(&t, "proc/5/numa_maps", "7f0000000000 default anon=9 N0=1 kernelpagesize_kB=4\n");
        ck_assert_int_eq(guest_memory_init(&o, 5), 0);
        ck_assert_int_eq(guest_memory_observe(&o, t.fd, g), 0);
        g->hugepages = true;
        ck_assert_int_eq(guest_memory_observe(&o, t.fd, g), 0);
        tree_remove(&t, "proc/5/cgroup");
        tree_remove(&t, "proc/5/numa_maps");
        tree_remove(&t, "sys/fs/cgroup/machine/qemu-1-x.libvirt-qemu/memory.numa_stat");
        ck_assert_int_eq(guest_memory_observe(&o, t.fd, g), 0);
        assert_memory(g, 1, 0U, UINT64_C(4096));
        g->hugepages = false;
        ck_assert_int_eq(guest_memory_observe(&o, t.fd, g), 0);
        assert_memory(g, 1, 0U, UINT64_C(1));
        guest_memory_done(&o);
}
END_TEST

/* One read that fails, the first even, does not end it. */
START_TEST(numa_maps_that_could_not_be_read_once) {
        _cleanup_(guest_freep) Guest *g = new_guest();
        _cleanup_tree_ Tree t = tree_new();
        GuestMemoryObserver o;

        ck_assert_int_eq(guest_memory_init(&o, 5), 0);
        ck_assert_int_eq(guest_memory_observe(&o, t.fd, g), 0);
        ck_assert_uint_eq(g->n_node_memory, 0);
        tree_write(&t, "proc/5/numa_maps", "7f0000000000 default anon=9 N1=1 kernelpagesize_kB=4\n");
        ck_assert_int_eq(guest_memory_observe(&o, t.fd, g), 0);
        assert_memory(g, 1, 1U, UINT64_C(4096));
        guest_memory_done(&o);
}
END_TEST

/* What the kernel says of this very process: 64 MiB touched must show. */
START_TEST(this_process) {
        _cleanup_(guest_freep) Guest *g = new_guest();
        _cleanup_close_ int root = sysfs_open_root("/");
        const size_t size = 64 * MIB;
        uint64_t before = 0, after = 0;
        char *p;

        if (access("/proc/self/numa_maps", R_OK) < 0)
                return;
        observe(root, getpid(), g);
        for (size_t i = 0; i < g->n_node_memory; i++)
                before += g->node_memory[i].bytes;
        p = malloc(size);
        ck_assert_ptr_nonnull(p);
        memset(p, 1, size);
        observe(root, getpid(), g);
        for (size_t i = 0; i < g->n_node_memory; i++)
                after += g->node_memory[i].bytes;
        ck_assert_int_eq(p[size / 2], 1);
        free(p);
        ck_assert_uint_ge(after, before + size);
}
END_TEST

int main(void) {
        Suite *s = suite_create("observe_guest_memory");
        TCase *c = tcase_create("all");
        SRunner *runner;
        int failed;

        suite_add_tcase(s, c);
        tcase_set_timeout(c, 60);
        tcase_add_test(c, cgroup_counts_anonymous_and_shared_memory);
        tcase_add_test(c, numa_maps_where_there_is_no_cgroup);
        tcase_add_test(c, numa_maps_for_a_guest_on_huge_pages);
        tcase_add_test(c, sparse_nodes_come_out_sorted);
        tcase_add_loop_test(c, what_cannot_be_understood_is_not_known, 0, (int)ELEMENTSOF(bad_rows));
        tcase_add_test(c, a_word_that_only_looks_like_a_node_is_none);
        tcase_add_test(c, both_sources_are_kept_open);
        tcase_add_test(c, numa_maps_that_could_not_be_read_once);
        tcase_add_test(c, this_process);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
