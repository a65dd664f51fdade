/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Files of /proc and /sys with anything in them. The first byte chooses which
 * file of a small machine (the fixture two-nodes) has the rest as its content,
 * between two looks at host and guest: so a counter may also go back.
 */

#include "../../lib/observe.h"
#include "../../lib/sysfs.h"

#include "fuzz.h"

#include <fcntl.h>
#include <unistd.h>

static const char *const paths[] = {
        "proc/meminfo",
        "proc/stat",
        "proc/pressure/memory",
        "proc/37/stat",
        "proc/37/comm",
        "proc/4242/cgroup",
        "proc/4242/cmdline",
        "proc/4242/numa_maps",
        "proc/4242/statm",
        "proc/4242/task/4244/schedstat",
        "proc/4242/task/4244/comm",
        "sys/kernel/mm/ksm/run",
        "sys/kernel/mm/ksm/general_profit",
        "sys/kernel/mm/ksm/advisor_mode",
        "sys/kernel/mm/transparent_hugepage/enabled",
        "proc/sys/kernel/numa_balancing",
        "proc/vmstat",
        "sys/devices/system/node/node0/meminfo",
        "sys/fs/cgroup/cpuset.cpus.isolated",
};

static char dir[] = "/dev/shm/kvmtuned-fuzz-XXXXXX";
static int root = -1;
static Topology *topology;

static void remove_tree(void) {
        char command[128];

        (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
        (void)!system(command);
}

static void make_tree(void) {
        char command[128];

        fuzz_assert(mkdtemp(dir));
        fuzz_assert(atexit(remove_tree) == 0);
        (void)snprintf(command, sizeof(command), "cp -r tests/fixtures/two-nodes/. %s", dir);
        fuzz_assert(system(command) == 0);
        root = sysfs_open_root(dir);
        fuzz_assert(root >= 0);
        fuzz_assert(topology_load_synthetic("numa:2 core:2 pu:1", &topology) == 0);
}

static void write_file(const char *path, const void *data, size_t size) {
        _cleanup_close_ int fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        /* A folder that the fixture does not have. */
        if (fd >= 0)
                fuzz_assert(write(fd, data, size) == (ssize_t)size);
}

static void look(HostObserver *host, GuestObserver *guest, uint64_t now_usec, Snapshot *s, Guest *g) {
        (void)host_observe(host, now_usec, &s->host, NULL);
        fuzz_assert(s->host.memory.available_bytes <= s->host.memory.total_bytes);
        for (size_t i = 0; i < s->host.n_cpus; i++)
                fuzz_assert(s->host.cpus[i].busy_permyriad <= PERMYRIAD_FULL ||
                            s->host.cpus[i].busy_permyriad == UNKNOWN_PERMYRIAD);
        if (guest && guest_observe(guest, root, now_usec, true, g) >= 0)
                guest_observe_cgroup(guest, root, now_usec, topology, g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(host_observer_freep) HostObserver *host = NULL;
        _cleanup_(guest_observer_freep) GuestObserver *guest = NULL;
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        _cleanup_(guest_freep) Guest *g = NULL;
        _cleanup_free_ char *original = NULL;
        GuestProcesses processes = { 0 };
        GuestSearch search = { 0 };
        const char *path;
        size_t length = 0;
        int32_t pid;

        if (size < 1)
                return 0;
        if (root < 0)
                make_tree();
        path = paths[data[0] % ELEMENTSOF(paths)];
        (void)sysfs_read(root, path, &original, &length);
        fuzz_assert(snapshot_new(&s) == 0 && guest_new("web", NULL, &g) == 0 && guest_set_vcpus(g, 2) == 0);
        /* On an odd number the file is strange from the first look on. */
        if (data[0] / ELEMENTSOF(paths) % 2 == 1)
                write_file(path, data + 1, size - 1);
        fuzz_assert(host_observer_new(root, topology, &host) == 0);
        (void)guest_observer_new(root, 4242, g, &guest);
        look(host, guest, USEC_PER_SEC, s, g);
        write_file(path, data + 1, size - 1);
        look(host, guest, 2 * USEC_PER_SEC, s, g);
        (void)guest_process_find(&processes, &search, root, USEC_PER_SEC, "web",
                                 "5f0f5b3a-8f43-4b9e-9d3c-0d2b7a1c9e01", &pid);
        guest_processes_done(&processes);
        if (original)
                write_file(path, original, length);
        else
                (void)unlinkat(root, path, 0);
        return 0;
}
