/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "observe.h"

#include "parse.h"
#include "sysfs.h"
#include "task_time.h"

#include <fcntl.h>
#include <stdio.h>

#define KSM_DIR "sys/kernel/mm/ksm/"

/* PF_KTHREAD in the flags of /proc/PID/stat: include/linux/sched.h */
#define PF_KTHREAD UINT64_C(0x00200000)
#define STAT_FLAGS_FIELD 9

static const struct {
        const char *path;
        size_t offset;
} ksm_fields[] = {
        { KSM_DIR "pages_to_scan", offsetof(KsmStatus, pages_to_scan) },
        { KSM_DIR "sleep_millisecs", offsetof(KsmStatus, sleep_millisecs) },
        { KSM_DIR "merge_across_nodes", offsetof(KsmStatus, merge_across_nodes) },
        { KSM_DIR "pages_shared", offsetof(KsmStatus, pages_shared) },
        { KSM_DIR "pages_sharing", offsetof(KsmStatus, pages_sharing) },
        { KSM_DIR "pages_unshared", offsetof(KsmStatus, pages_unshared) },
        { KSM_DIR "pages_volatile", offsetof(KsmStatus, pages_volatile) },
        { KSM_DIR "full_scans", offsetof(KsmStatus, full_scans) },
        { KSM_DIR "advisor_max_cpu", offsetof(KsmStatus, advisor_max_cpu) },
        { KSM_DIR "advisor_target_scan_time", offsetof(KsmStatus, advisor_target_scan_time) },
        { KSM_DIR "smart_scan", offsetof(KsmStatus, smart_scan) },
};

struct KsmObserver {
        SysfsFile run, general_profit, advisor_mode;
        SysfsFile fields[ELEMENTSOF(ksm_fields)];
        KsmStatus last;         /* that was present, for when it is again */
        bool looked;            /* for ksmd, and whether "run" may be written */
        bool writable;
        bool ksmd_found;
        TaskTime ksmd;
};

KsmObserver *ksm_observer_free(KsmObserver *o) {
        if (!o)
                return NULL;
        sysfs_file_done(&o->run);
        sysfs_file_done(&o->general_profit);
        sysfs_file_done(&o->advisor_mode);
        for (size_t i = 0; i < ELEMENTSOF(o->fields); i++)
                sysfs_file_done(&o->fields[i]);
        task_time_done(&o->ksmd);
        free(o);
        return NULL;
}
DEFINE_CLEANUP(KsmObserver, ksm_observer_free)

int ksm_observer_new(KsmObserver **ret) {
        _cleanup_(ksm_observer_freep) KsmObserver *o = NULL;

        o = calloc(1, sizeof(*o));
        if (!o || sysfs_file_init(&o->run, KSM_DIR "run") < 0 ||
            sysfs_file_init(&o->general_profit, KSM_DIR "general_profit") < 0 ||
            sysfs_file_init(&o->advisor_mode, KSM_DIR "advisor_mode") < 0)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(o->fields); i++)
                if (sysfs_file_init(&o->fields[i], ksm_fields[i].path) < 0)
                        return -ENOMEM;
        *ret = TAKE_PTR(o);
        return 0;
}

/* Field @number (from 1) of /proc/PID/stat, which must lie behind the name: that may hold spaces. */
static int stat_field(const char *stat, unsigned number, uint64_t *ret) {
        const char *p = strrchr(stat, ')');

        for (unsigned i = 2; p && i < number; i++) {
                p = strchr(p, ' ');
                p = p ? p + 1 : NULL;
        }
        return p && parse_u64_prefix(&p, ret) >= 0 ? 0 : -EBADMSG;
}

static bool is_ksmd(int root_fd, uint64_t pid) {
        _cleanup_free_ char *comm = NULL, *stat = NULL;
        char path[64];
        uint64_t flags;

        (void)snprintf(path, sizeof(path), "proc/%llu/comm", (unsigned long long)pid);
        if (sysfs_read(root_fd, path, &comm, NULL) < 0 || !streq(comm, "ksmd\n"))
                return false;
        (void)snprintf(path, sizeof(path), "proc/%llu/stat", (unsigned long long)pid);
        if (sysfs_read(root_fd, path, &stat, NULL) < 0 || stat_field(stat, STAT_FLAGS_FIELD, &flags) < 0)
                return false;
        return flags & PF_KTHREAD;
}

/* A container's /proc shows no kernel threads: then there is nothing to find. */
static int find_ksmd(KsmObserver *o, int root_fd) {
        _cleanup_free_ uint64_t *pids = NULL;
        size_t n = 0;
        int r;

        r = sysfs_list_numbers(root_fd, "proc", "", "", &pids, &n);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        for (size_t i = 0; i < n; i++) {
                char path[64];

                if (!is_ksmd(root_fd, pids[i]))
                        continue;
                (void)snprintf(path, sizeof(path), "proc/%llu/schedstat", (unsigned long long)pids[i]);
                r = task_time_init(&o->ksmd, path);
                if (r < 0)
                        return r;
                o->ksmd_found = true;
                break;
        }
        return 0;
}

static int look_once(KsmObserver *o, int root_fd) {
        int r;

        if (o->looked)
                return 0;
        r = find_ksmd(o, root_fd);
        if (r < 0)
                return r;
        o->writable = faccessat(root_fd, KSM_DIR "run", W_OK, AT_EACCESS) >= 0;
        o->looked = true;
        return 0;
}

static uint32_t ksmd_busy(KsmObserver *o, int root_fd, uint64_t now_usec) {
        uint32_t busy, wait;

        if (!o->ksmd_found || task_time_observe(&o->ksmd, root_fd, now_usec, &busy, &wait) < 0)
                return UNKNOWN_PERMYRIAD;
        return busy;
}

/* One that was there and cannot be read now has the value it had: 0 would look as if somebody had set it. */
static void read_field(KsmObserver *o, size_t i, int root_fd, const KsmStatus *before, KsmStatus *k) {
        const size_t offset = ksm_fields[i].offset;
        uint64_t value;

        if (sysfs_file_read_optional_u64(&o->fields[i], root_fd, &value) >= 0)
                memcpy((char *)k + offset, &value, sizeof(value));
        else if (o->fields[i].found)
                memcpy((char *)k + offset, (const char *)before + offset, sizeof(value));
}

int ksm_observe(KsmObserver *o, int root_fd, uint64_t now_usec, Host *host) {
        KsmStatus k = {
                .ksmd_busy_permyriad = UNKNOWN_PERMYRIAD,
                .advisor_max_cpu = UNKNOWN_U64,
                .advisor_target_scan_time = UNKNOWN_U64,
                .smart_scan = UNKNOWN_U64,
                .page_bytes = (uint64_t)sysconf(_SC_PAGESIZE),
        };
        const KsmStatus *before = host->ksm.present ? &host->ksm : &o->last;
        const char *text;
        int r;

        r = sysfs_file_read_optional_u64(&o->run, root_fd, &k.run);
        if (r < 0) {
                o->last = *before;
                host->ksm = k;
                return 0;
        }
        r = look_once(o, root_fd);
        if (r < 0)
                return r;
        k.present = true;
        k.writable = o->writable;
        for (size_t i = 0; i < ELEMENTSOF(ksm_fields); i++)
                read_field(o, i, root_fd, before, &k);
        if (sysfs_file_read_optional(&o->general_profit, root_fd, &text) >= 0)
                (void)parse_i64(text, &k.general_profit_bytes);
        if (sysfs_file_read_optional(&o->advisor_mode, root_fd, &text) >= 0)
                sysfs_selected_word(text, k.advisor_mode, sizeof(k.advisor_mode));
        else if (o->advisor_mode.found)
                memcpy(k.advisor_mode, before->advisor_mode, sizeof(k.advisor_mode));
        k.ksmd_busy_permyriad = ksmd_busy(o, root_fd, now_usec);
        host->ksm = k;
        return 0;
}
