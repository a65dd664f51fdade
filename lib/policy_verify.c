/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "parse.h"
#include "policy_eligible.h"
#include "policy_move.h"

#include <inttypes.h>

/*
 * A move is a prediction, and is held to it. What it was made for is measured
 * before it, and again in the three decisions after its memory has arrived (or
 * was given up half-way): how long vCPUs wait on the nodes concerned, how much
 * of the guest's memory is remote, or what the node is short of. It has gained
 * when the mean of the three is better than before by at least half of what
 * was predicted; then the guest's cool-down is the plain numa.cooldown.
 * Otherwise it doubles with each such move, up to 64 times.
 *
 * A move under way is given up when its guest cannot be moved any more, when
 * the target has come down to its share of the host's reserve, or when the
 * host is short of memory: PSI "full" of 5 % or "some" of 20 % over 10 s
 * (systemd-oomd begins to kill at 60 %), or less available than the reserve.
 */

#define VERIFY_SAMPLES 3U
#define PRESSURE_FULL_PERMYRIAD 500U
#define PRESSURE_SOME_PERMYRIAD 2000U

uint64_t placement_remote_permyriad(const PlacementGuest *g, const IdSet *nodes) {
        if (g->resident_bytes == UNKNOWN_U64)
                return 0;
        return u64_muldiv(u64_sub(g->resident_bytes, placement_resident_on(g->guest, nodes)), PERMYRIAD_FULL,
                          g->resident_bytes);
}

static bool is_of_load(MoveCause cause) {
        return cause == MOVE_LOAD || cause == MOVE_SWAP;
}

/* Waiting on the nodes of @g and on the one it was to relieve: the mean of late, or of the last interval alone. */
static uint64_t measure_wait(const Placement *p, const PlacementGuest *g, bool sample) {
        uint64_t wait = 0;

        for (size_t i = 0; i < p->n_nodes; i++) {
                const PlacementNode *n = &p->nodes[i];

                if (n->id + 1 == g->memo->move_from || idset_contains(memo_nodes(g->memo), n->id))
                        wait += move_wait_cost(sample ? n->wait_sample_permyriad : n->wait_permyriad,
                                               n->demand_permyriad);
        }
        return wait;
}

static uint64_t measure(const Placement *p, const PlacementGuest *g) {
        MoveCause cause = (MoveCause)g->memo->move_cause;
        IdSet home;

        if (is_of_load(cause))
                return measure_wait(p, g, true);
        if (cause != MOVE_SHORTAGE) {
                home = placement_memory_nodes(p, g);
                return placement_remote_permyriad(g, &home);
        }
        for (size_t i = 0; i < p->n_nodes; i++)
                if (p->nodes[i].id + 1 == g->memo->move_from)
                        return p->nodes[i].short_bytes;
        return 0;
}

void placement_begin_move(const Placement *p, PlacementGuest *g, MoveCause cause, const PlacementNode *from,
                          const MoveValue *v, uint64_t remote_before) {
        GuestMemo *m = g->memo;

        m->moved_usec = p->now_usec;
        m->move_cause = (unsigned)cause;
        if (from) {
                m->move_from = from->id + 1;
                move_note_left(p, m, from->id);
        }
        m->move_samples = 0;
        m->move_sum = m->move_predicted = 0;
        m->move_before = remote_before;
        if (is_of_load(cause)) {
                m->move_before = measure_wait(p, g, false);
                m->move_predicted = u64_sub(m->move_before, (uint64_t)MAX(v->wait, INT64_C(0)));
        } else if (cause == MOVE_SHORTAGE && from) {
                m->move_before = from->short_bytes;
                m->move_predicted = u64_sub(m->move_before, v->bytes);
        } else if (g->resident_bytes != UNKNOWN_U64 && cause == MOVE_REMOTE)
                m->move_predicted = u64_muldiv(m->unmovable_bytes, PERMYRIAD_FULL,
                                               MAX(g->resident_bytes, UINT64_C(1)));
        else if (!g->movable) {
                IdSet memory = placement_memory_nodes(p, g);

                m->move_predicted = placement_remote_permyriad(g, &memory);
        }
}

/* Of one that is paused nothing can be measured, for days perhaps: nobody waits for that. */
bool placement_unverified(const Placement *p) {
        for (size_t i = 0; i < p->n_guests; i++) {
                const PlacementGuest *g = &p->guests[i];

                if (g->memo && g->memo->move_cause > MOVE_REMOTE && g->managed && g->guest->state == GUEST_RUNNING)
                        return true;
        }
        return false;
}

static int format_measured(MoveCause cause, uint64_t value, char **ret) {
        char bytes[FORMAT_BYTES_MAX];

        if (cause == MOVE_SHORTAGE)
                return strprintf_to(ret, "%s", format_bytes_short(value, bytes));
        return strprintf_to(ret, "%" PRIu64 ".%" PRIu64 " %%", value / 100, value / 10 % 10);
}

static const char *subject(MoveCause cause) {
        if (is_of_load(cause))
                return "waiting on the nodes concerned, in time of one CPU, was";
        return cause == MOVE_SHORTAGE ? "what the node was short of was" : "its remote memory was";
}

static int describe(const Verdict *v, char **ret) {
        _cleanup_free_ char *before = NULL, *predicted = NULL, *after = NULL;
        int r;

        r = format_measured(v->cause, v->before, &before);
        if (r >= 0)
                r = format_measured(v->cause, v->predicted, &predicted);
        if (r >= 0)
                r = format_measured(v->cause, v->after, &after);
        if (r < 0)
                return r;
        return strprintf_to(ret, "%s %s before the move and is %s after it, %s expected", subject(v->cause), before,
                            after, predicted);
}

static int conclude(Placement *p, PlacementGuest *g) {
        _cleanup_free_ char *text = NULL;
        GuestMemo *m = g->memo;
        Verdict v = {
                .cause = (MoveCause)m->move_cause,
                .before = m->move_before,
                .predicted = m->move_predicted,
                .after = m->move_sum / VERIFY_SAMPLES,
        };
        int r;

        v.gained = v.after < v.before && v.before - v.after >= u64_sub(v.before, v.predicted) / 2;
        r = describe(&v, &text);
        if (r < 0)
                return r;
        v.text = text;
        r = plan_add_verdict(p->context->plan, g->guest, &v);
        if (r < 0)
                return r;
        m->move_cause = MOVE_NONE;
        m->moves = v.gained ? 0 : MIN(m->moves, UINT32_MAX - 1) + 1;
        return 0;
}

/* Its memory could not be sent after it in all this time: it stays, and the move is judged as it is. */
static void stop_waiting(const Placement *p, const PlacementGuest *g) {
        if (g->memo->move_waits && p->now_usec >= placement_cooldown_end(p, g))
                g->memo->move_waits = false;
}

static int verify(Placement *p, PlacementGuest *g) {
        GuestMemo *m = g->memo;

        if (m->user_pinned || placement_policy(g) == CPU_NONE || !memo_is_placed(m)) {
                m->move_cause = MOVE_NONE;
                m->move_waits = false;
                return 0;
        }
        stop_waiting(p, g);
        if (!g->managed || m->move_waits || g->guest->state != GUEST_RUNNING || placement_guest_moves(p, g) ||
            streq_ptr(p->context->moving_uuid, g->guest->uuid))
                return 0;
        if (m->move_ended_usec < m->moved_usec || m->move_ended_usec > p->now_usec)
                m->move_ended_usec = p->now_usec;
        /* What was measured until now is of before, or of the way. */
        if (u64_sub(p->now_usec, m->move_ended_usec) < p->context->snapshot->interval_usec ||
            m->move_sampled_usec == p->now_usec)
                return 0;
        m->move_sampled_usec = p->now_usec;
        m->move_sum = u64_add(m->move_sum, measure(p, g));
        m->move_samples++;
        return m->move_samples < VERIFY_SAMPLES ? 0 : conclude(p, g);
}

int placement_verify(Placement *p) {
        int r;

        if (p->context->only_uuid || p->context->snapshot->interval_usec == 0)
                return 0;
        for (size_t i = 0; i < p->n_guests; i++) {
                PlacementGuest *g = &p->guests[i];

                if (!g->memo || g->memo->move_cause == MOVE_NONE)
                        continue;
                r = verify(p, g);
                if (r < 0)
                        return r;
        }
        return 0;
}

void policy_move_ended(State *s, const char *uuid, uint64_t now_usec, uint64_t failed_bytes, int result) {
        GuestMemo *m = state_find_guest(s, uuid);

        if (!m)
                return;
        m->move_ended_usec = now_usec;
        /* Only a whole pass tells pinned pages from a full target. */
        if (result >= 0)
                m->unmovable_bytes = failed_bytes;
        else if (result == -ENOMEM)
                m->full_bytes = UNKNOWN_U64;
}

/* Every node that @g's memory goes to has no more than its share of the reserve. */
static bool targets_full(const Placement *p, const PlacementGuest *g) {
        IdSet memory = placement_memory_nodes(p, g);
        bool full = false;

        for (size_t i = 0; i < p->n_nodes; i++) {
                const PlacementNode *n = &p->nodes[i];

                if (!idset_contains(&memory, n->id))
                        continue;
                if (!n->memory_known || n->room_bytes > 0)
                        return false;
                full = true;
        }
        return full && !g->guest->hugepages;
}

static int watch_host(Placement *p) {
        const Host *h = &p->context->snapshot->host;
        char **cancel = &p->context->plan->cancel_move;
        char available[FORMAT_BYTES_MAX];

        if (h->psi_memory.full_permyriad != UNKNOWN_PERMYRIAD &&
            h->psi_memory.full_permyriad >= PRESSURE_FULL_PERMYRIAD)
                return strprintf_to(cancel, "the host is under memory pressure (full %u %%)",
                                    h->psi_memory.full_permyriad / 100);
        if (h->psi_memory.some_permyriad != UNKNOWN_PERMYRIAD &&
            h->psi_memory.some_permyriad >= PRESSURE_SOME_PERMYRIAD)
                return strprintf_to(cancel, "the host is under memory pressure (some %u %%)",
                                    h->psi_memory.some_permyriad / 100);
        if (h->memory.total_bytes > 0 && h->memory.available_bytes < policy_host_reserve(p->context))
                return strprintf_to(cancel, "the host has only %s available",
                                    format_bytes_short(h->memory.available_bytes, available));
        return 0;
}

static int watch_guest(Placement *p, const PlacementGuest *g) {
        char **cancel = &p->context->plan->cancel_move;
        const char *detail;
        SkipReason why;

        if (!policy_eligible(g->guest, ACTION_MOVE_MEMORY, &why, &detail) && why != SKIP_UNREACHABLE)
                return strprintf_to(cancel, "%s", detail);
        if (g->memo && (g->memo->user_pinned || !placement_follows_memory(g) || placement_policy(g) == CPU_NONE))
                return strprintf_to(cancel, "its memory is not asked to follow any more");
        if (g->memo && targets_full(p, g))
                return strprintf_to(cancel, "the target is down to its share of the host's reserve");
        return watch_host(p);
}

int placement_watch_move(Placement *p) {
        const char *uuid = p->context->moving_uuid;

        if (!uuid)
                return 0;
        for (size_t i = 0; i < p->n_guests; i++)
                if (streq(p->guests[i].guest->uuid, uuid))
                        return watch_guest(p, &p->guests[i]);
        return strprintf_to(&p->context->plan->cancel_move, "the guest is gone");
}
