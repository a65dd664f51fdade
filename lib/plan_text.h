/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Strings of a plan on their way out. Guest names and reasons can hold anything
 * libvirt lets through, so text and JSON pass every string through one UTF-8
 * check; what is not UTF-8 becomes U+FFFD, one a byte, and control characters
 * are escaped (a name must not be able to drive a terminal).
 */

#include <stdio.h>

#include "plan.h"

/* @s for people. */
void plan_put_text(FILE *f, const char *s);
/* The same, newly allocated. -ENOMEM. */
int plan_clean_text(const char *s, char **ret);
/* The same of several lines: newlines and tabs stay. -ENOMEM. */
int plan_clean_lines(const char *s, char **ret);
/* @s as UTF-8, its ASCII as it is: for a program that reads it. -ENOMEM. */
int plan_valid_text(const char *s, char **ret);
/* Characters of a clean text, for alignment. */
size_t plan_text_width(const char *s);
/* @s, filled up to @width characters, and a space. */
void plan_put_padded(FILE *f, const char *s, size_t width);

/* A JSON string, or null. */
void plan_put_json(FILE *f, const char *s);
/* , "KEY": VALUE */
void plan_put_json_member(FILE *f, const char *key, const char *value);

/* plan_format.c: what an action is done to, "web-1 vCPU 0", and "0-3 -> 1". Clean. -ENOMEM. */
int plan_action_target(const Action *a, char **ret);
int plan_action_values(const Action *a, char **ret);

/* plan_format_placement.c: the explanations of a plan. -ENOMEM. */
int plan_put_placements(FILE *f, const Plan *p);
void plan_put_placements_json(FILE *f, const Plan *p);
/* Between and around the elements of an array, one a line. */
void plan_put_json_separator(FILE *f, size_t i, size_t n);
