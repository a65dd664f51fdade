/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmd_topology.h"

#include <stdio.h>

#include "../lib/draw_topology.h"
#include "cmd.h"
#include "look.h"
#include "terminal.h"

typedef struct TopologyOptions {
        LookOptions look;
        DrawOptions draw;
        bool svg, json;
} TopologyOptions;

static const char usage[] =
        "Usage: kvmtuned topology [--svg | --json] [--all] [--snapshot FILE] [--state FILE] [--config FILE]\n"
        "\n"
        "Draw the host: nodes, caches, cores, who is placed where, load and memory.\n"
        "\n"
        "  -s, --snapshot=FILE   of the host in a snapshot, kvmtuned-snapshot(5), not of this one\n"
        "  -S, --state=FILE      what kvmtuned remembers: CPUs that are a guest's own\n"
        "  -c, --config=FILE     the policy, kvmtuned.conf(5): reserved CPUs\n"
        "  -u, --uri=URI         libvirt connection instead of daemon.uri\n"
        "  -g, --svg             print an SVG picture\n"
        "  -j, --json            print JSON\n"
        "  -a, --all             name every guest\n"
        "  -h, --help            print this text\n";

static int draw(const Snapshot *snapshot, const State *state, const Config *config, void *userdata) {
        const TopologyOptions *o = userdata;
        _cleanup_free_ char *text = NULL;
        int r;

        r = o->svg    ? draw_topology_svg(snapshot, state, config, &text)
            : o->json ? draw_topology_json(snapshot, state, config, &text)
                      : draw_topology_text(snapshot, state, config, &o->draw, &text);
        if (cmd_complain("topology", r, NULL) < 0)
                return 1;
        if (cmd_print("topology", text) < 0)
                return 1;
        return 0;
}

int cmd_topology(int argc, char **argv) {
        TopologyOptions o = { 0 };
        const CmdOption options[] = {
                LOOK_OPTIONS(&o.look),
                { "svg", 'g', .flag = &o.svg },
                { "json", 'j', .flag = &o.json },
                { "all", 'a', .flag = &o.draw.all },
        };
        int r;

        r = cmd_options(argc, argv, options, ELEMENTSOF(options), usage, NULL);
        if (r != 0)
                return r < 0 ? 2 : 0;
        terminal_look(&o.draw);
        return look(&o.look, draw, &o) == 0 ? 0 : 1;
}
