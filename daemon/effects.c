/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A plan becomes real, in this order: note what will be owned, put that on
 * disk, then change. So whatever happens in between, the next start finds a
 * record of each change that may have been made. If the record cannot be
 * written, nothing is changed.
 */

#include "effects_internal.h"

#include <stdio.h>

#include "../lib/sysfs.h"

GuestSlot *effects_slot(Manager *m, const char *uuid) {
        return uuid[0] ? manager_slot(m, uuid) : &m->host_slot;
}

static bool is_pending(const Manager *m, const Action *a) {
        for (size_t i = 0; i < m->n_pending; i++) {
                const Action *p = &m->pending[i].action;

                if (p->kind == a->kind && p->index == a->index && streq(p->uuid, a->uuid))
                        return true;
        }
        return false;
}

/* Memory that goes back to a guest is never held back by an earlier failure. */
static bool is_growth(const Action *a) {
        uint64_t before, after;

        return a->kind == ACTION_SET_BALLOON && parse_u64(a->old_value, &before) >= 0 &&
               parse_u64(a->new_value, &after) >= 0 && after > before;
}

/* Not twice at once, not soon after a failure, not to a guest that cannot be reached. */
static bool may_do(Manager *m, const Action *a) {
        const GuestSlot *slot = effects_slot(m, a->uuid);

        if (!slot || slot->unresponsive || is_pending(m, a))
                return false;
        if (a->uuid[0] && !m->connected)
                return false;
        return m->stopping || m->restoring || is_growth(a) || slot->retry_usec[a->kind] <= manager_now(m);
}

int effects_add_pending(Manager *m, const Action *a, uint64_t cookie, bool recorded) {
        int r;

        r = GROW_ARRAY(m->pending, m->pending_capacity, m->n_pending);
        if (r < 0)
                return r;
        r = action_copy(a, &m->pending[m->n_pending].action);
        if (r < 0)
                return r;
        m->pending[m->n_pending].cookie = cookie;
        m->pending[m->n_pending].cycle = m->cycle;
        m->pending[m->n_pending].recorded = recorded;
        m->n_pending++;
        return 0;
}

static int ksm_write(Manager *m, const Action *a) {
        char path[64];

        (void)snprintf(path, sizeof(path), "sys/kernel/mm/ksm/%s", ksm_knob_to_string((KsmKnob)a->index));
        return sysfs_write(m->root_fd, path, a->new_value);
}

static int thp_write(Manager *m, const Action *a) {
        char path[96];

        (void)snprintf(path, sizeof(path), "sys/kernel/mm/transparent_hugepage/%s",
                       thp_knob_to_string((ThpKnob)a->index));
        return sysfs_write(m->root_fd, path, a->new_value);
}

/* Fills @ret for the kinds that libvirt carries out. */
static int to_call(const Action *a, VirtCall *ret) {
        static const VirtCallType types[_ACTION_KIND_MAX] = {
                [ACTION_PIN_VCPU] = VIRT_PIN_VCPU,         [ACTION_PIN_EMULATOR] = VIRT_PIN_EMULATOR,
                [ACTION_PIN_IOTHREAD] = VIRT_PIN_IOTHREAD, [ACTION_SET_NODESET] = VIRT_SET_NODESET,
                [ACTION_SET_BALLOON] = VIRT_SET_MEMORY,    [ACTION_SET_STATS_PERIOD] = VIRT_SET_STATS_PERIOD,
                [ACTION_SET_VCPUS] = VIRT_SET_VCPUS,       [ACTION_SET_MEMTUNE] = VIRT_SET_MEMTUNE,
        };
        VirtCall call = { .type = types[a->kind], .index = a->index };
        int r;

        memcpy(call.uuid, a->uuid, MIN(strlen(a->uuid), sizeof(call.uuid) - 1));
        if (a->kind == ACTION_SET_BALLOON || a->kind == ACTION_SET_STATS_PERIOD || a->kind == ACTION_SET_VCPUS)
                r = parse_u64(a->new_value, &call.value);
        else if (a->kind == ACTION_SET_MEMTUNE)
                r = policy_memtune_parse(a->new_value, &call.value);
        else
                r = idset_parse(a->new_value, &call.set);
        /* The number it has by what we know: libvirt may know better. */
        if (r >= 0 && a->kind == ACTION_SET_VCPUS)
                r = parse_unsigned(a->old_value, &call.index);
        if (r < 0)
                return r;
        *ret = call;
        return 0;
}

/* Does @a at once and returns 1, or appends its call for libvirt and returns 0; -errno when it cannot be done. */
static int execute(Manager *m, const Plan *plan, const EffectChoice *choices, size_t i, VirtCall *calls,
                   size_t *n_calls) {
        const Action *a = &plan->actions[i];
        int r;

        if (a->kind == ACTION_SET_KSM || a->kind == ACTION_SET_THP) {
                r = a->kind == ACTION_SET_KSM ? ksm_write(m, a) : thp_write(m, a);
                return r < 0 ? r : 1;
        }
        if (a->kind == ACTION_SET_KERNEL)
                return effects_set_kernel(m, a, choices[i].recorded);
        if (a->kind == ACTION_SET_HUGEPAGES)
                return effects_set_pool(m, a, choices[i].recorded);
        if (a->kind == ACTION_MOVE_MEMORY)
                return effects_move(m, plan, choices, a);
        r = to_call(a, &calls[*n_calls]);
        if (r < 0)
                return r;
        calls[*n_calls].cookie = m->next_cookie;
        r = effects_add_pending(m, a, m->next_cookie, choices[i].recorded);
        if (r < 0)
                return r;
        m->next_cookie++;
        (*n_calls)++;
        return 0;
}

static void submit(Manager *m, const VirtCall *calls, size_t n_calls) {
        int r;

        if (n_calls == 0)
                return;
        r = virt_submit(m->virt, calls, n_calls);
        for (size_t i = 0; r < 0 && i < n_calls; i++)
                effects_done(m, calls[i].cookie, r, NULL);
}

static void execute_all(Manager *m, const Plan *plan, const EffectChoice *choices) {
        _cleanup_free_ VirtCall *calls = calloc(plan->n_actions, sizeof(*calls));
        size_t n_calls = 0;

        if (!calls)
                return;
        for (size_t i = 0; i < plan->n_actions; i++) {
                int r;

                if (!choices[i].chosen)
                        continue;
                r = execute(m, plan, choices, i, calls, &n_calls);
                if (r != 0)
                        effects_finish(m, &plan->actions[i], m->cycle, choices[i].recorded, r, NULL);
        }
        submit(m, calls, n_calls);
}

static void apply(Manager *m, const Plan *plan) {
        _cleanup_free_ EffectChoice *choices = NULL;
        size_t n = 0;

        if (plan->n_actions == 0)
                return;
        choices = calloc(plan->n_actions, sizeof(*choices));
        if (!choices)
                return;
        for (size_t i = 0; i < plan->n_actions; i++) {
                choices[i].chosen = may_do(m, &plan->actions[i]);
                n += choices[i].chosen;
        }
        if (n > 0 && effects_record(m, plan, choices) >= 0)
                execute_all(m, plan, choices);
}

void effects_apply(Manager *m, const Plan *plan, const char *only_uuid) {
        effects_log_skips(m, plan, only_uuid);
        effects_log_verdicts(m, plan);
        effects_cancel_move(m, plan);
        if (manager_dry_run(m)) {
                effects_log_dry_run(m, plan);
                return;
        }
        apply(m, plan);
        /* What was under way before, and has been answered. */
        if (m->state_dirty && m->n_pending == 0)
                (void)effects_save_state(m);
}
