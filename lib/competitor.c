/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "competitor.h"

#define PLACEMENT (1U << LEVERS_PLACEMENT)
#define KSM (1U << LEVERS_KSM)
#define BALLOON (1U << LEVERS_BALLOON)
#define KERNEL (1U << LEVERS_KERNEL)

/* irqbalance is not among them: it places interrupts, which kvmtuned does not. */
const Competitor competitors[] = {
        { "numad", "pins QEMU processes and moves their memory, over vcpupin", PLACEMENT, true },
        { "ksmtuned", "switches KSM on and off and sets its speed", KSM, true },
        { "momd", "drives KSM and balloons", KSM | BALLOON, true },
        { "tuned", "may set CPU and memory switches of the host, by profile", KERNEL, false },
        { "qemu-balloond", "drives balloons", BALLOON, true },
        { "pvestatd", "drives balloons, for Proxmox VE", BALLOON, false },
};
const size_t n_competitors = ELEMENTSOF(competitors);

static bool is_among(const char *managers, const char *comm) {
        size_t n = strlen(comm);

        for (const char *p = managers; (p = strstr(p, comm)); p += n)
                if ((p == managers || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
                        return true;
        return false;
}

const Competitor *competitor_of(const char *managers, LeverDomain domain) {
        for (size_t i = 0; i < n_competitors; i++)
                if (competitors[i].domains & 1U << domain && is_among(managers, competitors[i].comm))
                        return &competitors[i];
        return NULL;
}
