/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A throw-away tree of files for tests that change them, and the fixtures' roots. */

#include "../../lib/base.h"
#include "../../lib/sysfs.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

typedef struct Tree {
        char dir[64];
        int fd;
} Tree;

static inline _unused_ Tree tree_new(void) {
        Tree t = { .dir = "/tmp/kvmtuned-test-XXXXXX" };

        ck_assert_ptr_nonnull(mkdtemp(t.dir));
        t.fd = sysfs_open_root(t.dir);
        ck_assert_int_ge(t.fd, 0);
        return t;
}

static inline _unused_ int tree_unlink_one(const char *path, const struct stat *st _unused_, int flag _unused_,
                                           struct FTW *ftw _unused_) {
        return remove(path);
}

static inline _unused_ void tree_done(Tree *t) {
        (void)safe_close(t->fd);
        (void)nftw(t->dir, tree_unlink_one, 16, FTW_DEPTH | FTW_PHYS);
}

#define _cleanup_tree_ _cleanup_(tree_done)

/* Writes @n bytes over what is there, in place: a descriptor kept sees it. */
static inline _unused_ void tree_write_bytes(const Tree *t, const char *path, const char *bytes, size_t n) {
        char part[256];
        int fd;

        for (const char *p = path; (p = strchr(p, '/')); p++) {
                (void)snprintf(part, sizeof(part), "%.*s", (int)(p - path), path);
                (void)mkdirat(t->fd, part, 0755);
        }
        fd = openat(t->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
        (void)safe_close(fd);
}

static inline _unused_ void tree_write(const Tree *t, const char *path, const char *text) {
        tree_write_bytes(t, path, text, strlen(text));
}

static inline _unused_ void tree_remove(const Tree *t, const char *path) {
        ck_assert_int_eq(unlinkat(t->fd, path, 0), 0);
}

/* Tests run from the top of the source tree. */
static inline _unused_ int fixture_open(const char *name) {
        char path[256];
        int fd;

        (void)snprintf(path, sizeof(path), "tests/fixtures/%s", name);
        fd = sysfs_open_root(path);
        ck_assert_msg(fd >= 0, "%s: %s (run from the top of the source tree)", path, strerror(-fd));
        return fd;
}

static inline _unused_ size_t count_open_files(void) {
        struct dirent *e;
        size_t n = 0;
        DIR *d;

        d = opendir("/proc/self/fd");
        ck_assert_ptr_nonnull(d);
        while ((e = readdir(d)))
                n++;
        (void)closedir(d);
        return n;
}

/* From here on any open() kills the process, with SIGSYS. */
static inline _unused_ void forbid_open(void) {
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#ifdef SYS_open
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_open, 3, 0),
#endif
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 2, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 1, 0),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        };
        struct sock_fprog program = { .len = (unsigned short)ELEMENTSOF(code), .filter = code };

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
                _exit(77);
}

/*
 * Whether @fn(@data) succeeds without opening a file, in a process of its own.
 * Where seccomp is not to be had, only whether it succeeds.
 */
static inline _unused_ bool works_without_open(int (*fn)(void *data), void *data) {
        int status;
        pid_t pid;

        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                forbid_open();
                _exit(fn(data) < 0 ? 1 : 0);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
                return fn(data) >= 0;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
