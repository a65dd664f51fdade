/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * daemon.competitors = "takeover": a competitor that does nothing but what
 * kvmtuned does is stopped, as a unit of systemd, and started again when
 * kvmtuned puts back what it changed. Which units these are is in the state
 * before they are stopped. A program that belongs to no service, or that
 * somebody has started again, is named in the journal and left alone.
 */

#include "manager.h"

typedef struct Takeover Takeover;

int takeover_new(Manager *m, Takeover **ret);
Takeover *takeover_free(Takeover *t);

/* Looks who runs and stops one after the other, unless nothing is to be changed now. Does not wait. */
void takeover_look(Takeover *t);
/* Those that were left alone are looked at again. */
void takeover_forget(Takeover *t);

/*
 * Starts again what was stopped, and waits until systemd has taken the order (not for the unit). What it does not
 * take stays on record. The state is changed, not saved.
 */
void takeover_give_back(Manager *m);
