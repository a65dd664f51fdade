/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sim.h"

void peer_started(Sim *s, SimGuest *g) {
        (void)s;
        (void)g;
}

void peer_cycle(Sim *s) {
        (void)s;
}
