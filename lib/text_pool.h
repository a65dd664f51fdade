/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Texts that are freed together: they stand one after the other in a few
 * blocks. For what holds tens of thousands of short ones.
 */

#include "base.h"

typedef struct TextBlock TextBlock;

/* Zero-initialised. */
typedef struct TextPool {
        TextBlock *last;
} TextPool;

/* A copy of @text that lives as long as the pool; NULL of NULL. 0 or -ENOMEM. */
int text_pool_add(TextPool *p, const char *text, char **ret);
/* The same of a text that is printed. */
int text_pool_vprintf(TextPool *p, char **ret, const char *format, va_list ap) _printf_(3, 0);
void text_pool_done(TextPool *p);
