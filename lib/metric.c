/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a threshold can look at, and in which units.
 *
 * A metric of a node is that of the node asked for; without one, the highest
 * or the lowest of all nodes, whichever the threshold would be the first to
 * be beyond of. Nodes of which the metric is not known are left out.
 */

#include "rules.h"

/* What a guest said of itself longer ago than this is no longer known. */
#define STATS_AGE_MAX (5 * USEC_PER_MINUTE)

typedef int (*MetricGetter)(const MetricSource *from, bool percent, uint64_t *ret);

typedef struct MetricInfo {
        const char *name;
        MetricGetter get;
        MetricScope scope;
        bool size, percent, number;
} MetricInfo;

static int known_u64(uint64_t value, uint64_t *ret) {
        if (value == UNKNOWN_U64)
                return -ENODATA;
        *ret = value;
        return 0;
}

static int known_permyriad(uint32_t value, uint64_t *ret) {
        if (value == UNKNOWN_PERMYRIAD)
                return -ENODATA;
        *ret = value;
        return 0;
}

/* @value bytes, or its share of @whole. */
static int amount(uint64_t value, uint64_t whole, bool percent, uint64_t *ret) {
        if (value == UNKNOWN_U64)
                return -ENODATA;
        if (!percent) {
                *ret = value;
                return 0;
        }
        if (whole == UNKNOWN_U64 || whole == 0)
                return -ENODATA;
        *ret = u64_muldiv(value, PERMYRIAD_FULL, whole);
        return 0;
}

/* ---- the host ---- */

static int host_memory_available(const MetricSource *from, bool percent, uint64_t *ret) {
        const HostMemory *m = &from->snapshot->host.memory;

        return amount(m->available_bytes, m->total_bytes, percent, ret);
}

static int host_memory_free(const MetricSource *from, bool percent, uint64_t *ret) {
        const HostMemory *m = &from->snapshot->host.memory;

        return amount(m->free_bytes, m->total_bytes, percent, ret);
}

static int host_swap_used(const MetricSource *from, bool percent, uint64_t *ret) {
        const HostMemory *m = &from->snapshot->host.memory;

        if (m->swap_total_bytes == UNKNOWN_U64 || m->swap_free_bytes == UNKNOWN_U64)
                return -ENODATA;
        return amount(u64_sub(m->swap_total_bytes, m->swap_free_bytes), m->swap_total_bytes, percent, ret);
}

static int host_swap_in(const MetricSource *from, bool percent _unused_, uint64_t *ret) {
        return known_u64(from->snapshot->host.swap_in_bytes_per_sec, ret);
}

static int host_swap_out(const MetricSource *from, bool percent _unused_, uint64_t *ret) {
        return known_u64(from->snapshot->host.swap_out_bytes_per_sec, ret);
}

static int host_cpu_busy(const MetricSource *from, bool percent _unused_, uint64_t *ret) {
        return known_permyriad(from->snapshot->host.cpu_busy_permyriad, ret);
}

static int psi_memory_some(const MetricSource *from, bool percent _unused_, uint64_t *ret) {
        return known_permyriad(from->snapshot->host.psi_memory.some_permyriad, ret);
}

static int psi_memory_full(const MetricSource *from, bool percent _unused_, uint64_t *ret) {
        return known_permyriad(from->snapshot->host.psi_memory.full_permyriad, ret);
}

static int psi_cpu_some(const MetricSource *from, bool percent _unused_, uint64_t *ret) {
        return known_permyriad(from->snapshot->host.psi_cpu.some_permyriad, ret);
}

static int psi_io_some(const MetricSource *from, bool percent _unused_, uint64_t *ret) {
        return known_permyriad(from->snapshot->host.psi_io.some_permyriad, ret);
}

static int psi_io_full(const MetricSource *from, bool percent _unused_, uint64_t *ret) {
        return known_permyriad(from->snapshot->host.psi_io.full_permyriad, ret);
}

static uint64_t count_running(const Snapshot *snapshot, bool vcpus) {
        uint64_t n = 0;

        for (size_t i = 0; i < snapshot->n_guests; i++) {
                const Guest *g = snapshot->guests[i];

                if (g->state == GUEST_RUNNING)
                        n += vcpus ? guest_online_vcpus(g) : 1;
        }
        return n;
}

static int host_guests(const MetricSource *from, bool percent _unused_, uint64_t *ret) {
        *ret = count_running(from->snapshot, false);
        return 0;
}

static int host_vcpus(const MetricSource *from, bool percent _unused_, uint64_t *ret) {
        *ret = count_running(from->snapshot, true);
        return 0;
}

/* ---- KSM ---- */

static int ksm_pages_sharing(const MetricSource *from, bool percent _unused_, uint64_t *ret) {
        const KsmStatus *ksm = &from->snapshot->host.ksm;

        return ksm->present ? known_u64(ksm->pages_sharing, ret) : -ENODATA;
}

static int ksm_pages_unshared(const MetricSource *from, bool percent _unused_, uint64_t *ret) {
        const KsmStatus *ksm = &from->snapshot->host.ksm;

        return ksm->present ? known_u64(ksm->pages_unshared, ret) : -ENODATA;
}

static int ksm_profit(const MetricSource *from, bool percent _unused_, uint64_t *ret) {
        const KsmStatus *ksm = &from->snapshot->host.ksm;
        int64_t profit = ksm_profit_bytes(ksm);

        if (!ksm->present)
                return -ENODATA;
        *ret = profit > 0 ? (uint64_t)profit : 0;
        return 0;
}

static int ksm_cpu(const MetricSource *from, bool percent _unused_, uint64_t *ret) {
        const KsmStatus *ksm = &from->snapshot->host.ksm;

        return ksm->present ? known_permyriad(ksm->ksmd_busy_permyriad, ret) : -ENODATA;
}

/* ---- nodes ---- */

static int one_node_memory_free(const Snapshot *snapshot, unsigned id, bool percent, uint64_t *ret) {
        const NodeMemory *m = host_node(&snapshot->host, id);

        return m && m->total_bytes > 0 ? amount(m->free_bytes, m->total_bytes, percent, ret) : -ENODATA;
}

/* The mean of its CPUs. */
static int one_node_cpu_busy(const Snapshot *snapshot, unsigned id, bool percent _unused_, uint64_t *ret) {
        const TopologyNode *node = snapshot->topology ? topology_node(snapshot->topology, id) : NULL;
        uint64_t sum = 0, n = 0;

        if (!node)
                return -ENODATA;
        IDSET_FOREACH(cpu, &node->cpus) {
                const CpuLoad *load = host_cpu(&snapshot->host, (unsigned)cpu);

                if (!load || load->busy_permyriad == UNKNOWN_PERMYRIAD)
                        continue;
                sum += load->busy_permyriad;
                n++;
        }
        if (n == 0)
                return -ENODATA;
        *ret = sum / n;
        return 0;
}

static int one_node_hugepages_free(const Snapshot *snapshot, unsigned id, bool percent _unused_, uint64_t *ret) {
        const NodeMemory *m = host_node(&snapshot->host, id);
        uint64_t bytes = 0;

        if (!m || m->n_pools == 0)
                return -ENODATA;
        for (size_t i = 0; i < m->n_pools; i++)
                bytes = u64_add(bytes, u64_muldiv(m->pools[i].free_pages, m->pools[i].page_bytes, 1));
        *ret = bytes;
        return 0;
}

static int of_nodes(const MetricSource *from, bool percent,
                    int (*get)(const Snapshot *, unsigned, bool, uint64_t *), uint64_t *ret) {
        bool found = false;
        uint64_t best = 0;

        if (from->has_node)
                return get(from->snapshot, from->node, percent, ret);
        for (size_t i = 0; i < from->snapshot->host.n_nodes; i++) {
                uint64_t value;

                if (get(from->snapshot, from->snapshot->host.nodes[i].id, percent, &value) < 0)
                        continue;
                if (!found || (from->lowest ? value < best : value > best))
                        best = value;
                found = true;
        }
        if (!found)
                return -ENODATA;
        *ret = best;
        return 0;
}

static int node_memory_free(const MetricSource *from, bool percent, uint64_t *ret) {
        return of_nodes(from, percent, one_node_memory_free, ret);
}

static int node_cpu_busy(const MetricSource *from, bool percent, uint64_t *ret) {
        return of_nodes(from, percent, one_node_cpu_busy, ret);
}

static int node_hugepages_free(const MetricSource *from, bool percent, uint64_t *ret) {
        return of_nodes(from, percent, one_node_hugepages_free, ret);
}

/* ---- one guest ---- */

/* The mean of its online vCPUs. */
static int guest_cpu(const Guest *g, bool wait, uint64_t *ret) {
        uint64_t sum = 0, n = 0;

        for (size_t i = 0; i < g->n_vcpus; i++) {
                uint32_t share = wait ? g->vcpus[i].wait_permyriad : g->vcpus[i].busy_permyriad;

                if (!g->vcpus[i].online || share == UNKNOWN_PERMYRIAD)
                        continue;
                sum += share;
                n++;
        }
        if (n == 0)
                return -ENODATA;
        *ret = sum / n;
        return 0;
}

static int guest_cpu_busy(const MetricSource *from, bool percent _unused_, uint64_t *ret) {
        return guest_cpu(from->guest, false, ret);
}

static int guest_cpu_wait(const MetricSource *from, bool percent _unused_, uint64_t *ret) {
        return guest_cpu(from->guest, true, ret);
}

static int guest_vcpus(const MetricSource *from, bool percent _unused_, uint64_t *ret) {
        *ret = guest_online_vcpus(from->guest);
        return 0;
}

static int guest_memory_current(const MetricSource *from, bool percent, uint64_t *ret) {
        return amount(from->guest->current_bytes, from->guest->max_bytes, percent, ret);
}

static int guest_memory_resident(const MetricSource *from, bool percent, uint64_t *ret) {
        return amount(from->guest->rss_bytes, from->guest->max_bytes, percent, ret);
}

static bool said_lately(const Guest *g) {
        return g->stats.age_usec != UNKNOWN_U64 && g->stats.age_usec <= STATS_AGE_MAX;
}

static int guest_memory_usable(const MetricSource *from, bool percent, uint64_t *ret) {
        const Guest *g = from->guest;

        return said_lately(g) ? amount(g->stats.usable_bytes, g->current_bytes, percent, ret) : -ENODATA;
}

static int guest_swap_in(const MetricSource *from, bool percent _unused_, uint64_t *ret) {
        return said_lately(from->guest) ? known_u64(from->guest->stats.swap_in_bytes, ret) : -ENODATA;
}

static int guest_major_faults(const MetricSource *from, bool percent _unused_, uint64_t *ret) {
        return said_lately(from->guest) ? known_u64(from->guest->stats.major_faults, ret) : -ENODATA;
}

static int guest_psi_memory_some(const MetricSource *from, bool percent _unused_, uint64_t *ret) {
        return known_permyriad(from->guest->psi_memory.some_permyriad, ret);
}

static int guest_psi_memory_full(const MetricSource *from, bool percent _unused_, uint64_t *ret) {
        return known_permyriad(from->guest->psi_memory.full_permyriad, ret);
}

static const MetricInfo metrics[_METRIC_MAX] = {
        [METRIC_HOST_MEMORY_AVAILABLE] = { "host.memory.available", host_memory_available, METRIC_OF_HOST,
                                           .size = true, .percent = true },
        [METRIC_HOST_MEMORY_FREE] = { "host.memory.free", host_memory_free, METRIC_OF_HOST, .size = true,
                                      .percent = true },
        [METRIC_HOST_SWAP_USED] = { "host.swap.used", host_swap_used, METRIC_OF_HOST, .size = true,
                                    .percent = true },
        [METRIC_HOST_SWAP_IN] = { "host.swap.in", host_swap_in, METRIC_OF_HOST, .size = true },
        [METRIC_HOST_SWAP_OUT] = { "host.swap.out", host_swap_out, METRIC_OF_HOST, .size = true },
        [METRIC_HOST_CPU_BUSY] = { "host.cpu.busy", host_cpu_busy, METRIC_OF_HOST, .percent = true },
        [METRIC_HOST_PSI_MEMORY_SOME] = { "host.psi.memory.some", psi_memory_some, METRIC_OF_HOST, .percent = true },
        [METRIC_HOST_PSI_MEMORY_FULL] = { "host.psi.memory.full", psi_memory_full, METRIC_OF_HOST, .percent = true },
        [METRIC_HOST_PSI_CPU_SOME] = { "host.psi.cpu.some", psi_cpu_some, METRIC_OF_HOST, .percent = true },
        [METRIC_HOST_PSI_IO_SOME] = { "host.psi.io.some", psi_io_some, METRIC_OF_HOST, .percent = true },
        [METRIC_HOST_PSI_IO_FULL] = { "host.psi.io.full", psi_io_full, METRIC_OF_HOST, .percent = true },
        [METRIC_HOST_GUESTS] = { "host.guests", host_guests, METRIC_OF_HOST, .number = true },
        [METRIC_HOST_VCPUS] = { "host.vcpus", host_vcpus, METRIC_OF_HOST, .number = true },
        [METRIC_KSM_PAGES_SHARING] = { "ksm.pages_sharing", ksm_pages_sharing, METRIC_OF_HOST, .number = true },
        [METRIC_KSM_PAGES_UNSHARED] = { "ksm.pages_unshared", ksm_pages_unshared, METRIC_OF_HOST, .number = true },
        [METRIC_KSM_PROFIT] = { "ksm.profit", ksm_profit, METRIC_OF_HOST, .size = true },
        [METRIC_KSM_CPU] = { "ksm.cpu", ksm_cpu, METRIC_OF_HOST, .percent = true },
        [METRIC_NODE_MEMORY_FREE] = { "node.memory.free", node_memory_free, METRIC_OF_NODE, .size = true,
                                      .percent = true },
        [METRIC_NODE_CPU_BUSY] = { "node.cpu.busy", node_cpu_busy, METRIC_OF_NODE, .percent = true },
        [METRIC_NODE_HUGEPAGES_FREE] = { "node.hugepages.free", node_hugepages_free, METRIC_OF_NODE, .size = true },
        [METRIC_GUEST_CPU_BUSY] = { "guest.cpu.busy", guest_cpu_busy, METRIC_OF_GUEST, .percent = true },
        [METRIC_GUEST_CPU_WAIT] = { "guest.cpu.wait", guest_cpu_wait, METRIC_OF_GUEST, .percent = true },
        [METRIC_GUEST_VCPUS] = { "guest.vcpus", guest_vcpus, METRIC_OF_GUEST, .number = true },
        [METRIC_GUEST_MEMORY_CURRENT] = { "guest.memory.current", guest_memory_current, METRIC_OF_GUEST,
                                          .size = true, .percent = true },
        [METRIC_GUEST_MEMORY_RESIDENT] = { "guest.memory.resident", guest_memory_resident, METRIC_OF_GUEST,
                                           .size = true, .percent = true },
        [METRIC_GUEST_MEMORY_USABLE] = { "guest.memory.usable", guest_memory_usable, METRIC_OF_GUEST, .size = true,
                                         .percent = true },
        [METRIC_GUEST_SWAP_IN] = { "guest.swap_in", guest_swap_in, METRIC_OF_GUEST, .size = true },
        [METRIC_GUEST_MAJOR_FAULTS] = { "guest.major_faults", guest_major_faults, METRIC_OF_GUEST, .number = true },
        [METRIC_GUEST_PSI_MEMORY_SOME] = { "guest.psi.memory.some", guest_psi_memory_some, METRIC_OF_GUEST,
                                           .percent = true },
        [METRIC_GUEST_PSI_MEMORY_FULL] = { "guest.psi.memory.full", guest_psi_memory_full, METRIC_OF_GUEST,
                                           .percent = true },
};

static const MetricInfo *info_of(Metric m) {
        return (int)m >= 0 && m < _METRIC_MAX ? &metrics[m] : NULL;
}

const char *metric_to_string(Metric m) {
        return info_of(m) ? metrics[m].name : NULL;
}

Metric metric_from_string(const char *s) {
        for (size_t i = 0; i < _METRIC_MAX; i++)
                if (streq(metrics[i].name, s))
                        return (Metric)i;
        return _METRIC_INVALID;
}

MetricScope metric_scope(Metric m) {
        return metrics[m].scope;
}

bool metric_needs_stats(Metric m) {
        return m == METRIC_GUEST_MEMORY_USABLE || m == METRIC_GUEST_SWAP_IN || m == METRIC_GUEST_MAJOR_FAULTS;
}

bool metric_takes_size(Metric m) {
        return metrics[m].size;
}

bool metric_takes_percent(Metric m) {
        return metrics[m].percent;
}

bool metric_takes_number(Metric m) {
        return metrics[m].number;
}

int metric_value(const MetricSource *from, Metric metric, bool percent, uint64_t *ret) {
        const MetricInfo *info = info_of(metric);

        if (!info || (percent ? !info->percent : !info->size && !info->number))
                return -EINVAL;
        if (info->scope == METRIC_OF_GUEST && !from->guest)
                return -ENODATA;
        return info->get(from, percent, ret);
}
