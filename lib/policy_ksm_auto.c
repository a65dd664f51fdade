/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Mode auto.
 *
 * When: KSM is wanted before the host is in need, that is, when no more than
 * ksm.start of its memory is available, or when the guests may grow beyond what
 * there is (their current memory plus a tenth of the host for everything else
 * exceeds the host). It is no longer wanted when neither holds and ksm.stop is
 * available; in between it stays as it is. Nor does it end before it has caught
 * up: of three passes the first merges nothing, and the second may make ksm.stop
 * available when it has merged a part.
 *
 * How fast: what is gained is gained in the first passes, and a pass costs the
 * same CPU time at any speed. So it first catches up, as fast as ksm.max_cpu
 * allows, for three passes (the first only takes checksums; the one under way
 * may have begun before); again when the guests' memory, or what of it is
 * resident, has grown by a tenth (policy_ksm.c).
 * From then on, a pass every ksm.scan_time within ksm.max_cpu finds what
 * becomes equal later: by the kernel's own advisor where there is one (Linux
 * 6.8; Documentation/admin-guide/mm/ksm.rst), which starts each time from its
 * slowest rate and learns once a pass, and therefore is not the one to catch
 * up, with a pause that lets it be as slow as that; elsewhere by
 * policy_ksm_rate.c. Pages that have not changed nor found an equal are passed
 * over by smart_scan, where the kernel has it (6.7).
 *
 * Whether it pays: memory and CPU time of the host are held to be worth the
 * same. KSM pays while the share of the host's memory that it saves (profit:
 * merged pages less 64 bytes for each page it keeps track of) is no less than
 * the share of the host's CPU time that ksmd takes. That is asked after ten
 * minutes and three passes (or after an hour, whatever it got done), of that
 * time, and again for each time after it. When it does not pay it is stopped
 * for half an hour, twice as long each time in a row up to eight hours; a tenth
 * more guest memory ends the rest at once.
 *
 * A scanner that merges nothing because of kernel.numa_balancing is not stopped
 * for an hour when the policy leaves that switch to policy_kernel.c: that
 * one needs its time, and then passes merge. When it was switched, what was
 * measured before counts no more, and it catches up once again.
 */

#include <inttypes.h>
#include <stdio.h>

#include "parse.h"
#include "policy_ksm.h"
#include "policy_ksm_rate.h"

/* For the host's own processes, when guests' memory is held against the host's size. */
#define OVERCOMMIT_MARGIN_PERMYRIAD 1000U
/* A rate is measured for at least so long before the next. */
#define RATE_DWELL_USEC (5 * USEC_PER_SEC)
#define JUDGE_USEC (10 * USEC_PER_MINUTE)
#define JUDGE_SCANS 3U
#define JUDGE_LATEST_USEC USEC_PER_HOUR
#define REST_USEC (30 * USEC_PER_MINUTE)
#define REST_DOUBLINGS 4U
/* KSM_ADVISOR_MIN_PAGES_TO_SCAN in mm/ksm.c */
#define ADVISOR_PAGES_MIN UINT64_C(500)
#define SLEEP_MAX_MSEC UINT64_C(1000)
#define MSEC_PER_SEC 1000U
#define WHY_MAX sizeof(((KsmWish *)NULL)->why)

/* ---- whether it is wanted ---- */

/* Passes that we have begun with are not done. */
static bool is_under_way(const PolicyContext *c) {
        const KsmStatus *ksm = &c->snapshot->host.ksm;

        return ksm->run == 1 && ksm->full_scans < c->state->ksm_catch_up_scans &&
               state_find_owned(c->state, ACTION_SET_KSM, "", KSM_KNOB_RUN);
}

static bool is_wanted(PolicyContext *c, char why[static WHY_MAX]) {
        const HostMemory *m = &c->snapshot->host.memory;
        uint64_t start = setting(&c->host, KEY_KSM_START), stop = setting(&c->host, KEY_KSM_STOP);
        uint64_t guests = ksm_guests_bytes(c->snapshot);
        bool overcommitted =
                u64_add(guests, permyriad_of(m->total_bytes, OVERCOMMIT_MARGIN_PERMYRIAD)) > m->total_bytes;
        char available[FORMAT_BYTES_MAX], total[FORMAT_BYTES_MAX], sum[FORMAT_BYTES_MAX];

        if (overcommitted || m->available_bytes <= permyriad_of(m->total_bytes, start))
                c->state->ksm_on = true;
        else if (m->available_bytes >= permyriad_of(m->total_bytes, stop))
                c->state->ksm_on = is_under_way(c);
        else if (!state_find_owned(c->state, ACTION_SET_KSM, "", KSM_KNOB_RUN))
                c->state->ksm_on = c->snapshot->host.ksm.run == 1;
        (void)snprintf(why, WHY_MAX,
                       "host has %s of %s available (starts at %" PRIu64 " %%, stops at %" PRIu64
                       " %%), guests may use %s",
                       format_bytes_short(m->available_bytes, available), format_bytes_short(m->total_bytes, total),
                       start / 100, stop / 100, format_bytes_short(guests, sum));
        return c->state->ksm_on;
}

/* ---- whether it pays ---- */

static void begin_window(PolicyContext *c) {
        c->state->ksm_judged_usec = c->snapshot->now_usec;
        c->state->ksm_judged_scans = c->snapshot->host.ksm.full_scans;
        c->state->ksm_cpu_usec = 0;
}

static void account_cpu(PolicyContext *c) {
        uint32_t busy = c->snapshot->host.ksm.ksmd_busy_permyriad;

        if (busy != UNKNOWN_PERMYRIAD)
                c->state->ksm_cpu_usec = u64_add(c->state->ksm_cpu_usec,
                                                 u64_muldiv(c->snapshot->interval_usec, busy, PERMYRIAD_FULL));
}

static uint64_t host_cpus(const Snapshot *snapshot) {
        size_t n = snapshot->topology ? idset_count(&snapshot->topology->online) : snapshot->host.n_cpus;

        return MAX(n, (size_t)1);
}

/* What has to be saved for the CPU time since the last judgement. */
static uint64_t price_bytes(const PolicyContext *c, uint64_t elapsed_usec) {
        return u64_muldiv(c->snapshot->host.memory.total_bytes, c->state->ksm_cpu_usec,
                          u64_muldiv(elapsed_usec, host_cpus(c->snapshot), 1));
}

/* Balancing may be why KSM merges nothing, or it is too early to tell. */
static bool waits_for_balancing(const PolicyContext *c) {
        const KsmStatus *ksm = &c->snapshot->host.ksm;

        return ksm_balancing_may_yield(c) && (ksm_is_stuck(ksm, c->state->ksm_run_scans) ||
                                              u64_sub(ksm->full_scans, c->state->ksm_run_scans) < KSM_CATCH_UP_SCANS);
}

/* It is time to judge, and there is nothing to wait for. */
static bool is_due(const PolicyContext *c, uint64_t elapsed_usec) {
        const KsmStatus *ksm = &c->snapshot->host.ksm;

        if (elapsed_usec >= JUDGE_LATEST_USEC)
                return true;
        return elapsed_usec >= JUDGE_USEC && u64_sub(ksm->full_scans, c->state->ksm_judged_scans) >= JUDGE_SCANS &&
               !waits_for_balancing(c);
}

static void begin_rest(PolicyContext *c, int64_t profit, uint64_t elapsed_usec) {
        State *s = c->state;

        s->ksm_rest_usec = c->snapshot->now_usec;
        s->ksm_rest_profit_bytes = profit > 0 ? (uint64_t)profit : 0;
        s->ksm_rest_price_bytes = price_bytes(c, elapsed_usec);
        s->ksm_rests = MIN(s->ksm_rests + 1, REST_DOUBLINGS + 1);
}

static void judge(PolicyContext *c) {
        uint64_t elapsed = c->snapshot->now_usec - c->state->ksm_judged_usec;
        int64_t profit = ksm_profit_bytes(&c->snapshot->host.ksm);

        if (!is_due(c, elapsed))
                return;
        if (profit <= 0 || (uint64_t)profit < price_bytes(c, elapsed))
                begin_rest(c, profit, elapsed);
        else
                c->state->ksm_rests = 0;
        begin_window(c);
}

static uint64_t rest_usec(const State *s) {
        return REST_USEC << MIN(s->ksm_rests > 0 ? s->ksm_rests - 1 : 0, REST_DOUBLINGS);
}

static bool has_grown(const PolicyContext *c) {
        return ksm_guests_bytes(c->snapshot) > permyriad_of(c->state->ksm_guests_bytes, KSM_GROWTH_PERMYRIAD);
}

/* A time after now was noted before a reboot. */
static bool is_resting(PolicyContext *c) {
        State *s = c->state;
        uint64_t now = c->snapshot->now_usec;

        if (s->ksm_rest_usec == 0)
                return false;
        if (s->ksm_rest_usec <= now && now - s->ksm_rest_usec < rest_usec(s) && !has_grown(c))
                return true;
        if (has_grown(c))
                s->ksm_rests = 0;
        s->ksm_rest_usec = 0;
        return false;
}

static int wish_rest(PolicyContext *c, KsmWish *wish) {
        const State *s = c->state;
        char profit[FORMAT_BYTES_MAX], price[FORMAT_BYTES_MAX];

        wish->run = false;
        (void)snprintf(wish->why, sizeof(wish->why),
                       "KSM does not pay: it saved %s, and for ksmd's share of the host's CPU time it ought to "
                       "save %s",
                       format_bytes_short(s->ksm_rest_profit_bytes, profit),
                       format_bytes_short(s->ksm_rest_price_bytes, price));
        return plan_add_skip(c->plan, ACTION_SET_KSM, NULL, SKIP_NO_GAIN, "%s; tried again after %" PRIu64
                             " min, or when guests' memory grows", wish->why, rest_usec(s) / USEC_PER_MINUTE);
}

/* ---- how fast ---- */

static uint64_t pages_looked_at(const Snapshot *snapshot) {
        const KsmStatus *ksm = &snapshot->host.ksm;
        uint64_t tracked = u64_add(u64_add(ksm->pages_shared, ksm->pages_sharing),
                                   u64_add(ksm->pages_unshared, ksm->pages_volatile));

        return MAX(tracked, ksm_guests_bytes(snapshot) / MAX(ksm->page_bytes, UINT64_C(4) * KIB));
}

static void begin_catching_up(PolicyContext *c) {
        c->state->ksm_catch_up_scans = u64_add(c->snapshot->host.ksm.full_scans, KSM_CATCH_UP_SCANS);
        c->state->ksm_guests_bytes = ksm_guests_bytes(c->snapshot);
}

/* More memory than was promised before, or none looked at yet: catch up. Less: more is counted from there. */
static bool is_catching_up(PolicyContext *c) {
        State *s = c->state;

        if (c->snapshot->host.ksm.run != 1 || has_grown(c))
                begin_catching_up(c);
        s->ksm_guests_bytes = MIN(s->ksm_guests_bytes, ksm_guests_bytes(c->snapshot));
        return c->snapshot->host.ksm.full_scans < s->ksm_catch_up_scans;
}

/* Our own rate; @pages_per_sec as in KsmRate. */
static void wish_pages(PolicyContext *c, uint64_t pages_per_sec, KsmWish *wish) {
        const KsmStatus *ksm = &c->snapshot->host.ksm;
        uint64_t now = c->snapshot->now_usec, since;
        bool ours = ksm->run == 1 && state_find_owned(c->state, ACTION_SET_KSM, "", KSM_KNOB_PAGES_TO_SCAN) &&
                    !ksm_advisor_is_on(ksm);
        State *s = c->state;
        KsmRate rate = {
                .pages = ours ? ksm->pages_to_scan : 0,
                .sleep_millisecs = wish->value[KSM_KNOB_SLEEP_MILLISECS],
                .busy_permyriad = ksm->ksmd_busy_permyriad == UNKNOWN_PERMYRIAD ? UINT64_MAX
                                                                                : ksm->ksmd_busy_permyriad,
                .limit_permyriad = setting(&c->host, KEY_KSM_MAX_CPU),
                .pages_per_sec = pages_per_sec,
        };

        since = s->ksm_rated_usec <= now ? now - s->ksm_rated_usec : UINT64_MAX;
        if (ours && since < MAX(RATE_DWELL_USEC, c->snapshot->interval_usec)) {
                ksm_wish_set(wish, KSM_KNOB_PAGES_TO_SCAN, ksm->pages_to_scan);
                return;
        }
        ksm_wish_set(wish, KSM_KNOB_PAGES_TO_SCAN, ksm_rate_pages(&rate));
        if (wish->value[KSM_KNOB_PAGES_TO_SCAN] != ksm->pages_to_scan)
                s->ksm_rated_usec = MAX(now, UINT64_C(1));
}

/*
 * The advisor looks at ADVISOR_PAGES_MIN each time at least, which with a short pause is far more than a pass in
 * @scan_time_sec takes on all but the largest hosts. A pause that differs by less than a quarter stays as it is.
 */
static uint64_t steady_sleep(PolicyContext *c, uint64_t scan_time_sec, uint64_t sleep_millisecs) {
        const KsmStatus *ksm = &c->snapshot->host.ksm;
        uint64_t wanted, now = ksm->sleep_millisecs;

        wanted = u64_muldiv(ADVISOR_PAGES_MIN, scan_time_sec * MSEC_PER_SEC,
                            MAX(pages_looked_at(c->snapshot), UINT64_C(1)));
        wanted = MAX(MIN(wanted, SLEEP_MAX_MSEC), sleep_millisecs);
        if (ksm_advisor_is_ours(c->snapshot, c->state) && MAX(wanted, now) - MIN(wanted, now) <= now / 4)
                return now;
        return wanted;
}

static void wish_advisor(PolicyContext *c, uint64_t scan_time_sec, KsmWish *wish) {
        const KsmStatus *ksm = &c->snapshot->host.ksm;

        ksm_wish_set(wish, KSM_KNOB_SLEEP_MILLISECS,
                     steady_sleep(c, scan_time_sec, wish->value[KSM_KNOB_SLEEP_MILLISECS]));
        ksm_wish_set(wish, KSM_KNOB_ADVISOR_MAX_CPU, MAX(setting(&c->host, KEY_KSM_MAX_CPU) / 100, UINT64_C(1)));
        ksm_wish_set(wish, KSM_KNOB_ADVISOR_TARGET_SCAN_TIME, scan_time_sec);
        ksm_wish_set(wish, KSM_KNOB_ADVISOR_MODE, KSM_ADVISOR_SCAN_TIME);
        /* The advisor overwrites it: what it was has to be on record before, also where it is what we would set. */
        if (!ksm_advisor_is_on(ksm) && !state_find_owned(c->state, ACTION_SET_KSM, "", KSM_KNOB_PAGES_TO_SCAN))
                ksm_wish_set(wish, KSM_KNOB_PAGES_TO_SCAN, ksm->pages_to_scan + 1);
}

static void wish_rate(PolicyContext *c, KsmWish *wish) {
        uint64_t scan_time = setting(&c->host, KEY_KSM_SCAN_TIME) / USEC_PER_SEC;
        uint64_t limit = setting(&c->host, KEY_KSM_MAX_CPU);
        const KsmStatus *ksm = &c->snapshot->host.ksm;

        ksm_wish_set(wish, KSM_KNOB_SLEEP_MILLISECS,
                     MAX(setting(&c->host, KEY_KSM_SLEEP) / USEC_PER_MSEC, UINT64_C(1)));
        if (ksm->smart_scan != UNKNOWN_U64)
                ksm_wish_set(wish, KSM_KNOB_SMART_SCAN, 1);
        if (is_catching_up(c)) {
                if (ksm->advisor_mode[0])
                        ksm_wish_set(wish, KSM_KNOB_ADVISOR_MODE, KSM_ADVISOR_NONE);
                wish_pages(c, UINT64_MAX, wish);
                (void)snprintf(wish->rate_why, sizeof(wish->rate_why),
                               "catching up, as fast as %" PRIu64 " %% of a CPU allow", limit / 100);
                return;
        }
        (void)snprintf(wish->rate_why, sizeof(wish->rate_why),
                       "a pass every %" PRIu64 " s, within %" PRIu64 " %% of a CPU", scan_time, limit / 100);
        if (ksm->advisor_mode[0])
                wish_advisor(c, scan_time, wish);
        else
                wish_pages(c, pages_looked_at(c->snapshot) / scan_time, wish);
}

int ksm_wish_auto(PolicyContext *c, KsmWish *wish) {
        bool running = c->snapshot->host.ksm.run == 1;

        if (!is_wanted(c, wish->why)) {
                c->state->ksm_rests = 0;
                c->state->ksm_rest_usec = 0;
                return 0;
        }
        if (running && ksm_balancing_was_switched(c, c->state->ksm_judged_usec)) {
                begin_window(c);
                begin_catching_up(c);
        } else if (!running || c->state->ksm_judged_usec == 0 || c->state->ksm_judged_usec > c->snapshot->now_usec)
                begin_window(c);
        if (running && c->state->ksm_rest_usec == 0) {
                account_cpu(c);
                judge(c);
        }
        if (is_resting(c))
                return wish_rest(c, wish);
        wish->run = true;
        wish_rate(c, wish);
        return 0;
}
