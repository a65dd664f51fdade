/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A call to libvirt is sent and hangs, one of each kind, and the daemon is killed
 * or gives it up. libvirt knows nothing of that: it makes the call later, or never
 * does. What was intended is on record before it is sent; the next run looks at
 * what became of it, and in the end everything is as it was found. `make faults`
 * runs every kind at every moment.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>

#include "host.h"

#define KILLED (256 + SIGKILL)
/* As fast as lets a machine that is busy make some cycles in a minute. */
#define SLOW 5U
/* So long a call may be under way that nobody waits for any more, and some more: of the daemon's time. */
#define OPEN_USEC (65 * USEC_PER_SEC / HOST_SPEED)

static const struct { const char *name, *guest; } kinds[_WORLD_CALL_KIND_MAX] = {
        [WORLD_PIN_VCPU] = { "a vCPU's pin", "web" },
        [WORLD_PIN_EMULATOR] = { "the emulator's pin", "web" },
        [WORLD_PIN_IOTHREAD] = { "an I/O thread's pin", "web" },
        [WORLD_SET_MEMORY] = { "a balloon", "web" },
        [WORLD_SET_STATS_PERIOD] = { "a statistics period", "db" },
        [WORLD_SET_VCPUS] = { "vCPUs", "web" },
        [WORLD_SET_NODESET] = { "a nodeset", "web" },
        [WORLD_SET_LIMIT] = { "a memory limit", "web" },
};

/* Of web, memory is due to follow it, its nodeset first. */
static WorldGuest *begin(TestHost *h, Knobs *ret_before, int kind) {
        WorldGuest *g;

        host_init(h);
        host_move_due(h, host_guest(h, "web"));
        host_knobs(h, ret_before);
        g = host_guest(h, kinds[kind].guest);
        g->calls_wait = 1U << kind;
        return g;
}

static void start(TestHost *h) {
        host_calm(h);
        (void)host_fail(h, "read proc/meminfo", 0, 0, 0);
        host_start(h, NULL);
}

/* ---- killed while it hangs ---- */

/* With clocks as they are: those of the next run begin there again. */
static WorldGuest *kill_at_call(TestHost *h, Knobs *ret_before, int kind) {
        WorldGuest *g = begin(h, ret_before, kind);

        h->world->speed = 1;
        host_start(h, "--once");
        HOST_UNTIL(h, world_calls_wait(g) > 0 || !host_alive(h));
        ck_assert_msg(world_calls_wait(g) > 0, "%s is never asked for\n%s", kinds[kind].name, host_log_end(h));
        ck_assert_int_eq(host_stop(h, SIGKILL), KILLED);
        h->world->speed = HOST_SPEED;
        host_check_record(h, ret_before, false, kinds[kind].name);
        return g;
}

static void it_comes_to_be_at_once(TestHost *h, WorldGuest *g) {
        (void)h;
        g->calls_wait = 0;
        host_calls_end(g, 1);
}

static void it_never_comes_to_be(TestHost *h, WorldGuest *g) {
        (void)h;
        g->calls_wait = 0;
        host_calls_end(g, 0);
}

/* What is to put it back waits behind it, and gives up. */
static void restoring_hangs_too(TestHost *h, WorldGuest *g) {
        ck_assert_int_eq(host_run(h, "--restore"), 1);
        g->calls_wait = 0;
        host_calls_end(g, 1);
}

/* The same, and libvirt makes the later one first. Nobody waits for a deadline: time runs as it does. */
static void restoring_is_overtaken(TestHost *h, WorldGuest *g) {
        h->world->speed = 1;
        host_start(h, "--restore");
        HOST_UNTIL(h, world_calls_wait(g) == 2);
        __atomic_store_n(&g->waiting[1].goes, true, __ATOMIC_RELEASE);
        HOST_UNTIL(h, world_calls_wait(g) == 2 && !g->waiting[1].waits);
        world_make(g, &g->waiting[0]);
        g->waiting[0].waits = false;
        g->calls_wait = 0;
        ck_assert_int_eq(host_wait(h), 0);
        h->world->speed = HOST_SPEED;
        ck_assert_ptr_null(host_state(h));
}

/* It goes on while libvirt makes it: first what the one before has asked for, then its own. */
static void run_until_it_is_made(TestHost *h, WorldGuest *g, const char *policy) {
        h->world->speed = SLOW;
        host_policy(h, policy);
        start(h);
        daemon_pass_cycles(h, 3);
        for (unsigned i = 0; i < WORLD_WAITING_MAX; i++)
                if (g->waiting[i].waits) {
                        world_make(g, &g->waiting[i]);
                        g->waiting[i].waits = false;
                        break;
                }
        g->calls_wait = 0;
        daemon_pass_cycles(h, 5);
        ck_assert_int_eq(host_stop(h, SIGTERM), 0);
        h->world->speed = HOST_SPEED;
}

static void the_next_wants_it(TestHost *h, WorldGuest *g) {
        run_until_it_is_made(h, g, host_all_levers);
}

static void the_next_does_not(TestHost *h, WorldGuest *g) {
        run_until_it_is_made(h, g, "");
}

static const struct {
        const char *name;
        void (*go_on)(TestHost *h, WorldGuest *g);
} moments[] = {
        { "it comes to be at once", it_comes_to_be_at_once },
        { "it never comes to be", it_never_comes_to_be },
        { "putting back hangs, too", restoring_hangs_too },
        { "putting back is overtaken", restoring_is_overtaken },
        { "it comes to be while the next run wants it", the_next_wants_it },
        { "it comes to be while the next run does not want it", the_next_does_not },
};

/* Each kind at each moment; or each of both at least once, when it has to be short. */
static bool is_its_turn(size_t kind, size_t moment) {
        return getenv("FAULTS_ALLOCATIONS") || (kind + 1) % ELEMENTSOF(moments) == moment;
}

START_TEST(killed_while_a_call_hangs) {
        int kind = _i / (int)ELEMENTSOF(moments);
        size_t moment = (size_t)_i % ELEMENTSOF(moments);
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        WorldGuest *g = kill_at_call(&h, &before, kind);
        char when[120];

        (void)snprintf(when, sizeof(when), "%s: %s", kinds[kind].name, moments[moment].name);
        moments[moment].go_on(&h, g);
        host_check_record(&h, &before, false, when);
        host_run_well(&h, "--restore", when);
        host_check_restored(&h, &before, when);
}
END_TEST

/* Of a clock that runs no faster than it does between two runs, the record is made older. */
static void let_record_age(TestHost *h) {
        _cleanup_(state_freep) State *s = host_state(h);
        char path[128];

        ck_assert_ptr_nonnull(s);
        for (size_t i = 0; i < s->n_guests; i++)
                s->guests[i].calls_open_usec = MIN(s->guests[i].calls_open_usec, UINT64_C(1));
        (void)snprintf(path, sizeof(path), "%s/state/state", h->dir);
        ck_assert_int_eq(state_save(s, path), 0);
}

/* Nobody knows what libvirt may yet do: it is theirs when that is over. */
START_TEST(somebody_else_was_there_after_the_kill) {
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        WorldGuest *g = kill_at_call(&h, &before, WORLD_PIN_VCPU);

        it_never_comes_to_be(&h, g);
        g->vcpu_pins[0] = 1U << 7;
        ck_assert_int_eq(host_run(&h, "--restore"), 1);
        ck_assert(host_log_has(&h, "libvirt may yet make it"));
        let_record_age(&h);
        host_run_well(&h, "--restore", "somebody else's");
        ck_assert_uint_eq(g->vcpu_pins[0], 1U << 7);
        g->vcpu_pins[0] = 0;
        host_check_restored(&h, &before, "somebody else's");
}
END_TEST

/* ---- given up, and made much later ---- */

/* _i: each kind; then each again, with a policy that asks for nothing any more meanwhile. */
START_TEST(a_call_is_made_long_after_it_was_given_up) {
        int kind = _i % _WORLD_CALL_KIND_MAX;
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        WorldGuest *g = begin(&h, &before, kind);

        start(&h);
        HOST_UNTIL(&h, world_calls_wait(g) > 0);
        HOST_UNTIL(&h, host_log_has(&h, "does not answer libvirt"));
        if (_i >= _WORLD_CALL_KIND_MAX) {
                host_policy(&h, "");
                ck_assert_int_eq(kill(h.daemon, SIGHUP), 0);
        }
        (void)usleep(OPEN_USEC);
        daemon_pass_cycles(&h, 2);
        g->calls_wait = 0;
        HOST_UNTIL(&h, host_log_has(&h, "answers again"));
        daemon_pass_cycles(&h, 5);
        host_check_record(&h, &before, false, kinds[kind].name);
        daemon_stop(&h, &before, kinds[kind].name);
}
END_TEST

/* Each can be run alone: CK_RUN_CASE=killed_while_a_call_hangs. */
static TCase *add_case(Suite *s, const char *name) {
        TCase *tc = tcase_create(name);

        tcase_set_timeout(tc, 120);
        suite_add_tcase(s, tc);
        return tc;
}

int main(void) {
        bool full = getenv("FAULTS_ALLOCATIONS");
        Suite *s = suite_create("late");
        SRunner *runner;
        int failed;
        TCase *tc;

        tc = add_case(s, "killed_while_a_call_hangs");
        for (size_t i = 0; i < _WORLD_CALL_KIND_MAX * ELEMENTSOF(moments); i++)
                if (is_its_turn(i / ELEMENTSOF(moments), i % ELEMENTSOF(moments)))
                        tcase_add_loop_test(tc, killed_while_a_call_hangs, (int)i, (int)i + 1);
        tc = add_case(s, "somebody_else_was_there_after_the_kill");
        tcase_add_test(tc, somebody_else_was_there_after_the_kill);
        tc = add_case(s, "a_call_is_made_long_after_it_was_given_up");
        for (int i = 0; i < 2 * _WORLD_CALL_KIND_MAX; i++)
                if (full || i == WORLD_SET_VCPUS)
                        tcase_add_loop_test(tc, a_call_is_made_long_after_it_was_given_up, i, i + 1);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed > 0;
}
