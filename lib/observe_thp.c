/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "observe.h"

#include "sysfs.h"

#define THP_DIR "sys/kernel/mm/transparent_hugepage/"

struct ThpObserver {
        SysfsFile enabled, defrag;
        SysfsFile pages_to_scan, scan_sleep_millisecs, max_ptes_none;
        SysfsFile numa_balancing;
};

ThpObserver *thp_observer_free(ThpObserver *o) {
        if (!o)
                return NULL;
        sysfs_file_done(&o->enabled);
        sysfs_file_done(&o->defrag);
        sysfs_file_done(&o->pages_to_scan);
        sysfs_file_done(&o->scan_sleep_millisecs);
        sysfs_file_done(&o->max_ptes_none);
        sysfs_file_done(&o->numa_balancing);
        free(o);
        return NULL;
}
DEFINE_CLEANUP(ThpObserver, thp_observer_free)

int thp_observer_new(ThpObserver **ret) {
        _cleanup_(thp_observer_freep) ThpObserver *o = NULL;

        o = calloc(1, sizeof(*o));
        if (!o || sysfs_file_init(&o->enabled, THP_DIR "enabled") < 0 ||
            sysfs_file_init(&o->defrag, THP_DIR "defrag") < 0 ||
            sysfs_file_init(&o->pages_to_scan, THP_DIR "khugepaged/pages_to_scan") < 0 ||
            sysfs_file_init(&o->scan_sleep_millisecs, THP_DIR "khugepaged/scan_sleep_millisecs") < 0 ||
            sysfs_file_init(&o->max_ptes_none, THP_DIR "khugepaged/max_ptes_none") < 0 ||
            sysfs_file_init(&o->numa_balancing, "proc/sys/kernel/numa_balancing") < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(o);
        return 0;
}

/* "always [madvise] never": the one chosen, and all without the brackets; "" when they do not fit. */
static void read_word(SysfsFile *f, int root_fd, char *ret, size_t size, char *ret_choices, size_t choices_size) {
        const char *text;
        size_t n = 0;

        if (sysfs_file_read_optional(f, root_fd, &text) < 0)
                return;
        sysfs_selected_word(text, ret, size);
        for (; *text && *text != '\n'; text++) {
                if (*text == '[' || *text == ']')
                        continue;
                if (n + 1 >= choices_size) {
                        ret_choices[0] = '\0';
                        return;
                }
                ret_choices[n++] = *text;
        }
        ret_choices[n] = '\0';
}

int thp_observe(ThpObserver *o, int root_fd, Host *host) {
        uint64_t numa_balancing = UNKNOWN_U64;
        ThpStatus t = {
                .khugepaged_pages_to_scan = UNKNOWN_U64,
                .khugepaged_scan_sleep_millisecs = UNKNOWN_U64,
                .khugepaged_max_ptes_none = UNKNOWN_U64,
        };

        read_word(&o->enabled, root_fd, t.enabled, sizeof(t.enabled), t.enabled_choices, sizeof(t.enabled_choices));
        read_word(&o->defrag, root_fd, t.defrag, sizeof(t.defrag), t.defrag_choices, sizeof(t.defrag_choices));
        (void)sysfs_file_read_optional_u64(&o->pages_to_scan, root_fd, &t.khugepaged_pages_to_scan);
        (void)sysfs_file_read_optional_u64(&o->scan_sleep_millisecs, root_fd, &t.khugepaged_scan_sleep_millisecs);
        (void)sysfs_file_read_optional_u64(&o->max_ptes_none, root_fd, &t.khugepaged_max_ptes_none);
        (void)sysfs_file_read_optional_u64(&o->numa_balancing, root_fd, &numa_balancing);
        host->thp = t;
        host->numa_balancing = numa_balancing;
        return 0;
}
