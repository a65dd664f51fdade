/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Schedules: windows of the local day on some weekdays.
 *
 *     schedules = schedule *( ";" schedule )
 *     schedule  = days / windows / days 1*SP windows
 *     days      = range *( "," range )           range  = day [ ".." day ]
 *     windows   = window *( "," window )         window = time "-" time
 *     day       = "Mon" / "Tue" / "Wed" / "Thu" / "Fri" / "Sat" / "Sun", in any case
 *     time      = 1*2DIGIT ":" 2DIGIT            00:00 to 23:59; as an end also 24:00
 *
 * White space is allowed around every separator. A range of days may wrap
 * ("Fri..Mon"). A window whose end is before its start crosses midnight; the
 * weekday is that of its start, so "Fri 22:00-06:00" holds on Saturday at
 * 05:59 and not on Friday at 05:59. Without days: every day. Without windows:
 * from 00:00 to 24:00.
 */

#include "rules.h"

#include <ctype.h>
#include <strings.h>

#define MINUTES_PER_DAY 1440U
#define SECONDS_PER_DAY 86400U
#define EVERY_DAY 0x7fU

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

static int append(uint8_t weekdays, unsigned start, unsigned end, Schedule **schedules, size_t *n, size_t *capacity) {
        int r;

        r = GROW_ARRAY(*schedules, *capacity, *n);
        if (r < 0)
                return r;
        (*schedules)[(*n)++] = (Schedule){
                .weekdays = weekdays,
                .start_minute = start,
                .end_minute = end,
                .whole_day = start == 0 && end == MINUTES_PER_DAY,
        };
        return 0;
}

static int parse_one(const char **p, Schedule **schedules, size_t *n, size_t *capacity) {
        unsigned start, end;
        uint8_t weekdays = EVERY_DAY;
        int r;

        if (isalpha((unsigned char)**p)) {
                const char *after_days;

                r = parse_days(p, &weekdays);
                if (r < 0)
                        return r;
                after_days = *p;
                skip_space(p);
                if (!**p || **p == ';')
                        return append(weekdays, 0, MINUTES_PER_DAY, schedules, n, capacity);
                if (*p == after_days)
                        return -EINVAL;
        }
        do {
                r = parse_window(p, &start, &end);
                if (r < 0)
                        return r;
                r = append(weekdays, start, end, schedules, n, capacity);
                if (r < 0)
                        return r;
        } while (take(p, ","));
        return 0;
}

static int parse_all(const char *p, Schedule **schedules, size_t *n, size_t *capacity) {
        int r;

        skip_space(&p);
        do {
                r = parse_one(&p, schedules, n, capacity);
                if (r < 0)
                        return r;
        } while (take(&p, ";"));
        skip_space(&p);
        return *p ? -EINVAL : 0;
}

int schedule_parse(const char *text, Schedule **schedules, size_t *n, size_t *capacity) {
        size_t n_before = *n;
        int r;

        r = parse_all(text, schedules, n, capacity);
        if (r < 0)
                *n = n_before;
        return r;
}

static bool starts_on(const Schedule *schedule, int weekday) {
        return schedule->weekdays >> weekday & 1;
}

bool schedule_matches(const Schedule *schedule, const LocalTime *t) {
        unsigned now;

        if (t->weekday < 0 || t->weekday > 6 || t->hour < 0 || t->minute < 0)
                return false;
        if (schedule->whole_day)
                return starts_on(schedule, t->weekday);
        now = (unsigned)t->hour * 60 + (unsigned)t->minute;
        if (schedule->start_minute < schedule->end_minute)
                return starts_on(schedule, t->weekday) && now >= schedule->start_minute &&
                       now < schedule->end_minute;
        if (now >= schedule->start_minute)
                return starts_on(schedule, t->weekday);
        return now < schedule->end_minute && starts_on(schedule, (t->weekday + 6) % 7);
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
