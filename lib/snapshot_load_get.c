/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Typed, strict access to the groups of a snapshot's text. */

#include "snapshot_load.h"

#include "parse.h"

#define KNOWN_MAX 64U

static const char *const type_needs[_SNAP_TYPE_MAX] = {
        [SNAP_BOOL] = "true or false",
        [SNAP_COUNT] = "a whole number (in quotes when above 2147483647)",
        [SNAP_ID] = "a whole number from 0 to 2147483647",
        [SNAP_SIZE] = "a size with its unit such as \"4 GiB\"",
        [SNAP_SIGNED_SIZE] = "a size with its unit such as \"-64 KiB\"",
        [SNAP_SEC] = "a duration in whole seconds such as \"2 s\"",
        [SNAP_MSEC] = "a duration in whole milliseconds such as \"20 ms\"",
        [SNAP_USEC] = "a duration with its unit such as \"3 s\"",
        [SNAP_RELEASE] = "a release of Linux such as \"6.1\"",
        [SNAP_SHARE] = "a percentage such as \"35 %\"",
        [SNAP_SET] = "a list of numbers below 4096 such as \"0-3,8\"",
        [SNAP_STRING] = "a string",
        [SNAP_WORD] = "a short word in quotes",
        [SNAP_STATE] = "\"running\", \"paused\", \"shutdown\", \"crashed\" or \"pmsuspended\"",
        [SNAP_NUMATUNE] = "\"none\", \"strict\", \"preferred\", \"interleave\" or \"restrictive\"",
};

int snap_load_complain(SnapLoader *l, const config_setting_t *s, const char *need) {
        _cleanup_free_ char *what = NULL;
        const char *name = config_setting_name(s);
        int r;

        r = setting_describe(s, &what);
        if (r < 0)
                return r;
        if (name)
                setting_error(&l->errors, s, "%s is %s; %s is needed", name, what, need);
        else
                setting_error(&l->errors, s, "this is %s; %s is needed", what, need);
        return 0;
}

static bool is_known(const char *name, const char *const *known, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (streq(name, known[i]))
                        return true;
        return false;
}

static int complain_unknown(SnapLoader *l, const config_setting_t *s, const char *const *known, size_t n) {
        _cleanup_free_ char *hint = NULL;
        int r;

        r = setting_suggest(config_setting_name(s), known, n, &hint);
        if (r < 0)
                return r;
        setting_error(&l->errors, s, "there is no key \"%s\" here%s", config_setting_name(s), hint);
        return 0;
}

int snap_load_check_keys(SnapLoader *l, const config_setting_t *group, const char *const *names,
                         const SnapFields *const *tables) {
        const char *known[KNOWN_MAX];
        size_t n = 0;
        int r;

        for (; names && *names && n < KNOWN_MAX; names++)
                known[n++] = *names;
        for (; tables && *tables; tables++)
                for (size_t i = 0; i < (*tables)->n && n < KNOWN_MAX; i++)
                        known[n++] = (*tables)->fields[i].key;
        for (int i = 0; i < config_setting_length(group); i++) {
                const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);

                if (is_known(config_setting_name(s), known, n))
                        continue;
                r = complain_unknown(l, s, known, n);
                if (r < 0)
                        return r;
        }
        return 0;
}

int snap_load_group(SnapLoader *l, const config_setting_t *parent, const char *name, const config_setting_t **ret) {
        const config_setting_t *s = config_setting_get_member(parent, name);

        if (!s)
                return 0;
        if (config_setting_type(s) != CONFIG_TYPE_GROUP)
                return snap_load_complain(l, s, "a group { ... }");
        *ret = s;
        return 1;
}

int snap_load_list(SnapLoader *l, const config_setting_t *parent, const char *name, const config_setting_t **ret) {
        const config_setting_t *s = config_setting_get_member(parent, name);

        if (!s)
                return 0;
        if (config_setting_type(s) != CONFIG_TYPE_LIST)
                return snap_load_complain(l, s, "a list ( { ... }, { ... } )");
        *ret = s;
        return 1;
}

int snap_load_element(SnapLoader *l, const config_setting_t *list, unsigned i, const config_setting_t **ret) {
        const config_setting_t *s = config_setting_get_elem(list, i);

        if (config_setting_type(s) != CONFIG_TYPE_GROUP)
                return snap_load_complain(l, s, "a group { ... }");
        *ret = s;
        return 1;
}

/* A duration in units of @unit_usec. */
static int parse_duration_in(const char *text, uint64_t unit_usec, uint64_t *ret) {
        uint64_t usec;
        int r;

        r = parse_duration(text, &usec);
        if (r < 0)
                return r;
        if (usec % unit_usec != 0)
                return -EINVAL;
        *ret = usec / unit_usec;
        return 0;
}

static int parse_signed_size(const char *text, int64_t *ret) {
        bool negative = *text == '-';
        uint64_t bytes;
        int r;

        r = parse_size(text + negative, &bytes);
        if (r < 0)
                return r;
        if (bytes > (uint64_t)INT64_MAX + negative)
                return -ERANGE;
        *ret = !negative ? (int64_t)bytes : bytes == 0 ? 0 : -1 - (int64_t)(bytes - 1);
        return 0;
}

static int parse_release(const char *text, uint64_t *ret) {
        uint64_t release;
        const char *end;
        int r;

        r = kernel_release_parse(text, &release, &end);
        if (r < 0)
                return r;
        if (*end)
                return -EINVAL;
        *ret = release;
        return 0;
}

static int parse_share(const char *text, uint32_t *ret) {
        uint64_t share;
        int r;

        r = parse_permyriad(text, &share);
        if (r < 0)
                return r;
        if (share >= UNKNOWN_PERMYRIAD)
                return -ERANGE;
        *ret = (uint32_t)share;
        return 0;
}

static int parse_amount(const char *text, uint64_t whole, uint64_t *ret) {
        uint64_t share;

        if (whole > 0 && parse_permyriad(text, &share) >= 0 && strchr(text, '%')) {
                if (share > PERMYRIAD_FULL)
                        return -ERANGE;
                *ret = permyriad_of(whole, share);
                return 0;
        }
        return parse_size(text, ret);
}

static int set_enum(int v, int *value) {
        if (v < 0)
                return -EINVAL;
        *value = v;
        return 0;
}

static int parse_text(const char *text, SnapType type, uint64_t whole, void *value) {
        switch (type) {
        case SNAP_COUNT:
                return parse_u64(text, value);
        case SNAP_SIZE:
                return parse_amount(text, whole, value);
        case SNAP_SIGNED_SIZE:
                return parse_signed_size(text, value);
        case SNAP_SEC:
                return parse_duration_in(text, USEC_PER_SEC, value);
        case SNAP_MSEC:
                return parse_duration_in(text, USEC_PER_MSEC, value);
        case SNAP_USEC:
                return parse_duration(text, value);
        case SNAP_RELEASE:
                return parse_release(text, value);
        case SNAP_SHARE:
                return parse_share(text, value);
        case SNAP_SET:
                return idset_parse(text, value);
        case SNAP_STRING:
                return strdup_to(value, text);
        case SNAP_STATE:
                return set_enum((int)guest_state_from_string(text), value);
        case SNAP_NUMATUNE:
                return set_enum((int)numatune_mode_from_string(text), value);
        case SNAP_BOOL:
        case SNAP_ID:
        case SNAP_WORD:
        case _SNAP_TYPE_MAX:
                break;
        }
        return -EINVAL;
}

static int set_unknown(const SnapField *field, void *value) {
        if (field->type == SNAP_SHARE)
                *(uint32_t *)value = UNKNOWN_PERMYRIAD;
        else
                *(uint64_t *)value = UNKNOWN_U64;
        return 0;
}

static int set_word(const SnapField *field, const char *text, char *value) {
        size_t n = strlen(text);

        if (n >= field->size)
                return -ERANGE;
        /* The whole array, so that equal words are equal bytes. */
        memset(value, 0, field->size);
        memcpy(value, text, n + 1);
        return 0;
}

static int set_from_string(const SnapField *field, const char *text, uint64_t whole, void *value) {
        if (field->unknown && streq(text, "unknown"))
                return set_unknown(field, value);
        if (field->type == SNAP_WORD)
                return set_word(field, text, value);
        return parse_text(text, field->type, whole, value);
}

static int set_from_integer(SnapType type, long long number, void *value) {
        if (number < 0)
                return -ERANGE;
        if (type == SNAP_COUNT) {
                *(uint64_t *)value = (uint64_t)number;
                return 0;
        }
        if (type != SNAP_ID || number > INT32_MAX)
                return -EINVAL;
        *(int32_t *)value = (int32_t)number;
        return 0;
}

static int set_from_setting(const SnapField *field, const config_setting_t *s, uint64_t whole, void *value) {
        switch (config_setting_type(s)) {
        case CONFIG_TYPE_STRING:
                return set_from_string(field, config_setting_get_string(s), whole, value);
        case CONFIG_TYPE_INT:
        case CONFIG_TYPE_INT64:
                return set_from_integer(field->type, config_setting_get_int64(s), value);
        case CONFIG_TYPE_BOOL:
                if (field->type != SNAP_BOOL)
                        return -EINVAL;
                *(bool *)value = config_setting_get_bool(s);
                return 0;
        default:
                return -EINVAL;
        }
}

static int complain_value(SnapLoader *l, const SnapField *field, const config_setting_t *s) {
        _cleanup_free_ char *need = NULL;
        int r;

        r = strprintf_to(&need, "%s%s", type_needs[field->type], field->unknown ? " or \"unknown\"" : "");
        if (r < 0)
                return r;
        return snap_load_complain(l, s, need);
}

int snap_load_field(SnapLoader *l, const config_setting_t *group, const SnapField *field, uint64_t whole,
                    void *record) {
        const config_setting_t *s = config_setting_get_member(group, field->key);
        int r;

        if (!s)
                return 0;
        r = set_from_setting(field, s, whole, (char *)record + field->offset);
        if (r == -ENOMEM)
                return r;
        return r < 0 ? complain_value(l, field, s) : 1;
}

int snap_load_fields(SnapLoader *l, const config_setting_t *group, const SnapFields *fields, uint64_t whole,
                     void *record) {
        int r;

        for (size_t i = 0; i < fields->n; i++) {
                r = snap_load_field(l, group, &fields->fields[i], whole, record);
                if (r < 0)
                        return r;
        }
        return 0;
}

int snap_load_value(SnapLoader *l, const config_setting_t *group, const char *name, SnapType type, void *value) {
        SnapField field = { .key = name, .type = type };

        return snap_load_field(l, group, &field, 0, value);
}

int snap_load_number(SnapLoader *l, const config_setting_t *group, const char *name, unsigned minimum,
                     unsigned maximum, unsigned *ret) {
        const config_setting_t *s = config_setting_get_member(group, name);
        _cleanup_free_ char *need = NULL;
        long long v;
        int r;

        if (!s)
                return 0;
        v = config_setting_type(s) == CONFIG_TYPE_INT ? config_setting_get_int64(s) : -1;
        if (v >= minimum && v <= maximum) {
                *ret = (unsigned)v;
                return 1;
        }
        r = strprintf_to(&need, "a whole number from %u to %u", minimum, maximum);
        if (r < 0)
                return r;
        return snap_load_complain(l, s, need);
}

void snap_text_list_done(SnapTextList *t) {
        free(t->texts);
        *t = (SnapTextList){ 0 };
}

int snap_load_texts(SnapLoader *l, const config_setting_t *group, const char *name, SnapTextList *ret) {
        const config_setting_t *s = config_setting_get_member(group, name);
        SnapTextList t = { .setting = s };
        int type;

        if (!s)
                return 0;
        type = config_setting_type(s);
        if (type != CONFIG_TYPE_STRING && type != CONFIG_TYPE_ARRAY && type != CONFIG_TYPE_LIST)
                return snap_load_complain(l, s, "a string or an array of strings [ \"...\", \"...\" ]");
        t.single = type == CONFIG_TYPE_STRING;
        t.n = t.single ? 1 : (size_t)config_setting_length(s);
        t.texts = calloc(t.n + 1, sizeof(*t.texts));
        if (!t.texts)
                return -ENOMEM;
        for (unsigned i = 0; i < t.n; i++) {
                const config_setting_t *e = t.single ? s : config_setting_get_elem(s, i);

                t.texts[i] = config_setting_get_string(e);
                if (!t.texts[i]) {
                        snap_text_list_done(&t);
                        return snap_load_complain(l, e, "a string");
                }
        }
        *ret = t;
        return 1;
}

int snap_load_text_as(SnapLoader *l, const config_setting_t *s, SnapType type, const char *text, void *value) {
        SnapField field = { .type = type, .unknown = type == SNAP_SHARE };
        const char *name = config_setting_name(s);
        int r;

        r = set_from_string(&field, text, 0, value);
        if (r == -ENOMEM)
                return r;
        if (r >= 0)
                return 1;
        setting_error(&l->errors, s, "%s has \"%s\"; %s is needed", name ?: "this", text, type_needs[type]);
        return 0;
}

int snap_load_check_nodes(SnapLoader *l, const config_setting_t *group, const char *name, const IdSet *nodes) {
        const config_setting_t *s = config_setting_get_member(group, name);

        IDSET_FOREACH(id, nodes) {
                if (!topology_node(l->snapshot->topology, (unsigned)id)) {
                        setting_error(&l->errors, s ?: group, "%s: the topology has no node %d", name, id);
                        break;
                }
        }
        return 0;
}
