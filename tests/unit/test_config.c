/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../../lib/config_value.h"
#include "config_util.h"

/* ---- the table of keys ---- */

START_TEST(every_key_has_a_row_and_is_found_by_its_name) {
        const KeyInfo *info = &config_keys[_i];

        ck_assert_ptr_nonnull(info->group);
        ck_assert_ptr_nonnull(info->name);
        ck_assert_ptr_nonnull(info->default_text);
        ck_assert_int_eq(config_key_find(info->group, info->name), _i);
        ck_assert(info->type == TYPE_ENUM ? info->choices != NULL : info->choices == NULL);
        for (int i = 0; i < _i; i++)
                ck_assert_msg(!streq(info->group, config_keys[i].group) ||
                                      streq(info->group, config_keys[_i - 1].group),
                              "the keys of a group stand together");
}
END_TEST

START_TEST(unknown_keys_are_not_found) {
        ck_assert_int_eq(config_key_find("ksm", "policy"), _KEY_INVALID);
        ck_assert_int_eq(config_key_find("mode", "ksm"), _KEY_INVALID);
        ck_assert_int_eq(config_key_find("", ""), _KEY_INVALID);
}
END_TEST

START_TEST(default_is_as_the_table_says) {
        _cleanup_(config_freep) Config *c = load("");
        _cleanup_free_ char *text = formatted(&c->base, (Key)_i);

        ck_assert_str_eq(text, config_keys[_i].default_text);
        ck_assert_ptr_null(c->base.values[_i].file);
        assert_source(&c->base, (Key)_i, "default");
}
END_TEST

START_TEST(defaults_change_nothing) {
        _cleanup_(config_freep) Config *c = NULL;

        ck_assert_int_eq(config_new(&c), 0);
        ck_assert_uint_eq(setting(&c->base, KEY_CPU_POLICY), CPU_NONE);
        ck_assert_uint_eq(setting(&c->base, KEY_KSM_MODE), KSM_KEEP);
        ck_assert_uint_eq(setting(&c->base, KEY_BALLOON_MODE), BALLOON_OFF);
        ck_assert_uint_eq(setting(&c->base, KEY_DAEMON_ON_STOP), ON_STOP_RESTORE);
        ck_assert_uint_eq(c->n_guests + c->n_rules, 0);
}
END_TEST

/* ---- values ---- */

static const struct {
        const char *text;
        Key key;
        uint64_t number;
        bool percent, automatic;
} value_rows[] = {
        { "daemon: { interval = \"1.5 min\"; };", KEY_DAEMON_INTERVAL, 90 * USEC_PER_SEC, false, false },
        { "daemon: { dry_run = true; };", KEY_DAEMON_DRY_RUN, 1, false, false },
        { "daemon = { on_stop: \"keep\" }", KEY_DAEMON_ON_STOP, ON_STOP_KEEP, false, false },
        { "host: { reserved_memory = \"10 %\"; };", KEY_HOST_RESERVED_MEMORY, 1000, true, false },
        { "host: { reserved_memory = \"2 GiB\"; };", KEY_HOST_RESERVED_MEMORY, 2 * GIB, false, false },
        { "host: { reserved_memory = \"auto\"; };", KEY_HOST_RESERVED_MEMORY, 0, false, true },
        { "cpu: { policy = \"pinned\"; };", KEY_CPU_POLICY, CPU_PINNED, false, false },
        { "cpu: { emulator = \"none\"; };", KEY_CPU_EMULATOR, FOLLOW_NONE, false, false },
        { "numa: { policy = \"none\"; };", KEY_NUMA_POLICY, NUMA_NONE, false, false },
        { "numa: { move_rate = \"1 GB/s\"; };", KEY_NUMA_MOVE_RATE, 1000000000, false, false },
        { "ksm: { mode = \"ksmtuned\"; };", KEY_KSM_MODE, KSM_KSMTUNED, false, false },
        { "ksm: { mode = \"mom\"; };", KEY_KSM_MODE, KSM_MOM, false, false },
        { "ksm: { mode = \"kubevirt\"; };", KEY_KSM_MODE, KSM_KUBEVIRT, false, false },
        { "ksm: { pages_to_scan = 1000; };", KEY_KSM_PAGES_TO_SCAN, 1000, false, false },
        { "ksm: { pages_to_scan = \"1000\"; };", KEY_KSM_PAGES_TO_SCAN, 1000, false, false },
        { "ksm: { pages_to_scan = 0x64; };", KEY_KSM_PAGES_TO_SCAN, 100, false, false },
        { "ksm: { sleep = \"0\"; };", KEY_KSM_SLEEP, 0, false, false },
        { "ksm: { start = \"12.34 %\"; };", KEY_KSM_START, 1234, false, false },
        { "balloon: { mode = \"target\"; };", KEY_BALLOON_MODE, BALLOON_TARGET, false, false },
        { "balloon: { target = \"512 MiB\"; };", KEY_BALLOON_TARGET, 512 * MIB, false, false },
        { "balloon: { target = \"40 %\"; };", KEY_BALLOON_TARGET, 4000, true, false },
        { "balloon: { reclaim = FALSE; };", KEY_BALLOON_RECLAIM, 0, false, false },
};

START_TEST(value_is_read) {
        _cleanup_(config_freep) Config *c = load(value_rows[_i].text);
        const SettingValue *v = &c->base.values[value_rows[_i].key];

        ck_assert_msg(v->number == value_rows[_i].number, "%s", value_rows[_i].text);
        ck_assert_int_eq(v->percent, value_rows[_i].percent);
        ck_assert_int_eq(v->automatic, value_rows[_i].automatic);
        ck_assert_str_eq(v->file, "t.conf");
        ck_assert_uint_eq(v->line, 1);
        ck_assert_ptr_null(v->rule);
}
END_TEST

START_TEST(text_values_outlive_the_file) {
        _cleanup_free_ char *text = strdup("daemon: { uri = \"test:///default\"; };\n"
                                           "host: { reserved_cpus = \"0-1,8\"; };");
        _cleanup_(config_freep) Config *c = NULL;

        ck_assert_ptr_nonnull(text);
        c = load(text);
        memset(text, 'x', strlen(text));
        ck_assert_str_eq(c->base.values[KEY_DAEMON_URI].text, "test:///default");
        ck_assert_str_eq(c->base.values[KEY_HOST_RESERVED_CPUS].text, "0-1,8");
        ck_assert_uint_eq(c->base.values[KEY_HOST_RESERVED_CPUS].line, 2);
}
END_TEST

/* One value each side of every bound: one off would pass the goldens. */
static const struct {
        const char *group, *good, *bad;
} bound_rows[] = {
        { "daemon", "interval = \"1 s\"", "interval = \"999999 us\"" },
        { "daemon", "interval = \"60 min\"", "interval = \"3600001 ms\"" },
        { "host", "reserved_cpus = \"4095\"", "reserved_cpus = \"4096\"" },
        { "host", "reserved_memory = \"100 %\"", "reserved_memory = \"100.01 %\"" },
        { "numa", "move_rate = \"1 MiB/s\"", "move_rate = \"1048575 B/s\"" },
        { "numa", "move_rate = \"1 TiB/s\"", "move_rate = \"1025 GiB/s\"" },
        { "numa", "cooldown = \"10 s\"", "cooldown = \"9999 ms\"" },
        { "numa", "cooldown = \"24 h\"", "cooldown = \"25 h\"" },
        { "ksm", "pages_to_scan = 1", "pages_to_scan = 0" },
        { "ksm", "pages_to_scan = 1000000", "pages_to_scan = 1000001" },
        { "ksm", "pages_to_scan = 100", "pages_to_scan = 4294967396" },
        { "ksm", "pages_to_scan = 100", "pages_to_scan = -4294967196" },
        { "ksm", "pages_to_scan = 0x64", "pages_to_scan = 0x100000064" },
        { "ksm", "pages_to_scan = 100", "pages_to_scan = 100L" },
        { "ksm", "pages_to_scan = 100", "pages_to_scan = 100.0" },
        { "ksm", "sleep = \"10 s\"", "sleep = \"10001 ms\"" },
        { "ksm", "sleep = \"1 ms\"", "sleep = \"1500 us\"" },
        { "ksm", "stop = \"100 %\"", "stop = \"101 %\"" },
        { "balloon", "minimum = \"1 MiB\"", "minimum = \"1023 KiB\"" },
        { "balloon", "minimum = \"0.01 %\"", "minimum = \"0 %\"" },
        { "balloon", "target = \"1 PiB\"", "target = \"1025 TiB\"" },
        { "balloon", "reserve = \"0 %\"", "reserve = \"-1 %\"" },
        { "balloon", "stats_period = \"3600 s\"", "stats_period = \"3601 s\"" },
        { "balloon", "stats_period = \"2 s\"", "stats_period = \"2500 ms\"" },
};

START_TEST(bound_is_exact) {
        char text[256];
        _cleanup_(config_freep) Config *c = NULL;
        _cleanup_free_ char *error = NULL;

        (void)snprintf(text, sizeof(text), "%s: { %s; };", bound_rows[_i].group, bound_rows[_i].good);
        c = load(text);
        (void)snprintf(text, sizeof(text), "%s: { %s; };", bound_rows[_i].group, bound_rows[_i].bad);
        error = refused(text);
        ck_assert_ptr_eq(strstr(error, "t.conf:1: "), error);
}
END_TEST

static void assert_round_trip(Key key, SettingValue v) {
        const KeyInfo *info = &config_keys[key];
        const char *quote = info->type == TYPE_BOOL ? "" : "\"";
        bool of_load = streq(info->group, "vcpus");
        _cleanup_(config_freep) Config *c = NULL;
        _cleanup_free_ char *value = NULL, *text = NULL, *again = NULL;

        ck_assert_int_eq(config_value_format(key, &v, &value), 0);
        /* The limits must keep their order; vcpus acts above its start, the others below theirs. */
        ck_assert_int_eq(strprintf_to(&text, "%s: { %s%s = %s%s%s; };", info->group,
                                      streq(info->name, "start") ? of_load ? "stop = \"0 %\"; " : "stop = \"100 %\"; "
                                      : streq(info->name, "stop") ? of_load ? "start = \"100 %\"; " : "start = \"0 %\"; "
                                      : "",
                                      info->name, quote, value, quote), 0);
        c = load(text);
        ck_assert_msg(c->base.values[key].number == v.number, "%s", text);
        ck_assert_int_eq(c->base.values[key].percent, v.percent);
        ck_assert_int_eq(c->base.values[key].automatic, v.automatic);
        ck_assert_int_eq(c->base.values[key].keep, v.keep);
        again = formatted(&c->base, key);
        ck_assert_str_eq(again, value);
}

START_TEST(formatted_value_is_read_back) {
        const KeyInfo *info = &config_keys[_i];
        bool is_limit = streq(info->name, "start") || streq(info->name, "stop");
        Key key = (Key)_i;

        if (info->type == TYPE_STRING || info->type == TYPE_CPUSET) {
                assert_round_trip(key, (SettingValue){ .text = key == KEY_DAEMON_METRICS_FILE ? "/run/a b,c"
                                                             : key == KEY_DAEMON_URI        ? "test:///a,b"
                                                                                            : "0-2,7" });
                return;
        }
        if (info->type == TYPE_BOOL || info->type == TYPE_ENUM) {
                for (uint64_t n = 0; info->type == TYPE_BOOL ? n < 2 : info->choices[n] != NULL; n++)
                        assert_round_trip(key, (SettingValue){ .number = n });
                return;
        }
        if (!is_limit) {
                assert_round_trip(key, (SettingValue){ .number = info->minimum });
                assert_round_trip(key, (SettingValue){ .number = info->maximum });
        } else
                assert_round_trip(key, (SettingValue){ .number = 1234 });
        if (info->type == TYPE_AMOUNT) {
                if (!info->size_only)
                        assert_round_trip(key, (SettingValue){ .number = 1505, .percent = true });
                assert_round_trip(key, (SettingValue){ .number = info->size_only ? 512 * MIB : 1537 * MIB });
        }
        if (info->allow_auto)
                assert_round_trip(key, (SettingValue){ .automatic = true });
        if (info->allow_keep)
                assert_round_trip(key, (SettingValue){ .keep = true });
}
END_TEST

START_TEST(amount_is_bytes_percent_or_automatic) {
        _cleanup_(config_freep) Config *c = load("balloon: { target = \"25 %\"; minimum = \"3 MiB\"; };");

        ck_assert_uint_eq(setting_amount(&c->base, KEY_BALLOON_TARGET, 8 * GIB, 7), 2 * GIB);
        ck_assert_uint_eq(setting_amount(&c->base, KEY_BALLOON_MINIMUM, 8 * GIB, 7), 3 * MIB);
        ck_assert_uint_eq(setting_amount(&c->base, KEY_HOST_RESERVED_MEMORY, 8 * GIB, 7), 7);
        ck_assert_uint_eq(setting_amount(&c->base, KEY_BALLOON_TARGET, UINT64_MAX, 7), UINT64_MAX / 4);
}
END_TEST

/* ---- layers ---- */

static const char layers[] = "cpu: { policy = \"shared\"; };\n"
                             "guests = (\n"
                             "  { match = { name = \"db-*\"; }; cpu: { policy = \"pinned\"; };\n"
                             "    balloon: { minimum = \"80 %\"; step = \"1 %\"; }; },\n"
                             "  { match = { class = \"batch\"; }; balloon: { minimum = \"10 %\"; }; }\n"
                             ");\n"
                             "rules = (\n"
                             "  { name = \"night\"; when = { schedule = \"22:00-06:00\"; };\n"
                             "    set = { ksm: { mode = \"on\"; }; balloon: { minimum = \"20 %\"; }; }; },\n"
                             "  { name = \"batch\"; when = { schedule = \"Sat\"; }; guests = { class=\"batch\"; };\n"
                             "    set = { balloon: { minimum = \"5 %\"; mode = \"auto\"; }; }; },\n"
                             "  { name = \"ksm off\"; when = { schedule = \"Sun\"; };\n"
                             "    set = { ksm: { mode = \"off\"; }; }; }\n"
                             ");\n";

START_TEST(later_layers_win_key_by_key) {
        _cleanup_(config_freep) Config *c = load(layers);
        char db_name[] = "db-1", other_name[] = "web", batch[] = "batch";
        Guest db = { .name = db_name }, db_batch = { .name = db_name, .class = batch }, web = { .name = other_name };
        const bool none[3] = { false }, night[3] = { true, false, false }, all[3] = { true, true, true };
        Settings s;

        config_resolve_guest(c, (ActiveRules){ none }, &web, &s);
        assert_format(&s, KEY_CPU_POLICY, "shared");
        assert_format(&s, KEY_BALLOON_MINIMUM, "50 %");
        config_resolve_guest(c, (ActiveRules){ none }, &db, &s);
        assert_format(&s, KEY_CPU_POLICY, "pinned");
        assert_format(&s, KEY_BALLOON_MINIMUM, "80 %");
        config_resolve_guest(c, (ActiveRules){ none }, &db_batch, &s);
        assert_format(&s, KEY_CPU_POLICY, "pinned");
        assert_format(&s, KEY_BALLOON_MINIMUM, "10 %");
        assert_format(&s, KEY_BALLOON_STEP, "1 %");
        config_resolve_guest(c, (ActiveRules){ night }, &db_batch, &s);
        assert_format(&s, KEY_BALLOON_MINIMUM, "20 %");
        config_resolve_guest(c, (ActiveRules){ all }, &db_batch, &s);
        assert_format(&s, KEY_BALLOON_MINIMUM, "5 %");
        assert_format(&s, KEY_BALLOON_MODE, "auto");
        config_resolve_guest(c, (ActiveRules){ all }, &web, &s);
        assert_format(&s, KEY_BALLOON_MINIMUM, "20 %");
        assert_format(&s, KEY_BALLOON_MODE, "off");
}
END_TEST

START_TEST(host_takes_rules_without_guests_only) {
        _cleanup_(config_freep) Config *c = load(layers);
        const bool night[3] = { true, false, false }, batch[3] = { false, true, false };
        const bool all[3] = { true, true, true };
        Settings s;

        config_resolve_host(c, (ActiveRules){ NULL }, &s);
        assert_format(&s, KEY_KSM_MODE, "keep");
        config_resolve_host(c, (ActiveRules){ night }, &s);
        assert_format(&s, KEY_KSM_MODE, "on");
        config_resolve_host(c, (ActiveRules){ batch }, &s);
        assert_format(&s, KEY_BALLOON_MODE, "off");
        config_resolve_host(c, (ActiveRules){ all }, &s);
        assert_format(&s, KEY_KSM_MODE, "off");
}
END_TEST

START_TEST(source_names_the_line_and_the_rule) {
        _cleanup_(config_freep) Config *c = load(layers);
        const bool night[3] = { true, false, false };
        char name[] = "db-1";
        Guest db = { .name = name };
        Settings s;

        config_resolve_guest(c, (ActiveRules){ night }, &db, &s);
        assert_source(&s, KEY_CPU_POLICY, "t.conf:3");
        assert_source(&s, KEY_BALLOON_STEP, "t.conf:4");
        assert_source(&s, KEY_BALLOON_MINIMUM, "rule \"night\" (t.conf:9)");
        assert_source(&s, KEY_BALLOON_MODE, "default");
        config_resolve_host(c, (ActiveRules){ NULL }, &s);
        assert_source(&s, KEY_CPU_POLICY, "t.conf:1");
}
END_TEST

static const struct {
        const char *name;
        GuestSelector selector;
        bool want;
} selector_rows[] = {
        { "an empty selector matches", { 0 }, true },
        { "name, exactly", { .name = (char *)"db-12" }, true },
        { "name, glob", { .name = (char *)"db-*" }, true },
        { "name, set", { .name = (char *)"db-[0-9][0-9]" }, true },
        { "a name is not a beginning", { .name = (char *)"db-1" }, false },
        { "title, glob across slashes", { .title = (char *)"Sales*" }, true },
        { "title, other", { .title = (char *)"Dev*" }, false },
        { "uuid, in other case", { .uuid = (char *)"4DEA22B3-1D52-D8F3-2516-782E98AB3FA0" }, true },
        { "uuid, other", { .uuid = (char *)"4dea22b3-1d52-d8f3-2516-782e98ab3fa1" }, false },
        { "class", { .class = (char *)"db" }, true },
        { "class is no glob", { .class = (char *)"d*" }, false },
        { "memory, at least", { .memory_at_least = 8 * GIB }, true },
        { "memory, at least a byte more", { .memory_at_least = 8 * GIB + 1 }, false },
        { "memory, at most", { .memory_at_most = 8 * GIB }, true },
        { "memory, at most a byte less", { .memory_at_most = 8 * GIB - 1 }, false },
        { "memory, both", { .memory_at_least = GIB, .memory_at_most = 16 * GIB }, true },
        { "vCPUs, at least", { .vcpus_at_least = 4 }, true },
        { "vCPUs, at least one more", { .vcpus_at_least = 5 }, false },
        { "vCPUs, at most", { .vcpus_at_most = 4 }, true },
        { "vCPUs, at most one less", { .vcpus_at_most = 3 }, false },
        { "node with most of its memory", { .has_node = true, .node = 1 }, true },
        { "node with the rest of it", { .has_node = true, .node = 0 }, false },
        { "node with none of it", { .has_node = true, .node = 2 }, false },
        { "with a balloon", { .balloon = SELECT_WITH }, true },
        { "without a balloon", { .balloon = SELECT_WITHOUT }, false },
        { "all fields must match: they do", { .name = (char *)"db-*", .class = (char *)"db" }, true },
        { "all fields must match: one does not", { .name = (char *)"db-*", .class = (char *)"web" }, false },
};

START_TEST(selector_matches) {
        char name[] = "db-12", title[] = "Sales/EU", class[] = "db";
        GuestNodeMemory memory[] = { { 0, 1000 }, { 1, 1001 } };
        Guest g = { .uuid = "4dea22b3-1d52-d8f3-2516-782e98ab3fa0", .name = name, .title = title, .class = class,
                    .max_bytes = 8 * GIB, .n_vcpus = 4, .node_memory = memory, .n_node_memory = 2,
                    .balloon_device = true };
        Guest bare = { .name = name, .max_bytes = UNKNOWN_U64 };

        ck_assert_msg(guest_selector_matches(&selector_rows[_i].selector, &g) == selector_rows[_i].want, "%s",
                      selector_rows[_i].name);
        if (selector_rows[_i].selector.title || selector_rows[_i].selector.class ||
            selector_rows[_i].selector.memory_at_most || selector_rows[_i].selector.has_node)
                ck_assert(!guest_selector_matches(&selector_rows[_i].selector, &bare));
}
END_TEST

/* ---- rules ---- */

START_TEST(conditions_are_read) {
        _cleanup_(config_freep) Config *c = load(
                "rules = (\n"
                "  { name = \"a\"; set = { cpu: { policy = \"shared\"; }; }; guests = { };\n"
                "    when = { all = ( { schedule = \"Mon 08:00-12:00,13:00-17:00\"; },\n"
                "       { metric = \"host.cpu.busy\"; above = \"60 %\"; clear = \"50 %\"; for = \"2 min\"; },\n"
                "                     { not = { metric = \"host.memory.free\"; below = \"1 GiB\"; }; } ); }; },\n"
                "  { name = \"b\"; when = { metric = \"host.guests\"; above = 0; };\n"
                "    set = { ksm: { mode = \"on\"; }; }; } );\n");
        const Condition *all, *busy, *memory, *guests;

        ck_assert_uint_eq(c->n_rules, 2);
        ck_assert(c->rules[0].has_guests && !c->rules[1].has_guests);
        ck_assert_uint_eq(c->rules[0].line, 2);
        ck_assert_uint_eq(c->n_thresholds, 3);
        all = c->rules[0].when;
        ck_assert_int_eq(all->type, CONDITION_ALL);
        ck_assert_uint_eq(all->n_children, 3);
        ck_assert_uint_eq(all->children[0]->n_schedules, 2);

        busy = all->children[1];
        ck_assert(busy->type == CONDITION_THRESHOLD && busy->above && busy->percent);
        ck_assert_int_eq(busy->metric, METRIC_HOST_CPU_BUSY);
        ck_assert_uint_eq(busy->limit, 6000);
        ck_assert_uint_eq(busy->clear, 5000);
        ck_assert_uint_eq(busy->for_usec, 2 * USEC_PER_MINUTE);
        ck_assert_uint_eq(busy->threshold_index, 0);
        ck_assert_uint_eq(busy->line, 4);

        memory = all->children[2]->children[0];
        ck_assert(!memory->above && !memory->percent);
        ck_assert_uint_eq(memory->limit, GIB);
        ck_assert_uint_eq(memory->clear, GIB - 1);
        ck_assert_uint_eq(memory->threshold_index, 1);

        guests = c->rules[1].when;
        ck_assert_uint_eq(guests->limit, 0);
        ck_assert_uint_eq(guests->clear, 1);
        ck_assert_uint_eq(guests->threshold_index, 2);
}
END_TEST

START_TEST(equal_strings_are_kept_once) {
        _cleanup_(config_freep) Config *c = NULL;
        char text[] = "a text";
        const char *a, *b, *other;

        ck_assert_int_eq(config_new(&c), 0);
        ck_assert_int_eq(config_intern(c, text, &a), 0);
        for (int i = 0; i < 100; i++) {
                char name[16];

                (void)snprintf(name, sizeof(name), "%d", i);
                ck_assert_int_eq(config_intern(c, name, &other), 0);
                ck_assert_str_eq(other, name);
        }
        ck_assert_int_eq(config_intern(c, "a text", &b), 0);
        ck_assert_ptr_eq(a, b);
        ck_assert_ptr_ne(a, text);
        ck_assert_str_eq(a, "a text");
        ck_assert_uint_eq(c->n_strings, 101);
}
END_TEST

static void add_value_tests(TCase *t) {
        tcase_add_loop_test(t, every_key_has_a_row_and_is_found_by_its_name, 0, _KEY_MAX);
        tcase_add_test(t, unknown_keys_are_not_found);
        tcase_add_loop_test(t, default_is_as_the_table_says, 0, _KEY_MAX);
        tcase_add_test(t, defaults_change_nothing);
        tcase_add_loop_test(t, value_is_read, 0, ELEMENTSOF(value_rows));
        tcase_add_test(t, text_values_outlive_the_file);
        tcase_add_loop_test(t, bound_is_exact, 0, ELEMENTSOF(bound_rows));
        tcase_add_loop_test(t, formatted_value_is_read_back, 0, _KEY_MAX);
        tcase_add_test(t, amount_is_bytes_percent_or_automatic);
        tcase_add_test(t, equal_strings_are_kept_once);
}

int main(void) {
        Suite *s = suite_create("config");
        TCase *values = tcase_create("values"), *layering = tcase_create("layers");
        SRunner *runner;
        int failed;

        add_value_tests(values);
        tcase_add_test(layering, later_layers_win_key_by_key);
        tcase_add_test(layering, host_takes_rules_without_guests_only);
        tcase_add_test(layering, source_names_the_line_and_the_rule);
        tcase_add_loop_test(layering, selector_matches, 0, ELEMENTSOF(selector_rows));
        tcase_add_test(layering, conditions_are_read);
        suite_add_tcase(s, values);
        suite_add_tcase(s, layering);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
