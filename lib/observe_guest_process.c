/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "observe.h"

#include "parse.h"
#include "sysfs.h"

#include <stdio.h>

/*
 * QEMU's arguments say whose process it is. libvirt's pid file leads there; a guest without one (a session's, or one
 * of a host whose /run is another's) is looked for among all processes. That is dear where there are thousands: one
 * search serves every guest that is looked for at the same instant, what it found is tried first later on, and a
 * guest that it did not find is looked for ever less often.
 */

#define SEARCH_AGAIN_USEC (10 * USEC_PER_SEC)
#define SEARCH_DOUBLINGS 6U             /* up to 10 minutes and 40 seconds */

/* QEMU's arguments hold "-uuid" and then the guest's, each ended by NUL. NULL: they do not. */
static const char *uuid_among(const char *arguments, size_t size) {
        const char *end = arguments + size, *p = arguments;

        while (p < end && !streq(p, "-uuid"))
                p += strlen(p) + 1;
        if (p < end)
                p += strlen(p) + 1;
        return p < end ? p : NULL;
}

/* *@ret_arguments: what the result is in, or NULL. */
static const char *uuid_of_process(int root_fd, uint64_t pid, char **ret_arguments) {
        char path[64];
        size_t size;

        *ret_arguments = NULL;
        (void)snprintf(path, sizeof(path), "proc/%llu/cmdline", (unsigned long long)pid);
        return sysfs_read(root_fd, path, ret_arguments, &size) >= 0 ? uuid_among(*ret_arguments, size) : NULL;
}

static bool process_is_guest(int root_fd, uint64_t pid, const char *uuid) {
        _cleanup_free_ char *arguments = NULL;
        const char *found = uuid_of_process(root_fd, pid, &arguments);

        return found && strcasecmp(found, uuid) == 0;
}

/* libvirt's pid file; it may be left over from a guest long gone. */
static int find_by_pid_file(int root_fd, const char *name, const char *uuid, int32_t *ret) {
        _cleanup_free_ char *path = NULL;
        uint64_t pid;
        int r;

        if (strchr(name, '/'))
                return -ESRCH;
        r = strprintf_to(&path, "run/libvirt/qemu/%s.pid", name);
        if (r < 0)
                return r;
        if (sysfs_read_u64(root_fd, path, &pid) < 0 || pid > INT32_MAX || !process_is_guest(root_fd, pid, uuid))
                return -ESRCH;
        *ret = (int32_t)pid;
        return 0;
}

static int compare_processes(const void *a, const void *b) {
        const GuestProcess *x = a, *y = b;
        int r = strcasecmp(x->uuid, y->uuid);

        return r != 0 ? r : (x->pid > y->pid) - (x->pid < y->pid);
}

static int note_process(GuestProcesses *p, int root_fd, uint64_t pid) {
        _cleanup_free_ char *arguments = NULL;
        const char *uuid = uuid_of_process(root_fd, pid, &arguments);
        int r;

        if (!uuid || strlen(uuid) >= UUID_TEXT_SIZE || pid > INT32_MAX)
                return 0;
        r = GROW_ARRAY(p->items, p->capacity, p->n);
        if (r < 0)
                return r;
        p->items[p->n].pid = (int32_t)pid;
        memcpy(p->items[p->n++].uuid, uuid, strlen(uuid) + 1);
        return 0;
}

static int search(GuestProcesses *p, int root_fd, uint64_t now_usec) {
        _cleanup_free_ uint64_t *pids = NULL;
        size_t n = 0;
        int r;

        r = sysfs_list_numbers(root_fd, "proc", "", "", &pids, &n);
        p->n = 0;
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = note_process(p, root_fd, pids[i]);
        if (p->n > 0)
                qsort(p->items, p->n, sizeof(*p->items), compare_processes);
        if (r >= 0)
                p->searched_usec = now_usec;
        return r;
}

/* Among those that the last search found, whatever became of them. */
static int find_known(const GuestProcesses *p, int root_fd, const char *uuid, int32_t *ret) {
        size_t low = 0, high = p->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (strcasecmp(p->items[middle].uuid, uuid) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        for (; low < p->n && strcasecmp(p->items[low].uuid, uuid) == 0; low++)
                if (process_is_guest(root_fd, (uint64_t)p->items[low].pid, uuid)) {
                        *ret = p->items[low].pid;
                        return 0;
                }
        return -ESRCH;
}

static int find_by_search(GuestProcesses *p, int root_fd, uint64_t now_usec, const char *uuid, int32_t *ret) {
        int r;

        r = find_known(p, root_fd, uuid, ret);
        if (r != -ESRCH || p->searched_usec == now_usec)
                return r;
        r = search(p, root_fd, now_usec);
        return r < 0 ? r : find_known(p, root_fd, uuid, ret);
}

int guest_process_find(GuestProcesses *p, GuestSearch *s, int root_fd, uint64_t now_usec, const char *name,
                       const char *uuid, int32_t *ret_pid) {
        int r;

        r = find_by_pid_file(root_fd, name, uuid, ret_pid);
        if (r == -ESRCH && now_usec < s->again_usec)
                return r;
        if (r == -ESRCH)
                r = find_by_search(p, root_fd, now_usec, uuid, ret_pid);
        if (r >= 0)
                *s = (GuestSearch){ 0 };
        else
                s->again_usec = now_usec + (SEARCH_AGAIN_USEC << MIN(s->in_vain, SEARCH_DOUBLINGS));
        s->in_vain += r < 0;
        return r;
}

void guest_processes_done(GuestProcesses *p) {
        free(p->items);
        *p = (GuestProcesses){ 0 };
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
