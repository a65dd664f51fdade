/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Times of the wall clock as users write them. No time zone is known here. */

#include "snapshot.h"

/* "2026-11-23 22:30" or "2026-11-23 22:30:00", from 1970 on; the weekday is worked out. -EINVAL. */
int local_time_parse(const char *text, LocalTime *ret);

/* Seconds since 1970-01-01 00:00:00, as if every day had 24 hours. */
uint64_t local_time_sec(const LocalTime *t);
