/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * kvmtunectl: what people and scripts ask the daemon, over the bus; and, from a
 * recorded snapshot and a policy file, the same questions without a daemon.
 *
 * main.c       the command line
 * source*.c    where answers come from: the bus, or files
 * show*.c      answers for people
 * change.c     pause, resume, reload, restore, set, unset
 * look.c       the host drawn and examined
 * monitor.c    a view that refreshes
 * table.c      columns
 * pager.c      long answers on a terminal
 *
 * A function that returns CtlStatus has said on standard error what was wrong.
 */

#include <stdio.h>

#include "../lib/describe.h"
#include "../lib/draw_topology.h"
#include "../lib/value.h"

/* The exit status; kvmtunectl(1) documents them. */
typedef enum CtlStatus {
        CTL_OK,
        CTL_FAILED,             /* anything else */
        CTL_USAGE,              /* the command line is wrong */
        CTL_UNREACHABLE,        /* no daemon, no bus, no such machine */
        CTL_REFUSED,            /* not allowed */
        CTL_NOT_FOUND,          /* no such guest or setting, or a value it does not take */
        CTL_WARNINGS,           /* what the doctor found */
        CTL_PROBLEMS,
} CtlStatus;

typedef struct Source Source;

typedef struct Ctl {
        const char *host;               /* -H; NULL: this one */
        const char *config, *snapshot, *state;
        const char *guest;              /* --guest; NULL: none */
        unsigned lines;                 /* of the log */
        bool json, all, svg, no_pager, no_password;
        DrawOptions draw;               /* what standard output can show */
        unsigned columns;               /* of the terminal that it is; 0: it is none, or does not say */
        Source *source;
} Ctl;

/* ---- source.c ---- */

/* Opens the bus or reads the files, by the options. */
CtlStatus source_open(Ctl *c);
Source *source_free(Source *s);

/* The methods of org.kvmtuned1(5) that give a value or a text. @guest is NULL where the method takes none. */
CtlStatus source_value(Ctl *c, const char *method, const char *guest, Value **ret);
CtlStatus source_text(Ctl *c, const char *method, char **ret);
/* Whether answers come from files: then there is nobody to change anything, and no log. */
bool source_is_file(const Ctl *c);

/* ---- source_bus.c, source_file.c: the same, for one kind ---- */
CtlStatus source_bus_open(const Ctl *c, Source *s);
CtlStatus source_bus_value(Ctl *c, const char *method, const char *guest, Value **ret);
CtlStatus source_bus_text(Ctl *c, const char *method, char **ret);
/* Calls a method that changes something, with @n strings. *ret_left of Restore; may be NULL. */
CtlStatus source_bus_change(Ctl *c, const char *method, const char *const *arguments, size_t n, uint64_t *ret_left);
CtlStatus source_file_open(const Ctl *c, Source *s);
CtlStatus source_file_value(Ctl *c, const char *method, const char *guest, Value **ret);
CtlStatus source_file_text(Ctl *c, const char *method, char **ret);

/* ---- verbs ---- */

typedef CtlStatus (*Verb)(Ctl *c, char **arguments, int n);

CtlStatus show_status(Ctl *c, char **arguments, int n);
CtlStatus show_guests(Ctl *c, char **arguments, int n);
CtlStatus show_settings(Ctl *c, char **arguments, int n);
CtlStatus show_rules(Ctl *c, char **arguments, int n);
CtlStatus show_plan(Ctl *c, char **arguments, int n);
CtlStatus show_snapshot(Ctl *c, char **arguments, int n);
CtlStatus show_log(Ctl *c, char **arguments, int n);
CtlStatus show_topology(Ctl *c, char **arguments, int n);
CtlStatus show_doctor(Ctl *c, char **arguments, int n);
CtlStatus show_explanation(Ctl *c, char **arguments, int n);
CtlStatus change_pause(Ctl *c, char **arguments, int n);
CtlStatus change_resume(Ctl *c, char **arguments, int n);
CtlStatus change_reload(Ctl *c, char **arguments, int n);
CtlStatus change_restore(Ctl *c, char **arguments, int n);
CtlStatus change_set(Ctl *c, char **arguments, int n);
CtlStatus change_unset(Ctl *c, char **arguments, int n);
CtlStatus monitor(Ctl *c, char **arguments, int n);

/* ---- show.c, for others ---- */

/* "12.5 %"; "-" when @map does not have it. @buf is returned. */
#define SHOW_MAX 64
const char *show_percent(const Value *map, const char *key, char buf[static SHOW_MAX]);
const char *show_bytes(const Value *map, const char *key, char buf[static SHOW_MAX]);
/* "2026-11-27 23:15:09" by the local clock. */
const char *show_time(uint64_t realtime_usec, char buf[static SHOW_MAX]);
void show_log_entries(FILE *f, const Ctl *c, const Value *list);
/* One line a guest. */
CtlStatus show_guest_table(FILE *f, const Ctl *c, const Value *list);
/* Those that somebody made, or all of them. */
CtlStatus show_setting_table(FILE *f, const Ctl *c, const Value *list, const char *indent);
void show_status_text(FILE *f, const Ctl *c, const Value *v);
/* NULL: nothing. */
void show_text(FILE *f, const char *s);

/* ---- table.c ---- */

typedef struct TableColumn {
        const char *title;
        bool right;                     /* aligned to the right */
        unsigned spare;                 /* left out where there is no room, the largest first; 0: never */
} TableColumn;

typedef struct Table Table;
/* @columns: @n of them, which outlive it. NULL without memory. */
Table *table_new(const TableColumn *columns, size_t n);
Table *table_free(Table *t);
DEFINE_CLEANUP(Table, table_free)
/* @cells: n of them, NULL is "-". -ENOMEM. */
int table_add(Table *t, const char *const *cells);
/* In lines of @width, 0: however wide. A last line says how many were left out. */
void table_print(FILE *f, const Table *t, bool colour, unsigned width, const char *indent);

#define CTL_BOLD "\033[1m"
#define CTL_DIM "\033[2m"
#define CTL_GREEN "\033[32m"
#define CTL_YELLOW "\033[33m"
#define CTL_RED "\033[31m"
#define CTL_PLAIN "\033[0m"
/* @code, or nothing when there are to be no colours. */
const char *ctl_colour(const Ctl *c, const char *code);

/* ---- pager.c ---- */

/* From here on standard output goes through a pager, when it is a terminal and nothing speaks against it. */
void pager_begin(const Ctl *c);
/* Waits until the reader has left it. */
void pager_end(void);
