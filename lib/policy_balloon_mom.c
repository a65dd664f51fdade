/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Source of the formula and its constants: MOM (oVirt), doc/balloon.rules. All
 * sizes are kB. The host is short below 20 % free, critically at 5 %:
 *
 *   used = mean of current - mean of unused
 *   short      keep = free share of the host, less 5 % when critical
 *              new = max(0.95 * current, max(min, used + keep * current)), if that is not more
 *   not short  new = min(max, max(1.05 * current, max(min, used + 0.20 * current)))
 *
 * A change of up to 0.25 % is none. The result is cut to whole kB, as the
 * original's controller does. Two faults of the original are not kept: its
 * limit of the growth to the maximum gave way to what the guest uses, and its
 * minimum bounded from above.
 */

#include "policy_balloon_preset.h"

#define SHORT_SHARE 0.20
#define CRITICAL_SHARE 0.05
#define GUEST_FREE_SHARE 0.20
#define STEP_SHARE 0.05
#define IGNORED_SHARE 0.0025

bool balloon_mom_is_short(double host_free) {
        return host_free < SHORT_SHARE;
}

static double larger(double a, double b) {
        return a > b ? a : b;
}

static double shrunk(double host_free, const MomGuest *g, double used) {
        double current = (double)g->current;
        double keep = host_free <= CRITICAL_SHARE ? host_free - CRITICAL_SHARE : host_free;
        double size = larger(current * (1 - STEP_SHARE), larger((double)g->minimum, used + keep * current));

        return size < current ? size : current;
}

static double grown(const MomGuest *g, double used) {
        double current = (double)g->current;
        double size = larger(current * (1 + STEP_SHARE),
                             larger((double)g->minimum, used + GUEST_FREE_SHARE * current));

        if (g->current >= g->maximum)
                return current;
        return size < (double)g->maximum ? size : (double)g->maximum;
}

uint64_t balloon_mom(double host_free, const MomGuest *g) {
        double current = (double)g->current, used = g->mean_current - g->mean_unused;
        double size = balloon_mom_is_short(host_free) ? shrunk(host_free, g, used) : grown(g, used);
        double change = size > current ? size - current : current - size;

        return change > IGNORED_SHARE * current ? (uint64_t)size : g->current;
}
