/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a guard that outlives its starter: double fork, session of its own, one byte when it is
 * ready. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agents/guard/client.h"

#define ARGUMENTS_MAX 128
#define TEXTS_MAX 8

/* Argument vector built before the fork: between fork and exec nothing is allocated or formatted.
 */
struct arguments {
    const char *list[ARGUMENTS_MAX + 1];
    size_t count;
    bool is_full;
    char texts[TEXTS_MAX][24];
    size_t texts_count;
};

static void argument_add(struct arguments *a, const char *text)
{
    if (a->count == ARGUMENTS_MAX) {
        a->is_full = true;
        return;
    }
    a->list[a->count++] = text;
}

static void option_add(struct arguments *a, const char *name, const char *value)
{
    if (value != NULL) {
        argument_add(a, name);
        argument_add(a, value);
    }
}

static void number_add(struct arguments *a, const char *name, int64_t value)
{
    char *text = a->texts[a->texts_count++];
    (void)snprintf(text, sizeof(a->texts[0]), "%lld", (long long)value);
    option_add(a, name, text);
}

static void arguments_make(const struct guard_spawn *s, int ready_fd, struct arguments *a)
{
    *a = (struct arguments){0};
    argument_add(a, s->program);
    if (ready_fd >= 0) {
        number_add(a, "--ready-fd", ready_fd);
        option_add(a, "--log", s->log);
    } else {
        argument_add(a, "--kill-leftovers");
    }
    option_add(a, "--socket", s->socket);
    option_add(a, "--cgroup", s->cgroup);
    option_add(a, "--state-dir", s->state_dir);
    option_add(a, "--data-dir", s->data_dir);
    if (s->margin_us > 0) {
        number_add(a, "--margin-us", s->margin_us);
    }
    if (s->has_user) {
        number_add(a, "--uid", s->uid);
        number_add(a, "--gid", s->gid);
        option_add(a, "--groups", s->groups);
    }
    if (s->adopt > 0) {
        number_add(a, "--adopt", s->adopt);
    }
    option_add(a, "--watchdog", s->watchdog);
    option_add(a, "--watchdog-device", s->watchdog_device);
    if (s->watchdog_timeout_us > 0) {
        number_add(a, "--watchdog-timeout-us", s->watchdog_timeout_us);
    }
    argument_add(a, "--");
    for (char *const *word = s->command; word != NULL && *word != NULL; word++) {
        argument_add(a, *word);
    }
}

/* In the child. */
_Noreturn static void program_run(const struct guard_spawn *s, const struct arguments *a)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (s->guard_log != NULL) {
        int fd = open(s->guard_log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (fd >= 0) {
            (void)dup2(fd, STDERR_FILENO);
        }
    }
    (void)execv(s->program, (char *const *)(uintptr_t)a->list);
    (void)dprintf(STDERR_FILENO, "cannot run %s: %s\n", s->program, strerror(errno));
    _exit(127);
}

static int ready_wait(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char byte = 0;
    int rc = 0;
    while ((rc = poll(&p, 1, timeout_ms)) < 0 && errno == EINTR) {
    }
    if (rc == 0) {
        return BASE_E_TIMEOUT;
    }
    return read(fd, &byte, 1) == 1 && byte == 'R' ? 0 : BASE_E_STATE;
}

int guard_client_spawn(const struct guard_spawn *spawn, int timeout_ms)
{
    struct arguments arguments;
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) {
        return BASE_E_IO;
    }
    arguments_make(spawn, fds[1], &arguments);
    pid_t middle = arguments.is_full ? -1 : fork();
    if (middle == 0) {
        (void)setsid();
        pid_t guard = fork();
        if (guard == 0) {
            (void)fcntl(fds[1], F_SETFD, 0);
            program_run(spawn, &arguments);
        }
        _exit(guard > 0 ? 0 : 1);
    }
    (void)close(fds[1]);
    int status = 0, rc = BASE_E_IO;
    if (middle > 0 && waitpid(middle, &status, 0) == middle && status == 0) {
        rc = ready_wait(fds[0], timeout_ms);
    }
    (void)close(fds[0]);
    return rc;
}

int guard_client_kill_leftovers(const struct guard_spawn *spawn)
{
    struct arguments arguments;
    int status = 0;
    arguments_make(spawn, -1, &arguments);
    pid_t pid = arguments.is_full ? -1 : fork();
    if (pid == 0) {
        program_run(spawn, &arguments);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
        return BASE_E_IO;
    }
    switch (WEXITSTATUS(status)) {
    case 0:
        return 0;
    case 4:
        return BASE_E_CONFLICT;
    default:
        return BASE_E_IO;
    }
}
