/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The host's shape while the daemon runs. CPUs and nodes that come or go: the
 * topology is read again. Memory that is added to a node, or taken: its size
 * follows. Cpuset partitions: so do isolated CPUs.
 *
 * What was seen when the topology was read is remembered, and only a difference
 * from that counts. The kernel and hwloc need not agree (hwloc leaves out the
 * nodes of NVIDIA GPUs), and such a machine is not to be read in each cycle.
 */

#include <errno.h>

#include "log.h"
#include "manager.h"

/* A node that is gone has no memory of a guest; what was measured before is not true any more. */
static void forget_lost_nodes(const Topology *t, Guest *g) {
        for (size_t i = 0; i < g->n_node_memory; i++)
                if (!topology_node(t, g->node_memory[i].node)) {
                        g->n_node_memory = 0;
                        return;
                }
}

static int read_topology(Manager *m) {
        _cleanup_(topology_freep) Topology *t = NULL;
        int r;

        r = topology_load(m->root_fd, NULL, &t);
        if (r < 0)
                return r;
        r = topology_complete_from_libnuma(t);
        if (r < 0)
                return r;
        r = host_observer_renew(m->host, t, &m->snapshot->host);
        if (r < 0)
                return r;
        topology_free(m->snapshot->topology);
        m->snapshot->topology = TAKE_PTR(t);
        for (size_t i = 0; i < m->snapshot->n_guests; i++) {
                forget_lost_nodes(m->snapshot->topology, m->snapshot->guests[i]);
                guest_devices_observe(m->root_fd, m->snapshot->topology, m->snapshot->guests[i]);
        }
        return 0;
}

static void follow_shape(Manager *m) {
        bool first = idset_is_empty(&m->shape.cpus);
        HostShape shape;
        int r;

        host_observer_shape(m->host, &m->snapshot->host, &shape);
        /* A list that cannot be read is not a machine without nodes. */
        if (idset_is_empty(&shape.nodes))
                shape.nodes = m->shape.nodes;
        if (idset_equal(&shape.cpus, &m->shape.cpus) && idset_equal(&shape.nodes, &m->shape.nodes))
                return;
        if (first && idset_equal(&shape.cpus, &m->snapshot->topology->online)) {
                m->shape = shape;
                return;
        }
        r = read_topology(m);
        if (r < 0) {
                (void)log_error_errno(r, "CPUs or nodes changed, and the topology could not be read again");
                return;
        }
        m->shape = shape;
        log_message(first ? LOG_DEBUG : LOG_NOTICE, "CPUs or nodes changed: %u CPUs online, %zu nodes",
                    idset_count(&m->snapshot->topology->online), m->snapshot->topology->n_nodes);
}

static void follow_isolated(Manager *m) {
        Topology *t = m->snapshot->topology;
        _cleanup_free_ char *text = NULL;
        IdSet isolated;

        if (host_observer_isolated(m->host, t, &isolated) < 0 || idset_equal(&isolated, &t->isolated))
                return;
        t->isolated = isolated;
        if (idset_format(&isolated, &text) >= 0)
                log_message(LOG_NOTICE, "Isolated CPUs changed: %s", *text ? text : "none");
}

void manager_follow_hotplug(Manager *m) {
        Snapshot *s = m->snapshot;

        follow_shape(m);
        follow_isolated(m);
        for (size_t i = 0; i < s->host.n_nodes && i < s->topology->n_nodes; i++)
                if (s->host.nodes[i].id == s->topology->nodes[i].id)
                        s->topology->nodes[i].memory_bytes = s->host.nodes[i].total_bytes;
}
