/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the files of the snapshot's loader share. Problems are collected in the
 * SnapLoader's errors and reading goes on, so that one run shows all of them; a
 * function that fails otherwise (memory) returns a negative errno.
 */

#include "base.h"
#include "setting.h"
#include "snapshot.h"
#include "snapshot_fields.h"

typedef struct SnapLoader {
        SettingErrors errors;
        const char *folder;             /* where topology files are looked for; NULL: as named */
        Snapshot *snapshot;
        bool topology_memory;           /* the topology's node sizes were given, not made up by hwloc */
} SnapLoader;

/* "NAME is WHAT IT IS; NEED is needed", at @s. -ENOMEM or 0. */
int snap_load_complain(SnapLoader *l, const config_setting_t *s, const char *need);

/*
 * Reports every key of @group that is neither in @names nor in a table. @tables
 * and @names end with NULL; either may be NULL.
 */
int snap_load_check_keys(SnapLoader *l, const config_setting_t *group, const char *const *names,
                         const SnapFields *const *tables);

/*
 * The group (list) @name in @parent. Returns 1 and sets *ret, 0 when there is
 * none or it is something else (reported), -ENOMEM.
 */
int snap_load_group(SnapLoader *l, const config_setting_t *parent, const char *name, const config_setting_t **ret);
int snap_load_list(SnapLoader *l, const config_setting_t *parent, const char *name, const config_setting_t **ret);
/* Element @i of a list, which has to be a group. Same results. */
int snap_load_element(SnapLoader *l, const config_setting_t *list, unsigned i, const config_setting_t **ret);

/*
 * One value into the field of @record. Percentages of a size are taken of
 * @whole when that is not 0. Returns 1 when it was set, 0 when it is not there
 * or was wrong (reported), -ENOMEM.
 */
int snap_load_field(SnapLoader *l, const config_setting_t *group, const SnapField *field, uint64_t whole,
                    void *record);
/* Every field of the table that @group has. */
int snap_load_fields(SnapLoader *l, const config_setting_t *group, const SnapFields *fields, uint64_t whole,
                     void *record);

/* Single values with a name. Same results as snap_load_field(). */
int snap_load_value(SnapLoader *l, const config_setting_t *group, const char *name, SnapType type, void *value);
/* A number from @minimum to @maximum. */
int snap_load_number(SnapLoader *l, const config_setting_t *group, const char *name, unsigned minimum,
                     unsigned maximum, unsigned *ret);
/* A string or an array (or list) of them. */
typedef struct SnapTextList {
        const char **texts;             /* borrowed from libconfig */
        size_t n;
        bool single;                    /* it was one string, not an array */
        const config_setting_t *setting;
} SnapTextList;
int snap_load_texts(SnapLoader *l, const config_setting_t *group, const char *name, SnapTextList *ret);
void snap_text_list_done(SnapTextList *t);
/* Each text of @t as @type into an array of that type's values. Reports; returns 1, 0 or -ENOMEM. */
int snap_load_text_as(SnapLoader *l, const config_setting_t *s, SnapType type, const char *text, void *value);

/* Reports the numbers in @nodes that are no node of the topology. */
int snap_load_check_nodes(SnapLoader *l, const config_setting_t *group, const char *name, const IdSet *nodes);

/*
 * All of l->snapshot, which is new. @layers ends with NULL: time, uptime and interval are those of the first; each
 * of the other parts (topology, host, guests, reservations) is that of the first layer that has it. Keys are not
 * checked for unknown ones. 0 or -ENOMEM.
 */
int snap_load_layers(SnapLoader *l, const config_setting_t *const *layers);

/* The parts. 0 or -ENOMEM. */
int snap_load_topology(SnapLoader *l, const config_setting_t *root);
int snap_load_host(SnapLoader *l, const config_setting_t *root);
int snap_load_guests(SnapLoader *l, const config_setting_t *root);
