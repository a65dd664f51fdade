/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guests of a host: their processes, and where their memory is. */
#include "host.h"

#include "../../lib/state_memo.h"

#include <check.h>
#include <stdio.h>
#include <time.h>

/* When the process of guest 0 began. */
#define START_TICKS 1000
/* Half of it remote is too little to be moved, and just enough. */
#define LITTLE_PAGES 2000U
#define ENOUGH_PAGES 2304U

static void build_thread(TestHost *h, const WorldGuest *g, int tid, const char *comm) {
        char path[96];

        (void)snprintf(path, sizeof(path), "proc/%d/task/%d/comm", g->pid, tid);
        host_put(h, path, "%s\n", comm);
        (void)snprintf(path, sizeof(path), "proc/%d/task/%d/schedstat", g->pid, tid);
        host_put(h, path, "1000000 1000 10\n");
}

static void build_process(TestHost *h, const WorldGuest *g) {
        char path[96], cmdline[128] = "qemu-system-x86_64", full[400];
        size_t n = strlen(cmdline) + 1;
        FILE *f;

#define IN(name, ...)                                                           \
        do {                                                                    \
                (void)snprintf(path, sizeof(path), "proc/%d/" name, g->pid);    \
                host_put(h, path, __VA_ARGS__);                                 \
        } while (0)
        IN("comm", "qemu-system-x86\n");
        IN("stat", "%d (qemu-system-x86) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 9 0 %d 0 0\n", g->pid, START_TICKS + g->id);
        IN("statm", "900000 500000 5000 1000 0 200000 0\n");
        IN("cgroup", "0::/machine/%s/libvirt/emulator\n", g->name);
#undef IN
        (void)snprintf(full, sizeof(full), "%s/root/proc/%d/cmdline", h->dir, g->pid);
        n += (size_t)snprintf(cmdline + n, sizeof(cmdline) - n, "-uuid") + 1;
        n += (size_t)snprintf(cmdline + n, sizeof(cmdline) - n, "%s", g->uuid) + 1;
        f = fopen(full, "we");
        ck_assert_ptr_nonnull(f);
        ck_assert_uint_eq(fwrite(cmdline, 1, n, f), n);
        (void)fclose(f);
        (void)snprintf(path, sizeof(path), "run/libvirt/qemu/%s.pid", g->name);
        host_put(h, path, "%d\n", g->pid);
        build_thread(h, g, g->pid, "qemu-system-x86");
        for (unsigned i = 0; i < g->online; i++) {
                (void)snprintf(path, sizeof(path), "CPU %u/KVM", i);
                build_thread(h, g, g->pid + 1 + (int)i, path);
        }
        for (unsigned i = 1; i <= g->iothreads; i++) {
                (void)snprintf(path, sizeof(path), "IO iothread%u", i);
                build_thread(h, g, g->pid + 20 + (int)i, path);
        }
}

/* Every other page is on node 1. */
static void set_memory(TestHost *h, WorldGuest *g, unsigned pages) {
        char path[96], line[160];

        g->pages = pages;
        for (unsigned i = 0; i < pages; i++)
                g->page_nodes[i] = i % 2;
        (void)snprintf(line, sizeof(line), "%llx default anon=%u dirty=%u active=0 N0=%u N1=%u kernelpagesize_kB=4",
                       (unsigned long long)WORLD_PAGES_AT, pages, pages, pages - pages / 2, pages / 2);
        (void)snprintf(path, sizeof(path), "proc/%d/numa_maps", g->pid);
        host_put(h, path, "%*s\n", -WORLD_MAPS_WIDTH, line);
        (void)snprintf(path, sizeof(path), "proc/%d/maps", g->pid);
        host_put(h, path, "%llx-%llx rw-p 00000000 00:00 0\n", (unsigned long long)WORLD_PAGES_AT,
            (unsigned long long)WORLD_PAGES_AT + (uint64_t)pages * 4 * KIB);
}

/* One after the other: a call that was under way when a guest went must not meet the next one in its place. */
static WorldGuest *free_slot(TestHost *h) {
        for (unsigned i = 0; i < WORLD_GUESTS_MAX; i++) {
                WorldGuest *g = &h->world->guests[h->n_guests_added++ % WORLD_GUESTS_MAX];

                if (!g->running)
                        return g;
        }
        return NULL;
}

WorldGuest *host_guest_add(TestHost *h, const char *name, unsigned number) {
        WorldGuest *g = free_slot(h);

        ck_assert_ptr_nonnull(g);
        *g = (WorldGuest){ .vcpus = 4, .online = 2, .iothreads = 1, .max_kib = 2 * 1024 * 1024,
                           .current_kib = 2 * 1024 * 1024, .usable_kib = 1024 * 1024, .id = (int)number,
                           .pid = 100000 + (int)number * 100 };
        (void)snprintf(g->name, sizeof(g->name), "%s", name);
        (void)snprintf(g->uuid, sizeof(g->uuid), "%08x-1111-4111-8111-111111111111", number);
        build_process(h, g);
        set_memory(h, g, LITTLE_PAGES);
        __atomic_store_n(&g->running, true, __ATOMIC_RELEASE);
        return g;
}

void host_calls_end(WorldGuest *g, unsigned n) {
        for (unsigned i = g->n_waited; i < g->n_waited + WORLD_WAITING_MAX; i++) {
                WorldCall *call = &g->waiting[i % WORLD_WAITING_MAX];

                if (call->waits && n > 0) {
                        world_make(g, call);
                        n--;
                }
                call->waits = false;
        }
}

unsigned host_pages_on(const WorldGuest *g, unsigned node) {
        unsigned n = 0;

        for (unsigned i = 0; i < g->pages; i++)
                n += g->page_nodes[i] == node;
        return n;
}

/* As libvirt keeps it for itself: it tells nobody else what it was advised. */
static void put_status(TestHost *h, const WorldGuest *g) {
        char path[96];

        (void)snprintf(path, sizeof(path), "run/libvirt/qemu/%s.xml", g->name);
        host_put(h, path, "<domstatus state='running' pid='%d'><numad nodeset='1' cpuset='4-7'/><domain type='kvm' id='%d'>"
            "<name>%s</name><uuid>%s</uuid><memory unit='KiB'>%llu</memory><vcpu>4</vcpu></domain></domstatus>\n", g->pid,
            g->id, g->name, g->uuid, (unsigned long long)g->max_kib);
}

void host_move_due(TestHost *h, WorldGuest *g) {
        _cleanup_(state_freep) State *s = NULL;
        struct timespec now;
        GuestMemo *memo;
        char path[128];

        set_memory(h, g, ENOUGH_PAGES);
        g->nodeset = 1U << 1;
        g->nodeset_auto = true;
        put_status(h, g);
        (void)clock_gettime(CLOCK_BOOTTIME, &now);
        ck_assert_int_eq(state_new(&s), 0);
        ck_assert_int_eq(strdup_to(&s->boot_id, HOST_BOOT_ID), 0);
        ck_assert_int_eq(state_guest(s, g->uuid, &memo), 0);
        memo->start_time = START_TICKS + (uint64_t)g->id;
        memo->pins_seen = memo->move_waits = true;
        memo->move_cause = MOVE_REMOTE;
        memo->move_before = 5000;
        memo->moved_usec = memo->placed_usec = (uint64_t)now.tv_sec * USEC_PER_SEC;
        ck_assert_int_eq(state_place(s, memo, &(IdSet){ .words = { 1 } }), 0);
        (void)snprintf(path, sizeof(path), "%s/state/state", h->dir);
        ck_assert_int_eq(state_save(s, path), 0);
}

void host_guest_remove(TestHost *h, WorldGuest *g) {
        char path[96];

        __atomic_store_n(&g->running, false, __ATOMIC_RELEASE);
        (void)snprintf(path, sizeof(path), "run/libvirt/qemu/%s.pid", g->name);
        host_remove(h, path);
        (void)snprintf(path, sizeof(path), "proc/%d", g->pid);
        host_remove(h, path);
}

WorldGuest *host_guest(TestHost *h, const char *name) {
        for (unsigned i = 0; i < WORLD_GUESTS_MAX; i++)
                if (h->world->guests[i].running && streq(h->world->guests[i].name, name))
                        return &h->world->guests[i];
        return NULL;
}
