/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Points: where the daemon touches the outside; see world.h. */
#include "preload.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

World *world;
char world_dir[256];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void *world_next(const char *name) {
        void *p = dlsym(RTLD_NEXT, name);

        if (!p)
                abort();
        return p;
}

__attribute__((constructor)) static void world_open(void) {
        const char *dir = getenv(WORLD_ENV);
        char path[300];
        void *p;
        int fd;

        if (!dir)
                return;
        (void)snprintf(world_dir, sizeof(world_dir), "%s", dir);
        (void)snprintf(path, sizeof(path), "%s/world", dir);
        fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return;
        p = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        (void)close(fd);
        if (p != MAP_FAILED)
                world = p;
}

static int rule_error(const char *name) {
        for (unsigned i = 0; i < WORLD_RULES_MAX; i++) {
                WorldRule *rule = &world->rules[i];

                if (!rule->pattern[0] || fnmatch(rule->pattern, name, 0) != 0)
                        continue;
                if (++rule->seen <= rule->skip || (rule->times > 0 && rule->seen > rule->skip + rule->times))
                        continue;
                rule->hits++;
                return rule->error;
        }
        return 0;
}

static void wait_at(const char *name) {
        const struct timespec t = { .tv_nsec = 1000000 };

        for (unsigned i = 0; i < WORLD_RULES_MAX; i++) {
                const WorldRule *rule = &world->rules[i];

                while (__atomic_load_n(&rule->waits, __ATOMIC_ACQUIRE) && fnmatch(rule->pattern, name, 0) == 0)
                        (void)nanosleep(&t, NULL);
        }
}

static void note_effect(const char *name) {
        unsigned n = world->n_effects;

        if (n < WORLD_EFFECTS_MAX)
                (void)snprintf(world->effects[n], WORLD_NAME_MAX, "%s", name);
        if (n + 1 == world->kill_at)
                (void)kill(getpid(), SIGKILL);
        world->n_effects = n + 1;
}

int world_point(const char *verb, const char *object, bool effect) {
        char name[WORLD_NAME_MAX];
        int error;

        if (!world)
                return 0;
        (void)snprintf(name, sizeof(name), "%s %s", verb, object);
        (void)pthread_mutex_lock(&lock);
        world->n_points++;
        error = rule_error(name);
        if (error == 0 && effect)
                note_effect(name);
        (void)pthread_mutex_unlock(&lock);
        wait_at(name);
        return error;
}

WorldGuest *world_guest(const char *uuid) {
        for (unsigned i = 0; i < WORLD_GUESTS_MAX; i++)
                if (world->guests[i].running && strcmp(world->guests[i].uuid, uuid) == 0)
                        return &world->guests[i];
        return NULL;
}
