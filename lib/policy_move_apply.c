/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "parse.h"
#include "policy_move.h"
#include "state_memo.h"

#include <inttypes.h>

/*
 * A move that was decided: its guest has other nodes from now on, and the words
 * for it. Pins and memory follow from the nodes.
 */

static int format_list(const Placement *p, const NodeList *list, char **ret) {
        IdSet set = IDSET_EMPTY;

        for (size_t i = 0; i < list->n; i++)
                (void)idset_add(&set, p->nodes[list->at[i]].id);
        return idset_format(&set, ret);
}

static int describe_load(Placement *p, const Move *m, const char *value) {
        const PlacementNode *to = &p->nodes[m->to.at[0]];

        return placement_say(p, m->guest,
                             "node %u at %" PRIu64 " %% of its %u CPUs, node %u at %" PRIu64 " %% of its %u: "
                             "moving %s (%" PRIu64 " %% of one CPU) brings the larger to %" PRIu64 " %%; %s",
                             m->from->id, placement_load(m->from) / 100, m->from->n_cpus, to->id,
                             placement_load(to) / 100, to->n_cpus, m->guest->guest->name,
                             m->guest->demand_permyriad / 100, m->load_after / 100, value);
}

static int describe(Placement *p, const Move *m) {
        _cleanup_free_ char *value = NULL, *to = NULL;
        IdSet memory = placement_memory_nodes(p, m->guest);
        char bytes[FORMAT_BYTES_MAX];
        int r;

        r = move_value_format(&m->value, &value);
        if (r >= 0)
                r = format_list(p, &m->to, &to);
        if (r < 0)
                return r;
        switch (m->cause) {
        case MOVE_LOAD:
                return describe_load(p, m, value);
        case MOVE_SHORTAGE:
                return placement_say(p, m->guest,
                                     "node %u is %s short of its share of the host's reserve: moving %s to node "
                                     "%s %s", m->from->id, format_bytes_short(m->from->short_bytes, bytes),
                                     m->guest->guest->name, to, value);
        default:
                return placement_say(p, m->guest,
                                     "%" PRIu64 " %% of its memory are remote: moving its vCPUs to node %s %s",
                                     placement_remote_permyriad(m->guest, &memory) / 100, to, value);
        }
}

static void leave_nodes(Placement *p, const PlacementGuest *g) {
        NodeList home = move_node_list(p, memo_nodes(g->memo), p->home);
        uint64_t cpus = move_cpus_of(p, &home);

        for (size_t i = 0; i < home.n; i++) {
                PlacementNode *n = &p->nodes[home.at[i]];
                uint64_t vcpus = u64_muldiv((uint64_t)g->n_vcpus * PLACEMENT_MILLI, n->n_cpus, cpus);

                n->commit_milli = u64_sub(n->commit_milli, vcpus);
                n->shared_milli = u64_sub(n->shared_milli, vcpus);
                n->demand_permyriad = u64_sub(n->demand_permyriad, u64_muldiv(g->demand_permyriad, n->n_cpus, cpus));
        }
}

static int apply(Placement *p, const Move *m, PlacementGuest *g, const PlacementNode *from, const IdSet *nodes) {
        IdSet memory = placement_memory_nodes(p, g);
        uint64_t remote = placement_remote_permyriad(g, &memory);
        int r;

        leave_nodes(p, g);
        r = placement_put(p, g, nodes);
        if (r >= 0)
                r = memo_make_left(g->memo);
        if (r < 0)
                return r;
        memory = placement_memory_nodes(p, g);
        g->memo->unmovable_bytes = g->memo->full_bytes = 0;
        placement_account_nodes(p, g, nodes);
        g->memo->placed_usec = p->now_usec;
        g->moving = true;
        placement_begin_move(p, g, m->cause, from, &m->value, remote);
        g->memo->move_waits = placement_follows_memory(g) && g->movable && g->resident_bytes != UNKNOWN_U64 &&
                              move_is_remote(g, move_remote_bytes(g, &memory));
        return 0;
}

int move_carry_out(Placement *p, const Move *m) {
        IdSet to = IDSET_EMPTY, home = *memo_nodes(m->guest->memo);
        int r;

        /* The words of a swap come with it. */
        r = m->other ? 0 : describe(p, m);
        if (r < 0)
                return r;
        for (size_t i = 0; i < m->to.n; i++)
                (void)idset_add(&to, p->nodes[m->to.at[i]].id);
        r = apply(p, m, m->guest, m->from, m->other ? memo_nodes(m->other->memo) : &to);
        if (r < 0 || !m->other)
                return r;
        r = apply(p, m, m->other, &p->nodes[m->to.at[0]], &home);
        m->other->reason = m->guest->reason;
        return r;
}

int move_skip_refused(Placement *p, const Move *m) {
        return plan_add_skip(p->context->plan, ACTION_PIN_VCPU, m->refused->guest, m->why,
                             "node %u at %" PRIu64 " %% of its %u CPUs, moving it to node %u would help: %s",
                             m->refused_from->id, placement_load(m->refused_from) / 100, m->refused_from->n_cpus,
                             m->refused_to->id, m->detail);
}
