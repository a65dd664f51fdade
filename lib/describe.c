/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "describe.h"

#include <strings.h>

#include "describe_internal.h"

void describe_done(Description *d) {
        policy_settings_done(&d->settings);
        (void)plan_free(d->plan);
        (void)state_free(d->decided);
        *d = (Description){ 0 };
}

static int decide(const PolicyInput *in, bool with_plan, Description *d) {
        PolicyInput asked = *in;
        int r;

        asked.explain = true;
        asked.only_uuid = NULL;
        r = state_copy(d->state, &d->decided);
        if (r >= 0 && with_plan)
                r = policy_decide(&asked, d->decided, &d->plan);
        return r < 0 ? r : policy_settings(&asked, d->decided, &d->settings);
}

int describe_begin(const PolicyInput *in, const State *state, bool with_plan, Description *ret) {
        Description d = { .config = in->config, .snapshot = in->snapshot, .state = state };
        int r;

        r = decide(in, with_plan, &d);
        if (r < 0)
                describe_done(&d);
        else
                *ret = d;
        return r;
}

const Guest *describe_find(const Snapshot *s, const char *name_or_uuid) {
        const Guest *g = snapshot_find_guest_by_name(s, name_or_uuid);

        for (size_t i = 0; !g && i < s->n_guests; i++)
                if (strcasecmp(s->guests[i]->uuid, name_or_uuid) == 0)
                        g = s->guests[i];
        return g;
}

void describe_put_known(Value *map, const char *key, uint64_t number) {
        if (number != UNKNOWN_U64)
                value_put_number(map, key, number);
}

void describe_put_permyriad(Value *map, const char *key, uint32_t number) {
        if (number != UNKNOWN_PERMYRIAD)
                value_put_number(map, key, number);
}

void describe_put_text(Value *map, const char *key, int r, const char *text) {
        if (r >= 0)
                value_put_string(map, key, text);
        else if (r == -ENOMEM && map)
                map->failed = true;
}

void describe_put_set(Value *map, const char *key, const IdSet *set) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = idset_format(set, &text);
        describe_put_text(map, key, r, text);
}

/* ---- the host ---- */

Value *describe_host(const Snapshot *s, const State *state) {
        const Host *h = &s->host;
        Value *v = value_new_map();
        size_t running = 0, vcpus = 0;

        for (size_t i = 0; i < s->n_guests; i++) {
                running += s->guests[i]->state == GUEST_RUNNING;
                vcpus += guest_online_vcpus(s->guests[i]);
        }
        value_put_number(v, "guests", s->n_guests);
        value_put_number(v, "guests_running", running);
        value_put_number(v, "vcpus", vcpus);
        value_put_number(v, "changes_held", state->n_owned);
        if (s->topology) {
                value_put_number(v, "cpus", idset_count(&s->topology->online));
                value_put_number(v, "nodes", s->topology->n_nodes);
        }
        describe_put_known(v, "memory_total_bytes", h->memory.total_bytes);
        describe_put_known(v, "memory_available_bytes", h->memory.available_bytes);
        describe_put_permyriad(v, "cpu_busy_permyriad", h->cpu_busy_permyriad);
        describe_put_permyriad(v, "memory_pressure_permyriad", h->psi_memory.some_permyriad);
        if (h->ksm.present) {
                value_put_number(v, "ksm_run", h->ksm.run);
                value_put_number(v, "ksm_pages_sharing", h->ksm.pages_sharing);
        }
        return v;
}

/* ---- settings ---- */

/* Key by key: the scope says whose they are. */
static void put_setting(Value *list, const Settings *s, Key key) {
        _cleanup_free_ char *value = NULL, *source = NULL;
        const KeyInfo *info = &config_keys[key];
        Value *v;

        if (setting_format(s, key, &value) < 0 || setting_source(s, key, &source) < 0) {
                list->failed = true;
                return;
        }
        v = value_put_map(list, NULL);
        value_put_printf(v, "key", "%s.%s", info->group, info->name);
        value_put_string(v, "value", value);
        value_put_string(v, "source", source);
        value_put_bool(v, "default", setting_is_default(s, key));
}

Value *describe_settings(const Description *d, const Guest *g) {
        const Settings *s = &d->settings.host;
        Value *list = value_new_list(VALUE_MAP);

        for (size_t i = 0; g && i < d->snapshot->n_guests; i++)
                if (d->snapshot->guests[i] == g)
                        s = d->settings.guests[i];
        for (int key = 0; list && key < _KEY_MAX; key++)
                if (!g || config_keys[key].scope == SCOPE_GUEST)
                        put_setting(list, s, (Key)key);
        return list;
}
