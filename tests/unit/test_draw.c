/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The picture of a host: where a guest is said to be, and what names of guests may not do to it. */

#include <check.h>
#include <libxml/parser.h>

#include "../../lib/config.h"
#include "../../lib/draw_internal.h"
#include "../../lib/draw_pen.h"
#include "../../lib/snapshot_load.h"
#include "../../lib/snapshot_file.h"
#include "../../lib/state_memo.h"

static Snapshot *load(const char *text) {
        _cleanup_free_ char *error = NULL;
        Snapshot *s = NULL;
        int r = snapshot_load_text("t", text, &s, &error);

        ck_assert_msg(r == 0, "%s", error ? error : "?");
        return s;
}

static char *draw(const Snapshot *s, bool svg, bool unicode, bool color) {
        DrawOptions o = { .width = 100, .unicode = unicode, .color = color, .all = true };
        char *text = NULL;

        ck_assert_int_eq(svg ? draw_topology_svg(s, NULL, NULL, &text) : draw_topology_text(s, NULL, NULL, &o, &text),
                         0);
        return text;
}

/* ---- where a guest is ---- */

#define TWO_NODES "topology = { synthetic = \"numa:2 core:4 pu:1\"; isolated = \"7\"; };"

static const struct {
        const char *name, *guest, *own, *where;
        char mark;
} where_rows[] = { /* reserved: CPU 0 */
        { "no pin", "vcpus = 2;", NULL, "anywhere", 0 },
        { "all but what is set apart", "vcpus = 2; affinity = \"1-6\";", NULL, "anywhere", 0 },
        { "a node", "vcpus = 2; affinity = \"0-3\";", NULL, "node 0", 0 },
        { "a node without its reserved CPU", "vcpus = 2; affinity = \"1-3\";", NULL, "node 0", 0 },
        { "a node without its isolated CPU", "vcpus = 2; affinity = \"4-6\";", NULL, "node 1", 0 },
        { "a part of a node", "vcpus = 2; affinity = \"1-2\";", NULL, "CPUs 1-2", 0 },
        { "parts of two nodes", "vcpus = 2; affinity = \"2-5\";", NULL, "CPUs 2-5", 0 },
        { "a CPU each", "vcpus = 2; pins = ( { vcpu = 0; cpus = \"1\"; }, { vcpu = 1; cpus = \"5\"; } );", NULL,
          "CPUs 1,5 (pinned)", 'A' },
        { "one pinned, one not", "vcpus = 2; pins = ( { vcpu = 0; cpus = \"1\"; }, { vcpu = 1; cpus = \"4-6\"; } );",
          NULL, "CPUs 1,4-6", 'A' },
        { "CPUs of its own", "vcpus = 2; pins = ( { vcpu = 0; cpus = \"1\"; }, { vcpu = 1; cpus = \"2\"; } );", "1-2",
          "CPUs 1-2 (own)", 'A' },
        { "not known, but pinned", "vcpus = ( { pin = \"2\"; affinity = \"unknown\"; } );", NULL, "CPU 2 (pinned)", 'A' },
        { "a vCPU that is not plugged in has no place",
          "vcpus = ( { pin = \"1\"; }, { online = false; pin = \"5\"; } );", NULL, "CPU 1 (pinned)", 'A' },
};

START_TEST(where_a_guest_is) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        _cleanup_(drawing_freep) Drawing *d = NULL;
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_(state_freep) State *state = NULL;
        _cleanup_free_ char *text = NULL, *where = NULL, *error = NULL;
        GuestMemo *memo;

        ck_assert_int_ge(asprintf(&text, "%s guests = ( { name = \"g\"; %s } );", TWO_NODES, where_rows[_i].guest), 0);
        s = load(text);
        ck_assert_int_eq(config_load_text("c", "host: { reserved_cpus = \"0\"; };", &config, &error), 0);
        ck_assert_int_eq(state_new(&state), 0);
        ck_assert_int_eq(state_guest(state, s->guests[0]->uuid, &memo), 0);
        ck_assert_int_eq(memo_make_cpus(memo), 0);
        if (where_rows[_i].own)
                ck_assert_int_eq(idset_parse(where_rows[_i].own, memo->cpus), 0);
        ck_assert_int_eq(drawing_new(s, state, config, &d), 0);
        ck_assert_int_eq(drawing_where(&d->guests[0], &where), 0);
        ck_assert_msg(streq(where, where_rows[_i].where), "%s: \"%s\", not \"%s\"", where_rows[_i].name, where,
                      where_rows[_i].where);
        ck_assert_msg(d->guests[0].mark == where_rows[_i].mark, "%s: mark %d", where_rows[_i].name, d->guests[0].mark);
}
END_TEST

START_TEST(marks_of_cpus) {
        _cleanup_(snapshot_freep) Snapshot *s =
                load("topology = { synthetic = \"numa:1 core:4 pu:1\"; isolated = \"3\"; };"
                     "guests = ( { name = \"a\"; pins = ( { vcpu = 0; cpus = \"0\"; } ); },"
                     "           { name = \"b\"; vcpus = 2; pins = ( { vcpu = 0; cpus = \"0\"; }, { vcpu = 1; cpus = \"1\"; } ); } );");
        _cleanup_(drawing_freep) Drawing *d = NULL;

        ck_assert_int_eq(drawing_new(s, NULL, NULL, &d), 0);
        ck_assert_int_eq(drawing_mark(d, &d->cpus[0]), '+');
        ck_assert_int_eq(drawing_mark(d, &d->cpus[1]), 'A');
        ck_assert_int_eq(drawing_mark(d, &d->cpus[2]), ' ');
        ck_assert_int_eq(drawing_mark(d, &d->cpus[3]), 'i');
}
END_TEST

START_TEST(vcpus_on_several_nodes_count_in_parts) {
        _cleanup_(snapshot_freep) Snapshot *s = load(TWO_NODES "guests = ( { name = \"a\"; vcpus = 3; affinity = \"0-7\"; },"
                                                               "           { name = \"b\"; vcpus = 2; affinity = \"0-4\"; } );");
        _cleanup_(drawing_freep) Drawing *d = NULL;

        ck_assert_int_eq(drawing_new(s, NULL, NULL, &d), 0);
        ck_assert_uint_eq(d->nodes[0].vcpus_milli, 1500 + 1600);
        ck_assert_uint_eq(d->nodes[1].vcpus_milli, 1500 + 400);
}
END_TEST

/* ---- names ---- */

static const char *const names[] = {
        "</text><script>alert(1)</script>", "a&b\"c'd", "\x1b[2J\x07", "\xef\xbf\xbe", "\xff\xfe", "]]>", "%s%n", "",
};

static char *picture_with_name(const char *name, bool svg) {
        _cleanup_(snapshot_freep) Snapshot *s = load(TWO_NODES "guests = ( { name = \"g\"; }, { name = \"h\"; affinity = \"1\"; } );");

        for (size_t i = 0; i < s->n_guests; i++)
                ck_assert_int_eq(strdup_to(&s->guests[i]->name, name), 0);
        return draw(s, svg, true, false);
}

START_TEST(svg_is_well_formed_whatever_a_guest_is_called) {
        _cleanup_free_ char *text = NULL;
        xmlDoc *doc;

        text = picture_with_name(names[_i], true);
        ck_assert_ptr_null(strstr(text, "<script"));
        doc = xmlReadMemory(text, (int)strlen(text), "t.svg", NULL, XML_PARSE_NONET | XML_PARSE_NOERROR);
        ck_assert_ptr_nonnull(doc);
        xmlFreeDoc(doc);
}
END_TEST

START_TEST(a_name_does_not_drive_the_terminal) {
        _cleanup_free_ char *text = picture_with_name("\x1b[2J\x07", false);

        ck_assert_ptr_null(strchr(text, '\x1b'));
        ck_assert_ptr_null(strchr(text, '\x07'));
        ck_assert_ptr_nonnull(strstr(text, "\\x1b[2J\\x07"));
}
END_TEST

/* ---- the terminal ---- */

static void strip_colors(char *text) {
        char *to = text;

        for (const char *p = text; *p; p++) {
                if (*p == '\x1b') {
                        p = strchr(p, 'm');
                        ck_assert_ptr_nonnull(p);
                        continue;
                }
                *to++ = *p;
        }
        *to = 0;
}

START_TEST(colours_change_nothing_else) {
        _cleanup_(snapshot_freep) Snapshot *s =
                load(TWO_NODES "host = { cpu_busy = \"95 %\"; }; guests = ( { name = \"a\"; affinity = \"1\"; node_memory = ( { node = 1; size = \"1 GiB\"; } ); } );");
        _cleanup_free_ char *plain = draw(s, false, true, false), *color = draw(s, false, true, true);

        ck_assert_str_ne(plain, color);
        strip_colors(color);
        ck_assert_str_eq(plain, color);
}
END_TEST

START_TEST(without_unicode_it_is_ascii) {
        _cleanup_(snapshot_freep) Snapshot *s = load(TWO_NODES "guests = ( { name = \"a-name-of-more-than-twenty-characters\"; } );");
        _cleanup_free_ char *text = draw(s, false, false, true);

        for (const char *p = text; *p; p++)
                ck_assert_int_gt(*p, 0);
}
END_TEST

static const struct {
        const char *text;
        size_t columns;
} column_rows[] = {
        { "", 0 },
        { "web-1", 5 },
        { "gr\xc3\xb6\xc3\x9f" "er", 6 },
        { "\xe3\x83\x87\xe3\x83\xbc\xe3\x82\xbf", 6 },          /* katakana */
        { "\xf0\x9f\x98\x80", 2 },                              /* emoji */
        { "e\xcc\x81", 1 },                                     /* combining acute */
};

START_TEST(columns_of_text) {
        ck_assert_uint_eq(pen_columns(column_rows[_i].text), column_rows[_i].columns);
}
END_TEST

START_TEST(wide_characters_are_cut_between_and_filled_up) {
        DrawOptions o = { .unicode = false };
        _cleanup_free_ char *text = NULL;
        size_t size;
        Pen pen = { open_memstream(&text, &size), &o, 80 };

        ck_assert_ptr_nonnull(pen.f);
        pen_padded(&pen, PEN_PLAIN, "\xe3\x83\x87\xe3\x83\xbc\xe3\x82\xbf", 4);
        (void)fclose(pen.f);
        ck_assert_str_eq(text, "\xe3\x83\x87~ ");
}
END_TEST

/* ---- every topology there is ---- */

static const char *const topologies[] = {
        "128ia64-17n4s2c", "16amd64-4n4c-cgroup-distance-merge", "16amd64-8n2c-cpusets", "16em64t-4s2c2t-offlines",
        "20s390-2g2g2s4co", "256ppc-8n8s4t", "2amd64-2n", "2ps3-2t", "4fake-4gr1nu1pu", "64intel64-fakeKNL-SNC4-hybrid",
        "96em64t-4n4d3ca2co", "fakeheterocpunuma", "32amd64-4s2n4c-cgroup", "64fake-4n2s2ca2c2t",
};

START_TEST(real_machines_can_be_drawn) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        _cleanup_free_ char *path = NULL, *text = NULL, *svg = NULL;
        xmlDoc *doc;

        ck_assert_int_eq(snapshot_new(&s), 0);
        ck_assert_int_ge(asprintf(&path, "tests/fixtures/topologies/%s.xml", topologies[_i]), 0);
        ck_assert_int_eq(topology_load_xml(path, &s->topology), 0);
        text = draw(s, false, true, false);
        svg = draw(s, true, true, false);
        for (size_t i = 0; i < s->topology->n_nodes; i++) {
                char node[32];

                (void)snprintf(node, sizeof(node), "\nnode %u,", s->topology->nodes[i].id);
                ck_assert_ptr_nonnull(strstr(text, node));
        }
        doc = xmlReadMemory(svg, (int)strlen(svg), "t.svg", NULL, XML_PARSE_NONET);
        ck_assert_ptr_nonnull(doc);
        xmlFreeDoc(doc);
}
END_TEST

START_TEST(a_snapshot_without_topology_is_none) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        DrawOptions o = { 0 };
        char *text = NULL;

        ck_assert_int_eq(snapshot_new(&s), 0);
        ck_assert_int_eq(draw_topology_text(s, NULL, NULL, &o, &text), -ENODATA);
        ck_assert_int_eq(draw_topology_svg(s, NULL, NULL, &text), -ENODATA);
        ck_assert_ptr_null(text);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("draw");
        TCase *tc = tcase_create("draw");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_loop_test(tc, where_a_guest_is, 0, (int)ELEMENTSOF(where_rows));
        tcase_add_test(tc, marks_of_cpus);
        tcase_add_test(tc, vcpus_on_several_nodes_count_in_parts);
        tcase_add_loop_test(tc, svg_is_well_formed_whatever_a_guest_is_called, 0, (int)ELEMENTSOF(names));
        tcase_add_test(tc, a_name_does_not_drive_the_terminal);
        tcase_add_test(tc, colours_change_nothing_else);
        tcase_add_test(tc, without_unicode_it_is_ascii);
        tcase_add_loop_test(tc, columns_of_text, 0, (int)ELEMENTSOF(column_rows));
        tcase_add_test(tc, wide_characters_are_cut_between_and_filled_up);
        tcase_add_loop_test(tc, real_machines_can_be_drawn, 0, (int)ELEMENTSOF(topologies));
        tcase_add_test(tc, a_snapshot_without_topology_is_none);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed > 0;
}
