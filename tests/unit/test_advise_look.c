/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The host as an adviser sees it: libvirt's status files and /proc, in a tree of the test's own. */

#include "../../daemon/advise.h"
#include "tree.h"

#include <time.h>

#define UUID "01234567-89ab-cdef-0123-456789abcde"

static uint64_t ticks_ago(unsigned sec) {
        struct timespec t;

        ck_assert_int_eq(clock_gettime(CLOCK_BOOTTIME, &t), 0);
        return (uint64_t)MAX(t.tv_sec - (time_t)sec, (time_t)0) * (uint64_t)sysconf(_SC_CLK_TCK);
}

static void add_host(const Tree *t) {
        tree_write(t, "proc/meminfo", "MemTotal: 8388608 kB\nMemFree: 4194304 kB\nMemAvailable: 4194304 kB\n"
                                      "Buffers: 0 kB\nCached: 0 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n");
        tree_write(t, "proc/stat", "cpu 1 0 1 9 0 0 0 0 0 0\ncpu0 1 0 1 9 0 0 0 0 0 0\n");
}

/* A process named @comm that began @sec ago and has @pages resident. */
static void add_process(const Tree *t, unsigned pid, const char *comm, unsigned sec, unsigned pages) {
        char path[64], text[256];

        (void)snprintf(path, sizeof(path), "proc/%u/comm", pid);
        (void)snprintf(text, sizeof(text), "%s\n", comm);
        tree_write(t, path, text);
        (void)snprintf(path, sizeof(path), "proc/%u/task/%u/comm", pid, pid);
        tree_write(t, path, text);
        (void)snprintf(path, sizeof(path), "proc/%u/task/%u/schedstat", pid, pid);
        tree_write(t, path, "1 1 1\n");
        (void)snprintf(path, sizeof(path), "proc/%u/stat", pid);
        (void)snprintf(text, sizeof(text), "%u (%s) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %llu 1 1\n", pid, comm,
                       (unsigned long long)ticks_ago(sec));
        tree_write(t, path, text);
        (void)snprintf(path, sizeof(path), "proc/%u/statm", pid);
        (void)snprintf(text, sizeof(text), "%u %u 0 0 0 0 0\n", pages, pages);
        tree_write(t, path, text);
        (void)snprintf(path, sizeof(path), "proc/%u/status", pid);
        tree_write(t, path, "Name:\tx\nHugetlbPages:\t   2048 kB\n");
}

/* @digit ends its UUID. */
static void add_status(const Tree *t, const char *name, char digit, unsigned pid, const char *more) {
        char path[128], text[1024];

        (void)snprintf(path, sizeof(path), "run/libvirt/qemu/%s.xml", name);
        (void)snprintf(text, sizeof(text),
                       "<domstatus state='running' pid='%u'><numad nodeset='0'/><domain type='kvm'><name>%s</name>"
                       "<uuid>" UUID "%c</uuid><memory unit='MiB'>64</memory><vcpu>2</vcpu>%s</domain></domstatus>",
                       pid, name, digit, more);
        tree_write(t, path, text);
}

static AdviseLook look_at(const Tree *t, State *state) {
        AdviseLook look;

        ck_assert_int_eq(advise_look(t->fd, state, &look), 0);
        ck_assert_ptr_nonnull(look.snapshot->topology);
        ck_assert_uint_eq(look.n_guests, look.snapshot->n_guests);
        return look;
}

START_TEST(guests_are_those_with_a_status_file_and_a_process) {
        _cleanup_tree_ Tree t = tree_new();
        _cleanup_(state_freep) State *state = NULL;
        const Guest *young, *old;
        AdviseLook look;

        add_host(&t);
        ck_assert_int_eq(state_new(&state), 0);
        add_status(&t, "young", '0', 100, "");
        add_process(&t, 100, "qemu-system-x86", 5, 4096);
        add_status(&t, "old", '1', 101, "<memoryBacking><hugepages/></memoryBacking>");
        add_process(&t, 101, "qemu-kvm", 120, 1024);
        add_status(&t, "gone", '2', 102, "");
        add_status(&t, "another-process", '3', 103, "");
        add_process(&t, 103, "bash", 5, 1);
        add_status(&t, "not-yet", '4', 0, "");
        add_status(&t, "twice", '0', 100, "");
        tree_write(&t, "run/libvirt/qemu/broken.xml", "<domstatus><domain>");
        tree_write(&t, "run/libvirt/qemu/empty.xml", "");
        tree_write(&t, "run/libvirt/qemu/.xml", "");
        tree_write(&t, "run/libvirt/qemu/young.pid", "100\n");
        look = look_at(&t, state);
        ck_assert_uint_eq(look.n_guests, 2);
        young = snapshot_find_guest(look.snapshot, UUID "0");
        old = snapshot_find_guest(look.snapshot, UUID "1");
        ck_assert(young && old);
        ck_assert(young->starting && !old->starting);
        ck_assert_uint_eq(young->rss_bytes, 4096 * (uint64_t)sysconf(_SC_PAGESIZE));
        /* Pages of a pool count, too, for a guest that has its memory there. */
        ck_assert_uint_eq(old->rss_bytes, 1024 * (uint64_t)sysconf(_SC_PAGESIZE) + 2 * MIB);
        ck_assert(idset_contains(&young->advised_nodes, 0));
        advise_look_done(&look);
}
END_TEST

START_TEST(a_host_without_libvirt_has_no_guests) {
        _cleanup_tree_ Tree t = tree_new();
        _cleanup_(state_freep) State *state = NULL;
        AdviseLook look;

        add_host(&t);
        ck_assert_int_eq(state_new(&state), 0);
        look = look_at(&t, state);
        ck_assert_uint_eq(look.n_guests, 0);
        ck_assert_uint_eq(look.snapshot->host.memory.total_bytes, 8 * GIB);
        advise_look_done(&look);
}
END_TEST

START_TEST(one_look_has_no_loads) {
        _cleanup_tree_ Tree t = tree_new();
        _cleanup_(state_freep) State *state = NULL;
        AdviseLook look;

        add_host(&t);
        ck_assert_int_eq(state_new(&state), 0);
        look = look_at(&t, state);
        ck_assert_uint_eq(look.snapshot->host.n_cpus, 1);
        ck_assert_uint_eq(look.snapshot->host.cpus[0].busy_permyriad, UNKNOWN_PERMYRIAD);
        ck_assert_uint_eq(look.snapshot->interval_usec, 0);
        advise_look_done(&look);
}
END_TEST

START_TEST(a_place_belongs_to_one_run_of_a_guest) {
        _cleanup_tree_ Tree t = tree_new();
        _cleanup_(state_freep) State *state = NULL;
        GuestMemo *memo;
        AdviseLook look;

        add_host(&t);
        add_status(&t, "g", '0', 100, "");
        add_process(&t, 100, "qemu-system-x86", 5, 1);
        ck_assert_int_eq(state_new(&state), 0);
        ck_assert_int_eq(state_guest(state, UUID "0", &memo), 0);
        memo->start_time = 1;
        look = look_at(&t, state);
        ck_assert_ptr_null(state_find_guest(state, UUID "0"));
        advise_look_done(&look);
}
END_TEST

START_TEST(a_host_without_meminfo_is_an_error) {
        _cleanup_tree_ Tree t = tree_new();
        _cleanup_(state_freep) State *state = NULL;
        AdviseLook look;

        ck_assert_int_eq(state_new(&state), 0);
        ck_assert_int_lt(advise_look(t.fd, state, &look), 0);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("advise_look");
        TCase *tc = tcase_create("look");
        SRunner *runner;
        int failed;

        tcase_add_test(tc, guests_are_those_with_a_status_file_and_a_process);
        tcase_add_test(tc, a_host_without_libvirt_has_no_guests);
        tcase_add_test(tc, one_look_has_no_loads);
        tcase_add_test(tc, a_place_belongs_to_one_run_of_a_guest);
        tcase_add_test(tc, a_host_without_meminfo_is_an_error);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
