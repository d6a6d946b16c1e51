/* SPDX-License-Identifier: Apache-2.0 */
/* Our fragments of PostgreSQL's configuration: see conf.h. Each file is built in memory and
 * replaced whole, so that a crash leaves the old or the new one. Nothing secret is written here:
 * passwords are in pgpass. */
#include "agents/postgresql/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agents/postgresql/config.h"
#include "agents/postgresql/layout.h"
#include "base/canary.h"
#include "base/crc32c.h"
#include "base/name.h"

#define CONF_BYTES_MAX 65536u
#define USER_FILE_BYTES_MAX (256u << 10)
/* Behind it stands what changes with the role. */
#define ROLE_LINE "# role\n"
#define INCLUDE_MARK "# written by quorate, keep it last"
#define INCLUDE_LINE "include 'quorate.conf' " INCLUDE_MARK "\n"

/* Defaults that the user may override. */
static const char defaults[] = "max_wal_senders = 16\n"
                               "max_replication_slots = 16\n"
                               "wal_level = 'replica'\n"
                               "wal_keep_size = '256MB'\n"
                               "max_slot_wal_keep_size = '4GB'\n"
                               "wal_retrieve_retry_interval = '100ms'\n"
                               "wal_receiver_timeout = '5s'\n"
                               "wal_sender_timeout = '5s'\n"
                               "wal_receiver_status_interval = '1s'\n"
                               "synchronous_commit = 'on'\n"
                               "password_encryption = 'scram-sha-256'\n";

static const char fixed[] = "hot_standby = on\n"
                            "wal_log_hints = on\n"
                            "fsync = on\n"
                            "full_page_writes = on\n"
                            "restart_after_crash = off\n"
                            "recovery_target = ''\n"
                            "recovery_target_lsn = ''\n"
                            "recovery_target_name = ''\n"
                            "recovery_target_time = ''\n"
                            "recovery_target_xid = ''\n"
                            "recovery_target_timeline = 'latest'\n";

void pg_sync_format(const struct msg_names *names, uint8_t count, struct buf *b)
{
    if (count == 0) {
        return;
    }
    buf_put_text(b, "ANY ");
    buf_put_dec(b, count);
    buf_put_text(b, " (");
    for (uint8_t i = 0; i < names->count; i++) {
        buf_put_text(b, i > 0 ? ", \"" : "\"");
        buf_put(b, base_name_slice(&names->names[i]));
        buf_put_text(b, "\"");
    }
    if (names->count == 0) {
        buf_put_text(b, "\"" PG_SYNC_NOBODY "\"");
    }
    buf_put_text(b, ")");
}

static bool take(struct slice *s, const char *text)
{
    struct slice prefix = slice_from_text(text);
    if (!slice_has_prefix(*s, prefix)) {
        return false;
    }
    *s = slice_skip(*s, prefix.len);
    return true;
}

static bool take_until(struct slice *s, char end, struct slice *ret)
{
    const uint8_t *at = s->len > 0 ? memchr(s->data, end, s->len) : NULL;
    if (at == NULL) {
        return false;
    }
    *ret = (struct slice){s->data, (size_t)(at - s->data)};
    *s = slice_skip(*s, ret->len + 1);
    return true;
}

static int names_parse(struct slice s, struct msg_names *names)
{
    struct slice name;
    for (;;) {
        if (!take(&s, "\"") || !take_until(&s, '"', &name) || names->count == MSG_MEMBERS_MAX) {
            return BASE_E_UNSUPPORTED;
        }
        if (base_name_from(name, &names->names[names->count]) != 0) {
            return BASE_E_UNSUPPORTED;
        }
        names->count++;
        if (slice_equal(s, SLICE_LIT(")"))) {
            return 0;
        }
        if (!take(&s, ", ")) {
            return BASE_E_UNSUPPORTED;
        }
    }
}

int pg_sync_parse(struct slice text, struct msg_names *ret_names, uint8_t *ret_count)
{
    struct msg_names names;
    struct slice number;
    uint64_t count = 0;
    memset(&names, 0, sizeof(names));
    if (text.len > 0) {
        if (!take(&text, "ANY ") || !take_until(&text, ' ', &number) || !take(&text, "(") ||
            slice_to_u64(number, &count) != 0 || count == 0 || count > MSG_MEMBERS_MAX) {
            return BASE_E_UNSUPPORTED;
        }
        int status = names_parse(text, &names);
        if (status != 0) {
            return status;
        }
    }
    if (names.count == 1 &&
        slice_equal(base_name_slice(&names.names[0]), SLICE_LIT(PG_SYNC_NOBODY))) {
        memset(&names, 0, sizeof(names));
    }
    *ret_names = names;
    *ret_count = (uint8_t)count;
    return 0;
}

struct base_text pg_slot_name(const struct base_name *member)
{
    char text[64];
    struct buf b = buf_over(text, sizeof(text));
    struct slice name = base_name_slice(member);
    bool is_changed = name.len > 40;
    buf_put_text(&b, "quorate_");
    for (size_t i = 0; i < name.len && i < 40; i++) {
        is_changed = is_changed || name.data[i] == '-';
        buf_put_u8(&b, name.data[i] == '-' ? '_' : name.data[i]);
    }
    if (is_changed) { /* keep pg-1 and pg_1 apart */
        buf_put_text(&b, "_");
        buf_put_hex(&b, base_crc32c(0, name), 8);
    }
    return base_text_from(buf_slice(&b));
}

static void put_conninfo(struct buf *b, const char *key, const char *value)
{
    buf_put_text(b, b->len > 0 ? " " : "");
    buf_put_text(b, key);
    buf_put_text(b, "='");
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '\'' || *c == '\\') {
            buf_put_u8(b, '\\');
        }
        buf_put_u8(b, (uint8_t)*c);
    }
    buf_put_text(b, "'");
}

/* A primary counts who waits for it by these names alone. A member of another cluster, which may
 * well be called as one of its own, takes one that no member can have. */
static void put_receiver_name(const struct pg_settings *settings, const struct pg_conf *conf,
                              struct buf *b)
{
    char name[2 * BASE_NAME_MAX + 16];
    (void)snprintf(name, sizeof(name), "remote/%s/%s", settings->cluster.text,
                   settings->member.text);
    put_conninfo(b, "application_name",
                 conf->is_remote && !CANARY(REMOTE_NAMED_AS_MEMBER) ? name : settings->member.text);
}

int pg_conninfo(const struct pg_settings *settings, const struct pg_conf *conf, const char *role,
                bool is_receiver, struct buf *b)
{
    struct pg_path pgpass;
    char port[8];
    int status = pg_settings_pgpass_path(settings, &pgpass);
    if (status != 0) {
        return status;
    }
    (void)snprintf(port, sizeof(port), "%u", conf->upstream_port);
    put_conninfo(b, "host", conf->upstream_host.text);
    put_conninfo(b, "port", port);
    if (conf->is_remote && strchr(conf->upstream_host.text, ',') != NULL) {
        put_conninfo(b, "target_session_attrs", "read-write"); /* several: the primary of them */
    }
    put_conninfo(b, "user", role);
    put_conninfo(b, "passfile", pgpass.text);
    put_conninfo(b, "connect_timeout", "2");
    put_conninfo(b, "tcp_user_timeout", "5000");
    put_conninfo(b, "gssencmode", "disable");
    put_conninfo(b, "sslmode",
                 !settings->is_tls       ? "disable"
                 : settings->is_tls_full ? "verify-full"
                                         : "verify-ca");
    if (settings->is_tls) {
        put_conninfo(b, "sslrootcert", settings->tls_ca.text);
        put_conninfo(b, "sslcert", settings->tls_cert.text);
        put_conninfo(b, "sslkey", settings->tls_key.text);
    }
    if (is_receiver) {
        /* A setting that means nothing to the sender: with it a look at pg_stat_wal_receiver tells
         * whom the receiver really talks to, whatever the file says by then. */
        char options[BASE_NAME_MAX + 32];
        (void)snprintf(options, sizeof(options), "-c quorate.upstream=%s", conf->upstream.text);
        put_receiver_name(settings, conf, b);
        put_conninfo(b, "options", options);
    } else {
        put_conninfo(b, "application_name", "quorate_agent");
        put_conninfo(b, "dbname", "postgres");
    }
    return b->is_full ? BASE_E_TOOBIG : 0;
}

void pg_conf_put(struct buf *b, const char *name, struct slice value)
{
    buf_put_text(b, name);
    buf_put_text(b, " = '");
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] == '\'' || value.data[i] == '\\') {
            buf_put_u8(b, value.data[i]);
        }
        buf_put_u8(b, value.data[i]);
    }
    buf_put_text(b, "'\n");
}

static void put_setting_text(struct buf *b, const char *name, const char *value)
{
    pg_conf_put(b, name, slice_from_text(value));
}

static void put_static_part(const struct pg_settings *settings, struct buf *b)
{
    char name[2 * BASE_NAME_MAX + 2];
    char port[8];
    (void)snprintf(name, sizeof(name), "%s/%s", settings->cluster.text, settings->member.text);
    (void)snprintf(port, sizeof(port), "%u", settings->port);
    buf_put_text(b, "# Written by quorate; changes are lost. "
                    "Yours belong into the cluster's document (kv db config) or the agent's "
                    "postgresql.parameters.\n");
    buf_put_text(b, defaults);
    if (pg_layout_version(settings) >= 14) {
        buf_put_text(b, "recovery_init_sync_method = 'syncfs'\n");
    }
    pg_config_put(settings, b);
    buf_put_text(b, fixed);
    put_setting_text(b, "cluster_name", name);
    put_setting_text(b, "listen_addresses", settings->listen.text);
    put_setting_text(b, "port", port);
    put_setting_text(b, "unix_socket_directories", settings->socket_dir.text);
    put_setting_text(b, "ssl", settings->is_tls ? "on" : "off");
    if (settings->is_tls) {
        put_setting_text(b, "ssl_ca_file", settings->tls_ca.text);
        put_setting_text(b, "ssl_cert_file", settings->tls_cert.text);
        put_setting_text(b, "ssl_key_file", settings->tls_key.text);
    }
    pg_layout_put(settings, b);
}

static void put_remote_part(const struct pg_settings *settings, const struct pg_conf *conf,
                            struct buf *b)
{
    const struct pg_config *config = settings->config;
    if (conf->is_remote && config != NULL && config->document->standby_restore[0] != '\0') {
        put_setting_text(b, "restore_command", config->document->standby_restore);
    }
}

static struct slice left_or(const char *left, struct slice ours)
{
    return left != NULL ? slice_from_text(left) : ours;
}

static int put_role_part(const struct pg_settings *settings, const struct pg_conf *conf,
                         struct buf *b)
{
    char memory[2048];
    struct buf value = buf_over(memory, sizeof(memory));
    bool is_attached = !base_name_is_empty(&conf->upstream);
    struct base_text slot = pg_slot_name(&settings->member);
    struct msg_names nobody = {0};
    if (is_attached) {
        bool has_user = conf->is_remote && settings->remote_user[0] != '\0';
        int status = pg_conninfo(
            settings, conf, has_user ? settings->remote_user : PG_ROLE_REPLICATION, true, &value);
        if (status != 0) {
            return status;
        }
    }
    buf_put_text(b, ROLE_LINE);
    pg_conf_put(b, "primary_conninfo", left_or(conf->left_conninfo, buf_slice(&value)));
    pg_conf_put(b, "primary_slot_name",
                left_or(conf->left_slot, slice_from_text(conf->is_remote ? conf->remote_slot.text
                                                         : is_attached && conf->has_slot ? slot.text
                                                                                         : "")));
    put_remote_part(settings, conf, b);
    buf_reset(&value);
    pg_sync_format(conf->has_sync ? &conf->sync_names : &nobody,
                   conf->has_sync ? conf->sync_count : 1, &value);
    pg_conf_put(b, "synchronous_standby_names", left_or(conf->left_sync, buf_slice(&value)));
    return value.is_full ? BASE_E_TOOBIG : 0;
}

static int write_in(const char *dir, const char *name, struct slice content)
{
    struct pg_path path;
    int status = pg_path_join(dir, name, &path);
    return status != 0 ? status : pg_file_write(path.text, content, 0600);
}

static int put_conf(const struct pg_settings *settings, const struct pg_conf *conf, struct buf *b)
{
    put_static_part(settings, b);
    int status = put_role_part(settings, conf, b);
    return status == 0 && b->is_full ? BASE_E_TOOBIG : status;
}

int pg_conf_write(const struct pg_settings *settings, const char *dir, const struct pg_conf *conf)
{
    char *memory = malloc(CONF_BYTES_MAX);
    if (memory == NULL) {
        return BASE_E_NOMEM;
    }
    struct buf b = buf_over(memory, CONF_BYTES_MAX);
    int status = put_conf(settings, conf, &b);
    if (status == 0) {
        status = write_in(dir, "quorate.conf", buf_slice(&b));
    }
    free(memory);
    return status;
}

/* What an older one has behind its last setting that is not of the role. */
static struct slice role_part(struct slice content)
{
    static const char *const begins[] = {"\n" ROLE_LINE, "\nprimary_conninfo = "};
    for (size_t i = 0; i < BASE_COUNT_OF(begins); i++) {
        const uint8_t *at = memmem(content.data, content.len, begins[i], strlen(begins[i]));
        if (at != NULL) {
            return slice_skip(content, (size_t)(at - content.data) + 1);
        }
    }
    return SLICE_EMPTY;
}

int pg_conf_rewrite(const struct pg_settings *settings, const char *dir, const char *to_dir)
{
    struct pg_path path;
    size_t len = 0;
    char *memory = malloc(2 * CONF_BYTES_MAX);
    int status = memory == NULL ? BASE_E_NOMEM : pg_path_join(dir, "quorate.conf", &path);
    if (status == 0) {
        status = pg_file_read(path.text, memory, CONF_BYTES_MAX, &len);
    }
    if (status == 0) {
        struct buf b = buf_over(memory + CONF_BYTES_MAX, CONF_BYTES_MAX);
        struct slice role = role_part(slice_from(memory, len));
        put_static_part(settings, &b);
        if (slice_has_prefix(role, SLICE_LIT("primary_conninfo"))) {
            buf_put_text(&b, ROLE_LINE);
        }
        buf_put(&b, role);
        status = role.len == 0 ? BASE_E_CORRUPT
                 : b.is_full   ? BASE_E_TOOBIG
                               : write_in(to_dir, "quorate.conf", buf_slice(&b));
    }
    free(memory);
    return status;
}

bool pg_conf_is(const struct pg_settings *settings, const char *dir, const struct pg_conf *conf)
{
    struct pg_path path;
    size_t len = 0;
    char *memory = malloc(2 * CONF_BYTES_MAX);
    bool is_same = false;
    if (memory != NULL && pg_path_join(dir, "quorate.conf", &path) == 0 &&
        pg_file_read(path.text, memory, CONF_BYTES_MAX, &len) == 0) {
        struct buf b = buf_over(memory + CONF_BYTES_MAX, CONF_BYTES_MAX);
        is_same = put_role_part(settings, conf, &b) == 0 &&
                  slice_equal(role_part(slice_from(memory, len)), buf_slice(&b));
    }
    free(memory);
    return is_same;
}

/* --- postgresql.conf and postgresql.auto.conf --- */

/* True when the configuration line sets a key of ours, or one that the document sets for all. */
static bool sets_reserved(const struct pg_settings *settings, struct slice line)
{
    char name[64];
    size_t len = 0;
    while (line.len > 0 && (line.data[0] == ' ' || line.data[0] == '\t')) {
        line = slice_skip(line, 1);
    }
    while (len < line.len && len < sizeof(name) - 1 && strchr(" \t=", line.data[len]) == NULL) {
        name[len] = (char)line.data[len];
        len++;
    }
    name[len] = '\0';
    return pg_settings_is_reserved(name) || pg_config_overrides(settings, slice_from(name, len));
}

/* Copies the lines of `text` that `drops` does not want. */
static void copy_lines(const struct pg_settings *settings, struct slice text,
                       bool (*drops)(const struct pg_settings *settings, struct slice line),
                       struct buf *b)
{
    while (text.len > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.data);
        struct slice line = {text.data, len};
        if (!drops(settings, line)) {
            buf_put(b, line);
            buf_put_text(b, "\n");
        }
        text = slice_skip(text, end == NULL ? len : len + 1);
    }
}

/* With a configuration outside the directory nothing but the includes stands in the one inside. */
static bool is_not_kept(const struct pg_settings *settings, struct slice line)
{
    return slice_has_prefix(line, SLICE_LIT("include 'quorate.conf'")) ||
           pg_layout_is_include(line) || settings->config_dir.text[0] != '\0';
}

/* Reads a file, filters its lines, puts lines before and behind, and writes it only when it
 * changed. */
static int edit_file(const struct pg_settings *settings, const char *dir, const char *name,
                     bool (*drops)(const struct pg_settings *settings, struct slice line),
                     const char *before, const char *behind)
{
    struct pg_path path;
    size_t len = 0;
    char *memory = malloc(2 * USER_FILE_BYTES_MAX);
    int status = memory == NULL ? BASE_E_NOMEM : pg_path_join(dir, name, &path);
    if (status == 0) {
        status = pg_file_read(path.text, memory, USER_FILE_BYTES_MAX - 4096, &len);
        status = status == BASE_E_NOTFOUND ? 0 : status;
    }
    if (status == 0) {
        struct buf b = buf_over(memory + USER_FILE_BYTES_MAX, USER_FILE_BYTES_MAX);
        buf_put_text(&b, before);
        copy_lines(settings, slice_from(memory, len), drops, &b);
        buf_put_text(&b, behind);
        if (!slice_equal(buf_slice(&b), slice_from(memory, len))) {
            status = pg_file_write(path.text, buf_slice(&b), 0600);
        }
    }
    free(memory);
    return status;
}

int pg_conf_install(const struct pg_settings *settings, const char *dir, bool is_gated)
{
    char include[PG_LAYOUT_LINE_MAX];
    bool is_changed = false;
    int status = pg_layout_include(settings, include, sizeof(include));
    if (status == 0) {
        status = edit_file(settings, dir, "postgresql.conf", is_not_kept, include, INCLUDE_LINE);
    }
    if (status == 0) {
        status = edit_file(settings, dir, "postgresql.auto.conf", sets_reserved, "", "");
    }
    if (status == 0) {
        status = pg_conf_set_gate(settings, dir, is_gated, &is_changed);
    }
    return status != 0 ? status : pg_conf_set_ident(settings, dir, &is_changed);
}

static bool is_our_include(const struct pg_settings *settings, struct slice line)
{
    (void)settings;
    static const char mark[] = INCLUDE_MARK;
    return slice_has_prefix(line, SLICE_LIT("include '")) && line.len >= sizeof(mark) - 1 &&
           memcmp(line.data + line.len - (sizeof(mark) - 1), mark, sizeof(mark) - 1) == 0;
}

/* The include line of a file that may lie elsewhere. */
static int join_file(const struct pg_settings *settings, const char *file)
{
    struct pg_path dir;
    char line[PG_LAYOUT_LINE_MAX];
    (void)snprintf(dir.text, sizeof(dir.text), "%s", file);
    char *slash = strrchr(dir.text, '/');
    bool has_quote = strpbrk(settings->data_dir.text, "'\\") != NULL;
    if (slash == NULL || has_quote) {
        return BASE_E_INVALID;
    }
    *slash = '\0';
    (void)snprintf(line, sizeof(line), "include '%s/quorate.conf' " INCLUDE_MARK "\n",
                   settings->data_dir.text);
    bool is_inside = strcmp(dir.text, settings->data_dir.text) == 0;
    return edit_file(settings, dir.text, slash + 1, is_our_include, "",
                     is_inside ? INCLUDE_LINE : line);
}

int pg_conf_join(const struct pg_settings *settings, const struct pg_conf_places *places)
{
    bool is_changed = false;
    int status = pg_conf_set_gate(settings, places->hba_dir.text, false, &is_changed);
    status =
        status != 0 ? status : pg_conf_set_ident(settings, places->ident_dir.text, &is_changed);
    status = status != 0 ? status : join_file(settings, places->config_file.text);
    /* With the rest in place: what stood there about the upstream stands in quorate.conf now. */
    return status != 0 ? status
                       : edit_file(settings, settings->data_dir.text, "postgresql.auto.conf",
                                   sets_reserved, "", "");
}

int pg_conf_set_standby(const char *dir, bool is_standby)
{
    struct pg_path signal_file;
    struct pg_path recovery;
    int status = pg_path_join(dir, "standby.signal", &signal_file);
    if (status == 0) {
        status = pg_path_join(dir, "recovery.signal", &recovery);
    }
    if (status == 0) {
        status = pg_file_remove(recovery.text);
    }
    if (status != 0) {
        return status;
    }
    if (is_standby) {
        return pg_file_exists(signal_file.text)
                   ? 0
                   : pg_file_write(signal_file.text, SLICE_EMPTY, 0600);
    }
    return pg_file_remove(signal_file.text);
}

int pg_conf_set_unusable(const char *dir, const char *why)
{
    struct pg_path path;
    int status = pg_path_join(dir, PG_UNUSABLE_FILE, &path);
    if (status != 0) {
        return status;
    }
    return why == NULL ? pg_file_remove(path.text)
                       : pg_file_write(path.text, slice_from_text(why), 0600);
}

bool pg_conf_is_unusable(const char *dir)
{
    struct pg_path path;
    return pg_path_join(dir, PG_UNUSABLE_FILE, &path) == 0 && pg_file_exists(path.text);
}
