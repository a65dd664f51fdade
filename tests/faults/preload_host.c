/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libnuma and the clocks of the world.
 *
 * Time runs World.speed times as fast for everybody in the process: clocks are
 * stretched from where they stood when it began, and what waits for a moment or
 * for so long waits for less.
 */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <numa.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NSEC INT64_C(1000000000)

/* ---- libnuma ---- */

int numa_available(void) {
        return world ? 0 : NEXT(numa_available)();
}

long long numa_node_size64(int node, long long *free_bytes) {
        if (!world)
                return NEXT(numa_node_size64)(node, free_bytes);
        if (world_point("call", "numa_node_size64", false) != 0)
                return -1;
        if (free_bytes)
                *free_bytes = INT64_C(4) << 30;
        return node <= 1 ? INT64_C(8) << 30 : -1;
}

int numa_distance(int a, int b) {
        return world ? (a == b ? 10 : 21) : NEXT(numa_distance)(a, b);
}

static WorldGuest *guest_of_pid(int pid) {
        for (unsigned i = 0; i < WORLD_GUESTS_MAX; i++)
                if (world->guests[i].running && world->guests[i].pid == pid)
                        return &world->guests[i];
        return NULL;
}

/* In place and of one length: a look at the same time must not find half of it. */
static void write_numa_maps(const WorldGuest *g) {
        char path[300], text[128];
        unsigned on[2] = { 0, 0 };
        int fd, n;

        for (unsigned i = 0; i < g->pages; i++)
                on[g->page_nodes[i]]++;
        n = snprintf(text, sizeof(text), "%llx default anon=%u dirty=%u active=0 N0=%u N1=%u kernelpagesize_kB=4",
                     (unsigned long long)WORLD_PAGES_AT, g->pages, g->pages, on[0], on[1]);
        (void)snprintf(path, sizeof(path), "%s/root/proc/%d/numa_maps", world_dir, g->pid);
        fd = NEXT(openat)(AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return;
        (void)dprintf(fd, "%*s\n", -WORLD_MAPS_WIDTH, n > 0 ? text : "");
        (void)NEXT(close)(fd);
}

/* Pages of a guest that @nodes are for; as of move_pages(2) without MPOL_MF_MOVE_ALL. */
static int move(WorldGuest *g, unsigned long n, void **pages, const int *nodes, int *status) {
        for (unsigned long i = 0; i < n; i++)
                if (g->nodeset != 0 && (g->nodeset >> nodes[i] & 1U) == 0) {
                        errno = EACCES;
                        return -1;
                }
        for (unsigned long i = 0; i < n; i++) {
                uint64_t page = ((uint64_t)(uintptr_t)pages[i] - WORLD_PAGES_AT) >> 12;

                if (page >= g->stuck_pages && page < g->pages)
                        g->page_nodes[page] = (uint8_t)nodes[i];
                status[i] = page >= g->pages ? -ENOENT : page < g->stuck_pages ? -EBUSY : nodes[i];
        }
        write_numa_maps(g);
        return 0;
}

int numa_move_pages(int pid, unsigned long n, void **pages, const int *nodes, int *status, int flags) {
        WorldGuest *g;
        char object[64];
        int error;

        if (!world)
                return NEXT(numa_move_pages)(pid, n, pages, nodes, status, flags);
        g = guest_of_pid(pid);
        (void)snprintf(object, sizeof(object), "move_pages %s%s", nodes ? "" : "query ", g ? g->name : "");
        error = world_point("call", object, nodes != NULL);
        if (error != 0 || !g) {
                errno = error != 0 ? error : ESRCH;
                return -1;
        }
        if (nodes)
                return move(g, n, pages, nodes, status);
        for (unsigned long i = 0; i < n; i++) {
                uint64_t page = ((uint64_t)(uintptr_t)pages[i] - WORLD_PAGES_AT) >> 12;

                status[i] = page < g->pages ? g->page_nodes[page] : -ENOENT;
        }
        return 0;
}

/* ---- clocks ---- */

#define TIMERS_MAX 1024
static struct {
        int64_t base;                   /* of the clock, in nanoseconds; 0: not known yet */
} clocks[8];
static int timer_clocks[TIMERS_MAX];

static int64_t speed(void) {
        return world && world->speed > 1 ? (int64_t)world->speed : 1;
}

static int64_t to_nsec(const struct timespec *t) {
        return (int64_t)t->tv_sec * NSEC + t->tv_nsec;
}
static struct timespec from_nsec(int64_t nsec) {
        return (struct timespec){ .tv_sec = (time_t)(nsec / NSEC), .tv_nsec = (long)(nsec % NSEC) };
}

static int64_t base_of(clockid_t clock) {
        struct timespec t;
        int64_t none = 0;

        if (clock < 0 || clock >= 8)
                return 0;
        if (__atomic_load_n(&clocks[clock].base, __ATOMIC_RELAXED) == 0) {
                (void)NEXT(clock_gettime)(clock, &t);
                (void)__atomic_compare_exchange_n(&clocks[clock].base, &none, to_nsec(&t), false, __ATOMIC_RELAXED,
                                                  __ATOMIC_RELAXED);
        }
        return __atomic_load_n(&clocks[clock].base, __ATOMIC_RELAXED);
}

static bool is_stretched(clockid_t clock) {
        return clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME || clock == CLOCK_REALTIME;
}

int clock_gettime(clockid_t clock, struct timespec *ret) {
        int r = NEXT(clock_gettime)(clock, ret);

        if (r < 0 || !world || !is_stretched(clock))
                return r;
        if (speed() > 1)
                *ret = from_nsec(base_of(clock) + (to_nsec(ret) - base_of(clock)) * speed());
        if (clock == CLOCK_REALTIME && world->realtime_offset_usec != 0)
                *ret = from_nsec(to_nsec(ret) + world->realtime_offset_usec * 1000);
        return r;
}

time_t time(time_t *ret) {
        struct timespec t;

        (void)clock_gettime(CLOCK_REALTIME, &t);
        if (ret)
                *ret = t.tv_sec;
        return t.tv_sec;
}

/* A moment of stretched time, in the clock's own. */
static struct timespec when(clockid_t clock, const struct timespec *t) {
        int64_t base;

        if (speed() == 1 || !is_stretched(clock) || (t->tv_sec == 0 && t->tv_nsec == 0))
                return *t;
        base = base_of(clock);
        return from_nsec(base + (to_nsec(t) - base) / speed());
}

int timerfd_create(int clock, int flags) {
        int fd = NEXT(timerfd_create)(clock, flags);

        if (fd >= 0 && fd < TIMERS_MAX)
                timer_clocks[fd] = clock;
        return fd;
}

static int clock_watch = -1;

/* It has to be readable; the kernel would let reading fail. */
void world_clock_was_set(void) {
        const struct itimerspec soon = { .it_value.tv_nsec = 1 };
        int fd = __atomic_load_n(&clock_watch, __ATOMIC_RELAXED);

        if (fd >= 0)
                (void)NEXT(timerfd_settime)(fd, 0, &soon, NULL);
}

int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old) {
        struct itimerspec value = *new;

        if (flags & TFD_TIMER_CANCEL_ON_SET)
                __atomic_store_n(&clock_watch, fd, __ATOMIC_RELAXED);
        else if (flags & TFD_TIMER_ABSTIME)
                value.it_value = when(fd < TIMERS_MAX ? timer_clocks[fd] : -1, &new->it_value);
        return NEXT(timerfd_settime)(fd, flags, &value, old);
}

/* All of the daemon's go by CLOCK_MONOTONIC. */
int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until) {
        struct timespec t = when(CLOCK_MONOTONIC, until);

        return NEXT(pthread_cond_timedwait)(cond, mutex, &t);
}

int poll(struct pollfd *fds, nfds_t n, int timeout) {
        if (timeout > 0)
                timeout = (int)((timeout + speed() - 1) / speed());
        return NEXT(poll)(fds, n, timeout);
}
