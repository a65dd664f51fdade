/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metrics_text.h"

#include <stdio.h>

#include "draw_internal.h"

/* Rules with a series of their own. */
#define RULES_MAX 200U

typedef enum Family {
        FAMILY_BUILD_INFO, FAMILY_LAST_CYCLE, FAMILY_CYCLES, FAMILY_CYCLE_SECONDS, FAMILY_CONNECTED, FAMILY_PAUSED,
        FAMILY_DRY_RUN, FAMILY_ACTIONS, FAMILY_SKIPS, FAMILY_SKIPPED, FAMILY_MOVES, FAMILY_RESTORED, FAMILY_OWNED,
        FAMILY_RULE_ACTIVE, FAMILY_GUESTS, FAMILY_UNLISTED, FAMILY_VCPUS, FAMILY_NODE_CPUS, FAMILY_NODE_VCPUS,
        FAMILY_NODE_BUSY, FAMILY_NODE_MEMORY, FAMILY_NODE_FREE, FAMILY_NODE_GUESTS, FAMILY_KSM_PROFIT,
        FAMILY_GUEST_VCPUS, FAMILY_GUEST_BUSY, FAMILY_GUEST_WAIT, FAMILY_GUEST_MEMORY, FAMILY_GUEST_MAXIMUM,
        FAMILY_GUEST_RESIDENT, FAMILY_GUEST_USABLE, FAMILY_GUEST_REMOTE, FAMILY_GUEST_OWNED, _FAMILY_MAX,
} Family;

const MetricsFamily metrics_families[] = {
        [FAMILY_BUILD_INFO] = { "kvmtuned_build_info", METRICS_GAUGE, "Always 1; the version is a label." },
        [FAMILY_LAST_CYCLE] = { "kvmtuned_last_cycle_timestamp_seconds", METRICS_GAUGE,
                                "When the last cycle began; 0 before the first." },
        [FAMILY_CYCLES] = { "kvmtuned_cycles_total", METRICS_COUNTER, "Cycles that looked at all guests." },
        [FAMILY_CYCLE_SECONDS] = { "kvmtuned_cycle_seconds_total", METRICS_COUNTER,
                                   "Time spent in cycles: observing, deciding, sending off." },
        [FAMILY_CONNECTED] = { "kvmtuned_libvirt_connected", METRICS_GAUGE, "1 while libvirt answers." },
        [FAMILY_PAUSED] = { "kvmtuned_paused", METRICS_GAUGE,
                            "1 while nothing is decided because somebody asked for it." },
        [FAMILY_DRY_RUN] = { "kvmtuned_dry_run", METRICS_GAUGE, "1 when nothing is changed." },
        [FAMILY_ACTIONS] = { "kvmtuned_actions_total", METRICS_COUNTER, "Changes, by kind and result." },
        [FAMILY_SKIPS] = { "kvmtuned_skips_total", METRICS_COUNTER,
                           "What was asked for and not done, by reason; one that goes on counts once." },
        [FAMILY_SKIPPED] = { "kvmtuned_skipped", METRICS_GAUGE,
                             "What was asked for and not done in the last decision, by reason." },
        [FAMILY_MOVES] = { "kvmtuned_moves_total", METRICS_COUNTER,
                           "Moves of running guests that were measured afterwards, by cause and result." },
        [FAMILY_RESTORED] = { "kvmtuned_restored_total", METRICS_COUNTER, "Values from before that were put back." },
        [FAMILY_OWNED] = { "kvmtuned_owned", METRICS_GAUGE,
                           "Values that are changed now and will be put back, by kind." },
        [FAMILY_RULE_ACTIVE] = { "kvmtuned_rule_active", METRICS_GAUGE, "1 while a rule holds." },
        [FAMILY_GUESTS] = { "kvmtuned_guests", METRICS_GAUGE, "Guests that libvirt has running or paused." },
        [FAMILY_UNLISTED] = { "kvmtuned_guests_without_series", METRICS_GAUGE,
                              "Guests that are managed and have no series of their own." },
        [FAMILY_VCPUS] = { "kvmtuned_vcpus", METRICS_GAUGE, "vCPUs online, of all guests." },
        [FAMILY_NODE_CPUS] = { "kvmtuned_node_cpus", METRICS_GAUGE, "CPUs online on a node." },
        [FAMILY_NODE_VCPUS] = { "kvmtuned_node_vcpus", METRICS_GAUGE,
                                "vCPUs on a node; one that may run on several counts in parts." },
        [FAMILY_NODE_BUSY] = { "kvmtuned_node_cpu_busy_ratio", METRICS_GAUGE, "Mean load of a node's CPUs." },
        [FAMILY_NODE_MEMORY] = { "kvmtuned_node_memory_bytes", METRICS_GAUGE, "Memory of a node." },
        [FAMILY_NODE_FREE] = { "kvmtuned_node_memory_free_bytes", METRICS_GAUGE,
                               "Free memory of a node and page cache that can be reclaimed." },
        [FAMILY_NODE_GUESTS] = { "kvmtuned_node_guest_memory_bytes", METRICS_GAUGE, "Memory of guests on a node." },
        [FAMILY_KSM_PROFIT] = { "kvmtuned_ksm_profit_bytes", METRICS_GAUGE,
                                "Memory that KSM saves, less what it needs." },
        [FAMILY_GUEST_VCPUS] = { "kvmtuned_guest_vcpus", METRICS_GAUGE, "vCPUs online." },
        [FAMILY_GUEST_BUSY] = { "kvmtuned_guest_cpu_busy_ratio", METRICS_GAUGE, "Mean load of the vCPUs." },
        [FAMILY_GUEST_WAIT] = { "kvmtuned_guest_cpu_wait_ratio", METRICS_GAUGE,
                                "Mean part of the time in which a vCPU could run and waited for a CPU." },
        [FAMILY_GUEST_MEMORY] = { "kvmtuned_guest_memory_bytes", METRICS_GAUGE,
                                  "What the balloon leaves to the guest." },
        [FAMILY_GUEST_MAXIMUM] = { "kvmtuned_guest_memory_maximum_bytes", METRICS_GAUGE, "The most it can have." },
        [FAMILY_GUEST_RESIDENT] = { "kvmtuned_guest_memory_resident_bytes", METRICS_GAUGE,
                                    "What it takes on the host." },
        [FAMILY_GUEST_USABLE] = { "kvmtuned_guest_memory_usable_bytes", METRICS_GAUGE,
                                  "Usable without swapping, as the guest says." },
        [FAMILY_GUEST_REMOTE] = { "kvmtuned_guest_memory_remote_ratio", METRICS_GAUGE,
                                  "Part of its memory that is not on the nodes of its vCPUs." },
        [FAMILY_GUEST_OWNED] = { "kvmtuned_guest_owned", METRICS_GAUGE,
                                 "Values of the guest that are changed now and will be put back." },
};
const size_t n_metrics_families = ELEMENTSOF(metrics_families);

typedef struct Out {
        FILE *f;
        const MetricsInput *in;
        const Drawing *d;
        size_t *listed;         /* indices into d->guests, by name */
        size_t n_listed, n_managed;
        uint64_t *owned;        /* knobs, parallel to d->guests */
} Out;

/* ---- writing --------------------------------------------------------------- */

static void begin(const Out *o, Family family) {
        const MetricsFamily *m = &metrics_families[family];

        (void)fprintf(o->f, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name,
                      m->type == METRICS_COUNTER ? "counter" : "gauge");
}

/* The format escapes these three in the value of a label, and nothing else. */
static void put_label(const Out *o, const char *label, const char *value) {
        (void)fprintf(o->f, "%s=\"", label);
        for (; *value; value++)
                if (*value == '\n')
                        (void)fputs("\\n", o->f);
                else if (*value == '"' || *value == '\\')
                        (void)fprintf(o->f, "\\%c", *value);
                else
                        (void)fputc(*value, o->f);
        (void)fputc('"', o->f);
}

/* Up to two labels; NULL: none. The value follows. */
static void put_name(const Out *o, Family family, const char *label, const char *value, const char *label2,
                     const char *value2) {
        (void)fputs(metrics_families[family].name, o->f);
        if (label) {
                (void)fputc('{', o->f);
                put_label(o, label, value);
                if (label2) {
                        (void)fputc(',', o->f);
                        put_label(o, label2, value2);
                }
                (void)fputc('}', o->f);
        }
        (void)fputc(' ', o->f);
}

static void put_u64(const Out *o, uint64_t v) {
        (void)fprintf(o->f, "%llu\n", (unsigned long long)v);
}

/* @v in units of 1 / @scale: exact, and the same in every locale. */
static void put_fraction(const Out *o, uint64_t v, uint64_t scale, int digits) {
        (void)fprintf(o->f, "%llu.%0*llu\n", (unsigned long long)(v / scale), digits,
                      (unsigned long long)(v % scale));
}

static void put_ratio(const Out *o, uint64_t permyriad) {
        put_fraction(o, permyriad, PERMYRIAD_FULL, 4);
}

static void put_seconds(const Out *o, uint64_t usec) {
        put_fraction(o, usec, USEC_PER_SEC, 6);
}

static void put_single(const Out *o, Family family, uint64_t v) {
        begin(o, family);
        put_name(o, family, NULL, NULL, NULL, NULL);
        put_u64(o, v);
}

/* ---- the daemon ------------------------------------------------------------ */

static void put_daemon(const Out *o) {
        const MetricsInput *in = o->in;

        begin(o, FAMILY_BUILD_INFO);
        put_name(o, FAMILY_BUILD_INFO, "version", in->version, NULL, NULL);
        put_u64(o, 1);
        begin(o, FAMILY_LAST_CYCLE);
        put_name(o, FAMILY_LAST_CYCLE, NULL, NULL, NULL, NULL);
        put_seconds(o, in->cycle_realtime_usec);
        put_single(o, FAMILY_CYCLES, in->counters->cycles);
        begin(o, FAMILY_CYCLE_SECONDS);
        put_name(o, FAMILY_CYCLE_SECONDS, NULL, NULL, NULL, NULL);
        put_seconds(o, in->counters->cycles_usec);
        put_single(o, FAMILY_CONNECTED, in->connected);
        put_single(o, FAMILY_PAUSED, in->paused);
        put_single(o, FAMILY_DRY_RUN, in->dry_run);
}

static void put_actions(const Out *o) {
        begin(o, FAMILY_ACTIONS);
        for (int kind = 0; kind < _ACTION_KIND_MAX; kind++) {
                put_name(o, FAMILY_ACTIONS, "action", action_kind_to_string((ActionKind)kind), "result", "done");
                put_u64(o, o->in->counters->done[kind]);
                put_name(o, FAMILY_ACTIONS, "action", action_kind_to_string((ActionKind)kind), "result", "failed");
                put_u64(o, o->in->counters->failed[kind]);
        }
}

static void put_reasons(const Out *o, Family family, const uint64_t *counts) {
        begin(o, family);
        for (int why = 0; why < _SKIP_REASON_MAX; why++) {
                put_name(o, family, "reason", skip_reason_to_string((SkipReason)why), NULL, NULL);
                put_u64(o, counts[why]);
        }
}

static void put_moves(const Out *o) {
        begin(o, FAMILY_MOVES);
        for (int cause = MOVE_NONE + 1; cause < _MOVE_CAUSE_MAX; cause++) {
                put_name(o, FAMILY_MOVES, "cause", move_cause_to_string((MoveCause)cause), "result", "gained");
                put_u64(o, o->in->counters->gained[cause]);
                put_name(o, FAMILY_MOVES, "cause", move_cause_to_string((MoveCause)cause), "result", "not_gained");
                put_u64(o, o->in->counters->not_gained[cause]);
        }
}

static void put_owned(const Out *o) {
        uint64_t counts[_ACTION_KIND_MAX] = { 0 };

        for (size_t i = 0; i < o->in->state->n_owned; i++)
                counts[o->in->state->owned[i].kind]++;
        begin(o, FAMILY_OWNED);
        for (int kind = 0; kind < _ACTION_KIND_MAX; kind++) {
                put_name(o, FAMILY_OWNED, "action", action_kind_to_string((ActionKind)kind), NULL, NULL);
                put_u64(o, counts[kind]);
        }
}

static void put_rules(const Out *o) {
        if (!o->in->rules_active || o->in->config->n_rules == 0)
                return;
        begin(o, FAMILY_RULE_ACTIVE);
        for (size_t i = 0; i < MIN(o->in->config->n_rules, (size_t)RULES_MAX); i++) {
                put_name(o, FAMILY_RULE_ACTIVE, "rule", o->in->config->rules[i].name, NULL, NULL);
                put_u64(o, o->in->rules_active[i]);
        }
}

/* ---- nodes ----------------------------------------------------------------- */

static void put_node_value(const Out *o, Family family, const DrawNode *n) {
        char id[16];

        if ((family == FAMILY_NODE_BUSY && n->busy_permyriad == UNKNOWN_PERMYRIAD) ||
            (family == FAMILY_NODE_FREE && n->free_bytes == UNKNOWN_U64))
                return;
        (void)snprintf(id, sizeof(id), "%u", n->id);
        put_name(o, family, "node", id, NULL, NULL);
        switch (family) {
        case FAMILY_NODE_CPUS:
                put_u64(o, n->n_cpus);
                break;
        case FAMILY_NODE_VCPUS:
                put_fraction(o, n->vcpus_milli, 1000, 3);
                break;
        case FAMILY_NODE_BUSY:
                put_ratio(o, n->busy_permyriad);
                break;
        case FAMILY_NODE_MEMORY:
                put_u64(o, n->total_bytes);
                break;
        case FAMILY_NODE_FREE:
                put_u64(o, n->free_bytes);
                break;
        default:
                put_u64(o, n->guests_bytes);
        }
}

static void put_nodes(const Out *o) {
        for (Family family = FAMILY_NODE_CPUS; family <= FAMILY_NODE_GUESTS; family++) {
                begin(o, family);
                for (size_t i = 0; i < o->d->n_nodes; i++)
                        put_node_value(o, family, &o->d->nodes[i]);
        }
}

/* ---- guests ---------------------------------------------------------------- */

static uint64_t mean_wait(const Guest *g) {
        uint64_t sum = 0, n = 0;

        for (size_t i = 0; i < g->n_vcpus; i++)
                if (g->vcpus[i].online && g->vcpus[i].wait_permyriad != UNKNOWN_PERMYRIAD) {
                        sum += g->vcpus[i].wait_permyriad;
                        n++;
                }
        return n > 0 ? sum / n : UNKNOWN_U64;
}

/* UNKNOWN_U64: no sample. Ratios in permyriad. */
static uint64_t guest_value(const Out *o, Family family, size_t i) {
        const DrawGuest *g = &o->d->guests[i];

        switch (family) {
        case FAMILY_GUEST_VCPUS:
                return g->vcpus;
        case FAMILY_GUEST_BUSY:
                return g->busy_permyriad == UNKNOWN_U64 || g->vcpus == 0 ? UNKNOWN_U64 : g->busy_permyriad / g->vcpus;
        case FAMILY_GUEST_WAIT:
                return mean_wait(g->guest);
        case FAMILY_GUEST_MEMORY:
                return g->guest->current_bytes;
        case FAMILY_GUEST_MAXIMUM:
                return g->guest->max_bytes;
        case FAMILY_GUEST_RESIDENT:
                return g->memory_bytes;
        case FAMILY_GUEST_USABLE:
                return g->guest->stats.usable_bytes;
        case FAMILY_GUEST_REMOTE:
                return g->placed_bytes == 0 ? UNKNOWN_U64
                                            : u64_muldiv(u64_sub(g->placed_bytes, g->local_bytes), PERMYRIAD_FULL,
                                                         g->placed_bytes);
        default:
                return o->owned[i];
        }
}

static void put_guests(const Out *o) {
        for (Family family = FAMILY_GUEST_VCPUS; family <= FAMILY_GUEST_OWNED && o->n_listed > 0; family++) {
                begin(o, family);
                for (size_t k = 0; k < o->n_listed; k++) {
                        uint64_t v = guest_value(o, family, o->listed[k]);

                        if (v == UNKNOWN_U64)
                                continue;
                        put_name(o, family, "guest", o->d->guests[o->listed[k]].name, NULL, NULL);
                        if (family == FAMILY_GUEST_BUSY || family == FAMILY_GUEST_WAIT ||
                            family == FAMILY_GUEST_REMOTE)
                                put_ratio(o, v);
                        else
                                put_u64(o, v);
                }
        }
}

/* ---- who is listed --------------------------------------------------------- */

static bool is_managed(const Out *o, size_t i) {
        const GuestMemo *memo = state_find_guest(o->in->state, o->d->guests[i].guest->uuid);

        return o->owned[i] > 0 || (memo && (memo_is_placed(memo) || memo_has_cpus(memo)));
}

static uint64_t size_of(const DrawGuest *g) {
        return g->memory_bytes == UNKNOWN_U64 ? 0 : g->memory_bytes;
}

static int compare_sizes(const void *a, const void *b, void *userdata) {
        size_t i = *(const size_t *)a, k = *(const size_t *)b;
        const Drawing *d = userdata;
        uint64_t x = size_of(&d->guests[i]), y = size_of(&d->guests[k]);

        if (x != y)
                return x > y ? -1 : 1;
        return (i > k) - (i < k);
}

static int compare_indices(const void *a, const void *b) {
        size_t x = *(const size_t *)a, y = *(const size_t *)b;

        return (x > y) - (x < y);
}

typedef struct GuestIndex {
        const char *uuid;
        size_t i;
} GuestIndex;

static int compare_uuids(const void *a, const void *b) {
        return strcmp(((const GuestIndex *)a)->uuid, ((const GuestIndex *)b)->uuid);
}

/* Records are sorted by kind, guests by name: looked up by uuid, so that many of both cost little. */
static int count_owned(Out *o) {
        size_t n = o->d->n_guests;
        _cleanup_free_ GuestIndex *index = calloc(n + 1, sizeof(*index));

        o->owned = calloc(n + 1, sizeof(*o->owned));
        if (!o->owned || !index)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                index[i] = (GuestIndex){ o->d->guests[i].guest->uuid, i };
        qsort(index, n, sizeof(*index), compare_uuids);
        for (size_t i = 0; i < o->in->state->n_owned; i++) {
                GuestIndex key = { o->in->state->owned[i].uuid, 0 };
                const GuestIndex *found = bsearch(&key, index, n, sizeof(*index), compare_uuids);

                if (found)
                        o->owned[found->i]++;
        }
        return 0;
}

static int list_guests(Out *o) {
        int r;

        r = count_owned(o);
        if (r < 0)
                return r;
        o->listed = calloc(o->d->n_guests + 1, sizeof(*o->listed));
        if (!o->listed)
                return -ENOMEM;
        for (size_t i = 0; i < o->d->n_guests; i++)
                if (is_managed(o, i))
                        o->listed[o->n_managed++] = i;
        qsort_r(o->listed, o->n_managed, sizeof(*o->listed), compare_sizes, (void *)o->d);
        o->n_listed = (size_t)MIN((uint64_t)o->n_managed, o->in->guests_max);
        qsort(o->listed, o->n_listed, sizeof(*o->listed), compare_indices);
        return 0;
}

/* ---- the whole ------------------------------------------------------------- */

static void put_all(const Out *o) {
        put_daemon(o);
        put_actions(o);
        put_reasons(o, FAMILY_SKIPS, o->in->counters->skips);
        put_reasons(o, FAMILY_SKIPPED, o->in->counters->skipped);
        put_moves(o);
        put_single(o, FAMILY_RESTORED, o->in->counters->restored);
        put_owned(o);
        put_rules(o);
        put_single(o, FAMILY_GUESTS, o->d->n_guests);
        put_single(o, FAMILY_UNLISTED, o->n_managed - o->n_listed);
        put_single(o, FAMILY_VCPUS, o->d->vcpus);
        put_nodes(o);
        if (o->in->snapshot->host.ksm.present) {
                begin(o, FAMILY_KSM_PROFIT);
                put_name(o, FAMILY_KSM_PROFIT, NULL, NULL, NULL, NULL);
                (void)fprintf(o->f, "%lld\n", (long long)ksm_profit_bytes(&o->in->snapshot->host.ksm));
        }
        put_guests(o);
}

int metrics_format(const MetricsInput *in, char **ret) {
        _cleanup_(drawing_freep) Drawing *d = NULL;
        _cleanup_free_ char *text = NULL;
        Out o = { .in = in };
        size_t size;
        int r;

        r = drawing_new(in->snapshot, in->state, in->config, &d);
        if (r < 0)
                return r;
        o.d = d;
        r = list_guests(&o);
        if (r >= 0) {
                o.f = open_memstream(&text, &size);
                r = o.f ? 0 : -ENOMEM;
        }
        if (r >= 0) {
                put_all(&o);
                r = fclose(o.f) == 0 ? 0 : -ENOMEM;
        }
        free(o.owned);
        free(o.listed);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(text);
        return 0;
}
