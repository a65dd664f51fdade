/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager.h"

/*
 * Reads the policy again. A clean one replaces the running one, with all that
 * was set at run time, and starts a cycle; knobs left alone because somebody
 * else had changed them are tried again. A faulty one changes nothing, and the
 * journal says why; so does *ret_errors, newly allocated, unless @ret_errors is
 * NULL. -EBADMSG or the errno of reading; -EBUSY: the daemon ends.
 */
int manager_reload(Manager *m, char **ret_errors);

/* One journal entry for each line of @errors. @message_id may be NULL. */
void reload_log_errors(const char *message_id, const char *errors);
