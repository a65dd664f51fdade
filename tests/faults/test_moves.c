/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel does itself when asked: memory that moves to another node, and
 * pools of huge pages. Each takes its time in a thread of its own, and may fail
 * half-way.
 */
#include <check.h>
#include <errno.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <signal.h>
#include <stdio.h>

#include "host.h"

#define PINS "cpu: { policy = \"shared\"; };"
/* So slow that it is met under way: 4.5 s, which are a second of the test. */
#define SLOW "numa: { move_rate = \"1 MiB/s\"; };"
/* In slices of 2 MiB, the least that there are: the second and the third one can fail. */
#define SLICES "numa: { move_rate = \"8 MiB/s\"; };"
#define SLOW_SPEED 5U

static void begin(TestHost *h, Knobs *ret_before, const char *policy) {
        host_init(h);
        host_policy(h, policy);
        host_move_due(h, host_guest(h, "web"));
        host_knobs(h, ret_before);
}

/* Nobody knows whether such a call was carried out. */
static bool is_uncertain(int error) {
        return error == VIR_ERR_OPERATION_TIMEOUT || error == VIR_ERR_NO_MEMORY;
}

/* ---- moves that fail ---- */

typedef enum Nodeset {
        AUTO,                           /* libvirt chose it */
        GIVEN_BACK,                     /* the same; but kvmtuned has changed it once, and libvirt calls it static now */
        NONE,
} Nodeset;

/* @said: in the log; NULL: it succeeds, and all pages are where they belong. */
static const struct {
        const char *name, *point;
        int error;
        unsigned skip, stuck_pages;
        const char *said;
        Nodeset nodeset;
} move_rows[] = {
        { "nothing fails", "", 0, 0, 0, NULL, AUTO },
        { "the process is gone", "open proc/100100", ENOENT, 0, 0, "No such process", AUTO },
        { "no descriptor for the process", "open proc/100100", EMFILE, 0, 0, "Too many open files", AUTO },
        { "nothing fails, and there is no nodeset", "", 0, 0, 0, NULL, NONE },
        { "nothing fails, and its nodeset was given back", "", 0, 0, 0, NULL, GIVEN_BACK },
        { "its definition is not to be had", "call virDomainGetXMLDesc web", VIR_ERR_OPERATION_FAILED, 1, 0,
          "numatune restrictive keeps its memory there", GIVEN_BACK },
        { "the process is gone, and there is no nodeset", "open proc/100100", ENOENT, 0, 0, "No such process", NONE },
        { "no thread", "call pthread_create", EAGAIN, 2, 0, "Resource temporarily unavailable", AUTO },
        { "no map of its nodes", "open proc/100100/numa_maps", ENOENT, 1, 0, "No such process", AUTO },
        { "its map of nodes is refused", "open proc/100100/numa_maps", EACCES, 1, 0, "Permission denied", AUTO },
        { "no map", "open proc/100100/maps", EACCES, 0, 0, "Permission denied", AUTO },
        { "its map cannot be read", "read proc/100100/maps", EIO, 0, 0, "Input/output error", AUTO },
        { "it ends meanwhile", "access proc/100100/stat", ENOENT, 0, 0, "No such process", AUTO },
        { "no room on any node", "call numa_node_size64", ENODEV, 2, 0, "the target has no room left", AUTO },
        { "where its pages are is refused", "call move_pages query web", EPERM, 0, 0, "Operation not permitted", AUTO },
        { "it ends while its pages are asked for", "call move_pages query web", ESRCH, 3, 0, "No such process", AUTO },
        { "the node is gone", "call move_pages web", ENODEV, 0, 0, "No such device", AUTO },
        { "its cgroup forbids the node", "call move_pages web", EACCES, 1, 0, "Permission denied", AUTO },
        { "no page can be had", "call move_pages web", ENOMEM, 0, 0, "could not be moved", AUTO },
        { "the pages are busy", "call move_pages web", EBUSY, 2, 0, "could not be moved", AUTO },
        { "pages that are pinned", "", 0, 0, 1024, "could not be moved", AUTO },
        { "the nodeset is refused", "call virDomainSetNumaParameters web", VIR_ERR_OPERATION_INVALID, 0, 0,
          "its memory policy could not be set first", AUTO },
        { "the nodeset, and nobody knows", "call virDomainSetNumaParameters web", VIR_ERR_OPERATION_TIMEOUT, 0, 0,
          "its memory policy could not be set first", AUTO },
        { "no parameters can be made", "call virTypedParamsAddString", VIR_ERR_NO_MEMORY, 0, 0,
          "its memory policy could not be set first", AUTO },
};

START_TEST(a_move_fails) {
        const char *name = move_rows[_i].name;
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        WorldGuest *g;
        unsigned on_1;

        begin(&h, &before, PINS SLICES);
        g = host_guest(&h, "web");
        if (move_rows[_i].nodeset == GIVEN_BACK) {
                g->nodeset_auto = false;
                g->defined_auto = true;
        }
        if (move_rows[_i].nodeset == NONE) {
                g->nodeset_auto = false;
                g->nodeset = 0;
                knobs_done(&before);
                host_knobs(&h, &before);
        }
        g->stuck_pages = move_rows[_i].stuck_pages;
        on_1 = host_pages_on(g, 1);
        if (move_rows[_i].point[0])
                (void)host_fail(&h, move_rows[_i].point, move_rows[_i].error, move_rows[_i].skip, 0);
        ck_assert_msg(host_run(&h, "--once") <= 1, "%s\n%s", name, host_log_end(&h));
        ck_assert_msg(!move_rows[_i].point[0] || h.world->rules[0].hits > 0, "%s: never reached", name);
        ck_assert_msg(host_log_has(&h, move_rows[_i].said ?: "4.5 MiB moved"), "%s: not said\n%s", name,
                      host_log_end(&h));
        ck_assert_msg(move_rows[_i].said || host_pages_on(g, 1) == 0, "%s: not moved", name);
        /* Its cgroup first: otherwise the kernel would have refused. */
        ck_assert_msg(g->nodeset != 1U << 1 || host_pages_on(g, 1) >= on_1, "%s: moved against its nodeset", name);
        host_check_record(&h, &before, !is_uncertain(move_rows[_i].error), name);
        host_run_well(&h, "--restore", name);
        host_check_restored(&h, &before, name);
}
END_TEST

/* ---- moves that are given up ---- */

static void pause_it(TestHost *h, WorldGuest *g) {
        g->paused = true;
        host_event(h, WORLD_LIFECYCLE, g->uuid, VIR_DOMAIN_EVENT_SUSPENDED, 0);
}
/* The first time it cannot be noted why; the move goes on until that can be. */
static void pause_without_memory(TestHost *h, WorldGuest *g) {
        const WorldRule *rule = host_fail(h, "call strdup the guest is paused; its memory*", ENOMEM, 0, 1);

        pause_it(h, g);
        HOST_UNTIL(h, rule->hits > 0);
        pause_it(h, g);
}
static void run_out_of_memory(TestHost *h, WorldGuest *g) {
        (void)g;
        host_write(h, "proc/meminfo", "MemTotal: 16777216 kB\nMemFree: 10240 kB\nMemAvailable: 20480 kB\n"
                                      "Buffers: 1 kB\nCached: 1 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n");
}
static void come_under_pressure(TestHost *h, WorldGuest *g) {
        (void)g;
        host_write(h, "proc/pressure/memory", "some avg10=90.00 avg60=90.00 avg300=90.00 total=9000000\n"
                                              "full avg10=80.00 avg60=80.00 avg300=80.00 total=8000000\n");
}
static void go(TestHost *h, WorldGuest *g) {
        daemon_guest_stop(h, g, VIR_DOMAIN_EVENT_STOPPED_CRASHED);
}
static void do_not_ask(TestHost *h, WorldGuest *g) {
        (void)g;
        host_policy(h, PINS "numa: { memory = \"none\"; };");
        (void)kill(h->daemon, SIGHUP);
}
static void be_stopped(TestHost *h, WorldGuest *g) {
        (void)g;
        (void)kill(h->daemon, SIGTERM);
}

static const struct {
        const char *name, *said;
        void (*happen)(TestHost *h, WorldGuest *g);
} given_up_rows[] = {
        { "the guest is paused", "the guest is paused", pause_it },
        { "the guest is paused, and memory runs out", "the guest is paused", pause_without_memory },
        { "the host runs out of memory", "the host has only", run_out_of_memory },
        { "the host comes under pressure", "the host is under memory pressure", come_under_pressure },
        { "the guest goes", "gone", go },
        { "it is not asked for any more", "its memory is not asked to follow any more", do_not_ask },
        { "kvmtuned is stopped", "kvmtuned stops", be_stopped },
};

START_TEST(a_move_is_given_up) {
        const char *name = given_up_rows[_i].name;
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        WorldGuest *g;
        unsigned all;

        begin(&h, &before, PINS SLOW);
        h.world->speed = SLOW_SPEED;
        host_write(&h, "proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
                                               "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
        g = host_guest(&h, "web");
        all = host_pages_on(g, 1);
        daemon_begin(&h);
        HOST_UNTIL(&h, host_pages_on(g, 1) < all);
        given_up_rows[_i].happen(&h, g);
        HOST_UNTIL(&h, host_log_has(&h, "given up") || host_log_has(&h, "it is gone meanwhile"));
        ck_assert_msg(host_log_has(&h, given_up_rows[_i].said), "%s\n%s", name, host_log_end(&h));
        ck_assert_msg(host_pages_on(g, 1) > 0, "%s: it was moved all the same", name);
        if (given_up_rows[_i].happen != be_stopped) {
                daemon_check_works(&h, "other", 10);
                daemon_stop(&h, &before, name);
                return;
        }
        ck_assert_int_eq(host_wait(&h), 0);
        host_check_restored(&h, &before, name);
}
END_TEST

/* Without libvirt it goes on: pages are the kernel's. What became of it is measured, and said. */
START_TEST(a_move_goes_on_without_libvirt) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        WorldGuest *g;
        unsigned all;

        begin(&h, &before, PINS SLOW);
        h.world->speed = SLOW_SPEED;
        g = host_guest(&h, "web");
        all = host_pages_on(g, 1);
        daemon_begin(&h);
        HOST_UNTIL(&h, host_pages_on(g, 1) < all);
        h.world->down = true;
        host_event(&h, WORLD_CLOSE, "", VIR_CONNECT_CLOSE_REASON_EOF, 0);
        HOST_UNTIL(&h, host_log_has(&h, "Lost the connection to libvirt"));
        HOST_UNTIL(&h, host_log_has(&h, "4.5 MiB moved"));
        ck_assert_uint_eq(host_pages_on(g, 1), 0);
        h.world->down = false;
        daemon_check_works(&h, "other", 10);
        daemon_stop(&h, &before, "moved without libvirt");
}
END_TEST

/* ---- what a move was good for ---- */

static const struct {
        unsigned stuck_pages;
        const char *said;
} gain_rows[] = {
        { 0, "its move (remote-memory) has gained" },
        { WORLD_PAGES_MAX, "its move (remote-memory) has not gained what was expected" },
};

START_TEST(what_a_move_gained_is_said) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        begin(&h, &before, PINS SLICES);
        host_guest(&h, "web")->stuck_pages = gain_rows[_i].stuck_pages;
        daemon_begin(&h);
        HOST_UNTIL(&h, host_log_has(&h, gain_rows[_i].said));
        daemon_stop(&h, &before, gain_rows[_i].said);
}
END_TEST

/* ---- pools of huge pages ---- */

#define POOL "sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages"

/* Of what is asked for on node 0. @exact: what did not come is not on record. */
static const struct {
        const char *name, *point;
        int error;
        unsigned skip, room;
        bool full, exact;
        const char *said;
} pool_rows[] = {
        { "all is to be had", "", 0, 0, 0, false, true, "huge pages of 2 MiB on node 0 0 -> 16" },
        { "a part is to be had", "", 0, 0, 10, false, true, "the kernel has 10 of the 16 pages" },
        { "none is to be had", "", 0, 0, 0, true, true, "the kernel has 0 of the 16 pages" },
        { "memory cannot be compacted", "openw sys/devices/system/node/node0/compact", EACCES, 0, 10, false, true,
          "the kernel has 10 of the 16 pages" },
        { "the second try is refused", "openw " POOL, EBUSY, 1, 10, false, true, "the kernel has 10 of the 16 pages" },
        { "what came cannot be read", "open " POOL, EIO, 1, 0, false, false, "cannot be read" },
        { "what came cannot be read, and it is less", "open " POOL, EIO, 1, 10, false, false, "cannot be read" },
        { "surplus pages cannot be read", "open sys/devices/system/node/node0/hugepages/*/surplus_hugepages", EIO, 0, 0,
          false, true, "huge pages of 2 MiB on node 0 0 -> 16" },
        { "no thread", "call pthread_create", EAGAIN, 2, 0, false, true, "Resource temporarily unavailable" },
};

START_TEST(a_pool_does_not_grow_as_asked) {
        const char *name = pool_rows[_i].name;
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        host_begin(&h, &before);
        host_policy(&h, "hugepages: { mode = \"fixed\"; size = \"2 MiB\"; target = \"64 MiB\"; };");
        h.world->pools_full[0] = pool_rows[_i].full;
        h.world->pools_room[0] = pool_rows[_i].room;
        if (pool_rows[_i].point[0])
                (void)host_fail(&h, pool_rows[_i].point, pool_rows[_i].error, pool_rows[_i].skip, 0);
        ck_assert_msg(host_run(&h, "--once") <= 1, "%s\n%s", name, host_log_end(&h));
        ck_assert_msg(!pool_rows[_i].point[0] || h.world->rules[0].hits > 0, "%s: never reached", name);
        ck_assert_msg(host_log_has(&h, pool_rows[_i].said), "%s: not said\n%s", name, host_log_end(&h));
        host_check_record(&h, &before, pool_rows[_i].exact, name);
        host_run_well(&h, "--restore", name);
        host_check_restored(&h, &before, name);
}
END_TEST

static const struct {
        const char *point;
        int error;
        unsigned skip;
        const char *said;
} unknown_rows[] = {
        { "call vasprintf 10", ENOMEM, 0, "the kernel has 10 of the 16 pages" },
        { "open " POOL, EIO, 1, "what the kernel has made of it cannot be read" },
};

/* 16 pages are on record, 10 are there: that is not taken for somebody else's doing. */
START_TEST(what_came_is_ours_though_it_could_not_be_noted) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        const WorldRule *rule;

        host_begin(&h, &before);
        host_policy(&h, PINS);
        h.world->pools_room[0] = 10;
        daemon_begin(&h);
        rule = host_fail(&h, unknown_rows[_i].point, unknown_rows[_i].error, unknown_rows[_i].skip, 1);
        host_policy(&h, PINS "hugepages: { mode = \"fixed\"; size = \"2 MiB\"; target = \"64 MiB\"; };");
        (void)kill(h.daemon, SIGHUP);
        HOST_UNTIL(&h, host_log_has(&h, unknown_rows[_i].said));
        ck_assert_uint_eq(rule->hits, 1);
        daemon_pass_cycles(&h, 3);
        ck_assert_msg(!host_log_has(&h, "somebody else"), "%s", host_log_end(&h));
        daemon_stop(&h, &before, "what came could not be noted");
}
END_TEST

static bool was_said_twice(TestHost *h, const char *words) {
        _cleanup_free_ char *log = host_log(h);
        const char *first = strstr(log, words);

        return first && strstr(first + 1, words);
}

/*
 * It waits by itself for memory to become free, after its second failure for two minutes (lib/policy_hugepages.c). What
 * fails in other ways holds up all of its kind, and would do so for one: 60 decisions.
 */
START_TEST(a_pool_that_gets_nothing_does_not_hold_up_the_others) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        unsigned last;

        host_begin(&h, &before);
        host_policy(&h, "daemon: { interval = \"1 s\"; };\n"
                        "hugepages: { mode = \"fixed\"; size = \"2 MiB\"; target = \"64 MiB\"; };\n"
                        "rules = ( { name = \"more\";\n"
                        "            when = { metric = \"host.memory.available\"; below = \"20 %\"; };\n"
                        "            set = { hugepages = { target = \"128 MiB\"; }; }; } );\n");
        h.world->pools_full[0] = true;
        (void)host_fail(&h, "read proc/meminfo", 0, 0, 0);
        host_start(&h, NULL);
        HOST_UNTIL(&h, was_said_twice(&h, "the kernel has 0 of the 16 pages"));
        last = h.world->rules[0].seen;
        host_put(&h, "proc/meminfo", "MemTotal: 16777216 kB\nMemFree: 1048576 kB\nMemAvailable: 1048576 kB\n"
                                     "Buffers: 1 kB\nCached: 1 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n");
        HOST_UNTIL(&h, host_log_has(&h, "node 1 16 -> 32"));
        ck_assert_uint_lt(h.world->rules[0].seen - last, 40);
        daemon_stop(&h, &before, "pools");
}
END_TEST

int main(void) {
        Suite *s = suite_create("moves");
        TCase *tc = tcase_create("moves");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 120);
        tcase_add_loop_test(tc, a_move_fails, 0, ELEMENTSOF(move_rows));
        tcase_add_loop_test(tc, a_move_is_given_up, 0, ELEMENTSOF(given_up_rows));
        tcase_add_test(tc, a_move_goes_on_without_libvirt);
        tcase_add_loop_test(tc, what_a_move_gained_is_said, 0, ELEMENTSOF(gain_rows));
        tcase_add_loop_test(tc, what_came_is_ours_though_it_could_not_be_noted, 0, ELEMENTSOF(unknown_rows));
        tcase_add_loop_test(tc, a_pool_does_not_grow_as_asked, 0, ELEMENTSOF(pool_rows));
        suite_add_tcase(s, tc);
        tc = tcase_create("pools");
        tcase_set_timeout(tc, 120);
        tcase_add_test(tc, a_pool_that_gets_nothing_does_not_hold_up_the_others);
        suite_add_tcase(s, tc);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed > 0;
}
