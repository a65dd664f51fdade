/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Inside of a guest. Its memory is what the balloon leaves it: kernel, working
 * set, page cache, and what is free. Who wants more takes what is free above a
 * watermark, then page cache that is not needed, then pushes working set into
 * the guest's swap, then goes below the watermark; when all that is not enough
 * the workload is killed and comes back after a minute.
 *
 * Of swapped working set, 2 % a second are touched: read back when there is
 * room, else exchanged for others. Page cache that is needed and has no room is
 * read again and again: 1 % of the missing pages a second are major faults. A
 * boot takes some, too, and its counters begin anew.
 */

#include "memsim.h"

#define SWAP_TOUCH_PERCENT 2U
#define REFAULT_PERCENT 1U
#define PAGE_BYTES 4096U
#define KILLED_USEC USEC_PER_MINUTE
#define DRIVER_BACK_USEC (20 * USEC_PER_SEC)
/* What a boot reads of programs, in the minute after it. */
#define BOOT_FAULTS UINT64_C(3000)
#define BOOT_FAULTS_PER_SEC UINT64_C(50)

MemGuest *mem_add_guest(MemSim *s, const char *name, uint64_t maximum) {
        MemGuest *g;

        if (GROW_ARRAY(s->guests, s->guests_capacity, s->n_guests) < 0)
                abort();
        g = &s->guests[s->n_guests++];
        *g = (MemGuest){
                .maximum = maximum,
                .kernel = MAX(maximum / 32, 24 * MIB),
                .overhead = 40 * MIB,
                .read_rate = 20 * MIB,
                .device_rate = 256 * MIB,
                .device_latency_usec = USEC_PER_SEC,
                .start_usec = s->begin_usec,
                .stop_usec = UINT64_MAX,
        };
        (void)snprintf(g->name, sizeof(g->name), "%s", name);
        /* The order of the uuids is not that of the starts. */
        (void)snprintf(g->uuid, sizeof(g->uuid), "%08x-0000-4000-8000-%012x", (unsigned)(s->n_guests * 2654435761U),
                       (unsigned)s->n_guests);
        return g;
}

uint64_t mem_guest_used(const MemGuest *g) {
        return g->kernel + g->anon_bytes + g->cache_bytes;
}

uint64_t mem_guest_free(const MemGuest *g) {
        return u64_sub(g->balloon, mem_guest_used(g));
}

uint64_t mem_guest_watermark(const MemGuest *g) {
        return CLAMP(g->maximum / 256, 4 * MIB, 64 * MIB);
}

uint64_t mem_guest_usable(const MemGuest *g) {
        uint64_t low = mem_guest_watermark(g);
        uint64_t cache = g->cache_bytes - MIN(g->cache_bytes / 2, low);

        return u64_sub(mem_guest_free(g) + cache, low);
}

uint64_t mem_distress_bytes(uint64_t size) {
        return MAX(size / 20, 32 * MIB);
}

bool mem_guest_is_short(const MemGuest *g) {
        return g->running && mem_guest_usable(g) < mem_distress_bytes(g->balloon);
}

uint64_t mem_guest_drop_cache(MemGuest *g, uint64_t bytes) {
        uint64_t dropped = MIN(bytes, u64_sub(g->cache_bytes, g->hot_bytes / 2));

        g->cache_bytes -= dropped;
        return dropped;
}

static uint64_t free_above_watermark(const MemGuest *g) {
        return u64_sub(mem_guest_free(g), mem_guest_watermark(g));
}

/* Up to @need bytes for working set: returned, no longer free, not yet anything else. */
static uint64_t obtain(MemGuest *g, uint64_t need, bool may_swap) {
        uint64_t got = MIN(need, free_above_watermark(g)), part;

        got += mem_guest_drop_cache(g, need - got);
        if (!may_swap)
                return got;
        part = MIN(MIN(need - got, g->anon_bytes), u64_sub(g->swap_total, g->swapped_bytes));
        g->anon_bytes -= part;
        g->swapped_bytes += part;
        g->swap_out += part;
        got += part;
        part = MIN(need - got, g->cache_bytes);
        g->cache_bytes -= part;
        got += part;
        return got + MIN(need - got, u64_sub(mem_guest_free(g), got));
}

static void release(MemGuest *g, uint64_t bytes, uint64_t have) {
        uint64_t swapped = u64_muldiv(bytes, g->swapped_bytes, have);

        g->swapped_bytes -= swapped;
        g->anon_bytes -= MIN(bytes - swapped, g->anon_bytes);
}

static void step_working_set(MemSim *s, MemGuest *g) {
        uint64_t want = mem_curve(&g->anon, mem_now(s)), have = g->anon_bytes + g->swapped_bytes, got;

        if (mem_now(s) < g->kill_until_usec)
                want = MIN(want, u64_sub(g->balloon, g->kernel) / 2);
        if (want <= have) {
                release(g, have - want, have);
                return;
        }
        got = obtain(g, want - have, true);
        g->anon_bytes += got;
        if (got == want - have)
                return;
        g->oom++;
        s->metrics.oom++;
        g->kill_until_usec = mem_now(s) + KILLED_USEC;
        g->comes_back = true;
        mem_settle_again(s);
        mem_story(s, "%s is out of memory", g->name);
}

static void step_swap(MemGuest *g) {
        uint64_t touched = g->swapped_bytes / 100 * SWAP_TOUCH_PERCENT * STEP_SEC;
        uint64_t room = obtain(g, touched, false);

        g->anon_bytes += room;
        g->swapped_bytes -= room;
        g->swap_in += touched;
        g->swap_out += touched - room;
}

static void step_cache(MemSim *s, MemGuest *g) {
        uint64_t missing = u64_sub(g->hot_bytes, g->cache_bytes), room = free_above_watermark(g);
        uint64_t read = MIN(g->read_rate * STEP_SEC, u64_sub(mem_curve(&g->file, mem_now(s)), g->cache_bytes));

        uint64_t boot = MIN(g->boot_faults, BOOT_FAULTS_PER_SEC * STEP_SEC);

        g->boot_faults -= boot;
        g->major_faults += boot;
        g->cache_bytes += MIN(MAX(read, missing), room);
        g->major_faults += u64_sub(missing, room) / PAGE_BYTES * REFAULT_PERCENT * STEP_SEC / 100;
}

void mem_guest_step(MemSim *s, MemGuest *g) {
        if (!g->running || g->paused)
                return;
        g->hot_bytes = mem_curve(&g->hot, mem_now(s));
        step_working_set(s, g);
        step_swap(g);
        step_cache(s, g);
        g->touched = MAX(g->touched, mem_guest_used(g));
        if (g->page_reporting)
                g->touched = mem_guest_used(g);
        g->host_swapped = MIN(g->host_swapped, g->touched);
}

void mem_start_guest(MemSim *s, MemGuest *g) {
        Guest *seen;

        if (guest_new(g->name, g->uuid, &seen) < 0 || snapshot_put_guest(s->snapshot, seen) < 0)
                abort();
        g->seen = seen;
        g->running = true;
        g->balloon = g->target = g->maximum;
        g->touched = g->kernel;
        g->boot_faults = BOOT_FAULTS;
        if (g->start_usec <= s->begin_usec) {
                g->major_faults = BOOT_FAULTS;
                g->boot_faults = 0;
        }
        seen->pid = 1000 + (int32_t)(g - s->guests);
        seen->max_bytes = seen->current_bytes = g->maximum;
        seen->balloon_device = true;
        seen->vfio = g->vfio;
        seen->hugepages = g->hugepages;
        seen->locked = g->locked;
        mem_story(s, "%s starts with %llu MiB", g->name, (unsigned long long)(g->maximum / MIB));
}

void mem_stop_guest(MemSim *s, MemGuest *g) {
        mem_story(s, "%s ends", g->name);
        (void)snapshot_remove_guest(s->snapshot, g->uuid);
        s->host.swap_used -= MIN(s->host.swap_used, g->host_swapped);
        g->seen = NULL;
        g->running = false;
        g->touched = g->host_swapped = g->merged = g->scanned = 0;
        g->anon_bytes = g->swapped_bytes = g->cache_bytes = 0;
}

void mem_guest_reset(MemSim *s, MemGuest *g) {
        g->anon_bytes = g->swapped_bytes = g->cache_bytes = g->merged = g->scanned = 0;
        g->swap_in = g->swap_out = g->major_faults = 0;
        g->boot_faults = BOOT_FAULTS;
        g->reads = 0;
        g->balloon = g->maximum;
        g->reboot_until_usec = mem_now(s) + DRIVER_BACK_USEC;
        g->next_report_usec = MAX(g->next_report_usec, g->reboot_until_usec);
}
