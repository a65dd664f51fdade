/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmd.h"

#include <getopt.h>
#include <stdio.h>

/* What getopt_long(3) wants of the same table, and --help, which each command has. */
typedef struct Getopt {
        struct option options[CMD_OPTIONS_MAX + 2];
        char letters[2 * CMD_OPTIONS_MAX + 3];
} Getopt;

static Getopt getopt_of(const CmdOption *options, size_t n, bool arguments) {
        Getopt g = { 0 };
        char *p = g.letters;

        if (!arguments)
                *p++ = '+';
        for (size_t i = 0; i < n; i++) {
                bool value = !options[i].flag;

                g.options[i] = (struct option){ options[i].name, value ? required_argument : no_argument, NULL,
                                                options[i].letter };
                *p++ = options[i].letter;
                if (value)
                        *p++ = ':';
        }
        g.options[n] = (struct option){ "help", no_argument, NULL, 'h' };
        *p = 'h';
        return g;
}

static int set_option(const CmdOption *options, size_t n, int letter, const char *value) {
        for (size_t i = 0; i < n; i++) {
                if (options[i].letter != letter)
                        continue;
                if (options[i].parse)
                        return options[i].parse(value, options[i].userdata);
                if (options[i].flag)
                        *options[i].flag = true;
                else
                        *options[i].text = value;
                return 0;
        }
        return -EINVAL;
}

static int read_options(int argc, char **argv, const CmdOption *options, size_t n, const char *usage,
                        bool arguments) {
        Getopt g = getopt_of(options, n, arguments);
        int c, r;

        /* 0 makes glibc start afresh: the caller has used getopt for its own options. */
        optind = 0;
        while ((c = getopt_long(argc, argv, g.letters, g.options, NULL)) >= 0) {
                if (c == 'h') {
                        (void)fputs(usage, stdout);
                        return 1;
                }
                r = set_option(options, n, c, optarg);
                if (r < 0)
                        return r;
        }
        if (arguments || optind >= argc)
                return 0;
        (void)fprintf(stderr, "%s: unexpected argument \"%s\"\n", argv[0], argv[optind]);
        return -EINVAL;
}

int cmd_usage(const char *command, const char *text) {
        if (text)
                (void)fprintf(stderr, "%s: %s\n", command, text);
        (void)fprintf(stderr, "Try \"kvmtuned %s --help\".\n", command);
        return -EINVAL;
}

int cmd_options(int argc, char **argv, const CmdOption *options, size_t n, const char *usage, int *ret_first) {
        int r;

        r = read_options(argc, argv, options, MIN(n, CMD_OPTIONS_MAX), usage, ret_first);
        if (r < 0)
                return cmd_usage(argv[0], NULL);
        if (ret_first)
                *ret_first = optind;
        return r;
}
