/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Pressure stall information of the host (/proc/pressure) and of a cgroup: the same text. */

#include "snapshot.h"
#include "sysfs.h"

#define PSI_UNKNOWN ((Psi){ UNKNOWN_PERMYRIAD, UNKNOWN_PERMYRIAD })

/*
 * "some avg10=1.23 ..." and "full avg10=...": each unknown when it is not there
 * or no share. A kernel without the file (CONFIG_PSI, psi=0) is not asked again.
 */
Psi psi_read(SysfsFile *f, int root_fd);
