/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan_text.h"

#define REPLACEMENT "\xef\xbf\xbd"

/* Bytes of the UTF-8 character at @s (RFC 3629: shortest form, no surrogates), 0 when it is none. */
static size_t utf8_length(const unsigned char *s) {
        unsigned char low = 0x80, high = 0xbf;
        size_t n;

        if (s[0] < 0x80)
                return 1;
        if (s[0] >= 0xc2 && s[0] <= 0xdf)
                n = 2;
        else if (s[0] >= 0xe0 && s[0] <= 0xef)
                n = 3;
        else if (s[0] >= 0xf0 && s[0] <= 0xf4)
                n = 4;
        else
                return 0;
        if (s[0] == 0xe0)
                low = 0xa0;
        else if (s[0] == 0xed)
                high = 0x9f;
        else if (s[0] == 0xf0)
                low = 0x90;
        else if (s[0] == 0xf4)
                high = 0x8f;
        if (s[1] < low || s[1] > high)
                return 0;
        for (size_t i = 2; i < n; i++)
                if (s[i] < 0x80 || s[i] > 0xbf)
                        return 0;
        return n;
}

static void put_json_ascii(FILE *f, unsigned char c) {
        switch (c) {
        case '"':
        case '\\':
                (void)fprintf(f, "\\%c", c);
                break;
        case '\n':
                (void)fputs("\\n", f);
                break;
        case '\t':
                (void)fputs("\\t", f);
                break;
        default:
                if (c < 0x20 || c == 0x7f)
                        (void)fprintf(f, "\\u%04x", c);
                else
                        (void)fputc(c, f);
        }
}

static void put_text_ascii(FILE *f, unsigned char c) {
        if (c < 0x20 || c == 0x7f)
                (void)fprintf(f, "\\x%02x", c);
        else
                (void)fputc(c, f);
}

static void put_lines_ascii(FILE *f, unsigned char c) {
        if (c == '\n' || c == '\t')
                (void)fputc(c, f);
        else
                put_text_ascii(f, c);
}

static void put_clean(FILE *f, const char *s, void (*put_ascii)(FILE *, unsigned char)) {
        const unsigned char *p = (const unsigned char *)s;

        while (*p) {
                size_t n = utf8_length(p);

                /* U+0080..U+009F are control characters, too. */
                if (n == 0 || (n == 2 && p[0] == 0xc2 && p[1] < 0xa0))
                        (void)fputs(REPLACEMENT, f);
                else if (n == 1)
                        put_ascii(f, *p);
                else
                        (void)fwrite(p, 1, n, f);
                p += n == 0 ? 1 : n;
        }
}

void plan_put_text(FILE *f, const char *s) {
        put_clean(f, s, put_text_ascii);
}

void plan_put_json(FILE *f, const char *s) {
        if (!s) {
                (void)fputs("null", f);
                return;
        }
        (void)fputc('"', f);
        put_clean(f, s, put_json_ascii);
        (void)fputc('"', f);
}

void plan_put_json_member(FILE *f, const char *key, const char *value) {
        (void)fprintf(f, ", \"%s\": ", key);
        plan_put_json(f, value);
}

void plan_put_json_separator(FILE *f, size_t i, size_t n) {
        if (i == n)
                (void)fputs(n == 0 ? "]" : "\n  ]", f);
        else
                (void)fputs(i == 0 ? "\n    " : ",\n    ", f);
}

static void put_raw_ascii(FILE *f, unsigned char c) {
        (void)fputc(c, f);
}

static int cleaned(const char *s, void (*put_ascii)(FILE *, unsigned char), char **ret) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return -ENOMEM;
        put_clean(f, s, put_ascii);
        if (fclose(f) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(text);
        return 0;
}

int plan_clean_text(const char *s, char **ret) {
        return cleaned(s, put_text_ascii, ret);
}

int plan_clean_lines(const char *s, char **ret) {
        return cleaned(s, put_lines_ascii, ret);
}

int plan_valid_text(const char *s, char **ret) {
        return cleaned(s, put_raw_ascii, ret);
}

size_t plan_text_width(const char *s) {
        size_t n = 0;

        for (; *s; s++)
                n += ((unsigned char)*s & 0xc0) != 0x80;
        return n;
}

void plan_put_padded(FILE *f, const char *s, size_t width) {
        (void)fputs(s, f);
        for (size_t n = plan_text_width(s); n < width; n++)
                (void)fputc(' ', f);
        (void)fputc(' ', f);
}
