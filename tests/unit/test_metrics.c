/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The file of metrics: read back by a strict reader of the format (Prometheus'
 * exposition formats, text format version 0.0.4), and held to its manual page
 * and to the dashboard.
 */

#include <check.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>

#include "../../lib/metrics_text.h"
#include "../../lib/snapshot_file.h"
#include "tree.h"

#define HOST "topology = { synthetic = \"numa:2 core:2 pu:1\"; memory = [ \"4 GiB\", \"4 GiB\" ]; };" \
        "host = { cpu_busy = \"25 %%\"; ksm = { general_profit = \"-64 KiB\"; }; };"

/* ---- a strict reader ---- */

typedef struct Sample {
        char name[64], labels[256];
        double value;
} Sample;

typedef struct Page {
        Sample samples[512];
        size_t n;
        char families[64][64];
        size_t n_families;
} Page;

static size_t name_length(const char *p) {
        size_t n = 0;

        ck_assert_msg(isalpha((unsigned char)*p) || *p == '_', "a name begins with %.20s", p);
        while (isalnum((unsigned char)p[n]) || p[n] == '_')
                n++;
        return n;
}

static const char *read_labels(const char *p, Sample *s) {
        const char *begin = p;

        ck_assert_int_eq(*p++, '{');
        for (;;) {
                p += name_length(p);
                ck_assert_msg(p[0] == '=' && p[1] == '"', "no value: %.20s", p);
                for (p += 2; *p != '"'; p++) {
                        ck_assert_msg((unsigned char)*p >= 0x20, "a control character in a label");
                        if (*p == '\\') {
                                p++;
                                ck_assert_msg(*p == '\\' || *p == '"' || *p == 'n', "escape \\%c", *p);
                        }
                }
                p++;
                if (*p == '}')
                        break;
                ck_assert_int_eq(*p++, ',');
        }
        p++;
        (void)snprintf(s->labels, sizeof(s->labels), "%.*s", (int)(p - begin), begin);
        return p;
}

static void read_sample(const char *line, Page *page) {
        Sample *s = &page->samples[page->n++];
        const char *p = line, *family = page->families[page->n_families - 1];
        size_t n = name_length(p);
        char *end;

        ck_assert_uint_lt(page->n, ELEMENTSOF(page->samples));
        (void)snprintf(s->name, sizeof(s->name), "%.*s", (int)n, p);
        ck_assert_msg(page->n_families > 0 && streq(s->name, family), "%s stands in the family of %s", s->name, family);
        p += n;
        if (*p == '{')
                p = read_labels(p, s);
        ck_assert_int_eq(*p++, ' ');
        ck_assert(isdigit((unsigned char)*p) || *p == '-');
        s->value = strtod(p, &end);
        ck_assert_msg(*end == 0, "after a value: %s", end);
        for (size_t i = 0; i + 1 < page->n; i++)
                ck_assert_msg(!streq(page->samples[i].name, s->name) || !streq(page->samples[i].labels, s->labels),
                              "%s%s is there twice", s->name, s->labels);
}

/* HELP, then TYPE, then samples; no family twice. */
static void read_comment(const char *line, const char *next, Page *page) {
        char name[64], type[32];

        if (startswith(line, "# HELP ")) {
                ck_assert_int_eq(sscanf(line, "# HELP %63s", name), 1);
                for (size_t i = 0; i < page->n_families; i++)
                        ck_assert_msg(!streq(page->families[i], name), "%s begins twice", name);
                ck_assert_msg(next && startswith(next, "# TYPE "), "no TYPE after %s", line);
                (void)snprintf(page->families[page->n_families++], 64, "%s", name);
                return;
        }
        ck_assert_int_eq(sscanf(line, "# TYPE %63s %31s", name, type), 2);
        ck_assert_str_eq(name, page->families[page->n_families - 1]);
        ck_assert(streq(type, "counter") || streq(type, "gauge"));
        ck_assert_msg(streq(type, "counter") == (strlen(name) > 6 && streq(name + strlen(name) - 6, "_total")),
                      "%s is a %s", name, type);
}

static Page *read_page(const char *text) {
        _cleanup_free_ char *copy = strdup(text);
        Page *page = calloc(1, sizeof(*page));
        char *line = copy;

        ck_assert(page && copy);
        ck_assert_msg(text[strlen(text) - 1] == '\n', "the last line does not end");
        while (*line) {
                char *next = strchr(line, '\n');

                *next++ = 0;
                if (*line == '#')
                        read_comment(line, *next ? next : NULL, page);
                else
                        read_sample(line, page);
                line = next;
        }
        return page;
}

static double value(const Page *page, const char *name, const char *labels) {
        for (size_t i = 0; i < page->n; i++)
                if (streq(page->samples[i].name, name) && streq(page->samples[i].labels, labels))
                        return page->samples[i].value;
        return -1e9;
}

static void assert_value(const Page *page, const char *name, const char *labels, double want) {
        double got = value(page, name, labels);

        ck_assert_msg(fabs(got - want) <= 1e-9 * MAX(fabs(want), 1.0), "%s%s is %f, not %f", name, labels, got, want);
}

/* ---- pages ---- */

static Page *make(const char *guests, const char *owned, MetricsInput in) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_(state_freep) State *state = NULL;
        _cleanup_free_ char *text = NULL, *page = NULL, *error = NULL;
        bool active[] = { true, false };
        MetricsCounters none = { 0 };

        ck_assert_int_ge(asprintf(&text, HOST "guests = ( %s );", guests), 0);
        ck_assert_msg(snapshot_load_text("t", text, &s, &error) == 0, "%s", error ? error : "?");
        ck_assert_int_eq(config_load_text("c", "rules = ( { name = \"a \\\"b\\\" \\\\\"; when = { schedule = \"08:00-09:00\"; }; set = { ksm = { mode = \"on\"; }; }; },"
                                               "          { name = \"c\"; when = { schedule = \"10:00-11:00\"; }; set = { ksm = { mode = \"on\"; }; }; } );",
                                          &config, &error),
                         0);
        ck_assert_int_eq(state_new(&state), 0);
        for (size_t i = 0; i < s->n_guests; i++)
                if (streq(owned, "*") || strstr(owned, s->guests[i]->name)) {
                        Action a = { .kind = ACTION_PIN_VCPU, .old_value = (char *)"0-3", .new_value = (char *)"0-1" };

                        a.uuid = s->guests[i]->uuid;
                        ck_assert_int_eq(state_own(state, &a), 0);
                        a.index = 1;
                        ck_assert_int_eq(state_own(state, &a), 0);
                }
        in.snapshot = s;
        in.config = config;
        in.state = state;
        in.version = "1";
        in.rules_active = active;
        if (!in.counters)
                in.counters = &none;
        ck_assert_int_eq(metrics_format(&in, &page), 0);
        return read_page(page);
}

START_TEST(what_the_daemon_did) {
        MetricsCounters c = { .cycles = 7, .cycles_usec = 1500000, .restored = 3 };
        _cleanup_free_ Page *page = NULL;

        c.done[ACTION_SET_BALLOON] = 4;
        c.failed[ACTION_SET_BALLOON] = 1;
        c.skips[SKIP_USER_PIN] = 2;
        c.skipped[SKIP_USER_PIN] = 1;
        c.gained[MOVE_LOAD] = 5;
        c.not_gained[MOVE_LOAD] = 6;
        page = make("", "", (MetricsInput){ .counters = &c, .connected = true, .cycle_realtime_usec = 1700000000250000,
                                             .guests_max = 10 });
        assert_value(page, "kvmtuned_build_info", "{version=\"1\"}", 1);
        assert_value(page, "kvmtuned_last_cycle_timestamp_seconds", "", 1700000000.25);
        assert_value(page, "kvmtuned_cycles_total", "", 7);
        assert_value(page, "kvmtuned_cycle_seconds_total", "", 1.5);
        assert_value(page, "kvmtuned_libvirt_connected", "", 1);
        assert_value(page, "kvmtuned_paused", "", 0);
        assert_value(page, "kvmtuned_actions_total", "{action=\"set-balloon\",result=\"done\"}", 4);
        assert_value(page, "kvmtuned_actions_total", "{action=\"set-balloon\",result=\"failed\"}", 1);
        assert_value(page, "kvmtuned_actions_total", "{action=\"pin-vcpu\",result=\"done\"}", 0);
        assert_value(page, "kvmtuned_skips_total", "{reason=\"user-pin\"}", 2);
        assert_value(page, "kvmtuned_skipped", "{reason=\"user-pin\"}", 1);
        assert_value(page, "kvmtuned_moves_total", "{cause=\"load\",result=\"gained\"}", 5);
        assert_value(page, "kvmtuned_moves_total", "{cause=\"load\",result=\"not_gained\"}", 6);
        assert_value(page, "kvmtuned_restored_total", "", 3);
        assert_value(page, "kvmtuned_rule_active", "{rule=\"a \\\"b\\\" \\\\\"}", 1);
        assert_value(page, "kvmtuned_rule_active", "{rule=\"c\"}", 0);
        assert_value(page, "kvmtuned_ksm_profit_bytes", "", -65536);
}
END_TEST

START_TEST(nodes_and_guests) {
        _cleanup_free_ Page *page =
                make("{ name = \"db\"; vcpus = 2; busy = [ \"50 %\", \"100 %\" ]; wait = \"5 %\"; affinity = \"0-1\"; memory = \"2 GiB\";"
                     "  current = \"1 GiB\"; stats = { usable = \"256 MiB\"; };"
                     "  node_memory = ( { node = 0; size = \"768 MiB\"; }, { node = 1; size = \"256 MiB\"; } ); },"
                     "{ name = \"other\"; vcpus = 1; }",
                     "db", (MetricsInput){ .guests_max = 10 });

        assert_value(page, "kvmtuned_guests", "", 2);
        assert_value(page, "kvmtuned_vcpus", "", 3);
        assert_value(page, "kvmtuned_owned", "{action=\"pin-vcpu\"}", 2);
        assert_value(page, "kvmtuned_node_cpus", "{node=\"1\"}", 2);
        assert_value(page, "kvmtuned_node_vcpus", "{node=\"0\"}", 2.5);
        assert_value(page, "kvmtuned_node_cpu_busy_ratio", "{node=\"0\"}", 0.25);
        assert_value(page, "kvmtuned_node_memory_bytes", "{node=\"1\"}", 4294967296.0);
        assert_value(page, "kvmtuned_node_guest_memory_bytes", "{node=\"1\"}", 268435456);
        assert_value(page, "kvmtuned_guest_vcpus", "{guest=\"db\"}", 2);
        assert_value(page, "kvmtuned_guest_cpu_busy_ratio", "{guest=\"db\"}", 0.75);
        assert_value(page, "kvmtuned_guest_cpu_wait_ratio", "{guest=\"db\"}", 0.05);
        assert_value(page, "kvmtuned_guest_memory_bytes", "{guest=\"db\"}", 1073741824);
        assert_value(page, "kvmtuned_guest_memory_maximum_bytes", "{guest=\"db\"}", 2147483648.0);
        assert_value(page, "kvmtuned_guest_memory_usable_bytes", "{guest=\"db\"}", 268435456);
        assert_value(page, "kvmtuned_guest_memory_remote_ratio", "{guest=\"db\"}", 0.25);
        assert_value(page, "kvmtuned_guest_owned", "{guest=\"db\"}", 2);
        /* Nothing is done to it. */
        assert_value(page, "kvmtuned_guest_vcpus", "{guest=\"other\"}", -1e9);
}
END_TEST

START_TEST(what_is_not_known_has_no_sample) {
        _cleanup_free_ Page *page = make("{ name = \"g\"; rss = \"unknown\"; }", "g", (MetricsInput){ .guests_max = 10 });

        assert_value(page, "kvmtuned_guest_vcpus", "{guest=\"g\"}", 1);
        assert_value(page, "kvmtuned_guest_cpu_busy_ratio", "{guest=\"g\"}", -1e9);
        assert_value(page, "kvmtuned_guest_cpu_wait_ratio", "{guest=\"g\"}", -1e9);
        assert_value(page, "kvmtuned_guest_memory_resident_bytes", "{guest=\"g\"}", -1e9);
        assert_value(page, "kvmtuned_guest_memory_usable_bytes", "{guest=\"g\"}", -1e9);
        assert_value(page, "kvmtuned_guest_memory_remote_ratio", "{guest=\"g\"}", -1e9);
}
END_TEST

static const struct {
        uint64_t max;
        bool small, middle, large;
        double left_out;
} limit_rows[] = {
        { 0, false, false, false, 3 },
        { 1, false, false, true, 2 },
        { 2, false, true, true, 1 },
        { 3, true, true, true, 0 },
        { 100, true, true, true, 0 },
};

START_TEST(the_largest_guests_have_series) {
        _cleanup_free_ Page *page =
                make("{ name = \"small\"; memory = \"1 GiB\"; }, { name = \"middle\"; memory = \"2 GiB\"; }, { name = \"large\"; memory = \"3 GiB\"; }",
                     "small middle large", (MetricsInput){ .guests_max = limit_rows[_i].max });

        ck_assert_int_eq(value(page, "kvmtuned_guest_vcpus", "{guest=\"small\"}") > 0, limit_rows[_i].small);
        ck_assert_int_eq(value(page, "kvmtuned_guest_vcpus", "{guest=\"middle\"}") > 0, limit_rows[_i].middle);
        ck_assert_int_eq(value(page, "kvmtuned_guest_vcpus", "{guest=\"large\"}") > 0, limit_rows[_i].large);
        assert_value(page, "kvmtuned_guests_without_series", "", limit_rows[_i].left_out);
}
END_TEST

/* The reader would stumble over a name that ends a label, or a line. */
START_TEST(names_of_guests_are_escaped) {
        _cleanup_free_ Page *page = make("{ name = \"a\\\"} 1\\nb\\\\c\\xff\"; }", "*", (MetricsInput){ .guests_max = 1 });

        assert_value(page, "kvmtuned_guest_vcpus", "{guest=\"a\\\"} 1\\\\x0ab\\\\c\xef\xbf\xbd\"}", 1);
}
END_TEST

/* ---- what is written about them ---- */

static char *read_file(const char *path) {
        _cleanup_close_ int root = sysfs_open_root(".");
        char *text = NULL;

        ck_assert_int_ge(root, 0);
        ck_assert_int_eq(sysfs_read(root, path, &text, NULL), 0);
        return text;
}

START_TEST(the_manual_lists_every_metric) {
        _cleanup_free_ char *page = read_file("man/kvmtuned-metrics.7");
        size_t items = 0;

        for (const char *p = page; (p = strstr(p, "\n.It Ic kvmtuned_")); p++)
                items++;
        ck_assert_uint_eq(items, n_metrics_families);
        for (size_t i = 0; i < n_metrics_families; i++) {
                const MetricsFamily *m = &metrics_families[i];
                char item[128];

                (void)snprintf(item, sizeof(item), "\n.It Ic %s Pq %s", m->name, m->type == METRICS_COUNTER ? "counter" : "gauge");
                ck_assert_msg(strstr(page, item), "kvmtuned-metrics(7) lacks %s", item + 1);
                ck_assert_msg(strstr(page, m->help), "kvmtuned-metrics(7) lacks the text of %s", m->name);
        }
}
END_TEST

START_TEST(the_dashboard_asks_for_metrics_that_are_there) {
        _cleanup_free_ char *text = read_file("conf/grafana-dashboard.json");
        size_t asked = 0;

        for (const char *p = text; (p = strstr(p, "kvmtuned_")); asked++) {
                size_t n = name_length(p);
                bool known = false;

                for (size_t i = 0; i < n_metrics_families; i++)
                        known = known || (strlen(metrics_families[i].name) == n && strncmp(p, metrics_families[i].name, n) == 0);
                ck_assert_msg(known, "no metric %.*s", (int)n, p);
                p += n;
        }
        ck_assert_uint_gt(asked, 10);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("metrics");
        TCase *tc = tcase_create("metrics");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_test(tc, what_the_daemon_did);
        tcase_add_test(tc, nodes_and_guests);
        tcase_add_test(tc, what_is_not_known_has_no_sample);
        tcase_add_loop_test(tc, the_largest_guests_have_series, 0, (int)ELEMENTSOF(limit_rows));
        tcase_add_test(tc, names_of_guests_are_escaped);
        tcase_add_test(tc, the_manual_lists_every_metric);
        tcase_add_test(tc, the_dashboard_asks_for_metrics_that_are_there);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed > 0;
}
