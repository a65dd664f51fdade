/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What was set, which rules hold, and what follows: settings, rules, plan, snapshot. */

#include <inttypes.h>

#include "ctl.h"

static CtlStatus no_memory(void) {
        (void)fprintf(stderr, "kvmtunectl: %s\n", strerrordesc_np(ENOMEM));
        return CTL_FAILED;
}

/* Those that somebody made, or all of them. Status. */
CtlStatus show_setting_table(FILE *f, const Ctl *c, const Value *list, const char *indent) {
        static const TableColumn columns[] = { { .title = "SETTING" }, { .title = "VALUE" }, { .title = "FROM" } };
        _cleanup_(table_freep) Table *t = table_new(columns, ELEMENTSOF(columns));
        size_t shown = 0;

        if (!t)
                return no_memory();
        for (size_t i = 0; list && i < list->n; i++) {
                const Value *s = list->items[i];

                if (!c->all && value_bool(s, "default"))
                        continue;
                shown++;
                if (table_add(t, (const char *const[]){ value_string(s, "key"), value_string(s, "value"),
                                                        value_string(s, "source") }) < 0)
                        return no_memory();
        }
        if (shown > 0)
                table_print(f, t, c->draw.color, 0, indent);
        else
                (void)fprintf(f, "%sall as built in (--all shows them)\n", indent);
        return CTL_OK;
}

CtlStatus show_settings(Ctl *c, char **arguments, int n) {
        _cleanup_(value_freep) Value *v = NULL;
        CtlStatus status;

        status = source_value(c, "GetSettings", n > 0 ? arguments[0] : c->guest ?: "", &v);
        if (status != CTL_OK)
                return status;
        if (c->json) {
                value_print_json(stdout, v);
                return CTL_OK;
        }
        pager_begin(c);
        return show_setting_table(stdout, c, v, "");
}

/* ---- rules ---- */

static void show_leaf(const Value *leaf) {
        bool threshold = streq(value_string(leaf, "type") ?: "", "threshold");

        (void)printf("      line %" PRIu64 ": ", value_number(leaf, "line"));
        if (!threshold) {
                (void)printf("the schedule %s\n", value_bool(leaf, "holds") ? "holds" : "does not hold");
                return;
        }
        show_text(stdout, value_string(leaf, "metric"));
        if (value_has_number(leaf, "node"))
                (void)printf(" of node %" PRIu64, value_number(leaf, "node"));
        if (value_string(leaf, "rate"))
                (void)printf(" %s", value_string(leaf, "rate"));
        (void)printf(" %s %s", value_string(leaf, "above") ? "above" : "below",
                     value_string(leaf, "above") ?: value_string(leaf, "below") ?: "?");
        if (value_string(leaf, "for"))
                (void)printf(" for %s", value_string(leaf, "for"));
        if (value_string(leaf, "value"))
                (void)printf(", is %s", value_string(leaf, "value"));
        if (value_bool(leaf, "of_guest"))
                (void)printf(": for each guest\n");
        else
                (void)printf(": %s\n", value_bool(leaf, "holds") ? "holds" : "does not hold");
}

static void show_rule(const Ctl *c, const Value *rule) {
        bool active = value_bool(rule, "active");

        (void)printf("%s%-8s%s  ", ctl_colour(c, active ? CTL_GREEN : CTL_DIM), active ? "active" : "inactive",
                     ctl_colour(c, CTL_PLAIN));
        show_text(stdout, value_string(rule, "name"));
        (void)fputs(" (", stdout);
        show_text(stdout, value_string(rule, "file"));
        (void)printf(":%" PRIu64 ")%s\n", value_number(rule, "line"),
                     active && value_bool(rule, "of_guest") ? ", for some guests" : "");
        for (size_t i = 0; i < value_count(rule, "when"); i++)
                show_leaf(value_item(rule, "when", i));
        for (size_t i = 0; i < value_count(rule, "set"); i++) {
                const Value *s = value_item(rule, "set", i);

                (void)printf("      %s %s = ", active ? "sets" : "would set", value_string(s, "key") ?: "?");
                show_text(stdout, value_string(s, "value"));
                (void)putchar('\n');
        }
}

CtlStatus show_rules(Ctl *c, char **arguments, int n) {
        _cleanup_(value_freep) Value *v = NULL;
        CtlStatus status;

        (void)arguments, (void)n;
        status = source_value(c, "ListRules", NULL, &v);
        if (status != CTL_OK)
                return status;
        if (c->json) {
                value_print_json(stdout, v);
                return CTL_OK;
        }
        pager_begin(c);
        if (v->n == 0)
                (void)puts("The policy has no rules.");
        for (size_t i = 0; i < v->n; i++)
                show_rule(c, v->items[i]);
        return CTL_OK;
}

/* ---- texts ---- */

static CtlStatus show_source_text(Ctl *c, const char *method) {
        _cleanup_free_ char *text = NULL;
        CtlStatus status;

        status = source_text(c, method, &text);
        if (status != CTL_OK)
                return status;
        if (!c->json)
                pager_begin(c);
        (void)fputs(text, stdout);
        return CTL_OK;
}

CtlStatus show_plan(Ctl *c, char **arguments, int n) {
        (void)arguments, (void)n;
        return show_source_text(c, "GetPlan");
}

CtlStatus show_snapshot(Ctl *c, char **arguments, int n) {
        (void)arguments, (void)n;
        return show_source_text(c, "GetSnapshot");
}
