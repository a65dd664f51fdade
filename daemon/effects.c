/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A plan becomes real, in this order: note what will be owned, put that on
 * disk, then change. So whatever happens in between, the next start finds a
 * record of each change that may have been made. If the record cannot be
 * written, nothing is changed.
 */

#include "effects_internal.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "../lib/rules.h"
#include "../lib/sysfs.h"
#include "log.h"
#include "messages.h"

/* After a failure: 30 s, doubling to 32 minutes. */
#define RETRY_USEC (30 * USEC_PER_SEC)
#define RETRY_DOUBLINGS 6U

/* What becomes of each action of a plan. */
typedef struct Choice {
        bool chosen;
        bool recorded;          /* the ownership record was changed for it */
} Choice;

static GuestSlot *slot_of(Manager *m, const char *uuid) {
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
        const GuestSlot *slot = slot_of(m, a->uuid);

        if (!slot || slot->unresponsive || is_pending(m, a))
                return false;
        if (a->uuid[0] && !m->connected)
                return false;
        return m->stopping || m->restoring || is_growth(a) || slot->retry_usec[a->kind] <= manager_now(m);
}

static bool is_owned_kind(ActionKind kind) {
        return kind != ACTION_MOVE_MEMORY;
}

/*
 * Giving back, or repeating what is on record already: nothing new to write
 * down. Except that a balloon takes its time: where it was sent is on record
 * until it is there, also when that is where it came from.
 */
static bool is_on_record(const Owned *o, const Action *a) {
        return streq(o->ours, a->new_value) || (a->kind != ACTION_SET_BALLOON && streq(o->original, a->new_value));
}

/*
 * Giving back asks for a size that no decision has noted. Should this process end between recording and asking, the
 * next one must not take a balloon that never left for one that somebody else has moved.
 */
static void note_request(Manager *m, const Action *a) {
        GuestMemo *memo = state_find_guest(m->state, a->uuid);
        uint64_t from, to;

        if (a->kind != ACTION_SET_BALLOON || !memo || parse_u64(a->old_value, &from) < 0 ||
            parse_u64(a->new_value, &to) < 0 || memo->balloon_target_bytes == to)
                return;
        memo->balloon_target_bytes = to;
        memo->balloon_seen_bytes = from;
        memo->balloon_set_usec = memo->balloon_progress_usec = manager_now(m);
}

/* 1: the record was changed. */
static int own(Manager *m, const Action *a) {
        const Owned *o = state_find_owned(m->state, a->kind, a->uuid, a->index);
        int r;

        if (!is_owned_kind(a->kind))
                return 0;
        if (o && is_on_record(o, a))
                return 0;
        r = state_own(m->state, a);
        if (r < 0)
                return r;
        note_request(m, a);
        return 1;
}

int effects_make_folder(const char *path) {
        _cleanup_free_ char *parent = NULL;
        char *slash;

        parent = strdup(path);
        if (!parent)
                return -ENOMEM;
        slash = strrchr(parent, '/');
        if (!slash || slash == parent)
                return 0;
        *slash = 0;
        if (mkdir(parent, 0755) < 0 && errno != EEXIST)
                return -errno;
        return 0;
}

int effects_save_state(Manager *m) {
        int r;

        m->state_dirty = false;
        if ((m->stopping || m->options.mode == RUN_RESTORE) && m->state->n_owned == 0 &&
            m->state->n_stopped == 0) {
                if (unlink(m->options.state_path) < 0 && errno != ENOENT)
                        return log_error_errno(-errno, "Failed to remove %s", m->options.state_path);
                return 0;
        }
        (void)effects_make_folder(m->options.state_path);
        r = state_save(m->state, m->options.state_path);
        if (r < 0 && !m->state_unwritable)
                log_struct(LOG_ERR, MESSAGE_STATE_UNWRITABLE, NULL, 0,
                           "Failed to write %s: %s; nothing is changed until it can be written",
                           m->options.state_path, strerror(-r));
        if (r >= 0 && m->state_unwritable)
                log_message(LOG_NOTICE, "%s can be written again", m->options.state_path);
        m->state_unwritable = r < 0;
        return r;
}

/* Records ownership of all that will be done; on failure the ownership is as before. */
static int record_ownership(Manager *m, const Plan *plan, Choice *choices) {
        _cleanup_(state_freep) State *before = NULL;
        bool changed = false;
        int r;

        r = state_copy(m->state, &before);
        for (size_t i = 0; r >= 0 && i < plan->n_actions; i++) {
                if (!choices[i].chosen)
                        continue;
                r = own(m, &plan->actions[i]);
                choices[i].recorded = r > 0;
                /* A restart must know of the move: when it began, and what to measure. */
                changed = changed || r > 0 || plan->actions[i].kind == ACTION_MOVE_MEMORY;
        }
        if (r >= 0 && changed)
                r = effects_save_state(m);
        if (r < 0 && before) {
                State *failed = m->state;

                m->state = TAKE_PTR(before);
                state_free(failed);
        }
        return r;
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

/* Our latest value did not come to be. */
static void unown(Manager *m, const Action *a) {
        Owned *o = state_find_owned(m->state, a->kind, a->uuid, a->index);

        if (!o || !streq(o->ours, a->new_value))
                return;
        m->state_dirty = true;
        if (!o->previous) {
                state_disown(m->state, a->kind, a->uuid, a->index);
                return;
        }
        free(o->ours);
        o->ours = TAKE_PTR(o->previous);
}

static bool is_giving_back(const Manager *m) {
        return m->stopping || m->restoring || m->options.mode == RUN_RESTORE;
}

/* Everything is on its way back: what comes to be now is that. Told to, it first waits for what is under way. */
static bool has_given_back(const Manager *m) {
        bool keeps = m->stopping && setting(&m->config->base, KEY_DAEMON_ON_STOP) != ON_STOP_RESTORE;

        return is_giving_back(m) && !m->restore_due && !keeps;
}

/* Decided while it was under way: that it had failed, or was somebody else's. It came to be all the same. */
static void own_again(Manager *m, const Action *a) {
        if (has_given_back(m) || (a->uuid[0] && !snapshot_find_guest(m->snapshot, a->uuid)))
                return;
        if (state_own(m->state, a) >= 0)
                m->state_dirty = true;
}

static void note_success(Manager *m, const Action *a, bool recorded) {
        const Owned *o = state_find_owned(m->state, a->kind, a->uuid, a->index);
        GuestSlot *slot = slot_of(m, a->uuid);

        if (!o && recorded)
                own_again(m, a);
        if (slot && slot->retry_usec[a->kind] <= manager_now(m))
                slot->failures[a->kind] = 0;
        m->counters.done[a->kind]++;
        /* Of a balloon that runs on, the policy says when it is there. */
        if (o && streq(o->original, a->new_value) && (a->kind != ACTION_SET_BALLOON || is_giving_back(m))) {
                m->counters.restored++;
                state_disown(m->state, a->kind, a->uuid, a->index);
                m->state_dirty = true;
        }
        effects_note(m, a);
        if (a->kind == ACTION_SET_NODESET && snapshot_find_guest(m->snapshot, a->uuid))
                (void)virt_refresh(m->virt, a->uuid);
}

/* libvirt announces neither vCPUs that come or go nor limits, and one that was refused may still have changed something. */
static void look_again(Manager *m, const Action *a) {
        if ((a->kind == ACTION_SET_VCPUS || a->kind == ACTION_SET_MEMTUNE) && snapshot_find_guest(m->snapshot, a->uuid))
                (void)virt_refresh(m->virt, a->uuid);
}

/* Of a guest that is gone nothing is to be put back; the event that says so may still be on its way. */
static bool went_with_its_guest(const Manager *m, const Action *a, int result) {
        return is_giving_back(m) && a->uuid[0] != '\0' && (result == -ENOENT || result == -ESRCH);
}

/* Said once of each guest, not of each of its knobs. */
static void note_gone(Manager *m, const Action *a) {
        GuestSlot *slot = slot_of(m, a->uuid);

        state_disown(m->state, a->kind, a->uuid, a->index);
        m->state_dirty = true;
        if (slot && !slot->gone)
                log_message(LOG_INFO, "%s: is gone; what was changed of it went with it", a->guest ?: a->uuid);
        if (slot)
                slot->gone = true;
}

static void note_failure(Manager *m, const Action *a, int result, bool recorded) {
        GuestSlot *slot = slot_of(m, a->uuid);
        uint64_t now = manager_now(m);

        m->counters.failed[a->kind]++;
        if (recorded && !effects_is_uncertain(result))
                unown(m, a);
        /* Counted once for a whole batch, and not where libvirt is the one that fails. */
        if (!slot || effects_is_uncertain(result) || result == -EBUSY || slot->retry_usec[a->kind] > now)
                return;
        slot->retry_usec[a->kind] = now + (RETRY_USEC << MIN(slot->failures[a->kind], RETRY_DOUBLINGS));
        slot->failures[a->kind]++;
}

static void finish(Manager *m, const Action *a, uint64_t cycle, bool recorded, int result, const char *text) {
        if (went_with_its_guest(m, a, result)) {
                note_gone(m, a);
                return;
        }
        effects_note_answer(slot_of(m, a->uuid), a->kind, result);
        if (result >= 0)
                note_success(m, a, recorded);
        else
                note_failure(m, a, result, recorded);
        look_again(m, a);
        effects_log_action(m, a, cycle, result, text, false);
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

/* Rules on the guest's own metrics as they were in the last decision. */
static int move_rate(Manager *m, const Guest *g, uint64_t *ret) {
        _cleanup_free_ bool *active = calloc(m->config->n_rules + 1, sizeof(*active));
        Settings settings;
        int r;

        if (!active)
                return -ENOMEM;
        if (m->rules_active)
                memcpy(active, m->rules_active, m->config->n_rules * sizeof(*active));
        r = rules_evaluate_guest(m->config, m->snapshot, g, false, m->state, active);
        if (r < 0)
                return r;
        config_resolve_guest(m->config, (ActiveRules){ .active = active }, g, &settings);
        *ret = setting(&settings, KEY_NUMA_MOVE_RATE);
        return 0;
}

static int start_move(Manager *m, const Action *a) {
        Guest *g = snapshot_find_guest(m->snapshot, a->uuid);
        IdSet targets, last;
        uint64_t rate;
        int r;

        if (!g || g->pid <= 0)
                return -ESRCH;
        r = idset_parse(a->new_value, &targets);
        if (r >= 0)
                r = move_rate(m, g, &rate);
        if (r < 0)
                return r;
        last = topology_memory_only_nodes(m->snapshot->topology);
        return mover_start(m->mover, a->uuid, g->pid, &targets, &last, rate);
}

/* The guest's cgroup must allow the new nodes before its pages can go there. */
static bool waits_for_nodeset(const Plan *plan, const Choice *choices, const Action *move) {
        for (size_t i = 0; i < plan->n_actions; i++)
                if (choices[i].chosen && plan->actions[i].kind == ACTION_SET_NODESET &&
                    streq(plan->actions[i].uuid, move->uuid))
                        return true;
        return false;
}

static int execute_move(Manager *m, const Plan *plan, const Choice *choices, const Action *a) {
        bool waits = waits_for_nodeset(plan, choices, a);
        int r;

        r = effects_add_pending(m, a, waits ? WAITING_MOVE_COOKIE : MOVER_COOKIE, false);
        if (r < 0 || waits)
                return r;
        r = start_move(m, a);
        if (r < 0) {
                m->n_pending--;
                action_done(&m->pending[m->n_pending].action);
        }
        return r;
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
static int execute(Manager *m, const Plan *plan, const Choice *choices, size_t i, VirtCall *calls, size_t *n_calls) {
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
                return execute_move(m, plan, choices, a);
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

static void execute_all(Manager *m, const Plan *plan, const Choice *choices) {
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
                        finish(m, &plan->actions[i], m->cycle, choices[i].recorded, r, NULL);
        }
        submit(m, calls, n_calls);
        if (m->state_dirty && m->n_pending == 0)
                (void)effects_save_state(m);
}

void effects_apply(Manager *m, const Plan *plan, const char *only_uuid) {
        _cleanup_free_ Choice *choices = NULL;
        size_t n = 0;

        effects_log_skips(m, plan, only_uuid);
        effects_log_verdicts(m, plan);
        effects_cancel_move(m, plan);
        if (manager_dry_run(m)) {
                effects_log_dry_run(m, plan);
                return;
        }
        if (plan->n_actions == 0)
                return;
        choices = calloc(plan->n_actions, sizeof(*choices));
        if (!choices)
                return;
        for (size_t i = 0; i < plan->n_actions; i++) {
                choices[i].chosen = may_do(m, &plan->actions[i]);
                n += choices[i].chosen;
        }
        if (n > 0 && record_ownership(m, plan, choices) >= 0)
                execute_all(m, plan, choices);
}

static void end_pending(Manager *m, size_t i, int result, const char *text);

/* The nodeset that a move waited for is set, or is not. */
static void release_move(Manager *m, const char *uuid, int result) {
        for (size_t i = 0; i < m->n_pending; i++) {
                Pending *p = &m->pending[i];

                if (p->cookie != WAITING_MOVE_COOKIE || !streq(p->action.uuid, uuid))
                        continue;
                p->cookie = MOVER_COOKIE;
                if (result < 0 || m->stopping) {
                        end_pending(m, i, -ECANCELED, result < 0 ? "its memory policy could not be set first" : NULL);
                        return;
                }
                result = start_move(m, &p->action);
                if (result < 0)
                        end_pending(m, i, result, NULL);
                return;
        }
}

/* Removes and finishes the i-th. */
static void end_pending(Manager *m, size_t i, int result, const char *text) {
        Pending p = m->pending[i];

        memmove(&m->pending[i], &m->pending[i + 1], (m->n_pending - i - 1) * sizeof(*m->pending));
        m->n_pending--;
        finish(m, &p.action, p.cycle, p.recorded, result, text);
        if (p.action.kind == ACTION_SET_NODESET)
                release_move(m, p.action.uuid, result);
        action_done(&p.action);
}

static void all_answered(Manager *m) {
        if (m->n_pending > 0)
                return;
        if (m->state_dirty)
                (void)effects_save_state(m);
        manager_settled(m);
}

void effects_done(Manager *m, uint64_t cookie, int result, const char *text) {
        for (size_t i = 0; i < m->n_pending; i++)
                if (m->pending[i].cookie == cookie) {
                        end_pending(m, i, result, text);
                        break;
                }
        all_answered(m);
}

void effects_fail_all(Manager *m, int result) {
        size_t i = 0;

        while (i < m->n_pending)
                if (effects_is_call(m->pending[i].action.kind)) {
                        end_pending(m, i, result, "the connection to libvirt was lost");
                        i = 0;
                } else
                        i++;
        all_answered(m);
}
