/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state_memo.h"

/* *@p: @size zero bytes, unless it is there already. */
static int make(void **p, size_t size) {
        if (!*p)
                *p = calloc(1, size);
        return *p ? 0 : -ENOMEM;
}

static int copy(const void *from, size_t size, void **ret) {
        int r;

        *ret = NULL;
        if (!from)
                return 0;
        r = make(ret, size);
        if (r >= 0)
                memcpy(*ret, from, size);
        return r;
}

/* ---- places ---- */

/* Any order will do. */
static int set_compare(const IdSet *a, const IdSet *b) {
        return memcmp(a->words, b->words, sizeof(a->words));
}

/* The first one not below @set; *ret_found: it is that set. */
static size_t place_position(const State *s, const IdSet *set, bool *ret_found) {
        size_t low = 0, high = s->n_places;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (set_compare(&s->places[middle]->set, set) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        *ret_found = low < s->n_places && set_compare(&s->places[low]->set, set) == 0;
        return low;
}

static void drop_unused_places(State *s) {
        size_t kept = 0;

        for (size_t i = 0; i < s->n_places; i++) {
                if (s->places[i]->users == 0)
                        free(s->places[i]);
                else
                        s->places[kept++] = s->places[i];
        }
        s->n_places = kept;
}

static int find_place(State *s, const IdSet *nodes, SharedSet **ret) {
        SharedSet *fresh;
        bool found;
        size_t at;
        int r;

        at = place_position(s, nodes, &found);
        if (!found) {
                if (s->n_places == s->places_capacity)
                        drop_unused_places(s);
                r = GROW_ARRAY_UNSET(s->places, s->places_capacity, s->n_places);
                if (r < 0)
                        return r;
                fresh = malloc(sizeof(*fresh));
                if (!fresh)
                        return -ENOMEM;
                *fresh = (SharedSet){ .set = *nodes };
                at = place_position(s, nodes, &found);
                memmove(s->places + at + 1, s->places + at, (s->n_places - at) * sizeof(*s->places));
                s->places[at] = fresh;
                s->n_places++;
        }
        *ret = s->places[at];
        return 0;
}

int state_place(State *s, GuestMemo *m, const IdSet *nodes) {
        SharedSet *place = NULL;
        int r;

        if (!idset_is_empty(nodes)) {
                r = find_place(s, nodes, &place);
                if (r < 0)
                        return r;
                place->users++;
        }
        memo_drop_nodes(m);
        m->nodes = place;
        return 0;
}

void memo_drop_nodes(GuestMemo *m) {
        if (m->nodes)
                m->nodes->users--;
        m->nodes = NULL;
}

void state_drop_places(State *s) {
        drop_unused_places(s);
        free(s->places);
        s->places = NULL;
        s->places_capacity = 0;
}

/* ---- what only some have ---- */

int memo_make_cpus(GuestMemo *m) {
        return make((void **)&m->cpus, sizeof(*m->cpus));
}

int memo_make_memory_only(GuestMemo *m) {
        return make((void **)&m->memory_only, sizeof(*m->memory_only));
}

int memo_make_cell_nodes(GuestMemo *m) {
        return make((void **)&m->cell_nodes, GUEST_CELLS_MAX * sizeof(*m->cell_nodes));
}

int memo_make_left(GuestMemo *m) {
        return make((void **)&m->left, NODES_LEFT_MAX * sizeof(*m->left));
}

int memo_make_balloon_samples(GuestMemo *m) {
        return make((void **)&m->balloon_samples, sizeof(*m->balloon_samples));
}

void memo_drop_cpus(GuestMemo *m) {
        free(m->cpus);
        m->cpus = NULL;
}

void memo_drop_memory_only(GuestMemo *m) {
        free(m->memory_only);
        m->memory_only = NULL;
}

int memo_copy(const GuestMemo *from, GuestMemo *ret) {
        GuestMemo m = *from;
        int r, s, t, u, v;

        m.nodes = NULL;
        /* All five, so that none is left that belongs to @from. */
        r = copy(from->cpus, sizeof(*m.cpus), (void **)&m.cpus);
        s = copy(from->memory_only, sizeof(*m.memory_only), (void **)&m.memory_only);
        t = copy(from->cell_nodes, GUEST_CELLS_MAX * sizeof(*m.cell_nodes), (void **)&m.cell_nodes);
        u = copy(from->balloon_samples, sizeof(*m.balloon_samples), (void **)&m.balloon_samples);
        v = copy(from->left, NODES_LEFT_MAX * sizeof(*m.left), (void **)&m.left);
        if (r < 0 || s < 0 || t < 0 || u < 0 || v < 0) {
                memo_done(&m);
                return -ENOMEM;
        }
        *ret = m;
        return 0;
}

void memo_done(GuestMemo *m) {
        memo_drop_nodes(m);
        memo_drop_cpus(m);
        memo_drop_memory_only(m);
        free(m->cell_nodes);
        free(m->left);
        free(m->balloon_samples);
        m->cell_nodes = NULL;
        m->left = NULL;
        m->balloon_samples = NULL;
}
