/* SPDX-License-Identifier: Apache-2.0 */
/* The order CONFIGURE: a document of the cluster comes into force.
 *
 * First everything is looked at: our reader has the document's shape, the server's own program
 * reads the files as they would be (names and values), the running server reads pg_hba.conf and
 * pg_ident.conf from the disk and says what it cannot take. Only then the document is kept and the
 * server told. A start takes the document last offered as well, with the same checks, but for those
 * that need a running server. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agents/postgresql/config.h"
#include "agents/postgresql/db_internal.h"
#include "agents/postgresql/layout.h"
#include "base/name.h"

#define CHECK_LIMIT_US (10 * BASE_US_PER_S)
#define SESSION_US (2 * BASE_US_PER_S)

/* --- the offer --- */

void pg_config_offer(struct pg_db *db, uint64_t revision, struct slice text)
{
    struct pg_config *config = db->settings->config;
    if (config == NULL || text.len > sizeof(config->offered)) {
        return;
    }
    pthread_mutex_lock(&db->lock);
    config->offered_revision = revision;
    config->offered_len = text.len;
    memcpy(config->offered, text.data, text.len);
    pthread_mutex_unlock(&db->lock);
}

/* A copy of the offer, when there is one that is not in force; the caller frees. 0 revision: none.
 */
static uint64_t offer_take(struct pg_db *db, char **ret_text, size_t *ret_len)
{
    struct pg_config *config = db->settings->config;
    char *text = malloc(MSG_CONFIG_MAX);
    uint64_t revision = 0;
    *ret_len = 0;
    pthread_mutex_lock(&db->lock);
    if (text != NULL && config->offered_revision != config->revision) {
        revision = config->offered_revision;
        *ret_len = config->offered_len;
        memcpy(text, config->offered, config->offered_len);
    }
    pthread_mutex_unlock(&db->lock);
    *ret_text = text;
    return revision;
}

/* --- does the server's program take it? --- */

/* "... LOG:  invalid value for parameter "work_mem": "x" in file ...": the line that says what is
 * wrong, without the place, which nobody will find again. */
static void complaint_of(const struct pg_child_result *result, struct base_text *ret)
{
    const char *at = strstr(result->head, "LOG:  ");
    if (at == NULL) {
        pg_child_reason(result, ret);
        return;
    }
    at += strlen("LOG:  ");
    size_t len = strcspn(at, "\n");
    const char *place = memmem(at, len, " in file \"", strlen(" in file \""));
    *ret = base_text_from(slice_from(at, place == NULL ? len : (size_t)(place - at)));
}

static int check_files(struct pg_run *run, const char *dir, const char *check_dir)
{
    char text[PG_PATH_MAX * 2 + 64];
    char option[PG_PATH_MAX + 32];
    struct pg_path file;
    struct pg_child_result *result = malloc(sizeof(*result));
    if (result == NULL) {
        return BASE_E_NOMEM;
    }
    (void)snprintf(text, sizeof(text), "include '%s/postgresql.conf'\ninclude 'quorate.conf'\n",
                   dir);
    int status = pg_path_join(check_dir, "postgresql.conf", &file);
    status = status != 0 ? status : pg_file_write(file.text, slice_from_text(text), 0600);
    if (status == 0) {
        (void)snprintf(option, sizeof(option), "config_file=%s", file.text);
        const char *argv[] = {"postgres", "-D", dir, "-c", option, "-C", "cluster_name", NULL};
        status = pg_run_helper(run, argv, SLICE_EMPTY, result);
    }
    if (status == BASE_E_STATE) {
        struct base_text complaint;
        complaint_of(result, &complaint);
        status = pg_run_fail(run, BASE_E_INVALID, "%.220s", complaint.text);
    }
    free(result);
    return status;
}

/* The files as they would be, in a directory of their own, read by the server's program. */
static int check_with_program(struct pg_run *run, const char *dir)
{
    struct pg_path check_dir;
    struct pg_path there;
    struct base_mono deadline = run->deadline;
    int status = pg_path_join(run->settings->state_dir.text, "check", &check_dir);
    status = status != 0 ? status : pg_path_join(dir, "quorate.conf", &there);
    if (status != 0 || !pg_file_exists(there.text)) {
        return status; /* nothing to compare with yet: a directory that is being made */
    }
    run->deadline = base_mono_min(deadline, base_mono_add_us(pg_now(), CHECK_LIMIT_US));
    (void)mkdir(check_dir.text, 0700);
    status = pg_conf_rewrite(run->settings, dir, check_dir.text);
    if (status == 0) {
        status = check_files(run, dir, check_dir.text);
    }
    (void)!pg_dir_remove(check_dir.text, false);
    run->deadline = deadline;
    return status;
}

/* --- does the running server take pg_hba.conf and pg_ident.conf? --- */

static int superuser_open(struct pg_run *run, struct pg_sql *sql)
{
    struct base_mono limit = base_mono_add_us(pg_now(), SESSION_US);
    struct base_text why;
    return pg_sql_open_local(sql, run->settings, PG_ROLE_SUPERUSER, "quorate_agent",
                             base_mono_min(run->deadline, limit), &why);
}

static int look_for_faults(struct pg_run *run, struct pg_sql *sql, const char *view)
{
    char text[160];
    struct pg_sql_rows rows;
    struct base_text why;
    (void)snprintf(text, sizeof(text),
                   "SELECT line_number, error FROM %s WHERE error IS NOT NULL LIMIT 1", view);
    int status = pg_sql_run(sql, text, run->deadline, &rows, &why);
    if (status != 0) {
        return status == BASE_E_STATE ? 0 : status; /* it cannot be asked: not a fault */
    }
    if (rows.count > 0 && PQntuples(rows.results[0]) > 0) {
        status =
            pg_run_fail(run, BASE_E_INVALID, "%s, line %s: %.180s", view,
                        pg_sql_text(rows.results[0], 0, 0), pg_sql_text(rows.results[0], 0, 1));
    }
    pg_sql_free(&rows);
    return status;
}

struct kept {
    const char *name;
    const char *view;
    char *memory;
    size_t len;
};

static int write_lines(struct pg_run *run, bool *ret_is_changed)
{
    bool is_hba = false;
    bool is_ident = false;
    int status =
        pg_conf_set_gate(run->settings, run->data_dir, pg_conf_is_gated(run->data_dir), &is_hba);
    status = status != 0 ? status : pg_conf_set_ident(run->settings, run->data_dir, &is_ident);
    *ret_is_changed = is_hba || is_ident;
    return status != 0
               ? pg_run_fail(run, status, "cannot write pg_hba.conf: %s", base_error_text(status))
               : 0;
}

/* Written, looked at by the server, and put back when it cannot take them. */
static int change_lines(struct pg_run *run, struct pg_sql *sql)
{
    struct kept kept[] = {{"pg_hba.conf", "pg_hba_file_rules", NULL, 0},
                          {"pg_ident.conf", "pg_ident_file_mappings", NULL, 0}};
    bool is_changed = false;
    bool has_ident_view = pg_layout_version(run->settings) >= 15;
    int status = 0;
    for (size_t i = 0; i < BASE_COUNT_OF(kept) && status == 0; i++) {
        status = pg_conf_keep(run->data_dir, kept[i].name, &kept[i].memory, &kept[i].len);
    }
    status = status != 0 ? status : write_lines(run, &is_changed);
    for (size_t i = 0; i < (has_ident_view ? 2U : 1U) && status == 0 && is_changed; i++) {
        status = pg_sql_is_open(sql) ? look_for_faults(run, sql, kept[i].view) : 0;
    }
    for (size_t i = 0; i < BASE_COUNT_OF(kept); i++) {
        if (status != 0 && kept[i].memory != NULL) {
            (void)!pg_conf_put_back(run->data_dir, kept[i].name, kept[i].memory, kept[i].len);
        }
        free(kept[i].memory);
    }
    return status;
}

/* --- in force --- */

/* What ALTER SYSTEM has set although it is ours, or the document's for all members. */
static int reset_altered(struct pg_run *run, struct pg_sql *sql)
{
    static const char list[] = "SELECT DISTINCT name FROM pg_file_settings WHERE sourcefile LIKE "
                               "'%/postgresql.auto.conf'";
    struct pg_sql_rows rows;
    struct base_text why;
    char text[160];
    int status = pg_sql_run(sql, list, run->deadline, &rows, &why);
    if (status != 0) {
        return status == BASE_E_STATE ? 0 : status;
    }
    for (int row = 0; row < PQntuples(rows.results[0]) && status == 0; row++) {
        const char *name = pg_sql_text(rows.results[0], row, 0);
        bool is_ours = pg_settings_is_reserved(name) ||
                       pg_config_overrides(run->settings, slice_from_text(name));
        if (is_ours && arb_pg_is_name(slice_from_text(name))) {
            (void)snprintf(text, sizeof(text), "ALTER SYSTEM RESET %.64s", name);
            status = pg_sql_do(sql, text, run->deadline, &why);
        }
    }
    pg_sql_free(&rows);
    return status == BASE_E_STATE ? 0 : status;
}

static void tell(struct pg_run *run, const char *refused)
{
    struct pg_db *db = run->db;
    pthread_mutex_lock(&db->lock);
    db->watch.config_revision = run->settings->config->revision;
    db->watch.refused = base_text_from(slice_from_text(refused));
    pthread_mutex_unlock(&db->lock);
}

static int write_and_reload(struct pg_run *run, struct pg_sql *sql)
{
    bool is_running = pg_run_guard(run).tree == GUARD_TREE_RUNNING;
    int status = change_lines(run, sql);
    if (status == 0) {
        status = pg_conf_rewrite(run->settings, run->data_dir, run->data_dir);
        status = status == 0 ? 0
                             : pg_run_fail(run, status, "cannot write quorate.conf in %s: %s",
                                           run->data_dir, base_error_text(status));
    }
    if (status == 0 && pg_sql_is_open(sql)) {
        status = reset_altered(run, sql);
    }
    if (status != 0 || !is_running) {
        return status;
    }
    status = pg_run_reload(run);
    if (status == 0 && pg_sql_is_open(sql)) {
        pg_sql_close(sql); /* one that is forked by a server that has read the files */
        if (superuser_open(run, sql) == 0) {
            pg_pending_look(run, sql);
        }
    }
    return status;
}

/* Puts the document in config->spare in force as `revision`; the old one stays on an error. */
static int put_in_force(struct pg_run *run, uint64_t revision, struct slice text)
{
    struct pg_config *config = run->settings->config;
    struct pg_sql sql = {.cancel_fd = run->db->cancel_fd};
    uint64_t old = revision;
    pg_config_swap(config, &old);
    int status = check_with_program(run, run->data_dir);
    if (status == 0 && pg_run_guard(run).tree == GUARD_TREE_RUNNING) {
        (void)!superuser_open(run, &sql); /* without it less is checked, and told later */
    }
    status = status != 0 ? status : write_and_reload(run, &sql);
    status = status != 0 ? status : pg_config_save(run->settings, revision, text);
    pg_sql_close(&sql);
    if (status != 0) {
        struct base_text why = run->text;
        pg_config_swap(config, &old); /* and the files with it */
        bool is_changed = false;
        (void)!write_lines(run, &is_changed);
        (void)!pg_conf_rewrite(run->settings, run->data_dir, run->data_dir);
        pg_run_signal(run, SIGHUP);
        run->text = why;
    }
    return status;
}

static int reload_alone(struct pg_run *run)
{
    struct pg_sql sql = {.cancel_fd = run->db->cancel_fd};
    (void)!superuser_open(run, &sql);
    int status = write_and_reload(run, &sql);
    pg_sql_close(&sql);
    return status != 0 ? status : pg_run_fail(run, 0, "settings read again");
}

static int refuse(struct pg_run *run, uint64_t revision, int status, const char *why)
{
    char text[BASE_TEXT_MAX];
    (void)snprintf(text, sizeof(text), "configuration %" PRIu64 " is not in force: %.190s",
                   revision, why[0] == '\0' ? base_error_text(status) : why);
    if (base_error_class_of(status) != BASE_CLASS_retry) {
        tell(run, text);
    }
    return pg_run_fail(run, status, "%s", text);
}

int pg_order_configure(struct pg_run *run)
{
    struct pg_config *config = run->settings->config;
    struct arb_settings_why why;
    char *text = NULL;
    size_t len = 0;
    if (config == NULL) {
        return pg_run_fail(run, BASE_E_UNSUPPORTED, "no configuration is kept here");
    }
    uint64_t revision = offer_take(run->db, &text, &len);
    uint64_t wanted = run->order.config_revision;
    int status = 0;
    if (wanted == 0 || wanted == config->revision) {
        status = reload_alone(run);
    } else if (revision != wanted) {
        status = pg_run_fail(run, BASE_E_NOTFOUND,
                             "configuration %" PRIu64 " has not been handed over", wanted);
    } else if (pg_config_read(config, slice_from(text, len), &why) != 0) {
        status = refuse(run, wanted, BASE_E_INVALID, why.text);
    } else {
        status = put_in_force(run, wanted, slice_from(text, len));
        if (status != 0) {
            struct base_text reason = run->text;
            status = refuse(run, wanted, status, reason.text);
        } else {
            tell(run, "");
            (void)pg_run_fail(run, 0, "configuration %" PRIu64 " is in force", wanted);
        }
    }
    free(text);
    return status;
}

/* --- before a start --- */

static void take_offer_in(struct pg_run *run, const char *dir)
{
    struct pg_config *config = run->settings->config;
    struct arb_settings_why why;
    char *text = NULL;
    size_t len = 0;
    uint64_t revision = offer_take(run->db, &text, &len);
    uint64_t old = revision;
    if (revision != 0 && pg_config_read(config, slice_from(text, len), &why) == 0) {
        pg_config_swap(config, &old);
        if (check_with_program(run, dir) == 0 &&
            pg_config_save(run->settings, revision, slice_from(text, len)) == 0) {
            tell(run, "");
        } else {
            pg_config_swap(config, &old);
        }
        memset(&run->text, 0, sizeof(run->text));
    }
    free(text);
}

const struct arb_settings_pg *pg_config_expected(struct pg_run *run)
{
    struct pg_config *config = run->settings->config;
    struct arb_settings_why why;
    char *text = NULL;
    size_t len = 0;
    if (config == NULL) {
        return NULL;
    }
    bool is_offered = offer_take(run->db, &text, &len) != 0 &&
                      pg_config_read(config, slice_from(text, len), &why) == 0;
    free(text);
    return is_offered ? config->spare : config->document;
}

void pg_config_prepare(struct pg_run *run, const char *dir, bool is_primary)
{
    struct pg_config *config = run->settings->config;
    struct pg_control control;
    struct base_mono deadline = base_mono_add_us(pg_now(), PG_RUN_CHECK_LIMIT_US);
    bool is_needed = !is_primary || run->order.is_raise_held;
    if (config == NULL) {
        return;
    }
    take_offer_in(run, dir);
    memset(&control, 0, sizeof(control));
    if (is_needed &&
        pg_control_read(run->settings, dir, deadline, run->db->cancel_fd, &control) != 0) {
        memset(&control, 0, sizeof(control)); /* the start itself will tell what is wrong */
    }
    pg_config_bound(config, &control, is_primary, run->order.is_raise_held);
}
