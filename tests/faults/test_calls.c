/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls to libvirt that take effect late, while something else happens to the
 * same guest; calls that hang when it is to end; and what is not so any more when
 * a call is made. In the end everything is as it was, or on record.
 */
#include <check.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <signal.h>
#include <stdio.h>

#include "../../daemon/virt.h"
#include "host.h"

/* ---- pins that libvirt makes late ---- */

/* Longer than a pin is taken to be under way that nobody waits for: 60 s of the daemon's time. */
#define LATE_CYCLES 10U
#define LATE_USEC (100 * USEC_PER_SEC / HOST_SPEED)

static bool has_landed(const WorldGuest *g) {
        return world_calls_wait(g) == 0;
}

static void let_time_pass(TestHost *h) {
        daemon_pass_cycles(h, LATE_CYCLES);
}
static void stand_still(TestHost *h) {
        ck_assert_int_eq(kill(h->daemon, SIGSTOP), 0);
        (void)usleep(LATE_USEC);
        ck_assert_int_eq(kill(h->daemon, SIGCONT), 0);
        daemon_pass_cycles(h, 1);
}

static const struct {
        const char *name;
        void (*wait)(TestHost *h);
} late_rows[] = {
        { "libvirt makes its pins late", let_time_pass },
        { "it stands still while libvirt makes its pins", stand_still },
};

/* With a guest whose pins wait, until the first of them does. */
static WorldGuest *begin_late(TestHost *h, Knobs *ret_before) {
        WorldGuest *g = host_guest_add(h, "late", 40);

        g->calls_wait = WORLD_PINS;
        host_knobs(h, ret_before);
        daemon_begin(h);
        HOST_UNTIL(h, !has_landed(g));
        return g;
}

/* Meanwhile its vCPUs are as if somebody had put them back. */
START_TEST(a_pin_is_made_late) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        WorldGuest *g;

        host_init(&h);
        g = begin_late(&h, &before);
        late_rows[_i].wait(&h);
        g->calls_wait = 0;
        HOST_UNTIL(&h, has_landed(g) && daemon_has_pinned(g));
        daemon_stop(&h, &before, late_rows[_i].name);
}
END_TEST

/* Somebody else pins the vCPU first, it is theirs then; and ours comes to be on top of that. */
START_TEST(a_pin_is_made_after_somebody_elses) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        WorldGuest *g;

        host_init(&h);
        g = begin_late(&h, &before);
        HOST_UNTIL(&h, host_log_has(&h, "Guest late does not answer libvirt"));
        g->vcpu_pins[0] = 1U << 7;
        daemon_pass_cycles(&h, 2);
        g->calls_wait = 0;
        HOST_UNTIL(&h, has_landed(g) && g->vcpu_pins[0] != 1U << 7);
        HOST_UNTIL(&h, host_log_has(&h, "Guest late answers again"));
        daemon_pass_cycles(&h, 2);
        daemon_stop(&h, &before, "somebody else was faster");
}
END_TEST

/* ---- told to stop while calls hang ---- */

/* libvirt does it when the daemon has ended. _i: and somebody else has done something before. */
START_TEST(told_to_stop_while_a_call_hangs) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        WorldGuest *g;

        host_init(&h);
        g = begin_late(&h, &before);
        if (_i == 1)
                g->vcpu_pins[0] = 1U << 7;
        ck_assert_int_eq(host_stop(&h, SIGTERM), 1);
        g->calls_wait = 0;
        host_calls_end(g, UINT32_MAX);
        host_check_record(&h, &before, false, "stopped while a call hangs");
        host_run_well(&h, "--restore", "the call is over");
        host_check_restored(&h, &before, "the call is over");
}
END_TEST

/* Nobody waits for a connection that is not accepted. What is the host's own needs none. */
START_TEST(told_to_stop_while_connecting_hangs) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        daemon_start(&h, &before);
        h.world->accepts_only = true;
        host_event(&h, WORLD_CLOSE, "", VIR_CONNECT_CLOSE_REASON_EOF, 0);
        HOST_UNTIL(&h, host_log_has(&h, "libvirt does not answer"));
        ck_assert_int_eq(host_stop(&h, SIGTERM), 1);
        h.world->accepts_only = false;
        host_check_record(&h, &before, false, "stopped while connecting hangs");
        host_run_well(&h, "--restore", "it answers again");
        host_check_restored(&h, &before, "it answers again");
}
END_TEST

/* ---- connecting hangs ---- */

#define OVERDUE_USEC ((VIRT_CALL_TIMEOUT_USEC + USEC_PER_SEC) / HOST_SPEED)

/* That there is no connection has been said: not again when the next attempt hangs. */
START_TEST(connecting_fails_and_then_hangs) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        daemon_start(&h, &before);
        (void)host_fail(&h, "call virConnectOpen", VIR_ERR_INTERNAL_ERROR, 0, 1);
        h.world->accepts_only = true;
        host_event(&h, WORLD_CLOSE, "", VIR_CONNECT_CLOSE_REASON_EOF, 0);
        HOST_UNTIL(&h, h.world->rules[1].seen == 2);
        (void)usleep(OVERDUE_USEC);
        /* Handed on by the thread that watches: by then it has seen that. */
        host_event(&h, WORLD_REPORT, "", 0, 0);
        HOST_UNTIL(&h, __atomic_load_n(&h.world->report.done, __ATOMIC_ACQUIRE) > 0);
        daemon_pass_cycles(&h, 3);
        ck_assert_msg(host_log_has(&h, "Cannot connect to libvirt: "), "%s", host_log_end(&h));
        ck_assert_msg(!host_log_has(&h, "libvirt does not answer"), "%s", host_log_end(&h));
        h.world->accepts_only = false;
        daemon_check_works(&h, "after", 10);
        daemon_stop(&h, &before, "connecting failed and then hung");
}
END_TEST

/* ---- what is not so any more ---- */

START_TEST(a_guest_is_shut_off_before_its_calls) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        host_begin(&h, &before);
        (void)host_fail(&h, "call virDomain[PS]* web", VIR_ERR_OPERATION_INVALID, 0, 0);
        host_guest(&h, "web")->shut_off = true;
        ck_assert_int_le(host_run(&h, "--once"), 1);
        ck_assert_uint_gt(h.world->rules[0].hits, 0);
        host_guest(&h, "web")->shut_off = false;
        host_check_record(&h, &before, true, "shut off");
        host_run_well(&h, "--restore", "shut off");
        host_check_restored(&h, &before, "shut off");
}
END_TEST

/* It connects, and never learns which guests there are: that counts as a connection lost. */
START_TEST(the_listing_hangs) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        daemon_start(&h, &before);
        h.world->lists_never = true;
        host_event(&h, WORLD_CLOSE, "", VIR_CONNECT_CLOSE_REASON_EOF, 0);
        HOST_UNTIL(&h, host_log_has(&h, "libvirt does not answer"));
        daemon_pass_cycles(&h, 3);
        h.world->lists_never = false;
        daemon_check_works(&h, "after", 10);
        daemon_stop(&h, &before, "the listing hung");
}
END_TEST

/* What it brings in the end is old by then: it is asked for again. */
START_TEST(a_definition_comes_late) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        WorldGuest *g;

        daemon_start(&h, &before);
        g = host_guest_add(&h, "late", 40);
        g->xml_waits = true;
        host_event(&h, WORLD_LIFECYCLE, g->uuid, VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_STARTED_BOOTED);
        HOST_UNTIL(&h, host_log_has(&h, "Failed to read the definition of guest"));
        daemon_check_works(&h, "other", 10);
        ck_assert(!daemon_has_pinned(g));
        g->xml_waits = false;
        HOST_UNTIL(&h, daemon_has_pinned(g));
        daemon_guest_stop(&h, g, VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN);
        daemon_check_works(&h, "after", 11);
        daemon_stop(&h, &before, "a definition came late");
}
END_TEST

/* What is brought of it afterwards, at once or when the call was given up, is of a guest that is not there any more. */
START_TEST(a_guest_goes_while_its_definition_is_fetched) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        _cleanup_free_ char *log = NULL;
        WorldGuest *g;

        daemon_start(&h, &before);
        (void)host_fail(&h, "call virDomainIsPersistent late", 0, 0, 0);
        g = host_guest_add(&h, "late", 40);
        g->persistent_waits = true;
        host_event(&h, WORLD_LIFECYCLE, g->uuid, VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_STARTED_BOOTED);
        HOST_UNTIL(&h, h.world->rules[1].seen > 0);
        if (_i == 1)
                HOST_UNTIL(&h, host_log_has(&h, "Failed to read the definition of guest"));
        daemon_guest_stop(&h, g, VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN);
        /* That is heard, and the call not given up yet. */
        (void)usleep(5 * USEC_PER_SEC / HOST_SPEED);
        g->persistent_waits = false;
        daemon_check_works(&h, "other", 10);
        daemon_pass_cycles(&h, 3);
        ck_assert_msg(!strstr(log = host_log(&h), "late: "), "%s", host_log_end(&h));
        daemon_stop(&h, &before, "a guest went while its definition was fetched");
}
END_TEST

/* Nobody is left to ask for statistics. */
START_TEST(the_only_guest_hangs) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        WorldGuest *g;

        daemon_start(&h, &before);
        daemon_guest_stop(&h, host_guest(&h, "web"), VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN);
        g = host_guest(&h, "db");
        g->hung = true;
        HOST_UNTIL(&h, host_log_has(&h, "Guest db does not answer libvirt"));
        daemon_pass_cycles(&h, 3);
        g->hung = false;
        HOST_UNTIL(&h, host_log_has(&h, "Guest db answers again"));
        daemon_pass_cycles(&h, 3);
        daemon_stop(&h, &before, "the only guest hung");
}
END_TEST

/* A balloon larger than its guest; a driver that never said anything. */
START_TEST(statistics_that_cannot_be) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        WorldGuest *large, *silent;

        daemon_start(&h, &before);
        large = daemon_guest_start(&h, "large", 50);
        silent = daemon_guest_start(&h, "silent", 51);
        large->stats_period = silent->stats_period = 2;
        silent->silent = true;
        daemon_pass_cycles(&h, 2);
        large->current_kib = 2 * large->max_kib;
        daemon_pass_cycles(&h, 5);
        ck_assert_uint_eq(silent->current_kib, silent->max_kib);
        daemon_guest_stop(&h, large, 0);
        daemon_guest_stop(&h, silent, 0);
        daemon_check_works(&h, "after", 10);
        daemon_stop(&h, &before, "statistics that cannot be");
}
END_TEST

/* ---- a dry run ---- */

START_TEST(nothing_is_done_in_a_dry_run) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before, after;
        char policy[2048];

        host_begin(&h, &before);
        (void)snprintf(policy, sizeof(policy), "daemon: { dry_run = true; };\n%s", host_all_levers);
        host_policy(&h, policy);
        host_move_due(&h, host_guest(&h, "web"));
        knobs_done(&before);
        host_knobs(&h, &before);
        (void)host_fail(&h, "read proc/meminfo", 0, 0, 0);
        host_start(&h, NULL);
        HOST_UNTIL(&h, host_log_has(&h, "Would do: "));
        daemon_pass_cycles(&h, 5);
        ck_assert_int_eq(host_stop(&h, SIGTERM), 0);
        host_knobs(&h, &after);
        ck_assert_str_eq(knobs_difference(&before, &after), "");
}
END_TEST

static void add(Suite *s, const char *name, const TTest *test, size_t rows) {
        TCase *tc = tcase_create(name);

        tcase_set_timeout(tc, 120);
        tcase_add_loop_test(tc, test, 0, (int)rows);
        suite_add_tcase(s, tc);
}

/* Each can be run alone: CK_RUN_CASE=the_listing_hangs. */
#define ADD(suite, test, rows) add(suite, #test, test, rows)

int main(void) {
        Suite *s = suite_create("calls");
        SRunner *runner;
        int failed;

        ADD(s, a_pin_is_made_late, ELEMENTSOF(late_rows));
        ADD(s, a_pin_is_made_after_somebody_elses, 1);
        ADD(s, told_to_stop_while_a_call_hangs, 2);
        ADD(s, told_to_stop_while_connecting_hangs, 1);
        ADD(s, connecting_fails_and_then_hangs, 1);
        ADD(s, a_guest_is_shut_off_before_its_calls, 1);
        ADD(s, the_listing_hangs, 1);
        ADD(s, a_definition_comes_late, 1);
        ADD(s, a_guest_goes_while_its_definition_is_fetched, 2);
        ADD(s, the_only_guest_hangs, 1);
        ADD(s, statistics_that_cannot_be, 1);
        ADD(s, nothing_is_done_in_a_dry_run, 1);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed > 0;
}
