/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * systemd, as far as the daemon has it set a switch of the kernel: behind a system
 * bus that there is while World.systemd says so. Everything else of sd-bus is the
 * library's own.
 */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

static char place;
#define BUS ((sd_bus *)(void *)&place)

static sd_event *loop;
static struct {
        sd_bus_message_handler_t callback;
        void *userdata;
        char value;                     /* of the switch */
} asked;

int sd_bus_open_system(sd_bus **ret) {
        if (!world || world->systemd == WORLD_NO_SYSTEMD)
                return NEXT(sd_bus_open_system)(ret);
        *ret = BUS;
        return 0;
}

int sd_bus_attach_event(sd_bus *bus, sd_event *event, int priority) {
        if (bus != BUS)
                return NEXT(sd_bus_attach_event)(bus, event, priority);
        loop = event;
        return 0;
}

sd_bus *sd_bus_flush_close_unref(sd_bus *bus) {
        return bus == BUS ? NULL : NEXT(sd_bus_flush_close_unref)(bus);
}

static void set_switch(void) {
        char path[300];
        int fd;

        (void)snprintf(path, sizeof(path), "%s/root/proc/sys/kernel/numa_balancing", world_dir);
        fd = NEXT(openat)(AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return;
        (void)dprintf(fd, "%c\n", asked.value);
        (void)NEXT(close)(fd);
}

static int answer(sd_event_source *s, void *userdata) {
        (void)s, (void)userdata;
        if (world->systemd == WORLD_SYSTEMD_SETS)
                set_switch();
        return asked.callback(NULL, asked.userdata, NULL);
}

int sd_bus_call_method_async(sd_bus *bus, sd_bus_slot **slot, const char *destination, const char *path,
                             const char *interface, const char *member, sd_bus_message_handler_t callback,
                             void *userdata, const char *types, ...) {
        const char *unit;
        va_list ap;
        int r;

        va_start(ap, types);
        if (bus != BUS) {
                r = NEXT(sd_bus_call_method_asyncv)(bus, slot, destination, path, interface, member, callback, userdata,
                                                    types, ap);
                va_end(ap);
                return r;
        }
        unit = va_arg(ap, const char *);
        va_end(ap);
        r = world_point("call", member, true);
        if (r != 0)
                return -r;
        asked.callback = callback;
        asked.userdata = userdata;
        asked.value = strchr(unit, '@')[1];
        return NEXT(sd_event_add_defer)(loop, NULL, answer, NULL);
}

/* An answer of ours is NULL. */
int sd_bus_message_is_method_error(sd_bus_message *m, const char *name) {
        return m ? NEXT(sd_bus_message_is_method_error)(m, name) : world->systemd == WORLD_SYSTEMD_REFUSES;
}

const sd_bus_error *sd_bus_message_get_error(sd_bus_message *m) {
        static const sd_bus_error refused = SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_ACCESS_DENIED, "Not for you");

        return m ? NEXT(sd_bus_message_get_error)(m) : &refused;
}
