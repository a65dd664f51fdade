/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Busy share of each CPU from /proc/stat. Idle and iowait may run backwards
 * there (the kernel recomputes them for tickless CPUs), and CPUs come and go
 * between two looks; both are normal. Guest time is already part of user time.
 */

#include "observe.h"

#include "idset.h"
#include "parse.h"
#include "sysfs.h"
#include "task_time.h"

enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, N_TIMES };

typedef struct CpuTimes {
        unsigned id;
        uint32_t busy_permyriad;
        uint64_t busy, idle;    /* in ticks */
} CpuTimes;

typedef struct CpuTable {
        CpuTimes *rows;         /* sorted by id */
        size_t n, capacity;
} CpuTable;

struct CpuObserver {
        SysfsFile stat;
        CpuTable previous, current;
        uint64_t at_usec;
        uint32_t busy_permyriad;
};

CpuObserver *cpu_observer_free(CpuObserver *o) {
        if (!o)
                return NULL;
        sysfs_file_done(&o->stat);
        free(o->previous.rows);
        free(o->current.rows);
        free(o);
        return NULL;
}
DEFINE_CLEANUP(CpuObserver, cpu_observer_free)

int cpu_observer_new(CpuObserver **ret) {
        _cleanup_(cpu_observer_freep) CpuObserver *o = NULL;

        o = calloc(1, sizeof(*o));
        if (!o || sysfs_file_init(&o->stat, "proc/stat") < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(o);
        return 0;
}

/* The times behind "cpuN"; what is missing is 0. */
static int parse_times(const char *p, CpuTimes *row) {
        uint64_t times[N_TIMES] = { 0 };

        for (size_t i = 0; i < N_TIMES && *p == ' '; i++) {
                p++;
                if (parse_u64_prefix(&p, &times[i]) < 0)
                        return -EBADMSG;
        }
        row->idle = u64_add(times[IDLE], times[IOWAIT]);
        row->busy = 0;
        for (size_t i = 0; i < N_TIMES; i++)
                if (i != IDLE && i != IOWAIT)
                        row->busy = u64_add(row->busy, times[i]);
        return 0;
}

static int parse_row(const char *line, CpuTable *table) {
        const char *p = line + strlen("cpu");
        CpuTimes *row;
        unsigned id;
        int r;

        if (parse_unsigned_prefix(&p, &id) < 0 || *p != ' ')
                return -EBADMSG;
        if (id >= IDSET_MAX)
                return -ERANGE;
        if (table->n > 0 && id <= table->rows[table->n - 1].id)
                return -EBADMSG;
        r = GROW_ARRAY(table->rows, table->capacity, table->n);
        if (r < 0)
                return r;
        row = &table->rows[table->n];
        *row = (CpuTimes){ .id = id, .busy_permyriad = UNKNOWN_PERMYRIAD };
        r = parse_times(p, row);
        if (r < 0)
                return r;
        table->n++;
        return 0;
}

static int parse_stat(const char *text, CpuTable *table) {
        table->n = 0;
        for (const char *line = text; line && startswith(line, "cpu");) {
                int r = line[3] == ' ' ? 0 : parse_row(line, table);

                if (r < 0)
                        return r;
                line = strchr(line, '\n');
                if (line)
                        line++;
        }
        return table->n > 0 ? 0 : -ENODATA;
}

/* Both tables are sorted: @i walks along @previous. */
static const CpuTimes *previous_of(const CpuTable *previous, unsigned id, size_t *i) {
        while (*i < previous->n && previous->rows[*i].id < id)
                (*i)++;
        return *i < previous->n && previous->rows[*i].id == id ? &previous->rows[*i] : NULL;
}

static void compute_rates(CpuObserver *o) {
        uint64_t all_busy = 0, all = 0;
        size_t j = 0;

        for (size_t i = 0; i < o->current.n; i++) {
                CpuTimes *row = &o->current.rows[i];
                const CpuTimes *before = previous_of(&o->previous, row->id, &j);
                uint64_t busy, total;

                if (!before)
                        continue;
                busy = u64_sub(row->busy, before->busy);
                total = u64_add(busy, u64_sub(row->idle, before->idle));
                /* A CPU asleep for all of the interval may show no time at all. */
                row->busy_permyriad = total == 0 ? 0 : (uint32_t)u64_muldiv(busy, PERMYRIAD_FULL, total);
                all_busy = u64_add(all_busy, busy);
                all = u64_add(all, total);
        }
        o->busy_permyriad =
                o->previous.n == 0 ? UNKNOWN_PERMYRIAD : (uint32_t)u64_muldiv(all_busy, PERMYRIAD_FULL, all);
}

/* The CPUs that are there now, with the rates of the last interval. */
static void repeat_rates(CpuObserver *o) {
        size_t j = 0;

        for (size_t i = 0; i < o->current.n; i++) {
                const CpuTimes *before = previous_of(&o->previous, o->current.rows[i].id, &j);

                o->current.rows[i].busy_permyriad = before ? before->busy_permyriad : UNKNOWN_PERMYRIAD;
        }
}

static int export(const CpuObserver *o, Host *host) {
        if (host->n_cpus != o->current.n || !host->cpus) {
                CpuLoad *p = realloc(host->cpus, o->current.n * sizeof(*p));

                if (!p)
                        return -ENOMEM;
                host->cpus = p;
                host->n_cpus = o->current.n;
        }
        for (size_t i = 0; i < o->current.n; i++)
                host->cpus[i] = (CpuLoad){ o->current.rows[i].id, o->current.rows[i].busy_permyriad };
        host->cpu_busy_permyriad = o->busy_permyriad;
        return 0;
}

int cpu_observe(CpuObserver *o, int root_fd, uint64_t now_usec, Host *host) {
        bool too_soon = o->previous.n > 0 && now_usec >= o->at_usec && now_usec - o->at_usec < RATE_INTERVAL_MIN_USEC;
        const char *text;
        int r;

        r = sysfs_file_read(&o->stat, root_fd, &text);
        if (r < 0)
                return r;
        r = parse_stat(text, &o->current);
        if (r < 0)
                return r;
        if (too_soon)
                repeat_rates(o);
        else
                compute_rates(o);
        r = export(o, host);
        if (r < 0)
                return r;
        if (!too_soon) {
                CpuTable swap = o->previous;

                o->previous = o->current;
                o->current = swap;
                o->at_usec = now_usec;
        }
        return 0;
}
