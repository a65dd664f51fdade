/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Values, and their way through a D-Bus message and back; messages that nobody should send. */

#include "../../daemon/bus_value.h"

#include <check.h>
#include <sys/socket.h>

static char *json(const Value *v) {
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        ck_assert_ptr_nonnull(f);
        value_print_json(f, v);
        ck_assert_int_eq(fclose(f), 0);
        return text;
}

/* A connection that nobody answers, only to make messages on. */
static sd_bus *new_bus(void) {
        sd_bus *bus = NULL;
        int fds[2];

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        ck_assert_int_ge(sd_bus_new(&bus), 0);
        ck_assert_int_ge(sd_bus_set_fd(bus, fds[0], fds[0]), 0);
        ck_assert_int_ge(sd_bus_start(bus), 0);
        (void)close(fds[1]);
        return bus;
}

static sd_bus_message *new_message(sd_bus *bus) {
        sd_bus_message *m = NULL;

        ck_assert_int_ge(sd_bus_message_new_signal(bus, &m, "/x", "x.y", "Z"), 0);
        return m;
}

static void seal(sd_bus_message *m) {
        ck_assert_int_ge(sd_bus_message_seal(m, 1, 0), 0);
        ck_assert_int_ge(sd_bus_message_rewind(m, true), 0);
}

static Value *example(void) {
        Value *v = value_new_map(), *list, *inner;

        value_put_string(v, "name", "web \"1\"\n");
        value_put_string(v, "left out", NULL);
        value_put_number(v, "huge", UINT64_MAX);
        value_put_bool(v, "yes", true);
        value_put_bool(v, "no", false);
        value_put_printf(v, "printed", "%s:%u", "a", 5U);
        list = value_put_list(v, "threads", VALUE_MAP);
        inner = value_put_map(list, NULL);
        value_put_number(inner, "id", 0);
        value_put_list(inner, "none", VALUE_NUMBER);
        inner = value_put_map(list, NULL);
        value_put_string(inner, "invalid", "a\xff\xc3");
        list = value_put_list(v, "words", VALUE_STRING);
        value_put_string(list, NULL, "one");
        value_put_string(list, NULL, "");
        value_put_list(v, "empty", VALUE_MAP);
        return v;
}

static const char example_json[] =
        "{\n  \"name\": \"web \\\"1\\\"\\n\",\n  \"huge\": 18446744073709551615,\n  \"yes\": true,\n  \"no\": false,\n"
        "  \"printed\": \"a:5\",\n"
        "  \"threads\": [\n    {\n      \"id\": 0,\n      \"none\": []\n    },\n"
        "    {\n      \"invalid\": \"a\xef\xbf\xbd\xef\xbf\xbd\"\n    }\n  ],\n"
        "  \"words\": [\n    \"one\",\n    \"\"\n  ],\n  \"empty\": []\n}\n";

START_TEST(a_value_comes_back_from_a_message_as_it_went) {
        _cleanup_(value_freep) Value *v = example(), *back = NULL;
        _cleanup_free_ char *text = json(v), *again = NULL;
        sd_bus *bus = new_bus();
        sd_bus_message *m = new_message(bus);

        ck_assert_int_eq(value_complete(v), 0);
        ck_assert_str_eq(text, example_json);
        ck_assert_int_ge(bus_value_append(m, v), 0);
        seal(m);
        ck_assert_str_eq(sd_bus_message_get_signature(m, true), "a{sv}");
        ck_assert_int_eq(bus_value_read(m, &back), 0);
        again = json(back);
        ck_assert_str_eq(again, example_json);
        sd_bus_message_unref(m);
        sd_bus_close_unref(bus);
}
END_TEST

START_TEST(members_are_found_by_name_and_type) {
        _cleanup_(value_freep) Value *v = example();

        ck_assert_str_eq(value_string(v, "printed"), "a:5");
        ck_assert_ptr_null(value_string(v, "huge"));
        ck_assert_ptr_null(value_string(v, "left out"));
        ck_assert_ptr_null(value_string(NULL, "printed"));
        ck_assert_uint_eq(value_number(v, "huge"), UINT64_MAX);
        ck_assert(!value_has_number(v, "yes"));
        ck_assert(value_bool(v, "yes") && !value_bool(v, "no") && !value_bool(v, "nix"));
        ck_assert_uint_eq(value_count(v, "threads"), 2);
        ck_assert_ptr_nonnull(value_item(v, "threads", 1));
        ck_assert_ptr_null(value_item(v, "threads", 2));
}
END_TEST

START_TEST(what_was_lost_for_want_of_memory_is_told_at_the_end) {
        _cleanup_(value_freep) Value *v = value_new_map();

        value_put_number(value_put_map(v, "x"), "y", 1);
        ck_assert_int_eq(value_complete(v), 0);
        value_put(value_put_map(v, "z"), "w", NULL);
        ck_assert_int_eq(value_complete(v), -ENOMEM);
        ck_assert_int_eq(value_complete(NULL), -ENOMEM);
        value_put_number(NULL, "y", 1);
        ck_assert_ptr_null(value_put_map(NULL, "y"));
}
END_TEST

START_TEST(more_than_the_bus_takes_is_not_sent) {
        _cleanup_(value_freep) Value *v = value_new_list(VALUE_STRING);
        size_t size = BUS_VALUE_MAX + 1;
        sd_bus *bus = new_bus();
        sd_bus_message *m = new_message(bus);

        value_put_string(v, NULL, "");
        free(v->items[0]->text);
        v->items[0]->text = calloc(1, size);
        ck_assert_ptr_nonnull(v->items[0]->text);
        memset(v->items[0]->text, 'x', size - 1);
        ck_assert_int_eq(bus_value_append(m, v), -EMSGSIZE);
        sd_bus_message_unref(m);
        sd_bus_close_unref(bus);
}
END_TEST


/* What kvmtuned never sends: each is refused, none ends the program. */
static const struct { const char *name, *types; } odd_rows[] = {
        { "nothing", "" },           { "a double", "d" },         { "a struct", "(s)" },
        { "an array of structs", "a(ss)" }, { "an array of arrays", "aas" }, { "keys that are numbers", "a{us}" },
        { "a descriptor", "h" },     { "a variant", "v" },
};

START_TEST(a_message_of_another_kind_is_refused) {
        sd_bus *bus = new_bus();
        sd_bus_message *m = new_message(bus);
        const char *t = odd_rows[_i].types;
        Value *v = NULL;

        if (streq(t, "d"))
                ck_assert_int_ge(sd_bus_message_append(m, t, 1.5), 0);
        else if (streq(t, "(s)"))
                ck_assert_int_ge(sd_bus_message_append(m, t, "x"), 0);
        else if (streq(t, "a(ss)"))
                ck_assert_int_ge(sd_bus_message_append(m, t, 1, "x", "y"), 0);
        else if (streq(t, "aas"))
                ck_assert_int_ge(sd_bus_message_append(m, t, 1, 1, "y"), 0);
        else if (streq(t, "a{us}"))
                ck_assert_int_ge(sd_bus_message_append(m, t, 1, 1, "y"), 0);
        else if (streq(t, "h"))
                ck_assert_int_ge(sd_bus_message_append(m, t, STDIN_FILENO), 0);
        else if (streq(t, "v"))
                ck_assert_int_ge(sd_bus_message_append(m, t, "s", "x"), 0);
        seal(m);
        ck_assert_msg(bus_value_read(m, &v) < 0, "%s was read", odd_rows[_i].name);
        ck_assert_ptr_null(v);
        sd_bus_message_unref(m);
        sd_bus_close_unref(bus);
}
END_TEST

START_TEST(nesting_has_an_end) {
        sd_bus *bus = new_bus();
        sd_bus_message *m = new_message(bus);
        Value *v = NULL;

        for (int i = 0; i < 20; i++) {
                ck_assert_int_ge(sd_bus_message_open_container(m, 'a', "{sv}"), 0);
                ck_assert_int_ge(sd_bus_message_open_container(m, 'e', "sv"), 0);
                ck_assert_int_ge(sd_bus_message_append_basic(m, 's', "k"), 0);
                ck_assert_int_ge(sd_bus_message_open_container(m, 'v', i < 19 ? "a{sv}" : "s"), 0);
        }
        ck_assert_int_ge(sd_bus_message_append_basic(m, 's', "x"), 0);
        for (int i = 0; i < 60; i++)
                ck_assert_int_ge(sd_bus_message_close_container(m), 0);
        seal(m);
        ck_assert_int_eq(bus_value_read(m, &v), -EBADMSG);
        sd_bus_message_unref(m);
        sd_bus_close_unref(bus);
}
END_TEST

int main(void) {
        Suite *s = suite_create("bus_value");
        TCase *c = tcase_create("all");
        SRunner *runner;
        int failed;

        suite_add_tcase(s, c);
        tcase_add_test(c, a_value_comes_back_from_a_message_as_it_went);
        tcase_add_test(c, members_are_found_by_name_and_type);
        tcase_add_test(c, what_was_lost_for_want_of_memory_is_told_at_the_end);
        tcase_add_test(c, more_than_the_bus_takes_is_not_sent);
        tcase_add_loop_test(c, a_message_of_another_kind_is_refused, 0, (int)ELEMENTSOF(odd_rows));
        tcase_add_test(c, nesting_has_an_end);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
