/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Slices: each asks the kernel where up to SLICE_PAGES pages are, moves those
 * that are elsewhere, and asks again about those with an error (of a
 * transparent huge page the first 4 KiB move all the others, which then look
 * busy). Then it waits until the rate allows the next, or until cancelled; where
 * there is nothing to move (memory the guest never touched), asking alone takes
 * at most half of a CPU, and ends with the last page that is there.
 *
 * Each call that moves pages first has every online CPU empty its lists of new
 * pages, and waits for that (mm/migrate.c, lru_cache_disable()), whatever these
 * CPUs do: a slice is as large as the rate allows in SLICE_USEC, up to 16 MiB.
 * The guest waits for the pages that are being copied, not for the slice.
 *
 * Linux 6.1 to 6.4 (commits 474098edac26, d74943a2f3cd) do not see what
 * kernel.numa_balancing has unmapped and the guest has not touched since, most of
 * the memory of an idle guest, and do not move it. One byte read of such a page by
 * process_vm_readv(2), which honours the fault, maps it again, as the guest's next
 * access would. That fault may move the page to the node of the thread that reads,
 * unless the thread has a memory policy: the mover's is MPOL_LOCAL, which is what
 * it would have anyway.
 *
 * Memory that the guest shares with the processes of its devices (vhost-user,
 * virtiofsd) is mapped by them, too, and the kernel moves it only with
 * MPOL_MF_MOVE_ALL (move_pages(2): EACCES otherwise). Nothing else is moved so:
 * pages that KSM has merged, or of an ivshmem device, are other guests' as well.
 *
 * The target of a slice is the node with most free memory, of which a reserve stays;
 * for huge pages, the one with most of them free in its pool.
 * Nodes without CPUs (memory beyond a CXL link, say) come after the others: when
 * those have no room, or seem to have some and the kernel finds none.
 */
#include "mover.h"

#include "mover_ranges.h"

#include "../lib/sysfs.h"

#include <fcntl.h>
#include <limits.h>
#include <numa.h>
#include <numaif.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <time.h>

#define SLICE_PAGES 4096U
#define SLICE_BYTES (16 * MIB)
#define SLICE_BYTES_MIN (2 * MIB)
#define SLICE_USEC (250 * USEC_PER_MSEC)
/* Stays free on a node, also after a slice. */
#define NODE_RESERVE_BYTES (16 * MIB)
/* Slices in a row of which nothing could be moved: the targets are full in a way that free memory does not show. */
#define FUTILE_MAX 16U
/* admin-guide/mm/pagemap.rst */
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)

typedef enum MoverState {
        MOVER_IDLE,
        MOVER_RUNNING,
        MOVER_ENDED,
} MoverState;

struct Mover {
        int root_fd;
        int event_fd;
        pthread_mutex_t lock;
        pthread_cond_t wake;
        bool cancelled;                 /* under the lock */
        int state;                      /* MoverState, atomic: main's thread and the move's */
        pthread_t thread;

        /* The move under way; its thread's until it has ended. */
        int32_t pid;
        int proc_fd, pagemap_fd;
        IdSet targets, last;
        bool others_full;               /* of the targets those that are not in last */
        uint64_t bytes_per_sec;
        MoverReport report;

        uint64_t next_usec;             /* when the rate allows the next slice */
        unsigned futile;
        void *pages[SLICE_PAGES];
        int nodes[SLICE_PAGES];
        int status[SLICE_PAGES];
        uint64_t pagemap[SLICE_PAGES];
        struct iovec hidden[SLICE_PAGES];
        char bytes[IOV_MAX];            /* of the guest's memory: to be read, not to be looked at */
};

static uint64_t now_usec(void) {
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / NSEC_PER_USEC;
}

int mover_new(int root_fd, Mover **ret) {
        _cleanup_free_ Mover *m = NULL;
        pthread_condattr_t attr;

        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->root_fd = root_fd;
        m->proc_fd = m->pagemap_fd = -EBADF;
        m->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (m->event_fd < 0)
                return -errno;
        (void)pthread_mutex_init(&m->lock, NULL);
        (void)pthread_condattr_init(&attr);
        (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        (void)pthread_cond_init(&m->wake, &attr);
        (void)pthread_condattr_destroy(&attr);
        *ret = TAKE_PTR(m);
        return 0;
}

static MoverState get_state(const Mover *m) {
        return (MoverState)__atomic_load_n(&m->state, __ATOMIC_ACQUIRE);
}

static void set_state(Mover *m, MoverState state) {
        __atomic_store_n(&m->state, (int)state, __ATOMIC_RELEASE);
}

static void finish(Mover *m) {
        (void)pthread_join(m->thread, NULL);
        m->proc_fd = safe_close(m->proc_fd);
        m->pagemap_fd = safe_close(m->pagemap_fd);
        set_state(m, MOVER_IDLE);
}

Mover *mover_free(Mover *m) {
        if (!m)
                return NULL;
        mover_cancel(m);
        if (get_state(m) != MOVER_IDLE)
                finish(m);
        (void)safe_close(m->event_fd);
        (void)pthread_cond_destroy(&m->wake);
        (void)pthread_mutex_destroy(&m->lock);
        free(m);
        return NULL;
}

int mover_get_fd(Mover *m) {
        return m->event_fd;
}

bool mover_busy(const Mover *m) {
        return get_state(m) != MOVER_IDLE;
}

const char *mover_uuid(const Mover *m) {
        return mover_busy(m) ? m->report.uuid : NULL;
}

void mover_cancel(Mover *m) {
        (void)pthread_mutex_lock(&m->lock);
        m->cancelled = true;
        (void)pthread_cond_signal(&m->wake);
        (void)pthread_mutex_unlock(&m->lock);
}

/* Waits until the next slice is due; -ECANCELED. */
static int wait_turn(Mover *m) {
        struct timespec until = {
                .tv_sec = (time_t)(m->next_usec / USEC_PER_SEC),
                .tv_nsec = (long)(m->next_usec % USEC_PER_SEC * NSEC_PER_USEC),
        };
        bool cancelled;

        (void)pthread_mutex_lock(&m->lock);
        while (!m->cancelled && now_usec() < m->next_usec)
                (void)pthread_cond_timedwait(&m->wake, &m->lock, &until);
        cancelled = m->cancelled;
        (void)pthread_mutex_unlock(&m->lock);
        return cancelled ? -ECANCELED : 0;
}

/* Is it still the process we began with? Its directory is dead once it is gone, even if the number lives on. */
static int check_process(const Mover *m) {
        return faccessat(m->proc_fd, "stat", F_OK, 0) < 0 ? -ESRCH : 0;
}

/* Where its pool has none the kernel may still make one, unless it is of 1 GiB. */
static uint64_t pool_free_bytes(const Mover *m, const MoverRange *range, int node) {
        uint64_t pages = 0;
        char path[96];

        (void)snprintf(path, sizeof(path), "sys/devices/system/node/node%d/hugepages/hugepages-%llukB/free_hugepages",
                       node, (unsigned long long)(range->page_bytes / KIB));
        (void)sysfs_read_u64(m->root_fd, path, &pages);
        return u64_muldiv(pages, range->page_bytes, 1);
}

/* false: it has no room. */
static bool look_at(const Mover *m, const MoverRange *range, int node, MoverTarget *ret) {
        uint64_t least_bytes = range->huge ? 0 : NODE_RESERVE_BYTES + SLICE_BYTES;
        bool last = idset_contains(&m->last, (unsigned)node);
        long long free_bytes = 0;

        if (numa_node_size64(node, &free_bytes) < 0 || free_bytes < 0 || (uint64_t)free_bytes < least_bytes)
                return false;
        *ret = (MoverTarget){ .node = node, .last = last, .free_bytes = (uint64_t)free_bytes };
        if (range->huge)
                ret->free_bytes = pool_free_bytes(m, range, node);
        return last || !m->others_full;
}

static int choose_target(const Mover *m, const MoverRange *range, int *ret) {
        MoverTarget best = { .node = -1 }, t;
        int r;

        r = check_process(m);
        if (r < 0)
                return r;
        IDSET_FOREACH(node, &range->targets)
                if (look_at(m, range, node, &t) && (best.node < 0 || mover_target_before(&t, &best)))
                        best = t;
        if (best.node < 0)
                return -ENOMEM;
        *ret = best.node;
        return 0;
}

/* Free memory does not show it, but there is no more room there. */
static int give_up_target(Mover *m) {
        if (m->others_full || !idset_intersects(&m->last, &m->targets))
                return -ENOMEM;
        m->others_full = true;
        m->futile = 0;
        return 0;
}

static int ask_where(Mover *m, unsigned long n) {
        return numa_move_pages(m->pid, n, m->pages, NULL, m->status, 0) < 0 ? -errno : 0;
}

static uint64_t count_present(const Mover *m, unsigned long n) {
        uint64_t present = 0;

        for (unsigned long i = 0; i < n; i++)
                present += m->status[i] >= 0;
        return present;
}

/* Of the @n pages, one behind the other, those that the kernel did not see and that are in memory. */
static unsigned long find_hidden(Mover *m, const MoverRange *range, unsigned long n) {
        uint64_t first = (uint64_t)(uintptr_t)m->pages[0] / range->page_bytes;
        unsigned long hidden = 0;
        ssize_t size;

        /* Balancing leaves pages of a pool alone. */
        if (range->huge || count_present(m, n) == n)
                return 0;
        size = pread(m->pagemap_fd, m->pagemap, n * sizeof(m->pagemap[0]), (off_t)(first * sizeof(m->pagemap[0])));
        for (unsigned long i = 0; size > 0 && i < (size_t)size / sizeof(m->pagemap[0]); i++)
                if (m->status[i] < 0 && (m->pagemap[i] & PAGEMAP_PRESENT))
                        m->hidden[hidden++] = (struct iovec){ m->pages[i], 1 };
        return hidden;
}

/* What cannot be read stays hidden, and counts as not moved. */
static int show_hidden(Mover *m, const MoverRange *range, unsigned long n) {
        unsigned long hidden = find_hidden(m, range, n);
        bool shown = false;

        for (unsigned long i = 0; i < hidden; i += IOV_MAX) {
                struct iovec bytes = { .iov_base = m->bytes };

                bytes.iov_len = MIN(hidden - i, sizeof(m->bytes));
                shown = process_vm_readv(m->pid, &bytes, 1, m->hidden + i, bytes.iov_len, 0) > 0 || shown;
        }
        return shown ? ask_where(m, n) : 0;
}

static bool is_elsewhere(const MoverRange *range, int status) {
        return status >= 0 && !idset_contains(&range->targets, (unsigned)status);
}

/* Keeps of the @n pages those that are elsewhere. */
static unsigned long keep_misplaced(Mover *m, const MoverRange *range, unsigned long n) {
        unsigned long kept = 0;

        for (unsigned long i = 0; i < n; i++)
                if (is_elsewhere(range, m->status[i]))
                        m->pages[kept++] = m->pages[i];
        return kept;
}

static int move_misplaced(Mover *m, const MoverRange *range, unsigned long n, int target) {
        int flags = range->shared ? MPOL_MF_MOVE_ALL : MPOL_MF_MOVE, r;
        uint64_t moved, failed = 0;

        for (unsigned long i = 0; i < n; i++) {
                m->nodes[i] = target;
                m->status[i] = -EAGAIN;
        }
        if (numa_move_pages(m->pid, n, m->pages, m->nodes, m->status, flags) < 0 && errno != ENOMEM &&
            errno != EBUSY && errno != ENOENT)
                return -errno;
        r = ask_where(m, n);
        if (r < 0)
                return r;
        for (unsigned long i = 0; i < n; i++)
                failed += is_elsewhere(range, m->status[i]);
        moved = n - failed;
        m->report.moved_bytes += moved * range->page_bytes;
        m->report.failed_bytes += failed * range->page_bytes;
        m->futile = moved > 0 ? 0 : m->futile + 1;
        m->next_usec = MAX(m->next_usec, now_usec());
        if (m->bytes_per_sec > 0)
                m->next_usec += u64_muldiv(moved * range->page_bytes, USEC_PER_SEC, m->bytes_per_sec);
        return m->futile >= FUTILE_MAX ? give_up_target(m) : 0;
}

static int move_slice(Mover *m, const MoverRange *range, unsigned long n, uint64_t *present) {
        uint64_t began_usec = now_usec();
        unsigned long misplaced;
        int target, r;

        r = ask_where(m, n);
        if (r >= 0)
                r = show_hidden(m, range, n);
        if (r < 0)
                return r;
        *present += count_present(m, n);
        m->next_usec = MAX(m->next_usec, now_usec()) + (now_usec() - began_usec);
        misplaced = keep_misplaced(m, range, n);
        if (misplaced == 0)
                return 0;
        r = choose_target(m, range, &target);
        if (r < 0)
                return r;
        return move_misplaced(m, range, misplaced, target);
}

static uint64_t slice_pages(const Mover *m, const MoverRange *range) {
        uint64_t bytes = u64_muldiv(m->bytes_per_sec, SLICE_USEC, USEC_PER_SEC);

        bytes = m->bytes_per_sec > 0 ? CLAMP(bytes, SLICE_BYTES_MIN, SLICE_BYTES) : SLICE_BYTES;
        return CLAMP(bytes / range->page_bytes, UINT64_C(1), (uint64_t)SLICE_PAGES);
}

static int move_range(Mover *m, const MoverRange *range) {
        uint64_t most = slice_pages(m, range);
        uint64_t address = range->from, present = 0;

        while (address < range->to && present < range->n_pages) {
                unsigned long n = 0;
                int r;

                r = wait_turn(m);
                if (r < 0)
                        return r;
                for (; n < most && address < range->to; address += range->page_bytes)
                        m->pages[n++] = (void *)(uintptr_t)address;
                r = move_slice(m, range, n, &present);
                if (r < 0)
                        return r;
        }
        m->report.failed_bytes += u64_sub(range->n_pages, present) * range->page_bytes;
        return 0;
}

static int read_ranges(const Mover *m, MoverRange **ret, size_t *ret_n) {
        _cleanup_free_ char *maps = NULL, *numa_maps = NULL;
        int r;

        r = sysfs_read(m->proc_fd, "numa_maps", &numa_maps, NULL);
        if (r < 0)
                return r;
        r = sysfs_read(m->proc_fd, "maps", &maps, NULL);
        if (r < 0)
                return r;
        return mover_ranges_parse(maps, numa_maps, &m->targets, ret, ret_n);
}

static int move_all(Mover *m) {
        _cleanup_free_ MoverRange *ranges = NULL;
        size_t n;
        int r;

        r = read_ranges(m, &ranges, &n);
        if (r < 0)
                return r;
        m->pagemap_fd = openat(m->proc_fd, "pagemap", O_RDONLY | O_CLOEXEC);
        for (size_t i = 0; i < n; i++) {
                r = move_range(m, &ranges[i]);
                if (r < 0)
                        return r;
        }
        return check_process(m);
}

static void *mover_main(void *p) {
        const uint64_t one = 1;
        uint64_t began_usec = now_usec();
        Mover *m = p;
        int r;

        (void)pthread_setname_np(pthread_self(), "mover");
        (void)set_mempolicy(MPOL_LOCAL, NULL, 0);
        r = move_all(m);
        m->report.result = r == -ENOENT ? -ESRCH : r;
        m->report.usec = now_usec() - began_usec;
        set_state(m, MOVER_ENDED);
        (void)!write(m->event_fd, &one, sizeof(one));
        return NULL;
}

static int open_process(int root_fd, int32_t pid) {
        char path[32];
        int fd;

        (void)snprintf(path, sizeof(path), "proc/%d", pid);
        fd = openat(root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        return fd;
}

int mover_start(Mover *m, const char *uuid, int32_t pid, const IdSet *targets, const IdSet *last,
                uint64_t bytes_per_sec) {
        int fd, r;

        if (mover_busy(m))
                return -EBUSY;
        if (strlen(uuid) >= sizeof(m->report.uuid) || pid <= 0 || idset_is_empty(targets))
                return -EINVAL;
        if (numa_available() < 0)
                return -EOPNOTSUPP;
        fd = open_process(m->root_fd, pid);
        if (fd < 0)
                return fd;
        m->proc_fd = fd;
        m->pid = pid;
        m->targets = *targets;
        m->last = *last;
        m->others_full = false;
        m->bytes_per_sec = bytes_per_sec;
        m->report = (MoverReport){ .result = 0 };
        memcpy(m->report.uuid, uuid, strlen(uuid) + 1);
        m->next_usec = 0;
        m->futile = 0;
        m->cancelled = false;
        set_state(m, MOVER_RUNNING);
        r = pthread_create(&m->thread, NULL, mover_main, m);
        if (r != 0) {
                m->proc_fd = safe_close(m->proc_fd);
                set_state(m, MOVER_IDLE);
        }
        return -r;
}

int mover_take_report(Mover *m, MoverReport *ret) {
        uint64_t count;

        if (get_state(m) != MOVER_ENDED)
                return -EAGAIN;
        /* The thread signals last: only after it has ended nothing can come any more. */
        finish(m);
        (void)!read(m->event_fd, &count, sizeof(count));
        *ret = m->report;
        return 0;
}
