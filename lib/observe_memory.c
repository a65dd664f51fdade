/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "observe.h"

#include "psi.h"
#include "sysfs.h"

struct MemoryObserver {
        SysfsFile meminfo;
        SysfsFile psi_memory, psi_cpu, psi_io;
};

static const struct {
        const char *key;
        size_t offset;
} meminfo_fields[] = {
        { "MemTotal", offsetof(HostMemory, total_bytes) },
        { "MemFree", offsetof(HostMemory, free_bytes) },
        { "MemAvailable", offsetof(HostMemory, available_bytes) },
        { "Buffers", offsetof(HostMemory, buffers_bytes) },
        { "Cached", offsetof(HostMemory, cached_bytes) },
        { "SwapTotal", offsetof(HostMemory, swap_total_bytes) },
        { "SwapFree", offsetof(HostMemory, swap_free_bytes) },
};

MemoryObserver *memory_observer_free(MemoryObserver *o) {
        if (!o)
                return NULL;
        sysfs_file_done(&o->meminfo);
        sysfs_file_done(&o->psi_memory);
        sysfs_file_done(&o->psi_cpu);
        sysfs_file_done(&o->psi_io);
        free(o);
        return NULL;
}
DEFINE_CLEANUP(MemoryObserver, memory_observer_free)

int memory_observer_new(MemoryObserver **ret) {
        _cleanup_(memory_observer_freep) MemoryObserver *o = NULL;

        o = calloc(1, sizeof(*o));
        if (!o || sysfs_file_init(&o->meminfo, "proc/meminfo") < 0 ||
            sysfs_file_init(&o->psi_memory, "proc/pressure/memory") < 0 ||
            sysfs_file_init(&o->psi_cpu, "proc/pressure/cpu") < 0 ||
            sysfs_file_init(&o->psi_io, "proc/pressure/io") < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(o);
        return 0;
}

static int parse_meminfo(const char *text, HostMemory *ret) {
        HostMemory m = { 0 };

        for (size_t i = 0; i < ELEMENTSOF(meminfo_fields); i++) {
                uint64_t value;
                int r;

                r = sysfs_find_key(text, meminfo_fields[i].key, &value);
                if (r < 0)
                        return r == -ERANGE ? -EBADMSG : r;
                memcpy((char *)&m + meminfo_fields[i].offset, &value, sizeof(value));
        }
        if (m.total_bytes == 0 || m.available_bytes > m.total_bytes || m.free_bytes > m.total_bytes ||
            m.swap_free_bytes > m.swap_total_bytes)
                return -EBADMSG;
        *ret = m;
        return 0;
}

int memory_observe(MemoryObserver *o, int root_fd, Host *host) {
        const char *text;
        int r;

        host->psi_memory = psi_read(&o->psi_memory, root_fd);
        host->psi_cpu = psi_read(&o->psi_cpu, root_fd);
        host->psi_io = psi_read(&o->psi_io, root_fd);
        r = sysfs_file_read(&o->meminfo, root_fd, &text);
        if (r < 0)
                return r;
        /* Not there without CONFIG_HUGETLBFS. */
        if (sysfs_find_key(text, "Hugepagesize", &host->hugepage_bytes) < 0)
                host->hugepage_bytes = 0;
        return parse_meminfo(text, &host->memory);
}
