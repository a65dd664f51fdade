/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The host's memory: kernel, processes, page cache, and what guests have
 * touched, less what is merged or swapped out. Page cache gives way to
 * everything else down to cache_least; then guests' memory is swapped out, in
 * proportion to what they have; what is swapped comes back, 2 % a second, while
 * there is room.
 */

#include "memsim.h"

#define SWAP_TOUCH_PERCENT 2U
/* Swap traffic at which everybody waits for memory all the time: a disk's. */
#define SWAP_RATE (100 * MIB)

uint64_t mem_guest_resident(const MemGuest *g) {
        return g->running ? g->touched + g->overhead - g->host_swapped : 0;
}

uint64_t mem_host_resident(const MemSim *s) {
        uint64_t sum = s->host.kernel + mem_curve(&s->host.processes, mem_now(s));

        for (size_t i = 0; i < s->n_guests; i++)
                sum += mem_guest_resident(&s->guests[i]);
        return u64_sub(sum, s->merge.saved);
}

uint64_t mem_host_free(const MemSim *s) {
        return u64_sub(s->host.total, mem_host_resident(s) + s->host.cache);
}

/* As the kernel works out MemAvailable. */
uint64_t mem_host_available(const MemSim *s) {
        return u64_sub(mem_host_free(s) + u64_sub(s->host.cache, s->host.cache_least), s->host.watermark);
}

static void swap_out(MemSim *s, uint64_t bytes) {
        MemHost *h = &s->host;
        uint64_t sum = 0, left = MIN(bytes, u64_sub(h->swap_total, h->swap_used));

        h->oom_bytes = MAX(h->oom_bytes, bytes - left);
        for (size_t i = 0; i < s->n_guests; i++)
                sum += mem_guest_resident(&s->guests[i]);
        for (size_t i = 0; i < s->n_guests; i++) {
                MemGuest *g = &s->guests[i];
                uint64_t part = u64_muldiv(left, mem_guest_resident(g), sum);

                part = MIN(part, g->touched - g->host_swapped);
                g->host_swapped += part;
                h->swap_used += part;
                h->swapped_out += part;
                h->step_swapped += part;
                h->step_out += part;
        }
}

static void swap_in(MemSim *s, uint64_t room) {
        MemHost *h = &s->host;

        for (size_t i = 0; i < s->n_guests; i++) {
                MemGuest *g = &s->guests[i];
                uint64_t part = MIN(g->host_swapped / 100 * SWAP_TOUCH_PERCENT * STEP_SEC, room);

                g->host_swapped -= part;
                h->swap_used -= MIN(h->swap_used, part);
                h->swapped_in += part;
                h->step_swapped += part;
                h->step_in += part;
                room -= part;
        }
}

void mem_host_step(MemSim *s) {
        MemHost *h = &s->host;
        uint64_t resident = mem_host_resident(s), room = u64_sub(h->total, resident + h->watermark);

        h->step_swapped = h->step_in = h->step_out = 0;
        h->cache = MIN(MIN(h->cache + h->read_rate * STEP_SEC, h->cache_wanted), room);
        h->cache = MAX(h->cache, h->cache_least);
        if (resident + h->cache + h->watermark / 2 > h->total)
                swap_out(s, resident + h->cache + h->watermark - h->total);
        else
                swap_in(s, u64_sub(room, h->cache));
        h->psi_some += (MIN((double)h->step_swapped / (double)(SWAP_RATE * STEP_SEC), 1.0) * PERMYRIAD_FULL - h->psi_some) *
                (double)STEP_SEC / 10;
}
