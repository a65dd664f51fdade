/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The explanations of a plan: for each guest a sentence, and a table of the
 * sets of nodes that came into question. A column in which no set has a value
 * is left out; what has no alternative needs no table.
 */

#include "parse.h"
#include "plan_text.h"

#include <inttypes.h>

typedef enum Column {
        COLUMN_NODES,
        COLUMN_MEMORY_ONLY,
        COLUMN_FITS,
        COLUMN_NEAR,
        COLUMN_REMOTE,
        COLUMN_HARM,
        COLUMN_DISTANCE,
        COLUMN_COMMITTED,
        COLUMN_LOAD,
        COLUMN_FREE,
        COLUMN_PROMISED,
        COLUMN_DECIDED_BY,
        _COLUMN_MAX,
} Column;

static const char *const column_names[_COLUMN_MAX] = {
        [COLUMN_NODES] = "nodes",       [COLUMN_MEMORY_ONLY] = "memory on", [COLUMN_FITS] = "fits",
        [COLUMN_NEAR] = "near",         [COLUMN_REMOTE] = "remote",         [COLUMN_HARM] = "harm",
        [COLUMN_DISTANCE] = "distance", [COLUMN_COMMITTED] = "committed",   [COLUMN_LOAD] = "busy",
        [COLUMN_FREE] = "free",         [COLUMN_PROMISED] = "promised",     [COLUMN_DECIDED_BY] = "decided by",
};

typedef struct Table {
        char *cells[PLAN_CANDIDATES_MAX][_COLUMN_MAX];  /* NULL: no value */
        size_t widths[_COLUMN_MAX];                     /* 0: not shown */
} Table;

static void table_done(Table *t) {
        for (size_t i = 0; i < PLAN_CANDIDATES_MAX; i++)
                for (size_t j = 0; j < _COLUMN_MAX; j++)
                        free(t->cells[i][j]);
}

static const char *fits_text(const PlanCandidate *c) {
        if (c->cpus_fit && c->memory_fits)
                return "yes";
        if (c->cpus_fit)
                return "no: memory";
        return c->memory_fits ? "no: CPUs" : "no: both";
}

static int percent_text(uint64_t permyriad, char **ret) {
        if (permyriad == UNKNOWN_U64)
                return 0;
        return strprintf_to(ret, "%" PRIu64 " %%", permyriad / 100);
}

static int committed_text(const PlanCandidate *c, char **ret) {
        unsigned tenth = (unsigned)(c->committed_milli % 1000 / 100);

        if (tenth == 0)
                return strprintf_to(ret, "%" PRIu64 " of %u", c->committed_milli / 1000, c->n_cpus);
        return strprintf_to(ret, "%" PRIu64 ".%u of %u", c->committed_milli / 1000, tenth, c->n_cpus);
}

static int cell_text(const PlanCandidate *c, Column column, char **ret) {
        char bytes[FORMAT_BYTES_MAX];

        switch (column) {
        case COLUMN_NODES:
                return plan_clean_text(c->nodes, ret);
        case COLUMN_FITS:
                return strprintf_to(ret, "%s", fits_text(c));
        case COLUMN_MEMORY_ONLY:
                return c->memory_only && *c->memory_only ? plan_clean_text(c->memory_only, ret) : 0;
        case COLUMN_NEAR:
                return c->near_distance == UNKNOWN_U64 ? 0 : strprintf_to(ret, "%" PRIu64, c->near_distance);
        case COLUMN_REMOTE:
                return percent_text(c->remote_permyriad, ret);
        case COLUMN_HARM:
                return percent_text(c->harm_permyriad, ret);
        case COLUMN_DISTANCE:
                return c->distance_tenths == 0 ? 0 : strprintf_to(ret, "%" PRIu64, c->distance_tenths / 10);
        case COLUMN_COMMITTED:
                return committed_text(c, ret);
        case COLUMN_LOAD:
                return percent_text(c->load_permyriad, ret);
        case COLUMN_FREE:
                if (c->free_bytes == UNKNOWN_U64)
                        return 0;
                return strprintf_to(ret, "%s", format_bytes_short(c->free_bytes, bytes));
        case COLUMN_PROMISED:
                if (c->promised_bytes == 0)
                        return 0;
                return strprintf_to(ret, "%s", format_bytes_short(c->promised_bytes, bytes));
        default:
                if (c->decided_by == TERM_NONE)
                        return 0;
                return strprintf_to(ret, "%s%s", placement_term_to_string(c->decided_by),
                                    c->better ? " (better)" : "");
        }
}

static int table_fill(Table *t, const PlanPlacement *p) {
        int r;

        for (size_t i = 0; i < p->n_candidates; i++)
                for (size_t j = 0; j < _COLUMN_MAX; j++) {
                        r = cell_text(&p->candidates[i], (Column)j, &t->cells[i][j]);
                        if (r < 0)
                                return r;
                        if (!t->cells[i][j])
                                continue;
                        t->widths[j] = MAX(t->widths[j], plan_text_width(t->cells[i][j]));
                        t->widths[j] = MAX(t->widths[j], plan_text_width(column_names[j]));
                }
        return 0;
}

/* @cells NULL: the heading. No white space at the end of the line. */
static void put_row(FILE *f, const Table *t, char *const *cells, bool chosen) {
        size_t gap = 0;

        (void)fputs(chosen ? "    * " : "      ", f);
        for (size_t j = 0; j < _COLUMN_MAX; j++) {
                const char *text = cells ? cells[j] ?: "-" : column_names[j];

                if (t->widths[j] == 0 || (j == COLUMN_DECIDED_BY && cells && !cells[j]))
                        continue;
                for (; gap > 0; gap--)
                        (void)fputc(' ', f);
                (void)fputs(text, f);
                gap = t->widths[j] - plan_text_width(text) + 2;
        }
        (void)fputc('\n', f);
}

static int put_placement(FILE *f, const PlanPlacement *p) {
        _cleanup_(table_done) Table t = { 0 };
        int r;

        (void)fputs("  ", f);
        plan_put_text(f, p->guest);
        (void)fputs(": ", f);
        plan_put_text(f, p->text);
        (void)fputc('\n', f);
        if (p->n_candidates < 2)
                return 0;
        r = table_fill(&t, p);
        if (r < 0)
                return r;
        put_row(f, &t, NULL, false);
        for (size_t i = 0; i < p->n_candidates; i++)
                put_row(f, &t, t.cells[i], p->candidates[i].chosen);
        if (p->n_more > 0)
                (void)fprintf(f, "      and %zu more\n", p->n_more);
        return 0;
}

int plan_put_placements(FILE *f, const Plan *p) {
        int r;

        if (p->n_placements > 0)
                (void)fprintf(f, "Placement (%zu):\n", p->n_placements);
        for (size_t i = 0; i < p->n_placements; i++) {
                r = put_placement(f, &p->placements[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* A number, or null when it is not known. */
static void put_number(FILE *f, const char *key, uint64_t value) {
        if (value == UNKNOWN_U64)
                (void)fprintf(f, ", \"%s\": null", key);
        else
                (void)fprintf(f, ", \"%s\": %" PRIu64, key, value);
}

static void put_bool(FILE *f, const char *key, bool value) {
        (void)fprintf(f, ", \"%s\": %s", key, value ? "true" : "false");
}

static void put_candidate_json(FILE *f, const PlanCandidate *c) {
        (void)fputs("{\"nodes\": ", f);
        plan_put_json(f, c->nodes);
        plan_put_json_member(f, "memory_only", c->memory_only ?: "");
        put_bool(f, "chosen", c->chosen);
        plan_put_json_member(f, "decided_by",
                             c->decided_by == TERM_NONE ? NULL : placement_term_to_string(c->decided_by));
        put_bool(f, "better", c->better);
        put_bool(f, "cpus_fit", c->cpus_fit);
        put_bool(f, "memory_fits", c->memory_fits);
        put_number(f, "node_count", c->n_nodes);
        put_number(f, "near_distance", c->near_distance);
        put_number(f, "remote_permyriad", c->remote_permyriad);
        put_number(f, "harm_permyriad", c->harm_permyriad);
        put_number(f, "distance_tenths", c->distance_tenths);
        put_number(f, "cpus", c->n_cpus);
        put_number(f, "committed_milli", c->committed_milli);
        put_number(f, "commit_permyriad", c->commit_permyriad);
        put_number(f, "load_permyriad", c->load_permyriad);
        put_number(f, "free_bytes", c->free_bytes);
        put_number(f, "promised_bytes", c->promised_bytes);
        (void)fputc('}', f);
}

static void put_placement_json(FILE *f, const PlanPlacement *p) {
        (void)fputs("{\"guest\": ", f);
        plan_put_json(f, p->guest);
        plan_put_json_member(f, "uuid", p->uuid);
        plan_put_json_member(f, "nodes", p->nodes);
        put_bool(f, "new", p->fresh);
        plan_put_json_member(f, "text", p->text);
        (void)fputs(", \"candidates\": [", f);
        for (size_t i = 0; i < p->n_candidates; i++) {
                (void)fputs(i == 0 ? "\n      " : ",\n      ", f);
                put_candidate_json(f, &p->candidates[i]);
        }
        (void)fprintf(f, "%s], \"more\": %zu}", p->n_candidates > 0 ? "\n    " : "", p->n_more);
}

void plan_put_placements_json(FILE *f, const Plan *p) {
        (void)fputs(",\n  \"placement\": [", f);
        for (size_t i = 0; i < p->n_placements; i++) {
                plan_put_json_separator(f, i, p->n_placements);
                put_placement_json(f, &p->placements[i]);
        }
        plan_put_json_separator(f, p->n_placements, p->n_placements);
}
