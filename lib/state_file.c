/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The state as text. A line is a record; its words are
 * separated by one space; a word that could hold anything is %XX-escaped, so a
 * line never needs quoting rules. The last line is "end": a file cut short is
 * seen as such.
 */

#include "state.h"

#include <stdio.h>

#include "parse.h"

#define STATE_VERSION 1U

/* ---- writing ---- */

static void put_escaped(FILE *f, const char *s) {
        for (; *s; s++) {
                unsigned char c = (unsigned char)*s;

                if (c <= 0x20 || c == 0x7f || c == '%')
                        (void)fprintf(f, "%%%02X", c);
                else
                        (void)fputc(c, f);
        }
}

static void put_text(FILE *f, const char *key, const char *value) {
        if (!value)
                return;
        (void)fprintf(f, " %s=", key);
        put_escaped(f, value);
}

static void put_u64(FILE *f, const char *key, uint64_t value, uint64_t unset) {
        if (value != unset)
                (void)fprintf(f, " %s=%llu", key, (unsigned long long)value);
}

static void put_owned(FILE *f, const Owned *o) {
        (void)fprintf(f, "own %s ", action_kind_to_string(o->kind));
        put_escaped(f, o->uuid[0] ? o->uuid : "-");
        (void)fprintf(f, " %u", o->index);
        put_text(f, "original", o->original);
        put_text(f, "ours", o->ours);
        put_text(f, "previous", o->previous);
        (void)fputc('\n', f);
}

/* One key of a record that holds numbers: where it is kept, and what "left out" means. */
typedef enum FieldType { FIELD_BOOL, FIELD_UNSIGNED, FIELD_U64 } FieldType;
typedef struct Field {
        const char *key;
        size_t offset;
        FieldType type;
        uint64_t unset;
} Field;

static const Field guest_fields[] = {
        { "start_time", offsetof(GuestMemo, start_time), FIELD_U64, 0 },
        { "placed_usec", offsetof(GuestMemo, placed_usec), FIELD_U64, 0 },
        { "moved_usec", offsetof(GuestMemo, moved_usec), FIELD_U64, 0 },
        { "moves", offsetof(GuestMemo, moves), FIELD_UNSIGNED, 0 },
        { "move_ended_usec", offsetof(GuestMemo, move_ended_usec), FIELD_U64, 0 },
        { "move_cause", offsetof(GuestMemo, move_cause), FIELD_UNSIGNED, 0 },
        { "move_from", offsetof(GuestMemo, move_from), FIELD_UNSIGNED, 0 },
        { "move_waits", offsetof(GuestMemo, move_waits), FIELD_BOOL, 0 },
        { "move_before", offsetof(GuestMemo, move_before), FIELD_U64, 0 },
        { "move_predicted", offsetof(GuestMemo, move_predicted), FIELD_U64, 0 },
        { "move_sum", offsetof(GuestMemo, move_sum), FIELD_U64, 0 },
        { "move_samples", offsetof(GuestMemo, move_samples), FIELD_UNSIGNED, 0 },
        { "move_sampled_usec", offsetof(GuestMemo, move_sampled_usec), FIELD_U64, 0 },
        { "unmovable_bytes", offsetof(GuestMemo, unmovable_bytes), FIELD_U64, 0 },
        { "pins_seen", offsetof(GuestMemo, pins_seen), FIELD_BOOL, 0 },
        { "user_pinned", offsetof(GuestMemo, user_pinned), FIELD_BOOL, 0 },
        { "balloon_taken", offsetof(GuestMemo, balloon_taken), FIELD_BOOL, 0 },
        { "balloon_set_usec", offsetof(GuestMemo, balloon_set_usec), FIELD_U64, 0 },
        { "balloon_target_bytes", offsetof(GuestMemo, balloon_target_bytes), FIELD_U64, 0 },
        { "balloon_seen_bytes", offsetof(GuestMemo, balloon_seen_bytes), FIELD_U64, 0 },
        { "balloon_progress_usec", offsetof(GuestMemo, balloon_progress_usec), FIELD_U64, 0 },
        { "balloon_stuck_until_usec", offsetof(GuestMemo, balloon_stuck_until_usec), FIELD_U64, 0 },
        { "balloon_stuck", offsetof(GuestMemo, balloon_stuck), FIELD_UNSIGNED, 0 },
        { "vcpus_taken", offsetof(GuestMemo, vcpus_taken), FIELD_BOOL, 0 },
        { "vcpus_target", offsetof(GuestMemo, vcpus_target), FIELD_UNSIGNED, 0 },
        { "vcpus_from", offsetof(GuestMemo, vcpus_from), FIELD_UNSIGNED, 0 },
        { "vcpus_back", offsetof(GuestMemo, vcpus_back), FIELD_BOOL, 0 },
        { "vcpus_asked_usec", offsetof(GuestMemo, vcpus_asked_usec), FIELD_U64, 0 },
        { "vcpus_changed_usec", offsetof(GuestMemo, vcpus_changed_usec), FIELD_U64, 0 },
        { "vcpus_trend", offsetof(GuestMemo, vcpus_trend), FIELD_UNSIGNED, 0 },
        { "vcpus_since_usec", offsetof(GuestMemo, vcpus_since_usec), FIELD_U64, 0 },
        { "vcpus_late", offsetof(GuestMemo, vcpus_late), FIELD_UNSIGNED, 0 },
        { "vcpus_tries", offsetof(GuestMemo, vcpus_tries), FIELD_UNSIGNED, 0 },
        { "vcpus_retry_usec", offsetof(GuestMemo, vcpus_retry_usec), FIELD_U64, 0 },
        { "major_faults", offsetof(GuestMemo, major_faults), FIELD_U64, UNKNOWN_U64 },
        { "swap_in_bytes", offsetof(GuestMemo, swap_in_bytes), FIELD_U64, UNKNOWN_U64 },
};
static const Field threshold_fields[] = {
        { "raw", offsetof(ThresholdMemo, raw), FIELD_BOOL, 0 },
        { "raw_since_usec", offsetof(ThresholdMemo, raw_since_usec), FIELD_U64, 0 },
        { "active", offsetof(ThresholdMemo, active), FIELD_BOOL, 0 },
        { "seen_usec", offsetof(ThresholdMemo, seen_usec), FIELD_U64, 0 },
        { "seen_value", offsetof(ThresholdMemo, seen_value), FIELD_U64, 0 },
        { "mean_fixed", offsetof(ThresholdMemo, mean_fixed), FIELD_U64, 0 },
        { "mean_known", offsetof(ThresholdMemo, mean_known), FIELD_BOOL, 0 },
};
static const Field host_fields[] = {
        { "ksm_on", offsetof(State, ksm_on), FIELD_BOOL, 0 },
        { "ksm_pages", offsetof(State, ksm_pages), FIELD_U64, 0 },
        { "ksm_stepped_usec", offsetof(State, ksm_stepped_usec), FIELD_U64, 0 },
        { "ksm_taken", offsetof(State, ksm_taken), FIELD_BOOL, 0 },
        { "kernel_wish", offsetof(State, kernel_wish), FIELD_UNSIGNED, 0 },
        { "kernel_wish_usec", offsetof(State, kernel_wish_usec), FIELD_U64, 0 },
        { "kernel_set_usec", offsetof(State, kernel_set_usec), FIELD_U64, 0 },
        { "kernel_taken", offsetof(State, kernel_taken), FIELD_BOOL, 0 },
        { "reclaiming", offsetof(State, reclaiming), FIELD_BOOL, 0 },
        { "overload_usec", offsetof(State, overload_usec), FIELD_U64, 0 },
};

static uint64_t field_get(const Field *field, const void *record) {
        const char *p = (const char *)record + field->offset;

        switch (field->type) {
        case FIELD_BOOL:
                return *(const bool *)(const void *)p;
        case FIELD_UNSIGNED:
                return *(const unsigned *)(const void *)p;
        case FIELD_U64:
                break;
        }
        return *(const uint64_t *)(const void *)p;
}

/* -ERANGE when the field cannot hold @value. */
static int field_set(const Field *field, void *record, uint64_t value) {
        char *p = (char *)record + field->offset;

        switch (field->type) {
        case FIELD_BOOL:
                if (value > 1)
                        return -ERANGE;
                *(bool *)(void *)p = value == 1;
                return 0;
        case FIELD_UNSIGNED:
                if (value > UINT32_MAX)
                        return -ERANGE;
                *(unsigned *)(void *)p = (unsigned)value;
                return 0;
        case FIELD_U64:
                break;
        }
        *(uint64_t *)(void *)p = value;
        return 0;
}

static void put_fields(FILE *f, const Field *fields, size_t n, const void *record) {
        for (size_t i = 0; i < n; i++)
                put_u64(f, fields[i].key, field_get(&fields[i], record), fields[i].unset);
        (void)fputc('\n', f);
}

/* A set of nodes or CPUs of a guest's record; left out when it is empty. */
static const struct { const char *key, *what; size_t offset; } set_fields[] = {
        { "nodes", "nodes", offsetof(GuestMemo, nodes) },
        { "cpus", "CPUs", offsetof(GuestMemo, cpus) },
        { "memory_only", "nodes", offsetof(GuestMemo, memory_only) },
};

static int put_sets(FILE *f, const GuestMemo *g) {
        for (size_t i = 0; i < ELEMENTSOF(set_fields); i++) {
                _cleanup_free_ char *text = NULL;
                int r;

                r = idset_format((const IdSet *)(const void *)((const char *)g + set_fields[i].offset), &text);
                if (r < 0)
                        return r;
                if (*text)
                        put_text(f, set_fields[i].key, text);
        }
        return 0;
}

static int put_guest(FILE *f, const GuestMemo *g) {
        int r;

        (void)fputs("guest ", f);
        put_escaped(f, g->uuid);
        r = put_sets(f, g);
        if (r < 0)
                return r;
        for (size_t i = 0; i < g->n_cells; i++)
                (void)fprintf(f, "%s%u", i == 0 ? " cells=" : ",", g->cell_nodes[i]);
        put_fields(f, guest_fields, ELEMENTSOF(guest_fields), g);
        return 0;
}

static int put_state(FILE *f, const State *s) {
        int r;

        (void)fprintf(f, "kvmtuned-state %u\n", STATE_VERSION);
        if (s->boot_id) {
                (void)fputs("boot ", f);
                put_escaped(f, s->boot_id);
                (void)fputc('\n', f);
        }
        for (size_t i = 0; i < s->n_owned; i++)
                put_owned(f, &s->owned[i]);
        for (size_t i = 0; i < s->n_guests; i++) {
                r = put_guest(f, &s->guests[i]);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < s->n_thresholds; i++) {
                (void)fprintf(f, "threshold %zu", i);
                put_fields(f, threshold_fields, ELEMENTSOF(threshold_fields), &s->thresholds[i]);
        }
        for (size_t i = 0; i < s->n_guest_thresholds; i++) {
                (void)fputs("guest-threshold ", f);
                put_escaped(f, s->guest_thresholds[i].uuid);
                (void)fprintf(f, " %u", s->guest_thresholds[i].index);
                put_fields(f, threshold_fields, ELEMENTSOF(threshold_fields), &s->guest_thresholds[i].memo);
        }
        (void)fputs("host", f);
        put_fields(f, host_fields, ELEMENTSOF(host_fields), s);
        (void)fputs("end\n", f);
        return 0;
}

int state_format(const State *s, char **ret) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);
        int r;

        if (!f)
                return -ENOMEM;
        r = put_state(f, s);
        if (fclose(f) != 0 && r >= 0)
                r = -ENOMEM;
        if (r < 0)
                return r;
        *ret = TAKE_PTR(text);
        return 0;
}

/* ---- reading ---- */

#define THRESHOLDS_MAX 65536U

typedef struct Reader {
        State *state;
        unsigned line;
        char *words;            /* what is left of the line */
        bool ended;
        char *error;
} Reader;

static int _printf_(2, 3) fault(Reader *reader, const char *format, ...) {
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
        r = strprintf_to(&reader->error, "line %u: %s", reader->line, text);
        return r < 0 ? r : -EBADMSG;
}

static int hex_digit(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -EINVAL;
}

/* In place. -EINVAL: not something put_escaped() writes. */
static int unescape(char *s) {
        char *to = s;

        for (const char *p = s; *p; p++) {
                unsigned char c = (unsigned char)*p;

                if (c <= 0x20 || c == 0x7f)
                        return -EINVAL;
                if (c == '%') {
                        int high = hex_digit(p[1]), low = high < 0 ? high : hex_digit(p[2]);

                        if (high < 0 || low < 0 || high + low == 0)
                                return -EINVAL;
                        c = (unsigned char)(high * 16 + low);
                        p += 2;
                }
                *to++ = (char)c;
        }
        *to = 0;
        return 0;
}

/* The next word of the line; NULL at its end. */
static char *next_word(Reader *reader) {
        return strsep(&reader->words, " ");
}

static int need_word(Reader *reader, const char *what, char **ret) {
        char *word = next_word(reader);

        if (!word || !*word)
                return fault(reader, "%s is missing", what);
        if (unescape(word) < 0)
                return fault(reader, "%s is not properly escaped", what);
        *ret = word;
        return 0;
}

static int need_unsigned(Reader *reader, const char *what, unsigned *ret) {
        char *word;
        int r;

        r = need_word(reader, what, &word);
        if (r < 0)
                return r;
        if (parse_unsigned(word, ret) < 0)
                return fault(reader, "%s is not a number from 0 to 4294967295", what);
        return 0;
}

static int need_uuid(Reader *reader, char **ret) {
        char *uuid;
        int r;

        r = need_word(reader, "the UUID", &uuid);
        if (r < 0)
                return r;
        if (strlen(uuid) >= UUID_TEXT_SIZE)
                return fault(reader, "the UUID is too long");
        *ret = uuid;
        return 0;
}

/* The next key=value. Returns 0 at the end of the line, 1 when there is one. */
static int next_pair(Reader *reader, char **ret_key, char **ret_value) {
        char *key = next_word(reader), *value;

        if (!key)
                return 0;
        value = strchr(key, '=');
        if (!value || value == key)
                return fault(reader, "this is not key=value: \"%s\"", key);
        *value++ = 0;
        if (unescape(value) < 0)
                return fault(reader, "the value of %s is not properly escaped", key);
        *ret_key = key;
        *ret_value = value;
        return 1;
}

static int set_field(Reader *reader, const Field *fields, size_t n, void *record, const char *key,
                     const char *value) {
        for (size_t i = 0; i < n; i++) {
                uint64_t number;

                if (!streq(fields[i].key, key))
                        continue;
                if (parse_u64(value, &number) < 0 || field_set(&fields[i], record, number) < 0)
                        return fault(reader, "%s is not a number in its range: \"%s\"", key, value);
                return 0;
        }
        return 0;
}

static int read_fields(Reader *reader, const Field *fields, size_t n, void *record) {
        char *key, *value = NULL;
        int r;

        while ((r = next_pair(reader, &key, &value)) > 0) {
                r = set_field(reader, fields, n, record, key, value);
                if (r < 0)
                        return r;
        }
        return r;
}

static int read_boot(Reader *reader) {
        char *id;
        int r;

        r = need_word(reader, "the boot id", &id);
        if (r < 0)
                return r;
        return strdup_to(&reader->state->boot_id, id);
}

static int read_owned(Reader *reader) {
        Owned o = { 0 };
        char *word = NULL, *uuid = NULL, *key, *value;
        int r;

        r = need_word(reader, "the kind", &word);
        if (r < 0)
                return r;
        o.kind = action_kind_from_string(word);
        if ((int)o.kind < 0 || o.kind == ACTION_MOVE_MEMORY)
                return fault(reader, "not a kind of setting: \"%s\"", word);
        r = need_uuid(reader, &uuid);
        if (r < 0)
                return r;
        if (!streq(uuid, "-"))
                memcpy(o.uuid, uuid, strlen(uuid) + 1);
        r = need_unsigned(reader, "the index", &o.index);
        if (r < 0)
                return r;
        if (o.kind == ACTION_SET_KSM && o.index >= _KSM_KNOB_MAX)
                return fault(reader, "there is no KSM setting %u", o.index);
        if (o.kind == ACTION_SET_KERNEL && o.index >= _KERNEL_KNOB_MAX)
                return fault(reader, "there is no kernel setting %u", o.index);
        while ((r = next_pair(reader, &key, &value)) > 0) {
                if (streq(key, "original"))
                        o.original = value;
                else if (streq(key, "ours"))
                        o.ours = value;
                else if (streq(key, "previous"))
                        o.previous = value;
        }
        if (r < 0)
                return r;
        if (!o.original || !o.ours)
                return fault(reader, "original= and ours= are needed");
        r = state_put_owned(reader->state, &o);
        return r == -EEXIST ? fault(reader, "this setting is recorded twice") : r;
}

/* Returns 0 when @key is no set of numbers, 1 when it was read. */
static int read_set(Reader *reader, GuestMemo *g, const char *key, const char *value) {
        for (size_t i = 0; i < ELEMENTSOF(set_fields); i++) {
                if (!streq(key, set_fields[i].key))
                        continue;
                if (idset_parse(value, (IdSet *)(void *)((char *)g + set_fields[i].offset)) < 0)
                        return fault(reader, "%s is not a list of %s: \"%s\"", key, set_fields[i].what, value);
                return 1;
        }
        return 0;
}

/* In the order of the cells, which a set would lose. */
static int read_cells(Reader *reader, GuestMemo *g, char *value) {
        char *node;

        g->n_cells = 0;
        while ((node = strsep(&value, ","))) {
                unsigned number;

                if (g->n_cells == GUEST_CELLS_MAX || parse_unsigned(node, &number) < 0 || number >= IDSET_MAX)
                        return fault(reader, "cells is not a node for each of at most %u cells", GUEST_CELLS_MAX);
                g->cell_nodes[g->n_cells++] = (uint16_t)number;
        }
        return 1;
}

static int read_guest(Reader *reader) {
        GuestMemo *g;
        char *key, *value = NULL;
        int r;

        r = need_uuid(reader, &value);
        if (r < 0)
                return r;
        if (state_find_guest(reader->state, value))
                return fault(reader, "this guest is recorded twice");
        r = state_guest(reader->state, value, &g);
        if (r < 0)
                return r;
        while ((r = next_pair(reader, &key, &value)) > 0) {
                r = streq(key, "cells") ? read_cells(reader, g, value) : read_set(reader, g, key, value);
                if (r > 0)
                        continue;
                if (r < 0)
                        return r;
                r = set_field(reader, guest_fields, ELEMENTSOF(guest_fields), g, key, value);
                if (r < 0)
                        return r;
        }
        return r;
}

static int read_threshold(Reader *reader) {
        unsigned index = 0;
        int r;

        r = need_unsigned(reader, "the threshold's number", &index);
        if (r < 0)
                return r;
        if (index >= THRESHOLDS_MAX)
                return fault(reader, "the threshold's number is above %u", THRESHOLDS_MAX - 1);
        r = state_set_thresholds(reader->state, (size_t)index + 1);
        if (r < 0)
                return r;
        return read_fields(reader, threshold_fields, ELEMENTSOF(threshold_fields),
                           &reader->state->thresholds[index]);
}

static int read_guest_threshold(Reader *reader) {
        ThresholdMemo *memo;
        unsigned index = 0;
        char *uuid = NULL;
        int r;

        r = need_uuid(reader, &uuid);
        if (r >= 0)
                r = need_unsigned(reader, "the threshold's number", &index);
        if (r < 0)
                return r;
        if (index >= THRESHOLDS_MAX)
                return fault(reader, "the threshold's number is above %u", THRESHOLDS_MAX - 1);
        r = state_guest_threshold(reader->state, uuid, index, &memo);
        if (r < 0)
                return r;
        return read_fields(reader, threshold_fields, ELEMENTSOF(threshold_fields), memo);
}

static int read_host(Reader *reader) {
        return read_fields(reader, host_fields, ELEMENTSOF(host_fields), reader->state);
}

static int read_end(Reader *reader) {
        if (next_word(reader))
                return fault(reader, "nothing may follow \"end\"");
        reader->ended = true;
        return 0;
}

static int read_record(Reader *reader) {
        static const struct { const char *name; int (*read)(Reader *); } records[] = {
                { "boot", read_boot },           { "own", read_owned }, { "guest", read_guest },
                { "threshold", read_threshold }, { "guest-threshold", read_guest_threshold },
                { "host", read_host },           { "end", read_end },
        };
        const char *name;

        if (reader->ended)
                return fault(reader, "nothing may follow \"end\"");
        name = next_word(reader);
        for (size_t i = 0; i < ELEMENTSOF(records); i++)
                if (streq(name, records[i].name))
                        return records[i].read(reader);
        return fault(reader, "not a record: \"%s\"", name);
}

static int read_version(Reader *reader) {
        const char *number = startswith(reader->words, "kvmtuned-state ");
        unsigned version;

        if (!number || parse_unsigned(number, &version) < 0 || version == 0)
                return fault(reader, "this is not a state file of kvmtuned");
        if (version > STATE_VERSION) {
                (void)fault(reader, "written by a newer version of kvmtuned");
                return -EPROTO;
        }
        return 0;
}

/* All lines of @text, which is cut up. A last line without its newline was cut short. */
static int read_lines(Reader *reader, char *text) {
        int r;

        for (char *end; *text; text = end + 1) {
                reader->line++;
                end = strchr(text, '\n');
                if (!end)
                        return fault(reader, "the file is cut short");
                *end = 0;
                reader->words = text;
                r = reader->line == 1 ? read_version(reader) : read_record(reader);
                if (r < 0)
                        return r;
        }
        reader->line++;
        return reader->ended ? 0 : fault(reader, "the file is cut short");
}

static void mark_adopted(State *s) {
        s->ksm_adopted = s->kernel_adopted = true;
        for (size_t i = 0; i < s->n_guests; i++)
                s->guests[i].adopted = true;
}

int state_parse(const char *text, State **ret, char **ret_error) {
        _cleanup_(state_freep) State *s = NULL;
        _cleanup_free_ char *copy = NULL, *error = NULL;
        Reader reader = { 0 };
        int r;

        r = strdup_to(&copy, text);
        if (r < 0)
                return r;
        r = state_new(&s);
        if (r < 0)
                return r;
        reader.state = s;
        r = read_lines(&reader, copy);
        error = reader.error;
        mark_adopted(s);
        if (r >= 0 || r == -EBADMSG)
                *ret = TAKE_PTR(s);
        if (r == -EBADMSG || r == -EPROTO)
                *ret_error = TAKE_PTR(error);
        return r;
}
