/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Each allocation of a piece of work fails once, one after the other: what it
 * then returns is -ENOMEM, its ret_ parameters are as before, and (under
 * AddressSanitizer) nothing leaks or is freed twice.
 *
 * The linker sends the engine's own calls here (--wrap, in the Makefile); those
 * of the C library and of hwloc and libconfig go where they always go.
 */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../lib/describe.h"
#include "../../lib/doctor.h"
#include "../../lib/draw_topology.h"
#include "../../lib/metrics_text.h"
#include "../../lib/observe.h"
#include "../../lib/reservation.h"
#include "../../lib/rule_test.h"
#include "../../lib/snapshot_file.h"
#include "tree.h"

static unsigned left;           /* allocations until one fails; 0: none does */
static bool failed;

static bool fails(void) {
        if (left == 0 || --left > 0)
                return false;
        failed = true;
        errno = ENOMEM;
        return true;
}

#define WRAP(type, name, parameters, arguments, failure)                       \
        type __real_##name parameters;                                         \
        type __wrap_##name parameters;                                         \
        type __wrap_##name parameters {                                        \
                return fails() ? (failure) : __real_##name arguments;          \
        }

WRAP(void *, malloc, (size_t size), (size), NULL)
WRAP(void *, calloc, (size_t n, size_t size), (n, size), NULL)
WRAP(void *, realloc, (void *p, size_t size), (p, size), NULL)
WRAP(void *, reallocarray, (void *p, size_t n, size_t size), (p, n, size), NULL)
WRAP(char *, strdup, (const char *s), (s), NULL)
WRAP(char *, strndup, (const char *s, size_t n), (s, n), NULL)
WRAP(FILE *, open_memstream, (char **text, size_t *size), (text, size), NULL)
WRAP(int, vasprintf, (char **text, const char *format, va_list ap), (text, format, ap), -1)

/* check(3) takes memory itself, so it is asked only when something is wrong. */
#define must(condition)                                                        \
        do {                                                                   \
                if (!(condition)) {                                            \
                        left = 0;                                              \
                        ck_abort_msg("not so: %s", #condition);                \
                }                                                              \
        } while (0)

/* All of the first ones; then those of loops, of which each round is like the next. */
#define EACH 250U
#define STRIDE 17U

/*
 * Fails the n-th allocation of @work, for each n, until that is more than it
 * takes. @partial: what it makes may also lack what there was no memory for.
 */
static void fail_each_of(const char *what, int (*work)(void *data), void *data, bool partial) {
        for (unsigned n = 1;; n += n < EACH ? 1 : STRIDE) {
                int r;

                left = n;
                failed = false;
                r = work(data);
                left = 0;
                if (!failed) {
                        ck_assert_msg(r == 0, "%s: %d with all the memory there is", what, r);
                        ck_assert_msg(n > 1, "%s takes no memory", what);
                        return;
                }
                ck_assert_msg(r == -ENOMEM || (partial && r == 0), "%s: allocation %u fails, and it returns %d", what, n, r);
        }
}

static void fail_each(const char *what, int (*work)(void *data), void *data) {
        fail_each_of(what, work, data, false);
}

/* ---- what is read ---- */

static int read_config(void *path) {
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_free_ char *error = NULL;
        int r = config_load(path, &config, &error);

        must(r == 0 || !config);
        for (int key = 0; r == 0 && key < _KEY_MAX; key++) {
                _cleanup_free_ char *value = NULL, *source = NULL;

                r = setting_format(&config->base, (Key)key, &value);
                if (r == 0)
                        r = setting_source(&config->base, (Key)key, &source);
        }
        return r;
}

START_TEST(policy_file_is_read) {
        fail_each("config_load", read_config, (char *)"tests/fuzz/everything.conf");
}
END_TEST

static int read_snapshot(void *path) {
        _cleanup_(snapshot_freep) Snapshot *snapshot = NULL;
        _cleanup_free_ char *error = NULL, *text = NULL;
        int r = snapshot_load(path, &snapshot, &error);

        must(r == 0 || !snapshot);
        if (r == 0)
                r = snapshot_format(snapshot, &text);
        must(r == 0 || !text);
        return r;
}

static int read_rule_tests(void *path) {
        _cleanup_(rule_tests_freep) RuleTests *tests = NULL;
        _cleanup_free_ char *error = NULL;
        int r = rule_tests_load(path, &tests, &error);

        must(r == 0 || !tests);
        return r;
}

START_TEST(rule_tests_are_read) {
        fail_each("rule_tests_load", read_rule_tests, (char *)"tests/golden/test-policy/001-good.test");
}
END_TEST

static int read_state(void *path) {
        _cleanup_(state_freep) State *state = NULL, *copy = NULL;
        _cleanup_free_ char *error = NULL, *text = NULL;
        int r = state_load(path, &state, &error);

        must(r == 0 || !state);
        if (r == 0)
                r = state_copy(state, &copy);
        if (r == 0)
                r = state_format(copy, &text);
        return r;
}

static int read_reservations(void *data) {
        _cleanup_free_ Reservation *list = NULL;
        _cleanup_free_ char *text = NULL;
        bool damaged = false;
        size_t n = 0;
        int r = reservations_parse(data, 2 * USEC_PER_DAY, &list, &n, &damaged);

        must(r == 0 || !list);
        return r < 0 ? r : reservations_format(list, n, &text);
}

START_TEST(reservations_are_read) {
        fail_each("reservations_parse", read_reservations, (char *)"kvmtuned-reservations 1\n");
}
END_TEST

/* ---- what is decided, with all that is asked of a decision ---- */

static const struct {
        const char *folder;
        bool state;
} decisions[] = {
        { "four-nodes-explained", true }, { "load-move", true },
        { "taken-over", true },           { "vcpus-auto", true },
        { "vcpus-by-schedule", true },    { "yielded", true },
        { "balloon-mom", false },         { "balloon-pressure", false },
        { "balloon-pve", false },         { "balloon-proportional", false },
        { "dedicated", false },           { "guest-cells", false },
        { "hugepages-by-schedule", false }, { "ksm-by-schedule", false },
        { "memtune-by-threshold", false }, { "selectors", false },
        { "thp-by-schedule", false },     { "vfio-devices", false },
};

typedef struct Case {
        Config *config;
        Snapshot *snapshot;
        State *state;
} Case;

static char *path_of(size_t i, const char *name) {
        char *path = NULL;

        ck_assert_int_eq(strprintf_to(&path, "tests/golden/plan/%s/%s", decisions[i].folder, name), 0);
        return path;
}

static void case_load(size_t i, Case *ret) {
        _cleanup_free_ char *policy = path_of(i, "policy.conf"), *host = path_of(i, "host.snapshot");
        _cleanup_free_ char *state = path_of(i, "state"), *error = NULL;

        ck_assert_int_eq(config_load(policy, &ret->config, &error), 0);
        ck_assert_int_eq(snapshot_load(host, &ret->snapshot, &error), 0);
        ck_assert_int_eq(decisions[i].state ? state_load(state, &ret->state, &error) : state_new(&ret->state), 0);
}

static void case_done(Case *c) {
        (void)config_free(c->config);
        (void)snapshot_free(c->snapshot);
        (void)state_free(c->state);
}

START_TEST(snapshot_is_read) {
        _cleanup_free_ char *path = path_of((size_t)_i, "host.snapshot");

        fail_each(path, read_snapshot, path);
}
END_TEST

START_TEST(state_is_read) {
        _cleanup_free_ char *path = path_of((size_t)_i, "state");

        if (decisions[_i].state)
                fail_each(path, read_state, path);
}
END_TEST

static int own_all(State *state, const Plan *plan) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < plan->n_actions; i++)
                r = state_own(state, &plan->actions[i]);
        return r;
}

static int decide(void *data) {
        _cleanup_(plan_freep) Plan *plan = NULL, *restore = NULL;
        _cleanup_(state_freep) State *state = NULL;
        _cleanup_free_ char *text = NULL, *json = NULL;
        const Case *c = data;
        int r = state_copy(c->state, &state);

        if (r == 0)
                r = policy_decide(&(PolicyInput){ .config = c->config, .snapshot = c->snapshot, .explain = true },
                                  state, &plan);
        must(r == 0 || !plan);
        if (r == 0)
                r = own_all(state, plan);
        if (r == 0)
                r = plan_format(plan, false, &text);
        if (r == 0)
                r = plan_format(plan, true, &json);
        if (r == 0)
                r = policy_restore(c->snapshot, state, &restore);
        return r;
}

START_TEST(decision_is_made) {
        _cleanup_(case_done) Case c = { 0 };

        case_load((size_t)_i, &c);
        fail_each(decisions[_i].folder, decide, &c);
}
END_TEST

/* ---- what is told about a host ---- */

static int tell(Value *v) {
        int r = v ? value_complete(v) : -ENOMEM;

        (void)value_free(v);
        return r;
}

static int describe(void *data) {
        const Case *c = data;
        PolicyInput in = { .config = c->config, .snapshot = c->snapshot };
        _cleanup_(describe_done) Description d = { 0 };
        int r = describe_begin(&in, c->state, true, &d);

        if (r == 0)
                r = tell(describe_host(c->snapshot, c->state));
        if (r == 0)
                r = tell(describe_guests(&d));
        if (r == 0)
                r = tell(describe_rules(&d));
        if (r == 0)
                r = tell(describe_settings(&d, NULL));
        for (size_t i = 0; r == 0 && i < c->snapshot->n_guests; i++)
                r = tell(describe_guest(&d, c->snapshot->guests[i]));
        return r;
}

START_TEST(host_is_described) {
        _cleanup_(case_done) Case c = { 0 };

        case_load((size_t)_i, &c);
        fail_each("describe", describe, &c);
}
END_TEST

static int draw(void *data) {
        const DrawOptions options = { .width = 100, .unicode = true, .color = true, .all = true };
        _cleanup_free_ char *text = NULL, *svg = NULL;
        const Case *c = data;
        int r = draw_topology_text(c->snapshot, c->state, c->config, &options, &text);

        must(r == 0 || !text);
        if (r == 0)
                r = draw_topology_svg(c->snapshot, c->state, c->config, &svg);
        must(r == 0 || !svg);
        return r;
}

START_TEST(host_is_drawn) {
        _cleanup_(case_done) Case c = { 0 };

        case_load((size_t)_i, &c);
        fail_each("draw", draw, &c);
}
END_TEST

static int examine(void *data) {
        _cleanup_(diagnosis_freep) Diagnosis *d = NULL;
        _cleanup_free_ char *text = NULL, *json = NULL;
        const Case *c = data;
        int r = doctor_examine(c->snapshot, c->state, c->config, &d);

        must(r == 0 || !d);
        if (r == 0)
                r = diagnosis_format(d, 100, true, &text);
        if (r == 0)
                r = diagnosis_format_json(d, &json);
        return r;
}

START_TEST(host_is_examined) {
        _cleanup_(case_done) Case c = { 0 };

        case_load((size_t)_i, &c);
        fail_each("doctor", examine, &c);
}
END_TEST

static int measure(void *data) {
        static const MetricsCounters counters;
        const Case *c = data;
        const MetricsInput in = { .snapshot = c->snapshot, .state = c->state, .config = c->config,
                                  .counters = &counters, .version = "0", .guests_max = 100 };
        _cleanup_free_ char *text = NULL;
        int r = metrics_format(&in, &text);

        must(r == 0 || !text);
        return r;
}

START_TEST(metrics_are_written) {
        _cleanup_(case_done) Case c = { 0 };

        case_load((size_t)_i, &c);
        fail_each("metrics", measure, &c);
}
END_TEST

/* ---- what is observed ---- */

typedef struct Fixture {
        int root_fd;
        Topology *topology;
} Fixture;

static int observe_host(void *data) {
        _cleanup_(host_observer_freep) HostObserver *o = NULL;
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        const Fixture *f = data;
        const char *area;
        int r = host_observer_new(f->root_fd, f->topology, &o);

        if (r == 0)
                r = snapshot_new(&s);
        for (uint64_t i = 1; r == 0 && i <= 2; i++)
                r = host_observe(o, i * USEC_PER_SEC, &s->host, &area);
        return r;
}

static int observe_guest(void *data) {
        _cleanup_(guest_observer_freep) GuestObserver *o = NULL;
        _cleanup_(guest_freep) Guest *g = NULL;
        const Fixture *f = data;
        int r = guest_new("web", "5f0f5b3a-8f43-4b9e-9d3c-0d2b7a1c9e01", &g);

        if (r == 0)
                r = guest_set_vcpus(g, 2);
        if (r == 0)
                r = guest_observer_new(f->root_fd, 4242, g, &o);
        for (uint64_t i = 1; r == 0 && i <= 2; i++)
                r = guest_observe(o, f->root_fd, i * USEC_PER_SEC, true, g);
        return r;
}

START_TEST(host_and_guest_are_observed) {
        Fixture f = { .root_fd = fixture_open("two-nodes") };

        ck_assert_int_eq(topology_load_synthetic("numa:2 core:2 pu:1", &f.topology), 0);
        /* A file that not every kernel has is taken for missing. */
        fail_each_of("host_observe", observe_host, &f, true);
        fail_each_of("guest_observe", observe_guest, &f, true);
        (void)topology_free(f.topology);
        (void)safe_close(f.root_fd);
}
END_TEST

static int load_topology(void *data) {
        _cleanup_(topology_freep) Topology *t = NULL;
        int r = topology_load_synthetic(data, &t);

        must(r == 0 || !t);
        return r;
}

START_TEST(topology_is_read) {
        fail_each("topology", load_topology, (char *)"package:2 numa:2 l3:1 core:2 pu:2");
}
END_TEST

int main(void) {
        Suite *s = suite_create("no_memory");
        TCase *t = tcase_create("read"), *d = tcase_create("decide"), *h = tcase_create("tell");
        const int n = (int)ELEMENTSOF(decisions);
        SRunner *runner;
        int failures;

        tcase_set_timeout(t, 120);
        tcase_set_timeout(d, 120);
        tcase_set_timeout(h, 120);
        tcase_add_test(t, policy_file_is_read);
        tcase_add_test(t, rule_tests_are_read);
        tcase_add_test(t, reservations_are_read);
        tcase_add_loop_test(t, snapshot_is_read, 0, n);
        tcase_add_loop_test(t, state_is_read, 0, n);
        tcase_add_test(t, host_and_guest_are_observed);
        tcase_add_test(t, topology_is_read);
        tcase_add_loop_test(d, decision_is_made, 0, n);
        tcase_add_loop_test(h, host_is_described, 0, n);
        tcase_add_loop_test(h, host_is_drawn, 0, n);
        tcase_add_loop_test(h, host_is_examined, 0, n);
        tcase_add_loop_test(h, metrics_are_written, 0, n);
        suite_add_tcase(s, t);
        suite_add_tcase(s, d);
        suite_add_tcase(s, h);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failures = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failures > 0;
}
