/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Messages from libvirt become changes of the snapshot. All that wait are
 * taken before anything is decided, so that a flood of events costs one
 * decision, not one each.
 */

#include <errno.h>

#include "log.h"
#include "manager.h"
#include "messages.h"

/* More guests than this at once are decided for together. */
#define STARTED_MAX 8U

/* What a batch of messages asks for. */
typedef struct Batch {
        char started[STARTED_MAX][UUID_TEXT_SIZE];
        size_t n_started;
        bool cycle;
        bool stats;
} Batch;

static size_t slot_index(const Manager *m, const char *uuid, bool *ret_found) {
        size_t low = 0, high = m->n_slots;

        while (low < high) {
                size_t mid = low + (high - low) / 2;
                int c = strcmp(m->slots[mid].uuid, uuid);

                if (c == 0) {
                        *ret_found = true;
                        return mid;
                }
                if (c < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        *ret_found = false;
        return low;
}

GuestSlot *manager_slot(Manager *m, const char *uuid) {
        bool found;
        size_t i = slot_index(m, uuid, &found);

        return found ? &m->slots[i] : NULL;
}

static int add_slot(Manager *m, const char uuid[static UUID_TEXT_SIZE], GuestSlot **ret) {
        bool found;
        size_t i = slot_index(m, uuid, &found);
        int r;

        if (!found) {
                r = GROW_ARRAY(m->slots, m->slots_capacity, m->n_slots);
                if (r < 0)
                        return r;
                memmove(&m->slots[i + 1], &m->slots[i], (m->n_slots - i) * sizeof(*m->slots));
                m->slots[i] = (GuestSlot){ 0 };
                memcpy(m->slots[i].uuid, uuid, UUID_TEXT_SIZE);
                m->n_slots++;
        }
        *ret = &m->slots[i];
        return 0;
}

static void remove_slot(Manager *m, const char *uuid) {
        bool found;
        size_t i = slot_index(m, uuid, &found);

        if (!found)
                return;
        guest_observer_free(m->slots[i].observer);
        memmove(&m->slots[i], &m->slots[i + 1], (m->n_slots - i - 1) * sizeof(*m->slots));
        m->n_slots--;
}

/* CPUs of its own that a guest leaves behind are for the others: a reason to look at all of them. */
static void note_freed_cpus(Manager *m, const char *uuid) {
        const GuestMemo *memo = state_find_guest(m->state, uuid);

        if (memo && memo_has_cpus(memo))
                m->look_at_all = true;
}

static void forget_guest(Manager *m, const char *uuid) {
        note_freed_cpus(m, uuid);
        remove_slot(m, uuid);
        (void)snapshot_remove_guest(m->snapshot, uuid);
        state_forget_guest(m->state, uuid);
        history_guest_gone(m->history, uuid);
}

/* What is remembered belongs to one run of the guest; it may have ended while nobody looked. */
static void match_run(Manager *m, const Guest *g) {
        GuestMemo *memo = state_find_guest(m->state, g->uuid);
        uint64_t start;

        if (guest_process_start_time(m->root_fd, g->pid, &start) < 0)
                return;
        if (memo && memo->start_time != 0 && memo->start_time != start) {
                note_freed_cpus(m, g->uuid);
                state_forget_guest(m->state, g->uuid);
        }
        if (state_guest(m->state, g->uuid, &memo) >= 0)
                memo->start_time = start;
}

/* Finds the guest's process and its threads; a guest just started may not have one yet. */
static void attach_process(Manager *m, GuestSlot *slot, Guest *g, uint64_t now_usec) {
        int32_t pid;
        int r;

        r = guest_process_find(&m->processes, &slot->search, m->root_fd, now_usec, g->name, g->uuid, &pid);
        if (r < 0)
                return;
        g->pid = pid;
        match_run(m, g);
        manager_read_advice(m, g);
        r = guest_observer_new(m->root_fd, pid, g, &slot->observer);
        if (r < 0 && r != -ESRCH)
                (void)log_error_errno(r, "Failed to look at the threads of guest %s (pid %d)", g->name, (int)pid);
}

void manager_slot_observe(Manager *m, GuestSlot *slot, Guest *g, uint64_t now_usec, bool in_turn) {
        uint64_t interval = setting(&m->config->base, KEY_DAEMON_INTERVAL);
        bool per_node = m->snapshot->topology->n_nodes > 1 && (in_turn || g->n_node_memory == 0);
        bool found = slot->observer;
        int r;

        g->starting = slot->started_usec > 0 && u64_sub(now_usec, slot->started_usec) < interval;
        if (!slot->observer)
                attach_process(m, slot, g, now_usec);
        if (!slot->observer)
                return;
        r = guest_observe(slot->observer, m->root_fd, now_usec, per_node, g);
        if (r < 0) {
                slot->observer = guest_observer_free(slot->observer);
                g->pid = 0;
                return;
        }
        if (in_turn || !found)
                guest_observe_cgroup(slot->observer, m->root_fd, now_usec, m->snapshot->topology, g);
}

static bool is_start(const char *event) {
        return streq(event, "started") || streq(event, "migrated-in") || streq(event, "restored");
}

static void ask_for_decision(Batch *b, const char *uuid) {
        for (size_t i = 0; i < b->n_started; i++)
                if (streq(b->started[i], uuid))
                        return;
        if (b->n_started == STARTED_MAX) {
                b->cycle = true;
                return;
        }
        memcpy(b->started[b->n_started++], uuid, UUID_TEXT_SIZE);
}

/*
 * Whether the guest is another process than the one that is known: the event of a start may arrive after a listing
 * that had the guest already. What cannot be found out now is found out when its process is (match_run()): to forget
 * it would be to forget what is changed of it, too.
 */
static bool is_other_run(Manager *m, const Guest *known) {
        GuestSearch search = { 0 };
        int32_t pid;

        return known->pid > 0 &&
               guest_process_find(&m->processes, &search, m->root_fd, manager_now(m), known->name, known->uuid,
                                  &pid) >= 0 &&
               pid != known->pid;
}

/* A guest as it is now replaces what was known of it; observations are kept while it is the same process. */
static int merge_guest(Manager *m, VirtMessage *message, Batch *b) {
        Guest *known = snapshot_find_guest(m->snapshot, message->guest->uuid);
        const char *event = message->text ? message->text : "";
        uint64_t now = manager_now(m);
        size_t online = known ? guest_online_vcpus(known) : 0;
        GuestSlot *slot;
        Guest *g;
        int r;

        if (known && (streq(event, "started") || streq(event, "listed")) && is_other_run(m, known)) {
                forget_guest(m, message->guest->uuid);
                known = NULL;
        }
        r = add_slot(m, message->guest->uuid, &slot);
        if (r < 0)
                return r;
        slot->unreadable = false;
        message->guest->unreachable = slot->unresponsive;
        if (known) {
                r = guest_inherit_observations(message->guest, known);
                if (r < 0)
                        return r;
        }
        if (is_start(event)) {
                slot->started_usec = now;
                slot->search = (GuestSearch){ 0 };
        }
        r = snapshot_put_guest(m->snapshot, message->guest);
        if (r < 0)
                return r;
        g = TAKE_PTR(message->guest);
        (void)history_guest_here(m->history, g->uuid);
        guest_devices_observe(m->root_fd, m->snapshot->topology, g);
        manager_slot_observe(m, slot, g, now, !known || !streq(event, "refreshed"));
        if (!known || slot->started_usec == now || !streq(event, "refreshed"))
                ask_for_decision(b, g->uuid);
        else if (guest_online_vcpus(g) != online)
                b->cycle = true;
        return 0;
}

/* Guests that went while we were not connected; of one that could not be taken in only the slot. */
static void end_listing(Manager *m, uint64_t generation) {
        for (size_t i = m->n_slots; i > 0; i--) {
                char uuid[UUID_TEXT_SIZE];

                memcpy(uuid, m->slots[i - 1].uuid, sizeof(uuid));
                if (m->slots[i - 1].generation != generation)
                        forget_guest(m, uuid);
                else if (!snapshot_find_guest(m->snapshot, uuid))
                        remove_slot(m, uuid);
        }
}

static void take_stats(Manager *m, const VirtMessage *message) {
        for (size_t i = 0; i < message->n_stats; i++) {
                const VirtStats *said = &message->stats[i];
                Guest *g = snapshot_find_guest(m->snapshot, said->uuid);
                GuestSlot *slot = manager_slot(m, said->uuid);

                if (!g || !slot)
                        continue;
                if (virt_stats_believe(said, g))
                        slot->reported_usec = u64_sub(manager_now(m), g->stats.age_usec);
        }
}

void manager_forget_failures(GuestSlot *slot) {
        memset(slot->failures, 0, sizeof(slot->failures));
        memset(slot->retry_usec, 0, sizeof(slot->retry_usec));
}

static void note_responsive(Manager *m, const char *uuid, bool responsive) {
        Guest *g = snapshot_find_guest(m->snapshot, uuid);
        LogField fields[] = { { "KVMTUNED_GUEST", g ? g->name : NULL }, { "KVMTUNED_GUEST_UUID", uuid } };
        GuestSlot *slot = manager_slot(m, uuid);

        if (slot) {
                slot->unresponsive = !responsive;
                manager_forget_failures(slot);
        }
        if (g)
                g->unreachable = !responsive;
        if (responsive)
                log_struct(LOG_NOTICE, NULL, fields, ELEMENTSOF(fields), "Guest %s answers again",
                           g ? g->name : uuid);
        else
                log_struct(LOG_WARNING, MESSAGE_GUEST_UNRESPONSIVE, fields, ELEMENTSOF(fields),
                           "Guest %s does not answer libvirt; it is left alone until it does", g ? g->name : uuid);
}

/* Without a connection nothing can be done to a guest, but all of them still run and count. */
static void set_unreachable(Manager *m) {
        for (size_t i = 0; i < m->snapshot->n_guests; i++)
                m->snapshot->guests[i]->unreachable = true;
        for (size_t i = 0; i < m->n_slots; i++) {
                m->slots[i].unresponsive = false;
                manager_forget_failures(&m->slots[i]);
        }
}

static void note_connection(Manager *m, const VirtMessage *message, Batch *b) {
        const char *text = message->text ? message->text : "";

        if (message->type == VIRT_CONNECTED) {
                m->connected = true;
                m->guests_unreadable = false;
                log_struct(LOG_INFO, MESSAGE_CONNECTED, NULL, 0, "Connected to libvirt");
                return;
        }
        if (m->connected || message->type == VIRT_CONNECT_FAILED)
                log_struct(LOG_WARNING, MESSAGE_DISCONNECTED, NULL, 0, "%s libvirt: %s; trying again",
                           m->connected ? "Lost the connection to" : "Cannot connect to", text);
        m->connected = m->listed = false;
        set_unreachable(m);
        if (m->options.mode == RUN_ONCE || m->options.mode == RUN_RESTORE)
                m->exit_code = 1;
        effects_fail_all(m, -ECANCELED);
        /* The host's own switches need no libvirt. */
        b->cycle = true;
}

static void handle_listed(Manager *m, const VirtMessage *message, Batch *b) {
        end_listing(m, message->generation);
        m->listed = true;
        m->had_stats = false;
        b->cycle = true;
}

/* It runs, but what libvirt says of it cannot be read: hands off, and nothing is forgotten. */
static void note_unreadable(Manager *m, Guest *g, const VirtMessage *message) {
        GuestSlot *slot = manager_slot(m, message->uuid);
        bool said = slot ? slot->unreadable : m->guests_unreadable;

        if (!said)
                (void)log_error_errno(message->result, "Failed to read the definition of guest %s; it is left alone",
                                      g ? g->name : message->uuid);
        if (g)
                g->unreachable = true;
        if (slot) {
                slot->unreadable = true;
                slot->generation = message->generation;
        } else
                m->guests_unreadable = true;
}

static void handle_gone(Manager *m, const VirtMessage *message) {
        Guest *g = snapshot_find_guest(m->snapshot, message->uuid);

        if (message->result < 0) {
                note_unreadable(m, g, message);
                return;
        }
        if (!g)
                return;
        log_message(LOG_DEBUG, "Guest %s is gone (%s)", g->name, message->text ? message->text : "?");
        forget_guest(m, message->uuid);
}

static void handle_balloon(Manager *m, const VirtMessage *message) {
        Guest *g = snapshot_find_guest(m->snapshot, message->uuid);

        if (g)
                guest_set_current(g, message->current_bytes);
}

/* One for which there is no memory runs all the same: what is known of it stays. */
static void handle_guest(Manager *m, VirtMessage *message, Batch *b) {
        GuestSlot *slot;
        int r;

        r = merge_guest(m, message, b);
        if (r < 0)
                (void)log_error_errno(r, "Failed to take in guest %s", message->uuid);
        slot = manager_slot(m, message->uuid);
        if (slot)
                slot->generation = message->generation;
        if (!snapshot_find_guest(m->snapshot, message->uuid))
                m->guests_unreadable = true;
}

static void handle(Manager *m, VirtMessage *message, Batch *b) {
        switch (message->type) {
        case VIRT_CONNECTED:
        case VIRT_CONNECT_FAILED:
        case VIRT_DISCONNECTED:
                note_connection(m, message, b);
                break;
        case VIRT_LISTED:
                handle_listed(m, message, b);
                break;
        case VIRT_GUEST:
                handle_guest(m, message, b);
                break;
        case VIRT_GUEST_GONE:
                handle_gone(m, message);
                break;
        case VIRT_BALLOON:
                handle_balloon(m, message);
                break;
        case VIRT_STATS:
                take_stats(m, message);
                b->stats = b->stats || message->cookie != 0;
                break;
        case VIRT_DONE:
                effects_done(m, message->cookie, message->result, message->text);
                break;
        case VIRT_UNRESPONSIVE:
        case VIRT_RESPONSIVE:
                note_responsive(m, message->uuid, message->type == VIRT_RESPONSIVE);
                break;
        case _VIRT_MESSAGE_TYPE_MAX:
                break;
        }
}

/* Guests that just came are served first: a full cycle may wait for statistics. */
static void decide_batch(Manager *m, const Batch *b) {
        if (m->stopping)
                return;
        if (m->listed && !b->cycle && (m->options.mode == RUN_DAEMON))
                for (size_t i = 0; i < b->n_started; i++)
                        manager_cycle(m, b->started[i]);
        if (b->stats && m->stats_waiting)
                manager_cycle(m, NULL);
        else if ((b->cycle || m->look_at_all) && (m->listed || !m->connected))
                manager_start_cycle(m, "guests changed");
}

int manager_on_virt(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        Manager *m = userdata;
        Batch batch = { 0 };

        (void)s;
        (void)fd;
        (void)revents;
        for (;;) {
                _cleanup_(virt_message_freep) VirtMessage *message = virt_take(m->virt);

                if (!message)
                        break;
                handle(m, message, &batch);
        }
        decide_batch(m, &batch);
        manager_say_status(m);
        return 0;
}
