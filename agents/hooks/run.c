/* SPDX-License-Identifier: Apache-2.0 */
/* Running one hook; see run.h. */
#include "agents/hooks/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/name.h"
#include "proto/io/log.h"

#define LINES_MAX 16 /* of a hook's output that go to the log */

static void words_fill(struct hook_run *run, const struct hook_words *w)
{
    const struct {
        const char *name;
        const char *text;
        uint64_t number; /* when there is no text */
    } words[HOOK_ENVIRONMENT_MAX - 1] = {
        {"HOOK", hook_name(run->kind), 0},
        {"CLUSTER", w->cluster.text, 0},
        {"MEMBER", w->member.text, 0},
        {"ROLE", hooks_role_text(w->role), 0},
        {"EPOCH", NULL, w->epoch},
        {"HOST", w->host.text, 0},
        {"PORT", NULL, w->port},
        {"PRIMARY", w->primary.text, 0},
        {"PRIMARY_HOST", w->primary_host.text, 0},
        {"PRIMARY_PORT", NULL, w->primary_port},
        {"TIMEOUT_MS", NULL,
         (uint64_t)(base_mono_diff_us(run->deadline, io_now()) / BASE_US_PER_MS)},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(words); i++) {
        if (words[i].text != NULL) {
            (void)snprintf(run->environment[i], HOOK_WORD_MAX, "QUORATE_%s=%s", words[i].name,
                           words[i].text);
        } else {
            (void)snprintf(run->environment[i], HOOK_WORD_MAX, "QUORATE_%s=%" PRIu64, words[i].name,
                           words[i].number);
        }
    }
    run->environment[HOOK_ENVIRONMENT_MAX - 1][0] = '\0';
}

/* Worker thread. */
static void run_child(struct io_work *work)
{
    struct hook_run *run = (struct hook_run *)(void *)work;
    const char *const argv[] = {"/bin/sh", "-c",         run->command, "sh", hook_name(run->kind),
                                run->role, run->cluster, NULL};
    const char *environment[HOOK_ENVIRONMENT_MAX];
    for (size_t i = 0; i < HOOK_ENVIRONMENT_MAX; i++) {
        environment[i] = run->environment[i][0] != '\0' ? run->environment[i] : NULL;
    }
    const struct pg_child child = {.argv = argv,
                                   .environment = environment,
                                   .input = SLICE_EMPTY,
                                   .deadline = run->deadline,
                                   .cancel_fd = run->cancel_fd,
                                   .lock_fd = -1};
    run->status = pg_child_run(&child, &run->result);
}

static void log_output(const struct hook_run *run)
{
    const char *at = run->result.head;
    for (int lines = 0; *at != '\0' && lines < LINES_MAX; lines++) {
        size_t len = strcspn(at, "\r\n");
        if (len > 0) {
            IO_LOG_INFO("hook", "output", io_text("hook", hook_name(run->kind)),
                        io_bytes("line", slice_from(at, len)));
        }
        at += len + strspn(at + len, "\r\n");
    }
}

static void run_ended(struct io_work *work)
{
    struct hook_run *run = (struct hook_run *)(void *)work;
    struct base_text reason = {""};
    run->is_running = false;
    log_output(run);
    if (run->status == 0) {
        IO_LOG_INFO("hook", "done", io_text("hook", hook_name(run->kind)));
    } else {
        if (run->status == BASE_E_STATE) {
            pg_child_reason(&run->result, &reason);
        } else {
            reason = base_text_from(slice_from_text(base_error_text(run->status)));
        }
        IO_LOG_WARN("hook", "failed", io_text("hook", hook_name(run->kind)), io_err(run->status),
                    io_btext("text", &reason));
    }
    run->done(run->ctx, run->kind, run->status, &reason);
}

int hook_run_open(struct hook_run *run, struct io_workers *workers)
{
    memset(run, 0, sizeof(*run));
    run->workers = workers;
    run->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return run->cancel_fd >= 0 ? 0 : BASE_E_IO;
}

void hook_run_start(struct hook_run *run, const struct hooks_settings *settings,
                    enum hook_kind kind, const struct hook_words *words)
{
    uint64_t old;
    int64_t timeout_us = settings->timeout_us > 0 ? settings->timeout_us : HOOKS_TIMEOUT_DEFAULT_US;
    while (read(run->cancel_fd, &old, sizeof(old)) > 0) {
    }
    run->is_running = true;
    run->kind = kind;
    run->deadline = base_mono_add_us(io_now(), timeout_us);
    (void)snprintf(run->command, sizeof(run->command), "%s \"$@\"", settings->commands[kind]);
    (void)snprintf(run->role, sizeof(run->role), "%s", hooks_role_text(words->role));
    (void)snprintf(run->cluster, sizeof(run->cluster), "%s", words->cluster.text);
    words_fill(run, words);
    run->work = (struct io_work){.run = run_child, .done = run_ended};
    IO_LOG_INFO("hook", "begins", io_text("hook", hook_name(kind)), io_text("role", run->role),
                io_u64("epoch", words->epoch));
    io_work_submit(run->workers, &run->work);
}

void hook_run_cancel(struct hook_run *run)
{
    const uint64_t one = 1;
    if (run->is_running) {
        (void)!write(run->cancel_fd, &one, sizeof(one));
    }
}

void hook_run_close(struct hook_run *run)
{
    if (run->cancel_fd >= 0) {
        (void)close(run->cancel_fd);
    }
    run->cancel_fd = -1;
}
