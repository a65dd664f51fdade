/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Who gets which size. All quantities are bytes of this decision:
 *
 *   distress   each guest in distress is to get max(step, reserve - usable) at
 *              once, up to its maximum; one that had less than its floor
 *              (policy_balloon_learn.c) gets that instead of a step. Together
 *              no more than the host has beyond its reserved memory: when short
 *              each gets 3 MiB, then shares in proportion. On its way down it
 *              stays where it is, if there is nothing.
 *   target     growth at once and whole, as far as the host has it beyond its
 *              reserved memory; shrinking by at most a step, and only by what
 *              the guest has usable beyond its reserve.
 *   auto       need = balloon.stop + promised - available - what is coming, shared
 *              in proportion to what each guest can spare, each by at most a
 *              step; what a bounded one cannot give is shared once more. Of
 *              memory that a guest has never touched the host gains nothing
 *              (policy_balloon_honest.c): where need is met with less than a
 *              quarter of what is taken, so much more is taken that it is a
 *              quarter, and what is left the next time.
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

/*
 * Of what the host needs, one decision is expected to gain at least this part, when guests have that. All of it at
 * once would go by a guess: which pages a guest gives first only its kernel knows, and Linux is likely to give more of
 * those it has used than their share (mm/page_alloc.c breaks up its largest free blocks, where memory that was never
 * used is, last). Next to nothing, where little was ever used, would have a host wait for half an hour. A quarter is a
 * choice between the two: by balloon_gain(), thirteen decisions come from balloon.start (15 %) to within what is
 * ignored (0.25 %) of balloon.stop (25 %). It was not measured on hosts. In the memory model as many guests fit with
 * it as with next to nothing, and fewer desktops (22.3 instead of 23.0) with all at once.
 */
#define GAIN_PART 4U

/* What is taken is never more than what a guest has beyond its floor (spare_beyond()). */
static uint64_t smaller_by(const BalloonGuest *b, uint64_t bytes) {
        uint64_t size = u64_sub(b->current, bytes);

        return size > UINT64_MAX - MIB ? size : (size + MIB - 1) / MIB * MIB;
}

/* What it has, or is to have soon: gifts come on top of that. */
static uint64_t granted_already(const BalloonGuest *b) {
        return MAX(b->current, b->asked);
}

/*
 * What is given is never more than what is missing to its maximum (bid()): that is reached whole. Who is on its way
 * down stays at least where it is.
 */
static uint64_t larger_by(const BalloonGuest *b, uint64_t bytes) {
        uint64_t size = u64_add(granted_already(b), bytes);

        return size == b->maximum ? size : MAX(size / MIB * MIB, b->current);
}

void balloon_promise(BalloonHost *h, const BalloonGuest *b, uint64_t from, uint64_t to) {
        h->freeing = u64_add(u64_sub(h->freeing, u64_sub(b->current, from)), u64_sub(b->current, to));
        h->growing = u64_add(u64_sub(h->growing, u64_sub(from, b->current)), u64_sub(to, b->current));
}

/* Differences a balloon cannot show, and what was asked already, are no change. */
static void resize(BalloonDecision *d, BalloonGuest *b, uint64_t size, BalloonWhy why) {
        uint64_t target = b->memo->balloon_target_bytes;

        if (balloon_is_at(size, b->asked) || (target != 0 && balloon_is_at(size, target)))
                return;
        if (balloon_waits_to_grow(b) && size > b->current && size < target)
                return;
        balloon_promise(&d->host, b, b->purpose == BALLOON_NOTHING ? b->asked : b->new_bytes, size);
        b->purpose = why;
        b->new_bytes = size;
}

/* What it can lose when it keeps @kept usable. */
static uint64_t spare_beyond(const BalloonGuest *b, uint64_t kept) {
        uint64_t spare = MIN(u64_sub(b->current, b->floor), u64_sub(b->usable, u64_add(b->taken, kept)));

        if (b->blocked || b->fixed || b->moving || b->usable == UNKNOWN_U64 || balloon_would_free_nothing(b, spare))
                return 0;
        return spare;
}

uint64_t balloon_spare(const BalloonGuest *b) {
        return spare_beyond(b, b->reserve);
}

/*
 * Sets each guest's take to its part of @amount in proportion to its weight, at
 * most cap; then shares what the bounded ones left, in proportion to what the
 * others may still take. All parts together are never more than @amount;
 * returns what is left of it.
 */
static uint64_t share(BalloonDecision *d, uint64_t amount) {
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
        return amount;
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
        return b->distress && !b->blocked && !balloon_waits_to_grow(b) &&
                (b->mode == BALLOON_AUTO || b->mode == BALLOON_TARGET);
}

/* What the host keeps for itself, and what it has promised and guests have not taken yet. */
static uint64_t kept(const BalloonHost *h) {
        return u64_add(h->reserved, u64_add(h->growing, h->waiting));
}

/* Once each time, as soon as the host has it: the request may have been lost. If not, asking again costs nothing. */
static bool may_be_asked_again(const BalloonDecision *d, const BalloonGuest *b) {
        return b->distress && !b->blocked && (b->mode == BALLOON_AUTO || b->mode == BALLOON_TARGET) &&
                balloon_is_set_aside(d->context, b) && b->memo->balloon_set_usec < balloon_set_aside_usec(b);
}

/* What it was asked for is promised already. It stays set aside. */
static void ask_again(BalloonDecision *d) {
        for (size_t i = 0; i < d->n; i++) {
                BalloonGuest *b = &d->guests[i];
                uint64_t target = MIN(b->memo->balloon_target_bytes, b->maximum);

                if (target <= b->current || kept(&d->host) > d->host.available || !may_be_asked_again(d, b))
                        continue;
                b->purpose = BALLOON_DISTRESS;
                b->new_bytes = target;
        }
}

static uint64_t wanted_in_distress(const BalloonGuest *b) {
        uint64_t known = balloon_below_floor(b);

        return MAX(known > 0 ? known : b->step, u64_sub(b->reserve, b->usable));
}

static uint64_t help_for(const BalloonGuest *b) {
        uint64_t size = MIN(u64_add(b->current, wanted_in_distress(b)), b->maximum);

        return may_be_helped(b) ? u64_sub(size, granted_already(b)) : 0;
}

/* QEMU has the request, also of one that is set aside: as soon as it has memory free it loses that. */
static void stay(BalloonDecision *d, BalloonGuest *b) {
        if (!may_be_helped(b) || b->memo->balloon_target_bytes == 0 ||
            u64_add(b->memo->balloon_target_bytes, BALLOON_TOLERANCE_BYTES) >= b->current)
                return;
        balloon_promise(&d->host, b, b->asked, b->current);
        b->purpose = BALLOON_DISTRESS;
        b->new_bytes = b->current;
}

/* A share too small to show helps nobody: first for each as much as shows, then of what is left in proportion. */
static void share_help(BalloonDecision *d, uint64_t amount) {
        clear_shares(d);
        for (size_t i = 0; i < d->n; i++)
                bid(&d->guests[i], MIN(help_for(&d->guests[i]), BALLOON_SHOWN_BYTES + MIB), UINT64_MAX);
        amount = share(d, amount);
        for (size_t i = 0; i < d->n; i++) {
                BalloonGuest *b = &d->guests[i];

                b->cap = help_for(b);
                b->weight = b->cap - b->take;
        }
        share(d, amount);
}

void balloon_decide_distress(BalloonDecision *d) {
        const BalloonHost *h = &d->host;

        if (!h->known)
                return;
        share_help(d, u64_sub(h->available, kept(h)));
        for (size_t i = 0; i < d->n; i++) {
                BalloonGuest *b = &d->guests[i];

                d->host.unhelped = u64_add(d->host.unhelped, u64_sub(b->cap, b->take));
                if (b->take > 0)
                        resize(d, b, larger_by(b, b->take), BALLOON_DISTRESS);
                if (b->purpose == BALLOON_NOTHING)
                        stay(d, b);
        }
        ask_again(d);
}

/* Where it comes as things are decided; on its way down it can stay where it is. */
static uint64_t bound_for(const BalloonGuest *b) {
        return MAX(b->purpose == BALLOON_NOTHING ? b->asked : b->new_bytes, MIN(b->current, b->goal));
}

/* One that does not move on its way up has been asked for enough. */
static bool may_grow_to_target(const BalloonGuest *b) {
        return b->mode == BALLOON_TARGET && !b->blocked && !balloon_waits_to_grow(b);
}

static void grow_to_targets(BalloonDecision *d) {
        const BalloonHost *h = &d->host;

        clear_shares(d);
        for (size_t i = 0; i < d->n; i++) {
                BalloonGuest *b = &d->guests[i];

                if (may_grow_to_target(b))
                        bid(b, u64_sub(b->goal, bound_for(b)), UINT64_MAX);
        }
        share(d, h->known ? u64_sub(h->available, kept(h)) : UINT64_MAX);
        for (size_t i = 0; i < d->n; i++) {
                BalloonGuest *b = &d->guests[i];
                uint64_t size = u64_add(bound_for(b), b->take);

                size = size == b->goal ? size : MAX(size / MIB * MIB, bound_for(b));
                if (may_grow_to_target(b) && b->asked < b->goal)
                        resize(d, b, size, b->purpose == BALLOON_NOTHING ? BALLOON_TO_TARGET : b->purpose);
        }
}

static void shrink_to_target(BalloonDecision *d, BalloonGuest *b) {
        uint64_t bytes = MIN(balloon_spare(b), b->step);

        if (b->mode == BALLOON_TARGET && !b->blocked && !b->moving && b->purpose == BALLOON_NOTHING &&
            b->current > b->goal)
                resize(d, b, MAX(smaller_by(b, bytes), b->goal), BALLOON_TO_TARGET);
}

void balloon_decide_targets(BalloonDecision *d) {
        grow_to_targets(d);
        for (size_t i = 0; i < d->n; i++)
                shrink_to_target(d, &d->guests[i]);
}

/* In distress (policy_balloon_guest.c holds it then), or a short time ago. */
static bool needs_what_it_has(const BalloonDecision *d, const BalloonGuest *b) {
        return d->context->snapshot->now_usec < b->memo->balloon_held_until_usec;
}

void balloon_decide_back(BalloonDecision *d, BalloonGuest *b) {
        uint64_t size = MIN(b->original, b->maximum), target = b->memo->balloon_target_bytes;

        if (b->owned && !b->blocked && balloon_is_at(b->current, size) && target != 0 &&
            !balloon_is_at(target, size)) {
                /* It never moved: QEMU still has our request, and would obey it when its driver wakes up. */
                b->purpose = BALLOON_BACK;
                b->new_bytes = size;
        } else if (b->owned && !b->blocked && (size >= b->current || !needs_what_it_has(d, b)))
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
                resize(d, b, smaller_by(b, b->take), why);
}

static void reclaim_by_policy(BalloonDecision *d) {
        for (size_t i = 0; i < d->n; i++) {
                BalloonGuest *b = &d->guests[i];

                if (!is_open(b) || !setting(b->settings, KEY_BALLOON_RECLAIM))
                        continue;
                b->take = MIN(balloon_spare(b), b->step);
                take(d, b, BALLOON_RECLAIMED);
        }
}

/* What it can lose when the host gains anything from that. */
static uint64_t useful_spare(const BalloonGuest *b) {
        uint64_t spare = balloon_spare(b);

        return balloon_gain(b, spare) > BALLOON_TOLERANCE_BYTES ? spare : 0;
}

/* How much those who are to share are to lose so that the host gains @gain, or a part of it now. */
static uint64_t loss_for(const BalloonDecision *d, uint64_t gain) {
        uint64_t losses = 0, gains = 0;

        for (size_t i = 0; i < d->n; i++) {
                losses = u64_add(losses, d->guests[i].weight);
                gains = u64_add(gains, balloon_gain(&d->guests[i], d->guests[i].weight));
        }
        return gains > 0 ? MAX(gain, u64_muldiv(gain, losses, gains) / GAIN_PART) : 0;
}

/* What the host gains from guests, up to what it needs to be at balloon.stop again. Returns how much that is. */
static uint64_t take_spare(BalloonDecision *d) {
        const BalloonHost *h = &d->host;
        uint64_t need = u64_sub(u64_add(h->stop, h->growing), u64_add(h->available, h->freeing)), taken = 0;

        clear_shares(d);
        for (size_t i = 0; i < d->n; i++) {
                BalloonGuest *b = &d->guests[i];

                if (is_open(b) && !setting(b->settings, KEY_BALLOON_RECLAIM))
                        bid(b, useful_spare(b), b->step);
        }
        if (need > h->ignored)
                share(d, loss_for(d, need));
        for (size_t i = 0; i < d->n; i++)
                taken = u64_add(taken, balloon_gain(&d->guests[i], d->guests[i].take));
        return taken;
}

/*
 * Where that does not leave the host what it keeps for itself, and for guests in distress: it will swap next, whoever
 * is hit by that. So guests keep what distress is kept off with, and no more.
 */
static void take_reserves(BalloonDecision *d, uint64_t taken) {
        const BalloonHost *h = &d->host;
        uint64_t wanted = u64_add(u64_add(h->reserved, h->growing), h->unhelped);
        uint64_t need = u64_sub(wanted, u64_add(h->available, h->freeing));

        if (need <= MAX(h->ignored, taken))
                return;
        for (size_t i = 0; i < d->n; i++) {
                BalloonGuest *b = &d->guests[i];

                if (!is_open(b))
                        continue;
                b->reserve = b->least;
                b->cap = MAX(b->take, MIN(useful_spare(b), b->step));
                b->weight = u64_sub(useful_spare(b), b->take);
        }
        share(d, loss_for(d, need - taken));
}

static void reclaim(BalloonDecision *d) {
        reclaim_by_policy(d);
        if (!d->context->state->reclaiming)
                return;
        take_reserves(d, take_spare(d));
        for (size_t i = 0; i < d->n; i++)
                if (d->guests[i].take > 0)
                        take(d, &d->guests[i], BALLOON_HOST_SHORT);
}

static bool may_be_given(const BalloonGuest *b) {
        return is_open(b) && !b->moving && !balloon_waits_to_grow(b) && !setting(b->settings, KEY_BALLOON_RECLAIM);
}

static void give(BalloonDecision *d) {
        BalloonHost *h = &d->host;
        uint64_t promised = u64_add(u64_add(h->growing, h->waiting), h->untouched);
        uint64_t surplus = u64_sub(h->available, u64_add(h->stop, promised));

        if (h->strained || surplus <= h->ignored)
                return;
        clear_shares(d);
        for (size_t i = 0; i < d->n; i++) {
                BalloonGuest *b = &d->guests[i];

                if (may_be_given(b))
                        bid(b, u64_sub(b->maximum, b->current), b->step);
        }
        share(d, surplus);
        for (size_t i = 0; i < d->n; i++)
                if (d->guests[i].take > BALLOON_TOLERANCE_BYTES)
                        resize(d, &d->guests[i], larger_by(&d->guests[i], d->guests[i].take), BALLOON_GIVEN);
}

/* A host without a guest to take from is not reclaiming, however short it is. */
static void update_reclaiming(BalloonDecision *d) {
        State *state = d->context->state;
        const BalloonHost *h = &d->host;
        bool any = false;

        for (size_t i = 0; i < d->n; i++)
                any |= d->guests[i].mode == BALLOON_AUTO;
        if (!any || h->available >= u64_sub(h->stop, h->strained ? 0 : h->ignored))
                state->reclaiming = false;
        else if (h->strained || h->available <= h->start)
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
