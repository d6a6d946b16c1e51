/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts of a database that we made, and what an operator should be warned of: settings that lose
 * data, accounts that read_only does not stop, grants that are missing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/galera/conf.h"
#include "agents/galera/db_internal.h"
#include "base/name.h"

#define SETUP_AGAIN_US (2 * BASE_US_PER_S)
#define SETUP_LIMIT_US (10 * BASE_US_PER_S)
#define SETUP_BYTES 8192
#define ADVICE_AGAIN_US (600 * BASE_US_PER_S)
#define ADVICE_LIMIT_US (5 * BASE_US_PER_S)

/* --- accounts --- */

static void setup_end(struct gal_db *db, const char *text)
{
    explicit_bzero(db->setup, SETUP_BYTES);
    free(db->setup);
    db->setup = NULL;
    db->options.events.log(db->options.events.ctx, text);
    gal_probe_start(db);
}

static void setup_came(void *ctx, const struct gal_reply *reply);

/* A line holds one statement and ends with its semicolon. */
static void setup_next(struct gal_db *db)
{
    char *line = db->setup_next;
    char *end = strchr(line, '\n');
    if (end == NULL) {
        setup_end(db, "the agent's accounts and its table are made");
        return;
    }
    *end = '\0';
    db->setup_next = end + 1;
    db->sql.run(db->sql.ctx, GAL_SESSION_SETUP, line, SETUP_LIMIT_US, setup_came, db);
}

static void setup_came(void *ctx, const struct gal_reply *reply)
{
    struct gal_db *db = ctx;
    char text[BASE_TEXT_MAX + 1];
    if (db->setup == NULL) {
        return;
    }
    if (reply->status != 0) {
        /* Not the server's text: it may quote the statement, and that has a password in it. */
        (void)snprintf(text, sizeof(text), "cannot make our accounts as '%s': %s, error %u",
                       db->settings->os_user, base_error_text(reply->status), reply->number);
        setup_end(db, text);
        return;
    }
    setup_next(db);
}

void gal_setup_start(struct gal_db *db)
{
    struct base_mono now = io_now();
    if (db->setup != NULL || db->settings->may_adopt ||
        base_mono_diff_us(now, db->setup_at) < SETUP_AGAIN_US ||
        db->sql.is_busy(db->sql.ctx, GAL_SESSION_SETUP)) {
        return;
    }
    db->setup_at = now;
    db->setup = calloc(1, SETUP_BYTES);
    if (db->setup == NULL) {
        return;
    }
    struct buf b = buf_over(db->setup, SETUP_BYTES - 1);
    gal_accounts_put(db->settings, true, &b);
    (void)buf_terminate(&b);
    db->setup_next = db->setup;
    setup_next(db);
}

/* --- warnings --- */

static void warn(struct gal_db *db, const char *text)
{
    db->warnings[db->advice_step] = base_text_from(slice_from_text(text));
}

static bool is_value(const struct gal_reply *reply, unsigned column, const char *text)
{
    return reply->rows == 1 && column < reply->columns &&
           strcmp(reply->values[0][column], text) == 0;
}

static void take_durability(struct gal_db *db, const struct gal_reply *reply)
{
    if (is_value(reply, 0, "0")) {
        warn(db, "innodb_flush_log_at_trx_commit is 0: a crash of all members loses about a second "
                 "of acknowledged commits");
    } else if (is_value(reply, 0, "2")) {
        warn(db, "innodb_flush_log_at_trx_commit is 2: a loss of power on all members loses about "
                 "a second of acknowledged commits");
    } else if (is_value(reply, 1, "1") && !is_value(reply, 2, "1")) {
        warn(db, "log_bin is on and sync_binlog is not 1: a loss of power loses acknowledged "
                 "commits");
    }
}

static void take_isolation(struct gal_db *db, const struct gal_reply *reply)
{
    if (reply->rows == 1 && is_value(reply, 0, "ON")) {
        warn(db, "wsrep_dirty_reads is on: a member without quorum answers with old rows");
    }
}

/* It runs within the change of a view: what it takes, nobody writes. */
static void take_notify(struct gal_db *db, const struct gal_reply *reply)
{
    if (reply->status == 0 && reply->rows == 1 && reply->values[0][0][0] != '\0') {
        warn(db, "wsrep_notify_cmd is set: whenever a member comes or goes all writes wait until "
                 "that program has ended");
    }
}

static void take_accounts(struct gal_db *db, const struct gal_reply *reply)
{
    char text[BASE_TEXT_MAX + 1];
    if (reply->status == 0 && reply->rows > 0 && reply->columns >= 2) {
        (void)snprintf(text, sizeof(text),
                       "account '%.60s'@'%.60s' holds SUPER: read_only does not stop its writes "
                       "(%u such)",
                       reply->values[0][0], reply->values[0][1], reply->rows);
        warn(db, text);
    }
}

static void take_grants(struct gal_db *db, const struct gal_reply *reply)
{
    bool has_super = false;
    bool has_read_only = false;
    for (unsigned i = 0; i < reply->rows && reply->columns > 0; i++) {
        const char *grant = reply->values[i][0];
        bool is_all = strstr(grant, "ALL PRIVILEGES ON *.*") != NULL;
        has_super = has_super || is_all || strstr(grant, "SUPER") != NULL;
        has_read_only = has_read_only || is_all || strstr(grant, "READ_ONLY ADMIN") != NULL ||
                        strstr(grant, "READ ONLY ADMIN") != NULL;
    }
    if (!has_super || !has_read_only) {
        warn(db, "account " GAL_ACCOUNT_AGENT " lacks SUPER or READ_ONLY ADMIN: it cannot fence; "
                 "see 'quorate-agent-galera --print-sql'");
    }
}

static const struct advice {
    const char *sql;
    void (*take)(struct gal_db *db, const struct gal_reply *reply);
} advices[] = {
    {"SELECT @@GLOBAL.innodb_flush_log_at_trx_commit, @@GLOBAL.log_bin, @@GLOBAL.sync_binlog",
     take_durability},
    {"SELECT IF(@@GLOBAL.wsrep_dirty_reads, 'ON', 'OFF')", take_isolation},
    {"SHOW GRANTS", take_grants},
    {"SELECT @@GLOBAL.wsrep_notify_cmd", take_notify},
    {"SELECT User, Host FROM mysql.user WHERE Super_priv = 'Y' AND User NOT IN ('root', 'mysql', "
     "'mariadb.sys', '" GAL_ACCOUNT_AGENT "') ORDER BY 1, 2",
     take_accounts},
};
_Static_assert(BASE_COUNT_OF(advices) == BASE_COUNT_OF(((struct gal_db *)0)->warnings),
               "one warning each");

static void advice_came(void *ctx, const struct gal_reply *reply)
{
    struct gal_db *db = ctx;
    if (db->advice_step >= BASE_COUNT_OF(advices)) {
        return;
    }
    memset(&db->warnings[db->advice_step], 0, sizeof(db->warnings[0]));
    if (reply->status == 0) {
        advices[db->advice_step].take(db, reply);
    }
    db->advice_step++;
    memset(&db->warning, 0, sizeof(db->warning));
    for (size_t i = 0; i < BASE_COUNT_OF(db->warnings) && db->warning.text[0] == '\0'; i++) {
        db->warning = db->warnings[i];
    }
}

/* One question a probe, behind what is more urgent; a round every ten minutes. */
void gal_advice_start(struct gal_db *db)
{
    struct base_mono now = io_now();
    if (db->advice_step >= BASE_COUNT_OF(advices)) {
        if (base_mono_diff_us(now, db->advice_at) < ADVICE_AGAIN_US) {
            return;
        }
        db->advice_step = 0;
    }
    if (!db->seen.view.is_ready || db->seen.view.is_rejecting ||
        db->sql.is_busy(db->sql.ctx, GAL_SESSION_BACK)) {
        return;
    }
    db->advice_at = now;
    db->sql.run(db->sql.ctx, GAL_SESSION_BACK, advices[db->advice_step].sql, ADVICE_LIMIT_US,
                advice_came, db);
}
