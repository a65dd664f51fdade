/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What only some guests have stands apart from their memo, and what many have
 * alike, once for all of them: of ten thousand new guests each page of memory
 * that is touched for the first time is felt.
 */

#include "state.h"

/* Puts @m, one of @s, on @nodes, which may be empty or those of another guest. -ENOMEM: it is where it was. */
int state_place(State *s, GuestMemo *m, const IdSet *nodes);
void memo_drop_nodes(GuestMemo *m);
/* All of them, when no memo is left. */
void state_drop_places(State *s);

/* Make room for it, empty, where there is none. -ENOMEM. */
int memo_make_cpus(GuestMemo *m);
int memo_make_memory_only(GuestMemo *m);
int memo_make_cell_nodes(GuestMemo *m);
int memo_make_left(GuestMemo *m);
int memo_make_balloon_samples(GuestMemo *m);
/* The inverse; it is empty then. */
void memo_drop_cpus(GuestMemo *m);
void memo_drop_memory_only(GuestMemo *m);

/* Fills *ret with a copy of its own, that is not placed; -ENOMEM. Frees what a memo holds. */
int memo_copy(const GuestMemo *from, GuestMemo *ret);
void memo_done(GuestMemo *m);
