/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Balloon statistics of some guests in one call. NOWAIT: a guest whose job is
 * taken (migrating, hung, or somebody else asks it something just now) comes
 * without its statistics instead of delaying the rest.
 */
#include "virt_internal.h"

#include <time.h>

static const struct {
        const char *name;
        size_t offset;
        uint64_t unit;
} fields[] = {
        { "balloon.current", offsetof(VirtStats, current_bytes), KIB },
        { "balloon.unused", offsetof(VirtStats, stats.unused_bytes), KIB },
        { "balloon.available", offsetof(VirtStats, stats.available_bytes), KIB },
        { "balloon.usable", offsetof(VirtStats, stats.usable_bytes), KIB },
        { "balloon.disk_caches", offsetof(VirtStats, stats.disk_caches_bytes), KIB },
        { "balloon.swap_in", offsetof(VirtStats, stats.swap_in_bytes), KIB },
        { "balloon.swap_out", offsetof(VirtStats, stats.swap_out_bytes), KIB },
        { "balloon.major_fault", offsetof(VirtStats, stats.major_faults), 1 },
        { "balloon.last-update", offsetof(VirtStats, stats.age_usec), USEC_PER_SEC },
};

static uint64_t realtime_usec(void) {
        struct timespec t;

        (void)clock_gettime(CLOCK_REALTIME, &t);
        return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / NSEC_PER_USEC;
}

/* A guest may report anything: UNKNOWN_U64 is not a value it can choose. */
static void read_field(const virTypedParameter *p, VirtStats *stats) {
        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                uint64_t value;

                if (p->type != VIR_TYPED_PARAM_ULLONG || !streq(p->field, fields[i].name))
                        continue;
                value = u64_muldiv(p->value.ul, fields[i].unit, 1);
                value = MIN(value, UNKNOWN_U64 - 1);
                memcpy((char *)stats + fields[i].offset, &value, sizeof(value));
        }
}

void virt_stats_read(const virTypedParameter *params, size_t n, uint64_t now_usec, VirtStats *ret) {
        BalloonStats *b = &ret->stats;

        *ret = (VirtStats){
                .current_bytes = UNKNOWN_U64,
                .stats = { UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64,
                           UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64 },
        };
        for (size_t i = 0; i < n; i++)
                read_field(&params[i], ret);
        /* So far it holds the time of the last report; 0 means there was none, nothing that the guest was not asked. */
        ret->asked = b->age_usec != UNKNOWN_U64;
        if (b->age_usec == 0)
                b->age_usec = UNKNOWN_U64;
        else if (b->age_usec != UNKNOWN_U64)
                b->age_usec = u64_sub(now_usec, b->age_usec);
}

bool virt_stats_believe(const VirtStats *said, Guest *g) {
        if (said->current_bytes != UNKNOWN_U64)
                guest_set_current(g, said->current_bytes);
        if (!said->asked)
                return false;
        g->stats = said->stats;
        /* Of a balloon without a size nothing else is believed, either. */
        if (said->current_bytes != UNKNOWN_U64 && said->current_bytes > g->max_bytes)
                memset(&g->stats, 0xff, sizeof(g->stats));
        return true;
}

static int message_stats(virDomainStatsRecordPtr *records, size_t n, VirtMessage **ret) {
        _cleanup_(virt_message_freep) VirtMessage *m = NULL;
        uint64_t now_usec = realtime_usec();
        int r;

        r = virt_message_new(VIRT_STATS, NULL, NULL, &m);
        if (r < 0)
                return r;
        m->stats = calloc(n + 1, sizeof(*m->stats));
        if (!m->stats)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                VirtStats *stats = &m->stats[m->n_stats];

                virt_stats_read(records[i]->params, (size_t)records[i]->nparams, now_usec, stats);
                if (virDomainGetUUIDString(records[i]->dom, stats->uuid) >= 0)
                        m->n_stats++;
        }
        *ret = TAKE_PTR(m);
        return 0;
}

static int fetch(virDomainPtr *domains, VirtMessage **ret, char **text) {
        virDomainStatsRecordPtr *records = NULL;
        int n, r;

        n = virDomainListGetStats(domains, VIR_DOMAIN_STATS_BALLOON | VIR_DOMAIN_STATS_STATE, &records,
                                  VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);
        if (n < 0)
                return virt_error_take(text);
        r = message_stats(records, (size_t)n, ret);
        virDomainStatsRecordListFree(records);
        return r;
}

/* Guests that are gone are left out. */
int virt_stats_fetch(VirtSession *s, const VirtRequest *request, uint32_t skip, VirtMessage **ret, char **text) {
        virDomainPtr domains[VIRT_STATS_CHUNK + 1] = { NULL };
        size_t n = 0;
        int r;

        for (size_t i = 0; i < request->n_uuids; i++) {
                if ((skip >> i & 1U) != 0)
                        continue;
                domains[n] = virt_session_domain(s, request->uuids[i]);
                if (domains[n])
                        n++;
        }
        r = n > 0 ? fetch(domains, ret, text) : message_stats(NULL, 0, ret);
        while (n > 0)
                (void)virDomainFree(domains[--n]);
        return r;
}
