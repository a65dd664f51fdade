/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Where a guest's passed-through devices are. The kernel takes it from the
 * firmware and it does not change, so it is read when the guest's devices are
 * told, not in each cycle.
 */

#include "observe.h"

#include "sysfs.h"

#include <stdio.h>

/* An address of PCI has colons; the uuid of an mdev has none, and its folder lies in its parent's. */
static bool read_node(int root_fd, const char *device, size_t length, unsigned *ret) {
        bool pci = memchr(device, ':', length) != NULL;
        char path[128];
        int64_t node;

        (void)snprintf(path, sizeof(path), pci ? "sys/bus/pci/devices/%.*s/numa_node" :
                       "sys/bus/mdev/devices/%.*s/../numa_node", (int)MIN(length, sizeof(path)), device);
        if (sysfs_read_i64(root_fd, path, &node) < 0 || node < 0 || node >= IDSET_MAX)
                return false;
        *ret = (unsigned)node;
        return true;
}

void guest_devices_observe(int root_fd, const Topology *topology, Guest *g) {
        const char *p = g->vfio_devices ? g->vfio_devices : "";

        g->vfio_nodes = IDSET_EMPTY;
        while (*p) {
                size_t length = strcspn(p, " ");
                unsigned node;

                if (length > 0 && read_node(root_fd, p, length, &node) && topology_node(topology, node))
                        (void)idset_add(&g->vfio_nodes, node);
                p += length;
                p += strspn(p, " ");
        }
}
