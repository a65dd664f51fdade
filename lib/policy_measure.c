/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_placement.h"

/*
 * What the guests' vCPUs did in the last interval is a sample; a decision to
 * move one of them goes by the trend: samples are averaged exponentially over
 * 30 s (three of the default interval), so that a burst of a few seconds moves
 * nobody. The first sample, and one after a long silence, counts as it is.
 */

#define SMOOTH_USEC (30 * USEC_PER_SEC)

static uint64_t smooth(uint64_t old, uint64_t sample, uint64_t usec) {
        if (sample >= old)
                return old + u64_muldiv(sample - old, usec, SMOOTH_USEC);
        return old - u64_muldiv(old - sample, usec, SMOOTH_USEC);
}

/* False when nothing of it was measured. */
static bool sample_wait(const Guest *guest, uint64_t *ret_wait) {
        uint64_t wait = 0;
        bool known = false;

        for (size_t i = 0; i < guest->n_vcpus; i++) {
                const GuestThread *t = &guest->vcpus[i];

                if (!t->online)
                        continue;
                known = known || t->busy_permyriad != UNKNOWN_PERMYRIAD;
                if (t->wait_permyriad != UNKNOWN_PERMYRIAD)
                        wait += MIN(t->wait_permyriad, PERMYRIAD_FULL);
        }
        *ret_wait = wait;
        return known;
}

static void remember(GuestMemo *m, uint64_t now_usec, uint64_t demand, uint64_t wait) {
        uint64_t passed = u64_sub(now_usec, m->measured_usec);

        if (m->measured_usec == 0 || m->measured_usec > now_usec || passed >= SMOOTH_USEC) {
                m->demand_permyriad = demand;
                m->wait_permyriad = wait;
        } else {
                m->demand_permyriad = smooth(m->demand_permyriad, demand, passed);
                m->wait_permyriad = smooth(m->wait_permyriad, wait, passed);
        }
        m->measured_usec = now_usec;
}

void placement_measure_guests(Placement *p) {
        const PolicyContext *c = p->context;

        for (size_t i = 0; i < p->n_guests; i++) {
                PlacementGuest *g = &p->guests[i];
                uint64_t most = (uint64_t)g->n_vcpus * PERMYRIAD_FULL;

                g->load_known = sample_wait(g->guest, &g->wait_sample_permyriad);
                g->wait_permyriad = g->wait_sample_permyriad;
                if (!g->memo)
                        continue;
                if (g->load_known && !c->only_uuid && c->snapshot->interval_usec > 0)
                        remember(g->memo, p->now_usec, g->demand_permyriad, g->wait_permyriad);
                if (g->memo->measured_usec == 0)
                        continue;
                g->load_known = true;
                g->demand_permyriad = MIN(g->memo->demand_permyriad, u64_add(most, g->helpers_permyriad));
                g->wait_permyriad = MIN(g->memo->wait_permyriad, most);
        }
}

/* A vCPU that wants a share d of a CPU is runnable or not: variance d (1 - d). Its guest's are taken as equal. */
static uint64_t variance_of(const PlacementGuest *g) {
        uint64_t mean = g->n_vcpus > 0 ? MIN(g->demand_permyriad / g->n_vcpus, (uint64_t)PERMYRIAD_FULL) : 0;

        return g->demand_permyriad * (PERMYRIAD_FULL - mean);
}

void placement_measure_nodes(Placement *p) {
        for (size_t i = 0; i < p->n_guests; i++) {
                const PlacementGuest *g = &p->guests[i];
                uint64_t variance = variance_of(g), cpus = 0;

                if (!g->memo || g->dedicated || !memo_is_placed(g->memo))
                        continue;
                for (size_t n = 0; n < p->n_nodes; n++)
                        if (idset_contains(memo_nodes(g->memo), p->nodes[n].id))
                                cpus += p->nodes[n].n_cpus;
                for (size_t n = 0; n < p->n_nodes; n++) {
                        PlacementNode *node = &p->nodes[n];

                        if (!idset_contains(memo_nodes(g->memo), node->id))
                                continue;
                        node->variance += u64_muldiv(variance, node->n_cpus, cpus);
                        node->wait_permyriad += u64_muldiv(g->wait_permyriad, node->n_cpus, cpus);
                        node->wait_sample_permyriad += u64_muldiv(g->wait_sample_permyriad, node->n_cpus, cpus);
                }
        }
}
