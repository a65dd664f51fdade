/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The ownership record around an action, as daemon/effects.c keeps it. */

#include "../../lib/state.h"

/* Before it is done. Returns whether the record was changed: not when it is a repetition, or gives something back. */
bool sim_record_own(State *s, const Action *a);
/* It was done: a value equal to the original is given back. Returns whether it was. */
bool sim_record_done(State *s, const Action *a);
/* It failed, for certain, after the record was changed for it. */
void sim_record_failed(State *s, const Action *a);
