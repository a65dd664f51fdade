/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memsim.h"

const char *const mem_scenario_names[] = { NULL };

bool mem_scenario(MemSim *s, const char *name) {
        (void)s;
        (void)name;
        return false;
}
