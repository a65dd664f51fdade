/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the worker and the event callbacks both keep of a connection's guests:
 * a handle each, so that no call needs a lookup (0.1 ms), whether a job is
 * under way, and the pins we are about to make: libvirt announces those as
 * tunable events, too, and a refresh for each would double the price of a pin.
 * A lock of its own; no libvirt call that can wait is made below it.
 */

#include "../lib/idset.h"
#include "../lib/snapshot.h"

#include <libvirt/libvirt.h>

typedef struct VirtDomains VirtDomains;

int virt_domains_new(VirtDomains **ret);
VirtDomains *virt_domains_ref(VirtDomains *d);
VirtDomains *virt_domains_unref(VirtDomains *d);
DEFINE_CLEANUP(VirtDomains, virt_domains_unref)

/* Drops every handle (each holds the connection) and keeps none from now on. */
void virt_domains_close(VirtDomains *d);

/* Keeps a reference to @domain, unless there is a handle already. Out of memory costs a lookup later, no more. */
void virt_domains_put(VirtDomains *d, const char *uuid, virDomainPtr domain);
void virt_domains_drop(VirtDomains *d, const char *uuid);
/* A reference of the caller's own, if there is one of connection @conn; otherwise NULL, and any other is dropped. */
virDomainPtr virt_domains_get(VirtDomains *d, virConnectPtr conn, const char *uuid);
/* Drops the handles, but not what is remembered of the guests. */
void virt_domains_forget_handles(VirtDomains *d);

/* What is remembered of a guest; false, -1 for one that is not kept. */
bool virt_domains_migrating(VirtDomains *d, const char *uuid);
void virt_domains_set_migrating(VirtDomains *d, const char *uuid, bool migrating);
int virt_domains_persistent(VirtDomains *d, const char *uuid);
/* -1: not known (any more). */
void virt_domains_set_persistent(VirtDomains *d, const char *uuid, int persistent);

/* Our own pin is about to be made; @field as libvirt's tunable event names it. */
void virt_domains_expect(VirtDomains *d, const char *uuid, const char *field, const IdSet *set);
/* true, once, when such an event is our own. */
bool virt_domains_expected(VirtDomains *d, const char *uuid, const char *field, const IdSet *set);
