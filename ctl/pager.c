/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * As systemctl does it: $PAGER, or less with options that let a short text
 * pass and keep colours; but it does not cut lines off, which have their reason
 * at the end. Root's pager may not run commands.
 */

#include <signal.h>
#include <sys/wait.h>

#include "ctl.h"

static pid_t pager;

static void run_pager(int fd) {
        const char *command = getenv("PAGER");

        if (dup2(fd, STDIN_FILENO) < 0)
                _exit(EXIT_FAILURE);
        (void)close(fd);
        (void)setenv("LESS", "FRXMK", 0);
        if (geteuid() == 0)
                (void)setenv("LESSSECURE", "1", 1);
        if (command)
                (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        (void)execlp("less", "less", (char *)NULL);
        (void)execlp("more", "more", (char *)NULL);
        (void)execlp("cat", "cat", (char *)NULL);
        _exit(EXIT_FAILURE);
}

void pager_begin(const Ctl *c) {
        const char *command = getenv("PAGER");
        int fds[2];

        if (c->no_pager || !isatty(STDOUT_FILENO) || (command && (!command[0] || streq(command, "cat"))))
                return;
        (void)fflush(stdout);
        if (pipe(fds) < 0)
                return;
        pager = fork();
        if (pager == 0) {
                (void)close(fds[1]);
                run_pager(fds[0]);
        }
        (void)close(fds[0]);
        if (pager > 0) {
                /* Who leaves it early has seen enough. */
                (void)signal(SIGPIPE, SIG_IGN);
                (void)dup2(fds[1], STDOUT_FILENO);
        }
        (void)close(fds[1]);
}

void pager_end(void) {
        if (pager <= 0)
                return;
        (void)fflush(stdout);
        /* What the pager reads ends only with the last copy of the pipe. */
        (void)close(STDOUT_FILENO);
        while (waitpid(pager, NULL, 0) < 0 && errno == EINTR)
                ;
        pager = 0;
}
