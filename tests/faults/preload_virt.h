/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of the world's libvirt share. */

#include <libvirt/libvirt.h>
#include <stddef.h>

#include "world.h"

#define FAKE_CALLBACKS_MAX 16U

typedef struct FakeCallback {
        int event;                      /* virDomainEventID; -1: none */
        void (*function)(void);
        void *opaque;
        virFreeCallback forget;
} FakeCallback;

struct _virConnect {
        unsigned refs;                  /* atomic: its own and one of each guest's handle */
        bool closed;
        FakeCallback callbacks[FAKE_CALLBACKS_MAX];
        int n_callbacks;
        virConnectCloseFunc on_close;
        void *close_opaque;
        struct _virConnect *next;       /* of those that listen */
};

struct _virDomain {
        unsigned refs;                  /* atomic */
        virConnectPtr conn;
        int id;
        char uuid[37];
};

void fake_error(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fake_connect_unref(virConnectPtr c);
virDomainPtr fake_domain_new(virConnectPtr c, const WorldGuest *g);

/* preload_xml.c */
char *fake_xml(const WorldGuest *g, bool definition);
/* "0-3,5" and back. */
void fake_format_mask(uint64_t mask, char *ret, size_t size);
uint64_t fake_parse_mask(const char *text);

/* preload_events.c */
void fake_events_send(const WorldEvent *e);
void fake_events_forget(virConnectPtr c);
