/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virt_domains.h"

#include <pthread.h>
#include <search.h>
#include <stdio.h>

/* Events follow their call within a batch; one that is overwritten costs a refresh. */
#define EXPECTED_MAX 128U
#define FIELD_SIZE 32

typedef struct Entry {
        char uuid[UUID_TEXT_SIZE];      /* first: the tree compares entries as strings */
        virDomainPtr domain;
        bool migrating;
        int persistent;
} Entry;

typedef struct Expected {
        char uuid[UUID_TEXT_SIZE];
        char field[FIELD_SIZE];
        IdSet set;
} Expected;

struct VirtDomains {
        pthread_mutex_t lock;
        unsigned refs;
        bool closed;
        void *tree;                     /* of Entry, by uuid */
        Expected expected[EXPECTED_MAX];
        size_t next;
};

static int compare(const void *a, const void *b) {
        return strcmp(a, b);
}

static void lock(VirtDomains *d) {
        (void)pthread_mutex_lock(&d->lock);
}

static void unlock(VirtDomains *d) {
        (void)pthread_mutex_unlock(&d->lock);
}

static void entry_free(void *p) {
        Entry *e = p;

        if (e->domain)
                (void)virDomainFree(e->domain);
        free(e);
}

static Entry *find(VirtDomains *d, const char *uuid) {
        Entry **e = tfind(uuid, &d->tree, compare);

        return e ? *e : NULL;
}

int virt_domains_new(VirtDomains **ret) {
        VirtDomains *d = calloc(1, sizeof(*d));

        if (!d)
                return -ENOMEM;
        (void)pthread_mutex_init(&d->lock, NULL);
        d->refs = 1;
        *ret = d;
        return 0;
}

VirtDomains *virt_domains_ref(VirtDomains *d) {
        lock(d);
        d->refs++;
        unlock(d);
        return d;
}

VirtDomains *virt_domains_unref(VirtDomains *d) {
        bool last;

        if (!d)
                return NULL;
        lock(d);
        last = --d->refs == 0;
        unlock(d);
        if (last) {
                tdestroy(d->tree, entry_free);
                (void)pthread_mutex_destroy(&d->lock);
                free(d);
        }
        return NULL;
}

void virt_domains_close(VirtDomains *d) {
        void *tree;

        lock(d);
        d->closed = true;
        tree = TAKE_PTR(d->tree);
        unlock(d);
        tdestroy(tree, entry_free);
}

static Entry *add(VirtDomains *d, const char *uuid) {
        Entry *e = calloc(1, sizeof(*e));

        if (!e)
                return NULL;
        memcpy(e->uuid, uuid, strnlen(uuid, UUID_TEXT_SIZE - 1));
        e->persistent = -1;
        if (!tsearch(e, &d->tree, compare)) {
                free(e);
                return NULL;
        }
        return e;
}

static void put_locked(VirtDomains *d, const char *uuid, virDomainPtr domain) {
        Entry *e;

        if (d->closed)
                return;
        e = find(d, uuid) ?: add(d, uuid);
        if (e && !e->domain && virDomainRef(domain) == 0)
                e->domain = domain;
}

void virt_domains_put(VirtDomains *d, const char *uuid, virDomainPtr domain) {
        lock(d);
        put_locked(d, uuid, domain);
        unlock(d);
}

void virt_domains_drop(VirtDomains *d, const char *uuid) {
        Entry *e;

        lock(d);
        e = find(d, uuid);
        if (e)
                (void)tdelete(uuid, &d->tree, compare);
        unlock(d);
        if (e)
                entry_free(e);
}

static void drop_handle(Entry *e) {
        if (e->domain)
                (void)virDomainFree(e->domain);
        e->domain = NULL;
}

virDomainPtr virt_domains_get(VirtDomains *d, virConnectPtr conn, const char *uuid) {
        virDomainPtr domain = NULL;
        Entry *e;

        lock(d);
        e = find(d, uuid);
        if (e && e->domain && virDomainGetConnect(e->domain) != conn)
                drop_handle(e);
        if (e && e->domain && virDomainRef(e->domain) == 0)
                domain = e->domain;
        unlock(d);
        return domain;
}

static void forget_handle(const void *node, VISIT order, int depth _unused_) {
        if (order == postorder || order == leaf)
                drop_handle(*(Entry *const *)node);
}

void virt_domains_forget_handles(VirtDomains *d) {
        lock(d);
        twalk(d->tree, forget_handle);
        unlock(d);
}

bool virt_domains_migrating(VirtDomains *d, const char *uuid) {
        Entry *e;
        bool migrating;

        lock(d);
        e = find(d, uuid);
        migrating = e && e->migrating;
        unlock(d);
        return migrating;
}

void virt_domains_set_migrating(VirtDomains *d, const char *uuid, bool migrating) {
        Entry *e;

        lock(d);
        e = find(d, uuid);
        if (e)
                e->migrating = migrating;
        unlock(d);
}

int virt_domains_persistent(VirtDomains *d, const char *uuid) {
        Entry *e;
        int persistent;

        lock(d);
        e = find(d, uuid);
        persistent = e ? e->persistent : -1;
        unlock(d);
        return persistent;
}

void virt_domains_set_persistent(VirtDomains *d, const char *uuid, int persistent) {
        Entry *e;

        lock(d);
        e = find(d, uuid);
        if (e)
                e->persistent = persistent;
        unlock(d);
}

void virt_domains_expect(VirtDomains *d, const char *uuid, const char *field, const IdSet *set) {
        Expected *x;

        lock(d);
        x = &d->expected[d->next++ % EXPECTED_MAX];
        (void)snprintf(x->uuid, sizeof(x->uuid), "%s", uuid);
        (void)snprintf(x->field, sizeof(x->field), "%s", field);
        x->set = *set;
        unlock(d);
}

bool virt_domains_expected(VirtDomains *d, const char *uuid, const char *field, const IdSet *set) {
        bool found = false;

        lock(d);
        for (size_t i = 0; i < EXPECTED_MAX && !found; i++) {
                Expected *x = &d->expected[i];

                found = streq(x->uuid, uuid) && streq(x->field, field) && idset_equal(&x->set, set);
                if (found)
                        x->uuid[0] = 0;
        }
        unlock(d);
        return found;
}
