/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "idset.h"

#include "parse.h"

#include <ctype.h>

const IdSet idset_none;

int idset_add(IdSet *s, unsigned id) {
        if (id >= IDSET_MAX)
                return -ERANGE;
        s->words[id / 64] |= UINT64_C(1) << (id % 64);
        return 0;
}

int idset_add_range(IdSet *s, unsigned from, unsigned to) {
        if (to >= IDSET_MAX)
                return -ERANGE;
        if (to < from)
                return -EINVAL;
        for (unsigned id = from; id <= to; id++)
                s->words[id / 64] |= UINT64_C(1) << (id % 64);
        return 0;
}

void idset_remove(IdSet *s, unsigned id) {
        if (id < IDSET_MAX)
                s->words[id / 64] &= ~(UINT64_C(1) << (id % 64));
}

/* Most sets are small: eight words at a time are passed over where all are zero. */
#define BLOCK 8U
_Static_assert(IDSET_WORDS % BLOCK == 0, "no block is cut off");

static bool block_is_zero(const uint64_t *w) {
        return (w[0] | w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7]) == 0;
}

bool idset_is_empty(const IdSet *s) {
        for (size_t i = 0; i < IDSET_WORDS; i += BLOCK)
                if (!block_is_zero(s->words + i))
                        return false;
        return true;
}

unsigned idset_count(const IdSet *s) {
        unsigned n = 0;

        for (size_t i = 0; i < IDSET_WORDS; i += BLOCK) {
                if (block_is_zero(s->words + i))
                        continue;
                for (size_t k = i; k < i + BLOCK; k++)
                        if (s->words[k])
                                n += (unsigned)__builtin_popcountll(s->words[k]);
        }
        return n;
}

bool idset_equal(const IdSet *a, const IdSet *b) {
        return memcmp(a->words, b->words, sizeof(a->words)) == 0;
}

bool idset_is_subset(const IdSet *sub, const IdSet *super) {
        for (size_t i = 0; i < IDSET_WORDS; i++)
                if (sub->words[i] & ~super->words[i])
                        return false;
        return true;
}

bool idset_intersects(const IdSet *a, const IdSet *b) {
        for (size_t i = 0; i < IDSET_WORDS; i++)
                if (a->words[i] & b->words[i])
                        return true;
        return false;
}

bool idset_part_equal(const IdSet *a, const IdSet *within, const IdSet *b) {
        for (size_t i = 0; i < IDSET_WORDS; i++)
                if ((a->words[i] & within->words[i]) != b->words[i])
                        return false;
        return true;
}

IdSet idset_and(const IdSet *a, const IdSet *b) {
        IdSet s;

        for (size_t i = 0; i < IDSET_WORDS; i++)
                s.words[i] = a->words[i] & b->words[i];
        return s;
}

IdSet idset_or(const IdSet *a, const IdSet *b) {
        IdSet s;

        for (size_t i = 0; i < IDSET_WORDS; i++)
                s.words[i] = a->words[i] | b->words[i];
        return s;
}

IdSet idset_minus(const IdSet *a, const IdSet *b) {
        IdSet s;

        for (size_t i = 0; i < IDSET_WORDS; i++)
                s.words[i] = a->words[i] & ~b->words[i];
        return s;
}

IdSet idset_of(unsigned id) {
        IdSet s = IDSET_EMPTY;

        (void)idset_add(&s, id);
        return s;
}

int idset_next_from_word(const IdSet *s, unsigned word) {
        for (unsigned i = word; i < IDSET_WORDS; i++) {
                if (i % BLOCK == 0 && block_is_zero(s->words + i)) {
                        i += BLOCK - 1;
                        continue;
                }
                if (s->words[i])
                        return (int)(i * 64 + (unsigned)__builtin_ctzll(s->words[i]));
        }
        return -1;
}

/* The smallest number >= @from that is no member. */
static unsigned next_absent(const IdSet *s, unsigned from) {
        while (from < IDSET_MAX) {
                uint64_t absent = ~s->words[from / 64] >> (from % 64);

                if (absent)
                        return from + (unsigned)__builtin_ctzll(absent);
                from += 64 - from % 64;
        }
        return IDSET_MAX;
}

int idset_next_difference(const IdSet *a, const IdSet *b) {
        for (unsigned i = 0; i < IDSET_WORDS; i++) {
                uint64_t word = a->words[i] ^ b->words[i];

                if (word)
                        return (int)(i * 64 + (unsigned)__builtin_ctzll(word));
        }
        return -1;
}

/* One "N" or "N-M" at *@p; *@p ends behind it. */
static int parse_range(const char **p, IdSet *set) {
        unsigned from, to;
        int r;

        r = parse_unsigned_prefix(p, &from);
        if (r < 0)
                return r;
        to = from;
        if (**p == '-') {
                (*p)++;
                r = parse_unsigned_prefix(p, &to);
                if (r < 0)
                        return r;
        }
        return idset_add_range(set, from, to);
}

int idset_parse(const char *text, IdSet *ret) {
        IdSet set = IDSET_EMPTY;
        const char *p = text;
        int r;

        while (isspace((unsigned char)*p))
                p++;
        while (*p) {
                r = parse_range(&p, &set);
                if (r < 0)
                        return r;
                if (*p == ',') {
                        p++;
                        if (!isdigit((unsigned char)*p))
                                return -EINVAL;
                        continue;
                }
                while (isspace((unsigned char)*p))
                        p++;
                if (*p)
                        return -EINVAL;
        }
        *ret = set;
        return 0;
}

int idset_format(const IdSet *s, char **ret) {
        /* "4095," is the longest single entry, and a range is shorter than its members. */
        char *text = malloc((size_t)idset_count(s) * 5 + 2), *p = text, digits[U64_TEXT_MAX];
        int end;

        if (!text)
                return -ENOMEM;
        *p = '\0';
        for (int id = idset_next(s, 0); id >= 0; id = idset_next(s, (unsigned)end + 1)) {
                end = (int)next_absent(s, (unsigned)id) - 1;
                if (p > text)
                        *p++ = ',';
                p = stpcpy(p, u64_text((uint64_t)id, digits));
                if (end == id)
                        continue;
                *p++ = '-';
                p = stpcpy(p, u64_text((uint64_t)end, digits));
        }
        *ret = text;
        return 0;
}
