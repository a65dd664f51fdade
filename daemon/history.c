/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "history.h"

#include <time.h>

#include "../lib/snapshot.h"

typedef struct Entry {
        uint64_t number;                /* in the order of all */
        uint64_t realtime_usec;
        int level;
        const char *message_id;         /* one of messages.h: not ours */
        char *guest, *action, *message; /* the first two may be NULL */
} Entry;

/* The entries of the host or of one guest, the oldest first. */
typedef struct Track {
        char uuid[UUID_TEXT_SIZE];      /* "": the host */
        uint64_t gone;                  /* number of the entry before which the guest went; 0: it is here */
        Entry *entries;
        size_t n, capacity;
} Track;

struct History {
        Track *tracks;                  /* sorted by uuid: the host's is the first */
        size_t n_tracks, tracks_capacity;
        size_t n_here;                  /* tracks of the host and of guests that are here */
        size_t n_entries;               /* of all tracks */
        uint64_t next;                  /* number of the next entry; from 1 */
};

static void entry_done(Entry *e) {
        free(e->guest);
        free(e->action);
        free(e->message);
        *e = (Entry){ 0 };
}

static Track *find_track(const History *h, const char *uuid, size_t *ret_index) {
        size_t low = 0, high = h->n_tracks;

        while (low < high) {
                size_t mid = low + (high - low) / 2;
                int c = strcmp(h->tracks[mid].uuid, uuid);

                if (c == 0)
                        return &h->tracks[mid];
                if (c < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        if (ret_index)
                *ret_index = low;
        return NULL;
}

/* Finds or makes; a new one is of a guest that has gone. */
static int get_track(History *h, const char *uuid, Track **ret) {
        size_t i = 0;
        int r;

        *ret = find_track(h, uuid, &i);
        if (*ret)
                return 0;
        if (strlen(uuid) >= UUID_TEXT_SIZE)
                return -EINVAL;
        r = GROW_ARRAY(h->tracks, h->tracks_capacity, h->n_tracks);
        if (r < 0)
                return r;
        memmove(&h->tracks[i + 1], &h->tracks[i], (h->n_tracks - i) * sizeof(*h->tracks));
        h->tracks[i] = (Track){ .gone = h->next };
        memcpy(h->tracks[i].uuid, uuid, strlen(uuid));
        h->n_tracks++;
        *ret = &h->tracks[i];
        return 0;
}

static void remove_track(History *h, Track *t) {
        size_t i = (size_t)(t - h->tracks);

        free(t->entries);
        memmove(t, t + 1, (h->n_tracks - i - 1) * sizeof(*h->tracks));
        h->n_tracks--;
}

/* A guest that was noisy once does not keep the room for it. */
static void shrink(Track *t) {
        Entry *entries;

        if (t->capacity <= (size_t)4 * HISTORY_SHARE || t->n > t->capacity / 4)
                return;
        entries = reallocarray(t->entries, t->capacity / 2, sizeof(*entries));
        if (!entries)
                return;
        t->entries = entries;
        t->capacity /= 2;
}

static void drop_oldest(History *h, Track *t) {
        entry_done(&t->entries[0]);
        memmove(&t->entries[0], &t->entries[1], (t->n - 1) * sizeof(*t->entries));
        t->n--;
        h->n_entries--;
        if (t->n == 0 && t->gone > 0)
                remove_track(h, t);
        else
                shrink(t);
}

static size_t room(const History *h) {
        return MAX((size_t)HISTORY_MIN, HISTORY_SHARE * h->n_here);
}

/* Of the guests that have gone the one that went first, else who has most. */
static Track *find_victim(const History *h) {
        Track *first = NULL, *most = NULL;

        for (Track *t = h->tracks; t < h->tracks + h->n_tracks; t++) {
                if (t->gone > 0 && (!first || t->gone < first->gone))
                        first = t;
                if (!most || t->n > most->n)
                        most = t;
        }
        return first ? first : most;
}

/* For one more entry of @uuid. Who has an equal share already makes way himself: that saves a search. */
static void make_room(History *h, const char *uuid) {
        while (h->n_entries >= room(h)) {
                Track *own = find_track(h, uuid, NULL);
                bool none_gone = h->n_tracks == h->n_here;

                drop_oldest(h, none_gone && own && own->n >= room(h) / h->n_here ? own : find_victim(h));
        }
}

int history_guest_here(History *h, const char *uuid) {
        Track *t;
        int r;

        if (!h)
                return 0;
        r = get_track(h, uuid, &t);
        if (r < 0)
                return r;
        h->n_here += t->gone > 0;
        t->gone = 0;
        return 0;
}

void history_guest_gone(History *h, const char *uuid) {
        Track *t = h ? find_track(h, uuid, NULL) : NULL;

        if (!t || t->gone > 0)
                return;
        t->gone = h->next;
        h->n_here--;
        if (t->n == 0)
                remove_track(h, t);
        while (h->n_entries > room(h))
                drop_oldest(h, find_victim(h));
}

int history_new(History **ret) {
        History *h = calloc(1, sizeof(*h));

        if (!h)
                return -ENOMEM;
        h->next = 1;
        if (history_guest_here(h, "") < 0) {
                history_free(h);
                return -ENOMEM;
        }
        *ret = h;
        return 0;
}

History *history_free(History *h) {
        if (!h)
                return NULL;
        for (size_t i = 0; i < h->n_tracks; i++) {
                for (size_t j = 0; j < h->tracks[i].n; j++)
                        entry_done(&h->tracks[i].entries[j]);
                free(h->tracks[i].entries);
        }
        free(h->tracks);
        free(h);
        return NULL;
}

static uint64_t now_realtime(void) {
        struct timespec ts = { 0 };

        (void)clock_gettime(CLOCK_REALTIME, &ts);
        return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / NSEC_PER_USEC;
}

static const char *field(const LogField *fields, size_t n_fields, const char *name) {
        for (size_t i = 0; i < n_fields; i++)
                if (streq(fields[i].name, name))
                        return fields[i].value;
        return NULL;
}

/* Takes @e over on success only. */
static int add_entry(History *h, const char *uuid, const Entry *e) {
        Track *t;
        int r;

        make_room(h, uuid);
        r = get_track(h, uuid, &t);
        if (r < 0)
                return r;
        r = GROW_ARRAY(t->entries, t->capacity, t->n);
        if (r < 0 && t->n == 0 && t->gone > 0)
                remove_track(h, t);
        if (r < 0)
                return r;
        t->entries[t->n] = *e;
        t->entries[t->n++].number = h->next++;
        h->n_entries++;
        return 0;
}

void history_note(void *userdata, int level, const char *message_id, const LogField *fields, size_t n_fields,
                  const char *message) {
        Entry e = { .realtime_usec = now_realtime(), .level = level, .message_id = message_id };
        const char *uuid = field(fields, n_fields, "KVMTUNED_GUEST_UUID");

        if (strdup_to(&e.guest, field(fields, n_fields, "KVMTUNED_GUEST")) < 0 ||
            strdup_to(&e.action, field(fields, n_fields, "KVMTUNED_ACTION")) < 0 ||
            strdup_to(&e.message, message) < 0 || add_entry(userdata, uuid ? uuid : "", &e) < 0)
                entry_done(&e);
}

/* ---- what is told ---- */

/* An entry with whose it is. */
typedef struct Found {
        const Entry *entry;
        const char *uuid;
} Found;

static int by_number(const void *a, const void *b) {
        uint64_t x = ((const Found *)a)->entry->number, y = ((const Found *)b)->entry->number;

        return x < y ? -1 : x > y;
}

static void find_entries(const Track *t, Found *found, size_t *n) {
        for (size_t i = 0; i < t->n; i++)
                found[(*n)++] = (Found){ &t->entries[i], t->uuid };
}

static void put_entry(Value *list, const Found *found) {
        Value *v = value_put_map(list, NULL);
        const Entry *e = found->entry;

        value_put_number(v, "time_usec", e->realtime_usec);
        value_put_number(v, "priority", (uint64_t)e->level);
        value_put_string(v, "message", e->message);
        value_put_string(v, "message_id", e->message_id);
        value_put_string(v, "action", e->action);
        value_put_string(v, "guest", e->guest);
        value_put_string(v, "uuid", found->uuid[0] ? found->uuid : NULL);
}

Value *history_describe(const History *h, const char *uuid, size_t max) {
        const Track *only = uuid ? find_track(h, uuid, NULL) : NULL;
        _cleanup_free_ Found *found = calloc((uuid ? only ? only->n : 0 : h->n_entries) + 1, sizeof(*found));
        Value *list = value_new_list(VALUE_MAP);
        size_t n = 0;

        if (!found)
                return value_free(list);
        for (size_t i = 0; i < h->n_tracks; i++)
                if (!uuid || &h->tracks[i] == only)
                        find_entries(&h->tracks[i], found, &n);
        qsort(found, n, sizeof(*found), by_number);
        for (size_t i = n > max ? n - max : 0; i < n; i++)
                put_entry(list, &found[i]);
        return list;
}
