/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A Value in a D-Bus message: a map is a{sv}, a list of maps aa{sv}, a list of
 * anything else an array of it, a number t. Both ends of org.kvmtuned1 use it.
 */

#include <systemd/sd-bus.h>

#include "../lib/value.h"

/* What a message may hold: the system bus drops whoever sends much more (its limit is 32 MiB). */
#define BUS_VALUE_MAX (16 * MIB)

/* -EMSGSIZE: more than BUS_VALUE_MAX; then, and on each other -errno, @m is to be thrown away. */
int bus_value_append(sd_bus_message *m, const Value *v);

/*
 * Reads the next argument. Other integers than t become numbers, too. -EBADMSG: something else is there,
 * or it is nested deeper than anything kvmtuned sends. -ENOMEM.
 */
int bus_value_read(sd_bus_message *m, Value **ret);
