/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What every file may use: cleanup attributes, ownership transfer, growable
 * arrays, saturating arithmetic on unsigned quantities, and formatted strings.
 * No I/O, no logging, no clock.
 *
 * Conventions of the whole engine: a function returns 0 or a negative errno;
 * ret_ parameters are set only on success; destructors accept NULL and
 * half-built objects and return NULL.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _unused_ __attribute__((unused))

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

/* Each use has names of its own, so that they nest without -Wshadow. */
#define UNIQUE_(prefix, n) prefix##n
#define UNIQUE(prefix, n) UNIQUE_(prefix, n)
#define PICK_(a, op, b, n)                                                     \
        ({                                                                     \
                __typeof__(a) UNIQUE(_pick_a, n) = (a);                        \
                __typeof__(b) UNIQUE(_pick_b, n) = (b);                        \
                UNIQUE(_pick_a, n) op UNIQUE(_pick_b, n) ? UNIQUE(_pick_a, n)  \
                                                         : UNIQUE(_pick_b, n); \
        })
#define MIN(a, b) PICK_(a, <, b, __COUNTER__)
#define MAX(a, b) PICK_(a, >, b, __COUNTER__)
#define CLAMP(x, low, high) MIN(MAX((x), (low)), (high))

#define TAKE_PTR(p)                                                            \
        ({                                                                     \
                __typeof__(p) *_take_p = &(p);                                 \
                __typeof__(p) _take_v = *_take_p;                              \
                *_take_p = NULL;                                               \
                _take_v;                                                       \
        })
#define TAKE_FD(fd)                                                            \
        ({                                                                     \
                int *_take_fd = &(fd);                                         \
                int _take_v = *_take_fd;                                       \
                *_take_fd = -EBADF;                                            \
                _take_v;                                                       \
        })

/* Defines type *x_freep(type **) for _cleanup_ from a destructor that takes NULL. */
#define DEFINE_CLEANUP(type, destroy)                                          \
        static inline _unused_ void destroy##p(type **p) {                     \
                (void)destroy(*p);                                             \
        }

static inline _unused_ void freep(void *p) {
        free(*(void **)p);
}

/* Closes @fd if it is one, keeping errno. Returns -EBADF, to be assigned back. */
int safe_close(int fd);

static inline _unused_ void closep(int *fd) {
        (void)safe_close(*fd);
}

#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)

static inline bool streq(const char *a, const char *b) {
        return strcmp(a, b) == 0;
}

/* Equality of strings that may be NULL; NULL equals only NULL. */
bool streq_ptr(const char *a, const char *b);

/* Returns what follows @prefix in @s, or NULL when @s does not begin with it. */
const char *startswith(const char *s, const char *prefix);

/*
 * Makes room for one more element in the array *@array of @n elements of
 * @size bytes and capacity *@capacity. Grows by half. New room is zeroed.
 * Returns 0, -ENOMEM or -EOVERFLOW; on failure nothing changed.
 */
int grow_array_raw(void **array, size_t *capacity, size_t n, size_t size);
#define GROW_ARRAY(array, capacity, n)                                         \
        grow_array_raw((void **)&(array), &(capacity), (n), sizeof(*(array)))
/* The same, and new room is left alone: pages that are not used are not touched either. */
int grow_array_unset(void **array, size_t *capacity, size_t n, size_t size);
#define GROW_ARRAY_UNSET(array, capacity, n)                                   \
        ((n) < (capacity) ? 0 : grow_array_unset((void **)&(array), &(capacity), (n), sizeof(*(array))))

/*
 * @p, of @size bytes, is written to soon, all of it: the kernel is asked for its pages in one call, instead of by a
 * fault for each. Nothing is done where that would not pay, or the kernel cannot (before Linux 5.14).
 */
void memory_expect(void *p, size_t size);

/* Replaces *@p by a copy of @s (NULL allowed). Returns 0 or -ENOMEM. */
int strdup_to(char **p, const char *s);

/*
 * Replaces *@p by a printed string; the old one is freed. Returns 0 or -ENOMEM.
 * The arguments may use the old string.
 */
int strprintf_to(char **p, const char *format, ...) _printf_(2, 3);

/* Saturating: never wrap, stop at 0 and UINT64_MAX. */
static inline uint64_t u64_sub(uint64_t a, uint64_t b) {
        return a > b ? a - b : 0;
}
static inline uint64_t u64_add(uint64_t a, uint64_t b) {
        return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* a * b / c in 128 bits, saturated; 0 when @c is 0. */
uint64_t u64_muldiv_wide(uint64_t a, uint64_t b, uint64_t c);
static inline uint64_t u64_muldiv(uint64_t a, uint64_t b, uint64_t c) {
        uint64_t product;

        /* Division of 128 bits is a function call. */
        if (__builtin_mul_overflow(a, b, &product))
                return u64_muldiv_wide(a, b, c);
        return c > 0 ? product / c : 0;
}

/* @n in decimal, somewhere in @buf; what printf() would do, at a tenth of its price. */
#define U64_TEXT_MAX 21
const char *u64_text(uint64_t n, char buf[static U64_TEXT_MAX]);

/* One ten-thousandth is the engine's unit of every fraction. */
#define PERMYRIAD_FULL 10000U

static inline uint64_t permyriad_of(uint64_t amount, uint64_t permyriad) {
        return u64_muldiv(amount, permyriad, PERMYRIAD_FULL);
}

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC UINT64_C(1000000)
#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MINUTE)
#define USEC_PER_DAY (24 * USEC_PER_HOUR)
#define NSEC_PER_USEC UINT64_C(1000)

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/*
 * Names of an enum: declares type x_from_string(const char *) which returns
 * the value or -EINVAL, and const char *x_to_string(type), NULL when out of
 * range. @table is a const char *const[] indexed by the value.
 */
#define DECLARE_STRING_TABLE(prefix, type)                                     \
        const char *prefix##_to_string(type v);                                \
        type prefix##_from_string(const char *s)

#define DEFINE_STRING_TABLE(prefix, type, table)                               \
        const char *prefix##_to_string(type v) {                               \
                if ((int)v < 0 || (size_t)v >= ELEMENTSOF(table))              \
                        return NULL;                                           \
                return (table)[v];                                             \
        }                                                                      \
        type prefix##_from_string(const char *s) {                             \
                for (size_t i = 0; i < ELEMENTSOF(table); i++)                 \
                        if ((table)[i] && streq((table)[i], s))                \
                                return (type)i;                                \
                return (type)-EINVAL;                                          \
        }
