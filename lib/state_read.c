/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The state from its text; state_write.c has the form. Strict: what is not understood ends the reading there. */

#include <stdio.h>

#include "parse.h"
#include "state_fields.h"
#include "state_memo.h"

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

/* In place. -EINVAL: not something that is written (state_write.c). */
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

static int set_field(Reader *reader, const StateFields *fields, void *record, const char *key, const char *value) {
        for (size_t i = 0; i < fields->n; i++) {
                const StateField *field = &fields->fields[i];
                uint64_t number;

                if (!streq(field->key, key))
                        continue;
                if (parse_u64(value, &number) < 0 || state_field_set(field, record, number) < 0)
                        return fault(reader, "%s is not a number in its range: \"%s\"", key, value);
                return 0;
        }
        return 0;
}

static int read_fields(Reader *reader, const StateFields *fields, void *record) {
        char *key, *value = NULL;
        int r;

        while ((r = next_pair(reader, &key, &value)) > 0) {
                r = set_field(reader, fields, record, key, value);
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
        if (o.kind == ACTION_SET_MEMTUNE && o.index >= _MEMTUNE_KNOB_MAX)
                return fault(reader, "there is no memory limit %u", o.index);
        if (o.kind == ACTION_SET_THP && o.index >= _THP_KNOB_MAX)
                return fault(reader, "there is no setting %u of transparent huge pages", o.index);
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
        for (size_t i = 0; i < STATE_SETS; i++) {
                IdSet set;
                int r;

                if (!streq(key, state_sets[i].key))
                        continue;
                if (idset_parse(value, &set) < 0)
                        return fault(reader, "%s is not a list of %s: \"%s\"", key, state_sets[i].what, value);
                r = state_sets[i].set(reader->state, g, &set);
                return r < 0 ? r : 1;
        }
        return 0;
}

/* In the order of the cells, which a set would lose. */
static int read_cells(Reader *reader, GuestMemo *g, char *value) {
        char *node;
        int r;

        g->n_cells = 0;
        r = memo_make_cell_nodes(g);
        if (r < 0)
                return r;
        while ((node = strsep(&value, ","))) {
                unsigned number;

                if (g->n_cells == GUEST_CELLS_MAX || parse_unsigned(node, &number) < 0 || number >= IDSET_MAX)
                        return fault(reader, "cells is not a node for each of at most %u cells", GUEST_CELLS_MAX);
                g->cell_nodes[g->n_cells++] = (uint16_t)number;
        }
        return 1;
}

static int read_left(Reader *reader, GuestMemo *g, char *value) {
        char *item;
        int r;

        g->n_left = 0;
        r = memo_make_left(g);
        if (r < 0)
                return r;
        while ((item = strsep(&value, ","))) {
                const char *node = strsep(&item, ":");
                NodeLeft left;

                if (g->n_left == NODES_LEFT_MAX || !item || parse_unsigned(node, &left.node) < 0 ||
                    left.node >= IDSET_MAX || parse_u64(item, &left.usec) < 0)
                        return fault(reader, "left is not a node and a time each, of at most %u nodes", NODES_LEFT_MAX);
                g->left[g->n_left++] = left;
        }
        return 1;
}

static int read_guest_key(Reader *reader, GuestMemo *g, const char *key, char *value) {
        if (streq(key, "cells"))
                return read_cells(reader, g, value);
        if (streq(key, "left"))
                return read_left(reader, g, value);
        return read_set(reader, g, key, value);
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
                r = read_guest_key(reader, g, key, value);
                if (r > 0)
                        continue;
                if (r < 0)
                        return r;
                r = set_field(reader, &state_guest_fields, g, key, value);
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
        return read_fields(reader, &state_threshold_fields, &reader->state->thresholds[index]);
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
        return read_fields(reader, &state_threshold_fields, memo);
}

static int read_stopped(Reader *reader) {
        char *unit = NULL;
        int r;

        r = need_word(reader, "the unit's name", &unit);
        if (r < 0)
                return r;
        r = state_add_stopped(reader->state, unit);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return fault(reader, r == -EEXIST ? "this unit is recorded twice" : "the unit's name is too long");
        return 0;
}

static int read_host(Reader *reader) {
        return read_fields(reader, &state_host_fields, reader->state);
}

static int read_pool(Reader *reader) {
        size_t before = reader->state->n_pools;
        unsigned index = 0;
        PoolMemo *pool;
        int r;

        r = need_unsigned(reader, "the pool's number", &index);
        if (r < 0)
                return r;
        r = state_pool(reader->state, index, &pool);
        if (r < 0)
                return r;
        if (reader->state->n_pools == before)
                return fault(reader, "this pool is recorded twice");
        return read_fields(reader, &state_pool_fields, pool);
}

static int read_end(Reader *reader) {
        if (next_word(reader))
                return fault(reader, "nothing may follow \"end\"");
        reader->ended = true;
        return 0;
}

/* One more needs another STATE_VERSION. */
static const struct { const char *name; int (*read)(Reader *); } records[] = {
        { "boot", read_boot },           { "own", read_owned }, { "guest", read_guest },
        { "threshold", read_threshold }, { "guest-threshold", read_guest_threshold },
        { "stopped", read_stopped },     { "host", read_host }, { "pool", read_pool },
        { "end", read_end },
};

const char *state_record_name(size_t i) {
        return i < ELEMENTSOF(records) ? records[i].name : NULL;
}

static int read_record(Reader *reader) {
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
        s->ksm_adopted = s->kernel_adopted = s->thp_adopted = s->hugepages_adopted = true;
        for (size_t i = 0; i < s->n_guests; i++)
                s->guests[i].adopted = s->guests[i].memtune_adopted = true;
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
