/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Advice that was given: its text form, what fulfils it, and the file under several processes. */

#include "../../lib/reservation.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define MAGIC "kvmtuned-reservations 1\n"
#define NOW (100 * USEC_PER_HOUR)

static Reservation reservation(uint64_t age_usec, unsigned node, uint64_t vcpus, uint64_t bytes) {
        return (Reservation){ .nodes = idset_of(node), .vcpus = vcpus, .memory_bytes = bytes,
                              .given_usec = NOW - age_usec };
}

/* ---- text ---- */

typedef struct ParseRow {
        const char *name, *text;
        size_t want;
        bool damaged;
} ParseRow;

#define GOOD "given=359999000000 nodes=0-1 vcpus=2 memory=1073741824\n"

static const ParseRow parse_rows[] = {
        { "an empty file", "", 0, false },
        { "no record", MAGIC, 0, false },
        { "a record", MAGIC GOOD, 1, false },
        { "two records", MAGIC GOOD GOOD, 2, false },
        { "huge pages", MAGIC "given=359999000000 nodes=0-1 vcpus=2 memory=1073741824 hugepages\n", 1, false },
        { "huge pages of a size", MAGIC "given=359999000000 nodes=0 vcpus=2 memory=1 hugepages=1048576\n", 1, false },
        { "huge pages of no size", MAGIC "given=359999000000 nodes=0 vcpus=2 memory=1 hugepages=x\n", 0, true },
        { "cut short behind a record", MAGIC GOOD "given=3599990", 1, true },
        { "another file", "<domain/>\n" GOOD, 0, true },
        { "a newer form", "kvmtuned-reservations 2\n" GOOD, 0, true },
        { "expired", MAGIC "given=359940000000 nodes=0 vcpus=2 memory=1\n", 0, false },
        { "just not expired", MAGIC "given=359940000001 nodes=0 vcpus=2 memory=1\n", 1, false },
        { "from the future", MAGIC "given=360000000001 nodes=0 vcpus=2 memory=1\n", 0, false },
        { "no nodes", MAGIC "given=359999000000 nodes= vcpus=2 memory=1\n", 0, true },
        { "no such node list", MAGIC "given=359999000000 nodes=1-0 vcpus=2 memory=1\n", 0, true },
        { "a node above all", MAGIC "given=359999000000 nodes=4096 vcpus=2 memory=1\n", 0, true },
        { "no vCPU", MAGIC "given=359999000000 nodes=0 vcpus=0 memory=1\n", 0, true },
        { "too many vCPUs", MAGIC "given=359999000000 nodes=0 vcpus=4097 memory=1\n", 0, true },
        { "a number too large", MAGIC "given=359999000000 nodes=0 vcpus=1 memory=99999999999999999999\n", 0, true },
        { "a negative number", MAGIC "given=359999000000 nodes=0 vcpus=1 memory=-1\n", 0, true },
        { "a part is missing", MAGIC "nodes=0 vcpus=1 memory=1\n", 0, true },
        { "a word nobody knows", MAGIC "given=359999000000 nodes=0 vcpus=1 memory=1 x=y\n", 0, true },
        { "a record behind garbage", MAGIC "\x01\xff = =\n" GOOD, 1, true },
};

START_TEST(what_is_not_understood_is_left_out) {
        const ParseRow *row = &parse_rows[_i];
        _cleanup_free_ Reservation *list = NULL;
        bool damaged;
        size_t n;

        ck_assert_int_eq(reservations_parse(row->text, NOW, &list, &n, &damaged), 0);
        ck_assert_uint_eq(n, row->want);
        ck_assert_int_eq(damaged, row->damaged);
}
END_TEST

START_TEST(records_read_back_to_the_same) {
        Reservation list[] = { reservation(30 * USEC_PER_SEC, 7, 4, 3 * GIB + 1),
                               reservation(10 * USEC_PER_SEC, 4095, 4096, UINT64_MAX), reservation(0, 1, 1, GIB) };
        _cleanup_free_ Reservation *back = NULL;
        _cleanup_free_ char *text = NULL;
        size_t n;

        list[1].hugepages = list[2].hugepages = true;
        list[2].hugepage_bytes = GIB;
        ck_assert_int_eq(reservations_format(list, 3, &text), 0);
        ck_assert_int_eq(reservations_parse(text, NOW, &back, &n, NULL), 0);
        ck_assert_uint_eq(n, 3);
        for (size_t i = 0; i < n; i++)
                ck_assert(idset_equal(&back[i].nodes, &list[i].nodes) && back[i].vcpus == list[i].vcpus &&
                          back[i].memory_bytes == list[i].memory_bytes && back[i].hugepages == list[i].hugepages &&
                          back[i].hugepage_bytes == list[i].hugepage_bytes &&
                          back[i].given_usec == list[i].given_usec);
}
END_TEST

START_TEST(the_oldest_go_when_there_are_too_many) {
        _cleanup_free_ Reservation *list = calloc(RESERVATIONS_MAX + 10, sizeof(*list)), *back = NULL;
        _cleanup_free_ char *text = NULL;
        size_t n;

        for (unsigned i = 0; i < RESERVATIONS_MAX + 10; i++)
                list[i] = reservation(1000 - i, i, 1, 1);
        ck_assert_int_eq(reservations_format(list, RESERVATIONS_MAX + 10, &text), 0);
        ck_assert_int_eq(reservations_parse(text, NOW, &back, &n, NULL), 0);
        ck_assert_uint_eq(n, RESERVATIONS_MAX);
        ck_assert(idset_contains(&back[0].nodes, 10));
}
END_TEST

/* Any bytes behind the first line, many times over. */
START_TEST(garbage_is_survived) {
        static const char alphabet[] = "given=nodsvcpumry0123456789-, \n\t\xff\x01";
        uint64_t seed = 7;

        for (unsigned i = 0; i < 3000; i++) {
                _cleanup_free_ Reservation *list = NULL;
                char text[300] = MAGIC;
                size_t n;

                for (size_t k = sizeof(MAGIC) - 1; k < sizeof(text) - 1; k++) {
                        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
                        text[k] = alphabet[(seed >> 33) % (sizeof(alphabet) - 1)];
                }
                ck_assert_int_eq(reservations_parse(text, NOW, &list, &n, NULL), 0);
                ck_assert_uint_le(n, RESERVATIONS_MAX);
        }
}
END_TEST

/* ---- what fulfils it ---- */

static Guest *guest(const char *name, size_t vcpus, uint64_t bytes) {
        Guest *g;

        ck_assert_int_eq(guest_new(name, NULL, &g), 0);
        ck_assert_int_eq(guest_set_vcpus(g, vcpus), 0);
        g->max_bytes = bytes;
        return g;
}

typedef struct SettleRow {
        const char *name;
        size_t vcpus;
        uint64_t bytes;
        int64_t after_msec;             /* the advice */
        int advised;                    /* -1: not known */
        bool fulfils;
} SettleRow;

/* The advice: node 1, two vCPUs, 1 GiB. */
static const SettleRow settle_rows[] = {
        { "the guest that came", 2, GIB, 100, -1, true },
        { "as libvirt was told", 2, GIB, 100, 1, true },
        { "the clock of processes ticks slowly", 2, GIB, -9, -1, true },
        { "one that was there before", 2, GIB, -1000, -1, false },
        { "another number of vCPUs", 3, GIB, 100, -1, false },
        { "another size", 2, 2 * GIB, 100, -1, false },
        { "libvirt asks in whole MiB", 2, GIB - 4 * KIB, 100, -1, true },
        { "started elsewhere on other advice", 2, GIB, 100, 0, false },
};

START_TEST(a_guest_that_is_there_fulfils_its_advice) {
        const SettleRow *row = &settle_rows[_i];
        Guest *g = guest("g", row->vcpus, row->bytes);
        Reservation r = reservation(10 * USEC_PER_SEC, 1, 2, GIB);
        ReservationGuest there = { g, r.given_usec + (uint64_t)(row->after_msec * (int64_t)USEC_PER_MSEC) };
        size_t n = 1;

        if (row->advised >= 0)
                g->advised_nodes = idset_of((unsigned)row->advised);
        reservations_settle(&r, &n, &there, 1);
        ck_assert_uint_eq(n, row->fulfils ? 0 : 1);
        guest_free(g);
}
END_TEST

START_TEST(each_guest_fulfils_one) {
        Guest *a = guest("a", 2, GIB), *b = guest("b", 2, GIB);
        Reservation list[] = { reservation(30000, 0, 2, GIB), reservation(20000, 1, 2, GIB), reservation(10000, 2, 2, GIB) };
        ReservationGuest there[] = { { b, NOW - 5000 }, { a, NOW - 15000 } };
        size_t n = 3;

        reservations_settle(list, &n, there, 2);
        ck_assert_uint_eq(n, 1);
        ck_assert(idset_contains(&list[0].nodes, 2));
        reservations_settle(list, &n, NULL, 0);
        ck_assert_uint_eq(n, 1);
        guest_free(a);
        guest_free(b);
}
END_TEST

/* ---- the file ---- */

static char folder[] = "/tmp/kvmtuned-test.XXXXXX";
static char path[64], lock_path[80];

static void setup(void) {
        (void)strcpy(folder + strlen(folder) - 6, "XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(folder));
        (void)snprintf(path, sizeof(path), "%s/run/reservations", folder);
        (void)snprintf(lock_path, sizeof(lock_path), "%s.lock", path);
}

static void teardown(void) {
        (void)unlink(path);
        (void)rmdir(path);
        (void)unlink(lock_path);
        *strrchr(path, '/') = 0;
        (void)rmdir(path);
        (void)rmdir(folder);
}

static void write_text(const char *text, size_t size) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(write(fd, text, size), (ssize_t)size);
        (void)close(fd);
}

/* What an adviser does: one more record, under the lock. */
static int add(unsigned node) {
        _cleanup_free_ Reservation *list = NULL, *more = NULL;
        _cleanup_close_ int lock = reservation_lock(path, 60 * USEC_PER_SEC);
        size_t n;
        int r;

        if (lock < 0)
                return lock;
        r = reservation_load(path, NOW, &list, &n, NULL);
        if (r < 0)
                return r;
        more = calloc(n + 1, sizeof(*more));
        if (!more)
                return -ENOMEM;
        memcpy(more, list, n * sizeof(*list));
        more[n] = reservation(0, node, 1, 1);
        return reservation_save(path, more, n + 1);
}

START_TEST(no_record_is_lost_when_many_advise_at_once) {
        enum { PROCESSES = 4, EACH = 40 };
        _cleanup_free_ Reservation *list = NULL;
        IdSet seen = IDSET_EMPTY;
        size_t n;

        for (unsigned p = 0; p < PROCESSES; p++)
                if (fork() == 0) {
                        for (unsigned i = 0; i < EACH; i++)
                                if (add(p * EACH + i) < 0)
                                        _exit(1);
                        _exit(0);
                }
        for (unsigned p = 0; p < PROCESSES; p++) {
                int status;

                ck_assert_int_ge(wait(&status), 0);
                ck_assert_int_eq(status, 0);
        }
        ck_assert_int_eq(reservation_load(path, NOW, &list, &n, NULL), 0);
        for (size_t i = 0; i < n; i++)
                seen = idset_or(&seen, &list[i].nodes);
        ck_assert_uint_eq(idset_count(&seen), PROCESSES * EACH);
}
END_TEST

START_TEST(a_lock_that_others_keep_is_not_waited_for_forever) {
        _cleanup_close_ int mine = reservation_lock(path, 0);

        ck_assert_int_ge(mine, 0);
        ck_assert_int_eq(reservation_lock(path, 30 * USEC_PER_MSEC), -EAGAIN);
        mine = safe_close(mine);
        mine = reservation_lock(path, 0);
        ck_assert_int_ge(mine, 0);
}
END_TEST

START_TEST(a_missing_file_is_an_empty_list) {
        _cleanup_free_ Reservation *list = NULL;
        size_t n = 5;

        ck_assert_int_eq(reservation_load(path, NOW, &list, &n, NULL), 0);
        ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(what_is_no_file_of_ours_is_refused) {
        _cleanup_free_ char *large = calloc(1, 2 * MIB);
        Reservation *list = NULL;
        bool damaged = false;
        size_t n;

        ck_assert_int_eq(safe_close(reservation_lock(path, 0)), -EBADF);
        ck_assert_int_eq(symlink("/etc/passwd", path), 0);
        ck_assert_int_eq(reservation_load(path, NOW, &list, &n, NULL), -ELOOP);
        (void)unlink(path);
        ck_assert_int_eq(mkfifo(path, 0600), 0);
        ck_assert_int_eq(reservation_load(path, NOW, &list, &n, NULL), -EBADF);
        (void)unlink(path);
        memset(large, 'x', 2 * MIB);
        write_text(large, 2 * MIB);
        ck_assert_int_eq(reservation_load(path, NOW, &list, &n, NULL), -EFBIG);
        ck_assert_ptr_null(list);
        /* NUL bytes, as a crash leaves them: cut there. */
        write_text(MAGIC "\0\0\0" GOOD, sizeof(MAGIC GOOD) + 2);
        ck_assert_int_eq(reservation_load(path, NOW, &list, &n, &damaged), 0);
        ck_assert_uint_eq(n, 0);
        free(list);
}
END_TEST

/* The next answer begins a good file, whatever was there. */
START_TEST(a_damaged_file_is_replaced) {
        _cleanup_free_ Reservation *list = NULL;
        bool damaged;
        size_t n;

        ck_assert_int_eq(safe_close(reservation_lock(path, 0)), -EBADF);
        write_text("garbage\n" GOOD, strlen("garbage\n" GOOD));
        ck_assert_int_eq(add(3), 0);
        ck_assert_int_eq(reservation_load(path, NOW, &list, &n, &damaged), 0);
        ck_assert(!damaged && n == 1 && idset_contains(&list[0].nodes, 3));
}
END_TEST

int main(void) {
        Suite *suite = suite_create("reservation");
        TCase *values = tcase_create("values"), *files = tcase_create("file");
        SRunner *runner;
        int failed;

        tcase_add_loop_test(values, what_is_not_understood_is_left_out, 0, (int)ELEMENTSOF(parse_rows));
        tcase_add_test(values, records_read_back_to_the_same);
        tcase_add_test(values, the_oldest_go_when_there_are_too_many);
        tcase_add_test(values, garbage_is_survived);
        tcase_add_loop_test(values, a_guest_that_is_there_fulfils_its_advice, 0, (int)ELEMENTSOF(settle_rows));
        tcase_add_test(values, each_guest_fulfils_one);
        tcase_add_checked_fixture(files, setup, teardown);
        tcase_set_timeout(files, 120);
        tcase_add_test(files, no_record_is_lost_when_many_advise_at_once);
        tcase_add_test(files, a_lock_that_others_keep_is_not_waited_for_forever);
        tcase_add_test(files, a_missing_file_is_an_empty_list);
        tcase_add_test(files, what_is_no_file_of_ours_is_refused);
        tcase_add_test(files, a_damaged_file_is_replaced);
        suite_add_tcase(suite, values);
        suite_add_tcase(suite, files);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
