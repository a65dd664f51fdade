/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot.h"

#include <stdio.h>

#include "parse.h"

static const char *const guest_state_table[_GUEST_STATE_MAX] = {
        [GUEST_RUNNING] = "running", [GUEST_PAUSED] = "paused",           [GUEST_SHUTDOWN] = "shutdown",
        [GUEST_CRASHED] = "crashed", [GUEST_PMSUSPENDED] = "pmsuspended",
};
DEFINE_STRING_TABLE(guest_state, GuestState, guest_state_table)

static const char *const numatune_mode_table[_NUMATUNE_MODE_MAX] = {
        [NUMATUNE_NONE] = "none",
        [NUMATUNE_STRICT] = "strict",
        [NUMATUNE_PREFERRED] = "preferred",
        [NUMATUNE_INTERLEAVE] = "interleave",
        [NUMATUNE_RESTRICTIVE] = "restrictive",
};
DEFINE_STRING_TABLE(numatune_mode, NumatuneMode, numatune_mode_table)

/*
 * FNV-1a in 128 bits (offset basis and prime as published by its authors, RFC
 * 9923), in the layout of a version 8 (custom) UUID of RFC 9562.
 */
void guest_uuid_from_name(const char *name, char ret[static UUID_TEXT_SIZE]) {
        __extension__ typedef unsigned __int128 U128;
        const U128 prime = (U128)UINT64_C(0x0000000001000000) << 64 | UINT64_C(0x000000000000013B);
        U128 hash = (U128)UINT64_C(0x6c62272e07bb0142) << 64 | UINT64_C(0x62b821756295c58d);
        uint64_t high, low;

        for (const char *p = name; *p; p++) {
                hash ^= (unsigned char)*p;
                hash *= prime;
        }
        high = ((uint64_t)(hash >> 64) & ~UINT64_C(0xf000)) | UINT64_C(0x8000);
        low = ((uint64_t)hash & ~(UINT64_C(3) << 62)) | UINT64_C(2) << 62;
        (void)snprintf(ret, UUID_TEXT_SIZE, "%08x-%04x-%04x-%04x-%012llx", (unsigned)(high >> 32),
                       (unsigned)(high >> 16 & 0xffff), (unsigned)(high & 0xffff), (unsigned)(low >> 48),
                       (unsigned long long)(low & UINT64_C(0xffffffffffff)));
}

static void thread_init(GuestThread *t, unsigned id) {
        *t = (GuestThread){
                .id = id,
                .online = true,
                .busy_permyriad = UNKNOWN_PERMYRIAD,
                .wait_permyriad = UNKNOWN_PERMYRIAD,
        };
}

int guest_new(const char *name, const char *uuid, Guest **ret) {
        _cleanup_(guest_freep) Guest *g = NULL;
        int r;

        if (uuid && strlen(uuid) >= UUID_TEXT_SIZE)
                return -EINVAL;
        g = calloc(1, sizeof(*g));
        if (!g)
                return -ENOMEM;
        r = strdup_to(&g->name, name);
        if (r < 0)
                return r;
        if (uuid)
                memcpy(g->uuid, uuid, strlen(uuid) + 1);
        else
                guest_uuid_from_name(name, g->uuid);
        thread_init(&g->emulator, 0);
        g->emulator_busy_permyriad = UNKNOWN_PERMYRIAD;
        g->psi_memory = (Psi){ UNKNOWN_PERMYRIAD, UNKNOWN_PERMYRIAD };
        g->vcpu_group = 1;
        g->rss_bytes = g->virtual_bytes = UNKNOWN_U64;
        g->stats = (BalloonStats){
                .unused_bytes = UNKNOWN_U64,
                .available_bytes = UNKNOWN_U64,
                .usable_bytes = UNKNOWN_U64,
                .disk_caches_bytes = UNKNOWN_U64,
                .swap_in_bytes = UNKNOWN_U64,
                .swap_out_bytes = UNKNOWN_U64,
                .major_faults = UNKNOWN_U64,
                .age_usec = UNKNOWN_U64,
        };
        *ret = TAKE_PTR(g);
        return 0;
}

Guest *guest_free(Guest *g) {
        if (!g)
                return NULL;
        free(g->name);
        free(g->title);
        free(g->class);
        free(g->vfio_devices);
        free(g->vcpus);
        free(g->iothreads);
        free(g->node_memory);
        free(g->cells);
        free(g);
        return NULL;
}

static int set_threads(GuestThread **threads, size_t *n_threads, size_t n) {
        GuestThread *fresh = NULL;

        if (n > 0) {
                fresh = calloc(n, sizeof(*fresh));
                if (!fresh)
                        return -ENOMEM;
        }
        for (size_t i = 0; i < n; i++)
                thread_init(&fresh[i], (unsigned)i);
        free(*threads);
        *threads = fresh;
        *n_threads = n;
        return 0;
}

int guest_set_vcpus(Guest *g, size_t n) {
        return set_threads(&g->vcpus, &g->n_vcpus, n);
}

int guest_set_iothreads(Guest *g, size_t n) {
        return set_threads(&g->iothreads, &g->n_iothreads, n);
}

size_t guest_online_vcpus(const Guest *g) {
        size_t n = 0;

        for (size_t i = 0; i < g->n_vcpus; i++)
                n += g->vcpus[i].online;
        return n;
}

void guest_set_current(Guest *g, uint64_t bytes) {
        g->current_bytes = MIN(bytes, g->max_bytes);
}

const IdSet *guest_nodeset(const Guest *g) {
        return g->numatune_placement_auto && idset_is_empty(&g->numatune_nodes) ? &g->advised_nodes
                                                                                : &g->numatune_nodes;
}

int snapshot_new(Snapshot **ret) {
        Snapshot *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->local_time = (LocalTime){ .year = 1970, .month = 1, .day = 1, .weekday = 3 };
        s->host.kernel_release = UNKNOWN_U64;
        s->host.psi_memory = (Psi){ UNKNOWN_PERMYRIAD, UNKNOWN_PERMYRIAD };
        s->host.psi_cpu = s->host.psi_memory;
        s->host.psi_io = s->host.psi_memory;
        s->host.cpu_busy_permyriad = UNKNOWN_PERMYRIAD;
        s->host.ksm.ksmd_busy_permyriad = UNKNOWN_PERMYRIAD;
        s->host.ksm.advisor_max_cpu = s->host.ksm.advisor_target_scan_time = s->host.ksm.smart_scan = UNKNOWN_U64;
        s->host.numa_balancing = UNKNOWN_U64;
        s->host.numa_faults = NUMA_FAULTS_UNKNOWN;
        s->host.swap_in_bytes_per_sec = s->host.swap_out_bytes_per_sec = UNKNOWN_U64;
        *ret = s;
        return 0;
}

Snapshot *snapshot_free(Snapshot *s) {
        if (!s)
                return NULL;
        (void)topology_free(s->topology);
        free(s->host.cpus);
        for (size_t i = 0; i < s->host.n_nodes; i++)
                free(s->host.nodes[i].pools);
        free(s->host.nodes);
        for (size_t i = 0; i < s->n_guests; i++)
                (void)guest_free(s->guests[i]);
        free(s->guests);
        free(s->reservations);
        free(s);
        return NULL;
}

/* The first guest whose uuid is not below @uuid; *ret_found: it is that uuid. */
static size_t guest_position(const Snapshot *s, const char *uuid, bool *ret_found) {
        size_t low = 0, high = s->n_guests;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (strcmp(s->guests[middle]->uuid, uuid) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        *ret_found = low < s->n_guests && streq(s->guests[low]->uuid, uuid);
        return low;
}

int snapshot_put_guest(Snapshot *s, Guest *g) {
        bool found;
        size_t at = guest_position(s, g->uuid, &found);
        int r;

        if (found) {
                if (s->guests[at] != g)
                        (void)guest_free(s->guests[at]);
                s->guests[at] = g;
                return 0;
        }
        r = GROW_ARRAY(s->guests, s->guests_capacity, s->n_guests);
        if (r < 0)
                return r;
        memmove(s->guests + at + 1, s->guests + at, (s->n_guests - at) * sizeof(*s->guests));
        s->guests[at] = g;
        s->n_guests++;
        return 0;
}

Guest *snapshot_find_guest(const Snapshot *s, const char *uuid) {
        bool found;
        size_t at = guest_position(s, uuid, &found);

        return found ? s->guests[at] : NULL;
}

Guest *snapshot_find_guest_by_name(const Snapshot *s, const char *name) {
        for (size_t i = 0; i < s->n_guests; i++)
                if (streq(s->guests[i]->name, name))
                        return s->guests[i];
        return NULL;
}

bool snapshot_remove_guest(Snapshot *s, const char *uuid) {
        bool found;
        size_t at = guest_position(s, uuid, &found);

        if (!found)
                return false;
        (void)guest_free(s->guests[at]);
        s->n_guests--;
        memmove(s->guests + at, s->guests + at + 1, (s->n_guests - at) * sizeof(*s->guests));
        return true;
}

int kernel_release_parse(const char *text, uint64_t *ret, const char **ret_end) {
        unsigned major, minor;

        if (parse_unsigned_prefix(&text, &major) < 0 || *text++ != '.' || parse_unsigned_prefix(&text, &minor) < 0 ||
            major > UINT16_MAX || minor > UINT16_MAX)
                return -EINVAL;
        *ret = KERNEL_RELEASE(major, minor);
        *ret_end = text;
        return 0;
}

/* A struct ksm_rmap_item for each page (Documentation/admin-guide/mm/ksm.rst). */
#define RMAP_ITEM_BYTES 64

int64_t ksm_profit_bytes(const KsmStatus *ksm) {
        uint64_t saved = u64_muldiv(ksm->pages_sharing, MAX(ksm->page_bytes, UINT64_C(4) * KIB), 1);
        uint64_t tracked = u64_add(u64_add(ksm->pages_shared, ksm->pages_sharing),
                                   u64_add(ksm->pages_unshared, ksm->pages_volatile));

        if (ksm->general_profit_bytes != 0)
                return ksm->general_profit_bytes;
        return (int64_t)MIN(saved, (uint64_t)INT64_MAX) -
               (int64_t)MIN(u64_muldiv(tracked, RMAP_ITEM_BYTES, 1), (uint64_t)INT64_MAX);
}

const NodeMemory *host_node(const Host *h, unsigned id) {
        size_t low = 0, high = h->n_nodes;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (h->nodes[middle].id == id)
                        return &h->nodes[middle];
                if (h->nodes[middle].id < id)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

const CpuLoad *host_cpu(const Host *h, unsigned id) {
        size_t low = 0, high = h->n_cpus;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (h->cpus[middle].id == id)
                        return &h->cpus[middle];
                if (h->cpus[middle].id < id)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}
