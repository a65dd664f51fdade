/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SIGKILL before each single thing that the daemon does to the outside, one after
 * the other: while it acts for the first time with every lever there is, and while
 * it puts everything back. What was changed by then is on record, with what it was
 * before; the next run owns exactly what is changed, and --restore leaves the host
 * as it was found.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>

#include "host.h"

#define KILLED (256 + SIGKILL)

static const char *value_of(const Knobs *knobs, const Owned *o) {
        for (size_t i = 0; i < knobs->n; i++) {
                const Knob *k = &knobs->knobs[i];

                if (k->kind == o->kind && k->index == o->index && streq(k->uuid, o->uuid))
                        return k->value;
        }
        return "not a knob";
}

/*
 * Of what a guest has yet to do, nobody knows whether it was asked: it stays on record until it is clear. So does
 * memory that was given back a moment ago.
 */
static bool is_open(const State *s, const Owned *o) {
        const GuestMemo *memo = state_find_guest(s, o->uuid);

        if (o->kind == ACTION_SET_VCPUS)
                return memo && memo->vcpus_target != 0;
        return o->kind == ACTION_SET_BALLOON &&
               ((memo && memo->balloon_target_bytes != 0) || streq(o->ours, o->original));
}

/* Every knob that is not what it was is on record, and each record has what was before. @exact: nothing else is. */
static void check_record(TestHost *h, const Knobs *before, bool exact, const char *when) {
        _cleanup_(state_freep) State *s = host_state(h);
        _cleanup_(knobs_done) Knobs now;
        size_t n_owned = s ? s->n_owned : 0;

        host_knobs(h, &now);
        for (size_t i = 0; i < now.n; i++) {
                const Knob *k = &now.knobs[i];

                if (streq(k->value, before->knobs[i].value))
                        continue;
                ck_assert_msg(s && state_find_owned(s, k->kind, k->uuid, k->index), "%s: %s %u is %s and not on record",
                              when, action_kind_to_string(k->kind), k->index, k->value);
        }
        for (size_t i = 0; exact && i < n_owned; i++)
                ck_assert_msg(is_open(s, &s->owned[i]) || !streq(value_of(&now, &s->owned[i]), s->owned[i].original),
                              "%s: %s %u is %s and on record\n%s", when, action_kind_to_string(s->owned[i].kind),
                              s->owned[i].index, s->owned[i].original, host_log_end(h));
        for (size_t i = 0; i < n_owned; i++)
                ck_assert_msg(streq(s->owned[i].original, value_of(before, &s->owned[i])),
                              "%s: %s %u on record was %s, not %s", when, action_kind_to_string(s->owned[i].kind),
                              s->owned[i].index, value_of(before, &s->owned[i]), s->owned[i].original);
}

static void check_restored(TestHost *h, const Knobs *before, const char *when) {
        _cleanup_(state_freep) State *s = host_state(h);
        _cleanup_(knobs_done) Knobs now;

        host_knobs(h, &now);
        ck_assert_msg(streq(knobs_difference(before, &now), ""), "%s: not put back: %s\n%s", when,
                      knobs_difference(before, &now), host_log_end(h));
        ck_assert_msg(!s, "%s: %zu on record still", when, s ? s->n_owned : 0);
}

static void run_well(TestHost *h, const char *mode, const char *when) {
        int status;

        host_calm(h);
        status = host_run(h, mode);
        ck_assert_msg(status == 0, "%s: %s ends with %d\n%s", when, mode, status, host_log_end(h));
}

static void start_anew(TestHost *h, Knobs *before) {
        host_init(h);
        host_knobs(h, before);
}

/* Sent to the kernel or libvirt, and on record: one of each kind. */
START_TEST(every_lever_is_in_the_scene) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before, after;

        start_anew(&h, &before);
        run_well(&h, "--once", "acting");
        host_knobs(&h, &after);
        for (ActionKind kind = 0; kind < _ACTION_KIND_MAX; kind++) {
                /* Both take a guest that has been seen at work. */
                bool changed = kind == ACTION_MOVE_MEMORY || kind == ACTION_SET_NODESET;

                for (size_t i = 0; i < before.n; i++)
                        changed = changed || (before.knobs[i].kind == kind &&
                                              !streq(before.knobs[i].value, after.knobs[i].value));
                ck_assert_msg(changed, "nothing is done with %s\n%s", action_kind_to_string(kind), host_log_end(&h));
        }
        check_record(&h, &before, true, "after acting");
        run_well(&h, "--restore", "restoring");
        check_restored(&h, &before, "after restoring");
}
END_TEST

/*
 * How far it comes until step @n of @mode. False: it was done before. The order of
 * the steps is not always the same, as two threads take them.
 */
static bool kill_at(TestHost *h, const char *mode, unsigned n, char when[static 160]) {
        int status;

        host_calm(h);
        h->world->kill_at = n;
        status = host_run(h, mode);
        (void)snprintf(when, 160, "killed before step %u, %s", n, h->world->effects[n - 1]);
        ck_assert_msg(status == KILLED || (status == 0 && h->world->n_effects < n), "%s: ends with %d\n%s", when, status,
                      host_log_end(h));
        return status == KILLED;
}

/* Kills @mode before step @n; the rest is for a policy that goes on, or at once for --restore. False: there is none. */
static bool survives(const char *mode, unsigned n) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        char when[160];

        start_anew(&h, &before);
        if (!streq(mode, "--once"))
                run_well(&h, "--once", "acting");
        if (!kill_at(&h, mode, n, when))
                return false;
        check_record(&h, &before, false, when);
        if (n % 2 == 0) {
                run_well(&h, "--once", when);
                check_record(&h, &before, true, when);
        }
        run_well(&h, "--restore", when);
        check_restored(&h, &before, when);
        return true;
}

START_TEST(killed_before_each_step_of_acting) {
        unsigned n = 1;

        while (survives("--once", n))
                n++;
        ck_assert_uint_gt(n, 45);
}
END_TEST

START_TEST(killed_before_each_step_of_putting_back) {
        unsigned n = 1;

        while (survives("--restore", n))
                n++;
        ck_assert_uint_gt(n, 35);
}
END_TEST

int main(void) {
        Suite *s = suite_create("kill");
        TCase *tc = tcase_create("kill");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 240);
        tcase_add_test(tc, every_lever_is_in_the_scene);
        tcase_add_test(tc, killed_before_each_step_of_acting);
        tcase_add_test(tc, killed_before_each_step_of_putting_back);
        suite_add_tcase(s, tc);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed > 0;
}
