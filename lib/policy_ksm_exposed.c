/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Guests that must not share. How long a write takes tells whether a page was
 * merged, so a guest can learn what is in the memory of its neighbours
 * (Suzaki et al., Memory Deduplication as a Threat to the Guest OS, 2011), and
 * with faulty memory change it (Razavi et al., Flip Feng Shui, 2016). Whether
 * QEMU offers a guest's memory to KSM is fixed when it starts (<nosharepages/>),
 * so for a guest that runs there is only the choice between saying so and
 * having no KSM at all.
 *
 * Only private memory in small pages is merged: huge pages of a pool and
 * memory that is shared with other processes are not exposed.
 */

#include "policy_ksm.h"

static bool is_exposed(const Guest *g, const Settings *s) {
        return !setting(s, KEY_KSM_SHARE) && !g->nosharepages && !g->hugepages && !g->shared_memory;
}

int ksm_check_exposed(PolicyContext *c, KsmMode mode, const Guest **ret_forbidden) {
        KsmExposed policy = (KsmExposed)setting(&c->host, KEY_KSM_EXPOSED);
        const Guest *forbidden = NULL;
        int r;

        for (size_t i = 0; policy != KSM_EXPOSED_IGNORE && i < c->snapshot->n_guests; i++) {
                const Guest *g = c->snapshot->guests[i];
                bool forbids = policy == KSM_EXPOSED_FORBID && mode != KSM_KEEP;

                if (!is_exposed(g, c->guests[i]) || mode == KSM_OFF)
                        continue;
                /* What the host has switched on itself is its own; nothing is exposed where it has not. */
                if (mode == KSM_KEEP && c->snapshot->host.ksm.run != 1)
                        continue;
                if (forbids && !forbidden)
                        forbidden = g;
                r = plan_add_skip(c->plan, ACTION_SET_KSM, g, SKIP_MUST_NOT_SHARE,
                                  "ksm.share is false, and its XML has no <nosharepages/>: %s",
                                  forbids ? "KSM stays off" : "KSM may merge its pages with those of others");
                if (r < 0)
                        return r;
        }
        *ret_forbidden = forbidden;
        return 0;
}
