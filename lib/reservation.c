/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "reservation.h"

#include <stdio.h>

#include "parse.h"

static const char magic[] = "kvmtuned-reservations 1\n";

/* proc(5) gives the start of a process in ticks of 10 ms, rounded down. */
#define START_SLACK_USEC (20 * USEC_PER_MSEC)

static int read_word(const char *word, Reservation *r, unsigned *seen) {
        const char *value;

        if (streq(word, "hugepages")) {
                r->hugepages = true;
                return 0;
        }
        value = startswith(word, "hugepages=");
        if (value) {
                r->hugepages = true;
                return parse_u64(value, &r->hugepage_bytes);
        }
        value = startswith(word, "given=");
        if (value) {
                *seen |= 1;
                return parse_u64(value, &r->given_usec);
        }
        value = startswith(word, "nodes=");
        if (value) {
                *seen |= 2;
                return idset_parse(value, &r->nodes);
        }
        value = startswith(word, "vcpus=");
        if (value) {
                *seen |= 4;
                return parse_u64(value, &r->vcpus);
        }
        value = startswith(word, "memory=");
        if (value) {
                *seen |= 8;
                return parse_u64(value, &r->memory_bytes);
        }
        return -EINVAL;
}

/* @line is taken apart. */
static bool read_record(char *line, Reservation *ret) {
        Reservation r = { 0 };
        unsigned seen = 0;

        for (char *rest = line, *word; (word = strsep(&rest, " "));)
                if (read_word(word, &r, &seen) < 0)
                        return false;
        if (seen != 15 || idset_is_empty(&r.nodes) || r.vcpus == 0 || r.vcpus > IDSET_MAX)
                return false;
        *ret = r;
        return true;
}

static int compare_given(const void *a, const void *b) {
        const Reservation *x = a, *y = b;

        return (x->given_usec > y->given_usec) - (x->given_usec < y->given_usec);
}

/* @lines is taken apart. Room for RESERVATIONS_MAX in @list. */
static size_t read_records(char *lines, uint64_t now_usec, Reservation *list, bool *damaged) {
        size_t n = 0;

        for (char *rest = lines, *line; (line = strsep(&rest, "\n"));) {
                Reservation r;

                if (!*line)
                        continue;
                if (n == RESERVATIONS_MAX || !read_record(line, &r)) {
                        *damaged = true;
                        continue;
                }
                if (r.given_usec <= now_usec && now_usec - r.given_usec < RESERVATION_USEC)
                        list[n++] = r;
        }
        return n;
}

int reservations_parse(const char *text, uint64_t now_usec, Reservation **ret, size_t *ret_n, bool *ret_damaged) {
        const char *records = startswith(text, magic);
        _cleanup_free_ Reservation *list = NULL;
        _cleanup_free_ char *lines = NULL;
        bool damaged = *text && !records;
        size_t n;

        list = calloc(RESERVATIONS_MAX, sizeof(*list));
        lines = strdup(records ?: "");
        if (!list || !lines)
                return -ENOMEM;
        n = read_records(lines, now_usec, list, &damaged);
        qsort(list, n, sizeof(*list), compare_given);
        *ret = TAKE_PTR(list);
        *ret_n = n;
        if (ret_damaged)
                *ret_damaged = damaged;
        return 0;
}

int reservations_format(const Reservation *reservations, size_t n, char **ret) {
        _cleanup_free_ char *text = strdup(magic);

        if (!text)
                return -ENOMEM;
        for (size_t i = n > RESERVATIONS_MAX ? n - RESERVATIONS_MAX : 0; i < n; i++) {
                const Reservation *v = &reservations[i];
                _cleanup_free_ char *nodes = NULL;
                char pages[40] = " hugepages";
                int r;

                r = idset_format(&v->nodes, &nodes);
                if (r < 0)
                        return r;
                if (v->hugepages && v->hugepage_bytes > 0)
                        (void)snprintf(pages, sizeof(pages), " hugepages=%llu",
                                       (unsigned long long)v->hugepage_bytes);
                r = strprintf_to(&text, "%sgiven=%llu nodes=%s vcpus=%llu memory=%llu%s\n", text,
                                 (unsigned long long)v->given_usec, nodes, (unsigned long long)v->vcpus,
                                 (unsigned long long)v->memory_bytes, v->hugepages ? pages : "");
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(text);
        return 0;
}

/* libvirt asks in whole MiB, rounded up. */
static uint64_t whole_mib(uint64_t bytes) {
        return bytes / MIB + (bytes % MIB > 0);
}

static bool fulfils(const ReservationGuest *g, const Reservation *r) {
        const IdSet *advised = &g->guest->advised_nodes;

        return u64_add(g->start_usec, START_SLACK_USEC) >= r->given_usec &&
               guest_online_vcpus(g->guest) == r->vcpus &&
               whole_mib(g->guest->max_bytes) == whole_mib(r->memory_bytes) &&
               (idset_is_empty(advised) || idset_equal(advised, &r->nodes));
}

static int compare_start(const void *a, const void *b) {
        const ReservationGuest *x = a, *y = b;

        if (x->start_usec != y->start_usec)
                return x->start_usec > y->start_usec ? 1 : -1;
        return strcmp(x->guest->uuid, y->guest->uuid);
}

void reservations_settle(Reservation *reservations, size_t *n, ReservationGuest *guests, size_t n_guests) {
        size_t kept = 0;

        if (n_guests > 0)
                qsort(guests, n_guests, sizeof(*guests), compare_start);
        for (size_t i = 0; i < *n; i++) {
                size_t k = 0;

                while (k < n_guests && !fulfils(&guests[k], &reservations[i]))
                        k++;
                if (k == n_guests) {
                        reservations[kept++] = reservations[i];
                        continue;
                }
                memmove(&guests[k], &guests[k + 1], (n_guests - k - 1) * sizeof(*guests));
                n_guests--;
        }
        *n = kept;
}
