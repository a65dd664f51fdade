/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * numa_maps has a mapping's policy, page size and nodes, but only its first
 * address; maps has its end and permissions. Both are in order of address, so
 * they are read side by side; a mapping that came or went between the two
 * reads is passed over.
 */
#include "mover_ranges.h"

#include "../lib/parse.h"

#include <stdio.h>

typedef struct Mapping {
        uint64_t from, to;
        bool shared, writable, executable;
} Mapping;

static const char *next_line(const char *p) {
        const char *end = strchr(p, '\n');

        return end ? end + 1 : p + strlen(p);
}

static int parse_hex(const char **p, uint64_t *ret) {
        char *end;

        errno = 0;
        *ret = strtoull(*p, &end, 16);
        if (end == *p || errno != 0)
                return -EBADMSG;
        *p = end;
        return 0;
}

/* "7f0000000000-7f0040000000 rw-p 00000000 00:00 0  [heap]" */
static int parse_mapping(const char *line, Mapping *ret) {
        Mapping m = { 0 };
        const char *p = line;

        if (parse_hex(&p, &m.from) < 0 || *p++ != '-' || parse_hex(&p, &m.to) < 0 || *p++ != ' ' ||
            strnlen(p, 4) < 4 || m.to <= m.from)
                return -EBADMSG;
        m.writable = p[1] == 'w';
        m.executable = p[2] == 'x';
        m.shared = p[3] == 's';
        *ret = m;
        return 0;
}

typedef struct NumaMapping {
        uint64_t from, page_bytes, n_pages;
        bool file, own_file, huge, misplaced, bound;
        IdSet allowed;                  /* when bound */
} NumaMapping;

/* "bind:0-1", "bind=static:0": where the owner wants it, strictly. */
static int parse_policy(const char *word, NumaMapping *n) {
        const char *list = strchr(word, ':');

        n->bound = startswith(word, "bind") && list;
        if (!n->bound)
                return 0;
        return idset_parse(list + 1, &n->allowed) < 0 ? -EBADMSG : 0;
}

/*
 * A file that nobody but the guest has: a memfd, or what libvirt made for it below memory_backing_dir or hugetlbfs.
 * Not one that several guests map (ivshmem).
 */
static bool is_own_file(const char *path) {
        return startswith(path, "/memfd:") || startswith(path, "/anon_hugepage") || strstr(path, "/libvirt/qemu/");
}

/* "N3=512": pages on node 3. */
static void parse_count(const char *word, const IdSet *targets, NumaMapping *n) {
        unsigned node;
        uint64_t pages;

        word++;
        if (parse_unsigned_prefix(&word, &node) < 0 || *word != '=' || parse_u64(word + 1, &pages) < 0)
                return;
        n->n_pages = u64_add(n->n_pages, pages);
        if (!idset_contains(targets, node))
                n->misplaced = true;
}

static void parse_word(const char *word, const IdSet *targets, NumaMapping *n) {
        uint64_t kib;
        const char *v;

        if ((v = startswith(word, "file="))) {
                n->file = true;
                n->own_file = is_own_file(v);
        } else if (streq(word, "huge"))
                n->huge = true;
        else if (*word == 'N')
                parse_count(word, targets, n);
        else if ((v = startswith(word, "kernelpagesize_kB=")) && parse_u64(v, &kib) >= 0 && kib <= 16 * GIB / KIB)
                n->page_bytes = kib * KIB;
}

/* @line is cut into words: a writable copy. */
static int parse_numa_mapping(char *line, const IdSet *targets, NumaMapping *ret) {
        NumaMapping n = { .page_bytes = 4 * KIB };
        const char *p = line;
        char *rest, *word;

        if (parse_hex(&p, &n.from) < 0 || *p != ' ')
                return -EBADMSG;
        rest = line + (p - line);
        (void)strsep(&rest, " ");
        word = strsep(&rest, " ");
        if (!word || parse_policy(word, &n) < 0)
                return -EBADMSG;
        while ((word = strsep(&rest, " ")))
                parse_word(word, targets, &n);
        *ret = n;
        return 0;
}

/* Guest memory is anonymous, a shared writable file (memfd, /dev/shm, a memory backend's file) or hugetlbfs. */
static bool is_memory(const Mapping *m, const NumaMapping *n) {
        if (m->executable)
                return false;
        return !n->file || n->huge || (m->shared && m->writable);
}

static int add_range(const Mapping *m, const NumaMapping *n, const IdSet *targets, MoverRange **ranges, size_t *count,
                     size_t *capacity) {
        IdSet allowed = n->bound ? idset_and(targets, &n->allowed) : *targets;
        int r;

        if (!n->misplaced || n->page_bytes == 0 || !is_memory(m, n) || idset_is_empty(&allowed))
                return 0;
        r = GROW_ARRAY(*ranges, *capacity, *count);
        if (r < 0)
                return r;
        (*ranges)[(*count)++] = (MoverRange){ m->from, m->to, n->page_bytes, n->n_pages, n->huge,
                                              m->shared && n->own_file, allowed };
        return 0;
}

/* The mapping of @maps that begins at @from; *@maps moves on. */
static bool find_mapping(const char **maps, uint64_t from, Mapping *ret) {
        while (**maps) {
                if (parse_mapping(*maps, ret) >= 0 && ret->from >= from)
                        return ret->from == from;
                *maps = next_line(*maps);
        }
        return false;
}

int mover_ranges_parse(const char *maps, const char *numa_maps, const IdSet *targets, MoverRange **ret,
                       size_t *ret_n) {
        _cleanup_free_ char *copy = NULL;
        _cleanup_free_ MoverRange *ranges = NULL;
        size_t n = 0, capacity = 0;
        char *rest, *line;

        copy = strdup(numa_maps);
        if (!copy)
                return -ENOMEM;
        rest = copy;
        while ((line = strsep(&rest, "\n"))) {
                NumaMapping numa;
                Mapping mapping;
                int r;

                if (!*line)
                        continue;
                r = parse_numa_mapping(line, targets, &numa);
                if (r < 0)
                        return r;
                if (!find_mapping(&maps, numa.from, &mapping))
                        continue;
                r = add_range(&mapping, &numa, targets, &ranges, &n, &capacity);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(ranges);
        *ret_n = n;
        return 0;
}

bool mover_target_before(const MoverTarget *a, const MoverTarget *b) {
        return a->last != b->last ? b->last : a->free_bytes > b->free_bytes;
}
