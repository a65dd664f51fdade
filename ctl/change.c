/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "ctl.h"

/* Programs get an object in each case; what was done has no members. */
static CtlStatus change(Ctl *c, const char *method, const char *const *arguments, size_t n) {
        CtlStatus status;

        if (source_is_file(c)) {
                (void)fprintf(stderr, "kvmtunectl: nothing can be changed in a snapshot\n");
                return CTL_USAGE;
        }
        status = source_bus_change(c, method, arguments, n, NULL);
        if (status == CTL_OK && c->json)
                (void)puts("{}");
        return status;
}

CtlStatus change_pause(Ctl *c, char **arguments, int n) {
        (void)arguments, (void)n;
        return change(c, "Pause", NULL, 0);
}

CtlStatus change_resume(Ctl *c, char **arguments, int n) {
        (void)arguments, (void)n;
        return change(c, "Resume", NULL, 0);
}

CtlStatus change_reload(Ctl *c, char **arguments, int n) {
        (void)arguments, (void)n;
        return change(c, "Reload", NULL, 0);
}

CtlStatus change_restore(Ctl *c, char **arguments, int n) {
        CtlStatus status;
        uint64_t left;

        (void)arguments, (void)n;
        if (source_is_file(c))
                return change(c, "Restore", NULL, 0);
        status = source_bus_change(c, "Restore", NULL, 0, &left);
        if (status != CTL_OK)
                return status;
        if (c->json)
                (void)printf("{ \"left\": %" PRIu64 " }\n", left);
        else if (left == 0)
                (void)puts("Everything is put back; kvmtuned is paused. \"kvmtunectl resume\" lets it work again.");
        if (left == 0)
                return CTL_OK;
        (void)fprintf(stderr, "kvmtunectl: %" PRIu64 " changes could not be put back; the journal says why\n", left);
        return CTL_FAILED;
}

/* A value such as 25 % may come in several words. */
static int join(char **words, int n, char **ret) {
        _cleanup_free_ char *text = NULL;
        int r = 0;

        for (int i = 0; r >= 0 && i < n; i++)
                r = strprintf_to(&text, "%s%s%s", text ?: "", i > 0 ? " " : "", words[i]);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(text);
        return 0;
}

CtlStatus change_set(Ctl *c, char **arguments, int n) {
        _cleanup_free_ char *value = NULL;

        if (join(arguments + 1, n - 1, &value) < 0)
                return CTL_FAILED;
        return change(c, "Set", (const char *const[]){ c->guest ?: "", arguments[0], value }, 3);
}

CtlStatus change_unset(Ctl *c, char **arguments, int n) {
        (void)n;
        return change(c, "Unset", (const char *const[]){ c->guest ?: "", arguments[0] }, 2);
}
