/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot_fields.h"

#define FIELD(key_, type_, struct_, member_, ...) \
        { .key = (key_), .type = (type_), .offset = offsetof(struct_, member_), ##__VA_ARGS__ }
#define UNKNOWN_SIZE .unknown = true, .fallback = UNKNOWN_U64
#define UNKNOWN_SHARE .unknown = true, .fallback = UNKNOWN_PERMYRIAD
#define TABLE(name, array) const SnapFields name = { (array), ELEMENTSOF(array) }

static const SnapField memory_fields[] = {
        FIELD("total", SNAP_SIZE, HostMemory, total_bytes, .computed = true),
        FIELD("available", SNAP_SIZE, HostMemory, available_bytes, .computed = true),
        FIELD("free", SNAP_SIZE, HostMemory, free_bytes, .computed = true),
        FIELD("buffers", SNAP_SIZE, HostMemory, buffers_bytes),
        FIELD("cached", SNAP_SIZE, HostMemory, cached_bytes),
        FIELD("swap_total", SNAP_SIZE, HostMemory, swap_total_bytes),
        FIELD("swap_free", SNAP_SIZE, HostMemory, swap_free_bytes, .computed = true),
};
TABLE(snap_memory, memory_fields);

static const SnapField host_fields[] = {
        FIELD("kernel", SNAP_RELEASE, Host, kernel_release, UNKNOWN_SIZE),
        FIELD("cpu_busy", SNAP_SHARE, Host, cpu_busy_permyriad, UNKNOWN_SHARE),
        FIELD("hugepage_size", SNAP_SIZE, Host, hugepage_bytes, .fallback = 2 * MIB),
        FIELD("numa_balancing", SNAP_COUNT, Host, numa_balancing, .unknown = true),
        FIELD("numa_faults", SNAP_COUNT, Host, numa_faults.faults_per_sec, UNKNOWN_SIZE),
        FIELD("numa_faults_local", SNAP_COUNT, Host, numa_faults.local_per_sec, UNKNOWN_SIZE),
        FIELD("numa_migrated", SNAP_COUNT, Host, numa_faults.migrated_per_sec, UNKNOWN_SIZE),
        FIELD("swap_in", SNAP_SIZE, Host, swap_in_bytes_per_sec, UNKNOWN_SIZE),
        FIELD("swap_out", SNAP_SIZE, Host, swap_out_bytes_per_sec, UNKNOWN_SIZE),
};
TABLE(snap_host, host_fields);

static const SnapField cpu_fields[] = {
        FIELD("busy", SNAP_SHARE, CpuLoad, busy_permyriad, UNKNOWN_SHARE),
};
TABLE(snap_cpu, cpu_fields);

static const SnapField psi_fields[] = {
        FIELD("memory_some", SNAP_SHARE, Host, psi_memory.some_permyriad, UNKNOWN_SHARE),
        FIELD("memory_full", SNAP_SHARE, Host, psi_memory.full_permyriad, UNKNOWN_SHARE),
        FIELD("cpu_some", SNAP_SHARE, Host, psi_cpu.some_permyriad, UNKNOWN_SHARE),
        FIELD("cpu_full", SNAP_SHARE, Host, psi_cpu.full_permyriad, UNKNOWN_SHARE),
        FIELD("io_some", SNAP_SHARE, Host, psi_io.some_permyriad, UNKNOWN_SHARE),
        FIELD("io_full", SNAP_SHARE, Host, psi_io.full_permyriad, UNKNOWN_SHARE),
};
TABLE(snap_psi, psi_fields);

/* The kernel's own defaults (Documentation/admin-guide/mm/ksm.rst). */
static const SnapField ksm_fields[] = {
        FIELD("present", SNAP_BOOL, KsmStatus, present, .fallback = true),
        FIELD("writable", SNAP_BOOL, KsmStatus, writable, .fallback = true),
        FIELD("run", SNAP_COUNT, KsmStatus, run),
        FIELD("pages_to_scan", SNAP_COUNT, KsmStatus, pages_to_scan, .fallback = 100),
        FIELD("sleep", SNAP_MSEC, KsmStatus, sleep_millisecs, .fallback = 20),
        FIELD("merge_across_nodes", SNAP_COUNT, KsmStatus, merge_across_nodes, .fallback = 1),
        FIELD("pages_shared", SNAP_COUNT, KsmStatus, pages_shared),
        FIELD("pages_sharing", SNAP_COUNT, KsmStatus, pages_sharing),
        FIELD("pages_unshared", SNAP_COUNT, KsmStatus, pages_unshared),
        FIELD("pages_volatile", SNAP_COUNT, KsmStatus, pages_volatile),
        FIELD("full_scans", SNAP_COUNT, KsmStatus, full_scans),
        FIELD("general_profit", SNAP_SIGNED_SIZE, KsmStatus, general_profit_bytes),
        FIELD("advisor_mode", SNAP_WORD, KsmStatus, advisor_mode, .word = "",
              .size = sizeof(((KsmStatus *)NULL)->advisor_mode)),
        FIELD("advisor_max_cpu", SNAP_COUNT, KsmStatus, advisor_max_cpu, UNKNOWN_SIZE),
        FIELD("advisor_target_scan_time", SNAP_SEC, KsmStatus, advisor_target_scan_time, UNKNOWN_SIZE),
        FIELD("smart_scan", SNAP_COUNT, KsmStatus, smart_scan, UNKNOWN_SIZE),
        FIELD("page_size", SNAP_SIZE, KsmStatus, page_bytes, .fallback = 4 * KIB),
        FIELD("ksmd_busy", SNAP_SHARE, KsmStatus, ksmd_busy_permyriad, UNKNOWN_SHARE),
};
TABLE(snap_ksm, ksm_fields);

/* The kernel's own defaults (Documentation/admin-guide/mm/transhuge.rst). */
static const SnapField thp_fields[] = {
        FIELD("enabled", SNAP_WORD, ThpStatus, enabled, .word = "madvise",
              .size = sizeof(((ThpStatus *)NULL)->enabled)),
        FIELD("defrag", SNAP_WORD, ThpStatus, defrag, .word = "madvise",
              .size = sizeof(((ThpStatus *)NULL)->defrag)),
        FIELD("enabled_choices", SNAP_WORD, ThpStatus, enabled_choices, .word = "always madvise never",
              .size = sizeof(((ThpStatus *)NULL)->enabled_choices)),
        FIELD("defrag_choices", SNAP_WORD, ThpStatus, defrag_choices,
              .word = "always defer defer+madvise madvise never",
              .size = sizeof(((ThpStatus *)NULL)->defrag_choices)),
        FIELD("khugepaged_pages_to_scan", SNAP_COUNT, ThpStatus, khugepaged_pages_to_scan, .unknown = true,
              .fallback = 4096),
        FIELD("khugepaged_scan_sleep", SNAP_MSEC, ThpStatus, khugepaged_scan_sleep_millisecs, .unknown = true,
              .fallback = 10000),
        FIELD("khugepaged_max_ptes_none", SNAP_COUNT, ThpStatus, khugepaged_max_ptes_none, .unknown = true,
              .fallback = 511),
};
TABLE(snap_thp, thp_fields);

#define FACT(key, struct_, member) \
        FIELD(key, SNAP_WORD, struct_, member, .word = "", .size = sizeof(((struct_ *)NULL)->member))

static const SnapField facts_fields[] = {
        FACT("virtualization", HostFacts, virtualization),
        FACT("hypervisor", HostFacts, hypervisor),
        FACT("kvm", HostFacts, kvm),
        FACT("kvm_access", HostFacts, kvm_access),
        FACT("nested", HostFacts, nested),
        FACT("cgroup", HostFacts, cgroup),
        FACT("pressure", HostFacts, pressure),
        FACT("governor", HostFacts, governor),
        FACT("cpufreq_driver", HostFacts, cpufreq_driver),
        FACT("clocksource", HostFacts, clocksource),
        FACT("read_only", HostFacts, read_only),
        FACT("managers", HostFacts, managers),
};
TABLE(snap_facts, facts_fields);

static const SnapField node_fields[] = {
        FIELD("total", SNAP_SIZE, NodeMemory, total_bytes, .computed = true),
        FIELD("free", SNAP_SIZE, NodeMemory, free_bytes, .computed = true),
};
TABLE(snap_node, node_fields);

static const SnapField pool_fields[] = {
        FIELD("size", SNAP_SIZE, HugePool, page_bytes, .computed = true),
        FIELD("total", SNAP_COUNT, HugePool, total_pages),
        FIELD("free", SNAP_COUNT, HugePool, free_pages, .computed = true),
        FIELD("surplus", SNAP_COUNT, HugePool, surplus_pages),
};
TABLE(snap_pool, pool_fields);

static const SnapField guest_memory_fields[] = {
        FIELD("memory", SNAP_SIZE, Guest, max_bytes, .computed = true),
        FIELD("current", SNAP_SIZE, Guest, current_bytes, .computed = true),
        FIELD("rss", SNAP_SIZE, Guest, rss_bytes, .unknown = true, .computed = true),
};
TABLE(snap_guest_memory, guest_memory_fields);

static const SnapField guest_fields[] = {
        FIELD("title", SNAP_STRING, Guest, title),
        FIELD("class", SNAP_STRING, Guest, class),
        FIELD("state", SNAP_STATE, Guest, state, .fallback = GUEST_RUNNING),
        FIELD("starting", SNAP_BOOL, Guest, starting),
        FIELD("migrating", SNAP_BOOL, Guest, migrating),
        FIELD("unreachable", SNAP_BOOL, Guest, unreachable),
        FIELD("persistent", SNAP_BOOL, Guest, persistent, .fallback = true),
        FIELD("pid", SNAP_ID, Guest, pid),
        FIELD("vcpu_group", SNAP_COUNT, Guest, vcpu_group, .fallback = 1),
        FIELD("vcpu_placement_auto", SNAP_BOOL, Guest, vcpu_placement_auto),
        FIELD("advised_nodes", SNAP_SET, Guest, advised_nodes),
        FIELD("emulator_busy", SNAP_SHARE, Guest, emulator_busy_permyriad, UNKNOWN_SHARE),
        FIELD("min_guarantee", SNAP_SIZE, Guest, min_guarantee_bytes),
        FIELD("virtual", SNAP_SIZE, Guest, virtual_bytes, UNKNOWN_SIZE),
        FIELD("memory_pressure_some", SNAP_SHARE, Guest, psi_memory.some_permyriad, UNKNOWN_SHARE),
        FIELD("memory_pressure_full", SNAP_SHARE, Guest, psi_memory.full_permyriad, UNKNOWN_SHARE),
        FIELD("hard_limit", SNAP_SIZE, Guest, hard_limit_bytes),
        FIELD("swap_hard_limit", SNAP_SIZE, Guest, swap_hard_limit_bytes),
        FIELD("soft_limit", SNAP_SIZE, Guest, soft_limit_bytes),
        FIELD("balloon", SNAP_BOOL, Guest, balloon_device, .fallback = true),
        FIELD("stats_period", SNAP_SEC, Guest, stats_period_sec),
        FIELD("hugepages", SNAP_BOOL, Guest, hugepages),
        FIELD("hugepage_size", SNAP_SIZE, Guest, hugepage_bytes),
        FIELD("locked", SNAP_BOOL, Guest, locked),
        FIELD("nosharepages", SNAP_BOOL, Guest, nosharepages),
        FIELD("free_page_reporting", SNAP_BOOL, Guest, free_page_reporting),
        FIELD("shared_memory", SNAP_BOOL, Guest, shared_memory),
        FIELD("vfio", SNAP_BOOL, Guest, vfio),
        FIELD("vfio_devices", SNAP_STRING, Guest, vfio_devices),
        FIELD("vfio_nodes", SNAP_SET, Guest, vfio_nodes),
        FIELD("cgroup_cpus", SNAP_SET, Guest, cgroup_cpus),
        FIELD("cgroup_mems", SNAP_SET, Guest, cgroup_mems),
        FIELD("cpu_host_passthrough", SNAP_BOOL, Guest, cpu_host_passthrough),
        FACT("accelerator", Guest, accelerator),
        FACT("machine", Guest, machine),
        FACT("cpu_mode", Guest, cpu_mode),
        FACT("cpu_model", Guest, cpu_model),
        FACT("agent", Guest, agent),
        FACT("emulated_devices", Guest, emulated_devices),
};
TABLE(snap_guest, guest_fields);

static const SnapField thread_fields[] = {
        FIELD("online", SNAP_BOOL, GuestThread, online, .fallback = true),
        FIELD("hotpluggable", SNAP_BOOL, GuestThread, hotpluggable),
        FIELD("tid", SNAP_ID, GuestThread, tid),
        FIELD("busy", SNAP_SHARE, GuestThread, busy_permyriad, UNKNOWN_SHARE),
        FIELD("wait", SNAP_SHARE, GuestThread, wait_permyriad, UNKNOWN_SHARE),
};
TABLE(snap_thread, thread_fields);

static const SnapField stats_fields[] = {
        FIELD("unused", SNAP_SIZE, BalloonStats, unused_bytes, UNKNOWN_SIZE),
        FIELD("available", SNAP_SIZE, BalloonStats, available_bytes, UNKNOWN_SIZE),
        FIELD("usable", SNAP_SIZE, BalloonStats, usable_bytes, UNKNOWN_SIZE),
        FIELD("disk_caches", SNAP_SIZE, BalloonStats, disk_caches_bytes, UNKNOWN_SIZE),
        FIELD("swap_in", SNAP_SIZE, BalloonStats, swap_in_bytes, UNKNOWN_SIZE),
        FIELD("swap_out", SNAP_SIZE, BalloonStats, swap_out_bytes, UNKNOWN_SIZE),
        FIELD("major_faults", SNAP_COUNT, BalloonStats, major_faults, UNKNOWN_SIZE),
        FIELD("age", SNAP_USEC, BalloonStats, age_usec, .unknown = true, .computed = true),
};
TABLE(snap_stats, stats_fields);

static const SnapField numatune_fields[] = {
        FIELD("mode", SNAP_NUMATUNE, Guest, numatune_mode, .fallback = NUMATUNE_NONE),
        FIELD("nodes", SNAP_SET, Guest, numatune_nodes),
        FIELD("placement_auto", SNAP_BOOL, Guest, numatune_placement_auto),
        FIELD("defined_auto", SNAP_BOOL, Guest, numatune_defined_auto),
};
TABLE(snap_numatune, numatune_fields);

static const SnapField cell_fields[] = {
        FIELD("vcpus", SNAP_SET, GuestCell, vcpus),
        FIELD("memory", SNAP_SIZE, GuestCell, memory_bytes),
        FIELD("mode", SNAP_NUMATUNE, GuestCell, mode, .fallback = NUMATUNE_NONE),
        FIELD("nodes", SNAP_SET, GuestCell, nodeset),
};
TABLE(snap_cell, cell_fields);

static const SnapField reservation_fields[] = {
        FIELD("nodes", SNAP_SET, Reservation, nodes),
        FIELD("vcpus", SNAP_COUNT, Reservation, vcpus, .fallback = 1),
        FIELD("memory", SNAP_SIZE, Reservation, memory_bytes),
        FIELD("hugepages", SNAP_BOOL, Reservation, hugepages),
        FIELD("hugepage_size", SNAP_SIZE, Reservation, hugepage_bytes),
        FIELD("given", SNAP_USEC, Reservation, given_usec),
};
TABLE(snap_reservation, reservation_fields);

static void set_default(const SnapField *f, void *p) {
        switch (f->type) {
        case SNAP_BOOL:
                *(bool *)p = f->fallback != 0;
                break;
        case SNAP_COUNT:
        case SNAP_SIZE:
        case SNAP_SEC:
        case SNAP_MSEC:
        case SNAP_USEC:
        case SNAP_RELEASE:
                *(uint64_t *)p = f->fallback;
                break;
        case SNAP_SHARE:
                *(uint32_t *)p = (uint32_t)f->fallback;
                break;
        case SNAP_ID:
                *(int32_t *)p = 0;
                break;
        case SNAP_SIGNED_SIZE:
                *(int64_t *)p = 0;
                break;
        case SNAP_SET:
                *(IdSet *)p = IDSET_EMPTY;
                break;
        case SNAP_WORD:
                memcpy(p, f->word, strlen(f->word) + 1);
                break;
        case SNAP_STATE:
                *(GuestState *)p = (GuestState)f->fallback;
                break;
        case SNAP_NUMATUNE:
                *(NumatuneMode *)p = (NumatuneMode)f->fallback;
                break;
        case SNAP_STRING:
        case _SNAP_TYPE_MAX:
                break;
        }
}

void snap_set_defaults(const SnapFields *fields, void *record) {
        for (size_t i = 0; i < fields->n; i++)
                if (!fields->fields[i].computed)
                        set_default(&fields->fields[i], (char *)record + fields->fields[i].offset);
}

IdSet snap_default_affinity(const Topology *topology, const Guest *g, const GuestThread *t, bool vcpu) {
        IdSet allowed = topology->online;

        if (!t->online)
                return IDSET_EMPTY;
        if (t->pinned)
                allowed = idset_and(&t->pin, &topology->online);
        else if (vcpu && g->vcpu_cpuset_set)
                allowed = idset_and(&g->vcpu_cpuset, &topology->online);
        /* The kernel lets a thread run everywhere when none of its CPUs is left. */
        return idset_is_empty(&allowed) ? topology->online : allowed;
}
