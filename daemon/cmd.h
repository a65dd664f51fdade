/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the commands share. */

#include "../lib/state.h"

/*
 * Says on stderr what is wrong with @path when @r < 0: @error, a loader's own
 * text, which names the file, or else the errno. Returns @r.
 */
int cmd_complain(const char *path, int r, const char *error);

/* The state in the file @path, or -errno after saying on stderr what is wrong with it. */
int cmd_load_state(const char *path, State **ret);

/* Writes all of @text to stdout, or says that @command could not and returns -errno. */
int cmd_print(const char *command, const char *text);
