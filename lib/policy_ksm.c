/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * KSM, the host's only knob here: what the mode wants of run, pages_to_scan
 * and sleep_millisecs, compared with what the kernel has, one action for each
 * difference.
 *
 * `auto` starts before the host is in need: when little memory is available,
 * or when the guests may grow beyond what there is (their current memory plus
 * a tenth of the host for everything else exceeds the host). It stops when
 * neither holds any more; between ksm.start and ksm.stop it stays as it is.
 * The presets are in policy_ksm_presets.c.
 *
 * Stopping leaves merged pages merged (run = 0): unmerging needs the memory
 * that merging saved. The rate is left as it is when KSM stops; it is given
 * back with the rest.
 */

#include <inttypes.h>
#include <stdio.h>

#include "parse.h"
#include "policy_ksm.h"

/* For the host's own processes, when guests' memory is held against the host's size. */
#define OVERCOMMIT_MARGIN_PERMYRIAD 1000U

/* The order in which to write: never run at a rate nobody asked for. */
static const unsigned knob_order[] = { KSM_KNOB_PAGES_TO_SCAN, KSM_KNOB_SLEEP_MILLISECS, KSM_KNOB_RUN };

static uint64_t knob_value(const KsmStatus *ksm, unsigned knob) {
        switch (knob) {
        case KSM_KNOB_PAGES_TO_SCAN:
                return ksm->pages_to_scan;
        case KSM_KNOB_SLEEP_MILLISECS:
                return ksm->sleep_millisecs;
        default:
                return ksm->run;
        }
}

static bool advisor_sets_pages(const KsmStatus *ksm) {
        return streq(ksm->advisor_mode, "scan-time");
}

/*
 * One owned knob. Somebody else changed it: it is theirs, and so is the whole
 * of KSM from now on. It holds its original at the first look after a restart:
 * the process that recorded the change ended before it was made (or after
 * giving it back); then there is nothing to own. Returns 0 or -ENOMEM.
 */
static int check_knob(PolicyContext *c, const Owned *owned) {
        unsigned knob = owned->index;
        char current[24];
        int r = 0;

        (void)snprintf(current, sizeof(current), "%" PRIu64, knob_value(&c->snapshot->host.ksm, knob));
        if (policy_still_ours(c->snapshot, owned, current))
                return 0;
        if (!(c->state->ksm_adopted && streq_ptr(owned->original, current))) {
                if (!c->state->ksm_taken)
                        r = plan_add_skip(c->plan, ACTION_SET_KSM, NULL, SKIP_TAKEN_OVER,
                                          "%s is %s, not %s as set by kvmtuned: somebody else changed it; "
                                          "KSM is left alone",
                                          ksm_knob_to_string((KsmKnob)knob), current, owned->ours);
                c->state->ksm_taken = true;
        }
        state_disown(c->state, ACTION_SET_KSM, "", knob);
        return r;
}

/*
 * Looks at the knobs we own. One that somebody else changed ends our control
 * of all of them: two masters of one scanner do no good. Those that still hold
 * our value stay as they are, and owned: they are given back at the end.
 * Returns 0 or -ENOMEM.
 */
static int check_taken_over(PolicyContext *c) {
        int r;

        if (advisor_sets_pages(&c->snapshot->host.ksm))
                state_disown(c->state, ACTION_SET_KSM, "", KSM_KNOB_PAGES_TO_SCAN);

        for (size_t i = 0; i < ELEMENTSOF(knob_order); i++) {
                const Owned *owned = state_find_owned(c->state, ACTION_SET_KSM, "", knob_order[i]);

                if (!owned)
                        continue;
                r = check_knob(c, owned);
                if (r < 0)
                        return r;
        }
        c->state->ksm_adopted = false;
        return 0;
}

static uint64_t guests_bytes(const Snapshot *snapshot) {
        uint64_t sum = 0;

        for (size_t i = 0; i < snapshot->n_guests; i++)
                if (snapshot->guests[i]->current_bytes != UNKNOWN_U64)
                        sum = u64_add(sum, snapshot->guests[i]->current_bytes);
        return sum;
}

static void wish_auto(PolicyContext *c, KsmWish *wish) {
        const HostMemory *m = &c->snapshot->host.memory;
        uint64_t start = setting(&c->host, KEY_KSM_START), stop = setting(&c->host, KEY_KSM_STOP);
        uint64_t guests = guests_bytes(c->snapshot);
        bool overcommitted =
                u64_add(guests, permyriad_of(m->total_bytes, OVERCOMMIT_MARGIN_PERMYRIAD)) > m->total_bytes;
        char available[FORMAT_BYTES_MAX], total[FORMAT_BYTES_MAX], sum[FORMAT_BYTES_MAX];

        if (overcommitted || m->available_bytes <= permyriad_of(m->total_bytes, start))
                c->state->ksm_on = true;
        else if (m->available_bytes >= permyriad_of(m->total_bytes, stop))
                c->state->ksm_on = false;
        else if (!state_find_owned(c->state, ACTION_SET_KSM, "", KSM_KNOB_RUN))
                c->state->ksm_on = c->snapshot->host.ksm.run == 1;

        wish->run = c->state->ksm_on;
        (void)snprintf(wish->why, sizeof(wish->why),
                       "host has %s of %s available (starts at %" PRIu64 " %%, stops at %" PRIu64
                       " %%), guests may use %s",
                       format_bytes_short(m->available_bytes, available), format_bytes_short(m->total_bytes, total),
                       start / 100, stop / 100, format_bytes_short(guests, sum));
}

static bool is_preset(KsmMode mode) {
        return mode == KSM_KSMTUNED || mode == KSM_MOM || mode == KSM_KUBEVIRT;
}

static void make_wish(PolicyContext *c, KsmMode mode, KsmWish *wish) {
        wish->pages_to_scan = setting(&c->host, KEY_KSM_PAGES_TO_SCAN);
        wish->sleep_millisecs = setting(&c->host, KEY_KSM_SLEEP) / USEC_PER_MSEC;
        if (!is_preset(mode))
                c->state->ksm_stepped_usec = 0;
        switch (mode) {
        case KSM_AUTO:
                wish_auto(c, wish);
                return;
        case KSM_KSMTUNED:
        case KSM_MOM:
        case KSM_KUBEVIRT:
                ksm_wish_preset(c, mode, wish);
                return;
        default:
                c->state->ksm_on = wish->run = mode == KSM_ON;
                (void)snprintf(wish->why, sizeof(wish->why), "ksm.mode is %s", wish->run ? "on" : "off");
        }
}

static int set_knob(PolicyContext *c, unsigned knob, uint64_t value, const KsmWish *wish, const char *source) {
        const Host *h = &c->snapshot->host;
        const char *note = "";
        char old[24], new[24];

        if (knob_value(&h->ksm, knob) == value)
                return 0;
        if (knob == KSM_KNOB_PAGES_TO_SCAN && advisor_sets_pages(&h->ksm))
                return plan_add_skip(c->plan, ACTION_SET_KSM, NULL, SKIP_UNAVAILABLE,
                                     "pages_to_scan is set by the kernel's scan-time advisor");
        /* Seen on Linux 6.1: with hint faults on several nodes every page counted as volatile. */
        if (knob == KSM_KNOB_RUN && value == 1 && h->numa_balancing == 1 && h->n_nodes > 1)
                note = "; kernel.numa_balancing is on: merging may not progress on this kernel";

        (void)snprintf(old, sizeof(old), "%" PRIu64, knob_value(&h->ksm, knob));
        (void)snprintf(new, sizeof(new), "%" PRIu64, value);
        return plan_add_action(c->plan, ACTION_SET_KSM, NULL, knob, old, new, source, "%s%s", wish->why, note);
}

static int fulfil(PolicyContext *c, const KsmWish *wish) {
        _cleanup_free_ char *source = NULL;
        int r;

        r = setting_source(&c->host, KEY_KSM_MODE, &source);
        if (r < 0)
                return r;
        if (!wish->run) {
                /* 2: somebody asked for unmerging; it ends stopped anyway. */
                if (c->snapshot->host.ksm.run == 2)
                        return 0;
                return set_knob(c, KSM_KNOB_RUN, 0, wish, source);
        }
        r = set_knob(c, KSM_KNOB_PAGES_TO_SCAN, wish->pages_to_scan, wish, source);
        if (r < 0)
                return r;
        r = set_knob(c, KSM_KNOB_SLEEP_MILLISECS, wish->sleep_millisecs, wish, source);
        if (r < 0)
                return r;
        return set_knob(c, KSM_KNOB_RUN, 1, wish, source);
}

/* Mode keep: what was changed under another mode goes back; the caller disowns what it has given back. */
static int give_back(PolicyContext *c) {
        _cleanup_free_ char *source = NULL;
        int r;

        c->state->ksm_on = false;
        for (size_t i = 0; i < ELEMENTSOF(knob_order); i++) {
                const Owned *owned = state_find_owned(c->state, ACTION_SET_KSM, "", knob_order[i]);
                char current[24];

                if (!owned)
                        continue;
                (void)snprintf(current, sizeof(current), "%" PRIu64,
                               knob_value(&c->snapshot->host.ksm, knob_order[i]));
                if (streq(owned->original, current)) {
                        state_disown(c->state, ACTION_SET_KSM, "", knob_order[i]);
                        continue;
                }
                if (!source) {
                        r = setting_source(&c->host, KEY_KSM_MODE, &source);
                        if (r < 0)
                                return r;
                }
                r = plan_add_action(c->plan, ACTION_SET_KSM, NULL, knob_order[i], current, owned->original, source,
                                    "ksm.mode is keep: giving back the value from before");
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool memory_is_known(const HostMemory *m) {
        return m->total_bytes / KIB > 0 && m->total_bytes != UNKNOWN_U64 && m->available_bytes != UNKNOWN_U64;
}

int policy_ksm(PolicyContext *c) {
        const Host *h = &c->snapshot->host;
        KsmMode mode = (KsmMode)setting(&c->host, KEY_KSM_MODE);
        KsmWish wish = { 0 };
        bool was_taken = c->state->ksm_taken;
        int r;

        if (c->only_uuid)
                return 0;
        if (!h->ksm.present || !h->ksm.writable) {
                if (mode == KSM_KEEP)
                        return 0;
                return plan_add_skip(c->plan, ACTION_SET_KSM, NULL, SKIP_UNAVAILABLE, "%s",
                                     h->ksm.present ? "/sys/kernel/mm/ksm cannot be written"
                                                    : "the kernel has no /sys/kernel/mm/ksm");
        }
        r = check_taken_over(c);
        if (r < 0)
                return r;
        if (mode == KSM_KEEP)
                return give_back(c);
        if (c->state->ksm_taken) {
                if (!was_taken)
                        return 0;
                return plan_add_skip(c->plan, ACTION_SET_KSM, NULL, SKIP_TAKEN_OVER,
                                     "KSM was changed by somebody else; it is left alone until the next reload");
        }
        if ((mode == KSM_AUTO || is_preset(mode)) && !memory_is_known(&h->memory))
                return plan_add_skip(c->plan, ACTION_SET_KSM, NULL, SKIP_UNKNOWN, "the host's memory is not known");
        make_wish(c, mode, &wish);
        return fulfil(c, &wish);
}
