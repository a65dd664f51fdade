/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by bus*.c. */

#include <systemd/sd-bus.h>

#include "bus.h"

#define BUS_NAME "org.kvmtuned1"
#define BUS_PATH "/org/kvmtuned1"
#define BUS_INTERFACE "org.kvmtuned1.Manager"

#define BUS_ERROR_NO_SUCH_GUEST "org.kvmtuned1.Error.NoSuchGuest"
#define BUS_ERROR_NO_SUCH_SETTING "org.kvmtuned1.Error.NoSuchSetting"
#define BUS_ERROR_INVALID_VALUE "org.kvmtuned1.Error.InvalidValue"
#define BUS_ERROR_NOT_SET "org.kvmtuned1.Error.NotSet"
#define BUS_ERROR_BAD_POLICY "org.kvmtuned1.Error.BadPolicy"
#define BUS_ERROR_ALREADY "org.kvmtuned1.Error.Already"
#define BUS_ERROR_BUSY "org.kvmtuned1.Error.Busy"
#define BUS_ERROR_DRY_RUN "org.kvmtuned1.Error.DryRun"
#define BUS_ERROR_TOO_LARGE "org.kvmtuned1.Error.TooLarge"

typedef enum BusAccess {
        BUS_READ,       /* root, libvirt's group, or polkit org.kvmtuned1.read */
        BUS_MANAGE,     /* root, or polkit org.kvmtuned1.manage */
} BusAccess;

typedef struct BusMethod {
        const char *member;
        BusAccess access;
        /*
         * Answers @m, now or later, and returns 0 or more; or returns -errno, or sets @error, which is then the
         * answer. @uid: who asks.
         */
        int (*run)(Bus *b, sd_bus_message *m, uid_t uid, sd_bus_error *error);
} BusMethod;

typedef struct BusRequest BusRequest;

struct Bus {
        Manager *manager;
        sd_bus *bus;                    /* NULL: not connected */
        sd_bus_slot *object, *name, *disconnected;
        sd_event_source *retry;
        unsigned retries;               /* without success, in a row */
        bool named;                     /* the name is ours */
        bool said;                      /* that there is no bus, or that the name cannot be had */
        const char *state;              /* as properties showed it last */
        bool connected;
        gid_t readers;                  /* libvirt's group; -1: there is none */
        BusRequest *requests;           /* waiting for a verdict */
        sd_bus_message *restore;        /* to be answered when everything is put back */
};

/* bus_auth.c */
/* Finds out whether the sender of @m may, and then runs @method or refuses. */
int bus_authorize(Bus *b, sd_bus_message *m, const BusMethod *method);
/* Forgets who waits for a verdict: the connection is gone. */
void bus_drop_requests(Bus *b);

/* bus_methods.c */
extern const BusMethod bus_methods[];
extern const size_t bus_n_methods;
