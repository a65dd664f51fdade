/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of the KSM controller share. */

#include "policy.h"

/* What a mode wants of the scanner. */
typedef struct KsmWish {
        bool run;
        uint64_t pages_to_scan, sleep_millisecs;
        char why[192];
} KsmWish;

/*
 * One of the presets. Between two steps of its period it wants what it wanted last. The host's memory has to be known.
 */
void ksm_wish_preset(PolicyContext *c, KsmMode mode, KsmWish *wish);
