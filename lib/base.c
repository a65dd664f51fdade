/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base.h"

#include <stdio.h>
#include <sys/mman.h>

int safe_close(int fd) {
        int saved = errno;

        if (fd >= 0)
                (void)close(fd);
        errno = saved;
        return -EBADF;
}

bool streq_ptr(const char *a, const char *b) {
        if (!a || !b)
                return a == b;
        return streq(a, b);
}

const char *startswith(const char *s, const char *prefix) {
        size_t n = strlen(prefix);

        return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

int grow_array_unset(void **array, size_t *capacity, size_t n, size_t size) {
        size_t want;
        void *p;

        if (n < *capacity)
                return 0;
        want = *capacity < 8 ? 8 : *capacity + *capacity / 2;
        if (want <= n || want > SIZE_MAX / size)
                return -EOVERFLOW;
        p = realloc(*array, want * size);
        if (!p)
                return -ENOMEM;
        *array = p;
        *capacity = want;
        return 0;
}

int grow_array_raw(void **array, size_t *capacity, size_t n, size_t size) {
        size_t before = *capacity;
        int r;

        r = grow_array_unset(array, capacity, n, size);
        if (r >= 0 && *capacity > before)
                memset((char *)*array + before * size, 0, (*capacity - before) * size);
        return r;
}

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  /* include/uapi/asm-generic/mman-common.h */
#endif

/* A call costs as much as a few faults. */
#define EXPECT_BYTES_MIN (UINT64_C(64) * 1024)

void memory_expect(void *p, size_t size) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE), skipped = -(uintptr_t)p % page;

        if (size < EXPECT_BYTES_MIN)
                return;
        (void)madvise((char *)p + skipped, (size - skipped) / page * page, MADV_POPULATE_WRITE);
}

int strdup_to(char **p, const char *s) {
        char *copy = NULL;

        if (s) {
                copy = strdup(s);
                if (!copy)
                        return -ENOMEM;
        }
        free(*p);
        *p = copy;
        return 0;
}

int strprintf_to(char **p, const char *format, ...) {
        char *text = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0)
                return -ENOMEM;
        free(*p);
        *p = text;
        return 0;
}

uint64_t u64_muldiv_wide(uint64_t a, uint64_t b, uint64_t c) {
        __extension__ unsigned __int128 product = (unsigned __int128)a * b;

        if (c == 0)
                return 0;
        product /= c;
        return product > UINT64_MAX ? UINT64_MAX : (uint64_t)product;
}

const char *u64_text(uint64_t n, char buf[static U64_TEXT_MAX]) {
        char *p = buf + U64_TEXT_MAX - 1;

        *p = '\0';
        do {
                *--p = (char)('0' + n % 10);
                n /= 10;
        } while (n > 0);
        return p;
}
