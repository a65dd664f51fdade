/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "local_time.h"

#include "parse.h"

static bool is_leap(int year) {
        return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in_month(int year, int month) {
        static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

        return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Sakamoto's method; 0 = Monday. */
static int weekday_of(int year, int month, int day) {
        static const int shift[] = { 0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4 };

        if (month < 3)
                year--;
        return (year + year / 4 - year / 100 + year / 400 + shift[month - 1] + day + 6) % 7;
}

/* Exactly @digits digits and then @end at *@p. */
static int time_part(const char **p, size_t digits, char end, int minimum, int maximum, int *ret) {
        const char *s = *p;
        unsigned v;

        if (parse_unsigned_prefix(&s, &v) < 0 || (size_t)(s - *p) != digits || *s != end)
                return -EINVAL;
        if ((int)v < minimum || (int)v > maximum)
                return -ERANGE;
        *p = end ? s + 1 : s;
        *ret = (int)v;
        return 0;
}

int local_time_parse(const char *p, LocalTime *ret) {
        LocalTime t = { 0 };

        if (time_part(&p, 4, '-', 1970, 9999, &t.year) < 0 || time_part(&p, 2, '-', 1, 12, &t.month) < 0 ||
            time_part(&p, 2, ' ', 1, days_in_month(t.year, t.month), &t.day) < 0 ||
            time_part(&p, 2, ':', 0, 23, &t.hour) < 0)
                return -EINVAL;
        if (strlen(p) == 2) {
                if (time_part(&p, 2, 0, 0, 59, &t.minute) < 0)
                        return -EINVAL;
        } else if (time_part(&p, 2, ':', 0, 59, &t.minute) < 0 || time_part(&p, 2, 0, 0, 60, &t.second) < 0)
                return -EINVAL;
        t.weekday = weekday_of(t.year, t.month, t.day);
        *ret = t;
        return 0;
}

/* Days since 1970-01-01, with years that begin in March: Howard Hinnant's days_from_civil. */
static int64_t days_of(const LocalTime *t) {
        int64_t year = t->month <= 2 ? t->year - 1 : t->year, era = year / 400, of_era = year % 400;
        int64_t day_of_year = (153 * (t->month > 2 ? t->month - 3 : t->month + 9) + 2) / 5 + t->day - 1;

        return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719468;
}

uint64_t local_time_sec(const LocalTime *t) {
        return (uint64_t)days_of(t) * 86400 + (uint64_t)(t->hour * 3600 + t->minute * 60 + t->second);
}
