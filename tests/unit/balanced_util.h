/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A host on which nothing is wrong. */

#include "placement_util.h"

/* As the kernel and the guest leave it to themselves; everything that an observer may see is there. */
static inline _unused_ void set_host(World *w) {
        Host *h = &w->snapshot->host;

        h->ksm = (KsmStatus){
                .present = true, .writable = true, .pages_to_scan = 100, .sleep_millisecs = 20,
                .merge_across_nodes = 0, .advisor_mode = "none", .advisor_max_cpu = 70,
                .advisor_target_scan_time = 200, .smart_scan = 1, .page_bytes = 4 * KIB,
                .ksmd_busy_permyriad = UNKNOWN_PERMYRIAD,
        };
        h->thp = (ThpStatus){
                .enabled = "madvise", .defrag = "madvise", .enabled_choices = "always madvise never",
                .defrag_choices = "always defer defer+madvise madvise never", .khugepaged_pages_to_scan = 4096,
                .khugepaged_scan_sleep_millisecs = 10000, .khugepaged_max_ptes_none = 511,
        };
        h->psi_memory = (Psi){ 0 };
        h->numa_balancing = 0;
        h->hugepage_bytes = 2 * MIB;
        h->swap_in_bytes_per_sec = h->swap_out_bytes_per_sec = 0;
        h->n_cpus = w->snapshot->topology->n_cpus;
        h->cpus = calloc(h->n_cpus, sizeof(*h->cpus));
        ck_assert_ptr_nonnull(h->cpus);
        for (size_t i = 0; i < h->n_cpus; i++)
                h->cpus[i] = (CpuLoad){ .id = w->snapshot->topology->cpus[i].id, .busy_permyriad = 6000 };
        for (size_t i = 0; i < h->n_nodes; i++) {
                h->nodes[i].pools = calloc(1, sizeof(HugePool));
                ck_assert_ptr_nonnull(h->nodes[i].pools);
                h->nodes[i].pools[0] = (HugePool){ .page_bytes = 2 * MIB };
                h->nodes[i].n_pools = 1;
        }
}

static inline _unused_ void add_guest(World *w, size_t node, unsigned vcpus, bool home) {
        const TopologyNode *n = &w->snapshot->topology->nodes[node];
        Guest *g = world_guest(w, "guest", vcpus, 4 * GIB);

        guest_memory(g, n->id, 4 * GIB);
        guest_load(g, 6000, 0);
        for (size_t i = 0; home && i < g->n_vcpus; i++)
                g->vcpus[i].affinity = idset_minus(&n->cpus, &w->snapshot->topology->isolated);
        g->balloon_device = true;
        g->stats_period_sec = 10;
        g->stats = (BalloonStats){ .unused_bytes = 2 * GIB, .available_bytes = 4 * GIB, .usable_bytes = 3 * GIB,
                                   .disk_caches_bytes = GIB, .age_usec = USEC_PER_SEC };
}

static inline _unused_ unsigned usable_cpus(const World *w, size_t node) {
        IdSet cpus = idset_minus(&w->snapshot->topology->nodes[node].cpus, &w->snapshot->topology->isolated);

        return idset_count(&cpus);
}

/* For each node with CPUs a guest of a quarter of them, with its memory there. */
static inline _unused_ void fill(World *w) {
        for (size_t i = 0; i < w->snapshot->topology->n_nodes; i++)
                if (usable_cpus(w, i) > 0)
                        add_guest(w, i, MAX(usable_cpus(w, i) / 4, 1U), true);
}

static inline _unused_ bool is_pin(const Action *a) {
        return a->kind == ACTION_PIN_VCPU || a->kind == ACTION_PIN_EMULATOR || a->kind == ACTION_PIN_IOTHREAD;
}
