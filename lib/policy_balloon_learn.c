/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the controller learns about one guest.
 *
 *   floor     A guest that is in distress after memory was taken from it does
 *             not get as small again soon: what it is given then is a floor.
 *             Memory the guest needs as page cache counts as usable in its
 *             report, so its report alone would have it shrunk again and again.
 *             Less is tried after 10 min, by half a step. Distress at that: the
 *             floor is where it was before, and so is what the guest is given;
 *             the next try takes half as much, after twice the time, and so on
 *             (down to 16 MiB, up to 21 h). So with the same demand each swing is
 *             shorter than the one before, and rarer. A try that goes well has the
 *             next one as large and as soon as the one before it was.
 *   learned   balloon.minimum = "auto": what the guest uses by its reports
 *             (current - usable) and a quarter more. It follows upwards at
 *             once, downwards with a time constant of 6 h, and begins as if
 *             the guest used 40 % of its maximum, which makes 50 %. Before the
 *             first plausible report nothing is taken.
 */

#include "policy_balloon.h"

#define FLOOR_PERIOD_USEC (10 * USEC_PER_MINUTE)
#define FLOOR_DOUBLINGS 7U
#define FLOOR_TRY_BYTES (16 * MIB)
#define LEARN_TIME_USEC (6 * USEC_PER_HOUR)
#define LEARN_START_PERMYRIAD 4000U
#define LEARN_MARGIN_PERMYRIAD 12500U

uint64_t balloon_floor(const BalloonGuest *b) {
        return MIN(b->memo->balloon_floor_bytes, b->maximum);
}

uint64_t balloon_below_floor(const BalloonGuest *b) {
        uint64_t below = u64_sub(balloon_floor(b), b->current);

        return below > BALLOON_SHOWN_BYTES ? below : 0;
}

static void forget_floor(GuestMemo *m) {
        m->balloon_floor_bytes = m->balloon_tried_bytes = 0;
        m->balloon_floor_times = 0;
}

/* Time for less: tries it. */
static void lower_floor(const BalloonGuest *b, uint64_t now) {
        GuestMemo *m = b->memo;
        unsigned times = MIN(MAX(m->balloon_floor_times, 1U), FLOOR_DOUBLINGS + 1);

        if (u64_sub(now, m->balloon_floor_usec) >= FLOOR_PERIOD_USEC << (times - 1)) {
                if (m->balloon_tried_bytes > 0 && times > 1)
                        times--;
                m->balloon_tried_bytes = MAX(b->step >> times, FLOOR_TRY_BYTES);
                m->balloon_floor_bytes = u64_sub(m->balloon_floor_bytes, m->balloon_tried_bytes);
                m->balloon_floor_times = times;
                m->balloon_floor_usec = now;
        }
        if (m->balloon_floor_bytes <= b->minimum)
                forget_floor(m);
}

/* It is in distress at the size it has, which is not below the floor. */
static void raise_floor(const BalloonGuest *b, uint64_t now) {
        GuestMemo *m = b->memo;
        uint64_t before = u64_add(m->balloon_floor_bytes, m->balloon_tried_bytes);
        bool tried = m->balloon_tried_bytes > 0 && before > u64_add(b->current, BALLOON_TOLERANCE_BYTES);
        uint64_t size = tried ? before : u64_add(b->current, b->step);

        size = MAX(size, u64_add(b->current, u64_sub(b->reserve, b->usable)));
        m->balloon_floor_bytes = MIN(size, b->maximum);
        m->balloon_floor_times = MIN(MAX(m->balloon_floor_times + tried, 1U), FLOOR_DOUBLINGS + 1);
        m->balloon_floor_usec = now;
        m->balloon_tried_bytes = 0;
}

static void learn_floor(const BalloonGuest *b, uint64_t now) {
        GuestMemo *m = b->memo;

        /* Times of another boot. */
        if (m->balloon_floor_usec > now)
                m->balloon_floor_usec = now;
        if (!b->distress)
                lower_floor(b, now);
        /* Our doing; and not known already, with what it is given still to arrive. */
        else if (b->owned && u64_add(b->current, BALLOON_TOLERANCE_BYTES) < b->maximum && balloon_below_floor(b) == 0)
                raise_floor(b, now);
}

static void learn_use(BalloonGuest *b, uint64_t now) {
        uint64_t used = u64_sub(b->current, b->usable), passed;
        GuestMemo *m = b->memo;

        if (m->balloon_learned_bytes == 0) {
                m->balloon_learned_bytes = permyriad_of(b->maximum, LEARN_START_PERMYRIAD);
                m->balloon_learned_usec = now;
        }
        passed = MIN(u64_sub(now, m->balloon_learned_usec), LEARN_TIME_USEC);
        m->balloon_learned_bytes -=
                u64_muldiv(u64_sub(m->balloon_learned_bytes, used), passed, LEARN_TIME_USEC);
        m->balloon_learned_bytes = MAX(MAX(m->balloon_learned_bytes, used), UINT64_C(1));
        m->balloon_learned_usec = now;
}

void balloon_learn(const PolicyContext *c, BalloonGuest *b) {
        if (b->usable == UNKNOWN_U64)
                return;
        learn_floor(b, c->snapshot->now_usec);
        learn_use(b, c->snapshot->now_usec);
}

uint64_t balloon_learned_minimum(const BalloonGuest *b) {
        if (b->memo->balloon_learned_bytes == 0)
                return b->maximum;
        return permyriad_of(b->memo->balloon_learned_bytes, LEARN_MARGIN_PERMYRIAD);
}
