/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Where the code is instrumented (AddressSanitizer, or --coverage as the
 * Makefile builds it) an instance takes five to ten times as long, and what is
 * looked for shows in a part of them: one of this many. A prime, so that a
 * stride through a product of tables meets each row of each.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(COVERAGE)
#define ONE_INSTANCE_OF 5
#else
#define ONE_INSTANCE_OF 1
#endif
