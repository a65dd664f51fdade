/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * mock-polkit ANSWERS LOG - stands for polkit on a private bus. Each question
 * is a line "ACTION SUBJECT FLAGS" in the file LOG; its answer is the word
 * behind that action in the file ANSWERS: yes, no, challenge, never (no answer
 * comes). Without a line it is no.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

static const char *answers, *log_path;

static void find_answer(const char *action, char ret[32]) {
        char line[256], name[200], word[32];
        FILE *f = fopen(answers, "re");

        strcpy(ret, "no");
        while (f && fgets(line, sizeof(line), f))
                if (sscanf(line, "%199s %31s", name, word) == 2 && strcmp(name, action) == 0)
                        strcpy(ret, word);
        if (f)
                fclose(f);
}

static int on_check(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *kind, *key, *subject, *action;
        char answer[32];
        uint32_t flags;
        FILE *f;
        int r;

        (void)userdata;
        r = sd_bus_message_read(m, "(sa{sv})sa{ss}u", &kind, 1, &key, "s", &subject, &action, 0, &flags);
        if (r < 0 || strcmp(kind, "system-bus-name") != 0 || strcmp(key, "name") != 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "not understood");
        f = fopen(log_path, "ae");
        if (f) {
                fprintf(f, "%s %s %u\n", action, subject, flags);
                fclose(f);
        }
        find_answer(action, answer);
        if (strcmp(answer, "never") == 0)
                return 1;
        return sd_bus_reply_method_return(m, "(bba{ss})", strcmp(answer, "yes") == 0, strcmp(answer, "challenge") == 0, 0);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("CheckAuthorization", "(sa{sv})sa{ss}us", "(bba{ss})", on_check, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

int main(int argc, char **argv) {
        sd_bus *bus = NULL;

        if (argc != 3)
                return 2;
        answers = argv[1];
        log_path = argv[2];
        if (sd_bus_open_system(&bus) < 0 ||
            sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/PolicyKit1/Authority",
                                     "org.freedesktop.PolicyKit1.Authority", vtable, NULL) < 0 ||
            sd_bus_request_name(bus, "org.freedesktop.PolicyKit1", 0) < 0)
                return 1;
        for (;;) {
                int r = sd_bus_process(bus, NULL);

                if (r < 0)
                        return 1;
                if (r == 0 && sd_bus_wait(bus, UINT64_MAX) < 0)
                        return 1;
        }
}
