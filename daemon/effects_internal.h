/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by effects.c (doing) and effects_log.c (saying). */

#include "../lib/parse.h"
#include "manager.h"

/* The one move under way; other actions count up from 1. */
#define MOVER_COOKIE (UINT64_MAX - 1)
/* A move that waits until the guest's nodeset is set. */
#define WAITING_MOVE_COOKIE (UINT64_MAX - 2)

/* What became of earlier moves. */
void effects_log_verdicts(Manager *m, const Plan *plan);
/* Gives up the move under way when the plan says so. */
void effects_cancel_move(Manager *m, const Plan *plan);
/* What would be done, once for each change of it. */
void effects_log_dry_run(Manager *m, const Plan *plan);
