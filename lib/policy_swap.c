/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_eligible.h"
#include "policy_move.h"

#include <inttypes.h>

/*
 * Two guests change places, where the most loaded node cannot be relieved by
 * any one of its guests: each is too large for what the least loaded node has
 * left. To even out the loads, the difference of the two guests' demands should
 * be half of what one node has too much; so for each guest of the one node the
 * two guests of the other are looked at whose demand comes nearest to that.
 *
 * Memory is moved one guest after the other: at least one of the two must find
 * room before the other has left.
 */

typedef struct Swap {
        Placement *p;
        const PlacementNode *from, *to;
        uint16_t from_index, to_index;
        const uint16_t *to_list;        /* to_index, in the caller's list */
        PlacementGuest **guests;        /* of @to, by demand */
        size_t n;
        Move *move;
} Swap;

static int compare_demand(const void *a, const void *b) {
        const PlacementGuest *x = *(PlacementGuest *const *)a, *y = *(PlacementGuest *const *)b;

        if (x->demand_permyriad != y->demand_permyriad)
                return x->demand_permyriad > y->demand_permyriad ? 1 : -1;
        return strcmp(x->guest->uuid, y->guest->uuid);
}

/* On that node alone, and free to be moved now, memory and all. */
static bool takes_part(const Placement *p, const PlacementGuest *g, const PlacementNode *n) {
        const char *detail;
        SkipReason why;

        return placement_is_candidate(p, g) && !g->limited && idset_contains(memo_nodes(g->memo), n->id) &&
               idset_count(memo_nodes(g->memo)) == 1 && placement_may_move(p, g, &why, &detail) &&
               policy_eligible(g->guest, ACTION_MOVE_MEMORY, &why, &detail);
}

static uint64_t room_of(const PlacementNode *n, const Guest *g) {
        return u64_sub(placement_room(n, g), n->memory_known ? n->pending_bytes : 0);
}

/* What is there for @comes when @leaves has gone: pages of a pool are of no use but to their own kind. */
static uint64_t left_by(const PlacementGuest *leaves, const PlacementGuest *comes, const IdSet *nodes) {
        const Guest *a = leaves->guest, *b = comes->guest;

        if (a->hugepages != b->hugepages || a->hugepage_bytes != b->hugepage_bytes)
                return 0;
        return placement_resident_on(a, nodes);
}

static bool have_room(const Swap *s, const PlacementGuest *a, const PlacementGuest *b) {
        const PlacementNode *memory_from = &s->p->nodes[s->from->memory_at];
        const PlacementNode *memory_to = &s->p->nodes[s->to->memory_at];
        IdSet from = idset_of(memory_from->id), to = idset_of(memory_to->id);
        uint64_t need_a = placement_need(a, &to), need_b = placement_need(b, &from);
        uint64_t room_a = room_of(memory_to, a->guest), room_b = room_of(memory_from, b->guest);

        if (need_a > room_a && need_b > room_b)
                return false;
        return need_a <= u64_add(room_a, left_by(b, a, &to)) &&
               need_b <= u64_add(room_b, left_by(a, b, &from));
}

static uint64_t load_after(const PlacementNode *n, const PlacementGuest *out, const PlacementGuest *in) {
        return (u64_sub(n->demand_permyriad, out->demand_permyriad) + in->demand_permyriad) / MAX(n->n_cpus, 1U);
}

static void offer(Swap *s, PlacementGuest *a, PlacementGuest *b) {
        NodeList from = { .at = &s->from_index, .n = 1 }, to = { .at = &s->to_index, .n = 1 };
        uint64_t left = load_after(s->from, a, b), right = load_after(s->to, b, a);
        Move *m = s->move;
        int64_t needed;
        MoveValue v;

        if (right > left || a->n_vcpus > s->to->n_cpus || b->n_vcpus > s->from->n_cpus || !have_room(s, a, b))
                return;
        v = move_value_of_swap(s->p, a, b, &from, &to);
        needed = MAX(move_gain_needed(s->p, a, &to), move_gain_needed(s->p, b, &from));
        if (MIN(v.wait, v.score) < needed || (m->guest && move_value_order(&v, &m->value) >= 0))
                return;
        m->cause = MOVE_SWAP;
        m->guest = a;
        m->other = b;
        m->from = s->from;
        m->to = (NodeList){ .at = s->to_list, .n = 1 };
        m->value = v;
        m->load_after = left;
}

/* The guests of @to with a demand around @demand. */
static void look_near(Swap *s, PlacementGuest *a, uint64_t demand) {
        size_t low = 0, high = s->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (s->guests[middle]->demand_permyriad < demand)
                        low = middle + 1;
                else
                        high = middle;
        }
        if (low < s->n)
                offer(s, a, s->guests[low]);
        if (low > 0)
                offer(s, a, s->guests[low - 1]);
}

/* What would have to leave @from for both to be equally loaded. */
static uint64_t surplus(const PlacementNode *from, const PlacementNode *to) {
        uint64_t difference = u64_sub(placement_load(from), placement_load(to));

        return u64_muldiv(difference, (uint64_t)from->n_cpus * to->n_cpus, (uint64_t)from->n_cpus + to->n_cpus);
}

static int describe(const Swap *s) {
        _cleanup_free_ char *value = NULL;
        const Move *m = s->move;
        int r;

        r = move_value_format(&m->value, &value);
        if (r < 0)
                return r;
        return placement_say(s->p, m->guest,
                             "node %u at %" PRIu64 " %% of its %u CPUs, node %u at %" PRIu64 " %% of its %u: no "
                             "single move helps, %s (%" PRIu64 " %% of one CPU) and %s (%" PRIu64 " %%) changing "
                             "places brings the larger to %" PRIu64 " %%; %s", s->from->id,
                             placement_load(s->from) / 100, s->from->n_cpus, s->to->id,
                             placement_load(s->to) / 100, s->to->n_cpus,
                             m->guest->guest->name, m->guest->demand_permyriad / 100, m->other->guest->name,
                             m->other->demand_permyriad / 100, m->load_after / 100, value);
}

int placement_swap(Placement *p, const PlacementNode *from, const uint16_t *to_list, Move *m) {
        const PlacementNode *to = &p->nodes[*to_list];
        Swap s = { .p = p, .from = from, .to = to, .to_list = to_list, .move = m };
        uint64_t more = surplus(from, to);
        int r = 0;

        s.from_index = (uint16_t)(from - p->nodes);
        s.to_index = (uint16_t)(to - p->nodes);
        s.guests = calloc(MAX(p->n_guests, (size_t)1), sizeof(PlacementGuest *));
        if (!s.guests)
                return -ENOMEM;
        for (size_t i = 0; i < p->n_guests; i++)
                if (takes_part(p, &p->guests[i], to))
                        s.guests[s.n++] = &p->guests[i];
        qsort(s.guests, s.n, sizeof(PlacementGuest *), compare_demand);
        for (size_t i = 0; s.n > 0 && i < p->n_guests; i++)
                if (takes_part(p, &p->guests[i], from))
                        look_near(&s, &p->guests[i], u64_sub(p->guests[i].demand_permyriad, more));
        if (m->guest)
                r = describe(&s);
        free(s.guests);
        return r;
}
