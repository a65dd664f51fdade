/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Randomness of the simulations: everything follows from a seed. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct SimRandom {
        uint64_t state;
} SimRandom;

uint64_t sim_random(SimRandom *r);
/* 0 .. n-1. */
unsigned sim_pick(SimRandom *r, unsigned n);
/* One time in @n. */
bool sim_one_in(SimRandom *r, unsigned n);
/* 0 .. 1, the same for the same arguments: randomness of a place in time. */
double sim_hash_unit(uint64_t seed, uint64_t a, uint64_t b);
/* Zeroed. Out of memory ends the program: this is a test. */
void *sim_alloc(size_t n, size_t size);
