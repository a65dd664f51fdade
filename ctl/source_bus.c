/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <systemd/sd-bus.h>

#include "../daemon/bus_value.h"
#include "../lib/plan_text.h"
#include "source_internal.h"

#define BUS_NAME "org.kvmtuned1"
#define BUS_PATH "/org/kvmtuned1"
#define BUS_INTERFACE "org.kvmtuned1.Manager"
/* Somebody may have to type a password; putting back waits for libvirt. */
#define CALL_USEC (3 * USEC_PER_MINUTE)

void source_bus_close(Source *s) {
        s->bus = sd_bus_flush_close_unref(s->bus);
}

CtlStatus source_bus_open(const Ctl *c, Source *s) {
        const char *host = c->host;
        int r;

        r = host ? sd_bus_open_system_remote(&s->bus, host) : sd_bus_open_system(&s->bus);
        if (r >= 0)
                r = sd_bus_set_allow_interactive_authorization(s->bus, !c->no_password);
        if (r >= 0)
                return CTL_OK;
        (void)fprintf(stderr, "kvmtunectl: cannot reach the system bus%s%s: %s\n", host ? " of " : "", host ?: "",
                      strerrordesc_np(-r));
        return CTL_UNREACHABLE;
}

static const struct { const char *name; CtlStatus status; const char *text; } errors[] = {
        { SD_BUS_ERROR_SERVICE_UNKNOWN, CTL_UNREACHABLE,
          "kvmtuned does not run; start it with \"systemctl start kvmtuned\"" },
        { SD_BUS_ERROR_NAME_HAS_NO_OWNER, CTL_UNREACHABLE,
          "kvmtuned does not run; start it with \"systemctl start kvmtuned\"" },
        { SD_BUS_ERROR_NO_REPLY, CTL_UNREACHABLE, "kvmtuned ended, or does not answer" },
        { SD_BUS_ERROR_TIMEOUT, CTL_UNREACHABLE, "kvmtuned does not answer" },
        { SD_BUS_ERROR_DISCONNECTED, CTL_UNREACHABLE, "the connection to the system bus was lost" },
        { SD_BUS_ERROR_ACCESS_DENIED, CTL_REFUSED, NULL },
        { SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, CTL_REFUSED, NULL },
        { SD_BUS_ERROR_UNKNOWN_METHOD, CTL_FAILED,
          "the running kvmtuned does not know this; it is of another version" },
        { BUS_NAME ".Error.NoSuchGuest", CTL_NOT_FOUND, NULL },
        { BUS_NAME ".Error.NoSuchSetting", CTL_NOT_FOUND, NULL },
        { BUS_NAME ".Error.InvalidValue", CTL_NOT_FOUND, NULL },
        { BUS_NAME ".Error.NotSet", CTL_NOT_FOUND, NULL },
};

/* Messages come from the other end: an error names guests. */
static CtlStatus complain(int r, const sd_bus_error *error) {
        const char *text = sd_bus_error_is_set(error) && error->message ? error->message : strerrordesc_np(-r);
        CtlStatus status = r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE ? CTL_UNREACHABLE : CTL_FAILED;

        for (size_t i = 0; i < ELEMENTSOF(errors); i++)
                if (sd_bus_error_has_name(error, errors[i].name)) {
                        status = errors[i].status;
                        if (errors[i].text)
                                text = errors[i].text;
                }
        if (sd_bus_error_has_name(error, BUS_NAME ".Error.BadPolicy")) {
                _cleanup_free_ char *lines = NULL;

                (void)plan_clean_lines(text, &lines);
                (void)fprintf(stderr,
                              "kvmtunectl: the policy was not loaded, the settings in force stay as they are\n%s",
                              lines ?: "");
                return CTL_FAILED;
        }
        (void)fputs("kvmtunectl: ", stderr);
        plan_put_text(stderr, text);
        (void)fputc('\n', stderr);
        return status;
}

static int new_call(Ctl *c, const char *method, sd_bus_message **ret) {
        return sd_bus_message_new_method_call(c->source->bus, ret, BUS_NAME, BUS_PATH, BUS_INTERFACE, method);
}

/* Sends @m, which it takes over; 0 and the reply, or what complain() says. */
static CtlStatus call(Ctl *c, sd_bus_message *m, int r, sd_bus_message **ret) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        CtlStatus status = CTL_OK;

        if (r >= 0)
                r = sd_bus_call(c->source->bus, m, CALL_USEC, &error, ret);
        if (r < 0)
                status = complain(r, &error);
        sd_bus_error_free(&error);
        sd_bus_message_unref(m);
        return status;
}

CtlStatus source_bus_value(Ctl *c, const char *method, const char *guest, Value **ret) {
        sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_(value_freep) Value *v = NULL;
        CtlStatus status;
        int r;

        r = new_call(c, method, &m);
        if (r >= 0 && guest)
                r = sd_bus_message_append(m, "s", guest);
        if (r >= 0 && streq(method, "GetLog"))
                r = sd_bus_message_append(m, "u", c->lines);
        status = call(c, m, r, &reply);
        if (status != CTL_OK)
                return status;
        r = bus_value_read(reply, &v);
        sd_bus_message_unref(reply);
        if (r < 0)
                return complain(r, NULL);
        *ret = TAKE_PTR(v);
        return CTL_OK;
}

CtlStatus source_bus_text(Ctl *c, const char *method, char **ret) {
        sd_bus_message *m = NULL, *reply = NULL;
        CtlStatus status;
        const char *text;
        int r;

        r = new_call(c, method, &m);
        if (r >= 0 && streq(method, "GetPlan"))
                r = sd_bus_message_append(m, "b", (int)c->json);
        status = call(c, m, r, &reply);
        if (status != CTL_OK)
                return status;
        r = sd_bus_message_read(reply, "s", &text);
        if (r >= 0)
                r = strdup_to(ret, text);
        sd_bus_message_unref(reply);
        return r < 0 ? complain(r, NULL) : CTL_OK;
}

CtlStatus source_bus_change(Ctl *c, const char *method, const char *const *arguments, size_t n, uint64_t *ret_left) {
        sd_bus_message *m = NULL, *reply = NULL;
        CtlStatus status;
        int r;

        r = new_call(c, method, &m);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = sd_bus_message_append(m, "s", arguments[i]);
        status = call(c, m, r, &reply);
        if (status != CTL_OK)
                return status;
        r = ret_left ? sd_bus_message_read(reply, "t", ret_left) : 0;
        sd_bus_message_unref(reply);
        return r < 0 ? complain(r, NULL) : CTL_OK;
}
