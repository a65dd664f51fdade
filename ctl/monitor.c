/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The state, the guests and the plan as it forms, drawn anew every two
 * seconds. Each picture is complete before it goes to the terminal, and lines
 * are cleared as they are overwritten, so that nothing flickers.
 */

#include <sys/ioctl.h>
#include <time.h>

#include "ctl.h"

#define REFRESH_SEC 2
#define CLEAR_LINE "\033[K"
#define HOME "\033[H"
#define CLEAR_BELOW "\033[J"

static CtlStatus draw(Ctl *c, FILE *f) {
        _cleanup_(value_freep) Value *status_value = NULL, *guests = NULL, *log = NULL;
        _cleanup_free_ char *plan = NULL;
        CtlStatus status;

        status = source_value(c, "GetStatus", NULL, &status_value);
        if (status == CTL_OK)
                status = source_value(c, "ListGuests", NULL, &guests);
        if (status == CTL_OK)
                status = source_text(c, "GetPlan", &plan);
        if (status == CTL_OK)
                status = source_value(c, "GetLog", "", &log);
        if (status != CTL_OK)
                return status;
        show_status_text(f, c, status_value);
        (void)fputc('\n', f);
        status = show_guest_table(f, c, guests);
        (void)fprintf(f, "\n%sLately%s\n", ctl_colour(c, CTL_BOLD), ctl_colour(c, CTL_PLAIN));
        show_log_entries(f, c, log);
        (void)fprintf(f, "\n%sPlan%s\n%s", ctl_colour(c, CTL_BOLD), ctl_colour(c, CTL_PLAIN), plan);
        return status;
}

static unsigned screen_lines(void) {
        struct winsize size;

        return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row < 5 ? 24 : size.ws_row;
}

/* As many lines as there is room for; what is longer than the screen is cut, with a word about it. */
static void put_on_screen(const char *text, unsigned lines) {
        (void)fputs(HOME, stdout);
        for (unsigned i = 1; *text && i < lines; i++) {
                size_t n = strcspn(text, "\n");

                (void)fwrite(text, 1, n, stdout);
                (void)fputs(CLEAR_LINE "\n", stdout);
                text += n + (text[n] == '\n');
        }
        (void)fputs(*text ? "... (a larger window shows more)" CLEAR_LINE : CLEAR_BELOW, stdout);
        (void)fflush(stdout);
}

static CtlStatus draw_once(Ctl *c, bool screen) {
        _cleanup_free_ char *text = NULL;
        CtlStatus status;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return CTL_FAILED;
        status = draw(c, f);
        if (fclose(f) != 0)
                return CTL_FAILED;
        if (status != CTL_OK)
                return status;
        if (screen)
                put_on_screen(text, screen_lines());
        else
                (void)fputs(text, stdout);
        return CTL_OK;
}

/* On anything but a terminal it is one picture. */
CtlStatus monitor(Ctl *c, char **arguments, int n) {
        bool screen = isatty(STDOUT_FILENO);
        CtlStatus status;

        (void)arguments, (void)n;
        if (screen)
                (void)fputs(HOME CLEAR_BELOW, stdout);
        do {
                status = draw_once(c, screen);
                if (status != CTL_OK || !screen)
                        return status;
        } while (nanosleep(&(struct timespec){ .tv_sec = REFRESH_SEC }, NULL) == 0);
        return CTL_OK;
}
