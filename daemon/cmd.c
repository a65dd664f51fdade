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

int cmd_load_state(const char *path, State **ret) {
        _cleanup_(state_freep) State *s = NULL;
        _cleanup_free_ char *error = NULL;
        int r;

        r = state_load(path, &s, &error);
        if (r < 0 && error)
                (void)fprintf(stderr, "%s: %s\n", path, error);
        else if (r < 0)
                (void)cmd_complain(path, r, NULL);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

int cmd_print(const char *command, const char *text) {
        int r;

        if (fputs(text, stdout) >= 0 && fflush(stdout) == 0)
                return 0;
        r = -errno;
        (void)fprintf(stderr, "%s: cannot write: %s\n", command, strerrordesc_np(-r));
        return r;
}
