/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The command line: options anywhere, one verb, its arguments. */

#include <getopt.h>

#include "../daemon/terminal.h"
#include "../lib/parse.h"
#include "ctl.h"

/* What status, monitor and log show of the log without --lines. */
#define LINES_FEW 5U
#define LINES_MANY 200U

/* What not every verb takes. One that is given and does nothing would be taken for done: "-g db-1 pause". */
enum { TAKES_GUEST = 1, TAKES_ALL = 2, TAKES_LINES = 4, TAKES_JSON = 8, TAKES_SVG = 16 };

static const struct {
        const char *name;
        int least, most;                /* arguments; -1: any number */
        Verb run;
        unsigned takes, lines;
        const char *needs;
} verbs[] = {
        { "status", 0, 0, show_status, TAKES_LINES | TAKES_JSON, LINES_FEW, NULL },
        { "guests", 0, 0, show_guests, TAKES_ALL | TAKES_JSON, 0, NULL },
        { "explain", 1, 1, show_explanation, TAKES_ALL | TAKES_JSON, 0, "GUEST" },
        { "plan", 0, 0, show_plan, TAKES_JSON, 0, NULL },
        { "rules", 0, 0, show_rules, TAKES_JSON, 0, NULL },
        { "settings", 0, 1, show_settings, TAKES_GUEST | TAKES_ALL | TAKES_JSON, 0, NULL },
        { "log", 0, 1, show_log, TAKES_GUEST | TAKES_LINES | TAKES_JSON, LINES_MANY, NULL },
        { "snapshot", 0, 0, show_snapshot, 0, 0, NULL },
        { "topology", 0, 0, show_topology, TAKES_ALL | TAKES_JSON | TAKES_SVG, 0, NULL },
        { "doctor", 0, 0, show_doctor, TAKES_ALL | TAKES_JSON, 0, NULL },
        { "monitor", 0, 0, monitor, TAKES_ALL | TAKES_LINES | TAKES_JSON, LINES_FEW, NULL },
        { "set", 2, -1, change_set, TAKES_GUEST | TAKES_JSON, 0, "KEY VALUE" },
        { "unset", 1, 1, change_unset, TAKES_GUEST | TAKES_JSON, 0, "KEY" },
        { "pause", 0, 0, change_pause, TAKES_JSON, 0, NULL },
        { "resume", 0, 0, change_resume, TAKES_JSON, 0, NULL },
        { "reload", 0, 0, change_reload, TAKES_JSON, 0, NULL },
        { "restore", 0, 0, change_restore, TAKES_JSON, 0, NULL },
};

static const char help[] =
        "kvmtunectl [OPTIONS] VERB [ARGUMENTS]\n"
        "\n"
        "  status              what the daemon does, how the host is; also without a verb\n"
        "  guests              a line for each guest\n"
        "  explain GUEST       where it is, what was done, what was not, why, what next\n"
        "  plan                what would be done now, and why\n"
        "  rules               which rules hold\n"
        "  settings [GUEST]    settings in force, and where each comes from\n"
        "  log [GUEST]         what was done lately\n"
        "  topology            the host drawn: nodes, caches, cores, who is where\n"
        "  doctor              what is set up badly, why it matters, what to do\n"
        "  monitor             status, guests, log and plan, refreshed\n"
        "  snapshot            the host as the daemon sees it, kvmtuned-snapshot(5)\n"
        "\n"
        "  set KEY VALUE       wins over the policy file until that is loaded again\n"
        "  unset KEY           takes that back\n"
        "  pause, resume       change nothing more; go on\n"
        "  reload              load the policy file again\n"
        "  restore             put back everything that was changed, and pause\n"
        "\n"
        "  -g, --guest GUEST   set, unset, settings, log: of this guest alone\n"
        "  -a, --all           settings, explain: also what is as built in;\n"
        "                      topology, doctor: every guest;\n"
        "                      guests, monitor: every column\n"
        "      --svg           topology: an SVG picture\n"
        "  -n, --lines N       so many lines of the log\n"
        "  -j, --json          for programs\n"
        "  -H, --host USER@HOST  the daemon of another machine, by ssh\n"
        "  -s, --snapshot FILE   no daemon: answer from a recorded snapshot ...\n"
        "  -c, --config FILE     ... and this policy file\n"
        "  -S, --state FILE      ... and this state\n"
        "      --no-pager      do not pipe through a pager\n"
        "      --no-ask-password  do not ask for a password: refuse\n"
        "  -h, --help, --version\n"
        "\n"
        "See kvmtunectl(1).\n";

enum { OPT_NO_PAGER = 256, OPT_NO_PASSWORD, OPT_SVG, OPT_VERSION };

static const struct option long_options[] = {
        { "guest", required_argument, NULL, 'g' },    { "all", no_argument, NULL, 'a' },
        { "lines", required_argument, NULL, 'n' },    { "json", no_argument, NULL, 'j' },
        { "host", required_argument, NULL, 'H' },     { "snapshot", required_argument, NULL, 's' },
        { "config", required_argument, NULL, 'c' },   { "state", required_argument, NULL, 'S' },
        { "no-pager", no_argument, NULL, OPT_NO_PAGER }, { "version", no_argument, NULL, OPT_VERSION },
        { "svg", no_argument, NULL, OPT_SVG },        { "help", no_argument, NULL, 'h' },
        { "no-ask-password", no_argument, NULL, OPT_NO_PASSWORD },
        { 0 },
};

_printf_(1, 2)
static CtlStatus wrong(const char *format, ...) {
        va_list ap;

        (void)fputs("kvmtunectl: ", stderr);
        va_start(ap, format);
        (void)vfprintf(stderr, format, ap);
        va_end(ap);
        (void)fputs("\nTry \"kvmtunectl --help\".\n", stderr);
        return CTL_USAGE;
}

static int set_option(Ctl *o, int c, const char *value) {
        switch (c) {
        case 'g':
                /* Not "" of a variable without a value: that would be the host and every guest. */
                o->guest = value;
                return value[0] ? 0 : -EINVAL;
        case 'a':
                o->all = true;
                return 0;
        case 'n':
                return parse_unsigned(value, &o->lines) < 0 || o->lines == 0 ? -EINVAL : 0;
        case 'j':
                o->json = true;
                return 0;
        case 'H':
                o->host = value;
                return value[0] ? 0 : -EINVAL;
        case 's':
                o->snapshot = value;
                return 0;
        case 'c':
                o->config = value;
                return 0;
        case 'S':
                o->state = value;
                return 0;
        case OPT_SVG:
                o->svg = true;
                return 0;
        case OPT_NO_PAGER:
                o->no_pager = true;
                return 0;
        case OPT_NO_PASSWORD:
                o->no_password = true;
                return 0;
        default:
                return -EINVAL;
        }
}

/* The name of one that was given and is not among those it @takes; NULL: there is none. */
static const char *option_too_many(const Ctl *o, unsigned takes) {
        const struct {
                unsigned option;
                bool given;
                const char *name;
        } options[] = {
                { TAKES_GUEST, o->guest, "--guest" }, { TAKES_ALL, o->all, "--all" },
                { TAKES_LINES, o->lines > 0, "--lines" }, { TAKES_JSON, o->json, "--json" },
                { TAKES_SVG, o->svg, "--svg" },
        };

        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                if (options[i].given && !(takes & options[i].option))
                        return options[i].name;
        return NULL;
}

static CtlStatus run_verb(Ctl *o, size_t verb, char **arguments, int n) {
        const char *option = option_too_many(o, verbs[verb].takes);
        CtlStatus status;

        if (option)
                return wrong("%s does not go with %s", option, verbs[verb].name);
        if (n < verbs[verb].least)
                return wrong("%s needs %s", verbs[verb].name, verbs[verb].needs);
        if (verbs[verb].most >= 0 && n > verbs[verb].most)
                return wrong("unexpected argument \"%s\"", arguments[verbs[verb].most]);
        /* Of a variable without a value: "" is the host to the daemon, and not what was asked for. */
        for (int i = 0; i < n; i++)
                if (!arguments[i][0])
                        return wrong("%s: an argument is empty", verbs[verb].name);
        if (o->lines == 0)
                o->lines = verbs[verb].lines;
        status = source_open(o);
        if (status == CTL_OK)
                status = verbs[verb].run(o, arguments, n);
        if (fflush(stdout) != 0 && errno != EPIPE) {
                (void)fprintf(stderr, "kvmtunectl: cannot write: %s\n", strerrordesc_np(errno));
                status = CTL_FAILED;
        }
        pager_end();
        o->source = source_free(o->source);
        return status;
}

int main(int argc, char **argv) {
        Ctl o = { 0 };
        const char *verb = "status";
        int c;

        terminal_look(&o.draw);
        o.columns = isatty(STDOUT_FILENO) ? o.draw.width : 0;
        while ((c = getopt_long(argc, argv, "g:an:jH:s:c:S:h", long_options, NULL)) >= 0) {
                if (c == 'h' || c == OPT_VERSION) {
                        (void)fputs(c == 'h' ? help : "kvmtunectl " VERSION "\n", stdout);
                        return CTL_OK;
                }
                if (set_option(&o, c, optarg) < 0)
                        return c == 'n' ? (int)wrong("\"%s\" is not a number of lines", optarg)
                             : c == 'g' ? (int)wrong("--guest is empty")
                             : c == 'H' ? (int)wrong("--host is empty") : CTL_USAGE;
        }
        if (!o.snapshot && (o.config || o.state))
                return (int)wrong("--config and --state go with --snapshot");
        if (o.snapshot && o.host)
                return (int)wrong("--host asks a daemon, --snapshot does not: one of the two");
        if (o.json && o.svg)
                return (int)wrong("--json or --svg: one of the two");
        if (optind < argc)
                verb = argv[optind++];
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (streq(verbs[i].name, verb))
                        return (int)run_verb(&o, i, argv + optind, argc - optind);
        return (int)wrong("unknown verb \"%s\"", verb);
}
