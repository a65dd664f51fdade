/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A knob that one setting drives: a value is wanted, or "keep". What controllers
 * of such knobs have in common: whose value it is, setting it, giving it back,
 * and one Skip for all that is not done.
 */

#include "policy.h"

/* Why knobs of one kind are not set: the first reason counts, the sentences are joined. */
typedef struct KnobSkips {
        SkipReason why;
        char *text;                     /* NULL: none */
} KnobSkips;

void policy_knob_skips_done(KnobSkips *s);

typedef struct Knob {
        ActionKind kind;
        const Guest *guest;             /* NULL: of the host */
        unsigned index;
        Key key;                        /* the setting that drives it */
        const char *current;            /* canonical text */
        bool adopted;                   /* as GuestMemo.adopted */
        KnobSkips *skips;
} Knob;

/* Appends a sentence to k->skips. 0 or -ENOMEM. */
int policy_knob_skip(const Knob *k, SkipReason why, const char *format, ...) _printf_(3, 4);

/*
 * One decision about @k: sets it to @wanted because of @reason, or with NULL ("keep") gives back what was set. When
 * somebody else has changed it, it is theirs: *taken becomes true, and while it is true nothing is set. One that holds
 * its original at the first look after a restart was never changed. 0 or -ENOMEM.
 */
int policy_knob_drive(PolicyContext *c, const Knob *k, const char *wanted, const char *reason, bool *taken);

/* Adds the one Skip for what was collected, if anything was. 0 or -ENOMEM. */
int policy_knob_flush(PolicyContext *c, ActionKind kind, const Guest *guest, const KnobSkips *skips);
