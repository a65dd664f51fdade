/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "advise.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "../lib/observe.h"
#include "../lib/sysfs.h"
#include "virt_xml.h"

/*
 * Each guest of libvirt's system instance has a status file with its pid, its
 * XML and what an adviser said when it started. The process is looked at
 * through files whose readers wait for nobody: not its command line, which
 * hangs with the process's memory lock.
 */

#define STATUS_FOLDER "run/libvirt/qemu"

static uint64_t now_usec(clockid_t clock) {
        struct timespec t = { 0 };

        (void)clock_gettime(clock, &t);
        return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / NSEC_PER_USEC;
}

static void read_local_time(LocalTime *ret) {
        time_t now = time(NULL);
        struct tm tm;

        if (!localtime_r(&now, &tm))
                return;
        *ret = (LocalTime){ tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                            (tm.tm_wday + 6) % 7 };
}

static int look_at_host(int root_fd, Snapshot *s) {
        _cleanup_(host_observer_freep) HostObserver *observer = NULL;
        int r;

        s->now_usec = now_usec(CLOCK_BOOTTIME);
        s->interval_usec = 0;
        read_local_time(&s->local_time);
        r = topology_load(root_fd, NULL, &s->topology);
        if (r < 0)
                return r;
        r = topology_complete_from_libnuma(s->topology);
        if (r < 0)
                return r;
        r = host_observer_new(root_fd, s->topology, &observer);
        if (r < 0)
                return r;
        r = host_observe(observer, s->now_usec, &s->host, NULL);
        if (r < 0)
                return r;
        /* One look has no loads; 0 would be a measured one. */
        s->host.cpu_busy_permyriad = UNKNOWN_PERMYRIAD;
        for (size_t i = 0; i < s->host.n_cpus; i++)
                s->host.cpus[i].busy_permyriad = UNKNOWN_PERMYRIAD;
        return 0;
}

/* ---- one guest ------------------------------------------------------------- */

static bool is_qemu(int root_fd, int32_t pid) {
        _cleanup_free_ char *comm = NULL;
        char path[64];

        (void)snprintf(path, sizeof(path), "proc/%d/comm", (int)pid);
        return sysfs_read(root_fd, path, &comm, NULL) >= 0 && startswith(comm, "qemu");
}

/* Pages of a pool are not in the resident size. */
static uint64_t pool_bytes(int root_fd, int32_t pid) {
        _cleanup_free_ char *status = NULL;
        uint64_t bytes = 0;
        char path[64];

        (void)snprintf(path, sizeof(path), "proc/%d/status", (int)pid);
        if (sysfs_read(root_fd, path, &status, NULL) >= 0)
                (void)sysfs_find_key(status, "HugetlbPages", &bytes);
        return bytes;
}

/* What it has touched, and where its threads may run. */
static void look_at_process(int root_fd, uint64_t now, Guest *g) {
        _cleanup_(guest_observer_freep) GuestObserver *observer = NULL;

        if (guest_observer_new(root_fd, g->pid, g, &observer) < 0)
                return;
        (void)guest_observe(observer, root_fd, now, false, g);
        if (g->hugepages && g->rss_bytes != UNKNOWN_U64)
                g->rss_bytes = u64_add(g->rss_bytes, pool_bytes(root_fd, g->pid));
}

static void match_run(State *state, const Guest *g, uint64_t start_ticks) {
        const GuestMemo *memo = state_find_guest(state, g->uuid);

        if (memo && memo->start_time != 0 && memo->start_time != start_ticks)
                state_forget_guest(state, g->uuid);
}

static int add_guest(AdviseLook *look, Guest *g, uint64_t start_usec, size_t *capacity) {
        int r;

        if (snapshot_find_guest(look->snapshot, g->uuid))
                return -EEXIST;
        r = GROW_ARRAY(look->guests, *capacity, look->n_guests);
        if (r < 0)
                return r;
        r = snapshot_put_guest(look->snapshot, g);
        if (r < 0)
                return r;
        look->guests[look->n_guests++] = (ReservationGuest){ g, start_usec };
        return 0;
}

/* A file that cannot be understood, or whose process is gone, is no guest. -ENOMEM. */
static int look_at_guest(int root_fd, const char *path, State *state, AdviseLook *look, size_t *capacity) {
        _cleanup_(guest_freep) Guest *g = NULL;
        _cleanup_free_ char *xml = NULL;
        uint64_t ticks, start_usec;
        size_t size;
        int r;

        if (sysfs_read(root_fd, path, &xml, &size) < 0)
                return 0;
        r = guest_from_status_xml(xml, size, &g);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        if (g->pid <= 0 || !is_qemu(root_fd, g->pid) || guest_process_start_time(root_fd, g->pid, &ticks) < 0)
                return 0;
        start_usec = u64_muldiv(ticks, USEC_PER_SEC, (uint64_t)MAX(sysconf(_SC_CLK_TCK), 1L));
        g->starting = u64_sub(look->snapshot->now_usec, start_usec) < RESERVATION_USEC;
        match_run(state, g, ticks);
        look_at_process(root_fd, look->snapshot->now_usec, g);
        r = add_guest(look, g, start_usec, capacity);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        TAKE_PTR(g);
        return 0;
}

/* ---- all ------------------------------------------------------------------- */

static void dir_closep(DIR **d) {
        if (*d)
                (void)closedir(*d);
}

static int look_at_guests(int root_fd, State *state, AdviseLook *look) {
        int fd = openat(root_fd, STATUS_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        __attribute__((cleanup(dir_closep))) DIR *folder = NULL;
        size_t capacity = 0;
        int r = 0;

        if (fd < 0)
                return 0;
        folder = fdopendir(fd);
        if (!folder) {
                (void)close(fd);
                return -ENOMEM;
        }
        for (const struct dirent *e; r >= 0 && (e = readdir(folder));) {
                _cleanup_free_ char *path = NULL;
                size_t n = strlen(e->d_name);

                if (n < 5 || !streq(e->d_name + n - 4, ".xml"))
                        continue;
                r = strprintf_to(&path, STATUS_FOLDER "/%s", e->d_name);
                if (r >= 0)
                        r = look_at_guest(root_fd, path, state, look, &capacity);
        }
        return r;
}

int advise_look(int root_fd, State *state, AdviseLook *ret) {
        __attribute__((cleanup(advise_look_done))) AdviseLook look = { 0 };
        int r;

        r = snapshot_new(&look.snapshot);
        if (r < 0)
                return r;
        r = look_at_host(root_fd, look.snapshot);
        if (r < 0)
                return r;
        r = look_at_guests(root_fd, state, &look);
        if (r < 0)
                return r;
        *ret = look;
        look = (AdviseLook){ 0 };
        return 0;
}

void advise_look_done(AdviseLook *look) {
        snapshot_free(look->snapshot);
        free(look->guests);
}
