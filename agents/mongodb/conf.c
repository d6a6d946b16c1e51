/* SPDX-License-Identifier: Apache-2.0 */
/* See conf.h. All options are collected as dotted names, sorted, and printed section by section. */
#include "agents/mongodb/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OURS_MAX 24
#define DEPTH_MAX 6

/* What would take the node out of our hands, or out of its set. */
static const char *const refused[] = {
    "storage.dbPath",
    "net.port",
    "net.bindIp",
    "net.bindIpAll",
    "net.tls",
    "net.ssl",
    "replication.replSetName",
    "replication.replSet",
    "security.keyFile",
    "security.clusterAuthMode",
    "security.authorization",
    "processManagement",
    "storage.wiredTiger.engineConfig.cacheSizeGB",
    "sharding.clusterRole",
    "setParameter.enableLocalhostAuthBypass",
};

static bool is_below(const char *name, const char *section)
{
    size_t len = strlen(section);
    return strncmp(name, section, len) == 0 && (name[len] == '\0' || name[len] == '.');
}

static bool is_name(const char *name)
{
    static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";
    unsigned depth = 1;
    for (const char *p = name; *p != '\0'; p++) {
        bool is_empty_part = *p == '.' && (p == name || p[1] == '\0' || p[1] == '.');
        if (strchr(fine, *p) == NULL || is_empty_part) {
            return false;
        }
        depth += *p == '.';
    }
    return name[0] != '\0' && depth <= DEPTH_MAX;
}

int mdb_conf_add_option(void *settings, const char *name, const char *value)
{
    struct mdb_settings *s = settings;
    if (!is_name(name) || strpbrk(value, "\r\n\"\\") != NULL) {
        return BASE_E_INVALID;
    }
    for (size_t i = 0; i < BASE_COUNT_OF(refused); i++) {
        if (is_below(name, refused[i])) {
            return BASE_E_DENIED;
        }
    }
    if (s->options_count == MDB_OPTIONS_MAX) {
        return BASE_E_TOOBIG;
    }
    char *line = s->options[s->options_count];
    int len = snprintf(line, MDB_OPTION_MAX, "%s=%s", name, value);
    if (len < 0 || len >= MDB_OPTION_MAX) {
        return BASE_E_TOOBIG;
    }
    s->options_count++;
    return 0;
}

/* --- ours --- */

struct lines {
    size_t count;
    const char *list[OURS_MAX + MDB_OPTIONS_MAX];
    char memory[OURS_MAX][PG_PATH_MAX + 64];
    size_t ours;
};

static void add(struct lines *l, const char *name, const char *value)
{
    char *line = l->memory[l->ours++];
    (void)snprintf(line, sizeof(l->memory[0]), "%s=%s", name, value);
    l->list[l->count++] = line;
}

static void add_tls(const struct mdb_settings *s, struct lines *l)
{
    if (!s->is_tls) {
        return;
    }
    add(l, "net.tls.mode", "requireTLS");
    add(l, "net.tls.certificateKeyFile", s->tls_pem.text);
    add(l, "net.tls.CAFile", s->tls_ca.text);
    /* Applications log in as they do: x.509 for members and for us, a password for others. */
    add(l, "net.tls.allowConnectionsWithoutCertificates", "true");
}

static void add_security(const struct mdb_settings *s, struct lines *l)
{
    if (s->cluster_auth == MDB_AUTH_NONE) {
        return;
    }
    add(l, "security.authorization", "enabled");
    if (s->cluster_auth == MDB_AUTH_X509) {
        add(l, "security.clusterAuthMode", "x509");
    } else {
        add(l, "security.clusterAuthMode", "keyFile");
        add(l, "security.keyFile", s->key_file.text);
    }
}

static void add_ours(const struct mdb_settings *s, struct lines *l)
{
    char text[BASE_TEXT_MAX + 32];
    bool is_local = strcmp(s->listen.text, "127.0.0.1") == 0;
    add(l, "storage.dbPath", s->data_dir.text);
    (void)snprintf(text, sizeof(text), "%u", s->port);
    add(l, "net.port", text);
    (void)snprintf(text, sizeof(text), "127.0.0.1%s%s", is_local ? "" : ",",
                   is_local ? "" : s->listen.text);
    add(l, "net.bindIp", text);
    if (strchr(s->listen.text, ':') != NULL) {
        add(l, "net.ipv6", "true");
    }
    add(l, "replication.replSetName", s->set_name.text);
    if (s->cache_bytes > 0) {
        (void)snprintf(text, sizeof(text), "%.2f", (double)s->cache_bytes / (1 << 30));
        add(l, "storage.wiredTiger.engineConfig.cacheSizeGB", text);
    }
    add_tls(s, l);
    add_security(s, l);
}

/* --- as YAML --- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t name_len(const char *line)
{
    const char *equals = strchr(line, '=');
    return equals == NULL ? strlen(line) : (size_t)(equals - line);
}

/* How many sections of the line before it shares. */
static size_t shared(const char *before, const char *line)
{
    size_t sections = 0;
    size_t end = name_len(before) < name_len(line) ? name_len(before) : name_len(line);
    for (size_t i = 0; i < end && before[i] == line[i]; i++) {
        sections += line[i] == '.';
    }
    return sections;
}

static void put_indent(struct buf *b, size_t depth)
{
    for (size_t i = 0; i < depth; i++) {
        buf_put_text(b, "  ");
    }
}

/* Numbers and words of YAML keep their type; all else is quoted. */
static void put_value(struct buf *b, const char *value)
{
    bool is_number = value[0] != '\0' && strspn(value, "0123456789.") == strlen(value) &&
                     strchr(value, '.') == strrchr(value, '.');
    bool is_word = strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
    buf_put_text(b, is_number || is_word ? "" : "\"");
    buf_put_text(b, value);
    buf_put_text(b, is_number || is_word ? "\n" : "\"\n");
}

static void put_line(struct buf *b, const char *before, const char *line)
{
    size_t depth = shared(before, line);
    size_t seen = 0;
    const char *part = line;
    size_t len = name_len(line);
    for (const char *p = line; p < line + len; p++) {
        if (*p != '.') {
            continue;
        }
        if (seen >= depth) {
            put_indent(b, seen);
            buf_put(b, slice_from(part, (size_t)(p - part)));
            buf_put_text(b, ":\n");
        }
        seen++;
        part = p + 1;
    }
    put_indent(b, seen);
    buf_put(b, slice_from(part, (size_t)(line + len - part)));
    buf_put_text(b, ": ");
    put_value(b, line[len] == '=' ? line + len + 1 : "");
}

void mdb_conf_put(const struct mdb_settings *s, struct buf *b)
{
    static struct lines l; /* 20 kB; called before the loop runs */
    memset(&l, 0, sizeof(l));
    add_ours(s, &l);
    for (size_t i = 0; i < s->options_count; i++) {
        l.list[l.count++] = s->options[i];
    }
    qsort(l.list, l.count, sizeof(l.list[0]), by_name);
    buf_put_text(b, "# Written by quorate-agent-mongodb at each start; options of your own belong "
                    "into its file (mongodb.options).\n");
    for (size_t i = 0; i < l.count; i++) {
        put_line(b, i == 0 ? "" : l.list[i - 1], l.list[i]);
    }
}
