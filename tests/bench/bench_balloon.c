/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What one memory decision costs: policy_decide() with balloons in each mode
 * and nothing else, on a host that is short of memory, so that every guest is
 * judged, shared and written into the plan. Prints the best of several, in
 * milliseconds; the aim is 2 ms for 1,000 guests.
 */

#include <stdio.h>
#include <time.h>

#include "../../lib/policy.h"

#define REPEATS 7

static const char *const modes[] = { "auto", "pve", "mom", "proportional" };

static double now_msec(void) {
        struct timespec ts;

        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
        return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static int add_guest(Snapshot *s, size_t i) {
        _cleanup_(guest_freep) Guest *g = NULL;
        char name[32];
        int r;

        (void)snprintf(name, sizeof(name), "guest-%zu", i);
        r = guest_new(name, NULL, &g);
        if (r < 0)
                return r;
        g->max_bytes = g->current_bytes = (2 + i % 7) * GIB;
        g->rss_bytes = g->max_bytes - GIB / 2;
        g->balloon_device = true;
        g->stats_period_sec = 10;
        g->stats = (BalloonStats){ .unused_bytes = GIB / 2 + i % 500 * MIB, .usable_bytes = GIB + i % 500 * MIB,
                                   .available_bytes = g->max_bytes - 100 * MIB, .age_usec = USEC_PER_SEC };
        r = snapshot_put_guest(s, g);
        if (r >= 0)
                TAKE_PTR(g);
        return r;
}

static int build(size_t n, Snapshot **ret) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        int r;

        r = snapshot_new(&s);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = add_guest(s, i);
        if (r < 0)
                return r;
        s->now_usec = USEC_PER_HOUR;
        s->interval_usec = 10 * USEC_PER_SEC;
        s->host.memory = (HostMemory){ .total_bytes = n * 5 * GIB, .available_bytes = n * GIB / 8,
                                       .free_bytes = n * GIB / 8 };
        *ret = TAKE_PTR(s);
        return 0;
}

static int run(const char *mode, size_t n) {
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        _cleanup_(state_freep) State *state = NULL;
        _cleanup_free_ char *error = NULL, *text = NULL;
        PolicyInput in = { 0 };
        double best = 1e9;
        size_t actions = 0;
        int r;

        r = strprintf_to(&text, "cpu: { policy = \"none\"; };\nballoon: { mode = \"%s\"; minimum = \"25 %%\"; };",
                         mode);
        if (r >= 0)
                r = config_load_text("bench", text, &config, &error);
        if (r >= 0)
                r = build(n, &s);
        if (r >= 0)
                r = state_new(&state);
        in.config = config;
        in.snapshot = s;
        for (int i = 0; r >= 0 && i < REPEATS; i++) {
                _cleanup_(plan_freep) Plan *plan = NULL;
                double t = now_msec();

                r = policy_decide(&in, state, &plan);
                t = now_msec() - t;
                /* The first one makes a memo for each guest. */
                if (i > 0 && t < best)
                        best = t;
                actions = plan ? plan->n_actions : 0;
                s->now_usec += 10 * USEC_PER_SEC;
        }
        if (r >= 0)
                (void)printf("%-14s %8zu %10.2f %10zu\n", mode, n, best, actions);
        return r;
}

int main(void) {
        static const size_t sizes[] = { 100, 1000, 10000 };

        (void)printf("one memory decision on a host that is short of memory\n%-14s %8s %10s %10s\n", "balloon.mode",
                     "guests", "ms", "actions");
        for (size_t m = 0; m < ELEMENTSOF(modes); m++)
                for (size_t i = 0; i < ELEMENTSOF(sizes); i++)
                        if (run(modes[m], sizes[i]) < 0)
                                return 1;
        return 0;
}
