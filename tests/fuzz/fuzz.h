/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a fuzz target gives: one function, called with one input after the
 * other. It may do anything but crash, leak, hang or break a promise of the
 * headers; what it checks besides is at the head of each file.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise that does not hold: the input is kept as a crash. */
#define fuzz_assert(expression) \
        do { \
                if (!(expression)) { \
                        fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #expression); \
                        abort(); \
                } \
        } while (0)

/* @data as a string that ends with a NUL; a NUL inside ends it early. To be freed. */
static inline __attribute__((unused)) char *fuzz_text(const uint8_t *data, size_t size) {
        char *text = malloc(size + 1);

        if (!text)
                abort();
        if (size > 0)
                memcpy(text, data, size);
        text[size] = 0;
        return text;
}
