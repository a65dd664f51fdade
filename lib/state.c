/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state_memo.h"

int state_new(State **ret) {
        State *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        *ret = s;
        return 0;
}

static void owned_done(Owned *o) {
        free(o->original);
        free(o->ours);
        free(o->previous);
        *o = (Owned){ 0 };
}

State *state_free(State *s) {
        if (!s)
                return NULL;
        free(s->boot_id);
        for (size_t i = 0; i < s->n_owned; i++)
                owned_done(&s->owned[i]);
        for (size_t i = 0; i < s->n_guests; i++)
                memo_done(&s->guests[i]);
        state_drop_places(s);
        free(s->owned);
        free(s->guests);
        free(s->thresholds);
        free(s->guest_thresholds);
        free(s->pools);
        free(s->stopped);
        free(s);
        return NULL;
}

static int owned_copy(const Owned *from, Owned *to) {
        Owned o = { .kind = from->kind, .index = from->index };
        int r;

        memcpy(o.uuid, from->uuid, sizeof(o.uuid));
        r = strdup_to(&o.original, from->original);
        if (r >= 0)
                r = strdup_to(&o.ours, from->ours);
        if (r >= 0)
                r = strdup_to(&o.previous, from->previous);
        if (r < 0) {
                owned_done(&o);
                return r;
        }
        *to = o;
        return 0;
}

/* *@ret: an own copy of @n elements, NULL when there are none. */
static int copy_array(const void *from, size_t n, size_t size, void **ret) {
        void *p;

        if (n == 0)
                return 0;
        p = malloc(n * size);
        if (!p)
                return -ENOMEM;
        memcpy(p, from, n * size);
        *ret = p;
        return 0;
}

static int copy_arrays(const State *from, State *to) {
        int r;

        r = strdup_to(&to->boot_id, from->boot_id);
        if (r < 0)
                return r;
        if (from->n_owned > 0) {
                to->owned = calloc(from->n_owned, sizeof(*to->owned));
                if (!to->owned)
                        return -ENOMEM;
                to->owned_capacity = from->n_owned;
        }
        for (; to->n_owned < from->n_owned; to->n_owned++) {
                r = owned_copy(&from->owned[to->n_owned], &to->owned[to->n_owned]);
                if (r < 0)
                        return r;
        }
        r = state_reserve_guests(to, from->n_guests);
        if (r < 0)
                return r;
        for (; to->n_guests < from->n_guests; to->n_guests++) {
                r = memo_copy(&from->guests[to->n_guests], &to->guests[to->n_guests]);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < to->n_guests; i++) {
                r = state_place(to, &to->guests[i], memo_nodes(&from->guests[i]));
                if (r < 0)
                        return r;
        }
        r = copy_array(from->thresholds, from->n_thresholds, sizeof(*from->thresholds), (void **)&to->thresholds);
        if (r < 0)
                return r;
        to->n_thresholds = to->thresholds_capacity = from->n_thresholds;
        r = copy_array(from->guest_thresholds, from->n_guest_thresholds, sizeof(*from->guest_thresholds),
                       (void **)&to->guest_thresholds);
        if (r < 0)
                return r;
        to->n_guest_thresholds = to->guest_thresholds_capacity = from->n_guest_thresholds;
        r = copy_array(from->pools, from->n_pools, sizeof(*from->pools), (void **)&to->pools);
        if (r < 0)
                return r;
        to->n_pools = to->pools_capacity = from->n_pools;
        r = copy_array(from->stopped, from->n_stopped, sizeof(*from->stopped), (void **)&to->stopped);
        if (r < 0)
                return r;
        to->n_stopped = to->stopped_capacity = from->n_stopped;
        return 0;
}

int state_copy(const State *s, State **ret) {
        _cleanup_(state_freep) State *copy = NULL;
        int r;

        r = state_new(&copy);
        if (r < 0)
                return r;
        r = copy_arrays(s, copy);
        if (r < 0)
                return r;
        copy->ksm_on = s->ksm_on;
        copy->ksm_stepped_mode = s->ksm_stepped_mode;
        copy->ksm_pages = s->ksm_pages;
        copy->ksm_sleep_millisecs = s->ksm_sleep_millisecs;
        copy->ksm_stepped_usec = s->ksm_stepped_usec;
        copy->ksm_judged_usec = s->ksm_judged_usec;
        copy->ksm_judged_scans = s->ksm_judged_scans;
        copy->ksm_cpu_usec = s->ksm_cpu_usec;
        copy->ksm_rest_usec = s->ksm_rest_usec;
        copy->ksm_rest_profit_bytes = s->ksm_rest_profit_bytes;
        copy->ksm_rest_price_bytes = s->ksm_rest_price_bytes;
        copy->ksm_catch_up_scans = s->ksm_catch_up_scans;
        copy->ksm_guests_bytes = s->ksm_guests_bytes;
        copy->ksm_rated_usec = s->ksm_rated_usec;
        copy->ksm_run_usec = s->ksm_run_usec;
        copy->ksm_run_scans = s->ksm_run_scans;
        copy->ksm_run_bytes = s->ksm_run_bytes;
        copy->ksm_separated_usec = s->ksm_separated_usec;
        copy->ksm_rests = s->ksm_rests;
        copy->ksm_taken = s->ksm_taken;
        copy->ksm_adopted = s->ksm_adopted;
        copy->kernel_wish = s->kernel_wish;
        copy->kernel_wish_usec = s->kernel_wish_usec;
        copy->kernel_set_usec = s->kernel_set_usec;
        copy->kernel_taken = s->kernel_taken;
        copy->kernel_adopted = s->kernel_adopted;
        copy->thp_taken = s->thp_taken;
        copy->thp_adopted = s->thp_adopted;
        copy->hugepages_adopted = s->hugepages_adopted;
        copy->reclaiming = s->reclaiming;
        copy->balloon_stepped_usec = s->balloon_stepped_usec;
        copy->free_samples = s->free_samples;
        copy->overload_usec = s->overload_usec;
        *ret = TAKE_PTR(copy);
        return 0;
}

static int owned_compare(const Owned *o, ActionKind kind, const char *uuid, unsigned index) {
        int r;

        if (o->kind != kind)
                return o->kind < kind ? -1 : 1;
        r = strcmp(o->uuid, uuid);
        if (r != 0)
                return r;
        return o->index == index ? 0 : o->index < index ? -1 : 1;
}

/* The first one not below the key; *ret_found: it is the key. */
static size_t owned_position(const State *s, ActionKind kind, const char *uuid, unsigned index, bool *ret_found) {
        size_t low = 0, high = s->n_owned;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (owned_compare(&s->owned[middle], kind, uuid, index) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        *ret_found = low < s->n_owned && owned_compare(&s->owned[low], kind, uuid, index) == 0;
        return low;
}

Owned *state_find_owned(const State *s, ActionKind kind, const char *uuid, unsigned index) {
        bool found;
        size_t at = owned_position(s, kind, uuid, index, &found);

        return found ? &s->owned[at] : NULL;
}

static int insert_owned(State *s, size_t at, const Owned *o) {
        Owned copy;
        int r;

        r = GROW_ARRAY(s->owned, s->owned_capacity, s->n_owned);
        if (r < 0)
                return r;
        r = owned_copy(o, &copy);
        if (r < 0)
                return r;
        memmove(s->owned + at + 1, s->owned + at, (s->n_owned - at) * sizeof(*s->owned));
        s->owned[at] = copy;
        s->n_owned++;
        return 0;
}

int state_put_owned(State *s, const Owned *o) {
        bool found;
        size_t at = owned_position(s, o->kind, o->uuid, o->index, &found);

        return found ? -EEXIST : insert_owned(s, at, o);
}

/*
 * A change that was recorded but not done leaves the knob at `previous`: that one is kept then. Not of a balloon: one
 * that has not moved yet may still obey the request before, while this one may be lost.
 */
static int own_again(Owned *o, const Action *action) {
        char *ours = NULL;
        int r;

        if (streq_ptr(o->ours, action->new_value))
                return 0;
        r = strdup_to(&ours, action->new_value);
        if (r < 0)
                return r;
        if (o->kind != ACTION_SET_BALLOON && o->previous && streq_ptr(o->previous, action->old_value)) {
                free(o->ours);
        } else {
                free(o->previous);
                o->previous = o->ours;
        }
        o->ours = ours;
        return 0;
}

int state_own(State *s, const Action *action) {
        Owned fresh = {
                .kind = action->kind,
                .index = action->index,
                .original = action->old_value,
                .ours = action->new_value,
        };
        bool found;
        size_t at;

        if (action->kind == ACTION_MOVE_MEMORY)
                return 0;
        at = owned_position(s, action->kind, action->uuid, action->index, &found);
        if (found)
                return own_again(&s->owned[at], action);
        memcpy(fresh.uuid, action->uuid, MIN(strlen(action->uuid), sizeof(fresh.uuid) - 1));
        return insert_owned(s, at, &fresh);
}

void state_disown(State *s, ActionKind kind, const char *uuid, unsigned index) {
        bool found;
        size_t at = owned_position(s, kind, uuid, index, &found);

        if (!found)
                return;
        owned_done(&s->owned[at]);
        s->n_owned--;
        memmove(s->owned + at, s->owned + at + 1, (s->n_owned - at) * sizeof(*s->owned));
}

/* The first one not below @uuid; *ret_found: it is that uuid. */
static size_t guest_position(const State *s, const char *uuid, bool *ret_found) {
        size_t low = 0, high = s->n_guests;

        /* Most new ones come in order. */
        if (high > 0 && strcmp(s->guests[high - 1].uuid, uuid) < 0)
                low = high;
        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (strcmp(s->guests[middle].uuid, uuid) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        *ret_found = low < s->n_guests && streq(s->guests[low].uuid, uuid);
        return low;
}

/* The first one not below @uuid and @index. */
static size_t guest_threshold_position(const State *s, const char *uuid, unsigned index) {
        size_t low = 0, high = s->n_guest_thresholds;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                const GuestThreshold *t = &s->guest_thresholds[middle];
                int r = strcmp(t->uuid, uuid);

                if (r < 0 || (r == 0 && t->index < index))
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static void forget_guest_thresholds(State *s, const char *uuid) {
        size_t from = guest_threshold_position(s, uuid, 0), to = from;

        while (to < s->n_guest_thresholds && streq(s->guest_thresholds[to].uuid, uuid))
                to++;
        if (to == from)
                return;
        memmove(s->guest_thresholds + from, s->guest_thresholds + to,
                (s->n_guest_thresholds - to) * sizeof(*s->guest_thresholds));
        s->n_guest_thresholds -= to - from;
}

ThresholdMemo *state_find_guest_threshold(const State *s, const char *uuid, unsigned index) {
        size_t at = guest_threshold_position(s, uuid, index);
        GuestThreshold *t = at < s->n_guest_thresholds ? &s->guest_thresholds[at] : NULL;

        return t && t->index == index && streq(t->uuid, uuid) ? &t->memo : NULL;
}

int state_guest_threshold(State *s, const char *uuid, unsigned index, ThresholdMemo **ret) {
        ThresholdMemo *memo = state_find_guest_threshold(s, uuid, index);

        if (!memo) {
                size_t at = guest_threshold_position(s, uuid, index);
                GuestThreshold *t;
                int r;

                r = GROW_ARRAY(s->guest_thresholds, s->guest_thresholds_capacity, s->n_guest_thresholds);
                if (r < 0)
                        return r;
                t = s->guest_thresholds + at;
                memmove(t + 1, t, (s->n_guest_thresholds - at) * sizeof(*t));
                *t = (GuestThreshold){ .index = index };
                memcpy(t->uuid, uuid, MIN(strlen(uuid), sizeof(t->uuid) - 1));
                s->n_guest_thresholds++;
                memo = &t->memo;
        }
        *ret = memo;
        return 0;
}

void state_forget_thresholds(State *s, size_t n) {
        size_t kept = 0;

        s->n_thresholds = MIN(s->n_thresholds, n);
        for (size_t i = 0; i < s->n_guest_thresholds; i++)
                if (s->guest_thresholds[i].index < n)
                        s->guest_thresholds[kept++] = s->guest_thresholds[i];
        s->n_guest_thresholds = kept;
}

void state_forget_guest(State *s, const char *uuid) {
        size_t kept = 0, at;
        bool found;

        for (size_t i = 0; i < s->n_owned; i++) {
                if (streq(s->owned[i].uuid, uuid))
                        owned_done(&s->owned[i]);
                else
                        s->owned[kept++] = s->owned[i];
        }
        s->n_owned = kept;

        forget_guest_thresholds(s, uuid);
        at = guest_position(s, uuid, &found);
        if (!found)
                return;
        memo_done(&s->guests[at]);
        s->n_guests--;
        memmove(s->guests + at, s->guests + at + 1, (s->n_guests - at) * sizeof(*s->guests));
}

GuestMemo *state_find_guest(const State *s, const char *uuid) {
        bool found;
        size_t at = guest_position(s, uuid, &found);

        return found ? &s->guests[at] : NULL;
}

GuestMemo *state_find_next_guest(const State *s, size_t *at, const char *uuid) {
        if (*at > s->n_guests || (*at > 0 && strcmp(s->guests[*at - 1].uuid, uuid) >= 0))
                *at = 0;
        while (*at < s->n_guests && strcmp(s->guests[*at].uuid, uuid) < 0)
                (*at)++;
        return *at < s->n_guests && streq(s->guests[*at].uuid, uuid) ? &s->guests[*at] : NULL;
}

int state_reserve_guests(State *s, size_t n) {
        GuestMemo *p;

        if (n <= s->guests_capacity)
                return 0;
        p = reallocarray(s->guests, n, sizeof(*p));
        if (!p)
                return -ENOMEM;
        s->guests = p;
        s->guests_capacity = n;
        memory_expect(p + s->n_guests, (n - s->n_guests) * sizeof(*p));
        return 0;
}

int state_guest(State *s, const char *uuid, GuestMemo **ret) {
        bool found;
        size_t at;
        int r;

        if (strlen(uuid) >= UUID_TEXT_SIZE)
                return -EINVAL;
        at = guest_position(s, uuid, &found);
        if (!found) {
                r = GROW_ARRAY(s->guests, s->guests_capacity, s->n_guests);
                if (r < 0)
                        return r;
                memmove(s->guests + at + 1, s->guests + at, (s->n_guests - at) * sizeof(*s->guests));
                s->guests[at] = (GuestMemo){ .major_faults = UNKNOWN_U64, .swap_in_bytes = UNKNOWN_U64 };
                memcpy(s->guests[at].uuid, uuid, strlen(uuid) + 1);
                s->n_guests++;
        }
        *ret = &s->guests[at];
        return 0;
}

int state_pool(State *s, unsigned index, PoolMemo **ret) {
        size_t at = 0;
        int r;

        while (at < s->n_pools && s->pools[at].index < index)
                at++;
        if (at == s->n_pools || s->pools[at].index != index) {
                r = GROW_ARRAY(s->pools, s->pools_capacity, s->n_pools);
                if (r < 0)
                        return r;
                memmove(s->pools + at + 1, s->pools + at, (s->n_pools - at) * sizeof(*s->pools));
                s->pools[at] = (PoolMemo){ .index = index };
                s->n_pools++;
        }
        *ret = &s->pools[at];
        return 0;
}

bool state_pool_is_under_way(const State *s, unsigned index) {
        for (size_t i = 0; i < s->n_pools; i++)
                if (s->pools[i].index == index)
                        return s->pools[i].under_way;
        return false;
}

int state_set_thresholds(State *s, size_t n) {
        ThresholdMemo *p;

        if (n <= s->n_thresholds)
                return 0;
        /* A file that is read has them one by one. */
        if (n > s->thresholds_capacity) {
                size_t capacity = MAX(n, 2 * s->thresholds_capacity);

                p = reallocarray(s->thresholds, capacity, sizeof(*p));
                if (!p)
                        return -ENOMEM;
                s->thresholds = p;
                s->thresholds_capacity = capacity;
        }
        memset(s->thresholds + s->n_thresholds, 0, (n - s->n_thresholds) * sizeof(*s->thresholds));
        s->n_thresholds = n;
        return 0;
}
