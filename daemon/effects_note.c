/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What was done is so, before libvirt's own event or the next look at the host
 * says it. That look may fail, and what was seen last then stands: without this
 * it would be what was there before, as if somebody had put it back.
 */

#include "effects_internal.h"

static GuestThread *thread_of(Guest *g, const Action *a) {
        bool vcpu = a->kind == ACTION_PIN_VCPU;
        GuestThread *threads = vcpu ? g->vcpus : g->iothreads;
        size_t n = vcpu ? g->n_vcpus : g->n_iothreads;

        if (a->kind == ACTION_PIN_EMULATOR)
                return &g->emulator;
        if (!vcpu && a->kind != ACTION_PIN_IOTHREAD)
                return NULL;
        for (size_t i = 0; i < n; i++)
                if (threads[i].id == a->index)
                        return &threads[i];
        return NULL;
}

/* Which they are, its XML will tell; how many, whoever puts back what is ours must know at once. */
static void note_vcpus(Guest *g, const char *value) {
        size_t want = strtoull(value, NULL, 10), online = guest_online_vcpus(g);

        for (size_t i = 0; i < g->n_vcpus && online < want; i++)
                if (!g->vcpus[i].online) {
                        g->vcpus[i].online = true;
                        online++;
                }
        for (size_t i = g->n_vcpus; i > 0 && online > want; i--)
                if (g->vcpus[i - 1].online) {
                        g->vcpus[i - 1].online = false;
                        online--;
                }
}

static void note_guest(Guest *g, const Action *a) {
        GuestThread *t = thread_of(g, a);
        IdSet set;

        if (t && idset_parse(a->new_value, &set) >= 0) {
                t->pinned = true;
                t->pin = t->affinity = set;
        }
        if (a->kind == ACTION_SET_STATS_PERIOD)
                g->stats_period_sec = strtoull(a->new_value, NULL, 10);
        if (a->kind == ACTION_SET_VCPUS)
                note_vcpus(g, a->new_value);
        if (a->kind == ACTION_SET_MEMTUNE)
                policy_memtune_note(g, (MemtuneKnob)a->index, a->new_value);
}

void effects_note(Manager *m, const Action *a) {
        Guest *g = snapshot_find_guest(m->snapshot, a->uuid);

        if (g)
                note_guest(g, a);
        if (a->kind == ACTION_SET_KSM && m->snapshot->host.ksm.present)
                policy_ksm_note(&m->snapshot->host.ksm, (KsmKnob)a->index, a->new_value);
}

void effects_note_pool(Manager *m, unsigned node, uint64_t page_bytes, uint64_t pages) {
        Host *h = &m->snapshot->host;

        for (size_t i = 0; i < h->n_nodes; i++)
                for (size_t k = 0; h->nodes[i].id == node && k < h->nodes[i].n_pools; k++) {
                        HugePool *p = &h->nodes[i].pools[k];

                        if (p->page_bytes == page_bytes)
                                p->total_pages = u64_add(pages, p->surplus_pages);
                }
}
