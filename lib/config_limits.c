/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Pairs of limits, one of which is to be below the other. Loader and `set` see
 * to it that no entry, rule or setting at run time breaks that on its own; two
 * that hold at the same time may, each with one of the two. Then the one that
 * comes later holds, as of any setting, and in place of the other the value of
 * the top level: against that one it was checked.
 */

#include "config.h"
#include "config_value.h"

const Key config_limit_pairs[LIMIT_PAIRS][2] = {
        { KEY_KSM_START, KEY_KSM_STOP },
        { KEY_BALLOON_START, KEY_BALLOON_STOP },
        { KEY_VCPUS_STOP, KEY_VCPUS_START },
};

bool config_limits_in_order(const Settings *s, size_t pair) {
        return s->values[config_limit_pairs[pair][0]].number < s->values[config_limit_pairs[pair][1]].number;
}

/* Where @key comes from, and how late that stands; 0: the top level. */
static const SettingValue *find_source(const Config *c, ActiveRules rules, const Guest *g, Key key,
                                       size_t *ret_rank) {
        size_t n = c->n_guests + c->n_rules;

        for (size_t i = c->n_runtime; i > 0; i--) {
                const RuntimeSetting *r = &c->runtime[i - 1];

                *ret_rank = n + i;
                if (r->key == key && (!r->uuid[0] || (g && streq(r->uuid, g->uuid))))
                        return &r->value;
        }
        for (size_t i = n; i > 0; i--) {
                const SettingLayer *layer = config_layer(c, rules, g, i - 1);
                const SettingValue *v = layer ? setting_layer_find(layer, key) : NULL;

                *ret_rank = i;
                if (v)
                        return v;
        }
        *ret_rank = 0;
        return &c->base.values[key];
}

static void settle(const Config *c, ActiveRules rules, const Guest *g, size_t pair, Settings *s) {
        Key low = config_limit_pairs[pair][0], high = config_limit_pairs[pair][1];
        size_t low_rank, high_rank;

        s->clashes[pair] = (LimitClash){
                .low = find_source(c, rules, g, low, &low_rank),
                .high = find_source(c, rules, g, high, &high_rank),
        };
        s->values[low_rank < high_rank ? low : high] = c->base.values[low_rank < high_rank ? low : high];
        if (config_limits_in_order(s, pair))
                return;
        s->values[low] = c->base.values[low];
        s->values[high] = c->base.values[high];
}

void config_settle_limits(const Config *c, ActiveRules rules, const Guest *g, Settings *s) {
        for (size_t i = 0; i < LIMIT_PAIRS; i++)
                if (!config_limits_in_order(s, i))
                        settle(c, rules, g, i, s);
}

const SettingValue *config_displaced(const Settings *s, Key key) {
        for (size_t i = 0; i < LIMIT_PAIRS; i++) {
                const LimitClash *clash = &s->clashes[i];
                const SettingValue *given = key == config_limit_pairs[i][0]   ? clash->low
                                            : key == config_limit_pairs[i][1] ? clash->high
                                                                              : NULL;

                if (given && given->number != s->values[key].number)
                        return given;
        }
        return NULL;
}

/* `ksm.stop (25 % of rule "night" (kvmtuned.conf:12))` */
static int describe(Key key, const SettingValue *v, char **ret) {
        _cleanup_free_ char *value = NULL, *source = NULL;
        int r;

        r = config_value_format(key, v, &value);
        if (r >= 0)
                r = setting_value_source(v, &source);
        if (r < 0)
                return r;
        return strprintf_to(ret, "%s.%s (%s, %s)", config_keys[key].group, config_keys[key].name, value, source);
}

int config_clash_format(const Settings *s, size_t pair, char **ret) {
        Key low = config_limit_pairs[pair][0], high = config_limit_pairs[pair][1];
        _cleanup_free_ char *low_text = NULL, *high_text = NULL, *low_value = NULL, *high_value = NULL;
        const LimitClash *clash = &s->clashes[pair];
        char *text = NULL;
        int r;

        if (!clash->low)
                return 0;
        r = describe(low, clash->low, &low_text);
        if (r >= 0)
                r = describe(high, clash->high, &high_text);
        if (r >= 0)
                r = setting_format(s, low, &low_value);
        if (r >= 0)
                r = setting_format(s, high, &high_value);
        if (r >= 0)
                r = strprintf_to(&text, "%s is not above %s; %s and %s hold", high_text, low_text, high_value,
                                 low_value);
        if (r < 0)
                return r;
        *ret = text;
        return 1;
}
