/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Whether a guest, as the snapshot shows it, can take an action of a kind at
 * all: the answer that every controller gives the same way. What needs the
 * state (user pins, cool-downs) or the host (room) is the controller's own.
 */

#include "base.h"
#include "plan.h"
#include "snapshot.h"

/*
 * True when @g can take it. Otherwise *ret_why and *ret_detail (a sentence,
 * static) say why not; both are untouched when the answer is true.
 */
bool policy_eligible(const Guest *g, ActionKind kind, SkipReason *ret_why, const char **ret_detail);
