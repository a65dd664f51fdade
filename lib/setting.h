/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Strict reading of libconfig text, for the two loaders (config_load,
 * snapshot_load): every error is collected as "file:line: text", every group is walked and
 * unknown names are refused. libconfig 1.5 wraps large integers silently, so
 * quantities are strings with units, and every integer is checked in the
 * source text before libconfig sees it (setting_scan).
 */

#include <libconfig.h>

#include "base.h"

/* Larger files are refused; a policy file of this size has 100,000 rules. */
#define SETTING_FILE_MAX (16 * MIB)
#define SETTING_INCLUDE_DEPTH_MAX 8U
#define SETTING_INCLUDES_MAX 256U

typedef struct SettingErrorEntry SettingErrorEntry;

/* Zero-initialised. Kept in the order of files (as first named) and lines. */
typedef struct SettingErrors {
        char *text;             /* lines, each ended by '\n'; NULL: none */
        size_t n;
        bool out_of_memory;
        /* What stands for the text given to libconfig as a string; NULL: "(text)". Borrowed. */
        const char *name;
        /* Where libconfig looks for included files, prefixed to their names; NULL or "": none. Borrowed. */
        const char *include_dir;
        SettingErrorEntry *entries;
        size_t n_entries, entries_capacity;
} SettingErrors;

void setting_errors_done(SettingErrors *e);

/* Appends "file:line: ..." for @s. At most 50 are kept, then one line says there are more. */
void setting_error(SettingErrors *e, const config_setting_t *s, const char *format, ...) _printf_(3, 4);
/* @line 0 stands for the whole file: "file: ...". */
void setting_error_at(SettingErrors *e, const char *file, unsigned line, const char *format, ...) _printf_(4, 5);

/*
 * Says that an integer at @file:@line is not the one libconfig will hold, and
 * that an error says so: setting_error() is then silent about integers there.
 */
void setting_mark_wrapped(SettingErrors *e, const char *file, unsigned line);

/* The file @s stands in, as messages name it. -ENOMEM. */
int setting_file(const SettingErrors *e, const config_setting_t *s, char **ret);

/* What @s is, for messages: `the string "x"`, `the integer 5`, `a group`. -ENOMEM. */
int setting_describe(const config_setting_t *s, char **ret);

/*
 * The nearest of the @n names (NULL entries are skipped), at an edit distance
 * of at most 2 and less than the length of @name; NULL when none is that near.
 */
const char *setting_nearest(const char *name, const char *const *known, size_t n);

/* setting_nearest() as a clause, `; did you mean "x"?`, or "". -ENOMEM. */
int setting_suggest(const char *name, const char *const *known, size_t n, char **ret);

/*
 * Reports @s, whose name is none of @known: `unknown key "intervall" in
 * daemon; did you mean "interval"?` or, with nothing near, all that is
 * allowed. @where may be NULL.
 */
void setting_unknown(SettingErrors *e, const config_setting_t *s, const char *where, const char *const *known,
                     size_t n);

/* `a, b or c`, NULL entries are skipped. -ENOMEM. */
int setting_list(const char *const *known, size_t n, char **ret);

/*
 * Reads a regular file of at most SETTING_FILE_MAX bytes without NUL bytes.
 * Problems are reported at @at_file:@at_line, naming @path when that differs.
 * Returns 0, -EBADMSG (not such a file), -ENOMEM or the errno of open or read.
 */
int setting_read_file(SettingErrors *e, const char *at_file, unsigned at_line, const char *path, char **ret);

/*
 * Looks at @text before libconfig does, for what libconfig 1.5 accepts
 * silently or dies of: integers that wrap, unterminated comments, strings and
 * includes, \x00, included files that are missing, no text, or include
 * themselves. Included files are scanned too; without @may_include any
 * @include is an error. @path is NULL or the file @text came from.
 * Returns 0 (libconfig may read it, errors on integers may have been added),
 * -EBADMSG (it must not) or -ENOMEM.
 */
int setting_scan(SettingErrors *e, const char *path, const char *text, bool may_include);

/*
 * setting_scan() and then libconfig, which reports its syntax errors to @e.
 * @config is initialised. Returns 0, -EBADMSG or -ENOMEM.
 */
int setting_parse(SettingErrors *e, config_t *config, const char *path, const char *text, bool may_include);
