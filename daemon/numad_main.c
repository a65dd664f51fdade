/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "advise.h"

#include <getopt.h>
#include <stdio.h>

#include "../lib/parse.h"

/*
 * libvirt asks `numad -w CPUS:MIB` for a guest with placement='auto', and takes
 * the one line that is printed for a nodeset; any status but 0 keeps the guest
 * from starting, and it waits as long as it takes. So this front answers where
 * it can, does without what it cannot read, and ends in any case.
 */

#define DEADLINE_SEC 10U

static const char usage[] =
        "Usage: numad -w CPUS[:MB]\n"
        "\n"
        "Print the NUMA nodes on which a guest with so many CPUs and MiB of memory\n"
        "should start. This is kvmtuned's answer to libvirt's placement='auto';\n"
        "everything else numad does is done by the daemon, see kvmtuned(8).\n"
        "\n"
        "  -w CPUS[:MB]  ask\n"
        "  -V            print the version\n"
        "  -h            print this text\n";

/* numad takes fractions of a CPU; whole ones are counted. */
static int parse_cpus(const char **p, unsigned *ret) {
        bool fraction = false;
        unsigned cpus;
        int r;

        r = parse_unsigned_prefix(p, &cpus);
        if (r < 0)
                return r;
        if (**p == '.')
                for ((*p)++; **p >= '0' && **p <= '9'; (*p)++)
                        fraction = fraction || **p != '0';
        if (cpus > IDSET_MAX || cpus + fraction == 0 || cpus + fraction > IDSET_MAX)
                return -ERANGE;
        *ret = cpus + fraction;
        return 0;
}

static int parse_request(const char *text, AdviceRequest *ret) {
        uint64_t mib = 0;
        unsigned cpus;
        int r;

        r = parse_cpus(&text, &cpus);
        if (r < 0)
                return r;
        if (*text == ':') {
                text++;
                r = parse_u64_prefix(&text, &mib);
                if (r < 0)
                        return r;
        }
        if (*text || mib > UINT64_MAX / MIB)
                return *text ? -EINVAL : -ERANGE;
        *ret = (AdviceRequest){ .vcpus = cpus, .memory_bytes = mib * MIB };
        return 0;
}

static int refuse(int option) {
        if (option == '?' || option == ':')
                (void)fputs("numad: this is kvmtuned's answer to libvirt's placement='auto': it knows -w alone.\n", stderr);
        else
                (void)fprintf(stderr,
                              "numad: -%c is for a numad daemon, and this is kvmtuned's answer to libvirt's "
                              "placement='auto': it knows -w alone. See kvmtuned.conf(5) for what the daemon does.\n",
                              option);
        return 1;
}

int main(int argc, char **argv) {
        AdviseOptions o = { .reserve = true, .lenient = true, .reservations = ADVISE_RESERVATIONS_FILE,
                            .program = "numad" };
        int c;

        opterr = 0;
        while ((c = getopt(argc, argv, "C:dD:hH:i:K:l:m:p:r:R:S:t:u:vVw:x:")) >= 0)
                switch (c) {
                case 'w':
                        if (parse_request(optarg, &o.request) < 0) {
                                (void)fprintf(stderr, "numad: -w: \"%s\" is not CPUS[:MB] with 1 to 4096 CPUs\n", optarg);
                                return 1;
                        }
                        break;
                case 'h':
                        (void)fputs(usage, stdout);
                        return 0;
                case 'V':
                        (void)printf("kvmtuned %s, as numad -w\n", VERSION);
                        return 0;
                default:
                        return refuse(c);
                }
        if (optind < argc || o.request.vcpus == 0) {
                (void)fputs(usage, stderr);
                return 1;
        }
        (void)alarm(DEADLINE_SEC);
        return advise(&o) < 0 ? 1 : 0;
}
