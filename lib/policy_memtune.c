/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Memory limits of a guest's QEMU process: libvirt's <memtune>, applied live.
 *
 * A hard limit that is too low ends in the kernel killing QEMU, and what QEMU
 * needs beside the guest's memory cannot be computed (libvirt's documentation
 * of <memtune> advises against the limit for that reason). So the estimate is
 * on the safe side of those in use, and a limit below it is not set:
 *
 *     2 % of the guest's memory   page tables take 1/512 of it (KubeVirt's
 *                                 GetMemoryOverhead()); libvirt added 2 % and
 *                                 200 MiB when it still set limits by itself
 *   + 8 MiB a vCPU and iothread   KubeVirt's
 *   + 256 MiB                     QEMU, video memory, caches of disks
 *   + 1 GiB                       with a passed-through device or locked memory:
 *                                 libvirt locks that much beside the memory
 *
 * Nor is a limit set below what is resident now and a 64th of it and 64 MiB.
 * That also holds for giving back a lower one: it is put off.
 *
 * libvirt wants hard_limit <= swap_hard_limit at any time, so the order in
 * which two of them change depends on their direction. The kernel counts memory
 * and swap together against the second on cgroup v1, swap alone on v2 (libvirt
 * writes memory.swap.max); there soft_limit is memory.high.
 */

#include <inttypes.h>
#include <stdio.h>

#include "parse.h"
#include "policy_eligible.h"
#include "policy_knob.h"

#define UNLIMITED UINT64_MAX
#define UNLIMITED_TEXT "unlimited"

#define OVERHEAD_PERMYRIAD 200U
#define OVERHEAD_THREAD_BYTES (8 * MIB)
#define OVERHEAD_BYTES (256 * MIB)
#define OVERHEAD_LOCKED_BYTES GIB
#define RESIDENT_PART 64U
#define RESIDENT_BYTES (64 * MIB)
/* What every cgroup takes as it is. */
#define LIMIT_UNIT (64 * KIB)
/* By then libvirt has done what it was asked for, or has failed. */
#define UNDER_WAY_USEC (30 * USEC_PER_SEC)

static const Key keys[_MEMTUNE_KNOB_MAX] = {
        [MEMTUNE_KNOB_HARD_LIMIT] = KEY_MEMTUNE_HARD_LIMIT,
        [MEMTUNE_KNOB_SWAP_HARD_LIMIT] = KEY_MEMTUNE_SWAP_HARD_LIMIT,
        [MEMTUNE_KNOB_SOFT_LIMIT] = KEY_MEMTUNE_SOFT_LIMIT,
};

typedef struct Limit {
        bool wanted;            /* the setting says something */
        bool put_off;           /* nothing is done now */
        bool taken;
        uint64_t now, target;
        const Owned *owned;
        char *text;             /* of now */
} Limit;

typedef struct Memtune {
        PolicyContext *c;
        const Guest *g;
        const Settings *settings;
        GuestMemo *memo;
        KnobSkips skips;
        Limit limits[_MEMTUNE_KNOB_MAX];
} Memtune;

/* ---- values ---- */

int policy_memtune_parse(const char *text, uint64_t *ret_bytes) {
        if (streq(text, UNLIMITED_TEXT)) {
                *ret_bytes = UNLIMITED;
                return 0;
        }
        return parse_u64(text, ret_bytes);
}

int policy_memtune_format(uint64_t bytes, char **ret) {
        *ret = NULL;
        return bytes == UNLIMITED ? strdup_to(ret, UNLIMITED_TEXT) : strprintf_to(ret, "%" PRIu64, bytes);
}

static uint64_t *value_of(Guest *g, MemtuneKnob knob) {
        if (knob == MEMTUNE_KNOB_HARD_LIMIT)
                return &g->hard_limit_bytes;
        return knob == MEMTUNE_KNOB_SWAP_HARD_LIMIT ? &g->swap_hard_limit_bytes : &g->soft_limit_bytes;
}

uint64_t policy_memtune_value(const Guest *g, MemtuneKnob knob) {
        uint64_t bytes = *value_of((Guest *)g, knob);

        return bytes == 0 ? UNLIMITED : bytes;
}

void policy_memtune_note(Guest *g, MemtuneKnob knob, const char *value) {
        uint64_t bytes;

        if (policy_memtune_parse(value, &bytes) >= 0)
                *value_of(g, knob) = bytes == UNLIMITED ? 0 : bytes;
}

/* ---- what is safe ---- */

static uint64_t overhead_of(const Guest *g) {
        uint64_t bytes = u64_add(permyriad_of(g->max_bytes, OVERHEAD_PERMYRIAD),
                                 u64_add((g->n_vcpus + g->n_iothreads) * OVERHEAD_THREAD_BYTES, OVERHEAD_BYTES));

        return g->vfio || g->locked ? u64_add(bytes, OVERHEAD_LOCKED_BYTES) : bytes;
}

static uint64_t round_up(uint64_t bytes) {
        return u64_add(bytes, LIMIT_UNIT - 1) / LIMIT_UNIT * LIMIT_UNIT;
}

/* The least hard limit that may be asked for. */
static uint64_t least_limit(const Guest *g) {
        return round_up(u64_add(g->max_bytes, overhead_of(g)));
}

static uint64_t resident_limit(const Guest *g) {
        return u64_add(g->rss_bytes, u64_add(g->rss_bytes / RESIDENT_PART, RESIDENT_BYTES));
}

bool policy_memtune_is_safe(const Guest *g, MemtuneKnob knob, uint64_t bytes) {
        if (bytes == UNLIMITED || knob == MEMTUNE_KNOB_SOFT_LIMIT)
                return true;
        return g->rss_bytes != UNKNOWN_U64 && bytes >= resident_limit(g);
}

/* ---- what is wanted ---- */

static Knob knob_of(Memtune *m, MemtuneKnob knob) {
        return (Knob){
                .kind = ACTION_SET_MEMTUNE, .guest = m->g, .index = (unsigned)knob, .key = keys[knob],
                .settings = m->settings, .current = m->limits[knob].text, .adopted = m->memo->memtune_adopted,
                .open = policy_calls_open(m->memo, m->c->snapshot->now_usec), .skips = &m->skips,
        };
}

/* Asked for, and not seen yet: it holds what it had before, and nobody else has changed it. */
static bool is_under_way(const Memtune *m, MemtuneKnob knob) {
        const Owned *owned = state_find_owned(m->c->state, ACTION_SET_MEMTUNE, m->g->uuid, (unsigned)knob);
        uint64_t now = m->c->snapshot->now_usec;

        if (!owned || !streq(owned->original, m->limits[knob].text))
                return false;
        return policy_calls_open(m->memo, now) ||
               (m->memo->memtune_set_usec > 0 && u64_sub(now, m->memo->memtune_set_usec) < UNDER_WAY_USEC);
}

static int init_limit(Memtune *m, MemtuneKnob knob) {
        Limit *l = &m->limits[knob];
        Knob k;
        int r;

        l->taken = (m->memo->memtune_taken & 1U << knob) != 0;
        l->now = policy_memtune_value(m->g, knob);
        r = policy_memtune_format(l->now, &l->text);
        if (r < 0)
                return r;
        k = knob_of(m, knob);
        if (l->taken && l->wanted)
                r = policy_knob_skip_taken(&k);
        else if (!is_under_way(m, knob))
                r = policy_knob_check(m->c, &k, &l->taken);
        if (l->taken)
                m->memo->memtune_taken |= 1U << knob;
        return r;
}

static int init_target(Memtune *m, MemtuneKnob knob) {
        Limit *l = &m->limits[knob];

        l->owned = state_find_owned(m->c->state, ACTION_SET_MEMTUNE, m->g->uuid, (unsigned)knob);
        l->target = l->now;
        if (l->taken)
                return 0;
        if (l->wanted)
                l->target = round_up(setting_amount(m->settings, keys[knob], m->g->max_bytes, least_limit(m->g)));
        else if (l->owned && policy_memtune_parse(l->owned->original, &l->target) < 0)
                l->target = l->now;
        return 0;
}

/* Nothing is done to @knob now, and @format says why. */
static int _printf_(4, 5) put_off(Memtune *m, MemtuneKnob knob, SkipReason why, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        Knob k = knob_of(m, knob);
        va_list ap;
        int r;

        m->limits[knob].put_off = true;
        m->limits[knob].target = m->limits[knob].now;
        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0) {
                text = NULL;
                return -ENOMEM;
        }
        return policy_knob_skip(&k, why, "%s", text);
}

/* A hard limit, with swap or without, below what the guest needs. */
static int check_room(Memtune *m, MemtuneKnob knob) {
        char limit[FORMAT_BYTES_MAX], need[FORMAT_BYTES_MAX], memory[FORMAT_BYTES_MAX];
        const char *name = memtune_knob_to_string(knob);
        Limit *l = &m->limits[knob];
        uint64_t least = least_limit(m->g);

        if (l->target == l->now || l->target == UNLIMITED)
                return 0;
        (void)format_bytes_short(l->target, limit);
        if (l->wanted && l->target < least)
                return put_off(m, knob, SKIP_UNSAFE,
                               "%s of %s is below the %s that the guest's %s and its QEMU may need", name, limit,
                               format_bytes_short(least, need), format_bytes_short(m->g->max_bytes, memory));
        if (m->g->rss_bytes == UNKNOWN_U64)
                return put_off(m, knob, SKIP_UNKNOWN, "%s: the guest's resident memory is not known", name);
        if (!policy_memtune_is_safe(m->g, knob, l->target))
                return put_off(m, knob, SKIP_UNSAFE, "%s of %s is too close to the %s that is resident", name, limit,
                               format_bytes_short(m->g->rss_bytes, need));
        return 0;
}

/* Reclaim below what cannot be reclaimed only stalls the guest. */
static int check_soft(Memtune *m) {
        Limit *l = &m->limits[MEMTUNE_KNOB_SOFT_LIMIT];

        if (!l->wanted || l->target == l->now || l->target >= least_limit(m->g))
                return 0;
        if (m->g->hugepages)
                return put_off(m, MEMTUNE_KNOB_SOFT_LIMIT, SKIP_HUGEPAGES,
                               "soft_limit: its memory is in huge pages, which are not reclaimed");
        if (m->g->vfio || m->g->locked)
                return put_off(m, MEMTUNE_KNOB_SOFT_LIMIT, m->g->vfio ? SKIP_VFIO : SKIP_LOCKED,
                               "soft_limit: its memory is locked, and not reclaimed");
        return 0;
}

/* libvirt wants hard_limit <= swap_hard_limit; what breaks that is not done. */
static int check_pair(Memtune *m) {
        Limit *hard = &m->limits[MEMTUNE_KNOB_HARD_LIMIT], *swap = &m->limits[MEMTUNE_KNOB_SWAP_HARD_LIMIT];
        int r;

        if (hard->target <= swap->target || (hard->target == hard->now && swap->target == swap->now))
                return 0;
        if (swap->target != swap->now) {
                r = put_off(m, MEMTUNE_KNOB_SWAP_HARD_LIMIT, SKIP_UNSAFE,
                            "swap_hard_limit has to be at least hard_limit");
                if (r < 0 || hard->target <= swap->target || hard->target == hard->now)
                        return r;
        }
        return put_off(m, MEMTUNE_KNOB_HARD_LIMIT, SKIP_UNSAFE, "hard_limit has to be at most swap_hard_limit");
}

/* ---- doing it ---- */

static int apply(Memtune *m, MemtuneKnob knob) {
        _cleanup_free_ char *target = NULL, *value = NULL, *reason = NULL;
        Limit *l = &m->limits[knob];
        Knob k = knob_of(m, knob);
        int r;

        if (l->taken || l->put_off)
                return 0;
        if (!l->wanted)
                return policy_knob_give_back(m->c, &k);
        r = policy_memtune_format(l->target, &target);
        if (r >= 0)
                r = setting_format(m->settings, keys[knob], &value);
        if (r >= 0)
                r = strprintf_to(&reason, "memtune.%s is %s", memtune_knob_to_string(knob), value);
        return r < 0 ? r : policy_knob_set(m->c, &k, target, reason);
}

static int apply_all(Memtune *m) {
        const Limit *swap = &m->limits[MEMTUNE_KNOB_SWAP_HARD_LIMIT];
        size_t n = m->c->plan->n_actions;
        bool swap_first = swap->target > swap->now;
        int r;

        r = apply(m, swap_first ? MEMTUNE_KNOB_SWAP_HARD_LIMIT : MEMTUNE_KNOB_HARD_LIMIT);
        if (r >= 0)
                r = apply(m, swap_first ? MEMTUNE_KNOB_HARD_LIMIT : MEMTUNE_KNOB_SWAP_HARD_LIMIT);
        if (r >= 0)
                r = apply(m, MEMTUNE_KNOB_SOFT_LIMIT);
        if (m->c->plan->n_actions > n)
                m->memo->memtune_set_usec = MAX(m->c->snapshot->now_usec, UINT64_C(1));
        return r;
}

static int for_each(Memtune *m, int (*f)(Memtune *, MemtuneKnob)) {
        for (MemtuneKnob knob = 0; knob < _MEMTUNE_KNOB_MAX; knob++) {
                int r = f(m, knob);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int decide(Memtune *m) {
        const char *detail;
        SkipReason why;
        int r;

        r = for_each(m, init_limit);
        m->memo->memtune_adopted = false;
        if (r >= 0)
                r = for_each(m, init_target);
        if (r < 0)
                return r;
        if (!policy_eligible(m->g, ACTION_SET_MEMTUNE, &why, &detail))
                return plan_add_skip(m->c->plan, ACTION_SET_MEMTUNE, m->g, why, "%s", detail);
        r = check_room(m, MEMTUNE_KNOB_HARD_LIMIT);
        if (r >= 0)
                r = check_room(m, MEMTUNE_KNOB_SWAP_HARD_LIMIT);
        if (r >= 0)
                r = check_soft(m);
        if (r >= 0)
                r = check_pair(m);
        if (r >= 0)
                r = apply_all(m);
        return r < 0 ? r : policy_knob_flush(m->c, ACTION_SET_MEMTUNE, m->g, &m->skips);
}

/* Most guests have no limits, neither wanted nor ours. */
static int decide_guest(PolicyContext *c, size_t i) {
        Memtune m = { .c = c, .g = c->snapshot->guests[i], .settings = c->guests[i] };
        bool concerned = false;
        int r = 0;

        for (MemtuneKnob knob = 0; knob < _MEMTUNE_KNOB_MAX; knob++) {
                m.limits[knob].wanted = !setting_keeps(m.settings, keys[knob]);
                concerned = concerned || m.limits[knob].wanted ||
                            state_find_owned(c->state, ACTION_SET_MEMTUNE, m.g->uuid, (unsigned)knob);
        }
        m.memo = c->memos[i];
        m.memo->memtune_watched = concerned;
        if (concerned)
                r = decide(&m);
        for (MemtuneKnob knob = 0; knob < _MEMTUNE_KNOB_MAX; knob++)
                free(m.limits[knob].text);
        policy_knob_skips_done(&m.skips);
        return r;
}

int policy_memtune(PolicyContext *c) {
        for (size_t i = 0; i < c->snapshot->n_guests; i++) {
                int r;

                if (c->only_uuid && !streq(c->only_uuid, c->snapshot->guests[i]->uuid))
                        continue;
                r = decide_guest(c, i);
                if (r < 0)
                        return r;
        }
        return 0;
}
