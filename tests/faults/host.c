/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host.h"

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../../lib/parse.h"
#include "../../lib/policy.h"
#include "../../lib/sysfs.h"

#define KSM "sys/kernel/mm/ksm/"
#define THP "sys/kernel/mm/transparent_hugepage/"
#define NODE "sys/devices/system/node/"
#define CPU "sys/devices/system/cpu/"
#define POOL_KIB 2048U
#define WAIT_TENTHS 300U

const char host_all_levers[] =
        "cpu: { policy = \"shared\"; };\n"
        "numa: { move_rate = \"1 TiB/s\"; };\n"
        "ksm: { mode = \"on\"; pages_to_scan = 222; sleep = \"10 ms\"; merge_across_nodes = \"no\"; };\n"
        "balloon: { mode = \"target\"; target = \"75 %\"; step = \"50 %\"; stats_period = \"5 s\"; };\n"
        "vcpus: { mode = \"fixed\"; count = 4; };\n"
        "memtune: { hard_limit = \"3 GiB\"; swap_hard_limit = \"4 GiB\"; soft_limit = \"2560 MiB\"; };\n"
        "hugepages: { mode = \"fixed\"; size = \"2 MiB\"; target = \"64 MiB\"; };\n"
        "thp: { enabled = \"always\"; defrag = \"never\"; pages_to_scan = 999; scan_sleep = \"1 s\";"
        " max_ptes_none = 100; };\n"
        "kernel: { numa_balancing = \"off\"; };\n";

/* ---- files ---- */

static void write_below(const TestHost *h, const char *path, const char *text) {
        char full[400];
        FILE *f;

        (void)snprintf(full, sizeof(full), "%s/%s", h->dir, path);
        for (char *p = full + strlen(h->dir) + 1; (p = strchr(p, '/')); p++) {
                *p = '\0';
                (void)mkdir(full, 0755);
                *p = '/';
        }
        f = fopen(full, "we");
        ck_assert_msg(f, "%s: %m", full);
        ck_assert_int_ge(fputs(text, f), 0);
        ck_assert_int_eq(fclose(f), 0);
}

void host_write(TestHost *h, const char *path, const char *text) {
        char full[400];

        (void)snprintf(full, sizeof(full), "root/%s", path);
        write_below(h, full, text);
}

void host_put(TestHost *h, const char *path, const char *format, ...) {
        char text[1024];
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        host_write(h, path, text);
}

static int remove_one(const char *path, const struct stat *st _unused_, int flag _unused_, struct FTW *ftw _unused_) {
        return remove(path);
}

static void remove_tree(const char *path) {
        (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void host_remove(TestHost *h, const char *path) {
        char full[400];

        (void)snprintf(full, sizeof(full), "%s/root/%s", h->dir, path);
        remove_tree(full);
}

static char *read_file(const char *path) {
        char *text = calloc(1, 1 << 20);
        FILE *f = fopen(path, "re");

        ck_assert_ptr_nonnull(text);
        if (f) {
                (void)!fread(text, 1, (1 << 20) - 1, f);
                (void)fclose(f);
        }
        return text;
}

char *host_read(TestHost *h, const char *path) {
        char full[400];

        (void)snprintf(full, sizeof(full), "%s/root/%s", h->dir, path);
        return read_file(full);
}

void host_policy(TestHost *h, const char *text) {
        char all[4096];

        (void)snprintf(all, sizeof(all), "%s%s", strstr(text, "daemon:") ? "" : "daemon: { interval = \"1 s\"; };\n",
                       text);
        write_below(h, "kvmtuned.conf", all);
}

char *host_log(TestHost *h) {
        char path[128];

        (void)snprintf(path, sizeof(path), "%s/log", h->dir);
        return read_file(path);
}

/* What fits into a message of check. */
const char *host_log_end(TestHost *h) {
        static char end[2000];
        _cleanup_free_ char *log = host_log(h);
        size_t n = strlen(log);

        (void)snprintf(end, sizeof(end), "%s", n < sizeof(end) ? log : log + n - sizeof(end) + 1);
        return end;
}

bool host_log_has(TestHost *h, const char *text) {
        _cleanup_free_ char *log = host_log(h);

        return strstr(log, text);
}

/* ---- the machine ---- */

static void build_cpu(TestHost *h, unsigned i) {
        char path[160];
        unsigned node = i / 4;

#define IN(name, ...)                                                           \
        do {                                                                    \
                (void)snprintf(path, sizeof(path), CPU "cpu%u/" name, i);       \
                host_put(h, path, __VA_ARGS__);                                 \
        } while (0)
        IN("topology/core_cpus", "%x\n", 1U << i);
        IN("topology/thread_siblings", "%x\n", 1U << i);
        IN("topology/core_id", "%u\n", i);
        IN("topology/physical_package_id", "%u\n", node);
        IN("topology/package_cpus", "%x\n", 0xfU << (4 * node));
        IN("topology/core_siblings", "%x\n", 0xfU << (4 * node));
        IN("cache/index3/level", "3\n");
        IN("cache/index3/type", "Unified\n");
        IN("cache/index3/size", "8192K\n");
        IN("cache/index3/shared_cpu_map", "%x\n", 0xfU << (4 * node));
#undef IN
}

static void build_node(TestHost *h, unsigned i) {
        char path[160];

#define IN(name, ...)                                                           \
        do {                                                                    \
                (void)snprintf(path, sizeof(path), NODE "node%u/" name, i);     \
                host_put(h, path, __VA_ARGS__);                                 \
        } while (0)
        IN("cpumap", "%x\n", 0xfU << (4 * i));
        IN("cpulist", i == 0 ? "0-3\n" : "4-7\n");
        IN("distance", i == 0 ? "10 21\n" : "21 10\n");
        IN("meminfo", "Node %u MemTotal: 8388608 kB\nNode %u MemFree: 4194304 kB\nNode %u FilePages: 100000 kB\n", i, i, i);
        IN("hugepages/hugepages-2048kB/nr_hugepages", "0\n");
        IN("hugepages/hugepages-2048kB/free_hugepages", "0\n");
        IN("hugepages/hugepages-2048kB/surplus_hugepages", "0\n");
        IN("compact", "\n");
#undef IN
}

static void build_proc(TestHost *h) {
        char stat[1024] = "cpu  8 0 8 800 0 0 0 0 0 0\n";

        for (unsigned i = 0; i < HOST_CPUS; i++) {
                size_t n = strlen(stat);

                (void)snprintf(stat + n, sizeof(stat) - n, "cpu%u 1 0 1 100 0 0 0 0 0 0\n", i);
        }
        host_put(h, "proc/stat", "%sbtime 1790000000\n", stat);
        host_put(h, "proc/meminfo", "MemTotal: 16777216 kB\nMemFree: 8388608 kB\nMemAvailable: 8388608 kB\n"
                               "Buffers: 1 kB\nCached: 1 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n");
        host_put(h, "proc/cpuinfo", "processor\t: 0\nmodel name\t: Example\n");
        host_put(h, "proc/sys/kernel/numa_balancing", "1\n");
        host_put(h, "proc/sys/kernel/random/boot_id", HOST_BOOT_ID "\n");
}

static void build_memory(TestHost *h) {
        static const struct { const char *path, *text; } files[] = {
                { KSM "run", "0\n" }, { KSM "pages_to_scan", "100\n" }, { KSM "sleep_millisecs", "20\n" },
                { KSM "merge_across_nodes", "1\n" }, { KSM "pages_shared", "0\n" }, { KSM "pages_sharing", "0\n" },
                { KSM "pages_unshared", "0\n" }, { KSM "pages_volatile", "0\n" }, { KSM "full_scans", "0\n" },
                { KSM "general_profit", "0\n" }, { KSM "advisor_mode", "[none] scan-time\n" },
                { KSM "advisor_max_cpu", "70\n" }, { KSM "advisor_target_scan_time", "200\n" },
                { THP "enabled", "always [madvise] never\n" },
                { THP "defrag", "always defer defer+madvise [madvise] never\n" },
                { THP "khugepaged/pages_to_scan", "4096\n" }, { THP "khugepaged/scan_sleep_millisecs", "10000\n" },
                { THP "khugepaged/max_ptes_none", "511\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(files); i++)
                host_write(h, files[i].path, files[i].text);
}

static void build(TestHost *h) {
        static const char *const online[] = { CPU "online", CPU "possible", CPU "present" };
        static const char *const nodes[] = { NODE "online", NODE "possible", NODE "has_memory", NODE "has_normal_memory" };

        for (size_t i = 0; i < ELEMENTSOF(online); i++)
                host_put(h, online[i], "0-7\n");
        for (size_t i = 0; i < ELEMENTSOF(nodes); i++)
                host_put(h, nodes[i], "0-1\n");
        for (unsigned i = 0; i < HOST_CPUS; i++)
                build_cpu(h, i);
        build_node(h, 0);
        build_node(h, 1);
        build_proc(h);
        build_memory(h);
}

/* ---- the world ---- */

void host_init(TestHost *h) {
        char path[128];
        int fd;

        *h = (TestHost){ .dir = "/dev/shm/kvmtuned-faults-XXXXXX", .events_fd = -1 };
        if (!mkdtemp(h->dir)) {
                (void)snprintf(h->dir, sizeof(h->dir), "/tmp/kvmtuned-faults-XXXXXX");
                ck_assert_ptr_nonnull(mkdtemp(h->dir));
        }
        (void)snprintf(path, sizeof(path), "%s/world", h->dir);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(ftruncate(fd, sizeof(World)), 0);
        h->world = mmap(NULL, sizeof(World), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        ck_assert_ptr_ne(h->world, MAP_FAILED);
        (void)close(fd);
        /* So that nobody waits for a deadline of the daemon. */
        h->world->speed = HOST_SPEED;
        (void)snprintf(path, sizeof(path), "%s/events", h->dir);
        ck_assert_int_eq(mkfifo(path, 0600), 0);
        h->events_fd = open(path, O_RDWR | O_CLOEXEC);
        ck_assert_int_ge(h->events_fd, 0);
        (void)snprintf(path, sizeof(path), "%s/state", h->dir);
        ck_assert_int_eq(mkdir(path, 0755), 0);
        build(h);
        (void)host_guest_add(h, "db", 2);
        host_guest_add(h, "web", 1)->stats_period = 5;
        host_policy(h, host_all_levers);
}

void host_done(TestHost *h) {
        if (h->daemon > 0)
                (void)host_stop(h, SIGKILL);
        (void)munmap(h->world, sizeof(World));
        (void)close(h->events_fd);
        if (!getenv("KVMTUNED_KEEP"))
                remove_tree(h->dir);
}

WorldRule *host_fail(TestHost *h, const char *pattern, int error, unsigned skip, unsigned times) {
        for (unsigned i = 0; i < WORLD_RULES_MAX; i++) {
                WorldRule *rule = &h->world->rules[i];

                if (rule->pattern[0])
                        continue;
                *rule = (WorldRule){ .error = error, .skip = skip, .times = times };
                (void)snprintf(rule->pattern, sizeof(rule->pattern), "%s", pattern);
                return rule;
        }
        ck_abort_msg("too many rules");
        return NULL;
}

void host_calm(TestHost *h) {
        World *w = h->world;

        memset(w->rules, 0, sizeof(w->rules));
        w->kill_at = w->alloc_fail_times = w->n_effects = w->n_allocs = w->n_points = 0;
        w->places_gap = w->places_only = w->n_places = w->place_at = w->allocs_before_libvirt = 0;
        w->places_main = w->places_noted = false;
        w->down = w->accepts_only = false;
        w->call_delay_usec = 0;
}

void host_event(TestHost *h, WorldEventType type, const char *uuid, int what, int detail) {
        WorldEvent e = { .type = type, .what = what, .detail = detail };

        (void)snprintf(e.uuid, sizeof(e.uuid), "%s", uuid);
        ck_assert_int_eq(write(h->events_fd, &e, sizeof(e)), (ssize_t)sizeof(e));
}

/* ---- the daemon ---- */

static void become_daemon(TestHost *h, const char *mode) {
        const char *program = getenv("KVMTUNED"), *build = getenv("BUILD"), *asan = getenv("FAULTS_ASAN");
        char config[128], state[128], log[128], root[128], library[600], path[512];
        sigset_t none;
        int fd;

        (void)snprintf(config, sizeof(config), "%s/kvmtuned.conf", h->dir);
        (void)snprintf(state, sizeof(state), "%s/state/state", h->dir);
        (void)snprintf(log, sizeof(log), "%s/log", h->dir);
        (void)snprintf(root, sizeof(root), "%s/root", h->dir);
        fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        (void)dup2(fd, STDOUT_FILENO);
        (void)dup2(fd, STDERR_FILENO);
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        /* A daemon with AddressSanitizer wants that to be the first library. */
        (void)snprintf(library, sizeof(library), "%s%s%s/tests/faults/preload.so", asan ? asan : "", asan ? " " : "",
                       build ? build : "build");
        /* A library that is missing is passed over: the daemon would tune the real host. */
        (void)snprintf(path, sizeof(path), "%s/tests/faults/preload.so", build ? build : "build");
        if (access(path, R_OK) < 0)
                _exit(127);
        (void)setenv("LD_PRELOAD", library, 1);
        (void)setenv(WORLD_ENV, h->dir, 1);
        (void)setenv("HWLOC_FSROOT", root, 1);
        (void)setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent", 1);
        (void)unsetenv("JOURNAL_STREAM");
        if (h->notify) {
                (void)setenv("NOTIFY_SOCKET", h->notify, 1);
                (void)setenv("WATCHDOG_USEC", HOST_WATCHDOG_USEC, 1);
        } else
                (void)unsetenv("NOTIFY_SOCKET");
        (void)execl(program ? program : "build/kvmtuned", "kvmtuned", "--config", config, "--state", state, "--uri",
                    "qemu:///system", getenv("KVMTUNED_VERBOSE") ? "--verbose" : mode, mode, (char *)NULL);
        _exit(127);
}

void host_start(TestHost *h, const char *mode) {
        ck_assert_int_eq(h->daemon, 0);
        h->daemon = fork();
        ck_assert_int_ge(h->daemon, 0);
        if (h->daemon == 0)
                become_daemon(h, mode);
}

static int status_of(int status) {
        return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

int host_wait(TestHost *h) {
        int status = 0;

        for (unsigned i = 0; i < 100 * WAIT_TENTHS; i++) {
                pid_t pid = waitpid(h->daemon, &status, WNOHANG);

                if (pid == h->daemon) {
                        h->daemon = 0;
                        return status_of(status);
                }
                (void)usleep(1000);
        }
        (void)kill(h->daemon, SIGKILL);
        (void)waitpid(h->daemon, &status, 0);
        h->daemon = 0;
        ck_abort_msg("the daemon does not end:\n%s", host_log_end(h));
        return -1;
}

int host_run(TestHost *h, const char *mode) {
        host_start(h, mode);
        return host_wait(h);
}

int host_stop(TestHost *h, int signal_number) {
        (void)kill(h->daemon, signal_number);
        return host_wait(h);
}

bool host_alive(TestHost *h) {
        siginfo_t info = { .si_pid = 0 };

        return h->daemon > 0 && waitid(P_PID, (id_t)h->daemon, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
               info.si_pid == 0;
}

State *host_state(TestHost *h) {
        _cleanup_free_ char *error = NULL;
        State *s = NULL;
        char path[128];
        int r;

        (void)snprintf(path, sizeof(path), "%s/state/state", h->dir);
        r = state_load(path, &s, &error);
        if (r == -ENOENT)
                return NULL;
        ck_assert_msg(r >= 0, "the state file is damaged: %s", error);
        return s;
}
