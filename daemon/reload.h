/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager.h"

/*
 * Reads the policy again. A clean one replaces the running one and starts a
 * cycle; knobs left alone because somebody else had changed them are tried
 * again. A faulty one changes nothing, and the journal says why.
 */
void manager_reload(Manager *m);

/* One journal entry for each line of @errors. @message_id may be NULL. */
void reload_log_errors(const char *message_id, const char *errors);
