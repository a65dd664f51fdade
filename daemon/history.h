/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The last catalogued journal entries of this process, for those who ask the
 * daemon instead of the journal: the same text, since both get it from one
 * place (log.h).
 *
 * Bounded: HISTORY_MIN entries in all, and from there on HISTORY_SHARE for the
 * host and each guest that is here. Whoever is noisy drives out his own: room is
 * made by the guest that went first, and when none has gone by whoever has most.
 * So the host and each guest that is here keep at least their last HISTORY_SHARE.
 */

#include "../lib/value.h"
#include "log.h"

#define HISTORY_MIN 1024U
#define HISTORY_SHARE 16U

typedef struct History History;

int history_new(History **ret);
History *history_free(History *h);

/*
 * A guest is here, or has gone; one that nobody told of counts as gone. What
 * is kept of it stays until there is no room for it. -ENOMEM: it counts as gone.
 * Both take NULL.
 */
int history_guest_here(History *h, const char *uuid);
void history_guest_gone(History *h, const char *uuid);

/* A log_listener_t. Without memory the entry is lost here, not in the journal. */
void history_note(void *userdata, int level, const char *message_id, const LogField *fields, size_t n_fields,
                  const char *message);

/*
 * The last @max entries, or fewer, the oldest first, as a list of maps; only
 * those of the guest @uuid unless it is NULL. NULL without memory.
 */
Value *history_describe(const History *h, const char *uuid, size_t max);
