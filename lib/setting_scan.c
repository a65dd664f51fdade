/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A lexer of libconfig's language that only looks for what libconfig 1.5 gets
 * wrong, so that afterwards its answer can be trusted:
 *
 *   5000000000, 0xffffffff     wrap into 32 bits without an error
 *   unterminated comment       everything behind it is ignored
 *   unterminated @include      ignored
 *   @include of a directory    its lexer calls exit(2)
 *   @include of itself         "include file nesting too deep", without a name
 *   @include "/absolute"       looked up below the folder all the same
 *   "a\x00b"                   cut
 *   # at the end, no newline   "syntax error"
 *
 * The lexical rules are those of libconfig's manual, "Configuration Files".
 */

#include "setting.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

typedef struct Scan Scan;
struct Scan {
        SettingErrors *errors;
        const char *file;               /* as messages name it */
        const char *path;               /* to be told apart from included files; NULL: a text */
        const char *p;
        unsigned line;
        bool line_start;                /* only blanks since the line began */
        bool may_include;
        bool fatal;                     /* libconfig must not see it */
        unsigned depth;
        unsigned *n_includes;
        const Scan *parent;
};

static int scan_text(Scan *s);

static int open_regular(const char *path, struct stat *ret_st, const char **ret_problem) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode)) {
                *ret_problem = S_ISDIR(st.st_mode) ? "is a directory; a file is needed"
                                                   : "is not a regular file; a file is needed";
                return -EBADMSG;
        }
        if ((uint64_t)st.st_size > SETTING_FILE_MAX) {
                *ret_problem = "is larger than 16 MiB, the most that is allowed";
                return -EBADMSG;
        }
        *ret_st = st;
        return TAKE_FD(fd);
}

static int read_all(int fd, size_t size, char **ret, size_t *ret_n) {
        _cleanup_free_ char *text = NULL;
        size_t n = 0;

        text = malloc(size + 1);
        if (!text)
                return -ENOMEM;
        while (n < size) {
                ssize_t k = read(fd, text + n, size - n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                if (k == 0)
                        break;
                n += (size_t)k;
        }
        text[n] = '\0';
        *ret = TAKE_PTR(text);
        *ret_n = n;
        return 0;
}

static int read_regular(const char *path, char **ret, const char **ret_problem) {
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ char *text = NULL;
        struct stat st = { 0 };
        size_t n = 0;
        int r;

        fd = open_regular(path, &st, ret_problem);
        if (fd < 0)
                return fd;
        r = read_all(fd, (size_t)st.st_size, &text, &n);
        if (r < 0)
                return r;
        if (strlen(text) != n) {
                *ret_problem = "has a NUL byte; plain text is needed";
                return -EBADMSG;
        }
        *ret = TAKE_PTR(text);
        return 0;
}

int setting_read_file(SettingErrors *e, const char *at_file, unsigned at_line, const char *path, char **ret) {
        const char *problem = NULL;
        int r;

        r = read_regular(path, ret, &problem);
        if (r >= 0 || r == -ENOMEM)
                return r;
        if (!problem)
                problem = strerrordesc_np(-r);
        if (streq(at_file, path))
                setting_error_at(e, at_file, at_line, "%s", problem);
        else
                setting_error_at(e, at_file, at_line, "@include \"%s\": %s", path, problem);
        return r;
}

static void scan_error(Scan *s, unsigned line, const char *text) {
        setting_error_at(s->errors, s->file, line, "%s", text);
        s->fatal = true;
}

static void scan_newline(Scan *s) {
        s->line++;
        s->line_start = true;
}

/* libconfig's own reading of a last line that is a comment without newline is "syntax error". */
static void scan_line_comment(Scan *s) {
        s->p += strcspn(s->p, "\n");
        if (!*s->p && s->parent)
                scan_error(s, s->line, "the last line is a comment without newline; in an included file one is "
                           "needed");
}

static void scan_comment(Scan *s) {
        unsigned start = s->line;
        const char *end = strstr(s->p + 2, "*/");

        if (!end) {
                scan_error(s, start, "comment without end; \"*/\" is needed");
                s->p += strlen(s->p);
                return;
        }
        for (; s->p < end; s->p++)
                if (*s->p == '\n')
                        s->line++;
        s->p = end + 2;
        s->line_start = false;
}

static void scan_string(Scan *s) {
        unsigned start = s->line;

        for (s->p++; *s->p && *s->p != '"'; s->p++) {
                if (*s->p == '\n')
                        s->line++;
                else if (strncasecmp(s->p, "\\x00", 4) == 0)
                        scan_error(s, s->line, "\\x00 in a string; NUL is not allowed");
                else if (*s->p == '\\' && (s->p[1] == '"' || s->p[1] == '\\'))
                        s->p++;
        }
        if (!*s->p) {
                scan_error(s, start, "string without end; '\"' is needed");
                return;
        }
        s->p++;
        s->line_start = false;
}

/* At a digit. A number with a point or an exponent is a float, which does not wrap. */
static void scan_number(Scan *s, bool negative) {
        bool hex = s->p[0] == '0' && (s->p[1] == 'x' || s->p[1] == 'X') && isxdigit((unsigned char)s->p[2]);
        uint64_t limit = negative ? (uint64_t)INT_MAX + 1 : INT_MAX;
        const char *start = s->p;
        unsigned long long v;
        char *end;

        errno = 0;
        v = strtoull(s->p, &end, hex ? 16 : 10);
        s->p = end;
        s->line_start = false;
        if (!hex && (*end == '.' || *end == 'e' || *end == 'E')) {
                s->p += strspn(s->p, "0123456789.eE+-");
                return;
        }
        if (v <= limit && errno != ERANGE)
                return;
        setting_error_at(s->errors, s->file, s->line, "the integer %s%.*s is too large; a string is needed, "
                         "with a unit where there is one", negative ? "-" : "", (int)MIN(end - start, 40), start);
        setting_mark_wrapped(s->errors, s->file, s->line);
}

/* The name behind @include, its escapes resolved. NULL in *ret: no end. */
static int scan_include_name(Scan *s, char **ret) {
        char *name, *q;

        name = q = calloc(1, strlen(s->p) + 1);
        if (!name)
                return -ENOMEM;
        for (; *s->p && *s->p != '"' && *s->p != '\n'; s->p++) {
                if (*s->p == '\\' && (s->p[1] == '"' || s->p[1] == '\\'))
                        s->p++;
                *q++ = *s->p;
        }
        *q = '\0';
        if (*s->p != '"') {
                free(name);
                name = NULL;
        } else
                s->p++;
        *ret = name;
        return 0;
}

static bool same_file(const char *a, const char *b) {
        struct stat sa, sb;

        return stat(a, &sa) >= 0 && stat(b, &sb) >= 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static bool is_loop(const Scan *s, const char *path) {
        for (; s; s = s->parent)
                if (s->path && same_file(s->path, path))
                        return true;
        return false;
}

static void include_refused(Scan *s, const char *name, const char *why) {
        setting_error_at(s->errors, s->file, s->line, "@include \"%s\": %s", name, why);
        s->fatal = true;
}

static int scan_included(Scan *s, const char *path) {
        _cleanup_free_ char *text = NULL;
        Scan child = *s;
        int r;

        r = setting_read_file(s->errors, s->file, s->line, path, &text);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                s->fatal = true;
                return 0;
        }
        child.file = child.path = path;
        child.p = text;
        child.line = 1;
        child.line_start = true;
        child.depth = s->depth + 1;
        child.parent = s;
        r = scan_text(&child);
        s->fatal |= child.fatal;
        return r;
}

static int scan_include(Scan *s) {
        _cleanup_free_ char *name = NULL, *path = NULL;
        const char *dir = s->errors->include_dir;
        int r;

        r = scan_include_name(s, &name);
        if (r < 0)
                return r;
        s->line_start = false;
        if (!name) {
                scan_error(s, s->line, "@include without end; '\"' is needed");
                return 0;
        }
        r = strprintf_to(&path, "%s%s%s", dir && !streq(dir, "/") ? dir : "", dir && *dir ? "/" : "", name);
        if (r < 0)
                return r;
        if (!s->may_include)
                include_refused(s, name, "a file is needed for this; a text includes nothing");
        else if (*name == '/' || *name == '\0')
                include_refused(s, name, "a path relative to the folder of the main file is needed");
        else if (is_loop(s, path))
                include_refused(s, name, "the file would include itself without end");
        else if (s->depth >= SETTING_INCLUDE_DEPTH_MAX)
                include_refused(s, name, "more than 8 files deep; at most 8 are allowed");
        else if (++*s->n_includes > SETTING_INCLUDES_MAX)
                include_refused(s, name, "more than 256 includes; at most 256 are allowed");
        else
                return scan_included(s, path);
        return 0;
}

/* At '@': whether an include stands here; then s->p is behind its opening quote. */
static bool take_include(Scan *s) {
        const char *p = s->line_start ? startswith(s->p, "@include") : NULL;
        size_t blanks;

        if (!p)
                return false;
        blanks = strspn(p, " \t");
        if (blanks == 0 || p[blanks] != '"')
                return false;
        s->p = p + blanks + 1;
        return true;
}

static void scan_name(Scan *s) {
        while (isalnum((unsigned char)*s->p) || *s->p == '-' || *s->p == '_' || *s->p == '*')
                s->p++;
        s->line_start = false;
}

static bool is_sign(char c) {
        return c == '-' || c == '+';
}

static void scan_other(Scan *s) {
        unsigned char c = (unsigned char)*s->p;

        if (c == '\n')
                scan_newline(s);
        else if (c != ' ' && c != '\t')
                s->line_start = false;
        s->p++;
}

static int scan_text(Scan *s) {
        while (*s->p) {
                const char *p = s->p;

                if (*p == '#' || (p[0] == '/' && p[1] == '/'))
                        scan_line_comment(s);
                else if (p[0] == '/' && p[1] == '*')
                        scan_comment(s);
                else if (*p == '"')
                        scan_string(s);
                else if (isalpha((unsigned char)*p) || *p == '*')
                        scan_name(s);
                else if (isdigit((unsigned char)*p))
                        scan_number(s, false);
                else if (is_sign(*p) && isdigit((unsigned char)p[1])) {
                        s->p++;
                        scan_number(s, *p == '-');
                } else if (*p == '@' && take_include(s)) {
                        int r = scan_include(s);

                        if (r < 0)
                                return r;
                } else
                        scan_other(s);
        }
        return 0;
}

int setting_scan(SettingErrors *e, const char *path, const char *text, bool may_include) {
        unsigned n_includes = 0;
        Scan s = {
                .errors = e,
                .file = e->name ? e->name : "(text)",
                .path = path,
                .p = text,
                .line = 1,
                .line_start = true,
                .may_include = may_include,
                .n_includes = &n_includes,
        };
        int r;

        r = scan_text(&s);
        if (r < 0)
                return r;
        return s.fatal ? -EBADMSG : 0;
}

static bool ends_in_newline(const char *text) {
        size_t n = strlen(text);

        return n > 0 && text[n - 1] == '\n';
}

/* What would be right, to follow libconfig's words. */
static const char *syntax_hint(const char *text) {
        static const struct {
                const char *text, *hint;
        } hints[] = {
                { "syntax error", "; settings are written name = value; and groups name: { ... };" },
                { "duplicate setting name", "; each name may stand once in its group" },
                { "memory exhausted", "; fewer groups and lists in one another are needed" },
                { "mismatched element type in array", "; elements of one type are needed" },
        };

        for (size_t i = 0; i < ELEMENTSOF(hints); i++)
                if (streq(hints[i].text, text))
                        return hints[i].hint;
        return "";
}

static void report_syntax_error(SettingErrors *e, const config_t *config) {
        const char *file = config_error_file(config), *text = config_error_text(config);
        _cleanup_free_ char *path = NULL;
        int line = config_error_line(config);

        if (file && e->include_dir && *e->include_dir &&
            strprintf_to(&path, "%s/%s", streq(e->include_dir, "/") ? "" : e->include_dir, file) < 0)
                e->out_of_memory = true;
        if (path)
                file = path;
        if (!file)
                file = e->name ? e->name : "(text)";
        if (!text)
                text = "syntax error";
        setting_error_at(e, file, line > 0 ? (unsigned)line : 0, "%s%s", text, syntax_hint(text));
}

int setting_parse(SettingErrors *e, config_t *config, const char *path, const char *text, bool may_include) {
        _cleanup_free_ char *lines = NULL;
        int r;

        r = setting_scan(e, path, text, may_include);
        if (r < 0)
                return r;
        r = strprintf_to(&lines, "%s%s", text, ends_in_newline(text) ? "" : "\n");
        if (r < 0)
                return r;
        if (e->include_dir && *e->include_dir)
                config_set_include_dir(config, e->include_dir);
        if (config_read_string(config, lines) == CONFIG_TRUE)
                return 0;
        report_syntax_error(e, config);
        return -EBADMSG;
}
