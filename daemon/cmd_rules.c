/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmd_rules.h"

#include <stdio.h>
#include <time.h>

#include "../lib/local_time.h"
#include "../lib/parse.h"
#include "../lib/plan_text.h"
#include "../lib/policy.h"
#include "../lib/rules.h"
#include "../lib/snapshot_file.h"
#include "cmd.h"

#define DEFAULT_CONFIG SYSCONFDIR "/kvmtuned/kvmtuned.conf"

typedef struct RulesOptions {
        const char *at, *config, *snapshot;
        bool all;
} RulesOptions;

static const char usage[] =
        "Usage: kvmtuned rules [--at TIME] [--config FILE] [--snapshot FILE] [--all]\n"
        "\n"
        "Print which rules hold at a time, and the settings that follow.\n"
        "\n"
        "  -t, --at=TIME         a local time, \"2026-12-24 23:30\"; that of the snapshot, or now, without\n"
        "  -c, --config=FILE     the policy, kvmtuned.conf(5); " DEFAULT_CONFIG " without\n"
        "  -s, --snapshot=FILE   the host and its guests, kvmtuned-snapshot(5); nothing is known of them without\n"
        "  -a, --all             also the settings that have their defaults\n"
        "  -h, --help            print this text\n"
        "\n"
        "What the snapshot says is taken to have lasted longer than any rule waits for.\n";

static void read_clock(LocalTime *ret) {
        time_t now = time(NULL);
        struct tm tm;

        if (!localtime_r(&now, &tm))
                return;
        *ret = (LocalTime){ tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                            (tm.tm_wday + 6) % 7 };
}

/* Where summer time begins, an hour is left out. */
static bool is_on_the_clock(const LocalTime *t) {
        struct tm tm = { .tm_year = t->year - 1900, .tm_mon = t->month - 1, .tm_mday = t->day, .tm_hour = t->hour,
                         .tm_min = t->minute, .tm_isdst = -1 };

        return mktime(&tm) == (time_t)-1 || (tm.tm_hour == t->hour && tm.tm_min == t->minute);
}

static int load_snapshot(const RulesOptions *o, Snapshot **ret) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        _cleanup_free_ char *error = NULL;
        int r;

        r = o->snapshot ? snapshot_load(o->snapshot, &s, &error) : snapshot_new(&s);
        if (cmd_complain(o->snapshot ?: "rules", r, error) < 0)
                return r;
        if (!o->snapshot) {
                read_clock(&s->local_time);
                s->now_usec = USEC_PER_DAY;
        }
        if (o->at && local_time_parse(o->at, &s->local_time) < 0) {
                (void)fprintf(stderr, "rules: --at: \"%s\" is not a local time such as \"2026-12-24 23:30\"\n",
                              o->at);
                return -EINVAL;
        }
        if (o->at && !is_on_the_clock(&s->local_time))
                (void)fprintf(stderr,
                              "rules: --at: no clock shows \"%s\" in the time zone of this machine: it is put "
                              "forward then\n", o->at);
        *ret = TAKE_PTR(s);
        return 0;
}

/* ---- words ---- */

static void print_value(const Condition *c, uint64_t value) {
        _cleanup_free_ char *text = NULL;
        char bytes[FORMAT_BYTES_MAX];

        if (c->percent && format_permyriad(value, &text) >= 0)
                (void)fputs(text, stdout);
        else if (metric_takes_size(c->metric))
                (void)fputs(format_bytes_short(value, bytes), stdout);
        else
                (void)printf("%llu", (unsigned long long)value);
        if (c->rate != RATE_NONE)
                (void)fputs("/s", stdout);
}

static void print_threshold(const Condition *c, const MetricSource *from, bool holds) {
        MetricSource source = { from->snapshot, from->guest, c->has_node, c->node, !c->above };
        uint64_t value;

        (void)printf("%s", metric_to_string(c->metric));
        if (c->has_node)
                (void)printf(" of node %u", c->node);
        if (c->rate != RATE_NONE)
                (void)printf(" %s", metric_rate_to_string(c->rate));
        if (metric_value(&source, c->metric, c->percent, &value) < 0) {
                (void)printf(" is not known");
                return;
        }
        if (c->rate == RATE_NONE) {
                (void)printf(" is ");
                print_value(c, value);
        }
        (void)printf(", %s%s ", holds ? "" : "not ", c->above ? "above" : "below");
        print_value(c, c->limit);
}

static bool schedules_hold(const Condition *c, const LocalTime *t) {
        for (size_t i = 0; i < c->n_schedules; i++)
                if (schedule_matches(&c->schedules[i], t))
                        return true;
        return false;
}

/* Each leaf of a condition, one a line. */
static void print_condition(const Condition *c, const MetricSource *from, const State *state) {
        if (c->type == CONDITION_SCHEDULE)
                (void)printf("              line %u: the schedule %s\n", c->line,
                             schedules_hold(c, &from->snapshot->local_time) ? "holds" : "does not hold");
        if (c->type == CONDITION_THRESHOLD) {
                bool host = metric_scope(c->metric) != METRIC_OF_GUEST;

                (void)printf("              line %u: ", c->line);
                if (host)
                        print_threshold(c, from, c->threshold_index < state->n_thresholds &&
                                                         state->thresholds[c->threshold_index].active);
                else
                        (void)printf("%s, for each guest", metric_to_string(c->metric));
                (void)putchar('\n');
        }
        for (size_t i = 0; i < c->n_children; i++)
                print_condition(c->children[i], from, state);
}

static void print_rules(const Config *config, const Snapshot *snapshot, const State *state, const bool *active) {
        const MetricSource from = { .snapshot = snapshot };

        if (config->n_rules == 0)
                (void)puts("no rules");
        for (size_t i = 0; i < config->n_rules; i++) {
                const Rule *rule = &config->rules[i];

                (void)printf("%-10s  \"%s\" (%s:%u)%s\n", active[i] ? "ACTIVE" : "inactive", rule->name, rule->file,
                             rule->line, rule->of_guest && active[i] ? ", for some guests" : "");
                print_condition(rule->when, &from, state);
        }
}

/* -ENOMEM. */
static int print_setting(const Settings *s, Key key) {
        _cleanup_free_ char *value = NULL, *source = NULL, *name = NULL;
        int r;

        r = strprintf_to(&name, "%s.%s", config_keys[key].group, config_keys[key].name);
        if (r >= 0)
                r = setting_format(s, key, &value);
        if (r >= 0)
                r = setting_source(s, key, &source);
        if (r < 0)
                return r;
        (void)printf("  %-26s %-16s %s\n", name, *value ? value : "\"\"", source);
        return 0;
}

static int print_settings(const Settings *s, bool guest, bool all) {
        unsigned printed = 0;
        int r;

        for (int key = 0; key < _KEY_MAX; key++) {
                if ((config_keys[key].scope == SCOPE_GUEST) != guest || (!all && setting_is_default(s, (Key)key)))
                        continue;
                r = print_setting(s, (Key)key);
                if (r < 0)
                        return r;
                printed++;
        }
        if (printed == 0)
                (void)puts("  all as built in");
        return 0;
}

/* -ENOMEM. */
static int print_clashes(const PolicySettings *settings) {
        _cleanup_(plan_freep) Plan *plan = NULL;
        int r;

        r = plan_new(&plan);
        if (r >= 0)
                r = policy_say_clashes(settings, plan);
        for (size_t i = 0; r >= 0 && i < plan->n_notes; i++)
                (void)printf("%snote: %s\n", i == 0 ? "\n" : "", plan->notes[i]);
        return r;
}

static int print_all(const Config *config, const Snapshot *snapshot, const State *state,
                     const PolicySettings *settings, bool all) {
        static const char *const days[] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };
        const LocalTime *t = &snapshot->local_time;
        int r;

        (void)printf("At %s %04d-%02d-%02d %02d:%02d:%02d\n\n", days[t->weekday], t->year, t->month, t->day, t->hour,
                     t->minute, t->second);
        print_rules(config, snapshot, state, settings->active);
        r = print_clashes(settings);
        if (r < 0)
                return r;
        (void)puts("\nhost");
        r = print_settings(&settings->host, false, all);
        if (r >= 0 && snapshot->n_guests == 0) {
                (void)puts("\nguests that no entry and no rule selects");
                r = print_settings(&settings->host, true, all);
        }
        for (size_t i = 0; r >= 0 && i < snapshot->n_guests; i++) {
                (void)fputs("\nguest ", stdout);
                plan_put_text(stdout, snapshot->guests[i]->name);
                (void)putchar('\n');
                r = print_settings(settings->guests[i], true, all);
        }
        return r;
}

static int run(const RulesOptions *o) {
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_(snapshot_freep) Snapshot *snapshot = NULL;
        _cleanup_(state_freep) State *state = NULL;
        _cleanup_(policy_settings_done) PolicySettings settings = { 0 };
        _cleanup_free_ char *error = NULL;
        const char *path = o->config ?: DEFAULT_CONFIG;
        PolicyInput in;
        int c, r;

        /* Both, so that one run shows what is wrong in either. */
        c = config_load(path, &config, &error);
        (void)cmd_complain(path, c, error);
        r = load_snapshot(o, &snapshot);
        if (c < 0 || r < 0)
                return c < 0 ? c : r;
        r = state_new(&state);
        if (r < 0)
                return r;
        in = (PolicyInput){ .config = config, .snapshot = snapshot };
        r = policy_settings(&in, state, &settings);
        if (r < 0)
                return r;
        policy_settings_done(&settings);
        /* As it is, and for long: no dwell or mean is longer than a day. */
        snapshot->now_usec += 2 * USEC_PER_DAY;
        r = policy_settings(&in, state, &settings);
        return r < 0 ? r : print_all(config, snapshot, state, &settings, o->all);
}

int cmd_rules(int argc, char **argv) {
        RulesOptions o = { 0 };
        const CmdOption options[] = {
                { "at", 't', .text = &o.at },
                { "config", 'c', .text = &o.config },
                { "snapshot", 's', .text = &o.snapshot },
                { "all", 'a', .flag = &o.all },
        };
        int r;

        r = cmd_options(argc, argv, options, ELEMENTSOF(options), usage, NULL);
        if (r != 0)
                return r < 0 ? 2 : 0;
        if (run(&o) < 0)
                return 1;
        if (fflush(stdout) != 0) {
                (void)fprintf(stderr, "rules: cannot write: %s\n", strerrordesc_np(errno));
                return 1;
        }
        return 0;
}
