/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus_value.h"

#define DEPTH_MAX 16U
/* Of an entry of a map or a list beside its text: lengths, signature, padding. */
#define ENTRY_BYTES 32U

static const char *signature(ValueType type) {
        switch (type) {
        case VALUE_BOOL:
                return "b";
        case VALUE_NUMBER:
                return "t";
        case VALUE_STRING:
                return "s";
        case VALUE_MAP:
        case VALUE_LIST:
                break;
        }
        return "a{sv}";
}

static const char *signature_of(const Value *v, char buf[static 8]) {
        (void)snprintf(buf, 8, "%s%s", v->type == VALUE_LIST ? "a" : "",
                       signature(v->type == VALUE_LIST ? v->element : v->type));
        return buf;
}

static int append(sd_bus_message *m, const Value *v, size_t *bytes);

static int append_member(sd_bus_message *m, const char *key, const Value *v, size_t *bytes) {
        char buf[8];
        int r;

        *bytes += strlen(key);
        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', key);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', signature_of(v, buf));
        if (r >= 0)
                r = append(m, v, bytes);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_container(sd_bus_message *m, const Value *v, size_t *bytes) {
        int r;

        r = sd_bus_message_open_container(m, 'a', v->type == VALUE_MAP ? "{sv}" : signature(v->element));
        for (size_t i = 0; r >= 0 && i < v->n; i++)
                r = v->type == VALUE_MAP ? append_member(m, v->keys[i], v->items[i], bytes)
                                         : append(m, v->items[i], bytes);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append(sd_bus_message *m, const Value *v, size_t *bytes) {
        int yes = v->number > 0;

        *bytes += ENTRY_BYTES + (v->text ? strlen(v->text) : 0);
        if (*bytes > BUS_VALUE_MAX)
                return -EMSGSIZE;
        switch (v->type) {
        case VALUE_BOOL:
                return sd_bus_message_append_basic(m, 'b', &yes);
        case VALUE_NUMBER:
                return sd_bus_message_append_basic(m, 't', &v->number);
        case VALUE_STRING:
                return sd_bus_message_append_basic(m, 's', v->text);
        case VALUE_MAP:
        case VALUE_LIST:
                break;
        }
        return append_container(m, v, bytes);
}

int bus_value_append(sd_bus_message *m, const Value *v) {
        size_t bytes = 0;

        return append(m, v, &bytes);
}

static int read_one(sd_bus_message *m, Value *container, const char *key, unsigned depth);

static int read_number(sd_bus_message *m, char type, uint64_t *ret) {
        union {
                uint8_t y;
                uint32_t u;
                int32_t i;
                uint64_t t;
        } v = { 0 };
        int r;

        r = sd_bus_message_read_basic(m, type, &v);
        if (r < 0)
                return r;
        *ret = type == 'y' ? v.y : type == 'u' ? v.u : type == 'i' ? (uint64_t)MAX(v.i, 0) : v.t;
        return 0;
}

static int read_scalar(sd_bus_message *m, char type, Value *container, const char *key) {
        const char *text;
        uint64_t number;
        int r, yes;

        switch (type) {
        case 's':
        case 'o':
                r = sd_bus_message_read_basic(m, type, &text);
                if (r >= 0)
                        value_put_string(container, key, text);
                return r;
        case 'b':
                r = sd_bus_message_read_basic(m, type, &yes);
                if (r >= 0)
                        value_put_bool(container, key, yes);
                return r;
        case 'y':
        case 'u':
        case 'i':
        case 't':
                r = read_number(m, type, &number);
                if (r >= 0)
                        value_put_number(container, key, number);
                return r;
        default:
                return -EBADMSG;
        }
}

static int read_member(sd_bus_message *m, Value *map, unsigned depth) {
        const char *key, *contents;
        char type;
        int r;

        r = sd_bus_message_enter_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_read_basic(m, 's', &key);
        if (r >= 0)
                r = sd_bus_message_peek_type(m, &type, &contents);
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'v', contents);
        if (r >= 0)
                r = read_one(m, map, key, depth);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static bool element_type(const char *contents, ValueType *ret) {
        static const struct { const char *signature; ValueType type; } types[] = {
                { "s", VALUE_STRING }, { "t", VALUE_NUMBER }, { "u", VALUE_NUMBER }, { "b", VALUE_BOOL },
                { "a{sv}", VALUE_MAP },
        };

        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                if (streq(contents, types[i].signature)) {
                        *ret = types[i].type;
                        return true;
                }
        return false;
}

static int read_array(sd_bus_message *m, const char *contents, Value *container, const char *key, unsigned depth) {
        bool map = streq(contents, "{sv}");
        ValueType element = VALUE_MAP;
        Value *v;
        int r;

        if (depth >= DEPTH_MAX || (!map && !element_type(contents, &element)))
                return -EBADMSG;
        v = map ? value_put_map(container, key) : value_put_list(container, key, element);
        if (!v)
                return -ENOMEM;
        r = sd_bus_message_enter_container(m, 'a', contents);
        while (r >= 0 && !sd_bus_message_at_end(m, false))
                r = map ? read_member(m, v, depth + 1) : read_one(m, v, NULL, depth + 1);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_one(sd_bus_message *m, Value *container, const char *key, unsigned depth) {
        const char *contents;
        char type;
        int r;

        r = sd_bus_message_peek_type(m, &type, &contents);
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        if (type == 'a')
                return read_array(m, contents, container, key, depth);
        return read_scalar(m, type, container, key);
}

int bus_value_read(sd_bus_message *m, Value **ret) {
        _cleanup_(value_freep) Value *holder = value_new_map();
        int r;

        if (!holder)
                return -ENOMEM;
        r = read_one(m, holder, "value", 0);
        if (r >= 0)
                r = value_complete(holder);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(holder->items[0]);
        free(TAKE_PTR(holder->keys[0]));
        holder->n = 0;
        return 0;
}
