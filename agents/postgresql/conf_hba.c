/* SPDX-License-Identifier: Apache-2.0 */
/* pg_hba.conf and pg_ident.conf: see conf.h. Our own lines stand first in both, so that no line of
 * a user can lock our sessions or the standbys out; a line of ours ends them. Behind it stand the
 * document's lines and the member's own, or, with "keep", what stood there before. Beyond loopback
 * our own accounts come over TLS alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/postgresql/conf.h"
#include "agents/postgresql/config.h"
#include "agents/postgresql/layout.h"
#include "base/canary.h"

#define FILE_BYTES_MAX (256u << 10)
#define HEAD_LINE "# Written by quorate"
#define END_LINE "# quorate: what follows is the users'\n"
#define GATE_LINE "# closed until what a crash made visible is on the standbys\n"

/* --- what stood there --- */

int pg_conf_keep(const char *dir, const char *name, char **ret_memory, size_t *ret_len)
{
    struct pg_path path;
    char *memory = malloc(FILE_BYTES_MAX);
    int status = memory == NULL ? BASE_E_NOMEM : pg_path_join(dir, name, &path);
    *ret_len = 0;
    if (status == 0) {
        status = pg_file_read(path.text, memory, FILE_BYTES_MAX, ret_len);
    }
    if (status != 0) {
        free(memory);
        memory = NULL;
    }
    *ret_memory = memory;
    return status == BASE_E_NOTFOUND ? 0 : status;
}

int pg_conf_put_back(const char *dir, const char *name, const char *memory, size_t len)
{
    struct pg_path path;
    int status = pg_path_join(dir, name, &path);
    return status != 0 ? status : pg_file_write(path.text, slice_from(memory, len), 0600);
}

/* The users' part of a file that was there; all of one that is not ours. */
static struct slice users_part(struct slice content)
{
    const uint8_t *at = memmem(content.data, content.len, END_LINE, sizeof(END_LINE) - 1);
    if (at != NULL) {
        return slice_skip(content, (size_t)(at - content.data) + sizeof(END_LINE) - 1);
    }
    return slice_has_prefix(content, SLICE_LIT(HEAD_LINE)) ? SLICE_EMPTY : content;
}

bool pg_conf_is_gated(const char *dir)
{
    char *memory = NULL;
    size_t len = 0;
    bool is_gated = pg_conf_keep(dir, "pg_hba.conf", &memory, &len) == 0 && memory != NULL &&
                    memmem(memory, len, GATE_LINE, sizeof(GATE_LINE) - 1) != NULL;
    free(memory);
    return is_gated;
}

/* --- the users' part as it is wanted --- */

static void put_lines(const struct arb_pg_lines *lines, struct buf *b)
{
    for (uint32_t i = 0; i < lines->count; i++) {
        buf_put_text(b, lines->lines[i]);
        buf_put_text(b, "\n");
    }
}

/* The user's file of a configuration outside the directory. */
static bool put_user_file(const struct pg_settings *settings, const char *name, struct buf *b)
{
    struct pg_path path;
    size_t len = 0;
    char *memory = malloc(FILE_BYTES_MAX);
    bool is_there = memory != NULL && pg_layout_user_file(settings, name, &path) == 0 &&
                    pg_file_read(path.text, memory, FILE_BYTES_MAX, &len) == 0;
    if (is_there) {
        buf_put(b,
                users_part(slice_from(memory, len))); /* ours are there as well, if it was joined */
        buf_put_text(b, "\n");
    }
    free(memory);
    return is_there;
}

static void put_hba_default(const struct pg_settings *settings, struct buf *b)
{
    char line[PG_LINE_MAX];
    (void)snprintf(line, sizeof(line), "local all all peer\n%s all all %s scram-sha-256\n",
                   settings->is_tls ? "hostssl" : "host", settings->is_tls ? "all" : "samehost");
    buf_put_text(b, line);
}

static void put_hba_users(const struct pg_settings *settings, struct slice there, struct buf *b)
{
    const struct arb_pg_lines *lines =
        settings->config == NULL ? NULL : &settings->config->document->hba;
    bool is_given = lines != NULL && lines->is_given;
    if (is_given && lines->is_kept) {
        if (!put_user_file(settings, "pg_hba.conf", b)) {
            buf_put(b, users_part(there));
        }
        return;
    }
    if (is_given) {
        put_lines(lines, b);
    }
    for (uint32_t i = 0; i < settings->hba_count; i++) {
        buf_put_text(b, settings->hba[i].text);
        buf_put_text(b, "\n");
    }
    if (is_given || settings->hba_count > 0) {
        return;
    }
    if (settings->is_adopted_running && users_part(there).len > 0) {
        buf_put(b, users_part(there)); /* clients go on as before the take-over */
    } else if (!put_user_file(settings, "pg_hba.conf", b)) {
        put_hba_default(settings, b);
    }
}

static void put_hba(const struct pg_settings *settings, bool is_gated, struct slice there,
                    struct buf *b)
{
    const char *type = settings->is_tls ? "hostssl" : "host";
    const char *certificate = settings->is_tls ? " clientcert=verify-ca" : "";
    const struct pg_config *config = settings->config;
    char line[PG_LINE_MAX];
    if (CANARY(USER_LINES_FIRST)) {
        put_hba_users(settings, there, b);
    }
    buf_put_text(b, HEAD_LINE
                 "; changes above the line that ends its part are lost. Yours belong into the "
                 "cluster's document\n# (kv db config: postgresql.pg_hba) or the agent's "
                 "postgresql.hba.\n"
                 "local all " PG_ROLE_SUPERUSER "," PG_ROLE_MONITOR " peer map=" ARB_PG_MAP "\n");
    (void)snprintf(line, sizeof(line), "%s replication %s all scram-sha-256%s\n", type,
                   PG_ROLE_REPLICATION, certificate);
    buf_put_text(b, line);
    (void)snprintf(line, sizeof(line), "%s postgres %s all scram-sha-256%s\n", type, PG_ROLE_REWIND,
                   certificate);
    buf_put_text(b, line);
    buf_put_text(b, "host all " PG_ROLE_REPLICATION "," PG_ROLE_REWIND "," PG_ROLE_MONITOR
                    " all reject\n");
    if (is_gated) {
        buf_put_text(b, GATE_LINE "local all all reject\nhost all all all reject\n");
    }
    buf_put_text(b, END_LINE);
    bool is_kept =
        settings->is_adopted_running || (config != NULL && config->document->hba.is_kept);
    if (!is_gated || is_kept) { /* behind the gate they are not reached */
        put_hba_users(settings, there, b);
    }
}

static void put_ident(const struct pg_settings *settings, struct slice there, struct buf *b)
{
    const struct arb_pg_lines *lines =
        settings->config == NULL ? NULL : &settings->config->document->ident;
    char text[512];
    (void)snprintf(text, sizeof(text), HEAD_LINE ".\n" ARB_PG_MAP " %s %s\n" ARB_PG_MAP " %s %s\n",
                   settings->os_user, PG_ROLE_SUPERUSER, settings->os_user, PG_ROLE_MONITOR);
    buf_put_text(b, text);
    buf_put_text(b, END_LINE);
    bool is_kept = settings->is_adopted_running || (lines != NULL && lines->is_kept);
    if (lines != NULL && lines->is_given && !lines->is_kept) {
        put_lines(lines, b);
    } else if (!put_user_file(settings, "pg_ident.conf", b) && is_kept) {
        buf_put(b, users_part(there));
    }
}

/* --- the files --- */

/* Replaces a file when what `put` makes of it differs. */
static int write_file(const struct pg_settings *settings, const char *dir, const char *name,
                      void (*put)(const struct pg_settings *settings, bool is_gated,
                                  struct slice there, struct buf *b),
                      bool is_gated, bool *ret_is_changed)
{
    char *there = NULL;
    size_t len = 0;
    char *memory = malloc(FILE_BYTES_MAX);
    bool is_changed = true;
    int status = memory == NULL ? BASE_E_NOMEM : pg_conf_keep(dir, name, &there, &len);
    if (status == 0) {
        struct buf b = buf_over(memory, FILE_BYTES_MAX);
        put(settings, is_gated, slice_from(there, len), &b);
        is_changed = there == NULL || !slice_equal(slice_from(there, len), buf_slice(&b));
        status = b.is_full    ? BASE_E_TOOBIG
                 : is_changed ? pg_conf_put_back(dir, name, memory, b.len)
                              : 0;
    }
    free(there);
    free(memory);
    if (status == 0) {
        *ret_is_changed = is_changed;
    }
    return status;
}

int pg_conf_set_gate(const struct pg_settings *settings, const char *dir, bool is_gated,
                     bool *ret_is_changed)
{
    return write_file(settings, dir, "pg_hba.conf", put_hba, is_gated, ret_is_changed);
}

static void put_ident_file(const struct pg_settings *settings, bool is_gated, struct slice there,
                           struct buf *b)
{
    (void)is_gated;
    put_ident(settings, there, b);
}

int pg_conf_set_ident(const struct pg_settings *settings, const char *dir, bool *ret_is_changed)
{
    return write_file(settings, dir, "pg_ident.conf", put_ident_file, false, ret_is_changed);
}
