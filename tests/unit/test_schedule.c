/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "../../lib/rules.h"

#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <time.h>

#define MON 0x01
#define TUE 0x02
#define WED 0x04
#define THU 0x08
#define FRI 0x10
#define SAT 0x20
#define SUN 0x40
#define ALL 0x7f
#define WORK (MON | TUE | WED | THU | FRI)
#define MINUTES_PER_WEEK (7 * 1440)

typedef struct Schedules {
        Schedule *list;
        size_t n, capacity;
} Schedules;

static void schedules_done(Schedules *s) {
        free(s->list);
}

#define _cleanup_schedules_ _cleanup_(schedules_done)

static int parse(Schedules *s, const char *text) {
        return schedule_parse(text, &s->list, &s->n, &s->capacity);
}

static bool any_matches(const Schedules *s, const LocalTime *t) {
        for (size_t i = 0; i < s->n; i++)
                if (schedule_matches(&s->list[i], t))
                        return true;
        return false;
}

/* Through the rules, as the daemon asks. */
static unsigned next_edge_sec(const Schedules *s, const LocalTime *t) {
        Condition when = { .type = CONDITION_SCHEDULE, .schedules = s->list, .n_schedules = s->n };
        Rule rule = { .when = &when };
        Config config = { .rules = &rule, .n_rules = 1 };

        return rules_next_edge_sec(&config, t);
}

static LocalTime from_tm(const struct tm *tm) {
        return (LocalTime){
                .year = tm->tm_year + 1900,
                .month = tm->tm_mon + 1,
                .day = tm->tm_mday,
                .hour = tm->tm_hour,
                .minute = tm->tm_min,
                .second = tm->tm_sec,
                .weekday = (tm->tm_wday + 6) % 7,
        };
}

/* Each ck_assert() is a write(2) to the runner: inner loops test by hand. */
static LocalTime utc_time(time_t t) {
        struct tm tm;

        if (!gmtime_r(&t, &tm))
                ck_abort_msg("no such time");
        return from_tm(&tm);
}

static LocalTime zone_time(time_t t) {
        struct tm tm;

        if (!localtime_r(&t, &tm))
                ck_abort_msg("no such time");
        return from_tm(&tm);
}

static time_t utc_of(int year, int month, int day, int hour, int minute, int second) {
        struct tm tm = {
                .tm_year = year - 1900,
                .tm_mon = month - 1,
                .tm_mday = day,
                .tm_hour = hour,
                .tm_min = minute,
                .tm_sec = second,
        };

        return timegm(&tm);
}

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

int main(void) {
        Suite *suite = suite_create("schedule");
        TCase *tc = tcase_create("schedule");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 120);
        tcase_add_loop_test(tc, schedules_are_read, 0, (int)ELEMENTSOF(good_rows));
        tcase_add_loop_test(tc, what_is_no_schedule_is_refused_and_appends_nothing, 0, (int)ELEMENTSOF(bad_rows));
        tcase_add_test(tc, a_fault_behind_good_schedules_appends_none_of_them);
        tcase_add_test(tc, random_text_is_refused_or_gives_sane_windows);
        tcase_add_loop_test(tc, dates_hold_on_their_days, 0, ELEMENTSOF(date_rows));
        tcase_add_loop_test(tc, every_day_of_some_years_is_as_the_calendar_says, 0, 6);
        tcase_add_test(tc, dates_none_of_which_is_the_weekday_never_hold);
        tcase_add_loop_test(tc, windows_hold_from_their_start_to_before_their_end, 0, (int)ELEMENTSOF(match_rows));
        tcase_add_loop_test(tc, random_schedules_hold_in_exactly_their_minutes, 0, 4);
        tcase_add_loop_test(tc, no_edge_is_skipped_in_eight_days, 0, 4);
        tcase_add_loop_test(tc, the_nearest_edge_or_quarter_hour_is_next, 0, (int)ELEMENTSOF(edge_rows));
        tcase_add_loop_test(tc, sleeping_to_the_next_edge_is_right_across_dst, 0, (int)ELEMENTSOF(zone_rows));
        tcase_add_loop_test(tc, windows_follow_the_wall_clock_across_dst, 0, (int)ELEMENTSOF(dst_rows));
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
