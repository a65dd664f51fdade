/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_eligible.h"

/* One obstacle: when @holds, the action is impossible because of it. */
typedef struct Obstacle {
        bool holds;
        SkipReason why;
        const char *detail;
} Obstacle;

static bool first_obstacle(const Obstacle *o, size_t n, SkipReason *ret_why, const char **ret_detail) {
        for (size_t i = 0; i < n; i++)
                if (o[i].holds) {
                        *ret_why = o[i].why;
                        *ret_detail = o[i].detail;
                        return true;
                }
        return false;
}

static bool blocked_always(const Guest *g, SkipReason *ret_why, const char **ret_detail) {
        const Obstacle obstacles[] = {
                { g->unreachable, SKIP_UNREACHABLE, "libvirt or the guest's monitor does not answer" },
                { g->state == GUEST_CRASHED, SKIP_NOT_RUNNING, "the guest has crashed" },
                { g->state == GUEST_SHUTDOWN, SKIP_NOT_RUNNING, "the guest is shutting down" },
                { g->migrating, SKIP_MIGRATING, "a migration or another long job is under way" },
        };

        return first_obstacle(obstacles, ELEMENTSOF(obstacles), ret_why, ret_detail);
}

static bool blocked_move(const Guest *g, SkipReason *ret_why, const char **ret_detail) {
        bool strict = g->numatune_mode == NUMATUNE_STRICT;
        const Obstacle obstacles[] = {
                { g->state != GUEST_RUNNING, SKIP_NOT_RUNNING,
                  "the guest is paused; its memory stays until it runs" },
                { g->locked, SKIP_LOCKED, "its memory is locked" },
                { g->vfio, SKIP_VFIO, "a passed-through device holds its memory" },
                { strict && g->numatune_placement_auto, SKIP_USER_NUMATUNE,
                  "libvirt bound its memory where it was advised to (placement='auto', strict)" },
                { strict && !idset_is_empty(&g->numatune_nodes), SKIP_USER_NUMATUNE,
                  "numatune binds its memory strictly" },
                { g->numatune_mode == NUMATUNE_RESTRICTIVE && idset_is_empty(guest_nodeset(g)), SKIP_USER_NUMATUNE,
                  "numatune restricts its memory to where libvirt was advised (placement='auto'), which is not "
                  "known" },
        };

        return first_obstacle(obstacles, ELEMENTSOF(obstacles), ret_why, ret_detail);
}

static bool blocked_nodeset(const Guest *g, SkipReason *ret_why, const char **ret_detail) {
        const Obstacle obstacles[] = {
                { g->numatune_mode != NUMATUNE_RESTRICTIVE, SKIP_USER_NUMATUNE,
                  "libvirt changes the nodeset of a running guest only in numatune mode restrictive" },
        };

        return first_obstacle(obstacles, ELEMENTSOF(obstacles), ret_why, ret_detail);
}

static bool blocked_balloon(const Guest *g, SkipReason *ret_why, const char **ret_detail) {
        const Obstacle obstacles[] = {
                { g->state != GUEST_RUNNING, SKIP_NOT_RUNNING, "the guest is paused; its balloon driver cannot act" },
                { !g->balloon_device, SKIP_NO_BALLOON, "the guest has no virtio balloon device" },
                { g->vfio, SKIP_VFIO, "a passed-through device holds its memory" },
                { g->hugepages, SKIP_HUGEPAGES, "its memory is in huge pages, which a balloon does not give back" },
                { g->locked, SKIP_LOCKED, "its memory is locked" },
        };

        return first_obstacle(obstacles, ELEMENTSOF(obstacles), ret_why, ret_detail);
}

static bool blocked_vcpus(const Guest *g, SkipReason *ret_why, const char **ret_detail) {
        const Obstacle obstacles[] = {
                { g->state != GUEST_RUNNING, SKIP_NOT_RUNNING, "the guest is paused; it cannot take or give a vCPU" },
                { g->starting, SKIP_NOT_RUNNING, "the guest has just started; its firmware counts its vCPUs" },
        };

        return first_obstacle(obstacles, ELEMENTSOF(obstacles), ret_why, ret_detail);
}

bool policy_eligible(const Guest *g, ActionKind kind, SkipReason *ret_why, const char **ret_detail) {
        if (blocked_always(g, ret_why, ret_detail))
                return false;
        switch (kind) {
        case ACTION_MOVE_MEMORY:
                return !blocked_move(g, ret_why, ret_detail);
        case ACTION_SET_NODESET:
                return !blocked_nodeset(g, ret_why, ret_detail);
        case ACTION_SET_BALLOON:
                return !blocked_balloon(g, ret_why, ret_detail);
        case ACTION_SET_VCPUS:
                return !blocked_vcpus(g, ret_why, ret_detail);
        default:
                return true;
        }
}
