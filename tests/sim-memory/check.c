/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What must hold, whatever guests and host do.
 *
 * Of each decision:
 *   - it is bounded: at most two changes a guest and one of each knob of KSM;
 *   - no guest gets more than its maximum, none is shrunk below its minimum;
 *   - nothing is done to a guest that is paused, migrating, without a driver,
 *     whose memory a balloon cannot give back, or whose balloon is somebody
 *     else's;
 *   - no guest is shrunk that says it is in distress, or has been since before its last report (for a minute, where
 *     its driver does not know MemAvailable), none whose statistics are stale;
 *   - who is in distress gets memory in this decision, before anybody else does, when the host has any; when not, it
 *     is at least not left to go on down;
 *   - what is promised is there: what guests may still take, once all are where they were sent, is at most what the
 *     host has available beyond its reserve. When memory is given to who is neither in distress nor to have a fixed
 *     target, that includes what the guests under control were left with and have never touched;
 *   - the same snapshot once more: nothing to do.
 *
 * At any time: sizes within minimum and maximum; no guest in distress waits
 * longer than a minute for memory that the host has; the host does not swap
 * when it need not (feasible.c). After a stop everything is as it was.
 */

#include "memsim.h"

#include "../../lib/parse.h"

#define SLACK_BYTES (2 * MIB)
#define WAIT_USEC USEC_PER_MINUTE
#define CHANGES_PER_HOUR 120U
/* As in lib/policy_balloon.c. */
#define SILENT_USEC (5 * USEC_PER_MINUTE)
/* As in lib/policy_balloon_guest.c. */
#define STALE_GRACE_USEC (5 * USEC_PER_SEC)
/* Less a guest is not helped with, for it does not show: lib/policy_balloon_share.c. */
#define HELP_BYTES (3 * MIB)

MemGuest *mem_find_guest(MemSim *s, const char *uuid) {
        for (size_t i = 0; i < s->n_guests; i++)
                if (s->guests[i].running && streq(s->guests[i].uuid, uuid))
                        return &s->guests[i];
        return NULL;
}

static uint64_t number(const char *text) {
        uint64_t n = 0;

        (void)parse_u64(text, &n);
        return n;
}

static const Action *find_action(const Plan *plan, ActionKind kind, const char *uuid) {
        for (size_t i = 0; i < plan->n_actions; i++)
                if (plan->actions[i].kind == kind && streq(plan->actions[i].uuid, uuid))
                        return &plan->actions[i];
        return NULL;
}

static bool can_be_changed(const MemGuest *g) {
        return !g->paused && !g->migrating && !g->vfio && !g->hugepages && !g->locked && g->report != REPORT_NEVER;
}

/*
 * The guest's balloon is known to be somebody else's: one decision to see it, one to be sure. After a reboot it comes
 * from its maximum, whoever has asked for less.
 */
static bool is_users(const MemSim *s, const MemGuest *g) {
        if (g->reboot_until_usec >= g->users_usec && g->balloon != g->target)
                return false;
        return g->users_usec > 0 && mem_now(s) > g->users_usec + 2 * s->engine.interval_usec;
}

/* Three reports late, or three looks: balloon.stats_period of kvmtuned.conf(5). */
static uint64_t stale_usec(const MemSim *s, const MemGuest *g) {
        bool ours = state_find_owned(s->engine.state, ACTION_SET_STATS_PERIOD, g->uuid, 0);
        uint64_t period = setting(&s->engine.config->base, KEY_BALLOON_STATS_PERIOD);

        if (!ours)
                period = MAX(period, g->seen->stats_period_sec * USEC_PER_SEC);
        return 3 * MAX(period, s->engine.interval_usec) + STALE_GRACE_USEC;
}

static void check_shrinking(MemSim *s, const MemGuest *g, uint64_t to) {
        if (to < g->minimum)
                return mem_violation(s, "%s is shrunk to %llu MiB, below its minimum of %llu", g->name,
                                     (unsigned long long)(to / MIB), (unsigned long long)(g->minimum / MIB));
        if (mem_report_is_honest(g) && (g->read_short || g->read_busy))
                return mem_violation(s, "%s said that it is in distress and is shrunk", g->name);
        /* Other drivers count what cannot be used. */
        if (g->report == REPORT_TRUE && g->distress_usec > 0 && g->distress_usec <= g->read_usec)
                return mem_violation(s, "%s is in distress since before its report and is shrunk", g->name);
        if (mem_report_is_honest(g) && g->distress_usec > 0 && mem_now(s) > g->distress_usec + WAIT_USEC)
                return mem_violation(s, "%s is in distress for a minute and is shrunk", g->name);
        if (g->read_usec == 0 || mem_now(s) - g->read_usec > stale_usec(s, g))
                return mem_violation(s, "%s has not reported for long and is shrunk", g->name);
}

static void check_balloon(MemSim *s, const Action *a) {
        const MemGuest *g = mem_find_guest(s, a->uuid);
        uint64_t to = number(a->new_value);

        if (!g)
                return mem_violation(s, "a balloon of a guest that is not there");
        if (number(a->old_value) != g->balloon)
                return mem_violation(s, "%s has another size than the plan says", g->name);
        if (to > g->maximum)
                return mem_violation(s, "%s is to get %llu MiB, more than its maximum", g->name,
                                     (unsigned long long)(to / MIB));
        if (!can_be_changed(g) || is_users(s, g))
                return mem_violation(s, "%s must be left alone: %s", g->name, a->reason);
        if (to < g->balloon)
                check_shrinking(s, g, to);
}

static void check_actions(MemSim *s, const Plan *plan) {
        for (size_t i = 0; i < plan->n_actions && !s->violation; i++) {
                const Action *a = &plan->actions[i];

                for (size_t k = 0; k < i; k++)
                        if (plan->actions[k].kind == a->kind && plan->actions[k].index == a->index &&
                            streq(plan->actions[k].uuid, a->uuid))
                                mem_violation(s, "%s of %s twice in one plan", action_kind_to_string(a->kind),
                                              a->guest ? a->guest : "host");
                if (a->kind == ACTION_SET_BALLOON)
                        check_balloon(s, a);
                else if (a->kind != ACTION_SET_STATS_PERIOD && a->kind != ACTION_SET_KSM)
                        mem_violation(s, "%s was not asked for", action_kind_to_string(a->kind));
        }
}

/* More was asked for it; that may have failed or be late. */
static bool is_on_its_way(const MemSim *s, const MemGuest *g) {
        const GuestMemo *m = state_find_guest(s->engine.state, g->uuid);

        return m && m->balloon_target_bytes > g->balloon &&
                (s->engine.lost_one_in > 0 || mem_now(s) < m->balloon_set_usec + WAIT_USEC / 2);
}

/* Where its balloon goes when the plan and what is under way are carried out. What a user asked for is no promise. */
static uint64_t goal_of(const MemSim *s, const MemGuest *g, const Plan *plan) {
        const Action *a = plan ? find_action(plan, ACTION_SET_BALLOON, g->uuid) : NULL;
        uint64_t goal = a ? number(a->new_value) : g->target_is_users ? g->balloon : g->target;

        for (size_t i = 0; i < s->engine.n_pending; i++) {
                const Action *p = &s->engine.pending[i].action;

                if (p->kind == ACTION_SET_BALLOON && streq(p->uuid, g->uuid))
                        goal = MAX(goal, number(p->new_value));
        }
        return goal;
}

/* Who has never said a word for so long has no driver, for all that kvmtuned can know. */
static bool is_managed(const MemSim *s, const MemGuest *g) {
        return g->name[0] != 'o' && g->report != REPORT_NEVER && !g->vfio && !g->hugepages && !g->locked &&
                (g->read_usec > 0 || mem_now(s) < g->start_usec + SILENT_USEC);
}

/* What guests may still take of the host without asking. */
static uint64_t promised(const MemSim *s, const Plan *plan, bool untouched) {
        uint64_t sum = 0;

        for (size_t i = 0; i < s->n_guests; i++) {
                const MemGuest *g = &s->guests[i];
                uint64_t goal;

                if (!g->running || (untouched && !is_managed(s, g)))
                        continue;
                goal = goal_of(s, g, plan);
                sum += untouched ? u64_sub(MAX(goal, g->balloon), g->touched) : u64_sub(goal, g->balloon);
        }
        return sum;
}

/*
 * What the host has that nobody was promised, as far as kvmtuned can know: of a guest that a user took over while a
 * request of kvmtuned's was out it does not know which of the two QEMU has; nor whether one that timed out was done.
 */
static uint64_t known_room(const MemSim *s) {
        uint64_t taken = s->engine.reserve_bytes + promised(s, NULL, false);

        for (size_t i = 0; i < s->n_guests; i++) {
                const MemGuest *g = &s->guests[i];
                const GuestMemo *m = g->running ? state_find_guest(s->engine.state, g->uuid) : NULL;

                if (m && (g->touched_by_user || s->engine.lost_one_in > 0))
                        taken += u64_sub(m->balloon_target_bytes, MAX(goal_of(s, g, NULL), g->balloon));
        }
        return u64_sub(mem_host_available(s), taken);
}

static bool is_help(const Action *a) {
        return startswith(a->reason, "the guest is short of memory");
}

static void check_promises(MemSim *s, const Plan *plan) {
        uint64_t room = u64_sub(mem_host_available(s), s->engine.reserve_bytes);
        bool gives = false, helps = false;

        for (size_t i = 0; i < plan->n_actions; i++) {
                const Action *a = &plan->actions[i];
                const MemGuest *g = mem_find_guest(s, a->uuid);

                if (a->kind != ACTION_SET_BALLOON || number(a->new_value) <= g->balloon)
                        continue;
                if (is_help(a) || startswith(a->reason, "towards its target"))
                        helps = true;
                else
                        gives = true;
        }
        if ((gives || helps) && promised(s, plan, false) > room)
                return mem_violation(s, "%llu MiB promised, %llu MiB available beyond the reserve",
                                     (unsigned long long)(promised(s, plan, false) / MIB),
                                     (unsigned long long)(room / MIB));
        if (gives && promised(s, plan, true) > room)
                return mem_violation(s, "%llu MiB promised or untouched, %llu MiB available beyond the reserve",
                                     (unsigned long long)(promised(s, plan, true) / MIB),
                                     (unsigned long long)(room / MIB));
}

/*
 * Back from a try with less, which brought distress (lib/policy_balloon_learn.c): what it swapped and faulted until
 * it was back is why it is. So that counts from the first report on that has nothing of that time.
 */
static bool tells_of_a_try(const MemSim *s, const MemGuest *g) {
        const GuestMemo *m = state_find_guest(s->engine.state, g->uuid);

        return m && g->read_grown && m->balloon_floor_times > 1 &&
                MAX(m->balloon_floor_bytes, g->balloon) - MIN(m->balloon_floor_bytes, g->balloon) <= MIB;
}

/* What it was given since it said so counts. */
static bool is_known_to_be_short(const MemSim *s, const MemGuest *g) {
        bool busy = g->read_busy && !tells_of_a_try(s, g);
        uint64_t given = u64_sub(g->balloon, g->read_balloon);

        return busy || (g->read_short && g->read_usable + given < mem_distress_bytes(g->balloon));
}

/* So often that the log would have no bound: see lib/policy_balloon_guest.c. */
static bool was_changed_too_often(const MemSim *s, const MemGuest *g) {
        const GuestMemo *m = state_find_guest(s->engine.state, g->uuid);

        return m && m->balloon_changes >= CHANGES_PER_HOUR && mem_now(s) < m->balloon_hour_usec + USEC_PER_HOUR;
}

/* It has told of its distress, can be helped, and nothing is under way to it. */
static bool has_to_be_helped(const MemSim *s, const MemGuest *g) {
        return g->running && is_managed(s, g) && mem_report_is_honest(g) && is_known_to_be_short(s, g) &&
                can_be_changed(g) && !g->touched_by_user && mem_device_works(s, g) &&
                g->balloon + SLACK_BYTES < g->maximum && g->target <= g->balloon && !is_on_its_way(s, g) &&
                mem_now(s) >= g->reboot_until_usec && !was_changed_too_often(s, g);
}

/* It was asked for less, as far as kvmtuned knows, before it told of its distress. */
static bool goes_down(const MemSim *s, const MemGuest *g) {
        const GuestMemo *m = state_find_guest(s->engine.state, g->uuid);

        return m && m->balloon_target_bytes > 0 && MAX(m->balloon_target_bytes, g->target) + SLACK_BYTES < g->balloon;
}

static void check_help(MemSim *s, const Plan *plan) {
        uint64_t room = known_room(s);
        size_t first_gift = SIZE_MAX, n = 0;

        for (size_t i = 0; i < s->n_guests; i++)
                n += s->guests[i].running;
        for (size_t i = plan->n_actions; i > 0; i--) {
                const Action *a = &plan->actions[i - 1];

                if (a->kind == ACTION_SET_BALLOON && number(a->new_value) > number(a->old_value) &&
                    !is_help(a))
                        first_gift = i - 1;
        }
        for (size_t i = 0; i < s->n_guests && !s->violation; i++) {
                const MemGuest *g = &s->guests[i];
                const Action *a = g->running ? find_action(plan, ACTION_SET_BALLOON, g->uuid) : NULL;
                bool helped = a && number(a->new_value) > g->balloon;

                if (!has_to_be_helped(s, g))
                        continue;
                if (!helped && room > n * HELP_BYTES)
                        return mem_violation(s, "%s said that it is in distress, the host has %llu MiB, it gets none",
                                             g->name, (unsigned long long)(room / MIB));
                if (!a && goes_down(s, g))
                        return mem_violation(s, "%s said that it is in distress and goes on down", g->name);
                if (helped && (size_t)(a - plan->actions) > first_gift)
                        return mem_violation(s, "%s is in distress and others get memory first", g->name);
        }
}

void mem_check_plan(MemSim *s, const Plan *plan, bool all) {
        if (plan->n_actions > 2 * s->n_guests + _KSM_KNOB_MAX)
                return mem_violation(s, "%zu changes in one plan", plan->n_actions);
        check_actions(s, plan);
        if (!s->violation)
                check_promises(s, plan);
        if (!s->violation && all)
                check_help(s, plan);
}

/* What the rounding to whole MiB has left of all guests' shares, on top of what it was asked for, then or before. */
static bool is_left_over(MemSim *s, const Plan *first, const Action *a) {
        const Action *before = find_action(first, a->kind, a->uuid);
        const MemGuest *g = mem_find_guest(s, a->uuid);
        uint64_t sent = g && !g->target_is_users ? g->target : number(a->old_value);
        uint64_t from = before ? number(before->new_value) : sent, to = number(a->new_value);

        return a->kind == ACTION_SET_BALLOON && MAX(from, to) - MIN(from, to) <= (s->n_guests + 1) * MIB;
}

/* A guest that was just sent elsewhere is looked at more often from then on. */
static bool follows(const Plan *first, const Action *a) {
        return a->kind == ACTION_SET_STATS_PERIOD && find_action(first, ACTION_SET_BALLOON, a->uuid);
}

void mem_check_quiet(MemSim *s, const Plan *first) {
        PolicyInput in = { .config = s->engine.config, .snapshot = s->snapshot };
        _cleanup_(state_freep) State *copy = NULL;
        _cleanup_(plan_freep) Plan *plan = NULL;

        if (s->violation)
                return;
        if (state_copy(s->engine.state, &copy) < 0 || policy_decide(&in, copy, &plan) < 0)
                abort();
        for (size_t i = 0; i < plan->n_actions; i++) {
                const Action *a = &plan->actions[i];

                if (a->kind != ACTION_SET_KSM && !is_left_over(s, first, a) && !follows(first, a))
                        return mem_violation(s, "a second decision wants %s of %s from %s to %s: %s",
                                             action_kind_to_string(a->kind), a->guest, a->old_value, a->new_value,
                                             a->reason);
        }
}

static void note_distress(MemSim *s, MemGuest *g) {
        if (!mem_guest_is_short(g)) {
                g->distress_usec = 0;
                return;
        }
        if (g->distress_usec == 0)
                g->distress_usec = mem_now(s);
        g->distress_total_usec += STEP_USEC;
        g->distress_longest_usec = MAX(g->distress_longest_usec, mem_now(s) - g->distress_usec);
}

static bool calls_fail(const MemSim *s) {
        return mem_now(s) < s->calm_usec && s->engine.fail_one_in + s->engine.lost_one_in > 0;
}

static void check_waiting(MemSim *s, MemGuest *g) {
        uint64_t room;

        if (g->distress_usec == 0 || !has_to_be_helped(s, g) || calls_fail(s)) {
                g->helpable_usec = 0;
                return;
        }
        room = known_room(s);
        if (room <= s->n_guests * HELP_BYTES)
                g->helpable_usec = 0;
        else if (g->helpable_usec <= g->asked_up_usec)
                g->helpable_usec = mem_now(s);
        else if (mem_now(s) - g->helpable_usec > WAIT_USEC)
                mem_violation(s, "%s is in distress for a minute, the host has %llu MiB, it gets none", g->name,
                              (unsigned long long)(room / MIB));
}

static void check_guest(MemSim *s, MemGuest *g) {
        note_distress(s, g);
        s->metrics.guest_usec += STEP_USEC;
        if (!s->tuned)
                return;
        if (g->balloon > g->maximum || (g->balloon < g->minimum && !g->touched_by_user))
                return mem_violation(s, "%s has %llu MiB, not between %llu and %llu", g->name,
                                     (unsigned long long)(g->balloon / MIB), (unsigned long long)(g->minimum / MIB),
                                     (unsigned long long)(g->maximum / MIB));
        check_waiting(s, g);
}

void mem_check_step(MemSim *s) {
        for (size_t i = 0; i < s->n_guests && !s->violation; i++)
                if (s->guests[i].running)
                        check_guest(s, &s->guests[i]);
        mem_feasible_step(s);
        if (!s->violation && s->tuned && s->gentle && s->feasible && s->host.swapped_out > 0)
                mem_violation(s, "the host swaps %llu MiB, and need not",
                              (unsigned long long)(s->host.swapped_out / MIB));
}

void mem_check_restored(MemSim *s) {
        for (size_t i = 0; i < s->n_guests && !s->violation; i++) {
                const MemGuest *g = &s->guests[i];

                if (!g->running)
                        continue;
                if (g->target != g->maximum && !g->touched_by_user)
                        mem_violation(s, "%s was not given back its memory", g->name);
                if (g->seen->stats_period_sec != 0 && !g->period_is_users)
                        mem_violation(s, "the statistics period of %s was not given back", g->name);
        }
        if (s->merge.run != 0 || s->merge.pages_to_scan != 100 || s->merge.sleep_millisecs != 20)
                mem_violation(s, "KSM was not given back");
}
