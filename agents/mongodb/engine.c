/* SPDX-License-Identifier: Apache-2.0 */
/* MongoDB engine for agents/shell: its keys, and the port in the loop. See engine.h. */
#include "agents/mongodb/engine.h"

#include <stdio.h>
#include <string.h>

#include "agents/mongodb/conf.h"
#include "base/name.h"

#define DEFAULT_PORT 27017
#define ARBITER_CACHE (UINT64_C(256) << 20) /* the smallest that WiredTiger takes */
#define LOOPBACK "127.0.0.1"

static int key_path(const struct io_config *config, size_t key, const char *text,
                    struct pg_path *ret, struct io_why *why)
{
    return agent_key_path(config, key, text, ret->text, sizeof(ret->text), why);
}

static bool is_empty(const struct io_config *config, size_t key)
{
    return io_config_text(config, key)[0] == '\0';
}

/* --- members --- */

/* The own name in the configuration, port and all, must be the one that this list says. */
static int read_own(const struct io_config *config, struct mdb_settings *s,
                    const struct io_address *address, struct io_why *why)
{
    char text[IO_ADDRESS_TEXT_MAX];
    if (strcmp(address->host, s->host.text) != 0) {
        io_config_why(config, MDB_KEY_MEMBERS, why,
                      "this member stands there as '%s', and is advertised as '%s'", address->host,
                      s->host.text);
        return BASE_E_INVALID;
    }
    if (strlen(io_address_text(address, text, sizeof(text))) > MSG_MONGODB_HOST_MAX) {
        return agent_key_fail(config, MDB_KEY_MEMBERS, why, "the host name is too long");
    }
    memcpy(s->self.text, text, strlen(text) + 1);
    int64_t port = io_config_int(config, MDB_KEY_PORT);
    s->advertise_port = address->port;
    s->port = port > 0 ? (uint16_t)port : address->port;
    s->connect_host = base_text_from(slice_from_text(address->host));
    return 0;
}

static int read_members(const struct io_config *config, struct mdb_settings *s, struct io_why *why)
{
    struct agent_members members;
    int rc = agent_key_members(config, MDB_KEY_MEMBERS, DEFAULT_PORT, &s->member, &members, why);
    if (rc != 0) {
        return rc;
    }
    s->members_count = (uint16_t)members.count;
    s->is_loopback = true;
    for (size_t i = 0; i < members.count; i++) {
        s->is_loopback = s->is_loopback && io_address_is_loopback(&members.list[i].address);
    }
    return read_own(config, s, &members.list[members.self].address, why);
}

_Static_assert(MSG_MONGODB_PEERS_MAX == AGENT_MEMBERS_MAX, "every member has its place");

/* --- trust --- */

static int read_tls(const struct io_config *config, const struct agent_settings *common,
                    struct mdb_settings *s, struct io_why *why)
{
    const char *mode = io_config_text(config, MDB_KEY_MDB_TLS);
    s->is_tls = strcmp(mode, "on") == 0 || (strcmp(mode, "auto") == 0 && !s->is_loopback);
    if (!s->is_tls) {
        return 0;
    }
    bool has_own =
        !is_empty(config, MDB_KEY_MDB_TLS_CERT) && !is_empty(config, MDB_KEY_MDB_TLS_KEY);
    if (common->ca_file[0] == '\0' || (!has_own && !s->is_watched)) {
        return agent_key_fail(config, MDB_KEY_MDB_TLS, why,
                              "members talk over TLS beyond loopback: set tls.ca, mongodb.tls_cert "
                              "and mongodb.tls_key ('kv cert issue --role member'), or say 'off'");
    }
    int rc = key_path(config, MDB_KEY_MDB_TLS, common->ca_file, &s->tls_ca, why);
    if (rc == 0 && has_own) {
        rc = key_path(config, MDB_KEY_MDB_TLS_CERT, NULL, &s->tls_cert, why);
        rc = rc != 0 ? rc : key_path(config, MDB_KEY_MDB_TLS_KEY, NULL, &s->tls_key, why);
    }
    if (rc == 0 && common->cert_file[0] != '\0' && common->key_file[0] != '\0') {
        rc = key_path(config, AGENT_KEY_TLS_CERT, common->cert_file, &s->login_cert, why);
        rc = rc != 0 ? rc
                     : key_path(config, AGENT_KEY_TLS_KEY, common->key_file, &s->login_key, why);
        rc = rc != 0 ? rc : pg_path_join(s->state_dir.text, "login.pem", &s->login_pem);
    }
    return rc != 0 ? rc : pg_path_join(s->state_dir.text, "mongod.pem", &s->tls_pem);
}

static int read_trust(const struct io_config *config, struct mdb_settings *s, struct io_why *why)
{
    const char *text = io_config_text(config, MDB_KEY_CLUSTER_AUTH);
    s->cluster_auth = strcmp(text, "x509") == 0   ? MDB_AUTH_X509
                      : strcmp(text, "none") == 0 ? MDB_AUTH_NONE
                                                  : MDB_AUTH_KEYFILE;
    if (s->is_watched) {
        return 0;
    }
    if (s->cluster_auth == MDB_AUTH_X509 && !s->is_tls) {
        return agent_key_fail(config, MDB_KEY_CLUSTER_AUTH, why,
                              "x509 needs TLS between members: mongodb.tls: on");
    }
    if (s->cluster_auth == MDB_AUTH_NONE && !s->is_loopback) {
        return agent_key_fail(config, MDB_KEY_CLUSTER_AUTH, why,
                              "without access control only loopback addresses may be used; set "
                              "mongodb.key_file, or x509");
    }
    if (s->cluster_auth != MDB_AUTH_KEYFILE) {
        return 0;
    }
    if (is_empty(config, MDB_KEY_KEY_FILE)) {
        return agent_key_fail(config, MDB_KEY_KEY_FILE, why,
                              "needed with cluster_auth: keyfile; make one with 'openssl rand "
                              "-base64 756', the same on all members");
    }
    return key_path(config, MDB_KEY_KEY_FILE, NULL, &s->key_file, why);
}

static int read_login(const struct io_config *config, struct mdb_settings *s, struct io_why *why)
{
    const char *text = io_config_text(config, MDB_KEY_LOGIN);
    s->login = strcmp(text, "x509") == 0   ? MDB_LOGIN_X509
               : strcmp(text, "none") == 0 ? MDB_LOGIN_NONE
                                           : MDB_LOGIN_SCRAM;
    if (s->is_arbiter && !io_config_is_set(config, MDB_KEY_LOGIN)) {
        s->login = MDB_LOGIN_NONE; /* it stores no users */
    }
    if (s->login == MDB_LOGIN_X509 && s->login_pem.text[0] == '\0') {
        return agent_key_fail(config, MDB_KEY_LOGIN, why,
                              "x509 needs TLS and the agent's own certificate: tls.cert, tls.key");
    }
    if (s->login == MDB_LOGIN_SCRAM && is_empty(config, MDB_KEY_PASSWORDS)) {
        return agent_key_fail(config, MDB_KEY_PASSWORDS, why,
                              "needed with login: scram; --print-roles prints the users to make");
    }
    return 0;
}

/* --- the rest --- */

static int read_paths(const struct io_config *config, const struct agent_settings *common,
                      struct mdb_settings *s, struct io_why *why)
{
    int rc = key_path(config, AGENT_KEY_STATE_DIR, common->state_dir, &s->state_dir, why);
    rc = rc != 0 ? rc : key_path(config, AGENT_KEY_RUN_DIR, common->run_dir, &s->run_dir, why);
    rc = rc != 0 ? rc : key_path(config, MDB_KEY_MONGOD, NULL, &s->mongod, why);
    rc = rc != 0 ? rc : pg_path_join(s->state_dir.text, "mongod.conf", &s->conf);
    if (rc == 0 && !is_empty(config, MDB_KEY_PID_FILE)) {
        rc = key_path(config, MDB_KEY_PID_FILE, NULL, &s->pid_file, why);
    }
    if (rc != 0) {
        return rc;
    }
    if (is_empty(config, MDB_KEY_DATA_DIR)) {
        return s->is_watched ? 0
                             : agent_key_fail(config, MDB_KEY_DATA_DIR, why,
                                              "needed, unless mongodb.adopt is watch");
    }
    return key_path(config, MDB_KEY_DATA_DIR, NULL, &s->data_dir, why);
}

static void read_plain(const struct io_config *config, struct mdb_settings *s)
{
    const char *listen = io_config_text(config, MDB_KEY_LISTEN);
    int64_t cache = io_config_int(config, MDB_KEY_CACHE);
    s->is_watched = strcmp(io_config_text(config, MDB_KEY_ADOPT_WATCH), "watch") == 0;
    s->is_arbiter = strcmp(io_config_text(config, MDB_KEY_ROLE), "arbiter") == 0;
    s->set_name =
        is_empty(config, MDB_KEY_SET_NAME) ? s->cluster : io_config_name(config, MDB_KEY_SET_NAME);
    s->listen = listen[0] == '\0' ? s->host : base_text_from(slice_from_text(listen));
    s->priority = s->is_arbiter ? 0 : (uint16_t)io_config_int(config, MDB_KEY_PRIORITY);
    s->cache_bytes = cache > 0 ? (uint64_t)cache : s->is_arbiter ? ARBITER_CACHE : 0;
    s->has_canary = io_config_bool(config, MDB_KEY_CANARY) && !s->is_arbiter;
}

static void read_connect(const struct io_config *config, struct mdb_settings *s)
{
    const char *connect = io_config_text(config, MDB_KEY_CONNECT);
    if (connect[0] != '\0') {
        s->connect_host = base_text_from(slice_from_text(connect));
    } else if (!s->is_tls) {
        s->connect_host = base_text_from(SLICE_LIT(LOOPBACK));
    }
}

static void set_common(const struct io_config *config, struct agent_settings *common,
                       const struct mdb_settings *s)
{
    struct agt_config *core = &common->core;
    agent_seed_engine(config, core, MSG_ENGINE_MONGODB, MDB_TTL_MS, MDB_HEARTBEAT_MS);
    core->seed_members = (uint8_t)s->members_count;
    core->db_port = s->advertise_port;
    common->data_dir = s->is_watched ? common->state_dir : s->data_dir.text;
    core->mongodb.is_watched = s->is_watched;
    core->mongodb.is_arbiter = s->is_arbiter;
    core->mongodb.priority = s->priority;
    core->mongodb.set_name = s->set_name;
}

int mdb_engine_settings(const struct io_config *config, struct agent_settings *common,
                        struct mdb_settings *ret, struct io_why *why)
{
    struct mdb_settings *s = ret;
    memset(s, 0, sizeof(*s));
    s->cluster = common->core.cluster;
    s->member = common->core.member;
    s->host = common->core.host;
    read_plain(config, s);
    int rc = read_paths(config, common, s, why);
    rc = rc != 0 ? rc : read_members(config, s, why);
    rc = rc != 0 ? rc : read_tls(config, common, s, why);
    rc = rc != 0 ? rc : read_trust(config, s, why);
    rc = rc != 0 ? rc : read_login(config, s, why);
    rc = rc != 0 ? rc : agent_key_parameters(config, MDB_KEY_OPTIONS, mdb_conf_add_option, s, why);
    if (rc != 0) {
        return rc;
    }
    read_connect(config, s);
    set_common(config, common, s);
    return 0;
}

/* --- the engine --- */

static int engine_open(void *ctx, const struct agent_site *site, struct db_port *ret,
                       struct io_why *why)
{
    struct mdb_engine *engine = ctx;
    const struct mdb_threads_options threads = {.loop = site->loop,
                                                .conns = mdb_mongoc_port(engine->settings)};
    int rc = mdb_threads_new(&threads, &engine->threads);
    if (rc == 0) {
        const struct mdb_db_options options = {
            .settings = engine->settings,
            .loop = site->loop,
            .sessions = mdb_threads_port(engine->threads),
            .interval_us = site->interval_us,
            .events = site->events,
        };
        rc = mdb_db_open(&options, &engine->db);
    }
    if (rc != 0) {
        bool ignored = false;
        engine->threads = mdb_threads_free(engine->threads, &ignored);
        io_why_set(why, "not enough memory or threads");
        return rc;
    }
    *ret = mdb_db_port(engine->db);
    return 0;
}

static void engine_close(void *ctx)
{
    struct mdb_engine *engine = ctx;
    bool all_ended = false;
    engine->threads = mdb_threads_free(engine->threads, &all_ended);
    engine->db = mdb_db_close(engine->db);
    if (all_ended) {
        mdb_mongoc_cleanup(); /* else a thread still waits in it; the process ends anyway */
    }
}

struct agent_engine mdb_engine_port(struct mdb_engine *engine)
{
    return (struct agent_engine){.ctx = engine, .open = engine_open, .close = engine_close};
}
