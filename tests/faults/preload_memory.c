/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the daemon's own code asks of the C library: memory, threads, descriptors
 * to wake itself. An allocation fails by its number, or each place in the code
 * that allocates does so once: places are told apart by who called them, too.
 */
#include "preload.h"

#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <pthread.h>
#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Of the callers that make a place. */
#define PLACE_FRAMES 4
#define FRAMES_MAX 16

#define CALLER __builtin_extract_return_addr(__builtin_return_address(0))

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
static uintptr_t code_from, code_to;

static int find_code(struct dl_phdr_info *info, size_t size, void *userdata) {
        (void)size, (void)userdata;
        for (unsigned i = 0; i < info->dlpi_phnum; i++)
                if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X)) {
                        code_from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
                        code_to = code_from + info->dlpi_phdr[i].p_memsz;
                }
        /* The program itself comes first. */
        return 1;
}

/* The first backtrace(3) loads what it needs, which allocates. */
__attribute__((constructor)) static void find_program(void) {
        void *frame;

        (void)dl_iterate_phdr(find_code, NULL);
        (void)backtrace(&frame, 1);
}

static bool is_daemon(const void *caller) {
        return world && (uintptr_t)caller >= code_from && (uintptr_t)caller < code_to;
}

/* ---- memory ---- */

static uint32_t place(void) {
        void *frames[FRAMES_MAX];
        int n = backtrace(frames, FRAMES_MAX), found = 0;
        uint32_t hash = 2166136261U;

        for (int i = 0; i < n && found < PLACE_FRAMES; i++)
                if (is_daemon(frames[i])) {
                        hash = (hash ^ (uint32_t)((uintptr_t)frames[i] - code_from)) * 16777619U;
                        found++;
                }
        return hash;
}

static bool is_known(uint32_t here) {
        for (unsigned i = 0; i < world->n_places; i++)
                if (world->places[i] == here)
                        return true;
        return false;
}

/* One that has not failed yet, far enough behind the last one that did. What comes before libvirt does not count. */
static bool fails_here(unsigned n) {
        static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
        uint32_t here;
        bool fails;

        if (world->allocs_before_libvirt == 0 || (!world->places_main && gettid() == getpid()))
                return false;
        here = place();
        (void)pthread_mutex_lock(&lock);
        fails = n >= world->place_at + world->places_gap && world->n_places < WORLD_PLACES_MAX && !is_known(here) &&
                (world->places_only == 0 || world->places_only == here);
        if (fails) {
                world->places[world->n_places++] = here;
                world->place_at = n;
        }
        (void)pthread_mutex_unlock(&lock);
        return fails && !world->places_noted;
}

static bool fails(const void *caller) {
        unsigned n;

        if (!is_daemon(caller))
                return false;
        n = __atomic_add_fetch(&world->n_allocs, 1, __ATOMIC_RELAXED);
        if (!(world->places_gap > 0 && fails_here(n)) &&
            (world->alloc_fail_times == 0 || n < world->alloc_fail_at ||
             n >= world->alloc_fail_at + world->alloc_fail_times))
                return false;
        errno = ENOMEM;
        return true;
}

void *malloc(size_t size) {
        return fails(CALLER) ? NULL : __libc_malloc(size);
}
void *calloc(size_t n, size_t size) {
        return fails(CALLER) ? NULL : __libc_calloc(n, size);
}
void *realloc(void *p, size_t size) {
        return fails(CALLER) ? NULL : __libc_realloc(p, size);
}
void *reallocarray(void *p, size_t n, size_t size) {
        return fails(CALLER) ? NULL : NEXT(reallocarray)(p, n, size);
}
/* By its text one copy can be told from all others. */
static bool text_fails(const char *function, const char *text) {
        char object[WORLD_NAME_MAX];

        (void)snprintf(object, sizeof(object), "%s %s", function, text);
        return world_point("call", object, false) != 0;
}
char *strdup(const char *s) {
        return fails(CALLER) || (is_daemon(CALLER) && text_fails("strdup", s)) ? NULL : NEXT(strdup)(s);
}
char *strndup(const char *s, size_t n) {
        return fails(CALLER) ? NULL : NEXT(strndup)(s, n);
}
int vasprintf(char **ret, const char *format, va_list ap) {
        char *text;
        int n;

        n = fails(CALLER) ? -1 : NEXT(vasprintf)(&text, format, ap);
        if (n < 0)
                return n;
        if (is_daemon(CALLER) && text_fails("vasprintf", text)) {
                free(text);
                return -1;
        }
        *ret = text;
        return n;
}

/* A daemon built with --coverage writes gcov's counters when it ends, with memory taken for granted. */
char *getenv(const char *name) {
        if (world && strncmp(name, "GCOV_", 5) == 0)
                world->alloc_fail_times = world->places_gap = 0;
        return NEXT(getenv)(name);
}

/* A node of a tree is the C library's to allocate. */
void *tsearch(const void *key, void **root, __compar_fn_t compare) {
        int error = is_daemon(CALLER) ? world_point("call", "tsearch", false) : 0;

        return error != 0 ? NULL : NEXT(tsearch)(key, root, compare);
}

/* ---- threads and descriptors of the daemon's own ---- */

int pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*function)(void *), void *p) {
        int error = is_daemon(CALLER) ? world_point("call", "pthread_create", false) : 0;

        return error != 0 ? error : NEXT(pthread_create)(ret, attr, function, p);
}

int eventfd(unsigned value, int flags) {
        int error = is_daemon(CALLER) ? world_point("call", "eventfd", false) : 0;

        if (error == 0)
                return NEXT(eventfd)(value, flags);
        errno = error;
        return -1;
}
