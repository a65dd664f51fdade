/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which process is a guest's. */

#include "../../lib/observe.h"

#include "tree.h"

#define WEB "5f0f5b3a-8f43-4b9e-9d3c-0d2b7a1c9e01"
#define DB "5f0f5b3a-8f43-4b9e-9d3c-0d2b7a1c9e02"

static const struct {
        const char *name, *guest, *uuid;
        int want;
        int32_t pid;
} find_rows[] = {
        { "by pid file", "web", WEB, 0, 4242 },
        { "the pid file names another guest's process", "db", DB, 0, 4300 },
        { "no pid file", "renamed", DB, 0, 4300 },
        { "capital letters", "web", "5F0F5B3A-8F43-4B9E-9D3C-0D2B7A1C9E01", 0, 4242 },
        { "no such guest", "web", "00000000-0000-0000-0000-000000000000", -ESRCH, 0 },
        { "a name that leads elsewhere", "../../../proc/4242/statm", DB, 0, 4300 },
        { "part of a uuid", "web", "5f0f5b3a", -ESRCH, 0 },
        { "an argument that is not the uuid", "x", "512", -ESRCH, 0 },
};

START_TEST(finds_the_process) {
        _cleanup_(guest_processes_done) GuestProcesses processes = { 0 };
        _cleanup_close_ int root = fixture_open("two-nodes");
        GuestSearch search = { 0 };
        int32_t pid = 77;

        ck_assert_msg(guest_process_find(&processes, &search, root, USEC_PER_SEC, find_rows[_i].guest,
                                         find_rows[_i].uuid, &pid) == find_rows[_i].want, "%s", find_rows[_i].name);
        ck_assert_msg(pid == (find_rows[_i].want < 0 ? 77 : find_rows[_i].pid), "%s", find_rows[_i].name);
}
END_TEST

static void write_process(const Tree *t, unsigned pid, const char *uuid) {
        char path[64], arguments[96];

        (void)snprintf(path, sizeof(path), "proc/%u/cmdline", pid);
        (void)snprintf(arguments, sizeof(arguments), "qemu-system-x86_64%c-uuid%c%s", 0, 0, uuid);
        tree_write_bytes(t, path, arguments, strlen("qemu-system-x86_64") + strlen("-uuid") + strlen(uuid) + 3);
}

/* Many guests without a process: not a search each, and not one each cycle. */
START_TEST(a_process_that_is_not_there_is_searched_for_ever_less_often) {
        _cleanup_(guest_processes_done) GuestProcesses processes = { 0 };
        _cleanup_tree_ Tree t = tree_new();
        GuestSearch web = { 0 }, db = { 0 };
        unsigned searches = 0;
        int32_t pid;

        write_process(&t, 400, "00000000-0000-0000-0000-000000000000");
        for (uint64_t i = 1; i <= 360; i++) {
                uint64_t before = processes.searched_usec, now = i * 10 * USEC_PER_SEC;

                ck_assert_int_eq(guest_process_find(&processes, &web, t.fd, now, "web", WEB, &pid), -ESRCH);
                ck_assert_int_eq(guest_process_find(&processes, &db, t.fd, now, "db", DB, &pid), -ESRCH);
                searches += processes.searched_usec != before;
        }
        /* After 10, 20, 40, ... 640 s, and then every 640 s of the hour. */
        ck_assert_uint_eq(searches, 11);
}
END_TEST

START_TEST(one_search_serves_all_guests) {
        _cleanup_(guest_processes_done) GuestProcesses processes = { 0 };
        GuestSearch web = { 0 }, db = { 0 }, again = { 0 };
        _cleanup_tree_ Tree t = tree_new();
        int32_t pid;

        write_process(&t, 501, WEB);
        write_process(&t, 502, DB);
        ck_assert_int_eq(guest_process_find(&processes, &web, t.fd, USEC_PER_SEC, "web", WEB, &pid), 0);
        ck_assert_int_eq(pid, 501);
        /* Later, and what was found holds still: no search. */
        ck_assert_int_eq(guest_process_find(&processes, &db, t.fd, 2 * USEC_PER_SEC, "db", DB, &pid), 0);
        ck_assert_int_eq(pid, 502);
        ck_assert_uint_eq(processes.searched_usec, USEC_PER_SEC);
        /* Its number is another process's by now. */
        write_process(&t, 502, WEB);
        ck_assert_int_eq(guest_process_find(&processes, &again, t.fd, 2 * USEC_PER_SEC, "db", DB, &pid), -ESRCH);
        ck_assert_uint_eq(processes.searched_usec, 2 * USEC_PER_SEC);
        ck_assert_uint_eq(again.again_usec, 12 * USEC_PER_SEC);
        /* A pid file that comes is not waited for. */
        write_process(&t, 503, DB);
        ck_assert_int_eq(guest_process_find(&processes, &again, t.fd, 3 * USEC_PER_SEC, "db", DB, &pid), -ESRCH);
        tree_write(&t, "run/libvirt/qemu/db.pid", "503\n");
        ck_assert_int_eq(guest_process_find(&processes, &again, t.fd, 3 * USEC_PER_SEC, "db", DB, &pid), 0);
        ck_assert_int_eq(pid, 503);
        ck_assert_uint_eq(again.again_usec, 0);
}
END_TEST

START_TEST(a_process_is_told_from_its_successor_by_its_start) {
        _cleanup_(tree_done) Tree t = tree_new();
        uint64_t start = 0;

        /* The name may hold spaces and parentheses; field 22 is counted behind the last one. */
        tree_write(&t, "proc/77/stat",
                   "77 (qemu) R 1 2) S 1 77 77 0 -1 4194560 100 0 0 0 5 6 0 0 20 0 3 0 987654 1000 20 0\n");
        tree_write(&t, "proc/78/stat", "78 (short) S 1 78\n");
        ck_assert_int_eq(guest_process_start_time(t.fd, 77, &start), 0);
        ck_assert_uint_eq(start, 987654);
        ck_assert_int_eq(guest_process_start_time(t.fd, 78, &start), -EBADMSG);
        ck_assert_int_eq(guest_process_start_time(t.fd, 79, &start), -ESRCH);
        ck_assert_uint_eq(start, 987654);
}
END_TEST

int main(void) {
        Suite *s = suite_create("observe_guest_process");
        TCase *c = tcase_create("all");
        SRunner *runner;
        int failed;

        suite_add_tcase(s, c);
        tcase_set_timeout(c, 60);
        tcase_add_loop_test(c, finds_the_process, 0, (int)ELEMENTSOF(find_rows));
        tcase_add_test(c, a_process_that_is_not_there_is_searched_for_ever_less_often);
        tcase_add_test(c, one_search_serves_all_guests);
        tcase_add_test(c, a_process_is_told_from_its_successor_by_its_start);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
