/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A connection to libvirt that can be served: driver[+unix]:///path[?parameters].
 * The daemon reads /proc and /sys of the host it runs on, so the guests of another
 * host would be tuned by the wrong figures; every transport but a local socket may
 * lead there. Aliases (libvirt.conf's uri_aliases) are not known here.
 */

#include "config_value.h"

/* What RFC 3986 lets stand in a URI. */
static bool is_uri_text(const char *text) {
        static const char hex[] = "0123456789abcdefABCDEF";
        static const char marks[] = "-._~:/?#[]@!$&'()*+,;=";

        for (; *text; text++) {
                bool letter = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z');

                if (*text == '%' && text[1] && strchr(hex, text[1]) && text[2] && strchr(hex, text[2]))
                        text += 2;
                else if (!letter && !(*text >= '0' && *text <= '9') && !strchr(marks, *text))
                        return false;
        }
        return true;
}

/* The first part of @text, to @end, is @word. */
static bool is_part(const char *text, const char *end, const char *word) {
        size_t n = strlen(word);

        return (size_t)(end - text) == n && memcmp(text, word, n) == 0;
}

static bool is_path_of_qemu(const char *path) {
        const char *end = path + strcspn(path, "?#");

        return is_part(path, end, "/system") || is_part(path, end, "/session");
}

const char *config_uri_problem(const char *text) {
        const char *colon = strstr(text, "://"), *plus, *path;

        if (!is_uri_text(text))
                return "has characters that no URI has";
        if (!colon)
                return "is no URI";
        plus = memchr(text, '+', (size_t)(colon - text));
        if (!is_part(text, plus ?: colon, "qemu") && !is_part(text, plus ?: colon, "test"))
                return "is not of the driver qemu";
        path = colon + strlen("://");
        if (*path && *path != '/')
                return "names a host, and kvmtuned tunes the one it runs on";
        if (plus && !is_part(plus + 1, colon, "unix"))
                return "may lead to another host, and kvmtuned tunes the one it runs on";
        if (text[0] == 'q' ? !is_path_of_qemu(path) : strlen(path) < 2)
                return "has a path that libvirt does not know";
        return NULL;
}
