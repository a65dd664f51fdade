/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run.h"

#include <signal.h>

#include "log.h"

/* All signals wait for the event loop; the threads of libvirt inherit the mask. */
static int block_signals(void) {
        sigset_t mask;

        if (sigfillset(&mask) < 0)
                return -errno;
        /* Faults must still end the process where they happen. */
        (void)sigdelset(&mask, SIGSEGV);
        (void)sigdelset(&mask, SIGBUS);
        (void)sigdelset(&mask, SIGFPE);
        (void)sigdelset(&mask, SIGILL);
        (void)sigdelset(&mask, SIGABRT);
        return -pthread_sigmask(SIG_BLOCK, &mask, NULL);
}

int run_manager(const Options *options) {
        _cleanup_(manager_freep) Manager *m = NULL;
        int r;

        log_open();
        if (options->verbose)
                log_set_max_level(LOG_DEBUG);
        r = block_signals();
        if (r < 0)
                return log_error_errno(r, "Failed to block signals");
        r = manager_new(options, &m);
        if (r < 0)
                return r;
        return manager_run(m);
}
