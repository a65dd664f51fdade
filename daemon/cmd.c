/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmd.h"

#include <stdio.h>
#include <string.h>

int cmd_complain(const char *path, int r, const char *error) {
        if (r < 0 && error)
                (void)fputs(error, stderr);
        else if (r < 0)
                (void)fprintf(stderr, "%s: %s\n", path, strerrordesc_np(-r));
        return r;
}
