/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The decision: (config, state, snapshot) -> (plan, next state). Pure: no
 * clock, no file, no global; the same input gives the same plan.
 *
 * `make layers` holds policy*.c to it: their objects reference no I/O.
 */

#include "base.h"
#include "config.h"
#include "plan.h"
#include "state.h"

typedef struct PolicyInput {
        const Config *config;
        const Snapshot *snapshot;
        /*
         * Non-NULL: decide for this guest only (it just started); the host and
         * the other guests are looked at but not touched.
         */
        const char *only_uuid;
        /*
         * The guests of the snapshot are not all there are (libvirt has not
         * answered yet): nothing is forgotten about those that are missing.
         */
        bool guests_incomplete;
        /*
         * A guest's memory is being moved: one at a time, so no
         * ACTION_MOVE_MEMORY and no rebalancing is decided, nor noted as done.
         */
        bool mover_busy;
        /* That guest: whether its move may go on is looked at (Plan.cancel_move). NULL: not known. */
        const char *moving_uuid;
        /*
         * Fill plan->placements: for each guest whose place is ours to decide, the sets of nodes that come into
         * question, with their scores. Changes nothing else; for people who ask, not for every decision.
         */
        bool explain;
} PolicyInput;

/*
 * Updates @state (rules, memos, bookkeeping of what is still ours; not the
 * ownership of the new actions: the caller does state_own() for what it will
 * do) and returns the plan. Returns 0 or -ENOMEM; on failure @state may be
 * half updated: pass a copy where that matters.
 */
int policy_decide(const PolicyInput *in, State *state, Plan **ret);

/* The settings in force. They borrow from the Config. */
typedef struct PolicySettings {
        bool *active;                   /* config->n_rules; a rule on guests' metrics: holds for any */
        Settings host;
        const Settings **guests;        /* parallel to snapshot->guests; each is one of these: */
        struct SettingsKind **kinds;    /* most guests have the same settings */
        size_t n_kinds, kinds_capacity;
} PolicySettings;

/*
 * daemon.competitors = "yield": of @s those that drive what a competitor drives become such that change nothing, so
 * that what was changed before goes back.
 */
void policy_yield(const PolicyInput *in, Settings *s);

/*
 * The part of a decision that needs no controller: which rules hold, and the
 * settings that follow. Updates the thresholds of @state. 0 or -ENOMEM.
 */
int policy_settings(const PolicyInput *in, State *state, PolicySettings *ret);
void policy_settings_done(PolicySettings *s);
/* A note in @plan on each pair of limits that two layers broke together: what holds instead. -ENOMEM. */
int policy_say_clashes(const PolicySettings *s, Plan *plan);

/* A memo for each guest, in @state; *ret is parallel to @snapshot's guests, valid until one more is made. -ENOMEM. */
int policy_remember_guests(const Snapshot *snapshot, State *state, GuestMemo ***ret);

/* Everything one controller needs; the settings are resolved once. */
typedef struct PolicyContext {
        const Config *config;
        const Snapshot *snapshot;
        State *state;
        Plan *plan;
        const bool *active_rules;
        Settings host;
        const Settings *const *guests;  /* parallel to snapshot->guests */
        GuestMemo *const *memos;        /* the same; each guest has one */
        const char *only_uuid;
        bool mover_busy;
        const char *moving_uuid;
        bool explain;
} PolicyContext;

/* host.reserved_memory in bytes: what the host keeps for itself. Auto: 5 % of its memory, at most 4 GiB. */
uint64_t policy_host_reserve(const PolicyContext *c);

/* Asks for the statistics that rules look at, beside those that controllers want already. -ENOMEM. */
int policy_want_stats(PolicyContext *c);

/* A Skip for each guest, or the host, to which the policy would do something but for policy_yield(). 0 or -ENOMEM. */
int policy_say_yielded(PolicyContext *c);

/* One controller each. Return 0 or -ENOMEM. */
int policy_placement(PolicyContext *c);         /* vCPU, emulator, iothread pins and memory: one decision */
int policy_ksm(PolicyContext *c);
int policy_kernel(PolicyContext *c);             /* switches of the kernel */
int policy_balloon(PolicyContext *c);
int policy_vcpus(PolicyContext *c);
int policy_memtune(PolicyContext *c);           /* memory limits of guests */
int policy_hugepages(PolicyContext *c);         /* pools of huge pages */
int policy_thp(PolicyContext *c);               /* transparent huge pages */

/* Who carries out plans keeps GuestMemo.calls_open_usec: what libvirt was asked for may still come to be. */
bool policy_calls_open(const GuestMemo *memo, uint64_t now_usec);

/* The knob was given @value: so it is in what was seen, too. */
void policy_ksm_note(KsmStatus *ksm, KsmKnob knob, const char *value);

/* A memory limit and its canonical text; UINT64_MAX is no limit. 0, -EINVAL, -ERANGE or -ENOMEM. */
int policy_memtune_parse(const char *text, uint64_t *ret_bytes);
int policy_memtune_format(uint64_t bytes, char **ret);
uint64_t policy_memtune_value(const Guest *g, MemtuneKnob knob);
/* The limit is set by now. */
void policy_memtune_note(Guest *g, MemtuneKnob knob, const char *value);
/*
 * Whether @g can live with @bytes as the limit @knob right now. Where it cannot, its QEMU would be killed (hard
 * limits) or libvirt refuses it.
 */
bool policy_memtune_is_safe(const Guest *g, MemtuneKnob knob, uint64_t bytes);

/* Action.index of a pool; plan.h takes it apart. @page_bytes is a power of two. */
unsigned policy_pool_index(unsigned node, uint64_t page_bytes);
/* Its pages without surplus ones. 0, -ENODATA or -ENOMEM. */
int policy_pool_value(const Snapshot *snapshot, unsigned index, char **ret);
/*
 * It was set, and has @pages by now without surplus ones. The whole of it is as in @seen; when that is NULL, as the
 * kernel would leave it.
 */
void policy_pool_note(Host *h, unsigned index, uint64_t pages, const HugePool *seen);
/*
 * The kernel makes or frees pages of the pool, which takes time: nothing is decided about it until it has ended with
 * @got of the @asked pages.
 */
void policy_pool_started(State *s, unsigned index);
void policy_pool_ended(State *s, unsigned index, uint64_t now_usec, uint64_t asked, uint64_t got);
/* Whether @current is on the way from the original to ours. */
bool policy_pool_between(const Owned *owned, const char *current);

/* The value of @knob in its canonical text; false: the kernel has no such file. */
#define POLICY_THP_TEXT_MAX 32
bool policy_thp_value(const ThpStatus *thp, ThpKnob knob, char ret[static POLICY_THP_TEXT_MAX]);

/*
 * What to do to give everything back: for each owned knob that still holds our
 * value, an action that sets the original; for the others a Skip (taken over).
 * @state is not changed. Returns 0 or -ENOMEM.
 */
int policy_restore(const Snapshot *snapshot, const State *state, Plan **ret);

/*
 * A memory move decided before has ended with @result (MoverReport), having
 * left @failed_bytes that the kernel would not move. Only what comes after
 * counts for its verification.
 */
void policy_move_ended(State *s, const char *uuid, uint64_t now_usec, uint64_t failed_bytes, int result);

/*
 * The value of a knob as the snapshot shows it, in the canonical text of its
 * kind. -ENODATA when the snapshot does not know it, -ENOENT when the guest or
 * thread is gone, -ENOMEM.
 */
int policy_current_value(const Snapshot *snapshot, ActionKind kind, const char *uuid, unsigned index, char **ret);

/* A balloon moves in units the guest chooses; differences up to this are none. */
#define BALLOON_TOLERANCE_BYTES MIB
/* Statistics older than so many of their periods are nobody's word any more. */
#define BALLOON_STALE_PERIODS 3U

/*
 * Whether a knob still holds what we gave it (ours or previous). CPU lists are
 * compared on the online CPUs (the kernel drops offline ones from a thread's
 * affinity); a balloon holds when it is at our value (1 MiB tolerance) or on
 * its way from previous/original to it.
 */
bool policy_still_ours(const Snapshot *snapshot, const Owned *owned, const char *current);

/*
 * Whether libvirt's @pin of a thread is what it was given (ours or previous) or had before. That record does not
 * shrink with the CPUs that are online: it tells a user's pin from ours where what the kernel allows is the same.
 */
bool policy_pin_on_record(const Topology *topology, const Owned *owned, const IdSet *pin);

/*
 * Whether a balloon at @current_bytes is between where it was at the last look
 * and where it was sent. Several requests in a row leave it outside of all that
 * an Owned remembers; then this still tells that it is our doing.
 */
bool policy_balloon_on_its_way(const GuestMemo *memo, uint64_t current_bytes);

/*
 * Whether @online vCPUs are our doing: what was set, or something on the way
 * to what was asked for. @memo may be NULL. Of a number at rest the controller
 * itself knows better.
 */
bool policy_vcpus_hold(const GuestMemo *memo, const Owned *owned, unsigned online);
