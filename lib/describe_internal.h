/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by describe*.c. */

#include "describe.h"

/* Left out when unknown. */
void describe_put_known(Value *map, const char *key, uint64_t number);
void describe_put_permyriad(Value *map, const char *key, uint32_t number);
/* @text, of which @r is the result: on -ENOMEM @map remembers that it lacks it, on another -errno it is left out. */
void describe_put_text(Value *map, const char *key, int r, const char *text);
/* As a list of numbers, "0-3". @map is not NULL. */
void describe_put_set(Value *map, const char *key, const IdSet *set);
