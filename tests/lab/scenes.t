#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The installed service on a machine with four NUMA nodes (see README.md here).
# Time limit: 7200 s
read -ra scenes <<<"${LAB_SCENES:-spine advise kernel package competitors faults hot scattered ksm}"
exec "$(dirname "$0")/lab-test" "${scenes[@]}"
