/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which ranges are moved, from recorded maps; and the mover's life on a machine
 * of whatever nodes it has. Real moves need several nodes (tests/lab).
 */
#include "../../daemon/mover.h"
#include "../../daemon/mover_ranges.h"
#include "tree.h"

#include <check.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <numa.h>
#include <numaif.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define UUID "00000000-0000-4000-8000-00000000000a"

static const IdSet no_nodes;

/* In place of libnuma's: the kernel's answer, or that no page is there, or none but those that were read. */
static bool unseen;
static bool refused;                    /* to read */
static uintptr_t read_pages[4096];
static size_t n_read, n_asked, most_read; /* pages; in one call */

static bool was_read(const void *page) {
        for (size_t i = 0; i < n_read; i++)
                if (read_pages[i] == (uintptr_t)page)
                        return true;
        return false;
}

/* The host of a process that is none: what is below SHARED others map, too; all its pages begin on node 1. */
#define SHARED ((uintptr_t)1 << 44)
static bool imagined;
static uintptr_t moved_pages[64];
static int moved_to[64];
static size_t n_moved, n_moves; /* pages; calls */

static int node_of(const void *page) {
        for (size_t i = 0; i < n_moved; i++)
                if (moved_pages[i] == (uintptr_t)page)
                        return moved_to[i];
        return 1;
}

static int move_imagined(unsigned long count, void **pages, const int *nodes, int *status, int flags) {
        for (unsigned long i = 0; i < count; i++) {
                bool alone = (uintptr_t)pages[i] >= SHARED || flags == MPOL_MF_MOVE_ALL;

                if (nodes && alone && n_moved < ELEMENTSOF(moved_pages)) {
                        moved_to[n_moved] = nodes[i];
                        moved_pages[n_moved++] = (uintptr_t)pages[i];
                }
                status[i] = nodes && !alone ? -EACCES : node_of(pages[i]);
                if (unseen && !was_read(pages[i]))
                        status[i] = -EFAULT;
        }
        n_moves += nodes != NULL;
        return 0;
}

/* The imagined host has less free memory the higher the number of the node. */
long long numa_node_size64(int node, long long *ret_free) {
        long long (*real)(int, long long *) = NULL;

        if (imagined) {
                *ret_free = (long long)(8 * GIB) / (node + 1);
                return (long long)(16 * GIB);
        }
        *(void **)&real = dlsym(RTLD_NEXT, "numa_node_size64");
        return real ? real(node, ret_free) : -1;
}

int numa_move_pages(int pid, unsigned long count, void **pages, const int *nodes, int *status, int flags) {
        int r;

        if (imagined)
                return move_imagined(count, pages, nodes, status, flags);
        r = (int)syscall(SYS_move_pages, pid, count, pages, nodes, status, flags);
        n_asked += count;
        for (unsigned long i = 0; unseen && i < count; i++)
                if (refused || !was_read(pages[i]))
                        status[i] = -EFAULT;
        return unseen ? 0 : r;
}

ssize_t process_vm_readv(pid_t pid, const struct iovec *local, unsigned long n_local, const struct iovec *remote,
                         unsigned long n_remote, unsigned long flags) {
        for (unsigned long i = 0; i < n_remote && n_read < ELEMENTSOF(read_pages); i++)
                read_pages[n_read++] = (uintptr_t)remote[i].iov_base;
        most_read = MAX(most_read, n_remote);
        if (imagined)
                return (ssize_t)n_remote;
        if (refused) {
                errno = EPERM;
                return -1;
        }
        return syscall(SYS_process_vm_readv, pid, local, n_local, remote, n_remote, flags);
}

static const char maps[] = "55d0c0000000-55d0c0400000 r-xp 00000000 08:01 1 /usr/bin/qemu-system-x86_64\n"
                           "55d0c1000000-55d0c1010000 rw-p 00000000 08:01 1 /usr/bin/qemu-system-x86_64\n"
                           "55d0c2000000-55d0c2200000 rw-p 00000000 00:00 0 [heap]\n"
                           "7f0000000000-7f0040000000 rw-p 00000000 00:00 0 \n"
                           "7f1000000000-7f1040000000 rw-s 00000000 00:01 9 /memfd:ram (deleted)\n"
                           "7f1800000000-7f1800100000 rw-s 00000000 00:19 8 /dev/shm/ivshmem\n"
                           "7f2000000000-7f2040000000 rw-p 00000000 00:0f 7 /dev/hugepages/libvirt/qemu/1\n"
                           "7f2800000000-7f2840000000 rw-s 00000000 00:0f 7 /dev/hugepages/libvirt/qemu/2\n"
                           "7f3000000000-7f3000100000 rw-p 00000000 00:00 0 \n"
                           "7f4000000000-7f4000100000 rw-p 00000000 00:00 0 \n"
                           "7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0 [stack]\n"
                           "7ffc00100000-7ffc00101000 r-xp 00000000 00:00 0 [vdso]\n";

static const char numa_maps[] =
        "55d0c0000000 default file=/usr/bin/qemu-system-x86_64 mapped=900 N0=900 kernelpagesize_kB=4\n"
        "55d0c1000000 default file=/usr/bin/qemu-system-x86_64 anon=16 dirty=16 N0=16 kernelpagesize_kB=4\n"
        "55d0c2000000 default heap anon=512 dirty=512 N0=500 N1=12 kernelpagesize_kB=4\n"
        "7f0000000000 bind:0-1 anon=262144 dirty=262144 N0=262144 kernelpagesize_kB=4\n"
        "7f1000000000 prefer:0 file=/memfd:ram\\040(deleted) dirty=10 N0=10 kernelpagesize_kB=4\n"
        "7f1800000000 default file=/dev/shm/ivshmem dirty=4 mapmax=2 N0=4 kernelpagesize_kB=4\n"
        "7f2000000000 default file=/dev/hugepages/libvirt/qemu/1 huge anon=512 dirty=512 N0=512 "
        "kernelpagesize_kB=2048\n"
        "7f2800000000 default file=/dev/hugepages/libvirt/qemu/2 huge dirty=1 mapmax=2 N0=1 "
        "kernelpagesize_kB=2048\n"
        "7f3000000000 default anon=256 dirty=256 N1=256 kernelpagesize_kB=4\n"
        "7f4000000000 bind:0 anon=256 dirty=256 N0=256 kernelpagesize_kB=4\n"
        "7f5000000000 default anon=256 dirty=256 N0=256 kernelpagesize_kB=4\n"
        "7ffc00000000 default stack anon=4 dirty=4 N0=4 kernelpagesize_kB=4\n"
        "7ffc00100000 default\n";

/* To node 1: program, its data, what is there already, what is bound elsewhere and what has no mapping stay. */
START_TEST(test_guest_memory_elsewhere_is_moved_and_nothing_else) {
        static const struct {
                uint64_t from, page_bytes;
                bool huge, shared;
        } want[] = {
                { 0x55d0c2000000, 4 * KIB, false, false }, { 0x7f0000000000, 4 * KIB, false, false },
                { 0x7f1000000000, 4 * KIB, false, true }, { 0x7f1800000000, 4 * KIB, false, false },
                { 0x7f2000000000, 2 * MIB, true, false }, { 0x7f2800000000, 2 * MIB, true, true },
                { 0x7ffc00000000, 4 * KIB, false, false },
        };
        _cleanup_free_ MoverRange *ranges = NULL;
        IdSet targets = idset_of(1);
        size_t n;

        ck_assert_int_eq(mover_ranges_parse(maps, numa_maps, &targets, &ranges, &n), 0);
        ck_assert_uint_eq(n, ELEMENTSOF(want));
        for (size_t i = 0; i < n; i++) {
                ck_assert_uint_eq(ranges[i].from, want[i].from);
                ck_assert_uint_eq(ranges[i].page_bytes, want[i].page_bytes);
                ck_assert_int_eq(ranges[i].huge, want[i].huge);
                ck_assert_int_eq(ranges[i].shared, want[i].shared);
                ck_assert(idset_equal(&ranges[i].targets, &targets));
        }
        ck_assert_uint_eq(ranges[1].to, 0x7f0040000000);
        ck_assert_uint_eq(ranges[0].n_pages, 512);
}
END_TEST

START_TEST(test_bound_memory_goes_to_allowed_targets_only) {
        _cleanup_free_ MoverRange *ranges = NULL;
        IdSet targets = IDSET_EMPTY;
        size_t n;

        ck_assert_int_eq(idset_add_range(&targets, 1, 3), 0);
        ck_assert_int_eq(mover_ranges_parse(maps, numa_maps, &targets, &ranges, &n), 0);
        ck_assert_uint_eq(ranges[1].from, 0x7f0000000000);
        ck_assert_uint_eq(idset_count(&ranges[1].targets), 1);
        ck_assert(idset_contains(&ranges[1].targets, 1));
}
END_TEST

static const struct {
        const char *numa_maps;
        int result;
} text_rows[] = {
        { "", 0 },
        { "\n", 0 },
        { "zzz default\n", -EBADMSG },
        { "7f0000000000\n", -EBADMSG },
        { "7f0000000000 bind:x N0=1\n", -EBADMSG },
        { "7f0000000000 default N0= N=1 Nx N99999999999=1\n", 0 },
        { "7f0000000000 default N0=1 kernelpagesize_kB=0\n", 0 },
        { "7f0000000000 default N0=1 kernelpagesize_kB=99999999999999999999\n", 0 },
};

START_TEST(test_strange_text_does_no_harm) {
        _cleanup_free_ MoverRange *ranges = NULL;
        IdSet targets = idset_of(1);
        size_t n;
        int r = mover_ranges_parse(maps, text_rows[_i].numa_maps, &targets, &ranges, &n);

        ck_assert_msg(r == text_rows[_i].result, "%s: %d", text_rows[_i].numa_maps, r);
}
END_TEST

/*
 * Another program, for a copy of this one may be full of a sanitizer's address
 * space. The pipe closes when it runs.
 */
static pid_t start_child(void) {
        int ends[2];
        pid_t pid;
        char c;

        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                (void)execl("/bin/sleep", "sleep", "1000", (char *)NULL);
                _exit(1);
        }
        (void)safe_close(ends[1]);
        ck_assert_int_eq(read(ends[0], &c, 1), 0);
        (void)safe_close(ends[0]);
        return pid;
}

static void end_child(pid_t pid) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
}

static MoverReport wait_report(Mover *m) {
        struct pollfd p = { .fd = mover_get_fd(m), .events = POLLIN };
        MoverReport report;

        ck_assert_int_eq(poll(&p, 1, -1), 1);
        ck_assert_int_eq(mover_take_report(m, &report), 0);
        ck_assert_int_eq(poll(&p, 1, 0), 0);
        ck_assert_int_eq(mover_take_report(m, &report), -EAGAIN);
        ck_assert(!mover_busy(m));
        ck_assert_str_eq(report.uuid, UUID);
        return report;
}

static Mover *start(pid_t pid, const IdSet *targets, int *ret_fd) {
        Mover *m;

        *ret_fd = sysfs_open_root("/");
        ck_assert_int_eq(mover_new(*ret_fd, &m), 0);
        ck_assert_int_eq(mover_start(m, UUID, pid, targets, &no_nodes, MIB), 0);
        ck_assert(mover_busy(m));
        ck_assert_int_eq(mover_start(m, UUID, pid, targets, &no_nodes, MIB), -EBUSY);
        return m;
}

START_TEST(test_memory_that_is_there_already_stays) {
        _cleanup_close_ int fd = -EBADF;
        _cleanup_(mover_freep) Mover *m = NULL;
        IdSet all = IDSET_EMPTY;
        pid_t pid = start_child();
        MoverReport report;

        ck_assert_int_eq(idset_add_range(&all, 0, 1023), 0);
        for (int i = 0; i < 2; i++) {
                (void)mover_free(m);
                (void)safe_close(fd);
                m = start(pid, &all, &fd);
                report = wait_report(m);
                ck_assert_int_eq(report.result, 0);
                ck_assert_uint_eq(report.moved_bytes, 0);
                ck_assert_uint_eq(report.failed_bytes, 0);
        }
        end_child(pid);
}
END_TEST

/* Linux 6.1 says so of pages that kernel.numa_balancing has unmapped; numa_maps counts them. */
START_TEST(test_pages_that_are_not_seen_count_as_not_moved) {
        _cleanup_close_ int fd = -EBADF;
        _cleanup_(mover_freep) Mover *m = NULL;
        IdSet nowhere = idset_of(1023);
        pid_t pid = start_child();
        MoverReport report;

        unseen = refused = true;
        n_read = 0;
        m = start(pid, &nowhere, &fd);
        report = wait_report(m);
        unseen = refused = false; /* tests share one process when they are not forked */
        ck_assert_int_eq(report.result, 0);
        ck_assert_uint_eq(report.moved_bytes, 0);
        ck_assert_uint_ge(report.failed_bytes, 4 * KIB);
        end_child(pid);
}
END_TEST

static bool is_in_memory(pid_t pid, uintptr_t address) {
        _cleanup_close_ int fd = -EBADF;
        uint64_t entry = 0;
        char path[32];

        (void)snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(pread(fd, &entry, sizeof(entry), (off_t)(address / (4 * KIB) * sizeof(entry))), 8);
        return entry >> 63;
}

/* They are seen once they were read. Memory that the guest never touched is not read: it would be there then. */
START_TEST(test_pages_that_are_not_seen_are_read_and_looked_for_again) {
        _cleanup_close_ int fd = -EBADF;
        _cleanup_(mover_freep) Mover *m = NULL;
        IdSet nowhere = idset_of(1023);
        pid_t pid = start_child();

        unseen = true;
        refused = _i == 0;
        n_read = n_asked = 0;
        m = start(pid, &nowhere, &fd);
        /* That there is no room is found out when there is something to move. */
        ck_assert_int_eq(wait_report(m).result, refused ? 0 : -ENOMEM);
        unseen = refused = false;
        ck_assert_uint_gt(n_read, 0);
        ck_assert_uint_lt(n_read, n_asked);
        for (size_t i = 0; i < n_read; i++)
                ck_assert(is_in_memory(pid, read_pages[i]));
        end_child(pid);
}
END_TEST

/* Node 1023 is in no machine this runs on. */
START_TEST(test_full_target_ends_the_move) {
        _cleanup_close_ int fd = -EBADF;
        _cleanup_(mover_freep) Mover *m = NULL;
        IdSet nowhere = idset_of(1023);
        pid_t pid = start_child();
        MoverReport report;

        m = start(pid, &nowhere, &fd);
        report = wait_report(m);
        ck_assert_int_eq(report.result, -ENOMEM);
        ck_assert_uint_eq(report.moved_bytes, 0);
        end_child(pid);
}
END_TEST

START_TEST(test_cancel_and_free_end_a_move) {
        _cleanup_close_ int fd = -EBADF;
        IdSet nowhere = idset_of(1023);
        pid_t pid = start_child();
        Mover *m;

        m = start(pid, &nowhere, &fd);
        mover_cancel(m);
        ck_assert_int_lt(wait_report(m).result, 0);
        ck_assert_int_eq(mover_start(m, UUID, pid, &nowhere, &no_nodes, 0), 0);
        (void)mover_free(m);
        end_child(pid);
}
END_TEST

/* Guest memory that virtiofsd maps, too, moves; what is other guests' as well stays, and is not said to have moved. */
START_TEST(test_memory_shared_with_its_devices_is_moved) {
        _cleanup_tree_ Tree t = tree_new();
        _cleanup_(mover_freep) Mover *m = NULL;
        IdSet target = idset_of(0);
        MoverReport report;

        tree_write(&t, "proc/100/stat", "100 (qemu) S");
        tree_write(&t, "proc/100/maps", "010000000000-010000004000 rw-s 00000000 00:01 9 /memfd:ram (deleted)\n"
                                        "020000000000-020000003000 rw-s 00000000 00:19 8 /dev/shm/ivshmem\n"
                                        "7f0000000000-7f0000002000 rw-p 00000000 00:00 0 \n");
        tree_write(&t, "proc/100/numa_maps", "010000000000 default file=/memfd:ram\\040(deleted) mapmax=2 N1=4\n"
                                             "020000000000 default file=/dev/shm/ivshmem mapmax=2 N1=3\n"
                                             "7f0000000000 default anon=2 dirty=2 N1=2\n");
        imagined = true;
        n_moved = 0;
        ck_assert_int_eq(mover_new(t.fd, &m), 0);
        ck_assert_int_eq(mover_start(m, UUID, 100, &target, &no_nodes, 0), 0);
        report = wait_report(m);
        imagined = false;
        ck_assert_int_eq(report.result, 0);
        ck_assert_uint_eq(report.moved_bytes, (4 + 2) * 4 * KIB);
        ck_assert_uint_eq(report.failed_bytes, 3 * 4 * KIB);
}
END_TEST

/* The memory of process 100: @n pages that cannot be moved, on node 1. Asked to go to node 0. */
#define PRIVATE_ADDRESS UINT64_C(0x10000000)
static MoverReport move_private(Tree *t, unsigned n, uint64_t bytes_per_sec) {
        _cleanup_(mover_freep) Mover *m = NULL;
        IdSet target = idset_of(0);
        MoverReport report;
        char text[128];

        tree_write(t, "proc/100/stat", "100 (qemu) S");
        (void)snprintf(text, sizeof(text), "%" PRIx64 "-%" PRIx64 " rw-p 00000000 00:00 0 \n", PRIVATE_ADDRESS,
                       PRIVATE_ADDRESS + n * 4 * KIB);
        tree_write(t, "proc/100/maps", text);
        (void)snprintf(text, sizeof(text), "%" PRIx64 " default anon=%u dirty=%u N1=%u\n", PRIVATE_ADDRESS, n, n, n);
        tree_write(t, "proc/100/numa_maps", text);
        imagined = true;
        n_moves = n_moved = n_read = most_read = 0;
        ck_assert_int_eq(mover_new(t->fd, &m), 0);
        ck_assert_int_eq(mover_start(m, UUID, 100, &target, &no_nodes, bytes_per_sec), 0);
        report = wait_report(m);
        imagined = false;
        return report;
}

static const struct {
        uint64_t rate_bytes;
        size_t n_moves; /* for 32 MiB */
} slice_rows[] = {
        { 0, 2 }, { GIB, 2 }, { 32 * MIB, 4 }, { 1, 16 },
};

/* Each such call stops all CPUs for a moment: as few as the rate allows. */
START_TEST(test_slices_are_as_large_as_the_rate_allows) {
        _cleanup_tree_ Tree t = tree_new();

        unseen = false;
        (void)move_private(&t, 32 * MIB / (4 * KIB), slice_rows[_i].rate_bytes);
        ck_assert_uint_eq(n_moves, slice_rows[_i].n_moves);
}
END_TEST

/* process_vm_readv(2) takes IOV_MAX of them at once. */
START_TEST(test_however_many_are_not_seen_all_are_read) {
        const unsigned n = 4 * KIB;
        _cleanup_tree_ Tree t = tree_new();
        _cleanup_close_ int fd = -EBADF;
        uint64_t present = UINT64_C(1) << 63;

        tree_write(&t, "proc/100/pagemap", "");
        fd = openat(t.fd, "proc/100/pagemap", O_WRONLY | O_CLOEXEC);
        for (unsigned i = 0; i < n; i++)
                ck_assert_int_eq(pwrite(fd, &present, sizeof(present),
                                        (off_t)((PRIVATE_ADDRESS / (4 * KIB) + i) * sizeof(present))), sizeof(present));
        unseen = true;
        (void)move_private(&t, n, 0);
        unseen = false;
        ck_assert_uint_eq(n_read, n);
        ck_assert_uint_le(most_read, IOV_MAX);
        ck_assert_uint_eq(n_moves, 1);
}
END_TEST

/* Node 2 has less free memory than node 0, but more pages of that size. */
START_TEST(test_huge_pages_go_where_the_pool_has_them) {
        static const char pool[] = "sys/devices/system/node/node%d/hugepages/hugepages-1048576kB/free_hugepages";
        _cleanup_tree_ Tree t = tree_new();
        _cleanup_(mover_freep) Mover *m = NULL;
        IdSet targets = idset_of(0);
        char path[128];

        ck_assert_int_eq(idset_add(&targets, 2), 0);
        tree_write(&t, "proc/100/stat", "100 (qemu) S");
        tree_write(&t, "proc/100/maps",
                   "7f0000000000-7f00c0000000 rw-p 00000000 00:0f 7 /dev/hugepages/libvirt/qemu/1\n");
        tree_write(&t, "proc/100/numa_maps", "7f0000000000 default file=/dev/hugepages/libvirt/qemu/1 huge anon=3 "
                                             "dirty=3 N1=3 kernelpagesize_kB=1048576\n");
        for (int node = 0; node <= 2; node += 2) {
                (void)snprintf(path, sizeof(path), pool, node);
                tree_write(&t, path, node == 0 ? "2\n" : "6\n");
        }
        imagined = true;
        n_moved = 0;
        ck_assert_int_eq(mover_new(t.fd, &m), 0);
        ck_assert_int_eq(mover_start(m, UUID, 100, &targets, &no_nodes, 0), 0);
        ck_assert_uint_eq(wait_report(m).moved_bytes, 3 * GIB);
        imagined = false;
        ck_assert_uint_eq(n_moved, 3);
        for (size_t i = 0; i < n_moved; i++)
                ck_assert_int_eq(moved_to[i], 2);
}
END_TEST

START_TEST(test_start_says_what_is_wrong) {
        _cleanup_close_ int fd = sysfs_open_root("/");
        _cleanup_(mover_freep) Mover *m = NULL;
        IdSet none = IDSET_EMPTY, one = idset_of(0);
        pid_t pid = start_child();

        end_child(pid);
        ck_assert_int_eq(mover_new(fd, &m), 0);
        ck_assert_int_eq(mover_start(m, UUID, pid, &one, &no_nodes, 0), -ESRCH);
        ck_assert_int_eq(mover_start(m, UUID, 0, &one, &no_nodes, 0), -EINVAL);
        ck_assert_int_eq(mover_start(m, UUID, getpid(), &none, &no_nodes, 0), -EINVAL);
        ck_assert_int_eq(mover_start(m, UUID "0", getpid(), &one, &no_nodes, 0), -EINVAL);
        ck_assert(!mover_busy(m));
}
END_TEST

static const struct {
        const char *name;
        MoverTarget a, b;
        bool before;
} target_rows[] = {
        { "more free memory", { 0, false, 2 * GIB }, { 1, false, GIB }, true },
        { "less free memory", { 0, false, GIB }, { 1, false, 2 * GIB }, false },
        { "equal: the first stays", { 1, false, GIB }, { 0, false, GIB }, false },
        { "a node with CPUs, however little it has", { 0, false, 20 * MIB }, { 2, true, 512 * GIB }, true },
        { "one without, however much it has", { 2, true, 512 * GIB }, { 0, false, 20 * MIB }, false },
        { "two without: free memory", { 2, true, 2 * GIB }, { 3, true, GIB }, true },
};

START_TEST(test_nodes_without_cpus_are_filled_last) {
        ck_assert_int_eq(mover_target_before(&target_rows[_i].a, &target_rows[_i].b), target_rows[_i].before);
}
END_TEST

int main(void) {
        Suite *s = suite_create("mover");
        TCase *tc = tcase_create("ranges"), *life = tcase_create("life");
        SRunner *sr;
        int failed;

        tcase_add_test(tc, test_guest_memory_elsewhere_is_moved_and_nothing_else);
        tcase_add_test(tc, test_bound_memory_goes_to_allowed_targets_only);
        tcase_add_loop_test(tc, test_nodes_without_cpus_are_filled_last, 0, (int)ELEMENTSOF(target_rows));
        tcase_add_loop_test(tc, test_strange_text_does_no_harm, 0, (int)ELEMENTSOF(text_rows));
        suite_add_tcase(s, tc);
        tcase_add_test(life, test_memory_that_is_there_already_stays);
        tcase_add_test(life, test_pages_that_are_not_seen_count_as_not_moved);
        tcase_add_loop_test(life, test_pages_that_are_not_seen_are_read_and_looked_for_again, 0, 2);
        tcase_add_test(life, test_full_target_ends_the_move);
        tcase_add_test(life, test_cancel_and_free_end_a_move);
        tcase_add_test(life, test_memory_shared_with_its_devices_is_moved);
        tcase_add_loop_test(life, test_slices_are_as_large_as_the_rate_allows, 0, (int)ELEMENTSOF(slice_rows));
        tcase_add_test(life, test_however_many_are_not_seen_all_are_read);
        tcase_add_test(life, test_huge_pages_go_where_the_pool_has_them);
        tcase_add_test(life, test_start_says_what_is_wrong);
        suite_add_tcase(s, life);
        sr = srunner_create(s);
        srunner_run_all(sr, CK_NORMAL);
        failed = srunner_ntests_failed(sr);
        srunner_free(sr);
        return failed != 0;
}
