/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pool_writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "../lib/sysfs.h"

#define NODE_DIR "sys/devices/system/node/node%u"

struct PoolWriter {
        int root_fd;                    /* the caller's */
        int event_fd;
        pthread_mutex_t lock;           /* of all below */
        PoolRequest *requests;          /* in the order in which they came */
        size_t n_requests, requests_capacity;
        PoolReport *reports;
        size_t n_reports, reports_capacity;
        pthread_t thread;
        bool has_thread;                /* to be joined */
        bool running;                   /* it will look at the requests again */
        bool stop;
};

int pool_writer_new(int root_fd, PoolWriter **ret) {
        PoolWriter *w = calloc(1, sizeof(*w));

        if (!w)
                return -ENOMEM;
        w->root_fd = root_fd;
        w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (w->event_fd < 0) {
                free(w);
                return -errno;
        }
        (void)pthread_mutex_init(&w->lock, NULL);
        *ret = w;
        return 0;
}

PoolWriter *pool_writer_free(PoolWriter *w) {
        if (!w)
                return NULL;
        (void)pthread_mutex_lock(&w->lock);
        w->stop = true;
        (void)pthread_mutex_unlock(&w->lock);
        if (w->has_thread)
                (void)pthread_join(w->thread, NULL);
        (void)pthread_mutex_destroy(&w->lock);
        (void)safe_close(w->event_fd);
        free(w->requests);
        free(w->reports);
        free(w);
        return NULL;
}

int pool_writer_get_fd(PoolWriter *w) {
        return w->event_fd;
}

/* ---- the thread ---- */

static int read_file(const PoolWriter *w, const PoolRequest *q, const char *name, uint64_t *ret) {
        char path[128];

        (void)snprintf(path, sizeof(path), NODE_DIR "/hugepages/hugepages-%llukB/%s", q->node,
                       (unsigned long long)(q->page_bytes / KIB), name);
        return sysfs_read_u64(w->root_fd, path, ret);
}

static int read_back(const PoolWriter *w, const PoolRequest *q, PoolReport *report) {
        HugePool p = { 0 };
        int r;

        r = read_file(w, q, "nr_hugepages", &p.total_pages);
        if (r < 0)
                return r;
        if (read_file(w, q, "surplus_hugepages", &p.surplus_pages) >= 0 &&
            read_file(w, q, "free_hugepages", &p.free_pages) >= 0)
                p.page_bytes = q->page_bytes;
        report->seen = p;
        report->pages = u64_sub(p.total_pages, p.surplus_pages);
        return 0;
}

static int ask(const PoolWriter *w, const PoolRequest *q, PoolReport *report) {
        char path[128];
        int r;

        (void)snprintf(path, sizeof(path), NODE_DIR "/hugepages/hugepages-%llukB/nr_hugepages", q->node,
                       (unsigned long long)(q->page_bytes / KIB));
        r = sysfs_write_u64(w->root_fd, path, q->pages);
        if (r < 0)
                return r;
        report->unread = read_back(w, q, report) < 0;
        return 0;
}

/*
 * Where the kernel cannot compact there is nothing to be gained by trying again; and where that fails, what the first
 * try gave stands.
 */
static int work(const PoolWriter *w, const PoolRequest *q, PoolReport *report) {
        char path[64];
        int r;

        r = ask(w, q, report);
        if (r < 0 || report->unread || report->pages >= q->pages)
                return r;
        (void)snprintf(path, sizeof(path), NODE_DIR "/compact", q->node);
        if (sysfs_write(w->root_fd, path, "1") >= 0)
                (void)ask(w, q, report);
        return 0;
}

/* false: there is none, and the thread ends. */
static bool next_request(PoolWriter *w, PoolRequest *ret) {
        bool found;

        (void)pthread_mutex_lock(&w->lock);
        found = !w->stop && w->n_requests > 0;
        if (found) {
                *ret = w->requests[0];
                w->n_requests--;
                memmove(w->requests, w->requests + 1, w->n_requests * sizeof(*w->requests));
        }
        w->running = found;
        (void)pthread_mutex_unlock(&w->lock);
        return found;
}

/* There is room: pool_writer_add() has made it. */
static void put_report(PoolWriter *w, const PoolReport *report) {
        const uint64_t one = 1;

        (void)pthread_mutex_lock(&w->lock);
        w->reports[w->n_reports++] = *report;
        (void)pthread_mutex_unlock(&w->lock);
        (void)!write(w->event_fd, &one, sizeof(one));
}

static void *writer_main(void *p) {
        PoolWriter *w = p;
        PoolReport report = { .result = 0 };

        (void)pthread_setname_np(pthread_self(), "pools");
        while (next_request(w, &report.request)) {
                report.pages = 0;
                report.unread = false;
                report.seen.page_bytes = 0;
                report.result = work(w, &report.request, &report);
                put_report(w, &report);
        }
        return NULL;
}

/* ---- the caller's side ---- */

/* Room for the report of each request, and of the one that is being worked on. */
static int make_room(PoolWriter *w) {
        size_t need = w->n_reports + w->n_requests + 2;
        PoolReport *p;
        int r;

        r = GROW_ARRAY(w->requests, w->requests_capacity, w->n_requests);
        if (r < 0 || need <= w->reports_capacity)
                return r;
        p = reallocarray(w->reports, need, sizeof(*p));
        if (!p)
                return -ENOMEM;
        w->reports = p;
        w->reports_capacity = need;
        return 0;
}

static int start_thread(PoolWriter *w) {
        int r;

        if (w->has_thread)
                (void)pthread_join(w->thread, NULL);
        w->has_thread = false;
        w->running = true;
        r = pthread_create(&w->thread, NULL, writer_main, w);
        w->has_thread = r == 0;
        /* The thread itself says when it has ended: that may be before it is heard of here. */
        if (r != 0)
                w->running = false;
        return -r;
}

int pool_writer_add(PoolWriter *w, const PoolRequest *request) {
        bool running = false;
        int r;

        (void)pthread_mutex_lock(&w->lock);
        r = make_room(w);
        if (r >= 0) {
                w->requests[w->n_requests++] = *request;
                running = w->running;
        }
        (void)pthread_mutex_unlock(&w->lock);
        if (r < 0 || running)
                return r;
        r = start_thread(w);
        if (r < 0)
                w->n_requests--;
        return r;
}

int pool_writer_take(PoolWriter *w, PoolReport *ret) {
        int r = -EAGAIN;
        uint64_t count;

        (void)pthread_mutex_lock(&w->lock);
        if (w->n_reports > 0) {
                *ret = w->reports[0];
                w->n_reports--;
                memmove(w->reports, w->reports + 1, w->n_reports * sizeof(*w->reports));
                r = 0;
        }
        if (w->n_reports == 0)
                (void)!read(w->event_fd, &count, sizeof(count));
        (void)pthread_mutex_unlock(&w->lock);
        return r;
}
