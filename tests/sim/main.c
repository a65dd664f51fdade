/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * sim [--seeds N] [--first SEED] [--jobs N]   that many random scenarios, as TAP
 * sim --seed N [-v]                           one of them; -v tells the story
 * sim --day [--variants N] FILE...            days, with each tuner, as a table; N of each kind, and their means
 */

#include "sim.h"

#include <getopt.h>

#include "jobs.h"

#define DEFAULT_SEEDS 5000U
#define SHOWN_FAILURES 20U

typedef struct Totals {
        uint64_t n, failed;
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
        t->n++;
        t->failed += !good;
        t->sum.guest_hours += s.metrics.guest_hours;
        t->sum.relocations += s.metrics.relocations;
        t->sum.moves += s.metrics.moves;
        t->sum.returns += s.metrics.returns;
        t->sum.pins += s.metrics.pins;
        sim_done(&s);
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
        s->sum.guest_hours += t->sum.guest_hours;
        s->sum.relocations += t->sum.relocations;
        s->sum.moves += t->sum.moves;
        s->sum.returns += t->sum.returns;
        s->sum.pins += t->sum.pins;
}

static int report(uint64_t first, uint64_t n, unsigned jobs) {
        SimJobs j = { .first = first, .n = n, .jobs = jobs, .size = sizeof(Totals), .run = run_quietly,
                      .add = add_totals };
        Totals t = { 0 };
        bool good;

        sim_jobs(&j, &t);
        good = t.failed == 0 && t.n == n;
        if (t.n != n)
                (void)printf("# %llu of them ended the program\n", (unsigned long long)(n - t.n));
        (void)printf("# %.0f guest hours, %u pins, %u guests given other nodes, %u memory moves, %u returns\n",
                     t.sum.guest_hours, t.sum.pins, t.sum.relocations, t.sum.moves, t.sum.returns);
        (void)printf("%sok 1 - %llu random scenarios, seeds %llu to %llu, %llu failed (sim --seed N -v)\n",
                     good ? "" : "not ", (unsigned long long)n, (unsigned long long)first,
                     (unsigned long long)(first + n - 1), (unsigned long long)t.failed);
        (void)printf("1..1\n");
        return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- days ---- */

typedef struct Days {
        char **paths;
        int n;
        uint64_t variants;              /* of each day: the table has their means */
        bool verbose;
        int rc;
} Days;

static void add_metrics(SimMetrics *sum, const SimMetrics *m) {
        sum->busy += m->busy;
        sum->wanted += m->wanted;
        sum->wait += m->wait;
        sum->remote += m->remote;
        sum->work += m->work;
        sum->moved_bytes += m->moved_bytes;
        sum->guest_hours += m->guest_hours;
        sum->relocations += m->relocations;
        sum->returns += m->returns;
}

static void run_day(Days *d, const char *path, TunerKind tuner, uint64_t variant, SimMetrics *sum) {
        Sim s = { .tuner = tuner, .verbose = d->verbose && tuner == TUNER_KVMTUNED };
        _cleanup_free_ char *error = NULL;

        if (sim_day(&s, path, variant, &error) < 0) {
                (void)fprintf(stderr, "%s\n", error);
                exit(2);
        }
        sim_run(&s);
        add_metrics(sum, &s.metrics);
        if (s.violation) {
                (void)printf("# variant %llu: %s\n", (unsigned long long)variant, s.violation);
                d->rc = EXIT_FAILURE;
        }
        sim_done(&s);
}

/* One tuner's line; *none_work is the work done without any. */
static void run_variants(Days *d, const char *path, TunerKind tuner, double *none_work) {
        const char *name = strrchr(path, '/');
        SimMetrics m = { 0 };
        double n = (double)d->variants;

        for (uint64_t i = 1; i <= d->variants; i++)
                run_day(d, path, tuner, i, &m);
        if (tuner == TUNER_NONE)
                *none_work = m.work;
        (void)printf("%-15s %-9s %8.1f %7.2f %10.1f %12.2f %8.1f %9.1f\n", name ? name + 1 : path, tuner_name(tuner),
                     100 * m.remote / MAX(m.busy, 1e-9), 100 * m.wait / MAX(m.wanted, 1e-9),
                     m.moved_bytes / (double)GIB / n, m.relocations / MAX(m.guest_hours / 24, 1e-9), m.returns / n,
                     100 * m.work / MAX(*none_work, 1e-9));
        (void)fflush(stdout);
}

static int run_days(Days *d) {
        (void)printf("%-15s %-9s %8s %7s %10s %12s %8s %9s\n", "day", "tuner", "remote %", "wait %", "moved GiB",
                     "node changes", "returns", "work %");
        (void)printf("%-15s %-9s %8s %7s %10s %12s %8s %9s\n", "", "", "of use", "of use", "", "a guest-day", "",
                     "of none");
        for (int i = 0; i < d->n; i++) {
                double none_work = 0;

                for (unsigned k = 0; k < _TUNER_MAX; k++)
                        run_variants(d, d->paths[i], (TunerKind)k, &none_work);
        }
        return d->rc;
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
                { "verbose", no_argument, NULL, 'v' },     { "day", no_argument, NULL, 'd' },
                { "variants", required_argument, NULL, 'V' },
                { 0 },
        };
        uint64_t n = DEFAULT_SEEDS, first = 1, seed = 0, variants = 1;
        bool verbose = false, one = false, days = false;
        unsigned jobs = 1;
        int o;

        while ((o = getopt_long(argc, argv, "n:f:j:s:vd", options, NULL)) >= 0)
                switch (o) {
                case 'n': n = number(optarg); break;
                case 'f': first = number(optarg); break;
                case 'j': jobs = (unsigned)number(optarg); break;
                case 's': seed = number(optarg); one = true; break;
                case 'v': verbose = true; break;
                case 'd': days = true; break;
                case 'V': variants = MAX(number(optarg), UINT64_C(1)); break;
                default: return 2;
                }
        if (days) {
                Days d = { .paths = argv + optind, .n = argc - optind, .variants = variants, .verbose = verbose };

                return run_days(&d);
        }
        if (one) {
                Totals t = { 0 };

                return run_seed(seed, verbose, &t) ? EXIT_SUCCESS : EXIT_FAILURE;
        }
        return report(first, n, MAX(jobs, 1U));
}
