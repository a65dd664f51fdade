/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lab-init - the only program of a lab guest (L2): PID 1 of its initramfs.
 *
 * It loads the virtio/balloon modules, drives CPU and memory as the kernel
 * command line asks and prints one counter line every few seconds on the
 * console, which the lab's domain XML sends to a file.
 *
 * Command line words (all optional, MB = MiB):
 *   load=N               N busy threads; thread i is pinned to vCPU i % nproc
 *   duty=PCT             the busy threads work PCT % of each 200 ms (100)
 *   from=SEC             the busy threads start after SEC seconds (0)
 *   until=SEC            ... and stop for good after SEC seconds (never)
 *   wait=1               ... or start when somebody changes the balloon (virsh setmem)
 *   fill=MB              MB of identical pages (the same in every guest)
 *   rand=MB              MB of pages unlike any other (seed=N or clock)
 *   touch=MB[@SEC]       a working set written all over every SEC seconds
 *                        (1; 0 = without a pause), split over the vCPUs
 *   grow=MB/STEP/SEC[/HOLD]  take STEP MB of unique pages every SEC seconds
 *                        until MB are held; with HOLD, give all of it back
 *                        HOLD seconds later
 *   every=SEC            period of the counter line (5)
 *   seed=N               seed for rand= and grow=
 *
 * Output:
 *   GUEST-UP vcpus=2 total_kb=157852
 *   GUEST-READY t=3.1                     fill, rand and touch are populated
 *   LAB t=12.3 it=510,498 touch=9216 fill=64 rand=0 grow=0 avail_kb=.. free_kb=..
 * it = iterations done so far on each vCPU (0 where no busy thread runs);
 * touch = pages written so far by the touching threads.
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
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024UL * 1024)
#define PAGE 4096UL
#define MAXCPU 64

static long opt_load, opt_duty = 100, opt_from, opt_until, opt_fill, opt_rand;
static long opt_touch, opt_grow, opt_gstep = 16, opt_gsec = 5, opt_ghold = -1;
static long opt_every = 5, opt_seed;
static double opt_tsec = 1;
static long opt_wait, total_kb;
static int ncpu;
static volatile uint64_t iters[MAXCPU], touched[MAXCPU];
static volatile long grown;
static unsigned char *touch_mem;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void nap(double sec)
{
	struct timespec ts = { (time_t)sec, (long)((sec - (time_t)sec) * 1e9) };

	nanosleep(&ts, NULL);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *take(long mb)
{
	void *p = mmap(NULL, mb * MIB, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		printf("LAB-ERROR cannot map %ld MiB: %s\n", mb, strerror(errno));
		return NULL;
	}
	return p;
}

/* Fill with bytes that occur nowhere else (xorshift64). */
static void unique(void *mem, size_t len)
{
	static uint64_t x;
	uint64_t *p = mem, *end = p + len / sizeof(*p);

	if (!x)
		x = 88172645463325252ULL ^ ((uint64_t)opt_seed << 32)
		    ^ (opt_seed ? 0 : (uint64_t)time(NULL) * 2654435761u)
		    ^ (opt_seed ? 0 : (uint64_t)(now() * 1e9));
	while (p < end) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		*p++ = x;
	}
}

static long meminfo(const char *key)
{
	char line[128];
	long v = -1;
	size_t n = strlen(key);
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, n) && line[n] == ':')
			v = atol(line + n + 1);
	if (f)
		fclose(f);
	return v;
}

static void *busy(void *arg)
{
	int cpu = (long)arg % ncpu;
	uint64_t x = 1 + (long)arg;
	double slice;

	pin(cpu);
	while (now() < opt_from || (opt_wait && meminfo("MemTotal") == total_kb))
		nap(0.2);
	for (;;) {
		slice = now();
		if (opt_until && slice >= opt_until)
			return NULL;
		/* Work for duty % of 200 ms, then rest for what remains. */
		do {
			for (int i = 0; i < 10000; i++)
				x = x * 6364136223846793005ULL + 1442695040888963407ULL;
			__atomic_add_fetch(&iters[cpu], 1 + (x == 0), __ATOMIC_RELAXED);
		} while (now() - slice < 0.002 * opt_duty);
		if (opt_duty < 100)
			nap(0.002 * (100 - opt_duty));
	}
}

static void *toucher(void *arg)
{
	int cpu = (long)arg;
	size_t len = opt_touch * MIB / ncpu & ~(PAGE - 1);
	volatile unsigned char *p = touch_mem + len * cpu;

	pin(cpu);
	for (;;) {
		for (size_t o = 0; o < len; o += PAGE) {
			p[o]++;
			touched[cpu]++;
		}
		if (opt_tsec > 0)
			nap(opt_tsec);
		else
			sched_yield();
	}
	return NULL;
}

static void *grower(void *arg)
{
	unsigned char *p = take(opt_grow);

	(void)arg;
	if (!p)
		return NULL;
	while (grown < opt_grow) {
		long step = opt_gstep < opt_grow - grown ? opt_gstep : opt_grow - grown;

		unique(p + grown * MIB, step * MIB);
		grown += step;
		nap(opt_gsec);
	}
	printf("GUEST-GROWN t=%.1f mb=%ld\n", now(), grown);
	if (opt_ghold >= 0) {
		nap(opt_ghold);
		munmap(p, opt_grow * MIB);
		grown = 0;
		printf("GUEST-SHRUNK t=%.1f\n", now());
	}
	return NULL;
}

static void spawn(void *(*fn)(void *), long arg)
{
	pthread_t t;
	pthread_attr_t a;

	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 128 * 1024);
	if (pthread_create(&t, &a, fn, (void *)arg))
		printf("LAB-ERROR cannot start a thread\n");
}

static void insmod(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/mod/%s.ko", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;	/* built in, or not a part of this kernel */
	if (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST)
		printf("LAB-ERROR insmod %s: %s\n", name, strerror(errno));
	close(fd);
}

static void parse(char *cmdline)
{
	for (char *w = strtok(cmdline, " \n"); w; w = strtok(NULL, " \n")) {
		char *v = strchr(w, '=');

		if (!v)
			continue;
		*v++ = 0;
		if (!strcmp(w, "load")) opt_load = atol(v);
		else if (!strcmp(w, "duty")) opt_duty = atol(v);
		else if (!strcmp(w, "from")) opt_from = atol(v);
		else if (!strcmp(w, "until")) opt_until = atol(v);
		else if (!strcmp(w, "wait")) opt_wait = atol(v);
		else if (!strcmp(w, "fill")) opt_fill = atol(v);
		else if (!strcmp(w, "rand")) opt_rand = atol(v);
		else if (!strcmp(w, "every")) opt_every = atol(v);
		else if (!strcmp(w, "seed")) opt_seed = atol(v);
		else if (!strcmp(w, "touch")) sscanf(v, "%ld@%lf", &opt_touch, &opt_tsec);
		else if (!strcmp(w, "grow"))
			sscanf(v, "%ld/%ld/%ld/%ld", &opt_grow, &opt_gstep, &opt_gsec, &opt_ghold);
	}
	if (opt_duty < 1 || opt_duty > 100) opt_duty = 100;
	if (opt_every < 1) opt_every = 5;
	if (opt_gstep < 1) opt_gstep = 1;
}

int main(void)
{
	static const char *const mods[] = {
		"virtio_ring", "virtio", "virtio_pci_modern_dev",
		"virtio_pci_legacy_dev", "virtio_pci", "virtio_balloon",
	};
	char cmdline[2048] = "";
	int fd;

	mkdir("/proc", 0555);
	mkdir("/dev", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	/* PID 1 of an initramfs has no open files unless /dev/console existed. */
	fd = open("/dev/console", O_RDWR);
	if (fd >= 0) {
		dup2(fd, 0);
		dup2(fd, 1);
		dup2(fd, 2);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	fd = open("/proc/cmdline", O_RDONLY);
	if (fd >= 0 && read(fd, cmdline, sizeof(cmdline) - 1) < 0)
		cmdline[0] = 0;
	close(fd);
	ncpu = sysconf(_SC_NPROCESSORS_ONLN);
	if (ncpu < 1) ncpu = 1;
	if (ncpu > MAXCPU) ncpu = MAXCPU;
	for (size_t i = 0; i < sizeof(mods) / sizeof(mods[0]); i++)
		insmod(mods[i]);
	parse(cmdline);
	total_kb = meminfo("MemTotal");
	printf("GUEST-UP vcpus=%d total_kb=%ld t=%.1f\n", ncpu, total_kb, now());

	/* The memory first, so that GUEST-READY means "all of it is there". */
	if (opt_fill > 0) {
		unsigned char *p = take(opt_fill);

		if (p)
			memset(p, 0x5a, opt_fill * MIB);
	}
	if (opt_rand > 0) {
		unsigned char *p = take(opt_rand);

		if (p)
			unique(p, opt_rand * MIB);
	}
	if (opt_touch > 0) {
		touch_mem = take(opt_touch);
		if (touch_mem) {
			unique(touch_mem, opt_touch * MIB);
			for (int i = 0; i < ncpu; i++)
				spawn(toucher, i);
		}
	}
	printf("GUEST-READY t=%.1f\n", now());
	if (opt_grow > 0)
		spawn(grower, 0);
	for (long i = 0; i < opt_load; i++)
		spawn(busy, i);

	for (;;) {
		uint64_t pages = 0;
		char its[MAXCPU * 21] = "";
		int n = 0;

		nap(opt_every);
		for (int i = 0; i < ncpu; i++) {
			n += snprintf(its + n, sizeof(its) - n, "%s%llu", i ? "," : "",
				      (unsigned long long)iters[i]);
			pages += touched[i];
		}
		printf("LAB t=%.1f it=%s touch=%llu fill=%ld rand=%ld grow=%ld avail_kb=%ld free_kb=%ld total_kb=%ld\n",
		       now(), its, (unsigned long long)pages, opt_fill, opt_rand, grown,
		       meminfo("MemAvailable"), meminfo("MemFree"), meminfo("MemTotal"));
	}
}
