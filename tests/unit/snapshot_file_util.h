/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Snapshots as text, and compared independently of that. Aborts the test on any failure. */

#include <check.h>
#include <dirent.h>
#include <stdio.h>

#include "../../lib/snapshot_file.h"

static inline _unused_ Snapshot *load(const char *text) {
        _cleanup_free_ char *error = NULL;
        Snapshot *s = NULL;
        int r;

        r = snapshot_load_text("test", text, &s, &error);
        ck_assert_msg(r == 0, "%d: %s\n%s", r, error, text);
        return s;
}

static inline _unused_ char *format(const Snapshot *s) {
        char *text = NULL;

        ck_assert_int_eq(snapshot_format(s, &text), 0);
        return text;
}

static inline _unused_ void assert_same_topology(const Topology *a, const Topology *b) {
        ck_assert(idset_equal(&a->online, &b->online));
        ck_assert(idset_equal(&a->isolated, &b->isolated));
        ck_assert(idset_equal(&a->offline, &b->offline));
        ck_assert_uint_eq(a->n_cpus, b->n_cpus);
        ck_assert_mem_eq(a->cpus, b->cpus, a->n_cpus * sizeof(*a->cpus));
        ck_assert_uint_eq(a->n_nodes, b->n_nodes);
        for (size_t i = 0; i < a->n_nodes; i++) {
                ck_assert_uint_eq(a->nodes[i].id, b->nodes[i].id);
                ck_assert(idset_equal(&a->nodes[i].cpus, &b->nodes[i].cpus));
                ck_assert_uint_eq(a->nodes[i].memory_bytes, b->nodes[i].memory_bytes);
        }
        ck_assert_mem_eq(a->distances, b->distances, a->n_nodes * a->n_nodes * sizeof(*a->distances));
}

static inline _unused_ void assert_same_host(const Host *a, const Host *b) {
        Host x = *a, y = *b;

        ck_assert_uint_eq(a->n_cpus, b->n_cpus);
        for (size_t i = 0; i < a->n_cpus; i++) {
                ck_assert_uint_eq(a->cpus[i].id, b->cpus[i].id);
                ck_assert_uint_eq(a->cpus[i].busy_permyriad, b->cpus[i].busy_permyriad);
        }
        ck_assert_uint_eq(a->n_nodes, b->n_nodes);
        for (size_t i = 0; i < a->n_nodes; i++) {
                const NodeMemory *m = &a->nodes[i], *n = &b->nodes[i];

                ck_assert(m->id == n->id && m->total_bytes == n->total_bytes && m->free_bytes == n->free_bytes);
                ck_assert_uint_eq(m->n_pools, n->n_pools);
                ck_assert(m->n_pools == 0 || memcmp(m->pools, n->pools, m->n_pools * sizeof(*m->pools)) == 0);
        }
        /* The rest is plain: all of it, also fields that this test has never heard of. */
        x.cpus = y.cpus = NULL;
        x.nodes = y.nodes = NULL;
        ck_assert_mem_eq(&x, &y, sizeof(x));
}

static inline _unused_ void assert_same_threads(const GuestThread *a, const GuestThread *b, size_t n) {
        ck_assert(n == 0 || memcmp(a, b, n * sizeof(*a)) == 0);
}

static inline _unused_ void assert_same_guest(const Guest *a, const Guest *b) {
        Guest *x = malloc(sizeof(*x)), *y = malloc(sizeof(*y));

        ck_assert_str_eq(a->name, b->name);
        ck_assert(streq_ptr(a->title, b->title) && streq_ptr(a->class, b->class));
        ck_assert(streq_ptr(a->vfio_devices, b->vfio_devices));
        ck_assert(a->n_vcpus == b->n_vcpus && a->n_iothreads == b->n_iothreads);
        assert_same_threads(a->vcpus, b->vcpus, a->n_vcpus);
        assert_same_threads(a->iothreads, b->iothreads, a->n_iothreads);
        ck_assert(a->n_node_memory == b->n_node_memory && a->n_cells == b->n_cells);
        ck_assert(a->n_node_memory == 0 ||
                  memcmp(a->node_memory, b->node_memory, a->n_node_memory * sizeof(*a->node_memory)) == 0);
        ck_assert(a->n_cells == 0 || memcmp(a->cells, b->cells, a->n_cells * sizeof(*a->cells)) == 0);
        memcpy(x, a, sizeof(*x));
        memcpy(y, b, sizeof(*y));
        x->name = y->name = x->title = y->title = x->class = y->class = NULL;
        x->vfio_devices = y->vfio_devices = NULL;
        x->vcpus = y->vcpus = x->iothreads = y->iothreads = NULL;
        x->node_memory = y->node_memory = NULL;
        x->cells = y->cells = NULL;
        ck_assert_mem_eq(x, y, sizeof(*x));
        free(x);
        free(y);
}

static inline _unused_ void assert_same(const Snapshot *a, const Snapshot *b) {
        ck_assert_uint_eq(a->now_usec, b->now_usec);
        ck_assert_uint_eq(a->interval_usec, b->interval_usec);
        ck_assert_mem_eq(&a->local_time, &b->local_time, sizeof(a->local_time));
        assert_same_topology(a->topology, b->topology);
        assert_same_host(&a->host, &b->host);
        ck_assert_uint_eq(a->n_guests, b->n_guests);
        for (size_t i = 0; i < a->n_guests; i++)
                assert_same_guest(a->guests[i], b->guests[i]);
        ck_assert_uint_eq(a->n_reservations, b->n_reservations);
        ck_assert(a->n_reservations == 0 || memcmp(a->reservations, b->reservations,
                                                   a->n_reservations * sizeof(*a->reservations)) == 0);
}

static inline _unused_ void assert_round_trip(const Snapshot *s) {
        _cleanup_free_ char *text = format(s), *again = NULL;
        _cleanup_(snapshot_freep) Snapshot *back = load(text);

        assert_same(s, back);
        again = format(back);
        ck_assert_str_eq(text, again);
}
