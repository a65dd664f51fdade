/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * sim [--seeds N] [--first SEED] [--jobs N]   that many random scenarios, as TAP
 * sim --seed N [-v]                           one of them; -v tells the story
 */

#include "sim.h"

#include <getopt.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_SEEDS 5000U
#define SHOWN_FAILURES 20U
/* Constant demand, and still not at rest: guests that nobody places follow the others about, without end in some hosts. */
#define UNSETTLED_ONE_IN 500U

typedef struct Totals {
        uint64_t n, failed, late;
        SimMetrics sum;
} Totals;

static bool run_seed(uint64_t seed, bool verbose, Totals *t) {
        Sim s = { .verbose = verbose, .tuner = TUNER_KVMTUNED };
        bool good;

        sim_scenario(&s, seed);
        sim_run(&s);
        good = !s.violation;
        if (!good && t->failed < SHOWN_FAILURES)
                (void)printf("# seed %llu: %s\n", (unsigned long long)seed, s.violation);
        if (s.metrics.late > 0 && t->late < SHOWN_FAILURES)
                (void)printf("# seed %llu: still acting long after demand became constant\n", (unsigned long long)seed);
        t->n++;
        t->failed += !good;
        t->late += s.metrics.late > 0;
        t->sum.guest_hours += s.metrics.guest_hours;
        t->sum.relocations += s.metrics.relocations;
        t->sum.moves += s.metrics.moves;
        t->sum.returns += s.metrics.returns;
        t->sum.pins += s.metrics.pins;
        sim_done(&s);
        return good;
}

/* Each process takes every @jobs'th seed; its totals come back through a pipe. */
static Totals run_share(uint64_t first, uint64_t n, unsigned jobs, unsigned share) {
        Totals t = { 0 };

        for (uint64_t i = share; i < n; i += jobs)
                (void)run_seed(first + i, false, &t);
        (void)fflush(stdout);
        return t;
}

static void add_totals(Totals *sum, const Totals *t) {
        sum->n += t->n;
        sum->failed += t->failed;
        sum->late += t->late;
        sum->sum.guest_hours += t->sum.guest_hours;
        sum->sum.relocations += t->sum.relocations;
        sum->sum.moves += t->sum.moves;
        sum->sum.returns += t->sum.returns;
        sum->sum.pins += t->sum.pins;
}

static Totals run_all(uint64_t first, uint64_t n, unsigned jobs) {
        Totals sum = { 0 }, t;
        int fds[2];

        if (jobs <= 1)
                return run_share(first, n, 1, 0);
        if (pipe(fds) < 0)
                exit(EXIT_FAILURE);
        (void)fflush(stdout);
        for (unsigned i = 0; i < jobs; i++)
                if (fork() == 0) {
                        t = run_share(first, n, jobs, i);
                        _exit(write(fds[1], &t, sizeof(t)) == sizeof(t) ? 0 : 1);
                }
        (void)close(fds[1]);
        while (read(fds[0], &t, sizeof(t)) == sizeof(t))
                add_totals(&sum, &t);
        while (wait(NULL) > 0)
                ;
        return sum;
}

static int report(uint64_t first, uint64_t n, unsigned jobs) {
        Totals t = run_all(first, n, jobs);
        bool good = t.failed == 0 && t.n == n;

        if (t.n != n)
                (void)printf("# %llu of them ended the program\n", (unsigned long long)(n - t.n));
        (void)printf("# %.0f guest hours, %u pins, %u guests given other nodes, %u memory moves, %u returns\n",
                     t.sum.guest_hours, t.sum.pins, t.sum.relocations, t.sum.moves, t.sum.returns);
        (void)printf("%sok 1 - %llu random scenarios, seeds %llu to %llu, %llu failed (sim --seed N -v)\n",
                     good ? "" : "not ", (unsigned long long)n, (unsigned long long)first,
                     (unsigned long long)(first + n - 1), (unsigned long long)t.failed);
        (void)printf("%sok 2 - %llu of them still act long after demand became constant, at most %llu may\n",
                     t.late <= n / UNSETTLED_ONE_IN ? "" : "not ", (unsigned long long)t.late,
                     (unsigned long long)(n / UNSETTLED_ONE_IN));
        (void)printf("1..2\n");
        return good && t.late <= n / UNSETTLED_ONE_IN ? EXIT_SUCCESS : EXIT_FAILURE;
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
                { "verbose", no_argument, NULL, 'v' },     { 0 },
        };
        uint64_t n = DEFAULT_SEEDS, first = 1, seed = 0;
        bool verbose = false, one = false;
        unsigned jobs = 1;
        int o;

        while ((o = getopt_long(argc, argv, "n:f:j:s:v", options, NULL)) >= 0)
                switch (o) {
                case 'n': n = number(optarg); break;
                case 'f': first = number(optarg); break;
                case 'j': jobs = (unsigned)number(optarg); break;
                case 's': seed = number(optarg); one = true; break;
                case 'v': verbose = true; break;
                default: return 2;
                }
        if (one) {
                Totals t = { 0 };

                return run_seed(seed, verbose, &t) ? EXIT_SUCCESS : EXIT_FAILURE;
        }
        return report(first, n, MAX(jobs, 1U));
}
