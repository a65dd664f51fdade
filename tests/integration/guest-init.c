/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guest-init: the only program of a test guest, PID 1 of its initramfs.
 *
 * It loads the virtio balloon driver, uses CPU and memory as the kernel command
 * line asks, takes orders on the second serial port, and prints one line of
 * counters every few seconds on the console.
 *
 * Command line words (all optional, MB = MiB):
 *   load=N               N busy threads; thread i is pinned to vCPU i % nproc
 *   fill=MB              MB of pages that are the same in every guest, and each of
 *                        them only once in each
 *   grow=MB/STEP/SEC[/HOLD]  take STEP MB of unique pages every SEC seconds
 *                        until MB are held; with HOLD, give all of it back
 *                        HOLD seconds later
 *   every=SEC            period of the counter line (5)
 * Orders, one a line on ttyS1:
 *   hold MB              hold MB of unique pages from now on, in steps of 4 MB
 *   busy N               N busy threads from now on, free to run on every CPU
 *   take MB RATE         a process of its own takes MB, RATE of them a second (0: as
 *                        fast as it goes), and waits for nobody: what it does not
 *                        get, the kernel swaps out or kills for
 *
 * A disk /dev/vda with a swap area on it is swapped to.
 *
 * CPUs that are plugged in are brought online, as a distribution's udev rule does.
 *
 * Holding memory waits whenever the guest has less than MARGIN left: without
 * swap and with this as the only process the kernel would panic. So a guest
 * that wants memory keeps its usable memory at MARGIN until it gets more.
 *
 * Output:
 *   GUEST-UP vcpus=2 total_kb=157852
 *   GUEST-READY t=3.1                     fill is populated
 *   GUEST-HOLDS t=20.5 mb=100             an order or grow= was carried out
 *   GUEST-SWAP kb=65532                   there is swap
 *   GUEST-TAKEN t=20.5 mb=100             that process has all it wanted
 *   GUEST-KILLED t=20.5 signal=9          or it was killed
 *   GUEST-CPUS t=31.0 online=0-1          at the start, and when CPUs came or went
 *   GUEST t=12.3 fill=64 hold=0 avail_kb=.. free_kb=.. total_kb=.. swap_in=.. swap_out=.. oom=..
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024L * 1024)
#define MARGIN_KB (10L * 1024)
#define HOLD_MAX_MB 4096L
#define SPINNERS_MAX 16L
#define CPUS_MAX 16

typedef struct Options {
        long load, fill, every;
        long grow, grow_step, grow_sec, grow_hold;
} Options;

typedef struct Guest {
        Options options;
        long cpus;
        volatile long busy;             /* threads that are asked for */
        unsigned char *memory;          /* HOLD_MAX_MB of address space */
        volatile long target, step, pause, held;        /* MB, MB, seconds, MB */
        long take_mb, take_rate;
} Guest;

static double now(void) {
        struct timespec ts;

        (void)clock_gettime(CLOCK_BOOTTIME, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void nap(double sec) {
        struct timespec ts = { (time_t)sec, (long)((sec - (double)(time_t)sec) * 1e9) };

        (void)nanosleep(&ts, NULL);
}

/* The number behind "key:" or "key " in a file of /proc; -1. */
static long number_in(const char *path, const char *key) {
        char line[128];
        size_t n = strlen(key);
        long v = -1;
        FILE *f = fopen(path, "re");

        while (f && fgets(line, sizeof(line), f))
                if (strncmp(line, key, n) == 0 && (line[n] == ':' || line[n] == ' '))
                        v = atol(line + n + 1);
        if (f)
                (void)fclose(f);
        return v;
}

static long meminfo(const char *key) {
        return number_in("/proc/meminfo", key);
}

static long vmstat(const char *key) {
        return number_in("/proc/vmstat", key);
}

static void *map(long mb) {
        void *p = mmap(NULL, (size_t)(mb * MIB), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (p == MAP_FAILED) {
                printf("GUEST-ERROR cannot map %ld MiB: %s\n", mb, strerror(errno));
                return NULL;
        }
        return p;
}

/* Bytes that occur nowhere else, not even in another guest (xorshift64). */
static void fill_unique(void *memory, long bytes) {
        static uint64_t x;
        uint64_t *p = memory, *end = p + (size_t)bytes / sizeof(*p);

        if (x == 0)
                x = 88172645463325252ULL ^ (uint64_t)time(NULL) * 2654435761U ^ (uint64_t)(now() * 1e9);
        while (p < end) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                *p++ = x;
        }
}

static void fill_equal(void *memory, long mb) {
        uint64_t *p = memory;

        for (size_t i = 0; i < (size_t)(mb * MIB) / sizeof(*p); i++)
                p[i] = i / (4096 / sizeof(*p)) + 1;
}

/* Takes or gives back what is needed to hold the target; the only thread that touches the memory. */
static void *hold_thread(void *arg) {
        Guest *g = arg;
        long announced = 0;

        for (;;) {
                long target = g->target, mb = target - g->held < g->step ? target - g->held : g->step;

                if (mb < 0) {
                        (void)madvise(g->memory + target * MIB, (size_t)((g->held - target) * MIB), MADV_DONTNEED);
                        g->held = target;
                } else if (mb > 0 && meminfo("MemAvailable") >= MARGIN_KB + mb * 1024) {
                        fill_unique(g->memory + g->held * MIB, mb * MIB);
                        g->held += mb;
                }
                if (g->held == target && announced != target) {
                        announced = target;
                        printf("GUEST-HOLDS t=%.1f mb=%ld\n", now(), target);
                }
                nap(mb > 0 && g->pause > 0 ? (double)g->pause : 0.1);
        }
        return NULL;
}

static void order(Guest *g, long target, long step, long pause) {
        if (target < 0 || target > HOLD_MAX_MB || !g->memory)
                return;
        g->step = step;
        g->pause = pause;
        g->target = target;
}

static void *grow_thread(void *arg) {
        Guest *g = arg;
        const Options *o = &g->options;

        order(g, o->grow, o->grow_step, o->grow_sec);
        while (g->held != o->grow)
                nap(0.2);
        if (o->grow_hold >= 0) {
                nap((double)o->grow_hold);
                order(g, 0, o->grow_step, 0);
        }
        return NULL;
}

/* Of the child; the parent has threads, so nothing here may allocate or lock. */
static void take(unsigned char *memory, long mb, long rate) {
        for (long i = 0; i < mb; i++) {
                fill_unique(memory + i * MIB, MIB);
                if (rate > 0)
                        nap(1.0 / (double)rate);
        }
        (void)dprintf(STDOUT_FILENO, "GUEST-TAKEN t=%.1f mb=%ld\n", now(), mb);
        for (;;)
                nap(3600);
}

static void *take_thread(void *arg) {
        const Guest *g = arg;
        long mb = g->take_mb, rate = g->take_rate;
        unsigned char *memory = map(mb);
        pid_t pid = memory ? fork() : -1;
        int status;

        if (pid == 0)
                take(memory, mb, rate);
        if (pid > 0 && waitpid(pid, &status, 0) == pid)
                printf("GUEST-KILLED t=%.1f signal=%d\n", now(), WTERMSIG(status));
        return NULL;
}

static void spawn(void *(*function)(void *), void *arg);
static void busy_order(Guest *g, long n);

static void take_order(Guest *g, long mb, long rate) {
        if (mb <= 0 || mb > HOLD_MAX_MB || rate < 0)
                return;
        g->take_mb = mb;
        g->take_rate = rate;
        spawn(take_thread, g);
}

static void *order_thread(void *arg) {
        Guest *g = arg;
        struct termios t;
        char line[64];
        long mb, n;
        FILE *f = fopen("/dev/ttyS1", "re");

        if (!f)
                return NULL;
        if (tcgetattr(fileno(f), &t) == 0) {
                t.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
                (void)tcsetattr(fileno(f), TCSANOW, &t);
        }
        while (fgets(line, sizeof(line), f)) {
                if (sscanf(line, "hold %ld", &mb) == 1)
                        order(g, mb, 4, 0);
                if (sscanf(line, "busy %ld", &n) == 1)
                        busy_order(g, n);
                if (sscanf(line, "take %ld %ld", &mb, &n) == 2)
                        take_order(g, mb, n);
        }
        (void)fclose(f);
        return NULL;
}

static void *busy_thread(void *arg) {
        volatile uint64_t x = 1;
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET((size_t)(uintptr_t)arg, &set);
        (void)sched_setaffinity(0, sizeof(set), &set);
        for (;;)
                x = x * 6364136223846793005ULL + 1442695040888963407ULL;
        return NULL;
}

static void spawn(void *(*function)(void *), void *arg) {
        pthread_t thread;

        if (pthread_create(&thread, NULL, function, arg) != 0)
                printf("GUEST-ERROR cannot start a thread\n");
}

typedef struct Spinner {
        Guest *guest;
        long index;
} Spinner;

static void *spinner_thread(void *arg) {
        const Spinner *s = arg;
        volatile uint64_t x = 1;

        for (;;) {
                if (s->index >= s->guest->busy) {
                        nap(0.2);
                        continue;
                }
                for (long i = 0; i < 100000; i++)
                        x = x * 6364136223846793005ULL + 1442695040888963407ULL;
        }
        return NULL;
}

static void busy_order(Guest *g, long n) {
        static Spinner spinners[SPINNERS_MAX];
        static long started;

        if (n < 0 || n > SPINNERS_MAX)
                return;
        g->busy = n;
        for (; started < n; started++) {
                spinners[started] = (Spinner){ g, started };
                spawn(spinner_thread, &spinners[started]);
        }
}

static void online_text(char text[static 64]) {
        FILE *f = fopen("/sys/devices/system/cpu/online", "re");

        text[0] = 0;
        if (f && fgets(text, 64, f))
                text[strcspn(text, "\n")] = 0;
        if (f)
                (void)fclose(f);
}

/* A CPU that was plugged in is there, but not used before somebody writes 1. */
static void bring_online(void) {
        char path[64], value = '1';

        for (int i = 1; i < CPUS_MAX; i++) {
                int fd;

                (void)snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", i);
                fd = open(path, O_RDWR | O_CLOEXEC);
                if (fd < 0)
                        continue;
                if (read(fd, &value, 1) == 1 && value == '0' && pwrite(fd, "1", 1, 0) != 1)
                        printf("GUEST-ERROR CPU %d does not come online: %s\n", i, strerror(errno));
                (void)close(fd);
        }
}

static void *cpus_thread(void *arg) {
        char before[64] = "", online[64];

        (void)arg;
        for (;;) {
                bring_online();
                online_text(online);
                if (strcmp(online, before) != 0)
                        printf("GUEST-CPUS t=%.1f online=%s\n", now(), online);
                memcpy(before, online, sizeof(before));
                nap(0.5);
        }
        return NULL;
}

static void insmod(const char *name) {
        char path[128];
        int fd;

        (void)snprintf(path, sizeof(path), "/mod/%s.ko", name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return; /* built in, or left out of this guest */
        if (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST)
                printf("GUEST-ERROR insmod %s: %s\n", name, strerror(errno));
        (void)close(fd);
}

static void load_drivers(int balloon) {
        static const char *const modules[] = {
                "virtio_ring", "virtio", "virtio_pci_modern_dev",
                "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk",
        };

        for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++)
                insmod(modules[i]);
        if (balloon)
                insmod("virtio_balloon");
}

static void use_swap(void) {
        if (swapon("/dev/vda", 0) == 0)
                printf("GUEST-SWAP kb=%ld\n", meminfo("SwapTotal"));
        else if (errno != ENOENT)
                printf("GUEST-ERROR cannot swap to /dev/vda: %s\n", strerror(errno));
}

/* Returns whether the balloon driver is wanted. */
static int parse_command_line(char *text, Options *o) {
        int balloon = 1;

        *o = (Options){ .every = 5, .grow_step = 16, .grow_sec = 1, .grow_hold = -1 };
        for (char *w = strtok(text, " \n"); w; w = strtok(NULL, " \n")) {
                if (strcmp(w, "noballoon") == 0)
                        balloon = 0;
                (void)sscanf(w, "load=%ld", &o->load);
                (void)sscanf(w, "fill=%ld", &o->fill);
                (void)sscanf(w, "every=%ld", &o->every);
                (void)sscanf(w, "grow=%ld/%ld/%ld/%ld", &o->grow, &o->grow_step, &o->grow_sec, &o->grow_hold);
        }
        if (o->every < 1)
                o->every = 5;
        if (o->grow_step < 1)
                o->grow_step = 1;
        return balloon;
}

static void set_up_files(void) {
        int fd;

        (void)mkdir("/proc", 0555);
        (void)mkdir("/dev", 0755);
        (void)mkdir("/sys", 0555);
        (void)mount("proc", "/proc", "proc", 0, NULL);
        (void)mount("sysfs", "/sys", "sysfs", 0, NULL);
        (void)mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
        /* PID 1 of an initramfs has no open files unless /dev/console existed. */
        fd = open("/dev/console", O_RDWR);
        for (int i = 0; fd >= 0 && i < 3; i++)
                (void)dup2(fd, i);
        (void)setvbuf(stdout, NULL, _IOLBF, 0);
}

int main(void) {
        static Guest g;
        char text[2048] = "";
        int fd;

        set_up_files();
        fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && read(fd, text, sizeof(text) - 1) < 0)
                text[0] = 0;
        if (fd >= 0)
                (void)close(fd);
        g.cpus = sysconf(_SC_NPROCESSORS_ONLN);
        if (g.cpus < 1)
                g.cpus = 1;
        load_drivers(parse_command_line(text, &g.options));
        printf("GUEST-UP vcpus=%ld total_kb=%ld t=%.1f\n", g.cpus, meminfo("MemTotal"), now());
        use_swap();

        if (g.options.fill > 0) {
                void *p = map(g.options.fill);

                if (p)
                        fill_equal(p, g.options.fill);
        }
        g.memory = map(HOLD_MAX_MB);
        printf("GUEST-READY t=%.1f\n", now());
        if (g.memory)
                spawn(hold_thread, &g);
        spawn(order_thread, &g);
        spawn(cpus_thread, NULL);
        if (g.options.grow > 0)
                spawn(grow_thread, &g);
        for (long i = 0; i < g.options.load; i++)
                spawn(busy_thread, (void *)(uintptr_t)(i % g.cpus));

        for (;;) {
                nap((double)g.options.every);
                printf("GUEST t=%.1f fill=%ld hold=%ld avail_kb=%ld free_kb=%ld total_kb=%ld", now(), g.options.fill,
                       g.held, meminfo("MemAvailable"), meminfo("MemFree"), meminfo("MemTotal"));
                printf(" swap_in=%ld swap_out=%ld oom=%ld\n", vmstat("pswpin"), vmstat("pswpout"), vmstat("oom_kill"));
        }
}
