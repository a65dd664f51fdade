/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * KSM: what the mode wants of the scanner (policy_ksm_auto.c, policy_ksm_presets.c),
 * compared with what the kernel has, one action for each difference.
 *
 * Stopping leaves merged pages merged (run = 0), unless ksm.when_stopped or the
 * guests that must not share (policy_ksm_exposed.c) say otherwise: separating
 * them takes the memory that merging saved (policy_ksm_merging.c). The rate is
 * left as it is when KSM stops; it is given back with the rest.
 *
 * What KSM may save is promised to nobody: balloons are decided after it, from
 * what is available in the snapshot, and see what was saved only once it is.
 */

#include <inttypes.h>
#include <stdio.h>

#include "parse.h"
#include "policy_ksm.h"

#define VOLATILE_FACTOR 10U
#define VOLATILE_MIN 100U
#define SHARED_PART 10U

/*
 * The order in which to write. Never run at a rate nobody asked for. The
 * advisor is switched on after its limits are set, and off before the page
 * count that it would not let be written. run and merge_across_nodes are apart.
 */
static const unsigned orders[2][_KSM_KNOB_MAX - 2] = {
        { KSM_KNOB_ADVISOR_MODE, KSM_KNOB_ADVISOR_MAX_CPU, KSM_KNOB_ADVISOR_TARGET_SCAN_TIME, KSM_KNOB_SMART_SCAN,
          KSM_KNOB_PAGES_TO_SCAN, KSM_KNOB_SLEEP_MILLISECS },
        { KSM_KNOB_PAGES_TO_SCAN, KSM_KNOB_SLEEP_MILLISECS, KSM_KNOB_SMART_SCAN, KSM_KNOB_ADVISOR_MAX_CPU,
          KSM_KNOB_ADVISOR_TARGET_SCAN_TIME, KSM_KNOB_ADVISOR_MODE },
};

/* ---- what the kernel has ---- */

/* Of those that are numbers. */
static const size_t offsets[_KSM_KNOB_MAX] = {
        [KSM_KNOB_RUN] = offsetof(KsmStatus, run),
        [KSM_KNOB_PAGES_TO_SCAN] = offsetof(KsmStatus, pages_to_scan),
        [KSM_KNOB_SLEEP_MILLISECS] = offsetof(KsmStatus, sleep_millisecs),
        [KSM_KNOB_MERGE_ACROSS_NODES] = offsetof(KsmStatus, merge_across_nodes),
        [KSM_KNOB_SMART_SCAN] = offsetof(KsmStatus, smart_scan),
        [KSM_KNOB_ADVISOR_MAX_CPU] = offsetof(KsmStatus, advisor_max_cpu),
        [KSM_KNOB_ADVISOR_TARGET_SCAN_TIME] = offsetof(KsmStatus, advisor_target_scan_time),
};

static uint64_t knob_number(const KsmStatus *ksm, unsigned knob) {
        uint64_t value = UNKNOWN_U64;

        if (knob < ELEMENTSOF(offsets) && knob != KSM_KNOB_ADVISOR_MODE)
                memcpy(&value, (const char *)ksm + offsets[knob], sizeof(value));
        return value;
}

void policy_ksm_note(KsmStatus *ksm, KsmKnob knob, const char *value) {
        uint64_t number;

        if (knob == KSM_KNOB_ADVISOR_MODE)
                (void)snprintf(ksm->advisor_mode, sizeof(ksm->advisor_mode), "%s", value);
        else if ((size_t)knob < ELEMENTSOF(offsets) && parse_u64(value, &number) >= 0)
                memcpy((char *)ksm + offsets[knob], &number, sizeof(number));
}

int ksm_knob_text(const KsmStatus *ksm, unsigned knob, char ret[static 24]) {
        uint64_t number = knob_number(ksm, knob);

        if (!ksm->present)
                return -ENODATA;
        if (knob == KSM_KNOB_ADVISOR_MODE && ksm->advisor_mode[0]) {
                (void)snprintf(ret, 24, "%.23s", ksm->advisor_mode);
                return 0;
        }
        if (number == UNKNOWN_U64)
                return -ENODATA;
        (void)snprintf(ret, 24, "%" PRIu64, number);
        return 0;
}

bool ksm_advisor_is_on(const KsmStatus *ksm) {
        return streq(ksm->advisor_mode, "scan-time");
}

bool ksm_advisor_is_ours(const Snapshot *snapshot, const State *state) {
        const Owned *owned = state_find_owned(state, ACTION_SET_KSM, "", KSM_KNOB_ADVISOR_MODE);

        return ksm_advisor_is_on(&snapshot->host.ksm) && owned &&
               policy_still_ours(snapshot, owned, snapshot->host.ksm.advisor_mode);
}

bool ksm_advisor_remains(const Snapshot *snapshot, const State *state) {
        const Owned *owned = state_find_owned(state, ACTION_SET_KSM, "", KSM_KNOB_ADVISOR_MODE);

        if (owned && policy_still_ours(snapshot, owned, snapshot->host.ksm.advisor_mode))
                return streq(owned->original, "scan-time");
        return ksm_advisor_is_on(&snapshot->host.ksm);
}

bool ksm_is_stuck(const KsmStatus *ksm, uint64_t since_scans) {
        return ksm->present && ksm->run == 1 && u64_sub(ksm->full_scans, since_scans) >= KSM_CATCH_UP_SCANS &&
               ksm->pages_sharing <= ksm->pages_volatile / SHARED_PART &&
               ksm->pages_volatile > u64_muldiv(VOLATILE_FACTOR, u64_add(ksm->pages_unshared, VOLATILE_MIN), 1);
}

bool ksm_balancing_is_on(const Host *h) {
        return h->n_nodes > 1 && h->numa_balancing != UNKNOWN_U64 && (h->numa_balancing & 1);
}

bool ksm_balancing_may_yield(const PolicyContext *c) {
        return ksm_balancing_is_on(&c->snapshot->host) && host_may_hide_unmapped(&c->snapshot->host) &&
               setting(&c->host, KEY_KERNEL_NUMA_BALANCING) == KERNEL_AUTO && !c->state->kernel_taken;
}

bool ksm_balancing_was_switched(const PolicyContext *c, uint64_t since_usec) {
        return since_usec > 0 && c->state->kernel_set_usec >= since_usec &&
               c->state->kernel_set_usec < c->snapshot->now_usec;
}

uint64_t ksm_guests_bytes(const Snapshot *snapshot) {
        uint64_t sum = 0;

        for (size_t i = 0; i < snapshot->n_guests; i++)
                if (snapshot->guests[i]->current_bytes != UNKNOWN_U64)
                        sum = u64_add(sum, snapshot->guests[i]->current_bytes);
        return sum;
}

/* ---- what is still ours ---- */

/*
 * One owned knob. Somebody else changed it: it is theirs, and so is the whole
 * of KSM from now on. It holds its original at the first look after a restart:
 * the process that recorded the change ended before it was made (or after
 * giving it back); then there is nothing to own. Returns 0 or -ENOMEM.
 */
static int check_knob(PolicyContext *c, const Owned *owned) {
        unsigned knob = owned->index;
        char current[24];
        int r = 0;

        if (ksm_knob_text(&c->snapshot->host.ksm, knob, current) < 0 ||
            policy_still_ours(c->snapshot, owned, current))
                return 0;
        if (!(c->state->ksm_adopted && streq_ptr(owned->original, current))) {
                if (!c->state->ksm_taken)
                        r = plan_add_skip(c->plan, ACTION_SET_KSM, NULL, SKIP_TAKEN_OVER,
                                          "%s is %s, not %s as set by kvmtuned: somebody else changed it; "
                                          "KSM is left alone",
                                          ksm_knob_to_string((KsmKnob)knob), current, owned->ours);
                c->state->ksm_taken = true;
        }
        state_disown(c->state, ACTION_SET_KSM, "", knob);
        return r;
}

/*
 * Looks at the knobs we own. One that somebody else changed ends our control
 * of all of them: two masters of one scanner do no good. Those that still hold
 * our value stay as they are, and owned: they are given back at the end. The
 * page count is nobody's while the advisor changes it, and kept for its
 * original when the advisor is ours. Returns 0 or -ENOMEM.
 */
static int check_taken_over(PolicyContext *c) {
        bool advised = ksm_advisor_is_on(&c->snapshot->host.ksm), ours = ksm_advisor_is_ours(c->snapshot, c->state);
        int r;

        if (advised && !ours)
                state_disown(c->state, ACTION_SET_KSM, "", KSM_KNOB_PAGES_TO_SCAN);
        for (unsigned knob = 0; knob < _KSM_KNOB_MAX; knob++) {
                const Owned *owned = state_find_owned(c->state, ACTION_SET_KSM, "", knob);

                if (!owned || (knob == KSM_KNOB_PAGES_TO_SCAN && ours))
                        continue;
                r = check_knob(c, owned);
                if (r < 0)
                        return r;
        }
        c->state->ksm_adopted = false;
        return 0;
}

/* ---- what is wanted ---- */

static bool is_preset(KsmMode mode) {
        return mode == KSM_KSMTUNED || mode == KSM_MOM || mode == KSM_KUBEVIRT;
}

static int make_wish(PolicyContext *c, KsmMode mode, KsmWish *wish) {
        if (!is_preset(mode))
                c->state->ksm_stepped_usec = 0;
        if (mode == KSM_AUTO)
                return ksm_wish_auto(c, wish);
        if (is_preset(mode)) {
                ksm_wish_preset(c, mode, wish);
                return 0;
        }
        c->state->ksm_on = wish->run = mode == KSM_ON;
        ksm_wish_set(wish, KSM_KNOB_PAGES_TO_SCAN, setting(&c->host, KEY_KSM_PAGES_TO_SCAN));
        ksm_wish_set(wish, KSM_KNOB_SLEEP_MILLISECS, setting(&c->host, KEY_KSM_SLEEP) / USEC_PER_MSEC);
        (void)snprintf(wish->why, sizeof(wish->why), "ksm.mode is %s", wish->run ? "on" : "off");
        return 0;
}

/* Whatever the mode wants, a guest that must not share may forbid it. */
static int decide(PolicyContext *c, KsmMode mode, KsmWish *wish) {
        const Guest *forbidden = NULL;
        int r;

        r = ksm_check_exposed(c, mode, &forbidden);
        if (r < 0)
                return r;
        r = make_wish(c, mode, wish);
        if (r < 0)
                return r;
        wish->unmerge = setting(&c->host, KEY_KSM_WHEN_STOPPED) == KSM_STOPPED_UNMERGE;
        if (!forbidden)
                return 0;
        wish->run = false;
        wish->unmerge = true;
        (void)snprintf(wish->why, sizeof(wish->why),
                       "guest %.100s must not share memory, and its XML does not say so", forbidden->name);
        return 0;
}

/* ---- the knobs ---- */

int ksm_add_action(PolicyContext *c, unsigned knob, const char *old, const char *new, const char *why) {
        _cleanup_free_ char *source = NULL;
        const Host *h = &c->snapshot->host;
        const char *note = "";
        int r;

        if (streq(old, new))
                return 0;
        r = setting_source(&c->host, KEY_KSM_MODE, &source);
        if (r < 0)
                return r;
        if (knob == KSM_KNOB_RUN && streq(new, "1") && ksm_balancing_is_on(h) && host_hides_unmapped(h))
                note = "; kernel.numa_balancing is on, which keeps Linux 6.1 to 6.4 from merging";
        return plan_add_action(c->plan, ACTION_SET_KSM, NULL, knob, old, new, source, "%s%s", why, note);
}

static int set_knob(PolicyContext *c, unsigned knob, uint64_t value, const char *why) {
        char old[24], new[24];

        if (ksm_knob_text(&c->snapshot->host.ksm, knob, old) < 0)
                return 0;
        if (knob == KSM_KNOB_ADVISOR_MODE)
                (void)snprintf(new, sizeof(new), "%s", value == KSM_ADVISOR_SCAN_TIME ? "scan-time" : "none");
        else
                (void)snprintf(new, sizeof(new), "%" PRIu64, value);
        return ksm_add_action(c, knob, old, new, why);
}

/* The kernel has changed the page count all the while, and sets its default when the advisor goes: always written. */
static int give_back_knob(PolicyContext *c, unsigned knob, const char *why) {
        const Owned *owned = state_find_owned(c->state, ACTION_SET_KSM, "", knob);
        char current[24];

        if (!owned || ksm_knob_text(&c->snapshot->host.ksm, knob, current) < 0)
                return 0;
        if (knob == KSM_KNOB_PAGES_TO_SCAN && ksm_advisor_is_ours(c->snapshot, c->state))
                (void)snprintf(current, sizeof(current), "advised");
        if (streq(owned->original, current) ||
            (knob == KSM_KNOB_PAGES_TO_SCAN && ksm_advisor_remains(c->snapshot, c->state))) {
                state_disown(c->state, ACTION_SET_KSM, "", knob);
                return 0;
        }
        return ksm_add_action(c, knob, current, owned->original, why);
}

/* Whether the advisor is on when the wish is fulfilled. */
static bool advisor_stays(const PolicyContext *c, const KsmWish *wish) {
        if (wish->set[KSM_KNOB_ADVISOR_MODE])
                return wish->value[KSM_KNOB_ADVISOR_MODE] == KSM_ADVISOR_SCAN_TIME;
        return ksm_advisor_remains(c->snapshot, c->state);
}

static int fulfil_knob(PolicyContext *c, const KsmWish *wish, unsigned knob, bool advised) {
        const char *why = wish->rate_why[0] ? wish->rate_why : wish->why;
        bool on = ksm_advisor_is_on(&c->snapshot->host.ksm);

        if (knob == KSM_KNOB_PAGES_TO_SCAN && advised && (on || !wish->set[knob])) {
                /* Its own page count, which auto does not ask for. */
                if (!wish->set[knob] || knob_number(&c->snapshot->host.ksm, knob) == wish->value[knob])
                        return 0;
                return plan_add_skip(c->plan, ACTION_SET_KSM, NULL, SKIP_UNAVAILABLE,
                                     "pages_to_scan is set by the kernel's scan-time advisor");
        }
        if (wish->set[knob])
                return set_knob(c, knob, wish->value[knob], why);
        return give_back_knob(c, knob, "not needed in this mode: giving back the value from before");
}

static int fulfil(PolicyContext *c, const KsmWish *wish) {
        bool advised = advisor_stays(c, wish), done = false;
        const KsmStatus *ksm = &c->snapshot->host.ksm;
        int r;

        for (size_t i = 0; wish->run && i < ELEMENTSOF(orders[0]); i++) {
                r = fulfil_knob(c, wish, orders[advised][i], advised);
                if (r < 0)
                        return r;
        }
        r = ksm_plan_merging(c, wish, &done);
        if (r < 0 || done)
                return r;
        /* 2: somebody asked for unmerging; it ends stopped anyway. */
        if (!wish->run && ksm->run == 2 && !state_find_owned(c->state, ACTION_SET_KSM, "", KSM_KNOB_RUN))
                return 0;
        return set_knob(c, KSM_KNOB_RUN, wish->run, wish->why);
}

/* Mode keep: what was changed under another mode goes back; the caller disowns what it has given back. */
static int give_back(PolicyContext *c) {
        static const char why[] = "ksm.mode is keep: giving back the value from before";
        const Owned *across;
        char current[24];
        int r;

        c->state->ksm_on = false;
        for (size_t i = 0; i < ELEMENTSOF(orders[0]); i++) {
                r = give_back_knob(c, orders[0][i], why);
                if (r < 0)
                        return r;
        }
        across = state_find_owned(c->state, ACTION_SET_KSM, "", KSM_KNOB_MERGE_ACROSS_NODES);
        if (across && ksm_knob_text(&c->snapshot->host.ksm, KSM_KNOB_MERGE_ACROSS_NODES, current) >= 0 &&
            !streq(current, across->original))
                return ksm_restore_merging(c->snapshot, c->state, across, c->plan);
        if (across)
                state_disown(c->state, ACTION_SET_KSM, "", KSM_KNOB_MERGE_ACROSS_NODES);
        return give_back_knob(c, KSM_KNOB_RUN, why);
}

/* ---- */

static bool memory_is_known(const HostMemory *m) {
        return m->total_bytes / KIB > 0 && m->total_bytes != UNKNOWN_U64 && m->available_bytes != UNKNOWN_U64;
}

/* What there is to look at; what is not known may be all that the guest has. */
static uint64_t resident_bytes(const Snapshot *snapshot) {
        uint64_t sum = 0;

        for (size_t i = 0; i < snapshot->n_guests; i++) {
                const Guest *g = snapshot->guests[i];
                uint64_t bytes = g->rss_bytes != UNKNOWN_U64 ? g->rss_bytes : g->current_bytes;

                if (bytes != UNKNOWN_U64)
                        sum = u64_add(sum, bytes);
        }
        return sum;
}

/*
 * Since when it runs under the same conditions, whoever started it. That begins anew when guests come or fill their
 * memory, each time by a tenth: until they were looked at twice, pages that are new count as volatile like those that
 * change. Auto looks at them soon.
 */
static void watch_run(PolicyContext *c) {
        const KsmStatus *ksm = &c->snapshot->host.ksm;
        uint64_t bytes = resident_bytes(c->snapshot);
        State *s = c->state;
        bool grown = s->ksm_run_usec > 0 && bytes > permyriad_of(s->ksm_run_bytes, KSM_GROWTH_PERMYRIAD);

        if (ksm->run != 1) {
                s->ksm_run_usec = 0;
                return;
        }
        if (grown)
                s->ksm_catch_up_scans = u64_add(ksm->full_scans, KSM_CATCH_UP_SCANS);
        if (grown || s->ksm_run_usec == 0 || ksm_balancing_was_switched(c, s->ksm_run_usec)) {
                s->ksm_run_usec = MAX(c->snapshot->now_usec, UINT64_C(1));
                s->ksm_run_scans = ksm->full_scans;
                s->ksm_run_bytes = bytes;
        }
        s->ksm_run_bytes = MIN(s->ksm_run_bytes, bytes);
}

/* Only kernel.numa_balancing = "auto" lets policy_kernel.c do something about it. */
static const char *why_stuck(const PolicyContext *c) {
        const Host *h = &c->snapshot->host;

        if (h->n_nodes < 2 || !host_may_hide_unmapped(h))
                return "the guests write to them from one pass to the next";
        if (!ksm_balancing_is_on(h))
                return "the guests write to them from one pass to the next, or one of them has run under "
                       "kernel.numa_balancing: then it stays so until its memory is moved (migratepages), or it is "
                       "started again";
        return ksm_balancing_may_yield(c) ? "kernel.numa_balancing is on, and is switched off if this lasts"
                                          : "kernel.numa_balancing is on, and the policy leaves it so";
}

static int say_stuck(PolicyContext *c) {
        const KsmStatus *ksm = &c->snapshot->host.ksm;

        if (!ksm_is_stuck(ksm, c->state->ksm_run_scans))
                return 0;
        return plan_add_skip(c->plan, ACTION_SET_KSM, NULL, SKIP_STUCK,
                             "KSM went over all memory and merged next to nothing, %" PRIu64
                             " pages count as volatile: %s", ksm->pages_volatile, why_stuck(c));
}

static int look_at(PolicyContext *c, KsmMode mode) {
        bool was_taken = c->state->ksm_taken;
        KsmWish wish = { 0 };
        int r;

        r = check_taken_over(c);
        if (r < 0)
                return r;
        if (mode == KSM_KEEP) {
                const Guest *forbidden;

                r = ksm_check_exposed(c, mode, &forbidden);
                return r < 0 ? r : give_back(c);
        }
        if (c->state->ksm_taken) {
                if (!was_taken)
                        return 0;
                return plan_add_skip(c->plan, ACTION_SET_KSM, NULL, SKIP_TAKEN_OVER,
                                     "KSM was changed by somebody else; it is left alone until the next reload");
        }
        if ((mode == KSM_AUTO || is_preset(mode)) && !memory_is_known(&c->snapshot->host.memory))
                return plan_add_skip(c->plan, ACTION_SET_KSM, NULL, SKIP_UNKNOWN, "the host's memory is not known");
        r = say_stuck(c);
        if (r < 0)
                return r;
        r = decide(c, mode, &wish);
        return r < 0 ? r : fulfil(c, &wish);
}

int policy_ksm(PolicyContext *c) {
        KsmMode mode = (KsmMode)setting(&c->host, KEY_KSM_MODE);
        const KsmStatus *ksm = &c->snapshot->host.ksm;

        if (c->only_uuid)
                return 0;
        if (!ksm->present || !ksm->writable) {
                if (mode == KSM_KEEP)
                        return 0;
                return plan_add_skip(c->plan, ACTION_SET_KSM, NULL, SKIP_UNAVAILABLE, "%s",
                                     ksm->present ? "/sys/kernel/mm/ksm cannot be written"
                                                  : "the kernel has no /sys/kernel/mm/ksm");
        }
        watch_run(c);
        return look_at(c, mode);
}
