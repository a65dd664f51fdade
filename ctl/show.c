/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <time.h>

#include "../lib/parse.h"
#include "ctl.h"

const char *ctl_colour(const Ctl *c, const char *code) {
        return c->draw.color ? code : "";
}

void show_text(FILE *f, const char *s) {
        (void)fputs(s ?: "", f);
}

const char *show_percent(const Value *map, const char *key, char buf[static SHOW_MAX]) {
        uint64_t v = value_number(map, key);

        if (!value_has_number(map, key))
                return "-";
        (void)snprintf(buf, SHOW_MAX, "%" PRIu64 ".%" PRIu64 " %%", v / 100, v % 100 / 10);
        return buf;
}

const char *show_bytes(const Value *map, const char *key, char buf[static SHOW_MAX]) {
        if (!value_has_number(map, key))
                return "-";
        return format_bytes_short(value_number(map, key), buf);
}

const char *show_time(uint64_t realtime_usec, char buf[static SHOW_MAX]) {
        time_t t = (time_t)(realtime_usec / USEC_PER_SEC);
        struct tm tm;

        if (!localtime_r(&t, &tm) || strftime(buf, SHOW_MAX, "%Y-%m-%d %H:%M:%S", &tm) == 0)
                (void)snprintf(buf, SHOW_MAX, "?");
        return buf;
}

/* One value as it came, when programs asked. */
static bool as_json(const Ctl *c, const Value *v) {
        if (c->json)
                value_print_json(stdout, v);
        return c->json;
}

static CtlStatus no_memory(void) {
        (void)fprintf(stderr, "kvmtunectl: %s\n", strerrordesc_np(ENOMEM));
        return CTL_FAILED;
}

/* ---- log ---- */

void show_log_entries(FILE *f, const Ctl *c, const Value *list) {
        char time[SHOW_MAX];

        for (size_t i = 0; i < list->n; i++) {
                const Value *e = list->items[i];
                bool warning = value_number(e, "priority") <= 4;

                (void)fprintf(f, "  %s%s%s  %s", ctl_colour(c, CTL_DIM), show_time(value_number(e, "time_usec"), time),
                              ctl_colour(c, CTL_PLAIN), ctl_colour(c, warning ? CTL_YELLOW : ""));
                show_text(f, value_string(e, "message"));
                (void)fprintf(f, "%s\n", ctl_colour(c, warning ? CTL_PLAIN : ""));
        }
}

CtlStatus show_log(Ctl *c, char **arguments, int n) {
        _cleanup_(value_freep) Value *v = NULL;
        CtlStatus status;

        status = source_value(c, "GetLog", n > 0 ? arguments[0] : c->guest ?: "", &v);
        if (status != CTL_OK || as_json(c, v))
                return status;
        pager_begin(c);
        show_log_entries(stdout, c, v);
        if (v->n == 0)
                (void)puts("Nothing was done since kvmtuned started.");
        return CTL_OK;
}

/* ---- status ---- */

static void show_state(FILE *f, const Ctl *c, const Value *v) {
        const char *state = value_string(v, "state") ?: "?";
        bool good = streq(state, "running");

        (void)fprintf(f, "%s●%s kvmtuned %s, %s%s%s", ctl_colour(c, good ? CTL_GREEN : CTL_YELLOW),
                      ctl_colour(c, CTL_PLAIN), value_string(v, "version") ?: "?",
                      ctl_colour(c, good ? CTL_GREEN : CTL_YELLOW), state, ctl_colour(c, CTL_PLAIN));
        if (value_bool(v, "dry_run") && !streq(state, "dry-run"))
                (void)fputs(", in a dry run", f);
        (void)fputc('\n', f);
}

static void show_cycle(FILE *f, const Value *v) {
        _cleanup_free_ char *interval = NULL;
        char time[SHOW_MAX];
        uint64_t usec = value_number(v, "cycle_duration_usec");

        (void)fprintf(f, "     Cycle: %" PRIu64, value_number(v, "cycle"));
        if (value_number(v, "cycle_time_usec") > 0)
                (void)fprintf(f, " at %s, took %" PRIu64 ".%03" PRIu64 " ms",
                              show_time(value_number(v, "cycle_time_usec"), time), usec / USEC_PER_MSEC,
                              usec % USEC_PER_MSEC);
        if (format_duration(value_number(v, "interval_usec"), &interval) >= 0)
                (void)fprintf(f, ", every %s", interval);
        (void)fputc('\n', f);
}

/* "1 node", "2 nodes" */
static void put_count(FILE *f, uint64_t n, const char *what) {
        (void)fprintf(f, "%" PRIu64 " %s%s", n, what, n == 1 ? "" : "s");
}

static void show_host(FILE *f, const Value *h) {
        char a[SHOW_MAX], b[SHOW_MAX];
        static const char *const ksm[] = { "off", "on", "unmerging" };
        uint64_t run = value_number(h, "ksm_run");

        (void)fprintf(f, "    Guests: %" PRIu64 " running", value_number(h, "guests_running"));
        if (value_number(h, "guests") > value_number(h, "guests_running"))
                (void)fprintf(f, " of %" PRIu64, value_number(h, "guests"));
        (void)fputs(", ", f);
        put_count(f, value_number(h, "vcpus"), "vCPU");
        (void)fputs(" on ", f);
        put_count(f, value_number(h, "cpus"), "CPU");
        (void)fputs(" in ", f);
        put_count(f, value_number(h, "nodes"), "node");
        (void)fputc('\n', f);
        (void)fprintf(f, "       CPU: %s busy\n", show_percent(h, "cpu_busy_permyriad", a));
        (void)fprintf(f, "    Memory: %s available", show_bytes(h, "memory_available_bytes", a));
        (void)fprintf(f, " of %s", show_bytes(h, "memory_total_bytes", b));
        if (value_has_number(h, "memory_pressure_permyriad"))
                (void)fprintf(f, ", pressure %s", show_percent(h, "memory_pressure_permyriad", a));
        (void)fputc('\n', f);
        if (value_has_number(h, "ksm_run"))
                (void)fprintf(f, "       KSM: %s, %" PRIu64 " pages shared\n", run < ELEMENTSOF(ksm) ? ksm[run] : "?",
                              value_number(h, "ksm_pages_sharing"));
        (void)fprintf(f, "   Changes: %" PRIu64 " in force, to be put back at the end\n",
                      value_number(h, "changes_held"));
}

void show_status_text(FILE *f, const Ctl *c, const Value *v) {
        show_state(f, c, v);
        (void)fprintf(f, "   libvirt: %s%s%s ", ctl_colour(c, value_bool(v, "connected") ? "" : CTL_RED),
                      value_bool(v, "connected") ? "connected to" : "waiting for", ctl_colour(c, CTL_PLAIN));
        show_text(f, value_string(v, "uri"));
        (void)fputs("\n    Policy: ", f);
        show_text(f, value_string(v, "policy_file"));
        (void)fputs(", ", f);
        put_count(f, value_number(v, "rules"), "rule");
        if (value_number(v, "runtime_settings") > 0) {
                (void)fputs(", ", f);
                put_count(f, value_number(v, "runtime_settings"), "setting");
                (void)fputs(" made since", f);
        }
        (void)fputc('\n', f);
        show_cycle(f, v);
        show_host(f, value_get(v, "host", VALUE_MAP));
        if (value_number(v, "actions_pending") > 0) {
                (void)fputs("  Under way: ", f);
                put_count(f, value_number(v, "actions_pending"), "action");
                (void)fputs(value_bool(v, "memory_moving") ? ", memory is being moved\n" : "\n", f);
        }
}

CtlStatus show_status(Ctl *c, char **arguments, int n) {
        _cleanup_(value_freep) Value *v = NULL, *log = NULL;
        CtlStatus status;

        (void)arguments, (void)n;
        status = source_value(c, "GetStatus", NULL, &v);
        if (status != CTL_OK || as_json(c, v))
                return status;
        show_status_text(stdout, c, v);
        status = source_value(c, "GetLog", "", &log);
        if (status == CTL_OK && log->n > 0) {
                (void)puts("\nLately:");
                show_log_entries(stdout, c, log);
        }
        return status;
}

/* ---- guests ---- */

static const char *memory_text(const Value *g, char buf[static SHOW_MAX]) {
        char current[SHOW_MAX], maximum[SHOW_MAX];

        (void)snprintf(buf, SHOW_MAX, "%s/%s", show_bytes(g, "memory_current_bytes", current),
                       show_bytes(g, "memory_maximum_bytes", maximum));
        return buf;
}

/* The nodes that hold memory, with their part of it: "0 (97 %), 1 (3 %)". -ENOMEM. */
static int memory_nodes(const Value *g, char **ret) {
        _cleanup_free_ char *text = NULL;
        uint64_t sum = 0;
        int r;

        for (size_t i = 0; i < value_count(g, "memory_nodes"); i++)
                sum = u64_add(sum, value_number(value_item(g, "memory_nodes", i), "bytes"));
        for (size_t i = 0; sum > 0 && i < value_count(g, "memory_nodes"); i++) {
                const Value *node = value_item(g, "memory_nodes", i);
                /* Rounded as topology does. */
                uint64_t percent = (u64_muldiv(value_number(node, "bytes"), PERMYRIAD_FULL, sum) + 50) / 100;

                if (percent == 0)
                        continue;
                r = strprintf_to(&text, "%s%s%" PRIu64 " (%" PRIu64 " %%)", text ?: "", text ? ", " : "",
                                 value_number(node, "node"), percent);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(text);
        return 0;
}

static int add_guest(Table *t, const Value *g) {
        char vcpus[SHOW_MAX], busy[SHOW_MAX], memory[SHOW_MAX], resident[SHOW_MAX], held[SHOW_MAX];
        _cleanup_free_ char *nodes = NULL;
        int r;

        r = memory_nodes(g, &nodes);
        if (r < 0)
                return r;
        (void)snprintf(vcpus, sizeof(vcpus), "%" PRIu64 "/%" PRIu64, value_number(g, "vcpus"),
                       value_number(g, "vcpus_maximum"));
        (void)snprintf(held, sizeof(held), "%" PRIu64, value_number(g, "changes_held"));
        return table_add(t, (const char *const[]){
                value_string(g, "name"), value_string(g, "state"), value_string(g, "class"), vcpus,
                show_percent(g, "busy_permyriad", busy), memory_text(g, memory),
                show_bytes(g, "memory_resident_bytes", resident),
                value_string(g, "own_cpus") ?: value_string(g, "placed_nodes"), nodes,
                value_string(g, "cpu_policy"), value_string(g, "balloon_mode"), held });
}

CtlStatus show_guest_table(FILE *f, const Ctl *c, const Value *list) {
        static const TableColumn columns[] = {
                { .title = "GUEST" },
                { .title = "STATE", .spare = 3 },
                { .title = "CLASS", .spare = 8 },
                { .title = "VCPUS", .right = true },
                { .title = "BUSY", .right = true },
                { .title = "MEMORY", .right = true, .spare = 1 },
                { .title = "RESIDENT", .right = true, .spare = 7 },
                { .title = "PLACED" },
                { .title = "MEMORY ON", .spare = 4 },
                { .title = "CPU", .spare = 5 },
                { .title = "BALLOON", .spare = 6 },
                { .title = "CHANGES", .right = true, .spare = 2 },
        };
        _cleanup_(table_freep) Table *t = table_new(columns, ELEMENTSOF(columns));

        if (!t)
                return no_memory();
        for (size_t i = 0; i < list->n; i++)
                if (add_guest(t, list->items[i]) < 0)
                        return no_memory();
        table_print(f, t, c->draw.color, c->all ? 0 : c->columns, "");
        return CTL_OK;
}

CtlStatus show_guests(Ctl *c, char **arguments, int n) {
        _cleanup_(value_freep) Value *v = NULL;
        CtlStatus status;

        (void)arguments, (void)n;
        status = source_value(c, "ListGuests", NULL, &v);
        if (status != CTL_OK || as_json(c, v))
                return status;
        pager_begin(c);
        if (v->n > 0)
                return show_guest_table(stdout, c, v);
        (void)puts("No guests.");
        return CTL_OK;
}
