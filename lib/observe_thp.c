/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "observe.h"

#include "sysfs.h"

#define THP_DIR "sys/kernel/mm/transparent_hugepage/"

struct ThpObserver {
        SysfsFile enabled, defrag;
        SysfsFile pages_to_scan, scan_sleep_millisecs;
        SysfsFile numa_balancing;
};

ThpObserver *thp_observer_free(ThpObserver *o) {
        if (!o)
                return NULL;
        sysfs_file_done(&o->enabled);
        sysfs_file_done(&o->defrag);
        sysfs_file_done(&o->pages_to_scan);
        sysfs_file_done(&o->scan_sleep_millisecs);
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
            sysfs_file_init(&o->numa_balancing, "proc/sys/kernel/numa_balancing") < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(o);
        return 0;
}

static void read_word(SysfsFile *f, int root_fd, char *ret, size_t size) {
        const char *text;

        if (sysfs_file_read_optional(f, root_fd, &text) >= 0)
                sysfs_selected_word(text, ret, size);
}

int thp_observe(ThpObserver *o, int root_fd, Host *host) {
        uint64_t numa_balancing = UNKNOWN_U64;
        ThpStatus t = { 0 };

        read_word(&o->enabled, root_fd, t.enabled, sizeof(t.enabled));
        read_word(&o->defrag, root_fd, t.defrag, sizeof(t.defrag));
        (void)sysfs_file_read_optional_u64(&o->pages_to_scan, root_fd, &t.khugepaged_pages_to_scan);
        (void)sysfs_file_read_optional_u64(&o->scan_sleep_millisecs, root_fd, &t.khugepaged_scan_sleep_millisecs);
        (void)sysfs_file_read_optional_u64(&o->numa_balancing, root_fd, &numa_balancing);
        host->thp = t;
        host->numa_balancing = numa_balancing;
        return 0;
}
