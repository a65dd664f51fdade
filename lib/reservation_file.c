/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "reservation.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

/* A record has some 80 bytes; on a host with 256 nodes it cannot have more than 1,000. */
#define FILE_SIZE_MAX MIB
#define FILE_MODE 0644
#define FOLDER_MODE 0755
#define LOCK_STEP_USEC (10 * USEC_PER_MSEC)

static int make_folder(const char *path) {
        _cleanup_free_ char *folder = NULL;
        const char *slash = strrchr(path, '/');

        if (!slash || slash == path)
                return 0;
        folder = strndup(path, (size_t)(slash - path));
        if (!folder)
                return -ENOMEM;
        return mkdir(folder, FOLDER_MODE) < 0 && errno != EEXIST ? -errno : 0;
}

int reservation_lock(const char *path, uint64_t wait_usec) {
        _cleanup_free_ char *lock = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = make_folder(path);
        if (r < 0)
                return r;
        r = strprintf_to(&lock, "%s.lock", path);
        if (r < 0)
                return r;
        fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
        if (fd < 0)
                return -errno;
        /* Not a blocking flock(): one process that was stopped must not keep all guests from starting. */
        while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                if (errno == EINTR)
                        continue;
                if (errno != EWOULDBLOCK)
                        return -errno;
                if (wait_usec < LOCK_STEP_USEC)
                        return -EAGAIN;
                (void)usleep(LOCK_STEP_USEC);
                wait_usec -= LOCK_STEP_USEC;
        }
        return TAKE_FD(fd);
}

static int read_file(int fd, char **ret) {
        _cleanup_free_ char *text = malloc(FILE_SIZE_MAX + 1);
        size_t size = 0;

        if (!text)
                return -ENOMEM;
        for (;;) {
                ssize_t n = read(fd, text + size, FILE_SIZE_MAX + 1 - size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t)n;
                if (size > FILE_SIZE_MAX)
                        return -EFBIG;
        }
        text[size] = 0;
        *ret = TAKE_PTR(text);
        return 0;
}

int reservation_load(const char *path, uint64_t now_usec, Reservation **ret, size_t *ret_n, bool *ret_damaged) {
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        int r;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 && errno == ENOENT)
                return reservations_parse("", now_usec, ret, ret_n, ret_damaged);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EBADF;
        r = read_file(fd, &text);
        if (r < 0)
                return r;
        return reservations_parse(text, now_usec, ret, ret_n, ret_damaged);
}

static int write_file(const char *path, const char *text) {
        _cleanup_close_ int fd = -EBADF;
        size_t left = strlen(text);

        if (unlink(path) < 0 && errno != ENOENT)
                return -errno;
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
        if (fd < 0)
                return -errno;
        while (left > 0) {
                ssize_t n = write(fd, text, left);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                text += n;
                left -= (size_t)n;
        }
        return 0;
}

int reservation_save(const char *path, const Reservation *reservations, size_t n) {
        _cleanup_free_ char *text = NULL, *temporary = NULL;
        int r;

        r = reservations_format(reservations, n, &text);
        if (r < 0)
                return r;
        r = strprintf_to(&temporary, "%s.new", path);
        if (r < 0)
                return r;
        r = write_file(temporary, text);
        if (r >= 0 && rename(temporary, path) < 0)
                r = -errno;
        if (r < 0)
                (void)unlink(temporary);
        return r;
}
