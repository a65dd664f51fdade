/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the daemon sees. Statistics are those of the last time it asked for them, and grow old. */

#include "memsim.h"

#define PAGE_BYTES 4096U
#define FAULTS_PER_SEC 100U

static void observe_host(MemSim *s) {
        const MemHost *h = &s->host;
        Host *seen = &s->snapshot->host;

        seen->memory = (HostMemory){
                .total_bytes = h->total,
                .available_bytes = mem_host_available(s),
                .free_bytes = mem_host_free(s),
                .buffers_bytes = 0,
                .cached_bytes = h->cache,
                .swap_total_bytes = h->swap_total,
                .swap_free_bytes = u64_sub(h->swap_total, h->swap_used),
        };
        seen->swap_in_bytes_per_sec = h->step_in / STEP_SEC;
        seen->swap_out_bytes_per_sec = h->step_out / STEP_SEC;
        seen->psi_memory = (Psi){ (uint32_t)h->psi_some, (uint32_t)(h->psi_some / 2) };
}

static void observe_merging(MemSim *s) {
        const MemMerge *m = &s->merge;
        KsmStatus *k = &s->snapshot->host.ksm;
        uint64_t all = 0;

        for (size_t i = 0; i < s->n_guests; i++)
                all += mem_guest_resident(&s->guests[i]);
        k->present = k->writable = true;
        k->run = m->run;
        k->pages_to_scan = m->pages_to_scan;
        k->sleep_millisecs = m->sleep_millisecs;
        k->merge_across_nodes = 1;
        k->pages_shared = m->shared / PAGE_BYTES;
        k->pages_sharing = m->sharing / PAGE_BYTES;
        k->pages_unshared = u64_sub(m->full_scans > 0 ? all : 0, m->shared + m->sharing) / PAGE_BYTES;
        k->full_scans = m->full_scans;
        /* 64 bytes for each page that the scanner knows: mm/ksm.c. */
        k->general_profit_bytes = (int64_t)m->sharing - (int64_t)(k->pages_unshared * 64);
        k->ksmd_busy_permyriad = m->run == 1 ? 500 : 0;
}

static bool is_wanted(const MemEngine *e, const char *uuid) {
        for (size_t i = 0; i < e->n_wanted; i++)
                if (streq(e->wanted[i], uuid))
                        return true;
        return false;
}

/* What kvmtuned calls distress beside a lack of usable memory: see lib/policy_balloon_guest.c. */
static bool is_busy(const MemSim *s, const MemGuest *g) {
        uint64_t since = MAX(g->said_usec - g->read_usec, s->snapshot->interval_usec);

        return s->snapshot->interval_usec > 0 && g->reads > 0 &&
                (u64_sub(g->said_swap_in, g->read_swap_in) > MIB ||
                 u64_sub(g->said_faults, g->read_faults) > u64_muldiv(FAULTS_PER_SEC, since, USEC_PER_SEC));
}

/* What was asked before that was asked of a guest that did not want it all. */
static void note_return(MemSim *s, MemGuest *g) {
        if (!g->comes_back || g->read_usec < g->kill_until_usec)
                return;
        g->comes_back = false;
        mem_settle_again(s);
}

static void read_report(MemSim *s, MemGuest *g) {
        if (g->said_usec == 0 || g->said_usec == g->read_usec)
                return;
        g->seen->stats = g->said;
        g->read_short = g->said_short;
        g->read_usable = g->said_usable;
        g->read_balloon = g->said_balloon;
        g->read_busy = is_busy(s, g);
        g->read_grown = g->reads > 0 && g->read_least < g->balloon;
        g->read_least = g->said_least;
        g->read_swap_in = g->said_swap_in;
        g->read_faults = g->said_faults;
        g->read_usec = g->said_usec;
        g->reads++;
        note_return(s, g);
}

static void observe_guest(MemSim *s, MemGuest *g) {
        Guest *seen = g->seen;

        seen->state = g->paused ? GUEST_PAUSED : GUEST_RUNNING;
        seen->migrating = g->migrating;
        seen->starting = mem_now(s) < g->start_usec + s->engine.interval_usec && g->start_usec > s->begin_usec;
        seen->current_bytes = g->balloon;
        seen->rss_bytes = mem_guest_resident(g);
        g->read_busy = false;
        if (is_wanted(&s->engine, g->uuid))
                read_report(s, g);
        g->looked_balloon = g->balloon;
        /* libvirt tells the time of a report in whole seconds. */
        seen->stats.age_usec = g->read_usec == 0 ? UNKNOWN_U64 :
                                                   (mem_now(s) - g->read_usec) / USEC_PER_SEC * USEC_PER_SEC;
}

void mem_observe(MemSim *s) {
        observe_host(s);
        observe_merging(s);
        for (size_t i = 0; i < s->n_guests; i++)
                if (s->guests[i].running)
                        observe_guest(s, &s->guests[i]);
}
