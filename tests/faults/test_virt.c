/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The threads that speak to libvirt: they cannot be started, cannot be replaced
 * when a guest's monitor hangs, lose events, and run out of memory at each place
 * that allocates. The daemon ends with a status that says so before it has changed
 * anything, or it stays up and carries on.
 */
#include <check.h>
#include <errno.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdio.h>

#include "host.h"

/* ---- starting ---- */

static const struct { const char *point; int error; unsigned skip; } start_rows[] = {
        { "call virInitialize", VIR_ERR_INTERNAL_ERROR, 0 },
        { "call virEventAddTimeout", VIR_ERR_INTERNAL_ERROR, 0 },
        { "call pthread_create", EAGAIN, 0 },
        { "call pthread_create", EAGAIN, 1 },
        { "call eventfd", EMFILE, 0 },
        { "call eventfd", EMFILE, 1 },
        { "call eventfd", EMFILE, 2 },
};

START_TEST(it_cannot_start) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before, after;

        host_begin(&h, &before);
        (void)host_fail(&h, start_rows[_i].point, start_rows[_i].error, start_rows[_i].skip, 0);
        ck_assert_int_eq(host_run(&h, "--once"), 1);
        ck_assert_uint_gt(h.world->rules[0].hits, 0);
        ck_assert_msg(host_log_has(&h, "error: "), "%s", host_log_end(&h));
        host_knobs(&h, &after);
        ck_assert_str_eq(knobs_difference(&before, &after), "");
        ck_assert_ptr_null(host_state(&h));
}
END_TEST

/* The last few allocations before libvirt's library is begun with, and the first after that. */
START_TEST(no_memory_to_start_with) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before, after;
        unsigned first;
        int status;

        host_begin(&h, &before);
        host_run_well(&h, "--once", "acting");
        first = h.world->allocs_before_libvirt;
        ck_assert_uint_gt(first, 4);
        host_run_well(&h, "--restore", "restoring");
        host_calm(&h);
        h.world->alloc_fail_at = first - 3 + (unsigned)_i;
        h.world->alloc_fail_times = 1;
        status = host_run(&h, "--once");
        ck_assert_msg(status == 1, "allocation %u: ends with %d\n%s", h.world->alloc_fail_at, status, host_log_end(&h));
        host_knobs(&h, &after);
        ck_assert_str_eq(knobs_difference(&before, &after), "");
}
END_TEST

/* ---- a monitor hangs, and more besides ---- */

static const struct { const char *name, *point; int error; unsigned times; } hung_rows[] = {
        { "no thread for a replacement", "call pthread_create", EAGAIN, 2 },
        { "libvirt cannot tell whose fault it is", "call virDomainGetControlInfo *", VIR_ERR_NO_SUPPORT, 0 },
        { "libvirt does not tell whose fault it is", "call virDomainGetControlInfo *", VIR_ERR_INTERNAL_ERROR, 0 },
        { "the guest is not known any more", "call virDomainLookupByUUIDString *", VIR_ERR_NO_DOMAIN, 1 },
        { "no connection for a replacement", "call virConnectOpen", VIR_ERR_INTERNAL_ERROR, 2 },
};

START_TEST(a_monitor_hangs_and_more_fails) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        WorldGuest *g;

        daemon_start(&h, &before);
        (void)host_fail(&h, hung_rows[_i].point, hung_rows[_i].error, 0, hung_rows[_i].times);
        g = host_guest(&h, "db");
        g->hung = true;
        HOST_UNTIL(&h, h.world->rules[1].hits > 0);
        daemon_pass_cycles(&h, 20);
        g->hung = false;
        daemon_heal(&h);
        daemon_check_works(&h, "after", 10);
        daemon_pass_cycles(&h, 5);
        daemon_stop(&h, &before, hung_rows[_i].name);
}
END_TEST

/* ---- events that get lost ---- */

static const struct { const char *name, *point; unsigned times; } lost_rows[] = {
        { "whose they are cannot be told", "call virDomainGetUUIDString", 0 },
        { "the loop fails", "call virEventRunDefaultImpl", 20 },
};

/* @goes: and has another size by then. */
static void send_events(TestHost *h, const char *uuid, bool goes) {
        for (int what = 0; what < 10; what++)
                if (goes || what != VIR_DOMAIN_EVENT_STOPPED)
                        host_event(h, WORLD_LIFECYCLE, uuid, what, what % 4);
        for (int type = goes ? WORLD_BALLOON : WORLD_TUNABLE; type <= WORLD_JOB_COMPLETED; type++)
                host_event(h, (WorldEventType)type, uuid, 1024 * 1024, 0);
}

START_TEST(events_get_lost) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        daemon_start(&h, &before);
        (void)host_fail(&h, lost_rows[_i].point, VIR_ERR_INTERNAL_ERROR, 0, lost_rows[_i].times);
        send_events(&h, "99999999-1111-4111-8111-111111111111", true);
        HOST_UNTIL(&h, h.world->rules[1].hits > 0);
        daemon_pass_cycles(&h, 3);
        daemon_heal(&h);
        daemon_check_works(&h, "after", 10);
        daemon_stop(&h, &before, lost_rows[_i].name);
}
END_TEST

/* ---- what libvirt says is not so ---- */

/* It counts fewer CPUs than there are: nobody is pinned to those it does not know. */
START_TEST(libvirt_knows_fewer_cpus) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        host_begin(&h, &before);
        h.world->cpus_said = 4;
        ck_assert_int_le(host_run(&h, "--once"), 1);
        ck_assert(host_log_has(&h, "Numerical result out of range"));
        host_check_record(&h, &before, true, "fewer CPUs");
        h.world->cpus_said = 0;
        host_run_well(&h, "--restore", "fewer CPUs");
        host_check_restored(&h, &before, "fewer CPUs");
}
END_TEST

/* Somebody plugged vCPUs between the decision and the call: that is theirs. */
START_TEST(vcpus_changed_meanwhile) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        host_begin(&h, &before);
        host_guest(&h, "web")->vcpus_said = 3;
        ck_assert_int_le(host_run(&h, "--once"), 1);
        ck_assert(host_log_has(&h, "it has 3 vCPUs meanwhile"));
        ck_assert_uint_eq(host_guest(&h, "web")->online, 2);
        ck_assert_uint_eq(host_guest(&h, "db")->online, 4);
        host_check_record(&h, &before, true, "vCPUs changed meanwhile");
        host_run_well(&h, "--restore", "vCPUs changed meanwhile");
        host_check_restored(&h, &before, "vCPUs changed meanwhile");
}
END_TEST

/* ---- memory ---- */

/* Of them all, or with $FAULTS_ALLOCATIONS until there are no more. */
#define ROUNDS 20U
#define ROUNDS_MAX 150U
/* So many rounds without a place that has not failed yet: that was all. */
#define ROUNDS_QUIET 6U

#define PCI(bus) "<source><address domain='0x0' bus='" bus "' slot='0x0' function='0x0'/></source>"

/* With words about it, devices and NUMA cells of its own. */
static WorldGuest *start_brief(TestHost *h, unsigned number) {
        WorldGuest *g = host_guest_add(h, "brief", number);

        (void)snprintf(g->xml, sizeof(g->xml),
                       "<title>brief</title><metadata>"
                       "<k:guest xmlns:k='https://kvmtuned.org/xmlns/guest/1' class='short'/></metadata>"
                       "<cpu><numa><cell id='0' cpus='0-3' memory='2097152'/></numa></cpu>");
        (void)snprintf(g->devices_xml, sizeof(g->devices_xml),
                       "<hostdev mode='subsystem' type='pci'>" PCI("0x1") "</hostdev>"
                       "<interface type='hostdev'>" PCI("0x2") "</interface>"
                       "<disk type='nvme' device='disk'>" PCI("0x3") "</disk>");
        host_event(h, WORLD_LIFECYCLE, g->uuid, VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_STARTED_BOOTED);
        return g;
}

/* Whatever the daemon does of itself, and what makes it do more. */
static void do_all(TestHost *h, unsigned round) {
        WorldGuest *g, *web = host_guest(h, "web");

        HOST_UNTIL(h, h->world->n_connections > 0);
        g = round % 2 == 0 ? daemon_guest_start(h, "brief", 300 + round) : start_brief(h, 300 + round);
        daemon_pass_cycles(h, 2);
        send_events(h, web->uuid, false);
        host_event(h, WORLD_BALLOON, web->uuid, (int)web->current_kib, 0);
        web->paused = round % 3 == 1;
        daemon_guest_stop(h, g, (int)round % 7);
        h->world->accepts_only = round % 10 == 9;
        if (round % 5 == 4)
                host_event(h, WORLD_CLOSE, "", VIR_CONNECT_CLOSE_REASON_EOF, 0);
        host_guest(h, "db")->hung = round % 5 == 2;
        daemon_pass_cycles(h, round % 5 == 2 || h->world->accepts_only ? 8 : 1);
        host_guest(h, "db")->hung = h->world->accepts_only = false;
}

/* 0: in each thread but the first; 1: in all. */
START_TEST(memory_runs_out_at_each_place) {
        unsigned rounds = getenv("FAULTS_ALLOCATIONS") ? ROUNDS_MAX : ROUNDS, quiet = 0, known = 0, round = 0;
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        host_begin(&h, &before);
        host_move_due(&h, host_guest(&h, "web"));
        knobs_done(&before);
        host_knobs(&h, &before);
        daemon_begin(&h);
        h.world->places_main = _i == 1;
        h.world->places_gap = 30;
        for (; round < rounds && quiet < ROUNDS_QUIET; round++) {
                do_all(&h, round);
                quiet = h.world->n_places == known ? quiet + 1 : 0;
                known = h.world->n_places;
        }
        printf("# note: %u places that allocate have failed, in %u rounds\n", known, round);
        (void)fflush(stdout);
        ck_assert_uint_gt(known, 15U);
        h.world->places_gap = 0;
        host_guest(&h, "web")->paused = false;
        host_event(&h, WORLD_CLOSE, "", VIR_CONNECT_CLOSE_REASON_EOF, 0);
        daemon_check_works(&h, "after", 10);
        daemon_pass_cycles(&h, 5);
        daemon_stop(&h, &before, "memory ran out");
}
END_TEST

static void add(Suite *s, const char *name, const TTest *test, size_t rows) {
        TCase *tc = tcase_create(name);

        tcase_set_timeout(tc, 120);
        tcase_add_loop_test(tc, test, 0, (int)rows);
        suite_add_tcase(s, tc);
}

/* Each can be run alone: CK_RUN_CASE=events_get_lost. */
#define ADD(suite, test, rows) add(suite, #test, test, rows)

int main(void) {
        Suite *s = suite_create("virt");
        SRunner *runner;
        int failed;

        ADD(s, it_cannot_start, ELEMENTSOF(start_rows));
        ADD(s, no_memory_to_start_with, 5);
        ADD(s, a_monitor_hangs_and_more_fails, ELEMENTSOF(hung_rows));
        ADD(s, events_get_lost, ELEMENTSOF(lost_rows));
        ADD(s, libvirt_knows_fewer_cpus, 1);
        ADD(s, vcpus_changed_meanwhile, 1);
        ADD(s, memory_runs_out_at_each_place, 2);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed > 0;
}
