/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "random.h"

#include <stdlib.h>

/* splitmix64 (S. Vigna, public domain). */
uint64_t sim_random(SimRandom *r) {
        uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        return z ^ (z >> 31);
}

unsigned sim_pick(SimRandom *r, unsigned n) {
        return (unsigned)(sim_random(r) % n);
}

bool sim_one_in(SimRandom *r, unsigned n) {
        return n > 0 && sim_pick(r, n) == 0;
}

double sim_hash_unit(uint64_t seed, uint64_t a, uint64_t b) {
        SimRandom r = { seed ^ (a * UINT64_C(0xd1342543de82ef95)) ^ (b << 32) };

        (void)sim_random(&r);
        return (double)(sim_random(&r) >> 11) / (double)(UINT64_C(1) << 53);
}

void *sim_alloc(size_t n, size_t size) {
        void *p = calloc(n > 0 ? n : 1, size);

        if (!p)
                abort();
        return p;
}
