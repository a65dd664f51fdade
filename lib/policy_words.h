/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A sentence put together piece by piece. When a host's guests are all placed
 * at once there are thousands, and printf() would be the dearest part of the
 * decision.
 */

#include "base.h"
#include "idset.h"
#include "plan.h"

/* Zero-initialised, and not to be copied. Out of memory is kept until the end: see words_take(). */
typedef struct Words {
        char *text;             /* ended by a NUL byte; NULL: nothing yet */
        size_t n, capacity;
        bool failed;
        char first[256];        /* most sentences have less */
} Words;

void words_add(Words *w, const char *text);
void words_add_number(Words *w, uint64_t n);
/* "2.5 GiB" */
void words_add_bytes(Words *w, uint64_t bytes);
/* "0-3,8" */
void words_add_set(Words *w, const IdSet *set);
/* "node 3", "nodes 0-1" */
void words_add_nodes(Words *w, const IdSet *nodes);
/* *ret: what was put together, as one of @texts. -ENOMEM. @w is empty afterwards. */
int words_keep(Words *w, TextPool *texts, const char **ret);
/* Replaces *@ret by what was put together. -ENOMEM: nothing is replaced. @w is empty afterwards. */
int words_take(Words *w, char **ret);
