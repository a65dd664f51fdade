/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * libvirt gives each guest a cgroup, below the partition that the administrator
 * may limit (machine.slice), and in it one for the emulator, each vCPU and each
 * iothread:
 *
 *   v2, systemd   machine.slice/machine-qemu\x2d1\x2dweb.scope/libvirt/emulator
 *   v1, without   machine/qemu-1-web.libvirt-qemu/emulator
 *
 * What libvirt itself limits (pins, numatune) it writes to the inner ones, so
 * what is left to the guest's own is the administrator's: systemd's AllowedCPUs=
 * and AllowedMemoryNodes=, a cpuset partition, and on v1 also CPUs that were
 * offline once. Without the cpuset controller in it, its parent's limit holds.
 *
 * The emulator's cgroup holds all of QEMU's threads that are neither vCPUs nor
 * iothreads, and the vhost threads: those of the process itself (since Linux
 * 6.4), and before that the kernel's, which join the cgroups of their owner
 * (cgroup_attach_task_all()). So one file counts them all, however many.
 *
 * How much the guest's threads wait for memory of the host, cgroup v2 tells in
 * each cgroup, also where it is mounted beside v1.
 */

#include "guest_cgroup.h"

#include "parse.h"
#include "psi.h"
#include "task_time.h"

#include <fcntl.h>
#include <stdio.h>

#define EMULATOR "/emulator"

/* ---- where it is ---------------------------------------------------------- */

/* The folder libvirt makes for one guest, with systemd and without: virCgroupNewMachine(). */
static bool is_guest_component(const char *p, size_t n) {
        static const char suffix[] = ".libvirt-qemu";
        size_t len = strlen(suffix);

        return startswith(p, "machine-qemu") || (n > len && strncmp(p + n - len, suffix, len) == 0);
}

/* Whether @controller is in the list "cpu,cpuacct" that a colon ends. */
static bool has_controller(const char *list, const char *controller) {
        size_t length = strlen(controller);

        while (*list && *list != ':') {
                size_t n = strcspn(list, ",:");

                if (n == length && strncmp(list, controller, n) == 0)
                        return true;
                list += n;
                if (*list == ',')
                        list++;
        }
        return false;
}

/* "N:controllers:/path": what follows the slash, up to the end of the line; NULL when the hierarchy has none. */
static const char *find_path(const char *text, const char *controller) {
        for (const char *line = text; *line; line++) {
                const char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;

                if (!path || path[1] != '/')
                        return NULL;
                if (controller ? has_controller(list + 1, controller) : path == list + 1 && startswith(line, "0:"))
                        return path + 2;
                line = strchr(line, '\n');
                if (!line)
                        return NULL;
        }
        return NULL;
}

int guest_cgroup_find(const char *cgroup_text, const char *controller, char **ret_path) {
        const char *path = find_path(cgroup_text, controller), *end = path ? path + strcspn(path, "\n") : NULL;

        for (const char *p = path; p && p < end; p++) {
                size_t n = strcspn(p, "/\n");

                if (is_guest_component(p, n)) {
                        *ret_path = NULL;
                        return strprintf_to(ret_path, "%.*s", (int)(p + n - path), path);
                }
                p += n;
        }
        return -ENODATA;
}

/* The nearest folder from @group up to the root of the hierarchy below @mount that has a file @name. */
static int find_file(int root_fd, const char *mount, const char *group, const char *name, SysfsFile *ret) {
        _cleanup_free_ char *folder = NULL, *path = NULL;
        int r;

        r = strdup_to(&folder, group);
        if (r < 0)
                return r;
        for (;;) {
                char *slash;

                r = strprintf_to(&path, "%s/%s%s%s", mount, folder, *folder ? "/" : "", name);
                if (r < 0)
                        return r;
                if (faccessat(root_fd, path, F_OK, 0) >= 0)
                        return sysfs_file_init(ret, path);
                if (!*folder)
                        return 0;
                slash = strrchr(folder, '/');
                *(slash ?: folder) = 0;
        }
}

static int find_limits(GuestCgroupObserver *o, int root_fd, const char *text) {
        _cleanup_free_ char *group = NULL;
        int r;

        o->v1 = find_path(text, "cpuset");
        r = guest_cgroup_find(text, o->v1 ? "cpuset" : NULL, &group);
        if (r < 0)
                return r == -ENODATA ? 0 : r;
        r = find_file(root_fd, o->v1 ? "sys/fs/cgroup/cpuset" : "sys/fs/cgroup", group,
                      o->v1 ? "cpuset.effective_cpus" : "cpuset.cpus.effective", &o->cpus);
        if (r < 0)
                return r;
        return find_file(root_fd, o->v1 ? "sys/fs/cgroup/cpuset" : "sys/fs/cgroup", group,
                         o->v1 ? "cpuset.effective_mems" : "cpuset.mems.effective", &o->mems);
}

/*
 * cgroup v2 accounts CPU time in each cgroup, also where it is mounted beside v1
 * ("unified") without controllers. On v1 the file has nanoseconds and nothing else.
 */
static const struct {
        const char *controller, *mount, *file;
} usage_files[] = {
        { "cpuacct", "sys/fs/cgroup/cpuacct", "cpuacct.usage" },
        { NULL, "sys/fs/cgroup/unified", "cpu.stat" },
        { NULL, "sys/fs/cgroup", "cpu.stat" },
};

/* Only of a cgroup that is the emulator's own. */
static int find_usage(GuestCgroupObserver *o, int root_fd, const char *text) {
        for (size_t i = 0; i < ELEMENTSOF(usage_files); i++) {
                const char *group = find_path(text, usage_files[i].controller);
                size_t n = group ? strcspn(group, "\n") : 0, tail = strlen(EMULATOR);
                _cleanup_free_ char *path = NULL;
                int r;

                if (n <= tail || strncmp(group + n - tail, EMULATOR, tail) != 0)
                        continue;
                r = strprintf_to(&path, "%s/%.*s/%s", usage_files[i].mount, (int)n, group, usage_files[i].file);
                if (r < 0)
                        return r;
                if (faccessat(root_fd, path, F_OK, 0) >= 0)
                        return sysfs_file_init(&o->usage, path);
        }
        return 0;
}

static int find_pressure(GuestCgroupObserver *o, int root_fd, const char *text) {
        static const char *const mounts[] = { "sys/fs/cgroup/unified", "sys/fs/cgroup" };
        _cleanup_free_ char *group = NULL, *path = NULL;
        int r;

        r = guest_cgroup_find(text, NULL, &group);
        if (r < 0)
                return r == -ENODATA ? 0 : r;
        for (size_t i = 0; i < ELEMENTSOF(mounts); i++) {
                r = strprintf_to(&path, "%s/%s/memory.pressure", mounts[i], group);
                if (r < 0)
                        return r;
                if (faccessat(root_fd, path, F_OK, 0) >= 0)
                        return sysfs_file_init(&o->pressure, path);
        }
        return 0;
}

int guest_cgroup_init(GuestCgroupObserver *o, int root_fd, int32_t pid) {
        _cleanup_free_ char *text = NULL;
        char path[64];
        int r;

        *o = (GuestCgroupObserver){ .busy_permyriad = UNKNOWN_PERMYRIAD };
        (void)snprintf(path, sizeof(path), "proc/%d/cgroup", pid);
        r = sysfs_read(root_fd, path, &text, NULL);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        r = find_limits(o, root_fd, text);
        if (r < 0)
                return r;
        r = find_usage(o, root_fd, text);
        if (r < 0)
                return r;
        return find_pressure(o, root_fd, text);
}

void guest_cgroup_done(GuestCgroupObserver *o) {
        sysfs_file_done(&o->cpus);
        sysfs_file_done(&o->mems);
        sysfs_file_done(&o->usage);
        sysfs_file_done(&o->pressure);
}

/* ---- pressure ------------------------------------------------------------- */

void guest_cgroup_pressure(GuestCgroupObserver *o, int root_fd, Guest *g) {
        g->psi_memory = o->pressure.path ? psi_read(&o->pressure, root_fd) : PSI_UNKNOWN;
}

/* ---- CPU time ------------------------------------------------------------- */

/* "usage_usec N" among others on v2. */
static int parse_usage(const char *text, uint64_t *ret_usec) {
        uint64_t ns;

        if (sysfs_find_key(text, "usage_usec", ret_usec) >= 0)
                return 0;
        if (parse_u64(text, &ns) < 0)
                return -EBADMSG;
        *ret_usec = ns / NSEC_PER_USEC;
        return 0;
}

static int read_usage(GuestCgroupObserver *o, int root_fd, uint64_t *ret_usec) {
        const char *text;
        int r;

        if (!o->usage.path)
                return -ENOENT;
        /* Of several lines the first is the one wanted. */
        r = sysfs_file_read_optional_line(&o->usage, root_fd, &text);
        return r < 0 ? r : parse_usage(text, ret_usec);
}

void guest_cgroup_usage(GuestCgroupObserver *o, int root_fd, uint64_t now_usec, Guest *g) {
        uint64_t used, interval = u64_sub(now_usec, o->at_usec);

        g->emulator_busy_permyriad = UNKNOWN_PERMYRIAD;
        if (read_usage(o, root_fd, &used) < 0)
                return;
        if (o->primed && interval >= RATE_INTERVAL_MIN_USEC) {
                uint64_t busy = u64_muldiv(u64_sub(used, o->used_usec), PERMYRIAD_FULL, interval);

                o->busy_permyriad = (uint32_t)MIN(busy, (uint64_t)IDSET_MAX * PERMYRIAD_FULL);
        }
        if (!o->primed || interval >= RATE_INTERVAL_MIN_USEC || now_usec < o->at_usec) {
                o->primed = true;
                o->at_usec = now_usec;
                o->used_usec = used;
        }
        g->emulator_busy_permyriad = o->busy_permyriad;
}

/* ---- limits --------------------------------------------------------------- */

static bool read_set(SysfsFile *f, int root_fd, IdSet *ret) {
        const char *text;

        return f->path && sysfs_file_read_optional_line(f, root_fd, &text) >= 0 && idset_parse(text, ret) >= 0;
}

/* @wanted: what a guest without a limit could use; @all: what there is. */
static IdSet limit_of(const IdSet *set, const IdSet *wanted, const IdSet *all) {
        if (idset_is_subset(wanted, set))
                return IDSET_EMPTY;
        return idset_and(set, all);
}

void guest_cgroup_limits(GuestCgroupObserver *o, int root_fd, const Topology *topology, Guest *g) {
        IdSet set, wanted, all = IDSET_EMPTY;

        g->cgroup_cpus = g->cgroup_mems = wanted = IDSET_EMPTY;
        if (read_set(&o->cpus, root_fd, &set)) {
                IdSet usable = idset_minus(&topology->online, &topology->isolated);

                g->cgroup_cpus = limit_of(&set, &usable, &topology->online);
        }
        if (!read_set(&o->mems, root_fd, &set))
                return;
        for (size_t i = 0; i < topology->n_nodes; i++) {
                (void)idset_add(&all, topology->nodes[i].id);
                if (topology->nodes[i].memory_bytes > 0)
                        (void)idset_add(&wanted, topology->nodes[i].id);
        }
        g->cgroup_mems = limit_of(&set, idset_is_empty(&wanted) ? &all : &wanted, &all);
}
