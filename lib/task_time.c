/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "task_time.h"

#include "parse.h"
#include "snapshot.h"

int task_time_init(TaskTime *t, const char *path) {
        *t = (TaskTime){
                .busy_permyriad = UNKNOWN_PERMYRIAD,
                .wait_permyriad = UNKNOWN_PERMYRIAD,
        };
        return sysfs_file_init(&t->schedstat, path);
}

void task_time_done(TaskTime *t) {
        sysfs_file_done(&t->schedstat);
}

/* "run_ns wait_ns timeslices" */
static int parse_schedstat(const char *p, uint64_t *ret_run, uint64_t *ret_wait) {
        uint64_t run, wait;

        if (parse_u64_prefix(&p, &run) < 0 || *p++ != ' ' || parse_u64_prefix(&p, &wait) < 0)
                return -EBADMSG;
        *ret_run = run;
        *ret_wait = wait;
        return 0;
}

static uint32_t share(uint64_t before_ns, uint64_t now_ns, uint64_t interval_usec) {
        uint64_t v = u64_muldiv(u64_sub(now_ns, before_ns), PERMYRIAD_FULL, interval_usec * NSEC_PER_USEC);

        return (uint32_t)MIN(v, (uint64_t)PERMYRIAD_FULL);
}

int task_time_observe(TaskTime *t, int root_fd, uint64_t now_usec, uint32_t *ret_busy_permyriad,
                      uint32_t *ret_wait_permyriad) {
        uint64_t run, wait, interval = u64_sub(now_usec, t->at_usec);
        const char *text;
        int r;

        r = sysfs_file_read_line(&t->schedstat, root_fd, &text);
        if (r < 0)
                return r;
        r = parse_schedstat(text, &run, &wait);
        if (r < 0)
                return r;
        if (t->primed && interval >= RATE_INTERVAL_MIN_USEC) {
                t->busy_permyriad = share(t->run_ns, run, interval);
                t->wait_permyriad = share(t->wait_ns, wait, interval);
        }
        if (!t->primed || interval >= RATE_INTERVAL_MIN_USEC || now_usec < t->at_usec) {
                t->primed = true;
                t->at_usec = now_usec;
                t->run_ns = run;
                t->wait_ns = wait;
        }
        *ret_busy_permyriad = t->busy_permyriad;
        *ret_wait_permyriad = t->wait_permyriad;
        return 0;
}
