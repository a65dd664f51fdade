/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * kernel.numa_balancing: what each mode wants of it, what `auto` goes by, and
 * for how long.
 */

#include "placement_util.h"

#define TWO_NODES "numa:2 core:4 pu:1"
#define BASE "host: { reserved_memory = \"0\"; }; "
#define AUTO BASE "kernel: { numa_balancing = \"auto\"; }; guests = ( { match = { name = \"placed*\"; }; " \
                  "cpu = { policy = \"shared\"; }; } );"
#define CYCLE_USEC (10 * USEC_PER_SEC)

static const Action *switch_action(const World *w) {
        for (size_t i = 0; i < w->plan->n_actions; i++)
                if (w->plan->actions[i].kind == ACTION_SET_KERNEL)
                        return &w->plan->actions[i];
        return NULL;
}

static const Skip *switch_skip(const World *w) {
        for (size_t i = 0; i < w->plan->n_skips; i++)
                if (w->plan->skips[i].kind == ACTION_SET_KERNEL)
                        return &w->plan->skips[i];
        return NULL;
}

/* As the daemon: own, do, disown what was given back. */
static void carry_out(World *w) {
        const Action *a = switch_action(w);
        const Owned *owned;

        if (!a)
                return;
        ck_assert_int_eq(state_own(w->state, a), 0);
        w->snapshot->host.numa_balancing = strtoull(a->new_value, NULL, 10);
        owned = state_find_owned(w->state, ACTION_SET_KERNEL, "", KERNEL_KNOB_NUMA_BALANCING);
        if (streq(owned->original, a->new_value))
                state_disown(w->state, ACTION_SET_KERNEL, "", KERNEL_KNOB_NUMA_BALANCING);
}

static void set_mode(World *w, const char *mode) {
        char text[256];

        (void)snprintf(text, sizeof(text), BASE "kernel: { numa_balancing = \"%s\"; };", mode);
        world_configure(w, text);
}

/* ---- modes ---- */

static const struct {
        const char *name, *mode, *topology;
        uint64_t now;
        const char *want;               /* NULL: nothing */
        SkipReason why;                 /* _SKIP_REASON_MAX: silent */
} mode_rows[] = {
        { "keep changes nothing", "keep", TWO_NODES, 1, NULL, _SKIP_REASON_MAX },
        { "off", "off", TWO_NODES, 1, "0", _SKIP_REASON_MAX },
        { "off already", "off", TWO_NODES, 0, NULL, _SKIP_REASON_MAX },
        { "on", "on", TWO_NODES, 0, "1", _SKIP_REASON_MAX },
        { "on already", "on", TWO_NODES, 1, NULL, _SKIP_REASON_MAX },
        { "tiers of memory stay", "off", TWO_NODES, 3, "2", _SKIP_REASON_MAX },
        { "and are no balancing", "on", TWO_NODES, 2, "3", _SKIP_REASON_MAX },
        { "one node", "off", "core:4 pu:1", 1, NULL, SKIP_UNAVAILABLE },
        { "one node, keep", "keep", "core:4 pu:1", 1, NULL, _SKIP_REASON_MAX },
        { "no such switch", "on", TWO_NODES, UNKNOWN_U64, NULL, SKIP_UNAVAILABLE },
        { "no such switch, keep", "keep", TWO_NODES, UNKNOWN_U64, NULL, _SKIP_REASON_MAX },
};

START_TEST(each_mode_wants_what_it_says) {
        World w;

        world_init(&w, mode_rows[_i].topology, BASE);
        set_mode(&w, mode_rows[_i].mode);
        w.snapshot->host.numa_balancing = mode_rows[_i].now;
        world_decide(&w, NULL);
        if (mode_rows[_i].want)
                ck_assert_str_eq(switch_action(&w)->new_value, mode_rows[_i].want);
        else
                ck_assert_ptr_null(switch_action(&w));
        ck_assert_int_eq(switch_skip(&w) ? switch_skip(&w)->why : _SKIP_REASON_MAX, mode_rows[_i].why);
        carry_out(&w);
        world_decide(&w, NULL);
        ck_assert_ptr_null(switch_action(&w));
        world_done(&w);
}
END_TEST

START_TEST(keep_gives_back_what_another_mode_changed) {
        World w;

        world_init(&w, TWO_NODES, BASE);
        w.snapshot->host.numa_balancing = 1;
        set_mode(&w, "off");
        world_decide(&w, NULL);
        carry_out(&w);
        set_mode(&w, "keep");
        world_decide(&w, NULL);
        ck_assert_str_eq(switch_action(&w)->new_value, "1");
        carry_out(&w);
        ck_assert_uint_eq(w.state->n_owned, 0);
        world_decide(&w, NULL);
        ck_assert_ptr_null(switch_action(&w));
        world_done(&w);
}
END_TEST

START_TEST(what_somebody_else_changed_is_theirs) {
        World w;

        world_init(&w, TWO_NODES, BASE);
        w.snapshot->host.numa_balancing = 1;
        set_mode(&w, "off");
        world_decide(&w, NULL);
        carry_out(&w);
        w.snapshot->host.numa_balancing = 1;
        for (int i = 0; i < 3; i++) {
                world_decide(&w, NULL);
                ck_assert_ptr_null(switch_action(&w));
                ck_assert_int_eq(switch_skip(&w)->why, SKIP_TAKEN_OVER);
        }
        ck_assert_uint_eq(w.state->n_owned, 0);
        world_done(&w);
}
END_TEST

START_TEST(a_change_on_record_that_was_never_made_is_made_now) {
        char *text = NULL, *error = NULL;
        World w;

        world_init(&w, TWO_NODES, BASE);
        w.snapshot->host.numa_balancing = 1;
        set_mode(&w, "off");
        world_decide(&w, NULL);
        ck_assert_int_eq(state_own(w.state, switch_action(&w)), 0);
        ck_assert_int_eq(state_format(w.state, &text), 0);
        w.state = state_free(w.state);
        ck_assert_int_eq(state_parse(text, &w.state, &error), 0);
        free(text);
        world_decide(&w, NULL);
        ck_assert_str_eq(switch_action(&w)->new_value, "0");
        world_done(&w);
}
END_TEST

START_TEST(it_is_given_back_at_the_end) {
        Plan *plan;
        World w;

        world_init(&w, TWO_NODES, BASE);
        w.snapshot->host.numa_balancing = 1;
        set_mode(&w, "off");
        world_decide(&w, NULL);
        carry_out(&w);
        ck_assert_int_eq(policy_restore(w.snapshot, w.state, &plan), 0);
        ck_assert_uint_eq(plan->n_actions, 1);
        ck_assert_int_eq(plan->actions[0].kind, ACTION_SET_KERNEL);
        ck_assert_str_eq(plan->actions[0].new_value, "1");
        plan_free(plan);
        world_done(&w);
}
END_TEST

/* ---- auto ---- */

typedef struct AutoRow {
        const char *name;
        uint64_t now;
        unsigned placed_percent, other_percent; /* of one CPU, what the guests want */
        unsigned placed_remote, other_remote;   /* percent of their memory that is on the second node */
        NumaFaults faults;
        KsmStatus ksm;
        bool changes;
} AutoRow;

static const AutoRow auto_rows[] = {
        { "all that is busy is placed and at hand", 1, 200, 0, 0, 0, { 0, 0, 0 }, { 0 }, true },
        { "nearly all", 1, 190, 10, 0, 50, { 0, 0, 0 }, { 0 }, true },
        { "not nearly all", 1, 180, 20, 0, 50, { 0, 0, 0 }, { 0 }, false },
        { "nobody is busy", 1, 2, 0, 0, 0, { 0, 0, 0 }, { 0 }, false },
        { "placed, and its memory elsewhere", 1, 2, 0, 10, 0, { 0, 0, 0 }, { 0 }, false },
        { "KSM is stuck", 1, 0, 200, 0, 50, { 0, 0, 0 },
          { .present = true, .run = 1, .full_scans = 3, .pages_volatile = 250000, .pages_unshared = 100 }, true },
        { "KSM has not caught up", 1, 0, 200, 0, 50, { 0, 0, 0 },
          { .present = true, .run = 1, .full_scans = 2, .pages_volatile = 250000 }, false },
        { "KSM merges", 1, 0, 200, 0, 50, { 0, 0, 0 },
          { .present = true, .run = 1, .full_scans = 9, .pages_volatile = 250000, .pages_sharing = 25001 }, false },
        { "KSM merges nothing, beside what is left of an earlier day", 1, 0, 200, 0, 50, { 0, 0, 0 },
          { .present = true, .run = 1, .full_scans = 9, .pages_volatile = 250000, .pages_sharing = 28 }, true },
        { "faults find all at hand and cost 2 %", 1, 0, 200, 0, 50, { 10000, 9600, 0 }, { 0 }, true },
        { "the same for half a percent", 1, 0, 200, 0, 50, { 2500, 2400, 0 }, { 0 }, false },
        { "faults find less at hand", 1, 0, 200, 0, 50, { 10000, 9400, 100 }, { 0 }, false },
        { "it chases the load", 1, 0, 200, 0, 50, { 10000, 6000, 5000 }, { 0 }, true },
        { "it brings memory home", 1, 0, 200, 0, 50, { 10000, 6000, 1000 }, { 0 }, false },
        { "a busy guest is spread, and nobody places it", 0, 100, 100, 0, 50, { 0, 0, 0 }, { 0 }, true },
        { "it is on one node", 0, 100, 100, 0, 10, { 0, 0, 0 }, { 0 }, false },
        { "it is idle", 0, 200, 4, 0, 50, { 0, 0, 0 }, { 0 }, false },
        { "KSM runs", 0, 100, 100, 0, 50, { 0, 0, 0 }, { .present = true, .run = 1 }, false },
        { "off where all is placed", 0, 200, 0, 0, 0, { 0, 0, 0 }, { 0 }, false },
};

static void add_guest(World *w, const char *name, unsigned percent, unsigned remote) {
        Guest *g = world_guest(w, name, 2, 4 * GIB);
        GuestMemo *m;

        guest_memory(g, 0, 4 * GIB / 100 * (100 - remote));
        if (remote > 0)
                guest_memory(g, 1, 4 * GIB / 100 * remote);
        guest_load(g, percent * 50, 0);
        ck_assert_int_eq(state_guest(w->state, g->uuid, &m), 0);
        if (startswith(name, "placed")) {
                world_place(w, m, set_of("0"));
                m->placed_usec = 1;
        }
}

static void next(World *w) {
        w->snapshot->now_usec += CYCLE_USEC;
        world_decide(w, NULL);
}

START_TEST(auto_goes_by_what_is_measured_for_five_minutes) {
        const AutoRow *row = &auto_rows[_i];
        char want[2] = { row->now ? '0' : '1', 0 };
        World w;

        world_init(&w, TWO_NODES, AUTO);
        add_guest(&w, "placed", row->placed_percent, row->placed_remote);
        add_guest(&w, "other", row->other_percent, row->other_remote);
        w.snapshot->host.numa_balancing = row->now;
        w.snapshot->host.numa_faults = row->faults;
        w.snapshot->host.ksm = row->ksm;
        for (uint64_t t = 0; t < 5 * USEC_PER_MINUTE; t += CYCLE_USEC) {
                next(&w);
                ck_assert_ptr_null(switch_action(&w));
        }
        next(&w);
        ck_assert_int_eq(switch_action(&w) != NULL, row->changes);
        if (row->changes)
                ck_assert_str_eq(switch_action(&w)->new_value, want);
        world_done(&w);
}
END_TEST

static const struct { uint64_t release; bool changes; } release_rows[] = {
        { UNKNOWN_U64, true },          { KERNEL_RELEASE(5, 14), true }, { KERNEL_RELEASE(6, 1), true },
        { KERNEL_RELEASE(6, 4), true }, { KERNEL_RELEASE(6, 5), false }, { KERNEL_RELEASE(7, 0), false },
};

/* Vendors have changed what older kernels hide from KSM; from 6.5 on it is not balancing that keeps it from merging. */
START_TEST(a_stuck_scanner_is_no_reason_where_balancing_hides_nothing) {
        World w;

        world_init(&w, TWO_NODES, AUTO);
        add_guest(&w, "other", 200, 50);
        w.snapshot->host.numa_balancing = 1;
        w.snapshot->host.numa_faults = (NumaFaults){ 0, 0, 0 };
        w.snapshot->host.kernel_release = release_rows[_i].release;
        w.snapshot->host.ksm = (KsmStatus){ .present = true, .run = 1, .full_scans = 3, .pages_volatile = 250000 };
        for (uint64_t t = 0; t <= 5 * USEC_PER_MINUTE; t += CYCLE_USEC)
                next(&w);
        ck_assert_int_eq(switch_action(&w) != NULL, release_rows[_i].changes);
        world_done(&w);
}
END_TEST

START_TEST(auto_begins_anew_when_the_wish_is_interrupted) {
        Guest *other;
        World w;

        world_init(&w, TWO_NODES, AUTO);
        add_guest(&w, "placed", 200, 0);
        add_guest(&w, "other", 0, 0);
        other = w.snapshot->guests[1];
        w.snapshot->host.numa_balancing = 1;
        for (int i = 0; i < 25; i++)
                next(&w);
        guest_load(other, 10000, 0);
        for (int i = 0; i < 6; i++)
                next(&w);
        guest_load(other, 0, 0);
        for (int i = 0; i < 25; i++) {
                next(&w);
                ck_assert_ptr_null(switch_action(&w));
        }
        world_done(&w);
}
END_TEST

START_TEST(auto_does_not_go_to_and_fro) {
        unsigned changes = 0;
        World w;

        /* The faults say that nothing is remote, the spread memory says that something is. */
        world_init(&w, TWO_NODES, AUTO);
        add_guest(&w, "other", 200, 50);
        w.snapshot->host.numa_balancing = 1;
        for (uint64_t t = 0; t < 6 * USEC_PER_HOUR; t += CYCLE_USEC) {
                w.snapshot->host.numa_faults = w.snapshot->host.numa_balancing ? (NumaFaults){ 10000, 10000, 0 }
                                                                               : (NumaFaults){ 0, 0, 0 };
                next(&w);
                changes += switch_action(&w) != NULL;
                carry_out(&w);
        }
        ck_assert_uint_ge(changes, 2);
        ck_assert_uint_le(changes, 6);
        world_done(&w);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("policy_kernel");
        TCase *tc = tcase_create("policy_kernel");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 120);
        tcase_add_loop_test(tc, each_mode_wants_what_it_says, 0, (int)ELEMENTSOF(mode_rows));
        tcase_add_test(tc, keep_gives_back_what_another_mode_changed);
        tcase_add_test(tc, what_somebody_else_changed_is_theirs);
        tcase_add_test(tc, a_change_on_record_that_was_never_made_is_made_now);
        tcase_add_test(tc, it_is_given_back_at_the_end);
        tcase_add_loop_test(tc, auto_goes_by_what_is_measured_for_five_minutes, 0, (int)ELEMENTSOF(auto_rows));
        tcase_add_loop_test(tc, a_stuck_scanner_is_no_reason_where_balancing_hides_nothing, 0,
                            (int)ELEMENTSOF(release_rows));
        tcase_add_test(tc, auto_begins_anew_when_the_wish_is_interrupted);
        tcase_add_test(tc, auto_does_not_go_to_and_fro);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
