/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the files of the snapshot's writer share. Write errors are kept in the
 * stream (memory); a function that allocates besides returns 0 or -ENOMEM.
 */

#include <stdio.h>

#include "base.h"
#include "snapshot_fields.h"

typedef struct SnapWriter {
        FILE *f;
        unsigned depth;
} SnapWriter;

void snap_write_indent(SnapWriter *w);
/* In quotes, escaped. */
void snap_write_string(SnapWriter *w, const char *s);
/* key = "value"; on a line of its own. */
void snap_write_key_string(SnapWriter *w, const char *key, const char *value);
/* key = "0-3" and @end, where the line stands. */
int snap_write_key_set(SnapWriter *w, const char *key, const IdSet *set, const char *end);
int snap_write_set(SnapWriter *w, const IdSet *set);

void snap_write_open_group(SnapWriter *w, const char *key);
void snap_write_close_group(SnapWriter *w);
/* A list of groups; snap_write_element() before each, snap_write_close_list() behind the last of @n. */
void snap_write_open_list(SnapWriter *w, const char *key);
void snap_write_element(SnapWriter *w, size_t i);
void snap_write_close_list(SnapWriter *w, size_t n);

/* "key = value;" for each field that has not its default: lines, or with @inline_ one behind the other. */
int snap_write_fields(SnapWriter *w, const SnapFields *fields, const void *record, bool inline_);
/* A group of one table; nothing when all of it has its default. */
int snap_write_table(SnapWriter *w, const char *key, const SnapFields *fields, const void *record);

int snap_write_topology(SnapWriter *w, const Topology *t);
