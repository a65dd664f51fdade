/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmd_plan.h"

#include <stdio.h>

#include "../lib/config.h"
#include "../lib/policy.h"
#include "../lib/snapshot_file.h"
#include "cmd.h"

typedef struct PlanOptions {
        const char *config, *snapshot, *state;
        bool json;
} PlanOptions;

static const char usage[] =
        "Usage: kvmtuned plan --config FILE --snapshot FILE [--state FILE] [--json]\n"
        "\n"
        "Print what kvmtuned would do, and what it would not do and why.\n"
        "\n"
        "  -c, --config=FILE     the policy, kvmtuned.conf(5)\n"
        "  -s, --snapshot=FILE   the host and its guests, kvmtuned-snapshot(5)\n"
        "  -S, --state=FILE      what kvmtuned remembers; without it, nothing\n"
        "  -j, --json            print JSON\n"
        "  -h, --help            print this text\n";

static int parse_options(int argc, char **argv, PlanOptions *o) {
        const CmdOption options[] = {
                { "config", 'c', .text = &o->config }, { "snapshot", 's', .text = &o->snapshot },
                { "state", 'S', .text = &o->state },   { "json", 'j', .flag = &o->json },
        };
        int r;

        r = cmd_options(argc, argv, options, ELEMENTSOF(options), usage, NULL);
        if (r == 0 && (!o->config || !o->snapshot))
                return cmd_usage("plan", "--config and --snapshot are needed");
        return r;
}

static int make_plan(const PlanOptions *o, Plan **ret) {
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_(snapshot_freep) Snapshot *snapshot = NULL;
        _cleanup_(state_freep) State *state = NULL;
        _cleanup_free_ char *config_error = NULL, *snapshot_error = NULL;
        int c, s, r;

        /* Both, so that one run shows what is wrong in either. */
        c = config_load(o->config, &config, &config_error);
        c = cmd_complain(o->config, c, config_error);
        s = snapshot_load(o->snapshot, &snapshot, &snapshot_error);
        s = cmd_complain(o->snapshot, s, snapshot_error);
        r = o->state ? cmd_load_state(o->state, &state) : cmd_complain("state", state_new(&state), NULL);
        if (c < 0 || s < 0 || r < 0)
                return -EBADMSG;
        r = policy_decide(&(PolicyInput){ .config = config, .snapshot = snapshot, .explain = true }, state, ret);
        return cmd_complain("plan", r, NULL);
}

int cmd_plan(int argc, char **argv) {
        _cleanup_(plan_freep) Plan *plan = NULL;
        _cleanup_free_ char *text = NULL;
        PlanOptions o = { 0 };
        int r;

        r = parse_options(argc, argv, &o);
        if (r != 0)
                return r < 0 ? 2 : 0;
        if (make_plan(&o, &plan) < 0)
                return 1;
        if (cmd_complain("plan", plan_format(plan, o.json, &text), NULL) < 0)
                return 1;
        return cmd_print("plan", text) < 0 ? 1 : 0;
}
