/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "observe.h"

#include "parse.h"
#include "sysfs.h"

#include <stdio.h>

/* QEMU's arguments hold "-uuid" and then the guest's, each ended by NUL. */
static bool has_uuid(const char *cmdline, size_t size, const char *uuid) {
        const char *end = cmdline + size, *p = cmdline;
        bool next_is_uuid = false;

        while (p < end) {
                if (next_is_uuid && strcasecmp(p, uuid) == 0)
                        return true;
                next_is_uuid = streq(p, "-uuid");
                p += strlen(p) + 1;
        }
        return false;
}

static bool process_is_guest(int root_fd, uint64_t pid, const char *uuid) {
        _cleanup_free_ char *cmdline = NULL;
        char path[64];
        size_t size;

        (void)snprintf(path, sizeof(path), "proc/%llu/cmdline", (unsigned long long)pid);
        return sysfs_read(root_fd, path, &cmdline, &size) >= 0 && has_uuid(cmdline, size, uuid);
}

/* libvirt's pid file; it may be left over from a guest long gone. */
static int find_by_pid_file(int root_fd, const char *name, const char *uuid, uint64_t *ret) {
        _cleanup_free_ char *path = NULL;
        uint64_t pid;
        int r;

        if (strchr(name, '/'))
                return -ESRCH;
        r = strprintf_to(&path, "run/libvirt/qemu/%s.pid", name);
        if (r < 0)
                return r;
        if (sysfs_read_u64(root_fd, path, &pid) < 0 || !process_is_guest(root_fd, pid, uuid))
                return -ESRCH;
        *ret = pid;
        return 0;
}

static int find_by_command_line(int root_fd, const char *uuid, uint64_t *ret) {
        _cleanup_free_ uint64_t *pids = NULL;
        size_t n = 0;
        int r;

        r = sysfs_list_numbers(root_fd, "proc", "", "", &pids, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                if (process_is_guest(root_fd, pids[i], uuid)) {
                        *ret = pids[i];
                        return 0;
                }
        return -ESRCH;
}

int guest_process_find(int root_fd, const char *name, const char *uuid, int32_t *ret_pid) {
        uint64_t pid = 0;
        int r;

        r = find_by_pid_file(root_fd, name, uuid, &pid);
        if (r == -ESRCH)
                r = find_by_command_line(root_fd, uuid, &pid);
        if (r < 0)
                return r;
        if (pid == 0 || pid > INT32_MAX)
                return -ESRCH;
        *ret_pid = (int32_t)pid;
        return 0;
}

#define STAT_START_FIELD 22U

int guest_process_start_time(int root_fd, int32_t pid, uint64_t *ret) {
        _cleanup_free_ char *stat = NULL;
        char path[64];
        const char *p;
        int r;

        (void)snprintf(path, sizeof(path), "proc/%d/stat", (int)pid);
        r = sysfs_read(root_fd, path, &stat, NULL);
        if (r < 0)
                return r == -ENOENT ? -ESRCH : r;
        /* The name in field 2 may hold anything; the last parenthesis ends it. */
        p = strrchr(stat, ')');
        for (unsigned field = 2; p && field < STAT_START_FIELD; field++) {
                p = strchr(p + 1, ' ');
                if (!p)
                        return -EBADMSG;
        }
        if (!p)
                return -EBADMSG;
        p++;
        return parse_u64_prefix(&p, ret) < 0 ? -EBADMSG : 0;
}
