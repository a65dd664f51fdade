/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt, as far as the daemon calls it. Guests are those of the world; what a
 * call changes stays changed when the daemon is killed. Typed parameters and the
 * event loop are the real library's.
 */
#include "preload.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "preload_virt.h"

static __thread struct {
        virError error;
        char message[160];
} last;

void fake_error(int code, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(last.message, sizeof(last.message), format, ap);
        va_end(ap);
        last.error = (virError){ .code = code, .message = last.message };
}

virErrorPtr virGetLastError(void) {
        return last.error.code == VIR_ERR_OK ? NULL : &last.error;
}
void virResetLastError(void) {
        last.error.code = VIR_ERR_OK;
}

static void delay(unsigned usec) {
        const struct timespec t = { .tv_sec = usec / 1000000, .tv_nsec = (long)(usec % 1000000) * 1000 };

        if (usec > 0)
                (void)nanosleep(&t, NULL);
}

/* False: the call fails, and the error is set. */
static bool begin(const char *function, const WorldGuest *g, bool effect) {
        char object[80];
        int code;

        (void)snprintf(object, sizeof(object), "%s%s%s", function, g ? " " : "", g ? g->name : "");
        delay(world->call_delay_usec);
        code = world_point("call", object, effect);
        if (code != 0)
                fake_error(code, "%s fails as it was told to", function);
        return code == 0;
}

/* What needs the guest's monitor waits for it. */
static void wait_for_monitor(const WorldGuest *g) {
        while (__atomic_load_n(&g->hung, __ATOMIC_ACQUIRE))
                delay(2000);
}

/* ---- connections ---- */

int virInitialize(void) {
        world->allocs_before_libvirt = world->n_allocs;
        return begin("virInitialize", NULL, false) ? NEXT(virInitialize)() : -1;
}

virConnectPtr virConnectOpen(const char *uri) {
        virConnectPtr c;

        (void)uri;
        if (!begin("virConnectOpen", NULL, false))
                return NULL;
        while (__atomic_load_n(&world->accepts_only, __ATOMIC_ACQUIRE))
                delay(2000);
        if (world->down) {
                fake_error(VIR_ERR_SYSTEM_ERROR, "Failed to connect socket");
                return NULL;
        }
        c = calloc(1, sizeof(*c));
        if (!c)
                return NULL;
        c->refs = 1;
        (void)__atomic_add_fetch(&world->n_connections, 1, __ATOMIC_RELAXED);
        (void)__atomic_add_fetch(&world->n_opened, 1, __ATOMIC_RELAXED);
        return c;
}

int virConnectClose(virConnectPtr c) {
        fake_events_forget(c);
        (void)__atomic_sub_fetch(&world->n_connections, 1, __ATOMIC_RELAXED);
        fake_connect_unref(c);
        return 0;
}

void fake_connect_unref(virConnectPtr c) {
        if (__atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) == 0)
                free(c);
}

int virConnectIsAlive(virConnectPtr c) {
        return !c->closed && !world->down;
}

int virConnectSetKeepAlive(virConnectPtr c, int interval, unsigned count) {
        (void)c, (void)interval, (void)count;
        return begin("virConnectSetKeepAlive", NULL, false) ? 0 : -1;
}

int virNodeGetCPUMap(virConnectPtr c, unsigned char **map, unsigned *online, unsigned flags) {
        (void)c, (void)map, (void)online, (void)flags;
        if (!begin("virNodeGetCPUMap", NULL, false))
                return -1;
        return world->cpus_said != 0 ? (int)world->cpus_said : 8;
}

static bool is_alive(virConnectPtr c) {
        if (virConnectIsAlive(c))
                return true;
        fake_error(VIR_ERR_INTERNAL_ERROR, "client socket is closed");
        return false;
}

/* ---- guests ---- */

virDomainPtr fake_domain_new(virConnectPtr c, const WorldGuest *g) {
        virDomainPtr d = calloc(1, sizeof(*d));

        if (!d)
                return NULL;
        d->refs = 1;
        d->conn = c;
        (void)__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
        (void)__atomic_add_fetch(&world->n_domains, 1, __ATOMIC_RELAXED);
        d->id = g->id;
        (void)snprintf(d->uuid, sizeof(d->uuid), "%s", g->uuid);
        return d;
}

int virDomainRef(virDomainPtr d) {
        (void)__atomic_add_fetch(&d->refs, 1, __ATOMIC_RELAXED);
        return 0;
}

int virDomainFree(virDomainPtr d) {
        if (__atomic_sub_fetch(&d->refs, 1, __ATOMIC_ACQ_REL) == 0) {
                fake_connect_unref(d->conn);
                (void)__atomic_sub_fetch(&world->n_domains, 1, __ATOMIC_RELAXED);
                free(d);
        }
        return 0;
}

virConnectPtr virDomainGetConnect(virDomainPtr d) {
        return d->conn;
}

unsigned virDomainGetID(virDomainPtr d) {
        const WorldGuest *g = world_guest(d->uuid);

        return g ? (unsigned)g->id : (unsigned)-1;
}

int virDomainGetUUIDString(virDomainPtr d, char *buffer) {
        if (!begin("virDomainGetUUIDString", NULL, false))
                return -1;
        memcpy(buffer, d->uuid, sizeof(d->uuid));
        return 0;
}

/* The guest of a call that may be made, or NULL with the error set. */
static WorldGuest *enter(virDomainPtr d, const char *function, bool effect) {
        WorldGuest *g = world_guest(d->uuid);

        if (!is_alive(d->conn))
                return NULL;
        if (!g) {
                fake_error(VIR_ERR_NO_DOMAIN, "Domain not found: no domain with matching uuid '%s'", d->uuid);
                return NULL;
        }
        return begin(function, g, effect) ? g : NULL;
}

virDomainPtr virDomainLookupByUUIDString(virConnectPtr c, const char *uuid) {
        WorldGuest *g = world_guest(uuid);

        if (!is_alive(c) || !begin("virDomainLookupByUUIDString", g, false))
                return NULL;
        if (!g) {
                fake_error(VIR_ERR_NO_DOMAIN, "Domain not found: no domain with matching uuid '%s'", uuid);
                return NULL;
        }
        return fake_domain_new(c, g);
}

int virConnectListAllDomains(virConnectPtr c, virDomainPtr **ret, unsigned flags) {
        virDomainPtr *list;
        int n = 0;

        (void)flags;
        while (__atomic_load_n(&world->lists_never, __ATOMIC_ACQUIRE))
                delay(2000);
        if (!is_alive(c) || !begin("virConnectListAllDomains", NULL, false))
                return -1;
        list = calloc(WORLD_GUESTS_MAX + 1, sizeof(*list));
        if (!list)
                return -1;
        for (unsigned i = 0; i < WORLD_GUESTS_MAX; i++)
                if (world->guests[i].running)
                        list[n++] = fake_domain_new(c, &world->guests[i]);
        *ret = list;
        return n;
}

int virDomainGetState(virDomainPtr d, int *state, int *reason, unsigned flags) {
        WorldGuest *g = enter(d, "virDomainGetState", false);

        (void)flags;
        if (!g)
                return -1;
        *state = g->state != 0 ? g->state : g->paused ? VIR_DOMAIN_PAUSED : VIR_DOMAIN_RUNNING;
        if (reason)
                *reason = g->state != 0 ? g->reason : g->paused ? VIR_DOMAIN_PAUSED_USER : VIR_DOMAIN_RUNNING_BOOTED;
        return 0;
}

int virDomainIsActive(virDomainPtr d) {
        WorldGuest *g = world_guest(d->uuid);

        if (!is_alive(d->conn) || !begin("virDomainIsActive", g, false))
                return -1;
        return g && !g->shut_off;
}

int virDomainIsPersistent(virDomainPtr d) {
        WorldGuest *g = enter(d, "virDomainIsPersistent", false);

        while (g && __atomic_load_n(&g->persistent_waits, __ATOMIC_ACQUIRE))
                delay(2000);
        return g ? 1 : -1;
}

int virDomainGetJobInfo(virDomainPtr d, virDomainJobInfoPtr info) {
        WorldGuest *g = enter(d, "virDomainGetJobInfo", false);

        if (!g)
                return -1;
        *info = (virDomainJobInfo){ .type = g->migrating ? VIR_DOMAIN_JOB_UNBOUNDED : VIR_DOMAIN_JOB_NONE };
        return 0;
}

int virDomainGetControlInfo(virDomainPtr d, virDomainControlInfoPtr info, unsigned flags) {
        WorldGuest *g = enter(d, "virDomainGetControlInfo", false);

        (void)flags;
        if (!g)
                return -1;
        *info = (virDomainControlInfo){ .state = g->hung ? VIR_DOMAIN_CONTROL_OCCUPIED
                                               : g->calls_wait != 0 ? VIR_DOMAIN_CONTROL_JOB
                                                                    : VIR_DOMAIN_CONTROL_OK,
                                        .stateTime = g->hung || g->calls_wait != 0 ? 60000 : 0 };
        return 0;
}

char *virDomainGetXMLDesc(virDomainPtr d, unsigned flags) {
        WorldGuest *g = enter(d, "virDomainGetXMLDesc", false);

        while (g && __atomic_load_n(&g->xml_waits, __ATOMIC_ACQUIRE))
                delay(2000);
        return g ? fake_xml(g, flags & VIR_DOMAIN_XML_INACTIVE) : NULL;
}

/* ---- what changes a guest ---- */

static uint64_t mask_of(const unsigned char *map, int length) {
        uint64_t mask = 0;

        for (int i = 0; i < length && i < 8; i++)
                mask |= (uint64_t)map[i] << (8 * i);
        return mask;
}

/* It waits for a job of somebody else's where it is to, and is made then; when the daemon ends meanwhile, by the driver. */
static void make_call(WorldGuest *g, WorldCallKind kind, unsigned index, uint64_t value) {
        WorldCall call = { .kind = kind, .index = index, .value = value }, *waiting;

        if ((__atomic_load_n(&g->calls_wait, __ATOMIC_ACQUIRE) >> kind & 1U) == 0) {
                world_make(g, &call);
                return;
        }
        waiting = &g->waiting[(__atomic_add_fetch(&g->n_waited, 1, __ATOMIC_RELAXED) - 1) % WORLD_WAITING_MAX];
        *waiting = call;
        __atomic_store_n(&waiting->waits, true, __ATOMIC_RELEASE);
        while ((__atomic_load_n(&g->calls_wait, __ATOMIC_ACQUIRE) >> kind & 1U) != 0 &&
               !__atomic_load_n(&waiting->goes, __ATOMIC_ACQUIRE))
                delay(2000);
        world_make(g, &call);
        __atomic_store_n(&waiting->waits, false, __ATOMIC_RELEASE);
}

static void announce_pin(const WorldGuest *g, const char *field, uint64_t mask) {
        WorldEvent e = { .type = WORLD_TUNABLE };

        (void)snprintf(e.uuid, sizeof(e.uuid), "%s", g->uuid);
        (void)snprintf(e.field, sizeof(e.field), "%s", field);
        fake_format_mask(mask, e.value, sizeof(e.value));
        fake_events_send(&e);
}

int virDomainPinVcpuFlags(virDomainPtr d, unsigned vcpu, unsigned char *map, int length, unsigned flags) {
        WorldGuest *g = enter(d, "virDomainPinVcpuFlags", true);
        uint64_t mask = mask_of(map, length);
        char field[32];

        (void)flags;
        if (!g || vcpu >= WORLD_VCPUS_MAX)
                return -1;
        make_call(g, WORLD_PIN_VCPU, vcpu, mask);
        (void)snprintf(field, sizeof(field), "cputune.vcpupin%u", vcpu);
        announce_pin(g, field, mask);
        return 0;
}

int virDomainPinEmulator(virDomainPtr d, unsigned char *map, int length, unsigned flags) {
        WorldGuest *g = enter(d, "virDomainPinEmulator", true);
        uint64_t mask = mask_of(map, length);

        (void)flags;
        if (!g)
                return -1;
        make_call(g, WORLD_PIN_EMULATOR, 0, mask);
        announce_pin(g, "cputune.emulatorpin", mask);
        return 0;
}

int virDomainPinIOThread(virDomainPtr d, unsigned id, unsigned char *map, int length, unsigned flags) {
        WorldGuest *g = enter(d, "virDomainPinIOThread", true);
        uint64_t mask = mask_of(map, length);
        char field[32];

        (void)flags;
        if (!g || id >= WORLD_VCPUS_MAX)
                return -1;
        make_call(g, WORLD_PIN_IOTHREAD, id, mask);
        (void)snprintf(field, sizeof(field), "cputune.iothreadpin%u", id);
        announce_pin(g, field, mask);
        return 0;
}

int virDomainSetMemoryFlags(virDomainPtr d, unsigned long kib, unsigned flags) {
        WorldGuest *g = enter(d, "virDomainSetMemoryFlags", true);

        (void)flags;
        if (!g)
                return -1;
        wait_for_monitor(g);
        make_call(g, WORLD_SET_MEMORY, 0, kib);
        return 0;
}

int virDomainSetMemoryStatsPeriod(virDomainPtr d, int period, unsigned flags) {
        WorldGuest *g = enter(d, "virDomainSetMemoryStatsPeriod", true);

        (void)flags;
        if (!g)
                return -1;
        wait_for_monitor(g);
        make_call(g, WORLD_SET_STATS_PERIOD, 0, (uint64_t)period);
        return 0;
}

int virDomainGetVcpusFlags(virDomainPtr d, unsigned flags) {
        WorldGuest *g = enter(d, "virDomainGetVcpusFlags", false);

        (void)flags;
        if (!g)
                return -1;
        return (int)(g->vcpus_said != 0 ? g->vcpus_said : g->online);
}

int virDomainSetVcpusFlags(virDomainPtr d, unsigned n, unsigned flags) {
        WorldGuest *g = enter(d, "virDomainSetVcpusFlags", true);

        (void)flags;
        if (!g)
                return -1;
        wait_for_monitor(g);
        make_call(g, WORLD_SET_VCPUS, 0, n);
        return 0;
}

int virDomainSetNumaParameters(virDomainPtr d, virTypedParameterPtr params, int n, unsigned flags) {
        WorldGuest *g = enter(d, "virDomainSetNumaParameters", true);

        (void)flags;
        for (int i = 0; g && i < n; i++)
                if (strcmp(params[i].field, VIR_DOMAIN_NUMA_NODESET) == 0)
                        make_call(g, WORLD_SET_NODESET, 0, fake_parse_mask(params[i].value.s));
        return g ? 0 : -1;
}

int virDomainSetMemoryParameters(virDomainPtr d, virTypedParameterPtr params, int n, unsigned flags) {
        static const char *const names[WORLD_LIMITS] = { VIR_DOMAIN_MEMORY_HARD_LIMIT, VIR_DOMAIN_MEMORY_SWAP_HARD_LIMIT,
                                                         VIR_DOMAIN_MEMORY_SOFT_LIMIT };
        WorldGuest *g = enter(d, "virDomainSetMemoryParameters", true);

        (void)flags;
        for (int i = 0; g && i < n; i++)
                for (unsigned k = 0; k < WORLD_LIMITS; k++)
                        if (strcmp(params[i].field, names[k]) == 0)
                                make_call(g, WORLD_SET_LIMIT, k, params[i].value.ul == VIR_DOMAIN_MEMORY_PARAM_UNLIMITED
                                                                         ? 0 : params[i].value.ul);
        return g ? 0 : -1;
}

/* The library's own, but for the daemon they may fail. */
int virTypedParamsAddString(virTypedParameterPtr *params, int *n, int *capacity, const char *name, const char *value) {
        return begin("virTypedParamsAddString", NULL, false)
                       ? NEXT(virTypedParamsAddString)(params, n, capacity, name, value) : -1;
}
int virTypedParamsAddULLong(virTypedParameterPtr *params, int *n, int *capacity, const char *name,
                            unsigned long long value) {
        return begin("virTypedParamsAddULLong", NULL, false)
                       ? NEXT(virTypedParamsAddULLong)(params, n, capacity, name, value) : -1;
}

/* ---- statistics ---- */

static void add_number(virDomainStatsRecordPtr r, int *capacity, const char *name, uint64_t value) {
        (void)NEXT(virTypedParamsAddULLong)(&r->params, &r->nparams, capacity, name, value);
}

static virDomainStatsRecordPtr new_record(virDomainPtr d, const WorldGuest *g) {
        virDomainStatsRecordPtr r = calloc(1, sizeof(*r));
        struct timespec now;
        int capacity = 0;

        if (!r)
                return NULL;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        (void)virDomainRef(d);
        r->dom = d;
        add_number(r, &capacity, "balloon.current", g->current_kib);
        if (g->stats_period == 0)
                return r;
        add_number(r, &capacity, "balloon.available", g->current_kib);
        add_number(r, &capacity, "balloon.unused", g->usable_kib / 2);
        add_number(r, &capacity, "balloon.usable", g->usable_kib);
        add_number(r, &capacity, "balloon.last-update", g->silent ? 0 : (uint64_t)now.tv_sec);
        return r;
}

int virDomainListGetStats(virDomainPtr *domains, unsigned stats, virDomainStatsRecordPtr **ret, unsigned flags) {
        virDomainStatsRecordPtr *records;
        int n = 0;

        (void)stats, (void)flags;
        if (!is_alive(domains[0]->conn) || !begin("virDomainListGetStats", NULL, false))
                return -1;
        records = calloc(WORLD_GUESTS_MAX + 1, sizeof(*records));
        for (unsigned i = 0; records && domains[i]; i++) {
                const WorldGuest *g = world_guest(domains[i]->uuid);

                if (!g)
                        continue;
                wait_for_monitor(g);
                records[n++] = new_record(domains[i], g);
        }
        *ret = records;
        return records ? n : -1;
}

void virDomainStatsRecordListFree(virDomainStatsRecordPtr *records) {
        for (unsigned i = 0; records && records[i]; i++) {
                virTypedParamsFree(records[i]->params, records[i]->nparams);
                (void)virDomainFree(records[i]->dom);
                free(records[i]);
        }
        free(records);
}
