/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Strict readers of quantities. The whole text must be the quantity (white
 * space around it, and between number and unit, is allowed); no sign, no
 * hexadecimal, no silent overflow. All return 0, -EINVAL (malformed or
 * unit missing/unknown) or -ERANGE (too large), and leave *ret alone then.
 *
 * Numbers with a unit may have up to six digits behind a decimal point; what
 * is finer than the unit of the result is rounded down, except that a number
 * that is not 0 never reads as 0 ("0.1 B" is malformed).
 */

#include "base.h"

/* Decimal digits only. */
int parse_u64(const char *text, uint64_t *ret);
int parse_unsigned(const char *text, unsigned *ret);
/* A signed decimal number, as some kernel counters are (general_profit). */
int parse_i64(const char *text, int64_t *ret);

/* Digits at *@p; *@p then points behind them. */
int parse_unsigned_prefix(const char **p, unsigned *ret);
int parse_u64_prefix(const char **p, uint64_t *ret);

/*
 * "512 MiB", "1.5 GiB", "4096 B": binary units B KiB MiB GiB TiB PiB and
 * decimal kB MB GB TB PB (SI). A unit is required, except for "0".
 */
int parse_size(const char *text, uint64_t *ret_bytes);

/* A size followed by "/s". */
int parse_rate(const char *text, uint64_t *ret_bytes_per_sec);

/* "10 s", "1.5 min", "250 ms": us ms s min h d. A unit is required, except for "0". */
int parse_duration(const char *text, uint64_t *ret_usec);

/* "15 %", "0.25 %", up to "100 %" unless more is asked by the caller's range check. */
int parse_permyriad(const char *text, uint64_t *ret_permyriad);

/*
 * The shortest exact text that the reader above reads back to the same value,
 * in the largest unit that divides it: "1536 MiB", "90 s", "12.5 %".
 * Return 0 or -ENOMEM.
 */
int format_size(uint64_t bytes, char **ret);
int format_duration(uint64_t usec, char **ret);
int format_permyriad(uint64_t permyriad, char **ret);

/* For people, rounded down, with one decimal below ten: "1.5 GiB", "768 MiB". Returns @buf. */
#define FORMAT_BYTES_MAX 32
const char *format_bytes_short(uint64_t bytes, char buf[static FORMAT_BYTES_MAX]);
