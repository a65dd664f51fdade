/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What advisers said (kvmtuned advise, numad): to libvirt, about a guest that
 * runs, and to anybody, about guests that are not here yet.
 */

#include <fcntl.h>
#include <sys/stat.h>

#include "../lib/reservation.h"
#include "../lib/sysfs.h"
#include "advise.h"
#include "log.h"
#include "manager.h"
#include "virt_xml.h"

/* libvirt tells it in no call, but keeps it in its status file. */
void manager_read_advice(Manager *m, Guest *g) {
        _cleanup_(guest_freep) Guest *status = NULL;
        _cleanup_free_ char *path = NULL, *xml = NULL;
        size_t size;

        /* Mode restrictive: a nodeset of ours, or one that was given back, has taken its place. */
        if ((!g->vcpu_placement_auto && !g->numatune_placement_auto && g->numatune_mode != NUMATUNE_RESTRICTIVE) ||
            strchr(g->name, '/'))
                return;
        if (strprintf_to(&path, "run/libvirt/qemu/%s.xml", g->name) < 0 ||
            sysfs_read(m->root_fd, path, &xml, &size) < 0 || guest_from_status_xml(xml, size, &status) < 0)
                return;
        if (streq(status->uuid, g->uuid))
                g->advised_nodes = status->advised_nodes;
}

static bool file_is_known(Manager *m) {
        struct stat st = { 0 };
        bool known;

        if (fstatat(m->root_fd, &ADVISE_RESERVATIONS_FILE[1], &st, 0) < 0)
                st = (struct stat){ 0 };
        known = st.st_ino == m->advice_inode && st.st_size == m->advice_size &&
                st.st_mtim.tv_sec == m->advice_time.tv_sec && st.st_mtim.tv_nsec == m->advice_time.tv_nsec;
        m->advice_inode = st.st_ino;
        m->advice_size = st.st_size;
        m->advice_time = st.st_mtim;
        return known;
}

/* The guests that began since the oldest advice: the others fulfil none. */
static int recent_guests(const Manager *m, uint64_t since_usec, ReservationGuest **ret, size_t *ret_n) {
        uint64_t tick_usec = USEC_PER_SEC / (uint64_t)MAX(sysconf(_SC_CLK_TCK), 1L);
        ReservationGuest *list = calloc(m->snapshot->n_guests + 1, sizeof(*list));
        size_t n = 0;

        if (!list)
                return -ENOMEM;
        for (size_t i = 0; i < m->snapshot->n_guests; i++) {
                const GuestMemo *memo = state_find_guest(m->state, m->snapshot->guests[i]->uuid);
                uint64_t start = memo ? memo->start_time * tick_usec : 0;

                if (u64_add(start, USEC_PER_SEC) >= since_usec)
                        list[n++] = (ReservationGuest){ m->snapshot->guests[i], start };
        }
        *ret = list;
        *ret_n = n;
        return 0;
}

static void note_file(Manager *m, int r, bool damaged) {
        bool bad = r < 0 || damaged;

        if (bad && !m->advice_unreadable)
                log_message(LOG_WARNING, "%s is %s; guests that are about to start may not be counted",
                            ADVISE_RESERVATIONS_FILE, r < 0 ? strerrordesc_np(-r) : "damaged");
        m->advice_unreadable = bad;
}

void manager_take_reservations(Manager *m) {
        _cleanup_free_ ReservationGuest *guests = NULL;
        Reservation *list = NULL;
        bool damaged = false;
        size_t n = 0, n_guests;
        int r;

        /* What is not changed and was empty is empty; what was not may have expired or be fulfilled. */
        if (file_is_known(m) && m->snapshot->n_reservations == 0)
                return;
        r = reservation_load(ADVISE_RESERVATIONS_FILE, m->snapshot->now_usec, &list, &n, &damaged);
        note_file(m, r, damaged);
        free(m->snapshot->reservations);
        m->snapshot->reservations = list;
        m->snapshot->n_reservations = n;
        if (n == 0 || recent_guests(m, list[0].given_usec, &guests, &n_guests) < 0)
                return;
        reservations_settle(list, &m->snapshot->n_reservations, guests, n_guests);
}
