/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../../lib/snapshot.h"

#include <check.h>
#include <stdio.h>

#define N_GUESTS 10000U

static Snapshot *new_snapshot(void) {
        Snapshot *s = NULL;

        ck_assert_int_eq(snapshot_new(&s), 0);
        return s;
}

static void put(Snapshot *s, const char *name, const char *uuid) {
        Guest *g = NULL;

        ck_assert_int_eq(guest_new(name, uuid, &g), 0);
        ck_assert_int_eq(snapshot_put_guest(s, g), 0);
}

/* 7919 has no factor in common with 10,000: every number comes up once, out of order. */
START_TEST(ten_thousand_guests_in_any_order_end_up_sorted) {
        _cleanup_(snapshot_freep) Snapshot *s = new_snapshot();
        char name[32], uuid[UUID_TEXT_SIZE];

        for (unsigned i = 0; i < N_GUESTS; i++) {
                (void)snprintf(name, sizeof(name), "guest-%u", i * 7919 % N_GUESTS);
                (void)snprintf(uuid, sizeof(uuid), "00000000-0000-0000-0000-%012u", i * 7919 % N_GUESTS);
                put(s, name, uuid);
        }
        ck_assert_uint_eq(s->n_guests, N_GUESTS);
        for (unsigned i = 0; i < N_GUESTS; i++) {
                (void)snprintf(uuid, sizeof(uuid), "00000000-0000-0000-0000-%012u", i);
                ck_assert_str_eq(s->guests[i]->uuid, uuid);
                ck_assert_ptr_eq(snapshot_find_guest(s, uuid), s->guests[i]);
        }
        ck_assert_ptr_null(snapshot_find_guest(s, "00000000-0000-0000-0000-000000010000"));
        ck_assert_ptr_null(snapshot_find_guest(s, ""));
}
END_TEST

START_TEST(putting_a_known_uuid_replaces_the_guest) {
        _cleanup_(snapshot_freep) Snapshot *s = new_snapshot();

        put(s, "old", "b");
        put(s, "other", "a");
        put(s, "new", "b");
        ck_assert_uint_eq(s->n_guests, 2);
        ck_assert_str_eq(snapshot_find_guest(s, "b")->name, "new");
        ck_assert_ptr_null(snapshot_find_guest_by_name(s, "old"));
        ck_assert_str_eq(snapshot_find_guest_by_name(s, "other")->uuid, "a");
}
END_TEST

START_TEST(putting_the_same_guest_again_keeps_it) {
        _cleanup_(snapshot_freep) Snapshot *s = new_snapshot();

        put(s, "web", "a");
        ck_assert_int_eq(snapshot_put_guest(s, s->guests[0]), 0);
        ck_assert_uint_eq(s->n_guests, 1);
        ck_assert_str_eq(s->guests[0]->name, "web");
}
END_TEST

START_TEST(removing_keeps_the_order_of_the_rest) {
        _cleanup_(snapshot_freep) Snapshot *s = new_snapshot();

        put(s, "c", "3");
        put(s, "a", "1");
        put(s, "b", "2");
        ck_assert(snapshot_remove_guest(s, "2"));
        ck_assert(!snapshot_remove_guest(s, "2"));
        ck_assert_uint_eq(s->n_guests, 2);
        ck_assert_str_eq(s->guests[0]->uuid, "1");
        ck_assert_str_eq(s->guests[1]->uuid, "3");
}
END_TEST

START_TEST(a_new_guest_has_nothing_known) {
        _cleanup_(guest_freep) Guest *g = NULL;

        ck_assert_int_eq(guest_new("a", NULL, &g), 0);
        ck_assert_uint_eq(g->rss_bytes, UNKNOWN_U64);
        ck_assert_uint_eq(g->stats.usable_bytes, UNKNOWN_U64);
        ck_assert_uint_eq(g->stats.age_usec, UNKNOWN_U64);
        ck_assert_uint_eq(g->stats.major_faults, UNKNOWN_U64);
        ck_assert_uint_eq(g->emulator.busy_permyriad, UNKNOWN_PERMYRIAD);
        ck_assert_int_eq(g->state, GUEST_RUNNING);
        ck_assert(!g->balloon_device);
}
END_TEST

/* The value is written down: state files and golden plans hold such uuids. */
START_TEST(uuid_of_a_name_is_stable_and_well_formed) {
        char a[UUID_TEXT_SIZE], b[UUID_TEXT_SIZE];

        guest_uuid_from_name("db-1", a);
        guest_uuid_from_name("db-2", b);
        ck_assert_str_eq(a, "695b5575-1375-8277-b806-e9704bc76b21");
        ck_assert_str_ne(a, b);
        ck_assert_int_eq(a[14], '8');
        ck_assert(strchr("89ab", a[19]) != NULL);
}
END_TEST

START_TEST(an_overlong_uuid_is_refused) {
        Guest *g = NULL;

        ck_assert_int_eq(guest_new("a", "0123456789012345678901234567890123456", &g), -EINVAL);
        ck_assert_ptr_null(g);
        ck_assert_int_eq(guest_new("a", "012345678901234567890123456789012345", &g), 0);
        (void)guest_free(g);
}
END_TEST

START_TEST(setting_vcpus_anew_forgets_the_old_ones) {
        _cleanup_(guest_freep) Guest *g = NULL;

        ck_assert_int_eq(guest_new("a", NULL, &g), 0);
        ck_assert_int_eq(guest_set_vcpus(g, 4), 0);
        g->vcpus[0].pinned = true;
        g->vcpus[3].online = false;
        ck_assert_uint_eq(guest_online_vcpus(g), 3);
        ck_assert_int_eq(guest_set_vcpus(g, 2), 0);
        ck_assert(!g->vcpus[0].pinned);
        ck_assert_uint_eq(g->vcpus[1].id, 1);
        ck_assert_uint_eq(guest_online_vcpus(g), 2);
        ck_assert_int_eq(guest_set_vcpus(g, 0), 0);
        ck_assert_uint_eq(guest_online_vcpus(g), 0);
}
END_TEST

START_TEST(sparse_nodes_and_cpus_are_found_by_number) {
        NodeMemory nodes[] = { { .id = 0 }, { .id = 2 }, { .id = 33 }, { .id = 45 } };
        CpuLoad cpus[] = { { .id = 1 }, { .id = 7 } };
        Host h = { .nodes = nodes, .n_nodes = ELEMENTSOF(nodes), .cpus = cpus, .n_cpus = ELEMENTSOF(cpus) };

        for (size_t i = 0; i < ELEMENTSOF(nodes); i++)
                ck_assert_ptr_eq(host_node(&h, nodes[i].id), &nodes[i]);
        ck_assert_ptr_null(host_node(&h, 1));
        ck_assert_ptr_null(host_node(&h, 46));
        ck_assert_ptr_eq(host_cpu(&h, 7), &cpus[1]);
        ck_assert_ptr_null(host_cpu(&h, 0));
}
END_TEST

static const struct { const char *text; uint64_t release; } release_rows[] = {
        { "6.1", KERNEL_RELEASE(6, 1) },
        { "6.1.0-13-amd64\n", KERNEL_RELEASE(6, 1) },
        { "6.18-rc3+", KERNEL_RELEASE(6, 18) },
        { "65535.65535", KERNEL_RELEASE(65535, 65535) },
        { "65536.1", UNKNOWN_U64 }, { "6.65536", UNKNOWN_U64 }, { "6.4294967297", UNKNOWN_U64 },
        { "", UNKNOWN_U64 }, { "6", UNKNOWN_U64 }, { "6.", UNKNOWN_U64 }, { "6.x", UNKNOWN_U64 },
        { "v6.1", UNKNOWN_U64 }, { "-6.1", UNKNOWN_U64 }, { ".1", UNKNOWN_U64 },
};

START_TEST(a_release_is_its_first_two_numbers) {
        uint64_t release = UNKNOWN_U64;
        const char *end = NULL;
        int r = kernel_release_parse(release_rows[_i].text, &release, &end);

        ck_assert_msg(release == release_rows[_i].release, "%s", release_rows[_i].text);
        ck_assert_int_eq(r, release == UNKNOWN_U64 ? -EINVAL : 0);
        ck_assert_int_eq(end != NULL, release != UNKNOWN_U64);
}
END_TEST

START_TEST(names_of_states_and_modes_read_back) {
        for (int i = 0; i < _GUEST_STATE_MAX; i++)
                ck_assert_int_eq(guest_state_from_string(guest_state_to_string((GuestState)i)), i);
        for (int i = 0; i < _NUMATUNE_MODE_MAX; i++)
                ck_assert_int_eq(numatune_mode_from_string(numatune_mode_to_string((NumatuneMode)i)), i);
        ck_assert_int_lt((int)guest_state_from_string("Running"), 0);
}
END_TEST

int main(void) {
        Suite *s = suite_create("snapshot");
        TCase *c = tcase_create("all");
        SRunner *runner;
        int failed;

        suite_add_tcase(s, c);
        tcase_add_test(c, ten_thousand_guests_in_any_order_end_up_sorted);
        tcase_add_test(c, putting_a_known_uuid_replaces_the_guest);
        tcase_add_test(c, putting_the_same_guest_again_keeps_it);
        tcase_add_test(c, removing_keeps_the_order_of_the_rest);
        tcase_add_test(c, a_new_guest_has_nothing_known);
        tcase_add_test(c, uuid_of_a_name_is_stable_and_well_formed);
        tcase_add_test(c, an_overlong_uuid_is_refused);
        tcase_add_test(c, setting_vcpus_anew_forgets_the_old_ones);
        tcase_add_test(c, sparse_nodes_and_cpus_are_found_by_number);
        tcase_add_loop_test(c, a_release_is_its_first_two_numbers, 0, ELEMENTSOF(release_rows));
        tcase_add_test(c, names_of_states_and_modes_read_back);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
