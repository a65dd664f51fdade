/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "advise.h"

#include <stdio.h>
#include <time.h>

#include "../lib/snapshot_file.h"
#include "../lib/sysfs.h"

/* Answers take some tens of milliseconds each; many guests may be starting. */
#define LOCK_WAIT_USEC (3 * USEC_PER_SEC)

/* What an answer is made of. */
typedef struct Advice {
        Config *config;
        State *state;
        AdviseLook look;
        IdSet nodes;
        char *reason;
} Advice;

static void advice_done(Advice *a) {
        config_free(a->config);
        state_free(a->state);
        advise_look_done(&a->look);
        free(a->reason);
}

static uint64_t boottime(void) {
        struct timespec t = { 0 };

        (void)clock_gettime(CLOCK_BOOTTIME, &t);
        return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / NSEC_PER_USEC;
}

/* Passes @r on. @error is the loader's own text, which names the file, or NULL. */
static int complain(const AdviseOptions *o, const char *what, int r, const char *error) {
        if (r < 0 && error)
                (void)fprintf(stderr, "%s", error);
        else if (r < 0)
                (void)fprintf(stderr, "%s: %s: %s\n", o->program, what, strerrordesc_np(-r));
        return r;
}

static int load_config(const AdviseOptions *o, Config **ret) {
        const char *path = o->config ?: ADVISE_CONFIG_FILE;
        _cleanup_free_ char *error = NULL;
        int r;

        if (!o->config && access(path, F_OK) < 0)
                return config_new(ret);
        r = config_load(path, ret, &error);
        r = complain(o, path, r, error);
        if (r >= 0 || !o->lenient || r == -ENOMEM)
                return r;
        (void)fprintf(stderr, "%s: going on without that policy\n", o->program);
        return config_new(ret);
}

/*
 * Without a name, what cannot be read of the daemon's state is not needed. With one, its daemon may not have written
 * it yet; beside a snapshot it is a file that somebody recorded.
 */
static int load_state(const AdviseOptions *o, State **ret) {
        _cleanup_(state_freep) State *s = NULL;
        const char *path = o->state || o->snapshot ? o->state : ADVISE_STATE_FILE;
        _cleanup_free_ char *error = NULL;
        int r;

        r = path ? state_load(path, &s, &error) : -ENOENT;
        if (r < 0 && o->state && (o->snapshot || r != -ENOENT)) {
                (void)fprintf(stderr, "%s: %s\n", path, error ?: strerrordesc_np(-r));
                return r;
        }
        if (r < 0)
                s = state_free(s);
        if (!s) {
                r = state_new(&s);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(s);
        return 0;
}

/* The places of another boot are none. */
static int match_boot(int root_fd, State **state) {
        _cleanup_free_ char *boot_id = NULL;

        if (sysfs_read(root_fd, "proc/sys/kernel/random/boot_id", &boot_id, NULL) < 0)
                return 0;
        boot_id[strcspn(boot_id, "\n")] = 0;
        if (streq_ptr((*state)->boot_id, boot_id))
                return 0;
        *state = state_free(*state);
        return state_new(state);
}

static int look_here(const AdviseOptions *o, Advice *a) {
        _cleanup_close_ int root_fd = sysfs_open_root("/");
        int r;

        if (root_fd < 0)
                return complain(o, "/", root_fd, NULL);
        r = match_boot(root_fd, &a->state);
        if (r < 0)
                return r;
        return complain(o, "looking at this host", advise_look(root_fd, a->state, &a->look), NULL);
}

static int look(const AdviseOptions *o, Advice *a) {
        _cleanup_free_ char *error = NULL;
        int r;

        if (!o->snapshot)
                return look_here(o, a);
        r = snapshot_load(o->snapshot, &a->look.snapshot, &error);
        return complain(o, o->snapshot, r, error);
}

static bool has_pages(const Host *host, uint64_t page_bytes) {
        for (size_t i = 0; i < host->n_nodes; i++)
                for (size_t k = 0; k < host->nodes[i].n_pools; k++)
                        if (host->nodes[i].pools[k].page_bytes == page_bytes)
                                return true;
        return false;
}

static int decide(const AdviseOptions *o, Advice *a) {
        PolicyInput in = { .config = a->config, .snapshot = a->look.snapshot };
        int r;

        r = policy_advise(&in, a->state, &o->request, &a->nodes, &a->reason);
        if (r == -ENOSPC)
                return complain(o, NULL, r, "every CPU of the host is reserved or isolated\n");
        return complain(o, "deciding", r, NULL);
}

/* What was advised counts in @a's snapshot, as far as its guest is not there. */
static int count_reservations(Advice *a, const Reservation *list, size_t n) {
        Snapshot *s = a->look.snapshot;

        s->reservations = calloc(MAX(n, (size_t)1), sizeof(*list));
        if (!s->reservations)
                return -ENOMEM;
        if (n > 0)
                memcpy(s->reservations, list, n * sizeof(*list));
        s->n_reservations = n;
        reservations_settle(s->reservations, &s->n_reservations, a->look.guests, a->look.n_guests);
        return 0;
}

/*
 * @list is what the file holds, with room for one more. It keeps what is
 * fulfilled: another adviser may have looked before that guest was there.
 */
static int write_down(const AdviseOptions *o, const Advice *a, Reservation *list, size_t n) {
        list[n] = (Reservation){
                .nodes = a->nodes,
                .vcpus = o->request.vcpus,
                .memory_bytes = o->request.memory_bytes,
                .hugepages = o->request.hugepages,
                .hugepage_bytes = o->request.hugepage_bytes,
                .given_usec = boottime(),
        };
        return reservation_save(o->reservations, list, n + 1);
}

static void warn_unreserved(const AdviseOptions *o, int r) {
        (void)fprintf(stderr, "%s: %s: %s; a guest that starts at the same time may get the same room\n",
                      o->program, o->reservations, strerrordesc_np(-r));
}

/* The part that advisers do one after the other. */
static int answer(const AdviseOptions *o, Advice *a) {
        _cleanup_free_ Reservation *read = NULL, *list = NULL;
        _cleanup_close_ int lock = -EBADF;
        size_t n = 0;
        int r;

        if (o->reserve)
                lock = reservation_lock(o->reservations, LOCK_WAIT_USEC);
        r = reservation_load(o->reservations, boottime(), &read, &n, NULL);
        if (r == -ENOMEM)
                return r;
        if (r < 0 && r != -EACCES)
                warn_unreserved(o, r);
        list = calloc(n + 1, sizeof(*list));
        if (!list)
                return -ENOMEM;
        if (n > 0)
                memcpy(list, read, n * sizeof(*list));
        r = count_reservations(a, list, n);
        if (r < 0)
                return r;
        r = decide(o, a);
        if (r < 0 || !o->reserve)
                return r;
        r = lock < 0 ? lock : write_down(o, a, list, n);
        if (r < 0)
                warn_unreserved(o, r);
        return 0;
}

static int print(const AdviseOptions *o, const Advice *a) {
        _cleanup_free_ char *nodes = NULL;
        int r;

        r = idset_format(&a->nodes, &nodes);
        if (r < 0)
                return r;
        if (o->explain)
                (void)fprintf(stderr, "%s\n", a->reason);
        if (printf("%s\n", nodes) < 0 || fflush(stdout) != 0)
                return complain(o, "cannot write", errno > 0 ? -errno : -EIO, NULL);
        return 0;
}

int advise(const AdviseOptions *o) {
        __attribute__((cleanup(advice_done))) Advice a = { 0 };
        int c, s, r;

        /* All, so that one run shows what is wrong in each. */
        c = load_config(o, &a.config);
        s = load_state(o, &a.state);
        if (s < 0)
                return s;
        r = look(o, &a);
        if (c < 0 || r < 0)
                return c < 0 ? c : r;
        if (o->request.hugepages && !has_pages(&a.look.snapshot->host, o->request.hugepage_bytes))
                return complain(o, NULL, -ENOENT, "no node has huge pages of that size\n");
        r = o->snapshot ? decide(o, &a) : answer(o, &a);
        if (r < 0)
                return r;
        return print(o, &a);
}
