/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lab-probe - measure libvirt's QEMU guests, cheaply; one JSON object a line.
 *
 *   lab-probe [-i SEC] [-n COUNT] [-s MS] [-p COMM]... [-u CGROUP]...
 *
 *   -i SEC     length of an interval (5); numa_maps is read at its end
 *   -n COUNT   number of intervals (1; 0 = for ever)
 *   -s MS      how often to look where a vCPU runs (250)
 *   -p COMM    add the CPU seconds of all processes with this comm (with their
 *              waited-for children); ksmd is always there
 *   -u CGROUP  add the CPU seconds of a cgroup, e.g. system.slice/numad.service
 *
 * Guests are the /run/libvirt/qemu/NAME.pid whose process lives. Their memory
 * is what numa_maps says of anonymous, hugetlb and shared-memory mappings
 * (program and library files left out), in MiB per node.
 *
 * Three "remote" fractions per guest (0 = all local, -1 = cannot be said):
 *   remote          by access: for each node, the share of the vCPUs' CPU time
 *                   spent on it times the share of the memory that is
 *                   elsewhere. A guest whose vCPUs and memory are spread evenly
 *                   over 4 nodes has 0.75; on one node with its memory, 0.
 *   remote_ran      memory outside of the nodes on which the vCPUs spent at
 *                   least 10 % of their CPU time in this interval.
 *   remote_allowed  memory outside of the nodes of the CPUs that the vCPU
 *                   threads may run on (0 for an unpinned guest).
 * The "all" figures are the guests' means, weighted by their memory.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAXNODE 16
#define MAXCPU 256
#define MAXVCPU 32
#define MAXGUEST 64
#define MAXWATCH 16

struct vcpu {
	int tid, id, cpu;
	unsigned long long ns;		/* CPU time at the last look */
	double node_ms[MAXNODE];	/* CPU time in this interval by node */
	cpu_set_t allowed;
};

struct guest {
	char name[64];
	int pid, nvcpu, seen;
	struct vcpu vcpu[MAXVCPU];
	double mib[MAXNODE];
};

static struct guest guests[MAXGUEST];
static int nguest, nnode, ncpu, cpu_node[MAXCPU];
static const char *watch[MAXWATCH], *cgroups[MAXWATCH];
static int nwatch, ncgroup;
static unsigned long long cpu_busy0[MAXCPU], cpu_all0[MAXCPU];

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static int slurp(const char *path, char *buf, size_t len)
{
	FILE *f = fopen(path, "re");
	size_t n;

	buf[0] = 0;
	if (!f)
		return -1;
	n = fread(buf, 1, len - 1, f);
	buf[n] = 0;
	fclose(f);
	return (int)n;
}

static void topology(void)
{
	char path[128];

	ncpu = sysconf(_SC_NPROCESSORS_CONF);
	if (ncpu > MAXCPU)
		ncpu = MAXCPU;
	for (int n = 0; n < MAXNODE; n++) {
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", n);
		if (access(path, F_OK))
			continue;
		nnode = n + 1;
		for (int c = 0; c < ncpu; c++) {
			snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpu%d", n, c);
			if (!access(path, F_OK))
				cpu_node[c] = n;
		}
	}
	if (!nnode)
		nnode = 1;
}

static int thread_cpu(int pid, int tid)
{
	char path[96], buf[1024], *p;
	int field = 2;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	if (slurp(path, buf, sizeof(buf)) <= 0 || !(p = strrchr(buf, ')')))
		return -1;
	while (*p && field < 39)
		if (*p++ == ' ')
			field++;
	return atoi(p);
}

static unsigned long long thread_ns(int pid, int tid)
{
	char path[96], buf[128];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", pid, tid);
	if (slurp(path, buf, sizeof(buf)) <= 0)
		return 0;
	return strtoull(buf, NULL, 10);
}

static void find_vcpus(struct guest *g)
{
	char path[384], comm[64];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", g->pid);
	d = opendir(path);
	while (d && (e = readdir(d)) && g->nvcpu < MAXVCPU) {
		int id;

		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", g->pid, e->d_name);
		if (slurp(path, comm, sizeof(comm)) > 0 && sscanf(comm, "CPU %d/", &id) == 1) {
			struct vcpu *v = &g->vcpu[g->nvcpu++];

			memset(v, 0, sizeof(*v));
			v->tid = atoi(e->d_name);
			v->id = id;
			v->ns = thread_ns(g->pid, v->tid);
		}
	}
	if (d)
		closedir(d);
	/* By number, as people expect them. */
	for (int i = 1; i < g->nvcpu; i++)
		for (int j = i; j > 0 && g->vcpu[j].id < g->vcpu[j - 1].id; j--) {
			struct vcpu t = g->vcpu[j];

			g->vcpu[j] = g->vcpu[j - 1];
			g->vcpu[j - 1] = t;
		}
}

static void find_guests(void)
{
	DIR *d = opendir("/run/libvirt/qemu");
	struct dirent *e;

	for (int i = 0; i < nguest; i++)
		guests[i].seen = 0;
	while (d && (e = readdir(d))) {
		char path[384], buf[64];
		size_t n = strlen(e->d_name);
		struct guest *g = NULL;
		int pid;

		if (n < 5 || n > 60 || strcmp(e->d_name + n - 4, ".pid") || !strcmp(e->d_name, "driver.pid"))
			continue;
		snprintf(path, sizeof(path), "/run/libvirt/qemu/%s", e->d_name);
		if (slurp(path, buf, sizeof(buf)) <= 0)
			continue;
		pid = atoi(buf);
		snprintf(path, sizeof(path), "/proc/%d/task", pid);
		if (pid <= 0 || access(path, F_OK))
			continue;
		for (int i = 0; i < nguest; i++)
			if (guests[i].pid == pid)
				g = &guests[i];
		if (!g) {
			if (nguest == MAXGUEST)
				continue;
			g = &guests[nguest++];
			memset(g, 0, sizeof(*g));
			g->pid = pid;
			memcpy(g->name, e->d_name, n - 4);
		}
		g->seen = 1;
		if (!g->nvcpu)
			find_vcpus(g);
	}
	if (d)
		closedir(d);
	for (int i = 0; i < nguest; )
		if (!guests[i].seen)
			guests[i] = guests[--nguest];
		else
			i++;
	/* readdir has no order: sort by name. */
	for (int i = 1; i < nguest; i++)
		for (int j = i; j > 0 && strverscmp(guests[j].name, guests[j - 1].name) < 0; j--) {
			static struct guest t;

			t = guests[j];
			guests[j] = guests[j - 1];
			guests[j - 1] = t;
		}
}

static void look(void)
{
	for (int i = 0; i < nguest; i++)
		for (int k = 0; k < guests[i].nvcpu; k++) {
			struct vcpu *v = &guests[i].vcpu[k];
			unsigned long long ns = thread_ns(guests[i].pid, v->tid);
			int cpu = thread_cpu(guests[i].pid, v->tid);

			if (cpu >= 0 && cpu < ncpu && ns >= v->ns) {
				v->node_ms[cpu_node[cpu]] += (ns - v->ns) / 1e6;
				v->cpu = cpu;
			}
			if (ns)
				v->ns = ns;
		}
}

static void numa_maps(struct guest *g)
{
	char path[64], *line = NULL;
	size_t cap = 0;
	FILE *f;

	memset(g->mib, 0, sizeof(g->mib));
	snprintf(path, sizeof(path), "/proc/%d/numa_maps", g->pid);
	f = fopen(path, "re");
	while (f && getline(&line, &cap, f) > 0) {
		double kb = 4;
		char *p = strstr(line, "kernelpagesize_kB=");
		char *file = strstr(line, " file=");

		if (file && strncmp(file + 6, "/memfd:", 7) && strncmp(file + 6, "/dev/shm", 8)
		    && strncmp(file + 6, "/dev/hugepages", 14) && !strstr(line, " huge ") && !strstr(line, " huge"))
			continue;
		if (p)
			kb = atof(p + 18);
		for (p = strstr(line, " N"); p; p = strstr(p + 1, " N")) {
			int node;
			long pages;

			if (sscanf(p, " N%d=%ld", &node, &pages) == 2 && node < MAXNODE)
				g->mib[node] += pages * kb / 1024;
		}
	}
	free(line);
	if (f)
		fclose(f);
}

static void cpu_times(unsigned long long *busy, unsigned long long *all)
{
	char line[512];
	FILE *f = fopen("/proc/stat", "re");

	while (f && fgets(line, sizeof(line), f)) {
		unsigned long long v[8] = { 0 };
		int c;

		if (sscanf(line, "cpu%d %llu %llu %llu %llu %llu %llu %llu %llu", &c, v, v + 1,
			   v + 2, v + 3, v + 4, v + 5, v + 6, v + 7) < 9 || c >= MAXCPU)
			continue;
		all[c] = 0;
		for (int i = 0; i < 8; i++)
			all[c] += v[i];
		busy[c] = all[c] - v[3] - v[4];
	}
	if (f)
		fclose(f);
}

static double proc_seconds(const char *want)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	double sum = 0, hz = sysconf(_SC_CLK_TCK);

	while (d && (e = readdir(d))) {
		char path[384], buf[1024], *p, *o;
		unsigned long long t[4];

		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
		if (slurp(path, buf, sizeof(buf)) <= 0)
			continue;
		o = strchr(buf, '(');
		p = strrchr(buf, ')');
		if (!o || !p || (size_t)(p - o - 1) != strlen(want) || strncmp(o + 1, want, strlen(want)))
			continue;
		if (sscanf(p, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu %llu",
			   t, t + 1, t + 2, t + 3) == 4)
			sum += (t[0] + t[1] + t[2] + t[3]) / hz;
	}
	if (d)
		closedir(d);
	return sum;
}

static double cgroup_seconds(const char *cg)
{
	char path[384], buf[1024], *p;

	snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/cpu.stat", cg);
	if (slurp(path, buf, sizeof(buf)) <= 0 || !(p = strstr(buf, "usage_usec ")))
		return 0;
	return atof(p + 11) / 1e6;
}

static void report(double from)
{
	static const char *const ksm[] = { "run", "pages_shared", "pages_sharing", "pages_unshared",
		"pages_volatile", "full_scans", "pages_to_scan", "sleep_millisecs", "merge_across_nodes" };
	static const char *const vms[] = { "numa_pages_migrated", "numa_pte_updates", "numa_hint_faults",
		"numa_hint_faults_local", "pgmigrate_success", "pgmigrate_fail", "balloon_inflate",
		"balloon_deflate", "thp_split_page", "thp_fault_alloc", "pswpout", "oom_kill" };
	double all_mib = 0, r_acc = 0, r_ran = 0, r_all = 0, t = now();
	unsigned long long busy[MAXCPU] = { 0 }, all[MAXCPU] = { 0 };
	char buf[64], path[128], line[256];
	FILE *f;

	printf("{\"t\":%.1f,\"secs\":%.1f,\"guests\":[", t, t - from);
	for (int i = 0; i < nguest; i++) {
		struct guest *g = &guests[i];
		double tot = 0, ms = 0, acc = 0, ran = 0, allow = 0, nms[MAXNODE] = { 0 };
		int nodes_allowed[MAXNODE] = { 0 };

		numa_maps(g);
		printf("%s{\"name\":\"%s\",\"pid\":%d,\"node_mib\":[", i ? "," : "", g->name, g->pid);
		for (int n = 0; n < nnode; n++) {
			printf("%s%.1f", n ? "," : "", g->mib[n]);
			tot += g->mib[n];
		}
		printf("],\"vcpus\":[");
		for (int k = 0; k < g->nvcpu; k++) {
			struct vcpu *v = &g->vcpu[k];
			double vms_ = 0;

			CPU_ZERO(&v->allowed);
			sched_getaffinity(v->tid, sizeof(v->allowed), &v->allowed);
			for (int n = 0; n < nnode; n++) {
				vms_ += v->node_ms[n];
				nms[n] += v->node_ms[n];
			}
			printf("%s{\"id\":%d,\"tid\":%d,\"cpu\":%d,\"share\":%.2f,\"node_ms\":[", k ? "," : "",
			       v->id, v->tid, v->cpu, t > from ? vms_ / 1e3 / (t - from) : 0);
			for (int n = 0; n < nnode; n++)
				printf("%s%.0f", n ? "," : "", v->node_ms[n]);
			printf("],\"allowed\":\"");
			for (int c = 0, sep = 0; c < ncpu; c++) {
				int e = c;

				if (!CPU_ISSET(c, &v->allowed))
					continue;
				while (e + 1 < ncpu && CPU_ISSET(e + 1, &v->allowed))
					e++;
				for (int x = c; x <= e; x++)
					nodes_allowed[cpu_node[x]] = 1;
				printf(e > c ? "%s%d-%d" : "%s%d", sep++ ? "," : "", c, e);
				c = e;
			}
			printf("\"}");
			ms += vms_;
			memset(v->node_ms, 0, sizeof(v->node_ms));
		}
		for (int n = 0; n < nnode; n++) {
			if (ms > 0)
				acc += nms[n] / ms * (tot - g->mib[n]);
			if (ms > 0 && nms[n] / ms < 0.1)
				ran += g->mib[n];
			if (!nodes_allowed[n])
				allow += g->mib[n];
		}
		printf("],\"mib\":%.1f,\"remote\":%.3f,\"remote_ran\":%.3f,\"remote_allowed\":%.3f}", tot,
		       ms > 0 && tot > 0 ? acc / tot : -1, ms > 0 && tot > 0 ? ran / tot : -1, tot > 0 ? allow / tot : -1);
		if (ms > 0) {
			all_mib += tot;
			r_acc += acc;
			r_ran += ran;
			r_all += allow;
		}
	}
	printf("],\"all\":{\"mib\":%.1f,\"remote\":%.3f,\"remote_ran\":%.3f,\"remote_allowed\":%.3f}", all_mib,
	       all_mib > 0 ? r_acc / all_mib : -1, all_mib > 0 ? r_ran / all_mib : -1, all_mib > 0 ? r_all / all_mib : -1);

	cpu_times(busy, all);
	printf(",\"cpu_busy\":[");
	for (int c = 0; c < ncpu; c++) {
		printf("%s%.2f", c ? "," : "", all[c] > cpu_all0[c] ?
		       (double)(busy[c] - cpu_busy0[c]) / (all[c] - cpu_all0[c]) : 0);
		cpu_all0[c] = all[c];
		cpu_busy0[c] = busy[c];
	}
	printf("],\"node_free_mib\":[");
	for (int n = 0; n < nnode; n++) {
		double mb = 0;

		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", n);
		f = fopen(path, "re");
		while (f && fgets(line, sizeof(line), f))
			if (strstr(line, "MemFree:"))
				mb = atof(strstr(line, "MemFree:") + 8) / 1024;
		if (f)
			fclose(f);
		printf("%s%.0f", n ? "," : "", mb);
	}
	printf("],\"ksm\":{");
	for (size_t i = 0; i < sizeof(ksm) / sizeof(ksm[0]); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/mm/ksm/%s", ksm[i]);
		printf("%s\"%s\":%ld", i ? "," : "", ksm[i], slurp(path, buf, sizeof(buf)) > 0 ? atol(buf) : -1);
	}
	printf("},\"vmstat\":{");
	f = fopen("/proc/vmstat", "re");
	for (int first = 1; f && fgets(line, sizeof(line), f); ) {
		char key[64];
		unsigned long long v;

		if (sscanf(line, "%63s %llu", key, &v) != 2)
			continue;
		for (size_t i = 0; i < sizeof(vms) / sizeof(vms[0]); i++)
			if (!strcmp(key, vms[i])) {
				printf("%s\"%s\":%llu", first ? "" : ",", key, v);
				first = 0;
			}
	}
	if (f)
		fclose(f);
	printf("},\"cpu_s\":{\"ksmd\":%.2f", proc_seconds("ksmd"));
	for (int i = 0; i < nwatch; i++)
		printf(",\"%s\":%.2f", watch[i], proc_seconds(watch[i]));
	for (int i = 0; i < ncgroup; i++)
		printf(",\"%s\":%.2f", cgroups[i], cgroup_seconds(cgroups[i]));
	printf("}}\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	double interval = 5;
	long count = 1, step = 250;
	int c;

	while ((c = getopt(argc, argv, "i:n:s:p:u:h")) != -1)
		switch (c) {
		case 'i': interval = atof(optarg); break;
		case 'n': count = atol(optarg); break;
		case 's': step = atol(optarg); break;
		case 'p': if (nwatch < MAXWATCH) watch[nwatch++] = optarg; break;
		case 'u': if (ncgroup < MAXWATCH) cgroups[ncgroup++] = optarg; break;
		default:
			fprintf(stderr, "usage: lab-probe [-i SEC] [-n COUNT] [-s MS] [-p COMM]... [-u CGROUP]...\n");
			return 2;
		}
	topology();
	cpu_times(cpu_busy0, cpu_all0);
	find_guests();
	for (long n = 0; !count || n < count; n++) {
		double from = now();

		while (now() < from + interval) {
			double left = from + interval - now();

			if (left > step / 1e3)
				left = step / 1e3;
			if (left > 0)
				usleep(left * 1e6);
			look();
		}
		find_guests();
		report(from);
	}
	return 0;
}
