/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The host's memory: what was promised of it, huge pages, sharing. */

#include "doctor_internal.h"

#include "parse.h"

/* KSM only learns in its first pass, and merges from the second on. */
#define KSM_PASSES 3U

static int found_when(bool found) {
        return found ? DOCTOR_FOUND : DOCTOR_FINE;
}

static uint64_t promised(const Doctor *d) {
        uint64_t bytes = 0;

        for (size_t i = 0; i < d->s->n_guests; i++)
                bytes = u64_add(bytes, d->s->guests[i]->current_bytes);
        return bytes;
}

int check_no_swap(const Doctor *d, char **ret_detail) {
        const HostMemory *m = &d->s->host.memory;

        (void)ret_detail;
        if (m->total_bytes == 0)
                return DOCTOR_UNKNOWN;
        return found_when(m->swap_total_bytes == 0 && promised(d) <= m->total_bytes);
}

int check_overcommit(const Doctor *d, char **ret_detail) {
        const HostMemory *m = &d->s->host.memory;
        char a[FORMAT_BYTES_MAX], b[FORMAT_BYTES_MAX];
        int r;

        if (m->total_bytes == 0)
                return DOCTOR_UNKNOWN;
        if (m->swap_total_bytes > 0 || promised(d) <= m->total_bytes)
                return DOCTOR_FINE;
        r = strprintf_to(ret_detail, "guests may use %s, the host has %s", format_bytes_short(promised(d), a),
                         format_bytes_short(m->total_bytes, b));
        return r < 0 ? r : DOCTOR_FOUND;
}

/* ---- huge pages ------------------------------------------------------------ */

static void sum_up_pools(const Host *h, uint64_t page_bytes, uint64_t *ret_total, uint64_t *ret_free) {
        *ret_total = *ret_free = 0;
        for (size_t i = 0; i < h->n_nodes; i++)
                for (size_t k = 0; k < h->nodes[i].n_pools; k++) {
                        const HugePool *pool = &h->nodes[i].pools[k];

                        if (pool->page_bytes != page_bytes)
                                continue;
                        *ret_total = u64_add(*ret_total, pool->total_pages);
                        *ret_free = u64_add(*ret_free, pool->free_pages);
                }
}

static uint64_t page_size_of(const Host *h, const Guest *g) {
        return g->hugepage_bytes > 0 ? g->hugepage_bytes : h->hugepage_bytes;
}

/* What guests are to have in pages of this size. */
static uint64_t wanted_bytes(const Doctor *d, uint64_t page_bytes) {
        uint64_t bytes = 0;

        for (size_t i = 0; i < d->s->n_guests; i++)
                if (d->s->guests[i]->hugepages && page_size_of(&d->s->host, d->s->guests[i]) == page_bytes)
                        bytes = u64_add(bytes, d->s->guests[i]->max_bytes);
        return bytes;
}

int check_pages_unused(const Doctor *d, char **ret_detail) {
        const Host *h = &d->s->host;

        if (h->n_nodes == 0)
                return DOCTOR_UNKNOWN;
        for (size_t k = 0; k < h->nodes[0].n_pools; k++) {
                uint64_t size = h->nodes[0].pools[k].page_bytes, total, unused;
                char a[FORMAT_BYTES_MAX], b[FORMAT_BYTES_MAX];
                int r;

                sum_up_pools(h, size, &total, &unused);
                if (total == 0 || unused < total || wanted_bytes(d, size) > 0)
                        continue;
                r = strprintf_to(ret_detail, "%s in pages of %s, and no guest is to use them",
                                 format_bytes_short(u64_muldiv(total, size, 1), a), format_bytes_short(size, b));
                return r < 0 ? r : DOCTOR_FOUND;
        }
        return DOCTOR_FINE;
}

int check_pages_short(const Doctor *d, char **ret_detail) {
        const Host *h = &d->s->host;

        if (h->n_nodes == 0)
                return DOCTOR_UNKNOWN;
        for (size_t i = 0; i < d->s->n_guests; i++) {
                uint64_t size = page_size_of(h, d->s->guests[i]), total, unused, wanted = wanted_bytes(d, size);
                char a[FORMAT_BYTES_MAX], b[FORMAT_BYTES_MAX], c[FORMAT_BYTES_MAX];
                int r;

                sum_up_pools(h, size, &total, &unused);
                if (!d->s->guests[i]->hugepages || wanted <= u64_muldiv(total, size, 1))
                        continue;
                r = strprintf_to(ret_detail, "guests are to use %s in pages of %s, the pools have %s",
                                 format_bytes_short(wanted, a), format_bytes_short(size, b),
                                 total > 0 ? format_bytes_short(u64_muldiv(total, size, 1), c) : "none");
                return r < 0 ? r : DOCTOR_FOUND;
        }
        return DOCTOR_FINE;
}

static bool any_in_ordinary_pages(const Doctor *d) {
        for (size_t i = 0; i < d->s->n_guests; i++)
                if (!d->s->guests[i]->hugepages)
                        return true;
        return false;
}

int check_thp_never(const Doctor *d, char **ret_detail) {
        const ThpStatus *t = &d->s->host.thp;

        (void)ret_detail;
        if (!*t->enabled)
                return DOCTOR_UNKNOWN;
        return found_when(streq(t->enabled, "never") && any_in_ordinary_pages(d));
}

int check_thp_stalls(const Doctor *d, char **ret_detail) {
        const ThpStatus *t = &d->s->host.thp;

        (void)ret_detail;
        if (!*t->enabled)
                return DOCTOR_UNKNOWN;
        return found_when(!streq(t->enabled, "never") && streq(t->defrag, "always"));
}

/* ---- KSM ------------------------------------------------------------------- */

int check_ksm_across(const Doctor *d, char **ret_detail) {
        const KsmStatus *k = &d->s->host.ksm;

        (void)ret_detail;
        return found_when(k->present && k->run == 1 && k->merge_across_nodes == 1 && d->s->topology->n_nodes > 1);
}

int check_ksm_balancing(const Doctor *d, char **ret_detail) {
        const Host *h = &d->s->host;

        (void)ret_detail;
        if (h->numa_balancing == UNKNOWN_U64)
                return DOCTOR_UNKNOWN;
        return found_when(h->ksm.present && h->ksm.run == 1 && h->numa_balancing > 0 && host_may_hide_unmapped(h) &&
                          d->s->topology->n_nodes > 1);
}

int check_ksm_profit(const Doctor *d, char **ret_detail) {
        const KsmStatus *k = &d->s->host.ksm;
        int r;

        if (!k->present || k->run != 1 || k->full_scans < KSM_PASSES ||
            (k->pages_sharing > 0 && ksm_profit_bytes(k) >= 0))
                return DOCTOR_FINE;
        r = strprintf_to(ret_detail, "%llu pages saved after %llu passes", (unsigned long long)k->pages_sharing,
                         (unsigned long long)k->full_scans);
        return r < 0 ? r : DOCTOR_FOUND;
}

int check_ksm_classes(const Doctor *d, char **ret_detail) {
        const Guest *first = NULL;
        int r;

        if (!d->s->host.ksm.present || d->s->host.ksm.run != 1)
                return DOCTOR_FINE;
        for (size_t i = 0; i < d->s->n_guests; i++) {
                const Guest *g = d->s->guests[i];

                if (g->nosharepages || g->hugepages || !g->class)
                        continue;
                if (!first)
                        first = g;
                if (streq(first->class, g->class))
                        continue;
                r = strprintf_to(ret_detail, "guests of class %s and of class %s", first->class, g->class);
                return r < 0 ? r : DOCTOR_FOUND;
        }
        return DOCTOR_FINE;
}
