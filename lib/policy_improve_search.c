/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_improve_internal.h"

/*
 * A search over the sets of policy_node_sets.h. Guests are taken off and put
 * where they cost least, one at a time, then two at a time, until that gains
 * nothing; for few guests then by trying everything (policy_improve_exact.c),
 * for others from several starts.
 *
 * All of them together get as many nodes as they had, and one more at a time as
 * long as there is memory without room. Of few guests, for which everything can
 * be tried, as many as it takes to cost at most 5 % more than with any number.
 */

#define PASSES_MAX 4U
#define STARTS_MAX 8U
#define WORTH_PARTS 20                  /* of the cost: what more nodes have to save */

bool improve_suits(Improve *m, const Fresh *f, size_t set) {
        const NodeSet *s = improve_set(m, set);

        m->trials++;
        if (s->n_cpus < f->guest->n_vcpus)
                return false;
        for (unsigned i = 0; i < s->n; i++) {
                size_t n = s->nodes[i];
                uint64_t cpus = (uint64_t)m->p->nodes[n].n_cpus * PLACEMENT_MILLI;
                int64_t milli = m->commit_milli[n] + improve_share_milli(m, f, s, n);

                if (milli > m->searched_milli[n] && milli > (int64_t)permyriad_of(cpus, f->overcommit_permyriad))
                        return false;
        }
        return true;
}

/* Takes @f off and puts it where it costs least. true: that is elsewhere. */
static bool move_one(Improve *m, Fresh *f) {
        unsigned most = improve_set(m, f->set)->n + m->spare;
        size_t best = f->set;
        int64_t least;

        improve_put(m, f, f->set, -1);
        least = improve_cost_of_putting(m, f, f->set) + improve_homeless_cost_with(m, f, f->set) - LEAST_GAIN;
        for (size_t i = 0; i < m->sets.n; i++) {
                int64_t cost;

                if (i == f->set || improve_set(m, i)->n > most || !improve_suits(m, f, i))
                        continue;
                cost = improve_cost_of_putting(m, f, i);
                if (cost < least)
                        cost += improve_homeless_cost_with(m, f, i);
                if (cost >= least)
                        continue;
                best = i;
                least = cost;
        }
        improve_put(m, f, best, 1);
        if (best == f->set)
                return false;
        f->set = best;
        m->spare = most - improve_set(m, best)->n;
        return true;
}

typedef struct Pair {
        Fresh *f, *g;
        unsigned most;                  /* nodes of both together */
        size_t best_f, best_g;
        int64_t least;
} Pair;

/* Both are off; @f goes to @set: where does @g go? */
static void try_second(Improve *m, Pair *pair, size_t set) {
        int64_t first = improve_cost_of_putting(m, pair->f, set);

        improve_put(m, pair->f, set, 1);
        for (size_t i = 0; i < m->sets.n; i++) {
                int64_t cost;

                if (improve_set(m, set)->n + improve_set(m, i)->n > pair->most || !improve_suits(m, pair->g, i))
                        continue;
                cost = first + improve_cost_of_putting(m, pair->g, i);
                if (cost < pair->least)
                        cost += improve_homeless_cost_with(m, pair->g, i);
                if (cost >= pair->least)
                        continue;
                pair->best_f = set;
                pair->best_g = i;
                pair->least = cost;
        }
        improve_put(m, pair->f, set, -1);
}

/* The same for two. */
static bool move_two(Improve *m, Fresh *f, Fresh *g) {
        Pair pair = { .f = f, .g = g, .best_f = f->set, .best_g = g->set };

        pair.most = improve_set(m, f->set)->n + improve_set(m, g->set)->n + m->spare;
        improve_put(m, g, g->set, -1);
        improve_put(m, f, f->set, -1);
        pair.least = improve_cost_of_putting(m, f, f->set) - LEAST_GAIN;
        improve_put(m, f, f->set, 1);
        pair.least += improve_cost_of_putting(m, g, g->set) + improve_homeless_cost_with(m, g, g->set);
        improve_put(m, f, f->set, -1);
        for (size_t i = 0; i < m->sets.n; i++)
                if (improve_suits(m, f, i))
                        try_second(m, &pair, i);
        improve_put(m, f, pair.best_f, 1);
        improve_put(m, g, pair.best_g, 1);
        if (pair.best_f == f->set && pair.best_g == g->set)
                return false;
        f->set = pair.best_f;
        g->set = pair.best_g;
        m->spare = pair.most - improve_set(m, f->set)->n - improve_set(m, g->set)->n;
        return true;
}

static bool pass_ones(Improve *m) {
        bool better = false;

        for (size_t i = 0; i < m->n_order && m->trials <= m->budget; i++)
                better = move_one(m, &m->fresh[m->order[i]]) || better;
        return better;
}

static bool pass_twos(Improve *m) {
        bool better = false;

        for (size_t i = 0; i < m->n_order; i++)
                for (size_t k = i + 1; k < m->n_order; k++) {
                        if (m->trials > m->budget)
                                return false;
                        better = move_two(m, &m->fresh[m->order[i]], &m->fresh[m->order[k]]) || better;
                }
        return better;
}

static void descend(Improve *m) {
        for (unsigned pass = 0; pass < PASSES_MAX; pass++)
                if (!pass_ones(m) && !pass_twos(m))
                        return;
}

/* The same for the same number: no two starts alike, and no chance in it (xorshift32, G. Marsaglia). */
static void shuffle(Improve *m, uint32_t number) {
        uint32_t x = number * 2654435761U;

        for (size_t i = m->n_order; i > 1; i--) {
                size_t k, swapped;

                x ^= x << 13;
                x ^= x >> 17;
                x ^= x << 5;
                k = x % i;
                swapped = m->order[i - 1];
                m->order[i - 1] = m->order[k];
                m->order[k] = swapped;
        }
}

/* All anew, one after the other, each where it costs least. */
static void start_again(Improve *m, unsigned number) {
        shuffle(m, number);
        for (size_t i = 0; i < m->n_order; i++)
                improve_put(m, &m->fresh[m->order[i]], m->fresh[m->order[i]].set, -1);
        m->spare = m->extra;
        for (size_t i = 0; i < m->n_order; i++) {
                Fresh *f = &m->fresh[m->order[i]];

                f->set = f->first;
                improve_put(m, f, f->set, 1);
                (void)move_one(m, f);
        }
}

static void keep_if_better(Improve *m) {
        int64_t cost = improve_whole_cost(m);

        if (cost > m->least - LEAST_GAIN)
                return;
        m->least = cost;
        for (size_t i = 0; i < m->n_order; i++)
                m->fresh[m->order[i]].best = m->fresh[m->order[i]].set;
}

static void return_to_best(Improve *m) {
        m->spare = m->extra;
        for (size_t i = 0; i < m->n_order; i++) {
                Fresh *f = &m->fresh[m->order[i]];

                improve_put(m, f, f->set, -1);
                f->set = f->best;
                improve_put(m, f, f->set, 1);
                m->spare += improve_set(m, f->first)->n - improve_set(m, f->best)->n;
        }
}

static void search(Improve *m) {
        descend(m);
        keep_if_better(m);
        for (unsigned i = 1; i < STARTS_MAX && !improve_exactly(m) && m->trials <= m->budget; i++) {
                start_again(m, i);
                descend(m);
                keep_if_better(m);
        }
        return_to_best(m);
}

/* Tries everything with @extra nodes more. Whether something costs less than @bound: m->least. */
static bool costs_less(Improve *m, unsigned extra, int64_t bound) {
        m->extra = extra;
        m->least = bound;
        (void)improve_exactly(m);
        return m->least < bound;
}

static void widen(Improve *m) {
        unsigned extra = m->extra, all = extra + (unsigned)m->n_order * NODE_SET_MAX;
        int64_t least = m->least, best;

        if (!costs_less(m, all, least - least / (WORTH_PARTS + 1))) {
                m->extra = extra;
                m->least = least;
                return;
        }
        best = m->least;
        while (++extra < all && !costs_less(m, extra, best + best / WORTH_PARTS))
                ;
        if (extra == all)
                m->least = best;
        return_to_best(m);
}

int64_t improve_search(Improve *m) {
        m->least = improve_whole_cost(m);
        for (m->extra = 0; m->trials <= m->budget; m->extra++, m->spare++) {
                search(m);
                if (m->n_excess == 0 || m->extra > m->n_order)
                        break;
        }
        if (m->n_excess == 0)
                widen(m);
        return m->least;
}
