/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Schedules: each minute of a week, the next edge, and changes of summer time. */
#include "schedule_util.h"

static uint64_t next_random(uint64_t *state) {
        *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return *state >> 33;
}

static unsigned below(uint64_t *rng, unsigned n) {
        return (unsigned)next_random(rng) % n;
}

/* A random schedule as text, and in @table, minute by minute of the week, what the text means. */
static char *random_schedule(uint64_t *rng, bool table[static MINUTES_PER_WEEK]) {
        static const char *const names[] = { "Mon", "tue", "WED", "Thu", "fRi", "Sat", "Sun" };
        char *text = NULL;

        ck_assert_int_eq(strdup_to(&text, ""), 0);
        memset(table, 0, MINUTES_PER_WEEK);
        for (unsigned part = 0, parts = 1 + below(rng, 3); part < parts; part++) {
                unsigned ranges = below(rng, 4), windows = below(rng, 3);
                bool days[7] = { false };

                if (part > 0)
                        ck_assert_int_eq(strprintf_to(&text, "%s%s", text, below(rng, 2) ? ";" : " ; "), 0);
                for (unsigned i = 0; i < ranges; i++) {
                        unsigned from = below(rng, 7), length = below(rng, 4);

                        for (unsigned d = 0; d <= length; d++)
                                days[(from + d) % 7] = true;
                        ck_assert_int_eq(strprintf_to(&text, "%s%s%s%s%s", text, i ? "," : "", names[from],
                                                      length ? ".." : "", length ? names[(from + length) % 7] : ""),
                                         0);
                }
                if (ranges == 0) {
                        memset(days, true, sizeof(days));
                        windows = MAX(windows, 1U);
                }
                for (unsigned i = 0; i < windows; i++) {
                        bool odd = below(rng, 3) == 0;
                        unsigned start = odd ? below(rng, 1440) : below(rng, 48) * 30;
                        unsigned length = 1 + below(rng, odd ? 1439 : 47) * (odd ? 1 : 30);
                        unsigned end = (start + length) % 1440;

                        if (end == 0 && start + length == 1440 && below(rng, 2))
                                end = 1440;
                        if (start == end)
                                end = (end + 1) % 1440, length = 1;
                        for (unsigned d = 0; d < 7; d++)
                                for (unsigned m = 0; days[d] && m < length; m++)
                                        table[(d * 1440 + start + m) % MINUTES_PER_WEEK] = true;
                        ck_assert_int_eq(strprintf_to(&text, "%s%s%02u:%02u-%02u:%02u", text,
                                                      i ? "," : ranges ? " " : "", start / 60, start % 60,
                                                      end / 60, end % 60),
                                         0);
                }
                for (unsigned m = 0; windows == 0 && m < MINUTES_PER_WEEK; m++)
                        table[m] = table[m] || days[m / 1440];
        }
        return text;
}

static bool in_table(const bool *table, const LocalTime *t) {
        return table[t->weekday * 1440 + t->hour * 60 + t->minute];
}

/* Starts so that eight days cross: nothing special, the end of a year, 29 February, a February without. */
static time_t interesting_start(int i) {
        switch (i % 4) {
        case 0:
                return utc_of(2026, 6, 10, 0, 0, 0);
        case 1:
                return utc_of(2026, 12, 28, 0, 0, 0);
        case 2:
                return utc_of(2028, 2, 26, 0, 0, 0);
        default:
                return utc_of(2027, 2, 25, 0, 0, 0);
        }
}

START_TEST(random_schedules_hold_in_exactly_their_minutes) {
        uint64_t rng = (uint64_t)_i;
        time_t start = interesting_start(_i);

        for (unsigned round = 0; round < 25; round++) {
                bool table[MINUTES_PER_WEEK];
                _cleanup_schedules_ Schedules s = { 0 };
                _cleanup_free_ char *text = random_schedule(&rng, table);

                ck_assert_msg(parse(&s, text) == 0, "\"%s\" is refused", text);
                for (unsigned minute = 0; minute < 8 * 1440; minute++) {
                        LocalTime t = utc_time(start + minute * 60 + (time_t)below(&rng, 60));

                        if (any_matches(&s, &t) != in_table(table, &t))
                                ck_abort_msg("\"%s\" on weekday %d at %02d:%02d:%02d", text, t.weekday, t.hour,
                                             t.minute, t.second);
                }
        }
}
END_TEST

/* What holds now must hold until the next edge, second by second. */
START_TEST(no_edge_is_skipped_in_eight_days) {
        uint64_t rng = (uint64_t)_i + 50;
        time_t start = interesting_start(_i);

        for (unsigned round = 0; round < 4; round++) {
                bool table[MINUTES_PER_WEEK];
                _cleanup_schedules_ Schedules s = { 0 };
                _cleanup_free_ char *text = random_schedule(&rng, table);
                time_t now = start + (time_t)below(&rng, 86400), end = now + 8 * 86400;

                ck_assert_int_eq(parse(&s, text), 0);
                while (now < end) {
                        LocalTime t = utc_time(now);
                        unsigned sec = next_edge_sec(&s, &t);
                        bool holds = in_table(table, &t);

                        if (sec == 0 || sec > 900)
                                ck_abort_msg("\"%s\": %u seconds", text, sec);
                        for (unsigned i = 0; i < sec; i++) {
                                LocalTime u = utc_time(now + (time_t)i);

                                if (in_table(table, &u) != holds)
                                        ck_abort_msg("\"%s\": at %02d:%02d:%02d no word of the edge at %02d:%02d",
                                                     text, t.hour, t.minute, t.second, u.hour, u.minute);
                        }
                        now += (time_t)sec;
                        /* Sometimes the caller comes for another reason before. */
                        if (below(&rng, 4) == 0)
                                now -= (time_t)below(&rng, sec);
                }
        }
}
END_TEST

static const struct {
        const char *text;
        int hour, minute, second;
        unsigned want;
} edge_rows[] = {
        { "22:07-06:00", 22, 6, 59, 1 },
        { "22:07-06:00", 22, 7, 0, 480 },       /* the quarter hour, not the edge that is now */
        { "22:07-06:00", 22, 0, 0, 420 },
        { "22:07-22:09", 22, 7, 30, 90 },
        { "22:00-06:00", 12, 0, 0, 900 },
        { "22:00-24:00", 23, 59, 59, 1 },
        { "00:01-22:00", 23, 50, 0, 600 },
        { "00:01-22:00", 0, 0, 0, 60 },
        { "Sat", 23, 59, 0, 60 },
        { "Sat", 23, 59, 60, 1 },
        { "08:02-09:00;08:01-10:00", 8, 0, 0, 60 },
};

START_TEST(the_nearest_edge_or_quarter_hour_is_next) {
        _cleanup_schedules_ Schedules s = { 0 };
        LocalTime t = { .hour = edge_rows[_i].hour, .minute = edge_rows[_i].minute, .second = edge_rows[_i].second };

        ck_assert_int_eq(parse(&s, edge_rows[_i].text), 0);
        ck_assert_uint_eq(next_edge_sec(&s, &t), edge_rows[_i].want);
}
END_TEST

/* POSIX zones need no zone files. The days are around a change of each. */
static const struct {
        const char *zone;
        int year, month, day;
} zone_rows[] = {
        { "CET-1CEST,M3.5.0,M10.5.0/3", 2026, 3, 28 },
        { "CET-1CEST,M3.5.0,M10.5.0/3", 2026, 10, 24 },
        { "EST5EDT,M3.2.0,M11.1.0", 2026, 3, 7 },
        { "EST5EDT,M3.2.0,M11.1.0", 2026, 10, 31 },
        { "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 2026, 4, 4 },                  /* Lord Howe: half an hour */
        { "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 2026, 10, 3 },
        { "<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45", 2026, 4, 4 },          /* Chatham: at 02:45 */
        { "<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45", 2026, 9, 26 },
        { "EET-2EEST,M3.5.0/0,M10.5.0/0", 2026, 3, 28 },                         /* Beirut: at midnight */
        { "EET-2EEST,M3.5.0/0,M10.5.0/0", 2026, 10, 24 },
};

/* One who sleeps as long as told, in real seconds, never holds a wrong view of the schedule. */
START_TEST(sleeping_to_the_next_edge_is_right_across_dst) {
        uint64_t rng = (uint64_t)_i + 7;
        time_t start = utc_of(zone_rows[_i].year, zone_rows[_i].month, zone_rows[_i].day, 0, 0, 0) - 86400;
        unsigned changes = 0;

        ck_assert_int_eq(setenv("TZ", zone_rows[_i].zone, 1), 0);
        tzset();
        for (unsigned round = 0; round < 25; round++) {
                bool table[MINUTES_PER_WEEK];
                _cleanup_schedules_ Schedules s = { 0 };
                _cleanup_free_ char *text = random_schedule(&rng, table);
                time_t wake = 0, begin = start + (time_t)below(&rng, 3600);
                bool view = false;

                ck_assert_int_eq(parse(&s, text), 0);
                for (time_t now = begin; now < begin + 4 * 86400; now++) {
                        LocalTime t;

                        if (now >= wake) {
                                t = zone_time(now);
                                changes += view != any_matches(&s, &t);
                                view = any_matches(&s, &t);
                                wake = now + (time_t)next_edge_sec(&s, &t);
                        } else if (now % 60 == 0) {
                                t = zone_time(now);
                                if (view != in_table(table, &t))
                                        ck_abort_msg("%s: \"%s\" on weekday %d at %02d:%02d", zone_rows[_i].zone,
                                                     text, t.weekday, t.hour, t.minute);
                        }
                }
        }
        ck_assert_uint_gt(changes, 50);
}
END_TEST

/* Berlin, 29 March 2026, 02:00 to 03:00 is left out; 25 October 2026, 02:00 to 03:00 comes twice. */
static const struct {
        const char *text;
        int month, day;
        unsigned minutes;
} dst_rows[] = {
        { "02:15-02:45", 3, 29, 0 },
        { "02:30-03:30", 3, 29, 30 },
        { "Sat 22:00-06:00", 3, 29, 360 - 60 },
        { "02:15-02:45", 10, 25, 60 },
        { "02:30-03:30", 10, 25, 90 },
        { "Sun", 10, 25, 25 * 60 },
        { "Sun", 3, 29, 23 * 60 },
};

START_TEST(windows_follow_the_wall_clock_across_dst) {
        _cleanup_schedules_ Schedules s = { 0 };
        time_t noon = utc_of(2026, dst_rows[_i].month, dst_rows[_i].day, 12, 0, 0);
        unsigned minutes = 0;

        ck_assert_int_eq(setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1), 0);
        tzset();
        ck_assert_int_eq(parse(&s, dst_rows[_i].text), 0);
        for (time_t now = noon - 86400; now < noon + 86400; now += 60) {
                LocalTime t = zone_time(now);

                if (t.day == dst_rows[_i].day)
                        minutes += any_matches(&s, &t);
        }
        ck_assert_uint_eq(minutes, dst_rows[_i].minutes);
}
END_TEST

static void add_tests(TCase *c) {
        tcase_add_loop_test(c, random_schedules_hold_in_exactly_their_minutes, 0, 4);
        tcase_add_loop_test(c, no_edge_is_skipped_in_eight_days, 0, 4);
        tcase_add_loop_test(c, the_nearest_edge_or_quarter_hour_is_next, 0, (int)ELEMENTSOF(edge_rows));
        tcase_add_loop_test(c, sleeping_to_the_next_edge_is_right_across_dst, 0, (int)ELEMENTSOF(zone_rows));
        tcase_add_loop_test(c, windows_follow_the_wall_clock_across_dst, 0, (int)ELEMENTSOF(dst_rows));
}

int main(void) {
        Suite *s = suite_create("schedule_edges");
        TCase *c = tcase_create("edges");
        SRunner *runner;
        int failed;

        tcase_set_timeout(c, 120);
        add_tests(c);
        suite_add_tcase(s, c);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
