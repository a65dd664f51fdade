# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Sourced: seeds TARGET FOLDER puts what the repository has for a target into a folder. From the top.

seeds() {
    local target=$1 to=$2 file i=0
    rm -rf "$to"
    mkdir -p "$to"
    case $target in
        config)
            for file in tests/golden/config-*/*.conf tests/golden/test-policy/*.test conf/kvmtuned.conf conf/examples/*; do
                cp "$file" "$to/$(echo "$file" | tr / _)"
            done
            ;;
        snapshot)
            for file in tests/golden/plan/*/*.snapshot; do cp "$file" "$to/$(echo "$file" | tr / _)"; done
            ;;
        domain_xml) cp tests/fixtures/domains/*.xml "$to" ;;
        kernel_files)
            # The first byte is the number of the file in fuzz_kernel_files.c.
            sed -n '/^static const char \*const paths/,/^};/s/^ *"\(.*\)",$/\1/p' tests/fuzz/fuzz_kernel_files.c |
                while read -r file; do
                    # shellcheck disable=SC2059 # an octal escape is wanted
                    [ ! -e "tests/fixtures/two-nodes/$file" ] ||
                        { printf "\\$(printf %03o $i)" && cat "tests/fixtures/two-nodes/$file"; } >"$to/$i"
                    i=$((i + 1))
                done
            ;;
    esac
}
