/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "log.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "../lib/plan_text.h"

#define LOG_FIELDS_MAX 16U

static int max_level = LOG_INFO;
static bool to_journal;
static log_listener_t listen_to;
static void *listener_userdata;

/* $JOURNAL_STREAM is "DEVICE:INODE" of the stream that systemd connected to the journal. */
static bool stderr_is_journal(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        uintmax_t device, inode;
        struct stat st;

        if (!stream || sscanf(stream, "%ju:%ju", &device, &inode) != 2)
                return false;
        if (fstat(STDERR_FILENO, &st) < 0)
                return false;
        return st.st_dev == (dev_t)device && st.st_ino == (ino_t)inode;
}

void log_open(void) {
        to_journal = stderr_is_journal();
}

void log_set_max_level(int level) {
        max_level = level;
}

void log_set_listener(log_listener_t listener, void *userdata) {
        listen_to = listener;
        listener_userdata = userdata;
}

/* "NAME=value" in a fresh allocation, as an iovec; false when out of memory. */
static bool field_set(struct iovec *iov, const char *name, const char *value) {
        char *text = NULL;

        if (strprintf_to(&text, "%s=%s", name, value) < 0)
                return false;
        *iov = (struct iovec){ .iov_base = text, .iov_len = strlen(text) };
        return true;
}

static void send_journal(int level, const char *message_id, const LogField *fields, size_t n_fields,
                         const char *message) {
        struct iovec iov[LOG_FIELDS_MAX + 3];
        char priority[2] = { (char)('0' + level), 0 };
        int n = 0;

        n += field_set(&iov[n], "MESSAGE", message);
        n += field_set(&iov[n], "PRIORITY", priority);
        if (message_id)
                n += field_set(&iov[n], "MESSAGE_ID", message_id);
        for (size_t i = 0; i < MIN(n_fields, (size_t)LOG_FIELDS_MAX); i++)
                if (fields[i].value)
                        n += field_set(&iov[n], fields[i].name, fields[i].value);
        (void)sd_journal_sendv(iov, n);
        for (int i = 0; i < n; i++)
                free(iov[i].iov_base);
}

/* A guest's name must neither drive the terminal that reads this nor make the journal hide the entry as binary. */
static void emit(int level, const char *message_id, const LogField *fields, size_t n_fields, const char *text) {
        _cleanup_free_ char *clean = NULL;
        const char *message = plan_clean_text(text, &clean) < 0 ? text : clean;

        if (listen_to && message_id)
                listen_to(listener_userdata, level, message_id, fields, n_fields, message);
        if (to_journal)
                send_journal(level, message_id, fields, n_fields, message);
        else
                (void)fprintf(stderr, "kvmtuned: %s%s\n", level <= LOG_ERR ? "error: " : "", message);
}

_printf_(6, 0)
static void emit_v(int level, const char *message_id, const LogField *fields, size_t n_fields, int error,
                   const char *format, va_list ap) {
        _cleanup_free_ char *text = NULL;

        if (level > max_level)
                return;
        if (vasprintf(&text, format, ap) < 0) {
                text = NULL;
                return;
        }
        if (error < 0 && strprintf_to(&text, "%s: %s", text, strerror(-error)) < 0)
                return;
        emit(level, message_id, fields, n_fields, text);
}

void log_message(int level, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        emit_v(level, NULL, NULL, 0, 0, format, ap);
        va_end(ap);
}

int log_error_errno(int error, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        emit_v(LOG_ERR, NULL, NULL, 0, error, format, ap);
        va_end(ap);
        return error;
}

void log_struct(int level, const char *message_id, const LogField *fields, size_t n_fields, const char *format,
                ...) {
        va_list ap;

        va_start(ap, format);
        emit_v(level, message_id, fields, n_fields, 0, format, ap);
        va_end(ap);
}
