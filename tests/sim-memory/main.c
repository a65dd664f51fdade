/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * sim-memory [--seeds N] [--first SEED] [--jobs N]  the named scenarios, and that many random ones, as TAP
 * sim-memory --seed N [-v]                          a random one; -v tells the story
 * sim-memory --scenario NAME [-v]                   a named one
 * sim-memory --fit                                  how many guests fit under each mode, as a table
 */

#include "memsim.h"

#include <getopt.h>

#include "../sim/jobs.h"

/* The named scenarios alone: what make check runs. */
#define DEFAULT_SEEDS 0U
#define SHOWN_FAILURES 20U

typedef struct Totals {
        uint64_t n, failed;
        MemMetrics sum;
} Totals;

static bool run_seed(uint64_t seed, bool verbose, Totals *t) {
        MemSim s = { .verbose = verbose };
        bool good;

        mem_random(&s, seed);
        mem_run(&s);
        good = !s.violation;
        if (!good && t->failed < SHOWN_FAILURES)
                (void)printf("# seed %llu: %s\n", (unsigned long long)seed, s.violation);
        t->n++;
        t->failed += !good;
        t->sum.decisions += s.metrics.decisions;
        t->sum.requests += s.metrics.requests;
        t->sum.turns += s.metrics.turns;
        t->sum.guest_usec += s.metrics.guest_usec;
        t->sum.distress_usec += s.metrics.distress_usec;
        t->sum.feasible += s.metrics.feasible;
        mem_done(&s);
        return good;
}

static void run_quietly(uint64_t seed, void *totals) {
        (void)run_seed(seed, false, totals);
}

static void add_totals(void *sum, const void *totals) {
        const Totals *t = totals;
        Totals *s = sum;

        s->n += t->n;
        s->failed += t->failed;
        s->sum.decisions += t->sum.decisions;
        s->sum.requests += t->sum.requests;
        s->sum.turns += t->sum.turns;
        s->sum.guest_usec += t->sum.guest_usec;
        s->sum.distress_usec += t->sum.distress_usec;
        s->sum.feasible += t->sum.feasible;
}

static bool run_named(const char *name, bool verbose) {
        MemSim s = { .verbose = verbose };
        bool good;

        if (!mem_scenario(&s, name)) {
                (void)fprintf(stderr, "no such scenario: %s\n", name);
                exit(2);
        }
        mem_run(&s);
        good = !s.violation;
        if (!good)
                (void)printf("# %s: %s\n", name, s.violation);
        mem_done(&s);
        return good;
}

static int report(uint64_t first, uint64_t n, unsigned jobs) {
        SimJobs j = { .first = first, .n = n, .jobs = jobs, .size = sizeof(Totals), .run = run_quietly,
                      .add = add_totals };
        unsigned tests = 0;
        bool all = true, good;
        Totals t = { 0 };

        for (; mem_scenario_names[tests]; tests++) {
                good = run_named(mem_scenario_names[tests], false);
                all = all && good;
                (void)printf("%sok %u - %s\n", good ? "" : "not ", tests + 1, mem_scenario_names[tests]);
        }
        if (n == 0) {
                (void)printf("1..%u\n", tests);
                return all ? EXIT_SUCCESS : EXIT_FAILURE;
        }
        sim_jobs(&j, &t);
        good = t.failed == 0 && t.n == n;
        if (t.n != n)
                (void)printf("# %llu of them ended the program\n", (unsigned long long)(n - t.n));
        (void)printf("# %llu decisions, %llu balloon changes, %llu turns at constant demand, %.2f %% of guests' time in "
                     "distress, %llu scenarios in which the host must not swap\n",
                     (unsigned long long)t.sum.decisions, (unsigned long long)t.sum.requests,
                     (unsigned long long)t.sum.turns,
                     100.0 * (double)t.sum.distress_usec / (double)MAX(t.sum.guest_usec, UINT64_C(1)),
                     (unsigned long long)t.sum.feasible);
        (void)printf("%sok %u - %llu random scenarios, seeds %llu to %llu, %llu failed (sim-memory --seed N -v)\n",
                     good ? "" : "not ", tests + 1, (unsigned long long)n, (unsigned long long)first,
                     (unsigned long long)(first + n - 1), (unsigned long long)t.failed);
        (void)printf("1..%u\n", tests + 1);
        return all && good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static uint64_t number(const char *text) {
        char *end;
        uint64_t n = strtoull(text, &end, 10);

        if (*end == '\0' && end != text)
                return n;
        (void)fprintf(stderr, "not a number: %s\n", text);
        exit(2);
}

int main(int argc, char **argv) {
        static const struct option options[] = {
                { "seeds", required_argument, NULL, 'n' }, { "first", required_argument, NULL, 'f' },
                { "jobs", required_argument, NULL, 'j' },  { "seed", required_argument, NULL, 's' },
                { "verbose", no_argument, NULL, 'v' },     { "scenario", required_argument, NULL, 'c' },
                { "fit", no_argument, NULL, 't' },         { 0 },
        };
        uint64_t n = DEFAULT_SEEDS, first = 1, seed = 0;
        bool verbose = false, one = false, fit = false;
        const char *named = NULL;
        unsigned jobs = 1;
        Totals t = { 0 };
        int o;

        while ((o = getopt_long(argc, argv, "n:f:j:s:vc:t", options, NULL)) >= 0)
                switch (o) {
                case 'n': n = number(optarg); break;
                case 'f': first = number(optarg); break;
                case 'j': jobs = (unsigned)number(optarg); break;
                case 's': seed = number(optarg); one = true; break;
                case 'v': verbose = true; break;
                case 'c': named = optarg; break;
                case 't': fit = true; break;
                default: return 2;
                }
        if (fit)
                return mem_fit();
        if (named)
                return run_named(named, verbose) ? EXIT_SUCCESS : EXIT_FAILURE;
        if (one)
                return run_seed(seed, verbose, &t) ? EXIT_SUCCESS : EXIT_FAILURE;
        return report(first, n, MAX(jobs, 1U));
}
