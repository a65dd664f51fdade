/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events come through a pipe of the world, and are handed on in the thread of libvirt's event loop. */
#include "preload.h"
#include "preload_virt.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static virConnectPtr listening;         /* a chain, under the lock */
static int events_fd = -1, handle = -1;

void fake_events_send(const WorldEvent *e) {
        if (events_fd >= 0)
                (void)!NEXT(write)(events_fd, e, sizeof(*e));
}

/* ---- handing on ---- */

static const int ids[] = {
        [WORLD_LIFECYCLE] = VIR_DOMAIN_EVENT_ID_LIFECYCLE,
        [WORLD_BALLOON] = VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE,
        [WORLD_TUNABLE] = VIR_DOMAIN_EVENT_ID_TUNABLE,
        [WORLD_METADATA] = VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
        [WORLD_REBOOT] = VIR_DOMAIN_EVENT_ID_REBOOT,
        [WORLD_DEVICE_ADDED] = VIR_DOMAIN_EVENT_ID_DEVICE_ADDED,
        [WORLD_DEVICE_REMOVED] = VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
        [WORLD_MIGRATION] = VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION,
        [WORLD_JOB_COMPLETED] = VIR_DOMAIN_EVENT_ID_JOB_COMPLETED,
};

static void call_tunable(virConnectPtr c, virDomainPtr d, const WorldEvent *e, const FakeCallback *cb) {
        virTypedParameterPtr params = NULL;
        int n = 0, capacity = 0;

        if (NEXT(virTypedParamsAddString)(&params, &n, &capacity, e->field, e->value) >= 0)
                ((virConnectDomainEventTunableCallback)cb->function)(c, d, params, n, cb->opaque);
        virTypedParamsFree(params, n);
}

static void call(virConnectPtr c, virDomainPtr d, const WorldEvent *e, const FakeCallback *cb) {
        switch (e->type) {
        case WORLD_LIFECYCLE:
                (void)((virConnectDomainEventCallback)cb->function)(c, d, e->what, e->detail, cb->opaque);
                break;
        case WORLD_BALLOON:
                ((virConnectDomainEventBalloonChangeCallback)cb->function)(c, d, (unsigned long long)e->what, cb->opaque);
                break;
        case WORLD_TUNABLE:
                call_tunable(c, d, e, cb);
                break;
        case WORLD_METADATA:
                ((virConnectDomainEventMetadataChangeCallback)cb->function)(c, d, 0, "", cb->opaque);
                break;
        case WORLD_REBOOT:
                ((virConnectDomainEventGenericCallback)cb->function)(c, d, cb->opaque);
                break;
        case WORLD_DEVICE_ADDED:
                ((virConnectDomainEventDeviceAddedCallback)cb->function)(c, d, "x", cb->opaque);
                break;
        case WORLD_DEVICE_REMOVED:
                ((virConnectDomainEventDeviceRemovedCallback)cb->function)(c, d, "x", cb->opaque);
                break;
        case WORLD_MIGRATION:
                ((virConnectDomainEventMigrationIterationCallback)cb->function)(c, d, 1, cb->opaque);
                break;
        case WORLD_JOB_COMPLETED:
                ((virConnectDomainEventJobCompletedCallback)cb->function)(c, d, NULL, 0, cb->opaque);
                break;
        case WORLD_CLOSE:
        case WORLD_REPORT:
        case WORLD_CLOCK:
                break;
        }
}

static void hand_on(virConnectPtr c, const WorldEvent *e) {
        WorldGuest stranger = { .id = -1 };
        virDomainPtr d;

        (void)snprintf(stranger.uuid, sizeof(stranger.uuid), "%s", e->uuid);
        d = fake_domain_new(c, &stranger);
        for (int i = 0; d && i < c->n_callbacks; i++)
                if (c->callbacks[i].event == ids[e->type])
                        call(c, d, e, &c->callbacks[i]);
        if (d)
                (void)virDomainFree(d);
}

/* The memory that is in use, by the allocator that is. */
static uint64_t heap_bytes(void) {
        size_t (*of_asan)(void) = (size_t(*)(void))dlsym(RTLD_DEFAULT, "__sanitizer_get_current_allocated_bytes");
        struct mallinfo2 info;

        if (of_asan)
                return of_asan();
        info = mallinfo2();
        return info.uordblks + info.hblkhd;
}

static void take(const WorldEvent *e) {
        if (e->type == WORLD_REPORT) {
                world->report.heap_bytes = heap_bytes();
                __atomic_store_n(&world->report.done, world->report.done + 1, __ATOMIC_RELEASE);
                return;
        }
        if (e->type == WORLD_CLOCK) {
                world_clock_was_set();
                return;
        }
        (void)pthread_mutex_lock(&lock);
        for (virConnectPtr c = listening; c; c = c->next) {
                if (e->type != WORLD_CLOSE) {
                        hand_on(c, e);
                        continue;
                }
                c->closed = true;
                if (c->on_close)
                        c->on_close(c, e->what, c->close_opaque);
        }
        (void)pthread_mutex_unlock(&lock);
}

static void on_events(int watch, int fd, int events, void *opaque) {
        WorldEvent e;

        (void)watch, (void)events, (void)opaque;
        while (NEXT(read)(fd, &e, sizeof(e)) == (ssize_t)sizeof(e))
                take(&e);
}

/* What nobody has taken belongs to a daemon that is no more. */
static void open_pipe(void) {
        char path[300];
        WorldEvent e;

        if (events_fd >= 0)
                return;
        (void)snprintf(path, sizeof(path), "%s/events", world_dir);
        events_fd = NEXT(openat)(AT_FDCWD, path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        while (NEXT(read)(events_fd, &e, sizeof(e)) == (ssize_t)sizeof(e))
                continue;
        handle = virEventAddHandle(events_fd, VIR_EVENT_HANDLE_READABLE, on_events, NULL, NULL);
}

/* ---- the loop ---- */

int virEventAddTimeout(int usec, virEventTimeoutCallback function, void *opaque, virFreeCallback forget) {
        return world && world_point("call", "virEventAddTimeout", false) != 0
                       ? -1 : NEXT(virEventAddTimeout)(usec, function, opaque, forget);
}

int virEventRunDefaultImpl(void) {
        return world && world_point("call", "virEventRunDefaultImpl", false) != 0 ? -1 : NEXT(virEventRunDefaultImpl)();
}

/* ---- who listens ---- */

static void listen_to(virConnectPtr c) {
        open_pipe();
        for (virConnectPtr other = listening; other; other = other->next)
                if (other == c)
                        return;
        c->next = listening;
        listening = c;
}

int virConnectDomainEventRegisterAny(virConnectPtr c, virDomainPtr d, int event,
                                     virConnectDomainEventGenericCallback function, void *opaque,
                                     virFreeCallback forget) {
        char object[64];
        int code, number = -1;

        (void)d;
        (void)snprintf(object, sizeof(object), "virConnectDomainEventRegisterAny %d", event);
        code = world_point("call", object, false);
        if (code != 0) {
                fake_error(code, "this driver has no such events");
                return -1;
        }
        (void)pthread_mutex_lock(&lock);
        listen_to(c);
        if (c->n_callbacks < (int)FAKE_CALLBACKS_MAX) {
                number = c->n_callbacks++;
                c->callbacks[number] = (FakeCallback){ event, (void (*)(void))function, opaque, forget };
        }
        (void)pthread_mutex_unlock(&lock);
        return number;
}

int virConnectDomainEventDeregisterAny(virConnectPtr c, int number) {
        FakeCallback *cb = &c->callbacks[number];

        (void)pthread_mutex_lock(&lock);
        cb->event = -1;
        (void)pthread_mutex_unlock(&lock);
        if (cb->forget)
                cb->forget(cb->opaque);
        return 0;
}

int virConnectRegisterCloseCallback(virConnectPtr c, virConnectCloseFunc function, void *opaque,
                                    virFreeCallback forget) {
        (void)forget;
        (void)pthread_mutex_lock(&lock);
        listen_to(c);
        c->on_close = function;
        c->close_opaque = opaque;
        (void)pthread_mutex_unlock(&lock);
        return 0;
}

int virConnectUnregisterCloseCallback(virConnectPtr c, virConnectCloseFunc function) {
        (void)function;
        (void)pthread_mutex_lock(&lock);
        c->on_close = NULL;
        (void)pthread_mutex_unlock(&lock);
        return 0;
}

void fake_events_forget(virConnectPtr c) {
        (void)pthread_mutex_lock(&lock);
        for (virConnectPtr *p = &listening; *p; p = &(*p)->next)
                if (*p == c) {
                        *p = c->next;
                        break;
                }
        (void)pthread_mutex_unlock(&lock);
}
