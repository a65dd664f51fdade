/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Event callbacks. They run in the loop thread, copy plain data and queue it;
 * none makes a call that leaves the process. Each registration has a VirtSource
 * of its own, which libvirt frees when it has forgotten the callback.
 *
 * libvirt announces our own pins like anybody else's, as tunable events: those
 * are recognised by guest, field and value, and are not worth a refresh.
 */
#include "virt_internal.h"

#include <libvirt/virterror.h>

typedef struct VirtSource {
        VirtQueue *queue;
        VirtDomains *domains;
        uint64_t generation;
} VirtSource;

static void source_free(void *p) {
        VirtSource *source = p;

        (void)virt_queue_unref(source->queue);
        (void)virt_domains_unref(source->domains);
        free(source);
}

static int source_new(VirtSession *s, VirtQueue *q, VirtSource **ret) {
        VirtSource *source = malloc(sizeof(*source));

        if (!source)
                return -ENOMEM;
        *source = (VirtSource){ virt_queue_ref(q), virt_domains_ref(s->domains), s->generation };
        *ret = source;
        return 0;
}

static void refresh(VirtSource *source, virDomainPtr domain, const char *event, bool urgent, bool job) {
        char uuid[UUID_TEXT_SIZE];

        if (virDomainGetUUIDString(domain, uuid) < 0)
                return;
        virt_domains_put(source->domains, uuid, domain);
        virt_queue_refresh(source->queue, source->generation, uuid, event, urgent, job);
}

static void gone(VirtSource *source, virDomainPtr domain, int detail) {
        static const char *const texts[] = {
                [VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN] = "shutdown",
                [VIR_DOMAIN_EVENT_STOPPED_DESTROYED] = "destroyed",
                [VIR_DOMAIN_EVENT_STOPPED_CRASHED] = "crashed",
                [VIR_DOMAIN_EVENT_STOPPED_MIGRATED] = "migrated-out",
                [VIR_DOMAIN_EVENT_STOPPED_SAVED] = "saved",
                [VIR_DOMAIN_EVENT_STOPPED_FAILED] = "failed",
        };
        const char *text = NULL;
        char uuid[UUID_TEXT_SIZE];

        if (virDomainGetUUIDString(domain, uuid) < 0)
                return;
        if (detail >= 0 && (size_t)detail < ELEMENTSOF(texts))
                text = texts[detail];
        virt_domains_drop(source->domains, uuid);
        virt_queue_gone(source->queue, source->generation, uuid, text ?: "stopped");
}

static void started(VirtSource *source, virDomainPtr domain, int detail) {
        const char *event = "started";

        if (detail == VIR_DOMAIN_EVENT_STARTED_MIGRATED)
                event = "migrated-in";
        else if (detail == VIR_DOMAIN_EVENT_STARTED_RESTORED || detail == VIR_DOMAIN_EVENT_STARTED_FROM_SNAPSHOT)
                event = "restored";
        refresh(source, domain, event, true, false);
}

static void resumed(VirtSource *source, virDomainPtr domain, int detail) {
        bool migrated = detail == VIR_DOMAIN_EVENT_RESUMED_MIGRATED;

        refresh(source, domain, migrated ? "migrated-in" : "resumed", migrated, false);
}

/* Of a guest that is not running, a definition is none of our business. */
static void defined(VirtSource *source, virDomainPtr domain, const char *event) {
        char uuid[UUID_TEXT_SIZE];

        if (virDomainGetID(domain) == (unsigned)-1 || virDomainGetUUIDString(domain, uuid) < 0)
                return;
        virt_domains_set_persistent(source->domains, uuid, -1);
        refresh(source, domain, event, false, false);
}

static int on_lifecycle(virConnectPtr conn _unused_, virDomainPtr domain, int event, int detail, void *opaque) {
        switch (event) {
        case VIR_DOMAIN_EVENT_DEFINED:
                defined(opaque, domain, "defined");
                break;
        case VIR_DOMAIN_EVENT_UNDEFINED:
                defined(opaque, domain, "undefined");
                break;
        case VIR_DOMAIN_EVENT_STARTED:
                started(opaque, domain, detail);
                break;
        case VIR_DOMAIN_EVENT_SUSPENDED:
                refresh(opaque, domain, "suspended", false, false);
                break;
        case VIR_DOMAIN_EVENT_RESUMED:
                resumed(opaque, domain, detail);
                break;
        case VIR_DOMAIN_EVENT_STOPPED:
                gone(opaque, domain, detail);
                break;
        case VIR_DOMAIN_EVENT_SHUTDOWN:
                refresh(opaque, domain, "shutdown", false, false);
                break;
        case VIR_DOMAIN_EVENT_PMSUSPENDED:
                refresh(opaque, domain, "pmsuspended", false, false);
                break;
        case VIR_DOMAIN_EVENT_CRASHED:
                refresh(opaque, domain, "crashed", false, false);
                break;
        default:
                break;
        }
        return 0;
}

static void on_reboot(virConnectPtr conn _unused_, virDomainPtr domain, void *opaque) {
        refresh(opaque, domain, "reboot", false, false);
}

static void on_balloon(virConnectPtr conn _unused_, virDomainPtr domain, unsigned long long kib, void *opaque) {
        VirtSource *source = opaque;
        char uuid[UUID_TEXT_SIZE];

        if (virDomainGetUUIDString(domain, uuid) >= 0)
                virt_queue_balloon(source->queue, source->generation, uuid, u64_muldiv(kib, KIB, 1));
}

static void on_device_removed(virConnectPtr conn _unused_, virDomainPtr domain, const char *alias _unused_,
                              void *opaque) {
        refresh(opaque, domain, "device-removed", false, false);
}

static void on_device_added(virConnectPtr conn _unused_, virDomainPtr domain, const char *alias _unused_,
                            void *opaque) {
        refresh(opaque, domain, "device-added", false, false);
}

static bool is_our_own(VirtSource *source, const char *uuid, const virTypedParameter *p) {
        IdSet set;

        return p->type == VIR_TYPED_PARAM_STRING && idset_parse(p->value.s, &set) >= 0 &&
               virt_domains_expected(source->domains, uuid, p->field, &set);
}

static void on_tunable(virConnectPtr conn _unused_, virDomainPtr domain, virTypedParameterPtr params, int n,
                       void *opaque) {
        char uuid[UUID_TEXT_SIZE];
        int foreign = 0;

        if (virDomainGetUUIDString(domain, uuid) < 0)
                return;
        for (int i = 0; i < n; i++)
                foreign += !is_our_own(opaque, uuid, &params[i]);
        if (foreign > 0)
                refresh(opaque, domain, "tunable", false, false);
}

static void on_metadata(virConnectPtr conn _unused_, virDomainPtr domain, int type _unused_,
                        const char *nsuri _unused_, void *opaque) {
        if (virDomainGetID(domain) != (unsigned)-1)
                refresh(opaque, domain, "metadata", false, false);
}

static void on_migration_iteration(virConnectPtr conn _unused_, virDomainPtr domain, int iteration _unused_,
                                   void *opaque) {
        VirtSource *source = opaque;
        char uuid[UUID_TEXT_SIZE];

        if (virDomainGetUUIDString(domain, uuid) >= 0 && !virt_domains_migrating(source->domains, uuid))
                refresh(opaque, domain, "migrating", false, true);
}

static void on_job_completed(virConnectPtr conn _unused_, virDomainPtr domain, virTypedParameterPtr params _unused_,
                             int n _unused_, void *opaque) {
        refresh(opaque, domain, "job-completed", false, true);
}

static void on_close(virConnectPtr conn _unused_, int reason, void *opaque) {
        static const char *const texts[] = {
                [VIR_CONNECT_CLOSE_REASON_ERROR] = "I/O error",
                [VIR_CONNECT_CLOSE_REASON_EOF] = "libvirt closed the connection",
                [VIR_CONNECT_CLOSE_REASON_KEEPALIVE] = "libvirt does not answer",
                [VIR_CONNECT_CLOSE_REASON_CLIENT] = "closed",
        };
        VirtSource *source = opaque;
        const char *text = reason >= 0 && (size_t)reason < ELEMENTSOF(texts) ? texts[reason] : "closed";

        virt_queue_closed(source->queue, source->generation, text);
}

typedef void (*AnyFunction)(void);

static const struct {
        int id;
        AnyFunction callback;
        bool required;
} events[] = {
        { VIR_DOMAIN_EVENT_ID_LIFECYCLE, (AnyFunction)on_lifecycle, true },
        { VIR_DOMAIN_EVENT_ID_REBOOT, (AnyFunction)on_reboot, false },
        { VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, (AnyFunction)on_balloon, false },
        { VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, (AnyFunction)on_device_removed, false },
        { VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, (AnyFunction)on_device_added, false },
        { VIR_DOMAIN_EVENT_ID_TUNABLE, (AnyFunction)on_tunable, false },
        { VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, (AnyFunction)on_metadata, false },
        { VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION, (AnyFunction)on_migration_iteration, false },
        { VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, (AnyFunction)on_job_completed, false },
};

static int register_event(VirtSession *s, VirtQueue *q, int id, AnyFunction callback, char **text) {
        VirtSource *source;
        int r;

        r = source_new(s, q, &source);
        if (r < 0)
                return r;
        r = virConnectDomainEventRegisterAny(s->conn, NULL, id, (virConnectDomainEventGenericCallback)callback,
                                             source, source_free);
        if (r < 0) {
                r = virt_error_take(text);
                source_free(source);
                return r;
        }
        s->callbacks[s->n_callbacks++] = r;
        return 0;
}

/*
 * libvirt frees the opaque of this one only where the driver implements it, and
 * does not say where it does not: so it stays ours. The callback runs under the
 * lock that unregistering takes, so afterwards nobody uses it any more.
 */
int virt_events_register_close(VirtSession *s, VirtQueue *q) {
        VirtSource *source;
        int r;

        r = source_new(s, q, &source);
        if (r < 0)
                return r;
        s->close_source = source;
        (void)virConnectRegisterCloseCallback(s->conn, on_close, source, NULL);
        return 0;
}

int virt_events_register(VirtSession *s, VirtQueue *q, char **text) {
        int r;

        s->callbacks = calloc(ELEMENTSOF(events), sizeof(*s->callbacks));
        if (!s->callbacks)
                return -ENOMEM;
        r = virt_events_register_close(s, q);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(events); i++) {
                r = register_event(s, q, events[i].id, events[i].callback, text);
                if (r < 0 && events[i].required)
                        return r;
        }
        return 0;
}

void virt_events_deregister_close(VirtSession *s) {
        (void)virConnectUnregisterCloseCallback(s->conn, on_close);
        if (s->close_source)
                source_free(TAKE_PTR(s->close_source));
}

void virt_events_deregister(VirtSession *s) {
        while (s->n_callbacks > 0)
                (void)virConnectDomainEventDeregisterAny(s->conn, s->callbacks[--s->n_callbacks]);
}
