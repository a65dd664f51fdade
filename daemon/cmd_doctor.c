/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmd_doctor.h"

#include <getopt.h>
#include <stdio.h>

#include "../lib/doctor.h"
#include "cmd.h"
#include "look.h"
#include "terminal.h"

#define STATUS_FAILED 3

typedef struct DoctorOptions {
        LookOptions look;
        unsigned width;
        bool json, all, help;
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

/* 0, or -EINVAL: the command line is wrong, and getopt or this function said how. */
static int parse_options(int argc, char **argv, DoctorOptions *o) {
        static const struct option options[] = {
                LOOK_LONG_OPTIONS,
                { "json", no_argument, NULL, 'j' },           { "all", no_argument, NULL, 'a' },
                { "help", no_argument, NULL, 'h' },           { 0 },
        };
        int c;

        /* 0 makes glibc start afresh. */
        optind = 0;
        while ((c = getopt_long(argc, argv, "+" LOOK_OPTIONS "jah", options, NULL)) >= 0)
                switch (c) {
                case 's':
                case 'S':
                case 'c':
                case 'u':
                        look_option(&o->look, c, optarg);
                        break;
                case 'j':
                        o->json = true;
                        break;
                case 'a':
                        o->all = true;
                        break;
                case 'h':
                        o->help = true;
                        return 0;
                default:
                        return -EINVAL;
                }
        if (optind < argc) {
                (void)fprintf(stderr, "doctor: unexpected argument \"%s\"\n", argv[optind]);
                return -EINVAL;
        }
        return 0;
}

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
        DrawOptions terminal = { 0 };
        int r;

        if (parse_options(argc, argv, &o) < 0) {
                (void)fputs("Try \"kvmtuned doctor --help\".\n", stderr);
                return STATUS_FAILED;
        }
        if (o.help) {
                (void)fputs(usage, stdout);
                return 0;
        }
        terminal_look(&terminal);
        o.width = MIN(terminal.width ? terminal.width : 80U, 110U);
        r = look(&o.look, examine, &o);
        return r < 0 ? STATUS_FAILED : r;
}
