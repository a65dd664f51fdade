/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A guest's definition, which any client of libvirt may have written, and the file of its status. */

#include "../../daemon/virt_xml.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(guest_freep) Guest *guest = NULL, *running = NULL;
        _cleanup_free_ char *text = fuzz_text(data, size);

        if (guest_from_xml(text, strlen(text), &guest) < 0)
                fuzz_assert(!guest);
        else
                fuzz_assert(guest->name && strlen(guest->uuid) == UUID_TEXT_SIZE - 1);
        if (guest_from_status_xml(text, strlen(text), &running) < 0)
                fuzz_assert(!running);
        return 0;
}
