/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_improve_internal.h"

#include <inttypes.h>

/*
 * What the search begins with, and what becomes of its result
 * (policy_improve_cost.c, policy_improve_search.c).
 */

/*
 * Trials, each some tens of nanoseconds: so many a guest; at least so many in all, most starts of seven guests; and
 * at most so many: of thousands of guests the largest ones, which come first, have nearly all there is to gain.
 */
#define TRIALS_EACH 16U
#define TRIALS_LEAST 12000U
#define TRIALS_MOST 40000U

PlacementNode *improve_begin(const Placement *p) {
        PlacementNode *before = malloc(MAX(p->n_nodes, (size_t)1) * sizeof(*before));

        if (before && p->n_nodes > 0)
                memcpy(before, p->nodes, p->n_nodes * sizeof(*before));
        return before;
}

/* Nothing but CPUs and memory decides where it goes. */
static bool is_ordinary(const Placement *p, const PlacementGuest *g) {
        const Guest *guest = g->guest;
        IdSet unused;

        return p->plain && g->memo->n_cells == 0 && !memo_has_memory_only(g->memo) &&
               !g->has_near && !g->limited && !placement_memory_bound(p, guest, &unused);
}

static void init_fresh(Improve *m, Fresh *f, PlacementGuest *g) {
        IdSet unused;

        *f = (Fresh){ .guest = g, .set = g->dedicated ? SIZE_MAX : node_sets_find(&m->sets, memo_nodes(g->memo)) };
        f->first = f->best = f->set;
        f->overcommit_permyriad = setting(g->settings, KEY_CPU_OVERCOMMIT);
        f->mib = placement_need(g, &idset_none) / MIB;
        f->follows = placement_need_varies(g);
        f->free = f->set != SIZE_MAX && g->n_vcpus > 0 && !g->guest->hugepages && is_ordinary(m->p, g) &&
                  !placement_constraint(m->p, g->guest, &unused) && !placement_advised(m->p, g, &unused);
}

/* A set that has room for all @mib lacks none, whoever is put there: it need not be counted. */
static void forget_roomy(Improve *m, int64_t mib) {
        for (size_t i = 0; i < m->sets.n; i++) {
                NodeSet *s = &m->sets.sets[i];
                uint16_t *above = m->sets.above + s->above;
                size_t kept = 0;

                for (size_t k = 0; k < s->n_above; k++)
                        if (m->memory[above[k]].room_mib < mib)
                                above[kept++] = above[k];
                s->n_above = kept;
        }
}

static int init_rooms(Improve *m, int64_t mib) {
        m->memory = calloc(MAX(m->sets.n, (size_t)1), sizeof(*m->memory));
        if (!m->memory)
                return -ENOMEM;
        for (size_t i = 0; i < m->sets.n; i++) {
                const NodeSet *s = improve_set(m, i);
                int64_t *room = &m->memory[i].room_mib;

                for (unsigned k = 0; k < s->n; k++) {
                        const PlacementNode *n = &m->before[s->nodes[k]];

                        *room += n->memory_known ? (int64_t)(u64_sub(n->room_bytes, n->pending_bytes) / MIB) : mib;
                }
                m->tight = m->tight || *room < mib;
        }
        forget_roomy(m, mib);
        return 0;
}

static int improve_init(Improve *m, PlacementGuest *const *fresh, size_t n) {
        uint64_t vcpus = 0, mib = 0;
        unsigned farthest = 10;
        int r;

        r = node_sets_init(&m->sets, m->p);
        if (r < 0)
                return r;
        m->fresh = calloc(n, sizeof(*m->fresh));
        m->order = calloc(n, sizeof(*m->order));
        m->commit_milli = calloc(2 * m->p->n_nodes, sizeof(*m->commit_milli));
        if (!m->fresh || !m->order || !m->commit_milli)
                return -ENOMEM;
        m->searched_milli = m->commit_milli + m->p->n_nodes;
        for (size_t i = 0; i < m->p->n_nodes; i++) {
                m->commit_milli[i] = (int64_t)m->before[i].commit_milli;
                for (size_t k = 0; k < m->p->n_nodes; k++)
                        farthest = MAX(farthest, topology_distance(m->p->topology, i, k));
        }
        for (size_t i = 0; i < n; i++) {
                init_fresh(m, &m->fresh[i], fresh[i]);
                if (m->fresh[i].free)
                        m->order[m->n_order++] = i;
                vcpus += fresh[i]->n_vcpus;
                mib += m->fresh[i].mib;
        }
        m->n_fresh = n;
        m->budget = CLAMP(n * TRIALS_EACH, (size_t)TRIALS_LEAST, (size_t)TRIALS_MOST);
        r = init_rooms(m, (int64_t)mib);
        if (r < 0)
                return r;
        m->homeless_micro = (int64_t)u64_muldiv(vcpus * (farthest - 10), MICRO / 10, MAX(mib, UINT64_C(1)));
        for (size_t i = 0; i < n; i++)
                if (m->fresh[i].set != SIZE_MAX)
                        improve_put(m, &m->fresh[i], m->fresh[i].set, 1);
        memcpy(m->searched_milli, m->commit_milli, m->p->n_nodes * sizeof(*m->commit_milli));
        return 0;
}

static void improve_done(Improve *m) {
        node_sets_done(&m->sets);
        free(m->memory);
        free(m->fresh);
        free(m->order);
        free(m->commit_milli);
}

static int explain(const Improve *m, Fresh *f, int64_t before, int64_t after) {
        IdSet first = node_sets_ids(&m->sets, f->first), now = node_sets_ids(&m->sets, f->best);
        _cleanup_free_ char *a = NULL, *b = NULL;
        int r;

        r = idset_format(&now, &a);
        if (r >= 0)
                r = idset_format(&first, &b);
        if (r < 0)
                return r;
        /* So little is nothing but copying. */
        if (before - after < (int64_t)MICRO / 100)
                return placement_say(m->p, f->guest,
                                     "node%s %s: alone it would be on node%s %s; chosen together with the %zu other "
                                     "new guest%s, so that less memory has to be copied",
                                     idset_count(&now) == 1 ? "" : "s", a, idset_count(&first) == 1 ? "" : "s", b,
                                     m->n_fresh - 1, m->n_fresh == 2 ? "" : "s");
        return placement_say(m->p, f->guest,
                             "node%s %s: alone it would be on node%s %s; chosen together with the %zu other new "
                             "guest%s, for an expected cost of %" PRId64 ".%02" PRId64 " CPUs instead of %" PRId64
                             ".%02" PRId64, idset_count(&now) == 1 ? "" : "s", a, idset_count(&first) == 1 ? "" : "s",
                             b, m->n_fresh - 1, m->n_fresh == 2 ? "" : "s", after / (int64_t)MICRO,
                             after % (int64_t)MICRO / 10000, before / (int64_t)MICRO,
                             before % (int64_t)MICRO / 10000);
}

static int apply(Improve *m, int64_t before, int64_t after) {
        int r;

        memcpy(m->p->nodes, m->before, m->p->n_nodes * sizeof(*m->before));
        for (size_t i = 0; i < m->n_fresh; i++) {
                Fresh *f = &m->fresh[i];

                if (f->best != f->first) {
                        IdSet nodes = node_sets_ids(&m->sets, f->best);

                        r = explain(m, f, before, after);
                        if (r >= 0)
                                r = placement_put(m->p, f->guest, &nodes);
                        if (r < 0)
                                return r;
                }
                placement_account_nodes(m->p, f->guest, memo_nodes(f->guest->memo));
        }
        return 0;
}

int improve_placements(Placement *p, const PlacementNode *before, PlacementGuest *const *fresh, size_t n) {
        _cleanup_(improve_done) Improve m = { .p = p, .before = before };
        int64_t searched, improved;
        int r;

        if (n < 2 || p->n_nodes < 2)
                return 0;
        r = improve_init(&m, fresh, n);
        if (r < 0)
                return r;
        if (m.n_order < 2 || m.sets.n < 2)
                return 0;
        searched = improve_whole_cost(&m);
        improved = improve_search(&m);
        return improved + LEAST_GAIN <= searched ? apply(&m, searched, improved) : 0;
}
