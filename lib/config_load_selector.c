/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which guests: `match` of a guests entry, `guests` of a rule. */

#include "config_load.h"
#include "parse.h"

#include <ctype.h>

/*
 * A glob fnmatch(3) would take literally although it looks like a set: '['
 * without ']', or a backslash at the end.
 */
static const char *glob_problem(const char *glob) {
        if (!*glob)
                return "is empty; a glob such as \"db-*\" is needed";
        for (const char *p = glob; *p; p++) {
                if (*p == '\\' && !*++p)
                        return "ends in a backslash; a character to be quoted is needed";
                if (*p != '[')
                        continue;
                p++;
                if (*p == '!' || *p == '^')
                        p++;
                /* A ']' right at the start is a member of the set. */
                p = *p ? strchr(p + 1, ']') : NULL;
                if (!p)
                        return "has a '[' without ']'; a glob such as \"db-[0-9]\" is needed";
        }
        return NULL;
}

static bool is_uuid(const char *text) {
        if (strlen(text) != UUID_TEXT_SIZE - 1)
                return false;
        for (size_t i = 0; text[i]; i++)
                if (i == 8 || i == 13 || i == 18 || i == 23 ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
                        return false;
        return true;
}

static const char *uuid_problem(const char *text) {
        return is_uuid(text) ? NULL : "is not a UUID; one like \"4dea22b3-1d52-d8f3-2516-782e98ab3fa0\" is needed";
}

static const char *class_problem(const char *text) {
        return *text ? NULL : "is empty; the class in the guest's metadata is needed";
}

static int load_field(Loader *l, const config_setting_t *s, const char *(*check)(const char *), char **field) {
        const char *name = config_setting_name(s), *text = load_string(l, s, name, "a string"), *problem;

        if (!text)
                return 0;
        problem = check(text);
        if (!problem)
                return strdup_to(field, text);
        setting_error(&l->errors, s, "%s: \"%s\" %s", name, text, problem);
        return 0;
}

static int load_size(Loader *l, const config_setting_t *s, uint64_t *ret) {
        const char *name = config_setting_name(s), *text = load_string(l, s, name, "a size (\"4 GiB\")");

        if (text && (parse_size(text, ret) < 0 || *ret == 0))
                setting_error(&l->errors, s, "%s: \"%s\" is malformed; a size from 1 B (\"4 GiB\") is needed", name,
                              text);
        return 0;
}

static int load_count(Loader *l, const config_setting_t *s, unsigned *ret) {
        if (config_setting_type(s) != CONFIG_TYPE_INT || config_setting_get_int(s) < 1)
                load_type_error(l, s, config_setting_name(s), "a number of vCPUs from 1");
        else
                *ret = (unsigned)config_setting_get_int(s);
        return 0;
}

static int load_node(Loader *l, const config_setting_t *s, GuestSelector *ret) {
        if (config_setting_type(s) != CONFIG_TYPE_INT || config_setting_get_int(s) < 0 ||
            config_setting_get_int(s) >= (int)IDSET_MAX) {
                load_type_error(l, s, "node", "the number of a NUMA node");
                return 0;
        }
        ret->has_node = true;
        ret->node = (unsigned)config_setting_get_int(s);
        return 0;
}

static int load_balloon(Loader *l, const config_setting_t *s, GuestSelector *ret) {
        if (config_setting_type(s) != CONFIG_TYPE_BOOL)
                load_type_error(l, s, "balloon", "true or false");
        else
                ret->balloon = config_setting_get_bool(s) ? SELECT_WITH : SELECT_WITHOUT;
        return 0;
}

typedef enum Field {
        FIELD_NAME, FIELD_UUID, FIELD_CLASS, FIELD_TITLE, FIELD_MEMORY_AT_LEAST, FIELD_MEMORY_AT_MOST,
        FIELD_VCPUS_AT_LEAST, FIELD_VCPUS_AT_MOST, FIELD_NODE, FIELD_BALLOON, _FIELD_MAX,
} Field;

static const char *const field_names[_FIELD_MAX] = {
        "name", "uuid", "class", "title", "memory_at_least", "memory_at_most", "vcpus_at_least", "vcpus_at_most",
        "node", "balloon",
};

static int load_one(Loader *l, const config_setting_t *s, Field field, GuestSelector *ret) {
        switch (field) {
        case FIELD_NAME:
                return load_field(l, s, glob_problem, &ret->name);
        case FIELD_UUID:
                return load_field(l, s, uuid_problem, &ret->uuid);
        case FIELD_CLASS:
                return load_field(l, s, class_problem, &ret->class);
        case FIELD_TITLE:
                return load_field(l, s, glob_problem, &ret->title);
        case FIELD_MEMORY_AT_LEAST:
                return load_size(l, s, &ret->memory_at_least);
        case FIELD_MEMORY_AT_MOST:
                return load_size(l, s, &ret->memory_at_most);
        case FIELD_VCPUS_AT_LEAST:
                return load_count(l, s, &ret->vcpus_at_least);
        case FIELD_VCPUS_AT_MOST:
                return load_count(l, s, &ret->vcpus_at_most);
        case FIELD_NODE:
                return load_node(l, s, ret);
        default:
                return load_balloon(l, s, ret);
        }
}

static void check_order(Loader *l, const config_setting_t *group, const char *what, bool ordered) {
        if (!ordered)
                setting_error(&l->errors, group, "%s_at_least is above %s_at_most; no guest can match", what, what);
}

int load_selector(Loader *l, const config_setting_t *group, GuestSelector *ret) {
        if (config_setting_type(group) != CONFIG_TYPE_GROUP) {
                load_type_error(l, group, config_setting_name(group), "a group such as { name = \"db-*\"; }");
                return 0;
        }
        for (int i = 0; i < config_setting_length(group); i++) {
                const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
                Field field = FIELD_NAME;
                int r;

                while (field < _FIELD_MAX && !streq(config_setting_name(s), field_names[field]))
                        field++;
                if (field == _FIELD_MAX) {
                        setting_unknown(&l->errors, s, config_setting_name(group), field_names, _FIELD_MAX);
                        continue;
                }
                r = load_one(l, s, field, ret);
                if (r < 0)
                        return r;
        }
        check_order(l, group, "memory", ret->memory_at_most == 0 || ret->memory_at_least <= ret->memory_at_most);
        check_order(l, group, "vcpus", ret->vcpus_at_most == 0 || ret->vcpus_at_least <= ret->vcpus_at_most);
        return 0;
}
