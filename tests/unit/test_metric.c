/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "../../lib/rules.h"

#include <check.h>

#define UNTOUCHED 4711U

static Guest make_guest(GuestState state, GuestThread *vcpus, size_t n_vcpus) {
        return (Guest){ .state = state, .vcpus = vcpus, .n_vcpus = n_vcpus };
}

/* Two vCPUs online: busy 60 % and 20 %, waiting 5 % and 1 %; 6 of 8 GiB current, 5 resident, 3 usable. */
static void make_known(Guest *g, GuestThread *vcpus) {
        vcpus[0].busy_permyriad = 6000;
        vcpus[0].wait_permyriad = 500;
        vcpus[1].busy_permyriad = 2000;
        vcpus[1].wait_permyriad = 100;
        vcpus[2].busy_permyriad = vcpus[2].wait_permyriad = 9999; /* not online */
        g->max_bytes = 8 * GIB;
        g->current_bytes = 6 * GIB;
        g->rss_bytes = 5 * GIB;
        g->psi_memory = (Psi){ .some_permyriad = 51, .full_permyriad = 52 };
        g->stats = (BalloonStats){ .usable_bytes = 3 * GIB, .swap_in_bytes = 71, .major_faults = 72,
                                   .age_usec = USEC_PER_MINUTE };
}

static Topology *make_topology(void) {
        Topology *t;

        ck_assert_int_eq(topology_load_synthetic("numa:2 pu:2", &t), 0);
        return t;
}

/*
 * A host with everything known: 64 GiB, 16 of them available, 8 free; 4 GiB of swap, 1 used; two running
 * guests with three online vCPUs of five, a paused and a crashed one; node 0 with 1 of 4 GiB free and CPUs at 10
 * and 30 %, node 1 with 6 of 8 GiB and CPUs at 80 and 90 %.
 */
typedef struct Question {
        Metric metric;
        bool percent, has_node, lowest;
        unsigned node;
} Question;

static int known_value(void (*change)(Snapshot *s), const Question *q, uint64_t *ret) {
        _cleanup_(topology_freep) Topology *topology = make_topology();
        GuestThread vcpus[] = { { .online = true }, { .online = true }, { .online = false },
                                { .online = true }, { .online = false } };
        Guest guests[] = {
                make_guest(GUEST_RUNNING, vcpus, 3),
                make_guest(GUEST_PAUSED, vcpus, 2),
                make_guest(GUEST_RUNNING, vcpus + 3, 2),
                make_guest(GUEST_CRASHED, vcpus, 1),
        };
        Guest *list[] = { &guests[0], &guests[1], &guests[2], &guests[3] };
        HugePool pools[] = { { .page_bytes = 2 * MIB, .total_pages = 9, .free_pages = 7 },
                             { .page_bytes = GIB, .total_pages = 3, .free_pages = 1 } };
        NodeMemory nodes[] = { { .id = 0, .total_bytes = 4 * GIB, .free_bytes = GIB },
                               { .id = 1, .total_bytes = 8 * GIB, .free_bytes = 6 * GIB, .pools = pools, .n_pools = 2 } };
        CpuLoad cpus[] = { { 0, 1000 }, { 1, 3000 }, { 2, 8000 }, { 3, 9000 } };
        Snapshot s = {
                .topology = topology,
                .guests = list,
                .n_guests = ELEMENTSOF(list),
                .host = {
                        .memory = {
                                .total_bytes = 64 * GIB,
                                .available_bytes = 16 * GIB,
                                .free_bytes = 8 * GIB,
                                .swap_total_bytes = 4 * GIB,
                                .swap_free_bytes = 3 * GIB,
                        },
                        .swap_in_bytes_per_sec = 3 * MIB,
                        .swap_out_bytes_per_sec = 5 * MIB,
                        .cpu_busy_permyriad = 7501,
                        .psi_memory = { .some_permyriad = 11, .full_permyriad = 12 },
                        .psi_cpu = { .some_permyriad = 21, .full_permyriad = 22 },
                        .psi_io = { .some_permyriad = 31, .full_permyriad = 32 },
                        .ksm = { .present = true, .pages_sharing = 1234, .general_profit_bytes = 5678,
                                 .pages_unshared = 4321, .ksmd_busy_permyriad = 41 },
                        .nodes = nodes,
                        .n_nodes = ELEMENTSOF(nodes),
                        .cpus = cpus,
                        .n_cpus = ELEMENTSOF(cpus),
                },
        };

        make_known(&guests[0], vcpus);
        if (change)
                change(&s);
        return metric_value(&(MetricSource){ .snapshot = &s, .guest = s.n_guests > 0 ? s.guests[0] : NULL,
                                             .has_node = q->has_node, .node = q->node, .lowest = q->lowest },
                            q->metric, q->percent, ret);
}

static void no_memory(Snapshot *s) {
        s->host.memory = (HostMemory){ UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64,
                                       UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64 };
}

static void no_total(Snapshot *s) {
        s->host.memory.total_bytes = UNKNOWN_U64;
}

static void zero_total(Snapshot *s) {
        s->host.memory.total_bytes = 0;
}

static void huge_memory(Snapshot *s) {
        s->host.memory.total_bytes = UINT64_MAX - 1;
        s->host.memory.available_bytes = (UINT64_MAX - 1) / 2;
}

static void no_swap(Snapshot *s) {
        s->host.memory.swap_total_bytes = s->host.memory.swap_free_bytes = 0;
}

static void unknown_swap_free(Snapshot *s) {
        s->host.memory.swap_free_bytes = UNKNOWN_U64;
}

static void unknown_swap_total(Snapshot *s) {
        s->host.memory.swap_total_bytes = UNKNOWN_U64;
}

static void wrong_swap(Snapshot *s) {
        s->host.memory.swap_free_bytes = 5 * GIB;
}

static void no_rates(Snapshot *s) {
        Psi none = { UNKNOWN_PERMYRIAD, UNKNOWN_PERMYRIAD };

        s->host.cpu_busy_permyriad = UNKNOWN_PERMYRIAD;
        s->host.psi_memory = s->host.psi_cpu = s->host.psi_io = none;
        s->host.swap_in_bytes_per_sec = UNKNOWN_U64;
}

static void no_guests(Snapshot *s) {
        s->n_guests = 0;
        s->guests = NULL;
}

static void no_ksm(Snapshot *s) {
        s->host.ksm.present = false;
}

static void ksm_loss(Snapshot *s) {
        s->host.ksm.general_profit_bytes = INT64_MIN;
}

/* Linux before 6.4 does not say what it gains: 64 bytes for each page it knows, of which 100 are one. */
static void old_ksm(Snapshot *s) {
        s->host.ksm = (KsmStatus){ .present = true, .pages_sharing = 100, .pages_shared = 1, .pages_unshared = 20 };
}

static void old_ksm_loss(Snapshot *s) {
        s->host.ksm = (KsmStatus){ .present = true, .pages_sharing = 1, .pages_shared = 1, .pages_unshared = 4000 };
}

static void old_word(Snapshot *s) {
        s->guests[0]->stats.age_usec = 5 * USEC_PER_MINUTE + 1;
}

static void no_word(Snapshot *s) {
        s->guests[0]->stats.age_usec = UNKNOWN_U64;
}

static void no_guest_psi(Snapshot *s) {
        s->guests[0]->psi_memory = (Psi){ UNKNOWN_PERMYRIAD, UNKNOWN_PERMYRIAD };
}

static void no_thread_rates(Snapshot *s) {
        for (size_t i = 0; i < s->guests[0]->n_vcpus; i++)
                s->guests[0]->vcpus[i].busy_permyriad = s->guests[0]->vcpus[i].wait_permyriad = UNKNOWN_PERMYRIAD;
}

static void one_thread_rate(Snapshot *s) {
        s->guests[0]->vcpus[0].busy_permyriad = UNKNOWN_PERMYRIAD;
}

static void no_nodes(Snapshot *s) {
        s->host.n_nodes = 0;
}

static void one_cpu_load(Snapshot *s) {
        s->host.n_cpus = 3;
}

static void memoryless_node(Snapshot *s) {
        s->host.nodes[0].total_bytes = s->host.nodes[0].free_bytes = 0;
}

static void unknown_ksm_pages(Snapshot *s) {
        s->host.ksm.pages_sharing = UNKNOWN_U64;
}

static const struct {
        void (*change)(Snapshot *s);
        Metric metric;
        bool percent;
        int r;
        uint64_t want;
} value_rows[] = {
        { NULL, METRIC_HOST_MEMORY_AVAILABLE, false, 0, 16 * GIB },
        { NULL, METRIC_HOST_MEMORY_AVAILABLE, true, 0, 2500 },
        { NULL, METRIC_HOST_MEMORY_FREE, false, 0, 8 * GIB },
        { NULL, METRIC_HOST_MEMORY_FREE, true, 0, 1250 },
        { NULL, METRIC_HOST_SWAP_USED, false, 0, GIB },
        { NULL, METRIC_HOST_SWAP_USED, true, 0, 2500 },
        { NULL, METRIC_HOST_SWAP_IN, false, 0, 3 * MIB },
        { NULL, METRIC_HOST_SWAP_OUT, false, 0, 5 * MIB },
        { NULL, METRIC_HOST_SWAP_OUT, true, -EINVAL, 0 },
        { NULL, METRIC_HOST_CPU_BUSY, true, 0, 7501 },
        { NULL, METRIC_HOST_CPU_BUSY, false, -EINVAL, 0 },
        { NULL, METRIC_HOST_PSI_MEMORY_SOME, true, 0, 11 },
        { NULL, METRIC_HOST_PSI_MEMORY_FULL, true, 0, 12 },
        { NULL, METRIC_HOST_PSI_CPU_SOME, true, 0, 21 },
        { NULL, METRIC_HOST_PSI_IO_SOME, true, 0, 31 },
        { NULL, METRIC_HOST_PSI_IO_FULL, true, 0, 32 },
        { NULL, METRIC_HOST_PSI_IO_FULL, false, -EINVAL, 0 },
        { NULL, METRIC_HOST_GUESTS, false, 0, 2 },
        { NULL, METRIC_HOST_GUESTS, true, -EINVAL, 0 },
        { NULL, METRIC_HOST_VCPUS, false, 0, 3 },
        { NULL, METRIC_HOST_VCPUS, true, -EINVAL, 0 },
        { NULL, METRIC_KSM_PAGES_SHARING, false, 0, 1234 },
        { NULL, METRIC_KSM_PAGES_SHARING, true, -EINVAL, 0 },
        { NULL, METRIC_KSM_PROFIT, false, 0, 5678 },
        { NULL, METRIC_KSM_PROFIT, true, -EINVAL, 0 },
        { NULL, _METRIC_MAX, false, -EINVAL, 0 },
        { NULL, _METRIC_INVALID, false, -EINVAL, 0 },

        { no_memory, METRIC_HOST_MEMORY_AVAILABLE, false, -ENODATA, 0 },
        { no_memory, METRIC_HOST_MEMORY_AVAILABLE, true, -ENODATA, 0 },
        { no_memory, METRIC_HOST_MEMORY_FREE, false, -ENODATA, 0 },
        { no_memory, METRIC_HOST_SWAP_USED, false, -ENODATA, 0 },
        { no_total, METRIC_HOST_MEMORY_AVAILABLE, true, -ENODATA, 0 },
        { no_total, METRIC_HOST_MEMORY_AVAILABLE, false, 0, 16 * GIB },
        { zero_total, METRIC_HOST_MEMORY_FREE, true, -ENODATA, 0 },
        { huge_memory, METRIC_HOST_MEMORY_AVAILABLE, true, 0, 5000 },
        { no_swap, METRIC_HOST_SWAP_USED, true, -ENODATA, 0 },
        { no_swap, METRIC_HOST_SWAP_USED, false, 0, 0 },
        { unknown_swap_free, METRIC_HOST_SWAP_USED, false, -ENODATA, 0 },
        { unknown_swap_total, METRIC_HOST_SWAP_USED, false, -ENODATA, 0 },
        { wrong_swap, METRIC_HOST_SWAP_USED, false, 0, 0 },
        { no_rates, METRIC_HOST_SWAP_IN, false, -ENODATA, 0 },
        { no_rates, METRIC_HOST_CPU_BUSY, true, -ENODATA, 0 },
        { no_rates, METRIC_HOST_PSI_MEMORY_SOME, true, -ENODATA, 0 },
        { no_rates, METRIC_HOST_PSI_MEMORY_FULL, true, -ENODATA, 0 },
        { no_rates, METRIC_HOST_PSI_CPU_SOME, true, -ENODATA, 0 },
        { no_rates, METRIC_HOST_PSI_IO_SOME, true, -ENODATA, 0 },
        { no_rates, METRIC_HOST_PSI_IO_FULL, true, -ENODATA, 0 },
        { no_guests, METRIC_HOST_GUESTS, false, 0, 0 },
        { no_guests, METRIC_HOST_VCPUS, false, 0, 0 },
        { no_ksm, METRIC_KSM_PAGES_SHARING, false, -ENODATA, 0 },
        { no_ksm, METRIC_KSM_PROFIT, false, -ENODATA, 0 },
        { ksm_loss, METRIC_KSM_PROFIT, false, 0, 0 },
        { old_ksm, METRIC_KSM_PROFIT, false, 0, 100 * 4 * KIB - 121 * 64 },
        { old_ksm_loss, METRIC_KSM_PROFIT, false, 0, 0 },
        { unknown_ksm_pages, METRIC_KSM_PAGES_SHARING, false, -ENODATA, 0 },
        { NULL, METRIC_KSM_PAGES_UNSHARED, false, 0, 4321 },
        { NULL, METRIC_KSM_CPU, true, 0, 41 },
        { no_ksm, METRIC_KSM_CPU, true, -ENODATA, 0 },

        { NULL, METRIC_GUEST_CPU_BUSY, true, 0, 4000 },
        { NULL, METRIC_GUEST_CPU_WAIT, true, 0, 300 },
        { NULL, METRIC_GUEST_CPU_WAIT, false, -EINVAL, 0 },
        { NULL, METRIC_GUEST_VCPUS, false, 0, 2 },
        { NULL, METRIC_GUEST_MEMORY_CURRENT, false, 0, 6 * GIB },
        { NULL, METRIC_GUEST_MEMORY_CURRENT, true, 0, 7500 },
        { NULL, METRIC_GUEST_MEMORY_RESIDENT, true, 0, 6250 },
        { NULL, METRIC_GUEST_MEMORY_USABLE, false, 0, 3 * GIB },
        { NULL, METRIC_GUEST_MEMORY_USABLE, true, 0, 5000 },
        { NULL, METRIC_GUEST_SWAP_IN, false, 0, 71 },
        { NULL, METRIC_GUEST_MAJOR_FAULTS, false, 0, 72 },
        { NULL, METRIC_GUEST_PSI_MEMORY_SOME, true, 0, 51 },
        { NULL, METRIC_GUEST_PSI_MEMORY_FULL, true, 0, 52 },
        { NULL, METRIC_GUEST_PSI_MEMORY_FULL, false, -EINVAL, 0 },
        { no_guest_psi, METRIC_GUEST_PSI_MEMORY_SOME, true, -ENODATA, 0 },
        { old_word, METRIC_GUEST_MEMORY_USABLE, true, -ENODATA, 0 },
        { no_word, METRIC_GUEST_SWAP_IN, false, -ENODATA, 0 },
        { no_word, METRIC_GUEST_MAJOR_FAULTS, false, -ENODATA, 0 },
        { no_thread_rates, METRIC_GUEST_CPU_BUSY, true, -ENODATA, 0 },
        { one_thread_rate, METRIC_GUEST_CPU_BUSY, true, 0, 2000 },
        { no_guests, METRIC_GUEST_CPU_BUSY, true, -ENODATA, 0 },
        { no_nodes, METRIC_NODE_MEMORY_FREE, true, -ENODATA, 0 },
};

static const struct {
        void (*change)(Snapshot *s);
        Question question;
        int r;
        uint64_t want;
} node_rows[] = {
        { NULL, { METRIC_NODE_MEMORY_FREE, .has_node = true, .node = 0 }, 0, GIB },
        { NULL, { METRIC_NODE_MEMORY_FREE, .has_node = true, .node = 1, .percent = true }, 0, 7500 },
        { NULL, { METRIC_NODE_MEMORY_FREE, .has_node = true, .node = 2 }, -ENODATA, 0 },
        { NULL, { METRIC_NODE_MEMORY_FREE, .percent = true, .lowest = true }, 0, 2500 },
        { NULL, { METRIC_NODE_MEMORY_FREE, .percent = true }, 0, 7500 },
        { NULL, { METRIC_NODE_CPU_BUSY, .percent = true, .has_node = true, .node = 0 }, 0, 2000 },
        { NULL, { METRIC_NODE_CPU_BUSY, .percent = true }, 0, 8500 },
        { NULL, { METRIC_NODE_CPU_BUSY, .percent = true, .lowest = true }, 0, 2000 },
        { one_cpu_load, { METRIC_NODE_CPU_BUSY, .percent = true }, 0, 8000 },
        { memoryless_node, { METRIC_NODE_MEMORY_FREE, .percent = true, .lowest = true }, 0, 7500 },
        { memoryless_node, { METRIC_NODE_MEMORY_FREE, .has_node = true, .node = 0 }, -ENODATA, 0 },
        { NULL, { METRIC_NODE_HUGEPAGES_FREE, .has_node = true, .node = 0 }, -ENODATA, 0 },
        { NULL, { METRIC_NODE_HUGEPAGES_FREE, .has_node = true, .node = 1 }, 0, 14 * MIB + GIB },
        { NULL, { METRIC_NODE_HUGEPAGES_FREE, .lowest = true }, 0, 14 * MIB + GIB },
};

START_TEST(a_metric_of_nodes_is_that_of_one_or_of_the_extreme_one) {
        uint64_t v = UNTOUCHED;
        int r = known_value(node_rows[_i].change, &node_rows[_i].question, &v);

        ck_assert_int_eq(r, node_rows[_i].r);
        ck_assert_uint_eq(v, r < 0 ? UNTOUCHED : node_rows[_i].want);
}
END_TEST

START_TEST(each_metric_has_its_value_or_none) {
        const Question q = { .metric = value_rows[_i].metric, .percent = value_rows[_i].percent };
        uint64_t v = UNTOUCHED;
        int r = known_value(value_rows[_i].change, &q, &v);

        ck_assert_int_eq(r, value_rows[_i].r);
        ck_assert_uint_eq(v, r < 0 ? UNTOUCHED : value_rows[_i].want);
}
END_TEST

START_TEST(every_metric_has_a_name_that_reads_back) {
        const char *name = metric_to_string((Metric)_i);

        ck_assert_ptr_nonnull(name);
        ck_assert_int_eq((int)metric_from_string(name), _i);
}
END_TEST

START_TEST(unknown_names_are_no_metric) {
        ck_assert_int_eq((int)metric_from_string("host.memory"), _METRIC_INVALID);
        ck_assert_int_eq((int)metric_from_string("Host.Memory.Available"), _METRIC_INVALID);
        ck_assert_int_eq((int)metric_from_string(""), _METRIC_INVALID);
        ck_assert_ptr_null(metric_to_string(_METRIC_MAX));
        ck_assert_ptr_null(metric_to_string(_METRIC_INVALID));
}
END_TEST

/* The loader goes by metric_takes_*, the rules by metric_value: they must agree. */
START_TEST(a_metric_has_a_value_in_exactly_the_forms_it_takes) {
        Metric m = (Metric)_i;
        uint64_t v;

        ck_assert_int_eq(known_value(NULL, &(Question){ .metric = m, .percent = true }, &v) == 0,
                         metric_takes_percent(m));
        ck_assert_int_eq(known_value(NULL, &(Question){ .metric = m }, &v) == 0, metric_takes_size(m) || metric_takes_number(m));
        ck_assert(!(metric_takes_size(m) && metric_takes_number(m)));
        ck_assert(metric_takes_percent(m) || metric_takes_size(m) || metric_takes_number(m));
}
END_TEST

int main(void) {
        Suite *suite = suite_create("metric");
        TCase *tc = tcase_create("metric");
        SRunner *runner;
        int failed;

        tcase_add_loop_test(tc, each_metric_has_its_value_or_none, 0, (int)ELEMENTSOF(value_rows));
        tcase_add_loop_test(tc, a_metric_of_nodes_is_that_of_one_or_of_the_extreme_one, 0, (int)ELEMENTSOF(node_rows));
        tcase_add_loop_test(tc, every_metric_has_a_name_that_reads_back, 0, _METRIC_MAX);
        tcase_add_test(tc, unknown_names_are_no_metric);
        tcase_add_loop_test(tc, a_metric_has_a_value_in_exactly_the_forms_it_takes, 0, _METRIC_MAX);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
