/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the balloon controller says: each change, and each change it does not make, with the figures behind it. */

#include <inttypes.h>
#include <stdio.h>

#include "parse.h"
#include "policy_balloon.h"

#define TEXT_MAX 224

static Key leading_key(BalloonWhy why) {
        switch (why) {
        case BALLOON_TO_TARGET:
                return KEY_BALLOON_TARGET;
        case BALLOON_RECLAIMED:
                return KEY_BALLOON_RECLAIM;
        case BALLOON_HOST_SHORT:
                return KEY_BALLOON_START;
        case BALLOON_GIVEN:
                return KEY_BALLOON_STOP;
        default:
                return KEY_BALLOON_MODE;
        }
}

/* A share with one decimal: "12.3". */
static unsigned tenths(uint64_t part, uint64_t whole) {
        return (unsigned)MIN(u64_muldiv(part, 1000, whole), (uint64_t)99999);
}

static void print_host(const BalloonDecision *d, char text[static TEXT_MAX]) {
        const Settings *s = &d->context->host;
        unsigned available = tenths(d->host.available, d->host.total);

        (void)snprintf(text, TEXT_MAX,
                       "host has %u.%u %% available%s (starts at %" PRIu64 " %%, stops at %" PRIu64 " %%)",
                       available / 10, available % 10, d->host.strained ? " and swaps or waits for memory" : "",
                       setting(s, KEY_BALLOON_START) / 100,
                       setting(s, KEY_BALLOON_STOP) / 100);
}

static void print_guest(const BalloonGuest *b, char text[static TEXT_MAX]) {
        char current[FORMAT_BYTES_MAX], usable[FORMAT_BYTES_MAX], reserve[FORMAT_BYTES_MAX];

        if (b->usable == UNKNOWN_U64)
                (void)snprintf(text, TEXT_MAX, "%s has %s", b->guest->name, format_bytes_short(b->current, current));
        else if (balloon_is_preset(b))
                (void)snprintf(text, TEXT_MAX, "%s has %s usable of %s", b->guest->name,
                               format_bytes_short(b->usable, usable), format_bytes_short(b->current, current));
        else
                (void)snprintf(text, TEXT_MAX, "%s has %s usable of %s (keeps %s)", b->guest->name,
                               format_bytes_short(b->usable, usable), format_bytes_short(b->current, current),
                               format_bytes_short(b->reserve, reserve));
}

static void print_preset(const BalloonDecision *d, const BalloonGuest *b, char text[static 2 * TEXT_MAX + 64]) {
        char guest[TEXT_MAX], goal[FORMAT_BYTES_MAX], minimum[FORMAT_BYTES_MAX], maximum[FORMAT_BYTES_MAX];
        uint64_t size = (uint64_t)(d->pve_goal < 0 ? -d->pve_goal : d->pve_goal);

        print_guest(b, guest);
        switch (b->mode) {
        case BALLOON_PVE:
                (void)snprintf(text, 2 * TEXT_MAX + 64, "pve: the host %s %s; shares %" PRIu64 ": %s",
                               d->pve_goal < 0 ? "uses too much by" : "may use more by",
                               format_bytes_short(size, goal), setting(b->settings, KEY_BALLOON_SHARES), guest);
                return;
        case BALLOON_MOM:
                (void)snprintf(text, 2 * TEXT_MAX + 64, "mom: the host has %.1f %% free: %s", d->mom_free * 100,
                               guest);
                return;
        default:
                (void)snprintf(text, 2 * TEXT_MAX + 64, "proportional: %.1f %% of the way from its minimum of %s to "
                               "its maximum of %s: %s", d->share * 100, format_bytes_short(b->minimum, minimum),
                               format_bytes_short(b->maximum, maximum), guest);
        }
}

static void print_reason(const BalloonDecision *d, const BalloonGuest *b, char text[static 2 * TEXT_MAX + 64]) {
        char host[TEXT_MAX], guest[TEXT_MAX], goal[FORMAT_BYTES_MAX], spare[FORMAT_BYTES_MAX];
        size_t size = 2 * TEXT_MAX + 64;

        print_host(d, host);
        print_guest(b, guest);
        switch (b->purpose) {
        case BALLOON_DISTRESS:
                (void)snprintf(text, size, "the guest is short of memory: %s; %s", guest, host);
                return;
        case BALLOON_TO_TARGET:
                (void)snprintf(text, size, "towards its target of %s: %s", format_bytes_short(b->goal, goal), guest);
                return;
        case BALLOON_RECLAIMED:
                (void)snprintf(text, size, "balloon.reclaim is on; can spare %s: %s",
                               format_bytes_short(balloon_spare(b), spare), guest);
                return;
        case BALLOON_HOST_SHORT:
                (void)snprintf(text, size, "%s; can spare %s: %s", host, format_bytes_short(balloon_spare(b), spare),
                               guest);
                return;
        case BALLOON_PRESET:
                print_preset(d, b, text);
                return;
        case BALLOON_BACK:
                (void)snprintf(text, size, "balloon.mode is off: giving back the size from before");
                return;
        default:
                (void)snprintf(text, size, "%s: giving memory back; %s", host, guest);
        }
}

int balloon_add_action(BalloonDecision *d, const BalloonGuest *b) {
        _cleanup_free_ char *source = NULL;
        char reason[2 * TEXT_MAX + 64], old[24], new[24];
        int r;

        r = setting_source(b->purpose == BALLOON_HOST_SHORT || b->purpose == BALLOON_GIVEN ? &d->context->host
                                                                                          : b->settings,
                           leading_key(b->purpose), &source);
        if (r < 0)
                return r;
        print_reason(d, b, reason);
        (void)snprintf(old, sizeof(old), "%" PRIu64, b->current);
        (void)snprintf(new, sizeof(new), "%" PRIu64, b->new_bytes);
        return plan_add_action(d->context->plan, ACTION_SET_BALLOON, b->guest, 0, old, new, source, "%s", reason);
}

static void print_stuck(const BalloonDecision *d, const BalloonGuest *b, char text[static TEXT_MAX]) {
        char current[FORMAT_BYTES_MAX], target[FORMAT_BYTES_MAX], resident[FORMAT_BYTES_MAX];

        if (b->memo->balloon_target_bytes == 0) {
                (void)snprintf(text, TEXT_MAX, "it says it has %s left, but %s are resident: it gave nothing back",
                               format_bytes_short(b->current, current),
                               format_bytes_short(b->guest->rss_bytes, resident));
                return;
        }

        (void)snprintf(text, TEXT_MAX, "stuck at %s on the way to %s (time %u in a row); set aside for %" PRIu64 " s",
                       format_bytes_short(b->current, current),
                       format_bytes_short(b->memo->balloon_target_bytes, target), b->memo->balloon_stuck,
                       u64_sub(b->memo->balloon_stuck_until_usec, d->context->snapshot->now_usec) / USEC_PER_SEC);
}

static void print_implausible(const BalloonGuest *b, char text[static TEXT_MAX]) {
        const BalloonStats *s = &b->guest->stats;
        char maximum[FORMAT_BYTES_MAX];

        (void)snprintf(text, TEXT_MAX,
                       "it reports usable %" PRIu64 ", unused %" PRIu64 ", available %" PRIu64
                       " of a maximum of %s, or counters that ran backwards",
                       s->usable_bytes, s->unused_bytes, s->available_bytes, format_bytes_short(b->maximum, maximum));
}

int balloon_add_skip(BalloonDecision *d, const BalloonGuest *b, SkipReason why) {
        char detail[TEXT_MAX], bytes[FORMAT_BYTES_MAX];

        switch (why) {
        case SKIP_STUCK:
                print_stuck(d, b, detail);
                break;
        case SKIP_IMPLAUSIBLE_STATS:
                if (b->detail)
                        (void)snprintf(detail, sizeof(detail), "%s", b->detail);
                else
                        print_implausible(b, detail);
                break;
        case SKIP_STALE_STATS:
                (void)snprintf(detail, sizeof(detail), "its last statistics are %" PRIu64 " s old",
                               b->guest->stats.age_usec / USEC_PER_SEC);
                break;
        case SKIP_DISTRESS:
                print_guest(b, detail);
                break;
        case SKIP_AT_MINIMUM:
                if (b->current > u64_add(b->minimum, BALLOON_TOLERANCE_BYTES))
                        (void)snprintf(detail, sizeof(detail), "it was short of memory with less than %s",
                                       format_bytes_short(b->floor, bytes));
                else
                        (void)snprintf(detail, sizeof(detail), "it has its minimum of %s",
                                       format_bytes_short(b->minimum, bytes));
                break;
        case SKIP_NO_GAIN:
                (void)snprintf(detail, sizeof(detail), "it gives free pages back by itself (free page reporting), and "
                               "has %s resident: a balloon would free nothing",
                               format_bytes_short(b->guest->rss_bytes, bytes));
                break;
        default:
                return plan_add_skip(d->context->plan, ACTION_SET_BALLOON, b->guest, why, "%s",
                                     b->detail ? b->detail : "");
        }
        return plan_add_skip(d->context->plan, ACTION_SET_BALLOON, b->guest, why, "%s", detail);
}
