/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One function per call. All change the running guest only, never its definition. */
#include "../lib/plan.h"
#include "virt_internal.h"

#include <libvirt/virterror.h>
#include <limits.h>
#include <stdio.h>

#define FIELD_SIZE 32

/* Little endian bytes, as libvirt wants it, sized to the host. */
static int cpumap_of(const VirtSession *s, const IdSet *set, unsigned char map[static IDSET_MAX / 8],
                     int *ret_length) {
        if (idset_is_empty(set))
                return -EINVAL;
        if (idset_next(set, s->n_cpus) >= 0)
                return -ERANGE;
        for (size_t i = 0; i < IDSET_MAX / 8; i++)
                map[i] = (unsigned char)(set->words[i / 8] >> i % 8 * 8 & 0xff);
        *ret_length = (int)VIR_CPU_MAPLEN(s->n_cpus);
        return 0;
}

/* libvirt's failure, or 0; an announcement that will not come is not waited for. */
static int pin_result(VirtSession *s, const VirtCall *call, const char *field, int r, char **text) {
        if (r >= 0)
                return 0;
        r = virt_error_take(text);
        (void)virt_domains_expected(s->domains, call->uuid, field, &call->set);
        return r;
}

static int pin_vcpu(VirtSession *s, virDomainPtr domain, const VirtCall *call, char **text) {
        unsigned char map[IDSET_MAX / 8];
        char field[FIELD_SIZE];
        int length, r;

        r = cpumap_of(s, &call->set, map, &length);
        if (r < 0)
                return r;
        (void)snprintf(field, sizeof(field), "cputune.vcpupin%u", call->index);
        virt_domains_expect(s->domains, call->uuid, field, &call->set);
        r = virDomainPinVcpuFlags(domain, call->index, map, length, VIR_DOMAIN_AFFECT_LIVE);
        return pin_result(s, call, field, r, text);
}

static int pin_emulator(VirtSession *s, virDomainPtr domain, const VirtCall *call, char **text) {
        static const char field[] = "cputune.emulatorpin";
        unsigned char map[IDSET_MAX / 8];
        int length, r;

        r = cpumap_of(s, &call->set, map, &length);
        if (r < 0)
                return r;
        virt_domains_expect(s->domains, call->uuid, field, &call->set);
        r = virDomainPinEmulator(domain, map, length, VIR_DOMAIN_AFFECT_LIVE);
        return pin_result(s, call, field, r, text);
}

static int pin_iothread(VirtSession *s, virDomainPtr domain, const VirtCall *call, char **text) {
        unsigned char map[IDSET_MAX / 8];
        char field[FIELD_SIZE];
        int length, r;

        r = cpumap_of(s, &call->set, map, &length);
        if (r < 0)
                return r;
        (void)snprintf(field, sizeof(field), "cputune.iothreadpin%u", call->index);
        virt_domains_expect(s->domains, call->uuid, field, &call->set);
        r = virDomainPinIOThread(domain, call->index, map, length, VIR_DOMAIN_AFFECT_LIVE);
        return pin_result(s, call, field, r, text);
}

static int set_memory(VirtSession *s _unused_, virDomainPtr domain, const VirtCall *call, char **text) {
        if (call->value / KIB > ULONG_MAX || call->value < KIB)
                return -ERANGE;
        if (virDomainSetMemoryFlags(domain, (unsigned long)(call->value / KIB), VIR_DOMAIN_AFFECT_LIVE) < 0)
                return virt_error_take(text);
        return 0;
}

static int set_nodeset(VirtSession *s _unused_, virDomainPtr domain, const VirtCall *call, char **text) {
        _cleanup_free_ char *list = NULL;
        virTypedParameterPtr params = NULL;
        int n = 0, capacity = 0, r;

        if (idset_is_empty(&call->set))
                return -EINVAL;
        r = idset_format(&call->set, &list);
        if (r < 0)
                return r;
        if (virTypedParamsAddString(&params, &n, &capacity, VIR_DOMAIN_NUMA_NODESET, list) < 0 ||
            virDomainSetNumaParameters(domain, params, n, VIR_DOMAIN_AFFECT_LIVE) < 0)
                r = virt_error_take(text);
        virTypedParamsFree(params, n);
        return r;
}

static int set_stats_period(VirtSession *s _unused_, virDomainPtr domain, const VirtCall *call, char **text) {
        if (call->value > INT_MAX)
                return -ERANGE;
        if (virDomainSetMemoryStatsPeriod(domain, (int)call->value, VIR_DOMAIN_AFFECT_LIVE) < 0)
                return virt_error_take(text);
        return 0;
}

static int set_vcpus(VirtSession *s _unused_, virDomainPtr domain, const VirtCall *call, char **text) {
        int online;

        if (call->value < 1 || call->value > INT_MAX)
                return -ERANGE;
        online = virDomainGetVcpusFlags(domain, VIR_DOMAIN_AFFECT_LIVE);
        if (online < 0)
                return virt_error_take(text);
        if ((unsigned)online != call->index)
                return strprintf_to(text, "it has %d vCPUs meanwhile", online) < 0 ? -ENOMEM : -ESTALE;
        if (virDomainSetVcpusFlags(domain, (unsigned)call->value, VIR_DOMAIN_AFFECT_LIVE) < 0)
                return virt_error_take(text);
        return 0;
}

static int set_memtune(VirtSession *s _unused_, virDomainPtr domain, const VirtCall *call, char **text) {
        static const char *const names[_MEMTUNE_KNOB_MAX] = {
                [MEMTUNE_KNOB_HARD_LIMIT] = VIR_DOMAIN_MEMORY_HARD_LIMIT,
                [MEMTUNE_KNOB_SWAP_HARD_LIMIT] = VIR_DOMAIN_MEMORY_SWAP_HARD_LIMIT,
                [MEMTUNE_KNOB_SOFT_LIMIT] = VIR_DOMAIN_MEMORY_SOFT_LIMIT,
        };
        const unsigned long long unlimited = VIR_DOMAIN_MEMORY_PARAM_UNLIMITED;
        virTypedParameterPtr params = NULL;
        int n = 0, capacity = 0, r = 0;

        if (call->index >= ELEMENTSOF(names))
                return -EINVAL;
        if (virTypedParamsAddULLong(&params, &n, &capacity, names[call->index],
                                    MIN(call->value / KIB, unlimited)) < 0 ||
            virDomainSetMemoryParameters(domain, params, n, VIR_DOMAIN_AFFECT_LIVE) < 0)
                r = virt_error_take(text);
        virTypedParamsFree(params, n);
        return r;
}

/* libvirt has one code for "it does not run" and for what it refuses a running guest. */
static int refused(virDomainPtr domain) {
        _cleanup_free_ char *text = NULL;
        int active;

        active = virDomainIsActive(domain);
        if (active == 0)
                return -ESRCH;
        return active < 0 && virt_error_take(&text) == -ENOENT ? -ENOENT : -EPERM;
}

int virt_call_execute(VirtSession *s, const VirtCall *call, char **text) {
        static int (*const functions[])(VirtSession *, virDomainPtr, const VirtCall *, char **) = {
                [VIRT_PIN_VCPU] = pin_vcpu,
                [VIRT_PIN_EMULATOR] = pin_emulator,
                [VIRT_PIN_IOTHREAD] = pin_iothread,
                [VIRT_SET_MEMORY] = set_memory,
                [VIRT_SET_NODESET] = set_nodeset,
                [VIRT_SET_STATS_PERIOD] = set_stats_period,
                [VIRT_SET_VCPUS] = set_vcpus,
                [VIRT_SET_MEMTUNE] = set_memtune,
        };
        _cleanup_(virt_domain_freep) virDomainPtr domain = NULL;
        int r;

        if ((int)call->type < 0 || call->type >= _VIRT_CALL_TYPE_MAX)
                return -EINVAL;
        domain = virt_session_domain(s, call->uuid);
        if (!domain)
                return virt_error_take(text);
        r = functions[call->type](s, domain, call, text);
        if (r == -EPERM)
                r = refused(domain);
        if (r == -ENOENT)
                virt_domains_drop(s->domains, call->uuid);
        return r;
}
