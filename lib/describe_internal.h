/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by describe*.c. */

#include "describe.h"

/* Left out when unknown. */
void describe_put_known(Value *map, const char *key, uint64_t number);
void describe_put_permyriad(Value *map, const char *key, uint32_t number);
/* As a list of numbers, "0-3". @map is not NULL. */
void describe_put_set(Value *map, const char *key, const IdSet *set);
