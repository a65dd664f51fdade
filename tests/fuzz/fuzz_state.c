/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The state file and the file of reservations. What was read of a damaged state
 * can be used, written and read again to the same text.
 */

#include "../../lib/reservation.h"
#include "../../lib/state.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(state_freep) State *state = NULL, *again = NULL;
        _cleanup_free_ char *text = fuzz_text(data, size), *error = NULL, *first = NULL, *second = NULL;
        _cleanup_free_ Reservation *reservations = NULL;
        bool damaged = false;
        size_t n = 0;
        int r;

        r = state_parse(text, &state, &error);
        fuzz_assert(r == 0 || r == -EBADMSG || r == -EPROTO);
        fuzz_assert(r == 0 || (error && *error));
        if (state) {
                fuzz_assert(state_format(state, &first) == 0);
                fuzz_assert(state_parse(first, &again, &error) == 0);
                fuzz_assert(state_format(again, &second) == 0);
                fuzz_assert(streq(first, second));
        }
        fuzz_assert(reservations_parse(text, UINT64_C(1) << 40, &reservations, &n, &damaged) == 0);
        fuzz_assert(n <= RESERVATIONS_MAX);
        return 0;
}
