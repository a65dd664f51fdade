/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The files of the configuration: conf.d, what cannot be read, errors, and the shipped file and manual. */

#include "config_util.h"
#include "tree.h"

/* Run from the root of the source tree, as all tests. */
#define SHIPPED_CONF "conf/kvmtuned.conf"
#define MANUAL "man/kvmtuned.conf.5"

static int load_tree(const Tree *t, Config **ret, char **ret_error) {
        char path[128];

        (void)snprintf(path, sizeof(path), "%s/kvmtuned.conf", t->dir);
        return config_load(path, ret, ret_error);
}

START_TEST(conf_d_is_merged_in_name_order) {
        _cleanup_tree_ Tree t = tree_new();
        _cleanup_(config_freep) Config *c = NULL;
        _cleanup_free_ char *error = NULL;
        char want[128];

        tree_write(&t, "kvmtuned.conf", "ksm: { mode = \"on\"; pages_to_scan = 5; sleep = \"1 ms\"; };\n"
                                        "guests = ( { match = { }; cpu: { policy = \"none\"; }; } );\n");
        tree_write(&t, "conf.d/20-b.conf", "ksm: { mode = \"off\"; };\n");
        tree_write(&t, "conf.d/10-a.conf", "\nksm: { mode = \"auto\"; pages_to_scan = 6; };\n"
                                           "guests = ( { match = { }; cpu: { policy = \"pinned\"; }; } );\n");
        tree_write(&t, "conf.d/.20-c.conf", "ksm: { mode = \"keep\"; };\n");
        tree_write(&t, "conf.d/30-d.conf.rpmsave", "not read\n");
        ck_assert_msg(load_tree(&t, &c, &error) == 0, "%s", error);
        assert_format(&c->base, KEY_KSM_MODE, "off");
        assert_format(&c->base, KEY_KSM_PAGES_TO_SCAN, "6");
        assert_format(&c->base, KEY_KSM_SLEEP, "1 ms");
        (void)snprintf(want, sizeof(want), "%s/conf.d/10-a.conf:2", t.dir);
        assert_source(&c->base, KEY_KSM_PAGES_TO_SCAN, want);
        ck_assert_uint_eq(c->n_guests, 2);
        assert_format(&(Settings){ .values[KEY_CPU_POLICY] = c->guests[1].set.values[0] }, KEY_CPU_POLICY, "pinned");
}
END_TEST

START_TEST(without_conf_d_the_file_alone_counts) {
        _cleanup_tree_ Tree t = tree_new();
        _cleanup_(config_freep) Config *c = NULL;
        _cleanup_free_ char *error = NULL;

        tree_write(&t, "kvmtuned.conf", "");
        ck_assert_int_eq(load_tree(&t, &c, &error), 0);
        ck_assert_ptr_null(error);
}
END_TEST

START_TEST(error_in_conf_d_refuses_everything) {
        _cleanup_tree_ Tree t = tree_new();
        _cleanup_free_ char *error = NULL;
        Config *c = NULL;

        tree_write(&t, "kvmtuned.conf", "ksm: { };\n");
        tree_write(&t, "conf.d/10-a.conf", "ksm: { mode = 1; };\n");
        ck_assert_int_eq(load_tree(&t, &c, &error), -EBADMSG);
        ck_assert_ptr_null(c);
        ck_assert_ptr_nonnull(strstr(error, "/conf.d/10-a.conf:1: ksm.mode: "));
}
END_TEST

START_TEST(missing_file_is_an_error_with_its_name) {
        _cleanup_tree_ Tree t = tree_new();
        _cleanup_free_ char *error = NULL;
        Config *c = NULL;

        ck_assert_int_eq(load_tree(&t, &c, &error), -ENOENT);
        ck_assert_ptr_null(c);
        ck_assert_ptr_nonnull(strstr(error, "kvmtuned.conf: No such file or directory\n"));
}
END_TEST

/* Root may read everything: as nobody, who may not enter the folder. */
START_TEST(unreadable_file_is_an_error_with_its_name) {
        _cleanup_tree_ Tree t = tree_new();
        _cleanup_free_ char *error = NULL;
        bool root = geteuid() == 0;
        Config *c = NULL;
        int r;

        tree_write(&t, "kvmtuned.conf", "");
        ck_assert_int_eq(fchmodat(t.fd, "kvmtuned.conf", 0, 0), 0);
        ck_assert_int_eq(root ? seteuid(65534) : 0, 0);
        r = load_tree(&t, &c, &error);
        ck_assert_int_eq(root ? seteuid(0) : 0, 0);
        ck_assert_int_eq(r, -EACCES);
        ck_assert_ptr_nonnull(strstr(error, "kvmtuned.conf: Permission denied\n"));
}
END_TEST

START_TEST(text_includes_no_file) {
        _cleanup_free_ char *error = refused("@include \"conf/kvmtuned.conf\"\n");

        ck_assert_ptr_nonnull(strstr(error, "t.conf:1: @include"));
}
END_TEST

START_TEST(all_errors_are_told_in_file_order) {
        _cleanup_free_ char *error = refused("ksm: { stop = \"1 %\";\n mode = 1; };\n"
                                             "daemon: { interval = 99999999999;\n dry_run = 1; };\n");
        const char *p = error;

        for (unsigned line = 1; line <= 4; line++) {
                char want[32];

                (void)snprintf(want, sizeof(want), "t.conf:%u: ", line);
                ck_assert_msg(startswith(p, want) != NULL, "%s", error);
                p = strchr(p, '\n') + 1;
        }
        ck_assert_str_eq(p, "");
}
END_TEST

START_TEST(two_errors_in_one_line_are_both_told) {
        _cleanup_free_ char *error = refused("daemon: { intervall = \"1 s\"; dry_run = 1; };\n");

        _cleanup_free_ char *wrapped = refused("daemon: { interval = 99999999999; dry_run = \"no\"; };\n");

        ck_assert_ptr_nonnull(strstr(error, "intervall"));
        ck_assert_ptr_nonnull(strstr(error, "dry_run"));
        ck_assert_ptr_nonnull(strstr(wrapped, "dry_run"));
        ck_assert_ptr_null(strstr(wrapped, "daemon.interval"));
}
END_TEST

/* ---- what goes with it ---- */

static char *read_text(const char *path) {
        _cleanup_close_ int root = sysfs_open_root(".");
        char *text = NULL;

        ck_assert_msg(sysfs_read(root, path, &text, NULL) >= 0, "%s", path);
        return text;
}

START_TEST(manual_describes_every_key_and_its_default) {
        const KeyInfo *info = &config_keys[_i];
        _cleanup_free_ char *text = read_text(MANUAL), *item = NULL, *value = NULL;
        const char *at, *next;

        ck_assert_int_eq(strprintf_to(&item, ".It Ic %s.%s\n", info->group, info->name), 0);
        at = strstr(text, item);
        ck_assert_msg(at, "%s", item);
        next = strstr(at + 1, ".It Ic ");
        ck_assert_int_eq(strprintf_to(&value, ".Em Default :\n.Ql %s .\n", info->default_text), 0);
        if (!*info->default_text)
                ck_assert_int_eq(strprintf_to(&value, ".Em Default :\nthe empty %s.\n",
                                              info->type == TYPE_STRING ? "string" : "list"),
                                 0);
        at = strstr(at, value);
        ck_assert_msg(at && at < next, "%s.%s: %s", info->group, info->name, value);
        for (size_t i = 0; info->choices && info->choices[i]; i++) {
                ck_assert_int_eq(strprintf_to(&value, ".Ql %s", info->choices[i]), 0);
                at = strstr(strstr(text, item), value);
                ck_assert_msg(at && at < next, "%s.%s: %s", info->group, info->name, value);
        }
}
END_TEST

START_TEST(manual_describes_every_metric) {
        _cleanup_free_ char *text = read_text(MANUAL);

        ck_assert_msg(strstr(text, metric_to_string((Metric)_i)), "%s", metric_to_string((Metric)_i));
}
END_TEST

START_TEST(example_of_the_manual_is_valid) {
        _cleanup_free_ char *text = read_text(MANUAL), *error = NULL;
        _cleanup_(config_freep) Config *c = NULL;
        static const char begin[] = ".Bd -literal -offset indent\n";
        char *example = strstr(strstr(text, ".Sh EXAMPLES"), begin) + strlen(begin);

        *strstr(example, ".Ed\n") = '\0';
        ck_assert_msg(config_load_text("example", example, &c, &error) == 0, "%s", error);
        ck_assert_uint_gt(c->n_guests, 0);
        ck_assert_uint_gt(c->n_rules, 0);
}
END_TEST

START_TEST(shipped_file_shows_the_default_and_sets_nothing) {
        const KeyInfo *info = &config_keys[_i];
        bool word = info->type != TYPE_UINT || streq(info->default_text, "keep");
        const char *quote = info->type == TYPE_BOOL || !word ? "" : "\"";
        _cleanup_free_ char *text = read_text(SHIPPED_CONF), *line = NULL, *error = NULL;
        _cleanup_(config_freep) Config *c = NULL;
        const char *group, *at;

        ck_assert_int_eq(config_load(SHIPPED_CONF, &c, &error), 0);
        ck_assert_ptr_null(c->base.values[_i].file);
        ck_assert_uint_eq(c->n_guests + c->n_rules, 0);

        ck_assert_int_eq(strprintf_to(&line, "\n%s:\n{\n", info->group), 0);
        group = strstr(text, line);
        ck_assert_msg(group, "%s", line);
        ck_assert_int_eq(strprintf_to(&line, "\n        # %s = %s%s%s;\n", info->name, quote, info->default_text,
                                      quote), 0);
        at = strstr(group, line);
        ck_assert_msg(at && at < strstr(group, "\n};\n"), "%s", line);
}
END_TEST

int main(void) {
        Suite *s = suite_create("config_files");
        TCase *t = tcase_create("files");
        SRunner *runner;
        int failed;

        tcase_add_test(t, conf_d_is_merged_in_name_order);
        tcase_add_test(t, without_conf_d_the_file_alone_counts);
        tcase_add_test(t, error_in_conf_d_refuses_everything);
        tcase_add_test(t, missing_file_is_an_error_with_its_name);
        tcase_add_test(t, unreadable_file_is_an_error_with_its_name);
        tcase_add_test(t, text_includes_no_file);
        tcase_add_test(t, all_errors_are_told_in_file_order);
        tcase_add_test(t, two_errors_in_one_line_are_both_told);
        tcase_add_loop_test(t, manual_describes_every_key_and_its_default, 0, _KEY_MAX);
        tcase_add_loop_test(t, manual_describes_every_metric, 0, _METRIC_MAX);
        tcase_add_test(t, example_of_the_manual_is_valid);
        tcase_add_loop_test(t, shipped_file_shows_the_default_and_sets_nothing, 0, _KEY_MAX);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
