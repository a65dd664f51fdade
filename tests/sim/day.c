/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A day in a text file, words in lines, '#' begins a comment:
 *
 *   machine nodes N cpus N memory SIZE distance SLIT
 *   run DURATION step DURATION
 *   shape NAME HH:MM PERCENT HH:MM PERCENT ...          of a CPU, a straight line between the points
 *   guests NAME COUNT vcpus N memory SIZE shape NAME [option VALUE]...
 *
 * with the options of a guests line
 *
 *   from HH:MM  over DURATION  until HH:MM     starts, one after the other over that time, and ends
 *   touched PERCENT  within DURATION           of its memory, after its start
 *   noise PERCENT                              each guest for itself
 *   together PERCENT                           the same for all guests of the line
 *   bursts N  for DURATION                     an hour, to all of a CPU
 *   skew PERCENT  latency PERCENT              see SimLoad.skew, SimGuest.intensity
 */

#include "sim.h"

#include "../../lib/parse.h"

#define WORDS_MAX 128U
#define SHAPES_MAX 16U
/* A prime: no guest of one variant has the noise of another one's. */
#define VARIANT_STEP UINT64_C(1000003)

typedef struct Reader {
        Sim *sim;
        const char *path;
        unsigned line;
        char *words[WORDS_MAX];
        size_t n, at;
        struct {
                char name[32];
                SimLoad load;
        } shapes[SHAPES_MAX];
        size_t n_shapes;
        char *error;
} Reader;

static void wrong(Reader *r, const char *what) {
        if (!r->error && strprintf_to(&r->error, "%s:%u: %s", r->path, r->line, what) < 0)
                abort();
}

static const char *word(Reader *r) {
        if (r->at < r->n)
                return r->words[r->at++];
        wrong(r, "a word is missing");
        return "";
}

static uint64_t read_number(Reader *r, const char *text) {
        uint64_t n = 0;

        if (parse_u64(text, &n) < 0)
                wrong(r, "a number is needed");
        return n;
}

static uint64_t read_size(Reader *r, const char *text) {
        uint64_t n = 0;

        if (parse_size(text, &n) < 0)
                wrong(r, "a size is needed, as 8GiB");
        return n;
}

static uint64_t read_duration(Reader *r, const char *text) {
        uint64_t n = 0;

        if (parse_duration(text, &n) < 0)
                wrong(r, "a duration is needed, as 10min");
        return n;
}

static double read_percent(Reader *r, const char *text) {
        uint64_t n = 0;

        if (parse_permyriad(text, &n) < 0)
                wrong(r, "a percentage is needed, as 40%");
        return (double)n / PERMYRIAD_FULL;
}

static uint64_t read_clock(Reader *r, const char *text) {
        unsigned hour, minute;
        char rest;

        if (sscanf(text, "%2u:%2u%c", &hour, &minute, &rest) != 2 || hour > 24 || minute > 59)
                wrong(r, "a time is needed, as 08:30");
        return r->error ? 0 : hour * USEC_PER_HOUR + minute * USEC_PER_MINUTE;
}

static void expect(Reader *r, const char *name) {
        if (!streq(word(r), name))
                wrong(r, "not the word that is expected here");
}

static void read_machine(Reader *r) {
        uint64_t nodes, cpus, bytes, distance;
        char text[64];
        Topology *t;

        expect(r, "nodes");
        nodes = read_number(r, word(r));
        expect(r, "cpus");
        cpus = read_number(r, word(r));
        expect(r, "memory");
        bytes = read_size(r, word(r));
        expect(r, "distance");
        distance = read_number(r, word(r));
        (void)snprintf(text, sizeof(text), "numa:%u core:%u pu:1", (unsigned)nodes, (unsigned)cpus);
        if (r->error || topology_load_synthetic(text, &t) < 0)
                return wrong(r, "no such machine");
        for (size_t i = 0; i < t->n_nodes; i++) {
                t->nodes[i].memory_bytes = bytes;
                for (size_t k = 0; k < t->n_nodes; k++)
                        t->distances[i * t->n_nodes + k] = (uint16_t)(i == k ? 10 : distance);
        }
        sim_set_machine(r->sim, t);
}

static void read_shape(Reader *r) {
        SimLoad *l;

        if (r->n_shapes == SHAPES_MAX)
                return wrong(r, "too many shapes");
        (void)snprintf(r->shapes[r->n_shapes].name, sizeof(r->shapes[0].name), "%s", word(r));
        l = &r->shapes[r->n_shapes++].load;
        *l = (SimLoad){ .daily = true, .linear = true };
        while (r->at < r->n && l->n_points < LOAD_POINTS_MAX) {
                l->points[l->n_points].usec = read_clock(r, word(r));
                l->points[l->n_points].level = read_percent(r, word(r));
                l->n_points++;
        }
}

static const SimLoad *find_shape(Reader *r, const char *name) {
        for (size_t i = 0; i < r->n_shapes; i++)
                if (streq(r->shapes[i].name, name))
                        return &r->shapes[i].load;
        wrong(r, "no such shape");
        return NULL;
}

/* What the options of a line say; the guests of the line are made from it. */
typedef struct Line {
        SimGuest like;
        uint64_t over_usec;
        bool together;
} Line;

static void read_option(Reader *r, Line *l) {
        const char *name = word(r), *value = word(r);
        SimGuest *g = &l->like;

        if (streq(name, "from"))
                g->start_usec = r->sim->begin_usec + read_clock(r, value);
        else if (streq(name, "until"))
                g->stop_usec = r->sim->begin_usec + read_clock(r, value);
        else if (streq(name, "over"))
                l->over_usec = read_duration(r, value);
        else if (streq(name, "touched"))
                g->touched = read_percent(r, value);
        else if (streq(name, "within"))
                g->touch_usec = read_duration(r, value);
        else if (streq(name, "noise") || streq(name, "together")) {
                g->load.noise = read_percent(r, value);
                l->together = streq(name, "together");
        } else if (streq(name, "bursts"))
                g->load.bursts_per_hour = (double)read_number(r, value);
        else if (streq(name, "for"))
                g->load.burst_usec = read_duration(r, value);
        else if (streq(name, "skew"))
                g->load.skew = read_percent(r, value);
        else if (streq(name, "latency"))
                g->intensity = read_percent(r, value);
        else
                wrong(r, "no such option");
}

static void read_guests(Reader *r) {
        Line l = { .like = { .touched = 0.8, .touch_usec = 5 * USEC_PER_MINUTE, .stop_usec = UINT64_MAX,
                             .intensity = 0.2 } };
        const char *name = word(r);
        uint64_t count = read_number(r, word(r)), vcpus, bytes;
        const SimLoad *shape;

        expect(r, "vcpus");
        vcpus = read_number(r, word(r));
        expect(r, "memory");
        bytes = read_size(r, word(r));
        expect(r, "shape");
        shape = find_shape(r, word(r));
        if (!shape)
                return;
        l.like.load = *shape;
        l.like.load.burst_level = 1;
        l.like.start_usec = r->sim->begin_usec + r->sim->step_usec;
        while (r->at < r->n && !r->error)
                read_option(r, &l);
        for (uint64_t i = 0; i < count && !r->error; i++) {
                SimGuest *g, made;
                char text[32];

                (void)snprintf(text, sizeof(text), "s-%.16s-%u", name, (unsigned)i);
                g = sim_add_guest(r->sim, text, (unsigned)vcpus, bytes);
                made = *g;
                *g = l.like;
                memcpy(g->name, made.name, sizeof(g->name));
                memcpy(g->uuid, made.uuid, sizeof(g->uuid));
                g->n_vcpus = made.n_vcpus;
                g->max_bytes = bytes;
                g->start_usec += l.over_usec * i / count / r->sim->step_usec * r->sim->step_usec;
                g->load.noise_seed = (l.together ? r->line : r->sim->n_guests * 7919) + (r->sim->seed - 1) * VARIANT_STEP;
        }
}

static void read_run(Reader *r) {
        r->sim->end_usec = r->sim->begin_usec + read_duration(r, word(r));
        expect(r, "step");
        r->sim->step_usec = read_duration(r, word(r));
}

static void read_line(Reader *r, char *text) {
        char *state = NULL, *comment = strchr(text, '#');
        const char *what;

        if (comment)
                *comment = '\0';
        r->n = r->at = 0;
        for (char *w = strtok_r(text, " \t\n", &state); w && r->n < WORDS_MAX; w = strtok_r(NULL, " \t\n", &state))
                r->words[r->n++] = w;
        if (r->n == 0)
                return;
        what = word(r);
        if (streq(what, "machine"))
                read_machine(r);
        else if (streq(what, "run"))
                read_run(r);
        else if (streq(what, "shape"))
                read_shape(r);
        else if (streq(what, "guests"))
                read_guests(r);
        else
                wrong(r, "machine, run, shape or guests is needed");
}

int sim_day(Sim *s, const char *path, uint64_t variant, char **ret_error) {
        Reader *r = sim_alloc(1, sizeof(*r));
        _cleanup_free_ char *error = NULL;
        FILE *f = fopen(path, "re");
        char text[2048];
        int rc;

        *r = (Reader){ .sim = s, .path = path };
        s->name = path;
        s->seed = variant;
        s->begin_usec = USEC_PER_DAY;
        s->step_usec = 10 * USEC_PER_SEC;
        s->engine.cooldown_usec = 10 * USEC_PER_MINUTE;
        s->engine.move_rate = 256 * MIB;
        s->calm_usec = UINT64_MAX;
        if (snapshot_new(&s->snapshot) < 0 ||
            config_load_text("day", "cpu: { policy = \"shared\"; };", &s->engine.config, &error) < 0)
                abort();
        if (!f)
                wrong(r, "cannot be opened");
        while (f && !r->error && fgets(text, sizeof(text), f)) {
                r->line++;
                read_line(r, text);
        }
        if (f)
                (void)fclose(f);
        if (!r->error && (!s->machine || s->end_usec == 0 || s->n_guests == 0))
                wrong(r, "machine, run and guests are needed");
        *ret_error = r->error;
        rc = r->error ? -1 : 0;
        free(r);
        return rc;
}
