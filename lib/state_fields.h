/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The keys of the state's text form that stand for one field of a struct each:
 * what is read and what is written goes by the same tables, so neither can
 * forget a key of the other. A new memo is a new row.
 */

#include "base.h"
#include "state.h"

/*
 * Of the form. It rises with every kind of record, kind of changed value and knob of one that is added, for
 * whoever does not know it would take it for damage and give up what stands behind it, and with every change of
 * what something means. Not with a key that is added: 0 and left out are what they were before there was the key.
 * Older forms are read; tests/unit/test_state_form.c has what each may hold.
 */
#define STATE_VERSION 1U

/* The first word of each kind of record that is read; NULL from their number on. */
const char *state_record_name(size_t i);

typedef enum StateFieldType { STATE_BOOL, STATE_UNSIGNED, STATE_U64 } StateFieldType;

typedef struct StateField {
        const char *key;
        size_t offset;
        StateFieldType type;
        uint64_t unset;                 /* what "left out" means */
} StateField;

typedef struct StateFields {
        const StateField *fields;
        size_t n;
} StateFields;

extern const StateFields state_guest_fields;            /* GuestMemo */
extern const StateFields state_threshold_fields;        /* ThresholdMemo */
extern const StateFields state_host_fields;             /* State */
extern const StateFields state_pool_fields;             /* PoolMemo */

uint64_t state_field_get(const StateField *field, const void *record);
/* -ERANGE when the field cannot hold @value. */
int state_field_set(const StateField *field, void *record, uint64_t value);

/* A set of nodes or CPUs of a guest's record; left out when it is empty. */
typedef struct StateSet {
        const char *key, *what;
        const IdSet *(*get)(const GuestMemo *g);
        int (*set)(State *s, GuestMemo *g, const IdSet *set);   /* -ENOMEM */
} StateSet;

#define STATE_SETS 3U
extern const StateSet state_sets[STATE_SETS];           /* GuestMemo */
