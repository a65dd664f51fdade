/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virt_internal.h"

#include <libvirt/virterror.h>

/*
 * Whoever hears nothing for its interval asks, and hearing restarts it. libvirtd asks after 5 s, as it is shipped: with a
 * longer interval here its questions are all there is, two messages instead of up to four, and each wakes both sides.
 * Silence ends the connection after the interval times one more than the count: 20 s.
 */
#define KEEPALIVE_INTERVAL_SEC 10
#define KEEPALIVE_COUNT 1U

VirtSession *virt_session_ref(VirtSession *s) {
        if (s)
                (void)__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
        return s;
}

VirtSession *virt_session_unref(VirtSession *s) {
        if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
                return NULL;
        (void)virt_domains_unref(s->domains);
        if (s->conn) {
                virt_events_deregister(s);
                virt_events_deregister_close(s);
                (void)virConnectClose(s->conn);
        }
        (void)virt_session_unref(s->root);
        free(s->callbacks);
        free(s);
        return NULL;
}

void virt_session_end(VirtSession *s) {
        virt_domains_close(s->domains);
}

/* @domains: shared with another connection; NULL: new. */
static int session_new(const char *uri, VirtDomains *domains, VirtSession **ret, char **text) {
        _cleanup_(virt_session_unrefp) VirtSession *s = NULL;
        int r = 0;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->refs = 1;
        if (domains)
                s->domains = virt_domains_ref(domains);
        else
                r = virt_domains_new(&s->domains);
        if (r < 0)
                return r;
        s->conn = virConnectOpen(uri);
        if (!s->conn)
                return virt_error_take(text);
        /* Drivers inside this process (test:///default) have none: nothing to keep alive. */
        (void)virConnectSetKeepAlive(s->conn, KEEPALIVE_INTERVAL_SEC, KEEPALIVE_COUNT);
        *ret = TAKE_PTR(s);
        return 0;
}

int virt_session_fork(const char *uri, VirtSession *old, VirtQueue *q, VirtSession **ret, char **text) {
        _cleanup_(virt_session_unrefp) VirtSession *s = NULL;
        int r;

        virt_domains_forget_handles(old->domains);
        r = session_new(uri, old->domains, &s, text);
        if (r < 0)
                return r;
        s->root = virt_session_ref(old->root ?: old);
        s->generation = old->generation;
        s->n_cpus = old->n_cpus;
        r = virt_events_register_close(s, q);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

int virt_session_open(const char *uri, VirtQueue *q, VirtSession **ret, char **text) {
        _cleanup_(virt_session_unrefp) VirtSession *s = NULL;
        int r;

        r = session_new(uri, NULL, &s, text);
        if (r < 0)
                return r;
        r = virNodeGetCPUMap(s->conn, NULL, NULL, 0);
        s->n_cpus = r > 0 ? MIN((unsigned)r, IDSET_MAX) : IDSET_MAX;
        r = virt_queue_open(q, &s->generation);
        if (r < 0)
                return r;
        r = virt_events_register(s, q, text);
        if (r < 0) {
                virt_session_end(s);
                virt_queue_closed(q, s->generation, *text);
                return r;
        }
        virt_queue_connected(q, s->generation);
        *ret = TAKE_PTR(s);
        return 0;
}

static int refresh_listed(virDomainPtr domain, VirtSession *s, VirtRequest ***tail) {
        char uuid[1][UUID_TEXT_SIZE];
        VirtRequest *request;
        int r;

        if (virDomainGetUUIDString(domain, uuid[0]) < 0)
                return -EIO;
        r = virt_request_new(VIRT_REQUEST_REFRESH, uuid, 1, &request);
        if (r < 0)
                return r;
        request->lane = VIRT_LANE_BACKGROUND;
        request->event = "listed";
        request->job = true;
        virt_domains_put(s->domains, uuid[0], domain);
        **tail = request;
        *tail = &request->next;
        return 0;
}

int virt_session_list(VirtSession *s, VirtQueue *q, char **text) {
        _cleanup_(virt_request_free_allp) VirtRequest *list = NULL;
        VirtRequest **tail = &list;
        virDomainPtr *domains = NULL;
        int n, r = 0;

        n = virConnectListAllDomains(s->conn, &domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
        if (n < 0)
                return virt_error_take(text);
        for (int i = 0; i < n; i++) {
                if (r >= 0)
                        r = refresh_listed(domains[i], s, &tail);
                (void)virDomainFree(domains[i]);
        }
        free(domains);
        if (r >= 0)
                r = virt_request_new(VIRT_REQUEST_LISTED, NULL, 0, tail);
        if (r < 0)
                return r;
        return virt_queue_push(q, TAKE_PTR(list));
}

virDomainPtr virt_session_domain(VirtSession *s, const char *uuid) {
        virDomainPtr domain;

        domain = virt_domains_get(s->domains, s->conn, uuid);
        if (domain)
                return domain;
        domain = virDomainLookupByUUIDString(s->conn, uuid);
        if (domain)
                virt_domains_put(s->domains, uuid, domain);
        return domain;
}
