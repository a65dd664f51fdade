/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Who gets which size. All quantities are bytes of this decision:
 *
 *   distress   each guest in distress is to get max(step, reserve - usable) at
 *              once, up to its maximum; one that had less than its floor
 *              (policy_balloon_learn.c) gets that instead of a step. Together no more than the host has
 *              beyond its reserved memory: shared in proportion when short.
 *   target     growth at once and whole; shrinking by at most a step, and only
 *              by what the guest has usable beyond its reserve.
 *   auto       need = balloon.stop + promised - available - what is coming, shared
 *              in proportion to what each guest can spare, each by at most a
 *              step; what a bounded one cannot give is shared once more.
 *              Surplus = available - balloon.stop - what is promised, shared in
 *              the same way in proportion to what each guest is short of its
 *              maximum. Between balloon.start and balloon.stop: as before, but
 *              a host that swaps or waits for memory takes already there, and
 *              gives nothing. What guests were given and have not touched yet
 *              is still available to look at, and promised.
 *              Needs and surpluses up to 16 MiB, or 0.25 % of the host, are none.
 *
 * Growing rounds down and shrinking rounds up to whole MiB, so that neither
 * exceeds its share.
 */

#include "policy_balloon.h"

static uint64_t taken_at_most(const BalloonGuest *b, uint64_t bytes) {
        uint64_t size = u64_sub(b->current, bytes);

        size = size > UINT64_MAX - MIB ? size : (size + MIB - 1) / MIB * MIB;
        return MIN(MAX(size, b->floor), b->current);
}

/* What it has, or is to have soon: gifts come on top of that. */
static uint64_t granted_already(const BalloonGuest *b) {
        return MAX(b->current, b->asked);
}

static uint64_t given_at_most(const BalloonGuest *b, uint64_t bytes) {
        uint64_t size = u64_add(granted_already(b), bytes);

        return MAX(size >= b->maximum ? b->maximum : size / MIB * MIB, b->current);
}

void balloon_promise(BalloonHost *h, const BalloonGuest *b, uint64_t from, uint64_t to) {
        h->freeing = u64_add(u64_sub(h->freeing, u64_sub(b->current, from)), u64_sub(b->current, to));
        h->growing = u64_add(u64_sub(h->growing, u64_sub(from, b->current)), u64_sub(to, b->current));
}

/*
 * Set aside because it does not grow. QEMU still has the request, so it gets
 * memory when its driver wakes up; until then nothing is kept back for it.
 */
static bool waits_to_grow(const BalloonGuest *b) {
        return !b->moving && b->memo->balloon_target_bytes > b->current;
}

/* Differences a balloon cannot show, and what was asked already, are no change. */
static void resize(BalloonDecision *d, BalloonGuest *b, uint64_t size, BalloonWhy why) {
        uint64_t target = b->memo->balloon_target_bytes;

        if (balloon_is_at(size, b->asked) || (target != 0 && balloon_is_at(size, target)))
                return;
        if (waits_to_grow(b) && size > b->current && size < target)
                return;
        balloon_promise(&d->host, b, b->purpose == BALLOON_NOTHING ? b->asked : b->new_bytes, size);
        b->purpose = why;
        b->new_bytes = size;
}

uint64_t balloon_spare(const BalloonGuest *b) {
        uint64_t spare = MIN(u64_sub(b->current, b->floor), u64_sub(b->usable, b->reserve));

        if (b->blocked || b->fixed || b->moving || b->usable == UNKNOWN_U64 || balloon_would_free_nothing(b, spare))
                return 0;
        return spare;
}

/*
 * Sets each guest's take to its part of @amount in proportion to its weight, at
 * most cap; then shares what the bounded ones left, in proportion to what the
 * others may still take. All parts together are never more than @amount.
 */
static void share(BalloonDecision *d, uint64_t amount) {
        for (unsigned round = 0; round < 2; round++) {
                uint64_t sum = 0, whole = amount;

                for (size_t i = 0; i < d->n; i++)
                        sum = u64_add(sum, d->guests[i].weight);
                for (size_t i = 0; i < d->n && sum > 0; i++) {
                        BalloonGuest *b = &d->guests[i];
                        uint64_t part = u64_muldiv(whole, b->weight, sum);

                        part = MIN(MIN(part, u64_sub(b->cap, b->take)), amount);
                        b->take += part;
                        amount -= part;
                        b->weight = u64_sub(b->cap, b->take);
                }
        }
}

static void bid(BalloonGuest *b, uint64_t weight, uint64_t cap) {
        b->weight = weight;
        b->cap = MIN(weight, cap);
}

static void clear_shares(BalloonDecision *d) {
        for (size_t i = 0; i < d->n; i++)
                d->guests[i].weight = d->guests[i].cap = d->guests[i].take = 0;
}

static bool may_be_helped(const BalloonGuest *b) {
        return b->distress && !b->blocked && !waits_to_grow(b) &&
                (b->mode == BALLOON_AUTO || b->mode == BALLOON_TARGET);
}

/*
 * The request may have been lost; made again it costs nothing if not. As before, nothing is kept back for it: the
 * guest stays set aside.
 */
static void ask_again(BalloonDecision *d) {
        for (size_t i = 0; i < d->n; i++) {
                BalloonGuest *b = &d->guests[i];
                uint64_t target = MIN(b->memo->balloon_target_bytes, b->maximum);
                uint64_t free = u64_sub(d->host.available, u64_add(d->host.reserved, d->host.growing));

                if (!b->stalled || !b->distress || b->blocked || target <= b->current || target - b->current > free ||
                    (b->mode != BALLOON_AUTO && b->mode != BALLOON_TARGET))
                        continue;
                b->purpose = BALLOON_DISTRESS;
                b->new_bytes = target;
        }
}

static uint64_t wanted_in_distress(const BalloonGuest *b) {
        uint64_t floor = balloon_floor(b), known = u64_sub(floor, b->current);

        return MAX(known > BALLOON_TOLERANCE_BYTES ? known : b->step, u64_sub(b->reserve, b->usable));
}

void balloon_decide_distress(BalloonDecision *d) {
        const BalloonHost *h = &d->host;

        if (!h->known)
                return;
        clear_shares(d);
        for (size_t i = 0; i < d->n; i++) {
                BalloonGuest *b = &d->guests[i];
                uint64_t size = MIN(u64_add(b->current, wanted_in_distress(b)), b->maximum);

                if (may_be_helped(b))
                        bid(b, u64_sub(size, granted_already(b)), UINT64_MAX);
        }
        share(d, u64_sub(h->available, u64_add(h->reserved, h->growing)));
        for (size_t i = 0; i < d->n; i++) {
                BalloonGuest *b = &d->guests[i];

                if (b->take > 0)
                        resize(d, b, given_at_most(b, b->take), BALLOON_DISTRESS);
        }
        ask_again(d);
}

void balloon_decide_target(BalloonDecision *d, BalloonGuest *b) {
        if (b->blocked)
                return;
        if (b->purpose != BALLOON_NOTHING) {
                if (b->new_bytes < b->goal)
                        resize(d, b, b->goal, b->purpose);
                return;
        }
        if (b->asked < b->goal) {
                resize(d, b, b->goal, BALLOON_TO_TARGET);
                return;
        }
        if (b->moving || b->current <= b->goal)
                return;
        resize(d, b, MAX(taken_at_most(b, MIN(balloon_spare(b), b->step)), b->goal), BALLOON_TO_TARGET);
}

void balloon_decide_back(BalloonDecision *d, BalloonGuest *b) {
        uint64_t size = MIN(b->original, b->maximum), target = b->memo->balloon_target_bytes;

        if (b->owned && !b->blocked && balloon_is_at(b->current, size) && target != 0 &&
            !balloon_is_at(target, size)) {
                /* It never moved: QEMU still has our request, and would obey it when its driver wakes up. */
                b->purpose = BALLOON_BACK;
                b->new_bytes = size;
        } else if (b->owned && !b->blocked && !(b->distress && size < b->current))
                resize(d, b, size, BALLOON_BACK);
}

bool balloon_is_wanted_from(const BalloonDecision *d, const BalloonGuest *b) {
        return b->mode == BALLOON_AUTO &&
                (d->context->state->reclaiming || setting(b->settings, KEY_BALLOON_RECLAIM) != 0);
}

static bool is_open(const BalloonGuest *b) {
        return b->mode == BALLOON_AUTO && b->purpose == BALLOON_NOTHING && !b->blocked;
}

static void take(BalloonDecision *d, BalloonGuest *b, BalloonWhy why) {
        if (b->take > BALLOON_TOLERANCE_BYTES)
                resize(d, b, taken_at_most(b, b->take), why);
}

static void reclaim(BalloonDecision *d) {
        BalloonHost *h = &d->host;
        uint64_t need;

        for (size_t i = 0; i < d->n; i++) {
                BalloonGuest *b = &d->guests[i];

                if (!is_open(b) || !setting(b->settings, KEY_BALLOON_RECLAIM))
                        continue;
                b->take = MIN(balloon_spare(b), b->step);
                take(d, b, BALLOON_RECLAIMED);
        }
        if (!d->context->state->reclaiming)
                return;

        clear_shares(d);
        for (size_t i = 0; i < d->n; i++) {
                BalloonGuest *b = &d->guests[i];

                if (is_open(b) && !setting(b->settings, KEY_BALLOON_RECLAIM))
                        bid(b, balloon_spare(b), b->step);
        }
        need = u64_sub(u64_add(h->stop, h->growing), u64_add(h->available, h->freeing));
        if (need <= h->ignored)
                return;
        share(d, need);
        for (size_t i = 0; i < d->n; i++)
                if (d->guests[i].cap > 0)
                        take(d, &d->guests[i], BALLOON_HOST_SHORT);
}

static void give(BalloonDecision *d) {
        BalloonHost *h = &d->host;
        uint64_t surplus = u64_sub(h->available, u64_add(u64_add(h->stop, h->growing), h->untouched));

        if (h->strained || surplus <= h->ignored)
                return;
        clear_shares(d);
        for (size_t i = 0; i < d->n; i++) {
                BalloonGuest *b = &d->guests[i];

                if (is_open(b) && !b->moving && !waits_to_grow(b) && !setting(b->settings, KEY_BALLOON_RECLAIM))
                        bid(b, u64_sub(b->maximum, b->current), b->step);
        }
        share(d, surplus);
        for (size_t i = 0; i < d->n; i++)
                if (d->guests[i].take > BALLOON_TOLERANCE_BYTES)
                        resize(d, &d->guests[i], given_at_most(&d->guests[i], d->guests[i].take), BALLOON_GIVEN);
}

/* A host without a guest to take from is not reclaiming, however short it is. */
static void update_reclaiming(BalloonDecision *d) {
        State *state = d->context->state;
        const BalloonHost *h = &d->host;
        bool any = false, asked = false;

        for (size_t i = 0; i < d->n; i++) {
                any |= d->guests[i].mode == BALLOON_AUTO;
                asked |= d->guests[i].mode == BALLOON_AUTO &&
                        setting(d->guests[i].settings, KEY_BALLOON_RECLAIM) != 0;
        }
        if (!any || h->available >= u64_sub(h->stop, h->strained ? 0 : h->ignored))
                state->reclaiming = false;
        else if (asked || h->strained || h->available <= h->start)
                state->reclaiming = true;
}

void balloon_decide_auto(BalloonDecision *d) {
        if (!d->host.known)
                return;
        update_reclaiming(d);
        reclaim(d);
        if (!d->context->state->reclaiming)
                give(d);
}
