/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel_knob.h"

#include <inttypes.h>
#include <systemd/sd-bus.h>

#include "../lib/parse.h"
#include "../lib/sysfs.h"

#define KNOB_PATH "proc/sys/kernel/numa_balancing"
#define UNIT_FORMAT "kvmtuned-numa-balancing@%" PRIu64 ".service"
/* The unit is a fork and a write; on a busy host it may take seconds. */
#define CHECK_USEC (200 * USEC_PER_MSEC)
#define CHECKS_MAX 50U

struct KernelKnobWriter {
        sd_event *event;
        int root_fd;                    /* the caller's */
        kernel_knob_done_t done;
        void *userdata;
        sd_bus *bus;                    /* NULL: idle */
        sd_bus_slot *call;
        sd_event_source *timer;
        uint64_t value;
        unsigned checks;
};

int kernel_knob_new(sd_event *event, int root_fd, kernel_knob_done_t done, void *userdata, KernelKnobWriter **ret) {
        KernelKnobWriter *w = calloc(1, sizeof(*w));

        if (!w)
                return -ENOMEM;
        w->event = sd_event_ref(event);
        w->root_fd = root_fd;
        w->done = done;
        w->userdata = userdata;
        *ret = w;
        return 0;
}

static void become_idle(KernelKnobWriter *w) {
        w->call = sd_bus_slot_unref(w->call);
        w->timer = sd_event_source_disable_unref(w->timer);
        w->bus = sd_bus_flush_close_unref(w->bus);
}

KernelKnobWriter *kernel_knob_free(KernelKnobWriter *w) {
        if (!w)
                return NULL;
        become_idle(w);
        sd_event_unref(w->event);
        free(w);
        return NULL;
}

static void finish(KernelKnobWriter *w, int result, const char *text) {
        become_idle(w);
        w->done(w->userdata, result, text);
}

static bool is_set(const KernelKnobWriter *w) {
        uint64_t now;

        return sysfs_read_u64(w->root_fd, KNOB_PATH, &now) >= 0 && now == w->value;
}

/* Re-arms first; what systemd reports of a unit would not say that the kernel has the value. */
static int on_check(sd_event_source *s, uint64_t usec, void *userdata) {
        KernelKnobWriter *w = userdata;
        int r;

        (void)usec;
        if (is_set(w)) {
                finish(w, 0, NULL);
                return 0;
        }
        if (++w->checks >= CHECKS_MAX) {
                finish(w, -EIO, "kvmtuned-numa-balancing@.service was started and has not set it, see its journal");
                return 0;
        }
        r = sd_event_source_set_time_relative(s, CHECK_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int on_started(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        KernelKnobWriter *w = userdata;
        int r;

        (void)error;
        if (sd_bus_message_is_method_error(reply, NULL)) {
                const sd_bus_error *e = sd_bus_message_get_error(reply);

                finish(w, -EPERM, e ? e->message : NULL);
                return 0;
        }
        r = sd_event_add_time_relative(w->event, &w->timer, CLOCK_BOOTTIME, CHECK_USEC, CHECK_USEC, on_check, w);
        if (r >= 0)
                r = sd_event_source_set_description(w->timer, "kernel switch");
        if (r < 0)
                finish(w, r, NULL);
        return 0;
}

static int start_unit(KernelKnobWriter *w) {
        _cleanup_free_ char *unit = NULL;
        int r;

        r = strprintf_to(&unit, UNIT_FORMAT, w->value);
        if (r < 0)
                return r;
        r = sd_bus_open_system(&w->bus);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(w->bus, w->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;
        return sd_bus_call_method_async(w->bus, &w->call, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                        "org.freedesktop.systemd1.Manager", "StartUnit", on_started, w, "ss", unit,
                                        "replace");
}

int kernel_knob_set(KernelKnobWriter *w, const char *value) {
        int r;

        if (w->bus)
                return -EBUSY;
        r = parse_u64(value, &w->value);
        if (r < 0)
                return -EINVAL;
        r = sysfs_write(w->root_fd, KNOB_PATH, value);
        if (r >= 0)
                return 1;
        if (r != -EPERM && r != -EACCES && r != -EROFS)
                return r;
        w->checks = 0;
        r = start_unit(w);
        if (r < 0) {
                become_idle(w);
                return r;
        }
        return 0;
}
