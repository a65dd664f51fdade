/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * mock-systemd UNITS LOG - stands for systemd's manager on a private bus. The
 * file UNITS says which process belongs to which unit, "PID UNIT" a line. A
 * unit that is stopped gets SIGTERM; one named refuse*.service is neither
 * stopped nor started, one named lost*.service not started. Each order is a line "METHOD UNIT" in the file LOG.
 */

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

static const char *units_path, *log_path;

/* By @pid, or where that is 0 by @unit; both are filled in. */
static bool find_unit(int *pid, char unit[256]) {
        char line[400], name[256];
        FILE *f = fopen(units_path, "re");
        bool found = false;
        int p;

        while (f && !found && fgets(line, sizeof(line), f)) {
                if (sscanf(line, "%d %255s", &p, name) != 2)
                        continue;
                found = *pid ? p == *pid : strcmp(name, unit) == 0;
                if (found) {
                        *pid = p;
                        strcpy(unit, name);
                }
        }
        if (f)
                fclose(f);
        return found;
}

static int on_get_unit(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        char unit[256] = "", *path = NULL;
        uint32_t number;
        int r, pid;

        (void)userdata;
        r = sd_bus_message_read(m, "u", &number);
        pid = (int)number;
        if (r < 0 || !find_unit(&pid, unit))
                return sd_bus_error_setf(error, "org.freedesktop.systemd1.NoUnitForPID", "no unit for %u", number);
        r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path);
        if (r >= 0)
                r = sd_bus_reply_method_return(m, "o", path);
        free(path);
        return r;
}

static int on_order(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name, *mode, *method = sd_bus_message_get_member(m);
        char unit[256] = "";
        int r, pid = 0;
        FILE *f;

        (void)userdata;
        r = sd_bus_message_read(m, "ss", &name, &mode);
        if (r < 0 || strlen(name) >= sizeof(unit) || strcmp(mode, "replace") != 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "not understood");
        if (strncmp(name, "refuse", 6) == 0 || (strcmp(method, "StartUnit") == 0 && strncmp(name, "lost", 4) == 0))
                return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED, "no");
        f = fopen(log_path, "ae");
        if (f) {
                fprintf(f, "%s %s\n", method, name);
                fclose(f);
        }
        strcpy(unit, name);
        if (strcmp(method, "StopUnit") == 0 && find_unit(&pid, unit))
                kill(pid, SIGTERM);
        return sd_bus_reply_method_return(m, "o", "/org/freedesktop/systemd1/job/1");
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("GetUnitByPID", "u", "o", on_get_unit, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("StopUnit", "ss", "o", on_order, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("StartUnit", "ss", "o", on_order, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

int main(int argc, char **argv) {
        sd_bus *bus = NULL;
        int r;

        if (argc != 3)
                return 2;
        units_path = argv[1];
        log_path = argv[2];
        r = sd_bus_open_system(&bus);
        if (r >= 0)
                r = sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/systemd1",
                                             "org.freedesktop.systemd1.Manager", vtable, NULL);
        if (r >= 0)
                r = sd_bus_request_name(bus, "org.freedesktop.systemd1", 0);
        while (r >= 0) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
        }
        fprintf(stderr, "mock-systemd: %s\n", strerror(-r));
        return 1;
}
