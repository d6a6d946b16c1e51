/* SPDX-License-Identifier: Apache-2.0 */
/* Taking over a server that runs: see adopt.h.
 *
 * Nothing here ends or restarts it. Our files are written first, with what the server has of
 * upstream and synchronous standbys carried over, then it is told to read them; only what a reload
 * brings about is changed, everything else waits for its next start, which is the guard's. What was
 * done stays where a later step fails: it may be done again, and a former manager that writes its
 * own files anew finds a server as it was.
 */
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agents/postgresql/adopt.h"
#include "agents/postgresql/conf.h"
#include "agents/postgresql/process.h"
#include "agents/postgresql/roles.h"
#include "agents/postgresql/sql.h"
#include "agents/shell/child.h"
#include "base/name.h"

#define READ_LIMIT_US (15 * BASE_US_PER_S) /* until it has read its files */
#define RESIGNAL_US (500 * BASE_US_PER_MS)
#define SETTING_LIMIT_US (10 * BASE_US_PER_S)
#define ROLES_LIMIT_US (30 * BASE_US_PER_S)
#define COMMAND_LINE_MAX 16384u

__attribute__((format(printf, 3, 4))) static int refuse(struct base_text *ret, int status,
                                                        const char *format, ...)
{
    char text[BASE_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    *ret = base_text_from(slice_from_text(text));
    return status;
}

/* --- what the server was started with --- */

/* A setting among the words of a command line, NUL-separated: "--name=value", "-c name=value",
 * "-cname=value"; the last one counts. False: none. */
static bool command_setting(const char *words, size_t len, const char *name, struct pg_path *ret)
{
    size_t name_len = strlen(name);
    bool is_found = false;
    for (const char *word = words; word < words + len; word += strlen(word) + 1) {
        const char *at = word;
        if (strncmp(at, "--", 2) == 0 || strncmp(at, "-c", 2) == 0) {
            at += 2;
        }
        size_t i = 0;
        while (i < name_len && (at[i] == name[i] || (name[i] == '_' && at[i] == '-'))) {
            i++;
        }
        if (i == name_len && at[i] == '=' && strlen(at + i + 1) < sizeof(ret->text)) {
            (void)snprintf(ret->text, sizeof(ret->text), "%s", at + i + 1);
            is_found = true;
        }
    }
    return is_found;
}

struct server {
    const struct pg_settings *settings;
    int32_t pid;
    size_t command_len;
    char command[COMMAND_LINE_MAX];
    struct pg_conf_places places;
    char conninfo[PG_CHILD_HEAD_MAX];
    char slot[PG_LINE_MAX];
    char sync[PG_CHILD_HEAD_MAX];
};

static int command_read(struct server *s)
{
    struct pg_path path;
    (void)snprintf(path.text, sizeof(path.text), "/proc/%d/cmdline", s->pid);
    int status = pg_file_read(path.text, s->command, sizeof(s->command), &s->command_len);
    return status == BASE_E_NOTFOUND ? BASE_E_STATE : status;
}

/* As the files say it that the server has read. */
static int setting_read(const struct server *s, const char *name, char *memory, size_t cap,
                        struct base_text *ret_why)
{
    static struct pg_child_result result;
    struct pg_path program;
    char config[PG_PATH_MAX + 16];
    int status = pg_path_join(s->settings->bin_dir.text, "postgres", &program);
    (void)snprintf(config, sizeof(config), "config_file=%s", s->places.config_file.text);
    const char *argv[] = {program.text, "-D", s->settings->data_dir.text, "-c", config, "-C",
                          name,         NULL};
    const struct pg_child child = {.argv = argv,
                                   .deadline = base_mono_add_us(pg_now(), SETTING_LIMIT_US),
                                   .cancel_fd = -1,
                                   .lock_fd = -1};
    status = status != 0 ? status : pg_child_run(&child, &result);
    if (status == BASE_E_STATE) {
        pg_child_reason(&result, ret_why);
        return status;
    }
    size_t len = status == 0 ? strcspn(result.head, "\n") : 0;
    if (status == 0 && len >= cap) {
        status = BASE_E_TOOBIG;
    }
    if (status != 0) {
        return refuse(ret_why, status, "cannot read %s of the running server: %s", name,
                      base_error_text(status));
    }
    memcpy(memory, result.head, len);
    memory[len] = '\0';
    explicit_bzero(&result, sizeof(result)); /* a connection string may hold a password */
    return 0;
}

/* Directory of a file which must have this name: ours is written beside it under the same. */
static int place_of(const char *file, const char *name, struct pg_path *ret,
                    struct base_text *ret_why)
{
    const char *slash = strrchr(file, '/');
    if (slash == NULL || strcmp(slash + 1, name) != 0) {
        return refuse(ret_why, BASE_E_UNSUPPORTED,
                      "the running server reads %s, and only a file named %s can be taken over",
                      file, name);
    }
    (void)snprintf(ret->text, sizeof(ret->text), "%.*s", (int)(slash - file), file);
    return 0;
}

static int find_file(struct server *s, const char *setting, const char *name, struct pg_path *ret,
                     struct base_text *ret_why)
{
    struct pg_path file = {""};
    int status = 0;
    if (!command_setting(s->command, s->command_len, setting, &file)) {
        status = setting_read(s, setting, file.text, sizeof(file.text), ret_why);
    }
    return status != 0 ? status : place_of(file.text, name, ret, ret_why);
}

static int find_files(struct server *s, struct base_text *ret_why)
{
    struct pg_conf_places *p = &s->places;
    struct pg_path dir;
    int status = command_read(s);
    if (status != 0) {
        return refuse(ret_why, status, "the running server (pid %d) has ended", s->pid);
    }
    if (!command_setting(s->command, s->command_len, "config_file", &p->config_file)) {
        status = pg_path_join(s->settings->data_dir.text, "postgresql.conf", &p->config_file);
    }
    status = status != 0 ? status : place_of(p->config_file.text, "postgresql.conf", &dir, ret_why);
    status = status != 0 ? status : find_file(s, "hba_file", "pg_hba.conf", &p->hba_dir, ret_why);
    return status != 0 ? status
                       : find_file(s, "ident_file", "pg_ident.conf", &p->ident_dir, ret_why);
}

/* --- what must hold --- */

static bool is_same_directory(const struct pg_settings *settings, const char *a, const char *b)
{
    char one[PATH_MAX];
    char other[PATH_MAX];
    struct pg_path full;
    int status = a[0] == '/' ? pg_path_suffix(a, "", &full)
                             : pg_path_join(settings->data_dir.text, a, &full);
    return status == 0 && realpath(full.text, one) != NULL && realpath(b, other) != NULL &&
           strcmp(one, other) == 0;
}

static int check_server(const struct pg_settings *settings, const struct pg_adoptee *found,
                        struct base_text *ret_why)
{
    if (found->port != settings->port) {
        return refuse(ret_why, BASE_E_STATE,
                      "the running server listens on port %u: set postgresql.port: %u", found->port,
                      found->port);
    }
    if (found->socket_dir.text[0] == '\0') {
        return refuse(ret_why, BASE_E_UNSUPPORTED,
                      "the running server has no Unix socket: set unix_socket_directories, and "
                      "restart it under its former manager first");
    }
    if (!is_same_directory(settings, found->socket_dir.text, settings->socket_dir.text)) {
        return refuse(ret_why, BASE_E_STATE,
                      "the socket of the running server lies in %.100s: set "
                      "postgresql.socket_dir to it",
                      found->socket_dir.text);
    }
    if (!found->is_ready) {
        return refuse(ret_why, BASE_E_STATE,
                      "the running server (pid %d) is starting or stopping: try again", found->pid);
    }
    return pg_adopt_check_version(settings, ret_why);
}

/* --- who else minds it --- */

/* A process that calls itself patroni, whose file (an argument) names this directory. */
static bool is_manager(const char *words, size_t len, const char *data_dir)
{
    static char text[256u << 10]; /* at start only, one thread */
    bool is_patroni = false;
    bool names_it = false;
    size_t size = 0;
    for (const char *word = words; word < words + len; word += strlen(word) + 1) {
        const char *slash = strrchr(word, '/');
        const char *dot = strrchr(word, '.');
        is_patroni = is_patroni || strcmp(slash == NULL ? word : slash + 1, "patroni") == 0;
        bool is_yaml = dot != NULL && (strcmp(dot, ".yml") == 0 || strcmp(dot, ".yaml") == 0);
        names_it = names_it ||
                   (is_patroni && is_yaml && pg_file_read(word, text, sizeof(text), &size) == 0 &&
                    strstr(text, data_dir) != NULL);
    }
    return is_patroni && names_it;
}

/* Two managers of one server undo what the other does, and each may promote a standby. */
static int check_alone(const struct pg_settings *settings, struct base_text *ret_why)
{
    static char words[COMMAND_LINE_MAX];
    DIR *proc = opendir("/proc");
    int status = 0;
    for (struct dirent *e = proc == NULL ? NULL : readdir(proc); e != NULL && status == 0;
         e = readdir(proc)) {
        char path[300];
        size_t len = 0;
        (void)snprintf(path, sizeof(path), "/proc/%.200s/cmdline", e->d_name);
        if (e->d_name[strspn(e->d_name, "0123456789")] == '\0' &&
            pg_file_read(path, words, sizeof(words), &len) == 0 &&
            is_manager(words, len, settings->data_dir.text)) {
            status = refuse(ret_why, BASE_E_CONFLICT,
                            "Patroni (pid %.20s) still manages it: pause its cluster and stop it "
                            "first (docs/from-patroni.md)",
                            e->d_name);
        }
    }
    if (proc != NULL) {
        (void)closedir(proc);
    }
    return status;
}

/* --- our files --- */

static bool is_standby(const struct pg_settings *settings)
{
    struct pg_path path;
    return pg_path_join(settings->data_dir.text, "standby.signal", &path) == 0 &&
           pg_file_exists(path.text);
}

/* What a commit waits for now goes on until the arbiter says otherwise; a standby that is promoted
 * by hand meanwhile acknowledges nothing. */
static int write_files(struct server *s, struct base_text *ret_why)
{
    const struct pg_settings *settings = s->settings;
    struct pg_conf conf;
    memset(&conf, 0, sizeof(conf));
    int status = setting_read(s, "primary_conninfo", s->conninfo, sizeof(s->conninfo), ret_why);
    status = status != 0 ? status
                         : setting_read(s, "primary_slot_name", s->slot, sizeof(s->slot), ret_why);
    status = status != 0
                 ? status
                 : setting_read(s, "synchronous_standby_names", s->sync, sizeof(s->sync), ret_why);
    if (status != 0) {
        return status;
    }
    conf.left_conninfo = s->conninfo;
    conf.left_slot = s->slot;
    conf.left_sync = is_standby(settings) ? NULL : s->sync;
    status = pg_conf_write(settings, settings->data_dir.text, &conf);
    status = status != 0 ? status : pg_conf_join(settings, &s->places);
    return status == 0 ? 0
                       : refuse(ret_why, status,
                                "cannot write our part of the running server's files (%.120s): %s",
                                s->places.config_file.text, base_error_text(status));
}

/* --- the server --- */

/* It has read ours: a session of the superuser comes in by our line, and sees a value of ours. */
static int wait_read(const struct server *s, struct pg_sql *sql, bool *ret_is_standby,
                     struct base_text *ret_why)
{
    static const char text[] =
        "SELECT current_setting('restart_after_crash') = 'off', pg_is_in_recovery()";
    struct base_mono limit = base_mono_add_us(pg_now(), READ_LIMIT_US);
    struct base_mono signal_at = pg_now();
    struct base_text why = {{0}};
    while (base_mono_before(pg_now(), limit)) {
        struct pg_sql_rows rows;
        if (!base_mono_before(pg_now(), signal_at)) {
            (void)kill(s->pid, SIGHUP);
            signal_at = base_mono_add_us(pg_now(), RESIGNAL_US);
        }
        int status = pg_sql_open_local(sql, s->settings, PG_ROLE_SUPERUSER, "quorate_agent",
                                       base_mono_add_us(pg_now(), RESIGNAL_US), &why);
        status = status != 0 ? status : pg_sql_run(sql, text, limit, &rows, &why);
        if (status == 0) {
            bool is_read = rows.count > 0 && pg_sql_bool(rows.results[0], 0, 0);
            *ret_is_standby = rows.count > 0 && pg_sql_bool(rows.results[0], 0, 1);
            pg_sql_free(&rows);
            if (is_read) {
                return 0;
            }
            why = base_text_from(slice_from_text("it keeps restart_after_crash; its log says why"));
        }
        (void)usleep(50000);
    }
    return refuse(ret_why, BASE_E_TIMEOUT,
                  "the running server has not taken our files (session as role %s by peer): %.120s",
                  PG_ROLE_SUPERUSER, why.text);
}

/* Each line is a statement; passwords stand in some, and nothing of them goes into a log. */
static int make_roles(const struct server *s, struct pg_sql *sql, struct base_text *ret_why)
{
    static const char *const quiet[] = {
        "SET log_statement = 'none'",
        "SET log_min_duration_statement = -1",
        "SET log_min_error_statement = 'panic'",
        "SET pg_stat_statements.track = 'none'",
        "SET default_transaction_read_only = off",
    };
    static char text[PG_ROLES_BYTES_MAX];
    struct buf b = buf_over(text, sizeof(text));
    struct base_mono limit = base_mono_add_us(pg_now(), ROLES_LIMIT_US);
    struct base_text why = {{0}};
    pg_roles_put(s->settings, false, "", &b);
    int status = b.is_full || !buf_terminate(&b) ? BASE_E_TOOBIG : 0;
    for (size_t i = 0; i < BASE_COUNT_OF(quiet) && status == 0; i++) {
        status = pg_sql_do(sql, quiet[i], limit, &why);
    }
    for (char *line = text; status == 0 && *line != '\0';) {
        char *end = strchrnul(line, '\n');
        bool is_last = *end == '\0';
        *end = '\0';
        status = line[0] == '\0' ? 0 : pg_sql_do(sql, line, limit, &why);
        line = is_last ? end : end + 1;
    }
    explicit_bzero(text, sizeof(text));
    return status == 0 ? 0
                       : refuse(ret_why, status,
                                "cannot make our roles in the running server: %.160s", why.text);
}

int pg_adopt_running(const struct pg_settings *settings, const struct pg_adoptee *found,
                     struct base_text *ret_why)
{
    struct pg_sql sql = {.cancel_fd = -1};
    bool is_in_recovery = true;
    int status = check_server(settings, found, ret_why);
    struct server *s = status == 0 ? calloc(1, sizeof(*s)) : NULL;
    if (s == NULL) {
        return status != 0 ? status : refuse(ret_why, BASE_E_NOMEM, "out of memory");
    }
    s->settings = settings;
    s->pid = found->pid;
    status = check_alone(settings, ret_why);
    status = status != 0 ? status : find_files(s, ret_why);
    status = status != 0 ? status : write_files(s, ret_why);
    status = status != 0 ? status : wait_read(s, &sql, &is_in_recovery, ret_why);
    if (status == 0 && !is_in_recovery) {
        status = make_roles(s, &sql, ret_why);
    }
    pg_sql_close(&sql);
    explicit_bzero(s, sizeof(*s));
    free(s);
    return status;
}
