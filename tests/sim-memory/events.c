/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What happens beside demand. */

#include "memsim.h"

void mem_add_event(MemSim *s, uint64_t usec, EventKind kind, unsigned guest, uint64_t value) {
        size_t at = s->n_events;

        if (s->n_events == EVENTS_MAX)
                return;
        while (at > 0 && s->events[at - 1].usec > usec) {
                s->events[at] = s->events[at - 1];
                at--;
        }
        s->events[at] = (MemEvent){ usec, kind, guest, value };
        s->n_events++;
}

/* Between two requests of kvmtuned's, and elsewhere than it has put it: then anybody can tell. */
static bool can_be_told(const MemSim *s, const MemGuest *g, uint64_t bytes) {
        const Owned *o = s->tuned ? state_find_owned(s->engine.state, ACTION_SET_BALLOON, g->uuid, 0) : NULL;
        const GuestMemo *m = s->tuned ? state_find_guest(s->engine.state, g->uuid) : NULL;

        return o && m && m->balloon_target_bytes == 0 && g->target == g->balloon && g->device == DEVICE_WORKS &&
                g->device_latency_usec <= USEC_PER_SEC &&
                (bytes > g->balloon + 8 * MIB || bytes + 8 * MIB < g->balloon) &&
                mem_guest_free(g) > u64_sub(g->balloon, bytes) + 2 * mem_guest_watermark(g);
}

static void user_sets(MemSim *s, MemGuest *g, uint64_t bytes) {
        /* A request that is under way would be set over the user's, and nobody could tell. */
        mem_engine_finish_pending(s);
        if (can_be_told(s, g, bytes))
                g->users_usec = mem_now(s);
        g->touched_by_user = g->target_is_users = true;
        mem_balloon_set(s, g, bytes);
}

void mem_happen(MemSim *s, const MemEvent *e) {
        static const char *const names[_EVENT_MAX] = {
                "is paused", "resumes", "migrates", "stays", "reboots", "is set by the user to",
                "has its period set by the user to", "is there when kvmtuned is killed;",
        };
        MemGuest *g = &s->guests[e->guest];

        if (!g->running)
                return;
        mem_story(s, "%s %s %llu", g->name, names[e->kind], (unsigned long long)e->value);
        switch (e->kind) {
        case EVENT_PAUSE:
        case EVENT_RESUME:
                g->paused = e->kind == EVENT_PAUSE;
                break;
        case EVENT_MIGRATE:
        case EVENT_MIGRATED:
                g->migrating = e->kind == EVENT_MIGRATE;
                break;
        case EVENT_REBOOT:
                mem_guest_reset(s, g);
                break;
        case EVENT_USER_SETS:
                user_sets(s, g, e->value);
                break;
        case EVENT_USER_PERIOD:
                g->period_is_users = true;
                g->seen->stats_period_sec = e->value;
                break;
        default:
                if (s->tuned)
                        mem_engine_restart(s);
        }
}
