/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Parts of the loader of the policy file, for its own files only. Functions
 * collect what is wrong in l->errors and return 0, or -ENOMEM.
 */

#include "config.h"
#include "setting.h"

typedef struct Loader {
        Config *config;
        SettingErrors errors;
} Loader;

/* Where settings stand: decides which scopes are allowed. */
typedef enum LayerKind {
        LAYER_BASE,
        LAYER_GUEST,            /* a guests entry, or a rule with a guests selector */
        LAYER_RULE,
} LayerKind;

/*
 * Reads the group @group ("ksm: { ... }") into @layer. @rule is interned or
 * NULL.
 */
int load_setting_group(Loader *l, const config_setting_t *group, LayerKind kind, const char *rule,
                       SettingLayer *layer);

/* The names of the groups of config_keys, and how many there are. */
#define CONFIG_GROUPS_MAX 16U
size_t config_group_names(const char *ret[static CONFIG_GROUPS_MAX]);

int load_guests(Loader *l, const config_setting_t *list);
int load_rules(Loader *l, const config_setting_t *list);
int load_selector(Loader *l, const config_setting_t *group, GuestSelector *ret);

/* *ret is set also when it is only half right; then there are more errors. */
int load_condition(Loader *l, const config_setting_t *group, Condition **ret);
int load_threshold(Loader *l, const config_setting_t *group, Condition *condition);

/*
 * Reports and returns NULL when @s is not a string. The type error names
 * @what ("rule name") and what is @needed.
 */
const char *load_string(Loader *l, const config_setting_t *s, const char *what, const char *needed);

/* Reports `@what: the integer 5 was found; @needed is needed`. */
void load_type_error(Loader *l, const config_setting_t *s, const char *what, const char *needed);

/*
 * Whether @condition can hold at no time and for no value of its metrics, as
 * far as that can be told. Then *ret_line and *ret_problem say where and why.
 * -ENOMEM.
 */
int condition_never_holds(const Condition *condition, unsigned *ret_line, const char **ret_problem);

/* Contradictions between settings: ksm.start and ksm.stop, balloon.start and balloon.stop. */
int check_limits(Loader *l);
