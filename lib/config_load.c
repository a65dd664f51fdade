/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The policy file and its conf.d: reading, and the groups of settings. Every
 * file is read by libconfig on its own, then merged: settings key by key,
 * guests and rules one after the other. All errors are collected; a single one
 * makes the whole configuration invalid.
 */

#include "config_load.h"

#include <dirent.h>

#include "config_value.h"

void load_type_error(Loader *l, const config_setting_t *s, const char *what, const char *needed) {
        _cleanup_free_ char *found = NULL;

        if (setting_describe(s, &found) < 0)
                l->errors.out_of_memory = true;
        else
                setting_error(&l->errors, s, "%s: %s was found; %s is needed", what, found, needed);
}

const char *load_string(Loader *l, const config_setting_t *s, const char *what, const char *needed) {
        if (config_setting_type(s) == CONFIG_TYPE_STRING)
                return config_setting_get_string(s);
        load_type_error(l, s, what, needed);
        return NULL;
}

size_t config_group_names(const char *ret[static CONFIG_GROUPS_MAX]) {
        size_t n = 0;

        for (size_t i = 0; i < _KEY_MAX; i++)
                if (n == 0 || !streq(ret[n - 1], config_keys[i].group))
                        ret[n++] = config_keys[i].group;
        return n;
}

static int wrong_type(Loader *l, const config_setting_t *s, Key key) {
        const KeyInfo *info = &config_keys[key];
        _cleanup_free_ char *allowed = NULL, *what = NULL, *needed = NULL;
        bool quoted = info->type == TYPE_DURATION || info->type == TYPE_RATE || info->type == TYPE_PERMYRIAD;
        int r;

        r = config_value_allowed(key, &allowed);
        if (r >= 0)
                r = strprintf_to(&what, "%s.%s", info->group, info->name);
        if (r >= 0)
                r = strprintf_to(&needed, "%s%s", quoted ? "a string with " : "", allowed);
        if (r < 0)
                return r;
        load_type_error(l, s, what, needed);
        return 0;
}

/* The setting's text as config_value_parse() reads it; NULL in *ret: of the wrong type. */
static int setting_text(const config_setting_t *s, KeyType type, char **ret) {
        char *text = NULL;
        int found = config_setting_type(s), r = 0;

        if (type == TYPE_BOOL) {
                if (found == CONFIG_TYPE_BOOL)
                        r = strdup_to(&text, config_setting_get_bool(s) ? "true" : "false");
        } else if (found == CONFIG_TYPE_STRING)
                r = strdup_to(&text, config_setting_get_string(s));
        else if (found == CONFIG_TYPE_INT && type == TYPE_UINT)
                r = strprintf_to(&text, "%d", config_setting_get_int(s));
        if (r < 0)
                return r;
        *ret = text;
        return 0;
}

static int locate(Loader *l, const config_setting_t *s, SettingValue *v) {
        _cleanup_free_ char *file = NULL;
        int r;

        r = setting_file(&l->errors, s, &file);
        if (r >= 0)
                r = config_intern(l->config, file, &v->file);
        if (r >= 0 && v->text)
                r = config_intern(l->config, v->text, &v->text);
        v->line = config_setting_source_line(s);
        return r;
}

static int load_value(Loader *l, const config_setting_t *s, Key key, const char *rule, SettingLayer *layer) {
        const KeyInfo *info = &config_keys[key];
        _cleanup_free_ char *text = NULL, *problem = NULL;
        SettingValue v = { 0 };
        int r;

        r = setting_text(s, info->type, &text);
        if (r < 0)
                return r;
        if (!text)
                return wrong_type(l, s, key);
        r = config_value_parse(key, text, &v, &problem);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                setting_error(&l->errors, s, "%s.%s: %s", info->group, info->name, problem);
                return 0;
        }
        r = locate(l, s, &v);
        if (r < 0)
                return r;
        v.rule = rule;
        return setting_layer_add(layer, key, &v);
}

/* Reports when @key must not stand here. */
static bool scope_allowed(Loader *l, const config_setting_t *s, Key key, LayerKind kind) {
        const KeyInfo *info = &config_keys[key];

        if (kind == LAYER_BASE || info->scope == SCOPE_GUEST || (kind == LAYER_RULE && info->scope == SCOPE_HOST))
                return true;
        if (info->scope == SCOPE_DAEMON)
                setting_error(&l->errors, s, "%s.%s: a setting of the daemon; it is allowed at the top level only",
                              info->group, info->name);
        else
                setting_error(&l->errors, s, "%s.%s: a setting of the host; it is allowed at the top level and in "
                              "rules without guests", info->group, info->name);
        return false;
}

static void unknown_key(Loader *l, const config_setting_t *s, const char *group) {
        const char *known[_KEY_MAX] = { NULL };

        for (size_t i = 0; i < _KEY_MAX; i++)
                if (streq(config_keys[i].group, group))
                        known[i] = config_keys[i].name;
        setting_unknown(&l->errors, s, group, known, _KEY_MAX);
}

int load_setting_group(Loader *l, const config_setting_t *group, LayerKind kind, const char *rule,
                       SettingLayer *layer) {
        const char *name = config_setting_name(group);

        if (config_setting_type(group) != CONFIG_TYPE_GROUP) {
                load_type_error(l, group, name, "a group { ... }");
                return 0;
        }
        for (int i = 0; i < config_setting_length(group); i++) {
                const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
                Key key = config_key_find(name, config_setting_name(s));
                int r;

                if (key < 0) {
                        unknown_key(l, s, name);
                        continue;
                }
                if (!scope_allowed(l, s, key, kind))
                        continue;
                r = load_value(l, s, key, rule, layer);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool contains(const char *const *names, size_t n, const char *name) {
        for (size_t i = 0; i < n; i++)
                if (streq(names[i], name))
                        return true;
        return false;
}

static int load_top_level(Loader *l, const config_setting_t *root, SettingLayer *base) {
        const char *names[CONFIG_GROUPS_MAX + 2];
        size_t n = config_group_names(names);

        names[n] = "guests";
        names[n + 1] = "rules";
        for (int i = 0; i < config_setting_length(root); i++) {
                const config_setting_t *s = config_setting_get_elem(root, (unsigned)i);
                const char *name = config_setting_name(s);
                int r = 0;

                if (streq(name, "guests"))
                        r = load_guests(l, s);
                else if (streq(name, "rules"))
                        r = load_rules(l, s);
                else if (contains(names, n, name))
                        r = load_setting_group(l, s, LAYER_BASE, NULL, base);
                else
                        setting_unknown(&l->errors, s, NULL, names, n + 2);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int merge_root(Loader *l, const config_setting_t *root) {
        SettingLayer base = { 0 };
        int r;

        r = load_top_level(l, root, &base);
        for (size_t i = 0; i < base.n; i++)
                l->config->base.values[base.keys[i]] = base.values[i];
        free(base.keys);
        free(base.values);
        return r;
}

/* Reads and merges one text. 0 also when it is wrong: that is in l->errors. */
static int load_one(Loader *l, const char *name, const char *path, const char *include_dir, const char *text) {
        config_t config;
        int r;

        l->errors.name = name;
        l->errors.include_dir = include_dir;
        config_init(&config);
        r = setting_parse(&l->errors, &config, path, text, path);
        if (r >= 0)
                r = merge_root(l, config_root_setting(&config));
        config_destroy(&config);
        l->errors.name = l->errors.include_dir = NULL;
        return r == -ENOMEM ? r : 0;
}

/* "/etc/kvmtuned/kvmtuned.conf" -> "/etc/kvmtuned"; "" for a bare name. */
static int parent_folder(const char *path, char **ret) {
        const char *slash = strrchr(path, '/');
        size_t n = slash ? (size_t)(slash - path) : 0;
        char *folder;

        folder = strndup(path, slash == path ? 1 : n);
        if (!folder)
                return -ENOMEM;
        *ret = folder;
        return 0;
}

static int load_file(Loader *l, const char *path) {
        _cleanup_free_ char *text = NULL, *folder = NULL;
        int r;

        r = setting_read_file(&l->errors, path, 0, path, &text);
        if (r >= 0)
                r = parent_folder(path, &folder);
        if (r < 0)
                return r;
        return load_one(l, path, path, folder, text);
}

static int is_conf(const struct dirent *entry) {
        size_t n = strlen(entry->d_name);

        return n > strlen(".conf") && entry->d_name[0] != '.' && streq(entry->d_name + n - strlen(".conf"), ".conf");
}

/* alphasort(3) would go by the locale. */
static int by_name(const struct dirent **a, const struct dirent **b) {
        return strcmp((*a)->d_name, (*b)->d_name);
}

/* Loads each, keeping the first failure, so that every file's errors are shown. */
static int load_entries(Loader *l, const char *folder, struct dirent **entries, int n) {
        int result = 0;

        for (int i = 0; i < n; i++) {
                _cleanup_free_ char *path = NULL;
                int r;

                r = strprintf_to(&path, "%s/%s", folder, entries[i]->d_name);
                if (r >= 0)
                        r = load_file(l, path);
                if (r < 0 && result >= 0)
                        result = r;
        }
        return result;
}

static int load_conf_d(Loader *l, const char *path) {
        _cleanup_free_ char *folder = NULL, *conf_d = NULL;
        struct dirent **entries = NULL;
        int r, n;

        r = parent_folder(path, &folder);
        if (r >= 0)
                r = strprintf_to(&conf_d, "%s%sconf.d", folder, *folder && !streq(folder, "/") ? "/" : "");
        if (r < 0)
                return r;
        n = scandir(conf_d, &entries, is_conf, by_name);
        if (n < 0 && errno == ENOENT)
                return 0;
        if (n < 0) {
                r = -errno;
                setting_error_at(&l->errors, conf_d, 0, "%s", strerrordesc_np(-r));
                return r;
        }
        r = load_entries(l, conf_d, entries, n);
        for (int i = 0; i < n; i++)
                free(entries[i]);
        free(entries);
        return r;
}

static int loader_init(Loader *l) {
        *l = (Loader){ 0 };
        return config_new(&l->config);
}

/* @r: the first failure to read, or 0. Ends the loader. */
static int loader_finish(Loader *l, int r, Config **ret, char **ret_error) {
        if (r >= 0)
                r = check_limits(l);
        if (l->errors.out_of_memory)
                r = -ENOMEM;
        else if (r >= 0 && l->errors.n > 0)
                r = -EBADMSG;
        if (r >= 0)
                *ret = TAKE_PTR(l->config);
        else if (r != -ENOMEM)
                *ret_error = TAKE_PTR(l->errors.text);
        setting_errors_done(&l->errors);
        l->config = config_free(l->config);
        return r;
}

int config_load(const char *path, Config **ret, char **ret_error) {
        Loader l;
        int r, q;

        r = loader_init(&l);
        if (r < 0)
                return r;
        r = load_file(&l, path);
        if (r >= 0 || r == -EBADMSG) {
                q = load_conf_d(&l, path);
                r = r < 0 ? r : q;
        }
        return loader_finish(&l, r, ret, ret_error);
}

int config_load_text(const char *name, const char *text, Config **ret, char **ret_error) {
        Loader l;
        int r;

        r = loader_init(&l);
        if (r >= 0)
                r = load_one(&l, name, NULL, NULL, text);
        return loader_finish(&l, r, ret, ret_error);
}
