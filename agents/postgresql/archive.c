/* SPDX-License-Identifier: Apache-2.0 */
/* A failover must leave no gap in the archive.
 *
 * WAL that a primary had finished and not archived yet is archived by nobody else: its standbys
 * take what they have received for archived. So before the directory of a former primary loses its
 * WAL (rewind, clone), and while it serves as a standby, what waits there is archived by us with
 * the server's own archive_command: never what lies beyond the point where the new history left the
 * old one, since nobody will read that. What cannot be archived now is kept beside the data
 * directory and tried again. A command that hangs costs a bounded time and never stands in the way
 * of a rejoin. Worker thread only. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/postgresql/db_internal.h"
#include "base/name.h"

#define FILES_MAX 256 /* looked at in one go; the rest comes in the next */
#define NAME_BYTES 64
#define ONE_LIMIT_US (20 * BASE_US_PER_S)
#define ALL_LIMIT_US (60 * BASE_US_PER_S)
#define LOOK_US (2 * BASE_US_PER_S)
#define RETRY_US (30 * BASE_US_PER_S)
#define KEPT_DIR "unarchived" /* below the state directory */
#define HISTORY_BYTES_MAX 8192u
#define READY ".ready"

/* How the server archives. */
struct archiver {
    bool is_on; /* and not "always": then the standby's own server does it */
    char command[PG_COMMAND_MAX];
    uint32_t segment_bytes;
};

struct waiting {
    size_t count;
    char names[FILES_MAX][NAME_BYTES]; /* without .ready; in order */
};

/* --- what waits --- */

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Names in `dir` that end with `suffix`. */
static void list(const char *dir, const char *suffix, struct waiting *ret)
{
    size_t suffix_len = strlen(suffix);
    DIR *d = opendir(dir);
    ret->count = 0;
    if (d == NULL) {
        return;
    }
    for (struct dirent *e = readdir(d); e != NULL && ret->count < FILES_MAX; e = readdir(d)) {
        size_t len = strlen(e->d_name);
        if (len > suffix_len && len - suffix_len < NAME_BYTES && e->d_name[0] != '.' &&
            strcmp(e->d_name + len - suffix_len, suffix) == 0) {
            (void)snprintf(ret->names[ret->count++], NAME_BYTES, "%.*s", (int)(len - suffix_len),
                           e->d_name);
        }
    }
    closedir(d);
    qsort(ret->names, ret->count, sizeof(ret->names[0]), by_name);
}

static int status_dir(const char *data_dir, struct pg_path *ret)
{
    return pg_path_join(data_dir, "pg_wal/archive_status", ret);
}

static bool has_ready(const char *data_dir)
{
    struct pg_path path;
    DIR *d = status_dir(data_dir, &path) == 0 ? opendir(path.text) : NULL;
    bool is_there = false;
    if (d == NULL) {
        return false;
    }
    for (struct dirent *e = readdir(d); e != NULL && !is_there; e = readdir(d)) {
        size_t len = strlen(e->d_name);
        is_there =
            len > sizeof(READY) - 1 && strcmp(e->d_name + len - (sizeof(READY) - 1), READY) == 0;
    }
    closedir(d);
    return is_there;
}

static int kept_dir(const struct pg_settings *settings, struct pg_path *ret)
{
    return pg_path_join(settings->state_dir.text, KEPT_DIR, ret);
}

bool pg_archive_is_waiting(const struct pg_settings *settings)
{
    struct pg_path kept;
    return has_ready(settings->data_dir.text) ||
           (kept_dir(settings, &kept) == 0 && !pg_dir_is_empty(kept.text));
}

/* Timeline numbers prove nothing: the timeline of the file must have come to be here as it did
 * there. A history file begins with all of its parent's. */
static bool is_same_line(const char *data_dir, const char *name, struct slice history)
{
    char own[HISTORY_BYTES_MAX];
    uint32_t timeline = 0;
    size_t len = 0;
    if (pg_wal_file_timeline(name, &timeline) != 0) {
        return false;
    }
    int status = timeline <= 1 ? BASE_E_NOTFOUND
                               : pg_history_read(data_dir, timeline, own, sizeof(own), &len);
    return status == 0 ? slice_has_prefix(history, slice_from(own, len)) : timeline == 1;
}

/* --- the server's command --- */

/* %p, %f and %% as the server puts them in. TOOBIG. */
int pg_archive_expand(const char *command, const char *path, const char *name, struct buf *b)
{
    for (const char *c = command; *c != '\0'; c++) {
        if (*c != '%') {
            buf_put_u8(b, (uint8_t)*c);
            continue;
        }
        c++;
        if (*c == 'p') {
            buf_put_text(b, path);
        } else if (*c == 'f') {
            buf_put_text(b, name);
        } else {
            buf_put_u8(b, '%');
            c -= *c != '%';
        }
    }
    return !buf_terminate(b) || b->is_full ? BASE_E_TOOBIG : 0;
}

static int archive_one(struct pg_run *run, const struct archiver *a, const char *path,
                       const char *name)
{
    char text[2 * PG_COMMAND_MAX];
    char what[NAME_BYTES + 32];
    struct buf b = buf_over(text, sizeof(text));
    if (a->command[0] == '\0') {
        return BASE_E_NOTFOUND;
    }
    int status = pg_archive_expand(a->command, path, name, &b);
    (void)snprintf(what, sizeof(what), "archive_command for %s", name);
    const struct pg_run_command command = {
        .what = what, .text = text, .limit_us = ONE_LIMIT_US, .directory = run->data_dir};
    return status != 0 ? status : pg_run_command(run, &command);
}

/* --- a directory at rest --- */

static int read_archiver(struct pg_run *run, struct archiver *ret)
{
    char mode[16];
    struct pg_control control;
    struct base_mono deadline = base_mono_add_us(pg_now(), PG_RUN_CHECK_LIMIT_US);
    int status = pg_run_setting(run, run->data_dir, "archive_mode", mode, sizeof(mode));
    if (status == 0) {
        status = pg_run_setting(run, run->data_dir, "archive_command", ret->command,
                                sizeof(ret->command));
    }
    if (status == 0) {
        status =
            pg_control_read(run->settings, run->data_dir, deadline, run->db->cancel_fd, &control);
    }
    ret->is_on = status == 0 && strcmp(mode, "off") != 0;
    ret->segment_bytes = status == 0 ? control.segment_bytes : 0;
    return status;
}

/* By a second name where that can be, else copied: the original is about to go. */
static int keep(struct pg_run *run, const char *path, const char *name)
{
    struct pg_path dir;
    struct pg_path target;
    int status = kept_dir(run->settings, &dir);
    if (status == 0 && mkdir(dir.text, 0700) != 0 && errno != EEXIST) {
        status = pg_errno_code(errno);
    }
    status = status != 0 ? status : pg_path_join(dir.text, name, &target);
    if (status != 0) {
        return status;
    }
    if (link(path, target.text) == 0 || errno == EEXIST) {
        return pg_dir_sync(dir.text);
    }
    return pg_file_copy(path, target.text, 0600);
}

static int mark_done(const struct pg_path *dir, const char *name)
{
    struct pg_path ready;
    struct pg_path done;
    char text[NAME_BYTES + 8];
    (void)snprintf(text, sizeof(text), "%s" READY, name);
    int status = pg_path_join(dir->text, text, &ready);
    (void)snprintf(text, sizeof(text), "%s.done", name);
    status = status != 0 ? status : pg_path_join(dir->text, text, &done);
    return status != 0 ? status : pg_file_rename(ready.text, done.text);
}

/* 0: archived. TIMEOUT: the command hangs. Else kept, as far as that goes. */
static int save_one(struct pg_run *run, const struct archiver *a, const struct pg_path *marks,
                    const char *name)
{
    struct pg_path path;
    char inner[NAME_BYTES + 8];
    (void)snprintf(inner, sizeof(inner), "pg_wal/%s", name);
    if (pg_path_join(run->data_dir, inner, &path) != 0 || !pg_file_exists(path.text)) {
        return BASE_E_NOTFOUND;
    }
    int status = a->is_on ? archive_one(run, a, path.text, name) : BASE_E_STATE;
    if (status == 0) {
        return mark_done(marks, name);
    }
    int kept = keep(run, path.text, name);
    pg_run_log(run, "%s waits for the archiver and %s: %.120s", name,
               kept == 0 ? "is kept in state_dir/" KEPT_DIR : "cannot be kept", run->text.text);
    return status;
}

static void save_all(struct pg_run *run, const struct archiver *a, const struct pg_path *marks,
                     const struct waiting *w, struct slice history)
{
    struct archiver usable = *a;
    unsigned done = 0;
    for (size_t i = 0; i < w->count; i++) {
        if (!pg_history_holds_file(history, w->names[i], a->segment_bytes) ||
            !is_same_line(run->data_dir, w->names[i], history)) {
            continue;
        }
        int status = save_one(run, &usable, marks, w->names[i]);
        done += status == 0;
        /* One that is refused (it may be there already) says nothing of the others; one that hangs
         * does. */
        usable.is_on = usable.is_on && status != BASE_E_TIMEOUT && status != BASE_E_CANCELED;
    }
    if (done > 0) {
        pg_run_log(run, "archived %u files of WAL that a former primary had left to be archived",
                   done);
    }
}

void pg_archive_before_loss(struct pg_run *run, struct slice history)
{
    struct archiver *a = calloc(1, sizeof(*a));
    struct waiting *w = calloc(1, sizeof(*w));
    struct pg_path marks;
    struct base_mono deadline = run->deadline;
    if (a != NULL && w != NULL && status_dir(run->data_dir, &marks) == 0) {
        list(marks.text, READY, w);
    }
    if (w != NULL && w->count > 0) {
        run->deadline = base_mono_min(deadline, base_mono_add_us(pg_now(), ALL_LIMIT_US));
        if (read_archiver(run, a) == 0) {
            save_all(run, a, &marks, w, history);
        } else {
            pg_run_log(run, "WAL waits for the archiver, but how is not known: %.120s",
                       run->text.text);
        }
        run->deadline = deadline;
    }
    memset(&run->text, 0, sizeof(run->text));
    free(a);
    free(w);
}

void pg_archive_forget(const char *data_dir)
{
    struct pg_path marks;
    if (status_dir(data_dir, &marks) == 0) {
        (void)!pg_dir_remove_prefixed(marks.text, "");
    }
}

/* --- a standby that runs --- */

static bool is_due(struct pg_db *db)
{
    if (base_mono_before(pg_now(), db->archive_at)) {
        return false;
    }
    pthread_mutex_lock(&db->lock);
    bool is_standby = db->is_answering && db->guard.tree == GUARD_TREE_RUNNING && db->is_standby;
    pthread_mutex_unlock(&db->lock);
    return is_standby;
}

static int ask_archiver(struct pg_run *run, struct archiver *ret)
{
    static const char text[] =
        "SELECT current_setting('archive_mode') = 'on', current_setting('archive_command'),"
        " pg_size_bytes(current_setting('wal_segment_size'))";
    struct pg_sql_rows rows;
    int status = pg_run_query(run, text, &rows);
    if (status != 0) {
        return status;
    }
    ret->is_on = pg_sql_bool(rows.results[0], 0, 0);
    (void)snprintf(ret->command, sizeof(ret->command), "%s", pg_sql_text(rows.results[0], 0, 1));
    ret->segment_bytes = (uint32_t)pg_sql_u64(rows.results[0], 0, 2);
    pg_sql_free(&rows);
    return 0;
}

/* Those of the list in `dir`, one after the other, each then marked or removed. The first failure
 * comes back; only what hangs ends the round. */
static int keep_up_with(struct pg_run *run, const struct archiver *a, const struct waiting *w,
                        const struct pg_path *dir, const struct pg_path *marks)
{
    int failure = 0;
    for (size_t i = 0; i < w->count; i++) {
        struct pg_path path;
        int status = pg_path_join(dir->text, w->names[i], &path);
        if (status == 0 && !pg_file_exists(path.text)) {
            continue;
        }
        status = status != 0 ? status : archive_one(run, a, path.text, w->names[i]);
        if (status == 0) {
            status = marks == NULL ? pg_file_remove(path.text) : mark_done(marks, w->names[i]);
        }
        failure = failure != 0 ? failure : status;
        if (status == BASE_E_TIMEOUT || status == BASE_E_CANCELED) {
            break;
        }
    }
    return failure;
}

/* Those whose marks are in the directory, then those kept of an earlier one. */
static int keep_up(struct pg_run *run, const struct archiver *a, struct waiting *w)
{
    struct pg_path wal;
    struct pg_path marks;
    struct pg_path kept;
    int status = pg_path_join(run->data_dir, "pg_wal", &wal);
    status = status != 0 ? status : status_dir(run->data_dir, &marks);
    status = status != 0 ? status : kept_dir(run->settings, &kept);
    if (status == 0) {
        list(marks.text, READY, w);
        status = keep_up_with(run, a, w, &wal, &marks);
    }
    if (status != BASE_E_TIMEOUT && status != BASE_E_CANCELED) {
        list(kept.text, "", w);
        int failure = keep_up_with(run, a, w, &kept, NULL);
        status = status != 0 ? status : failure;
    }
    return status;
}

void pg_archive_keep(struct pg_db *db, struct pg_sql *session)
{
    if (!is_due(db)) {
        return;
    }
    db->archive_at = base_mono_add_us(pg_now(), LOOK_US);
    if (!pg_archive_is_waiting(db->settings)) {
        return;
    }
    struct pg_run run = {.db = db,
                         .settings = db->settings,
                         .data_dir = db->settings->data_dir.text,
                         .session = session,
                         .deadline = base_mono_add_us(pg_now(), ALL_LIMIT_US)};
    struct archiver *a = calloc(1, sizeof(*a));
    struct waiting *w = calloc(1, sizeof(*w));
    if (a != NULL && w != NULL && ask_archiver(&run, a) == 0 && a->is_on) {
        int status = keep_up(&run, a, w);
        if (status != 0 && status != BASE_E_CANCELED) {
            db->archive_at = base_mono_add_us(pg_now(), RETRY_US);
            pg_run_log(&run, "WAL of a former primary waits for the archiver: %.120s",
                       run.text.text);
        }
    }
    free(a);
    free(w);
    pg_run_note(&run, "");
}

/* --- numbers passed over --- */

void pg_archive_passed_over(const char *data_dir, uint32_t from, uint32_t to)
{
    for (uint32_t t = from; t < to; t++) {
        struct pg_path path;
        char name[64];
        (void)snprintf(name, sizeof(name), "pg_wal/archive_status/%08X.history" READY, t);
        int fd = pg_path_join(data_dir, name, &path) == 0
                     ? open(path.text, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)
                     : -1;
        if (fd >= 0) {
            close(fd);
        }
    }
}
