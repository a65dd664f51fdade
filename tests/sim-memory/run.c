/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A step: events, starts and ends (a start is decided on at once, as in the
 * daemon); guests, their balloons and their reports; merging; the host; the
 * daemon, when its time has come.
 */

#include "memsim.h"

/* What a guest may swap out while memory is on its way to it. */
#define HURT_BYTES (64 * MIB)

void mem_story(const MemSim *s, const char *format, ...) {
        va_list ap;

        if (!s->verbose)
                return;
        (void)printf("# %5llu s ", (unsigned long long)((mem_now(s) - s->begin_usec) / USEC_PER_SEC));
        va_start(ap, format);
        (void)vprintf(format, ap);
        va_end(ap);
        (void)putchar('\n');
}

void mem_violation(MemSim *s, const char *format, ...) {
        char text[1024];
        va_list ap;

        if (s->violation || s->unchecked)
                return;
        va_start(ap, format);
        (void)vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        if (strprintf_to(&s->violation, "after %llu s: %s",
                         (unsigned long long)((mem_now(s) - s->begin_usec) / USEC_PER_SEC), text) < 0)
                abort();
        mem_story(s, "VIOLATION %s", text);
}

static void starts_and_ends(MemSim *s) {
        uint64_t now = mem_now(s);

        for (size_t i = 0; i < s->n_guests && !s->violation; i++) {
                MemGuest *g = &s->guests[i];

                if (g->running && g->stop_usec <= now)
                        mem_stop_guest(s, g);
                if (g->running || g->start_usec > now || g->start_usec + STEP_USEC <= now || g->stop_usec <= now)
                        continue;
                mem_start_guest(s, g);
                if (s->tuned)
                        mem_engine_started(s, g);
        }
}

static void tell(const MemSim *s) {
        if (!s->verbose || (mem_now(s) - s->begin_usec) % (30 * USEC_PER_SEC) != 0)
                return;
        for (size_t i = 0; i < s->n_guests; i++) {
                const MemGuest *g = &s->guests[i];

                if (g->running)
                        mem_story(s, "     %-8s balloon %6llu -> %6llu  anon %6llu swapped %5llu cache %6llu usable %6llu "
                                  "touched %6llu", g->name, (unsigned long long)(g->balloon / MIB),
                                  (unsigned long long)(g->target / MIB), (unsigned long long)(g->anon_bytes / MIB),
                                  (unsigned long long)(g->swapped_bytes / MIB),
                                  (unsigned long long)(g->cache_bytes / MIB),
                                  (unsigned long long)(mem_guest_usable(g) / MIB),
                                  (unsigned long long)(g->touched / MIB));
        }
        mem_story(s, "     host     available %llu processes %llu cache %llu swapped %llu saved by merging %llu",
                  (unsigned long long)(mem_host_available(s) / MIB),
                  (unsigned long long)(mem_curve(&s->host.processes, mem_now(s)) / MIB),
                  (unsigned long long)(s->host.cache / MIB), (unsigned long long)(s->host.swap_used / MIB),
                  (unsigned long long)(s->merge.saved / MIB));
}

static void step(MemSim *s) {
        s->snapshot->now_usec += STEP_USEC;
        for (size_t i = 0; i < s->n_guests; i++) {
                mem_guest_step(s, &s->guests[i]);
                mem_balloon_step(s, &s->guests[i]);
                mem_report_step(s, &s->guests[i]);
        }
        mem_merge_step(s);
        mem_host_step(s);
        mem_check_step(s);
        tell(s);
        if (s->tuned && !s->violation)
                mem_engine_step(s);
}

static void sum_up(MemSim *s) {
        s->metrics.feasible += s->gentle && s->feasible;
        s->metrics.swapped_out = s->host.swapped_out;
        for (size_t i = 0; i < s->n_guests; i++) {
                const MemGuest *g = &s->guests[i];

                s->metrics.distress_usec += g->distress_total_usec;
                s->metrics.guest_swapped_out += g->swap_out;
                s->metrics.hurt_guests += g->oom > 0 || g->swap_out > HURT_BYTES || g->distress_longest_usec > USEC_PER_MINUTE;
        }
}

void mem_run(MemSim *s) {
        if (s->tuned)
                mem_engine_begin(s);
        while (mem_now(s) < s->end_usec && !s->violation) {
                while (s->next_event < s->n_events && s->events[s->next_event].usec <= mem_now(s))
                        mem_happen(s, &s->events[s->next_event++]);
                starts_and_ends(s);
                if (!s->violation)
                        step(s);
        }
        sum_up(s);
        if (s->violation || !s->tuned)
                return;
        mem_engine_stop(s);
        if (!s->violation)
                mem_check_restored(s);
}

void mem_done(MemSim *s) {
        mem_engine_done(s);
        snapshot_free(s->snapshot);
        free(s->guests);
        free(s->violation);
}
