/* SPDX-License-Identifier: Apache-2.0 */
/* PostgreSQL engine for agents/shell; see engine.h. */
#include "agents/postgresql/engine.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agents/postgresql/config.h"
#include "agents/postgresql/layout.h"
#include "agents/shell/child.h"
#include "agents/shell/start.h"
#include "base/name.h"

#define VERSION_US (10 * BASE_US_PER_S)
#define SOCKET_DIR_MAX 90 /* sun_path less the server's file name */

static int take_path(const struct io_config *config, size_t key, const char *text,
                     struct pg_path *ret, struct io_why *why)
{
    return agent_key_path(config, key, text, ret->text, sizeof(ret->text), why);
}

static int add_parameter(void *settings, const char *name, const char *value)
{
    return pg_settings_add_parameter(settings, name, value);
}

static int read_hba(const struct io_config *config, struct pg_settings *s, struct io_why *why)
{
    size_t count = 0;
    const char *const *list = io_config_list(config, PG_KEY_HBA, &count);
    for (size_t i = 0; i < count; i++) {
        if (pg_settings_add_hba(s, list[i]) != 0) {
            return agent_key_fail(config, PG_KEY_HBA, why,
                                  "a line is too long, or there are too many");
        }
    }
    return 0;
}

static bool is_loopback(const char *host)
{
    struct io_address address = {.port = 1};
    (void)snprintf(address.host, sizeof(address.host), "%s", host);
    return io_address_is_loopback(&address);
}

/* Others must reach the advertised address; our own sessions use the socket. */
static void read_listen(const struct io_config *config, const struct agent_settings *common,
                        struct pg_settings *s)
{
    char text[BASE_TEXT_MAX + 16];
    const char *listen = io_config_text(config, PG_KEY_LISTEN);
    const char *host = common->core.host.text;
    bool is_both = listen[0] == '\0' && !is_loopback(host);
    (void)snprintf(text, sizeof(text), "%s%s", is_both ? "127.0.0.1," : "",
                   listen[0] == '\0' ? host : listen);
    s->listen = base_text_from(slice_from_text(text));
}

static int read_tls(const struct io_config *config, const struct agent_settings *common,
                    struct pg_settings *s, struct io_why *why)
{
    const char *mode = io_config_text(config, PG_KEY_PG_TLS);
    const char *cert = io_config_text(config, PG_KEY_PG_TLS_CERT);
    bool is_local = is_loopback(s->listen.text) && is_loopback(common->core.host.text);
    s->is_tls = strcmp(mode, "off") != 0 && (strcmp(mode, "auto") != 0 || !is_local);
    s->is_tls_full = strcmp(mode, "verify-ca") != 0;
    if (!s->is_tls) {
        return 0;
    }
    if (cert[0] == '\0' || io_config_text(config, PG_KEY_PG_TLS_KEY)[0] == '\0' ||
        common->ca_file[0] == '\0') {
        return agent_key_fail(
            config, PG_KEY_PG_TLS, why,
            "members talk over TLS beyond loopback: set tls.ca, postgresql.tls_cert and "
            "postgresql.tls_key ('kv cert issue --role member'), or say 'off'");
    }
    int rc = take_path(config, PG_KEY_PG_TLS, common->ca_file, &s->tls_ca, why);
    rc = rc != 0 ? rc : take_path(config, PG_KEY_PG_TLS_CERT, NULL, &s->tls_cert, why);
    return rc != 0 ? rc : take_path(config, PG_KEY_PG_TLS_KEY, NULL, &s->tls_key, why);
}

static int check_programs(const struct io_config *config, const struct pg_settings *s,
                          struct io_why *why)
{
    static const char *const names[] = {"postgres", "initdb", "pg_basebackup", "pg_rewind",
                                        "pg_controldata"};
    for (size_t i = 0; i < BASE_COUNT_OF(names); i++) {
        struct pg_path path;
        if (pg_path_join(s->bin_dir.text, names[i], &path) != 0 || access(path.text, X_OK) != 0) {
            io_config_why(config, PG_KEY_BIN_DIR, why,
                          "no program %s in %s; install postgresql-15 or name another directory",
                          names[i], s->bin_dir.text);
            return BASE_E_NOTFOUND;
        }
    }
    return 0;
}

/* The control file, the timelines' rules and the rewind are those of known major versions. */
static int check_version(const struct io_config *config, struct pg_settings *s, struct io_why *why)
{
    static struct pg_child_result result;
    struct pg_path path;
    int rc = pg_path_join(s->bin_dir.text, "postgres", &path);
    if (rc == 0) {
        const char *argv[] = {path.text, "--version", NULL};
        const struct pg_child child = {.argv = argv,
                                       .deadline = base_mono_add_us(io_now(), VERSION_US),
                                       .cancel_fd = -1,
                                       .lock_fd = -1};
        rc = pg_child_run(&child, &result);
    }
    rc = rc != 0 ? rc : pg_layout_version_parse(result.head, &s->version_major);
    if (rc != 0) {
        io_config_why(config, PG_KEY_BIN_DIR, why,
                      "%s is '%.100s'; this agent runs PostgreSQL %u to %u", path.text,
                      result.last_line[0] == '\0' ? base_error_text(rc) : result.last_line,
                      PG_VERSION_MIN, PG_VERSION_MAX);
        return BASE_E_UNSUPPORTED;
    }
    return 0;
}

static int read_paths(const struct io_config *config, const struct agent_settings *common,
                      struct pg_settings *s, struct io_why *why)
{
    const char *socket_dir = io_config_text(config, PG_KEY_SOCKET_DIR);
    socket_dir = socket_dir[0] == '\0' ? common->run_dir : socket_dir;
    if (strlen(socket_dir) > SOCKET_DIR_MAX) {
        return agent_key_fail(config, PG_KEY_SOCKET_DIR, why,
                              "path is too long for a Unix socket (90 bytes)");
    }
    int rc = take_path(config, PG_KEY_BIN_DIR, NULL, &s->bin_dir, why);
    rc = rc != 0 ? rc : take_path(config, PG_KEY_DATA_DIR, NULL, &s->data_dir, why);
    rc = rc != 0 ? rc : take_path(config, PG_KEY_SOCKET_DIR, socket_dir, &s->socket_dir, why);
    return rc != 0 ? rc
                   : take_path(config, AGENT_KEY_STATE_DIR, common->state_dir, &s->state_dir, why);
}

static int read_passwords(const struct io_config *config, struct pg_settings *s, struct io_why *why)
{
    struct base_text text;
    int rc = pg_settings_read_passwords(s, io_config_text(config, PG_KEY_PASSWORDS), &text);
    if (rc != 0) {
        io_config_why(config, PG_KEY_PASSWORDS, why, "%s", text.text);
        return rc;
    }
    rc = pg_settings_write_pgpass(s);
    if (rc != 0) {
        io_why_set(why, "cannot write pgpass in %s: %s", s->state_dir.text, base_error_text(rc));
    }
    return rc;
}

int pg_engine_check_host(const struct io_config *config, const struct agent_settings *common,
                         struct pg_settings *s, struct io_why *why)
{
    const char *const files[] = {s->tls_ca.text, s->tls_cert.text, s->tls_key.text};
    (void)snprintf(s->os_user, sizeof(s->os_user), "%s", common->os_user);
    int rc = check_programs(config, s, why);
    rc = rc != 0 ? rc : check_version(config, s, why);
    rc = rc != 0 ? rc : agent_check_files(common, files, BASE_COUNT_OF(files), why);
    if (rc == 0 && pg_config_open(s) != 0) {
        io_why_set(why, "out of memory");
        rc = BASE_E_NOMEM;
    }
    return rc != 0 ? rc : read_passwords(config, s, why);
}

static int read_segment(const struct io_config *config, struct pg_settings *s, struct io_why *why)
{
    s->segment_mb = (uint32_t)io_config_int(config, PG_KEY_WAL_SEGMENT);
    if ((s->segment_mb & (s->segment_mb - 1)) != 0) {
        return agent_key_fail(config, PG_KEY_WAL_SEGMENT, why, "must be a power of two");
    }
    return 0;
}

int pg_engine_settings(const struct io_config *config, struct agent_settings *common,
                       struct pg_settings *ret, struct io_why *why)
{
    struct pg_settings *s = ret;
    memset(s, 0, sizeof(*s));
    s->cluster = common->core.cluster;
    s->member = common->core.member;
    s->port = (uint16_t)io_config_int(config, PG_KEY_PORT);
    s->may_adopt = common->core.seed_adopt;
    s->is_adopted_running = common->core.is_adopted_running;
    read_listen(config, common, s);
    int rc = read_paths(config, common, s, why);
    rc = rc != 0 ? rc : pg_engine_life(config, s, why);
    rc = rc != 0 ? rc : read_segment(config, s, why);
    rc = rc != 0 ? rc : read_tls(config, common, s, why);
    rc = rc != 0 ? rc : agent_key_parameters(config, PG_KEY_PARAMETERS, add_parameter, s, why);
    common->core.db_port = s->advertise_port != 0 ? s->advertise_port : s->port;
    common->data_dir = s->data_dir.text;
    return rc != 0 ? rc : read_hba(config, s, why);
}

/* --- the engine --- */

static void engine_wake(void *ctx)
{
    const struct pg_engine *engine = ctx;
    io_wake_send(engine->wake);
}

static void engine_woken(void *ctx)
{
    const struct pg_engine *engine = ctx;
    pg_db_poll(engine->db);
}

static int engine_open(void *ctx, const struct agent_site *site, struct db_port *ret,
                       struct io_why *why)
{
    struct pg_engine *engine = ctx;
    const struct pg_db_options options = {
        .settings = engine->settings,
        .guard = site->guard,
        .interval_us = site->interval_us,
        .wake = engine_wake,
        .wake_ctx = engine,
        .events = site->events,
    };
    int rc = io_wake_new(site->loop, engine_woken, engine, &engine->wake);
    rc = rc != 0 ? rc : pg_db_open(&options, &engine->db);
    if (rc != 0) {
        io_why_set(why, "not enough memory or threads");
        return rc;
    }
    *ret = pg_db_port(engine->db);
    return 0;
}

static void engine_close(void *ctx)
{
    struct pg_engine *engine = ctx;
    engine->db = pg_db_close(engine->db);
    engine->wake = io_wake_free(engine->wake);
}

struct agent_engine pg_engine_port(struct pg_engine *engine)
{
    return (struct agent_engine){.ctx = engine, .open = engine_open, .close = engine_close};
}
