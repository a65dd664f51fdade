/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Only segments that were never writable are let go: a page of a private
 * mapping that was written, as by relocation, exists nowhere else. (A debugger's
 * breakpoints are such writes too: those set before are lost.)
 */

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>

#include "../lib/base.h"
#include "footprint.h"

static void release_segment(ElfW(Addr) base, const ElfW(Phdr) *segment) {
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
        uintptr_t begin = (base + segment->p_vaddr + page - 1) / page * page;
        uintptr_t end = (base + segment->p_vaddr + segment->p_filesz) / page * page;

        if (begin < end)
                (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

static int release_object(struct dl_phdr_info *info, size_t size, void *userdata) {
        (void)size;
        (void)userdata;
        for (unsigned i = 0; i < info->dlpi_phnum; i++)
                if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_W) == 0)
                        release_segment(info->dlpi_addr, &info->dlpi_phdr[i]);
        return 0;
}

void footprint_release(void) {
        (void)dl_iterate_phdr(release_object, NULL);
        (void)malloc_trim(0);
}
