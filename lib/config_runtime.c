/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Settings made while the daemon runs: the layer above files and rules. Those
 * for all come before those for one guest, so that applied in order the latter win.
 */

#include "config.h"
#include "config_value.h"

static RuntimeSetting *find(const Config *c, Key key, const char *uuid) {
        for (size_t i = 0; i < c->n_runtime; i++)
                if (c->runtime[i].key == key && streq(c->runtime[i].uuid, uuid))
                        return &c->runtime[i];
        return NULL;
}

void config_apply_runtime(const Config *c, const char *uuid, Settings *s) {
        for (size_t i = 0; i < c->n_runtime; i++)
                if (!c->runtime[i].uuid[0] || streq(c->runtime[i].uuid, uuid))
                        s->values[c->runtime[i].key] = c->runtime[i].value;
}

bool config_has_runtime(const Config *c, const char *uuid) {
        for (size_t i = 0; i < c->n_runtime; i++)
                if (streq(c->runtime[i].uuid, uuid))
                        return true;
        return false;
}

/* Makes room where the order wants it. The setting for that key and guest is not there yet. */
static int insert(Config *c, const char *uuid, RuntimeSetting **ret) {
        size_t i = uuid[0] ? c->n_runtime : 0;
        int r;

        if (c->n_runtime >= RUNTIME_SETTINGS_MAX)
                return -E2BIG;
        r = GROW_ARRAY(c->runtime, c->runtime_capacity, c->n_runtime);
        if (r < 0)
                return r;
        memmove(&c->runtime[i + 1], &c->runtime[i], (c->n_runtime - i) * sizeof(*c->runtime));
        c->runtime[i] = (RuntimeSetting){ 0 };
        memcpy(c->runtime[i].uuid, uuid, MIN(strlen(uuid), sizeof(c->runtime[i].uuid) - 1));
        c->n_runtime++;
        *ret = &c->runtime[i];
        return 0;
}

static int check_scope(Key key, const Guest *g, char **ret_problem) {
        const KeyInfo *info = &config_keys[key];
        int r;

        if (info->scope == SCOPE_DAEMON)
                r = strprintf_to(ret_problem, "%s.%s can only be set in the policy file", info->group, info->name);
        else if (info->scope == SCOPE_HOST && g)
                r = strprintf_to(ret_problem, "%s.%s is a setting of the host, not of a guest", info->group,
                                 info->name);
        else
                return 0;
        return r < 0 ? r : -EINVAL;
}

/* What the loader asks of files, too (check_limits): what is given must be above what is taken. */
static int check_order(const Settings *s, Key set, char **ret_problem) {
        for (size_t i = 0; i < LIMIT_PAIRS; i++) {
                const Key *pair = config_limit_pairs[i];
                const KeyInfo *low = &config_keys[pair[0]], *high = &config_keys[pair[1]];
                int r;

                if ((set != pair[0] && set != pair[1]) || config_limits_in_order(s, i))
                        continue;
                r = strprintf_to(ret_problem, "%s.%s would not be above %s.%s", high->group, high->name, low->group,
                                 low->name);
                return r < 0 ? r : -EINVAL;
        }
        return 0;
}

int config_set_runtime(Config *c, Key key, const Guest *g, const char *text, uint32_t uid, char **ret_problem) {
        const char *uuid = g ? g->uuid : "";
        _cleanup_free_ char *copy = NULL;
        RuntimeSetting *setting;
        SettingValue value;
        Settings settings;
        int r;

        r = check_scope(key, g, ret_problem);
        if (r < 0)
                return r;
        r = strdup_to(&copy, text);
        if (r < 0)
                return r;
        r = config_value_parse(key, copy, &value, ret_problem);
        if (r < 0)
                return r == -ERANGE ? -EINVAL : r;
        value.runtime = true;
        value.uid = uid;
        if (g)
                config_resolve_guest(c, (ActiveRules){ 0 }, g, &settings);
        else
                config_resolve_host(c, (ActiveRules){ 0 }, &settings);
        settings.values[key] = value;
        r = check_order(&settings, key, ret_problem);
        if (r < 0)
                return r;
        setting = find(c, key, uuid);
        r = setting ? 0 : insert(c, uuid, &setting);
        if (r < 0)
                return r;
        free(setting->text);
        setting->key = key;
        setting->value = value;
        setting->text = TAKE_PTR(copy);
        return 0;
}

int config_unset_runtime(Config *c, Key key, const char *uuid) {
        RuntimeSetting *s = find(c, key, uuid);

        if (!s)
                return -ENOENT;
        free(s->text);
        memmove(s, s + 1, (size_t)(c->runtime + c->n_runtime - s - 1) * sizeof(*s));
        c->n_runtime--;
        return 0;
}
