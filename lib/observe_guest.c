/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The threads of one QEMU process. QEMU names them (with -name
 * debug-threads=on, which libvirt always gives): "CPU 0/KVM" or "CPU 0/TCG"
 * for a vCPU, "IO iothread1" for libvirt's iothread 1. All others belong to the
 * emulator, for which the main thread stands.
 *
 * Every look reads kept files only. The list of threads is read again when
 * vCPUs online or iothreads have no thread: as soon as their number changes
 * (hot-plug, a thread ended), otherwise once a minute (QEMU may have a single
 * thread for all vCPUs).
 *
 * A thread can name itself as it likes: names are believed only for what the
 * guest has by its XML, and once each, so a hostile process cannot make this
 * grow.
 */

#include "observe.h"

#include "guest_cgroup.h"
#include "guest_memory.h"
#include "parse.h"
#include "sysfs.h"
#include "task_time.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define RESCAN_INTERVAL_USEC USEC_PER_MINUTE

/* The kernel refuses a mask smaller than its own number of CPUs. */
#define MASK_SIZE_INITIAL 512U
#define MASK_SIZE_MAX (64 * KIB)

typedef enum ThreadKind { THREAD_EMULATOR, THREAD_VCPU, THREAD_IOTHREAD } ThreadKind;

typedef struct ThreadFiles {
        ThreadKind kind;
        unsigned id;
        int32_t tid;
        TaskTime time;
} ThreadFiles;

struct GuestObserver {
        int32_t pid;
        bool live;              /* the threads are this machine's: system calls may name them */
        ThreadFiles *threads;   /* the emulator first */
        size_t n_threads, capacity;
        size_t missing;         /* after the last scan */
        uint64_t scanned_usec;
        SysfsFile statm;
        GuestMemoryObserver memory;
        GuestCgroupObserver cgroup;
        unsigned long *mask;
        size_t mask_size;       /* in bytes */
};

GuestObserver *guest_observer_free(GuestObserver *o) {
        if (!o)
                return NULL;
        for (size_t i = 0; i < o->n_threads; i++)
                task_time_done(&o->threads[i].time);
        free(o->threads);
        sysfs_file_done(&o->statm);
        guest_memory_done(&o->memory);
        guest_cgroup_done(&o->cgroup);
        free(o->mask);
        free(o);
        return NULL;
}

static bool root_is_live(int root_fd) {
        struct stat a, b;

        return fstat(root_fd, &a) >= 0 && stat("/", &b) >= 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* ---- the guest's side ----------------------------------------------------- */

static GuestThread *find_thread(GuestThread *threads, size_t n, unsigned id) {
        /* Most are numbered from 0 (vCPUs) or 1 (iothreads) without gaps. */
        for (unsigned back = 0; back <= 1; back++)
                if (id >= back && id - back < n && threads[id - back].id == id)
                        return &threads[id - back];
        for (size_t i = 0; i < n; i++)
                if (threads[i].id == id)
                        return &threads[i];
        return NULL;
}

static GuestThread *guest_thread(Guest *g, ThreadKind kind, unsigned id) {
        switch (kind) {
        case THREAD_EMULATOR:
                return &g->emulator;
        case THREAD_VCPU:
                return find_thread(g->vcpus, g->n_vcpus, id);
        case THREAD_IOTHREAD:
                return find_thread(g->iothreads, g->n_iothreads, id);
        }
        return NULL;
}

static void forget_thread(GuestThread *t) {
        t->tid = 0;
        t->affinity = IDSET_EMPTY;
        t->busy_permyriad = UNKNOWN_PERMYRIAD;
        t->wait_permyriad = UNKNOWN_PERMYRIAD;
}

/* ---- which threads there are ---------------------------------------------- */

/* false for a thread that belongs to the emulator. */
static bool parse_thread_name(const char *comm, ThreadKind *ret_kind, unsigned *ret_id) {
        const char *p;
        unsigned id;

        p = startswith(comm, "CPU ");
        if (p && parse_unsigned_prefix(&p, &id) >= 0 && (startswith(p, "/KVM") || startswith(p, "/TCG"))) {
                *ret_kind = THREAD_VCPU;
                *ret_id = id;
                return true;
        }
        p = startswith(comm, "IO iothread");
        if (p && parse_unsigned_prefix(&p, &id) >= 0 && (*p == '\n' || *p == '\0')) {
                *ret_kind = THREAD_IOTHREAD;
                *ret_id = id;
                return true;
        }
        return false;
}

static bool knows_thread(const GuestObserver *o, ThreadKind kind, unsigned id) {
        for (size_t i = 0; i < o->n_threads; i++)
                if (o->threads[i].kind == kind && o->threads[i].id == id)
                        return true;
        return false;
}

static int add_thread(GuestObserver *o, ThreadKind kind, unsigned id, int32_t tid) {
        char path[64];
        int r;

        r = GROW_ARRAY(o->threads, o->capacity, o->n_threads);
        if (r < 0)
                return r;
        (void)snprintf(path, sizeof(path), "proc/%d/task/%d/schedstat", o->pid, tid);
        r = task_time_init(&o->threads[o->n_threads].time, path);
        if (r < 0)
                return r;
        o->threads[o->n_threads].kind = kind;
        o->threads[o->n_threads].id = id;
        o->threads[o->n_threads].tid = tid;
        o->n_threads++;
        return 0;
}

static void remove_thread(GuestObserver *o, size_t i) {
        task_time_done(&o->threads[i].time);
        o->n_threads--;
        memmove(&o->threads[i], &o->threads[i + 1], (o->n_threads - i) * sizeof(*o->threads));
}

static int scan_thread(GuestObserver *o, int root_fd, int32_t tid, Guest *g) {
        _cleanup_free_ char *comm = NULL;
        ThreadKind kind;
        char path[64];
        unsigned id;
        int r;

        (void)snprintf(path, sizeof(path), "proc/%d/task/%d/comm", o->pid, tid);
        r = sysfs_read(root_fd, path, &comm, NULL);
        if (r == -ENOMEM)
                return r;
        /* It may have ended since the folder was listed. */
        if (r < 0 || !parse_thread_name(comm, &kind, &id))
                return 0;
        if (!guest_thread(g, kind, id) || knows_thread(o, kind, id))
                return 0;
        return add_thread(o, kind, id, tid);
}

static int scan_threads(GuestObserver *o, int root_fd, Guest *g) {
        _cleanup_free_ uint64_t *tids = NULL;
        char path[64];
        size_t n = 0;
        int r;

        (void)snprintf(path, sizeof(path), "proc/%d/task", o->pid);
        r = sysfs_list_numbers(root_fd, path, "", "", &tids, &n);
        if (r == -ENOENT)
                return -ESRCH;
        for (size_t i = 0; i < n && r >= 0; i++)
                r = scan_thread(o, root_fd, (int32_t)tids[i], g);
        return r;
}

static void publish_tids(const GuestObserver *o, Guest *g) {
        g->pid = o->pid;
        for (size_t i = 0; i < o->n_threads; i++) {
                GuestThread *t = guest_thread(g, o->threads[i].kind, o->threads[i].id);

                if (t)
                        t->tid = o->threads[i].tid;
        }
}

static size_t count_missing(const Guest *g) {
        size_t n = 0;

        for (size_t i = 0; i < g->n_vcpus; i++)
                if (g->vcpus[i].online && g->vcpus[i].tid == 0)
                        n++;
        for (size_t i = 0; i < g->n_iothreads; i++)
                if (g->iothreads[i].tid == 0)
                        n++;
        return n;
}

/* ---- one look ------------------------------------------------------------- */

static int grow_mask(GuestObserver *o) {
        size_t want = o->mask_size ? o->mask_size * 2 : MASK_SIZE_INITIAL;
        unsigned long *p;

        if (want > MASK_SIZE_MAX)
                return -E2BIG;
        p = realloc(o->mask, want);
        if (!p)
                return -ENOMEM;
        o->mask = p;
        o->mask_size = want;
        return 0;
}

/* The bare system call tells how many bytes it wrote; glibc's wrapper does not. */
static int get_affinity(GuestObserver *o, int32_t tid, IdSet *ret) {
        const size_t bits = 8 * sizeof(unsigned long);
        IdSet set = IDSET_EMPTY;
        long n;
        int r;

        while ((n = o->mask ? syscall(SYS_sched_getaffinity, tid, o->mask_size, o->mask) : -1) < 0) {
                if (o->mask && errno != EINVAL)
                        return -errno;
                r = grow_mask(o);
                if (r < 0)
                        return r;
        }
        for (size_t word = 0; word < (size_t)n / sizeof(unsigned long); word++)
                for (unsigned long rest = o->mask[word]; rest != 0; rest &= rest - 1) {
                        r = idset_add(&set, (unsigned)(word * bits) + (unsigned)__builtin_ctzl(rest));
                        if (r < 0)
                                return r;
                }
        *ret = set;
        return 0;
}

/* Kernels without CONFIG_SCHED_INFO have threads without a schedstat file. */
static bool thread_exists(const GuestObserver *o, int root_fd, int32_t tid) {
        char path[64];

        (void)snprintf(path, sizeof(path), "proc/%d/task/%d", o->pid, tid);
        return faccessat(root_fd, path, F_OK, 0) >= 0;
}

static int observe_thread(GuestObserver *o, size_t i, int root_fd, uint64_t now_usec, Guest *g) {
        GuestThread *t = guest_thread(g, o->threads[i].kind, o->threads[i].id);
        uint32_t busy, wait;
        int r;

        r = task_time_observe(&o->threads[i].time, root_fd, now_usec, &busy, &wait);
        if (r == -ENOENT && !thread_exists(o, root_fd, o->threads[i].tid))
                r = -ESRCH;
        if (r == -ESRCH)
                return r;
        if (!t)
                return 0;
        t->tid = o->threads[i].tid;
        t->busy_permyriad = r < 0 ? UNKNOWN_PERMYRIAD : busy;
        t->wait_permyriad = r < 0 ? UNKNOWN_PERMYRIAD : wait;
        if (!o->live || get_affinity(o, t->tid, &t->affinity) < 0)
                t->affinity = IDSET_EMPTY;
        return 0;
}

/* Forgets threads that ended; when it is the emulator's, the process did: -ESRCH. */
static int observe_threads(GuestObserver *o, int root_fd, uint64_t now_usec, Guest *g) {
        for (size_t i = 0; i < o->n_threads;) {
                GuestThread *t;
                int r;

                r = observe_thread(o, i, root_fd, now_usec, g);
                if (r >= 0) {
                        i++;
                        continue;
                }
                if (o->threads[i].kind == THREAD_EMULATOR)
                        return r;
                t = guest_thread(g, o->threads[i].kind, o->threads[i].id);
                if (t)
                        forget_thread(t);
                remove_thread(o, i);
        }
        return 0;
}

static int rescan_if_needed(GuestObserver *o, int root_fd, uint64_t now_usec, Guest *g) {
        size_t missing = count_missing(g), known = o->n_threads;
        int r;

        /* guest_observer_new() scanned, without a clock. */
        if (o->scanned_usec == 0)
                o->scanned_usec = now_usec;
        if (missing == o->missing &&
            (missing == 0 || u64_sub(now_usec, o->scanned_usec) < RESCAN_INTERVAL_USEC))
                return 0;
        r = scan_threads(o, root_fd, g);
        if (r < 0)
                return r;
        o->scanned_usec = now_usec;
        for (size_t i = known; i < o->n_threads; i++)
                (void)observe_thread(o, i, root_fd, now_usec, g);
        o->missing = count_missing(g);
        return 0;
}

/*
 * "size resident ...", in pages; shared ones included. A process that ended but
 * was not waited for has no memory at all, while its threads' files still answer.
 */
static int observe_rss(GuestObserver *o, int root_fd, Guest *g) {
        uint64_t size, resident;
        const char *p;
        int r;

        g->rss_bytes = g->virtual_bytes = UNKNOWN_U64;
        r = sysfs_file_read_line(&o->statm, root_fd, &p);
        if (r < 0)
                return r == -ESRCH ? r : 0;
        if (parse_u64_prefix(&p, &size) < 0 || *p++ != ' ' || parse_u64_prefix(&p, &resident) < 0)
                return 0;
        if (size == 0)
                return -ESRCH;
        g->rss_bytes = u64_muldiv(resident, (uint64_t)sysconf(_SC_PAGESIZE), 1);
        g->virtual_bytes = u64_muldiv(size, (uint64_t)sysconf(_SC_PAGESIZE), 1);
        return 0;
}

int guest_observer_new(int root_fd, int32_t pid, Guest *g, GuestObserver **ret) {
        _cleanup_(guest_observer_freep) GuestObserver *o = NULL;
        char path[64];
        int r;

        o = calloc(1, sizeof(*o));
        if (!o)
                return -ENOMEM;
        o->pid = pid;
        o->live = root_is_live(root_fd);
        (void)snprintf(path, sizeof(path), "proc/%d/statm", pid);
        r = sysfs_file_init(&o->statm, path);
        if (r < 0)
                return r;
        r = guest_memory_init(&o->memory, pid);
        if (r < 0)
                return r;
        r = guest_cgroup_init(&o->cgroup, root_fd, pid);
        if (r < 0)
                return r;
        r = add_thread(o, THREAD_EMULATOR, 0, pid);
        if (r < 0)
                return r;
        r = scan_threads(o, root_fd, g);
        if (r < 0)
                return r;
        publish_tids(o, g);
        o->missing = count_missing(g);
        *ret = TAKE_PTR(o);
        return 0;
}

int guest_observe(GuestObserver *o, int root_fd, uint64_t now_usec, bool per_node, Guest *g) {
        int r;

        r = observe_threads(o, root_fd, now_usec, g);
        if (r < 0)
                return r;
        g->pid = o->pid;
        r = rescan_if_needed(o, root_fd, now_usec, g);
        if (r < 0)
                return r;
        r = observe_rss(o, root_fd, g);
        if (r < 0)
                return r;
        guest_cgroup_pressure(&o->cgroup, root_fd, g);
        return per_node ? guest_memory_observe(&o->memory, root_fd, g) : 0;
}

void guest_observe_cgroup(GuestObserver *o, int root_fd, uint64_t now_usec, const Topology *topology, Guest *g) {
        guest_cgroup_usage(&o->cgroup, root_fd, now_usec, g);
        guest_cgroup_limits(&o->cgroup, root_fd, topology, g);
}

/* ---- from one value to the next ------------------------------------------- */

static void inherit_thread(GuestThread *to, const GuestThread *from) {
        to->tid = from->tid;
        to->affinity = from->affinity;
        to->busy_permyriad = from->busy_permyriad;
        to->wait_permyriad = from->wait_permyriad;
}

static void inherit_threads(GuestThread *to, size_t n_to, GuestThread *from, size_t n_from) {
        for (size_t i = 0; i < n_to; i++) {
                const GuestThread *t = find_thread(from, n_from, to[i].id);

                if (t)
                        inherit_thread(&to[i], t);
        }
}

int guest_inherit_observations(Guest *to, const Guest *from) {
        GuestNodeMemory *nodes = NULL;

        if (from->n_node_memory > 0) {
                nodes = malloc(from->n_node_memory * sizeof(*nodes));
                if (!nodes)
                        return -ENOMEM;
                memcpy(nodes, from->node_memory, from->n_node_memory * sizeof(*nodes));
        }
        free(to->node_memory);
        to->node_memory = nodes;
        to->n_node_memory = from->n_node_memory;
        to->pid = from->pid;
        to->rss_bytes = from->rss_bytes;
        to->virtual_bytes = from->virtual_bytes;
        to->psi_memory = from->psi_memory;
        to->emulator_busy_permyriad = from->emulator_busy_permyriad;
        to->cgroup_cpus = from->cgroup_cpus;
        to->cgroup_mems = from->cgroup_mems;
        to->stats = from->stats;
        to->advised_nodes = from->advised_nodes;
        inherit_thread(&to->emulator, &from->emulator);
        inherit_threads(to->vcpus, to->n_vcpus, from->vcpus, from->n_vcpus);
        inherit_threads(to->iothreads, to->n_iothreads, from->iothreads, from->n_iothreads);
        return 0;
}
