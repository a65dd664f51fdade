/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Strict reading of libconfig text, for the two loaders (config_load,
 * snapshot_load): every error is collected as "file:line: text", every group is walked and
 * unknown names are refused. libconfig 1.5 wraps large integers silently, so
 * quantities are strings with units, and integers are checked against the
 * source text only where they can be small.
 */

#include <libconfig.h>

#include "base.h"

typedef struct SettingErrors {
        char *text;             /* lines, each ended by '\n'; NULL: none */
        size_t n;
        bool out_of_memory;
} SettingErrors;

void setting_errors_done(SettingErrors *e);

/* Appends "file:line: ..." for @s. At most 50 are kept, then one line says there are more. */
void setting_error(SettingErrors *e, const config_setting_t *s, const char *format, ...) _printf_(3, 4);
void setting_error_at(SettingErrors *e, const char *file, unsigned line, const char *format, ...) _printf_(4, 5);
