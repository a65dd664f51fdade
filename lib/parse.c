/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "parse.h"

#include <ctype.h>

typedef struct Unit {
        const char *name;
        uint64_t factor;
} Unit;

/* Largest first: the writers take the first that divides. */
static const Unit size_units[] = {
        { "PiB", 1024 * (1024 * GIB) }, { "TiB", 1024 * GIB }, { "GiB", GIB }, { "MiB", MIB },
        { "KiB", KIB },               { "B", 1 },
};
static const Unit si_units[] = {
        { "PB", UINT64_C(1000000000000000) }, { "TB", UINT64_C(1000000000000) },
        { "GB", UINT64_C(1000000000) },       { "MB", UINT64_C(1000000) },
        { "kB", UINT64_C(1000) },
};
static const Unit time_units[] = {
        { "d", USEC_PER_DAY }, { "h", USEC_PER_HOUR },      { "min", USEC_PER_MINUTE },
        { "s", USEC_PER_SEC }, { "ms", USEC_PER_MSEC },     { "us", 1 },
};
static const Unit percent_units[] = { { "%", 100 } };

static const char *skip_space(const char *p) {
        while (isspace((unsigned char)*p))
                p++;
        return p;
}

int parse_u64_prefix(const char **p, uint64_t *ret) {
        const char *s = *p;
        uint64_t v = 0;

        if (!isdigit((unsigned char)*s))
                return -EINVAL;
        for (; isdigit((unsigned char)*s); s++) {
                unsigned digit = (unsigned)(*s - '0');

                if (v > (UINT64_MAX - digit) / 10)
                        return -ERANGE;
                v = v * 10 + digit;
        }
        *p = s;
        *ret = v;
        return 0;
}

int parse_unsigned_prefix(const char **p, unsigned *ret) {
        const char *s = *p;
        uint64_t v;
        int r;

        r = parse_u64_prefix(&s, &v);
        if (r < 0)
                return r;
        if (v > UINT32_MAX)
                return -ERANGE;
        *p = s;
        *ret = (unsigned)v;
        return 0;
}

int parse_u64(const char *text, uint64_t *ret) {
        const char *p = skip_space(text);
        uint64_t v;
        int r;

        r = parse_u64_prefix(&p, &v);
        if (r < 0)
                return r;
        if (*skip_space(p))
                return -EINVAL;
        *ret = v;
        return 0;
}

int parse_unsigned(const char *text, unsigned *ret) {
        uint64_t v;
        int r;

        r = parse_u64(text, &v);
        if (r < 0)
                return r;
        if (v > UINT32_MAX)
                return -ERANGE;
        *ret = (unsigned)v;
        return 0;
}

int parse_i64(const char *text, int64_t *ret) {
        const char *p = skip_space(text);
        bool negative = *p == '-';
        uint64_t v;
        int r;

        if (negative && !isdigit((unsigned char)*++p))
                return -EINVAL;
        r = parse_u64(p, &v);
        if (r < 0)
                return r;
        if (v > (uint64_t)INT64_MAX + negative)
                return -ERANGE;
        *ret = (int64_t)(negative ? 0 - v : v);
        return 0;
}

/*
 * A decimal number at *@p as value = whole + fraction / scale, with at most
 * six digits behind the point: enough for every unit, and exact.
 */
static int parse_decimal(const char **p, uint64_t *ret_whole, uint64_t *ret_fraction, uint64_t *ret_scale) {
        uint64_t fraction = 0, scale = 1, whole;
        int r;

        r = parse_u64_prefix(p, &whole);
        if (r < 0)
                return r;
        if (**p == '.') {
                (*p)++;
                if (!isdigit((unsigned char)**p))
                        return -EINVAL;
                for (; isdigit((unsigned char)**p); (*p)++) {
                        if (scale == 1000000)
                                return -EINVAL;
                        fraction = fraction * 10 + (unsigned)(**p - '0');
                        scale *= 10;
                }
        }
        *ret_whole = whole;
        *ret_fraction = fraction;
        *ret_scale = scale;
        return 0;
}

static const Unit *find_unit(const char *p, const Unit *units, size_t n, const char **ret_end) {
        for (size_t i = 0; i < n; i++) {
                const char *end = startswith(p, units[i].name);

                if (end && !isalpha((unsigned char)*end)) {
                        *ret_end = end;
                        return &units[i];
                }
        }
        return NULL;
}

/* Number and unit at *@p. "0" needs no unit. */
static int parse_quantity(const char **p, const Unit *units, size_t n, const Unit *more, size_t n_more,
                          uint64_t *ret) {
        uint64_t whole, fraction, scale, value;
        const char *s = skip_space(*p), *end;
        const Unit *unit;
        int r;

        r = parse_decimal(&s, &whole, &fraction, &scale);
        if (r < 0)
                return r;
        s = skip_space(s);
        unit = find_unit(s, units, n, &end);
        if (!unit)
                unit = find_unit(s, more, n_more, &end);
        if (!unit) {
                if (whole != 0 || fraction != 0)
                        return -EINVAL;
                *p = s;
                *ret = 0;
                return 0;
        }
        value = u64_muldiv(fraction, unit->factor, scale);
        if (whole > (UINT64_MAX - value) / unit->factor)
                return -ERANGE;
        value += whole * unit->factor;
        if (value == 0 && fraction != 0)
                return -EINVAL;
        *p = end;
        *ret = value;
        return 0;
}

static int parse_all(const char *text, const char *suffix, const Unit *units, size_t n, const Unit *more,
                     size_t n_more, uint64_t *ret) {
        const char *p = text;
        uint64_t v;
        int r;

        r = parse_quantity(&p, units, n, more, n_more, &v);
        if (r < 0)
                return r;
        p = startswith(skip_space(p), suffix);
        if (!p || *skip_space(p))
                return -EINVAL;
        *ret = v;
        return 0;
}

int parse_size(const char *text, uint64_t *ret_bytes) {
        return parse_all(text, "", size_units, ELEMENTSOF(size_units), si_units, ELEMENTSOF(si_units), ret_bytes);
}

int parse_rate(const char *text, uint64_t *ret_bytes_per_sec) {
        return parse_all(text, "/s", size_units, ELEMENTSOF(size_units), si_units, ELEMENTSOF(si_units),
                         ret_bytes_per_sec);
}

int parse_duration(const char *text, uint64_t *ret_usec) {
        return parse_all(text, "", time_units, ELEMENTSOF(time_units), NULL, 0, ret_usec);
}

int parse_permyriad(const char *text, uint64_t *ret_permyriad) {
        return parse_all(text, "", percent_units, ELEMENTSOF(percent_units), NULL, 0, ret_permyriad);
}

static int format_quantity(uint64_t value, const Unit *units, size_t n, char **ret) {
        char *text = NULL;
        size_t i = 0;

        if (value == 0)
                i = n - 1;
        while (i < n - 1 && value % units[i].factor != 0)
                i++;
        if (strprintf_to(&text, "%llu %s", (unsigned long long)(value / units[i].factor), units[i].name) < 0)
                return -ENOMEM;
        *ret = text;
        return 0;
}

int format_size(uint64_t bytes, char **ret) {
        return format_quantity(bytes, size_units, ELEMENTSOF(size_units), ret);
}

int format_duration(uint64_t usec, char **ret) {
        return format_quantity(usec, time_units, ELEMENTSOF(time_units), ret);
}

int format_permyriad(uint64_t permyriad, char **ret) {
        unsigned long long whole = permyriad / 100, rest = permyriad % 100;
        char *text = NULL;
        int r;

        if (rest == 0)
                r = strprintf_to(&text, "%llu %%", whole);
        else if (rest % 10 == 0)
                r = strprintf_to(&text, "%llu.%llu %%", whole, rest / 10);
        else
                r = strprintf_to(&text, "%llu.%02llu %%", whole, rest);
        if (r < 0)
                return r;
        *ret = text;
        return 0;
}

const char *format_bytes_short(uint64_t bytes, char buf[static FORMAT_BYTES_MAX]) {
        size_t i = 0;
        char digits[U64_TEXT_MAX];
        uint64_t tenths;
        char *p;

        while (i < ELEMENTSOF(size_units) - 1 && bytes < size_units[i].factor)
                i++;
        tenths = u64_muldiv(bytes, 10, size_units[i].factor);
        p = stpcpy(buf, u64_text(tenths / 10, digits));
        if (tenths < 100 && tenths % 10 != 0) {
                *p++ = '.';
                *p++ = (char)('0' + tenths % 10);
        }
        *p++ = ' ';
        (void)stpcpy(p, size_units[i].name);
        return buf;
}
