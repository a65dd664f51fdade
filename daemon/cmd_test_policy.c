/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmd_test_policy.h"

#include <stdio.h>

#include "../lib/config_value.h"
#include "../lib/policy.h"
#include "../lib/rule_test.h"
#include "cmd.h"

static const char usage[] =
        "Usage: kvmtuned test-policy [--config FILE] FILE...\n"
        "\n"
        "Run the tests in each FILE, kvmtuned-test(5), against a policy.\n"
        "\n"
        "  -c, --config=FILE     the policy to test, instead of the one that FILE names\n"
        "  -h, --help            print this text\n";

typedef struct Run {
        const char *path;
        const Config *config;
        unsigned passed, failed;
} Run;

static size_t rule_index(const Config *c, const char *name) {
        size_t i = 0;

        while (i < c->n_rules && !streq_ptr(c->rules[i].name, name))
                i++;
        return i;
}

static const Settings *settings_of(const RuleStep *step, const PolicySettings *settings, const char *guest) {
        if (!guest)
                return &settings->host;
        for (size_t i = 0; i < step->snapshot->n_guests; i++)
                if (streq(step->snapshot->guests[i]->name, guest))
                        return settings->guests[i];
        return NULL;
}

static bool same_value(Key key, const SettingValue *a, const SettingValue *b) {
        KeyType type = config_keys[key].type;

        if (type == TYPE_STRING || type == TYPE_CPUSET)
                return streq_ptr(a->text, b->text);
        return a->number == b->number && a->percent == b->percent && a->automatic == b->automatic &&
               a->keep == b->keep;
}

/* *ret: what is wrong; NULL when all is as expected. -ENOMEM. */
static int check_rule(const Run *run, const PolicySettings *settings, const Expectation *e, char **ret) {
        size_t i = rule_index(run->config, e->rule);
        bool want = e->type == EXPECT_ACTIVE;

        if (i == run->config->n_rules)
                return strprintf_to(ret, "the policy has no rule \"%s\"", e->rule);
        if (settings->active[i] == want)
                return 0;
        return strprintf_to(ret, "rule \"%s\" (%s:%u) is %s", e->rule, run->config->rules[i].file,
                            run->config->rules[i].line, want ? "not active" : "active");
}

static int check_setting(const RuleStep *step, const PolicySettings *settings, const Expectation *e, char **ret) {
        const Settings *effective = settings_of(step, settings, e->guest);
        _cleanup_free_ char *want = NULL, *got = NULL, *source = NULL;
        const KeyInfo *info = &config_keys[e->key];
        int r;

        if (same_value(e->key, &e->value, &effective->values[e->key]))
                return 0;
        r = config_value_format(e->key, &e->value, &want);
        if (r >= 0)
                r = setting_format(effective, e->key, &got);
        if (r >= 0)
                r = setting_source(effective, e->key, &source);
        if (r < 0)
                return r;
        return strprintf_to(ret, "%s.%s%s%s is %s (%s), not %s", info->group, info->name, e->guest ? " of " : "",
                            e->guest ?: "", got, source, want);
}

/* Prints what is not as expected. The number of such, or -ENOMEM. */
static int check_step(const Run *run, const RuleStep *step, const PolicySettings *settings) {
        const LocalTime *t = &step->snapshot->local_time;
        int wrong = 0, r;

        for (size_t i = 0; i < step->n_expectations; i++) {
                const Expectation *e = &step->expectations[i];
                _cleanup_free_ char *problem = NULL;

                r = e->type == EXPECT_SETTING ? check_setting(step, settings, e, &problem)
                                              : check_rule(run, settings, e, &problem);
                if (r < 0)
                        return r;
                if (!problem)
                        continue;
                (void)printf("# %s:%u: at %04d-%02d-%02d %02d:%02d:%02d %s\n", run->path, e->line, t->year, t->month,
                             t->day, t->hour, t->minute, t->second, problem);
                wrong++;
        }
        return wrong;
}

/* What limits clash, once in a test. -ENOMEM. */
static int print_clashes(const Run *run, const RuleStep *step, const PolicySettings *settings, Plan *said) {
        const LocalTime *t = &step->snapshot->local_time;
        size_t from = said->n_notes;
        int r;

        r = policy_say_clashes(settings, said);
        for (size_t i = from; i < said->n_notes; i++)
                (void)printf("# %s: at %04d-%02d-%02d %02d:%02d:%02d %s\n", run->path, t->year, t->month, t->day,
                             t->hour, t->minute, t->second, said->notes[i]);
        return r;
}

static int run_test(const Run *run, const RuleTest *test) {
        _cleanup_(state_freep) State *state = NULL;
        _cleanup_(plan_freep) Plan *said = NULL;
        int wrong = 0, r;

        r = state_new(&state);
        if (r >= 0)
                r = plan_new(&said);
        if (r < 0)
                return r;
        for (size_t i = 0; i < test->n_steps; i++) {
                _cleanup_(policy_settings_done) PolicySettings settings = { 0 };

                r = policy_settings(&(PolicyInput){ .config = run->config, .snapshot = test->steps[i].snapshot },
                                    state, &settings);
                if (r >= 0)
                        r = print_clashes(run, &test->steps[i], &settings, said);
                if (r >= 0)
                        r = check_step(run, &test->steps[i], &settings);
                if (r < 0)
                        return r;
                wrong += r;
        }
        return wrong;
}

static int run_tests(Run *run, const RuleTests *tests) {
        int r;

        for (size_t i = 0; i < tests->n_tests; i++) {
                r = run_test(run, &tests->tests[i]);
                if (r < 0)
                        return r;
                if (r > 0)
                        run->failed++;
                else
                        run->passed++;
                (void)printf("%s %u - %s\n", r > 0 ? "not ok" : "ok", run->passed + run->failed,
                             tests->tests[i].name);
        }
        return 0;
}

static int run_file(const char *path, const char *config_path, Run *run) {
        _cleanup_(rule_tests_freep) RuleTests *tests = NULL;
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_free_ char *error = NULL, *config_error = NULL;
        int r;

        r = rule_tests_load(path, &tests, &error);
        if (cmd_complain(path, r, error) < 0)
                return r;
        if (!config_path)
                config_path = tests->config;
        if (!config_path) {
                (void)fprintf(stderr, "%s: it names no policy; config = \"FILE\"; or --config is needed\n", path);
                return -EINVAL;
        }
        r = config_load(config_path, &config, &config_error);
        if (cmd_complain(config_path, r, config_error) < 0)
                return r;
        run->path = path;
        run->config = config;
        return cmd_complain(path, run_tests(run, tests), NULL);
}

int cmd_test_policy(int argc, char **argv) {
        const char *config = NULL;
        const CmdOption options[] = { { "config", 'c', .text = &config } };
        Run run = { 0 };
        int first, r;

        r = cmd_options(argc, argv, options, ELEMENTSOF(options), usage, &first);
        if (r == 0 && first >= argc)
                r = cmd_usage("test-policy", "a file with tests is needed");
        if (r != 0)
                return r < 0 ? 2 : 0;
        for (int i = first; i < argc; i++)
                if (run_file(argv[i], config, &run) < 0)
                        return 2;
        (void)printf("1..%u\n# %u passed, %u failed\n", run.passed + run.failed, run.passed, run.failed);
        if (fflush(stdout) != 0) {
                (void)fprintf(stderr, "test-policy: cannot write: %s\n", strerrordesc_np(errno));
                return 2;
        }
        return run.failed > 0 ? 1 : 0;
}
