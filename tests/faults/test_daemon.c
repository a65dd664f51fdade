/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What breaks around a daemon that runs: libvirt, guests, the files it looks at,
 * the clock, the disk. It stays up and carries on; when it is told to stop, the
 * host is as it was found. Time runs fast: five minutes of it pass in some seconds.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "../../daemon/virt.h"
#include "host.h"

/* ---- libvirt ---- */

START_TEST(libvirt_is_not_there_at_first) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        host_begin(&h, &before);
        (void)host_fail(&h, "read proc/meminfo", 0, 0, 0);
        h.world->down = true;
        host_start(&h, NULL);
        daemon_pass_cycles(&h, 20);
        ck_assert(host_log_has(&h, "Cannot connect to libvirt"));
        h.world->down = false;
        daemon_check_works(&h, "late", 10);
        daemon_stop(&h, &before, "libvirt came late");
}
END_TEST

static const int close_reasons[] = { VIR_CONNECT_CLOSE_REASON_ERROR, VIR_CONNECT_CLOSE_REASON_EOF,
                                     VIR_CONNECT_CLOSE_REASON_KEEPALIVE, VIR_CONNECT_CLOSE_REASON_CLIENT, 77 };

START_TEST(the_connection_is_lost) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        daemon_start(&h, &before);
        h.world->down = true;
        host_event(&h, WORLD_CLOSE, "", close_reasons[_i], 0);
        HOST_UNTIL(&h, host_log_has(&h, "Lost the connection to libvirt"));
        daemon_pass_cycles(&h, 5);
        h.world->down = false;
        daemon_check_works(&h, "after", 10);
        daemon_stop(&h, &before, "the connection was lost");
}
END_TEST

/* Not every driver tells: the next call finds out. */
START_TEST(the_connection_is_lost_and_nobody_says_so) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        daemon_start(&h, &before);
        h.world->down = true;
        HOST_UNTIL(&h, host_log_has(&h, "Lost the connection to libvirt"));
        h.world->down = false;
        daemon_check_works(&h, "after", 10);
        daemon_stop(&h, &before, "the connection was lost silently");
}
END_TEST

START_TEST(libvirt_comes_and_goes_under_load) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        daemon_start(&h, &before);
        for (unsigned i = 0; i < 10; i++) {
                WorldGuest *g = daemon_guest_start(&h, "load", 20 + i);
                host_event(&h, WORLD_CLOSE, "", VIR_CONNECT_CLOSE_REASON_EOF, 0);
                HOST_UNTIL(&h, daemon_has_pinned(g));
                host_guest_remove(&h, g);
        }
        host_event(&h, WORLD_CLOSE, "", VIR_CONNECT_CLOSE_REASON_EOF, 0);
        daemon_check_works(&h, "after", 10);
        daemon_stop(&h, &before, "libvirt restarted under load");
}
END_TEST

/* Its event is still on its way when the daemon is stopped. */
START_TEST(a_guest_goes_right_before_the_stop) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        _cleanup_free_ char *log = NULL;
        const char *said;
        WorldGuest *g;

        daemon_start(&h, &before);
        g = daemon_guest_start(&h, "gone", 10);
        HOST_UNTIL(&h, daemon_has_pinned(g) && g->online == 4);
        /* Half-way between two cycles: each asks for its definition, and would learn of it by that. */
        daemon_pass_cycles(&h, 2);
        (void)usleep(5 * USEC_PER_SEC / HOST_SPEED);
        host_guest_remove(&h, g);
        daemon_stop(&h, &before, "a guest went without a word");
        said = strstr(log = host_log(&h), "gone: is gone; what was changed of it went with it");
        ck_assert_msg(said, "%s", host_log_end(&h));
        ck_assert_msg(!strstr(said + 1, "gone: "), "%s", host_log_end(&h));
}
END_TEST

/* The second time there is no memory to say so at first. */
START_TEST(connecting_hangs) {
        const WorldRule *rule = NULL;
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        daemon_start(&h, &before);
        if (_i == 1)
                rule = host_fail(&h, "call strdup libvirt does not answer", ENOMEM, 0, 1);
        h.world->accepts_only = true;
        host_event(&h, WORLD_CLOSE, "", VIR_CONNECT_CLOSE_REASON_EOF, 0);
        HOST_UNTIL(&h, host_log_has(&h, "Cannot connect to libvirt: libvirt does not answer"));
        ck_assert(!rule || rule->hits == 1);
        daemon_pass_cycles(&h, 5);
        h.world->accepts_only = false;
        daemon_check_works(&h, "after", 10);
        daemon_stop(&h, &before, "connecting hung");
}
END_TEST

static const struct { const char *point; unsigned times; int error; } connect_rows[] = {
        { "call virConnectOpen", 5, VIR_ERR_INTERNAL_ERROR },   /* more clients than libvirt takes */
        { "call virConnectOpen", 3, VIR_ERR_AUTH_FAILED },
        { "call virConnectListAllDomains", 3, VIR_ERR_INTERNAL_ERROR },
        { "call virConnectDomainEventRegisterAny 0", 3, VIR_ERR_NO_SUPPORT },
        { "call virDomainGetUUIDString", 1, VIR_ERR_INTERNAL_ERROR },
};

START_TEST(connecting_fails_some_times) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        daemon_start(&h, &before);
        (void)host_fail(&h, connect_rows[_i].point, connect_rows[_i].error, 0, connect_rows[_i].times);
        host_event(&h, WORLD_CLOSE, "", VIR_CONNECT_CLOSE_REASON_EOF, 0);
        HOST_UNTIL(&h, h.world->rules[1].seen > connect_rows[_i].times);
        daemon_heal(&h);
        daemon_check_works(&h, "after", 10);
        daemon_stop(&h, &before, connect_rows[_i].point);
}
END_TEST

START_TEST(libvirt_is_slow) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        daemon_start(&h, &before);
        h.world->call_delay_usec = 20000;
        daemon_check_works(&h, "slow", 10);
        daemon_pass_cycles(&h, 5);
        h.world->call_delay_usec = 0;
        daemon_stop(&h, &before, "libvirt was slow");
}
END_TEST

#define FLOOD 10000U

START_TEST(a_flood_of_lifecycle_events) {
        static const int kinds[] = { VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_RESUMED, VIR_DOMAIN_EVENT_DEFINED,
                                     VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_UNDEFINED, VIR_DOMAIN_EVENT_SHUTDOWN,
                                     VIR_DOMAIN_EVENT_PMSUSPENDED, VIR_DOMAIN_EVENT_CRASHED, 99 };
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        const WorldGuest *g;

        daemon_start(&h, &before);
        g = host_guest(&h, "web");
        for (unsigned i = 0; i < FLOOD; i++)
                host_event(&h, WORLD_LIFECYCLE, g->uuid, kinds[i % ELEMENTSOF(kinds)], (int)(i % 7));
        daemon_check_works(&h, "after", 10);
        daemon_pass_cycles(&h, 3);
        daemon_stop(&h, &before, "a flood of events");
}
END_TEST

/* Of guests that are not there, and of each kind. */
START_TEST(events_of_every_kind) {
        static const char stranger[] = "99999999-1111-4111-8111-111111111111";
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        daemon_start(&h, &before);
        for (int what = 0; what < 10; what++)
                for (int detail = 0; detail < 8; detail++) {
                        host_event(&h, WORLD_LIFECYCLE, stranger, what, detail);
                        if (what != VIR_DOMAIN_EVENT_STOPPED)
                                host_event(&h, WORLD_LIFECYCLE, host_guest(&h, "web")->uuid, what, detail);
                }
        for (int type = WORLD_BALLOON; type <= WORLD_JOB_COMPLETED; type++) {
                host_event(&h, (WorldEventType)type, stranger, 1024 * 1024, 0);
                if (type != WORLD_BALLOON)
                        host_event(&h, (WorldEventType)type, host_guest(&h, "web")->uuid, 0, 0);
        }
        daemon_check_works(&h, "after", 10);
        daemon_stop(&h, &before, "events of every kind");
}
END_TEST

/* ---- guests ---- */

START_TEST(a_monitor_hangs) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        WorldGuest *g;

        daemon_start(&h, &before);
        g = host_guest(&h, "db");
        g->hung = true;
        HOST_UNTIL(&h, host_log_has(&h, "Guest db does not answer libvirt"));
        daemon_check_works(&h, "other", 10);
        g->hung = false;
        HOST_UNTIL(&h, host_log_has(&h, "Guest db answers again"));
        daemon_pass_cycles(&h, 3);
        daemon_stop(&h, &before, "a monitor hung");
}
END_TEST

/* Its own, that of events and that of calls; of memory and huge pages one more while they are on their way. */
#define THREADS 3U

/*
 * More than there are workers to leave behind: the connection is given up, and all comes back. Those left behind end
 * when their calls return, so that it then has as many threads as before.
 */
START_TEST(every_monitor_hangs) {
        WorldGuest *guests[8];
        size_t threads;
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        char name[32];

        daemon_start(&h, &before);
        HOST_UNTIL(&h, daemon_threads(&h) == THREADS);
        for (unsigned i = 0; i < ELEMENTSOF(guests); i++) {
                (void)snprintf(name, sizeof(name), "hung%u", i);
                guests[i] = host_guest_add(&h, name, 30 + i);
                /* Of those beyond, nothing is asked that needs a monitor; but they are pinned. */
                guests[i]->hung = i < VIRT_STUCK_MAX;
                guests[i]->calls_wait = i >= VIRT_STUCK_MAX ? WORLD_PINS : 0;
                host_event(&h, WORLD_LIFECYCLE, guests[i]->uuid, VIR_DOMAIN_EVENT_STARTED, 0);
                daemon_pass_cycles(&h, 12);
        }
        daemon_pass_cycles(&h, 30);
        threads = daemon_threads(&h);
        ck_assert_uint_ge(threads, THREADS + VIRT_STUCK_MAX);
        ck_assert_uint_le(threads, THREADS + VIRT_STUCK_MAX + 1);
        for (unsigned i = 0; i < ELEMENTSOF(guests); i++) {
                guests[i]->hung = false;
                guests[i]->calls_wait = 0;
        }
        daemon_check_works(&h, "after", 10);
        HOST_UNTIL(&h, daemon_threads(&h) == THREADS);
        for (unsigned i = 0; i < ELEMENTSOF(guests); i++) {
                daemon_guest_stop(&h, guests[i], 0);
        }
        daemon_stop(&h, &before, "every monitor hung");
}
END_TEST

/* QEMU is killed: its process goes first, libvirt tells later. */
START_TEST(a_guest_is_killed) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        WorldGuest *g;

        daemon_start(&h, &before);
        for (unsigned i = 0; i < 5; i++) {
                g = daemon_guest_start(&h, "victim", 40 + i);
                HOST_UNTIL(&h, daemon_has_pinned(g));
                host_guest_remove(&h, g);
                daemon_pass_cycles(&h, i);
                host_event(&h, WORLD_LIFECYCLE, g->uuid, VIR_DOMAIN_EVENT_STOPPED, VIR_DOMAIN_EVENT_STOPPED_CRASHED);
        }
        daemon_check_works(&h, "after", 10);
        daemon_stop(&h, &before, "guests were killed");
}
END_TEST

START_TEST(a_definition_cannot_be_read) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        WorldGuest *g;

        daemon_start(&h, &before);
        g = host_guest_add(&h, "odd", 50);
        g->bad_xml = true;
        host_event(&h, WORLD_LIFECYCLE, g->uuid, VIR_DOMAIN_EVENT_STARTED, 0);
        HOST_UNTIL(&h, host_log_has(&h, "it is left alone"));
        daemon_check_works(&h, "other", 10);
        g->bad_xml = false;
        host_event(&h, WORLD_METADATA, g->uuid, 0, 0);
        HOST_UNTIL(&h, daemon_has_pinned(g));
        daemon_guest_stop(&h, g, 0);
        daemon_stop(&h, &before, "a definition could not be read");
}
END_TEST

/* ---- files that go while they are read ---- */

static const struct { const char *pattern; int error; unsigned reads; } vanish_rows[] = {
        { "* proc/100100*", ENOENT, 40 }, { "* proc/100100*", ESRCH, 40 }, { "* proc/100100*", EIO, 40 },
        { "* proc/*", ENOENT, 60 },       { "* proc/*", EMFILE, 60 },      { "* proc/*", ENODEV, 60 },
        { "* sys/*", ENOENT, 60 },        { "* sys/*", EIO, 60 },          { "* run/*", EACCES, 4 },
};

/* From the n-th read of a cycle on everything of this kind is gone, for each n; then it is there again. */
START_TEST(files_vanish_from_each_read_on) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        daemon_start(&h, &before);
        for (unsigned n = 0; n < vanish_rows[_i].reads; n++) {
                (void)host_fail(&h, vanish_rows[_i].pattern, vanish_rows[_i].error, n, 0);
                (void)usleep(30000);
                ck_assert_msg(host_alive(&h), "%s from read %u on: it has ended: %s", vanish_rows[_i].pattern, n,
                              host_log_end(&h));
                daemon_heal(&h);
                if (n % 4 == 0)
                        daemon_pass_cycles(&h, 1);
        }
        /* Where the memory of the others is must be known: else it counts on each node, and the guest gets both. */
        daemon_pass_cycles(&h, 3);
        daemon_check_works(&h, "after", 10);
        daemon_pass_cycles(&h, 10);
        daemon_stop(&h, &before, vanish_rows[_i].pattern);
}
END_TEST

/* ---- the machine ---- */

static void set_cpus(TestHost *h, unsigned n) {
        char text[64], stat[1024] = "cpu  8 0 8 800 0 0 0 0 0 0\n";

        (void)snprintf(text, sizeof(text), "0-%u\n", n - 1);
        host_write(h, "sys/devices/system/cpu/online", text);
        host_write(h, "sys/devices/system/node/node1/cpulist", n == 8 ? "4-7\n" : "4-5\n");
        host_write(h, "sys/devices/system/node/node1/cpumap", n == 8 ? "f0\n" : "30\n");
        for (unsigned i = 0; i < n; i++) {
                size_t at = strlen(stat);

                (void)snprintf(stat + at, sizeof(stat) - at, "cpu%u 1 0 1 100 0 0 0 0 0 0\n", i);
        }
        host_write(h, "proc/stat", stat);
}

START_TEST(cpus_go_and_come_back) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        WorldGuest *g;

        daemon_start(&h, &before);
        daemon_pass_cycles(&h, 5);
        for (unsigned i = 0; i < 3; i++) {
                set_cpus(&h, 6);
                daemon_pass_cycles(&h, 5);
                g = daemon_guest_start(&h, "few", 60 + i);
                HOST_UNTIL(&h, daemon_has_pinned(g));
                ck_assert_msg((g->vcpu_pins[0] & ~UINT64_C(0x3f)) == 0, "pinned to a CPU that is gone");
                daemon_guest_stop(&h, g, 0);
                set_cpus(&h, 8);
                daemon_pass_cycles(&h, 5);
        }
        daemon_stop(&h, &before, "CPUs went and came back");
}
END_TEST

START_TEST(memory_goes_and_comes_back) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        daemon_start(&h, &before);
        for (unsigned i = 0; i < 3; i++) {
                host_write(&h, "sys/devices/system/node/node1/meminfo",
                           "Node 1 MemTotal: 1048576 kB\nNode 1 MemFree: 1024 kB\nNode 1 FilePages: 0 kB\n");
                host_write(&h, "proc/meminfo", "MemTotal: 9437184 kB\nMemFree: 102400 kB\nMemAvailable: 204800 kB\n"
                                               "Buffers: 1 kB\nCached: 1 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n");
                daemon_pass_cycles(&h, 5);
                daemon_check_works(&h, "tight", 70 + i);
                host_write(&h, "sys/devices/system/node/node1/meminfo",
                           "Node 1 MemTotal: 8388608 kB\nNode 1 MemFree: 4194304 kB\nNode 1 FilePages: 100000 kB\n");
                host_write(&h, "proc/meminfo", "MemTotal: 16777216 kB\nMemFree: 8388608 kB\nMemAvailable: 8388608 kB\n"
                                               "Buffers: 1 kB\nCached: 1 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n");
                daemon_pass_cycles(&h, 5);
        }
        daemon_stop(&h, &before, "memory went and came back");
}
END_TEST

static const int64_t jumps_sec[] = { 3600, -3600, 86400 * 400, -86400 * 400, INT64_C(86400) * 365 * 60 };

START_TEST(the_wall_clock_jumps) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        daemon_start(&h, &before);
        for (unsigned i = 0; i < 2; i++) {
                h.world->realtime_offset_usec = jumps_sec[_i] * 1000000;
                daemon_pass_cycles(&h, 5);
                daemon_check_works(&h, "then", 80 + i);
                h.world->realtime_offset_usec = 0;
                daemon_pass_cycles(&h, 5);
        }
        daemon_stop(&h, &before, "the clock jumped");
}
END_TEST

/* By itself the daemon looks at the clock again at the next quarter of an hour: it begins as far from that as can be. */
START_TEST(a_schedule_begins_when_the_clock_is_set) {
        time_t now = time(NULL);
        int64_t back_sec = now % 900 - 5;
        int hour = (now -= back_sec, localtime(&now)->tm_hour);
        _cleanup_host_ TestHost h;
        unsigned left = 1000;
        char policy[512];

        host_init(&h);
        (void)snprintf(policy, sizeof(policy),
                       "daemon: { interval = \"1 h\"; }; rules = ( "
                       "{ name = \"later\"; set = { ksm = { mode = \"on\"; }; }; "
                       "when = { schedule = \"%02d:00-%02d:00\"; }; }, "
                       "{ name = \"now\"; set = { thp = { enabled = \"never\"; }; }; "
                       "when = { schedule = \"%02d:00-%02d:00\"; }; } );",
                       (hour + 2) % 24, (hour + 5) % 24, hour, (hour + 2) % 24);
        host_policy(&h, policy);
        h.world->realtime_offset_usec = -back_sec * 1000000;
        host_start(&h, NULL);
        HOST_UNTIL(&h, host_log_has(&h, "Rule \"now\""));
        /* Until nothing is left to do of a start. */
        (void)usleep(1000000);
        ck_assert(!host_log_has(&h, "Rule \"later\""));
        h.world->realtime_offset_usec += INT64_C(3) * 3600 * 1000000;
        host_event(&h, WORLD_CLOCK, "", 0, 0);
        for (; left > 0 && !host_log_has(&h, "Rule \"later\""); left--)
                (void)usleep(10000);
        ck_assert_msg(left > 0, "the clock was set, and nobody looked\n%s", host_log_end(&h));
        ck_assert_int_eq(host_stop(&h, SIGTERM), 0);
}
END_TEST

/* ---- the disk ---- */

START_TEST(the_disk_is_full_for_a_while) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        WorldGuest *g;

        daemon_start(&h, &before);
        daemon_pass_cycles(&h, 5);
        (void)host_fail(&h, "write state/state.new", ENOSPC, 0, 0);
        g = daemon_guest_start(&h, "waits", 90);
        HOST_UNTIL(&h, host_log_has(&h, "nothing is changed until it can be written"));
        daemon_pass_cycles(&h, 10);
        ck_assert_msg(!daemon_has_pinned(g), "changed without a record of it");
        daemon_heal(&h);
        HOST_UNTIL(&h, daemon_has_pinned(g));
        ck_assert(host_log_has(&h, "can be written again"));
        daemon_guest_stop(&h, g, 0);
        daemon_stop(&h, &before, "the disk was full");
}
END_TEST

/* Killed as it runs, started again, stopped: as systemd would. */
START_TEST(killed_and_started_again) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        daemon_start(&h, &before);
        for (unsigned i = 0; i < 3; i++) {
                daemon_pass_cycles(&h, 1 + i);
                ck_assert_int_eq(host_stop(&h, SIGKILL), 256 + SIGKILL);
                host_check_record(&h, &before, false, "killed");
                host_start(&h, NULL);
                daemon_check_works(&h, "again", 95 + i);
        }
        daemon_pass_cycles(&h, 5);
        daemon_stop(&h, &before, "killed and started again");
}
END_TEST

/* It is told to stop while libvirt is away: what is the host's goes back, the rest stays on record. */
START_TEST(stopped_without_libvirt) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        daemon_start(&h, &before);
        daemon_pass_cycles(&h, 5);
        h.world->down = true;
        host_event(&h, WORLD_CLOSE, "", VIR_CONNECT_CLOSE_REASON_EOF, 0);
        HOST_UNTIL(&h, host_log_has(&h, "Lost the connection to libvirt"));
        ck_assert_int_eq(host_stop(&h, SIGTERM), 1);
        host_check_record(&h, &before, false, "stopped without libvirt");
        host_run_well(&h, "--restore", "libvirt is back");
        host_check_restored(&h, &before, "libvirt is back");
}
END_TEST

static void add(Suite *s, const char *name, const TTest *test, size_t rows) {
        TCase *tc = tcase_create(name);

        tcase_set_timeout(tc, 120);
        tcase_add_loop_test(tc, test, 0, (int)rows);
        suite_add_tcase(s, tc);
}

/* Each can be run alone: CK_RUN_CASE=a_monitor_hangs. */
#define ADD(suite, test, rows) add(suite, #test, test, rows)

int main(void) {
        Suite *s = suite_create("daemon");
        SRunner *runner;
        int failed;

        ADD(s, libvirt_is_not_there_at_first, 1);
        ADD(s, the_connection_is_lost, ELEMENTSOF(close_reasons));
        ADD(s, the_connection_is_lost_and_nobody_says_so, 1);
        ADD(s, libvirt_comes_and_goes_under_load, 1);
        ADD(s, a_guest_goes_right_before_the_stop, 1);
        ADD(s, connecting_hangs, 2);
        ADD(s, connecting_fails_some_times, ELEMENTSOF(connect_rows));
        ADD(s, libvirt_is_slow, 1);
        ADD(s, a_flood_of_lifecycle_events, 1);
        ADD(s, events_of_every_kind, 1);
        ADD(s, a_monitor_hangs, 1);
        ADD(s, every_monitor_hangs, 1);
        ADD(s, a_guest_is_killed, 1);
        ADD(s, a_definition_cannot_be_read, 1);
        ADD(s, files_vanish_from_each_read_on, ELEMENTSOF(vanish_rows));
        ADD(s, cpus_go_and_come_back, 1);
        ADD(s, memory_goes_and_comes_back, 1);
        ADD(s, the_wall_clock_jumps, ELEMENTSOF(jumps_sec));
        ADD(s, a_schedule_begins_when_the_clock_is_set, 1);
        ADD(s, the_disk_is_full_for_a_while, 1);
        ADD(s, killed_and_started_again, 1);
        ADD(s, stopped_without_libvirt, 1);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed > 0;
}
