/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Schedules go by the wall clock, timers by one that nobody sets. When the wall clock is set, what holds may be another
 * at once, and the next edge of a schedule is nearer or farther. A timer that is never due tells of it: the kernel
 * cancels it then (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET).
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "manager.h"

/* The last second that the kernel's clocks have. */
#define NEVER_SEC (INT64_MAX / INT64_C(1000000000))
/* Something that sets the clock all the time is not followed as often. */
#define NOTICE_USEC (2 * USEC_PER_SEC)

static int on_clock_set(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        uint64_t n;

        (void)s;
        (void)revents;
        /* It fails with ECANCELED, and the timer goes on. */
        (void)!read(fd, &n, sizeof(n));
        manager_start_cycle(userdata, "the clock was set");
        return 0;
}

static int describe(sd_event_source *s) {
        int r;

        r = sd_event_source_set_description(s, "clock");
        if (r >= 0)
                r = sd_event_source_set_exit_on_failure(s, true);
        if (r >= 0)
                r = sd_event_source_set_ratelimit(s, NOTICE_USEC, 1);
        return r < 0 ? r : sd_event_source_set_floating(s, true);
}

int manager_watch_clock(Manager *m) {
        const struct itimerspec never = { .it_value.tv_sec = NEVER_SEC };
        _cleanup_close_ int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
        sd_event_source *s = NULL;
        int r;

        if (fd < 0 || timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) < 0)
                return -errno;
        r = sd_event_add_io(m->event, &s, fd, EPOLLIN, on_clock_set, m);
        if (r < 0)
                return r;
        r = sd_event_source_set_io_fd_own(s, true);
        if (r >= 0) {
                (void)TAKE_FD(fd);
                r = describe(s);
        }
        sd_event_source_unref(s);
        return r < 0 ? r : 0;
}
