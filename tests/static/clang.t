#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Time limit: 900 s
# The whole tree compiles with clang and the flags of the Makefile; as the fuzzers want it, so that they are built, too.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}

if ! command -v clang >/dev/null; then
        echo '1..0 # SKIP no clang'
        exit 0
fi
echo 1..1
mkdir -p "$BUILD"
# The fuzzers are made of the same objects, and may be wanted just now.
if text=$(flock "$BUILD/clang.lock" make -s -k -j"$(nproc)" BUILD="$BUILD" clang-objects 2>&1); then
        echo 'ok 1 - clang has nothing to say'
else
        echo 'not ok 1 - clang has nothing to say'
        grep -E ' (error|warning): |\*\*\*|undefined' <<<"$text" | head -n 40 | sed 's/^/# /'
        exit 1
fi
