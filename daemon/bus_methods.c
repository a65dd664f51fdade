/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The methods. Each runs when its sender is known to be allowed, on the main
 * loop between two events; what it tells is what the last look at the host saw.
 */

#include <errno.h>

#include "../lib/describe.h"
#include "../lib/snapshot_file.h"
#include "bus_internal.h"
#include "bus_value.h"
#include "reload.h"

/* Longer names, keys and values than anything real are not even looked up. */
#define ARGUMENT_MAX 1024U
#define LOG_DEFAULT 200U

/* ---- answers ---- */

static int too_large(sd_bus_error *error) {
        return sd_bus_error_setf(error, BUS_ERROR_TOO_LARGE,
                                 "The answer is too large for the bus; \"kvmtuned record\" and \"kvmtuned plan\" have no "
                                 "such limit");
}

/* Takes @v over. */
static int reply_value(sd_bus_message *m, Value *taken, sd_bus_error *error) {
        _cleanup_(value_freep) Value *v = taken;
        sd_bus_message *reply = NULL;
        int r;

        r = value_complete(v);
        if (r >= 0)
                r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = bus_value_append(reply, v);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r == -EMSGSIZE ? too_large(error) : r;
}

static int reply_text(sd_bus_message *m, const char *text, sd_bus_error *error) {
        if (strlen(text) > BUS_VALUE_MAX)
                return too_large(error);
        return sd_bus_reply_method_return(m, "s", text);
}

/* ---- arguments ---- */

static int read_argument(sd_bus_message *m, const char **ret, sd_bus_error *error) {
        const char *text;
        int r;

        r = sd_bus_message_read(m, "s", &text);
        if (r < 0)
                return r;
        if (strlen(text) > ARGUMENT_MAX)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "An argument has more than %u bytes",
                                         ARGUMENT_MAX);
        *ret = text;
        return 0;
}

static int find_guest(Bus *b, const char *name, const Guest **ret, sd_bus_error *error) {
        const Guest *g = describe_find(b->manager->snapshot, name);

        if (!g)
                return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_GUEST,
                                         "There is no running guest of the name or UUID \"%s\"", name);
        *ret = g;
        return 0;
}

/* "" is no guest: *ret is NULL. */
static int read_guest(Bus *b, sd_bus_message *m, const Guest **ret, sd_bus_error *error) {
        const char *name;
        int r;

        r = read_argument(m, &name, error);
        if (r < 0)
                return r;
        if (!name[0]) {
                *ret = NULL;
                return 0;
        }
        return find_guest(b, name, ret, error);
}

static int read_key(sd_bus_message *m, Key *ret, sd_bus_error *error) {
        _cleanup_free_ char *group = NULL;
        const char *text, *dot;
        Key key;
        int r;

        r = read_argument(m, &text, error);
        if (r < 0)
                return r;
        dot = strchr(text, '.');
        group = dot ? strndup(text, (size_t)(dot - text)) : strdup("");
        if (!group)
                return -ENOMEM;
        key = dot ? config_key_find(group, dot + 1) : _KEY_INVALID;
        if (key < 0)
                return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_SETTING,
                                         "There is no setting \"%s\", see kvmtuned.conf(5)", text);
        *ret = key;
        return 0;
}

/* ---- reading ---- */

static int describe(Bus *b, bool with_plan, Description *ret) {
        PolicyInput input = manager_policy_input(b->manager, NULL);

        return describe_begin(&input, b->manager->state, with_plan, ret);
}

static int get_status(Bus *b, sd_bus_message *m, uid_t uid, sd_bus_error *error) {
        const Manager *manager = b->manager;
        Value *v = value_new_map();

        (void)uid;
        value_put_string(v, "version", VERSION);
        value_put_string(v, "state", manager_state(manager));
        value_put_bool(v, "dry_run", manager_dry_run(manager));
        value_put_bool(v, "connected", manager->connected);
        value_put_string(v, "uri", manager->options.uri ?: manager->config->base.values[KEY_DAEMON_URI].text);
        value_put_string(v, "policy_file", manager->options.config_path);
        value_put_number(v, "interval_usec", setting(&manager->config->base, KEY_DAEMON_INTERVAL));
        value_put_number(v, "cycle", manager->cycle);
        value_put_number(v, "cycle_time_usec", manager->cycle_realtime_usec);
        value_put_number(v, "cycle_duration_usec", manager->cycle_duration_usec);
        value_put_number(v, "actions_pending", manager->n_pending);
        value_put_bool(v, "memory_moving", mover_busy(manager->mover));
        value_put_number(v, "rules", manager->config->n_rules);
        value_put_number(v, "runtime_settings", manager->config->n_runtime);
        value_put(v, "host", describe_host(manager->snapshot, manager->state));
        return reply_value(m, v, error);
}

static int list_guests(Bus *b, sd_bus_message *m, uid_t uid, sd_bus_error *error) {
        _cleanup_(describe_done) Description d = { 0 };
        int r;

        (void)uid;
        r = describe(b, false, &d);
        return r < 0 ? r : reply_value(m, describe_guests(&d), error);
}

static int explain_guest(Bus *b, sd_bus_message *m, uid_t uid, sd_bus_error *error) {
        _cleanup_(describe_done) Description d = { 0 };
        const char *name = NULL;
        const Guest *g = NULL;
        Value *v;
        int r;

        (void)uid;
        r = read_argument(m, &name, error);
        if (r >= 0)
                r = find_guest(b, name, &g, error);
        if (r >= 0)
                r = describe(b, true, &d);
        if (r < 0)
                return r;
        v = describe_guest(&d, g);
        value_put_string(v, "daemon_state", manager_state(b->manager));
        value_put(v, "log", history_describe(b->manager->history, g->uuid, LOG_DEFAULT));
        return reply_value(m, v, error);
}

static int get_settings(Bus *b, sd_bus_message *m, uid_t uid, sd_bus_error *error) {
        _cleanup_(describe_done) Description d = { 0 };
        const Guest *g;
        int r;

        (void)uid;
        r = read_guest(b, m, &g, error);
        if (r >= 0)
                r = describe(b, false, &d);
        return r < 0 ? r : reply_value(m, describe_settings(&d, g), error);
}

static int list_rules(Bus *b, sd_bus_message *m, uid_t uid, sd_bus_error *error) {
        _cleanup_(describe_done) Description d = { 0 };
        int r;

        (void)uid;
        r = describe(b, false, &d);
        return r < 0 ? r : reply_value(m, describe_rules(&d), error);
}

static int get_plan(Bus *b, sd_bus_message *m, uid_t uid, sd_bus_error *error) {
        _cleanup_(describe_done) Description d = { 0 };
        _cleanup_free_ char *text = NULL;
        int r, json;

        (void)uid;
        r = sd_bus_message_read(m, "b", &json);
        if (r >= 0)
                r = describe(b, true, &d);
        if (r >= 0)
                r = plan_format(d.plan, json, &text);
        return r < 0 ? r : reply_text(m, text, error);
}

static int get_snapshot(Bus *b, sd_bus_message *m, uid_t uid, sd_bus_error *error) {
        _cleanup_free_ char *text = NULL;
        int r;

        (void)uid;
        r = snapshot_format(b->manager->snapshot, &text);
        return r < 0 ? r : reply_text(m, text, error);
}

/* Also of a guest that is gone, by the UUID it had. */
static int get_log(Bus *b, sd_bus_message *m, uid_t uid, sd_bus_error *error) {
        const char *name;
        const Guest *g;
        uint32_t max;
        int r;

        (void)uid;
        r = read_argument(m, &name, error);
        if (r >= 0)
                r = sd_bus_message_read(m, "u", &max);
        if (r < 0)
                return r;
        g = name[0] ? describe_find(b->manager->snapshot, name) : NULL;
        if (name[0] && !g && strlen(name) != UUID_TEXT_SIZE - 1)
                return find_guest(b, name, &g, error);
        return reply_value(m, history_describe(b->manager->history, g ? g->uuid : name[0] ? name : NULL,
                                               max > 0 ? max : LOG_DEFAULT), error);
}

/* ---- changing ---- */

/* At work with what is set now. */
static void follow(Bus *b, const char *why) {
        bus_changed(b);
        manager_start_cycle(b->manager, why);
}

static int set(Bus *b, sd_bus_message *m, uid_t uid, sd_bus_error *error) {
        _cleanup_free_ char *problem = NULL;
        const char *value;
        const Guest *g;
        Key key;
        int r;

        r = read_guest(b, m, &g, error);
        if (r >= 0)
                r = read_key(m, &key, error);
        if (r >= 0)
                r = read_argument(m, &value, error);
        if (r < 0)
                return r;
        r = config_set_runtime(b->manager->config, key, g, value, uid, &problem);
        if (r < 0 && problem)
                return sd_bus_error_setf(error, BUS_ERROR_INVALID_VALUE, "%s", problem);
        if (r == -E2BIG)
                return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED, "More than %u settings were made already",
                                         RUNTIME_SETTINGS_MAX);
        if (r < 0)
                return r;
        manager_log_control(uid, g, "Set %s.%s to \"%s\" until reload", config_keys[key].group,
                            config_keys[key].name, value);
        follow(b, "setting");
        return sd_bus_reply_method_return(m, NULL);
}

static int unset(Bus *b, sd_bus_message *m, uid_t uid, sd_bus_error *error) {
        const Guest *g;
        Key key;
        int r;

        r = read_guest(b, m, &g, error);
        if (r >= 0)
                r = read_key(m, &key, error);
        if (r < 0)
                return r;
        r = config_unset_runtime(b->manager->config, key, g ? g->uuid : "");
        if (r < 0)
                return sd_bus_error_setf(error, BUS_ERROR_NOT_SET, "%s.%s was not set%s%s at run time",
                                         config_keys[key].group, config_keys[key].name, g ? " for " : "",
                                         g ? g->name : "");
        manager_log_control(uid, g, "No longer set: %s.%s", config_keys[key].group, config_keys[key].name);
        follow(b, "setting");
        return sd_bus_reply_method_return(m, NULL);
}

static int control_error(int r, sd_bus_error *error) {
        if (r == -EALREADY)
                return sd_bus_error_setf(error, BUS_ERROR_ALREADY, "That is so already");
        if (r == -EBUSY)
                return sd_bus_error_setf(error, BUS_ERROR_BUSY, "Changes are being put back");
        return r;
}

static int pause_daemon(Bus *b, sd_bus_message *m, uid_t uid, sd_bus_error *error) {
        int r = manager_pause(b->manager, uid);

        return r < 0 ? control_error(r, error) : sd_bus_reply_method_return(m, NULL);
}

static int resume_daemon(Bus *b, sd_bus_message *m, uid_t uid, sd_bus_error *error) {
        int r = manager_resume(b->manager, uid);

        return r < 0 ? control_error(r, error) : sd_bus_reply_method_return(m, NULL);
}

static int reload_daemon(Bus *b, sd_bus_message *m, uid_t uid, sd_bus_error *error) {
        _cleanup_free_ char *errors = NULL;
        int r;

        manager_log_control(uid, NULL, "Loading the policy again");
        r = manager_reload(b->manager, &errors);
        if (r == -EBUSY)
                return sd_bus_error_setf(error, BUS_ERROR_BUSY, "The daemon ends");
        if (r < 0)
                return sd_bus_error_setf(error, BUS_ERROR_BAD_POLICY, "%s", errors ?: strerror(-r));
        bus_changed(b);
        return sd_bus_reply_method_return(m, NULL);
}

/* Answered by bus_restored(), which may be before this returns. */
static int restore(Bus *b, sd_bus_message *m, uid_t uid, sd_bus_error *error) {
        int r;

        if (manager_dry_run(b->manager))
                return sd_bus_error_setf(error, BUS_ERROR_DRY_RUN, "In a dry run nothing is changed, nor put back");
        if (b->restore)
                return control_error(-EBUSY, error);
        b->restore = sd_bus_message_ref(m);
        r = manager_restore(b->manager, uid);
        if (r >= 0)
                return 0;
        b->restore = sd_bus_message_unref(b->restore);
        return control_error(r, error);
}

const BusMethod bus_methods[] = {
        { "GetStatus", BUS_READ, get_status },
        { "ListGuests", BUS_READ, list_guests },
        { "ExplainGuest", BUS_READ, explain_guest },
        { "GetSettings", BUS_READ, get_settings },
        { "ListRules", BUS_READ, list_rules },
        { "GetPlan", BUS_READ, get_plan },
        { "GetSnapshot", BUS_READ, get_snapshot },
        { "GetLog", BUS_READ, get_log },
        { "Set", BUS_MANAGE, set },
        { "Unset", BUS_MANAGE, unset },
        { "Pause", BUS_MANAGE, pause_daemon },
        { "Resume", BUS_MANAGE, resume_daemon },
        { "Reload", BUS_MANAGE, reload_daemon },
        { "Restore", BUS_MANAGE, restore },
};
const size_t bus_n_methods = ELEMENTSOF(bus_methods);
