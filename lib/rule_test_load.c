/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Reads a test of a policy file. A step's snapshot has the keys of a snapshot
 * file; what it leaves out of topology, host, guests and reservations is as in
 * the step before. The clock of dwells, means and rates is that of the times
 * given, as if no day had a change to or from summer time.
 */

#include "rule_test.h"

#include "config_value.h"
#include "local_time.h"
#include "snapshot_load.h"

/* So that the first step is not at the boot of the host. */
#define UPTIME_USEC (100 * USEC_PER_HOUR)

typedef struct TestLoader {
        SnapLoader snap;
        RuleTests *tests;
} TestLoader;

static void config_donep(config_t *config) {
        config_destroy(config);
}

static void expectation_done(Expectation *e) {
        free(e->rule);
        free(e->guest);
        free(e->text);
}

static void step_done(RuleStep *s) {
        for (size_t i = 0; i < s->n_expectations; i++)
                expectation_done(&s->expectations[i]);
        free(s->expectations);
        (void)snapshot_free(s->snapshot);
}

RuleTests *rule_tests_free(RuleTests *t) {
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n_tests; i++) {
                for (size_t j = 0; j < t->tests[i].n_steps; j++)
                        step_done(&t->tests[i].steps[j]);
                free(t->tests[i].steps);
                free(t->tests[i].name);
        }
        free(t->tests);
        free(t->config);
        free(t);
        return NULL;
}

/* ---- what is expected ---- */

static int add_expectation(RuleStep *step, const config_setting_t *s, ExpectType type, Expectation **ret) {
        int r;

        r = GROW_ARRAY(step->expectations, step->expectations_capacity, step->n_expectations);
        if (r < 0)
                return r;
        *ret = &step->expectations[step->n_expectations++];
        **ret = (Expectation){ .type = type, .line = config_setting_source_line(s) };
        return 0;
}

/* "night", or [ "night", "weekend" ]. */
static int load_rules_expected(TestLoader *l, const config_setting_t *expect, const char *name, ExpectType type,
                               RuleStep *step) {
        const config_setting_t *s = config_setting_get_member(expect, name);
        int n, r = 0;

        if (!s)
                return 0;
        n = config_setting_type(s) == CONFIG_TYPE_ARRAY || config_setting_type(s) == CONFIG_TYPE_LIST
                ? config_setting_length(s) : -1;
        for (int i = 0; r >= 0 && i < (n < 0 ? 1 : n); i++) {
                const config_setting_t *element = n < 0 ? s : config_setting_get_elem(s, (unsigned)i);
                Expectation *e;

                if (config_setting_type(element) != CONFIG_TYPE_STRING)
                        return snap_load_complain(&l->snap, element, "the name of a rule, or a list of names");
                r = add_expectation(step, element, type, &e);
                if (r >= 0)
                        r = strdup_to(&e->rule, config_setting_get_string(element));
        }
        return r;
}

/* As the text that config_value_parse() reads; NULL: something no setting can be. */
static int value_text(const config_setting_t *s, char **ret) {
        switch (config_setting_type(s)) {
        case CONFIG_TYPE_STRING:
                return strdup_to(ret, config_setting_get_string(s));
        case CONFIG_TYPE_BOOL:
                return strdup_to(ret, config_setting_get_bool(s) ? "true" : "false");
        case CONFIG_TYPE_INT:
                return strprintf_to(ret, "%d", config_setting_get_int(s));
        default:
                return 0;
        }
}

static int load_value_expected(TestLoader *l, const config_setting_t *s, Key key, const char *guest, RuleStep *step) {
        _cleanup_free_ char *problem = NULL, *text = NULL;
        Expectation *e;
        int r;

        r = value_text(s, &text);
        if (r < 0)
                return r;
        if (!text)
                return snap_load_complain(&l->snap, s, "a value as it stands in the policy file");
        r = add_expectation(step, s, EXPECT_SETTING, &e);
        if (r >= 0 && guest)
                r = strdup_to(&e->guest, guest);
        if (r < 0)
                return r;
        e->key = key;
        e->text = TAKE_PTR(text);
        r = config_value_parse(key, e->text, &e->value, &problem);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                setting_error(&l->snap.errors, s, "%s.%s: %s", config_keys[key].group, config_keys[key].name,
                              problem);
        return 0;
}

static int load_group_expected(TestLoader *l, const config_setting_t *group, const char *guest, RuleStep *step) {
        const char *name = config_setting_name(group);
        int r = 0;

        if (config_setting_type(group) != CONFIG_TYPE_GROUP)
                return snap_load_complain(&l->snap, group, "a group { ... }");
        for (int i = 0; r >= 0 && i < config_setting_length(group); i++) {
                const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
                Key key = config_key_find(name, config_setting_name(s));

                if (key < 0)
                        setting_error(&l->snap.errors, s, "there is no setting %s.%s", name, config_setting_name(s));
                else
                        r = load_value_expected(l, s, key, guest, step);
        }
        return r;
}

static int load_settings_expected(TestLoader *l, const config_setting_t *parent, const char *guest, RuleStep *step) {
        const config_setting_t *settings;
        int r;

        r = snap_load_group(&l->snap, parent, "settings", &settings);
        if (r <= 0)
                return r;
        r = 0;
        for (int i = 0; r >= 0 && i < config_setting_length(settings); i++)
                r = load_group_expected(l, config_setting_get_elem(settings, (unsigned)i), guest, step);
        return r;
}

static int load_guest_expected(TestLoader *l, const config_setting_t *s, RuleStep *step) {
        static const char *const keys[] = { "name", "settings", NULL };
        const config_setting_t *name = config_setting_get_member(s, "name");
        int r;

        r = snap_load_check_keys(&l->snap, s, keys, NULL);
        if (r < 0)
                return r;
        if (!name || config_setting_type(name) != CONFIG_TYPE_STRING) {
                setting_error(&l->snap.errors, s, "name = \"...\" is needed, the name of a guest");
                return 0;
        }
        if (!snapshot_find_guest_by_name(step->snapshot, config_setting_get_string(name))) {
                setting_error(&l->snap.errors, name, "there is no guest \"%s\" in this step",
                              config_setting_get_string(name));
                return 0;
        }
        return load_settings_expected(l, s, config_setting_get_string(name), step);
}

static int load_expect(TestLoader *l, const config_setting_t *step_setting, RuleStep *step) {
        static const char *const keys[] = { "active", "inactive", "settings", "guests", NULL };
        const config_setting_t *expect, *guests, *element;
        size_t errors_before = l->snap.errors.n;
        int r;

        r = snap_load_group(&l->snap, step_setting, "expect", &expect);
        if (r <= 0)
                return r;
        r = snap_load_check_keys(&l->snap, expect, keys, NULL);
        if (r >= 0)
                r = load_rules_expected(l, expect, "active", EXPECT_ACTIVE, step);
        if (r >= 0)
                r = load_rules_expected(l, expect, "inactive", EXPECT_INACTIVE, step);
        if (r >= 0)
                r = load_settings_expected(l, expect, NULL, step);
        if (r >= 0)
                r = snap_load_list(&l->snap, expect, "guests", &guests);
        for (unsigned i = 0; r > 0 && i < (unsigned)config_setting_length(guests); i++) {
                r = snap_load_element(&l->snap, guests, i, &element);
                if (r > 0)
                        r = load_guest_expected(l, element, step) < 0 ? -ENOMEM : 1;
                else if (r == 0)
                        r = 1;
        }
        if (r >= 0 && step->n_expectations == 0 && l->snap.errors.n == errors_before)
                setting_error(&l->snap.errors, expect, "expect says nothing; active, inactive, settings or guests is "
                              "needed");
        return r < 0 ? r : 0;
}

/* ---- steps ---- */

/* Uptime follows the wall clock from the test's first step on; a step back is an error. */
static void set_uptime(TestLoader *l, const config_setting_t *s, const RuleTest *test, RuleStep *step) {
        const RuleStep *first = &test->steps[0], *before = step - 1;
        uint64_t now = local_time_sec(&step->snapshot->local_time);

        step->snapshot->now_usec = UPTIME_USEC;
        if (step == first)
                return;
        if (now < local_time_sec(&before->snapshot->local_time))
                setting_error(&l->snap.errors, s, "the time of this step is before that of the step before");
        else
                step->snapshot->now_usec +=
                        (now - local_time_sec(&first->snapshot->local_time)) * USEC_PER_SEC;
}

/* @layers: this step, then those before, the nearest first. */
static int load_step(TestLoader *l, const config_setting_t *const *layers, RuleTest *test) {
        static const char *const keys[] = { "time", "topology", "host", "guests", "reservations", "expect", NULL };
        const config_setting_t *s = layers[0];
        size_t errors_before = l->snap.errors.n;
        RuleStep *step;
        int r;

        r = GROW_ARRAY(test->steps, test->steps_capacity, test->n_steps);
        if (r < 0)
                return r;
        step = &test->steps[test->n_steps++];
        *step = (RuleStep){ .line = config_setting_source_line(s) };
        r = snap_load_check_keys(&l->snap, s, keys, NULL);
        if (r < 0)
                return r;
        if (!config_setting_get_member(s, "time"))
                setting_error(&l->snap.errors, s, "step without time; time = \"2026-11-27 22:00\" is needed");
        r = snapshot_new(&step->snapshot);
        if (r < 0)
                return r;
        l->snap.snapshot = step->snapshot;
        r = snap_load_layers(&l->snap, layers);
        if (r < 0 || l->snap.errors.n > errors_before)
                return r;
        set_uptime(l, s, test, step);
        return load_expect(l, s, step);
}

static int load_steps(TestLoader *l, const config_setting_t *group, RuleTest *test) {
        _cleanup_free_ const config_setting_t **layers = NULL;
        const config_setting_t *steps, *element;
        size_t n;
        int r;

        r = snap_load_list(&l->snap, group, "steps", &steps);
        if (r < 0)
                return r;
        if (r == 0 || config_setting_length(steps) == 0) {
                setting_error(&l->snap.errors, group, "test without steps; steps = ( { time = ...; expect = { ... }; "
                              "} ) is needed");
                return 0;
        }
        n = (size_t)config_setting_length(steps);
        /* The newest first: filled from the back, so that a step's layers are a tail of the array. */
        layers = calloc(n + 1, sizeof(*layers));
        if (!layers)
                return -ENOMEM;
        for (unsigned i = 0; i < n; i++) {
                r = snap_load_element(&l->snap, steps, i, &element);
                if (r <= 0)
                        return r;
                layers[n - 1 - i] = element;
                r = load_step(l, layers + n - 1 - i, test);
                if (r < 0 || l->snap.errors.n > 0)
                        return r;
        }
        return 0;
}

static int load_test(TestLoader *l, const config_setting_t *s) {
        static const char *const keys[] = { "name", "steps", NULL };
        const config_setting_t *name = config_setting_get_member(s, "name");
        RuleTest *test;
        int r;

        r = snap_load_check_keys(&l->snap, s, keys, NULL);
        if (r >= 0)
                r = GROW_ARRAY(l->tests->tests, l->tests->tests_capacity, l->tests->n_tests);
        if (r < 0)
                return r;
        test = &l->tests->tests[l->tests->n_tests++];
        *test = (RuleTest){ .line = config_setting_source_line(s) };
        if (!name || config_setting_type(name) != CONFIG_TYPE_STRING || !*config_setting_get_string(name)) {
                setting_error(&l->snap.errors, s, "test without name; name = \"...\" is needed");
                return 0;
        }
        r = strdup_to(&test->name, config_setting_get_string(name));
        return r < 0 ? r : load_steps(l, s, test);
}

static int load_config_path(TestLoader *l, const config_setting_t *root) {
        const config_setting_t *s = config_setting_get_member(root, "config");
        const char *path;

        if (!s)
                return 0;
        if (config_setting_type(s) != CONFIG_TYPE_STRING)
                return snap_load_complain(&l->snap, s, "the path of a policy file");
        path = config_setting_get_string(s);
        if (path[0] == '/')
                return strdup_to(&l->tests->config, path);
        return strprintf_to(&l->tests->config, "%s/%s", l->snap.folder, path);
}

static int load_root(TestLoader *l, const config_setting_t *root) {
        static const char *const keys[] = { "config", "tests", NULL };
        const config_setting_t *tests, *element;
        int r;

        r = snap_load_check_keys(&l->snap, root, keys, NULL);
        if (r >= 0)
                r = load_config_path(l, root);
        if (r >= 0)
                r = snap_load_list(&l->snap, root, "tests", &tests);
        if (r < 0)
                return r;
        if (r == 0 || config_setting_length(tests) == 0) {
                setting_error(&l->snap.errors, root, "no tests; tests = ( { name = ...; steps = ( ... ); } ) is "
                              "needed");
                return 0;
        }
        for (unsigned i = 0; i < (unsigned)config_setting_length(tests); i++) {
                r = snap_load_element(&l->snap, tests, i, &element);
                if (r > 0)
                        r = load_test(l, element);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int load_file(TestLoader *l, const char *path) {
        __attribute__((cleanup(config_donep))) config_t config;
        _cleanup_free_ char *text = NULL;
        int r;

        config_init(&config);
        r = setting_read_file(&l->snap.errors, path, 0, path, &text);
        if (r < 0)
                return r;
        r = setting_parse(&l->snap.errors, &config, path, text, false);
        return r < 0 ? r : load_root(l, config_root_setting(&config));
}

int rule_tests_load(const char *path, RuleTests **ret, char **ret_error) {
        _cleanup_(rule_tests_freep) RuleTests *tests = NULL;
        _cleanup_free_ char *folder = NULL;
        const char *slash = strrchr(path, '/');
        TestLoader l = { .snap = { .errors.name = path } };
        int r;

        folder = slash ? strndup(path, MAX((size_t)(slash - path), (size_t)1)) : strdup(".");
        tests = calloc(1, sizeof(*tests));
        if (!folder || !tests)
                return -ENOMEM;
        l.snap.folder = folder;
        l.tests = tests;
        r = load_file(&l, path);
        if (l.snap.errors.out_of_memory)
                r = -ENOMEM;
        else if (r >= 0 && l.snap.errors.n > 0)
                r = -EBADMSG;
        if (r >= 0)
                *ret = TAKE_PTR(tests);
        else if (r != -ENOMEM)
                *ret_error = TAKE_PTR(l.snap.errors.text);
        setting_errors_done(&l.snap.errors);
        return r;
}
