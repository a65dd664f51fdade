/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Balloons: the host's need against the guests'.
 *
 *   1. Each guest is looked at: where its balloon is against where it was sent
 *      (policy_balloon_watch.c), and what may be done to it
 *      (policy_balloon_guest.c).
 *   2. Guests in distress get memory, whatever their mode wants; then guests of
 *      mode off get back what was taken, fixed targets are approached, and
 *      mode auto balances what is left (policy_balloon_share.c); presets decide
 *      for their guests as the originals do (policy_balloon_preset.c).
 *   3. Into the plan go first the guests in distress, then whatever frees
 *      memory, then whatever gives it.
 *   4. Statistics for the next decision are asked for (policy_balloon_stats.c).
 *
 * What was asked of a guest before and has not happened yet counts as
 * promised. A guest on its way down is not asked for more until it arrived and
 * reported afresh.
 */

#include "policy_balloon.h"

/* The host swaps so much, or its tasks wait for memory so much of their time: it needs memory. */
#define STRAIN_SWAP_BYTES_PER_SEC MIB
#define STRAIN_PSI_PERMYRIAD 1000U
/* A host in balance is left in balance. */
#define IGNORED_PERMYRIAD 25U
#define IGNORED_BYTES (16 * MIB)
/* Who has not reported for so long has no driver. */
#define DRIVER_PATIENCE_USEC (5 * USEC_PER_MINUTE)

static bool is_idle(const PolicyContext *c, const BalloonGuest *b) {
        return b->mode == BALLOON_OFF && !b->owned && !b->said &&
                !state_find_owned(c->state, ACTION_SET_STATS_PERIOD, b->guest->uuid, 0);
}

/* A guest that has just started reports as soon as its driver is there. */
static bool may_still_report(const PolicyContext *c, const BalloonGuest *b) {
        GuestMemo *m = b->memo;

        if (m->balloon_first_usec == 0 || m->balloon_first_usec > c->snapshot->now_usec)
                m->balloon_first_usec = c->snapshot->now_usec;
        return c->snapshot->now_usec - m->balloon_first_usec < DRIVER_PATIENCE_USEC;
}

/* What it has and has not touched yet, it may touch: a balloon gave it that, or may take it. */
static bool is_promise(const PolicyContext *c, const BalloonGuest *b) {
        bool young = may_still_report(c, b);

        if (b->mode == BALLOON_OFF || b->guest->rss_bytes == UNKNOWN_U64)
                return false;
        return !b->blocked || (b->why == SKIP_NO_DRIVER && young) ||
                (b->why != SKIP_NO_BALLOON && b->why != SKIP_NO_DRIVER && b->why != SKIP_HUGEPAGES &&
                 b->why != SKIP_LOCKED && b->why != SKIP_VFIO && b->why != SKIP_UNKNOWN);
}

/* It has arrived as far as a balloon is exact, and QEMU has the request: the rest of it may still come. */
static uint64_t last_mib(const BalloonGuest *b) {
        bool arrived = b->owned && b->memo->balloon_target_bytes == 0 && balloon_is_at(b->current, b->ours);

        return arrived ? u64_sub(b->ours, b->current) : 0;
}

static int look(BalloonDecision *d, size_t i) {
        PolicyContext *c = d->context;
        BalloonGuest *b = &d->guests[d->n];
        int r;

        balloon_guest_init(c, i, b);
        if (!b->memo)
                return 0;
        r = balloon_guest_watch(c, b);
        if (r < 0)
                return r;
        if (is_idle(c, b))
                return 0;
        balloon_guest_judge(c, b);
        balloon_promise(&d->host, b, b->current, b->asked);
        d->host.growing = u64_add(d->host.growing, last_mib(b));
        if (balloon_waits_to_grow(b))
                d->host.waiting = u64_add(d->host.waiting, balloon_may_still_take(b));
        if (is_promise(c, b))
                d->host.untouched = u64_add(d->host.untouched, u64_sub(b->current, b->guest->rss_bytes));
        d->n++;
        return 0;
}

static int look_at_guests(BalloonDecision *d) {
        const Snapshot *s = d->context->snapshot;
        int r;

        for (size_t i = 0; i < s->n_guests; i++) {
                if (d->context->only_uuid && !streq(s->guests[i]->uuid, d->context->only_uuid))
                        continue;
                r = look(d, i);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Unknown is none. */
bool balloon_host_is_strained(const Host *h) {
        uint64_t in = h->swap_in_bytes_per_sec == UNKNOWN_U64 ? 0 : h->swap_in_bytes_per_sec;
        uint64_t out = h->swap_out_bytes_per_sec == UNKNOWN_U64 ? 0 : h->swap_out_bytes_per_sec;

        return u64_add(in, out) >= STRAIN_SWAP_BYTES_PER_SEC ||
                (h->psi_memory.some_permyriad != UNKNOWN_PERMYRIAD &&
                 h->psi_memory.some_permyriad >= STRAIN_PSI_PERMYRIAD);
}

static void look_at_host(BalloonDecision *d) {
        const PolicyContext *c = d->context;
        const HostMemory *m = &c->snapshot->host.memory;
        BalloonHost *h = &d->host;

        h->known = m->total_bytes > 0 && m->total_bytes != UNKNOWN_U64 && m->available_bytes <= m->total_bytes;
        if (!h->known)
                return;
        h->total = m->total_bytes;
        h->available = m->available_bytes;
        h->start = permyriad_of(h->total, setting(&c->host, KEY_BALLOON_START));
        h->stop = permyriad_of(h->total, setting(&c->host, KEY_BALLOON_STOP));
        h->reserved = policy_host_reserve(c);
        h->ignored = MAX(permyriad_of(h->total, IGNORED_PERMYRIAD), IGNORED_BYTES);
        h->strained = balloon_host_is_strained(&c->snapshot->host);
}

/* A guest that just started is not a reason to balance all of them. */
static int decide(BalloonDecision *d) {
        bool alone = d->context->only_uuid != NULL;

        if (!alone)
                balloon_decide_distress(d);
        for (size_t i = 0; i < d->n; i++)
                if (d->guests[i].mode == BALLOON_OFF)
                        balloon_decide_back(d, &d->guests[i]);
        balloon_decide_targets(d);
        if (alone)
                return 0;
        balloon_decide_auto(d);
        return balloon_decide_presets(d);
}

/* A preset that sends a balloon further while it does not move is no reason to wait longer for it. */
static bool still_waits(const BalloonGuest *b) {
        return balloon_is_preset(b) && b->moving && b->memo->balloon_seen_bytes == b->current &&
                (b->memo->balloon_target_bytes < b->current) == (b->new_bytes < b->current);
}

static void count_change(GuestMemo *m, uint64_t now) {
        if (m->balloon_hour_usec > now || now - m->balloon_hour_usec >= USEC_PER_HOUR) {
                m->balloon_hour_usec = now;
                m->balloon_changes = 0;
        }
        m->balloon_changes = MIN(m->balloon_changes, UINT32_MAX - 1) + 1;
}

/* Should this one be lost, QEMU has one before it: of those, the one that leads farthest away. */
static void remember_before(const BalloonGuest *b) {
        GuestMemo *m = b->memo;
        uint64_t arrived = b->owned && balloon_difference(b->ours, b->new_bytes) > BALLOON_SHOWN_BYTES ? b->ours : 0;
        uint64_t sent = m->balloon_target_bytes != 0 ? m->balloon_target_bytes : arrived;

        if (sent != 0 && (m->balloon_before_bytes == 0 ||
                          balloon_difference(sent, b->new_bytes) >
                                  balloon_difference(m->balloon_before_bytes, b->new_bytes)))
                m->balloon_before_bytes = sent;
}

static int ask(BalloonDecision *d, const BalloonGuest *b) {
        uint64_t now = MAX(d->context->snapshot->now_usec, UINT64_C(1));
        GuestMemo *m = b->memo;
        int r;

        r = balloon_add_action(d, b);
        if (r < 0)
                return r;
        count_change(m, now);
        if (balloon_is_set_aside(d->context, b) && b->new_bytes == m->balloon_target_bytes) {
                m->balloon_set_usec = now;
                return 0;
        }
        if (!still_waits(b))
                m->balloon_progress_usec = now;
        remember_before(b);
        m->balloon_target_bytes = b->new_bytes;
        m->balloon_seen_bytes = b->current;
        m->balloon_set_usec = now;
        m->balloon_stuck_until_usec = 0;
        return 0;
}

typedef enum Phase { PHASE_DISTRESS, PHASE_FREE, PHASE_GIVE, _PHASE_MAX } Phase;

static Phase phase_of(const BalloonGuest *b) {
        if (b->purpose == BALLOON_DISTRESS)
                return PHASE_DISTRESS;
        return b->new_bytes < b->current ? PHASE_FREE : PHASE_GIVE;
}

static int ask_all(BalloonDecision *d) {
        int r;

        for (Phase phase = PHASE_DISTRESS; phase < _PHASE_MAX; phase++)
                for (size_t i = 0; i < d->n; i++) {
                        const BalloonGuest *b = &d->guests[i];

                        if (b->purpose == BALLOON_NOTHING || phase_of(b) != phase)
                                continue;
                        r = ask(d, b);
                        if (r < 0)
                                return r;
                }
        return 0;
}

static bool wants_less(const BalloonDecision *d, const BalloonGuest *b) {
        if (b->mode == BALLOON_TARGET)
                return b->current > u64_add(b->goal, BALLOON_TOLERANCE_BYTES);
        return balloon_is_preset(b) ? d->short_of[b->mode] : balloon_is_wanted_from(d, b);
}

static bool wants_more(const BalloonDecision *d, const BalloonGuest *b) {
        if (b->mode == BALLOON_TARGET)
                return u64_add(b->current, BALLOON_TOLERANCE_BYTES) < b->goal;
        return !wants_less(d, b) && u64_add(b->current, BALLOON_TOLERANCE_BYTES) < b->maximum;
}

/* Nobody has asked for its memory but the host, which would gain nothing. */
static bool is_all_untouched(const BalloonGuest *b) {
        uint64_t spare = balloon_spare(b);

        return b->mode == BALLOON_AUTO && !setting(b->settings, KEY_BALLOON_RECLAIM) &&
                spare > BALLOON_TOLERANCE_BYTES && balloon_gain(b, spare) <= BALLOON_TOLERANCE_BYTES;
}

/* Why a guest stays as it is, when something would have it otherwise. */
static int explain(BalloonDecision *d, const BalloonGuest *b) {
        bool less = wants_less(d, b);

        if (b->said || b->mode == BALLOON_OFF || b->purpose != BALLOON_NOTHING || (!less && !wants_more(d, b)))
                return 0;
        if (b->blocked || b->left_out)
                return balloon_add_skip(d, b, b->why);
        if (b->mode == BALLOON_TARGET && !less && !b->moving)
                return balloon_add_skip(d, b, balloon_waits_to_grow(b) ? SKIP_STUCK : SKIP_NO_CAPACITY);
        if (!less || b->moving || balloon_is_preset(b))
                return 0;
        if (b->current <= u64_add(b->minimum, BALLOON_TOLERANCE_BYTES))
                return balloon_add_skip(d, b, SKIP_AT_MINIMUM);
        if (b->fixed)
                return balloon_add_skip(d, b, b->why);
        if (b->current <= u64_add(b->floor, BALLOON_TOLERANCE_BYTES))
                return balloon_add_skip(d, b, SKIP_AT_MINIMUM);
        if (balloon_would_free_nothing(b, MIN(u64_sub(b->current, b->floor), u64_sub(b->usable, b->reserve))) ||
            is_all_untouched(b))
                return balloon_add_skip(d, b, SKIP_NO_GAIN);
        if (balloon_spare(b) <= BALLOON_TOLERANCE_BYTES)
                return balloon_add_skip(d, b, SKIP_DISTRESS);
        return 0;
}

static int explain_off(BalloonDecision *d, BalloonGuest *b) {
        if (b->mode != BALLOON_OFF || !b->owned || b->purpose != BALLOON_NOTHING)
                return 0;
        if (balloon_is_at(b->current, MIN(b->original, b->maximum))) {
                /* Until then QEMU may have a request of ours, and it is called back. */
                if (b->memo->balloon_target_bytes == 0 || balloon_is_at(b->memo->balloon_target_bytes, b->original))
                        state_disown(d->context->state, ACTION_SET_BALLOON, b->guest->uuid, 0);
                return 0;
        }
        if (b->said || (!b->blocked && !b->distress))
                return 0;
        return balloon_add_skip(d, b, b->blocked ? b->why : SKIP_DISTRESS);
}

static int finish(BalloonDecision *d) {
        int r;

        for (size_t i = 0; i < d->n; i++) {
                r = explain(d, &d->guests[i]);
                if (r >= 0)
                        r = explain_off(d, &d->guests[i]);
                if (r >= 0)
                        r = balloon_set_stats_period(d, &d->guests[i]);
                if (r >= 0)
                        r = balloon_want_stats(d, &d->guests[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool any_needs_host(const BalloonDecision *d) {
        for (size_t i = 0; i < d->n; i++)
                if (d->guests[i].mode != BALLOON_OFF && d->guests[i].mode != BALLOON_TARGET)
                        return true;
        return false;
}

static void decision_done(BalloonDecision *d) {
        free(d->guests);
        free(d->source);
}

int policy_balloon(PolicyContext *c) {
        _cleanup_(decision_done) BalloonDecision d = { .context = c };
        int r;

        d.guests = calloc(MAX(c->snapshot->n_guests, (size_t)1), sizeof(*d.guests));
        if (!d.guests)
                return -ENOMEM;
        memory_expect(d.guests, c->snapshot->n_guests * sizeof(*d.guests));
        look_at_host(&d);
        r = look_at_guests(&d);
        if (r < 0)
                return r;
        if (!d.host.known && any_needs_host(&d)) {
                r = plan_add_skip(c->plan, ACTION_SET_BALLOON, NULL, SKIP_UNKNOWN, "the host's memory is not known");
                if (r < 0)
                        return r;
        }
        r = decide(&d);
        if (r >= 0)
                r = ask_all(&d);
        if (r < 0)
                return r;
        return finish(&d);
}
