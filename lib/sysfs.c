/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sysfs.h"

#include "parse.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

/* Buffers double. Kept files start small: there are several for each thread of each guest. */
#define CAPACITY_KEPT 128U
#define CAPACITY_ONCE 4096U

int sysfs_open_root(const char *path) {
        int fd;

        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

/* An absolute path would leave the tree below @root_fd unnoticed. */
static int open_below(int root_fd, const char *path, int flags) {
        int fd;

        if (path[0] == '/' || path[0] == '\0')
                return -EINVAL;
        fd = openat(root_fd, path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        return fd < 0 ? -errno : fd;
}

static int buffer_double(char **buffer, size_t *capacity) {
        size_t want = *capacity ? *capacity * 2 : CAPACITY_KEPT;
        char *p;

        if (want <= *capacity)
                return -EFBIG;
        p = realloc(*buffer, want);
        if (!p)
                return -ENOMEM;
        *buffer = p;
        *capacity = want;
        return 0;
}

/*
 * Everything from offset 0 to the end of file. A short read is not the end:
 * seq_file hands out at most a page of records at a time. In a file of
 * @one_line its newline is, which saves the read that returns nothing.
 */
static int read_all(int fd, bool one_line, char **buffer, size_t *capacity, size_t *ret_size) {
        size_t size = 0;

        for (;;) {
                ssize_t n;
                int r;

                if (size + 1 >= *capacity) {
                        r = buffer_double(buffer, capacity);
                        if (r < 0)
                                return r;
                }
                n = pread(fd, *buffer + size, *capacity - size - 1, (off_t)size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t)n;
                if (one_line && (*buffer)[size - 1] == '\n')
                        break;
        }
        (*buffer)[size] = '\0';
        *ret_size = size;
        return 0;
}

int sysfs_read_head(int root_fd, const char *path, size_t size, char **ret) {
        _cleanup_free_ char *buffer = NULL;
        _cleanup_close_ int fd = -EBADF;
        ssize_t n;

        fd = open_below(root_fd, path, O_RDONLY);
        if (fd < 0)
                return fd;
        buffer = malloc(size + 1);
        if (!buffer)
                return -ENOMEM;
        do
                n = pread(fd, buffer, size, 0);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        buffer[n] = '\0';
        *ret = TAKE_PTR(buffer);
        return 0;
}

int sysfs_read(int root_fd, const char *path, char **ret, size_t *ret_size) {
        _cleanup_free_ char *buffer = NULL;
        _cleanup_close_ int fd = -EBADF;
        size_t capacity = CAPACITY_ONCE, size;
        int r;

        fd = open_below(root_fd, path, O_RDONLY);
        if (fd < 0)
                return fd;
        buffer = malloc(capacity);
        if (!buffer)
                return -ENOMEM;
        r = read_all(fd, false, &buffer, &capacity, &size);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(buffer);
        if (ret_size)
                *ret_size = size;
        return 0;
}

int sysfs_read_u64(int root_fd, const char *path, uint64_t *ret) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = sysfs_read(root_fd, path, &text, NULL);
        if (r < 0)
                return r;
        return parse_u64(text, ret) < 0 ? -EBADMSG : 0;
}

int sysfs_read_i64(int root_fd, const char *path, int64_t *ret) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = sysfs_read(root_fd, path, &text, NULL);
        if (r < 0)
                return r;
        return parse_i64(text, ret) < 0 ? -EBADMSG : 0;
}

static void closedirp(DIR **d) {
        if (*d)
                (void)closedir(*d);
}

static int open_directory(int root_fd, const char *path, DIR **ret) {
        _cleanup_close_ int fd = -EBADF;
        DIR *d;

        fd = open_below(root_fd, path, O_RDONLY | O_DIRECTORY);
        if (fd < 0)
                return fd;
        d = fdopendir(fd);
        if (!d)
                return -errno;
        (void)TAKE_FD(fd);
        *ret = d;
        return 0;
}

/* The N of "PREFIX" N "SUFFIX". */
static bool match_number(const char *name, const char *prefix, const char *suffix, uint64_t *ret) {
        const char *p = startswith(name, prefix);

        return p && parse_u64_prefix(&p, ret) >= 0 && streq(p, suffix);
}

static int compare_u64(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

int sysfs_list_numbers(int root_fd, const char *path, const char *prefix, const char *suffix, uint64_t **ret,
                       size_t *ret_n) {
        _cleanup_free_ uint64_t *numbers = NULL;
        _cleanup_(closedirp) DIR *d = NULL;
        size_t n = 0, capacity = 0;
        struct dirent *e;
        uint64_t number;
        int r;

        r = open_directory(root_fd, path, &d);
        if (r < 0)
                return r;
        while ((errno = 0, e = readdir(d))) {
                if (!match_number(e->d_name, prefix, suffix, &number))
                        continue;
                r = GROW_ARRAY(numbers, capacity, n);
                if (r < 0)
                        return r;
                numbers[n++] = number;
        }
        if (errno != 0)
                return -errno;
        if (n > 0)
                qsort(numbers, n, sizeof(*numbers), compare_u64);
        *ret = TAKE_PTR(numbers);
        *ret_n = n;
        return 0;
}

void sysfs_names_free(char **names, size_t n) {
        for (size_t i = 0; names && i < n; i++)
                free(names[i]);
        free(names);
}

static int compare_names(const void *a, const void *b) {
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static int collect_folders(DIR *d, char ***names, size_t *n) {
        size_t capacity = 0;
        struct dirent *e;
        int r;

        while ((errno = 0, e = readdir(d))) {
                if (e->d_type != DT_DIR || streq(e->d_name, ".") || streq(e->d_name, ".."))
                        continue;
                r = GROW_ARRAY(*names, capacity, *n);
                if (r < 0)
                        return r;
                (*names)[*n] = strdup(e->d_name);
                if (!(*names)[*n])
                        return -ENOMEM;
                (*n)++;
        }
        return -errno;
}

int sysfs_list_folders(int root_fd, const char *path, char ***ret, size_t *ret_n) {
        _cleanup_(closedirp) DIR *d = NULL;
        char **names = NULL;
        size_t n = 0;
        int r;

        r = open_directory(root_fd, path, &d);
        if (r < 0)
                return r;
        r = collect_folders(d, &names, &n);
        if (r < 0) {
                sysfs_names_free(names, n);
                return r;
        }
        if (n > 0)
                qsort(names, n, sizeof(*names), compare_names);
        *ret = names;
        *ret_n = n;
        return 0;
}

int sysfs_write(int root_fd, const char *path, const char *text) {
        _cleanup_close_ int fd = -EBADF;
        size_t size = strlen(text);
        ssize_t n;

        fd = open_below(root_fd, path, O_WRONLY | O_TRUNC);
        if (fd < 0)
                return fd;
        do
                n = write(fd, text, size);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        return (size_t)n == size ? 0 : -EIO;
}

int sysfs_write_u64(int root_fd, const char *path, uint64_t value) {
        char text[24];

        (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
        return sysfs_write(root_fd, path, text);
}

int sysfs_file_init(SysfsFile *f, const char *path) {
        char *copy;

        copy = strdup(path);
        if (!copy)
                return -ENOMEM;
        *f = SYSFS_FILE_INIT;
        f->path = copy;
        return 0;
}

static int file_read(SysfsFile *f, int root_fd, bool one_line, const char **ret_text) {
        size_t size;
        int r;

        if (f->fd < 0) {
                f->fd = open_below(root_fd, f->path, O_RDONLY);
                if (f->fd < 0)
                        return f->fd;
        }
        r = read_all(f->fd, one_line, &f->buffer, &f->capacity, &size);
        if (r < 0) {
                f->fd = safe_close(f->fd);
                return r;
        }
        *ret_text = f->buffer;
        return 0;
}

int sysfs_file_read(SysfsFile *f, int root_fd, const char **ret_text) {
        return file_read(f, root_fd, false, ret_text);
}

int sysfs_file_read_line(SysfsFile *f, int root_fd, const char **ret_text) {
        return file_read(f, root_fd, true, ret_text);
}

/* What says nothing about the file, only about the moment. */
static bool error_is_temporary(int r) {
        return r == -ENOMEM || r == -EMFILE || r == -ENFILE;
}

static int file_read_optional(SysfsFile *f, int root_fd, bool one_line, const char **ret_text) {
        int r;

        if (f->absent)
                return -ENOENT;
        r = file_read(f, root_fd, one_line, ret_text);
        f->found = f->found || r >= 0;
        if (r < 0 && !f->found && !error_is_temporary(r))
                f->absent = true;
        return r;
}

int sysfs_file_read_optional(SysfsFile *f, int root_fd, const char **ret_text) {
        return file_read_optional(f, root_fd, false, ret_text);
}

int sysfs_file_read_optional_line(SysfsFile *f, int root_fd, const char **ret_text) {
        return file_read_optional(f, root_fd, true, ret_text);
}

int sysfs_file_read_u64(SysfsFile *f, int root_fd, uint64_t *ret) {
        const char *text;
        int r;

        r = file_read(f, root_fd, true, &text);
        if (r < 0)
                return r;
        return parse_u64(text, ret) < 0 ? -EBADMSG : 0;
}

int sysfs_file_read_optional_u64(SysfsFile *f, int root_fd, uint64_t *ret) {
        const char *text;
        int r;

        r = file_read_optional(f, root_fd, true, &text);
        if (r < 0)
                return r;
        return parse_u64(text, ret) < 0 ? -EBADMSG : 0;
}

void sysfs_file_trim(SysfsFile *f) {
        free(f->buffer);
        f->buffer = NULL;
        f->capacity = 0;
}

void sysfs_file_done(SysfsFile *f) {
        /* Without a path it was only zeroed, and descriptor 0 is not its own. */
        if (f->path)
                (void)safe_close(f->fd);
        free(f->path);
        free(f->buffer);
        *f = SYSFS_FILE_INIT;
}

static const char *skip_blank(const char *p) {
        while (*p == ' ' || *p == '\t')
                p++;
        return p;
}

/* What follows "Node N " in a node's meminfo, or @line itself. */
static const char *skip_node_prefix(const char *line) {
        const char *p = startswith(line, "Node ");
        unsigned id;

        if (!p || parse_unsigned_prefix(&p, &id) < 0)
                return line;
        return skip_blank(p);
}

static int parse_key_value(const char *p, uint64_t *ret) {
        uint64_t value;
        int r;

        r = parse_u64_prefix(&p, &value);
        if (r < 0)
                return r == -ERANGE ? r : -EBADMSG;
        p = skip_blank(p);
        if (startswith(p, "kB")) {
                if (value > UINT64_MAX / 1024)
                        return -ERANGE;
                value *= 1024;
                p += strlen("kB");
        }
        if (*skip_blank(p) != '\n' && *skip_blank(p) != '\0')
                return -EBADMSG;
        *ret = value;
        return 0;
}

void sysfs_selected_word(const char *text, char *ret, size_t size) {
        const char *begin = strchr(text, '['), *end = begin ? strchr(begin, ']') : NULL;
        size_t n;

        ret[0] = '\0';
        if (!begin || !end)
                return;
        n = (size_t)(end - begin) - 1;
        if (n >= size)
                return;
        memcpy(ret, begin + 1, n);
        ret[n] = '\0';
}

static bool begins_line(const char *text, const char *p) {
        const char *newline = memrchr(text, '\n', (size_t)(p - text));

        return skip_node_prefix(newline ? newline + 1 : text) == p;
}

/* strstr(3) passes over what does not match faster than a look at each line. */
int sysfs_find_key(const char *text, const char *key, uint64_t *ret) {
        size_t n = strlen(key);

        for (const char *p = text; (p = strstr(p, key)); p++) {
                const char *end = p + n;

                if ((*end == ':' || *end == ' ' || *end == '\t') && begins_line(text, p))
                        return parse_key_value(skip_blank(*end == ':' ? end + 1 : end), ret);
        }
        return -ENODATA;
}
