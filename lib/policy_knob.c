/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_knob.h"

#include <stdio.h>

static const char *uuid_of(const Knob *k) {
        return k->guest ? k->guest->uuid : "";
}

void policy_knob_skips_done(KnobSkips *s) {
        free(TAKE_PTR(s->text));
}

int policy_knob_skip(const Knob *k, SkipReason why, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0) {
                text = NULL;
                return -ENOMEM;
        }
        if (!k->skips->text)
                k->skips->why = why;
        return strprintf_to(&k->skips->text, "%s%s%s", k->skips->text ?: "", k->skips->text ? "; " : "", text);
}

int policy_knob_flush(PolicyContext *c, ActionKind kind, const Guest *guest, const KnobSkips *skips) {
        if (!skips->text)
                return 0;
        return plan_add_skip(c->plan, kind, guest, skips->why, "%s", skips->text);
}

int policy_knob_check(PolicyContext *c, const Knob *k, bool *taken) {
        const Owned *owned = state_find_owned(c->state, k->kind, uuid_of(k), k->index);
        const KeyInfo *info = &config_keys[k->key];
        int r = 0;

        if (!owned || policy_still_ours(c->snapshot, owned, k->current))
                return 0;
        if (!(k->adopted && streq(owned->original, k->current))) {
                r = policy_knob_skip(k, SKIP_TAKEN_OVER,
                                     "%s%s%s is %s, not %s as set by kvmtuned: somebody else changed it; it is left "
                                     "alone until the next reload",
                                     k->name ?: info->group, k->name ? "" : ".", k->name ? "" : info->name,
                                     k->current, owned->ours);
                *taken = true;
        }
        if (!k->open)
                state_disown(c->state, k->kind, uuid_of(k), k->index);
        return r;
}

int policy_knob_set(PolicyContext *c, const Knob *k, const char *value, const char *reason) {
        _cleanup_free_ char *source = NULL;
        int r;

        if (streq(value, k->current))
                return 0;
        r = setting_source(k->settings, k->key, &source);
        if (r < 0)
                return r;
        return plan_add_action(c->plan, k->kind, k->guest, k->index, k->current, value, source, "%s", reason);
}

int policy_knob_give_back(PolicyContext *c, const Knob *k) {
        const Owned *owned = state_find_owned(c->state, k->kind, uuid_of(k), k->index);
        const KeyInfo *info = &config_keys[k->key];
        char reason[128];

        if (!owned)
                return 0;
        if (streq(owned->original, k->current)) {
                if (!k->open)
                        state_disown(c->state, k->kind, uuid_of(k), k->index);
                return 0;
        }
        (void)snprintf(reason, sizeof(reason), "%s.%s is keep: giving back the value from before", info->group,
                       info->name);
        return policy_knob_set(c, k, owned->original, reason);
}

int policy_knob_skip_taken(const Knob *k) {
        return policy_knob_skip(k, SKIP_TAKEN_OVER,
                                "%s.%s was changed by somebody else; it is left alone until the next reload",
                                config_keys[k->key].group, config_keys[k->key].name);
}

int policy_knob_drive(PolicyContext *c, const Knob *k, const char *wanted, const char *reason, bool *taken) {
        bool was_taken = *taken;
        int r;

        r = policy_knob_check(c, k, taken);
        if (r < 0)
                return r;
        if (!wanted)
                return policy_knob_give_back(c, k);
        if (*taken)
                return was_taken ? policy_knob_skip_taken(k) : 0;
        return policy_knob_set(c, k, wanted, reason);
}
