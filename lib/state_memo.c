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

int memo_make_cpus(GuestMemo *m) {
        return make((void **)&m->cpus, sizeof(*m->cpus));
}

int memo_make_memory_only(GuestMemo *m) {
        return make((void **)&m->memory_only, sizeof(*m->memory_only));
}

int memo_make_cell_nodes(GuestMemo *m) {
        return make((void **)&m->cell_nodes, GUEST_CELLS_MAX * sizeof(*m->cell_nodes));
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
        int r, s, t, u;

        /* All four, so that none is left that belongs to @from. */
        r = copy(from->cpus, sizeof(*m.cpus), (void **)&m.cpus);
        s = copy(from->memory_only, sizeof(*m.memory_only), (void **)&m.memory_only);
        t = copy(from->cell_nodes, GUEST_CELLS_MAX * sizeof(*m.cell_nodes), (void **)&m.cell_nodes);
        u = copy(from->balloon_samples, sizeof(*m.balloon_samples), (void **)&m.balloon_samples);
        if (r < 0 || s < 0 || t < 0 || u < 0) {
                memo_done(&m);
                return -ENOMEM;
        }
        *ret = m;
        return 0;
}

void memo_done(GuestMemo *m) {
        memo_drop_cpus(m);
        memo_drop_memory_only(m);
        free(m->cell_nodes);
        free(m->balloon_samples);
        m->cell_nodes = NULL;
        m->balloon_samples = NULL;
}
