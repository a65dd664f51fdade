/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The command line: what to run, and nothing else. */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#include "cmd_advise.h"
#include "cmd_doctor.h"
#include "cmd_plan.h"
#include "cmd_rules.h"
#include "cmd_test_policy.h"
#include "cmd_topology.h"
#include "run.h"

static void print_help(void) {
        (void)printf("kvmtuned [OPTIONS]                 tune this host's KVM guests until SIGTERM\n"
                     "kvmtuned record [OPTIONS]          print a snapshot of this host and its guests\n"
                     "kvmtuned plan --config FILE --snapshot FILE [--state FILE] [--json]\n"
                     "                                   print what would be done there, and why\n"
                     "kvmtuned advise --vcpus N --memory SIZE [OPTIONS]\n"
                     "                                   print the nodes where such a guest belongs\n"
                     "kvmtuned rules [--at TIME] [--config FILE] [--snapshot FILE] [--all]\n"
                     "                                   print which rules hold, and what follows\n"
                     "kvmtuned test-policy [--config FILE] FILE...\n"
                     "                                   run an administrator's tests of a policy\n"
                     "kvmtuned topology [--svg] [--all] [--snapshot FILE] [--state FILE]\n"
                     "                                   draw a host and who is where on it\n"
                     "kvmtuned doctor [--json] [--all] [--snapshot FILE] [--config FILE]\n"
                     "                                   audit a host and its guests\n"
                     "\n"
                     "  --config FILE          policy file (" DEFAULT_CONFIG ")\n"
                     "  --check-config [FILE]  check the policy file and exit\n"
                     "  --dry-run              decide and log, change nothing\n"
                     "  --once                 one decision, then exit; changes stay\n"
                     "  --restore              put back what is on record as changed, then exit\n"
                     "  --state FILE           record of what was changed (" DEFAULT_STATE ")\n"
                     "  --uri URI              libvirt connection instead of daemon.uri\n"
                     "  --verbose              debug messages\n"
                     "  --version, --help\n"
                     "\n"
                     "See kvmtuned(8), kvmtuned.conf(5), kvmtuned-snapshot(5), kvmtuned-test(5).\n");
}

static int check_config(const char *path) {
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_free_ char *error = NULL;
        int r;

        r = config_load(path, &config, &error);
        if (r < 0 && error) {
                (void)fputs(error, stderr);
                return EXIT_FAILURE;
        }
        if (r < 0) {
                (void)fprintf(stderr, "%s: %s\n", path, strerror(-r));
                return EXIT_FAILURE;
        }
        (void)printf("%s: OK (%zu guests entries, %zu rules)\n", path, config->n_guests, config->n_rules);
        return EXIT_SUCCESS;
}

/* 1 = an option that ends the program was handled with *ret_status. */
static int parse_options(int argc, char **argv, Options *o, int *ret_status) {
        enum { OPT_CONFIG = 256, OPT_CHECK, OPT_DRY_RUN, OPT_ONCE, OPT_RESTORE, OPT_STATE, OPT_URI, OPT_VERBOSE,
               OPT_VERSION, OPT_HELP };
        static const struct option long_options[] = {
                { "config", required_argument, NULL, OPT_CONFIG }, { "check-config", optional_argument, NULL, OPT_CHECK },
                { "dry-run", no_argument, NULL, OPT_DRY_RUN },     { "once", no_argument, NULL, OPT_ONCE },
                { "restore", no_argument, NULL, OPT_RESTORE },     { "state", required_argument, NULL, OPT_STATE },
                { "uri", required_argument, NULL, OPT_URI },       { "verbose", no_argument, NULL, OPT_VERBOSE },
                { "version", no_argument, NULL, OPT_VERSION },     { "help", no_argument, NULL, OPT_HELP },
                { 0 },
        };
        const char *check = NULL;
        bool checking = false;
        int c;

        while ((c = getopt_long(argc, argv, "", long_options, NULL)) >= 0)
                switch (c) {
                case OPT_CONFIG:
                        o->config_path = optarg;
                        break;
                case OPT_CHECK:
                        checking = true;
                        check = optarg;
                        break;
                case OPT_DRY_RUN:
                        o->dry_run = true;
                        break;
                case OPT_ONCE:
                        o->mode = RUN_ONCE;
                        break;
                case OPT_RESTORE:
                        o->mode = RUN_RESTORE;
                        break;
                case OPT_STATE:
                        o->state_path = optarg;
                        break;
                case OPT_URI:
                        o->uri = optarg;
                        break;
                case OPT_VERBOSE:
                        o->verbose = true;
                        break;
                case OPT_VERSION:
                        (void)printf("kvmtuned %s\n", VERSION);
                        *ret_status = EXIT_SUCCESS;
                        return 1;
                case OPT_HELP:
                        print_help();
                        *ret_status = EXIT_SUCCESS;
                        return 1;
                default:
                        return -EINVAL;
                }
        if (checking) {
                if (!check && optind < argc)
                        check = argv[optind++];
                *ret_status = check_config(check ? check : o->config_path ? o->config_path : DEFAULT_CONFIG);
                return 1;
        }
        return optind < argc ? -E2BIG : 0;
}

/* Modes that need no policy do without the file; the daemon never does. */
static void default_config(Options *o) {
        bool optional = o->mode == RUN_RECORD || o->mode == RUN_RESTORE;

        if (!o->config_path && !(optional && access(DEFAULT_CONFIG, F_OK) < 0))
                o->config_path = DEFAULT_CONFIG;
}

int main(int argc, char **argv) {
        Options options = { .mode = RUN_DAEMON, .state_path = DEFAULT_STATE };
        int status = EXIT_SUCCESS, r;

        if (argc > 1 && streq(argv[1], "advise"))
                return cmd_advise(argc - 1, argv + 1);
        if (argc > 1 && streq(argv[1], "plan"))
                return cmd_plan(argc - 1, argv + 1);
        if (argc > 1 && streq(argv[1], "rules"))
                return cmd_rules(argc - 1, argv + 1);
        if (argc > 1 && streq(argv[1], "test-policy"))
                return cmd_test_policy(argc - 1, argv + 1);
        if (argc > 1 && streq(argv[1], "doctor"))
                return cmd_doctor(argc - 1, argv + 1);
        if (argc > 1 && streq(argv[1], "topology"))
                return cmd_topology(argc - 1, argv + 1);
        if (argc > 1 && streq(argv[1], "record")) {
                options.mode = RUN_RECORD;
                argv[1] = argv[0];
                argc--;
                argv++;
        }
        r = parse_options(argc, argv, &options, &status);
        if (r == -E2BIG)
                (void)fprintf(stderr, "kvmtuned: unexpected argument \"%s\"\n", argv[optind]);
        if (r < 0) {
                (void)fprintf(stderr, "Try kvmtuned --help.\n");
                return 2;
        }
        if (r > 0)
                return status;
        default_config(&options);
        r = run_manager(&options);
        if (r == -ENOTRECOVERABLE)
                return EX_CONFIG;
        return r < 0 ? EXIT_FAILURE : r;
}
