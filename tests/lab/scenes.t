#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The installed service on a machine with four NUMA nodes (see README.md here).
# Time limit: 7200 s
# package comes last: it removes numad, which others need.
read -ra scenes <<<"${LAB_SCENES:-spine advise nodeset hidden kernel competitors faults hot scattered ksm package}"
exec "$(dirname "$0")/lab-test" "${scenes[@]}"
