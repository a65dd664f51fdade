/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The totals of a process come back through a pipe, in one write each. */

#include "jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "random.h"

static void run_share(const SimJobs *j, unsigned share, void *totals) {
        for (uint64_t i = share; i < j->n; i += j->jobs)
                j->run(j->first + i, totals);
        (void)fflush(stdout);
}

void sim_jobs(const SimJobs *j, void *sum) {
        void *totals = sim_alloc(1, j->size);
        int fds[2];

        if (j->jobs <= 1) {
                free(totals);
                run_share(j, 0, sum);
                return;
        }
        if (pipe(fds) < 0)
                exit(EXIT_FAILURE);
        (void)fflush(stdout);
        for (unsigned i = 0; i < j->jobs; i++)
                if (fork() == 0) {
                        run_share(j, i, totals);
                        _exit(write(fds[1], totals, j->size) == (ssize_t)j->size ? 0 : 1);
                }
        (void)close(fds[1]);
        while (read(fds[0], totals, j->size) == (ssize_t)j->size)
                j->add(sum, totals);
        (void)close(fds[0]);
        while (wait(NULL) > 0)
                ;
        free(totals);
}
