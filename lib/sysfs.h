/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The one opener of kernel files (/proc, /sys), always below a directory
 * descriptor: "/" in production, a fixture tree in tests. Paths are relative;
 * an absolute or empty one is refused with -EINVAL.
 *
 * Two ways to read: once (open, read all, close), or through a SysfsFile that
 * keeps its descriptor and rereads with pread(2): no open() in a steady cycle.
 * Never logs.
 */

#include "base.h"

/* Opens @path ("/" normally) as a root for everything below. Returns a descriptor or -errno. */
int sysfs_open_root(const char *path);

/* The whole file, NUL-terminated, newly allocated; ret_size may be NULL. -errno of open or read. */
int sysfs_read(int root_fd, const char *path, char **ret, size_t *ret_size) __attribute__((nonnull(2, 3)));

/*
 * What one read(2) of at most @size bytes gives of the file's beginning: of a
 * file with a record for each CPU at least the first, if it is not longer.
 */
int sysfs_read_head(int root_fd, const char *path, size_t size, char **ret);

/* One number in the file; -EBADMSG when it is something else. */
int sysfs_read_u64(int root_fd, const char *path, uint64_t *ret);
int sysfs_read_i64(int root_fd, const char *path, int64_t *ret);

/*
 * The numbers N of the entries of folder @path named @prefix N @suffix, in
 * rising order: process ids, "hugepages-2048kB". Others are left out.
 */
int sysfs_list_numbers(int root_fd, const char *path, const char *prefix, const char *suffix, uint64_t **ret,
                       size_t *ret_n);

/* The names of the folders in folder @path, sorted; links are none. The caller frees them with sysfs_names_free(). */
int sysfs_list_folders(int root_fd, const char *path, char ***ret, size_t *ret_n);
void sysfs_names_free(char **names, size_t n);

/* Writes @text in one write(2). -errno of open or write; -EIO when short. */
int sysfs_write(int root_fd, const char *path, const char *text);
int sysfs_write_u64(int root_fd, const char *path, uint64_t value);

/*
 * A kernel file kept open. Zero-initialise with SYSFS_FILE_INIT; the first
 * read opens it. A buffer grown once is kept. @path is copied.
 */
typedef struct SysfsFile {
        int fd;
        char *path;
        char *buffer;
        size_t capacity;
        bool found;  /* sysfs_file_read_optional() has read it */
        bool absent; /* it found that the kernel has none */
} SysfsFile;

#define SYSFS_FILE_INIT ((SysfsFile){ .fd = -EBADF })

/* Returns 0 or -ENOMEM; opens nothing yet. */
int sysfs_file_init(SysfsFile *f, const char *path);

/*
 * Rereads the whole file. *ret_text belongs to @f and is valid until its next
 * read. Opens the file when it is not open yet. On failure the descriptor is
 * closed, so the next read opens afresh (a file may go and come back).
 */
int sysfs_file_read(SysfsFile *f, int root_fd, const char **ret_text);
/* The same for a file of one line, whose newline tells its end: one read(2) less. */
int sysfs_file_read_line(SysfsFile *f, int root_fd, const char **ret_text);
int sysfs_file_read_u64(SysfsFile *f, int root_fd, uint64_t *ret);

/*
 * The same for a file of a feature that a running kernel has or has not: when
 * the first open or read fails, that is remembered and -ENOENT returned ever
 * after, so a missing file costs no open() each cycle. One that was there may
 * come back.
 */
int sysfs_file_read_optional(SysfsFile *f, int root_fd, const char **ret_text);
int sysfs_file_read_optional_line(SysfsFile *f, int root_fd, const char **ret_text);
int sysfs_file_read_optional_u64(SysfsFile *f, int root_fd, uint64_t *ret);

/* Frees the buffer until the next read; the descriptor stays. */
void sysfs_file_trim(SysfsFile *f);

/* Accepts one that was only zeroed. */
void sysfs_file_done(SysfsFile *f);

/*
 * In "key: value kB" or "key value" text (meminfo, vmstat, node meminfo):
 * finds the line whose key is @key (after an optional "Node N " prefix) and
 * reads its number; a "kB" suffix multiplies by 1024. -ENODATA when there is
 * no such line, -EBADMSG when it holds no number, -ERANGE.
 */
int sysfs_find_key(const char *text, const char *key, uint64_t *ret);

/* "madvise" of "always [madvise] never"; "" when there are no brackets or the word does not fit. */
void sysfs_selected_word(const char *text, char *ret, size_t size);
