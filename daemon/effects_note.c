/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What was done is so, before libvirt's own event or the next look at the host
 * says it. That look may fail, and what was seen last then stands: without this
 * it would be what was there before, as if somebody had put it back.
 */

#include "effects_internal.h"

/* Which they are, its XML will tell; how many, whoever puts back what is ours must know at once. */
static void note_vcpus(Guest *g, const char *value) {
        size_t want = strtoull(value, NULL, 10), online = guest_online_vcpus(g);

        for (size_t i = 0; i < g->n_vcpus && online < want; i++)
                if (!g->vcpus[i].online) {
                        g->vcpus[i].online = true;
                        online++;
                }
        for (size_t i = g->n_vcpus; i > 0 && online > want; i--)
                if (g->vcpus[i - 1].online) {
                        g->vcpus[i - 1].online = false;
                        online--;
                }
}

static void note_guest(Guest *g, const Action *a) {
        GuestThread *t = action_thread(g, a->kind, a->index);
        IdSet set;

        if (t && idset_parse(a->new_value, &set) >= 0) {
                t->pinned = true;
                t->pin = t->affinity = set;
        }
        if (a->kind == ACTION_SET_STATS_PERIOD)
                g->stats_period_sec = strtoull(a->new_value, NULL, 10);
        if (a->kind == ACTION_SET_VCPUS)
                note_vcpus(g, a->new_value);
        if (a->kind == ACTION_SET_MEMTUNE)
                policy_memtune_note(g, (MemtuneKnob)a->index, a->new_value);
}

void effects_note(Manager *m, const Action *a) {
        Guest *g = snapshot_find_guest(m->snapshot, a->uuid);

        if (g)
                note_guest(g, a);
        if (a->kind == ACTION_SET_KSM && m->snapshot->host.ksm.present)
                policy_ksm_note(&m->snapshot->host.ksm, (KsmKnob)a->index, a->new_value);
}

/* The call was made and came to its end, whatever became of it; -EBUSY: it was not made. */
void effects_note_answer(GuestSlot *slot, ActionKind kind, int result) {
        if (!slot || !effects_is_call(kind))
                return;
        if (!effects_is_uncertain(result))
                slot->calls_unanswered = slot->calls_unanswered && result == -EBUSY;
        /* A guest that keeps its vCPU has libvirt say so in the same way. */
        else if (kind != ACTION_SET_VCPUS)
                slot->calls_unanswered = true;
}

/* How many are; none is any more. */
static size_t take_open(State *s) {
        size_t n = 0;

        for (size_t i = 0; i < s->n_guests; i++) {
                n += s->guests[i].calls_open;
                s->guests[i].calls_open = false;
        }
        return n;
}

static void note_open(const Manager *m, GuestMemo *memo, size_t *n) {
        *n += !memo->calls_open;
        memo->calls_open = true;
        memo->calls_open_usec = m->snapshot->now_usec;
}

/* What was open when a guest stopped answering is so until it answers again. Of vCPUs there is a note. */
static void note_slot(Manager *m, const GuestSlot *slot, size_t *n) {
        GuestMemo *memo;

        if (!slot->calls_unanswered && !slot->unresponsive)
                return;
        memo = state_find_guest(m->state, slot->uuid);
        if (memo && (slot->calls_unanswered || memo->vcpus_target != 0 ||
                     policy_calls_open(memo, m->snapshot->now_usec)))
                note_open(m, memo, n);
}

void effects_note_open(Manager *m) {
        size_t before = take_open(m->state), n = 0;

        for (size_t i = 0; i < m->n_pending; i++) {
                const Action *a = &m->pending[i].action;
                GuestMemo *memo = effects_is_call(a->kind) ? state_find_guest(m->state, a->uuid) : NULL;

                if (memo)
                        note_open(m, memo, &n);
        }
        for (size_t i = 0; i < m->n_slots; i++)
                note_slot(m, &m->slots[i], &n);
        m->state_dirty = m->state_dirty || n < before;
}

void effects_forget_left(Manager *m) {
        for (size_t i = 0; i < m->state->n_guests; i++)
                m->state->guests[i].calls_left = false;
}

void effects_note_left(Manager *m) {
        for (size_t i = 0; i < m->state->n_guests; i++) {
                GuestMemo *memo = &m->state->guests[i];

                if (!memo->calls_open)
                        continue;
                memo->calls_open = false;
                memo->calls_left = true;
                memo->calls_open_usec = manager_now(m);
                m->state_dirty = true;
        }
}
