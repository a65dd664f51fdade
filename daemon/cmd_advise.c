/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmd_advise.h"

#include <stdio.h>

#include "../lib/parse.h"
#include "advise.h"
#include "cmd.h"

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

/* --memory was not given; 0 may be. */
#define NO_MEMORY UINT64_MAX

static int wrong(const char *option, const char *value, const char *need) {
        (void)fprintf(stderr, "advise: --%s: \"%s\" is not %s\n", option, value, need);
        return -EINVAL;
}

static int set_vcpus(const char *value, void *userdata) {
        AdviceRequest *request = userdata;

        if (parse_unsigned(value, &request->vcpus) < 0 || request->vcpus == 0 || request->vcpus > IDSET_MAX)
                return wrong("vcpus", value, "a number from 1 to 4096");
        return 0;
}

static int set_memory(const char *value, void *userdata) {
        AdviceRequest *request = userdata;

        return parse_size(value, &request->memory_bytes) < 0 ? wrong("memory", value, "a size such as 4GiB") : 0;
}

static int set_hugepages(const char *value, void *userdata) {
        AdviseOptions *o = userdata;

        if (parse_size(value, &o->request.hugepage_bytes) < 0 || o->request.hugepage_bytes == 0)
                return wrong("hugepages", value, "a page size such as 2MiB");
        o->request.hugepages = true;
        return 0;
}

int cmd_advise(int argc, char **argv) {
        AdviseOptions o = { .request.memory_bytes = NO_MEMORY, .reservations = ADVISE_RESERVATIONS_FILE,
                            .program = "advise" };
        bool no_reserve = false;
        const CmdOption options[] = {
                { "vcpus", 'v', .parse = set_vcpus, .userdata = &o.request },
                { "memory", 'm', .parse = set_memory, .userdata = &o.request },
                { "hugepages", 'H', .parse = set_hugepages, .userdata = &o },
                { "explain", 'e', .flag = &o.explain },
                { "no-reserve", 'n', .flag = &no_reserve },
                { "config", 'c', .text = &o.config },
                { "state", 'S', .text = &o.state },
                { "snapshot", 's', .text = &o.snapshot },
        };
        int r;

        r = cmd_options(argc, argv, options, ELEMENTSOF(options), usage, NULL);
        if (r == 0 && (o.request.vcpus == 0 || o.request.memory_bytes == NO_MEMORY))
                r = cmd_usage("advise", "--vcpus and --memory are needed");
        if (r != 0)
                return r < 0 ? 2 : 0;
        o.reserve = !no_reserve;
        return advise(&o) < 0 ? 1 : 0;
}
