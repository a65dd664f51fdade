/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "../../lib/parse.h"

#include <check.h>

#define UNTOUCHED UINT64_C(0x5a5a5a5a5a5a5a5a)

typedef int (*ReadFunction)(const char *text, uint64_t *ret);
typedef int (*WriteFunction)(uint64_t value, char **ret);

typedef struct ReadRow {
        ReadFunction read;
        const char *text;
        int r;
        uint64_t want;
} ReadRow;

static const ReadRow read_rows[] = {
        { parse_u64, "0", 0, 0 },
        { parse_u64, " 42\n", 0, 42 },
        { parse_u64, "010", 0, 10 },
        { parse_u64, "18446744073709551615", 0, UINT64_MAX },
        { parse_u64, "00018446744073709551615", 0, UINT64_MAX },
        { parse_u64, "18446744073709551616", -ERANGE, 0 },
        { parse_u64, "18446744073709551620", -ERANGE, 0 },
        { parse_u64, "99999999999999999999", -ERANGE, 0 },
        { parse_u64, "184467440737095516150", -ERANGE, 0 },
        { parse_u64, "", -EINVAL, 0 },
        { parse_u64, " ", -EINVAL, 0 },
        { parse_u64, "-1", -EINVAL, 0 },
        { parse_u64, "+1", -EINVAL, 0 },
        { parse_u64, "0x10", -EINVAL, 0 },
        { parse_u64, "1e3", -EINVAL, 0 },
        { parse_u64, "1.0", -EINVAL, 0 },
        { parse_u64, "1 2", -EINVAL, 0 },
        { parse_u64, "1,000", -EINVAL, 0 },
        { parse_u64, "\xd9\xa1", -EINVAL, 0 },

        { parse_size, "512 MiB", 0, 512 * MIB },
        { parse_size, "512MiB", 0, 512 * MIB },
        { parse_size, "  512  MiB  ", 0, 512 * MIB },
        { parse_size, "1.5 GiB", 0, 3 * GIB / 2 },
        { parse_size, "0.5 KiB", 0, 512 },
        { parse_size, "4096 B", 0, 4096 },
        { parse_size, "1 TiB", 0, 1024 * GIB },
        { parse_size, "1 PiB", 0, 1024 * 1024 * GIB },
        { parse_size, "16383 PiB", 0, UINT64_C(16383) << 50 },
        { parse_size, "16383.999999 PiB", 0, (UINT64_C(16383) << 50) + UINT64_C(1125898780942717) },
        { parse_size, "18014398509481983 KiB", 0, UINT64_MAX - 1023 },
        { parse_size, "18014398509481983.999999 KiB", 0, UINT64_MAX },
        { parse_size, "18446744073709551615 B", 0, UINT64_MAX },
        { parse_size, "1 kB", 0, 1000 },
        { parse_size, "2.5 MB", 0, 2500000 },
        { parse_size, "3 GB", 0, UINT64_C(3000000000) },
        { parse_size, "1 TB", 0, UINT64_C(1000000000000) },
        { parse_size, "1 PB", 0, UINT64_C(1000000000000000) },
        { parse_size, "18446 PB", 0, UINT64_C(18446000000000000000) },
        { parse_size, "0", 0, 0 },
        { parse_size, " 0 ", 0, 0 },
        { parse_size, "0.0", 0, 0 },
        { parse_size, "0 B", 0, 0 },
        { parse_size, "0.000001 MiB", 0, 1 },
        { parse_size, "16384 PiB", -ERANGE, 0 },
        { parse_size, "18014398509481984 KiB", -ERANGE, 0 },
        { parse_size, "18447 PB", -ERANGE, 0 },
        { parse_size, "99999999999999999999 B", -ERANGE, 0 },
        { parse_size, "", -EINVAL, 0 },
        { parse_size, "512", -EINVAL, 0 },
        { parse_size, "0.5", -EINVAL, 0 },
        { parse_size, "MiB", -EINVAL, 0 },
        { parse_size, ".5 MiB", -EINVAL, 0 },
        { parse_size, "1. MiB", -EINVAL, 0 },
        { parse_size, "1.2.3 MiB", -EINVAL, 0 },
        { parse_size, "1,5 MiB", -EINVAL, 0 },
        { parse_size, "1.1234567 MiB", -EINVAL, 0 },
        { parse_size, "0.1 B", -EINVAL, 0 },
        { parse_size, "0.000001 KiB", -EINVAL, 0 },
        { parse_size, "-1 MiB", -EINVAL, 0 },
        { parse_size, "+1 MiB", -EINVAL, 0 },
        { parse_size, "1 mib", -EINVAL, 0 },
        { parse_size, "1 M", -EINVAL, 0 },
        { parse_size, "1 KB", -EINVAL, 0 },
        { parse_size, "1 MiBs", -EINVAL, 0 },
        { parse_size, "1 MiB/s", -EINVAL, 0 },
        { parse_size, "1 MiB 5", -EINVAL, 0 },
        { parse_size, "1 MiB5", -EINVAL, 0 },
        { parse_size, "1 %", -EINVAL, 0 },
        { parse_size, "0 x", -EINVAL, 0 },
        { parse_size, "0x10 B", -EINVAL, 0 },
        { parse_size, "inf B", -EINVAL, 0 },

        { parse_rate, "256 MiB/s", 0, 256 * MIB },
        { parse_rate, "256 MiB / s", -EINVAL, 0 },
        { parse_rate, "256 MiB /s", 0, 256 * MIB },
        { parse_rate, "0/s", 0, 0 },
        { parse_rate, "256 MiB", -EINVAL, 0 },
        { parse_rate, "256 MiB/sec", -EINVAL, 0 },
        { parse_rate, "256 MiB/min", -EINVAL, 0 },
        { parse_rate, "/s", -EINVAL, 0 },

        { parse_duration, "10 s", 0, 10 * USEC_PER_SEC },
        { parse_duration, "1.5 min", 0, 90 * USEC_PER_SEC },
        { parse_duration, "250 ms", 0, 250 * USEC_PER_MSEC },
        { parse_duration, "7us", 0, 7 },
        { parse_duration, "2 h", 0, 2 * USEC_PER_HOUR },
        { parse_duration, "1 d", 0, USEC_PER_DAY },
        { parse_duration, "0.000001 s", 0, 1 },
        { parse_duration, "0", 0, 0 },
        { parse_duration, "213503982 d", 0, UINT64_C(213503982) * USEC_PER_DAY },
        { parse_duration, "213503983 d", -ERANGE, 0 },
        { parse_duration, "0.1 us", -EINVAL, 0 },
        { parse_duration, "10", -EINVAL, 0 },
        { parse_duration, "1 m", -EINVAL, 0 },
        { parse_duration, "1 sec", -EINVAL, 0 },
        { parse_duration, "1 S", -EINVAL, 0 },
        { parse_duration, "1 min 30 s", -EINVAL, 0 },
        { parse_duration, "1min30s", -EINVAL, 0 },
        { parse_duration, "1 B", -EINVAL, 0 },

        { parse_permyriad, "15 %", 0, 1500 },
        { parse_permyriad, "15%", 0, 1500 },
        { parse_permyriad, "0.25 %", 0, 25 },
        { parse_permyriad, "99.99 %", 0, 9999 },
        { parse_permyriad, "100 %", 0, PERMYRIAD_FULL },
        { parse_permyriad, "250 %", 0, 25000 },
        { parse_permyriad, "0", 0, 0 },
        { parse_permyriad, "0 %", 0, 0 },
        { parse_permyriad, "184467440737095516.15 %", 0, UINT64_MAX },
        { parse_permyriad, "184467440737095516.16 %", -ERANGE, 0 },
        { parse_permyriad, "184467440737095517 %", -ERANGE, 0 },
        { parse_permyriad, "0.001 %", -EINVAL, 0 },
        { parse_permyriad, "15", -EINVAL, 0 },
        { parse_permyriad, "%", -EINVAL, 0 },
        { parse_permyriad, "15 %%", -EINVAL, 0 },
        { parse_permyriad, "15 %5", -EINVAL, 0 },
        { parse_permyriad, "15 percent", -EINVAL, 0 },
        { parse_permyriad, "-1 %", -EINVAL, 0 },
};

START_TEST(quantities_are_read_strictly) {
        const ReadRow *row = &read_rows[_i];
        uint64_t v = UNTOUCHED;
        int r = row->read(row->text, &v);

        ck_assert_msg(r == row->r, "\"%s\" gave %d", row->text, r);
        ck_assert_msg(v == (r < 0 ? UNTOUCHED : row->want), "\"%s\" read as %llu", row->text, (unsigned long long)v);
}
END_TEST

static const struct {
        const char *text;
        int r;
        int64_t want;
} signed_rows[] = {
        { "0", 0, 0 },
        { "-0", 0, 0 },
        { "-5\n", 0, -5 },
        { " 17 ", 0, 17 },
        { "9223372036854775807", 0, INT64_MAX },
        { "-9223372036854775807", 0, -INT64_MAX },
        { "-9223372036854775808", 0, INT64_MIN },
        { "9223372036854775808", -ERANGE, 0 },
        { "-9223372036854775809", -ERANGE, 0 },
        { "-18446744073709551615", -ERANGE, 0 },
        { "-", -EINVAL, 0 },
        { "--5", -EINVAL, 0 },
        { "- 5", -EINVAL, 0 },
        { "-+5", -EINVAL, 0 },
        { "", -EINVAL, 0 },
        { "5-", -EINVAL, 0 },
};

START_TEST(signed_numbers_reach_both_ends) {
        int64_t v = 4711;
        int r = parse_i64(signed_rows[_i].text, &v);

        ck_assert_msg(r == signed_rows[_i].r, "\"%s\" gave %d", signed_rows[_i].text, r);
        ck_assert_int_eq(v, r < 0 ? 4711 : signed_rows[_i].want);
}
END_TEST

START_TEST(unsigned_numbers_end_at_32_bits) {
        const char *p = "4294967295,", *start = p;
        unsigned v = 4711;

        ck_assert_int_eq(parse_unsigned("4294967295", &v), 0);
        ck_assert_uint_eq(v, UINT32_MAX);
        ck_assert_int_eq(parse_unsigned("4294967296", &v), -ERANGE);
        ck_assert_int_eq(parse_unsigned("-1", &v), -EINVAL);
        ck_assert_uint_eq(v, UINT32_MAX);

        ck_assert_int_eq(parse_unsigned_prefix(&p, &v), 0);
        ck_assert_ptr_eq(p, start + 10);
        ck_assert_int_eq(parse_unsigned_prefix(&p, &v), -EINVAL);
        ck_assert_ptr_eq(p, start + 10);
        p = start = "4294967296";
        ck_assert_int_eq(parse_unsigned_prefix(&p, &v), -ERANGE);
        ck_assert_ptr_eq(p, start);
        p = start = " 1";
        ck_assert_int_eq(parse_unsigned_prefix(&p, &v), -EINVAL);
        ck_assert_ptr_eq(p, start);
}
END_TEST

static const struct {
        WriteFunction write;
        ReadFunction read;
        uint64_t value;
        const char *want;
} write_rows[] = {
        { format_size, parse_size, 0, "0 B" },
        { format_size, parse_size, 1, "1 B" },
        { format_size, parse_size, 1023, "1023 B" },
        { format_size, parse_size, KIB, "1 KiB" },
        { format_size, parse_size, 3 * GIB / 2, "1536 MiB" },
        { format_size, parse_size, GIB + 1, "1073741825 B" },
        { format_size, parse_size, 1024 * GIB, "1 TiB" },
        { format_size, parse_size, UINT64_C(16383) << 50, "16383 PiB" },
        { format_size, parse_size, UINT64_MAX - 1023, "18014398509481983 KiB" },
        { format_size, parse_size, UINT64_MAX, "18446744073709551615 B" },
        { format_duration, parse_duration, 0, "0 us" },
        { format_duration, parse_duration, 90 * USEC_PER_SEC, "90 s" },
        { format_duration, parse_duration, USEC_PER_DAY, "1 d" },
        { format_duration, parse_duration, 36 * USEC_PER_HOUR, "36 h" },
        { format_duration, parse_duration, 1500, "1500 us" },
        { format_duration, parse_duration, UINT64_MAX, "18446744073709551615 us" },
        { format_permyriad, parse_permyriad, 0, "0 %" },
        { format_permyriad, parse_permyriad, 1, "0.01 %" },
        { format_permyriad, parse_permyriad, 10, "0.1 %" },
        { format_permyriad, parse_permyriad, 1205, "12.05 %" },
        { format_permyriad, parse_permyriad, 1250, "12.5 %" },
        { format_permyriad, parse_permyriad, PERMYRIAD_FULL, "100 %" },
        { format_permyriad, parse_permyriad, UINT64_MAX, "184467440737095516.15 %" },
};

START_TEST(written_quantities_are_short_and_read_back) {
        _cleanup_free_ char *text = NULL;
        uint64_t v;

        ck_assert_int_eq(write_rows[_i].write(write_rows[_i].value, &text), 0);
        ck_assert_str_eq(text, write_rows[_i].want);
        ck_assert_int_eq(write_rows[_i].read(text, &v), 0);
        ck_assert_uint_eq(v, write_rows[_i].value);
}
END_TEST

static const struct {
        WriteFunction write;
        ReadFunction read;
} pairs[] = {
        { format_size, parse_size },
        { format_duration, parse_duration },
        { format_permyriad, parse_permyriad },
};

START_TEST(every_value_survives_writing_and_reading) {
        uint64_t rng = 7;

        for (unsigned i = 0; i < 20000; i++) {
                _cleanup_free_ char *text = NULL;
                uint64_t value, v;

                rng = rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                /* All magnitudes, with runs of zero bits at both ends: every unit gets its turn. */
                value = rng >> (i % 64) << (rng % 64);
                ck_assert_int_eq(pairs[_i].write(value, &text), 0);
                ck_assert_msg(pairs[_i].read(text, &v) == 0 && v == value, "%llu as \"%s\"",
                              (unsigned long long)value, text);
        }
}
END_TEST

/* Nothing of this alphabet may crash a reader or be read beyond its end (ASan), or change *ret on failure. */
START_TEST(random_text_never_reads_beyond_its_end) {
        static const ReadFunction readers[] = { parse_u64, parse_size, parse_rate, parse_duration, parse_permyriad };
        static const char alphabet[] = "0123456789..  %/sMiBKGTPkmhdu-+e\n\xff";
        uint64_t rng = 99;

        for (unsigned round = 0; round < 20000; round++) {
                size_t n;
                _cleanup_free_ char *text = NULL;

                rng = rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                n = (size_t)(rng >> 40) % 12;
                text = malloc(n + 1);
                ck_assert_ptr_nonnull(text);
                for (size_t i = 0; i < n; i++) {
                        rng = rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                        text[i] = alphabet[(size_t)(rng >> 40) % (sizeof(alphabet) - 1)];
                }
                text[n] = 0;
                for (size_t i = 0; i < ELEMENTSOF(readers); i++) {
                        uint64_t v = UNTOUCHED;
                        int r = readers[i](text, &v);

                        ck_assert(r == 0 || r == -EINVAL || r == -ERANGE);
                        ck_assert(r == 0 || v == UNTOUCHED);
                }
        }
}
END_TEST

static const struct {
        uint64_t bytes;
        const char *want;
} short_rows[] = {
        { 0, "0 B" },
        { 1, "1 B" },
        { 1023, "1023 B" },
        { 1024, "1 KiB" },
        { 1536, "1.5 KiB" },
        { 2047, "1.9 KiB" },
        { 10 * KIB + 900, "10 KiB" },
        { GIB - 1, "1023 MiB" },
        { 3 * GIB / 2, "1.5 GiB" },
        { 768 * GIB, "768 GiB" },
        { UINT64_MAX, "16383 PiB" },
};

START_TEST(short_sizes_are_rounded_down) {
        char buf[FORMAT_BYTES_MAX];

        ck_assert_ptr_eq(format_bytes_short(short_rows[_i].bytes, buf), buf);
        ck_assert_str_eq(buf, short_rows[_i].want);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("parse");
        TCase *tc = tcase_create("parse");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 60);
        tcase_add_loop_test(tc, quantities_are_read_strictly, 0, (int)ELEMENTSOF(read_rows));
        tcase_add_loop_test(tc, signed_numbers_reach_both_ends, 0, (int)ELEMENTSOF(signed_rows));
        tcase_add_test(tc, unsigned_numbers_end_at_32_bits);
        tcase_add_loop_test(tc, written_quantities_are_short_and_read_back, 0, (int)ELEMENTSOF(write_rows));
        tcase_add_loop_test(tc, every_value_survives_writing_and_reading, 0, (int)ELEMENTSOF(pairs));
        tcase_add_test(tc, random_text_never_reads_beyond_its_end);
        tcase_add_loop_test(tc, short_sizes_are_rounded_down, 0, (int)ELEMENTSOF(short_rows));
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
