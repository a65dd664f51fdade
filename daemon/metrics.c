/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "../lib/metrics_text.h"
#include "log.h"
#include "manager.h"

static int write_all(int fd, const char *text) {
        size_t n = strlen(text);

        while (n > 0) {
                ssize_t k = write(fd, text, n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k <= 0)
                        return k < 0 ? -errno : -EIO;
                text += k;
                n -= (size_t)k;
        }
        return 0;
}

/* Not synced: after a crash of the host it is written anew. Nobody reads it yet: its name does not end in .prom. */
static int replace_file(const char *path, const char *text) {
        _cleanup_free_ char *temporary = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = strprintf_to(&temporary, "%s.new", path);
        if (r < 0)
                return r;
        fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
                return -errno;
        /* Whatever the service's umask is: the collector is another user. */
        r = fchmod(fd, 0644) < 0 ? -errno : write_all(fd, text);
        if (r >= 0 && rename(temporary, path) < 0)
                r = -errno;
        if (r < 0)
                (void)unlink(temporary);
        return r;
}

static const char *configured(const Manager *m) {
        const char *path = m->config ? m->config->base.values[KEY_DAEMON_METRICS_FILE].text : NULL;

        return m->options.mode == RUN_DAEMON && path && *path ? path : NULL;
}

static int format(Manager *m, char **ret) {
        return metrics_format(
                &(MetricsInput){
                        .snapshot = m->snapshot,
                        .state = m->state,
                        .config = m->config,
                        .counters = &m->counters,
                        .rules_active = m->rules_active,
                        .version = VERSION,
                        .cycle_realtime_usec = m->cycle_realtime_usec,
                        .connected = m->connected,
                        .paused = m->paused,
                        .dry_run = manager_dry_run(m),
                        .guests_max = setting(&m->config->base, KEY_DAEMON_METRICS_GUESTS),
                },
                ret);
}

void metrics_write(Manager *m) {
        const char *path = configured(m);
        _cleanup_free_ char *text = NULL;
        int r;

        /* A reload may have moved it. */
        if (!streq_ptr(m->metrics_path, path))
                metrics_remove(m);
        if (!path)
                return;
        r = strdup_to(&m->metrics_path, path);
        if (r >= 0)
                r = format(m, &text);
        if (r >= 0)
                r = replace_file(path, text);
        if (r < 0 && !m->metrics_failed)
                (void)log_error_errno(r, "Failed to write %s; going on without metrics", path);
        if (r >= 0 && m->metrics_failed)
                log_message(LOG_NOTICE, "%s can be written again", path);
        m->metrics_failed = r < 0;
}

void metrics_remove(Manager *m) {
        if (m->metrics_path)
                (void)unlink(m->metrics_path);
        free(TAKE_PTR(m->metrics_path));
}
