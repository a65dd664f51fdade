/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a guest says of itself, against what the host sees of it: the resident
 * memory of its QEMU, which no guest can choose to be smaller than what it has
 * touched (swap and huge pages aside).
 *
 *   uses more than it ever touched   Its claim to be short of memory is not
 *        believed: used by its report > 2 * resident + 64 MiB, while the host
 *        has nothing in swap. Generous, because to disbelieve a guest that
 *        really is short would be worse than to believe one that is not.
 *   gave nothing back                Its balloon is said to have arrived, but
 *        resident > current + 256 MiB + an eighth of its maximum. The size of
 *        a balloon is the guest's own word (virtio writes it from inside). It
 *        is set aside as one that does not move.
 *   gives back by itself             With free page reporting, what it does not
 *        use is not resident anyway. A balloon frees something only where it
 *        ends below what is resident.
 *   never used it        What of its usable memory it has never touched is not
 *        resident, and a balloon that takes it frees nothing either. Which of
 *        its pages come first only the guest knows: the host is counted on to
 *        gain that part of what is taken which is resident of all it could take.
 *        Where the host has swapped, what is not resident may be there.
 */

#include "policy_balloon.h"

#define USE_SLACK_BYTES (64 * MIB)
#define BALLOON_SLACK_BYTES (256 * MIB)
#define BALLOON_SLACK_PART 8U

static bool host_swaps(const PolicyContext *c) {
        const HostMemory *m = &c->snapshot->host.memory;

        return m->swap_total_bytes != m->swap_free_bytes;
}

bool balloon_claims_untouched(const PolicyContext *c, const BalloonGuest *b) {
        uint64_t rss = b->guest->rss_bytes, available = b->guest->stats.available_bytes;
        uint64_t whole = available == UNKNOWN_U64 ? b->current : MIN(available, b->current);

        if (rss == UNKNOWN_U64 || rss == 0 || b->usable == UNKNOWN_U64 || host_swaps(c))
                return false;
        return u64_sub(whole, b->usable) > u64_add(u64_muldiv(rss, 2, 1), USE_SLACK_BYTES);
}

bool balloon_gave_nothing(const BalloonGuest *b) {
        uint64_t rss = b->guest->rss_bytes, slack = u64_add(BALLOON_SLACK_BYTES, b->maximum / BALLOON_SLACK_PART);

        if (rss == UNKNOWN_U64 || !b->owned || b->memo->balloon_target_bytes != 0)
                return false;
        return b->current < b->original && rss > u64_add(b->current, slack);
}

bool balloon_would_free_nothing(const BalloonGuest *b, uint64_t spare) {
        return b->guest->free_page_reporting && b->guest->rss_bytes != UNKNOWN_U64 &&
                b->guest->rss_bytes <= u64_sub(b->current, spare);
}

void balloon_see_resident(const PolicyContext *c, BalloonGuest *b) {
        uint64_t used = u64_sub(u64_add(b->current, b->taken), b->usable), rss = b->guest->rss_bytes;

        b->resident = b->usable;
        if (rss != UNKNOWN_U64 && !b->guest->free_page_reporting && !host_swaps(c))
                b->resident = MIN(u64_sub(rss, used), b->usable);
}

uint64_t balloon_gain(const BalloonGuest *b, uint64_t bytes) {
        return b->usable == UNKNOWN_U64 ? bytes : u64_muldiv(bytes, b->resident, b->usable);
}
