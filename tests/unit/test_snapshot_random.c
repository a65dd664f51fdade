/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random snapshots and all captured machines, written and read back: the same. */
#include "snapshot_file_util.h"

#define TOPOLOGIES "tests/fixtures/topologies/"
#define N_RANDOM 300

static uint64_t next_random(uint64_t *state) {
        /* xorshift64*, Vigna 2014 */
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        return *state * UINT64_C(2685821657736338717);
}

static uint64_t pick(uint64_t *state, uint64_t n) {
        return next_random(state) % n;
}

/* Small, huge, round and unknown ones. */
static uint64_t random_u64(uint64_t *state, bool unknown) {
        switch (pick(state, 5)) {
        case 0:
                return pick(state, 3);
        case 1:
                return pick(state, 100) * GIB;
        case 2:
                return unknown ? UNKNOWN_U64 : 0;
        case 3:
                return next_random(state) >> 16;
        default:
                return UINT64_C(1) << pick(state, 40);
        }
}

static uint32_t random_share(uint64_t *state) {
        return pick(state, 3) == 0 ? UNKNOWN_PERMYRIAD : (uint32_t)pick(state, 30001);
}

static IdSet random_set(uint64_t *state, unsigned limit) {
        IdSet set = IDSET_EMPTY;

        for (uint64_t n = pick(state, 5); n > 0; n--)
                (void)idset_add(&set, (unsigned)pick(state, limit));
        return set;
}

static char *random_text(uint64_t *state) {
        size_t n = 1 + pick(state, 12);
        char *text = calloc(n + 1, 1);

        for (size_t i = 0; i < n; i++)
                text[i] = (char)(1 + pick(state, 255));
        return text;
}

static void random_thread(uint64_t *state, GuestThread *t, bool vcpu) {
        t->online = !vcpu || pick(state, 4) > 0;
        t->hotpluggable = vcpu && pick(state, 2);
        t->pinned = pick(state, 2) == 0;
        if (t->pinned)
                t->pin = random_set(state, IDSET_MAX);
        t->tid = (int32_t)pick(state, 3) * 1000;
        t->affinity = random_set(state, 8);
        t->busy_permyriad = random_share(state);
        t->wait_permyriad = random_share(state);
}

static void random_memory(uint64_t *state, const Topology *t, Guest *g) {
        g->max_bytes = random_u64(state, false);
        g->current_bytes = random_u64(state, false);
        g->min_guarantee_bytes = random_u64(state, false);
        g->hard_limit_bytes = random_u64(state, false);
        g->swap_hard_limit_bytes = random_u64(state, false);
        g->soft_limit_bytes = random_u64(state, false);
        g->rss_bytes = random_u64(state, true);
        g->virtual_bytes = random_u64(state, true);
        g->psi_memory = (Psi){ random_share(state), random_share(state) };
        g->n_node_memory = pick(state, t->n_nodes + 1);
        g->node_memory = calloc(g->n_node_memory + 1, sizeof(*g->node_memory));
        for (size_t i = 0; i < g->n_node_memory; i++) {
                g->node_memory[i].node = t->nodes[i].id;
                g->node_memory[i].bytes = random_u64(state, false);
        }
        g->numatune_mode = (NumatuneMode)pick(state, _NUMATUNE_MODE_MAX);
        if (pick(state, 2))
                g->numatune_nodes = idset_of(t->nodes[0].id);
        g->numatune_placement_auto = pick(state, 2);
        g->numatune_defined_auto = pick(state, 2);
        if (pick(state, 2))
                g->advised_nodes = idset_of(t->nodes[t->n_nodes - 1].id);
        g->n_cells = pick(state, 3);
        g->cells = calloc(g->n_cells + 1, sizeof(*g->cells));
        for (size_t i = 0; i < g->n_cells; i++) {
                g->cells[i].id = (unsigned)pick(state, 3);
                g->cells[i].vcpus = random_set(state, 8);
                g->cells[i].memory_bytes = random_u64(state, false);
                g->cells[i].mode = (NumatuneMode)pick(state, _NUMATUNE_MODE_MAX);
                g->cells[i].nodeset = idset_of(t->nodes[0].id);
        }
        g->stats = (BalloonStats){
                random_u64(state, true), random_u64(state, true), random_u64(state, true), random_u64(state, true),
                random_u64(state, true), random_u64(state, true), random_u64(state, true), random_u64(state, true),
        };
        if (pick(state, 3) == 0)
                memset(&g->stats, 0xff, sizeof(g->stats));
}

static Guest *random_guest(uint64_t *state, const Topology *t) {
        _cleanup_free_ char *name = random_text(state);
        Guest *g = NULL;

        ck_assert_int_eq(guest_new(name, NULL, &g), 0);
        if (pick(state, 2))
                g->title = random_text(state);
        if (pick(state, 2))
                g->class = random_text(state);
        g->state = (GuestState)pick(state, _GUEST_STATE_MAX);
        g->starting = pick(state, 2);
        g->migrating = pick(state, 2);
        g->unreachable = pick(state, 2);
        g->persistent = pick(state, 2);
        g->pid = (int32_t)pick(state, 2) * INT32_MAX;
        ck_assert_int_eq(guest_set_vcpus(g, pick(state, 4)), 0);
        for (size_t i = 0; i < g->n_vcpus; i++)
                random_thread(state, &g->vcpus[i], true);
        random_thread(state, &g->emulator, false);
        g->emulator_busy_permyriad = random_share(state);
        ck_assert_int_eq(guest_set_iothreads(g, pick(state, 3)), 0);
        for (size_t i = 0; i < g->n_iothreads; i++) {
                random_thread(state, &g->iothreads[i], false);
                g->iothreads[i].id = (unsigned)i * 2 + 1;
        }
        g->vcpu_group = 1 + pick(state, 2);
        g->vcpu_placement_auto = pick(state, 2);
        g->vcpu_cpuset_set = pick(state, 2);
        if (g->vcpu_cpuset_set)
                g->vcpu_cpuset = random_set(state, 8);
        random_memory(state, t, g);
        g->balloon_device = pick(state, 2);
        g->stats_period_sec = pick(state, 100);
        g->hugepages = pick(state, 2);
        g->hugepage_bytes = random_u64(state, false);
        g->locked = pick(state, 2);
        g->nosharepages = pick(state, 2);
        g->free_page_reporting = pick(state, 2);
        g->shared_memory = pick(state, 2);
        g->vfio = pick(state, 2);
        if (pick(state, 2))
                g->vfio_devices = random_text(state);
        if (pick(state, 2))
                g->vfio_nodes = g->cgroup_mems = idset_of(t->nodes[t->n_nodes - 1].id);
        g->cgroup_cpus = random_set(state, 8);
        g->cpu_host_passthrough = pick(state, 2);
        return g;
}

static void random_host(uint64_t *state, const Topology *t, Host *h) {
        uint64_t total = random_u64(state, false), swap = random_u64(state, false);

        h->memory = (HostMemory){ total, pick(state, total + 1), random_u64(state, false), random_u64(state, false),
                                  random_u64(state, false), swap, pick(state, swap + 1) };
        h->psi_memory = (Psi){ random_share(state), random_share(state) };
        h->psi_io = (Psi){ random_share(state), random_share(state) };
        h->cpu_busy_permyriad = random_share(state);
        h->n_cpus = pick(state, t->n_cpus + 1);
        h->cpus = calloc(h->n_cpus + 1, sizeof(*h->cpus));
        for (size_t i = 0; i < h->n_cpus; i++)
                h->cpus[i] = (CpuLoad){ t->cpus[i].id, random_share(state) };
        h->n_nodes = pick(state, 4) == 0 ? 0 : t->n_nodes;
        h->nodes = calloc(h->n_nodes + 1, sizeof(*h->nodes));
        for (size_t i = 0; i < h->n_nodes; i++) {
                total = random_u64(state, false);
                h->nodes[i] = (NodeMemory){ .id = t->nodes[i].id, .total_bytes = total,
                                            .free_bytes = pick(state, total + 1), .n_pools = pick(state, 3) };
                h->nodes[i].pools = calloc(h->nodes[i].n_pools + 1, sizeof(HugePool));
                for (size_t k = 0; k < h->nodes[i].n_pools; k++)
                        h->nodes[i].pools[k] = (HugePool){ (k + 1) * 2 * MIB, 7, pick(state, 8), pick(state, 2) };
        }
        h->ksm = (KsmStatus){
                .present = pick(state, 2), .writable = pick(state, 2), .run = pick(state, 3),
                .pages_to_scan = random_u64(state, false), .sleep_millisecs = pick(state, 1000000),
                .merge_across_nodes = pick(state, 2), .pages_shared = random_u64(state, false),
                .pages_sharing = random_u64(state, false), .general_profit_bytes = (int64_t)next_random(state) >> 9,
                .full_scans = random_u64(state, false), .ksmd_busy_permyriad = random_share(state),
        };
        if (pick(state, 2))
                memcpy(h->ksm.advisor_mode, "scan-time", 10);
        if (pick(state, 2)) {
                memcpy(h->thp.enabled, "always", 7);
                memcpy(h->thp.defrag, "defer+madvise", 14);
                memcpy(h->thp.enabled_choices, "always inherit never", 21);
                memcpy(h->thp.defrag_choices, "always never", 13);
        }
        h->thp.khugepaged_pages_to_scan = random_u64(state, true);
        h->thp.khugepaged_scan_sleep_millisecs = pick(state, 2) ? UNKNOWN_U64 : pick(state, 1000000);
        h->thp.khugepaged_max_ptes_none = random_u64(state, true);
        h->hugepage_bytes = random_u64(state, false);
        h->numa_balancing = random_u64(state, true);
        h->kernel_release = pick(state, 3) ? KERNEL_RELEASE(pick(state, 65536), pick(state, 65536)) : UNKNOWN_U64;
        h->swap_in_bytes_per_sec = random_u64(state, true);
        h->swap_out_bytes_per_sec = random_u64(state, true);
        h->numa_faults = (NumaFaults){ random_u64(state, true), random_u64(state, true), random_u64(state, true) };
}

static void random_reservations(uint64_t *state, Snapshot *s) {
        s->n_reservations = pick(state, 3);
        s->reservations = calloc(s->n_reservations + 1, sizeof(*s->reservations));
        for (size_t i = 0; i < s->n_reservations; i++) {
                s->reservations[i].nodes = idset_of(s->topology->nodes[0].id);
                s->reservations[i].vcpus = pick(state, 9);
                s->reservations[i].memory_bytes = random_u64(state, false);
                s->reservations[i].hugepages = pick(state, 2);
                s->reservations[i].hugepage_bytes = random_u64(state, false);
                s->reservations[i].given_usec = i * 1000 + pick(state, 1000);
        }
}

static void drop_last_cpu(Topology *t) {
        const TopologyCpu *cpu = &t->cpus[--t->n_cpus];

        idset_remove(&t->online, cpu->id);
        idset_remove(&t->nodes[cpu->node].cpus, cpu->id);
}

static Snapshot *random_snapshot(uint64_t *state) {
        static const char *const topologies[] = {
                "numa:1 core:4 pu:1", "numa:4 core:2 pu:1", "package:2 numa:1 core:2 pu:2",
                "numa:2(memory=1GB) core:2 pu:2",
        };
        Snapshot *s = NULL;

        ck_assert_int_eq(snapshot_new(&s), 0);
        ck_assert_int_eq(topology_load_synthetic(topologies[pick(state, ELEMENTSOF(topologies))], &s->topology), 0);
        if (pick(state, 2))
                s->topology->isolated = idset_of(s->topology->cpus[0].id);
        if (pick(state, 3) == 0)
                s->topology->offline = idset_of(100);
        if (pick(state, 2))
                s->topology->distances[s->topology->n_nodes - 1] = 31;
        if (pick(state, 2))
                s->topology->nodes[0].memory_bytes = random_u64(state, false);
        if (pick(state, 3) == 0) {
                free(s->topology->synthetic);
                s->topology->synthetic = NULL;
        }
        /* The description no longer says what is there. */
        if (pick(state, 4) == 0)
                drop_last_cpu(s->topology);
        s->now_usec = random_u64(state, false);
        s->interval_usec = random_u64(state, false);
        s->local_time = (LocalTime){ 2024, 2, 29, 23, 59, 58, 3 };
        random_host(state, s->topology, &s->host);
        random_reservations(state, s);
        for (uint64_t n = pick(state, 5); n > 0; n--)
                ck_assert_int_eq(snapshot_put_guest(s, random_guest(state, s->topology)), 0);
        return s;
}

START_TEST(any_snapshot_reads_back_to_the_same) {
        uint64_t state = UINT64_C(88172645463325252);

        for (unsigned i = 0; i < N_RANDOM; i++) {
                _cleanup_(snapshot_freep) Snapshot *s = random_snapshot(&state);

                assert_round_trip(s);
        }
}
END_TEST

/* Machines whose CPUs, nodes and distances no synthetic string can say. */
START_TEST(every_captured_machine_reads_back_without_its_xml) {
        DIR *d = opendir(TOPOLOGIES);
        unsigned n = 0;

        ck_assert_ptr_nonnull(d);
        for (struct dirent *e; (e = readdir(d));) {
                _cleanup_(snapshot_freep) Snapshot *s = NULL;
                char path[512];

                if (!strstr(e->d_name, ".xml"))
                        continue;
                (void)snprintf(path, sizeof(path), TOPOLOGIES "%s", e->d_name);
                ck_assert_int_eq(snapshot_new(&s), 0);
                ck_assert_msg(topology_load_xml(path, &s->topology) == 0, "%s", path);
                assert_round_trip(s);
                n++;
        }
        (void)closedir(d);
        ck_assert_uint_gt(n, 0);
}
END_TEST

static void add_tests(TCase *c) {
        tcase_add_test(c, any_snapshot_reads_back_to_the_same);
        tcase_add_test(c, every_captured_machine_reads_back_without_its_xml);
}

int main(void) {
        Suite *s = suite_create("snapshot_random");
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
