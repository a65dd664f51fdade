#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Advice before the first page on four NUMA nodes (see README.md here).
set -eu
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}
out=${LAB_RESULTS:-$BUILD/lab}
mkdir -p "$BUILD/lab"
rm -rf "$BUILD/lab/root"
make -s BUILD="$BUILD" install DESTDIR="$PWD/$BUILD/lab/root" PREFIX=/usr >/dev/null
tar -C "$BUILD/lab/root" -cf "$BUILD/lab/root.tar" .
exec tests/lab/lab-run --out "$out/advise" --timeout 900 tests/lab/advise.sh "$BUILD/lab/root.tar"
