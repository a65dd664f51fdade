/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The thread that sets huge page pools, on a tree of files. A file holds what
 * was written; a pool that gives fewer pages than asked for is one with surplus
 * pages, which are not counted. Also built with ThreadSanitizer.
 */

#include <poll.h>

#include "../../daemon/pool_writer.h"
#include "tree.h"

#define POOL "sys/devices/system/node/node%u/hugepages/hugepages-2048kB/%s"
/* The race that this looks for needs a thread that ends while the caller is still starting it. */
#define ROUNDS 500U

static void pool_put(const Tree *t, unsigned node, const char *name, const char *text) {
        char path[128];

        (void)snprintf(path, sizeof(path), POOL, node, name);
        tree_write(t, path, text);
}

static uint64_t pool_get(const Tree *t, unsigned node) {
        char path[128];
        uint64_t value;

        (void)snprintf(path, sizeof(path), POOL, node, "nr_hugepages");
        ck_assert_int_eq(sysfs_read_u64(t->fd, path, &value), 0);
        return value;
}

static void compact_put(const Tree *t, unsigned node) {
        char path[64];

        (void)snprintf(path, sizeof(path), "sys/devices/system/node/node%u/compact", node);
        tree_write(t, path, "0");
}

static uint64_t compact_get(const Tree *t, unsigned node) {
        char path[64];
        uint64_t value;

        (void)snprintf(path, sizeof(path), "sys/devices/system/node/node%u/compact", node);
        ck_assert_int_eq(sysfs_read_u64(t->fd, path, &value), 0);
        return value;
}

static void add(PoolWriter *w, uint64_t cookie, unsigned node, uint64_t pages) {
        const PoolRequest q = { .cookie = cookie, .node = node, .page_bytes = 2 * MIB, .pages = pages };

        ck_assert_int_eq(pool_writer_add(w, &q), 0);
}

/* A request that nobody works on would be waited for until the test's time is up. */
static PoolReport take(PoolWriter *w) {
        struct pollfd p = { .fd = pool_writer_get_fd(w), .events = POLLIN };
        PoolReport report;

        while (pool_writer_take(w, &report) == -EAGAIN)
                ck_assert_int_eq(poll(&p, 1, -1), 1);
        return report;
}

START_TEST(each_request_is_answered_once_in_order) {
        _cleanup_tree_ Tree t = tree_new();
        _cleanup_(pool_writer_freep) PoolWriter *w = NULL;
        PoolReport report;

        pool_put(&t, 0, "nr_hugepages", "0");
        pool_put(&t, 1, "nr_hugepages", "0");
        ck_assert_int_eq(pool_writer_new(t.fd, &w), 0);
        for (unsigned i = 0; i < 50; i++)
                add(w, i, i % 2, i + 1);
        for (unsigned i = 0; i < 50; i++) {
                report = take(w);
                ck_assert_uint_eq(report.request.cookie, i);
                ck_assert_int_eq(report.result, 0);
                ck_assert_uint_eq(report.pages, i + 1);
        }
        ck_assert_int_eq(pool_writer_take(w, &report), -EAGAIN);
        ck_assert_uint_eq(pool_get(&t, 0), 49);
        ck_assert_uint_eq(pool_get(&t, 1), 50);
}
END_TEST

/* The thread has just ended, or is about to: none may be left lying. */
START_TEST(request_after_the_last_is_worked_on) {
        _cleanup_tree_ Tree t = tree_new();
        _cleanup_(pool_writer_freep) PoolWriter *w = NULL;

        pool_put(&t, 0, "nr_hugepages", "0");
        ck_assert_int_eq(pool_writer_new(t.fd, &w), 0);
        for (unsigned i = 1; i <= ROUNDS; i++) {
                add(w, i, 0, i);
                ck_assert_uint_eq(take(w).pages, i);
        }
}
END_TEST

START_TEST(sizes_on_one_node_are_apart) {
#define LARGE "sys/devices/system/node/node0/hugepages/hugepages-1048576kB/"
        const PoolRequest large = { .cookie = 2, .node = 0, .page_bytes = GIB, .pages = 5 };
        _cleanup_tree_ Tree t = tree_new();
        _cleanup_(pool_writer_freep) PoolWriter *w = NULL;
        uint64_t pages;

        pool_put(&t, 0, "nr_hugepages", "0");
        pool_put(&t, 0, "surplus_hugepages", "3");
        tree_write(&t, LARGE "nr_hugepages", "0");
        tree_write(&t, LARGE "surplus_hugepages", "1");
        ck_assert_int_eq(pool_writer_new(t.fd, &w), 0);
        add(w, 1, 0, 10);
        ck_assert_int_eq(pool_writer_add(w, &large), 0);
        ck_assert_uint_eq(take(w).pages, 7);
        ck_assert_uint_eq(take(w).pages, 4);
        ck_assert_uint_eq(pool_get(&t, 0), 10);
        ck_assert_int_eq(sysfs_read_u64(t.fd, LARGE "nr_hugepages", &pages), 0);
        ck_assert_uint_eq(pages, 5);
}
END_TEST

START_TEST(what_is_short_is_asked_for_again_after_compaction) {
        _cleanup_tree_ Tree t = tree_new();
        _cleanup_(pool_writer_freep) PoolWriter *w = NULL;
        PoolReport report;

        pool_put(&t, 0, "nr_hugepages", "0");
        pool_put(&t, 0, "surplus_hugepages", "3");
        compact_put(&t, 0);
        pool_put(&t, 1, "nr_hugepages", "0");
        compact_put(&t, 1);
        ck_assert_int_eq(pool_writer_new(t.fd, &w), 0);
        add(w, 1, 0, 10);
        report = take(w);
        ck_assert_int_eq(report.result, 0);
        ck_assert_uint_eq(report.pages, 7);
        ck_assert_uint_eq(compact_get(&t, 0), 1);
        add(w, 2, 1, 10);
        report = take(w);
        ck_assert_uint_eq(report.pages, 10);
        ck_assert_uint_eq(compact_get(&t, 1), 0);
}
END_TEST

START_TEST(the_whole_pool_is_read_again) {
        _cleanup_tree_ Tree t = tree_new();
        _cleanup_(pool_writer_freep) PoolWriter *w = NULL;
        PoolReport report;

        pool_put(&t, 0, "nr_hugepages", "0");
        pool_put(&t, 0, "surplus_hugepages", "3");
        ck_assert_int_eq(pool_writer_new(t.fd, &w), 0);
        add(w, 1, 0, 10);
        ck_assert_uint_eq(take(w).seen.page_bytes, 0);
        pool_put(&t, 0, "free_hugepages", "4");
        add(w, 2, 0, 12);
        report = take(w);
        ck_assert_uint_eq(report.seen.page_bytes, 2 * MIB);
        ck_assert_uint_eq(report.seen.total_pages, 12);
        ck_assert_uint_eq(report.seen.free_pages, 4);
        ck_assert_uint_eq(report.seen.surplus_pages, 3);
        add(w, 3, 7, 12);
        ck_assert_uint_eq(take(w).seen.page_bytes, 0);
}
END_TEST

START_TEST(kernel_without_compaction_gives_what_it_has) {
        _cleanup_tree_ Tree t = tree_new();
        _cleanup_(pool_writer_freep) PoolWriter *w = NULL;
        PoolReport report;

        pool_put(&t, 0, "nr_hugepages", "0");
        pool_put(&t, 0, "surplus_hugepages", "3");
        ck_assert_int_eq(pool_writer_new(t.fd, &w), 0);
        add(w, 1, 0, 10);
        report = take(w);
        ck_assert_int_eq(report.result, 0);
        ck_assert_uint_eq(report.pages, 7);
}
END_TEST

START_TEST(pool_that_is_not_there_is_an_error_and_the_next_goes_on) {
        _cleanup_tree_ Tree t = tree_new();
        _cleanup_(pool_writer_freep) PoolWriter *w = NULL;

        pool_put(&t, 0, "nr_hugepages", "0");
        ck_assert_int_eq(pool_writer_new(t.fd, &w), 0);
        add(w, 1, 7, 10);
        add(w, 2, 0, 4);
        ck_assert_int_eq(take(w).result, -ENOENT);
        ck_assert_uint_eq(take(w).pages, 4);
}
END_TEST

START_TEST(end_drops_what_waits_and_what_nobody_took) {
        _cleanup_tree_ Tree t = tree_new();
        size_t files = count_open_files();

        pool_put(&t, 0, "nr_hugepages", "0");
        for (unsigned round = 0; round < 20; round++) {
                _cleanup_(pool_writer_freep) PoolWriter *w = NULL;

                ck_assert_int_eq(pool_writer_new(t.fd, &w), 0);
                for (unsigned i = 0; i < round; i++)
                        add(w, i, 0, i);
        }
        ck_assert_uint_eq(count_open_files(), files);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("pool_writer");
        TCase *tc = tcase_create("pool_writer");
        SRunner *runner;
        int failures;

        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, each_request_is_answered_once_in_order);
        tcase_add_test(tc, request_after_the_last_is_worked_on);
        tcase_add_test(tc, sizes_on_one_node_are_apart);
        tcase_add_test(tc, what_is_short_is_asked_for_again_after_compaction);
        tcase_add_test(tc, the_whole_pool_is_read_again);
        tcase_add_test(tc, kernel_without_compaction_gives_what_it_has);
        tcase_add_test(tc, pool_that_is_not_there_is_an_error_and_the_next_goes_on);
        tcase_add_test(tc, end_drops_what_waits_and_what_nobody_took);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failures = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failures > 0;
}
