/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The keys of the snapshot's text form (kvmtuned-snapshot(5)) that stand for
 * one field of a struct each: what the loader reads and the writer writes goes
 * by the same tables, so neither can forget a key of the other.
 */

#include "base.h"
#include "snapshot.h"

typedef enum SnapType {
        SNAP_BOOL,              /* bool;     true */
        SNAP_COUNT,             /* uint64_t; 5 or "5000000000" */
        SNAP_ID,                /* int32_t;  4711 */
        SNAP_SIZE,              /* uint64_t, bytes; "4 GiB" */
        SNAP_SIGNED_SIZE,       /* int64_t, bytes; "-4 KiB" */
        SNAP_SEC,               /* uint64_t, seconds; "2 s" */
        SNAP_MSEC,              /* uint64_t, milliseconds; "20 ms" */
        SNAP_USEC,              /* uint64_t, microseconds; "3 s" */
        SNAP_RELEASE,           /* uint64_t, KERNEL_RELEASE(); "6.1" */
        SNAP_SHARE,             /* uint32_t, permyriad; "35 %" */
        SNAP_SET,               /* IdSet;    "0-3,8" */
        SNAP_STRING,            /* char *, NULL when left out */
        SNAP_WORD,              /* char[size] */
        SNAP_STATE,             /* GuestState */
        SNAP_NUMATUNE,          /* NumatuneMode */
        _SNAP_TYPE_MAX,
} SnapType;

typedef struct SnapField {
        const char *key;
        SnapType type;
        size_t offset;
        bool unknown;           /* "unknown" is a value: UNKNOWN_U64, UNKNOWN_PERMYRIAD */
        bool computed;          /* the default depends on other values: always written */
        uint64_t fallback;      /* the default; for a set, empty */
        const char *word;       /* SNAP_WORD: the default */
        size_t size;            /* SNAP_WORD: of the array */
} SnapField;

typedef struct SnapFields {
        const SnapField *fields;
        size_t n;
} SnapFields;

extern const SnapFields snap_memory;            /* HostMemory */
extern const SnapFields snap_host;              /* Host */
extern const SnapFields snap_cpu;               /* CpuLoad */
extern const SnapFields snap_psi;               /* Host */
extern const SnapFields snap_ksm;               /* KsmStatus */
extern const SnapFields snap_thp;               /* ThpStatus */
extern const SnapFields snap_facts;             /* HostFacts */
extern const SnapFields snap_node;              /* NodeMemory */
extern const SnapFields snap_pool;              /* HugePool */
extern const SnapFields snap_guest_memory;      /* Guest: each is the default of the next */
extern const SnapFields snap_guest;             /* Guest */
extern const SnapFields snap_thread;            /* GuestThread */
extern const SnapFields snap_stats;             /* BalloonStats */
extern const SnapFields snap_numatune;          /* Guest */
extern const SnapFields snap_cell;              /* GuestCell */
extern const SnapFields snap_reservation;       /* Reservation */

static inline const void *snap_field(const SnapField *f, const void *record) {
        return (const char *)record + f->offset;
}

/* Sets every field to its default; computed ones and strings are left alone. */
void snap_set_defaults(const SnapFields *fields, void *record);

/* The affinity a thread has when nothing says otherwise; see kvmtuned-snapshot(5). */
IdSet snap_default_affinity(const Topology *topology, const Guest *g, const GuestThread *t, bool vcpu);
