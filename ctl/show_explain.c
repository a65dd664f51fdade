/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Everything about one guest: where it is, what is set, what was done, what is not done and why, what comes next. */

#include <inttypes.h>

#include "ctl.h"

static void title(const Ctl *c, const char *text) {
        (void)printf("\n%s%s%s\n", ctl_colour(c, CTL_BOLD), text, ctl_colour(c, CTL_PLAIN));
}

static void show_summary(const Ctl *c, const Value *v) {
        char a[SHOW_MAX], b[SHOW_MAX];

        (void)fputs(ctl_colour(c, CTL_BOLD), stdout);
        show_text(stdout, value_string(v, "name"));
        (void)printf("%s  %s, %s", ctl_colour(c, CTL_PLAIN), value_string(v, "uuid") ?: "?",
                     value_string(v, "state") ?: "?");
        if (value_string(v, "class")) {
                (void)fputs(", class ", stdout);
                show_text(stdout, value_string(v, "class"));
        }
        (void)printf("\n  %" PRIu64 " of %" PRIu64 " vCPUs, busy %s", value_number(v, "vcpus"),
                     value_number(v, "vcpus_maximum"), show_percent(v, "busy_permyriad", a));
        (void)printf("; memory %s", show_bytes(v, "memory_current_bytes", a));
        (void)printf(" of %s", show_bytes(v, "memory_maximum_bytes", b));
        if (value_has_number(v, "memory_resident_bytes"))
                (void)printf(", %s resident", show_bytes(v, "memory_resident_bytes", a));
        (void)putchar('\n');
        if (value_get(v, "guest_says", VALUE_MAP))
                (void)printf("  the guest says %s of it are usable\n",
                             show_bytes(value_get(v, "guest_says", VALUE_MAP), "usable_bytes", a));
}

static void show_thread(const Value *t) {
        char busy[SHOW_MAX], wait[SHOW_MAX];
        const char *kind = value_string(t, "thread") ?: "?";

        (void)printf("  %s", streq(kind, "vcpu") ? "vCPU" : kind);
        if (!streq(kind, "emulator"))
                (void)printf(" %" PRIu64, value_number(t, "id"));
        if (!value_bool(t, "online")) {
                (void)puts(" is not plugged in");
                return;
        }
        (void)printf(" on CPUs %s", value_string(t, "cpus") ?: "not known");
        if (value_has_number(t, "busy_permyriad"))
                (void)printf(", busy %s", show_percent(t, "busy_permyriad", busy));
        if (value_number(t, "wait_permyriad") > 0)
                (void)printf(", waiting %s", show_percent(t, "wait_permyriad", wait));
        (void)putchar('\n');
}

static void show_where(const Ctl *c, const Value *v) {
        char bytes[SHOW_MAX];

        title(c, "Where it is");
        for (size_t i = 0; i < value_count(v, "threads"); i++)
                show_thread(value_item(v, "threads", i));
        for (size_t i = 0; i < value_count(v, "memory_nodes"); i++) {
                const Value *node = value_item(v, "memory_nodes", i);

                if (value_number(node, "bytes") > 0)
                        (void)printf("  memory on node %" PRIu64 ": %s\n", value_number(node, "node"),
                                     show_bytes(node, "bytes", bytes));
        }
        if (value_string(v, "placed_nodes"))
                (void)printf("  placed on nodes %s\n", value_string(v, "placed_nodes"));
        if (value_string(v, "own_cpus"))
                (void)printf("  CPUs of its own: %s\n", value_string(v, "own_cpus"));
}

static void show_candidate(const Value *c) {
        uint64_t commit = value_number(c, "commit_permyriad");
        char load[SHOW_MAX], room[SHOW_MAX];

        (void)printf("    nodes %s: %" PRIu64 ".%02" PRIu64 " vCPUs a CPU, load %s", value_string(c, "nodes") ?: "?",
                     commit / PERMYRIAD_FULL, commit % PERMYRIAD_FULL / 100, show_percent(c, "load_permyriad", load));
        if (value_has_number(c, "free_bytes"))
                (void)printf(", %s free", show_bytes(c, "free_bytes", room));
        if (!value_bool(c, "cpus_fit") || !value_bool(c, "memory_fits"))
                (void)printf(", %s not fit", value_bool(c, "cpus_fit") ? "its memory does"
                                            : value_bool(c, "memory_fits") ? "its vCPUs do" : "it does");
        (void)printf(value_bool(c, "chosen") ? " <- here\n" : " (by %s)\n", value_string(c, "decided_by") ?: "?");
}

static void show_placement(const Ctl *c, const Value *v) {
        const Value *p = value_get(v, "placement", VALUE_MAP);

        if (!p)
                return;
        title(c, "Where it belongs, and why");
        (void)fputs("  ", stdout);
        show_text(stdout, value_string(p, "text"));
        (void)putchar('\n');
        for (size_t i = 0; i < value_count(p, "candidates"); i++)
                show_candidate(value_item(p, "candidates", i));
        if (value_number(p, "more") > 0)
                (void)printf("    and %" PRIu64 " more\n", value_number(p, "more"));
}

static void show_held(const Ctl *c, const Value *v) {
        if (value_count(v, "held") == 0)
                return;
        title(c, "What kvmtuned changed and would put back");
        for (size_t i = 0; i < value_count(v, "held"); i++) {
                const Value *h = value_item(v, "held", i);
                const char *current = value_string(h, "current");

                (void)printf("  %s ", value_string(h, "kind") ?: "?");
                show_text(stdout, value_string(h, "target"));
                (void)fputs(": ", stdout);
                show_text(stdout, value_string(h, "change"));
                if (current && !streq(current, value_string(h, "ours") ?: "")) {
                        (void)fputs(", is now ", stdout);
                        show_text(stdout, current);
                }
                (void)putchar('\n');
        }
}

static void show_not_done(const Ctl *c, const Value *v) {
        if (value_count(v, "not_done") == 0)
                return;
        title(c, "What is not done, and why");
        for (size_t i = 0; i < value_count(v, "not_done"); i++) {
                const Value *s = value_item(v, "not_done", i);

                (void)printf("  no %s (%s): ", value_string(s, "kind") ?: "?", value_string(s, "why") ?: "?");
                show_text(stdout, value_string(s, "detail"));
                (void)putchar('\n');
        }
}

static void show_next(const Ctl *c, const Value *v) {
        const char *state = value_string(v, "daemon_state") ?: "running";

        title(c, streq(state, "running") ? "What comes next" : "What would come next");
        if (!streq(state, "running"))
                (void)printf("  (kvmtuned is %s: nothing is done)\n", state);
        if (value_count(v, "next") == 0)
                (void)puts(value_count(v, "not_done") > 0 ? "  nothing; what stands above is why"
                                                          : "  nothing: it is as the policy wants it");
        for (size_t i = 0; i < value_count(v, "next"); i++) {
                const Value *a = value_item(v, "next", i);

                (void)printf("  %s ", value_string(a, "kind") ?: "?");
                show_text(stdout, value_string(a, "target"));
                (void)fputs(": ", stdout);
                show_text(stdout, value_string(a, "change"));
                (void)fputs("\n    because ", stdout);
                show_text(stdout, value_string(a, "reason"));
                (void)fputs(" [", stdout);
                show_text(stdout, value_string(a, "source"));
                (void)puts("]");
        }
}

static void show_history(const Ctl *c, const Value *v) {
        const Value *log = value_get(v, "log", VALUE_LIST);

        if (!log)
                return;
        title(c, "What happened lately");
        if (log->n == 0)
                (void)puts("  nothing since kvmtuned started");
        show_log_entries(stdout, c, log);
}

CtlStatus show_explanation(Ctl *c, char **arguments, int n) {
        _cleanup_(value_freep) Value *v = NULL;
        CtlStatus status;

        (void)n;
        status = source_value(c, "ExplainGuest", arguments[0], &v);
        if (status != CTL_OK)
                return status;
        if (c->json) {
                value_print_json(stdout, v);
                return CTL_OK;
        }
        pager_begin(c);
        show_summary(c, v);
        show_where(c, v);
        show_placement(c, v);
        title(c, "Settings");
        status = show_setting_table(stdout, c, value_get(v, "settings", VALUE_LIST), "  ");
        show_held(c, v);
        show_history(c, v);
        show_not_done(c, v);
        show_next(c, v);
        return status;
}
