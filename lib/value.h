/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A small tree of plain values: what the daemon tells of itself and its guests
 * on the bus, and what kvmtunectl prints. A map keeps the order in which its
 * members were put; a list holds one type.
 *
 * Putting into a tree never fails where it stands: without memory the member
 * is left out and the tree remembers it, and value_complete() says so once, at
 * the end. A NULL container takes everything and keeps nothing.
 */

#include <stdio.h>

#include "base.h"

typedef enum ValueType {
        VALUE_BOOL,
        VALUE_NUMBER,
        VALUE_STRING,
        VALUE_MAP,
        VALUE_LIST,
} ValueType;

typedef struct Value Value;
struct Value {
        ValueType type;
        ValueType element;              /* VALUE_LIST: the type of its items */
        uint64_t number;                /* VALUE_BOOL: 0 or 1 */
        char *text;                     /* VALUE_STRING: valid UTF-8 */
        char **keys;                    /* VALUE_MAP: parallel to items */
        Value **items;
        size_t n, keys_capacity, items_capacity;
        bool failed;                    /* something was not put for want of memory */
};

/* NULL when there is no memory. */
Value *value_new_map(void);
Value *value_new_list(ValueType element);
Value *value_free(Value *v);
DEFINE_CLEANUP(Value, value_free)

/*
 * Put one member under @key, which @map must not have yet; @key is NULL when
 * the container is a list. A string may be NULL: it is left out. Bytes that
 * are no UTF-8 become U+FFFD.
 */
void value_put_string(Value *container, const char *key, const char *s);
void value_put_printf(Value *container, const char *key, const char *format, ...) _printf_(3, 4);
void value_put_number(Value *container, const char *key, uint64_t number);
void value_put_bool(Value *container, const char *key, bool b);
/* Return the new one, which belongs to @container, or NULL. */
Value *value_put_map(Value *container, const char *key);
Value *value_put_list(Value *container, const char *key, ValueType element);
/* Takes @v over in each case. @v may be NULL. */
void value_put(Value *container, const char *key, Value *v);

/* 0, or -ENOMEM: something is missing in the tree, or there is none. */
int value_complete(const Value *v);

/* Of a map; NULL (or 0, false) when it has none of that name and type. @map may be NULL. */
const Value *value_get(const Value *map, const char *key, ValueType type);
const char *value_string(const Value *map, const char *key);
bool value_has_number(const Value *map, const char *key);
uint64_t value_number(const Value *map, const char *key);
bool value_bool(const Value *map, const char *key);
/* How many items a list in @map has, and one of them; NULL beyond the end. */
size_t value_count(const Value *map, const char *key);
const Value *value_item(const Value *map, const char *key, size_t i);

/* As JSON, indented, with a newline at the end. The same tree gives the same bytes. */
void value_print_json(FILE *f, const Value *v);
