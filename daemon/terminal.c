/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "terminal.h"

#include <langinfo.h>
#include <locale.h>
#include <sys/ioctl.h>

#include "../lib/parse.h"

#define WIDTH_MAX 400U

static unsigned width(void) {
        const char *columns = getenv("COLUMNS");
        struct winsize size = { 0 };
        unsigned n = 0;

        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) >= 0 && size.ws_col > 0)
                n = size.ws_col;
        else if (columns && parse_unsigned(columns, &n) < 0)
                n = 0;
        return MIN(n, WIDTH_MAX);
}

static bool is_set(const char *variable) {
        const char *value = getenv(variable);

        return value && *value;
}

void terminal_look(DrawOptions *o) {
        const char *term = getenv("TERM");

        o->width = width();
        o->unicode = setlocale(LC_CTYPE, "") && streq(nl_langinfo(CODESET), "UTF-8");
        o->color = isatty(STDOUT_FILENO) && !is_set("NO_COLOR") && !(term && streq(term, "dumb"));
}
