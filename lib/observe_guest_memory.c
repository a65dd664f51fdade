/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Two sources. The memory controller of cgroup v2 counts what is charged to
 * the guest per node, at the price of one pread(); but it does not know huge
 * pages of a pool. numa_maps walks the page tables: exact, slow with 4 KiB
 * pages, fast with huge ones. So a guest on pool pages is read from numa_maps,
 * and so is every guest whose cgroup says nothing.
 */

#include "guest_memory.h"

#include "guest_cgroup.h"
#include "parse.h"

#include <stdio.h>

/* Anonymous and shared memory (memfd, tmpfs); the other file pages are cache of disk images. */
static const char *const cgroup_keys[] = { "anon ", "shmem " };

/* Files that hold guest memory, not programs or disk images. */
static const char *const memory_files[] = {
        "file=/memfd:", "file=/dev/shm/", "file=/dev/zero", "file=/dev/hugepages", "file=/anon_hugepage",
};

int guest_memory_init(GuestMemoryObserver *o, int32_t pid) {
        char path[64];

        *o = (GuestMemoryObserver){ .pid = pid };
        (void)snprintf(path, sizeof(path), "proc/%d/numa_maps", pid);
        return sysfs_file_init(&o->numa_maps, path);
}

void guest_memory_done(GuestMemoryObserver *o) {
        sysfs_file_done(&o->numa_stat);
        sysfs_file_done(&o->numa_maps);
        free(o->sums);
        o->sums = NULL;
}

/* ---- sums per node -------------------------------------------------------- */

static int sums_add(GuestMemoryObserver *o, unsigned node, uint64_t bytes) {
        size_t i = 0;
        int r;

        if (bytes == 0)
                return 0;
        if (node >= IDSET_MAX)
                return -EBADMSG;
        while (i < o->n_sums && o->sums[i].node < node)
                i++;
        if (i < o->n_sums && o->sums[i].node == node) {
                o->sums[i].bytes = u64_add(o->sums[i].bytes, bytes);
                return 0;
        }
        r = GROW_ARRAY(o->sums, o->sums_capacity, o->n_sums);
        if (r < 0)
                return r;
        memmove(&o->sums[i + 1], &o->sums[i], (o->n_sums - i) * sizeof(*o->sums));
        o->sums[i] = (GuestNodeMemory){ .node = node, .bytes = bytes };
        o->n_sums++;
        return 0;
}

/* Adds every "N<node><separator><number>" of one line, times @unit. */
static int add_line(GuestMemoryObserver *o, const char *line, uint64_t unit) {
        for (const char *p = line; (p = strpbrk(p, " \n")) && *p == ' ';) {
                uint64_t value;
                unsigned node;
                int r;

                p++;
                if (*p != 'N' || p[1] < '0' || p[1] > '9')
                        continue;
                p++;
                if (parse_unsigned_prefix(&p, &node) < 0 || *p++ != '=' || parse_u64_prefix(&p, &value) < 0)
                        return -EBADMSG;
                r = sums_add(o, node, u64_muldiv(value, unit, 1));
                if (r < 0)
                        return r;
        }
        return 0;
}

static const char *next_line(const char *line) {
        const char *end = strchr(line, '\n');

        return end ? end + 1 : line + strlen(line);
}

/* ---- cgroup --------------------------------------------------------------- */

/* Once: a guest does not change its cgroup. */
static int look_for_cgroup(GuestMemoryObserver *o, int root_fd) {
        _cleanup_free_ char *text = NULL, *cgroup = NULL, *path = NULL;
        char proc[64];
        int r;

        (void)snprintf(proc, sizeof(proc), "proc/%d/cgroup", o->pid);
        r = sysfs_read(root_fd, proc, &text, NULL);
        if (r < 0)
                return r;
        r = guest_cgroup_find(text, NULL, &cgroup);
        if (r < 0)
                return r;
        r = strprintf_to(&path, "sys/fs/cgroup/%s/memory.numa_stat", cgroup);
        if (r < 0)
                return r;
        r = sysfs_file_init(&o->numa_stat, path);
        if (r < 0)
                return r;
        o->cgroup_found = true;
        return 0;
}

static int observe_cgroup(GuestMemoryObserver *o, int root_fd) {
        const char *text;
        int r;

        r = sysfs_file_read_optional(&o->numa_stat, root_fd, &text);
        if (r < 0)
                return r;
        o->n_sums = 0;
        for (const char *line = text; *line && r >= 0; line = next_line(line))
                for (size_t i = 0; i < ELEMENTSOF(cgroup_keys) && r >= 0; i++)
                        if (startswith(line, cgroup_keys[i]))
                                r = add_line(o, line, 1);
        sysfs_file_trim(&o->numa_stat);
        return r;
}

/* ---- numa_maps ------------------------------------------------------------ */

static const char *find_word(const char *line, const char *word) {
        const char *end = line + strcspn(line, "\n");
        const char *p = strstr(line, word);

        return p && p < end ? p : NULL;
}

static bool is_guest_memory(const char *line) {
        if (!find_word(line, " file=") || find_word(line, " huge "))
                return true;
        for (size_t i = 0; i < ELEMENTSOF(memory_files); i++)
                if (find_word(line, memory_files[i]))
                        return true;
        /* memory_backing_dir of qemu.conf, by default /var/lib/libvirt/qemu/ram */
        return find_word(line, "/qemu/ram/");
}

static int add_mapping(GuestMemoryObserver *o, const char *line) {
        static const char key[] = "kernelpagesize_kB=";
        const char *p = find_word(line, key);
        uint64_t kib;

        /* A mapping without pages has no page size. */
        if (!p)
                return 0;
        p += strlen(key);
        if (parse_u64_prefix(&p, &kib) < 0 || kib > UINT64_MAX / KIB)
                return -EBADMSG;
        return add_line(o, line, kib * KIB);
}

static int observe_maps(GuestMemoryObserver *o, int root_fd) {
        const char *text;
        int r;

        /* Refused without CAP_SYS_PTRACE. Nothing that goes wrong once says that it always will. */
        r = sysfs_file_read(&o->numa_maps, root_fd, &text);
        if (r < 0)
                return r;
        o->n_sums = 0;
        for (const char *line = text; *line && r >= 0; line = next_line(line))
                if (is_guest_memory(line))
                        r = add_mapping(o, line);
        sysfs_file_trim(&o->numa_maps);
        return r;
}

/* ---- both ----------------------------------------------------------------- */

static int export(const GuestMemoryObserver *o, Guest *g) {
        if (g->n_node_memory != o->n_sums) {
                GuestNodeMemory *p = realloc(g->node_memory, MAX(o->n_sums, (size_t)1) * sizeof(*p));

                if (!p)
                        return -ENOMEM;
                g->node_memory = p;
                g->n_node_memory = o->n_sums;
        }
        if (o->n_sums > 0)
                memcpy(g->node_memory, o->sums, o->n_sums * sizeof(*o->sums));
        return 0;
}

int guest_memory_observe(GuestMemoryObserver *o, int root_fd, Guest *g) {
        int r = -ENODATA;

        if (!o->looked) {
                if (look_for_cgroup(o, root_fd) == -ENOMEM)
                        return -ENOMEM;
                o->looked = true;
        }
        if (o->cgroup_found && !g->hugepages)
                r = observe_cgroup(o, root_fd);
        if (r < 0 && r != -ENOMEM)
                r = observe_maps(o, root_fd);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                o->n_sums = 0;
        return export(o, g);
}
