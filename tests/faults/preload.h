/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of the preloaded library share. */

#include <stddef.h>

#include "world.h"

/* NULL until the library is ready, and in processes that have no world. */
extern World *world;
extern char world_dir[256];

/*
 * A point of this name is passed. 0: go on; otherwise the error to fail with.
 * @effect: something outside changes; the process may end here.
 */
int world_point(const char *verb, const char *object, bool effect);

WorldGuest *world_guest(const char *uuid);

/* preload_file.c: a write to a kernel file of the world has its consequences. */
void world_kernel_write(int fd, const char *path, const char *text, size_t size);

/* preload_host.c: who waits for that is told that the wall clock was set. */
void world_clock_was_set(void);

/* The C library's function behind one of ours. */
void *world_next(const char *name);
#define NEXT(function)                                                                  \
        ({                                                                              \
                static __typeof__(&function) _next;                                     \
                if (!__atomic_load_n(&_next, __ATOMIC_RELAXED))                         \
                        __atomic_store_n(&_next, world_next(#function), __ATOMIC_RELAXED); \
                _next;                                                                  \
        })
