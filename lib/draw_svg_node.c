/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One node of the SVG picture: bars, cells, guests. */

#include "draw_svg.h"

#include "draw_pen.h"
#include "parse.h"

#define PAD 18U
#define ROW 20U
#define GUESTS_MAX 7U
/* From this share of its memory on, what is remote of a guest is said. */
#define REMOTE_PERMYRIAD 1000U
/* Mean width of a character of size 12. */
#define CHAR_WIDTH 7U

/* ---- bars ------------------------------------------------------------------ */

unsigned svg_load(const Svg *s, unsigned x, unsigned y, unsigned w, uint32_t busy, const char *what) {
        char text[32] = "CPU load not known";

        if (busy != UNKNOWN_PERMYRIAD)
                (void)snprintf(text, sizeof(text), "CPU %u %%", draw_percent(busy));
        svg_text(s, x, y + 12, 13, SVG_START, SVG_INK, text);
        svg_text(s, x + w, y + 12, 12, SVG_END, SVG_FAINT, what);
        svg_rect(s, x, y + 18, w, 8, 4, SVG_FREE, "");
        if (busy != UNKNOWN_PERMYRIAD && busy > 0)
                svg_rect(s, x, y + 18, MAX((unsigned)u64_muldiv(w, MIN(busy, PERMYRIAD_FULL), PERMYRIAD_FULL), 4U), 8,
                         4, svg_load_color(MAX(busy, 4000U)), "");
        return 36;
}

static void put_segment(const Svg *s, unsigned *x, unsigned y, unsigned end, unsigned w, const char *color) {
        unsigned width = MIN(w, end - *x);

        if (width == 0)
                return;
        svg_rect(s, *x, y, width, 14, 0, color, "");
        *x += width;
}

static void put_memory_bar(const Svg *s, unsigned x, unsigned y, unsigned w, const DrawNode *node, uint64_t guests,
                           uint64_t used, uint64_t total) {
        uint64_t named = 0;
        unsigned at = x;

        svg_rect(s, x, y, w, 14, 0, SVG_FREE, "");
        for (size_t i = 0; i < s->n_colored; i++) {
                const DrawGuest *g = &s->d->guests[s->colored[i]];
                uint64_t bytes = node                             ? drawing_guest_on_node(g->guest, node->id)
                                 : g->memory_bytes == UNKNOWN_U64 ? 0
                                                                  : g->memory_bytes;

                named = u64_add(named, bytes);
                put_segment(s, &at, y, x + w, (unsigned)u64_muldiv(w, bytes, total),
                            svg_guest_color(s, s->colored[i]));
        }
        put_segment(s, &at, y, x + w, (unsigned)u64_muldiv(w, u64_sub(guests, named), total),
                    svg_guest_color(s, DRAW_NOBODY));
        put_segment(s, &at, y, x + w, (unsigned)u64_muldiv(w, u64_sub(used, guests), total), SVG_OTHER);
}

unsigned svg_memory(const Svg *s, unsigned x, unsigned y, unsigned w, const DrawNode *node) {
        const HostMemory *m = &s->d->snapshot->host.memory;
        uint64_t guests = node ? node->guests_bytes : s->d->guests_bytes;
        uint64_t total = node ? node->total_bytes : m->total_bytes;
        uint64_t free_bytes = node ? node->free_bytes : m->available_bytes;
        char a[FORMAT_BYTES_MAX], b[FORMAT_BYTES_MAX], text[96];

        (void)snprintf(text, sizeof(text), "Memory, %s of guests",
                       guests > 0 ? format_bytes_short(guests, a) : "none");
        svg_text(s, x, y + 12, 13, SVG_START, SVG_INK, text);
        if (free_bytes == UNKNOWN_U64)
                (void)snprintf(text, sizeof(text), "%s", format_bytes_short(total, b));
        else
                (void)snprintf(text, sizeof(text), "%s free of %s", format_bytes_short(free_bytes, a),
                               format_bytes_short(total, b));
        svg_text(s, x + w, y + 12, 12, SVG_END, SVG_FAINT, text);
        put_memory_bar(s, x, y + 18, w, node, guests, free_bytes == UNKNOWN_U64 ? guests : u64_sub(total, free_bytes),
                       total);
        return 42;
}

static unsigned put_pools(const Svg *s, const DrawNode *n, unsigned x, unsigned y, unsigned w, bool draw) {
        unsigned height = 0;

        for (size_t i = 0; n->memory && i < n->memory->n_pools; i++) {
                const HugePool *pool = &n->memory->pools[i];
                uint64_t used = u64_sub(pool->total_pages, pool->free_pages);
                char size[FORMAT_BYTES_MAX], text[96];

                if (pool->total_pages == 0)
                        continue;
                if (draw) {
                        (void)snprintf(text, sizeof(text), "Huge pages of %s",
                                       format_bytes_short(pool->page_bytes, size));
                        svg_text(s, x, y + height + 12, 13, SVG_START, SVG_INK, text);
                        (void)snprintf(text, sizeof(text), "%llu of %llu used", (unsigned long long)used,
                                       (unsigned long long)pool->total_pages);
                        svg_text(s, x + w, y + height + 12, 12, SVG_END, SVG_FAINT, text);
                        svg_rect(s, x, y + height + 18, w, 6, 3, SVG_FREE, "");
                        if (used > 0)
                                svg_rect(s, x, y + height + 18,
                                         MAX((unsigned)u64_muldiv(w, used, pool->total_pages), 3U), 6, 3,
                                         "#8795a1", "");
                }
                height += 34;
        }
        return height;
}

/* ---- guests ---------------------------------------------------------------- */

static void describe(const DrawGuest *g, char *ret, size_t size) {
        char memory[FORMAT_BYTES_MAX] = "", busy[32] = "";

        if (g->memory_bytes != UNKNOWN_U64)
                (void)format_bytes_short(g->memory_bytes, memory);
        if (g->busy_permyriad != UNKNOWN_U64)
                (void)snprintf(busy, sizeof(busy), ", %u %%", draw_percent(g->busy_permyriad));
        (void)snprintf(ret, size, "%u vCPU%s%s%s%s", g->vcpus, g->vcpus == 1 ? "" : "s", busy, *memory ? ", " : "",
                       memory);
}

static void put_swatch(const Svg *s, unsigned x, unsigned y, size_t guest) {
        char mark[2] = { s->d->guests[guest].mark, 0 };

        svg_rect(s, x, y, 13, 13, 3, svg_guest_color(s, guest), "");
        if (*mark)
                svg_text(s, x + 6, y + 11, 10, SVG_MIDDLE, "#ffffff", mark);
}

static void put_guest(const Svg *s, unsigned x, unsigned y, unsigned w, size_t guest) {
        const DrawGuest *g = &s->d->guests[guest];
        uint64_t remote = u64_muldiv(u64_sub(g->placed_bytes, g->local_bytes), PERMYRIAD_FULL, g->placed_bytes);
        char text[128], cut[SVG_TEXT_MAX], note[48] = "";
        size_t room;

        describe(g, text, sizeof(text));
        if (g->guest->state != GUEST_RUNNING)
                (void)snprintf(note, sizeof(note), "%s", guest_state_to_string(g->guest->state));
        else if (remote >= REMOTE_PERMYRIAD)
                (void)snprintf(note, sizeof(note), "%u %% remote", draw_percent(remote));
        room = (w - 20) / CHAR_WIDTH - strlen(text) - strlen(note) - 3;
        put_swatch(s, x, y + 2, guest);
        svg_text(s, x + 20, y + 13, 13, SVG_START, SVG_INK, svg_cut(s, g->name, room, cut));
        (void)fprintf(s->f,
                      "<text x=\"%u\" y=\"%u\" font-size=\"12\" text-anchor=\"end\" fill=\"%s\">"
                      "<tspan fill=\"%s\">%s</tspan>%s%s</text>\n",
                      x + w, y + 13, SVG_FAINT, SVG_WARN, note, *note ? ", " : "", text);
}

static void put_more(const Svg *s, unsigned x, unsigned y, size_t n) {
        char text[48];

        (void)snprintf(text, sizeof(text), "and %zu more", n);
        svg_text(s, x + 20, y + 13, 12, SVG_START, SVG_FAINT, text);
}

/* Those with a colour first, as everywhere in the picture, then by name. */
static unsigned put_guests(const Svg *s, const DrawNode *n, unsigned x, unsigned y, unsigned w, bool draw) {
        size_t here = 0, shown = 0, limit;

        for (size_t i = 0; i < s->d->n_guests; i++)
                here += drawing_is_on_node(&s->d->guests[i], n->id);
        limit = here > GUESTS_MAX ? GUESTS_MAX - 1 : here;
        for (unsigned colored = 2; colored-- > 0;)
                for (size_t i = 0; i < s->d->n_guests && shown < limit; i++) {
                        bool has_color = !streq(svg_guest_color(s, i), svg_guest_color(s, DRAW_NOBODY));

                        if (has_color != (colored == 1) || !drawing_is_on_node(&s->d->guests[i], n->id))
                                continue;
                        if (draw)
                                put_guest(s, x, y + (unsigned)shown * ROW, w, i);
                        shown++;
                }
        if (shown < here && draw)
                put_more(s, x, y + (unsigned)shown * ROW, here - shown);
        return (unsigned)(shown + (shown < here)) * ROW;
}

/* ---- the panel ------------------------------------------------------------- */

static int node_subtitle(const DrawNode *n, char **ret) {
        _cleanup_free_ char *cpus = NULL, *packages = NULL;

        if (n->n_cpus == 0)
                return strprintf_to(ret, "memory without CPUs");
        if (idset_format(n->cpu_ids, &cpus) < 0 || idset_format(&n->packages, &packages) < 0)
                return -ENOMEM;
        return strprintf_to(ret, "package%s %s, CPU%s %s", idset_count(&n->packages) == 1 ? "" : "s", packages,
                            n->n_cpus == 1 ? "" : "s", cpus);
}

static void put_title(const Svg *s, const DrawNode *n, unsigned x, unsigned y, unsigned w) {
        char title[32], cut[SVG_TEXT_MAX];
        _cleanup_free_ char *text = NULL;

        (void)snprintf(title, sizeof(title), "Node %u", n->id);
        svg_bold(s, x, y, 16, title);
        if (node_subtitle(n, &text) < 0)
                *s->incomplete = true;
        else
                svg_text(s, x + w, y, 12, SVG_END, SVG_FAINT, svg_cut(s, text, (w - 80) / CHAR_WIDTH, cut));
}

static void put_panel(const Svg *s, const DrawNode *n, unsigned x, unsigned y, unsigned height) {
        svg_rect(s, x, y, s->panel_width, height, 10, SVG_PANEL, "stroke=\"" SVG_LINE "\"");
        put_title(s, n, x + PAD, y + 28, s->panel_width - 2 * PAD);
}

unsigned svg_node(const Svg *s, const DrawNode *n, unsigned x, unsigned y, unsigned height, bool draw) {
        unsigned w = s->panel_width - 2 * PAD, inner = x + PAD, at = y + 42, part;
        char text[64];

        if (draw)
                put_panel(s, n, x, y, height);
        if (n->n_cpus > 0) {
                (void)snprintf(text, sizeof(text), "%.*f vCPUs on %zu CPUs", n->vcpus_milli % 1000 ? 1 : 0,
                               (double)n->vcpus_milli / 1000, n->n_cpus);
                at += draw ? svg_load(s, inner, at, w, n->busy_permyriad, text) : 36;
        }
        at += draw ? svg_memory(s, inner, at, w, n) : 42;
        at += put_pools(s, n, inner, at, w, draw);
        if (n->n_cpus > 0)
                at += svg_cores(s, n, inner, at + 2, w, draw) + 10;
        part = put_guests(s, n, inner, at + 2, w, draw);
        return at + part + PAD - y - (part > 0 ? 4 : 8);
}
