/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The state, the guests and the plan as it forms, drawn anew every two
 * seconds and when the window changes. Each picture is complete before it goes
 * to the terminal, and lines are cleared as they are overwritten, so that
 * nothing flickers; what is wider than the screen is cut.
 *
 * The terminal gives keys one by one only while nothing is done but wait, and
 * signals wait until it is as it was: whatever ends this leaves it in order.
 */

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>

#include "ctl.h"

#define REFRESH_MSEC 2000
#define CLEAR_LINE "\033[K"
#define HOME "\033[H"
#define CLEAR_BELOW "\033[J"
#define WRAP_OFF "\033[?7l"
#define WRAP_ON "\033[?7h"

typedef struct Picture {
        Value *status, *guests, *log;
        char *plan;
} Picture;

static void picture_done(Picture *p) {
        (void)value_free(p->status);
        (void)value_free(p->guests);
        (void)value_free(p->log);
        free(p->plan);
}

static CtlStatus look(Ctl *c, Picture *p) {
        CtlStatus status;

        status = source_value(c, "GetStatus", NULL, &p->status);
        if (status == CTL_OK)
                status = source_value(c, "ListGuests", NULL, &p->guests);
        if (status == CTL_OK)
                status = source_text(c, "GetPlan", &p->plan);
        if (status == CTL_OK)
                status = source_value(c, "GetLog", "", &p->log);
        return status;
}

static void draw_json(FILE *f, const Picture *p) {
        (void)fputs("{\n\"status\": ", f);
        value_print_json(f, p->status);
        (void)fputs(",\n\"guests\": ", f);
        value_print_json(f, p->guests);
        (void)fputs(",\n\"log\": ", f);
        value_print_json(f, p->log);
        (void)fprintf(f, ",\n\"plan\": %s}\n", p->plan);
}

static CtlStatus draw(Ctl *c, FILE *f) {
        _cleanup_(picture_done) Picture p = { 0 };
        CtlStatus status;

        status = look(c, &p);
        if (status != CTL_OK)
                return status;
        if (c->json) {
                draw_json(f, &p);
                return CTL_OK;
        }
        show_status_text(f, c, p.status);
        (void)fputc('\n', f);
        status = show_guest_table(f, c, p.guests);
        (void)fprintf(f, "\n%sLately%s\n", ctl_colour(c, CTL_BOLD), ctl_colour(c, CTL_PLAIN));
        show_log_entries(f, c, p.log);
        (void)fprintf(f, "\n%sPlan%s\n%s", ctl_colour(c, CTL_BOLD), ctl_colour(c, CTL_PLAIN), p.plan);
        return status;
}

/* A window can change. */
static unsigned screen_lines(Ctl *c) {
        struct winsize size;

        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
                return 24;
        c->columns = size.ws_col;
        return size.ws_row < 5 ? 24 : size.ws_row;
}

/* As many lines as there is room for; what is longer than the screen is cut, with a word about it. */
static void put_on_screen(const char *text, unsigned lines) {
        (void)fputs(WRAP_OFF HOME, stdout);
        for (unsigned i = 1; *text && i < lines; i++) {
                size_t n = strcspn(text, "\n");

                (void)fwrite(text, 1, n, stdout);
                (void)fputs(CLEAR_LINE "\n", stdout);
                text += n + (text[n] == '\n');
        }
        (void)fputs(*text ? "... (a larger window shows more)" CLEAR_LINE : CLEAR_BELOW, stdout);
        (void)fputs(WRAP_ON, stdout);
        (void)fflush(stdout);
}

static CtlStatus draw_once(Ctl *c, bool screen) {
        unsigned lines = screen ? screen_lines(c) : 0;
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
                put_on_screen(text, lines);
        else
                (void)fputs(text, stdout);
        return CTL_OK;
}

/* Whether "q" was typed. Ends early on a signal, too, which comes when it is no longer blocked. */
static bool quits_within(int signal_fd, int msec) {
        struct pollfd fds[] = { { .fd = signal_fd, .events = POLLIN },
                                { .fd = isatty(STDIN_FILENO) ? STDIN_FILENO : -1, .events = POLLIN } };
        char key = 0;

        if (poll(fds, ELEMENTSOF(fds), msec) <= 0 || fds[0].revents || !fds[1].revents)
                return false;
        return read(STDIN_FILENO, &key, 1) == 1 && key == 'q';
}

/* Keys one by one and not echoed, for as long as that takes. */
static bool quits_without_lines(int signal_fd, int msec) {
        struct termios before, keys;
        bool quits;

        if (tcgetattr(STDIN_FILENO, &before) < 0)
                return quits_within(signal_fd, msec);
        keys = before;
        keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &keys);
        quits = quits_within(signal_fd, msec);
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
        return quits;
}

/* Until it is time for the next picture. false: there is to be none. */
static bool wait_for_next(void) {
        static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH };
        sigset_t signals, before;
        _cleanup_close_ int fd = -EBADF;
        bool quits;

        (void)sigemptyset(&signals);
        for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
                (void)sigaddset(&signals, numbers[i]);
        (void)sigprocmask(SIG_BLOCK, &signals, &before);
        fd = signalfd(-1, &signals, SFD_CLOEXEC);
        quits = quits_without_lines(fd, REFRESH_MSEC);
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
        return !quits;
}

/* On anything but a terminal, and for programs, it is one picture. */
CtlStatus monitor(Ctl *c, char **arguments, int n) {
        bool screen = isatty(STDOUT_FILENO) && !c->json;
        CtlStatus status;

        (void)arguments, (void)n;
        if (screen)
                (void)fputs(HOME CLEAR_BELOW, stdout);
        do {
                status = draw_once(c, screen);
                if (status != CTL_OK || !screen)
                        return status;
        } while (wait_for_next());
        return CTL_OK;
}
