#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Time limit: 2000 s
# Each fuzzer for a minute, from all that is known, beside tests that leave a part of the processors: so it is at least
# a minute, and an input that waits for a processor does not hang. Longer runs are make fuzz.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
command -v clang >/dev/null || { echo '1..0 # SKIP no clang'; exit 0; }
mkdir -p "$BUILD"
# What it is made of is compiled by clang.t, which may run just now.
flock "$BUILD/clang.lock" make -s -j"$(nproc)" BUILD="$BUILD" fuzzers >&2 ||
        { echo 'Bail out! the fuzzers do not build'; exit 1; }
mapfile -t targets < <(for f in tests/fuzz/fuzz_*.c; do f=${f##*/fuzz_}; echo "${f%.c}"; done)
FUZZ_JOBS=1 FUZZ_SECONDS=${FUZZ_SECONDS:-80} FUZZ_HANG=120 tests/fuzz/run "$BUILD/fuzz" "${targets[@]}"
