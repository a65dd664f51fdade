/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "competitors.h"

#include <stdio.h>

#include "../lib/observe.h"
#include "log.h"
#include "messages.h"

bool competitors_matter(const Config *config) {
        return setting(&config->base, KEY_DAEMON_COMPETITORS) != COMPETITORS_REPORT;
}

static const char *outcome(const Config *config, const Competitor *c) {
        Competitors mode = (Competitors)setting(&config->base, KEY_DAEMON_COMPETITORS);

        if (mode == COMPETITORS_YIELD)
                return "That is left to it, as daemon.competitors says";
        if (mode == COMPETITORS_TAKEOVER && c->may_be_stopped)
                return "It is to be stopped, as daemon.competitors says";
        return "Two managers of one knob fight; stop one of them";
}

static void log_competitor(const Competitor *c, uint64_t pid, void *userdata) {
        const Config *config = userdata;
        char number[32];
        LogField fields[] = { { "KVMTUNED_COMPETITOR", c->comm }, { "KVMTUNED_COMPETITOR_PID", number } };

        (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)pid);
        log_struct(LOG_WARNING, MESSAGE_COMPETITOR, fields, ELEMENTSOF(fields), "%s is running (pid %s): it %s. %s",
                   c->comm, number, c->does, outcome(config, c));
}

void competitors_log(int root_fd, Config *config, HostFacts *facts) {
        host_managers_observe(root_fd, facts, log_competitor, config);
}
