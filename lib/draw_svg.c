/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the SVG picture is made of: shapes, text, colours. */

#include "draw_svg.h"

#include "draw_pen.h"

void svg_rect(const Svg *s, unsigned x, unsigned y, unsigned w, unsigned h, unsigned radius, const char *fill,
              const char *extra) {
        (void)fprintf(s->f, "<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\"", x, y, w, h);
        if (radius > 0)
                (void)fprintf(s->f, " rx=\"%u\"", radius);
        (void)fprintf(s->f, " fill=\"%s\"%s%s/>\n", fill, *extra ? " " : "", extra);
}

void svg_escape(FILE *f, const char *text) {
        for (const unsigned char *p = (const unsigned char *)text; *p; p++)
                switch (*p) {
                case '&':
                        (void)fputs("&amp;", f);
                        break;
                case '<':
                        (void)fputs("&lt;", f);
                        break;
                case '>':
                        (void)fputs("&gt;", f);
                        break;
                case '"':
                        (void)fputs("&quot;", f);
                        break;
                case 0xef:
                        /* U+FFFE and U+FFFF are no characters of XML. */
                        if (p[1] == 0xbf && (p[2] == 0xbe || p[2] == 0xbf)) {
                                (void)fputc('?', f);
                                p += 2;
                                break;
                        }
                        (void)fputc(*p, f);
                        break;
                default:
                        (void)fputc(*p < 0x20 || *p == 0x7f ? '?' : *p, f);
                }
}

void svg_text(const Svg *s, unsigned x, unsigned y, unsigned size, SvgAnchor anchor, const char *fill,
              const char *text) {
        static const char *const anchors[] = { "", " text-anchor=\"middle\"", " text-anchor=\"end\"" };

        (void)fprintf(s->f, "<text x=\"%u\" y=\"%u\" font-size=\"%u\"%s fill=\"%s\">", x, y, size, anchors[anchor],
                      fill);
        svg_escape(s->f, text);
        (void)fputs("</text>\n", s->f);
}

void svg_bold(const Svg *s, unsigned x, unsigned y, unsigned size, const char *text) {
        (void)fprintf(s->f, "<text x=\"%u\" y=\"%u\" font-size=\"%u\" font-weight=\"600\" fill=\"%s\">", x, y, size,
                      SVG_INK);
        svg_escape(s->f, text);
        (void)fputs("</text>\n", s->f);
}

const char *svg_cut(const Svg *s, const char *text, size_t columns, char buf[static SVG_TEXT_MAX]) {
        DrawOptions o = { .unicode = true };
        size_t n = pen_columns(text);
        Pen pen = { fmemopen(buf, SVG_TEXT_MAX, "w"), &o, 0 };

        buf[0] = 0;
        if (!pen.f) {
                *s->incomplete = true;
                return buf;
        }
        pen_padded(&pen, PEN_PLAIN, text, MIN(n, MIN(columns, (size_t)SVG_TEXT_MAX / 5)));
        (void)fclose(pen.f);
        buf[SVG_TEXT_MAX - 1] = 0;
        return buf;
}

/* Two calm hues: cool while there is room, warm from half on; told apart also without colours, by their lightness. */
const char *svg_load_color(uint32_t permyriad) {
        static const char *const ramp[] = { "#e8f1f2", "#e8f1f2", "#c9e1e1", "#c9e1e1", "#9cccc8",
                                            "#f3d9a4", "#f3d9a4", "#e9ae72", "#e9ae72", "#cf6a50" };

        if (permyriad == UNKNOWN_PERMYRIAD)
                return "#f4f5f6";
        return ramp[MIN(permyriad / 1000, 9U)];
}

static uint64_t size_of(const DrawGuest *g) {
        return g->memory_bytes == UNKNOWN_U64 ? 0 : g->memory_bytes;
}

/* Those with CPUs of their own come first, then the largest. */
static bool comes_before(const DrawGuest *a, const DrawGuest *b) {
        if (!a->mark != !b->mark)
                return a->mark;
        return size_of(a) > size_of(b);
}

void svg_give_colors(Svg *s) {
        for (size_t i = 0; i < s->d->n_guests; i++) {
                size_t at = s->n_colored;

                while (at > 0 && comes_before(&s->d->guests[i], &s->d->guests[s->colored[at - 1]]))
                        at--;
                if (at == SVG_COLORS_MAX)
                        continue;
                s->n_colored = MIN(s->n_colored + 1, (size_t)SVG_COLORS_MAX);
                memmove(&s->colored[at + 1], &s->colored[at], (s->n_colored - at - 1) * sizeof(*s->colored));
                s->colored[at] = i;
        }
}

const char *svg_guest_color(const Svg *s, size_t guest) {
        static const char *const palette[SVG_COLORS_MAX] = { "#3f6fa8", "#7d66a9", "#4f8a66", "#a8577e",
                                                             "#8a6f4d", "#3d93a8", "#9a9440", "#6c7a89" };

        for (size_t i = 0; i < s->n_colored; i++)
                if (s->colored[i] == guest)
                        return palette[i];
        return "#9db4c9";
}
