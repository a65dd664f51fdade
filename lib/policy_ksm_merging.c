/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Separating what is merged, and merge_across_nodes.
 *
 * The kernel changes merge_across_nodes only while nothing is merged
 * (merge_across_nodes_store() in mm/ksm.c). So, in one plan: run = 2, which
 * separates everything before it returns and leaves ksmd idle; the new value;
 * run as it is to be. Each of them is on record before the first is done, and
 * a process that ends in between leaves a state that the next decision goes on
 * from: run is 2, which is ours, nothing is merged, and the rest follows.
 *
 * Separating takes back what merging saved. It is done only when after it as
 * much is available as the host's reserve, and more than what makes `auto`
 * merge again.
 */

#include <inttypes.h>
#include <stdio.h>

#include "parse.h"
#include "policy_ksm.h"

#define RUN_STOP "0"
#define RUN_UNMERGE "2"
/* Pages that could not be separated are not tried again before. */
#define RETRY_USEC (10 * USEC_PER_MINUTE)
/* Without settings to go by: what host.reserved_memory is by default. */
#define RESTORE_RESERVE_PERMYRIAD 500U
#define RESTORE_RESERVE_MAX (4 * GIB)
/*
 * The kernel separates within the write, about a second and a half for each GiB (measured), and until then the
 * daemon does nothing else: more than this would come near the watchdog's minute (WatchdogSec= of the unit).
 */
#define SEPARATE_MAX_BYTES (16 * GIB)

static uint64_t separate_bytes(const KsmStatus *ksm) {
        return u64_muldiv(ksm->pages_sharing, MAX(ksm->page_bytes, UINT64_C(4) * KIB), 1);
}

static bool fits(const Host *h, uint64_t reserve_bytes) {
        return separate_bytes(&h->ksm) <= SEPARATE_MAX_BYTES && h->memory.available_bytes != UNKNOWN_U64 &&
               h->memory.available_bytes >= u64_add(separate_bytes(&h->ksm), reserve_bytes);
}

static uint64_t reserve(const PolicyContext *c) {
        uint64_t total = c->snapshot->host.memory.total_bytes;

        return MAX(policy_host_reserve(c), permyriad_of(total, setting(&c->host, KEY_KSM_START)));
}

static int add_no_room(PolicyContext *c, const char *what) {
        char need[FORMAT_BYTES_MAX], keep[FORMAT_BYTES_MAX], have[FORMAT_BYTES_MAX];
        const Host *h = &c->snapshot->host;

        if (separate_bytes(&h->ksm) > SEPARATE_MAX_BYTES)
                return plan_add_skip(c->plan, ACTION_SET_KSM, NULL, SKIP_NO_CAPACITY,
                                     "%s: %s are merged, and separating more than %s would take too long", what,
                                     format_bytes_short(separate_bytes(&h->ksm), need),
                                     format_bytes_short(SEPARATE_MAX_BYTES, keep));
        return plan_add_skip(c->plan, ACTION_SET_KSM, NULL, SKIP_NO_CAPACITY,
                             "%s: separating what is merged takes %s beside a reserve of %s, and %s are available",
                             what, format_bytes_short(separate_bytes(&h->ksm), need),
                             format_bytes_short(reserve(c), keep),
                             format_bytes_short(h->memory.available_bytes, have));
}

/* Several nodes, and guests that have a place on them: a merged page is on one node, remote for all others. */
static bool guests_are_placed(const PolicyContext *c) {
        if (c->snapshot->host.n_nodes < 2)
                return false;
        for (size_t i = 0; i < c->snapshot->n_guests; i++)
                if (setting(c->guests[i], KEY_CPU_POLICY) != CPU_NONE &&
                    setting(c->guests[i], KEY_NUMA_POLICY) == NUMA_AUTO)
                        return true;
        return false;
}

/* No value is wanted any more: the one from before is. */
static bool was_changed(const PolicyContext *c, bool *ret_across, const char **ret_why) {
        const Owned *owned = state_find_owned(c->state, ACTION_SET_KSM, "", KSM_KNOB_MERGE_ACROSS_NODES);

        if (!owned)
                return false;
        *ret_across = streq(owned->original, "1");
        *ret_why = "giving back merge_across_nodes as it was";
        return true;
}

/* Which value is wanted, and why; false: as it is. */
static bool wanted_across(const PolicyContext *c, bool *ret_across, const char **ret_why) {
        switch ((KsmAcross)setting(&c->host, KEY_KSM_MERGE_ACROSS_NODES)) {
        case KSM_ACROSS_YES:
                *ret_across = true;
                *ret_why = "ksm.merge_across_nodes is yes";
                return true;
        case KSM_ACROSS_NO:
                *ret_across = false;
                *ret_why = "ksm.merge_across_nodes is no";
                return true;
        case KSM_ACROSS_AUTO:
                *ret_across = false;
                *ret_why = "guests have their places on nodes: a page merged across them is remote";
                return guests_are_placed(c) || was_changed(c, ret_across, ret_why);
        default:
                return was_changed(c, ret_across, ret_why);
        }
}

/*
 * Where run stands while nothing is merged and ksmd does nothing: where it is, or at 2. Not at 0, which may be its
 * original: what has that again is no longer ours.
 */
static const char *idle_run(const KsmStatus *ksm, const char *now) {
        return ksm->run == 1 || ksm->pages_shared > 0 ? RUN_UNMERGE : now;
}

/* run goes to where it is idle and nothing is merged, and from there to its wished value. */
static int pass_through(PolicyContext *c, const KsmWish *wish, const char *why, bool set_across, bool across) {
        const KsmStatus *ksm = &c->snapshot->host.ksm;
        const char *through;
        char now[24];
        int r;

        r = ksm_knob_text(ksm, KSM_KNOB_RUN, now);
        if (r < 0)
                return r;
        through = idle_run(ksm, now);
        r = ksm_add_action(c, KSM_KNOB_RUN, now, through, why);
        if (r >= 0 && set_across)
                r = ksm_add_action(c, KSM_KNOB_MERGE_ACROSS_NODES, across ? "0" : "1", across ? "1" : "0", why);
        if (r >= 0)
                r = ksm_add_action(c, KSM_KNOB_RUN, through, wish->run ? "1" : "0", wish->why);
        return r;
}

static bool may_separate(PolicyContext *c) {
        uint64_t now = c->snapshot->now_usec, last = c->state->ksm_separated_usec;

        if (last > 0 && last <= now && now - last < RETRY_USEC)
                return false;
        c->state->ksm_separated_usec = MAX(now, UINT64_C(1));
        return true;
}

int ksm_plan_merging(PolicyContext *c, const KsmWish *wish, bool *ret_run) {
        const KsmStatus *ksm = &c->snapshot->host.ksm;
        bool across = false, change, separate = ksm->pages_shared > 0;
        const char *why = "";

        *ret_run = false;
        change = wanted_across(c, &across, &why) && ksm->merge_across_nodes != across;
        if (!change)
                why = wish->why;
        if (!change && !(separate && wish->unmerge && !wish->run))
                return 0;
        if (separate && !fits(&c->snapshot->host, reserve(c)))
                return add_no_room(c, why);
        if (separate && !may_separate(c))
                return 0;
        *ret_run = true;
        return pass_through(c, wish, why, change, across);
}

static uint64_t restore_reserve(const Host *h) {
        return MIN(permyriad_of(h->memory.total_bytes, RESTORE_RESERVE_PERMYRIAD), RESTORE_RESERVE_MAX);
}

/* What run was before we changed it; as it is, where it is not ours. Unmerging ends stopped. */
static void run_in_the_end(const Snapshot *snapshot, const State *state, char ret[static 24]) {
        const Owned *run = state_find_owned(state, ACTION_SET_KSM, "", KSM_KNOB_RUN);

        (void)ksm_knob_text(&snapshot->host.ksm, KSM_KNOB_RUN, ret);
        if (run && policy_still_ours(snapshot, run, ret))
                (void)snprintf(ret, 24, "%s", run->original);
        if (streq(ret, RUN_UNMERGE))
                (void)snprintf(ret, 24, RUN_STOP);
}

static int add_restore(Plan *plan, unsigned knob, const char *old, const char *new) {
        if (streq(old, new))
                return 0;
        return plan_add_action(plan, ACTION_SET_KSM, NULL, knob, old, new, "restore",
                               "giving back merge_across_nodes, for which nothing may be merged");
}

int ksm_restore_merging(const Snapshot *snapshot, const State *state, const Owned *owned, Plan *plan) {
        const KsmStatus *ksm = &snapshot->host.ksm;
        const char *through;
        char now[24], end[24], need[FORMAT_BYTES_MAX];
        int r;

        if (ksm->pages_shared > 0 && !fits(&snapshot->host, restore_reserve(&snapshot->host)))
                return plan_add_skip(plan, ACTION_SET_KSM, NULL, SKIP_NO_CAPACITY,
                                     "merge_across_nodes stays %s: to give back %s, %s of merged memory would have "
                                     "to be separated: too much at once, or more than there is room for",
                                     owned->ours, owned->original, format_bytes_short(separate_bytes(ksm), need));
        r = ksm_knob_text(ksm, KSM_KNOB_RUN, now);
        if (r < 0)
                return r;
        through = idle_run(ksm, now);
        run_in_the_end(snapshot, state, end);
        r = add_restore(plan, KSM_KNOB_RUN, now, through);
        if (r >= 0)
                r = add_restore(plan, KSM_KNOB_MERGE_ACROSS_NODES, owned->ours, owned->original);
        if (r >= 0)
                r = add_restore(plan, KSM_KNOB_RUN, through, end);
        return r;
}
