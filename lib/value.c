/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "value.h"

#include <inttypes.h>

#include "plan_text.h"

static Value *value_new(ValueType type) {
        Value *v = calloc(1, sizeof(*v));

        if (v)
                v->type = type;
        return v;
}

Value *value_new_map(void) {
        return value_new(VALUE_MAP);
}

Value *value_new_list(ValueType element) {
        Value *v = value_new(VALUE_LIST);

        if (v)
                v->element = element;
        return v;
}

Value *value_free(Value *v) {
        if (!v)
                return NULL;
        for (size_t i = 0; i < v->n; i++) {
                if (v->keys)
                        free(v->keys[i]);
                (void)value_free(v->items[i]);
        }
        free(v->keys);
        free(v->items);
        free(v->text);
        free(v);
        return NULL;
}

static int append(Value *container, const char *key, Value *v) {
        int r;

        r = GROW_ARRAY(container->items, container->items_capacity, container->n);
        if (r < 0)
                return r;
        if (container->type == VALUE_MAP) {
                r = GROW_ARRAY(container->keys, container->keys_capacity, container->n);
                if (r >= 0)
                        r = strdup_to(&container->keys[container->n], key);
                if (r < 0)
                        return r;
        }
        container->items[container->n++] = v;
        return 0;
}

void value_put(Value *container, const char *key, Value *v) {
        if (!container || !v || append(container, key, v) < 0) {
                if (container)
                        container->failed = true;
                (void)value_free(v);
        }
}

void value_put_string(Value *container, const char *key, const char *s) {
        Value *v;

        if (!s)
                return;
        v = value_new(VALUE_STRING);
        if (v && plan_valid_text(s, &v->text) < 0)
                v = value_free(v);
        value_put(container, key, v);
}

void value_put_printf(Value *container, const char *key, const char *format, ...) {
        char *text = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0) {
                if (container)
                        container->failed = true;
                return;
        }
        value_put_string(container, key, text);
        free(text);
}

static void put_scalar(Value *container, const char *key, ValueType type, uint64_t number) {
        Value *v = value_new(type);

        if (v)
                v->number = number;
        value_put(container, key, v);
}

void value_put_number(Value *container, const char *key, uint64_t number) {
        put_scalar(container, key, VALUE_NUMBER, number);
}

void value_put_bool(Value *container, const char *key, bool b) {
        put_scalar(container, key, VALUE_BOOL, b);
}

static Value *put_container(Value *container, const char *key, Value *v) {
        if (!container || !v || append(container, key, v) < 0) {
                if (container)
                        container->failed = true;
                return value_free(v);
        }
        return v;
}

Value *value_put_map(Value *container, const char *key) {
        return put_container(container, key, value_new_map());
}

Value *value_put_list(Value *container, const char *key, ValueType element) {
        return put_container(container, key, value_new_list(element));
}

int value_complete(const Value *v) {
        if (!v || v->failed)
                return -ENOMEM;
        for (size_t i = 0; i < v->n; i++)
                if (value_complete(v->items[i]) < 0)
                        return -ENOMEM;
        return 0;
}

const Value *value_get(const Value *map, const char *key, ValueType type) {
        if (!map || map->type != VALUE_MAP)
                return NULL;
        for (size_t i = 0; i < map->n; i++)
                if (map->items[i]->type == type && streq(map->keys[i], key))
                        return map->items[i];
        return NULL;
}

const char *value_string(const Value *map, const char *key) {
        const Value *v = value_get(map, key, VALUE_STRING);

        return v ? v->text : NULL;
}

bool value_has_number(const Value *map, const char *key) {
        return value_get(map, key, VALUE_NUMBER);
}

uint64_t value_number(const Value *map, const char *key) {
        const Value *v = value_get(map, key, VALUE_NUMBER);

        return v ? v->number : 0;
}

bool value_bool(const Value *map, const char *key) {
        const Value *v = value_get(map, key, VALUE_BOOL);

        return v && v->number;
}

size_t value_count(const Value *map, const char *key) {
        const Value *v = value_get(map, key, VALUE_LIST);

        return v ? v->n : 0;
}

const Value *value_item(const Value *map, const char *key, size_t i) {
        const Value *v = value_get(map, key, VALUE_LIST);

        return v && i < v->n ? v->items[i] : NULL;
}

static void print(FILE *f, const Value *v, unsigned depth);

static void print_members(FILE *f, const Value *v, unsigned depth) {
        for (size_t i = 0; i < v->n; i++) {
                (void)fprintf(f, "%s\n%*s", i > 0 ? "," : "", (int)(2 * depth + 2), "");
                if (v->keys) {
                        plan_put_json(f, v->keys[i]);
                        (void)fputs(": ", f);
                }
                print(f, v->items[i], depth + 1);
        }
        if (v->n > 0)
                (void)fprintf(f, "\n%*s", (int)(2 * depth), "");
}

static void print(FILE *f, const Value *v, unsigned depth) {
        switch (v->type) {
        case VALUE_BOOL:
                (void)fputs(v->number ? "true" : "false", f);
                break;
        case VALUE_NUMBER:
                (void)fprintf(f, "%" PRIu64, v->number);
                break;
        case VALUE_STRING:
                plan_put_json(f, v->text);
                break;
        case VALUE_MAP:
        case VALUE_LIST:
                (void)fputc(v->type == VALUE_MAP ? '{' : '[', f);
                print_members(f, v, depth);
                (void)fputc(v->type == VALUE_MAP ? '}' : ']', f);
                break;
        }
}

void value_print_json(FILE *f, const Value *v) {
        print(f, v, 0);
        (void)fputc('\n', f);
}
