/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest is or has, and which actions that rules out: every obstacle, one at a time. */
#include "../../lib/policy_eligible.h"

#include <check.h>

#define NONE _SKIP_REASON_MAX

static void nothing(Guest *g _unused_) {
}
static void paused(Guest *g) {
        g->state = GUEST_PAUSED;
}
static void suspended(Guest *g) {
        g->state = GUEST_PMSUSPENDED;
}
static void crashed(Guest *g) {
        g->state = GUEST_CRASHED;
}
static void shutting_down(Guest *g) {
        g->state = GUEST_SHUTDOWN;
}
static void migrating(Guest *g) {
        g->migrating = true;
}
static void unreachable(Guest *g) {
        g->unreachable = true;
}
static void locked(Guest *g) {
        g->locked = true;
}
static void vfio(Guest *g) {
        g->vfio = true;
}
static void hugepages(Guest *g) {
        g->hugepages = true;
}
/* Pages of shmem and memfd move like others; only those that another process maps, too, stay. */
static void shared_memory(Guest *g) {
        g->shared_memory = true;
}
/* Is about KSM only. */
static void nosharepages(Guest *g) {
        g->nosharepages = true;
}
static void no_balloon(Guest *g) {
        g->balloon_device = false;
}
static void strict(Guest *g) {
        g->numatune_mode = NUMATUNE_STRICT;
        g->numatune_nodes = idset_of(0);
}
static void strict_auto(Guest *g) {
        g->numatune_mode = NUMATUNE_STRICT;
        g->numatune_placement_auto = true;
}
/* With memnode only; the default of the rest binds nothing. */
static void strict_without_nodes(Guest *g) {
        g->numatune_mode = NUMATUNE_STRICT;
}
static void restrictive(Guest *g) {
        g->numatune_mode = NUMATUNE_RESTRICTIVE;
        g->numatune_nodes = idset_of(0);
}
static void restrictive_auto(Guest *g) {
        g->numatune_mode = NUMATUNE_RESTRICTIVE;
        g->numatune_placement_auto = true;
        g->advised_nodes = idset_of(0);
}
static void restrictive_unknown(Guest *g) {
        g->numatune_mode = NUMATUNE_RESTRICTIVE;
        g->numatune_placement_auto = true;
}
static void preferred(Guest *g) {
        g->numatune_mode = NUMATUNE_PREFERRED;
        g->numatune_nodes = idset_of(0);
}
static void migrating_and_locked(Guest *g) {
        g->migrating = g->locked = true;
}

static const struct {
        const char *name;
        void (*make)(Guest *g);
        SkipReason pin, move, nodeset, balloon;
} rows[] = {
        { "nothing special", nothing, NONE, NONE, SKIP_USER_NUMATUNE, NONE },
        { "paused", paused, NONE, SKIP_NOT_RUNNING, SKIP_USER_NUMATUNE, SKIP_NOT_RUNNING },
        { "suspended by itself", suspended, NONE, SKIP_NOT_RUNNING, SKIP_USER_NUMATUNE, SKIP_NOT_RUNNING },
        { "crashed", crashed, SKIP_NOT_RUNNING, SKIP_NOT_RUNNING, SKIP_NOT_RUNNING, SKIP_NOT_RUNNING },
        { "shutting down", shutting_down, SKIP_NOT_RUNNING, SKIP_NOT_RUNNING, SKIP_NOT_RUNNING, SKIP_NOT_RUNNING },
        { "migrating", migrating, SKIP_MIGRATING, SKIP_MIGRATING, SKIP_MIGRATING, SKIP_MIGRATING },
        { "does not answer", unreachable, SKIP_UNREACHABLE, SKIP_UNREACHABLE, SKIP_UNREACHABLE, SKIP_UNREACHABLE },
        { "locked memory", locked, NONE, SKIP_LOCKED, SKIP_USER_NUMATUNE, SKIP_LOCKED },
        { "VFIO device", vfio, NONE, SKIP_VFIO, SKIP_USER_NUMATUNE, SKIP_VFIO },
        { "huge pages", hugepages, NONE, NONE, SKIP_USER_NUMATUNE, SKIP_HUGEPAGES },
        { "shared memory", shared_memory, NONE, NONE, SKIP_USER_NUMATUNE, NONE },
        { "nosharepages", nosharepages, NONE, NONE, SKIP_USER_NUMATUNE, NONE },
        { "no balloon device", no_balloon, NONE, NONE, SKIP_USER_NUMATUNE, SKIP_NO_BALLOON },
        { "numatune strict", strict, NONE, SKIP_USER_NUMATUNE, SKIP_USER_NUMATUNE, NONE },
        { "numatune strict, placement auto", strict_auto, NONE, SKIP_USER_NUMATUNE, SKIP_USER_NUMATUNE, NONE },
        { "numatune strict without nodes", strict_without_nodes, NONE, NONE, SKIP_USER_NUMATUNE, NONE },
        { "numatune restrictive", restrictive, NONE, NONE, NONE, NONE },
        { "numatune restrictive, placement auto", restrictive_auto, NONE, NONE, NONE, NONE },
        { "numatune restrictive, to what is not known", restrictive_unknown, NONE, SKIP_USER_NUMATUNE, NONE, NONE },
        { "numatune preferred", preferred, NONE, NONE, SKIP_USER_NUMATUNE, NONE },
        { "what passes is named first", migrating_and_locked, SKIP_MIGRATING, SKIP_MIGRATING, SKIP_MIGRATING,
          SKIP_MIGRATING },
};

static void assert_reason(const char *name, const Guest *g, ActionKind kind, SkipReason want) {
        const char *detail = NULL;
        SkipReason why = NONE;
        bool eligible;

        eligible = policy_eligible(g, kind, &why, &detail);
        ck_assert_msg(eligible == (want == NONE) && why == want, "%s: %s is %s", name, action_kind_to_string(kind),
                      why == NONE ? "possible" : skip_reason_to_string(why));
        ck_assert_msg(eligible || (detail && *detail), "%s: no sentence", name);
}

START_TEST(each_obstacle_rules_out_what_it_should_and_no_more) {
        _cleanup_(guest_freep) Guest *g = NULL;

        ck_assert_int_eq(guest_new("g", NULL, &g), 0);
        g->balloon_device = true;
        rows[_i].make(g);
        assert_reason(rows[_i].name, g, ACTION_PIN_VCPU, rows[_i].pin);
        assert_reason(rows[_i].name, g, ACTION_PIN_EMULATOR, rows[_i].pin);
        assert_reason(rows[_i].name, g, ACTION_PIN_IOTHREAD, rows[_i].pin);
        assert_reason(rows[_i].name, g, ACTION_MOVE_MEMORY, rows[_i].move);
        assert_reason(rows[_i].name, g, ACTION_SET_NODESET, rows[_i].nodeset);
        assert_reason(rows[_i].name, g, ACTION_SET_BALLOON, rows[_i].balloon);
}
END_TEST

int main(void) {
        Suite *s = suite_create("eligible");
        TCase *tc = tcase_create("eligible");
        SRunner *runner;
        int failed;

        tcase_add_loop_test(tc, each_obstacle_rules_out_what_it_should_and_no_more, 0, (int)ELEMENTSOF(rows));
        suite_add_tcase(s, tc);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed > 0;
}
