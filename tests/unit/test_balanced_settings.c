/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * On each of the captured machines: what is as a setting wants it stays, for every
 * value of every setting that has names for its values. First kvmtuned brings it
 * there itself, which must come to an end; then the same host is met by a kvmtuned
 * that has never been there, and has nothing to do at all.
 */

#include <stdio.h>

#include "balanced_util.h"
#include "instances.h"

#define CYCLES_MAX 20U

/* What a setting needs beside it, in its group or in others, to have an effect. */
static const struct {
        Key key;
        const char *with, *other;
} company[] = {
        { KEY_CPU_THREADS, "policy = \"dedicated\"; ", "" },
        { KEY_CPU_EMULATOR, "policy = \"dedicated\"; ", "" },
        { KEY_CPU_IOTHREADS, "policy = \"dedicated\"; ", "" },
        { KEY_NUMA_POLICY, "", "cpu: { policy = \"shared\"; }; " },
        { KEY_NUMA_MEMORY, "", "cpu: { policy = \"shared\"; }; " },
        { KEY_NUMA_MEMORY_ONLY, "", "cpu: { policy = \"shared\"; }; " },
        { KEY_KSM_WHEN_STOPPED, "mode = \"off\"; ", "" },
        { KEY_KSM_MERGE_ACROSS_NODES, "mode = \"on\"; ", "" },
        { KEY_KSM_EXPOSED, "mode = \"on\"; ", "" },
        { KEY_BALLOON_MODE, "target = \"75 %\"; ", "" },
        { KEY_HUGEPAGES_MODE, "size = \"2 MiB\"; target = \"64 MiB\"; ", "" },
        { KEY_VCPUS_MODE, "count = 1; ", "" },
};

/* Settings whose values are amounts. */
static const char *const amounts[] = {
        "memtune: { hard_limit = \"6 GiB\"; swap_hard_limit = \"8 GiB\"; soft_limit = \"5 GiB\"; };",
        "memtune: { hard_limit = \"auto\"; };",
        "thp: { pages_to_scan = 8192; scan_sleep = \"1 s\"; max_ptes_none = 0; };",
        "ksm: { mode = \"on\"; pages_to_scan = 1000; sleep = \"10 ms\"; };",
        "balloon: { mode = \"target\"; target = \"100 %\"; };",
        "hugepages: { mode = \"fixed\"; size = \"2 MiB\"; target = \"1 %\"; };",
};

/* ---- what becomes of an action ---- */

static void set_thp(ThpStatus *thp, unsigned knob, const char *value) {
        uint32_t number = (uint32_t)strtoul(value, NULL, 10);

        if (knob == THP_KNOB_ENABLED)
                (void)snprintf(thp->enabled, sizeof(thp->enabled), "%s", value);
        else if (knob == THP_KNOB_DEFRAG)
                (void)snprintf(thp->defrag, sizeof(thp->defrag), "%s", value);
        else if (knob == THP_KNOB_PAGES_TO_SCAN)
                thp->khugepaged_pages_to_scan = number;
        else if (knob == THP_KNOB_SCAN_SLEEP_MILLISECS)
                thp->khugepaged_scan_sleep_millisecs = number;
        else
                thp->khugepaged_max_ptes_none = number;
}

static void set_pool(World *w, unsigned index, uint64_t pages) {
        Host *h = &w->snapshot->host;

        for (size_t i = 0; i < h->n_nodes; i++)
                if (h->nodes[i].id == pool_node(index))
                        h->nodes[i].pools[0].total_pages = h->nodes[i].pools[0].free_pages = pages;
        policy_pool_started(w->state, index);
        policy_pool_ended(w->state, index, w->snapshot->now_usec, pages, pages);
}

static void set_vcpus(Guest *g, unsigned online) {
        for (unsigned i = 0; i < g->n_vcpus; i++)
                g->vcpus[i].online = i < online;
}

static void carry_out(World *w, const Action *a) {
        Host *h = &w->snapshot->host;
        Guest *g = snapshot_find_guest(w->snapshot, a->uuid);
        uint64_t number = strtoull(a->new_value, NULL, 10);

        /* Where its node is too small for CPUs of its own. */
        if (a->kind == ACTION_MOVE_MEMORY)
                return world_move(w, g, a->new_value);
        ck_assert_int_eq(state_own(w->state, a), 0);
        switch (a->kind) {
        case ACTION_SET_KSM:
                return policy_ksm_note(&h->ksm, (KsmKnob)a->index, a->new_value);
        case ACTION_SET_KERNEL:
                h->numa_balancing = number;
                return;
        case ACTION_SET_THP:
                return set_thp(&h->thp, a->index, a->new_value);
        case ACTION_SET_HUGEPAGES:
                return set_pool(w, a->index, number);
        case ACTION_SET_MEMTUNE:
                return policy_memtune_note(g, (MemtuneKnob)a->index, a->new_value);
        case ACTION_SET_VCPUS:
                return set_vcpus(g, (unsigned)number);
        case ACTION_SET_BALLOON:
                g->current_bytes = number;
                return;
        case ACTION_SET_STATS_PERIOD:
                g->stats_period_sec = (unsigned)number;
                return;
        default:
                ck_assert_msg(is_pin(a), "%s: %s", action_kind_to_string(a->kind), a->reason);
                thread_pin(w, world_thread(g, a->kind, a->index), a->new_value);
        }
}

/* ---- settings ---- */

static void assert_nothing_to_do(World *w, const char *text, const char *who) {
        char *plan = NULL;

        world_decide(w, NULL);
        if (w->plan->n_actions == 0)
                return;
        (void)plan_format(w->plan, false, &plan);
        ck_abort_msg("%s, %s:\n%s", text, who, plan ?: "");
}

static void forget_everything(World *w) {
        w->state = state_free(w->state);
        ck_assert_int_eq(state_new(&w->state), 0);
}

static void clear(World *w) {
        Host *h = &w->snapshot->host;

        while (w->snapshot->n_guests > 0)
                (void)snapshot_remove_guest(w->snapshot, w->snapshot->guests[0]->uuid);
        free(h->cpus);
        h->cpus = NULL;
        for (size_t i = 0; i < h->n_nodes; i++) {
                free(h->nodes[i].pools);
                h->nodes[i].pools = NULL;
        }
        forget_everything(w);
}

/* No guest lacks CPUs of its own: who has them depends on who came first. */
static bool is_satisfied(const World *w) {
        for (size_t i = 0; i < w->plan->n_skips; i++)
                if (w->plan->skips[i].why == SKIP_NO_CAPACITY)
                        return false;
        return true;
}

static void check(World *w, const char *text) {
        unsigned cycle = 0;

        world_configure(w, text);
        set_host(w);
        fill(w);
        do {
                ck_assert_msg(cycle++ < CYCLES_MAX, "%s: no end", text);
                world_decide(w, NULL);
                for (size_t i = 0; i < w->plan->n_actions; i++)
                        carry_out(w, &w->plan->actions[i]);
                w->snapshot->now_usec += w->snapshot->interval_usec;
        } while (w->plan->n_actions > 0);
        w->snapshot->now_usec += USEC_PER_HOUR;
        assert_nothing_to_do(w, text, "an hour later");
        if (is_satisfied(w)) {
                forget_everything(w);
                assert_nothing_to_do(w, text, "as a stranger");
        }
        clear(w);
}

static void check_value(World *w, Key key, const char *value) {
        const char *with = "", *other = "";
        char text[320];

        for (size_t i = 0; i < ELEMENTSOF(company); i++)
                if (company[i].key == key) {
                        with = company[i].with;
                        other = company[i].other;
                }
        (void)snprintf(text, sizeof(text), "%s%s: { %s%s = \"%s\"; };", other, config_keys[key].group, with,
                       config_keys[key].name, value);
        check(w, text);
}

START_TEST(what_is_as_a_setting_wants_it_stays) {
        unsigned n = 0;
        World w;

        world_init_machine(&w, _i * ONE_INSTANCE_OF, "");
        for (Key key = 0; key < _KEY_MAX; key++)
                for (size_t i = 0; config_keys[key].scope != SCOPE_DAEMON && config_keys[key].choices &&
                                   config_keys[key].choices[i]; i++, n++)
                        check_value(&w, key, config_keys[key].choices[i]);
        for (size_t i = 0; i < ELEMENTSOF(amounts); i++)
                check(&w, amounts[i]);
        ck_assert_uint_gt(n, 50);
        world_done(&w);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("balanced_settings");
        TCase *tc = tcase_create("balanced_settings");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 60);
        tcase_add_loop_test(tc, what_is_as_a_setting_wants_it_stays, 0, N_MACHINES / ONE_INSTANCE_OF);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
