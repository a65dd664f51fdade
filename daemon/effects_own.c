/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What is ours, and its file. A knob is on record before it is changed; what did
 * not come to be is taken off again, what nobody knows of stays.
 */

#include "effects_internal.h"

#include <stdio.h>
#include <sys/stat.h>

#include "log.h"
#include "messages.h"

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

/* On disk before it is sent; that it has been answered is written with whatever comes next. */
static void note_call(Manager *m, const Action *a) {
        GuestMemo *memo = effects_is_call(a->kind) ? state_find_guest(m->state, a->uuid) : NULL;

        if (memo)
                memo->calls_open = true;
}

int effects_record(Manager *m, const Plan *plan, EffectChoice *choices) {
        _cleanup_(state_freep) State *before = NULL;
        bool changed = false;
        int r;

        r = state_copy(m->state, &before);
        for (size_t i = 0; r >= 0 && i < plan->n_actions; i++) {
                if (!choices[i].chosen)
                        continue;
                r = own(m, &plan->actions[i]);
                choices[i].recorded = r > 0;
                note_call(m, &plan->actions[i]);
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

void effects_unown(Manager *m, const Action *a) {
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

bool effects_is_giving_back(const Manager *m) {
        return m->stopping || m->restoring || m->options.mode == RUN_RESTORE;
}

/* Everything is on its way back: what comes to be now is that. Told to, it first waits for what is under way. */
static bool has_given_back(const Manager *m) {
        bool keeps = m->stopping && setting(&m->config->base, KEY_DAEMON_ON_STOP) != ON_STOP_RESTORE;

        return effects_is_giving_back(m) && !m->restore_due && !keeps;
}

void effects_own_again(Manager *m, const Action *a) {
        if (has_given_back(m) || (a->uuid[0] && !snapshot_find_guest(m->snapshot, a->uuid)))
                return;
        if (state_own(m->state, a) >= 0)
                m->state_dirty = true;
}
