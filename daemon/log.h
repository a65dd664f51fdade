/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One place to say something: structured entries to the journal when stderr is
 * connected to it ($JOURNAL_STREAM), otherwise plain lines on stderr.
 * sd_journal_send() reports success when the journal's socket is missing, so
 * the choice is made here, not from its result.
 *
 * Errors are logged once, where they are handled; lib/ never logs.
 */

#include <syslog.h>

#include "../lib/base.h"

/* Decides where entries go. Call once, before any other function here. */
void log_open(void);
/* LOG_INFO unless told otherwise. */
void log_set_max_level(int level);

void log_message(int level, const char *format, ...) _printf_(2, 3);

/* Logs "TEXT: strerror" and returns @error (negative errno), to be returned on. */
int log_error_errno(int error, const char *format, ...) _printf_(2, 3);

typedef struct LogField {
        const char *name;       /* "KVMTUNED_GUEST" */
        const char *value;      /* NULL: the field is left out */
} LogField;

/* An entry with MESSAGE_ID and fields. On stderr only the message is printed. */
void log_struct(int level, const char *message_id, const LogField *fields, size_t n_fields, const char *format, ...)
        _printf_(5, 6);

/* Told of each entry with a MESSAGE_ID at the level that is printed. NULL: nobody is. */
typedef void (*log_listener_t)(void *userdata, int level, const char *message_id, const LogField *fields,
                               size_t n_fields, const char *message);
void log_set_listener(log_listener_t listener, void *userdata);
