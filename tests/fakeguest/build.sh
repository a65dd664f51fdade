#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# build.sh OUT [SYMBOL=NUMBER]... - builds the 64 KiB BIOS image (see fakeguest.S;
# what the symbols do is in README.md).
set -e
out=${1:?usage: build.sh OUT [SYMBOL=NUMBER]...}
here=$(cd "$(dirname "$0")" && pwd)
shift
for symbol; do
    set -- "$@" --defsym "$symbol"
    shift
done
as --32 "$@" -o "$out.o" "$here/fakeguest.S"
ld -m elf_i386 -Ttext 0 --oformat binary -e 0 -o "$out" "$out.o"
rm -f "$out.o"
[ "$(stat -c %s "$out")" = 65536 ]
