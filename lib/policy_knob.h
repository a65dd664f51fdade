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
        const Settings *settings;       /* with that setting */
        const char *name;               /* for sentences; NULL: the setting's */
        const char *current;            /* canonical text */
        bool adopted;                   /* as GuestMemo.adopted */
        bool open;                      /* what was asked for may still come to be: it is not disowned */
        KnobSkips *skips;
} Knob;

/* Appends a sentence to k->skips. 0 or -ENOMEM. */
int policy_knob_skip(const Knob *k, SkipReason why, const char *format, ...) _printf_(3, 4);

/*
 * Whether the knob, if it is owned, still is: otherwise it is disowned, and *taken becomes true when somebody else
 * has changed it. One that holds its original at the first look after a restart was never changed, unless it is open.
 * 0 or -ENOMEM.
 */
int policy_knob_check(PolicyContext *c, const Knob *k, bool *taken);
/* An action, unless @k has @value already. 0 or -ENOMEM. */
int policy_knob_set(PolicyContext *c, const Knob *k, const char *value, const char *reason);
/* An action that sets the original, when @k is owned; one that has it already is disowned. 0 or -ENOMEM. */
int policy_knob_give_back(PolicyContext *c, const Knob *k);
/* Notes that the knob is somebody else's. 0 or -ENOMEM. */
int policy_knob_skip_taken(const Knob *k);

/*
 * All of that for one that depends on no other: sets it to @wanted because of @reason, or with NULL ("keep") gives
 * back what was set. While *taken nothing is set. 0 or -ENOMEM.
 */
int policy_knob_drive(PolicyContext *c, const Knob *k, const char *wanted, const char *reason, bool *taken);

/* Adds the one Skip for what was collected, if anything was. 0 or -ENOMEM. */
int policy_knob_flush(PolicyContext *c, ActionKind kind, const Guest *guest, const KnobSkips *skips);
