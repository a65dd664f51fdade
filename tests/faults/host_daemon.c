/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host.h"

#include <check.h>
#include <dirent.h>
#include <libvirt/libvirt.h>
#include <signal.h>
#include <stdio.h>

bool daemon_has_pinned(const WorldGuest *g) {
        return g->vcpu_pins[0] != 0 && g->emulator_pin != 0;
}

/* Each cycle reads this once. */
static unsigned cycles(TestHost *h) {
        return h->world->rules[0].seen;
}

void daemon_begin(TestHost *h) {
        (void)host_fail(h, "read proc/meminfo", 0, 0, 0);
        host_start(h, NULL);
        HOST_UNTIL(h, daemon_has_pinned(host_guest(h, "web")) && daemon_has_pinned(host_guest(h, "db")));
}

void daemon_start(TestHost *h, Knobs *ret_before) {
        host_begin(h, ret_before);
        daemon_begin(h);
}

void daemon_pass_cycles(TestHost *h, unsigned n) {
        unsigned until = cycles(h) + n;

        HOST_UNTIL(h, cycles(h) >= until || !host_alive(h));
        ck_assert_msg(host_alive(h), "it has ended: %s", host_log_end(h));
}

size_t daemon_threads(const TestHost *h) {
        char path[64];
        size_t n = 0;
        DIR *d;

        (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)h->daemon);
        d = opendir(path);
        ck_assert_ptr_nonnull(d);
        for (struct dirent *e; (e = readdir(d));)
                n += e->d_name[0] != '.';
        (void)closedir(d);
        return n;
}

WorldGuest *daemon_guest_start(TestHost *h, const char *name, unsigned number) {
        WorldGuest *g = host_guest_add(h, name, number);

        host_event(h, WORLD_LIFECYCLE, g->uuid, VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_STARTED_BOOTED);
        return g;
}

void daemon_guest_stop(TestHost *h, WorldGuest *g, int detail) {
        host_guest_remove(h, g);
        host_event(h, WORLD_LIFECYCLE, g->uuid, VIR_DOMAIN_EVENT_STOPPED, detail);
}

void daemon_check_works(TestHost *h, const char *name, unsigned number) {
        WorldGuest *g = daemon_guest_start(h, name, number);

        HOST_UNTIL(h, daemon_has_pinned(g) || !host_alive(h));
        ck_assert_msg(host_alive(h), "it has ended: %s", host_log_end(h));
        daemon_guest_stop(h, g, VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN);
}

void daemon_stop(TestHost *h, const Knobs *before, const char *when) {
        int status = host_stop(h, SIGTERM);

        ck_assert_msg(status == 0, "%s: ends with %d\n%s", when, status, host_log_end(h));
        host_check_restored(h, before, when);
}

void daemon_heal(TestHost *h) {
        for (unsigned i = 1; i < WORLD_RULES_MAX; i++)
                h->world->rules[i].pattern[0] = '\0';
}
