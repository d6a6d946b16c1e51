/* SPDX-License-Identifier: Apache-2.0 */
/* See dir.h. */
#include "agents/galera/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agents/galera/conf.h"
#include "agents/galera/grastate.h"
#include "agents/shell/child.h"
#include "base/name.h"

#define CONF_MAX 65536
#define STATE_FILE_MAX 4096
#define KEPT ".quorate" /* what was moved aside */
#define MAKING "making" /* in state_dir: mariadb-install-db has begun */
#define INIT_LIMIT_US (300 * BASE_US_PER_S)
#define RECOVER_BASE_US (60 * BASE_US_PER_S)
#define RECOVER_BYTES_PER_S \
    (UINT64_C(4) << 20) /* pages read again by a crash recovery, at least \
                         */

static int fail(struct gal_job *job, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int fail(struct gal_job *job, int status, const char *format, ...)
{
    char text[BASE_TEXT_MAX + 1];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    job->text = base_text_from(slice_from_text(text));
    return status;
}

/* --- looking --- */

static bool path_of(const struct gal_settings *s, const char *name, struct pg_path *ret)
{
    return pg_path_join(s->data_dir.text, name, ret) == 0;
}

static bool exists(const struct gal_settings *s, const char *name)
{
    struct pg_path path;
    return path_of(s, name, &path) && pg_file_exists(path.text);
}

static bool is_made_whole(const struct gal_settings *s)
{
    struct pg_path path;
    struct stat st;
    if (pg_path_join(s->state_dir.text, MAKING, &path) != 0 || pg_file_exists(path.text)) {
        return false;
    }
    return path_of(s, "ibdata1", &path) && stat(path.text, &st) == 0 && st.st_size > 0 &&
           exists(s, "mysql");
}

/* InnoDB holds a lock on its table space as long as it has it open. */
static bool is_locked(const struct gal_settings *s)
{
    struct pg_path path;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = path_of(s, "ibdata1", &path) ? open(path.text, O_RDWR | O_CLOEXEC) : -1;
    bool is_held = fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    if (fd >= 0) {
        (void)close(fd);
    }
    return is_held;
}

static void add_size(void *bytes, const char *name, const struct stat *st)
{
    (void)name;
    *(uint64_t *)bytes += (uint64_t)st->st_size;
}

static uint64_t size_of(const char *path)
{
    uint64_t bytes = 0;
    uint32_t left = UINT32_MAX;
    pg_tree_walk(path, 1, &left, add_size, &bytes);
    return bytes;
}

/* Nothing there: never joined, or moved aside. There and not to be read: a transfer was cut off. */
static void look_grastate(const struct gal_settings *s, struct gal_look *look)
{
    char text[STATE_FILE_MAX];
    size_t len = 0;
    struct pg_path path;
    struct gal_grastate state;
    look->saved = (struct msg_galera_position){{0}, -1};
    if (!path_of(s, "grastate.dat", &path) || !pg_file_exists(path.text)) {
        return;
    }
    if (pg_file_read(path.text, text, sizeof(text), &len) != 0 ||
        gal_grastate_parse(slice_from(text, len), &state) != 0) {
        look->is_transfer_broken = true;
        return;
    }
    look->saved = state.position;
    look->is_safe_to_bootstrap = state.is_safe_to_bootstrap;
}

void gal_dir_look(const struct gal_settings *s, bool with_size, struct gal_look *ret)
{
    struct gal_look look = {0};
    struct statvfs vfs;
    look.has_directory = is_made_whole(s);
    look_grastate(s, &look);
    look.is_transfer_broken = look.is_transfer_broken || exists(s, "sst_in_progress") ||
                              exists(s, "wsrep_sst_in_progress");
    look.is_locked = is_locked(s);
    look.data_bytes = with_size ? size_of(s->data_dir.text) : 0;
    if (statvfs(s->data_dir.text, &vfs) == 0) {
        look.disk_free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    }
    *ret = look;
}

bool gal_dir_is_empty(const struct gal_settings *s)
{
    struct pg_path path;
    bool is_half_made =
        pg_path_join(s->state_dir.text, MAKING, &path) == 0 && pg_file_exists(path.text);
    return is_half_made || pg_dir_is_empty(s->data_dir.text);
}

/* --- jobs --- */

static int check_stopped(struct gal_job *job)
{
    if (is_locked(job->settings)) {
        return fail(job, BASE_E_STATE, "a server still has %s open", job->settings->data_dir.text);
    }
    if (job->lock_fd >= 0 && flock(job->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return fail(job, BASE_E_BUSY, "a helper program of an earlier agent still works in %s",
                    job->settings->data_dir.text);
    }
    return 0;
}

static int write_conf(struct gal_job *job, const struct db_galera_order *start)
{
    char *memory = malloc(CONF_MAX);
    if (memory == NULL) {
        return fail(job, BASE_E_NOMEM, "not enough memory");
    }
    struct buf b = buf_over(memory, CONF_MAX);
    gal_conf_put(job->settings, start, &b);
    int status =
        b.is_full ? BASE_E_TOOBIG : pg_file_write(job->settings->conf.text, buf_slice(&b), 0600);
    explicit_bzero(memory, CONF_MAX);
    free(memory);
    return status == 0 ? 0
                       : fail(job, status, "cannot write %s: %s", job->settings->conf.text,
                              base_error_text(status));
}

static int move_aside(struct gal_job *job, const char *name)
{
    struct pg_path from;
    struct pg_path to;
    if (!path_of(job->settings, name, &from) || pg_path_suffix(from.text, KEPT, &to) != 0) {
        return fail(job, BASE_E_TOOBIG, "the path of %s is too long", name);
    }
    if (!pg_file_exists(from.text)) {
        return 0;
    }
    int status = pg_file_rename(from.text, to.text);
    return status == 0
               ? 0
               : fail(job, status, "cannot move %s aside: %s", from.text, base_error_text(status));
}

/* The server refuses to form a component without the flag, whatever it is told. */
static int set_safe(struct gal_job *job)
{
    char text[512];
    struct gal_look look = {0};
    struct pg_path path;
    look_grastate(job->settings, &look);
    if (!exists(job->settings, "grastate.dat")) {
        return 0;
    }
    struct gal_grastate state = {.position = look.saved, .is_safe_to_bootstrap = true};
    struct buf b = buf_over(text, sizeof(text));
    gal_grastate_put(&state, &b);
    int status = path_of(job->settings, "grastate.dat", &path)
                     ? pg_file_write(path.text, buf_slice(&b), 0660)
                     : BASE_E_TOOBIG;
    return status == 0
               ? 0
               : fail(job, status, "cannot write grastate.dat: %s", base_error_text(status));
}

static int prepare(struct gal_job *job)
{
    const struct db_galera_order *start = &job->order.galera;
    struct gal_look look;
    gal_dir_look(job->settings, false, &look);
    bool is_sst = start->mode == DB_GALERA_SST;
    if (start->mode == DB_GALERA_JOIN && (!look.has_directory || start->position.seqno < 0 ||
                                          gal_uuid_is_nil(start->position.uuid))) {
        return fail(job, BASE_E_STATE, "no position of its own to join with");
    }
    int status = check_stopped(job);
    status = status != 0 ? status : move_aside(job, "gvwstate.dat");
    status = status != 0 || !is_sst ? status : move_aside(job, "grastate.dat");
    status = status != 0 || start->mode != DB_GALERA_BOOTSTRAP ? status : set_safe(job);
    return status != 0 ? status : write_conf(job, start);
}

static int clear(struct gal_job *job)
{
    int status = check_stopped(job);
    status = status != 0 ? status : move_aside(job, "grastate.dat");
    return status != 0 ? status : move_aside(job, "gvwstate.dat");
}

static void recovered_line(void *ctx, const char *line)
{
    struct gal_job *job = ctx;
    (void)gal_recovered_parse(slice_from_text(line), &job->position);
    gal_damage_note(&job->damage, slice_from_text(line));
}

static int run_child(struct gal_job *job, const char *const *argv, int64_t limit_us,
                     const char *what)
{
    struct pg_child_result *result = calloc(1, sizeof(*result));
    if (result == NULL) {
        return fail(job, BASE_E_NOMEM, "not enough memory");
    }
    const struct pg_child child = {.argv = argv,
                                   .deadline = base_mono_add_us(pg_now(), limit_us),
                                   .cancel_fd = job->cancel_fd,
                                   .lock_fd = job->lock_fd,
                                   .line = recovered_line,
                                   .ctx = job};
    int status = pg_child_run(&child, result);
    if (status == BASE_E_STATE) {
        struct base_text reason;
        pg_child_reason(result, &reason);
        status = fail(job, status, "%s: %.180s", what, reason.text);
    } else if (status != 0) {
        status = fail(job, status, "%s: %s", what,
                      status == BASE_E_TIMEOUT ? "took too long" : base_error_text(status));
    }
    free(result);
    return status;
}

/* A whole crash recovery of InnoDB, with nobody able to connect but over a socket of its own. */
static int recover(struct gal_job *job)
{
    const struct gal_settings *s = job->settings;
    struct gal_look look;
    char defaults[PG_PATH_MAX + 32];
    char socket[PG_PATH_MAX + 32];
    char pid[PG_PATH_MAX + 32];
    gal_dir_look(s, true, &look);
    int status = check_stopped(job);
    if (status != 0) {
        return status;
    }
    if (!look.has_directory) {
        return fail(job, BASE_E_NOTFOUND, "%s holds no database", s->data_dir.text);
    }
    status =
        write_conf(job, &(struct db_galera_order){.mode = DB_GALERA_JOIN, .position = {{0}, -1}});
    if (status != 0) {
        return status;
    }
    (void)snprintf(defaults, sizeof(defaults), "--defaults-file=%s", s->conf.text);
    (void)snprintf(socket, sizeof(socket), "--socket=%s.recover", s->socket.text);
    (void)snprintf(pid, sizeof(pid), "--pid-file=%s.recover", s->pid_file.text);
    const char *argv[] = {
        s->server.text,        defaults, socket, pid, "--wsrep-recover", "--skip-networking",
        "--disable-log-error", NULL};
    int64_t limit_us =
        RECOVER_BASE_US + (int64_t)(look.data_bytes / RECOVER_BYTES_PER_S) * BASE_US_PER_S;
    job->position = (struct msg_galera_position){{0}, -2};
    status = run_child(job, argv, limit_us, "mariadbd --wsrep-recover");
    if (status == BASE_E_STATE && gal_is_damaged(&job->damage)) {
        return fail(job, BASE_E_CORRUPT, "mariadbd --wsrep-recover: InnoDB: %.180s",
                    job->damage.first.text);
    }
    if (status == 0 && job->position.seqno < -1) {
        return fail(job, BASE_E_PROTO, "mariadbd --wsrep-recover printed no position");
    }
    return status;
}

static int sync_all(struct gal_job *job)
{
    int fd = open(job->settings->data_dir.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = fd >= 0 && syncfs(fd) == 0 ? 0 : pg_errno_code(errno);
    if (fd >= 0) {
        (void)close(fd);
    }
    return status;
}

static int make(struct gal_job *job)
{
    const struct gal_settings *s = job->settings;
    struct pg_path mark;
    char program[PG_PATH_MAX + 32];
    char defaults[PG_PATH_MAX + 32];
    char user[96];
    if (!gal_dir_is_empty(s)) {
        return fail(job, BASE_E_STATE, "%s is not empty", s->data_dir.text);
    }
    int status = check_stopped(job);
    status = status != 0 ? status : pg_path_join(s->state_dir.text, MAKING, &mark);
    status =
        status != 0 ? status : pg_file_write(mark.text, SLICE_LIT("mariadb-install-db\n"), 0600);
    status = status != 0 ? status : pg_dir_remove(s->data_dir.text, true);
    status = status != 0 ? status : write_conf(job, NULL);
    if (status != 0) {
        return job->text.text[0] != '\0' ? status
                                         : fail(job, status, "cannot prepare %s: %s",
                                                s->data_dir.text, base_error_text(status));
    }
    (void)snprintf(program, sizeof(program), "%s/mariadb-install-db", s->tools_dir.text);
    (void)snprintf(defaults, sizeof(defaults), "--defaults-file=%s", s->conf.text);
    (void)snprintf(user, sizeof(user), "--auth-root-socket-user=%s", s->os_user);
    const char *argv[] = {program, defaults,         "--auth-root-authentication-method=socket",
                          user,    "--skip-test-db", "--wsrep-on=OFF",
                          NULL};
    status = run_child(job, argv, INIT_LIMIT_US, "mariadb-install-db");
    status = status != 0 ? status : sync_all(job);
    return status != 0 ? status : pg_file_remove(mark.text);
}

void gal_dir_run(struct gal_job *job)
{
    memset(&job->text, 0, sizeof(job->text));
    if (job->order.kind == DB_ORDER_INIT) {
        job->status = make(job);
    } else if (job->order.kind == DB_ORDER_GALERA_RECOVER) {
        job->status = recover(job);
    } else if (job->order.kind == DB_ORDER_GALERA_PREPARE) {
        job->status = prepare(job);
    } else if (job->order.kind == DB_ORDER_GALERA_CLEAR) {
        job->status = clear(job);
    } else {
        job->status = fail(job, BASE_E_UNSUPPORTED, "unknown order %d", (int)job->order.kind);
    }
    if (job->status != 0 && job->text.text[0] == '\0') {
        (void)fail(job, job->status, "%s", base_error_text(job->status));
    }
}
