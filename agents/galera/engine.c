/* SPDX-License-Identifier: Apache-2.0 */
/* Galera engine for agents/shell: its keys, and the port in the loop. See engine.h. */
#include "agents/galera/engine.h"

#include <stdio.h>
#include <string.h>

#include "agents/galera/conf.h"
#include "base/name.h"

#define GROUP_PORT 4567
#define SOCKET_MAX 107 /* sun_path */

static int take_path(const struct io_config *config, size_t key, const char *text,
                     struct pg_path *ret, struct io_why *why)
{
    return agent_key_path(config, key, text, ret->text, sizeof(ret->text), why);
}

static int key_path(const struct io_config *config, size_t key, struct pg_path *ret,
                    struct io_why *why)
{
    return take_path(config, key, NULL, ret, why);
}

/* --- members --- */

static int read_members(const struct io_config *config, struct gal_settings *s, struct io_why *why)
{
    struct agent_members members;
    int rc = agent_key_members(config, GAL_KEY_MEMBERS, GROUP_PORT, &s->member, &members, why);
    if (rc != 0) {
        return rc;
    }
    s->peers_count = (uint32_t)members.count;
    for (size_t i = 0; i < members.count; i++) {
        struct gal_peer *peer = &s->peers[i];
        peer->member = members.list[i].name;
        (void)io_address_text(&members.list[i].address, peer->address, sizeof(peer->address));
    }
    const struct io_address *own = &members.list[members.self].address;
    (void)snprintf(s->group_host, sizeof(s->group_host), "%s", own->host);
    s->group_port = own->port;
    int64_t ist = io_config_int(config, GAL_KEY_IST_PORT);
    s->ist_port = ist > 0 ? (uint16_t)ist : (uint16_t)(s->group_port + 1);
    s->sst_port = (uint16_t)io_config_int(config, GAL_KEY_SST_PORT);
    return 0;
}

/* --- the rest --- */

_Static_assert(GAL_MEMBERS_MAX == AGENT_MEMBERS_MAX, "every member has its place");

static int add_parameter(void *settings, const char *name, const char *value)
{
    return gal_conf_add_parameter(settings, name, value);
}

/* What would let two components live beside each other, or undo what is ours. */
static int read_provider(const struct io_config *config, struct gal_settings *s, struct io_why *why)
{
    static const char *const refused[] = {
        "pc.ignore_sb",       "pc.ignore_quorum", "pc.bootstrap", "pc.recovery", "pc.weight",
        "gmcast.listen_addr", "ist.recv_addr",    "socket.ssl",   "\"",          "\n"};
    const char *text = io_config_text(config, GAL_KEY_PROVIDER_OPTIONS);
    for (size_t i = 0; i < BASE_COUNT_OF(refused); i++) {
        if (strstr(text, refused[i]) != NULL) {
            io_config_why(config, GAL_KEY_PROVIDER_OPTIONS, why,
                          "'%s' may not be set: it is Quorate's own, or would allow two "
                          "components",
                          refused[i]);
            return BASE_E_DENIED;
        }
    }
    int len = snprintf(s->provider_options, sizeof(s->provider_options), "%s", text);
    return len < (int)sizeof(s->provider_options)
               ? 0
               : agent_key_fail(config, GAL_KEY_PROVIDER_OPTIONS, why, "too long");
}

static int read_tls(const struct io_config *config, const struct agent_settings *common,
                    struct gal_settings *s, struct io_why *why)
{
    const char *mode = io_config_text(config, GAL_KEY_GAL_TLS);
    bool is_local = true;
    for (uint32_t i = 0; i < s->peers_count; i++) {
        struct io_address address;
        struct io_why inner = {""};
        is_local = is_local &&
                   io_address_parse(slice_from_text(s->peers[i].address), GROUP_PORT, &address,
                                    &inner) == 0 &&
                   io_address_is_loopback(&address);
    }
    s->is_tls = strcmp(mode, "on") == 0 || (strcmp(mode, "auto") == 0 && !is_local);
    if (!s->is_tls) {
        return 0;
    }
    if (io_config_text(config, GAL_KEY_GAL_TLS_CERT)[0] == '\0' ||
        io_config_text(config, GAL_KEY_GAL_TLS_KEY)[0] == '\0' || common->ca_file[0] == '\0') {
        return agent_key_fail(
            config, GAL_KEY_GAL_TLS, why,
            "members talk over TLS beyond loopback: set tls.ca, galera.tls_cert and "
            "galera.tls_key ('kv cert issue --role member'), or say 'off'");
    }
    int rc = take_path(config, GAL_KEY_GAL_TLS, common->ca_file, &s->tls_ca, why);
    rc = rc != 0 ? rc : key_path(config, GAL_KEY_GAL_TLS_CERT, &s->tls_cert, why);
    return rc != 0 ? rc : key_path(config, GAL_KEY_GAL_TLS_KEY, &s->tls_key, why);
}

static int read_paths(const struct io_config *config, const struct agent_settings *common,
                      struct gal_settings *s, struct io_why *why)
{
    char text[PG_PATH_MAX];
    const char *socket = io_config_text(config, GAL_KEY_SOCKET);
    (void)snprintf(text, sizeof(text), "%s/%s.%s.mysql", common->run_dir, s->cluster.text,
                   s->member.text);
    socket = socket[0] == '\0' ? text : socket;
    if (strlen(socket) + sizeof(".recover") > SOCKET_MAX) {
        return agent_key_fail(config, GAL_KEY_SOCKET, why,
                              "path is too long for a Unix socket (98 bytes)");
    }
    int rc = take_path(config, GAL_KEY_SOCKET, socket, &s->socket, why);
    rc = rc != 0 ? rc : key_path(config, GAL_KEY_SERVER, &s->server, why);
    rc = rc != 0 ? rc : key_path(config, GAL_KEY_TOOLS_DIR, &s->tools_dir, why);
    rc = rc != 0 ? rc : key_path(config, GAL_KEY_PROVIDER, &s->provider, why);
    rc = rc != 0 ? rc : key_path(config, GAL_KEY_DATA_DIR, &s->data_dir, why);
    rc = rc != 0 ? rc
                 : take_path(config, AGENT_KEY_STATE_DIR, common->state_dir, &s->state_dir, why);
    rc = rc != 0 ? rc : take_path(config, AGENT_KEY_RUN_DIR, common->run_dir, &s->run_dir, why);
    rc = rc != 0 ? rc : pg_path_join(s->state_dir.text, "mariadb.cnf", &s->conf);
    rc = rc != 0 ? rc : pg_path_suffix(s->socket.text, ".pid", &s->pid_file);
    if (rc == 0 && io_config_text(config, GAL_KEY_DEFAULTS_FILE)[0] != '\0') {
        rc = key_path(config, GAL_KEY_DEFAULTS_FILE, &s->defaults_file, why);
    }
    return rc;
}

static void read_plain(const struct io_config *config, struct gal_settings *s)
{
    const char *listen = io_config_text(config, GAL_KEY_LISTEN);
    const char *reads = io_config_text(config, GAL_KEY_DONOR_READS);
    int64_t advertised = io_config_int(config, GAL_KEY_ADVERTISE_PORT);
    s->listen = listen[0] == '\0' ? s->host : base_text_from(slice_from_text(listen));
    s->port = (uint16_t)io_config_int(config, GAL_KEY_PORT);
    s->advertise_port = advertised > 0 ? (uint16_t)advertised : s->port;
    s->sst = strcmp(io_config_text(config, GAL_KEY_SST_METHOD), "rsync") == 0 ? GAL_SST_RSYNC
                                                                              : GAL_SST_MARIABACKUP;
    s->is_donor_read =
        strcmp(reads, "yes") == 0 || (strcmp(reads, "auto") == 0 && s->sst == GAL_SST_MARIABACKUP);
    s->weight = (uint8_t)io_config_int(config, GAL_KEY_WEIGHT);
    s->has_canary = io_config_bool(config, GAL_KEY_CANARY);
}

static int read_accounts(const struct io_config *config, struct gal_settings *s, struct io_why *why)
{
    bool has_file = io_config_text(config, GAL_KEY_PASSWORDS)[0] != '\0';
    s->is_socket_login = strcmp(io_config_text(config, GAL_KEY_ACCOUNTS), "socket") == 0;
    (void)snprintf(s->os_user, sizeof(s->os_user), "%.63s", io_config_text(config, AGENT_KEY_USER));
    if (s->is_socket_login == has_file) {
        io_config_why(config, GAL_KEY_PASSWORDS, why,
                      has_file ? "not read with galera.accounts: socket: leave out one of the two"
                               : "needed: name the file, or say galera.accounts: socket");
        return BASE_E_INVALID;
    }
    return 0;
}

/* A lease shorter than a stall of the group would change the writer with each lost member. */
static int read_seed(const struct io_config *config, struct agent_settings *common,
                     const struct gal_settings *s, struct io_why *why)
{
    struct agt_config *core = &common->core;
    agent_seed_engine(config, core, MSG_ENGINE_GALERA, GAL_TTL_MS, GAL_HEARTBEAT_MS);
    core->seed_members = (uint8_t)s->peers_count;
    if (core->seed_ttl_ms < GAL_TTL_MIN_MS) {
        io_config_why(config, AGENT_KEY_TTL, why,
                      "for Galera at least 5s: evs.suspect_timeout (2s) and 3s");
        return BASE_E_INVALID;
    }
    core->is_donor_read = s->is_donor_read;
    core->db_port = s->advertise_port;
    common->data_dir = s->data_dir.text;
    return 0;
}

int gal_engine_settings(const struct io_config *config, struct agent_settings *common,
                        struct gal_settings *ret, struct io_why *why)
{
    struct gal_settings *s = ret;
    memset(s, 0, sizeof(*s));
    s->cluster = common->core.cluster;
    s->member = common->core.member;
    s->host = common->core.host;
    s->may_adopt = common->core.seed_adopt;
    read_plain(config, s);
    int rc = read_paths(config, common, s, why);
    rc = rc != 0 ? rc : read_members(config, s, why);
    rc = rc != 0 ? rc : read_accounts(config, s, why);
    rc = rc != 0 ? rc : read_tls(config, common, s, why);
    rc = rc != 0 ? rc : agent_key_parameters(config, GAL_KEY_PARAMETERS, add_parameter, s, why);
    rc = rc != 0 ? rc : read_provider(config, s, why);
    return rc != 0 ? rc : read_seed(config, common, s, why);
}

/* --- the engine --- */

static int engine_open(void *ctx, const struct agent_site *site, struct db_port *ret,
                       struct io_why *why)
{
    struct gal_engine *engine = ctx;
    int rc = gal_mysql_new(site->loop, engine->settings, &engine->mysql);
    if (rc == 0) {
        const struct gal_db_options options = {
            .settings = engine->settings,
            .loop = site->loop,
            .sessions = gal_mysql_port(engine->mysql),
            .interval_us = site->interval_us,
            .events = site->events,
        };
        rc = gal_db_open(&options, &engine->db);
    }
    if (rc != 0) {
        engine->mysql = gal_mysql_free(engine->mysql);
        io_why_set(why, "not enough memory, threads or files");
        return rc;
    }
    *ret = gal_db_port(engine->db);
    return 0;
}

static void engine_close(void *ctx)
{
    struct gal_engine *engine = ctx;
    engine->mysql = gal_mysql_free(engine->mysql);
    engine->db = gal_db_close(engine->db);
}

struct agent_engine gal_engine_port(struct gal_engine *engine)
{
    return (struct agent_engine){.ctx = engine, .open = engine_open, .close = engine_close};
}
