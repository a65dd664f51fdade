/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libnuma, the clocks and memory of the world.
 *
 * Time runs World.speed times as fast for everybody in the process: clocks are
 * stretched from where they stood when it began, and what waits for a moment or
 * for so long waits for less.
 */
#include "preload.h"

#include <errno.h>
#include <link.h>
#include <numa.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>

#define NSEC INT64_C(1000000000)

/* ---- libnuma ---- */

int numa_available(void) {
        return world ? 0 : NEXT(numa_available)();
}

long long numa_node_size64(int node, long long *free_bytes) {
        if (!world)
                return NEXT(numa_node_size64)(node, free_bytes);
        if (free_bytes)
                *free_bytes = INT64_C(4) << 30;
        return node <= 1 ? INT64_C(8) << 30 : -1;
}

int numa_distance(int a, int b) {
        return world ? (a == b ? 10 : 21) : NEXT(numa_distance)(a, b);
}

/* Before the first move, every other page of a guest is on node 1. */
int numa_move_pages(int pid, unsigned long n, void **pages, const int *nodes, int *status, int flags) {
        int error;

        if (!world)
                return NEXT(numa_move_pages)(pid, n, pages, nodes, status, flags);
        error = world_point("call", nodes ? "move_pages" : "move_pages query", nodes != NULL);
        if (error != 0) {
                errno = error;
                return -1;
        }
        if (nodes) {
                world->pages_node = nodes[0];
                world->pages_moved = true;
        }
        for (unsigned long i = 0; i < n; i++)
                status[i] = world->pages_moved ? world->pages_node : (int)((uintptr_t)pages[i] >> 12 & 1U);
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

int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old) {
        struct itimerspec value = *new;

        if (flags & TFD_TIMER_ABSTIME)
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

/* ---- memory: what the daemon's own code asks for ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
static uintptr_t code_from, code_to;

static int find_code(struct dl_phdr_info *info, size_t size, void *userdata) {
        (void)size, (void)userdata;
        for (unsigned i = 0; i < info->dlpi_phnum; i++)
                if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X)) {
                        code_from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
                        code_to = code_from + info->dlpi_phdr[i].p_memsz;
                }
        /* The program itself comes first. */
        return 1;
}

__attribute__((constructor)) static void find_program(void) {
        (void)dl_iterate_phdr(find_code, NULL);
}

static bool fails(const void *caller) {
        unsigned n;

        if (!world || (uintptr_t)caller < code_from || (uintptr_t)caller >= code_to)
                return false;
        n = __atomic_add_fetch(&world->n_allocs, 1, __ATOMIC_RELAXED);
        if (world->alloc_fail_times == 0 || n < world->alloc_fail_at ||
            n >= world->alloc_fail_at + world->alloc_fail_times)
                return false;
        errno = ENOMEM;
        return true;
}

#define CALLER __builtin_extract_return_addr(__builtin_return_address(0))

void *malloc(size_t size) {
        return fails(CALLER) ? NULL : __libc_malloc(size);
}
void *calloc(size_t n, size_t size) {
        return fails(CALLER) ? NULL : __libc_calloc(n, size);
}
void *realloc(void *p, size_t size) {
        return fails(CALLER) ? NULL : __libc_realloc(p, size);
}
void *reallocarray(void *p, size_t n, size_t size) {
        return fails(CALLER) ? NULL : NEXT(reallocarray)(p, n, size);
}
char *strdup(const char *s) {
        return fails(CALLER) ? NULL : NEXT(strdup)(s);
}
char *strndup(const char *s, size_t n) {
        return fails(CALLER) ? NULL : NEXT(strndup)(s, n);
}
int vasprintf(char **ret, const char *format, va_list ap) {
        return fails(CALLER) ? -1 : NEXT(vasprintf)(ret, format, ap);
}
