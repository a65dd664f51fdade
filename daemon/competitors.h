/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "../lib/config.h"
#include "../lib/snapshot.h"

/* Whether decisions go by who else is at work. */
bool competitors_matter(const Config *config);

/*
 * Names in the journal who else on this host changes what kvmtuned changes:
 * numad, ksmtuned, MOM, tuned; and in facts->managers. Looks through /proc
 * once; call at start and reload. Changes nothing.
 */
void competitors_log(int root_fd, Config *config, HostFacts *facts);
