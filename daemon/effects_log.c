/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What is said about a plan: one entry for each action with its result, one
 * for each skip that is new. Nothing when nothing changes.
 */

#include <errno.h>
#include <stdio.h>

#include "effects_internal.h"
#include "log.h"
#include "messages.h"

static int describe_what(const Action *a, char **ret) {
        char size[FORMAT_BYTES_MAX];

        switch (a->kind) {
        case ACTION_PIN_VCPU:
                return strprintf_to(ret, "vCPU %u on CPUs", a->index);
        case ACTION_PIN_EMULATOR:
                return strprintf_to(ret, "emulator on CPUs");
        case ACTION_PIN_IOTHREAD:
                return strprintf_to(ret, "iothread %u on CPUs", a->index);
        case ACTION_SET_NODESET:
                return strprintf_to(ret, "memory policy on nodes");
        case ACTION_MOVE_MEMORY:
                return strprintf_to(ret, "memory on nodes");
        case ACTION_SET_BALLOON:
                return strprintf_to(ret, "balloon");
        case ACTION_SET_STATS_PERIOD:
                return strprintf_to(ret, "balloon statistics period");
        case ACTION_SET_VCPUS:
                return strprintf_to(ret, "vCPUs online");
        case ACTION_SET_KSM:
                return strprintf_to(ret, "KSM %s", ksm_knob_to_string((KsmKnob)a->index));
        case ACTION_SET_KERNEL:
                return strprintf_to(ret, "kernel.%s", kernel_knob_to_string((KernelKnob)a->index));
        case ACTION_SET_MEMTUNE:
                return strprintf_to(ret, "%s", memtune_knob_to_string((MemtuneKnob)a->index));
        case ACTION_SET_HUGEPAGES:
                return strprintf_to(ret, "huge pages of %s on node %u",
                                    format_bytes_short(pool_page_bytes(a->index), size), pool_node(a->index));
        case ACTION_SET_THP:
                return strprintf_to(ret, "transparent huge pages, %s", thp_knob_to_string((ThpKnob)a->index));
        case _ACTION_KIND_MAX:
        case _ACTION_KIND_INVALID:
                break;
        }
        return strprintf_to(ret, "?");
}

/* A value for people: bytes get a unit, an empty list a word. */
static const char *show(ActionKind kind, const char *value, char buf[static FORMAT_BYTES_MAX]) {
        uint64_t bytes;

        if ((kind == ACTION_SET_BALLOON || kind == ACTION_SET_MEMTUNE) && parse_u64(value, &bytes) >= 0)
                return format_bytes_short(bytes, buf);
        return value[0] ? value : "none";
}

/* "web-1: vCPU 0 on CPUs 0-3 -> 1" */
static int describe(const Action *a, char **ret) {
        char before[FORMAT_BYTES_MAX], after[FORMAT_BYTES_MAX];
        _cleanup_free_ char *what = NULL;
        int r;

        r = describe_what(a, &what);
        if (r < 0)
                return r;
        return strprintf_to(ret, "%s%s%s %s -> %s", a->guest ? a->guest : "", a->guest ? ": " : "", what,
                            show(a->kind, a->old_value, before), show(a->kind, a->new_value, after));
}

static const char *result_text(int result, const char *text) {
        return text && text[0] ? text : strerror(-result);
}

void effects_log_action(Manager *m, const Action *a, uint64_t cycle, int result, const char *text, bool planned) {
        _cleanup_free_ char *what = NULL, *number = NULL;

        if (describe(a, &what) < 0 || strprintf_to(&number, "%llu", (unsigned long long)cycle) < 0)
                return;
        LogField fields[] = {
                { "KVMTUNED_ACTION", action_kind_to_string(a->kind) },
                { "KVMTUNED_GUEST", a->guest },
                { "KVMTUNED_GUEST_UUID", a->uuid[0] ? a->uuid : NULL },
                { "KVMTUNED_OLD", a->old_value },
                { "KVMTUNED_NEW", a->new_value },
                { "KVMTUNED_REASON", a->reason },
                { "KVMTUNED_RULE", a->source },
                { "KVMTUNED_CYCLE", number },
                { "KVMTUNED_RESULT", result < 0 ? result_text(result, text) : text },
        };

        if (planned)
                log_struct(LOG_INFO, MESSAGE_ACTION_PLANNED, fields, ELEMENTSOF(fields), "Would do: %s: %s [%s]",
                           what, a->reason, a->source);
        else if ((result == -ESRCH || result == -ENOENT) && !snapshot_find_guest(m->snapshot, a->uuid))
                log_struct(LOG_INFO, MESSAGE_ACTION_FAILED, fields, ELEMENTSOF(fields),
                           "%s: not done, it is gone meanwhile", what);
        else if (a->kind == ACTION_MOVE_MEMORY && (result == -ECANCELED || result == -ENOMEM))
                log_struct(LOG_NOTICE, MESSAGE_MOVE_ABANDONED, fields, ELEMENTSOF(fields), "%s: given up: %s", what,
                           result_text(result, text));
        else if (result == -ECANCELED)
                log_struct(LOG_INFO, MESSAGE_ACTION_FAILED, fields, ELEMENTSOF(fields), "%s: broken off: %s", what,
                           result_text(result, text));
        else if (result < 0)
                log_struct(LOG_WARNING, MESSAGE_ACTION_FAILED, fields, ELEMENTSOF(fields), "%s: failed: %s", what,
                           result_text(result, text));
        else if (a->kind == ACTION_MOVE_MEMORY)
                log_struct(LOG_INFO, MESSAGE_MEMORY_MOVED, fields, ELEMENTSOF(fields), "%s: %s: %s [%s]", what,
                           text ? text : "done", a->reason, a->source);
        else
                log_struct(LOG_INFO, MESSAGE_ACTION_DONE, fields, ELEMENTSOF(fields), "%s: %s%s%s [%s]", what,
                           a->reason, text ? "; " : "", text ?: "", a->source);
}

/* What the plan would do, without the measured values in its reasons: those change all the time. */
static int plan_outline(const Plan *plan, char **ret) {
        _cleanup_free_ char *text = NULL;

        for (size_t i = 0; i < plan->n_actions; i++) {
                const Action *a = &plan->actions[i];

                if (strprintf_to(&text, "%s%d %s %u %s\n", text ? text : "", (int)a->kind, a->uuid, a->index,
                                 a->new_value) < 0)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(text);
        return 0;
}

void effects_log_dry_run(Manager *m, const Plan *plan) {
        _cleanup_free_ char *text = NULL;

        if (plan_outline(plan, &text) < 0 || streq_ptr(text, m->dry_plan))
                return;
        for (size_t i = 0; i < plan->n_actions; i++)
                effects_log_action(m, &plan->actions[i], m->cycle, 0, NULL, true);
        free(m->dry_plan);
        m->dry_plan = TAKE_PTR(text);
}

/* A guest that boots has no balloon driver yet; that is worth a line only when it stays so. */
#define BOOT_USEC (2 * USEC_PER_MINUTE)

static bool still_boots(Manager *m, const Skip *s, const GuestSlot *slot) {
        return s->why == SKIP_NO_DRIVER && slot->started_usec > 0 &&
               u64_sub(m->snapshot->now_usec, slot->started_usec) < BOOT_USEC;
}

/* What comes and goes in normal work is not worth a line at the default level. */
static int skip_level(SkipReason why) {
        switch (why) {
        case SKIP_COOLDOWN:
        case SKIP_NO_GAIN:
        case SKIP_BOUND:
        case SKIP_AT_MINIMUM:
        case SKIP_AT_MAXIMUM:
        case SKIP_HOST_BUSY:
        case SKIP_STALE_STATS:
        case SKIP_UNKNOWN:
        case SKIP_NOT_RUNNING:
        case SKIP_UNREACHABLE:
                return LOG_DEBUG;
        default:
                return LOG_INFO;
        }
}

/* A guest whose reason comes and goes must not fill the journal: the metrics count on, and explain has the latest. */
#define SKIP_WINDOW_USEC USEC_PER_HOUR
#define SKIP_LINES_MAX 20U

static int bounded_level(GuestSlot *slot, int level, uint64_t now_usec) {
        if (level > LOG_INFO)
                return level;
        if (u64_sub(now_usec, slot->skip_window_usec) >= SKIP_WINDOW_USEC) {
                slot->skip_window_usec = now_usec;
                slot->skip_lines = 0;
        }
        if (slot->skip_lines >= SKIP_LINES_MAX)
                return LOG_DEBUG;
        slot->skip_lines++;
        return level;
}

static void log_skip(const Skip *s, int level, bool last) {
        LogField fields[] = {
                { "KVMTUNED_ACTION", action_kind_to_string(s->kind) },
                { "KVMTUNED_GUEST", s->guest },
                { "KVMTUNED_GUEST_UUID", s->uuid[0] ? s->uuid : NULL },
                { "KVMTUNED_SKIP", skip_reason_to_string(s->why) },
                { "KVMTUNED_REASON", s->detail },
        };

        log_struct(level, MESSAGE_ACTION_SKIPPED, fields, ELEMENTSOF(fields), "%s%sno %s (%s): %s%s",
                   s->guest ? s->guest : "", s->guest ? ": " : "", action_kind_to_string(s->kind),
                   skip_reason_to_string(s->why), s->detail,
                   last ? "; the reasons change often: no more of them for up to an hour" : "");
}

static void forget_skips_of(GuestSlot *slot) {
        for (size_t i = 0; i < _ACTION_KIND_MAX; i++)
                if (!(slot->skips_seen & 1U << i))
                        slot->skips[i] = 0;
        slot->skips_seen = 0;
}

static void forget_old_skips(Manager *m, const char *only_uuid) {
        for (size_t i = 0; i < m->n_slots; i++)
                if (!only_uuid || streq(m->slots[i].uuid, only_uuid))
                        forget_skips_of(&m->slots[i]);
        if (!only_uuid)
                forget_skips_of(&m->host_slot);
}

static void say_skip(GuestSlot *slot, const Skip *s, uint64_t now_usec) {
        unsigned before = slot->skip_lines;
        int level = bounded_level(slot, skip_level(s->why), now_usec);

        log_skip(s, level, slot->skip_lines != before && slot->skip_lines == SKIP_LINES_MAX);
}

static void count_skipped(Manager *m, const Plan *plan) {
        memset(m->counters.skipped, 0, sizeof(m->counters.skipped));
        for (size_t i = 0; i < plan->n_skips; i++)
                m->counters.skipped[plan->skips[i].why]++;
}

static GuestSlot *slot_of(Manager *m, const Skip *s) {
        return s->uuid[0] ? manager_slot(m, s->uuid) : &m->host_slot;
}

void effects_log_skips(Manager *m, const Plan *plan, const char *only_uuid) {
        if (!only_uuid)
                count_skipped(m, plan);
        for (size_t i = 0; i < plan->n_skips; i++) {
                const Skip *s = &plan->skips[i];
                GuestSlot *slot = slot_of(m, s);

                if (!slot || still_boots(m, s, slot))
                        continue;
                slot->skips_seen |= 1U << s->kind;
                if (slot->skips[s->kind] == (uint8_t)(s->why + 1))
                        continue;
                slot->skips[s->kind] = (uint8_t)(s->why + 1);
                m->counters.skips[s->why]++;
                say_skip(slot, s, m->snapshot->now_usec);
        }
        forget_old_skips(m, only_uuid);
}
