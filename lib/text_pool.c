/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "text_pool.h"

#include <stdio.h>

#define FIRST_BLOCK 1024U
#define LARGEST_BLOCK (UINT64_C(64) * 1024)       /* of the last one half is in vain, on average */

struct TextBlock {
        TextBlock *previous;
        size_t used, size;
        char text[];
};

/* Room for @n bytes in the last block. */
static int reserve(TextPool *p, size_t n) {
        TextBlock *last = p->last, *b;
        size_t size = last ? MIN(2 * last->size, (size_t)LARGEST_BLOCK) : FIRST_BLOCK;

        if (last && n <= last->size - last->used)
                return 0;
        size = MAX(size, n);
        b = malloc(sizeof(*b) + size);
        if (!b)
                return -ENOMEM;
        memory_expect(b, sizeof(*b) + size);
        *b = (TextBlock){ .previous = last, .size = size };
        p->last = b;
        return 0;
}

static char *rest(const TextPool *p) {
        return p->last->text + p->last->used;
}

int text_pool_add(TextPool *p, const char *text, char **ret) {
        size_t n;
        int r;

        if (!text) {
                *ret = NULL;
                return 0;
        }
        n = strlen(text) + 1;
        r = reserve(p, n);
        if (r < 0)
                return r;
        *ret = memcpy(rest(p), text, n);
        p->last->used += n;
        return 0;
}

int text_pool_vprintf(TextPool *p, char **ret, const char *format, va_list ap) {
        size_t room = p->last ? p->last->size - p->last->used : 0;
        va_list again;
        int n, r = 0;

        va_copy(again, ap);
        n = vsnprintf(room > 0 ? rest(p) : NULL, room, format, ap);
        if (n >= 0 && (size_t)n >= room) {
                r = reserve(p, (size_t)n + 1);
                if (r >= 0)
                        n = vsnprintf(rest(p), (size_t)n + 1, format, again);
        }
        va_end(again);
        if (r < 0 || n < 0)
                return -ENOMEM;
        *ret = rest(p);
        p->last->used += (size_t)n + 1;
        return 0;
}

void text_pool_done(TextPool *p) {
        while (p->last) {
                TextBlock *b = p->last;

                p->last = b->previous;
                free(b);
        }
}
