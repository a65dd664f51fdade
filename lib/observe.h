/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Observers: each reads one area of the kernel into a part of the snapshot.
 * They keep their descriptors and previous counters, so a steady cycle opens
 * nothing; they never log. @root_fd is sysfs_open_root("/") in production.
 *
 * A file that is missing because the kernel has no such feature gives the
 * "not known" value and no error.
 *
 * Rates are over the time since the last call; a call less than 200 ms after
 * repeats the rates it had (RATE_INTERVAL_MIN_USEC in task_time.h).
 */

#include "base.h"
#include "competitor.h"
#include "snapshot.h"
#include "topology.h"

/* /proc/meminfo and /proc/pressure. -ENODATA, -EBADMSG or -errno of meminfo; PSI may be absent. */
typedef struct MemoryObserver MemoryObserver;
int memory_observer_new(MemoryObserver **ret);
MemoryObserver *memory_observer_free(MemoryObserver *o);
int memory_observe(MemoryObserver *o, int root_fd, Host *host);

/*
 * /proc/stat: busy share of each CPU since the last call. Fills host->cpus and
 * cpu_busy_permyriad; a CPU that was not there at the last call is unknown, at
 * the first call all are.
 */
typedef struct CpuObserver CpuObserver;
int cpu_observer_new(CpuObserver **ret);
CpuObserver *cpu_observer_free(CpuObserver *o);
int cpu_observe(CpuObserver *o, int root_fd, uint64_t now_usec, Host *host);

/*
 * NUMA nodes. The live node set, sizes and distances are libnuma's (it reads
 * the running machine only); free memory and huge page pools are reread from
 * kept descriptors below @root_fd. Without NUMA support: one node 0 = the host.
 */
typedef struct NodeObserver NodeObserver;
int node_observer_new(const Topology *topology, NodeObserver **ret);
NodeObserver *node_observer_free(NodeObserver *o);
int node_observe(NodeObserver *o, int root_fd, Host *host);
/* The nodes that the kernel had at the last look, whatever the topology says; empty: it does not tell. */
const IdSet *node_observer_present(const NodeObserver *o);
/*
 * Fills in what libnuma knows of the machine at hand and hwloc left open: node
 * memory sizes (where 0) and the distance matrix. Call once after topology_load().
 */
int topology_complete_from_libnuma(Topology *t);

/* /sys/kernel/mm/ksm, and ksmd's CPU share. */
typedef struct KsmObserver KsmObserver;
int ksm_observer_new(KsmObserver **ret);
KsmObserver *ksm_observer_free(KsmObserver *o);
int ksm_observe(KsmObserver *o, int root_fd, uint64_t now_usec, Host *host);

/* Transparent huge pages, and kernel.numa_balancing. */
typedef struct ThpObserver ThpObserver;
int thp_observer_new(ThpObserver **ret);
ThpObserver *thp_observer_free(ThpObserver *o);
int thp_observe(ThpObserver *o, int root_fd, Host *host);

/* Swap, and after the nodes (where there are several) the kernel's NUMA balancing at work, from /proc/vmstat. */
typedef struct VmstatObserver VmstatObserver;
int vmstat_observer_new(VmstatObserver **ret);
VmstatObserver *vmstat_observer_free(VmstatObserver *o);
int vmstat_observe(VmstatObserver *o, int root_fd, uint64_t now_usec, Host *host);

/* All of the above in one. */
typedef struct HostObserver HostObserver;
int host_observer_new(int root_fd, const Topology *topology, HostObserver **ret);
HostObserver *host_observer_free(HostObserver *o);
DEFINE_CLEANUP(HostObserver, host_observer_free)
/*
 * Fills *host (whose arrays are reused). Returns 0, or the first error of an
 * area that every host has (memory, CPU); the other areas are then filled
 * nevertheless. *ret_area (may be NULL) names the area that failed.
 */
int host_observe(HostObserver *o, uint64_t now_usec, Host *host, const char **ret_area);

/*
 * Which CPUs and nodes the machine had at the last look. When that changes, the
 * topology is to be read again.
 */
typedef struct HostShape {
        IdSet cpus;
        IdSet nodes;            /* empty: the kernel does not tell */
} HostShape;
void host_observer_shape(const HostObserver *o, const Host *host, HostShape *ret);
/* The online CPUs that are isolated now: cpuset partitions come and go. Opens nothing unless they do. -ENOMEM. */
int host_observer_isolated(HostObserver *o, const Topology *topology, IdSet *ret);
/*
 * From now on by another topology; host->nodes is read again. Rates go on. On
 * failure nothing changed, or host->nodes only.
 */
int host_observer_renew(HostObserver *o, const Topology *topology, Host *host);

/*
 * How the host is set up (observe_facts.c): all of *ret but its managers.
 * What cannot be read is not known: nothing fails.
 */
void host_facts_observe(int root_fd, HostFacts *ret);

typedef void (*CompetitorFound)(const Competitor *c, uint64_t pid, void *userdata);
/* Calls @found for each of the competitors that runs. Looks through /proc, so not for every cycle. */
void competitors_observe(int root_fd, CompetitorFound found, void *userdata);

/* The same (@found may be NULL), and fills in facts->managers. */
void host_managers_observe(int root_fd, HostFacts *facts, CompetitorFound found, void *userdata);

/* ---- one guest's QEMU process -------------------------------------------- */

typedef struct GuestProcess {
        char uuid[UUID_TEXT_SIZE];
        int32_t pid;
} GuestProcess;

/* What the last search of /proc found, for all guests. Zero-initialised. */
typedef struct GuestProcesses {
        GuestProcess *items;            /* sorted */
        size_t n, capacity;
        uint64_t searched_usec;         /* 0: never */
} GuestProcesses;

/* Of one guest, when it may be searched for again. Zeroed: at once. */
typedef struct GuestSearch {
        uint64_t again_usec;
        unsigned in_vain;               /* searches in a row */
} GuestSearch;

/*
 * The process id of guest @name/@uuid: libvirt's pid file run/libvirt/qemu/NAME.pid
 * verified by the process's own command line (-uuid), otherwise a search of
 * /proc, of which there is one for each @now_usec (not 0), and none before @s allows it.
 * -ESRCH when there is no such process, or it was not searched for.
 */
int guest_process_find(GuestProcesses *p, GuestSearch *s, int root_fd, uint64_t now_usec, const char *name,
                       const char *uuid, int32_t *ret_pid);
void guest_processes_done(GuestProcesses *p);

/* When the process started, in clock ticks since boot (proc(5), stat field 22). -ESRCH, -EBADMSG, -errno. */
int guest_process_start_time(int root_fd, int32_t pid, uint64_t *ret);

/*
 * Fills in g->vfio_nodes from g->vfio_devices: the NUMA node of each PCI device,
 * of an mdev that of the device behind it. A device that is gone, has no node
 * (-1) or one that @topology does not have counts for nothing.
 */
void guest_devices_observe(int root_fd, const Topology *topology, Guest *g);

/* Kept descriptors and counters of one guest's threads. */
typedef struct GuestObserver GuestObserver;
/*
 * Finds the threads of @pid by their names ("CPU 0/KVM", "CPU 0/TCG", "IO
 * iothread1"; anything else belongs to the emulator) and fills in the tids in
 * @g. -ESRCH when the process is gone.
 */
int guest_observer_new(int root_fd, int32_t pid, Guest *g, GuestObserver **ret);
GuestObserver *guest_observer_free(GuestObserver *o);
DEFINE_CLEANUP(GuestObserver, guest_observer_free)
/*
 * Free the observer when this returns -ESRCH: the number may be another process's by then.
 *
 * Rereads run and wait time of each thread (schedstat), allowed CPUs
 * (sched_getaffinity), resident memory (statm), and, with @per_node, memory per
 * node (cgroup v2 memory.numa_stat where there is one, otherwise numa_maps:
 * the caller decides how often). New threads (hot-plug) are found when @g has
 * online vCPUs or iothreads without a tid. -ESRCH when the process is gone.
 */
int guest_observe(GuestObserver *o, int root_fd, uint64_t now_usec, bool per_node, Guest *g);

/*
 * Rereads what the guest's cgroups say: which CPUs and nodes the administrator
 * leaves to it (g->cgroup_cpus, g->cgroup_mems), and the CPU time of its emulator
 * and vhost threads together since the last such look (g->emulator_busy_permyriad).
 * The kernel sums that over all CPUs of the host: the caller decides how often.
 */
void guest_observe_cgroup(GuestObserver *o, int root_fd, uint64_t now_usec, const Topology *topology, Guest *g);

/* What was observed of @from (same guest, before) and is not part of its XML: copies it to @to. -ENOMEM. */
int guest_inherit_observations(Guest *to, const Guest *from);
