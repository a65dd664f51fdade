/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guests that start and stop, thousands of them, under a daemon that pins and
 * tunes each: what it holds afterwards (descriptors, threads, memory) is what it
 * held after the first two hundred. And an hour of churn at a hundred times the speed,
 * for a daemon that is built with AddressSanitizer: make soak. Not beside other work: what waits for a processor for
 * 10 ms has waited a second there.
 */
#include <check.h>
#include <dirent.h>
#include <libvirt/libvirt.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "host.h"

#define BATCH 10U
/* By then it has said so much that its memory of that is full: 1,024 messages, some six for each guest. */
#define WARM_UP 200U
/* AddressSanitizer counts exactly; the C library counts as used what a thread keeps for its next allocation. */
#define SLACK_EXACT_BYTES (16 * KIB)
#define SLACK_BYTES (160 * KIB)

typedef struct Held {
        size_t descriptors, threads;
        unsigned handles;               /* of guests, at libvirt */
        uint64_t heap_bytes;
} Held;

static unsigned number_of(const char *variable, unsigned otherwise) {
        const char *text = getenv(variable);

        return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static size_t count_entries(pid_t pid, const char *folder) {
        char path[64];
        size_t n = 0;
        DIR *d;

        (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, folder);
        d = opendir(path);
        ck_assert_ptr_nonnull(d);
        while (readdir(d))
                n++;
        (void)closedir(d);
        return n;
}

static uint64_t heap_of(TestHost *h) {
        unsigned done = __atomic_load_n(&h->world->report.done, __ATOMIC_ACQUIRE);

        host_event(h, WORLD_REPORT, "", 0, 0);
        HOST_UNTIL(h, __atomic_load_n(&h->world->report.done, __ATOMIC_ACQUIRE) != done);
        return h->world->report.heap_bytes;
}

/* One that was left behind in a call, and one that moves memory, ends by itself: on a busy machine that takes a while. */
static void wait_for_threads(TestHost *h, size_t n) {
        for (unsigned i = 0; i < 1000 && count_entries(h->daemon, "task") > n; i++)
                (void)usleep(10000);
}

/* Which they are. */
static void note_threads(TestHost *h) {
        char command[96];

        (void)snprintf(command, sizeof(command), "sed 's/^/# note: thread /' /proc/%d/task/*/comm", (int)h->daemon);
        (void)fflush(stdout);
        if (system(command) != 0)
                printf("# note: no threads\n");
}

/* The least of some looks: work that is under way is not what it holds. */
static Held look(TestHost *h) {
        Held least = { SIZE_MAX, SIZE_MAX, UINT32_MAX, UINT64_MAX };

        for (unsigned i = 0; i < 20; i++) {
                (void)usleep(20000);
                least.descriptors = MIN(least.descriptors, count_entries(h->daemon, "fd"));
                least.threads = MIN(least.threads, count_entries(h->daemon, "task"));
                least.handles = MIN(least.handles, h->world->n_domains);
                least.heap_bytes = MIN(least.heap_bytes, heap_of(h));
        }
        return least;
}

static void check_held(TestHost *h, const Held *before, const Held *now, const char *when) {
        printf("# note: %s: %zu descriptors, %zu threads, %u handles, %llu bytes; at first %zu, %zu, %u, %llu\n", when,
               now->descriptors - 2, now->threads - 2, now->handles, (unsigned long long)now->heap_bytes,
               before->descriptors - 2, before->threads - 2, before->handles, (unsigned long long)before->heap_bytes);
        (void)fflush(stdout);
        if (now->threads > before->threads)
                note_threads(h);
        ck_assert_uint_le(now->descriptors, before->descriptors);
        ck_assert_uint_le(now->threads, before->threads);
        ck_assert_uint_le(now->handles, before->handles);
        ck_assert_uint_le(now->heap_bytes, before->heap_bytes + (getenv("FAULTS_ASAN") ? SLACK_EXACT_BYTES : SLACK_BYTES));
}

static bool is_pinned(const WorldGuest *g) {
        return g->vcpu_pins[0] != 0 && g->emulator_pin != 0;
}

static void start_guests(TestHost *h, WorldGuest *guests[BATCH], unsigned first) {
        char name[32];

        for (unsigned i = 0; i < BATCH; i++) {
                (void)snprintf(name, sizeof(name), "g%06u", first + i);
                guests[i] = host_guest_add(h, name, first + i);
                host_event(h, WORLD_LIFECYCLE, guests[i]->uuid, VIR_DOMAIN_EVENT_STARTED, 0);
        }
        for (unsigned i = 0; i < BATCH; i++)
                HOST_UNTIL(h, is_pinned(guests[i]));
}

static void stop_guests(TestHost *h, WorldGuest *guests[BATCH]) {
        for (unsigned i = 0; i < BATCH; i++) {
                host_guest_remove(h, guests[i]);
                host_event(h, WORLD_LIFECYCLE, guests[i]->uuid, VIR_DOMAIN_EVENT_STOPPED, (int)i % 6);
        }
}

static void begin(TestHost *h, Knobs *before, unsigned speed) {
        host_begin(h, before);
        h->world->speed = speed;
        /* What it says about its guests stays in its memory, up to a bound: as little as possible is said. */
        host_policy(h, "host: { reserved_cpus = \"0\"; }; cpu: { policy = \"shared\"; };"
                       "ksm: { mode = \"on\"; };"
                       "balloon: { mode = \"auto\"; }; memtune: { soft_limit = \"2560 MiB\"; };");
        host_start(h, NULL);
        HOST_UNTIL(h, is_pinned(host_guest(h, "web")));
}

static void end(TestHost *h, const Knobs *before) {
        int status = host_stop(h, SIGTERM);

        /* A sanitizer that found a leak gives the end another status. */
        ck_assert_msg(status == 0, "it ends with %d\n%s", status, host_log_end(h));
        host_check_restored(h, before, "the end");
}

START_TEST(guests_that_start_and_stop_leave_nothing_behind) {
        unsigned n = number_of("FAULTS_CYCLES", 1000);
        WorldGuest *guests[BATCH];
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        Held first = { 0 }, now;
        char when[64];

        begin(&h, &before, HOST_SPEED);
        for (unsigned i = 0; i < n; i += BATCH) {
                start_guests(&h, guests, 1000 + i);
                stop_guests(&h, guests);
                if (i + BATCH == WARM_UP)
                        first = look(&h);
        }
        wait_for_threads(&h, first.threads);
        now = look(&h);
        (void)snprintf(when, sizeof(when), "%u guests", n);
        check_held(&h, &first, &now, when);
        end(&h, &before);
}
END_TEST

/* ---- the soak ---- */

static uint64_t now_usec(void) {
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000;
}

#define CHURN_MAX 20U

/* Guests come and go, pause, change their memory; libvirt is lost now and then. */
static void churn(TestHost *h, WorldGuest *guests[CHURN_MAX], unsigned step) {
        WorldGuest **g = &guests[step % CHURN_MAX];
        char name[32];

        if (*g) {
                host_guest_remove(h, *g);
                host_event(h, WORLD_LIFECYCLE, (*g)->uuid, VIR_DOMAIN_EVENT_STOPPED, (int)step % 6);
                *g = NULL;
        } else {
                (void)snprintf(name, sizeof(name), "s%06u", step);
                *g = host_guest_add(h, name, 1000 + step);
                host_event(h, WORLD_LIFECYCLE, (*g)->uuid, VIR_DOMAIN_EVENT_STARTED, 0);
        }
        g = &guests[step * 7 % CHURN_MAX];
        if (*g && step % 3 == 0) {
                (*g)->paused = !(*g)->paused;
                host_event(h, WORLD_LIFECYCLE, (*g)->uuid,
                           (*g)->paused ? VIR_DOMAIN_EVENT_SUSPENDED : VIR_DOMAIN_EVENT_RESUMED, 0);
        }
        if (*g && step % 5 == 0) {
                (*g)->usable_kib = (step * 7919) % 2000000;
                host_event(h, WORLD_METADATA, (*g)->uuid, 0, 0);
        }
        if (step % 200 == 199)
                host_event(h, WORLD_CLOSE, "", VIR_CONNECT_CLOSE_REASON_EOF, 0);
}

static void clear_guests(TestHost *h, WorldGuest *guests[CHURN_MAX]) {
        for (unsigned i = 0; i < CHURN_MAX; i++)
                if (guests[i]) {
                        host_guest_remove(h, guests[i]);
                        host_event(h, WORLD_LIFECYCLE, guests[i]->uuid, VIR_DOMAIN_EVENT_STOPPED, 0);
                        guests[i] = NULL;
                }
        (void)usleep(500000);
}

/* What it remembers of its messages is as much before each look: that differs by their length. */
static void say_the_same(TestHost *h, unsigned first) {
        WorldGuest *guests[BATCH];

        for (unsigned i = 0; i < WARM_UP; i += BATCH) {
                start_guests(h, guests, first + i);
                stop_guests(h, guests);
        }
}

/* @usec of real time. */
static unsigned churn_for(TestHost *h, WorldGuest *guests[CHURN_MAX], uint64_t usec, unsigned step) {
        uint64_t until = now_usec() + usec;

        while (now_usec() < until) {
                churn(h, guests, step++);
                (void)usleep(10000);
                ck_assert_msg(host_alive(h), "it has ended: %s", host_log_end(h));
        }
        return step;
}

START_TEST(an_hour_of_churn) {
        uint64_t usec = number_of("FAULTS_SOAK", 3600) * USEC_PER_SEC / 100;
        WorldGuest *guests[CHURN_MAX] = { NULL };
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        unsigned step, cycles;
        Held first, now;
        char when[96];

        begin(&h, &before, 100);
        (void)host_fail(&h, "read proc/meminfo", 0, 0, 0);
        step = churn_for(&h, guests, usec / 10, 0);
        clear_guests(&h, guests);
        say_the_same(&h, 500000);
        first = look(&h);
        step = churn_for(&h, guests, usec - usec / 10, step);
        cycles = h.world->rules[0].seen;
        clear_guests(&h, guests);
        say_the_same(&h, 600000);
        wait_for_threads(&h, first.threads);
        now = look(&h);
        (void)snprintf(when, sizeof(when), "%u s of time, %u cycles, %u changes", (unsigned)(usec * 100 / USEC_PER_SEC),
                       cycles, step);
        check_held(&h, &first, &now, when);
        end(&h, &before);
}
END_TEST

static void add(Suite *s, const char *name, const TTest *test) {
        TCase *tc = tcase_create(name);

        tcase_set_timeout(tc, 900);
        tcase_add_test(tc, test);
        suite_add_tcase(s, tc);
}

int main(void) {
        Suite *s = suite_create("cycles");
        SRunner *runner;
        int failed;

        add(s, "cycles", guests_that_start_and_stop_leave_nothing_behind);
        /* An hour takes 36 s: only where it was asked for. */
        if (getenv("FAULTS_SOAK"))
                add(s, "soak", an_hour_of_churn);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed > 0;
}
