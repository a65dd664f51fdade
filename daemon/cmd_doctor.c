/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmd_doctor.h"

#include <stdio.h>

#include "../lib/doctor.h"
#include "cmd.h"
#include "look.h"
#include "terminal.h"

#define STATUS_FAILED 3

typedef struct DoctorOptions {
        LookOptions look;
        unsigned width;
        bool json, all;
} DoctorOptions;

static const char usage[] =
        "Usage: kvmtuned doctor [--json] [--all] [--snapshot FILE] [--state FILE] [--config FILE]\n"
        "\n"
        "Audit a host and its guests: what is set up badly, why it matters, what to do.\n"
        "\n"
        "  -s, --snapshot=FILE   the host in a snapshot, kvmtuned-snapshot(5), not this one\n"
        "  -S, --state=FILE      what kvmtuned remembers\n"
        "  -c, --config=FILE     the policy, kvmtuned.conf(5)\n"
        "  -u, --uri=URI         libvirt connection instead of daemon.uri\n"
        "  -j, --json            print JSON\n"
        "  -a, --all             name every guest, and every check that found nothing\n"
        "  -h, --help            print this text\n"
        "\n"
        "Exit status: 0 nothing but notices, 1 warnings, 2 problems, 3 it could not look.\n";

static int examine(const Snapshot *snapshot, const State *state, const Config *config, void *userdata) {
        _cleanup_(diagnosis_freep) Diagnosis *d = NULL;
        const DoctorOptions *o = userdata;
        _cleanup_free_ char *text = NULL;
        int r;

        r = doctor_examine(snapshot, state, config, &d);
        if (r >= 0)
                r = o->json ? diagnosis_format_json(d, &text) : diagnosis_format(d, o->width, o->all, &text);
        if (cmd_complain("doctor", r, NULL) < 0)
                return STATUS_FAILED;
        if (cmd_print("doctor", text) < 0)
                return STATUS_FAILED;
        return diagnosis_status(d);
}

int cmd_doctor(int argc, char **argv) {
        DoctorOptions o = { 0 };
        const CmdOption options[] = {
                LOOK_OPTIONS(&o.look),
                { "json", 'j', .flag = &o.json },
                { "all", 'a', .flag = &o.all },
        };
        DrawOptions terminal = { 0 };
        int r;

        r = cmd_options(argc, argv, options, ELEMENTSOF(options), usage, NULL);
        if (r != 0)
                return r < 0 ? STATUS_FAILED : 0;
        terminal_look(&terminal);
        o.width = MIN(terminal.width ? terminal.width : 80U, 110U);
        r = look(&o.look, examine, &o);
        return r < 0 ? STATUS_FAILED : r;
}
