/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmd_advise.h"

#include <getopt.h>
#include <stdio.h>

#include "../lib/parse.h"
#include "advise.h"

static const char usage[] =
        "Usage: kvmtuned advise --vcpus N --memory SIZE [OPTIONS]\n"
        "\n"
        "Print the NUMA nodes on which a guest of that size should start.\n"
        "\n"
        "  -v, --vcpus=N         its virtual CPUs\n"
        "  -m, --memory=SIZE     its memory, such as 4GiB\n"
        "  -H, --hugepages=SIZE  its memory is in huge pages of that size\n"
        "  -e, --explain         say why, on standard error\n"
        "  -n, --no-reserve      do not write the advice down: nobody will start by it\n"
        "  -c, --config=FILE     the policy, kvmtuned.conf(5)\n"
        "  -S, --state=FILE      what kvmtuned remembers\n"
        "  -s, --snapshot=FILE   of the host in a snapshot, kvmtuned-snapshot(5), not of this one\n"
        "  -h, --help            print this text\n";

static const struct option options[] = {
        { "vcpus", required_argument, NULL, 'v' },     { "memory", required_argument, NULL, 'm' },
        { "hugepages", required_argument, NULL, 'H' }, { "explain", no_argument, NULL, 'e' },
        { "no-reserve", no_argument, NULL, 'n' },      { "config", required_argument, NULL, 'c' },
        { "state", required_argument, NULL, 'S' },     { "snapshot", required_argument, NULL, 's' },
        { "help", no_argument, NULL, 'h' },            { 0 },
};

typedef struct Given {
        bool memory, help;
} Given;

static int wrong(const char *option, const char *value, const char *need) {
        (void)fprintf(stderr, "advise: --%s: \"%s\" is not %s\n", option, value, need);
        return -EINVAL;
}

static int set_vcpus(AdviseOptions *o, const char *value) {
        if (parse_unsigned(value, &o->request.vcpus) < 0 || o->request.vcpus == 0 || o->request.vcpus > IDSET_MAX)
                return wrong("vcpus", value, "a number from 1 to 4096");
        return 0;
}

static int set_hugepages(AdviseOptions *o, const char *value) {
        if (parse_size(value, &o->request.hugepage_bytes) < 0 || o->request.hugepage_bytes == 0)
                return wrong("hugepages", value, "a page size such as 2MiB");
        o->request.hugepages = true;
        return 0;
}

static int set_option(int c, const char *value, AdviseOptions *o, Given *given) {
        switch (c) {
        case 'v':
                return set_vcpus(o, value);
        case 'm':
                given->memory = true;
                return parse_size(value, &o->request.memory_bytes) < 0 ? wrong("memory", value, "a size such as 4GiB") : 0;
        case 'H':
                return set_hugepages(o, value);
        case 'e':
                o->explain = true;
                return 0;
        case 'n':
                o->reserve = false;
                return 0;
        case 'c':
                o->config = value;
                return 0;
        case 'S':
                o->state = value;
                return 0;
        case 's':
                o->snapshot = value;
                return 0;
        case 'h':
                given->help = true;
                return 0;
        default:
                return -EINVAL;
        }
}

/* 0, or -EINVAL: the command line is wrong, and getopt or this function said how. */
static int parse_options(int argc, char **argv, AdviseOptions *o, Given *given) {
        int c, r;

        /* 0 makes glibc start afresh. */
        optind = 0;
        while ((c = getopt_long(argc, argv, "+v:m:H:enc:S:s:h", options, NULL)) >= 0) {
                r = set_option(c, optarg, o, given);
                if (r < 0 || given->help)
                        return r;
        }
        if (optind < argc) {
                (void)fprintf(stderr, "advise: unexpected argument \"%s\"\n", argv[optind]);
                return -EINVAL;
        }
        if (o->request.vcpus == 0 || !given->memory) {
                (void)fprintf(stderr, "advise: --vcpus and --memory are needed\n");
                return -EINVAL;
        }
        return 0;
}

int cmd_advise(int argc, char **argv) {
        AdviseOptions o = { .reserve = true, .reservations = ADVISE_RESERVATIONS_FILE, .program = "advise" };
        Given given = { 0 };

        if (parse_options(argc, argv, &o, &given) < 0) {
                (void)fputs("Try \"kvmtuned advise --help\".\n", stderr);
                return 2;
        }
        if (given.help) {
                (void)fputs(usage, stdout);
                return 0;
        }
        return advise(&o) < 0 ? 1 : 0;
}
