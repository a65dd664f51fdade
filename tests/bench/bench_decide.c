/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What one decision costs: the whole of policy_decide() with every controller
 * on, for a growing number of guests on one big host and each cpu.policy (of
 * dedicated guests only the first ones find CPUs; the others ask each time).
 * Two figures each, in CPU time, the fastest of five: the first decision (every
 * guest is new, and placed) and a steady one (nothing changes). Prints a table
 * with the growth exponent between rows. Where guests have memory elsewhere, one of them is on the move each time:
 * "not steady".
 *
 *   bench_decide [POLICY [GUESTS]]     all of them, or one
 */

#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "../../lib/policy.h"

#define TOPOLOGY "numa:16 core:32 pu:2"
#define REPEATS 5

/*
 * cpu.policy of the guests; of one in ten; what is free on each node for guests whose memory is there already, spread
 * over all nodes, most of which would have to move. 0: no memory was touched before, and there is plenty.
 */
static const struct {
        const char *name, *most, *some;
        uint64_t free_bytes;
} policies[] = {
        { "shared", "shared", "pinned", 0 },
        { "pinned", "pinned", "pinned", 0 },
        { "dedicated", "dedicated", "shared", 0 },
        { "roomy", "shared", "pinned", 512 * GIB },
        { "short", "shared", "pinned", 80 * GIB },
        { "very-short", "shared", "pinned", 5 * GIB },
};

static const char policy_text[] =
        "cpu: { policy = \"%s\"; };\n"
        "numa: { policy = \"auto\"; };\n"
        "ksm: { mode = \"auto\"; };\n"
        "balloon: { mode = \"auto\"; minimum = \"50 %%\"; };\n"
        "guests = ( { match = { name = \"db-*\"; }; cpu = { policy = \"%s\"; }; } );\n"
        "rules = ( { name = \"night\"; when = { schedule = \"Mon..Fri 22:00-06:00\"; }; set = { ksm = { mode = \"on\"; }; }; },\n"
        "          { name = \"busy\"; when = { metric = \"host.cpu.busy\"; above = \"80 %%\"; clear = \"70 %%\"; };\n"
        "            set = { balloon = { step = \"2 %%\"; }; }; } );\n";

/* The decision does nothing but compute: what else the machine does is not its cost. */
static double now_msec(void) {
        struct timespec ts;

        (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static long peak_kib(void) {
        struct rusage usage;

        (void)getrusage(RUSAGE_SELF, &usage);
        return usage.ru_maxrss;
}

static long page_faults(void) {
        struct rusage usage;

        (void)getrusage(RUSAGE_SELF, &usage);
        return usage.ru_minflt;
}

static int fill_host(Snapshot *s, uint64_t node_free) {
        const Topology *t = s->topology;
        Host *h = &s->host;
        uint64_t free_bytes = node_free * t->n_nodes;

        h->cpus = calloc(t->n_cpus, sizeof(*h->cpus));
        h->nodes = calloc(t->n_nodes, sizeof(*h->nodes));
        if (!h->cpus || !h->nodes)
                return -ENOMEM;
        h->n_cpus = t->n_cpus;
        h->n_nodes = t->n_nodes;
        for (size_t i = 0; i < t->n_cpus; i++)
                h->cpus[i] = (CpuLoad){ .id = t->cpus[i].id, .busy_permyriad = 3000 };
        for (size_t i = 0; i < t->n_nodes; i++)
                h->nodes[i] = (NodeMemory){ .id = t->nodes[i].id, .total_bytes = 4096 * GIB, .free_bytes = node_free };
        h->memory = (HostMemory){ .total_bytes = 65536 * GIB, .available_bytes = free_bytes, .free_bytes = free_bytes };
        h->cpu_busy_permyriad = 3000;
        h->ksm = (KsmStatus){ .present = true, .writable = true, .pages_to_scan = 100, .sleep_millisecs = 20 };
        return 0;
}

static int spread_memory(Guest *g, const Topology *t) {
        g->node_memory = calloc(t->n_nodes, sizeof(*g->node_memory));
        if (!g->node_memory)
                return -ENOMEM;
        for (size_t i = 0; i < t->n_nodes; i++)
                g->node_memory[i] = (GuestNodeMemory){ .node = t->nodes[i].id, .bytes = g->rss_bytes / t->n_nodes };
        g->n_node_memory = t->n_nodes;
        return 0;
}

static int add_guest(Snapshot *s, size_t i, bool resident) {
        _cleanup_(guest_freep) Guest *g = NULL;
        char name[32], uuid[UUID_TEXT_SIZE];
        int r;

        (void)snprintf(name, sizeof(name), "%s-%zu", i % 10 == 0 ? "db" : "web", i);
        (void)snprintf(uuid, sizeof(uuid), "%08x-0000-4000-8000-%012x", (unsigned)(i * 2654435761U), (unsigned)i);
        r = guest_new(name, uuid, &g);
        if (r < 0)
                return r;
        r = guest_set_vcpus(g, 2 + i % 3 * 2);
        if (r < 0)
                return r;
        for (size_t v = 0; v < g->n_vcpus; v++) {
                g->vcpus[v].affinity = s->topology->online;
                g->vcpus[v].busy_permyriad = (uint32_t)(i * 37 % 4000);
                g->vcpus[v].wait_permyriad = 100;
        }
        g->emulator.affinity = s->topology->online;
        g->max_bytes = g->current_bytes = 4 * GIB;
        g->rss_bytes = 3 * GIB;
        g->balloon_device = true;
        g->stats_period_sec = 10;
        g->stats = (BalloonStats){ .unused_bytes = GIB, .available_bytes = 4 * GIB - 100 * MIB, .usable_bytes = 2 * GIB,
                                   .age_usec = USEC_PER_SEC };
        r = resident ? spread_memory(g, s->topology) : 0;
        if (r >= 0)
                r = snapshot_put_guest(s, g);
        if (r >= 0)
                TAKE_PTR(g);
        return r;
}

static int build(size_t n, uint64_t free_bytes, Snapshot **ret) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        int r;

        r = snapshot_new(&s);
        if (r < 0)
                return r;
        r = topology_load_synthetic(TOPOLOGY, &s->topology);
        if (r < 0)
                return r;
        r = fill_host(s, free_bytes ?: 2048 * GIB);
        s->now_usec = USEC_PER_HOUR;
        s->interval_usec = 10 * USEC_PER_SEC;
        s->local_time = (LocalTime){ .year = 2026, .month = 11, .day = 23, .hour = 12 };
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = add_guest(s, i, free_bytes > 0);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

static void pin(GuestThread *t, const IdSet *set) {
        t->pinned = true;
        t->pin = t->affinity = *set;
}

/* Where the plan wants the pins, the next snapshot shows them. */
static void apply_pins(Snapshot *s, State *state, const Plan *plan) {
        for (size_t i = 0; i < plan->n_actions; i++) {
                const Action *a = &plan->actions[i];
                Guest *g = snapshot_find_guest(s, a->uuid);
                IdSet set;

                if (a->kind != ACTION_MOVE_MEMORY)
                        (void)state_own(state, a);
                if (!g || idset_parse(a->new_value, &set) < 0)
                        continue;
                if (a->kind == ACTION_PIN_VCPU)
                        pin(&g->vcpus[a->index], &set);
                if (a->kind == ACTION_PIN_EMULATOR)
                        pin(&g->emulator, &set);
        }
}

typedef struct Row {
        double first_msec, steady_msec;
        long first_faults;              /* pages touched for the first time */
        size_t n_actions;               /* of the last steady one */
} Row;

/* Every guest is new. The snapshot stays as it is. */
static int measure_first(const PolicyInput *in, Row *row) {
        for (int i = 0; i < REPEATS; i++) {
                _cleanup_(state_freep) State *state = NULL;
                _cleanup_(plan_freep) Plan *plan = NULL;
                long faults;
                double t;
                int r;

                r = state_new(&state);
                if (r < 0)
                        return r;
                /* As in a daemon that has just started: no memory from the decision before. */
                (void)malloc_trim(0);
                faults = page_faults();
                t = now_msec();
                r = policy_decide(in, state, &plan);
                if (r < 0)
                        return r;
                t = now_msec() - t;
                row->first_msec = i == 0 || t < row->first_msec ? t : row->first_msec;
                row->first_faults = page_faults() - faults;
        }
        return 0;
}

static int measure_steady(const PolicyInput *in, Snapshot *s, Row *row) {
        _cleanup_(state_freep) State *state = NULL;
        int r;

        r = state_new(&state);
        if (r < 0)
                return r;
        row->steady_msec = 1e9;
        for (int i = 0; i < REPEATS + 2; i++) {
                _cleanup_(plan_freep) Plan *plan = NULL;
                double t = now_msec();

                r = policy_decide(in, state, &plan);
                if (r < 0)
                        return r;
                t = now_msec() - t;
                if (i > 1)
                        row->steady_msec = t < row->steady_msec ? t : row->steady_msec;
                row->n_actions = plan->n_actions;
                apply_pins(s, state, plan);
                s->now_usec += 10 * USEC_PER_SEC;
        }
        return 0;
}

static int measure(const Config *config, size_t n, uint64_t free_bytes, Row *row) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        PolicyInput in = { .config = config };
        int r;

        r = build(n, free_bytes, &s);
        if (r < 0)
                return r;
        in.snapshot = s;
        r = measure_first(&in, row);
        if (r < 0)
                return r;
        return measure_steady(&in, s, row);
}

static void print_exponent(double now, double before, size_t n, size_t n_before) {
        if (n_before > 0)
                (void)printf("%10.2f", log(now / before) / log((double)n / (double)n_before));
        else
                (void)printf("%10s", "-");
}

/* @only: 0, or the number of guests. */
static int run(size_t policy, size_t only) {
        static const size_t sizes[] = { 100, 300, 1000, 3000, 10000 };
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_free_ char *error = NULL, *text = NULL;
        Row previous = { 0 };
        size_t previous_n = 0;

        if (strprintf_to(&text, policy_text, policies[policy].most, policies[policy].some) < 0)
                return -ENOMEM;
        if (config_load_text("bench", text, &config, &error) < 0) {
                (void)fprintf(stderr, "%s", error ? error : "no memory\n");
                return -EINVAL;
        }
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                size_t n = sizes[i];
                Row row = { 0 };
                int r;

                if (only > 0 && n != only)
                        continue;
                r = measure(config, n, policies[policy].free_bytes, &row);
                if (r < 0)
                        return r;
                (void)printf("%-10s %8zu %10.2f", policies[policy].name, n, row.first_msec);
                print_exponent(row.first_msec, previous.first_msec, n, previous_n);
                (void)printf(" %10.2f", row.steady_msec);
                print_exponent(row.steady_msec, previous.steady_msec, n, previous_n);
                (void)printf(" %14.2f %12ld %10.1f%s\n", row.steady_msec * 1e3 / (double)n, row.first_faults,
                             (double)peak_kib() / 1024, row.n_actions ? "  (not steady)" : "");
                previous = row;
                previous_n = n;
        }
        return 0;
}

int main(int argc, char **argv) {
        size_t only = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;

        (void)printf("host %s (1,024 CPUs, 16 nodes); one decision, all controllers\n", TOPOLOGY);
        (void)printf("%-10s %8s %10s%10s %10s%10s %14s %12s %10s\n", "policy", "guests", "first ms", "exponent",
                     "steady ms", "exponent", "us per guest", "first faults", "peak MiB");
        for (size_t i = 0; i < ELEMENTSOF(policies); i++)
                if ((argc < 2 || streq(argv[1], policies[i].name)) && run(i, only) < 0)
                        return EXIT_FAILURE;
        return EXIT_SUCCESS;
}
