/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Transparent huge pages: the host's switches below
 * /sys/kernel/mm/transparent_hugepage, each driven by one setting.
 *
 * A word is written only where the kernel offers it: older ones have no
 * "defer". What khugepaged does goes before the switch that makes it run, so
 * that it never runs at a rate nobody asked for.
 */

#include <inttypes.h>
#include <stdio.h>

#include "policy_knob.h"

static const struct {
        ThpKnob knob;
        Key key;
} order[] = {
        { THP_KNOB_PAGES_TO_SCAN, KEY_THP_PAGES_TO_SCAN }, { THP_KNOB_SCAN_SLEEP_MILLISECS, KEY_THP_SCAN_SLEEP },
        { THP_KNOB_MAX_PTES_NONE, KEY_THP_MAX_PTES_NONE }, { THP_KNOB_DEFRAG, KEY_THP_DEFRAG },
        { THP_KNOB_ENABLED, KEY_THP_ENABLED },
};

static bool is_word(ThpKnob knob) {
        return knob == THP_KNOB_ENABLED || knob == THP_KNOB_DEFRAG;
}

bool policy_thp_value(const ThpStatus *thp, ThpKnob knob, char ret[static POLICY_THP_TEXT_MAX]) {
        uint64_t number = UNKNOWN_U64;

        if (is_word(knob)) {
                (void)snprintf(ret, POLICY_THP_TEXT_MAX, "%s", knob == THP_KNOB_ENABLED ? thp->enabled : thp->defrag);
                return ret[0] != '\0';
        }
        if (knob == THP_KNOB_PAGES_TO_SCAN)
                number = thp->khugepaged_pages_to_scan;
        else if (knob == THP_KNOB_SCAN_SLEEP_MILLISECS)
                number = thp->khugepaged_scan_sleep_millisecs;
        else if (knob == THP_KNOB_MAX_PTES_NONE)
                number = thp->khugepaged_max_ptes_none;
        (void)snprintf(ret, POLICY_THP_TEXT_MAX, "%" PRIu64, number);
        return number != UNKNOWN_U64;
}

/* What the setting wants, as the kernel takes it; false: keep. */
static bool wanted_value(const Settings *s, ThpKnob knob, Key key, char ret[static POLICY_THP_TEXT_MAX]) {
        uint64_t value = setting(s, key);

        if (is_word(knob)) {
                (void)snprintf(ret, POLICY_THP_TEXT_MAX, "%s", config_keys[key].choices[value]);
                return !streq(ret, "keep");
        }
        if (knob == THP_KNOB_SCAN_SLEEP_MILLISECS)
                value /= USEC_PER_MSEC;
        (void)snprintf(ret, POLICY_THP_TEXT_MAX, "%" PRIu64, value);
        return !setting_keeps(s, key);
}

/* Whether @word is one of @choices, which spaces part; of none known, any is. */
static bool is_offered(const char *choices, const char *word) {
        size_t n = strlen(word);

        for (const char *p = choices; *p; p += strcspn(p, " ")) {
                p += strspn(p, " ");
                if (strcspn(p, " ") == n && strncmp(p, word, n) == 0)
                        return true;
        }
        return choices[0] == '\0';
}

static bool kernel_has(const ThpStatus *thp, ThpKnob knob, const char *word) {
        if (!is_word(knob))
                return true;
        return is_offered(knob == THP_KNOB_ENABLED ? thp->enabled_choices : thp->defrag_choices, word);
}

static int drive(PolicyContext *c, ThpKnob knob, Key key, KnobSkips *skips) {
        char current[POLICY_THP_TEXT_MAX], wanted[POLICY_THP_TEXT_MAX];
        const ThpStatus *thp = &c->snapshot->host.thp;
        bool wants = wanted_value(&c->host, knob, key, wanted), taken = (c->state->thp_taken & 1U << knob) != 0;
        _cleanup_free_ char *value = NULL, *reason = NULL;
        Knob k = { .kind = ACTION_SET_THP, .index = (unsigned)knob, .key = key, .settings = &c->host,
                   .current = current, .adopted = c->state->thp_adopted, .skips = skips };
        int r;

        if (!policy_thp_value(thp, knob, current))
                return wants ? policy_knob_skip(&k, SKIP_UNAVAILABLE, "the kernel has no transparent_hugepage/%s",
                                                thp_knob_to_string(knob)) : 0;
        if (wants && !kernel_has(thp, knob, wanted))
                return policy_knob_skip(&k, SKIP_UNAVAILABLE,
                                        "the kernel offers no \"%s\" in transparent_hugepage/%s", wanted,
                                        thp_knob_to_string(knob));
        r = setting_format(&c->host, key, &value);
        if (r >= 0)
                r = strprintf_to(&reason, "thp.%s is %s", config_keys[key].name, value);
        if (r < 0)
                return r;
        r = policy_knob_drive(c, &k, wants ? wanted : NULL, reason, &taken);
        if (taken)
                c->state->thp_taken |= 1U << knob;
        return r;
}

int policy_thp(PolicyContext *c) {
        _cleanup_(policy_knob_skips_done) KnobSkips skips = { 0 };
        int r;

        if (c->only_uuid)
                return 0;
        for (size_t i = 0; i < ELEMENTSOF(order); i++) {
                r = drive(c, order[i].knob, order[i].key, &skips);
                if (r < 0)
                        return r;
        }
        c->state->thp_adopted = false;
        return policy_knob_flush(c, ACTION_SET_THP, NULL, &skips);
}
