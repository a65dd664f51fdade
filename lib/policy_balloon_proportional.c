/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Source of the formula: Xen's squeezed (xapi). What there is beyond all
 * minimums is shared so that each guest is the same part of the way from its
 * minimum to its maximum:
 *
 *   g = clamp(surplus / sum(max - min), 0, 1);  target = min + g * (max - min)
 */

#include "policy_balloon_preset.h"

double balloon_proportional_share(double surplus, double range) {
        if (range <= 0 || surplus >= range)
                return 1;
        return surplus > 0 ? surplus / range : 0;
}

uint64_t balloon_proportional(double share, uint64_t minimum, uint64_t maximum) {
        return MIN(minimum + (uint64_t)(share * (double)(maximum - minimum)), maximum);
}
