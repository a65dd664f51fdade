/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A set of CPU or NUMA node numbers, as a plain value: copy it with =.
 *
 * Numbers run from 0 to IDSET_MAX - 1; a larger number is refused with
 * -ERANGE, never dropped. 4,096 covers the largest x86 configuration the
 * kernel supports (CONFIG_NR_CPUS up to 8192 with MAXSMP is not reached by
 * shipped machines); 512 bytes keep the value cheap to copy.
 *
 * Text form is the kernel's list format: "0-3,8,10-11", the empty set is "".
 */

#include "base.h"

#define IDSET_MAX 4096U
#define IDSET_WORDS (IDSET_MAX / 64)

typedef struct IdSet {
        uint64_t words[IDSET_WORDS];
} IdSet;

#define IDSET_EMPTY ((IdSet){ .words = { 0 } })
extern const IdSet idset_none;          /* the empty set, to point to */

/* -ERANGE when @id >= IDSET_MAX. */
int idset_add(IdSet *s, unsigned id);
/* @from..@to inclusive; -ERANGE, or -EINVAL when @to < @from. */
int idset_add_range(IdSet *s, unsigned from, unsigned to);
void idset_remove(IdSet *s, unsigned id);
static inline bool idset_contains(const IdSet *s, unsigned id) {
        return id < IDSET_MAX && (s->words[id / 64] >> (id % 64) & 1);
}
bool idset_is_empty(const IdSet *s);
unsigned idset_count(const IdSet *s);
bool idset_equal(const IdSet *a, const IdSet *b);
bool idset_is_subset(const IdSet *sub, const IdSet *super);
bool idset_intersects(const IdSet *a, const IdSet *b);
/* Whether the part of @a that is in @within is @b. */
bool idset_part_equal(const IdSet *a, const IdSet *within, const IdSet *b);
IdSet idset_and(const IdSet *a, const IdSet *b);
IdSet idset_or(const IdSet *a, const IdSet *b);
/* What is in @a and not in @b. */
IdSet idset_minus(const IdSet *a, const IdSet *b);
IdSet idset_of(unsigned id);

/* The smallest member >= 64 * @word, or -1. */
int idset_next_from_word(const IdSet *s, unsigned word);

/* The smallest member >= @from, or -1. */
static inline int idset_next(const IdSet *s, unsigned from) {
        uint64_t rest = from < IDSET_MAX ? s->words[from / 64] >> (from % 64) : 0;

        return rest ? (int)(from + (unsigned)__builtin_ctzll(rest)) : idset_next_from_word(s, from / 64 + 1);
}

/* The smallest number that is in one of them only, or -1. */
int idset_next_difference(const IdSet *a, const IdSet *b);

#define IDSET_FOREACH(id, s)                                                   \
        for (int id = idset_next((s), 0); id >= 0; id = idset_next((s), (unsigned)id + 1))

/*
 * Reads the list format; white space around the list and a final newline are
 * ignored; ranges may overlap. Returns 0, -EINVAL (not a list) or -ERANGE.
 */
int idset_parse(const char *text, IdSet *ret);

/* The list format, newly allocated. Returns 0 or -ENOMEM. */
int idset_format(const IdSet *s, char **ret);
