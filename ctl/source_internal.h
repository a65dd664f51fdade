/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by source*.c. Either the bus or the files are there. */

#include "ctl.h"

struct sd_bus;

struct Source {
        struct sd_bus *bus;
        Config *config;
        Snapshot *snapshot;
        State *state;
        Description description;
};

void source_bus_close(Source *s);
