/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "draw_pen.h"

/* Of the load of a CPU: half and nine tenths of it are where people look twice. */
#define BUSY_PERMYRIAD 5000U
#define HOT_PERMYRIAD 9000U

static const char *const colors[_PEN_COLOR_MAX] = {
        [PEN_PLAIN] = "\x1b[0m", [PEN_BOLD] = "\x1b[1m",   [PEN_DIM] = "\x1b[2m",
        [PEN_CALM] = "\x1b[32m", [PEN_BUSY] = "\x1b[33m",  [PEN_HOT] = "\x1b[31m",
        [PEN_GUEST] = "\x1b[36m", [PEN_OTHER] = "\x1b[35m", [PEN_MARK] = "\x1b[1;36m",
};

void pen_color(const Pen *p, PenColor c) {
        if (p->o->color)
                (void)fputs(colors[c], p->f);
}

void pen_text(const Pen *p, PenColor c, const char *text) {
        if (c != PEN_PLAIN)
                pen_color(p, c);
        (void)fputs(text, p->f);
        if (c != PEN_PLAIN)
                pen_color(p, PEN_PLAIN);
}

static void put_repeated(const Pen *p, const char *text, size_t n) {
        for (size_t i = 0; i < n; i++)
                (void)fputs(text, p->f);
}

/* The character at *@p, which then points behind it. */
static uint32_t next_character(const unsigned char **p) {
        uint32_t c = *(*p)++;

        if (c >= 0xf0)
                c &= 0x07;
        else if (c >= 0xc0)
                c &= c >= 0xe0 ? 0x0f : 0x1f;
        while ((**p & 0xc0) == 0x80)
                c = c << 6 | (*(*p)++ & 0x3f);
        return c;
}

/* The blocks of Unicode 15's EastAsianWidth.txt that are wide, or nearly so; wcwidth() needs a locale. */
static size_t columns_of(uint32_t c) {
        static const uint32_t wide[][2] = { { 0x1100, 0x115f },   { 0x2e80, 0x303e },   { 0x3041, 0xa4cf },
                                            { 0xac00, 0xd7a3 },   { 0xf900, 0xfaff },   { 0xfe30, 0xfe6f },
                                            { 0xff01, 0xff60 },   { 0xffe0, 0xffe6 },   { 0x1f300, 0x1f64f },
                                            { 0x1f900, 0x1faff }, { 0x20000, 0x3fffd } };

        if ((c >= 0x300 && c <= 0x36f) || c == 0x200d || (c >= 0xfe00 && c <= 0xfe0f))
                return 0;
        for (size_t i = 0; i < ELEMENTSOF(wide); i++)
                if (c >= wide[i][0] && c <= wide[i][1])
                        return 2;
        return 1;
}

size_t pen_columns(const char *text) {
        const unsigned char *p = (const unsigned char *)text;
        size_t n = 0;

        while (*p)
                n += columns_of(next_character(&p));
        return n;
}

/* What fits into @width columns. Returns how many it took. */
static size_t put_columns(const Pen *p, const char *text, size_t width) {
        const unsigned char *at = (const unsigned char *)text, *begin = at;
        size_t used = 0;

        while (*at) {
                const unsigned char *next = at;
                size_t n = columns_of(next_character(&next));

                if (used + n > width)
                        break;
                used += n;
                at = next;
        }
        (void)fwrite(begin, 1, (size_t)(at - begin), p->f);
        return used;
}

void pen_padded(const Pen *p, PenColor c, const char *text, size_t width) {
        size_t n = pen_columns(text);

        if (c != PEN_PLAIN)
                pen_color(p, c);
        if (n <= width) {
                (void)fputs(text, p->f);
                put_repeated(p, " ", width - n);
        } else {
                n = put_columns(p, text, width > 0 ? width - 1 : 0);
                put_repeated(p, p->o->unicode ? "\xe2\x80\xa6" : "~", width > 0);
                put_repeated(p, " ", width > 0 ? width - 1 - n : 0);
        }
        if (c != PEN_PLAIN)
                pen_color(p, PEN_PLAIN);
}

void pen_rule(const Pen *p, size_t width) {
        pen_color(p, PEN_DIM);
        put_repeated(p, p->o->unicode ? "\xe2\x94\x80" : "-", width);
        pen_color(p, PEN_PLAIN);
}

PenColor pen_load_color(uint32_t permyriad) {
        if (permyriad == UNKNOWN_PERMYRIAD)
                return PEN_DIM;
        return permyriad >= HOT_PERMYRIAD ? PEN_HOT : permyriad >= BUSY_PERMYRIAD ? PEN_BUSY : PEN_CALM;
}

void pen_load(const Pen *p, uint32_t permyriad) {
        static const char *const blocks[] = { "\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83", "\xe2\x96\x84",
                                              "\xe2\x96\x85", "\xe2\x96\x86", "\xe2\x96\x87", "\xe2\x96\x88" };
        static const char *const ascii[] = { "_", ".", ":", "-", "=", "+", "*", "#" };
        size_t step = MIN((size_t)permyriad * ELEMENTSOF(blocks) / PERMYRIAD_FULL, ELEMENTSOF(blocks) - 1);

        if (permyriad == UNKNOWN_PERMYRIAD)
                pen_text(p, PEN_DIM, "?");
        else
                pen_text(p, pen_load_color(permyriad), p->o->unicode ? blocks[step] : ascii[step]);
}

static const char *full_block(const Pen *p) {
        return p->o->unicode ? "\xe2\x96\x88" : "#";
}

static const char *half_block(const Pen *p) {
        return p->o->unicode ? "\xe2\x96\x92" : "+";
}

static const char *light_block(const Pen *p) {
        return p->o->unicode ? "\xe2\x96\x91" : ".";
}

static void put_part(const Pen *p, PenColor c, const char *text, size_t n) {
        if (n == 0)
                return;
        pen_color(p, c);
        put_repeated(p, text, n);
        pen_color(p, PEN_PLAIN);
}

/* Half up; something is never drawn as nothing. */
static unsigned part_of(uint64_t amount, uint64_t total, unsigned width) {
        uint64_t n = u64_muldiv(amount, 2ULL * width, total);

        n = (n + 1) / 2;
        return (unsigned)MIN(MAX(n, (uint64_t)(amount > 0)), (uint64_t)width);
}

void pen_load_bar(const Pen *p, uint32_t permyriad, unsigned width) {
        unsigned n = permyriad == UNKNOWN_PERMYRIAD ? 0 : part_of(permyriad, PERMYRIAD_FULL, width);

        put_part(p, pen_load_color(permyriad), full_block(p), n);
        put_part(p, PEN_DIM, light_block(p), width - n);
}

void pen_memory_bar(const Pen *p, uint64_t guests, uint64_t other, uint64_t total, unsigned width) {
        unsigned g = part_of(guests, total, width), rest;

        rest = MIN(part_of(other, total, width), width - g);
        put_part(p, PEN_GUEST, full_block(p), g);
        put_part(p, PEN_OTHER, half_block(p), rest);
        put_part(p, PEN_DIM, light_block(p), width - g - rest);
}
