/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Pools of huge pages: the writer has them changed, and what the kernel gave is what we own from then on. */

#include "effects_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

int effects_set_pool(Manager *m, const Action *a, bool recorded) {
        PoolRequest request = { .cookie = m->next_cookie, .node = pool_node(a->index),
                                .page_bytes = pool_page_bytes(a->index) };
        int r;

        r = parse_u64(a->new_value, &request.pages);
        if (r >= 0)
                r = effects_add_pending(m, a, request.cookie, recorded);
        if (r < 0)
                return r;
        r = pool_writer_add(m->pool_writer, &request);
        if (r < 0) {
                m->n_pending--;
                action_done(&m->pending[m->n_pending].action);
                return r;
        }
        m->next_cookie++;
        policy_pool_started(m->state, a->index);
        return 0;
}

/*
 * The kernel has given some of what it was asked for: that much is on record as ours. Without memory to note that, the
 * next look takes for ours what is there, as after a restart.
 */
static void own_what_came(Manager *m, unsigned index, uint64_t pages) {
        Owned *o = state_find_owned(m->state, ACTION_SET_HUGEPAGES, "", index);

        if (o && strprintf_to(&o->ours, "%" PRIu64, pages) < 0)
                m->state->hugepages_adopted = true;
        m->state_dirty = true;
}

/*
 * Nothing came: -ENOMEM, and the record of the change is taken back. Nobody knows: -ETIMEDOUT, and it stays; what the
 * next look finds is ours.
 */
static int note_report(Manager *m, const PoolReport *report, char **ret_text) {
        unsigned index = policy_pool_index(report->request.node, report->request.page_bytes);
        const PoolRequest *q = &report->request;
        uint64_t old = 0;

        if (report->unread) {
                policy_pool_ended(m->state, index, manager_now(m), q->pages, q->pages);
                policy_pool_note(&m->snapshot->host, index, q->pages, NULL);
                m->state->hugepages_adopted = true;
                (void)strprintf_to(ret_text, "what the kernel has made of it cannot be read");
                return -ETIMEDOUT;
        }
        policy_pool_ended(m->state, index, manager_now(m), q->pages, report->result < 0 ? 0 : report->pages);
        if (report->result < 0)
                return report->result;
        policy_pool_note(&m->snapshot->host, index, report->pages,
                         report->seen.page_bytes > 0 ? &report->seen : NULL);
        if (report->pages == q->pages)
                return 0;
        (void)strprintf_to(ret_text, "the kernel has %" PRIu64 " of the %" PRIu64 " pages", report->pages, q->pages);
        for (size_t i = 0; i < m->n_pending; i++)
                if (m->pending[i].cookie == q->cookie)
                        (void)parse_u64(m->pending[i].action.old_value, &old);
        if (report->pages == old)
                return -ENOMEM;
        own_what_came(m, index, report->pages);
        return 0;
}

int effects_on_pools(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        Manager *m = userdata;
        PoolReport report;

        (void)s;
        (void)fd;
        (void)revents;
        while (pool_writer_take(m->pool_writer, &report) >= 0) {
                _cleanup_free_ char *text = NULL;
                int r = note_report(m, &report, &text);

                effects_done(m, report.request.cookie, r, text);
        }
        return 0;
}
