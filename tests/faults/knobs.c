/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every knob of a host, read where the kernel or libvirt would keep it, in the words of a State. */
#include "host.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>

#include "../../lib/parse.h"
#include "../../lib/policy.h"
#include "../../lib/sysfs.h"

static Knob *add(Knobs *k, ActionKind kind, const char *uuid, unsigned index) {
        Knob *knob;

        ck_assert_int_eq(GROW_ARRAY(k->knobs, k->capacity, k->n), 0);
        knob = &k->knobs[k->n++];
        *knob = (Knob){ .kind = kind, .index = index };
        (void)snprintf(knob->uuid, sizeof(knob->uuid), "%s", uuid);
        return knob;
}

static void add_number(Knobs *k, ActionKind kind, const char *uuid, unsigned index, uint64_t value) {
        (void)snprintf(add(k, kind, uuid, index)->value, sizeof(k->knobs->value), "%" PRIu64, value);
}

static void add_set(Knobs *k, ActionKind kind, const char *uuid, unsigned index, uint64_t mask, const char *unset) {
        _cleanup_free_ char *text = NULL;
        IdSet set = IDSET_EMPTY;

        set.words[0] = mask;
        ck_assert_int_eq(idset_format(&set, &text), 0);
        (void)snprintf(add(k, kind, uuid, index)->value, sizeof(k->knobs->value), "%s", mask != 0 ? text : unset);
}

/* The chosen word where there is a choice, otherwise the line. */
static void add_file(TestHost *h, Knobs *k, ActionKind kind, unsigned index, const char *path) {
        _cleanup_free_ char *text = host_read(h, path);
        Knob *knob = add(k, kind, "", index);

        sysfs_selected_word(text, knob->value, sizeof(knob->value));
        if (!knob->value[0])
                (void)snprintf(knob->value, sizeof(knob->value), "%.*s", (int)strcspn(text, "\n"), text);
}

static void add_guest(Knobs *k, const WorldGuest *g) {
        static const char all[] = "0-7";

        for (unsigned i = 0; i < g->vcpus; i++)
                add_set(k, ACTION_PIN_VCPU, g->uuid, i, g->vcpu_pins[i], all);
        add_set(k, ACTION_PIN_EMULATOR, g->uuid, 0, g->emulator_pin, all);
        for (unsigned i = 1; i <= g->iothreads; i++)
                add_set(k, ACTION_PIN_IOTHREAD, g->uuid, i, g->iothread_pins[i], all);
        add_set(k, ACTION_SET_NODESET, g->uuid, 0, g->nodeset, "");
        add_number(k, ACTION_SET_BALLOON, g->uuid, 0, g->current_kib * KIB);
        add_number(k, ACTION_SET_STATS_PERIOD, g->uuid, 0, g->stats_period);
        add_number(k, ACTION_SET_VCPUS, g->uuid, 0, g->online);
        for (unsigned i = 0; i < WORLD_LIMITS; i++)
                if (g->limits_kib[i] == 0)
                        (void)snprintf(add(k, ACTION_SET_MEMTUNE, g->uuid, i)->value, sizeof(k->knobs->value),
                                       "unlimited");
                else
                        add_number(k, ACTION_SET_MEMTUNE, g->uuid, i, g->limits_kib[i] * KIB);
}

void host_knobs(TestHost *h, Knobs *ret) {
        char path[128];

        *ret = (Knobs){ 0 };
        for (unsigned i = 0; i < WORLD_GUESTS_MAX; i++)
                if (h->world->guests[i].running)
                        add_guest(ret, &h->world->guests[i]);
        for (unsigned i = 0; i < _KSM_KNOB_MAX; i++) {
                (void)snprintf(path, sizeof(path), "sys/kernel/mm/ksm/%s", ksm_knob_to_string((KsmKnob)i));
                add_file(h, ret, ACTION_SET_KSM, i, path);
        }
        for (unsigned i = 0; i < _THP_KNOB_MAX; i++) {
                (void)snprintf(path, sizeof(path), "sys/kernel/mm/transparent_hugepage/%s",
                               thp_knob_to_string((ThpKnob)i));
                add_file(h, ret, ACTION_SET_THP, i, path);
        }
        for (unsigned node = 0; node < 2; node++) {
                (void)snprintf(path, sizeof(path), "sys/devices/system/node/node%u/hugepages/hugepages-2048kB/nr_hugepages",
                               node);
                add_file(h, ret, ACTION_SET_HUGEPAGES, policy_pool_index(node, 2 * MIB), path);
        }
        add_file(h, ret, ACTION_SET_KERNEL, KERNEL_KNOB_NUMA_BALANCING, "proc/sys/kernel/numa_balancing");
}

void knobs_done(Knobs *k) {
        free(k->knobs);
        *k = (Knobs){ 0 };
}

static bool is_same_knob(const Knob *a, const Knob *b) {
        return a->kind == b->kind && a->index == b->index && streq(a->uuid, b->uuid);
}

/* Both are in the same order; of a guest that went, @b has nothing. */
const char *knobs_difference(const Knobs *a, const Knobs *b) {
        static char text[256];
        size_t at = 0;

        for (size_t i = 0; i < b->n; i++, at++) {
                const Knob *now = &b->knobs[i];

                while (at < a->n && !is_same_knob(&a->knobs[at], now))
                        at++;
                ck_assert_uint_lt(at, a->n);
                if (streq(a->knobs[at].value, now->value))
                        continue;
                (void)snprintf(text, sizeof(text), "%s %u: %s, %s", action_kind_to_string(now->kind), now->index,
                               a->knobs[at].value, now->value);
                return text;
        }
        return "";
}
