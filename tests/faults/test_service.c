/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What systemd hears of the daemon: that it is ready, what it does, that it lives; and no longer when it hangs itself. */
#include <check.h>
#include <libvirt/libvirt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host.h"

typedef struct Listener {
        struct sockaddr_un address;
        int fd;
        char heard[16384];
} Listener;

static void listener_done(Listener *l) {
        (void)close(l->fd);
}

static void listen_for(TestHost *h, Listener *l) {
        l->address.sun_family = AF_UNIX;
        (void)snprintf(l->address.sun_path, sizeof(l->address.sun_path), "%s/notify", h->dir);
        l->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        ck_assert_int_ge(l->fd, 0);
        ck_assert_int_eq(bind(l->fd, (const struct sockaddr *)&l->address, sizeof(l->address)), 0);
        h->notify = l->address.sun_path;
}

static void listen_on(Listener *l) {
        size_t n = strlen(l->heard);
        ssize_t got;

        while (n + 2 < sizeof(l->heard) && (got = recv(l->fd, l->heard + n, sizeof(l->heard) - n - 2, 0)) > 0) {
                n += (size_t)got;
                l->heard[n++] = '\n';
        }
        l->heard[n] = '\0';
}

/* Whether @line came; what came before it, and itself, is forgotten then. */
static bool hears(Listener *l, const char *line) {
        const char *found;

        listen_on(l);
        found = strstr(l->heard, line);
        if (!found)
                return false;
        found += strlen(line);
        memmove(l->heard, found, strlen(found) + 1);
        return true;
}

START_TEST(what_it_does) {
        _cleanup_(listener_done) Listener l = { .fd = -1 };
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        host_begin(&h, &before);
        listen_for(&h, &l);
        h.world->down = true;
        host_start(&h, NULL);
        HOST_UNTIL(&h, hears(&l, "READY=1\n"));
        HOST_UNTIL(&h, hears(&l, "STATUS=Waiting for libvirt\n"));
        h.world->down = false;
        HOST_UNTIL(&h, hears(&l, "STATUS=Tuning 2 guests\n"));
        (void)daemon_guest_start(&h, "other", 10);
        HOST_UNTIL(&h, hears(&l, "STATUS=Tuning 3 guests\n"));
        daemon_guest_stop(&h, host_guest(&h, "other"), VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN);
        HOST_UNTIL(&h, hears(&l, "STATUS=Tuning 2 guests\n"));
        h.world->down = true;
        host_event(&h, WORLD_CLOSE, "", VIR_CONNECT_CLOSE_REASON_EOF, 0);
        HOST_UNTIL(&h, hears(&l, "STATUS=Waiting for libvirt\n"));
        h.world->down = false;
        HOST_UNTIL(&h, hears(&l, "STATUS=Tuning 2 guests\n"));
        host_policy(&h, "ksm: { mode = \"of\"; };");
        (void)kill(h.daemon, SIGHUP);
        HOST_UNTIL(&h, hears(&l, "RELOADING=1\n"));
        host_policy(&h, host_all_levers);
        (void)kill(h.daemon, SIGTERM);
        HOST_UNTIL(&h, hears(&l, "STOPPING=1\nSTATUS=Putting back what was changed\n"));
        ck_assert_int_eq(host_wait(&h), 0);
        host_check_restored(&h, &before, "told to stop");
}
END_TEST

/* That is what the threads of libvirt are for. */
START_TEST(a_monitor_that_hangs_does_not_hold_it_up) {
        _cleanup_(listener_done) Listener l = { .fd = -1 };
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;

        host_begin(&h, &before);
        listen_for(&h, &l);
        daemon_begin(&h);
        host_guest(&h, "db")->hung = true;
        HOST_UNTIL(&h, host_log_has(&h, "Guest db does not answer libvirt"));
        for (unsigned i = 0; i < 3; i++)
                HOST_UNTIL(&h, hears(&l, "WATCHDOG=1\n"));
        host_guest(&h, "db")->hung = false;
        HOST_UNTIL(&h, host_log_has(&h, "Guest db answers again"));
        daemon_stop(&h, &before, "a monitor hung");
}
END_TEST

/* Then systemd ends it and starts it again. */
START_TEST(it_hangs_itself) {
        _cleanup_(listener_done) Listener l = { .fd = -1 };
        _cleanup_host_ TestHost h;
        _cleanup_(knobs_done) Knobs before;
        WorldRule *rule;
        unsigned seen;

        host_begin(&h, &before);
        listen_for(&h, &l);
        daemon_begin(&h);
        HOST_UNTIL(&h, hears(&l, "WATCHDOG=1\n"));
        rule = &h.world->rules[0];
        __atomic_store_n(&rule->waits, true, __ATOMIC_RELEASE);
        seen = rule->seen;
        HOST_UNTIL(&h, rule->seen > seen);
        while (hears(&l, "\n"))
                ;
        /* More than two of the watchdog's times. */
        (void)usleep(1000000);
        ck_assert_msg(!hears(&l, "WATCHDOG=1\n"), "it says that it lives");
        __atomic_store_n(&rule->waits, false, __ATOMIC_RELEASE);
        HOST_UNTIL(&h, hears(&l, "WATCHDOG=1\n"));
        daemon_stop(&h, &before, "it hung");
}
END_TEST

int main(void) {
        Suite *s = suite_create("service");
        TCase *tc = tcase_create("service");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 300);
        tcase_add_test(tc, what_it_does);
        tcase_add_test(tc, a_monitor_that_hangs_does_not_hold_it_up);
        tcase_add_test(tc, it_hangs_itself);
        suite_add_tcase(s, tc);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed > 0;
}
