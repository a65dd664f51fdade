/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Source of the formula and its constants: Proxmox VE, pve-manager, the status
 * daemon's auto ballooning and its module AutoBalloon. Every 10 s:
 *
 *   goal = int(total * 80 / 100 - used); within 10 MiB of 0: nothing
 *   a guest with enough: more free than a quarter of its minimum, and not below it
 *   goal > 0: the guests without enough; if that achieved nothing, all
 *   goal < 0: the guests with enough; if that achieved nothing, all
 *   desired = min + int((sum(balloon - min) + rest) / sum(shares) * shares),
 *             clamped to min and max, at most 100 MiB from where the balloon is
 *
 * repeated while it makes progress, with what is left of the goal. A guest that
 * already has what is desired drops out. A positive goal shrinks guests that
 * have more than their share, as in the original: rest grows by that.
 *
 * Perl computes in doubles; they are exact for these sizes but for the quotient.
 */

#include "policy_balloon_preset.h"

#define TARGET_PERCENT 80.0
#define DEAD_ZONE_BYTES (10 * (int64_t)MIB)
#define CHANGE_BYTES (100.0 * (double)MIB)
#define ENOUGH_SHARE 0.25

int64_t balloon_pve_goal(uint64_t host_total, uint64_t host_used) {
        return (int64_t)((double)host_total * TARGET_PERCENT / 100 - (double)host_used);
}

bool balloon_pve_acts(int64_t goal) {
        return goal > DEAD_ZONE_BYTES || goal < -DEAD_ZONE_BYTES;
}

static bool is_eligible(const PveGuest *g) {
        return g->balloon != 0 && g->minimum != 0 && g->shares != 0;
}

typedef enum PveGroup { PVE_ALL, PVE_WITH_ENOUGH, PVE_WITHOUT } PveGroup;

static bool is_in(const PveGuest *g, PveGroup group) {
        return is_eligible(g) && !g->done && (group == PVE_ALL || g->enough == (group == PVE_WITH_ENOUGH));
}

/* Truncates towards 0, without leaving what a double can count in ones. */
static double truncated(double x) {
        return x >= 9007199254740992.0 || x <= -9007199254740992.0 ? x : (double)(int64_t)x;
}

typedef struct PveRound {
        double per_share, changes;
        bool grow, repeat, progress;
} PveRound;

static void change_one(PveRound *round, PveGuest *g) {
        double balloon = (double)g->balloon, before = (double)g->new_bytes, size;
        double desired = (double)g->minimum + truncated(round->per_share * (double)g->shares);

        if (desired > (double)g->maximum) {
                desired = (double)g->maximum;
                round->repeat = true;
        } else if (desired < (double)g->minimum) {
                desired = (double)g->minimum;
                round->repeat = true;
        }
        if (round->grow && desired > balloon) {
                size = MIN(balloon + CHANGE_BYTES, desired);
        } else if (desired < balloon) {
                size = MAX(balloon - CHANGE_BYTES, desired);
        } else {
                g->done = true;
                return;
        }
        g->new_bytes = (uint64_t)size;
        if (size != before) {
                round->changes += size - before;
                round->repeat = round->progress = true;
        }
}

/* Returns what is left of @bytes. */
static double change(PveGuest *guests, size_t n, PveGroup group, double bytes) {
        PveRound round = { .grow = bytes > 0, .repeat = true, .progress = true };
        double rest = bytes;

        for (size_t i = 0; i < n; i++)
                guests[i].done = false;
        while (rest != 0 && round.repeat && round.progress) {
                double shares = 0, allocated = 0;

                for (size_t i = 0; i < n; i++)
                        if (is_in(&guests[i], group)) {
                                allocated += (double)guests[i].new_bytes - (double)guests[i].minimum;
                                shares += (double)guests[i].shares;
                        }
                if (shares == 0)
                        break;
                round = (PveRound){ .grow = round.grow, .per_share = (allocated + rest) / shares };
                for (size_t i = 0; i < n; i++)
                        if (is_in(&guests[i], group))
                                change_one(&round, &guests[i]);
                rest -= round.changes;
        }
        return rest;
}

void balloon_pve(int64_t goal, PveGuest *guests, size_t n) {
        double wanted = (double)goal, rest;

        for (size_t i = 0; i < n; i++) {
                PveGuest *g = &guests[i];

                g->new_bytes = g->balloon;
                g->enough = (double)g->free > (double)g->minimum * ENOUGH_SHARE && g->balloon >= g->minimum;
        }
        if (!balloon_pve_acts(goal))
                return;
        rest = change(guests, n, goal > 0 ? PVE_WITHOUT : PVE_WITH_ENOUGH, wanted);
        if (goal > 0 ? rest >= wanted : rest <= wanted)
                (void)change(guests, n, PVE_ALL, rest);
}
