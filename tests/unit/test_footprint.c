/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <check.h>
#include <link.h>
#include <stdio.h>

#include "../../daemon/footprint.h"
#include "../../lib/config.h"
#include "../../lib/topology.h"

static unsigned long resident_file_kib(void) {
        FILE *f = fopen("/proc/self/status", "re");
        unsigned long kib = 0;
        char line[256];

        ck_assert_ptr_nonnull(f);
        while (fgets(line, sizeof(line), f))
                if (sscanf(line, "RssFile: %lu kB", &kib) == 1)
                        break;
        (void)fclose(f);
        return kib;
}

/* Relocated tables, string constants and code of libraries must all be as before. */
START_TEST(program_goes_on_as_before) {
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_free_ char *error = NULL;
        _cleanup_(topology_freep) Topology *topology = NULL;

        footprint_release();
        ck_assert_int_eq(config_key_find("balloon", "stats_period"), KEY_BALLOON_STATS_PERIOD);
        ck_assert_int_eq(config_load_text("x", "ksm: { mode = \"maybe\"; };", &config, &error), -EBADMSG);
        ck_assert_ptr_nonnull(strstr(error, "maybe"));
        ck_assert_int_eq(topology_load_synthetic("numa:2 core:2 pu:1", &topology), 0);
        ck_assert_uint_eq(topology->n_nodes, 2);
}
END_TEST

/* It reads what lies between the variables too. */
__attribute__((no_sanitize("address")))
static int touch_object(struct dl_phdr_info *info, size_t size, void *userdata) {
        (void)size;
        (void)userdata;
        for (unsigned i = 0; i < info->dlpi_phnum; i++) {
                const ElfW(Phdr) *p = &info->dlpi_phdr[i];

                if (p->p_type != PT_LOAD || (p->p_flags & PF_R) == 0)
                        continue;
                for (size_t at = 0; at < p->p_filesz; at += 4096)
                        (void)*((volatile const char *)(info->dlpi_addr + p->p_vaddr) + at);
        }
        return 0;
}

/* A child of fork(2) has none of it in its page tables yet. */
START_TEST(resident_code_shrinks) {
        unsigned long before;

        (void)dl_iterate_phdr(touch_object, NULL);
        before = resident_file_kib();
        footprint_release();
        ck_assert_uint_lt(resident_file_kib(), before / 2);
}
END_TEST

int main(void) {
        Suite *s = suite_create("footprint");
        TCase *t = tcase_create("release");
        SRunner *runner;
        int failed;

        tcase_add_test(t, program_goes_on_as_before);
        tcase_add_test(t, resident_code_shrinks);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
