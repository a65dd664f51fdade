/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How long a guest that starts runs unpinned:
 *
 *   bench_start bare|daemon COUNT XMLFILE PIDFILE
 *
 * COUNT times, a transient guest of two vCPUs is created and the kernel is
 * asked every 200 us, from the moment the STARTED event arrives here, which
 * CPUs its two vCPU threads and its main thread may use. They are pinned when
 * none may use CPU 0 (which the policy keeps for the host) and each vCPU has
 * one CPU. Prints the microseconds, one guest a line.
 *
 *   daemon  the daemon under test pins
 *   bare    a thread of this program does, by the libvirt calls that are needed
 *           and nothing else: what the libvirt calls alone cost
 */

#include <dirent.h>
#include <libvirt/libvirt.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#include "../../lib/base.h"

#define POLL_USEC 200U
#define DEADLINE_USEC (5 * USEC_PER_SEC)
#define PAUSE_USEC (150 * USEC_PER_MSEC)
#define URI "qemu:///system"

typedef struct Bench {
        virConnectPtr watch, work;
        pthread_mutex_t lock;
        pthread_cond_t started_cond;
        uint64_t started_usec;          /* 0: not yet */
        virDomainPtr to_pin;            /* bare: for the thread that pins */
        bool bare, ending;
} Bench;

static uint64_t clock_usec(void) {
        struct timespec t = { 0 };

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / NSEC_PER_USEC;
}

static void pause_usec(uint64_t usec) {
        struct timespec t = { .tv_sec = (time_t)(usec / USEC_PER_SEC),
                              .tv_nsec = (long)(usec % USEC_PER_SEC * NSEC_PER_USEC) };

        (void)nanosleep(&t, NULL);
}

static int on_lifecycle(virConnectPtr c, virDomainPtr d, int event, int detail, void *userdata) {
        Bench *b = userdata;

        (void)c;
        (void)detail;
        if (event != VIR_DOMAIN_EVENT_STARTED)
                return 0;
        (void)pthread_mutex_lock(&b->lock);
        b->started_usec = clock_usec();
        if (b->bare && virDomainRef(d) == 0)
                b->to_pin = d;
        (void)pthread_cond_broadcast(&b->started_cond);
        (void)pthread_mutex_unlock(&b->lock);
        return 0;
}

static void *event_loop(void *userdata) {
        (void)userdata;
        for (;;)
                if (virEventRunDefaultImpl() < 0)
                        return NULL;
}

static void set_cpu(unsigned char *map, unsigned cpu) {
        map[cpu / 8] = (unsigned char)(map[cpu / 8] | 1U << cpu % 8);
}

/* State, XML, two vCPUs, emulator: one CPU each that is not CPU 0. */
static void pin(virDomainPtr d) {
        unsigned n = (unsigned)sysconf(_SC_NPROCESSORS_CONF);
        unsigned char map[CPU_SETSIZE / 8], all[CPU_SETSIZE / 8] = { 0 };
        int state, length = (int)(n + 7) / 8;
        char *xml;

        (void)virDomainGetState(d, &state, NULL, 0);
        xml = virDomainGetXMLDesc(d, 0);
        free(xml);
        for (unsigned i = 0; i < 2; i++) {
                memset(map, 0, sizeof(map));
                set_cpu(map, 1 + i % (n - 1));
                set_cpu(all, 1 + i % (n - 1));
                (void)virDomainPinVcpu(d, i, map, length);
        }
        (void)virDomainPinEmulator(d, all, length, VIR_DOMAIN_AFFECT_LIVE);
}

static void *bare_pinner(void *userdata) {
        Bench *b = userdata;

        (void)pthread_mutex_lock(&b->lock);
        while (!b->ending) {
                virDomainPtr d = TAKE_PTR(b->to_pin);

                if (!d) {
                        (void)pthread_cond_wait(&b->started_cond, &b->lock);
                        continue;
                }
                (void)pthread_mutex_unlock(&b->lock);
                pin(d);
                (void)virDomainFree(d);
                (void)pthread_mutex_lock(&b->lock);
        }
        (void)pthread_mutex_unlock(&b->lock);
        return NULL;
}

static pid_t read_pid(const char *path) {
        FILE *f = fopen(path, "re");
        int pid = 0;

        if (!f)
                return 0;
        if (fscanf(f, "%d", &pid) != 1)
                pid = 0;
        (void)fclose(f);
        return pid;
}

/* ret[0] is the main thread, ret[1] and ret[2] the vCPUs. False: not all there. */
static bool find_threads(pid_t pid, pid_t ret[3]) {
        const struct dirent *e;
        char path[300];
        DIR *dir;

        ret[0] = pid;
        ret[1] = ret[2] = 0;
        (void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
        dir = opendir(path);
        while (dir && (e = readdir(dir))) {
                char name[32] = "";
                unsigned vcpu;
                FILE *f;

                (void)snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", pid, e->d_name);
                f = e->d_name[0] != '.' ? fopen(path, "re") : NULL;
                if (!f)
                        continue;
                if (fgets(name, sizeof(name), f) && sscanf(name, "CPU %u/", &vcpu) == 1 && vcpu < 2)
                        ret[1 + vcpu] = atoi(e->d_name);
                (void)fclose(f);
        }
        if (dir)
                (void)closedir(dir);
        return ret[1] > 0 && ret[2] > 0;
}

static bool is_pinned(const pid_t threads[3]) {
        for (unsigned i = 0; i < 3; i++) {
                cpu_set_t set;

                if (sched_getaffinity(threads[i], sizeof(set), &set) < 0 || CPU_ISSET(0, &set))
                        return false;
                if (i > 0 && CPU_COUNT(&set) != 1)
                        return false;
        }
        return true;
}

static int wait_started(Bench *b, uint64_t *ret) {
        struct timespec end;
        int r = 0;

        (void)clock_gettime(CLOCK_REALTIME, &end);
        end.tv_sec += 10;
        (void)pthread_mutex_lock(&b->lock);
        while (b->started_usec == 0 && r == 0)
                r = pthread_cond_timedwait(&b->started_cond, &b->lock, &end);
        *ret = b->started_usec;
        b->started_usec = 0;
        (void)pthread_mutex_unlock(&b->lock);
        return -r;
}

static int one_guest(Bench *b, const char *xml, const char *pid_path, uint64_t *ret) {
        virDomainPtr d = virDomainCreateXML(b->work, xml, 0);
        pid_t threads[3];
        uint64_t started = 0, now = 0;
        bool known = false, pinned = false;
        int r;

        if (!d)
                return -EIO;
        r = wait_started(b, &started);
        while (r >= 0 && !pinned && now < started + DEADLINE_USEC) {
                known = known || find_threads(read_pid(pid_path), threads);
                pinned = known && is_pinned(threads);
                now = clock_usec();
                if (!pinned)
                        pause_usec(POLL_USEC);
        }
        (void)virDomainDestroy(d);
        (void)virDomainFree(d);
        if (r < 0)
                return r;
        *ret = now - started;
        return pinned ? 0 : -ETIMEDOUT;
}

static int run(Bench *b, unsigned count, const char *xml, const char *pid_path) {
        for (unsigned i = 0; i < count; i++) {
                uint64_t usec = 0;
                int r;

                r = one_guest(b, xml, pid_path, &usec);
                if (r < 0) {
                        (void)fprintf(stderr, "bench_start: guest %u: %s\n", i + 1,
                                      r == -ETIMEDOUT ? "not pinned" : strerror(-r));
                        return r;
                }
                (void)printf("%llu\n", (unsigned long long)usec);
                pause_usec(PAUSE_USEC);
        }
        return 0;
}

static int open_bench(Bench *b) {
        pthread_t thread;

        if (virEventRegisterDefaultImpl() < 0)
                return -EIO;
        b->watch = virConnectOpen(URI);
        b->work = virConnectOpen(URI);
        if (!b->watch || !b->work)
                return -EIO;
        if (virConnectDomainEventRegisterAny(b->watch, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                             VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), b, NULL) < 0)
                return -EIO;
        if (pthread_create(&thread, NULL, event_loop, NULL) != 0 || pthread_detach(thread) != 0)
                return -EAGAIN;
        return 0;
}

static int read_text(const char *path, char *text, size_t size) {
        FILE *f = fopen(path, "re");
        size_t n;

        if (!f)
                return -errno;
        n = fread(text, 1, size - 1, f);
        text[n] = '\0';
        (void)fclose(f);
        return 0;
}

int main(int argc, char **argv) {
        Bench b = { .lock = PTHREAD_MUTEX_INITIALIZER, .started_cond = PTHREAD_COND_INITIALIZER };
        char xml[16384];
        pthread_t pinner;
        int r;

        if (argc != 5 || (!streq(argv[1], "bare") && !streq(argv[1], "daemon"))) {
                (void)fprintf(stderr, "usage: bench_start bare|daemon COUNT XMLFILE PIDFILE\n");
                return 2;
        }
        b.bare = streq(argv[1], "bare");
        r = read_text(argv[3], xml, sizeof(xml));
        if (r >= 0)
                r = open_bench(&b);
        if (r < 0) {
                (void)fprintf(stderr, "bench_start: %s\n", strerror(-r));
                return EXIT_FAILURE;
        }
        if (pthread_create(&pinner, NULL, bare_pinner, &b) != 0)
                return EXIT_FAILURE;
        r = run(&b, (unsigned)atoi(argv[2]), xml, argv[4]);
        (void)pthread_mutex_lock(&b.lock);
        b.ending = true;
        (void)pthread_cond_broadcast(&b.started_cond);
        (void)pthread_mutex_unlock(&b.lock);
        (void)pthread_join(pinner, NULL);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
