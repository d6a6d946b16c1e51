/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and checking the configuration; see settings.h. */
#include "agents/proxy/settings.h"

#include <string.h>

#include "base/name.h"
#include "proto/io/config_quorum.h"

#define CLIENT_PORT 2379

static const struct io_config_key keys[] = {PROXY_KEYS(IO_CONFIG_ROW)};
_Static_assert(BASE_COUNT_OF(keys) == PROXY_KEY_COUNT, "numbers and rows of keys must agree");

const struct io_config_spec proxy_config_spec = {
    .program = "quorate-proxy",
    .summary = "TCP proxy that follows the primary of a database cluster",
    .default_file = PROXY_CONFIG_FILE,
    .keys = keys,
    .keys_count = PROXY_KEY_COUNT,
};

static int read_listen(const struct io_config *config, size_t key, struct slice text,
                       struct proxy_listen *ret, struct io_why *why)
{
    struct io_why inner = {""};
    *ret = (struct proxy_listen){.is_on = !slice_equal(text, SLICE_LIT("off"))};
    int rc = ret->is_on ? io_address_parse(text, 0, &ret->address, &inner) : 0;
    if (rc != 0) {
        io_config_why(config, key, why, "%s", inner.text);
    }
    return rc;
}

static int add_cluster(const struct io_config *config, size_t key, struct proxy_settings *s,
                       const struct proxy_cluster_settings *cluster, struct io_why *why)
{
    for (size_t i = 0; i < s->clusters_count; i++) {
        if (base_name_equal(&s->clusters[i].name, &cluster->name)) {
            io_config_why(config, key, why, "cluster %s is named twice", cluster->name.text);
            return BASE_E_INVALID;
        }
    }
    if (s->clusters_count == PROXY_CLUSTERS_MAX) {
        io_config_why(config, key, why, "more than %d clusters", PROXY_CLUSTERS_MAX);
        return BASE_E_INVALID;
    }
    s->clusters[s->clusters_count++] = *cluster;
    return 0;
}

/* Splits at the first of `separator`; false when it is not there. */
static bool split(struct slice text, char separator, struct slice *ret_left,
                  struct slice *ret_right)
{
    const uint8_t *at = text.len > 0 ? memchr(text.data, separator, text.len) : NULL;
    if (at == NULL) {
        return false;
    }
    *ret_left = slice_from(text.data, (size_t)(at - text.data));
    *ret_right = slice_skip(text, ret_left->len + 1);
    while (ret_right->len > 0 && ret_right->data[0] == ' ') {
        *ret_right = slice_skip(*ret_right, 1);
    }
    return true;
}

/* "NAME=PRIMARY REPLICAS" */
static int read_further(const struct io_config *config, const char *entry, struct proxy_settings *s,
                        struct io_why *why)
{
    struct proxy_cluster_settings cluster;
    struct slice name;
    struct slice value;
    struct slice primary;
    struct slice replicas;
    if (!split(slice_from_text(entry), '=', &name, &value) ||
        !split(value, ' ', &primary, &replicas) || base_name_from(name, &cluster.name) != 0) {
        io_config_why(config, PROXY_KEY_CLUSTERS, why,
                      "'%s' is not NAME: PRIMARY-ADDRESS REPLICAS-ADDRESS", entry);
        return BASE_E_INVALID;
    }
    int rc = read_listen(config, PROXY_KEY_CLUSTERS, primary, &cluster.listen[PROXY_PRIMARY], why);
    rc = rc != 0 ? rc
                 : read_listen(config, PROXY_KEY_CLUSTERS, replicas,
                               &cluster.listen[PROXY_REPLICAS], why);
    return rc != 0 ? rc : add_cluster(config, PROXY_KEY_CLUSTERS, s, &cluster, why);
}

static int read_clusters(const struct io_config *config, struct proxy_settings *s,
                         struct io_why *why)
{
    size_t count = 0;
    const char *const *list = io_config_list(config, PROXY_KEY_CLUSTERS, &count);
    int rc = 0;
    if (io_config_is_set(config, PROXY_KEY_CLUSTER)) {
        struct proxy_cluster_settings cluster = {.name = io_config_name(config, PROXY_KEY_CLUSTER)};
        static const size_t listen_keys[PROXY_PORTS] = {PROXY_KEY_PRIMARY, PROXY_KEY_REPLICAS};
        for (size_t i = 0; i < PROXY_PORTS && rc == 0; i++) {
            struct slice text = slice_from_text(io_config_text(config, listen_keys[i]));
            rc = read_listen(config, listen_keys[i], text, &cluster.listen[i], why);
        }
        rc = rc != 0 ? rc : add_cluster(config, PROXY_KEY_CLUSTER, s, &cluster, why);
    }
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = read_further(config, list[i], s, why);
    }
    if (rc == 0 && s->clusters_count == 0) {
        io_config_why(config, PROXY_KEY_CLUSTER, why, "no cluster is named; set cluster: NAME");
        rc = BASE_E_INVALID;
    }
    return rc;
}

static int read_endpoint(const struct io_config *config, const char *text, bool is_insecure,
                         struct io_address *ret, struct io_why *why)
{
    struct io_why inner = {""};
    int rc = io_address_parse(slice_from_text(text), CLIENT_PORT, ret, &inner);
    if (rc != 0 || ret->host[0] == '\0') {
        io_config_why(config, PROXY_KEY_ENDPOINTS, why, "'%s': %s", text,
                      rc != 0 ? inner.text : "no host");
        return BASE_E_INVALID;
    }
    if (ret->scheme == IO_SCHEME_NONE) {
        ret->scheme = is_insecure ? IO_SCHEME_HTTP : IO_SCHEME_HTTPS;
    }
    if (ret->scheme == IO_SCHEME_HTTP && !(is_insecure && io_address_is_loopback(ret))) {
        io_config_why(config, PROXY_KEY_ENDPOINTS, why,
                      "'%s': without TLS only loopback addresses may be used, with insecure: yes; "
                      "write https:// and set tls.ca, tls.cert and tls.key",
                      text);
        return BASE_E_DENIED;
    }
    return 0;
}

static int read_quorum(const struct io_config *config, struct proxy_settings *s, struct io_why *why)
{
    size_t count = 0;
    bool is_insecure = io_config_bool(config, PROXY_KEY_INSECURE);
    bool has_tls = io_config_bool(config, PROXY_KEY_AGENTS_TLS);
    const char *const *list = io_config_list(config, PROXY_KEY_ENDPOINTS, &count);
    static const size_t tls_keys[] = {PROXY_KEY_TLS_CA, PROXY_KEY_TLS_CERT, PROXY_KEY_TLS_KEY};
    int rc = 0;
    if (count == 0 || count > PROXY_ENDPOINTS_MAX) {
        io_config_why(config, PROXY_KEY_ENDPOINTS, why, "%zu endpoints; allowed: 1 to %d", count,
                      PROXY_ENDPOINTS_MAX);
        return BASE_E_INVALID;
    }
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = read_endpoint(config, list[i], is_insecure, &s->endpoints[i], why);
        has_tls = has_tls || s->endpoints[i].scheme == IO_SCHEME_HTTPS;
    }
    s->endpoints_count = count;
    for (size_t i = 0; i < BASE_COUNT_OF(tls_keys) && rc == 0 && has_tls; i++) {
        rc = io_config_tls_named(config, tls_keys[i], why);
    }
    s->ca_file = has_tls ? io_config_text(config, PROXY_KEY_TLS_CA) : "";
    s->cert_file = io_config_text(config, PROXY_KEY_TLS_CERT);
    s->key_file = io_config_text(config, PROXY_KEY_TLS_KEY);
    s->revoked_file = io_config_text(config, PROXY_KEY_TLS_REVOKED);
    return rc;
}

static void read_core(const struct io_config *config, struct proxy_options *core)
{
    core->has_agents = io_config_bool(config, PROXY_KEY_AGENTS_ASK);
    core->is_primary_for_reads = strcmp(io_config_text(config, PROXY_KEY_FALLBACK), "primary") == 0;
    core->waits_for_open = strcmp(io_config_text(config, PROXY_KEY_HOLD_UNTIL), "open") == 0;
    core->zone = io_config_name(config, PROXY_KEY_ZONE);
    core->switchover_hold_us = io_config_int(config, PROXY_KEY_HOLD_SWITCHOVER);
}

static void read_limits(const struct io_config *config, struct proxy_settings *s)
{
    const char *language = io_config_text(config, PROXY_KEY_LANGUAGE);
    s->lag_bytes = io_config_int(config, PROXY_KEY_LAG);
    s->agents_interval_us = io_config_int(config, PROXY_KEY_AGENTS_INTERVAL);
    s->is_agents_tls = io_config_bool(config, PROXY_KEY_AGENTS_TLS);
    s->hold_us = io_config_int(config, PROXY_KEY_HOLD_TIME);
    s->held_max = (uint32_t)io_config_int(config, PROXY_KEY_HOLD_MAX);
    s->connections_max = (uint32_t)io_config_int(config, PROXY_KEY_MAX);
    s->connect_timeout_us = io_config_int(config, PROXY_KEY_CONNECT_TIMEOUT);
    s->keepalive_us = io_config_int(config, PROXY_KEY_KEEPALIVE);
    s->sends_header = io_config_bool(config, PROXY_KEY_SEND_PROXY);
    s->stop_wait_us = io_config_int(config, PROXY_KEY_STOP_WAIT);
    s->language = PROXY_SPEAKS_NOTHING;
    if (strcmp(language, "postgresql") == 0) {
        s->language = PROXY_SPEAKS_POSTGRESQL;
    } else if (strcmp(language, "mysql") == 0) {
        s->language = PROXY_SPEAKS_MYSQL;
    }
}

int proxy_settings_read(const struct io_config *config, struct proxy_settings *ret,
                        struct io_why *why)
{
    struct proxy_settings s;
    memset(&s, 0, sizeof(s));
    struct slice http = slice_from_text(io_config_text(config, PROXY_KEY_HTTP));
    read_core(config, &s.core);
    read_limits(config, &s);
    int rc = io_log_level_from(slice_from_text(io_config_text(config, PROXY_KEY_LOG_LEVEL)),
                               &s.log_level);
    rc = rc != 0 ? rc : read_clusters(config, &s, why);
    rc = rc != 0 ? rc : read_quorum(config, &s, why);
    rc = rc != 0 ? rc : read_listen(config, PROXY_KEY_HTTP, http, &s.http, why);
    if (rc == 0 && s.http.is_on && !io_address_is_loopback(&s.http.address)) {
        io_config_why(config, PROXY_KEY_HTTP, why,
                      "the status page has no TLS: only a loopback address may be used");
        rc = BASE_E_DENIED;
    }
    if (rc == 0) {
        *ret = s;
    }
    return rc;
}
