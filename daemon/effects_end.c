/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How an action ends, at once or when libvirt, the kernel or the mover has
 * answered: what is ours by then, and when it may be tried again.
 */

#include "effects_internal.h"

#include "log.h"

/* After a failure: 30 s, doubling to 32 minutes. */
#define RETRY_USEC (30 * USEC_PER_SEC)
#define RETRY_DOUBLINGS 6U

/* Of two calls that wait for the same guest libvirt may make the later one first, and ours is not the earlier. */
static bool may_be_undone(const Manager *m, const Action *a) {
        const GuestMemo *memo = effects_is_call(a->kind) ? state_find_guest(m->state, a->uuid) : NULL;

        return effects_is_giving_back(m) && memo && memo->calls_left &&
               policy_calls_open(memo, m->snapshot->now_usec);
}

static void note_restored(Manager *m, const Action *a) {
        if (may_be_undone(m, a)) {
                m->again_due = true;
                return;
        }
        m->counters.restored++;
        state_disown(m->state, a->kind, a->uuid, a->index);
        m->state_dirty = true;
}

static void note_success(Manager *m, const Action *a, bool recorded) {
        const Owned *o = state_find_owned(m->state, a->kind, a->uuid, a->index);
        GuestSlot *slot = effects_slot(m, a->uuid);

        if (!o && recorded)
                effects_own_again(m, a);
        if (slot && slot->retry_usec[a->kind] <= manager_now(m))
                slot->failures[a->kind] = 0;
        m->counters.done[a->kind]++;
        /* Of a balloon that runs on, the policy says when it is there. */
        if (o && streq(o->original, a->new_value) && (a->kind != ACTION_SET_BALLOON || effects_is_giving_back(m)))
                note_restored(m, a);
        effects_note(m, a);
        if (a->kind == ACTION_SET_NODESET && snapshot_find_guest(m->snapshot, a->uuid))
                (void)virt_refresh(m->virt, a->uuid);
}

/* libvirt announces neither vCPUs that come or go nor limits; what was refused may still have changed something. */
static void look_again(Manager *m, const Action *a) {
        if (a->kind != ACTION_SET_VCPUS && a->kind != ACTION_SET_MEMTUNE)
                return;
        if (snapshot_find_guest(m->snapshot, a->uuid))
                (void)virt_refresh(m->virt, a->uuid);
}

/* Of a guest that is gone nothing is to be put back; the event that says so may still be on its way. */
static bool went_with_its_guest(const Manager *m, const Action *a, int result) {
        return effects_is_giving_back(m) && a->uuid[0] != '\0' && (result == -ENOENT || result == -ESRCH);
}

/* Said once of each guest, not of each of its knobs. */
static void note_gone(Manager *m, const Action *a) {
        GuestSlot *slot = effects_slot(m, a->uuid);

        state_disown(m->state, a->kind, a->uuid, a->index);
        m->state_dirty = true;
        if (slot && !slot->gone)
                log_message(LOG_INFO, "%s: is gone; what was changed of it went with it", a->guest ?: a->uuid);
        if (slot)
                slot->gone = true;
}

/* The kernel had no huge page for a pool: that one waits (policy_pool_ended()), and those of other nodes need not. */
static bool waits_by_itself(const Action *a, int result) {
        return a->kind == ACTION_SET_HUGEPAGES && result == -ENOMEM;
}

static void note_failure(Manager *m, const Action *a, int result, bool recorded) {
        GuestSlot *slot = effects_slot(m, a->uuid);
        uint64_t now = manager_now(m);

        m->counters.failed[a->kind]++;
        if (recorded && !effects_is_uncertain(result))
                effects_unown(m, a);
        /* Counted once for a whole batch, and not where libvirt is the one that fails. */
        if (!slot || effects_is_uncertain(result) || result == -EBUSY || waits_by_itself(a, result) ||
            slot->retry_usec[a->kind] > now)
                return;
        slot->retry_usec[a->kind] = now + (RETRY_USEC << MIN(slot->failures[a->kind], RETRY_DOUBLINGS));
        slot->failures[a->kind]++;
}

void effects_finish(Manager *m, const Action *a, uint64_t cycle, bool recorded, int result, const char *text) {
        if (went_with_its_guest(m, a, result)) {
                note_gone(m, a);
                return;
        }
        effects_note_answer(effects_slot(m, a->uuid), a->kind, result);
        if (result >= 0)
                note_success(m, a, recorded);
        else
                note_failure(m, a, result, recorded);
        look_again(m, a);
        effects_log_action(m, a, cycle, result, text, false);
}

void effects_end_pending(Manager *m, size_t i, int result, const char *text) {
        Pending p = m->pending[i];

        memmove(&m->pending[i], &m->pending[i + 1], (m->n_pending - i - 1) * sizeof(*m->pending));
        m->n_pending--;
        effects_finish(m, &p.action, p.cycle, p.recorded, result, text);
        if (p.action.kind == ACTION_SET_NODESET)
                effects_release_move(m, p.action.uuid, result);
        action_done(&p.action);
}

static void all_answered(Manager *m) {
        if (m->n_pending > 0)
                return;
        if (m->state_dirty)
                (void)effects_save_state(m);
        manager_settled(m);
}

void effects_done(Manager *m, uint64_t cookie, int result, const char *text) {
        for (size_t i = 0; i < m->n_pending; i++)
                if (m->pending[i].cookie == cookie) {
                        effects_end_pending(m, i, result, text);
                        break;
                }
        all_answered(m);
}

void effects_fail_all(Manager *m, int result) {
        size_t i = 0;

        while (i < m->n_pending)
                if (effects_is_call(m->pending[i].action.kind)) {
                        effects_end_pending(m, i, result, "the connection to libvirt was lost");
                        i = 0;
                } else
                        i++;
        all_answered(m);
}
