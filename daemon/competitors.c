/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "competitors.h"

#include <stdio.h>

#include "../lib/observe.h"
#include "log.h"
#include "messages.h"

static void log_competitor(const Competitor *c, uint64_t pid, void *userdata) {
        char number[32];
        LogField fields[] = { { "KVMTUNED_COMPETITOR", c->comm }, { "KVMTUNED_COMPETITOR_PID", number } };

        (void)userdata;
        (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)pid);
        log_struct(LOG_WARNING, MESSAGE_COMPETITOR, fields, ELEMENTSOF(fields),
                   "%s is running (pid %s): it %s. Two managers of one knob fight; stop one of them", c->comm, number,
                   c->does);
}

void competitors_log(int root_fd) {
        competitors_observe(root_fd, log_competitor, NULL);
}
