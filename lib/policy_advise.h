/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Advice before the first page: the nodes the placement controller would give
 * a guest that is about to start. Pure, as the rest of the policy.
 */

#include "policy.h"

typedef struct AdviceRequest {
        unsigned vcpus;                 /* at least 1 */
        uint64_t memory_bytes;          /* 0: not known, no memory is looked for */
        bool hugepages;
        uint64_t hugepage_bytes;        /* as in Guest */
} AdviceRequest;

/*
 * Where a guest of that size would best start, with everything the snapshot has
 * counted: guests where @state remembers them, or else where libvirt was
 * advised to start them, or else by what their threads may use; those that are
 * starting with their full size; and the reservations. A guest whose memory per
 * node is not known has it where it belongs. Nothing is changed, nor remembered.
 *
 * A set of nodes without any memory is completed with the nearest that has
 * some: libvirt refuses a nodeset without memory.
 *
 * *ret_reason: why these nodes, and not the next best. -ENODATA: the snapshot
 * has no topology; -ENOSPC: every CPU is reserved or isolated; -ENOMEM.
 */
int policy_advise(const PolicyInput *in, const State *state, const AdviceRequest *request, IdSet *ret_nodes,
                  char **ret_reason);
