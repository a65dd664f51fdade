#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The installed service on a machine with four NUMA nodes (see README.md here).
# Time limit: 3000 s
exec "$(dirname "$0")/lab-test" spine --timeout 900
