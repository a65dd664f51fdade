/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files. Descriptors that lead into the world have a name, its path below
 * DIR/root, or below DIR for the others (state/state). A write to a kernel file
 * is one call, as in the kernel: opening truncates nothing.
 */
#include "preload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FDS_MAX 4096

static struct {
        bool known, writable;
        char path[WORLD_NAME_MAX - 8];
} fds[FDS_MAX];

static bool is_known(int fd) {
        return world && fd >= 0 && fd < FDS_MAX && fds[fd].known;
}

/* False: it is none of the world's. */
static bool name_of(int dir_fd, const char *path, char *ret, size_t size) {
        size_t n = strlen(world_dir);

        if (!world)
                return false;
        if (path[0] != '/') {
                if (!is_known(dir_fd))
                        return false;
                (void)snprintf(ret, size, "%s%s%s", fds[dir_fd].path, fds[dir_fd].path[0] ? "/" : "", path);
                return true;
        }
        if (strncmp(path, world_dir, n) != 0 || (path[n] != '/' && path[n] != '\0'))
                return false;
        path += n;
        while (*path == '/')
                path++;
        if (strncmp(path, "root", 4) == 0 && (path[4] == '/' || path[4] == '\0'))
                path += path[4] == '/' ? 5 : 4;
        (void)snprintf(ret, size, "%s", path);
        return true;
}

static bool is_kernel_file(const char *name) {
        return strncmp(name, "sys/", 4) == 0 || strncmp(name, "proc/", 5) == 0;
}

static void note_fd(int fd, const char *name, bool writable) {
        if (fd < 0 || fd >= FDS_MAX)
                return;
        fds[fd].known = true;
        fds[fd].writable = writable;
        (void)snprintf(fds[fd].path, sizeof(fds[fd].path), "%s", name);
}

static int open_any(int dir_fd, const char *path, int flags, mode_t mode) {
        bool writable = (flags & O_ACCMODE) != O_RDONLY;
        char name[WORLD_NAME_MAX - 8], root[300];
        int error, fd;

        if (world && strcmp(path, "/") == 0 && (flags & O_DIRECTORY)) {
                (void)snprintf(root, sizeof(root), "%s/root", world_dir);
                path = root;
        }
        if (!name_of(dir_fd, path, name, sizeof(name)))
                return NEXT(openat)(dir_fd, path, flags, mode);
        error = world_point(writable ? "openw" : "open", name, writable && (flags & O_CREAT) != 0);
        if (error != 0) {
                errno = error;
                return -1;
        }
        if (writable && is_kernel_file(name))
                flags = (flags & ~(O_TRUNC | O_ACCMODE)) | O_RDWR;
        fd = NEXT(openat)(dir_fd, path, flags, mode);
        note_fd(fd, name, writable);
        return fd;
}

#define MODE_OF(flags)                                          \
        ({                                                      \
                mode_t _mode = 0;                               \
                if (((flags) & (O_CREAT | O_TMPFILE)) != 0) {   \
                        va_list _ap;                            \
                        va_start(_ap, flags);                   \
                        _mode = va_arg(_ap, mode_t);            \
                        va_end(_ap);                            \
                }                                               \
                _mode;                                          \
        })

int open(const char *path, int flags, ...) {
        return open_any(AT_FDCWD, path, flags, MODE_OF(flags));
}
int open64(const char *path, int flags, ...) {
        return open_any(AT_FDCWD, path, flags, MODE_OF(flags));
}
int openat(int dir_fd, const char *path, int flags, ...) {
        return open_any(dir_fd, path, flags, MODE_OF(flags));
}
int openat64(int dir_fd, const char *path, int flags, ...) {
        return open_any(dir_fd, path, flags, MODE_OF(flags));
}

int close(int fd) {
        if (is_known(fd))
                fds[fd].known = false;
        return NEXT(close)(fd);
}

/* These close without close(). */
int closedir(DIR *d) {
        if (is_known(dirfd(d)))
                fds[dirfd(d)].known = false;
        return NEXT(closedir)(d);
}
int fclose(FILE *f) {
        if (is_known(fileno(f)))
                fds[fileno(f)].known = false;
        return NEXT(fclose)(f);
}

/* An error to fail with, or 0. */
static int point_of(const char *verb, int fd, bool effect) {
        return is_known(fd) ? world_point(verb, fds[fd].path, effect) : 0;
}

#define FAIL_AT(verb, fd, effect)                               \
        do {                                                    \
                int _error = point_of(verb, fd, effect);        \
                if (_error != 0) {                              \
                        errno = _error;                         \
                        return -1;                              \
                }                                               \
        } while (0)

ssize_t read(int fd, void *buffer, size_t size) {
        FAIL_AT("read", fd, false);
        return NEXT(read)(fd, buffer, size);
}

ssize_t pread(int fd, void *buffer, size_t size, off_t offset) {
        FAIL_AT("read", fd, false);
        return NEXT(pread)(fd, buffer, size, offset);
}
ssize_t pread64(int fd, void *buffer, size_t size, off64_t offset) {
        FAIL_AT("read", fd, false);
        return NEXT(pread)(fd, buffer, size, offset);
}

ssize_t write(int fd, const void *buffer, size_t size) {
        if (!is_known(fd) || !fds[fd].writable)
                return NEXT(write)(fd, buffer, size);
        FAIL_AT("write", fd, true);
        if (!is_kernel_file(fds[fd].path))
                return NEXT(write)(fd, buffer, size);
        world_kernel_write(fd, fds[fd].path, buffer, size);
        return (ssize_t)size;
}

int fsync(int fd) {
        FAIL_AT("fsync", fd, true);
        /* The tests' own disk need not be waited for. */
        return is_known(fd) ? 0 : NEXT(fsync)(fd);
}

static int point_at(const char *verb, int dir_fd, const char *path, bool effect) {
        char name[WORLD_NAME_MAX - 8];

        return name_of(dir_fd, path, name, sizeof(name)) ? world_point(verb, name, effect) : 0;
}

#define FAIL_AT_PATH(verb, dir_fd, path, effect)                        \
        do {                                                            \
                int _error = point_at(verb, dir_fd, path, effect);      \
                if (_error != 0) {                                      \
                        errno = _error;                                 \
                        return -1;                                      \
                }                                                       \
        } while (0)

int rename(const char *from, const char *to) {
        FAIL_AT_PATH("rename", AT_FDCWD, to, true);
        return NEXT(rename)(from, to);
}
int renameat(int from_fd, const char *from, int to_fd, const char *to) {
        FAIL_AT_PATH("rename", to_fd, to, true);
        return NEXT(renameat)(from_fd, from, to_fd, to);
}
int unlink(const char *path) {
        FAIL_AT_PATH("unlink", AT_FDCWD, path, true);
        return NEXT(unlink)(path);
}
int unlinkat(int dir_fd, const char *path, int flags) {
        FAIL_AT_PATH("unlink", dir_fd, path, true);
        return NEXT(unlinkat)(dir_fd, path, flags);
}
int faccessat(int dir_fd, const char *path, int mode, int flags) {
        FAIL_AT_PATH("access", dir_fd, path, false);
        return NEXT(faccessat)(dir_fd, path, mode, flags);
}

/* ---- what a write does ---- */

/* "always [madvise] never": the chosen word is the one in brackets. */
static void select_word(int fd, const char *word) {
        char old[256], new[300] = "";
        ssize_t n = NEXT(pread)(fd, old, sizeof(old) - 1, 0);

        old[n > 0 ? n : 0] = '\0';
        for (char *save = NULL, *p = strtok_r(old, " []\n", &save); p; p = strtok_r(NULL, " []\n", &save)) {
                bool chosen = strcmp(p, word) == 0;
                size_t at = strlen(new);

                (void)snprintf(new + at, sizeof(new) - at, "%s%s%s%s", at > 0 ? " " : "", chosen ? "[" : "", p,
                               chosen ? "]" : "");
        }
        (void)strncat(new, "\n", sizeof(new) - strlen(new) - 1);
        (void)pwrite(fd, new, strlen(new), 0);
        (void)ftruncate(fd, (off_t)strlen(new));
}

/* What is to be had of what was asked for. Fewer than there are can always be had. */
static void limit_pool(int fd, const char *path, char *text, size_t size) {
        unsigned long asked = strtoul(text, NULL, 10), had, room;
        unsigned node = strstr(path, "/node1/") ? 1 : 0;
        char old[32] = "";

        if (!world->pools_full[node] && world->pools_room[node] == 0)
                return;
        (void)!NEXT(pread)(fd, old, sizeof(old) - 1, 0);
        had = strtoul(old, NULL, 10);
        room = world->pools_full[node] || had > world->pools_room[node] ? had : world->pools_room[node];
        (void)snprintf(text, size, "%lu", asked < room ? asked : room);
}

/* The pages that came are free. */
static void set_pool(int fd, const char *path, char *text, size_t size) {
        char file[300];

        limit_pool(fd, path, text, size);

        (void)snprintf(file, sizeof(file), "%s/root/%.*sfree_hugepages", world_dir,
                       (int)(strlen(path) - strlen("nr_hugepages")), path);
        fd = NEXT(openat)(AT_FDCWD, file, O_WRONLY | O_TRUNC | O_CLOEXEC);
        if (fd < 0)
                return;
        (void)!NEXT(write)(fd, text, strlen(text));
        (void)NEXT(close)(fd);
}

static bool ends_with(const char *s, const char *end) {
        return strlen(s) >= strlen(end) && strcmp(s + strlen(s) - strlen(end), end) == 0;
}

void world_kernel_write(int fd, const char *path, const char *text, size_t size) {
        char line[256];

        (void)snprintf(line, sizeof(line), "%.*s", (int)size, text);
        line[strcspn(line, "\n")] = '\0';
        if (ends_with(path, "transparent_hugepage/enabled") || ends_with(path, "/defrag") ||
            ends_with(path, "/advisor_mode")) {
                select_word(fd, line);
                return;
        }
        if (ends_with(path, "/nr_hugepages"))
                set_pool(fd, path, line, sizeof(line));
        (void)strncat(line, "\n", sizeof(line) - strlen(line) - 1);
        (void)pwrite(fd, line, strlen(line), 0);
        (void)ftruncate(fd, (off_t)strlen(line));
}
