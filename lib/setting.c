/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "setting.h"

#include <stdio.h>

#define ERRORS_KEPT 50U
#define MESSAGE_MAX 600

struct SettingErrorEntry {
        char *file;
        unsigned line;
        size_t length;          /* of its line in text */
        bool wrapped;           /* see setting_mark_wrapped() */
};

void setting_errors_done(SettingErrors *e) {
        for (size_t i = 0; i < e->n_entries; i++)
                free(e->entries[i].file);
        free(e->entries);
        free(e->text);
        *e = (SettingErrors){ 0 };
}

/* After the last one of the same file at the same line or before; a new file comes last. */
static size_t find_place(const SettingErrors *e, const char *file, unsigned line) {
        size_t place = e->n_entries;
        bool seen = false;

        for (size_t i = 0; i < e->n_entries; i++) {
                if (!streq(e->entries[i].file, file))
                        continue;
                if (!seen || e->entries[i].line <= line)
                        place = e->entries[i].line <= line ? i + 1 : i;
                seen = true;
        }
        return place;
}

static int insert_text(SettingErrors *e, size_t place, const char *line) {
        size_t offset = 0, length = e->text ? strlen(e->text) : 0, added = strlen(line);
        char *text;

        for (size_t i = 0; i < place; i++)
                offset += e->entries[i].length;
        text = realloc(e->text, length + added + 1);
        if (!text)
                return -ENOMEM;
        memmove(text + offset + added, text + offset, length - offset);
        memcpy(text + offset, line, added);
        text[length + added] = '\0';
        e->text = text;
        return 0;
}

/* Takes @line over as the next entry's text. */
static int add_entry(SettingErrors *e, const char *file, unsigned line, const char *text) {
        _cleanup_free_ char *copy = NULL;
        size_t place = find_place(e, file, line);
        int r;

        r = strdup_to(&copy, file);
        if (r < 0)
                return r;
        r = GROW_ARRAY(e->entries, e->entries_capacity, e->n_entries);
        if (r < 0)
                return r;
        r = insert_text(e, place, text);
        if (r < 0)
                return r;
        memmove(e->entries + place + 1, e->entries + place, (e->n_entries - place) * sizeof(*e->entries));
        e->entries[place] = (SettingErrorEntry){ .file = TAKE_PTR(copy), .line = line, .length = strlen(text) };
        e->n_entries++;
        return 0;
}

/* One line: control characters of the file's own text must not forge another. */
static void make_one_line(char *text) {
        for (; *text; text++)
                if ((unsigned char)*text < ' ' || *text == 0x7f)
                        *text = '?';
}

_printf_(4, 0)
static int add_error(SettingErrors *e, const char *file, unsigned line, const char *format, va_list ap) {
        _cleanup_free_ char *text = NULL;
        char message[MESSAGE_MAX];
        int r;

        (void)vsnprintf(message, sizeof(message), format, ap);
        make_one_line(message);
        if (line > 0)
                r = strprintf_to(&text, "%s:%u: %s\n", file, line, message);
        else
                r = strprintf_to(&text, "%s: %s\n", file, message);
        if (r < 0)
                return r;
        return add_entry(e, file, line, text);
}

_printf_(4, 0)
static void collect(SettingErrors *e, const char *file, unsigned line, const char *format, va_list ap) {
        size_t length = e->text ? strlen(e->text) : 0;
        int r = 0;

        if (e->n++ < ERRORS_KEPT)
                r = add_error(e, file, line, format, ap);
        else if (e->n == ERRORS_KEPT + 1) {
                static const char more[] = "more errors follow; these are the first 50\n";
                char *text = realloc(e->text, length + sizeof(more));

                if (text) {
                        memcpy(text + length, more, sizeof(more));
                        e->text = text;
                } else
                        r = -ENOMEM;
        }
        if (r < 0)
                e->out_of_memory = true;
}

void setting_error_at(SettingErrors *e, const char *file, unsigned line, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        collect(e, file, line, format, ap);
        va_end(ap);
}

int setting_file(const SettingErrors *e, const config_setting_t *s, char **ret) {
        const char *source = config_setting_source_file(s);
        char *text = NULL;
        int r;

        if (!source)
                r = strdup_to(&text, e->name ? e->name : "(text)");
        else if (e->include_dir && *e->include_dir)
                r = strprintf_to(&text, "%s/%s", streq(e->include_dir, "/") ? "" : e->include_dir, source);
        else
                r = strdup_to(&text, source);
        if (r < 0)
                return r;
        *ret = text;
        return 0;
}

static bool is_integer(const config_setting_t *s) {
        return config_setting_type(s) == CONFIG_TYPE_INT || config_setting_type(s) == CONFIG_TYPE_INT64;
}

void setting_mark_wrapped(SettingErrors *e, const char *file, unsigned line) {
        for (size_t i = 0; i < e->n_entries; i++)
                if (e->entries[i].line == line && streq(e->entries[i].file, file))
                        e->entries[i].wrapped = true;
}

static bool is_wrapped(const SettingErrors *e, const char *file, unsigned line) {
        for (size_t i = 0; i < e->n_entries; i++)
                if (e->entries[i].wrapped && e->entries[i].line == line && streq(e->entries[i].file, file))
                        return true;
        return false;
}

void setting_error(SettingErrors *e, const config_setting_t *s, const char *format, ...) {
        _cleanup_free_ char *file = NULL;
        unsigned line = config_setting_source_line(s);
        va_list ap;

        if (setting_file(e, s, &file) < 0) {
                e->n++;
                e->out_of_memory = true;
                return;
        }
        if (is_integer(s) && is_wrapped(e, file, line))
                return;
        va_start(ap, format);
        collect(e, file, line, format, ap);
        va_end(ap);
}

int setting_describe(const config_setting_t *s, char **ret) {
        char *text = NULL;
        int r;

        switch (config_setting_type(s)) {
        case CONFIG_TYPE_STRING:
                r = strprintf_to(&text, "the string \"%s\"", config_setting_get_string(s));
                break;
        case CONFIG_TYPE_INT:
        case CONFIG_TYPE_INT64:
                r = strprintf_to(&text, "the integer %lld", config_setting_get_int64(s));
                break;
        case CONFIG_TYPE_FLOAT:
                r = strprintf_to(&text, "the number %g", config_setting_get_float(s));
                break;
        case CONFIG_TYPE_BOOL:
                r = strdup_to(&text, config_setting_get_bool(s) ? "true" : "false");
                break;
        case CONFIG_TYPE_GROUP:
                r = strdup_to(&text, "a group { ... }");
                break;
        case CONFIG_TYPE_ARRAY:
                r = strdup_to(&text, "an array [ ... ]");
                break;
        case CONFIG_TYPE_LIST:
                r = strdup_to(&text, "a list ( ... )");
                break;
        default:
                r = strdup_to(&text, "nothing");
        }
        if (r < 0)
                return r;
        *ret = text;
        return 0;
}

#define NAME_MAX_COMPARED 64U

/* Levenshtein's distance, one row at a time; UINT_MAX for names too long to be typing errors. */
static unsigned edit_distance(const char *a, const char *b) {
        unsigned row[NAME_MAX_COMPARED + 1];
        size_t n = strlen(b);

        if (n > NAME_MAX_COMPARED || strlen(a) > NAME_MAX_COMPARED)
                return UINT32_MAX;
        for (unsigned j = 0; j <= n; j++)
                row[j] = j;
        for (unsigned i = 1; a[i - 1]; i++) {
                unsigned diagonal = row[0];

                row[0] = i;
                for (size_t j = 1; j <= n; j++) {
                        unsigned changed = diagonal + (a[i - 1] != b[j - 1]);

                        diagonal = row[j];
                        row[j] = MIN(changed, MIN(row[j], row[j - 1]) + 1);
                }
        }
        return row[n];
}

const char *setting_nearest(const char *name, const char *const *known, size_t n) {
        unsigned best = 3;
        const char *nearest = NULL;

        for (size_t i = 0; i < n; i++) {
                unsigned d = known[i] ? edit_distance(name, known[i]) : UINT32_MAX;

                if (d < best && d < strlen(name)) {
                        best = d;
                        nearest = known[i];
                }
        }
        return nearest;
}

int setting_suggest(const char *name, const char *const *known, size_t n, char **ret) {
        const char *nearest = setting_nearest(name, known, n);
        char *text = NULL;
        int r;

        if (nearest)
                r = strprintf_to(&text, "; did you mean \"%s\"?", nearest);
        else
                r = strdup_to(&text, "");
        if (r < 0)
                return r;
        *ret = text;
        return 0;
}

int setting_list(const char *const *known, size_t n, char **ret) {
        _cleanup_free_ char *text = NULL;
        const char *last = NULL;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++) {
                if (!known[i])
                        continue;
                if (last)
                        r = strprintf_to(&text, "%s%s%s", text ? text : "", text ? ", " : "", last);
                last = known[i];
        }
        if (r >= 0)
                r = strprintf_to(&text, "%s%s%s", text ? text : "", text ? " or " : "", last ? last : "nothing");
        if (r < 0)
                return r;
        *ret = TAKE_PTR(text);
        return 0;
}

void setting_unknown(SettingErrors *e, const config_setting_t *s, const char *where, const char *const *known,
                     size_t n) {
        const char *name = config_setting_name(s), *nearest = name ? setting_nearest(name, known, n) : NULL;
        _cleanup_free_ char *list = NULL;

        if (!name)
                name = "";
        if (nearest)
                setting_error(e, s, "unknown key \"%s\"%s%s; did you mean \"%s\"?", name, where ? " in " : "",
                              where ? where : "", nearest);
        else if (setting_list(known, n, &list) < 0)
                e->out_of_memory = true;
        else
                setting_error(e, s, "unknown key \"%s\"%s%s; %s is allowed", name, where ? " in " : "",
                              where ? where : "", list);
}
