/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What some processes use in a window of time:
 *
 *   bench_window [-d PID] [-l PID] [-g FOLDER] [-s SECONDS] [-b BLOCKS]
 *   bench_window -p
 *
 * -d the daemon, -l libvirtd, -g a folder of PID files (all of them are
 * guests). The window is BLOCKS times SECONDS long; each figure is the median
 * of the blocks, printed as NAME=NUMBER, one a line. Times are those of the
 * processes' own CPU clocks: nanoseconds, with threads that have ended. With
 * -d the window begins where the daemon's main thread rests, so that it holds
 * whole cycles. -p prints what a pread(2) of a schedstat file costs here, for
 * comparison with other machines.
 */

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "../../lib/base.h"

#define BLOCKS_MAX 64U
#define PREADS 20000U
#define REST_USEC (150 * USEC_PER_MSEC)
#define POLL_USEC (2 * USEC_PER_MSEC)
#define REST_DEADLINE_USEC (15 * USEC_PER_SEC)

typedef struct Sample {
        uint64_t own_nsec, libvirtd_nsec, guests_nsec;
        uint64_t switches;
} Sample;

typedef struct Options {
        pid_t daemon, libvirtd;
        const char *guests;
        unsigned seconds, blocks;
} Options;

typedef struct Guests {
        clockid_t *clocks;
        size_t n, capacity;
} Guests;

static uint64_t clock_usec(void) {
        struct timespec t = { 0 };

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / NSEC_PER_USEC;
}

static void sleep_until(uint64_t usec) {
        struct timespec t = { .tv_sec = (time_t)(usec / USEC_PER_SEC),
                              .tv_nsec = (long)(usec % USEC_PER_SEC * NSEC_PER_USEC) };

        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
                ;
}

static uint64_t cpu_nsec(clockid_t id) {
        struct timespec t = { 0 };

        if (clock_gettime(id, &t) < 0)
                return 0;
        return (uint64_t)t.tv_sec * USEC_PER_SEC * NSEC_PER_USEC + (uint64_t)t.tv_nsec;
}

static uint64_t process_nsec(pid_t pid) {
        clockid_t id;

        return pid > 0 && clock_getcpuclockid(pid, &id) == 0 ? cpu_nsec(id) : 0;
}

/* First number after @label in a file of /proc; 0 when it is not there. */
static uint64_t proc_number(const char *path, const char *label) {
        char text[4096];
        ssize_t n;
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        const char *p;

        if (fd < 0)
                return 0;
        n = read(fd, text, sizeof(text) - 1);
        if (n <= 0)
                return 0;
        text[n] = '\0';
        p = strstr(text, label);
        return p ? strtoull(p + strlen(label), NULL, 10) : 0;
}

/* Of all threads; their number as well. */
static uint64_t context_switches(pid_t pid, unsigned *ret_threads) {
        char path[300];
        const struct dirent *e;
        uint64_t sum = 0;
        unsigned threads = 0;
        DIR *dir;

        (void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
        dir = opendir(path);
        while (dir && (e = readdir(dir))) {
                if (e->d_name[0] == '.')
                        continue;
                (void)snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pid, e->d_name);
                sum += proc_number(path, "\nvoluntary_ctxt_switches:") + proc_number(path, "\nnonvoluntary_ctxt_switches:");
                threads++;
        }
        if (dir)
                (void)closedir(dir);
        *ret_threads = threads;
        return sum;
}

static int guests_read(const char *folder, Guests *guests) {
        const struct dirent *e;
        DIR *dir = opendir(folder);
        int r = 0;

        if (!dir)
                return -errno;
        while (r >= 0 && (e = readdir(dir))) {
                char path[600];
                pid_t pid;

                if (!strstr(e->d_name, ".pid") || streq(e->d_name, "driver.pid"))
                        continue;
                (void)snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
                pid = (pid_t)proc_number(path, "");
                r = GROW_ARRAY(guests->clocks, guests->capacity, guests->n);
                if (r >= 0 && pid > 0 && clock_getcpuclockid(pid, &guests->clocks[guests->n]) == 0)
                        guests->n++;
        }
        (void)closedir(dir);
        return r;
}

static Sample sample(const Options *o, const Guests *guests) {
        Sample s = { .own_nsec = process_nsec(o->daemon), .libvirtd_nsec = process_nsec(o->libvirtd) };
        unsigned threads;

        for (size_t i = 0; i < guests->n; i++)
                s.guests_nsec += cpu_nsec(guests->clocks[i]);
        if (o->daemon > 0)
                s.switches = context_switches(o->daemon, &threads);
        return s;
}

/* Until the main thread of @pid has run and then rested. */
static void wait_for_rest(pid_t pid) {
        uint64_t end = clock_usec() + REST_DEADLINE_USEC, since = clock_usec(), before;
        bool ran = false;
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", pid, pid);
        before = proc_number(path, "");
        while (clock_usec() < end && !(ran && clock_usec() - since > REST_USEC)) {
                uint64_t now;

                sleep_until(clock_usec() + POLL_USEC);
                now = proc_number(path, "");
                if (now != before) {
                        ran = true;
                        since = clock_usec();
                }
                before = now;
        }
}

static int compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

/* The middle one, or the mean of the two in the middle. */
static double median(uint64_t *values, size_t n) {
        qsort(values, n, sizeof(*values), compare);
        return ((double)values[(n - 1) / 2] + (double)values[n / 2]) / 2;
}

static void print_median(const char *name, const Sample *samples, unsigned blocks, size_t offset) {
        uint64_t values[BLOCKS_MAX];

        for (unsigned i = 0; i < blocks; i++) {
                uint64_t from, to;

                memcpy(&from, (const char *)&samples[i] + offset, sizeof(from));
                memcpy(&to, (const char *)&samples[i + 1] + offset, sizeof(to));
                values[i] = u64_sub(to, from);
        }
        (void)printf("%s=%.0f\n", name, median(values, blocks));
}

static int measure(const Options *o) {
        Sample samples[BLOCKS_MAX + 1];
        Guests guests = { 0 };
        unsigned threads = 0;
        uint64_t start;
        int r;

        r = o->guests ? guests_read(o->guests, &guests) : 0;
        if (r < 0)
                return r;
        if (o->daemon > 0)
                wait_for_rest(o->daemon);
        start = clock_usec();
        samples[0] = sample(o, &guests);
        for (unsigned i = 1; i <= o->blocks; i++) {
                sleep_until(start + (uint64_t)i * o->seconds * USEC_PER_SEC);
                samples[i] = sample(o, &guests);
        }
        if (o->daemon > 0)
                (void)context_switches(o->daemon, &threads);
        (void)printf("guests=%zu\nthreads=%u\n", guests.n, threads);
        print_median("own_nsec", samples, o->blocks, offsetof(Sample, own_nsec));
        print_median("libvirtd_nsec", samples, o->blocks, offsetof(Sample, libvirtd_nsec));
        print_median("qemu_nsec", samples, o->blocks, offsetof(Sample, guests_nsec));
        print_median("switches", samples, o->blocks, offsetof(Sample, switches));
        free(guests.clocks);
        return 0;
}

static int print_price(void) {
        _cleanup_close_ int fd = open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);
        uint64_t before = process_nsec(getpid());
        char text[128];

        if (fd < 0)
                return -errno;
        for (unsigned i = 0; i < PREADS; i++)
                if (pread(fd, text, sizeof(text), 0) < 0)
                        return -errno;
        (void)printf("%.2f\n", (double)(process_nsec(getpid()) - before) / PREADS / 1e3);
        return 0;
}

int main(int argc, char **argv) {
        Options o = { .seconds = 6, .blocks = 1 };
        bool price = false;
        int c, r;

        while ((c = getopt(argc, argv, "d:l:g:s:b:p")) >= 0)
                if (c == 'd')
                        o.daemon = atoi(optarg);
                else if (c == 'l')
                        o.libvirtd = atoi(optarg);
                else if (c == 'g')
                        o.guests = optarg;
                else if (c == 's')
                        o.seconds = (unsigned)atoi(optarg);
                else if (c == 'b')
                        o.blocks = CLAMP((unsigned)atoi(optarg), 1U, BLOCKS_MAX);
                else if (c == 'p')
                        price = true;
                else
                        return 2;
        r = price ? print_price() : measure(&o);
        if (r < 0)
                (void)fprintf(stderr, "bench_window: %s\n", strerror(-r));
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
