/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Balloon statistics are what this controller costs: one round trip through
 * QEMU for each guest asked (about 1 ms of host CPU). Those that a decision is
 * about are read for every decision; the others in rotation, each once in twelve
 * intervals, in an order that their uuids give. Few guests share few of these
 * turns, so that the other intervals pass without a word to libvirt: about as
 * many guests in one as a question to libvirt takes.
 *
 * A guest whose statistics nobody polls reports nothing; its period is then
 * switched on. One that somebody has set stays as it is. Each report wakes the
 * guest and costs QEMU some 0.15 ms, so a guest from which nothing is wanted
 * reports at a third of the rate: its last word is then still young enough to
 * act on when the host is suddenly short (BALLOON_STALE_PERIODS).
 */

#include <inttypes.h>

#include "parse.h"
#include "policy_balloon.h"
#include "policy_eligible.h"

#define ROTATION 12U
#define TURN_GUESTS 32U
/* No more, or nothing of what it says would do. */
#define EASE_FACTOR BALLOON_STALE_PERIODS

static bool can_report(const BalloonGuest *b) {
        const char *detail;
        SkipReason why;

        return !b->guest->unreachable && !b->memo->balloon_taken &&
                policy_eligible(b->guest, ACTION_SET_BALLOON, &why, &detail);
}

static bool is_number(const char *text, uint64_t number) {
        uint64_t n;

        return parse_u64(text, &n) >= 0 && n == number;
}

static int set_period(PolicyContext *c, const BalloonGuest *b, const char *new, const char *reason) {
        bool off = b->mode == BALLOON_OFF;
        _cleanup_free_ char *source = NULL;
        char old[U64_TEXT_MAX];
        int r;

        r = setting_source(b->settings, off ? KEY_BALLOON_MODE : KEY_BALLOON_STATS_PERIOD, &source);
        if (r < 0)
                return r;
        return plan_add_action(c->plan, ACTION_SET_STATS_PERIOD, b->guest, 0,
                               u64_text(b->guest->stats_period_sec, old), new, source, "%s", reason);
}

/* What was asked for may still come to be: then it stays on record. */
static void let_go(PolicyContext *c, const BalloonGuest *b) {
        if (!policy_calls_open(b->memo, c->snapshot->now_usec))
                state_disown(c->state, ACTION_SET_STATS_PERIOD, b->guest->uuid, 0);
}

static int period_taken_over(PolicyContext *c, const BalloonGuest *b, const Owned *owned) {
        int r;

        r = plan_add_skip(c->plan, ACTION_SET_STATS_PERIOD, b->guest, SKIP_TAKEN_OVER,
                          "its statistics period is %" PRIu64 " s, not %s s as set by kvmtuned: it stays",
                          b->guest->stats_period_sec, owned->ours);
        if (r < 0)
                return r;
        let_go(c, b);
        return 0;
}

static bool is_still_ours(const PolicyContext *c, const BalloonGuest *b, const Owned *owned) {
        char current[U64_TEXT_MAX];

        return policy_still_ours(c->snapshot, owned, u64_text(b->guest->stats_period_sec, current));
}

static int give_period_back(PolicyContext *c, const BalloonGuest *b, const Owned *owned) {
        if (is_number(owned->original, b->guest->stats_period_sec)) {
                let_go(c, b);
                return 0;
        }
        if (!is_still_ours(c, b, owned))
                return period_taken_over(c, b, owned);
        if (b->guest->unreachable || b->guest->migrating)
                return 0;
        return set_period(c, b, owned->original, "balloon.mode is off: giving back the statistics period");
}

/* Nothing is wanted from the guest, and nothing was done to it. */
static bool is_at_ease(const BalloonDecision *d, const BalloonGuest *b) {
        return b->mode == BALLOON_AUTO && !b->owned && !balloon_is_wanted_from(d, b);
}

static uint64_t wanted_period_sec(const BalloonDecision *d, const BalloonGuest *b) {
        return setting(b->settings, KEY_BALLOON_STATS_PERIOD) / USEC_PER_SEC * (is_at_ease(d, b) ? EASE_FACTOR : 1);
}

int balloon_set_stats_period(BalloonDecision *d, const BalloonGuest *b) {
        PolicyContext *c = d->context;
        const Owned *owned = state_find_owned(c->state, ACTION_SET_STATS_PERIOD, b->guest->uuid, 0);
        bool silent = b->fixed ? b->why == SKIP_STALE_STATS : b->guest->stats.age_usec == UNKNOWN_U64;
        uint64_t now = b->guest->stats_period_sec, period;
        char text[U64_TEXT_MAX];
        const char *wanted;

        if (b->mode == BALLOON_OFF)
                return owned ? give_period_back(c, b, owned) : 0;
        if (!can_report(b) || (!owned && now != 0))
                return 0;

        period = wanted_period_sec(d, b);
        wanted = u64_text(period, text);
        if (!owned)
                return set_period(c, b, wanted, "its balloon statistics are not polled");
        if (is_number(owned->ours, now))
                return now == period ? 0 : set_period(c, b, wanted, is_at_ease(d, b)
                                ? "nothing is wanted from it: polled less often"
                                : "its balloon is looked at: polled as configured");
        /* Not there yet, or lost: asked for again only when the guest really is silent. */
        if (is_number(owned->original, now) || is_still_ours(c, b, owned))
                return silent ? set_period(c, b, wanted, "its balloon statistics are not polled") : 0;
        return period_taken_over(c, b, owned);
}

/* FNV-1a, 32 bits. */
static uint32_t uuid_hash(const char *uuid) {
        uint32_t h = UINT32_C(2166136261);

        for (; *uuid; uuid++)
                h = (h ^ (uint8_t)*uuid) * UINT32_C(16777619);
        return h;
}

static bool is_its_turn(const BalloonDecision *d, const BalloonGuest *b) {
        uint64_t interval = MAX(setting(&d->context->config->base, KEY_DAEMON_INTERVAL), UINT64_C(1));
        uint64_t turn = d->context->snapshot->now_usec / interval % ROTATION;
        size_t turns = MIN((d->context->snapshot->n_guests + TURN_GUESTS - 1) / TURN_GUESTS, (size_t)ROTATION);

        return uuid_hash(b->guest->uuid) % MAX(turns, (size_t)1) == turn;
}

/* Something is under way with this guest, or may have to be before its turn comes. */
static bool needs_a_look(const BalloonDecision *d, const BalloonGuest *b) {
        uint64_t since = u64_sub(d->context->snapshot->now_usec, b->memo->balloon_set_usec);
        bool below_maximum = u64_add(b->current, BALLOON_TOLERANCE_BYTES) < b->maximum;

        if (b->moving || b->distress || b->purpose != BALLOON_NOTHING || balloon_is_wanted_from(d, b) ||
            d->short_of[b->mode])
                return true;
        if (b->mode == BALLOON_TARGET && !balloon_is_at(b->current, b->goal))
                return true;
        if (b->owned && (b->guest->stats.age_usec > since || !balloon_is_at(b->current, b->ours)))
                return true;
        if (!below_maximum)
                return false;
        return balloon_is_preset(b) || b->owned ||
                (b->usable != UNKNOWN_U64 && b->usable / 2 < b->reserve);
}

int balloon_want_stats(BalloonDecision *d, const BalloonGuest *b) {
        if (b->mode == BALLOON_OFF || !can_report(b))
                return 0;
        if (!needs_a_look(d, b) && !is_its_turn(d, b))
                return 0;
        return plan_want_stats(d->context->plan, b->guest);
}
