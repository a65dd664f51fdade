/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "competitors.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "../lib/sysfs.h"
#include "log.h"
#include "messages.h"

static const struct {
        const char *comm;       /* as in /proc/PID/comm: 15 characters at most */
        const char *does;
} competitors[] = {
        { "numad", "pins QEMU processes and moves their memory, over vcpupin" },
        { "ksmtuned", "switches KSM on and off and sets its speed" },
        { "momd", "drives KSM and balloons" },
        { "tuned", "may set CPU and memory switches of the host, by profile" },
        { "qemu-balloond", "drives balloons" },
};

static void log_competitor(const char *comm, const char *pid, const char *does) {
        LogField fields[] = { { "KVMTUNED_COMPETITOR", comm }, { "KVMTUNED_COMPETITOR_PID", pid } };

        log_struct(LOG_WARNING, MESSAGE_COMPETITOR, fields, ELEMENTSOF(fields),
                   "%s is running (pid %s): it %s. Two managers of one knob fight; stop one of them", comm, pid,
                   does);
}

static void check_process(int root_fd, const char *pid) {
        _cleanup_free_ char *comm = NULL;
        char path[64];

        if (snprintf(path, sizeof(path), "proc/%.20s/comm", pid) < 0 || sysfs_read(root_fd, path, &comm, NULL) < 0)
                return;
        comm[strcspn(comm, "\n")] = 0;
        for (size_t i = 0; i < ELEMENTSOF(competitors); i++)
                if (streq(comm, competitors[i].comm))
                        log_competitor(comm, pid, competitors[i].does);
}

void competitors_log(int root_fd) {
        int fd = openat(root_fd, "proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct dirent *entry;
        DIR *dir;

        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
                (void)safe_close(fd);
                return;
        }
        while ((entry = readdir(dir)))
                if (isdigit((unsigned char)entry->d_name[0]))
                        check_process(root_fd, entry->d_name);
        (void)closedir(dir);
}
