/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "parse.h"
#include "policy_nodes.h"

/*
 * The choice in words: what the chosen nodes have, and what the next best ones lack.
 */

/* 3500 -> "3.5", 3000 -> "3". */
static int format_milli(uint64_t milli, char **ret) {
        unsigned whole = (unsigned)(milli / PLACEMENT_MILLI), tenth = (unsigned)(milli % PLACEMENT_MILLI / 100);

        return tenth > 0 ? strprintf_to(ret, "%u.%u", whole, tenth) : strprintf_to(ret, "%u", whole);
}

int placement_format_nodes(const IdSet *nodes, char **ret) {
        _cleanup_free_ char *list = NULL;
        int r;

        r = idset_format(nodes, &list);
        if (r < 0)
                return r;
        return strprintf_to(ret, "node%s %s", idset_count(nodes) == 1 ? "" : "s", list);
}

/* Why the second best was not taken. */
static int format_rejected(const Search *s, PlacementTerm term, char **ret) {
        const Candidate *a = &s->best, *b = &s->second;
        _cleanup_free_ char *nodes = NULL, *commit = NULL;
        char room[FORMAT_BYTES_MAX];
        int r;

        r = placement_format_nodes(&b->nodes, &nodes);
        if (r < 0)
                return r;
        r = format_milli(b->commit_milli, &commit);
        if (r < 0)
                return r;
        switch (term) {
        case TERM_FITS:
                return strprintf_to(ret, "%s: too small (%u CPUs, %s free)", nodes, b->n_cpus,
                                    format_bytes_short(b->room_bytes, room));
        case TERM_SIZE:
                return strprintf_to(ret, "%s: more nodes than needed", nodes);
        case TERM_PROMISED:
                return strprintf_to(ret, "%s: %s of its memory are promised to guests that run", nodes,
                                    format_bytes_short(b->promised_bytes, room));
        case TERM_NEAR:
                return strprintf_to(ret, "%s: distance %u to its %s instead of %u", nodes, (unsigned)b->near,
                                    s->g->guest->vfio ? "devices" : "memory", (unsigned)a->near);
        case TERM_HARM:
                return strprintf_to(ret, "%s: %u %% of its memory remote instead of %u %%, %s of %u CPUs committed",
                                    nodes, (unsigned)b->remote_permyriad / 100,
                                    (unsigned)a->remote_permyriad / 100, commit, b->n_cpus);
        case TERM_DISTANCE:
                return strprintf_to(ret, "%s: mean distance %u instead of %u", nodes,
                                    (unsigned)b->distance / 10, (unsigned)a->distance / 10);
        case TERM_COMMIT:
                return strprintf_to(ret, "%s has %s of %u committed", nodes, commit, b->n_cpus);
        case TERM_LOAD:
                return strprintf_to(ret, "%s is %u %% busy instead of %u %%", nodes, (unsigned)b->load / 100,
                                    (unsigned)a->load / 100);
        case TERM_ROOM:
                return strprintf_to(ret, "%s has %s free", nodes, format_bytes_short(b->room_bytes, room));
        default:
                return strprintf_to(ret, "%s is equal, the lower number wins", nodes);
        }
}

static const char *room_remark(const Search *s) {
        if (s->ignore_memory && !s->best.memory_fits)
                return " (no set of nodes has room for all its memory)";
        return s->best.n_extra > 0 ? " with memory-only nodes, which no set does without" : "";
}

int placement_format_choice(const Search *s, char **ret) {
        _cleanup_free_ char *nodes = NULL, *commit = NULL, *rejected = NULL, *room = NULL, *cells = NULL;
        const Candidate *c = &s->best;
        char bytes[FORMAT_BYTES_MAX];
        PlacementTerm term;
        int r;

        r = placement_format_nodes(&c->nodes, &nodes);
        if (r >= 0)
                r = format_milli(c->commit_milli, &commit);
        if (r >= 0)
                r = cells_format(s->g->memo, &cells);
        if (r >= 0 && c->room_bytes != UINT64_MAX)
                r = strprintf_to(&room, ", %s free%s", format_bytes_short(c->room_bytes, bytes), room_remark(s));
        if (r >= 0 && s->n_candidates > 1) {
                _cleanup_free_ char *why = NULL;

                (void)candidate_order(s, c, &s->second, &term);
                r = format_rejected(s, term, &why);
                if (r >= 0)
                        r = strprintf_to(&rejected, "; %s", why);
        }
        if (r < 0)
                return r;
        return strprintf_to(ret, "%s: %s%s%u vCPU%s %s, %s of %u CPUs committed%s%s%s%s", nodes, cells ?: "",
                            cells ? "; " : "", s->g->n_vcpus, s->g->n_vcpus == 1 ? "" : "s",
                            s->g->n_vcpus <= c->n_cpus ? "fit" : "are more than the CPUs they can have", commit, c->n_cpus,
                            s->ignore_overcommit ? " (cpu.overcommit is exceeded on every set of nodes)" : "", room ?: "",
                            c->n > 1 && c->fits && !cells ? "; fewer nodes do not fit" : "", rejected ?: "");
}
