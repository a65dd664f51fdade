#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Advice before the first page on four NUMA nodes (see README.md here).
# Time limit: 3000 s
exec "$(dirname "$0")/lab-test" advise --timeout 900
