/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Sets the number of huge pages of a node's pool, in a thread of its own that
 * lives only while there is work: the kernel moves memory together for as long
 * as the write takes, and the main loop must not wait for that.
 *
 * The kernel gives fewer pages than asked for without an error. Then the node's
 * memory is compacted once, and the rest asked for again.
 *
 * Writing these files takes no capability of root.
 */

#include "../lib/snapshot.h"

typedef struct PoolWriter PoolWriter;

typedef struct PoolRequest {
        uint64_t cookie;
        unsigned node;
        uint64_t page_bytes;
        uint64_t pages;
} PoolRequest;

typedef struct PoolReport {
        PoolRequest request;
        int result;                     /* 0, or -errno of writing: the pool is as it was */
        bool unread;                    /* written, but what the pool has now could not be read */
        uint64_t pages;                 /* that the pool has now, without surplus ones, unless unread */
        HugePool seen;                  /* the whole of it; page_bytes 0: not all could be read */
} PoolReport;

int pool_writer_new(int root_fd, PoolWriter **ret);
PoolWriter *pool_writer_free(PoolWriter *w);    /* waits for the write under way; the others are dropped */
DEFINE_CLEANUP(PoolWriter, pool_writer_free)

/* Readable when a request has ended. */
int pool_writer_get_fd(PoolWriter *w);
/* Requests are done one after the other. -ENOMEM, or -errno of thread creation. */
int pool_writer_add(PoolWriter *w, const PoolRequest *request);
/* The oldest that has ended; -EAGAIN: none. */
int pool_writer_take(PoolWriter *w, PoolReport *ret);
