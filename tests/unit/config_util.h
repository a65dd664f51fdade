/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the tests of the configuration share. */

#include "../../lib/config.h"

#include <check.h>
#include <stdio.h>

static inline _unused_ Config *load(const char *text) {
        _cleanup_free_ char *error = NULL;
        Config *c = NULL;

        ck_assert_msg(config_load_text("t.conf", text, &c, &error) == 0, "%s: %s", text, error ? error : "");
        return c;
}

/* The errors of @text, which is wrong; the caller's to free. */
static inline _unused_ char *refused(const char *text) {
        Config *c = NULL;
        char *error = NULL;

        ck_assert_msg(config_load_text("t.conf", text, &c, &error) == -EBADMSG, "accepted: %s", text);
        ck_assert_ptr_null(c);
        ck_assert_ptr_nonnull(error);
        return error;
}

static inline _unused_ char *formatted(const Settings *s, Key key) {
        char *text = NULL;

        ck_assert_int_eq(setting_format(s, key, &text), 0);
        return text;
}

static inline _unused_ char *source(const Settings *s, Key key) {
        char *text = NULL;

        ck_assert_int_eq(setting_source(s, key, &text), 0);
        return text;
}

static inline _unused_ void assert_source(const Settings *s, Key key, const char *want) {
        _cleanup_free_ char *text = source(s, key);

        ck_assert_str_eq(text, want);
}

static inline _unused_ void assert_format(const Settings *s, Key key, const char *want) {
        _cleanup_free_ char *text = formatted(s, key);

        ck_assert_str_eq(text, want);
}
