/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * org.kvmtuned1 on the system bus: what kvmtunectl talks to. org.kvmtuned1(5)
 * is its reference.
 *
 * The bus is not needed for the daemon's work. While there is none, or its
 * daemon was restarted, or somebody else has the name, it is tried again, each
 * time later, up to once a minute. Nothing here waits: who asks is looked up
 * and polkit is asked asynchronously (bus_auth.c), and only then the method
 * runs on the main loop, between two events.
 *
 * bus.c            connection, name, properties
 * bus_auth.c       who may do what
 * bus_methods.c    what the methods do
 * bus_value.c      values in messages
 */

#include "manager.h"

typedef struct Bus Bus;

/* Succeeds without a bus. @m outlives it. -ENOMEM, or -errno of the event loop. */
int bus_new(Manager *m, Bus **ret);
Bus *bus_free(Bus *b);

/* All take NULL: */
/* Something that properties show may have changed. */
void bus_changed(Bus *b);
/* manager_restore() has come to its end. */
void bus_restored(Bus *b);
