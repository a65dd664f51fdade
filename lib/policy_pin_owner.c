/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_placement.h"
#include "state_memo.h"

/*
 * Whose pins they are.
 *
 * A pin that libvirt has for a thread, that is narrower than what every thread
 * may use anyway, and that kvmtuned does not own, is the user's: the guest is
 * left alone from then on. The same holds when a pin we own was changed by
 * somebody else. Not a change by somebody else:
 *
 *   - the kernel dropped offline CPUs from a thread, or cpusets did not grow
 *     again when CPUs came back: libvirt's pin is still ours and the thread
 *     may use a part of it; the pin is set again;
 *   - the thread still has its original pin shortly after we decided, or while
 *     libvirt has not answered a call about this guest, or shortly after that:
 *     our change may be on its way; it is set again. A call that was given up
 *     counts as not answered until another one is;
 *   - the thread has its original pin when a guest is looked at for the first
 *     time after a restart: the change was recorded, and the process ended
 *     before it was made. What is recorded is void, the pin is decided anew.
 *     (Somebody may have put it back while nobody watched; that cannot be told
 *     apart.) Unless the process ended while it waited for libvirt, which
 *     carries on without it: then the call counts as open from the restart on.
 *
 * A guest left to the user keeps the pin somebody changed; its other pins are
 * given back, at once or as soon as that can be done. As long as a call about
 * the guest is open its pins stay on record: ours may yet come on top of theirs,
 * and is then given back, too.
 */

/* A pin that nobody waits for any more is done, or will not be, after this long. */
#define PIN_GRACE_USEC USEC_PER_MINUTE

size_t placement_threads(const Guest *g) {
        return g->n_vcpus + 1 + g->n_iothreads;
}

ThreadRef placement_thread(const Guest *g, size_t i) {
        if (i < g->n_vcpus)
                return (ThreadRef){ ACTION_PIN_VCPU, g->vcpus[i].id, &g->vcpus[i] };
        if (i == g->n_vcpus)
                return (ThreadRef){ ACTION_PIN_EMULATOR, 0, &g->emulator };
        i -= g->n_vcpus + 1;
        return (ThreadRef){ ACTION_PIN_IOTHREAD, g->iothreads[i].id, &g->iothreads[i] };
}

IdSet placement_default_cpus(const Placement *p) {
        return idset_minus(&p->topology->online, &p->topology->isolated);
}

static bool is_narrow(const Placement *p, const IdSet *pin) {
        IdSet all = placement_default_cpus(p);

        return !idset_is_subset(&all, pin);
}

const Owned *placement_owned(const Placement *p, const Guest *g, const ThreadRef *ref) {
        return state_find_owned(p->context->state, ref->kind, g->uuid, ref->index);
}

void placement_first_sight(Placement *p, PlacementGuest *g) {
        const Guest *guest = g->guest;

        if (g->memo->pins_seen)
                return;
        g->memo->pins_seen = true;
        if (guest->vcpu_cpuset_set && !guest->vcpu_placement_auto && is_narrow(p, &guest->vcpu_cpuset))
                g->memo->user_pinned = true;
        for (size_t i = 0; i < placement_threads(guest); i++) {
                ThreadRef ref = placement_thread(guest, i);

                if (ref.thread->pinned && is_narrow(p, &ref.thread->pin) && !placement_owned(p, guest, &ref))
                        g->memo->user_pinned = true;
        }
}

static bool is_recent(uint64_t usec, uint64_t now_usec) {
        return usec != 0 && now_usec - usec < PIN_GRACE_USEC;
}

bool policy_calls_open(const GuestMemo *memo, uint64_t now_usec) {
        return is_recent(memo->calls_open_usec, now_usec);
}

bool placement_in_grace(const Placement *p, const PlacementGuest *g) {
        return is_recent(g->memo->placed_usec, p->now_usec) || policy_calls_open(g->memo, p->now_usec);
}

static IdSet online_part(const Placement *p, const IdSet *set) {
        return idset_and(set, &p->topology->online);
}

static bool holds(const Placement *p, const char *text, const IdSet *set) {
        IdSet given, now = online_part(p, set);

        if (!text || idset_parse(text, &given) < 0)
                return false;
        if (idset_equal(&given, set))
                return true;
        given = online_part(p, &given);
        return !idset_is_empty(&given) && idset_equal(&given, &now);
}

/* Whether @set is what @owned was given, now or before. */
static bool set_is_ours(const Placement *p, const Owned *owned, const IdSet *set) {
        return holds(p, owned->ours, set) || holds(p, owned->previous, set);
}

static bool names_set(const char *text, const IdSet *set) {
        IdSet given;

        return text && idset_parse(text, &given) == 0 && idset_equal(&given, set);
}

/* libvirt's record of a pin does not shrink with the CPUs that are online. */
static bool pin_is_ours(const Owned *owned, const IdSet *pin) {
        return names_set(owned->ours, pin) || names_set(owned->previous, pin);
}

static bool same_online(const Topology *topology, const IdSet *a, const IdSet *b) {
        IdSet one = idset_and(a, &topology->online), other = idset_and(b, &topology->online);

        return idset_equal(&one, &other);
}

/*
 * One that is narrower than the original is somebody's, though it is all of it that is online. It may be wider by CPUs
 * that are offline: from what the kernel allows they could not be seen.
 */
static bool pin_is_original(const Topology *topology, const Owned *owned, const IdSet *pin) {
        IdSet original;

        return idset_parse(owned->original, &original) == 0 && idset_is_subset(&original, pin) &&
               same_online(topology, &original, pin);
}

bool policy_pin_on_record(const Topology *topology, const Owned *owned, const IdSet *pin) {
        return pin_is_ours(owned, pin) || pin_is_original(topology, owned, pin);
}

bool placement_at_original(const Placement *p, const Owned *owned, const GuestThread *t) {
        IdSet original;

        if (idset_parse(owned->original, &original) < 0 ||
            (t->pinned && !pin_is_original(p->topology, owned, &t->pin)))
                return false;
        return idset_is_empty(&t->affinity) || same_online(p->topology, &original, &t->affinity);
}

static bool part_of_ours(const Owned *owned, const IdSet *set) {
        IdSet ours;

        return idset_parse(owned->ours, &ours) == 0 && idset_is_subset(set, &ours);
}

/* All its CPUs went offline: the kernel had to let the thread run elsewhere. */
static bool is_homeless(const Placement *p, const GuestThread *t, const Owned *owned) {
        IdSet given = t->pin;

        if (!t->pinned && idset_parse(owned->ours, &given) < 0)
                return false;
        given = online_part(p, &given);
        return idset_is_empty(&given);
}

bool placement_taken_over(const Placement *p, const PlacementGuest *g, const Owned *owned, const GuestThread *t) {
        IdSet allowed = online_part(p, &t->affinity);
        bool known = !idset_is_empty(&allowed);

        if (known && set_is_ours(p, owned, &allowed) && (!t->pinned || pin_is_ours(owned, &t->pin)))
                return false;
        if (t->pinned && pin_is_ours(owned, &t->pin))
                return known && !is_homeless(p, t, owned) && !part_of_ours(owned, &allowed);
        if (!t->pinned && is_homeless(p, t, owned))
                return false;
        return !(placement_in_grace(p, g) && placement_at_original(p, owned, t));
}

void placement_let_go(Placement *p, const PlacementGuest *g, const ThreadRef *ref) {
        if (!policy_calls_open(g->memo, p->now_usec))
                state_disown(p->context->state, ref->kind, g->guest->uuid, ref->index);
}

static int leave_to_user(Placement *p, PlacementGuest *g, const ThreadRef *ref, SkipReason why) {
        const char *who = why == SKIP_TAKEN_OVER ? "somebody else changed a pin kvmtuned had set"
                                                 : "it is pinned by somebody else";

        placement_let_go(p, g, ref);
        g->memo->user_pinned = true;
        memo_drop_nodes(g->memo);
        memo_drop_cpus(g->memo);
        g->managed = false;
        return plan_add_skip(p->context->plan, ref->kind, g->guest, why, "%s: its pins are left alone", who);
}

int placement_check_thread(Placement *p, PlacementGuest *g, const ThreadRef *ref) {
        const Owned *owned = placement_owned(p, g->guest, ref);
        int r;

        if (!owned) {
                if (!ref->thread->pinned || !is_narrow(p, &ref->thread->pin))
                        return 0;
                r = leave_to_user(p, g, ref, SKIP_USER_PIN);
                return r < 0 ? r : 1;
        }
        if (g->memo->adopted && placement_at_original(p, owned, ref->thread)) {
                placement_let_go(p, g, ref);
                return 0;
        }
        if (!placement_taken_over(p, g, owned, ref->thread))
                return 0;
        r = leave_to_user(p, g, ref, SKIP_TAKEN_OVER);
        return r < 0 ? r : 1;
}

bool placement_owns_nodeset(const Placement *p, const Guest *g) {
        const Owned *owned = state_find_owned(p->context->state, ACTION_SET_NODESET, g->uuid, 0);
        const IdSet *nodes = &g->numatune_nodes;

        return owned && (pin_is_ours(owned, nodes) || names_set(owned->original, nodes));
}

void placement_check_nodeset(Placement *p, const PlacementGuest *g) {
        const Owned *owned = state_find_owned(p->context->state, ACTION_SET_NODESET, g->guest->uuid, 0);

        if (owned && names_set(owned->original, guest_nodeset(g->guest)) && !policy_calls_open(g->memo, p->now_usec))
                state_disown(p->context->state, ACTION_SET_NODESET, g->guest->uuid, 0);
}
