/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One guest as the balloon controller sees it. Its statistics are its own
 * words: they can keep memory in the guest, or let it be taken down to the
 * guaranteed minimum, and nothing else. Statistics that contradict themselves
 * or what the host knows (more available than its maximum, more usable than
 * available, counters that run backwards) permit no shrinking at all.
 *
 * Distress, any of: usable below 5 % of its memory or 32 MiB; 1 MiB swapped in
 * since the last look; 100 major faults a second; by the pressure of its cgroup
 * its threads wait for memory 10 % of the time. The last is the host's word,
 * and says nothing of the guest where the host is strained (then all wait, and
 * nothing could be taken from anybody) or where its cgroup has a limit (which
 * it may wait for, and a larger balloon makes worse).
 */

#include "policy_balloon.h"
#include "policy_eligible.h"

/* No guest is worth having with less. */
#define MINIMUM_FLOOR_BYTES (64 * MIB)
#define DISTRESS_PERMYRIAD 500U
#define DISTRESS_FLOOR_BYTES (32 * MIB)
#define DISTRESS_SWAP_IN_BYTES MIB
#define DISTRESS_FAULTS_PER_SEC 100U
#define DISTRESS_PSI_PERMYRIAD 1000U
/* After memory was given: before any is taken again. */
#define COOLDOWN_USEC (60 * USEC_PER_SEC)
#define COOLDOWN_INTERVALS 5U
/* Of the changes an hour, these may still shrink; the others are there for its distress. */
#define SHRINKS_PER_HOUR 60U
#define CHANGES_PER_HOUR 120U
#define HOLD_USEC (30 * USEC_PER_SEC)
#define STALE_GRACE_USEC (5 * USEC_PER_SEC)
/* A guest counts some memory differently from its host. */
#define AVAILABLE_SLACK_PERMYRIAD 10500U

/* Usable memory below this is distress. */
static uint64_t distress_bytes(uint64_t current) {
        return MAX(permyriad_of(current, DISTRESS_PERMYRIAD), DISTRESS_FLOOR_BYTES);
}

static bool size_is_known(uint64_t bytes) {
        return bytes != 0 && bytes != UNKNOWN_U64;
}

static uint64_t round_up(uint64_t bytes, uint64_t unit) {
        return bytes > UINT64_MAX - unit ? bytes : (bytes + unit - 1) / unit * unit;
}

/* By what is learned so far. */
static void set_bounds(BalloonGuest *b) {
        const Guest *g = b->guest;
        uint64_t minimum;

        minimum = setting_amount(b->settings, KEY_BALLOON_MINIMUM, b->maximum, balloon_learned_minimum(b));
        minimum = MAX(MAX(minimum, g->min_guarantee_bytes), MINIMUM_FLOOR_BYTES);
        /* Presets compute with it as it is. */
        b->minimum = MIN(balloon_is_preset(b) ? round_up(minimum, KIB) : round_up(minimum, MIB), b->maximum);
        b->floor = MAX(balloon_floor(b), b->minimum);
        b->goal = setting_amount(b->settings, KEY_BALLOON_TARGET, b->maximum, b->maximum);
        b->goal = CLAMP(b->goal, b->minimum, b->maximum);
        if (b->goal != b->maximum)
                b->goal = MIN(round_up(b->goal, MIB), b->maximum);
}

static void init_sizes(BalloonGuest *b) {
        b->maximum = b->guest->max_bytes;
        b->current = b->asked = b->guest->current_bytes;
        set_bounds(b);
        b->step = MAX(setting_amount(b->settings, KEY_BALLOON_STEP, b->maximum, 0), 2 * BALLOON_TOLERANCE_BYTES);
        /* Taking memory must not bring distress about, whatever the setting says. */
        b->least = distress_bytes(b->current) / 2 * 3;
        b->reserve = MAX(permyriad_of(b->current, setting(b->settings, KEY_BALLOON_RESERVE)), b->least);
}

void balloon_guest_init(PolicyContext *c, size_t i, BalloonGuest *ret) {
        const Guest *g = c->snapshot->guests[i];

        *ret = (BalloonGuest){
                .guest = g,
                .settings = c->guests[i],
                .memo = c->memos[i],
                .mode = (BalloonMode)setting(c->guests[i], KEY_BALLOON_MODE),
                .usable = UNKNOWN_U64,
        };
        if (size_is_known(g->max_bytes) && size_is_known(g->current_bytes)) {
                init_sizes(ret);
                return;
        }
        ret->blocked = true;
        ret->why = SKIP_UNKNOWN;
        ret->detail = "its memory sizes are not known";
}

static void block(BalloonGuest *b, SkipReason why, const char *detail) {
        if (b->blocked)
                return;
        b->blocked = true;
        b->why = why;
        b->detail = detail;
}

static void fix(BalloonGuest *b, SkipReason why, const char *detail) {
        if (b->blocked || b->fixed)
                return;
        b->fixed = true;
        b->why = why;
        b->detail = detail;
}

/* Drivers that do not know MemAvailable report what is free, and often what is cached. */
static uint64_t usable_bytes(const BalloonStats *s) {
        if (s->usable_bytes != UNKNOWN_U64)
                return s->usable_bytes;
        if (s->unused_bytes == UNKNOWN_U64)
                return UNKNOWN_U64;
        return u64_add(s->unused_bytes, s->disk_caches_bytes == UNKNOWN_U64 ? 0 : s->disk_caches_bytes);
}

static bool went_back(uint64_t now, uint64_t before) {
        return now != UNKNOWN_U64 && before != UNKNOWN_U64 && now < before;
}

static bool is_implausible(const BalloonGuest *b) {
        const BalloonStats *s = &b->guest->stats;
        uint64_t usable = usable_bytes(s);
        uint64_t most = permyriad_of(b->maximum, AVAILABLE_SLACK_PERMYRIAD);

        if (s->available_bytes != UNKNOWN_U64 &&
            (s->available_bytes == 0 || s->available_bytes > most ||
             (s->unused_bytes != UNKNOWN_U64 && s->unused_bytes > s->available_bytes) ||
             (s->usable_bytes != UNKNOWN_U64 && s->usable_bytes > s->available_bytes)))
                return true;
        return usable != UNKNOWN_U64 && usable > most;
}

/* So does a guest that has rebooted; the next report is right again. */
bool balloon_counters_went_back(const BalloonGuest *b) {
        return went_back(b->guest->stats.swap_in_bytes, b->memo->swap_in_bytes) ||
                went_back(b->guest->stats.major_faults, b->memo->major_faults);
}

static bool grew_beyond(uint64_t now, uint64_t before, uint64_t limit) {
        return now != UNKNOWN_U64 && before != UNKNOWN_U64 && u64_sub(now, before) > limit;
}

/*
 * It was tried with less, that brought distress, and it is back where it was before. What counters tell of the time
 * until then is known.
 */
static bool tells_of_a_try(const BalloonGuest *b) {
        return b->had_less && b->memo->balloon_floor_times > 1 && balloon_is_at(b->current, balloon_floor(b));
}

static bool is_in_distress(const PolicyContext *c, const BalloonGuest *b) {
        const BalloonStats *s = &b->guest->stats;
        uint64_t interval = c->snapshot->interval_usec;

        if (b->usable != UNKNOWN_U64 && u64_add(b->usable, b->given) < distress_bytes(b->current))
                return true;
        if (interval == 0 || tells_of_a_try(b))
                return false;
        return grew_beyond(s->swap_in_bytes, b->memo->swap_in_bytes, DISTRESS_SWAP_IN_BYTES) ||
                grew_beyond(s->major_faults, b->memo->major_faults,
                            u64_muldiv(DISTRESS_FAULTS_PER_SEC, interval, USEC_PER_SEC));
}

static bool waits_for_memory(const PolicyContext *c, const Guest *g) {
        uint32_t some = g->psi_memory.some_permyriad;

        return some != UNKNOWN_PERMYRIAD && some >= DISTRESS_PSI_PERMYRIAD && g->hard_limit_bytes == 0 &&
                g->soft_limit_bytes == 0 && !balloon_host_is_strained(&c->snapshot->host);
}

static bool is_stale(const PolicyContext *c, const BalloonGuest *b) {
        bool ours = state_find_owned(c->state, ACTION_SET_STATS_PERIOD, b->guest->uuid, 0);
        uint64_t period = ours ? setting(b->settings, KEY_BALLOON_STATS_PERIOD)
                               : u64_muldiv(b->guest->stats_period_sec, USEC_PER_SEC, 1);
        uint64_t limit = u64_muldiv(MAX(period, setting(&c->config->base, KEY_DAEMON_INTERVAL)), BALLOON_STALE_PERIODS, 1);

        return b->guest->stats.age_usec > u64_add(limit, STALE_GRACE_USEC);
}

static bool is_cooling_down(const PolicyContext *c, const BalloonGuest *b) {
        uint64_t pause = MAX(COOLDOWN_INTERVALS * setting(&c->config->base, KEY_DAEMON_INTERVAL), COOLDOWN_USEC);

        return u64_sub(c->snapshot->now_usec, b->memo->balloon_set_usec) < pause;
}

/* A guest that got more than its target in distress keeps it until it clearly needs it no longer. */
static bool holds_what_it_was_given(const BalloonGuest *b) {
        return b->mode == BALLOON_TARGET && b->ours > u64_add(b->goal, BALLOON_TOLERANCE_BYTES) &&
                b->usable / 2 < b->reserve;
}

static bool was_changed_often(const PolicyContext *c, const BalloonGuest *b, unsigned limit) {
        return !balloon_is_preset(b) && b->memo->balloon_changes >= limit &&
                u64_sub(c->snapshot->now_usec, b->memo->balloon_hour_usec) < USEC_PER_HOUR;
}

static void judge_shrinking(const PolicyContext *c, BalloonGuest *b) {
        uint64_t since = u64_sub(c->snapshot->now_usec, b->memo->balloon_set_usec);

        if (is_stale(c, b))
                fix(b, SKIP_STALE_STATS, NULL);
        if (b->usable == UNKNOWN_U64)
                fix(b, SKIP_UNKNOWN, "its driver does not report how much memory is usable");
        if (balloon_gave_nothing(b) && !balloon_is_set_aside(c, b) && !b->fixed)
                balloon_set_aside(c, b);
        if (balloon_is_set_aside(c, b))
                fix(b, SKIP_STUCK, NULL);
        if (was_changed_often(c, b, SHRINKS_PER_HOUR))
                fix(b, SKIP_COOLDOWN, "its balloon was changed often within the last hour");
        if (b->distress)
                fix(b, SKIP_DISTRESS, NULL);
        if (c->snapshot->now_usec < b->memo->balloon_held_until_usec)
                fix(b, SKIP_COOLDOWN, "it was in distress, or its statistics were implausible, a short time ago");
        if (b->owned && b->guest->stats.age_usec > since)
                fix(b, SKIP_COOLDOWN, "its statistics are from before the last change of its balloon");
        if (b->owned && b->last_grew && is_cooling_down(c, b))
                fix(b, SKIP_COOLDOWN, "it was given memory a short time ago");
        if (b->owned && b->last_grew && holds_what_it_was_given(b))
                fix(b, SKIP_COOLDOWN, "it needed more than its target and still uses most of it");
}

/* Counters tell once, at the report in which they moved; what they told holds for a while. */
static void hold(const PolicyContext *c, BalloonGuest *b) {
        b->memo->balloon_held_until_usec = u64_add(c->snapshot->now_usec, HOLD_USEC);
}

static void remember_counters(BalloonGuest *b) {
        const BalloonStats *s = &b->guest->stats;

        if (s->swap_in_bytes != UNKNOWN_U64)
                b->memo->swap_in_bytes = s->swap_in_bytes;
        if (s->major_faults != UNKNOWN_U64)
                b->memo->major_faults = s->major_faults;
}

/* Counters are compared with the report before, so what matters is how little it may have had then. */
static void update_least(BalloonGuest *b, uint64_t now, uint64_t reported) {
        GuestMemo *m = b->memo;
        bool first = m->balloon_looked_usec[0] == 0 || m->balloon_looked_usec[0] > now;
        uint64_t last = u64_add(m->balloon_looked_usec[0], USEC_PER_SEC);
        uint64_t least = first ? b->current : MIN(m->balloon_looked_bytes[0], b->current);

        if (!first && reported < u64_add(m->balloon_reported_usec, USEC_PER_SEC))
                return;
        b->had_less = !first && u64_add(m->balloon_least_bytes, BALLOON_TOLERANCE_BYTES) < b->current;
        if (reported < last && m->balloon_looked_usec[1] > 0)
                least = MIN(m->balloon_looked_bytes[1], least);
        m->balloon_least_bytes = least;
        m->balloon_reported_usec = reported;
}

/*
 * What its balloon has taken or given since its last report. When it reported between two looks is not known, and the
 * time it says is cut to a second: of the sizes that it may have had then, balloon_said_bytes is the largest. So what
 * may have been taken since counts, and only what must have been given since.
 */
static void update_report(const PolicyContext *c, BalloonGuest *b) {
        uint64_t now = c->snapshot->now_usec, reported = u64_sub(now, b->guest->stats.age_usec);
        GuestMemo *m = b->memo;
        bool before_last = u64_add(reported, USEC_PER_SEC) <= m->balloon_looked_usec[0];
        uint64_t last = MAX(m->balloon_looked_bytes[0], before_last ? 0 : b->current);

        update_least(b, now, reported);
        if (m->balloon_looked_usec[0] == 0 || m->balloon_looked_usec[0] > now)
                m->balloon_said_bytes = m->balloon_looked_bytes[0] = b->current;
        else if (reported > m->balloon_looked_usec[0])
                m->balloon_said_bytes = last;
        else if (reported > m->balloon_looked_usec[1] && m->balloon_looked_usec[1] > 0)
                m->balloon_said_bytes = MAX(m->balloon_looked_bytes[1], last);
        if (before_last)
                b->given = u64_sub(b->current, m->balloon_said_bytes);
        b->taken = u64_sub(m->balloon_said_bytes, b->current);
        m->balloon_looked_usec[1] = m->balloon_looked_usec[0] > now ? 0 : m->balloon_looked_usec[0];
        m->balloon_looked_bytes[1] = m->balloon_looked_bytes[0];
        m->balloon_looked_usec[0] = now;
        m->balloon_looked_bytes[0] = b->current;
}

static void believe(const PolicyContext *c, BalloonGuest *b) {
        if (is_implausible(b)) {
                fix(b, SKIP_IMPLAUSIBLE_STATS, NULL);
                return;
        }
        b->usable = usable_bytes(&b->guest->stats);
        if (b->usable != UNKNOWN_U64)
                b->usable = MIN(b->usable, b->current);
        if (balloon_claims_untouched(c, b)) {
                fix(b, SKIP_IMPLAUSIBLE_STATS, "it says it uses memory of which the host never gave it so much");
                return;
        }
        update_report(c, b);
        balloon_see_resident(c, b);
        b->distress = is_in_distress(c, b);
}

static void learn(const PolicyContext *c, BalloonGuest *b) {
        balloon_learn(c, b);
        set_bounds(b);
}

/* What its counters tell while nothing can be done to it must be known when something can. */
static void watch_counters(const PolicyContext *c, BalloonGuest *b) {
        if (b->guest->stats.age_usec == UNKNOWN_U64 || balloon_counters_went_back(b))
                return;
        if (is_in_distress(c, b))
                hold(c, b);
        remember_counters(b);
}

void balloon_guest_judge(const PolicyContext *c, BalloonGuest *b) {
        const BalloonStats *s = &b->guest->stats;
        const char *detail = NULL;
        SkipReason why;

        if (b->guest->unreachable)
                block(b, SKIP_UNREACHABLE, "libvirt or the guest's monitor does not answer");
        if (!policy_eligible(b->guest, ACTION_SET_BALLOON, &why, &detail))
                block(b, why, detail);
        if (b->memo->balloon_taken)
                block(b, SKIP_TAKEN_OVER, "its balloon was changed by somebody else; it is left alone");
        if (s->age_usec == UNKNOWN_U64)
                block(b, SKIP_NO_DRIVER, "its balloon driver never reported");
        if (was_changed_often(c, b, CHANGES_PER_HOUR))
                block(b, SKIP_COOLDOWN, "its balloon was changed too often within the last hour");
        if (b->blocked) {
                watch_counters(c, b);
                return;
        }

        believe(c, b);
        b->waits = waits_for_memory(c, b->guest);
        b->distress |= b->waits;
        if (balloon_counters_went_back(b))
                fix(b, SKIP_IMPLAUSIBLE_STATS, NULL);
        judge_shrinking(c, b);
        if (b->distress || (b->fixed && b->why == SKIP_IMPLAUSIBLE_STATS))
                hold(c, b);
        if (!(b->fixed && (b->why == SKIP_IMPLAUSIBLE_STATS || b->why == SKIP_STALE_STATS)))
                learn(c, b);
        remember_counters(b);
}
