/* SPDX-License-Identifier: Apache-2.0 */
/* See conf.h. Option files: https://mariadb.com/kb/en/configuring-mariadb-with-option-files/ */
#include "agents/galera/conf.h"

#include <string.h>

#include "agents/galera/grastate.h"
#include "base/name.h"

/* Ours alone: whoever could set them could open a member, or start it with another history. */
static const char *const own[] = {
    "read_only",
    "wsrep_on",
    "wsrep_provider",
    "wsrep_cluster_name",
    "wsrep_cluster_address",
    "wsrep_node_name",
    "wsrep_node_address",
    "wsrep_start_position",
    "wsrep_new_cluster",
    "wsrep_recover",
    "wsrep_provider_options",
    "wsrep_sst_method",
    "wsrep_sst_auth",
    "wsrep_reject_queries",
    "wsrep_sst_receive_address",
    "datadir",
    "socket",
    "pid_file",
    "port",
    "wsrep_dirty_reads",
    "wsrep_node_incoming_address",
    "init_file",
    "binlog_format",
    "innodb_autoinc_lock_mode",
    "log_error",
    "wsrep_sst_donor",
};

/* Names are the same with '-' and '_', in any case, and with "loose_" in front. */
static bool is_same_name(const char *a, const char *b)
{
    static const char loose[] = "loose";
    if (strlen(a) > 6 && strncmp(a, loose, 5) == 0 && (a[5] == '-' || a[5] == '_')) {
        a += 6;
    }
    for (; *a != '\0' && *b != '\0'; a++, b++) {
        char c = *a == '-' ? '_' : *a >= 'A' && *a <= 'Z' ? (char)(*a + 32) : *a;
        if (c != *b) {
            return false;
        }
    }
    return *a == *b;
}

static bool is_name(const char *name)
{
    if (name[0] == '\0') {
        return false;
    }
    for (const char *c = name; *c != '\0'; c++) {
        bool is_fine = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                       (*c >= '0' && *c <= '9') || *c == '_' || *c == '-' || *c == '.';
        if (!is_fine) {
            return false;
        }
    }
    return true;
}

int gal_conf_add_parameter(struct gal_settings *s, const char *name, const char *value)
{
    if (!is_name(name) || strpbrk(value, "\r\n") != NULL) {
        return BASE_E_INVALID;
    }
    for (size_t i = 0; i < BASE_COUNT_OF(own); i++) {
        if (is_same_name(name, own[i])) {
            return BASE_E_DENIED;
        }
    }
    if (s->parameters_count == GAL_PARAMETERS_MAX) {
        return BASE_E_TOOBIG;
    }
    struct buf b = buf_over(s->parameters[s->parameters_count], GAL_LINE_MAX);
    buf_put_text(&b, name);
    buf_put_text(&b, " = ");
    buf_put_text(&b, value);
    if (!buf_terminate(&b)) {
        return BASE_E_TOOBIG;
    }
    s->parameters_count++;
    return 0;
}

static void put(struct buf *b, const char *name, const char *value)
{
    buf_put_text(b, name);
    buf_put_text(b, " = ");
    buf_put_text(b, value);
    buf_put_u8(b, '\n');
}

static void put_host_port(struct buf *b, const char *host, uint16_t port)
{
    bool is_v6 = strchr(host, ':') != NULL;
    buf_put_text(b, is_v6 ? "[" : "");
    buf_put_text(b, host);
    buf_put_text(b, is_v6 ? "]:" : ":");
    buf_put_dec(b, port);
}

static void put_address(const struct gal_settings *s, bool is_alone, struct buf *b)
{
    buf_put_text(b, "wsrep_cluster_address = \"gcomm://");
    for (uint32_t i = 0; i < s->peers_count && !is_alone; i++) {
        buf_put_text(b, i == 0 ? "" : ",");
        buf_put_text(b, s->peers[i].address);
    }
    buf_put_text(b, "\"\n");
}

/* Suspect 2 s: a dead member stalls writers for about 3 s; less evicts hosts whose processor was
 * only taken away. A lost link between two is relayed by a third only behind peer_timeout, which
 * therefore is below suspect. Install must be below inactive: the library refuses to start
 * otherwise. pc.recovery would form a component from the last view without a look at positions. */
static void put_provider(const struct gal_settings *s, uint8_t weight, struct buf *b)
{
    buf_put_text(b, "wsrep_provider_options = \"gmcast.listen_addr=tcp://");
    put_host_port(b, s->group_host, s->group_port);
    buf_put_text(b, ";ist.recv_addr=");
    put_host_port(b, s->group_host, s->ist_port);
    buf_put_text(
        b, ";gmcast.peer_timeout=PT1S;evs.keepalive_period=PT0.5S;evs.inactive_check_period=PT0.2S"
           ";evs.suspect_timeout=PT2S;evs.inactive_timeout=PT6S"
           ";evs.install_timeout=PT5S;pc.recovery=false;gcache.recover=yes"
           ";gcs.fc_single_primary=yes;pc.weight=");
    buf_put_dec(b, weight);
    if (s->is_tls) {
        buf_put_text(b, ";socket.ssl=yes;socket.ssl_ca=");
        buf_put_text(b, s->tls_ca.text);
        buf_put_text(b, ";socket.ssl_cert=");
        buf_put_text(b, s->tls_cert.text);
        buf_put_text(b, ";socket.ssl_key=");
        buf_put_text(b, s->tls_key.text);
    }
    if (s->provider_options[0] != '\0') {
        buf_put_u8(b, ';');
        buf_put_text(b, s->provider_options);
    }
    buf_put_text(b, "\"\n");
}

static void put_transfer(const struct gal_settings *s, struct buf *b)
{
    bool is_backup = s->sst == GAL_SST_MARIABACKUP;
    put(b, "wsrep_sst_method", is_backup ? "mariabackup" : "rsync");
    buf_put_text(b, "wsrep_sst_receive_address = ");
    put_host_port(b, s->group_host, s->sst_port);
    buf_put_u8(b, '\n');
    if (is_backup) {
        buf_put_text(b, "wsrep_sst_auth = \"");
        buf_put_text(b, s->is_socket_login ? s->os_user : GAL_ACCOUNT_SST);
        buf_put_text(b, ":");
        buf_put_text(b, s->is_socket_login ? "" : s->sst_password);
        buf_put_text(b, "\"\n");
    }
}

/* Read by the transfer scripts, on both sides. */
static void put_transfer_tls(const struct gal_settings *s, struct buf *b)
{
    if (!s->is_tls) {
        return;
    }
    buf_put_text(b, "\n[sst]\n");
    if (s->sst == GAL_SST_MARIABACKUP) {
        put(b, "encrypt", "3");
        put(b, "ssl-mode", "VERIFY_IDENTITY"); /* the name that the joiner told over the group */
    } else {
        /* With names rsync's script has stunnel look for the peer's own certificate in the file of
         * the authority, where it is not. */
        put(b, "ssl-mode", "VERIFY_CA");
    }
    put(b, "tca", s->tls_ca.text);
    put(b, "tcert", s->tls_cert.text);
    put(b, "tkey", s->tls_key.text);
}

/* The comma at the end lets anybody else in, when none of these can. */
static void put_donors(const struct msg_names *donors, struct buf *b)
{
    if (donors->count == 0) {
        return;
    }
    buf_put_text(b, "wsrep_sst_donor = \"");
    for (uint8_t i = 0; i < donors->count; i++) {
        buf_put(b, base_name_slice(&donors->names[i]));
        buf_put_u8(b, ',');
    }
    buf_put_text(b, "\"\n");
}

static void put_start(const struct gal_settings *s, const struct db_galera_order *start,
                      struct buf *b)
{
    put_address(s, start->mode == DB_GALERA_BOOTSTRAP, b);
    put_donors(&start->donors, b);
    buf_put_text(b, "wsrep_start_position = \"");
    gal_position_put(&start->position, b);
    buf_put_text(b, "\"\n");
}

static void put_own(const struct gal_settings *s, const struct db_galera_order *start,
                    struct buf *b)
{
    put(b, "datadir", s->data_dir.text);
    put(b, "socket", s->socket.text);
    put(b, "pid_file", s->pid_file.text);
    put(b, "bind_address", s->listen.text);
    if (s->is_tls && start != NULL) { /* for clients that want it */
        put(b, "ssl_ca", s->tls_ca.text);
        put(b, "ssl_cert", s->tls_cert.text);
        put(b, "ssl_key", s->tls_key.text);
    }
    buf_put_text(b, "port = ");
    buf_put_dec(b, s->port);
    buf_put_text(b, "\nread_only = ON\nbinlog_format = ROW\ninnodb_autoinc_lock_mode = 2\n");
    if (start == NULL) {
        return;
    }
    put(b, "wsrep_on", "ON");
    put(b, "wsrep_provider", s->provider.text);
    put(b, "wsrep_cluster_name", s->cluster.text);
    put(b, "wsrep_node_name", s->member.text);
    buf_put_text(b, "wsrep_node_address = ");
    put_host_port(b, s->group_host, s->group_port);
    buf_put_text(b, "\nwsrep_node_incoming_address = ");
    put_host_port(b, s->host.text, s->advertise_port);
    buf_put_text(b, "\nwsrep_dirty_reads = OFF\n");
    put_transfer(s, b);
    put_provider(s, start->weight > 0 ? start->weight : s->weight, b);
    put_start(s, start, b);
}

void gal_conf_put(const struct gal_settings *s, const struct db_galera_order *start, struct buf *b)
{
    buf_put_text(b, "# Written by quorate-agent-galera before each start; changes are lost.\n"
                    "# Own settings: galera.parameters and galera.defaults_file of the agent.\n");
    if (s->defaults_file.text[0] != '\0') {
        buf_put_text(b, "!include ");
        buf_put_text(b, s->defaults_file.text);
        buf_put_u8(b, '\n');
    }
    buf_put_text(b, "\n[mariadbd]\n");
    for (uint32_t i = 0; i < s->parameters_count; i++) {
        buf_put_text(b, s->parameters[i]);
        buf_put_u8(b, '\n');
    }
    put_own(s, start, b);
    put_transfer_tls(s, b);
}

/* --- accounts --- */

/* A literal of SQL in single quotes. */
static void put_literal(struct buf *b, const char *text)
{
    buf_put_u8(b, '\'');
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\'' || *c == '\\') {
            buf_put_u8(b, '\\');
        }
        buf_put_u8(b, (uint8_t)*c);
    }
    buf_put_u8(b, '\'');
}

static void put_account(struct buf *b, const char *name, const char *password)
{
    buf_put_text(b, "CREATE OR REPLACE USER ");
    put_literal(b, name);
    buf_put_text(b, "@'localhost' IDENTIFIED BY ");
    put_literal(b, password != NULL ? password : "PASSWORD");
    buf_put_text(b, ";\n");
}

static void put_grant(struct buf *b, const char *what, const char *account)
{
    buf_put_text(b, "GRANT ");
    buf_put_text(b, what);
    buf_put_text(b, " TO ");
    put_literal(b, account);
    buf_put_text(b, "@'localhost';\n");
}

/* unix_socket lets in whose OS user has the account's name: one account is all of ours. One that is
 * there keeps what it has. */
static void put_accounts(const struct gal_settings *s, bool has_passwords, struct buf *b)
{
    if (s->is_socket_login) {
        buf_put_text(b, "CREATE USER IF NOT EXISTS ");
        put_literal(b, s->os_user);
        buf_put_text(b, "@'localhost' IDENTIFIED VIA unix_socket;\n");
        return;
    }
    put_account(b, GAL_ACCOUNT_CHECK, has_passwords ? s->check_password : NULL);
    put_account(b, GAL_ACCOUNT_AGENT, has_passwords ? s->agent_password : NULL);
    if (s->sst == GAL_SST_MARIABACKUP) {
        put_account(b, GAL_ACCOUNT_SST, has_passwords ? s->sst_password : NULL);
    }
}

/* SUPER for wsrep_* globals alone: nothing less suffices. */
void gal_accounts_put(const struct gal_settings *s, bool has_passwords, struct buf *b)
{
    const char *agent = s->is_socket_login ? s->os_user : GAL_ACCOUNT_AGENT;
    put_accounts(s, has_passwords, b);
    put_grant(b, "SUPER, READ_ONLY ADMIN, CONNECTION ADMIN ON *.*", agent);
    put_grant(b, "SELECT ON mysql.wsrep_cluster_members", agent);
    put_grant(b, "SELECT (User, Host, Super_priv) ON mysql.user", agent);
    if (s->has_canary) {
        buf_put_text(b, "CREATE DATABASE IF NOT EXISTS quorate;\n"
                        "CREATE TABLE IF NOT EXISTS quorate.heartbeat (id INT PRIMARY KEY, "
                        "epoch BIGINT UNSIGNED NOT NULL, number BIGINT UNSIGNED NOT NULL) "
                        "ENGINE=InnoDB;\n");
        put_grant(b, "SELECT, INSERT, UPDATE, DELETE ON quorate.*", agent);
    }
    if (s->sst == GAL_SST_MARIABACKUP) {
        put_grant(b, "RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR ON *.*",
                  s->is_socket_login ? s->os_user : GAL_ACCOUNT_SST);
    }
}
