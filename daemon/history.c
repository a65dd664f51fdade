/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "history.h"

#include <time.h>

#include "../lib/snapshot.h"

typedef struct Entry {
        uint64_t realtime_usec;
        int level;
        const char *message_id;         /* one of messages.h: not ours */
        char uuid[UUID_TEXT_SIZE];
        char *guest, *action, *message; /* the first two may be NULL */
} Entry;

struct History {
        Entry entries[HISTORY_MAX];
        size_t first, n;                /* a ring */
};

int history_new(History **ret) {
        History *h = calloc(1, sizeof(*h));

        if (!h)
                return -ENOMEM;
        *ret = h;
        return 0;
}

static void entry_done(Entry *e) {
        free(e->guest);
        free(e->action);
        free(e->message);
        *e = (Entry){ 0 };
}

History *history_free(History *h) {
        if (!h)
                return NULL;
        for (size_t i = 0; i < HISTORY_MAX; i++)
                entry_done(&h->entries[i]);
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

void history_note(void *userdata, int level, const char *message_id, const LogField *fields, size_t n_fields,
                  const char *message) {
        Entry e = { .realtime_usec = now_realtime(), .level = level, .message_id = message_id };
        const char *uuid = field(fields, n_fields, "KVMTUNED_GUEST_UUID");
        History *h = userdata;
        size_t at;

        if (uuid)
                (void)strncpy(e.uuid, uuid, sizeof(e.uuid) - 1);
        if (strdup_to(&e.guest, field(fields, n_fields, "KVMTUNED_GUEST")) < 0 ||
            strdup_to(&e.action, field(fields, n_fields, "KVMTUNED_ACTION")) < 0 ||
            strdup_to(&e.message, message) < 0) {
                entry_done(&e);
                return;
        }
        at = (h->first + h->n) % HISTORY_MAX;
        if (h->n == HISTORY_MAX)
                h->first = (h->first + 1) % HISTORY_MAX;
        else
                h->n++;
        entry_done(&h->entries[at]);
        h->entries[at] = e;
}

static void put_entry(Value *list, const Entry *e) {
        Value *v = value_put_map(list, NULL);

        value_put_number(v, "time_usec", e->realtime_usec);
        value_put_number(v, "priority", (uint64_t)e->level);
        value_put_string(v, "message", e->message);
        value_put_string(v, "message_id", e->message_id);
        value_put_string(v, "action", e->action);
        value_put_string(v, "guest", e->guest);
        value_put_string(v, "uuid", e->uuid[0] ? e->uuid : NULL);
}

Value *history_describe(const History *h, const char *uuid, size_t max) {
        Value *list = value_new_list(VALUE_MAP);
        size_t found = 0, skip;

        for (size_t i = 0; i < h->n; i++)
                found += !uuid || streq(h->entries[(h->first + i) % HISTORY_MAX].uuid, uuid);
        skip = found > max ? found - max : 0;
        for (size_t i = 0; i < h->n; i++) {
                const Entry *e = &h->entries[(h->first + i) % HISTORY_MAX];

                if (uuid && !streq(e->uuid, uuid))
                        continue;
                if (skip > 0)
                        skip--;
                else
                        put_entry(list, e);
        }
        return list;
}
