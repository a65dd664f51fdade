/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include "../lib/config_value.h"
#include "../lib/rules.h"
#include "../lib/sysfs.h"
#include "bus.h"
#include "competitors.h"
#include "effects_internal.h"
#include "log.h"
#include "messages.h"
#include "reload.h"
#include "takeover.h"

/*
 * "some 150 ms of the last 2 s": what systemd-oomd and earlyoom consider a host
 * that begins to hurt; the window is the smallest the kernel accepts without
 * privilege (Documentation/accounting/psi.rst).
 */
#define PSI_TRIGGER "some 150000 2000000"
#define CYCLE_ACCURACY_USEC (100 * USEC_PER_MSEC)

uint64_t manager_now(Manager *m) {
        uint64_t usec = 0;

        (void)sd_event_now(m->event, CLOCK_BOOTTIME, &usec);
        return usec;
}

bool manager_dry_run(const Manager *m) {
        return m->options.dry_run || setting(&m->config->base, KEY_DAEMON_DRY_RUN);
}

/* Nine descriptors a guest with two vCPUs: the default of 1,024 ends at 112 guests. */
static void raise_descriptor_limit(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return;
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int on_cycle_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        Manager *m = userdata;
        uint64_t interval = setting(&m->config->base, KEY_DAEMON_INTERVAL);
        int r;

        r = sd_event_source_set_time(s, MAX(usec + interval, manager_now(m)));
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
        if (r < 0)
                return r;
        manager_start_cycle(m, "timer");
        return 0;
}

static int on_edge_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        (void)s;
        (void)usec;
        manager_start_cycle(userdata, "rule edge");
        return 0;
}

static int on_pressure(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        Manager *m = userdata;
        uint64_t now = manager_now(m);

        (void)s;
        (void)fd;
        if (revents & EPOLLERR)
                return -EIO;
        /* The kernel reports once a window at most; so do we. */
        if (u64_sub(now, m->pressure_usec) < 2 * USEC_PER_SEC)
                return 0;
        m->pressure_usec = now;
        manager_start_cycle(m, "memory pressure");
        return 0;
}

static int on_stop_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        (void)s;
        log_message(LOG_DEBUG, "Received signal %u", si->ssi_signo);
        manager_stop(userdata);
        return 0;
}

static int on_reload_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        (void)s;
        (void)si;
        (void)manager_reload(userdata, NULL);
        return 0;
}

/* Describes a new source, and makes its failure the end of the loop instead of a silent stop. */
static int essential(sd_event_source *s, const char *description) {
        int r;

        r = sd_event_source_set_description(s, description);
        if (r < 0)
                return r;
        return sd_event_source_set_exit_on_failure(s, true);
}

static int add_timer(Manager *m, sd_event_source **ret, uint64_t usec, uint64_t accuracy,
                     sd_event_time_handler_t handler, const char *description, bool enabled) {
        int r;

        r = sd_event_add_time(m->event, ret, CLOCK_BOOTTIME, usec, accuracy, handler, m);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(*ret, enabled ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
        if (r < 0)
                return r;
        return essential(*ret, description);
}

static int add_timers(Manager *m) {
        uint64_t now = manager_now(m);
        int r;

        r = add_timer(m, &m->cycle_timer, now + setting(&m->config->base, KEY_DAEMON_INTERVAL), CYCLE_ACCURACY_USEC,
                      on_cycle_timer, "cycle", m->options.mode == RUN_DAEMON);
        if (r < 0)
                return r;
        r = add_timer(m, &m->edge_timer, now, CYCLE_ACCURACY_USEC, on_edge_timer, "rule edge", false);
        if (r < 0)
                return r;
        return add_timer(m, &m->stats_timer, now, CYCLE_ACCURACY_USEC, manager_on_stats_timer,
                         "statistics deadline", false);
}

static int add_io(Manager *m, int fd, sd_event_io_handler_t handler, uint32_t events, const char *description) {
        sd_event_source *s;
        int r;

        r = sd_event_add_io(m->event, &s, fd, events, handler, m);
        if (r < 0)
                return r;
        r = essential(s, description);
        if (r < 0)
                return r;
        return sd_event_source_set_floating(s, true) < 0 ? -EINVAL : (sd_event_source_unref(s), 0);
}

static int add_signal(Manager *m, int signal_number, sd_event_signal_handler_t handler, const char *description) {
        sd_event_source *s;
        int r;

        r = sd_event_add_signal(m->event, &s, signal_number, handler, m);
        if (r < 0)
                return r;
        r = essential(s, description);
        if (r < 0)
                return r;
        return sd_event_source_set_floating(s, true) < 0 ? -EINVAL : (sd_event_source_unref(s), 0);
}

static int add_signals(Manager *m) {
        int r;

        r = add_signal(m, SIGTERM, on_stop_signal, "SIGTERM");
        if (r < 0)
                return r;
        r = add_signal(m, SIGINT, on_stop_signal, "SIGINT");
        if (r < 0)
                return r;
        return add_signal(m, SIGHUP, on_reload_signal, "SIGHUP");
}

/* Memory pressure of the host wakes the loop at once, where the kernel offers it. */
static void add_pressure(Manager *m) {
        m->psi_fd = openat(m->root_fd, "proc/pressure/memory", O_RDWR | O_NONBLOCK | O_CLOEXEC);
        if (m->psi_fd >= 0 && (write(m->psi_fd, PSI_TRIGGER, sizeof(PSI_TRIGGER)) < 0 ||
                               add_io(m, m->psi_fd, on_pressure, EPOLLPRI, "memory pressure") < 0))
                m->psi_fd = safe_close(m->psi_fd);
        if (m->psi_fd < 0)
                log_message(LOG_INFO, "The kernel gives no notice of memory pressure here; looking every daemon.interval");
}

static int load_config(Manager *m) {
        _cleanup_free_ char *error = NULL;
        int r;

        if (!m->options.config_path)
                return config_new(&m->config);
        r = config_load(m->options.config_path, &m->config, &error);
        if (r < 0 && error) {
                reload_log_errors(NULL, error);
                return -ENOTRECOVERABLE;
        }
        return r < 0 ? log_error_errno(r, "Failed to load %s", m->options.config_path) : r;
}

/* Two writers of one state file would lose each other's records. A folder that cannot be written is said later. */
static int lock_state(Manager *m) {
        _cleanup_free_ char *path = NULL;

        if (m->options.mode == RUN_RECORD || manager_dry_run(m))
                return 0;
        if (strprintf_to(&path, "%s.lock", m->options.state_path) < 0)
                return -ENOMEM;
        (void)effects_make_folder(m->options.state_path);
        m->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (m->lock_fd < 0 || flock(m->lock_fd, LOCK_EX | LOCK_NB) >= 0)
                return 0;
        if (errno != EWOULDBLOCK)
                return 0;
        log_message(LOG_ERR, "Another kvmtuned is using %s; stop it first", m->options.state_path);
        return -EBUSY;
}

/* Not to be guessed: a record of another boot is thrown away. */
static int read_boot_id(int root_fd, char **ret) {
        _cleanup_free_ char *id = NULL;
        int r;

        r = sysfs_read(root_fd, "proc/sys/kernel/random/boot_id", &id, NULL);
        if (r == -ENOENT)
                return strdup_to(ret, "unknown");
        if (r < 0)
                return r;
        id[strcspn(id, "\n")] = 0;
        *ret = TAKE_PTR(id);
        return 0;
}

static int load_state(Manager *m) {
        _cleanup_free_ char *boot_id = NULL, *error = NULL;
        int r;

        r = state_load(m->options.state_path, &m->state, &error);
        if (r == -EBADMSG && m->state)
                log_struct(LOG_WARNING, MESSAGE_STATE_DAMAGED, NULL, 0, "%s: %s; using the records before it",
                           m->options.state_path, error ? error : "damaged");
        else if (r == -EPROTO) {
                log_message(LOG_ERR, "%s was written by a newer kvmtuned: have that one put back what it changed "
                            "(kvmtuned --restore), or move the file away to start without it", m->options.state_path);
                return -ENOTRECOVERABLE;
        } else if (r < 0 && r != -ENOENT)
                return log_error_errno(r, "Failed to read %s", m->options.state_path);
        r = read_boot_id(m->root_fd, &boot_id);
        if (r < 0)
                return log_error_errno(r, "Failed to find out which boot this is, and with that whether %s is of it",
                                       m->options.state_path);
        /* Pins, balloons and kernel switches end with the boot in which they were made. */
        if (m->state && !streq_ptr(m->state->boot_id, boot_id))
                m->state = state_free(m->state);
        if (!m->state) {
                r = state_new(&m->state);
                if (r < 0)
                        return r;
        }
        return strdup_to(&m->state->boot_id, boot_id);
}

static int observe_topology(Manager *m) {
        int r;

        r = snapshot_new(&m->snapshot);
        if (r < 0)
                return r;
        r = topology_load(m->root_fd, NULL, &m->snapshot->topology);
        if (r < 0)
                return log_error_errno(r, "Failed to read the host's topology");
        r = topology_complete_from_libnuma(m->snapshot->topology);
        if (r < 0)
                return r;
        return host_observer_new(m->root_fd, m->snapshot->topology, &m->host);
}

static int start_workers(Manager *m) {
        const char *uri = m->options.uri ? m->options.uri : m->config->base.values[KEY_DAEMON_URI].text;
        const char *problem = m->options.uri ? config_uri_problem(uri) : NULL;
        int r;

        if (problem) {
                log_message(LOG_ERR, "--uri: \"%s\" %s", uri, problem);
                return -ENOTRECOVERABLE;
        }
        r = virt_new(uri, &m->virt);
        if (r < 0)
                return log_error_errno(r, "Failed to start the libvirt threads");
        r = add_io(m, virt_get_fd(m->virt), manager_on_virt, EPOLLIN, "libvirt");
        if (r < 0)
                return r;
        r = mover_new(m->root_fd, &m->mover);
        if (r < 0)
                return log_error_errno(r, "Failed to prepare for moves of memory");
        r = kernel_knob_new(m->event, m->root_fd, effects_on_kernel, m, &m->kernel_knob);
        if (r < 0)
                return r;
        r = pool_writer_new(m->root_fd, &m->pool_writer);
        if (r < 0)
                return log_error_errno(r, "Failed to prepare for changes of huge page pools");
        r = add_io(m, pool_writer_get_fd(m->pool_writer), effects_on_pools, EPOLLIN, "huge pages");
        if (r < 0)
                return r;
        return add_io(m, mover_get_fd(m->mover), effects_on_mover, EPOLLIN, "memory mover");
}

/* What is asked on the bus is answered here; without a bus the daemon does its work all the same. */
static int start_bus(Manager *m) {
        int r;

        r = history_new(&m->history);
        if (r < 0)
                return r;
        log_set_listener(history_note, m->history);
        r = takeover_new(m, &m->takeover);
        if (r < 0)
                return r;
        return bus_new(m, &m->bus);
}

static int manager_init(Manager *m) {
        int r;

        raise_descriptor_limit();
        r = load_config(m);
        if (r < 0)
                return r;
        m->root_fd = sysfs_open_root("/");
        if (m->root_fd < 0)
                return log_error_errno(m->root_fd, "Failed to open /");
        r = lock_state(m);
        if (r < 0)
                return r;
        r = load_state(m);
        if (r < 0)
                return r;
        r = observe_topology(m);
        if (r < 0)
                return r;
        r = sd_event_new(&m->event);
        if (r < 0)
                return r;
        effects_note_left(m);
        r = sd_event_set_watchdog(m->event, true);
        if (r < 0)
                return r;
        r = add_signals(m);
        if (r < 0)
                return r;
        r = add_timers(m);
        if (r < 0)
                return r;
        if (m->options.mode == RUN_DAEMON) {
                add_pressure(m);
                r = manager_watch_clock(m);
                if (r < 0)
                        return log_error_errno(r, "Failed to watch the clock");
        }
        r = start_workers(m);
        if (r < 0)
                return r;
        return m->options.mode == RUN_DAEMON ? start_bus(m) : 0;
}

int manager_new(const Options *options, Manager **ret) {
        _cleanup_(manager_freep) Manager *m = NULL;
        int r;

        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->root_fd = m->psi_fd = m->lock_fd = -EBADF;
        m->options = *options;
        m->next_cookie = 1;
        r = manager_init(m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

Manager *manager_free(Manager *m) {
        if (!m)
                return NULL;
        bus_free(m->bus);
        log_set_listener(NULL, NULL);
        history_free(m->history);
        mover_free(m->mover);
        takeover_free(m->takeover);
        kernel_knob_free(m->kernel_knob);
        pool_writer_free(m->pool_writer);
        virt_free(m->virt);
        for (size_t i = 0; i < m->n_pending; i++)
                action_done(&m->pending[i].action);
        free(m->pending);
        for (size_t i = 0; i < m->n_slots; i++)
                guest_observer_free(m->slots[i].observer);
        free(m->slots);
        free(m->wanted);
        free(m->rules_active);
        manager_forget_notes(m);
        free(m->dry_plan);
        free(m->metrics_path);
        free(m->cancel_reason);
        sd_event_source_unref(m->cycle_timer);
        sd_event_source_unref(m->edge_timer);
        sd_event_source_unref(m->stats_timer);
        sd_event_source_unref(m->stop_timer);
        sd_event_unref(m->event);
        m->psi_fd = safe_close(m->psi_fd);
        m->lock_fd = safe_close(m->lock_fd);
        guest_processes_done(&m->processes);
        host_observer_free(m->host);
        snapshot_free(m->snapshot);
        state_free(m->state);
        config_free(m->config);
        m->root_fd = safe_close(m->root_fd);
        free(m);
        return NULL;
}

int manager_run(Manager *m) {
        if (m->options.mode == RUN_DAEMON) {
                log_message(LOG_INFO, "Started with %s%s", m->options.config_path,
                            manager_dry_run(m) ? " (dry run: nothing is changed)" : "");
                competitors_log(m->root_fd, m->config, &m->snapshot->host.facts);
                takeover_look(m->takeover);
                (void)sd_notify(false, "READY=1\nSTATUS=Connecting to libvirt");
        }
        if (m->options.mode != RUN_DAEMON && manager_arm_deadline(m) < 0)
                return -EINVAL;
        return sd_event_loop(m->event);
}
