/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmd_topology.h"

#include <getopt.h>
#include <stdio.h>

#include "../lib/draw_topology.h"
#include "cmd.h"
#include "look.h"
#include "terminal.h"

typedef struct TopologyOptions {
        LookOptions look;
        DrawOptions draw;
        bool svg, help;
} TopologyOptions;

static const char usage[] =
        "Usage: kvmtuned topology [--svg] [--all] [--snapshot FILE] [--state FILE] [--config FILE]\n"
        "\n"
        "Draw the host: nodes, caches, cores, who is placed where, load and memory.\n"
        "\n"
        "  -s, --snapshot=FILE   of the host in a snapshot, kvmtuned-snapshot(5), not of this one\n"
        "  -S, --state=FILE      what kvmtuned remembers: CPUs that are a guest's own\n"
        "  -c, --config=FILE     the policy, kvmtuned.conf(5): reserved CPUs\n"
        "  -u, --uri=URI         libvirt connection instead of daemon.uri\n"
        "  -g, --svg             print an SVG picture\n"
        "  -a, --all             name every guest\n"
        "  -h, --help            print this text\n";

/* 0, or -EINVAL: the command line is wrong, and getopt or this function said how. */
static int parse_options(int argc, char **argv, TopologyOptions *o) {
        static const struct option options[] = {
                LOOK_LONG_OPTIONS,
                { "svg", no_argument, NULL, 'g' },            { "all", no_argument, NULL, 'a' },
                { "help", no_argument, NULL, 'h' },           { 0 },
        };
        int c;

        /* 0 makes glibc start afresh. */
        optind = 0;
        while ((c = getopt_long(argc, argv, "+" LOOK_OPTIONS "gah", options, NULL)) >= 0)
                switch (c) {
                case 's':
                case 'S':
                case 'c':
                case 'u':
                        look_option(&o->look, c, optarg);
                        break;
                case 'g':
                        o->svg = true;
                        break;
                case 'a':
                        o->draw.all = true;
                        break;
                case 'h':
                        o->help = true;
                        return 0;
                default:
                        return -EINVAL;
                }
        if (optind < argc) {
                (void)fprintf(stderr, "topology: unexpected argument \"%s\"\n", argv[optind]);
                return -EINVAL;
        }
        return 0;
}

static int draw(const Snapshot *snapshot, const State *state, const Config *config, void *userdata) {
        const TopologyOptions *o = userdata;
        _cleanup_free_ char *text = NULL;
        int r;

        r = o->svg ? draw_topology_svg(snapshot, state, config, &text)
                   : draw_topology_text(snapshot, state, config, &o->draw, &text);
        if (cmd_complain("topology", r, NULL) < 0)
                return 1;
        if (cmd_print("topology", text) < 0)
                return 1;
        return 0;
}

int cmd_topology(int argc, char **argv) {
        TopologyOptions o = { 0 };

        if (parse_options(argc, argv, &o) < 0) {
                (void)fputs("Try \"kvmtuned topology --help\".\n", stderr);
                return 2;
        }
        if (o.help) {
                (void)fputs(usage, stdout);
                return 0;
        }
        terminal_look(&o.draw);
        return look(&o.look, draw, &o) == 0 ? 0 : 1;
}
