/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_placement.h"
#include "state_memo.h"

/*
 * cpu.policy dedicated: who has CPUs of its own.
 *
 * GuestMemo.cpus says which: one for each online vCPU, and one more for the
 * emulator threads and one for the I/O threads where those are isolated. They
 * are the guest's from the decision on, whether or not its threads are pinned
 * yet, so that a second guest that starts meanwhile cannot be given them. What
 * can stay of them stays, at every look; what is no longer there (offline,
 * reserved, a node that was left, a sibling under isolate) is replaced, on the
 * guest's nodes while they have enough, else on other nodes.
 *
 * Dedicated guests are served before all others, the largest first. One that
 * cannot have all its CPUs gets none: it shares CPUs like a guest of policy
 * shared, a Skip says what is missing, and it is tried again at every look. One
 * that had them, and needs more than there are (a vCPU was plugged in, a CPU
 * went offline), keeps what it has: only the vCPUs without one share.
 *
 * Exclusive means: no guest that kvmtuned manages is pinned there. Others can
 * be anywhere; placement_report_intruders() names them.
 */

static bool has_nodes(const PlacementGuest *g) {
        return setting(g->settings, KEY_NUMA_POLICY) != NUMA_NONE;
}

/* Nodes with usable CPUs, dedicated or not. */
static IdSet usable_nodes(const Placement *p) {
        IdSet nodes = IDSET_EMPTY;

        for (size_t i = 0; i < p->n_nodes; i++)
                if (p->nodes[i].n_usable > 0)
                        (void)idset_add(&nodes, p->nodes[i].id);
        return nodes;
}

static IdSet own_nodes(const Placement *p, const PlacementGuest *g) {
        return has_nodes(g) ? *memo_nodes(g->memo) : usable_nodes(p);
}

IdSet placement_vcpu_nodes(const Placement *p, const PlacementGuest *g, unsigned vcpu) {
        const Guest *guest = g->guest;

        for (size_t i = 0; i < guest->n_cells; i++)
                if (idset_contains(&guest->cells[i].vcpus, vcpu)) {
                        IdSet usable = usable_nodes(p), nodes = guest->cells[i].nodeset;

                        if (g->memo->n_cells == guest->n_cells)
                                nodes = idset_of(g->memo->cell_nodes[i]);
                        nodes = idset_and(&nodes, &usable);
                        return idset_is_empty(&nodes) ? own_nodes(p, g) : nodes;
                }
        return own_nodes(p, g);
}

static bool is_on(const Placement *p, unsigned cpu, const IdSet *nodes) {
        return p->cpu_node[cpu] != UINT16_MAX && idset_contains(nodes, p->nodes[p->cpu_node[cpu]].id);
}

/* ---- what a guest has already ---- */

/* @cpu can be its own under cpu.threads, together with those in @others. */
static bool threads_allow(const Placement *p, const PlacementGuest *g, unsigned cpu, const IdSet *others) {
        const PlacementCore *core = placement_core(p, cpu);
        CpuThreads threads = placement_threads_policy(g);

        if (threads == THREADS_REQUIRE)
                return core->n_cpus > 1;
        for (unsigned i = core->first; threads == THREADS_ISOLATE && i < core->first + core->n_cpus; i++)
                if (idset_contains(others, p->by_core[i]) || idset_contains(&p->dedicated, p->by_core[i]))
                        return false;
        return true;
}

static void drop_unused(const PlacementGuest *g, IdSet *cpus) {
        unsigned n = idset_count(cpus);
        IdSet used = IDSET_EMPTY;

        for (size_t i = 0; i < placement_threads(g->guest); i++) {
                ThreadRef ref = placement_thread(g->guest, i);
                int cpu;

                if ((ref.kind != ACTION_PIN_VCPU || ref.thread->online) && placement_single_cpu(ref.thread, &cpu))
                        (void)idset_add(&used, (unsigned)cpu);
        }
        for (unsigned pass = 0; pass < 2; pass++)
                for (unsigned cpu = IDSET_MAX; cpu > 0 && n > g->n_wanted; cpu--)
                        if (idset_contains(cpus, cpu - 1) && (pass == 1 || !idset_contains(&used, cpu - 1))) {
                                idset_remove(cpus, cpu - 1);
                                n--;
                        }
}

/* Of memo->cpus, what can stay. */
static IdSet staying_cpus(const Placement *p, const PlacementGuest *g) {
        IdSet nodes = own_nodes(p, g), present = idset_and(memo_cpus(g->memo), &p->usable), staying = IDSET_EMPTY;

        present = placement_within_limit(g, &present);
        IDSET_FOREACH(cpu, &present)
                if (is_on(p, (unsigned)cpu, &nodes) && threads_allow(p, g, (unsigned)cpu, &staying))
                        (void)idset_add(&staying, (unsigned)cpu);
        if (idset_count(&staying) > g->n_wanted)
                drop_unused(g, &staying);
        return staying;
}

static void take_all(Placement *p, const PlacementGuest *g) {
        IDSET_FOREACH(cpu, memo_cpus(g->memo))
                if (p->cpu_node[cpu] != UINT16_MAX && !idset_contains(&p->dedicated, (unsigned)cpu))
                        placement_take_cpu(p, g, (unsigned)cpu);
}

static void release_all(Placement *p, PlacementGuest *g) {
        IDSET_FOREACH(cpu, memo_cpus(g->memo))
                placement_release_cpu(p, g, (unsigned)cpu);
        if (g->memo->cpus)
                *g->memo->cpus = IDSET_EMPTY;
}

/* Gives one of @own to a thread that must be on @nodes. */
static bool use_one(const Placement *p, IdSet *own, const IdSet *nodes) {
        IDSET_FOREACH(cpu, own)
                if (is_on(p, (unsigned)cpu, nodes)) {
                        idset_remove(own, (unsigned)cpu);
                        return true;
                }
        return false;
}

/* By guest NUMA cell: vCPUs without a CPU on their nodes get one, with @pick; returns how many still lack one. */
static unsigned complete_cells(Placement *p, PlacementGuest *g, bool pick) {
        unsigned lacking = 0, helpers = g->n_wanted - g->n_vcpus;
        IdSet own = *memo_cpus(g->memo), nodes;

        for (size_t i = 0; i < g->guest->n_vcpus; i++) {
                if (!g->guest->vcpus[i].online)
                        continue;
                nodes = placement_vcpu_nodes(p, g, g->guest->vcpus[i].id);
                if (!use_one(p, &own, &nodes) && (!pick || placement_pick_cpus(p, g, &nodes, 1) == 0))
                        lacking++;
        }
        nodes = own_nodes(p, g);
        for (unsigned i = 0; i < helpers; i++)
                if (!use_one(p, &own, &nodes) && (!pick || placement_pick_cpus(p, g, &nodes, 1) == 0))
                        lacking++;
        return lacking;
}

static unsigned complete(Placement *p, PlacementGuest *g, bool pick) {
        unsigned lacking;
        IdSet nodes;

        if (g->guest->n_cells > 0)
                return complete_cells(p, g, pick);
        lacking = g->n_wanted - MIN(idset_count(memo_cpus(g->memo)), g->n_wanted);
        if (lacking == 0 || !pick)
                return lacking;
        nodes = own_nodes(p, g);
        return lacking - placement_pick_cpus(p, g, &nodes, lacking);
}

static bool place_is_valid(const Placement *p, const PlacementGuest *g) {
        IdSet usable = usable_nodes(p), bound;

        if (!has_nodes(g))
                return true;
        if (!memo_is_placed(g->memo) || !idset_is_subset(memo_nodes(g->memo), &usable))
                return false;
        return !placement_bound_nodes(p, g->guest, &bound) || idset_equal(&bound, memo_nodes(g->memo));
}

void placement_hold(Placement *p) {
        for (size_t i = 0; i < p->n_guests; i++) {
                PlacementGuest *g = &p->guests[i];

                if (!g->memo || !memo_has_cpus(g->memo))
                        continue;
                if (g->memo->user_pinned) {
                        memo_drop_cpus(g->memo);
                        continue;
                }
                if (g->managed)
                        *g->memo->cpus = staying_cpus(p, g);
                take_all(p, g);
                g->dedicated = !g->managed || (place_is_valid(p, g) && complete(p, g, false) == 0);
        }
}

bool placement_waits_for_cpus(const PlacementGuest *g) {
        return g->managed && placement_policy(g) == CPU_DEDICATED && !g->dedicated && !g->refused && g->n_wanted > 0;
}

/* ---- serving, and refusing ---- */

/* A pin to one CPU that is not ours to change. */
static void bar_user_pins(Placement *p) {
        if (p->bars_known)
                return;
        p->bars_known = true;
        for (size_t i = 0; i < p->n_guests; i++) {
                const PlacementGuest *g = &p->guests[i];

                if (g->memo && !g->memo->user_pinned && g->memo->pins_seen && placement_policy(g) != CPU_NONE)
                        continue;
                for (size_t t = 0; t < placement_threads(g->guest); t++) {
                        ThreadRef ref = placement_thread(g->guest, t);
                        int cpu;

                        if (placement_single_cpu(ref.thread, &cpu) && !placement_owned(p, g->guest, &ref))
                                placement_bar_cpu(p, (unsigned)cpu);
                }
        }
}

/* Many of one size are refused one after the other: said alike, and once. */
static int say_it_shares(Placement *p, const PlacementGuest *g, const char *what, unsigned n_free) {
        PlacementLack *last = &p->lack, lack = { .what = what, .n_wanted = g->n_wanted, .n_free = n_free };
        int r;

        if (!last->text || what != last->what || g->n_wanted != last->n_wanted || n_free != last->n_free) {
                r = placement_text(p, &lack.text, "it needs %u %s of its own, and %u are free where it may be: "
                                   "it shares CPUs until then", g->n_wanted, what, n_free);
                if (r < 0)
                        return r;
                *last = lack;
        }
        return plan_add_skip_saying(p->context->plan, ACTION_PIN_VCPU, g->guest, SKIP_NO_CAPACITY, last->text);
}

static int say_what_is_missing(Placement *p, const PlacementGuest *g, unsigned n_free) {
        static const char *const what[_CPU_THREADS_MAX] = {
                [THREADS_PREFER] = "CPUs", [THREADS_ISOLATE] = "whole cores",
                [THREADS_REQUIRE] = "CPUs on whole cores with siblings",
        };
        CpuThreads threads = placement_threads_policy(g);
        unsigned n_own = idset_count(memo_cpus(g->memo));
        bool smt = false;

        if (n_own > 0)
                return plan_add_skip(p->context->plan, ACTION_PIN_VCPU, g->guest, SKIP_NO_CAPACITY,
                                     "it needs %u %s of its own, and has %u of them; no more are free where it "
                                     "may be", g->n_wanted, what[threads], n_own);
        for (size_t i = 0; threads == THREADS_REQUIRE && !smt && i < p->n_cores; i++)
                smt = p->cores[i].n_cpus > 1;
        if (threads == THREADS_REQUIRE && !smt)
                return plan_add_skip(p->context->plan, ACTION_PIN_VCPU, g->guest, SKIP_NO_CAPACITY,
                                     "cpu.threads is require, and no core of the host has two usable CPUs: "
                                     "it shares CPUs");
        return say_it_shares(p, g, what[threads], n_free);
}

static int refuse(Placement *p, PlacementGuest *g, const IdSet *nodes) {
        unsigned n_free = placement_capacity_of(p, g, nodes);

        release_all(p, g);
        memo_drop_cpus(g->memo);
        g->dedicated = false;
        g->refused = p->sharing = true;
        return say_what_is_missing(p, g, n_free);
}

/* It stays where it is, with the CPUs in @cpus. */
static int serve_in_part(Placement *p, PlacementGuest *g, const IdSet *cpus) {
        *g->memo->cpus = *cpus;
        take_all(p, g);
        p->sharing = true;
        placement_account(p, g);
        return say_what_is_missing(p, g, 0);
}

/* What a decision that gave it CPUs says; @moved: on nodes that were chosen now, and g->reason tells why. */
static int describe(Placement *p, PlacementGuest *g, bool moved) {
        _cleanup_free_ char *cpus = NULL, *nodes = NULL;
        const char *idle = placement_threads_policy(g) == THREADS_ISOLATE ? ", their siblings idle" : "";
        int r;

        r = idset_format(memo_cpus(g->memo), &cpus);
        if (r >= 0)
                r = idset_format(memo_nodes(g->memo), &nodes);
        if (r < 0)
                return r;
        if (moved)
                return placement_say(p, g, "CPUs %s are its own%s; %s", cpus, idle, g->reason);
        if (!has_nodes(g))
                return placement_say(p, g, "CPUs %s are its own%s; numa.policy is none", cpus, idle);
        return placement_say(p, g, "CPUs %s are its own%s; node%s %s, where it is placed", cpus, idle,
                             idset_count(memo_nodes(g->memo)) == 1 ? "" : "s", nodes);
}

static int serve_elsewhere(Placement *p, PlacementGuest *g, bool had_some) {
        bool stays = had_some && place_is_valid(p, g);
        IdSet bound, before = *memo_cpus(g->memo);
        const IdSet *within = NULL;
        int r;

        release_all(p, g);
        if (has_nodes(g) && placement_bound_nodes(p, g->guest, &bound))
                within = &bound;
        if (!has_nodes(g) || placement_capacity_of(p, g, within) < g->n_wanted)
                return stays ? serve_in_part(p, g, &before) : refuse(p, g, within);
        r = memo_make_cpus(g->memo);
        if (r >= 0)
                r = placement_choose(p, g);
        if (r < 0)
                return r;
        *g->memo->cpus = before;
        *g->memo->cpus = staying_cpus(p, g);
        take_all(p, g);
        if (complete(p, g, true) == 0)
                return describe(p, g, true);
        return refuse(p, g, memo_nodes(g->memo));
}

int placement_dedicate(Placement *p, PlacementGuest *g) {
        bool had_some = memo_has_cpus(g->memo);
        IdSet nodes;
        int r;

        bar_user_pins(p);
        g->dedicated = true;
        nodes = own_nodes(p, g);
        if (!place_is_valid(p, g) ||
            placement_capacity_of(p, g, &nodes) + idset_count(memo_cpus(g->memo)) < g->n_wanted)
                return serve_elsewhere(p, g, had_some);
        r = memo_make_cpus(g->memo);
        if (r < 0)
                return r;
        if (complete(p, g, true) > 0)
                return serve_elsewhere(p, g, had_some);
        placement_account(p, g);
        return describe(p, g, false);
}

/* ---- the limits of being exclusive ---- */

#define INTRUDERS_NAMED 4U

static bool reaches(const Placement *p, const GuestThread *t) {
        if (!idset_is_empty(&t->affinity))
                return idset_intersects(&t->affinity, &p->dedicated);
        return !t->pinned || idset_intersects(&t->pin, &p->dedicated);
}

/* Threads of @g that no setting or no right of ours keeps off the dedicated CPUs. */
static bool intrudes(const Placement *p, const PlacementGuest *g) {
        if (g->dedicated || (g->cpus_limited && !idset_intersects(&g->guest->cgroup_cpus, &p->dedicated)))
                return false;
        for (size_t i = 0; i < placement_threads(g->guest); i++) {
                ThreadRef ref = placement_thread(g->guest, i);
                Key key = ref.kind == ACTION_PIN_EMULATOR ? KEY_CPU_EMULATOR : KEY_CPU_IOTHREADS;

                if (ref.kind == ACTION_PIN_VCPU && (g->managed || !ref.thread->online))
                        continue;
                if (ref.kind != ACTION_PIN_VCPU && g->managed && setting(g->settings, key) != FOLLOW_NONE)
                        continue;
                if (reaches(p, ref.thread))
                        return true;
        }
        return false;
}

int placement_report_intruders(Placement *p) {
        _cleanup_free_ char *names = NULL, *cpus = NULL, *more = NULL;
        size_t n = 0;
        int r = 0;

        if (p->context->only_uuid || idset_is_empty(&p->dedicated))
                return 0;
        for (size_t i = 0; r >= 0 && i < p->n_guests; i++)
                if (intrudes(p, &p->guests[i]) && n++ < INTRUDERS_NAMED)
                        r = strprintf_to(&names, "%s%s%s", names ?: "", names ? ", " : "", p->guests[i].guest->name);
        if (r < 0 || n == 0)
                return r;
        if (n > INTRUDERS_NAMED)
                r = strprintf_to(&more, " and %zu more", n - INTRUDERS_NAMED);
        if (r >= 0)
                r = idset_format(&p->dedicated, &cpus);
        if (r < 0)
                return r;
        return plan_add_skip(p->context->plan, ACTION_PIN_VCPU, NULL, SKIP_NOT_EXCLUSIVE,
                             "CPUs %s are dedicated, and threads that kvmtuned does not pin may run there all the "
                             "same: %s%s", cpus, names, more ?: "");
}
