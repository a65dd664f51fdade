/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * isolcpus= holds for the whole boot. A cpuset partition ("isolated" in
 * cpuset.cpus.partition, since Linux 6.1) comes and goes. Since 6.8 the kernel
 * sums them up in cpuset.cpus.isolated of the root; before, they are looked for:
 * the CPUs of a partition are missing in cpuset.cpus.effective of the root, so
 * the tree is walked only when that changes, and only where partitions are (a
 * partition's parent is the root or a partition). One that is made inside an
 * existing partition is seen with the next change of the root.
 *
 * nohz_full= alone isolates nothing: the scheduler still balances onto these
 * CPUs. Nor does sched_load_balance of cgroup v1 count, which has no list.
 */

#include "isolated.h"

#include "sysfs.h"

#define CGROUP "sys/fs/cgroup"
#define DEPTH_MAX 16U

struct IsolatedObserver {
        bool boot_known;
        IdSet boot;             /* isolcpus= */
        SysfsFile isolated, effective;
        bool walked;
        IdSet walked_effective;
        IdSet partitions;
};

IsolatedObserver *isolated_observer_free(IsolatedObserver *o) {
        if (!o)
                return NULL;
        sysfs_file_done(&o->isolated);
        sysfs_file_done(&o->effective);
        free(o);
        return NULL;
}

int isolated_observer_new(IsolatedObserver **ret) {
        _cleanup_(isolated_observer_freep) IsolatedObserver *o = NULL;

        o = calloc(1, sizeof(*o));
        if (!o || sysfs_file_init(&o->isolated, CGROUP "/cpuset.cpus.isolated") < 0 ||
            sysfs_file_init(&o->effective, CGROUP "/cpuset.cpus.effective") < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(o);
        return 0;
}

static int read_set(int root_fd, const char *path, IdSet *ret) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = sysfs_read(root_fd, path, &text, NULL);
        if (r < 0)
                return r;
        return idset_parse(text, ret) < 0 ? -EBADMSG : 0;
}

static int walk(int root_fd, const char *folder, unsigned depth, IdSet *isolated);

/* "member", "root", "isolated", or one of the latter with " invalid (why)". */
static int look_at(int root_fd, const char *parent, const char *name, unsigned depth, IdSet *isolated) {
        _cleanup_free_ char *folder = NULL, *path = NULL, *kind = NULL;
        IdSet cpus;
        int r;

        r = strprintf_to(&folder, "%s/%s", parent, name);
        if (r < 0)
                return r;
        r = strprintf_to(&path, "%s/cpuset.cpus.partition", folder);
        if (r < 0)
                return r;
        r = sysfs_read(root_fd, path, &kind, NULL);
        if (r < 0)
                return r;
        if (!streq(kind, "isolated\n") && !streq(kind, "root\n"))
                return 0;
        r = strprintf_to(&path, "%s/cpuset.cpus.effective", folder);
        if (r < 0)
                return r;
        if (*kind == 'i' && read_set(root_fd, path, &cpus) >= 0)
                *isolated = idset_or(isolated, &cpus);
        return walk(root_fd, folder, depth + 1, isolated);
}

static int walk(int root_fd, const char *folder, unsigned depth, IdSet *isolated) {
        char **names = NULL;
        size_t n = 0;
        int r;

        if (depth == DEPTH_MAX)
                return 0;
        r = sysfs_list_folders(root_fd, folder, &names, &n);
        /* A cgroup may be gone before it is looked at. */
        for (size_t i = 0; i < n && r != -ENOMEM; i++)
                r = look_at(root_fd, folder, names[i], depth, isolated);
        sysfs_names_free(names, n);
        return r == -ENOMEM ? r : 0;
}

static int walk_if_changed(IsolatedObserver *o, int root_fd) {
        IdSet effective, found = IDSET_EMPTY;
        const char *text;
        int r;

        r = sysfs_file_read_optional(&o->effective, root_fd, &text);
        if (r < 0 || idset_parse(text, &effective) < 0)
                return r == -ENOMEM ? r : 0;
        if (o->walked && idset_equal(&effective, &o->walked_effective))
                return 0;
        r = walk(root_fd, CGROUP, 0, &found);
        if (r < 0)
                return r;
        o->walked = true;
        o->walked_effective = effective;
        o->partitions = found;
        return 0;
}

int isolated_observe(IsolatedObserver *o, int root_fd, IdSet *ret) {
        const char *text;
        int r;

        if (!o->boot_known) {
                r = read_set(root_fd, "sys/devices/system/cpu/isolated", &o->boot);
                if (r == -ENOMEM)
                        return r;
                o->boot_known = true;
        }
        r = sysfs_file_read_optional(&o->isolated, root_fd, &text);
        if (r >= 0)
                (void)idset_parse(text, &o->partitions);
        else if (r == -ENOENT)
                r = walk_if_changed(o, root_fd);
        if (r == -ENOMEM)
                return r;
        *ret = idset_or(&o->boot, &o->partitions);
        return 0;
}
