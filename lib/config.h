/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The policy file as a validated value. Three layers, later wins: base
 * settings, `guests` overrides in file order, active `rules` in file order.
 * A fourth is not in any file: what was set while the daemon runs.
 *
 * Every key is a row of one table (config_keys): name, type, default, range,
 * scope. Loader, resolver, man page test and printers all go by that table.
 */

#include "base.h"
#include "idset.h"
#include "snapshot.h"

/* The order is the order in the man page. Comments give type and unit. */
typedef enum Key {
        KEY_DAEMON_URI,                 /* string */
        KEY_DAEMON_INTERVAL,            /* usec */
        KEY_DAEMON_DRY_RUN,             /* bool */
        KEY_DAEMON_ON_STOP,             /* OnStop */
        KEY_DAEMON_METRICS_FILE,        /* string; "": no metrics */
        KEY_DAEMON_METRICS_GUESTS,      /* number */
        KEY_DAEMON_COMPETITORS,         /* Competitors */
        KEY_HOST_RESERVED_CPUS,         /* cpu set */
        KEY_HOST_RESERVED_MEMORY,       /* bytes or permyriad of total, or auto */
        KEY_CPU_POLICY,                 /* CpuPolicy */
        KEY_CPU_THREADS,                /* CpuThreads */
        KEY_CPU_OVERCOMMIT,             /* vCPUs a CPU, in permyriad */
        KEY_CPU_EMULATOR,               /* Follow */
        KEY_CPU_IOTHREADS,              /* Follow */
        KEY_NUMA_POLICY,                /* NumaPolicy */
        KEY_NUMA_MEMORY,                /* Follow */
        KEY_NUMA_MEMORY_ONLY,           /* MemoryOnly */
        KEY_NUMA_MOVE_RATE,             /* bytes per second */
        KEY_NUMA_COOLDOWN,              /* usec */
        KEY_KSM_MODE,                   /* KsmMode */
        KEY_KSM_SCAN_TIME,              /* usec; whole seconds */
        KEY_KSM_MAX_CPU,                /* permyriad of one CPU */
        KEY_KSM_PAGES_TO_SCAN,          /* pages */
        KEY_KSM_SLEEP,                  /* usec */
        KEY_KSM_START,                  /* available memory, permyriad of total */
        KEY_KSM_STOP,                   /* available memory, permyriad of total */
        KEY_KSM_WHEN_STOPPED,           /* KsmStopped */
        KEY_KSM_MERGE_ACROSS_NODES,     /* KsmAcross */
        KEY_KSM_SHARE,                  /* bool */
        KEY_KSM_EXPOSED,                /* KsmExposed */
        KEY_BALLOON_MODE,               /* BalloonMode */
        KEY_BALLOON_TARGET,             /* bytes or permyriad of the guest's maximum */
        KEY_BALLOON_MINIMUM,            /* bytes or permyriad of the guest's maximum */
        KEY_BALLOON_STEP,               /* bytes or permyriad of the guest's maximum, a cycle */
        KEY_BALLOON_RECLAIM,            /* bool */
        KEY_BALLOON_START,              /* available host memory, permyriad of total */
        KEY_BALLOON_STOP,               /* available host memory, permyriad of total */
        KEY_BALLOON_RESERVE,            /* usable in the guest, permyriad of its current memory */
        KEY_BALLOON_SHARES,             /* weight in preset pve; 0: left out */
        KEY_BALLOON_STATS_PERIOD,       /* usec; whole seconds */
        KEY_VCPUS_MODE,                 /* VcpusMode */
        KEY_VCPUS_COUNT,                /* vCPUs; 0: the guest's maximum */
        KEY_VCPUS_MINIMUM,              /* vCPUs; 0: what the guest had */
        KEY_VCPUS_START,                /* load of a guest's vCPUs, permyriad */
        KEY_VCPUS_STOP,                 /* load of a guest's vCPUs, permyriad */
        KEY_VCPUS_DWELL,                /* usec */
        KEY_VCPUS_COOLDOWN,             /* usec */
        KEY_VCPUS_HOST_IDLE,            /* permyriad of the CPUs a guest may use */
        KEY_KERNEL_NUMA_BALANCING,      /* KernelMode */
        KEY_MEMTUNE_HARD_LIMIT,         /* bytes or permyriad of the guest's maximum, auto, or keep */
        KEY_MEMTUNE_SWAP_HARD_LIMIT,    /* bytes or permyriad of the guest's maximum, or keep */
        KEY_MEMTUNE_SOFT_LIMIT,         /* likewise */
        KEY_HUGEPAGES_MODE,             /* HugepagesMode */
        KEY_HUGEPAGES_SIZE,             /* bytes, or auto */
        KEY_HUGEPAGES_TARGET,           /* bytes or permyriad of the host's memory */
        KEY_HUGEPAGES_MINIMUM,          /* likewise, or auto */
        KEY_HUGEPAGES_MAXIMUM,          /* likewise */
        KEY_HUGEPAGES_SPARE,            /* likewise, for each node */
        KEY_HUGEPAGES_DWELL,            /* usec */
        KEY_THP_ENABLED,                /* ThpEnabled */
        KEY_THP_DEFRAG,                 /* ThpDefrag */
        KEY_THP_PAGES_TO_SCAN,          /* pages, or keep */
        KEY_THP_SCAN_SLEEP,             /* usec; whole milliseconds, or keep */
        KEY_THP_MAX_PTES_NONE,          /* pages, or keep */
        _KEY_MAX,
        _KEY_INVALID = -EINVAL,
} Key;

typedef enum OnStop { ON_STOP_RESTORE, ON_STOP_KEEP, _ON_STOP_MAX } OnStop;
typedef enum Competitors {
        COMPETITORS_REPORT,
        COMPETITORS_YIELD,
        COMPETITORS_TAKEOVER,
        _COMPETITORS_MAX,
} Competitors;
typedef enum CpuPolicy { CPU_NONE, CPU_SHARED, CPU_PINNED, CPU_DEDICATED, _CPU_POLICY_MAX } CpuPolicy;
typedef enum CpuThreads { THREADS_PREFER, THREADS_ISOLATE, THREADS_REQUIRE, _CPU_THREADS_MAX } CpuThreads;
typedef enum Follow { FOLLOW_NONE, FOLLOW_FOLLOW, FOLLOW_ISOLATE, _FOLLOW_MAX } Follow;
typedef enum NumaPolicy { NUMA_NONE, NUMA_AUTO, _NUMA_POLICY_MAX } NumaPolicy;
typedef enum MemoryOnly { MEMORY_ONLY_NEVER, MEMORY_ONLY_OVERFLOW, _MEMORY_ONLY_MAX } MemoryOnly;
typedef enum KsmMode {
        KSM_KEEP, KSM_OFF, KSM_ON, KSM_AUTO, KSM_KSMTUNED, KSM_MOM, KSM_KUBEVIRT, _KSM_MODE_MAX
} KsmMode;
typedef enum KsmStopped { KSM_STOPPED_KEEP, KSM_STOPPED_UNMERGE, _KSM_STOPPED_MAX } KsmStopped;
typedef enum KsmAcross { KSM_ACROSS_KEEP, KSM_ACROSS_YES, KSM_ACROSS_NO, KSM_ACROSS_AUTO, _KSM_ACROSS_MAX } KsmAcross;
typedef enum KsmExposed { KSM_EXPOSED_IGNORE, KSM_EXPOSED_REPORT, KSM_EXPOSED_FORBID, _KSM_EXPOSED_MAX } KsmExposed;
typedef enum KernelMode { KERNEL_KEEP, KERNEL_ON, KERNEL_OFF, KERNEL_AUTO, _KERNEL_MODE_MAX } KernelMode;
typedef enum BalloonMode {
        BALLOON_OFF, BALLOON_TARGET, BALLOON_AUTO, BALLOON_PVE, BALLOON_MOM, BALLOON_PROPORTIONAL, _BALLOON_MODE_MAX,
} BalloonMode;
typedef enum HugepagesMode { HUGEPAGES_KEEP, HUGEPAGES_AUTO, HUGEPAGES_FIXED, _HUGEPAGES_MODE_MAX } HugepagesMode;
typedef enum ThpEnabled { THP_KEEP, THP_ALWAYS, THP_MADVISE, THP_NEVER, _THP_ENABLED_MAX } ThpEnabled;
typedef enum ThpDefrag {
        THP_DEFRAG_KEEP,
        THP_DEFRAG_ALWAYS,
        THP_DEFRAG_DEFER,
        THP_DEFRAG_DEFER_MADVISE,
        THP_DEFRAG_MADVISE,
        THP_DEFRAG_NEVER,
        _THP_DEFRAG_MAX,
} ThpDefrag;

typedef enum VcpusMode { VCPUS_OFF, VCPUS_AUTO, VCPUS_FIXED, _VCPUS_MODE_MAX } VcpusMode;

typedef enum KeyType {
        TYPE_BOOL,
        TYPE_ENUM,
        TYPE_STRING,
        TYPE_UINT,
        TYPE_DURATION,
        TYPE_RATE,
        TYPE_PERMYRIAD,
        TYPE_AMOUNT,            /* a size, or a percentage of something named in the man page */
        TYPE_CPUSET,
        _TYPE_MAX,
} KeyType;

typedef enum KeyScope {
        SCOPE_DAEMON,           /* base settings only */
        SCOPE_HOST,             /* base settings and rules */
        SCOPE_GUEST,            /* base settings, guests and rules */
        _SCOPE_MAX,
} KeyScope;

typedef struct KeyInfo {
        const char *group;              /* "ksm" */
        const char *name;               /* "mode" */
        KeyType type;
        KeyScope scope;
        const char *default_text;       /* as it would stand in the file, without quotes */
        const char *const *choices;     /* TYPE_ENUM: names by value, NULL-terminated */
        uint64_t minimum, maximum;      /* of the number; for TYPE_AMOUNT of the size form */
        bool allow_auto;                /* TYPE_AMOUNT: "auto" is allowed */
        bool size_only;                 /* TYPE_AMOUNT: no percentage */
        uint64_t percent_maximum;       /* TYPE_AMOUNT: in permyriad; 0: 100 % */
        bool allow_keep;                /* a quantity: "keep" is allowed */
        bool absolute_path;             /* TYPE_STRING: begins with a slash, or is empty */
        bool uri;                       /* TYPE_STRING: see config_uri_problem() */
        uint64_t multiple;              /* the number must be a multiple of this; 0: any */
} KeyInfo;

extern const KeyInfo config_keys[_KEY_MAX];
/* "ksm", "mode" -> KEY_KSM_MODE, or _KEY_INVALID. */
Key config_key_find(const char *group, const char *name);

/* One value with the place it came from. */
typedef struct SettingValue {
        uint64_t number;                /* bool, enum, usec, bytes, permyriad, ... by type */
        bool percent;                   /* TYPE_AMOUNT: number is in permyriad */
        bool automatic;                 /* TYPE_AMOUNT: "auto" */
        bool keep;                      /* a quantity: "keep", whatever it is */
        const char *text;               /* TYPE_STRING, TYPE_CPUSET; owned by the Config */
        const char *file;               /* owned by the Config; NULL: built-in default */
        unsigned line;
        const char *rule;               /* name of the rule that set it; NULL: none */
        bool runtime;                   /* set while the daemon runs, by @uid */
        uint32_t uid;
        const char *yielded_to;         /* in place of what the policy says, while this runs; NULL: no */
} SettingValue;

/* Limits in pairs: the first is to be below the second. */
#define LIMIT_PAIRS 3U
extern const Key config_limit_pairs[LIMIT_PAIRS][2];

/* Two values that together are not in order; NULL: they are. */
typedef struct LimitClash {
        const SettingValue *low, *high; /* as they were given; of the Config */
} LimitClash;

/* Effective values, of the host or of one guest. Borrows from the Config. */
typedef struct Settings {
        SettingValue values[_KEY_MAX];
        LimitClash clashes[LIMIT_PAIRS];        /* what holds in their place is in values */
} Settings;

/* What a guests entry or a rule sets. */
typedef struct SettingLayer {
        Key *keys;
        SettingValue *values;
        size_t n, keys_capacity, values_capacity;
} SettingLayer;

typedef enum SelectBalloon { SELECT_ANY, SELECT_WITH, SELECT_WITHOUT } SelectBalloon;

/* All given fields must match; an empty selector matches every guest. */
typedef struct GuestSelector {
        char *name;                     /* fnmatch(3) glob */
        char *uuid;
        char *class;
        char *title;                    /* glob */
        uint64_t memory_at_least, memory_at_most;       /* of its maximum, bytes; 0: any */
        unsigned vcpus_at_least, vcpus_at_most;         /* of its maximum; 0: any */
        bool has_node;                  /* more than half of its memory is on this node */
        unsigned node;
        SelectBalloon balloon;          /* a virtio balloon device */
} GuestSelector;

typedef struct GuestOverride {
        GuestSelector match;
        SettingLayer set;
        unsigned line;
} GuestOverride;

typedef enum Metric {
        METRIC_HOST_MEMORY_AVAILABLE,   /* bytes, or permyriad of total */
        METRIC_HOST_MEMORY_FREE,        /* bytes, or permyriad of total */
        METRIC_HOST_SWAP_USED,          /* bytes, or permyriad of swap */
        METRIC_HOST_SWAP_IN,            /* bytes a second */
        METRIC_HOST_SWAP_OUT,
        METRIC_HOST_CPU_BUSY,           /* permyriad of all CPUs */
        METRIC_HOST_PSI_MEMORY_SOME,    /* permyriad, avg10 */
        METRIC_HOST_PSI_MEMORY_FULL,
        METRIC_HOST_PSI_CPU_SOME,
        METRIC_HOST_PSI_IO_SOME,
        METRIC_HOST_PSI_IO_FULL,
        METRIC_HOST_GUESTS,             /* running guests */
        METRIC_HOST_VCPUS,              /* online vCPUs of running guests */
        METRIC_KSM_PAGES_SHARING,       /* pages */
        METRIC_KSM_PAGES_UNSHARED,      /* pages */
        METRIC_KSM_PROFIT,              /* bytes */
        METRIC_KSM_CPU,                 /* permyriad of one CPU */
        METRIC_NODE_MEMORY_FREE,        /* bytes, or permyriad of the node's memory */
        METRIC_NODE_CPU_BUSY,           /* permyriad of the node's CPUs */
        METRIC_NODE_HUGEPAGES_FREE,     /* bytes in its pools of huge pages */
        METRIC_GUEST_CPU_BUSY,          /* permyriad of its online vCPUs */
        METRIC_GUEST_CPU_WAIT,          /* likewise, runnable and waiting for a CPU */
        METRIC_GUEST_VCPUS,             /* online */
        METRIC_GUEST_MEMORY_CURRENT,    /* bytes, or permyriad of its maximum */
        METRIC_GUEST_MEMORY_RESIDENT,   /* likewise */
        METRIC_GUEST_MEMORY_USABLE,     /* bytes, or permyriad of its current memory; the guest's own word */
        METRIC_GUEST_SWAP_IN,           /* bytes since its boot; the guest's own word */
        METRIC_GUEST_MAJOR_FAULTS,      /* since its boot; the guest's own word */
        METRIC_GUEST_PSI_MEMORY_SOME,   /* permyriad of time, of its cgroup */
        METRIC_GUEST_PSI_MEMORY_FULL,
        _METRIC_MAX,
        _METRIC_INVALID = -EINVAL,
} Metric;
DECLARE_STRING_TABLE(metric, Metric);   /* "host.memory.available" */

typedef enum MetricScope { METRIC_OF_HOST, METRIC_OF_NODE, METRIC_OF_GUEST } MetricScope;
typedef enum MetricRate { RATE_NONE, RATE_RISING, RATE_FALLING, _METRIC_RATE_MAX } MetricRate;
DECLARE_STRING_TABLE(metric_rate, MetricRate);  /* "rising", "falling"; RATE_NONE has no name */

/* Daily window [start, end) in minutes of the local day; end <= start crosses midnight. */
typedef struct Schedule {
        uint8_t weekdays;               /* bit 0 = Monday; the day on which a window starts */
        unsigned start_minute, end_minute;
        bool whole_day;
        /*
         * Both inside; 0: any day. 1224 is every 24 December (then from > to crosses the new year), 20261224
         * one of them.
         */
        unsigned from_date, to_date;
} Schedule;

typedef enum ConditionType {
        CONDITION_SCHEDULE, CONDITION_THRESHOLD, CONDITION_ALL, CONDITION_ANY, CONDITION_NOT,
} ConditionType;

typedef struct Condition Condition;
struct Condition {
        ConditionType type;
        /* CONDITION_SCHEDULE: any of these */
        Schedule *schedules;
        size_t n_schedules, schedules_capacity;
        /* CONDITION_THRESHOLD */
        Metric metric;
        bool above;                     /* else below */
        /*
         * Same unit. Entered beyond limit, left beyond clear on the other side. Without `clear` in the file, clear
         * is limit + 1 (above) or limit - 1 (below): left as soon as the limit is no longer exceeded.
         */
        uint64_t limit, clear;
        bool percent;                   /* limit and clear are permyriad of the metric's whole */
        uint64_t for_usec;
        bool has_node;                  /* a metric of this node; else of any */
        unsigned node;
        MetricRate rate;                /* its change a second is compared, not itself */
        uint64_t average_usec;          /* its mean over this time; 0: as it is */
        unsigned threshold_index;       /* among all thresholds of the Config, in file order */
        uint64_t identity;              /* made of all above: another one is remembered apart from this */
        /* CONDITION_ALL, _ANY, _NOT */
        Condition **children;
        size_t n_children, children_capacity;
        unsigned line;
};

typedef struct Rule {
        char *name;                     /* unique */
        Condition *when;
        bool has_guests;                /* a guests selector was given */
        bool of_guest;                  /* when looks at metrics of a guest: decided for each one */
        GuestSelector guests;
        SettingLayer set;
        const char *file;
        unsigned line;
} Rule;

/* In no file: holds until the Config is replaced. */
typedef struct RuntimeSetting {
        char uuid[UUID_TEXT_SIZE];      /* "": the host and every guest */
        Key key;
        SettingValue value;
        char *text;                     /* what value.text points to */
} RuntimeSetting;

#define RUNTIME_SETTINGS_MAX 1000U

typedef struct Config {
        Settings base;                  /* every key: file value or default */
        GuestOverride *guests;
        size_t n_guests, guests_capacity;
        Rule *rules;
        size_t n_rules, rules_capacity;
        unsigned n_thresholds;
        RuntimeSetting *runtime;        /* those for all before those for one guest */
        size_t n_runtime, runtime_capacity;
        char **strings;                 /* interned: what text, file and rule point to */
        size_t n_strings, strings_capacity;
} Config;

/* The built-in defaults, nothing else. -ENOMEM. */
int config_new(Config **ret);
Config *config_free(Config *c);
DEFINE_CLEANUP(Config, config_free)

/* A copy of @text that lives as long as @c; equal strings are kept once. -ENOMEM. */
int config_intern(Config *c, const char *text, const char **ret);

Condition *condition_free(Condition *condition);
DEFINE_CLEANUP(Condition, condition_free)

/* Appends @key to @l, which must not have it yet. -ENOMEM. */
int setting_layer_add(SettingLayer *l, Key key, const SettingValue *v);
/* NULL when @l does not set @key. */
const SettingValue *setting_layer_find(const SettingLayer *l, Key key);

/*
 * Reads @path and, when @path has a sibling folder conf.d, its *.conf in name
 * order. Strict. On failure *ret is untouched and *ret_error holds one or more
 * lines "file:line: what is wrong; what is allowed" (newly allocated, always
 * set on failure except for -ENOMEM). -EBADMSG: the text is wrong; otherwise
 * the errno of reading.
 */
int config_load(const char *path, Config **ret, char **ret_error);

/* Reads one text, for tests and fuzzing; @name stands for the file in messages. */
int config_load_text(const char *name, const char *text, Config **ret, char **ret_error);

/* Which of c->rules are active: bit i = rule i. See rules.h. */
typedef struct ActiveRules {
        const bool *active;             /* n_rules of them; NULL: none */
} ActiveRules;

/*
 * Sets @key to @text for @g, or for the host and every guest (NULL). It wins
 * over files and rules, and one for a guest over one for all. -EINVAL with
 * *ret_problem, a sentence: the value is wrong, contradicts another, or @key
 * cannot be set that way. -E2BIG: there are RUNTIME_SETTINGS_MAX. -ENOMEM.
 */
int config_set_runtime(Config *c, Key key, const Guest *g, const char *text, uint32_t uid, char **ret_problem);
/* @uuid "": what was set for all. -ENOENT: nothing was. */
int config_unset_runtime(Config *c, Key key, const char *uuid);
void config_apply_runtime(const Config *c, const char *uuid, Settings *s);

/* Host settings: base and active rules. */
void config_resolve_host(const Config *c, ActiveRules rules, Settings *ret);
/* A guest's settings: base, guests entries that match, active rules that select it. */
void config_resolve_guest(const Config *c, ActiveRules rules, const Guest *g, Settings *ret);
/* What the i-th of guests entries and rules together sets for @g (NULL: the host); NULL: it does not apply. */
const SettingLayer *config_layer(const Config *c, ActiveRules rules, const Guest *g, size_t i);

bool config_limits_in_order(const Settings *s, size_t pair);
/*
 * Of limits that are not in order the one that was given later holds, and in place of the other the value of the top
 * level, which both were checked against; where that does not do, both of the top level. Notes it in s->clashes.
 */
void config_settle_limits(const Config *c, ActiveRules rules, const Guest *g, Settings *s);
/* What @key was given and is not, for that reason; NULL: it is what it was given. */
const SettingValue *config_displaced(const Settings *s, Key key);
/* A sentence on s->clashes[pair]: 1, or 0 where there is none, or -ENOMEM. */
int config_clash_format(const Settings *s, size_t pair, char **ret);

/*
 * Which of them that are: for each guests entry, then each rule, in @ret (room for all). Guests with the same ones
 * have the same settings, but for what was set for one of them while the daemon runs (config_has_runtime()).
 */
void config_layers_of_guest(const Config *c, ActiveRules rules, const Guest *g, bool *ret);
bool config_has_runtime(const Config *c, const char *uuid);

bool guest_selector_matches(const GuestSelector *s, const Guest *g);

/* Number of a key, without percent or auto. */
static inline uint64_t setting(const Settings *s, Key key) {
        return s->values[key].number;
}
/* The key says "keep" instead of a quantity. */
bool setting_keeps(const Settings *s, Key key);
/* TYPE_AMOUNT: bytes, with percentages taken of @whole_bytes; @automatic_bytes for auto. */
uint64_t setting_amount(const Settings *s, Key key, uint64_t whole_bytes, uint64_t automatic_bytes);
/* In no file, no rule, and not set while the daemon runs. */
bool setting_is_default(const Settings *s, Key key);
/* "rule "night" (kvmtuned.conf:12)", "kvmtuned.conf:3", "runtime by uid 0",
 * "yielded to numad" or "default": for reasons. With ", in place of ..." where config_displaced(). -ENOMEM. */
int setting_source(const Settings *s, Key key, char **ret);
int setting_value_source(const SettingValue *v, char **ret);
/* The value as it would stand in the file, without quotes. -ENOMEM. */
int setting_format(const Settings *s, Key key, char **ret);
