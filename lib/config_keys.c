/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The table of every setting. Loader, resolver, printers and the test of the
 * manual page go by it: a new setting is a new row (and a new Key).
 */

#include "config.h"

static const char *const on_stop_names[] = { "restore", "keep", NULL };
static const char *const competitors_names[] = { "report", "yield", "takeover", NULL };
static const char *const cpu_policy_names[] = { "none", "shared", "pinned", "dedicated", NULL };
static const char *const cpu_threads_names[] = { "prefer", "isolate", "require", NULL };
static const char *const helper_names[] = { "none", "follow", "isolate", NULL };
static const char *const follow_names[] = { "none", "follow", NULL };
static const char *const numa_policy_names[] = { "none", "auto", NULL };
static const char *const memory_only_names[] = { "never", "overflow", NULL };
static const char *const ksm_mode_names[] = { "keep", "off", "on", "auto", "ksmtuned", "mom", "kubevirt", NULL };
static const char *const ksm_stopped_names[] = { "keep", "unmerge", NULL };
static const char *const ksm_across_names[] = { "keep", "yes", "no", "auto", NULL };
static const char *const ksm_exposed_names[] = { "ignore", "report", "forbid", NULL };
static const char *const kernel_mode_names[] = { "keep", "on", "off", "auto", NULL };
static const char *const balloon_mode_names[] = { "off", "target", "auto", "pve", "mom", "proportional", NULL };
static const char *const hugepages_mode_names[] = { "keep", "auto", "fixed", NULL };
static const char *const thp_enabled_names[] = { "keep", "always", "madvise", "never", NULL };
static const char *const thp_defrag_names[] = { "keep", "always", "defer", "defer+madvise", "madvise", "never", NULL };
static const char *const vcpus_mode_names[] = { "off", "auto", "fixed", NULL };

#define KEY(g, n, t, s, d) .group = g, .name = n, .type = t, .scope = s, .default_text = d
#define ENUM_KEY(g, n, s, d, names) KEY(g, n, TYPE_ENUM, s, d), .choices = names
#define PERCENT_RANGE .minimum = 0, .maximum = PERMYRIAD_FULL
/* libvirt and QEMU allow no more by far. */
#define VCPUS_MAXIMUM 4096
#define SIZE_MAXIMUM (1024 * (1024 * GIB))
/* A guest's QEMU needs more than the guest's memory. */
#define LIMIT_RANGE .minimum = MIB, .maximum = SIZE_MAXIMUM, .allow_keep = true, \
        .percent_maximum = UINT64_C(10) * PERMYRIAD_FULL

const KeyInfo config_keys[_KEY_MAX] = {
        [KEY_DAEMON_URI] = { KEY("daemon", "uri", TYPE_STRING, SCOPE_DAEMON, "qemu:///system"),
                             .minimum = 1, .maximum = 1023, .uri = true },
        [KEY_DAEMON_INTERVAL] = { KEY("daemon", "interval", TYPE_DURATION, SCOPE_DAEMON, "10 s"),
                                  .minimum = USEC_PER_SEC, .maximum = USEC_PER_HOUR },
        [KEY_DAEMON_DRY_RUN] = { KEY("daemon", "dry_run", TYPE_BOOL, SCOPE_DAEMON, "false") },
        [KEY_DAEMON_ON_STOP] = { ENUM_KEY("daemon", "on_stop", SCOPE_DAEMON, "restore", on_stop_names) },
        [KEY_DAEMON_METRICS_FILE] = { KEY("daemon", "metrics_file", TYPE_STRING, SCOPE_DAEMON, ""), .maximum = 4000,
                                      .absolute_path = true },
        [KEY_DAEMON_METRICS_GUESTS] = { KEY("daemon", "metrics_guests", TYPE_UINT, SCOPE_DAEMON, "100"),
                                        .maximum = 10000 },
        [KEY_DAEMON_COMPETITORS] = { ENUM_KEY("daemon", "competitors", SCOPE_DAEMON, "report", competitors_names) },

        [KEY_HOST_RESERVED_CPUS] = { KEY("host", "reserved_cpus", TYPE_CPUSET, SCOPE_HOST, "") },
        [KEY_HOST_RESERVED_MEMORY] = { KEY("host", "reserved_memory", TYPE_AMOUNT, SCOPE_HOST, "auto"),
                                       .maximum = SIZE_MAXIMUM, .allow_auto = true },

        [KEY_CPU_POLICY] = { ENUM_KEY("cpu", "policy", SCOPE_GUEST, "none", cpu_policy_names) },
        [KEY_CPU_THREADS] = { ENUM_KEY("cpu", "threads", SCOPE_GUEST, "prefer", cpu_threads_names) },
        /* The default of nova's initial_cpu_allocation_ratio (nova/conf/compute.py). */
        [KEY_CPU_OVERCOMMIT] = { KEY("cpu", "overcommit", TYPE_PERMYRIAD, SCOPE_GUEST, "400 %"),
                                 .minimum = PERMYRIAD_FULL, .maximum = UINT64_C(100) * PERMYRIAD_FULL },
        [KEY_CPU_EMULATOR] = { ENUM_KEY("cpu", "emulator", SCOPE_GUEST, "follow", helper_names) },
        [KEY_CPU_IOTHREADS] = { ENUM_KEY("cpu", "iothreads", SCOPE_GUEST, "follow", helper_names) },

        [KEY_NUMA_POLICY] = { ENUM_KEY("numa", "policy", SCOPE_GUEST, "auto", numa_policy_names) },
        [KEY_NUMA_MEMORY] = { ENUM_KEY("numa", "memory", SCOPE_GUEST, "follow", follow_names) },
        [KEY_NUMA_MEMORY_ONLY] = { ENUM_KEY("numa", "memory_only", SCOPE_GUEST, "never", memory_only_names) },
        [KEY_NUMA_MOVE_RATE] = { KEY("numa", "move_rate", TYPE_RATE, SCOPE_GUEST, "256 MiB/s"),
                                 .minimum = MIB, .maximum = 1024 * GIB },
        [KEY_NUMA_COOLDOWN] = { KEY("numa", "cooldown", TYPE_DURATION, SCOPE_GUEST, "10 min"),
                                .minimum = 10 * USEC_PER_SEC, .maximum = USEC_PER_DAY },

        [KEY_KSM_MODE] = { ENUM_KEY("ksm", "mode", SCOPE_HOST, "keep", ksm_mode_names) },
        /* The kernel's advisor's own default: KSM_ADVISOR_SCAN_TIME_TARGET in mm/ksm.c. */
        [KEY_KSM_SCAN_TIME] = { KEY("ksm", "scan_time", TYPE_DURATION, SCOPE_HOST, "200 s"),
                                .minimum = USEC_PER_SEC, .maximum = USEC_PER_DAY, .multiple = USEC_PER_SEC },
        [KEY_KSM_MAX_CPU] = { KEY("ksm", "max_cpu", TYPE_PERMYRIAD, SCOPE_HOST, "50 %"),
                              .minimum = 100, .maximum = PERMYRIAD_FULL },
        [KEY_KSM_PAGES_TO_SCAN] = { KEY("ksm", "pages_to_scan", TYPE_UINT, SCOPE_HOST, "100"),
                                    .minimum = 1, .maximum = 1000000 },
        [KEY_KSM_SLEEP] = { KEY("ksm", "sleep", TYPE_DURATION, SCOPE_HOST, "20 ms"),
                            .maximum = 10 * USEC_PER_SEC, .multiple = USEC_PER_MSEC },
        [KEY_KSM_START] = { KEY("ksm", "start", TYPE_PERMYRIAD, SCOPE_HOST, "20 %"), PERCENT_RANGE },
        [KEY_KSM_STOP] = { KEY("ksm", "stop", TYPE_PERMYRIAD, SCOPE_HOST, "30 %"), PERCENT_RANGE },
        [KEY_KSM_WHEN_STOPPED] = { ENUM_KEY("ksm", "when_stopped", SCOPE_HOST, "keep", ksm_stopped_names) },
        [KEY_KSM_MERGE_ACROSS_NODES] = { ENUM_KEY("ksm", "merge_across_nodes", SCOPE_HOST, "keep", ksm_across_names) },
        [KEY_KSM_SHARE] = { KEY("ksm", "share", TYPE_BOOL, SCOPE_GUEST, "true") },
        [KEY_KSM_EXPOSED] = { ENUM_KEY("ksm", "exposed", SCOPE_HOST, "forbid", ksm_exposed_names) },

        [KEY_BALLOON_MODE] = { ENUM_KEY("balloon", "mode", SCOPE_GUEST, "off", balloon_mode_names) },
        [KEY_BALLOON_TARGET] = { KEY("balloon", "target", TYPE_AMOUNT, SCOPE_GUEST, "100 %"),
                                 .minimum = MIB, .maximum = SIZE_MAXIMUM },
        [KEY_BALLOON_MINIMUM] = { KEY("balloon", "minimum", TYPE_AMOUNT, SCOPE_GUEST, "50 %"),
                                  .minimum = MIB, .maximum = SIZE_MAXIMUM, .allow_auto = true },
        [KEY_BALLOON_STEP] = { KEY("balloon", "step", TYPE_AMOUNT, SCOPE_GUEST, "5 %"),
                               .minimum = MIB, .maximum = SIZE_MAXIMUM },
        [KEY_BALLOON_RECLAIM] = { KEY("balloon", "reclaim", TYPE_BOOL, SCOPE_GUEST, "false") },
        [KEY_BALLOON_START] = { KEY("balloon", "start", TYPE_PERMYRIAD, SCOPE_HOST, "15 %"), PERCENT_RANGE },
        [KEY_BALLOON_STOP] = { KEY("balloon", "stop", TYPE_PERMYRIAD, SCOPE_HOST, "25 %"), PERCENT_RANGE },
        [KEY_BALLOON_RESERVE] = { KEY("balloon", "reserve", TYPE_PERMYRIAD, SCOPE_GUEST, "20 %"), PERCENT_RANGE },
        /* Range and default of the option `shares` of qm.conf(5). */
        [KEY_BALLOON_SHARES] = { KEY("balloon", "shares", TYPE_UINT, SCOPE_GUEST, "1000"), .maximum = 50000 },
        [KEY_BALLOON_STATS_PERIOD] = { KEY("balloon", "stats_period", TYPE_DURATION, SCOPE_GUEST, "10 s"),
                                       .minimum = USEC_PER_SEC, .maximum = USEC_PER_HOUR,
                                       .multiple = USEC_PER_SEC },

        [KEY_VCPUS_MODE] = { ENUM_KEY("vcpus", "mode", SCOPE_GUEST, "off", vcpus_mode_names) },
        [KEY_VCPUS_COUNT] = { KEY("vcpus", "count", TYPE_UINT, SCOPE_GUEST, "0"), .maximum = VCPUS_MAXIMUM },
        [KEY_VCPUS_MINIMUM] = { KEY("vcpus", "minimum", TYPE_UINT, SCOPE_GUEST, "0"), .maximum = VCPUS_MAXIMUM },
        [KEY_VCPUS_START] = { KEY("vcpus", "start", TYPE_PERMYRIAD, SCOPE_GUEST, "85 %"), PERCENT_RANGE },
        [KEY_VCPUS_STOP] = { KEY("vcpus", "stop", TYPE_PERMYRIAD, SCOPE_GUEST, "40 %"), PERCENT_RANGE },
        [KEY_VCPUS_DWELL] = { KEY("vcpus", "dwell", TYPE_DURATION, SCOPE_GUEST, "30 s"), .maximum = USEC_PER_DAY },
        [KEY_VCPUS_COOLDOWN] = { KEY("vcpus", "cooldown", TYPE_DURATION, SCOPE_GUEST, "2 min"),
                                 .maximum = USEC_PER_DAY },
        [KEY_VCPUS_HOST_IDLE] = { KEY("vcpus", "host_idle", TYPE_PERMYRIAD, SCOPE_GUEST, "20 %"), PERCENT_RANGE },

        [KEY_KERNEL_NUMA_BALANCING] = { ENUM_KEY("kernel", "numa_balancing", SCOPE_HOST, "keep", kernel_mode_names) },

        [KEY_MEMTUNE_HARD_LIMIT] = { KEY("memtune", "hard_limit", TYPE_AMOUNT, SCOPE_GUEST, "keep"), LIMIT_RANGE,
                                     .allow_auto = true },
        [KEY_MEMTUNE_SWAP_HARD_LIMIT] = { KEY("memtune", "swap_hard_limit", TYPE_AMOUNT, SCOPE_GUEST, "keep"),
                                          LIMIT_RANGE },
        [KEY_MEMTUNE_SOFT_LIMIT] = { KEY("memtune", "soft_limit", TYPE_AMOUNT, SCOPE_GUEST, "keep"), LIMIT_RANGE },

        [KEY_HUGEPAGES_MODE] = { ENUM_KEY("hugepages", "mode", SCOPE_HOST, "keep", hugepages_mode_names) },
        [KEY_HUGEPAGES_SIZE] = { KEY("hugepages", "size", TYPE_AMOUNT, SCOPE_HOST, "auto"),
                                 .minimum = 64 * KIB, .maximum = 16 * GIB, .size_only = true, .allow_auto = true },
        [KEY_HUGEPAGES_TARGET] = { KEY("hugepages", "target", TYPE_AMOUNT, SCOPE_HOST, "0 B"),
                                   .maximum = SIZE_MAXIMUM },
        [KEY_HUGEPAGES_MINIMUM] = { KEY("hugepages", "minimum", TYPE_AMOUNT, SCOPE_HOST, "auto"),
                                    .maximum = SIZE_MAXIMUM, .allow_auto = true },
        [KEY_HUGEPAGES_MAXIMUM] = { KEY("hugepages", "maximum", TYPE_AMOUNT, SCOPE_HOST, "80 %"),
                                    .maximum = SIZE_MAXIMUM },
        [KEY_HUGEPAGES_SPARE] = { KEY("hugepages", "spare", TYPE_AMOUNT, SCOPE_HOST, "0 B"), .maximum = SIZE_MAXIMUM },
        [KEY_HUGEPAGES_DWELL] = { KEY("hugepages", "dwell", TYPE_DURATION, SCOPE_HOST, "10 min"),
                                  .maximum = USEC_PER_DAY },

        [KEY_THP_ENABLED] = { ENUM_KEY("thp", "enabled", SCOPE_HOST, "keep", thp_enabled_names) },
        [KEY_THP_DEFRAG] = { ENUM_KEY("thp", "defrag", SCOPE_HOST, "keep", thp_defrag_names) },
        [KEY_THP_PAGES_TO_SCAN] = { KEY("thp", "pages_to_scan", TYPE_UINT, SCOPE_HOST, "keep"),
                                    .minimum = 1, .maximum = 10000000, .allow_keep = true },
        [KEY_THP_SCAN_SLEEP] = { KEY("thp", "scan_sleep", TYPE_DURATION, SCOPE_HOST, "keep"),
                                 .maximum = USEC_PER_HOUR, .multiple = USEC_PER_MSEC, .allow_keep = true },
        /* The kernel allows one less than the pages of a huge one: 511 on most machines, 8191 with pages of 64 KiB. */
        [KEY_THP_MAX_PTES_NONE] = { KEY("thp", "max_ptes_none", TYPE_UINT, SCOPE_HOST, "keep"),
                                    .maximum = 8191, .allow_keep = true },
};

Key config_key_find(const char *group, const char *name) {
        for (size_t i = 0; i < _KEY_MAX; i++)
                if (streq(config_keys[i].group, group) && streq(config_keys[i].name, name))
                        return (Key)i;
        return _KEY_INVALID;
}
