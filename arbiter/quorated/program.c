/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes; see program.h. */
#include "arbiter/quorated/program.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct quorated_program {
    uv_process_t process;
    bool is_made;
    struct io_timer limit; /* of the run, or at once when it could not begin */
    void *user;            /* of the run */
    void (*ended)(void *user, const struct quorated_ended *how); /* NULL: nobody waits */
    struct quorated_ended how;
};

static void process_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void release(struct quorated_program *p)
{
    if (p->is_made) {
        uv_close((uv_handle_t *)&p->process, process_closed);
    } else {
        free(p);
    }
}

static void end(struct quorated_program *p)
{
    void (*ended)(void *user, const struct quorated_ended *how) = p->ended;
    io_timer_stop(&p->limit);
    p->ended = NULL;
    if (ended != NULL) {
        ended(p->user, &p->how);
    }
    release(p);
}

static void exited(uv_process_t *process, int64_t status, int signal_number)
{
    struct quorated_program *p = process->data;
    p->how.status = status;
    p->how.signal_number = signal_number;
    end(p);
}

static void limit_over(void *ctx)
{
    struct quorated_program *p = ctx;
    if (!p->how.is_begun) {
        end(p);
        return;
    }
    p->how.is_late = true;
    (void)kill(-p->process.pid, SIGKILL); /* its group; `exited` follows */
}

/* Nobody but root and its owner may change what is run with this node's rights. */
static bool is_runnable(const char *path, char why[QUORATED_PROGRAM_WHY_MAX])
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || access(path, X_OK) != 0) {
        (void)snprintf(why, QUORATED_PROGRAM_WHY_MAX, "%.100s is no program that can be run", path);
        return false;
    }
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        (void)snprintf(why, QUORATED_PROGRAM_WHY_MAX, "%.80s can be changed by others: chmod go-w",
                       path);
        return false;
    }
    return true;
}

int quorated_program_start(const struct quorated_program_run *run, struct quorated_program **ret)
{
    struct quorated_program *p = calloc(1, sizeof(*p));
    uv_stdio_container_t stdio[3] = {{.flags = UV_IGNORE}};
    const uv_process_options_t options = {.file = run->path,
                                          .args = run->arguments,
                                          .env = run->environment,
                                          .exit_cb = exited,
                                          .flags = UV_PROCESS_DETACHED, /* a group of its own */
                                          .stdio = stdio,
                                          .stdio_count = 3};
    if (p == NULL) {
        return BASE_E_NOMEM;
    }
    for (int i = 1; i < 3; i++) {
        stdio[i].flags = UV_INHERIT_FD;
        stdio[i].data.fd = STDERR_FILENO;
    }
    p->user = run->user;
    p->ended = run->ended;
    io_timer_init(&p->limit, run->loop, limit_over, p);
    p->process.data = p;
    if (is_runnable(run->path, p->how.why)) {
        int rc = uv_spawn(io_loop_uv(run->loop), &p->process, &options);
        p->is_made = true; /* the handle, even when the program was not started */
        p->how.is_begun = rc == 0;
        if (rc != 0) {
            (void)snprintf(p->how.why, sizeof(p->how.why), "%.100s: %s", run->path,
                           uv_strerror(rc));
        }
    }
    io_timer_start_in_us(&p->limit, p->how.is_begun ? run->timeout_us : 0);
    *ret = p;
    return 0;
}

struct quorated_program *quorated_program_kill(struct quorated_program *p)
{
    if (p != NULL && p->ended != NULL) {
        p->ended = NULL;
        io_timer_stop(&p->limit);
        if (p->how.is_begun) {
            (void)kill(-p->process.pid, SIGKILL);
        }
        release(p);
    }
    return NULL;
}
