/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Checks of one guest. */

#include "doctor_internal.h"

#include "parse.h"
#include "policy.h"

/* Machine types are removed from QEMU six years after their release; 5.0 is of April 2020. */
#define MACHINE_MAJOR_MIN 5U
#define REMOTE_PERMYRIAD 2500U
#define WAIT_PERMYRIAD 1000U
#define USABLE_PERMYRIAD 500U
#define STATS_AGE_USEC (1 * USEC_PER_MINUTE)

static int found_when(bool found) {
        return found ? DOCTOR_FOUND : DOCTOR_FINE;
}

static int found_with(const char *detail, char **ret_detail) {
        int r = strdup_to(ret_detail, detail);

        return r < 0 ? r : DOCTOR_FOUND;
}

int check_guest_emulated(const Doctor *d, const DrawGuest *g, char **ret_detail) {
        (void)d;
        (void)ret_detail;
        return *g->guest->accelerator ? found_when(streq(g->guest->accelerator, "qemu")) : DOCTOR_UNKNOWN;
}

int check_guest_cpu(const Doctor *d, const DrawGuest *g, char **ret_detail) {
        static const char *const old[] = { "qemu64", "qemu32", "kvm64", "kvm32", "cpu64-rhel5", "cpu64-rhel6" };
        const Guest *guest = g->guest;

        (void)d;
        if (!*guest->cpu_mode)
                return DOCTOR_UNKNOWN;
        if (streq(guest->cpu_mode, "default"))
                return found_with("no CPU model", ret_detail);
        for (size_t i = 0; i < ELEMENTSOF(old); i++)
                if (streq(guest->cpu_model, old[i]))
                        return found_with(old[i], ret_detail);
        return DOCTOR_FINE;
}

int check_guest_passthrough(const Doctor *d, const DrawGuest *g, char **ret_detail) {
        (void)d;
        (void)ret_detail;
        return found_when(g->guest->cpu_host_passthrough);
}

/* pc-q35-7.2, pc-i440fx-2.1, pseries-4.0, virt-6.1. Those of distributions (pc-q35-rhel8.0) follow other rules. */
int check_guest_machine(const Doctor *d, const DrawGuest *g, char **ret_detail) {
        const char *version = strrchr(g->guest->machine, '-');
        unsigned major;

        (void)d;
        if (!*g->guest->machine)
                return DOCTOR_UNKNOWN;
        if (!version++ || parse_unsigned_prefix(&version, &major) < 0 || *version != '.' ||
            major >= MACHINE_MAJOR_MIN)
                return DOCTOR_FINE;
        return found_with(g->guest->machine, ret_detail);
}

int check_guest_devices(const Doctor *d, const DrawGuest *g, char **ret_detail) {
        const char *devices = g->guest->emulated_devices;

        (void)d;
        if (!*devices || streq(devices, "none"))
                return *devices ? DOCTOR_FINE : DOCTOR_UNKNOWN;
        return found_with(devices, ret_detail);
}

/* ---- balloon and agent ----------------------------------------------------- */

/* Memory that cannot be given back anyway needs no balloon. */
int check_guest_balloon(const Doctor *d, const DrawGuest *g, char **ret_detail) {
        const Guest *guest = g->guest;

        (void)d;
        (void)ret_detail;
        return found_when(!guest->balloon_device && !guest->hugepages && !guest->locked && !guest->vfio);
}

static bool is_asked_for_stats(const Guest *g) {
        return g->state == GUEST_RUNNING && !g->starting && g->stats_period_sec > 0;
}

int check_guest_driver(const Doctor *d, const DrawGuest *g, char **ret_detail) {
        const Guest *guest = g->guest;

        (void)d;
        (void)ret_detail;
        if (!guest->balloon_device)
                return DOCTOR_FINE;
        if (!is_asked_for_stats(guest))
                return DOCTOR_UNKNOWN;
        return found_when(guest->stats.age_usec == UNKNOWN_U64);
}

int check_guest_stale_driver(const Doctor *d, const DrawGuest *g, char **ret_detail) {
        uint64_t age = g->guest->stats.age_usec;
        _cleanup_free_ char *text = NULL;
        int r;

        (void)d;
        if (!g->guest->balloon_device)
                return DOCTOR_FINE;
        if (!is_asked_for_stats(g->guest) || age == UNKNOWN_U64)
                return DOCTOR_UNKNOWN;
        if (age <= MAX(u64_muldiv(g->guest->stats_period_sec, BALLOON_STALE_PERIODS * USEC_PER_SEC, 1), STATS_AGE_USEC))
                return DOCTOR_FINE;
        r = format_duration(age - age % USEC_PER_MINUTE, &text);
        if (r >= 0)
                r = strprintf_to(ret_detail, "no word for %s", text);
        return r < 0 ? r : DOCTOR_FOUND;
}

int check_guest_stats(const Doctor *d, const DrawGuest *g, char **ret_detail) {
        (void)d;
        (void)ret_detail;
        return found_when(g->guest->balloon_device && g->guest->stats_period_sec == 0);
}

int check_guest_agent(const Doctor *d, const DrawGuest *g, char **ret_detail) {
        (void)d;
        (void)ret_detail;
        return *g->guest->agent ? found_when(streq(g->guest->agent, "none")) : DOCTOR_UNKNOWN;
}

int check_guest_agent_down(const Doctor *d, const DrawGuest *g, char **ret_detail) {
        const Guest *guest = g->guest;

        (void)d;
        (void)ret_detail;
        if (!*guest->agent || guest->state != GUEST_RUNNING || guest->starting)
                return DOCTOR_UNKNOWN;
        return found_when(streq(guest->agent, "disconnected"));
}

/* ---- how it fares ---------------------------------------------------------- */

int check_guest_remote(const Doctor *d, const DrawGuest *g, char **ret_detail) {
        uint64_t share;
        int r;

        if (d->s->topology->n_nodes == 1 || g->place == DRAW_ANYWHERE)
                return DOCTOR_FINE;
        if (g->placed_bytes == 0)
                return DOCTOR_UNKNOWN;
        share = u64_muldiv(u64_sub(g->placed_bytes, g->local_bytes), PERMYRIAD_FULL, g->placed_bytes);
        if (share < REMOTE_PERMYRIAD)
                return DOCTOR_FINE;
        r = strprintf_to(ret_detail, "%u %%", draw_percent(share));
        return r < 0 ? r : DOCTOR_FOUND;
}

int check_guest_waits(const Doctor *d, const DrawGuest *g, char **ret_detail) {
        uint64_t sum = 0, n = 0;
        int r;

        (void)d;
        for (size_t i = 0; i < g->guest->n_vcpus; i++) {
                const GuestThread *t = &g->guest->vcpus[i];

                if (!t->online || t->wait_permyriad == UNKNOWN_PERMYRIAD)
                        continue;
                sum += t->wait_permyriad;
                n++;
        }
        if (n == 0)
                return DOCTOR_UNKNOWN;
        if (sum / n < WAIT_PERMYRIAD)
                return DOCTOR_FINE;
        r = strprintf_to(ret_detail, "%u %%", draw_percent(sum / n));
        return r < 0 ? r : DOCTOR_FOUND;
}

int check_guest_memory(const Doctor *d, const DrawGuest *g, char **ret_detail) {
        const BalloonStats *s = &g->guest->stats;
        char a[FORMAT_BYTES_MAX], b[FORMAT_BYTES_MAX];
        int r;

        (void)d;
        if (s->usable_bytes == UNKNOWN_U64 || s->age_usec > STATS_AGE_USEC)
                return DOCTOR_UNKNOWN;
        if (s->usable_bytes >= permyriad_of(g->guest->current_bytes, USABLE_PERMYRIAD))
                return DOCTOR_FINE;
        r = strprintf_to(ret_detail, "%s of %s", format_bytes_short(s->usable_bytes, a),
                         format_bytes_short(g->guest->current_bytes, b));
        return r < 0 ? r : DOCTOR_FOUND;
}

int check_guest_unreachable(const Doctor *d, const DrawGuest *g, char **ret_detail) {
        (void)d;
        (void)ret_detail;
        return found_when(g->guest->unreachable);
}

int check_guest_crashed(const Doctor *d, const DrawGuest *g, char **ret_detail) {
        (void)d;
        (void)ret_detail;
        return found_when(g->guest->state == GUEST_CRASHED);
}
