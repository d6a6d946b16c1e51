/* SPDX-License-Identifier: Apache-2.0 */
/* The order INIT: a new database by initdb, with the roles that we and the user need, and the
 * user's own command on it. Nobody else can connect before all of it is done: the server that the
 * command works on listens on a socket in the state directory alone. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agents/postgresql/db_internal.h"
#include "agents/postgresql/process.h"
#include "agents/postgresql/roles.h"
#include "base/name.h"

#define LEFTOVER_US (5 * BASE_US_PER_S)
#define SOCKET_DIR_MAX 90
#define POST_INIT_LIMIT_US (120 * BASE_US_PER_S)
#define POST_INIT_PORT "5432" /* only names the socket */

static int run_initdb(struct pg_run *run, const char *dir)
{
    const struct pg_settings *s = run->settings;
    const struct pg_bootstrap *boot = &s->bootstrap;
    char segment[32];
    char encoding[64];
    char locale[96];
    struct pg_child_result result;
    const char *argv[16 + PG_INITDB_MAX] = {"initdb",
                                            "-D",
                                            dir,
                                            "-U",
                                            PG_ROLE_SUPERUSER,
                                            "--no-sync",
                                            "--auth-local=peer",
                                            "--auth-host=scram-sha-256"};
    size_t count = 8;
    (void)snprintf(segment, sizeof(segment), "--wal-segsize=%u",
                   s->segment_mb == 0 ? 16 : s->segment_mb);
    (void)snprintf(encoding, sizeof(encoding), "--encoding=%s",
                   boot->encoding[0] == '\0' ? "UTF8" : boot->encoding);
    (void)snprintf(locale, sizeof(locale), "--locale=%s",
                   boot->locale[0] == '\0' ? "C.UTF-8" : boot->locale);
    argv[count++] = segment;
    argv[count++] = encoding;
    argv[count++] = locale;
    if (!boot->has_no_checksums) {
        argv[count++] = "--data-checksums";
    }
    for (uint32_t i = 0; i < boot->initdb_count; i++) {
        argv[count++] = boot->initdb[i].text;
    }
    argv[count] = NULL;
    return pg_run_helper(run, argv, SLICE_EMPTY, &result);
}

static int append_to(struct pg_run *run, const char *dir, const char *name, const char *text)
{
    struct pg_path path;
    int status = pg_path_join(dir, name, &path);
    int fd = status == 0 ? open(path.text, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
    ssize_t len = (ssize_t)strlen(text);
    if (fd < 0 || write(fd, text, (size_t)len) != len) {
        status = pg_run_fail(run, BASE_E_IO, "cannot write to %s in %s", name, dir);
    }
    if (fd >= 0) {
        close(fd);
    }
    return status;
}

/* initdb derives them from the size of a segment: they stay what they are with 16 MB. */
static int put_wal_sizes(struct pg_run *run, const char *dir)
{
    return append_to(run, dir, "postgresql.conf", "max_wal_size = '1GB'\nmin_wal_size = '80MB'\n");
}

static int make_roles(struct pg_run *run, const char *dir)
{
    struct base_text why = {{0}};
    const struct pg_roles_run roles = {.settings = run->settings,
                                       .dir = dir,
                                       .has_users = true,
                                       .deadline = run->deadline,
                                       .cancel_fd = run->db->cancel_fd,
                                       .lock_fd = run->db->lock_fd};
    pg_run_note(run, "makes roles");
    int status = pg_roles_make(&roles, &why);
    return status == 0 ? 0 : pg_run_fail(run, status, "making roles: %.200s", why.text);
}

/* --- the user's command --- */

/* For as long as the command runs; all of them are keys of ours, which are taken out again when the
 * configuration is installed. The directory is not in its place yet, and nobody answers for it. */
static int post_init_start(struct pg_run *run, const char *dir, const char *log)
{
    char text[4 * PG_PATH_MAX];
    struct pg_child_result result;
    const char *argv[] = {"pg_ctl", "start", "-D", dir, "-l", log, "-s", "-w", "-t", "60", NULL};
    int len = snprintf(text, sizeof(text),
                       "listen_addresses = ''\nport = " POST_INIT_PORT "\nssl = off\n"
                       "unix_socket_directories = '%s'\nsynchronous_standby_names = ''\n"
                       "data_directory = '%s'\nhba_file = '%s/pg_hba.conf'\n"
                       "ident_file = '%s/pg_ident.conf'\n",
                       run->settings->state_dir.text, dir, dir, dir);
    if (len < 0 || (size_t)len >= sizeof(text)) {
        return pg_run_fail(run, BASE_E_TOOBIG, "the path of %s is too long", dir);
    }
    int status = append_to(run, dir, "postgresql.auto.conf", text);
    return status != 0 ? status : pg_run_helper(run, argv, SLICE_EMPTY, &result);
}

static int post_init_run(struct pg_run *run, const char *dir)
{
    const struct pg_bootstrap *boot = &run->settings->bootstrap;
    char host[PG_PATH_MAX + 16];
    char dsn[PG_PATH_MAX + 96];
    (void)snprintf(host, sizeof(host), "PGHOST=%s", run->settings->state_dir.text);
    (void)snprintf(dsn, sizeof(dsn),
                   "QUORATE_DSN=host='%s' port=" POST_INIT_PORT " user=" PG_ROLE_SUPERUSER
                   " dbname=postgres",
                   run->settings->state_dir.text);
    const char *const env[] = {
        host, "PGPORT=" POST_INIT_PORT, "PGUSER=" PG_ROLE_SUPERUSER, "PGDATABASE=postgres", dsn,
        NULL};
    const struct pg_run_command command = {
        .what = "bootstrap.post_init",
        .text = boot->post_init.text,
        .limit_us = boot->post_init_limit_us > 0 ? boot->post_init_limit_us : POST_INIT_LIMIT_US,
        .environment = env,
        .directory = dir};
    return pg_run_command(run, &command);
}

static int post_init(struct pg_run *run, const char *dir)
{
    struct pg_path log;
    struct pg_child_result result;
    struct base_text why;
    const char *stop[] = {"pg_ctl", "stop", "-D", dir, "-s", "-w", "-m", "fast", "-t", "60", NULL};
    if (run->settings->bootstrap.post_init.text[0] == '\0') {
        return 0;
    }
    if (strlen(run->settings->state_dir.text) > SOCKET_DIR_MAX ||
        strpbrk(run->settings->state_dir.text, "'\\") != NULL || strpbrk(dir, "'\\") != NULL) {
        return pg_run_fail(run, BASE_E_TOOBIG,
                           "bootstrap.post_init: state_dir cannot hold a socket");
    }
    int status = pg_path_join(run->settings->state_dir.text, "post-init.log", &log);
    status = status != 0 ? status : post_init_start(run, dir, log.text);
    if (status == 0) {
        status = post_init_run(run, dir);
        why = run->text;
        int stopped = pg_run_helper(run, stop, SLICE_EMPTY, &result);
        if (status != 0) {
            run->text = why; /* what failed first is told */
        }
        status = status != 0 ? status : stopped;
    }
    if (status != 0) {
        (void)!pg_processes_kill(dir, LEFTOVER_US);
    }
    return status;
}

/* --- the order --- */

static int configure(struct pg_run *run, const char *dir)
{
    struct pg_conf conf;
    memset(&conf, 0, sizeof(conf));
    int status = pg_conf_install(run->settings, dir, false);
    status = status != 0 ? status : pg_conf_write(run->settings, dir, &conf);
    return status == 0
               ? 0
               : pg_run_fail(run, status, "cannot configure %s: %s", dir, base_error_text(status));
}

static int make_in(struct pg_run *run, const char *dir)
{
    int status = run_initdb(run, dir);
    status = status != 0 ? status : put_wal_sizes(run, dir);
    status = status != 0 ? status : make_roles(run, dir);
    status = status != 0 ? status : configure(run, dir);
    status = status != 0 ? status : post_init(run, dir);
    return status != 0 ? status : configure(run, dir);
}

/* The server of a post_init command outlives an agent that dies; only we start one in there. */
static void end_leftovers(struct pg_run *run)
{
    struct pg_path making;
    if (pg_path_suffix(run->data_dir, PG_MAKING_SUFFIX, &making) == 0) {
        (void)!pg_processes_kill(making.text, LEFTOVER_US);
    }
}

int pg_order_init(struct pg_run *run)
{
    struct pg_place place;
    end_leftovers(run);
    int status = pg_run_check_stopped(run);
    if (status == 0 && !pg_dir_is_empty(run->data_dir)) {
        struct pg_path making;
        if (pg_making_path(run->settings, &making) != 0 || !pg_file_exists(making.text)) {
            return pg_run_fail(run, BASE_E_EXISTS, "%s is not empty", run->data_dir);
        }
    }
    if (status == 0) {
        status = pg_place_open(run, &place);
    }
    if (status != 0) {
        return status;
    }
    status = make_in(run, place.path.text);
    if (status == 0) {
        status = pg_place_commit(run, &place);
    }
    if (status != 0) {
        pg_place_drop(&place);
        return status;
    }
    return pg_run_fail(run, 0, "made a new database in %s", run->data_dir);
}
