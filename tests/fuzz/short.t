#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Time limit: 600 s
# Each fuzzer for ten seconds, from all that is known; long runs are make fuzz.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
command -v clang >/dev/null || { echo '1..0 # SKIP no clang'; exit 0; }
make -s -j"$(nproc)" BUILD="$BUILD" WERROR= fuzzers >&2 || { echo 'Bail out! the fuzzers do not build'; exit 1; }
mapfile -t targets < <(for f in tests/fuzz/fuzz_*.c; do f=${f##*/fuzz_}; echo "${f%.c}"; done)
FUZZ_SECONDS=${FUZZ_SECONDS:-10} exec tests/fuzz/run "$BUILD/fuzz" "${targets[@]}"
