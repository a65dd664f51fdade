/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Schedules: windows of the local day on some dates and weekdays.
 *
 *     schedules = schedule *( ";" schedule )
 *     schedule  = [ dates ] [ days ] [ windows ]  at least one of them, with white space between
 *     dates     = period *( "," period )         period = date [ ".." date ]
 *     days      = range *( "," range )           range  = day [ ".." day ]
 *     windows   = window *( "," window )         window = time "-" time
 *     date      = [ 4DIGIT "-" ] 2DIGIT "-" 2DIGIT   year, month, day; without year: every year
 *     day       = "Mon" / "Tue" / "Wed" / "Thu" / "Fri" / "Sat" / "Sun", in any case
 *     time      = 1*2DIGIT ":" 2DIGIT            00:00 to 23:59; as an end also 24:00
 *
 * White space is allowed around every separator. A range of days may wrap
 * ("Fri..Mon"), and so may a period without year ("12-24..01-02"). A day must
 * be one of the dates and one of the weekdays. A window whose end is before its
 * start crosses midnight; date and weekday are those of its start, so "Fri
 * 22:00-06:00" holds on Saturday at 05:59 and not on Friday at 05:59. Without
 * dates and days: every day. Without windows: from 00:00 to 24:00.
 *
 * Both ends of a period are inside. 02-29 alone holds in leap years only; a
 * period that ends there includes the end of February in every year.
 */

#include "rules.h"

#include <ctype.h>
#include <strings.h>

#define MINUTES_PER_DAY 1440U
#define SECONDS_PER_DAY 86400U
#define EVERY_DAY 0x7fU

/* A date is year * 10000 + month * 100 + day. */
#define YEAR_FACTOR 10000U
#define MONTH_FACTOR 100U
/* The Gregorian calendar is older, computers are not. */
#define YEAR_MIN 1970U

/* Changes of the time zone's offset happen on quarter hours of the wall clock; see rules.h. */
#define EDGE_GRID_SECONDS 900U

static const char *const weekday_names[7] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };

static void skip_space(const char **p) {
        while (isspace((unsigned char)**p))
                (*p)++;
}

/* Takes @token and the white space around it; otherwise *@p stays. */
static bool take(const char **p, const char *token) {
        const char *s = *p;

        skip_space(&s);
        s = startswith(s, token);
        if (!s)
                return false;
        skip_space(&s);
        *p = s;
        return true;
}

static int parse_day(const char **p, unsigned *ret) {
        for (unsigned day = 0; day < ELEMENTSOF(weekday_names); day++)
                if (strncasecmp(*p, weekday_names[day], 3) == 0) {
                        *p += 3;
                        *ret = day;
                        return 0;
                }
        return -EINVAL;
}

static int parse_days(const char **p, uint8_t *ret_weekdays) {
        unsigned weekdays = 0, from, to;
        int r;

        do {
                r = parse_day(p, &from);
                if (r < 0)
                        return r;
                to = from;
                if (take(p, "..")) {
                        r = parse_day(p, &to);
                        if (r < 0)
                                return r;
                }
                for (unsigned day = from; day != to; day = (day + 1) % 7)
                        weekdays |= 1U << day;
                weekdays |= 1U << to;
        } while (take(p, ","));
        *ret_weekdays = (uint8_t)weekdays;
        return 0;
}

/* @min to @max digits; a further one is left for the caller to trip over. */
static int parse_digits(const char **p, unsigned min, unsigned max, unsigned *ret) {
        unsigned n, v = 0;

        for (n = 0; n < max && isdigit((unsigned char)(*p)[n]); n++)
                v = v * 10 + (unsigned)((*p)[n] - '0');
        if (n < min)
                return -EINVAL;
        *p += n;
        *ret = v;
        return 0;
}

static int parse_time(const char **p, unsigned *ret_minute) {
        unsigned hour, minute;
        int r;

        r = parse_digits(p, 1, 2, &hour);
        if (r < 0)
                return r;
        if (**p != ':')
                return -EINVAL;
        (*p)++;
        r = parse_digits(p, 2, 2, &minute);
        if (r < 0)
                return r;
        if (minute > 59 || hour * 60 + minute > MINUTES_PER_DAY)
                return -EINVAL;
        *ret_minute = hour * 60 + minute;
        return 0;
}

static int parse_window(const char **p, unsigned *ret_start, unsigned *ret_end) {
        unsigned start, end;
        int r;

        r = parse_time(p, &start);
        if (r < 0)
                return r;
        if (!take(p, "-"))
                return -EINVAL;
        r = parse_time(p, &end);
        if (r < 0)
                return r;
        if (start == end || start == MINUTES_PER_DAY)
                return -EINVAL;
        *ret_start = start;
        *ret_end = end;
        return 0;
}

/* ---- dates: numbers that sort, 1224 for every 24 December, 20261224 for one of them ---- */

static bool is_leap_year(unsigned year) {
        return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* @year 0: any, so 29 February exists. */
static unsigned days_of_month(unsigned year, unsigned month) {
        static const uint8_t days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

        return month == 2 && year > 0 && !is_leap_year(year) ? 28 : days[month - 1];
}

static unsigned date_after(unsigned date) {
        unsigned year = date / YEAR_FACTOR, month = date / MONTH_FACTOR % MONTH_FACTOR;

        if (date % MONTH_FACTOR < days_of_month(year, month))
                return date + 1;
        if (month < 12)
                return year * YEAR_FACTOR + (month + 1) * MONTH_FACTOR + 1;
        return (year + 1) * YEAR_FACTOR + MONTH_FACTOR + 1;
}

/* The digits before the next separator tell a date ("12-24") from a time ("12:24"). */
static bool is_date(const char *p) {
        size_t n = strspn(p, "0123456789");

        return n > 0 && p[n] == '-';
}

static int parse_date(const char **p, unsigned *ret) {
        unsigned year = 0, month, day;
        int r;

        if (strspn(*p, "0123456789") == 4) {
                r = parse_digits(p, 4, 4, &year);
                if (r < 0 || year < YEAR_MIN || **p != '-')
                        return -EINVAL;
                (*p)++;
        }
        r = parse_digits(p, 2, 2, &month);
        if (r < 0 || **p != '-')
                return -EINVAL;
        (*p)++;
        r = parse_digits(p, 2, 2, &day);
        if (r < 0 || month < 1 || month > 12 || day < 1 || day > days_of_month(year, month))
                return -EINVAL;
        *ret = year * YEAR_FACTOR + month * MONTH_FACTOR + day;
        return 0;
}

static bool is_yearly(unsigned date) {
        return date < YEAR_FACTOR;
}

static int parse_period(const char **p, Schedule *ret) {
        unsigned from, to;
        int r;

        r = parse_date(p, &from);
        if (r < 0)
                return r;
        to = from;
        if (take(p, "..")) {
                r = parse_date(p, &to);
                if (r < 0)
                        return r;
        }
        if (is_yearly(from) != is_yearly(to) || (!is_yearly(from) && from > to))
                return -EINVAL;
        ret->from_date = from;
        ret->to_date = to;
        return 0;
}

/* ---- one schedule: every period with every window ---- */

typedef struct ScheduleList {
        Schedule *list;
        size_t n, capacity;
} ScheduleList;

static void schedule_list_done(ScheduleList *l) {
        free(l->list);
}

static int list_add(ScheduleList *l, const Schedule *s) {
        int r;

        r = GROW_ARRAY(l->list, l->capacity, l->n);
        if (r < 0)
                return r;
        l->list[l->n++] = *s;
        return 0;
}

static int parse_dates(const char **p, ScheduleList *periods) {
        Schedule period = { 0 };
        int r;

        if (!is_date(*p))
                return list_add(periods, &period);
        do {
                r = parse_period(p, &period);
                if (r >= 0)
                        r = list_add(periods, &period);
                if (r < 0)
                        return r;
        } while (take(p, ","));
        return 0;
}

/*
 * Behind the part that began at @begin: skips the white space that must follow
 * it, unless the schedule ends (1). 0, or -EINVAL.
 */
static int end_part(const char **p, const char *begin) {
        const char *end = *p;

        skip_space(p);
        if (!**p || **p == ';')
                return 1;
        return *p == end && end != begin ? -EINVAL : 0;
}

static int append_window(const ScheduleList *periods, uint8_t weekdays, unsigned start, unsigned end,
                         ScheduleList *list) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < periods->n; i++) {
                Schedule s = periods->list[i];

                s.weekdays = weekdays;
                s.start_minute = start;
                s.end_minute = end;
                s.whole_day = start == 0 && end == MINUTES_PER_DAY;
                r = list_add(list, &s);
        }
        return r;
}

static int parse_windows(const char **p, const ScheduleList *periods, uint8_t weekdays, ScheduleList *list) {
        unsigned start, end;
        int r;

        do {
                r = parse_window(p, &start, &end);
                if (r >= 0)
                        r = append_window(periods, weekdays, start, end, list);
        } while (r >= 0 && take(p, ","));
        return r;
}

static int parse_one(const char **p, ScheduleList *list) {
        _cleanup_(schedule_list_done) ScheduleList periods = { 0 };
        const char *begin = *p, *days;
        uint8_t weekdays = EVERY_DAY;
        int r;

        r = parse_dates(p, &periods);
        if (r < 0)
                return r;
        r = end_part(p, begin);
        if (r > 0 && *p == begin)
                return -EINVAL;
        days = *p;
        if (r == 0 && isalpha((unsigned char)*days)) {
                r = parse_days(p, &weekdays);
                if (r >= 0)
                        r = end_part(p, days);
        }
        if (r < 0)
                return r;
        if (r > 0)
                return append_window(&periods, weekdays, 0, MINUTES_PER_DAY, list);
        return parse_windows(p, &periods, weekdays, list);
}

static int parse_all(const char *p, ScheduleList *list) {
        int r;

        skip_space(&p);
        do {
                r = parse_one(&p, list);
                if (r < 0)
                        return r;
        } while (take(&p, ";"));
        skip_space(&p);
        return *p ? -EINVAL : 0;
}

int schedule_parse(const char *text, Schedule **schedules, size_t *n, size_t *capacity) {
        ScheduleList list = { *schedules, *n, *capacity };
        int r;

        r = parse_all(text, &list);
        if (r >= 0)
                *n = list.n;
        *schedules = list.list;
        *capacity = list.capacity;
        return r;
}

/* Monday is 0. Sakamoto's method: days since a Sunday, with years that begin in March. */
static unsigned weekday_of(unsigned date) {
        static const uint8_t offsets[] = { 0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4 };
        unsigned month = date / MONTH_FACTOR % MONTH_FACTOR, day = date % MONTH_FACTOR;
        unsigned year = date / YEAR_FACTOR - (month < 3);

        return (year + year / 4 - year / 100 + year / 400 + offsets[month - 1] + day + 6) % 7;
}

bool schedule_never_holds(const Schedule *schedule) {
        unsigned date = schedule->from_date, weekday;

        if (is_yearly(date))
                return false;
        weekday = weekday_of(date);
        for (unsigned n = 0; n < 7; n++, weekday = (weekday + 1) % 7) {
                if (schedule->weekdays >> weekday & 1)
                        return false;
                if (date == schedule->to_date)
                        return true;
                date = date_after(date);
        }
        return true;
}

static bool is_dated(const Schedule *schedule, unsigned year, unsigned month, unsigned day) {
        unsigned from = schedule->from_date, to = schedule->to_date, date = month * MONTH_FACTOR + day;

        if (from == 0)
                return true;
        if (!is_yearly(from))
                date += year * YEAR_FACTOR;
        return from <= to ? date >= from && date <= to : date >= from || date <= to;
}

/* Whether windows may start on the day of @t. */
static bool starts_today(const Schedule *schedule, const LocalTime *t) {
        return schedule->weekdays >> t->weekday & 1 &&
               is_dated(schedule, (unsigned)t->year, (unsigned)t->month, (unsigned)t->day);
}

static bool started_yesterday(const Schedule *schedule, const LocalTime *t) {
        unsigned year = (unsigned)t->year, month = (unsigned)t->month, day = (unsigned)t->day;

        if (!(schedule->weekdays >> (t->weekday + 6) % 7 & 1))
                return false;
        if (day > 1)
                return is_dated(schedule, year, month, day - 1);
        year -= month <= 1;
        month = month <= 1 ? 12 : month - 1;
        return is_dated(schedule, year, month, days_of_month(MAX(year, 1U), month));
}

bool schedule_matches(const Schedule *schedule, const LocalTime *t) {
        unsigned now;

        if (t->weekday < 0 || t->weekday > 6 || t->hour < 0 || t->minute < 0)
                return false;
        if (schedule->whole_day)
                return starts_today(schedule, t);
        now = (unsigned)t->hour * 60 + (unsigned)t->minute;
        if (schedule->start_minute < schedule->end_minute)
                return now >= schedule->start_minute && now < schedule->end_minute && starts_today(schedule, t);
        if (now >= schedule->start_minute)
                return starts_today(schedule, t);
        return now < schedule->end_minute && started_yesterday(schedule, t);
}

/* From second @now of a day to the next time it is @minute; a whole day when it is now. */
static unsigned seconds_until(unsigned minute, unsigned now) {
        unsigned at = minute * 60;

        return at > now ? at - now : at + SECONDS_PER_DAY - now;
}

unsigned schedule_next_edge_sec(const Schedule *schedule, const LocalTime *t) {
        /* A leap second is read as the second before it: the answer is then one second late. */
        unsigned now = (unsigned)(t->hour * 3600 + t->minute * 60 + MIN(t->second, 59));
        unsigned grid = EDGE_GRID_SECONDS - now % EDGE_GRID_SECONDS;
        unsigned start = seconds_until(schedule->start_minute, now);
        unsigned end = seconds_until(schedule->end_minute, now);

        return MIN(grid, MIN(start, end));
}
