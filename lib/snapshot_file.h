/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The text form of a snapshot, in libconfig syntax: kvmtuned-snapshot(5). */

#include "snapshot.h"

/*
 * Everything known; what is unknown or has its default is left out. Reads back
 * to the same value, except that a topology whose synthetic description does
 * not describe it comes back without one. @s has a topology. -ENOMEM.
 */
int snapshot_format(const Snapshot *s, char **ret);

/*
 * Strict: unknown keys, wrong types, missing units, duplicate guests, numbers
 * that contradict the topology are errors with "file:line: ..." in *ret_error
 * (newly allocated, set on every failure but -ENOMEM).
 * -EBADMSG, -ENOMEM, or the errno of reading. A topology XML file named in it is looked
 * for relative to the snapshot's own folder; in a text, relative to the current one.
 */
int snapshot_load(const char *path, Snapshot **ret, char **ret_error);
int snapshot_load_text(const char *name, const char *text, Snapshot **ret, char **ret_error);
