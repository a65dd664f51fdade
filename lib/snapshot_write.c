/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Writes a snapshot as text that the loader reads back to the same value. What
 * has its default is left out, except where the default depends on other
 * values.
 */

#include "snapshot_write.h"

#include "parse.h"
#include "snapshot_file.h"

/* ---- host ---- */

static int put_pools(SnapWriter *w, const NodeMemory *node) {
        int r;

        if (node->n_pools == 0)
                return 0;
        (void)fputs("hugepages = ( ", w->f);
        for (size_t i = 0; i < node->n_pools; i++) {
                (void)fputs(i == 0 ? "{ " : ", { ", w->f);
                r = snap_write_fields(w, &snap_pool, &node->pools[i], true);
                if (r < 0)
                        return r;
                (void)fputc('}', w->f);
        }
        (void)fputs(" ); ", w->f);
        return 0;
}

static int put_nodes(SnapWriter *w, const Host *host) {
        int r;

        snap_write_open_list(w, "nodes");
        for (size_t i = 0; i < host->n_nodes; i++) {
                snap_write_element(w, i);
                (void)fprintf(w->f, "{ id = %u; ", host->nodes[i].id);
                r = snap_write_fields(w, &snap_node, &host->nodes[i], true);
                if (r < 0)
                        return r;
                r = put_pools(w, &host->nodes[i]);
                if (r < 0)
                        return r;
                (void)fputc('}', w->f);
        }
        snap_write_close_list(w, host->n_nodes);
        return 0;
}

/* Without a list, every CPU is as busy as the host, or not known when that is not. */
static bool cpus_are_default(const Host *host, const Topology *t) {
        if (host->cpu_busy_permyriad == UNKNOWN_PERMYRIAD || !t)
                return host->n_cpus == 0;
        if (host->n_cpus != t->n_cpus)
                return false;
        for (size_t i = 0; i < host->n_cpus; i++)
                if (host->cpus[i].id != t->cpus[i].id ||
                    host->cpus[i].busy_permyriad != host->cpu_busy_permyriad)
                        return false;
        return true;
}

static int put_cpus(SnapWriter *w, const Host *host) {
        int r;

        snap_write_open_list(w, "cpus");
        for (size_t i = 0; i < host->n_cpus; i++) {
                snap_write_element(w, i);
                (void)fprintf(w->f, "{ id = %u; ", host->cpus[i].id);
                r = snap_write_fields(w, &snap_cpu, &host->cpus[i], true);
                if (r < 0)
                        return r;
                (void)fputc('}', w->f);
        }
        snap_write_close_list(w, host->n_cpus);
        return 0;
}

static int put_host(SnapWriter *w, const Host *host, const Topology *t) {
        int r;

        snap_write_open_group(w, "host");
        r = snap_write_table(w, "memory", &snap_memory, &host->memory);
        if (r >= 0)
                r = snap_write_fields(w, &snap_host, host, false);
        if (r >= 0 && !cpus_are_default(host, t))
                r = put_cpus(w, host);
        if (r >= 0)
                r = put_nodes(w, host);
        if (r >= 0)
                r = snap_write_table(w, "psi", &snap_psi, host);
        if (r >= 0)
                r = snap_write_table(w, "ksm", &snap_ksm, &host->ksm);
        if (r >= 0)
                r = snap_write_table(w, "thp", &snap_thp, &host->thp);
        if (r >= 0)
                r = snap_write_table(w, "facts", &snap_facts, &host->facts);
        if (r < 0)
                return r;
        snap_write_close_group(w);
        return 0;
}

/* ---- threads ---- */

static bool affinity_is_default(const Topology *t, const Guest *g, const GuestThread *thread, bool vcpu) {
        IdSet affinity = t ? snap_default_affinity(t, g, thread, vcpu) : IDSET_EMPTY;

        return idset_equal(&affinity, &thread->affinity);
}

static bool thread_is_default(const Topology *t, const Guest *g, const GuestThread *thread, bool vcpu) {
        return !thread->pinned && thread->online && !thread->hotpluggable && thread->tid == 0 &&
               thread->busy_permyriad == UNKNOWN_PERMYRIAD && thread->wait_permyriad == UNKNOWN_PERMYRIAD &&
               affinity_is_default(t, g, thread, vcpu);
}

static int put_thread(SnapWriter *w, const Topology *t, const Guest *g, const GuestThread *thread, bool vcpu) {
        int r = 0;

        if (thread->pinned)
                r = snap_write_key_set(w, "pin", &thread->pin, "; ");
        if (r < 0)
                return r;
        if (!affinity_is_default(t, g, thread, vcpu)) {
                if (idset_is_empty(&thread->affinity))
                        (void)fputs("affinity = \"unknown\"; ", w->f);
                else
                        r = snap_write_key_set(w, "affinity", &thread->affinity, "; ");
                if (r < 0)
                        return r;
        }
        return snap_write_fields(w, &snap_thread, thread, true);
}

/* A number is enough when there is nothing to say of any of them. */
static bool threads_are_default(const Topology *t, const Guest *g, const GuestThread *threads, size_t n, bool vcpu) {
        for (size_t i = 0; i < n; i++)
                if (threads[i].id != i + !vcpu || !thread_is_default(t, g, &threads[i], vcpu))
                        return false;
        return n > 0;
}

static int put_threads(SnapWriter *w, const char *key, const Topology *t, const Guest *g, const GuestThread *threads,
                       size_t n, bool vcpu) {
        int r;

        if (threads_are_default(t, g, threads, n, vcpu)) {
                snap_write_indent(w);
                (void)fprintf(w->f, "%s = %zu;\n", key, n);
                return 0;
        }
        snap_write_open_list(w, key);
        for (size_t i = 0; i < n; i++) {
                snap_write_element(w, i);
                (void)fprintf(w->f, "{ id = %u; ", threads[i].id);
                r = put_thread(w, t, g, &threads[i], vcpu);
                if (r < 0)
                        return r;
                (void)fputc('}', w->f);
        }
        snap_write_close_list(w, n);
        return 0;
}

static int put_all_threads(SnapWriter *w, const Topology *t, const Guest *g) {
        int r;

        if (g->vcpu_cpuset_set) {
                snap_write_indent(w);
                r = snap_write_key_set(w, "cpuset", &g->vcpu_cpuset, ";\n");
                if (r < 0)
                        return r;
        }
        r = put_threads(w, "vcpus", t, g, g->vcpus, g->n_vcpus, true);
        if (r < 0)
                return r;
        if (!thread_is_default(t, g, &g->emulator, false)) {
                snap_write_indent(w);
                (void)fputs("emulator = { ", w->f);
                r = put_thread(w, t, g, &g->emulator, false);
                if (r < 0)
                        return r;
                (void)fputs("};\n", w->f);
        }
        return g->n_iothreads == 0 ? 0 : put_threads(w, "iothreads", t, g, g->iothreads, g->n_iothreads, false);
}

/* ---- guests ---- */

static int put_node_memory(SnapWriter *w, const Guest *g) {
        if (g->n_node_memory == 0)
                return 0;
        snap_write_open_list(w, "node_memory");
        for (size_t i = 0; i < g->n_node_memory; i++) {
                _cleanup_free_ char *size = NULL;
                int r;

                r = format_size(g->node_memory[i].bytes, &size);
                if (r < 0)
                        return r;
                snap_write_element(w, i);
                (void)fprintf(w->f, "{ node = %u; size = \"%s\"; }", g->node_memory[i].node, size);
        }
        snap_write_close_list(w, g->n_node_memory);
        return 0;
}

static int put_cells(SnapWriter *w, const Guest *g) {
        int r;

        if (g->n_cells == 0)
                return 0;
        snap_write_open_list(w, "cells");
        for (size_t i = 0; i < g->n_cells; i++) {
                snap_write_element(w, i);
                (void)fprintf(w->f, "{ id = %u; ", g->cells[i].id);
                r = snap_write_fields(w, &snap_cell, &g->cells[i], true);
                if (r < 0)
                        return r;
                (void)fputc('}', w->f);
        }
        snap_write_close_list(w, g->n_cells);
        return 0;
}

static bool stats_are_unknown(const BalloonStats *s) {
        return s->unused_bytes == UNKNOWN_U64 && s->available_bytes == UNKNOWN_U64 &&
               s->usable_bytes == UNKNOWN_U64 && s->disk_caches_bytes == UNKNOWN_U64 &&
               s->swap_in_bytes == UNKNOWN_U64 && s->swap_out_bytes == UNKNOWN_U64 &&
               s->major_faults == UNKNOWN_U64 && s->age_usec == UNKNOWN_U64;
}

static int put_guest(SnapWriter *w, const Topology *t, const Guest *g) {
        int r;

        (void)fputs("{\n", w->f);
        w->depth++;
        snap_write_key_string(w, "name", g->name);
        snap_write_key_string(w, "uuid", g->uuid);
        r = snap_write_fields(w, &snap_guest, g, false);
        if (r >= 0)
                r = snap_write_fields(w, &snap_guest_memory, g, false);
        if (r >= 0)
                r = put_all_threads(w, t, g);
        if (r >= 0)
                r = snap_write_table(w, "numatune", &snap_numatune, g);
        if (r >= 0)
                r = put_cells(w, g);
        if (r >= 0)
                r = put_node_memory(w, g);
        if (r >= 0 && !stats_are_unknown(&g->stats))
                r = snap_write_table(w, "stats", &snap_stats, &g->stats);
        if (r < 0)
                return r;
        w->depth--;
        snap_write_indent(w);
        (void)fputc('}', w->f);
        return 0;
}

/* ---- the whole ---- */

static int put_times(SnapWriter *w, const Snapshot *s) {
        const LocalTime *t = &s->local_time;
        _cleanup_free_ char *uptime = NULL, *interval = NULL;
        int r;

        r = format_duration(s->now_usec, &uptime);
        if (r < 0)
                return r;
        r = format_duration(s->interval_usec, &interval);
        if (r < 0)
                return r;
        (void)fprintf(w->f, "time = \"%04d-%02d-%02d %02d:%02d:%02d\";\n", t->year, t->month, t->day, t->hour,
                      t->minute, t->second);
        snap_write_key_string(w, "uptime", uptime);
        snap_write_key_string(w, "interval", interval);
        return 0;
}

static int put_reservations(SnapWriter *w, const Snapshot *s) {
        int r;

        if (s->n_reservations == 0)
                return 0;
        snap_write_open_list(w, "reservations");
        for (size_t i = 0; i < s->n_reservations; i++) {
                snap_write_element(w, i);
                (void)fputs("{ ", w->f);
                r = snap_write_fields(w, &snap_reservation, &s->reservations[i], true);
                if (r < 0)
                        return r;
                (void)fputc('}', w->f);
        }
        snap_write_close_list(w, s->n_reservations);
        return 0;
}

static int put_snapshot(SnapWriter *w, const Snapshot *s) {
        int r;

        r = put_times(w, s);
        if (r < 0)
                return r;
        r = snap_write_topology(w, s->topology);
        if (r < 0)
                return r;
        r = put_host(w, &s->host, s->topology);
        if (r < 0)
                return r;
        snap_write_open_list(w, "guests");
        for (size_t i = 0; i < s->n_guests; i++) {
                snap_write_element(w, i);
                r = put_guest(w, s->topology, s->guests[i]);
                if (r < 0)
                        return r;
        }
        snap_write_close_list(w, s->n_guests);
        return put_reservations(w, s);
}

int snapshot_format(const Snapshot *s, char **ret) {
        _cleanup_free_ char *text = NULL;
        SnapWriter w = { 0 };
        size_t size;
        int r;

        w.f = open_memstream(&text, &size);
        if (!w.f)
                return -ENOMEM;
        r = put_snapshot(&w, s);
        if (fclose(w.f) != 0 && r >= 0)
                r = -ENOMEM;
        if (r < 0)
                return r;
        *ret = TAKE_PTR(text);
        return 0;
}
