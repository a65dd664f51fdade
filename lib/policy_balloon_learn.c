/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the controller learns about one guest.
 *
 *   floor     A guest that is in distress after memory was taken from it does
 *             not get as small again soon: what it is given then is a floor,
 *             which goes down by a step every 10 min; each further distress at
 *             or above it doubles that time, up to 21 h. Memory the guest needs
 *             as page cache counts as usable in its report, so its report alone
 *             would have it shrunk again and again.
 *   learned   balloon.minimum = "auto": what the guest uses by its reports
 *             (current - usable) and a quarter more. It follows upwards at
 *             once, downwards with a time constant of 6 h, and begins as if
 *             the guest used 40 % of its maximum, which makes 50 %. Before the
 *             first plausible report nothing is taken.
 */

#include "policy_balloon.h"

#define FLOOR_PERIOD_USEC (10 * USEC_PER_MINUTE)
#define FLOOR_DOUBLINGS 7U
#define LEARN_TIME_USEC (6 * USEC_PER_HOUR)
#define LEARN_START_PERMYRIAD 4000U
#define LEARN_MARGIN_PERMYRIAD 12500U

uint64_t balloon_floor(const BalloonGuest *b, uint64_t now) {
        const GuestMemo *m = b->memo;
        uint64_t period = FLOOR_PERIOD_USEC << MIN(u64_sub(m->balloon_floor_times, 1), (uint64_t)FLOOR_DOUBLINGS);
        uint64_t lost;

        if (m->balloon_floor_bytes == 0)
                return 0;
        lost = u64_muldiv(u64_sub(now, m->balloon_floor_usec) / period, b->step, 1);
        return MIN(u64_sub(m->balloon_floor_bytes, lost), b->maximum);
}

static void learn_floor(BalloonGuest *b, uint64_t now) {
        uint64_t given = u64_add(b->current, MAX(b->step, u64_sub(b->reserve, b->usable)));
        uint64_t floor = balloon_floor(b, now);
        GuestMemo *m = b->memo;

        /* Times of another boot. */
        if (m->balloon_floor_usec > now)
                m->balloon_floor_usec = now;
        if (!b->distress) {
                if (floor <= b->minimum)
                        m->balloon_floor_bytes = m->balloon_floor_times = 0;
                return;
        }
        /* Not our doing; or known already, and what it is given has not arrived yet. */
        if (!b->owned || u64_add(b->current, BALLOON_TOLERANCE_BYTES) >= b->maximum ||
            floor > u64_add(b->current, BALLOON_TOLERANCE_BYTES))
                return;
        m->balloon_floor_bytes = MIN(given, b->maximum);
        m->balloon_floor_usec = now;
        m->balloon_floor_times = MIN(m->balloon_floor_times + 1, FLOOR_DOUBLINGS + 1);
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
