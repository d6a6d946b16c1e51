/* SPDX-License-Identifier: Apache-2.0 */
/* See outward.h. */
#include "agents/shell/outward.h"

#include <stdio.h>
#include <string.h>

/* --- settings --- */

static int read_hooks(const struct io_config *config, struct hooks_settings *hooks,
                      struct io_why *why)
{
    static const size_t keys[HOOK_COUNT] = {
        [HOOK_START] = AGENT_KEY_HOOK_ON_START,
        [HOOK_RESTART] = AGENT_KEY_HOOK_ON_RESTART,
        [HOOK_STOP] = AGENT_KEY_HOOK_ON_STOP,
        [HOOK_RELOAD] = AGENT_KEY_HOOK_ON_RELOAD,
        [HOOK_ROLE_CHANGE] = AGENT_KEY_HOOK_ON_ROLE_CHANGE,
        [HOOK_PRIMARY_CHANGE] = AGENT_KEY_HOOK_ON_PRIMARY_CHANGE,
        [HOOK_PRE_PROMOTE] = AGENT_KEY_HOOK_PRE_PROMOTE,
        [HOOK_BEFORE_STOP] = AGENT_KEY_HOOK_BEFORE_STOP,
    };
    hooks->timeout_us = io_config_int(config, AGENT_KEY_HOOKS_TIMEOUT);
    for (size_t i = 0; i < HOOK_COUNT; i++) {
        const char *command = io_config_text(config, keys[i]);
        if (strlen(command) >= HOOK_COMMAND_MAX) {
            io_config_why(config, keys[i], why, "longer than %d bytes: put it into a script",
                          HOOK_COMMAND_MAX - 1);
            return BASE_E_INVALID;
        }
        (void)snprintf(hooks->commands[i], HOOK_COMMAND_MAX, "%s", command);
    }
    return 0;
}

static int read_vip(const struct io_config *config, struct vip_settings *vip, struct io_why *why)
{
    size_t count = 0;
    const char *const *list = io_config_list(config, AGENT_KEY_VIP_ADDRESS, &count);
    const char *interface = io_config_text(config, AGENT_KEY_VIP_INTERFACE);
    for (size_t i = 0; i < count; i++) {
        if (vip_settings_add(vip, list[i]) != 0) {
            io_config_why(config, AGENT_KEY_VIP_ADDRESS, why,
                          "'%s' is no address like 10.0.0.5/24 or fd00::5/64, or one of more than "
                          "%d",
                          list[i], VIP_ADDRESSES_MAX);
            return BASE_E_INVALID;
        }
    }
    if (count > 0 && (interface[0] == '\0' || strlen(interface) >= VIP_INTERFACE_MAX)) {
        io_config_why(config, AGENT_KEY_VIP_INTERFACE, why,
                      "'%s' is no interface; ip link shows their names", interface);
        return BASE_E_INVALID;
    }
    (void)snprintf(vip->interface, sizeof(vip->interface), "%s", interface);
    return 0;
}

int outward_settings_read(const struct io_config *config, struct agent_settings *ret,
                          struct io_why *why)
{
    const char *tls = io_config_text(config, AGENT_KEY_HTTP_TLS);
    ret->http_tls = strcmp(tls, "on") == 0    ? AGENT_HTTP_TLS
                    : strcmp(tls, "off") == 0 ? AGENT_HTTP_PLAIN
                                              : AGENT_HTTP_AUTO;
    if (ret->http_tls == AGENT_HTTP_TLS && ret->cert_file[0] == '\0') {
        io_config_why(config, AGENT_KEY_HTTP_TLS, why,
                      "'on' needs a certificate: tls.ca, tls.cert and tls.key");
        return BASE_E_INVALID;
    }
    int rc = read_hooks(config, &ret->hooks, why);
    return rc != 0 ? rc : read_vip(config, &ret->vip, why);
}

/* --- between driver and engine --- */

static void hooks_done(void *ctx, const struct db_done *done)
{
    struct outward *o = ctx;
    agt_driver_db_done(o->driver, done);
}

static bool may_promote(void *ctx, uint64_t epoch)
{
    const struct outward *o = ctx;
    const struct agt *agent = agt_driver_agent(o->driver);
    return agent->guard.epoch == epoch && agt_has_right(agent, io_now());
}

static void order(void *ctx, const struct db_order *asked)
{
    struct outward *o = ctx;
    o->engine.order(o->engine.ctx, asked);
}

static void configure(void *ctx, uint64_t revision, struct slice text)
{
    struct outward *o = ctx;
    agent_health_config(&o->health, revision, text);
    if (o->engine.configure != NULL) {
        o->engine.configure(o->engine.ctx, revision, text);
    }
}

struct db_port outward_port(struct outward *outward, struct db_port engine)
{
    outward->engine = hooks_port(&outward->hooks, engine);
    return (struct db_port){.ctx = outward, .order = order, .configure = configure};
}

bool outward_take_done(struct outward *outward, const struct db_done *done)
{
    return hooks_take_done(&outward->hooks, done);
}

/* --- life --- */

int outward_open(struct outward *outward, struct io_loop *loop,
                 const struct agent_settings *settings, struct agt_driver *driver,
                 struct io_why *why)
{
    outward->settings = settings;
    outward->driver = driver;
    agent_health_init(&outward->health, driver, settings->is_insecure);
    outward->health.config = settings->config;
    outward->health.tls = &outward->tls;
    int rc = hooks_open(&outward->hooks, loop, &settings->hooks);
    outward->hooks.ctx = outward;
    outward->hooks.done = hooks_done;
    outward->hooks.may_promote = may_promote;
    if (rc == 0) {
        rc = vip_open(&outward->vip, loop, &settings->vip);
    }
    if (rc != 0) {
        io_why_set(why, "not enough memory, threads or files for hooks");
    }
    return rc;
}

/* The port has a context of its own: it asks clients for a certificate and takes those that have
 * none, which then may only look. */
static int open_tls(struct outward *o, struct io_loop *loop, struct io_why *why)
{
    const struct agent_settings *s = o->settings;
    const struct io_tls_options options = {.cert_file = s->cert_file,
                                           .key_file = s->key_file,
                                           .ca_file = s->ca_file,
                                           .revoked_file = s->revoked_file,
                                           .verify = IO_TLS_VERIFY_OPTIONAL};
    if (s->http_tls == AGENT_HTTP_PLAIN || s->cert_file[0] == '\0') {
        return 0;
    }
    int rc = io_tls_new(&options, &o->tls, why);
    if (rc == 0) {
        io_tls_watch(o->tls, loop);
    }
    return rc;
}

int outward_listen(struct outward *outward, struct io_loop *loop, struct io_why *why)
{
    int rc = open_tls(outward, loop, why);
    if (rc != 0) {
        return rc;
    }
    const struct io_http_handler handler = agent_health_handler(&outward->health);
    const struct io_server_options options = {.address = outward->settings->http_listen,
                                              .tls = outward->tls,
                                              .is_plain_too =
                                                  outward->settings->http_tls == AGENT_HTTP_AUTO,
                                              .http = &handler,
                                              .body_max = AGENT_HEALTH_REQUEST_MAX};
    return io_server_new(loop, &options, &outward->http, why);
}

void outward_look(struct outward *outward)
{
    const struct agt *agent = agt_driver_agent(outward->driver);
    agent_health_look(&outward->health);
    hooks_look(&outward->hooks, agent, io_now());
    vip_look(&outward->vip, agent);
}

void outward_woke(struct outward *outward, int64_t late_us)
{
    agent_health_woke(&outward->health, late_us);
}

void outward_close(struct outward *outward)
{
    if (outward->settings == NULL) {
        return;
    }
    vip_close(&outward->vip);
    outward->http = io_server_free(outward->http);
    hooks_close(&outward->hooks);
    outward->tls = io_tls_free(outward->tls);
}
