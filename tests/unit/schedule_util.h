/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Schedules as text, and the local time of an instant, by the C library. */

#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <time.h>

#include "../../lib/rules.h"

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

static inline _unused_ void schedules_done(Schedules *s) {
        free(s->list);
}

#define _cleanup_schedules_ _cleanup_(schedules_done)

static inline _unused_ int parse(Schedules *s, const char *text) {
        return schedule_parse(text, &s->list, &s->n, &s->capacity);
}

static inline _unused_ bool any_matches(const Schedules *s, const LocalTime *t) {
        for (size_t i = 0; i < s->n; i++)
                if (schedule_matches(&s->list[i], t))
                        return true;
        return false;
}

/* Through the rules, as the daemon asks. */
static inline _unused_ unsigned next_edge_sec(const Schedules *s, const LocalTime *t) {
        Condition when = { .type = CONDITION_SCHEDULE, .schedules = s->list, .n_schedules = s->n };
        Rule rule = { .when = &when };
        Config config = { .rules = &rule, .n_rules = 1 };

        return rules_next_edge_sec(&config, t);
}

static inline _unused_ LocalTime from_tm(const struct tm *tm) {
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
static inline _unused_ LocalTime utc_time(time_t t) {
        struct tm tm;

        if (!gmtime_r(&t, &tm))
                ck_abort_msg("no such time");
        return from_tm(&tm);
}

static inline _unused_ LocalTime zone_time(time_t t) {
        struct tm tm;

        if (!localtime_r(&t, &tm))
                ck_abort_msg("no such time");
        return from_tm(&tm);
}

static inline _unused_ time_t utc_of(int year, int month, int day, int hour, int minute, int second) {
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
