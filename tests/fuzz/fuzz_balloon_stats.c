/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a guest's balloon says, as libvirt hands it on, and the decision on it,
 * some times in a row: typed parameters, any of them, of any type and value.
 * Nobody gets more than its maximum or is made smaller than its minimum, the
 * other guest is not shrunk below what it uses (but by presets that would), and there is no more to say
 * than a line a guest and kind of action.
 */

#include "../../daemon/virt_internal.h"
#include "../../lib/parse.h"
#include "../../lib/policy.h"

#include "fuzz.h"

#define STEPS_MAX 16U
#define PARAMS_MAX 16U
#define MAXIMUM (4 * GIB)
#define MINIMUM GIB             /* a quarter, as the policy says below */
#define HONEST_USABLE GIB
#define HOST (16 * GIB)

typedef struct Input {
        const uint8_t *data;
        size_t size;
} Input;

static uint64_t next(Input *in, size_t n_bytes) {
        uint64_t value = 0;

        for (; n_bytes > 0 && in->size > 0; n_bytes--, in->size--)
                value = value << 8 | *in->data++;
        return value;
}

/* ---- what is said ---- */

static void next_param(Input *in, virTypedParameter *p) {
        static const char *const names[] = {
                "balloon.current", "balloon.unused", "balloon.available", "balloon.usable", "balloon.disk_caches",
                "balloon.swap_in", "balloon.swap_out", "balloon.major_fault", "balloon.last-update", "balloon.maximum",
                "balloon.rss", "state.state", "", "balloon",
        };
        static const int types[] = { VIR_TYPED_PARAM_LLONG, VIR_TYPED_PARAM_UINT, VIR_TYPED_PARAM_DOUBLE,
                                     VIR_TYPED_PARAM_BOOLEAN, 0, 99 };
        unsigned kind = (unsigned)next(in, 1);

        *p = (virTypedParameter){ .type = VIR_TYPED_PARAM_ULLONG };
        (void)strcpy(p->field, names[kind % ELEMENTSOF(names)]);
        if (kind >= 224)
                p->type = types[kind % ELEMENTSOF(types)];
        /* In KiB, as most of them are: large, or about the size of the guest. */
        p->value.ul = kind & 16 ? next(in, 8) : next(in, 1) * (MAXIMUM / KIB / 128);
}

static void speak(Input *in, Guest *g, uint64_t now_usec) {
        virTypedParameter params[PARAMS_MAX];
        VirtStats said;
        size_t n = next(in, 1) % PARAMS_MAX;

        for (size_t i = 0; i < n; i++)
                next_param(in, &params[i]);
        virt_stats_read(params, n, now_usec, &said);
        (void)virt_stats_believe(&said, g);
        fuzz_assert(g->current_bytes <= g->max_bytes);
}

static void tell_the_truth(Guest *g) {
        g->stats = (BalloonStats){ .unused_bytes = HONEST_USABLE / 2, .available_bytes = g->current_bytes,
                                   .usable_bytes = HONEST_USABLE, .swap_out_bytes = 0, .age_usec = USEC_PER_SEC };
}

/* ---- what is done ---- */

static Guest *add_guest(Snapshot *s, const char *name) {
        Guest *g = NULL;

        fuzz_assert(guest_new(name, NULL, &g) == 0);
        g->max_bytes = g->current_bytes = MAXIMUM;
        g->balloon_device = true;
        g->stats_period_sec = 10;
        fuzz_assert(snapshot_put_guest(s, g) == 0);
        return g;
}

/* The presets take what their models would take: the last three. */
static const char *const modes[] = { "auto", "target", "pve", "mom", "proportional" };
#define N_CAREFUL 2U

static const Config *get_config(unsigned mode) {
        static Config *configs[ELEMENTSOF(modes)]; /* reading one is most of what an input costs */
        _cleanup_free_ char *text = NULL;
        char *error = NULL;

        if (configs[mode])
                return configs[mode];

        fuzz_assert(strprintf_to(&text, "balloon: { mode = \"%s\"; minimum = \"25 %%\"; target = \"40 %%\"; };",
                                 modes[mode]) >= 0);
        fuzz_assert(config_load_text("fuzz", text, &configs[mode], &error) == 0);
        return configs[mode];
}

static void obey(const Plan *plan, const Snapshot *s, State *state, bool careful) {
        for (size_t i = 0; i < plan->n_actions; i++) {
                const Action *a = &plan->actions[i];
                Guest *g = snapshot_find_guest(s, a->uuid);
                uint64_t size;

                fuzz_assert(state_own(state, a) == 0);
                if (a->kind != ACTION_SET_BALLOON)
                        continue;
                fuzz_assert(g && parse_u64(a->new_value, &size) == 0);
                fuzz_assert(size <= g->max_bytes);
                fuzz_assert(size >= g->current_bytes || size >= MINIMUM);
                fuzz_assert(!careful || !streq(g->name, "honest") ||
                            u64_sub(g->current_bytes, size) <= HONEST_USABLE);
                g->current_bytes = size;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        _cleanup_(state_freep) State *state = NULL;
        Input in = { data, size };
        PolicyInput input;
        Guest *liar, *honest;
        unsigned mode = (unsigned)(next(&in, 1) % ELEMENTSOF(modes));

        fuzz_assert(snapshot_new(&s) == 0 && state_new(&state) == 0);
        input = (PolicyInput){ .config = get_config(mode), .snapshot = s };
        liar = add_guest(s, "liar");
        honest = add_guest(s, "honest");
        s->interval_usec = 10 * USEC_PER_SEC;
        s->host.memory.total_bytes = HOST;
        for (unsigned i = 1; i <= STEPS_MAX && in.size > 0; i++) {
                _cleanup_(plan_freep) Plan *plan = NULL;

                s->now_usec = i * 10 * USEC_PER_SEC;
                s->host.memory.available_bytes = s->host.memory.free_bytes = next(&in, 1) * (HOST / 256);
                speak(&in, liar, s->now_usec);
                tell_the_truth(honest);
                fuzz_assert(policy_decide(&input, state, &plan) == 0);
                fuzz_assert(plan->n_skips <= 2 * _ACTION_KIND_MAX);
                obey(plan, s, state, mode < N_CAREFUL);
        }
        return 0;
}
