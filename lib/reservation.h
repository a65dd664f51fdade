/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Advice that was given and not used yet. Two guests that start at the same
 * time and both ask for nodes must not get the same last room, so each answer
 * is written down, and counts for later answers and for the daemon's own
 * placement until its guest is there, or for RESERVATION_USEC: then the guest
 * did not come. A guest that is there counts by itself.
 *
 * The file lies in a folder that only root can write, and goes with the boot.
 * Advisers change it under a lock and put a new one in its place, so a reader
 * needs no lock. Text form: "kvmtuned-reservations 1", then a record a line,
 *   given=USEC nodes=LIST vcpus=N memory=BYTES [hugepages[=BYTES]]
 * What is not understood is left out: the file only ever makes an answer better.
 */

#include "snapshot.h"

#define RESERVATION_USEC USEC_PER_MINUTE
/* More than this many guests in a minute: the oldest go. */
#define RESERVATIONS_MAX 256U

/*
 * Reads the text form: what is neither expired nor from the future, by
 * given_usec. *ret_damaged (may be NULL): something was left out for another
 * reason. -ENOMEM.
 */
int reservations_parse(const char *text, uint64_t now_usec, Reservation **ret, size_t *ret_n, bool *ret_damaged);
/* The text form. -ENOMEM. */
int reservations_format(const Reservation *reservations, size_t n, char **ret);

/* A guest that is there, and when its process began (CLOCK_BOOTTIME). */
typedef struct ReservationGuest {
        const Guest *guest;
        uint64_t start_usec;
} ReservationGuest;

/*
 * Takes out of *n reservations those whose guest is there: one that began after
 * the advice, of that size, and started on those nodes as far as that is known.
 * Each guest fulfils one, the oldest. Sorts @guests.
 */
void reservations_settle(Reservation *reservations, size_t *n, ReservationGuest *guests, size_t n_guests);

/* ---- reservation_file.c ---------------------------------------------------- */

/*
 * Waits at most @wait_usec until this process is the only adviser. @path is the
 * file; its folder is made when it is missing. Returns a descriptor that holds
 * the lock until it is closed; -EAGAIN: others kept it all that time; -errno.
 */
int reservation_lock(const char *path, uint64_t wait_usec);
/* A missing file is an empty list. -errno of open or read, -EFBIG, -ENOMEM. As reservations_parse(). */
int reservation_load(const char *path, uint64_t now_usec, Reservation **ret, size_t *ret_n, bool *ret_damaged);
/* Puts a new file in the place of the old one. Call with the lock. -errno. */
int reservation_save(const char *path, const Reservation *reservations, size_t n);
