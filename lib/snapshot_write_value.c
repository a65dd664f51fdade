/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* libconfig's syntax, and the values of a snapshot in it. */

#include "snapshot_write.h"

#include <inttypes.h>

#include "parse.h"

void snap_write_indent(SnapWriter *w) {
        for (unsigned i = 0; i < w->depth; i++)
                (void)fputs("  ", w->f);
}

void snap_write_string(SnapWriter *w, const char *s) {
        (void)fputc('"', w->f);
        for (; *s; s++) {
                unsigned char c = (unsigned char)*s;

                if (c == '"' || c == '\\')
                        (void)fprintf(w->f, "\\%c", c);
                else if (c < 0x20 || c == 0x7f)
                        (void)fprintf(w->f, "\\x%02x", c);
                else
                        (void)fputc(c, w->f);
        }
        (void)fputc('"', w->f);
}

void snap_write_key_string(SnapWriter *w, const char *key, const char *value) {
        snap_write_indent(w);
        (void)fprintf(w->f, "%s = ", key);
        snap_write_string(w, value);
        (void)fputs(";\n", w->f);
}

void snap_write_open_group(SnapWriter *w, const char *key) {
        snap_write_indent(w);
        (void)fprintf(w->f, "%s = {\n", key);
        w->depth++;
}

void snap_write_close_group(SnapWriter *w) {
        w->depth--;
        snap_write_indent(w);
        (void)fputs("};\n", w->f);
}

void snap_write_open_list(SnapWriter *w, const char *key) {
        snap_write_indent(w);
        (void)fprintf(w->f, "%s = (", key);
        w->depth++;
}

void snap_write_element(SnapWriter *w, size_t i) {
        (void)fputs(i == 0 ? "\n" : ",\n", w->f);
        snap_write_indent(w);
}

void snap_write_close_list(SnapWriter *w, size_t n) {
        w->depth--;
        if (n > 0) {
                (void)fputc('\n', w->f);
                snap_write_indent(w);
        }
        (void)fputs(");\n", w->f);
}

/* ---- one value ---- */

static int release(uint64_t value, char **ret) {
        return strprintf_to(ret, "%" PRIu64 ".%" PRIu64, value >> 16, value & UINT16_MAX);
}

/* Text of a value that is kept in a string; NULL in *ret: it is not one. */
static int quoted_value(const SnapField *f, const void *p, char **ret) {
        uint64_t number = f->type == SNAP_SHARE ? *(const uint32_t *)p : 0;

        switch (f->type) {
        case SNAP_SHARE:
                return format_permyriad(number, ret);
        case SNAP_SIZE:
                return format_size(*(const uint64_t *)p, ret);
        case SNAP_SEC:
                return format_duration(*(const uint64_t *)p * USEC_PER_SEC, ret);
        case SNAP_MSEC:
                return format_duration(*(const uint64_t *)p * USEC_PER_MSEC, ret);
        case SNAP_USEC:
                return format_duration(*(const uint64_t *)p, ret);
        case SNAP_RELEASE:
                return release(*(const uint64_t *)p, ret);
        case SNAP_SET:
                return idset_format(p, ret);
        case SNAP_STATE:
                return strdup_to(ret, guest_state_to_string(*(const GuestState *)p));
        case SNAP_NUMATUNE:
                return strdup_to(ret, numatune_mode_to_string(*(const NumatuneMode *)p));
        case SNAP_STRING:
                return strdup_to(ret, *(char *const *)p);
        case SNAP_WORD:
                return strdup_to(ret, p);
        case SNAP_BOOL:
        case SNAP_COUNT:
        case SNAP_ID:
        case SNAP_SIGNED_SIZE:
        case _SNAP_TYPE_MAX:
                break;
        }
        return 0;
}

static int signed_size(int64_t bytes, char **ret) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = format_size(bytes < 0 ? (uint64_t)0 - (uint64_t)bytes : (uint64_t)bytes, &text);
        if (r < 0)
                return r;
        return strprintf_to(ret, "%s%s", bytes < 0 ? "-" : "", text);
}

static bool is_unknown(const SnapField *f, const void *p) {
        if (!f->unknown)
                return false;
        return f->type == SNAP_SHARE ? *(const uint32_t *)p == UNKNOWN_PERMYRIAD
                                     : *(const uint64_t *)p == UNKNOWN_U64;
}

static bool is_default(const SnapField *f, const void *p) {
        if (f->computed)
                return false;
        switch (f->type) {
        case SNAP_BOOL:
                return *(const bool *)p == (f->fallback != 0);
        case SNAP_SHARE:
                return *(const uint32_t *)p == f->fallback;
        case SNAP_ID:
                return *(const int32_t *)p == 0;
        case SNAP_SIGNED_SIZE:
                return *(const int64_t *)p == 0;
        case SNAP_SET:
                return idset_is_empty(p);
        case SNAP_STRING:
                return !*(char *const *)p;
        case SNAP_WORD:
                return streq(p, f->word);
        case SNAP_STATE:
                return *(const GuestState *)p == (GuestState)f->fallback;
        case SNAP_NUMATUNE:
                return *(const NumatuneMode *)p == (NumatuneMode)f->fallback;
        default:
                return *(const uint64_t *)p == f->fallback;
        }
}

/* libconfig's integers have 32 bits. */
static void put_count(SnapWriter *w, uint64_t v) {
        (void)fprintf(w->f, v > INT32_MAX ? "\"%llu\"" : "%llu", (unsigned long long)v);
}

static int put_value(SnapWriter *w, const SnapField *f, const void *p) {
        _cleanup_free_ char *text = NULL;
        int r;

        if (is_unknown(f, p)) {
                snap_write_string(w, "unknown");
                return 0;
        }
        switch (f->type) {
        case SNAP_BOOL:
                (void)fputs(*(const bool *)p ? "true" : "false", w->f);
                return 0;
        case SNAP_COUNT:
                put_count(w, *(const uint64_t *)p);
                return 0;
        case SNAP_ID:
                (void)fprintf(w->f, "%d", *(const int32_t *)p);
                return 0;
        case SNAP_SIGNED_SIZE:
                r = signed_size(*(const int64_t *)p, &text);
                break;
        default:
                r = quoted_value(f, p, &text);
        }
        if (r < 0)
                return r;
        snap_write_string(w, text);
        return 0;
}

int snap_write_fields(SnapWriter *w, const SnapFields *fields, const void *record, bool inline_) {
        int r;

        for (size_t i = 0; i < fields->n; i++) {
                const SnapField *f = &fields->fields[i];
                const void *p = snap_field(f, record);

                if (is_default(f, p))
                        continue;
                if (!inline_)
                        snap_write_indent(w);
                (void)fprintf(w->f, "%s = ", f->key);
                r = put_value(w, f, p);
                if (r < 0)
                        return r;
                (void)fputs(inline_ ? "; " : ";\n", w->f);
        }
        return 0;
}

int snap_write_table(SnapWriter *w, const char *key, const SnapFields *fields, const void *record) {
        bool all_default = true;
        int r;

        for (size_t i = 0; i < fields->n; i++)
                all_default = all_default && is_default(&fields->fields[i], snap_field(&fields->fields[i], record));
        if (all_default)
                return 0;
        snap_write_open_group(w, key);
        r = snap_write_fields(w, fields, record, false);
        if (r < 0)
                return r;
        snap_write_close_group(w);
        return 0;
}

int snap_write_set(SnapWriter *w, const IdSet *set) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = idset_format(set, &text);
        if (r < 0)
                return r;
        snap_write_string(w, text);
        return 0;
}

int snap_write_key_set(SnapWriter *w, const char *key, const IdSet *set, const char *end) {
        int r;

        (void)fprintf(w->f, "%s = ", key);
        r = snap_write_set(w, set);
        if (r < 0)
                return r;
        (void)fputs(end, w->f);
        return 0;
}
