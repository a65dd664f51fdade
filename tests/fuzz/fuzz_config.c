/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The policy file, and an administrator's tests of one. What is refused has a reason. */

#include "../../lib/config.h"
#include "../../lib/rule_test.h"

#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(rule_tests_freep) RuleTests *tests = NULL;
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_free_ char *error = NULL, *test_error = NULL;
        _cleanup_close_ int fd = memfd_create("policy", MFD_CLOEXEC);
        char path[64];

        fuzz_assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (config_load(path, &config, &error) < 0)
                fuzz_assert(!config && error && *error);
        if (rule_tests_load(path, &tests, &test_error) < 0)
                fuzz_assert(!tests && test_error && *test_error);
        return 0;
}
