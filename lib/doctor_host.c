/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The host's virtualization, kernel features, clock, frequency, and who else is at work on it. */

#include "doctor_internal.h"

static int found_when(bool found) {
        return found ? DOCTOR_FOUND : DOCTOR_FINE;
}

/* @fact against the word that is a finding; "" is not known. */
static int fact_is(const char *fact, const char *word) {
        return *fact ? found_when(streq(fact, word)) : DOCTOR_UNKNOWN;
}

int check_no_virtualization(const Doctor *d, char **ret_detail) {
        const HostFacts *f = &d->s->host.facts;
        int r;

        if (!streq(f->virtualization, "none"))
                return *f->virtualization ? DOCTOR_FINE : DOCTOR_UNKNOWN;
        r = strprintf_to(ret_detail, streq(f->hypervisor, "yes")
                                             ? "this host is a guest itself, and is not given the virtualization "
                                               "of its CPU"
                                             : "the CPU has none, or it is switched off in the firmware");
        return r < 0 ? r : DOCTOR_FOUND;
}

int check_no_kvm(const Doctor *d, char **ret_detail) {
        const HostFacts *f = &d->s->host.facts;

        (void)ret_detail;
        if (!*f->kvm)
                return DOCTOR_UNKNOWN;
        /* Without virtualization in the CPU that is the problem, not this. */
        return found_when(streq(f->kvm, "no") && !streq(f->virtualization, "none"));
}

int check_kvm_access(const Doctor *d, char **ret_detail) {
        (void)ret_detail;
        return fact_is(d->s->host.facts.kvm_access, "root");
}

/* A list of words, or "none". */
static int fact_lists(const char *fact, char **ret_detail) {
        int r;

        if (!*fact || streq(fact, "none"))
                return *fact ? DOCTOR_FINE : DOCTOR_UNKNOWN;
        r = strdup_to(ret_detail, fact);
        return r < 0 ? r : DOCTOR_FOUND;
}

int check_read_only(const Doctor *d, char **ret_detail) {
        return fact_lists(d->s->host.facts.read_only, ret_detail);
}

int check_nested_off(const Doctor *d, char **ret_detail) {
        (void)ret_detail;
        return fact_is(d->s->host.facts.nested, "off");
}

int check_nested_exposed(const Doctor *d, char **ret_detail) {
        const HostFacts *f = &d->s->host.facts;
        size_t n = 0;
        int r;

        if (!*f->nested)
                return DOCTOR_UNKNOWN;
        for (size_t i = 0; i < d->s->n_guests; i++)
                n += d->s->guests[i]->cpu_host_passthrough;
        if (!streq(f->nested, "on") || n == 0)
                return DOCTOR_FINE;
        r = strprintf_to(ret_detail, "%zu guest%s with host-passthrough", n, n == 1 ? "" : "s");
        return r < 0 ? r : DOCTOR_FOUND;
}

int check_cgroup(const Doctor *d, char **ret_detail) {
        const char *cgroup = d->s->host.facts.cgroup;
        int r;

        if (!*cgroup || streq(cgroup, "v2"))
                return *cgroup ? DOCTOR_FINE : DOCTOR_UNKNOWN;
        r = strdup_to(ret_detail, cgroup);
        return r < 0 ? r : DOCTOR_FOUND;
}

int check_pressure(const Doctor *d, char **ret_detail) {
        (void)ret_detail;
        return fact_is(d->s->host.facts.pressure, "off");
}

/* The drivers of Intel and AMD that choose the frequency themselves go up to full speed under that name. */
int check_governor(const Doctor *d, char **ret_detail) {
        const HostFacts *f = &d->s->host.facts;
        int r;

        if (!*f->governor)
                return DOCTOR_UNKNOWN;
        if (!streq(f->governor, "powersave") || startswith(f->cpufreq_driver, "intel_pstate") ||
            startswith(f->cpufreq_driver, "amd-pstate"))
                return DOCTOR_FINE;
        r = strprintf_to(ret_detail, "powersave, by %s", *f->cpufreq_driver ? f->cpufreq_driver : "the kernel");
        return r < 0 ? r : DOCTOR_FOUND;
}

int check_clocksource(const Doctor *d, char **ret_detail) {
        static const char *const slow[] = { "hpet", "acpi_pm", "jiffies", "refined-jiffies" };
        const char *clock = d->s->host.facts.clocksource;
        int r;

        if (!*clock)
                return DOCTOR_UNKNOWN;
        for (size_t i = 0; i < ELEMENTSOF(slow); i++) {
                if (!streq(clock, slow[i]))
                        continue;
                r = strdup_to(ret_detail, clock);
                return r < 0 ? r : DOCTOR_FOUND;
        }
        return DOCTOR_FINE;
}

int check_managers(const Doctor *d, char **ret_detail) {
        return fact_lists(d->s->host.facts.managers, ret_detail);
}

int check_balancing(const Doctor *d, char **ret_detail) {
        const Host *h = &d->s->host;
        const Settings *base;

        (void)ret_detail;
        if (!d->config || h->numa_balancing == UNKNOWN_U64)
                return DOCTOR_UNKNOWN;
        base = &d->config->base;
        return found_when(h->numa_balancing > 0 && d->s->topology->n_nodes > 1 &&
                          setting(base, KEY_CPU_POLICY) != CPU_NONE && setting(base, KEY_NUMA_POLICY) == NUMA_AUTO &&
                          setting(base, KEY_KERNEL_NUMA_BALANCING) == KERNEL_KEEP);
}
