/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virt against libvirt's test driver, which runs in this process: lifecycle,
 * calls and answers, and that nothing is left behind (with ASan: no leak).
 * Waiting is bounded by check's timeout, not asserted.
 */
#include "../../daemon/virt.h"

#include <check.h>
#include <libvirt/libvirt.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#define URI "test:///default"
#define NOBODY "00000000-0000-4000-8000-000000000000"

static void block_signals(void) {
        sigset_t all;

        (void)sigfillset(&all);
        ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &all, NULL), 0);
}

static VirtMessage *next_message(Virt *v) {
        for (;;) {
                struct pollfd p = { .fd = virt_get_fd(v), .events = POLLIN };
                VirtMessage *m = virt_take(v);

                if (m)
                        return m;
                (void)poll(&p, 1, -1);
        }
}

/* Messages of other types are passed over. */
static VirtMessage *wait_for(Virt *v, VirtMessageType type) {
        for (;;) {
                VirtMessage *m = next_message(v);

                if (m->type == type)
                        return m;
                (void)virt_message_free(m);
        }
}

static Virt *start(void) {
        Virt *v;

        block_signals();
        ck_assert_int_eq(virt_new(URI, &v), 0);
        return v;
}

/* The uuid of the driver's one guest, after the listing. */
static Virt *start_listed(char uuid[UUID_TEXT_SIZE]) {
        Virt *v = start();
        VirtMessage *m = wait_for(v, VIRT_GUEST);

        memcpy(uuid, m->uuid, UUID_TEXT_SIZE);
        (void)virt_message_free(m);
        (void)virt_message_free(wait_for(v, VIRT_LISTED));
        return v;
}

static void finish(Virt *v, virConnectPtr conn) {
        (void)virt_free(v);
        if (conn)
                ck_assert_int_eq(virConnectClose(conn), 0);
}

START_TEST(test_connects_and_lists_in_order) {
        Virt *v = start();
        VirtMessage *m;

        m = next_message(v);
        ck_assert_int_eq(m->type, VIRT_CONNECTED);
        ck_assert_uint_eq(m->generation, 1);
        (void)virt_message_free(m);

        m = next_message(v);
        ck_assert_int_eq(m->type, VIRT_GUEST);
        ck_assert_str_eq(m->text, "listed");
        ck_assert_str_eq(m->guest->name, "test");
        ck_assert_str_eq(m->guest->uuid, m->uuid);
        ck_assert_int_eq(m->guest->state, GUEST_RUNNING);
        ck_assert_uint_eq(m->guest->max_bytes, 8 * GIB);
        ck_assert_uint_eq(m->guest->current_bytes, 2 * GIB);
        ck_assert_uint_eq(m->guest->n_vcpus, 2);
        ck_assert(m->guest->persistent);
        ck_assert(!m->guest->migrating);
        ck_assert_uint_eq(m->event_usec, 0);
        (void)virt_message_free(m);

        m = next_message(v);
        ck_assert_int_eq(m->type, VIRT_LISTED);
        (void)virt_message_free(m);
        ck_assert_ptr_null(virt_take(v));
        finish(v, NULL);
}
END_TEST

START_TEST(test_stops_at_once_while_connecting) {
        (void)virt_free(start());
}
END_TEST

START_TEST(test_can_be_started_again) {
        char uuid[UUID_TEXT_SIZE];

        for (int i = 0; i < 3; i++)
                finish(start_listed(uuid), NULL);
}
END_TEST

typedef struct StateRow {
        const char *name;
        int (*change)(virDomainPtr domain);
        VirtMessageType type;
        const char *text;
        GuestState state;
} StateRow;

static int keep_running(virDomainPtr domain) {
        if (virDomainSuspend(domain) < 0)
                return -1;
        return virDomainResume(domain);
}

static int restart(virDomainPtr domain) {
        if (virDomainDestroy(domain) < 0)
                return -1;
        return virDomainCreate(domain);
}

static const StateRow state_rows[] = {
        { "suspended guest is paused", virDomainSuspend, VIRT_GUEST, "suspended", GUEST_PAUSED },
        { "destroyed guest is gone", virDomainDestroy, VIRT_GUEST_GONE, "destroyed", 0 },
        { "shut down guest is gone", virDomainShutdown, VIRT_GUEST_GONE, "shutdown", 0 },
        { "resumed guest runs", keep_running, VIRT_GUEST, "resumed", GUEST_RUNNING },
        { "started guest runs", restart, VIRT_GUEST, "started", GUEST_RUNNING },
};

START_TEST(test_lifecycle_events_become_messages) {
        const StateRow *row = &state_rows[_i];
        char uuid[UUID_TEXT_SIZE];
        Virt *v = start_listed(uuid);
        virConnectPtr conn = virConnectOpen(URI);
        virDomainPtr domain = virDomainLookupByUUIDString(conn, uuid);
        VirtMessage *m;

        ck_assert_msg(row->change(domain) == 0, "%s", row->name);
        /* Events may be merged on the way, the last word is what counts. */
        do {
                m = wait_for(v, row->type);
                ck_assert_str_eq(m->uuid, uuid);
                ck_assert_uint_gt(m->event_usec, 0);
                if (streq(m->text, row->text))
                        break;
                (void)virt_message_free(m);
        } while (true);
        if (row->type == VIRT_GUEST)
                ck_assert_msg(m->guest->state == row->state, "%s", row->name);
        (void)virt_message_free(m);
        (void)virDomainFree(domain);
        finish(v, conn);
}
END_TEST

static VirtMessage *call(Virt *v, VirtCall c) {
        VirtMessage *m;

        c.cookie = 42;
        ck_assert_int_eq(virt_submit(v, &c, 1), 0);
        m = wait_for(v, VIRT_DONE);
        ck_assert_uint_eq(m->cookie, 42);
        ck_assert_str_eq(m->uuid, c.uuid);
        return m;
}

START_TEST(test_memory_takes_effect_and_is_seen_in_the_xml) {
        char uuid[UUID_TEXT_SIZE];
        Virt *v = start_listed(uuid);
        VirtCall memory = { .type = VIRT_SET_MEMORY, .value = GIB };
        VirtMessage *m;

        memcpy(memory.uuid, uuid, UUID_TEXT_SIZE);
        m = call(v, memory);
        ck_assert_msg(m->result == 0, "%s", m->text);
        (void)virt_message_free(m);

        ck_assert_int_eq(virt_refresh(v, uuid), 0);
        m = wait_for(v, VIRT_GUEST);
        ck_assert_str_eq(m->text, "refreshed");
        ck_assert_uint_eq(m->guest->current_bytes, GIB);
        (void)virt_message_free(m);
        finish(v, NULL);
}
END_TEST

static const struct {
        const char *name;
        bool known;
        VirtCallType type;
        unsigned cpu;
        uint64_t value;
        int result;
} failing_rows[] = {
        { "unknown guest", false, VIRT_PIN_VCPU, 0, 0, -ENOENT },
        { "unknown guest, memory", false, VIRT_SET_MEMORY, 0, GIB, -ENOENT },
        { "CPU that the host does not have", true, VIRT_PIN_VCPU, 4000, 0, -ERANGE },
        { "less than a KiB", true, VIRT_SET_MEMORY, 0, 1023, -ERANGE },
        { "no such call", true, _VIRT_CALL_TYPE_MAX, 0, 0, -EINVAL },
};

START_TEST(test_failing_call_says_why) {
        char uuid[UUID_TEXT_SIZE];
        Virt *v = start_listed(uuid);
        VirtCall c = { .type = failing_rows[_i].type, .value = failing_rows[_i].value };
        VirtMessage *m;

        ck_assert_int_eq(idset_add(&c.set, failing_rows[_i].cpu), 0);
        memcpy(c.uuid, failing_rows[_i].known ? uuid : NOBODY, UUID_TEXT_SIZE);
        m = call(v, c);
        ck_assert_msg(m->result == failing_rows[_i].result, "%s: %d %s", failing_rows[_i].name, m->result, m->text);
        (void)virt_message_free(m);
        finish(v, NULL);
}
END_TEST

START_TEST(test_call_to_a_guest_that_does_not_run_says_so) {
        char uuid[UUID_TEXT_SIZE];
        Virt *v = start_listed(uuid);
        virConnectPtr conn = virConnectOpen(URI);
        virDomainPtr domain = virDomainLookupByUUIDString(conn, uuid);
        VirtCall c = { .type = VIRT_SET_MEMORY, .value = GIB };
        VirtMessage *m;

        ck_assert_int_eq(virDomainDestroy(domain), 0);
        (void)virt_message_free(wait_for(v, VIRT_GUEST_GONE));
        memcpy(c.uuid, uuid, UUID_TEXT_SIZE);
        m = call(v, c);
        ck_assert_msg(m->result == -ESRCH, "%d %s", m->result, m->text);
        ck_assert_ptr_nonnull(m->text);
        (void)virt_message_free(m);
        (void)virDomainFree(domain);
        finish(v, conn);
}
END_TEST

START_TEST(test_calls_are_answered_in_order) {
        char uuid[UUID_TEXT_SIZE];
        Virt *v = start_listed(uuid);
        VirtCall calls[20];

        for (unsigned i = 0; i < ELEMENTSOF(calls); i++) {
                calls[i] = (VirtCall){ .type = VIRT_SET_MEMORY, .value = GIB + i * MIB, .cookie = i + 1 };
                memcpy(calls[i].uuid, uuid, UUID_TEXT_SIZE);
        }
        calls[7].cookie = 0;
        ck_assert_int_eq(virt_submit(v, calls, ELEMENTSOF(calls)), 0);
        for (unsigned i = 0; i < ELEMENTSOF(calls); i++) {
                VirtMessage *m;

                if (i == 7)
                        continue;
                m = wait_for(v, VIRT_DONE);
                ck_assert_uint_eq(m->cookie, i + 1);
                ck_assert_int_eq(m->result, 0);
                (void)virt_message_free(m);
        }
        finish(v, NULL);
}
END_TEST

START_TEST(test_refresh_of_an_unknown_guest_says_gone) {
        char uuid[UUID_TEXT_SIZE];
        Virt *v = start_listed(uuid);
        VirtMessage *m;

        ck_assert_int_eq(virt_refresh(v, NOBODY), 0);
        m = wait_for(v, VIRT_GUEST_GONE);
        ck_assert_str_eq(m->uuid, NOBODY);
        ck_assert_str_eq(m->text, "stopped");
        (void)virt_message_free(m);
        finish(v, NULL);
}
END_TEST

/* The driver has no such statistics: what matters is that each request is answered, the last with its cookie. */
START_TEST(test_statistics_are_answered_with_the_cookie_last) {
        char uuid[UUID_TEXT_SIZE], uuids[70][UUID_TEXT_SIZE];
        Virt *v = start_listed(uuid);
        VirtMessage *m;
        unsigned n = 0;

        for (size_t i = 0; i < ELEMENTSOF(uuids); i++)
                memcpy(uuids[i], i == 0 ? uuid : NOBODY, UUID_TEXT_SIZE);
        ck_assert_int_eq(virt_request_stats(v, (const char(*)[UUID_TEXT_SIZE])uuids, 70, 7), 0);
        do {
                m = wait_for(v, VIRT_STATS);
                n += m->cookie == 7;
                (void)virt_message_free(m);
        } while (n == 0);
        ck_assert_int_eq(virt_request_stats(v, NULL, 0, 8), 0);
        m = wait_for(v, VIRT_STATS);
        ck_assert_uint_eq(m->cookie, 8);
        ck_assert_uint_eq(m->n_stats, 0);
        (void)virt_message_free(m);
        finish(v, NULL);
}
END_TEST

START_TEST(test_failure_to_connect_is_said_once) {
        struct pollfd p;
        VirtMessage *m;
        Virt *v;

        block_signals();
        ck_assert_int_eq(virt_new("test+unix:///default?socket=/nonexistent/socket", &v), 0);
        m = next_message(v);
        ck_assert_int_eq(m->type, VIRT_CONNECT_FAILED);
        ck_assert_ptr_nonnull(m->text);
        (void)virt_message_free(m);
        /* Two more attempts are made in this time. */
        p = (struct pollfd){ .fd = virt_get_fd(v), .events = POLLIN };
        ck_assert_int_eq(poll(&p, 1, 700), 0);
        finish(v, NULL);
}
END_TEST

START_TEST(test_calls_without_a_connection_are_canceled) {
        VirtCall c = { .type = VIRT_SET_MEMORY, .value = GIB, .uuid = NOBODY };
        VirtMessage *m;
        Virt *v;

        block_signals();
        ck_assert_int_eq(virt_new("test+unix:///default?socket=/nonexistent/socket", &v), 0);
        m = call(v, c);
        ck_assert_int_eq(m->result, -ECANCELED);
        (void)virt_message_free(m);
        finish(v, NULL);
}
END_TEST

int main(void) {
        Suite *s = suite_create("virt");
        TCase *tc = tcase_create("virt");
        SRunner *sr;
        int failed;

        tcase_set_timeout(tc, 20);
        tcase_add_test(tc, test_connects_and_lists_in_order);
        tcase_add_test(tc, test_stops_at_once_while_connecting);
        tcase_add_test(tc, test_can_be_started_again);
        tcase_add_loop_test(tc, test_lifecycle_events_become_messages, 0, (int)ELEMENTSOF(state_rows));
        tcase_add_test(tc, test_memory_takes_effect_and_is_seen_in_the_xml);
        tcase_add_loop_test(tc, test_failing_call_says_why, 0, (int)ELEMENTSOF(failing_rows));
        tcase_add_test(tc, test_call_to_a_guest_that_does_not_run_says_so);
        tcase_add_test(tc, test_calls_are_answered_in_order);
        tcase_add_test(tc, test_refresh_of_an_unknown_guest_says_gone);
        tcase_add_test(tc, test_statistics_are_answered_with_the_cookie_last);
        tcase_add_test(tc, test_failure_to_connect_is_said_once);
        tcase_add_test(tc, test_calls_without_a_connection_are_canceled);
        suite_add_tcase(s, tc);
        sr = srunner_create(s);
        srunner_run_all(sr, CK_NORMAL);
        failed = srunner_ntests_failed(sr);
        srunner_free(sr);
        return failed != 0;
}
