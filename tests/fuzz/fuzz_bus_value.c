/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What anybody may send to the daemon over D-Bus: a message of any types, made
 * from the input as a program for a stack of containers, then read.
 */

#include "../../daemon/bus_value.h"

#include "fuzz.h"

#include <sys/socket.h>

#define DEPTH_MAX 24U

typedef struct Input {
        const uint8_t *data;
        size_t size;
} Input;

static uint8_t next(Input *in) {
        if (in->size == 0)
                return 0;
        in->size--;
        return *in->data++;
}

static sd_bus *new_bus(void) {
        sd_bus *bus = NULL;
        int fds[2];

        fuzz_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        fuzz_assert(sd_bus_new(&bus) >= 0);
        fuzz_assert(sd_bus_set_fd(bus, fds[0], fds[0]) >= 0);
        fuzz_assert(sd_bus_start(bus) >= 0);
        return bus;
}

static void append_basic(sd_bus_message *m, Input *in) {
        char text[] = { (char)next(in), (char)next(in), 0 };
        uint64_t number = next(in);

        switch (next(in) % 6) {
        case 0:
                (void)sd_bus_message_append(m, "b", number > 127);
                break;
        case 1:
                (void)sd_bus_message_append(m, "t", number << 56 | number);
                break;
        case 2:
                (void)sd_bus_message_append(m, "y", (int)number);
                break;
        case 3:
                (void)sd_bus_message_append(m, "d", (double)number);
                break;
        case 4:
                (void)sd_bus_message_append(m, "i", (int)number - 128);
                break;
        default:
                (void)sd_bus_message_append(m, "s", text);
        }
}

/* One value after the other until the input says to stop; what sd-bus refuses is not in the message. */
static void append(sd_bus_message *m, Input *in, unsigned depth) {
        static const char *const arrays[] = { "{sv}", "s", "t", "b", "a{sv}", "as", "v", "i" };
        static const char *const variants[] = { "a{sv}", "s", "t", "as", "aa{sv}", "v", "b", "ay" };
        unsigned choice = next(in);

        if (in->size == 0)
                return;
        if (depth < DEPTH_MAX && choice % 3 == 0) {
                if (sd_bus_message_open_container(m, 'a', arrays[choice / 3 % 8]) < 0)
                        return;
        } else if (depth < DEPTH_MAX && choice % 3 == 1) {
                if (sd_bus_message_open_container(m, 'v', variants[choice / 3 % 8]) < 0)
                        return;
        } else {
                append_basic(m, in);
                return;
        }
        for (unsigned n = next(in) % 4; n > 0; n--) {
                bool entry = choice % 3 == 0 && choice / 3 % 8 == 0 && sd_bus_message_open_container(m, 'e', "sv") >= 0;

                if (entry)
                        (void)sd_bus_message_append(m, "s", "key");
                append(m, in, depth + 1);
                if (entry && sd_bus_message_close_container(m) < 0)
                        return;
        }
        (void)sd_bus_message_close_container(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static sd_bus *bus;
        sd_bus_message *m = NULL;
        Input in = { data, size };

        if (!bus)
                bus = new_bus();
        fuzz_assert(sd_bus_message_new_signal(bus, &m, "/x", "x.y", "Z") >= 0);
        append(m, &in, 0);
        if (sd_bus_message_seal(m, 1, 0) >= 0) {
                _cleanup_(value_freep) Value *v = NULL;

                if (bus_value_read(m, &v) >= 0) {
                        char *text = NULL;
                        size_t length = 0;
                        FILE *f = open_memstream(&text, &length);

                        fuzz_assert(f);
                        value_print_json(f, v);
                        fuzz_assert(fclose(f) == 0);
                        free(text);
                } else
                        fuzz_assert(!v);
        }
        sd_bus_message_unref(m);
        return 0;
}
