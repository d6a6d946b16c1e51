/* SPDX-License-Identifier: Apache-2.0 */
/* Taking over a database that was there before: see adopt.h. */
#include "agents/postgresql/adopt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/postgresql/conf.h"
#include "agents/postgresql/layout.h"
#include "agents/postgresql/process.h"
#include "agents/postgresql/roles.h"
#include "agents/shell/child.h"
#include "base/name.h"

#define RECOVERY_US (3600 * BASE_US_PER_S) /* the server's own crash recovery */
#define PID_BYTES_MAX 4096

static int why_set(struct base_text *ret, int status, const char *what, const char *detail)
{
    char text[BASE_TEXT_MAX];
    (void)snprintf(text, sizeof(text), "%.80s: %.160s", what, detail);
    *ret = base_text_from(slice_from_text(text));
    return status;
}

static bool is_there(const struct pg_settings *settings, const char *name)
{
    struct pg_path path;
    return pg_path_join(settings->data_dir.text, name, &path) == 0 && pg_file_exists(path.text);
}

bool pg_adopt_is_wanted(const struct pg_settings *settings)
{
    return is_there(settings, "global/pg_control") && !is_there(settings, "quorate.conf") &&
           !is_there(settings, PG_UNUSABLE_FILE);
}

int pg_adopt_check_version(const struct pg_settings *settings, struct base_text *ret_why)
{
    struct pg_path path;
    char text[32];
    size_t len = 0;
    uint64_t major = 0;
    int status = pg_path_join(settings->data_dir.text, "PG_VERSION", &path);
    status = status != 0 ? status : pg_file_read(path.text, text, sizeof(text), &len);
    if (status == 0) {
        status = slice_to_u64(slice_from(text, strspn(text, "0123456789")), &major);
    }
    if (status != 0 || major != pg_layout_version(settings)) {
        (void)snprintf(text, sizeof(text), "PG_VERSION %llu", (unsigned long long)major);
        return why_set(ret_why, BASE_E_UNSUPPORTED,
                       "the directory is of another version than postgresql.bin_dir", text);
    }
    return 0;
}

/* A standby gets its roles by replication, and the single-user server would not start in it. */
static int make_roles(const struct pg_settings *settings, struct base_text *ret_why)
{
    struct pg_path config = {""};
    struct pg_roles_run run = {.settings = settings,
                               .dir = settings->data_dir.text,
                               .deadline = base_mono_add_us(pg_now(), RECOVERY_US),
                               .cancel_fd = -1,
                               .lock_fd = -1};
    if (is_there(settings, "standby.signal") || is_there(settings, "recovery.signal")) {
        return 0;
    }
    if (pg_layout_user_file(settings, "postgresql.conf", &config) == 0) {
        run.config_file = config.text;
    }
    return pg_roles_make(&run, ret_why);
}

int pg_adopt_stopped(const struct pg_settings *settings, struct base_text *ret_why)
{
    const char *dir = settings->data_dir.text;
    struct pg_conf conf;
    memset(&conf, 0, sizeof(conf));
    int status = pg_adopt_check_version(settings, ret_why);
    status = status != 0 ? status : make_roles(settings, ret_why);
    if (status != 0) {
        return status;
    }
    status = pg_conf_install(settings, dir, false);
    /* Last of all: with it the directory is ours. */
    status = status != 0 ? status : pg_conf_write(settings, dir, &conf);
    return status == 0 ? 0 : why_set(ret_why, status, dir, base_error_text(status));
}

/* --- one that runs --- */

/* Line `number` (from 1) of a text; false when there is none. */
static bool line_of(const char *text, unsigned number, char *memory, size_t cap)
{
    for (unsigned i = 1; i < number; i++) {
        text = strchr(text, '\n');
        if (text == NULL) {
            return false;
        }
        text++;
    }
    size_t len = strcspn(text, "\n");
    if (len >= cap) {
        return false;
    }
    memcpy(memory, text, len);
    memory[len] = '\0';
    return true;
}

/* Lines: pid, directory, start time, port, socket directory, address, shared memory, status. */
int pg_adopt_parse(const char *text, struct pg_adoptee *ret)
{
    struct pg_adoptee a;
    char number[32];
    char status[32] = "";
    uint64_t pid = 0;
    uint64_t port = 0;
    memset(&a, 0, sizeof(a));
    if (!line_of(text, 1, number, sizeof(number)) ||
        slice_to_u64(slice_from_text(number), &pid) != 0 || pid == 0 || pid > INT32_MAX ||
        !line_of(text, 4, number, sizeof(number)) ||
        slice_to_u64(slice_from_text(number), &port) != 0 || port == 0 || port > UINT16_MAX ||
        !line_of(text, 5, a.socket_dir.text, sizeof(a.socket_dir.text))) {
        return BASE_E_CORRUPT;
    }
    a.pid = (int32_t)pid;
    a.port = (uint16_t)port;
    a.is_ready = line_of(text, 8, status, sizeof(status)) &&
                 (strncmp(status, "ready", 5) == 0 || strncmp(status, "standby", 7) == 0);
    *ret = a;
    return 0;
}

int pg_adopt_find(const struct pg_settings *settings, struct pg_adoptee *ret)
{
    struct pg_processes *found = malloc(sizeof(*found));
    struct pg_path path;
    struct pg_adoptee a;
    struct stat st;
    char text[PID_BYTES_MAX];
    size_t len = 0;
    int status = found == NULL ? BASE_E_NOMEM : pg_processes_find(settings->data_dir.text, found);
    if (status == 0 && found->postmaster == 0) {
        status = BASE_E_NOTFOUND;
    }
    status = status != 0 ? status : pg_path_join(settings->data_dir.text, "postmaster.pid", &path);
    status = status != 0 ? status : pg_file_read(path.text, text, sizeof(text), &len);
    status = status != 0 ? status : pg_adopt_parse(text, &a);
    if (status == 0 && a.pid != found->postmaster) {
        status = BASE_E_NOTFOUND;
    }
    if (status == 0) {
        (void)snprintf(path.text, sizeof(path.text), "/proc/%d", a.pid);
        status = stat(path.text, &st) != 0 ? BASE_E_NOTFOUND
                 : st.st_uid != geteuid()  ? BASE_E_DENIED
                                           : 0;
        a.is_ours = found->is_ours;
    }
    if (status == 0) {
        *ret = a;
    }
    free(found);
    return status;
}
