/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "observe.h"

#include "isolated.h"
#include "sysfs.h"

struct HostObserver {
        int root_fd;            /* the caller's */
        MemoryObserver *memory;
        CpuObserver *cpu;
        NodeObserver *node;
        KsmObserver *ksm;
        ThpObserver *thp;
        IsolatedObserver *isolated;
        VmstatObserver *vmstat;
        uint64_t kernel_release;
};

HostObserver *host_observer_free(HostObserver *o) {
        if (!o)
                return NULL;
        (void)memory_observer_free(o->memory);
        (void)cpu_observer_free(o->cpu);
        (void)node_observer_free(o->node);
        (void)ksm_observer_free(o->ksm);
        (void)thp_observer_free(o->thp);
        (void)isolated_observer_free(o->isolated);
        (void)vmstat_observer_free(o->vmstat);
        free(o);
        return NULL;
}

/* It stays as it is until the next boot. */
static int read_release(int root_fd, uint64_t *ret) {
        _cleanup_free_ char *text = NULL;
        const char *end;
        int r;

        *ret = UNKNOWN_U64;
        r = sysfs_read(root_fd, "proc/sys/kernel/osrelease", &text, NULL);
        if (r >= 0)
                (void)kernel_release_parse(text, ret, &end);
        return r == -ENOMEM ? r : 0;
}

int host_observer_new(int root_fd, const Topology *topology, HostObserver **ret) {
        _cleanup_(host_observer_freep) HostObserver *o = NULL;

        o = calloc(1, sizeof(*o));
        if (!o)
                return -ENOMEM;
        o->root_fd = root_fd;
        if (memory_observer_new(&o->memory) < 0 || cpu_observer_new(&o->cpu) < 0 ||
            node_observer_new(topology, &o->node) < 0 || ksm_observer_new(&o->ksm) < 0 ||
            thp_observer_new(&o->thp) < 0 || isolated_observer_new(&o->isolated) < 0 ||
            vmstat_observer_new(&o->vmstat) < 0 || read_release(root_fd, &o->kernel_release) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(o);
        return 0;
}

static void note(const char *area, int result, const char **first_area, int *first) {
        if (result >= 0 || *first < 0)
                return;
        *first = result;
        *first_area = area;
}

/* Memory comes first: a host without NUMA support takes its node from it. */
int host_observe(HostObserver *o, uint64_t now_usec, Host *host, const char **ret_area) {
        const char *area = NULL;
        int r = 0;

        host->kernel_release = o->kernel_release;
        note("memory", memory_observe(o->memory, o->root_fd, host), &area, &r);
        note("cpu", cpu_observe(o->cpu, o->root_fd, now_usec, host), &area, &r);
        note("nodes", node_observe(o->node, o->root_fd, host), &area, &r);
        note("ksm", ksm_observe(o->ksm, o->root_fd, now_usec, host), &area, &r);
        note("thp", thp_observe(o->thp, o->root_fd, host), &area, &r);
        note("vmstat", vmstat_observe(o->vmstat, o->root_fd, now_usec, host), &area, &r);
        if (r < 0 && ret_area)
                *ret_area = area;
        return r;
}

void host_observer_shape(const HostObserver *o, const Host *host, HostShape *ret) {
        *ret = (HostShape){ .nodes = *node_observer_present(o->node) };
        for (size_t i = 0; i < host->n_cpus; i++)
                (void)idset_add(&ret->cpus, host->cpus[i].id);
}

int host_observer_isolated(HostObserver *o, const Topology *topology, IdSet *ret) {
        IdSet isolated;
        int r;

        r = isolated_observe(o->isolated, o->root_fd, &isolated);
        if (r < 0)
                return r;
        *ret = idset_and(&isolated, &topology->online);
        return 0;
}

int host_observer_renew(HostObserver *o, const Topology *topology, Host *host) {
        NodeObserver *node;
        int r;

        r = node_observer_new(topology, &node);
        if (r < 0)
                return r;
        (void)node_observer_free(o->node);
        o->node = node;
        return node_observe(o->node, o->root_fd, host);
}
