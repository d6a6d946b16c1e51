/* SPDX-License-Identifier: Apache-2.0 */
/* Fences by a child process; see fence.h. */
#include "arbiter/quorated/fence.h"

#include "base/assert.h"
#include "base/canary.h"
#include "base/name.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One for each cluster, and those of epochs that have passed since: each ends by itself. */
#define FENCES_MAX (4 * ARB_CLUSTERS_MAX)
#define PATH_BYTES 512
#define EXIT_IS_OFF 2 /* of `status`, as of fence agents */

enum step { STEP_OFF, STEP_STATUS };

struct fence {
    struct quorated_fences *owner;
    bool is_used;
    struct arb_fence_job job;
    enum step step;
    uv_process_t *process; /* NULL: none runs */
    struct io_timer limit; /* of the run, or at once when it could not begin */
    bool is_late;
    char why_not[160];
};

struct quorated_fences {
    struct quorated_fences_options options;
    struct fence list[FENCES_MAX];
};

static void step_begin(struct fence *f);

static void end(struct fence *f, bool is_off, const char *text)
{
    const struct quorated_fences_options *o = &f->owner->options;
    struct arb_fence_job job = f->job;
    io_timer_stop(&f->limit);
    f->is_used = false; /* another one may begin from what follows */
    o->ended(o->user, &job, is_off, text);
}

static void process_closed(uv_handle_t *handle)
{
    free(handle);
}

static void exited(uv_process_t *process, int64_t status, int signal_number)
{
    struct fence *f = process->data;
    char text[128];
    uv_close((uv_handle_t *)process, process_closed);
    if (f == NULL) {
        return; /* nobody waits any more */
    }
    f->process = NULL;
    int wanted = f->step == STEP_OFF ? 0 : EXIT_IS_OFF;
    if (status == wanted && signal_number == 0 && f->step == STEP_OFF && !CANARY(FENCE_BELIEVED)) {
        f->step = STEP_STATUS;
        step_begin(f);
        return;
    }
    bool is_good = status == wanted && signal_number == 0;
    (void)snprintf(text, sizeof(text), "%s %s: %s %lld", f->job.command,
                   f->step == STEP_OFF ? "off" : "status",
                   f->is_late           ? "took too long, signal"
                   : signal_number != 0 ? "signal"
                                        : "exit",
                   signal_number != 0 ? (long long)signal_number : (long long)status);
    end(f, is_good, text);
}

/* The time of a run is over, or it could not begin. */
static void limit_over(void *ctx)
{
    struct fence *f = ctx;
    if (f->process == NULL) {
        end(f, false, f->why_not);
        return;
    }
    f->is_late = true;
    (void)kill(-f->process->pid, SIGKILL); /* its group; `exited` follows */
}

/* Nobody but root and its owner may change what is run with this node's rights. */
static bool is_runnable(const char *path, char *why, size_t cap)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || access(path, X_OK) != 0) {
        (void)snprintf(why, cap, "%.100s is no program that can be run", path);
        return false;
    }
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        (void)snprintf(why, cap, "%.80s can be changed by others: chmod go-w", path);
        return false;
    }
    return true;
}

static int spawn(struct fence *f, char *path)
{
    char variables[5][BASE_TEXT_MAX + 32];
    char *environment[6] = {variables[0], variables[1], variables[2],
                            variables[3], variables[4], NULL};
    char off[] = "off";
    char status[] = "status";
    char *arguments[] = {path, f->step == STEP_OFF ? off : status, NULL};
    uv_stdio_container_t stdio[3] = {{.flags = UV_IGNORE}};
    uv_process_options_t options = {.file = path,
                                    .args = arguments,
                                    .env = environment,
                                    .exit_cb = exited,
                                    .flags = UV_PROCESS_DETACHED, /* a group of its own */
                                    .stdio = stdio,
                                    .stdio_count = 3};
    (void)snprintf(variables[0], sizeof(variables[0]),
                   "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    (void)snprintf(variables[1], sizeof(variables[1]), "QUORATE_CLUSTER=%s", f->job.cluster.text);
    (void)snprintf(variables[2], sizeof(variables[2]), "QUORATE_MEMBER=%s", f->job.member.text);
    (void)snprintf(variables[3], sizeof(variables[3]), "QUORATE_HOST=%s", f->job.host.text);
    (void)snprintf(variables[4], sizeof(variables[4]), "QUORATE_EPOCH=%llu",
                   (unsigned long long)f->job.epoch);
    for (int i = 1; i < 3; i++) {
        stdio[i].flags = UV_INHERIT_FD;
        stdio[i].data.fd = STDERR_FILENO;
    }
    f->process->data = f;
    return uv_spawn(io_loop_uv(f->owner->options.loop), f->process, &options);
}

static void step_begin(struct fence *f)
{
    char path[PATH_BYTES];
    int rc = 0;
    (void)snprintf(path, sizeof(path), "%s/%s", f->owner->options.dir, f->job.command);
    f->why_not[0] = '\0';
    if (f->job.command[0] == '\0') {
        (void)snprintf(f->why_not, sizeof(f->why_not), "no fence.command is set");
    } else if (is_runnable(path, f->why_not, sizeof(f->why_not))) {
        f->process = calloc(1, sizeof(*f->process));
        rc = f->process == NULL ? UV_ENOMEM : spawn(f, path);
        if (rc != 0) {
            (void)snprintf(f->why_not, sizeof(f->why_not), "%.100s: %s", path, uv_strerror(rc));
        }
    }
    if (f->why_not[0] == '\0') {
        io_timer_start_in_us(&f->limit, (int64_t)f->job.timeout_ms * BASE_US_PER_MS);
        return;
    }
    if (f->process != NULL) { /* made, but never started */
        f->process->data = NULL;
        uv_close((uv_handle_t *)f->process, process_closed);
        f->process = NULL;
    }
    io_timer_start_in_us(&f->limit, 0);
}

void quorated_fence(struct quorated_fences *fences, const struct arb_fence_job *job)
{
    struct fence *f = NULL;
    for (size_t i = 0; i < FENCES_MAX; i++) {
        struct fence *at = &fences->list[i];
        if (at->is_used && at->job.epoch == job->epoch &&
            base_name_equal(&at->job.cluster, &job->cluster)) {
            return; /* asked for by a former leadership of this node: its end is told */
        }
        f = f == NULL && !at->is_used ? at : f;
    }
    BASE_ASSERT(f != NULL);
    f->owner = fences;
    f->is_used = true;
    f->is_late = false;
    f->job = *job;
    f->step = STEP_OFF;
    io_timer_init(&f->limit, fences->options.loop, limit_over, f);
    step_begin(f);
}

int quorated_fences_new(const struct quorated_fences_options *options, struct quorated_fences **ret)
{
    struct quorated_fences *fences = calloc(1, sizeof(*fences));
    if (fences == NULL) {
        return BASE_E_NOMEM;
    }
    fences->options = *options;
    *ret = fences;
    return 0;
}

struct quorated_fences *quorated_fences_free(struct quorated_fences *fences)
{
    for (size_t i = 0; fences != NULL && i < FENCES_MAX; i++) {
        struct fence *f = &fences->list[i];
        if (!f->is_used) {
            continue;
        }
        io_timer_stop(&f->limit);
        if (f->process != NULL) {
            (void)kill(-f->process->pid, SIGKILL);
            f->process->data = NULL;
            uv_close((uv_handle_t *)f->process, process_closed);
        }
    }
    free(fences);
    return NULL;
}
