/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the commands share. */

/*
 * Says on stderr what is wrong with @path when @r < 0: @error, a loader's own
 * text, which names the file, or else the errno. Returns @r.
 */
int cmd_complain(const char *path, int r, const char *error);
