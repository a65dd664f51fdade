/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Who may do what. Three answers, in this order, none of which blocks the loop:
 *
 *   1. The bus daemon is asked for the sender's credentials
 *      (GetConnectionCredentials): what the kernel said when it connected. Root
 *      may do everything; who is in libvirt's group may read, as everybody in it
 *      may do much more through libvirt's own socket.
 *   2. Anyone else: polkit decides, with the name of the sender on the bus as
 *      the subject, which cannot be another process later. It may ask the user
 *      when the message allows that.
 *   3. No polkit, no answer, or any doubt: refused.
 *
 * A sender waits in a request of its own, and may have only a few: one user
 * cannot keep others from being answered.
 */

#include <errno.h>

#include "bus_internal.h"

#define REQUESTS_PER_UID_MAX 32U
#define REQUESTS_PER_SENDER_MAX 16U
/* The user may have to type a password. */
#define POLKIT_USEC (2 * USEC_PER_MINUTE)
#define POLKIT_INTERACTIVE 1U

struct BusRequest {
        Bus *bus;
        sd_bus_message *message;
        const BusMethod *method;
        sd_bus_slot *call;              /* to the bus daemon or to polkit */
        uid_t uid;                      /* -1: not known yet */
        BusRequest *next;
};

static void free_request(BusRequest *q) {
        BusRequest **p = &q->bus->requests;

        while (*p && *p != q)
                p = &(*p)->next;
        if (*p)
                *p = q->next;
        sd_bus_slot_unref(q->call);
        sd_bus_message_unref(q->message);
        free(q);
}

void bus_drop_requests(Bus *b) {
        while (b->requests)
                free_request(b->requests);
}

static void answer_error(BusRequest *q, const char *name, const char *text) {
        (void)sd_bus_reply_method_errorf(q->message, name, "%s", text);
        free_request(q);
}

static void refuse(BusRequest *q) {
        answer_error(q, SD_BUS_ERROR_ACCESS_DENIED,
                     q->method->access == BUS_READ
                             ? "Only root, members of group libvirt and those whom polkit allows (org.kvmtuned1.read) "
                               "may ask this"
                             : "Only root and those whom polkit allows (org.kvmtuned1.manage) may do this");
}

static void run(BusRequest *q) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = q->method->run(q->bus, q->message, q->uid, &error);
        if (sd_bus_error_is_set(&error))
                (void)sd_bus_reply_method_error(q->message, &error);
        else if (r < 0)
                (void)sd_bus_reply_method_errno(q->message, r, NULL);
        sd_bus_error_free(&error);
        free_request(q);
}

/* (bba{ss}): authorized, could be after a challenge, details. */
static int on_polkit(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        BusRequest *q = userdata;
        int authorized = false, challenge = false;

        (void)error;
        if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_enter_container(m, 'r', "bba{ss}") <= 0 ||
            sd_bus_message_read(m, "bb", &authorized, &challenge) <= 0)
                authorized = challenge = false;
        if (authorized)
                run(q);
        else if (challenge)
                answer_error(q, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
                             "This needs authentication, which was not allowed or not possible");
        else
                refuse(q);
        return 0;
}

static int ask_polkit(BusRequest *q) {
        bool interactive = sd_bus_message_get_allow_interactive_authorization(q->message) > 0;
        const char *action = q->method->access == BUS_READ ? BUS_NAME ".read" : BUS_NAME ".manage";
        sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(q->bus->bus, &m, "org.freedesktop.PolicyKit1",
                                           "/org/freedesktop/PolicyKit1/Authority",
                                           "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization");
        if (r >= 0)
                r = sd_bus_message_append(m, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s",
                                          sd_bus_message_get_sender(q->message), action, 0,
                                          interactive ? POLKIT_INTERACTIVE : 0, "");
        q->call = sd_bus_slot_unref(q->call);
        if (r >= 0)
                r = sd_bus_call_async(q->bus->bus, &q->call, m, on_polkit, q, POLKIT_USEC);
        sd_bus_message_unref(m);
        return r;
}

/* The next argument is au: whether @gid is in it. */
static int read_groups(sd_bus_message *m, gid_t gid, bool *ret) {
        const uint32_t *gids;
        size_t size;
        int r;

        r = sd_bus_message_enter_container(m, 'v', "au");
        if (r < 0)
                return r;
        r = sd_bus_message_read_array(m, 'u', (const void **)&gids, &size);
        if (r < 0)
                return r;
        for (size_t i = 0; i < size / sizeof(*gids); i++)
                *ret = *ret || (gid != (gid_t)-1 && gids[i] == gid);
        return sd_bus_message_exit_container(m);
}

/* a{sv}. A bus daemon that does not tell the groups (before D-Bus 1.14) leaves them to polkit. */
static int read_credentials(sd_bus_message *m, gid_t gid, uid_t *ret_uid, bool *ret_in_group) {
        const char *key;
        uint32_t uid;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &key);
                if (r >= 0 && streq(key, "UnixUserID")) {
                        r = sd_bus_message_read(m, "v", "u", &uid);
                        if (r >= 0)
                                *ret_uid = uid;
                } else if (r >= 0 && streq(key, "UnixGroupIDs"))
                        r = read_groups(m, gid, ret_in_group);
                else if (r >= 0)
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r;
}

static size_t count_of_uid(const Bus *b, uid_t uid) {
        size_t n = 0;

        for (const BusRequest *q = b->requests; q; q = q->next)
                n += q->uid == uid;
        return n;
}

static int on_credentials(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        uid_t uid = (uid_t)-1;
        BusRequest *q = userdata;
        bool in_group = false;

        (void)error;
        if (sd_bus_message_is_method_error(m, NULL) || read_credentials(m, q->bus->readers, &uid, &in_group) < 0 ||
            uid == (uid_t)-1) {
                refuse(q);
                return 0;
        }
        q->uid = uid;
        if (uid == 0 || (in_group && q->method->access == BUS_READ))
                run(q);
        else if (count_of_uid(q->bus, uid) > REQUESTS_PER_UID_MAX)
                answer_error(q, SD_BUS_ERROR_LIMITS_EXCEEDED, "Too many requests wait for an answer already");
        else if (ask_polkit(q) < 0)
                refuse(q);
        return 0;
}

static size_t count_of_sender(const Bus *b, const char *sender) {
        size_t n = 0;

        for (const BusRequest *q = b->requests; q; q = q->next)
                n += streq_ptr(sd_bus_message_get_sender(q->message), sender);
        return n;
}

int bus_authorize(Bus *b, sd_bus_message *m, const BusMethod *method) {
        const char *sender = sd_bus_message_get_sender(m);
        BusRequest *q;
        int r;

        if (!sender)
                return -EACCES;
        if (count_of_sender(b, sender) >= REQUESTS_PER_SENDER_MAX)
                return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                                  "Too many requests wait for an answer already");
        q = calloc(1, sizeof(*q));
        if (!q)
                return -ENOMEM;
        *q = (BusRequest){ .bus = b, .message = sd_bus_message_ref(m), .method = method, .uid = (uid_t)-1,
                           .next = b->requests };
        b->requests = q;
        r = sd_bus_call_method_async(b->bus, &q->call, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                     "org.freedesktop.DBus", "GetConnectionCredentials", on_credentials, q, "s",
                                     sender);
        if (r < 0) {
                free_request(q);
                return r;
        }
        return 1;
}
