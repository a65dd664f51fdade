/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * KSM. The scanner goes through all guests' memory, pages_to_scan each
 * sleep_millisecs. A page it sees for the first time only gets a checksum; on
 * the second pass it is merged when it is still the same. So of each guest a
 * share `scanned` has been seen once, and `merged` follows it on the next pass.
 * Guests write to what is merged: that part begins anew.
 *
 * Of each group, the largest member's merged pages stay as the one copy.
 */

#include "memsim.h"

#define PAGE_BYTES 4096U

static uint64_t mergeable(const MemGuest *g) {
        return g->running && g->merge_group > 0 ? permyriad_of(mem_guest_used(g), g->merge_permyriad) : 0;
}

static void rewrite(MemGuest *g, uint64_t whole) {
        uint64_t written = permyriad_of(g->merged, g->rewrite_permyriad) * STEP_SEC / 60;

        g->merged -= written;
        g->scanned -= MIN(g->scanned, written);
        g->scanned = MIN(g->scanned, whole);
        g->merged = MIN(g->merged, g->scanned);
}

/* The scanner has passed over @part of @sum bytes. */
static void scan(MemGuest *g, uint64_t whole, uint64_t part, uint64_t sum) {
        uint64_t seen = u64_muldiv(whole, MIN(part, sum), sum);

        /* Of the pages in this part, those with a checksum from before are merged. */
        g->merged = MIN(g->merged + u64_muldiv(g->scanned - g->merged, MIN(part, sum), sum), whole);
        g->scanned = MIN(g->scanned + seen, whole);
}

static void count(MemSim *s) {
        MemMerge *m = &s->merge;

        m->saved = m->shared = m->sharing = 0;
        for (unsigned group = 1; group <= 4; group++) {
                uint64_t sum = 0, most = 0;

                for (size_t i = 0; i < s->n_guests; i++)
                        if (s->guests[i].running && s->guests[i].merge_group == group) {
                                sum += s->guests[i].merged;
                                most = MAX(most, s->guests[i].merged);
                        }
                m->saved += sum - most;
                m->shared += most;
                m->sharing += sum - most;
        }
}

void mem_merge_step(MemSim *s) {
        uint64_t sum = 0, part, rate;
        MemMerge *m = &s->merge;

        rate = u64_muldiv(m->pages_to_scan * PAGE_BYTES, 1000, MAX(m->sleep_millisecs, UINT64_C(1)));
        part = m->run == 1 ? rate * STEP_SEC : 0;
        for (size_t i = 0; i < s->n_guests; i++)
                sum += mem_guest_resident(&s->guests[i]);
        for (size_t i = 0; i < s->n_guests; i++) {
                MemGuest *g = &s->guests[i];
                uint64_t whole = mergeable(g);

                rewrite(g, whole);
                if (part > 0 && sum > 0)
                        scan(g, whole, part, sum);
        }
        m->position += part;
        for (; sum > 0 && m->position >= sum; m->position -= sum)
                m->full_scans++;
        count(s);
}
