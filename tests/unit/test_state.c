/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../../lib/state_fields.h"
#include "../../lib/state_memo.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define UUID_A "00000000-0000-0000-0000-00000000000a"
#define UUID_B "00000000-0000-0000-0000-00000000000b"

static State *new_state(void) {
        State *s = NULL;

        ck_assert_int_eq(state_new(&s), 0);
        return s;
}

static void own(State *s, ActionKind kind, const char *uuid, unsigned index, const char *old_value,
                const char *new_value) {
        Action a = { .kind = kind, .index = index };

        ck_assert_int_eq(strdup_to(&a.uuid, uuid), 0);
        ck_assert_int_eq(strdup_to(&a.old_value, old_value), 0);
        ck_assert_int_eq(strdup_to(&a.new_value, new_value), 0);
        ck_assert_int_eq(state_own(s, &a), 0);
        action_done(&a);
}

static void assert_owned(const State *s, ActionKind kind, const char *uuid, unsigned index, const char *original,
                         const char *ours, const char *previous) {
        const Owned *o = state_find_owned(s, kind, uuid, index);

        ck_assert_ptr_nonnull(o);
        ck_assert_msg(streq_ptr(o->original, original), "original %s", o->original);
        ck_assert_msg(streq_ptr(o->ours, ours), "ours %s", o->ours);
        ck_assert_msg(streq_ptr(o->previous, previous), "previous %s", o->previous);
}

static char *format(const State *s) {
        char *text = NULL;

        ck_assert_int_eq(state_format(s, &text), 0);
        return text;
}

/* ---- ownership ---- */

START_TEST(a_knob_changed_twice_keeps_its_original_and_the_last_two_values) {
        _cleanup_(state_freep) State *s = new_state();

        own(s, ACTION_PIN_VCPU, UUID_A, 0, "0-7", "0-3");
        assert_owned(s, ACTION_PIN_VCPU, UUID_A, 0, "0-7", "0-3", NULL);
        own(s, ACTION_PIN_VCPU, UUID_A, 0, "0-3", "4-7");
        assert_owned(s, ACTION_PIN_VCPU, UUID_A, 0, "0-7", "4-7", "0-3");
        own(s, ACTION_PIN_VCPU, UUID_A, 0, "4-7", "2");
        assert_owned(s, ACTION_PIN_VCPU, UUID_A, 0, "0-7", "2", "4-7");
}
END_TEST

/* Recording twice what was not done must not lose the value the knob really has. */
START_TEST(trying_again_keeps_the_value_that_is_in_place) {
        _cleanup_(state_freep) State *s = new_state();

        own(s, ACTION_PIN_VCPU, UUID_A, 0, "0-7", "0-3");
        own(s, ACTION_PIN_VCPU, UUID_A, 0, "0-3", "4-7");
        own(s, ACTION_PIN_VCPU, UUID_A, 0, "0-3", "4-7");
        assert_owned(s, ACTION_PIN_VCPU, UUID_A, 0, "0-7", "4-7", "0-3");
        own(s, ACTION_PIN_VCPU, UUID_A, 0, "0-3", "5");
        assert_owned(s, ACTION_PIN_VCPU, UUID_A, 0, "0-7", "5", "0-3");
}
END_TEST

START_TEST(setting_the_same_value_again_changes_nothing) {
        _cleanup_(state_freep) State *s = new_state();

        own(s, ACTION_PIN_VCPU, UUID_A, 0, "0-7", "0-3");
        own(s, ACTION_PIN_VCPU, UUID_A, 0, "0-3", "0-3");
        assert_owned(s, ACTION_PIN_VCPU, UUID_A, 0, "0-7", "0-3", NULL);
}
END_TEST

/* A balloon that has not moved yet may still obey the request before, while the last one is lost. */
START_TEST(a_request_to_a_balloon_does_not_undo_the_one_before) {
        _cleanup_(state_freep) State *s = new_state();

        own(s, ACTION_SET_BALLOON, UUID_A, 0, "9", "7");
        own(s, ACTION_SET_BALLOON, UUID_A, 0, "7", "5");
        own(s, ACTION_SET_BALLOON, UUID_A, 0, "7", "8");
        assert_owned(s, ACTION_SET_BALLOON, UUID_A, 0, "9", "8", "5");
        own(s, ACTION_SET_KSM, "", KSM_KNOB_PAGES_TO_SCAN, "9", "7");
        own(s, ACTION_SET_KSM, "", KSM_KNOB_PAGES_TO_SCAN, "7", "5");
        own(s, ACTION_SET_KSM, "", KSM_KNOB_PAGES_TO_SCAN, "7", "8");
        assert_owned(s, ACTION_SET_KSM, "", KSM_KNOB_PAGES_TO_SCAN, "9", "8", "7");
}
END_TEST

START_TEST(moved_memory_is_not_owned) {
        _cleanup_(state_freep) State *s = new_state();

        own(s, ACTION_MOVE_MEMORY, UUID_A, 0, "0", "1");
        ck_assert_uint_eq(s->n_owned, 0);
}
END_TEST

START_TEST(forgetting_a_guest_leaves_the_others_and_the_host) {
        _cleanup_(state_freep) State *s = new_state();
        GuestMemo *memo;

        own(s, ACTION_PIN_VCPU, UUID_A, 0, "0", "1");
        own(s, ACTION_PIN_VCPU, UUID_B, 0, "0", "1");
        own(s, ACTION_SET_BALLOON, UUID_A, 0, "5", "4");
        own(s, ACTION_SET_KSM, "", KSM_KNOB_RUN, "0", "1");
        ck_assert_int_eq(state_guest(s, UUID_A, &memo), 0);
        ck_assert_int_eq(state_guest(s, UUID_B, &memo), 0);
        state_forget_guest(s, UUID_A);
        ck_assert_uint_eq(s->n_owned, 2);
        assert_owned(s, ACTION_PIN_VCPU, UUID_B, 0, "0", "1", NULL);
        assert_owned(s, ACTION_SET_KSM, "", KSM_KNOB_RUN, "0", "1", NULL);
        ck_assert_ptr_null(state_find_guest(s, UUID_A));
        ck_assert_ptr_nonnull(state_find_guest(s, UUID_B));
        state_disown(s, ACTION_SET_KSM, "", KSM_KNOB_RUN);
        state_disown(s, ACTION_SET_KSM, "", KSM_KNOB_RUN);
        ck_assert_uint_eq(s->n_owned, 1);
}
END_TEST

START_TEST(a_new_memo_has_seen_no_counters) {
        _cleanup_(state_freep) State *s = new_state();
        GuestMemo *memo, *again;

        ck_assert_int_eq(state_guest(s, UUID_A, &memo), 0);
        ck_assert_uint_eq(memo->major_faults, UNKNOWN_U64);
        ck_assert_uint_eq(memo->swap_in_bytes, UNKNOWN_U64);
        memo->moves = 3;
        ck_assert_int_eq(state_guest(s, UUID_A, &again), 0);
        ck_assert_uint_eq(again->moves, 3);
        ck_assert_uint_eq(s->n_guests, 1);
}
END_TEST

START_TEST(thresholds_grow_and_do_not_shrink) {
        _cleanup_(state_freep) State *s = new_state();

        ck_assert_int_eq(state_set_thresholds(s, 2), 0);
        s->thresholds[1].active = true;
        ck_assert_int_eq(state_set_thresholds(s, 5), 0);
        ck_assert(s->thresholds[1].active && !s->thresholds[4].active);
        ck_assert_int_eq(state_set_thresholds(s, 1), 0);
        ck_assert_uint_eq(s->n_thresholds, 5);
}
END_TEST

/* ---- text ---- */

static State *full_state(void) {
        State *s = new_state();
        GuestMemo *memo;

        ck_assert_int_eq(strdup_to(&s->boot_id, "8f2e"), 0);
        own(s, ACTION_PIN_VCPU, UUID_A, 1, "0-7", "0-3");
        own(s, ACTION_PIN_VCPU, UUID_A, 1, "0-3", "2");
        own(s, ACTION_SET_NODESET, UUID_A, 0, "", "0");
        own(s, ACTION_SET_KSM, "", KSM_KNOB_RUN, "0", "a b%\n\x7f");
        ck_assert_int_eq(state_guest(s, UUID_A, &memo), 0);
        ck_assert_int_eq(state_place(s, memo, &(IdSet){ .words = { 1U << 2 | 1U << 3 } }), 0);
        ck_assert_int_eq(memo_make_cpus(memo), 0);
        ck_assert_int_eq(idset_add_range(memo->cpus, 8, 9), 0);
        ck_assert_int_eq(memo_make_memory_only(memo), 0);
        ck_assert_int_eq(idset_add(memo->memory_only, 34), 0);
        ck_assert_int_eq(memo_make_cell_nodes(memo), 0);
        memo->n_cells = 2;
        memo->cell_nodes[0] = 3;
        memo->cell_nodes[1] = 2;
        ck_assert_int_eq(memo_make_balloon_samples(memo), 0);
        ck_assert_int_eq(memo_make_left(memo), 0);
        memo->n_left = 2;
        memo->left[0] = (NodeLeft){ .node = 33, .usec = 5 };
        memo->left[1] = (NodeLeft){ .node = 2, .usec = 77 };
        memo->start_time = 123456;
        memo->placed_usec = UINT64_MAX - 1;
        memo->calls_open = true;
        memo->calls_open_usec = 99;
        memo->moves = UINT32_MAX;
        memo->user_pinned = true;
        memo->vcpus_watched = true;
        memo->vcpus_target = 3;
        memo->vcpus_from = 4;
        memo->vcpus_asked_usec = 88;
        memo->vcpus_late = 2;
        memo->balloon_before_bytes = 90;
        memo->balloon_stuck_until_usec = 91;
        memo->balloon_held_until_usec = 92;
        memo->major_faults = 0;
        ck_assert_int_eq(state_set_thresholds(s, 2), 0);
        s->thresholds[1] = (ThresholdMemo){ .raw = true, .raw_since_usec = 7, .active = true };
        ck_assert_int_eq(state_add_stopped(s, "mom vdsm.service"), 0);
        ck_assert_int_eq(state_add_stopped(s, "numad.service"), 0);
        s->ksm_on = s->reclaiming = true;
        s->ksm_pages = 1250;
        for (unsigned i = 3; i > 0; i--) {
                PoolMemo *pool;

                ck_assert_int_eq(state_pool(s, i << POOL_SIZE_BITS | 21, &pool), 0);
                pool->tries = 2;
                pool->taken = i != 2;
        }
        return s;
}

static const char full_text[] =
        "kvmtuned-state 1\n"
        "boot 8f2e\n"
        "own pin-vcpu " UUID_A " 1 original=0-7 ours=2 previous=0-3\n"
        "own set-nodeset " UUID_A " 0 original= ours=0\n"
        "own set-ksm - 0 original=0 ours=a%20b%25%0A%7F\n"
        "guest " UUID_A " nodes=2-3 cpus=8-9 memory_only=34 cells=3,2 left=33:5,2:77 start_time=123456"
        " placed_usec=18446744073709551614 calls_open=1 calls_open_usec=99 moves=4294967295"
        " user_pinned=1 balloon_before_bytes=90 balloon_stuck_until_usec=91 balloon_held_until_usec=92 vcpus_target=3"
        " vcpus_from=4 vcpus_asked_usec=88 vcpus_late=2 major_faults=0\n"
        "threshold 0\n"
        "threshold 1 raw=1 raw_since_usec=7 active=1\n"
        "stopped mom%20vdsm.service\n"
        "stopped numad.service\n"
        "host ksm_on=1 ksm_pages=1250 reclaiming=1\n"
        "pool 85 taken=1\n"
        "pool 213 taken=1\n"
        "end\n";

START_TEST(the_text_form_is_as_documented) {
        _cleanup_(state_freep) State *s = full_state();
        _cleanup_free_ char *text = format(s);

        ck_assert_str_eq(text, full_text);
}
END_TEST

START_TEST(text_reads_back_to_the_same_state) {
        _cleanup_(state_freep) State *s = NULL, *copy = NULL;
        _cleanup_free_ char *error = NULL, *again = NULL, *copied = NULL;
        const GuestMemo *memo;

        ck_assert_int_eq(state_parse(full_text, &s, &error), 0);
        again = format(s);
        ck_assert_str_eq(again, full_text);
        assert_owned(s, ACTION_SET_KSM, "", KSM_KNOB_RUN, "0", "a b%\n\x7f", NULL);
        assert_owned(s, ACTION_SET_NODESET, UUID_A, 0, "", "0", NULL);
        memo = state_find_guest(s, UUID_A);
        ck_assert_uint_eq(memo->start_time, 123456);
        ck_assert_uint_eq(memo->placed_usec, UINT64_MAX - 1);
        ck_assert_uint_eq(memo->swap_in_bytes, UNKNOWN_U64);
        ck_assert(s->ksm_on && s->reclaiming && !s->ksm_taken);
        ck_assert(state_has_stopped(s, "mom vdsm.service") && !state_has_stopped(s, "mom"));
        ck_assert(memo->adopted && s->ksm_adopted);
        ck_assert_int_eq(state_copy(s, &copy), 0);
        ck_assert(copy->guests[0].adopted && copy->ksm_adopted);
        copied = format(copy);
        ck_assert_str_eq(copied, full_text);
}
END_TEST

START_TEST(a_copy_is_independent) {
        _cleanup_(state_freep) State *s = full_state(), *copy = NULL;
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(state_copy(s, &copy), 0);
        state_forget_guest(s, UUID_A);
        s->thresholds[1].active = false;
        state_remove_stopped(s, "mom vdsm.service");
        ck_assert(state_has_stopped(s, "numad.service") && s->n_stopped == 1);
        (void)strdup_to(&s->boot_id, "other");
        text = format(copy);
        ck_assert_str_eq(text, full_text);
        own(copy, ACTION_SET_BALLOON, UUID_B, 0, "1", "2");
        ck_assert_uint_eq(copy->n_owned, 4);
}
END_TEST

START_TEST(guests_on_the_same_nodes_share_them) {
        _cleanup_(state_freep) State *s = new_state(), *copy = NULL;
        GuestMemo *a, *b;

        ck_assert_int_eq(state_guest(s, UUID_A, &a), 0);
        ck_assert_int_eq(state_guest(s, UUID_B, &b), 0);
        a = state_find_guest(s, UUID_A);
        for (unsigned node = 0; node < 100; node++) {
                IdSet nodes = idset_of(node);

                ck_assert_int_eq(state_place(s, a, &nodes), 0);
                ck_assert_int_eq(state_place(s, b, memo_nodes(a)), 0);
                ck_assert_ptr_eq(memo_nodes(a), memo_nodes(b));
                ck_assert(idset_equal(memo_nodes(a), &nodes));
        }
        /* Those that nobody is on any more did not pile up. */
        ck_assert_uint_le(s->n_places, 8);
        ck_assert_int_eq(state_copy(s, &copy), 0);
        ck_assert_uint_eq(copy->n_places, 1);
        memo_drop_nodes(a);
        ck_assert(!memo_is_placed(a) && idset_is_empty(memo_nodes(a)));
        ck_assert(idset_contains(memo_nodes(b), 99));
        state_forget_guest(s, UUID_B);
        ck_assert(idset_contains(memo_nodes(state_find_guest(copy, UUID_A)), 99));
}
END_TEST

/* Whatever was on disk when the power went: known as cut short, and nothing is invented. */
START_TEST(a_file_cut_short_anywhere_is_noticed) {
        for (size_t n = 0; n + 1 < sizeof(full_text) - 1; n++) {
                _cleanup_(state_freep) State *s = NULL;
                _cleanup_free_ char *error = NULL, *text = strndup(full_text, n);
                unsigned lines = 0;

                for (const char *p = text; *p; p++)
                        lines += *p == '\n';
                ck_assert_int_eq(state_parse(text, &s, &error), -EBADMSG);
                ck_assert_ptr_nonnull(error);
                ck_assert_ptr_nonnull(s);
                ck_assert_uint_eq(s->n_owned, lines < 3 ? 0 : lines > 5 ? 3 : lines - 2);
        }
}
END_TEST

static const struct {
        const char *text;
        int result;
        const char *error;
        size_t n_owned;
} bad_rows[] = {
        { "", -EBADMSG, "line 1: the file is cut short", 0 },
        { "x\n", -EBADMSG, "line 1: this is not a state file of kvmtuned", 0 },
        { "kvmtuned-state 0\nend\n", -EBADMSG, "line 1: this is not a state file of kvmtuned", 0 },
        { "kvmtuned-state 1x\nend\n", -EBADMSG, "line 1: this is not a state file of kvmtuned", 0 },
        { "kvmtuned-state 2\nend\n", -EPROTO, "line 1: written by a newer version of kvmtuned", 0 },
        { "kvmtuned-state 1\nfrob x\nend\n", -EBADMSG, "line 2: not a record: \"frob\"", 0 },
        { "kvmtuned-state 1\n\nend\n", -EBADMSG, "line 2: not a record: \"\"", 0 },
        { "kvmtuned-state 1\nend\nend\n", -EBADMSG, "line 3: nothing may follow \"end\"", 0 },
        { "kvmtuned-state 1\nend x\n", -EBADMSG, "line 2: nothing may follow \"end\"", 0 },
        { "kvmtuned-state 1\nboot\nend\n", -EBADMSG, "line 2: the boot id is missing", 0 },
        { "kvmtuned-state 1\nown set-ksm - 0 original=0 ours=1\nown set-ksm - 1\nend\n", -EBADMSG, "line 3: original= and ours= are needed",
          1 },
        { "kvmtuned-state 1\nown set-ksm - 0 original=0 ours=1\nown set-ksm - 0 original=0 ours=1\nend\n", -EBADMSG,
          "line 3: this setting is recorded twice", 1 },
        { "kvmtuned-state 1\nown set-ksm - 0 ours=1\nend\n", -EBADMSG, "line 2: original= and ours= are needed", 0 },
        { "kvmtuned-state 1\nown set-ksm - 8 original=0 ours=1\nend\n", -EBADMSG, "line 2: there is no KSM setting 8", 0 },
        { "kvmtuned-state 1\nown move-memory a 0 original=0 ours=1\nend\n", -EBADMSG,
          "line 2: not a kind of setting: \"move-memory\"", 0 },
        { "kvmtuned-state 1\nown set-ksm - 4294967296 original=0 ours=1\nend\n", -EBADMSG,
          "line 2: the index is not a number from 0 to 4294967295", 0 },
        { "kvmtuned-state 1\nown set-ksm - -1 original=0 ours=1\nend\n", -EBADMSG,
          "line 2: the index is not a number from 0 to 4294967295", 0 },
        { "kvmtuned-state 1\nown set-ksm - 0 original=0 ours=%\nend\n", -EBADMSG,
          "line 2: the value of ours is not properly escaped", 0 },
        { "kvmtuned-state 1\nown set-ksm - 0 original=0 ours=%0\nend\n", -EBADMSG,
          "line 2: the value of ours is not properly escaped", 0 },
        { "kvmtuned-state 1\nown set-ksm - 0 original=0 ours=a%00b\nend\n", -EBADMSG,
          "line 2: the value of ours is not properly escaped", 0 },
        { "kvmtuned-state 1\nown set-ksm - 0 original=0 ours=a\tb\nend\n", -EBADMSG,
          "line 2: the value of ours is not properly escaped", 0 },
        { "kvmtuned-state 1\nown set-ksm - 0 original=0 ours=1 x\nend\n", -EBADMSG, "line 2: this is not key=value: \"x\"", 0 },
        { "kvmtuned-state 1\nown pin-vcpu 0123456789012345678901234567890123456 0 original=0 ours=1\nend\n", -EBADMSG,
          "line 2: the UUID is too long", 0 },
        { "kvmtuned-state 1\nguest a\nguest a\nend\n", -EBADMSG, "line 3: this guest is recorded twice", 0 },
        { "kvmtuned-state 1\nguest a nodes=0-4096\nend\n", -EBADMSG,
          "line 2: nodes is not a list of nodes: \"0-4096\"", 0 },
        { "kvmtuned-state 1\nguest a left=1:2,3\nend\n", -EBADMSG,
          "line 2: left is not a node and a time each, of at most 8 nodes", 0 },
        { "kvmtuned-state 1\nguest a left=4096:2\nend\n", -EBADMSG,
          "line 2: left is not a node and a time each, of at most 8 nodes", 0 },
        { "kvmtuned-state 1\nguest a left=0:0,1:0,2:0,3:0,4:0,5:0,6:0,7:0,8:0\nend\n", -EBADMSG,
          "line 2: left is not a node and a time each, of at most 8 nodes", 0 },
        { "kvmtuned-state 1\nguest a pins_seen=2\nend\n", -EBADMSG,
          "line 2: pins_seen is not a number in its range: \"2\"", 0 },
        { "kvmtuned-state 1\nguest a moves=4294967296\nend\n", -EBADMSG,
          "line 2: moves is not a number in its range: \"4294967296\"", 0 },
        { "kvmtuned-state 1\nguest a placed_usec=18446744073709551616\nend\n", -EBADMSG,
          "line 2: placed_usec is not a number in its range: \"18446744073709551616\"", 0 },
        { "kvmtuned-state 1\nthreshold 65536\nend\n", -EBADMSG, "line 2: the threshold's number is above 65535", 0 },
        { "kvmtuned-state 1\nstopped\nend\n", -EBADMSG, "line 2: the unit's name is missing", 0 },
        { "kvmtuned-state 1\nstopped a.service\nstopped a.service\nend\n", -EBADMSG,
          "line 3: this unit is recorded twice", 0 },
        { "kvmtuned-state 1\nhost ksm_on=yes\nend\n", -EBADMSG,
          "line 2: ksm_on is not a number in its range: \"yes\"", 0 },
        { "kvmtuned-state 1\npool\nend\n", -EBADMSG, "line 2: the pool's number is missing", 0 },
        { "kvmtuned-state 1\npool 85 taken=2\nend\n", -EBADMSG, "line 2: taken is not a number in its range: \"2\"", 0 },
        { "kvmtuned-state 1\npool 85\npool 85 taken=1\nend\n", -EBADMSG, "line 3: this pool is recorded twice", 0 },
};

START_TEST(malformed_text_names_the_line_and_keeps_what_precedes_it) {
        _cleanup_(state_freep) State *s = NULL;
        _cleanup_free_ char *error = NULL;

        ck_assert_int_eq(state_parse(bad_rows[_i].text, &s, &error), bad_rows[_i].result);
        ck_assert_str_eq(error, bad_rows[_i].error);
        if (bad_rows[_i].result == -EBADMSG)
                ck_assert_uint_eq(s->n_owned, bad_rows[_i].n_owned);
        else
                ck_assert_ptr_null(s);
}
END_TEST

START_TEST(keys_of_a_newer_version_are_ignored) {
        _cleanup_(state_freep) State *s = NULL;
        _cleanup_free_ char *error = NULL;

        ck_assert_int_eq(state_parse("kvmtuned-state 1\nown set-ksm - 0 original=0 ours=1 colour=red\n"
                                     "guest a shape=round moves=2\nhost x=y\nend\n", &s, &error), 0);
        assert_owned(s, ACTION_SET_KSM, "", 0, "0", "1", NULL);
        ck_assert_uint_eq(state_find_guest(s, "a")->moves, 2);
}
END_TEST

/* ---- file ---- */

static char *temporary_folder(void) {
        char *path = strdup("/tmp/test_state.XXXXXX");

        ck_assert_ptr_nonnull(mkdtemp(path));
        return path;
}

static char *read_text(const char *path) {
        _cleanup_(state_freep) State *s = NULL;
        _cleanup_free_ char *error = NULL;

        ck_assert_int_eq(state_load(path, &s, &error), 0);
        return format(s);
}

START_TEST(a_saved_state_is_loaded_again_and_only_root_reads_it) {
        _cleanup_free_ char *folder = temporary_folder(), *path = NULL, *temporary = NULL, *text = NULL;
        _cleanup_(state_freep) State *s = full_state();
        struct stat st;

        ck_assert_int_eq(strprintf_to(&path, "%s/state", folder), 0);
        ck_assert_int_eq(strprintf_to(&temporary, "%s.new", path), 0);
        (void)umask(0);
        ck_assert_int_eq(state_save(s, path), 0);
        text = read_text(path);
        ck_assert_str_eq(text, full_text);
        ck_assert_int_eq(stat(path, &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777, 0600);
        ck_assert_int_lt(access(temporary, F_OK), 0);
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

/* RLIMIT_FSIZE fails the write in the middle, as a full disk does. */
START_TEST(a_failed_save_leaves_the_old_file_and_no_other) {
        _cleanup_free_ char *folder = temporary_folder(), *path = NULL, *text = NULL;
        _cleanup_(state_freep) State *small = new_state(), *s = full_state();
        struct rlimit old, limit = { 100, 100 };

        ck_assert_int_eq(strprintf_to(&path, "%s/state", folder), 0);
        ck_assert_int_eq(state_save(small, path), 0);
        ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
        (void)signal(SIGXFSZ, SIG_IGN);
        limit.rlim_max = old.rlim_max;
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        ck_assert_int_eq(state_save(s, path), -EFBIG);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
        text = read_text(path);
        ck_assert_str_eq(text, "kvmtuned-state 1\nhost\nend\n");
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

/* A crash left it, or somebody planted it. */
START_TEST(a_link_in_the_temporary_files_place_is_not_followed) {
        _cleanup_free_ char *folder = temporary_folder(), *path = NULL, *temporary = NULL, *victim = NULL;
        _cleanup_(state_freep) State *s = new_state();

        ck_assert_int_eq(strprintf_to(&path, "%s/state", folder), 0);
        ck_assert_int_eq(strprintf_to(&temporary, "%s.new", path), 0);
        ck_assert_int_eq(strprintf_to(&victim, "%s/victim", folder), 0);
        ck_assert_int_eq(symlink(victim, temporary), 0);
        ck_assert_int_eq(state_save(s, path), 0);
        ck_assert_int_lt(access(victim, F_OK), 0);
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

START_TEST(folders_that_are_missing_are_named_by_errno) {
        _cleanup_(state_freep) State *s = new_state(), *loaded = NULL;
        _cleanup_free_ char *error = NULL;

        ck_assert_int_eq(state_save(s, "/tmp/test_state.none/state"), -ENOENT);
        ck_assert_int_eq(state_save(s, "/tmp/"), -EISDIR);
        ck_assert_int_eq(state_load("/tmp/test_state.none/state", &loaded, &error), -ENOENT);
        ck_assert_ptr_null(loaded);
        ck_assert_ptr_null(error);
}
END_TEST

START_TEST(ten_thousand_guests_are_kept) {
        _cleanup_free_ char *folder = temporary_folder(), *path = NULL, *before = NULL, *after = NULL;
        _cleanup_(state_freep) State *s = new_state();
        char uuid[UUID_TEXT_SIZE];
        GuestMemo *memo;

        for (unsigned i = 0; i < 10000; i++) {
                (void)snprintf(uuid, sizeof(uuid), "00000000-0000-0000-0000-%012u", i * 7919 % 10000);
                for (unsigned k = 0; k < 3; k++)
                        own(s, k == 0 ? ACTION_SET_BALLOON : ACTION_PIN_VCPU, uuid, k, "0-7", "0-3");
                ck_assert_int_eq(state_guest(s, uuid, &memo), 0);
                memo->moves = i;
        }
        ck_assert_uint_eq(s->n_owned, 30000);
        assert_owned(s, ACTION_PIN_VCPU, uuid, 2, "0-7", "0-3", NULL);
        ck_assert_uint_eq(state_find_guest(s, uuid)->moves, 9999);
        before = format(s);
        ck_assert_int_eq(strprintf_to(&path, "%s/state", folder), 0);
        ck_assert_int_eq(state_save(s, path), 0);
        after = read_text(path);
        ck_assert(streq(before, after));
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

static void add_tests(TCase *c) {
        tcase_add_test(c, a_knob_changed_twice_keeps_its_original_and_the_last_two_values);
        tcase_add_test(c, trying_again_keeps_the_value_that_is_in_place);
        tcase_add_test(c, setting_the_same_value_again_changes_nothing);
        tcase_add_test(c, a_request_to_a_balloon_does_not_undo_the_one_before);
        tcase_add_test(c, moved_memory_is_not_owned);
        tcase_add_test(c, forgetting_a_guest_leaves_the_others_and_the_host);
        tcase_add_test(c, a_new_memo_has_seen_no_counters);
        tcase_add_test(c, thresholds_grow_and_do_not_shrink);
        tcase_add_test(c, the_text_form_is_as_documented);
        tcase_add_test(c, text_reads_back_to_the_same_state);
        tcase_add_test(c, a_copy_is_independent);
        tcase_add_test(c, guests_on_the_same_nodes_share_them);
        tcase_add_test(c, a_file_cut_short_anywhere_is_noticed);
        tcase_add_loop_test(c, malformed_text_names_the_line_and_keeps_what_precedes_it, 0,
                            (int)ELEMENTSOF(bad_rows));
        tcase_add_test(c, keys_of_a_newer_version_are_ignored);
        tcase_add_test(c, a_saved_state_is_loaded_again_and_only_root_reads_it);
        tcase_add_test(c, a_failed_save_leaves_the_old_file_and_no_other);
        tcase_add_test(c, a_link_in_the_temporary_files_place_is_not_followed);
        tcase_add_test(c, folders_that_are_missing_are_named_by_errno);
        tcase_add_test(c, ten_thousand_guests_are_kept);
}

int main(void) {
        Suite *s = suite_create("state");
        TCase *c = tcase_create("all");
        SRunner *runner;
        int failed;

        suite_add_tcase(s, c);
        tcase_set_timeout(c, 60);
        add_tests(c);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
