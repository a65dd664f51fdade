/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Whether the host could do without its swap, at every moment so far: kernel,
 * processes, the reserve, and of each guest the least that it can be brought
 * down to, fit together.
 *
 * That least is, for a guest that can be shrunk: its minimum, or what it needs
 * (kernel, working set, the page cache it needs) plus what shrinking leaves it
 * beyond that (balloon.reserve); at most its maximum. For any other guest it is
 * its maximum. QEMU's own memory comes on top. What merging saves is not counted.
 *
 * That holds of sizes. The speed is MemSim.gentle: see random.c.
 */

#include "memsim.h"

static bool can_be_shrunk(const MemSim *s, const MemGuest *g) {
        return mem_report_is_honest(g) && g->report != REPORT_BARE && g->device == DEVICE_WORKS && !g->paused &&
                !g->migrating && !g->vfio && !g->hugepages && !g->locked && g->name[0] == 'a' && !g->touched_by_user &&
                mem_now(s) >= g->reboot_until_usec;
}

static uint64_t least(const MemSim *s, const MemGuest *g) {
        uint64_t reserve = setting(&s->engine.config->base, KEY_BALLOON_RESERVE);
        uint64_t need = g->kernel + mem_curve(&g->anon, mem_now(s)) + mem_curve(&g->hot, mem_now(s)) +
                2 * mem_guest_watermark(g) + 48 * MIB;

        if (!can_be_shrunk(s, g))
                return g->maximum;
        /* What is usable stays above the reserve, and that is a share of the whole. */
        need = u64_muldiv(need, PERMYRIAD_FULL, PERMYRIAD_FULL - MIN(MAX(reserve, UINT64_C(750)), UINT64_C(9000)));
        return MIN(MAX(need, g->minimum), g->maximum);
}

void mem_feasible_step(MemSim *s) {
        uint64_t sum = s->host.kernel + mem_curve(&s->host.processes, mem_now(s)) + s->host.cache_least +
                2 * s->host.watermark + s->host.total / 20;

        if (!s->tuned || !s->feasible)
                return;
        for (size_t i = 0; i < s->n_guests; i++)
                if (s->guests[i].running)
                        sum += least(s, &s->guests[i]) + s->guests[i].overhead;
        s->feasible = sum <= s->host.total;
}
