/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the commands share. */

#include "../lib/state.h"

/* An option of a command: of @flag, @text and @parse the one that is set says what it is. */
typedef struct CmdOption {
        const char *name;
        char letter;
        bool *flag;                     /* becomes true; no value */
        const char **text;              /* becomes the value, which is not copied */
        int (*parse)(const char *value, void *userdata);        /* 0, or -EINVAL after saying what is wrong */
        void *userdata;
} CmdOption;

#define CMD_OPTIONS_MAX ((size_t)16)

/*
 * Reads the options of a command, whose name is argv[0]; --help is one of each.
 * *ret_first: the first argument behind them, in argv, which getopt has put in
 * order; with NULL the command takes none. 0; 1 when @usage was asked for and is
 * printed; -EINVAL after saying on stderr what is wrong.
 */
int cmd_options(int argc, char **argv, const CmdOption *options, size_t n, const char *usage, int *ret_first);

/* Says on stderr that @command was not called as it wants: @text, if any, and where to read more. -EINVAL. */
int cmd_usage(const char *command, const char *text);

/*
 * Says on stderr what is wrong with @path when @r < 0: @error, a loader's own
 * text, which names the file, or else the errno. Returns @r.
 */
int cmd_complain(const char *path, int r, const char *error);

/* The state in the file @path, or -errno after saying on stderr what is wrong with it. */
int cmd_load_state(const char *path, State **ret);

/* Writes all of @text to stdout, or says that @command could not and returns -errno. */
int cmd_print(const char *command, const char *text);
