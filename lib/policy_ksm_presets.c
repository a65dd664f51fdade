/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The presets: what each peer's own arithmetic (a file each) makes of the
 * snapshot, once in its own period. In between, what was decided last holds.
 */

#include <inttypes.h>
#include <stdio.h>

#include "policy_ksm.h"
#include "policy_ksm_kubevirt.h"
#include "policy_ksm_mom.h"
#include "policy_ksmtuned.h"

/* Cycles do not come on the microsecond: one that is early by this much is not put off for a whole interval. */
#define EARLY_USEC (500 * USEC_PER_MSEC)

/* A time after now was noted before a reboot. */
static bool step_is_due(const State *s, uint64_t now_usec, uint64_t interval_usec) {
        return s->ksm_stepped_usec == 0 || s->ksm_stepped_usec > now_usec ||
               now_usec - s->ksm_stepped_usec + EARLY_USEC >= interval_usec;
}

/* Each process rounded down to kB, as ps(1) prints it; a process not found counts nothing. */
static uint64_t resident_kib(const Snapshot *snapshot) {
        uint64_t sum = 0;

        for (size_t i = 0; i < snapshot->n_guests; i++)
                if (snapshot->guests[i]->rss_bytes != UNKNOWN_U64)
                        sum = u64_add(sum, snapshot->guests[i]->rss_bytes / KIB);
        return sum;
}

/* Where the size of the process is not known: it is no smaller than the memory it can give its guest. */
static uint64_t virtual_kib(const Snapshot *snapshot) {
        uint64_t sum = 0;

        for (size_t i = 0; i < snapshot->n_guests; i++) {
                const Guest *g = snapshot->guests[i];

                sum = u64_add(sum, (g->virtual_bytes != UNKNOWN_U64 ? g->virtual_bytes : g->max_bytes) / KIB);
        }
        return sum;
}

static uint64_t free_kib(const HostMemory *m) {
        return u64_add(u64_add(m->free_bytes / KIB, m->buffers_bytes / KIB), m->cached_bytes / KIB);
}

static void wish_ksmtuned(PolicyContext *c, KsmWish *wish) {
        const HostMemory *m = &c->snapshot->host.memory;
        KsmtunedInput in = {
                .total_kib = m->total_bytes / KIB,
                .free_kib = free_kib(m),
                .committed_kib = resident_kib(c->snapshot),
        };

        wish->run = ksmtuned_step(&in, &c->state->ksm_pages);
        c->state->ksm_sleep_millisecs = ksmtuned_sleep_millisecs(in.total_kib);
        (void)snprintf(wish->why, sizeof(wish->why),
                       "ksmtuned: committed %" PRIu64 " kB, free %" PRIu64 " kB of %" PRIu64 " kB", in.committed_kib,
                       in.free_kib, in.total_kib);
}

static void wish_mom(PolicyContext *c, KsmWish *wish) {
        const Host *h = &c->snapshot->host;
        KsmMomInput in = {
                .total_kib = h->memory.total_bytes / KIB,
                .free_kib = free_kib(&h->memory),
                .shareable_kib = virtual_kib(c->snapshot),
                .pages = h->ksm.pages_to_scan,
        };

        wish->run = ksm_mom_step(&in, &c->state->ksm_pages);
        c->state->ksm_sleep_millisecs = ksm_mom_sleep_millisecs(in.total_kib);
        (void)snprintf(wish->why, sizeof(wish->why),
                       "mom: shareable %" PRIu64 " kB, free %" PRIu64 " kB of %" PRIu64 " kB", in.shareable_kib,
                       in.free_kib, in.total_kib);
}

static void wish_kubevirt(PolicyContext *c, KsmWish *wish) {
        const Host *h = &c->snapshot->host;
        KsmKubevirtInput in = {
                .total_kib = h->memory.total_bytes / KIB,
                .available_kib = h->memory.available_bytes / KIB,
                .running = h->ksm.run == 1,
                .pages = h->ksm.pages_to_scan,
        };

        wish->run = ksm_kubevirt_step(&in, &c->state->ksm_pages);
        c->state->ksm_sleep_millisecs = ksm_kubevirt_sleep_millisecs(in.total_kib, in.available_kib);
        (void)snprintf(wish->why, sizeof(wish->why), "kubevirt: %" PRIu64 " kB of %" PRIu64 " kB available",
                       in.available_kib, in.total_kib);
}

void ksm_wish_preset(PolicyContext *c, KsmMode mode, KsmWish *wish) {
        static const struct {
                uint64_t interval_usec;
                void (*make)(PolicyContext *c, KsmWish *wish);
        } presets[_KSM_MODE_MAX] = {
                [KSM_KSMTUNED] = { KSMTUNED_INTERVAL_USEC, wish_ksmtuned },
                [KSM_MOM] = { KSM_MOM_INTERVAL_USEC, wish_mom },
                [KSM_KUBEVIRT] = { KSM_KUBEVIRT_INTERVAL_USEC, wish_kubevirt },
        };
        uint64_t now = c->snapshot->now_usec;
        State *s = c->state;

        if (s->ksm_stepped_mode != (unsigned)mode) {
                s->ksm_stepped_mode = (unsigned)mode;
                s->ksm_stepped_usec = s->ksm_pages = 0;
        }
        if (presets[mode].make && step_is_due(s, now, presets[mode].interval_usec)) {
                presets[mode].make(c, wish);
                s->ksm_stepped_usec = MAX(now, UINT64_C(1));
                s->ksm_on = wish->run;
        } else {
                wish->run = s->ksm_on;
                (void)snprintf(wish->why, sizeof(wish->why), "as decided %" PRIu64 " s ago",
                               (now - s->ksm_stepped_usec) / USEC_PER_SEC);
        }
        ksm_wish_set(wish, KSM_KNOB_PAGES_TO_SCAN, s->ksm_pages);
        ksm_wish_set(wish, KSM_KNOB_SLEEP_MILLISECS, s->ksm_sleep_millisecs);
}
