/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_improve_internal.h"

/*
 * Every assignment of a few guests, less those that cannot be better than the
 * best one so far (branch and bound): one guest after the other is put on each
 * set, and given up where what that costs already, and what the rest costs at
 * least by itself, is no less. Costs only grow with each guest that is put.
 */

#define GUESTS_MAX 8U
#define TRIALS_MAX 10000U

typedef struct Exact {
        Improve *m;
        Fresh *fresh[GUESTS_MAX];
        size_t sets[GUESTS_MAX];
        int64_t rest[GUESTS_MAX + 1];   /* what the guests from here on cost at least */
        size_t n, last_trial;
        unsigned most;                  /* nodes of all together */
} Exact;

/* Alone on the best set for it. */
static int64_t least_alone(const Improve *m, const Fresh *f) {
        int64_t least = INT64_MAX;

        for (size_t i = 0; i < m->sets.n; i++)
                least = MIN(least, improve_guest_cost(m, f, improve_set(m, i)));
        return least;
}

static void put_all(const Exact *e, int64_t sign) {
        for (size_t i = 0; i < e->n; i++)
                improve_put(e->m, e->fresh[i], e->fresh[i]->set, sign);
}

/* Returns what there is to pay without them. */
static int64_t begin(Exact *e) {
        Improve *m = e->m;
        int64_t cost;

        for (size_t i = 0; i < m->n_fresh; i++)
                if (m->fresh[i].free) {
                        e->most += improve_set(m, m->fresh[i].first)->n;
                        e->fresh[e->n++] = &m->fresh[i];
                }
        for (size_t i = e->n; i > 0; i--)
                e->rest[i - 1] = e->rest[i] + least_alone(m, e->fresh[i - 1]);
        put_all(e, -1);
        cost = improve_whole_cost(m) - improve_homeless_cost(m);
        for (size_t i = 0; i < e->n; i++)
                cost -= improve_guest_cost(m, e->fresh[i], improve_set(m, e->fresh[i]->set));
        return cost;
}

static bool is_hopeless(const Exact *e, size_t next, int64_t cost) {
        return cost + e->rest[next] > e->m->least - LEAST_GAIN;
}

static void place(Exact *e, size_t next, int64_t cost, unsigned nodes) {
        unsigned others = (unsigned)(e->n - next - 1);
        Improve *m = e->m;

        if (next == e->n) {
                m->least = cost + improve_homeless_cost(m);
                for (size_t i = 0; i < e->n; i++)
                        e->fresh[i]->best = e->sets[i];
                return;
        }
        for (size_t i = 0; i < m->sets.n && m->trials <= e->last_trial; i++) {
                unsigned n = nodes + improve_set(m, i)->n;
                int64_t more;

                if (n + others > e->most || !improve_suits(m, e->fresh[next], i))
                        continue;
                more = cost + improve_cost_of_putting(m, e->fresh[next], i);
                if (is_hopeless(e, next + 1, more))
                        continue;
                e->sets[next] = i;
                improve_put(m, e->fresh[next], i, 1);
                if (!is_hopeless(e, next + 1, more + improve_homeless_cost(m)))
                        place(e, next + 1, more, n);
                improve_put(m, e->fresh[next], i, -1);
        }
}

bool improve_exactly(Improve *m) {
        Exact e = { .m = m, .most = m->extra, .last_trial = m->trials + TRIALS_MAX };
        int64_t cost;

        if (m->n_order > GUESTS_MAX)
                return false;
        cost = begin(&e);
        place(&e, 0, cost, 0);
        put_all(&e, 1);
        return m->trials <= e.last_trial;
}
