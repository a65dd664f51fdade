/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Where pages are. New ones come from the node on which the vCPU runs that
 * touches them, from the nearest one with free memory when that is full; a
 * strict nodeset is a wall. The mover takes pages from every other node, as
 * many as its rate allows in an interval, to the target with the most free
 * memory; copying takes CPU time; it ends when nothing is left to move or the
 * targets are full.
 */

#include "sim.h"

/* A node keeps this much for itself: the kernel's watermarks. */
#define WATERMARK_SHARE 100U
/* What one CPU copies: migration of 4 KiB pages runs at about 1 GiB/s on a current machine. */
#define COPY_BYTES_PER_SEC ((double)GIB)
/* After each slice the mover looks which target has the most free memory. */
#define SLICE_BYTES (64 * MIB)

double sim_farness(const Sim *s, const SimGuest *g, size_t node) {
        double sum = 0, bytes = 0;

        for (size_t i = 0; i < s->machine->n_nodes; i++) {
                sum += (double)g->node_bytes[i] * topology_distance(s->machine, node, i);
                bytes += (double)g->node_bytes[i];
        }
        return bytes > 0 ? MAX(sum / bytes / 10, 1.0) : 1;
}

static uint64_t room(const Sim *s, size_t node) {
        return u64_sub(s->node_free[node], s->node_total[node] / WATERMARK_SHARE);
}

static bool may_hold(const Sim *s, const SimGuest *g, size_t node) {
        return g->numatune != NUMATUNE_STRICT || idset_contains(&g->numatune_nodes, s->machine->nodes[node].id);
}

static uint64_t take(Sim *s, SimGuest *g, size_t node, uint64_t bytes) {
        uint64_t got = may_hold(s, g, node) ? MIN(bytes, room(s, node)) : 0;

        g->node_bytes[node] += got;
        s->node_free[node] -= got;
        return got;
}

static void touch_near(Sim *s, SimGuest *g, size_t node, uint64_t bytes) {
        size_t order[256];

        if (s->machine->n_nodes > ELEMENTSOF(order))
                abort();
        bytes -= take(s, g, node, bytes);
        if (bytes == 0)
                return;
        sim_nodes_by_distance(s, node, order);
        for (size_t i = 0; i < s->machine->n_nodes && bytes > 0; i++)
                bytes -= take(s, g, order[i], bytes);
}

static void touch(Sim *s, SimGuest *g) {
        uint64_t age = s->snapshot->now_usec + s->step_usec - g->start_usec;
        double ramp = g->touch_usec > age ? (double)age / (double)g->touch_usec : 1, run = 0;
        uint64_t want = (uint64_t)((double)g->max_bytes * g->touched * ramp);
        uint64_t grow = u64_sub(want, sim_resident(s, g)) / MIB * MIB;

        if (grow == 0 || g->paused)
                return;
        for (size_t i = 0; i < s->machine->n_nodes; i++)
                run += g->node_run[i];
        for (size_t i = 0; i < s->machine->n_nodes && run > 0; i++)
                if (g->node_run[i] > 0)
                        touch_near(s, g, i, (uint64_t)((double)grow * g->node_run[i] / run));
}

void sim_touch(Sim *s) {
        for (size_t i = 0; i < s->n_guests; i++)
                if (s->guests[i].running)
                        touch(s, &s->guests[i]);
}

uint64_t sim_move(Sim *s, SimGuest *g, size_t from, size_t to, uint64_t bytes) {
        uint64_t n = MIN(MIN(bytes, g->node_bytes[from]), room(s, to));

        g->node_bytes[from] -= n;
        s->node_free[from] += n;
        g->node_bytes[to] += n;
        s->node_free[to] -= n;
        s->metrics.moved_bytes += (double)n;
        return n;
}

void sim_mover_start(Sim *s, size_t guest, const IdSet *targets, double bytes_per_sec) {
        s->mover = (SimMover){
                .busy = true, .guest = guest, .targets = *targets, .bytes_per_sec = bytes_per_sec,
                .cpu = MIN(bytes_per_sec / COPY_BYTES_PER_SEC, 1.0),
        };
        s->metrics.moves++;
}

/* Nodes without CPUs last. */
static bool is_filled_before(const Sim *s, size_t a, size_t b) {
        bool last_a = idset_is_empty(&s->machine->nodes[a].cpus), last_b = idset_is_empty(&s->machine->nodes[b].cpus);

        return last_a != last_b ? last_b : room(s, a) > room(s, b);
}

static size_t emptiest(const Sim *s, const IdSet *ids) {
        size_t best = SIZE_MAX;

        for (size_t i = 0; i < s->machine->n_nodes; i++)
                if (idset_contains(ids, s->machine->nodes[i].id) && room(s, i) > 0 &&
                    (best == SIZE_MAX || is_filled_before(s, i, best)))
                        best = i;
        return best;
}

void sim_mover_run(Sim *s) {
        SimGuest *g = &s->guests[s->mover.guest];
        double bytes = s->mover.bytes_per_sec * (double)s->step_usec / (double)USEC_PER_SEC;
        uint64_t left, keep, elsewhere, moved;

        if (!s->mover.busy)
                return;
        left = bytes >= 1e18 ? UINT64_MAX : (uint64_t)bytes;
        elsewhere = sim_resident(s, g) - sim_resident_on(s, g, &s->mover.targets);
        keep = (uint64_t)((double)sim_resident(s, g) * g->stuck);
        left = MIN(left, u64_sub(elsewhere, keep));
        for (size_t i = 0; i < s->machine->n_nodes && left > 0; i++) {
                if (idset_contains(&s->mover.targets, s->machine->nodes[i].id))
                        continue;
                while (left > 0 && g->node_bytes[i] > 0) {
                        size_t to = emptiest(s, &s->mover.targets);

                        moved = to == SIZE_MAX ? 0 : sim_move(s, g, i, to, MIN(left, SLICE_BYTES));
                        if (moved == 0)
                                break;
                        left -= moved;
                }
        }
        elsewhere = sim_resident(s, g) - sim_resident_on(s, g, &s->mover.targets);
        if (elsewhere > keep && emptiest(s, &s->mover.targets) != SIZE_MAX)
                return;
        s->mover = (SimMover){ 0 };
        if (s->tuner == TUNER_KVMTUNED)
                engine_move_ended(s, g, elsewhere <= keep ? elsewhere : 0, elsewhere <= keep ? 0 : -ENOMEM);
}
