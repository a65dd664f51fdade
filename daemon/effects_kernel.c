/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Switches of the kernel that are set directly, or through systemd where that takes a capability we do not have. */

#include "effects_internal.h"

int effects_set_kernel(Manager *m, const Action *a, bool recorded) {
        int r;

        r = effects_add_pending(m, a, KERNEL_COOKIE, recorded);
        if (r < 0)
                return r;
        r = kernel_knob_set(m->kernel_knob, a->new_value);
        if (r != 0) {
                m->n_pending--;
                action_done(&m->pending[m->n_pending].action);
        }
        return r;
}

void effects_on_kernel(void *userdata, int result, const char *text) {
        effects_done(userdata, KERNEL_COOKIE, result, text);
}
