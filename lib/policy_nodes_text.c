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

/* @n of @one parts: "3"; "3.25" where that alone tells it from @other. */
static void add_apart(Words *w, uint64_t n, uint64_t other, uint64_t one) {
        words_add_number(w, n / one);
        if (n == other || n / one != other / one)
                return;
        words_add(w, ".");
        for (uint64_t part = one / 10; part > 0; part /= 10)
                words_add_number(w, n / part % 10);
}

/* "40 % of its memory remote instead of 10 %" */
static void add_instead(Words *w, uint64_t a, const char *what, uint64_t b, const char *unit, uint64_t one) {
        add_apart(w, a, b, one);
        words_add(w, what);
        add_apart(w, b, a, one);
        words_add(w, unit);
}

/* "3.5 of 4 CPUs committed" */
static void add_committed(Words *w, const Candidate *c) {
        add_milli(w, c->commit_milli);
        words_add(w, " of ");
        words_add_number(w, c->n_cpus);
        words_add(w, " CPUs committed");
}

static void add_more_committed(Words *w, const Candidate *a, const Candidate *b) {
        if (a->n_cpus != b->n_cpus || a->commit_milli / 100 != b->commit_milli / 100)
                return add_committed(w, b);
        add_apart(w, b->commit_milli, a->commit_milli, PLACEMENT_MILLI);
        words_add(w, " of ");
        words_add_number(w, b->n_cpus);
        words_add(w, " CPUs committed instead of ");
        add_apart(w, a->commit_milli, b->commit_milli, PLACEMENT_MILLI);
}

/* What speaks against @b, and of the same what speaks for it. */
static void add_harm(Words *w, const Candidate *a, const Candidate *b) {
        uint64_t crowd_a = u64_sub(a->commit, PERMYRIAD_FULL), crowd_b = u64_sub(b->commit, PERMYRIAD_FULL);
        bool crowded = crowd_b > crowd_a, remote_differs = a->remote_permyriad / 100 != b->remote_permyriad / 100;
        bool more_remote = b->remote_permyriad > a->remote_permyriad && (remote_differs || !crowded);

        words_add(w, ": ");
        if (more_remote)
                add_instead(w, b->remote_permyriad, " % of its memory remote instead of ", a->remote_permyriad, " %",
                            100);
        if (crowded) {
                words_add(w, more_remote ? ", " : "");
                add_more_committed(w, a, b);
        }
        if (crowd_b < crowd_a)
                words_add(w, ", although fewer vCPUs would share a CPU");
        if (!remote_differs || b->remote_permyriad > a->remote_permyriad)
                return;
        words_add(w, ", although ");
        add_instead(w, b->remote_permyriad, " % of its memory would be remote instead of ", a->remote_permyriad, " %",
                    100);
}

static void add_nearness(Words *w, const Search *s) {
        words_add(w, ": distance ");
        words_add_number(w, s->second.near);
        words_add(w, s->g->guest->vfio ? " to its devices instead of " : " to its memory instead of ");
        words_add_number(w, s->best.near);
}

static void add_too_small(Words *w, const Search *s, const Candidate *c) {
        bool few_cpus = placement_wanted(s->g) > c->n_cpus;

        if (few_cpus || !c->memory_fits) {
                words_add(w, ": too small (");
                if (few_cpus) {
                        words_add_number(w, c->n_cpus);
                        words_add(w, c->n_cpus == 1 ? " CPU" : " CPUs");
                }
                if (!c->memory_fits) {
                        words_add(w, few_cpus ? ", " : "");
                        words_add_bytes(w, c->room_bytes);
                        words_add(w, " free");
                }
                return words_add(w, ")");
        }
        if (c->unfit_cells > 0)
                return words_add(w, ": a NUMA cell of it has more vCPUs than its node has CPUs");
        words_add(w, ": ");
        add_committed(w, c);
        words_add(w, ", with it more than cpu.overcommit allows");
}

static void add_promises(Words *w, const Candidate *c) {
        if (c->promised_bytes == 0)
                return words_add(w, ": no room for all that the guest may still touch");
        words_add(w, ": ");
        words_add_bytes(w, c->promised_bytes);
        words_add(w, " of its memory are promised to guests that run");
}

/* By how much: in short form two amounts may look the same. */
static void add_less_free(Words *w, const Search *s) {
        const Candidate *a = &s->best, *b = &s->second;
        bool promised = !s->ignore_memory && a->promised_bytes != b->promised_bytes && !s->g->guest->hugepages;

        words_add_bytes(w, s->ignore_memory ? u64_sub(a->room_bytes, b->room_bytes) : u64_sub(a->spare, b->spare));
        words_add(w, promised ? " less free that nobody was promised" : " less free");
}

/* Why the second best was not taken. */
static void add_rejected(Words *w, const Search *s, PlacementTerm term) {
        const Candidate *a = &s->best, *b = &s->second;
        bool several = b->n > 1;

        words_add_nodes(w, &b->nodes);
        switch (term) {
        case TERM_FITS:
                return add_too_small(w, s, b);
        case TERM_SIZE:
                return words_add(w, ": more nodes than needed");
        case TERM_PROMISED:
                return add_promises(w, b);
        case TERM_NEAR:
                return add_nearness(w, s);
        case TERM_HARM:
                return add_harm(w, a, b);
        case TERM_DISTANCE:
                words_add(w, ": mean distance ");
                return add_instead(w, b->distance, " instead of ", a->distance, "", 10);
        case TERM_COMMIT:
                words_add(w, several ? " have " : " has ");
                return add_more_committed(w, a, b);
        case TERM_LOAD:
                words_add(w, several ? " are " : " is ");
                return add_instead(w, b->load, " % busy instead of ", a->load, " %", 100);
        case TERM_ROOM:
                words_add(w, several ? " have " : " has ");
                return add_less_free(w, s);
        default:
                words_add(w, several ? " are" : " is");
                return words_add(w, " equal, the lower number wins");
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
