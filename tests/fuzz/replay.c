/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Instead of libFuzzer: runs a target on the files that are named (or that are
 * in the folders named), each once. For compilers without libFuzzer, and for
 * `make check`, where the inputs that once did harm must do none.
 */

#include "fuzz.h"

#include <dirent.h>
#include <sys/stat.h>

static void run_file(const char *path) {
        FILE *f = fopen(path, "re");
        struct stat st;
        uint8_t *data;

        fuzz_assert(f && fstat(fileno(f), &st) == 0 && st.st_size >= 0);
        data = malloc((size_t)st.st_size + 1);
        fuzz_assert(data && fread(data, 1, (size_t)st.st_size, f) == (size_t)st.st_size);
        (void)fclose(f);
        fprintf(stderr, "%s\n", path);
        (void)LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
        free(data);
}

static unsigned run_folder(const char *path) {
        struct dirent **entries;
        int n = scandir(path, &entries, NULL, alphasort);
        unsigned done = 0;

        fuzz_assert(n >= 0);
        for (int i = 0; i < n; i++) {
                char name[4096];

                (void)snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
                if (entries[i]->d_name[0] != '.') {
                        run_file(name);
                        done++;
                }
                free(entries[i]);
        }
        free(entries);
        return done;
}

int main(int argc, char *argv[]) {
        unsigned done = 0;

        for (int i = 1; i < argc; i++) {
                struct stat st;

                fuzz_assert(stat(argv[i], &st) == 0);
                if (S_ISDIR(st.st_mode)) {
                        done += run_folder(argv[i]);
                } else {
                        run_file(argv[i]);
                        done++;
                }
        }
        printf("%u inputs\n", done);
        return EXIT_SUCCESS;
}
