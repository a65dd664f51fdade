/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../../lib/sysfs.h"

#include "tree.h"

static const struct {
        const char *name, *text, *key;
        int want;
        uint64_t value;
} key_rows[] = {
        { "kB multiplies", "MemTotal:  100 kB\nMemFree:  7 kB\n", "MemFree", 0, 7 * 1024 },
        { "no unit", "pgfault 42\npgmajfault 3\n", "pgmajfault", 0, 3 },
        { "the key must be whole, not a beginning", "MemFreeX: 1 kB\nMemFree: 2 kB\n", "MemFree", 0, 2048 },
        { "the key must be whole, not an end", "SwapCached: 1 kB\nCached: 2 kB\n", "Cached", 0, 2048 },
        { "one key begins another, which comes first", "numa_hint_faults_local 5\nnuma_hint_faults 6\n", "numa_hint_faults", 0, 6 },
        { "the key repeats itself", "aab 1\nab 2\n", "ab", 0, 2 },
        { "not within a line", "MemTotal: 1 kB MemFree: 2 kB\nMemFree: 3 kB\n", "MemFree", 0, 3072 },
        { "not within a line behind a node", "Node 3 MemTotal: 1 kB MemFree: 2 kB\n", "MemFree", -ENODATA, 0 },
        { "node prefix", "Node 3 MemTotal: 9 kB\nNode 3 MemFree:     5 kB\n", "MemFree", 0, 5120 },
        { "brackets in keys", "Active: 1 kB\nActive(anon): 2 kB\n", "Active(anon)", 0, 2048 },
        { "missing", "MemTotal: 1 kB\n", "MemFree", -ENODATA, 0 },
        { "empty text", "", "MemFree", -ENODATA, 0 },
        { "cut off behind the key", "MemTotal: 1 kB\nMemFree:", "MemFree", -EBADMSG, 0 },
        { "cut off in the key", "MemTotal: 1 kB\nMemFr", "MemFree", -ENODATA, 0 },
        { "no final newline", "MemFree: 4 kB", "MemFree", 0, 4096 },
        { "words", "MemFree: many kB\n", "MemFree", -EBADMSG, 0 },
        { "negative", "MemFree: -4 kB\n", "MemFree", -EBADMSG, 0 },
        { "trailing garbage", "MemFree: 4 kB and more\n", "MemFree", -EBADMSG, 0 },
        { "another unit", "MemFree: 4 MB\n", "MemFree", -EBADMSG, 0 },
        { "too large for 64 bits", "MemFree: 99999999999999999999\n", "MemFree", -ERANGE, 0 },
        { "too large in bytes", "MemFree: 18446744073709551615 kB\n", "MemFree", -ERANGE, 0 },
};

START_TEST(finds_keys) {
        uint64_t v = 12345;

        ck_assert_msg(sysfs_find_key(key_rows[_i].text, key_rows[_i].key, &v) == key_rows[_i].want, "%s",
                      key_rows[_i].name);
        ck_assert_msg(v == (key_rows[_i].want < 0 ? 12345 : key_rows[_i].value), "%s", key_rows[_i].name);
}
END_TEST

static const struct {
        const char *text, *want;
} word_rows[] = {
        { "always [madvise] never\n", "madvise" },
        { "[none] scan-time\n", "none" },
        { "always defer [defer+madvise] madvise never", "defer+madvise" },
        { "none\n", "" },
        { "[unclosed\n", "" },
        { "]backwards[\n", "" },
        { "[a-word-that-is-too-long-for-it]\n", "" },
        { "", "" },
};

START_TEST(picks_the_selected_word) {
        char word[16] = "untouched";

        sysfs_selected_word(word_rows[_i].text, word, sizeof(word));
        ck_assert_str_eq(word, word_rows[_i].want);
}
END_TEST

START_TEST(reads_whole_files_of_any_size) {
        static const size_t sizes[] = { 0, 1, 126, 127, 128, 129, 4095, 4096, 4097, 300000 };
        _cleanup_tree_ Tree t = tree_new();
        SysfsFile f;

        ck_assert_int_eq(sysfs_file_init(&f, "big"), 0);
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                _cleanup_free_ char *want = malloc(sizes[i] + 1), *once = NULL;
                const char *kept;
                size_t size;

                for (size_t k = 0; k < sizes[i]; k++)
                        want[k] = (char)('a' + k % 26);
                want[sizes[i]] = '\0';
                tree_write(&t, "big", want);
                ck_assert_int_eq(sysfs_read(t.fd, "big", &once, &size), 0);
                ck_assert_uint_eq(size, sizes[i]);
                ck_assert(streq(once, want));
                ck_assert_int_eq(sysfs_file_read(&f, t.fd, &kept), 0);
                ck_assert(streq(kept, want));
        }
        sysfs_file_trim(&f);
        sysfs_file_done(&f);
}
END_TEST

START_TEST(reads_no_more_than_the_head) {
        static const size_t sizes[] = { 1, 4, 5, 6, 4096 };
        _cleanup_tree_ Tree t = tree_new();

        tree_write(&t, "five", "abcde");
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                _cleanup_free_ char *head = NULL;

                ck_assert_int_eq(sysfs_read_head(t.fd, "five", sizes[i], &head), 0);
                ck_assert_uint_eq(strlen(head), MIN(sizes[i], (size_t)5));
                ck_assert(strncmp("abcde", head, strlen(head)) == 0);
        }
}
END_TEST

START_TEST(a_head_that_cannot_be_read_is_an_error) {
        _cleanup_tree_ Tree t = tree_new();
        char *head = NULL;

        ck_assert_int_eq(sysfs_read_head(t.fd, "absent", 16, &head), -ENOENT);
        ck_assert_int_eq(sysfs_read_head(t.fd, "/absolute", 16, &head), -EINVAL);
        ck_assert_ptr_null(head);
}
END_TEST

/* seq_file hands out a page at a time: a reader that takes one read for the whole loses the rest. */
START_TEST(reads_proc_files_longer_than_a_page) {
        _cleanup_free_ char *whole = NULL;
        _cleanup_close_ int root = sysfs_open_root("/");
        size_t size, from_stdio = 0;
        FILE *f = fopen("/proc/kallsyms", "re");
        char buf[4096];

        if (!f || fgetc(f) == EOF)
                return;
        rewind(f);
        while (fread(buf, 1, sizeof(buf), f) == sizeof(buf))
                from_stdio += sizeof(buf);
        (void)fclose(f);
        ck_assert_int_eq(sysfs_read(root, "proc/kallsyms", &whole, &size), 0);
        ck_assert_uint_ge(size, from_stdio);
}
END_TEST

/* Longer than the buffer is at first; and without a newline at its end. */
START_TEST(one_line_is_read_whole) {
        _cleanup_tree_ Tree t = tree_new();
        char line[1001], got[1001];
        const char *text = NULL;
        SysfsFile f;

        memset(line, 'x', sizeof(line) - 1);
        line[sizeof(line) - 1] = '\0';
        tree_write(&t, "line", line);
        ck_assert_int_eq(sysfs_file_init(&f, "line"), 0);
        ck_assert_int_eq(sysfs_file_read_line(&f, t.fd, &text), 0);
        ck_assert_str_eq(text, line);
        memcpy(got, line, sizeof(got));
        got[sizeof(got) - 2] = '\n';
        tree_write(&t, "line", got);
        ck_assert_int_eq(sysfs_file_read_line(&f, t.fd, &text), 0);
        ck_assert_str_eq(text, got);
        sysfs_file_done(&f);
}
END_TEST

START_TEST(refuses_to_leave_the_root) {
        _cleanup_close_ int root = sysfs_open_root("/");
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(sysfs_read(root, "/proc/meminfo", &text, NULL), -EINVAL);
        ck_assert_int_eq(sysfs_read(root, "", &text, NULL), -EINVAL);
        ck_assert_int_eq(sysfs_write(root, "/tmp/x", "1"), -EINVAL);
        ck_assert_int_eq(sysfs_open_root("/proc/meminfo"), -ENOTDIR);
        ck_assert_int_eq(sysfs_open_root("/does/not/exist"), -ENOENT);
}
END_TEST

START_TEST(kept_file_answers_after_it_is_unlinked) {
        _cleanup_tree_ Tree t = tree_new();
        SysfsFile f;
        uint64_t v;

        ck_assert_int_eq(sysfs_file_init(&f, "a/number"), 0);
        ck_assert_int_eq(sysfs_file_read_u64(&f, t.fd, &v), -ENOENT);
        tree_write(&t, "a/number", "7\n");
        ck_assert_int_eq(sysfs_file_read_u64(&f, t.fd, &v), 0);
        tree_write(&t, "a/number", "1234\n");
        ck_assert_int_eq(sysfs_file_read_u64(&f, t.fd, &v), 0);
        ck_assert_uint_eq(v, 1234);
        tree_remove(&t, "a/number");
        v = 0;
        ck_assert_int_eq(sysfs_file_read_u64(&f, t.fd, &v), 0);
        ck_assert_uint_eq(v, 1234);
        sysfs_file_done(&f);
}
END_TEST

START_TEST(absent_optional_file_is_not_opened_again) {
        _cleanup_tree_ Tree t = tree_new();
        SysfsFile f, g;
        uint64_t v;

        ck_assert_int_eq(sysfs_file_init(&f, "number"), 0);
        ck_assert_int_eq(sysfs_file_init(&g, "number"), 0);
        ck_assert_int_eq(sysfs_file_read_optional_u64(&f, t.fd, &v), -ENOENT);
        tree_write(&t, "number", "7\n");
        ck_assert_int_eq(sysfs_file_read_optional_u64(&f, t.fd, &v), -ENOENT);
        ck_assert_int_eq(sysfs_file_read_optional_u64(&g, t.fd, &v), 0);
        ck_assert_uint_eq(v, 7);
        sysfs_file_done(&f);
        sysfs_file_done(&g);
}
END_TEST

START_TEST(zeroed_file_closes_no_descriptor) {
        SysfsFile f = { 0 };

        sysfs_file_done(&f);
        ck_assert_int_ge(fcntl(0, F_GETFD), 0);
}
END_TEST

START_TEST(numbers_must_be_numbers) {
        static const struct {
                const char *text;
                int want_u64, want_i64;
        } rows[] = {
                { "12\n", 0, 0 },          { "-12\n", -EBADMSG, 0 },  { "", -EBADMSG, -EBADMSG },
                { "12 13\n", -EBADMSG, -EBADMSG }, { "max\n", -EBADMSG, -EBADMSG },
                { "18446744073709551615\n", 0, -EBADMSG }, { "18446744073709551616\n", -EBADMSG, -EBADMSG },
        };
        _cleanup_tree_ Tree t = tree_new();
        uint64_t u;
        int64_t i;

        for (size_t k = 0; k < ELEMENTSOF(rows); k++) {
                tree_write(&t, "n", rows[k].text);
                ck_assert_int_eq(sysfs_read_u64(t.fd, "n", &u), rows[k].want_u64);
                ck_assert_int_eq(sysfs_read_i64(t.fd, "n", &i), rows[k].want_i64);
        }
        ck_assert_int_eq(sysfs_read_u64(t.fd, "none", &u), -ENOENT);
}
END_TEST

START_TEST(writes_replace_and_never_create) {
        _cleanup_tree_ Tree t = tree_new();
        uint64_t v;

        ck_assert_int_eq(sysfs_write(t.fd, "n", "1"), -ENOENT);
        tree_write(&t, "n", "123456\n");
        ck_assert_int_eq(sysfs_write_u64(t.fd, "n", 7), 0);
        ck_assert_int_eq(sysfs_read_u64(t.fd, "n", &v), 0);
        ck_assert_uint_eq(v, 7);
        ck_assert_int_eq(sysfs_write_u64(t.fd, "n", UINT64_MAX), 0);
        ck_assert_int_eq(sysfs_read_u64(t.fd, "n", &v), 0);
        ck_assert_uint_eq(v, UINT64_MAX);
}
END_TEST

START_TEST(failed_write_is_an_error) {
        _cleanup_close_ int root = sysfs_open_root("/");

        ck_assert_int_eq(sysfs_write(root, "dev/full", "1"), -ENOSPC);
}
END_TEST

START_TEST(lists_numbered_entries_in_order) {
        _cleanup_tree_ Tree t = tree_new();
        _cleanup_free_ uint64_t *n = NULL;
        size_t count = 99;

        ck_assert_int_eq(sysfs_list_numbers(t.fd, "d", "", "", &n, &count), -ENOENT);
        tree_write(&t, "d/hugepages-1048576kB/x", "");
        tree_write(&t, "d/hugepages-64kB/x", "");
        tree_write(&t, "d/hugepages-2048kB/x", "");
        tree_write(&t, "d/hugepages-kB/x", "");
        tree_write(&t, "d/hugepages-12", "");
        tree_write(&t, "d/7", "");
        ck_assert_int_eq(sysfs_list_numbers(t.fd, "d", "hugepages-", "kB", &n, &count), 0);
        ck_assert_uint_eq(count, 3);
        ck_assert_uint_eq(n[0], 64);
        ck_assert_uint_eq(n[1], 2048);
        ck_assert_uint_eq(n[2], 1048576);
}
END_TEST

int main(void) {
        Suite *s = suite_create("sysfs");
        TCase *c = tcase_create("all");
        SRunner *runner;
        int failed;

        suite_add_tcase(s, c);
        tcase_add_loop_test(c, finds_keys, 0, (int)ELEMENTSOF(key_rows));
        tcase_add_loop_test(c, picks_the_selected_word, 0, (int)ELEMENTSOF(word_rows));
        tcase_add_test(c, reads_whole_files_of_any_size);
        tcase_add_test(c, reads_no_more_than_the_head);
        tcase_add_test(c, a_head_that_cannot_be_read_is_an_error);
        tcase_add_test(c, reads_proc_files_longer_than_a_page);
        tcase_add_test(c, one_line_is_read_whole);
        tcase_add_test(c, refuses_to_leave_the_root);
        tcase_add_test(c, kept_file_answers_after_it_is_unlinked);
        tcase_add_test(c, absent_optional_file_is_not_opened_again);
        tcase_add_test(c, zeroed_file_closes_no_descriptor);
        tcase_add_test(c, numbers_must_be_numbers);
        tcase_add_test(c, writes_replace_and_never_create);
        tcase_add_test(c, failed_write_is_an_error);
        tcase_add_test(c, lists_numbered_entries_in_order);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
