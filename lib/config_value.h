/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One setting's text to its value and back, by the rows of config_keys.
 */

#include "config.h"

/*
 * Reads @text as a value of @key; ret->text borrows @text where the type is
 * text. Only number, percent, automatic, keep and text of *ret are set. -EINVAL or
 * -ERANGE come with *ret_problem, `"50" has no unit; a size ... is needed`.
 * -ENOMEM without.
 */
int config_value_parse(Key key, const char *text, SettingValue *ret, char **ret_problem);

/* What @key takes, with its article: "a time from 1 s to 1 h". -ENOMEM. */
int config_value_allowed(Key key, char **ret);

/* What is wrong with a libvirt URI, to stand behind it: "is no URI". NULL: nothing; see the head of config_uri.c. */
const char *config_uri_problem(const char *text);

/* The text config_value_parse() reads back to @v. -ENOMEM. */
int config_value_format(Key key, const SettingValue *v, char **ret);
