/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Demand is a function of the time alone, so that every tuner meets the same one. */

#include "memsim.h"

uint64_t mem_curve(const MemCurve *c, uint64_t usec) {
        size_t i = 0;

        while (i < c->n && c->points[i].usec <= usec)
                i++;
        if (c->n == 0)
                return 0;
        if (i == 0 || i == c->n)
                return c->points[i == 0 ? 0 : i - 1].bytes;

        uint64_t from = c->points[i - 1].bytes, to = c->points[i].bytes;
        uint64_t passed = usec - c->points[i - 1].usec, whole = c->points[i].usec - c->points[i - 1].usec;

        return to >= from ? from + u64_muldiv(to - from, passed, whole) : from - u64_muldiv(from - to, passed, whole);
}

void mem_curve_add(MemCurve *c, uint64_t usec, uint64_t bytes) {
        if (c->n == CURVE_POINTS_MAX || (c->n > 0 && usec <= c->points[c->n - 1].usec))
                return;
        c->points[c->n].usec = usec;
        c->points[c->n++].bytes = bytes;
}

uint64_t mem_curve_rise(const MemCurve *c) {
        uint64_t most = 0;

        for (size_t i = 1; i < c->n; i++)
                most = MAX(most, u64_muldiv(u64_sub(c->points[i].bytes, c->points[i - 1].bytes), USEC_PER_SEC,
                                            c->points[i].usec - c->points[i - 1].usec));
        return most;
}

uint64_t mem_curve_most(const MemCurve *c) {
        uint64_t most = 0;

        for (size_t i = 0; i < c->n; i++)
                most = MAX(most, c->points[i].bytes);
        return most;
}
