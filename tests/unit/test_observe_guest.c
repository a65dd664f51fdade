/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../../lib/observe.h"

#include "tree.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>

static Guest *new_guest(size_t vcpus, size_t iothreads) {
        Guest *g = NULL;

        ck_assert_int_eq(guest_new("g", NULL, &g), 0);
        ck_assert_int_eq(guest_set_vcpus(g, vcpus), 0);
        ck_assert_int_eq(guest_set_iothreads(g, iothreads), 0);
        /* libvirt numbers them from 1. */
        for (size_t i = 0; i < iothreads; i++)
                g->iothreads[i].id = (unsigned)i + 1;
        return g;
}

/* ---- fixture guests ------------------------------------------------------- */

START_TEST(threads_by_their_names) {
        _cleanup_(guest_observer_freep) GuestObserver *o = NULL;
        _cleanup_(guest_freep) Guest *g = new_guest(4, 2);
        _cleanup_close_ int root = fixture_open("two-nodes");

        ck_assert_int_eq(guest_observer_new(root, 4242, g, &o), 0);
        ck_assert_int_eq(g->pid, 4242);
        ck_assert_int_eq(g->emulator.tid, 4242);
        ck_assert_int_eq(g->vcpus[0].tid, 4244);
        ck_assert_int_eq(g->vcpus[1].tid, 4245);
        ck_assert_int_eq(g->vcpus[2].tid, 0);
        ck_assert_int_eq(g->iothreads[0].tid, 4246);
        ck_assert_int_eq(g->iothreads[1].tid, 0);
        ck_assert_int_eq(guest_observe(o, root, USEC_PER_SEC, true, g), 0);
        ck_assert_uint_eq(g->rss_bytes, 65536 * (uint64_t)sysconf(_SC_PAGESIZE));
        ck_assert_uint_gt(g->virtual_bytes, g->rss_bytes);
        ck_assert_uint_eq(g->vcpus[0].busy_permyriad, UNKNOWN_PERMYRIAD);
        /* The threads of a recorded tree are not this machine's. */
        ck_assert(idset_is_empty(&g->vcpus[0].affinity));
        ck_assert_uint_eq(g->n_node_memory, 2);
}
END_TEST

#define GUEST "proc/500/"

static void write_thread(const Tree *t, int tid, const char *comm, const char *schedstat) {
        _cleanup_free_ char *path = NULL;

        ck_assert_int_eq(strprintf_to(&path, GUEST "task/%d/comm", tid), 0);
        tree_write(t, path, comm);
        ck_assert_int_eq(strprintf_to(&path, GUEST "task/%d/schedstat", tid), 0);
        tree_write(t, path, schedstat);
}

/* The folder goes; unlike in /proc, what is open still answers. */
static void end_thread(const Tree *t, int tid) {
        char path[64];

        (void)snprintf(path, sizeof(path), GUEST "task/%d/comm", tid);
        tree_remove(t, path);
        (void)snprintf(path, sizeof(path), GUEST "task/%d/schedstat", tid);
        tree_remove(t, path);
        (void)snprintf(path, sizeof(path), GUEST "task/%d", tid);
        ck_assert_int_eq(unlinkat(t->fd, path, AT_REMOVEDIR), 0);
}

static void write_guest(const Tree *t) {
        tree_write(t, GUEST "statm", "100 50 0 0\n");
        write_thread(t, 500, "qemu-system-x86\n", "0 0 0\n");
        write_thread(t, 502, "CPU 0/KVM\n", "1000000000 500000000 9\n");
}

START_TEST(rates_of_threads) {
        _cleanup_(guest_observer_freep) GuestObserver *o = NULL;
        _cleanup_(guest_freep) Guest *g = new_guest(1, 0);
        _cleanup_tree_ Tree t = tree_new();

        write_guest(&t);
        ck_assert_int_eq(guest_observer_new(t.fd, 500, g, &o), 0);
        ck_assert_int_eq(guest_observe(o, t.fd, 10 * USEC_PER_SEC, false, g), 0);
        ck_assert_uint_eq(g->vcpus[0].busy_permyriad, UNKNOWN_PERMYRIAD);
        write_thread(&t, 502, "CPU 0/KVM\n", "3500000000 750000000 9\n");
        ck_assert_int_eq(guest_observe(o, t.fd, 20 * USEC_PER_SEC, false, g), 0);
        ck_assert_uint_eq(g->vcpus[0].busy_permyriad, 2500);
        ck_assert_uint_eq(g->vcpus[0].wait_permyriad, 250);
        ck_assert_uint_eq(g->emulator.busy_permyriad, 0);
        /* Too soon for a new rate, and then one over the whole time. */
        write_thread(&t, 502, "CPU 0/KVM\n", "3600000000 750000000 9\n");
        ck_assert_int_eq(guest_observe(o, t.fd, 20 * USEC_PER_SEC + 1000, false, g), 0);
        ck_assert_uint_eq(g->vcpus[0].busy_permyriad, 2500);
        write_thread(&t, 502, "CPU 0/KVM\n", "8500000000 750000000 9\n");
        ck_assert_int_eq(guest_observe(o, t.fd, 30 * USEC_PER_SEC, false, g), 0);
        ck_assert_uint_eq(g->vcpus[0].busy_permyriad, 5000);
        /* Never more than one CPU, never less than none. */
        write_thread(&t, 502, "CPU 0/KVM\n", "99000000000 0 9\n");
        ck_assert_int_eq(guest_observe(o, t.fd, 40 * USEC_PER_SEC, false, g), 0);
        ck_assert_uint_eq(g->vcpus[0].busy_permyriad, 10000);
        ck_assert_uint_eq(g->vcpus[0].wait_permyriad, 0);
        write_thread(&t, 502, "CPU 0/KVM\n", "garbage\n");
        ck_assert_int_eq(guest_observe(o, t.fd, 50 * USEC_PER_SEC, false, g), 0);
        ck_assert_uint_eq(g->vcpus[0].busy_permyriad, UNKNOWN_PERMYRIAD);
}
END_TEST

START_TEST(a_hot_plugged_vcpu_is_found) {
        _cleanup_(guest_observer_freep) GuestObserver *o = NULL;
        _cleanup_(guest_freep) Guest *g = new_guest(2, 0);
        _cleanup_tree_ Tree t = tree_new();

        write_guest(&t);
        g->vcpus[1].online = false;
        ck_assert_int_eq(guest_observer_new(t.fd, 500, g, &o), 0);
        ck_assert_int_eq(guest_observe(o, t.fd, 10 * USEC_PER_SEC, false, g), 0);
        write_thread(&t, 503, "CPU 1/KVM\n", "0 0 0\n");
        g->vcpus[1].online = true;
        ck_assert_int_eq(guest_observe(o, t.fd, 20 * USEC_PER_SEC, false, g), 0);
        ck_assert_int_eq(g->vcpus[1].tid, 503);
        ck_assert_int_eq(guest_observe(o, t.fd, 30 * USEC_PER_SEC, false, g), 0);
        ck_assert_uint_eq(g->vcpus[1].busy_permyriad, 0);
}
END_TEST

/* One thread for all vCPUs (single-threaded emulation): looking for more each cycle would be in vain. */
START_TEST(missing_threads_are_looked_for_once_a_minute) {
        _cleanup_(guest_observer_freep) GuestObserver *o = NULL;
        _cleanup_(guest_freep) Guest *g = new_guest(2, 0);
        _cleanup_tree_ Tree t = tree_new();

        write_guest(&t);
        ck_assert_int_eq(guest_observer_new(t.fd, 500, g, &o), 0);
        ck_assert_int_eq(guest_observe(o, t.fd, 100 * USEC_PER_SEC, false, g), 0);
        write_thread(&t, 503, "CPU 1/TCG\n", "0 0 0\n");
        ck_assert_int_eq(guest_observe(o, t.fd, 110 * USEC_PER_SEC, false, g), 0);
        ck_assert_int_eq(g->vcpus[1].tid, 0);
        ck_assert_int_eq(guest_observe(o, t.fd, 161 * USEC_PER_SEC, false, g), 0);
        ck_assert_int_eq(g->vcpus[1].tid, 503);
}
END_TEST

START_TEST(a_guest_value_read_anew_gets_its_threads_back) {
        _cleanup_(guest_observer_freep) GuestObserver *o = NULL;
        _cleanup_(guest_freep) Guest *g = new_guest(1, 0), *again = new_guest(3, 1);
        _cleanup_tree_ Tree t = tree_new();

        write_guest(&t);
        ck_assert_int_eq(guest_observer_new(t.fd, 500, g, &o), 0);
        ck_assert_int_eq(guest_observe(o, t.fd, 10 * USEC_PER_SEC, false, again), 0);
        ck_assert_int_eq(again->pid, 500);
        ck_assert_int_eq(again->vcpus[0].tid, 502);
        ck_assert_int_eq(again->emulator.tid, 500);
}
END_TEST

START_TEST(descriptors_are_kept) {
        _cleanup_(guest_observer_freep) GuestObserver *o = NULL;
        _cleanup_(guest_freep) Guest *g = new_guest(1, 0);
        _cleanup_tree_ Tree t = tree_new();
        size_t files;

        write_guest(&t);
        ck_assert_int_eq(guest_observer_new(t.fd, 500, g, &o), 0);
        ck_assert_int_eq(guest_observe(o, t.fd, 10 * USEC_PER_SEC, false, g), 0);
        files = count_open_files();
        end_thread(&t, 500);
        end_thread(&t, 502);
        tree_remove(&t, GUEST "statm");
        for (uint64_t i = 2; i < 20; i++) {
                ck_assert_int_eq(guest_observe(o, t.fd, i * 10 * USEC_PER_SEC, false, g), 0);
                ck_assert_uint_eq(g->vcpus[0].busy_permyriad, 0);
                ck_assert_uint_ne(g->rss_bytes, UNKNOWN_U64);
        }
        ck_assert_uint_eq(count_open_files(), files);
}
END_TEST

typedef struct Cycles {
        GuestObserver *observer;
        int root_fd;
        Guest *guest;
} Cycles;

static int cycles(void *p) {
        Cycles *c = p;
        int r = 0;

        /* Less than a minute: a vCPU without a thread is not looked for. */
        for (uint64_t i = 2; i < 7 && r >= 0; i++)
                r = guest_observe(c->observer, c->root_fd, i * 10 * USEC_PER_SEC, true, c->guest);
        return r;
}

START_TEST(a_steady_cycle_opens_nothing) {
        static const int32_t pids[] = { 4242, 4300 };
        _cleanup_close_ int fixture = fixture_open("two-nodes"), root = sysfs_open_root("/");
        _cleanup_(guest_freep) Guest *live = new_guest(1, 0);
        GuestObserver *o = NULL;

        for (size_t i = 0; i < ELEMENTSOF(pids); i++) {
                _cleanup_(guest_freep) Guest *g = new_guest(3, 2);

                ck_assert_int_eq(guest_observer_new(fixture, pids[i], g, &o), 0);
                ck_assert_int_eq(guest_observe(o, fixture, 10 * USEC_PER_SEC, true, g), 0);
                ck_assert(works_without_open(cycles, &(Cycles){ o, fixture, g }));
                o = guest_observer_free(o);
        }
        ck_assert_int_eq(guest_observer_new(root, getpid(), live, &o), 0);
        ck_assert_int_eq(guest_observe(o, root, 10 * USEC_PER_SEC, true, live), 0);
        ck_assert(works_without_open(cycles, &(Cycles){ o, root, live }));
        (void)guest_observer_free(o);
}
END_TEST

START_TEST(a_new_iothread_is_found) {
        _cleanup_(guest_observer_freep) GuestObserver *o = NULL;
        _cleanup_(guest_freep) Guest *g = new_guest(1, 0), *again = new_guest(1, 1);
        _cleanup_tree_ Tree t = tree_new();

        write_guest(&t);
        ck_assert_int_eq(guest_observer_new(t.fd, 500, g, &o), 0);
        ck_assert_int_eq(guest_observe(o, t.fd, 10 * USEC_PER_SEC, false, g), 0);
        write_thread(&t, 504, "IO iothread1\n", "0 0 0\n");
        ck_assert_int_eq(guest_observe(o, t.fd, 20 * USEC_PER_SEC, false, again), 0);
        ck_assert_int_eq(again->iothreads[0].tid, 504);
}
END_TEST

/* A process may give its threads any name: that must not cost descriptors without end. */
START_TEST(threads_the_guest_has_not_are_not_followed) {
        _cleanup_(guest_observer_freep) GuestObserver *o = NULL;
        _cleanup_(guest_freep) Guest *g = new_guest(2, 0);
        _cleanup_tree_ Tree t = tree_new();
        size_t files;

        write_guest(&t);
        for (int i = 0; i < 50; i++)
                write_thread(&t, 600 + i, i % 2 ? "CPU 0/KVM\n" : "CPU 77/KVM\n", "0 0 0\n");
        files = count_open_files();
        ck_assert_int_eq(guest_observer_new(t.fd, 500, g, &o), 0);
        ck_assert_int_eq(guest_observe(o, t.fd, 10 * USEC_PER_SEC, false, g), 0);
        ck_assert_int_eq(g->vcpus[0].tid, 502);
        /* The emulator's and the vCPU's schedstat, and statm. */
        ck_assert_uint_eq(count_open_files(), files + 3);
}
END_TEST

START_TEST(no_such_process) {
        _cleanup_(guest_observer_freep) GuestObserver *o = NULL;
        _cleanup_(guest_freep) Guest *g = new_guest(1, 0);
        _cleanup_tree_ Tree t = tree_new();

        ck_assert_int_eq(guest_observer_new(t.fd, 500, g, &o), -ESRCH);
        ck_assert_ptr_null(o);
        ck_assert_int_eq(g->pid, 0);
}
END_TEST

/* ---- real threads --------------------------------------------------------- */

typedef struct Worker {
        pthread_t thread;
        int32_t tid;
        const char *name;
        bool spin;
        atomic_bool stop;
        pthread_barrier_t ready;
} Worker;

static void *work(void *p) {
        Worker *w = p;

        w->tid = gettid();
        (void)pthread_setname_np(pthread_self(), w->name);
        (void)pthread_barrier_wait(&w->ready);
        while (!atomic_load(&w->stop))
                if (!w->spin)
                        (void)usleep(1000);
        return NULL;
}

static void worker_start(Worker *w, const char *name, bool spin) {
        w->name = name;
        w->spin = spin;
        atomic_init(&w->stop, false);
        (void)pthread_barrier_init(&w->ready, NULL, 2);
        ck_assert_int_eq(pthread_create(&w->thread, NULL, work, w), 0);
        (void)pthread_barrier_wait(&w->ready);
}

/* The kernel removes the folder of a thread a little after pthread_join() returns. */
static void worker_stop(Worker *w) {
        char path[64];

        atomic_store(&w->stop, true);
        (void)pthread_join(w->thread, NULL);
        (void)snprintf(path, sizeof(path), "/proc/self/task/%d", w->tid);
        while (access(path, F_OK) == 0)
                (void)usleep(100);
}

/* However busy the machine is: until the thread has had so much of a CPU. */
static void wait_for_cpu_time(const Worker *w, uint64_t usec) {
        struct timespec ts = { 0 };
        clockid_t clock;

        ck_assert_int_eq(pthread_getcpuclockid(w->thread, &clock), 0);
        while ((uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / NSEC_PER_USEC < usec) {
                (void)usleep(5000);
                ck_assert_int_eq(clock_gettime(clock, &ts), 0);
        }
}

static unsigned first_allowed_cpu(void) {
        cpu_set_t set;

        ck_assert_int_eq(sched_getaffinity(0, sizeof(set), &set), 0);
        for (unsigned i = 0; i < CPU_SETSIZE; i++)
                if (CPU_ISSET(i, &set))
                        return i;
        ck_abort_msg("no CPU allowed");
}

START_TEST(real_threads_have_affinity_and_load) {
        _cleanup_(guest_observer_freep) GuestObserver *o = NULL;
        _cleanup_(guest_freep) Guest *g = new_guest(2, 1);
        _cleanup_close_ int root = sysfs_open_root("/");
        unsigned cpu = first_allowed_cpu();
        Worker a, b, c;
        cpu_set_t set;
        int allowed;
        size_t files;
        IdSet one = idset_of(cpu);

        worker_start(&a, "CPU 0/TCG", true);
        worker_start(&b, "CPU 1/TCG", false);
        worker_start(&c, "IO iothread1", false);
        ck_assert_int_eq(sched_getaffinity(0, sizeof(set), &set), 0);
        allowed = CPU_COUNT(&set);
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        ck_assert_int_eq(sched_setaffinity(b.tid, sizeof(set), &set), 0);
        ck_assert_int_eq(guest_observer_new(root, getpid(), g, &o), 0);
        ck_assert_int_eq(g->vcpus[0].tid, a.tid);
        ck_assert_int_eq(g->vcpus[1].tid, b.tid);
        ck_assert_int_eq(g->iothreads[0].tid, c.tid);
        ck_assert_int_eq(guest_observe(o, root, 1000 * USEC_PER_SEC, false, g), 0);
        ck_assert_int_eq((int)idset_count(&g->emulator.affinity), allowed);
        ck_assert(idset_equal(&g->vcpus[1].affinity, &one));
        ck_assert_uint_gt(g->rss_bytes, 0);
        ck_assert_uint_ne(g->rss_bytes, UNKNOWN_U64);
        wait_for_cpu_time(&a, 100 * USEC_PER_MSEC);
        files = count_open_files();
        ck_assert_int_eq(guest_observe(o, root, 1000 * USEC_PER_SEC + 200 * USEC_PER_MSEC, false, g), 0);
        ck_assert_uint_eq(count_open_files(), files);
        ck_assert_uint_gt(g->vcpus[0].busy_permyriad, g->vcpus[1].busy_permyriad);
        ck_assert_uint_gt(g->vcpus[0].busy_permyriad, 0);
        /* A pin that changes is seen. */
        ck_assert_int_eq(sched_setaffinity(a.tid, sizeof(set), &set), 0);
        ck_assert_int_eq(guest_observe(o, root, 1001 * USEC_PER_SEC, false, g), 0);
        ck_assert(idset_equal(&g->vcpus[0].affinity, &one));
        worker_stop(&a);
        worker_stop(&b);
        worker_stop(&c);
}
END_TEST

START_TEST(an_unplugged_vcpu_is_forgotten_and_found_again) {
        _cleanup_(guest_observer_freep) GuestObserver *o = NULL;
        _cleanup_(guest_freep) Guest *g = new_guest(2, 0);
        _cleanup_close_ int root = sysfs_open_root("/");
        Worker a, b;

        worker_start(&a, "CPU 0/KVM", false);
        worker_start(&b, "CPU 1/KVM", false);
        ck_assert_int_eq(guest_observer_new(root, getpid(), g, &o), 0);
        ck_assert_int_eq(guest_observe(o, root, 10 * USEC_PER_SEC, false, g), 0);
        worker_stop(&a);
        g->vcpus[0].online = false;
        ck_assert_int_eq(guest_observe(o, root, 20 * USEC_PER_SEC, false, g), 0);
        ck_assert_int_eq(g->vcpus[0].tid, 0);
        ck_assert_uint_eq(g->vcpus[0].busy_permyriad, UNKNOWN_PERMYRIAD);
        ck_assert(idset_is_empty(&g->vcpus[0].affinity));
        ck_assert_int_eq(g->vcpus[1].tid, b.tid);
        worker_start(&a, "CPU 0/KVM", false);
        g->vcpus[0].online = true;
        ck_assert_int_eq(guest_observe(o, root, 30 * USEC_PER_SEC, false, g), 0);
        ck_assert_int_eq(g->vcpus[0].tid, a.tid);
        worker_stop(&a);
        worker_stop(&b);
}
END_TEST

static void wait_for_exit(pid_t pid) {
        siginfo_t info;

        ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

/* Row 1: ended, but its parent has not waited for it yet. */
START_TEST(a_process_that_ended_is_gone) {
        _cleanup_(guest_observer_freep) GuestObserver *o = NULL;
        _cleanup_(guest_freep) Guest *g = new_guest(1, 0);
        _cleanup_close_ int root = sysfs_open_root("/");
        pid_t pid;

        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                (void)pause();
                _exit(0);
        }
        ck_assert_int_eq(guest_observer_new(root, pid, g, &o), 0);
        ck_assert_int_eq(guest_observe(o, root, 10 * USEC_PER_SEC, true, g), 0);
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        wait_for_exit(pid);
        if (_i == 0)
                ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        ck_assert_int_eq(guest_observe(o, root, 20 * USEC_PER_SEC, true, g), -ESRCH);
        if (_i == 1)
                ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

/* ---- inheritance ---------------------------------------------------------- */

START_TEST(observations_are_inherited_and_settings_are_not) {
        _cleanup_(guest_freep) Guest *from = new_guest(2, 1), *to = new_guest(3, 1);

        from->pid = 7;
        from->rss_bytes = 1234;
        from->virtual_bytes = 5678;
        from->psi_memory = (Psi){ 12, 13 };
        from->state = GUEST_PAUSED;
        from->current_bytes = 55;
        from->stats.unused_bytes = 99;
        from->vcpus[1] = (GuestThread){ .id = 1, .tid = 8, .affinity = idset_of(3), .busy_permyriad = 42,
                                        .wait_permyriad = 43, .pinned = true, .online = false };
        from->iothreads[0].tid = 9;
        from->node_memory = calloc(1, sizeof(*from->node_memory));
        from->node_memory[0] = (GuestNodeMemory){ 5, 6 };
        from->n_node_memory = 1;
        to->current_bytes = 11;
        ck_assert_int_eq(guest_inherit_observations(to, from), 0);
        ck_assert_int_eq(to->pid, 7);
        ck_assert_uint_eq(to->rss_bytes, 1234);
        ck_assert_uint_eq(to->virtual_bytes, 5678);
        ck_assert_uint_eq(to->psi_memory.some_permyriad, 12);
        ck_assert_uint_eq(to->psi_memory.full_permyriad, 13);
        ck_assert_uint_eq(to->stats.unused_bytes, 99);
        ck_assert_int_eq(to->vcpus[1].tid, 8);
        ck_assert_uint_eq(to->vcpus[1].busy_permyriad, 42);
        ck_assert_uint_eq(to->vcpus[1].wait_permyriad, 43);
        ck_assert(idset_contains(&to->vcpus[1].affinity, 3));
        ck_assert_int_eq(to->iothreads[0].tid, 9);
        ck_assert_uint_eq(to->n_node_memory, 1);
        ck_assert_uint_eq(to->node_memory[0].bytes, 6);
        ck_assert_ptr_ne(to->node_memory, from->node_memory);
        ck_assert_int_eq(to->state, GUEST_RUNNING);
        ck_assert_uint_eq(to->current_bytes, 11);
        ck_assert(!to->vcpus[1].pinned);
        ck_assert(to->vcpus[1].online);
        ck_assert_int_eq(to->vcpus[2].tid, 0);
}
END_TEST

int main(void) {
        Suite *s = suite_create("observe_guest");
        TCase *c = tcase_create("all");
        SRunner *runner;
        int failed;

        suite_add_tcase(s, c);
        tcase_set_timeout(c, 60);
        tcase_add_test(c, threads_by_their_names);
        tcase_add_test(c, rates_of_threads);
        tcase_add_test(c, a_hot_plugged_vcpu_is_found);
        tcase_add_test(c, missing_threads_are_looked_for_once_a_minute);
        tcase_add_test(c, a_guest_value_read_anew_gets_its_threads_back);
        tcase_add_test(c, descriptors_are_kept);
        tcase_add_test(c, a_steady_cycle_opens_nothing);
        tcase_add_test(c, a_new_iothread_is_found);
        tcase_add_test(c, threads_the_guest_has_not_are_not_followed);
        tcase_add_test(c, no_such_process);
        tcase_add_test(c, real_threads_have_affinity_and_load);
        tcase_add_test(c, an_unplugged_vcpu_is_forgotten_and_found_again);
        tcase_add_loop_test(c, a_process_that_ended_is_gone, 0, 2);
        tcase_add_test(c, observations_are_inherited_and_settings_are_not);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
