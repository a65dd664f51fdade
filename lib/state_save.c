/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The state file. A reader finds the old file or the new one, complete, also
 * after a power loss: the new text goes into a file beside it, which takes the
 * old one's name only when it is on disk.
 */

#include <fcntl.h>
#include <stdio.h>

#include "state.h"

#define STATE_FILE_MODE 0600
#define READ_CHUNK (64 * KIB)

static int write_all(int fd, const char *text) {
        size_t left = strlen(text);

        while (left > 0) {
                ssize_t n = write(fd, text, left);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                text += n;
                left -= (size_t)n;
        }
        return 0;
}

static int write_new_file(int dir_fd, const char *name, const char *text) {
        _cleanup_close_ int fd = -EBADF;
        int r;

        /* What a crash left behind; O_EXCL then makes sure that this file is ours. */
        if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
                return -errno;
        fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, STATE_FILE_MODE);
        if (fd < 0)
                return -errno;
        r = write_all(fd, text);
        if (r < 0)
                return r;
        return fsync(fd) < 0 ? -errno : 0;
}

/* *ret_name points into @path. */
static int open_folder(const char *path, int *ret_fd, const char **ret_name) {
        _cleanup_free_ char *folder = NULL;
        const char *slash = strrchr(path, '/');
        int fd;

        if (slash && !slash[1])
                return -EISDIR;
        folder = !slash ? strdup(".") : strndup(path, MAX((size_t)(slash - path), (size_t)1));
        if (!folder)
                return -ENOMEM;
        fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        *ret_name = slash ? slash + 1 : path;
        return 0;
}

int state_save(const State *s, const char *path) {
        _cleanup_free_ char *text = NULL, *temporary = NULL;
        _cleanup_close_ int dir_fd = -EBADF;
        const char *name = path;
        int r;

        r = state_format(s, &text);
        if (r < 0)
                return r;
        r = open_folder(path, &dir_fd, &name);
        if (r < 0)
                return r;
        r = strprintf_to(&temporary, "%s.new", name);
        if (r < 0)
                return r;
        r = write_new_file(dir_fd, temporary, text);
        if (r >= 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
                r = -errno;
        if (r < 0) {
                (void)unlinkat(dir_fd, temporary, 0);
                return r;
        }
        return fsync(dir_fd) < 0 ? -errno : 0;
}

static int read_all(int fd, char **ret) {
        _cleanup_free_ char *text = NULL;
        size_t size = 0, capacity = 0;

        for (;;) {
                ssize_t n;

                if (capacity - size < READ_CHUNK) {
                        char *p = realloc(text, capacity + capacity / 2 + 2 * READ_CHUNK);

                        if (!p)
                                return -ENOMEM;
                        text = p;
                        capacity += capacity / 2 + 2 * READ_CHUNK;
                }
                n = read(fd, text + size, capacity - size - 1);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t)n;
        }
        text[size] = 0;
        *ret = TAKE_PTR(text);
        return 0;
}

int state_load(const char *path, State **ret, char **ret_error) {
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = read_all(fd, &text);
        if (r < 0)
                return r;
        /* The text ends at a NUL byte, which a power loss may leave behind: seen as cut short. */
        return state_parse(text, ret, ret_error);
}
