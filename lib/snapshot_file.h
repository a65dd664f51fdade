/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The text form of a snapshot, in libconfig syntax: kvmtuned-snapshot(5). */

#include "snapshot.h"

/* Everything known; what is unknown or has its default is left out. Round-trips. -ENOMEM. */
int snapshot_format(const Snapshot *s, char **ret);

/*
 * Strict: unknown keys, wrong types, missing units, duplicate guests, numbers
 * that contradict the topology are errors with "file:line: ..." in *ret_error.
 * -EBADMSG, -ENOMEM, or the errno of reading. A topology XML file named in it is looked
 * for relative to the snapshot's own folder.
 */
int snapshot_load(const char *path, Snapshot **ret, char **ret_error);
int snapshot_load_text(const char *name, const char *text, Snapshot **ret, char **ret_error);
