/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a threshold can look at, and in which units. */

#include "rules.h"

static const char *const metric_table[_METRIC_MAX] = {
        [METRIC_HOST_MEMORY_AVAILABLE] = "host.memory.available",
        [METRIC_HOST_MEMORY_FREE] = "host.memory.free",
        [METRIC_HOST_SWAP_USED] = "host.swap.used",
        [METRIC_HOST_CPU_BUSY] = "host.cpu.busy",
        [METRIC_HOST_PSI_MEMORY_SOME] = "host.psi.memory.some",
        [METRIC_HOST_PSI_MEMORY_FULL] = "host.psi.memory.full",
        [METRIC_HOST_PSI_CPU_SOME] = "host.psi.cpu.some",
        [METRIC_HOST_PSI_IO_SOME] = "host.psi.io.some",
        [METRIC_HOST_PSI_IO_FULL] = "host.psi.io.full",
        [METRIC_HOST_GUESTS] = "host.guests",
        [METRIC_HOST_VCPUS] = "host.vcpus",
        [METRIC_KSM_PAGES_SHARING] = "ksm.pages_sharing",
        [METRIC_KSM_PROFIT] = "ksm.profit",
};
DEFINE_STRING_TABLE(metric, Metric, metric_table)

bool metric_takes_size(Metric m) {
        return m == METRIC_HOST_MEMORY_AVAILABLE || m == METRIC_HOST_MEMORY_FREE || m == METRIC_HOST_SWAP_USED ||
               m == METRIC_KSM_PROFIT;
}

bool metric_takes_percent(Metric m) {
        return m >= METRIC_HOST_MEMORY_AVAILABLE && m <= METRIC_HOST_PSI_IO_FULL;
}

bool metric_takes_number(Metric m) {
        return m == METRIC_HOST_GUESTS || m == METRIC_HOST_VCPUS || m == METRIC_KSM_PAGES_SHARING;
}

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

static int swap_used(const HostMemory *m, bool percent, uint64_t *ret) {
        if (m->swap_total_bytes == UNKNOWN_U64 || m->swap_free_bytes == UNKNOWN_U64)
                return -ENODATA;
        return amount(u64_sub(m->swap_total_bytes, m->swap_free_bytes), m->swap_total_bytes, percent, ret);
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

static int ksm_value(const KsmStatus *ksm, Metric metric, uint64_t *ret) {
        if (!ksm->present)
                return -ENODATA;
        if (metric == METRIC_KSM_PAGES_SHARING)
                return known_u64(ksm->pages_sharing, ret);
        *ret = ksm->general_profit_bytes > 0 ? (uint64_t)ksm->general_profit_bytes : 0;
        return 0;
}

int metric_value(const Snapshot *snapshot, Metric metric, bool percent, uint64_t *ret) {
        const Host *h = &snapshot->host;

        if (percent ? !metric_takes_percent(metric) : !metric_takes_size(metric) && !metric_takes_number(metric))
                return -EINVAL;
        switch (metric) {
        case METRIC_HOST_MEMORY_AVAILABLE:
                return amount(h->memory.available_bytes, h->memory.total_bytes, percent, ret);
        case METRIC_HOST_MEMORY_FREE:
                return amount(h->memory.free_bytes, h->memory.total_bytes, percent, ret);
        case METRIC_HOST_SWAP_USED:
                return swap_used(&h->memory, percent, ret);
        case METRIC_HOST_CPU_BUSY:
                return known_permyriad(h->cpu_busy_permyriad, ret);
        case METRIC_HOST_PSI_MEMORY_SOME:
                return known_permyriad(h->psi_memory.some_permyriad, ret);
        case METRIC_HOST_PSI_MEMORY_FULL:
                return known_permyriad(h->psi_memory.full_permyriad, ret);
        case METRIC_HOST_PSI_CPU_SOME:
                return known_permyriad(h->psi_cpu.some_permyriad, ret);
        case METRIC_HOST_PSI_IO_SOME:
                return known_permyriad(h->psi_io.some_permyriad, ret);
        case METRIC_HOST_PSI_IO_FULL:
                return known_permyriad(h->psi_io.full_permyriad, ret);
        case METRIC_HOST_GUESTS:
        case METRIC_HOST_VCPUS:
                *ret = count_running(snapshot, metric == METRIC_HOST_VCPUS);
                return 0;
        case METRIC_KSM_PAGES_SHARING:
        case METRIC_KSM_PROFIT:
                return ksm_value(&h->ksm, metric, ret);
        case _METRIC_MAX:
        case _METRIC_INVALID:
                break;
        }
        return -EINVAL;
}
