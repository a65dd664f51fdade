/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The form of the state file across versions of kvmtuned, and in the manual. A
 * daemon that is replaced by an older one must find what it can read, or be told
 * that it cannot; what it took for damage would stay changed for good.
 */
#include "../../lib/state_fields.h"

#include <check.h>
#include <stdio.h>

/* ---- versions ---- */

/* What may stand in each version: records, kinds of changed values, how many knobs some have. None ever changes. */
static const char *const forms[] = {
        [1] = "boot own guest threshold guest-threshold stopped host pool end"
              " / pin-vcpu pin-emulator pin-iothread set-nodeset set-balloon set-stats-period set-vcpus set-ksm"
              " set-kernel set-memtune set-hugepages set-thp"
              " / ksm 8 kernel 1 memtune 3 thp 5",
};

static char *present_form(void) {
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        ck_assert_ptr_nonnull(f);
        for (size_t i = 0; state_record_name(i); i++)
                (void)fprintf(f, "%s ", state_record_name(i));
        (void)fputc('/', f);
        for (int kind = 0; kind < _ACTION_KIND_MAX; kind++)
                if (kind != ACTION_MOVE_MEMORY)
                        (void)fprintf(f, " %s", action_kind_to_string((ActionKind)kind));
        (void)fprintf(f, " / ksm %d kernel %d memtune %d thp %d", _KSM_KNOB_MAX, _KERNEL_KNOB_MAX,
                      _MEMTUNE_KNOB_MAX, _THP_KNOB_MAX);
        (void)fclose(f);
        return text;
}

START_TEST(what_may_stand_in_it_changes_with_the_version_only) {
        _cleanup_free_ char *form = present_form();

        ck_assert_uint_eq(STATE_VERSION + 1, ELEMENTSOF(forms));
        ck_assert_msg(streq(form, forms[STATE_VERSION]),
                      "the form is not that of version %u any more: a new STATE_VERSION is needed, and a new row\n"
                      "was %s\nis  %s", STATE_VERSION, forms[STATE_VERSION], form);
}
END_TEST

/* Each of them, without a value: it is known, whatever else is said of it. */
START_TEST(every_older_record_and_kind_is_known) {
        for (size_t version = 1; version < ELEMENTSOF(forms); version++) {
                _cleanup_free_ char *words = strdup(forms[version]);
                char *rest = words, *word;
                bool kinds = false;

                while ((word = strsep(&rest, " "))) {
                        _cleanup_free_ char *text = NULL, *error = NULL;
                        _cleanup_(state_freep) State *s = NULL;

                        if (streq(word, "/") && kinds)
                                break;
                        if (streq(word, "/")) {
                                kinds = true;
                                continue;
                        }
                        ck_assert_int_eq(strprintf_to(&text, "kvmtuned-state %zu\n%s%s\n", version,
                                                      kinds ? "own " : "", word), 0);
                        (void)state_parse(text, &s, &error);
                        ck_assert_msg(!error || !strstr(error, ": not a "), "%s: %s", word, error);
                }
        }
}
END_TEST

/* ---- the manual ---- */

static char *read_manual(void) {
        char *text = calloc(1, 65536);
        FILE *f = fopen("man/kvmtuned-state.5", "re");

        ck_assert_ptr_nonnull(f);
        ck_assert_uint_gt(fread(text, 1, 65535, f), 0);
        (void)fclose(f);
        return text;
}

/* On a line that begins with ".It Ic", with nothing but a blank, a comma or the end of the line around it. */
static bool is_listed(const char *manual, const char *word) {
        for (const char *line = manual; line; line = strchr(line, '\n')) {
                const char *end;

                line += line != manual;
                end = strchr(line, '\n');
                if (!startswith(line, ".It Ic "))
                        continue;
                for (const char *p = strstr(line, word); p && p < end; p = strstr(p + 1, word))
                        if (p[-1] == ' ' && strchr(" \n", p[strlen(word)]))
                                return true;
        }
        return false;
}

START_TEST(every_key_is_in_the_manual) {
        const StateFields *const tables[] = { &state_guest_fields, &state_threshold_fields, &state_host_fields };
        static const char *const others[] = { "cells", "left" };
        _cleanup_free_ char *manual = read_manual();

        for (size_t t = 0; t < ELEMENTSOF(tables); t++)
                for (size_t i = 0; i < tables[t]->n; i++)
                        ck_assert_msg(is_listed(manual, tables[t]->fields[i].key), "%s", tables[t]->fields[i].key);
        for (size_t i = 0; i < STATE_SETS; i++)
                ck_assert_msg(is_listed(manual, state_sets[i].key), "%s", state_sets[i].key);
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                ck_assert_msg(is_listed(manual, others[i]), "%s", others[i]);
        for (size_t i = 0; state_record_name(i); i++)
                ck_assert_msg(is_listed(manual, state_record_name(i)), "%s", state_record_name(i));
}
END_TEST

START_TEST(the_example_in_the_manual_is_read) {
        _cleanup_free_ char *manual = read_manual(), *error = NULL, *text = NULL;
        _cleanup_(state_freep) State *s = NULL;
        char *begin = strstr(manual, "\nkvmtuned-state 1\n"), *end = strstr(manual, "\n.Ed\n");

        ck_assert(begin && end);
        end[1] = 0;
        ck_assert_int_eq(state_parse(begin + 1, &s, &error), 0);
        ck_assert_int_eq(state_format(s, &text), 0);
        ck_assert_str_eq(text, begin + 1);
}
END_TEST

int main(void) {
        Suite *s = suite_create("state form");
        TCase *c = tcase_create("all");
        SRunner *runner;
        int failed;

        suite_add_tcase(s, c);
        tcase_add_test(c, what_may_stand_in_it_changes_with_the_version_only);
        tcase_add_test(c, every_older_record_and_kind_is_known);
        tcase_add_test(c, every_key_is_in_the_manual);
        tcase_add_test(c, the_example_in_the_manual_is_read);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
