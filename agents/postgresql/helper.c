/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that an order runs: the server's own tools, which show how far they are, and commands of
 * the user's, which are told member, cluster and directory. All are bounded in time, ended when the
 * order is, and hold the lock that tells the next agent that something still works in the
 * directory. Worker thread only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/postgresql/db_internal.h"
#include "base/assert.h"
#include "base/name.h"

/* "  1234/5678 kB (21%), 0/1 tablespace": the tools' word on how far they are. */
static bool progress_of(const char *line, uint64_t *ret_done, uint64_t *ret_total)
{
    static const char digits[] = "0123456789";
    const char *done = line + strspn(line, " ");
    size_t done_len = strspn(done, digits);
    if (done_len == 0 || done[done_len] != '/') {
        return false;
    }
    const char *total = done + done_len + 1;
    size_t total_len = strspn(total, digits);
    return strncmp(total + total_len, " kB", 3) == 0 &&
           slice_to_u64(slice_from(done, done_len), ret_done) == 0 &&
           slice_to_u64(slice_from(total, total_len), ret_total) == 0;
}

static void note_progress(struct pg_run *run, const char *line)
{
    uint64_t done = 0;
    uint64_t total = 0;
    if (progress_of(line, &done, &total)) {
        pthread_mutex_lock(&run->db->lock);
        run->db->work_done_bytes = done * 1024;
        run->db->work_total_bytes = total * 1024;
        pthread_mutex_unlock(&run->db->lock);
    }
}

static void note_line(void *ctx, const char *line)
{
    struct pg_run *run = ctx;
    note_progress(run, line);
    if (run->watched != NULL && strstr(line, run->watched) != NULL) {
        run->is_watched_seen = true;
    }
    pg_run_note(run, line);
}

int pg_run_helper(struct pg_run *run, const char **argv, struct slice input,
                  struct pg_child_result *result)
{
    struct pg_path program;
    const char *name = argv[0];
    int status = pg_path_join(run->settings->bin_dir.text, name, &program);
    if (status != 0) {
        return pg_run_fail(run, status, "the path of %s is too long", name);
    }
    argv[0] = program.text;
    struct pg_child child = {.argv = argv,
                             .input = input,
                             .deadline = run->deadline,
                             .cancel_fd = run->db->cancel_fd,
                             .lock_fd = run->db->lock_fd,
                             .line = note_line,
                             .ctx = run};
    status = pg_child_run(&child, result);
    if (status == BASE_E_STATE) {
        struct base_text reason;
        pg_child_reason(result, &reason);
        return pg_run_fail(run, status, "%s: %.200s", name, reason.text);
    }
    if (status != 0) {
        return pg_run_fail(run, status, "%s: %s", name, base_error_text(status));
    }
    return 0;
}

/* The order's fixed part of what a command of the user's is told. */
static size_t command_environment(struct pg_run *run, const struct pg_run_command *c,
                                  char text[4][PG_PATH_MAX + 32], const char **env)
{
    const char *home = getenv("HOME");
    (void)snprintf(text[0], sizeof(text[0]), "QUORATE_CLUSTER=%s", run->settings->cluster.text);
    (void)snprintf(text[1], sizeof(text[1]), "QUORATE_MEMBER=%s", run->settings->member.text);
    (void)snprintf(text[2], sizeof(text[2]), "QUORATE_DATA_DIR=%s", c->directory);
    (void)snprintf(text[3], sizeof(text[3]), "HOME=%.512s", home == NULL ? "/" : home);
    size_t count = 0;
    for (; count < 4; count++) {
        env[count] = text[count];
    }
    for (size_t i = 0; c->environment != NULL && c->environment[i] != NULL; i++) {
        BASE_ASSERT(count < PG_CHILD_ENVIRONMENT_MAX);
        env[count++] = c->environment[i];
    }
    return count;
}

int pg_run_command(struct pg_run *run, const struct pg_run_command *c)
{
    static const char frame[] = "[ ! -d \"$QUORATE_DATA_DIR\" ] || cd \"$QUORATE_DATA_DIR\" || "
                                "exit 1; command=$1; shift; eval \"$command\"";
    char text[4][PG_PATH_MAX + 32];
    const char *env[PG_CHILD_ENVIRONMENT_MAX + 1] = {NULL};
    struct pg_child_result result;
    const char *argv[] = {"/bin/sh", "-c", frame, "quorate", c->text, NULL};
    (void)command_environment(run, c, text, env);
    struct base_mono deadline = run->deadline;
    if (c->limit_us > 0) {
        deadline = base_mono_min(deadline, base_mono_add_us(pg_now(), c->limit_us));
    }
    struct pg_child child = {.argv = argv,
                             .environment = env,
                             .deadline = deadline,
                             .cancel_fd = run->db->cancel_fd,
                             .lock_fd = run->db->lock_fd,
                             .line = note_line,
                             .ctx = run};
    pg_run_note(run, c->what);
    int status = pg_child_run(&child, &result);
    if (status == BASE_E_STATE) {
        struct base_text reason;
        pg_child_reason(&result, &reason);
        return pg_run_fail(run, status, "%s: %.180s", c->what, reason.text);
    }
    return status == 0
               ? 0
               : pg_run_fail(run, status, "%s: %s", c->what,
                             status == BASE_E_TIMEOUT ? "took too long" : base_error_text(status));
}

int pg_run_setting(struct pg_run *run, const char *dir, const char *name, char *memory, size_t cap)
{
    struct pg_child_result result;
    const char *argv[] = {"postgres", "-D", dir, "-C", name, NULL};
    int status = pg_run_helper(run, argv, SLICE_EMPTY, &result);
    if (status != 0) {
        return status;
    }
    size_t len = strcspn(result.head, "\n");
    if (len >= cap) {
        return pg_run_fail(run, BASE_E_TOOBIG, "setting %s is too long", name);
    }
    memcpy(memory, result.head, len);
    memory[len] = '\0';
    return 0;
}
