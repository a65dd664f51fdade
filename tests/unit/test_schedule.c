/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Schedules: what is read, refused, and holds when. */
#include "schedule_util.h"

static const struct {
        const char *text;
        size_t n;
        Schedule want[5];
} good_rows[] = {
        { "Mon..Fri 22:00-06:00", 1, { { WORK, 1320, 360, false, 0, 0 } } },
        { "Sat,Sun", 1, { { SAT | SUN, 0, 1440, true, 0, 0 } } },
        { "08:00-12:00,13:00-17:00", 2, { { ALL, 480, 720, false, 0, 0 }, { ALL, 780, 1020, false, 0, 0 } } },
        { "Mon,Wed..Fri 08:00-12:00,13:00-17:00",
          2,
          { { MON | WED | THU | FRI, 480, 720, false, 0, 0 }, { MON | WED | THU | FRI, 780, 1020, false, 0, 0 } } },
        { "Fri..Mon", 1, { { FRI | SAT | SUN | MON, 0, 1440, true, 0, 0 } } },
        { "Sun..Mon 01:00-02:00", 1, { { SUN | MON, 60, 120, false, 0, 0 } } },
        { "Tue..Tue", 1, { { TUE, 0, 1440, true, 0, 0 } } },
        { "Tue..Mon", 1, { { ALL, 0, 1440, true, 0, 0 } } },
        { "Mon,Mon..Tue,Tue", 1, { { MON | TUE, 0, 1440, true, 0, 0 } } },
        { "00:00-24:00", 1, { { ALL, 0, 1440, true, 0, 0 } } },
        { "18:00-24:00", 1, { { ALL, 1080, 1440, false, 0, 0 } } },
        { "22:00-00:00", 1, { { ALL, 1320, 0, false, 0, 0 } } },
        { "23:59-00:00", 1, { { ALL, 1439, 0, false, 0, 0 } } },
        { "00:01-00:00", 1, { { ALL, 1, 0, false, 0, 0 } } },
        { "8:00-9:30", 1, { { ALL, 480, 570, false, 0, 0 } } },
        { "mon..FRI 8:00-9:00", 1, { { WORK, 480, 540, false, 0, 0 } } },
        { "  Sat , Sun  ", 1, { { SAT | SUN, 0, 1440, true, 0, 0 } } },
        { "Mon .. Fri  08:00 - 12:00 , 13:00 - 17:00 ",
          2,
          { { WORK, 480, 720, false, 0, 0 }, { WORK, 780, 1020, false, 0, 0 } } },
        { "Mon\t08:00-09:00\n", 1, { { MON, 480, 540, false, 0, 0 } } },
        { "Sat,Sun;Mon..Fri 22:00-06:00",
          2,
          { { SAT | SUN, 0, 1440, true, 0, 0 }, { WORK, 1320, 360, false, 0, 0 } } },
        { "01:00-02:00 ; Sun ; Mon 03:00-04:00,05:00-06:00",
          4,
          { { ALL, 60, 120, false, 0, 0 },
            { SUN, 0, 1440, true, 0, 0 },
            { MON, 180, 240, false, 0, 0 },
            { MON, 300, 360, false, 0, 0 } } },
        { "12-24", 1, { { ALL, 0, 1440, true, 1224, 1224 } } },
        { "02-29", 1, { { ALL, 0, 1440, true, 229, 229 } } },
        { "12-24..01-02", 1, { { ALL, 0, 1440, true, 1224, 102 } } },
        { "2026-11-27", 1, { { ALL, 0, 1440, true, 20261127, 20261127 } } },
        { "2028-02-29 .. 2028-03-01 Sat 10:00-11:00", 1, { { SAT, 600, 660, false, 20280229, 20280301 } } },
        { "05-01,10-03 , 2027-12-24 Mon..Fri 22:00-06:00",
          3,
          { { WORK, 1320, 360, false, 501, 501 },
            { WORK, 1320, 360, false, 1003, 1003 },
            { WORK, 1320, 360, false, 20271224, 20271224 } } },
        { "01-01,05-01 08:00-09:00,10:00-11:00;Sun",
          5,
          { { ALL, 480, 540, false, 101, 101 },
            { ALL, 480, 540, false, 501, 501 },
            { ALL, 600, 660, false, 101, 101 },
            { ALL, 600, 660, false, 501, 501 },
            { SUN, 0, 1440, true, 0, 0 } } },
};

START_TEST(schedules_are_read) {
        _cleanup_schedules_ Schedules s = { 0 };

        ck_assert_msg(parse(&s, good_rows[_i].text) == 0, "\"%s\" is refused", good_rows[_i].text);
        ck_assert_uint_eq(s.n, good_rows[_i].n);
        for (size_t i = 0; i < s.n; i++) {
                const Schedule *got = &s.list[i], *want = &good_rows[_i].want[i];

                ck_assert_msg(got->weekdays == want->weekdays && got->start_minute == want->start_minute &&
                                      got->end_minute == want->end_minute && got->whole_day == want->whole_day &&
                                      got->from_date == want->from_date && got->to_date == want->to_date,
                              "\"%s\"[%zu]: days %02x, %u-%u, %d", good_rows[_i].text, i, got->weekdays,
                              got->start_minute, got->end_minute, got->whole_day);
        }
}
END_TEST

static const char *const bad_rows[] = {
        "",
        " ",
        ";",
        "Sat;",
        ";Sat",
        "Sat;;Sun",
        "Sat Sun",
        "Sat,",
        ",Sat",
        "Mon..",
        "..Fri",
        "Mon..Fri..Sun",
        "Mon-Fri",
        "Mon.Fri",
        "Mon...Fri",
        "Montag",
        "Monday",
        "MonTue",
        "Monday 08:00-09:00",
        "Mo",
        "M",
        "Foo",
        "daily",
        "*",
        "Mon..Fri 22:00",
        "Mon..Fri22:00-06:00",
        "Mon 22:00-06:00 Tue",
        "Mon 22:00-06:00,Tue",
        "Mon,22:00-06:00",
        "22:00-06:00 Mon",
        "22:00",
        "22:00-",
        "-06:00",
        "22:00--06:00",
        "22:00-06:00,",
        "22:00-06:00-07:00",
        "22:00..06:00",
        "08:00-08:00",
        "00:00-00:00",
        "24:00-24:00",
        "24:00-06:00",
        "08:00-24:01",
        "08:00-25:00",
        "23:60-24:00",
        "08:60-09:30",
        "08:00-08:60",
        "08:00-9:0000",
        "8-9",
        "8:0-9:0",
        "008:00-09:00",
        "08:000-09:00",
        "08:00:00-09:00:00",
        "08 :00-09:00",
        "-8:00-09:00",
        "+8:00-09:00",
        "0x8:00-09:00",
        "4294967304:00-09:00",
        "08:00am-09:00pm",
        "08:00-09:00 x",
        "08:00-09:00x",
        "\xd9\xa1\xd9\xa2:00-13:00",
        "2026-12",
        "12-24-2026",
        "24-12",
        "00-10",
        "02-30",
        "04-31",
        "2026-02-29",
        "2100-02-29",
        "1969-12-31",
        "2026-12-24-1",
        "12-24..",
        "12-24..2026-12-26",
        "2026-12-26..2026-12-24",
        "12-24..12-26..12-28",
        "12-24,",
        "12-24,Mon",
        "12-24 12-26",
        "12-24Mon",
        "12-2408:00-09:00",
        "Mon 12-24",
        "08:00-09:00 12-24",
        "12-24,08:00-09:00",
        "26-12-24",
        "2-29",
        "02-3",
        "0002-003",
        "2028-3-1",
        "20280-03-01",
        "12-24..2026",
        "12/24",
};

START_TEST(what_is_no_schedule_is_refused_and_appends_nothing) {
        _cleanup_schedules_ Schedules s = { 0 };

        ck_assert_int_eq(parse(&s, "Sun 01:00-02:00"), 0);
        ck_assert_msg(parse(&s, bad_rows[_i]) == -EINVAL, "\"%s\" is accepted", bad_rows[_i]);
        ck_assert_uint_eq(s.n, 1);
        ck_assert_uint_eq(s.list[0].weekdays, SUN);
}
END_TEST

START_TEST(a_fault_behind_good_schedules_appends_none_of_them) {
        _cleanup_schedules_ Schedules s = { 0 };

        ck_assert_int_eq(parse(&s, "Sun;Mon 01:00-02:00,03:00-04:00;Tue 05:00"), -EINVAL);
        ck_assert_uint_eq(s.n, 0);
        ck_assert_int_eq(parse(&s, "Sun"), 0);
        ck_assert_uint_eq(s.n, 1);
        ck_assert_int_eq(parse(&s, "Mon"), 0);
        ck_assert_uint_eq(s.n, 2);
}
END_TEST

/* Everything of the grammar's alphabet: no crash, nothing read beyond the end (ASan), sane values when accepted. */
START_TEST(random_text_is_refused_or_gives_sane_windows) {
        static const char *const parts[] = { "Mon", "Fri", "Sun", "..", ",", ";", " ", "-", "08:00", "24:00",
                                             "1:30", "0", ":", "x", ".", "22:00-06:00", "12-24",
                                             "2028-02-29", "02-30" };
        uint64_t rng = 5;
        unsigned accepted = 0;

        for (unsigned round = 0; round < 10000; round++) {
                _cleanup_schedules_ Schedules s = { 0 };
                _cleanup_free_ char *text = NULL;

                ck_assert_int_eq(strdup_to(&text, ""), 0);
                for (unsigned i = 0; i < 1 + round % 7; i++) {
                        rng = rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                        ck_assert_int_eq(
                                strprintf_to(&text, "%s%s", text, parts[(rng >> 40) % ELEMENTSOF(parts)]), 0);
                }
                if (parse(&s, text) < 0) {
                        ck_assert_uint_eq(s.n, 0);
                        continue;
                }
                accepted++;
                ck_assert_uint_gt(s.n, 0);
                for (size_t i = 0; i < s.n; i++)
                        ck_assert_msg(s.list[i].weekdays != 0 && s.list[i].weekdays <= ALL &&
                                              s.list[i].start_minute < 1440 && s.list[i].end_minute <= 1440 &&
                                              s.list[i].start_minute != s.list[i].end_minute,
                                      "\"%s\"", text);
        }
        ck_assert_uint_gt(accepted, 200);
}
END_TEST

static const struct {
        const char *text;
        int weekday, hour, minute, second;
        bool want;
} match_rows[] = {
        { "Mon..Fri 22:00-06:00", 0, 21, 59, 59, false },
        { "Mon..Fri 22:00-06:00", 0, 22, 0, 0, true },
        { "Mon..Fri 22:00-06:00", 1, 5, 59, 59, true },
        { "Mon..Fri 22:00-06:00", 1, 6, 0, 0, false },
        { "Mon..Fri 22:00-06:00", 0, 5, 0, 0, false },  /* Sunday's would have been it */
        { "Mon..Fri 22:00-06:00", 5, 5, 0, 0, true },   /* Friday's night */
        { "Mon..Fri 22:00-06:00", 5, 22, 0, 0, false },
        { "Mon..Fri 22:00-06:00", 6, 5, 0, 0, false },
        { "Sun 22:00-06:00", 0, 5, 0, 0, true },        /* Sunday into Monday */
        { "Sun 22:00-06:00", 6, 5, 0, 0, false },
        { "Sat,Sun", 5, 0, 0, 0, true },
        { "Sat,Sun", 6, 23, 59, 59, true },
        { "Sat,Sun", 0, 0, 0, 0, false },
        { "Sat,Sun", 4, 23, 59, 59, false },
        { "08:00-12:00,13:00-17:00", 3, 12, 0, 0, false },
        { "08:00-12:00,13:00-17:00", 3, 12, 59, 59, false },
        { "08:00-12:00,13:00-17:00", 3, 13, 0, 0, true },
        { "18:00-24:00", 2, 23, 59, 59, true },
        { "18:00-24:00", 2, 0, 0, 0, false },
        { "22:00-00:00", 2, 23, 59, 59, true },
        { "22:00-00:00", 2, 0, 0, 0, false },
        { "Fri..Mon", 0, 12, 0, 0, true },
        { "Fri..Mon", 1, 12, 0, 0, false },
        { "Mon 00:01-00:00", 0, 0, 0, 59, false },
        { "Mon 00:01-00:00", 0, 0, 1, 0, true },
        { "Mon 00:01-00:00", 1, 0, 0, 0, false },
        { "Sat,Sun;Mon..Fri 22:00-06:00", 6, 12, 0, 0, true },
        { "Sat,Sun;Mon..Fri 22:00-06:00", 0, 12, 0, 0, false },
        { "18:00-24:00", 2, 23, 59, 60, true },         /* leap second */
        { "00:00-24:00", 7, 12, 0, 0, false },          /* no such day */
        { "00:00-24:00", 32, 12, 0, 0, false },         /* nor this one */
        { "00:00-24:00", -1, 12, 0, 0, false },
};

static const struct {
        const char *text;
        int year, month, day, hour, minute;
        bool want;
} date_rows[] = {
        { "12-24", 2026, 12, 24, 0, 0, true },
        { "12-24", 2031, 12, 24, 23, 59, true },
        { "12-24", 2026, 12, 25, 0, 0, false },
        { "12-24 22:00-06:00", 2026, 12, 25, 5, 59, true },     /* the date is that of the start */
        { "12-24 22:00-06:00", 2026, 12, 24, 5, 59, false },
        { "12-31 22:00-06:00", 2027, 1, 1, 5, 0, true },        /* over the new year */
        { "2026-12-31 22:00-06:00", 2027, 1, 1, 5, 0, true },
        { "2026-12-31 22:00-06:00", 2026, 1, 1, 5, 0, false },
        { "2027-01-01 22:00-06:00", 2027, 1, 1, 5, 0, false },
        { "12-24..01-02", 2026, 12, 24, 12, 0, true },
        { "12-24..01-02", 2027, 1, 2, 12, 0, true },
        { "12-24..01-02", 2027, 1, 3, 0, 0, false },
        { "12-24..01-02", 2026, 12, 23, 23, 59, false },
        { "02-29", 2028, 2, 29, 12, 0, true },
        { "02-29", 2027, 2, 28, 12, 0, false },
        { "02-29", 2027, 3, 1, 12, 0, false },
        { "02-20..02-29", 2027, 2, 28, 12, 0, true },
        { "02-20..02-29", 2027, 3, 1, 0, 0, false },
        { "02-29 22:00-06:00", 2028, 3, 1, 5, 0, true },
        { "02-28 22:00-06:00", 2028, 2, 29, 5, 0, true },
        { "02-28 22:00-06:00", 2028, 3, 1, 5, 0, false },
        { "02-28 22:00-06:00", 2027, 3, 1, 5, 0, true },
        { "02-28 22:00-06:00", 2100, 3, 1, 5, 0, true },        /* no leap year */
        { "12-24 Thu", 2026, 12, 24, 12, 0, true },             /* a Thursday */
        { "12-24 Fri", 2026, 12, 24, 12, 0, false },
        { "12-24 Fri", 2027, 12, 24, 12, 0, true },
        { "2026-12-24..2027-01-06 Mon..Fri", 2026, 12, 26, 12, 0, false },
        { "2026-12-24..2027-01-06 Mon..Fri", 2027, 1, 4, 12, 0, true },
        { "2026-12-24,2027-01-06", 2026, 12, 25, 12, 0, false },
        { "2026-12-24,2027-01-06", 2027, 1, 6, 12, 0, true },
};

START_TEST(dates_hold_on_their_days) {
        _cleanup_schedules_ Schedules s = { 0 };
        LocalTime t = utc_time(utc_of(date_rows[_i].year, date_rows[_i].month, date_rows[_i].day, date_rows[_i].hour,
                                      date_rows[_i].minute, 0));

        ck_assert_int_eq(parse(&s, date_rows[_i].text), 0);
        ck_assert_msg(any_matches(&s, &t) == date_rows[_i].want, "\"%s\" at %d-%02d-%02d %02d:%02d",
                      date_rows[_i].text, t.year, t.month, t.day, t.hour, t.minute);
}
END_TEST

/* Against the C library's calendar: each hour's window of each day of some years, by the day on which it began. */
static bool oracle(const Schedule *s, time_t t) {
        LocalTime now = utc_time(t), day = utc_time(t - (time_t)(s->end_minute * 60));
        unsigned date = (unsigned)(day.month * 100 + day.day), minute = (unsigned)(now.hour * 60 + now.minute);

        if (s->from_date >= 10000)
                date += (unsigned)day.year * 10000;
        if (minute < s->start_minute && minute >= s->end_minute)
                return false;
        if (!(s->weekdays >> day.weekday & 1))
                return false;
        return s->from_date <= s->to_date ? date >= s->from_date && date <= s->to_date
                                          : date >= s->from_date || date <= s->to_date;
}

START_TEST(every_day_of_some_years_is_as_the_calendar_says) {
        static const char *const texts[] = {
                "02-29 20:00-04:00", "12-24..01-02 20:00-04:00", "02-28..03-01 Sun 20:00-04:00",
                "2027-12-30..2028-03-01 Mon..Fri 20:00-04:00", "12-31 20:00-04:00",
                "2028-02-28..2028-02-29 20:00-04:00",
        };
        _cleanup_schedules_ Schedules s = { 0 };

        ck_assert_int_eq(parse(&s, texts[_i]), 0);
        for (time_t t = utc_of(2026, 1, 1, 0, 0, 0); t < utc_of(2034, 1, 1, 0, 0, 0); t += 4 * 3600) {
                LocalTime now = utc_time(t);

                if (schedule_matches(&s.list[0], &now) != oracle(&s.list[0], t))
                        ck_abort_msg("\"%s\" at %d-%02d-%02d %02d:00", texts[_i], now.year, now.month, now.day,
                                     now.hour);
        }
}
END_TEST

START_TEST(dates_none_of_which_is_the_weekday_never_hold) {
        for (time_t t = utc_of(2027, 1, 1, 0, 0, 0); t < utc_of(2029, 1, 1, 0, 0, 0); t += 86400)
                for (unsigned length = 0; length < 9; length++) {
                        LocalTime from = utc_time(t), to = utc_time(t + (time_t)length * 86400);
                        Schedule s = { .weekdays = (uint8_t)(t / 86400 % ALL + 1), .whole_day = true,
                                       .from_date = (unsigned)(from.year * 10000 + from.month * 100 + from.day),
                                       .to_date = (unsigned)(to.year * 10000 + to.month * 100 + to.day) };
                        bool never = true;

                        for (unsigned i = 0; i <= length; i++) {
                                LocalTime now = utc_time(t + (time_t)i * 86400);

                                never = never && !schedule_matches(&s, &now);
                        }
                        if (schedule_never_holds(&s) != never)
                                ck_abort_msg("days %02x of %u..%u", s.weekdays, s.from_date, s.to_date);
                }
}
END_TEST

START_TEST(windows_hold_from_their_start_to_before_their_end) {
        _cleanup_schedules_ Schedules s = { 0 };
        LocalTime t = {
                .weekday = match_rows[_i].weekday,
                .hour = match_rows[_i].hour,
                .minute = match_rows[_i].minute,
                .second = match_rows[_i].second,
        };

        ck_assert_int_eq(parse(&s, match_rows[_i].text), 0);
        ck_assert_int_eq(any_matches(&s, &t), match_rows[_i].want);
}
END_TEST

static void add_tests(TCase *c) {
        tcase_add_loop_test(c, schedules_are_read, 0, (int)ELEMENTSOF(good_rows));
        tcase_add_loop_test(c, what_is_no_schedule_is_refused_and_appends_nothing, 0, (int)ELEMENTSOF(bad_rows));
        tcase_add_test(c, a_fault_behind_good_schedules_appends_none_of_them);
        tcase_add_test(c, random_text_is_refused_or_gives_sane_windows);
        tcase_add_loop_test(c, dates_hold_on_their_days, 0, ELEMENTSOF(date_rows));
        tcase_add_loop_test(c, every_day_of_some_years_is_as_the_calendar_says, 0, 6);
        tcase_add_test(c, dates_none_of_which_is_the_weekday_never_hold);
        tcase_add_loop_test(c, windows_hold_from_their_start_to_before_their_end, 0, (int)ELEMENTSOF(match_rows));
}

int main(void) {
        Suite *s = suite_create("schedule");
        TCase *c = tcase_create("schedule");
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
