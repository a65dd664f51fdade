/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Reads a snapshot's text. The order matters: CPU lists default to the
 * topology's CPUs, and the host's free memory to what the guests leave.
 */

#include "snapshot_load.h"

#include "local_time.h"
#include "snapshot_file.h"

#define DEFAULT_TIME ((LocalTime){ .year = 2026, .month = 1, .day = 5, .hour = 12 })
#define DEFAULT_UPTIME_USEC (100 * USEC_PER_HOUR)
#define DEFAULT_INTERVAL_USEC (10 * USEC_PER_SEC)

static void config_donep(config_t *config) {
        config_destroy(config);
}

static int load_time(SnapLoader *l, const config_setting_t *root) {
        const config_setting_t *s = config_setting_get_member(root, "time");

        l->snapshot->local_time = DEFAULT_TIME;
        if (!s)
                return 0;
        if (!config_setting_get_string(s) ||
            local_time_parse(config_setting_get_string(s), &l->snapshot->local_time) < 0)
                return snap_load_complain(l, s, "a local time such as \"2026-11-23 22:30:00\"");
        return 0;
}

static int load_reservation(SnapLoader *l, const config_setting_t *group, Reservation *ret) {
        static const SnapFields *const tables[] = { &snap_reservation, NULL };
        int r;

        snap_set_defaults(&snap_reservation, ret);
        r = snap_load_check_keys(l, group, NULL, tables);
        if (r < 0)
                return r;
        r = snap_load_fields(l, group, &snap_reservation, 0, ret);
        if (r < 0)
                return r;
        return snap_load_check_nodes(l, group, "nodes", &ret->nodes);
}

static int compare_given(const void *a, const void *b) {
        const Reservation *x = a, *y = b;

        if (x->given_usec != y->given_usec)
                return x->given_usec > y->given_usec ? 1 : -1;
        /* An order of any kind, so that the same text gives the same snapshot. */
        if (x->memory_bytes != y->memory_bytes)
                return x->memory_bytes > y->memory_bytes ? 1 : -1;
        if (x->vcpus != y->vcpus)
                return x->vcpus > y->vcpus ? 1 : -1;
        return memcmp(x->nodes.words, y->nodes.words, sizeof(x->nodes.words));
}

static int load_reservations(SnapLoader *l, const config_setting_t *root) {
        const config_setting_t *list, *element;
        Snapshot *s = l->snapshot;
        int r;

        r = snap_load_list(l, root, "reservations", &list);
        if (r <= 0)
                return r;
        s->reservations = calloc((size_t)config_setting_length(list) + 1, sizeof(*s->reservations));
        if (!s->reservations)
                return -ENOMEM;
        for (unsigned i = 0; i < (unsigned)config_setting_length(list); i++) {
                r = snap_load_element(l, list, i, &element);
                if (r > 0)
                        r = load_reservation(l, element, &s->reservations[s->n_reservations++]);
                if (r < 0)
                        return r;
        }
        qsort(s->reservations, s->n_reservations, sizeof(*s->reservations), compare_given);
        return 0;
}

/* The first of @layers that has @key; without any, the first. */
static const config_setting_t *layer_with(const config_setting_t *const *layers, const char *key) {
        for (size_t i = 0; layers[i]; i++)
                if (config_setting_get_member(layers[i], key))
                        return layers[i];
        return layers[0];
}

int snap_load_layers(SnapLoader *l, const config_setting_t *const *layers) {
        Snapshot *s = l->snapshot;
        int r;

        s->now_usec = DEFAULT_UPTIME_USEC;
        s->interval_usec = DEFAULT_INTERVAL_USEC;
        r = load_time(l, layers[0]);
        if (r < 0)
                return r;
        r = snap_load_value(l, layers[0], "uptime", SNAP_USEC, &s->now_usec);
        if (r < 0)
                return r;
        r = snap_load_value(l, layers[0], "interval", SNAP_USEC, &s->interval_usec);
        if (r < 0)
                return r;
        r = snap_load_topology(l, layer_with(layers, "topology"));
        /* Every number of a CPU or node would be wrong. */
        if (r < 0 || l->errors.n > 0)
                return r;
        r = snap_load_guests(l, layer_with(layers, "guests"));
        if (r < 0)
                return r;
        r = load_reservations(l, layer_with(layers, "reservations"));
        if (r < 0)
                return r;
        return snap_load_host(l, layer_with(layers, "host"));
}

static int load_root(SnapLoader *l, const config_setting_t *root) {
        static const char *const keys[] = { "time", "uptime", "interval", "topology", "host", "guests",
                                            "reservations", NULL };
        int r;

        r = snap_load_check_keys(l, root, keys, NULL);
        if (r < 0)
                return r;
        return snap_load_layers(l, (const config_setting_t *const[]){ root, NULL });
}

static int load_config(SnapLoader *l, const char *path, const char *text) {
        __attribute__((cleanup(config_donep))) config_t config;
        int r;

        config_init(&config);
        r = setting_parse(&l->errors, &config, path, text, false);
        if (r < 0)
                return r;
        r = snapshot_new(&l->snapshot);
        if (r < 0)
                return r;
        return load_root(l, config_root_setting(&config));
}

static int load_text(SnapLoader *l, const char *path, const char *text, Snapshot **ret, char **ret_error) {
        int r;

        if (text)
                r = load_config(l, path, text);
        else {
                _cleanup_free_ char *content = NULL;

                r = setting_read_file(&l->errors, path, 0, path, &content);
                if (r >= 0)
                        r = load_config(l, path, content);
        }
        if (l->errors.out_of_memory)
                r = -ENOMEM;
        if (r >= 0 && l->errors.n > 0)
                r = -EBADMSG;
        if (r >= 0)
                *ret = TAKE_PTR(l->snapshot);
        else if (r != -ENOMEM)
                *ret_error = TAKE_PTR(l->errors.text);
        (void)snapshot_free(l->snapshot);
        setting_errors_done(&l->errors);
        return r;
}

int snapshot_load_text(const char *name, const char *text, Snapshot **ret, char **ret_error) {
        SnapLoader l = { .errors.name = name };

        return load_text(&l, NULL, text, ret, ret_error);
}

int snapshot_load(const char *path, Snapshot **ret, char **ret_error) {
        _cleanup_free_ char *folder = NULL;
        const char *slash = strrchr(path, '/');
        SnapLoader l = { .errors.name = path };

        folder = slash ? strndup(path, MAX((size_t)(slash - path), (size_t)1)) : strdup(".");
        if (!folder)
                return -ENOMEM;
        l.folder = folder;
        return load_text(&l, path, NULL, ret, ret_error);
}
