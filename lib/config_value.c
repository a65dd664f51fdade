/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config_value.h"

#include "parse.h"

static int format_rate(uint64_t bytes_per_sec, char **ret) {
        _cleanup_free_ char *size = NULL;
        char *text = NULL;
        int r;

        r = format_size(bytes_per_sec, &size);
        if (r < 0)
                return r;
        r = strprintf_to(&text, "%s/s", size);
        if (r < 0)
                return r;
        *ret = text;
        return 0;
}

static int format_uint(uint64_t v, char **ret) {
        char *text = NULL;
        int r;

        r = strprintf_to(&text, "%llu", (unsigned long long)v);
        if (r < 0)
                return r;
        *ret = text;
        return 0;
}

static int format_number(KeyType type, uint64_t v, char **ret) {
        switch (type) {
        case TYPE_DURATION:
                return format_duration(v, ret);
        case TYPE_RATE:
                return format_rate(v, ret);
        case TYPE_PERMYRIAD:
                return format_permyriad(v, ret);
        case TYPE_AMOUNT:
                return format_size(v, ret);
        default:
                return format_uint(v, ret);
        }
}

int config_value_format(Key key, const SettingValue *v, char **ret) {
        const KeyInfo *info = &config_keys[key];
        const char *fixed = NULL;
        char *text = NULL;
        int r;

        if (info->type == TYPE_BOOL)
                fixed = v->number ? "true" : "false";
        else if (info->type == TYPE_ENUM)
                fixed = info->choices[v->number];
        else if (info->type == TYPE_STRING || info->type == TYPE_CPUSET)
                fixed = v->text;
        else if (v->keep)
                fixed = "keep";
        else if (v->automatic)
                fixed = "auto";
        else
                return v->percent ? format_permyriad(v->number, ret) : format_number(info->type, v->number, ret);

        r = strdup_to(&text, fixed);
        if (r < 0)
                return r;
        *ret = text;
        return 0;
}

/* "a", "b" or "c" */
static int allowed_choices(const char *const *choices, char **ret) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = strprintf_to(&text, "\"%s\"", choices[0]);
        for (size_t i = 1; r >= 0 && choices[i]; i++)
                r = strprintf_to(&text, "%s%s\"%s\"", text, choices[i + 1] ? ", " : " or ", choices[i]);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(text);
        return 0;
}

static const char *type_noun(KeyType type) {
        static const char *const nouns[_TYPE_MAX] = {
                [TYPE_BOOL] = "true or false", [TYPE_ENUM] = "one of these words",
                [TYPE_STRING] = "a string",    [TYPE_UINT] = "a number",
                [TYPE_DURATION] = "a time",    [TYPE_RATE] = "a rate",
                [TYPE_PERMYRIAD] = "a percentage", [TYPE_AMOUNT] = "a percentage or a size",
                [TYPE_CPUSET] = "a list of CPU numbers",
        };

        return nouns[type];
}

/* `"keep" or ` where that stands before a quantity. */
static const char *or_keep(const KeyInfo *info) {
        return info->allow_keep ? "\"keep\" or " : "";
}

/* "a time from 1 s to 1 h, in whole seconds" */
static int allowed_range(const KeyInfo *info, char **ret) {
        _cleanup_free_ char *low = NULL, *high = NULL, *text = NULL;
        const char *tail = "";
        int r;

        r = format_number(info->type, info->minimum, &low);
        if (r >= 0)
                r = format_number(info->type, info->maximum, &high);
        if (r < 0)
                return r;
        if (info->multiple == USEC_PER_SEC)
                tail = " in whole seconds";
        else if (info->multiple == USEC_PER_MSEC)
                tail = " in whole milliseconds";
        /* "0 us" would be odd next to "10 s" */
        r = strprintf_to(&text, "%s%s from %s to %s%s", or_keep(info), type_noun(info->type),
                         info->minimum == 0 && info->type == TYPE_DURATION ? "0" : low, high, tail);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(text);
        return 0;
}

/* `a percentage ("50 %") or a size ("512 MiB")` */
static int allowed_amount(const KeyInfo *info, char **ret) {
        char *text = NULL;
        int r;

        if (info->size_only)
                r = strprintf_to(&text, "a size (\"2 MiB\")%s", info->allow_auto ? " or \"auto\"" : "");
        else
                r = strprintf_to(&text, "%sa percentage (\"50 %%\")%s a size (\"512 MiB\")%s", or_keep(info),
                         info->allow_auto ? "," : " or", info->allow_auto ? " or \"auto\"" : "");
        if (r < 0)
                return r;
        *ret = text;
        return 0;
}

static uint64_t percent_maximum(const KeyInfo *info) {
        return info->percent_maximum ?: PERMYRIAD_FULL;
}

/* `a percentage up to 100 % or a size from 1 MiB to 1 PiB` */
static int allowed_amount_range(const KeyInfo *info, char **ret) {
        _cleanup_free_ char *low = NULL, *high = NULL;
        char *text = NULL;
        int r;

        r = format_size(info->minimum, &low);
        if (r >= 0)
                r = format_size(info->maximum, &high);
        if (r >= 0 && info->size_only)
                r = strprintf_to(&text, "a power of two from %s to %s", low, high);
        else if (r >= 0)
                r = strprintf_to(&text, "%sa percentage %s %llu %% or a size from %s to %s", or_keep(info),
                                 info->minimum > 0 ? "above 0 and up to" : "up to",
                                 (unsigned long long)percent_maximum(info) / 100, low, high);
        if (r < 0)
                return r;
        *ret = text;
        return 0;
}

int config_value_allowed(Key key, char **ret) {
        const KeyInfo *info = &config_keys[key];
        char *text = NULL;
        int r;

        switch (info->type) {
        case TYPE_ENUM:
                return allowed_choices(info->choices, ret);
        case TYPE_AMOUNT:
                return allowed_amount(info, ret);
        case TYPE_UINT:
        case TYPE_DURATION:
        case TYPE_RATE:
        case TYPE_PERMYRIAD:
                return allowed_range(info, ret);
        case TYPE_STRING:
                r = strprintf_to(&text, "%s of %llu to %llu characters",
                                 info->absolute_path ? "a path that begins with a slash,"
                                 : info->uri         ? "a local libvirt URI (\"qemu:///system\")"
                                                     : "a string",
                                 (unsigned long long)info->minimum, (unsigned long long)info->maximum);
                break;
        case TYPE_CPUSET:
                r = strprintf_to(&text, "a list of CPU numbers from 0 to %u (\"0-1,8\")", IDSET_MAX - 1);
                break;
        default:
                r = strprintf_to(&text, "%s", type_noun(info->type));
        }
        if (r < 0)
                return r;
        *ret = text;
        return 0;
}

static int parse_choice(const char *const *choices, const char *text, uint64_t *ret) {
        for (size_t i = 0; choices[i]; i++)
                if (streq(choices[i], text)) {
                        *ret = i;
                        return 0;
                }
        return -EINVAL;
}

static int parse_bool(const char *text, uint64_t *ret) {
        bool yes = streq(text, "true");

        if (!yes && !streq(text, "false"))
                return -EINVAL;
        *ret = yes;
        return 0;
}

static bool is_in_range(const KeyInfo *info, uint64_t bytes) {
        return bytes >= info->minimum && bytes <= info->maximum && !(info->size_only && (bytes & (bytes - 1)) != 0);
}

static int parse_amount(const KeyInfo *info, const char *text, SettingValue *v) {
        int r;

        if (info->allow_auto && streq(text, "auto")) {
                v->automatic = true;
                return 0;
        }
        /* The size first: "0" without unit is a size. */
        r = parse_size(text, &v->number);
        if (r == -ERANGE)
                return r;
        if (r >= 0)
                return is_in_range(info, v->number) ? 0 : -ERANGE;
        r = info->size_only ? -EINVAL : parse_permyriad(text, &v->number);
        if (r < 0)
                return r;
        v->percent = true;
        if (v->number > percent_maximum(info) || (v->number == 0 && info->minimum > 0))
                return -ERANGE;
        return 0;
}

static int parse_cpuset(const char *text, SettingValue *v) {
        IdSet set;

        v->text = text;
        return idset_parse(text, &set);
}

static int parse_string(const KeyInfo *info, const char *text, SettingValue *v) {
        size_t n = strlen(text);

        v->text = text;
        if (info->absolute_path && n > 0 && text[0] != '/')
                return -EINVAL;
        if (n < info->minimum || n > info->maximum)
                return -ERANGE;
        return info->uri && config_uri_problem(text) ? -EINVAL : 0;
}

static int parse_number(const KeyInfo *info, const char *text, uint64_t *ret) {
        uint64_t v;
        int r;

        if (info->type == TYPE_DURATION)
                r = parse_duration(text, &v);
        else if (info->type == TYPE_RATE)
                r = parse_rate(text, &v);
        else if (info->type == TYPE_PERMYRIAD)
                r = parse_permyriad(text, &v);
        else
                r = parse_u64(text, &v);
        if (r < 0)
                return r;
        if (v < info->minimum || v > info->maximum || (info->multiple && v % info->multiple != 0))
                return -ERANGE;
        *ret = v;
        return 0;
}

static int value_parse(const KeyInfo *info, const char *text, SettingValue *v) {
        if (info->allow_keep && streq(text, "keep")) {
                v->keep = true;
                return 0;
        }
        switch (info->type) {
        case TYPE_BOOL:
                return parse_bool(text, &v->number);
        case TYPE_ENUM:
                return parse_choice(info->choices, text, &v->number);
        case TYPE_STRING:
                return parse_string(info, text, v);
        case TYPE_CPUSET:
                return parse_cpuset(text, v);
        case TYPE_AMOUNT:
                return parse_amount(info, text, v);
        default:
                return parse_number(info, text, &v->number);
        }
}

/* A number (with a sign or a point, perhaps) and nothing behind it. */
static bool is_bare_number(const char *text) {
        size_t n;

        text += strspn(text, " \t");
        n = strspn(text, "0123456789.");
        return n > 0 && text[n + strspn(text + n, " \t")] == '\0';
}

static const char *describe_problem(const KeyInfo *info, const char *text, int error) {
        bool wants_unit = info->type != TYPE_UINT && info->type != TYPE_CPUSET && info->type != TYPE_ENUM &&
                          info->type != TYPE_STRING;

        if (error == -ERANGE)
                return "is out of range";
        if (info->uri)
                return config_uri_problem(text);
        if (text[strspn(text, " \t")] == '-' && info->type != TYPE_ENUM && info->type != TYPE_CPUSET)
                return "is negative";
        if (wants_unit && is_bare_number(text))
                return "has no unit";
        if (info->type == TYPE_ENUM)
                return "is not known";
        return "is malformed";
}

int config_value_parse(Key key, const char *text, SettingValue *ret, char **ret_problem) {
        const KeyInfo *info = &config_keys[key];
        _cleanup_free_ char *allowed = NULL;
        SettingValue v = { 0 };
        char *problem = NULL;
        int r, q;

        r = value_parse(info, text, &v);
        if (r >= 0) {
                *ret = v;
                return 0;
        }
        if (r == -ERANGE && info->type == TYPE_AMOUNT)
                q = allowed_amount_range(info, &allowed);
        else
                q = config_value_allowed(key, &allowed);
        if (q >= 0)
                q = strprintf_to(&problem, "\"%s\" %s; %s is needed", text, describe_problem(info, text, r), allowed);
        if (q < 0)
                return q;
        *ret_problem = problem;
        return r;
}
