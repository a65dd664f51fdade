/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the balloon controller says: each change, and each change it does not
 * make, with the figures behind it. Most of what a decision about many guests
 * costs is this text, so it is put together without printf.
 */

#include "parse.h"
#include "policy_balloon.h"

#define TEXT_MAX 512

/* Cut where it does not fit. */
typedef struct Text {
        size_t n;
        char text[TEXT_MAX];
} Text;

static void begin(Text *t) {
        t->n = 0;
        t->text[0] = '\0';
}

static void put(Text *t, const char *s) {
        size_t n = strlen(s);

        n = MIN(n, TEXT_MAX - 1 - t->n);
        memcpy(t->text + t->n, s, n);
        t->n += n;
        t->text[t->n] = '\0';
}

static void put_number(Text *t, uint64_t number) {
        char text[U64_TEXT_MAX];

        put(t, u64_text(number, text));
}

static void put_bytes(Text *t, uint64_t bytes) {
        char text[FORMAT_BYTES_MAX];

        put(t, format_bytes_short(bytes, text));
}

/* A share with one decimal: "12.3 %". */
static void put_tenths(Text *t, uint64_t tenths) {
        put_number(t, tenths / 10);
        put(t, ".");
        put_number(t, tenths % 10);
        put(t, " %");
}

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

static void say_host(const BalloonDecision *d, Text *t) {
        const Settings *s = &d->context->host;

        begin(t);
        put(t, "host has ");
        put_tenths(t, MIN(u64_muldiv(d->host.available, 1000, d->host.total), (uint64_t)99999));
        put(t, d->host.strained ? " available and swaps or waits for memory (starts at " : " available (starts at ");
        put_number(t, setting(s, KEY_BALLOON_START) / 100);
        put(t, " %, stops at ");
        put_number(t, setting(s, KEY_BALLOON_STOP) / 100);
        put(t, " %)");
}

/* The same in each reason. */
static void put_host(BalloonDecision *d, Text *t) {
        if (!d->host_text[0]) {
                Text host;

                say_host(d, &host);
                memcpy(d->host_text, host.text, MIN(host.n, sizeof(d->host_text) - 1));
        }
        put(t, d->host_text);
}

static void put_guest(const BalloonGuest *b, Text *t) {
        put(t, b->guest->name);
        put(t, " has ");
        if (b->usable != UNKNOWN_U64) {
                put_bytes(t, b->usable);
                put(t, " usable of ");
        }
        put_bytes(t, b->current);
        if (b->usable != UNKNOWN_U64 && !balloon_is_preset(b)) {
                put(t, " (keeps ");
                put_bytes(t, b->reserve);
                put(t, ")");
        }
        if (b->waits) {
                put(t, ", and waits for memory ");
                put_tenths(t, b->guest->psi_memory.some_permyriad / 10);
                put(t, " of its time");
        }
}

static void put_preset(const BalloonDecision *d, const BalloonGuest *b, Text *t) {
        if (b->mode == BALLOON_PVE) {
                put(t, d->pve_goal < 0 ? "pve: the host uses too much by " : "pve: the host may use more by ");
                put_bytes(t, (uint64_t)(d->pve_goal < 0 ? -d->pve_goal : d->pve_goal));
                put(t, "; shares ");
                put_number(t, setting(b->settings, KEY_BALLOON_SHARES));
        } else if (b->mode == BALLOON_MOM) {
                put(t, "mom: the host has ");
                put_tenths(t, (uint64_t)(d->mom_free * 1000 + 0.5));
                put(t, " free");
        } else {
                put(t, "proportional: ");
                put_tenths(t, (uint64_t)(d->share * 1000 + 0.5));
                put(t, " of the way from its minimum of ");
                put_bytes(t, b->minimum);
                put(t, " to its maximum of ");
                put_bytes(t, b->maximum);
        }
        put(t, ": ");
        put_guest(b, t);
}

static void put_spare(const BalloonGuest *b, Text *t) {
        put(t, "; can spare ");
        put_bytes(t, balloon_spare(b));
        put(t, ": ");
        put_guest(b, t);
}

static void put_reason(BalloonDecision *d, const BalloonGuest *b, Text *t) {
        switch (b->purpose) {
        case BALLOON_DISTRESS:
                put(t, "the guest is short of memory: ");
                put_guest(b, t);
                put(t, "; ");
                put_host(d, t);
                return;
        case BALLOON_TO_TARGET:
                put(t, "towards its target of ");
                put_bytes(t, b->goal);
                put(t, ": ");
                put_guest(b, t);
                return;
        case BALLOON_RECLAIMED:
                put(t, "balloon.reclaim is on");
                put_spare(b, t);
                return;
        case BALLOON_HOST_SHORT:
                put_host(d, t);
                put_spare(b, t);
                return;
        case BALLOON_PRESET:
                put_preset(d, b, t);
                return;
        case BALLOON_BACK:
                put(t, "balloon.mode is off: giving back the size from before");
                return;
        default:
                put_host(d, t);
                put(t, ": giving memory back; ");
                put_guest(b, t);
        }
}

/* Most guests have the same settings, and the same reason. */
static int find_source(BalloonDecision *d, const BalloonGuest *b) {
        bool hosts = b->purpose == BALLOON_HOST_SHORT || b->purpose == BALLOON_GIVEN;
        const Settings *settings = hosts ? &d->context->host : b->settings;
        Key key = leading_key(b->purpose);
        int r;

        if (d->source && d->source_of == settings && d->source_key == key)
                return 0;
        free(TAKE_PTR(d->source));
        r = setting_source(settings, key, &d->source);
        d->source_of = settings;
        d->source_key = key;
        return r;
}

int balloon_add_action(BalloonDecision *d, const BalloonGuest *b) {
        char old[U64_TEXT_MAX], new[U64_TEXT_MAX];
        Text reason;
        int r;

        r = find_source(d, b);
        if (r < 0)
                return r;
        begin(&reason);
        put_reason(d, b, &reason);
        return plan_add_action_because(d->context->plan, ACTION_SET_BALLOON, b->guest, 0, u64_text(b->current, old),
                                       u64_text(b->new_bytes, new), d->source, reason.text);
}

static void put_stuck(const BalloonDecision *d, const BalloonGuest *b, Text *t) {
        const GuestMemo *m = b->memo;

        if (m->balloon_target_bytes == 0) {
                put(t, "it says it has ");
                put_bytes(t, b->current);
                put(t, " left, but ");
                put_bytes(t, b->guest->rss_bytes);
                put(t, " are resident: it gave nothing back");
                return;
        }
        put(t, "stuck at ");
        put_bytes(t, b->current);
        put(t, " on the way to ");
        put_bytes(t, m->balloon_target_bytes);
        put(t, " (time ");
        put_number(t, m->balloon_stuck);
        put(t, " in a row); set aside for ");
        put_number(t, u64_sub(m->balloon_stuck_until_usec, d->context->snapshot->now_usec) / USEC_PER_SEC);
        put(t, " s");
}

static void put_implausible(const BalloonGuest *b, Text *t) {
        const BalloonStats *s = &b->guest->stats;

        if (b->detail)
                return put(t, b->detail);
        put(t, "it reports usable ");
        put_number(t, s->usable_bytes);
        put(t, ", unused ");
        put_number(t, s->unused_bytes);
        put(t, ", available ");
        put_number(t, s->available_bytes);
        put(t, " of a maximum of ");
        put_bytes(t, b->maximum);
        put(t, ", or counters that ran backwards");
}

static void put_at_minimum(const BalloonGuest *b, Text *t) {
        bool learned = b->current > u64_add(b->minimum, BALLOON_TOLERANCE_BYTES);

        put(t, learned ? "it was short of memory with less than " : "it has its minimum of ");
        put_bytes(t, learned ? b->floor : b->minimum);
}

static void put_skip(const BalloonDecision *d, const BalloonGuest *b, SkipReason why, Text *t) {
        switch (why) {
        case SKIP_STUCK:
                return put_stuck(d, b, t);
        case SKIP_IMPLAUSIBLE_STATS:
                return put_implausible(b, t);
        case SKIP_STALE_STATS:
                put(t, "its last statistics are ");
                put_number(t, b->guest->stats.age_usec / USEC_PER_SEC);
                return put(t, " s old");
        case SKIP_DISTRESS:
                return put_guest(b, t);
        case SKIP_NO_CAPACITY:
                put(t, "the host has too little memory to give it its target of ");
                return put_bytes(t, b->goal);
        case SKIP_AT_MINIMUM:
                return put_at_minimum(b, t);
        case SKIP_NO_GAIN:
                if (!b->guest->free_page_reporting)
                        return put(t, "it has never touched what it could spare: a balloon would free nothing");
                put(t, "it gives free pages back by itself (free page reporting), and has ");
                put_bytes(t, b->guest->rss_bytes);
                return put(t, " resident: a balloon would free nothing");
        default:
                return put(t, b->detail ? b->detail : "");
        }
}

int balloon_add_skip(BalloonDecision *d, const BalloonGuest *b, SkipReason why) {
        Text detail;

        begin(&detail);
        put_skip(d, b, why, &detail);
        return plan_add_skip_because(d->context->plan, ACTION_SET_BALLOON, b->guest, why, detail.text);
}
