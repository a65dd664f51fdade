/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the effects*.c; which of them does what is said at the head of each. */

#include <errno.h>

#include "../lib/parse.h"
#include "manager.h"

/* The one move under way; other actions count up from 1. */
#define MOVER_COOKIE (UINT64_MAX - 1)
/* A move that waits until the guest's nodeset is set. */
#define WAITING_MOVE_COOKIE (UINT64_MAX - 2)

/* A kernel switch that systemd was asked to set. */
#define KERNEL_COOKIE (UINT64_MAX - 3)

/* What becomes of each action of a plan. */
typedef struct EffectChoice {
        bool chosen;
        bool recorded;          /* the ownership record was changed for it */
} EffectChoice;

/* NULL: the guest is not known any more. */
GuestSlot *effects_slot(Manager *m, const char *uuid);
int effects_add_pending(Manager *m, const Action *a, uint64_t cookie, bool recorded);

/* effects_own.c: puts on record what is chosen of @plan. On failure what is on record is what it was. -errno. */
int effects_record(Manager *m, const Plan *plan, EffectChoice *choices);
/* Our latest value did not come to be. */
void effects_unown(Manager *m, const Action *a);
/* Decided while it was under way: that it had failed, or was somebody else's. It came to be all the same. */
void effects_own_again(Manager *m, const Action *a);
bool effects_is_giving_back(const Manager *m);

/* effects_end.c: @a, of that cycle, has ended. */
void effects_finish(Manager *m, const Action *a, uint64_t cycle, bool recorded, int result, const char *text);
/* Removes the i-th of what is pending, and finishes it. */
void effects_end_pending(Manager *m, size_t i, int result, const char *text);

/* effects_move.c: begins the memory move @a, after the nodeset of the same plan. 0 its end will be told, -errno. */
int effects_move(Manager *m, const Plan *plan, const EffectChoice *choices, const Action *a);
/* The nodeset that a move waited for is set, or is not. */
void effects_release_move(Manager *m, const char *uuid, int result);

/* As execute(): 1 done, 0 its end will be told, -errno. */
int effects_set_kernel(Manager *m, const Action *a, bool recorded);
/* The same for a pool of huge pages. */
int effects_set_pool(Manager *m, const Action *a, bool recorded);
void effects_on_kernel(void *userdata, int result, const char *text);
/* effects_note.c: @a was done. */
void effects_note(Manager *m, const Action *a);
/* The call was sent, and nobody knows whether it was carried out: it stays on record. */
static inline bool effects_is_uncertain(int result) {
        return result == -ETIMEDOUT || result == -ECANCELED;
}
/* libvirt carries it out. */
static inline bool effects_is_call(ActionKind kind) {
        return kind == ACTION_PIN_VCPU || kind == ACTION_PIN_EMULATOR || kind == ACTION_PIN_IOTHREAD ||
               kind == ACTION_SET_NODESET || kind == ACTION_SET_BALLOON || kind == ACTION_SET_STATS_PERIOD ||
               kind == ACTION_SET_VCPUS || kind == ACTION_SET_MEMTUNE;
}
/* What was asked of libvirt for the guest ends with @result. @slot may be NULL. */
void effects_note_answer(GuestSlot *slot, ActionKind kind, int result);
/* What became of earlier moves. */
void effects_log_verdicts(Manager *m, const Plan *plan);
/* Gives up the move under way when the plan says so. */
void effects_cancel_move(Manager *m, const Plan *plan);
/* What would be done, once for each change of it. */
void effects_log_dry_run(Manager *m, const Plan *plan);
