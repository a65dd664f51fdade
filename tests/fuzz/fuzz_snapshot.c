/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A snapshot, and the decision on it with everything switched on: any host and
 * any guest that can be written down. What was read is written and read again
 * to the same text; a second decision has no more to say than the first.
 */

#include "../../lib/config.h"
#include "../../lib/policy.h"
#include "../../lib/snapshot_file.h"

#include "fuzz.h"

static Config *config;

static Config *everything_on(void) {
        char *error = NULL;

        if (!config && config_load("tests/fuzz/everything.conf", &config, &error) < 0) {
                fprintf(stderr, "%s\n", error);
                abort();
        }
        return config;
}

static void decide(const Snapshot *s) {
        _cleanup_(state_freep) State *state = NULL, *again = NULL;
        _cleanup_(plan_freep) Plan *plan = NULL, *next = NULL, *restore = NULL;
        _cleanup_free_ char *text = NULL, *record = NULL, *error = NULL;
        PolicyInput in = { .config = everything_on(), .snapshot = s, .explain = true };

        fuzz_assert(state_new(&state) == 0);
        fuzz_assert(policy_decide(&in, state, &plan) == 0);
        for (size_t i = 0; i < plan->n_actions; i++)
                fuzz_assert(state_own(state, &plan->actions[i]) == 0);
        fuzz_assert(plan_format(plan, true, &text) == 0);
        fuzz_assert(state_format(state, &record) == 0);
        fuzz_assert(state_parse(record, &again, &error) == 0);
        fuzz_assert(policy_decide(&in, again, &next) == 0);
        fuzz_assert(policy_restore(s, again, &restore) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL, *again = NULL;
        _cleanup_free_ char *text = fuzz_text(data, size), *error = NULL, *first = NULL, *second = NULL;

        /* It may name a file with the topology: none of this machine's. */
        if (strstr(text, "xml"))
                return 0;
        if (snapshot_load_text("fuzz", text, &s, &error) < 0) {
                fuzz_assert(!s && error && *error);
                return 0;
        }
        fuzz_assert(snapshot_format(s, &first) == 0);
        if (snapshot_load_text("again", first, &again, &error) < 0) {
                fprintf(stderr, "%s\n%s\n", error, first);
                abort();
        }
        fuzz_assert(snapshot_format(again, &second) == 0);
        fuzz_assert(streq(first, second));
        decide(s);
        return 0;
}
