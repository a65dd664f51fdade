/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_nodes.h"
#include "policy_words.h"

/*
 * The choice in words: what the chosen nodes have, and what the next best ones lack.
 */

/* 3500 -> "3.5", 3000 -> "3". */
static void add_milli(Words *w, uint64_t milli) {
        uint64_t tenth = milli % PLACEMENT_MILLI / 100;

        words_add_number(w, milli / PLACEMENT_MILLI);
        if (tenth == 0)
                return;
        words_add(w, ".");
        words_add_number(w, tenth);
}

int placement_format_nodes(const IdSet *nodes, char **ret) {
        Words w = { 0 };

        words_add_nodes(&w, nodes);
        return words_take(&w, ret);
}

/* "40 % of its memory remote instead of 10 %" */
static void add_instead(Words *w, uint64_t a, const char *what, uint64_t b, const char *unit) {
        words_add_number(w, a);
        words_add(w, what);
        words_add_number(w, b);
        words_add(w, unit);
}

/* "3.5 of 4" */
static void add_committed(Words *w, const Candidate *c) {
        add_milli(w, c->commit_milli);
        words_add(w, " of ");
        words_add_number(w, c->n_cpus);
}

static void add_harm(Words *w, const Candidate *a, const Candidate *b) {
        words_add(w, ": ");
        add_instead(w, b->remote_permyriad / 100, " % of its memory remote instead of ", a->remote_permyriad / 100,
                    " %, ");
        add_committed(w, b);
        words_add(w, " CPUs committed");
}

static void add_nearness(Words *w, const Search *s) {
        words_add(w, ": distance ");
        words_add_number(w, s->second.near);
        words_add(w, s->g->guest->vfio ? " to its devices instead of " : " to its memory instead of ");
        words_add_number(w, s->best.near);
}

static void add_too_small(Words *w, const Candidate *c) {
        words_add(w, ": too small (");
        words_add_number(w, c->n_cpus);
        words_add(w, " CPUs, ");
        words_add_bytes(w, c->room_bytes);
        words_add(w, " free)");
}

/* Why the second best was not taken. */
static void add_rejected(Words *w, const Search *s, PlacementTerm term) {
        const Candidate *a = &s->best, *b = &s->second;

        words_add_nodes(w, &b->nodes);
        switch (term) {
        case TERM_FITS:
                return add_too_small(w, b);
        case TERM_SIZE:
                return words_add(w, ": more nodes than needed");
        case TERM_PROMISED:
                words_add(w, ": ");
                words_add_bytes(w, b->promised_bytes);
                return words_add(w, " of its memory are promised to guests that run");
        case TERM_NEAR:
                return add_nearness(w, s);
        case TERM_HARM:
                return add_harm(w, a, b);
        case TERM_DISTANCE:
                words_add(w, ": mean distance ");
                return add_instead(w, b->distance / 10, " instead of ", a->distance / 10, "");
        case TERM_COMMIT:
                words_add(w, " has ");
                add_committed(w, b);
                return words_add(w, " committed");
        case TERM_LOAD:
                words_add(w, " is ");
                return add_instead(w, b->load / 100, " % busy instead of ", a->load / 100, " %");
        case TERM_ROOM:
                words_add(w, " has ");
                words_add_bytes(w, b->room_bytes);
                return words_add(w, " free");
        default:
                return words_add(w, " is equal, the lower number wins");
        }
}

static const char *room_remark(const Search *s) {
        if (s->ignore_memory && !s->best.memory_fits)
                return " (no set of nodes has room for all its memory)";
        return s->best.n_extra > 0 ? " with memory-only nodes, which no set does without" : "";
}

static int add_cells(Words *w, const GuestMemo *m) {
        _cleanup_free_ char *cells = NULL;
        int r;

        r = cells_format(m, &cells);
        if (r < 0 || !cells)
                return r;
        words_add(w, cells);
        words_add(w, "; ");
        return 0;
}

/* "2 vCPUs fit, 3.5 of 4 CPUs committed" */
static void add_cpus(Words *w, const Search *s) {
        const Candidate *c = &s->best;

        words_add_number(w, s->g->n_vcpus);
        words_add(w, s->g->n_vcpus == 1 ? " vCPU " : " vCPUs ");
        words_add(w, s->g->n_vcpus <= c->n_cpus ? "fit, " : "are more than the CPUs they can have, ");
        add_committed(w, c);
        words_add(w, " CPUs committed");
        if (s->ignore_overcommit)
                words_add(w, " (cpu.overcommit is exceeded on every set of nodes)");
}

int placement_format_choice(const Search *s, const char **ret) {
        const Candidate *c = &s->best;
        PlacementTerm term;
        Words w = { 0 };
        int r;

        words_add_nodes(&w, &c->nodes);
        words_add(&w, ": ");
        r = add_cells(&w, s->g->memo);
        add_cpus(&w, s);
        if (c->room_bytes != UINT64_MAX) {
                words_add(&w, ", ");
                words_add_bytes(&w, c->room_bytes);
                words_add(&w, " free");
                words_add(&w, room_remark(s));
        }
        if (c->n > 1 && c->fits && s->g->memo->n_cells == 0)
                words_add(&w, "; fewer nodes do not fit");
        if (s->n_candidates > 1) {
                (void)candidate_order(s, c, &s->second, &term);
                words_add(&w, "; ");
                add_rejected(&w, s, term);
        }
        w.failed = w.failed || r < 0;
        return words_keep(&w, s->p->texts, ret);
}
