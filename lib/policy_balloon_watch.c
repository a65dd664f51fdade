/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Where a balloon is, against where it was sent. The memo's balloon_target_bytes
 * is the size asked for while the balloon is on its way, and 0 once it arrived:
 *
 *   on its way   every step of 1 MiB towards the target is progress. None for
 *                30 s (preset proportional: 5 s): stuck, set aside for 60 s,
 *                doubling up to 64 min each time in a row. QEMU keeps the
 *                target, so nothing is asked again, but for a guest in distress
 *                that does not grow: its request may have been lost on the way
 *                (a time-out of which nobody knows whether it was done), so it
 *                is made once more each time it is set aside, when the host
 *                has what it asks for.
 *   arrived      it stays. When it leaves, and stays elsewhere until the next
 *                look, somebody else set it: theirs now. At the maximum it may
 *                be a guest that reboots (its driver comes back and inflates
 *                again), which gets 60 s, and until its driver has reported.
 *                Counters that begin anew say that it did reboot. Then, or from
 *                there back towards our size, it is on its way again: QEMU has
 *                kept the target, and a guest that was quick to use its memory
 *                may be stuck half way, or have left nothing to take at all.
 *
 * On the way back to its original size it stays on record until it is there,
 * so that nobody takes a size in between for the original.
 *
 * A value outside of all that was ever asked is somebody else's at once.
 */

#include <inttypes.h>
#include <stdio.h>

#include "parse.h"
#include "policy_balloon.h"

#define STUCK_AFTER_USEC (30 * USEC_PER_SEC)
/* Of preset proportional, as in the original. */
#define STUCK_AFTER_PROPORTIONAL_USEC (5 * USEC_PER_SEC)
#define SET_ASIDE_USEC (60 * USEC_PER_SEC)
#define SET_ASIDE_DOUBLINGS 6U
#define REBOOT_USEC (60 * USEC_PER_SEC)
#define REST_USEC (10 * USEC_PER_SEC)
#define LET_GO_USEC (5 * USEC_PER_MINUTE)

static int taken_over(PolicyContext *c, BalloonGuest *b) {
        char now[FORMAT_BYTES_MAX], ours[FORMAT_BYTES_MAX];
        int r;

        r = plan_add_skip(c->plan, ACTION_SET_BALLOON, b->guest, SKIP_TAKEN_OVER,
                          "its memory is %s, not %s as set by kvmtuned: somebody else changed it, it stays",
                          format_bytes_short(b->current, now), format_bytes_short(b->ours, ours));
        if (r < 0)
                return r;
        b->said = true;
        b->memo->balloon_taken = true;
        /* Theirs may have been before ours: then QEMU still has ours. */
        if (b->memo->balloon_target_bytes <= b->current)
                b->memo->balloon_target_bytes = 0;
        b->memo->balloon_seen_bytes = b->current;
        b->owned = b->moving = b->last_grew = false;
        state_disown(c->state, ACTION_SET_BALLOON, b->guest->uuid, 0);
        return 0;
}

static void forget_stuck(GuestMemo *m) {
        m->balloon_stuck_until_usec = 0;
        m->balloon_stuck = 0;
}

static void forget_request(GuestMemo *m) {
        forget_stuck(m);
        m->balloon_target_bytes = m->balloon_before_bytes = 0;
}

void balloon_set_aside(const PolicyContext *c, BalloonGuest *b) {
        GuestMemo *m = b->memo;

        m->balloon_stuck_until_usec =
                u64_add(c->snapshot->now_usec, SET_ASIDE_USEC << MIN(m->balloon_stuck, SET_ASIDE_DOUBLINGS));
        m->balloon_stuck = MIN(m->balloon_stuck, UINT32_MAX - 1) + 1;
}

uint64_t balloon_set_aside_usec(const BalloonGuest *b) {
        unsigned before = b->memo->balloon_stuck - MIN(b->memo->balloon_stuck, 1U);

        return u64_sub(b->memo->balloon_stuck_until_usec, SET_ASIDE_USEC << MIN(before, SET_ASIDE_DOUBLINGS));
}

/* That it is where it is to be says nothing of a request for next to nothing, when there was another before. */
static bool has_arrived(uint64_t left, uint64_t before, uint64_t since) {
        return left <= BALLOON_TOLERANCE_BYTES && (before > BALLOON_SHOWN_BYTES || since >= REST_USEC);
}

static bool is_across(const GuestMemo *m, uint64_t current) {
        uint64_t target = m->balloon_target_bytes;

        return !balloon_is_at(current, target) && (current > target) != (m->balloon_seen_bytes > target);
}

/*
 * Should our request be lost, or late, QEMU has the one before. Once it was seen to move towards ours, that is out,
 * unless it leads on in the same direction: after a reboot it comes through what was asked last on its way there.
 */
static void rule_out_before(GuestMemo *m, uint64_t current) {
        uint64_t seen = m->balloon_seen_bytes, before = m->balloon_before_bytes;

        if (!is_across(m, current) && (current < seen ? before >= current : before <= current))
                m->balloon_before_bytes = 0;
}

static void watch_moving(const PolicyContext *c, BalloonGuest *b) {
        GuestMemo *m = b->memo;
        uint64_t now = c->snapshot->now_usec;
        uint64_t before = balloon_difference(m->balloon_seen_bytes, m->balloon_target_bytes);
        uint64_t left = balloon_difference(b->current, m->balloon_target_bytes);
        uint64_t patience = b->mode == BALLOON_PROPORTIONAL ? STUCK_AFTER_PROPORTIONAL_USEC : STUCK_AFTER_USEC;

        if (has_arrived(left, before, u64_sub(now, m->balloon_set_usec))) {
                if (before > BALLOON_SHOWN_BYTES)
                        rule_out_before(m, b->current);
                forget_stuck(m);
                m->balloon_target_bytes = 0;
                m->balloon_seen_bytes = b->current;
                m->balloon_progress_usec = now;
                return;
        }
        if (u64_add(left, MIB) <= before) {
                rule_out_before(m, b->current);
                forget_stuck(m);
                m->balloon_progress_usec = now;
                m->balloon_seen_bytes = b->current;
        } else if (left > before || is_across(m, b->current)) {
                m->balloon_seen_bytes = b->current;
        }
        if (u64_sub(now, m->balloon_progress_usec) >= patience) {
                balloon_set_aside(c, b);
                /* The next 30 s count from the end of the pause. */
                m->balloon_progress_usec = m->balloon_stuck_until_usec;
        }
        b->moving = !balloon_is_set_aside(c, b);
        if (b->moving)
                b->asked = m->balloon_target_bytes;
}

/* After a reboot it was at its maximum, and now inflates again. */
static bool comes_back(const BalloonGuest *b) {
        return balloon_is_at(b->memo->balloon_seen_bytes, b->maximum) && b->current > b->ours &&
                b->current < b->memo->balloon_seen_bytes && !balloon_is_at(b->current, b->maximum);
}

/*
 * It has said so since it left our size. Then it comes from its maximum to what QEMU has: that, or, when our last
 * request was lost, what was asked for before. (A guest that is at its maximum anyway seems to have obeyed.)
 */
static bool has_rebooted(const BalloonGuest *b) {
        return u64_add(b->current, BALLOON_TOLERANCE_BYTES) >= MIN(b->previous, b->maximum) &&
                balloon_counters_went_back(b);
}

/* It was asked to stay where it was, and goes on to where it was sent before that. */
static bool goes_on(const BalloonGuest *b) {
        uint64_t before = b->memo->balloon_before_bytes;
        uint64_t low = MIN(before, b->ours), high = MAX(before, b->ours);

        return before != 0 && u64_add(b->current, BALLOON_TOLERANCE_BYTES) >= low &&
                b->current <= u64_add(high, BALLOON_TOLERANCE_BYTES);
}

/* Returns true when somebody else holds the balloon now. */
static bool watch_resting(const PolicyContext *c, BalloonGuest *b) {
        GuestMemo *m = b->memo;
        uint64_t now = c->snapshot->now_usec;
        uint64_t since = u64_sub(now, m->balloon_progress_usec);
        bool may_boot = balloon_is_at(b->current, b->maximum) &&
                (since <= REBOOT_USEC || b->guest->stats.age_usec >= since);

        if (balloon_is_at(b->current, b->ours)) {
                m->balloon_seen_bytes = b->current;
                m->balloon_progress_usec = now;
                return false;
        }
        if (comes_back(b) || has_rebooted(b) || goes_on(b)) {
                m->balloon_target_bytes = b->ours;
                watch_moving(c, b);
                return false;
        }
        b->blocked = true;
        b->why = SKIP_COOLDOWN;
        b->detail = "its memory left the size kvmtuned gave it; waiting to see whether it comes back";
        if (!balloon_is_at(b->current, m->balloon_seen_bytes)) {
                m->balloon_seen_bytes = b->current;
                m->balloon_progress_usec = now;
                return false;
        }
        return since > 0 && !may_boot;
}

/* The state remembers another request than the one that was made (it failed, or the memo is lost). */
static void adopt_request(const PolicyContext *c, BalloonGuest *b) {
        GuestMemo *m = b->memo;
        bool lost = m->balloon_target_bytes == 0 && m->balloon_set_usec == 0;

        if (!lost && (m->balloon_target_bytes == 0 || m->balloon_target_bytes == b->ours))
                return;
        forget_request(m);
        m->balloon_target_bytes = b->ours;
        m->balloon_seen_bytes = b->current;
        m->balloon_progress_usec = c->snapshot->now_usec;
        m->balloon_set_usec = MAX(m->balloon_set_usec, UINT64_C(1));
}

/* It is where it was before our first change, and has been for a while: what was given shortly before stays known. */
static void let_go(PolicyContext *c, BalloonGuest *b) {
        uint64_t since = u64_sub(c->snapshot->now_usec, b->memo->balloon_set_usec);

        if (b->memo->balloon_target_bytes != 0 || b->memo->balloon_before_bytes != 0 || b->ours != b->original ||
            !balloon_is_at(b->current, b->original) || since < LET_GO_USEC || b->mode == BALLOON_TARGET)
                return;
        b->owned = false;
        state_disown(c->state, ACTION_SET_BALLOON, b->guest->uuid, 0);
}

/*
 * It is not ours. What moves without us is in somebody else's hand: a request would undo theirs. Of one that was
 * taken over on its way up, what we asked for is promised until it moves down, or has been at rest for long.
 */
static void watch_others(const PolicyContext *c, BalloonGuest *b) {
        uint64_t now = c->snapshot->now_usec;
        GuestMemo *m = b->memo;
        bool sinks = b->current < m->balloon_seen_bytes && u64_sub(now, m->balloon_set_usec) >= STUCK_AFTER_USEC;

        if (m->balloon_seen_bytes != 0 && !balloon_is_at(m->balloon_seen_bytes, b->current))
                m->balloon_moved_usec = now;
        m->balloon_seen_bytes = b->current;
        if (!m->balloon_taken || m->balloon_target_bytes <= b->current || sinks ||
            u64_sub(now, MAX(m->balloon_moved_usec, m->balloon_set_usec)) >= LET_GO_USEC)
                forget_request(m);
        if (m->balloon_moved_usec == 0 || now - m->balloon_moved_usec >= REST_USEC)
                return;
        b->blocked = true;
        b->why = SKIP_COOLDOWN;
        b->detail = "somebody else is changing its memory; waiting until it rests";
}

int balloon_guest_watch(PolicyContext *c, BalloonGuest *b) {
        const Owned *owned = state_find_owned(c->state, ACTION_SET_BALLOON, b->guest->uuid, 0);
        char current[24];

        /* Times of another boot. */
        if (b->memo->balloon_set_usec > c->snapshot->now_usec) {
                forget_request(b->memo);
                b->memo->balloon_set_usec = b->memo->balloon_held_until_usec = 0;
                b->memo->balloon_moved_usec = 0;
        }
        if (!owned) {
                watch_others(c, b);
                return 0;
        }
        if (b->current == 0 || parse_u64(owned->original, &b->original) < 0 || parse_u64(owned->ours, &b->ours) < 0)
                return 0;

        b->owned = true;
        if (parse_u64(owned->previous ? owned->previous : owned->original, &b->previous) == 0)
                b->last_grew = b->ours > b->previous;
        (void)snprintf(current, sizeof(current), "%" PRIu64, b->current);
        if (!policy_still_ours(c->snapshot, owned, current) && !policy_balloon_on_its_way(b->memo, b->current))
                return taken_over(c, b);

        adopt_request(c, b);
        if (b->memo->balloon_target_bytes != 0)
                watch_moving(c, b);
        else if (watch_resting(c, b))
                return taken_over(c, b);
        let_go(c, b);
        return 0;
}
