/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * An interval: events and starts at its beginning (a start is decided on at
 * once, as in the daemon); then it passes: CPU time, pages touched, pages
 * moved; at its end the tuner looks.
 */

#include "sim.h"

const char *tuner_name(TunerKind kind) {
        static const char *const names[_TUNER_MAX] = { "none", "kernel", "numad", "hand", "kvmtuned" };

        return names[kind];
}

void sim_story(const Sim *s, const char *format, ...) {
        va_list ap;

        if (!s->verbose)
                return;
        (void)printf("# %4u ", s->cycle);
        va_start(ap, format);
        (void)vprintf(format, ap);
        va_end(ap);
        (void)putchar('\n');
}

static bool is_engine(const Sim *s) {
        return s->tuner == TUNER_KVMTUNED;
}

/* A CPU that is neither what we gave nor what was there: only then can anybody tell whose pin it is. */
static int users_cpu(const Sim *s, const SimGuest *g, const SimThread *t) {
        const Owned *o = is_engine(s) ? state_find_owned(s->engine.state, t->kind, g->uuid, t->index) : NULL;
        IdSet all = idset_minus(&s->snapshot->topology->online, &s->machine->isolated);

        if (idset_count(&all) < 2)
                return -1;
        IDSET_FOREACH(cpu, &all) {
                char text[16];

                (void)snprintf(text, sizeof(text), "%d", cpu);
                if (!o || (!streq(text, o->ours) && !streq(text, o->original) && !streq_ptr(text, o->previous)))
                        return cpu;
        }
        return -1;
}

static void pin_by_user(Sim *s, SimGuest *g) {
        SimThread *t = &g->threads[0];
        IdSet one;
        int cpu;

        /* A pin of ours that is under way would be set over the user's, and nobody could tell. */
        if (is_engine(s))
                engine_finish_pending(s);
        cpu = users_cpu(s, g, t);
        if (cpu < 0 || t->users)
                return;
        one = idset_of((unsigned)cpu);
        sim_set_mask(s, t, &one);
        t->users = true;
        g->seen->vcpus[0].pinned = true;
        g->seen->vcpus[0].pin = one;
        g->forced_usec = s->snapshot->now_usec;
        sim_story(s, "the user pins vCPU 0 of %s to %d", g->name, cpu);
}

static void set_cpu(Sim *s, unsigned cpu, bool online) {
        if (idset_contains(&s->snapshot->topology->online, cpu) == online ||
            (!online && idset_count(&s->snapshot->topology->online) < 3))
                return;
        sim_story(s, "CPU %u goes %s", cpu, online ? "online" : "offline");
        sim_set_cpu_online(s, cpu, online);
        for (size_t i = 0; i < s->n_guests; i++)
                s->guests[i].forced_usec = s->snapshot->now_usec;
}

static void happen(Sim *s, const SimEvent *e) {
        SimGuest *g = e->kind < EVENT_CPU_OFF ? &s->guests[e->what] : NULL;

        if (g && !g->running)
                return;
        if (e->kind < EVENT_USER_PIN)
                sim_story(s, "%s: %s", g->name, (const char *[]){ "paused", "resumes", "migrates", "stays" }[e->kind]);
        switch (e->kind) {
        case EVENT_PAUSE:
        case EVENT_RESUME:
                g->paused = e->kind == EVENT_PAUSE;
                break;
        case EVENT_MIGRATE:
        case EVENT_MIGRATED:
                g->migrating = e->kind == EVENT_MIGRATE;
                break;
        case EVENT_USER_PIN:
                pin_by_user(s, g);
                break;
        case EVENT_CPU_OFF:
        case EVENT_CPU_ON:
                set_cpu(s, e->what, e->kind == EVENT_CPU_ON);
                break;
        default:
                if (is_engine(s))
                        engine_restart(s);
        }
}

/* Ran for long before anybody looked: its memory is anywhere. */
static void scatter(Sim *s, SimGuest *g) {
        uint64_t left = (uint64_t)((double)g->max_bytes * g->touched), seed = s->seed ^ g->start_usec;

        for (unsigned round = 0; round < 64 && left >= MIB; round++) {
                size_t node = (size_t)(sim_hash_unit(seed, (uint64_t)(g - s->guests), round) *
                                       (double)s->machine->n_nodes);
                uint64_t part = MIN(MAX(left / 3, 64 * MIB), left);

                if (g->numatune == NUMATUNE_STRICT && !idset_contains(&g->numatune_nodes, s->machine->nodes[node].id))
                        continue;
                part = MIN(part, u64_sub(s->node_free[node], s->node_total[node] / 50));
                g->node_bytes[node] += part;
                s->node_free[node] -= part;
                left -= part;
        }
}

static void starts_and_ends(Sim *s) {
        uint64_t now = s->snapshot->now_usec;

        for (size_t i = 0; i < s->n_guests && !s->violation; i++) {
                SimGuest *g = &s->guests[i];

                if (g->running && g->stop_usec <= now)
                        sim_stop_guest(s, g);
                if (g->running || g->start_usec > now || g->start_usec + s->step_usec <= now || g->stop_usec <= now)
                        continue;
                sim_start_guest(s, g);
                if (now == s->begin_usec) {
                        scatter(s, g);
                        g->seen->starting = g->new = false;
                        continue;
                }
                if (!is_engine(s))
                        peer_started(s, g);
                else {
                        sim_observe(s);
                        engine_started(s, g);
                }
        }
}

static void pass(Sim *s) {
        sim_schedule(s);
        sim_touch(s);
        sim_mover_run(s);
        s->snapshot->now_usec += s->step_usec;
        s->snapshot->interval_usec = s->step_usec;
        for (size_t i = 0; i < s->n_guests; i++) {
                if (!s->guests[i].running)
                        continue;
                s->guests[i].seen->starting = s->guests[i].new;
                s->guests[i].new = false;
        }
}

/* New masks count at once: a thread leaves a CPU it may not use. */
static void look(Sim *s) {
        if (is_engine(s))
                engine_cycle(s);
        else
                peer_cycle(s);
}

void sim_run(Sim *s) {
        s->snapshot->now_usec = s->begin_usec;
        if (is_engine(s))
                engine_begin(s);
        for (s->cycle = 1; s->snapshot->now_usec < s->end_usec && !s->violation; s->cycle++) {
                while (s->next_event < s->n_events &&
                       s->events[s->next_event].usec <= s->snapshot->now_usec)
                        happen(s, &s->events[s->next_event++]);
                if (!s->violation)
                        starts_and_ends(s);
                if (s->violation)
                        return;
                pass(s);
                look(s);
        }
        if (s->violation || !is_engine(s))
                return;
        engine_stop(s);
        if (!s->violation && s->n_events == 0)
                check_restored(s);
}

void sim_done(Sim *s) {
        if (s->tuner == TUNER_KVMTUNED)
                engine_done(s);
        else
                config_free(s->engine.config);
        for (size_t i = 0; i < s->n_guests; i++)
                sim_guest_done(&s->guests[i]);
        free(s->guests);
        free(s->cpu_load);
        free(s->node_total);
        free(s->node_free);
        snapshot_free(s->snapshot);
        topology_free(s->machine);
        free(s->violation);
}
