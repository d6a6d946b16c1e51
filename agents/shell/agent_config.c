/* SPDX-License-Identifier: Apache-2.0 */
/* Common configuration of agents; see agent_config.h. */
#include "agents/shell/agent_config.h"

#include <stdio.h>
#include <string.h>

#include "agents/shell/outward.h"
#include "base/lease_math.h"
#include "base/name.h"
#include "proto/io/config_quorum.h"

#define HTTP_PORT 8008
#define FAST_TTL_MS 600
#define FAST_HEARTBEAT_MS 100

int agent_key_fail(const struct io_config *config, size_t key, struct io_why *why, const char *text)
{
    io_config_why(config, key, why, "%s", text);
    return BASE_E_INVALID;
}

int agent_key_path(const struct io_config *config, size_t key, const char *text, char *ret,
                   size_t size, struct io_why *why)
{
    int len = snprintf(ret, size, "%s", text == NULL ? io_config_text(config, key) : text);
    if (len < 0 || (size_t)len >= size) {
        return agent_key_fail(config, key, why, "path is too long");
    }
    if (ret[0] != '/') {
        return agent_key_fail(config, key, why, "the path must begin with '/'");
    }
    while (len > 1 && ret[len - 1] == '/') {
        ret[--len] = '\0';
    }
    return 0;
}

int agent_key_parameters(const struct io_config *config, size_t key,
                         int (*add)(void *settings, const char *name, const char *value),
                         void *settings, struct io_why *why)
{
    size_t count = 0;
    const char *const *list = io_config_list(config, key, &count);
    for (size_t i = 0; i < count; i++) {
        char name[BASE_TEXT_MAX + 1];
        const char *equals = strchr(list[i], '=');
        int len = snprintf(name, sizeof(name), "%.*s", (int)(equals - list[i]), list[i]);
        int rc = len < (int)sizeof(name) ? add(settings, name, equals + 1) : BASE_E_TOOBIG;
        if (rc != 0) {
            io_config_why(config, key, why, "'%s': %s", name,
                          rc == BASE_E_DENIED   ? "this setting is Quorate's own; leave it out"
                          : rc == BASE_E_TOOBIG ? "too long, or too many settings"
                                                : "not a setting's name or value");
            return rc;
        }
    }
    return 0;
}

static int read_member(const struct io_config *config, size_t key, const char *entry,
                       uint16_t default_port, struct agent_member *ret, struct io_why *why)
{
    struct io_why inner = {""};
    const char *equals = strchr(entry, '=');
    size_t len = equals == NULL ? 0 : (size_t)(equals - entry);
    if (equals == NULL || base_name_from(slice_from(entry, len), &ret->name) != 0) {
        io_config_why(config, key, why, "'%s' is not member: host:port", entry);
        return BASE_E_INVALID;
    }
    if (io_address_parse(slice_from_text(equals + 1), default_port, &ret->address, &inner) != 0) {
        io_config_why(config, key, why, "'%s': %s", entry, inner.text);
        return BASE_E_INVALID;
    }
    return 0;
}

int agent_key_members(const struct io_config *config, size_t key, uint16_t default_port,
                      const struct base_name *self, struct agent_members *ret, struct io_why *why)
{
    const char *const *list = io_config_list(config, key, &ret->count);
    ret->self = SIZE_MAX;
    if (ret->count == 0 || ret->count > AGENT_MEMBERS_MAX) {
        io_config_why(config, key, why, "%zu members; allowed: 1 to %d", ret->count,
                      AGENT_MEMBERS_MAX);
        return BASE_E_INVALID;
    }
    for (size_t i = 0; i < ret->count; i++) {
        int rc = read_member(config, key, list[i], default_port, &ret->list[i], why);
        if (rc != 0) {
            return rc;
        }
        ret->self = base_name_equal(&ret->list[i].name, self) ? i : ret->self;
    }
    if (ret->self == SIZE_MAX) {
        io_config_why(config, key, why, "member '%s' (this one) is not among them", self->text);
        return BASE_E_INVALID;
    }
    return 0;
}

void agent_seed_engine(const struct io_config *config, struct agt_config *core,
                       enum msg_engine engine, uint32_t ttl_ms, uint32_t heartbeat_ms)
{
    core->engine = engine;
    core->seed_sync_mode = MSG_SYNC_ASYNC; /* replication is the engine's own */
    if (!io_config_is_set(config, AGENT_KEY_TTL)) {
        core->seed_ttl_ms = ttl_ms;
    }
    if (!io_config_is_set(config, AGENT_KEY_HEARTBEAT)) {
        core->seed_heartbeat_ms = heartbeat_ms;
    }
}

static int read_nodes(const struct io_config *config, struct agent_settings *s, struct io_why *why)
{
    size_t count = 0;
    const char *const *list = io_config_list(config, AGENT_KEY_NODES, &count);
    if (count == 0 || count > IO_LINK_NODES_MAX) {
        io_config_why(config, AGENT_KEY_NODES, why, "%zu nodes; allowed: 1 to %d", count,
                      IO_LINK_NODES_MAX);
        return BASE_E_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        int rc = io_config_quorum_node(config, AGENT_KEY_NODES, s->token.text, list[i],
                                       &s->nodes[i], why);
        if (rc != 0) {
            return rc;
        }
        if (s->is_insecure && !io_address_is_loopback(&s->nodes[i].address)) {
            io_config_why(config, AGENT_KEY_INSECURE, why,
                          "without TLS only loopback addresses may be used; set tls.ca, tls.cert "
                          "and tls.key");
            return BASE_E_DENIED;
        }
    }
    s->nodes_count = count;
    return 0;
}

static enum msg_sync_mode sync_mode_of(const char *text)
{
    if (strcmp(text, "first") == 0) {
        return MSG_SYNC_FIRST;
    }
    bool is_off = strcmp(text, "off") == 0 || strcmp(text, "no") == 0 || strcmp(text, "false") == 0;
    return is_off ? MSG_SYNC_ASYNC : MSG_SYNC_ON;
}

static int read_seed(const struct io_config *config, struct agt_config *core, struct io_why *why)
{
    bool is_fast = strcmp(io_config_text(config, AGENT_KEY_PROFILE), "fast") == 0;
    core->has_seed = true;
    core->seed_ttl_ms = (uint32_t)(io_config_int(config, AGENT_KEY_TTL) / BASE_US_PER_MS);
    core->seed_heartbeat_ms =
        (uint32_t)(io_config_int(config, AGENT_KEY_HEARTBEAT) / BASE_US_PER_MS);
    if (is_fast && !io_config_is_set(config, AGENT_KEY_TTL)) {
        core->seed_ttl_ms = FAST_TTL_MS;
    }
    if (is_fast && !io_config_is_set(config, AGENT_KEY_HEARTBEAT)) {
        core->seed_heartbeat_ms = FAST_HEARTBEAT_MS;
    }
    core->seed_freeze_max_ms =
        (uint32_t)(io_config_int(config, AGENT_KEY_FREEZE_MAX) / BASE_US_PER_MS);
    core->seed_sync_mode = sync_mode_of(io_config_text(config, AGENT_KEY_SYNC));
    core->seed_sync_count = (uint8_t)io_config_int(config, AGENT_KEY_SYNC_COUNT);
    core->seed_sync_strict = io_config_bool(config, AGENT_KEY_STRICT);
    core->seed_adopt = strcmp(io_config_text(config, AGENT_KEY_ADOPT), "no") != 0;
    core->is_adopted_running = strcmp(io_config_text(config, AGENT_KEY_ADOPT), "running") == 0;
    int64_t interval_us = io_config_int(config, AGENT_KEY_FAILOVER_INTERVAL);
    core->seed_failover_interval_ms =
        interval_us == 0 ? UINT32_MAX : (uint32_t)(interval_us / BASE_US_PER_MS);
    if (core->seed_heartbeat_ms * LEASE_HEARTBEATS_PER_TTL_MIN > core->seed_ttl_ms) {
        io_config_why(config, AGENT_KEY_HEARTBEAT, why,
                      "the ttl (cluster.ttl) must be at least %d heartbeats",
                      LEASE_HEARTBEATS_PER_TTL_MIN);
        return BASE_E_INVALID;
    }
    return 0;
}

static enum agt_on_crash on_crash_of(const char *text)
{
    if (strcmp(text, "failover") == 0) {
        return AGT_ON_CRASH_FAILOVER;
    }
    return strcmp(text, "restart") == 0 ? AGT_ON_CRASH_RESTART : AGT_ON_CRASH_AUTO;
}

static int read_tls(const struct io_config *config, struct agent_settings *s, struct io_why *why)
{
    static const size_t keys[] = {AGENT_KEY_TLS_CA, AGENT_KEY_TLS_CERT, AGENT_KEY_TLS_KEY};
    s->ca_file = io_config_text(config, AGENT_KEY_TLS_CA);
    s->cert_file = io_config_text(config, AGENT_KEY_TLS_CERT);
    s->key_file = io_config_text(config, AGENT_KEY_TLS_KEY);
    s->revoked_file = io_config_text(config, AGENT_KEY_TLS_REVOKED);
    for (size_t i = 0; i < BASE_COUNT_OF(keys) && !s->is_insecure; i++) {
        int rc = io_config_tls_named(config, keys[i], why);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int read_http(const struct io_config *config, struct agent_settings *s, struct io_why *why)
{
    struct io_why inner = {""};
    int rc = io_address_parse(slice_from_text(io_config_text(config, AGENT_KEY_HTTP_LISTEN)),
                              HTTP_PORT, &s->http_listen, &inner);
    if (rc != 0) {
        io_config_why(config, AGENT_KEY_HTTP_LISTEN, why, "%s", inner.text);
    }
    int64_t outside = io_config_int(config, AGENT_KEY_HTTP_ADVERTISE_PORT);
    s->core.http_port = outside == 0 ? s->http_listen.port : (uint16_t)outside;
    return rc;
}

/* With less room the guard could not feed it between two grants. */
static int read_watchdog(const struct io_config *config, struct agent_settings *s,
                         struct io_why *why)
{
    s->watchdog_mode = io_config_text(config, AGENT_KEY_WATCHDOG_MODE);
    s->watchdog_device = io_config_text(config, AGENT_KEY_WATCHDOG_DEVICE);
    s->watchdog_timeout_us = io_config_int(config, AGENT_KEY_WATCHDOG_TIMEOUT);
    int64_t ttl_us = (int64_t)s->core.seed_ttl_ms * BASE_US_PER_MS;
    if (strcmp(s->watchdog_mode, "off") != 0 && s->watchdog_timeout_us > ttl_us / 2) {
        io_config_why(config, AGENT_KEY_WATCHDOG_TIMEOUT, why,
                      "it may be half of the ttl (cluster.ttl) at most");
        return BASE_E_INVALID;
    }
    if (strcmp(s->watchdog_mode, "require") == 0) {
        s->core.ttl_least_ms = (uint32_t)(2 * s->watchdog_timeout_us / BASE_US_PER_MS);
    }
    return 0;
}

int agent_settings_read(const struct io_config *config, struct agent_settings *ret,
                        struct io_why *why)
{
    struct agent_settings s = {.config = config};
    s.core.cluster = io_config_name(config, AGENT_KEY_CLUSTER);
    s.core.member = io_config_name(config, AGENT_KEY_MEMBER);
    s.core.host = base_text_from(slice_from_text(io_config_text(config, AGENT_KEY_ADVERTISE)));
    s.core.is_nofailover = io_config_bool(config, AGENT_KEY_NOFAILOVER);
    s.core.is_nosync = io_config_bool(config, AGENT_KEY_NOSYNC);
    s.core.priority = (uint8_t)io_config_int(config, AGENT_KEY_PRIORITY);
    s.core.is_noloadbalance = io_config_bool(config, AGENT_KEY_NOLOADBALANCE);
    s.core.is_clonefrom = io_config_bool(config, AGENT_KEY_CLONEFROM);
    s.core.zone = io_config_name(config, AGENT_KEY_ZONE);
    s.core.replicatefrom = io_config_name(config, AGENT_KEY_REPLICATEFROM);
    s.core.hang_timeout_us = io_config_int(config, AGENT_KEY_HANG_TIMEOUT);
    s.core.start_timeout_us = io_config_int(config, AGENT_KEY_START_TIMEOUT);
    s.core.on_crash = on_crash_of(io_config_text(config, AGENT_KEY_ON_CRASH));
    s.token = base_text_from(slice_from_text(io_config_text(config, AGENT_KEY_TOKEN)));
    s.is_insecure = io_config_bool(config, AGENT_KEY_INSECURE);
    s.state_dir = io_config_text(config, AGENT_KEY_STATE_DIR);
    s.run_dir = io_config_text(config, AGENT_KEY_RUN_DIR);
    int rc = io_log_level_from(slice_from_text(io_config_text(config, AGENT_KEY_LOG_LEVEL)),
                               &s.log_level);
    rc = rc != 0 ? rc : read_nodes(config, &s, why);
    rc = rc != 0 ? rc : read_seed(config, &s.core, why);
    rc = rc != 0 ? rc : read_watchdog(config, &s, why);
    rc = rc != 0 ? rc : read_tls(config, &s, why);
    rc = rc != 0 ? rc : read_http(config, &s, why);
    rc = rc != 0 ? rc : outward_settings_read(config, &s, why);
    if (rc == 0) {
        *ret = s;
    }
    return rc;
}
