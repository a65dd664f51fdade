/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The presets pve, mom and proportional: what the originals decide, for the
 * guests that have that mode, within what holds for every mode. A guest that
 * cannot be acted upon, whose statistics are stale or contradict themselves,
 * or whose balloon is stuck takes no part; everybody else's share is computed
 * without it. Distress is what the original makes of it: they help nobody out
 * of turn.
 *
 * They decide about every 10 s, as the originals do, however often this engine
 * decides. What was decided stays in between.
 *
 * pve: the host's used memory is what is not available; a guest's free memory
 * is what its driver calls unused. mom: free is MemFree + Buffers + Cached, and
 * the mean is over the samples of the last 50 s, of which the original has 10.
 * proportional: the surplus is what the host has available beyond
 * host.reserved_memory, and what the guests have beyond their minimums. While
 * the host does not have what is to be given, it is only freed, and given when
 * it is there.
 */

#include "policy_balloon.h"
#include "policy_balloon_preset.h"
#include "state_memo.h"

#define STEP_USEC (10 * USEC_PER_SEC)
/* A timer may be early. */
#define STEP_SLACK_USEC USEC_PER_SEC
#define SAMPLE_USEC (5 * USEC_PER_SEC)
#define WINDOW_USEC (50 * USEC_PER_SEC)
/* Beyond it sizes are nobody's; and doubles still count every byte. */
#define SIZE_MAX_BYTES (UINT64_C(1) << 50)

bool balloon_is_preset(const BalloonGuest *b) {
        return b->mode == BALLOON_PVE || b->mode == BALLOON_MOM || b->mode == BALLOON_PROPORTIONAL;
}

/* ---- who takes part ------------------------------------------------------------ */

static void leave_out(BalloonGuest *b, SkipReason why, const char *detail) {
        b->left_out = true;
        b->why = why;
        b->detail = detail;
}

static void judge(const BalloonDecision *d, BalloonGuest *b) {
        if (b->blocked) {
                b->left_out = true;
                return;
        }
        if (b->fixed && (b->why == SKIP_STALE_STATS || b->why == SKIP_IMPLAUSIBLE_STATS))
                b->left_out = true;
        else if (balloon_is_set_aside(d->context, b))
                leave_out(b, SKIP_STUCK, NULL);
        else if (b->maximum > SIZE_MAX_BYTES || b->current > SIZE_MAX_BYTES)
                leave_out(b, SKIP_UNKNOWN, "its memory sizes are not credible");
        else if (b->mode == BALLOON_MOM && b->guest->stats.unused_bytes == UNKNOWN_U64)
                leave_out(b, SKIP_UNKNOWN, "its driver does not report how much memory is unused");
}

static bool takes_part(const BalloonGuest *b, BalloonMode mode) {
        return b->mode == mode && !b->left_out;
}

/* A change of less than @unit is none: KiB, as libvirt counts, where the original knows no other limit. */
static void preset_resize(BalloonDecision *d, BalloonGuest *b, uint64_t size, uint64_t unit) {
        uint64_t asked = b->memo->balloon_target_bytes != 0 ? b->memo->balloon_target_bytes : b->current;

        if (balloon_difference(size, asked) < unit || balloon_difference(size, b->current) < unit)
                return;
        balloon_promise(&d->host, b, b->asked, size);
        b->purpose = BALLOON_PRESET;
        b->new_bytes = size;
}

/* ---- pve --------------------------------------------------------------------------- */

static void decide_pve(BalloonDecision *d, PveGuest *scratch, bool due) {
        size_t n = 0;

        d->pve_goal = balloon_pve_goal(d->host.total, u64_sub(d->host.total, d->host.available));
        d->short_of[BALLOON_PVE] = d->pve_goal < 0 && balloon_pve_acts(d->pve_goal);
        if (!due)
                return;
        for (size_t i = 0; i < d->n; i++) {
                const BalloonGuest *b = &d->guests[i];
                uint64_t unused = b->guest->stats.unused_bytes;

                if (takes_part(b, BALLOON_PVE))
                        scratch[n++] = (PveGuest){ .balloon = b->current, .minimum = b->minimum,
                                                   .maximum = b->maximum,
                                                   .free = unused == UNKNOWN_U64 ? 0 : unused,
                                                   .shares = setting(b->settings, KEY_BALLOON_SHARES) };
        }
        balloon_pve(d->pve_goal, scratch, n);
        n = 0;
        for (size_t i = 0; i < d->n; i++)
                if (takes_part(&d->guests[i], BALLOON_PVE)) {
                        preset_resize(d, &d->guests[i], scratch[n].new_bytes, KIB);
                        n++;
                }
}

/* ---- mom --------------------------------------------------------------------------- */

static void forget_samples(BalloonSamples *s, unsigned n) {
        s->n -= n;
        memmove(s->samples, s->samples + n, s->n * sizeof(*s->samples));
}

static void sample(BalloonSamples *s, uint64_t now, uint64_t first_kib, uint64_t second_kib) {
        unsigned old = 0;

        if (s->n > 0 && s->samples[s->n - 1].at_usec > now)
                s->n = 0;
        if (s->n > 0 && now - s->samples[s->n - 1].at_usec < SAMPLE_USEC)
                s->n--;
        while (old < s->n && now - s->samples[old].at_usec >= WINDOW_USEC)
                old++;
        forget_samples(s, MAX(old, s->n == BALLOON_SAMPLES_MAX ? 1U : 0U));
        s->samples[s->n].at_usec = now;
        s->samples[s->n].first_kib = first_kib;
        s->samples[s->n].second_kib = second_kib;
        s->n++;
}

static void means(const BalloonSamples *s, double *ret_first, double *ret_second) {
        double first = 0, second = 0;

        for (unsigned i = 0; i < s->n; i++) {
                first += (double)s->samples[i].first_kib;
                second += (double)s->samples[i].second_kib;
        }
        *ret_first = first / s->n;
        *ret_second = second / s->n;
}

static int decide_mom(BalloonDecision *d, bool due) {
        const HostMemory *m = &d->context->snapshot->host.memory;
        uint64_t now = d->context->snapshot->now_usec;
        uint64_t total_kib = d->host.total / KIB;
        double mean_free, mean_total;

        sample(&d->context->state->free_samples, now,
               m->free_bytes / KIB + m->buffers_bytes / KIB + m->cached_bytes / KIB, total_kib);
        means(&d->context->state->free_samples, &mean_free, &mean_total);
        d->mom_free = mean_free / (double)total_kib;
        d->short_of[BALLOON_MOM] = balloon_mom_is_short(d->mom_free);
        for (size_t i = 0; i < d->n; i++) {
                BalloonGuest *b = &d->guests[i];
                MomGuest g = { .current = b->current / KIB, .minimum = b->minimum / KIB,
                               .maximum = b->maximum / KIB };
                uint64_t size;
                int r;

                if (!takes_part(b, BALLOON_MOM))
                        continue;
                r = memo_make_balloon_samples(b->memo);
                if (r < 0)
                        return r;
                sample(b->memo->balloon_samples, now, g.current, b->guest->stats.unused_bytes / KIB);
                if (!due)
                        continue;
                means(b->memo->balloon_samples, &g.mean_current, &g.mean_unused);
                size = balloon_mom(d->mom_free, &g);
                if (size != g.current)
                        preset_resize(d, b, size * KIB, KIB);
        }
        return 0;
}

/* ---- proportional ------------------------------------------------------------------ */

static uint64_t proportional_size(const BalloonDecision *d, const BalloonGuest *b) {
        return KIB * balloon_proportional(d->share, b->minimum / KIB, b->maximum / KIB);
}

/* What all guests together are to be given; with @shrink, those that lose something are sent there. */
static uint64_t proportional_growth(BalloonDecision *d, bool shrink) {
        uint64_t growth = 0;

        for (size_t i = 0; i < d->n; i++) {
                BalloonGuest *b = &d->guests[i];
                uint64_t size;

                if (!takes_part(b, BALLOON_PROPORTIONAL))
                        continue;
                size = proportional_size(d, b);
                growth = u64_add(growth, u64_sub(size, MAX(b->current, b->asked)));
                if (shrink && size < b->current)
                        preset_resize(d, b, size, BALLOON_TOLERANCE_BYTES);
        }
        return growth;
}

static void decide_proportional(BalloonDecision *d, bool due) {
        double surplus = (double)d->host.available - (double)d->host.reserved, range = 0;
        uint64_t growth;

        for (size_t i = 0; i < d->n; i++)
                if (takes_part(&d->guests[i], BALLOON_PROPORTIONAL)) {
                        surplus += (double)d->guests[i].current - (double)d->guests[i].minimum;
                        range += (double)d->guests[i].maximum - (double)d->guests[i].minimum;
                }
        d->share = balloon_proportional_share(surplus, range);
        d->short_of[BALLOON_PROPORTIONAL] = surplus < range;
        if (!due)
                return;
        growth = proportional_growth(d, true);
        if (growth > u64_sub(d->host.available, u64_add(d->host.reserved, d->host.growing)))
                return;
        for (size_t i = 0; i < d->n; i++) {
                BalloonGuest *b = &d->guests[i];
                uint64_t size;

                if (!takes_part(b, BALLOON_PROPORTIONAL))
                        continue;
                size = proportional_size(d, b);
                if (size > b->current)
                        preset_resize(d, b, size, BALLOON_TOLERANCE_BYTES);
        }
}

/* ---- all --------------------------------------------------------------------------- */

static bool any(const BalloonDecision *d, BalloonMode mode) {
        for (size_t i = 0; i < d->n; i++)
                if (d->guests[i].mode == mode)
                        return true;
        return false;
}

/* Whether the next step of the presets is due; then it is this one. */
static bool take_step(State *s, uint64_t now) {
        if (s->balloon_stepped_usec != 0 && s->balloon_stepped_usec <= now &&
            now - s->balloon_stepped_usec < STEP_USEC - STEP_SLACK_USEC)
                return false;
        s->balloon_stepped_usec = MAX(now, UINT64_C(1));
        return true;
}

int balloon_decide_presets(BalloonDecision *d) {
        bool pve = any(d, BALLOON_PVE), mom = any(d, BALLOON_MOM), proportional = any(d, BALLOON_PROPORTIONAL), due;
        _cleanup_free_ PveGuest *scratch = NULL;
        int r = 0;

        if (!mom)
                d->context->state->free_samples.n = 0;
        if (!d->host.known || (!pve && !mom && !proportional))
                return 0;
        scratch = calloc(d->n, sizeof(*scratch));
        if (!scratch)
                return -ENOMEM;
        for (size_t i = 0; i < d->n; i++)
                if (balloon_is_preset(&d->guests[i]))
                        judge(d, &d->guests[i]);
        due = take_step(d->context->state, d->context->snapshot->now_usec);
        if (pve)
                decide_pve(d, scratch, due);
        if (mom)
                r = decide_mom(d, due);
        if (proportional)
                decide_proportional(d, due);
        return r;
}
