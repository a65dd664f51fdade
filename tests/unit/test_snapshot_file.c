/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../../lib/snapshot_fields.h"
#include "snapshot_file_util.h"

#define TOPOLOGIES "tests/fixtures/topologies/"

/* ---- defaults ---- */

START_TEST(an_empty_text_is_a_host_of_four_cpus_and_16_gib) {
        _cleanup_(snapshot_freep) Snapshot *s = load("guests = ();");

        ck_assert_uint_eq(s->topology->n_cpus, 4);
        ck_assert_uint_eq(s->topology->n_nodes, 1);
        ck_assert_uint_eq(s->host.memory.total_bytes, 16 * GIB);
        ck_assert_uint_eq(s->host.memory.available_bytes, 16 * GIB);
        ck_assert_uint_eq(s->host.memory.free_bytes, 16 * GIB);
        ck_assert_uint_eq(s->host.nodes[0].total_bytes, 16 * GIB);
        ck_assert_uint_eq(s->host.cpu_busy_permyriad, UNKNOWN_PERMYRIAD);
        ck_assert_uint_eq(s->host.n_cpus, 0);
        ck_assert(s->host.ksm.present && s->host.ksm.writable);
        ck_assert_uint_eq(s->host.ksm.pages_to_scan, 100);
        ck_assert_uint_eq(s->interval_usec, 10 * USEC_PER_SEC);
        ck_assert_uint_eq(s->now_usec, 100 * USEC_PER_HOUR);
        ck_assert_int_eq(s->local_time.weekday, 0);
        assert_round_trip(s);
}
END_TEST

START_TEST(a_guest_of_which_only_the_name_is_given) {
        _cleanup_(snapshot_freep) Snapshot *s = load("guests = ( { name = \"web\"; } );");
        const Guest *g = s->guests[0];

        ck_assert_str_eq(g->uuid, s->guests[0]->uuid);
        ck_assert_uint_eq(g->n_vcpus, 1);
        ck_assert_uint_eq(g->max_bytes, GIB);
        ck_assert_uint_eq(g->current_bytes, GIB);
        ck_assert_uint_eq(g->rss_bytes, GIB);
        ck_assert(g->balloon_device && g->persistent);
        ck_assert(idset_equal(&g->vcpus[0].affinity, &s->topology->online));
        ck_assert_uint_eq(g->stats.age_usec, UNKNOWN_U64);
        ck_assert_uint_eq(s->host.memory.available_bytes, 15 * GIB);
}
END_TEST

START_TEST(each_memory_value_is_the_default_of_the_next) {
        _cleanup_(snapshot_freep) Snapshot *s = load(
                "host = { memory = { total = \"8 GiB\"; available = \"25 %\"; swap_total = \"1 GiB\"; }; };"
                "guests = ( { name = \"a\"; memory = \"4 GiB\"; current = \"75 %\";"
                "             stats = { usable = \"50 %\"; }; } );");
        const Guest *g = s->guests[0];

        ck_assert_uint_eq(s->host.memory.available_bytes, 2 * GIB);
        ck_assert_uint_eq(s->host.memory.free_bytes, 2 * GIB);
        ck_assert_uint_eq(s->host.memory.swap_free_bytes, GIB);
        ck_assert_uint_eq(s->host.nodes[0].free_bytes, 2 * GIB);
        ck_assert_uint_eq(g->current_bytes, 3 * GIB);
        ck_assert_uint_eq(g->rss_bytes, 3 * GIB);
        ck_assert_uint_eq(g->stats.usable_bytes, 3 * GIB / 2);
        ck_assert_uint_eq(g->stats.age_usec, 0);
}
END_TEST

START_TEST(nodes_lose_what_the_guests_have_there) {
        _cleanup_(snapshot_freep) Snapshot *s = load(
                "topology = \"numa:2 core:1 pu:1\";"
                "host = { nodes = ( { id = 1; total = \"4 GiB\"; } ); };"
                "guests = ( { name = \"a\"; memory = \"1 GiB\";"
                "             node_memory = ( { node = 1; size = \"1 GiB\"; } ); } );");

        ck_assert_uint_eq(s->host.nodes[0].total_bytes, 8 * GIB);
        ck_assert_uint_eq(s->host.nodes[0].free_bytes, 8 * GIB);
        ck_assert_uint_eq(s->host.nodes[1].free_bytes, 3 * GIB);
        ck_assert_uint_eq(s->host.memory.total_bytes, 12 * GIB);
        ck_assert_uint_eq(s->host.memory.available_bytes, 11 * GIB);
}
END_TEST

START_TEST(threads_may_run_where_their_pin_or_the_cpuset_allows) {
        _cleanup_(snapshot_freep) Snapshot *s = load(
                "topology = { synthetic = \"numa:1 core:4 pu:1\"; offline = \"3\"; };"
                "guests = ( { name = \"a\"; vcpus = 3; cpuset = \"1-3\"; emulator_pin = \"2\"; iothreads = 1;"
                "             pins = ( { vcpu = 0; cpus = \"0,3\"; }, { vcpu = 1; cpus = \"3\"; } ); } );");
        const Guest *g = s->guests[0];
        IdSet want = idset_of(0);

        ck_assert(idset_equal(&g->vcpus[0].affinity, &want));
        ck_assert(idset_equal(&g->vcpus[1].affinity, &s->topology->online));
        want = idset_or(&(IdSet){ { 2 } }, &(IdSet){ { 4 } });
        ck_assert(idset_equal(&g->vcpus[2].affinity, &want));
        want = idset_of(2);
        ck_assert(idset_equal(&g->emulator.affinity, &want));
        ck_assert(idset_equal(&g->iothreads[0].affinity, &s->topology->online));
        ck_assert_uint_eq(g->iothreads[0].id, 1);
        ck_assert(g->vcpus[0].pinned && !g->vcpus[2].pinned);
}
END_TEST

START_TEST(cpus_that_are_offline_are_gone) {
        _cleanup_(snapshot_freep) Snapshot *s = load(
                "topology = { synthetic = \"numa:2 core:2 pu:1\"; offline = \"0\"; };");
        const Topology *t = s->topology;
        IdSet want = idset_of(1);

        ck_assert_uint_eq(t->n_cpus, 3);
        ck_assert_uint_eq(t->cpus[0].id, 1);
        ck_assert_uint_eq(t->cpus[2].id, 3);
        ck_assert_uint_eq(t->cpus[2].node, 1);
        ck_assert(!idset_contains(&t->online, 0));
        ck_assert(idset_equal(&t->nodes[0].cpus, &want));
        /* It described a machine with that CPU. */
        ck_assert_ptr_null(t->synthetic);
        assert_round_trip(s);
}
END_TEST

START_TEST(uuids_are_lower_case) {
        _cleanup_(snapshot_freep) Snapshot *s = load(
                "guests = ( { name = \"a\"; uuid = \"ABCDEF01-89ab-cdef-0123-456789abcdef\"; } );");

        ck_assert_ptr_nonnull(snapshot_find_guest(s, "abcdef01-89ab-cdef-0123-456789abcdef"));
}
END_TEST

START_TEST(busy_is_one_value_or_one_for_each_vcpu) {
        _cleanup_(snapshot_freep) Snapshot *s = load(
                "host = { cpu_busy = \"35 %\"; };"
                "guests = ( { name = \"a\"; vcpus = 2; busy = \"80 %\"; wait = [ \"1 %\", \"2 %\" ]; } );");

        ck_assert_uint_eq(s->guests[0]->vcpus[1].busy_permyriad, 8000);
        ck_assert_uint_eq(s->guests[0]->vcpus[0].wait_permyriad, 100);
        ck_assert_uint_eq(s->guests[0]->vcpus[1].wait_permyriad, 200);
        ck_assert_uint_eq(s->host.n_cpus, 4);
        ck_assert_uint_eq(s->host.cpus[3].busy_permyriad, 3500);
}
END_TEST

START_TEST(counters_above_32_bits_are_strings) {
        _cleanup_(snapshot_freep) Snapshot *s = load(
                "host = { ksm = { pages_sharing = \"5000000000\"; pages_shared = 2147483647; full_scans = 7L;"
                " general_profit = \"-64 KiB\"; }; };");

        ck_assert_uint_eq(s->host.ksm.pages_sharing, UINT64_C(5000000000));
        ck_assert_uint_eq(s->host.ksm.pages_shared, INT32_MAX);
        ck_assert_uint_eq(s->host.ksm.full_scans, 7);
        ck_assert_int_eq(s->host.ksm.general_profit_bytes, -65536);
}
END_TEST

/* Known dates; the table is from a printed calendar, not from this code. */
static const struct { const char *time; int weekday; } day_rows[] = {
        { "1970-01-01 00:00", 3 }, { "2000-02-29 12:00:01", 1 }, { "2026-11-23 22:30:00", 0 },
        { "2024-02-29 00:00:00", 3 }, { "2100-03-01 23:59:59", 0 }, { "2023-12-31 00:00", 6 },
};

START_TEST(weekdays_are_computed) {
        _cleanup_free_ char *text = NULL;
        _cleanup_(snapshot_freep) Snapshot *s = NULL;

        ck_assert_int_eq(strprintf_to(&text, "time = \"%s\";", day_rows[_i].time), 0);
        s = load(text);
        ck_assert_int_eq(s->local_time.weekday, day_rows[_i].weekday);
}
END_TEST

START_TEST(the_order_in_the_file_does_not_matter) {
        _cleanup_(snapshot_freep) Snapshot *a = load("guests = ( { name = \"a\"; }, { name = \"b\"; } );");
        _cleanup_(snapshot_freep) Snapshot *b = load("guests = ( { name = \"b\"; }, { name = \"a\"; } );");

        assert_same(a, b);
}
END_TEST

START_TEST(an_xml_file_is_found_beside_the_snapshot) {
        static const char text[] = "topology = { xml = \"machine.xml\"; };\n";
        static const char machine[] = TOPOLOGIES "16amd64-8n2c-cpusets.xml";
        _cleanup_free_ char *error = NULL, *snapshot = NULL, *link = NULL, *target = realpath(machine, NULL);
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        char folder[] = "/tmp/test_snapshot.XXXXXX";
        FILE *f;

        ck_assert_ptr_nonnull(mkdtemp(folder));
        ck_assert_int_eq(strprintf_to(&snapshot, "%s/s", folder), 0);
        ck_assert_int_eq(strprintf_to(&link, "%s/machine.xml", folder), 0);
        ck_assert_int_eq(symlink(target, link), 0);
        f = fopen(snapshot, "we");
        ck_assert_ptr_nonnull(f);
        ck_assert_int_ge(fputs(text, f), 0);
        ck_assert_int_eq(fclose(f), 0);
        ck_assert_msg(snapshot_load(snapshot, &s, &error) == 0, "%s", error);
        ck_assert_uint_eq(s->topology->n_nodes, 4);
        (void)unlink(snapshot);
        (void)unlink(link);
        (void)rmdir(folder);
}
END_TEST

/* ---- errors ---- */

static const struct { const char *text, *error; } bad_rows[] = {
        { "gests = ();", "t:1: there is no key \"gests\" here; did you mean \"guests\"?\n" },
        { "time = 5;", "t:1: time is the integer 5; a local time such as \"2026-11-23 22:30:00\" is needed\n" },
        { "time = \"2026-02-29 00:00\";", "t:1: time is the string \"2026-02-29 00:00\"; a local time such as "
          "\"2026-11-23 22:30:00\" is needed\n" },
        { "time = \"2026-12-24 24:00\";", "t:1: time is the string \"2026-12-24 24:00\"; a local time such as "
          "\"2026-11-23 22:30:00\" is needed\n" },
        { "uptime = \"5\";",
          "t:1: uptime is the string \"5\"; a duration with its unit such as \"3 s\" is needed\n" },
        { "topology = \"numa:0\";", "t:1: hwloc does not accept the topology \"numa:0\"; one such as "
          "\"numa:2 core:4 pu:2\" is needed\n" },
        { "topology = { xml = \"a\"; synthetic = \"b\"; };",
          "t:1: topology needs exactly one of synthetic, xml and nodes\n" },
        { "topology = { xml = \"/none/x.xml\"; };",
          "t:1: cannot read the topology \"/none/x.xml\": No such file or directory\n" },
        { "topology = { nodes = ( { cpus = \"0-1\"; }, { cpus = \"1\"; } ); };",
          "t:1: node 1 has CPUs that another node has, too\n" },
        { "topology = { nodes = (); };", "t:1: there is no CPU in any node; at least one is needed\n" },
        { "topology = { nodes = ( { cpus = \"0-1\"; } ); cores = [ \"0\" ]; };",
          "t:1: cores does not have the same CPUs as the nodes\n" },
        { "topology = { synthetic = \"numa:2 pu:1\"; distances = [ \"10,20\" ]; };",
          "t:1: distances has 1 rows; one for each of the 2 nodes is needed\n" },
        { "topology = { synthetic = \"numa:2 pu:1\"; distances = [ \"10,20\", \"10\" ]; };",
          "t:1: distances has \"10\"; 2 numbers from 1 to 65535 with commas are needed\n" },
        { "topology = { synthetic = \"numa:1 pu:2\"; offline = \"0-1\"; };", "t:1: no CPU is left online\n" },
        { "topology = { synthetic = \"numa:1 pu:2\"; isolated = \"2\"; };",
          "t:1: isolated has CPUs that the topology does not have\n" },
        { "host = { memory = { total = \"6\"; }; };",
          "t:1: total is the string \"6\"; a size with its unit such as \"4 GiB\" is needed\n" },
        { "host = { memory = { total = \"1 GiB\"; available = \"101 %\"; }; };",
          "t:1: available is the string \"101 %\"; a size with its unit such as \"4 GiB\" is needed\n" },
        { "host = { memory = { total = \"1 GiB\"; available = \"2 GiB\"; }; };",
          "t:1: available is more than total\n" },
        { "host = { memory = \"6 GiB\"; };", "t:1: memory is the string \"6 GiB\"; a group { ... } is needed\n" },
        { "host = { nodes = ( { id = 1; } ); };", "t:1: the topology has no node 1\n" },
        { "host = { nodes = ( { id = 0; }, { id = 0; } ); };", "t:1: node 0 is there twice\n" },
        { "host = { nodes = ( { id = 0; hugepages = ( { total = 1; } ); } ); };",
          "t:1: size is missing; a page size such as \"2 MiB\" is needed\n" },
        { "host = { cpus = ( { id = 4; } ); };", "t:1: the topology has no CPU 4 that is online\n" },
        { "host = { cpu_busy = \"x\"; };",
          "t:1: cpu_busy is the string \"x\"; a percentage such as \"35 %\" or \"unknown\" is needed\n" },
        { "host = { kernel = \"6.1.0-13-amd64\"; };", "t:1: kernel is the string \"6.1.0-13-amd64\"; a release of Linux "
          "such as \"6.1\" or \"unknown\" is needed\n" },
        { "host = { kernel = 6; };",
          "t:1: kernel is the integer 6; a release of Linux such as \"6.1\" or \"unknown\" is needed\n" },
        { "host = { ksm = { run = \"unknown\"; }; };", "t:1: run is the string \"unknown\"; a whole number "
          "(in quotes when above 2147483647) is needed\n" },
        { "host = { ksm = { run = -1; }; };", "t:1: run is the integer -1; a whole number "
          "(in quotes when above 2147483647) is needed\n" },
        { "host = { ksm = { sleep = \"1500 us\"; }; };", "t:1: sleep is the string \"1500 us\"; a duration in whole "
          "milliseconds such as \"20 ms\" is needed\n" },
        { "host = { ksm = { advisor_mode = \"0123456789012345\"; }; };",
          "t:1: advisor_mode is the string \"0123456789012345\"; a short word in quotes is needed\n" },
        { "guests = { };", "t:1: guests is a group { ... }; a list ( { ... }, { ... } ) is needed\n" },
        { "guests = ( 5 );", "t:1: this is the integer 5; a group { ... } is needed\n" },
        { "guests = ( { } );", "t:1: the guest has no name; a string is needed\n" },
        { "guests = ( { name = \"a\"; uuid = \"x\"; } );", "t:1: uuid is the string \"x\"; a UUID such as "
          "\"01234567-89ab-cdef-0123-456789abcdef\" is needed\n" },
        { "guests = ( { name = \"a\"; },\n { name = \"a\"; } );",
          "t:2: a guest with the uuid d228cb69-6f1a-8caf-b891-2b704e4a8964 is there already (\"a\")\n" },
        { "guests = ( { name = \"a\"; },\n { name = \"a\"; uuid = \"01234567-89ab-cdef-0123-456789abcdef\"; } );",
          "t:2: a guest \"a\" is there already\n" },
        { "guests = ( { name = \"a\"; vcpus = 0; } );",
          "t:1: vcpus is the integer 0; a whole number from 1 to 4096 is needed\n" },
        { "guests = ( { name = \"a\"; vcpus = 2; busy = [ \"1 %\" ]; } );",
          "t:1: busy has 1 values; one, or one for each of the 2 vCPUs, is needed\n" },
        { "guests = ( { name = \"a\"; pins = ( { vcpu = 1; cpus = \"0\"; } ); } );",
          "t:1: vcpu must be the number of one of the 1 vCPUs\n" },
        { "guests = ( { name = \"a\"; vcpus = ( { id = 1; }, { id = 1; } ); } );",
          "t:1: the ids must ascend; 1 comes after 1\n" },
        { "guests = ( { name = \"a\"; emulator_pin = \"0-4096\"; } );", "t:1: emulator_pin is the string "
          "\"0-4096\"; a list of numbers below 4096 such as \"0-3,8\" is needed\n" },
        { "guests = ( { name = \"a\"; node_memory = ( { node = 1; } ); } );",
          "t:1: node must be the number of a node of the topology\n" },
        { "guests = ( { name = \"a\"; numatune = { nodes = \"0-1\"; }; } );",
          "t:1: nodes: the topology has no node 1\n" },
        { "guests = ( { name = \"a\"; vfio_nodes = \"0-1\"; } );", "t:1: vfio_nodes: the topology has no node 1\n" },
        { "guests = ( { name = \"a\"; cgroup_mems = \"2\"; } );", "t:1: cgroup_mems: the topology has no node 2\n" },
        { "guests = ( { name = \"a\"; state = \"Running\"; } );", "t:1: state is the string \"Running\"; "
          "\"running\", \"paused\", \"shutdown\", \"crashed\" or \"pmsuspended\" is needed\n" },
        { "guests = ( { name = \"a\"; balloon = 1; } );",
          "t:1: balloon is the integer 1; true or false is needed\n" },
        { "time = 1;\nuptime = 2;", "t:1: time is the integer 1; a local time such as \"2026-11-23 22:30:00\" is "
          "needed\nt:2: uptime is the integer 2; a duration with its unit such as \"3 s\" is needed\n" },
};

START_TEST(mistakes_are_named_with_their_line) {
        _cleanup_free_ char *error = NULL;
        Snapshot *s = NULL;

        ck_assert_int_eq(snapshot_load_text("t", bad_rows[_i].text, &s, &error), -EBADMSG);
        ck_assert_ptr_null(s);
        ck_assert_str_eq(error, bad_rows[_i].error);
}
END_TEST

/* libconfig reads it as 705032704. */
START_TEST(an_integer_that_libconfig_wraps_is_refused) {
        _cleanup_free_ char *error = NULL;
        Snapshot *s = NULL;

        ck_assert_int_eq(snapshot_load_text("t", "host = { ksm = { pages_sharing = 5000000000; }; };", &s, &error),
                         -EBADMSG);
        ck_assert_msg(startswith(error, "t:1: ") != NULL && strstr(error, "5000000000"), "%s", error);
        ck_assert_ptr_null(s);
}
END_TEST

START_TEST(a_missing_file_is_named) {
        _cleanup_free_ char *error = NULL;
        Snapshot *s = NULL;

        ck_assert_int_eq(snapshot_load("/none/x.snapshot", &s, &error), -ENOENT);
        ck_assert_msg(error && startswith(error, "/none/x.snapshot"), "%s", error);
}
END_TEST

/* ---- the manual ---- */

#define MANUAL "man/kvmtuned-snapshot.5"

static char *read_manual(void) {
        char *text = calloc(1, 65536);
        FILE *f = fopen(MANUAL, "re");

        ck_assert_ptr_nonnull(f);
        ck_assert_uint_gt(fread(text, 1, 65535, f), 0);
        (void)fclose(f);
        return text;
}

START_TEST(the_examples_in_the_manual_load) {
        _cleanup_free_ char *manual = read_manual();
        unsigned n = 0;

        for (char *p = manual, *end; (p = strstr(p, ".Bd -literal -offset indent\n")); p = end + 1) {
                _cleanup_(snapshot_freep) Snapshot *s = NULL;

                p += strlen(".Bd -literal -offset indent\n");
                end = strstr(p, ".Ed\n");
                ck_assert_ptr_nonnull(end);
                *end = 0;
                s = load(p);
                ck_assert_uint_eq(s->n_guests, 2);
                n++;
        }
        ck_assert_uint_eq(n, 2);
}
END_TEST

START_TEST(every_key_is_in_the_manual) {
        const SnapFields *const tables[] = {
                &snap_memory, &snap_host,   &snap_cpu,   &snap_psi,    &snap_ksm,   &snap_thp,      &snap_node,
                &snap_pool,   &snap_thread, &snap_guest, &snap_guest_memory, &snap_stats, &snap_numatune, &snap_cell,
        };
        _cleanup_free_ char *manual = read_manual();

        for (size_t t = 0; t < ELEMENTSOF(tables); t++)
                for (size_t i = 0; i < tables[t]->n; i++) {
                        _cleanup_free_ char *word = NULL;
                        bool found = false;

                        ck_assert_int_eq(strprintf_to(&word, " %s", tables[t]->fields[i].key), 0);
                        for (char *p = strstr(manual, word); p && !found; p = strstr(p + 1, word))
                                found = strchr(" \n", p[strlen(word)]) != NULL;
                        ck_assert_msg(found, "%s", word);
                }
}
END_TEST

static void add_tests(TCase *c) {
        tcase_add_test(c, an_empty_text_is_a_host_of_four_cpus_and_16_gib);
        tcase_add_test(c, a_guest_of_which_only_the_name_is_given);
        tcase_add_test(c, each_memory_value_is_the_default_of_the_next);
        tcase_add_test(c, nodes_lose_what_the_guests_have_there);
        tcase_add_test(c, threads_may_run_where_their_pin_or_the_cpuset_allows);
        tcase_add_test(c, cpus_that_are_offline_are_gone);
        tcase_add_test(c, uuids_are_lower_case);
        tcase_add_test(c, busy_is_one_value_or_one_for_each_vcpu);
        tcase_add_test(c, counters_above_32_bits_are_strings);
        tcase_add_loop_test(c, weekdays_are_computed, 0, (int)ELEMENTSOF(day_rows));
        tcase_add_test(c, the_order_in_the_file_does_not_matter);
        tcase_add_test(c, an_xml_file_is_found_beside_the_snapshot);
        tcase_add_loop_test(c, mistakes_are_named_with_their_line, 0, (int)ELEMENTSOF(bad_rows));
        tcase_add_test(c, an_integer_that_libconfig_wraps_is_refused);
        tcase_add_test(c, a_missing_file_is_named);
        tcase_add_test(c, the_examples_in_the_manual_load);
        tcase_add_test(c, every_key_is_in_the_manual);
}

int main(void) {
        Suite *s = suite_create("snapshot_file");
        TCase *c = tcase_create("all");
        SRunner *runner;
        int failed;

        tcase_set_timeout(c, 120);
        add_tests(c);
        suite_add_tcase(s, c);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
