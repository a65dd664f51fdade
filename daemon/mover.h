/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Moves a guest's memory to other NUMA nodes with move_pages(2) through
 * libnuma, in slices at a bounded rate, in a thread of its own that lives only
 * while a move is under way (page migration blocks for as long as the kernel
 * copies; the main loop must not). One move at a time.
 *
 * Ranges come from /proc/PID/numa_maps: anonymous, shared and huge page
 * mappings with pages on a node that is not a target; program files and
 * mappings bound by the owner's strict policy elsewhere are left alone. Of a
 * file that is the guest's own memory, pages are moved that the processes of
 * its devices map, too (CAP_SYS_NICE).
 */

#include "../lib/base.h"
#include "../lib/idset.h"

typedef struct Mover Mover;

typedef struct MoverReport {
        char uuid[37];
        uint64_t moved_bytes;
        uint64_t failed_bytes;          /* pages the kernel would not move (pinned, no room), or does not see */
        uint64_t usec;                  /* how long it took */
        int result;                     /* 0, -ECANCELED, -ESRCH (guest gone), -ENOMEM (target full), ... */
} MoverReport;

int mover_new(int root_fd, Mover **ret);
Mover *mover_free(Mover *m);            /* cancels and waits for the slice under way */
DEFINE_CLEANUP(Mover, mover_free)

/* Readable when a move has ended. */
int mover_get_fd(Mover *m);
/*
 * @targets: node numbers, filled in order of free memory, but those of @last after the others. @bytes_per_sec: 0 =
 * no limit. -EBUSY until the report of the last move was taken, -EOPNOTSUPP without NUMA in the kernel, -ESRCH,
 * -EINVAL, -errno of open or thread creation.
 */
int mover_start(Mover *m, const char *uuid, int32_t pid, const IdSet *targets, const IdSet *last,
                uint64_t bytes_per_sec);
void mover_cancel(Mover *m);
/* A move runs, or its report was not taken yet. */
bool mover_busy(const Mover *m);
/* The guest of that move; NULL when there is none. Valid until the report is taken. */
const char *mover_uuid(const Mover *m);
/* -EAGAIN when none has ended. */
int mover_take_report(Mover *m, MoverReport *ret);
