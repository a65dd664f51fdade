/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "observe.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "sysfs.h"

/* The record of one CPU in /proc/cpuinfo is below 2 KiB, half of it flags. With 4,096 CPUs the file has 6 MiB. */
#define CPUINFO_SIZE (16 * KIB)
#define CPUFREQ "sys/devices/system/cpu/cpufreq"

/* ---- who else is at work --------------------------------------------------- */

void competitors_observe(int root_fd, CompetitorFound found, void *userdata) {
        _cleanup_free_ uint64_t *pids = NULL;
        size_t n;

        if (sysfs_list_numbers(root_fd, "proc", "", "", &pids, &n) < 0)
                return;
        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ char *comm = NULL;
                char path[48];

                (void)snprintf(path, sizeof(path), "proc/%llu/comm", (unsigned long long)pids[i]);
                if (sysfs_read(root_fd, path, &comm, NULL) < 0)
                        continue;
                comm[strcspn(comm, "\n")] = 0;
                for (size_t k = 0; k < n_competitors; k++)
                        if (streq(comm, competitors[k].comm))
                                found(&competitors[k], pids[i], userdata);
        }
}

typedef struct Managers {
        HostFacts *facts;
        CompetitorFound found;
        void *userdata;
} Managers;

static void add_manager(const Competitor *c, uint64_t pid, void *userdata) {
        const Managers *m = userdata;
        HostFacts *facts = m->facts;
        size_t n = strlen(facts->managers);

        if (!strstr(facts->managers, c->comm))
                (void)snprintf(facts->managers + n, sizeof(facts->managers) - n, "%s%s", n > 0 ? " " : "", c->comm);
        if (m->found)
                m->found(c, pid, m->userdata);
}

void host_managers_observe(int root_fd, HostFacts *facts, CompetitorFound found, void *userdata) {
        Managers m = { facts, found, userdata };

        facts->managers[0] = '\0';
        competitors_observe(root_fd, add_manager, &m);
        if (!*facts->managers)
                (void)snprintf(facts->managers, sizeof(facts->managers), "none");
}

/* ---- words ----------------------------------------------------------------- */

static void set_word(char *ret, size_t size, const char *text) {
        (void)snprintf(ret, size, "%.*s", (int)strcspn(text, " \t\n"), text);
}

static void read_word(int root_fd, const char *path, char *ret, size_t size) {
        _cleanup_free_ char *text = NULL;

        if (sysfs_read(root_fd, path, &text, NULL) >= 0)
                set_word(ret, size, text);
}

static bool exists(int root_fd, const char *path) {
        return faccessat(root_fd, path, F_OK, 0) >= 0;
}

/* ---- virtualization -------------------------------------------------------- */

static bool has_flag(const char *line, const char *flag) {
        size_t n = strlen(flag);

        for (const char *p = line; (p = strstr(p, flag)); p += n)
                if (p > line && p[-1] == ' ' && (p[n] == ' ' || p[n] == '\n' || p[n] == 0))
                        return true;
        return false;
}

/* The flags of the first CPU say it for all. Other architectures than x86 have no such line. */
static void read_cpu_flags(int root_fd, HostFacts *facts) {
        _cleanup_free_ char *text = NULL;
        char *line;

        if (sysfs_read_head(root_fd, "proc/cpuinfo", CPUINFO_SIZE, &text) < 0)
                return;
        line = strstr(text, "\nflags\t");
        if (!line)
                return;
        line++;
        line[strcspn(line, "\n")] = 0;
        set_word(facts->virtualization, sizeof(facts->virtualization),
                 has_flag(line, "vmx") ? "vmx" : has_flag(line, "svm") ? "svm" : "none");
        set_word(facts->hypervisor, sizeof(facts->hypervisor), has_flag(line, "hypervisor") ? "yes" : "no");
}

static void read_nested(int root_fd, HostFacts *facts) {
        char value[8] = "";

        read_word(root_fd, "sys/module/kvm_intel/parameters/nested", value, sizeof(value));
        if (!*value)
                read_word(root_fd, "sys/module/kvm_amd/parameters/nested", value, sizeof(value));
        if (*value)
                set_word(facts->nested, sizeof(facts->nested), streq(value, "Y") || streq(value, "1") ? "on" : "off");
}

/* ---- permissions ----------------------------------------------------------- */

/* QEMU runs as a user of its own. */
static void read_kvm_access(int root_fd, HostFacts *facts) {
        struct stat st;

        if (fstatat(root_fd, "dev/kvm", &st, 0) < 0)
                return;
        set_word(facts->kvm_access, sizeof(facts->kvm_access),
                 (st.st_mode & 06) == 06                      ? "all"
                 : (st.st_mode & 060) == 060 && st.st_gid > 0 ? "group"
                                                              : "root");
}

/* Not what this user may not write, but what nobody can from here: the sandbox of a service, or a container. */
static void read_read_only(int root_fd, HostFacts *facts) {
        static const struct { const char *word, *path; } switches[] = {
                { "ksm", "sys/kernel/mm/ksm/run" },
                { "thp", "sys/kernel/mm/transparent_hugepage/enabled" },
                { "hugepages", "sys/kernel/mm/hugepages" },
        };
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTSOF(switches); i++)
                if (faccessat(root_fd, switches[i].path, W_OK, 0) < 0 && errno == EROFS)
                        n += (size_t)snprintf(facts->read_only + n, sizeof(facts->read_only) - n, "%s%s",
                                              n > 0 ? " " : "", switches[i].word);
        if (n == 0)
                set_word(facts->read_only, sizeof(facts->read_only), "none");
}

/* ---- the rest -------------------------------------------------------------- */

static void read_cgroup(int root_fd, HostFacts *facts) {
        if (exists(root_fd, "sys/fs/cgroup/cgroup.controllers"))
                set_word(facts->cgroup, sizeof(facts->cgroup), "v2");
        else if (exists(root_fd, "sys/fs/cgroup/unified/cgroup.controllers"))
                set_word(facts->cgroup, sizeof(facts->cgroup), "hybrid");
        else if (exists(root_fd, "sys/fs/cgroup/memory") || exists(root_fd, "sys/fs/cgroup/cpu"))
                set_word(facts->cgroup, sizeof(facts->cgroup), "v1");
}

/* With psi=0 the files are there, and cannot be read. */
static void read_pressure(int root_fd, HostFacts *facts) {
        _cleanup_free_ char *text = NULL;

        set_word(facts->pressure, sizeof(facts->pressure),
                 sysfs_read(root_fd, "proc/pressure/memory", &text, NULL) >= 0 ? "on" : "off");
}

static void read_frequency(int root_fd, HostFacts *facts) {
        _cleanup_free_ uint64_t *policies = NULL;
        size_t n;

        if (sysfs_list_numbers(root_fd, CPUFREQ, "policy", "", &policies, &n) < 0)
                return;
        for (size_t i = 0; i < n; i++) {
                char path[96], governor[24] = "";

                (void)snprintf(path, sizeof(path), CPUFREQ "/policy%llu/scaling_governor",
                               (unsigned long long)policies[i]);
                read_word(root_fd, path, governor, sizeof(governor));
                if (i == 0)
                        set_word(facts->governor, sizeof(facts->governor), governor);
                else if (!streq(governor, facts->governor))
                        set_word(facts->governor, sizeof(facts->governor), "mixed");
                (void)snprintf(path, sizeof(path), CPUFREQ "/policy%llu/scaling_driver",
                               (unsigned long long)policies[i]);
                if (i == 0)
                        read_word(root_fd, path, facts->cpufreq_driver, sizeof(facts->cpufreq_driver));
        }
}

void host_facts_observe(int root_fd, HostFacts *ret) {
        HostFacts facts = { 0 };

        memcpy(facts.managers, ret->managers, sizeof(facts.managers));
        read_cpu_flags(root_fd, &facts);
        /* The folder, not the device: that is hidden from a service with PrivateDevices=. */
        if (exists(root_fd, "sys/class/misc"))
                set_word(facts.kvm, sizeof(facts.kvm), exists(root_fd, "sys/class/misc/kvm") ? "yes" : "no");
        read_kvm_access(root_fd, &facts);
        read_nested(root_fd, &facts);
        read_cgroup(root_fd, &facts);
        read_pressure(root_fd, &facts);
        read_frequency(root_fd, &facts);
        read_word(root_fd, "sys/devices/system/clocksource/clocksource0/current_clocksource", facts.clocksource,
                  sizeof(facts.clocksource));
        read_read_only(root_fd, &facts);
        *ret = facts;
}
