/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * `kvmtuned advise` and the numad front: which nodes a guest should start on.
 *
 * cmd_advise.c   the command
 * numad_main.c   the same as a program with numad's command line, for libvirt
 * advise.c       look, decide, write the advice down
 * advise_look.c  this host without asking libvirt
 *
 * libvirtd runs its adviser while it holds the lock of the guest that is
 * starting. Every call that wants that guest, and every listing and statistics
 * of all of them, waits until the adviser has answered (seen with libvirt 9.0:
 * `virsh list --all`, `domstats`, `dominfo GUEST`), so an adviser that makes one
 * waits for itself. Nothing here calls libvirt. What libvirt knows of its guests
 * stands in its status files, and the rest in /proc. And the front is not linked
 * with it: loading libvirt's 60 libraries would be most of the time it takes.
 */

#include "../lib/policy_advise.h"
#include "../lib/reservation.h"

#define ADVISE_STATE_FILE LOCALSTATEDIR "/lib/kvmtuned/state"
#define ADVISE_CONFIG_FILE SYSCONFDIR "/kvmtuned/kvmtuned.conf"
#define ADVISE_RESERVATIONS_FILE "/run/kvmtuned/reservations"

typedef struct AdviseOptions {
        AdviceRequest request;
        const char *config, *state;     /* NULL: where the daemon has them, if it does */
        const char *snapshot;           /* NULL: this host */
        const char *reservations;
        bool reserve;                   /* write the advice down */
        bool explain;
        bool lenient;                   /* a faulty policy is told and not obeyed: guests must start */
        const char *program;            /* for messages */
} AdviseOptions;

/* Prints the nodes, as one line. 0, or -errno after an error message. */
int advise(const AdviseOptions *o);

/*
 * The host as `record` would have it, without loads and memory per node, which
 * take time to measure. @guests: where each of them began. The guests are those
 * of libvirt's system instance; without root there are none.
 */
typedef struct AdviseLook {
        Snapshot *snapshot;
        ReservationGuest *guests;       /* their guests belong to the snapshot */
        size_t n_guests;
} AdviseLook;
/* @state: what the daemon remembers of another run of a guest is forgotten. -errno. */
int advise_look(int root_fd, State *state, AdviseLook *ret);
void advise_look_done(AdviseLook *look);
