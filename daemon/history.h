/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The last catalogued journal entries of this process, for those who ask the
 * daemon instead of the journal: the same text, since both get it from one
 * place (log.h). Bounded: a new one drives out the oldest.
 */

#include "../lib/value.h"
#include "log.h"

#define HISTORY_MAX 1024U

typedef struct History History;

int history_new(History **ret);
History *history_free(History *h);

/* A log_listener_t. Without memory the entry is lost here, not in the journal. */
void history_note(void *userdata, int level, const char *message_id, const LogField *fields, size_t n_fields,
                  const char *message);

/*
 * The last @max entries, or fewer, the oldest first, as a list of maps; only
 * those of the guest @uuid unless it is NULL. NULL without memory.
 */
Value *history_describe(const History *h, const char *uuid, size_t max);
