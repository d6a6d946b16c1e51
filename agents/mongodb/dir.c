/* SPDX-License-Identifier: Apache-2.0 */
/* See dir.h. */
#include "agents/mongodb/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "agents/mongodb/conf.h"
#include "base/name.h"

#define CONF_BYTES 65536
#define PEM_BYTES 65536
#define SMALL_FILE 256
#define FILES_MAX 20000 /* that are looked at for their size */

static int say(struct base_text *ret, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int say(struct base_text *ret, int status, const char *format, ...)
{
    char text[BASE_TEXT_MAX + 1];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    *ret = base_text_from(slice_from_text(text));
    return status;
}

/* --- looking --- */

static bool exists(const struct mdb_settings *s, const char *name)
{
    struct pg_path path;
    return pg_path_join(s->data_dir.text, name, &path) == 0 && pg_file_exists(path.text);
}

/* A process of that number that is a mongod (or stands in for one), not another program that has
 * the number after a reboot. */
static bool is_mongod(unsigned long pid)
{
    char path[64];
    char program[PG_PATH_MAX];
    (void)snprintf(path, sizeof(path), "/proc/%lu/exe", pid);
    ssize_t len = readlink(path, program, sizeof(program) - 1);
    if (len <= 0) {
        return false;
    }
    program[len] = '\0';
    const char *slash = strrchr(program, '/');
    return strncmp(slash == NULL ? program : slash + 1, "mongo", 5) == 0;
}

static bool is_pid_alive(const char *path)
{
    char text[SMALL_FILE];
    size_t len = 0;
    if (pg_file_read(path, text, sizeof(text), &len) != 0) {
        return false;
    }
    unsigned long pid = strtoul(text, NULL, 10);
    return pid > 1 && is_mongod(pid);
}

/* A mongod writes its number into mongod.lock and empties it when it ends in order. */
static bool is_held(const struct mdb_settings *s)
{
    struct pg_path path;
    if (s->pid_file.text[0] != '\0' && is_pid_alive(s->pid_file.text)) {
        return true;
    }
    return s->data_dir.text[0] != '\0' &&
           pg_path_join(s->data_dir.text, "mongod.lock", &path) == 0 && is_pid_alive(path.text);
}

static void count_bson(void *count, const char *name, const struct stat *st)
{
    size_t len = strlen(name);
    (void)st;
    *(uint32_t *)count += len > 5 && strcmp(name + len - 5, ".bson") == 0;
}

/* What it takes on the disk. */
static void add_size(void *bytes, const char *name, const struct stat *st)
{
    (void)name;
    *(uint64_t *)bytes += (uint64_t)st->st_blocks * 512;
}

static int64_t end_of(const ASN1_TIME *time)
{
    struct tm parts;
    return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) * BASE_US_PER_S : 0;
}

static int64_t certificate_end_us(const char *path)
{
    FILE *file = path[0] == '\0' ? NULL : fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    X509 *cert = PEM_read_X509(file, NULL, NULL, NULL);
    int64_t end_us = cert == NULL ? 0 : end_of(X509_get0_notAfter(cert));
    X509_free(cert);
    (void)fclose(file);
    return end_us;
}

void mdb_dir_look(const struct mdb_settings *s, struct mdb_look *ret)
{
    struct mdb_look look = {0};
    struct statvfs vfs;
    struct pg_path path;
    look.is_held = is_held(s);
    look.certificate_end_us = s->is_tls ? certificate_end_us(s->tls_cert.text) : 0;
    if (s->data_dir.text[0] != '\0') {
        look.has_data = exists(s, "storage.bson") || exists(s, "WiredTiger");
        uint32_t left = FILES_MAX;
        pg_tree_walk(s->data_dir.text, 2, &left, add_size, &look.data_bytes);
        left = UINT32_MAX;
        if (pg_path_join(s->data_dir.text, "rollback", &path) == 0) {
            pg_tree_walk(path.text, 2, &left, count_bson, &look.rollback_files);
        }
        if (statvfs(s->data_dir.text, &vfs) == 0) {
            look.disk_free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
        }
    }
    *ret = look;
}

bool mdb_dir_is_empty(const struct mdb_settings *s)
{
    return pg_dir_is_empty(s->data_dir.text);
}

/* --- wiping --- */

/* A directory that is a mount point, or in one that is not ours, cannot be renamed: what is in it
 * goes into a directory beside its files then. */
static int move_inside(const char *from, const char *to)
{
    DIR *dir = opendir(from);
    int status = dir == NULL ? pg_errno_code(errno) : 0;
    if (status == 0 && mkdir(to, 0700) != 0 && errno != EEXIST) {
        status = pg_errno_code(errno);
    }
    const char *kept = strrchr(to, '/') + 1;
    for (const struct dirent *e = status == 0 ? readdir(dir) : NULL; e != NULL && status == 0;
         e = readdir(dir)) {
        struct pg_path old;
        struct pg_path new;
        bool is_left = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                       strcmp(e->d_name, "lost+found") == 0 || strcmp(e->d_name, kept) == 0;
        if (is_left) {
            continue;
        }
        status = pg_path_join(from, e->d_name, &old);
        status = status != 0 ? status : pg_path_join(to, e->d_name, &new);
        if (status == 0 && rename(old.text, new.text) != 0) {
            status = pg_errno_code(errno);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    status = status != 0 ? status : pg_dir_sync(to);
    return status != 0 ? status : pg_dir_sync(from);
}

static int move_aside(const struct mdb_settings *s, struct pg_path *ret_to)
{
    const char *from = s->data_dir.text;
    int status = pg_path_suffix(from, MDB_KEPT, ret_to);
    status = status != 0 ? status : pg_dir_remove(ret_to->text, false);
    if (status == 0 && pg_file_rename(from, ret_to->text) == 0) {
        struct pg_path parent = *ret_to;
        *strrchr(parent.text, '/') = '\0';
        status = mkdir(from, 0700) == 0 ? 0 : pg_errno_code(errno);
        return status != 0 || parent.text[0] == '\0' ? status : pg_dir_sync(parent.text);
    }
    status = status == BASE_E_DENIED ? 0 : status;
    status = status != 0 ? status : pg_path_join(from, MDB_KEPT, ret_to);
    status = status != 0 ? status : pg_dir_remove(ret_to->text, false);
    return status != 0 ? status : move_inside(from, ret_to->text);
}

int mdb_dir_wipe(const struct mdb_settings *s, struct base_text *ret_text)
{
    struct pg_path to;
    if (s->is_watched || s->data_dir.text[0] == '\0') {
        return say(ret_text, BASE_E_UNSUPPORTED,
                   "this mongod is run by somebody else: its data are not touched");
    }
    if (is_held(s)) {
        return say(ret_text, BASE_E_STATE, "a mongod still has %s open", s->data_dir.text);
    }
    int status = move_aside(s, &to);
    return status == 0 ? say(ret_text, 0, "data moved to %.200s", to.text)
                       : say(ret_text, status, "cannot move %.120s aside: %s", s->data_dir.text,
                             base_error_text(status));
}

/* --- files of a start --- */

static int write_conf(const struct mdb_settings *s, char *memory)
{
    struct buf b = buf_over(memory, CONF_BYTES);
    mdb_conf_put(s, &b);
    return b.is_full ? BASE_E_TOOBIG : pg_file_write(s->conf.text, buf_slice(&b), 0600);
}

/* mongod and libmongoc want one file; ours are two. */
static int write_pem(const struct pg_path *cert, const struct pg_path *key,
                     const struct pg_path *to, char *memory)
{
    size_t first = 0;
    size_t second = 0;
    int status = pg_file_read(cert->text, memory, PEM_BYTES / 2, &first);
    status =
        status != 0 ? status : pg_file_read(key->text, memory + first, PEM_BYTES - first, &second);
    return status != 0 ? status : pg_file_write(to->text, slice_from(memory, first + second), 0600);
}

int mdb_dir_prepare(const struct mdb_settings *s, struct base_text *ret_text)
{
    char *memory = malloc(CONF_BYTES);
    if (memory == NULL) {
        return say(ret_text, BASE_E_NOMEM, "not enough memory");
    }
    const char *what = s->conf.text;
    int status = s->is_watched ? 0 : write_conf(s, memory);
    if (status == 0 && s->is_tls && !s->is_watched) {
        what = s->tls_pem.text;
        status = write_pem(&s->tls_cert, &s->tls_key, &s->tls_pem, memory);
    }
    if (status == 0 && s->login_pem.text[0] != '\0') {
        what = s->login_pem.text;
        status = write_pem(&s->login_cert, &s->login_key, &s->login_pem, memory);
    }
    explicit_bzero(memory, CONF_BYTES);
    free(memory);
    return status == 0
               ? 0
               : say(ret_text, status, "cannot write %.180s: %s", what, base_error_text(status));
}
