/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "psi.h"

#include "parse.h"

/* A percentage with two decimals is a number of ten-thousandths. */
static uint32_t parse_avg10(const char *text, const char *kind) {
        const char *p = strstr(text, kind);
        unsigned whole, rest;

        if (!p)
                return UNKNOWN_PERMYRIAD;
        p += strlen(kind);
        if (parse_unsigned_prefix(&p, &whole) < 0 || *p++ != '.' || parse_unsigned_prefix(&p, &rest) < 0)
                return UNKNOWN_PERMYRIAD;
        if (whole > 100 || rest > 99)
                return UNKNOWN_PERMYRIAD;
        return MIN(whole * 100 + rest, PERMYRIAD_FULL);
}

Psi psi_read(SysfsFile *f, int root_fd) {
        const char *text;

        if (sysfs_file_read_optional(f, root_fd, &text) < 0)
                return PSI_UNKNOWN;
        return (Psi){ parse_avg10(text, "some avg10="), parse_avg10(text, "full avg10=") };
}
