/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The host as one SVG file that needs nothing else: no script, no style sheet,
 * no font of its own. Everything is measured before it is drawn, by the same
 * functions: what they return is the height they take.
 */

#include "draw_svg.h"

#define MARGIN 28U
#define GAP 18U
#define HEAD 132U

static void measure_columns(Svg *s) {
        static const struct {
                size_t nodes;
                unsigned columns, width;
        } rows[] = { { 1, 1, 620 }, { 4, 2, 500 }, { 9, 3, 400 }, { SIZE_MAX, 4, 380 } };
        size_t i = 0;

        while (s->d->n_nodes > rows[i].nodes)
                i++;
        s->columns = rows[i].columns;
        s->panel_width = rows[i].width;
        s->width = 2 * MARGIN + s->columns * s->panel_width + (s->columns - 1) * GAP;
}

static unsigned row_height(const Svg *s, size_t first) {
        unsigned height = 0;

        for (size_t i = first; i < MIN(first + s->columns, s->d->n_nodes); i++)
                height = MAX(height, svg_node(s, &s->d->nodes[i], 0, 0, 0, false));
        return height;
}

static unsigned nodes(const Svg *s, unsigned y, bool draw) {
        unsigned top = 0;

        for (size_t i = 0; i < s->d->n_nodes; i += s->columns) {
                unsigned height = row_height(s, i);

                for (size_t k = i; draw && k < MIN(i + s->columns, s->d->n_nodes); k++)
                        (void)svg_node(s, &s->d->nodes[k], MARGIN + (unsigned)(k - i) * (s->panel_width + GAP),
                                       y + top, height, true);
                top += height + GAP;
        }
        return top;
}

static void put_counts(const Svg *s) {
        const Drawing *d = s->d;

        (void)fprintf(s->f, "<text x=\"%u\" y=\"62\" font-size=\"13\" fill=\"%s\">", MARGIN, SVG_FAINT);
        draw_count(s->f, d->n_packages, "package");
        (void)fputs(", ", s->f);
        draw_count(s->f, d->n_nodes, "node");
        (void)fputs(", ", s->f);
        draw_count(s->f, d->n_cores, "core");
        (void)fputs(", ", s->f);
        draw_count(s->f, d->n_cpus, "CPU");
        (void)fputs("; ", s->f);
        draw_count(s->f, d->n_guests, "guest");
        (void)fputs(" with ", s->f);
        draw_count(s->f, d->vcpus, "vCPU");
        (void)fputs("</text>\n", s->f);
}

static int append_set(char **text, const char *what, const IdSet *set) {
        _cleanup_free_ char *list = NULL;
        int r;

        if (idset_is_empty(set))
                return 0;
        r = idset_format(set, &list);
        return r < 0 ? r : strprintf_to(text, "%s%s%s %s", *text ? *text : "", *text ? "; " : "CPUs ", what, list);
}

static int put_head(const Svg *s) {
        unsigned half = (s->width - 2 * MARGIN - GAP) / 2;
        _cleanup_free_ char *sets = NULL;
        char text[SVG_TEXT_MAX];
        int r;

        r = append_set(&sets, "offline", &s->d->topology->offline);
        if (r >= 0)
                r = append_set(&sets, "isolated", &s->d->topology->isolated);
        if (r >= 0)
                r = append_set(&sets, "reserved", &s->d->reserved);
        if (r < 0)
                return r;
        svg_bold(s, MARGIN, 42, 20, "KVM host");
        put_counts(s);
        if (sets)
                svg_text(s, s->width - MARGIN, 42, 12, SVG_END, SVG_FAINT, svg_cut(s, sets, 50, text));
        (void)snprintf(text, sizeof(text), "%u vCPUs on %zu CPUs", s->d->vcpus, s->d->n_cpus);
        (void)svg_load(s, MARGIN, 78, half, s->d->snapshot->host.cpu_busy_permyriad, text);
        (void)svg_memory(s, MARGIN + half + GAP, 78, half, NULL);
        return 0;
}

static void put_frame(const Svg *s, unsigned height) {
        (void)fprintf(s->f,
                      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %u %u\" width=\"%u\" "
                      "height=\"%u\" role=\"img\"\n"
                      "     font-family=\"system-ui, 'Segoe UI', 'Noto Sans', 'DejaVu Sans', Helvetica, Arial, "
                      "sans-serif\">\n"
                      "<title>Topology of a KVM host</title>\n"
                      "<defs><pattern id=\"reserved\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" "
                      "patternTransform=\"rotate(45)\"><rect width=\"1.6\" height=\"5\" fill=\"#7b8794\"/>"
                      "</pattern></defs>\n",
                      s->width, height, s->width, height);
        svg_rect(s, 0, 0, s->width, height, 0, "#f6f8f9", "");
}

static int put_all(const Svg *s) {
        unsigned y = HEAD, height;
        int r;

        height = HEAD + nodes(s, 0, false) + svg_anywhere(s, 0, false) + svg_distances(s, 0, false) +
                 svg_legend(s, 0, false) + GAP;
        put_frame(s, height);
        r = put_head(s);
        if (r < 0)
                return r;
        y += nodes(s, y, true);
        y += svg_anywhere(s, y, true);
        y += svg_distances(s, y, true);
        (void)svg_legend(s, y, true);
        (void)fputs("</svg>\n", s->f);
        return 0;
}

int draw_topology_svg(const Snapshot *snapshot, const State *state, const Config *config, char **ret) {
        _cleanup_(drawing_freep) Drawing *d = NULL;
        _cleanup_free_ char *text = NULL;
        bool incomplete = false;
        Svg s = { .incomplete = &incomplete };
        size_t size;
        int r;

        r = drawing_new(snapshot, state, config, &d);
        if (r < 0)
                return r;
        s.d = d;
        svg_give_colors(&s);
        measure_columns(&s);
        s.f = open_memstream(&text, &size);
        if (!s.f)
                return -ENOMEM;
        r = put_all(&s);
        if ((fclose(s.f) != 0 || incomplete) && r >= 0)
                r = -ENOMEM;
        if (r < 0)
                return r;
        *ret = TAKE_PTR(text);
        return 0;
}
