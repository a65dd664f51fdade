/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is asked of the kernel and of libvirt is refused, with every error there
 * is for it: what was refused is not on record, everything else was done and is,
 * and all of it can be put back. Without its record nothing is changed at all.
 */
#include <check.h>
#include <errno.h>
#include <libvirt/virterror.h>
#include <stdio.h>

#include "host.h"

static const int kernel_errors[] = { EBUSY, EINVAL, ENOMEM, EPERM, ENOSPC, 0 };
static const int libvirt_errors[] = { VIR_ERR_OPERATION_INVALID, VIR_ERR_INVALID_ARG, VIR_ERR_NO_SUPPORT,
                                      VIR_ERR_ACCESS_DENIED, VIR_ERR_INTERNAL_ERROR, VIR_ERR_OPERATION_FAILED, 0 };
static const char *const calls[] = { "virDomainPinVcpuFlags", "virDomainPinEmulator", "virDomainPinIOThread",
                                     "virDomainSetMemoryFlags", "virDomainSetMemoryStatsPeriod",
                                     "virDomainSetVcpusFlags", "virDomainSetMemoryParameters",
                                     "virDomainSetNumaParameters" };

/* A guest's memory is due to follow it, its nodeset first. */
static void begin_with_move(TestHost *h, Knobs *ret_before) {
        host_init(h);
        host_move_due(h, host_guest(h, "web"));
        host_knobs(h, ret_before);
}

static bool is_kernel_write(const char *effect) {
        return startswith(effect, "write sys/") || startswith(effect, "write proc/");
}

/* The files that are written, each once. */
static size_t written_files(char (*ret)[WORLD_NAME_MAX], size_t max) {
        _cleanup_host_ TestHost h;
        size_t n = 0;

        host_init(&h);
        host_run_well(&h, "--once", "acting");
        for (unsigned i = 0; i < h.world->n_effects; i++) {
                bool known = !is_kernel_write(h.world->effects[i]);

                for (size_t k = 0; k < n; k++)
                        known = known || streq(ret[k], h.world->effects[i]);
                if (known)
                        continue;
                ck_assert_uint_lt(n, max);
                memcpy(ret[n++], h.world->effects[i], WORLD_NAME_MAX);
        }
        return n;
}

/* Acts while the rules of @h hold, and is put back without them. */
static void act_and_put_back(TestHost *h, const Knobs *before, bool exact, const char *when) {
        int status = host_run(h, "--once");

        ck_assert_msg(status == 0 || status == 1, "%s: ends with %d\n%s", when, status, host_log_end(h));
        host_check_record(h, before, exact, when);
        host_run_well(h, "--restore", when);
        host_check_restored(h, before, when);
}

static void check_hits(TestHost *h, size_t n, const char *when) {
        for (size_t i = 0; i < n; i++) {
                const WorldRule *rule = &h->world->rules[i];

                ck_assert_msg(rule->seen > 0, "%s: \"%s\" was never reached", when, rule->pattern);
        }
}

/* Each file with each error, in six runs: in each of them the files fail differently, and some do not. */
START_TEST(every_kernel_file_refuses_with_every_error) {
        char files[WORLD_RULES_MAX][WORLD_NAME_MAX], when[32];
        size_t n_files = written_files(files, ELEMENTSOF(files)), n_hits = 0;
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        ck_assert_uint_gt(n_files, 10);
        host_begin(&h, &before);
        for (size_t i = 0; i < n_files; i++)
                (void)host_fail(&h, files[i], kernel_errors[(i + (size_t)_i) % ELEMENTSOF(kernel_errors)], 0, 0);
        (void)snprintf(when, sizeof(when), "kernel errors, run %d", _i);
        (void)host_run(&h, "--once");
        for (size_t i = 0; i < n_files; i++)
                n_hits += h.world->rules[i].error != 0 && h.world->rules[i].hits > 0;
        ck_assert_uint_ge(n_hits, n_files / 2);
        host_check_record(&h, &before, true, when);
        host_run_well(&h, "--restore", when);
        host_check_restored(&h, &before, when);
}
END_TEST

/* The same where opening fails: a file that is gone, or on a mount that is read-only. */
static const int open_errors[] = { ENOENT, EROFS, EACCES, EMFILE };

START_TEST(no_kernel_file_can_be_opened_for_writing) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        host_begin(&h, &before);
        (void)host_fail(&h, "openw sys/*", open_errors[_i], 0, 0);
        (void)host_fail(&h, "openw proc/*", open_errors[_i], 0, 0);
        act_and_put_back(&h, &before, true, strerror(open_errors[_i]));
}
END_TEST

/* A switch that only another process may write: asked of systemd. */
static const struct {
        const char *name, *said;
        WorldSystemd systemd;
        int error;                      /* of the call */
        bool set;
} systemd_rows[] = {
        { "no system bus", NULL, WORLD_NO_SYSTEMD, 0, false },
        { "systemd sets it", NULL, WORLD_SYSTEMD_SETS, 0, true },
        { "systemd refuses", "Not for you", WORLD_SYSTEMD_REFUSES, 0, false },
        { "the unit fails", "was started and has not set it", WORLD_SYSTEMD_FAILS, 0, false },
        { "the bus goes", NULL, WORLD_SYSTEMD_SETS, ENOTCONN, false },
};

START_TEST(a_switch_of_the_kernel_is_asked_of_systemd) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        _cleanup_free_ char *now = NULL;

        host_begin(&h, &before);
        h.world->systemd = systemd_rows[_i].systemd;
        (void)host_fail(&h, "openw proc/sys/kernel/numa_balancing", EACCES, 0, 0);
        if (systemd_rows[_i].error != 0)
                (void)host_fail(&h, "call StartUnit", systemd_rows[_i].error, 0, 0);
        ck_assert_int_eq(host_run(&h, "--once"), 0);
        ck_assert(!systemd_rows[_i].said || host_log_has(&h, systemd_rows[_i].said));
        now = host_read(&h, "proc/sys/kernel/numa_balancing");
        ck_assert_str_eq(now, systemd_rows[_i].set ? "0\n" : "1\n");
        host_check_record(&h, &before, true, systemd_rows[_i].name);
        ck_assert_int_eq(host_run(&h, "--restore"), 0);
        host_check_restored(&h, &before, systemd_rows[_i].name);
}
END_TEST

START_TEST(every_call_is_refused_with_every_error) {
        char pattern[64], when[32];
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        begin_with_move(&h, &before);
        for (size_t i = 0; i < ELEMENTSOF(calls); i++) {
                (void)snprintf(pattern, sizeof(pattern), "call %s *", calls[i]);
                (void)host_fail(&h, pattern, libvirt_errors[(i + (size_t)_i) % ELEMENTSOF(libvirt_errors)], 0, 0);
        }
        (void)snprintf(when, sizeof(when), "libvirt errors, run %d", _i);
        (void)host_run(&h, "--once");
        check_hits(&h, 3, when);
        host_check_record(&h, &before, true, when);
        host_run_well(&h, "--restore", when);
        host_check_restored(&h, &before, when);
}
END_TEST

/* Nobody knows whether such a call was carried out: it stays on record, and can be taken back. */
static const int uncertain_errors[] = { VIR_ERR_OPERATION_TIMEOUT, VIR_ERR_NO_MEMORY, VIR_ERR_NO_DOMAIN };

START_TEST(a_call_of_which_nobody_knows_stays_on_record) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        begin_with_move(&h, &before);
        for (size_t i = 0; i < ELEMENTSOF(calls); i++) {
                char pattern[64];

                (void)snprintf(pattern, sizeof(pattern), "call %s *", calls[i]);
                (void)host_fail(&h, pattern, uncertain_errors[_i], 0, 0);
        }
        act_and_put_back(&h, &before, false, "a call of which nobody knows");
}
END_TEST

/* The question behind a call fails: how many vCPUs there are, whether the guest runs at all. */
static const struct { const char *ask, *call; int error; } question_rows[] = {
        { "call virDomainGetVcpusFlags *", NULL, VIR_ERR_OPERATION_FAILED },
        { "call virDomainGetXMLDesc web", NULL, VIR_ERR_OPERATION_FAILED },
        { "call virDomainGetXMLDesc web", NULL, VIR_ERR_NO_DOMAIN },
        { "call virDomainGetState db", NULL, VIR_ERR_OPERATION_TIMEOUT },
        { "call virTypedParamsAddULLong", NULL, VIR_ERR_INTERNAL_ERROR },
        { "call virDomainIsActive *", "call virDomainPin*", VIR_ERR_INTERNAL_ERROR },
        { "call virDomainIsActive *", "call virDomainPin*", VIR_ERR_NO_DOMAIN },
        { "call virDomainLookupByUUIDString *", NULL, VIR_ERR_NO_DOMAIN },
        { "call virConnectSetKeepAlive", NULL, VIR_ERR_NO_SUPPORT },
        { "call virNodeGetCPUMap", NULL, VIR_ERR_NO_SUPPORT },
        { "call virConnectDomainEventRegisterAny [1-9]*", NULL, VIR_ERR_NO_SUPPORT },
        { "call virDomainIsPersistent *", NULL, VIR_ERR_INTERNAL_ERROR },
        { "call virDomainGetJobInfo *", NULL, VIR_ERR_OPERATION_INVALID },
        { "call virDomainListGetStats", NULL, VIR_ERR_OPERATION_FAILED },
        { "call tsearch", NULL, ENOMEM },
};

START_TEST(a_question_to_libvirt_is_not_answered) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        host_begin(&h, &before);
        (void)host_fail(&h, question_rows[_i].ask, question_rows[_i].error, 0, 0);
        if (question_rows[_i].call)
                (void)host_fail(&h, question_rows[_i].call, VIR_ERR_OPERATION_INVALID, 0, 0);
        act_and_put_back(&h, &before, true, question_rows[_i].ask);
}
END_TEST

/* ---- the record ---- */

static const char *const state_points[] = { "open state", "openw state/state.new", "write state/state.new",
                                            "fsync state/state.new", "rename state/state", "fsync state" };
static const int disk_errors[] = { ENOSPC, EIO };

START_TEST(without_its_record_nothing_is_changed) {
        const char *point = state_points[(size_t)_i % ELEMENTSOF(state_points)];
        int error = disk_errors[(size_t)_i / ELEMENTSOF(state_points)];
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before, after;
        char when[80];

        host_begin(&h, &before);
        (void)snprintf(when, sizeof(when), "%s: %s", point, strerror(error));
        (void)host_fail(&h, point, error, 0, 0);
        (void)host_run(&h, "--once");
        ck_assert_msg(h.world->rules[0].hits > 0, "%s: never reached", when);
        host_knobs(&h, &after);
        ck_assert_msg(streq(knobs_difference(&before, &after), ""), "%s: changed %s", when,
                      knobs_difference(&before, &after));
        ck_assert_msg(host_log_has(&h, "nothing is changed until it can be written"), "%s\n%s", when, host_log_end(&h));
        /* What may have been written is a record of nothing. */
        host_check_record(&h, &before, false, when);
        host_run_well(&h, "--restore", when);
        host_check_restored(&h, &before, when);
}
END_TEST

/* The first write works and the later ones do not: what was changed is on record from before. */
START_TEST(the_disk_fills_while_it_acts) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        host_begin(&h, &before);
        (void)host_fail(&h, "write state/state.new", ENOSPC, (unsigned)_i + 1, 0);
        act_and_put_back(&h, &before, false, "the disk fills");
}
END_TEST

START_TEST(a_record_that_cannot_be_removed_is_said) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        int status;

        host_begin(&h, &before);
        host_run_well(&h, "--once", "acting");
        host_calm(&h);
        (void)host_fail(&h, "unlink state/state", EROFS, 0, 0);
        status = host_run(&h, "--restore");
        ck_assert_int_eq(status, 1);
        ck_assert(host_log_has(&h, "Failed to remove"));
        host_run_well(&h, "--restore", "again");
        host_check_restored(&h, &before, "a record that could not be removed");
}
END_TEST

/* What cannot be put back stays on record, the status says so, and the next --restore does it. */
START_TEST(what_cannot_be_put_back_stays_on_record) {
        static const char *const points[] = { "write sys/*", "call virDomainPin*", "call virDomainSetMemoryFlags *",
                                              "call virDomainSetMemoryParameters *", "call virDomainSetVcpusFlags *" };
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        host_begin(&h, &before);
        host_run_well(&h, "--once", "acting");
        host_calm(&h);
        (void)host_fail(&h, points[_i], points[_i][0] == 'w' ? EBUSY : VIR_ERR_OPERATION_FAILED, 0, 0);
        ck_assert_int_eq(host_run(&h, "--restore"), 1);
        ck_assert_uint_gt(h.world->rules[0].hits, 0);
        host_check_record(&h, &before, false, points[_i]);
        host_run_well(&h, "--restore", points[_i]);
        host_check_restored(&h, &before, points[_i]);
}
END_TEST

/* Somebody has edited the state file: what is no value is not asked for, is said, and stays on record until it is one. */
START_TEST(what_is_no_value_stays_on_record) {
        _cleanup_(state_freep) State *good = NULL, *spoiled = NULL, *left = NULL;
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        char path[128];

        begin_with_move(&h, &before);
        host_run_well(&h, "--once", "acting");
        (void)snprintf(path, sizeof(path), "%s/state/state", h.dir);
        good = host_state(&h);
        spoiled = host_state(&h);
        for (size_t i = 0; i < spoiled->n_owned; i++)
                if (spoiled->owned[i].uuid[0])
                        memset(spoiled->owned[i].original, '?', strlen(spoiled->owned[i].original));
        ck_assert_int_eq(state_save(spoiled, path), 0);
        ck_assert_int_eq(host_run(&h, "--restore"), 1);
        ck_assert_msg(host_log_has(&h, "Invalid argument"), "%s", host_log_end(&h));
        left = host_state(&h);
        for (size_t i = 0; i < spoiled->n_owned; i++) {
                const Owned *o = &spoiled->owned[i];

                ck_assert_msg(o->original[0] != '?' || (left && state_find_owned(left, o->kind, o->uuid, o->index)),
                              "%s %u is not on record any more", action_kind_to_string(o->kind), o->index);
        }
        ck_assert_int_eq(state_save(good, path), 0);
        host_run_well(&h, "--restore", "mended");
        host_check_restored(&h, &before, "mended");
}
END_TEST

/* ---- the boot ---- */

static const int boot_errors[] = { EIO, EMFILE, EACCES };

/* Whether what is on record is of this boot is not guessed: it would be thrown away. */
START_TEST(which_boot_it_is_cannot_be_read) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        host_begin(&h, &before);
        host_run_well(&h, "--once", "acting");
        for (unsigned i = 0; i < 2; i++) {
                host_calm(&h);
                (void)host_fail(&h, "read proc/sys/kernel/random/boot_id", boot_errors[_i], 0, 0);
                ck_assert_int_eq(host_run(&h, i == 0 ? "--once" : "--restore"), 1);
                host_check_record(&h, &before, true, "the boot is not known");
        }
        host_run_well(&h, "--restore", "putting back");
        host_check_restored(&h, &before, "putting back");
}
END_TEST

/* libvirt lists a guest, and what it says of it cannot be read: it runs, and stays on record. */
START_TEST(a_guest_that_cannot_be_read_stays_on_record) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        host_begin(&h, &before);
        host_run_well(&h, "--once", "acting");
        host_guest(&h, "db")->bad_xml = true;
        ck_assert_int_eq(host_run(&h, "--restore"), 1);
        ck_assert_msg(host_log_has(&h, "could not be put back"), "%s", host_log_end(&h));
        host_guest(&h, "db")->bad_xml = false;
        host_check_record(&h, &before, true, "it cannot be read");
        host_run_well(&h, "--restore", "it can be read");
        host_check_restored(&h, &before, "it can be read");
}
END_TEST

/* ---- memory ---- */

/* Every so many allocations one fails, or all from there on: it may end, but what it owns survives. */
static void fail_allocation(unsigned at, unsigned times, const char *mode) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        char when[80];
        int status;

        host_begin(&h, &before);
        if (streq(mode, "--restore"))
                host_run_well(&h, "--once", "acting");
        host_calm(&h);
        (void)snprintf(when, sizeof(when), "%s, allocation %u and %u after it fail", mode, at, times - 1);
        h.world->alloc_fail_at = at;
        h.world->alloc_fail_times = times;
        status = host_run(&h, mode);
        ck_assert_msg(status == 0 || status == 1, "%s: ends with %d\n%s", when, status, host_log_end(&h));
        host_check_record(&h, &before, false, when);
        host_run_well(&h, "--restore", when);
        host_check_restored(&h, &before, when);
}

static unsigned count_allocations(const char *mode) {
        _cleanup_host_ TestHost h;

        host_init(&h);
        host_run_well(&h, "--once", "acting");
        if (streq(mode, "--restore"))
                host_run_well(&h, mode, "putting back");
        return h.world->n_allocs;
}

#define ALLOCATION_RUNS 6U

static const struct { const char *mode; unsigned times; } allocation_rows[] = {
        { "--once", 1 }, { "--once", 1000000 }, { "--restore", 1 }, { "--restore", 1000000 },
};

START_TEST(memory_runs_out) {
        const char *mode = allocation_rows[_i].mode, *text = getenv("FAULTS_ALLOCATIONS");
        unsigned n = count_allocations(mode), runs = text ? (unsigned)atoi(text) : ALLOCATION_RUNS;

        ck_assert_uint_gt(n, 500);
        for (unsigned i = 0; i < runs; i++)
                fail_allocation(1 + (unsigned)((uint64_t)n * (2 * i + 1) / (2 * runs)), allocation_rows[_i].times, mode);
}
END_TEST

/*
 * Each place in the code that allocates, from when it begins with libvirt on: in a run of its own, in which nothing else
 * fails. There is as much to do as there can be: memory follows its guest, a pool gets less than it was asked for.
 */
static const struct { const char *mode, *policy; } place_rows[] = {
        { "--once", "" }, { "--restore", "" }, { "--once", "daemon: { dry_run = true; };\n" },
};

/* The places of a row are shared among so many tests, each within its time. */
#define PLACE_SHARES 4U

static void begin_at_place(TestHost *h, Knobs *ret_before, size_t row) {
        char policy[2048];

        begin_with_move(h, ret_before);
        h->world->pools_room[0] = 10;
        if (streq(place_rows[row].mode, "--restore"))
                host_run_well(h, "--once", "acting");
        host_calm(h);
        (void)snprintf(policy, sizeof(policy), "%s%s", place_rows[row].policy, host_all_levers);
        host_policy(h, policy);
        h->world->places_main = true;
        h->world->places_gap = 1;
}

static unsigned note_places(size_t row, uint32_t ret[WORLD_PLACES_MAX]) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        begin_at_place(&h, &before, row);
        h.world->places_noted = true;
        ck_assert_int_eq(host_run(&h, place_rows[row].mode), 0);
        memcpy(ret, h.world->places, sizeof(h.world->places));
        return h.world->n_places;
}

static void fail_place(size_t row, uint32_t place) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        char when[80];
        int status;

        begin_at_place(&h, &before, row);
        (void)snprintf(when, sizeof(when), "%s, place %x has no memory", place_rows[row].mode, place);
        h.world->places_only = place;
        status = host_run(&h, place_rows[row].mode);
        ck_assert_msg(status == 0 || status == 1, "%s: ends with %d\n%s", when, status, host_log_end(&h));
        host_check_record(&h, &before, false, when);
        host_policy(&h, host_all_levers);
        host_run_well(&h, "--restore", when);
        host_check_restored(&h, &before, when);
}

START_TEST(memory_runs_out_at_one_place) {
        size_t row = (size_t)_i / PLACE_SHARES;
        unsigned share = (unsigned)_i % PLACE_SHARES, n;
        bool all = getenv("FAULTS_ALLOCATIONS") != NULL;
        uint32_t places[WORLD_PLACES_MAX];

        /* A sample is two of a row. */
        if (!all && share > 0)
                return;
        n = note_places(row, places);
        ck_assert_uint_gt(n, 20);
        if (share == 0)
                printf("# note: %s: %u places that allocate\n", place_rows[row].mode, n);
        (void)fflush(stdout);
        /* Threads take turns, so their order is not the same in each test. */
        for (unsigned i = 0; i < n; i += all ? 1 : n / 2 + 1)
                if (!all || places[i] % PLACE_SHARES == share)
                        fail_place(row, places[i]);
}
END_TEST

int main(void) {
        Suite *s = suite_create("errors");
        TCase *tc = tcase_create("errors"), *places = tcase_create("places");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 600);
        tcase_add_loop_test(tc, every_kernel_file_refuses_with_every_error, 0, ELEMENTSOF(kernel_errors));
        tcase_add_loop_test(tc, no_kernel_file_can_be_opened_for_writing, 0, ELEMENTSOF(open_errors));
        tcase_add_loop_test(tc, a_switch_of_the_kernel_is_asked_of_systemd, 0, ELEMENTSOF(systemd_rows));
        tcase_add_loop_test(tc, every_call_is_refused_with_every_error, 0, ELEMENTSOF(libvirt_errors));
        tcase_add_loop_test(tc, a_call_of_which_nobody_knows_stays_on_record, 0, ELEMENTSOF(uncertain_errors));
        tcase_add_loop_test(tc, a_question_to_libvirt_is_not_answered, 0, ELEMENTSOF(question_rows));
        tcase_add_loop_test(tc, without_its_record_nothing_is_changed, 0,
                            ELEMENTSOF(state_points) * ELEMENTSOF(disk_errors));
        tcase_add_loop_test(tc, the_disk_fills_while_it_acts, 0, 3);
        tcase_add_test(tc, a_record_that_cannot_be_removed_is_said);
        tcase_add_loop_test(tc, what_cannot_be_put_back_stays_on_record, 0, 5);
        tcase_add_test(tc, what_is_no_value_stays_on_record);
        tcase_add_loop_test(tc, which_boot_it_is_cannot_be_read, 0, ELEMENTSOF(boot_errors));
        tcase_add_test(tc, a_guest_that_cannot_be_read_stays_on_record);
        tcase_add_loop_test(tc, memory_runs_out, 0, ELEMENTSOF(allocation_rows));
        suite_add_tcase(s, tc);
        tcase_set_timeout(places, 600);
        tcase_add_loop_test(places, memory_runs_out_at_one_place, 0, ELEMENTSOF(place_rows) * PLACE_SHARES);
        suite_add_tcase(s, places);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed > 0;
}
