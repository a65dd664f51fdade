/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_placement.h"
#include "state_memo.h"

/*
 * Which CPUs the threads of a guest get: all CPUs of its nodes that are nobody's
 * own and that its cgroup leaves it, or one CPU a vCPU (policy_pinned.c). Under policy dedicated that is one
 * of the guest's own (policy_dedicated.c); its emulator and its I/O threads
 * run with the guests that share, on CPUs of its nodes, or, where all of them
 * are somebody's own, on the guest's.
 *
 * Giving back: an action whose new value equals the original of the owned knob.
 * Whoever carries it out disowns the knob when it is done. A knob that already
 * holds its original is disowned here.
 *
 * What is observed is compared first and looked up only on a difference: a
 * guest whose threads are where they belong costs a few set comparisons.
 */

/* As far as anybody can see, @t already has @wanted. */
static bool thread_holds(const Placement *p, const Guest *g, const GuestThread *t, const IdSet *wanted) {
        const IdSet *online = &p->topology->online;
        IdSet seen;

        if (idset_equal(&t->affinity, wanted))
                return true;
        if (!idset_is_empty(&t->affinity))
                return idset_part_equal(&t->affinity, online, wanted);
        if (t->pinned)
                return idset_part_equal(&t->pin, online, wanted);
        if (g->vcpu_placement_auto)
                return false;
        if (g->vcpu_cpuset_set)
                return idset_part_equal(&g->vcpu_cpuset, online, wanted);
        seen = placement_default_cpus(p);
        return idset_equal(&seen, wanted);
}

/* ---- actions ---- */

/* What each thread of one guest should have. */
typedef struct Wanted {
        IdSet cpus;             /* the whole set of the guest */
        IdSet *cell_cpus;       /* of each cell with a nodeset of its own, else empty */
        bool single;            /* one CPU a vCPU, in p->picked */
        bool dedicated;         /* its own; a vCPU for which there is none shares */
        bool emulator, iothreads;
        IdSet emulator_cpus, iothread_cpus;
        IdSet one;              /* of the vCPU that was asked for last: its one CPU, */
        unsigned cpu;           /* which is this */
} Wanted;

/* The usable CPUs of a cell: of its own nodeset, or of the node it was given. Empty: those of the guest. */
static IdSet cell_cpus(const Placement *p, const PlacementGuest *g, size_t cell) {
        IdSet cpus;
        const GuestMemo *m = g->memo;
        IdSet nodes = g->guest->cells[cell].nodeset;

        if (setting(g->settings, KEY_NUMA_POLICY) != NUMA_NONE && m->n_cells == g->guest->n_cells)
                nodes = idset_of(m->cell_nodes[cell]);
        cpus = placement_cpus(p, &nodes);
        return placement_within_limit(g, &cpus);
}

static int cells_init(const Placement *p, const PlacementGuest *g, Wanted *w) {
        const Guest *guest = g->guest;

        if (guest->n_cells == 0)
                return 0;
        w->cell_cpus = calloc(guest->n_cells, sizeof(*w->cell_cpus));
        if (!w->cell_cpus)
                return -ENOMEM;
        for (size_t i = 0; i < guest->n_cells; i++)
                w->cell_cpus[i] = cell_cpus(p, g, i);
        return 0;
}

/* Its own CPUs for the vCPUs; for the other threads one more, or what its nodes have for everybody. */
static void wanted_dedicated(Placement *p, const PlacementGuest *g, Wanted *w) {
        IdSet rest;

        placement_assign_cpus(p, g, &rest);
        if (idset_is_empty(&w->cpus))
                w->cpus = *memo_cpus(g->memo);
        w->emulator_cpus = w->iothread_cpus = w->cpus;
        /* The emulator's first, then what is left: both have theirs already unless one was added now. */
        if (setting(g->settings, KEY_CPU_EMULATOR) == FOLLOW_ISOLATE && !idset_is_empty(&rest))
                w->emulator_cpus = idset_of((unsigned)placement_assign_one(p, &g->guest->emulator, &rest));
        if (setting(g->settings, KEY_CPU_IOTHREADS) == FOLLOW_ISOLATE && g->guest->n_iothreads > 0 &&
            !idset_is_empty(&rest))
                w->iothread_cpus = idset_of((unsigned)placement_assign_one(p, &g->guest->iothreads[0], &rest));
}

static int wanted_init(Placement *p, const PlacementGuest *g, Wanted *w) {
        int r;

        w->emulator = setting(g->settings, KEY_CPU_EMULATOR) != FOLLOW_NONE;
        w->iothreads = setting(g->settings, KEY_CPU_IOTHREADS) != FOLLOW_NONE;
        w->cpus = setting(g->settings, KEY_NUMA_POLICY) == NUMA_NONE ? p->usable
                                                                     : placement_cpus(p, memo_nodes(g->memo));
        w->cpus = placement_within_limit(g, &w->cpus);
        r = cells_init(p, g, w);
        if (r < 0)
                return r;
        w->single = g->dedicated || placement_policy(g) == CPU_PINNED;
        w->dedicated = g->dedicated;
        if (g->dedicated) {
                wanted_dedicated(p, g, w);
                return 0;
        }
        w->emulator_cpus = w->iothread_cpus = w->cpus;
        if (w->single)
                placement_pick_pinned(p, g, w->cell_cpus, &w->cpus);
        return 0;
}

static void wanted_done(Wanted *w) {
        free(w->cell_cpus);
}

static const IdSet *one_cpu(Wanted *w, unsigned cpu) {
        idset_remove(&w->one, w->cpu);
        (void)idset_add(&w->one, cpu);
        w->cpu = cpu;
        return &w->one;
}

/* NULL: no setting asks for anything on that thread. The set is one of @w's, until the next is asked for. */
static const IdSet *wanted_of(const Placement *p, const Guest *g, Wanted *w, size_t i, const ThreadRef *ref) {
        const IdSet *set = NULL;

        if (ref->kind == ACTION_PIN_VCPU) {
                bool has_one = w->single && p->picked[i] >= 0;

                if (!ref->thread->online || (w->single && !has_one && !w->dedicated))
                        return NULL;
                set = has_one ? one_cpu(w, (unsigned)p->picked[i])
                              : placement_vcpu_cpus(g, w->cell_cpus, &w->cpus, ref->index);
        } else if (ref->kind == ACTION_PIN_EMULATOR && w->emulator)
                set = &w->emulator_cpus;
        else if (ref->kind == ACTION_PIN_IOTHREAD && w->iothreads)
                set = &w->iothread_cpus;
        return set && !idset_is_empty(set) ? set : NULL;
}

/* *ret belongs to @cache. */
static int format_set(SetText *cache, const IdSet *set, const char **ret) {
        char *text;
        int r;

        if (!cache->text || !idset_equal(&cache->set, set)) {
                r = idset_format(set, &text);
                if (r < 0)
                        return r;
                free(cache->text);
                cache->text = text;
                cache->set = *set;
        }
        *ret = cache->text;
        return 0;
}

/*
 * What a thread has that may use every CPU which libvirt gave it and which is online. That it cannot use the others
 * now is no reason to keep them from it when its pin is given back.
 */
static IdSet with_offline(const Placement *p, const Guest *g, const GuestThread *t) {
        const Topology *topology = p->topology;
        IdSet given = idset_or(&t->affinity, &topology->offline), now = placement_default_cpus(p);

        if (t->pinned)
                given = t->pin;
        else if (g->vcpu_placement_auto)
                return t->affinity;
        else if (g->vcpu_cpuset_set)
                given = g->vcpu_cpuset;
        if (t->pinned || g->vcpu_cpuset_set)
                now = idset_and(&given, &topology->online);
        return idset_is_subset(&now, &t->affinity) ? given : t->affinity;
}

/* What policy_current_value() gives, without its search where the kernel's view is known. */
static int present_value(Placement *p, const Guest *g, const ThreadRef *ref, const char **ret) {
        _cleanup_free_ char *text = NULL;
        IdSet set;
        int r;

        if (!idset_is_empty(&ref->thread->affinity)) {
                set = ref->thread->affinity;
                if (!idset_is_empty(&p->topology->offline))
                        set = with_offline(p, g, ref->thread);
                return format_set(&p->old_text, &set, ret);
        }
        r = policy_current_value(p->context->snapshot, ref->kind, g->uuid, ref->index, &text);
        if (r == -ENOMEM)
                return r;
        if (r < 0 || idset_parse(text, &set) < 0)
                set = p->topology->online;
        return format_set(&p->old_text, &set, ret);
}

/* Of its cpu.policy; *ret is kept for the next one, most guests have it from the same place. */
static int source_of_policy(Placement *p, const PlacementGuest *g, const char **ret) {
        const SettingValue *v = &g->settings->values[KEY_CPU_POLICY], *last = p->source_value;
        char *text;
        int r;

        if (!last || last->file != v->file || last->line != v->line || last->rule != v->rule ||
            last->runtime != v->runtime || last->uid != v->uid) {
                r = setting_source(g->settings, KEY_CPU_POLICY, &text);
                if (r < 0)
                        return r;
                free(p->source_text);
                p->source_text = text;
                p->source_value = v;
        }
        *ret = p->source_text;
        return 0;
}

/* @reason: one of p->texts, or a constant. */
static int add_pin(Placement *p, PlacementGuest *g, const ThreadRef *ref, const char *new_value, const char *reason) {
        const char *old_value, *source;
        int r;

        r = present_value(p, g->guest, ref, &old_value);
        if (r >= 0)
                r = source_of_policy(p, g, &source);
        if (r < 0)
                return r;
        return plan_add_action_saying(p->context->plan, ref->kind, g->guest, ref->index, old_value, new_value, source,
                                      reason);
}

static int default_dedicated_reason(Placement *p, PlacementGuest *g) {
        _cleanup_free_ char *cpus = NULL;
        int r;

        r = idset_format(memo_cpus(g->memo), &cpus);
        if (r < 0)
                return r;
        return placement_say(p, g, "CPUs %s are its own, as decided before", cpus);
}

int placement_default_reason(Placement *p, PlacementGuest *g) {
        _cleanup_free_ char *nodes = NULL;
        int r;

        if (g->reason)
                return 0;
        if (!g->dedicated && setting(g->settings, KEY_NUMA_POLICY) == NUMA_NONE)
                return placement_say(p, g, "numa.policy is none: every usable CPU of the host");
        if (g->dedicated)
                return default_dedicated_reason(p, g);
        r = idset_format(memo_nodes(g->memo), &nodes);
        if (r < 0)
                return r;
        return placement_say(p, g, "node%s %s, where it was placed before",
                             idset_count(memo_nodes(g->memo)) == 1 ? "" : "s", nodes);
}

/* Which of the two calls libvirt makes last nobody can tell: not before that of an earlier process is over. */
static bool must_wait(const Placement *p, const PlacementGuest *g) {
        return g->memo->calls_left && policy_calls_open(g->memo, p->now_usec);
}

/* Returns one pin, unless it holds its original already or somebody else changed it meanwhile. */
static int give_back_thread(Placement *p, PlacementGuest *g, const ThreadRef *ref, const char *reason) {
        const Owned *owned = placement_owned(p, g->guest, ref);

        if (!owned)
                return 0;
        if (placement_at_original(p, owned, ref->thread)) {
                if (must_wait(p, g))
                        return 0;
                if (placement_in_grace(p, g))
                        return add_pin(p, g, ref, owned->original, reason);
                state_disown(p->context->state, ref->kind, g->guest->uuid, ref->index);
                return 0;
        }
        if (!placement_taken_over(p, g, owned, ref->thread))
                return add_pin(p, g, ref, owned->original, reason);
        placement_let_go(p, g, ref);
        /* Said of the guest as a whole already. */
        if (g->memo->user_pinned)
                return 0;
        return plan_add_skip(p->context->plan, ref->kind, g->guest, SKIP_TAKEN_OVER,
                             "somebody else changed a pin kvmtuned had set: it stays");
}

static int act_on_threads(Placement *p, PlacementGuest *g, Wanted *w) {
        int r;

        for (size_t i = 0; i < placement_threads(g->guest); i++) {
                ThreadRef ref = placement_thread(g->guest, i);
                char digits[U64_TEXT_MAX];
                const IdSet *wanted;
                const char *text;

                wanted = wanted_of(p, g->guest, w, i, &ref);
                if (!wanted || thread_holds(p, g->guest, ref.thread, wanted))
                        continue;
                r = placement_default_reason(p, g);
                if (r < 0)
                        return r;
                if (wanted == &w->one)
                        text = u64_text(w->cpu, digits);
                else
                        r = format_set(&p->new_text, wanted, &text);
                if (r < 0)
                        return r;
                r = add_pin(p, g, &ref, text, g->reason);
                if (r < 0)
                        return r;
                if (!placement_owned(p, g->guest, &ref))
                        g->memo->placed_usec = p->now_usec;
        }
        return 0;
}

/* Threads that no setting asks for: only what we changed on them before is of interest. */
static int release_unwanted(Placement *p, PlacementGuest *g, const Wanted *w) {
        int r;

        if (w->emulator && w->iothreads)
                return 0;
        for (size_t i = g->guest->n_vcpus; i < placement_threads(g->guest); i++) {
                ThreadRef ref = placement_thread(g->guest, i);

                if (ref.kind == ACTION_PIN_EMULATOR ? w->emulator : w->iothreads)
                        continue;
                r = give_back_thread(p, g, &ref, "no setting asks for this pin any more");
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Before the first action: is any pin that must change not ours to change? 1: the guest was left. */
static int check_threads(Placement *p, PlacementGuest *g, Wanted *w, bool *ret_differs) {
        bool differs = false;
        int r;

        for (size_t i = 0; i < placement_threads(g->guest); i++) {
                ThreadRef ref = placement_thread(g->guest, i);
                const IdSet *wanted;

                wanted = wanted_of(p, g->guest, w, i, &ref);
                if (!wanted || thread_holds(p, g->guest, ref.thread, wanted))
                        continue;
                differs = true;
                r = placement_check_thread(p, g, &ref);
                if (r != 0)
                        return r;
        }
        if (g->memo->adopted)
                placement_check_nodeset(p, g);
        g->memo->adopted = false;
        *ret_differs = differs;
        return 0;
}

int placement_pins(Placement *p, PlacementGuest *g) {
        _cleanup_(wanted_done) Wanted w = { 0 };
        bool differs = false;
        int r;

        r = wanted_init(p, g, &w);
        if (r < 0)
                return r;
        r = check_threads(p, g, &w, &differs);
        if (r < 0)
                return r;
        if (r > 0)
                return placement_give_back(p, g);
        if (differs) {
                r = act_on_threads(p, g, &w);
                if (r < 0)
                        return r;
        }
        return release_unwanted(p, g, &w);
}

int placement_give_back(Placement *p, PlacementGuest *g) {
        const char *reason = "cpu.policy is none: the pin from before kvmtuned changed it";
        int r;

        if (g->memo->user_pinned)
                reason = "other pins of this guest were set by somebody else: the pin from before kvmtuned changed "
                         "it";
        else if (g->cpus_limited && !idset_intersects(&g->guest->cgroup_cpus, &p->usable))
                reason = "its cgroup leaves it no CPU it could share: the pin from before kvmtuned changed it";
        else if (placement_policy(g) != CPU_NONE)
                reason = "all CPUs it could share are dedicated to others: the pin from before kvmtuned changed it";
        /* Never placed: nothing of it can be ours. */
        if (g->memo->placed_usec == 0 && !memo_is_placed(g->memo))
                return 0;
        for (size_t i = 0; i < placement_threads(g->guest); i++) {
                ThreadRef ref = placement_thread(g->guest, i);

                r = give_back_thread(p, g, &ref, reason);
                if (r < 0)
                        return r;
        }
        memo_drop_nodes(g->memo);
        memo_drop_cpus(g->memo);
        return 0;
}
