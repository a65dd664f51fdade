/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_words.h"

#include "parse.h"

static bool grow(Words *w, size_t n) {
        size_t capacity = w->capacity;
        char *text;

        while (capacity - w->n <= n)
                capacity *= 2;
        text = realloc(w->text == w->first ? NULL : w->text, capacity);
        w->failed = !text;
        if (!text)
                return false;
        if (w->text == w->first)
                memcpy(text, w->first, w->n + 1);
        w->text = text;
        w->capacity = capacity;
        return true;
}

static bool reserve(Words *w, size_t n) {
        if (w->failed)
                return false;
        if (!w->text) {
                w->text = w->first;
                w->capacity = sizeof(w->first);
        }
        return w->capacity - w->n > n || grow(w, n);
}

void words_add(Words *w, const char *text) {
        size_t n = strlen(text);

        if (!reserve(w, n))
                return;
        memcpy(w->text + w->n, text, n + 1);
        w->n += n;
}

void words_add_number(Words *w, uint64_t n) {
        char digits[U64_TEXT_MAX];

        words_add(w, u64_text(n, digits));
}

void words_add_bytes(Words *w, uint64_t bytes) {
        char text[FORMAT_BYTES_MAX];

        words_add(w, format_bytes_short(bytes, text));
}

void words_add_set(Words *w, const IdSet *set) {
        _cleanup_free_ char *text = NULL;

        if (idset_format(set, &text) < 0)
                w->failed = true;
        else
                words_add(w, text);
}

void words_add_nodes(Words *w, const IdSet *nodes) {
        words_add(w, idset_count(nodes) == 1 ? "node " : "nodes ");
        words_add_set(w, nodes);
}

static void done(Words *w) {
        if (w->text != w->first)
                free(w->text);
        *w = (Words){ 0 };
}

int words_keep(Words *w, TextPool *texts, const char **ret) {
        char *text = NULL;
        int r;

        r = w->failed || !w->text ? -ENOMEM : text_pool_add(texts, w->text, &text);
        done(w);
        if (r >= 0)
                *ret = text;
        return r;
}

int words_take(Words *w, char **ret) {
        char *text = NULL;

        if (!w->failed && w->text)
                text = strndup(w->text, w->n);
        done(w);
        if (!text)
                return -ENOMEM;
        free(*ret);
        *ret = text;
        return 0;
}
