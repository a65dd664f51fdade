/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The balloon device. After its latency it moves at its rate. Memory it takes
 * is first what is free above the guest's watermark, then page cache that the
 * guest does not need; it never swaps (the driver allocates with
 * __GFP_NORETRY). So it may stop on its way and go on later.
 *
 * The host gets back what of it was ever touched: of free memory the part that
 * was, of page cache all. Memory given back to the guest is untouched.
 */

#include "memsim.h"

void mem_balloon_set(MemSim *s, MemGuest *g, uint64_t bytes) {
        if (g->target == g->balloon || (bytes < g->balloon) != (g->target < g->balloon))
                g->target_usec = mem_now(s);
        g->target = MIN(bytes, g->maximum);
}

bool mem_device_works(const MemSim *s, const MemGuest *g) {
        return g->device == DEVICE_WORKS || (g->device == DEVICE_PAUSES && mem_now(s) >= s->calm_usec);
}

static bool moves(const MemSim *s, const MemGuest *g) {
        uint64_t now = mem_now(s);

        if (g->paused || g->device == DEVICE_STUCK || g->report == REPORT_NEVER || now < g->reboot_until_usec)
                return false;
        if (g->device == DEVICE_PAUSES && !mem_device_works(s, g) && now / USEC_PER_MINUTE % 3 != 0)
                return false;
        return now >= g->target_usec + g->device_latency_usec;
}

static void inflate(MemGuest *g, uint64_t bytes) {
        uint64_t free = mem_guest_free(g), before = g->cache_bytes, part, untouched;

        part = MIN(bytes, u64_sub(free, mem_guest_watermark(g)));
        untouched = MIN(u64_sub(g->balloon, g->touched), free);
        g->touched -= part - u64_muldiv(part, untouched, free);
        g->balloon -= part;
        (void)mem_guest_drop_cache(g, bytes - part);
        g->touched -= before - g->cache_bytes;
        g->balloon -= before - g->cache_bytes;
        g->host_swapped = MIN(g->host_swapped, g->touched);
}

void mem_balloon_step(MemSim *s, MemGuest *g) {
        uint64_t most = g->device_rate * STEP_SEC, target = g->target;

        if (!g->running || !moves(s, g))
                return;
        if (g->device == DEVICE_PARTIAL && target < g->balloon)
                target = MIN(MAX(target, g->device_floor), g->balloon);
        if (target > g->balloon)
                g->balloon += MIN(most, target - g->balloon);
        else if (target < g->balloon)
                inflate(g, MIN(most, g->balloon - target));
}
